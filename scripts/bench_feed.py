"""How long does a venue's message take from the socket to the event ring, how many go through, and at what cost of CPU?

Workload: the committed Binance spot captures (bookTicker, trade, depth; payloads as recorded) from a C server on loopback
(scripts/floors/feed_server.c, pinned to the first core, spinning on its schedule; when it sent message i stands in shared
memory) to clients pinned to the last core: one server, the same messages, rounds in turns. `tickpath` is the daemon's path
(scripts/feed_clients.py): uvloop, FeedListener, Engine with its ring in a shared segment, the engine process's turn between
frames. Its stamp of a message is taken when the message's records are in the ring (behind FeedListener._take). `picows` is a
compiled picows client that stamps at the callback and looks at no byte. The floor is a C client that stamps each frame.

`one_way_busy`, `one_way_sleep`: us from the server's send to the client's stamp, 5,000 messages a second; the loop never
sleeps, or waits in epoll. From the quietest tenth of the windows of 10 messages of all rounds (p50_all, p99_all: of all);
messages that the server itself sent more than 20 us late are left out.
`one_way_tls`: the same from a picows server (scripts/feed_tls_server.py) over TLS 1.3; `floor` is ours without TLS.
`sustained`: the rate up to which the lag behind the schedule does not grow: rates rise in steps, messages that are due together
leave in one send; a rate holds when the median lag of the last fifth of its messages is at most 0.3 ms above that of the second
fifth, in one of four attempts. lag_us: of the highest rate that held.
`cpu_rate_…`, `cpu_burst_…`: ns of the process's CPU a message, kernel included, while the loop may sleep: at 2,000 a second,
and as fast as the server can send. p50 is the median round; `times_ours` the median of peer over ours, round by round.
`…_book` is bookTicker and depth with a full book, the work that all peers do; `…_trade` leaves cryptofeed out, which takes
aggTrade only. At a fixed rate the wake-ups of the kernel are most of it: see the floor.

Peers (make bench PEERS=1; what each does stands in scripts/peers/feed_peers.py): websockets + orjson, cryptofeed, ccxt.pro.
"""
import os
import sys
import tempfile
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path

import numpy as np

import benchlib
import feedlib
import loops
from tickpath_sim.tls import TlsError, make_certificates

ONE_WAY_RATE, CPU_RATE = 5_000, 2_000
WINDOW = 10                          # messages: 2 ms at ONE_WAY_RATE, less than the scheduler's slice
LATE_NS = 20_000
CPU_CASES = (("book", CPU_RATE), ("book", 0), ("bookTicker", 0), ("depth", 0), ("trade", 0))     # kind, rate (0: burst)
FLAT_NS = 300_000
STEP_S = 0.25                        # of a rate
FAST_RATES = (50_000, 100_000, 200_000, 300_000, 400_000, 500_000, 600_000, 700_000, 800_000, 1_000_000, 1_200_000, 1_500_000,
              2_000_000, 3_000_000)
SLOW_RATES = (1_000, 2_000, 4_000, 6_000, 8_000, 10_000, 15_000, 20_000, 30_000, 40_000, 60_000, 80_000, 120_000, 160_000)
ATTEMPTS = 4
WORK = {"picows": "no decode", "websockets": "orjson, dict book in floats, best bid and ask",
        "cryptofeed": "Binance class: Decimal book (C), ticker", "ccxt": "ccxt.pro binance: watch_order_book, watch_bids_asks, "
        "watch_trades"}
PARTS = ("one_way", "tls", "sustained", "cpu")
TARGET = {"one_way_to_picows": 1.2, "sustained_per_s": 300_000, "cpu_to_cryptofeed": 8, "cpu_to_ccxt": 20}


class Sizes:
    def __init__(self, quick, rounds):
        self.rounds = 1 if quick else rounds
        self.one_way = 300 if quick else 1_000
        self.cpu_rate, self.cpu_burst = (60, 300) if quick else (600, 3_000)
        self.step_s = 0.02 if quick else STEP_S
        self.fast_rates = FAST_RATES[:4:3] if quick else FAST_RATES
        self.slow_rates = SLOW_RATES[:2] if quick else SLOW_RATES


