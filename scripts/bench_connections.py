"""What do ten thousand connections cost, and an instrument? Memory of each, and how much one feed suffers from all the others.

Connections: client WebSockets on loopback, held by FeedListener and picows with the options of tickpathd's feeds, on uvloop, in
one process on the last core, in front of one Engine; the server is scripts/floors/feed_server.c on the first core. Each gets a
recorded bookTicker or trade message a second (in turn, so that a message comes once), and one more connection, which is measured,
500 a second. A venue of a run may have 64 connections (Feeds), so here they share their numbers: what is measured is what the
feed stack costs, not what a configuration may ask for. Each connection takes a descriptor in either process: RLIMIT_NOFILE is
raised to what it takes or as far as it goes (`limits`), and with it `connections`.

`rss_per_connection`: KiB, slope of the client's RSS over the number of connections. The kernel's own memory is not in it.
`rss_over_run`: KiB that RSS grew while the messages flowed.  `one_way_alone`, `one_way_among_all`: us from the server's send to
the records in the ring, poll = "sleep"; the quietest tenth of the windows of 10 messages. `added_p50_us` is the difference.
`rss_per_instrument`: KiB, slope of RSS over the number of instruments, 1 to 64, each with its book synchronised from the
recorded snapshot and as many recorded diffs (their symbol renamed: all instruments of the capture are one); `reserved_bytes` is
the address space that the engine's structs ask for, by sizeof; what no price touches is never backed by memory.
"""
import asyncio
import gc
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import uvloop
from picows import WSAutoPingStrategy, ws_connect

import benchlib
import feedlib
import loops
from bench_feed import one_way_us, quiet
from feed_rounds import Stamps
from tickpath.engine import Engine
from tickpath.session import Session
from tickpath.shm.feed_lane import FeedLaneWriter
from tickpath.shm.ring import EventWriter
from tickpath.shm.state_page import StatePage
from tickpath.venues.listener import FeedListener
from tickpathd.engine_process import FRAMES_PER_TURN
from tickpathd.turns import Turns

CONNECTIONS = 10_000
STEPS = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)      # of the connections, between which RSS is read
TOGETHER = 64                                 # connects under way at a time
CONNECTION_NUMBERS = 64                       # as CONNECTIONS_MAX of engine.pxd
SPARE_FILES = 100
MEASURED_RATE = 500
INSTRUMENT_COUNTS = (1, 8, 16, 32, 48, 64)    # 64: MAX_INSTRUMENTS
WINDOW_TICKS = 65536                          # book_window_ticks of the default configuration
RING_SLOTS = 262144
PING_S = 120.0                                # longer than the run: no ping disturbs what is measured


def rss_bytes():
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * resource.getpagesize()


