"""Recording a ring: of a running engine, and of one that the test fills itself to lap the recording."""
import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import posix_ipc
import pytest

from tickpath.shm.journal import JournalError, JournalReader
from tickpath.shm.ring import EventReader, EventWriter, records, ring_bytes
from tickpath.shm.segment import SegmentError, attach_segment, create_segment, list_segments
from tickpath.shm.state_page import StatePage
from tickpath.types import DTYPES, LAYOUT_HASH, SLOT_DTYPE, EventType
from tickpathd import tap_record
from tickpathd.tap_record import ArrayFile, RecordStream

ROOT = Path(__file__).resolve().parents[3]
DEMO = ROOT / "config" / "paper-demo.toml"
DONE, FAILED, USAGE = 0, 1, 2
RING_SLOTS = 1024
_numbers = itertools.count()


# ---- a ring of the test's own

@pytest.fixture
def instance():
    name = f"trc{os.getpid()}-{next(_numbers)}"
    yield name
    for left in list_segments(name):
        posix_ipc.unlink_shared_memory(left)


@pytest.fixture
def ring(instance):
    with create_segment(instance, "ring", ring_bytes(RING_SLOTS), epoch=12, slot_count=RING_SLOTS) as segment:
        yield EventWriter(segment.buffer)


def mixed_slots(count, seed=1):
    """Records of one and two slots, all whole."""
    random = np.random.default_rng(seed)
    slots = np.zeros(count, SLOT_DTYPE)
    slots["payload"] = random.integers(0, 2**64, (count, 4), np.uint64, endpoint=False)
    slots["type"] = EventType.EV_TRADE
    slots["type"][4:-1:7] = EventType.EV_FILL
    slots["type"][5::7] = np.where(slots["type"][4:-1:7] == EventType.EV_FILL, EventType.EV_CONT, EventType.EV_TRADE)
    return slots


def numbered(slots, first_seq=1):
    result = slots.copy()
    result["seq"] = np.arange(first_seq, first_seq + len(slots))
    return result


def read_back(run_dir):
    reader = JournalReader(run_dir)
    return np.concatenate([np.empty(0, SLOT_DTYPE), *reader.batches()]), reader


def test_records_come_whole_however_the_writer_cuts_them(ring):
    slots = mixed_slots(900)
    stream = RecordStream(EventReader(ring.buffer, "oldest"))
    got = []
    for begin in range(0, 900, 5):
        ring.publish(slots[begin:begin + 5])
        batch = stream.read()
        kinds = batch["type"]
        assert not len(batch) or kinds[0] != EventType.EV_CONT and kinds[-1] != EventType.EV_FILL
        got.append(batch.copy())
    assert np.concatenate(got).tobytes() == numbered(slots).tobytes() and stream.missed_slots == 0


def test_lap_is_counted_exactly_with_the_halves_it_tore(ring):
    slots = mixed_slots(6000)
    stream = RecordStream(EventReader(ring.buffer, "oldest"))
    got, begin = [], 0
    for step in (1, 4, 700, 2000, 3, 1500, 2, 900, 890):
        ring.publish(slots[begin:begin + step])
        begin += step
        got.append(stream.read().copy())
    assert begin == 6000
    found = np.concatenate(got)
    assert found.tobytes() == numbered(slots)[found["seq"].astype(int) - 1].tobytes()
    kinds = found["type"]
    assert np.array_equal(np.flatnonzero(kinds == EventType.EV_FILL) + 1, np.flatnonzero(kinds == EventType.EV_CONT))
    assert stream.missed_slots == int(found["seq"][-1]) - len(found) > 1000
    lost = [seq for first, count in stream.gaps for seq in range(first, first + count)]
    assert sorted([*lost, *found["seq"].tolist()]) == list(range(1, int(found["seq"][-1]) + 1))


def test_stream_that_begins_inside_a_record_begins_with_the_next_one(ring):
    slots = mixed_slots(20)
    ring.publish(slots)
    stream = RecordStream(EventReader(ring.buffer, 6))
    assert slots["type"][5] == EventType.EV_CONT
    assert int(stream.read()["seq"][0]) == 7 and stream.missed_slots == 0 and stream.gaps == []


def test_recording_holds_what_the_ring_held_and_ends_with_the_count(instance, ring, tmp_path):
    slots = mixed_slots(600)
    ring.publish(slots)
    records_total = int((slots["type"] != EventType.EV_CONT).sum())
    result = tap_record.record(instance, tmp_path / "all", count=records_total, start="oldest")
    found, reader = read_back(tmp_path / "all")
    assert found.tobytes() == numbered(slots).tobytes()
    assert (result["records"], result["ended_by"], result["missed_slots"]) == (records_total, "count", 0)
    assert (reader.instance, reader.epoch, reader.missed_slots) == (instance, 12, 0)
    assert json.loads((tmp_path / "all" / "recording.json").read_bytes()) == result


