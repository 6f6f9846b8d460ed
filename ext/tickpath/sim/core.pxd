# The matching engine of the simulated venue: accounts, instruments and a price-time order book a side. Hot; owned by one
# thread; a function of what it is given: no clock (time is an argument), no I/O, no randomness.
#
# Three users: the paper gateway of the engine (venue.pyx), the server (through exchange_base.pyx), and Python. What it assumes
# of a market is written down in docs/simulation.md.
#
#   exchange_submit -> filters -> reserve -> match (clients and the recorded market, best price first, at one price what is
#   displayed ahead of a client's order before the order) -> settle both parties -> rest | expire -> triggers -> events
#
# Money. Balances are counts of 10^-decimals of their asset. Account 0 is the house: the counterparty of the recorded market,
# may go negative. 1 takes the fees, 2 is the insurance fund; clients are 3 and up. Over all accounts an asset's sum changes by
# deposits and withdrawals alone. A notional that is not a whole number of units is rounded down, the same for both parties; a
# fee likewise.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from tickpath.sim.order_queues cimport SimLadder, SimOrder, SimPool

cdef enum: SIM_ACCOUNT_HOUSE = 0
cdef enum: SIM_ACCOUNT_FEES = 1
cdef enum: SIM_ACCOUNT_INSURANCE = 2
cdef enum: SIM_ACCOUNT_FIRST = 3
cdef enum: SIM_INSTRUMENTS_MAX = 1024
cdef enum: SIM_ASSETS_MAX = 1024
cdef enum: SIM_TIERS_MAX = 16
cdef enum: SIM_DAYS = 30                  # of volume that set the fee tier

# Order types: the first three are types.pxd's. A stop order is triggered by a price that moves against its side's wish to
# wait (buy: rises to it), a take-profit by one that moves the other way. Trailing is STOP_* or TAKE_PROFIT_* with trailing_bips.
cpdef enum SimOrderType:
    SIM_ORDER_INVALID = 0
    SIM_ORDER_MARKET = 1
    SIM_ORDER_LIMIT = 2
    SIM_ORDER_LIMIT_MAKER = 3
    SIM_ORDER_STOP_MARKET = 4             # Binance spot STOP_LOSS, futures STOP_MARKET
    SIM_ORDER_STOP_LIMIT = 5
    SIM_ORDER_TAKE_PROFIT_MARKET = 6
    SIM_ORDER_TAKE_PROFIT_LIMIT = 7

# FIX 59.
cpdef enum SimTif:
    SIM_TIF_INVALID = 0
    SIM_TIF_GTC = 1
    SIM_TIF_IOC = 3
    SIM_TIF_FOK = 4
    SIM_TIF_GTD = 6

cpdef enum SimStatus:
    SIM_STATUS_INVALID = 0
    SIM_STATUS_NEW = 1
    SIM_STATUS_PARTIALLY_FILLED = 2
    SIM_STATUS_FILLED = 3
    SIM_STATUS_CANCELED = 4
    SIM_STATUS_EXPIRED = 5
    SIM_STATUS_EXPIRED_IN_MATCH = 6       # by self-trade prevention

# Self-trade prevention; the incoming order's mode counts.
cpdef enum SimStp:
    SIM_STP_NONE = 0
    SIM_STP_EXPIRE_TAKER = 1
    SIM_STP_EXPIRE_MAKER = 2
    SIM_STP_EXPIRE_BOTH = 3
    SIM_STP_DECREMENT = 4

cpdef enum SimEventKind:
    SIM_EVENT_INVALID = 0
    SIM_EVENT_NEW = 1
    SIM_EVENT_TRADE = 2                   # one for each party that is a client: the taker's first
    SIM_EVENT_CANCELED = 3
    SIM_EVENT_EXPIRED = 4
    SIM_EVENT_TRIGGERED = 5
    SIM_EVENT_AMENDED = 6
    SIM_EVENT_PREVENTED = 7               # self-trade prevention took qty_lots from the order
    SIM_EVENT_LEVEL = 8                   # the clients' book shows qty_lots at price_ticks now
    SIM_EVENT_PUBLIC_TRADE = 9            # order_id the buyer's, counter_order_id the seller's; is_maker: the buyer is
    SIM_EVENT_LIQUIDATION = 10
    SIM_EVENT_FUNDING = 11
    SIM_EVENT_BALANCE = 12                # deposits and withdrawals: value = change, fee_asset = asset
    SIM_EVENT_MARGIN_CALL = 13
    SIM_EVENT_MARGIN_BALANCE = 14         # value = change of a margin wallet by a transfer or the fund, fee_asset = asset

