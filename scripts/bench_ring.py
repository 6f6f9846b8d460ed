"""How long does an event take from the engine's process to another one, and how many go through in a second?

Workload: 64-byte events from a process on one core to a process on another, through the event ring's own text (ring.h, which
the engine compiles) in scripts/floors/ring.c. `one_way`: half a round trip through two rings, nothing else under way;
`one_way_paced`: an event a microsecond, from its stamp to the reader's; `throughput`: as fast as it goes, publish and commit
of every event, nothing lost. `_segment`: the same through a segment that create_segment made, of the configured size.
`one_way_python`: the same segment, read with EventReader.read_into from Python. Unit: ns, or events a second.

Floors, in the same program and the same round: a cache line to and fro (`one_way`), plain C rings with the sequence in the
slot and with head and tail (paced, throughput). Figures come from the quietest tenth of windows of 1 to 2 ms, and a case is the
round whose ratio to its own floor is the median of all rounds.
Exit 3: a floor is more than 1.3 times slower than the like-named one of the reference program (TICKPATH_BENCH_REFERENCE).
Peer: ZeroMQ over ipc, where `make bench PEERS=1` has installed it into an environment of its own.
"""
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import benchlib
from tickpath.shm.ring import EventReader, ring_bytes
from tickpath.shm.segment import SHM_DIR, create_segment
from tickpath.types import SLOT_DTYPE

RING_SLOTS = 262144                 # the default of storage.ring_slots
PYTHON_EVENTS, PYTHON_GAP_NS = 20_000, 20_000
ROUNDS_A_RUN = 3                    # short ones: their figures stand close to each other in time
FLOOR_LIMIT = 1.3
# case: (of the program, its floor, all floors to show)
LATENCY = {"one_way": ("tickpath_ping", "ping_pong", ("ping_pong", "ping_pong_tight", "seq_slot_ping")),
           "one_way_paced": ("tickpath", "seq_slot", ("seq_slot", "index_ring")),
           "one_way_segment": ("tickpath_segment", "seq_slot", ("seq_slot", "index_ring"))}
RATE = {"throughput": "tickpath", "throughput_segment": "tickpath_segment"}
# Lines of the reference program: (pattern of its line, kind, our floor of the same name)
REFERENCE = [(r"^ping-pong one-way \(with pause\).* p50 +([\d.]+)", "latency", "ping_pong"),
             (r"^SPSC seq-in-slot one-way paced.* p50 +([\d.]+)", "latency", "seq_slot"),
             (r"^SPSC index ring one-way paced.* p50 +([\d.]+)", "latency", "index_ring"),
             (r"^SPSC seq-in-slot throughput +([\d.]+) M", "rate", "seq_slot"),
             (r"^SPSC index ring throughput publish/1 +([\d.]+) M", "rate", "index_ring")]


def run_program(program, cores, segment_file):
    """[{(kind, case): fields}] of each round. latency: n, p50, p99, p999, max, p50 of all; rate: n, per_s, per_s of all."""
    done = subprocess.run([program, str(ROUNDS_A_RUN), *map(str, cores), segment_file], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"ring: expected exit 0, found {done.returncode}: {done.stderr.strip()}")
    rounds = []
    for line in done.stdout.splitlines():
        kind, name, *fields = line.split()
        if (kind, name) == ("latency", "ping_pong"):
            rounds.append({})
        rounds[-1][kind, name] = [float(f) for f in fields]
    return rounds


