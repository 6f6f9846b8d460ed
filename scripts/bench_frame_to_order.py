"""How long from a frame's first byte in memory to the encoded order? (frame_to_order_ns)

Workload: the committed Binance spot captures from first to last frame, in recorded order, no frame twice; every strategy
decision compiled, all nine steps stamped, ring and simulated venue on. `bookTicker` and `trade`: an order on every event;
`market_making`: whatever the market maker sends; `depth_capture`: an order on every recorded depth message (also as ns a
level); `aggTrade`, `depth20` (10 + 10 levels) and `executionReport` are generated messages, since the captures hold none.
Figures come from the LatencyEvent of each order, so they are what the running system measures. Unit: ns, own code only;
the frames of one turn follow each other at once (warm).

`…_cold_2m`, `…_cold_48m`: generated messages, one a turn; before each, 2 or 48 MiB of other memory are read and written on
the same core. `…_cold_48m_warmed`: with the engine's warming pass (idle turns) behind that.

`instructions`: of one generated frame of that kind, counted by scripts/instructions.py where valgrind is installed, else the
stored figure; `decode_floor_instructions`: what a hand-written AVX2 scanner needs for such a message.

Floor: scripts/floors/path.c, plain C on the same frames in the same run.
"""
import mmap
import struct
import subprocess
import sys
import tempfile

import numpy as np

import benchlib
import instructions
from tickpath.capture import read_capture
from tickpath.clock import calibrate_cycles_per_ns
from tickpath.engine import Engine
from tickpath.session import Session
from tickpath.shm.feed_lane import FeedLaneWriter
from tickpath.shm.ring import EventReader, EventWriter, records
from tickpath.shm.state_page import StatePage
from tickpath.types import EventType
from tickpathd.warming import attach_shadow

RING_SLOTS = 1 << 21
LANE_BYTES = 1 << 26
GENERATED_FRAMES = 30_000
# case suffix: (bytes of other memory, frames). The first frames of a run are not counted: they touch pages for the first time.
COLD = {"cold_2m": (2 << 20, 3000), "cold_48m": (48 << 20, 300)}
COLD_SKIPPED = 20
COLD_ROUNDS = 2
# AVX2 scanner of fixed key order and eight decimals, callgrind, instructions a message of this kind.
DECODE_FLOOR_INSTRUCTIONS = {"bookTicker": 464, "aggTrade": 551, "depth20": 3360}


def measure(frames, strategy, parameters, cycles_per_ns, stamps=True):
    """Run frames through a fresh engine; per order: (ns, kind of the frame's first record, records in the frame)."""
    writer = EventWriter.local(RING_SLOTS)
    session = Session(Engine(benchlib.spec(strategy, parameters, stamps=stamps), writer), benchlib.PAPER)
    lane_writer, lane = FeedLaneWriter.local(LANE_BYTES)
    for data, ts_recv_ns in frames:
        if not lane_writer.try_write(data, ts_recv_ns, 0):
            raise RuntimeError("the feed lane is too small for the capture")
    while session.drain(lane, 1 << 20):
        pass
    reader = EventReader(writer.buffer, 1)
    slots = reader.read(RING_SLOTS)
    if reader.missed_slots:
        raise RuntimeError("the ring is too small for the run")
    kinds = slots["type"]
    latency_at = np.flatnonzero(kinds == EventType.EV_LATENCY)
    latency = records(slots, EventType.EV_LATENCY)
    # The frame record that each order followed.
    frame_index = np.maximum.accumulate(np.where(kinds == EventType.EV_FRAME, np.arange(len(kinds)), -1))[latency_at]
    frame_events = slots[frame_index].view(np.uint8).reshape(-1, 64)[:, 44:48].copy().view("<u4")[:, 0]
    first = kinds[np.minimum(frame_index + 1, len(kinds) - 1)]
    from_frame = latency["receive_start_cycles"] > 0
    ns = latency["frame_to_order_cycles"] / cycles_per_ns
    steps = StatePage(session.engine.state_buffer).latency()
    return ns[from_frame], first[from_frame], frame_events[from_frame], steps


