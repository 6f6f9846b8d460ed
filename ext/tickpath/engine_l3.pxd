# Books that a venue feeds order by order (L3), inside the engine. Warm; called by engine.pyx and the engine's own modules; only
# instruments that are configured so have one, and its memory is taken when the engine is built.
#
# The totals of the queues are the instrument's ordinary Book, so that top, gate, signals, risk and strategies read it as any
# other; nothing else feeds that Book, and a message by levels for such an instrument is not taken.
from libc.stdint cimport int32_t, uint32_t

from tickpath.engine cimport EngineCore
from tickpath.market.l3_book cimport l3_lose
from tickpath.types cimport EV_ORDER_DELTA, ORDER_DELTA_LAST, Slot

# The connection of such a book is kept with this bit, which no connection has: so a message by levels is always one of another
# connection than the book's, where takes_over refuses it, and the usual path asks nothing.
cdef enum: CONNECTION_OF_ORDERS = 128

# Applies the records of one message (two slots each, `count` slots); True when the book has changed and may be looked at.
# *top_changed: so has its best bid or ask.
cdef bint orders_apply(EngineCore* e, const Slot* records, int32_t count, int32_t* top_changed) noexcept nogil

# Slots of the message that begins with an order record.
cdef inline int32_t orders_message(const Slot* records, int32_t left) noexcept nogil:
    cdef int32_t n = 2
    while not records[n - 2].flags & ORDER_DELTA_LAST and n + 2 <= left and records[n].type == EV_ORDER_DELTA:
        n += 2
    return n

cdef inline void lose_order_book(EngineCore* e, uint32_t instrument) noexcept nogil:
    l3_lose(e.l3[instrument])

# ---- cold
# 0, -1 when memory is short. order_capacity: a power of two.
cdef int order_book_new(EngineCore* e, uint32_t instrument, int32_t order_capacity, int32_t depth) noexcept nogil
cdef void order_books_free(EngineCore* e) noexcept nogil
