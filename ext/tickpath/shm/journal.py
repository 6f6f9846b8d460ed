"""The journal: what the event ring held, in checksummed segment files. Cold; the journal process writes, replay reads.

A run's directory `<state dir>/<instance>/runs/<epoch>/` holds `config.json`, `segment-000001.tpj` and so on, and at the
end `summary.json`. A segment is a header and then blocks, all little endian:

    header, 4096 bytes                              block, 64 bytes and then its slots
    0     magic            8 bytes, b"TICKPJNL"     0     magic            4 bytes, b"TPBK"
    8     format_version   u32                      4     flags            u32, FINAL 1, GAP 2
    12    layout_version   u32                      8     payload_bytes    u32, 64 * slot_count
    16    layout_hash      u64, of types.pyx        12    slot_count       u32, at most 4096
    24    segment_no       u32, from 1              16    first_seq        u64
    28    previous_crc     u32, see below           24    payload_crc      u32
    32    first_seq        u64, expected first      28    previous_crc     u32, see below
    40    epoch            u64                      32    (zero)
    48    created_ns       i64, epoch               60    header_crc       u32, over bytes 0 to 59
    56    (zero)
    64    config_hash      16 bytes, BLAKE2b of config.json
    80    instance         64 bytes, zero-padded
    4092  header_crc       u32, over bytes 0 to 4091

`previous_crc` is the header_crc of what stands before: of a segment's first block its segment header, of every other
block the block before, of a segment header the last block of the segment before (0 in the first segment). So a block or
a segment that is lost, doubled or moved breaks the chain. The crc is CRC-32 as in zlib.

A block with FINAL has no slots and says that the run ended in order: nothing may follow. A block with GAP does not
begin with the sequence after the last one: the writer was lapped, and what lies between is lost.

A record of two slots is never split between blocks; one whose rest never came (its writer was killed, or a gap tore it)
is not written. What a crash may leave is an incomplete last block: the reader cuts it and reports it. Everything else
that does not fit is damage, named by file and byte offset, and never skipped.

Errors:
    JournalError            missing, foreign, or the disk failed; text "path: what: expected X, found Y"
    +-- JournalDamage       a checksum, the chain, a sequence or the hash of config.json does not fit; path, offset, what
"""
import bisect
import hashlib
import json
import mmap
import os
import re
import struct
import time
import zlib
from pathlib import Path

import numpy as np

from tickpath.types import LAYOUT_HASH, LAYOUT_VERSION, SLOT_COUNTS, SLOT_DTYPE, EventType

SEGMENT_MAGIC = b"TICKPJNL"
FORMAT_VERSION = 1
SEGMENT_HEADER = struct.Struct("<8sIIQIIQQq8x16s64s")
SEGMENT_HEADER_KNOWN = struct.Struct("<8sIIQI")       # its fields up to segment_no: any other value is not ours
SEGMENT_HEADER_BYTES = 4096
BLOCK_MAGIC = b"TPBK"
BLOCK_HEADER = struct.Struct("<4sIIIQII28x")
BLOCK_HEADER_BYTES = 64
BLOCK_FINAL = 1
BLOCK_GAP = 2
BLOCK_MAX_SLOTS = 4096
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


def segment_file(run_dir, segment_no):
    return Path(run_dir) / f"segment-{segment_no:06d}.tpj"


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


