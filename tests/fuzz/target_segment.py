"""Attaching to hostile shared memory: segment header, ring, state page and feed lane, over private memory of exactly the
segment's size. Each must raise SegmentError or ValueError, or read; never outside, and never for ever.

An input is kind u8 (0 ring, 1 state page, 2 feed lane), option u8, reader's start u64, size change i16, then patches of a
valid segment: offset u32, length u8, bytes. A patch at or behind the end wraps around.
"""
import struct

import numpy as np

from tickpath.shm import state_page
from tickpath.shm.feed_lane import FeedLaneReader, FeedLaneWriter, feed_lane_bytes
from tickpath.shm.ring import EventReader, EventWriter, records, ring_bytes
from tickpath.shm.segment import HEADER, HEADER_BYTES, KINDS, MAGIC, SegmentError, check_header
from tickpath.shm.state_page import StatePage, state_page_bytes
from tickpath.types import DTYPES, LAYOUT_HASH, LAYOUT_VERSION, SLOT_DTYPE, EventType

HEAD = struct.Struct("<BBQh")
PATCH = struct.Struct("<IB")
RING, STATE, FEED = range(3)
NAMES = ("ring", "state", "feed.binance")
RING_SLOTS = 1024
LANE_BYTES = 65536
FEED_ENTRY_BYTES = 32
READS = 4
HISTOGRAMS_BYTES = 12 * (64 + 2048 * 8)
ORDERS_BYTES = 16 + 64 * 48       # count, total, items; the histograms stand behind them
DATA = 4096                       # behind the headers of all three
HEAD_AT, SECOND_AT = 128, 192     # ring: head, first; lane: written, read
TRACE_PYTHON = False
MAX_BYTES = 2048
DICTIONARY = tuple(
    struct.pack("<Q", n) for n in (0, 1, 2 ** 63, 2 ** 64 - 1, RING_SLOTS, RING_SLOTS - 1, 2 * RING_SLOTS, LANE_BYTES, 65568)
) + tuple(PATCH.pack(at, 8) for at in (0, 8, 16, 24, 48, 56, HEAD_AT, SECOND_AT, DATA, DATA + 8, DATA + 16, DATA + 32, DATA + 64)) + (
    PATCH.pack(DATA + 16, 4), PATCH.pack(DATA + 20, 4), PATCH.pack(64, 16), struct.pack("<I", 2 ** 32 - 1), MAGIC,
    struct.pack("<II", 64, 1), b"\xff" * 8,
)


def _with_header(memory, kind, slot_count):
    memory[:HEADER_BYTES] = np.frombuffer(HEADER.pack(MAGIC, KINDS[NAMES[kind].split(".")[0]], LAYOUT_VERSION, LAYOUT_HASH,
                                                      len(memory), 1, 2, 3, slot_count, b"demo"), np.uint8)
    return memory


def _ring():
    memory = np.zeros(ring_bytes(RING_SLOTS), np.uint8)
    writer = EventWriter(memory)
    slots = np.zeros(1500, SLOT_DTYPE)
    slots["type"] = [EventType.EV_TRADE, EventType.EV_FILL, EventType.EV_CONT] * 500
    writer.publish(slots)
    return _with_header(memory, RING, RING_SLOTS)


