"""What captures say of their instruments: increments, decimals and depth, by the connections that carry them."""
import json
from decimal import Decimal

import pytest

from tickpath.capture import CaptureFrame, read_capture
from tickpath.decimal import DecimalGrid
from tickpath.venues.binance_facts import STATE, CaptureFacts, scan_facts


def facts_of(*frames):
    facts = {}
    for frame in frames:
        scan_facts(frame, facts)
    facts.pop(STATE, None)
    return facts


def ws(tree, stream=None, conn="a"):
    return CaptureFrame(0, json.dumps({"stream": stream, "data": tree} if stream else tree).encode(), "ws", None, conn)


def rest(tree, hint=None):
    return CaptureFrame(0, json.dumps(tree).encode(), "rest", hint, "http")


def quote(symbol="XY", bid="5.25", bid_qty="3.5", ask="6", ask_qty="2"):
    return {"u": 1, "s": symbol, "b": bid, "B": bid_qty, "a": ask, "A": ask_qty}


def listed(symbol, tick_size, step_size):
    return {"symbols": [{"symbol": symbol, "filters": [{"filterType": "PRICE_FILTER", "tickSize": tick_size},
                                                       {"filterType": "LOT_SIZE", "stepSize": step_size}]}]}


def test_increments_are_the_greatest_that_divide_every_number():
    assert facts_of(ws(quote()), ws(quote(bid="5.50"))) == {("a", "XY"): CaptureFacts("0.25", "0.5", 2, 1, 0)}


def test_numbers_finer_than_eight_decimals_are_exact():
    found = facts_of(ws(quote(bid="0.000000454", ask="0.000000456", bid_qty="1000", ask_qty="10")))
    assert found == {("a", "XY"): CaptureFacts("0.000000002", "10", 9, 0, 0)}


@pytest.mark.parametrize("order", (1, -1))
def test_the_venues_own_increments_decide_as_long_as_the_numbers_are_on_them(order):
    frames = [ws(quote()), rest(listed("XY", "0.01000000", "0.10000000"))]
    assert facts_of(*frames[::order]) == {("a", "XY"): CaptureFacts("0.01", "0.1", 2, 1, 0)}
    frames = [ws(quote(bid_qty="3.55")), rest(listed("XY", "0.01000000", "0.10000000"))]
    assert facts_of(*frames[::order])["a", "XY"].lot_size == "0.05"


def test_partial_books_say_their_depth_by_connection():
    book = {"lastUpdateId": 1, "bids": [["5.25", "1"]], "asks": [["6", "2"]]}
    found = facts_of(ws(book, "xy@depth5"), ws(book, "xy@depth20@100ms"), ws(quote(), "xy@bookTicker", conn="b"),
                     ws({"e": "depthUpdate", "s": "XY", "b": [["5.3", "1"]], "a": []}, "xy@depth@0ms", conn="b"))
    assert {key: f.max_levels for key, f in found.items()} == {("a", "XY"): 20, ("b", "XY"): 0}
    assert {f.tick_size for f in found.values()} == {"0.05"}


def test_a_rest_snapshot_belongs_to_its_symbol_or_to_the_only_one():
    book = {"lastUpdateId": 1, "bids": [["5.01", "1"]], "asks": [["6", "2"]]}
    assert facts_of(rest(book, "XY"), ws(quote()))["a", "XY"].tick_size == "0.03"
    assert facts_of(rest(book), ws(quote()))["a", "XY"].tick_size == "0.03"
    two = facts_of(ws(quote()), rest(book), ws(quote("ZW")))
    assert {f.tick_size for f in two.values()} == {"0.75"}
    assert facts_of(rest(book), rest(listed("XY", "0.01", "1"))) == {}


@pytest.mark.parametrize(("tree", "sizes"), [
    ({"e": "trade", "s": "XY", "p": "5.25", "q": "3.5"}, ("5.25", "3.5")),
    ({"e": "aggTrade", "s": "XY", "p": "5.25", "q": "3.5", "nq": "0.01"}, ("5.25", "3.5")),
    ({"e": "bookTicker", **quote()}, ("0.75", "0.5")),
    ({"e": "kline", "s": "XY", "k": {"o": "5.25", "h": "5.5", "l": "5.25", "c": "5.5", "v": "7", "V": "3.5"}}, ("0.25", "3.5")),
])
def test_every_kind_of_message_counts(tree, sizes):
    assert facts_of(ws(tree))["a", "XY"] == CaptureFacts(*sizes, 2, 1, 0)


