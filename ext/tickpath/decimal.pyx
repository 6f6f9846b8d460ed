"""Decimal text to int64 counts of a grid and back, exactly.

`Grid("0.01").parse("61837.63")` is 6183763; `.format(6183763)` is "61837.63". Text that is not a multiple of the
increment raises OffGridError, a count outside int64 raises OverflowError, other text ValueError.
"""
import decimal

from libc.stdint cimport int64_t, uint64_t

from tickpath.types cimport STATUS_MALFORMED, STATUS_OFF_GRID, STATUS_OK, STATUS_OVERFLOW, int128, uint128


cdef int grid_init(Grid* g, int64_t mantissa, int32_t scale) noexcept nogil:
    cdef uint128 increment_e8
    cdef uint64_t odd, inverse
    cdef int _
    if mantissa <= 0 or scale < 0 or scale > 18:
        return STATUS_MALFORMED
    while scale > 0 and mantissa % 10 == 0:
        mantissa = mantissa // 10
        scale -= 1
    g.mantissa = mantissa
    g.scale = scale
    g.decimals = scale
    g.fast = 0
    g.shift = 0
    g.inverse = 1
    g.quotient_max = 0
    if scale <= 8:
        increment_e8 = <uint128>mantissa * <uint128>POW10[8 - scale]
        if increment_e8 < (<uint128>1 << 62):
            odd = <uint64_t>increment_e8
            while odd & 1 == 0:
                odd >>= 1
                g.shift += 1
            # Newton's iteration doubles the correct low bits each time: 3 -> 6 -> ... -> 96.
            inverse = odd
            for _ in range(6):
                inverse *= 2 - odd * inverse
            g.inverse = inverse
            g.quotient_max = (~<uint64_t>0) // <uint64_t>increment_e8
            g.fast = 1
    return STATUS_OK


cdef int decimal_to_units_slow(const char* text, Py_ssize_t size, const Grid* g, int64_t* units) noexcept nogil:
    cdef Py_ssize_t i = 0
    cdef bint negative = False, exp_negative = False, any_digit = False, seen_point = False
    cdef uint128 value = 0
    cdef uint128 limit = (~<uint128>0) // 10 - 1
    cdef long exponent = 0, exp_text = 0, shift
    cdef unsigned char c
    if size <= 0:
        return STATUS_MALFORMED
    if text[0] == b'-':
        negative = True
        i = 1
    while i < size:
        c = <unsigned char>text[i]
        if 48 <= c <= 57:
            any_digit = True
            if value > limit:
                if c != 48 or not seen_point:
                    # Digits that no longer fit. Zeros behind the point carry no value; anything else is out of range.
                    return STATUS_OVERFLOW
            else:
                value = value * 10 + (c - 48)
                if seen_point:
                    exponent -= 1
        elif c == b'.':
            if seen_point or not any_digit:
                return STATUS_MALFORMED
            seen_point = True
            if i + 1 >= size or not (48 <= <unsigned char>text[i + 1] <= 57):
                return STATUS_MALFORMED
        elif (c == b'e' or c == b'E') and any_digit:
            i += 1
            if i < size and (text[i] == b'+' or text[i] == b'-'):
                exp_negative = text[i] == b'-'
                i += 1
            if i >= size:
                return STATUS_MALFORMED
            while i < size:
                c = <unsigned char>text[i]
                if not (48 <= c <= 57):
                    return STATUS_MALFORMED
                if exp_text < 100000:
                    exp_text = exp_text * 10 + (c - 48)
                i += 1
            exponent += -exp_text if exp_negative else exp_text
            break
        else:
            return STATUS_MALFORMED
        i += 1
    if not any_digit:
        return STATUS_MALFORMED
    if value == 0:
        units[0] = 0
        # No venue writes a zero with a sign: what sent it is broken, and as a quantity it would delete a level.
        return STATUS_MALFORMED if negative else STATUS_OK
    # units = value * 10^(exponent + scale) / mantissa, which must come out whole.
    shift = exponent + g.scale
    while shift < 0:
        if value % 10 != 0:
            return STATUS_OFF_GRID
        value = value // 10
        shift += 1
    while shift > 0:
        if value > limit:
            return STATUS_OVERFLOW
        value = value * 10
        shift -= 1
    if value % <uint128>g.mantissa != 0:
        return STATUS_OFF_GRID
    value = value // <uint128>g.mantissa
    # INT64_MIN is the named null, so the range is symmetric.
    if value > <uint128>0x7FFFFFFFFFFFFFFFULL:
        return STATUS_OVERFLOW
    units[0] = -<int64_t>value if negative else <int64_t>value
    return STATUS_OK