def generated(kind, n):
    """Messages of a kind behind their snapshot, 1 ms apart: [(bytes, ts_recv_ns)]."""
    messages = [instructions.SNAPSHOT, *instructions.frames(kind, n)]
    return [(data, i * instructions.FRAME_SPACING_NS) for i, data in enumerate(messages)]


def measure_reports(n, cycles_per_ns):
    """Each report fills the order before and makes the strategy place the next: replies come from us, not from the venue."""
    writer = EventWriter.local(RING_SLOTS)
    session = Session(Engine(benchlib.spec("every_event", instructions.EVERY_EVENT), writer))
    lane_writer, lane = FeedLaneWriter.local(LANE_BYTES)
    for data, ts_recv_ns in generated("executionReport", n):
        lane_writer.try_write(data, ts_recv_ns, 0)
    while session.drain(lane, 1 << 20):
        pass
    latency = records(EventReader(writer.buffer, 1).read(RING_SLOTS), EventType.EV_LATENCY)
    return latency["frame_to_order_cycles"][1:] / cycles_per_ns


def other_memory(size_bytes):
    """Memory in small pages, so that touching it also costs the engine its address translations: every 64th byte of it."""
    memory = mmap.mmap(-1, size_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_NOHUGEPAGE"):
        memory.madvise(mmap.MADV_NOHUGEPAGE)
    return np.frombuffer(memory, np.uint8)[::64]


def measure_cold(kind, evict_bytes, n, cycles_per_ns, *, warmed=False):
    """ns of the order of each frame; before each frame `evict_bytes` of other memory are read and written on this core.

    The frame is written to the lane behind that, as a socket would: its bytes are warm, all else is not. What is due before
    the frame (replies of the simulated venue to the last order) is done before the memory is touched, so that it warms
    nothing. warmed: the engine's warming pass runs between the two, as in idle turns.
    """
    writer = EventWriter.local(1 << 16)
    paper = None if kind == "executionReport" else benchlib.PAPER
    session = Session(Engine(benchlib.spec("every_event", instructions.EVERY_EVENT), writer), paper)
    turns = attach_shadow(session, benchlib.spec("every_event", instructions.EVERY_EVENT), benchlib.PAPER) if warmed else 0
    lane_writer, lane = FeedLaneWriter.local(1 << 20)
    other = other_memory(evict_bytes)
    reader = EventReader(writer.buffer, 1)
    found = []
    for data, ts_recv_ns in generated(kind, n + COLD_SKIPPED):
        session.clock(ts_recv_ns - 1)
        np.add(other, 1, out=other)
        for _ in range(turns):
            session.warm()
        lane_writer.try_write(data, ts_recv_ns, 0)
        session.drain(lane, 1)
        latency = records(reader.read(1 << 12), EventType.EV_LATENCY)
        if len(latency) != 1 or latency["receive_start_cycles"][0] == 0:
            raise RuntimeError(f"{kind}: expected one order of each frame, found {len(latency)}")
        found.append(int(latency["frame_to_order_cycles"][0]))
    return np.array(found[1 + COLD_SKIPPED:]) / cycles_per_ns


def floor(program, frames, cycles_per_ns, evict_bytes=0):
    """{kind: percentiles} of plain C on the same frames."""
    with tempfile.NamedTemporaryFile() as f:
        for data, _ in frames:
            kind = 1 if b"@bookTicker" in data[:40] else 2 if b"@trade" in data[:40] else None
            if kind:
                f.write(struct.pack("<II", kind, len(data)) + data)
        f.flush()
        command = [str(program), f.name, str(evict_bytes)]
        lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    result = {}
    for line in lines[:-1]:
        kind, n, *values = map(int, line.split())
        names = ("p50", "p99", "p999", "max")
        result["bookTicker" if kind == 1 else "trade"] = {
            "n": n, **{k: round(v / cycles_per_ns, 1) for k, v in zip(names, values, strict=True)}}
    return result


def warm_round(frames, cycles_per_ns):
    """({case: ns}, steps) of every case whose frames follow each other at once."""
    ns, first, events, steps = measure(frames, "every_event", instructions.EVERY_EVENT, cycles_per_ns)
    depth = first == EventType.EV_BOOK_DELTA
    found = {"bookTicker": ns[first == EventType.EV_QUOTE], "trade": ns[first == EventType.EV_TRADE],
             "bookTicker+trade": ns[~depth], "depth_capture": ns[depth],
             "depth_capture_excess": ns[depth] - 30.0 * events[depth]}
    maker = {"order_qty_lots": 1000, "max_position_lots": 20000, "skew_ticks_per_lot": 0.0005, "requote_ticks": 1,
             "imbalance_ticks": 20.0}
    ns, first, _, _ = measure(frames, "market_maker", maker, cycles_per_ns)
    found["market_making"] = ns[first != EventType.EV_BOOK_DELTA]
    for kind in ("aggTrade", "depth20"):
        ns, _, _, _ = measure(generated(kind, GENERATED_FRAMES), "every_event", instructions.EVERY_EVENT, cycles_per_ns)
        found[kind] = ns[1:]
    found["executionReport"] = measure_reports(GENERATED_FRAMES, cycles_per_ns)
    return found, steps


def cold_round(cycles_per_ns):
    found = {}
    for kind in instructions.KINDS:
        for suffix, (evict_bytes, n) in COLD.items():
            found[f"{kind}_{suffix}"] = measure_cold(kind, evict_bytes, n, cycles_per_ns)
            if suffix == "cold_48m":
                found[f"{kind}_{suffix}_warmed"] = measure_cold(kind, evict_bytes, n, cycles_per_ns, warmed=True)
    return found


def floor_round(program, frames, cycles_per_ns):
    """{case: percentiles} of the floor, which knows bookTicker and trade."""
    found = floor(program, frames, cycles_per_ns)
    for suffix, (evict_bytes, n) in COLD.items():
        for kind in ("bookTicker", "trade"):
            messages = generated("bookTicker", 1)[1:] + generated(kind, n + COLD_SKIPPED)[1:]
            found[f"{kind}_{suffix}"] = floor(program, messages, cycles_per_ns, evict_bytes)[kind]
    return found


def kept_best(best, found, p50):
    """Keep of each case the round with the lowest median."""
    for name, values in found.items():
        if name not in best or p50(values) < p50(best[name]):
            best[name] = values


def main():
    options = benchlib.arguments(__doc__).parse_args()
    counted, origin = instructions.for_cases()
    benchlib.pin(options.core)
    cycles_per_ns = calibrate_cycles_per_ns(200_000_000)
    frames = [(f.data, f.ts_recv_ns) for path in benchlib.CAPTURES for f in read_capture(path)]
    program = benchlib.build_floor("path")
    best, floors, steps = {}, {}, {}
    for number in range(options.rounds):
        found, steps = warm_round(frames, cycles_per_ns)
        kept_best(best, found, np.median)
        if number < COLD_ROUNDS:
            kept_best(best, cold_round(cycles_per_ns), np.median)
            kept_best(floors, floor_round(program, frames, cycles_per_ns), lambda p: p["p50"])
        else:
            kept_best(floors, floor(program, frames, cycles_per_ns), lambda p: p["p50"])
    cases = []
    for name, values in best.items():
        case = {"case": name, "unit": "ns", **benchlib.percentiles(values), "peers": {}}
        kind = name.split("_cold_")[0]
        same_path = floors.get(name) or floors.get(name.removesuffix("_warmed"))
        if same_path:
            case["floor"] = same_path
            case["ratio_to_floor"] = round(case["p50"] / same_path["p50"], 2)
        if kind in counted:
            case["instructions"] = {**counted[kind], "origin": origin}
        if kind in DECODE_FLOOR_INSTRUCTIONS:
            case["decode_floor_instructions"] = DECODE_FLOOR_INSTRUCTIONS[kind]
        cases.append(case)
    missing = []
    if origin != "counted":
        missing.append(f"valgrind: instructions are {origin}")
    benchlib.finish({"name": "bench_frame_to_order", "machine": benchlib.machine(), "rounds": options.rounds, "cases": cases,
                     "steps": {k: v for k, v in steps.items() if k not in ("ack", "fill")}, "missing": missing}, options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
