"""The generated L2 market of bench_replay and its peers: one workload, one file, NumPy only."""
import random

import numpy as np


def l2_changes(n, levels=1000, seed=7, middle=500_000, p_move=0.02):
    """(side, price_ticks, qty_lots) of n level changes and of the opening snapshot; never crossed, deletes hit live levels."""
    r = random.Random(seed)
    bids, asks = dict.fromkeys(range(middle - levels, middle), 1), dict.fromkeys(range(middle, middle + levels), 1)
    snapshot = [(0, p, 1000) for p in bids] + [(1, p, 1000) for p in asks]
    rows, todo = [], []
    span = np.log(levels / 10.0)
    while len(rows) < n:
        if todo:
            side, price, qty = todo.pop()
        else:
            u = r.random()
            if u < p_move:
                if u < p_move / 2:
                    if asks.get(middle):
                        todo.append((1, middle, 0))
                    todo.insert(0, (0, middle, 1 + int(r.random() * 5000)))
                    middle += 1
                else:
                    if bids.get(middle - 1):
                        todo.append((0, middle - 1, 0))
                    todo.insert(0, (1, middle - 1, 1 + int(r.random() * 5000)))
                    middle -= 1
                continue
            side = int(r.random() < 0.5)
            offset = int(r.random() * 10) if r.random() < 0.8 else int(10 * np.exp(r.random() * span))
            price = middle + offset if side else middle - 1 - offset
            book = asks if side else bids
            qty = 0 if (price in book and r.random() < 0.25 and len(book) > 20) else 1 + int(r.random() * 5000)
        book = asks if side else bids
        if qty:
            book[price] = 1
        else:
            book.pop(price, None)
        rows.append((side, price, qty))
    return np.array(rows, dtype=np.int64), np.array(snapshot, dtype=np.int64)
