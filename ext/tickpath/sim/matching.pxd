# An order against the opposite side of the book: what it would meet, its trades, what becomes of its rest. Hot; part of core.pyx.
#
# Price, then time. At one price what the recorded market displays ahead of a client's order is served first (core.pxd,
# SimRecorded). Self-trade prevention is judged when an order of the taker's own account comes up, by the taker's mode.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset

from tickpath.sim.core cimport (
    SIM_EVENT_EXPIRED, SIM_EVENT_PREVENTED, SIM_KIND_SPOT, SIM_REASON_FOK, SIM_REASON_FULL, SIM_REASON_INSUFFICIENT_BALANCE,
    SIM_REASON_IOC, SIM_REASON_NO_LIQUIDITY, SIM_REASON_OK, SIM_REASON_OVERFLOW, SIM_REASON_REDUCE_ONLY, SIM_REASON_STP,
    SIM_STATUS_EXPIRED, SIM_STATUS_EXPIRED_IN_MATCH, SIM_STATUS_FILLED, SIM_STATUS_PARTIALLY_FILLED, SIM_STP_DECREMENT,
    SIM_STP_EXPIRE_MAKER, SIM_STP_EXPIRE_TAKER, SIM_STP_NONE, SIM_TIF_FOK, SIM_TIF_IOC, SimEvent, SimExchange, SimInstrument,
    SimTrade,
)
from tickpath.sim.order_queues cimport (
    SIM_FLAG_EXTRA, SIM_FLAG_QUOTE_QTY, SIM_NONE, SimLadder, SimLevel, SimOrder, SimOrderExtra, level_at, queue_find,
    queue_has_room, queue_next,
)
from tickpath.sim.spot_funds cimport (
    balance_of, is_priced, notional_fits, notional_of, spot_trade,
)
from tickpath.sim.triggers cimport (
    triggers_on_price,
)
from tickpath.sim.events cimport (
    SIDE_ASKS, SIDE_BIDS, order_event, publish_level, publish_trade, trade_event,
)
from tickpath.sim.open_orders cimport (
    bury, count_less, count_open, extra_of, funds_release, join_book, leave_book, take_off,
)
from tickpath.sim.filters cimport (
    LOTS_MAX, PRICE_MAX, REDUCING,
)
from tickpath.types cimport PRICE_TICKS_NONE, SIDE_BUY, SIDE_SELL, int128, likely, unlikely

# The best price of a book side, clients' and displayed; PRICE_TICKS_NONE = nothing there.
cdef inline int64_t best_price(SimInstrument* i, int side) noexcept nogil:
    cdef int64_t p = i.book[side].best_ticks, shown
    if likely(i.recorded == NULL):
        return p
    shown = i.recorded.best(i.recorded.market, side)
    if p == PRICE_TICKS_NONE:
        return shown
    if shown == PRICE_TICKS_NONE:
        return p
    return (shown if shown < p else p) if side == SIDE_ASKS else (shown if shown > p else p)

cdef inline bint is_within(int64_t price_ticks, int taker_side, int64_t limit_ticks) noexcept nogil:
    return price_ticks <= limit_ticks if taker_side == SIDE_BUY else price_ticks >= limit_ticks

cdef inline int64_t limit_of(const SimOrder* o) noexcept nogil:
    if likely(is_priced(o.order_type)):
        return o.price_ticks
    return PRICE_MAX if o.side == SIDE_BUY else 0

# Whole lots that an amount of the quote asset pays for at a price.
cdef inline int64_t lots_for(const SimInstrument* i, int64_t price_ticks, int64_t units) noexcept nogil:
    cdef int128 lot = <int128>price_ticks * i.quote_multiplier
    cdef int128 n
    if units <= 0 or lot <= 0:
        return 0
    n = <int128>units * i.quote_divisor + (i.quote_divisor - 1)     # the notional is rounded down
    n = n // lot
    return <int64_t>n if n < LOTS_MAX else LOTS_MAX