# ---- one way
def one_way_us(client, server, count):
    """us of each message of the last round, but for the first tenth, which warms, and those that the server sent late: it had
    lost its core, and what it then sends at once waits for itself."""
    due, sent = server.times[count // 10:count].T
    return ((client.taken[count // 10:count] - sent) / 1000)[sent - due < LATE_NS]


def quiet(rounds):
    """Percentiles over the quietest tenth of the windows of all rounds, and over all."""
    windows = np.concatenate([r[:len(r) // WINDOW * WINDOW].reshape(-1, WINDOW) for r in rounds])
    if len(windows) == 0:
        raise RuntimeError("the server was never on time: the machine is too busy to measure")
    best = windows[np.argsort(np.median(windows, axis=1))[:max(1, len(windows) // 10)]].reshape(-1)
    every = np.concatenate(rounds)
    return {**benchlib.percentiles(best), "p50_all": round(float(np.median(every)), 1),
            "p99_all": round(float(np.percentile(every, 99)), 1), "n_all": len(every)}


def check_ours(found, count):
    """What came in must have gone through the engine, and, where it still stands there, into the ring."""
    if found["errors"] or found["refused"] or found["gaps"] or found["data_frames"] != count \
            or found["ring_frames"] not in (None, count):
        raise RuntimeError(f"tickpath: expected {count} frames through the engine without errors or gaps, found {found}")


def in_turns(clients, number):
    """The clients, another first each round: a drift of the machine favours none."""
    at = number % len(clients)
    return clients[at:] + clients[:at]


def measure_one_way(clients, server, sizes, busy):
    found = {c.name: [] for c in clients}
    events = 0
    for number in range(sizes.rounds):
        for client in in_turns(clients, number):
            result = client.round(server, sizes.one_way, ONE_WAY_RATE, busy)
            found[client.name].append(one_way_us(client, server, sizes.one_way))
            if client.name == "tickpath":
                check_ours(result, sizes.one_way)
                events = result["events"]
    return {name: quiet(rounds) for name, rounds in found.items()}, events


def one_way_case(name, figures, events, sizes):
    ours, bare, floor = figures["tickpath"], figures["picows"], figures["c"]
    return {"case": name, "unit": "us", **ours, "messages": sizes.one_way * sizes.rounds, "events_a_round": events,
            "floor": {"name": "C client", **floor}, "ratio_to_floor": round(ours["p50"] / floor["p50"], 2),
            "ratio_to_best_peer": round(ours["p50"] / bare["p50"], 2),
            "ratio_of_p99_to_best_peer": round(ours["p99"] / bare["p99"], 2),
            "peers": {"picows": {**bare, "work": WORK["picows"]}}}


# ---- sustained
def growth_ns(client, server, count):
    """(how much the median lag behind the schedule grew from the second to the last fifth, p50 and p99 of the whole)."""
    lag = client.taken[:count] - server.times[:count, 0]
    fifths = np.array_split(lag, 5)
    return float(np.median(fifths[4]) - np.median(fifths[1])), float(np.median(lag)), float(np.percentile(lag, 99))


def holds(client, server, rate, sizes):
    """{"p50", "p99"} of the lag (us) when the client keeps up with the rate, else None."""
    count = int(min(server.count, max(100, rate * sizes.step_s)))
    for _ in range(ATTEMPTS):
        result = client.round(server, count, rate, client.name in ("c", "picows", "tickpath"))
        if client.name == "tickpath":
            check_ours(result, count)
        growth, p50, p99 = growth_ns(client, server, count)
        if growth < FLAT_NS:
            return {"p50": round(p50 / 1000, 1), "p99": round(p99 / 1000, 1)}
    return None


def knee(client, server, rates, sizes):
    """{"per_s", "lag_us", "lags_us"}: the highest rate that held and the lags of all that did; the end is two in a row that did
    not, since a machine that takes the core away makes any rate fail."""
    best, lags, failed = None, {}, []
    for rate in rates:
        lag = holds(client, server, rate, sizes)
        if lag is None:
            failed.append(rate)
            if len(failed) > 1 and rates.index(failed[-1]) - rates.index(failed[-2]) == 1:
                break
            continue
        lags[rate], best = lag, rate
    return {"per_s": best or 0, "lag_us": lags.get(best), "lags_us": {str(k): v for k, v in lags.items()},
            "grew_at_per_s": next((r for r in failed if best is None or r > best), None)}


def sustained_case(found, versions):
    ours, floor = found["tickpath"], found["c"]
    per_message = {name: round(1e9 / f["per_s"], 1) if f["per_s"] else None for name, f in found.items()}
    peers = {name: {"p50": per_message[name], "p99": per_message[name], "version": versions.get(name), "work": WORK[name], **f}
             for name, f in found.items() if name not in ("tickpath", "c")}
    return {"case": "sustained", "unit": "ns/message", "n": len(ours["lags_us"]), **benchlib.single(per_message["tickpath"]),
            **ours,
            "floor": {"name": "C client", "p50": per_message["c"], **floor},
            "ratio_to_floor": round(floor["per_s"] / ours["per_s"], 2) if ours["per_s"] else None, "peers": peers}


# ---- CPU
def measure_cpu(clients, server, sizes, rate):
    """{client: [ns of CPU a message, by round]}."""
    count = min(server.count, sizes.cpu_rate if rate else sizes.cpu_burst)
    found = {c.name: [] for c in clients}
    for number in range(sizes.rounds):
        for client in in_turns(clients, number):
            result = client.round(server, count, rate, False)
            found[client.name].append(result["cpu_ns"] / count)
            if client.name == "tickpath":
                check_ours(result, count)
    return found, count


def cpu_case(name, found, count, versions):
    ours, floor = np.array(found["tickpath"]), float(np.median(found["c"]))
    peers = {peer: {"p50": round(float(np.median(values)), 1), "p99": round(max(values), 1), "best": round(min(values), 1),
                    "version": versions.get(peer), "work": WORK[peer],
                    "times_ours": round(float(np.median(np.array(values) / ours)), 2)}
             for peer, values in found.items() if peer not in ("tickpath", "c")}
    others = [p["p50"] for peer, p in peers.items() if peer != "picows"]
    case = {"case": name, "unit": "ns CPU/message", **benchlib.percentiles(ours), "best": round(float(ours.min()), 1),
            "messages_a_round": count, "floor": {"name": "C client, no decode", "p50": round(floor, 1)},
            "ratio_to_floor": round(float(np.median(ours)) / floor, 2), "peers": peers}
    if others:
        case["ratio_to_best_peer"] = round(float(np.median(ours)) / min(others), 3)
    return case


# ---- TLS
class PicowsServer(feedlib.Server):
    """feed_tls_server instead of feed_server, behind the same words."""

    def __init__(self, place, name, messages, certificate):
        self.certificate = certificate
        super().__init__(place, name, messages)

    def command(self, place, path, times):
        return [sys.executable, benchlib.ROOT / "scripts" / "feed_tls_server.py", place.server_core, path, times,
                *self.certificate]


def tls_case(place, messages, core, module, sizes):
    """Ours over TLS, and without from the same kind of server."""
    ca, certificate, key = make_certificates(place.directory)
    with ExitStack() as stack:
        servers = {name: stack.enter_context(PicowsServer(place, name, messages, pair))
                   for name, pair in (("plain", ()), ("tls", (certificate, key)))}
        clients = {name: stack.enter_context(feedlib.own_client(
            place, "tickpath", core, len(messages), module,
            env={**os.environ, **({"TICKPATH_BENCH_CA": str(ca)} if name == "tls" else {})})) for name in servers}
        found = {name: [] for name in servers}
        for number in range(sizes.rounds):
            for name in in_turns(list(servers), number):
                result = clients[name].round(servers[name], sizes.one_way, ONE_WAY_RATE, True)
                check_ours(result, sizes.one_way)
                found[name].append(one_way_us(clients[name], servers[name], sizes.one_way))
    tls, plain = quiet(found["tls"]), quiet(found["plain"])
    return {"case": "one_way_tls", "unit": "us", **tls, "floor": {"name": "ours without TLS", **plain},
            "ratio_to_floor": round(tls["p50"] / plain["p50"], 2), "added_us": round(tls["p50"] - plain["p50"], 1), "peers": {}}


def main():
    parser = benchlib.arguments(__doc__)
    parser.add_argument("--quick", action="store_true", help="one round of few messages: shows that it runs, measures little")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="parts to run; default: all")
    parser.add_argument("--module", help="feed_loop, already compiled; default: compiled now")
    parser.add_argument("--no-peers", action="store_true", help="leave out what needs the peers' environment")
    options = parser.parse_args()
    processors = sorted(os.sched_getaffinity(0))
    if len(processors) < 2:
        print("bench_feed: expected two processors, found one", file=sys.stderr)
        return 1
    cores = processors[0], max(c for c in processors if c != processors[0])
    sizes = Sizes(options.quick, options.rounds)
    snapshot, messages = feedlib.recorded()
    python = None if options.no_peers else benchlib.peers_python()
    versions = feedlib.peer_versions(python)
    load_before = os.getloadavg()[0]
    cases, missing = [], [f"{p}: no peer figures" for p in WORK if p not in versions and p != "picows"]
    memory = Path("/dev/shm")
    with ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="tickpath-bench-feed-",
                                                                   dir=memory if memory.is_dir() else None))
        place = feedlib.Workplace(directory, cores[0], snapshot)
        module = options.module or loops.build("feed_loop", directory)
        most = len(messages)
        servers = {kind: stack.enter_context(feedlib.Server(place, kind, feedlib.of_kind(messages, kind)))
                   for kind in ("mixed", "book", "bookTicker", "depth", "trade")}
        own = [stack.enter_context(feedlib.own_client(place, kind, cores[1], most, module)) for kind in ("picows", "tickpath")]
        fast = [stack.enter_context(feedlib.c_client(place, cores[1], most)), *own]
        peers = {name: stack.enter_context(feedlib.peer_client(place, python, name, cores[1], most)) for name in versions}
        versions["picows"] = version("picows")
        for name, busy in (("one_way_busy", True), ("one_way_sleep", False)) if "one_way" in options.only else ():
            figures, events = measure_one_way(fast, servers["mixed"], sizes, busy)
            cases.append(one_way_case(name, figures, events, sizes))
        if "tls" in options.only:
            try:
                cases.append(tls_case(place, servers["mixed"].messages[:sizes.one_way], cores[1], module, sizes))
            except TlsError as e:
                missing.append(f"one_way_tls: {e}")
        if "sustained" in options.only:
            found = {c.name: knee(c, servers["mixed"], sizes.fast_rates, sizes) for c in fast}
            found.update({name: knee(c, servers["book"], sizes.slow_rates, sizes) for name, c in peers.items()})
            cases.append(sustained_case(found, versions))
        for kind, rate in CPU_CASES if "cpu" in options.only else ():
            these = fast + [c for name, c in peers.items() if (name, kind) != ("cryptofeed", "trade")]
            name = f"cpu_{'rate' if rate else 'burst'}_{kind}"
            cases.append(cpu_case(name, *measure_cpu(these, servers[kind], sizes, rate), versions))
    benchlib.finish({"name": "bench_feed", "machine": benchlib.machine(), "rounds": sizes.rounds, "cores": list(cores),
                     "load": [round(load_before, 2), round(os.getloadavg()[0], 2)], "target": TARGET, "cases": cases,
                     "missing": missing}, options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
