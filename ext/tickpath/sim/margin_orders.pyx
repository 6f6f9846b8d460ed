"""What orders need of a margin wallet, and the two parties of a trade. See margin.pxd for the parts."""
from libc.stdint cimport uint32_t

from tickpath.sim.core cimport (
    SIM_ACCOUNT_FEES, SIM_ACCOUNT_HOUSE, SIM_ACCOUNT_INSURANCE, SIM_ORDER_LIMIT, SIM_ORDER_LIMIT_MAKER, SIM_ORDER_STOP_LIMIT,
    SIM_ORDER_TAKE_PROFIT_LIMIT, SIM_REASON_FULL, SIM_REASON_LEVERAGE, SIM_REASON_MARGIN, SIM_REASON_OK, SIM_REASON_OVERFLOW,
    SIM_REASON_POSITION_SIDE, SIM_REASON_REDUCE_ONLY, SimInstrument,
)
from tickpath.sim.margin cimport (
    MARGIN_LEG_LONG, MARGIN_LEG_SHORT, MARGIN_ORDER_CLOSES, POSITION_SIDE_BOTH, POSITION_SIDE_LONG, POSITION_SIDE_SHORT,
    MarginAccount, MarginMarket, MarginSlot, MarginWallet, ceil_div, instrument_notional, margin_cap, margin_fill,
    margin_free, margin_peek, margin_present, margin_refresh, margin_slot, margin_wallet, margin_watch_slot,
)
from tickpath.sim.order_queues cimport (
    SIM_FLAG_CLOSE_POSITION, SIM_FLAG_LIQUIDATION, SIM_FLAG_REDUCE_ONLY, SIM_FLAG_WAITING,
)
from tickpath.types cimport PRICE_TICKS_NONE, SIDE_BUY, SIDE_SELL, int128, likely, unlikely

# A notional above it is refused: 64-bit sums of the core hold it many times over.
cdef enum: NOTIONAL_BITS = 61


# ---- orders
cdef inline int leg_of(const SimOrder* o) noexcept nogil:
    return MARGIN_LEG_SHORT if o.position_side == POSITION_SIDE_SHORT else MARGIN_LEG_LONG


cdef inline int64_t opposed_lots(const MarginSlot* s, const SimOrder* o) noexcept nogil:
    """Lots of the order's leg that its side would close."""
    cdef int64_t lots = s.legs[leg_of(o)].lots
    if o.side == SIDE_SELL:
        return lots if lots > 0 else 0
    return -lots if lots < 0 else 0


cdef int64_t assumed_ticks(SimExchange* x, const SimOrder* o, const MarginMarket* m) noexcept nogil:
    """The price at which an order's margin is counted. Market orders: a buy at the best ask and 0.05 %, a sell at the higher
    of best bid and mark (Binance, "Cost required to open a position"); with nothing on that side the mark, or the last trade."""
    cdef SimInstrument* i = &x.instruments[o.instrument]
    cdef int64_t best, shown, mark
    cdef int type_ = o.order_type
    if (type_ == SIM_ORDER_LIMIT or type_ == SIM_ORDER_LIMIT_MAKER or type_ == SIM_ORDER_STOP_LIMIT
            or type_ == SIM_ORDER_TAKE_PROFIT_LIMIT):
        return o.price_ticks
    mark = m.mark_e8 // m.tick_e8
    best = i.book[1 if o.side == SIDE_BUY else 0].best_ticks
    if i.recorded != NULL:
        shown = i.recorded.best(i.recorded.market, 1 if o.side == SIDE_BUY else 0)
        if shown != PRICE_TICKS_NONE and (best == PRICE_TICKS_NONE
                                          or (shown < best if o.side == SIDE_BUY else shown > best)):
            best = shown
    if best == PRICE_TICKS_NONE:
        return mark if mark > 0 else i.last_ticks
    if o.side == SIDE_BUY:
        return <int64_t>ceil_div(<int128>best * 10005, 10000)
    return best if best > mark else mark


cdef int reserve_close(MarginSlot* s, SimOrder* o, bint hedge) noexcept nogil:
    """An order that can only close: it needs no margin, but a position."""
    cdef int64_t held = opposed_lots(s, o)
    cdef int64_t left = held - s.legs[leg_of(o)].close_lots if hedge else held
    if o.flags & SIM_FLAG_CLOSE_POSITION:
        if left <= 0:
            return SIM_REASON_REDUCE_ONLY
        o.qty_lots = o.leaves_lots = o.shown_lots = left
    if held == 0 or (hedge and o.leaves_lots > left):
        return SIM_REASON_REDUCE_ONLY
    if hedge:
        s.legs[leg_of(o)].close_lots += o.leaves_lots
        o.mark2 = MARGIN_ORDER_CLOSES
    return SIM_REASON_OK