cdef struct Walk:
    int64_t lots
    int64_t units                         # their cost, rounded down at each price; bounded
    bint spent                            # max_units did not pay for all that stood at the last price

# Lots that stand there up to the limit, hidden ones too, until max_lots or max_units (0: no bound) are reached. An own order that
# self-trade prevention would meet: counted, passed over (EXPIRE_MAKER) or the end of it, as `stp` says.
cdef inline void walk_book(SimExchange* x, SimInstrument* i, int taker_side, int64_t limit_ticks, int64_t max_lots,
                           int64_t max_units, uint32_t account, int stp, Walk* w) noexcept nogil:
    cdef int side = SIDE_ASKS if taker_side == SIDE_BUY else SIDE_BIDS
    cdef SimLadder* l = &i.book[side]
    cdef int64_t p = l.best_ticks, shown = PRICE_TICKS_NONE, price_ticks, lots, n
    cdef int32_t level, k
    cdef SimOrder* o
    cdef bint blocked = False
    w.lots = w.units = 0
    w.spent = False
    if i.recorded != NULL:
        shown = i.recorded.best(i.recorded.market, side)
    while w.lots < max_lots and not blocked:
        price_ticks = p
        if shown != PRICE_TICKS_NONE and (p == PRICE_TICKS_NONE or (shown < p if side == SIDE_ASKS else shown > p)):
            price_ticks = shown
        if price_ticks == PRICE_TICKS_NONE or not is_within(price_ticks, taker_side, limit_ticks):
            return
        lots = 0
        if price_ticks == shown:
            lots = i.recorded.shown(i.recorded.market, side, price_ticks, NULL)
            shown = i.recorded.next(i.recorded.market, side, price_ticks)
        if price_ticks == p:
            level = queue_find(&x.pool, l, p)
            if stp == SIM_STP_NONE:
                lots += level_at(&x.pool, level).total_lots
            else:
                k = level_at(&x.pool, level).front
                while k != SIM_NONE:
                    o = &x.pool.orders[k]
                    if o.account != account:
                        lots += o.leaves_lots
                    elif stp != SIM_STP_EXPIRE_MAKER:
                        blocked = True
                        break
                    k = o.behind
            p = queue_next(&x.pool, l, p)
        if lots > max_lots - w.lots:
            lots = max_lots - w.lots
        if max_units != 0:
            n = lots_for(i, price_ticks, max_units - w.units)
            if n < lots:
                lots = n
                blocked = w.spent = True
        if not notional_fits(i, price_ticks, lots):
            w.units = <int64_t>1 << 62
            return
        w.lots += lots
        w.units += notional_of(i, price_ticks, lots)
        if w.units > <int64_t>1 << 61:
            return

# ---- trades

cdef inline void settle(SimExchange* x, SimInstrument* i, int instrument, SimOrder* taker, SimOrder* maker, int taker_side,
                        int64_t price_ticks, int64_t lots, SimTrade* t) noexcept nogil:
    if likely(i.kind == SIM_KIND_SPOT):
        spot_trade(x, i, taker, maker, taker_side == SIDE_BUY, price_ticks, lots, t)
    else:
        memset(t, 0, sizeof(SimTrade))
        x.perpetual.trade(x, taker, maker, instrument, taker_side, price_ticks, lots, t)

cdef inline void executed(SimExchange* x, SimOrder* o, int64_t lots, int64_t notional) noexcept nogil:
    o.leaves_lots -= lots
    o.cum_lots += lots
    o.cum_quote_units += notional
    o.updated_ns = x.now_ns
    o.status = SIM_STATUS_FILLED if o.leaves_lots == 0 else SIM_STATUS_PARTIALLY_FILLED

