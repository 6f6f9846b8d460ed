"""Shared-memory segments: who may have one, what is refused, what a dead owner leaves."""
import contextlib
import itertools
import os
import signal
import struct
import subprocess
import sys
import threading

import numpy as np
import posix_ipc
import pytest

from tickpath.shm import segment as segment_module
from tickpath.shm.ring import EventReader, EventWriter, ring_bytes
from tickpath.shm.segment import (
    HEADER,
    SegmentError,
    attach_segment,
    create_segment,
    list_segments,
    process_start_ticks,
    reclaim_if_stale,
    segment_name,
)
from tickpath.types import SLOT_DTYPE

ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
_numbers = itertools.count()


@pytest.fixture
def instance():
    name = f"tseg-{os.getpid()}-{next(_numbers)}"
    yield name
    for left in list_segments(name):
        posix_ipc.unlink_shared_memory(left)


OWNER = """
import sys
from tickpath.shm.segment import create_segment
segment = create_segment(sys.argv[1], "ring", 4096 + 64 * 1024, epoch=77, slot_count=1024)
print("ready", flush=True)
sys.stdin.readline()
"""


@contextlib.contextmanager
def owner_process(instance):
    process = subprocess.Popen([sys.executable, "-c", OWNER, instance], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               text=True, env=ENVIRONMENT)
    try:
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.wait()


def test_what_the_owner_said_is_what_an_attached_process_finds(instance):
    with owner_process(instance) as process:
        segment = attach_segment(instance, "ring")
        assert (segment.epoch, segment.slot_count, segment.instance) == (77, 1024, instance)
        assert segment.pid == process.pid and segment.owner_alive()
        assert len(segment.buffer) == ring_bytes(1024)
        segment.close()


def test_the_owner_removes_the_name_and_nobody_else_does(instance):
    owner = create_segment(instance, "journal", 4096)
    attach_segment(instance, "journal").close()
    assert list_segments(instance) == [segment_name(instance, "journal")]
    owner.close()
    assert list_segments(instance) == []
    with pytest.raises(SegmentError, match=f"expected a running instance '{instance}', found no such segment"):
        attach_segment(instance, "journal")


def test_a_segment_in_use_by_a_compiled_reader_can_be_closed(instance):
    # It once raised BufferError after the name was gone: every orderly end of an engine would have failed.
    owner = create_segment(instance, "ring", ring_bytes(1024), slot_count=1024)
    writer = EventWriter(owner.buffer)
    reader = EventReader.attach(instance, 1)
    owner.close()
    reader.segment.close()
    writer.publish(np.zeros(3, SLOT_DTYPE))
    assert len(reader.read()) == 3
    assert list_segments(instance) == []


def test_a_forked_child_does_not_remove_its_parents_segment(instance):
    owner = create_segment(instance, "journal", 4096)
    script = "import os, sys\n" \
             "from tickpath.shm.segment import create_segment, list_segments\n" \
             "owner = create_segment(sys.argv[1], 'journal', 4096)\n" \
             "child = os.fork()\n" \
             "if child == 0:\n" \
             "    owner.close()\n" \
             "    os._exit(0)\n" \
             "os.waitpid(child, 0)\n" \
             "print(len(list_segments(sys.argv[1])))\n" \
             "owner.close()\n" \
             "print(len(list_segments(sys.argv[1])))\n"
    done = subprocess.run([sys.executable, "-c", script, instance + "f"], env=ENVIRONMENT, capture_output=True, text=True)
    assert done.stdout.split() == ["1", "0"], done.stderr
    owner.close()


def test_a_second_live_owner_is_refused_and_the_first_keeps_its_segment(instance):
    with owner_process(instance) as process:
        with pytest.raises(SegmentError, match=f"found one: instance '{instance}' is running"):
            create_segment(instance, "ring", ring_bytes(1024))
        assert not reclaim_if_stale(instance, "ring")
        assert attach_segment(instance, "ring").pid == process.pid
        assert list_segments(instance) == [segment_name(instance, "ring")]


