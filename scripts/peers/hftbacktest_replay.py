"""hftbacktest (Rust core, numba strategies) over the market of l2_market.py: ns an event, JSON on stdout.

Run by bench_replay.py with the Python of the peers' environment. Arguments: number of events, core. ROI-vector depth, 50 us
of latency each way, risk-averse queue model; strategies as those of bench_replay.py. Best of three runs behind a first one
that compiles.
"""
import json
import os
import sys
import time
from importlib.metadata import version
from pathlib import Path

import hftbacktest as hft
import numpy as np
from numba import njit

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from l2_market import l2_changes  # noqa: E402

NEVER_NS = 60_000_000_000


@njit
def idle(h):
    total, d = 0, h.depth(0)
    while h.wait_next_feed(False, NEVER_NS) != 1:
        total += d.best_bid_tick + d.best_ask_tick
    return total


@njit
def ema_cross(h):
    order_id, above, seen, fast, slow, d = 0, False, 0, 0.0, 0.0, h.depth(0)
    while h.wait_next_feed(False, NEVER_NS) != 1:
        middle = 0.5 * (d.best_bid + d.best_ask)
        if seen == 0:
            fast = middle
            slow = middle
        fast += (2 / 11) * (middle - fast)
        slow += (2 / 51) * (middle - slow)
        seen += 1
        if seen > 50 and (fast > slow) != above:
            order_id += 1
            if fast > slow:
                h.submit_buy_order(0, order_id, d.best_ask, 0.01, hft.GTC, hft.LIMIT, False)
            else:
                h.submit_sell_order(0, order_id, d.best_bid, 0.01, hft.GTC, hft.LIMIT, False)
            if order_id % 16 == 0:
                h.clear_inactive_orders(0)
        above = fast > slow
    return order_id


@njit
def market_making(h):
    order_id, bid0, ask0, bid_order, ask_order, d = 0, 0, 0, 0, 0, h.depth(0)
    while h.wait_next_feed(False, NEVER_NS) != 1:
        bid, ask = d.best_bid_tick, d.best_ask_tick
        if bid != bid0:
            o = h.orders(0).get(bid_order)
            if o is not None and o.cancellable:
                h.cancel(0, bid_order, False)
            h.clear_inactive_orders(0)
            order_id += 1
            bid_order, bid0 = order_id, bid
            h.submit_buy_order(0, bid_order, d.best_bid, 0.01, hft.GTX, hft.LIMIT, False)
        if ask != ask0:
            o = h.orders(0).get(ask_order)
            if o is not None and o.cancellable:
                h.cancel(0, ask_order, False)
            h.clear_inactive_orders(0)
            order_id += 1
            ask_order, ask0 = order_id, ask
            h.submit_sell_order(0, ask_order, d.best_ask, 0.01, hft.GTX, hft.LIMIT, False)
    return order_id


def main():
    n, core = int(sys.argv[1]), int(sys.argv[2])
    os.sched_setaffinity(0, {core})
    changes, snapshot = l2_changes(n)

    def events(rows, kind):
        out = np.zeros(len(rows), hft.event_dtype)
        out["ev"] = kind | hft.LOCAL_EVENT | hft.EXCH_EVENT | np.where(rows[:, 0] == 0, hft.BUY_EVENT, hft.SELL_EVENT)
        out["px"], out["qty"] = rows[:, 1] * 0.1, rows[:, 2] * 0.001
        return out
    data, opening = events(changes, hft.DEPTH_EVENT), events(snapshot, hft.DEPTH_SNAPSHOT_EVENT)
    data["exch_ts"] = 1_000_000_000 + np.arange(n) * 100_000
    data["local_ts"] = data["exch_ts"] + 10_000

    def backtest():
        asset = (hft.BacktestAsset().data(data).initial_snapshot(opening).linear_asset(1.0)
                 .constant_order_latency(50_000, 50_000).risk_adverse_queue_model().no_partial_fill_exchange()
                 .trading_value_fee_model(0.0002, 0.0005).tick_size(0.1).lot_size(0.001).last_trades_capacity(0)
                 .roi_lb(49_000.0).roi_ub(51_000.0))
        return hft.ROIVectorMarketDepthBacktest([asset])
    cases, orders = {}, {}
    for name, strategy in (("idle", idle), ("ema_cross", ema_cross), ("market_making", market_making)):
        times = []
        for _ in range(4):
            h = backtest()
            begin = time.perf_counter_ns()
            orders[name] = int(strategy(h))
            times.append((time.perf_counter_ns() - begin) / n)
            h.close()
        cases[name] = min(times[1:])
    print(json.dumps({"version": version("hftbacktest"), "cases": cases, "orders": orders}))


if __name__ == "__main__":
    main()