# The maker's part after a trade: its place in the queue, its tip, its end.
cdef inline void maker_after(SimExchange* x, SimInstrument* i, SimOrder* maker, int64_t lots) noexcept nogil:
    cdef SimLevel* v = level_at(&x.pool, maker.level)
    maker.shown_lots -= lots
    v.shown_lots -= lots
    v.total_lots -= lots
    count_less(x, maker, lots)
    if unlikely(i.recorded != NULL) and i.recorded.on_trade != NULL:
        i.recorded.on_trade(i.recorded.market, maker, lots)
    if maker.leaves_lots == 0:
        leave_book(x, i, maker)
        count_open(x, maker, -1)
        bury(x, maker)
    elif unlikely(maker.shown_lots == 0):
        # A new tip stands last.
        leave_book(x, i, maker)
        maker.shown_lots = extra_of(x, maker).iceberg_lots
        if maker.shown_lots > maker.leaves_lots:
            maker.shown_lots = maker.leaves_lots
        join_book(x, i, maker)

# Taker against maker; one of them may be NULL, which is the house.
cdef inline void trade(SimExchange* x, SimInstrument* i, int instrument, SimOrder* taker, SimOrder* maker, int taker_side,
                       int64_t price_ticks, int64_t lots) noexcept nogil:
    cdef SimTrade t
    cdef uint64_t trade_id = x.trade_ids[instrument] + 1
    x.trade_ids[instrument] = trade_id
    x.trades += 1
    settle(x, i, instrument, taker, maker, taker_side, price_ticks, lots, &t)
    if likely(taker != NULL):
        executed(x, taker, lots, t.notional_units)
        trade_event(x, taker, trade_id, 0 if maker == NULL else maker.order_id, price_ticks, lots, t.notional_units,
                    t.taker_fee_units, t.taker_fee_asset, t.taker_pnl_units, 0)
    if likely(maker != NULL):
        executed(x, maker, lots, t.notional_units)
        trade_event(x, maker, trade_id, 0 if taker == NULL else taker.order_id, price_ticks, lots, t.notional_units,
                    t.maker_fee_units, t.maker_fee_asset, t.maker_pnl_units, 1)
    if unlikely(x.publish):
        publish_trade(x, instrument, taker, maker, taker_side, trade_id, price_ticks, lots, t.notional_units)
    if likely(maker != NULL):
        maker_after(x, i, maker, lots)
    # Every price that trades is seen by what waits for it; what fires is carried out when the match is over.
    if price_ticks != i.last_ticks:
        i.last_ticks = price_ticks
        triggers_on_price(x, i, 0, price_ticks)

# `lots` of an open order are given up to self-trade prevention.
cdef inline void prevented(SimExchange* x, SimInstrument* i, SimOrder* o, int64_t lots, bint resting, uint64_t counter,
                           int64_t price_ticks) noexcept nogil:
    cdef SimLevel* v
    cdef SimEvent* e
    funds_release(x, i, o, lots)
    if resting and lots < o.leaves_lots:
        v = level_at(&x.pool, o.level)
        v.shown_lots -= lots
        v.total_lots -= lots
        o.shown_lots -= lots
        count_less(x, o, lots)
        o.leaves_lots -= lots
        if o.shown_lots == 0:
            leave_book(x, i, o)
            o.shown_lots = extra_of(x, o).iceberg_lots
            if o.shown_lots > o.leaves_lots:
                o.shown_lots = o.leaves_lots
            join_book(x, i, o)
    elif resting:
        leave_book(x, i, o)
        count_open(x, o, -1)
        o.leaves_lots = 0
    else:
        o.leaves_lots -= lots
    o.updated_ns = x.now_ns
    if o.leaves_lots == 0:
        o.status = SIM_STATUS_EXPIRED_IN_MATCH
    e = order_event(x, SIM_EVENT_PREVENTED, o, lots, SIM_REASON_STP)
    e.counter_order_id = counter
    e.price_ticks = price_ticks
    e.is_maker = resting
    if resting and o.leaves_lots == 0:
        bury(x, o)

