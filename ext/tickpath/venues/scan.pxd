# Steps of a scanner: exact text at a place, and what it says. Hot; C++ only; included by the decoders.
#
# A decoder's scanner knows the exact text a venue sends for its hottest messages and gives up on any surprise; the general
# way (json_tape.pxd) then decides. Each step reads at most FRAME_PADDING bytes beyond the frame and moves p behind what it
# names; when the text is anything else it answers False, and p then means nothing.
#
# No step looks at the frame's end: a scanner checks first that the frame's last byte is its closing brace (or bracket), and
# last that the place it has reached is the frame's end, so that a message which continues in the bytes behind is refused.
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

from tickpath.decimal cimport Grid, quoted_decimal
from tickpath.market.instruments cimport Instrument, InstrumentTable
from tickpath.types cimport STATUS_OK, TS_NONE, likely, unlikely
from tickpath.venues.batch cimport DecodeBatch

ctypedef const char* (*decimal_scanner)(const char* p, const Grid* g, int64_t* units) noexcept nogil

cdef extern from *:
    """
    #include <string.h>
    #define TP_INLINE static inline __attribute__((always_inline))
    #define TP_AT(p, s) __extension__({ constexpr TpText<sizeof(s) - 1> tp_text_here(s); \
                                        tp_at<sizeof(s) - 1>((p), s, tp_text_here.head, tp_text_here.tail); })
    #define TP_LEN(s) ((long)sizeof(s) - 1)
    /* The place of the lowest bit; 31 or more where there is none. */
    #ifdef __BMI__
    #define TP_FIRST(mask) ((unsigned)_tzcnt_u32(mask))
    #else
    #define TP_FIRST(mask) ((unsigned)__builtin_ctz((mask) | 1u << 31))
    #endif

    TP_INLINE uint64_t tp_load(const char *p) { uint64_t v; memcpy(&v, p, 8); return v; }
    TP_INLINE uint32_t tp_load_u32(const char *p) { uint32_t v; memcpy(&v, p, 4); return v; }
    TP_INLINE uint16_t tp_load_u16(const char *p) { uint16_t v; memcpy(&v, p, 2); return v; }
    TP_INLINE __m128i tp_load16(const char *p) { return _mm_loadu_si128((const __m128i *)p); }
    /* Up to eight bytes of a literal as the compiler's own constant, the first one lowest. */
    constexpr uint64_t tp_word(const char *s, size_t bytes) {
      uint64_t word = 0;
      for (size_t i = 0; i < bytes; i++) word |= (uint64_t)(unsigned char)s[i] << 8 * i;
      return word;
    }
    /* The first bytes of a literal, and those at its end of which tp_at compares a word. */
    template <size_t N> struct TpText {
      uint64_t head, tail;
      constexpr TpText(const char *s)
          : head(tp_word(s, N < 4 ? N : N < 8 ? 4 : 8)), tail(N < 5 ? 0 : N < 8 || (N > 8 && N <= 12) ? tp_word(s + N - 4, 4)
                                                                                           : tp_word(s + N - 8, 8)) {}
    };
    /* Is the literal at p? GCC 12 calls the library's memcmp for some of these lengths, which costs as much as the rest of a
       message. Words are compared with constants in the instruction, each by a branch that is never taken: two instructions for
       four bytes, three for eight. Reads 4 bytes at least. */
    template <size_t N> TP_INLINE bool tp_at(const char *p, const char *s, uint64_t head, uint64_t tail) {
      if (N == 1) return (uint8_t)p[0] == head;
      if (N == 2) return tp_load_u16(p) == head;
      if (N == 3) return tp_load_u32(p) << 8 == (uint32_t)(head << 8);
      if (N < 8) return tp_load_u32(p) == head && (N == 4 || tp_load_u32(p + N - 4) == tail);
      if (N == 8) return tp_load(p) == head;
      if (N <= 12) return tp_load(p) == head && tp_load_u32(p + N - 4) == tail;
      if (N <= 16) return tp_load(p) == head && tp_load(p + N - 8) == tail;
      __m128i differs = _mm_xor_si128(tp_load16(p + N - 16), tp_load16(s + N - 16));
      for (size_t i = 0; i + 16 < N; i += 16)
        differs = _mm_or_si128(differs, _mm_xor_si128(tp_load16(p + i), tp_load16(s + i)));
      return _mm_testz_si128(differs, differs);
    }

    /* Constants that are read where they are used: weak, so that the compiler does not know what is in them and makes each anew
       from an immediate, which takes three instructions and a register. */
    #define TP_16(c) {TP_8(c), TP_8(c)}
    struct alignas(16) TpScanConstants {
      unsigned char zero[16], nine[16], quote[16], point[16], low_half[16], from_zero[16], last_digit[16];
      unsigned char ms_low[16], ms_top[16], ms_align[16];
    };
    extern "C" { extern const TpScanConstants tp_scan_constants __attribute__((weak, visibility("hidden"))); }
    const TpScanConstants tp_scan_constants = {
        TP_16('0'), TP_16(9), TP_16('"'), TP_16('.'), TP_16(15), TP_16('0' + 128), TP_16(128 + 9),
        /* 13 digits of which the first is 1 to 8, and then none: each byte is at least `low` and at most `top` above it. */
        {'1', '0', '0', '0', '0', '0', '0', '0', '0', '0', '0', '0', '0', '9' + 1, 0, 0},
        {7, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 255 - 10, 255, 255},
        {128, 128, 128, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}};
    #define TP_OF(name) _mm_load_si128((const __m128i *)tp_scan_constants.name)

    TP_INLINE unsigned tp_mask_of(__m128i text, __m128i byte) {
      return (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(text, byte));
    }
    /* One bit for each byte that is no digit: digits are the lowest of signed bytes once '0' + 128 is taken away. */
    TP_INLINE unsigned tp_not_digits(__m128i text) {
      return (unsigned)_mm_movemask_epi8(_mm_cmpgt_epi8(_mm_sub_epi8(text, TP_OF(from_zero)), TP_OF(last_digit)));
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
    /* What the short ways leave, out of line; by value, so that nothing of the caller's need be in memory. */
    struct TpNumber { const char *end; uint64_t value; };
    static __attribute__((noinline)) TpNumber tp_other_uint(const char *p) {
      int n;
      uint64_t value = tp_digit_run(p, &n);
      if ((unsigned)n - 1 > 15 || (*p == '0' && n > 1)) return TpNumber{NULL, 0};
      return TpNumber{p + n, value};
    }
    TP_INLINE bool tp_scan_uint(const char **p, uint64_t *value) {
      const char *s = *p;
      __m128i text = tp_load16(s);
      unsigned n = TP_FIRST(tp_not_digits(text));
      if (TP_UNLIKELY(n - 1 > 14) || TP_UNLIKELY(*s == '0')) {
        TpNumber other = tp_other_uint(s);
        *value = other.value;
        return (*p = other.end) != NULL;
      }
      text = _mm_and_si128(_mm_shuffle_epi8(text, tp_load16((const char *)tp_right_align + n)), TP_OF(low_half));
      *value = tp_join_eights(tp_two_eights(text));
      *p = s + n;
      return true;
    }
    /* A time in ms (13 digits), or us (16 digits). */
    static __attribute__((noinline)) TpNumber tp_other_time(const char *p) {
      TpNumber number = tp_other_uint(p);
      if (number.value < 9000000000000ULL) number.value *= 1000000;
      else if (number.value < 9000000000000000ULL && number.value > 100000000000000ULL) number.value *= 1000;
      else number.end = NULL;
      return number;
    }
    TP_INLINE bool tp_scan_epoch(const char **p, int64_t *ns) {
      const char *s = *p;
      __m128i v = _mm_sub_epi8(tp_load16(s), TP_OF(ms_low)), over = _mm_subs_epu8(v, TP_OF(ms_top));
      if (TP_UNLIKELY(!_mm_testz_si128(over, over))) {
        TpNumber other = tp_other_time(s);
        *ns = (int64_t)other.value;
        return (*p = other.end) != NULL;
      }
      /* The first digit, of which 1 was taken, stands for 10^12 ms. */
      v = _mm_shuffle_epi8(v, TP_OF(ms_align));
      *ns = (int64_t)(tp_join_eights(tp_two_eights(v)) * 1000000 + 1000000000000000000ULL);
      *p = s + 13;
      return true;
    }
    template <class G, class F> static __attribute__((noinline))
    const char *tp_other_decimal(const char *p, const G *g, int64_t *units, F general) {
      return general(p, g, units);
    }
    template <class G> TP_INLINE bool tp_to_units(uint64_t value_e8, const G *g, int64_t *units) {
      /* A grid too fine for this way takes nothing but 0 here: its quotient_max is 0. */
      uint64_t quotient = tp_rotate_right(value_e8 * g->inverse, g->shift);
      *units = (int64_t)quotient;
      return TP_LIKELY(quotient <= g->quotient_max);
    }
    template <class G, class F> TP_INLINE bool tp_scan_decimal(const char **p, const G *g, int64_t *units, F general) {
      const char *s = *p;
      __m128i text = tp_load16(s);
      unsigned n = TP_FIRST(tp_mask_of(text, TP_OF(quote)) | 1u << 16);
      if (TP_LIKELY(n - 10 <= 6)) {
        __m128i v = _mm_shuffle_epi8(_mm_xor_si128(text, TP_OF(zero)), tp_load16((const char *)tp_fixed8_align[n - 10]));
        __m128i over = _mm_subs_epu8(v, TP_OF(nine));
        if (TP_LIKELY(_mm_testz_si128(over, over)) && TP_LIKELY(s[n - 9] == '.') &&
            tp_to_units(tp_join_eights(tp_two_eights(v)), g, units)) {
          *p = s + n;
          return true;
        }
      }
      return (*p = tp_other_decimal(s, g, units, general)) != NULL;
    }
    /* Row 16 n + whole, for text of n bytes with `whole` of them in front of its point (or its end): the shuffle that puts its
       digits to eight before the point and eight behind it. Forms that are no plain number of at most eight and eight have the
       byte behind the text in their row, a quote, which is no digit. */
    struct alignas(64) TpPlainForms { unsigned char row[16 * 16][16]; };
    constexpr TpPlainForms tp_make_plain_forms() {
      TpPlainForms forms{};
      for (int n = 0; n < 16; n++)
        for (int whole = 0; whole < 16; whole++) {
          int decimals = whole < n ? n - whole - 1 : 0;
          bool plain = whole >= 1 && whole <= 8 && whole <= n && decimals <= 8 && !(whole < n && decimals == 0);
          for (int i = 0; i < 16; i++) {
            int from = i < 8 ? whole - 8 + i : i - 8 < decimals ? whole + 1 + i - 8 : -1;
            forms.row[16 * n + whole][i] = (unsigned char)(!plain ? n : from < 0 ? 128 : from);
          }
        }
      return forms;
    }
    static constexpr TpPlainForms tp_plain_forms = tp_make_plain_forms();
    /* A plain number up to its closing quote, at most 15 bytes, in units of 1e-8: nothing branches on its form. */
    TP_INLINE bool tp_plain_e8(const char *s, unsigned *n, uint64_t *value_e8) {
      __m128i text = tp_load16(s);
      unsigned quotes = tp_mask_of(text, TP_OF(quote)), points = tp_mask_of(text, TP_OF(point)) | quotes;
      if (TP_UNLIKELY(quotes == 0)) return false;
      *n = (unsigned)__builtin_ctz(quotes);
      size_t row = 16 * (size_t)*n + (unsigned)__builtin_ctz(points);
      __m128i v = _mm_shuffle_epi8(_mm_xor_si128(text, TP_OF(zero)), _mm_load_si128((const __m128i *)tp_plain_forms.row[row]));
      __m128i over = _mm_subs_epu8(v, TP_OF(nine));
      if (TP_UNLIKELY(!_mm_testz_si128(over, over))) return false;
      *value_e8 = tp_join_eights(tp_two_eights(v));
      return true;
    }
    template <class G, class F> TP_INLINE bool tp_scan_plain(const char **p, const G *g, int64_t *units, F general) {
      const char *s = *p;
      unsigned n;
      uint64_t value_e8;
      if (TP_LIKELY(tp_plain_e8(s, &n, &value_e8)) && TP_LIKELY(tp_to_units(value_e8, g, units))) {
        *p = s + n;
        return true;
      }
      return (*p = tp_other_decimal(s, g, units, general)) != NULL;
    }
    /* The name that ends at a quote in the next 16 bytes as two words, padded with zeroes: its length, more than 15 where no
       quote is so near. What its bytes are need not be looked at by one who compares all of them. */
    TP_INLINE unsigned tp_name_words(const char *p, uint64_t *low, uint64_t *high) {
      static const unsigned char keep[32] = {255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255};
      __m128i text = tp_load16(p);
      unsigned n = TP_FIRST(tp_mask_of(text, TP_OF(quote)));
      if (TP_UNLIKELY(n > 15)) return n;
      text = _mm_and_si128(text, tp_load16((const char *)keep + 16 - n));
      *low = (uint64_t)_mm_cvtsi128_si64(text);
      *high = (uint64_t)_mm_extract_epi64(text, 1);
      return n;
    }
    /* The instrument that the name up to the next quote, of at most 24 bytes, is one of our venue's; p then stands at the quote.
       In C++, and by value, because GCC leaves functions of Cython's out of line, and the place in the text with them in memory.
       The lookup is instrument_find_words of market/instruments.pxd; a name may hold a zero byte, so its length counts too. */
    template <class T> TP_INLINE auto tp_find_symbol(const T *table, uint32_t venue_slot, uint64_t low, uint64_t high,
                                                     uint64_t third, unsigned n) -> decltype(&table->items[0]) {
      uint64_t v = low ^ high * 0x9E3779B97F4A7C15ULL ^ third * 0xC2B2AE3D27D4EB4FULL ^ venue_slot;
      for (unsigned h = (unsigned)(v * 0x9E3779B97F4A7C15ULL >> 56);; h++) {
        size_t i = table->buckets[h & 255];
        if (TP_UNLIKELY(i == 0)) return NULL;
        auto item = &table->items[i - 1];
        if (TP_LIKELY(item->key[0] == low) && TP_LIKELY(item->key[1] == high) && (n < 17 || item->key[2] == third)
            && TP_LIKELY(item->venue_slot == venue_slot) && TP_LIKELY(item->symbol_bytes == n))
          return item;
      }
    }
    template <class T> static __attribute__((noinline)) auto tp_other_symbol(const T *table, uint32_t venue_slot, const char *p,
                                                                             const char *end) -> decltype(&table->items[0]) {
      const char *stop = tp_name_end(p, end);
      unsigned n = (unsigned)(stop - p);
      char name[24] = {};
      if (stop == NULL || n > sizeof(name)) return NULL;
      memcpy(name, p, n);
      return tp_find_symbol(table, venue_slot, tp_load(name), tp_load(name + 8), tp_load(name + 16), n);
    }
    template <class T> TP_INLINE auto tp_scan_symbol(const T *table, uint32_t venue_slot, const char **p, const char *end)
        -> decltype(&table->items[0]) {
      const char *s = *p;
      uint64_t low, high;
      unsigned n = tp_name_words(s, &low, &high);
      if (TP_UNLIKELY(n > 15) || TP_UNLIKELY(s + n >= end)) {
        auto item = tp_other_symbol(table, venue_slot, s, end);
        if (item != NULL) *p = s + item->symbol_bytes;
        return item;
      }
      *p = s + n;
      return tp_find_symbol(table, venue_slot, low, high, 0, n);
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
    # The instrument whose name ends at the next quote; p then stands there. NULL: unknown, or no plain name.
    const Instrument* scan_symbol "tp_scan_symbol"(const InstrumentTable* t, uint32_t venue_slot, const char** p,
                                                   const char* end) noexcept nogil
    void zero_padded "tp_zero_padded"(const char* p, long n, char* out) noexcept nogil
    # Each moves p behind what it names, and is False, with p meaning nothing, when the text is anything else.
    # name_end: the closing quote of a plain name, one without escape, control or non-ASCII byte; NULL when it is none.
    const char* name_end "tp_name_end"(const char* p, const char* end) noexcept nogil
    bint skip_name "tp_skip_name"(const char** p, const char* end) noexcept nogil
    # A JSON integer of 1 to 16 digits without leading zero; of a negative one *value is the magnitude.
    bint scan_uint "tp_scan_uint"(const char** p, uint64_t* value) noexcept nogil
    bint scan_int "tp_scan_int"(const char** p, uint64_t* value, int* negative) noexcept nogil
    bint scan_bool "tp_scan_bool"(const char** p, int* value) noexcept nogil
    # A time in ms or us since 1970, in ns.
    bint scan_epoch "tp_scan_epoch"(const char** p, int64_t* ns) noexcept nogil
    # A decimal, to its closing quote, in units of the grid; `general` is called for all but eight decimals and one to
    # seven digits before the point (scan_decimal_or), or up to eight digits on either side of it (scan_plain).
    bint scan_plain "tp_scan_plain"(const char** p, const Grid* g, int64_t* units, decimal_scanner general) noexcept nogil
    bint scan_decimal_or "tp_scan_decimal"(const char** p, const Grid* g, int64_t* units, decimal_scanner general) noexcept nogil
    # A decimal, quoted or not: 1 to 10 digits, and up to 16 decimals behind a point. What ends it is the caller's to look at.
    bint scan_number "tp_scan_number"(const char** p, const Grid* g, int64_t* units) noexcept nogil
    bint scan_iso_time "tp_scan_iso_time"(const char** p, int64_t* ns) noexcept nogil
    bint scan_seconds "tp_scan_seconds"(const char** p, int64_t* ns) noexcept nogil


# What a decoder answers of a frame with one record that the scanner took.
cdef inline void batch_of_one(DecodeBatch* batch, int32_t kind, uint32_t instrument, int64_t ts_venue_ns,
                              uint64_t update_id) noexcept nogil:
    batch.count = 1
    batch.kind = kind
    batch.by_scanner = 1
    batch.instrument = instrument
    batch.ts_venue_ns = ts_venue_ns
    batch.last_update_id = update_id
    batch.level_count = 0
    batch.skipped_count = 0


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
