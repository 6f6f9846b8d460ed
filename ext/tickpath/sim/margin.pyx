"""The state of margin: what accounts hold, what it is worth and what it needs. See margin.pxd for the parts."""
from libc.stdlib cimport calloc, free, realloc

from tickpath.types cimport likely, unlikely


# ---- state
cdef void* grown(void* array, int32_t* capacity, int needed, size_t size) noexcept nogil:
    """The array with room for `needed` entries, new ones zero; NULL (and the old one untouched) without memory."""
    cdef int32_t wanted = capacity[0] if capacity[0] > 0 else 8
    cdef char* moved
    cdef size_t k
    while wanted < needed:
        wanted *= 2
    moved = <char*>realloc(array, wanted * size)
    if moved == NULL:
        return NULL
    for k in range(capacity[0] * size, wanted * size):
        moved[k] = 0
    capacity[0] = wanted
    return moved


cdef MarginAccount* margin_account(SimExchange* x, uint32_t account) noexcept nogil:
    if x.accounts[account].margin == NULL:
        x.accounts[account].margin = calloc(1, sizeof(MarginAccount))
    return <MarginAccount*>x.accounts[account].margin


cdef MarginWallet* margin_wallet(SimExchange* x, uint32_t account, int asset) noexcept nogil:
    cdef MarginAccount* a = margin_account(x, account)
    cdef void* array
    if unlikely(a == NULL):
        return NULL
    if asset >= a.wallet_capacity:
        array = grown(a.wallets, &a.wallet_capacity, asset + 1, sizeof(MarginWallet*))
        if array == NULL:
            return NULL
        a.wallets = <MarginWallet**>array
    if a.wallets[asset] == NULL:
        a.wallets[asset] = <MarginWallet*>calloc(1, sizeof(MarginWallet))
        if a.wallets[asset] != NULL:
            a.wallets[asset].asset = asset
    return a.wallets[asset]


cdef MarginSlot* margin_slot(SimExchange* x, uint32_t account, int instrument) noexcept nogil:
    cdef MarginSlot* s = margin_peek(x, account, instrument)
    cdef MarginAccount* a
    cdef MarginWallet* w
    cdef void* array
    if likely(s != NULL):
        return s
    a = margin_account(x, account)
    w = margin_wallet(x, account, x.instruments[instrument].quote_asset)
    if a == NULL or w == NULL or x.instruments[instrument].margin == NULL:
        return NULL
    if instrument >= a.slot_capacity:
        array = grown(a.slots, &a.slot_capacity, instrument + 1, sizeof(MarginSlot*))
        if array == NULL:
            return NULL
        a.slots = <MarginSlot**>array
    s = <MarginSlot*>calloc(1, sizeof(MarginSlot))
    if s == NULL:
        return NULL
    s.wallet = w
    s.market = margin_market(x, instrument)
    s.account = account
    s.instrument = instrument
    s.leverage = MARGIN_DEFAULT_LEVERAGE
    if s.leverage > s.market.brackets[0].max_leverage:
        s.leverage = s.market.brackets[0].max_leverage
    s.holder_place = -1
    a.slots[instrument] = s
    return s


cdef void margin_release_all(SimExchange* x) noexcept nogil:
    cdef MarginState* state = margin_state(x)
    cdef MarginAccount* a
    cdef MarginMarket* m
    cdef int i, k
    for i in range(x.account_count):
        a = <MarginAccount*>x.accounts[i].margin
        if a == NULL:
            continue
        for k in range(a.slot_capacity):
            free(a.slots[k])
        for k in range(a.wallet_capacity):
            free(a.wallets[k])
        free(a.slots)
        free(a.wallets)
        free(a)
        x.accounts[i].margin = NULL
    for i in range(x.instrument_count):
        m = <MarginMarket*>x.instruments[i].margin
        if m != NULL:
            free(m.holders)
            free(m)
            x.instruments[i].margin = NULL
    if state != NULL:
        free(state.watched)
        free(state)
        x.perpetual = NULL


