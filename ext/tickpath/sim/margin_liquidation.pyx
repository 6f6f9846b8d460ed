"""Marks, funding, margin calls and liquidation.

Liquidation, as Binance describes it (docs/simulation-futures.md): orders are cancelled; an immediate-or-cancel order takes the
position to the book, at the bankruptcy price or better; what it could not close is taken over by the insurance fund at the
bankruptcy price. It stops as soon as the maintenance margin is covered again.
"""
from libc.stdint cimport int32_t, uint32_t, uint64_t
from libc.string cimport memset

from tickpath.sim.core cimport (
    SIM_ACCOUNT_FIRST, SIM_ACCOUNT_INSURANCE, SIM_ACTION_SUBMIT, SIM_EVENT_FUNDING, SIM_EVENT_LIQUIDATION,
    SIM_EVENT_MARGIN_BALANCE, SIM_EVENT_MARGIN_CALL, SIM_ORDER_LIMIT, SIM_REASON_LIQUIDATED, SIM_REASON_OK,
    SIM_REASON_REDUCE_ONLY, SIM_STATUS_CANCELED, SIM_STATUS_EXPIRED, SIM_TIF_IOC, SimAction, SimEvent, SimInstrument,
    exchange_compact, exchange_end, exchange_event, exchange_order, exchange_set_mark, exchange_submit,
)
from tickpath.sim.margin cimport (
    MARGIN_LEG_LONG, MARGIN_LEG_SHORT, POSITION_SIDE_BOTH, POSITION_SIDE_LONG, POSITION_SIDE_SHORT, MarginAccount, MarginLeg,
    MarginMarket, MarginState, MarginWallet, ceil_div, cross_is_due, floor_div, instrument_notional, leg_is_due, margin_fill,
    margin_market, margin_peek, margin_refresh, margin_slot, margin_state, margin_wallet, margin_watch_slot,
)
from tickpath.sim.order_queues cimport (
    SIM_FLAG_CLOSE_POSITION, SIM_FLAG_LIQUIDATION, SIM_FLAG_REDUCE_ONLY, SIM_FLAG_WAITING, SimOrder,
)
from tickpath.types cimport SIDE_BUY, SIDE_SELL, likely

cdef enum: ALL_INSTRUMENTS = -1
cdef enum: PRICE_BITS = 47


# ---- events
cdef inline int position_side_of(const MarginAccount* a, int leg) noexcept nogil:
    if not a.hedge:
        return POSITION_SIDE_BOTH
    return POSITION_SIDE_LONG if leg == MARGIN_LEG_LONG else POSITION_SIDE_SHORT


cdef SimEvent* slot_event(SimExchange* x, const MarginSlot* s, int leg, int kind) noexcept nogil:
    cdef SimEvent* e = exchange_event(x, kind)
    if e == NULL:
        return NULL
    e.account = s.account
    e.instrument = s.instrument
    e.fee_asset = s.wallet.asset
    e.position_side = position_side_of(<MarginAccount*>x.accounts[s.account].margin, leg)
    return e


cdef void margin_balance_event(SimExchange* x, int account, int asset, int128 change, int reason) noexcept nogil:
    cdef SimEvent* e
    if change == 0:
        return
    e = exchange_event(x, SIM_EVENT_MARGIN_BALANCE)
    if e != NULL:
        e.account = account
        e.fee_asset = asset
        e.value = <int64_t>change
        e.reason = reason


# ---- liquidation
cdef void end_orders(SimExchange* x, uint32_t account, int instrument, int asset, bint reduce_only) noexcept nogil:
    """End an account's orders: all of the instruments that share its cross wallet (instrument < 0), or one instrument's; or only
    the reduce-only ones of an instrument that have nothing left to reduce. Oldest first."""
    cdef int64_t n = exchange_compact(x, account)
    cdef int64_t k
    cdef SimOrder* o
    cdef MarginSlot* s
    for k in range(n):
        o = exchange_order(x, x.accounts[account].order_ids[k])
        if o == NULL:
            continue
        s = margin_peek(x, account, o.instrument)
        if s == NULL:
            continue
        if instrument >= 0:
            if o.instrument != instrument:
                continue
        elif s.isolated or s.wallet.asset != asset:
            continue
        if not reduce_only:
            exchange_end(x, o, SIM_STATUS_CANCELED, SIM_REASON_LIQUIDATED, x.now_ns)
        elif o.flags & (SIM_FLAG_REDUCE_ONLY | SIM_FLAG_CLOSE_POSITION) != 0 and o.flags & SIM_FLAG_WAITING == 0:
            if not reducible(s, o):
                exchange_end(x, o, SIM_STATUS_EXPIRED, SIM_REASON_REDUCE_ONLY, x.now_ns)


