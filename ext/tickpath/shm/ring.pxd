# The event ring: one writer, any number of readers that the writer never waits for. Hot.
#
# Writer: the engine (tickpathd), one thread. Readers: journal, taps, admin; they map it read-only.
# When it is full: the oldest slot is overwritten. A reader that was lapped learns exactly how many slots it missed
# and never sees a torn one.
#
# A segment is: 128-byte segment header, padding to RING_HEADER_BYTES with `head` at RING_HEAD_OFFSET and `first` (the
# sequence this ring began with, 1 unless told) at RING_FIRST_OFFSET, then a power-of-two number of 64-byte slots. The
# slot of sequence s is slots[s & mask].
#
# The protocol of one slot, and what each access pairs with:
#   W1 store 0 to slot.seq (relaxed), W2 release fence, W3 payload stores (relaxed), W4 store s to slot.seq (release)
#   R1 load slot.seq (acquire), R2 payload loads (relaxed), R3 acquire fence, R4 load slot.seq (relaxed)
#   R1 reads W4's s: everything of W3 is visible to R2 (release/acquire on slot.seq).
#   R2 reads a later lap's W3: by W2 -> R3 the reader's R4 then sees that lap's W1 or W4, not s, and drops the copy.
#   H1 store head (release) after the last slot of an input; H2 load head (acquire): a reader that is told `head` finds
#   every slot up to it (until it is lapped), and `first`, which is stored once, before the first H1.
from libc.stdint cimport int64_t, uint64_t

from tickpath.shm.atomics cimport copy_to_shared, fence_release, store_relaxed_u64, store_release_u64
from tickpath.types cimport Slot

cdef enum: RING_HEADER_BYTES = 4096
cdef enum: RING_HEAD_OFFSET = 128
cdef enum: RING_FIRST_OFFSET = 192

cdef struct RingWriter:
    Slot* slots
    uint64_t* head                # shared; last sequence of a finished input
    uint64_t mask                 # slot_count - 1
    uint64_t next_seq             # of the slot to be written next

cdef struct RingReader:
    const Slot* slots
    const uint64_t* head
    const uint64_t* first         # shared; a sequence below it was never in this ring
    uint64_t mask
    uint64_t next_seq             # of the slot to be read next
    uint64_t missed_slots         # lost to laps, exact

# ---- hot, writer
# Publish one slot; its seq field is set here. Returns the sequence.
cdef inline uint64_t ring_publish(RingWriter* w, const Slot* source) noexcept nogil:
    cdef uint64_t seq = w.next_seq
    cdef Slot* slot = w.slots + (seq & w.mask)
    store_relaxed_u64(&slot.seq, 0)                                            # W1, see R4
    fence_release()                                                            # W2, see R3
    copy_to_shared(<uint64_t*>slot + 1, <const uint64_t*>source + 1, 7)        # W3
    store_release_u64(&slot.seq, seq)                                          # W4, see R1
    w.next_seq = seq + 1
    return seq

# Publish `count` consecutive slots; returns the sequence of the first.
cdef inline uint64_t ring_publish_slots(RingWriter* w, const Slot* source, long count) noexcept nogil:
    cdef uint64_t first = w.next_seq
    cdef long i
    for i in range(count):
        ring_publish(w, source + i)
    return first

# Tell readers that everything so far belongs to finished inputs.
cdef inline void ring_commit(RingWriter* w) noexcept nogil:
    store_release_u64(w.head, w.next_seq - 1)                                  # H1, see H2

# ---- readers
# Copy up to max_slots consecutive slots to out; returns how many. Never returns part of a slot; what a lap cost is added
# to missed_slots and reading goes on with the oldest slot that is safe.
cdef long ring_read(RingReader* r, Slot* out, long max_slots) noexcept nogil

# ---- cold
cdef class EventWriter:
    cdef RingWriter ring
    cdef object _buffer           # keeps the memory alive

cdef class EventReader:
    cdef RingReader ring
    cdef object _buffer
    cdef object _segment
    cdef object _scratch
    cdef Slot* _scratch_slots
    cdef long _scratch_count
