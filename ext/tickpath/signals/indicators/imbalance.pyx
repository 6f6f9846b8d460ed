"""Order-book imbalance of displayed quantities.

Source: Cartea, Jaimungal, Penalva, "Algorithmic and High-Frequency Trading" (2015), volume imbalance.
"""
import numpy as np


def imbalance(bid_qty_lots, ask_qty_lots):
    """Batch form. int64[n] (or scalars), int64[n], lots -> float64[n] in -1..1; 0 where both are empty."""
    cdef const int64_t[::1] bids = np.ascontiguousarray(np.atleast_1d(bid_qty_lots), dtype=np.int64)
    cdef const int64_t[::1] asks = np.ascontiguousarray(np.atleast_1d(ask_qty_lots), dtype=np.int64)
    cdef Py_ssize_t i, n = bids.shape[0]
    if asks.shape[0] != n:
        raise ValueError(f"expected two arrays of one length, found {n} and {asks.shape[0]}")
    result = np.empty(n, np.float64)
    cdef double[::1] out = result
    for i in range(n):
        out[i] = imbalance_of(bids[i], asks[i])
    return result