cdef inline bint reducible(const MarginSlot* s, const SimOrder* o) noexcept nogil:
    cdef int64_t lots = s.legs[MARGIN_LEG_SHORT if o.position_side == POSITION_SIDE_SHORT else MARGIN_LEG_LONG].lots
    return lots > 0 if o.side == SIDE_SELL else lots < 0


cdef int64_t bankruptcy_ticks(SimExchange* x, const MarginSlot* s, int leg) noexcept nogil:
    cdef const SimInstrument* i = &x.instruments[s.instrument]
    cdef const MarginLeg* g = &s.legs[leg]
    cdef int128 margin = g.isolated_units
    cdef int128 ticks
    if not s.isolated:
        margin = s.wallet.cross_units + s.wallet.cross_pnl_units - g.pnl_units
    # (lots x p - cost) + margin = 0. With a divisor the notional is rounded down: one unit more for a seller covers it.
    if g.lots > 0:
        ticks = ceil_div((g.cost_units - margin) * i.quote_divisor, <int128>g.lots * i.quote_multiplier)
    else:
        ticks = floor_div((margin - g.cost_units) * i.quote_divisor, -<int128>g.lots * i.quote_multiplier)
    if ticks < 1:
        return 1
    if ticks >> PRICE_BITS != 0:
        return <int64_t>1 << PRICE_BITS
    return <int64_t>ticks


cdef inline bint still_due(const MarginSlot* s, int leg) noexcept nogil:
    return leg_is_due(&s.legs[leg]) if s.isolated else cross_is_due(s.wallet)


cdef void take_over(SimExchange* x, MarginSlot* s, int leg) noexcept nogil:
    """The insurance fund takes what is left of a position at its bankruptcy price."""
    cdef int64_t lots = s.legs[leg].lots
    cdef int64_t price = bankruptcy_ticks(x, s, leg)
    cdef MarginSlot* fund = margin_slot(x, SIM_ACCOUNT_INSURANCE, s.instrument)
    cdef int128 realised
    cdef SimEvent* e
    if fund == NULL:
        return
    realised = margin_fill(x, s, leg, -lots, price)
    margin_refresh(x, s)
    margin_fill(x, fund, MARGIN_LEG_LONG, lots, price)
    margin_refresh(x, fund)
    e = slot_event(x, s, leg, SIM_EVENT_LIQUIDATION)
    if e != NULL:
        e.side = SIDE_SELL if lots > 0 else SIDE_BUY
        e.price_ticks = price
        e.qty_lots = lots if lots > 0 else -lots
        e.value = <int64_t>instrument_notional(&x.instruments[s.instrument], price, e.qty_lots)
        e.pnl_units = <int64_t>realised
        e.reason = SIM_REASON_LIQUIDATED


cdef void closing_action(SimExchange* x, const MarginSlot* s, int leg, int64_t price_ticks, SimAction* q) noexcept nogil:
    """The venue's own immediate-or-cancel order that closes a leg at a price or better."""
    cdef int64_t lots = s.legs[leg].lots
    memset(q, 0, sizeof(SimAction))
    q.now_ns = x.now_ns
    q.kind = SIM_ACTION_SUBMIT
    q.account = s.account
    q.instrument = s.instrument
    q.side = SIDE_SELL if lots > 0 else SIDE_BUY
    q.order_type = SIM_ORDER_LIMIT
    q.time_in_force = SIM_TIF_IOC
    q.price_ticks = price_ticks
    q.qty_lots = lots if lots > 0 else -lots
    q.position_side = position_side_of(<MarginAccount*>x.accounts[s.account].margin, leg)
    q.flags = SIM_FLAG_LIQUIDATION


cdef void liquidate_leg(SimExchange* x, MarginSlot* s, int leg) noexcept nogil:
    """To the book first, the rest to the fund."""
    cdef SimAction q
    cdef uint64_t order_id = 0
    cdef SimEvent* e
    closing_action(x, s, leg, bankruptcy_ticks(x, s, leg), &q)
    e = slot_event(x, s, leg, SIM_EVENT_LIQUIDATION)
    if e != NULL:
        e.side = q.side
        e.price_ticks = q.price_ticks
        e.cum_lots = q.qty_lots
        e.reason = SIM_REASON_LIQUIDATED
    exchange_submit(x, &q, &order_id)
    if s.legs[leg].lots != 0 and still_due(s, leg):
        take_over(x, s, leg)


