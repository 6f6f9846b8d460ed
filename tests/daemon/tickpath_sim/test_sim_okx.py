"""OKX: snapshots with checksum and sequence, the chain of prevSeqId, the text ping, the faults of its own."""
from zlib import crc32

import pytest
from sim_harness import FollowedBook, drain, entries

OKX = "ws/okx/cryptofeed_OKX_20220513.jsonl.zst"
OLD = "ws/okx/cryptofeed_OKEX_20210722.jsonl.zst"
PATH = "/ws/v5/public"


class OkxFollower:
    """Checks every checksum that is not 0 and the chain of sequence ids; a reset is a seqId below its prevSeqId."""

    def __init__(self):
        self.book = FollowedBook()
        self.sequence = None
        self.snapshots = self.good = self.bad = self.gaps = self.resets = self.zeros = 0

    def feed(self, message):
        if "action" not in message:
            return
        (entry,) = message["data"]
        if message["action"] == "snapshot":
            assert entry["prevSeqId"] == -1
            self.book.load(entry["bids"], entry["asks"])
            self.snapshots += 1
        else:
            self.gaps += entry["prevSeqId"] != self.sequence
            self.resets += entry["seqId"] < entry["prevSeqId"]
            self.book.apply(entry["bids"], entry["asks"])
        self.sequence = entry["seqId"]
        if entry["checksum"] == 0:
            self.zeros += 1
            return
        good = entry["checksum"] == self.checksum()
        self.good, self.bad = self.good + good, self.bad + (not good)

    def checksum(self):
        bids, asks = self.book.top(25)
        parts = []
        for n in range(25):
            for rows in (bids, asks):
                if n < len(rows):
                    parts.append(":".join(rows[n]))
        value = crc32(":".join(parts).encode())
        return value - (1 << 32) if value >> 31 else value


def subscribed(sim, channel="books", symbol="BTC-USDT"):
    client = sim.client(PATH)
    client.send({"op": "subscribe", "args": [{"channel": channel, "instId": symbol}]})
    answer = client.message()
    assert answer["event"] == "subscribe" and answer["arg"] == {"channel": channel, "instId": symbol}
    return client


def passed(sim, client, follower, events):
    sim.faults.step(events)
    drain(client, follower.feed)


@pytest.fixture
def okx(calm):
    return calm(OKX, "--loop")


def test_a_late_client_gets_a_snapshot_and_a_chain_with_good_checksums(okx):
    okx.faults.step(20)
    client, follower = subscribed(okx), OkxFollower()
    passed(okx, client, follower, 80)
    assert follower.snapshots == 1 and follower.gaps == 0 and follower.bad == 0 and follower.good > 10
    truth = okx.faults.truth("BTC-USDT")
    assert follower.book.agrees(truth) and follower.sequence == truth["sequence"]


def test_a_book_channel_of_another_name_is_served_by_the_recorded_one(okx):
    client, follower = subscribed(okx, "books-l2-tbt"), OkxFollower()
    got = []
    okx.faults.step(40)
    drain(client, got.append)
    for message in got:
        follower.feed(message)
    assert {m["arg"]["channel"] for m in got} == {"books-l2-tbt"} and follower.bad == follower.gaps == 0 and follower.good > 3


def test_a_partial_channel_holds_the_best_levels(okx):
    client = subscribed(okx, "books5")
    (first,) = client.message()["data"]
    truth = okx.faults.truth("BTC-USDT")
    assert [row[:2] for row in first["bids"]] == truth["bids"][:5] and first["seqId"] == truth["sequence"]


def test_ping_is_answered_with_pong_and_errors_with_codes(okx):
    client = okx.client(PATH)
    client.send("ping")
    assert client.text() == b"pong"
    client.send({"op": "subscribe", "args": [{"channel": "books", "instId": "NO-PAIR"}]})
    answer = client.message()
    assert (answer["event"], answer["code"]) == ("error", "60018")
    client.send("{")
    assert client.message()["code"] == "60012"


