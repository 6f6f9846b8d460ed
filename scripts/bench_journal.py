"""How many events a second does the journal take to the disk, and how far behind the engine is it meanwhile?

The real journal process (tickpathd.journal_process: ring reader, JournalWriter, OutputHasher, fsync thread) drains a real
ring that this script fills from another core; an event is one 64-byte slot. Unit: ns an event. Workloads: `market`, the
frames and level changes of a generated market without any output, and `trading`, what the engine publishes while a market
maker trades over the recorded captures (inputs, orders, fills, positions), over and over.

`drain`: filled as fast as the ring has room, until the last event is written; `drain_and_sync`: until it is on the disk
too. `lag`: filled at 5 M events/s; p50 to max are slots that the journal was behind at each look, `lag_max_ms` the same
in time; `kept_up` says that nothing was missed (the ring holds 0.2 s). `cpu`: processor time of the journal process, all
threads, user and kernel, which does not depend on who else wants the processor. `read`, `append`, `hash` and `crc`: its
parts alone, one thread, files in memory. Floor: a loop of write() of the same bytes in blocks of 256 KiB with an
fdatasync every 50 ms, same disk, same run. The answer is checked: the journal must hold every slot, and end with
summary.json.
"""
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import benchlib
from bench_replay import capture_market, market
from tickpath.engine import Engine
from tickpath.session import Session
from tickpath.shm.canonical import OutputHasher
from tickpath.shm.journal import JournalReader, JournalWriter
from tickpath.shm.journal_fast import crc32
from tickpath.shm.ring import EventReader, EventWriter, ring_bytes
from tickpath.shm.segment import SegmentError, attach_segment, create_segment
from tickpath.shm.words import load_word
from tickpath.types import DTYPES, SLOT_DTYPE, EventType, HealthKind

N = 10_000_000
RING_SLOTS = 1 << 20
CHUNK_SLOTS = 1000
PACE_PER_S = 5_000_000
BLOCK_BYTES = 256 * 1024
SYNC_INTERVAL_S = 0.05
WRITTEN, SYNCED, STATE, RUNNING, FAILED = 128, 192, 256, 1, 3
PARTS_SLOTS = 4096
CONFIG = b'{"epoch": 1}'


def trading_slots():
    """The ring's content of an engine that trades over the committed captures."""
    inputs, _ = capture_market()
    writer = EventWriter.local(1 << 21)
    parameters = {"order_qty_lots": 1000, "max_position_lots": 20000, "skew_ticks_per_lot": 0.002, "imbalance_ticks": 0.0,
                  "half_spread_ticks": 0.5, "requote_ticks": 1}
    session = Session(Engine(benchlib.spec("market_maker", parameters, stamps=False), writer), benchlib.PAPER)
    session.feed(inputs)
    return EventReader(writer.buffer, 1).read(1 << 21)


def whole_chunks(slots):
    """The stream cut for publishing; each chunk ends with a whole record."""
    begins = np.flatnonzero(slots["type"] != EventType.EV_CONT)
    cuts = begins[np.searchsorted(begins, np.arange(CHUNK_SLOTS, len(slots), CHUNK_SLOTS))]
    return np.split(slots, cuts)


