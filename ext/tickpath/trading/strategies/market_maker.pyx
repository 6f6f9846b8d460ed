"""Market making with inventory skew: one bid and one ask around a reservation price, moved when it moves.

Reservation price = mid + imbalance x imbalance_ticks - position x skew_ticks_per_lot (after Avellaneda and Stoikov,
"High-frequency trading in a limit order book", Quantitative Finance 8 (2008): the linear inventory term). The bid stands
half_spread_ticks below it, the ask as far above, both post-only and never through the other side's best.

Parameters (all from `[strategies.parameters]`): half_spread_ticks >= 0; order_qty_lots > 0; max_position_lots: no quote
on the side that would exceed it; skew_ticks_per_lot >= 0; imbalance_ticks; requote_ticks >= 1: distance from the wanted
price at which a resting order is replaced; refresh_ns: least time between two replacements of one side.
"""
from libc.math cimport floor
from libc.stdint cimport int64_t, uint32_t, uint64_t

from tickpath.market.grid_change cimport GridChange, ratio_exact, ratio_nearest
from tickpath.signals.state cimport Top
from tickpath.trading.orders cimport Order, order_find, order_is_open
from tickpath.trading.strategy cimport CompiledStrategy, StrategyContext, ctx_cancel, ctx_submit
from tickpath.types cimport (
    ORDER_CANCELED, ORDER_EXPIRED, ORDER_FILLED, ORDER_PENDING_CANCEL, ORDER_REJECTED, ORDER_TYPE_LIMIT_MAKER,
    PRICE_TICKS_NONE, SIDE_BUY, SIDE_SELL, TIME_IN_FORCE_GTC, GridEvent, OrderStateEvent, QuoteEvent,
)

from tickpath.trading.strategy import read_parameters


