# Orders that wait until their intent is on the disk (durability = disk). A gateway in front of the real one; the engine's
# thread; used between frames, allocates nothing once made.
#
# Only orders wait: a cancel adds no exposure and leaves at once. The cancel of an order that still waits never leaves, and
# neither does the order. An order that waited longer than max_hold_ns is given up. Both come back to the engine as reports
# of our own, which are journaled like the venue's.
#
# Where the data waits for the disk (a capture as fast as it goes) time stands still meanwhile, and cancels wait in their
# turn too: then orders and cancels leave in the order and at the times of durability = process.
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

from tickpath.engine cimport Gateway
from tickpath.market.grid_change cimport GridChange
from tickpath.trading.orders cimport Order
from tickpath.types cimport ExecReport
from tickpath.venues.binance_encode cimport EncodeBuffer

cdef enum: OUTBOX_SLOTS = 4096        # power of two, above the most orders that can be open

cdef struct HeldRequest:
    uint64_t needs_seq                # of its intent's last slot
    int64_t held_mono_ns
    int32_t withdrawn                 # cancelled before it left
    int32_t is_cancel
    Order order
    EncodeBuffer buffer

cdef struct Outbox:
    Gateway inner
    const uint64_t* ring_next_seq     # the writer's, in its own memory
    int64_t mono_ns                   # of this turn
    int64_t max_hold_ns
    int32_t holds_cancels
    uint64_t head
    uint64_t tail
    HeldRequest* items

cdef Outbox* outbox_new(Gateway inner, const uint64_t* ring_next_seq, int64_t max_hold_ns,
                        bint holds_cancels) noexcept nogil
cdef void outbox_free(Outbox* b) noexcept nogil
# The gateway's function.
cdef void outbox_send(void* self, const Order* o, bint is_cancel, EncodeBuffer* buffer, int64_t now_ns) noexcept nogil
# Send what the disk has; False when done, True with a report of an order that will never be sent.
cdef bint outbox_release(Outbox* b, uint64_t synced_seq, int64_t now_ns, ExecReport* report) noexcept nogil

# The gateway's other function: orders that wait are moved to the new grid; the engine withdraws those that it does not have.
cdef void outbox_regrid(void* self, uint32_t instrument, const GridChange* change, int64_t now_ns) noexcept nogil

cdef inline uint64_t outbox_held(const Outbox* b) noexcept nogil:
    return b.tail - b.head
