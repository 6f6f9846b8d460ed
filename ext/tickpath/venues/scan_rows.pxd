# Steps of a scanner for venues that send decimals of any length (OKX, Bybit, Binance's futures: "30249.4", "0.00094", "3"). Hot;
# C++ only.
#
# What scan.pxd says of its steps holds for these: each looks at the text at a place, moves p behind it or answers False, and
# reads at most FRAME_PADDING bytes beyond the frame.
#
# Price and quantity of a row are read together, each by one shuffle, chosen by its form (scan.pxd); anything longer takes the
# general decimal parser of tickpath.decimal.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from tickpath.decimal cimport ctz64, e8_to_units, load_u64, not_digits, quote_mask
from tickpath.market.instruments cimport Instrument
from tickpath.types cimport EV_BOOK_DELTA, STATUS_OK, BookDelta, Slot, likely, unlikely
from tickpath.venues.batch cimport BATCH_SLOTS, DecodeBatch, slot_open
from tickpath.venues.scan cimport AT, LEN, scan_decimal_general

# Two slots less than the batch holds: a checksum's record may follow. The general way has the same limit.
cdef enum: LEVELS_MAX = BATCH_SLOTS - 2

cdef extern from *:
    """
    /* Two plain numbers of n and m bytes, each up to 15 and with a quote behind it, at the price of one: as tp_plain_e8. */
    TP_INLINE bool tp_plain_e8_pair(const char *p, unsigned n, const char *q, unsigned m, uint64_t *p_e8, uint64_t *q_e8) {
    #ifdef __AVX2__
      if (TP_UNLIKELY((n | m) > 15)) return false;
      __m256i v = _mm256_loadu2_m128i((const __m128i *)q, (const __m128i *)p);
      unsigned points = (unsigned)_mm256_movemask_epi8(_mm256_cmpeq_epi8(v, _mm256_broadcastsi128_si256(TP_OF(point))));
      size_t row = 16 * (size_t)n + (unsigned)__builtin_ctz(points | 1u << n);
      size_t other = 16 * (size_t)m + (unsigned)__builtin_ctz(points >> 16 | 1u << m);
      v = _mm256_xor_si256(v, TP_OF32(zero));
      v = _mm256_shuffle_epi8(v, _mm256_loadu2_m128i((const __m128i *)tp_plain_forms.row[other],
                                                     (const __m128i *)tp_plain_forms.row[row]));
      __m256i over = _mm256_subs_epu8(v, TP_OF32(nine));
      if (TP_UNLIKELY(!_mm256_testz_si256(over, over))) return false;
      v = _mm256_madd_epi16(_mm256_maddubs_epi16(v, _mm256_set1_epi16(10 | 1 << 8)), _mm256_set1_epi32(100 | 1 << 16));
      v = _mm256_madd_epi16(_mm256_packus_epi32(v, v), _mm256_set1_epi32(10000 | 1 << 16));
      *p_e8 = tp_join_eights((uint64_t)_mm_cvtsi128_si64(_mm256_castsi256_si128(v)));
      *q_e8 = tp_join_eights((uint64_t)_mm_cvtsi128_si64(_mm256_extracti128_si256(v, 1)));
      return true;
    #else
      return tp_plain_e8(p, &n, p_e8) && tp_plain_e8(q, &m, q_e8);
    #endif
    }
    /* The n bytes at p, up to 16 behind a sign, as mantissa / 10^scale with the decimals of the text. */
    static const unsigned char tp_counted[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    TP_INLINE bool tp_plain_parts(const char *p, long n, int64_t *mantissa, int32_t *scale) {
      int negative = *p == '-';
      p += negative;
      n -= negative;
      if (TP_UNLIKELY((unsigned long)n - 1 > 15)) return false;
      __m128i v = tp_load16(p), at = tp_load16((const char *)tp_counted);
      int d = __builtin_ctz((unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(v, _mm_set1_epi8('.'))) | 1u << n);
      int point = d < n;
      if (TP_UNLIKELY((d == 0) | (d == n - 1))) return false;
      /* The bytes behind the point one to the left, then all of them to the right end. */
      v = _mm_shuffle_epi8(_mm_xor_si128(v, TP_OF(zero)), _mm_sub_epi8(at, _mm_cmpgt_epi8(at, _mm_set1_epi8((char)(d - 1)))));
      v = _mm_shuffle_epi8(v, tp_load16((const char *)tp_right_align + n - point));
      __m128i over = _mm_subs_epu8(v, TP_OF(nine));
      uint64_t digits = tp_join_eights(tp_two_eights(v));
      *mantissa = negative ? -(int64_t)digits : (int64_t)digits;
      *scale = point ? (int32_t)(n - d - 1) : 0;
      return _mm_testz_si128(over, over);
    }
    /* The n bytes of a name that was seen before, up to 32. */
    TP_INLINE bool tp_same_name(const char *p, const char *name, long n) {
      unsigned low = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(tp_load16(p), tp_load16(name)));
      unsigned high = n <= 16 ? 0 : (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(tp_load16(p + 16), tp_load16(name + 16)));
      return (~(low | high << 16) & (uint32_t)((1ULL << n) - 1)) == 0;
    }
    /* Two words of which the second is one byte longer ("buy" and "sell"), as fields that no predictor can learn; `words`
       holds the first four bytes of each, the shorter one's with the quote behind it. */
    TP_INLINE bool tp_scan_either(const char **p, char first_letter, unsigned first, unsigned second, int *is_first) {
      int yes = **p == first_letter;
      TP_NO_BRANCH(yes);
      unsigned text = tp_load_u32(*p);
      *is_first = yes;
      *p += 4 - yes;
      return text == second - (-(unsigned)yes & (second - first));
    }
    TP_INLINE bool tp_scan_side_lower(const char **p, int *is_buy) {
      return tp_scan_either(p, 'b', 0x22797562u, 0x6C6C6573u, is_buy);
    }
    TP_INLINE bool tp_scan_side_title(const char **p, int *is_buy) {
      return tp_scan_either(p, 'B', 0x22797542u, 0x6C6C6553u, is_buy);
    }
    """
    bint plain_e8_pair "tp_plain_e8_pair"(const char* p, uint32_t n, const char* q, uint32_t m, uint64_t* p_e8,
                                          uint64_t* q_e8) noexcept nogil
    # A number kept as its text has it: up to 16 bytes, negative or not, with a point or without.
    bint plain_parts "tp_plain_parts"(const char* p, long n, int64_t* mantissa, int32_t* scale) noexcept nogil
    bint same_name "tp_same_name"(const char* p, const char* name, long n) noexcept nogil
    # buy or sell, Buy or Sell; p then stands at the closing quote.
    bint scan_side_lower "tp_scan_side_lower"(const char** p, int* is_buy) noexcept nogil
    bint scan_side_title "tp_scan_side_title"(const char** p, int* is_buy) noexcept nogil


