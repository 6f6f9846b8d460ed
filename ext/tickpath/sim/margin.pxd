# Margin of perpetual contracts: positions, wallets, what orders and positions need of them. Hot; owned by the exchange's thread.
#
# The rules are those of Binance's USD-M futures in single-asset mode (in words, with sources: docs/simulation-futures.md).
# core.pyx reaches this through SimExchange.perpetual: reserve -> (allowed) -> trade -> release -> after. What a fill or an order
# changes is O(1): every slot keeps what it adds to its wallet's sums, and only the difference is carried over. A mark
# price costs the accounts that hold a position in the instrument, which is why it keeps a list of them (holders).
#
#   margin.pyx              this state, positions
#   margin_orders.pyx       what orders need, the two parties of a trade
#   margin_liquidation.pyx  marks, funding, liquidation, what follows a fill
#   margin_settings.pyx     leverage, margin type, position mode, isolated margin, transfers, brackets
#   margin_face.pyx         all of it from Python
#
# Units: *_units count 10^-decimals of the margin asset, which is the instrument's quote asset, in 128 bits; *_e8 is 1e-8 of the
# quote asset (prices) or of one (rates). A position's cost is kept, never an averaged price: what a partial close takes of it is
# rounded down to a unit and the remainder stays, so that no unit is made or lost. Requirements are rounded up, values down.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t

from tickpath.sim.core cimport SimExchange, SimFunds, SimInstrument
from tickpath.types cimport int128

cdef enum: MARGIN_BRACKETS_MAX = 32
cdef enum: MARGIN_LEG_LONG = 0            # one-way mode: the position whatever its side
cdef enum: MARGIN_LEG_SHORT = 1
cdef enum: MARGIN_DEFAULT_LEVERAGE = 20

# SimOrder.position_side
cdef enum: POSITION_SIDE_BOTH = 0
cdef enum: POSITION_SIDE_LONG = 1
cdef enum: POSITION_SIDE_SHORT = 2

# SimOrder.mark2
cdef enum: MARGIN_ORDER_CLOSES = 1        # hedge mode: counted in its leg's close_lots

# Why a change of settings was refused. An order's refusals are SimReason; the numbers do not overlap.
cpdef enum MarginReason:
    MARGIN_OK = 0
    MARGIN_NOT_PERPETUAL = 64
    MARGIN_UNKNOWN_ACCOUNT = 65
    MARGIN_MEMORY = 66
    MARGIN_LEVERAGE_INVALID = 67          # Binance -4028
    MARGIN_LEVERAGE_TOO_LOW = 68          # -2028: the balance does not suffice at the lower leverage
    MARGIN_LEVERAGE_CAP = 69              # -2027: position and orders exceed what this leverage allows
    MARGIN_ISOLATED_LEVERAGE_REDUCE = 70  # -4161
    MARGIN_NO_NEED_TO_CHANGE_TYPE = 71    # -4046
    MARGIN_OPEN_ORDERS = 72               # -4047
    MARGIN_POSITION = 73                  # -4048
    MARGIN_ADD_NOT_ISOLATED = 74          # -4049
    MARGIN_CROSS_INSUFFICIENT = 75        # -4050
    MARGIN_ISOLATED_INSUFFICIENT = 76     # -4051
    MARGIN_NO_POSITION = 77               # -4054
    MARGIN_AMOUNT_NOT_POSITIVE = 78       # -4055
    MARGIN_NO_NEED_TO_CHANGE_MODE = 79    # -4059
    MARGIN_MODE_OPEN_ORDERS = 80          # -4067
    MARGIN_MODE_POSITION = 81             # -4068
    MARGIN_TRANSFER_INSUFFICIENT = 82     # more than may be withdrawn, or than the spot balance has
    MARGIN_BAD_BRACKETS = 83