cdef int64_t margin_offload(SimExchange* x, int instrument, int64_t price_ticks, int64_t now_ns) noexcept nogil:
    cdef MarginSlot* s = margin_peek(x, SIM_ACCOUNT_INSURANCE, instrument)
    cdef SimAction q
    cdef uint64_t order_id = 0
    cdef int64_t held
    if s == NULL or s.legs[MARGIN_LEG_LONG].lots == 0:
        return 0
    x.now_ns = now_ns
    held = s.legs[MARGIN_LEG_LONG].lots
    if price_ticks <= 0:
        price_ticks = 1 if held > 0 else <int64_t>1 << PRICE_BITS
    closing_action(x, s, MARGIN_LEG_LONG, price_ticks, &q)
    exchange_submit(x, &q, &order_id)
    held -= s.legs[MARGIN_LEG_LONG].lots
    return held if held > 0 else -held


cdef void cover(SimExchange* x, int account, MarginWallet* w) noexcept nogil:
    """The insurance fund pays in for a wallet below zero that has no position left to make it up."""
    cdef MarginWallet* fund
    cdef int128 missing = -w.cross_units
    if missing <= 0 or w.open_legs != 0 or not x.accounts[account].checked:
        return
    fund = margin_wallet(x, SIM_ACCOUNT_INSURANCE, w.asset)
    if fund == NULL:
        return
    w.cross_units += missing
    fund.cross_units -= missing
    margin_balance_event(x, account, w.asset, missing, SIM_REASON_LIQUIDATED)
    margin_balance_event(x, SIM_ACCOUNT_INSURANCE, w.asset, -missing, SIM_REASON_LIQUIDATED)


cdef void attend_isolated(SimExchange* x, MarginSlot* s) noexcept nogil:
    cdef int leg
    cdef bint cancelled = False
    for leg in range(2):
        if leg_is_due(&s.legs[leg]):
            if not cancelled:
                end_orders(x, s.account, s.instrument, s.wallet.asset, False)
                cancelled = True
            if leg_is_due(&s.legs[leg]):
                liquidate_leg(x, s, leg)


cdef void attend_cross(SimExchange* x, int account, MarginWallet* w) noexcept nogil:
    cdef MarginSlot* s
    cdef int i, leg
    if not cross_is_due(w):
        return
    end_orders(x, account, ALL_INSTRUMENTS, w.asset, False)
    for i in range(x.instrument_count):
        s = margin_peek(x, account, i)
        if s == NULL or s.wallet != w or s.isolated:
            continue
        for leg in range(2):
            if s.legs[leg].lots != 0 and cross_is_due(w):
                liquidate_leg(x, s, leg)


cdef inline bint called(const MarginState* state, int128 need, int128 balance) noexcept nogil:
    return need > 0 and need * 100000000 >= balance * state.call_rate_e8


cdef void attend_calls(SimExchange* x, int account, MarginAccount* a) noexcept nogil:
    """A margin call is sent once, when the margin ratio has come to the rate, and again only after it has been below."""
    cdef MarginState* state = margin_state(x)
    cdef MarginSlot* s
    cdef MarginLeg* g
    cdef MarginWallet* w
    cdef bint now
    cdef SimEvent* e
    cdef int i, leg
    for i in range(a.slot_capacity):
        s = a.slots[i]
        if s == NULL or not s.isolated:
            continue
        for leg in range(2):
            g = &s.legs[leg]
            now = called(state, g.need_units, g.isolated_units + g.pnl_units)
            if now and not g.called:
                e = slot_event(x, s, leg, SIM_EVENT_MARGIN_CALL)
                if e != NULL:
                    e.qty_lots = g.lots
                    e.price_ticks = s.market.mark_e8 // s.market.tick_e8
                    e.value = <int64_t>g.need_units
                    e.pnl_units = <int64_t>g.pnl_units
            g.called = now
    for i in range(a.wallet_capacity):
        w = a.wallets[i]
        if w == NULL:
            continue
        now = called(state, w.cross_need_units, w.cross_units + w.cross_pnl_units)
        if now and not w.called:
            e = exchange_event(x, SIM_EVENT_MARGIN_CALL)
            if e != NULL:
                e.account = account
                e.instrument = 0xffff                 # the cross wallet: all its positions
                e.fee_asset = w.asset
                e.value = <int64_t>w.cross_need_units
                e.pnl_units = <int64_t>w.cross_pnl_units
        w.called = now


