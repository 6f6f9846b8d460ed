"""Leverage, margin type, position mode, isolated margin, transfers, brackets: what is refused and with which reason.

The refusals are Binance's; the numbers stand beside MarginReason in margin.pxd
(https://developers.binance.com/docs/derivatives/usds-margined-futures/error-code, seen 2026-11-22).
"""
from libc.stdint cimport int32_t
from libc.stdlib cimport calloc

from tickpath.sim.core cimport (
    SIM_ACCOUNT_FEES, SIM_ACCOUNT_FIRST, SIM_ACCOUNT_HOUSE, SIM_ACCOUNT_INSURANCE, SIM_EVENT_BALANCE, SIM_KIND_PERPETUAL,
    SIM_REASON_OK, SimBalance, SimEvent, SimHolding, exchange_event,
)
from tickpath.sim.margin cimport (
    MARGIN_ADD_NOT_ISOLATED, MARGIN_AMOUNT_NOT_POSITIVE, MARGIN_BAD_BRACKETS, MARGIN_BRACKETS_MAX, MARGIN_CROSS_INSUFFICIENT,
    MARGIN_ISOLATED_INSUFFICIENT, MARGIN_ISOLATED_LEVERAGE_REDUCE, MARGIN_LEG_LONG, MARGIN_LEG_SHORT, MARGIN_LEVERAGE_CAP,
    MARGIN_LEVERAGE_INVALID, MARGIN_LEVERAGE_TOO_LOW, MARGIN_MEMORY, MARGIN_MODE_OPEN_ORDERS, MARGIN_MODE_POSITION,
    MARGIN_NO_NEED_TO_CHANGE_MODE, MARGIN_NO_NEED_TO_CHANGE_TYPE, MARGIN_NO_POSITION, MARGIN_NOT_PERPETUAL, MARGIN_OK,
    MARGIN_OPEN_ORDERS, MARGIN_POSITION, MARGIN_TRANSFER_INSUFFICIENT, MARGIN_UNKNOWN_ACCOUNT, POSITION_SIDE_BOTH,
    POSITION_SIDE_SHORT, MarginAccount, MarginLeg, MarginMarket, MarginSlot, MarginState, MarginWallet, ceil_div,
    margin_account, margin_cap, margin_free, margin_market, margin_max_withdraw, margin_peek, margin_present, margin_refresh,
    margin_release_all, margin_slot, margin_wallet, margin_watch_slot,
)
from tickpath.sim.margin_liquidation cimport margin_after, margin_balance_event
from tickpath.sim.margin_orders cimport margin_allowed, margin_amend, margin_release, margin_reserve, margin_trade

# Without brackets of its own an instrument has one: no cap, leverage to 125, maintenance margin 0.4 %.
cdef enum: DEFAULT_MAX_LEVERAGE = 125
cdef enum: DEFAULT_RATE_E8 = 400000
cdef enum: DEFAULT_CALL_RATE_E8 = 80000000
# More than an asset's supply may be.
cdef int64_t AMOUNT_MAX = <int64_t>1 << 61


cdef bint margin_attach(SimExchange* x) noexcept nogil:
    cdef MarginState* state
    if x.perpetual != NULL:
        return True
    state = <MarginState*>calloc(1, sizeof(MarginState))
    if state == NULL:
        return False
    state.funds.reserve = margin_reserve
    state.funds.release = margin_release
    state.funds.trade = margin_trade
    state.funds.allowed = margin_allowed
    state.funds.amend = margin_amend
    state.funds.after = margin_after
    state.funds.free = margin_release_all
    state.call_rate_e8 = DEFAULT_CALL_RATE_E8
    x.perpetual = &state.funds
    return True


cdef int64_t gcd(int64_t a, int64_t b) noexcept nogil:
    cdef int64_t rest
    while b != 0:
        rest = a % b
        a = b
        b = rest
    return a


