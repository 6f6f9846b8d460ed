"""The feed lane: whole frames in order, full is an answer and not an accident."""
import mmap
import os
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from example_counts import examples
from tickpath.shm.feed_lane import FeedLaneReader, FeedLaneWriter, feed_lane_bytes
from tickpath.shm.segment import SegmentError, create_segment

ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
LANE_BYTES = 65536


def test_frames_come_out_as_they_went_in():
    writer, reader = FeedLaneWriter.local(LANE_BYTES)
    assert reader.try_read() is None
    assert writer.try_write(b"abc", 17) is True
    assert writer.try_write(b"", 18, 5) is True
    assert not writer.drained and reader.backlog_bytes == 96
    assert reader.try_read() == (17, 0xFFFFFFFF, b"abc")
    assert reader.try_read() == (18, 5, b"")
    assert reader.try_read() is None and writer.drained


def test_the_end_mark_is_an_entry_without_a_frame():
    writer, reader = FeedLaneWriter.local(LANE_BYTES)
    writer.try_write(b"last", 1)
    assert writer.try_end(2) is True
    assert reader.try_read()[2] == b"last"
    assert reader.try_read() == (2, 0xFFFFFFFF, None)


def test_a_full_lane_answers_false_and_takes_the_frame_once_there_is_room():
    writer, reader = FeedLaneWriter.local(LANE_BYTES)
    frame = bytes(1000)
    written = 0
    while writer.try_write(frame, written):
        written += 1
    assert written == LANE_BYTES // 1056
    assert writer.try_write(frame, written) is False
    assert reader.try_read()[0] == 0
    # Room again: the 64 bytes left at the ring's end are skipped and the first entry's place is taken.
    assert writer.try_write(frame, written) is True
    assert writer.try_write(frame, written) is False


def test_nothing_that_waits_is_overwritten_by_a_full_lane():
    writer, reader = FeedLaneWriter.local(LANE_BYTES)
    frames = [bytes([n]) * 5000 for n in range(40)]
    taken = []
    for n, frame in enumerate(frames):
        while not writer.try_write(frame, n):
            taken.append(reader.try_read())
    while (entry := reader.try_read()) is not None:
        taken.append(entry)
    assert [entry[2] for entry in taken] == frames
    assert [entry[0] for entry in taken] == list(range(40))


def test_an_entry_is_not_split_at_the_rings_end_but_skips_it():
    writer, reader = FeedLaneWriter.local(LANE_BYTES)
    # 4 x 15,032 leaves 5,408 bytes: the fifth frame of 6,000 goes to the front and a filler skips the rest.
    for n in range(4):
        assert writer.try_write(bytes([n]) * 15000, n)
    for n in range(4):
        assert reader.try_read()[2] == bytes([n]) * 15000
    assert writer.try_write(b"x" * 6000, 9)
    assert reader.backlog_bytes > 6032
    assert reader.try_read() == (9, 0xFFFFFFFF, b"x" * 6000)
    assert reader.backlog_bytes == 0 and writer.drained


def test_a_frame_that_ends_exactly_at_the_rings_end_needs_no_filler():
    writer, reader = FeedLaneWriter.local(LANE_BYTES)
    for n in range(4):
        assert writer.try_write(bytes(LANE_BYTES // 4 - 32), n)
    assert writer.try_write(b"y", 5) is False
    for n in range(4):
        assert reader.try_read()[0] == n
    assert writer.try_write(b"y", 5) and reader.backlog_bytes == 64
    assert reader.try_read()[2] == b"y"


def test_the_largest_frame_fits_and_one_byte_more_is_refused_with_the_bound():
    # max_frame_bytes once left the entry's header out: a frame of just that size was refused.
    writer, reader = FeedLaneWriter.local(LANE_BYTES)
    assert writer.max_frame_bytes == LANE_BYTES // 4 - 32
    assert writer.try_write(bytes(writer.max_frame_bytes), 1)
    with pytest.raises(ValueError, match=f"expected at most {writer.max_frame_bytes} bytes, found "
                                         f"{writer.max_frame_bytes + 1}"):
        writer.try_write(bytes(writer.max_frame_bytes + 1), 2)
    assert len(reader.try_read()[2]) == writer.max_frame_bytes and reader.try_read() is None


@settings(max_examples=examples(80), deadline=None)
@given(st.lists(st.tuples(st.integers(0, LANE_BYTES // 4 - 32), st.integers(0, 3)), max_size=120))
def test_any_sequence_of_writes_and_reads_keeps_frames_whole_and_in_order(steps):
    writer, reader = FeedLaneWriter.local(LANE_BYTES)
    expected = []
    for n, (size, reads) in enumerate(steps):
        frame = n.to_bytes(2, "little") * (size // 2)
        if writer.try_write(frame, n, n):
            expected.append((n, n, frame))
        for _ in range(reads):
            assert reader.try_read() == (expected.pop(0) if expected else None)
    for entry in expected:
        assert reader.try_read() == entry
    assert reader.try_read() is None and writer.drained and reader.backlog_bytes == 0


def test_both_ends_go_on_where_they_were_after_a_new_start():
    memory = mmap.mmap(-1, feed_lane_bytes(LANE_BYTES))
    FeedLaneWriter(memory).try_write(b"one", 1)
    writer = FeedLaneWriter(memory)
    writer.try_write(b"two", 2)
    assert FeedLaneReader(memory).try_read()[2] == b"one"
    assert FeedLaneReader(memory).try_read()[2] == b"two"


FEEDER = """
import sys, time
from tickpath.shm.feed_lane import FeedLaneWriter
from tickpath.shm.segment import attach_segment
writer = FeedLaneWriter(attach_segment(sys.argv[1], "feed", writable=True).buffer)
for n in range(int(sys.argv[2])):
    while not writer.try_write(n.to_bytes(4, "little") * (n % 700), n, n):
        time.sleep(0)
while not writer.try_end(0):
    time.sleep(0)
"""


def test_frames_of_another_process_arrive_whole_and_in_order():
    instance, count = f"tfeed-{os.getpid()}", 30_000
    with create_segment(instance, "feed", feed_lane_bytes(LANE_BYTES)) as segment:
        reader = FeedLaneReader(segment.buffer)
        process = subprocess.Popen([sys.executable, "-c", FEEDER, instance, str(count)], env=ENVIRONMENT)
        try:
            n = 0
            while True:
                entry = reader.try_read()
                if entry is None:
                    assert process.poll() in (None, 0)
                    continue
                if entry[2] is None:
                    break
                assert entry == (n, n, n.to_bytes(4, "little") * (n % 700))
                n += 1
            assert n == count and process.wait(30) == 0
        finally:
            process.kill()
            process.wait()


@pytest.mark.parametrize("data_bytes", [0, 4096, 65535, 100_000])
def test_a_lane_that_is_no_power_of_two_is_refused(data_bytes):
    with pytest.raises(ValueError, match=f"found {data_bytes}"):
        feed_lane_bytes(data_bytes)
    for end in (FeedLaneReader, FeedLaneWriter):
        with pytest.raises(SegmentError, match="expected a power-of-two ring of at least 65536 bytes"):
            end(mmap.mmap(-1, 4096 + 4096 + max(data_bytes, 8)))
