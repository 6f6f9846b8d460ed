"""A worker's end of its lane and the engine's: books whole or as changes, full lanes, beats, and workers that misbehave."""
import time

import pytest

from tickpath.engine import Engine
from tickpath.market.gate import GateCause
from tickpath.session import Session
from tickpath.shm.feed_lane import FeedLaneWriter, feed_lane_bytes
from tickpath.shm.ring import EventReader, EventWriter, records
from tickpath.shm.segment import create_segment
from tickpath.shm.state_page import StatePage
from tickpath.shm.words import load_word, store_word
from tickpath.types import BookState, EventType, FeedKind, FeedSource
from tickpathd.config import Instrument
from tickpathd.feeds.workers import WorkerFeed
from tickpathd.worker_lane import BEAT, DROPPED, PID, WORKER_SERVING, WORKER_UNREACHABLE, BookSender, WorkerLane, lane_kind

ITEM = Instrument(venue="x", symbol="BTC/USDT", venue_symbol="BTC/USDT", tick_size="0.01", lot_size="0.001")
LIMITS = {"venue": 0, "venue_symbol": "BTC/USDT", "tick_size": "0.01", "lot_size": "0.001", "min_notional_ticklots": 0,
          "book_window_ticks": 4096, "max_order_qty_lots": 1, "max_order_notional_ticklots": 1, "max_position_notional_ticklots": 1,
          "qty_step_lots": 1, "price_collar_e2_bps": 1, "max_open_orders": 1}


class Both:
    """A worker and an engine on one lane of a segment."""

    def __init__(self, name, lane_bytes=65536):
        self.segment = create_segment(name, lane_kind(0), feed_lane_bytes(lane_bytes))
        self.writer = EventWriter.local(1 << 16)
        self.engine = Engine({
            "instance": "lane", "epoch": 1, "mode": "paper", "seed": 1, "stamps": False, "max_frame_bytes": 1 << 20,
            "bar_interval_ns": 10 ** 9, "imbalance_levels": 5, "ema_fast": 2, "ema_slow": 4, "max_data_age_ns": 10 ** 15,
            "max_orders_per_min": 10, "instruments": [LIMITS], "venues": ["ccxt"], "strategies": []}, self.writer)
        self.session = Session(self.engine)
        self.feed = WorkerFeed(self.session, self.segment, "x", 0, 0, FeedSource.SOURCE_CCXT, 1.0)
        self.lane = WorkerLane(name, 0, 0)
        self.sender = BookSender(self.lane, ITEM, 5)
        self.now_ns = 10 ** 18

    def book(self, bids, asks, age_s=0.0):
        self.sender.send(bids, asks, as_of_ns=time.monotonic_ns() - int(age_s * 1e9))

    def drain(self):
        self.now_ns += 1000
        return self.feed.drain(self.now_ns, 1000)

    def look(self):
        self.now_ns += 1000
        self.feed.look(time.monotonic(), self.now_ns)

    @property
    def row(self):
        self.engine.publish_state()
        return StatePage(self.engine.state_buffer).instruments()[0]

    def levels(self):
        row = self.row
        return [(p, q) for p, q in zip(row["bid_price_ticks"], row["bid_qty_lots"], strict=True) if p], \
               [(p, q) for p, q in zip(row["ask_price_ticks"], row["ask_qty_lots"], strict=True) if p]

    def of(self, kind):
        return records(EventReader(self.writer.buffer, 1).read(1 << 16), EventType(kind))


@pytest.fixture
def both():
    made = Both("lanetest")
    yield made
    made.segment.close()


def rows(*pairs):
    return [(f"{price:.2f}", f"{qty}") for price, qty in pairs]


BIDS = rows((100.00, 1), (99.99, 2), (99.98, 3), (99.97, 4), (99.96, 5), (99.95, 6))
ASKS = rows((100.01, 1), (100.02, 2), (100.03, 3), (100.04, 4), (100.05, 5))


def test_book_goes_out_whole_cut_to_its_depth_then_as_what_has_changed(both):
    both.book(BIDS, ASKS)
    both.drain()
    assert both.levels() == ([(10000 - n, 1000 * (n + 1)) for n in range(5)], [(10001 + n, 1000 * (n + 1)) for n in range(5)])
    both.book([("100.0", "9"), *BIDS[2:6]], ASKS)                  # another text of the same price, one gone, one come in
    both.drain()
    deltas = both.of(EventType.EV_BOOK_DELTA)[10:]
    assert deltas["price_ticks"].tolist() == [10000, 9995, 9999] and deltas["qty_lots"].tolist() == [9000, 6000, 0]
    assert both.levels()[0] == [(10000, 9000), (9998, 3000), (9997, 4000), (9996, 5000), (9995, 6000)]
    assert both.row["book_state"] == BookState.BOOK_GOOD


