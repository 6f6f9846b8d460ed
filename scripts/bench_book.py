"""What does one level of the order book cost, in the core and from Python?

Workload: the generated market of l2_market.py: 1 M level changes behind a snapshot of 1,000 levels a side, 80 % within 10 ticks
of the top, best bid and ask read behind each change or message. `level_update`: book_set_level alone, on changes;
`message_1_level`, `message_10_levels`: book_apply of whole messages (sequence check, window, crossed book), ns a level.
Times are those of the best pass over each short stretch, since a shared machine disturbs a whole pass; p50_all is over all.
`python_call_kN`: OrderBook.apply of a message with N levels from a Python loop, the loop included, ns a call, against
80 ns + 15 ns a level; `python_call`: messages of 1 to 40 levels, mostly short, as depth streams are.

Floor: scripts/floors/book.c, the plainest ladder, same changes, in the same run. All books must end alike, level for level,
and show the same best prices all the way, before a time is printed (exit 3).
Exit 3 as well: the floor is more than 1.3 times slower than the reference program's (TICKPATH_BENCH_REFERENCE).
Peer: hftbacktest's ROI-vector depth over the same changes, its event loop subtracted, where `make bench PEERS=1` installed it.
"""
import gc
import importlib.util
import json
import os
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

import numpy as np

import benchlib
import loops
from l2_market import l2_changes
from tickpath.market import OrderBook
from tickpath.market.book import BookResult
from tickpath.types import DTYPES, SLOT_DTYPE, EventType

N = 1_000_000
STRETCH = 20_000                                 # changes timed together, as in book.c
PASSES = 3                                       # of a round
TARGET_NS = 12.0
CALL_NS, CALL_LEVEL_NS = 80.0, 15.0
ASK, SNAPSHOT, FIRST, LAST = 1, 2, 4, 8          # types.pxd, DELTA_*
FLOOR_LIMIT = 1.3
WINDOW = 100                                     # calls timed together
CALL_PASSES = 5                                  # at a time
CALLS = 2000                                     # messages a pass: they stay in the cache, as fresh ones do
GOLDEN = 0x9E3779B97F4A7C15


def records(changes, first_id, counts=None):
    """BookDelta records of consecutive messages; counts: levels of each, one each when left out."""
    out = np.zeros(len(changes), DTYPES[EventType.EV_BOOK_DELTA])
    out["type"], out["venue"] = EventType.EV_BOOK_DELTA, 1
    counts = np.ones(len(changes), np.int64) if counts is None else counts
    ends = np.cumsum(counts)
    out["first_update_id"] = out["last_update_id"] = np.repeat(first_id + np.arange(len(counts)), counts)
    out["flags"] = changes[:, 0]
    out["flags"][ends - counts] |= FIRST
    out["flags"][ends - 1] |= LAST
    out["price_ticks"], out["qty_lots"] = changes[:, 1], changes[:, 2]
    return out, ends


def opened(snapshot):
    """A book with the snapshot applied; the next message has update id 2."""
    book = OrderBook()
    out, _ = records(snapshot, 1, np.array([len(snapshot)]))
    out["flags"] |= SNAPSHOT
    if book.apply(out.view(SLOT_DTYPE)) != BookResult.BOOK_SYNCED:
        raise RuntimeError("the snapshot was not applied")
    return book


def fingerprint(book):
    """As book.c prints it: 'bids HASH COUNT asks HASH COUNT', worst price first."""
    parts = []
    for name, levels, reverse in zip(("bids", "asks"), book.levels(), (False, True), strict=True):
        h = 0
        for price in sorted(levels, reverse=reverse):
            h = ((h ^ price) * GOLDEN) & (1 << 64) - 1
            h = ((h ^ levels[price]) * GOLDEN) & (1 << 64) - 1
        parts.append(f"{name} {h} {len(levels)}")
    return " ".join(parts)


def floor(program, snapshot, changes, rounds):
    """(ns of each stretch, sum of what was read, fingerprint)."""
    with tempfile.NamedTemporaryFile() as f:
        f.write(np.array([len(snapshot), len(changes)], np.uint64).tobytes() + snapshot.tobytes() + changes.tobytes())
        f.flush()
        done = subprocess.run([program, f.name, str(rounds)], capture_output=True, text=True, check=True)
    *times, last = done.stdout.splitlines()
    _, total, *rest = last.split()
    return np.array(times, float), int(total), " ".join(rest)