@pytest.mark.parametrize("count", [1, 4, 5, 6, 100])
def test_count_is_of_records_and_never_cuts_one(instance, ring, tmp_path, count):
    ring.publish(mixed_slots(600))
    tap_record.record(instance, tmp_path / "some", count=count, start="oldest")
    found, _ = read_back(tmp_path / "some")
    assert int((found["type"] != EventType.EV_CONT).sum()) == count and found["type"][-1] != EventType.EV_FILL


def test_lapped_recording_holds_a_gap_block_and_says_how_much_is_lost(instance, ring, tmp_path):
    slots = mixed_slots(12_000)
    ring.publish(slots[:300])
    published = 300

    def lap(*_):
        nonlocal published
        step = min(2500, len(slots) - published)
        ring.publish(slots[published:published + step])
        published += step

    last = iter(range(30))
    result = tap_record.record(instance, tmp_path / "gap", start="oldest", progress=lap, stop=lambda: next(last) == 20)
    found, reader = read_back(tmp_path / "gap")
    assert published == 12_000 and result["ended_by"] == "interrupt"
    assert found.tobytes() == numbered(slots)[found["seq"].astype(int) - 1].tobytes()
    assert result["missed_slots"] == reader.missed_slots == 12_000 - len(found) > 5000
    assert sum(gap["slots"] for gap in result["gaps"]) == result["missed_slots"] and len(result["gaps"]) > 1


def test_run_that_cannot_be_read_leaves_a_minimal_configuration(instance, ring, tmp_path):
    ring.publish(mixed_slots(10))
    result = tap_record.record(instance, tmp_path / "min", count=1, start="oldest")
    config = json.loads((tmp_path / "min" / "config.json").read_bytes())
    assert result["config_copied"] is False
    assert config == {"recorded_from": instance, "epoch": 12, "layout_hash": f"{LAYOUT_HASH:016x}"}
    assert JournalReader(tmp_path / "min").config == config


def test_recording_of_a_silent_ring_is_an_empty_journal(instance, ring, tmp_path):
    result = tap_record.record(instance, tmp_path / "none", duration_s=0.05)
    found, _ = read_back(tmp_path / "none")
    assert len(found) == 0 and result["records"] == 0 and result["ended_by"] == "duration" and result["first_seq"] is None


def test_directory_that_is_not_empty_is_refused_and_left_as_it_is(instance, ring, tmp_path):
    (tmp_path / "kept").write_text("x")
    with pytest.raises(JournalError, match="expected an empty directory, found kept"):
        tap_record.record(instance, tmp_path, count=1)
    assert [p.name for p in tmp_path.iterdir()] == ["kept"]
    with pytest.raises(JournalError, match="expected a writable directory"):
        tap_record.record(instance, tmp_path / "kept" / "below", count=1)
    with pytest.raises(SegmentError, match="absent"):
        tap_record.record("absent", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_chosen_types_become_arrays_of_their_own(instance, ring, tmp_path):
    slots = mixed_slots(900)
    ring.publish(slots)
    result = tap_record.record(instance, tmp_path / "npy", types=(int(EventType.EV_FILL), int(EventType.EV_GAP)), count=100,
                               start="oldest")
    fills = np.load(tmp_path / "npy" / "fill.npy")
    assert fills.dtype == DTYPES[EventType.EV_FILL] and len(np.load(tmp_path / "npy" / "gap.npy")) == 0
    assert fills.tobytes() == records(numbered(slots), EventType.EV_FILL)[:100].tobytes()
    assert result["rows"] == {"fill": 100, "gap": 0} and result["format"] == "npy" and result["records"] == 100


@pytest.mark.parametrize("kind", sorted(set(DTYPES) - {int(EventType.EV_NONE), int(EventType.EV_CONT)}))
def test_growing_array_can_be_loaded_after_every_append(tmp_path, kind):
    rows = np.frombuffer(np.random.default_rng(kind).bytes(DTYPES[kind].itemsize * 1200), DTYPES[kind])
    file = ArrayFile(tmp_path / "a.npy", DTYPES[kind])
    for begin, end in ((0, 3), (3, 12), (12, 1200)):
        assert len(np.load(tmp_path / "a.npy")) == begin
        file.append(rows[begin:end])
        found = np.load(tmp_path / "a.npy")
        assert found.dtype == DTYPES[kind] and found.tobytes() == rows[:end].tobytes()
    file.close()


# ---- a running engine

def tickpath(*arguments):
    result = subprocess.run([sys.executable, "-m", "tickpathd.cli", *map(str, arguments)], cwd=ROOT, capture_output=True,
                            text=True, timeout=90)
    assert "Traceback" not in result.stderr
    return result


class Started:
    """A run at the recorded pace."""

    def __init__(self, storage, name):
        self.name = name
        settings = (f"storage.dir={storage}", f"instance.name={name}", "venues.binance.pace=recorded")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tickpathd.cli", "run", "-c", str(DEMO), "--json", *(o for s in settings for o in ("--set", s))],
            cwd=ROOT, stdout=subprocess.DEVNULL)
        end = time.monotonic() + 30
        while True:
            with contextlib.suppress(SegmentError):
                if StatePage.attach(name).totals()["orders"] > 0:
                    return
            assert time.monotonic() < end and self.process.poll() is None
            time.sleep(0.05)

    def stop(self):
        self.process.terminate()
        assert self.process.wait(60) == DONE


