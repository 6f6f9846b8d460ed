"""The gateway: REST for the engine, from a process of its own: book snapshots where a venue's stream brings none, whether the
venue's instruments trade, their ticks and lots (grids.py), how its clock stands, and polls of its own depth while its stream is
bad (rest_poll.py).

It sees in the state page which books wait for a snapshot, fetches it inside the venue's weight budget, and puts the body into
its feed lane, where the engine takes it like any frame: stamped on arrival, journaled, judged by the book's own rule. It is
asked for nothing and can delay nothing; if it dies, books that lose their way stay SYNCING and no order leaves on them.
"""
import argparse
import http.client
import random
import signal
import sys
import threading
import time
from collections import deque

import numpy as np

from tickpath.clock import epoch_ns, mono_ns
from tickpath.market.gate import GateCause
from tickpath.shm.feed_lane import FeedLaneWriter
from tickpath.shm.segment import SegmentError, attach_segment
from tickpath.shm.state_page import StatePage
from tickpath.types import DTYPES, EventType, FeedSource, VenueStatus
from tickpathd.clock_page import REST, attach_clocks, read_clocks, write_clock
from tickpathd.feeds.depth_poll import depth_weight
from tickpathd.feeds.fallback import POLLED, fallbacks_of
from tickpathd.feeds.feeds import is_live
from tickpathd.feeds.protocol import protocol_of, protocols_of
from tickpathd.grids import GridWatch
from tickpathd.rest import Rest, retry_after_s
from tickpathd.rest_poll import RestPoll
from tickpathd.run_dir import RunError, read_run, state_dir
from tickpathd.supervised import die_with
from tickpathd.venue_clock import OffsetWindow, is_beyond
from tickpathd.venue_watch import LIST_WEIGHTS, Problem, Statuses, VenueTime, VenueWatch

LOOK_INTERVAL_S = 0.02
GRID_LOOK_INTERVAL_S = 0.1
CLOCK_LOOK_INTERVAL_S = 0.5
WEIGHT_SHARE = 0.9                # of the venue's cap that we may take in any window
FIRST_PAUSE_S = 0.1
SETTLE_S = 0.1                    # until a snapshot's effect can be seen in the state page


class Budget:
    """A venue's request weight: what was spent within any window of its length never passes WEIGHT_SHARE of the cap.

    Parameters: weight_per_min : the cap.  window_s : over which the venue counts it.
    """

    def __init__(self, weight_per_min, window_s=60.0):
        self.capacity, self.window_s = weight_per_min * window_s / 60 * WEIGHT_SHARE, window_s
        self.spent = deque()          # (when, weight)
        self.used = 0
        self.blocked_until_s = 0.0
        self.lock = threading.Lock()

    def wait_s(self, weight, now_s):
        """0 when the request may go now; it is then counted."""
        with self.lock:
            while self.spent and now_s - self.spent[0][0] >= self.window_s:
                self.used -= self.spent.popleft()[1]
            if now_s < self.blocked_until_s:
                return self.blocked_until_s - now_s
            if self.used + weight > self.capacity:
                return self.spent[0][0] + self.window_s - now_s if self.spent else self.window_s
            self.spent.append((now_s, weight))
            self.used += weight
            return 0.0

    def block(self, pause_s):
        with self.lock:
            self.blocked_until_s = max(self.blocked_until_s, time.monotonic() + pause_s)


class Book:
    """What the gateway knows of one instrument that may need a snapshot."""

    def __init__(self, instrument, symbol):
        self.instrument, self.symbol = instrument, symbol
        self.due_s = 0.0
        self.pause_s = FIRST_PAUSE_S


class Venue:
    """One live venue, as the gateway sees it."""

    def __init__(self, slot, name, settings, config):
        self.slot, self.name, self.settings = slot, name, settings
        # One of a venue's protocols at most has its books begin with a request.
        self.protocol = next((p for p, _ in protocols_of(settings) if p.needs_rest_snapshot), protocol_of(settings))
        self.rest = Rest(self.protocol.rest_url, settings.ca_file)
        items = [(n, item) for n, item in enumerate(config.instruments) if item.venue == name]
        self.numbers = {item.venue_symbol: n for n, item in items}
        self.books = [Book(n, item.venue_symbol) for n, item in items] if self.protocol.needs_rest_snapshot else []
        self.budget = Budget(settings.weight_per_min or self.protocol.weight_per_min or sys.maxsize,
                             self.protocol.weight_window_s)
        self.reachable = None
        self.told = {}                # instrument -> the status the engine was told
        self.troubles = set()         # "time", "instruments": what could not be asked the last time
        self.offsets = OffsetWindow()
        self.clock_beyond = False
        self.watch = VenueWatch(settings.kind, self.protocol.rest_url, settings.ca_file,
                                [(item.symbol, item.venue_symbol) for _, item in items],
                                clock_check_s=settings.clock_check_s, status_check_s=settings.status_check_s,
                                spend=self._may_spend)
        self.grids = GridWatch(name, slot, settings, items, state_dir(config) / "instruments", _say,
                               spend=lambda: self._may_spend(LIST_WEIGHTS.get(settings.kind, 1)))

    def _may_spend(self, weight):
        return self.budget.wait_s(weight, time.monotonic()) == 0


