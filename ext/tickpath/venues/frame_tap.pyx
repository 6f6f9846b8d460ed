"""The recorder's copies of raw frames, from the sockets' thread to the thread that writes them: see frame_tap.pxd.

A FrameBlock holds frames as they stand in a block of a recording (tickpath/raw_capture.py): 24 bytes of header, then the frame.
"""
from libc.stdint cimport int64_t, uint16_t, uint32_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy

from tickpath.shm.atomics cimport load_acquire_u64
from tickpath.shm.feed_lane cimport FeedLaneReader, FeedLaneWriter, feed_next, feed_release
from tickpath.types cimport MAX_VENUES, unlikely
from tickpath.venues.batch cimport FrameView

cdef enum: FRAME_HEADER_BYTES = 24
cdef enum: FRAME_REST = 1             # FrameHeader.flags
cdef enum: COPIED_BYTES = 65536       # smaller frames are copied without letting the other thread run
cdef enum: KEPT_BYTES = 1 << 20       # a block that grew beyond it for one large frame gives the memory back

cdef struct FrameHeader:
    int64_t ts_recv_ns
    uint32_t frame_bytes
    uint32_t instrument               # of a REST body that does not name it, else INSTRUMENT_NONE
    uint16_t connection
    uint16_t flags
    uint32_t reserved


cdef class FrameTap:
    """Parameters: lane : FeedLaneWriter whose reader a FrameDrain owns.

    `frames`, `dropped`, `frames_bytes` of a venue slot: `counts(slot)`.
    """
    def __cinit__(self, FeedLaneWriter lane not None):
        self.lane = lane
        self.max_frame_bytes = lane.max_frame_bytes

    cdef void take(self, const FrameView* view) noexcept:
        self._take(view, 0)

    cdef void _take(self, const FrameView* view, uint32_t flags) noexcept:
        cdef int slot = view.venue_slot & (MAX_VENUES - 1)
        self.frames[slot] += 1
        self.frames_bytes[slot] += view.size
        if unlikely(view.size > self.max_frame_bytes) or not self.lane._append(
                view.data, view.size, view.ts_recv_ns, view.instrument_hint, flags, view.venue_slot, view.connection):
            self.dropped[slot] += 1

    def put(self, bytes data, int64_t ts_recv_ns, uint32_t instrument=0xFFFFFFFF, *, uint16_t venue_slot=0,
            uint16_t connection=0, bint rest=False):
        """One frame from Python, as from a socket or, with rest, from the gateway."""
        cdef FrameView view
        if venue_slot >= MAX_VENUES:
            raise ValueError(f"venue_slot: expected below {MAX_VENUES}, found {venue_slot}")
        view.data = data
        view.size = len(data)
        view.ts_recv_ns = ts_recv_ns
        view.instrument_hint = instrument
        view.venue_slot = venue_slot
        view.connection = connection
        self._take(&view, TAP_REST if rest else 0)

    def counts(self, int slot):
        """(frames received, of them dropped, bytes received) of a venue slot."""
        if not 0 <= slot < MAX_VENUES:
            raise ValueError(f"slot: expected below {MAX_VENUES}, found {slot}")
        return self.frames[slot], self.dropped[slot], self.frames_bytes[slot]


cdef class RestTap:
    """What the gateway writes into its lane, copied to a tap before the session takes it.

    Parameters: lane : FeedLaneReader, the one that the session drains.  tap : FrameTap.
    """
    def __cinit__(self, FeedLaneReader lane not None, FrameTap tap not None):
        self.lane = lane
        self.tap = tap
        self.seen = lane.feed
        self.seen.read = &self.unused_read

    def look(self):
        """Copy what has come since the last look; called in the session's thread before every drain of the lane.

        What the session took in between is still there: the gateway would have to write a whole lane meanwhile.
        """
        cdef FrameView view
        while True:
            if unlikely(load_acquire_u64(self.seen.written) - self.seen.position > self.seen.mask + 1):      # F2, see F1
                self.tap.dropped[0] += 1
                self.seen.position = self.lane.feed.position
                self.seen.known_written = self.seen.position
            if not feed_next(&self.seen, MAX_VENUES):
                return
            if self.seen.entry.flags != 0:
                feed_release(&self.seen)   # a grid or a status: a record of ours, not a body
                continue
            view.data = self.seen.frame
            view.size = self.seen.entry.frame_bytes
            view.ts_recv_ns = self.seen.entry.ts_recv_ns
            view.instrument_hint = self.seen.entry.instrument
            view.venue_slot = self.seen.entry.venue_slot
            view.connection = self.seen.entry.connection
            self.tap._take(&view, TAP_REST)
            feed_release(&self.seen)