def python_reader(program, cores, instance):
    """ns from the writer's stamp to the end of read_into, by the monotonic clock, for each event."""
    from time import monotonic_ns
    out = np.zeros(64, SLOT_DTYPE)
    stamps, found = out["ts_recv_ns"], np.zeros(PYTHON_EVENTS)
    with create_segment(instance, "ring", ring_bytes(RING_SLOTS), slot_count=RING_SLOTS) as segment:
        reader = EventReader(segment.buffer, 1)
        benchlib.pin(cores[1])
        writer = subprocess.Popen([program, "write", str(cores[0]), SHM_DIR + segment.name, str(PYTHON_EVENTS),
                                   str(PYTHON_GAP_NS)])
        count = 0
        try:
            while count < PYTHON_EVENTS:
                n = reader.read_into(out)
                if n:
                    found[count:count + n] = monotonic_ns() - stamps[:n]
                    count += n
                elif writer.poll() not in (None, 0):
                    raise RuntimeError(f"ring write: expected exit 0, found {writer.returncode}")
        finally:
            writer.kill()
            writer.wait()
    return quietest(found, 100)


def quietest(values, window):
    """The values of the tenth of the windows that has the lowest medians, as ring.c chooses them."""
    rows = values[:len(values) // window * window].reshape(-1, window)
    return rows[np.argsort(np.median(rows, axis=1))[:max(1, len(rows) // 10)]].reshape(-1)


def reference_directory():
    directory = Path(os.environ.get("TICKPATH_BENCH_REFERENCE") or benchlib.ROOT.parent / "shared" / "bench")
    return directory if (directory / "io_shm.c").exists() else None


def build_reference(directory, temporary):
    program = Path(temporary) / "io_shm"
    subprocess.run(["gcc", "-O3", f"-march={benchlib.march()}", str(directory / "io_shm.c"), "-o", str(program)], check=True)
    return program


def run_reference(program):
    """{(kind, floor): figure of one run of the reference program}, ns or events a second."""
    text = subprocess.run([program], capture_output=True, text=True, check=True).stdout
    return {(kind, floor): float(re.search(pattern, text, re.M).group(1)) * (1e6 if kind == "rate" else 1)
            for pattern, kind, floor in REFERENCE}


def against_reference(pairs):
    """{floor: ours, reference and ratio of the pair of runs, one behind the other, in which our floor did best}."""
    compared = {}
    for rounds, expected in pairs:
        for (kind, name), value in expected.items():
            ours = min(r[kind, name][1] for r in rounds) if kind == "latency" else max(r[kind, name][1] for r in rounds)
            ratio = round(ours / value if kind == "latency" else value / ours, 2)
            known = compared.get(f"{kind} {name}")
            if known is None or ratio < known["ratio"]:
                compared[f"{kind} {name}"] = {"ours": ours, "reference": value, "ratio": ratio}
    return compared


def zmq_peer(cores):
    """What scripts/peers/zmq_ipc.py measures in the peers' own environment, or None where there is none."""
    python = benchlib.peers_python()
    if python is None:
        return None
    done = subprocess.run([python, str(benchlib.ROOT / "scripts" / "peers" / "zmq_ipc.py"), *map(str, cores)],
                          capture_output=True, text=True)
    if done.returncode:
        print(f"zmq: {done.stderr.strip().splitlines()[-1] if done.stderr.strip() else 'failed'}", file=sys.stderr)
        return None
    return json.loads(done.stdout.splitlines()[-1])


def latency_fields(fields):
    n, p50, p99, p999, highest, p50_all = fields
    return {"n": int(n), "p50": p50, "p99": p99, "p999": p999, "max": highest, "p50_all": p50_all}


def latency_case(name, rounds):
    """The round whose ratio to the floor is the median of all: its own figures, its own floor. The distance of two cores
    changes on these machines within seconds (30, 60 or 180 ns), so that only figures of one round can be compared."""
    ours, floor, others = LATENCY[name]
    by_ratio = sorted(rounds, key=lambda r: r["latency", ours][1] / r["latency", floor][1])
    middle = by_ratio[len(by_ratio) // 2]
    best = min(r["latency", ours][1] for r in rounds)
    return {"case": name, "unit": "ns", **latency_fields(middle["latency", ours]), "best": best,
            "floor": {"name": floor, **latency_fields(middle["latency", floor])},
            "ratio_to_floor": round(middle["latency", ours][1] / middle["latency", floor][1], 2),
            "floors": {k: latency_fields(middle["latency", k]) for k in others}, "peers": {}}


def rate_case(name, rounds):
    """As latency_case: the round whose share of the plain C ring's rate is the median."""
    ours = RATE[name]
    by_share = sorted(rounds, key=lambda r: r["rate", ours][1] / r["rate", "seq_slot"][1])
    middle = by_share[len(by_share) // 2]
    slowest = round(1e9 / min(r["rate", ours][1] for r in rounds), 2)
    n, per_s, per_s_all = middle["rate", ours]
    floor = middle["rate", "seq_slot"][1]
    return {"case": name, "unit": "ns/event", "n": int(n), "p50": round(1e9 / per_s, 2), "p99": slowest, "p999": slowest,
            "max": slowest, "per_s": per_s, "per_s_all": per_s_all, "per_s_best": max(r["rate", ours][1] for r in rounds),
            "floor": {"name": "seq_slot", "p50": round(1e9 / floor, 2), "per_s": floor},
            "ratio_to_floor": round(floor / per_s, 2), "rate_share_of_floor": round(per_s / floor, 2),
            "floors": {k: {"per_s": middle["rate", k][1]} for k in ("seq_slot", "index_ring")}, "peers": {}}


def add_peers(cases, peer):
    for case in cases:
        kind = "rate" if case["unit"] == "ns/event" else "latency"
        for pattern, figures in peer["patterns"].items():
            found = {**figures["latency"], "version": peer["version"]}
            if kind == "rate":
                found = {"p50": 1e9 / figures["per_s"], "p99": 1e9 / figures["per_s"], "per_s": figures["per_s"],
                         "version": peer["version"]}
            case["peers"][f"zmq {pattern}"] = found
        case["ratio_to_best_peer"] = float(f"{case['p50'] / min(p['p50'] for p in case['peers'].values()):.2g}")


def main():
    options = benchlib.arguments(__doc__).parse_args()
    processors = sorted(os.sched_getaffinity(0))
    if len(processors) < 2:
        print("bench_ring: expected two processors, found one", file=sys.stderr)
        return 1
    cores = processors[0], processors[-1]
    program = benchlib.build_floor("ring")
    instance = f"bench-{os.getpid()}"
    directory = reference_directory()
    rounds, python_ns, pairs = [], None, []
    with (create_segment(instance, "ring", ring_bytes(RING_SLOTS), slot_count=RING_SLOTS) as segment,
          tempfile.TemporaryDirectory() as temporary):
        other = build_reference(directory, temporary) if directory else None
        for _ in range(options.rounds):
            found = run_program(program, cores, SHM_DIR + segment.name)
            rounds += found
            if other:
                pairs.append((found, run_reference(other)))
    peer = zmq_peer(cores)
    for _ in range(options.rounds):
        values = python_reader(program, cores, instance)
        if python_ns is None or np.median(values) < np.median(python_ns):
            python_ns = values
    cases = [latency_case(name, rounds) for name in LATENCY] + [rate_case(name, rounds) for name in RATE]
    cases.append({"case": "one_way_python", "unit": "ns", **benchlib.percentiles(python_ns), "peers": {}})
    if peer:
        add_peers(cases, peer)
    compared = against_reference(pairs)
    slow = [f"floor {name}: expected at most {FLOOR_LIMIT} times slower than the reference's {c['reference']:.0f}, found "
            f"{c['ours']:.0f}" for name, c in compared.items() if c["ratio"] > FLOOR_LIMIT]
    benchlib.finish({"name": "bench_ring", "machine": benchlib.machine(), "rounds": len(rounds), "cores": cores, "cases": cases,
                     "reference": compared, "missing": [] if peer else ["pyzmq"]}, options.json)
    for line in slow:
        print(f"bench_ring: {line}", file=sys.stderr)
    return 3 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
