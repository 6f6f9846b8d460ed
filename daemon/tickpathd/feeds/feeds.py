"""All live market data of a run: the lines of each venue, their watch, and the engine's clock.

Runs in the engine's process, on its loop; what happens on a socket's usual path is compiled (tickpath.venues.feed_listener), and
only what happens a few times a second is here.
"""
import asyncio
import gc
import ssl
import sys
import time

from tickpath.clock import epoch_ns, mono_ns
from tickpath.types import TIME_NONE
from tickpath.venues.listener import FeedListener
from tickpathd.clock_page import STREAM, write_clock
from tickpathd.feeds.connection import SOCKETS_PER_LINE, Line
from tickpathd.feeds.protocol import Stream, protocols_of
from tickpathd.venue_clock import LagWindow

LOOK_INTERVAL_S = 0.05
CLOCK_INTERVAL_S = 0.1
CONNECTIONS_MAX = 64              # of a venue, as in engine.pxd


class Feeds:
    """Parameters: session : Session.  config : Config.  max_frame_bytes : int.  turn_clock : the process's TurnClock, or None.
    clocks : buffer of the clocks page, or None.  workers : WorkerFeeds to look at."""

    def __init__(self, session, config, max_frame_bytes, turn_clock=None, clocks=None, workers=()):
        self.session, self.turn_clock, self.clocks = session, turn_clock, clocks
        self.lags = {}            # venue slot -> LagWindow
        self.max_frame_bytes = max_frame_bytes
        self.workers = workers
        self.epoch_offset_ns = epoch_ns() - mono_ns()
        self.counters = {}
        self.tidied = 0           # sockets gone when the collector was last run
        self.lines = []
        self.tasks = set()
        self.contexts = {}
        self.watch = None
        self.stopped = False
        for slot, (name, settings) in enumerate(config.venues.items()):
            if is_live(settings):
                self._add_venue(slot, name, settings, config)

    def _add_venue(self, slot, name, settings, config):
        for protocol, channels in protocols_of(settings):
            try:
                protocol.check()
            except ValueError as e:
                raise ValueError(f"venues.{name}: {e}") from None
            self._add_lines(slot, name, settings, config, protocol, channels)

    def _add_lines(self, slot, name, settings, config, protocol, channels):
        first = sum(line.venue_slot == slot for line in self.lines)
        streams = [Stream(n, item.venue_symbol, channel) for n, item in enumerate(config.instruments)
                   if item.venue == name for channel in channels]
        # A book and its trades stay on one line, so that a line's loss is the loss of whole instruments.
        per_line = max(len(channels), (settings.streams_per_connection or protocol.streams_per_connection)
                       // max(len(channels), 1) * max(len(channels), 1))
        for number, at in enumerate(range(0, len(streams), per_line), first):
            if (number + 1) * SOCKETS_PER_LINE > CONNECTIONS_MAX:
                raise ValueError(f"venues.{name}: expected at most {CONNECTIONS_MAX // SOCKETS_PER_LINE} connections, found more "
                                 f"for {len(streams)} streams of {per_line} each")
            self.lines.append(Line(self, name, slot, number, settings, protocol, streams[at:at + per_line]))

    # ---- what lines need
    def new_listener(self, venue_slot, connection, on_control, on_closed):
        return FeedListener(self.session, venue_slot, connection, epoch_offset_ns=self.epoch_offset_ns, on_control=on_control,
                            on_closed=on_closed, max_message_bytes=self.max_frame_bytes, turn_clock=self.turn_clock)

    def tls(self, line):
        """The TLS context of a line: certificates and names are always checked; ca_file adds a trust anchor. None: plain."""
        if not line.protocol.ws_url.startswith("wss:"):
            return None
        ca_file = line.settings.ca_file
        if ca_file not in self.contexts:
            context = self.contexts[ca_file] = ssl.create_default_context()
            if ca_file:
                context.load_verify_locations(ca_file)
        return self.contexts[ca_file]

    def event(self, kind, line, connection, *, value=0, detail=0):
        self.session.feed_event(kind, self.now_ns(), line.venue_slot, connection, value=value, detail=detail)

    def gate(self, instrument):
        return self.session.gate(instrument)

    def count(self, name, n=1):
        self.counters[name] = self.counters.get(name, 0) + n

    def say(self, line, text):
        """One line to the operator, at a change of state only."""
        print(f"tickpathd: {line.name}: {text}", file=sys.stderr, flush=True)

    def spawn(self, coroutine):
        task = asyncio.get_running_loop().create_task(coroutine)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def now_ns(self):
        return self.epoch_offset_ns + mono_ns()

    def run_due(self):
        """In an idle turn: a clock input when a bar is to be closed or a timer to be run, which no frame may bring for long."""
        if self.session.next_due_ns <= (now_ns := self.now_ns()) and self.session.engine.started:
            self.session.clock(now_ns)

    # ---- life
    def start(self):
        for line in self.lines:
            line.start()
        self.watch = asyncio.get_event_loop().create_task(self._watch())

    async def stop(self):
        if self.watch is not None:
            self.watch.cancel()
        await asyncio.gather(*(line.stop() for line in self.lines), return_exceptions=True)
        self.stopped = True

    async def _watch(self):
        next_clock_s = 0.0
        while True:
            now_s = time.monotonic()
            for line in self.lines:
                line.look(now_s)
            for worker in self.workers:
                worker.look(now_s, self.now_ns())
            if now_s >= next_clock_s:
                # Gates age and timers run even where nothing comes.
                next_clock_s = now_s + CLOCK_INTERVAL_S
                self.session.clock(self.now_ns())
                if self.clocks is not None:
                    self._look_at_lags(now_s)
                self._tidy()
                # Whoever waits for a gate that time closes, or for a fallback to be wanted, reads it in the state page.
                self.session.engine.publish_state()
            await asyncio.sleep(LOOK_INTERVAL_S)


    def _tidy(self):
        """Free what closed sockets have left: they hold each other in circles, and the collector is switched off in this process.
        What existed at the start is frozen, so that little is looked at."""
        gone = self.counters.get("lost_sockets", 0) + self.counters.get("replaced_sockets", 0)
        if gone != self.tidied:
            self.tidied = gone
            gc.collect()

    def _look_at_lags(self, now_s):
        """How far receive times lie behind venue times: samples of each book's last message, the least of which counts."""
        for line in self.lines:
            window = self.lags.setdefault(line.venue_slot, LagWindow())
            for instrument in line.instruments:
                recv_ns, venue_ns = self.session.book_times_ns(instrument)
                if recv_ns > 0 and venue_ns not in (0, TIME_NONE):
                    window.add(recv_ns - venue_ns, now_s)
            if (least_ns := window.least(now_s)) is not None:
                write_clock(self.clocks, line.venue_slot, STREAM, least_ns)


def is_live(settings):
    """Does this venue come over sockets of the engine's own?"""
    return not settings.kind.startswith(("capture:", "ccxt:"))


def is_capture(settings):
    """Is it played from a file?"""
    return settings.kind.startswith("capture:")


def is_ccxt(settings):
    """Does a ccxt worker bring it?"""
    return settings.kind.startswith("ccxt:")