# Why a request was refused, or an order ended before it was filled. Filters are checked in this order.
cpdef enum SimReason:
    SIM_REASON_OK = 0
    SIM_REASON_PRICE_FILTER = 1
    SIM_REASON_LOT_SIZE = 2
    SIM_REASON_MARKET_LOT_SIZE = 3
    SIM_REASON_MIN_NOTIONAL = 4
    SIM_REASON_PERCENT_PRICE = 5
    SIM_REASON_MAX_ORDERS = 6
    SIM_REASON_MAX_ALGO_ORDERS = 7
    SIM_REASON_ICEBERG_PARTS = 8
    SIM_REASON_INSUFFICIENT_BALANCE = 9
    SIM_REASON_WOULD_TAKE = 10            # post-only, and it would trade at once
    SIM_REASON_WOULD_TRIGGER = 11         # its stop has been passed already
    SIM_REASON_UNKNOWN_ORDER = 12
    SIM_REASON_REDUCE_ONLY = 13
    SIM_REASON_MARGIN = 14
    SIM_REASON_NO_LIQUIDITY = 15          # a market order found an empty book, or its rest did
    SIM_REASON_CLOSED = 16                # the instrument's status does not allow it
    SIM_REASON_FOK = 17
    SIM_REASON_IOC = 18
    SIM_REASON_MAX_POSITION = 19
    SIM_REASON_STP = 20
    SIM_REASON_UNKNOWN_INSTRUMENT = 21
    SIM_REASON_UNKNOWN_ACCOUNT = 22
    SIM_REASON_BAD_REQUEST = 23           # side, type and time in force that do not go together
    SIM_REASON_OVERFLOW = 24              # a number too large for the venue
    SIM_REASON_FULL = 25                  # the exchange holds as many orders as it can
    SIM_REASON_GTD = 26                   # it was good till then
    SIM_REASON_AMEND = 27                 # the amendment changes nothing, or is not possible for this order
    SIM_REASON_USER = 28                  # cancelled on request
    SIM_REASON_POSITION_SIDE = 29
    SIM_REASON_LEVERAGE = 30
    SIM_REASON_LIQUIDATED = 31
    SIM_REASON_MAX_NOTIONAL = 32
    SIM_REASON_MAX_ICEBERG_ORDERS = 33
    SIM_REASON_UNKNOWN_ASSET = 34
    SIM_REASON_VENUE = 35                 # the venue took it off (exchange_expire)

cpdef enum SimKind:
    SIM_KIND_SPOT = 0
    SIM_KIND_PERPETUAL = 1

cpdef enum SimInstrumentStatus:
    SIM_TRADING = 0
    SIM_HALT = 1
    SIM_CANCEL_ONLY = 2

cpdef enum SimActionKind:
    SIM_ACTION_INVALID = 0
    SIM_ACTION_SUBMIT = 1
    SIM_ACTION_CANCEL = 2
    SIM_ACTION_AMEND = 3
    SIM_ACTION_ADVANCE = 4
    SIM_ACTION_CANCEL_ALL = 5

# One request. 0 where a field does not apply.
cdef struct SimAction:
    int64_t now_ns
    int64_t price_ticks
    int64_t qty_lots
    uint64_t order_id                     # cancel, amend; 0 = the order of action `target` of the same run
    int64_t ref
    uint32_t account
    int32_t target                        # run: number of the action whose order is meant
    uint16_t instrument
    uint8_t kind                          # SimActionKind
    uint8_t side
    uint8_t order_type
    uint8_t time_in_force
    uint8_t stp
    uint8_t flags                         # SIM_FLAG_REDUCE_ONLY, CLOSE_POSITION, WORKING_MARK, POST_ONLY (margin: LIQUIDATION)
    uint8_t position_side
    uint8_t[3] unused
    int32_t trailing_bips
    int64_t quote_units
    int64_t stop_ticks
    int64_t activation_ticks
    int64_t iceberg_lots
    int64_t expire_ns