cdef class MarketMaker(CompiledStrategy):
    cdef double half_spread_ticks, skew_ticks_per_lot, imbalance_ticks
    cdef int64_t order_qty_lots, max_position_lots, requote_ticks, refresh_ns
    cdef uint64_t bid_ordinal, ask_ordinal
    cdef int64_t bid_price_ticks, ask_price_ticks, bid_moved_ns, ask_moved_ns

    def __init__(self, name="", parameters=None):
        super().__init__(name, parameters)
        p = read_parameters(self.parameters, {
            "half_spread_ticks": (1.0, 0, 1e9), "order_qty_lots": (1000, 1, 10 ** 15), "max_position_lots": (20000, 1, 10 ** 15),
            "skew_ticks_per_lot": (0.0005, 0, 1e9), "imbalance_ticks": (2.0, -1e9, 1e9), "requote_ticks": (1, 1, 10 ** 9),
            "refresh_ns": (0, 0, 10 ** 18)})
        self.half_spread_ticks = p["half_spread_ticks"]
        self.skew_ticks_per_lot = p["skew_ticks_per_lot"]
        self.imbalance_ticks = p["imbalance_ticks"]
        self.order_qty_lots = p["order_qty_lots"]
        self.max_position_lots = p["max_position_lots"]
        self.requote_ticks = p["requote_ticks"]
        self.refresh_ns = p["refresh_ns"]

    cdef void on_quote(self, StrategyContext* ctx, const QuoteEvent* quote) noexcept nogil:
        if quote.instrument == ctx.instrument:
            self.requote(ctx)

    cdef void on_book(self, StrategyContext* ctx, uint32_t instrument) noexcept nogil:
        if instrument == ctx.instrument:
            self.requote(ctx)

    cdef void requote(self, StrategyContext* ctx) noexcept nogil:
        cdef const Top* top = &ctx.tops[ctx.instrument]
        cdef int64_t position = ctx.positions[ctx.instrument].position_lots
        cdef double middle
        cdef int64_t bid, ask
        if top.bid_price_ticks == PRICE_TICKS_NONE or top.ask_price_ticks == PRICE_TICKS_NONE:
            return
        middle = 0.5 * <double>(top.bid_price_ticks + top.ask_price_ticks)
        middle += ctx.signals[ctx.instrument].imbalance * self.imbalance_ticks
        middle -= <double>position * self.skew_ticks_per_lot
        bid = <int64_t>floor(middle - self.half_spread_ticks)
        ask = -<int64_t>floor(-(middle + self.half_spread_ticks))
        if bid >= top.ask_price_ticks:
            bid = top.ask_price_ticks - 1
        if ask <= top.bid_price_ticks:
            ask = top.bid_price_ticks + 1
        self.quote_side(ctx, SIDE_BUY, &self.bid_ordinal, &self.bid_price_ticks, &self.bid_moved_ns, bid,
                        position + self.order_qty_lots <= self.max_position_lots)
        self.quote_side(ctx, SIDE_SELL, &self.ask_ordinal, &self.ask_price_ticks, &self.ask_moved_ns, ask,
                        -position + self.order_qty_lots <= self.max_position_lots)

    cdef void quote_side(self, StrategyContext* ctx, int side, uint64_t* ordinal, int64_t* price_ticks, int64_t* moved_ns,
                         int64_t wanted_ticks, bint allowed) noexcept nogil:
        cdef Order* o
        cdef int64_t distance
        if ordinal[0] != 0:
            distance = wanted_ticks - price_ticks[0]
            if allowed and -self.requote_ticks < distance < self.requote_ticks:
                return
            o = order_find(ctx.orders, ordinal[0])
            if o != NULL and order_is_open(o) and o.state != ORDER_PENDING_CANCEL \
                    and ctx.now_ns - moved_ns[0] >= self.refresh_ns:
                ctx_cancel(ctx, ordinal[0])
                moved_ns[0] = ctx.now_ns
            return                                # the new quote follows once the venue confirms the cancel
        if not allowed or ctx.now_ns - moved_ns[0] < self.refresh_ns:
            return
        ordinal[0] = ctx_submit(ctx, ctx.instrument, side, ORDER_TYPE_LIMIT_MAKER, TIME_IN_FORCE_GTC, wanted_ticks,
                                self.order_qty_lots)
        price_ticks[0] = wanted_ticks
        moved_ns[0] = ctx.now_ns

    cdef void on_order(self, StrategyContext* ctx, const OrderStateEvent* order) noexcept nogil:
        if (order.state == ORDER_CANCELED or order.state == ORDER_REJECTED or order.state == ORDER_EXPIRED
                or order.state == ORDER_FILLED):
            if order.order_ordinal == self.bid_ordinal:
                self.bid_ordinal = 0
            elif order.order_ordinal == self.ask_ordinal:
                self.ask_ordinal = 0

    cdef void on_grid(self, StrategyContext* ctx, const GridEvent* grid, const GridChange* change) noexcept nogil:
        cdef double per_tick = <double>change.price.num / <double>change.price.den
        cdef double per_lot = <double>change.qty.num / <double>change.qty.den
        cdef long long rounded = 0
        if grid.instrument != ctx.instrument:
            return
        self.half_spread_ticks *= per_tick
        self.imbalance_ticks *= per_tick
        self.skew_ticks_per_lot *= per_tick / per_lot
        # A side that did not fit has been cancelled; where its quote stood then only says that another is wanted.
        self.bid_price_ticks = ratio_nearest(&change.price, self.bid_price_ticks, &rounded)
        self.ask_price_ticks = ratio_nearest(&change.price, self.ask_price_ticks, &rounded)
        self.requote_ticks = ratio_nearest(&change.price, self.requote_ticks, &rounded)
        if self.requote_ticks < 1:
            self.requote_ticks = 1
        if not (ratio_exact(&change.qty, self.order_qty_lots, &self.order_qty_lots)
                and ratio_exact(&change.qty, self.max_position_lots, &self.max_position_lots)):
            ctx.failed = 1
