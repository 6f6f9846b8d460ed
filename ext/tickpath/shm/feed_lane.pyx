"""The feed lane from Python: FeedLaneWriter in a feeder process, FeedLaneReader held by the engine."""
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t
from libc.string cimport memcpy, memset
from tickpath.shm.atomics cimport load_acquire_u64, store_release_u64
from tickpath.types cimport SLOT_BYTES, GridEvent, unlikely

from tickpath.shm.segment import SegmentError, private_memory

HEADER_SIZE = FEED_HEADER_BYTES


cdef bint feed_next(FeedReader* r, int32_t venue_count) noexcept nogil:
    cdef uint64_t offset, left
    while not r.broken:
        if r.position == r.known_written:
            r.known_written = load_acquire_u64(r.written)                      # F2, see F1
            if r.position == r.known_written:
                return False
        offset = r.position & r.mask
        left = r.known_written - r.position
        # A copy: what is checked is what is used.
        memcpy(&r.entry, r.data + offset, FEED_ENTRY_BYTES)
        if unlikely(left > r.mask + 1 or r.entry.entry_bytes < FEED_ENTRY_BYTES or r.entry.entry_bytes & 31
                    or r.entry.entry_bytes > left or r.entry.entry_bytes > r.mask + 1 - offset
                    or r.entry.frame_bytes > r.entry.entry_bytes - FEED_ENTRY_BYTES
                    or (r.entry.venue_slot >= venue_count and not r.entry.flags & FEED_FILLER)):
            r.broken = 1
            return False
        if not r.entry.flags & FEED_FILLER:
            r.frame = r.data + offset + FEED_ENTRY_BYTES
            return True
        feed_release(r)
    return False


cdef void feed_release(FeedReader* r) noexcept nogil:
    r.position += r.entry.entry_bytes
    store_release_u64(r.read, r.position)                                      # F3, see F4


def feed_lane_bytes(data_bytes):
    """Bytes of a lane whose ring holds `data_bytes` (a power of two, at least 64 KiB)."""
    if data_bytes < 65536 or data_bytes & (data_bytes - 1):
        raise ValueError(f"data_bytes: expected a power of two of at least 65536, found {data_bytes}")
    return FEED_HEADER_BYTES + data_bytes + FEED_PADDING


cdef uint64_t _data_bytes(Py_ssize_t size) except 0:
    cdef uint64_t data = size - FEED_HEADER_BYTES - FEED_PADDING if size > FEED_HEADER_BYTES + FEED_PADDING else 0
    if data < 65536 or data & (data - 1):
        raise SegmentError(f"feed lane: expected a power-of-two ring of at least 65536 bytes, found {data}")
    return data


cdef class FeedLaneReader:
    """The engine's end. Parameters: buffer : writable memory of `feed_lane_bytes(n)` bytes."""
    def __cinit__(self, buffer):
        cdef uint8_t[::1] memory = buffer
        self.feed.mask = _data_bytes(memory.shape[0]) - 1
        self._buffer = memory
        self.feed.data = <const char*>&memory[FEED_HEADER_BYTES]
        self.feed.written = <const uint64_t*>&memory[128]
        self.feed.read = <uint64_t*>&memory[192]
        self.feed.position = load_acquire_u64(self.feed.read)                    # F5, see F3: on where its end stopped
        self.feed.known_written = self.feed.position

    @property
    def backlog_bytes(self):
        return load_acquire_u64(self.feed.written) - self.feed.position        # F2, see F1

    @property
    def broken(self):
        """True when an entry did not fit the lane: nothing is read any more."""
        return bool(self.feed.broken)

    def skip_all(self):
        """Pass over everything written so far, and read again after a broken entry: what a writer that died left behind."""
        self.feed.position = self.feed.known_written = load_acquire_u64(self.feed.written)    # F2, see F1
        self.feed.broken = self.feed.position & 31 != 0
        store_release_u64(self.feed.read, self.feed.position)                  # F3, see F4

    def try_read(self):
        """Take the next entry, copied: (ts_recv_ns, instrument, frame bytes; None at the feed's end), or None."""
        if not feed_next(&self.feed, 65536):
            return None
        frame = None
        if not self.feed.entry.flags & FEED_END:
            frame = PyBytes_FromStringAndSize(self.feed.frame, self.feed.entry.frame_bytes)
        feed_release(&self.feed)
        return self.feed.entry.ts_recv_ns, self.feed.entry.instrument, frame