def test_what_is_no_number_or_no_message_adds_nothing():
    frames = [ws(quote(bid="x", bid_qty=3, ask="-6", ask_qty="1e5")), CaptureFrame(0, b"{", "ws", None, "a"), ws([1]), ws(7), ws({"e": "trade"}),
              ws({"stream": "xy@trade", "data": None}), ws({"symbols": [1, {"symbol": "XY"}, {"symbol": 1, "filters": []}]}),
              ws({"e": "depthUpdate", "s": "XY", "b": [1, ["1"]], "a": None}), ws(quote(bid="1" * 50))]
    assert set(facts_of(*frames).values()) == {CaptureFacts("6", "0.5", 0, 1, 0)}


@pytest.mark.parametrize("name, grids", [
    ("BINANCE_20210814", {"BADGERBTC": ("0.0000001", "0.01"), "FTMUSDT": ("0.00001", "0.1"), "SXPBTC": ("0.00000001", "1"), "XMRBTC": ("0.000001", "0.001")}),
    ("BINANCE_20211012", {"BLZETH": ("0.00000001", "1"), "LRCBTC": ("0.00000001", "1"), "NKNUSDT": ("0.00001", "0.1"), "RUNEEUR": ("0.001", "0.1")}),
    ("BINANCE_US_20211012", {"COMPUSDT": ("0.01", "0.00001"), "CRVUSDT": ("0.001", "0.1"), "OMGBUSD": ("0.0001", "0.01"), "ZRXUSDT": ("0.0001", "0.01")})])
def test_recorded_spot_captures_have_the_grids_that_they_had(shared_data, name, grids):
    found = facts_of(*read_capture(shared_data(f"ws/binance_spot/cryptofeed_{name}.jsonl.zst")))
    assert {symbol: (f.tick_size, f.lot_size) for (_, symbol), f in found.items()} == grids


def test_recorded_orders_from_before_a_tick_grew_stay_on_the_grid(shared_data):
    """NKNUSDT's tick was 0.0001 by then; its book still held bids at 0.00001 steps. The others agree with exchangeInfo."""
    frames = list(read_capture(shared_data("ws/binance_spot/cryptofeed_BINANCE_20211012.jsonl.zst")))
    info = next(json.loads(f.data) for f in frames if f.source == "rest" and b'"symbols"' in f.data[:5000])
    filters = {s["symbol"]: {f["filterType"]: f for f in s["filters"]} for s in info["symbols"]}
    for (_, symbol), found in facts_of(*frames).items():
        assert Decimal(filters[symbol]["PRICE_FILTER"]["tickSize"]) == Decimal(found.tick_size) * (10 if symbol == "NKNUSDT" else 1)
        assert Decimal(filters[symbol]["LOT_SIZE"]["stepSize"]) % Decimal(found.lot_size) == 0


def test_recorded_orders_from_before_a_lot_grew_stay_on_the_grid(golden_dir):
    """The book of 2024 still shows orders from before Binance grew the lot from 0.000001 to 0.00001 BTC."""
    frames = list(read_capture(golden_dir / "binance_spot" / "hftbacktest_btcusdt_20240808.gz"))
    assert facts_of(*frames) == {(None, "BTCUSDT"): CaptureFacts("0.01", "0.000001", 8, 8, 0)}
    tick, lot = DecimalGrid("0.01"), DecimalGrid("0.000001")
    snapshot = next(json.loads(f.data) for f in frames if f.source == "rest")
    for price, qty in snapshot["bids"] + snapshot["asks"]:
        assert tick.parse(price) > 0 and lot.parse(qty) > 0


def test_recorded_futures_have_their_own_grids(shared_data):
    found = facts_of(*read_capture(shared_data("ws/binance_usdm/cryptofeed_BINANCE_FUTURES_20210722.jsonl.zst")))
    conn = "BINANCE_FUTURES.ws.1"
    assert found == {(conn, "SUSHIUSDT"): CaptureFacts("0.001", "1", 4, 0, 0), (conn, "AKROUSDT"): CaptureFacts("0.00001", "1", 5, 0, 0),
                     (conn, "KEEPUSDT"): CaptureFacts("0.0001", "1", 4, 0, 0), (conn, "CTKUSDT"): CaptureFacts("0.00001", "1", 5, 0, 0)}
