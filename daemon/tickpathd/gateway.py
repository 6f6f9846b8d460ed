"""The gateway: REST for the engine, from a process of its own. Today: book snapshots where a venue's stream brings none, and the
venues' instruments, whose ticks and lots may change in session (grids.py).

It sees in the state page which books wait for a snapshot, fetches it inside the venue's weight budget, and puts the body into
its feed lane, where the engine takes it like any frame: stamped on arrival, journaled, judged by the book's own rule. It is
asked for nothing and can delay nothing; if it dies, books that lose their way stay SYNCING and no order leaves on them.
"""
import argparse
import http.client
import random
import signal
import ssl
import sys
import time
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from tickpath.clock import epoch_ns, mono_ns
from tickpath.market.gate import GateCause
from tickpath.shm.feed_lane import FeedLaneWriter
from tickpath.shm.segment import SegmentError, attach_segment
from tickpath.shm.state_page import StatePage
from tickpathd.feeds.feeds import is_live
from tickpathd.feeds.protocol import protocols_of
from tickpathd.grids import GridWatch
from tickpathd.run_dir import RunError, read_run, state_dir
from tickpathd.supervised import die_with

LOOK_INTERVAL_S = 0.02
GRID_LOOK_INTERVAL_S = 0.1
TIMEOUT_S = 5.0
BODY_BYTES_MAX = 16 << 20
WEIGHT_SHARE = 0.9                # of the venue's cap that snapshots may take
FIRST_PAUSE_S = 0.1
SETTLE_S = 0.1                    # until a snapshot's effect can be seen in the state page


class Budget:
    """A venue's request weight: a minute's worth that flows back evenly, so that fifty lost books do not ask at once."""

    def __init__(self, weight_per_min):
        self.capacity = weight_per_min * WEIGHT_SHARE
        self.left = self.capacity / 6
        self.filled_s = time.monotonic()
        self.blocked_until_s = 0.0

    def wait_s(self, weight, now_s):
        """0 when the request may go now; it is then counted."""
        self.left = min(self.capacity / 6, self.left + (now_s - self.filled_s) * self.capacity / 60)
        self.filled_s = now_s
        if now_s < self.blocked_until_s:
            return self.blocked_until_s - now_s
        if self.left < weight:
            return (weight - self.left) * 60 / self.capacity
        self.left -= weight
        return 0.0

    def block(self, pause_s):
        self.blocked_until_s = max(self.blocked_until_s, time.monotonic() + pause_s)


class Rest:
    """A venue's REST server over one kept connection."""

    def __init__(self, protocol, settings):
        parts = urlsplit(protocol.rest_url)
        self.host, self.port, self.secure, self.prefix = parts.hostname, parts.port, parts.scheme == "https", parts.path
        self.context = None
        if self.secure:
            self.context = ssl.create_default_context()
            if settings.ca_file:
                self.context.load_verify_locations(settings.ca_file)
        self.connection = None

    def get(self, path):
        """(status, headers, body bytes). Errors: OSError, http.client.HTTPException."""
        for fresh in (False, True):
            reused = self.connection is not None
            if not reused:
                kind = http.client.HTTPSConnection if self.secure else http.client.HTTPConnection
                options = {"context": self.context} if self.secure else {}
                self.connection = kind(self.host, self.port, timeout=TIMEOUT_S, **options)
            try:
                self.connection.request("GET", self.prefix + path, headers={"User-Agent": "tickpath"})
                response = self.connection.getresponse()
                body = response.read(BODY_BYTES_MAX + 1)
                if len(body) > BODY_BYTES_MAX:
                    raise http.client.HTTPException(f"a body of more than {BODY_BYTES_MAX} bytes")
                return response.status, response.headers, body
            except (OSError, http.client.HTTPException):
                self.connection.close()
                self.connection = None
                if fresh or not reused:
                    raise
        raise AssertionError("unreachable")


class Book:
    """What the gateway knows of one instrument that may need a snapshot."""

    def __init__(self, instrument, symbol):
        self.instrument, self.symbol = instrument, symbol
        self.due_s = 0.0
        self.pause_s = FIRST_PAUSE_S