# ---- what a slot adds to its wallet
cdef void margin_present(const MarginSlot* s, bint hedge, int128 bid_units, int128 ask_units,
                         int128* present) noexcept nogil:
    """Notional that needs initial margin, by leg: one-way, the worse of "all bids fill" and "all asks fill"."""
    cdef int128 value = s.legs[0].value_units
    cdef int128 up, down
    if hedge:
        present[0] = value + bid_units
        present[1] = s.legs[1].value_units + ask_units
        return
    if s.legs[0].lots < 0:
        value = -value
    up = value + bid_units
    down = value - ask_units
    if up < 0:
        up = -up
    if down < 0:
        down = -down
    present[0] = up if up > down else down
    present[1] = 0


cdef inline void slot_count(MarginSlot* s, int sign) noexcept nogil:
    cdef MarginWallet* w = s.wallet
    if s.isolated:
        w.order_margin_units += sign * (s.margin_units - s.position_margin_units)
    else:
        w.cross_pnl_units += sign * (s.legs[0].pnl_units + s.legs[1].pnl_units)
        w.cross_need_units += sign * (s.legs[0].need_units + s.legs[1].need_units)
        w.cross_margin_units += sign * s.margin_units


cdef void hold(SimExchange* x, MarginSlot* s) noexcept nogil:
    """Keep the instrument's list of holders and the wallet's count of open legs."""
    cdef MarginMarket* m = s.market
    cdef bint holds = s.legs[0].lots != 0 or s.legs[1].lots != 0
    cdef int32_t last
    cdef void* array
    if holds == (s.holder_place >= 0):
        return
    if holds:
        if m.holder_count >= m.holder_capacity:
            array = grown(m.holders, &m.holder_capacity, m.holder_count + 1, sizeof(int32_t))
            if array == NULL:
                x.lost_events += 1        # its marks come by fills alone; counted, and no worse than a lost event
                return
            m.holders = <int32_t*>array
        s.holder_place = m.holder_count
        m.holders[m.holder_count] = s.account
        m.holder_count += 1
    else:
        m.holder_count -= 1
        last = m.holders[m.holder_count]
        if last != s.account:
            m.holders[s.holder_place] = last
            margin_peek(x, last, s.instrument).holder_place = s.holder_place
        s.holder_place = -1


cdef void margin_refresh(SimExchange* x, MarginSlot* s) noexcept nogil:
    """Value the slot anew (its fill, order, mark or settings have changed) and carry the difference into its wallet."""
    cdef MarginMarket* m = s.market
    cdef MarginLeg* g
    cdef int128 present[2]
    cdef bint hedge = (<MarginAccount*>x.accounts[s.account].margin).hedge
    cdef int k
    slot_count(s, -1)
    s.position_margin_units = 0
    for k in range(2 if hedge else 1):
        g = &s.legs[k]
        if g.lots == 0:
            g.value_units = 0
            g.pnl_units = 0
            g.need_units = 0
        else:
            g.value_units = margin_value(m, g.lots)
            g.pnl_units = (g.value_units if g.lots > 0 else -g.value_units) - g.cost_units
            g.need_units = margin_need(m, g.value_units)
            s.position_margin_units += ceil_div(g.value_units, s.leverage)
    if s.bid_units == 0 and s.ask_units == 0:
        s.margin_units = s.position_margin_units
    else:
        margin_present(s, hedge, s.bid_units, s.ask_units, present)
        s.margin_units = ceil_div(present[0], s.leverage) + ceil_div(present[1], s.leverage)
    slot_count(s, 1)


cdef void margin_watch(SimExchange* x, uint32_t account) noexcept nogil:
    """Have the account looked at when the action is over (margin_after)."""
    cdef MarginState* state = margin_state(x)
    cdef MarginAccount* a = <MarginAccount*>x.accounts[account].margin
    cdef void* array
    if a.watched:
        return
    if state.watched_count >= state.watched_capacity:
        array = grown(state.watched, &state.watched_capacity, state.watched_count + 1, sizeof(int32_t))
        if array == NULL:
            x.lost_events += 1            # the next mark finds it again
            return
        state.watched = <int32_t*>array
    a.watched = 1
    state.watched[state.watched_count] = account
    state.watched_count += 1


