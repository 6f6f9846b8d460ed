"""JournalReader: a run's journal, every byte of it checked; see journal_format.py for what it reads. Cold."""
import bisect
import json
import mmap
import os
import re
from pathlib import Path

import numpy as np

from tickpath.shm.journal_fast import crc32, sequence_break
from tickpath.shm.journal_format import (
    BLOCK_FINAL,
    BLOCK_GAP,
    BLOCK_HEADER_BYTES,
    BLOCK_MAGIC,
    BLOCK_MAX_SLOTS,
    CONTINUATION,
    CRC,
    FORMAT_VERSION,
    INDEX_ENTRY,
    SEGMENT_HEADER,
    SEGMENT_HEADER_BYTES,
    SEGMENT_HEADER_KNOWN,
    SEGMENT_MAGIC,
    SLOT_BYTES,
    JournalDamage,
    JournalError,
    SegmentHeader,
    config_hash,
    index_file,
    segment_file,
    segment_numbers,
    unpack_block_header,
)
from tickpath.types import LAYOUT_HASH, LAYOUT_VERSION, SLOT_DTYPE


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


def map_segment(path):
    try:
        with open(path, "rb") as f:
            return mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as e:
        raise JournalError(f"{path}: expected a readable segment, found {e}") from None


# ---- index
def read_index(path, *, from_file=True, data=None):
    """Array of INDEX_ENTRY of a segment's blocks. Entries that the index file does not hold, or that do not fit each
    other or the segment, are made from the block headers; the result is a help to find a block, not a proof of it."""
    data = map_segment(path) if data is None else data
    entries = np.empty(0, INDEX_ENTRY)
    if from_file:
        try:
            raw = index_file(path).read_bytes()
        except OSError:
            raw = b""
        entries = np.frombuffer(raw, INDEX_ENTRY, len(raw) // INDEX_ENTRY.itemsize)
        sizes = BLOCK_HEADER_BYTES + entries["slot_count"].astype(np.uint64) * np.uint64(SLOT_BYTES)
        begins = SEGMENT_HEADER_BYTES + np.concatenate([np.zeros(1, np.uint64), np.cumsum(sizes)[:-1]])[:len(entries)]
        wrong = np.flatnonzero((entries["offset"] != begins) | (begins + sizes > len(data))
                               | (entries["slot_count"] == 0) | (entries["slot_count"] > BLOCK_MAX_SLOTS))
        entries = entries[:wrong[0]] if len(wrong) else entries
        if len(entries) and not entry_fits(entries[-1], data):
            entries = entries[:0]
    offset = SEGMENT_HEADER_BYTES
    if len(entries):
        offset = int(entries["offset"][-1]) + BLOCK_HEADER_BYTES + int(entries["slot_count"][-1]) * SLOT_BYTES
    more = []
    while offset + BLOCK_HEADER_BYTES <= len(data) and data[offset:offset + 4] == BLOCK_MAGIC:
        block, found = unpack_block_header(data, offset)
        end = offset + BLOCK_HEADER_BYTES + block.slot_count * SLOT_BYTES
        if found != block.crc or end > len(data):
            break
        if block.slot_count:
            more.append((offset, block.first_seq, block.first_ts_ns, block.crc, block.slot_count))
        offset = end
    return np.concatenate([entries, np.array(more, INDEX_ENTRY)])


def entry_fits(entry, data):
    """Whether the block that an entry points to is the one that it tells of."""
    block, found = unpack_block_header(data, int(entry["offset"]))
    return (block.magic == BLOCK_MAGIC and found == block.crc == entry["crc"] and block.first_seq == entry["first_seq"]
            and block.first_ts_ns == entry["first_ts_ns"] and block.slot_count == entry["slot_count"])


def seek_block(path, data, start_seq, start_ts_ns):
    """Offset of the last block that begins at the start or before it, or None to begin with the first one."""
    for from_file in (True, False):
        entries = read_index(path, from_file=from_file, data=data)
        key, start, side = ("first_seq", start_seq, "right") if start_ts_ns is None else ("first_ts_ns", start_ts_ns, "left")
        if np.any(entries[key][1:] < entries[key][:-1]):
            continue                       # of a damaged index, or times that went back: then no search is right
        start = min(max(start, np.iinfo(entries[key].dtype).min), np.iinfo(entries[key].dtype).max)
        k = int(np.searchsorted(entries[key], entries[key].dtype.type(start), side)) - 1
        if k < 0:
            return None
        if entry_fits(entries[k], data):
            return int(entries["offset"][k])
    return None


class JournalReader:
    """Reads a run's journal; also while it is being written, up to the last whole block.

    Parameters: path : a run's directory; an instance's, or its `runs`: then the run of the highest number; or one
                segment file: then only that segment.
    After an iteration to the end: `final` (the run ended in order), `torn_tail` (None, or a dict: path, offset,
    bytes_cut), `missed_slots` (lost by the writer to laps, as far as it was iterated), `last_seq`, and where the last
    whole block ends: `end_segment_no`, `end_offset`, `end_crc` (the checksum that the next block must follow).
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
        self.first_seq = self._headers[0].first_seq
        self._reset()

    @property
    def config(self):
        """config.json as a dict."""
        try:
            return json.loads(self.config_bytes)
        except ValueError as e:
            raise JournalError(f"{self.run_dir / 'config.json'}: expected JSON, found {e}") from None

    def batches(self, start_seq=None, *, start_ts_ns=None):
        """Arrays of SLOT_DTYPE in sequence order, one a block: read-only views of the file, without a copy.

        start_seq : begin with this sequence (or the next there is); what lies before is not read.
        start_ts_ns : begin with the first record received at this time or later; times must not decrease.
        A view is valid as long as somebody holds it, also after the reader is gone.
        """
        if start_seq is not None and start_ts_ns is not None:
            raise ValueError("expected start_seq or start_ts_ns, found both")
        self._reset()
        begin = self._first_segment(start_seq, start_ts_ns)
        expected_crc = None
        for index in range(begin, len(self._headers)):
            header = self._headers[index]
            path = self._paths[index]
            if expected_crc is not None:
                self._check_follows(path, header.previous_crc, expected_crc)
            self._enter(path, header)
            data = self._map(path)
            seek = None
            if index == begin and (start_seq is not None or start_ts_ns is not None):
                seek = seek_block(path, data, start_seq, start_ts_ns)
            batches = self._segment_batches(path, header, data, index == len(self._paths) - 1, start_seq, seek)
            if start_ts_ns is None:
                expected_crc = yield from batches
                continue
            while True:
                try:
                    slots = next(batches)
                except StopIteration as end:
                    expected_crc = end.value
                    break
                if start_ts_ns is not None:
                    wanted = np.flatnonzero((slots["ts_recv_ns"] >= start_ts_ns) & (slots["type"] != CONTINUATION))
                    if not len(wanted):
                        continue
                    slots, start_ts_ns = slots[wanted[0]:], None
                yield slots
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
        else:
            self._check_summary()

    def _first_segment(self, start_seq, start_ts_ns):
        """Index of the segment that holds the start, or of one before it."""
        if start_seq is not None:
            return max(bisect.bisect_right([h.first_seq for h in self._headers], start_seq) - 1, 0)
        if start_ts_ns is not None:
            # The first segment does not know its time. An equal one may have begun in the segment before.
            begins_ns = [h.first_ts_ns for h in self._headers[1:]]
            return bisect.bisect_left(begins_ns, start_ts_ns) if begins_ns == sorted(begins_ns) else 0
        return 0

    def _check_summary(self):
        """A journal that ended before what its own summary tells was cut, or put back from an old copy."""
        path = self.run_dir / "summary.json"
        try:
            summary = json.loads(path.read_bytes())
            last_seq, orderly = int(summary["last_seq"]), bool(summary["orderly"])
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError) as e:
            raise JournalError(f"{path}: expected the journal's summary, found {e!r}") from None
        if self.last_seq < last_seq or orderly and not self.final:
            raise JournalDamage(self._paths[-1], self.end_offset, f"expected sequences up to {last_seq} "
                                f"{'and an orderly end ' * orderly}as in summary.json, found {self.last_seq} the last: "
                                "the end is missing")

    def slot_count(self):
        """Slots in the journal; reads the block headers only."""
        return sum(self._walk_counts())

    # ---- opening
    def _reset(self):
        self.final = False
        self.torn_tail = None
        self.missed_slots = 0
        self.last_seq = None
        self._end_at(self._headers[0].segment_no, SEGMENT_HEADER_BYTES, self._headers[0].crc)

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
        return map_segment(path)

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

    def _segment_batches(self, path, header, data, is_last, start_seq, seek):
        """The batches of one segment; returns the checksum that the next segment must follow."""
        self._end_at(header.segment_no, SEGMENT_HEADER_BYTES, header.crc)
        for offset, block in self._blocks(path, data, header, is_last, seek):
            count, first_seq = block.slot_count, block.first_seq
            end_seq = first_seq + count
            if count == 0 or start_seq is not None and end_seq <= start_seq:
                continue
            begin = offset + BLOCK_HEADER_BYTES
            slots = np.frombuffer(data, SLOT_DTYPE, count, begin)
            found = crc32(slots.view(np.uint8))
            if found != block.payload_crc:
                raise JournalDamage(path, begin, f"block of sequences {first_seq} to {end_seq - 1}: expected checksum "
                                                 f"{block.payload_crc:08x}, found {found:08x}")
            wrong = sequence_break(slots, first_seq)
            if wrong >= 0:
                raise JournalDamage(path, begin + wrong * SLOT_BYTES, f"slot: expected sequence {first_seq + wrong}, "
                                                                      f"found {slots['seq'][wrong]}")
            if slots["ts_recv_ns"][0] != block.first_ts_ns:
                raise JournalDamage(path, offset, f"block header: expected time {slots['ts_recv_ns'][0]} as in its first "
                                                  f"slot, found {block.first_ts_ns}")
            yield slots if start_seq is None or first_seq >= start_seq else slots[start_seq - first_seq:]
        return self.end_crc

    def _end_at(self, segment_no, offset, crc):
        self.end_segment_no, self.end_offset, self.end_crc = segment_no, offset, crc

    def _blocks(self, path, data, header, is_last, seek=None):
        """(offset, BlockHeader) of each block, headers checked; payloads are not looked at. Sets final, torn_tail,
        missed_slots, last_seq and where the last whole block ends on the way. seek : offset of a block to begin with;
        what stands before it is taken for granted."""
        size, offset, chain = len(data), SEGMENT_HEADER_BYTES, header.crc
        if seek is not None and seek > offset:
            block, _ = unpack_block_header(data, seek)
            offset, chain = seek, block.previous_crc
            self.last_seq = block.first_seq - (2 if block.flags & BLOCK_GAP else 1)
            self.missed_slots -= bool(block.flags & BLOCK_GAP)
        while offset < size:
            if self.final:
                raise JournalDamage(path, offset, f"expected nothing behind the run's final block, found "
                                                  f"{size - offset} bytes")
            if size - offset < BLOCK_HEADER_BYTES or data[offset:offset + 4] != BLOCK_MAGIC:
                self._cut_tail(path, data, offset, is_last, self._tail_start_problem(data, offset))
                return
            block, found = unpack_block_header(data, offset)
            count = block.slot_count
            if found != block.crc:
                raise JournalDamage(path, offset, f"block header: expected checksum {block.crc:08x}, found {found:08x}")
            if block.previous_crc != chain:
                raise JournalDamage(path, offset, f"block header: expected it to follow a block with checksum "
                                                  f"{chain:08x}, found {block.previous_crc:08x}: blocks are missing, "
                                                  "doubled or moved")
            is_final = bool(block.flags & BLOCK_FINAL)
            if block.payload_bytes != count * SLOT_BYTES or count > BLOCK_MAX_SLOTS or (count == 0) != is_final:
                raise JournalDamage(path, offset, f"block header: expected 1 to {BLOCK_MAX_SLOTS} slots of "
                                                  f"{SLOT_BYTES} bytes, found {count} in {block.payload_bytes} bytes, "
                                                  f"flags {block.flags}")
            expected_seq = self.last_seq + 1
            if block.first_seq < expected_seq or (block.first_seq > expected_seq) != bool(block.flags & BLOCK_GAP):
                raise JournalDamage(path, offset, f"block header: expected sequence {expected_seq}, found "
                                                  f"{block.first_seq}, flags {block.flags}")
            end = offset + BLOCK_HEADER_BYTES + block.payload_bytes
            if end > size:
                self._cut_tail(path, data, offset, is_last, None)
                return
            self.final = is_final
            self.missed_slots += block.first_seq - expected_seq
            self.last_seq = block.first_seq + count - 1
            chain = block.crc
            self._end_at(header.segment_no, end, chain)
            yield offset, block
            offset = end

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
            if crc == crc32(data[found:found + BLOCK_HEADER_BYTES - CRC.size]):
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
                yield block[1].slot_count