def test_book_that_has_changed_altogether_goes_out_whole(both):
    both.book(BIDS, ASKS)
    both.book(rows((90.00, 1)), rows((90.01, 1)))
    both.drain()
    assert both.levels() == ([(9000, 1000)], [(9001, 1000)])
    assert StatePage(both.engine.state_buffer).totals()["snapshots"] == 2


def test_unchanged_book_makes_it_fresh_again(both):
    both.book(BIDS, ASKS, age_s=3)
    both.drain()
    first = both.row["ts_recv_ns"]
    both.book(BIDS, ASKS)
    both.drain()
    assert both.row["ts_recv_ns"] - first >= 3 * 10 ** 9


def test_full_lane_drops_and_the_next_book_is_whole(both):
    both.book(BIDS, ASKS)
    n = 0
    while both.lane.dropped == 0:
        n += 1
        both.book(rows((100.00, n), (99.99, 2), (99.98, 3), (99.97, 4), (99.96, 5)), ASKS)
    assert load_word(both.segment.buffer, DROPPED) == 1
    both.drain()
    both.book(rows((100.00, 77), (99.99, 2), (99.98, 3), (99.97, 4), (99.96, 5)), ASKS)
    both.drain()
    assert both.levels()[0][0] == (10000, 77000) and both.row["book_gaps"] == 0
    assert StatePage(both.engine.state_buffer).totals()["snapshots"] == 2


def test_number_off_the_grid_closes_the_gate_until_a_book_without_it(both):
    both.book(BIDS, ASKS)
    both.book([("100.005", "1"), *BIDS[1:]], ASKS)
    both.drain()
    assert both.row["gate_causes"] & GateCause.GATE_REFUSED
    assert StatePage(both.engine.state_buffer).totals()["frame_errors"] == 1
    both.book(BIDS, ASKS)
    both.drain()
    assert both.row["book_state"] == BookState.BOOK_GOOD


def test_lost_book_is_sent_again_as_old_as_it_is(both):
    both.book(BIDS, ASKS, age_s=2)
    both.drain()
    both.lane.state(WORKER_SERVING)
    both.lane.beat()
    both.look()
    both.lane.state(WORKER_UNREACHABLE)
    both.look()
    assert both.row["gate_causes"] & GateCause.GATE_SYNCING
    both.sender.send_again()
    both.drain()
    assert not both.row["gate_causes"] & GateCause.GATE_SYNCING
    assert both.now_ns - both.row["ts_recv_ns"] >= 2 * 10 ** 9


def test_beats_tell_connected_lost_and_a_new_worker(both):
    buffer = both.segment.buffer
    both.look()
    assert len(both.of(EventType.EV_FEED)) == 0                    # not serving yet
    both.lane.state(WORKER_SERVING)
    both.look()
    store_word(buffer, BEAT, time.monotonic_ns() - 2 * 10 ** 9)
    both.look()
    both.lane.beat()
    both.look()
    store_word(buffer, PID, 12345)
    both.look()
    kinds = both.of(EventType.EV_FEED)["kind"].tolist()
    assert kinds == [FeedKind.FEED_CONNECTED, FeedKind.FEED_LOST, FeedKind.FEED_CONNECTED, FeedKind.FEED_LOST,
                     FeedKind.FEED_CONNECTED]


def test_silence_of_a_serving_worker_is_said_once(both):
    both.lane.state(WORKER_SERVING)
    both.look()
    both.feed.last_frame_s -= 2
    both.look()
    both.look()
    assert both.of(EventType.EV_FEED)["kind"].tolist() == [FeedKind.FEED_CONNECTED, FeedKind.FEED_SILENT]


def test_hostile_entry_breaks_the_lane_until_another_worker_comes(both, capfd):
    both.book(BIDS, ASKS)
    both.drain()
    both.lane.state(WORKER_SERVING)
    both.look()
    FeedLaneWriter(both.segment.buffer).try_write(b"x" * 100, 0, venue_slot=7)
    assert both.drain() == 0
    both.look()
    both.look()
    assert capfd.readouterr().err.count("expected frames of a worker in its lane") == 1
    assert both.row["gate_causes"] & GateCause.GATE_SYNCING and not both.session.feed_ended
    store_word(both.segment.buffer, PID, 4242)
    both.look()
    again = WorkerLane("lanetest", 0, 0)
    BookSender(again, ITEM, 5).send(BIDS, ASKS, as_of_ns=time.monotonic_ns())
    assert both.drain() == 1 and both.row["book_state"] == BookState.BOOK_GOOD
