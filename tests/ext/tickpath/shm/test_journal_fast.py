"""The compiled helpers against plain references: zlib's checksum, NumPy's comparison, a scan record by record."""
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from example_counts import examples
from tickpath.shm.canonical import CANONICAL, CANONICAL_OFFSETS, FIELD_COPIES
from tickpath.shm.journal_fast import RecordScanner, crc32, sequence_break
from tickpath.shm.journal_format import SLOTS_OF_TYPE
from tickpath.types import SLOT_DTYPE, EventType


@settings(max_examples=examples(200), deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 1000), st.integers(0, 63), st.integers(0, 2**32 - 1))
def test_the_checksum_is_that_of_zlib_for_every_length_start_and_alignment(seed, length, skip, value):
    data = np.random.default_rng(seed).bytes(length + skip)[skip:]
    assert crc32(data, value) == zlib.crc32(data, value)
    assert crc32(np.frombuffer(b"\0" * skip + data, np.uint8)[skip:], value) == zlib.crc32(data, value)


def test_the_checksum_of_large_data_and_of_parts_is_that_of_zlib():
    data = np.random.default_rng(1).bytes(1_000_003)
    assert crc32(data) == zlib.crc32(data) == crc32(data[777:], crc32(data[:777]))
    assert crc32(b"") == 0 and crc32(b"123456789") == 0xCBF43926


@given(st.integers(0, 200), st.integers(0, 2**64 - 300), st.lists(st.integers(0, 199), max_size=3))
@settings(deadline=None)
def test_the_first_wrong_sequence_is_found(count, first_seq, wrong):
    slots = np.zeros(count, SLOT_DTYPE)
    slots["seq"] = np.uint64(first_seq) + np.arange(count, dtype=np.uint64)
    for k in wrong:
        if k < count:
            slots["seq"][k] ^= np.uint64(1 << 40)
    expected = first_seq + np.arange(count, dtype=np.uint64)
    different = np.flatnonzero(slots["seq"] != expected)
    assert sequence_break(slots, first_seq) == (different[0] if len(different) else -1)
    slots.flags.writeable = False          # as a mapped file is
    assert sequence_break(slots, first_seq) == (different[0] if len(different) else -1)


def test_too_little_room_for_rows_is_refused():
    scanner = RecordScanner(SLOTS_OF_TYPE, FIELD_COPIES, CANONICAL_OFFSETS)
    slots = np.zeros(3, SLOT_DTYPE)
    slots["type"] = EventType.EV_POSITION
    with pytest.raises(ValueError, match="expected room for 3 rows, found 128 bytes"):
        scanner.scan(slots, np.empty(2, CANONICAL).view(np.uint8))
    assert scanner.scan(slots, np.empty(3, CANONICAL).view(np.uint8)) == (3, 3, 0)
    assert scanner.count(EventType.EV_POSITION) == scanner.outputs == 3
