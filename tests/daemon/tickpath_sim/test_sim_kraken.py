"""Kraken v1 and v2: acknowledgements, snapshots that updates chain to, checksums over the texts, views of less depth."""
from zlib import crc32

import pytest
from sim_harness import FollowedBook, drain, entries

V1 = "ws/kraken/cryptofeed_KRAKEN_20210417.jsonl.zst"
V2 = "ws/kraken/kraken_v2_book10_BTCUSD_20260719T1754.jsonl.gz"


def checksum(book):
    bids, asks = book.top()
    text = "".join(value.replace(".", "").lstrip("0") for rows in (asks, bids) for row in rows for value in row)
    return crc32(text.encode())


class V1Follower:
    def __init__(self, depth):
        self.book = FollowedBook(depth)
        self.snapshots = self.good = self.bad = 0

    def feed(self, message):
        if not isinstance(message, list):
            return
        for part in message[1:-2]:
            if "as" in part:
                self.book.load(part["bs"], part["as"])
                self.snapshots += 1
            else:
                self.book.apply(part.get("b", ()), part.get("a", ()))
        for part in message[1:-2]:
            if "c" in part:
                good = int(part["c"]) == checksum(self.book)
                self.good, self.bad = self.good + good, self.bad + (not good)


class V2Follower:
    def __init__(self, depth=10):
        self.book = FollowedBook(depth)
        self.snapshots = self.good = self.bad = 0

    def feed(self, message):
        if message.get("channel") != "book":
            return
        (entry,) = message["data"]
        bids, asks = ([[level["price"], level["qty"]] for level in entry[side]] for side in ("bids", "asks"))
        if message["type"] == "snapshot":
            self.book.load(bids, asks)
            self.snapshots += 1
        else:
            self.book.apply(bids, asks)
        good = entry["checksum"] == checksum(self.book)
        self.good, self.bad = self.good + good, self.bad + (not good)


def subscribe_v1(client, pair, depth):
    client.send({"event": "subscribe", "pair": [pair], "subscription": {"name": "book", "depth": depth}})
    return client.until(lambda m: isinstance(m, dict) and m.get("event") == "subscriptionStatus")


def passed(sim, client, follower, events):
    sim.faults.step(events)
    drain(client, follower.feed)


@pytest.fixture
def v1(calm):
    return calm(V1, "--heartbeat-s", "0", "--loop")


@pytest.fixture
def v2(calm):
    return calm(V2, "--heartbeat-s", "0", "--loop")


def test_v1_greets_acknowledges_and_sends_a_snapshot(v1):
    client = v1.client()
    greeting = client.message()
    assert (greeting["event"], greeting["status"]) == ("systemStatus", "online")
    status = subscribe_v1(client, "XMR/USD", 1000)
    assert status == {"channelID": 992, "channelName": "book-1000", "event": "subscriptionStatus", "pair": "XMR/USD",
                      "status": "subscribed", "subscription": {"name": "book", "depth": 1000}}
    number, snapshot, name, pair = client.message()
    assert (number, name, pair) == (992, "book-1000", "XMR/USD") and len(snapshot["as"]) > 100 and len(snapshot["as"][0]) == 3


@pytest.mark.parametrize("depth", [10, 25, 100, 1000])
def test_v1_a_late_client_of_any_depth_follows_with_good_checksums(v1, depth):
    v1.faults.step(150)
    client = v1.client()
    subscribe_v1(client, "KSM/XBT", depth)
    follower = V1Follower(depth)
    passed(v1, client, follower, 500)
    assert follower.snapshots == 1 and follower.bad == 0 and follower.good > 5
    assert follower.book.agrees(v1.faults.truth("KSM/XBT"))


def test_v1_sends_only_what_was_subscribed_to(v1):
    client = v1.client()
    subscribe_v1(client, "XMR/USD", 1000)
    client.message()
    v1.faults.step(300)
    got = []
    drain(client, got.append)
    assert got and {(m[-2], m[-1]) for m in got} == {("book-1000", "XMR/USD")}
    client.send({"event": "unsubscribe", "pair": ["XMR/USD"], "subscription": {"name": "book", "depth": 1000}})
    assert client.message()["status"] == "unsubscribed"
    v1.faults.step(100)
    assert client.quiet(0.1)


@pytest.mark.parametrize("pair, subscription, words", [
    ("NO/PAIR", {"name": "book"}, "Currency pair not supported NO/PAIR"), ("XMR/USD", {"name": "book", "depth": 11}, "depth not supported"),
    ("XMR/USD", {"name": "spread"}, "name invalid")])
def test_v1_refuses_what_it_does_not_have(v1, pair, subscription, words):
    client = v1.client()
    client.send({"event": "subscribe", "pair": [pair], "subscription": subscription, "reqid": 5})
    status = client.until(lambda m: m.get("event") == "subscriptionStatus")
    assert status["status"] == "error" and words in status["errorMessage"] and status["reqid"] == 5


def test_v1_pings_and_malformed_requests(v1):
    client = v1.client()
    client.message()
    client.send({"event": "ping", "reqid": 42})
    client.send("{")
    assert client.message() == {"event": "pong", "reqid": 42}
    assert client.message()["errorMessage"] == "Malformed request"


def test_heartbeats_come_while_it_is_quiet_and_only_to_subscribers(start_sim):
    sim = start_sim(V1, "--start-after", "0", "--speed", "0.000001", "--heartbeat-s", "0.1")
    sim.faults.pause()
    client, idle = sim.client(), sim.client()
    idle.message()
    subscribe_v1(client, "XMR/USD", 10)
    client.until(lambda m: isinstance(m, list))
    assert [client.message() for _ in range(3)] == [{"event": "heartbeat"}] * 3
    assert idle.quiet(0.2)
    sim.faults.arm("silent")
    drain(client, lambda m: None)
    assert client.quiet(0.3), "a silent venue sends no heartbeats"