# ---- writer
class JournalWriter:
    """Writes the slots of one run, for the one process that journals it.

    Parameters: run_dir : holds config.json, and no segment yet.  config_bytes : the bytes of config.json.
                segment_max_bytes : a segment that would grow beyond it ends, and the next begins.
                fsync_interval_s : what `maybe_sync` waits between two syncs.  first_seq : sequence expected first.
    Errors: JournalError. After one the writer is of no more use: a failed fsync may have dropped what it did not write
            (fsync(2), NOTES), so it is never tried again. Blocks: `append` on the disk's cache, `sync` on the disk.
    """

    def __init__(self, run_dir, *, instance, epoch, config_bytes, segment_max_bytes=SEGMENT_MAX_BYTES,
                 fsync_interval_s=0.05, first_seq=1):
        smallest = SEGMENT_HEADER_BYTES + 2 * BLOCK_HEADER_BYTES + RECORD_MAX_SLOTS * SLOT_BYTES
        if segment_max_bytes < smallest:
            raise ValueError(f"segment_max_bytes: expected at least {smallest}, found {segment_max_bytes}")
        self.run_dir = Path(run_dir)
        self._instance, self._epoch, self._config_hash = instance, epoch, config_hash(config_bytes)
        self._segment_max_bytes, self._fsync_interval_s = segment_max_bytes, fsync_interval_s
        self._segment_no = 0
        self._fd = -1
        self._chain_crc = 0
        self._held = np.empty(0, SLOT_DTYPE)        # the first slot of a record whose rest is still to come
        self._first_seq = first_seq
        self._written_seq = first_seq - 1           # last one in a file
        self._synced_seq = first_seq - 1            # last one on the disk
        self._unsynced = False
        self._synced_mono_s = 0.0
        self._missed_slots = 0
        self._failed = None
        try:
            found = segment_numbers(self.run_dir)
        except OSError as e:
            raise JournalError(f"{self.run_dir}: run directory: expected a directory, found {e.strerror}") from None
        if found:
            raise JournalError(f"{segment_file(self.run_dir, found[0])}: expected no journal in a new run's directory, "
                               f"found {len(found)} segment(s)")
        self._open_next_segment()

    @property
    def first_seq(self):
        return self._first_seq

    @property
    def written_seq(self):
        """Last sequence that is in a file; outlives this process, not a power cut."""
        return self._written_seq

    @property
    def synced_seq(self):
        """Last sequence that is on the disk."""
        return self._synced_seq

    @property
    def missed_slots(self):
        """Sequences between the first and the last written that are not in the journal."""
        return self._missed_slots

    @property
    def path(self):
        """The segment being written."""
        return segment_file(self.run_dir, self._segment_no)

    def append(self, slots):
        """Write an array of SLOT_DTYPE with consecutive sequences; returns the slots written by this call: without an
        unfinished last record, which is held back until its rest comes, and with the one held back before."""
        self._check_usable()
        if slots.dtype != SLOT_DTYPE:
            raise ValueError(f"slots: expected an array of SLOT_DTYPE, found {slots.dtype}")
        if len(slots) == 0:
            return slots
        first, expected = int(slots["seq"][0]), self._written_seq + len(self._held) + 1
        if first < expected:
            raise JournalError(f"{self.path}: slots: expected sequence {expected} or a later one, found {first}")
        breaks = np.flatnonzero(slots["seq"] != first + np.arange(len(slots), dtype=np.uint64))
        if len(breaks):
            raise JournalError(f"{self.path}: slots: expected sequence {first + int(breaks[0])}, found "
                               f"{slots['seq'][breaks[0]]}")
        if first > expected:
            # Lapped. Halves of records on both sides of the gap are of no use to anybody.
            self._held = self._held[:0]
            whole = np.flatnonzero(slots["type"][:RECORD_MAX_SLOTS] != CONTINUATION)
            slots = slots[whole[0] if len(whole) else len(slots):]
        elif len(self._held):
            slots = np.concatenate([self._held, slots])
        keep = whole_slot_count(slots)
        self._held = slots[keep:].copy()
        slots = np.ascontiguousarray(slots[:keep])
        start = 0
        while start < keep:
            end = min(start + BLOCK_MAX_SLOTS, keep)
            for _ in range(RECORD_MAX_SLOTS - 1):
                if end < keep and slots["type"][end] == CONTINUATION:
                    end -= 1
            self._write_block(slots[start:end])
            start = end
        return slots

    def sync(self):
        """Wait until everything written is on the disk."""
        self._check_usable()
        if not self._unsynced:
            return
        try:
            os.fdatasync(self._fd)
        except OSError as e:
            self._fail("fsync", e)
        self._unsynced = False
        self._synced_seq = self._written_seq

    def maybe_sync(self, mono_s):
        """Sync when the last one is fsync_interval_s ago; mono_s is the monotonic clock. True when it did."""
        if not self._unsynced or mono_s - self._synced_mono_s < self._fsync_interval_s:
            return False
        self.sync()
        self._synced_mono_s = mono_s
        return True

    def close(self, final=True):
        """Sync and close. `final` marks the orderly end of the run: the reader then accepts nothing behind it."""
        if self._fd < 0:
            return
        if self._failed is None:
            if final:
                self._write(self._block_header(BLOCK_FINAL, 0, self._written_seq + 1, 0))
            self.sync()
        os.close(self._fd)
        self._fd = -1

    # ---- what they are made of
    def _check_usable(self):
        if self._failed is not None:
            raise JournalError(self._failed)
        if self._fd < 0:
            raise JournalError(f"{self.path}: expected an open journal, found it closed")

    def _fail(self, what, error):
        self._failed = (f"{self.path}: {what}: expected the disk to take it, found {error.strerror} "
                        f"(errno {error.errno})")
        raise JournalError(self._failed) from None

    def _block_header(self, flags, slot_count, first_seq, payload_crc):
        head = BLOCK_HEADER.pack(BLOCK_MAGIC, flags, slot_count * SLOT_BYTES, slot_count, first_seq, payload_crc,
                                 self._chain_crc)
        # The chain carries this checksum, not one over all 64 bytes: the CRC of bytes with their own CRC is a constant.
        self._chain_crc = zlib.crc32(head)
        return head + CRC.pack(self._chain_crc)

    def _write_block(self, slots):
        block_bytes = BLOCK_HEADER_BYTES + slots.nbytes
        if self._size_bytes + block_bytes > self._segment_max_bytes and self._size_bytes > SEGMENT_HEADER_BYTES:
            self._open_next_segment()
        payload = slots.view(np.uint8).data
        first = int(slots["seq"][0])
        gap = first - self._written_seq - 1
        self._write(self._block_header(BLOCK_GAP if gap else 0, len(slots), first, zlib.crc32(payload)), payload)
        self._missed_slots += gap
        self._written_seq = first + len(slots) - 1

    def _write(self, *parts):
        """One writev; when the disk takes only a part, that part is taken back and the error raised."""
        size = sum(len(part) for part in parts)
        try:
            written = os.writev(self._fd, parts)
            # A short count on a file means that the next byte has no room; asking for it names the reason.
            while written < size:
                written += os.write(self._fd, b"".join(bytes(part) for part in parts)[written:])
        except OSError as e:
            try:
                os.ftruncate(self._fd, self._size_bytes)
            except OSError:
                pass                       # the reader cuts the rest as a torn tail
            self._fail(f"write of {size} bytes at offset {self._size_bytes}", e)
        self._size_bytes += size
        self._unsynced = True

    def _open_next_segment(self):
        if self._fd >= 0:
            self.sync()
            os.close(self._fd)
            self._fd = -1
        self._segment_no += 1
        self._size_bytes = 0
        head = SEGMENT_HEADER.pack(SEGMENT_MAGIC, FORMAT_VERSION, LAYOUT_VERSION, LAYOUT_HASH, self._segment_no,
                                   self._chain_crc, self._written_seq + 1, self._epoch, time.time_ns(),
                                   self._config_hash, self._instance.encode())
        head = head.ljust(SEGMENT_HEADER_BYTES - CRC.size, b"\0")
        self._chain_crc = zlib.crc32(head)
        try:
            self._fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
        except OSError as e:
            self._fail("open", e)
        self._write(head + CRC.pack(self._chain_crc))
        self.sync()
        # The name of a new file is data of its directory (fsync(2)).
        directory = os.open(self.run_dir, os.O_RDONLY)
        try:
            os.fsync(directory)
        except OSError as e:
            self._fail("fsync of its directory", e)
        finally:
            os.close(directory)


