"""Binance's own manners: streams by path and by request, the diff chain over REST, pings, limits, the 24 h cut."""
import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from sim_harness import SECONDS, SPOT, USDM, BinanceFollower, RawClient, drain, follow

from tickpath.capture import read_capture

SMALL = "ws/binance_spot/cryptofeed_BINANCE_20211012.jsonl.zst"
DIFFS = "btcusdt@depth@100ms"


@pytest.fixture
def spot(calm):
    return calm(SPOT)


def ready(sim, count=1):
    sim.faults.wait(lambda state: sum(c["subscribed"] for c in state["clients"]) == count)


def test_a_raw_stream_carries_the_captures_bytes_without_the_wrapper(spot, shared_data):
    wanted = [f.data for f in read_capture(shared_data(SPOT)) if f.data.startswith(b'{"stream":"btcusdt@trade"')][:5]
    client = spot.client("/ws/btcusdt@trade")
    ready(spot)
    spot.faults.step(300)
    got = [client.text() for _ in range(5)]
    assert [b'{"stream":"btcusdt@trade","data":' + data + b"}" for data in got] == wanted


def test_a_combined_stream_carries_the_captures_frames_and_only_those_asked_for(spot, shared_data):
    client = spot.client("/stream?streams=btcusdt@bookTicker/btcusdt@trade")
    ready(spot)
    before = spot.faults.state()["playback"]["events"]
    spot.faults.step(50)
    got = []
    drain(client, got.append)
    assert got and {m["stream"] for m in got} <= {"btcusdt@bookTicker", "btcusdt@trade"}
    frames = [f.data for f in read_capture(shared_data(SPOT)) if f.source == "ws"][before:before + 50]
    assert len(got) == sum(b"@depth" not in frame[:40] for frame in frames)


def test_the_stream_at_full_pace_chains_from_a_snapshot_and_follows_the_truth(start_sim):
    sim = start_sim(SPOT, "--speed", "fast")
    client = sim.client(f"/ws/{DIFFS}")
    follower = BinanceFollower(sim)
    buffered = [client.message() for _ in range(3)]
    follower.snapshot()
    for message in buffered:
        follower.feed(message)
    follow(client, follower, events=300)
    sim.faults.pause()
    drain(client, follower.feed)
    assert follower.gaps == 0
    assert follower.book.agrees(sim.faults.truth("BTCUSDT")) and not follower.book.is_crossed()
    state = sim.faults.state()
    assert state["playback"]["failure"] is None and state["counters"] == {"connections": 1}


def test_requests_are_answered_with_their_ids(spot):
    client = spot.client("/ws")
    client.send({"method": "SUBSCRIBE", "params": [DIFFS, "btcusdt@trade"], "id": 1})
    client.send({"method": "LIST_SUBSCRIPTIONS", "id": 2})
    client.send({"method": "UNSUBSCRIBE", "params": ["btcusdt@trade"], "id": "three"})
    client.send({"method": "LIST_SUBSCRIPTIONS", "id": 4})
    assert [client.message() for _ in range(4)] == [
        {"result": None, "id": 1}, {"result": [DIFFS, "btcusdt@trade"], "id": 2}, {"result": None, "id": "three"},
        {"result": [DIFFS], "id": 4}]
    spot.faults.step(40)
    got = []
    drain(client, got.append)
    assert got and {m["e"] for m in got} == {"depthUpdate"}


@pytest.mark.parametrize("request_text, code, words", [
    ('{"method":', 3, "Invalid JSON"), ('{"id":1}', 2, "missing field"), ('{"method":"FETCH","id":1}', 2, "unknown variant `FETCH`"),
    ('{"method":"SUBSCRIBE","params":[],"id":-1}', 2, "unsigned integer"),
    ('{"method":"SET_PROPERTY","params":["combined",1],"id":1}', 1, "expected Boolean"),
    ('{"method":"GET_PROPERTY","params":["colour"],"id":1}', 0, "Unknown property"),
    ('{"method":"SUBSCRIBE","params":"btcusdt@trade","id":1}', 2, "params must be a list"),
])
def test_a_bad_request_is_refused_with_the_venues_code(spot, request_text, code, words):
    client = spot.client("/ws")
    client.send(request_text)
    answer = client.message()
    assert answer["code"] == code and words in answer["msg"]


def test_the_combined_property_changes_the_wrapping(spot):
    client = spot.client("/ws/btcusdt@bookTicker")
    client.send({"method": "SET_PROPERTY", "params": ["combined", True], "id": 1})
    client.send({"method": "GET_PROPERTY", "params": ["combined"], "id": 2})
    assert [client.message(), client.message()] == [{"result": None, "id": 1}, {"result": True, "id": 2}]
    spot.faults.step(30)
    assert client.message()["stream"] == "btcusdt@bookTicker"