def reference_ladder():
    """The reference program as a module, or None where there is none."""
    directory = Path(os.environ.get("TICKPATH_BENCH_REFERENCE") or benchlib.ROOT.parent / "shared" / "bench")
    if not (directory / "ladder.c").exists():
        return None
    with tempfile.TemporaryDirectory() as temporary:
        library = Path(temporary) / "ladder.so"
        subprocess.run(["gcc", "-O3", f"-march={benchlib.march()}", "-shared", "-fPIC", "-w",
                        f"-I{sysconfig.get_paths()['include']}", str(directory / "ladder.c"), "-o", str(library), "-lm"],
                       check=True)
        spec = importlib.util.spec_from_file_location("ladder", library)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module


def reference_ns(ladder, snapshot, changes, total):
    """ns of each stretch in one pass of the reference's ladder."""
    def columns(rows):
        return rows[:, 0].astype(np.int8), rows[:, 1].astype(np.int32), rows[:, 2].astype(np.float64)
    ladder.reset(int(snapshot[0, 1]) - 32768)
    ladder.replay(*columns(snapshot))
    parts = [columns(changes[at:at + STRETCH]) for at in range(0, len(changes), STRETCH)]
    times, found = [], 0
    for part in parts:
        begin = time.perf_counter_ns()
        found += ladder.replay(*part)
        times.append(time.perf_counter_ns() - begin)
    if found != total:
        raise RuntimeError(f"reference ladder: expected a sum of {total}, found {found}")
    return np.array(times, float)


def update_pass(loop, snapshot, changes, total, alike):
    """ns of each stretch through book_set_level, its answers checked."""
    book = opened(snapshot)
    found = [loop.level_update(book, changes[at:at + STRETCH]) for at in range(0, len(changes), STRETCH)]
    expect_same("sum of best prices, level_update", total, sum(read for _, read in found))
    expect_same("final levels, level_update", alike, fingerprint(book))
    return np.array([ns for ns, _ in found], float)


def message_pass(loop, snapshot, slots, ends, total, alike):
    """ns of each stretch through book_apply, its answers checked; total is None where the bests are read more rarely."""
    book, words = opened(snapshot), slots.view(np.uint64)
    size = STRETCH * len(ends) // len(slots)
    times, read = [], 0
    for at in range(0, len(ends), size):
        first = ends[at - 1] if at else 0
        ns, part = loop.messages(book, words[8 * first:], ends[at:at + size] - first, int(BookResult.BOOK_APPLIED))
        times.append(ns)
        read += part
    if total is not None:
        expect_same("sum of best prices, messages", total, read)
    expect_same("final levels, messages", alike, fingerprint(book))
    return np.array(times, float)


def time_calls(snapshot, messages):
    """ns a call of each window of calls: the messages, in order, into a fresh book."""
    apply = opened(snapshot).apply
    found = []
    gc.disable()
    for at in range(0, len(messages), WINDOW):
        part = messages[at:at + WINDOW]
        begin = time.perf_counter_ns()
        for message in part:
            apply(message)
        found.append((time.perf_counter_ns() - begin) / len(part))
    gc.enable()
    return np.array(found)


def call_messages(snapshot, changes, counts):
    """Messages of so many levels each, shown to apply."""
    out, ends = records(changes[:int(counts.sum())], 2, counts)
    messages = [out[end - n:end].view(SLOT_DTYPE) for end, n in zip(ends, counts, strict=True)]
    book = opened(snapshot)
    results = {book.apply(m) for m in messages}
    if results != {int(BookResult.BOOK_APPLIED)}:
        raise RuntimeError(f"python_call: expected every message applied, found results {results}")
    return messages


def call_case(name, windows, best, levels):
    """windows: ns a call of every window of every pass; best: of each window the best pass."""
    figures = benchlib.percentiles(windows)
    figures["p50_all"], figures["p50"] = figures["p50"], round(float(best.mean()), 1)
    target = CALL_NS + CALL_LEVEL_NS * levels
    return {"case": name, "unit": "ns/call", **figures, "n": len(windows) * WINDOW, "levels": round(levels, 2),
            "target": round(target, 1), "ratio_to_target": round(figures["p50"] / target, 2), "peers": {}}


