# Steps of a scanner: exact text at a place, and what it says. Hot; C++ only; included by the decoders.
#
# A decoder's scanner knows the exact text a venue sends for its hottest messages and gives up on any surprise; the general
# way (json_tape.pxd) then decides. Each step reads at most FRAME_PADDING bytes beyond the frame and moves p behind what it
# names; when the text is anything else it answers False, and p then means nothing.
#
# No step looks at the frame's end: a scanner checks first that the frame's last byte is its closing brace (or bracket), and
# last that the place it has reached is the frame's end, so that a message which continues in the bytes behind is refused.
from libc.stdint cimport int64_t, uint32_t, uint64_t

from tickpath.decimal cimport Grid, quoted_decimal
from tickpath.market.instruments cimport Instrument, InstrumentTable, instrument_find, instrument_find_words
from tickpath.types cimport STATUS_OK, TS_NONE, likely, unlikely

ctypedef const char* (*decimal_scanner)(const char* p, const Grid* g, int64_t* units) noexcept nogil

cdef extern from *:
    """
    #include <string.h>
    #define TP_INLINE static inline __attribute__((always_inline))
    #define TP_AT(p, s) __extension__({ constexpr uint64_t tp_text = tp_word(s); tp_at((p), (s), sizeof(s) - 1, tp_text); })
    #define TP_LEN(s) ((long)sizeof(s) - 1)

    /* Is the literal at p? GCC 12 calls the library's memcmp for some of these lengths, which costs as much as the rest
       of a message; with n and s constant this is a few compares. Reads 8 bytes at least. */
    TP_INLINE uint64_t tp_load(const char *p) { uint64_t v; memcpy(&v, p, 8); return v; }
    TP_INLINE __m128i tp_load16(const char *p) { return _mm_loadu_si128((const __m128i *)p); }
    /* Up to eight bytes of the literal as the compiler's own constant, at the high end. */
    template <size_t N> constexpr uint64_t tp_word(const char (&s)[N]) {
      uint64_t word = 0;
      for (size_t i = 0; i < N - 1 && i < 8; i++) word = word >> 8 | (uint64_t)(unsigned char)s[i] << 56;
      return word;
    }
    TP_INLINE bool tp_at(const char *p, const char *s, size_t n, uint64_t word) {
      if (n < 8) return tp_load(p) << (64 - 8 * n) == word;
      if (n <= 16) return ((tp_load(p) ^ tp_load(s)) | (tp_load(p + n - 8) ^ tp_load(s + n - 8))) == 0;
      __m128i differs = _mm_xor_si128(tp_load16(p + n - 16), tp_load16(s + n - 16));
      for (size_t i = 0; i + 16 < n; i += 16)
        differs = _mm_or_si128(differs, _mm_xor_si128(tp_load16(p + i), tp_load16(s + i)));
      return _mm_testz_si128(differs, differs);
    }

    /* The first n of 16 bytes, and zeroes: the table's lookup of 16 bytes then has no branch on the symbol's length. */
    TP_INLINE void tp_zero_padded(const char *p, long n, char *out) {
      static const unsigned char keep[32] = {255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255};
      _mm_storeu_si128((__m128i *)out, _mm_and_si128(tp_load16(p), tp_load16((const char *)keep + 16 - n)));
    }
    /* The steps of the scanner are always inlined, so that the place in the text stays in a register: through memory each
       step would wait for the one before to be stored. */
    static __attribute__((noinline)) const char *tp_long_name_end(const char *p, const char *end) {
      for (; p < end; p += 32) {
        uint32_t quotes = tp_quote_mask(p), special = tp_special_mask(p);
        if (quotes) {
          if (special & (quotes ^ (quotes - 1))) return NULL;
          p += __builtin_ctz(quotes);
          return p < end ? p : NULL;
        }
        if (special) return NULL;
      }
      return NULL;
    }
    TP_INLINE const char *tp_name_end(const char *p, const char *end) {
      uint32_t quotes = tp_quote_mask(p);
      if (TP_UNLIKELY(quotes == 0)) return tp_long_name_end(p, end);
      /* The bits up to the first quote; what stands behind it is not part of the name. */
      if (TP_UNLIKELY(tp_special_mask(p) & (quotes ^ (quotes - 1)))) return NULL;
      p += __builtin_ctz(quotes);
      return TP_LIKELY(p < end) ? p : NULL;
    }
    TP_INLINE bool tp_skip_name(const char **p, const char *end) { return (*p = tp_name_end(*p, end)) != NULL; }
    TP_INLINE bool tp_scan_uint(const char **p, uint64_t *value) {
      int n;
      *value = tp_digit_run(*p, &n);
      if (TP_UNLIKELY((unsigned)n - 1 > 15)) return false;
      if (TP_UNLIKELY(**p == '0') && n > 1) return false;
      *p += n;
      return true;
    }
    template <class G, class F> TP_INLINE bool tp_scan_decimal(const char **p, const G *g, int64_t *units, F general) {
      uint64_t value_e8, quotient;
      uint32_t n = __builtin_ctzll(tp_quote_mask(*p) | 1ULL << 32);
      if (TP_LIKELY(tp_fixed8(*p, n, &value_e8))) {
        quotient = tp_rotate_right(value_e8 * g->inverse, g->shift);
        if (TP_LIKELY(quotient <= g->quotient_max)) {
          *units = (int64_t)quotient;
          *p += n;
          return true;
        }
      }
      return (*p = general(*p, g, units)) != NULL;
    }
    /* BUY and SELL, true and false, and whether a number is negative: fields that no predictor can learn. Their lengths
       differ by one, which is added. The barrier keeps the compiler from making two branches of it again. */
    #define TP_NO_BRANCH(x) __asm__("" : "+r"(x))
    TP_INLINE bool tp_scan_int(const char **p, uint64_t *value, int *negative) {
      int minus = **p == '-';
      TP_NO_BRANCH(minus);
      *negative = minus;
      *p += minus;
      return tp_scan_uint(p, value);
    }
    TP_INLINE unsigned tp_load_u32(const char *p) { unsigned v; memcpy(&v, p, 4); return v; }
    TP_INLINE bool tp_scan_bool(const char **p, int *value) {
      int is_false = **p == 'f';
      TP_NO_BRANCH(is_false);
      unsigned text = tp_load_u32(*p + is_false);         /* "true" or "alse" */
      *value = !is_false;
      *p += 4 + is_false;
      return text == 0x65757274u - (-(unsigned)is_false & (0x65757274u - 0x65736C61u));
    }
    /* Digits, with or without a point and up to 16 decimals: units of the grid. False on anything else, on a number off the
       grid, and on one that needs more than 64 bits on the way; the general way then tells which. */
    template <class G> TP_INLINE bool tp_scan_number(const char **p, const G *g, int64_t *units) {
      const char *s = *p;
      int n, f = 0;
      uint64_t value = tp_digit_run(s, &n);
      if (TP_UNLIKELY((unsigned)n - 1 > 9 || (*s == '0' && n > 1))) return false;
      s += n;
      if (TP_LIKELY(*s == '.')) {
        uint64_t fraction = tp_digit_run(s + 1, &f);
        if (TP_UNLIKELY((unsigned)f - 1 > 15)) return false;
        s += f + 1;
        if (TP_LIKELY(f <= 8)) value = value * tp_pow10[f] + fraction;
        else if (n + f > 18) return false;
        else value = value * tp_pow10[f] + fraction;
      }
      if (TP_LIKELY(g->fast != 0 && f <= 8)) {
        uint64_t quotient = tp_rotate_right(value * tp_pow10[8 - f] * g->inverse, g->shift);
        if (TP_UNLIKELY(quotient > g->quotient_max)) return false;
        *units = (int64_t)quotient;
      } else {
        uint64_t scaled;
        if (g->mantissa != 1 || g->scale < f || g->scale - f > 18) return false;
        if (__builtin_mul_overflow(value, tp_pow10[g->scale - f], &scaled) || scaled > INT64_MAX) return false;
        *units = (int64_t)scaled;
      }
      *p = s;
      return true;
    }
    TP_INLINE unsigned tp_two(const char *p) { return (unsigned)(p[0] - '0') * 10 + (unsigned)(p[1] - '0'); }
    TP_INLINE int64_t tp_days_from_civil(int64_t y, unsigned m, unsigned d) {
      y -= m <= 2;                                              /* H. Hinnant, chrono-Compatible Low-Level Date Algorithms */
      int64_t era = (y >= 0 ? y : y - 399) / 400;
      unsigned yoe = (unsigned)(y - era * 400), doy = (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + d - 1;
      return era * 146097 + (int64_t)(yoe * 365 + yoe / 4 - yoe / 100 + doy) - 719468;
    }
    /* 2026-07-19T17:54:39[.fraction]Z, a space for the T allowed; moves p behind the Z. */
    TP_INLINE bool tp_scan_iso_time(const char **p, int64_t *ns) {
      const char *s = *p;
      uint64_t date_bad = (tp_load(s) & 0xFF0000FF00000000ULL) ^ 0x2D00002D00000000ULL;
      unsigned year = tp_two(s) * 100 + tp_two(s + 2), month = tp_two(s + 5), day = tp_two(s + 8);
      unsigned hour = tp_two(s + 11), minute = tp_two(s + 14), second = tp_two(s + 17);
      bool bad = date_bad != 0 || (s[10] != 'T' && s[10] != ' ') || s[13] != ':' || s[16] != ':';
      bad |= year - 1970 > 229 || month - 1 > 11 || day - 1 > 30 || hour > 23 || minute > 59 || second > 60;
      for (int i = 0; i < 19; i++) bad |= (0x6DB6FULL >> i & 1) && (unsigned char)(s[i] - '0') > 9;
      if (TP_UNLIKELY(bad)) return false;
      int64_t fraction = 0;
      s += 19;
      if (*s == '.') {
        int n;
        uint64_t v = tp_digit_run(s + 1, &n);
        if (TP_UNLIKELY((unsigned)n - 1 > 15)) return false;
        fraction = (int64_t)(n <= 9 ? v * tp_pow10[9 - n] : v / tp_pow10[n - 9]);
        s += n + 1;
      }
      if (TP_UNLIKELY(*s != 'Z')) return false;
      *ns = ((tp_days_from_civil(year, month, day) * 24 + hour) * 3600 + minute * 60 + second) * 1000000000LL + fraction;
      *p = s + 1;
      return true;
    }
    /* Seconds since 1970 with up to nine decimals (Kraken: 1618678133.365913). */
    TP_INLINE bool tp_scan_seconds(const char **p, int64_t *ns) {
      const char *s = *p;
      int n, f = 0;
      uint64_t whole = tp_digit_run(s, &n), fraction = 0;
      if (TP_UNLIKELY((unsigned)n - 9 > 1)) return false;       /* 1973 to 2286 */
      s += n;
      if (*s == '.') {
        fraction = tp_digit_run(s + 1, &f);
        if (TP_UNLIKELY((unsigned)f - 1 > 8)) return false;
        s += f + 1;
        fraction *= tp_pow10[9 - f];
      }
      if (TP_UNLIKELY(whole > 9000000000ULL)) return false;
      *ns = (int64_t)(whole * 1000000000ULL + fraction);
      *p = s;
      return true;
    }
    """
    bint AT "TP_AT"(const char* p, const char* s) noexcept nogil
    long LEN "TP_LEN"(const char* s) noexcept nogil
    void zero_padded "tp_zero_padded"(const char* p, long n, char* out) noexcept nogil
    # Each moves p behind what it names, and is False, with p meaning nothing, when the text is anything else.
    # name_end: the closing quote of a plain name, one without escape, control or non-ASCII byte; NULL when it is none.
    const char* name_end "tp_name_end"(const char* p, const char* end) noexcept nogil
    bint skip_name "tp_skip_name"(const char** p, const char* end) noexcept nogil
    # A JSON integer of 1 to 16 digits without leading zero; of a negative one *value is the magnitude.
    bint scan_uint "tp_scan_uint"(const char** p, uint64_t* value) noexcept nogil
    bint scan_int "tp_scan_int"(const char** p, uint64_t* value, int* negative) noexcept nogil
    bint scan_bool "tp_scan_bool"(const char** p, int* value) noexcept nogil
    # A decimal, to its closing quote, in units of the grid; `general` is called for all but eight decimals and one to
    # seven digits before the point.
    bint scan_decimal_or "tp_scan_decimal"(const char** p, const Grid* g, int64_t* units, decimal_scanner general) noexcept nogil
    # A decimal, quoted or not: 1 to 10 digits, and up to 16 decimals behind a point. What ends it is the caller's to look at.
    bint scan_number "tp_scan_number"(const char** p, const Grid* g, int64_t* units) noexcept nogil
    bint scan_iso_time "tp_scan_iso_time"(const char** p, int64_t* ns) noexcept nogil
    bint scan_seconds "tp_scan_seconds"(const char** p, int64_t* ns) noexcept nogil