cdef int margin_reserve(SimExchange* x, SimOrder* o) noexcept nogil:
    cdef MarginSlot* s = margin_slot(x, o.account, o.instrument)
    cdef MarginMarket* m
    cdef int128 units, cap, need, loss
    cdef int128 before[2]
    cdef int128 after[2]
    cdef int64_t price, opening
    cdef bint hedge
    cdef int leg
    if unlikely(s == NULL):
        return SIM_REASON_FULL
    o.reserved_units = 0
    o.mark2 = 0
    if o.flags & SIM_FLAG_LIQUIDATION:
        return SIM_REASON_OK
    m = s.market
    hedge = (<MarginAccount*>x.accounts[o.account].margin).hedge
    leg = leg_of(o)
    if hedge != (o.position_side != POSITION_SIDE_BOTH) or o.position_side > POSITION_SIDE_SHORT:
        return SIM_REASON_POSITION_SIDE
    if hedge:
        if (o.position_side == POSITION_SIDE_LONG) == (o.side == SIDE_SELL):
            o.flags |= SIM_FLAG_REDUCE_ONLY
        elif o.flags & (SIM_FLAG_REDUCE_ONLY | SIM_FLAG_CLOSE_POSITION):
            return SIM_REASON_REDUCE_ONLY
    if o.flags & SIM_FLAG_WAITING:
        return SIM_REASON_OK              # a stop order needs its margin when it is triggered
    if o.flags & (SIM_FLAG_REDUCE_ONLY | SIM_FLAG_CLOSE_POSITION):
        return reserve_close(s, o, hedge)
    price = assumed_ticks(x, o, m)
    units = instrument_notional(&x.instruments[o.instrument], price, o.leaves_lots)
    if unlikely(units >> NOTIONAL_BITS != 0):
        return SIM_REASON_OVERFLOW
    if x.accounts[o.account].checked:
        margin_present(s, hedge, s.bid_units, s.ask_units, before)
        margin_present(s, hedge, s.bid_units + (units if o.side == SIDE_BUY else <int128>0),
                       s.ask_units + (units if o.side == SIDE_SELL else <int128>0), after)
        cap = margin_cap(m, s.leverage)
        if after[leg] > cap and after[leg] > before[leg]:
            return SIM_REASON_LEVERAGE
        need = ceil_div(after[0], s.leverage) + ceil_div(after[1], s.leverage) - s.margin_units
        # Open loss: what the position would show at once for being opened at a price worse than the mark.
        opening = o.leaves_lots
        if not hedge:
            opening -= opposed_lots(s, o)
        if opening > 0 and m.mark_e8 > 0:
            loss = <int128>price * m.tick_e8 - m.mark_e8
            if o.side == SIDE_SELL:
                loss = -loss
            if loss > 0:
                need += ceil_div(loss * opening * m.value_multiplier, m.value_divisor)
        if need > 0 and need > margin_free(s.wallet):
            return SIM_REASON_MARGIN
    o.reserved_units = <int64_t>units
    if o.side == SIDE_BUY:
        s.bid_units += units
    else:
        s.ask_units += units
    margin_refresh(x, s)
    return SIM_REASON_OK


