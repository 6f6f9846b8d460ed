# What is open: counts by account and instrument, an account's list of its orders, what falls due, and how an order leaves. Hot;
# part of core.pyx.
#
# An account's list holds ids in order of arrival and is put in order only when it is read or full: an order that ends costs it
# nothing. The heap of due times likewise keeps the ids of orders that have ended otherwise until they come up or it is full.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport realloc

from tickpath.sim.core cimport (
    SIM_KIND_SPOT, SIM_STATUS_PARTIALLY_FILLED, SimAccount, SimDue, SimExchange, SimHolding, SimInstrument,
)
from tickpath.sim.order_queues cimport (
    SIM_FLAG_EXTRA, SIM_FLAG_WAITING, SIM_INDEX_MASK, SIM_NONE, SimOrder, SimOrderExtra, extra_free, order_free, queue_join,
    queue_leave,
)
from tickpath.sim.spot_funds cimport (
    spot_release,
)
from tickpath.sim.triggers cimport (
    triggers_forget,
)
from tickpath.sim.events cimport (
    SIDE_ASKS, SIDE_BIDS, order_event, publish_level,
)
from tickpath.types cimport SIDE_BUY, likely, unlikely

cdef inline SimHolding* holding_of(SimExchange* x, const SimOrder* o) noexcept nogil:
    return &x.holdings[<int64_t>o.account * x.instrument_stride + o.instrument]

cdef inline SimOrderExtra* extra_of(SimExchange* x, const SimOrder* o) noexcept nogil:
    return &x.pool.extras[o.extra]

cdef inline int64_t compact_ids(SimExchange* x, uint32_t account) noexcept nogil:
    cdef SimAccount* a = &x.accounts[account]
    cdef int64_t k, kept = 0
    cdef SimOrder* o
    for k in range(a.order_id_count):
        o = &x.pool.orders[a.order_ids[k] & SIM_INDEX_MASK]
        if o.order_id == a.order_ids[k] and o.status <= SIM_STATUS_PARTIALLY_FILLED:
            a.order_ids[kept] = a.order_ids[k]
            kept += 1
    a.order_id_count = kept
    return kept

cdef inline bint note_id(SimExchange* x, SimAccount* a, const SimOrder* o) noexcept nogil:
    cdef uint64_t* grown
    cdef int64_t capacity
    if unlikely(a.order_id_count >= a.order_id_capacity):
        if a.open_orders * 2 < a.order_id_count:
            compact_ids(x, o.account)
        if a.order_id_count * 2 >= a.order_id_capacity:
            capacity = a.order_id_capacity * 2 + 128
            grown = <uint64_t*>realloc(a.order_ids, capacity * sizeof(uint64_t))
            if grown == NULL:
                return a.order_id_count < a.order_id_capacity
            a.order_ids = grown
            a.order_id_capacity = capacity
    a.order_ids[a.order_id_count] = o.order_id
    a.order_id_count += 1
    return True

# An order comes to rest or to wait; it stays alive after the request.
cdef inline void count_open(SimExchange* x, SimOrder* o, int sign) noexcept nogil:
    cdef SimHolding* h = holding_of(x, o)
    h.open_orders += sign
    x.accounts[o.account].open_orders += sign
    if o.side == SIDE_BUY:
        h.open_buy_lots += sign * o.leaves_lots
    else:
        h.open_sell_lots += sign * o.leaves_lots
    if unlikely((o.flags & (SIM_FLAG_EXTRA | SIM_FLAG_WAITING)) != 0):
        if o.flags & SIM_FLAG_WAITING:
            h.algo_orders += sign
        if o.flags & SIM_FLAG_EXTRA and extra_of(x, o).iceberg_lots != 0:
            h.iceberg_orders += sign

cdef inline void count_less(SimExchange* x, SimOrder* o, int64_t lots) noexcept nogil:
    cdef SimHolding* h = holding_of(x, o)
    if o.side == SIDE_BUY:
        h.open_buy_lots -= lots
    else:
        h.open_sell_lots -= lots

cdef inline void due_sink(SimDue* heap, int64_t count, int64_t at) noexcept nogil:
    cdef SimDue moving = heap[at]
    cdef int64_t child
    while True:
        child = 2 * at + 1
        if child >= count:
            break
        if child + 1 < count and is_earlier(&heap[child + 1], &heap[child]):
            child += 1
        if not is_earlier(&heap[child], &moving):
            break
        heap[at] = heap[child]
        at = child
    heap[at] = moving

