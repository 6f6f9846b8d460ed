"""An order on every event, for measuring the path: an IOC buy a few ticks below the best bid, which never trades.

Parameters: offset_ticks >= 0; order_qty_lots > 0.
"""
from libc.stdint cimport int64_t, uint32_t

from tickpath.market.grid_change cimport GridChange, ratio_exact
from tickpath.signals.state cimport Top
from tickpath.trading.strategy cimport CompiledStrategy, StrategyContext, ctx_submit
from tickpath.types cimport (
    ORDER_TYPE_LIMIT, PRICE_TICKS_NONE, SIDE_BUY, TIME_IN_FORCE_IOC, FillEvent, GridEvent, QuoteEvent, TradeEvent,
)

from tickpath.trading.strategy import read_parameters


cdef class EveryEvent(CompiledStrategy):
    cdef int64_t offset_ticks, order_qty_lots

    def __init__(self, name="", parameters=None):
        super().__init__(name, parameters)
        p = read_parameters(self.parameters, {"offset_ticks": (5, 0, 10 ** 9), "order_qty_lots": (1000, 1, 10 ** 15)})
        self.offset_ticks = p["offset_ticks"]
        self.order_qty_lots = p["order_qty_lots"]

    cdef inline void order(self, StrategyContext* ctx) noexcept nogil:
        cdef const Top* top = &ctx.tops[ctx.instrument]
        if top.bid_price_ticks != PRICE_TICKS_NONE:
            ctx_submit(ctx, ctx.instrument, SIDE_BUY, ORDER_TYPE_LIMIT, TIME_IN_FORCE_IOC,
                       top.bid_price_ticks - self.offset_ticks, self.order_qty_lots)

    cdef void on_quote(self, StrategyContext* ctx, const QuoteEvent* quote) noexcept nogil:
        self.order(ctx)

    cdef void on_trade(self, StrategyContext* ctx, const TradeEvent* trade) noexcept nogil:
        self.order(ctx)

    cdef void on_book(self, StrategyContext* ctx, uint32_t instrument) noexcept nogil:
        self.order(ctx)

    cdef void on_fill(self, StrategyContext* ctx, const FillEvent* fill) noexcept nogil:
        self.order(ctx)

    cdef void on_grid(self, StrategyContext* ctx, const GridEvent* grid, const GridChange* change) noexcept nogil:
        if grid.instrument == ctx.instrument and not (ratio_exact(&change.price, self.offset_ticks, &self.offset_ticks)
                                                      and ratio_exact(&change.qty, self.order_qty_lots, &self.order_qty_lots)):
            ctx.failed = 1