cdef inline bint uncount(MarginSlot* s, SimOrder* o, int64_t lots) noexcept nogil:
    """Take lots of the order out of the slot's sums. True: the margin has changed."""
    cdef int64_t part
    if o.mark2 == MARGIN_ORDER_CLOSES:
        s.legs[leg_of(o)].close_lots -= lots
    if o.reserved_units == 0:
        return False
    part = o.reserved_units
    if lots < o.leaves_lots:
        part = <int64_t>(<int128>o.reserved_units * lots // o.leaves_lots)
    o.reserved_units -= part
    if o.side == SIDE_BUY:
        s.bid_units -= part
    else:
        s.ask_units -= part
    return True


cdef void margin_release(SimExchange* x, SimOrder* o, int64_t lots) noexcept nogil:
    cdef MarginSlot* s = margin_peek(x, o.account, o.instrument)
    if s != NULL and uncount(s, o, lots):
        margin_refresh(x, s)


cdef int64_t margin_allowed(SimExchange* x, const SimOrder* o, int64_t lots) noexcept nogil:
    cdef MarginSlot* s = margin_peek(x, o.account, o.instrument)
    cdef int64_t held
    if s == NULL:
        return 0
    held = opposed_lots(s, o)
    return lots if lots < held else held


cdef int margin_amend(SimExchange* x, SimOrder* o, int64_t price_ticks, int64_t leaves_lots) noexcept nogil:
    """The order's fields are as they were when this returns; what is reserved is the new order's, if it was accepted."""
    cdef MarginSlot* s = margin_peek(x, o.account, o.instrument)
    cdef SimOrder old = o[0]
    cdef int reason
    if s == NULL:
        return SIM_REASON_FULL
    if uncount(s, o, o.leaves_lots):
        margin_refresh(x, s)
    o.price_ticks = price_ticks
    o.leaves_lots = leaves_lots
    reason = margin_reserve(x, o)
    o.price_ticks = old.price_ticks
    o.leaves_lots = old.leaves_lots
    o.shown_lots = old.shown_lots
    o.qty_lots = old.qty_lots
    if reason != SIM_REASON_OK:
        o.reserved_units = old.reserved_units
        o.mark2 = old.mark2
        o.flags = old.flags
        if o.mark2 == MARGIN_ORDER_CLOSES:
            s.legs[leg_of(o)].close_lots += o.leaves_lots
        if o.side == SIDE_BUY:
            s.bid_units += o.reserved_units
        else:
            s.ask_units += o.reserved_units
        margin_refresh(x, s)
    return reason


# ---- trades
cdef int128 fill_side(SimExchange* x, SimOrder* o, int instrument, int side, bint is_maker, int64_t price_ticks, int64_t lots,
                      int128 notional, int64_t* fee) noexcept nogil:
    """One party of a trade. Returns what it realised."""
    cdef uint32_t account = o.account if o != NULL else SIM_ACCOUNT_HOUSE
    cdef MarginSlot* s = margin_slot(x, account, instrument)
    cdef MarginWallet* taker_of_fee
    cdef int128 realised, units, left, cross
    cdef int64_t rate
    cdef int leg = leg_of(o) if o != NULL else MARGIN_LEG_LONG
    cdef bint liquidates = o != NULL and o.flags & SIM_FLAG_LIQUIDATION != 0
    fee[0] = 0
    if unlikely(s == NULL):
        x.lost_events += 1
        return 0
    if o != NULL:
        uncount(s, o, lots)
    cross = s.wallet.cross_units
    realised = margin_fill(x, s, leg, lots if side == SIDE_BUY else -lots, price_ticks)
    if liquidates:
        # The fee comes out of what the liquidation left, never out of other money: nobody owes the venue a fee.
        margin_refresh(x, s)
        left = s.wallet.cross_units - cross if s.isolated else s.wallet.cross_units + s.wallet.cross_pnl_units
        units = notional * s.market.liquidation_rate_e8 // 100000000
        if account == SIM_ACCOUNT_INSURANCE:
            units = 0                     # the fund's own way out of what it took over
        elif units > left:
            units = left if left > 0 else <int128>0
    else:
        rate = x.accounts[account].maker_rate_e8 if is_maker else x.accounts[account].taker_rate_e8
        units = notional * rate // 100000000
    if units != 0:
        taker_of_fee = margin_wallet(x, SIM_ACCOUNT_INSURANCE if liquidates else SIM_ACCOUNT_FEES, s.wallet.asset)
        if likely(taker_of_fee != NULL):
            s.wallet.cross_units -= units
            taker_of_fee.cross_units += units
            fee[0] = <int64_t>units
            if s.legs[leg].lots != 0:
                s.legs[leg].carried_units += units
    margin_refresh(x, s)
    margin_watch_slot(x, s)
    return realised


cdef void margin_trade(SimExchange* x, SimOrder* taker, SimOrder* maker, int instrument, int taker_side, int64_t price_ticks,
                       int64_t lots, SimTrade* t) noexcept nogil:
    cdef SimInstrument* i = &x.instruments[instrument]
    cdef int128 notional = instrument_notional(i, price_ticks, lots)
    t.notional_units = <int64_t>notional
    t.taker_fee_asset = t.maker_fee_asset = i.quote_asset
    t.taker_pnl_units = <int64_t>fill_side(x, taker, instrument, taker_side, False, price_ticks, lots, notional,
                                           &t.taker_fee_units)
    t.maker_pnl_units = <int64_t>fill_side(x, maker, instrument, SIDE_SELL if taker_side == SIDE_BUY else SIDE_BUY, True,
                                           price_ticks, lots, notional, &t.maker_fee_units)