# Notional from floor (exclusive) to cap (inclusive): maintenance margin = notional x rate - cum.
cdef struct MarginBracket:
    int128 floor_units
    int128 cap_units
    int128 cum_e8                         # units x 1e8
    int64_t rate_e8
    int32_t max_leverage

cdef struct MarginMarket:                 # SimInstrument.margin
    MarginBracket[32] brackets
    int64_t mark_e8                       # 0 = none yet; the first trade sets it where nobody else does
    int64_t tick_e8
    int64_t value_multiplier              # value of lots at mark: lots x mark_e8 x multiplier / divisor units
    int64_t value_divisor
    int64_t liquidation_rate_e8           # fee on what a liquidation order fills
    int32_t bracket_count
    int32_t holder_count
    int32_t holder_capacity
    int32_t* holders                      # accounts with a position here

cdef struct MarginWallet:
    int128 cross_units                    # money that is not in an isolated position
    int128 cross_pnl_units                # unrealised, of cross positions
    int128 cross_margin_units             # initial margin of cross positions and orders
    int128 cross_need_units               # maintenance margin of cross positions
    int128 order_margin_units             # initial margin of orders of isolated instruments
    int32_t asset
    int32_t open_legs
    uint8_t called                        # a margin call has been sent and still holds

cdef struct MarginLeg:
    int64_t lots                          # signed
    int64_t updated_ns
    int128 cost_units                     # signed as lots
    int128 isolated_units
    int128 realised_units                 # before fees and funding
    int128 carried_units                  # fees paid less profit realised since the leg was last flat
    int128 value_units                    # at the last mark, never negative
    int128 pnl_units                      # unrealised
    int128 need_units                     # maintenance margin
    int64_t close_lots                    # hedge mode: open in orders that close this leg
    uint8_t called

cdef struct MarginSlot:                   # an account in an instrument
    MarginLeg[2] legs
    int128 bid_units                      # notional of open orders that may open a position, by side
    int128 ask_units
    int128 margin_units                   # initial margin of position and orders, as counted in the wallet
    int128 position_margin_units          # of it the position's
    int128[2] parked_units                # realised_units of the legs in the position mode that is not on
    MarginWallet* wallet
    MarginMarket* market
    int32_t account
    int32_t instrument
    int32_t leverage
    int32_t holder_place                  # -1 = holds nothing
    uint8_t isolated
    uint8_t reduced                       # a leg went flat or over: reduce-only orders may have to go

cdef struct MarginAccount:                # SimAccount.margin
    MarginSlot** slots                    # by instrument; NULL = never touched
    MarginWallet** wallets                # by asset
    int32_t slot_capacity
    int32_t wallet_capacity
    uint8_t hedge
    uint8_t watched                       # in MarginState.watched

cdef struct MarginState:                  # SimExchange.perpetual points at its first field
    SimFunds funds
    int32_t* watched                      # accounts to be looked at when the action is over
    int32_t watched_count
    int32_t watched_capacity
    int64_t call_rate_e8                  # maintenance margin over balance at which a margin call is sent
    int32_t busy
    int32_t unused

cdef inline MarginState* margin_state(SimExchange* x) noexcept nogil:
    return <MarginState*>x.perpetual

cdef inline MarginMarket* margin_market(SimExchange* x, int instrument) noexcept nogil:
    return <MarginMarket*>x.instruments[instrument].margin

cdef inline MarginSlot* margin_peek(SimExchange* x, uint32_t account, int instrument) noexcept nogil:
    """The slot if it exists."""
    cdef MarginAccount* a = <MarginAccount*>x.accounts[account].margin
    if a == NULL or instrument >= a.slot_capacity:
        return NULL
    return a.slots[instrument]

cdef inline MarginWallet* wallet_peek(SimExchange* x, uint32_t account, int asset) noexcept nogil:
    cdef MarginAccount* a = <MarginAccount*>x.accounts[account].margin
    if a == NULL or asset >= a.wallet_capacity:
        return NULL
    return a.wallets[asset]

