"""Pre-trade risk checks, in the order in which they are applied: state, shape, market, size, position, count, rate."""
from tickpath.types cimport (
    BOOK_GOOD, ORDER_TYPE_LIMIT, ORDER_TYPE_LIMIT_MAKER, ORDER_TYPE_MARKET, PRICE_TICKS_NONE, REASON_BOOK_NOT_GOOD,
    REASON_DATA_STALE, REASON_KILL_SWITCH, REASON_NUMBER_OVERFLOW, REASON_OK, REASON_OPEN_ORDERS_OVER_LIMIT,
    REASON_ORDER_NOTIONAL_OVER_LIMIT, REASON_ORDER_NOTIONAL_UNDER_MINIMUM, REASON_ORDER_QTY_OVER_LIMIT,
    REASON_ORDER_RATE_OVER_LIMIT, REASON_ORDER_TABLE_FULL, REASON_ORDER_TYPE_UNSUPPORTED, REASON_POSITION_OVER_LIMIT,
    REASON_PRICE_NOT_POSITIVE, REASON_PRICE_OUTSIDE_BAND, REASON_QTY_NOT_MULTIPLE_OF_LOT, REASON_QTY_NOT_POSITIVE,
    REASON_STATE_FORBIDS, SIDE_BUY, SIDE_SELL, TIME_IN_FORCE_FOK, TIME_IN_FORCE_GTC, TIME_IN_FORCE_IOC,
    TRADING_HALTED, TRADING_NORMAL, TRADING_REDUCE_ONLY, int128, unlikely,
)
from tickpath.trading.orders cimport ORDER_SLOTS

cdef extern from *:
    """
    #define TP_MINUTE_NS 60000000000LL
    #define TP_NOTIONAL_MAX 4000000000000000000LL
    """
    const int64_t MINUTE_NS "TP_MINUTE_NS"
    const int64_t NOTIONAL_MAX "TP_NOTIONAL_MAX"    # ticklots; above this a product does not fit the records


cdef int risk_check(const RiskState* r, const Action* a, const Instrument* item, const Book* book, const Top* top,
                    const Position* account, const OrderTable* orders, int64_t now_ns) noexcept nogil:
    cdef const InstrumentLimits* lim = &r.limits[item.instrument]
    cdef int64_t price = a.price_ticks
    cdef int64_t twice_mid, distance, lots, newest
    cdef int128 notional
    # State: the kill switch and whatever the operator set.
    if unlikely(r.trading_state != TRADING_NORMAL):
        if r.trading_state == TRADING_HALTED:
            return REASON_KILL_SWITCH
        if r.trading_state != TRADING_REDUCE_ONLY:
            return REASON_STATE_FORBIDS
        lots = account.position_lots
        if a.side == SIDE_BUY:
            if lots >= 0 or orders.open_buy_lots[item.instrument] + a.qty_lots > -lots:
                return REASON_STATE_FORBIDS
        elif lots <= 0 or orders.open_sell_lots[item.instrument] + a.qty_lots > lots:
            return REASON_STATE_FORBIDS
    # Shape.
    if unlikely(a.qty_lots <= 0):
        return REASON_QTY_NOT_POSITIVE
    if unlikely(a.side != SIDE_BUY and a.side != SIDE_SELL):
        return REASON_ORDER_TYPE_UNSUPPORTED
    if unlikely(a.qty_lots % lim.qty_step_lots != 0):
        return REASON_QTY_NOT_MULTIPLE_OF_LOT
    if unlikely(a.time_in_force != TIME_IN_FORCE_GTC and a.time_in_force != TIME_IN_FORCE_IOC
                and a.time_in_force != TIME_IN_FORCE_FOK):
        return REASON_ORDER_TYPE_UNSUPPORTED
    # Market: a proven book and fresh data are a hard gate.
    if unlikely(top.state != BOOK_GOOD or top.bid_price_ticks == PRICE_TICKS_NONE
                or top.ask_price_ticks == PRICE_TICKS_NONE or top.bid_price_ticks >= top.ask_price_ticks):
        return REASON_BOOK_NOT_GOOD
    newest = book.ts_recv_ns if book.ts_recv_ns > top.ts_recv_ns else top.ts_recv_ns
    if unlikely(now_ns - newest > r.max_data_age_ns):
        return REASON_DATA_STALE
    if a.order_type == ORDER_TYPE_MARKET:
        price = top.ask_price_ticks if a.side == SIDE_BUY else top.bid_price_ticks
    elif unlikely(a.order_type != ORDER_TYPE_LIMIT and a.order_type != ORDER_TYPE_LIMIT_MAKER):
        return REASON_ORDER_TYPE_UNSUPPORTED
    elif unlikely(price <= 0):
        return REASON_PRICE_NOT_POSITIVE
    twice_mid = top.bid_price_ticks + top.ask_price_ticks
    distance = 2 * price - twice_mid
    if distance < 0:
        distance = -distance
    if unlikely(<int128>distance * 1000000 > <int128>twice_mid * lim.price_collar_e2_bps):
        return REASON_PRICE_OUTSIDE_BAND
    # Size.
    if unlikely(a.qty_lots > lim.max_order_qty_lots):
        return REASON_ORDER_QTY_OVER_LIMIT
    notional = <int128>price * a.qty_lots
    if unlikely(notional > NOTIONAL_MAX):
        return REASON_NUMBER_OVERFLOW
    if unlikely(notional > lim.max_order_notional_ticklots):
        return REASON_ORDER_NOTIONAL_OVER_LIMIT
    if unlikely(notional < item.min_notional_ticklots):
        return REASON_ORDER_NOTIONAL_UNDER_MINIMUM
    # Position, worst case: everything open on this side fills.
    if a.side == SIDE_BUY:
        lots = account.position_lots + orders.open_buy_lots[item.instrument] + a.qty_lots
    else:
        lots = -account.position_lots + orders.open_sell_lots[item.instrument] + a.qty_lots
    if unlikely(lots > 0 and <int128>lots * price > lim.max_position_notional_ticklots):
        return REASON_POSITION_OVER_LIMIT
    # Count and rate.
    if unlikely(orders.open_count_by_instrument[item.instrument] >= lim.max_open_orders):
        return REASON_OPEN_ORDERS_OVER_LIMIT
    if unlikely(orders.open_count >= ORDER_SLOTS // 2):
        return REASON_ORDER_TABLE_FULL
    if unlikely(r.sent_count >= <unsigned long long>r.max_orders_per_min
                and now_ns - r.sent_ns[r.sent_count % <unsigned long long>r.max_orders_per_min] < MINUTE_NS):
        return REASON_ORDER_RATE_OVER_LIMIT
    return REASON_OK
