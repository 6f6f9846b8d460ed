"""Resting orders against recorded data: the same orders under every queue model (docs/simulation.md)."""
import gzip
from itertools import islice

import pytest

from engine_harness import MS, PAPER, Scripted
from tickpath.engine import Engine
from tickpath.session import Session
from tickpath.shm.ring import EventWriter

CAPTURE = "hftbacktest_btcusdt_20240808.gz"
FRAMES = 16_000
LIFE_NS = 2_000_000_000
MODELS = ("pessimistic", "proportional", "power", "log", "optimistic")
INSTRUMENT = {"venue_symbol": "BTCUSDT", "tick_size": "0.01", "lot_size": "0.000001", "min_notional_ticklots": 0,
              "book_window_ticks": 65536, "max_order_qty_lots": 10 ** 9, "max_order_notional_ticklots": 10 ** 17,
              "max_position_notional_ticklots": 10 ** 18, "qty_step_lots": 1, "price_collar_e2_bps": 100_000,
              "max_open_orders": 50}


class OneAtATime(Scripted):
    """An order at the best price every two seconds, now a bid, now an offer, the one before it taken back: whatever is filled, the
    next order is the same."""

    def __init__(self, parameters):
        super().__init__(parameters)
        self.next_ns, self.count = 0, 0

    def on_quote(self, ctx, event):
        if ctx.now_ns < self.next_ns:
            return
        self.next_ns = ctx.now_ns + LIFE_NS
        if self.ordinals:
            ctx.cancel(self.ordinals[-1])
        side = ("buy", "sell")[self.count % 2]
        price = event.bid_price_ticks if side == "buy" else event.ask_price_ticks
        self.count += 1
        self.ordinals.append(ctx.submit(side=side, qty_lots=100, price_ticks=price))


@pytest.fixture(scope="module")
def frames(golden_dir):
    with gzip.open(golden_dir / "binance_spot" / CAPTURE) as file:
        return [(int(line[:19]), line[20:].rstrip()) for line in islice(file, FRAMES)]


def fills_by_order(frames, paper):
    """{order's number: lots filled while it rested}, and the session."""
    spec = {"instance": "golden", "epoch": 1, "mode": "paper", "seed": 1, "stamps": False, "max_frame_bytes": 1 << 20,
            "bar_interval_ns": 10 ** 9, "imbalance_levels": 5, "ema_fast": 2, "ema_slow": 4, "max_data_age_ns": 10 ** 12,
            "max_orders_per_min": 60_000, "instruments": [INSTRUMENT],
            "strategies": [{"name": "one", "kind": "test_sim_golden:OneAtATime", "parameters": {}, "instrument": 0}]}
    engine = Engine(spec, EventWriter.local(1 << 12), None)
    session = Session(engine, {**PAPER, **paper})
    for ts_ns, text in frames:
        session.on_frame(text, ts_ns, 0)
    strategy = engine.strategies[0].python_strategy
    filled = dict.fromkeys(strategy.ordinals, 0)
    for ordinal, _side, _price, qty_lots, _fee, is_maker in strategy.fills:
        filled[ordinal] += qty_lots if is_maker else 0
    return filled, session


@pytest.fixture(scope="module")
def fills(frames):
    return {model: fills_by_order(frames, {"queue_model": model})[0] for model in MODELS}


def test_the_same_orders_are_filled_no_less_by_a_kinder_model(fills):
    orders = fills["pessimistic"]
    assert len(orders) > 50 and all(set(f) == set(orders) for f in fills.values())
    for n in orders:
        assert orders[n] <= fills["proportional"][n] <= fills["optimistic"][n]
        assert max(fills["power"][n], fills["log"][n]) <= fills["optimistic"][n]


def test_the_models_differ_and_none_fills_nothing_or_everything(fills):
    totals = {model: sum(f.values()) for model, f in fills.items()}
    assert 0 < totals["pessimistic"] < totals["proportional"] < totals["optimistic"] < 100 * len(fills["log"])
    assert totals["pessimistic"] <= totals["power"] < totals["log"] < totals["optimistic"]


@pytest.mark.parametrize("paper", [
    {"queue_model": "log", "latency_jitter_ns": 3 * MS},
    {"queue_model": "power", "queue_power": 2.5, "impact_bps": 1.0, "impact_half_life_ns": 10 ** 9}])
def test_the_same_seed_gives_the_same_fills(frames, paper):
    few = frames[:4000]
    assert fills_by_order(few, paper)[0] == fills_by_order(few, paper)[0]


def test_more_latency_is_more_queue_to_wait_behind(frames):
    """Not for each order, but over many: who comes later stands further back or misses the price."""
    few = frames[:8000]
    near, far = (sum(fills_by_order(few, {"order_latency_ns": ms * MS, "queue_model": "proportional"})[0].values())
                 for ms in (1, 500))
    assert 0 < far < near