cdef class FeedLaneWriter:
    """The feeder's end. Parameters: buffer : writable memory of `feed_lane_bytes(n)` bytes.

    `try_write` answers False when there is no room yet; a frame that could never fit raises ValueError.
    """
    def __cinit__(self, buffer):
        cdef uint8_t[::1] memory = buffer
        self.mask = _data_bytes(memory.shape[0]) - 1
        self._buffer = memory
        self.data = <char*>&memory[FEED_HEADER_BYTES]
        self.written = <uint64_t*>&memory[128]
        self.read = <const uint64_t*>&memory[192]
        self.position = load_acquire_u64(self.written)                         # F6, see F1: likewise

    @staticmethod
    def local(data_bytes):
        """A lane in private memory, with its reader: (writer, reader)."""
        memory = private_memory(feed_lane_bytes(data_bytes))
        return FeedLaneWriter(memory), FeedLaneReader(memory)

    @property
    def max_frame_bytes(self):
        """The largest frame a lane takes: with its entry header a quarter of its ring."""
        return (self.mask + 1) // 4 - FEED_ENTRY_BYTES

    @property
    def drained(self):
        """True when the reader has released everything written so far."""
        return load_acquire_u64(self.read) == self.position                    # F4, see F3

    def try_write(self, bytes frame, int64_t ts_recv_ns, uint32_t instrument=0xFFFFFFFF, *, uint16_t venue_slot=0,
                  uint16_t connection=0):
        """Append one frame; False when the lane is full. ts_recv_ns: epoch ns."""
        return self._append(frame, len(frame), ts_recv_ns, instrument, 0, venue_slot, connection)

    def try_write_grid(self, int64_t ts_recv_ns, uint32_t instrument, tick, lot, *, int64_t qty_step_lots,
                       int64_t min_notional_ticklots, int price_decimals=-1, int qty_decimals=-1, uint16_t venue_slot=0):
        """Append an instrument's grid from now on; False when the lane is full. tick, lot : (mantissa, scale)."""
        cdef GridEvent g
        memset(&g, 0, sizeof(GridEvent))
        g.tick_mantissa, g.tick_scale = tick
        g.lot_mantissa, g.lot_scale = lot
        g.qty_step_lots, g.min_notional_ticklots = qty_step_lots, min_notional_ticklots
        g.price_decimals, g.qty_decimals = price_decimals, qty_decimals
        return self._append(<const char*>&g, sizeof(GridEvent), ts_recv_ns, instrument, FEED_GRID, venue_slot, 0)

    def try_write_record(self, bytes record, int64_t ts_recv_ns, uint32_t instrument, *, uint16_t venue_slot=0):
        """Append one input record of one slot (DTYPES of tickpath.types): what a process of ours has found out and no frame
        says. False when the lane is full. Errors: ValueError for another size."""
        if len(record) != SLOT_BYTES:
            raise ValueError(f"record: expected {SLOT_BYTES} bytes, found {len(record)}")
        return self._append(record, SLOT_BYTES, ts_recv_ns, instrument, FEED_RECORD, venue_slot, 0)

    def try_end(self, int64_t ts_recv_ns=0):
        """Append the end mark."""
        return self._append(b"", 0, ts_recv_ns, 0xFFFFFFFF, FEED_END, 0, 0)

    cdef bint _append(self, const char* frame, Py_ssize_t size, int64_t ts_recv_ns, uint32_t instrument,
                      uint32_t flags, uint16_t venue_slot, uint16_t connection) except -1:
        cdef uint64_t capacity = self.mask + 1
        cdef uint64_t need = (FEED_ENTRY_BYTES + size + 31) & ~<uint64_t>31
        cdef uint64_t offset = self.position & self.mask
        cdef uint64_t to_end = capacity - offset
        cdef uint64_t skip = to_end if to_end < need else 0
        cdef uint64_t used = self.position - load_acquire_u64(self.read)       # F4, see F3
        cdef FeedEntry* entry
        if need > capacity // 4:
            raise ValueError(f"frame: expected at most {capacity // 4 - FEED_ENTRY_BYTES} bytes, found {size}")
        if used + skip + need > capacity:
            return False
        if skip:
            entry = <FeedEntry*>(self.data + offset)
            entry.entry_bytes = skip
            entry.frame_bytes = 0
            entry.flags = FEED_FILLER
            self.position += skip
            offset = 0
        entry = <FeedEntry*>(self.data + offset)
        entry.entry_bytes = need
        entry.ts_recv_ns = ts_recv_ns
        entry.frame_bytes = <uint32_t>size
        entry.flags = flags
        entry.instrument = instrument
        entry.venue_slot = venue_slot
        entry.connection = connection
        memcpy(self.data + offset + FEED_ENTRY_BYTES, frame, size)
        self.position += need
        store_release_u64(self.written, self.position)                         # F1, see F2
        return True
