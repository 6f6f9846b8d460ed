"""hftbacktest (Rust core, numba strategy) doing the order flow of order_flow.py: ns an action, JSON on stdout.

Run by bench_sim.py with the Python of the peers' environment. Arguments: flow, actions to warm up with, core, rounds, part.
Its simulated exchange matches orders with a market, not with each other. The market is a deep book that stands still on either
side of all limit orders, so that these rest; orders that take are sent as market orders and are printed on the tape too, which is
what fills the resting ones. Latency is the least it has (1 ns each way), time moves on after each action. Both depths are run,
with and without the prints, and the quickest of them is the figure: without prints nothing that rests is ever filled. As for
ours, what each part of the flow took in its quietest round is what it takes.
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
from order_flow import BUY, FLOW_DTYPE, LIMIT, MARKET  # noqa: E402

STEP_NS = 100
START_NS = 1_000_000_000
LEVELS = 64


@njit
def act(h, kind, side, price, qty, ref, first, last):
    done = 0
    for i in range(first, last):
        if kind[i] == 2:
            o = h.orders(0).get(ref[i] + 1)
            if o is not None and o.cancellable:
                h.cancel(0, ref[i] + 1, False)
                done += 1
        else:
            order_type = hft.MARKET if kind[i] == 1 else hft.LIMIT
            if side[i] == 1:
                h.submit_buy_order(0, i + 1, price[i], qty[i], hft.GTC, order_type, False)
            else:
                h.submit_sell_order(0, i + 1, price[i], qty[i], hft.GTC, order_type, False)
            done += 1
        if h.elapse(STEP_NS) != 0:
            return -done
        if i % 64 == 0:
            h.clear_inactive_orders(0)
    return done


def market(flow, prints):
    limits = flow[flow["kind"] == LIMIT]
    low, high = int(limits["price_ticks"].min()) - 1, int(limits["price_ticks"].max()) + 1
    snapshot = np.zeros(2 * LEVELS, hft.event_dtype)
    for n in range(LEVELS):
        for row, flag, price in ((n, hft.BUY_EVENT, low - n), (LEVELS + n, hft.SELL_EVENT, high + n)):
            snapshot[row]["ev"] = hft.DEPTH_SNAPSHOT_EVENT | hft.LOCAL_EVENT | hft.EXCH_EVENT | flag
            snapshot[row]["px"], snapshot[row]["qty"] = price, 1e9
    taking = np.flatnonzero(flow["kind"] == MARKET) if prints else np.zeros(0, np.int64)
    feed = np.zeros(len(taking) + 2, hft.event_dtype)
    feed["ev"] = hft.TRADE_EVENT | hft.EXCH_EVENT
    # The price to which each of them goes in our own book, found by a walk through the flow.
    feed["px"][1:-1], feed["qty"][1:-1] = taken_prices(flow, taking), flow["qty_lots"][taking]
    feed["ev"][1:-1] |= np.where(flow["side"][taking] == BUY, hft.BUY_EVENT, hft.SELL_EVENT).astype(np.uint64)
    feed["exch_ts"][1:-1] = START_NS + taking * STEP_NS + STEP_NS // 2
    for at, ts in ((0, START_NS), (-1, START_NS + (len(flow) + 10) * STEP_NS)):
        feed[at]["ev"] = hft.DEPTH_EVENT | hft.LOCAL_EVENT | hft.EXCH_EVENT | hft.BUY_EVENT
        feed[at]["px"], feed[at]["qty"], feed[at]["exch_ts"] = low - LEVELS, 1e9, ts
    feed["local_ts"] = feed["exch_ts"]
    return snapshot, feed, low - LEVELS - 2, high + LEVELS + 2


def taken_prices(flow, taking):
    """Prices of the last fills, as a book in a dict finds them."""
    if len(taking) == 0:
        return np.zeros(0)
    best, open_lots, queues = [], {}, ({}, {})
    for i, (kind, side, price, lots, ref) in enumerate(zip(*(flow[k].tolist() for k in ("kind", "side", "price_ticks", "qty_lots",
                                                                                       "ref")), strict=True)):
        if kind == 2:
            if open_lots.pop(ref, None):
                queue = queues[side - 1][price]
                del queue[ref]
                if not queue:
                    del queues[side - 1][price]
        elif kind == LIMIT:
            queues[side - 1].setdefault(price, {})[i] = None
            open_lots[i] = lots
        else:
            found, pick = queues[2 - side], max if side != BUY else min
            at = price
            while lots and found:
                at = pick(found)
                queue = found[at]
                for order in list(queue):
                    done = min(lots, open_lots[order])
                    lots -= done
                    open_lots[order] -= done
                    if open_lots[order]:
                        break
                    del queue[order], open_lots[order]
                if not queue:
                    del found[at]
            best.append(at)
    return np.array(best, float)


def main():
    path, warm, core, rounds, part = sys.argv[1], *map(int, sys.argv[2:6])
    os.sched_setaffinity(0, {core})
    flow = np.fromfile(path, FLOW_DTYPE)
    columns = [np.ascontiguousarray(flow[name], kind) for name, kind in
               (("kind", np.uint8), ("side", np.uint8), ("price_ticks", float), ("qty_lots", float), ("ref", np.int64))]
    found = {}
    for prints in (True, False):
        snapshot, feed, low, high = market(flow, prints)
        for kind in (hft.ROIVectorMarketDepthBacktest, hft.HashMapMarketDepthBacktest):
            times = []
            for n in range(rounds + 1):
                asset = (hft.BacktestAsset().data(feed).initial_snapshot(snapshot).linear_asset(1.0).constant_order_latency(1, 1)
                         .risk_adverse_queue_model().no_partial_fill_exchange().trading_value_fee_model(0.0002, 0.0005)
                         .tick_size(1.0).lot_size(1.0).last_trades_capacity(0))
                if kind is hft.ROIVectorMarketDepthBacktest:
                    asset = asset.roi_lb(float(low)).roi_ub(float(high))
                h = kind([asset])
                h.elapse(1)
                ready = act(h, *columns, 0, 64 if n == 0 else warm)
                if n == 0 and ready < 0:
                    raise RuntimeError("the market ended before the flow did")
                if n == 0:
                    h.close()
                    continue
                done, times = 0, [*times, []]
                for at in range(warm, len(flow), part):
                    end = min(at + part, len(flow))
                    begin = time.perf_counter_ns()
                    done += act(h, *columns, at, end)
                    times[-1].append((time.perf_counter_ns() - begin) / (end - at))
                state = h.state_values(0)
                trades = int(state.num_trades)
                h.close()
            name = "roivector" if kind is hft.ROIVectorMarketDepthBacktest else "hashmap"
            name += "" if prints else " without prints"
            found[name] = {"ns": float(np.min(times, axis=0).mean()), "done": int(done), "trades": trades}
    best = min(found, key=lambda k: found[k]["ns"])
    print(json.dumps({"version": version("hftbacktest"), "ns": found[best]["ns"], "variant": best, "variants": found}))


if __name__ == "__main__":
    main()
