"""One socket to a venue and the line it belongs to.

A Line carries a set of streams for as long as the run lasts, through one socket after another: it connects, subscribes,
watches, and on any failure starts again after a jittered, growing pause. Before the venue's own cut it opens the next socket
and lets the old one go only when the new one delivers. With redundancy it keeps two sockets, and the engine takes the first
copy of everything.
"""
import asyncio
import contextlib
import logging
import random
import socket
import ssl
import time

from picows import WSAutoPingStrategy, WSError, WSMsgType, ws_connect

from tickpath.types import BookState, FeedKind
from tickpathd.feeds.protocol import ControlKind
from tickpathd.feeds.refusals import Refusals

# What goes wrong on a socket is counted, journaled and said in our words, once per change of state.
logging.getLogger("picows.tickpathd.sockets").setLevel(logging.CRITICAL + 1)

CONNECT_TIMEOUT_S = 10.0
SOCKETS_PER_LINE = 4              # ids of a line: two sockets at a time, and their successors
REST_GRACE_S = 5.0                # a book that REST should bring is asked of the stream after so long
HOLD_AFTER_S = 5.0                # a socket that lived so long was a success: the pause starts small again


class Backoff:
    """Pauses between attempts: full jitter under a cap that doubles. random() is seeded by the system: no two daemons agree."""

    def __init__(self, min_s, max_s):
        self.min_s, self.max_s = min_s, max_s
        self.cap_s = min_s

    def next_s(self):
        pause = random.uniform(self.min_s / 2, self.cap_s)
        self.cap_s = min(self.cap_s * 2, self.max_s)
        return pause

    def reset(self):
        self.cap_s = self.min_s


class FeedSocket:
    """One WebSocket of a line, from connect to close."""

    def __init__(self, line, connection):
        self.line, self.connection = line, connection
        self.listener = None
        self.answers = 0              # to our subscriptions, good or bad
        self.refusals = Refusals(line, self._send_all)
        self.subscribed_s = None
        self.closed = asyncio.get_running_loop().create_future()
        self.silent = False
        self.retiring = False
        self.next_ping_s = None
        self.lost_why = None

    @property
    def live(self):
        return self.listener is not None and not self.closed.done()

    @property
    def delivers(self):
        return self.live and self.listener.data_frames > 0

    async def connect(self):
        """Connect and subscribe. Errors: OSError, WSError, asyncio.TimeoutError, ssl.SSLError."""
        line = self.line
        listener = line.feeds.new_listener(line.venue_slot, self.connection, self._on_control, self._on_closed)
        transport, _ = await asyncio.wait_for(
            ws_connect(lambda: listener, line.protocol.url(line.streams), ssl_context=line.feeds.tls(line),
                       enable_auto_ping=True, logger_name="tickpathd.sockets", auto_ping_idle_timeout=line.ping_after_s,
                       auto_ping_reply_timeout=line.ping_after_s,
                       auto_ping_strategy=WSAutoPingStrategy.PING_WHEN_IDLE, max_frame_size=line.max_frame_bytes,
                       websocket_handshake_timeout=CONNECT_TIMEOUT_S), CONNECT_TIMEOUT_S * 1.5)
        self.listener = listener
        self.transport = transport
        line.feeds.spawn(_ended(transport))
        line.feeds.event(FeedKind.FEED_CONNECTED, line, self.connection, detail=1 if line.is_first(self) else 2)
        await self._send_all(line.protocol.subscribe(line.streams))
        self.subscribed_s = time.monotonic()
        if line.protocol.ping_interval_s:
            self.next_ping_s = self.subscribed_s + line.protocol.ping_interval_s

    async def _send_all(self, messages):
        for n, message in enumerate(messages):
            if n and self.line.protocol.message_interval_s:
                await asyncio.sleep(self.line.protocol.message_interval_s)
            if not self.live:
                return
            self.transport.send(WSMsgType.TEXT, message)

    async def resubscribe(self, streams):
        """The same streams from their beginning: a stream's snapshot comes with the subscription."""
        await self._send_all([*self.line.protocol.unsubscribe(streams), *self.line.protocol.subscribe(streams)])

    def _on_control(self, data):
        try:
            control = self.line.protocol.control(data)
        except (ValueError, AttributeError, KeyError, TypeError):
            self.line.feeds.count("control_errors")
            return
        if control.kind is ControlKind.ACK:
            self.answers += 1
        elif control.kind is ControlKind.CLOSING:
            self.line.replace_soon(self)
        elif control.kind in (ControlKind.REFUSED, ControlKind.ERROR):
            self.answers += 1
            self.refusals.refused(control.text)
            self.line.feeds.event(FeedKind.FEED_REFUSED, self.line, self.connection)

    def _on_closed(self, code):
        if not self.closed.done():
            self.closed.set_result(code)

    def look(self, now_s):
        """What a watchful eye sees on a live socket; called several times a second."""
        listener, protocol = self.listener, self.line.protocol
        age_s = now_s - listener.last_frame_mono_ns / 1e9
        if age_s > self.line.silent_after_s and not self.silent:
            # Stale first, in this very turn; then a new socket, since this one may never say that it is dead.
            self.silent = True
            self.line.feeds.event(FeedKind.FEED_SILENT, self.line, self.connection, value=int(age_s * 1e9))
            self.drop(f"no message for {age_s:.1f} s")
        elif self.subscribed_s is not None and self.answers == 0 and now_s - self.subscribed_s > protocol.ack_timeout_s \
                and listener.data_frames == 0:
            self.drop(f"no answer to the subscription for {protocol.ack_timeout_s:.0f} s")
        elif self.next_ping_s is not None and now_s >= self.next_ping_s:
            self.next_ping_s = now_s + protocol.ping_interval_s
            self.transport.send(WSMsgType.TEXT, protocol.ping())
        self.refusals.look(now_s)

    def drop(self, why):
        self.lost_why = why
        self.transport.disconnect(False)
        # A peer that is half open never answers: do not wait for it.
        self._on_closed(1006)

    def retire(self):
        """Let it go in peace: its successor delivers."""
        self.retiring = True
        if self.live:
            self.transport.send_close()
            self.transport.disconnect()
            self._on_closed(1000)


