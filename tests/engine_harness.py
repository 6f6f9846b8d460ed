"""A small market and a scripted strategy: what tests of risk, orders and the simulated venue drive an engine with.

Prices are around 100.00 (10,000 ticks of 0.01), quantities in lots of 0.001; frames are real Binance text.
"""
import numpy as np

from tickpath.engine import Engine
from tickpath.session import Session
from tickpath.shm.feed_lane import FeedLaneWriter
from tickpath.shm.ring import EventReader, EventWriter, records
from tickpath.shm.state_page import StatePage
from tickpath.trading import Strategy
from tickpath.types import EventType, OrderState, Reason

MS = 1_000_000
PAPER = {"order_latency_ns": 5 * MS, "reply_latency_ns": 2 * MS, "maker_fee_e8": 10_000, "taker_fee_e8": 20_000,
         "reject_probability": 0.0, "seed": 1}
LIMITS = {"venue_symbol": "TESTUSDT", "tick_size": "0.01", "lot_size": "0.001", "min_notional_ticklots": 0,
          "book_window_ticks": 4096, "max_order_qty_lots": 10 ** 6, "max_order_notional_ticklots": 10 ** 12,
          "max_position_notional_ticklots": 10 ** 12, "qty_step_lots": 1, "price_collar_e2_bps": 100_000,
          "max_open_orders": 50}


class Scripted(Strategy):
    """Does what the test put into `todo` at the next callback, and keeps what it was told."""

    def __init__(self, parameters):
        super().__init__(parameters)
        self.todo, self.updates, self.fills, self.timers, self.ordinals, self.seen = [], [], [], [], [], []
        self.grids = []

    def act(self, ctx):
        todo, self.todo = self.todo, []
        for action in todo:
            self.ordinals.append(action(ctx))

    def on_quote(self, ctx, event):
        self.seen.append(("quote", ctx.now_ns))
        self.act(ctx)

    def on_trade(self, ctx, event):
        self.seen.append(("trade", ctx.now_ns))
        self.act(ctx)

    def on_order(self, ctx, event):
        self.updates.append((event.order_ordinal, event.state, event.reason))

    def on_fill(self, ctx, event):
        self.fills.append((event.order_ordinal, event.side, event.price_ticks, event.qty_lots, event.fee_e8, event.is_maker))

    def on_timer(self, ctx, event):
        self.timers.append((event.due_ns, ctx.now_ns))
        self.act(ctx)

    def on_grid(self, ctx, event):
        self.grids.append((event.instrument, str(event.tick_size), str(event.lot_size), event.price_factor, event.qty_factor))
        self.act(ctx)


class Market:
    """An engine with one scripted strategy, a snapshot of 10 levels a side and a quote; `now_ms` is the feed's clock. live: no simulated
    venue."""

    def __init__(self, *, strategy="engine_harness:Scripted", paper=None, max_orders_per_min=60000, max_data_age_ms=2000,
                 state_buffer=None, writer=None, session_options=None, live=False, **limits):
        self.writer = EventWriter.local(1 << 16) if writer is None else writer
        spec = {
            "instance": "harness", "epoch": 1, "mode": "live" if live else "paper", "seed": 1, "stamps": True, "max_frame_bytes": 1 << 20,
            "bar_interval_ns": 10 ** 9, "imbalance_levels": 5, "ema_fast": 2, "ema_slow": 4,
            "max_data_age_ns": max_data_age_ms * MS, "max_orders_per_min": max_orders_per_min,
            "instruments": [{**LIMITS, **limits}],
            "strategies": [{"name": "scripted", "kind": strategy, "parameters": {}, "instrument": 0}]}
        self.spec = spec
        self.engine = Engine(spec, self.writer, state_buffer)
        self.session = Session(self.engine, None if live else {**PAPER, **(paper or {})}, **(session_options or {}))
        self.feed, self.lane = FeedLaneWriter.local(1 << 16)
        self.strategy = self.engine.strategies[0].python_strategy
        self.now_ms, self.update_id, self.trade_id = 0, 100, 0
        rows = [",".join(f'["{100 + s * (k + (s > 0)) / 100 - (s < 0) / 100:.8f}","{10 + k}.00000000"]' for k in range(10))
                for s in (-1, 1)]
        self.frame(f'{{"lastUpdateId":100,"bids":[{rows[0]}],"asks":[{rows[1]}]}}')

    def frame(self, text, ms=1):
        self.now_ms += ms
        return self.session.on_frame(text.encode(), self.now_ms * MS, 0)

    def turn(self):
        """What the engine's process does again and again: commands, the journal's state, waiting frames."""
        return self.session.drain(self.lane)

    def quote(self, bid="99.99", bid_qty="10", ask="100.01", ask_qty="10", ms=1):
        self.update_id += 1
        return self.frame(f'{{"u":{self.update_id},"s":"TESTUSDT","b":"{bid}000000","B":"{bid_qty}.00000000",'
                          f'"a":"{ask}000000","A":"{ask_qty}.00000000"}}', ms)

    def trade(self, price, qty, sell=False, ms=1):
        self.trade_id += 1
        return self.frame(f'{{"e":"trade","E":{1700000000000 + self.now_ms},"s":"TESTUSDT","t":{self.trade_id},"p":"{price}",'
                          f'"q":"{qty}","T":{1700000000000 + self.now_ms},"m":{"true" if sell else "false"},"M":true}}', ms)

    def depth(self, bids=(), asks=(), ms=1):
        rows = [",".join(f'["{p}","{q}"]' for p, q in side) for side in (bids, asks)]
        self.update_id += 1
        return self.frame(f'{{"e":"depthUpdate","E":{1700000000000 + self.now_ms},"s":"TESTUSDT","U":{self.update_id},'
                          f'"u":{self.update_id},"b":[{rows[0]}],"a":[{rows[1]}]}}', ms)

    def submit(self, side="buy", qty_lots=100, price_ticks=9990, **more):
        """Submit at the next quote; returns the order's ordinal."""
        self.strategy.todo.append(lambda ctx: ctx.submit(side=side, qty_lots=qty_lots, price_ticks=price_ticks, **more))
        self.quote()
        return self.strategy.ordinals[-1]

    def cancel(self, ordinal):
        self.strategy.todo.append(lambda ctx: ctx.cancel(ordinal))
        self.quote()

    def updates(self, ordinal):
        """[(OrderState, Reason), …] that the strategy was told of an order."""
        return [(s, r) for o, s, r in self.strategy.updates if o == ordinal]

    def states(self, ordinal):
        return [s for o, s, _ in self.strategy.updates if o == ordinal]

    def refusal(self, ordinal):
        """The Reason of a refused order, None when it was accepted."""
        found = [r for o, s, r in self.strategy.updates if o == ordinal and s == OrderState.ORDER_REJECTED]
        return Reason(found[0]) if found else None

    def records(self, kind):
        slots = EventReader(self.writer.buffer, 1).read(1 << 16)
        assert (np.diff(slots["seq"].astype(np.int64)) == 1).all()
        return records(slots, EventType(kind))

    def totals(self):
        self.engine.publish_state()
        return StatePage(self.engine.state_buffer).totals()

    def position_lots(self):
        self.engine.publish_state()
        return StatePage(self.engine.state_buffer).instruments()[0]["position_lots"]
