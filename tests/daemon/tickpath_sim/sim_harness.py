"""Real runs of `tickpath-sim serve`, and a WebSocket client on a bare socket that sees every bit of what comes."""
import base64
import contextlib
import hashlib
import http.client
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from tickpath_sim.control import FaultClient

ROOT = Path(__file__).resolve().parents[3]
SPOT = "ws/binance_spot/hftbacktest_btcusdt_20240808.gz"
USDM = "ws/binance_usdm/cryptofeed_BINANCE_FUTURES_20210722.jsonl.zst"
SECONDS = 20


class Sim:
    """A server process; ends with the `with` block, and must have ended well."""

    def __init__(self, capture, *options, faults=True):
        command = [sys.executable, "-m", "tickpath_sim.cli", "serve", "--port", "0", *map(str, options)]
        if capture is not None:
            command += ["--capture", str(capture)]
        if faults:
            command += ["--faults-port", "0"]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.clients = []
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(f"tickpath-sim did not start: {self.process.communicate()[1]}")
        self.addresses = json.loads(line)
        self.faults = FaultClient(self.addresses["faults_url"]) if faults else None

    def __enter__(self):
        return self

    def __exit__(self, kind, value, traceback):
        for client in self.clients:
            client.stop()
        code, err = self.end()
        if kind is None:
            assert (code, err) == (0, "")

    def end(self, number=signal.SIGTERM):
        """(exit code, stderr) after a signal."""
        if self.process.poll() is None:
            os.kill(self.process.pid, number)
        _, err = self.process.communicate(timeout=SECONDS)
        return self.process.returncode, err

    def client(self, path="/", **options):
        """A connected client; `client.number` is the server's number of it."""
        before = {c["connection"] for c in self.faults.state()["clients"]} if self.faults else set()
        client = RawClient(self.addresses["ws_url"], path, **options)
        self.clients.append(client)
        if self.faults:
            state = self.faults.wait(lambda state: {c["connection"] for c in state["clients"]} - before)
            client.number = max(c["connection"] for c in state["clients"])
            client.sim = self
        return client

    def get(self, target):
        """(status, decoded body, headers) of a REST request."""
        parts = urlsplit(self.addresses["rest_url"])
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=SECONDS)
        try:
            connection.request("GET", target)
            reply = connection.getresponse()
            return reply.status, json.loads(reply.read()), dict(reply.getheaders())
        finally:
            connection.close()


class Frame(NamedTuple):
    fin: bool
    reserved: int
    opcode: int
    payload: bytes


class Closed(Exception):
    """The server closed: code of its close frame, 0 for an end of the stream without one, -1 for a reset."""

    def __init__(self, code):
        super().__init__(code)
        self.code = code


