# Positions and P&L, exact. Hot; owned by the engine's thread.
#
# Amounts are integers of one tick x one lot ("ticklots"), so a fill is booked without rounding. Average-cost method:
# closing a part takes open_cost x closed / position, rounded half to even, and what rounding leaves stays in the open
# cost; realised + open cost is conserved to the last unit, and a flat position has cost 0.
from libc.stdint cimport int64_t, uint64_t

from tickpath.types cimport int128

cdef struct Position:
    int64_t position_lots             # signed
    int64_t pad
    int128 open_cost_ticklots         # signed: > 0 long
    int128 realised_ticklots          # before fees
    int64_t fees_e8                   # of the fee asset (the quote asset in paper)
    uint64_t fill_count
    int64_t buy_lots
    int64_t sell_lots

cdef void position_apply_fill(Position* p, int side, int64_t price_ticks, int64_t qty_lots, int64_t fee_e8) noexcept nogil

# Unrealised P&L at a mark price, ticklots.
cdef inline int128 position_unrealised(const Position* p, int64_t mark_ticks) noexcept nogil:
    return <int128>p.position_lots * mark_ticks - p.open_cost_ticklots
