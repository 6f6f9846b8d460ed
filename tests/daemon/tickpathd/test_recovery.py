"""What a killed engine left in its ring reaches its journal, once, whatever else was killed on the way."""
import itertools
import json
import os
import signal
import subprocess
import sys

import numpy as np
import posix_ipc
import pytest

from tickpath.shm.canonical import OutputHasher
from tickpath.shm.journal import JournalDamage, JournalReader, JournalWriter, segment_file
from tickpath.shm.ring import EventWriter, ring_bytes
from tickpath.shm.segment import create_segment, list_segments
from tickpath.types import DTYPES, SLOT_DTYPE, EventType, HealthKind
from tickpathd.recovery import drain_stale_ring
from tickpathd.run_dir import RunError

ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
CONFIG = b'{"epoch": 12}'
_numbers = itertools.count()

# An engine that publishes what stands in a file and is killed.
ENGINE = """
import os, signal, sys
import numpy as np
from tickpath.shm.ring import EventWriter, ring_bytes
from tickpath.shm.segment import create_segment
from tickpath.types import SLOT_DTYPE
count = int(sys.argv[3])
segment = create_segment(sys.argv[1], "ring", ring_bytes(count), epoch=12, slot_count=count)
create_segment(sys.argv[1], "state", 4096, epoch=12)
EventWriter(segment.buffer).publish(np.fromfile(sys.argv[2], SLOT_DTYPE))
os.kill(os.getpid(), signal.SIGKILL)
"""

# drain_stale_ring, killed at the n-th of its steps.
KILLED_DRAIN = """
import os, signal, sys
from tickpathd import recovery
left = int(sys.argv[3])
def counted(function):
    def call(*arguments, **more):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **more)
    return call
recovery.BATCH_SLOTS = 500
recovery.RunJournal.append = counted(recovery.RunJournal.append)
recovery.RunJournal.write_summary = counted(recovery.RunJournal.write_summary)
recovery.reclaim_if_stale = counted(recovery.reclaim_if_stale)
os.ftruncate = counted(os.ftruncate)
os.rename = counted(os.rename)
recovery.drain_stale_ring(sys.argv[1], sys.argv[2], segment_max_bytes=50_000)
print("done")
"""


@pytest.fixture
def instance():
    name = f"trc-{os.getpid()}-{next(_numbers)}"
    yield name
    for left in list_segments(name):
        posix_ipc.unlink_shared_memory(left)


@pytest.fixture
def run_dir(tmp_path, instance):
    run = tmp_path / "state" / instance / "runs" / "12"
    run.mkdir(parents=True)
    (run / "config.json").write_bytes(CONFIG)
    return run


@pytest.fixture
def state_dir(tmp_path):
    return tmp_path / "state"


def engine_slots(count, *, stopped=False):
    """Records of one and two slots, all whole, with their sequences; the engine's last record where it stopped."""
    random = np.random.default_rng(count)
    slots = np.zeros(count, SLOT_DTYPE)
    slots["payload"] = random.integers(0, 2**63, (count, 4))
    slots["type"] = EventType.EV_TRADE
    slots["type"][3::7] = EventType.EV_ORDER_STATE
    slots["type"][4:-2:7] = EventType.EV_FILL
    slots["type"][5:-1:7] = EventType.EV_CONT
    if stopped:
        last = np.zeros(1, DTYPES[EventType.EV_HEALTH])
        last["type"], last["kind"] = EventType.EV_HEALTH, HealthKind.HEALTH_STOPPED
        slots = np.concatenate([slots, last.view(np.uint8).view(SLOT_DTYPE)])
    slots["seq"] = np.arange(1, len(slots) + 1)
    return slots


def killed_engine(instance, tmp_path, slots, ring_slots=1 << 14):
    path = tmp_path / "slots"
    slots.tofile(path)
    done = subprocess.run([sys.executable, "-c", ENGINE, instance, str(path), str(ring_slots)], env=ENVIRONMENT, timeout=60,
                          stderr=subprocess.PIPE)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert len(list_segments(instance)) == 2


