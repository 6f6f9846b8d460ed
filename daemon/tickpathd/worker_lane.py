"""A worker's end of its feed lane: frames out, and the words by which the engine sees how the worker is.

    word     offset  meaning
    state    256     WORKER_STARTING, WORKER_IDLE (a fallback that is not needed), WORKER_SERVING, WORKER_UNREACHABLE
    beat     264     monotonic ns of its last sign of life
    pid      272     the worker's: another one reads as a new worker
    dropped  280     frames that found the lane full
    refused  288     books, trades and quotes with a number that is not exact or fits no frame

The engine never waits for a worker and a worker never for the engine: what finds the lane full is dropped and counted, and the
next book goes out whole.
"""
import os
import time

from tickpath.shm.feed_lane import FeedLaneWriter
from tickpath.shm.segment import attach_segment
from tickpath.shm.words import store_word
from tickpath.venues.ccxt_frame import TS_NONE, FrameEncoder

STATE, BEAT, PID, DROPPED, REFUSED = 256, 264, 272, 280, 288
WORKER_STARTING, WORKER_IDLE, WORKER_SERVING, WORKER_UNREACHABLE = 1, 2, 3, 4
# A diff is only worth sending while it is much smaller than the book.
DIFF_SHARE_MAX = 0.5


def lane_kind(venue_slot):
    """The segment kind of the lane of a worker: one for each venue slot."""
    return f"feed.worker{venue_slot}"


class WorkerLane:
    """Parameters: instance : its name.  venue_slot, connection : of the frames.  Errors: SegmentError."""

    def __init__(self, instance, venue_slot, connection):
        self.venue_slot, self.connection = venue_slot, connection
        self.segment = attach_segment(instance, lane_kind(venue_slot), writable=True)
        self.writer = FeedLaneWriter(self.segment.buffer)
        self.dropped = self.refused = 0
        self.state(WORKER_STARTING)
        self.beat()
        store_word(self.segment.buffer, PID, os.getpid())

    def send(self, frame):
        """False when the lane was full; the frame is gone then."""
        if self.writer.try_write(frame, 0, venue_slot=self.venue_slot, connection=self.connection):
            return True
        self.dropped += 1
        store_word(self.segment.buffer, DROPPED, self.dropped)
        return False

    def refuse(self):
        self.refused += 1
        store_word(self.segment.buffer, REFUSED, self.refused)

    def beat(self):
        store_word(self.segment.buffer, BEAT, time.monotonic_ns())

    def state(self, word):
        store_word(self.segment.buffer, STATE, word)


class BookSender:
    """One instrument's book on its way to the engine: whole at first and whenever the engine has lost it, else as what has
    changed since the last one.

    Parameters: lane : WorkerLane.  item : config.Instrument.  depth : levels a side.  diffs : False sends every book whole.
    """

    def __init__(self, lane, item, depth, *, diffs=True):
        self.lane, self.depth, self.diffs = lane, depth, diffs
        self.encoder = FrameEncoder(item.venue_symbol, item.tick_size, item.lot_size)
        # Greater than those of a worker before this one, whatever it sent.
        self.sequence = time.time_ns() // 1000
        self.sent = None                  # ({price: qty} of bids, of asks) as the engine has them, None: nothing
        self.latest = None                # (bids, asks, venue time, monotonic ns of what it is as old as)

    def send(self, bids, asks, *, ts_venue_ns=TS_NONE, as_of_ns):
        """Send the book. bids, asks : [(price text, qty text)], best first.  as_of_ns : monotonic; when its request began, or it
        came. Errors: FrameError for a number that no frame can carry."""
        bids, asks = bids[:self.depth], asks[:self.depth]
        self.latest = bids, asks, ts_venue_ns, as_of_ns
        units = self.encoder.units(bids), self.encoder.units(asks)
        self.sequence += 1
        told = {"ts_venue_ns": ts_venue_ns, "age_ns": max(0, time.monotonic_ns() - as_of_ns)}
        before, self.sent = self.sent, None
        if None in units:
            self.lane.send(self.encoder.book(self.sequence, bids, asks, whole=True, **told))
            return
        sides, whole = tuple(map(dict, units)), True
        if before is not None and self.diffs:
            changed = tuple(_changes(old, new) for old, new in zip(before, sides, strict=True))
            if sum(map(len, changed)) <= DIFF_SHARE_MAX * (len(bids) + len(asks)):
                units, whole = changed, False
        if self.lane.send(self.encoder.book_of_units(self.sequence, *units, whole=whole, **told)):
            self.sent = sides

    def send_again(self):
        """The latest book, whole, as old as it is: the engine has lost it."""
        if self.latest is not None:
            bids, asks, ts_venue_ns, as_of_ns = self.latest
            self.sent = None
            self.send(bids, asks, ts_venue_ns=ts_venue_ns, as_of_ns=as_of_ns)


def _changes(old, new):
    """[(price, qty)] that lead from one side to another; 0 takes a level away."""
    changed = [(price, qty) for price, qty in new.items() if old.get(price) != qty]
    return changed + [(price, 0) for price in old if price not in new]
