"""The same prices and quantities on another grid; see grid_change.pxd. `GridChangeOf` is the Python face, for tools and tests."""
from libc.stdint cimport INT64_MAX, int32_t, int64_t

from tickpath.decimal cimport POW10, DecimalGrid, Grid
from tickpath.market.bars cimport BAR_NOTIONAL, BAR_VOLUME, BarBuilder
from tickpath.types cimport int128, uint128

cdef extern from *:
    """
    static inline int tp_mul128_overflows(tp_int128 a, tp_int128 b, tp_int128 *product) {
      return __builtin_mul_overflow(a, b, product);
    }
    """
    bint mul128_overflows "tp_mul128_overflows"(int128 a, int128 b, int128* product) noexcept nogil


cdef uint128 common_divisor(uint128 a, uint128 b) noexcept nogil:
    cdef uint128 t
    while b != 0:
        t = a % b
        a = b
        b = t
    return a


cdef bint reduced(Ratio* r, uint128 num, uint128 den) noexcept nogil:
    cdef uint128 divisor = common_divisor(num, den)
    num = num // divisor
    den = den // divisor
    if num > <uint128>INT64_MAX or den > <uint128>INT64_MAX:
        return False
    r.num = <int64_t>num
    r.den = <int64_t>den
    return True


cdef bint ratio_between(Ratio* r, const Grid* old, const Grid* new) noexcept nogil:
    # (m / 10^s) / (n / 10^t) = m 10^t / (n 10^s), of which only the difference of the scales is left.
    cdef int32_t shift = new.scale - old.scale
    cdef uint128 num = <uint128><unsigned long long>old.mantissa
    cdef uint128 den = <uint128><unsigned long long>new.mantissa
    if shift >= 0:
        num *= <uint128>POW10[shift]
    else:
        den *= <uint128>POW10[-shift]
    return reduced(r, num, den)


cdef bint grid_change_between(GridChange* c, const Grid* old_tick, const Grid* old_lot, const Grid* new_tick,
                              const Grid* new_lot) noexcept nogil:
    return (ratio_between(&c.price, old_tick, new_tick) and ratio_between(&c.qty, old_lot, new_lot)
            and reduced(&c.notional, <uint128>c.price.num * <uint128>c.qty.num, <uint128>c.price.den * <uint128>c.qty.den))


cdef bint ratio_of_sum(const Ratio* r, int128 v, int128* out) noexcept nogil:
    cdef int128 product, quotient, left
    if mul128_overflows(v, r.num, &product):
        return False
    quotient = product // r.den
    left = product - quotient * r.den
    if left < 0:
        left += r.den                      # C divides towards zero
        quotient -= 1
    if 2 * left > r.den or (2 * left == r.den and quotient & 1):
        quotient += 1
    out[0] = quotient
    return True


cdef int64_t ratio_nearest(const Ratio* r, int64_t v, long long* rounded) noexcept nogil:
    cdef int64_t exact
    cdef int128 nearest = 0
    if ratio_exact(r, v, &exact):
        return exact
    rounded[0] += 1
    ratio_of_sum(r, v, &nearest)           # an int64 times an int64 always fits
    if nearest > <int128>INT64_MAX:
        return INT64_MAX
    return -INT64_MAX if nearest < -<int128>INT64_MAX else <int64_t>nearest


cdef int64_t ratio_of_limit(const Ratio* r, int64_t v, int64_t none) noexcept nogil:
    cdef int128 scaled = <int128>v * r.num // r.den
    return none if v >= none or scaled >= <int128>none else <int64_t>scaled


cdef void bar_regrid(BarBuilder* b, const GridChange* c, long long* rounded) noexcept nogil:
    cdef int128 sum_
    if b.started:
        b.open_ticks = ratio_nearest(&c.price, b.open_ticks, rounded)
        b.high_ticks = ratio_nearest(&c.price, b.high_ticks, rounded)
        b.low_ticks = ratio_nearest(&c.price, b.low_ticks, rounded)
        b.close_ticks = ratio_nearest(&c.price, b.close_ticks, rounded)
        b.volume_lots = ratio_nearest(&c.qty, b.volume_lots, rounded)
        b.buy_volume_lots = ratio_nearest(&c.qty, b.buy_volume_lots, rounded)
        if ratio_of_sum(&c.notional, b.notional_ticklots, &sum_):
            b.notional_ticklots = sum_
        if ratio_of_sum(&c.notional, b.closed_notional_ticklots, &sum_):
            b.closed_notional_ticklots = sum_
    b.late_lots = ratio_nearest(&c.qty, b.late_lots, rounded)
    if b.kind == BAR_VOLUME and ratio_of_sum(&c.qty, b.threshold, &sum_):
        b.threshold = sum_ if sum_ > 0 else 1
    elif b.kind == BAR_NOTIONAL and ratio_of_sum(&c.notional, b.threshold, &sum_):
        b.threshold = sum_ if sum_ > 0 else 1


cdef class GridChangeOf:
    """The ratios between two grids. Parameters: old, new : (tick_size, lot_size) as decimal text.

    Errors: ValueError where a size is none, or the two are further apart than int64 tells.
    """
    def __cinit__(self, old, new):
        cdef DecimalGrid old_tick = DecimalGrid(old[0]), old_lot = DecimalGrid(old[1])
        cdef DecimalGrid new_tick = DecimalGrid(new[0]), new_lot = DecimalGrid(new[1])
        if not grid_change_between(&self.change, &old_tick.grid, &old_lot.grid, &new_tick.grid, &new_lot.grid):
            raise ValueError(f"grids: expected a ratio in int64, found {old} and {new}")

    @property
    def price(self):
        """(num, den): new ticks = old ticks x num / den."""
        return self.change.price.num, self.change.price.den

    @property
    def qty(self):
        return self.change.qty.num, self.change.qty.den

    @property
    def notional(self):
        return self.change.notional.num, self.change.notional.den

    def exact_ticks(self, int64_t ticks):
        """New ticks, or None where the new grid does not have the price."""
        cdef int64_t out
        return out if ratio_exact(&self.change.price, ticks, &out) else None

    def nearest_ticks(self, int64_t ticks):
        """(new ticks, half to even; whether they are another price)."""
        cdef long long rounded = 0
        cdef int64_t out = ratio_nearest(&self.change.price, ticks, &rounded)
        return out, bool(rounded)

    def limit(self, int64_t ticklots, int64_t none=4 * 10 ** 18):
        return ratio_of_limit(&self.change.notional, ticklots, none)
