# Steps of Kraken's scanners beyond scan.pxd: its numbers, its times, and fields that nobody reads. Hot; C++ only.
#
# As there, a step moves p behind what it names, reads at most FRAME_PADDING bytes beyond the frame, and is False, with p
# meaning nothing, when the text is anything else.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from tickpath.decimal cimport Grid
from tickpath.market.instruments cimport Instrument, InstrumentTable
from tickpath.types cimport EV_QUOTE, INSTRUMENT_NONE, STATUS_OK, QuoteEvent, Slot
from tickpath.venues.batch cimport BATCH_SLOTS, MESSAGE_QUOTE, DecodeBatch, FrameView, slot_open
# Its C text stands in front of this file's, which is built on it.
from tickpath.venues.scan cimport scan_iso_time

# One level less than the batch holds: the checksum, or the record of a message without levels, takes the last slot.
cdef enum: KRAKEN_LEVELS_MAX = BATCH_SLOTS - 1
# Shorter than any message the scanners know, and enough to be read backwards.
cdef enum: KRAKEN_FRAME_BYTES_MIN = 48
cdef enum: KRAKEN_CHECKSUM_MAX = 0xFFFFFFFF

cdef extern from *:
    """
    /* Row n closes the gap of a point behind n digits: those digits move one byte up, and byte 0 becomes zero. */
    struct TpDropPoint {
      unsigned char row[16][16];
      constexpr TpDropPoint() : row() {
        for (int n = 0; n < 16; n++)
          for (int i = 0; i < 16; i++) row[n][i] = (unsigned char)(i == 0 ? 128 : i <= n ? i - 1 : i);
      }
    };
    alignas(16) static constexpr TpDropPoint tp_drop_point;

    /* Kept out of line, and given the place by value, so that the place stays in a register of the caller. */
    template <class G> static __attribute__((noinline)) const char *tp_units_general(const char *p, const G *g, int64_t *units) {
      return tp_scan_number(&p, g, units) ? p : NULL;
    }
    /* The digits of a number around its point: how many are in front of it, and how long the number is. False when it has no
       point, none in front or behind, more than `whole_max` in front, more than 15 bytes, or a leading zero. Each test that
       hardly ever fails is a branch of its own, two instructions; a leading zero is not, for nobody can predict whether a
       quantity is below one. */
    TP_INLINE bool tp_around_point(const char *s, __m128i v, unsigned whole_max, unsigned *whole, unsigned *size) {
      unsigned others = ~(unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_min_epu8(v, TP_OF(nine)), v));
      *whole = (unsigned)__builtin_ctz(others);
      *size = (unsigned)__builtin_ctz(others & (others - 1));
      if (TP_UNLIKELY(*whole - 1 >= whole_max)) return false;
      if (TP_UNLIKELY(s[*whole] != '.')) return false;
      if (TP_UNLIKELY(*size - *whole < 2)) return false;
      if (TP_UNLIKELY(*size > 15)) return false;
      return TP_LIKELY(!((s[0] == '0') & (*whole != 1)));
    }
    /* A decimal with 1 to 10 digits before its point, of up to 15 bytes, in units of the grid: both parts in one conversion.
       Zeros behind the eighth decimal are dropped (v1 sends nine decimals of pairs whose tick is 1e-8). */
    template <class G> static __attribute__((noinline)) const char *tp_other_units(const char *s, const G *g, int64_t *units) {
      unsigned whole, size;
      __m128i v = _mm_sub_epi8(tp_load16(s), TP_OF(zero));
      if (TP_LIKELY(tp_around_point(s, v, 10, &whole, &size))) {
        unsigned used = size, spare = 9 + whole - size;
        if (TP_UNLIKELY(spare > 8)) {
          unsigned zeros = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(v, _mm_setzero_si128()));
          used = whole + 9;
          if ((zeros >> used | ~0u << (size - used)) != ~0u) return tp_units_general(s, g, units);
          spare = 0;
        }
        v = _mm_shuffle_epi8(v, _mm_load_si128((const __m128i *)tp_drop_point.row[whole]));
        v = _mm_shuffle_epi8(v, _mm_loadu_si128((const __m128i *)(tp_right_align + used)));
        uint64_t value = tp_join_eights(tp_two_eights(v)) * tp_pow10[spare];
        uint64_t quotient = tp_rotate_right(value * g->inverse, g->shift);
        *units = (int64_t)quotient;
        if (quotient <= g->quotient_max) return s + size;
      }
      return tp_units_general(s, g, units);
    }
    TP_INLINE unsigned tp_without_lowest(unsigned mask) { return mask & (mask - 1); }
    /* The same at the price of no branch on its form (scan.pxd), for up to eight digits on either side of the point. A leading
       zero is not tested by a branch of its own, for nobody can predict whether a quantity is below one. */
    template <class G> TP_INLINE bool tp_scan_units(const char **p, const G *g, int64_t *units) {
      const char *s = *p;
      __m128i text = tp_load16(s);
      unsigned others = tp_not_digits(text), whole = TP_FIRST(others), size = TP_FIRST(tp_without_lowest(others));
      if (TP_LIKELY(size < 16) && TP_LIKELY(s[whole] == '.') && TP_LIKELY(!((s[0] == '0') & (whole != 1)))) {
        __m128i row = _mm_load_si128((const __m128i *)tp_plain_forms.row[16 * (size_t)size + whole]);
        __m128i v = _mm_shuffle_epi8(_mm_xor_si128(text, TP_OF(zero)), row), over = _mm_subs_epu8(v, TP_OF(nine));
        if (TP_LIKELY(_mm_testz_si128(over, over)) && tp_to_units(tp_join_eights(tp_two_eights(v)), g, units)) {
          *p = s + size;
          return true;
        }
      }
      return (*p = tp_other_units(s, g, units)) != NULL;
    }
    /* 1618678133.365913: ten digits, point, six. */
    TP_INLINE bool tp_scan_seconds6(const char **p, int64_t *ns) {
      const char *s = *p;
      __m128i v = _mm_sub_epi8(_mm_blend_epi16(tp_load16(s), tp_load16(s + 1), 0xE0), TP_OF(zero));
      unsigned digits = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_min_epu8(v, TP_OF(nine)), v));
      uint64_t us = tp_join_eights(tp_two_eights(v));
      *ns = (int64_t)(us * 1000);
      *p = s + 17;
      if (TP_UNLIKELY(digits != 0xFFFF)) return false;
      if (TP_UNLIKELY(s[10] != '.')) return false;
      /* From 1973 to 2255; anything else is left to the general way. */
      return TP_LIKELY(us - 100000000000000ULL < 8900000000000000ULL);
    }

    /* The minute of the last time that was read, since its text hardly ever changes from one message to the next. */
    struct TpIsoMinute { char text[16]; int64_t ns; };
    static __attribute__((noinline)) bool tp_iso_minute_set(const char *p, TpIsoMinute *minute) {
      const char *q = p;
      int64_t ns;
      if (!tp_scan_iso_time(&q, &ns) || q - p != 27) return false;
      memcpy(minute->text, p, 16);
      minute->ns = ns - ns % 1000000000 - (int64_t)tp_two(p + 17) * 1000000000;
      return true;
    }
    /* 2026-07-19T17:54:39.768901Z: six decimals. The answer is tp_scan_iso_time's. */
    TP_INLINE bool tp_scan_iso_micros(const char *p, TpIsoMinute *minute, int64_t *ns) {
      __m128i same = _mm_cmpeq_epi8(tp_load16(p), tp_load16(minute->text));
      if (TP_UNLIKELY(_mm_movemask_epi8(same) != 0xFFFF) && !tp_iso_minute_set(p, minute)) return false;
      uint16_t seconds;
      memcpy(&seconds, p + 17, 2);
      __m128i v = _mm_cvtsi64_si128((long long)((tp_load(p + 18) & ~0xFFFFULL) | seconds));
      v = _mm_sub_epi8(v, TP_OF(zero));
      unsigned digits = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_min_epu8(v, TP_OF(nine)), v));
      unsigned us = (unsigned)tp_two_eights(v);
      *ns = minute->ns + (int64_t)us * 1000;
      if (TP_UNLIKELY((unsigned char)~digits != 0)) return false;
      /* `:` and `.` on both sides of the seconds. */
      if (TP_UNLIKELY((tp_load_u32(p + 16) & 0xFF0000FFu) != 0x2E00003Au)) return false;
      if (TP_UNLIKELY(p[26] != 'Z')) return false;
      return TP_LIKELY(us < 61000000u);
    }
    /* Any JSON number without an exponent, for a field nobody reads. */
    static __attribute__((noinline)) const char *tp_number_end(const char *s) {
      int n;
      (void)tp_digit_run(s, &n);
      if ((unsigned)n - 1 > 15 || (*s == '0' && n > 1)) return NULL;
      s += n;
      if (*s != '.') return s;
      (void)tp_digit_run(s + 1, &n);
      return (unsigned)n - 1 > 15 ? NULL : s + n + 1;
    }
    TP_INLINE bool tp_skip_number(const char **p) {
      int minus = **p == '-';
      TP_NO_BRANCH(minus);
      const char *s = *p + minus;
      unsigned whole, size;
      if (TP_LIKELY(tp_around_point(s, _mm_sub_epi8(tp_load16(s), TP_OF(zero)), 13, &whole, &size))) {
        *p = s + size;
        return true;
      }
      return (*p = tp_number_end(s)) != NULL;
    }
    /* text","text"] behind its first quote, for two fields nobody reads: one look at 32 bytes finds both ends. */
    static __attribute__((noinline)) const char *tp_text_pair_end(const char *s, const char *end) {
      if (!tp_skip_name(&s, end) || s[1] != ',' || s[2] != '"') return NULL;
      s += 3;
      return tp_skip_name(&s, end) && s[1] == ']' ? s + 2 : NULL;
    }
    TP_INLINE bool tp_skip_text_pair(const char **p, const char *end) {
      const char *s = *p;
      uint32_t first = tp_quote_mask(s), second = first & (first - 1), last = second & (second - 1);
      if (TP_UNLIKELY(last == 0)) return (*p = tp_text_pair_end(s, end)) != NULL;
      if (TP_UNLIKELY(tp_special_mask(s) & (last ^ (last - 1)))) return false;
      unsigned a = (unsigned)__builtin_ctz(first), b = (unsigned)__builtin_ctz(last);
      *p = s + b + 2;
      if (TP_UNLIKELY(s[a + 1] != ',') || TP_UNLIKELY(s[a + 2] != '"')) return false;
      return TP_LIKELY(s[b + 1] == ']');
    }
    /* "buy" or "sell" with its closing quote: a side no predictor can learn. */
    TP_INLINE bool tp_scan_taker(const char **p, int *is_sell) {
      int sell = **p == 's';
      TP_NO_BRANCH(sell);
      unsigned text = tp_load_u32(*p);                         /* `buy"` or `sell` */
      *is_sell = sell;
      *p += 4 + sell;
      if (TP_UNLIKELY((*p)[-1] != '"')) return false;
      return TP_LIKELY(text == 0x22797562u - (-(unsigned)sell & (0x22797562u - 0x6C6C6573u)));
    }
    """
    ctypedef struct IsoMinute "TpIsoMinute":
        char[16] text
        int64_t ns
    bint scan_units "tp_scan_units"(const char** p, const Grid* g, int64_t* units) noexcept nogil
    bint scan_seconds6 "tp_scan_seconds6"(const char** p, int64_t* ns) noexcept nogil
    bint scan_iso_micros "tp_scan_iso_micros"(const char* p, IsoMinute* minute, int64_t* ns) noexcept nogil
    bint skip_number "tp_skip_number"(const char** p) noexcept nogil
    bint skip_text_pair "tp_skip_text_pair"(const char** p, const char* end) noexcept nogil
    bint scan_taker "tp_scan_taker"(const char** p, int* is_sell) noexcept nogil

