"""A market's order flow, generated once for every engine that is to be compared: who submits and cancels what, in which order.

Zero intelligence (Smith, Farmer, Gillemot, Krishnamurthy 2003, arXiv:cond-mat/0210475): limit orders come at geometric distances
from the other side's best price, orders that take come at a constant rate, and cancels keep so many orders open as was asked for.
A book in plain Python walks along, so that a cancel names an order that is open and not one that was filled long ago.
"""
from collections import deque

import numpy as np

LIMIT, MARKET, CANCEL = 0, 1, 2
BUY, SELL = 1, 2
# ref: of a cancel, the index of the submit in the flow.
FLOW_DTYPE = np.dtype([("kind", "u1"), ("side", "u1"), ("account", "u2"), ("unused", "u4"), ("price_ticks", "i8"),
                       ("qty_lots", "i8"), ("ref", "i8")])
MIDDLE_TICKS = 30_000
TAKING = 0.08                      # share of the actions that take
ACCOUNTS = 16


class _Book:
    """Price -> FIFO of [index, open lots]; what was cancelled stays in its queue with nothing open."""

    def __init__(self):
        self.levels = ({}, {})                     # bids, asks
        self.best = [None, None]
        self.open, self.place = [], {}             # open orders in any order, for a fair draw

    def add(self, side, price, index, lots):
        entry = [index, lots, side, price]
        self.levels[side].setdefault(price, deque()).append(entry)
        best = self.best[side]
        if best is None or (price > best if side == 0 else price < best):
            self.best[side] = price
        self.place[index] = len(self.open)
        self.open.append(entry)

    def remove(self, entry):
        at, last = self.place.pop(entry[0]), self.open.pop()
        if last is not entry:
            self.open[at] = last
            self.place[last[0]] = at
        entry[1] = 0

    def head(self, side):
        """The first open order of the best price, or None."""
        levels, step = self.levels[side], -1 if side == 0 else 1
        while levels:
            queue = levels.get(self.best[side])
            while queue and queue[0][1] == 0:
                queue.popleft()
            if queue:
                return queue[0]
            levels.pop(self.best[side], None)
            if not levels:
                break
            if len(levels) > 64:
                price = self.best[side] + step
                while price not in levels:
                    price += step
                self.best[side] = price
            else:
                self.best[side] = max(levels) if side == 0 else min(levels)
        self.best[side] = None
        return None


def order_flow(actions, open_orders, seed=7, spread_ticks=40.0):
    """The flow as FLOW_DTYPE rows; behind the first 2 * open_orders about `open_orders` orders are open."""
    rng = np.random.default_rng(seed)
    out = np.zeros(actions, FLOW_DTYPE)
    draw = rng.random(actions).tolist()
    which = rng.random(actions).tolist()
    side_of = rng.integers(0, 2, actions).tolist()
    offset = rng.geometric(1 / spread_ticks, actions).tolist()
    lots = rng.geometric(1 / 20, actions).tolist()
    out["account"] = rng.integers(0, ACCOUNTS, actions)
    book, rows = _Book(), out
    kinds, sides, prices, quantities, refs = ([0] * actions for _ in range(5))
    for i in range(actions):
        count, side = len(book.open), side_of[i]
        if count > 8 and draw[i] < TAKING:
            kinds[i], sides[i], quantities[i] = MARKET, BUY + side, lots[i]
            left = lots[i]
            while left:
                entry = book.head(1 - side)
                if entry is None:
                    break
                done = min(left, entry[1])
                left -= done
                entry[1] -= done
                if entry[1] == 0:
                    entry[1] = done
                    book.remove(entry)
            continue
        if count > 8 and draw[i] > TAKING + (1 - TAKING) * (0.64 if count < open_orders else 0.44):
            entry = book.open[int(which[i] * count)]
            kinds[i], sides[i], prices[i], refs[i] = CANCEL, BUY + entry[2], entry[3], entry[0]
            rows["account"][i] = rows["account"][entry[0]]
            book.remove(entry)
            continue
        other, own = book.head(1 - side), book.head(side)
        other = other[3] if other else (own[3] if own else MIDDLE_TICKS) + (1 if side == 0 else -1)
        # A pull back to the middle keeps the walk within the ladder.
        pull = 1 if (other < MIDDLE_TICKS) == (side == 0) else 0
        price = other - offset[i] + pull * (offset[i] > 1) if side == 0 else other + offset[i] - pull * (offset[i] > 1)
        kinds[i], sides[i], prices[i], quantities[i] = LIMIT, BUY + side, price, lots[i]
        book.add(side, price, i, lots[i])
    out["kind"], out["side"], out["price_ticks"], out["qty_lots"], out["ref"] = kinds, sides, prices, quantities, refs
    return out, len(book.open)


def steady_flow(open_orders, actions, seed=7, width_ticks=2_000):
    """So many limit orders at random prices on both sides of the middle, then `actions` that keep their number: 46 % submits,
    46 % cancels of any of them, 8 % that take a lot."""
    rng = np.random.default_rng(seed)
    count = open_orders + actions
    out = np.zeros(count, FLOW_DTYPE)
    side = rng.integers(0, 2, count)
    out["side"], out["account"], out["qty_lots"] = BUY + side, rng.integers(0, ACCOUNTS, count), rng.integers(1, 40, count)
    out["price_ticks"] = MIDDLE_TICKS + np.where(side == 0, -1, 1) * rng.integers(1, width_ticks + 1, count)
    kinds = np.zeros(count, np.uint8)
    kinds[open_orders:] = rng.choice([LIMIT, MARKET, CANCEL], actions, p=[0.46, 0.08, 0.46])
    out["kind"] = kinds
    out["qty_lots"][kinds == MARKET] = 1
    alive, accounts = list(range(open_orders)), out["account"]
    which = rng.random(count)
    for i in range(open_orders, count):
        if kinds[i] == LIMIT:
            alive.append(i)
        elif kinds[i] == CANCEL:
            at = int(which[i] * len(alive))
            out["ref"][i], accounts[i] = alive[at], accounts[alive[at]]
            alive[at] = alive[-1]
            alive.pop()
    return out
