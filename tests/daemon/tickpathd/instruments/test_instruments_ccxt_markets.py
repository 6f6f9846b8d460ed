"""Instruments of any exchange through ccxt: what a market says, what it leaves out, and what cannot be traded on."""
import json

import pytest

from required import require_package
from tickpathd.instruments.facts import BodyError, InstrumentError
from tickpathd.instruments.loader import load_instruments
from tickpathd.instruments.venues import default_rest_url, offered_kinds, parse_bodies, venue_module

MARKET = {"id": "btcusd", "symbol": "BTC/USD", "base": "BTC", "quote": "USD", "settle": None, "type": "spot", "linear": None,
          "inverse": None, "active": True, "expiry": None, "optionType": None, "strike": None, "contractSize": None,
          "precisionMode": 4, "precision": {"price": "0.5", "amount": "0.0001", "base": "1e-8"},
          "limits": {"amount": {"min": "0.001", "max": None}, "cost": {"min": "10.0", "max": None}}}


def parsed(*markets):
    return parse_bodies("ccxt:bitstamp", [json.dumps(markets).encode()])


def test_market_becomes_facts_in_ccxts_spelling():
    (one,) = parsed(MARKET).facts
    assert (one.symbol, one.venue_symbol, one.ws_symbol, one.kind, one.status) == ("BTC/USD", "btcusd", "BTC/USD", "spot", "TRADING")
    assert (one.tick_size, one.lot_size, one.order_qty_step, one.min_qty, one.min_notional, one.max_qty) == \
        ("0.5", "0.00000001", "0.0001", "0.001", "10", "")


def test_decimal_places_are_increments_and_an_inactive_market_is_halted():
    (one,) = parsed({**MARKET, "precisionMode": 2, "precision": {"price": "2", "amount": "5", "base": None}, "active": False}).facts
    assert (one.tick_size, one.lot_size, one.status) == ("0.01", "0.00001", "HALTED")


def test_linear_contract_keeps_its_size_and_settlement():
    (one,) = parsed({**MARKET, "symbol": "BTC/USDT:USDT", "type": "swap", "linear": True, "settle": "USDT", "contractSize": "0.01"}).facts
    assert (one.kind, one.linear, one.contract_size, one.settle) == ("swap", True, "0.01", "USDT")


@pytest.mark.parametrize("change, text", [
    ({"precision": {"price": None, "amount": "1", "base": None}}, "price precision: expected one, found none"),
    ({"precisionMode": 3}, "found significant digits"), ({"type": "index"}, "type: expected one of"),
    ({"symbol": "BTC/USD:BTC-260327-42000-P"}, "symbol: expected at most 24 bytes"),
    ({"precision": {"price": "0", "amount": "1", "base": None}}, "price precision: expected a positive number")])
def test_market_that_cannot_be_used_costs_itself_only(change, text):
    table = parsed(MARKET, {**MARKET, "symbol": "ETH/USD", **change})
    assert [one.symbol for one in table.facts] == ["BTC/USD"] and text in table.skipped[0].reason


def test_answer_that_is_no_list_of_markets_is_refused():
    with pytest.raises(BodyError, match="expected a list of markets, found dict"):
        venue_module("ccxt:x").parse("ccxt:x", b"{}")


def test_every_ccxt_exchange_has_a_place_of_its_own():
    assert default_rest_url("ccxt:gate") == "ccxt:gate" and "swap" in offered_kinds("ccxt:gate")


def test_exchange_that_is_not_there_is_the_workers_own_line(tmp_path):
    require_package("ccxt", "ccxt")
    with pytest.raises(InstrumentError, match="ccxt:binanse instruments: expected an exchange that ccxt knows, such as binance"):
        load_instruments("ccxt:binanse", "", ["BTC/USDT"], tmp_path)
    with pytest.raises(InstrumentError, match="ccxt:binance instruments: expected ccxt to load the markets, found ExchangeNotAvail"):
        load_instruments("ccxt:binance", "http://127.0.0.1:1", ["BTC/USDT"], tmp_path)