def test_v1_checksum_flip_is_one_digit_of_one_checksum(v1):
    client = v1.client()
    subscribe_v1(client, "XMR/USD", 1000)
    follower = V1Follower(1000)
    v1.faults.arm("checksum_flip", symbol="XMR/USD")
    passed(v1, client, follower, 300)
    assert follower.bad == 1 and follower.good > 3 and entries(v1, "checksum_flip")[-1]["symbol"] == "XMR/USD"


@pytest.mark.parametrize("depth", [10, 1000])
def test_v1_crossed_book_has_a_good_checksum_and_leaves_no_trace(v1, depth):
    client = v1.client()
    subscribe_v1(client, "XMR/USD", depth)
    follower = V1Follower(depth)
    v1.faults.arm("crossed", symbol="XMR/USD")
    passed(v1, client, follower, 400)
    assert entries(v1, "crossed")[-1]["symbol"] == "XMR/USD"
    assert follower.bad == 0 and not follower.book.is_crossed() and follower.book.agrees(v1.faults.truth("XMR/USD"))


def test_v1_moved_prices_carry_good_checksums(start_sim):
    sim = start_sim(V1, "--start-after", "0", "--speed", "0.000001", "--heartbeat-s", "0")
    sim.faults.pause()
    client = sim.client()
    subscribe_v1(client, "XMR/USD", 1000)
    before = sim.faults.truth("XMR/USD")["best_bid"]
    sim.faults.arm("reconnect_move", pct=0.05)
    assert client.closed() == -1
    again = sim.client()
    subscribe_v1(again, "XMR/USD", 1000)
    follower = V1Follower(1000)
    passed(sim, again, follower, 400)
    assert follower.bad == 0 and follower.good > 3 and follower.book.agrees(sim.faults.truth("XMR/USD"))
    assert float(sim.faults.truth("XMR/USD")["best_bid"][0]) > float(before[0]) * 1.04


def test_v1_halt_is_told_to_every_client(v1):
    client = v1.client()
    client.message()
    v1.faults.arm("halt", status="cancel_only")
    assert client.message()["status"] == "cancel_only"
    v1.faults.disarm("halt")
    assert client.message()["status"] == "online"


def test_v2_acknowledges_snapshots_and_follows_with_good_checksums(v2):
    client = v2.client("/v2")
    (status,) = client.message()["data"]
    assert status["system"] == "online"
    client.send({"method": "subscribe", "params": {"channel": "book", "symbol": ["BTC/USD"], "depth": 10}, "req_id": 9})
    ack = client.message()
    assert ack["success"] and ack["req_id"] == 9
    assert ack["result"] == {"channel": "book", "depth": 10, "snapshot": True, "symbol": "BTC/USD"}
    follower = V2Follower()
    passed(v2, client, follower, 300)
    assert follower.snapshots == 1 and follower.bad == 0 and follower.good > 250
    late, latecomer = v2.client("/v2"), V2Follower()
    late.send({"method": "subscribe", "params": {"channel": "book", "symbol": ["BTC/USD"]}})
    passed(v2, late, latecomer, 100)
    assert latecomer.snapshots == 1 and latecomer.bad == 0 and latecomer.book.agrees(v2.faults.truth("BTC/USD"))


def test_v2_answers_pings_doubles_and_unknown_symbols(v2):
    client = v2.client("/v2")
    client.message()
    client.send({"method": "ping", "req_id": 101})
    pong = client.message()
    assert (pong["method"], pong["req_id"]) == ("pong", 101)
    client.send({"method": "subscribe", "params": {"channel": "book", "symbol": ["NO/PAIR"]}})
    assert client.message()["error"] == "Currency pair not supported NO/PAIR"
    for _ in range(2):
        client.send({"method": "subscribe", "params": {"channel": "book", "symbol": ["BTC/USD"], "snapshot": False}})
    assert client.message()["success"]
    assert client.message()["error"] == "Already subscribed"
    client.send({"method": "unsubscribe", "params": {"channel": "book", "symbol": ["BTC/USD"], "depth": 10}})
    assert client.message()["success"]


def test_v2_numbers_keep_their_text_in_a_crossed_message(v2):
    client, follower = v2.client("/v2"), V2Follower()
    client.send({"method": "subscribe", "params": {"channel": "book", "symbol": ["BTC/USD"]}})
    client.until(lambda m: m.get("method") == "subscribe")
    follower.feed(client.message())
    v2.faults.arm("crossed")
    passed(v2, client, follower, 1)
    assert follower.book.is_crossed() and follower.bad == 0
    passed(v2, client, follower, 30)
    assert not follower.book.is_crossed() and follower.bad == 0 and follower.book.agrees(v2.faults.truth("BTC/USD"))


def test_rest_gives_the_depth_of_the_moment(v1):
    status, body, _ = v1.get("/0/public/Depth?pair=XMR/USD&count=5")
    truth = v1.faults.truth("XMR/USD")
    assert status == 200 and [row[:2] for row in body["result"]["XMR/USD"]["bids"]] == truth["bids"][:5]
    pairs = v1.get("/0/public/AssetPairs")[1]["result"]
    assert next(p for p in pairs.values() if p.get("wsname") == "XMR/USD")["pair_decimals"] == 2
    assert v1.get("/0/public/SystemStatus")[1]["result"]["status"] == "online"
