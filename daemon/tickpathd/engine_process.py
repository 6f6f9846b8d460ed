"""tickpathd: the engine's process. One thread, one writer, no disk, no log, no library that is not on the path.

Started by `tickpath run` (or a unit) with the directory of a prepared run. It owns the event ring, the state page, the
feed lane and the command lanes; it says `ready` on stdout once they exist, and ends when its feed ends or on SIGTERM or
SIGINT (the run's sigterm_policy is done first). SIGUSR1 is the kill switch: halt, cancel everything, accept no order.
"""
import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")     # NumPy would start a thread of its own

import argparse
import asyncio
import gc
import signal
import sys
import time

import uvloop

from tickpath.engine import Engine
from tickpath.session import Session
from tickpath.shm.feed_lane import FeedLaneReader, feed_lane_bytes
from tickpath.shm.lane import CommandLane, lane_bytes
from tickpath.shm.ring import EventWriter, ring_bytes
from tickpath.shm.segment import SegmentError, attach_segment, create_segment
from tickpath.shm.state_page import state_page_bytes
from tickpath.shm.words import load_word
from tickpath.types import CommandKind, Role
from tickpathd.clock_page import CLOCKS_BYTES, name_venues
from tickpathd.engine_spec import MAX_FRAME_BYTES, engine_spec, paper_spec
from tickpathd.feeds.feeds import Feeds, is_live
from tickpathd.feeds.workers import worker_feeds
from tickpathd.order_entry import OrderEntry, has_order_entry
from tickpathd.run_dir import RunError, read_run
from tickpathd.supervised import die_with
from tickpathd.turns import IDLE_SLEEP_S, Turns
from tickpathd.warming import attach_shadow

FRAMES_PER_TURN = 64          # then signals and sockets get their turn
GATEWAY_LANE_BYTES = 64 << 20  # a quarter of it holds the largest body
JOURNAL_STATE_OFFSET = 256    # in the journal's page, see journal_process.py
JOURNAL_LOOK_INTERVAL_S = 0.1     # between two attempts to find a journal's page
# Where the data waits for the journal a slow one costs time, not safety: only a really dead one may change decisions.
DATA_DRIVEN_TIMEOUT_NS = 20_000_000_000


def say(venue, text):
    """One line to the operator, at a change of state only."""
    print(f"tickpathd: {venue}: {text}", file=sys.stderr, flush=True)


