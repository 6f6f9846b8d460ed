"""What bench_feed and bench_connections share: the recorded messages, the server's process, the clients' processes."""
import contextlib
import json
import os
import select
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np

import benchlib
from tickpath.capture import read_capture

ANSWER_TIMEOUT_S = 60
EXCHANGE_INFO = {"timezone": "UTC", "serverTime": 1723161255000, "rateLimits": [], "exchangeFilters": [], "symbols": [{
    "symbol": "BTCUSDT", "status": "TRADING", "baseAsset": "BTC", "baseAssetPrecision": 8, "quoteAsset": "USDT",
    "quotePrecision": 8, "quoteAssetPrecision": 8, "orderTypes": ["LIMIT", "MARKET"], "isSpotTradingAllowed": True,
    "isMarginTradingAllowed": False, "permissions": ["SPOT"], "permissionSets": [["SPOT"]],
    "filters": [{"filterType": "PRICE_FILTER", "minPrice": "0.01000000", "maxPrice": "1000000.00000000",
                 "tickSize": "0.01000000"},
                {"filterType": "LOT_SIZE", "minQty": "0.00001000", "maxQty": "9000.00000000", "stepSize": "0.00001000"},
                {"filterType": "NOTIONAL", "minNotional": "5.00000000", "applyMinToMarket": True}]}]}
# Sets of messages: what their stream's name holds. `book`: what every peer understands.
KINDS = {"mixed": (b"@bookTicker", b"@trade", b"@depth"), "book": (b"@bookTicker", b"@depth"), "bookTicker": (b"@bookTicker",),
         "trade": (b"@trade",), "depth": (b"@depth",), "top": (b"@bookTicker", b"@trade")}


def recorded():
    """(the snapshot that the capture's stream holds, all other messages in recorded order)."""
    frames = [f.data for path in benchlib.CAPTURES for f in read_capture(path)]
    snapshot = next(data for data in frames if data.startswith(b'{"lastUpdateId"'))
    return snapshot, [data for data in frames if data is not snapshot]


def of_kind(messages, kind):
    return [m for m in messages if any(word in m[:40] for word in KINDS[kind])]


class Workplace:
    """Programs, bodies and compiled listeners of one benchmark run, in a directory that goes with it."""

    def __init__(self, directory, server_core, snapshot):
        self.directory, self.server_core = Path(directory), server_core
        self.server_program = benchlib.build_floor("feed_server")
        self.client_program = benchlib.build_floor("feed_client")
        (self.directory / "exchange_info").write_text(json.dumps(EXCHANGE_INFO))
        (self.directory / "snapshot").write_bytes(snapshot)

    def shared(self, name, size_bytes):
        """A file of zeroed memory; on a memory file system, so that nobody waits for a disk."""
        path = self.directory / name
        with open(path, "wb") as f:
            f.truncate(size_bytes)
        return path


class Process:
    """A child that is spoken to in lines. Errors: RuntimeError with what it said, when it ends or does not answer."""

    def __init__(self, name, command, **options):
        self.name = name
        self.process = subprocess.Popen([str(c) for c in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        **options)

    def ask(self, line):
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise RuntimeError(f"{self.name}: expected it to run, found it ended ({self.process.wait()})") from None

    def answer(self, word, timeout_s=ANSWER_TIMEOUT_S):
        """The fields of the next line, which begins with `word`."""
        if not select.select([self.process.stdout], [], [], timeout_s)[0]:
            raise RuntimeError(f"{self.name}: expected {word!r} within {timeout_s} s, found nothing")
        line = self.process.stdout.readline()
        if not line.startswith(word):
            raise RuntimeError(f"{self.name}: expected {word!r}, found {line.strip()!r}")
        return line.split(maxsplit=4)[1:]

    def close(self):
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


class Server(Process):
    """feed_server with a set of messages. times[i]: when message i was due, and when it was given to the kernel (ns)."""

    def __init__(self, place, name, messages):
        path, times = place.directory / f"{name}.messages", place.shared(f"{name}.times", 16 * len(messages))
        with open(path, "wb") as f:
            f.write(struct.pack("<I", len(messages)))
            for data in messages:
                f.write(struct.pack("<I", len(data)) + data)
        super().__init__(f"server {name}", self.command(place, path, times))
        self.messages, self.count = messages, len(messages)
        self.sizes = np.array([len(m) for m in messages])
        self.times = np.memmap(times, np.int64, "r+", shape=(len(messages), 2))
        self.port = int(self.answer("port")[0])

    def command(self, place, path, times):
        return [place.server_program, place.server_core, path, times, place.directory / "exchange_info",
                place.directory / "snapshot"]

    def send(self, count, rate):
        self.ask(f"send {count} {rate}")


class Client(Process):
    """A measured client's process. taken[i]: when it was done with message i (ns)."""

    def __init__(self, place, name, command, core, most, **options):
        stamps = place.shared(f"{name}.{os.urandom(3).hex()}.taken", 8 * most)
        super().__init__(name, [*(str(c).format(core=core, stamps=stamps) for c in command)], **options)
        self.taken = np.memmap(stamps, np.int64, "r+", shape=(most,))

    def round(self, server, count, rate, busy):
        """{"cpu_ns", "messages", "bytes", …} of one round, after checking that all that was sent came."""
        self.taken[:count] = 0
        self.ask(f"round {server.port} {count} {'busy' if busy else 'sleep'}")
        self.answer("ready")
        server.send(count, rate)
        sent = server.answer("sent")
        cpu_ns, messages, size, *rest = self.answer("done")
        found = {"cpu_ns": int(cpu_ns), "messages": int(messages), "bytes": int(size), "server_ns": int(sent[2]),
                 **(json.loads(rest[0]) if rest else {})}
        expected = int(server.sizes[:count].sum())
        if found["messages"] != count or found["bytes"] not in (0, expected):
            raise RuntimeError(f"{self.name}: expected {count} messages of {expected} bytes, found {found}")
        return found


def c_client(place, core, most):
    return Client(place, "c", [place.client_program, "{core}", "{stamps}"], core, most)


def own_client(place, kind, core, most, module, **options):
    command = [sys.executable, benchlib.ROOT / "scripts" / "feed_clients.py", kind, "{core}", "{stamps}", module,
               place.directory / "snapshot"]
    return Client(place, kind, command, core, most, **options)


def peer_versions(python):
    if python is None:
        return {}
    script = benchlib.ROOT / "scripts" / "peers" / "feed_peers.py"
    done = subprocess.run([python, script, "versions"], capture_output=True, text=True)
    return json.loads(done.stdout) if done.returncode == 0 else {}


def peer_client(place, python, kind, core, most):
    script = benchlib.ROOT / "scripts" / "peers" / "feed_peers.py"
    return Client(place, kind, [python, script, kind, "{core}", "{stamps}"], core, most)