cdef inline void prevent_self_trade(SimExchange* x, SimInstrument* i, SimOrder* taker, SimOrder* maker) noexcept nogil:
    cdef int64_t price_ticks = maker.price_ticks, lots
    cdef uint64_t taker_id = taker.order_id, maker_id = maker.order_id
    if taker.stp == SIM_STP_DECREMENT:
        lots = maker.shown_lots if maker.shown_lots < taker.leaves_lots else taker.leaves_lots
        prevented(x, i, taker, lots, False, maker_id, price_ticks)
        prevented(x, i, maker, lots, True, taker_id, price_ticks)
        return
    if taker.stp != SIM_STP_EXPIRE_MAKER:
        prevented(x, i, taker, taker.leaves_lots, False, maker_id, price_ticks)
    if taker.stp != SIM_STP_EXPIRE_TAKER:
        prevented(x, i, maker, maker.leaves_lots, True, taker_id, price_ticks)

# What a market order can pay for at this price, at most `lots`. Only its own account's money can stop it.
cdef inline int64_t affordable(SimExchange* x, SimInstrument* i, const SimOrder* o, int64_t price_ticks,
                               int64_t lots) noexcept nogil:
    cdef int64_t n, free_units
    if i.kind != SIM_KIND_SPOT or not x.accounts[o.account].checked:
        return lots
    if o.side == SIDE_BUY:
        free_units = balance_of(x, o.account, i.quote_asset).free
        if notional_fits(i, price_ticks, lots) and notional_of(i, price_ticks, lots) <= free_units:
            return lots
        n = lots_for(i, price_ticks, free_units)
    else:
        n = balance_of(x, o.account, i.base_asset).free // i.lot_units
    return n if n < lots else lots

# Match an order that stands in no queue against the opposite side. Returns why it stopped early: OK when it is done, met its
# limit or the end of the book; INSUFFICIENT_BALANCE, REDUCE_ONLY, or STP when it was ended by self-trade prevention.
cdef inline int match(SimExchange* x, SimInstrument* i, SimOrder* o) noexcept nogil:
    cdef int side = SIDE_ASKS if o.side == SIDE_BUY else SIDE_BIDS
    cdef int instrument = o.instrument
    cdef SimLadder* l = &i.book[side]
    cdef int64_t limit_ticks = limit_of(o), price_ticks, lots, house, n, touched = PRICE_TICKS_NONE
    cdef int64_t shown = PRICE_TICKS_NONE
    cdef SimOrder* maker
    cdef bint market = not is_priced(o.order_type)
    cdef int stopped = SIM_REASON_OK
    if unlikely(i.recorded != NULL):
        shown = i.recorded.best(i.recorded.market, side)
    while o.leaves_lots > 0:
        price_ticks = l.best_ticks
        maker = NULL
        if unlikely(shown != PRICE_TICKS_NONE) and (price_ticks == PRICE_TICKS_NONE or
                                                    (shown < price_ticks if side == SIDE_ASKS else shown > price_ticks)):
            price_ticks = shown
        elif price_ticks != PRICE_TICKS_NONE:
            maker = &x.pool.orders[level_at(&x.pool, l.best_level).front]
        if price_ticks == PRICE_TICKS_NONE or not is_within(price_ticks, o.side, limit_ticks):
            break
        if unlikely(x.publish) and touched != price_ticks:
            if touched != PRICE_TICKS_NONE:
                publish_level(x, instrument, side, touched)
            touched = price_ticks
        house = 0
        if unlikely(price_ticks == shown):
            house = i.recorded.shown(i.recorded.market, side, price_ticks, maker)
            if house == 0 and maker == NULL:
                shown = i.recorded.next(i.recorded.market, side, price_ticks)
                continue
        if house == 0:
            if unlikely(o.stp != SIM_STP_NONE) and maker.account == o.account:
                prevent_self_trade(x, i, o, maker)
                if o.leaves_lots == 0:
                    stopped = SIM_REASON_STP
                continue
            lots = maker.shown_lots if maker.shown_lots < o.leaves_lots else o.leaves_lots
            if unlikely(maker.flags & REDUCING):
                n = x.perpetual.allowed(x, maker, lots)
                if n <= 0:
                    take_off(x, maker, SIM_EVENT_EXPIRED, SIM_STATUS_EXPIRED, SIM_REASON_REDUCE_ONLY)
                    continue
                lots = n if n < lots else lots
        else:
            lots = house if house < o.leaves_lots else o.leaves_lots
        if unlikely(market):
            if o.flags & SIM_FLAG_QUOTE_QTY:
                n = lots_for(i, price_ticks, extra_of(x, o).quote_units - o.cum_quote_units)
                lots = n if n < lots else lots
                if lots == 0:
                    break
            n = affordable(x, i, o, price_ticks, lots)
            if n < lots:
                lots = n
                stopped = SIM_REASON_INSUFFICIENT_BALANCE
        if unlikely(o.flags & REDUCING):
            n = x.perpetual.allowed(x, o, lots)
            if n < lots:
                lots = n if n > 0 else 0
                stopped = SIM_REASON_REDUCE_ONLY
        if unlikely(house != 0) and not notional_fits(i, price_ticks, lots):
            lots = 0
            stopped = SIM_REASON_OVERFLOW
        if unlikely(lots == 0):
            break
        if unlikely(house != 0):
            i.recorded.take(i.recorded.market, side, price_ticks, lots)
            trade(x, i, instrument, o, NULL, o.side, price_ticks, lots)
        else:
            trade(x, i, instrument, o, maker, o.side, price_ticks, lots)
        if unlikely(stopped != SIM_REASON_OK):
            break
    if unlikely(touched != PRICE_TICKS_NONE):
        publish_level(x, instrument, side, touched)
    return stopped

