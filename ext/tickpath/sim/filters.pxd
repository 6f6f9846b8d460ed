# Is a request sound, and does it pass the instrument's filters? In the order of SimReason. Hot; part of core.pyx.
#
# Filters and their meaning are Binance's (github.com/binance/binance-spot-api-docs, filters.md, seen 2026-11). Where a filter
# compares with an average price, that is the instrument's reference price, or the last trade's; before the first trade it
# passes.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from tickpath.sim.core cimport (
    SIM_KIND_SPOT, SIM_ORDER_LIMIT, SIM_ORDER_LIMIT_MAKER, SIM_ORDER_MARKET, SIM_ORDER_STOP_MARKET,
    SIM_ORDER_TAKE_PROFIT_LIMIT, SIM_ORDER_TAKE_PROFIT_MARKET, SIM_REASON_BAD_REQUEST, SIM_REASON_CLOSED,
    SIM_REASON_ICEBERG_PARTS, SIM_REASON_LOT_SIZE, SIM_REASON_MARKET_LOT_SIZE, SIM_REASON_MAX_ALGO_ORDERS,
    SIM_REASON_MAX_ICEBERG_ORDERS, SIM_REASON_MAX_NOTIONAL, SIM_REASON_MAX_ORDERS, SIM_REASON_MAX_POSITION,
    SIM_REASON_MIN_NOTIONAL, SIM_REASON_OK, SIM_REASON_OVERFLOW, SIM_REASON_PERCENT_PRICE, SIM_REASON_PRICE_FILTER,
    SIM_REASON_UNKNOWN_ACCOUNT, SIM_REASON_UNKNOWN_INSTRUMENT, SIM_STP_DECREMENT, SIM_TIF_FOK, SIM_TIF_GTC, SIM_TIF_GTD,
    SIM_TIF_IOC, SIM_TRADING, SimAction, SimBalance, SimExchange, SimHolding, SimInstrument,
)
from tickpath.sim.order_queues cimport (
    SIM_FLAG_CLOSE_POSITION, SIM_FLAG_LIQUIDATION, SIM_FLAG_POST_ONLY, SIM_FLAG_REDUCE_ONLY, SIM_FLAG_WORKING_MARK,
)
from tickpath.sim.spot_funds cimport (
    balance_of, is_priced, is_stop, notional_fits, notional_of,
)
from tickpath.types cimport SIDE_BUY, SIDE_SELL, int128, likely, unlikely

cdef extern from *:
    """
    /* Room for products of a price with 10^4 and for sums of quantities. */
    #define TP_SIM_PRICE_MAX ((1LL << 46) - 1)
    #define TP_SIM_LOTS_MAX ((1LL << 52) - 1)
    """
    const int64_t PRICE_MAX "TP_SIM_PRICE_MAX"
    const int64_t LOTS_MAX "TP_SIM_LOTS_MAX"

# What a client's request may set, and what takes from a position only.
cdef enum: REQUEST_FLAGS = SIM_FLAG_REDUCE_ONLY | SIM_FLAG_CLOSE_POSITION | SIM_FLAG_WORKING_MARK | SIM_FLAG_POST_ONLY | \
    SIM_FLAG_LIQUIDATION
cdef enum: REDUCING = SIM_FLAG_REDUCE_ONLY | SIM_FLAG_CLOSE_POSITION

cdef inline int64_t filter_price(const SimInstrument* i) noexcept nogil:
    return i.reference_ticks if i.reference_ticks != 0 else i.last_ticks

cdef inline int check_price(const SimInstrument* i, int64_t price_ticks) noexcept nogil:
    if (price_ticks <= 0 or price_ticks > PRICE_MAX or price_ticks < i.min_price_ticks
            or (i.max_price_ticks != 0 and price_ticks > i.max_price_ticks)
            or price_ticks >> (6 + 6 * i.book[0].height) != 0):
        return SIM_REASON_PRICE_FILTER
    return SIM_REASON_OK