cdef struct SimResult:
    uint64_t order_id
    int64_t cum_lots
    int64_t cum_quote_units
    uint8_t reason
    uint8_t status
    uint8_t[6] unused

cdef struct SimEvent:
    uint64_t seq
    int64_t ts_ns
    uint64_t order_id
    int64_t ref
    int64_t price_ticks
    int64_t qty_lots                      # of this event: traded, prevented, left over
    int64_t cum_lots
    int64_t cum_quote_units
    int64_t fee_units
    uint64_t trade_id
    uint64_t counter_order_id             # 0 = the recorded market
    int64_t value                         # kind's own: notional of a trade, change of a balance, amount of funding
    int64_t pnl_units                     # futures: realised by the trade
    uint32_t account
    uint16_t instrument
    uint16_t fee_asset
    uint8_t kind
    uint8_t side
    uint8_t status
    uint8_t is_maker
    uint8_t reason
    uint8_t position_side
    uint8_t[10] unused

cdef struct SimBalance:
    int64_t free
    int64_t locked

# What an account has open in one instrument.
cdef struct SimHolding:
    int64_t open_buy_lots
    int64_t open_sell_lots
    int32_t open_orders                   # waiting stop orders included
    int32_t algo_orders                   # waiting stop orders
    int32_t iceberg_orders
    int32_t unused

cdef struct SimAccount:
    int64_t maker_rate_e8                 # what is charged now, a fraction x 1e8
    int64_t taker_rate_e8
    int64_t base_maker_rate_e8            # without tiers
    int64_t base_taker_rate_e8
    int64_t discount_e8                   # off the fee when it is paid in fee_asset
    int32_t fee_asset                     # SIM_NONE = base or quote, whichever is received
    int32_t checked                       # 0: its balances may go negative
    int64_t open_orders
    uint64_t* order_ids                   # ids in order of arrival, with ones that are dead among them
    int64_t order_id_count
    int64_t order_id_capacity
    int64_t volume_day                    # number of the day that volumes[day % SIM_DAYS] is of
    int64_t volume_sum                    # of the last 30 whole days, in units of the exchange's volume asset
    int64_t* volumes                      # SIM_DAYS, NULL without tiers
    void* margin                          # margin.pyx's own

cdef struct SimTier:
    int64_t volume_units                  # from this volume on
    int64_t maker_rate_e8
    int64_t taker_rate_e8

# The recorded market of an instrument, by pointer: NULL where there is none. Sides are those of a book (SIDE_BIDS = 0,
# SIDE_ASKS = 1).
#   best(r, side)                 best displayed price that has something left to take, PRICE_TICKS_NONE = none
#   next(r, side, price)          the next one behind price
#   shown(r, side, price, o)      lots displayed at price that are served before client's order o (NULL: no client stands there,
#                                 so all that is left); never negative
#   take(r, side, price, lots)    a client has taken so much of it; also moves up the clients' orders that wait behind it
#   on_rest(r, o)                 o has come to rest at the back of its price: set o.queue_ahead_lots
#   on_leave(r, o)                o leaves its queue (filled, cancelled, expired, amended to another place)
#   on_trade(r, o, lots)          a resting order has traded lots
# on_rest, on_leave and on_trade may be NULL.
cdef struct SimRecorded:
    void* market
    int64_t (*best)(void* r, int side) noexcept nogil
    int64_t (*next)(void* r, int side, int64_t price_ticks) noexcept nogil
    int64_t (*shown)(void* r, int side, int64_t price_ticks, const SimOrder* o) noexcept nogil
    void (*take)(void* r, int side, int64_t price_ticks, int64_t lots) noexcept nogil
    void (*on_rest)(void* r, SimOrder* o) noexcept nogil
    void (*on_leave)(void* r, SimOrder* o) noexcept nogil
    void (*on_trade)(void* r, SimOrder* o, int64_t lots) noexcept nogil
    void (*free)(void* r) noexcept nogil

