# Decimal text <-> int64 counts of an instrument's grid, exact, no double. Hot, stateless, any thread.
#
# A Grid is one increment (a tick_size or a lot_size): mantissa x 10^-scale. Text becomes a count once, in a decoder;
# a count becomes text once, in an encoder. Text off the grid or outside int64 is refused, never rounded.
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
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
    uint64_t quotient_max         # (2^64 - 1) / increment_e8: a larger quotient means "not a multiple"

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

# Text by 16 and 32 bytes: SSE4.1, which every build has, and AVX2 where the build has it. Right-aligning with a shuffle
# needs no byte in front of the text and no branch on its length.
cdef extern from *:
    """
    #include <immintrin.h>
    #include <stdint.h>
    /* A count that comes back through memory would hold up the step that starts where the count says. */
    #define TP_TEXT_INLINE static inline __attribute__((always_inline))
    /* Row n moves n bytes to the right end of 16 and zeroes what is in front of them. */
    static const unsigned char tp_right_align[32] = {
        128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128,
        0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    /* Row n - 10: text of n bytes with eight decimals to eight digits before the point and eight behind it. */
    static const unsigned char tp_fixed8_align[7][16] = {
        {128, 128, 128, 128, 128, 128, 128, 0, 2, 3, 4, 5, 6, 7, 8, 9},
        {128, 128, 128, 128, 128, 128, 0, 1, 3, 4, 5, 6, 7, 8, 9, 10},
        {128, 128, 128, 128, 128, 0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11},
        {128, 128, 128, 128, 0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12},
        {128, 128, 128, 0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13},
        {128, 128, 0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14},
        {128, 0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 15}};

    /* Constants of 32 equal bytes, read through a pointer that the compiler cannot see through: GCC 12 otherwise makes each
       anew from an immediate at every use, three instructions where a memory operand needs none. */
    #define TP_8(c) c, c, c, c, c, c, c, c
    #define TP_32(c) {TP_8(c), TP_8(c), TP_8(c), TP_8(c)}
    typedef struct { unsigned char zero[32], nine[32], quote[32], backslash[32], space[32]; } TpTextConstants;
    static const TpTextConstants tp_text_constants __attribute__((aligned(32))) = {
        TP_32('0'), TP_32(9), TP_32('"'), TP_32(92), TP_32(' ')};
    TP_TEXT_INLINE const TpTextConstants *tp_text(void) {
      const TpTextConstants *text;
      __asm__("" : "=r"(text) : "0"(&tp_text_constants));
      return text;
    }
    #define TP_OF16(name) _mm_load_si128((const __m128i *)tp_text()->name)
    #define TP_OF32(name) _mm256_load_si256((const __m256i *)tp_text()->name)

    /* 16 digit values, first digit first, to first eight + second eight << 32. */
    TP_TEXT_INLINE uint64_t tp_two_eights(__m128i digits) {
      __m128i pairs = _mm_maddubs_epi16(digits, _mm_set1_epi16(10 | 1 << 8));
      __m128i fours = _mm_madd_epi16(pairs, _mm_set1_epi32(100 | 1 << 16));
      __m128i eights = _mm_madd_epi16(_mm_packus_epi32(fours, fours), _mm_set1_epi32(10000 | 1 << 16));
      return (uint64_t)_mm_cvtsi128_si64(eights);
    }
    TP_TEXT_INLINE uint64_t tp_join_eights(uint64_t eights) {
      return (uint64_t)(unsigned)eights * 100000000u + (eights >> 32);
    }
    TP_TEXT_INLINE uint64_t tp_digit_run(const char *p, int *count) {
      __m128i v = _mm_sub_epi8(_mm_loadu_si128((const __m128i *)p), TP_OF16(zero));
      unsigned digits = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_min_epu8(v, TP_OF16(nine)), v));
      int n = __builtin_ctz(~digits);
      /* A branch that is hardly ever taken: the next field's place then does not wait for a comparison. */
      *count = __builtin_expect(n == 16, 0) ? 16 + ((unsigned char)(p[16] - '0') < 10) : n;
      return tp_join_eights(tp_two_eights(_mm_shuffle_epi8(v, _mm_loadu_si128((const __m128i *)(tp_right_align + n)))));
    }
    TP_TEXT_INLINE int tp_fixed8(const char *p, unsigned n, uint64_t *value_e8) {
      if (__builtin_expect(n - 10u > 6u, 0)) return 0;
      __m128i v = _mm_xor_si128(_mm_loadu_si128((const __m128i *)p), TP_OF16(zero));
      v = _mm_shuffle_epi8(v, _mm_loadu_si128((const __m128i *)tp_fixed8_align[n - 10]));
      __m128i over = _mm_subs_epu8(v, TP_OF16(nine));
      *value_e8 = tp_join_eights(tp_two_eights(v));
      return _mm_testz_si128(over, over) & (p[n - 9] == '.');
    }
    TP_TEXT_INLINE int tp_fixed8_pair(const char *p, unsigned n, const char *q, unsigned m, uint64_t *p_e8,
                                     uint64_t *q_e8) {
    #ifdef __AVX2__
      if (__builtin_expect((n - 10u > 6u) | (m - 10u > 6u), 0)) return 0;
      __m256i v = _mm256_xor_si256(_mm256_loadu2_m128i((const __m128i *)q, (const __m128i *)p), TP_OF32(zero));
      v = _mm256_shuffle_epi8(v, _mm256_loadu2_m128i((const __m128i *)tp_fixed8_align[m - 10],
                                                     (const __m128i *)tp_fixed8_align[n - 10]));
      __m256i over = _mm256_subs_epu8(v, TP_OF32(nine));
      v = _mm256_madd_epi16(_mm256_maddubs_epi16(v, _mm256_set1_epi16(10 | 1 << 8)), _mm256_set1_epi32(100 | 1 << 16));
      v = _mm256_madd_epi16(_mm256_packus_epi32(v, v), _mm256_set1_epi32(10000 | 1 << 16));
      *p_e8 = tp_join_eights((uint64_t)_mm_cvtsi128_si64(_mm256_castsi256_si128(v)));
      *q_e8 = tp_join_eights((uint64_t)_mm_cvtsi128_si64(_mm256_extracti128_si256(v, 1)));
      return _mm256_testz_si256(over, over) & (p[n - 9] == '.') & (q[m - 9] == '.');
    #else
      return tp_fixed8(p, n, p_e8) & tp_fixed8(q, m, q_e8);
    #endif
    }
    TP_TEXT_INLINE unsigned tp_quote_mask(const char *p) {
    #ifdef __AVX2__
      return (unsigned)_mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_loadu_si256((const __m256i *)p), TP_OF32(quote)));
    #else
      __m128i low = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)p), TP_OF16(quote));
      __m128i high = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(p + 16)), TP_OF16(quote));
      return (unsigned)_mm_movemask_epi8(low) | (unsigned)_mm_movemask_epi8(high) << 16;
    #endif
    }
    /* Bytes that a plain JSON string does not hold: controls, backslashes, anything not ASCII (negative as signed char). */
    TP_TEXT_INLINE unsigned tp_special_mask(const char *p) {
    #ifdef __AVX2__
      __m256i v = _mm256_loadu_si256((const __m256i *)p);
      return (unsigned)_mm256_movemask_epi8(_mm256_or_si256(_mm256_cmpgt_epi8(TP_OF32(space), v),
                                                            _mm256_cmpeq_epi8(v, TP_OF32(backslash))));
    #else
      unsigned mask = 0;
      for (int i = 0; i < 2; i++) {
        __m128i v = _mm_loadu_si128((const __m128i *)(p + 16 * i));
        mask |= (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_cmplt_epi8(v, TP_OF16(space)),
                                                         _mm_cmpeq_epi8(v, TP_OF16(backslash)))) << 16 * i;
      }
      return mask;
    #endif
    }
    TP_TEXT_INLINE uint64_t tp_rotate_right(uint64_t v, int by) { return v >> by | v << (-by & 63); }
    """
    # A run of up to 16 digits at p[0], 17 readable bytes; *count says how many were read (0 = none, 17 = too many).
    uint64_t digit_run "tp_digit_run"(const char* p, int* count) noexcept nogil
    # Text of n bytes with exactly eight decimals and 1 to 7 digits before the point, 16 readable bytes, in units of 1e-8.
    # False on any other text, and *value_e8 then means nothing. The pair does two at the price of one.
    bint fixed8 "tp_fixed8"(const char* p, uint32_t n, uint64_t* value_e8) noexcept nogil
    bint fixed8_pair "tp_fixed8_pair"(const char* p, uint32_t n, const char* q, uint32_t m, uint64_t* p_e8,
                                      uint64_t* q_e8) noexcept nogil
    # One bit for each quote, or each byte that a plain string does not hold, of the 32 bytes at p.
    uint32_t quote_mask "tp_quote_mask"(const char* p) noexcept nogil
    uint32_t special_mask "tp_special_mask"(const char* p) noexcept nogil
    uint64_t rotate_right "tp_rotate_right"(uint64_t v, int by) noexcept nogil

# value_e8 (>= 0) to grid units by multiplying with the inverse: the rotation puts a remainder of the power of two into
# the high bits, so that one comparison finds it and a remainder of the odd part. Exact or refused.
cdef inline int e8_to_units(uint64_t value_e8, const Grid* g, int64_t* units) noexcept nogil:
    cdef uint64_t q = rotate_right(value_e8 * g.inverse, g.shift)
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

# Any mantissa >= 0 x 10^exponent in units of the grid: exact or refused. Returns Status.
cdef int mantissa_to_units(int64_t mantissa, int exponent, const Grid* g, int64_t* units) noexcept nogil

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