# ---- reader
class SegmentHeader:
    """The checked header of one segment file."""

    def __init__(self, path, data):
        if len(data) < SEGMENT_HEADER_BYTES:
            raise JournalDamage(path, 0, f"segment header: expected {SEGMENT_HEADER_BYTES} bytes, found {len(data)}")
        (magic, format_version, layout_version, layout_hash, self.segment_no, self.previous_crc, self.first_seq,
         self.epoch, self.created_ns, self.config_hash, instance) = SEGMENT_HEADER.unpack_from(data)
        if magic != SEGMENT_MAGIC:
            raise JournalError(f"{path}: magic at offset 0: expected {SEGMENT_MAGIC}, found {magic}")
        self.crc, = CRC.unpack_from(data, SEGMENT_HEADER_BYTES - CRC.size)
        found = zlib.crc32(data[:SEGMENT_HEADER_BYTES - CRC.size])
        if found != self.crc:
            raise JournalDamage(path, 0, f"segment header: expected checksum {self.crc:08x}, found {found:08x}")
        for what, expected, value in (("format version", FORMAT_VERSION, format_version),
                                      ("layout version", LAYOUT_VERSION, layout_version),
                                      ("layout hash", f"{LAYOUT_HASH:016x}", f"{layout_hash:016x}")):
            if expected != value:
                raise JournalError(f"{path}: {what}: expected {expected}, found {value}: written by another version")
        self.instance = instance.rstrip(b"\0").decode()


