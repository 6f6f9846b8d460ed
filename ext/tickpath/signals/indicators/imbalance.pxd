# Order-book imbalance: (bid - ask) / (bid + ask) of displayed quantity, -1..1; 0 for an empty book. Hot, stateless.
from libc.stdint cimport int64_t

cdef inline double imbalance_of(int64_t bid_qty_lots, int64_t ask_qty_lots) noexcept nogil:
    cdef int64_t total = bid_qty_lots + ask_qty_lots
    if total <= 0:
        return 0.0
    return <double>(bid_qty_lots - ask_qty_lots) / <double>total
