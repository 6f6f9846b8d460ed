# The feed lane: raw frames from one feeder process to the engine, single producer, single consumer. Hot on the
# consumer's side.
#
# Writer: a feeder (capture player; later a venue worker). Reader: the engine. When it is full the feeder waits.
#
# A segment is: 128-byte segment header, `written` (bytes ever written) at 128, `read` at 192, `state` at 256, then at
# FEED_HEADER_BYTES a byte ring whose size is a power of two, with FEED_PADDING readable bytes behind it. An entry is a
# 32-byte FeedEntry and the frame's bytes, rounded up to 32, never split at the ring's end: a filler entry skips there.
#
#   F1 the feeder stores `written` (release) after the entry's bytes; F2 the engine loads it (acquire): entry visible.
# A length in an entry is checked before it is used: a feeder that writes nonsense stops its own feed, not the engine.
#   F3 the engine stores `read` (release) after it is done with the bytes; F4 the feeder loads it (acquire) before reuse.
from libc.stdint cimport int32_t, int64_t, uint16_t, uint32_t, uint64_t

cdef enum: FEED_HEADER_BYTES = 4096
cdef enum: FEED_PADDING = 4096
cdef enum: FEED_ENTRY_BYTES = 32
cdef enum: FEED_FILLER = 1            # FeedEntry.flags: no frame, skip
cdef enum: FEED_END = 2               # FeedEntry.flags: the feed is over, no bytes
cdef enum: FEED_GRID = 4              # FeedEntry.flags: no frame, but a GridEvent: an instrument's grid from now on
cdef enum: FEED_RECORD = 8            # FeedEntry.flags: the bytes are one input record (types.pxd), made by the gateway

cdef struct FeedEntry:
    uint64_t entry_bytes              # with header and padding
    int64_t ts_recv_ns
    uint32_t frame_bytes
    uint32_t flags
    uint32_t instrument               # of a REST body that does not name it, else INSTRUMENT_NONE
    uint16_t venue_slot               # which of our venues, and which of its connections
    uint16_t connection

cdef struct FeedReader:
    const char* data
    const uint64_t* written
    uint64_t* read
    uint64_t mask
    uint64_t position                 # bytes read so far
    uint64_t known_written
    int32_t broken                    # an entry that no feeder of ours writes: nothing is read any more
    FeedEntry entry                   # the one at hand, copied and checked
    const char* frame                 # its bytes, in the lane

# The next entry in r.entry and its bytes at r.frame, which stay until feed_release; False when there is none. An entry of a
# venue we do not have is one that no feeder of ours writes.
cdef bint feed_next(FeedReader* r, int32_t venue_count) noexcept nogil
cdef void feed_release(FeedReader* r) noexcept nogil

cdef class FeedLaneReader:
    cdef FeedReader feed
    cdef object _buffer

cdef class FeedLaneWriter:
    cdef char* data
    cdef uint64_t* written
    cdef const uint64_t* read
    cdef uint64_t mask
    cdef uint64_t position
    cdef object _buffer
    cdef bint _append(self, const char* frame, Py_ssize_t size, int64_t ts_recv_ns, uint32_t instrument,
                      uint32_t flags, uint16_t venue_slot, uint16_t connection) except -1