class Gateway:
    def __init__(self, config, lane, page):
        self.lane, self.page = lane, page
        self.epoch_offset_ns = epoch_ns() - mono_ns()
        self.venues = []
        self.stop_requested = False
        self.counters = {"snapshots": 0, "failures": 0, "throttled": 0}
        self.grids = [GridWatch(name, slot, settings, [(n, i) for n, i in enumerate(config.instruments) if i.venue == name],
                                state_dir(config) / "instruments", _say)
                      for slot, (name, settings) in enumerate(config.venues.items()) if is_live(settings)]
        self.grids_due_s = 0.0
        for slot, (name, settings) in enumerate(config.venues.items()):
            if not is_live(settings):
                continue
            # One of a venue's protocols at most has its books begin with a request.
            protocol = next((p for p, _ in protocols_of(settings) if p.needs_rest_snapshot), None)
            if protocol is None:
                continue
            books = [Book(n, item.venue_symbol) for n, item in enumerate(config.instruments) if item.venue == name]
            weight = settings.weight_per_min or protocol.weight_per_min
            self.venues.append({"slot": slot, "name": name, "protocol": protocol, "rest": Rest(protocol, settings),
                                "books": books, "budget": Budget(weight), "reachable": None})

    def run(self):
        while not self.stop_requested:
            rows = self.page.instruments()
            for venue in self.venues:
                self._look(venue, rows)
            self._look_at_grids(rows)
            time.sleep(LOOK_INTERVAL_S)

    def _look_at_grids(self, rows):
        now_s = time.monotonic()
        if now_s < self.grids_due_s:
            return
        self.grids_due_s = now_s + GRID_LOOK_INTERVAL_S
        off_grid = self.page.totals()["venue_off_grid"]
        for watch in self.grids:
            for n, wanted in watch.look(now_s, rows, off_grid[watch.slot]):
                ts_recv_ns = self.epoch_offset_ns + mono_ns()
                while not self.lane.try_write_grid(ts_recv_ns, n, wanted.tick, wanted.lot, qty_step_lots=wanted.qty_step_lots,
                                                   min_notional_ticklots=wanted.min_notional_ticklots,
                                                   price_decimals=wanted.price_decimals, qty_decimals=wanted.qty_decimals,
                                                   venue_slot=watch.slot):
                    if self.stop_requested:
                        return
                    time.sleep(0.001)

    def _look(self, venue, rows):
        waiting = []
        for book in venue["books"]:
            row = rows[book.instrument]
            if not row["gate_causes"] & GateCause.GATE_SYNCING:
                book.pause_s = FIRST_PAUSE_S
            # Diffs must flow before the snapshot is asked for: those that came meanwhile would be missing behind it.
            elif row["pending_slots"] > 0 and time.monotonic() >= book.due_s:
                waiting.append(book)
        random.shuffle(waiting)
        for book in waiting:
            if self.stop_requested:
                return
            if venue["budget"].wait_s(venue["protocol"].snapshot_weight, time.monotonic()) > 0:
                self.counters["throttled"] += 1
                return
            self._fetch(venue, book)

    def _fetch(self, venue, book):
        # A book that does not come right is asked for less and less often.
        book.due_s = time.monotonic() + SETTLE_S + book.pause_s * random.uniform(0.5, 1.0)
        book.pause_s = min(book.pause_s * 2, 30.0)
        try:
            status, headers, body = venue["rest"].get(venue["protocol"].snapshot_path(book.symbol))
        except (OSError, http.client.HTTPException) as e:
            self._failed(venue, f"snapshot of {book.symbol}: {e or type(e).__name__}")
            return
        if status in (418, 429):
            pause_s = _retry_after_s(headers)
            venue["budget"].block(pause_s)
            self._failed(venue, f"snapshot of {book.symbol}: the venue asks for silence (HTTP {status}) for {pause_s:.0f} s")
            return
        if status != 200:
            self._failed(venue, f"snapshot of {book.symbol}: expected HTTP 200, found {status}: {body[:120]!r}")
            return
        if venue["reachable"] is False:
            print(f"gateway: {venue['name']}: snapshots come again", file=sys.stderr, flush=True)
        venue["reachable"] = True
        self.counters["snapshots"] += 1
        ts_recv_ns = self.epoch_offset_ns + mono_ns()
        while not self.lane.try_write(body, ts_recv_ns, book.instrument, venue_slot=venue["slot"]):
            if self.stop_requested:
                return
            time.sleep(0.001)

    def _failed(self, venue, text):
        self.counters["failures"] += 1
        if venue["reachable"] is not False:
            print(f"gateway: {venue['name']}: {text}; trying on", file=sys.stderr, flush=True)
        venue["reachable"] = False


def _say(text):
    print(f"gateway: {text}", file=sys.stderr, flush=True)


def _retry_after_s(headers):
    """Retry-After in seconds, as a number or a date; 60 when it says nothing of use."""
    text = headers.get("Retry-After", "")
    if text.isdigit():
        return min(float(text), 3 * 86400.0)
    try:
        return max(1.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, IndexError):
        return 60.0


def main(argv=None):
    parser = argparse.ArgumentParser(prog="tickpathd.gateway", description="REST for the engine; see `tickpath run`.")
    parser.add_argument("--run-dir", required=True)
    parser.add_argument("--parent-pid", type=int, help="end when this process does")
    arguments = parser.parse_args(argv)
    try:
        config, _ = read_run(arguments.run_dir)
        segment = attach_segment(config.instance.name, "feed.gateway", writable=True)
        page = StatePage.attach(config.instance.name)
        gateway = Gateway(config, FeedLaneWriter(segment.buffer), page)
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
