"""NautilusTrader's simulated exchange doing the order flow of order_flow.py: ns an action, JSON on stdout.

Run by bench_sim.py with the Python of the peers' environment. Arguments: file of the flow, actions to warm up with, core, rounds,
actions to time. The exchange is the one that a BacktestEngine builds; commands go to SimulatedExchange.send without its message
queue, orders and commands are built outside the clock, logging is bypassed. It matches orders with a market, not with each
other: a deep L2 book that stands still on either side of all limit orders, so that these rest, while those that take trade with
the book. Each round is a fresh engine; what each part took in its quietest round is what it takes. `accounts` has its margin
account on, which works out the margin of all open orders at each event; `frozen` has it off (balances do not change) and is the
figure, its best case; `whole` is the way through the strategy, risk and execution engines, frozen.
"""
import gc
import json
import os
import sys
import time
import warnings
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path

import numpy as np

warnings.filterwarnings("ignore")
from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig, SimulatedExchange  # noqa: E402
from nautilus_trader.config import LoggingConfig, RiskEngineConfig, StrategyConfig  # noqa: E402
from nautilus_trader.core.uuid import UUID4  # noqa: E402
from nautilus_trader.execution.messages import CancelOrder, SubmitOrder  # noqa: E402
from nautilus_trader.model.currencies import USDT  # noqa: E402
from nautilus_trader.model.data import BookOrder, OrderBookDelta  # noqa: E402
from nautilus_trader.model.enums import AccountType, BookAction, BookType, OmsType, OrderSide  # noqa: E402
from nautilus_trader.model.objects import Money, Price, Quantity  # noqa: E402
from nautilus_trader.test_kit.providers import TestInstrumentProvider  # noqa: E402
from nautilus_trader.trading.strategy import Strategy  # noqa: E402

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from order_flow import BUY, CANCEL, FLOW_DTYPE, MARKET  # noqa: E402

LEVELS, PART = 64, 20


class Holder(Strategy):
    """Holds the order factory; does nothing by itself."""


def build(flow, frozen):
    instrument = TestInstrumentProvider.btcusdt_perp_binance()
    engine = BacktestEngine(BacktestEngineConfig(
        logging=LoggingConfig(bypass_logging=True), run_analysis=False,
        risk_engine=RiskEngineConfig(max_order_submit_rate="100000000/00:00:01", max_order_modify_rate="100000000/00:00:01")))
    engine.add_venue(instrument.id.venue, OmsType.NETTING, AccountType.MARGIN, [Money(10_000_000, USDT)], base_currency=None,
                     default_leverage=Decimal(100), book_type=BookType.L2_MBP, use_message_queue=False, frozen_account=frozen)
    engine.add_instrument(instrument)
    strategy = Holder(StrategyConfig(strategy_id="B-001", log_events=False, log_commands=False))
    engine.add_strategy(strategy)
    limits = flow["price_ticks"][flow["price_ticks"] > 0]
    low, high = int(limits.min()) - 1, int(limits.max()) + 1
    deltas = [OrderBookDelta(instrument.id, BookAction.ADD, BookOrder(side, Price(price * 0.1, 1), Quantity(1e6, 3), 0), 0, 0, 2,
                             2)
              for n in range(LEVELS) for side, price in ((OrderSide.BUY, low - n), (OrderSide.SELL, high + n))]
    engine.add_data(deltas)
    engine.run(streaming=True)
    # The engine keeps its exchanges to itself; the collector knows them.
    exchange = next(o for o in gc.get_objects() if type(o) is SimulatedExchange and o.cache is engine.kernel.cache)
    return engine, instrument, strategy, exchange


def main():
    path, warm, core, rounds, timed = sys.argv[1], *map(int, sys.argv[2:6])
    os.sched_setaffinity(0, {core})
    flow = np.fromfile(path, FLOW_DTYPE)[:warm + timed]
    columns = tuple(flow[k].tolist() for k in ("kind", "side", "price_ticks", "qty_lots", "ref"))
    found = {}
    for name in ("frozen", "whole", "accounts"):
        whole, times = name == "whole", []
        if name == "accounts":
            rounds, timed = 1, min(timed, 200)
            warm = min(warm, 1000)
        for _ in range(rounds):
            engine, instrument, strategy, exchange = build(flow[:warm + timed], name != "accounts")
            factory, cache = strategy.order_factory, engine.kernel.cache
            orders, commands = {}, []
            for i, (kind, side, price, qty, ref) in enumerate(zip(*(c[:warm + timed] for c in columns), strict=True)):
                if kind == CANCEL:
                    order = orders[ref]
                    commands.append((1, order, CancelOrder(strategy.trader_id, strategy.id, instrument.id, order.client_order_id,
                                                           None, UUID4(), 3)))
                    continue
                way = OrderSide.BUY if side == BUY else OrderSide.SELL
                order = (factory.market(instrument.id, way, Quantity(qty * 0.001, 3)) if kind == MARKET else
                         factory.limit(instrument.id, way, Quantity(qty * 0.001, 3), Price(price * 0.1, 1)))
                orders[i] = order
                if not whole:
                    cache.add_order(order)
                commands.append((0, order, SubmitOrder(strategy.trader_id, strategy.id, order, UUID4(), 3)))
            gc.collect()
            gc.disable()
            parts = []
            for at in range(0, len(commands), PART):
                part = commands[at:at + PART]
                begin = time.perf_counter_ns()
                if whole:
                    for cancel, order, _ in part:
                        (strategy.cancel_order if cancel else strategy.submit_order)(order)
                else:
                    for _, _, command in part:
                        exchange.send(command)
                if at >= warm:
                    parts.append((time.perf_counter_ns() - begin) / len(part))
            gc.enable()
            times.append(parts)
            counts = {"filled": len(cache.orders_closed()), "open": len(cache.orders_open())}
            engine.dispose()
        found[name] = {"ns": float(np.min(times, axis=0).mean()), **counts}
    print(json.dumps({"version": version("nautilus_trader"), "ns": found["frozen"]["ns"], "variants": found}))


if __name__ == "__main__":
    main()
