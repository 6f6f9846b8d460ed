"""The journal's process, run for real: the test owns the ring and stands in for the engine."""
import contextlib
import errno
import itertools
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import posix_ipc
import pytest

from tickpath.shm.canonical import OutputHasher
from tickpath.shm.journal import JournalReader
from tickpath.shm.ring import EventWriter, ring_bytes
from tickpath.shm.segment import SegmentError, attach_segment, create_segment, list_segments
from tickpath.shm.words import load_word
from tickpath.types import DTYPES, LAYOUT_HASH, SLOT_DTYPE, EventType, HealthKind

ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
RING_SLOTS = 1 << 16
TIMEOUT_S = 30
WRITTEN, SYNCED, STATE, HEARTBEAT, ERRNO, MISSED = 128, 192, 256, 320, 384, 448
_numbers = itertools.count()


@pytest.fixture
def instance():
    name = f"tjp-{os.getpid()}-{next(_numbers)}"
    yield name
    for left in list_segments(name):
        posix_ipc.unlink_shared_memory(left)


@pytest.fixture
def run_dir(tmp_path):
    run = tmp_path / "runs" / "12"
    run.mkdir(parents=True)
    (run / "config.json").write_bytes(b'{"epoch": 12}')
    return run


@contextlib.contextmanager
def journal_process(instance, run_dir, *arguments):
    process = subprocess.Popen(
        [sys.executable, "-m", "tickpathd.journal_process", "--instance", instance, "--run-dir", str(run_dir), *arguments],
        stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def wait_for(condition, what):
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline, f"expected {what} within {TIMEOUT_S} s"
        time.sleep(0.002)


def attach_page(instance, pid=None):
    """The journal's page; of process `pid` where one that was killed may have left its own."""
    def page():
        with contextlib.suppress(SegmentError):
            found = attach_segment(instance, "journal")
            if pid in (None, found.pid):
                return found
    wait_for(page, "the journal's page")
    return page()


def random_slots(count, seed=1):
    """Records of one and two slots, all whole."""
    random = np.random.default_rng(seed)
    slots = np.zeros(count, SLOT_DTYPE)
    slots["payload"] = random.integers(0, 2**64, (count, 4), np.uint64, endpoint=False)
    slots["type"] = EventType.EV_TRADE
    slots["type"][3::7] = EventType.EV_ORDER_STATE
    slots["type"][4:-1:7] = EventType.EV_FILL
    slots["type"][5::7] = np.where(slots["type"][4:-1:7] == EventType.EV_FILL, EventType.EV_CONT, EventType.EV_TRADE)
    return slots


def health(kind):
    record = np.zeros(1, DTYPES[EventType.EV_HEALTH])
    record["type"], record["kind"] = EventType.EV_HEALTH, kind
    return record.view(np.uint8).view(SLOT_DTYPE)


def read_back(run_dir):
    reader = JournalReader(run_dir)
    return np.concatenate([np.empty(0, SLOT_DTYPE), *reader.batches()]), reader


def test_a_run_is_written_whole_and_summed_up(instance, run_dir):
    slots = random_slots(30_000)
    with create_segment(instance, "ring", ring_bytes(RING_SLOTS), epoch=12, slot_count=RING_SLOTS) as ring:
        writer = EventWriter(ring.buffer)
        writer.publish(slots[:10_000])
        with journal_process(instance, run_dir, "--fsync-interval-ms", "10") as process:
            page = attach_page(instance)
            assert page.epoch == 12
            wait_for(lambda: load_word(page.buffer, STATE) == 1, "state running")
            for begin in range(10_000, 30_000, 777):
                writer.publish(slots[begin:min(begin + 777, 30_000)])
            wait_for(lambda: load_word(page.buffer, WRITTEN) == 30_000, "every slot written")
            wait_for(lambda: load_word(page.buffer, SYNCED) == 30_000, "every slot synced")
            beat = load_word(page.buffer, HEARTBEAT)
            wait_for(lambda: load_word(page.buffer, HEARTBEAT) > beat, "a heartbeat while idle")
            assert load_word(page.buffer, HEARTBEAT) <= time.monotonic_ns()
            writer.publish(health(HealthKind.HEALTH_STOPPED))
            assert process.wait(TIMEOUT_S) == 0 and process.stderr.read() == ""
            assert load_word(page.buffer, STATE) == 2 and load_word(page.buffer, SYNCED) == 30_001
    found, reader = read_back(run_dir)
    expected = np.concatenate([slots, health(HealthKind.HEALTH_STOPPED)])
    expected["seq"] = np.arange(1, 30_002)
    assert found.tobytes() == expected.tobytes()
    assert reader.final and reader.torn_tail is None
    assert (reader.instance, reader.epoch) == (instance, 12)
    hasher = OutputHasher()
    hasher.update(expected)
    summary = json.loads((run_dir / "summary.json").read_bytes())
    assert summary == {
        "output_hash": hasher.hexdigest(), "events": int((expected["type"] != EventType.EV_CONT).sum()),
        "inputs": hasher.inputs, "outputs": hasher.outputs, "records": hasher.names(), "first_seq": 1, "last_seq": 30_001,
        "missed_slots": 0, "verifiable": True, "orderly": True, "layout_hash": f"{LAYOUT_HASH:016x}"}
    assert list_segments(instance) == [] and not list(run_dir.glob("*.tmp"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_does_not_end_it_while_the_engine_lives(instance, run_dir, number):
    with create_segment(instance, "ring", ring_bytes(RING_SLOTS), epoch=12, slot_count=RING_SLOTS) as ring:
        writer = EventWriter(ring.buffer)
        with journal_process(instance, run_dir) as process:
            page = attach_page(instance)
            wait_for(lambda: load_word(page.buffer, STATE) == 1, "state running")
            for _ in range(3):
                process.send_signal(number)
                time.sleep(0.05)
            writer.publish(random_slots(70))
            wait_for(lambda: load_word(page.buffer, WRITTEN) == 70, "every slot written")
            assert process.poll() is None
            writer.publish(health(HealthKind.HEALTH_STOPPED))
            assert process.wait(TIMEOUT_S) == 0
    assert read_back(run_dir)[1].final


ENGINE = """
import sys
import numpy as np
from tickpath.shm.ring import EventWriter, ring_bytes
from tickpath.shm.segment import create_segment
from tickpath.types import SLOT_DTYPE, EventType
segment = create_segment(sys.argv[1], "ring", ring_bytes(65536), epoch=12, slot_count=65536)
slots = np.zeros(50_000, SLOT_DTYPE)
slots["type"] = EventType.EV_TRADE
slots["type"][-1] = EventType.EV_FILL
writer = EventWriter(segment.buffer)
writer.publish(slots)
print("ready", flush=True)
sys.stdin.readline()
"""


def test_a_killed_engines_ring_is_drained_and_the_run_is_not_called_orderly(instance, run_dir):
    engine = subprocess.Popen([sys.executable, "-c", ENGINE, instance], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              text=True, env=ENVIRONMENT)
    assert engine.stdout.readline() == "ready\n"
    engine.kill()
    engine.wait()
    with journal_process(instance, run_dir) as process:
        assert process.wait(TIMEOUT_S) == 0, process.stderr.read()
    slots, reader = read_back(run_dir)
    # The last record was killed between its two slots: it never was one.
    assert len(slots) == 49_999 and not reader.final and reader.torn_tail is None
    summary = json.loads((run_dir / "summary.json").read_bytes())
    assert summary["orderly"] is False and summary["last_seq"] == 49_999 and summary["records"] == {"trade": 49_999}


def test_a_lapped_journal_goes_on_and_says_what_it_missed(instance, run_dir):
    with create_segment(instance, "ring", ring_bytes(1024), epoch=12, slot_count=1024) as ring:
        writer = EventWriter(ring.buffer)
        writer.publish(random_slots(5000))
        with journal_process(instance, run_dir) as process:
            page = attach_page(instance)
            wait_for(lambda: load_word(page.buffer, WRITTEN) >= 4999, "what is left of the ring")
            writer.publish(health(HealthKind.HEALTH_STOPPED))
            assert process.wait(TIMEOUT_S) == 1
            assert "expected every slot, found" in process.stderr.read()
            assert load_word(page.buffer, STATE) == 2
            missed = load_word(page.buffer, MISSED)
    slots, reader = read_back(run_dir)
    assert missed == reader.missed_slots
    summary = json.loads((run_dir / "summary.json").read_bytes())
    assert summary["missed_slots"] == reader.missed_slots == 5001 - len(slots) > 0 and summary["verifiable"] is False
    assert summary["orderly"] is True and reader.final and summary["last_seq"] == 5001


def test_without_a_configuration_it_ends_with_one_line(instance, run_dir):
    (run_dir / "config.json").unlink()
    with create_segment(instance, "ring", ring_bytes(1024), epoch=12, slot_count=1024) as ring:
        EventWriter(ring.buffer)
        with journal_process(instance, run_dir) as process:
            assert process.wait(TIMEOUT_S) == 1
            error = process.stderr.read()
    assert "config.json: expected the run's configuration, found No such file" in error
    assert error.startswith("journal: ") and error.count("\n") == 1


def test_a_damaged_journal_is_not_continued_and_the_page_says_so_until_the_engine_stops(instance, run_dir):
    (run_dir / "segment-000001.tpj").write_bytes(b"x")
    with create_segment(instance, "ring", ring_bytes(1024), epoch=12, slot_count=1024) as ring:
        writer = EventWriter(ring.buffer)
        with journal_process(instance, run_dir) as process:
            page = attach_page(instance)
            wait_for(lambda: load_word(page.buffer, STATE) == 3, "state failed")
            writer.publish(health(HealthKind.HEALTH_STOPPED))
            assert process.wait(TIMEOUT_S) == 1
            error = process.stderr.read()
    assert error.startswith(f"journal: {run_dir}/segment-000001.tpj: offset 0: ") and error.count("\n") == 1
    assert (run_dir / "segment-000001.tpj").read_bytes() == b"x"


def test_without_a_ring_it_ends_with_one_line(instance, run_dir):
    with journal_process(instance, run_dir) as process:
        assert process.wait(TIMEOUT_S) == 1
        error = process.stderr.read()
    assert error == f"journal: /tickpath.{instance}.ring: expected a running instance '{instance}', found no such segment\n"
    assert not list(run_dir.glob("*.tpj"))


def test_a_disk_that_refuses_shows_in_the_page_and_on_stderr(instance, run_dir):
    # A file size limit stands in for a full disk: the process must not go on as if it were written.
    with create_segment(instance, "ring", ring_bytes(RING_SLOTS), epoch=12, slot_count=RING_SLOTS) as ring:
        writer = EventWriter(ring.buffer)
        script = "import resource, signal, sys\nfrom tickpathd.journal_process import main\n" \
                 "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n" \
                 "resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))\n" \
                 "sys.exit(main(sys.argv[1:]))\n"
        process = subprocess.Popen([sys.executable, "-c", script, "--instance", instance, "--run-dir", str(run_dir)],
                                   stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
        try:
            page = attach_page(instance)
            writer.publish(random_slots(1000))
            wait_for(lambda: load_word(page.buffer, WRITTEN) >= 999, "what still fits")
            writer.publish(random_slots(10_000))
            wait_for(lambda: load_word(page.buffer, STATE) == 3, "state failed")
            assert load_word(page.buffer, ERRNO) == errno.EFBIG
            beat = load_word(page.buffer, HEARTBEAT)
            wait_for(lambda: load_word(page.buffer, HEARTBEAT) > beat, "a heartbeat after the failure")
            assert process.poll() is None
            writer.publish(health(HealthKind.HEALTH_STOPPED))
            assert process.wait(TIMEOUT_S) == 1
            error = process.stderr.read()
        finally:
            process.kill()
            process.wait()
            process.stderr.close()
        assert error == (f"journal: {run_dir}/segment-000001.tpj: write: expected the disk to take it, found File too "
                         f"large (errno {errno.EFBIG})\n")
        assert load_word(page.buffer, STATE) == 3
    slots, reader = read_back(run_dir)
    assert len(slots) >= 999 and not reader.final and reader.torn_tail is None
    assert not (run_dir / "summary.json").exists()


def test_it_has_one_thread_beside_the_main_one(instance, run_dir):
    with create_segment(instance, "ring", ring_bytes(1024), epoch=12, slot_count=1024) as ring:
        EventWriter(ring.buffer)
        with journal_process(instance, run_dir) as process:
            page = attach_page(instance)
            wait_for(lambda: load_word(page.buffer, STATE) == 1, "state running")
            wait_for(lambda: len(os.listdir(f"/proc/{process.pid}/task")) == 2, "the thread that syncs, and no other")


def test_a_second_journal_of_the_same_ring_is_refused_and_touches_nothing(instance, run_dir):
    with create_segment(instance, "ring", ring_bytes(1024), epoch=12, slot_count=1024) as ring:
        writer = EventWriter(ring.buffer)
        with journal_process(instance, run_dir) as process:
            page = attach_page(instance)
            wait_for(lambda: load_word(page.buffer, STATE) == 1, "state running")
            with journal_process(instance, run_dir) as second:
                assert second.wait(TIMEOUT_S) == 1
                assert "expected no such segment, found one" in second.stderr.read()
            writer.publish(random_slots(70))
            writer.publish(health(HealthKind.HEALTH_STOPPED))
            assert process.wait(TIMEOUT_S) == 0, process.stderr.read()
    assert len(read_back(run_dir)[0]) == 71


def test_a_killed_journal_goes_on_where_it_was_and_sums_up_the_whole_run(instance, run_dir):
    slots = random_slots(7_000)
    with create_segment(instance, "ring", ring_bytes(RING_SLOTS), epoch=12, slot_count=RING_SLOTS) as ring:
        writer = EventWriter(ring.buffer)
        for begin in (0, 3_500):
            writer.publish(slots[begin:begin + 3_500])
            with journal_process(instance, run_dir, "--segment-mb", "0.1") as process:
                page = attach_page(instance, process.pid)
                wait_for(lambda p=page, b=begin: load_word(p.buffer, WRITTEN) >= b + 3_499, "what is there written")
                process.kill()
                process.wait()
        writer.publish(health(HealthKind.HEALTH_STOPPED))
        with journal_process(instance, run_dir, "--segment-mb", "0.1") as process:
            assert process.wait(TIMEOUT_S) == 0, process.stderr.read()
        # Once more, all being done already: the summary is written again, the journal stays as it is.
        (run_dir / "summary.json").unlink()
        with journal_process(instance, run_dir) as process:
            assert process.wait(TIMEOUT_S) == 0, process.stderr.read()
    expected = np.concatenate([slots, health(HealthKind.HEALTH_STOPPED)])
    expected["seq"] = np.arange(1, 7_002)
    found, reader = read_back(run_dir)
    assert found.tobytes() == expected.tobytes() and reader.final and reader.missed_slots == 0
    hasher = OutputHasher()
    hasher.update(expected)
    summary = json.loads((run_dir / "summary.json").read_bytes())
    assert summary["output_hash"] == hasher.hexdigest() and summary["last_seq"] == 7_001 and summary["orderly"]