cdef inline bint is_earlier(const SimDue* a, const SimDue* b) noexcept nogil:
    return a.due_ns < b.due_ns or (a.due_ns == b.due_ns and a.order_id < b.order_id)

cdef inline bint is_due_alive(SimExchange* x, const SimDue* d) noexcept nogil:
    cdef SimOrder* o = &x.pool.orders[d.order_id & SIM_INDEX_MASK]
    return o.order_id == d.order_id and o.status <= SIM_STATUS_PARTIALLY_FILLED

cdef inline bint due_add(SimExchange* x, const SimOrder* o, int64_t due_ns) noexcept nogil:
    cdef SimDue* grown
    cdef SimDue d
    cdef int64_t k, kept = 0, at, parent
    if x.due_count == x.due_capacity:
        # Those that have ended otherwise go first: a client that places and cancels all day must not fill the memory.
        for k in range(x.due_count):
            if is_due_alive(x, &x.due[k]):
                x.due[kept] = x.due[k]
                kept += 1
        x.due_count = kept
        k = kept // 2 - 1
        while k >= 0:
            due_sink(x.due, kept, k)
            k -= 1
        if kept * 2 >= x.due_capacity:
            grown = <SimDue*>realloc(x.due, (x.due_capacity * 2 + 64) * sizeof(SimDue))
            if grown == NULL:
                return x.due_count < x.due_capacity
            x.due = grown
            x.due_capacity = x.due_capacity * 2 + 64
    d.due_ns = due_ns
    d.order_id = o.order_id
    at = x.due_count
    x.due_count += 1
    while at > 0:
        parent = (at - 1) // 2
        if not is_earlier(&d, &x.due[parent]):
            break
        x.due[at] = x.due[parent]
        at = parent
    x.due[at] = d
    return True

cdef inline void due_pop(SimExchange* x) noexcept nogil:
    x.due_count -= 1
    if x.due_count > 0:
        x.due[0] = x.due[x.due_count]
        due_sink(x.due, x.due_count, 0)

# ---- the end of an order. It is in no queue and counted nowhere any more.
cdef inline void bury(SimExchange* x, SimOrder* o) noexcept nogil:
    if unlikely(o.flags & SIM_FLAG_EXTRA):
        extra_free(&x.pool, o.extra)
        o.flags &= ~SIM_FLAG_EXTRA
    order_free(&x.pool, o)

cdef inline void leave_book(SimExchange* x, SimInstrument* i, SimOrder* o) noexcept nogil:
    if unlikely(i.recorded != NULL) and i.recorded.on_leave != NULL:
        i.recorded.on_leave(i.recorded.market, o)
    queue_leave(&x.pool, &i.book[SIDE_BIDS if o.side == SIDE_BUY else SIDE_ASKS], o)

cdef inline void join_book(SimExchange* x, SimInstrument* i, SimOrder* o) noexcept nogil:
    queue_join(&x.pool, &i.book[SIDE_BIDS if o.side == SIDE_BUY else SIDE_ASKS], o, o.price_ticks)
    if unlikely(i.recorded != NULL) and i.recorded.on_rest != NULL:
        i.recorded.on_rest(i.recorded.market, o)

cdef inline void funds_release(SimExchange* x, SimInstrument* i, SimOrder* o, int64_t lots) noexcept nogil:
    if likely(i.kind == SIM_KIND_SPOT):
        spot_release(x, i, o, lots)
    elif x.perpetual != NULL:
        x.perpetual.release(x, o, lots)

# Take a live order off the book, or out of waiting, with all that hangs on it.
cdef inline void take_off(SimExchange* x, SimOrder* o, int kind, int status, int reason) noexcept nogil:
    cdef SimInstrument* i = &x.instruments[o.instrument]
    cdef int64_t price_ticks = o.price_ticks
    cdef bint waiting = (o.flags & SIM_FLAG_WAITING) != 0
    if unlikely(waiting):
        triggers_forget(x, i, o)
    elif likely(o.level != SIM_NONE):
        leave_book(x, i, o)
    count_open(x, o, -1)
    funds_release(x, i, o, o.leaves_lots)
    o.status = <uint8_t>status
    o.updated_ns = x.now_ns
    order_event(x, kind, o, o.leaves_lots, reason)
    if unlikely(x.publish) and not waiting:
        publish_level(x, o.instrument, SIDE_BIDS if o.side == SIDE_BUY else SIDE_ASKS, price_ticks)
    bury(x, o)
