# The event ring: one writer, any number of readers that the writer never waits for. Hot.
#
# Writer: the engine (tickpathd), one thread. Readers: journal, taps, admin; they map it read-only.
# When it is full: the oldest slot is overwritten. A reader that was lapped learns exactly how many slots it missed
# and never sees a torn one. The protocol, with what each access pairs with, is ring.h.
#
# A segment is: 128-byte segment header, padding to RING_HEADER_BYTES with `head` at RING_HEAD_OFFSET and `first` (the
# sequence this ring began with, 1 unless told) at RING_FIRST_OFFSET, then a power-of-two number of 64-byte slots. The
# slot of sequence s is slots[s & mask]. Sequences are unsigned and begin at 1; a slot's 0 says that nothing is there.
from libc.stdint cimport uint64_t

from tickpath.types cimport Slot

cdef enum: RING_HEADER_BYTES = 4096
cdef enum: RING_HEAD_OFFSET = 128
cdef enum: RING_FIRST_OFFSET = 192

cdef extern from "ring.h" nogil:
    ctypedef struct RingSlot:
        uint64_t seq
    ctypedef struct RingWriter:
        RingSlot* slots
        uint64_t* head                # shared; last sequence of a finished input
        uint64_t mask                 # slot_count - 1
        uint64_t next_seq             # of the slot to be written next
    ctypedef struct RingReader:
        const RingSlot* slots
        const uint64_t* head
        uint64_t mask
        uint64_t next_seq             # of the slot to be read next
        uint64_t missed_slots         # lost to laps, exact
    # ---- hot, writer. A source is Slot*; its seq field is not looked at.
    uint64_t ring_publish(RingWriter* w, const void* source) noexcept
    uint64_t ring_publish_slots(RingWriter* w, const void* source, long count) noexcept
    void ring_commit(RingWriter* w) noexcept
    void ring_prefetch(const RingWriter* w) noexcept
    # ---- readers
    long ring_read(RingReader* r, void* out, long max_slots) noexcept

# ---- cold
cdef class EventWriter:
    cdef RingWriter ring
    cdef object _buffer           # keeps the memory alive

cdef class EventReader:
    cdef RingReader ring
    cdef const uint64_t* first    # shared; a sequence below it was never in this ring
    cdef long _read(self, void* out, long max_slots) noexcept nogil
    cdef object _buffer
    cdef object _segment
    cdef object _scratch
    cdef Slot* _scratch_slots
    cdef long _scratch_count
