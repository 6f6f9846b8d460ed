"""bench_sim.py's server cases: tickpath-sim as a process of its own, and a client that costs as little as can be.

The client is a plain socket: frames are made beforehand, masked with zeros (which leaves the payload as it is), and answers are
counted by their frame headers; where the time of one answer is measured, it is floors/sim_client.c. It logs on with an Ed25519
key (session.logon), as a client does that is after speed.
"""
import base64
import hashlib
import json
import os
import resource
import select
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

import benchlib
from bench_feed import quiet

ORDERS, WINDOW, STRETCH, REPLIES, CONNECTIONS = 100_000, 512, 500, 20_000, 10_000
TARGET_ORDERS_PER_S, TARGET_REPLY_US, TARGET_IDLE_MIB = 20_000, 60.0, 300
API_KEY = "benchKey".ljust(64, "0")
PATH = "/ws-api/v3?returnRateLimits=false"
SPARE_FILES = 200


class Server:
    """tickpath-sim serve on one processor; its memory is read from /proc."""

    def __init__(self, directory, core, *arguments):
        private = Ed25519PrivateKey.generate()
        public = base64.b64encode(private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
        accounts = Path(directory) / "accounts.toml"
        accounts.write_text(f'[[account]]\nname = "bench"\napi_key = "{API_KEY}"\npublic_key = "{public}"\n'
                            '[account.balances]\nUSDT = "1000000000"\nBTC = "100000"\n')
        self.private = private
        command = [sys.executable, "-m", "tickpath_sim.cli", "serve", "--port", "0", "--accounts", str(accounts), "--no-limits",
                   *arguments]
        self.process = subprocess.Popen(["taskset", "-c", str(core), *command], stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the server did not start: exit code {self.process.wait()}")
        self.urls = json.loads(line)
        self.address = urlsplit(self.urls["ws_api_url"])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(20)

    def rss_bytes(self):
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * resource.getpagesize()

    def cpu_s(self):
        words = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def frame(payload):
    size = len(payload)
    head = bytes((0x81, 0x80 | size)) if size < 126 else bytes((0x81, 0xFE)) + size.to_bytes(2, "big")
    return head + bytes(4) + payload


class Connection:
    def __init__(self, address, path):
        self.socket = socket.create_connection((address.hostname, address.port), timeout=20)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        key = base64.b64encode(os.urandom(16))
        self.socket.sendall(b"GET %b HTTP/1.1\r\nHost: %b\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                            b"Sec-WebSocket-Key: %b\r\nSec-WebSocket-Version: 13\r\n\r\n"
                            % (path.encode(), address.netloc.encode(), key))
        self.buffer = bytearray()
        while b"\r\n\r\n" not in self.buffer:
            data = self.socket.recv(65536)
            if not data:
                raise RuntimeError(f"expected a WebSocket, found a closed connection after {bytes(self.buffer)!r}")
            self.buffer += data
        head, _, rest = bytes(self.buffer).partition(b"\r\n\r\n")
        accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
        if b"101" not in head.split(b"\r\n")[0] or accept not in head:
            raise RuntimeError(f"expected a WebSocket, found {head!r}")
        self.buffer = bytearray(rest)

    def frames(self):
        """Payloads of the whole frames received so far; pings are answered."""
        found, at, data = [], 0, self.buffer
        while len(data) - at >= 2:
            size, head = data[at + 1] & 0x7F, 2
            if size == 126:
                size, head = int.from_bytes(data[at + 2:at + 4], "big"), 4
            elif size == 127:
                size, head = int.from_bytes(data[at + 2:at + 10], "big"), 10
            if len(data) - at < head + size:
                break
            payload = bytes(data[at + head:at + head + size])
            if data[at] & 0x0F == 1:
                found.append(payload)
            elif data[at] & 0x0F == 9:
                self.socket.send(bytes((0x8A, 0x80 | size)) + bytes(4) + payload)
            at += head + size
        del data[:at]
        return found

    def ask(self, request):
        self.socket.sendall(frame(json.dumps(request).encode()))
        while not (found := self.frames()):
            data = self.socket.recv(1 << 18)
            if not data:
                raise RuntimeError("the server closed the connection")
            self.buffer += data
        answer = json.loads(found[0])
        if answer["status"] != 200:
            raise RuntimeError(f"{request['method']}: expected status 200, found {answer}")
        return answer["result"]

    def log_on(self, server):
        params = {"apiKey": API_KEY, "timestamp": int(time.time() * 1000)}
        text = "&".join(f"{k}={params[k]}" for k in sorted(params))
        params["signature"] = base64.b64encode(server.private.sign(text.encode())).decode()
        self.ask({"id": "logon", "method": "session.logon", "params": params})


def orders(count):
    """So many order.place frames: a sell that rests, then a buy that fills it; a hundred prices in turn."""
    now = int(time.time() * 1000)
    found = []
    for n in range(count):
        price = 60_000 + n // 2 % 100
        side = "SELL" if n % 2 == 0 else "BUY"
        found.append(frame(b'{"id":%d,"method":"order.place","params":{"symbol":"BTCUSDT","side":"%b","type":"LIMIT",'
                           b'"timeInForce":"GTC","quantity":"0.001","price":"%d.00","newClientOrderId":"b%d",'
                           b'"selfTradePreventionMode":"NONE","recvWindow":60000,"timestamp":%d}}'
                           % (n, side.encode(), price, n, now)))
    return found


def pipelined(connection, frames):
    """(seconds until all are answered, us an order of each stretch of STRETCH) with at most WINDOW unanswered."""
    sock, sent, answered, good, stretches, marked = connection.socket, 0, 0, 0, [], 0
    sock.setblocking(False)
    batches = [b"".join(frames[n:n + 64]) for n in range(0, len(frames), 64)]
    pending, batch = b"", 0
    begin = last = time.perf_counter()
    while answered < len(frames):
        if not pending and batch < len(batches) and sent - answered <= WINDOW - 64:
            pending = batches[batch]
            sent += min(64, len(frames) - 64 * batch)
            batch += 1
        readable, writable, _ = select.select([sock], [sock] if pending else [], [], 10)
        if not readable and not writable:
            raise RuntimeError(f"expected {len(frames)} answers, found {answered} and then none for 10 s")
        if writable:
            pending = pending[sock.send(pending):]
        if readable:
            data = sock.recv(1 << 20)
            if not data:
                raise RuntimeError("the server closed the connection")
            connection.buffer += data
            found = connection.frames()
            answered += len(found)
            good += sum(b'"status":200' in f[:40] for f in found)
            if answered - marked >= STRETCH:
                now = time.perf_counter()
                stretches.append((now - last) / (answered - marked) * 1e6)
                last, marked = now, answered
            if good < answered:
                raise RuntimeError(f"expected status 200, found {next(f for f in found if b':200' not in f[:40])!r}")
    elapsed = time.perf_counter() - begin
    sock.setblocking(True)
    return elapsed, stretches


def one_at_a_time(program, connection, frames, directory):
    """us from the send to the whole answer, each; the client (C, so that it adds little) never sleeps."""
    path = Path(directory) / "frames.bin"
    path.write_bytes(b"".join(len(data).to_bytes(4, sys.byteorder) + data for data in frames))
    number = connection.socket.fileno()
    done = subprocess.run([program, str(number), str(path)], pass_fds=(number,), capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip())
    *lines, last = done.stdout.splitlines()
    if last != "refused 0":
        raise RuntimeError(f"expected status 200 for all orders, found {last}")
    return np.array([int(line) / 1000 for line in lines])


def idle(server, count, steps):
    """(KiB of the server for each connection, MiB in all) with so many WebSockets that do nothing."""
    held, counts, rss = [], [], []
    address = urlsplit(server.urls["ws_url"])
    for n in range(count + 1):
        if n % max(1, count // steps) == 0:
            time.sleep(0.2)
            counts.append(n)
            rss.append(server.rss_bytes())
        if n < count:
            held.append(Connection(address, "/ws"))
    alive = sum(not _is_closed(c.socket) for c in held)
    for connection in held:
        connection.socket.close()
    if alive != count:
        raise RuntimeError(f"expected {count} connections at the end, found {alive}")
    slope = float(np.polyfit(np.asarray(counts, float), np.asarray(rss, float), 1)[0])
    return slope / 1024, rss[-1] / (1 << 20), rss[0] / (1 << 20)


def _is_closed(sock):
    sock.setblocking(False)
    try:
        return sock.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False


def raise_files(wanted):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limit in (max(wanted, hard), hard):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, max(limit, hard)))
            break
        except (ValueError, OSError):
            continue
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def orders_case(server, count, rounds):
    connection = Connection(server.address, PATH)
    connection.log_on(server)
    pipelined(connection, orders(min(count, 2_000)))
    rates, cpu_us, stretches = [], [], []
    for _ in range(rounds):
        frames, cpu = orders(count), server.cpu_s()
        seconds, parts = pipelined(connection, frames)
        rates.append(count / seconds)
        stretches += parts
        cpu_us.append((server.cpu_s() - cpu) / count * 1e6)
    # A shared machine takes the processor away in many stretches: the median of the quietest tenth is the figure.
    us = float(np.percentile(stretches, 5))
    return {"case": "ws_api_orders", "unit": "us", **benchlib.percentiles(stretches), "p50": round(us, 2),
            "p50_all": round(float(np.median(stretches)), 2), "n": count * rounds, "per_s": round(1e6 / us),
            "per_s_whole_run": round(max(rates)), "server_cpu_us": round(min(cpu_us), 2), "target_per_s": TARGET_ORDERS_PER_S,
            "peers": {}}


def reply_case(server, count, directory):
    connection = Connection(server.address, PATH)
    connection.log_on(server)
    program = benchlib.build_floor("sim_client")
    one_at_a_time(program, connection, orders(200), directory)
    times = one_at_a_time(program, connection, orders(count), directory)
    return {"case": "ws_api_reply", "unit": "us", **quiet([times]), "target": TARGET_REPLY_US, "peers": {}}


def idle_case(server, count, steps):
    kib, mib, base = idle(server, count, steps)
    return {"case": "idle_connections", "unit": "KiB", "n": count, **benchlib.single(round(kib, 2)), "rss_mib": round(mib, 1),
            "rss_mib_before": round(base, 1), "target_mib": TARGET_IDLE_MIB, "peers": {}}


def cases(directory, processors, *, quick, missing):
    """The cases, or none where there is but one processor."""
    if len(processors) < 2:
        missing.append("server cases: expected two processors, found one")
        return []
    os.sched_setaffinity(0, {processors[-1]})
    wanted = 100 if quick else CONNECTIONS
    connections = min(wanted, raise_files(wanted + SPARE_FILES) - SPARE_FILES)
    if connections < wanted:
        missing.append(f"{wanted - connections} of {wanted} idle connections: RLIMIT_NOFILE")
    with Server(directory, processors[0], "--busy-poll") as server:
        reply = reply_case(server, 300 if quick else REPLIES, directory)
        if quick:
            return [orders_case(server, 2_000, 1), reply, idle_case(server, connections, 2)]
    with Server(directory, processors[0]) as server:
        placed = orders_case(server, ORDERS, 3)
    with Server(directory, processors[0]) as server:
        return [placed, reply, idle_case(server, connections, 10)]
