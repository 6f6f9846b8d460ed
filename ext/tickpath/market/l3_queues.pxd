# Orders by key and their queues by price: what stands under the order-by-order book (l3_book.pxd), which alone writes it. Hot;
# owned by the engine's thread.
#
# An order is found by its 128-bit key in an open-addressing index; the queue of a price is a doubly linked list of indices into
# the array of orders, in the order in which they came; prices have an index of their own. Everything is allocated once. There
# are as many levels as orders, so that an order that has found room always finds a level.
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

from tickpath.market.checksum cimport CrcPart

cdef enum: L3_NONE = -1                   # no order, no level
cdef enum: L3_ORDERS_MAX = 1 << 28        # indices of twice as many places fit int32

cdef struct L3Order:
    uint64_t key_high
    uint64_t key_low
    int64_t qty_lots
    int32_t level                         # index of its price
    int32_t ahead                         # order in front of it in the queue, L3_NONE = it is the first
    int32_t behind                        # of a free one: the next free one
    uint32_t mark                         # hash of the key
    CrcPart part                          # of the checksum's text; 0 bytes = not made since it last changed

cdef struct L3Level:
    int64_t price_ticks
    int64_t qty_lots                      # of all its orders
    int32_t front
    int32_t back                          # of a free one: the next free one
    int32_t order_count
    int32_t side                          # SIDE_BIDS, SIDE_ASKS; L3_NONE = free

cdef struct L3Place:
    uint32_t mark                         # the key's hash: most other keys are told apart without reading their order
    int32_t order                         # L3_NONE = empty

cdef struct L3Queues:
    L3Order* orders
    L3Level* levels
    L3Place* places                       # by key, linear probing
    int32_t* level_places                 # by price and side, L3_NONE = empty
    uint32_t place_mask                   # twice the capacity, power of two, less 1; of both indices
    int32_t order_capacity
    int32_t order_count
    int32_t free_order
    int32_t free_level

# ---- hot. Index of an order, or of a price, or L3_NONE.
cdef int32_t queues_find(const L3Queues* q, uint64_t key_high, uint64_t key_low) noexcept nogil
cdef int32_t queues_find_level(const L3Queues* q, int side, int64_t price_ticks) noexcept nogil
# A new order at the back of its price's queue: its index, or L3_NONE when there is no room. The key must be new.
cdef int32_t queues_add(L3Queues* q, uint64_t key_high, uint64_t key_low, int side, int64_t price_ticks,
                        int64_t qty_lots) noexcept nogil
# Takes an order out. Its level stays, even if it is empty now, until queues_close_level.
cdef void queues_remove(L3Queues* q, int32_t order) noexcept nogil
# Another quantity in the same place.
cdef void queues_set_qty(L3Queues* q, int32_t order, int64_t qty_lots) noexcept nogil
# To the back of the queue of another price or of its own, with this quantity. When the order leaves its level empty, that one
# must have been closed before a new price is opened: queues_leave, then queues_close_level, then queues_join.
cdef void queues_leave(L3Queues* q, int32_t order) noexcept nogil
cdef void queues_join(L3Queues* q, int32_t order, int side, int64_t price_ticks, int64_t qty_lots) noexcept nogil
cdef void queues_close_level(L3Queues* q, int32_t level) noexcept nogil
# Lots in front of an order. Walks the queue forward from the order.
cdef int64_t queues_ahead(const L3Queues* q, int32_t order) noexcept nogil

# ---- cold
# 0, or -1 when memory is short. order_capacity: a power of two up to L3_ORDERS_MAX.
cdef int queues_init(L3Queues* q, int32_t order_capacity) noexcept nogil
cdef void queues_clear(L3Queues* q) noexcept nogil
cdef void queues_free(L3Queues* q) noexcept nogil