cdef int margin_add_instrument(SimExchange* x, int instrument, int64_t tick_e8) noexcept nogil:
    cdef MarginMarket* m
    cdef int64_t factor
    if not margin_attach(x):
        return MARGIN_MEMORY
    if x.instruments[instrument].margin != NULL:
        return MARGIN_OK
    m = <MarginMarket*>calloc(1, sizeof(MarginMarket))
    if m == NULL:
        return MARGIN_MEMORY
    m.tick_e8 = tick_e8
    factor = gcd(x.instruments[instrument].quote_multiplier, tick_e8)
    m.value_multiplier = x.instruments[instrument].quote_multiplier // factor
    m.value_divisor = x.instruments[instrument].quote_divisor * (tick_e8 // factor)
    m.bracket_count = 1
    m.brackets[0].cap_units = (<int128>1) << 80
    m.brackets[0].rate_e8 = DEFAULT_RATE_E8
    m.brackets[0].max_leverage = DEFAULT_MAX_LEVERAGE
    x.instruments[instrument].margin = m
    # The venue's own accounts are there before the first trade, so that a fill never has to ask for memory for them.
    if (margin_slot(x, SIM_ACCOUNT_HOUSE, instrument) == NULL or margin_slot(x, SIM_ACCOUNT_INSURANCE, instrument) == NULL
            or margin_wallet(x, SIM_ACCOUNT_FEES, x.instruments[instrument].quote_asset) == NULL):
        return MARGIN_MEMORY
    return MARGIN_OK


cdef inline MarginSlot* slot_of(SimExchange* x, uint32_t account, int instrument, int* reason) noexcept nogil:
    cdef MarginSlot* s
    if account >= <uint32_t>x.account_count:
        reason[0] = MARGIN_UNKNOWN_ACCOUNT
        return NULL
    if (instrument < 0 or instrument >= x.instrument_count or x.instruments[instrument].kind != SIM_KIND_PERPETUAL
            or x.instruments[instrument].margin == NULL):
        reason[0] = MARGIN_NOT_PERPETUAL
        return NULL
    s = margin_slot(x, account, instrument)
    reason[0] = MARGIN_OK if s != NULL else MARGIN_MEMORY
    return s


cdef int margin_set_brackets(SimExchange* x, int instrument, const int64_t* caps_units, const int64_t* max_leverages,
                             const int64_t* rates_e8, int count) noexcept nogil:
    cdef MarginMarket* m = margin_market(x, instrument)
    cdef MarginSlot* s
    cdef int i
    if count < 1 or count > MARGIN_BRACKETS_MAX:
        return MARGIN_BAD_BRACKETS
    for i in range(count):
        if caps_units[i] <= (caps_units[i - 1] if i > 0 else 0) or max_leverages[i] < 1 or max_leverages[i] > 1000:
            return MARGIN_BAD_BRACKETS
        if rates_e8[i] <= 0 or rates_e8[i] > 100000000:
            return MARGIN_BAD_BRACKETS
        if i > 0 and (rates_e8[i] < rates_e8[i - 1] or max_leverages[i] > max_leverages[i - 1]):
            return MARGIN_BAD_BRACKETS
    m.bracket_count = count
    for i in range(count):
        m.brackets[i].floor_units = caps_units[i - 1] if i > 0 else 0
        m.brackets[i].cap_units = caps_units[i]
        m.brackets[i].rate_e8 = rates_e8[i]
        m.brackets[i].max_leverage = <int32_t>max_leverages[i]
        m.brackets[i].cum_e8 = 0
        if i > 0:
            m.brackets[i].cum_e8 = m.brackets[i - 1].cum_e8 + m.brackets[i].floor_units * (rates_e8[i] - rates_e8[i - 1])
    for i in range(x.account_count):
        s = margin_peek(x, i, instrument)
        if s == NULL:
            continue
        if s.leverage > m.brackets[0].max_leverage:
            s.leverage = m.brackets[0].max_leverage
        margin_refresh(x, s)
        margin_watch_slot(x, s)
    margin_after(x, instrument)
    return MARGIN_OK


cdef int margin_set_leverage(SimExchange* x, uint32_t account, int instrument, int leverage) noexcept nogil:
    cdef int reason = MARGIN_OK
    cdef MarginSlot* s = slot_of(x, account, instrument, &reason)
    cdef int128 present[2]
    cdef int128 cap, before
    cdef int old
    cdef bint hedge
    if s == NULL:
        return reason
    if leverage < 1 or leverage > s.market.brackets[0].max_leverage:
        return MARGIN_LEVERAGE_INVALID
    if leverage == s.leverage:
        return MARGIN_OK
    if s.isolated and leverage < s.leverage and (s.legs[0].lots != 0 or s.legs[1].lots != 0):
        return MARGIN_ISOLATED_LEVERAGE_REDUCE
    hedge = (<MarginAccount*>x.accounts[account].margin).hedge
    if x.accounts[account].checked:
        margin_present(s, hedge, s.bid_units, s.ask_units, present)
        cap = margin_cap(s.market, leverage)
        if present[0] > cap or present[1] > cap:
            return MARGIN_LEVERAGE_CAP
    before = margin_free(s.wallet)
    old = s.leverage
    s.leverage = leverage
    margin_refresh(x, s)
    # A lower leverage needs more margin: refused where the wallet does not have it.
    if x.accounts[account].checked and margin_free(s.wallet) < 0 and margin_free(s.wallet) < before:
        s.leverage = old
        margin_refresh(x, s)
        return MARGIN_LEVERAGE_TOO_LOW
    return MARGIN_OK


cdef int margin_set_type(SimExchange* x, uint32_t account, int instrument, bint isolated) noexcept nogil:
    cdef int reason = MARGIN_OK
    cdef MarginSlot* s = slot_of(x, account, instrument, &reason)
    cdef SimHolding* h
    if s == NULL:
        return reason
    if account < SIM_ACCOUNT_FIRST:
        return MARGIN_UNKNOWN_ACCOUNT     # the venue's own accounts are cross, one-way
    if s.isolated == isolated:
        return MARGIN_NO_NEED_TO_CHANGE_TYPE
    h = &x.holdings[<int64_t>account * x.instrument_stride + instrument]
    if h.open_orders != 0:
        return MARGIN_OPEN_ORDERS
    if s.legs[0].lots != 0 or s.legs[1].lots != 0:
        return MARGIN_POSITION
    s.isolated = isolated                 # nothing held, nothing ordered: it adds nothing to either sum
    return MARGIN_OK


cdef int margin_set_mode(SimExchange* x, uint32_t account, bint hedge) noexcept nogil:
    cdef MarginAccount* a
    cdef MarginSlot* s
    cdef SimHolding* h
    cdef int128 realised
    cdef int i, leg
    if account >= <uint32_t>x.account_count or account < SIM_ACCOUNT_FIRST:
        return MARGIN_UNKNOWN_ACCOUNT
    a = margin_account(x, account)
    if a == NULL:
        return MARGIN_MEMORY
    if a.hedge == hedge:
        return MARGIN_NO_NEED_TO_CHANGE_MODE
    for i in range(x.instrument_count):
        h = &x.holdings[<int64_t>account * x.instrument_stride + i]
        if x.instruments[i].kind == SIM_KIND_PERPETUAL and h.open_orders != 0:
            return MARGIN_MODE_OPEN_ORDERS
    for i in range(a.wallet_capacity):
        if a.wallets[i] != NULL and a.wallets[i].open_legs != 0:
            return MARGIN_MODE_POSITION
    a.hedge = hedge
    for i in range(a.slot_capacity):
        s = a.slots[i]
        if s == NULL:
            continue
        for leg in range(2):
            # BOTH, LONG and SHORT are positions of their own, each with what it has realised.
            realised = s.legs[leg].realised_units
            s.legs[leg].realised_units = s.parked_units[leg]
            s.parked_units[leg] = realised
    return MARGIN_OK


cdef int128 margin_isolated_excess(SimExchange* x, uint32_t account, int instrument, int leg) noexcept nogil:
    cdef MarginSlot* s = margin_peek(x, account, instrument)
    cdef MarginLeg* g
    cdef int128 most, other
    if s == NULL or not s.isolated or s.legs[leg].lots == 0:
        return 0
    g = &s.legs[leg]
    most = g.isolated_units - g.need_units
    other = g.isolated_units + g.pnl_units - ceil_div(g.value_units, s.leverage)
    if other < most:
        most = other
    return most if most > 0 else 0


cdef int margin_move_isolated(SimExchange* x, uint32_t account, int instrument, int position_side, int64_t units) noexcept nogil:
    cdef int reason = MARGIN_OK
    cdef MarginSlot* s = slot_of(x, account, instrument, &reason)
    cdef MarginWallet* w
    cdef MarginLeg* g
    cdef int leg = MARGIN_LEG_SHORT if position_side == POSITION_SIDE_SHORT else MARGIN_LEG_LONG
    if s == NULL:
        return reason
    if units == 0:
        return MARGIN_AMOUNT_NOT_POSITIVE
    if not s.isolated:
        return MARGIN_ADD_NOT_ISOLATED
    g = &s.legs[leg]
    if g.lots == 0 or (<MarginAccount*>x.accounts[account].margin).hedge != (position_side != POSITION_SIDE_BOTH):
        return MARGIN_NO_POSITION
    w = s.wallet
    if units > 0 and units > margin_max_withdraw(w):
        return MARGIN_CROSS_INSUFFICIENT
    if units < 0 and -<int128>units > margin_isolated_excess(x, account, instrument, leg):
        return MARGIN_ISOLATED_INSUFFICIENT
    g.isolated_units += units
    w.cross_units -= units
    margin_refresh(x, s)
    margin_watch_slot(x, s)
    margin_after(x, instrument)
    return MARGIN_OK


cdef int margin_transfer(SimExchange* x, uint32_t account, int asset, int64_t units) noexcept nogil:
    cdef MarginWallet* w
    cdef SimBalance* b
    cdef SimEvent* e
    if account >= <uint32_t>x.account_count:
        return MARGIN_UNKNOWN_ACCOUNT
    if units == 0:
        return MARGIN_AMOUNT_NOT_POSITIVE
    if units > AMOUNT_MAX or units < -AMOUNT_MAX:
        return MARGIN_TRANSFER_INSUFFICIENT
    if x.perpetual == NULL:
        return MARGIN_NOT_PERPETUAL
    w = margin_wallet(x, account, asset)
    if w == NULL:
        return MARGIN_MEMORY
    b = &x.balances[<int64_t>account * x.asset_stride + asset]
    if x.accounts[account].checked:
        if units > 0 and b.free < units:
            return MARGIN_TRANSFER_INSUFFICIENT
        if units < 0 and -<int128>units > margin_max_withdraw(w):
            return MARGIN_TRANSFER_INSUFFICIENT
    b.free -= units
    w.cross_units += units
    e = exchange_event(x, SIM_EVENT_BALANCE)
    if e != NULL:
        e.account = account
        e.fee_asset = asset
        e.value = -units
    margin_balance_event(x, account, asset, units, SIM_REASON_OK)
    return MARGIN_OK
