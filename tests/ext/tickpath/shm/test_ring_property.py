"""The ring against a plain reference, under random publish, commit, attach, detach, read and lap. The same steps are done to
rings that begin at sequences where a number could run over, and all must give the same results as one that begins at 1.
"""
import mmap

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from example_counts import examples
from tickpath.shm.ring import EventReader, EventWriter, ring_bytes
from tickpath.shm.words import load_word, store_word
from tickpath.types import SLOT_DTYPE

HEAD_OFFSET = 128
PUBLISHED_MAX = 4900              # the highest ring begins 5000 below 2**64
SLOT_COUNTS = [1024, 2048]


def first_sequences(slot_count):
    return [1, slot_count - 1, 2**32 - 3, 2**63 - 3, 2**64 - 5000]


def numbered_slots(first, count):
    number = np.arange(first, first + count, dtype=np.uint64)
    slots = np.zeros(count, SLOT_DTYPE)
    slots["ts_recv_ns"], slots["ts_venue_ns"] = number, number * 3
    slots["payload"] = number[:, None] * np.array([5, 7, 11, 13], np.uint64)
    return slots


class ReferenceRing:
    """A ring as its description reads. Slots are numbered from 1, whatever sequence the real one began with."""

    def __init__(self, slot_count):
        self.slot_count = slot_count
        self.published = self.head = 0

    def start_of(self, start):
        if start == "latest":
            return self.head + 1
        return max(1, self.head - self.slot_count + 1 if start == "oldest" else start)

    def read(self, next_number, room):
        """(first number read, how many, slots missed before it)."""
        begin = next_number
        while begin <= self.published - self.slot_count:
            # Lapped: on it goes an eighth above the oldest of what it can know of, which is what `head` tells or what
            # stands where its own slot was.
            found = self.published - (self.published - begin) % self.slot_count
            begin = max(self.head, found) - (self.slot_count - 1) + (self.slot_count - 1) // 8
        return begin, max(0, min(room, self.published - begin + 1)), begin - next_number


class RealRing:
    def __init__(self, slot_count, first_seq):
        self.first_seq = first_seq
        self.memory = mmap.mmap(-1, ring_bytes(slot_count))
        self.writer = EventWriter(self.memory, first_seq=first_seq)

    def publish(self, slots, commit):
        head = load_word(self.memory, HEAD_OFFSET)
        self.writer.publish(slots)
        if not commit:
            store_word(self.memory, HEAD_OFFSET, head)

    def commit(self):
        store_word(self.memory, HEAD_OFFSET, self.writer.next_seq - 1)

    def attach(self, start):
        return EventReader(self.memory, start if isinstance(start, str) else self.first_seq + start - 1)


class RingMachine(RuleBasedStateMachine):
    readers = Bundle("readers")

    @initialize(slot_count=st.sampled_from(SLOT_COUNTS))
    def begin(self, slot_count):
        self.reference = ReferenceRing(slot_count)
        self.rings = [RealRing(slot_count, first_seq) for first_seq in first_sequences(slot_count)]

    @rule(count=st.one_of(st.integers(0, 40), st.integers(0, 900)), commit=st.booleans())
    def publish(self, count, commit):
        count = min(count, PUBLISHED_MAX - self.reference.published)
        slots = numbered_slots(self.reference.published + 1, count)
        for ring in self.rings:
            ring.publish(slots, commit or count == 0)
        self.reference.published += count
        if commit and count:
            self.reference.head = self.reference.published

    @rule(commit=st.booleans(), beyond=st.integers(0, 3))
    def lap(self, commit, beyond):
        self.publish(self.reference.slot_count + beyond, commit)

    @rule()
    def commit(self):
        for ring in self.rings:
            ring.commit()
        self.reference.head = self.reference.published

    @rule(target=readers, start=st.sampled_from(["oldest", "latest"]))
    def attach(self, start):
        return self.new_reader(start)

    @rule(target=readers, where=st.floats(0, 1), beyond=st.integers(0, 50))
    def attach_at_a_sequence(self, where, beyond):
        return self.new_reader(round(where * self.reference.published) + beyond)

    def new_reader(self, start):
        return {"next": self.reference.start_of(start), "missed": 0, "ends": [ring.attach(start) for ring in self.rings]}

    @rule(reader=readers, room=st.one_of(st.integers(1, 50), st.integers(1, 5000)))
    def read(self, reader, room):
        begin, count, missed = self.reference.read(reader["next"], room)
        reader["next"], reader["missed"] = begin + count, reader["missed"] + missed
        expected = numbered_slots(begin, count)
        for ring, end in zip(self.rings, reader["ends"], strict=True):
            expected["seq"] = [ring.first_seq + begin - 1 + i for i in range(count)]
            slots = end.read(room)
            assert slots["seq"].tolist() == expected["seq"].tolist()
            assert slots.tobytes() == expected.tobytes()
            assert end.missed_slots == reader["missed"]
            assert end.next_seq == ring.first_seq + reader["next"] - 1

    @rule(reader=consumes(readers))
    def detach(self, reader):
        reader["ends"].clear()

    @invariant()
    def head_and_next_are_told(self):
        for ring in getattr(self, "rings", []):
            assert ring.writer.next_seq == ring.first_seq + self.reference.published
            assert load_word(ring.memory, HEAD_OFFSET) == ring.first_seq + self.reference.head - 1


RingMachine.TestCase.settings = settings(max_examples=examples(40), stateful_step_count=30, deadline=None)
TestRingAgainstItsReference = RingMachine.TestCase


def test_the_last_place_of_the_ring_is_used_like_any_other():
    for slot_count in SLOT_COUNTS:
        ring = RealRing(slot_count, slot_count - 1)
        reader = ring.attach(1)
        ring.publish(numbered_slots(1, 2 * slot_count + 1), True)
        assert reader.view()["seq"][-1] == 3 * slot_count - 1
        slots = reader.read(5000)
        assert slots["seq"][-1] == 3 * slot_count - 1 and len(slots) + reader.missed_slots == 2 * slot_count + 1