# ---- a new order

cdef inline void expire_rest(SimExchange* x, SimInstrument* i, SimOrder* o, int reason) noexcept nogil:
    funds_release(x, i, o, o.leaves_lots)
    o.status = SIM_STATUS_EXPIRED
    o.updated_ns = x.now_ns
    if unlikely(o.flags & SIM_FLAG_QUOTE_QTY):
        # Its quantity is what its money has bought.
        o.leaves_lots = 0
        o.qty_lots = o.cum_lots
    order_event(x, SIM_EVENT_EXPIRED, o, o.leaves_lots, reason)
    bury(x, o)

cdef inline void rest(SimExchange* x, SimInstrument* i, SimOrder* o) noexcept nogil:
    cdef SimOrderExtra* e
    o.shown_lots = o.leaves_lots
    if unlikely(o.flags & SIM_FLAG_EXTRA):
        e = extra_of(x, o)
        if e.iceberg_lots != 0 and e.iceberg_lots < o.leaves_lots:
            o.shown_lots = e.iceberg_lots
    if unlikely(not queue_has_room(&x.pool)):
        expire_rest(x, i, o, SIM_REASON_FULL)
        return
    join_book(x, i, o)
    count_open(x, o, 1)
    if unlikely(x.publish):
        publish_level(x, o.instrument, SIDE_BIDS if o.side == SIDE_BUY else SIDE_ASKS, o.price_ticks)

# An order with its money reserved, in no queue: trades, then rests or ends.
cdef inline void work(SimExchange* x, SimInstrument* i, SimOrder* o) noexcept nogil:
    cdef int stopped = SIM_REASON_OK
    cdef Walk w
    if unlikely(o.time_in_force == SIM_TIF_FOK) and is_priced(o.order_type):
        walk_book(x, i, o.side, o.price_ticks, o.leaves_lots, 0, o.account, o.stp, &w)
        if w.lots < o.leaves_lots:
            expire_rest(x, i, o, SIM_REASON_FOK)
            return
    stopped = match(x, i, o)
    if o.leaves_lots == 0:
        bury(x, o)
    elif unlikely(stopped != SIM_REASON_OK):
        expire_rest(x, i, o, stopped)
    elif unlikely(not is_priced(o.order_type)):
        expire_rest(x, i, o, SIM_REASON_NO_LIQUIDITY)
    elif unlikely(o.time_in_force == SIM_TIF_IOC or o.time_in_force == SIM_TIF_FOK):
        expire_rest(x, i, o, SIM_REASON_IOC if o.time_in_force == SIM_TIF_IOC else SIM_REASON_FOK)
    else:
        rest(x, i, o)
