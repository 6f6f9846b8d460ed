"""The journal reader over damaged files. It must raise JournalError or yield a prefix of what was written, whole or with
`torn_tail` set; never other slots.

An input is mode u8, start_seq u8, bytes of config.json, of the first and of the second segment u16 each, then config.json,
both segments and the first one's index. Mode 1 writes every checksum and the chain anew before reading, as a hostile writer would: what lies behind the
checksums is reached, and then only this is asked: no other exception, and slots in ascending order.
"""
import hashlib
import shutil
import struct
import tempfile
import zlib
from pathlib import Path

import numpy as np

from tickpath.shm.journal import JournalError, JournalReader, JournalWriter, index_file, segment_file
from tickpath.types import LAYOUT_HASH, LAYOUT_VERSION, SLOT_DTYPE, EventType

HEAD = struct.Struct("<BBHHH")
SEGMENT_HEADER_BYTES, BLOCK_HEADER_BYTES = 4096, 64
CONFIG = b'{"instance":{"name":"demo"}}'
FIRST_SEQ = 1
AS_WRITTEN, REPAIRED = 0, 1
TRACE_PYTHON = True
MAX_BYTES = 20000
DICTIONARY = (
    b"TPBK", b"TICKPJNL", b"\0" * 64, b"\1\0\0\0", b"\2\0\0\0", b"\3\0\0\0", struct.pack("<II", 64, 1),
    struct.pack("<II", 4097 * 64, 4097), struct.pack("<Q", 1), struct.pack("<Q", 2 ** 64 - 1), struct.pack("<I", 2 ** 26),
)


def _write_run(run_dir, *, final):
    """Two segments of a few blocks each; ([segment, segment, index of the first] as bytes, slots written)."""
    (run_dir / "config.json").write_bytes(CONFIG)
    writer = JournalWriter(run_dir, instance="demo", epoch=12, config_bytes=CONFIG, segment_max_bytes=4096 + 1200)
    random, written = np.random.default_rng(3), []
    for kinds in ((EventType.EV_TRADE,) * 3, (EventType.EV_FILL, EventType.EV_CONT, EventType.EV_QUOTE),
                  (EventType.EV_FRAME,) * 5, (EventType.EV_QUOTE,), (EventType.EV_FILL, EventType.EV_CONT),
                  (EventType.EV_TRADE,) * 4):
        slots = np.zeros(len(kinds), SLOT_DTYPE)
        slots["payload"] = random.integers(0, 2 ** 63, (len(kinds), 4))
        slots["seq"] = np.arange(len(kinds)) + writer.written_seq + 1
        slots["type"] = kinds
        written.append(writer.append(slots))
    writer.close(final=final)
    segments = sorted(run_dir.glob("segment-*.tpj"))
    if len(segments) != 2:
        raise AssertionError(f"{run_dir}: expected 2 segments, found {len(segments)}")
    return [p.read_bytes() for p in (*segments, index_file(segments[0]))], np.concatenate(written)


def _run(final):
    with tempfile.TemporaryDirectory() as directory:
        return _write_run(Path(directory), final=final)


def _input(mode, start, first, second, index, config=CONFIG):
    return HEAD.pack(mode, start, len(config), len(first), len(second)) + config + first + second + index


def seeds():
    result = []
    for final in (True, False):
        (first, second, index), _ = _run(final)
        result += [_input(mode, start, first, second, index) for mode in (AS_WRITTEN, REPAIRED) for start in (0, 4, 12)]
        result.append(_input(AS_WRITTEN, 0, first, b"", b""))
        # Its header's instance is no UTF-8, and every checksum right.
        result.append(_input(REPAIRED, 0, first[:80] + b"\xff" + first[81:], second, index))
    return result


