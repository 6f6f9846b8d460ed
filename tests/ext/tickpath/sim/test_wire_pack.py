"""The packer of the wire log: its records against a plain reading of their layout."""
import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickpath.sim.wire_pack import WirePacker, masked

RECORD = struct.Struct("<IIQqIBBxx")
IN, OUT = 3, 4


def unpacked(block):
    found, offset = [], 0
    while offset < len(block):
        crc, size, number, ts_ns, connection, kind, flags = RECORD.unpack_from(block, offset)
        end = offset + RECORD.size + size
        assert crc == zlib.crc32(block[offset + 4:end])
        found.append((number, ts_ns, connection, kind, flags, block[offset + RECORD.size:end]))
        offset = end
    return found


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 255), st.integers(0, 255), st.integers(0, 2**32 - 1), st.binary(max_size=70)), max_size=20))
def test_records_are_what_was_put_with_zlibs_checksum(records):
    packer = WirePacker(0, 256, 256)        # no kind is looked through
    for kind, flags, connection, data in records:
        waiting = packer.put(kind, flags, connection, data)
        assert waiting == packer.used_bytes
    block, count = packer.take()
    found = unpacked(block)
    assert count == len(records) == packer.records and packer.used_bytes == packer.waiting == 0
    assert [(row[3], row[4], row[2], row[5]) for row in found] == records
    assert [row[0] for row in found] == list(range(1, count + 1))


def test_numbers_go_on_and_memory_grows_and_is_given_back():
    packer = WirePacker(0, IN, OUT)
    large = bytes(5 << 20)
    packer.put(OUT, 0, 1, b"small")
    packer.put(OUT, 0, 1, large)
    first, _ = packer.take()
    packer.put(OUT, 0, 1, memoryview(bytearray(b"again")))
    second, count = packer.take()
    assert [row[5] for row in unpacked(first)] == [b"small", large]
    assert [(row[0], row[5]) for row in unpacked(second)] == [(3, b"again")] and count == 1
    assert packer.take() == (b"", 0)


def test_only_the_kinds_that_were_named_are_masked_and_by_the_same_rule():
    text = b'{"apiKey":"abcdefghijklmnop","signature":"0123456789"}'
    packer = WirePacker(0, IN, OUT)
    for kind in (IN, OUT, 7):
        packer.put(kind, 0, 1, text)
    rows = [row[5] for row in unpacked(packer.take()[0])]
    assert rows == [masked(text), masked(text), text] and b"0123456789" not in rows[0]


def test_what_is_no_bytes_is_refused_and_leaves_nothing():
    packer = WirePacker(0, IN, OUT)
    with pytest.raises(TypeError):
        packer.put(IN, 0, 1, "text")
    assert packer.take() == (b"", 0) and packer.records == 0
