"""EMA cross in plain Python: the whole strategy, as a user would write it.

On each closed bar two averages of the close are updated; when the fast one crosses the slow one, the position is turned
with a limit order at the other side's best, good until cancelled, and what is still open after `timeout_s` is cancelled.

Run it with `kind = "ema_cross:EmaCross"` and this directory in `instance.strategy_path`.
"""
from tickpath.signals import indicators
from tickpath.trading import Strategy, read_parameters


class EmaCross(Strategy):
    def __init__(self, parameters):
        super().__init__(parameters)
        # name: (default, lowest, highest)
        p = read_parameters(parameters, {"fast": (12, 1, 10 ** 6), "slow": (26, 1, 10 ** 6),
                                         "order_qty_lots": (1000, 1, 10 ** 15), "timeout_s": (30.0, 0.001, 86400.0)})
        self.fast, self.slow = indicators.EMA(p["fast"]), indicators.EMA(p["slow"])
        self.order_qty_lots = p["order_qty_lots"]
        self.timeout_ns = int(p["timeout_s"] * 1e9)
        self.above = None
        self.open_ordinal = 0

    def on_bar(self, ctx, bar):
        if bar.spec_idx != 0:                 # of several bars the first of the configuration
            return
        fast, slow = self.fast.update(bar.close_ticks), self.slow.update(bar.close_ticks)
        if slow != slow:                      # NaN: not warm yet
            return
        above = fast > slow
        if self.above is None or above == self.above:
            self.above = above
            return
        self.above = above
        if self.open_ordinal:
            ctx.cancel(self.open_ordinal)
            return
        self.turn(ctx)

    def turn(self, ctx):
        target = self.order_qty_lots if self.above else -self.order_qty_lots
        lots = target - ctx.position_lots
        if lots == 0 or ctx.best_bid_ticks is None or ctx.best_ask_ticks is None:
            return
        side, price = ("buy", ctx.best_ask_ticks) if lots > 0 else ("sell", ctx.best_bid_ticks)
        self.open_ordinal = ctx.submit(side=side, qty_lots=abs(lots), price_ticks=price)
        ctx.set_timer(ctx.now_ns + self.timeout_ns)

    def on_timer(self, ctx, timer):
        if self.open_ordinal:
            ctx.cancel(self.open_ordinal)

    def on_order(self, ctx, order):
        if order.order_ordinal == self.open_ordinal and not order.is_open:
            self.open_ordinal = 0
