"""hftbacktest's ROI-vector market depth over the changes of l2_market.py: ns a level change, JSON on stdout.

Run by bench_book.py with the Python of the peers' environment. Arguments: number of changes, core. gross: its event loop over
depth events, best bid and ask read after each; net: less the same loop over trade events, which touch no book. Best of five
behind a first run that compiles.
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
def read_best(h):
    total, depth = 0, h.depth(0)
    while h.wait_next_feed(False, NEVER_NS) != 1:
        total += depth.best_bid_tick + depth.best_ask_tick
    return total


def events(rows, kind):
    out = np.zeros(len(rows), hft.event_dtype)
    out["ev"] = kind | np.where(rows[:, 0] == 0, hft.BUY_EVENT, hft.SELL_EVENT)
    out["px"], out["qty"] = rows[:, 1] * 0.1, rows[:, 2] * 0.001
    return out


def main():
    n, core = int(sys.argv[1]), int(sys.argv[2])
    os.sched_setaffinity(0, {core})
    changes, snapshot = l2_changes(n)
    opening = events(snapshot, hft.DEPTH_SNAPSHOT_EVENT | hft.LOCAL_EVENT | hft.EXCH_EVENT)
    best = {}
    for name, kind in (("depth", hft.DEPTH_EVENT), ("trade", hft.TRADE_EVENT)):
        data = events(changes, kind | hft.LOCAL_EVENT)
        data["exch_ts"] = 1_000_000_000 + np.arange(n) * 1000
        data["local_ts"] = data["exch_ts"] + 500
        times = []
        for _ in range(6):
            asset = (hft.BacktestAsset().data(data).initial_snapshot(opening).linear_asset(1.0).constant_order_latency(0, 0)
                     .risk_adverse_queue_model().no_partial_fill_exchange().trading_value_fee_model(0, 0).tick_size(0.1)
                     .lot_size(0.001).last_trades_capacity(0).roi_lb(49_000.0).roi_ub(51_000.0))
            h = hft.ROIVectorMarketDepthBacktest([asset])
            begin = time.perf_counter_ns()
            read_best(h)
            times.append((time.perf_counter_ns() - begin) / n)
            h.close()
        best[name] = min(times[1:])
    print(json.dumps({"version": version("hftbacktest"), "gross_ns": best["depth"], "net_ns": best["depth"] - best["trade"]}))


if __name__ == "__main__":
    main()