def test_a_segment_whose_owner_was_killed_is_found_dead_and_reclaimed(instance):
    with owner_process(instance) as process:
        attached = attach_segment(instance, "ring")
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert not attached.owner_alive()
        with create_segment(instance, "ring", ring_bytes(2048), epoch=78, slot_count=2048) as mine:
            assert attach_segment(instance, "ring").epoch == 78 and mine.owner_alive()
            assert attached.epoch == 77 and len(attached.buffer) == ring_bytes(1024)
        assert not reclaim_if_stale(instance, "ring")


def test_a_zombie_owner_counts_as_dead(instance):
    with owner_process(instance) as process:
        os.kill(process.pid, signal.SIGKILL)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert process_start_ticks(process.pid) is None
        assert reclaim_if_stale(instance, "ring")


def test_a_pid_that_was_given_to_another_process_is_not_taken_for_the_owner(instance):
    with create_segment(instance, "journal", 4096) as owner:
        struct.pack_into("<Q", owner.mapping, 40, owner.pid_start + 1)
        assert not attach_segment(instance, "journal").owner_alive()
        assert reclaim_if_stale(instance, "journal")


@pytest.mark.parametrize("offset, data, what", [
    (0, b"TICKPOTH", "magic: expected b'TICKPATH', found b'TICKPOTH'"),
    (8, struct.pack("<I", 2), "kind: expected 1, found 2"),
    (12, struct.pack("<I", 99), "layout version: expected 3, found 99"),
    (16, struct.pack("<Q", 0xDEAD), "layout hash: expected [0-9a-f]{16}, found 000000000000dead"),
    (24, struct.pack("<Q", 5), "size: expected 69632, found 5"),
])
def test_attach_refuses_what_it_does_not_know_and_says_why(instance, offset, data, what):
    with create_segment(instance, "ring", ring_bytes(1024), slot_count=1024) as owner:
        owner.mapping[offset:offset + len(data)] = data
        with pytest.raises(SegmentError, match=f"{segment_name(instance, 'ring')}: {what}"):
            EventReader.attach(instance)


def test_a_segment_shorter_than_its_header_is_refused(instance):
    shm = posix_ipc.SharedMemory(segment_name(instance, "ring"), posix_ipc.O_CREX, size=64)
    shm.close_fd()
    with pytest.raises(SegmentError, match="expected at least 128 bytes, found 64"):
        attach_segment(instance, "ring")


def test_an_attached_segment_is_read_only_unless_asked(instance):
    with create_segment(instance, "feed", 4096) as owner:
        reading, writing = attach_segment(instance, "feed"), attach_segment(instance, "feed", writable=True)
        with pytest.raises(TypeError):
            reading.buffer[200] = 1
        writing.buffer[200] = 7
        assert owner.buffer[200] == 7 == reading.buffer[200]


def test_the_mode_is_what_was_asked_for_whatever_the_umask(instance):
    previous = os.umask(0o077)
    try:
        with create_segment(instance, "feed", 4096, mode=0o660):
            assert os.stat("/dev/shm" + segment_name(instance, "feed")).st_mode & 0o777 == 0o660
    finally:
        os.umask(previous)


def test_a_segment_never_stands_under_its_name_without_its_header(instance, monkeypatch):
    # A second process that found the name before the header took it for a dead owner's and removed it.
    seen = []
    link = os.link

    def watched(source, target):
        with open(source, "rb") as f:
            seen.append(HEADER.unpack(f.read(HEADER.size))[0])
        assert not os.path.exists(target)
        link(source, target)
    monkeypatch.setattr(segment_module.os, "link", watched)
    with create_segment(instance, "journal", 4096):
        assert seen == [b"TICKPATH"]


