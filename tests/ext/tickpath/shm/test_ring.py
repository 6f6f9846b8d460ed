"""The event ring: nothing torn, laps counted exactly, also between processes."""
import itertools
import mmap
import os
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from example_counts import examples
from tickpath.shm.ring import HEADER_SIZE, EventReader, EventWriter, records, ring_bytes
from tickpath.shm.segment import SegmentError, create_segment
from tickpath.shm.words import store_word
from tickpath.types import DTYPES, SLOT_DTYPE, EventType

ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
_numbers = itertools.count()


@pytest.fixture
def instance():
    return f"tring-{os.getpid()}-{next(_numbers)}"


def numbered_slots(first, count):
    """Slots whose every word follows from their number: a mixture of two would show."""
    number = np.arange(first, first + count, dtype=np.uint64)
    slots = np.zeros(count, SLOT_DTYPE)
    slots["ts_recv_ns"] = number
    slots["ts_venue_ns"] = number * 3
    slots["instrument"] = number & 0xFFFFFFFF
    slots["type"] = EventType.EV_TRADE
    slots["payload"] = number[:, None] * np.array([5, 7, 11, 13], np.uint64)
    return slots


def assert_whole(slots):
    expected = numbered_slots(0, 0) if len(slots) == 0 else numbered_slots(int(slots["seq"][0]), len(slots))
    expected["seq"] = np.arange(len(slots), dtype=np.uint64) + (slots["seq"][0] if len(slots) else 0)
    assert slots.tobytes() == expected.tobytes()


def test_slots_are_read_back_in_order_with_their_sequences():
    writer = EventWriter.local(1024)
    reader = EventReader(writer.buffer, 1)
    assert writer.publish(numbered_slots(1, 10)) == 1
    assert writer.publish(numbered_slots(11, 5)) == 11
    slots = reader.read()
    assert slots["seq"].tolist() == list(range(1, 16))
    assert_whole(slots)
    assert len(reader.read()) == 0 and reader.missed_slots == 0 and reader.head == 15


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3000), st.integers(1, 5000)), max_size=30))
def test_what_is_read_and_what_is_missed_always_add_up(turns):
    writer = EventWriter.local(1024)
    reader = EventReader(writer.buffer, 1)
    read = 0
    for count, room in turns:
        writer.publish(numbered_slots(writer.next_seq, count))
        slots = reader.read(room)
        assert_whole(slots)
        read += len(slots)
        assert reader.next_seq == 1 + read + reader.missed_slots
    while len(slots := reader.read()):
        assert_whole(slots)
        read += len(slots)
    assert read + reader.missed_slots == writer.next_seq - 1


def test_a_lapped_reader_goes_on_an_eighth_above_the_oldest_slot():
    writer = EventWriter.local(1024)
    reader = EventReader(writer.buffer, 1)
    for _ in range(5):
        writer.publish(numbered_slots(writer.next_seq, 1000))
    slots = reader.read()
    assert slots["seq"][0] == 5000 - 1023 + 127
    assert reader.missed_slots == slots["seq"][0] - 1
    assert slots["seq"][-1] == 5000


WRITER = """
import sys, time
import numpy as np
from tickpath.shm.ring import EventWriter, ring_bytes
from tickpath.shm.segment import create_segment
sys.path.insert(0, sys.argv[4])
from test_ring import numbered_slots
instance, slot_count, total = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
segment = create_segment(instance, "ring", ring_bytes(slot_count), slot_count=slot_count)
writer = EventWriter(segment.buffer)
print("ready", flush=True)
sys.stdin.readline()
slots = numbered_slots(1, total)
for i in range(0, total, 97):
    writer.publish(slots[i:i + 97])
print("done", flush=True)
sys.stdin.readline()
segment.close()
"""


