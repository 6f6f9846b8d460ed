"""Single words of shared memory from Python."""
import mmap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickpath.shm.words import load_word, store_word


@given(st.integers(0, 2**64 - 1), st.integers(0, 511))
def test_a_stored_word_is_loaded_back_and_its_neighbours_stay_as_they_were(value, index):
    memory = mmap.mmap(-1, 4096)
    memory[:] = b"\xaa" * 4096
    store_word(memory, 8 * index, value)
    assert load_word(memory, 8 * index) == value
    assert memory[8 * index:8 * index + 8] == value.to_bytes(8, "little")
    assert memory[:8 * index].strip(b"\xaa") == b"" and memory[8 * index + 8:].strip(b"\xaa") == b""


@pytest.mark.parametrize("offset", [-8, -1, 4089, 4096, 1 << 40])
def test_an_offset_outside_the_buffer_is_refused_with_its_bounds(offset):
    memory = mmap.mmap(-1, 4096)
    for access in (lambda: load_word(memory, offset), lambda: store_word(memory, offset, 1)):
        with pytest.raises(ValueError, match=rf"expected 0 to 4088 in a buffer of 4096 bytes, found {offset}"):
            access()
    assert not any(memory[:])


@pytest.mark.parametrize("offset", [1, 4, 7, 12])
def test_an_address_that_is_not_a_multiple_of_eight_is_refused(offset):
    memory = mmap.mmap(-1, 4096)
    with pytest.raises(ValueError, match="multiple of 8"):
        store_word(memory, offset, 1)
    with pytest.raises(ValueError, match="multiple of 8"):
        load_word(memoryview(memory)[offset:], 0)


def test_read_only_memory_can_be_loaded_but_not_stored():
    memory = bytes(64)
    assert load_word(memory, 8) == 0
    with pytest.raises(ValueError, match="expected writable memory, found read-only"):
        store_word(memory, 8, 1)


@pytest.mark.parametrize("value", [-1, 2**64])
def test_a_value_that_is_no_word_is_refused(value):
    with pytest.raises(ValueError, match=f"found {value}"):
        store_word(mmap.mmap(-1, 4096), 0, value)