def test_of_many_that_create_the_same_segment_at_once_one_wins(instance):
    with owner_process(instance) as dead:
        dead.kill()
        dead.wait()
        script = "import sys\nfrom tickpath.shm.segment import SegmentError, create_segment\nsys.stdin.readline()\n" \
                 "try:\n    s = create_segment(sys.argv[1], 'ring', 69632)\n    print('won', flush=True)\n" \
                 "except SegmentError:\n    print('refused', flush=True)\nsys.stdin.readline()\n"
        racers = [subprocess.Popen([sys.executable, "-c", script, instance], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, text=True, env=ENVIRONMENT) for _ in range(6)]
        try:
            go = [threading.Thread(target=lambda r=r: (r.stdin.write("go\n"), r.stdin.flush())) for r in racers]
            for thread in go:
                thread.start()
            answers = [r.stdout.readline().strip() for r in racers]
            assert sorted(answers) == ["refused"] * 5 + ["won"]
            assert attach_segment(instance, "ring").pid == racers[answers.index("won")].pid
            assert list_segments(instance) == [segment_name(instance, "ring")]
        finally:
            for racer in racers:
                racer.kill()
                racer.wait()


@pytest.mark.parametrize("name", ["", "UPPER", "a/b", "-a", "a" * 33, "ä"])
def test_a_bad_instance_name_is_refused(name):
    with pytest.raises(SegmentError, match="instance name: expected 1 to 32 characters"):
        create_segment(name, "ring", 4096)


def test_an_unknown_kind_is_refused_and_leaves_nothing(instance):
    with pytest.raises(SegmentError, match="segment kind: expected one of ring, state, feed, journal, lane, clocks, found 'rung'"):
        create_segment(instance, "rung", 4096)
    assert list_segments(instance) == []


def test_more_memory_than_there_is_is_refused_at_creation(instance):
    with pytest.raises(SegmentError, match=r"expected \d+ bytes of shared memory, found"):
        create_segment(instance, "ring", 1 << 50)
    assert list_segments(instance) == []


def test_what_a_killed_maker_left_unfinished_is_removed_by_the_next_one(instance):
    code = ("import os, sys\nfrom tickpath.shm import segment\n"
            "segment._map_reserved = lambda *a: os.kill(os.getpid(), 9)\nsegment.create_segment(sys.argv[1], 'ring', 8192)")
    assert subprocess.run([sys.executable, "-c", code, instance], timeout=60).returncode == -signal.SIGKILL
    assert [".new-" in name for name in list_segments(instance)] == [True]
    with create_segment(instance, "ring", 8192) as made:
        assert list_segments(instance) == [made.name]
    assert list_segments(instance) == []


def test_an_unfinished_segment_of_a_living_maker_is_left_alone(instance):
    path = f"/dev/shm/tickpath.{instance}.ring.new-{os.getppid()}"
    with open(path, "wb"):
        pass
    try:
        with create_segment(instance, "ring", 8192):
            assert os.path.exists(path)
    finally:
        os.unlink(path)


def test_pages_are_there_when_the_segment_is(instance):
    with create_segment(instance, "ring", 1 << 22) as made:
        assert os.stat("/dev/shm" + made.name).st_blocks * 512 >= 1 << 22
        made.buffer[:] = bytes(1 << 22)


def test_pages_are_huge_where_the_file_system_gives_them(instance):
    # In a mount namespace of its own, so that nothing of the machine changes.
    code = ("import sys\nfrom tickpath.shm.segment import create_segment\n"
            "with create_segment(sys.argv[1], 'ring', (1 << 24) + 4096) as made:\n"
            "    text = open('/proc/self/smaps').read()\n"
            "    print(text[text.index(made.name):].split('ShmemPmdMapped:')[1].split()[0])")
    script = f'mount -t tmpfs -o huge=advise,size=64m tmpfs /dev/shm && exec "{sys.executable}" -c "$1" "$2"'
    done = subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", code, instance], capture_output=True, text=True, timeout=60)
    if done.returncode:
        text = f"a tmpfs with huge pages needs root and the kernel's transparent huge pages: {done.stderr.strip()}"
        pytest.fail(text) if os.environ.get("TICKPATH_REQUIRE_TOOLS") == "1" else pytest.skip(text)
    assert int(done.stdout) == 16384, "16 MiB of the segment in huge pages, kB"
