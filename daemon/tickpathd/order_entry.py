"""Order entry at live venues: one WebSocket API session a venue, logged on, with our own user data on the same socket.

Runs in the engine's process. What comes on the socket goes the same compiled way as market data: reports of our orders and
refused requests are decoded inputs, journaled before they act; requests leave by `tickpath.venues.order_gateway`. Here is only
what happens a few times a day: connect, log on, subscribe, and say whether trading may go on.

While a session is down trading is CANCEL_ONLY. When it is lost with orders open it stays so until a restart: what they became
meanwhile is not known, and this version asks nobody.
"""
import asyncio
import contextlib
import json
import os
import ssl
import subprocess
import sys
import time

from picows import WSAutoPingStrategy, WSError, WSMsgType, ws_connect

from tickpath.clock import epoch_ns
from tickpath.venues.listener import FeedListener, OrderGateway
from tickpathd.feeds.connection import Backoff

__all__ = ["OrderEntry", "has_order_entry"]

CONNECTION = 255              # of frames that come by an order entry session; lines of market data count from 0
CONNECT_TIMEOUT_S = 10.0
ANSWER_TIMEOUT_S = 10.0
SIGNER_TIMEOUT_S = 20.0       # it imports a library of cryptography first
SETTLE_TIMEOUT_S = 5.0
SETTLE_LOOK_S = 0.005
MESSAGE_BYTES_MAX = 1 << 20


def has_order_entry(config):
    """Do orders of this run leave by sockets of its own?"""
    return config.instance.mode == "live"


class LogonError(Exception):
    """The venue or the signer refused; its words."""


