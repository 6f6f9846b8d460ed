"""Memory stays flat: an engine over 10^8 events, and journal process and taps behind a busy ring.

`make soak` runs it; TICKPATH_SOAK_EVENTS sets the number of the engine's events (default 10^8). Progress goes to the terminal with
`pytest -s`. The engine's figure is its whole resident set; of processes that map the ring it is the private part (RssAnon),
since pages of the ring count as theirs only once they have been read.
"""
import contextlib
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import posix_ipc
import pytest

ROOT = Path(__file__).resolve().parents[2]
CAPTURES = ("hftbacktest_btcusdt_20240808.gz", "hftbacktest_btcusdt_20240809.gz")
ENGINE_EVENTS = int(os.environ.get("TICKPATH_SOAK_EVENTS", 10 ** 8))
WARM_UP_SHARE = 0.1
MIB = 1 << 20
RING_SLOTS = 1 << 16
READER_SLOTS = 10_000_000
pytestmark = pytest.mark.soak


def status_bytes(pid, field):
    text = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(rf"^{field}:\s+(\d+) kB$", text, flags=re.M)[1]) * 1024


def growth_bytes(samples):
    """samples: (progress, bytes) after warm-up. What the lowest of the last third is above that of the first: a process
    with a batch under way holds up to 1 MiB more at that moment, and what it holds between batches is what must not grow."""
    sizes = [size for _, size in samples]
    third = len(sizes) // 3
    return min(sizes[-third:]) - min(sizes[:third])


# ---- the engine, in a process of its own

def shifted(data, by):
    """A recorded message with its update and trade ids moved on, so that it is a new one to the engine."""
    return re.sub(rb'"(U|u|t|lastUpdateId)":(\d+)', lambda m: b'"%b":%d' % (m[1], int(m[2]) + by), data)


def engine_child(events_wanted, output):
    """Two compiled strategies over the recorded captures again and again; writes (events, VmRSS) after every round."""
    sys.path.insert(0, str(ROOT / "scripts"))
    import benchlib
    from tickpath.capture import read_capture
    from tickpath.engine import Engine
    from tickpath.session import Session
    from tickpath.shm.feed_lane import FeedLaneWriter
    from tickpath.shm.ring import EventWriter
    from tickpath.shm.state_page import StatePage
    spec = benchlib.spec("every_event", {}, stamps=True)
    spec["strategies"].append({"name": "maker", "kind": "market_maker", "parameters": {}, "instrument": 0})
    engine = Engine(spec, EventWriter.local(RING_SLOTS))
    session, page = Session(engine, benchlib.PAPER), StatePage(engine.state_buffer)
    writer, lane = FeedLaneWriter.local(1 << 20)
    recorded = [(f.data, f.ts_recv_ns) for name in CAPTURES for f in read_capture(ROOT / "tests/golden/binance_spot" / name)]
    duration_ns = recorded[-1][1] - recorded[0][1] + 1_000_000
    samples, events, begin = [], 0, time.monotonic()
    for n in itertools.count():
        for data, ts_ns in recorded:
            frame = shifted(data, n * 10 ** 9)
            while not writer.try_write(frame, ts_ns + n * duration_ns, 0):
                session.drain(lane, 1 << 20)
        session.drain(lane, 1 << 20)
        totals = page.totals()
        events = totals["events"]
        samples.append((events, status_bytes("self", "VmRSS")))
        if n % 10 == 0 or events >= events_wanted:
            print(f"{events:,} events, {totals['orders']:,} orders, {totals['fills']:,} fills, RSS {samples[-1][1] / MIB:.2f} MiB, "
                  f"{time.monotonic() - begin:.0f} s", flush=True)
        if events >= events_wanted:
            break
    Path(output).write_text(json.dumps({"samples": samples, "totals": totals}))


@pytest.mark.timeout(3600)
def test_engine_keeps_its_memory_over_a_hundred_million_events(tmp_path):
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    subprocess.run([sys.executable, __file__, str(ENGINE_EVENTS), str(tmp_path / "out.json")], check=True, env=environment)
    result = json.loads((tmp_path / "out.json").read_text())
    totals = result["totals"]
    assert totals["events"] >= ENGINE_EVENTS and totals["orders"] > ENGINE_EVENTS / 20 and totals["fills"] > ENGINE_EVENTS / 10 ** 4
    assert totals["trading_state"] == 1 and totals["action_overflows"] == 0
    samples = [s for s in result["samples"] if s[0] >= WARM_UP_SHARE * ENGINE_EVENTS]
    assert len(samples) > 5
    # Here nothing is under way when a sample is taken: the largest one counts.
    grown = max(size for _, size in samples) - samples[0][1]
    print(f"RSS grew by {grown / 1024:.0f} KiB over {samples[-1][0] - samples[0][0]:,} events after warm-up")
    assert grown < MIB


