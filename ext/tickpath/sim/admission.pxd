# A request becomes an order that has its money, or is refused without a trace. Hot; part of core.pyx.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from tickpath.sim.core cimport (
    SIM_KIND_SPOT, SIM_ORDER_LIMIT_MAKER, SIM_ORDER_MARKET, SIM_REASON_INSUFFICIENT_BALANCE, SIM_REASON_OK,
    SIM_REASON_UNKNOWN_INSTRUMENT, SIM_REASON_WOULD_TAKE, SIM_REASON_WOULD_TRIGGER, SIM_STATUS_CANCELED, SIM_STATUS_NEW,
    SIM_STP_NONE, SIM_TIF_GTD, SimAction, SimExchange, SimInstrument,
)
from tickpath.sim.order_queues cimport (
    SIM_FLAG_EXTRA, SIM_FLAG_LIQUIDATION, SIM_FLAG_POST_ONLY, SIM_FLAG_QUOTE_QTY, SIM_FLAG_WAITING, SIM_INDEX_MASK, SIM_NONE,
    SimLadder, SimLevel, SimOrder, SimOrderExtra, extra_new, level_at,
)
from tickpath.sim.spot_funds cimport (
    balance_of, is_priced, is_stop, notional_fits, notional_of, spot_reserve,
)
from tickpath.sim.triggers cimport (
    trigger_price, waits_for_rise,
)
from tickpath.sim.events cimport SIDE_ASKS, SIDE_BIDS
from tickpath.sim.filters cimport (
    LOTS_MAX, PRICE_MAX, REQUEST_FLAGS, check_filters, check_form, check_position,
)
from tickpath.sim.open_orders cimport (
    bury, extra_of,
)
from tickpath.sim.matching cimport (
    Walk, best_price, is_within, limit_of, walk_book,
)
from tickpath.types cimport PRICE_TICKS_NONE, SIDE_BUY, int128, likely, unlikely

cdef inline bint would_take(SimInstrument* i, int side, int64_t price_ticks) noexcept nogil:
    cdef int64_t p = best_price(i, SIDE_ASKS if side == SIDE_BUY else SIDE_BIDS)
    return p != PRICE_TICKS_NONE and is_within(p, side, price_ticks)

# Does the account have what a market order would cost now?
cdef inline bint can_pay(SimExchange* x, SimInstrument* i, const SimOrder* o) noexcept nogil:
    cdef SimLadder* l = &i.book[SIDE_ASKS]
    cdef SimLevel* v
    cdef int64_t free_units
    cdef Walk w
    if not x.accounts[o.account].checked:
        return True
    if o.side != SIDE_BUY:
        return balance_of(x, o.account, i.base_asset).free >= o.leaves_lots * i.lot_units
    free_units = balance_of(x, o.account, i.quote_asset).free
    if likely(i.recorded == NULL and l.best_ticks != PRICE_TICKS_NONE):
        v = level_at(&x.pool, l.best_level)
        if v.total_lots >= o.leaves_lots and notional_fits(i, l.best_ticks, o.leaves_lots):
            return notional_of(i, l.best_ticks, o.leaves_lots) <= free_units
    walk_book(x, i, SIDE_BUY, PRICE_MAX, o.leaves_lots, 0, o.account, SIM_STP_NONE, &w)
    return w.units <= free_units

# A market order for an amount of quote: how many lots that is, against the book as it stands.
cdef inline int measure(SimExchange* x, SimInstrument* i, SimOrder* o, int64_t quote_units) noexcept nogil:
    cdef Walk w
    cdef bint checked = x.accounts[o.account].checked
    if checked and o.side == SIDE_BUY and i.kind == SIM_KIND_SPOT and balance_of(x, o.account, i.quote_asset).free < quote_units:
        return SIM_REASON_INSUFFICIENT_BALANCE
    walk_book(x, i, o.side, limit_of(o), LOTS_MAX, quote_units, o.account, SIM_STP_NONE, &w)
    if (checked and o.side != SIDE_BUY and i.kind == SIM_KIND_SPOT
            and <int128>w.lots * i.lot_units > balance_of(x, o.account, i.base_asset).free):
        return SIM_REASON_INSUFFICIENT_BALANCE
    o.qty_lots = w.lots
    # Where the book ends before the money does, a lot stays open: the order is not filled.
    o.leaves_lots = w.lots if w.spent and w.lots > 0 else w.lots + 1
    return SIM_REASON_OK

