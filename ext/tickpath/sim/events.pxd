# What the exchange tells: an array that grows until it is drained. Hot; part of core.pyx.
#
# A request's events stand in the order in which things happened: NEW, then match by match TRADE of the taker and TRADE of the
# maker (and PUBLIC_TRADE), PREVENTED where self-trade prevention steps in, at last EXPIRED of a rest that may not stay, and
# then all that the trade prices have set off.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport realloc

from tickpath.sim.core cimport (
    SIM_EVENT_LEVEL, SIM_EVENT_PUBLIC_TRADE, SIM_EVENT_TRADE, SIM_REASON_OK, SimEvent, SimExchange,
)
from tickpath.sim.order_queues cimport (
    SIM_NONE, SimOrder, level_at, queue_find,
)
from tickpath.types cimport SIDE_BUY, SIDE_SELL, unlikely

cdef enum: SIDE_BIDS = 0
cdef enum: SIDE_ASKS = 1

cdef extern from *:
    """
    #include <string.h>
    #ifdef __AVX__
    #include <immintrin.h>
    #endif
    /* Two cache lines to zero. The compiler's own choice for memset of 128 bytes is `rep stos`, slower than a match. */
    static inline void tp_clear_event(void *p) {
    #ifdef __AVX__
        __m256i zero = _mm256_setzero_si256();
        for (int k = 0; k < 4; k++) _mm256_storeu_si256((__m256i *)p + k, zero);
    #else
        memset(p, 0, 128);
    #endif
    }
    """
    void clear_event "tp_clear_event"(void* p) noexcept nogil

cdef inline SimEvent* grow_events(SimExchange* x) noexcept nogil:
    cdef SimEvent* grown = <SimEvent*>realloc(x.events, x.event_capacity * 2 * sizeof(SimEvent))
    if grown == NULL:
        # The oldest half is lost and counted, rather than that the venue stands still.
        x.lost_events += x.event_count
        x.event_count = 0
        return x.events
    x.events = grown
    x.event_capacity *= 2
    return grown

cdef inline SimEvent* new_event(SimExchange* x, int kind) noexcept nogil:
    cdef SimEvent* e
    if unlikely(x.event_count == x.event_capacity):
        grow_events(x)
    e = &x.events[x.event_count]
    x.event_count += 1
    clear_event(e)
    e.seq = x.next_seq
    x.next_seq += 1
    e.ts_ns = x.now_ns
    e.kind = <uint8_t>kind
    return e

cdef inline SimEvent* order_event(SimExchange* x, int kind, const SimOrder* o, int64_t lots, int reason) noexcept nogil:
    cdef SimEvent* e = new_event(x, kind)
    e.order_id = o.order_id
    e.ref = o.ref
    e.price_ticks = o.price_ticks
    e.qty_lots = lots
    e.cum_lots = o.cum_lots
    e.cum_quote_units = o.cum_quote_units
    e.account = o.account
    e.instrument = o.instrument
    e.side = o.side
    e.status = o.status
    e.reason = <uint8_t>reason
    e.position_side = o.position_side
    return e

# The clients' book at a price, as it is now.
cdef inline void publish_level(SimExchange* x, int instrument, int side, int64_t price_ticks) noexcept nogil:
    cdef SimEvent* e = new_event(x, SIM_EVENT_LEVEL)
    cdef int32_t level = queue_find(&x.pool, &x.instruments[instrument].book[side], price_ticks)
    e.instrument = <uint16_t>instrument
    e.side = SIDE_BUY if side == SIDE_BIDS else SIDE_SELL
    e.price_ticks = price_ticks
    e.qty_lots = 0 if level == SIM_NONE else level_at(&x.pool, level).shown_lots

cdef inline void trade_event(SimExchange* x, const SimOrder* o, uint64_t trade_id, uint64_t counter, int64_t price_ticks,
                             int64_t lots, int64_t notional, int64_t fee, int fee_asset, int64_t pnl,
                             int is_maker) noexcept nogil:
    cdef SimEvent* e = order_event(x, SIM_EVENT_TRADE, o, lots, SIM_REASON_OK)
    e.price_ticks = price_ticks
    e.trade_id = trade_id
    e.counter_order_id = counter
    e.value = notional
    e.fee_units = fee
    e.fee_asset = <uint16_t>fee_asset
    e.pnl_units = pnl
    e.is_maker = <uint8_t>is_maker

cdef inline void publish_trade(SimExchange* x, int instrument, const SimOrder* taker, const SimOrder* maker, int taker_side,
                               uint64_t trade_id, int64_t price_ticks, int64_t lots, int64_t notional) noexcept nogil:
    cdef SimEvent* e = new_event(x, SIM_EVENT_PUBLIC_TRADE)
    cdef uint64_t taker_id = 0 if taker == NULL else taker.order_id
    cdef uint64_t maker_id = 0 if maker == NULL else maker.order_id
    e.instrument = <uint16_t>instrument
    e.order_id = taker_id if taker_side == SIDE_BUY else maker_id
    e.counter_order_id = maker_id if taker_side == SIDE_BUY else taker_id
    e.side = <uint8_t>taker_side
    e.is_maker = taker_side != SIDE_BUY
    e.trade_id = trade_id
    e.price_ticks = price_ticks
    e.qty_lots = lots
    e.value = notional