def raise_files(wanted):
    """Raise the soft limit of open files, and the hard one where we may; returns what is in force."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(wanted, hard), max(wanted, hard)))
    except (ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def slope(xs, ys):
    return float(np.polyfit(np.asarray(xs, float), np.asarray(ys, float), 1)[0])


# ---- the process that holds the connections
class Holder:
    def __init__(self, module, stamps, loop):
        self.module, self.stamps, self.loop = module, stamps, loop
        spec = benchlib.spec(None, {}, mode="paper")
        # The measured feed is a venue of its own: the others bring the same messages, and the first copy of one wins.
        spec["venues"] = ["binance_spot", "binance_spot"]
        spec["instruments"] = [{**spec["instruments"][0], "venue": slot} for slot in (0, 1)]
        self.session = Session(Engine(spec, EventWriter.local(RING_SLOTS)), benchlib.PAPER)
        _, self.lane = FeedLaneWriter.local(1 << 20)
        self.turns = Turns(lambda warming: self.session.drain(self.lane, FRAMES_PER_TURN, warming=warming), busy=False)
        self.turns.start(loop)
        self.held = []

    async def connect(self, port, listener):
        transport, _ = await ws_connect(lambda: listener, f"ws://127.0.0.1:{port}/stream", enable_auto_ping=True,
                                        auto_ping_idle_timeout=PING_S, auto_ping_reply_timeout=PING_S,
                                        auto_ping_strategy=WSAutoPingStrategy.PING_WHEN_IDLE, max_frame_size=16 << 20,
                                        websocket_handshake_timeout=30.0)
        return transport, listener

    async def open(self, port, wanted):
        while len(self.held) < wanted:
            numbers = range(len(self.held), min(len(self.held) + TOGETHER, wanted))
            self.held += await asyncio.gather(*(self.connect(port, FeedListener(
                self.session, 0, n % CONNECTION_NUMBERS, turn_clock=self.turns.clock)) for n in numbers))
        gc.collect()
        print("opened", len(self.held), rss_bytes(), flush=True)

    async def measure(self, port, count):
        listener = self.module.StampedFeedListener(self.session, 1, 0, turn_clock=self.turns.clock)
        done = listener.measure(self.stamps.ns, count)
        transport, _ = await self.connect(port, listener)
        frames_before, begin = sum(held.frames for _, held in self.held), rss_bytes()
        print("ready", flush=True)
        cpu_ns = time.process_time_ns()
        await done
        cpu_ns = time.process_time_ns() - cpu_ns
        await asyncio.sleep(0.2)
        end = rss_bytes()
        transport.disconnect(False)
        await transport.wait_disconnected()
        self.session.engine.publish_state()
        totals = StatePage(self.session.engine.state_buffer).totals()
        alive = sum(not held.closed for _, held in self.held)
        print("done", cpu_ns, listener.frames, listener.bytes_received, json.dumps({
            "others": sum(held.frames for _, held in self.held) - frames_before, "alive": alive, "rss_begin": begin,
            "rss_end": end, "errors": totals["frame_errors"], "frames": totals["frames"]}), flush=True)


def hold(core, stamps, module, files):
    """Commands on stdin: `open PORT N`, `measure PORT COUNT`."""
    benchlib.pin(core)
    raise_files(files)
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    holder = Holder(loops.module_of(module), Stamps(stamps), loop)
    gc.freeze()
    for line in sys.stdin:
        what, port, n = line.split()
        loop.run_until_complete((holder.open if what == "open" else holder.measure)(int(port), int(n)))


# ---- instruments
def instrument_rss(count):
    """RSS of an engine with so many instruments, each with a synchronised book: bytes before and after."""
    snapshot, messages = feedlib.recorded()
    messages = feedlib.of_kind(messages, "depth")[:300]
    spec = benchlib.spec(None, {}, mode="paper")
    spec["instruments"] = [{**spec["instruments"][0], "venue_symbol": f"B{n:06d}", "book_window_ticks": WINDOW_TICKS}
                           for n in range(count)]
    writer = EventWriter.local(RING_SLOTS)
    gc.collect()
    before = rss_bytes()
    session = Session(Engine(spec, writer), benchlib.PAPER)
    built = rss_bytes()
    for n in range(count):
        symbol = f"B{n:06d}".encode()
        session.on_frame(snapshot, 0, n)
        for data in messages:
            session.on_frame(data.replace(b"BTCUSDT", symbol), 1, n)
    session.engine.publish_state()
    applied = StatePage(session.engine.state_buffer).totals()["book_messages"]
    print(json.dumps({"before": before, "built": built, "used": rss_bytes(), "book_messages": applied}))


def instruments_case(module, counts):
    found = {}
    for count in counts:
        done = subprocess.run([sys.executable, __file__, "--instruments", str(count)], capture_output=True, text=True, check=True)
        found[count] = json.loads(done.stdout.splitlines()[-1])
    used = [found[n]["used"] - found[n]["before"] for n in counts]
    built = [found[n]["built"] - found[n]["before"] for n in counts]
    parts = loops.module_of(module).instrument_bytes(WINDOW_TICKS)
    kib = round(slope(counts, used) / 1024, 1)
    return {"case": "rss_per_instrument", "unit": "KiB", "n": len(counts), **benchlib.single(kib),
            "built_kib": round(slope(counts, built) / 1024, 1), "counts": list(counts),
            "rss_kib": [round(u / 1024) for u in used], "book_window_ticks": WINDOW_TICKS,
            "reserved_bytes": {**parts, "sum": sum(parts.values())}, "book_messages": found[1]["book_messages"], "peers": {}}


# ---- connections
def take(holder, server, count, background):
    """(us of each measured message, what the holder found) of one run."""
    holder.taken[:count] = 0
    holder.ask(f"measure {server.port} {count}")
    holder.answer("ready")
    server.ask(f"mix {count} {MEASURED_RATE} {background}")
    sent = server.answer("sent")
    cpu_ns, messages, size, rest = holder.answer("done")
    found = {"cpu_ns": int(cpu_ns), "background_sent": int(sent[1]), **json.loads(rest)}
    if int(messages) != count or found["errors"] or int(size) != int(server.sizes[:count].sum()):
        raise RuntimeError(f"expected {count} messages without errors, found {messages} and {found}")
    if found["others"] != found["background_sent"]:
        raise RuntimeError(f"expected {found['background_sent']} messages at the other connections, found {found['others']}")
    return one_way_us(holder, server, count), found


def connection_cases(place, module, cores, wanted, seconds):
    files = raise_files(wanted + SPARE_FILES)
    connections = min(wanted, files - SPARE_FILES)
    snapshot, messages = feedlib.recorded()
    messages = feedlib.of_kind(messages, "top")
    count = int(seconds * MEASURED_RATE)
    with ExitStack() as stack:
        server = stack.enter_context(feedlib.Server(place, "top", messages))
        command = [sys.executable, __file__, "--hold", "{stamps}", "--core", "{core}", "--module", module, "--files",
                   str(connections + SPARE_FILES)]
        holder = stack.enter_context(feedlib.Client(place, "holder", command, cores[1], len(messages)))
        counts, rss, opened_s = [], [], 0.0
        alone = None
        for step in STEPS:
            begin = time.monotonic()
            holder.ask(f"open {server.port} {round(connections * step)}")
            n, size = map(int, holder.answer("opened"))
            opened_s += time.monotonic() - begin
            counts.append(n)
            rss.append(size)
            if alone is None:
                alone, _ = take(holder, server, count, 0)
                rss.clear()                          # what the first messages touch is not a connection's
                holder.ask(f"open {server.port} {n}")
                rss.append(int(holder.answer("opened")[1]))
        among, found = take(holder, server, count, connections)
        server.ask("count")
        at_server = int(server.answer("count")[0])
    if found["alive"] != connections or at_server < connections:
        raise RuntimeError(f"expected {connections} connections at the end, found {found['alive']} and {at_server} at the server")
    alone, among = quiet([alone]), quiet([among])
    grown = (found["rss_end"] - found["rss_begin"]) / 1024
    kib = round(slope(counts, rss) / 1024, 2)
    memory = {"case": "rss_per_connection", "unit": "KiB", "n": connections, **benchlib.single(kib),
              "counts": counts, "rss_mib": [round(r / (1 << 20), 1) for r in rss], "connect_s": round(opened_s, 1), "peers": {}}
    flat = {"case": "rss_over_run", "unit": "KiB", "n": found["background_sent"] + count, **benchlib.single(round(grown, 1)),
            "share": round(grown * 1024 / found["rss_begin"], 4), "seconds": seconds, "peers": {}}
    delays = [{"case": "one_way_alone", "unit": "us", **alone, "peers": {}},
              {"case": "one_way_among_all", "unit": "us", **among, "floor": {"name": "one_way_alone", **alone},
               "ratio_to_floor": round(among["p50"] / alone["p50"], 2), "added_p50_us": round(among["p50"] - alone["p50"], 1),
               "added_p50_all_us": round(among["p50_all"] - alone["p50_all"], 1), "background_per_s": connections,
               "cpu_share": round(found["cpu_ns"] / 1e9 / seconds, 3), "peers": {}}]
    return [memory, flat, *delays], {"wanted": wanted, "connections": connections, "files": files, "processes": 1}


def main():
    parser = benchlib.arguments(__doc__)
    parser.add_argument("--quick", action="store_true", help="200 connections for a second")
    parser.add_argument("--connections", type=int, help=f"how many; default {CONNECTIONS}")
    parser.add_argument("--only", nargs="+", choices=("connections", "instruments"), default=("connections", "instruments"))
    parser.add_argument("--hold", metavar="STAMPS", help="be the process with the connections (used by the benchmark itself)")
    parser.add_argument("--module", help="feed_loop, already compiled; default: compiled now")
    parser.add_argument("--files", type=int, default=0)
    parser.add_argument("--instruments", type=int, help="be an engine with so many instruments (used by the benchmark itself)")
    options = parser.parse_args()
    if options.hold:
        hold(options.core, options.hold, options.module, options.files)
        return 0
    if options.instruments:
        instrument_rss(options.instruments)
        return 0
    processors = sorted(os.sched_getaffinity(0))
    if len(processors) < 2:
        print("bench_connections: expected two processors, found one", file=sys.stderr)
        return 1
    wanted = options.connections or (200 if options.quick else CONNECTIONS)
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="tickpath-bench-connections-", dir=memory if memory.is_dir() else None) as directory:
        place = feedlib.Workplace(directory, processors[0], feedlib.recorded()[0])
        module = options.module or str(loops.build("feed_loop", directory))
        cases, limits = [], None
        if "connections" in options.only:
            cases, limits = connection_cases(place, module, (processors[0], processors[-1]), wanted, 1 if options.quick else 8)
        if "instruments" in options.only:
            cases.append(instruments_case(module, INSTRUMENT_COUNTS[:3] if options.quick else INSTRUMENT_COUNTS))
    benchlib.finish({"name": "bench_connections", "machine": benchlib.machine(), "cores": [processors[0], processors[-1]],
                     "load": [round(v, 2) for v in os.getloadavg()[:1]], "limits": limits, "cases": cases, "missing": []},
                    options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
