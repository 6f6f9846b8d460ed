# From one grid of an instrument to another: counts of old ticks and lots as counts of new ones. Cold; stateless.
#
# The same price is old ticks x old increment = new ticks x new increment, so new = old x num / den with a reduced fraction. What
# must stay exact (positions, orders, books) is moved by ratio_exact or not at all; sums of money are rounded half to even and
# limits down, both at a unit of one tick x one lot; what is only shown (a bar's prices) takes the nearest tick.
from libc.stdint cimport int64_t

from tickpath.decimal cimport Grid
from tickpath.market.bars cimport BarBuilder
from tickpath.types cimport int128

cdef struct Ratio:
    int64_t num
    int64_t den

cdef struct GridChange:
    Ratio price                       # ticks
    Ratio qty                         # lots
    Ratio notional                    # ticklots

cdef inline bint ratio_is_one(const Ratio* r) noexcept nogil:
    return r.num == r.den

# v x num / den where that is a whole number that fits int64; False, and nothing is written, otherwise. v is no null value.
cdef inline bint ratio_exact(const Ratio* r, int64_t v, int64_t* out) noexcept nogil:
    cdef int128 product = <int128>v * r.num
    cdef int128 quotient = product // r.den
    if quotient * r.den != product or quotient > <int128>0x7FFFFFFFFFFFFFFF or quotient < -<int128>0x7FFFFFFFFFFFFFFF:
        return False
    out[0] = <int64_t>quotient
    return True

# The same to the nearest whole number, half to even; cut off at the ends of int64. *rounded counts those that were not exact.
cdef int64_t ratio_nearest(const Ratio* r, int64_t v, long long* rounded) noexcept nogil
# Of a sum. False when it does not fit.
cdef bint ratio_of_sum(const Ratio* r, int128 v, int128* out) noexcept nogil
# Of a limit: rounded down; what is as large as `none`, which stands for no limit, or would become so, is `none`.
cdef int64_t ratio_of_limit(const Ratio* r, int64_t v, int64_t none) noexcept nogil

# False when the fractions do not fit int64: no two grids of a market are so far apart.
cdef bint grid_change_between(GridChange* c, const Grid* old_tick, const Grid* old_lot, const Grid* new_tick,
                              const Grid* new_lot) noexcept nogil
# The bar being built and what it carries on. A price that the new grid does not have becomes the nearest.
cdef void bar_regrid(BarBuilder* b, const GridChange* c, long long* rounded) noexcept nogil

cdef class GridChangeOf:
    cdef GridChange change