# The instrument whose name ends at the next quote, up to 24 bytes; p then stands at the quote. NULL: unknown or no plain name.
cdef inline const Instrument* scan_symbol(const InstrumentTable* t, uint32_t venue_slot, const char** p,
                                          const char* end) noexcept nogil:
    cdef const char* start = p[0]
    cdef const char* stop = name_end(start, end)
    cdef uint64_t[2] words
    cdef long n = stop - start
    if unlikely(stop == NULL):
        return NULL
    p[0] = stop
    if unlikely(n > 16):
        return instrument_find(t, venue_slot, start, n)
    zero_padded(start, n, <char*>words)
    return instrument_find_words(t, venue_slot, words[0], words[1], 0)


# Any decimal that ends at a quote, in any form the grid takes; NULL when it is none or off the grid.
cdef inline const char* scan_decimal_general(const char* p, const Grid* g, int64_t* units) noexcept nogil:
    cdef const char* stop = NULL
    return stop if quoted_decimal(p, g, units, &stop) == STATUS_OK else NULL


# Venue time in ms (13 digits), us (16 digits) or ns (19 digits) to ns; TS_NONE when it is none of these.
cdef inline int64_t venue_time_ns(uint64_t value) noexcept nogil:
    if likely(value < 9000000000000ULL):
        return <int64_t>(value * 1000000)
    if value < 9000000000000000ULL and value > 100000000000000ULL:
        return <int64_t>(value * 1000)
    if value < 9000000000000000000ULL and value > 100000000000000000ULL:
        return <int64_t>value
    return TS_NONE
