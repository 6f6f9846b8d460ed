# Raw frames for the recorder: copied where they are received, compressed and written by another thread. Not in the engine's
# process; warm.
#
# FrameTap is owned by the thread of the sockets and never waits: a frame for which the lane has no room is counted and left out.
# FrameDrain is owned by the thread that writes; between them stands a feed lane in private memory (shm/feed_lane.pxd).
from libc.stdint cimport int64_t, uint32_t, uint64_t

from tickpath.shm.feed_lane cimport FeedLaneReader, FeedLaneWriter, FeedReader
from tickpath.venues.batch cimport FrameView

cdef enum: TAP_REST = 4               # FeedEntry.flags, beside FEED_FILLER and FEED_END: a REST body, from the gateway

cdef class FrameTap:
    cdef FeedLaneWriter lane
    cdef int64_t max_frame_bytes
    cdef uint64_t frames[16]          # MAX_VENUES, by venue slot: received …
    cdef uint64_t dropped[16]         # … and of them left out, the lane being full or the frame too large
    cdef uint64_t frames_bytes[16]    # of those received
    # A copy of the frame for the writer.
    cdef void take(self, const FrameView* view) noexcept
    cdef void _take(self, const FrameView* view, uint32_t flags) noexcept

cdef class RestTap:
    cdef FeedLaneReader lane
    cdef FrameTap tap
    cdef FeedReader seen              # the lane's reader as it stood at the last look
    cdef uint64_t unused_read         # what `seen` releases to: the session alone tells the gateway

cdef class FrameBlock:
    cdef char* data
    cdef readonly Py_ssize_t size
    cdef Py_ssize_t capacity
    cdef readonly uint32_t frame_count
    cdef readonly int64_t first_ts_ns
    cdef readonly int64_t last_ts_ns
    cdef bint _reserve(self, Py_ssize_t room) noexcept nogil

cdef class FrameDrain:
    cdef FeedLaneReader lane
    cdef readonly list blocks         # FrameBlock by venue slot
    cdef Py_ssize_t block_bytes
    cdef int _drain(self) except -3