def _state():
    memory = np.zeros(state_page_bytes(), np.uint8)
    words = memory.view(np.uint64)
    # StateInfo: cycles_per_ns, instrument_count, strategy_count.
    words[DATA // 8] = np.array([2.5]).view(np.uint64)[0]
    words[DATA // 8 + 1:DATA // 8 + 3] = 2, 1
    memory[DATA + 40:DATA + 47] = np.frombuffer(b"BTCUSDT", np.uint8)
    return _with_header(memory, STATE, 0)


def _feed():
    memory = np.zeros(feed_lane_bytes(LANE_BYTES), np.uint8)
    writer, reader = FeedLaneWriter(memory), FeedLaneReader(memory)
    # Round the ring's end, so that a filler stands there, and more than one entry waits.
    for n in range(14):
        if not writer.try_write(b"x" * 5000, n) or (n < 12 and reader.try_read() is None):
            raise AssertionError("expected room in the lane")
    if not writer.try_write(b'{"u":1}', 14) or not writer.try_end(15):
        raise AssertionError("expected room in the lane")
    return _with_header(memory, FEED, 0)


def _patches(*pairs):
    return b"".join(PATCH.pack(at, len(data)) + data for at, data in pairs)


def seeds():
    u64 = struct.Struct("<Q").pack
    result = [HEAD.pack(kind, option, 0, 0) for kind in range(3) for option in range(3)]
    result += [HEAD.pack(STATE, 8, 0, 0), HEAD.pack(RING, 2, 1400, 0), HEAD.pack(RING, 0, 0, 64), HEAD.pack(STATE, 0, 0, -8), HEAD.pack(FEED, 0, 0, 1)]
    result.append(HEAD.pack(RING, 2, 7, 0) + _patches((HEAD_AT, u64(9000)), (DATA + 7 * 64, u64(8199))))
    result.append(HEAD.pack(RING, 0, 0, 0) + _patches((SECOND_AT, u64(1200)), (DATA + 200 * 64, u64(0))))
    result.append(HEAD.pack(STATE, 0, 0, 0) + _patches((DATA + 8, u64(3)), (DATA + 16, u64(2))))
    orders_at = state_page_bytes() - HISTOGRAMS_BYTES - ORDERS_BYTES
    # Counts that the page's fixed arrays do not hold.
    result += [HEAD.pack(STATE, 0, 0, 0) + _patches((at, u64(count)))
               for at, count in ((DATA + 8, 65), (DATA + 16, 17), (orders_at, 200), (orders_at, 3))]
    result.append(HEAD.pack(FEED, 0, 0, 0) + _patches((HEAD_AT, u64(96)), (SECOND_AT, u64(0)), (DATA, u64(64) + u64(1)),
                                                      (DATA + 16, struct.pack("<II", 20, 0)), (DATA + 64, u64(32)),
                                                      (DATA + 80, struct.pack("<II", 0, 2))))
    return result


class _QuickClock:
    """Time for the page's readers: a second passes at each look, so that a block left torn costs no waiting."""

    def __init__(self):
        self._now_s = 0.0

    def monotonic(self):
        self._now_s += 1.0
        return self._now_s


class Target:
    def __init__(self):
        self._valid = (_ring(), _state(), _feed())
        state_page.time = _QuickClock()

    def run(self, data):
        if len(data) < HEAD.size:
            return
        kind, option, start, size_change = HEAD.unpack_from(data)
        kind %= 3
        valid = self._valid[kind]
        # malloc'ed at exactly this size: the byte behind it is poisoned.
        memory = np.zeros(max(HEADER_BYTES, len(valid) + size_change), np.uint8)
        common = min(len(memory), len(valid))
        memory[:common] = valid[:common]
        at = HEAD.size
        while at + PATCH.size <= len(data):
            offset, length = PATCH.unpack_from(data, at)
            patch = np.frombuffer(data[at + PATCH.size:at + PATCH.size + length], np.uint8)
            at += PATCH.size + length
            offset %= len(memory)
            patch = patch[:len(memory) - offset]
            memory[offset:offset + len(patch)] = patch
        try:
            check_header(memory.data, "fuzz", NAMES[kind], len(memory))
        except (SegmentError, ValueError):
            pass                   # what follows would not be reached by attaching, but must hold by itself
        try:
            (self._ring, self._state, self._feed)[kind](memory, option, start)
        except (SegmentError, ValueError):
            pass

    @staticmethod
    def _ring(memory, option, start):
        reader = EventReader(memory, ("oldest", "latest", start)[option % 3])
        out = np.zeros(RING_SLOTS, SLOT_DTYPE)
        for n in range(READS):
            missed, expected = reader.missed_slots, reader.next_seq
            slots = out[:reader.read_into(out)] if option & 4 else reader.read(RING_SLOTS)
            if len(slots) > RING_SLOTS:
                raise AssertionError(f"read {n}: expected at most {RING_SLOTS} slots, found {len(slots)}")
            if len(slots):
                wanted = slots["seq"][0] + np.arange(len(slots), dtype=np.uint64)
                if not np.array_equal(slots["seq"], wanted):
                    raise AssertionError(f"read {n}: expected consecutive sequences from {wanted[0]}, found a gap")
                if reader.missed_slots == missed and int(slots["seq"][0]) < expected:
                    raise AssertionError(f"read {n}: expected sequence {expected} or later, found {slots['seq'][0]}")
            for kind in (EventType.EV_TRADE, EventType.EV_FILL):
                if records(slots, kind).dtype != DTYPES[int(kind)]:
                    raise AssertionError(f"read {n}: expected records of {kind!r}")
        reader.view()["seq"].sum()

    @staticmethod
    def _state(memory, option, start):
        page = StatePage(memory)
        first_error = None
        reads = (page.info, page.totals, page.instruments, page.strategies, page.orders)
        # The histograms cost as much as all the rest twenty times.
        for read in (*reads, page.latency) if option & 8 else reads:
            # One unreadable block must not hide the next.
            try:
                read()
            except (SegmentError, ValueError) as e:
                first_error = first_error or e
        if first_error is not None:
            raise first_error

    @staticmethod
    def _feed(memory, option, start):
        reader = FeedLaneReader(memory)
        lane_bytes = len(memory) - DATA - 4096
        # Nobody writes: a lane cannot hold more entries than its bytes.
        for _ in range(lane_bytes // FEED_ENTRY_BYTES + 2):
            entry = reader.try_read()
            if entry is None:
                break
            if entry[2] is not None and len(entry[2]) > lane_bytes - FEED_ENTRY_BYTES:
                raise AssertionError(f"frame: expected at most {lane_bytes - FEED_ENTRY_BYTES} bytes, found {len(entry[2])}")
        else:
            raise AssertionError(f"lane of {lane_bytes} bytes: expected its end, found entries without end")
        if not reader.broken and reader.backlog_bytes:
            raise AssertionError(f"lane: expected it read to its end or broken, found {reader.backlog_bytes} bytes left")
        if reader.broken and reader.try_read() is not None:
            raise AssertionError("broken lane: expected no entry any more, found one")
