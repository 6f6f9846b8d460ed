"""Positions and P&L by average cost, in exact integers. `PositionLedger` is the Python face, for tools and tests."""
from libc.string cimport memset

from tickpath.types cimport SIDE_BUY


cdef inline int128 rounded_share(int128 cost, int64_t part, int64_t whole) noexcept nogil:
    """cost x part / whole, half to even; part and whole positive."""
    cdef int128 product = cost * part
    cdef int128 magnitude = -product if product < 0 else product
    cdef int128 quotient = magnitude // whole
    cdef int128 twice = (magnitude - quotient * whole) * 2
    if twice > whole or (twice == whole and quotient & 1):
        quotient += 1
    return -quotient if product < 0 else quotient


cdef void position_apply_fill(Position* p, int side, int64_t price_ticks, int64_t qty_lots, int64_t fee_e8) noexcept nogil:
    cdef int64_t signed_lots = qty_lots if side == SIDE_BUY else -qty_lots
    cdef int64_t held = p.position_lots
    cdef int64_t size = held if held >= 0 else -held
    cdef int64_t closed
    cdef int128 share
    p.fees_e8 += fee_e8
    p.fill_count += 1
    if side == SIDE_BUY:
        p.buy_lots += qty_lots
    else:
        p.sell_lots += qty_lots
    if held == 0 or (held > 0) == (signed_lots > 0):
        p.open_cost_ticklots += <int128>signed_lots * price_ticks
        p.position_lots += signed_lots
        return
    closed = qty_lots if qty_lots < size else size
    share = rounded_share(p.open_cost_ticklots, closed, size)
    # Closing a long sells `closed` at price; closing a short buys them back.
    p.realised_ticklots += (<int128>closed * price_ticks if held > 0 else -(<int128>closed * price_ticks)) - share
    p.open_cost_ticklots -= share
    p.position_lots += closed if held < 0 else -closed
    if qty_lots > closed:
        # Through zero: the rest opens the other side at the fill's price.
        signed_lots = (qty_lots - closed) if side == SIDE_BUY else -(qty_lots - closed)
        p.open_cost_ticklots = <int128>signed_lots * price_ticks
        p.position_lots = signed_lots


cdef object int128_to_int(int128 v):
    cdef bint negative = v < 0
    cdef int128 m = -v if negative else v
    result = (int(<uint64_t>(m >> 64)) << 64) | int(<uint64_t>m)
    return -result if negative else result


cdef class PositionLedger:
    """One position from Python. Units: ticks, lots, ticklots (one tick x one lot), fees in 1e-8 of the fee asset."""
    cdef Position position

    def __cinit__(self):
        memset(&self.position, 0, sizeof(Position))

    def apply_fill(self, int side, int64_t price_ticks, int64_t qty_lots, int64_t fee_e8=0):
        """side : SIDE_BUY (1) or SIDE_SELL (2); qty_lots > 0."""
        if side not in (1, 2) or qty_lots <= 0:
            raise ValueError(f"expected side 1 or 2 and qty_lots > 0, found {side}, {qty_lots}")
        position_apply_fill(&self.position, side, price_ticks, qty_lots, fee_e8)

    @property
    def position_lots(self):
        return self.position.position_lots

    @property
    def open_cost_ticklots(self):
        return int128_to_int(self.position.open_cost_ticklots)

    @property
    def realised_ticklots(self):
        return int128_to_int(self.position.realised_ticklots)

    @property
    def fees_e8(self):
        return self.position.fees_e8

    def unrealised_ticklots(self, int64_t mark_ticks):
        return int128_to_int(position_unrealised(&self.position, mark_ticks))
