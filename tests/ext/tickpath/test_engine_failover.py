"""Going over to polled data and back, message by message: what is shown, what is refused, and that a replay does the same."""
import pytest

from engine_harness import LIMITS, MS
from tickpath.engine import Engine
from tickpath.market.gate import GateCause
from tickpath.session import Session
from tickpath.shm.canonical import OutputHasher
from tickpath.shm.feed_lane import FeedLaneWriter
from tickpath.shm.ring import EventReader, EventWriter, records
from tickpath.shm.state_page import StatePage
from tickpath.types import BookState, EventType, FeedKind, FeedSource, HealthKind
from tickpath.venues.ccxt_frame import FrameEncoder

POLL, FALLBACK_SLOT = 255, 1
AFTER_MS = 1000
PAPER = {"order_latency_ns": MS, "reply_latency_ns": MS, "maker_fee_e8": 0, "taker_fee_e8": 0, "reject_probability": 0.0, "seed": 1}


class Feed:
    """Binance text on the venue's own connection, polled books on the fallback's, around 100.00."""

    def __init__(self, *, trading=False, mode="paper", max_data_age_ms=500):
        self.spec = {
            "instance": "failover", "epoch": 1, "mode": mode, "seed": 1, "stamps": False, "max_frame_bytes": 1 << 20,
            "bar_interval_ns": 10 ** 9, "imbalance_levels": 5, "ema_fast": 2, "ema_slow": 4,
            "max_data_age_ns": max_data_age_ms * MS, "max_orders_per_min": 60000, "instruments": [LIMITS],
            "venues": ["binance_spot"],
            "fallbacks": [{"venue": 0, "source": int(FeedSource.SOURCE_REST), "after_ns": AFTER_MS * MS, "trading": trading}],
            "strategies": [{"name": "s", "kind": "every_event", "parameters": {"order_qty_lots": 10}, "instrument": 0}]}
        self.writer = EventWriter.local(1 << 16)
        self.engine = Engine(self.spec, self.writer)
        self.session = Session(self.engine, PAPER if mode == "paper" else None)
        self.encoder = FrameEncoder("TESTUSDT", "0.01", "0.001")
        self.now_ms, self.update_id, self.sequence = 1000, 100, 0

    def snapshot(self, bid="99.99", ask="100.01", ms=1):
        self.now_ms += ms
        body = f'{{"lastUpdateId":{self.update_id},"bids":[["{bid}","5"]],"asks":[["{ask}","5"]]}}'
        return self.session.on_frame(body.encode(), self.now_ms * MS, 0)

    def diff(self, bid="99.98", qty="7", ms=1, skip=0, connection=0):
        self.now_ms += ms
        self.update_id += 1 + skip
        text = f'{{"e":"depthUpdate","E":1700000000000,"s":"TESTUSDT","U":{self.update_id},"u":{self.update_id},' \
               f'"b":[["{bid}","{qty}"]],"a":[]}}'
        return self.session.on_frame(text.encode(), self.now_ms * MS, connection=connection)

    def quote(self, bid, ask, ms=1):
        self.now_ms += ms
        text = f'{{"u":{self.update_id},"s":"TESTUSDT","b":"{bid}","B":"1.00000000","a":"{ask}","A":"1.00000000"}}'
        return self.session.on_frame(text.encode(), self.now_ms * MS)

    def poll(self, bid="99.50", ask="100.50", ms=1, age_ms=0):
        self.now_ms += ms
        self.sequence += 1
        frame = self.encoder.book(self.sequence, [(bid, "3")], [(ask, "4")], whole=True, age_ns=age_ms * MS)
        return self.session.on_frame(frame, self.now_ms * MS, venue_slot=FALLBACK_SLOT, connection=POLL)

    def clock(self, ms):
        self.now_ms += ms
        self.session.clock(self.now_ms * MS)

    def event(self, kind, *, slot=0, connection=0):
        self.now_ms += 1
        self.session.feed_event(kind, self.now_ms * MS, slot, connection)

    def go_over(self):
        """Good data, silence for the set time, a poll."""
        self.snapshot()
        self.diff()
        self.clock(AFTER_MS + 1)
        self.poll()
        return self

    # ---- what came of it
    @property
    def row(self):
        self.engine.publish_state()
        return StatePage(self.engine.state_buffer).instruments()[0]

    @property
    def source(self):
        return FeedSource(self.row["source"])

    @property
    def top(self):
        row = self.row
        return row["top_bid_ticks"], row["top_ask_ticks"]

    def of(self, kind):
        return records(EventReader(self.writer.buffer, 1).read(1 << 16), EventType(kind))

    def changes(self):
        health = self.of(EventType.EV_HEALTH)
        return [(FeedSource(int(h["value"])), FeedSource(int(h["detail"])), int(h["ts_recv_ns"]) // MS) for h in health
                if h["kind"] == HealthKind.HEALTH_SOURCE]


@pytest.fixture
def feed():
    return Feed()


def test_good_stream_leaves_no_room_for_a_poll(feed):
    feed.snapshot()
    feed.diff()
    feed.poll()
    assert feed.source == FeedSource.SOURCE_NATIVE and feed.top == (9999, 10001) and feed.changes() == []


def test_poll_takes_over_only_after_the_set_time_counted_from_the_last_message(feed):
    feed.snapshot()
    feed.diff()
    feed.clock(AFTER_MS - 2)
    feed.poll(ms=1)
    assert feed.source == FeedSource.SOURCE_NATIVE and feed.row["native_bad_since_ns"] == (feed.now_ms - AFTER_MS + 1) * MS
    feed.poll(ms=1)
    assert feed.changes() == [(FeedSource.SOURCE_REST, FeedSource.SOURCE_NATIVE, feed.now_ms)]
    assert feed.top == (9950, 10050) and feed.row["source"] == FeedSource.SOURCE_REST


def test_polled_data_are_shown_and_no_order_leaves(feed):
    feed.go_over()
    orders = len(feed.of(EventType.EV_INTENT))
    assert orders > 0
    for _ in range(20):
        feed.poll()
    assert feed.row["gate_causes"] == GateCause.GATE_FALLBACK and feed.row["book_state"] == BookState.BOOK_STALE
    assert len(feed.of(EventType.EV_INTENT)) == orders


def test_operator_may_let_orders_out_on_polled_data_while_they_are_young():
    feed = Feed(trading=True).go_over()
    orders = len(feed.of(EventType.EV_INTENT))
    feed.poll()
    assert feed.row["book_state"] == BookState.BOOK_GOOD and len(feed.of(EventType.EV_INTENT)) > orders
    # An answer that took longer than max_data_age_ms is too old on arrival.
    feed.poll(age_ms=501)
    orders = len(feed.of(EventType.EV_INTENT))
    assert feed.row["gate_causes"] & GateCause.GATE_AGE
    feed.poll(age_ms=501)
    assert len(feed.of(EventType.EV_INTENT)) == orders


def test_stream_that_goes_on_unbroken_takes_over_in_its_first_message(feed):
    feed.go_over()
    feed.diff(bid="100.00", qty="2")
    assert feed.changes()[1:] == [(FeedSource.SOURCE_NATIVE, FeedSource.SOURCE_REST, feed.now_ms)]
    assert feed.top == (10000, 10001) and feed.row["book_state"] == BookState.BOOK_GOOD
    assert feed.row["bid_price_ticks"][:3] == [10000, 9999, 9998]


def test_late_poll_never_overwrites_the_stream(feed):
    feed.go_over()
    feed.diff()
    for age_ms in (0, 5000):
        feed.poll(age_ms=age_ms)
    assert feed.source == FeedSource.SOURCE_NATIVE and feed.top == (9999, 10001)


def test_poll_that_began_before_the_streams_last_message_is_not_taken(feed):
    feed.snapshot()
    feed.diff()
    feed.clock(AFTER_MS + 1)
    feed.poll(age_ms=AFTER_MS + 100)
    assert feed.source == FeedSource.SOURCE_NATIVE and feed.changes() == []


def test_stream_with_a_gap_must_be_synchronised_before_it_takes_over(feed):
    feed.go_over()
    feed.diff(skip=5)
    assert feed.source == FeedSource.SOURCE_REST and feed.row["pending_slots"] == 1
    assert feed.session.gate(0)[0] == BookState.BOOK_SYNCING
    feed.diff()
    feed.poll()
    feed.snapshot(bid="99.97")
    assert feed.source == FeedSource.SOURCE_NATIVE and feed.row["book_state"] == BookState.BOOK_GOOD


def test_connection_lost_while_polled_is_the_streams_affair(feed):
    feed.go_over()
    feed.event(FeedKind.FEED_LOST)
    assert feed.source == FeedSource.SOURCE_REST and feed.row["gate_causes"] == GateCause.GATE_FALLBACK
    feed.diff(connection=4)                                  # kept for the snapshot: nothing is proven
    assert feed.source == FeedSource.SOURCE_REST
    feed.snapshot()
    assert feed.source == FeedSource.SOURCE_NATIVE and feed.top == (9999, 10001)


def test_malformed_message_while_polled_leaves_the_stream_unproven_until_its_next(feed):
    feed.go_over()
    feed.now_ms += 1
    feed.session.on_frame(b'{"e":"depthUpdate"', feed.now_ms * MS)
    assert feed.source == FeedSource.SOURCE_REST and feed.session.gate(0)[0] == BookState.BOOK_STALE
    feed.diff()
    assert feed.source == FeedSource.SOURCE_NATIVE


def test_quotes_of_the_stream_do_not_mix_into_a_polled_book(feed):
    feed.go_over()
    feed.quote("99.99000000", "100.01000000")
    assert feed.top == (9950, 10050)
    feed.diff()
    feed.quote("99.99000000", "100.02000000")
    assert feed.top == (9999, 10002)


def test_fallback_that_dies_closes_the_gate_for_good_reason(feed):
    feed.go_over()
    feed.event(FeedKind.FEED_LOST, slot=FALLBACK_SLOT, connection=POLL)
    assert feed.row["gate_causes"] & GateCause.GATE_SYNCING
    feed.poll()
    assert feed.row["gate_causes"] == GateCause.GATE_FALLBACK


def test_stream_that_never_came_is_replaced_too(feed):
    feed.clock(600)
    feed.clock(AFTER_MS)
    feed.poll()
    assert feed.source == FeedSource.SOURCE_REST and feed.top == (9950, 10050)


def test_two_outages_are_two_changes_and_each_begins_with_a_poll_of_its_own(feed):
    feed.go_over()
    feed.poll(bid="99.40")
    feed.diff()
    feed.clock(AFTER_MS + 1)
    feed.poll(bid="99.30")
    assert [c[0] for c in feed.changes()] == [FeedSource.SOURCE_REST, FeedSource.SOURCE_NATIVE, FeedSource.SOURCE_REST]
    assert feed.row["bid_price_ticks"][:2] == [9930, 0]


def test_replay_goes_over_and_back_at_the_same_records(feed):
    feed.go_over()
    feed.event(FeedKind.FEED_LOST)
    feed.poll()
    feed.diff()
    feed.snapshot()
    for _ in range(5):
        feed.diff()
    recorded = EventReader(feed.writer.buffer, 1).read(1 << 16)
    again = Feed(mode="replay")
    again.session.feed(recorded)
    replayed = EventReader(again.writer.buffer, 1).read(1 << 16)
    hashes = []
    for slots in (recorded, replayed):
        hasher = OutputHasher()
        hasher.update(slots)
        hashes.append(hasher.hexdigest())
    assert hashes[0] == hashes[1] and again.changes() == feed.changes() and len(feed.changes()) == 2


# ---- the lane of a worker

@pytest.fixture
def lane():
    return FeedLaneWriter.local(65536)


def drained(feed, reader, slot=FALLBACK_SLOT):
    return feed.session.drain_worker(reader, feed.now_ms * MS, slot, POLL)


def test_workers_frames_bear_the_engines_stamp(feed, lane):
    writer, reader = lane
    feed.clock(10)
    writer.try_write(feed.encoder.book(1, [("99.50", "1")], [("100.50", "1")], whole=True), 2 ** 62, venue_slot=FALLBACK_SLOT)
    assert drained(feed, reader) == 1 and feed.engine.now_ns == feed.now_ms * MS
    assert feed.of(EventType.EV_FRAME)["ts_recv_ns"][-1] == feed.now_ms * MS


@pytest.mark.parametrize("options", [{"venue_slot": 0}, {"end": True}])
def test_worker_that_pretends_to_be_another_venue_or_ends_the_feed_breaks_its_own_lane_only(feed, lane, options):
    writer, reader = lane
    if options.get("end"):
        writer.try_end()
    else:
        writer.try_write(b"x", 0, **options)
    writer.try_write(b"x", 0, venue_slot=FALLBACK_SLOT)
    assert drained(feed, reader) == 0 and reader.broken and not feed.session.feed_ended
    reader.skip_all()
    assert not reader.broken and drained(feed, reader) == 0
    assert writer.try_write(feed.encoder.book(1, [], [], whole=True), 0, venue_slot=FALLBACK_SLOT)
    assert drained(feed, reader) == 1