# ---- arithmetic
cdef inline int128 floor_div(int128 a, int128 b) noexcept nogil:
    """b > 0."""
    cdef int128 q = a // b
    if a < 0 and q * b != a:
        q -= 1
    return q

cdef inline int128 ceil_div(int128 a, int128 b) noexcept nogil:
    """b > 0."""
    cdef int128 q = a // b
    if a > 0 and q * b != a:
        q += 1
    return q

cdef inline int128 instrument_notional(const SimInstrument* i, int64_t price_ticks, int64_t lots) noexcept nogil:
    """Of positive lots; the core's own rule, in 128 bits."""
    cdef int128 n = <int128>price_ticks * lots * i.quote_multiplier
    return n if i.quote_divisor == 1 else n // i.quote_divisor

cdef inline int128 margin_value(const MarginMarket* m, int64_t lots) noexcept nogil:
    cdef int128 n = <int128>(lots if lots >= 0 else -lots) * m.mark_e8 * m.value_multiplier
    return n if m.value_divisor == 1 else n // m.value_divisor

cdef inline int128 margin_need(const MarginMarket* m, int128 value_units) noexcept nogil:
    """Maintenance margin of a notional; rates beyond the last cap are the last bracket's."""
    cdef int i = 0
    if value_units == 0:
        return 0
    while i < m.bracket_count - 1 and value_units > m.brackets[i].cap_units:
        i += 1
    return ceil_div(value_units * m.brackets[i].rate_e8 - m.brackets[i].cum_e8, 100000000)

cdef inline int128 margin_cap(const MarginMarket* m, int leverage) noexcept nogil:
    """The largest notional that a leverage allows, 0 = none."""
    cdef int i = m.bracket_count - 1
    while i >= 0:
        if m.brackets[i].max_leverage >= leverage:
            return m.brackets[i].cap_units
        i -= 1
    return 0

cdef inline int128 margin_free(const MarginWallet* w) noexcept nogil:
    """What new orders may use; negative when losses have eaten into what is needed."""
    return w.cross_units + w.cross_pnl_units - w.cross_margin_units - w.order_margin_units

cdef inline int128 margin_max_withdraw(const MarginWallet* w) noexcept nogil:
    cdef int128 most = w.cross_units - w.order_margin_units - w.cross_need_units
    cdef int128 free = margin_free(w)
    if free < most:
        most = free
    return most if most > 0 else 0

cdef inline bint cross_is_due(const MarginWallet* w) noexcept nogil:
    return w.cross_need_units > 0 and w.cross_units + w.cross_pnl_units <= w.cross_need_units

cdef inline bint leg_is_due(const MarginLeg* g) noexcept nogil:
    """Of an isolated leg."""
    return g.need_units > 0 and g.isolated_units + g.pnl_units <= g.need_units

# ---- margin.pyx: state
cdef MarginAccount* margin_account(SimExchange* x, uint32_t account) noexcept nogil            # NULL: no memory
cdef MarginWallet* margin_wallet(SimExchange* x, uint32_t account, int asset) noexcept nogil
cdef MarginSlot* margin_slot(SimExchange* x, uint32_t account, int instrument) noexcept nogil
cdef void margin_release_all(SimExchange* x) noexcept nogil                                     # SimFunds.free
# ---- margin.pyx: hot
cdef void margin_present(const MarginSlot* s, bint hedge, int128 bid_units, int128 ask_units, int128* present) noexcept nogil
cdef void margin_refresh(SimExchange* x, MarginSlot* s) noexcept nogil
cdef void margin_watch(SimExchange* x, uint32_t account) noexcept nogil
cdef void margin_watch_slot(SimExchange* x, MarginSlot* s) noexcept nogil
cdef int128 margin_fill(SimExchange* x, MarginSlot* s, int leg, int64_t signed_lots, int64_t price_ticks) noexcept nogil