@pytest.mark.parametrize("pause_s", [0.0, 0.0005, 0.02])
def test_a_reader_of_another_process_sees_no_torn_slot_and_counts_every_missed_one(instance, pause_s):
    total = 2_000_000
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, instance, "1024", str(total), os.path.dirname(__file__)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)
    try:
        assert process.stdout.readline() == "ready\n"
        reader = EventReader.attach(instance, 1)
        process.stdin.write("go\n")
        process.stdin.flush()
        read = 0
        deadline = time.monotonic() + 60
        while reader.next_seq <= total and time.monotonic() < deadline:
            slots = reader.read(300)
            assert_whole(slots)
            read += len(slots)
            if pause_s:
                time.sleep(pause_s)
        assert reader.next_seq == total + 1
        assert read + reader.missed_slots == total
        if pause_s == 0.02:
            assert reader.missed_slots > 0
        process.stdin.write("end\n")
        process.stdin.flush()
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()


def two_slot_record(kind, ordinal):
    record = np.zeros(1, DTYPES[kind])
    record["type"], record["type2"], record["order_ordinal"] = kind, EventType.EV_CONT, ordinal
    return record


def test_records_of_two_slots_are_joined_and_a_half_one_is_left_out():
    first = two_slot_record(EventType.EV_FILL, 7)
    first["fee_e8"], first["position_lots"] = 123, -5
    second = two_slot_record(EventType.EV_FILL, 8)
    trade = numbered_slots(1, 1)
    slots = np.concatenate([r.view(np.uint8).view(SLOT_DTYPE) for r in (first, trade, second)])
    fills = records(slots, EventType.EV_FILL)
    assert fills["order_ordinal"].tolist() == [7, 8]
    assert fills["fee_e8"].tolist() == [123, 0] and fills["position_lots"].tolist() == [-5, 0]
    assert records(slots[:-1], EventType.EV_FILL)["order_ordinal"].tolist() == [7]
    assert len(records(slots, EventType.EV_TRADE)) == 1 and len(records(slots, EventType.EV_INTENT)) == 0


@pytest.mark.parametrize("first_seq", [2**32 - 600, 2**32 - 1, 2**32, 2**63 + 5])
def test_sequences_go_on_beyond_thirty_two_bits(first_seq):
    writer = EventWriter(mmap.mmap(-1, ring_bytes(1024)), first_seq=first_seq)
    reader = EventReader(writer.buffer, first_seq)
    for _ in range(3):
        assert writer.next_seq == reader.next_seq
        writer.publish(np.zeros(700, SLOT_DTYPE))
        assert reader.read()["seq"].tolist() == list(range(reader.next_seq - 700, reader.next_seq))
    writer.publish(np.zeros(5000, SLOT_DTYPE))
    read = len(reader.read(10000))
    assert 0 < read <= 1024 and read + reader.missed_slots == 5000


@pytest.mark.parametrize("start", [0, 1, 2**32 - 6, "oldest"])
def test_a_reader_begins_with_the_first_sequence_a_ring_ever_held(start):
    # A ring that began at a high sequence once looked lapped to such a reader, which then waited for almost a whole lap
    # before it saw anything, and counted what never was.
    writer = EventWriter(mmap.mmap(-1, ring_bytes(1024)), first_seq=2**32 - 5)
    early = EventReader(writer.buffer, start)
    writer.publish(np.zeros(10, SLOT_DTYPE))
    for reader in (early, EventReader(writer.buffer, start)):
        assert reader.read()["seq"].tolist() == list(range(2**32 - 5, 2**32 + 5))
        assert reader.missed_slots == 0


def test_a_reader_that_attached_before_the_writer_began_finds_its_first_sequence():
    memory = mmap.mmap(-1, ring_bytes(1024))
    reader = EventReader(memory, 1)
    assert len(reader.read()) == 0
    EventWriter(memory, first_seq=5000).publish(np.zeros(3, SLOT_DTYPE))
    assert reader.read()["seq"].tolist() == [5000, 5001, 5002] and reader.missed_slots == 0