class Run:
    """One journal process on one ring; `directory` is where its segments go."""

    def __init__(self, directory, core):
        self.run_dir = Path(tempfile.mkdtemp(dir=directory))
        (self.run_dir / "config.json").write_bytes(CONFIG)
        instance = f"bench-journal-{os.getpid()}"
        self.ring = create_segment(instance, "ring", ring_bytes(RING_SLOTS), epoch=1, slot_count=RING_SLOTS)
        self.writer = EventWriter(self.ring.buffer)
        self.process = subprocess.Popen([sys.executable, "-m", "tickpathd.journal_process", "--instance", instance,
                                         "--run-dir", str(self.run_dir)], env={**os.environ, "PYTHONPATH": os.pathsep.join(
                                             filter(None, sys.path))})
        others = set(range(os.cpu_count())) - {core}
        if others:
            os.sched_setaffinity(self.process.pid, others)
        self.page = None
        while self.page is None or load_word(self.page.buffer, STATE) != RUNNING:
            if self.process.poll() is not None:
                raise RuntimeError("journal: expected it to run, found it ended")
            with contextlib.suppress(SegmentError):
                self.page = self.page or attach_segment(instance, "journal")
            time.sleep(0.005)

        self.cpu_begin_s = self.cpu_s()

    def cpu_s(self):
        """Processor time so far, user and kernel (fields 14 and 15 of /proc/PID/stat)."""
        stat = Path(f"/proc/{self.process.pid}/stat").read_bytes()
        fields = stat[stat.rindex(b")") + 2:].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def written(self):
        return load_word(self.page.buffer, WRITTEN)

    def wait(self, offset, seq):
        while load_word(self.page.buffer, offset) < seq:
            if load_word(self.page.buffer, STATE) == FAILED:
                raise RuntimeError("journal: expected it to write, found it failed")
            time.sleep(0.0002)

    def close(self, lapped=False):
        """End in order; returns (seconds a slot of reading back, slots missed), having checked that all is there. Slots
        may be missed, and counted, where `lapped` is allowed."""
        last = np.zeros(1, DTYPES[EventType.EV_HEALTH])
        last["type"], last["kind"] = EventType.EV_HEALTH, HealthKind.HEALTH_STOPPED
        count = self.writer.publish(last.view(SLOT_DTYPE))
        code = self.process.wait(120)
        self.ring.close()
        summary = json.loads((self.run_dir / "summary.json").read_bytes())
        begin = time.perf_counter()
        found = sum(len(batch) for batch in JournalReader(self.run_dir).batches())
        elapsed = time.perf_counter() - begin
        shutil.rmtree(self.run_dir)
        missed = summary["missed_slots"]
        if code != bool(missed) or missed and not lapped or found + missed != count or summary["last_seq"] != count:
            raise RuntimeError(f"journal: expected {count} slots and exit code 0, found {found} and {code}: {summary}")
        return elapsed / count, missed


def unpaced(directory, core, chunks):
    """ns an event until written, until synced, of processor time, of reading back."""
    run = Run(directory, core)
    begin = time.perf_counter_ns()
    published = 0
    while published < N:
        for chunk in chunks:
            # The journal's own pace: never more than half the ring ahead of it.
            while published - run.written() > RING_SLOTS // 2:
                time.sleep(0.0002)
            run.writer.publish(chunk)
            published += len(chunk)
            if published >= N:
                break
    run.wait(WRITTEN, published)
    written_ns = time.perf_counter_ns() - begin
    run.wait(SYNCED, published)
    synced_ns = time.perf_counter_ns() - begin
    cpu_s = run.cpu_s() - run.cpu_begin_s
    return written_ns / published, synced_ns / published, cpu_s * 1e9 / published, run.close()[0] * 1e9


def paced(directory, core, chunks):
    """(slots behind at each chunk of a stream of PACE_PER_S, rate, slots missed)."""
    run = Run(directory, core)
    behind = []
    begin = time.perf_counter_ns()
    published = 0
    while published < N:
        for chunk in chunks:
            while time.perf_counter_ns() - begin < published * 1_000_000_000 // PACE_PER_S:
                pass
            run.writer.publish(chunk)
            published += len(chunk)
            behind.append(published - run.written())
            if published >= N:
                break
    rate = published * 1e9 / (time.perf_counter_ns() - begin)
    run.wait(SYNCED, published)
    return behind, rate, run.close(lapped=True)[1]