def journal_of(run_dir, instance, slots, **options):
    """A journal whose writer was killed behind these slots."""
    writer = JournalWriter(run_dir, instance=instance, epoch=12, config_bytes=CONFIG, **options)
    for begin in range(0, len(slots), 600):
        writer.append(slots[begin:begin + 600])
    writer.close(final=False)


def check_run(run_dir, slots, *, orderly):
    reader = JournalReader(run_dir)
    found = np.concatenate([np.empty(0, SLOT_DTYPE), *reader.batches()])
    assert found.tobytes() == slots.tobytes()
    assert reader.final == orderly and reader.torn_tail is None and reader.missed_slots == 0
    hasher = OutputHasher()
    hasher.update(slots)
    summary = json.loads((run_dir / "summary.json").read_bytes())
    assert summary["output_hash"] == hasher.hexdigest() and summary["last_seq"] == len(slots)
    assert summary["orderly"] is orderly and summary["verifiable"] is True and summary["records"] == hasher.names()
    return summary


def test_without_a_ring_there_is_nothing_to_do_and_other_stale_segments_go(state_dir, instance):
    assert drain_stale_ring(state_dir, instance) is None
    code = "import os, sys\nfrom tickpath.shm.segment import create_segment\n" \
           "create_segment(sys.argv[1], 'state', 4096)\nos._exit(0)\n"
    subprocess.run([sys.executable, "-c", code, instance], env=ENVIRONMENT, check=True, timeout=60)
    assert len(list_segments(instance)) == 1
    assert drain_stale_ring(state_dir, instance) is None and list_segments(instance) == []


def test_the_ring_of_a_living_engine_is_left_alone(state_dir, run_dir, instance):
    with create_segment(instance, "ring", ring_bytes(1024), epoch=12, slot_count=1024) as ring:
        EventWriter(ring.buffer).publish(engine_slots(50))
        assert drain_stale_ring(state_dir, instance) is None
        assert list_segments(instance) == [ring.name] and not list(run_dir.glob("*.tpj"))


@pytest.mark.parametrize("journaled", [None, 0, 700, 4999, 5000])
@pytest.mark.parametrize("stopped", [False, True])
def test_what_the_ring_holds_beyond_the_journal_is_appended(state_dir, run_dir, instance, tmp_path, journaled, stopped):
    slots = engine_slots(5000, stopped=stopped)
    if journaled is not None:
        journal_of(run_dir, instance, slots[:journaled], segment_max_bytes=60_000)
    killed_engine(instance, tmp_path, slots)
    result = drain_stale_ring(state_dir, instance, segment_max_bytes=60_000)
    assert result["run_dir"] == str(run_dir) and result["orderly"] is stopped
    check_run(run_dir, slots, orderly=stopped)
    before = {p.name: p.read_bytes() for p in run_dir.iterdir()}
    assert list_segments(instance) == [] and drain_stale_ring(state_dir, instance) is None
    assert {p.name: p.read_bytes() for p in run_dir.iterdir()} == before


def test_a_torn_tail_is_cut_and_written_again_from_the_ring(state_dir, run_dir, instance, tmp_path):
    slots = engine_slots(3000)
    journal_of(run_dir, instance, slots[:2000])
    path = segment_file(run_dir, 1)
    os.truncate(path, path.stat().st_size - 1000)
    killed_engine(instance, tmp_path, slots)
    result = drain_stale_ring(state_dir, instance)
    assert result["appended_slots"] > 1000
    check_run(run_dir, slots, orderly=False)


def test_a_record_that_the_engine_was_killed_in_the_middle_of_is_left_out(state_dir, run_dir, instance, tmp_path):
    slots = engine_slots(1000)
    slots["type"][-1] = EventType.EV_FILL
    killed_engine(instance, tmp_path, slots)
    assert drain_stale_ring(state_dir, instance)["last_seq"] == 999
    check_run(run_dir, slots[:-1], orderly=False)