class EngineProcess:
    """The event loop around a Session."""

    def __init__(self, config, header, run_dir=None):
        self.config, self.header, self.run_dir = config, header, run_dir
        self.segments = []
        self.stop_requested = False
        self.loop = None

    def open(self):
        """Make the segments and the engine. Errors: SegmentError, ValueError; what was made then is removed by close()."""
        config, header = self.config, self.header
        name = config.instance.name
        epoch = header["epoch"]
        storage = config.storage
        ring = self._segment(name, "ring", ring_bytes(storage.ring_slots), epoch, storage.ring_slots)
        state = self._segment(name, "state", state_page_bytes(), epoch)
        feed = self._segment(name, "feed", feed_lane_bytes(storage.feed_bytes), epoch)
        self.lane = FeedLaneReader(feed.buffer)
        sys.path[:0] = config.instance.strategy_path
        spec = engine_spec(config, epoch=epoch, started_ns=header["started_ns"])
        self.engine = Engine(spec, EventWriter(ring.buffer), state.buffer)
        data_driven = all(v.kind.startswith("capture:") and v.pace == "fast" for v in config.venues.values())
        self.live = any(is_live(v) for v in config.venues.values())
        self.gateway_lane = clocks = None
        if self.live:
            clocks = self._segment(name, "clocks", CLOCKS_BYTES, epoch).buffer
            name_venues(clocks, config.venues)
            gateway = self._segment(name, "feed.gateway", feed_lane_bytes(GATEWAY_LANE_BYTES), epoch)
            self.gateway_lane = FeedLaneReader(gateway.buffer)
        hold_ns = storage.max_hold_ms * 1_000_000 if config.instance.durability == "disk" else 0
        if hold_ns and data_driven:
            hold_ns = max(hold_ns, DATA_DRIVEN_TIMEOUT_NS)
        self.orders, self.left_open = None, 0
        self.session = Session(self.engine, None if has_order_entry(config) else paper_spec(config), hold_ns=hold_ns,
                               data_waits=data_driven)
        if config.latency.warming:
            attach_shadow(self.session, spec, paper_spec(config))
        # Lanes in the order of their names: the index of a lane is part of the journal.
        for index, (lane_name, lane) in enumerate(sorted(config.lanes.items())):
            segment = self._segment(name, f"lane.{lane_name}", lane_bytes(lane.slots), epoch, lane.slots, mode=0o660,
                                    group=lane.group)
            self.session.add_lane(CommandLane(segment.buffer, index, Role[f"ROLE_{lane.role.upper()}"], lane_name))
        self.guard = {"by_lag": not data_driven,
                      "timeout_ns": DATA_DRIVEN_TIMEOUT_NS if data_driven else storage.journal_timeout_ms * 1_000_000}
        self.journal_page = None
        self.next_journal_look_s = 0.0
        self.session.watch_journal(None, **self.guard)
        self.turns = Turns(self._turn, busy=config.instance.poll == "busy")
        self.clocks = clocks
        self.workers = worker_feeds(config, self.session, lambda kind: self._segment(
            name, kind, feed_lane_bytes(storage.feed_bytes), epoch))
        self.feeds = self._new_feeds() if self.live or self.workers else None
        if has_order_entry(config) and self.run_dir is not None:      # a recorder has none
            self.orders = OrderEntry(self.session, config, self.run_dir, os.getpid(), epoch_offset_ns=self.feeds.epoch_offset_ns,
                                     turn_clock=self.turns.clock, say=say)

    def _new_feeds(self):
        return Feeds(self.session, self.config, MAX_FRAME_BYTES, self.turns.clock, self.clocks, self.workers)

    def _segment(self, name, kind, size_bytes, epoch, slot_count=0, **options):
        segment = create_segment(name, kind, size_bytes, epoch=epoch, slot_count=slot_count, **options)
        self.segments.append(segment)
        return segment

    def run(self, parent_pid=None):
        self.loop = uvloop.new_event_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            self.loop.add_signal_handler(number, self._request_stop)
        self.loop.add_signal_handler(signal.SIGUSR1, self._kill)
        if parent_pid:
            die_with(parent_pid)
        self.turns.start(self.loop)
        # The cyclic collector would stop the path for milliseconds; what exists now stays for ever anyway.
        gc.collect()
        gc.freeze()
        gc.disable()
        print("ready", flush=True)
        self.loop.run_forever()
        self.loop.run_until_complete(self._end_tasks())
        self.loop.close()

    @staticmethod
    async def _end_tasks():
        """Sockets that were let go have tasks that have yet to hear of it (picows' pings)."""
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    def _request_stop(self):
        self.stop_requested = True

    def _kill(self):
        self.session.command(CommandKind.COMMAND_KILL, 0)

    def _turn(self, warming):
        handled = self.session.drain(self.lane, FRAMES_PER_TURN, warming=warming)
        if self.gateway_lane is not None:
            handled += self.session.drain(self.gateway_lane, FRAMES_PER_TURN, warming=False)
        for worker in self.workers:
            handled += worker.drain(self.feeds.now_ns(), FRAMES_PER_TURN)
        if not handled and self.feeds is not None:
            self.feeds.run_due()
        if self.journal_page is None or self.session.journal_doubtful:
            self._look_for_journal()
        if self.session.feed_ended or self.stop_requested or self.session.stopping:
            if self.session.held_orders and not self.stop_requested and not self.session.stopping:
                return 0                                           # what waits for the disk is still sent, or given up
            self._stop()
            return None
        return handled

    def _look_for_journal(self):
        """Find the journal's page: at the start, and again where the one we know has fallen silent (it was restarted)."""
        now_s = time.monotonic()
        if now_s < self.next_journal_look_s:
            return
        self.next_journal_look_s = now_s + JOURNAL_LOOK_INTERVAL_S
        try:
            page = attach_segment(self.config.instance.name, "journal")
        except SegmentError:
            return
        known = self.journal_page
        # Of a run before this one, the one we have, or one that is still reading what it wrote before it was killed.
        if page.epoch != self.segments[0].epoch or known is not None and page.pid == known.pid \
                or load_word(page.buffer, JOURNAL_STATE_OFFSET) == 0:
            page.close()
            return
        self.journal_page = page
        self.session.watch_journal(page.buffer, **self.guard)
        if self.feeds is not None and known is None:
            if self.orders is not None:
                self.orders.start(self.feeds.now_ns())
            self.feeds.start()             # nothing comes in before somebody records it

    def _stop(self):
        if self.feeds is not None and not self.feeds.stopped:
            self.loop.create_task(self._stop_feeds())
            return
        if self.engine.started:
            leave = self.config.instance.sigterm_policy == "leave"
            if not self.session.stopping:
                self.session.command(CommandKind.COMMAND_STOP, 0, 1 if leave else 0)
            # What waits for the disk is sent or given up first: at most max_hold_ms.
            while self.session.held_orders:
                self.session.drain(self.lane, 0)
                time.sleep(IDLE_SLEEP_S)
            self.session.settle()
        if self.orders is not None:
            self.loop.create_task(self._end_orders())
            return
        self._finish()

    def _finish(self):
        self.session.finish()
        self.loop.stop()

    async def _end_orders(self):
        """The venue's word on every cancel, then the sessions go."""
        if self.config.instance.sigterm_policy != "leave":
            self.left_open = await self.orders.settle(lambda: self.session.drain(self.lane, 0, warming=False))
            if self.left_open:
                print(f"tickpathd: {self.left_open} orders: expected the venue to confirm their end, found no word; they may "
                      "be open there", file=sys.stderr, flush=True)
        await self.orders.stop()
        self._finish()

    async def _stop_feeds(self):
        await self.feeds.stop()
        self._stop()

    def close(self):
        for segment in self.segments:
            segment.close()


def main(argv=None):
    parser = argparse.ArgumentParser(prog="tickpathd", description="The engine's process; see `tickpath run`.")
    parser.add_argument("--run-dir", required=True, help="directory of a prepared run (holds config.json)")
    parser.add_argument("--parent-pid", type=int, help="end when this process does")
    arguments = parser.parse_args(argv)
    process = None
    try:
        config, header = read_run(arguments.run_dir)
        if config.instance.core >= 0:
            try:
                os.sched_setaffinity(0, {config.instance.core})
            except OSError as e:
                raise RunError(f"instance.core: expected a processor this process may use, found "
                               f"{config.instance.core} ({e.strerror})") from None
        process = EngineProcess(config, header, arguments.run_dir)
        process.open()
        process.run(arguments.parent_pid)
    except (RunError, SegmentError, ValueError) as e:
        print(f"tickpathd: {e}", file=sys.stderr)
        return 1
    finally:
        if process is not None:
            process.close()
    return 1 if process.left_open else 0


if __name__ == "__main__":
    sys.exit(main())
