"""What do all pre-trade checks together cost an order that passes them? (all_limits)

Workload: risk_check and risk_note_order called from another module, as engine.pyx does, on 1,024 different limit orders in turn
(both sides, GTC and IOC, 1,024 prices, 64 quantities) with every limit set, a position, open orders, and a full minute of sent
orders behind, so that the rate check compares times. Unit: ns an order.

Before a time is printed, each limit is shown to be alive: set too low, it refuses the same order with its own reason (exit 3).
Floor: scripts/floors/risk.c, eight checks in plain C, in the same run. No peer offers its checks alone.
"""
import subprocess
import sys

import numpy as np

import benchlib
import loops
from tickpath.market import OrderBook
from tickpath.types import Reason, TradingState

ORDERS = 100_000                 # a timed pass: about 1 ms
PASSES = 100                     # of a round
TARGET_NS = 25.0
LIMITS = {"max_order_qty_lots": 10 ** 6, "max_order_notional_ticklots": 10 ** 15, "min_notional_ticklots": 10 ** 6,
          "max_position_notional_ticklots": 10 ** 16, "qty_step_lots": 10, "price_collar_e2_bps": 10_000,
          "max_open_orders": 64, "max_data_age_ns": 2 * 10 ** 12, "max_orders_per_min": 30_000}
# What refuses the order, and with which reason.
TIGHT = [({"trading_state": TradingState.TRADING_HALTED}, Reason.REASON_KILL_SWITCH),
         ({"trading_state": TradingState.TRADING_CANCEL_ONLY}, Reason.REASON_STATE_FORBIDS),
         ({"max_data_age_ns": 0}, Reason.REASON_DATA_STALE),
         ({"price_collar_e2_bps": 0}, Reason.REASON_PRICE_OUTSIDE_BAND),
         ({"max_order_qty_lots": 1}, Reason.REASON_ORDER_QTY_OVER_LIMIT),
         ({"max_order_notional_ticklots": 1}, Reason.REASON_ORDER_NOTIONAL_OVER_LIMIT),
         ({"min_notional_ticklots": 10 ** 15}, Reason.REASON_ORDER_NOTIONAL_UNDER_MINIMUM),
         ({"max_position_notional_ticklots": 1}, Reason.REASON_POSITION_OVER_LIMIT),
         ({"max_open_orders": 8}, Reason.REASON_OPEN_ORDERS_OVER_LIMIT),
         ({}, Reason.REASON_OK)]


def book():
    found = OrderBook()
    for i in range(10):
        found.set_level(0, 6_100_000 - i, 100 + i)
        found.set_level(1, 6_100_001 + i, 100 + i)
    found.mark_synced(1)
    return found


def refusals(module):
    """Exit 3 where a limit does not refuse with its own reason."""
    for changed, reason in TIGHT:
        found = Reason(module.Desk(book(), {**LIMITS, **changed}).reason())
        if found != reason:
            print(f"bench_risk: with {changed or 'the usual limits'}: expected {reason.name}, found {found.name}",
                  file=sys.stderr)
            sys.exit(3)
    # The rate: one order more than a minute allows.
    desk = module.Desk(book(), LIMITS, 1)
    desk.run(LIMITS["max_orders_per_min"])
    if Reason(desk.reason()) != Reason.REASON_ORDER_RATE_OVER_LIMIT:
        print(f"bench_risk: expected REASON_ORDER_RATE_OVER_LIMIT, found {Reason(desk.reason()).name}", file=sys.stderr)
        sys.exit(3)


def main():
    options = benchlib.arguments(__doc__).parse_args()
    benchlib.pin(options.core)
    module = loops.load("risk_loop")
    refusals(module)
    program = benchlib.build_floor("risk")
    desk = module.Desk(book(), LIMITS)
    desk.run(2 * LIMITS["max_orders_per_min"])
    ours, floors, ratios = [], [], []
    for _ in range(options.rounds):
        times = []
        for _ in range(PASSES):
            ns, passed = desk.run(ORDERS)
            if passed != ORDERS:
                print(f"bench_risk: expected {ORDERS} orders to pass, found {passed}", file=sys.stderr)
                return 3
            times.append(ns / ORDERS)
        *lines, last = subprocess.run([program, str(ORDERS), str(PASSES)], capture_output=True, text=True,
                                      check=True).stdout.splitlines()
        if last != f"passed {ORDERS}":
            print(f"bench_risk: floor: expected {ORDERS} orders to pass, found {last}", file=sys.stderr)
            return 3
        found = [float(line) for line in lines]
        ours += times
        floors += found
        ratios.append(np.percentile(times, 5) / np.percentile(found, 5))
    # A shared machine takes the processor away in most passes: the quietest tenth's median is the figure, for both.
    p50, floor = (round(float(np.percentile(values, 5)), 2) for values in (ours, floors))
    figures = benchlib.percentiles(ours)
    figures["p50_all"], figures["p50"] = figures["p50"], p50
    case = {"case": "all_limits", "unit": "ns", **figures, "n": len(ours) * ORDERS, "target": TARGET_NS,
            "floor": {"p50": floor, "checks": 8}, "ratio_to_floor": round(p50 / floor, 2),
            "ratio_same_round": round(float(np.median(ratios)), 2), "peers": {}}
    benchlib.finish({"name": "bench_risk", "machine": benchlib.machine(), "rounds": options.rounds, "cases": [case],
                     "missing": []}, options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