cdef struct SimInstrument:
    SimLadder[2] book                     # SIDE_BIDS, SIDE_ASKS
    # A notional in quote units is price x lots x multiplier, or price x lots / divisor rounded down; one of them is 1.
    int64_t quote_multiplier
    int64_t quote_divisor
    int64_t lot_units                     # base units of a lot; 0 for a perpetual
    int64_t last_ticks                    # last trade, clients' or recorded; 0 = none yet
    int64_t reference_ticks               # average price of the filters; 0 = the last trade counts
    int64_t mark_ticks                    # perpetual; 0 = none yet
    uint16_t base_asset
    uint16_t quote_asset
    uint8_t kind                          # SimKind
    uint8_t status                        # SimInstrumentStatus
    uint8_t min_notional_market
    uint8_t max_notional_market
    int64_t min_price_ticks               # filters; 0 = off
    int64_t max_price_ticks
    int64_t min_lots
    int64_t max_lots
    int64_t market_min_lots
    int64_t market_max_lots
    int64_t min_notional_units
    int64_t max_notional_units
    int64_t bid_up_e4                     # percent price by side, multiplier x 1e4
    int64_t bid_down_e4
    int64_t ask_up_e4
    int64_t ask_down_e4
    int64_t max_position_units            # of the base asset
    int32_t max_orders
    int32_t max_algo_orders
    int32_t max_iceberg_parts
    int32_t max_iceberg_orders
    # Stop orders that wait: [0] for a rise to the stop, [1] for a fall to it, by last price; [2], [3] by mark price.
    SimLadder[4] stops
    int32_t* trailing                     # orders whose stop follows the price
    int32_t trailing_count
    int32_t trailing_capacity
    SimRecorded* recorded                 # NULL: only clients trade here
    void* margin                          # margin.pyx's own

# What a settlement did, for the two events of a trade.
cdef struct SimTrade:
    int64_t notional_units
    int64_t taker_fee_units
    int64_t maker_fee_units
    int64_t taker_pnl_units
    int64_t maker_pnl_units
    uint16_t taker_fee_asset
    uint16_t maker_fee_asset

# Funds of a kind of instrument. Spot's are spot_funds.pxd and called directly; a perpetual's are called through here (NULL: the
# exchange has no perpetuals). `o` has its fields set; leaves and cum are those before the step.
#   reserve  before anything else happens to a new order (or when a waiting one is triggered): SimReason
#   release  lots of what is open will not trade (cancelled, expired, prevented, amended down)
#   trade    both parties at once; taker or maker NULL = the house; `instrument` as a number
#   allowed  reduce-only and close-position orders: how many lots it may trade now, at most `lots`
#   amend    may the order have this price and open quantity instead? It has them reserved when the answer is OK.
#   after    a submit, cancel or print is over (liquidations may be looked for)
cdef struct SimFunds:
    int (*reserve)(SimExchange* x, SimOrder* o) noexcept nogil
    void (*release)(SimExchange* x, SimOrder* o, int64_t lots) noexcept nogil
    void (*trade)(SimExchange* x, SimOrder* taker, SimOrder* maker, int instrument, int taker_side, int64_t price_ticks,
                  int64_t lots, SimTrade* t) noexcept nogil
    int64_t (*allowed)(SimExchange* x, const SimOrder* o, int64_t lots) noexcept nogil
    int (*amend)(SimExchange* x, SimOrder* o, int64_t price_ticks, int64_t leaves_lots) noexcept nogil
    void (*after)(SimExchange* x, int instrument) noexcept nogil
    void (*free)(SimExchange* x) noexcept nogil

cdef struct SimDue:
    int64_t due_ns
    uint64_t order_id

