# Decimal text <-> int64 counts of an instrument's grid, exact, no double. Hot, stateless, any thread.
#
# A Grid is one increment (a tick_size or a lot_size): mantissa x 10^-scale. Text becomes a count once, in a decoder;
# a count becomes text once, in an encoder. Text off the grid or outside int64 is refused, never rounded.
from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.string cimport memcpy

from tickpath.types cimport (STATUS_MALFORMED, STATUS_OFF_GRID, STATUS_OK, STATUS_OVERFLOW, likely, uint128, unlikely)

cdef struct Grid:
    int64_t mantissa              # increment = mantissa / 10^scale, mantissa >= 1, not a multiple of 10 unless scale = 0
    int32_t scale                 # 0..18
    int32_t decimals              # digits after the point when printed (= scale)
    # Fast division of a value in 1e-8 units by the increment, valid while fast != 0: increment_e8 = odd << shift.
    int32_t fast
    int32_t shift
    uint64_t inverse              # multiplicative inverse of odd modulo 2^64
    uint64_t quotient_max         # (2^64 - 1) / odd: a larger product means "not a multiple"

# ---- cold
cdef int grid_init(Grid* g, int64_t mantissa, int32_t scale) noexcept nogil
# Any decimal text: sign, point, exponent, up to 38 digits. Returns Status.
cdef int decimal_to_units_slow(const char* text, Py_ssize_t size, const Grid* g, int64_t* units) noexcept nogil

# ---- hot
cdef inline uint64_t load_u64(const char* p) noexcept nogil:
    cdef uint64_t v
    memcpy(&v, p, 8)
    return v

# Eight digit values (0..9 a byte, first digit in the low byte) to their number; two multiplications, no loop.
cdef inline uint64_t eight_digits(uint64_t v) noexcept nogil:
    v = (v * 10) + (v >> 8)
    return (((v & 0x000000FF000000FFULL) * 0x000F424000000064ULL)
            + (((v >> 16) & 0x000000FF000000FFULL) * 0x0000271000000001ULL)) >> 32

# Non-zero in the low bits of every byte that is not '0'..'9'.
cdef inline uint64_t not_digits(uint64_t v) noexcept nogil:
    return ((v & 0xF0F0F0F0F0F0F0F0ULL)
            | (((v + 0x0606060606060606ULL) & 0xF0F0F0F0F0F0F0F0ULL) >> 4)) ^ 0x3333333333333333ULL

cdef extern from *:
    """
    static const unsigned long long tp_pow10[20] = {
        1ULL, 10ULL, 100ULL, 1000ULL, 10000ULL, 100000ULL, 1000000ULL, 10000000ULL, 100000000ULL, 1000000000ULL,
        10000000000ULL, 100000000000ULL, 1000000000000ULL, 10000000000000ULL, 100000000000000ULL,
        1000000000000000ULL, 10000000000000000ULL, 100000000000000000ULL, 1000000000000000000ULL,
        10000000000000000000ULL};
    static inline int tp_ctz64(unsigned long long v) { return __builtin_ctzll(v); }
    static inline int tp_clz64(unsigned long long v) { return __builtin_clzll(v); }
    """
    const uint64_t[20] POW10 "tp_pow10"
    int ctz64 "tp_ctz64"(uint64_t v) noexcept nogil
    int clz64 "tp_clz64"(uint64_t v) noexcept nogil

# A run of up to 16 digits at p[0]; *count says how many were read (0 = none). The caller guarantees 24 readable bytes.
# 17 digits or more give *count = 17: the caller falls back.
cdef inline uint64_t digit_run(const char* p, int* count) noexcept nogil:
    cdef uint64_t v = load_u64(p)
    cdef uint64_t m = not_digits(v)
    cdef uint64_t r
    cdef int n
    if m != 0:
        n = ctz64(m) >> 3
        count[0] = n
        if n == 0:
            return 0
        return eight_digits((v & 0x0F0F0F0F0F0F0F0FULL) << (64 - 8 * n))
    r = eight_digits(v & 0x0F0F0F0F0F0F0F0FULL)
    v = load_u64(p + 8)
    m = not_digits(v)
    if m != 0:
        n = ctz64(m) >> 3
        count[0] = 8 + n
        if n == 0:
            return r
        return r * POW10[n] + eight_digits((v & 0x0F0F0F0F0F0F0F0FULL) << (64 - 8 * n))
    count[0] = 16 if not_digits(<uint64_t>(<unsigned char>p[16]) | 0x3030303030303000ULL) != 0 else 17
    return r * 100000000 + eight_digits(v & 0x0F0F0F0F0F0F0F0FULL)

