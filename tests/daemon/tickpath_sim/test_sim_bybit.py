"""Bybit v5: topics by product, u that rises by one, the restart with u = 1."""
import pytest
from sim_harness import FollowedBook, RawClient, drain, entries

BYBIT = "ws/bybit/cryptofeed_BYBIT_20260809.jsonl.zst"
BOOK = "orderbook.200.BTCUSDT"


class BybitFollower:
    def __init__(self):
        self.book = FollowedBook()
        self.last = None
        self.snapshots = self.gaps = self.deltas = 0

    def feed(self, message):
        if not message.get("topic", "").startswith("orderbook."):
            return
        data = message["data"]
        if message["type"] == "snapshot":
            self.book.load(data["b"], data["a"])
            self.snapshots += 1
        else:
            self.gaps += data["u"] != self.last + 1
            self.deltas += 1
            self.book.apply(data["b"], data["a"])
        self.last = data["u"]


def subscribed(sim, product="linear", *topics):
    client = sim.client(f"/v5/public/{product}")
    client.send({"req_id": "r1", "op": "subscribe", "args": list(topics or (BOOK,))})
    answer = client.message()
    assert answer["success"] and answer["op"] == "subscribe" and answer["req_id"] == "r1"
    assert answer["ret_msg"] == ("subscribe" if product == "spot" else "")
    return client


def passed(sim, client, follower, events):
    sim.faults.step(events)
    drain(client, follower.feed)


@pytest.fixture
def bybit(calm):
    return calm(BYBIT, "--loop")


@pytest.mark.parametrize("product", ["linear", "spot"])
def test_a_late_client_gets_the_present_snapshot_and_deltas_that_chain_to_it(bybit, product):
    bybit.faults.step(100)
    client, follower = subscribed(bybit, product), BybitFollower()
    passed(bybit, client, follower, 250)
    truth = bybit.faults.truth(f"{product}:BTCUSDT")
    assert follower.snapshots == 1 and follower.gaps == 0 and follower.deltas > 5
    assert follower.book.agrees(truth) and follower.last == truth["sequence"]


def test_the_two_products_have_books_of_their_own(bybit):
    assert bybit.faults.truth("spot:BTCUSDT")["best_bid"] != bybit.faults.truth("linear:BTCUSDT")["best_bid"]
    client = RawClient(bybit.addresses["ws_url"], "/v5/private")
    assert client.status == 404
    client.stop()


def test_pings_doubles_unknown_topics_and_too_many_args(bybit):
    client = subscribed(bybit)
    client.message()
    client.send({"req_id": "p", "op": "ping"})
    pong = client.message()
    assert (pong["success"], pong["ret_msg"], pong["op"], pong["req_id"]) == (True, "pong", "ping", "p")
    client.send({"op": "subscribe", "args": [BOOK]})
    assert client.message()["ret_msg"] == f"error:already subscribed,topic:{BOOK}"
    client.send({"op": "subscribe", "args": ["orderbook.50.BTCUSDT"]})
    assert "handler not found" in client.message()["ret_msg"]
    spot = bybit.client("/v5/public/spot")
    spot.send({"op": "subscribe", "args": [f"tickers.{n}" for n in range(11)]})
    assert spot.message()["ret_msg"] == "args size >10"


def test_a_late_ticker_begins_with_all_fields(bybit):
    bybit.faults.step(400)
    message = None
    client = subscribed(bybit, "linear", "tickers.BTCUSDT")
    message = client.message()
    assert message["type"] == "snapshot" and "openInterest" in message["data"] and "bid1Price" in message["data"]


def test_drop_and_duplicate_are_seen_by_u(bybit):
    client, follower = subscribed(bybit), BybitFollower()
    bybit.faults.arm("drop_diff", symbol="linear:BTCUSDT")
    passed(bybit, client, follower, 150)
    assert follower.gaps == 1 and entries(bybit, "drop_diff")[-1]["symbol"] == "linear:BTCUSDT"


def test_reset_u1_is_a_snapshot_with_u_1_followed_by_2(bybit):
    client, follower = subscribed(bybit), BybitFollower()
    bybit.faults.arm("reset_u1", symbol="linear:BTCUSDT")
    passed(bybit, client, follower, 200)
    truth = bybit.faults.truth("linear:BTCUSDT")
    assert follower.snapshots == 2 and follower.gaps == 0 and follower.last == truth["sequence"] < 1000
    assert follower.book.agrees(truth) and entries(bybit, "reset_u1")
    late, latecomer = subscribed(bybit), BybitFollower()
    passed(bybit, late, latecomer, 100)
    assert latecomer.gaps == 0 and latecomer.last == bybit.faults.truth("linear:BTCUSDT")["sequence"]


def test_swapped_keys_and_crossed(bybit):
    client, follower = subscribed(bybit), BybitFollower()
    bybit.faults.arm("swapped_keys", symbol="linear:BTCUSDT", count=3)
    bybit.faults.arm("crossed", symbol="linear:BTCUSDT")
    passed(bybit, client, follower, 200)
    assert len(entries(bybit, "swapped_keys")) >= 3 and entries(bybit, "crossed")
    assert follower.gaps == 0 and not follower.book.is_crossed() and follower.book.agrees(bybit.faults.truth("linear:BTCUSDT"))


def test_halt_and_increments_show_in_the_instrument_list(bybit):
    bybit.faults.arm("halt", symbol="spot:BTCUSDT", status="PreLaunch")
    (entry,) = bybit.get("/v5/market/instruments-info?category=spot&symbol=BTCUSDT")[1]["result"]["list"]
    assert entry["status"] == "PreLaunch" and entry["priceFilter"]["tickSize"] == "0.1"
    book = bybit.get("/v5/market/orderbook?category=spot&symbol=BTCUSDT&limit=10")[1]["result"]
    assert book["b"] == bybit.faults.truth("spot:BTCUSDT")["bids"]


def test_a_loop_keeps_u_rising_by_one(start_sim):
    sim = start_sim(BYBIT, "--speed", "fast", "--loop")
    client, follower = subscribed(sim, "linear", BOOK), BybitFollower()
    while sim.faults.state()["playback"]["passes"] < 1:
        for _ in range(50):
            follower.feed(client.message())
    for _ in range(200):
        follower.feed(client.message())
    sim.faults.pause()
    drain(client, follower.feed)
    assert follower.gaps == 0 and follower.book.agrees(sim.faults.truth("linear:BTCUSDT"))