def _find_run(path):
    """The run's directory and the segment numbers that `path` means; see JournalReader."""
    try:
        return _find_segments(path)
    except OSError as e:
        raise JournalError(f"{path}: expected a readable journal, found {e.strerror}") from None


def _find_segments(path):
    if path.is_file():
        match = re.fullmatch(r"segment-(\d{6,})\.tpj", path.name)
        if match is None:
            raise JournalError(f"{path}: expected a journal segment segment-NNNNNN.tpj, found another file")
        return path.parent, [int(match[1])]
    if not path.is_dir():
        raise JournalError(f"{path}: expected a journal, found no such file or directory")
    run_dir = path
    if not (path / "config.json").exists() and not segment_numbers(path):
        runs = path / "runs" if (path / "runs").is_dir() else path
        epochs = [int(entry) for entry in os.listdir(runs) if entry.isdigit()]
        if not epochs:
            raise JournalError(f"{path}: expected a run's directory or one that holds runs, found neither")
        run_dir = runs / str(max(epochs))
    numbers = segment_numbers(run_dir)
    if not numbers:
        raise JournalError(f"{run_dir}: expected segment files segment-NNNNNN.tpj, found none")
    for expected, found in enumerate(numbers, 1):
        if expected != found:
            raise JournalDamage(segment_file(run_dir, expected), 0, f"expected segment {expected}, found none")
    return run_dir, numbers