cdef inline void fill_order(SimOrder* o, const SimAction* q) noexcept nogil:
    o.price_ticks = q.price_ticks if is_priced(q.order_type) else 0
    o.leaves_lots = o.shown_lots = o.qty_lots = q.qty_lots
    o.cum_lots = 0
    o.ahead = o.behind = o.level = SIM_NONE
    o.account = q.account
    o.instrument = q.instrument
    o.side = q.side
    o.order_type = q.order_type
    o.time_in_force = q.time_in_force
    o.status = SIM_STATUS_NEW
    o.stp = q.stp
    o.flags = q.flags & <uint8_t>REQUEST_FLAGS
    o.cum_quote_units = 0
    o.ref = q.ref
    o.created_ns = o.updated_ns = q.now_ns
    o.queue_ahead_lots = 0
    o.reserved_units = 0
    o.extra = SIM_NONE
    o.position_side = q.position_side
    o.mark = o.mark2 = o.was_triggered = 0

cdef inline bint needs_extra(const SimAction* q) noexcept nogil:
    return (q.stop_ticks | q.trailing_bips | q.iceberg_lots | q.quote_units) != 0 or q.time_in_force == SIM_TIF_GTD

cdef inline bint fill_extra(SimExchange* x, SimOrder* o, const SimAction* q) noexcept nogil:
    cdef SimOrderExtra* e
    cdef int32_t k = extra_new(&x.pool)
    if k == SIM_NONE:
        return False
    o.extra = k
    o.flags |= SIM_FLAG_EXTRA
    e = extra_of(x, o)
    e.stop_ticks = q.stop_ticks
    e.activation_ticks = q.activation_ticks
    e.extreme_ticks = PRICE_TICKS_NONE
    e.iceberg_lots = q.iceberg_lots if q.iceberg_lots < q.qty_lots else 0
    e.expire_ns = q.expire_ns if q.time_in_force == SIM_TIF_GTD else 0
    e.working_ns = q.now_ns if not is_stop(q.order_type) else 0
    e.quote_units = q.quote_units
    e.trailing_bips = q.trailing_bips
    e.trail_place = SIM_NONE
    if q.quote_units != 0:
        o.flags |= SIM_FLAG_QUOTE_QTY
    return True

# What looks at the market and at the account's money; on OK the order has its money. `o` is filled in.
cdef inline int reserve(SimExchange* x, SimInstrument* i, SimOrder* o, const SimAction* q) noexcept nogil:
    cdef int reason
    cdef int64_t price
    if unlikely((o.flags & SIM_FLAG_POST_ONLY or o.order_type == SIM_ORDER_LIMIT_MAKER)) and would_take(i, o.side, o.price_ticks):
        return SIM_REASON_WOULD_TAKE
    if unlikely(is_stop(o.order_type)):
        price = trigger_price(i, o.flags)
        if price != 0 and q.stop_ticks != 0 and q.trailing_bips == 0:
            if q.stop_ticks <= price if waits_for_rise(o.side, o.order_type) else q.stop_ticks >= price:
                return SIM_REASON_WOULD_TRIGGER
        o.flags |= SIM_FLAG_WAITING
    if unlikely(i.max_position_units | i.max_notional_units):
        reason = check_position(x, q)
        if reason != SIM_REASON_OK:
            return reason
    if unlikely(q.quote_units != 0):
        reason = measure(x, i, o, q.quote_units)
        if reason != SIM_REASON_OK:
            return reason
    if unlikely(i.kind != SIM_KIND_SPOT):
        return SIM_REASON_UNKNOWN_INSTRUMENT if x.perpetual == NULL else x.perpetual.reserve(x, o)
    if unlikely(o.order_type == SIM_ORDER_MARKET) and q.quote_units == 0:
        return SIM_REASON_OK if can_pay(x, i, o) else SIM_REASON_INSUFFICIENT_BALANCE
    return spot_reserve(x, i, o)

cdef inline int check(SimExchange* x, const SimAction* q) noexcept nogil:
    cdef int reason = check_form(x, q)
    if unlikely(reason != SIM_REASON_OK) or unlikely(q.flags & SIM_FLAG_LIQUIDATION):
        return reason
    return check_filters(x, q)

# A refused order leaves no trace, not even in the numbers of those that follow.
cdef inline void unmake(SimExchange* x, SimOrder* o) noexcept nogil:
    o.status = SIM_STATUS_CANCELED
    o.order_id &= SIM_INDEX_MASK
    x.pool.next_number -= 1
    bury(x, o)