cdef class FrameBlock:
    """Frames of one venue that are not written yet."""
    def __dealloc__(self):
        free(self.data)

    cdef bint _reserve(self, Py_ssize_t room) noexcept nogil:
        cdef Py_ssize_t wanted = self.size + room
        cdef char* grown
        if wanted <= self.capacity:
            return True
        wanted += wanted >> 2
        grown = <char*>realloc(self.data, wanted)
        if grown == NULL:
            return False
        self.data = grown
        self.capacity = wanted
        return True

    def bytes(self):
        """A copy of what it holds."""
        return self.data[:self.size] if self.size else b""

    def clear(self):
        self.size = 0
        self.frame_count = 0
        if self.capacity > KEPT_BYTES:
            free(self.data)
            self.data = NULL
            self.capacity = 0


cdef class FrameDrain:
    """The writing thread's end. Parameters: lane : FeedLaneReader.  block_bytes : a block that would grow beyond it is full."""
    def __cinit__(self, FeedLaneReader lane not None, Py_ssize_t block_bytes):
        self.lane = lane
        self.block_bytes = block_bytes
        self.blocks = [FrameBlock() for _ in range(MAX_VENUES)]

    def drain(self):
        """Move frames from the lane to their blocks. Returns the venue slot of a block that is full, to be written and cleared
        before this goes on, or None when the lane is empty. Errors: MemoryError; RuntimeError for a lane that no tap has written.
        """
        cdef int slot = self._drain()
        if unlikely(slot == -2):
            raise MemoryError()
        if unlikely(self.lane.feed.broken):
            raise RuntimeError("frame lane: expected entries of a tap, found another")
        return slot if slot >= 0 else None

    cdef int _drain(self) except -3:
        cdef FrameBlock block
        cdef FrameHeader head
        cdef Py_ssize_t need
        cdef int slot
        while feed_next(&self.lane.feed, MAX_VENUES):
            slot = self.lane.feed.entry.venue_slot
            block = <FrameBlock>self.blocks[slot]
            need = FRAME_HEADER_BYTES + self.lane.feed.entry.frame_bytes
            if block.size > 0 and block.size + need > self.block_bytes:
                return slot
            if not block._reserve(need):
                return -2
            head.ts_recv_ns = self.lane.feed.entry.ts_recv_ns
            head.frame_bytes = self.lane.feed.entry.frame_bytes
            head.instrument = self.lane.feed.entry.instrument
            head.connection = self.lane.feed.entry.connection
            head.flags = FRAME_REST if self.lane.feed.entry.flags & TAP_REST else 0
            head.reserved = 0
            memcpy(block.data + block.size, &head, FRAME_HEADER_BYTES)
            if head.frame_bytes < COPIED_BYTES:
                memcpy(block.data + block.size + FRAME_HEADER_BYTES, self.lane.feed.frame, head.frame_bytes)
            else:
                with nogil:                # a snapshot of megabytes: the sockets' thread need not wait for it
                    memcpy(block.data + block.size + FRAME_HEADER_BYTES, self.lane.feed.frame, head.frame_bytes)
            block.size += need
            # A REST body may have been stamped before the frames that were taken in before it.
            if block.frame_count == 0 or head.ts_recv_ns < block.first_ts_ns:
                block.first_ts_ns = head.ts_recv_ns
            if block.frame_count == 0 or head.ts_recv_ns > block.last_ts_ns:
                block.last_ts_ns = head.ts_recv_ns
            block.frame_count += 1
            feed_release(&self.lane.feed)
        return -1