class JournalReader:
    """Reads a run's journal; also while it is being written, up to the last whole block.

    Parameters: path : a run's directory; an instance's, or its `runs`: then the run of the highest number; or one
                segment file: then only that segment.
    After an iteration to the end: `final` (the run ended in order), `torn_tail` (None, or a dict: path, offset,
    bytes_cut), `missed_slots` (lost by the writer to laps, as far as it was iterated), `last_seq`.
    Errors: JournalError, JournalDamage, from the constructor and while iterating.
    """

    def __init__(self, path):
        self.run_dir, numbers = _find_run(Path(path))
        self._paths = [segment_file(self.run_dir, n) for n in numbers]
        # One segment asked for by name is the journal's last only when it has no successor.
        self._open_end = not segment_file(self.run_dir, numbers[-1] + 1).exists()
        self.config_bytes = self._read_config()
        self._headers = []
        for number, segment_path in zip(numbers, self._paths, strict=True):
            header = self._read_header(segment_path, number)
            if header is not None:
                self._headers.append(header)
        self.instance, self.epoch = self._headers[0].instance, self._headers[0].epoch
        self._reset()

    @property
    def config(self):
        """config.json as a dict."""
        try:
            return json.loads(self.config_bytes)
        except ValueError as e:
            raise JournalError(f"{self.run_dir / 'config.json'}: expected JSON, found {e}") from None

    def batches(self, start_seq=None):
        """Arrays of SLOT_DTYPE in sequence order, one a block: read-only views of the file, without a copy.

        start_seq : begin with this sequence (or the next there is); what lies before is not read.
        A view is valid as long as somebody holds it, also after the reader is gone.
        """
        self._reset()
        begin = 0
        if start_seq is not None:
            begin = max(bisect.bisect_right([h.first_seq for h in self._headers], start_seq) - 1, 0)
        expected_crc = None
        for index in range(begin, len(self._headers)):
            header = self._headers[index]
            path = self._paths[index]
            if expected_crc is not None:
                self._check_follows(path, header.previous_crc, expected_crc)
            self._enter(path, header)
            data = self._map(path)
            is_last = index == len(self._paths) - 1
            expected_crc = yield from self._segment_batches(path, header, data, is_last, start_seq)
        if len(self._headers) < len(self._paths):
            # The last segment has no header yet; see _read_header.
            path = self._paths[-1]
            self._check_follows(path, 0, 0)
            self.torn_tail = {"path": str(path), "offset": 0, "bytes_cut": path.stat().st_size}
        if not self._open_end:
            number = self._headers[-1].segment_no + 1
            path = segment_file(self.run_dir, number)
            successor = self._read_header(path, number)
            if successor is not None:
                self._check_follows(path, successor.previous_crc, expected_crc)

    def slot_count(self):
        """Slots in the journal; reads the block headers only."""
        return sum(self._walk_counts())

    # ---- opening
    def _reset(self):
        self.final = False
        self.torn_tail = None
        self.missed_slots = 0
        self.last_seq = None

    def _read_config(self):
        path = self.run_dir / "config.json"
        try:
            return path.read_bytes()
        except OSError as e:
            raise JournalError(f"{path}: expected the run's configuration, found {e.strerror}") from None

    def _read_header(self, path, number):
        """The header of one segment, or None for a last one that a crash left without its header."""
        try:
            with open(path, "rb") as f:
                data = f.read(SEGMENT_HEADER_BYTES)
                size_bytes = os.fstat(f.fileno()).st_size
                if self._headers and not segment_file(self.run_dir, number + 1).exists():
                    # Its file exists before its header does: short of it, or zeros where a file system grows ahead.
                    known = SEGMENT_HEADER_KNOWN.pack(SEGMENT_MAGIC, FORMAT_VERSION, LAYOUT_VERSION, LAYOUT_HASH, number)
                    is_short_header = (size_bytes < SEGMENT_HEADER_BYTES and known.startswith(data[:len(known)])
                                       and not any(data[SEGMENT_HEADER.size:]))
                    if is_short_header or not any(data) and not f.read().strip(b"\0"):
                        return None
        except OSError as e:
            raise JournalError(f"{path}: expected a readable segment, found {e.strerror}") from None
        header = SegmentHeader(path, data)
        first = self._headers[0] if self._headers else header
        for what, expected, found in (("segment number", number, header.segment_no),
                                      ("instance", first.instance, header.instance),
                                      ("epoch", first.epoch, header.epoch)):
            if expected != found:
                raise JournalDamage(path, 0, f"{what}: expected {expected}, found {found}")
        found = config_hash(self.config_bytes)
        if header.config_hash != found:
            raise JournalDamage(self.run_dir / "config.json", 0, f"expected hash {header.config_hash.hex()} as in "
                                f"{path.name}, found {found.hex()}: not the configuration this journal was written with")
        return header

    # ---- walking
    @staticmethod
    def _map(path):
        try:
            with open(path, "rb") as f:
                return mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as e:
            raise JournalError(f"{path}: expected a readable segment, found {e}") from None

    def _enter(self, path, header):
        if self.last_seq is None:
            self.last_seq = header.first_seq - 1
        elif header.first_seq != self.last_seq + 1:
            raise JournalDamage(path, 0, f"segment header: expected first sequence {self.last_seq + 1}, found "
                                         f"{header.first_seq}")

    def _check_follows(self, path, previous_crc, expected_crc):
        if self.final:
            raise JournalDamage(path, 0, "expected nothing behind the run's final block, found a segment")
        if previous_crc != expected_crc:
            raise JournalDamage(path, 0, f"segment header: expected it to follow a block with checksum "
                                         f"{expected_crc:08x}, found {previous_crc:08x}")

    def _segment_batches(self, path, header, data, is_last, start_seq):
        """The batches of one segment; returns the checksum that the next segment must follow."""
        chain = header.crc
        for offset, count, first_seq, payload_crc, header_crc in self._blocks(path, data, header, is_last):
            chain = header_crc
            end_seq = first_seq + count
            if count == 0 or start_seq is not None and end_seq <= start_seq:
                continue
            begin = offset + BLOCK_HEADER_BYTES
            found = zlib.crc32(memoryview(data)[begin:begin + count * SLOT_BYTES])
            if found != payload_crc:
                raise JournalDamage(path, begin, f"block of sequences {first_seq} to {end_seq - 1}: expected checksum "
                                                 f"{payload_crc:08x}, found {found:08x}")
            slots = np.frombuffer(data, SLOT_DTYPE, count, begin)
            wrong = np.flatnonzero(slots["seq"] != first_seq + np.arange(count, dtype=np.uint64))
            if len(wrong):
                k = int(wrong[0])
                raise JournalDamage(path, begin + k * SLOT_BYTES, f"slot: expected sequence {first_seq + k}, found "
                                                                  f"{slots['seq'][k]}")
            yield slots if start_seq is None or first_seq >= start_seq else slots[start_seq - first_seq:]
        return chain

    def _blocks(self, path, data, header, is_last):
        """(offset, slot_count, first_seq, payload_crc, header_crc) of each block, headers checked; payloads are not
        looked at. Sets final, torn_tail, missed_slots and last_seq on the way."""
        size, offset, chain = len(data), SEGMENT_HEADER_BYTES, header.crc
        while offset < size:
            if self.final:
                raise JournalDamage(path, offset, f"expected nothing behind the run's final block, found "
                                                  f"{size - offset} bytes")
            if size - offset < BLOCK_HEADER_BYTES or data[offset:offset + 4] != BLOCK_MAGIC:
                self._cut_tail(path, data, offset, is_last, self._tail_start_problem(data, offset))
                return
            _, flags, payload_bytes, count, first_seq, payload_crc, previous_crc = BLOCK_HEADER.unpack_from(
                data[offset:offset + BLOCK_HEADER_BYTES - CRC.size])
            crc, = CRC.unpack_from(data, offset + BLOCK_HEADER_BYTES - CRC.size)
            found = zlib.crc32(data[offset:offset + BLOCK_HEADER_BYTES - CRC.size])
            if found != crc:
                raise JournalDamage(path, offset, f"block header: expected checksum {crc:08x}, found {found:08x}")
            if previous_crc != chain:
                raise JournalDamage(path, offset, f"block header: expected it to follow a block with checksum "
                                                  f"{chain:08x}, found {previous_crc:08x}: blocks are missing, doubled "
                                                  "or moved")
            is_final = bool(flags & BLOCK_FINAL)
            if payload_bytes != count * SLOT_BYTES or count > BLOCK_MAX_SLOTS or (count == 0) != is_final:
                raise JournalDamage(path, offset, f"block header: expected 1 to {BLOCK_MAX_SLOTS} slots of "
                                                  f"{SLOT_BYTES} bytes, found {count} in {payload_bytes} bytes, flags "
                                                  f"{flags}")
            expected_seq = self.last_seq + 1
            if first_seq < expected_seq or (first_seq > expected_seq) != bool(flags & BLOCK_GAP):
                raise JournalDamage(path, offset, f"block header: expected sequence {expected_seq}, found {first_seq}, "
                                                  f"flags {flags}")
            if offset + BLOCK_HEADER_BYTES + payload_bytes > size:
                self._cut_tail(path, data, offset, is_last, None)
                return
            self.final = is_final
            self.missed_slots += first_seq - expected_seq
            self.last_seq = first_seq + count - 1
            chain = crc
            yield offset, count, first_seq, payload_crc, crc
            offset += BLOCK_HEADER_BYTES + payload_bytes

    @staticmethod
    def _tail_start_problem(data, offset):
        """Why the bytes from offset on are not the beginning of a block, or None when a torn write explains them."""
        start = data[offset:offset + 4]
        if BLOCK_MAGIC.startswith(start):
            return None
        # A file system may have grown the file before the data came: then nothing but zeros follows.
        for begin in range(offset, len(data), 1 << 20):
            if data[begin:begin + (1 << 20)].strip(b"\0"):
                return f"block header: expected {BLOCK_MAGIC}, found {bytes(start)}"
        return None

    def _cut_tail(self, path, data, offset, is_last, problem):
        """Report the incomplete last block at offset, or raise JournalDamage when it is not what a crash leaves."""
        size = len(data)
        if not (is_last and self._open_end):
            problem = problem or f"expected a whole block or the segment's end, found {size - offset} bytes"
        # A whole block behind it proves that the file did not end here when it was written.
        found = data.find(BLOCK_MAGIC, offset + 1)
        while problem is None and 0 <= found <= size - BLOCK_HEADER_BYTES:
            crc, = CRC.unpack_from(data, found + BLOCK_HEADER_BYTES - CRC.size)
            if crc == zlib.crc32(data[found:found + BLOCK_HEADER_BYTES - CRC.size]):
                problem = f"expected a whole block, found one at offset {found} behind an incomplete one"
            found = data.find(BLOCK_MAGIC, found + 1)
        if problem is not None:
            raise JournalDamage(path, offset, problem)
        self.torn_tail = {"path": str(path), "offset": offset, "bytes_cut": size - offset}

    def _walk_counts(self):
        self._reset()
        for index, header in enumerate(self._headers):
            path = self._paths[index]
            self._enter(path, header)
            for block in self._blocks(path, self._map(path), header, index == len(self._paths) - 1):
                yield block[1]