class RawClient:
    """Answers pings unless told not to; `frames` are as they came, `messages` are whole and decoded."""

    def __init__(self, url, path="/", *, pong=True, context=None):
        parts = urlsplit(url)
        self.pong = pong
        self.pings = []
        self.received = 0                   # whole text messages
        self.arrivals = 0                   # reads of the socket, to see a trickle
        self.socket = socket.create_connection((parts.hostname, parts.port), timeout=SECONDS)
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_hostname=parts.hostname)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
        self.buffer = b""
        while b"\r\n\r\n" not in self.buffer:
            data = self.socket.recv(65536)
            if not data:
                raise Closed(0)
            self.buffer += data
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        self.status = int(head.split(b" ")[1])
        if self.status == 101:
            accept = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest())
            assert accept in head

    def stop(self):
        with contextlib.suppress(OSError):
            self.socket.close()

    def send(self, message, opcode=1):
        payload = message if isinstance(message, bytes) else (
            message if isinstance(message, str) else json.dumps(message)).encode()
        mask = os.urandom(4)
        size = len(payload)
        head = bytes((0x80 | opcode, 0x80 | size)) if size < 126 else struct.pack(">BBH", 0x80 | opcode, 0xFE, size)
        self.socket.sendall(head + mask + bytes(byte ^ mask[n % 4] for n, byte in enumerate(payload)))

    def _need(self, size, seconds):
        self.socket.settimeout(seconds)
        while len(self.buffer) < size:
            try:
                data = self.socket.recv(1 << 20)
            except ConnectionResetError:
                raise Closed(-1) from None
            if not data:
                raise Closed(0)
            self.arrivals += 1
            self.buffer += data

    def frame(self, seconds=SECONDS):
        """The next frame. Errors: Closed; TimeoutError when nothing comes."""
        self._need(2, seconds)
        first, second = self.buffer[0], self.buffer[1]
        assert not second & 0x80, "a server's frame must not be masked"
        size, start = second & 0x7F, 2
        if size == 126:
            self._need(4, seconds)
            size, start = struct.unpack(">H", self.buffer[2:4])[0], 4
        elif size == 127:
            self._need(10, seconds)
            size, start = struct.unpack(">Q", self.buffer[2:10])[0], 10
        self._need(start + size, seconds)
        payload, self.buffer = self.buffer[start:start + size], self.buffer[start + size:]
        frame = Frame(bool(first & 0x80), (first >> 4) & 7, first & 15, payload)
        if frame.opcode == 9:
            self.pings.append(payload)
            if self.pong:
                self.send(payload, opcode=10)
        elif frame.opcode == 8:
            raise Closed(struct.unpack(">H", payload[:2])[0] if payload else 1005)
        self.received += frame.opcode in (0, 1) and frame.fin
        return frame

    def text(self, seconds=SECONDS):
        """The next whole text message, as bytes."""
        parts = []
        while True:
            frame = self.frame(seconds)
            if frame.opcode in (0, 1):
                parts.append(frame.payload)
                if frame.fin:
                    return b"".join(parts)

    def message(self, seconds=SECONDS):
        return json.loads(self.text(seconds), parse_float=Text)

    def until(self, wanted, seconds=SECONDS):
        """The next message for which `wanted(message)` holds."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            message = self.message(max(0.05, end - time.monotonic()))
            if wanted(message):
                return message
        raise AssertionError(f"expected a message within {seconds} s")

    def closed(self, seconds=SECONDS):
        """The code with which the server closes, whatever it sends before."""
        try:
            while True:
                self.frame(seconds)
        except Closed as e:
            return e.code

    def quiet(self, seconds):
        """True when no text comes within the time."""
        try:
            self.text(seconds)
        except TimeoutError:
            return True
        return False


class Text(str):
    """The text of a JSON number."""


class FollowedBook:
    """A client's book, put together by the venue's rules alone."""

    def __init__(self, depth=None):
        self.depth = depth
        self.bids, self.asks = {}, {}

    def load(self, bids, asks):
        self.bids, self.asks = {}, {}
        self.apply(bids, asks)

    def apply(self, bids, asks):
        for levels, rows in ((self.bids, bids), (self.asks, asks)):
            for row in rows:
                price = Decimal(row[0])
                if Decimal(row[1]):
                    levels[price] = tuple(row[:2])
                else:
                    levels.pop(price, None)
        if self.depth is not None:
            self.bids = dict(sorted(self.bids.items(), reverse=True)[:self.depth])
            self.asks = dict(sorted(self.asks.items())[:self.depth])

    def top(self, count=10):
        return ([list(row) for _, row in sorted(self.bids.items(), reverse=True)[:count]],
                [list(row) for _, row in sorted(self.asks.items())[:count]])

    def is_crossed(self):
        return bool(self.bids and self.asks) and max(self.bids) >= min(self.asks)

    def agrees(self, truth):
        bids, asks = self.top()
        return as_numbers(bids) == as_numbers(truth["bids"]) and as_numbers(asks) == as_numbers(truth["asks"])


def as_numbers(rows):
    return [(Decimal(row[0]), Decimal(row[1])) for row in rows]


class BinanceFollower:
    """Follows a diff stream as the venue's documentation says; `gaps` counts breaks of the chain."""

    def __init__(self, sim, symbol="BTCUSDT", *, futures=False):
        self.sim, self.symbol, self.futures = sim, symbol, futures
        self.book = FollowedBook()
        self.last = None
        self.gaps = self.applied = self.old = 0
        self.fresh = False
        self.buffered = []

    def snapshot(self, limit=1000):
        path = "/fapi/v1/depth" if self.futures else "/api/v3/depth"
        status, body, _ = self.sim.get(f"{path}?symbol={self.symbol}&limit={limit}")
        assert status == 200, body
        self.book.load(body["bids"], body["asks"])
        self.last, self.fresh = body["lastUpdateId"], True
        return body

    def feed(self, message):
        message = message.get("data", message)
        if message.get("e") != "depthUpdate" or message["s"] != self.symbol:
            return
        if message["u"] < self.last if self.futures else message["u"] <= self.last:
            self.old += 1
            return
        if self.futures:
            chained = message["U"] <= self.last <= message["u"] if self.fresh else message["pu"] == self.last
            # Nothing happened between the snapshot and this change.
            chained = chained or message["pu"] == self.last
        else:
            chained = message["U"] <= self.last + 1 <= message["u"]
        if not chained:
            self.gaps += 1
        self.book.apply(message["b"], message["a"])
        self.last, self.fresh = message["u"], False
        self.applied += 1


def follow(client, follower, *, events, seconds=SECONDS):
    """Feed a follower until it has applied so many more changes."""
    goal = follower.applied + events
    end = time.monotonic() + seconds
    while follower.applied < goal:
        assert time.monotonic() < end, f"expected {goal} changes, found {follower.applied}"
        follower.feed(client.message(seconds))


def drain(client, feed):
    """Feed every message that the server has sent to this client by now."""
    sent = next(c["messages"] for c in client.sim.faults.state()["clients"] if c["connection"] == client.number)
    while client.received < sent:
        feed(client.message())


def entries(sim, name):
    """The log of one fault; waits for the first entry."""
    end = time.monotonic() + SECONDS
    while not (found := sim.faults.log(name)):
        assert time.monotonic() < end, f"expected {name} in the log"
        time.sleep(0.01)
    return found


SEQUENCE = re.compile(rb'"sequence_num":(\d+)')