cdef int quoted_decimal_slow(const char* p, const Grid* g, int64_t* units, const char** end) noexcept nogil:
    cdef Py_ssize_t n = 0
    while n < 64 and p[n] != 34:
        n += 1
    if n == 64:
        return STATUS_MALFORMED
    end[0] = p + n
    return decimal_to_units_slow(p, n, g, units)


cdef int mantissa_to_units(int64_t mantissa, int exponent, const Grid* g, int64_t* units) noexcept nogil:
    cdef int shift = exponent + g.scale
    cdef int128 value = mantissa, increment = g.mantissa
    if mantissa == 0:
        units[0] = 0
        return STATUS_OK
    if shift > 18:
        return STATUS_OVERFLOW
    if shift < -18:
        return STATUS_OFF_GRID
    if shift >= 0:
        value = value * <int128>POW10[shift]
    else:
        increment = increment * <int128>POW10[-shift]
    if value % increment != 0:
        return STATUS_OFF_GRID
    value = value // increment
    if value > <int128>0x7FFFFFFFFFFFFFFF:
        return STATUS_OVERFLOW
    units[0] = <int64_t>value
    return STATUS_OK


cdef int units_to_text(char* out, int64_t units, const Grid* g) noexcept nogil:
    cdef uint128 value
    cdef uint64_t whole, fraction
    cdef int n = 0, d, i
    cdef char[40] digits
    if units < 0:
        out[0] = 45
        n = 1
        value = <uint128>(-(units + 1)) + 1
    else:
        value = <uint128>units
    value = value * <uint128>g.mantissa
    if value >> 64 == 0:
        # The usual case: 64-bit division only.
        whole = <uint64_t>value // POW10[g.scale]
        fraction = <uint64_t>value - whole * POW10[g.scale]
        n += write_u64(out + n, whole)
        if g.scale > 0:
            out[n] = 46
            write_digits(out + n + 1, fraction, g.scale)
            n += 1 + g.scale
        return n
    d = 0
    while value != 0 or d <= g.scale:
        digits[d] = <char>(48 + <int>(value % 10))
        value = value // 10
        d += 1
    for i in range(d - 1, -1, -1):
        out[n] = digits[i]
        n += 1
        if i == g.scale and g.scale > 0:
            out[n] = 46
            n += 1
    return n


class OffGridError(ValueError):
    """The text is a number, but not a whole multiple of the increment."""


cdef class DecimalGrid:
    """One increment (a tick or lot size) as an exact decimal, e.g. DecimalGrid("0.01").

    Parameters: increment : str, positive decimal, at most 18 decimals.
    Errors: ValueError when the text is no positive decimal or has more than 18 decimals.
    """
    def __init__(self, increment):
        text = str(increment)
        error = ValueError(f"increment: expected a positive decimal with at most 18 decimals, found {text!r}")
        try:
            value = decimal.Decimal(text)
        except decimal.InvalidOperation:
            raise error from None
        if not value.is_finite() or value <= 0:
            raise error
        _, digits, exponent = value.as_tuple()
        mantissa = int("".join(map(str, digits))) * 10 ** max(exponent, 0)
        scale = max(-exponent, 0)
        while scale > 18 and mantissa % 10 == 0:
            mantissa //= 10
            scale -= 1
        if mantissa >= 2 ** 63 or grid_init(&self.grid, mantissa, scale) != STATUS_OK:
            raise error

    @property
    def scale(self):
        return self.grid.scale

    @property
    def mantissa(self):
        return self.grid.mantissa

    def parse(self, text):
        """Decimal text to its count of increments (int64). Raises OffGridError, OverflowError or ValueError."""
        cdef int64_t units = 0
        data = text.encode()
        self._raise(decimal_to_units_slow(data, len(data), &self.grid, &units), text)
        return units

    def parse_quoted(self, text):
        """As `parse`, through the decoder's fast way (for tests that hold the two equal)."""
        cdef int64_t units = 0
        cdef const char* end = NULL
        cdef bytes data = text.encode() + b'"' + b" " * 64
        cdef const char* p = data
        status = quoted_decimal(p, &self.grid, &units, &end)
        if status == STATUS_OK and end - p != len(text.encode()):
            status = STATUS_MALFORMED
        self._raise(status, text)
        return units

    def _raise(self, int status, text):
        if status == STATUS_OFF_GRID:
            raise OffGridError(f"expected a multiple of {self}, found {text!r}")
        if status == STATUS_OVERFLOW:
            raise OverflowError(f"expected a count of {self} within int64, found {text!r}")
        if status != STATUS_OK:
            raise ValueError(f"expected decimal text, found {text!r}")

    def format(self, int64_t units):
        """A count of increments to decimal text with the increment's own number of decimals."""
        cdef char[64] out
        cdef int n = units_to_text(out, units, &self.grid)
        return out[:n].decode("ascii")

    def __str__(self):
        return self.format(1)

    def __repr__(self):
        return f"DecimalGrid({str(self)!r})"
