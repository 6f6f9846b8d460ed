"""The journal's files, byte by byte; what writer and reader share. Cold.

A run's directory `<state dir>/<instance>/runs/<epoch>/` holds `config.json`, `segment-000001.tpj` and so on, beside each
its index `segment-000001.tpi`, and at the end `summary.json`. A segment is a header and then blocks, all little endian:

    header, 4096 bytes                              block, 64 bytes and then its slots
    0     magic            8 bytes, b"TICKPJNL"     0     magic            4 bytes, b"TPBK"
    8     format_version   u32                      4     flags            u32, FINAL 1, GAP 2
    12    layout_version   u32                      8     payload_bytes    u32, 64 * slot_count
    16    layout_hash      u64, of types.pyx        12    slot_count       u32, at most 4096
    24    segment_no       u32, from 1              16    first_seq        u64
    28    previous_crc     u32, see below           24    payload_crc      u32
    32    first_seq        u64, expected first      28    previous_crc     u32, see below
    40    epoch            u64                      32    first_ts_ns      i64, ts_recv_ns of its first slot
    48    created_ns       i64, epoch               40    (zero)
    56    first_ts_ns      i64, see below           60    header_crc       u32, over bytes 0 to 59
    64    config_hash      16 bytes, BLAKE2b of config.json
    80    instance         64 bytes, zero-padded
    4092  header_crc       u32, over bytes 0 to 4091

`previous_crc` is the header_crc of what stands before: of a segment's first block its segment header, of every other
block the block before, of a segment header the last block of the segment before (0 in the first segment). So a block or
a segment that is lost, doubled or moved breaks the chain. The crc is CRC-32 as in zlib. A segment's `first_ts_ns` is its
first slot's; the first segment is made before there is one and says 0.

A block with FINAL has no slots and says that the run ended in order: nothing may follow. A block with GAP does not
begin with the sequence after the last one: the writer was lapped, and what lies between is lost.

A record of several slots is never split between blocks; one whose rest never came (its writer was killed, or a gap tore
it) is not written. What a crash may leave is an incomplete last block: the reader cuts it and reports it. Everything
else that does not fit is damage, named by file and byte offset, and never skipped.

The index has one entry INDEX_ENTRY of 32 bytes for each block that has slots: where it stands and its header_crc. It only
saves time: entries that are missing or do not fit are made again from the segment, and the block that one points to is
checked against it before it is used.

A segment's file is as long as what was written; the space up to its full size is reserved beyond its end.

Errors:
    JournalError            missing or foreign; text "path: what: expected X, found Y"
    +-- JournalDamage       a checksum, the chain, a sequence or the hash of config.json does not fit; path, offset, what
    +-- JournalDiskError    the disk did not take it; errno
"""
import hashlib
import os
import re
import struct
from collections import namedtuple
from pathlib import Path

import numpy as np

from tickpath.shm.journal_fast import crc32
from tickpath.types import LAYOUT_HASH, LAYOUT_VERSION, SLOT_COUNTS, SLOT_DTYPE, EventType

SEGMENT_MAGIC = b"TICKPJNL"
FORMAT_VERSION = 2
SEGMENT_HEADER = struct.Struct("<8sIIQIIQQqq16s64s")
SEGMENT_HEADER_KNOWN = struct.Struct("<8sIIQI")       # its fields up to segment_no: any other value is not ours
SEGMENT_HEADER_BYTES = 4096
BLOCK_MAGIC = b"TPBK"
BLOCK_HEADER = struct.Struct("<4sIIIQIIq20x")
BLOCK_HEADER_BYTES = 64
BLOCK_FINAL = 1
BLOCK_GAP = 2
BLOCK_MAX_SLOTS = 4096
INDEX_ENTRY = np.dtype([("offset", "<u8"), ("first_seq", "<u8"), ("first_ts_ns", "<i8"), ("crc", "<u4"),
                        ("slot_count", "<u4")])
SLOT_BYTES = SLOT_DTYPE.itemsize
CRC = struct.Struct("<I")
SEGMENT_MAX_BYTES = 256 * 1024 * 1024

CONTINUATION = int(EventType.EV_CONT)
RECORD_MAX_SLOTS = max(SLOT_COUNTS.values())
SLOTS_OF_TYPE = np.ones(256, np.intp)
for _kind, _count in SLOT_COUNTS.items():
    SLOTS_OF_TYPE[_kind] = _count


class JournalError(Exception):
    """A journal that is missing or foreign, or a disk that failed."""


class JournalDamage(JournalError):
    """Bytes of a journal that are not what was written. `path`, `offset` (bytes) and `what` say where and how."""

    def __init__(self, path, offset, what):
        super().__init__(f"{path}: offset {offset}: {what}")
        self.path, self.offset, self.what = Path(path), offset, what