class Signer:
    """The signer's process and our questions to it, one after another; no thread of ours waits for it."""

    def __init__(self, run_dir, parent_pid):
        self.process = subprocess.Popen([sys.executable, "-m", "tickpathd.signer", "--run-dir", str(run_dir), "--parent-pid",
                                         str(parent_pid)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        os.set_blocking(self.process.stdout.fileno(), False)
        self.lock = asyncio.Lock()

    async def logon(self, venue):
        """Signed parameters. Errors: LogonError."""
        async with self.lock:
            try:
                line = await asyncio.wait_for(self._ask({"venue": venue, "timestamp": epoch_ns() // 1_000_000}), SIGNER_TIMEOUT_S)
            except (OSError, TimeoutError) as e:
                raise LogonError(f"expected the signer's answer, found {type(e).__name__}") from None
        if not line:
            raise LogonError("expected the signer's answer, found it ended; see the line above")
        found = json.loads(line)
        if "error" in found:
            raise LogonError(found["error"])
        return found

    async def _ask(self, question):
        loop, number = asyncio.get_running_loop(), self.process.stdout.fileno()
        os.write(self.process.stdin.fileno(), json.dumps(question).encode() + b"\n")
        line = b""
        while not line.endswith(b"\n"):
            readable = asyncio.Event()
            loop.add_reader(number, readable.set)
            try:
                await readable.wait()
            finally:
                loop.remove_reader(number)
            piece = os.read(number, 65536)
            if not piece:
                return b""
            line += piece
        return line

    def close(self):
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        try:
            self.process.wait(2.0)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


class VenueSession:
    """One venue's session, from one socket to the next."""

    def __init__(self, entry, slot, name, settings):
        self.entry, self.slot, self.name, self.settings = entry, slot, name, settings
        self.ready = False
        self.answers = {}             # id of a request of ours -> Future
        self.closed = None
        self.next_id = 1
        self.transport = None
        self.lost = self.errors = 0
        self.backoff = Backoff(settings.reconnect_min_ms / 1000, settings.reconnect_max_ms / 1000)

    async def run(self):
        while True:
            try:
                await self._connect()
                self.backoff.reset()
                self._set_ready(True)
                code = await self.closed
                self.lost += 1
                self.entry.say(self.name, f"order entry lost (close code {code}); connecting again")
            except (OSError, WSError, TimeoutError, ssl.SSLError, ValueError, LogonError) as e:
                reason = str(e).splitlines()[0] if str(e) else type(e).__name__
                self.entry.say(self.name, f"no order entry at {self.settings.ws_api_url}: {reason}; trying on")
            finally:
                self._drop()
            await asyncio.sleep(self.backoff.next_s())

    async def _connect(self):
        entry = self.entry
        self.closed = asyncio.get_running_loop().create_future()
        listener = FeedListener(entry.session, self.slot, CONNECTION, epoch_offset_ns=entry.epoch_offset_ns,
                                on_control=self._on_control, on_closed=self._on_closed, max_message_bytes=MESSAGE_BYTES_MAX,
                                turn_clock=entry.turn_clock)
        ping_s = self.settings.ping_after_ms / 1000
        self.transport, _ = await asyncio.wait_for(
            ws_connect(lambda: listener, self.settings.ws_api_url, ssl_context=self._tls(), enable_auto_ping=True,
                       logger_name="tickpathd.sockets", auto_ping_idle_timeout=ping_s, auto_ping_reply_timeout=ping_s,
                       auto_ping_strategy=WSAutoPingStrategy.PING_WHEN_IDLE, max_frame_size=MESSAGE_BYTES_MAX,
                       websocket_handshake_timeout=CONNECT_TIMEOUT_S), CONNECT_TIMEOUT_S * 1.5)
        await self._ask("session.logon", await entry.signer.logon(self.name))
        await self._ask("userDataStream.subscribe", {})
        entry.gateway.connect(self.slot, self.transport)

    def _tls(self):
        if not self.settings.ws_api_url.startswith("wss:"):
            return None
        context = ssl.create_default_context()
        if self.settings.ca_file:
            context.load_verify_locations(self.settings.ca_file)
        return context

    async def _ask(self, method, params):
        number, self.next_id = self.next_id, self.next_id + 1
        answer = self.answers[number] = asyncio.get_running_loop().create_future()
        try:
            self.transport.send(WSMsgType.TEXT, json.dumps({"id": number, "method": method, "params": params}).encode())
            done, _ = await asyncio.wait((answer, self.closed), timeout=ANSWER_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            del self.answers[number]
        if answer not in done:
            raise LogonError(f"{method}: expected an answer within {ANSWER_TIMEOUT_S:.0f} s, found "
                             f"{'the socket closed' if self.closed in done else 'none'}")
        message = answer.result()
        if message.get("status") != 200:
            error = message.get("error") or {}
            raise LogonError(f"{method}: refused with {error.get('code')} {error.get('msg')}")

    def _on_control(self, data):
        """A message without a report in it: an answer, or one of the venue's notices."""
        try:
            message = json.loads(data)
            number = message.get("id")
        except (ValueError, AttributeError):
            self.errors += 1
            return
        answer = self.answers.get(number) if isinstance(number, int) else None
        if answer is not None:
            if not answer.done():
                answer.set_result(message)
        elif message.get("status", 200) != 200:
            # An order whose fate the venue does not know either: it stays open, with its exposure, until a report says more.
            self.errors += 1
            error = message.get("error") or {}
            self.entry.say(self.name, f"order entry: request {number} got status {message['status']}: {error.get('code')} "
                                      f"{error.get('msg')}")

    def _on_closed(self, code):
        if self.closed is not None and not self.closed.done():
            self._set_ready(False)
            self.closed.set_result(code)

    def _drop(self):
        self._set_ready(False)
        if self.transport is not None:
            self.transport.disconnect(False)
            self.transport = None

    def _set_ready(self, ready):
        if not ready:
            self.entry.gateway.disconnect(self.slot)
        if ready != self.ready:
            self.ready = ready
            self.entry.changed(self)


class OrderEntry:
    """All order entry of a run.

    Parameters: session : Session without a simulated venue.  config : Config.  run_dir, parent_pid : for the signer.
                epoch_offset_ns : of the process's receive times.  turn_clock : TurnClock or None.  say : (venue, text).
    """

    def __init__(self, session, config, run_dir, parent_pid, *, epoch_offset_ns, turn_clock=None, say):
        self.session, self.say, self.turn_clock, self.epoch_offset_ns = session, say, turn_clock, epoch_offset_ns
        self.gateway = OrderGateway(session)
        self.signer = Signer(run_dir, parent_pid)
        self.venues = [VenueSession(self, slot, name, settings) for slot, (name, settings) in enumerate(config.venues.items())
                       if settings.ws_api_url]
        self.tasks = []
        self.closing = False

    def start(self, now_ns):
        """Nothing may trade before every session is there; the engine's time begins here."""
        self.session.clock(now_ns)
        self.session.order_entry(False)
        self.tasks = [asyncio.get_event_loop().create_task(venue.run()) for venue in self.venues]

    def changed(self, venue):
        if self.closing:
            return
        ready = all(v.ready for v in self.venues)
        lost = not venue.ready and self.session.engine.open_orders > 0
        if lost:
            self.say(venue.name, f"order entry was lost with {self.session.engine.open_orders} orders open: no new order until a "
                                 "restart")
        self.session.order_entry(ready, latched=lost)

    async def settle(self, turn):
        """Wait for the venue's word on every open order, at most SETTLE_TIMEOUT_S; returns how many are left. turn: takes what
        waits elsewhere."""
        end_s = time.monotonic() + SETTLE_TIMEOUT_S
        while self.session.engine.open_orders and time.monotonic() < end_s:
            turn()
            await asyncio.sleep(SETTLE_LOOK_S)
        return self.session.engine.open_orders

    async def stop(self):
        self.closing = True
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.signer.close()
