"""One client's socket: picows does the handshake and reads; every byte that goes out is written here.

Frames are made by `frames.py` and written straight to the transport, because a venue that misbehaves sends what no library
would: reserved bits, single bytes, nothing at all. The queue of a client is bounded; one that does not read is cut off.
"""
import asyncio
import contextlib
import socket
import struct
import time
from collections import deque

import picows

from tickpath_sim.frames import PING, frame

__all__ = ["Connection"]

MESSAGE_BYTES_MAX = 1 << 20
PONG = 0xA


class Connection(picows.WSListener):
    """Parameters: hub : SimServer.  number : counts connections from 1.  path, query : of the request."""

    def __init__(self, hub, number, path, query):
        super().__init__()
        self.hub, self.number, self.path = hub, number, path
        self.label = f"sim{number:08x}"
        self.session = hub.protocol.session(self, path, query)
        self.transport = None
        self.opened_mono = self.heard_mono = time.monotonic()
        self.pinged_mono = self.unanswered_mono = self.opened_mono
        self.crowded_mono = None            # since when its queue has been too full, None: it is not
        self.ping_payload = None            # of a ping that has no pong yet
        self.messages = self.sent_bytes = 0
        self.frozen = False                 # half-open: reads nothing, sends nothing
        self.trickle = deque()              # frames waiting to go out byte by byte
        self.trickle_bytes = 0
        self.received = deque()             # times of the messages within the last second
        self.text = bytearray()
        self.closing = False

    # ---- picows

    def on_ws_connected(self, transport):
        self.transport = transport
        sock = transport.underlying_transport.get_extra_info("socket")
        with contextlib.suppress(OSError, AttributeError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.hub.connected(self)
        self.session.on_open()
        self.hub.subscriptions_changed(self)

    def on_ws_disconnected(self, transport):
        self.session.closed()
        self.hub.disconnected(self)

    def on_ws_frame(self, transport, ws_frame):
        kind = ws_frame.msg_type
        self.heard_mono = time.monotonic()
        if kind == picows.WSMsgType.CLOSE:
            self.hub.closes.append({"connection": self.number, "code": int(ws_frame.get_close_code())})
            self.close(ws_frame.get_close_code())
            return
        if not self._within_rate():
            self.close(picows.WSCloseCode.POLICY_VIOLATION, "Too many requests")
            self.hub.counters["rate_limited"] += 1
            return
        if kind == picows.WSMsgType.PING:
            self.write(frame(ws_frame.get_payload_as_bytes(), opcode=PONG))
        elif kind == picows.WSMsgType.PONG:
            # A pong without the payload of the ping is unsolicited and proves nothing.
            if self.ping_payload is not None and ws_frame.get_payload_as_bytes() == self.ping_payload:
                self.ping_payload = None
        elif kind == picows.WSMsgType.TEXT or (kind == picows.WSMsgType.CONTINUATION and self.text):
            self.text += ws_frame.get_payload_as_bytes()
            if len(self.text) > MESSAGE_BYTES_MAX:
                self.close(picows.WSCloseCode.MESSAGE_TOO_BIG)
            elif ws_frame.fin:
                text, self.text = bytes(self.text), bytearray()
                try:
                    text = text.decode()
                except UnicodeDecodeError:
                    self.close(picows.WSCloseCode.INVALID_TEXT)
                    return
                self.session.on_text(text)
                self.hub.subscriptions_changed(self)
        else:
            self.close(picows.WSCloseCode.UNSUPPORTED_DATA)

    def pause_writing(self):
        """The bound of the queue is our own, see `write`."""

    def resume_writing(self):
        """As above."""

    def _within_rate(self):
        limit = self.hub.timings.messages_per_s
        if limit is None:
            return True
        now, times = time.monotonic(), self.received
        while times and now - times[0] >= 1:
            times.popleft()
        times.append(now)
        return len(times) <= limit

    # ---- what a session calls

    def listen(self, key):
        self.hub.listen(key, self.session)

    def forget(self, key):
        self.hub.forget(key, self.session)

    def send_control(self, data):
        self._message(data if isinstance(data, bytes) else data.encode())

    def send_market(self, data):
        self.session.data_mono = time.monotonic()
        if not self.hub.injector.is_silent(self):
            self._message(data)

    def _message(self, data):
        self.messages += 1
        self.write(frame(data))

    # ---- bytes

    def write_message(self, data):
        """Bytes that are one message of market data, framed in whatever way."""
        if not self.frozen:
            self.session.data_mono = time.monotonic()
            self.messages += 1
            self.write(data)

    def queued_bytes(self):
        transport = self.transport.underlying_transport
        return self.trickle_bytes + (0 if transport.is_closing() else transport.get_write_buffer_size())

    def write(self, data):
        transport = self.transport.underlying_transport
        if self.frozen or self.closing or transport.is_closing():
            return
        self.sent_bytes += len(data)
        if self.trickle:
            self._queue(data, None)
            return
        transport.write(data)
        if self.queued_bytes() > self.hub.queue_bytes_max:
            # The venue does not wait for one who cannot follow, and neither do the others.
            self.hub.counters["slow_disconnects"] += 1
            self.reset()

    def write_slowly(self, data, gap_s):
        """Send these bytes one at a time; what follows waits behind them."""
        if not self.frozen:
            self.session.data_mono = time.monotonic()
            self.messages += 1
            self.sent_bytes += len(data)
            self._queue(data, gap_s)

    def _queue(self, data, gap_s):
        """Behind what is still going out byte by byte; `gap_s` None: whole, once it is its turn."""
        self.trickle.append((data, gap_s))
        self.trickle_bytes += len(data)
        if self.queued_bytes() > self.hub.queue_bytes_max:
            self.hub.counters["slow_disconnects"] += 1
            self.reset()
        elif len(self.trickle) == 1:
            self.hub.spawn(self._pour())

    async def _pour(self):
        transport = self.transport.underlying_transport
        while self.trickle:
            data, gap_s = self.trickle[0]
            for piece in [data] if gap_s is None else [data[n:n + 1] for n in range(len(data))]:
                if self.frozen or self.closing or transport.is_closing():
                    self.trickle.clear()
                    self.trickle_bytes = 0
                    return
                transport.write(piece)
                await asyncio.sleep(gap_s or 0)
            self.trickle.popleft()
            self.trickle_bytes -= len(data)

    def ping(self, now_mono):
        self.pinged_mono = now_mono
        if self.ping_payload is None:
            self.ping_payload = str(time.time_ns() // 1_000_000).encode()
            self.unanswered_mono = now_mono
            self.write(frame(self.ping_payload, opcode=PING))

    # ---- ends

    def close(self, code=picows.WSCloseCode.OK, reason=None):
        """The orderly end: a close frame, then the socket."""
        if not self.closing and self.transport is not None:
            self.closing = True
            if not self.frozen:
                if code == picows.WSCloseCode.NO_INFO:
                    code = picows.WSCloseCode.OK
                self.transport.send_close(code, reason.encode() if reason else None)
            self.transport.disconnect(graceful=True)

    def reset(self):
        """The end without a word: the peer sees a reset."""
        if self.transport is None:
            return
        self.closing = True
        transport = self.transport.underlying_transport
        if self.frozen:
            transport.resume_reading()
            self.frozen = False
        sock = transport.get_extra_info("socket")
        with contextlib.suppress(OSError, AttributeError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()

    def freeze(self):
        """Neither read nor write from now on, and do not close."""
        self.frozen = True
        self.transport.underlying_transport.pause_reading()

    def describe(self):
        return {"connection": self.number, "path": self.path, "messages": self.messages, "bytes": self.sent_bytes,
                "queued_bytes": self.queued_bytes(), "subscribed": self.session.subscribed, "frozen": self.frozen}
