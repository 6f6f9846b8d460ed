"""Numbers as exact text, odd instruments that cost only themselves, and what a refresh found."""
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickpath.decimal import DecimalGrid
from tickpathd.instruments import facts as f

BTC = f.InstrumentFacts(
    venue_kind="binance_spot", symbol="BTC/USDT", venue_symbol="BTCUSDT", ws_symbol="BTCUSDT", base="BTC", quote="USDT", kind="spot",
    tick_size="0.01", lot_size="0.00000001", order_qty_step="0.00001", min_qty="0.00001", min_notional="5", price_decimals=8,
    qty_decimals=8, status="TRADING", venue_status="TRADING")


def changed(**fields):
    return msgspec.structs.replace(BTC, **fields)


# ---- numbers

@pytest.mark.parametrize("value, text", [
    ("0.01000000", "0.01"), ("1.00000000", "1"), ("100", "100"), (100, "100"), ("1E-8", "0.00000001"), (Decimal("1e-10"), "0.0000000001"),
    ("1e3", "1000"), ("0", "0"), ("0.000", "0"), ("9999999999.0000000000000000", "9999999999"), ("1200", "1200")])
def test_a_number_becomes_plain_digits_without_trailing_zeros(value, text):
    assert f.number(value, "x") == text


@pytest.mark.parametrize("value", ["", "NaN", "Infinity", "-1", "1,5", "0x1", None, True, [], {}, "1" * 41, "1e50", "1e-50", 0.1,
                                   "1e999999999999"])
def test_what_is_no_number_of_a_market_is_refused(value):
    with pytest.raises(f.OddInstrument, match="x: expected a decimal number of at least 0, found"):
        f.number(value, "x")


@given(st.decimals(min_value=0, max_value=10 ** 12, places=12))
def test_a_number_keeps_its_value_and_never_has_an_exponent(value):
    text = f.number(str(value), "x")
    assert Decimal(text) == value
    assert set(text) <= set("0123456789.")
    assert not text.endswith(".") and (text == "0" or not text.startswith("00"))
    assert "." not in text or not text.endswith("0")
    assert f.number(text, "x") == text


@given(st.integers(1, 10 ** 9), st.integers(0, 18))
def test_every_accepted_increment_is_a_grid_of_the_engine(mantissa, scale):
    text = f.increment(str(Decimal(mantissa).scaleb(-scale)), "tick")
    assert Decimal(str(DecimalGrid(text))) == Decimal(text)


@pytest.mark.parametrize("value", ["0", "0.0000000000000000001", 0])
def test_an_increment_is_positive_and_has_at_most_18_decimals(value):
    with pytest.raises(f.OddInstrument, match="expected a positive number of at most 18 decimals"):
        f.increment(value, "tick")


def test_a_limit_of_zero_or_none_is_no_limit():
    assert [f.limit(v, "x") for v in (None, "", "0", "0.00000000", 0, "5.0")] == ["", "", "", "", "", "5"]


@pytest.mark.parametrize("value, expected", [("1627027200000", 1627027200000000000), (1627027200000, 1627027200000000000), ("", 0),
                                             ("0", 0), (None, 0)])
def test_milliseconds_become_nanoseconds(value, expected):
    assert f.milliseconds(value, "expiry") == expected


@pytest.mark.parametrize("value", ["1627027200", "1627027200000000", -5, "soon"])
def test_a_time_in_another_unit_is_refused(value):
    with pytest.raises(f.OddInstrument, match="expiry: expected ms since 1970"):
        f.milliseconds(value, "expiry")


def test_unified_symbols_are_spelled_as_ccxt_spells_them():
    march = 1774569600 * 10 ** 9                       # 2026-03-27
    assert f.unified_symbol("BTC", "USDT") == "BTC/USDT"
    assert f.unified_symbol("BTC", "USDT", "USDT") == "BTC/USDT:USDT"
    assert f.unified_symbol("BTC", "USD", "BTC", march) == "BTC/USD:BTC-260327"
    assert f.unified_symbol("BTC", "USD", "BTC", march, "42000", "put") == "BTC/USD:BTC-260327-42000-P"


# ---- odd ones

