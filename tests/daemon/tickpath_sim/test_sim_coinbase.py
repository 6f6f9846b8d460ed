"""Coinbase: who does not subscribe is closed; Advanced Trade numbers its messages per connection."""
import pytest
from sim_harness import FollowedBook, drain, entries

ADVANCED = "ws/coinbase/cryptofeed_COINBASE_20260809.jsonl.zst"
EXCHANGE = "ws/coinbase/cryptofeed_COINBASE_EXCHANGE_20210417.jsonl.zst"


class AdvancedFollower:
    def __init__(self, product="ETH-USD"):
        self.product = product
        self.book = FollowedBook()
        self.expected = 0
        self.gaps = self.snapshots = self.updates = 0
        self.channels = set()

    def feed(self, message):
        self.gaps += message["sequence_num"] != self.expected
        self.expected = message["sequence_num"] + 1
        self.channels.add(message["channel"])
        if message["channel"] != "l2_data":
            return
        for event in message["events"]:
            assert event["product_id"] == self.product
            rows = {side: [[u["price_level"], u["new_quantity"]] for u in event["updates"] if u["side"] == side]
                    for side in ("bid", "offer")}
            if event["type"] == "snapshot":
                self.book.load(rows["bid"], rows["offer"])
                self.snapshots += 1
            else:
                self.book.apply(rows["bid"], rows["offer"])
                self.updates += 1


class ExchangeFollower:
    def __init__(self):
        self.book = FollowedBook()
        self.snapshots = self.updates = 0
        self.kinds = set()

    def feed(self, message):
        self.kinds.add(message["type"])
        if message["type"] == "snapshot":
            self.book.load(message["bids"], message["asks"])
            self.snapshots += 1
        elif message["type"] == "l2update":
            for side, price, qty in message["changes"]:
                self.book.apply([[price, qty]] if side == "buy" else [], [[price, qty]] if side == "sell" else [])
            self.updates += 1


def passed(sim, client, follower, events):
    sim.faults.step(events)
    drain(client, follower.feed)


@pytest.fixture
def advanced(calm):
    return calm(ADVANCED, "--heartbeat-s", "0.2", "--subscribe-within-s", "0", "--loop")


@pytest.fixture
def exchange(calm):
    return calm(EXCHANGE, "--subscribe-within-s", "0", "--loop")


def join(sim, *channels, product="ETH-USD"):
    client, follower = sim.client(), AdvancedFollower(product)
    for channel in channels:
        client.send({"type": "subscribe", "product_ids": [product], "channel": channel})
    for _ in channels:
        follower.feed(client.until(lambda m: follower.feed(m) if m["channel"] != "subscriptions" else True))
    return client, follower


def test_a_late_client_gets_a_snapshot_of_its_product_and_numbers_without_a_gap(advanced):
    advanced.faults.step(50)
    client, follower = join(advanced, "level2")
    passed(advanced, client, follower, 120)
    assert follower.snapshots == 1 and follower.updates > 10 and follower.gaps == 0
    assert follower.channels == {"l2_data", "subscriptions"}
    assert follower.book.agrees(advanced.faults.truth("ETH-USD"))


def test_several_channels_share_one_count(advanced):
    client, follower = join(advanced, "level2", "market_trades", "heartbeats")
    advanced.faults.step(60)
    while not {"l2_data", "heartbeats"} <= follower.channels:
        follower.feed(client.message())
    other, fresh = join(advanced, "ticker", product="BTC-USD")
    passed(advanced, other, fresh, 60)
    assert follower.gaps == 0
    assert fresh.gaps == 0 and fresh.channels <= {"ticker", "subscriptions"}


def test_drop_diff_leaves_a_gap_in_the_count_of_that_connection(advanced):
    client, follower = join(advanced, "level2")
    advanced.faults.arm("drop_diff", symbol="ETH-USD")
    passed(advanced, client, follower, 60)
    assert follower.gaps == 1 and entries(advanced, "drop_diff")[-1]["symbol"] == "ETH-USD"