class JournalDiskError(JournalError):
    """The disk did not take what it was given; `errno` says why."""

    def __init__(self, path, what, error):
        super().__init__(f"{path}: {what}: expected the disk to take it, found {os.strerror(error.errno or 0)} "
                         f"(errno {error.errno})")
        self.errno = error.errno or 0


def segment_file(run_dir, segment_no):
    return Path(run_dir) / f"segment-{segment_no:06d}.tpj"


def index_file(segment_path):
    return segment_path.with_suffix(".tpi")


def segment_numbers(run_dir):
    """Numbers of the segments in a run's directory, ascending."""
    found = (re.fullmatch(r"segment-(\d{6,})\.tpj", name) for name in os.listdir(run_dir))
    return sorted(int(match[1]) for match in found if match)


def config_hash(config_bytes):
    return hashlib.blake2b(config_bytes, digest_size=16).digest()


def whole_slot_count(slots):
    """How many of these slots are whole records: all of them, or all but a last record whose rest is still to come."""
    types = slots["type"]
    count = len(types)
    for start in range(count - 1, max(count - RECORD_MAX_SLOTS, -1), -1):
        if types[start] != CONTINUATION:
            return count if start + SLOTS_OF_TYPE[types[start]] <= count else start
    return count


# ---- headers
class SegmentHeader:
    """The checked header of one segment file."""

    def __init__(self, path, data):
        if len(data) < SEGMENT_HEADER_BYTES:
            raise JournalDamage(path, 0, f"segment header: expected {SEGMENT_HEADER_BYTES} bytes, found {len(data)}")
        (magic, format_version, layout_version, layout_hash, self.segment_no, self.previous_crc, self.first_seq,
         self.epoch, self.created_ns, self.first_ts_ns, self.config_hash, instance) = SEGMENT_HEADER.unpack_from(data)
        if magic != SEGMENT_MAGIC:
            raise JournalError(f"{path}: magic at offset 0: expected {SEGMENT_MAGIC}, found {magic}")
        if format_version != FORMAT_VERSION:
            # Where another version keeps its checksum is not known.
            raise JournalError(f"{path}: format version at offset 8: expected {FORMAT_VERSION}, found {format_version}: "
                               "written by another version, or damaged")
        self.crc, = CRC.unpack_from(data, SEGMENT_HEADER_BYTES - CRC.size)
        found = crc32(data[:SEGMENT_HEADER_BYTES - CRC.size])
        if found != self.crc:
            raise JournalDamage(path, 0, f"segment header: expected checksum {self.crc:08x}, found {found:08x}")
        for what, expected, value in (("layout version", LAYOUT_VERSION, layout_version),
                                      ("layout hash", f"{LAYOUT_HASH:016x}", f"{layout_hash:016x}")):
            if expected != value:
                raise JournalError(f"{path}: {what}: expected {expected}, found {value}: written by another version")
        try:
            self.instance = instance.rstrip(b"\0").decode()
        except UnicodeDecodeError:
            raise JournalDamage(path, 80, f"segment header: expected the instance's name, found {instance}") from None

    @staticmethod
    def pack(*, segment_no, previous_crc, first_seq, epoch, created_ns, first_ts_ns, config_hash, instance):
        """(bytes, checksum) of a header."""
        head = SEGMENT_HEADER.pack(SEGMENT_MAGIC, FORMAT_VERSION, LAYOUT_VERSION, LAYOUT_HASH, segment_no, previous_crc,
                                   first_seq, epoch, created_ns, first_ts_ns, config_hash, instance.encode())
        head = head.ljust(SEGMENT_HEADER_BYTES - CRC.size, b"\0")
        crc = crc32(head)
        return head + CRC.pack(crc), crc


BlockHeader = namedtuple("BlockHeader", "magic flags payload_bytes slot_count first_seq payload_crc previous_crc "
                                        "first_ts_ns crc")


def unpack_block_header(data, offset):
    """(BlockHeader, checksum found) of the 64 bytes at offset; the header fits when crc is the checksum found."""
    head = bytes(data[offset:offset + BLOCK_HEADER_BYTES])
    crc, = CRC.unpack_from(head, BLOCK_HEADER_BYTES - CRC.size)
    return BlockHeader(*BLOCK_HEADER.unpack_from(head[:-CRC.size]), crc), crc32(head[:-CRC.size])


def pack_block_header(*, flags, slot_count, first_seq, payload_crc, previous_crc, first_ts_ns):
    """(bytes, checksum) of a header."""
    head = BLOCK_HEADER.pack(BLOCK_MAGIC, flags, slot_count * SLOT_BYTES, slot_count, first_seq, payload_crc, previous_crc,
                             first_ts_ns)
    # The chain carries this checksum, not one over all 64 bytes: the CRC of bytes with their own CRC is a constant.
    crc = crc32(head)
    return head + CRC.pack(crc), crc
