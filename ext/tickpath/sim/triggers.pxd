# Stop, take-profit and trailing orders that wait for a price. Hot where prices change; called by core.pyx alone.
#
# One with a fixed stop stands in a ladder by its stop price, so a trade price that reaches nothing costs two comparisons. One
# whose stop follows the price stands in a list of its instrument, which is looked through when the price changes.
#
# What a price has reached is put in the exchange's queue of fired orders, those of one price in order of their ids, and they are
# carried out one after the other when the request at work is done: an order that has fired stays fired, even if the one
# before it moves the price away again.
#
# Trailing (github.com/binance/binance-spot-api-docs, faqs/trailing-stop-faq.md, seen 2026-11): a buy order fires on a rise from
# the lowest price, a sell order on a fall from the highest, of either type. It is active from the start, or, with an activation
# price, from the first price that has reached it: coming from below for a stop to buy and a take-profit to sell, from above for
# the other two; that price is the first extreme. It fires when price x 10000 >= lowest x (10000 + bips), or <= highest x (10000
# - bips).
from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.stdlib cimport qsort, realloc

from tickpath.sim.core cimport SIM_ORDER_STOP_LIMIT, SimExchange, SimInstrument
from tickpath.sim.order_queues cimport (
    SIM_FLAG_WORKING_MARK, SIM_NONE, SimLadder, SimOrder, SimOrderExtra, level_at, order_index, queue_join, queue_leave,
)
from tickpath.types cimport PRICE_TICKS_NONE, SIDE_BUY

# True: it waits for a rise to its stop (a stop to buy, a take-profit to sell).
cdef inline bint waits_for_rise(int side, int order_type) noexcept nogil:
    return (side == SIDE_BUY) == (order_type <= SIM_ORDER_STOP_LIMIT)

cdef inline SimLadder* stop_ladder(SimInstrument* i, const SimOrder* o) noexcept nogil:
    return &i.stops[(2 if o.flags & SIM_FLAG_WORKING_MARK else 0) + (0 if waits_for_rise(o.side, o.order_type) else 1)]

cdef inline int64_t trigger_price(const SimInstrument* i, int flags) noexcept nogil:
    return i.mark_ticks if flags & SIM_FLAG_WORKING_MARK else i.last_ticks

# The price has been seen: is a trailing order to fire?
cdef inline bint trail(const SimOrder* o, SimOrderExtra* e, int64_t price_ticks) noexcept nogil:
    if e.extreme_ticks == PRICE_TICKS_NONE:
        if e.activation_ticks != 0 and (price_ticks < e.activation_ticks if waits_for_rise(o.side, o.order_type)
                                        else price_ticks > e.activation_ticks):
            return False
        e.extreme_ticks = price_ticks
    if o.side == SIDE_BUY:
        if price_ticks < e.extreme_ticks:
            e.extreme_ticks = price_ticks
        return price_ticks * 10000 >= e.extreme_ticks * (10000 + e.trailing_bips)
    if price_ticks > e.extreme_ticks:
        e.extreme_ticks = price_ticks
    return price_ticks * 10000 <= e.extreme_ticks * (10000 - e.trailing_bips)

# False: memory is short.
cdef inline bint triggers_wait(SimExchange* x, SimInstrument* i, SimOrder* o) noexcept nogil:
    cdef SimOrderExtra* e = &x.pool.extras[o.extra]
    cdef int32_t* grown
    if e.trailing_bips == 0:
        queue_join(&x.pool, stop_ladder(i, o), o, e.stop_ticks)
        return True
    if i.trailing_count == i.trailing_capacity:
        grown = <int32_t*>realloc(i.trailing, (i.trailing_capacity * 2 + 64) * sizeof(int32_t))
        if grown == NULL:
            return False
        i.trailing = grown
        i.trailing_capacity = i.trailing_capacity * 2 + 64
    e.trail_place = i.trailing_count
    i.trailing[i.trailing_count] = order_index(o)
    i.trailing_count += 1
    return True

cdef inline void triggers_forget(SimExchange* x, SimInstrument* i, SimOrder* o) noexcept nogil:
    cdef SimOrderExtra* e = &x.pool.extras[o.extra]
    cdef int32_t last
    if o.level != SIM_NONE:
        queue_leave(&x.pool, stop_ladder(i, o), o)
    elif e.trailing_bips != 0 and e.trail_place != SIM_NONE:
        i.trailing_count -= 1
        last = i.trailing[i.trailing_count]
        i.trailing[e.trail_place] = last
        x.pool.extras[x.pool.orders[last].extra].trail_place = e.trail_place
        e.trail_place = SIM_NONE

cdef inline void fire(SimExchange* x, SimInstrument* i, SimOrder* o) noexcept nogil:
    cdef uint64_t* grown
    triggers_forget(x, i, o)
    if x.fired_tail == x.fired_capacity:
        grown = <uint64_t*>realloc(x.fired, (x.fired_capacity * 2 + 64) * sizeof(uint64_t))
        if grown == NULL:
            x.lost_events += 1
            return
        x.fired = grown
        x.fired_capacity = x.fired_capacity * 2 + 64
    x.fired[x.fired_tail] = o.order_id
    x.fired_tail += 1

cdef inline int older(const void* a, const void* b) noexcept nogil:
    cdef uint64_t u = (<const uint64_t*>a)[0], v = (<const uint64_t*>b)[0]
    return (u > v) - (u < v)

# A new last price (base 0) or mark price (base 2) of an instrument.
cdef inline void triggers_on_price(SimExchange* x, SimInstrument* i, int base, int64_t price_ticks) noexcept nogil:
    cdef int64_t first = x.fired_tail, a, b, place
    cdef SimLadder* up = &i.stops[base]
    cdef SimLadder* down = &i.stops[base + 1]
    cdef SimOrder* o
    cdef uint64_t id
    while up.best_ticks != PRICE_TICKS_NONE and up.best_ticks <= price_ticks:
        fire(x, i, &x.pool.orders[level_at(&x.pool, up.best_level).front])
    while down.best_ticks != PRICE_TICKS_NONE and down.best_ticks >= price_ticks:
        fire(x, i, &x.pool.orders[level_at(&x.pool, down.best_level).front])
    place = i.trailing_count - 1
    while place >= 0:
        o = &x.pool.orders[i.trailing[place]]
        # Taking one out moves the list's last order to its place: that one has been looked at already.
        if ((o.flags & SIM_FLAG_WORKING_MARK) != 0) == (base == 2) and trail(o, &x.pool.extras[o.extra], price_ticks):
            fire(x, i, o)
        place -= 1
    # In the order of their ids; mostly one or two, and a queue of one price is in order already.
    if x.fired_tail - first > 32:
        qsort(&x.fired[first], x.fired_tail - first, sizeof(uint64_t), older)
        return
    a = first + 1
    while a < x.fired_tail:
        id = x.fired[a]
        b = a - 1
        while b >= first and x.fired[b] > id:
            x.fired[b + 1] = x.fired[b]
            b -= 1
        x.fired[b + 1] = id
        a += 1
