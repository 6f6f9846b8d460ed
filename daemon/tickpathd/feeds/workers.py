"""The engine's end of the workers' lanes: takes their frames, listens for their beats, and says what becomes of them.

Runs in the engine's process. What a worker writes into its lane is judged like a venue's bytes; whether it lives is read off its
beat, because a process that was stopped or killed says nothing.
"""
import sys
import time

from tickpath.shm.feed_lane import FeedLaneReader
from tickpath.shm.words import load_word
from tickpath.types import FeedKind, FeedSource
from tickpathd.feeds.fallback import POLL_CONNECTION, fallbacks_of
from tickpathd.worker_lane import BEAT, PID, STATE, WORKER_IDLE, WORKER_SERVING, lane_kind

__all__ = ["WorkerFeed", "worker_feeds"]

DEAD_AFTER_NS = 1_000_000_000     # without a beat; twenty are due in that time
SILENT_AFTER_S = 30.0
# FeedEvent.value of a worker's FEED_LOST: why. The last is a fallback that is needed no more.
LOST_WORKER, LOST_EXCHANGE, LOST_LANE, LOST_IDLE = 1, 2, 3, 4


class WorkerFeed:
    """One worker's lane.

    Parameters: session : Session.  segment : of the lane.  name : of the venue.  venue_slot, connection : of its frames.
                source : FeedSource.  silent_after_s : without a frame for so long it is said to be silent.
    """

    def __init__(self, session, segment, name, venue_slot, connection, source, silent_after_s):
        self.session, self.segment, self.name = session, segment, name
        self.venue_slot, self.connection, self.source = venue_slot, connection, source
        self.silent_after_s = silent_after_s
        self.lane = FeedLaneReader(segment.buffer)
        self.connected = self.silent = self.broken = False
        self.pid = 0
        self.last_frame_s = 0.0

    def drain(self, now_ns, max_frames):
        """Up to max_frames frames to the engine, stamped now_ns; returns how many."""
        taken = self.session.drain_worker(self.lane, now_ns, self.venue_slot, self.connection, max_frames)
        if taken:
            self.last_frame_s = time.monotonic()
            self.silent = False
        return taken

    def look(self, now_s, now_ns):
        """A few times a second: is it there, does its exchange answer, does it send?"""
        buffer = self.segment.buffer
        pid, state = load_word(buffer, PID), load_word(buffer, STATE)
        if pid != self.pid:
            self._new_worker(pid, now_ns)
        if self.lane.broken and not self.broken:
            self.broken = True
            print(f"tickpathd: {self.name}: expected frames of a worker in its lane, found something else: it is not read until "
                  "the worker is started again", file=sys.stderr, flush=True)
        # Its word is taken as it stands: a beat from the future is a beat.
        alive = time.monotonic_ns() - load_word(buffer, BEAT) < DEAD_AFTER_NS
        if self.connected and (self.broken or not alive or state != WORKER_SERVING):
            why = (LOST_LANE if self.broken else LOST_WORKER if not alive
                   else LOST_IDLE if state == WORKER_IDLE else LOST_EXCHANGE)
            self.connected = False
            self._event(FeedKind.FEED_LOST, now_ns, value=why)
        elif not self.connected and alive and state == WORKER_SERVING and not self.broken:
            self.connected, self.silent, self.last_frame_s = True, False, now_s
            self._event(FeedKind.FEED_CONNECTED, now_ns, detail=int(self.source))
        elif self.connected and not self.silent and now_s - self.last_frame_s > self.silent_after_s:
            self.silent = True
            self._event(FeedKind.FEED_SILENT, now_ns, value=int((now_s - self.last_frame_s) * 1e9))

    def _new_worker(self, pid, now_ns):
        if self.connected:
            self.connected = False
            self._event(FeedKind.FEED_LOST, now_ns, value=LOST_WORKER)
        if self.broken:
            self.lane.skip_all()
            self.broken = False
        self.pid = pid

    def _event(self, kind, now_ns, *, value=0, detail=0):
        self.session.feed_event(kind, now_ns, self.venue_slot, self.connection, value=value, detail=detail)


def worker_feeds(config, session, make_segment):
    """[WorkerFeed] of every ccxt venue and ccxt fallback. make_segment(kind) : makes the segment of a lane."""
    feeds = []
    for slot, (name, settings) in enumerate(config.venues.items()):
        if settings.kind.startswith("ccxt:"):
            feeds.append(WorkerFeed(session, make_segment(lane_kind(slot)), name, slot, 0, FeedSource.SOURCE_CCXT,
                                    settings.silent_after_ms / 1000 or SILENT_AFTER_S))
    for fallback in fallbacks_of(config):
        if fallback.source == FeedSource.SOURCE_CCXT:
            feeds.append(WorkerFeed(session, make_segment(lane_kind(fallback.slot)), f"{fallback.name} (fallback)", fallback.slot,
                                    POLL_CONNECTION, FeedSource.SOURCE_CCXT,
                                    max(3 * fallback.settings.poll_interval_ms / 1000, 5.0)))
    return feeds