ODD_NAMES = ["BTC\nUSDT", "BTC\x1b[31m", "", " ", "BTC USDT", "B" * 65, "BTC\u202eUSDT"]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_name_that_could_deceive_a_terminal_is_skipped_and_shown_escaped(name):
    table = f.parse_each([{"n": name}, {"n": "BTCUSDT"}], lambda item: item["n"], lambda item: changed(venue_symbol=item["n"]))
    assert [one.venue_symbol for one in table.facts] == ["BTCUSDT"]
    assert "venue_symbol: expected 1 to 64 printable characters" in table.skipped[0].reason
    assert str(table.skipped[0]).isprintable()


def test_a_name_outside_ascii_is_a_name():
    table = f.parse_each([{}], lambda item: "", lambda item: changed(venue_symbol="币安人生USDT", base="币安人生"))
    assert len(table.facts) == 1


@pytest.mark.parametrize("item", [None, 5, [], "text", {"boom": KeyError}, {"boom": TypeError}, {"boom": AttributeError}])
def test_an_item_of_any_shape_costs_itself_only(item):
    def parse_one(item):
        if "boom" in item:
            raise item["boom"]("x")
        return BTC
    table = f.parse_each([item, {}], lambda item: "NAME", parse_one)
    assert table.facts == (BTC,) and len(table.skipped) == 1


@pytest.mark.parametrize("fields, reason", [
    ({"order_qty_step": "0.000000015"}, "expected a multiple of lot_size"), ({"kind": "swap"}, "settle: expected"),
    ({"kind": "future", "settle": "USDT"}, "expiry: expected a time"), ({"base": "B/T:C"}, "assets without / and :")])
def test_facts_that_contradict_themselves_are_odd(fields, reason):
    with pytest.raises(f.OddInstrument, match=reason):
        f.checked(changed(**fields))


def test_a_second_instrument_under_a_symbol_is_skipped_and_the_same_one_twice_is_one():
    other = changed(venue_symbol="BTCUSDT2")
    table = f.InstrumentTable.joined([f.InstrumentTable((BTC,)), f.InstrumentTable((BTC, other))])
    assert table.facts == (BTC,)
    assert [str(odd) for odd in table.skipped] == ["BTCUSDT2: expected a symbol of its own, found BTC/USDT, which is BTCUSDT's"]


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 100_000, b"\xff\xfe", b"<html>", b'{"a":1e999999999999999999999}'])
def test_a_body_that_is_no_json_is_one_clear_error(body):
    with pytest.raises(f.BodyError, match="okx instruments: expected a JSON body, found"):
        f.decode_body(body, "okx")


def test_numbers_of_a_body_stay_exact():
    assert f.decode_body(b'{"tick": 0.1, "size": 100, "small": 1e-10}', "x") == {
        "tick": Decimal("0.1"), "size": 100, "small": Decimal("1e-10")}


# ---- using them

def test_a_refresh_is_told_as_a_list_of_changes():
    old = [BTC, changed(symbol="ETH/USDT", venue_symbol="ETHUSDT"), changed(symbol="OLD/USDT", venue_symbol="OLDUSDT")]
    new = [changed(tick_size="0.1", lot_size="0.0000001", status="HALTED", venue_status="BREAK"), old[1],
           changed(symbol="NEW/USDT", venue_symbol="NEWUSDT")]
    assert [str(change) for change in f.diff_facts(old, new)] == [
        "BTC/USDT: tick_size 0.01 -> 0.1", "BTC/USDT: lot_size 0.00000001 -> 0.0000001", "BTC/USDT: status TRADING -> HALTED",
        "NEW/USDT: listed - -> TRADING", "OLD/USDT: listed TRADING -> -"]
    assert f.diff_facts(new, new) == []
    assert f.diff_facts(reversed(old), new) == f.diff_facts(old, reversed(new))


@pytest.mark.parametrize("tick, expected", [("0.01", "0.00000001"), ("0.00000001", "0.01"), ("0.000001", "0.0001")])
def test_the_engines_lot_is_as_fine_as_its_integers_allow(tick, expected):
    # 4e18 ticklots must hold a hundred million of the quote asset.
    assert f.engine_lot_size(changed(tick_size=tick, order_qty_step="1", min_qty="1")) == expected


def test_an_instrument_that_no_lot_fits_is_refused():
    with pytest.raises(f.InstrumentError, match="BTC/USDT: expected a tick x lot that sums to 100000000 USDT"):
        f.engine_lot_size(changed(tick_size="0.000000000001"))