def floor(directory):
    """ns an event of the same bytes written by a plain loop."""
    path = Path(directory) / "floor"
    data = np.random.default_rng(1).bytes(BLOCK_BYTES)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        begin = synced = time.perf_counter()
        for _ in range(N * 64 // BLOCK_BYTES):
            os.write(fd, data)
            if time.perf_counter() - synced > SYNC_INTERVAL_S:
                os.fdatasync(fd)
                synced = time.perf_counter()
        os.fdatasync(fd)
        return (time.perf_counter() - begin) * 1e9 / N
    finally:
        os.close(fd)
        path.unlink()


def parts(slots):
    """{part: ns a slot} of what the journal process does with a batch, best of many."""
    slots = slots[:len(slots) // PARTS_SLOTS * PARTS_SLOTS][:64 * PARTS_SLOTS].copy()
    slots["seq"] = np.arange(1, len(slots) + 1)
    out = np.empty(PARTS_SLOTS, SLOT_DTYPE)
    best = {}

    def measure(name, work, count):
        begin = time.perf_counter_ns()
        work()
        elapsed = (time.perf_counter_ns() - begin) / count
        best[name] = min(best.get(name, elapsed), elapsed)
    ring = EventWriter.local(1 << 19)
    ring.publish(slots)
    batches = [slots[i:i + PARTS_SLOTS] for i in range(0, len(slots), PARTS_SLOTS)]
    for _ in range(5):
        reader = EventReader(ring.buffer, 1)
        hasher = OutputHasher()
        with tempfile.TemporaryDirectory(dir="/dev/shm") as where:
            (Path(where) / "config.json").write_bytes(CONFIG)
            writer = JournalWriter(where, instance="bench", epoch=1, config_bytes=CONFIG, segment_max_bytes=64 << 20)
            for batch in batches:
                measure("read", lambda r=reader: r.read_into(out), PARTS_SLOTS)
                measure("append", lambda w=writer, b=batch: w.append(b), len(batch))
                measure("hash", lambda h=hasher, b=batch: h.update(b), len(batch))
                measure("crc", lambda b=batch: crc32(b.view(np.uint8)), len(batch))
            writer.close()
    return best


def case(name, unit, values, count, **more):
    found = benchlib.percentiles(values)
    return {"case": name, "unit": unit, **found, "n": count, "rounds": len(values), "peers": {}, **more}


def main():
    parser = benchlib.arguments(__doc__)
    parser.add_argument("--dir", default=str(benchlib.ROOT / "var"), help="directory on the disk to be measured")
    options = parser.parse_args()
    Path(options.dir).mkdir(parents=True, exist_ok=True)
    workloads = {"market": market(200_000)[0], "trading": trading_slots()}
    cases = []
    with tempfile.TemporaryDirectory(dir=options.dir, prefix="bench-journal-") as directory:
        benchlib.pin(options.core)
        for name, slots in workloads.items():
            chunks = whole_chunks(slots)
            suffix = "" if name == "trading" else f"_{name}"
            rounds = [(*unpaced(directory, options.core, chunks), floor(directory)) for _ in range(options.rounds)]
            drain, synced, cpu, back, floors = (list(column) for column in zip(*rounds, strict=True))
            floor_ns = float(np.median(floors))
            outputs = int(((slots["type"] >= 32) & (slots["type"] < 64)).sum())
            for label, values in (("drain", drain), ("drain_and_sync", synced), ("cpu", cpu), ("read_back", back)):
                cases.append(case(label + suffix, "ns/event", values, N, per_s=round(1e9 / float(np.median(values))),
                                  best_per_s=round(1e9 / min(values)), output_share=round(outputs / len(slots), 3)))
            cases[-3].update(floor={"p50": round(floor_ns, 1), "mb_per_s": round(64e3 / floor_ns),
                                    "best_mb_per_s": round(64e3 / min(floors))},
                             ratio_to_floor=round(float(np.median(synced)) / floor_ns, 3))
            behind, rate, missed = paced(directory, options.core, chunks)
            cases.append(case(f"lag{suffix}", "slots", behind, len(behind), per_s=round(rate), ring_slots=RING_SLOTS,
                              kept_up=missed == 0, missed_slots=missed, lag_max_ms=round(max(behind) * 1e3 / PACE_PER_S, 2)))
            for part, ns in parts(slots).items():
                cases.append(case(f"{part}{suffix}", "ns/event", [ns], PARTS_SLOTS, per_s=round(1e9 / ns)))
    benchlib.finish({"name": "bench_journal", "machine": benchlib.machine(), "rounds": options.rounds, "cases": cases,
                     "missing": []}, options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
