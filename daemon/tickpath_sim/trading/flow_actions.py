"""Generated order flow as an array of requests for `Exchange.run`: for benchmarks, and for research in bulk.

    made = generate_actions(load_flow("poisson", seed=1), 1_000_000)
    results = made.exchange.run(made.actions)
"""
from typing import NamedTuple

import numpy as np

from tickpath.sim.exchange import ACTION_DTYPE, Exchange, SimActionKind, SimReason
from tickpath_sim.trading.flow_traders import Flow, flow_exchange

__all__ = ["GeneratedFlow", "generate_actions"]

OK = int(SimReason.OK)


class _Recorder:
    """Stands between a Flow and an Exchange and writes down what is asked of it, as actions for Exchange.run."""

    def __init__(self, exchange):
        self.exchange = exchange
        self.best, self.order, self.balance = exchange.best, exchange.order, exchange.balance
        self.rows = []                      # (kind, now_ns, account, instrument, side, type, tif, price, qty, target)
        self._made = {}                     # order id -> number of the action that made it

    def submit(self, account, instrument, side, order_type, tif, price_ticks, qty_lots, *, now_ns):
        order_id, reason = self.exchange.submit(account, instrument, side, order_type, tif, price_ticks, qty_lots, now_ns=now_ns)
        if reason == OK:
            self._made[order_id] = len(self.rows)
        self.rows.append((int(SimActionKind.SUBMIT), now_ns, account, instrument, side, int(order_type), int(tif), price_ticks,
                          qty_lots, -1))
        return order_id, reason

    def cancel(self, account, order_id, now_ns):
        reason = self.exchange.cancel(account, order_id, now_ns)
        self.rows.append((int(SimActionKind.CANCEL), now_ns, account, 0, 0, 0, 0, 0, 0, self._made.pop(order_id)))
        return reason


class GeneratedFlow(NamedTuple):
    """exchange, desks : fresh, with funds and nothing else.  actions : array for exchange.run."""
    exchange: Exchange
    desks: list
    actions: np.ndarray


def generate_actions(spec, count, *, start_ns=0):
    """The first `count` requests of a flow as an array for `Exchange.run`, and a fresh exchange to run them on.

    The requests are found by trading against a scratch exchange, so that run on the fresh one they do the very same.
    Parameters: spec : FlowSpec.  start_ns : the exchange's time at the beginning.
    Returns: GeneratedFlow.
    """
    exchange, desks = flow_exchange(spec, checked=False)
    recorder = _Recorder(exchange)
    for desk in desks:
        desk.exchange = recorder
    # Nothing can be paid in or out between the requests, which is why these accounts may overdraw.
    flow = Flow(desks, spec, refilled=False)
    while len(recorder.rows) < count:
        flow.step(start_ns + flow.next_ns())
        exchange.drain()
    fresh, fresh_desks = flow_exchange(spec, checked=False)
    Flow(fresh_desks, spec)
    actions = np.zeros(count, ACTION_DTYPE)
    names = ("kind", "now_ns", "account", "instrument", "side", "order_type", "time_in_force", "price_ticks", "qty_lots",
             "target")
    for name, column in zip(names, zip(*recorder.rows[:count], strict=True), strict=True):
        actions[name] = column
    return GeneratedFlow(fresh, fresh_desks, actions)