def test_a_ring_that_lapped_beyond_the_journal_leaves_a_gap_and_no_verifiable_run(state_dir, run_dir, instance, tmp_path):
    slots = engine_slots(5000)
    journal_of(run_dir, instance, slots[:1000])
    killed_engine(instance, tmp_path, slots, ring_slots=1024)
    result = drain_stale_ring(state_dir, instance)
    assert result["verifiable"] is False and result["missed_slots"] > 2500 and result["last_seq"] == 5000
    reader = JournalReader(run_dir)
    found = np.concatenate(list(reader.batches()))
    assert reader.missed_slots == result["missed_slots"] == 5000 - len(found)
    assert found.tobytes() == slots[np.isin(slots["seq"], found["seq"])].tobytes()


def test_a_ring_without_its_run_directory_is_left_for_the_operator(state_dir, instance, tmp_path):
    killed_engine(instance, tmp_path, engine_slots(100))
    before = list_segments(instance)
    with pytest.raises(RunError, match=rf"tickpath.{instance}.ring: expected the run directory .*/runs/12 of the engine"):
        drain_stale_ring(state_dir, instance)
    assert list_segments(instance) == before


def test_a_damaged_journal_is_named_and_everything_is_left_as_it_is(state_dir, run_dir, instance, tmp_path):
    slots = engine_slots(3000)
    journal_of(run_dir, instance, slots[:2000])
    path = segment_file(run_dir, 1)
    raw = bytearray(path.read_bytes())
    raw[20_000] ^= 1
    path.write_bytes(raw)
    killed_engine(instance, tmp_path, slots)
    before = list_segments(instance)
    with pytest.raises(JournalDamage, match="segment-000001.tpj: offset"):
        drain_stale_ring(state_dir, instance)
    assert list_segments(instance) == before and path.read_bytes() == bytes(raw)
    assert not (run_dir / "summary.json").exists()


def test_a_journal_of_another_epoch_is_refused(state_dir, run_dir, instance, tmp_path):
    writer = JournalWriter(run_dir, instance=instance, epoch=11, config_bytes=CONFIG)
    writer.close()
    killed_engine(instance, tmp_path, engine_slots(100))
    with pytest.raises(Exception, match="epoch: expected 12, found a journal of 11"):
        drain_stale_ring(state_dir, instance)
    assert len(list_segments(instance)) == 2


def test_a_foreign_ring_is_left_with_its_reason(state_dir, run_dir, instance, tmp_path):
    killed_engine(instance, tmp_path, engine_slots(100))
    shm = posix_ipc.SharedMemory(f"/tickpath.{instance}.ring")
    os.pwrite(shm.fd, b"\xff" * 8, 16)
    shm.close_fd()
    with pytest.raises(RunError, match="layout hash: expected .* it is left as it is"):
        drain_stale_ring(state_dir, instance)
    assert len(list_segments(instance)) == 2


def test_a_journal_process_that_still_drains_is_waited_for(state_dir, run_dir, instance, tmp_path):
    killed_engine(instance, tmp_path, engine_slots(100))
    with create_segment(instance, "journal", 4096, epoch=12):
        with pytest.raises(RunError, match=r"expected the journal of the last run to end within 0 s, found it running \(pid"):
            drain_stale_ring(state_dir, instance, patience_s=0)
    assert drain_stale_ring(state_dir, instance)["last_seq"] == 100


def test_killed_at_any_step_it_is_simply_run_again(state_dir, run_dir, instance, tmp_path):
    slots = engine_slots(3000, stopped=True)
    journal_of(run_dir, instance, slots[:400])
    killed_engine(instance, tmp_path, slots)
    step = 0
    while True:
        done = subprocess.run([sys.executable, "-c", KILLED_DRAIN, str(state_dir), instance, str(step)], env=ENVIRONMENT,
                              capture_output=True, text=True, timeout=60)
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL, done.stderr
        step += 1
    assert step >= 4 and done.stdout == "done\n"
    check_run(run_dir, slots, orderly=True)
    assert list_segments(instance) == []