cdef inline bint calls(int64_t rate_e8, int128 need, int128 balance) noexcept nogil:
    return need > 0 and need * 100000000 >= balance * rate_e8


cdef void margin_watch_slot(SimExchange* x, MarginSlot* s) noexcept nogil:
    """Watch the account where the slot or its wallet asks for something: liquidation, a call, cover, reduce-only orders."""
    cdef MarginState* state = margin_state(x)
    cdef MarginWallet* w = s.wallet
    cdef MarginLeg* g
    cdef int k
    if s.reduced:
        margin_watch(x, s.account)
    if not x.accounts[s.account].checked:
        return
    if s.isolated:
        for k in range(2):
            g = &s.legs[k]
            if leg_is_due(g) or calls(state.call_rate_e8, g.need_units, g.isolated_units + g.pnl_units) != g.called:
                margin_watch(x, s.account)
    # An isolated fill takes its margin out of the cross wallet, so that one is looked at in either case.
    if cross_is_due(w) or calls(state.call_rate_e8, w.cross_need_units, w.cross_units + w.cross_pnl_units) != w.called:
        margin_watch(x, s.account)
    if w.cross_units < 0 and w.open_legs == 0:
        margin_watch(x, s.account)

# ---- positions
cdef inline int64_t size_of(int64_t lots) noexcept nogil:
    return lots if lots >= 0 else -lots


cdef int128 margin_fill(SimExchange* x, MarginSlot* s, int leg, int64_t signed_lots, int64_t price_ticks) noexcept nogil:
    """Lots bought (+) or sold (-) by a leg: close what is held against them, open the rest. Returns the realised profit.

    The caller refreshes the slot. A loss that an isolated position's margin does not cover is the wallet's (the account's own
    order went beyond the bankruptcy price; the venue's own never does).
    """
    cdef SimInstrument* i = &x.instruments[s.instrument]
    cdef MarginLeg* g = &s.legs[leg]
    cdef int64_t lots = size_of(signed_lots)
    cdef int64_t held = size_of(g.lots)
    cdef int64_t closed = 0
    cdef int128 share, freed, proceeds, credit, margin, cost
    cdef int128 realised = 0
    cdef bint was_open = g.lots != 0
    cdef bint was_long = g.lots > 0
    if s.market.mark_e8 == 0:
        s.market.mark_e8 = price_ticks * s.market.tick_e8
    if was_open and was_long != (signed_lots > 0):
        closed = lots if lots < held else held
        cost = g.cost_units if was_long else -g.cost_units
        share = cost if closed == held else cost * closed // held
        freed = g.isolated_units if closed == held else floor_div(g.isolated_units * closed, held)
        proceeds = instrument_notional(i, price_ticks, closed)
        realised = proceeds - share if was_long else share - proceeds
        g.cost_units -= share if was_long else -share
        g.lots -= closed if was_long else -closed
        g.isolated_units -= freed
        credit = realised + freed
        if credit < 0 and g.isolated_units > 0:
            margin = g.isolated_units if g.isolated_units < -credit else -credit
            g.isolated_units -= margin
            credit += margin
        s.wallet.cross_units += credit
        g.realised_units += realised
        g.carried_units -= realised
        if g.lots == 0:
            g.carried_units = 0
            s.reduced = 1
    if lots > closed:
        cost = instrument_notional(i, price_ticks, lots - closed)
        g.lots += (lots - closed) if signed_lots > 0 else -(lots - closed)
        g.cost_units += cost if signed_lots > 0 else -cost
        if s.isolated:
            margin = ceil_div(cost, s.leverage)
            g.isolated_units += margin
            s.wallet.cross_units -= margin
    if was_open != (g.lots != 0):
        s.wallet.open_legs += -1 if was_open else 1
    g.updated_ns = x.now_ns
    hold(x, s)
    return realised
