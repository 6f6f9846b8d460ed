"""A market of clients' orders alone: what each of them does is seen by all, on the streams and over REST."""
import json

import pytest
from sim_harness import RawClient
from trading_harness import ALICE, BOB, CAROL, TradingSim

STREAMS = ("btcusdt@depth@100ms", "btcusdt@bookTicker", "btcusdt@trade", "btcusdt@aggTrade")


@pytest.fixture(scope="module")
def market(tmp_path_factory):
    server = TradingSim(tmp_path_factory.mktemp("own"), "--no-limits")
    yield server
    for client in server.clients:
        client.stop()
    assert server.end() == (0, "")


@pytest.fixture
def client(market):
    made = RawClient(market.addresses["ws_url"], "/stream?streams=" + "/".join(STREAMS))
    made.send({"method": "LIST_SUBSCRIPTIONS", "id": 1})
    assert made.until(lambda m: m.get("id") == 1)["result"] == list(STREAMS)
    yield made
    made.stop()
    for key in (ALICE, BOB, CAROL):
        rest = market.rest(key)
        if rest.signed("GET", "/api/v3/openOrders", symbol="BTCUSDT"):
            rest.signed("DELETE", "/api/v3/openOrders", symbol="BTCUSDT")


def of(client, stream):
    return client.until(lambda m: m.get("stream") == stream)["data"]


def test_an_order_that_rests_is_in_quote_diff_and_snapshot(market, client):
    market.rest(ALICE).order("BUY", "0.5", "50000")
    quote = of(client, "btcusdt@bookTicker")
    assert (quote["b"], quote["B"]) == ("50000.00000000", "0.50000000")
    # Nobody sells: the venue writes zeros.
    assert (quote["a"], quote["A"]) == ("0.00000000", "0.00000000")
    diff = of(client, "btcusdt@depth@100ms")
    assert (diff["b"], diff["a"]) == ([["50000.00000000", "0.50000000"]], [])
    _, body, _ = market.get("/api/v3/depth?symbol=BTCUSDT")
    assert body == {"lastUpdateId": diff["u"], "bids": diff["b"], "asks": []}


def test_what_comes_and_goes_within_a_window_is_sent_as_it_is_at_its_end(market, client):
    rest = market.rest(ALICE)
    order = rest.order("SELL", "0.2", "70000")
    rest.signed("DELETE", "/api/v3/order", symbol="BTCUSDT", orderId=order["orderId"])
    seen, last = [], None
    while not seen or seen[-1] != "0.00000000":
        diff = of(client, "btcusdt@depth@100ms")
        assert last is None or diff["U"] == last + 1
        last = diff["u"]
        seen += [qty for price, qty in diff["a"] if price == "70000.00000000"]
    assert seen in (["0.00000000"], ["0.20000000", "0.00000000"])


def test_one_taker_at_one_price_is_two_trades_and_one_aggregate(market, client):
    market.rest(ALICE).order("SELL", "0.3", "60000")
    market.rest(BOB).order("SELL", "0.2", "60000")
    market.rest(BOB).order("SELL", "0.2", "60001")
    market.rest(CAROL).order("BUY", "0.6", "60001")
    trades = [of(client, "btcusdt@trade") for _ in range(3)]
    assert [(t["p"], t["q"], t["m"]) for t in trades] == [
        ("60000.00000000", "0.30000000", False), ("60000.00000000", "0.20000000", False),
        ("60001.00000000", "0.10000000", False)]
    _, aggregates, _ = market.get("/api/v3/aggTrades?symbol=BTCUSDT&limit=2")
    assert [(a["p"], a["q"], a["f"], a["l"]) for a in aggregates] == [
        ("60000.00000000", "0.50000000", trades[0]["t"], trades[1]["t"]),
        ("60001.00000000", "0.10000000", trades[2]["t"], trades[2]["t"])]
    # The taker's own record names the same trades.
    mine = market.rest(CAROL).signed("GET", "/api/v3/myTrades", symbol="BTCUSDT")
    assert [t["id"] for t in mine][-3:] == [t["t"] for t in trades]
    _, candles, _ = market.get("/api/v3/klines?symbol=BTCUSDT&interval=1M&limit=1")
    assert (candles[0][4], candles[0][5], candles[0][8], candles[0][9]) == ("60001.00000000", "0.60000000", 3, "0.60000000")


def test_trade_comes_before_its_aggregate_and_its_quote_is_never_crossed(market):
    client = RawClient(market.addresses["ws_url"], "/stream?streams=" + "/".join(STREAMS))
    client.send({"method": "LIST_SUBSCRIPTIONS", "id": 1})
    client.until(lambda m: m.get("id") == 1)
    market.rest(ALICE).order("SELL", "0.1", "61000")
    market.rest(ALICE).order("SELL", "0.1", "61001")
    # Takes both and rests above them.
    market.rest(BOB).order("BUY", "0.5", "61002")
    messages = []
    while not messages or messages[-1]["stream"] != "btcusdt@depth@100ms" or not any(
            price == "61002.00000000" for price, _ in messages[-1]["data"]["b"]):
        messages.append(json.loads(client.text()))
    names = [m["stream"].partition("@")[2] for m in messages]
    assert [name for name in names if name in ("trade", "aggTrade")].count("trade") == 2
    assert names.index("trade") < names.index("aggTrade")
    for m in messages:
        if m["stream"].endswith("bookTicker") and float(m["data"]["a"]):
            assert float(m["data"]["b"]) < float(m["data"]["a"])
    client.stop()
    market.rest(BOB).signed("DELETE", "/api/v3/openOrders", symbol="BTCUSDT")


def test_a_symbol_that_never_traded_answers_with_zeros(market):
    assert market.get("/api/v3/ticker/24hr?symbol=SOLUSDT")[1]["lastPrice"] == "0.00000000"
    assert market.get("/api/v3/klines?symbol=SOLUSDT&interval=1h")[1] == []
    assert market.get("/api/v3/trades?symbol=SOLUSDT")[1] == []
    assert market.get("/api/v3/ticker/bookTicker?symbol=SOLUSDT")[1]["bidPrice"] == "0.00000000"
    state = market.faults.state()["playback"]
    assert (state["flow"], state["ended"]) == (None, True)