class Gateway:
    def __init__(self, config, lane, page, clocks):
        self.lane, self.page, self.clocks = lane, page, clocks
        self.epoch_offset_ns = epoch_ns() - mono_ns()
        self.stop_requested = False
        self.counters = {"snapshots": 0, "failures": 0, "throttled": 0}
        self.venues = [Venue(slot, name, settings, config) for slot, (name, settings) in enumerate(config.venues.items())
                       if is_live(settings)]
        self.grids_due_s = self.next_clock_look_s = 0.0
        self.polls = self._make_polls(config)

    def _make_polls(self, config):
        polls = []
        for fallback in fallbacks_of(config):
            if fallback.source == FeedSource.SOURCE_REST:
                # What a venue's snapshots may use is what its polls may use; a connection of their own, so that neither waits.
                venue, settings = next(v for v in self.venues if v.name == fallback.name), fallback.settings
                if not (settings.weight_per_min or venue.protocol.weight_per_min):
                    venue.budget = Budget(depth_weight(settings)[1])
                polls.append(RestPoll(fallback, Rest(protocol_of(settings).rest_url, settings.ca_file), venue.budget, self.lane,
                                      config, self._now_ns, retry_after_s))
        return polls

    def _now_ns(self):
        return self.epoch_offset_ns + mono_ns()

    def run(self):
        for venue in self.venues:
            venue.watch.start()
        while not self.stop_requested:
            rows = self.page.instruments()
            for venue in self.venues:
                self._look(venue, rows)
                for found in venue.watch.taken():
                    self._take(venue, found)
            self._look_at_grids(rows)
            if time.monotonic() >= self.next_clock_look_s:
                self.next_clock_look_s = time.monotonic() + CLOCK_LOOK_INTERVAL_S
                self._look_at_clocks()
            if self.polls:
                now_ns = self.page.totals()["now_ns"]
                for poll in self.polls:
                    poll.look(rows, now_ns)
            time.sleep(LOOK_INTERVAL_S)
        for venue in self.venues:
            venue.watch.stop()

    # ---- book snapshots

    def _look(self, venue, rows):
        waiting = []
        for book in venue.books:
            row = rows[book.instrument]
            # While a fallback feeds it, what is shown is in order, and its own stream's book is to be synchronised all the same.
            if not row["gate_causes"] & GateCause.GATE_SYNCING and row["source"] not in POLLED:
                book.pause_s = FIRST_PAUSE_S
            # Diffs must flow before the snapshot is asked for: those that came meanwhile would be missing behind it.
            elif row["pending_slots"] > 0 and time.monotonic() >= book.due_s:
                waiting.append(book)
        random.shuffle(waiting)
        for book in waiting:
            if self.stop_requested:
                return
            if venue.budget.wait_s(venue.protocol.snapshot_weight, time.monotonic()) > 0:
                self.counters["throttled"] += 1
                return
            self._fetch(venue, book)

    def _fetch(self, venue, book):
        # A book that does not come right is asked for less and less often.
        book.due_s = time.monotonic() + SETTLE_S + book.pause_s * random.uniform(0.5, 1.0)
        book.pause_s = min(book.pause_s * 2, 30.0)
        try:
            status, headers, body = venue.rest.get(venue.protocol.snapshot_path(book.symbol))
        except (OSError, http.client.HTTPException) as e:
            self._failed(venue, f"snapshot of {book.symbol}: {e or type(e).__name__}")
            return
        if status in (418, 429):
            pause_s = retry_after_s(headers)
            venue.budget.block(pause_s)
            self._failed(venue, f"snapshot of {book.symbol}: the venue asks for silence (HTTP {status}) for {pause_s:.0f} s")
            return
        if status != 200:
            self._failed(venue, f"snapshot of {book.symbol}: expected HTTP 200, found {status}: {body[:120]!r}")
            return
        if venue.reachable is False:
            self._say(venue, "snapshots come again")
        venue.reachable = True
        self.counters["snapshots"] += 1
        ts_recv_ns = self._now_ns()
        self._write(lambda: self.lane.try_write(body, ts_recv_ns, book.instrument, venue_slot=venue.slot))

    def _write(self, attempt):
        while not attempt():
            if self.stop_requested:
                return
            time.sleep(0.001)

    def _failed(self, venue, text):
        self.counters["failures"] += 1
        if venue.reachable is not False:
            self._say(venue, f"{text}; trying on")
        venue.reachable = False

    @staticmethod
    def _say(venue, text):
        """One line to the operator, at a change of state only."""
        _say(f"{venue.name}: {text}")

    # ---- what the watches have found

    def _look_at_grids(self, rows):
        now_s = time.monotonic()
        if now_s < self.grids_due_s:
            return
        self.grids_due_s = now_s + GRID_LOOK_INTERVAL_S
        off_grid = self.page.totals()["venue_off_grid"]
        for venue in self.venues:
            for n, wanted in venue.grids.look(now_s, rows, off_grid[venue.slot]):
                self._tell_grid(venue, n, wanted)

    def _tell_grid(self, venue, instrument, wanted):
        ts_recv_ns = self.epoch_offset_ns + mono_ns()
        self._write(lambda: self.lane.try_write_grid(
            ts_recv_ns, instrument, wanted.tick, wanted.lot, qty_step_lots=wanted.qty_step_lots,
            min_notional_ticklots=wanted.min_notional_ticklots, price_decimals=wanted.price_decimals,
            qty_decimals=wanted.qty_decimals, venue_slot=venue.slot))

    def _take(self, venue, found):
        if isinstance(found, VenueTime):
            venue.offsets.add(found.offset, time.monotonic())
        elif isinstance(found, Statuses):
            for symbol, (status, word) in found.words.items():
                self._tell_status(venue, venue.numbers[symbol], symbol, status, word)
        elif isinstance(found, Problem):
            if found.silent_s:
                venue.budget.block(found.silent_s)
            if bool(found.text) != (found.what in venue.troubles):
                venue.troubles ^= {found.what}
                self._say(venue, f"{found.what}: {found.text}; trying on" if found.text else f"{found.what}: comes again")

    def _tell_status(self, venue, instrument, symbol, status, word):
        """The engine learns of a status once; the venue's own word goes into the record."""
        if venue.told.get(instrument) == status:
            return
        if instrument in venue.told or status != "TRADING":
            self._say(venue, f"{symbol} is {status} at the venue ({word})")
        venue.told[instrument] = status
        record = _record(EventType.EV_INSTRUMENT_STATUS, instrument)
        record["status"], record["text"] = VenueStatus[f"VENUE_STATUS_{status}"], word.encode()[:16]
        ts_recv_ns = self.epoch_offset_ns + mono_ns()
        self._write(lambda: self.lane.try_write_record(record.tobytes(), ts_recv_ns, instrument, venue_slot=venue.slot))

    def _look_at_clocks(self):
        """Publish what is known of the venues' clocks, and say it when one is too far off, once per change."""
        if self.clocks is None:
            return
        now_s = time.monotonic()
        for venue in self.venues:
            best = venue.offsets.best(now_s)
            if best is not None:
                write_clock(self.clocks.buffer, venue.slot, REST, best.offset_ns, best.uncertainty_ns)
        rows = {row.venue: row for row in read_clocks(self.clocks.buffer)}
        for venue in self.venues:
            row, limit_ms = rows.get(venue.name), venue.settings.max_clock_offset_ms
            beyond = row is not None and is_beyond(row.offset, limit_ms)
            if beyond != venue.clock_beyond and row is not None:
                venue.clock_beyond = beyond
                text = f"the venue's clock minus ours: within {limit_ms} ms again, {row.offset.text()}"
                if beyond:
                    text = (f"the venue's clock minus ours: expected at most {limit_ms} ms, found {row.offset.text()}: it may "
                            "refuse what we sign; set this machine's clock (chrony, systemd-timesyncd)")
                self._say(venue, text)


def _say(text):
    print(f"gateway: {text}", file=sys.stderr, flush=True)


def _record(kind, instrument):
    """An empty record of one slot."""
    record = np.zeros((), DTYPES[kind])
    record["type"], record["instrument"] = kind, instrument
    return record


def main(argv=None):
    parser = argparse.ArgumentParser(prog="tickpathd.gateway", description="REST for the engine; see `tickpath run`.")
    parser.add_argument("--run-dir", required=True)
    parser.add_argument("--parent-pid", type=int, help="end when this process does")
    arguments = parser.parse_args(argv)
    try:
        config, _ = read_run(arguments.run_dir)
        segment = attach_segment(config.instance.name, "feed.gateway", writable=True)
        page = StatePage.attach(config.instance.name)
        clocks = attach_clocks(config.instance.name, writable=True)
        gateway = Gateway(config, FeedLaneWriter(segment.buffer), page, clocks)
    except (RunError, SegmentError, OSError) as e:
        print(f"gateway: {e}", file=sys.stderr)
        return 1

    def stop(*_):
        gateway.stop_requested = True
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    if arguments.parent_pid:
        die_with(arguments.parent_pid)
    gateway.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
