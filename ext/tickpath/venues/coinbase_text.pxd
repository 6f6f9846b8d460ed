# Steps of Coinbase's scanner, beside those of scan.pxd and under the same rules: numbers of any form, times of a known day,
# order ids, and words of which only two are possible. Hot; C++ only.
from libc.stdint cimport int64_t, uint64_t

# Its C text stands in front of this file's, which is built on it.
from tickpath.venues.scan cimport scan_plain

cdef extern from *:
    """
    /* The last day seen: nearly every time has the same date as the one before it. */
    struct TpDay { uint64_t head, tail; int64_t start_ns; };

    static __attribute__((noinline)) bool tp_scan_other_day(const char **p, TpDay *day, int64_t *ns) {
      const char *s = *p;
      if (!tp_scan_iso_time(p, ns)) return false;
      if (s[10] == 'T') {
        day->head = tp_load(s);
        day->tail = tp_load(s + 3);
        day->start_ns = tp_days_from_civil(tp_two(s) * 100 + tp_two(s + 2), tp_two(s + 5), tp_two(s + 8)) * 86400000000000LL;
      }
      return true;
    }
    /* As tp_scan_iso_time, for a known day and up to nine decimals. */
    TP_INLINE bool tp_scan_time(const char **p, TpDay *day, int64_t *ns) {
      const char *s = *p;
      if (TP_UNLIKELY(tp_load(s) != day->head || tp_load(s + 3) != day->tail)) return tp_scan_other_day(p, day, ns);
      /* hh:mm:ss, the colons becoming zeroes: hours, ten minutes, minutes, seconds as words, and their sum in seconds. */
      __m128i v = _mm_xor_si128(_mm_loadl_epi64((const __m128i *)(s + 11)), _mm_cvtsi64_si128(0x30303A30303A3030LL));
      __m128i words = _mm_maddubs_epi16(v, _mm_cvtsi64_si128(0x010A00010A00010ALL));
      __m128i bad = _mm_or_si128(_mm_subs_epu8(v, _mm_cvtsi64_si128(0x0909000909000909LL)),
                                 _mm_cmpgt_epi16(words, _mm_cvtsi64_si128(0x003C000900320017LL)));
      uint64_t sums = (uint64_t)_mm_cvtsi128_si64(_mm_madd_epi16(words, _mm_cvtsi64_si128(0x0001003C003C0E10LL)));
      if (TP_UNLIKELY(!_mm_testz_si128(bad, bad))) return false;
      int64_t fraction = 0;
      s += 19;
      if (TP_LIKELY(*s == '.')) {
        __m128i text = tp_load16(s + 1);
        unsigned n = TP_FIRST(tp_not_digits(text));
        if (TP_UNLIKELY(n - 1 > 8)) return tp_scan_other_day(p, day, ns);
        text = _mm_and_si128(_mm_shuffle_epi8(text, tp_load16((const char *)tp_right_align + n)), TP_OF(low_half));
        fraction = (int64_t)(tp_join_eights(tp_two_eights(text)) * tp_pow10[9 - n]);
        s += n + 1;
      }
      if (TP_UNLIKELY(*s != 'Z')) return false;
      *ns = day->start_ns + (int64_t)((sums >> 32) + (uint32_t)sums) * 1000000000LL + fraction;
      *p = s + 1;
      return true;
    }

    /* A number to its closing quote, in units of 1e-8, for one whose grid is told behind it. */
    static __attribute__((noinline)) TpNumber tp_other_e8(const char *p) {
      int n, f = 0;
      uint64_t whole = tp_digit_run(p, &n), fraction = 0;
      p += n;
      if (*p == '.') {
        fraction = tp_digit_run(p + 1, &f);
        p += f + 1;
        if ((unsigned)f - 1 > 7) return TpNumber{NULL, 0};
      }
      if ((unsigned)n - 1 > 9) return TpNumber{NULL, 0};
      return TpNumber{p, whole * tp_pow10[8] + fraction * tp_pow10[8 - f]};
    }
    TP_INLINE bool tp_scan_e8(const char **p, uint64_t *value_e8) {
      unsigned n;
      if (TP_UNLIKELY(!tp_plain_e8(*p, &n, value_e8))) {
        TpNumber other = tp_other_e8(*p);
        *value_e8 = other.value;
        return (*p = other.end) != NULL;
      }
      *p += n;
      return true;
    }
    /* An order's id that nobody reads: 36 bytes of a plain name. */
    TP_INLINE bool tp_skip_uuid(const char **p, const char *end) {
      const char *s = *p;
      *p = s + 36;
      return s + 36 < end && s[36] == '"'
        && (tp_quote_mask(s) | tp_special_mask(s) | tp_quote_mask(s + 4) | tp_special_mask(s + 4)) == 0;
    }
    /* The time that is the last value of the object whose '}' is the byte in front of end: where its text begins, or NULL. It
       is found from the end, so that the records in front of it can be written whole. */
    TP_INLINE const char *tp_last_time(const char *end) {
      uint32_t quotes = tp_quote_mask(end - 34);
      return TP_LIKELY(quotes != 0 && end[-2] == '"') ? end - 34 + (32 - __builtin_clz(quotes)) : NULL;
    }

    /* 'bid"' or 'offer"', 'buy"' or 'sell"': no predictor learns them. p then stands at the quote. */
    TP_INLINE bool tp_scan_word_of_two(const char **p, char second, uint64_t first_text, int first_bytes, uint64_t second_text,
                                       int second_bytes, int *is_second) {
      int other = **p == second;
      TP_NO_BRANCH(other);
      uint64_t pick = -(uint64_t)other;
      int bytes = first_bytes + (second_bytes - first_bytes) * other;
      uint64_t text = tp_load(*p) << (56 - 8 * bytes);
      *is_second = other;
      *p += bytes;
      return text == (first_text ^ (pick & (first_text ^ second_text)));
    }
    constexpr uint64_t tp_word_and_quote(const char *s, size_t bytes) {
      return tp_word(s, bytes) << (56 - 8 * bytes) | (uint64_t)'"' << 56;
    }
    #define TP_WORD(s) tp_word_and_quote(s, sizeof(s) - 1)
    #define tp_scan_book_side(p, ask) tp_scan_word_of_two(p, 'o', TP_WORD("bid"), 3, TP_WORD("offer"), 5, ask)
    #define tp_scan_maker_side(p, sell) tp_scan_word_of_two(p, 's', TP_WORD("buy"), 3, TP_WORD("sell"), 4, sell)
    #define tp_scan_trade_side(p, sell) tp_scan_word_of_two(p, 'S', TP_WORD("BUY"), 3, TP_WORD("SELL"), 4, sell)

    /* n bytes alike, 48 to 64 of them. */
    TP_INLINE bool tp_same_run(const char *p, const char *q, long n) {
      __m128i differs = _mm_or_si128(_mm_or_si128(_mm_xor_si128(tp_load16(p), tp_load16(q)),
                                                  _mm_xor_si128(tp_load16(p + 16), tp_load16(q + 16))),
                                     _mm_or_si128(_mm_xor_si128(tp_load16(p + 32), tp_load16(q + 32)),
                                                  _mm_xor_si128(tp_load16(p + n - 16), tp_load16(q + n - 16))));
      return _mm_testz_si128(differs, differs);
    }

    /* 16 hexadecimal digits, the first the highest. */
    TP_INLINE uint64_t tp_hex16(__m128i c, __m128i *bad) {
      __m128i letter = _mm_cmpgt_epi8(c, _mm_set1_epi8('9'));
      __m128i digit = _mm_sub_epi8(c, _mm_set1_epi8('0'));
      __m128i rank = _mm_sub_epi8(_mm_or_si128(c, _mm_set1_epi8(0x20)), _mm_set1_epi8('a'));
      __m128i v = _mm_blendv_epi8(digit, rank, letter);
      *bad = _mm_or_si128(*bad, _mm_subs_epu8(v, _mm_blendv_epi8(_mm_set1_epi8(9), _mm_set1_epi8(5), letter)));
      v = _mm_add_epi8(v, _mm_and_si128(letter, _mm_set1_epi8(10)));
      __m128i bytes = _mm_maddubs_epi16(v, _mm_set1_epi16(16 | 1 << 8));
      return __builtin_bswap64((uint64_t)_mm_cvtsi128_si64(_mm_packus_epi16(bytes, bytes)));
    }
    /* d50ec984-77a8-460a-b958-66f114b0de9b, 40 readable bytes. */
    TP_INLINE bool tp_scan_uuid(const char **p, uint64_t *high, uint64_t *low) {
      const char *s = *p;
      __m128i bad = _mm_setzero_si128();
      __m128i middle = _mm_shuffle_epi8(tp_load16(s + 9), _mm_setr_epi8(-1, -1, -1, -1, -1, -1, -1, -1, 0, 1, 2, 3, 5, 6, 7, 8));
      *high = tp_hex16(_mm_blend_epi16(tp_load16(s), middle, 0xF0), &bad);
      *low = tp_hex16(_mm_blend_epi16(tp_load16(s + 20), tp_load16(s + 19), 0x03), &bad);
      *p = s + 36;
      return _mm_testz_si128(bad, bad) && s[8] == '-' && s[13] == '-' && s[18] == '-' && s[23] == '-';
    }
    """
    cdef struct Day "TpDay":
        pass
    bint scan_time "tp_scan_time"(const char** p, Day* day, int64_t* ns) noexcept nogil
    bint scan_e8 "tp_scan_e8"(const char** p, uint64_t* value_e8) noexcept nogil
    bint skip_uuid "tp_skip_uuid"(const char** p, const char* end) noexcept nogil
    const char* last_time "tp_last_time"(const char* end) noexcept nogil
    bint scan_book_side "tp_scan_book_side"(const char** p, int* ask) noexcept nogil
    bint scan_maker_side "tp_scan_maker_side"(const char** p, int* sell) noexcept nogil
    bint scan_trade_side "tp_scan_trade_side"(const char** p, int* sell) noexcept nogil
    bint same_run "tp_same_run"(const char* p, const char* q, long n) noexcept nogil
    bint scan_uuid "tp_scan_uuid"(const char** p, uint64_t* high, uint64_t* low) noexcept nogil
