"""EMA cross on the mid price, compiled: takes the top on every cross. The same rules as examples/ema_cross.py uses on bars.

On each new top of its instrument both averages take the mid (in half ticks); when the fast one crosses the slow one, an
IOC limit order takes the best price of the other side, so that the position is +order_qty_lots or -order_qty_lots.

Parameters: fast, slow (updates, fast < slow); order_qty_lots > 0.
"""
from libc.stdint cimport int64_t, uint32_t

from tickpath.market.grid_change cimport GridChange, ratio_exact
from tickpath.signals.indicators.ema cimport EmaState, ema_init, ema_ready, ema_update
from tickpath.signals.state cimport Top
from tickpath.trading.strategy cimport CompiledStrategy, StrategyContext, ctx_submit
from tickpath.types cimport (
    ORDER_TYPE_LIMIT, PRICE_TICKS_NONE, SIDE_BUY, SIDE_SELL, TIME_IN_FORCE_IOC, GridEvent, QuoteEvent,
)

from tickpath.trading.strategy import read_parameters


cdef class EmaCross(CompiledStrategy):
    cdef EmaState fast, slow
    cdef int64_t order_qty_lots
    cdef int above                    # 1 fast above slow, -1 below, 0 not known yet

    def __init__(self, name="", parameters=None):
        super().__init__(name, parameters)
        p = read_parameters(self.parameters, {"fast": (10, 1, 10 ** 6), "slow": (50, 1, 10 ** 6),
                                              "order_qty_lots": (1000, 1, 10 ** 15)})
        if p["fast"] >= p["slow"]:
            raise ValueError(f"parameters.fast: expected less than slow ({p['slow']}), found {p['fast']}")
        ema_init(&self.fast, p["fast"])
        ema_init(&self.slow, p["slow"])
        self.order_qty_lots = p["order_qty_lots"]

    cdef void on_quote(self, StrategyContext* ctx, const QuoteEvent* quote) noexcept nogil:
        if quote.instrument == ctx.instrument:
            self.update(ctx)

    cdef void on_book(self, StrategyContext* ctx, uint32_t instrument) noexcept nogil:
        if instrument == ctx.instrument:
            self.update(ctx)

    cdef inline void update(self, StrategyContext* ctx) noexcept nogil:
        cdef const Top* top = &ctx.tops[ctx.instrument]
        cdef double middle
        cdef int above
        cdef int64_t target, lots
        if top.bid_price_ticks == PRICE_TICKS_NONE or top.ask_price_ticks == PRICE_TICKS_NONE:
            return
        middle = 0.5 * <double>(top.bid_price_ticks + top.ask_price_ticks)
        ema_update(&self.fast, middle)
        ema_update(&self.slow, middle)
        if not ema_ready(&self.slow):
            return
        above = 1 if self.fast.value > self.slow.value else -1
        if above == self.above:
            return
        if self.above == 0:
            self.above = above
            return
        self.above = above
        target = self.order_qty_lots if above > 0 else -self.order_qty_lots
        lots = target - ctx.positions[ctx.instrument].position_lots
        if lots > 0:
            ctx_submit(ctx, ctx.instrument, SIDE_BUY, ORDER_TYPE_LIMIT, TIME_IN_FORCE_IOC, top.ask_price_ticks, lots)
        elif lots < 0:
            ctx_submit(ctx, ctx.instrument, SIDE_SELL, ORDER_TYPE_LIMIT, TIME_IN_FORCE_IOC, top.bid_price_ticks, -lots)

    cdef void on_grid(self, StrategyContext* ctx, const GridEvent* grid, const GridChange* change) noexcept nogil:
        cdef double per_tick = <double>change.price.num / <double>change.price.den
        if grid.instrument != ctx.instrument:
            return
        self.fast.value *= per_tick
        self.slow.value *= per_tick
        if not ratio_exact(&change.qty, self.order_qty_lots, &self.order_qty_lots):
            ctx.failed = 1