# ---- readers of a ring: journal process, tap record, tap latency

@contextlib.contextmanager
def started(*arguments):
    process = subprocess.Popen([sys.executable, "-m", *map(str, arguments)], stdout=subprocess.DEVNULL,
                               env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))})
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def recorded_slots():
    """What an engine wrote for a recorded market: whole records of many types, its ends (health) left out."""
    sys.path.insert(0, str(ROOT / "scripts"))
    import benchlib
    from tickpath.capture import read_capture
    from tickpath.engine import Engine
    from tickpath.session import Session
    from tickpath.shm.ring import EventReader, EventWriter
    from tickpath.types import EventType
    writer = EventWriter.local(1 << 18)
    session = Session(Engine(benchlib.spec("every_event", {}), writer), benchlib.PAPER)
    for frame in itertools.islice(read_capture(ROOT / "tests/golden/binance_spot" / CAPTURES[0]), 8000):
        session.on_frame(frame.data, frame.ts_recv_ns, 0)
    slots = EventReader(writer.buffer, "oldest").read(1 << 18)
    return slots[slots["type"] != EventType.EV_HEALTH]


@pytest.mark.timeout(1200)
def test_journal_process_and_taps_keep_their_memory(tmp_path):
    from tickpath.shm.ring import EventWriter, ring_bytes
    from tickpath.shm.segment import attach_segment, create_segment, list_segments
    from tickpath.shm.state_page import state_page_bytes
    from tickpath.shm.words import load_word
    from tickpathd.journal_process import WRITTEN_OFFSET
    name, slots = f"rss{os.getpid()}", recorded_slots()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text("{}")
    try:
        with create_segment(name, "ring", ring_bytes(RING_SLOTS), epoch=1, slot_count=RING_SLOTS) as ring, \
                create_segment(name, "state", state_page_bytes(), epoch=1), \
                started("tickpathd.journal_process", "--instance", name, "--run-dir", tmp_path / "run") as journal, \
                started("tickpathd.cli", "tap", "record", "--instance", name, "-o", tmp_path / "tap", "--json") as recorder, \
                started("tickpathd.cli", "tap", "latency", "--instance", name, "--interval", "0.1", "--json") as latency:
            writer = EventWriter(ring.buffer)
            readers = {"journal": journal, "tap record": recorder, "tap latency": latency}
            deadline = time.monotonic() + 60
            while not any(s.endswith(".journal") for s in list_segments(name)) or not (tmp_path / "tap" / "config.json").exists():
                assert time.monotonic() < deadline and all(p.poll() is None for p in readers.values())
                time.sleep(0.05)
            page = attach_segment(name, "journal")
            samples, published, next_sample = {reader: [] for reader in readers}, 0, 0
            # While warming up in bursts of half the ring, so that every reader has taken the largest batch it ever takes. The
            # journal holds back one slot where a burst ends inside a record.
            bursts = itertools.cycle(np.array_split(slots, len(slots) * 2 // RING_SLOTS + 1))
            pieces = itertools.cycle(np.array_split(slots, len(slots) // 4096))
            while published < READER_SLOTS:
                warming_up = published < 0.2 * READER_SLOTS
                piece = next(bursts if warming_up else pieces)
                writer.publish(piece)
                published += len(piece)
                while load_word(page.buffer, WRITTEN_OFFSET) < published - (1 if warming_up else RING_SLOTS // 8):
                    assert journal.poll() is None
                    time.sleep(0.0005)
                if published >= next_sample:
                    next_sample += READER_SLOTS // 100
                    for reader, process in readers.items():
                        assert process.poll() is None, reader
                        samples[reader].append((published, status_bytes(process.pid, "RssAnon")))
                    if len(samples["journal"]) % 10 == 0:
                        print(f"{published:,} slots", {k: f"{v[-1][1] / MIB:.2f} MiB" for k, v in samples.items()}, flush=True)
        for reader, found in samples.items():
            settled = [s for s in found if s[0] >= 0.2 * READER_SLOTS]
            print(f"{reader}: private memory grew by {growth_bytes(settled) / 1024:.0f} KiB over {READER_SLOTS:,} slots")
            assert len(settled) > 40 and growth_bytes(settled) < MIB, reader
        assert len(list((tmp_path / "run").glob("segment-*.tpj"))) > 1, "expected the journal to go on to a second segment"
    finally:
        for left in list_segments(name):
            posix_ipc.unlink_shared_memory(left)
        for directory in ("run", "tap"):
            shutil.rmtree(tmp_path / directory, ignore_errors=True)


if __name__ == "__main__":
    engine_child(int(sys.argv[1]), sys.argv[2])