def test_an_unfinished_input_larger_than_the_ring_does_not_stop_a_reader():
    # `head` is told only when an input is finished; a writer killed before that once left a lapped reader without a slot.
    writer = EventWriter.local(1024)
    reader = EventReader(writer.buffer, 1)
    head = bytes(np.asarray(writer.buffer)[128:136])
    writer.publish(numbered_slots(1, 3000))
    np.asarray(writer.buffer)[128:136] = np.frombuffer(head, np.uint8)
    slots = reader.read()
    assert_whole(slots)
    assert slots["seq"][-1] == 3000 and len(slots) + reader.missed_slots == 3000


def test_a_reader_of_a_segment_maps_it_read_only(instance):
    with create_segment(instance, "ring", ring_bytes(1024), slot_count=1024) as segment:
        EventWriter(segment.buffer).publish(numbered_slots(1, 4))
        reader = EventReader.attach(instance, 1)
        assert reader.segment.buffer.readonly
        with pytest.raises(TypeError):
            reader.segment.buffer[HEADER_SIZE] = 1
        view = reader.view()
        assert not view.flags.writeable
        with pytest.raises(ValueError):
            view["seq"][1] = 9
        with pytest.raises(ValueError):
            view.flags.writeable = True
        assert view["seq"][1:5].tolist() == [1, 2, 3, 4]


def test_a_view_of_private_memory_is_read_only_too():
    writer = EventWriter.local(1024)
    assert not EventReader(writer.buffer).view().flags.writeable


def test_latest_begins_behind_what_is_there_and_oldest_with_what_is_left():
    writer = EventWriter.local(1024)
    writer.publish(numbered_slots(1, 900))
    latest, oldest = EventReader(writer.buffer, "latest"), EventReader(writer.buffer, "oldest")
    writer.publish(numbered_slots(901, 2))
    assert latest.read()["seq"].tolist() == [901, 902]
    assert oldest.read()["seq"].tolist() == list(range(1, 903))


def test_read_into_fills_what_there_is_room_for():
    writer = EventWriter.local(1024)
    reader = EventReader(writer.buffer, 1)
    writer.publish(numbered_slots(1, 10))
    out = np.zeros(4, SLOT_DTYPE)
    assert reader.read_into(out) == 4 and out["seq"].tolist() == [1, 2, 3, 4]
    assert reader.read_into(out[:0]) == 0
    assert reader.read_into(np.zeros(100, SLOT_DTYPE)) == 6


@pytest.mark.parametrize("slot_count", [0, 512, 1000, 1025])
def test_a_slot_count_that_is_no_power_of_two_is_refused(slot_count):
    with pytest.raises(ValueError, match=f"power of two of at least 1024, found {slot_count}"):
        ring_bytes(slot_count)


@pytest.mark.parametrize("size_bytes", [4096, 4096 + 64 * 1000, 4096 + 64 * 1024 + 8])
def test_memory_of_another_size_is_no_ring(size_bytes):
    memory = mmap.mmap(-1, size_bytes)
    for end in (EventWriter, EventReader):
        with pytest.raises(SegmentError, match=f"found {size_bytes} bytes"):
            end(memory)


def test_a_read_of_no_slots_is_refused():
    with pytest.raises(ValueError, match="expected at least 1, found 0"):
        EventReader(EventWriter.local(1024).buffer).read(0)


@pytest.mark.parametrize("start", ["oldest", 5001 - 1024, 5001 - 2048])
def test_a_reader_one_lap_behind_a_dead_writers_unfinished_slot_goes_on_and_counts_it(start):
    # Its own slot is 0 then, as if it were still to come: such a reader once got nothing of a whole ring, and counted nothing.
    writer = EventWriter.local(1024)
    writer.publish(numbered_slots(1, 5000))
    reader = EventReader(writer.buffer, start)
    begin = reader.next_seq
    store_word(writer.buffer, HEADER_SIZE + 64 * (5001 & 1023), 0)
    slots = reader.read()
    assert_whole(slots)
    assert slots["seq"][-1] == 5000 and len(slots) > 800 and len(slots) + reader.missed_slots == 5001 - begin