def test_unsubscribing_ends_the_stream(okx):
    client = subscribed(okx, "trades")
    client.send({"op": "unsubscribe", "args": [{"channel": "trades", "instId": "BTC-USDT"}]})
    assert client.until(lambda m: m.get("event") == "unsubscribe")
    okx.faults.step(30)
    assert client.quiet(0.1)


def test_who_neither_sends_nor_gets_anything_is_closed(start_sim):
    sim = start_sim(OKX, "--idle-timeout-s", "0.3")
    assert sim.client(PATH).closed() == 1000
    assert sim.faults.state()["counters"]["idle"] == 1


def test_drop_diff_is_seen_by_the_chain(okx):
    client, follower = subscribed(okx), OkxFollower()
    okx.faults.arm("drop_diff", symbol="BTC-USDT")
    passed(okx, client, follower, 40)
    assert follower.gaps == 1 and entries(okx, "drop_diff")


def test_sequence_reset_puts_a_seq_id_below_its_predecessor_and_goes_on_from_there(okx):
    client, follower = subscribed(okx), OkxFollower()
    okx.faults.arm("sequence_reset", symbol="BTC-USDT")
    passed(okx, client, follower, 60)
    assert follower.resets == 1 and follower.gaps == 0 and follower.bad == 0 and follower.sequence < 10_000
    assert entries(okx, "sequence_reset")[-1]["symbol"] == "BTC-USDT"
    late, latecomer = subscribed(okx), OkxFollower()
    passed(okx, late, latecomer, 40)
    assert latecomer.gaps == 0 and latecomer.resets == 0


def test_zero_checksum_and_checksum_flip(okx):
    client, follower = subscribed(okx), OkxFollower()
    okx.faults.arm("zero_checksum", symbol="BTC-USDT", count=2)
    passed(okx, client, follower, 40)
    assert follower.zeros == 2 and follower.bad == 0 and len(entries(okx, "zero_checksum")) == 2
    okx.faults.arm("checksum_flip", symbol="BTC-USDT")
    passed(okx, client, follower, 40)
    assert follower.bad == 1 and follower.gaps == 0


def test_crossed_and_taken_back_with_good_checksums(okx):
    client, follower = subscribed(okx), OkxFollower()
    okx.faults.arm("crossed", symbol="BTC-USDT")
    passed(okx, client, follower, 60)
    assert entries(okx, "crossed") and follower.bad == 0 and not follower.book.is_crossed()
    assert follower.book.agrees(okx.faults.truth("BTC-USDT"))


def test_halt_is_told_on_the_status_channel_and_in_the_instrument_list(okx):
    client = okx.client(PATH)
    client.send({"op": "subscribe", "args": [{"channel": "status"}]})
    client.message()
    okx.faults.arm("halt", symbol="BTC-USDT", status="suspend")
    assert client.message()["data"][0]["state"] == "ongoing"
    (entry,) = okx.get("/api/v5/public/instruments?instType=SPOT&instId=BTC-USDT")[1]["data"]
    assert entry["state"] == "suspend" and entry["tickSz"] == "0.1"


def test_rest_books_are_the_truth(okx):
    (book,) = okx.get("/api/v5/market/books?instId=BTC-USDT&sz=10")[1]["data"]
    truth = okx.faults.truth("BTC-USDT")
    assert [row[:2] for row in book["asks"]] == truth["asks"] and book["seqId"] == truth["sequence"]


def test_a_stream_recorded_three_times_is_played_once(calm):
    sim = calm(OLD)
    client, follower = subscribed(sim, "books-l2-tbt", "XMR-USDT-SWAP"), OkxFollower()
    passed(sim, client, follower, 600)
    assert follower.snapshots == 1 and follower.bad == 0 and follower.gaps == 0 and follower.good > 10


def test_a_loop_keeps_chain_and_checksums(start_sim):
    sim = start_sim(OKX, "--speed", "fast", "--loop")
    client, follower = subscribed(sim), OkxFollower()
    while sim.faults.state()["playback"]["passes"] < 2:
        follower.feed(client.message())
    sim.faults.pause()
    drain(client, follower.feed)
    assert follower.gaps == 0 and follower.bad == 0 and follower.book.agrees(sim.faults.truth("BTC-USDT"))