# A row of longer numbers. p stands behind ["; the answer at the quantity's closing quote.
cdef inline const char* scan_row_general(const char* p, const Instrument* item, BookDelta* b) noexcept nogil:
    p = scan_decimal_general(p, &item.price_grid, &b.price_ticks)
    if p == NULL or not AT(p, "\",\""):
        return NULL
    return scan_decimal_general(p + LEN("\",\""), &item.qty_grid, &b.qty_lots)


# The price and the quantity that open a row, into b; p stands behind [". The answer at the quantity's closing quote, or NULL.
cdef inline const char* scan_row(const char* p, const Instrument* item, BookDelta* b) noexcept nogil:
    # One load finds the price's closing quote and, two quotes on, the quantity's.
    cdef uint32_t quotes = quote_mask(p)
    cdef uint32_t price_bytes = ctz64(quotes | <uint64_t>1 << 32)
    cdef uint32_t row_bytes
    cdef uint64_t price_e8 = 0, qty_e8 = 0
    quotes &= quotes - 1
    quotes &= quotes - 1
    row_bytes = ctz64(quotes | <uint64_t>1 << 32)
    if (likely(plain_e8_pair(p, price_bytes, p + price_bytes + 3, row_bytes - price_bytes - 3, &price_e8, &qty_e8))
            and likely(AT(p + price_bytes, "\",\""))
            and likely(e8_to_units(price_e8, &item.price_grid, &b.price_ticks) == STATUS_OK)
            and likely(e8_to_units(qty_e8, &item.qty_grid, &b.qty_lots) == STATUS_OK)):
        p += row_bytes
    else:
        p = scan_row_general(p, item, b)
        if p == NULL:
            return NULL
    if unlikely(b.price_ticks <= 0 or b.qty_lots < 0):
        return NULL
    return p


# One to seven digits to their closing quote; p stands at the first, and then at the quote.
cdef inline bint skip_digits(const char** p) noexcept nogil:
    cdef uint64_t others = not_digits(load_u64(p[0])) | <uint64_t>1 << 63
    cdef int n = ctz64(others) >> 3
    p[0] += n
    return n > 0 and p[0][0] == 34


# What is known of a book's message only behind its levels, into the records from..to-1 of one side.
cdef inline void stamp_levels(DecodeBatch* batch, int32_t start, int32_t stop, uint8_t venue, uint32_t instrument,
                              int64_t ts_recv_ns, int64_t ts_venue_ns, int flags, uint64_t first_id,
                              uint64_t last_id) noexcept nogil:
    cdef BookDelta* b = <BookDelta*>(batch.slots + start)
    cdef BookDelta* end = <BookDelta*>(batch.slots + stop)
    while b != end:
        slot_open(<Slot*>b, EV_BOOK_DELTA, venue, instrument, ts_recv_ns, ts_venue_ns, flags)
        b.first_update_id = first_id
        b.last_update_id = last_id
        b += 1
