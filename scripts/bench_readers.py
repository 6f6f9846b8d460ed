"""Do readers of the ring and the state page slow the engine? They must not: it neither waits for them nor knows of them.

Workload: generated bookTicker messages, an order on each, ring and state page in real segments, the engine pinned on its
core. Runs alternate between no reader and eight, all processes of their own on the other core: five that copy out the ring
as fast as they can, one Python reader of single records and of the state page, one that is stopped (SIGSTOP) half-way and
one that is killed (SIGKILL) half-way. Unit: ns of frame to order, from each order's LatencyEvent; p50 of a run, then the
median over the runs of either kind. The cycle counter moves in steps of 10 ns, more than the 3 % that are the target: a
run's p50 is the mean of its middle fifth.

The control: eight processes that are as busy and attached to nothing. Where the host runs both processors on one physical
core, whatever runs on the other one slows the engine; that is no reader's doing, and shows in the control alike.

`instructions`: of one frame with and without readers (callgrind on the engine's process): equal, for there is no code that
could tell the two apart; what is left are cache lines that readers pull away.
"""
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import benchlib
import instructions
from tickpath.clock import calibrate_cycles_per_ns
from tickpath.engine import Engine
from tickpath.session import Session
from tickpath.shm.feed_lane import FeedLaneWriter
from tickpath.shm.ring import EventReader, EventWriter, records, ring_bytes
from tickpath.shm.segment import create_segment
from tickpath.shm.state_page import StatePage, state_page_bytes
from tickpath.types import SLOT_DTYPE, EventType

RUNS = 30
FRAMES = 8_000
RING_SLOTS = 1 << 18
WARM_UP_RUNS = 5              # a lap of the ring: every page and every line touched
READERS = ("copy",) * 5 + ("python", "stopped", "killed")
BUSY = ("busy",) * 6 + ("stopped-busy", "killed-busy")      # the control: as busy, attached to nothing
TARGET_RATIO = 1.03


@contextlib.contextmanager
def segments(instance):
    """The writer of a ring and the memory of a state page, both in segments that readers can attach."""
    with (create_segment(instance, "ring", ring_bytes(RING_SLOTS), slot_count=RING_SLOTS) as ring,
          create_segment(instance, "state", state_page_bytes()) as page):
        yield EventWriter(ring.buffer), page.buffer


# ---- a reader's process
def read_for_ever(kind, instance):
    if kind.endswith("busy"):
        print("reading", flush=True)
        memory = np.zeros((1 << 14, 64), np.uint8)
        while True:
            memory.copy()
    reader = EventReader.attach(instance)
    page = StatePage.attach(instance)
    print("reading", flush=True)
    slots = np.empty(1024, SLOT_DTYPE)
    if kind == "python":
        while True:
            for slot in reader.read(64):
                slot["type"], slot["seq"]
            page.totals()
            page.instruments()
    while True:
        for _ in range(256):
            reader.read_into(slots)
        page.totals()


class Readers:
    """The eight readers of an instance; all are gone when the block ends."""

    def __init__(self, instance, core, kinds=READERS):
        self.instance, self.core, self.kinds, self.processes = instance, core, kinds, {}

    def __enter__(self):
        try:
            for i, kind in enumerate(self.kinds):
                command = [sys.executable, __file__, "--reader", kind, "--instance", self.instance, "--core", str(self.core)]
                self.processes[f"{kind}{i}"] = subprocess.Popen(command, stdout=subprocess.PIPE)
            for name, process in self.processes.items():
                if process.stdout.readline() != b"reading\n":
                    raise RuntimeError(f"reader {name}: expected it to attach, found it ended")
        except BaseException:
            self.__exit__()
            raise
        return self

    def half_way(self):
        for name, process in self.processes.items():
            if name.startswith("stopped"):
                process.send_signal(signal.SIGSTOP)
            elif name.startswith("killed"):
                process.kill()

    def __exit__(self, *exc):
        for process in self.processes.values():
            process.kill()
        for process in self.processes.values():
            process.wait()
            process.stdout.close()