cdef inline int check_band(const SimInstrument* i, int side, int64_t price_ticks) noexcept nogil:
    cdef int64_t reference = filter_price(i)
    cdef int64_t up = i.bid_up_e4 if side == SIDE_BUY else i.ask_up_e4
    cdef int64_t down = i.bid_down_e4 if side == SIDE_BUY else i.ask_down_e4
    if reference == 0 or (up == 0 and down == 0):
        return SIM_REASON_OK
    if up != 0 and <int128>price_ticks * 10000 > <int128>reference * up:
        return SIM_REASON_PERCENT_PRICE
    if <int128>price_ticks * 10000 < <int128>reference * down:
        return SIM_REASON_PERCENT_PRICE
    return SIM_REASON_OK

# Is the form of a request sound: what needs no book and no money?
cdef inline int check_form(SimExchange* x, const SimAction* q) noexcept nogil:
    cdef int type = q.order_type
    cdef int tif = q.time_in_force
    if unlikely(q.account >= <uint32_t>x.account_count):
        return SIM_REASON_UNKNOWN_ACCOUNT
    if unlikely(q.instrument >= x.instrument_count):
        return SIM_REASON_UNKNOWN_INSTRUMENT
    if unlikely(x.instruments[q.instrument].status != SIM_TRADING) and not q.flags & SIM_FLAG_LIQUIDATION:
        return SIM_REASON_CLOSED
    if unlikely((q.side != SIDE_BUY and q.side != SIDE_SELL) or type < SIM_ORDER_MARKET or type > SIM_ORDER_TAKE_PROFIT_LIMIT
                or q.stp > SIM_STP_DECREMENT):
        return SIM_REASON_BAD_REQUEST
    if likely(type == SIM_ORDER_LIMIT and tif == SIM_TIF_GTC and q.iceberg_lots == 0 and q.quote_units == 0 and q.stop_ticks == 0
              and q.trailing_bips == 0 and q.flags == 0):
        return SIM_REASON_OK
    if is_priced(type):
        if tif != SIM_TIF_GTC and tif != SIM_TIF_IOC and tif != SIM_TIF_FOK and tif != SIM_TIF_GTD:
            return SIM_REASON_BAD_REQUEST
        if tif == SIM_TIF_GTD and q.expire_ns <= q.now_ns:
            return SIM_REASON_BAD_REQUEST
        if (tif == SIM_TIF_IOC or tif == SIM_TIF_FOK) and (q.iceberg_lots != 0 or q.flags & SIM_FLAG_POST_ONLY
                                                           or type == SIM_ORDER_LIMIT_MAKER):
            return SIM_REASON_BAD_REQUEST
    elif q.iceberg_lots != 0 or q.flags & SIM_FLAG_POST_ONLY:
        return SIM_REASON_BAD_REQUEST
    if q.iceberg_lots < 0 or q.trailing_bips < 0 or q.trailing_bips >= 10000 or q.quote_units < 0:
        return SIM_REASON_BAD_REQUEST
    if is_stop(type):
        if q.stop_ticks == 0 and q.trailing_bips == 0:
            return SIM_REASON_BAD_REQUEST
    elif q.stop_ticks != 0 or q.trailing_bips != 0 or q.activation_ticks != 0:
        return SIM_REASON_BAD_REQUEST
    if q.quote_units != 0 and (type != SIM_ORDER_MARKET or q.qty_lots != 0):
        return SIM_REASON_BAD_REQUEST
    if q.flags & SIM_FLAG_CLOSE_POSITION and (type != SIM_ORDER_STOP_MARKET and type != SIM_ORDER_TAKE_PROFIT_MARKET):
        return SIM_REASON_BAD_REQUEST
    if q.flags & (REDUCING | SIM_FLAG_WORKING_MARK) and x.instruments[q.instrument].kind == SIM_KIND_SPOT:
        return SIM_REASON_BAD_REQUEST
    return SIM_REASON_OK

cdef inline bint is_lot_size(const SimInstrument* i, int64_t lots) noexcept nogil:
    return lots > 0 and lots <= LOTS_MAX and lots >= i.min_lots and (i.max_lots == 0 or lots <= i.max_lots)