cdef void attend(SimExchange* x, int account) noexcept nogil:
    cdef MarginAccount* a = <MarginAccount*>x.accounts[account].margin
    cdef MarginSlot* s
    cdef int i
    for i in range(a.slot_capacity):
        s = a.slots[i]
        if s != NULL and s.reduced:
            s.reduced = 0
            end_orders(x, account, i, 0, True)
    if not x.accounts[account].checked:
        return
    for i in range(a.slot_capacity):
        s = a.slots[i]
        if s != NULL and s.isolated:
            attend_isolated(x, s)
    for i in range(a.wallet_capacity):
        if a.wallets[i] != NULL:
            attend_cross(x, account, a.wallets[i])
    for i in range(a.slot_capacity):
        s = a.slots[i]
        if s != NULL and s.reduced:
            s.reduced = 0
            end_orders(x, account, i, 0, True)
    for i in range(a.wallet_capacity):
        if a.wallets[i] != NULL:
            cover(x, account, a.wallets[i])
    attend_calls(x, account, a)


cdef inline void sort_accounts(int32_t* accounts, int n) noexcept nogil:
    """Insertion: few, and mostly in order."""
    cdef int i, k
    cdef int32_t v
    for i in range(1, n):
        v = accounts[i]
        k = i - 1
        while k >= 0 and accounts[k] > v:
            accounts[k + 1] = accounts[k]
            k -= 1
        accounts[k + 1] = v


cdef void margin_after(SimExchange* x, int instrument) noexcept nogil:
    """Lowest account first. Liquidations move prices and other accounts, which are then watched and have their turn in the next
    round; it ends, since each liquidated position is gone and the fund that may take it over is never liquidated."""
    cdef MarginState* state = margin_state(x)
    cdef int32_t account
    cdef int k, n
    if likely(state.watched_count == 0) or state.busy:
        return
    state.busy = 1
    while state.watched_count > 0:
        sort_accounts(state.watched, state.watched_count)
        # The first of them alone: what it does may put others on the list, below it too.
        account = state.watched[0]
        n = state.watched_count - 1
        for k in range(n):
            state.watched[k] = state.watched[k + 1]
        state.watched_count = n
        (<MarginAccount*>x.accounts[account].margin).watched = 0
        attend(x, account)
    state.busy = 0


# ---- marks and funding
cdef void margin_set_mark(SimExchange* x, int instrument, int64_t mark_e8, int64_t now_ns) noexcept nogil:
    cdef MarginMarket* m = margin_market(x, instrument)
    cdef MarginSlot* s
    cdef int k
    x.now_ns = now_ns
    m.mark_e8 = mark_e8
    for k in range(m.holder_count):
        s = margin_peek(x, m.holders[k], instrument)
        margin_refresh(x, s)
        margin_watch_slot(x, s)
    margin_after(x, instrument)
    exchange_set_mark(x, instrument, mark_e8 // m.tick_e8, now_ns)


cdef void margin_fund(SimExchange* x, int instrument, int64_t rate_e8, int64_t now_ns) noexcept nogil:
    cdef MarginSlot* s
    cdef MarginLeg* g
    cdef MarginWallet* fund = margin_wallet(x, SIM_ACCOUNT_INSURANCE, x.instruments[instrument].quote_asset)
    cdef MarginMarket* m = margin_market(x, instrument)
    cdef int128 total = 0
    cdef int128 amount
    cdef SimEvent* e
    cdef int account, leg
    x.now_ns = now_ns
    for account in range(x.account_count):
        s = margin_peek(x, account, instrument)
        if s == NULL or s.holder_place < 0:
            continue
        for leg in range(2):
            g = &s.legs[leg]
            if g.lots == 0:
                continue
            amount = floor_div((-g.value_units if g.lots > 0 else g.value_units) * rate_e8, 100000000)
            total += amount
            if s.isolated:
                g.isolated_units += amount
            else:
                s.wallet.cross_units += amount
            if account >= SIM_ACCOUNT_FIRST:
                e = slot_event(x, s, leg, SIM_EVENT_FUNDING)
                if e != NULL:
                    e.qty_lots = g.lots
                    e.price_ticks = m.mark_e8 // m.tick_e8
                    e.value = <int64_t>amount
        margin_watch_slot(x, s)
    if fund != NULL:
        fund.cross_units -= total
        margin_balance_event(x, SIM_ACCOUNT_INSURANCE, fund.asset, -total, SIM_REASON_OK)
    margin_after(x, instrument)