# value_e8 (>= 0) to grid units by multiplying with the inverse. Exact or refused.
cdef inline int e8_to_units(uint64_t value_e8, const Grid* g, int64_t* units) noexcept nogil:
    cdef uint64_t q
    if unlikely(value_e8 & ((<uint64_t>1 << g.shift) - 1)):
        return STATUS_OFF_GRID
    q = (value_e8 >> g.shift) * g.inverse
    if unlikely(q > g.quotient_max):
        return STATUS_OFF_GRID
    units[0] = <int64_t>q
    return STATUS_OK

# The decimal between quotes at p ("61837.63000000"): moves *end to the closing quote. 32 readable bytes wanted.
# Plain text (digits, point, at most 8 decimals, below 9.2e10) takes the fast way; anything else the slow one.
cdef inline int quoted_decimal(const char* p, const Grid* g, int64_t* units, const char** end) noexcept nogil:
    cdef int n = 0, f = 0
    cdef uint64_t whole, fraction, v, m
    cdef const char* s = p
    whole = digit_run(s, &n)
    s += n
    if likely(g.fast != 0 and n > 0 and n <= 10 and s[0] == 46):
        s += 1
        v = load_u64(s)
        m = not_digits(v)
        if likely(m == 0):                     # exactly eight or more decimals: Binance spot always sends eight
            fraction = eight_digits(v & 0x0F0F0F0F0F0F0F0FULL)
            s += 8
        else:
            f = ctz64(m) >> 3
            if unlikely(f == 0):
                return quoted_decimal_slow(p, g, units, end)
            fraction = eight_digits((v & 0x0F0F0F0F0F0F0F0FULL) << (64 - 8 * f)) * POW10[8 - f]
            s += f
        if likely(s[0] == 34):
            end[0] = s
            return e8_to_units(whole * 100000000 + fraction, g, units)
    return quoted_decimal_slow(p, g, units, end)

cdef int quoted_decimal_slow(const char* p, const Grid* g, int64_t* units, const char** end) noexcept nogil

# ---- integers and counts to text, for encoders
cdef extern from *:
    """
    static const char tp_digit_pairs[201] =
        "0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849"
        "5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899";
    static inline int tp_digit_count(unsigned long long v) {
      /* log10(2) ~ 1233 / 4096; one compare settles the last digit. */
      int t = ((64 - __builtin_clzll(v | 1)) * 1233) >> 12;
      return t + 1 - (v < tp_pow10[t] && t > 0);
    }
    """
    const char* DIGIT_PAIRS "tp_digit_pairs"
    int digit_count "tp_digit_count"(uint64_t v) noexcept nogil

# Exactly `count` digits of v, zero-padded on the left.
cdef inline void write_digits(char* out, uint64_t v, int count) noexcept nogil:
    cdef int i = count
    cdef uint64_t q
    while i >= 2:
        q = v // 100
        memcpy(out + i - 2, DIGIT_PAIRS + 2 * (v - q * 100), 2)
        v = q
        i -= 2
    if i == 1:
        out[0] = <char>(48 + v % 10)

# The digits of v without leading zeros; returns how many.
cdef inline int write_u64(char* out, uint64_t v) noexcept nogil:
    cdef int n = digit_count(v)
    write_digits(out, v, n)
    return n

# units x increment as plain decimal text with exactly g.decimals decimals; returns the length (<= 41).
cdef int units_to_text(char* out, int64_t units, const Grid* g) noexcept nogil

# ---- Python face
cdef class DecimalGrid:
    cdef Grid grid
