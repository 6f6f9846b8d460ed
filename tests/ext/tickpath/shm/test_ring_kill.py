"""kill -9 of the ring's writers and readers: whoever is left sees no torn, repeated or reordered slot, and a fresh writer of
the same instance starts at once. The random kills are stress_ring_killer.py; here are the rare moments, made by hand, and what
an attaching process is refused or cannot do.
"""
import itertools
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import posix_ipc
import pytest

from tickpath.shm.lane import lane_bytes
from tickpath.shm.ring import HEADER_SIZE, EventReader, EventWriter, records, ring_bytes
from tickpath.shm.segment import SegmentError, attach_segment, create_segment, list_segments, segment_name
from tickpath.shm.words import load_word, store_word
from tickpath.types import SLOT_DTYPE, EventType

ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
SLOT_BYTES = 64
_numbers = itertools.count()


@pytest.fixture
def instance():
    name = f"trk-{os.getpid()}-{next(_numbers)}"
    yield name
    left = [s for s in os.listdir("/dev/shm") if s.startswith((f"tickpath.{name}.", f"tickpath.{name}-"))]
    for segment in left:
        posix_ipc.unlink_shared_memory("/" + segment)


def run_killer(scenario, instance, rounds, directory, seed=1):
    script = Path(__file__).with_name("stress_ring_killer.py")
    # A session of its own: whatever it started goes with it, also when it hangs.
    killer = subprocess.Popen([sys.executable, script, scenario, instance, str(rounds), str(seed), directory],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT, start_new_session=True)
    try:
        out, error = killer.communicate(timeout=200)
    finally:
        try:
            os.killpg(killer.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass                               # all of them have ended
        killer.wait()
    assert killer.returncode == 0, error[-4000:]
    assert error == ""
    return json.loads(out)


# ---- at random moments: 200 kills in all

def test_after_a_killed_writer_readers_agree_and_a_fresh_writer_starts_at_once(instance, tmp_path):
    found = run_killer("writers", instance, 100, tmp_path)
    assert found["kills"] == 100 and found["laps"] > 20 and found["read"] > 10_000, found


def test_a_killed_reader_leaves_the_segment_and_the_writer_alone(instance, tmp_path):
    found = run_killer("readers", instance, 49, tmp_path)
    assert found["kills"] == 50 and found["laps"] > 5 and found["read"] > 5_000, found


def test_a_writer_killed_while_it_makes_its_segment_is_in_nobodys_way(instance, tmp_path):
    found = run_killer("creators", instance, 30, tmp_path)
    assert found["kills"] > 30 and found["absent"] + found["stale"] + found["begun"] == 30, found
    assert found["stale"] > 0 and found["begun"] > 0, found


def test_what_reached_a_killed_writers_ring_is_all_in_the_journal(instance, tmp_path):
    found = run_killer("journals", instance, 20, tmp_path)
    assert found["kills"] == 20 and found["slots"] > 10_000, found


# ---- at one moment: inside a slot

DEAD_WRITER = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from tickpath.shm.ring import EventWriter, ring_bytes
from tickpath.shm.segment import create_segment
from test_ring_kill import numbered_records
segment = create_segment(sys.argv[2], "ring", ring_bytes(1024), epoch=7, slot_count=1024)
EventWriter(segment.buffer).publish(numbered_records(1, int(sys.argv[3])))
os.kill(os.getpid(), signal.SIGKILL)
"""


def numbered_records(first_seq, count):
    """Slots of records of two slots; every word follows from the sequence."""
    number = np.arange(first_seq, first_seq + count, dtype=np.uint64)
    slots = np.zeros(count, SLOT_DTYPE)
    slots["ts_recv_ns"] = number
    slots["type"] = np.where(number & np.uint64(1), EventType.EV_FILL, EventType.EV_CONT)
    slots["payload"] = number[:, None] * np.array([5, 7, 11, 13], np.uint64)
    return slots


def leave_dead_ring(instance, slot_count):
    done = subprocess.run([sys.executable, "-c", DEAD_WRITER, os.path.dirname(__file__), instance, str(slot_count)],
                          env=ENVIRONMENT, timeout=60)
    assert done.returncode == -signal.SIGKILL


def claim(instance, seq, words_written):
    """Do what a writer does before its last store: W1, then W3 as far as it got."""
    memory = attach_segment(instance, "ring", writable=True).buffer
    slot = HEADER_SIZE + SLOT_BYTES * (seq & 1023)
    store_word(memory, slot, 0)
    words = numbered_records(seq, 1).view(np.uint64)[1:]
    for i in range(words_written):
        store_word(memory, slot + 8 + 8 * i, int(words[i]))


@pytest.mark.parametrize("words_written", [0, 3, 7])
@pytest.mark.parametrize("published", [10, 1024, 5000])
def test_a_reader_stops_before_a_slot_that_was_begun_and_not_finished(instance, published, words_written):
    leave_dead_ring(instance, published)
    early = EventReader.attach(instance, max(1, published - 600))
    claim(instance, published + 1, words_written)
    oldest_left = max(1, published + 2 - 1024)
    for reader, begin in ((early, max(1, published - 600)), (EventReader.attach(instance, oldest_left), oldest_left)):
        assert not reader.segment.owner_alive()
        slots = reader.read(2048)
        assert slots["seq"].tolist() == list(range(begin, published + 1))
        expected = numbered_records(begin, len(slots))
        expected["seq"] = slots["seq"]
        assert slots.tobytes() == expected.tobytes()
        assert len(reader.read()) == 0 and reader.missed_slots == 0 and reader.next_seq == published + 1


def test_a_record_killed_between_its_slots_is_no_record(instance):
    leave_dead_ring(instance, 11)
    claim(instance, 12, 7)
    slots = EventReader.attach(instance, 1).read()
    assert len(slots) == 11 and len(records(slots, EventType.EV_FILL)) == 5


def test_a_fresh_ring_holds_nothing_of_the_dead_one(instance):
    leave_dead_ring(instance, 5000)
    claim(instance, 5001, 7)
    old = EventReader.attach(instance, 4500)
    with create_segment(instance, "ring", ring_bytes(1024), epoch=8, slot_count=1024) as segment:
        writer = EventWriter(segment.buffer)
        fresh = EventReader.attach(instance, 1)
        assert fresh.segment.epoch == 8 and fresh.segment.owner_alive() and len(fresh.read()) == 0
        writer.publish(np.zeros(3, SLOT_DTYPE))
        assert fresh.read()["seq"].tolist() == [1, 2, 3] and fresh.head == 3
        # The old mapping stays what it was, for whoever still has to read it.
        assert old.segment.epoch == 7 and not old.segment.owner_alive() and len(old.read()) == 501 and old.head == 5000


# ---- attached processes

def test_a_reader_that_ends_in_order_leaves_the_segment(instance):
    with create_segment(instance, "ring", ring_bytes(1024), slot_count=1024) as segment:
        writer = EventWriter(segment.buffer)
        writer.publish(numbered_records(1, 4))
        script = "import sys\nfrom tickpath.shm.ring import EventReader\n" \
                 "with EventReader.attach(sys.argv[1], 1).segment: pass\nprint(len(EventReader.attach(sys.argv[1], 1).read()))\n"
        done = subprocess.run([sys.executable, "-c", script, instance], env=ENVIRONMENT, capture_output=True, text=True)
        assert (done.returncode, done.stdout, done.stderr) == (0, "4\n", "")
        assert list_segments(instance) == [segment_name(instance, "ring")]
        writer.publish(numbered_records(5, 2))
        assert len(EventReader.attach(instance, 1).read()) == 6


WRITES_THROUGH_ITS_MAPPING = """
import ctypes, resource, sys
import numpy as np
from tickpath.shm.ring import EventReader
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
reader = EventReader.attach(sys.argv[1], 1)
print(len(reader.read()), flush=True)
ctypes.memset(np.frombuffer(reader.segment.buffer, np.uint8).ctypes.data + int(sys.argv[2]), 0xFF, 64)
print("written", flush=True)
"""


@pytest.mark.parametrize("offset", [0, 128, HEADER_SIZE + 64])
def test_a_reader_that_writes_through_its_mapping_dies_alone(instance, offset):
    with create_segment(instance, "ring", ring_bytes(1024), slot_count=1024) as segment:
        writer = EventWriter(segment.buffer)
        other = EventReader.attach(instance, 1)
        writer.publish(numbered_records(1, 4))
        before = bytes(segment.buffer)
        done = subprocess.run([sys.executable, "-c", WRITES_THROUGH_ITS_MAPPING, instance, str(offset)], env=ENVIRONMENT,
                              capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (-signal.SIGSEGV, "4\n"), done.stderr
        assert bytes(segment.buffer) == before
        writer.publish(numbered_records(5, 2))
        slots = other.read()
        assert slots["seq"].tolist() == list(range(1, 7)) and (slots["payload"][:, 0] == slots["seq"] * 5).all()


# ---- what an attaching reader is refused

@pytest.mark.parametrize("size_bytes", [ring_bytes(1024) - 4096, ring_bytes(1024) + 4096, HEADER_SIZE, 128])
def test_a_segment_whose_file_was_cut_or_grown_is_refused(instance, size_bytes):
    with create_segment(instance, "ring", ring_bytes(1024), slot_count=1024):
        os.truncate("/dev/shm" + segment_name(instance, "ring"), size_bytes)
        with pytest.raises(SegmentError, match=f"size: expected {size_bytes}, found {ring_bytes(1024)}"):
            EventReader.attach(instance)


def test_a_ring_of_a_size_no_ring_has_is_refused(instance):
    with create_segment(instance, "ring", HEADER_SIZE + 1000 * SLOT_BYTES):
        with pytest.raises(SegmentError, match=f"power-of-two number of 64-byte slots, found {HEADER_SIZE + 64_000} bytes"):
            EventReader.attach(instance)


def test_another_kind_of_segment_under_the_rings_name_is_refused(instance):
    with create_segment(instance, "lane.admin", lane_bytes(1024)):
        os.link("/dev/shm" + segment_name(instance, "lane.admin"), "/dev/shm" + segment_name(instance, "ring"))
        with pytest.raises(SegmentError, match="kind: expected 1, found 5"):
            EventReader.attach(instance)


def test_a_refused_segment_is_left_as_it_was(instance):
    with create_segment(instance, "ring", ring_bytes(1024), slot_count=1024) as segment:
        segment.mapping[12:16] = struct.pack("<I", 99)
        before = bytes(segment.buffer)
        with pytest.raises(SegmentError, match="layout version"):
            EventReader.attach(instance)
        assert bytes(segment.buffer) == before and list_segments(instance) == [segment_name(instance, "ring")]


# ---- no room

ON_A_SMALL_FILE_SYSTEM = """
import json, os, sys
import numpy as np
from tickpath.shm.ring import EventReader, EventWriter, ring_bytes
from tickpath.shm.segment import SegmentError, create_segment
from tickpath.types import SLOT_DTYPE

def refused(instance, slot_count):
    try:
        create_segment(instance, "ring", ring_bytes(slot_count), slot_count=slot_count)
    except SegmentError as e:
        return str(e)

with create_segment("live", "ring", ring_bytes(4096), slot_count=4096) as segment:
    writer = EventWriter(segment.buffer)
    errors = [refused("large", 65536), refused("behind", 16384), refused("live", 1024)]
    left = sorted(os.listdir("/dev/shm"))
    writer.publish(np.zeros(9000, SLOT_DTYPE))
    read = len(EventReader.attach("live", 8000).read())
    with create_segment("small", "ring", ring_bytes(1024), slot_count=1024):
        both = sorted(os.listdir("/dev/shm"))
print(json.dumps({"errors": errors, "left": left, "read": read, "both": both, "at_end": os.listdir("/dev/shm")}))
"""


@pytest.fixture
def private_mounts(require_tool):
    """Command prefix for a mount namespace of its own; skips where this user or container may not have one."""
    unshare = require_tool("unshare", "util-linux")
    for options in (["--mount"], ["--mount", "--user", "--map-root-user"]):
        if subprocess.run([unshare, *options, "true"], capture_output=True).returncode == 0:
            return [unshare, *options]
    text = "unshare --mount is not permitted here: no /dev/shm of a chosen size"
    pytest.fail(text) if os.environ.get("TICKPATH_REQUIRE_TOOLS") == "1" else pytest.skip(text)


def test_a_segment_that_does_not_fit_is_a_clean_error_and_leaves_nothing(private_mounts):
    mount = f"mount -t tmpfs -o size=1m tmpfs /dev/shm && exec {shutil.which('env')} \"$@\""
    done = subprocess.run([*private_mounts, "sh", "-c", mount, "sh", sys.executable, "-c", ON_A_SMALL_FILE_SYSTEM],
                          env=ENVIRONMENT, capture_output=True, text=True, timeout=60)
    if done.returncode == 32 and os.environ.get("TICKPATH_REQUIRE_TOOLS") != "1":
        pytest.skip(f"a tmpfs cannot be mounted here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr           # SIGBUS would be -7
    found = json.loads(done.stdout)
    for error, instance, slot_count in zip(found["errors"], ["large", "behind"], [65536, 16384], strict=False):
        assert error.startswith(f"/tickpath.{instance}.ring: expected {ring_bytes(slot_count)} bytes of shared memory, found ")
        assert error.endswith(" bytes free")
    assert "instance 'live' is running" in found["errors"][2]
    assert found["left"] == ["tickpath.live.ring"] and found["read"] == 1001
    assert found["both"] == ["tickpath.live.ring", "tickpath.small.ring"] and found["at_end"] == []


def test_head_and_first_are_where_the_map_says(instance):
    # What `claim` and every foreign reader rely on.
    with create_segment(instance, "ring", ring_bytes(1024), slot_count=1024) as segment:
        EventWriter(segment.buffer, first_seq=500).publish(np.zeros(3, SLOT_DTYPE))
        assert load_word(segment.buffer, 128) == 502 and load_word(segment.buffer, 192) == 500
        assert load_word(segment.buffer, HEADER_SIZE + SLOT_BYTES * 501) == 501