def _repair(config, segments):
    """The segments with every checksum that has a place made right, block by block as the lengths lead."""
    chain, repaired = 0, []
    for number, segment in enumerate(segments, 1):
        data = bytearray(segment)
        if len(data) >= SEGMENT_HEADER_BYTES:
            data[64:80] = hashlib.blake2b(config, digest_size=16).digest()
            # An input kept from an older layout stays of use.
            struct.pack_into("<IQII", data, 12, LAYOUT_VERSION, LAYOUT_HASH, number, chain)
            end = SEGMENT_HEADER_BYTES - 4
            chain = zlib.crc32(data[:end])
            struct.pack_into("<I", data, end, chain)
        at = SEGMENT_HEADER_BYTES
        while at + BLOCK_HEADER_BYTES <= len(data):
            payload_bytes, = struct.unpack_from("<I", data, at + 8)
            body = at + BLOCK_HEADER_BYTES
            struct.pack_into("<II", data, at + 24, zlib.crc32(data[body:body + payload_bytes]), chain)
            chain = zlib.crc32(data[at:at + BLOCK_HEADER_BYTES - 4])
            struct.pack_into("<I", data, at + BLOCK_HEADER_BYTES - 4, chain)
            at = body + payload_bytes
        repaired.append(bytes(data))
    return repaired


class Target:
    def __init__(self):
        # Memory, not a disk: some thousand files a second.
        memory = Path("/dev/shm")
        self._directory = tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None, prefix="tickpath-fuzz-")
        self._run_dir = Path(self._directory.name)
        self._written = {final: _run(final)[1] for final in (True, False)}
        if self._written[True].tobytes() != self._written[False].tobytes():
            raise AssertionError("expected both runs to hold the same slots")
        self._true = self._written[True]

    def close(self):
        shutil.rmtree(self._directory.name, ignore_errors=True)

    def run(self, data):
        if len(data) < HEAD.size:
            return
        mode, start, *sizes = HEAD.unpack_from(data)
        parts, at = [], HEAD.size
        for size in (*sizes, len(data)):
            parts.append(data[at:at + size])
            at += size
        config, first, second, index = parts
        segments = [first, second] if second else [first]
        if mode == REPAIRED:
            segments = _repair(config, segments)
        (self._run_dir / "config.json").write_bytes(config)
        for number in (1, 2):
            path = segment_file(self._run_dir, number)
            if number <= len(segments):
                path.write_bytes(segments[number - 1])
            else:
                path.unlink(missing_ok=True)
        index_file(segment_file(self._run_dir, 1)).write_bytes(index)
        self._check(mode == REPAIRED, start)

    def _check(self, repaired, start):
        slots, ended = [], None
        try:
            reader = JournalReader(self._run_dir)
            for batch in reader.batches(start or None):
                slots.append(batch.copy())
            ended = reader
            counted = reader.slot_count()
        except JournalError:
            counted = None
        found = np.concatenate([np.empty(0, SLOT_DTYPE), *slots])
        if repaired:
            # Sequences are 64-bit words of a hostile file: compared as such, not subtracted.
            if len(found) > 1 and not (found["seq"][1:] > found["seq"][:-1]).all():
                raise AssertionError(f"slots: expected ascending sequences, found {found['seq'].tolist()}")
            return
        true = self._true[self._true["seq"] >= max(start, FIRST_SEQ)]
        if found.tobytes() != true[:len(found)].tobytes():
            raise AssertionError(f"slots: expected a prefix of what was written, found sequences {found['seq'].tolist()}")
        if ended is None:
            return
        if ended.missed_slots and not start:
            raise AssertionError(f"missed_slots: expected 0, found {ended.missed_slots}")
        if ended.final and len(found) != len(true):
            raise AssertionError(f"slots: expected all {len(true)} of a finished run, found {len(found)}")
        if ended.final and ended.torn_tail:
            raise AssertionError("expected a finished run or a torn tail, found both")
        if counted is not None and not start and counted != len(found):
            raise AssertionError(f"slot_count: expected {len(found)}, found {counted}")