cdef struct SimExchange:
    SimPool pool
    SimInstrument* instruments            # SIM_INSTRUMENTS_MAX of them, so that they never move
    SimAccount* accounts
    SimBalance* balances                  # account * asset_stride + asset
    SimHolding* holdings                  # account * instrument_stride + instrument
    int32_t instrument_count
    int32_t account_count
    int32_t account_capacity
    int32_t asset_count
    int32_t asset_stride
    int32_t instrument_stride
    int64_t* supply                       # by asset: sum over all accounts
    int64_t now_ns                        # of the request at work
    SimEvent* events                      # event_count of them wait to be drained
    int64_t event_count
    int64_t event_capacity
    uint64_t next_seq
    uint64_t* trade_ids                   # by instrument: of its last trade; without a gap, as the venue's are
    uint64_t lost_events                  # memory was short
    int32_t publish                       # 1: LEVEL and PUBLIC_TRADE too
    int32_t tier_count
    SimTier[16] tiers
    int32_t volume_asset
    int64_t* fee_prices_e8                # asset * SIM_ASSETS_MAX + quote asset: quote units x 1e8 of one unit, 0 = unknown
    SimFunds* perpetual                   # margin.pyx registers itself; NULL = none
    SimDue* due                           # heap of orders good till a date, with ones that are dead among them
    int64_t due_count
    int64_t due_capacity
    int64_t due_live
    uint64_t* fired                       # stop orders whose price has come, first to last
    int64_t fired_head
    int64_t fired_tail
    int64_t fired_capacity
    int32_t depth                         # of calls into the match loop
    int32_t unused
    uint64_t trades
    uint64_t seed

# ---- hot
# Place an order. SimReason; *order_id is 0 when it is refused, and then nothing has changed.
cdef int exchange_submit(SimExchange* x, const SimAction* q, uint64_t* order_id) noexcept nogil
# The same without placing: would it be accepted?
cdef int exchange_check(SimExchange* x, const SimAction* q) noexcept nogil
cdef int exchange_cancel(SimExchange* x, uint32_t account, uint64_t order_id, int64_t now_ns) noexcept nogil
# qty_lots: the order's new whole quantity. price_ticks = 0 keeps the price; less at the same price keeps its place.
cdef int exchange_amend(SimExchange* x, uint32_t account, uint64_t order_id, int64_t qty_lots, int64_t price_ticks,
                        int64_t now_ns) noexcept nogil
cdef void exchange_advance(SimExchange* x, int64_t now_ns) noexcept nogil
cdef int64_t exchange_next_due(SimExchange* x) noexcept nogil
# A live order, else NULL. The pointer is good until the next call that may end or place an order.
cdef SimOrder* exchange_order(SimExchange* x, uint64_t order_id) noexcept nogil

# ---- for recorded.pyx
# A recorded print or book fills a resting order: the house takes `lots` (at most what is open) at the order's own price.
# What that sets off waits, so that the caller may walk a queue: exchange_print or exchange_finish must follow.
cdef void exchange_fill_resting(SimExchange* x, SimOrder* o, int64_t lots, int64_t now_ns) noexcept nogil
# The market has traded at this price: the last price from now on; triggers what waits for it.
cdef void exchange_print(SimExchange* x, int instrument, int64_t price_ticks, int64_t now_ns) noexcept nogil
cdef void exchange_finish(SimExchange* x, int instrument) noexcept nogil
# ---- for margin.pyx
cdef void exchange_set_mark(SimExchange* x, int instrument, int64_t mark_ticks, int64_t now_ns) noexcept nogil
# End a live order as the venue does: CANCELED or EXPIRED, with this reason.
cdef void exchange_end(SimExchange* x, SimOrder* o, int status, int reason, int64_t now_ns) noexcept nogil
cdef SimEvent* exchange_event(SimExchange* x, int kind) noexcept nogil      # an empty one with seq, ts_ns and kind set

# ---- cold
cdef SimExchange* exchange_new(uint64_t seed, int64_t orders_hint) noexcept nogil
cdef void exchange_free(SimExchange* x) noexcept nogil
cdef int exchange_add_asset(SimExchange* x) noexcept nogil                  # its number, or -1
cdef int exchange_add_account(SimExchange* x) noexcept nogil
cdef int exchange_add_instrument(SimExchange* x, int64_t max_price_ticks) noexcept nogil
# How many were cancelled; instrument -1: in all.
cdef int64_t exchange_cancel_all(SimExchange* x, uint32_t account, int instrument, int64_t now_ns) noexcept nogil
# The ids of an account's live orders are accounts[a].order_ids[0 .. result), oldest first, after this.
cdef int64_t exchange_compact(SimExchange* x, uint32_t account) noexcept nogil