def hftbacktest_peer(core):
    python = benchlib.peers_python()
    if python is None:
        return None
    done = subprocess.run([python, str(benchlib.ROOT / "scripts" / "peers" / "hftbacktest_book.py"), str(N), str(core)],
                          capture_output=True, text=True)
    if done.returncode:
        print(f"hftbacktest: {done.stderr.strip().splitlines()[-1] if done.stderr.strip() else 'failed'}", file=sys.stderr)
        return None
    return json.loads(done.stdout.splitlines()[-1])


def expect_same(what, expected, found):
    if expected != found:
        print(f"bench_book: {what}: expected {expected}, found {found}", file=sys.stderr)
        sys.exit(3)


def main():
    options = benchlib.arguments(__doc__).parse_args()
    benchlib.pin(options.core)
    loop = loops.load("book_loop")
    program = benchlib.build_floor("book")
    ladder = reference_ladder()
    changes, snapshot = l2_changes(N)
    ones, one_ends = records(changes, 2)
    tens, ten_ends = records(changes, 2, np.full(N // 10, 10))
    _, total, alike = floor(program, snapshot, changes, 1)
    runs = {"floor": lambda: floor(program, snapshot, changes, 1)[0],
            "level_update": lambda: update_pass(loop, snapshot, changes, total, alike),
            "message_1_level": lambda: message_pass(loop, snapshot, ones, one_ends, total, alike),
            "message_10_levels": lambda: message_pass(loop, snapshot, tens, ten_ends, None, alike)}
    if ladder:
        runs["reference"] = lambda: reference_ns(ladder, snapshot, changes, total)
    mix = np.random.default_rng(5)
    counts = {f"python_call_k{k}": np.full(CALLS, k) for k in (1, 5, 20)}
    counts["python_call"] = np.minimum(1 + mix.geometric(0.18, CALLS) * (mix.random(CALLS) < 0.7), 40)
    calls = {name: call_messages(snapshot, changes, levels) for name, levels in counts.items()}
    windows = {name: [] for name in calls}
    # Turn about, so that every program meets the same moods of the machine; of each stretch the best pass counts.
    best, passes = {}, {name: [] for name in runs}
    for _ in range(options.rounds * PASSES):
        for name, run in runs.items():
            stretches = run()
            passes[name].append(float(stretches.sum()) / N)
            best[name] = np.minimum(best.get(name, stretches), stretches)
        for name, messages in calls.items():
            windows[name] += [time_calls(snapshot, messages) for _ in range(CALL_PASSES)]
    per_change = {name: float(stretches.sum()) / N for name, stretches in best.items()}
    peer = hftbacktest_peer(options.core)
    cases = []
    for name in ("level_update", "message_1_level", "message_10_levels"):
        p50, worst = per_change[name], round(max(passes[name]), 2)
        case = {"case": name, "unit": "ns", "n": N, "p50": round(p50, 2), "p99": worst, "p999": worst, "max": worst,
                "p50_all": round(float(np.median(passes[name])), 2), "target": TARGET_NS,
                "floor": {"p50": round(per_change["floor"], 2)}, "ratio_to_floor": round(p50 / per_change["floor"], 2),
                "peers": {}}
        if peer:
            case["peers"]["hftbacktest"] = {"p50": round(peer["net_ns"], 1), "p99": round(peer["gross_ns"], 1),
                                            "version": peer["version"]}
            case["ratio_to_best_peer"] = round(p50 / peer["net_ns"], 2)
        cases.append(case)
    for name, messages in calls.items():
        levels = sum(map(len, messages)) / len(messages)
        cases.append(call_case(name, np.concatenate(windows[name]), np.min(windows[name], axis=0), levels))
    missing = [] if peer else ["hftbacktest"]
    result = {"name": "bench_book", "machine": benchlib.machine(), "rounds": options.rounds, "cases": cases, "missing": missing}
    limit = FLOOR_LIMIT * per_change.get("reference", float("inf"))
    if ladder:
        result["reference"] = {"floor": round(per_change["floor"], 2), "reference": round(per_change["reference"], 2),
                               "ratio": round(per_change["floor"] / per_change["reference"], 2)}
    benchlib.finish(result, options.json)
    if per_change["floor"] > limit:
        print(f"bench_book: floor: expected at most {limit:.1f} ns, {FLOOR_LIMIT} times the reference, found "
              f"{per_change['floor']:.1f} ns", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