@pytest.fixture
def running(tmp_path):
    run = Started(tmp_path / "state", f"trr{os.getpid()}-{next(_numbers)}")
    yield run
    run.stop()


def test_recording_of_a_whole_run_replays_to_the_same_outputs(running, tmp_path):
    output = tmp_path / "recorded"
    recorder = subprocess.Popen([sys.executable, "-m", "tickpathd.cli", "tap", "record", "--instance", running.name, "--start",
                                 "oldest", "--output", str(output), "--json"], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    while not (output / "segment-000001.tpj").exists():
        assert recorder.poll() is None
        time.sleep(0.02)
    running.stop()
    result = json.loads(recorder.communicate(timeout=60)[0])
    assert recorder.returncode == DONE and result["ended_by"] == "engine" and result["config_copied"]
    assert (result["first_seq"], result["missed_slots"], result["gaps"]) == (1, 0, [])
    own, = (tmp_path / "state" / running.name / "runs").iterdir()
    assert (output / "config.json").read_bytes() == (own / "config.json").read_bytes()
    recorded, reader = read_back(output)
    assert recorded.tobytes() == read_back(own)[0].tobytes() and reader.final
    replayed = tickpath("replay", output, "--verify", "--json")
    assert replayed.returncode == DONE and json.loads(replayed.stdout)["output_hash"] \
        == json.loads((own / "summary.json").read_bytes())["output_hash"]


def test_interrupted_recording_is_whole_and_the_engine_goes_on(running, tmp_path):
    output = tmp_path / "part"
    recorder = subprocess.Popen([sys.executable, "-m", "tickpathd.cli", "tap", "record", "--instance", running.name, "-o",
                                 str(output)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    while not (output / "segment-000001.tpj").exists():
        assert recorder.poll() is None
        time.sleep(0.02)
    recorder.send_signal(signal.SIGINT)
    out, _ = recorder.communicate(timeout=60)
    assert recorder.returncode == DONE and "ended by interrupt" in out
    found, reader = read_back(output)
    assert len(found) > 0 and not reader.final and reader.torn_tail is None and found["type"][0] != EventType.EV_CONT
    before = StatePage.attach(running.name).totals()["frames"]
    end = time.monotonic() + 20
    while StatePage.attach(running.name).totals()["frames"] == before:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert attach_segment(running.name, "ring").owner_alive()


def test_record_command_writes_arrays_and_refuses_wrong_usage(running, tmp_path):
    result = tickpath("tap", "record", "--instance", running.name, "-o", tmp_path / "npy", "--type", "quote", "--type", "frame",
                      "--count", "40", "--start", "oldest", "--json")
    assert result.returncode == DONE and json.loads(result.stdout)["records"] == 40
    assert len(np.load(tmp_path / "npy" / "quote.npy")) + len(np.load(tmp_path / "npy" / "frame.npy")) == 40
    for wrong in (("--type", "nonsense"), ("--start", "yesterday"), ("--count", "0"), ("--duration", "-1")):
        refused = tickpath("tap", "record", "--instance", running.name, "-o", tmp_path / "wrong", *wrong)
        assert refused.returncode == USAGE and len(refused.stderr.splitlines()) == 1 and not (tmp_path / "wrong").exists()
    again = tickpath("tap", "record", "--instance", running.name, "-o", tmp_path / "npy", "--count", "1")
    assert again.returncode == FAILED and "expected an empty directory" in again.stderr and len(again.stderr.splitlines()) == 1
    absent = tickpath("tap", "record", "--instance", "absent", "-o", tmp_path / "absent")
    assert absent.returncode == FAILED and absent.stdout == "" and "absent" in absent.stderr