cdef inline int check_filters(SimExchange* x, const SimAction* q) noexcept nogil:
    cdef SimInstrument* i = &x.instruments[q.instrument]
    cdef SimHolding* h
    cdef int type = q.order_type, reason
    cdef bint priced = is_priced(type)
    cdef int64_t notional = 0, price_ticks = q.price_ticks, reference
    cdef bint may_rest = type != SIM_ORDER_MARKET and q.time_in_force != SIM_TIF_IOC and q.time_in_force != SIM_TIF_FOK
    if is_stop(type):
        may_rest = True
    if priced:
        reason = check_price(i, price_ticks)
        if unlikely(reason != SIM_REASON_OK):
            return reason
    if unlikely(q.stop_ticks != 0 or q.activation_ticks != 0):
        if q.stop_ticks != 0 and check_price(i, q.stop_ticks) != SIM_REASON_OK:
            return SIM_REASON_PRICE_FILTER
        if q.activation_ticks != 0 and check_price(i, q.activation_ticks) != SIM_REASON_OK:
            return SIM_REASON_PRICE_FILTER
    if likely(q.quote_units == 0) and likely(not q.flags & SIM_FLAG_CLOSE_POSITION):
        if unlikely(not is_lot_size(i, q.qty_lots)):
            return SIM_REASON_LOT_SIZE
        if unlikely(q.iceberg_lots != 0) and not is_lot_size(i, q.iceberg_lots):
            return SIM_REASON_LOT_SIZE
        if unlikely(not priced) and (q.qty_lots < i.market_min_lots
                                     or (i.market_max_lots != 0 and q.qty_lots > i.market_max_lots)):
            return SIM_REASON_MARKET_LOT_SIZE
    elif q.quote_units > <int64_t>1 << 61:
        return SIM_REASON_OVERFLOW
    reference = price_ticks if priced else filter_price(i)
    if unlikely(not notional_fits(i, reference, q.qty_lots)):
        return SIM_REASON_OVERFLOW
    if unlikely(i.kind == SIM_KIND_SPOT and q.qty_lots * <int128>i.lot_units > <int64_t>1 << 61):
        return SIM_REASON_OVERFLOW
    notional = notional_of(i, reference, q.qty_lots) if q.quote_units == 0 else q.quote_units
    if (notional < i.min_notional_units and (priced or (i.min_notional_market and (reference != 0 or q.quote_units != 0)))
            and not q.flags & REDUCING):
        # What only closes a position may be as small as that is.
        return SIM_REASON_MIN_NOTIONAL
    if priced:
        reason = check_band(i, q.side, price_ticks)
        if unlikely(reason != SIM_REASON_OK):
            return reason
    h = &x.holdings[<int64_t>q.account * x.instrument_stride + q.instrument]
    if may_rest:
        if unlikely(i.max_orders != 0 and h.open_orders >= i.max_orders):
            return SIM_REASON_MAX_ORDERS
        if unlikely(is_stop(type)) and i.max_algo_orders != 0 and h.algo_orders >= i.max_algo_orders:
            return SIM_REASON_MAX_ALGO_ORDERS
        if unlikely(q.iceberg_lots != 0) and q.iceberg_lots < q.qty_lots:
            if i.max_iceberg_parts != 0 and (q.qty_lots + q.iceberg_lots - 1) // q.iceberg_lots > i.max_iceberg_parts:
                return SIM_REASON_ICEBERG_PARTS
            if i.max_iceberg_orders != 0 and h.iceberg_orders >= i.max_iceberg_orders:
                return SIM_REASON_MAX_ICEBERG_ORDERS
    return SIM_REASON_OK

# What the filters leave for last, since it looks at the account and at the size of the whole order.
cdef inline int check_position(SimExchange* x, const SimAction* q) noexcept nogil:
    cdef SimInstrument* i = &x.instruments[q.instrument]
    cdef SimBalance* b
    cdef SimHolding* h
    cdef int64_t notional, price_ticks
    if i.max_position_units != 0 and q.side == SIDE_BUY and i.kind == SIM_KIND_SPOT:
        b = balance_of(x, q.account, i.base_asset)
        h = &x.holdings[<int64_t>q.account * x.instrument_stride + q.instrument]
        if <int128>b.free + b.locked + <int128>(h.open_buy_lots + q.qty_lots) * i.lot_units > i.max_position_units:
            return SIM_REASON_MAX_POSITION
    if i.max_notional_units != 0:
        price_ticks = q.price_ticks if is_priced(q.order_type) else filter_price(i)
        notional = notional_of(i, price_ticks, q.qty_lots) if q.quote_units == 0 else q.quote_units
        if notional > i.max_notional_units and (is_priced(q.order_type) or i.max_notional_market):
            return SIM_REASON_MAX_NOTIONAL
    return SIM_REASON_OK