# ---- the engine's process
class MeasuredEngine:
    """One engine over one ring for all runs: what differs between two runs is the readers, not where its memory lies."""

    def __init__(self, writer, page, cycles_per_ns):
        self.session = Session(Engine(benchlib.spec("every_event", instructions.EVERY_EVENT), writer, page), benchlib.PAPER)
        self.lane_writer, self.lane = FeedLaneWriter.local(1 << 23)
        self.own = EventReader(writer.buffer, 1)
        self.cycles_per_ns = cycles_per_ns
        self.frames = 0
        self.take([instructions.SNAPSHOT])
        self.session.drain(self.lane, 1)

    def take(self, messages):
        for data in messages:
            if not self.lane_writer.try_write(data, self.frames * instructions.FRAME_SPACING_NS, 0):
                raise RuntimeError("the feed lane is too small for the messages")
            self.frames += 1

    def run(self, messages, readers=None):
        """p50 ns of one run."""
        while len(self.own.read(1 << 16)):
            pass
        self.take(messages)
        for turn in range(len(messages) // 64 + 1):
            self.session.drain(self.lane, 64)
            if readers is not None and turn == len(messages) // 128:
                readers.half_way()
        latency = records(self.own.read(RING_SLOTS), EventType.EV_LATENCY)
        if self.own.missed_slots or len(latency) != len(messages):
            raise RuntimeError(f"expected {len(messages)} orders in the ring, found {len(latency)}")
        ordered = np.sort(latency["frame_to_order_cycles"])
        return float(ordered[len(ordered) * 2 // 5:len(ordered) * 3 // 5].mean()) / self.cycles_per_ns


# ---- instructions
def counted_engine():
    """Under callgrind: two drains without readers, two with; the parent answers each line with one when it is ready."""
    messages = instructions.frames("bookTicker", instructions.FRAMES_MANY)
    for what in ("none", "eight"):
        for n in (instructions.FRAMES_FEW, instructions.FRAMES_MANY):
            instance = f"bench-counted-{os.getpid()}"
            with segments(instance) as (writer, page):
                print(f"{what} {instance}", flush=True)
                if not sys.stdin.readline():
                    return                                  # the parent gave up; the segments go with us
                instructions.drain_counted("bookTicker", messages[:n], writer, page)
                print("drained", flush=True)
                sys.stdin.readline()


def count_instructions(reader_core):
    """{readers: figures of one frame}."""
    with tempfile.TemporaryDirectory(prefix="tickpath-callgrind-") as directory:
        command = instructions.callgrind(Path(directory, "callgrind"), sys.executable, __file__, "--counted")
        engine = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            for _ in range(4):
                what, instance = engine.stdout.readline().split()
                with contextlib.ExitStack() as stack:
                    if what == "eight":
                        stack.enter_context(Readers(instance, reader_core))
                    engine.stdin.write("\n")
                    engine.stdin.flush()
                    if engine.stdout.readline() != "drained\n":
                        raise RuntimeError("the counted engine: expected it to drain, found it ended")
                engine.stdin.write("\n")
                engine.stdin.flush()
        finally:
            engine.communicate(timeout=120)                 # closes its input: that ends it, with its segments
        return {"0": instructions.per_frame(instructions.profile(directory, 1), instructions.profile(directory, 2)),
                "8": instructions.per_frame(instructions.profile(directory, 3), instructions.profile(directory, 4))}


def main():
    parser = benchlib.arguments(__doc__)
    parser.add_argument("--reader", choices=sorted({*READERS, *BUSY}), help="be a reader (used by the benchmark itself)")
    parser.add_argument("--instance")
    parser.add_argument("--counted", action="store_true", help="be the counted engine (used by the benchmark itself)")
    options = parser.parse_args()
    if options.reader:
        benchlib.pin(options.core)
        read_for_ever(options.reader, options.instance)
    if options.counted:
        counted_engine()
        return 0
    others = sorted(os.sched_getaffinity(0) - {options.core})
    if not others:
        print("bench_readers: expected a second processor for the readers, found one", file=sys.stderr)
        return 1
    reader_core = others[0]
    counted = count_instructions(reader_core) if instructions.available() else None
    benchlib.pin(options.core)
    cycles_per_ns = calibrate_cycles_per_ns(200_000_000)
    messages = instructions.frames("bookTicker", FRAMES * (3 * RUNS + WARM_UP_RUNS))
    parts = iter([messages[i:i + FRAMES] for i in range(0, len(messages), FRAMES)])
    p50s = {"0 readers": [], "8 readers": [], "8 busy processes": []}
    kinds = {"8 readers": READERS, "8 busy processes": BUSY}
    instance = f"bench-readers-{os.getpid()}"
    with segments(instance) as (writer, page):
        engine = MeasuredEngine(writer, page, cycles_per_ns)
        for _ in range(WARM_UP_RUNS):
            engine.run(next(parts))
        for n in range(RUNS):
            names = list(p50s)
            for name in names[n % 3:] + names[:n % 3]:          # in turns, so that a drift of the machine favours none
                with contextlib.ExitStack() as stack:
                    others = stack.enter_context(Readers(instance, reader_core, kinds[name])) if name in kinds else None
                    p50s[name].append(engine.run(next(parts), others))
    cases = []
    for name, values in p50s.items():
        case = {"case": f"frame_to_order, {name}", "unit": "ns", "n": len(values),
                "p50": round(float(np.median(values)), 1), "best": round(min(values), 1),
                "runs": [round(v, 1) for v in values], "peers": {}}
        if counted and name in ("0 readers", "8 readers"):
            case["instructions"] = counted[name[0]]
        cases.append(case)
    ratio = cases[1]["p50"] / cases[0]["p50"]
    control = cases[1]["p50"] / cases[2]["p50"]
    result = {"name": "bench_readers", "machine": benchlib.machine(), "runs": RUNS, "frames": FRAMES, "cases": cases,
              "ratio": round(ratio, 4), "ratio_to_busy": round(control, 4),
              "ratio_of_pairs": round(float(np.median(np.array(p50s["8 readers"]) / np.array(p50s["0 readers"]))), 4),
              "ratio_of_best": round(cases[1]["best"] / cases[0]["best"], 4),
              "target_ratio": TARGET_RATIO, "within_target": ratio <= TARGET_RATIO,
              "instructions_equal": None if counted is None else counted["0"]["instructions"] == counted["8"]["instructions"],
              "missing": [] if counted else ["valgrind: no instruction counts"]}
    if options.json:
        print(json.dumps(result))
    else:
        benchlib.finish(result, False)
        print(f"ratio of medians {ratio:.3f} (target {TARGET_RATIO}), to 8 busy processes that read nothing {control:.3f}, "
              f"of bests {result['ratio_of_best']:.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