class Line:
    """A set of streams of one venue that is kept alive."""

    def __init__(self, feeds, name, venue_slot, number, settings, protocol, streams):
        self.feeds, self.name, self.venue_slot, self.number = feeds, name, venue_slot, number
        self.settings, self.protocol, self.streams = settings, protocol, streams
        self.instruments = sorted({s.instrument for s in streams})
        self.silent_after_s = settings.silent_after_ms / 1000 if settings.silent_after_ms else protocol.silent_after_s
        self.replace_after_s = settings.replace_after_s or protocol.replace_after_s
        self.ping_after_s = settings.ping_after_ms / 1000
        self.max_frame_bytes = feeds.max_frame_bytes
        self.sockets = []
        self.next_id = 0
        self.tasks = []
        self.reachable = None     # unknown, then True or False: said once per change
        self.lost_since_s = None
        self.refusals_said = set()    # symbols, or texts: said once for as long as they last
        self.resync_at_s = {}     # instrument -> when it may be asked for again, and the pause after that
        self.stopping = False

    def is_first(self, feed_socket):
        return not any(s.live and s is not feed_socket for s in self.sockets)

    def start(self):
        for n in range(self.settings.redundancy):
            self.tasks.append(asyncio.get_running_loop().create_task(self._keep(n)))

    async def stop(self):
        self.stopping = True
        for s in list(self.sockets):
            if s.live:
                s.retire()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    def _new_id(self, member):
        self.next_id += 1
        return self.number * SOCKETS_PER_LINE + member + 2 * (self.next_id & 1)

    async def _keep(self, member):
        """Keep one socket alive for ever; member 0, and 1 where the line is redundant."""
        backoff = Backoff(self.settings.reconnect_min_ms / 1000, self.settings.reconnect_max_ms / 1000)
        current = None
        if member:
            await asyncio.sleep(0.2)
        while not self.stopping:
            started_s = time.monotonic()
            if current is None:
                current = await self._open(member)
                if current is None:
                    await asyncio.sleep(backoff.next_s())
                    continue
            timeout_s = None
            if self.replace_after_s:
                # Two daemons, or two lines of one, must not all replace their sockets in the same second.
                timeout_s = max(0.05, self.replace_after_s * random.uniform(0.95, 1.0))
            current.replace = asyncio.get_running_loop().create_future()
            await asyncio.wait((current.closed, current.replace), timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
            if current.closed.done():
                self._lost(current)
                lived_s = time.monotonic() - started_s
                current = None
                if lived_s > HOLD_AFTER_S:
                    backoff.reset()
                await asyncio.sleep(backoff.next_s())
                continue
            current = await self._succeed(current, member, backoff)

    async def _open(self, member):
        s = FeedSocket(self, self._new_id(member))
        self.sockets.append(s)
        try:
            await s.connect()
        except (OSError, WSError, TimeoutError, ssl.SSLError, ValueError) as e:
            self.sockets.remove(s)
            if s.live:
                s.drop("not subscribed")
            self._reachable(False, e)
            return None
        self._reachable(True)
        return s

    async def _succeed(self, old, member, backoff):
        """Open the next socket while the old one still delivers; the old one goes when the new one does."""
        new = await self._open(member)
        if new is None:
            await asyncio.sleep(backoff.next_s())
            return old
        deadline_s = time.monotonic() + CONNECT_TIMEOUT_S
        while not new.delivers and new.live and old.live and time.monotonic() < deadline_s:
            await asyncio.sleep(0.01)
        if not new.live:
            self.sockets.remove(new)
            return old
        self.feeds.count("replaced_sockets")
        self.sockets.remove(old)
        old.retire()
        return new

    def replace_soon(self, s):
        """The venue has announced the end of this socket."""
        replace = getattr(s, "replace", None)
        if replace is not None and not replace.done():
            replace.set_result(None)

    def _lost(self, s):
        self.sockets.remove(s)
        code = s.closed.result()
        self.feeds.count("lost_sockets")
        if any(other.live for other in self.sockets) and self.protocol.needs_rest_snapshot:
            return                # the other socket brings the same numbered messages: nothing is missing
        self.feeds.event(FeedKind.FEED_LOST, self, s.connection, value=code)
        self.feeds.say(self, f"connection lost ({s.lost_why or f'close code {code}'}); connecting again")

    def _reachable(self, yes, error=None):
        if self.reachable is yes:
            return
        if not yes:
            self.feeds.count("connect_failures")
            self.feeds.say(self, f"cannot connect to {self.protocol.ws_url}: {_reason(error)}; trying on")
        elif self.reachable is False:
            self.feeds.say(self, f"connected to {self.protocol.ws_url} again")
        self.reachable = yes

    def look(self, now_s):
        for s in list(self.sockets):
            if s.live:
                s.look(now_s)
        if not self.protocol.needs_rest_snapshot or self.protocol.may_stream_snapshot:
            self._resynchronise(now_s)

    def _resynchronise(self, now_s):
        """Books of a stream that lost their way: ask for their beginning again, with growing pauses."""
        owner = next((s for s in self.sockets if s.live and s.subscribed_s is not None), None)
        if owner is None:
            return
        due = []
        for instrument in self.instruments:
            state, _ = self.feeds.gate(instrument)
            if state != BookState.BOOK_SYNCING or owner.refusals.covers(instrument):
                self.resync_at_s.pop(instrument, None)
                continue
            # Where REST brings the snapshot, asking the stream again would tear a hole into what waits for it: only if it fails.
            grace_s = now_s + REST_GRACE_S if self.protocol.needs_rest_snapshot else 0.0
            at_s, pause_s = self.resync_at_s.get(instrument, (max(grace_s, owner.subscribed_s), 0.5))
            at_s = max(at_s, owner.subscribed_s + self.settings.resync_after_ms / 1000)
            if now_s >= at_s:
                due.append(instrument)
                self.resync_at_s[instrument] = (now_s + pause_s, min(pause_s * 2, 30.0))
            else:
                self.resync_at_s[instrument] = (at_s, pause_s)
        if not due:
            return
        self.feeds.count("resubscriptions", len(due))
        if self.protocol.can_resubscribe:
            streams = [s for s in self.streams if s.instrument in due and s.channel in ("book", "l3")]
            self.feeds.spawn(owner.resubscribe(streams))
        else:
            owner.drop("a book must be synchronised again")


async def _ended(transport):
    """Take what picows says of a socket's end: the close code tells us the same (FeedSocket._on_closed)."""
    with contextlib.suppress(Exception):
        await transport.wait_disconnected()


def _reason(error):
    if isinstance(error, (TimeoutError, asyncio.TimeoutError)):
        return "no answer in time"
    if isinstance(error, socket.gaierror):
        return f"the name does not resolve ({error.strerror})"
    return str(error).splitlines()[0] if str(error) else type(error).__name__