def test_a_partial_stream_holds_the_best_levels_of_the_truth(spot):
    client = spot.client("/ws/btcusdt@depth5@100ms/btcusdt@depth")
    ready(spot)
    spot.faults.step(1, "BTCUSDT")
    truth = spot.faults.truth("BTCUSDT")
    partial, diff = client.message(), client.message()
    assert partial == {"lastUpdateId": truth["sequence"], "bids": truth["bids"][:5], "asks": truth["asks"][:5]}
    assert diff["u"] == truth["sequence"], "another speed's name is served by the recorded stream"


@pytest.mark.parametrize("path", ["/", "/api/v3/depth", "/ws2", "/streams"])
def test_a_path_that_the_venue_does_not_have_is_not_found(spot, path):
    client = RawClient(spot.addresses["ws_url"], path)
    assert client.status == 404
    client.stop()


def test_rest_speaks_the_venues_words(spot):
    assert spot.get("/api/v3/ping")[:2] == (200, {})
    assert abs(spot.get("/api/v3/time")[1]["serverTime"] / 1000 - time.time()) < 60
    status, body, headers = spot.get("/api/v3/depth?symbol=BTCUSDT&limit=7")
    assert status == 200 and len(body["bids"]) == len(body["asks"]) == 7 and int(headers["X-MBX-USED-WEIGHT-1M"]) >= 7
    assert spot.get("/api/v3/depth?symbol=NOPE")[:2] == (400, {"code": -1121, "msg": "Invalid symbol."})
    assert spot.get("/api/v3/depth")[1]["code"] == -1102
    assert spot.get("/api/v3/depth?symbol=BTCUSDT&limit=-1")[1]["code"] == -1100
    assert spot.get("/api/v3/order")[0] == 401
    (entry,) = spot.get("/api/v3/exchangeInfo?symbol=BTCUSDT")[1]["symbols"]
    assert (entry["baseAsset"], entry["quoteAsset"]) == ("BTC", "USDT")
    sizes = {f["filterType"]: f for f in entry["filters"]}
    assert sizes["PRICE_FILTER"]["tickSize"] == "0.01"


@pytest.fixture
def strict(calm):
    """A venue that is short of patience."""
    return calm(SMALL, "--rest-weight-per-min", "100", "--ping-interval-s", "0.1", "--pong-timeout-s", "0.3", "--messages-per-s", "0")


def test_above_the_weight_limit_rest_says_429_and_when_to_come_back(strict):
    codes = [strict.get("/api/v3/depth?symbol=NKNUSDT&limit=1000")[0] for _ in range(3)]
    status, body, headers = strict.get("/api/v3/ping")
    assert codes == [200, 200, 429] and status == 429 and body["code"] == -1003
    assert 1 <= int(headers["Retry-After"]) <= 61 and headers["X-MBX-USED-WEIGHT-1M"] == "100"


def test_more_messages_a_second_than_allowed_close_the_connection(spot):
    client = spot.client("/ws")
    for number in range(6):
        client.send({"method": "LIST_SUBSCRIPTIONS", "id": number})
    assert client.closed() == 1008
    assert spot.faults.state()["counters"]["rate_limited"] == 1


def test_the_server_pings_and_closes_who_does_not_answer(strict):
    good, bad = strict.client("/ws"), strict.client("/ws", pong=False)
    with ThreadPoolExecutor(1) as pool:
        answering = pool.submit(good.closed)
        assert bad.closed() == 1008
        strict.faults.wait(lambda state: len(good.pings) >= 6)
        assert [c["path"] for c in strict.faults.state()["clients"]] == ["/ws"]
        strict.faults.arm("cut")
        assert answering.result(SECONDS) == 1001
    assert all(re.fullmatch(rb"\d{13}", payload) for payload in good.pings)
    assert len(bad.pings) == 1, "one ping is out at a time"


def test_an_unsolicited_pong_does_not_save_a_connection(strict):
    client = strict.client("/ws", pong=False)
    for _ in range(10):
        client.send(b"", opcode=10)
    assert client.closed() == 1008


def test_the_24_hour_cut_comes_with_a_notice(start_sim):
    sim = start_sim(SMALL, "--cut-after-s", "0.2")
    client = sim.client("/ws")
    assert client.message()["e"] == "serverShutdown"
    assert client.closed() == 1001


