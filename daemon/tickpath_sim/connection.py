"""One client's socket: picows does the handshake and reads; every byte that goes out is written here.

Frames are made by `frames.py` and written straight to the transport, because a venue that misbehaves sends what no library
would: reserved bits, single bytes, nothing at all. The queue of a client is bounded; one that does not read is cut off.
"""
import asyncio
import contextlib
import os
import socket
import struct
import time
from collections import deque

import picows

from tickpath_sim.frames import PING, frame

__all__ = ["Connection"]

MESSAGE_BYTES_MAX = 1 << 20
PONG, CLOSE = 0xA, 0x8
NEVER_SENT, CLOSE_CODE_MAX = frozenset({1004, 1005, 1006, 1015}), 4999
# Stands for a queue that has not been needed: most of ten thousand clients never do.
EMPTY = ()
TEXT_FRAME = picows.WSMsgType.TEXT


class Connection(picows.WSListener):
    """Parameters: hub : SimServer.  number : counts connections from 1.  path, query : of the request."""

    def __init__(self, hub, number, path, query):
        super().__init__()
        self.hub, self.number, self.path = hub, number, path
        self.label = f"sim{number:08x}"
        self.session = hub.session(self, path, query)
        self.transport = None
        self.opened_mono = self.heard_mono = time.monotonic()
        self.pinged_mono = self.unanswered_mono = self.opened_mono
        self.crowded_mono = None            # since when its queue has been too full, None: it is not
        self.ping_payload = None            # of a ping that has no pong yet
        self.messages = self.sent_bytes = 0
        self.frozen = False                 # half-open: reads nothing, sends nothing
        self.trickle = EMPTY                # frames waiting to go out byte by byte
        self.trickle_bytes = 0
        self.received = EMPTY               # times of the messages within the last second
        self.text = None                    # of a message whose last frame has not come
        self.closing = False
        self.descriptor = None              # of the socket, where answers go out at once
        self.outgoing = None                # frames for one write, while the frames of one read are answered
        self.cut_left = None                # bytes that may still go out before the end, None: no end is set
        self.api = getattr(self.session, "api_messages", False)

    # ---- picows

    def on_ws_connected(self, transport):
        self.transport = transport
        sock = transport.underlying_transport.get_extra_info("socket")
        with contextlib.suppress(OSError, AttributeError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.api and not transport.is_secure:
                self.descriptor = sock.fileno()
        self.hub.connected(self)
        if self.hub.wire is not None:
            self.hub.wire.opened(self.number, "ws", self.path)
        self.session.on_open()
        self.hub.subscriptions_changed(self)

    def on_ws_disconnected(self, transport):
        self.session.closed()
        self.hub.disconnected(self)

    def on_ws_frame(self, transport, ws_frame):
        kind = ws_frame.msg_type
        self.heard_mono = time.monotonic()
        if self.hub.wire is not None:
            self.hub.wire.frame_in(self.number, int(kind), bool(ws_frame.fin), ws_frame.get_payload_as_bytes())
        if kind == TEXT_FRAME and ws_frame.fin and self.api and self.text is None and not ws_frame.rsv1:
            # The short way of the WebSocket API: a whole request in one frame. What all frames of one read bring about goes
            # out in one write.
            if self.closing:
                return
            if self.outgoing is None:
                self.outgoing = []
            if ws_frame.payload_size > MESSAGE_BYTES_MAX:
                self.close(picows.WSCloseCode.MESSAGE_TOO_BIG)
                return
            self.session.on_payload(ws_frame.get_payload_as_bytes())
            if ws_frame.last_in_buffer:
                self.flush()
            return
        self.flush()
        if kind == picows.WSMsgType.CLOSE:
            self.hub.closes.append({"connection": self.number, "code": int(ws_frame.get_close_code())})
            code = int(ws_frame.get_close_code())
            # Some codes are never sent: a peer that does so is told that it erred.
            never = code in NEVER_SENT or code > CLOSE_CODE_MAX
            self.close(picows.WSCloseCode.PROTOCOL_ERROR if never else ws_frame.get_close_code())
            return
        if ws_frame.rsv1 or ws_frame.rsv2 or ws_frame.rsv3 or (kind == picows.WSMsgType.TEXT and self.text is not None):
            # No extension was agreed upon; a message begins when the one before has ended.
            self.close(picows.WSCloseCode.PROTOCOL_ERROR)
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
        elif kind == picows.WSMsgType.TEXT or (kind == picows.WSMsgType.CONTINUATION and self.text is not None):
            if self.text is None:
                self.text = bytearray()
            self.text += ws_frame.get_payload_as_bytes()
            if len(self.text) > MESSAGE_BYTES_MAX:
                self.close(picows.WSCloseCode.MESSAGE_TOO_BIG)
            elif ws_frame.fin:
                text, self.text = bytes(self.text), None
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
        if limit is None or self.api:
            return True
        if not self.received:
            self.received = deque()
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
        if self.outgoing is None:
            self.write(frame(data))
        else:
            self.outgoing.append(frame(data))

    def flush(self):
        """Write what the frames of this read have brought about so far."""
        outgoing, self.outgoing = self.outgoing, None
        if outgoing:
            self.write(outgoing[0] if len(outgoing) == 1 else b"".join(outgoing))

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
        if self.cut_left is not None:
            data = data[:self.cut_left]
            self.cut_left -= len(data)
        self.sent_bytes += len(data)
        if self.trickle:
            self._queue(data, None)
            return
        if self.hub.wire is not None:
            self.hub.wire.bytes_out(self.number, data)
        if self.descriptor is not None and not transport.get_write_buffer_size():
            # A reply need not wait for the end of the loop's turn.
            try:
                sent = os.write(self.descriptor, data)
            except BlockingIOError:
                sent = 0
            except OSError:
                # The loop finds out by itself that the peer is gone.
                return
            if sent < len(data):
                transport.write(data[sent:])
        else:
            transport.write(data)
        if self.cut_left == 0:
            self.closing = True
            # What is queued still goes out, then the stream ends in the middle of a frame.
            transport.close()
            return
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
        if not self.trickle:
            self.trickle = deque()
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
                    self.trickle = EMPTY
                    self.trickle_bytes = 0
                    return
                if self.hub.wire is not None:
                    self.hub.wire.bytes_out(self.number, piece)
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
            self.flush()
            self.closing = True
            if not self.frozen:
                if code == picows.WSCloseCode.NO_INFO:
                    code = picows.WSCloseCode.OK
                if self.hub.wire is not None:
                    text = struct.pack(">H", code) + (reason.encode() if reason else b"")
                    self.hub.wire.bytes_out(self.number, frame(text, opcode=CLOSE))
                self.transport.send_close(code, reason.encode() if reason else None)
            self.transport.disconnect(graceful=True)

    def reset(self):
        """The end without a word: the peer sees a reset."""
        if self.transport is None:
            return
        self.flush()
        self.closing = True
        transport = self.transport.underlying_transport
        if self.frozen:
            transport.resume_reading()
            self.frozen = False
        sock = transport.get_extra_info("socket")
        with contextlib.suppress(OSError, AttributeError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()

    def cut_after(self, count):
        """End the stream after `count` more bytes, wherever in a frame that is."""
        self.flush()
        if count > 0:
            self.cut_left = count
        else:
            self.reset()

    def freeze(self):
        """Neither read nor write from now on, and do not close."""
        self.frozen = True
        self.transport.underlying_transport.pause_reading()

    def describe(self):
        return {"connection": self.number, "path": self.path, "messages": self.messages, "bytes": self.sent_bytes,
                "queued_bytes": self.queued_bytes(), "subscribed": self.session.subscribed, "frozen": self.frozen}
