"""Exact numbers out of ccxt, whatever door they came through, and its URLs on other servers."""
import asyncio

import pytest

from required import require_package
from tickpathd.ccxt_exchange import CcxtError, InexactNumber, TextFloat, check_ccxt_id, make_exchange, number_text

require_package("ccxt", "ccxt")


@pytest.mark.parametrize("value, text", [
    (TextFloat("61837.63000000"), "61837.63000000"), (TextFloat("12345678901234567.123456789"), "12345678901234567.123456789"),
    ("0.10", "0.10"), (7, "7"), (0.1, "0.1"), (1e-7, "1e-07"), (123456.789, "123456.789"), (TextFloat(0.25), "0.25"),
    (100000000000000.0, "100000000000000.0")])
def test_number_keeps_the_text_that_it_was_made_of(value, text):
    assert number_text(value) == text


@pytest.mark.parametrize("value", [0.1 + 0.2, 12345678901.123457, TextFloat(1 / 3)])
def test_double_whose_text_is_lost_is_refused(value):
    with pytest.raises(InexactNumber):
        number_text(value)


@pytest.mark.parametrize("value", [None, True, [1]])
def test_what_is_no_number_is_refused(value):
    with pytest.raises(TypeError):
        number_text(value)


def closing(exchange, check):
    async def main():
        try:
            return check(exchange)
        finally:
            await exchange.close()
    return asyncio.run(main())


def test_books_and_json_numbers_keep_their_text():
    def check(exchange):
        body = exchange.on_json_response('{"bids": [[61837.63000000000000001, "0.10"]], "asks": [["1e-8", 3]]}')
        book = exchange.parse_order_book(body, "BTC/USDT")
        assert [[number_text(n) for n in row[:2]] for row in book["bids"]] == [["61837.63000000000000001", "0.10"]]
        assert [[number_text(n) for n in row[:2]] for row in book["asks"]] == [["1e-8", "3"]]
        # What ccxt makes text of again is the same text.
        assert exchange.safe_string({"a": TextFloat("0.10")}, "a") == exchange.safe_string_2({"b": TextFloat("0.10")}, "a", "b") \
            == exchange.safe_string_n({"a": TextFloat("0.10")}, ["b", "a"]) == "0.10"
        assert exchange.number_to_string(TextFloat("1.50")) == "1.5"
        assert number_text(exchange.parse_number("0.00100")) == "0.00100"
        assert number_text(exchange.safe_float_2({"b": "1.50"}, "a", "b")) == "1.50"
        assert exchange.safe_float({"a": "x"}, "a") is None
    closing(make_exchange("kraken"), check)


def test_streamed_book_keeps_texts_through_ccxts_own_book():
    def check(exchange):
        book = exchange.order_book({}, 10)
        exchange.handle_deltas(book["bids"], [["100.10", "1.0"], ["100.20", "2.50"], ["100.10", "3.00"]])
        assert [[number_text(n) for n in row] for row in book["bids"]] == [["100.20", "2.50"], ["100.10", "3.00"]]
    closing(make_exchange("binance"), check)


def test_other_servers_take_the_place_of_every_host_and_paths_stay():
    def check(exchange):
        api = exchange.urls["api"]
        assert api["public"] == "http://127.0.0.1:81/api/v3" and api["fapiPublic"] == "http://127.0.0.1:81/fapi/v1"
        assert api["ws"]["spot"] == "ws://127.0.0.1:82/ws"
    closing(make_exchange("binance", rest_url="http://127.0.0.1:81", ws_url="ws://127.0.0.1:82"), check)


def test_only_markets_of_the_symbols_kinds_are_loaded():
    for symbols, types in ((["BTC/USDT"], ["spot"]), (["BTC/USDT:USDT"], ["linear"]), (["BTC/USD:BTC", "BTC/USDT"], ["spot", "inverse"])):
        closing(make_exchange("binance", symbols=symbols), lambda e, t=types: e.options["fetchMarkets"]["types"] == t or 1 / 0)


def test_rate_limiter_of_ccxt_is_on_and_currencies_are_not_asked_for():
    closing(make_exchange("bitstamp"), lambda e: (e.enableRateLimit and not e.has["fetchCurrencies"]) or 1 / 0)


def test_unknown_exchange_is_refused_with_the_nearest_names():
    with pytest.raises(CcxtError, match="such as .*kraken.*, found 'krakn'"):
        check_ccxt_id("krakn")
    check_ccxt_id("bitstamp")