def test_duplicate_diff_repeats_the_number(advanced):
    client, follower = join(advanced, "level2")
    advanced.faults.arm("duplicate_diff", symbol="ETH-USD")
    advanced.faults.step(60)
    numbers = []
    drain(client, lambda m: numbers.append(m["sequence_num"]))
    assert sum(a == b for a, b in zip(numbers, numbers[1:], strict=False)) == 1
    assert sorted(set(numbers)) == list(range(numbers[0], numbers[-1] + 1))


def test_crossed_and_taken_back(advanced):
    client, follower = join(advanced, "level2")
    advanced.faults.arm("crossed", symbol="ETH-USD")
    passed(advanced, client, follower, 60)
    assert entries(advanced, "crossed") and follower.gaps == 0 and follower.book.agrees(advanced.faults.truth("ETH-USD"))


def test_unsubscribing_and_unknown_channels(advanced):
    client, follower = join(advanced, "level2")
    client.send({"type": "unsubscribe", "product_ids": ["ETH-USD"], "channel": "level2"})
    answer = client.until(lambda m: m.get("channel") == "subscriptions")
    assert answer["events"] == [{"subscriptions": {}}]
    client.send({"type": "subscribe", "product_ids": ["ETH-USD"], "channel": "level9"})
    assert client.message()["type"] == "error"
    advanced.faults.step(40)
    assert client.quiet(0.1)


def test_who_does_not_subscribe_in_time_is_closed(start_sim):
    sim = start_sim(EXCHANGE, "--subscribe-within-s", "0.2")
    assert sim.client().closed() == 1008
    assert sim.faults.state()["counters"]["never_subscribed"] == 1


def test_exchange_lists_subscriptions_and_sends_snapshots_and_updates(exchange):
    exchange.faults.step(200)
    client, follower = exchange.client(), ExchangeFollower()
    client.send({"type": "subscribe", "product_ids": ["SKL-BTC"], "channels": ["level2", {"name": "matches", "product_ids": ["SKL-BTC"]}]})
    answer = client.message()
    assert [c["name"] for c in answer["channels"]] == ["level2", "matches"] and answer["type"] == "subscriptions"
    passed(exchange, client, follower, 1500)
    assert follower.snapshots == 1 and follower.updates > 20 and {"last_match", "match"} & follower.kinds
    assert follower.book.agrees(exchange.faults.truth("SKL-BTC"))


def test_exchange_refuses_unknown_channels_and_products(exchange):
    client = exchange.client()
    client.send({"type": "subscribe", "product_ids": ["SKL-BTC"], "channels": ["level9"]})
    assert client.message()["reason"] == "level9 is not a valid channel"
    client.send({"type": "subscribe", "product_ids": ["NO-PAIR"], "channels": ["level2"]})
    assert client.message()["reason"] == "NO-PAIR is not a valid product"
    client.send("{")
    assert client.message()["type"] == "error"


def test_exchange_halt_is_told_on_the_status_channel(exchange):
    client = exchange.client()
    client.send({"type": "subscribe", "channels": ["status"]})
    client.message()
    exchange.faults.arm("halt", symbol="SKL-BTC", status="offline")
    products = {p["id"]: p["status"] for p in client.message()["products"]}
    assert products["SKL-BTC"] == "offline" and products["SKL-USD"] == "online"
    assert {p["id"]: p["status"] for p in exchange.get("/products")[1]}["SKL-BTC"] == "offline"


def test_rest_books_are_the_truth(exchange, advanced):
    book = exchange.get("/products/SKL-BTC/book?level=2")[1]
    assert [row[:2] for row in book["bids"][:10]] == exchange.faults.truth("SKL-BTC")["bids"]
    book = advanced.get("/api/v3/brokerage/market/product_book?product_id=ETH-USD&limit=10")[1]["pricebook"]
    assert [[level["price"], level["size"]] for level in book["asks"]] == advanced.faults.truth("ETH-USD")["asks"]