def test_a_loop_goes_on_without_a_gap(start_sim):
    sim = start_sim(SMALL, "--speed", "fast", "--loop")
    client = sim.client("/ws/nknusdt@depth@100ms")
    follower = BinanceFollower(sim, "NKNUSDT")
    buffered = [client.message()]
    follower.snapshot(5000)
    for message in buffered:
        follower.feed(message)
    while sim.faults.state()["playback"]["passes"] < 3:
        follow(client, follower, events=20)
    sim.faults.pause()
    drain(client, follower.feed)
    assert follower.gaps == 0 and follower.book.agrees(sim.faults.truth("NKNUSDT"))


def test_a_client_that_does_not_read_holds_up_the_others_only_for_a_while(start_sim):
    sim = start_sim(SMALL, "--speed", "fast", "--loop", "--stall-s", "0.3")
    sim.faults.arm("oversize", count=2)
    lazy = sim.client("/ws/nknusdt@depth@100ms")
    sim.faults.wait(lambda state: state["counters"].get("slow_disconnects") == 1 and not state["clients"])
    assert lazy.closed() in (-1, 0)
    events = sim.faults.state()["playback"]["events"]
    sim.faults.wait(lambda state: state["playback"]["events"] > events)


def test_several_symbols_have_their_own_books_and_instrument_entries(start_sim):
    sim = start_sim(SMALL, "--start-after", "2", "--speed", "fast")
    clients = {symbol: sim.client(f"/ws/{symbol.lower()}@depth@100ms") for symbol in ("NKNUSDT", "RUNEEUR")}
    followers = {symbol: BinanceFollower(sim, symbol) for symbol in clients}
    for symbol, client in clients.items():
        followers[symbol].buffered.append(client.message())
        followers[symbol].snapshot(5000)
        drain(client, followers[symbol].buffered.append)
    sim.faults.wait(lambda state: state["playback"]["ended"])
    for symbol, follower in followers.items():
        drain(clients[symbol], follower.buffered.append)
        for message in follower.buffered:
            follower.feed(message)
        assert follower.gaps == 0 and follower.book.agrees(sim.faults.truth(symbol))
    info = {e["symbol"]: e for e in sim.get("/api/v3/exchangeInfo")[1]["symbols"]}
    assert len(info) > 1000 and info["RUNEEUR"]["status"] == "TRADING", "the recorded list is given"


def test_futures_chain_by_pu_from_a_snapshot(start_sim):
    sim = start_sim(USDM, "--speed", "fast")
    client = sim.client("/public/stream?streams=sushiusdt@depth@100ms/sushiusdt@bookTicker")
    follower = BinanceFollower(sim, "SUSHIUSDT", futures=True)
    buffered = [client.message() for _ in range(4)]
    follower.snapshot()
    for message in buffered:
        follower.feed(message)
    sim.faults.wait(lambda state: state["playback"]["ended"])
    drain(client, follower.feed)
    assert follower.applied > 20 and follower.gaps == 0 and follower.book.agrees(sim.faults.truth("SUSHIUSDT"))
    assert sim.get("/fapi/v1/depth?symbol=SUSHIUSDT&limit=7")[1]["code"] == -4021
    assert sim.get("/fapi/v1/exchangeInfo")[1]["futuresType"] == "U_MARGINED"


def test_who_polls_gets_the_trades_that_have_passed_their_candles_and_the_best_prices(spot):
    client = spot.client("/ws/btcusdt@trade")
    ready(spot)
    spot.faults.step(600)
    streamed = []
    drain(client, streamed.append)
    polled = spot.get("/api/v3/aggTrades?symbol=BTCUSDT&limit=5")[1]
    assert [(t["a"], t["p"], t["q"], t["T"], t["m"]) for t in polled] == [(t["t"], t["p"], t["q"], t["T"], t["m"]) for t in streamed[-5:]]
    assert [t["id"] for t in spot.get("/api/v3/trades?symbol=BTCUSDT&limit=5")[1]] == [t["t"] for t in streamed[-5:]]
    truth, ticker = spot.faults.truth("BTCUSDT"), spot.get("/api/v3/ticker/24hr?symbol=BTCUSDT")[1]
    assert [ticker["bidPrice"], ticker["askPrice"]] == [truth["best_bid"][0], truth["best_ask"][0]]
    assert ticker["lastPrice"] == streamed[-1]["p"]
    candle = spot.get("/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=1")[1][0]
    assert candle[4] == streamed[-1]["p"] and candle[0] % 60_000 == 0 and candle[6] - candle[0] == 59_999
    assert spot.get("/api/v3/trades?symbol=NONE")[1]["code"] == -1121