cdef struct KrakenScan:
    const InstrumentTable* instruments
    IsoMinute minute              # a memory of text, never of the market: it changes no answer
    uint8_t venue                 # VenueId
    uint8_t venue_slot


# The batch's own instrument and time: of all its records, or none where they differ; the newest. Called before records are added.
cdef inline void batch_note(DecodeBatch* batch, uint32_t instrument, int64_t ts_venue_ns) noexcept nogil:
    if batch.count == 0:
        batch.instrument = instrument
    elif batch.instrument != instrument:
        batch.instrument = INSTRUMENT_NONE
    if ts_venue_ns > batch.ts_venue_ns:
        batch.ts_venue_ns = ts_venue_ns


# A message's time is that of its newest level.
cdef inline void stamp_levels(DecodeBatch* batch, int32_t first, int64_t ts_venue_ns) noexcept nogil:
    cdef int32_t i
    for i in range(first, batch.count):
        batch.slots[i].ts_venue_ns = ts_venue_ns


# A quote of two sides; an empty one is left to the general way.
cdef inline int close_quote(KrakenScan* k, QuoteEvent* q, const Instrument* item, int64_t ts_venue_ns, const FrameView* frame,
                            DecodeBatch* batch) noexcept nogil:
    if q.bid_price_ticks <= 0 or q.ask_price_ticks <= 0:
        return 0
    slot_open(<Slot*>q, EV_QUOTE, k.venue, item.instrument, frame.ts_recv_ns, ts_venue_ns, 0)
    batch.count = 1
    batch.kind = MESSAGE_QUOTE
    batch.instrument = item.instrument
    batch.ts_venue_ns = ts_venue_ns
    return STATUS_OK
