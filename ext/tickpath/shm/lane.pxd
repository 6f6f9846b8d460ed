# A command lane: one client writes commands, the engine takes them, between frames. Single producer, single consumer.
#
# Writer: the one client that holds the lane's lock. Reader: the engine, which made the segment and keeps the client's role
# and its own count in private memory. When it is full: the client is refused. The protocol is lane.h.
#
# A segment is: 128-byte segment header, `taken` (of the last command the engine took) at 128, the lane's index at 192 and
# its role at 256 (for the client to read; the engine never looks at them again), then at LANE_HEADER_BYTES a power-of-two
# number of 64-byte slots: a sequence from 1, then a LaneCommand.
from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t

cdef enum: LANE_HEADER_BYTES = 4096

cdef extern from "lane.h" nogil:
    ctypedef struct LaneSlot:
        uint64_t seq
    ctypedef struct LaneWriter:
        LaneSlot* slots
        const uint64_t* taken
        uint64_t mask
        uint64_t next_seq
    ctypedef struct LaneReader:
        const LaneSlot* slots
        uint64_t* taken
        uint64_t mask
        uint64_t next_seq
    bint lane_try_push(LaneWriter* w, const uint64_t* words) noexcept
    bint lane_try_take(LaneReader* r, uint64_t* words) noexcept

cdef struct LaneCommand:              # 56 bytes; the client's, so nothing of it is trusted
    uint64_t request_id               # rising; chosen by the client
    uint16_t kind                     # CommandKind
    uint16_t reserved
    uint32_t instrument
    int64_t value
    int64_t detail
    uint64_t seen_seq                 # last event the client had read when it asked, 0 = none
    int64_t price_ticks
    int64_t qty_lots

# ---- the engine's end
cdef class CommandLane:
    cdef LaneReader lane
    cdef readonly int index
    cdef readonly int role
    cdef readonly str name
    cdef int guard                    # see bus_guard.h
    cdef object _buffer

# Write `taken`, index and role again where the client has overwritten them. Hot enough for once a turn.
cdef void lane_repair(LaneReader* r, uint64_t index, uint64_t role) noexcept nogil
# Whether the client took away the memory that CommandLane.guard stands for.
cdef bint lane_is_broken(int guard) noexcept nogil

# ---- the client's end
cdef class CommandClient:
    cdef LaneWriter lane
    cdef readonly str instance
    cdef readonly str name
    cdef readonly int index
    cdef readonly int role
    cdef object _segment
    cdef object _lock
    cdef object _events
    cdef dict _answers
    cdef uint64_t _next_request_id
