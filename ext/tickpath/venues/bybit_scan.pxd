# Bybit's exact text of books, trades and tickers, read in one pass. Hot; C++ only; owned by the decoder (bybit_decode.pxd).
#
# The products write the same fields in different order ("type" in front of "ts" for linear and inverse, behind it for spot);
# both texts are known. Every frame it takes ends in '}' (checked first), and in front of the closing braces nothing but the
# end of a trade holds one, behind which the place is compared with the frame's end: so each step starts in front of the
# frame's last byte or just behind it, and a message that continues in the bytes behind the frame is refused (scan.pxd).
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from tickpath.decimal cimport POW10, digit_run
from tickpath.market.instruments cimport Instrument, InstrumentTable
from tickpath.types cimport (
    DELTA_ASK, DELTA_SNAPSHOT, EV_QUOTE, EV_REFERENCE, EV_TRADE, REFERENCE_FUNDING_RATE, REFERENCE_INDEX_PRICE,
    REFERENCE_LAST_PRICE, REFERENCE_MARK_PRICE, REFERENCE_OPEN_INTEREST, STATUS_IGNORED, STATUS_OK, TRADE_SELL_AGGRESSOR,
    TS_NONE, BookDelta, QuoteEvent, ReferenceEvent, Slot, TradeEvent, likely, unlikely,
)
from tickpath.venues.batch cimport (
    BATCH_SLOTS, MESSAGE_BOOK_DELTA, MESSAGE_OTHER, MESSAGE_QUOTE, MESSAGE_SNAPSHOT, MESSAGE_TRADE, DecodeBatch, FrameView,
    batch_close_book, slot_open,
)
from tickpath.venues.scan cimport (
    AT, LEN, name_end, scan_bool, scan_decimal_general, scan_epoch, scan_plain, scan_symbol, scan_uint, skip_name,
)
from tickpath.venues.scan_rows cimport (
    LEVELS_MAX, plain_parts, same_name, scan_row, scan_side_title, stamp_levels,
)

# Less than any message it knows.
cdef enum: BYBIT_FRAME_BYTES_MIN = 64

# What a ticker says and we keep.
cdef enum:
    TICKER_BID_PRICE = 0
    TICKER_BID_QTY = 1
    TICKER_ASK_PRICE = 2
    TICKER_ASK_QTY = 3
    TICKER_MARK_PRICE = 4
    TICKER_INDEX_PRICE = 5
    TICKER_OPEN_INTEREST = 6
    TICKER_FUNDING_RATE = 7
    TICKER_LAST_PRICE = 8
    TICKER_NEXT_FUNDING = 9
    TICKER_FIELDS = 10
    TICKER_OTHER = 11
    TICKER_OF_OPTION = 12

cdef enum: TICKER_QUOTE_BITS = 15

cdef extern from *:
    """
    /* A UUID in lower case and the quote behind it: the 128 bits as high half xor low half. Reads 37 bytes. */
    TP_INLINE bool tp_uuid_fold(const char *p, uint64_t *fold) {
      const char N = (char)128;
      const __m128i high_a = _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, N, N, N, N);
      const __m128i high_b = _mm_setr_epi8(N, N, N, N, N, N, N, N, N, N, N, N, 12, 13, 14, 15);
      const __m128i low_a = _mm_setr_epi8(0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, N);
      const __m128i low_b = _mm_setr_epi8(N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, 15);
      /* Dashes at 8 and 13, 18 and 23. */
      uint64_t marks = ((tp_load(p + 8) ^ 0x2D000000002DULL) | (tp_load(p + 18) ^ 0x2D000000002DULL)) & 0xFF00000000FFULL;
      if (TP_UNLIKELY(marks != 0) || p[36] != '"') return false;
    #ifdef __AVX2__
      __m256i v = _mm256_or_si256(
          _mm256_shuffle_epi8(_mm256_loadu2_m128i((const __m128i *)(p + 19), (const __m128i *)p),
                              _mm256_set_m128i(low_a, high_a)),
          _mm256_shuffle_epi8(_mm256_loadu2_m128i((const __m128i *)(p + 20), (const __m128i *)(p + 2)),
                              _mm256_set_m128i(low_b, high_b)));
      __m256i digit = _mm256_sub_epi8(v, TP_OF32(zero)), letter = _mm256_sub_epi8(v, _mm256_set1_epi8('a' - 10));
      __m256i is_digit = _mm256_cmpeq_epi8(_mm256_min_epu8(digit, TP_OF32(nine)), digit);
      /* 10 to 15: what is not below 10 and not above 15. */
      __m256i nearest = _mm256_min_epu8(_mm256_max_epu8(letter, _mm256_set1_epi8(10)), _mm256_set1_epi8(15));
      __m256i is_letter = _mm256_cmpeq_epi8(nearest, letter);
      if (TP_UNLIKELY(_mm256_movemask_epi8(_mm256_or_si256(is_digit, is_letter)) != -1)) return false;
      v = _mm256_maddubs_epi16(_mm256_blendv_epi8(letter, digit, is_digit), _mm256_set1_epi16(16 | 1 << 8));
      v = _mm256_packus_epi16(v, v);
      *fold = __builtin_bswap64((uint64_t)_mm256_extract_epi64(v, 0) ^ (uint64_t)_mm256_extract_epi64(v, 2));
    #else
      uint64_t fold_of = 0;
      for (int half = 0; half < 2; half++) {
        __m128i v = half ? _mm_or_si128(_mm_shuffle_epi8(tp_load16(p + 19), low_a), _mm_shuffle_epi8(tp_load16(p + 20), low_b))
                         : _mm_or_si128(_mm_shuffle_epi8(tp_load16(p), high_a), _mm_shuffle_epi8(tp_load16(p + 2), high_b));
        __m128i digit = _mm_sub_epi8(v, TP_OF(zero)), letter = _mm_sub_epi8(v, _mm_set1_epi8('a' - 10));
        __m128i is_digit = _mm_cmpeq_epi8(_mm_min_epu8(digit, TP_OF(nine)), digit);
        __m128i is_letter = _mm_cmpeq_epi8(_mm_min_epu8(_mm_max_epu8(letter, _mm_set1_epi8(10)), _mm_set1_epi8(15)), letter);
        if (_mm_movemask_epi8(_mm_or_si128(is_digit, is_letter)) != 0xFFFF) return false;
        v = _mm_maddubs_epi16(_mm_blendv_epi8(letter, digit, is_digit), _mm_set1_epi16(16 | 1 << 8));
        fold_of ^= (uint64_t)_mm_cvtsi128_si64(_mm_packus_epi16(v, v));
      }
      *fold = __builtin_bswap64(fold_of);
    #endif
      return true;
    }
    /* Which field the key at p is; p then stands behind its :" . The longest key known is "nextFundingTime". */
    TP_INLINE int tp_ticker_field(const char **p) {
    #define TP_TICKER_KEY(text, field) if (TP_AT(*p, text "\\":\\"")) { *p += TP_LEN(text "\\":\\""); return field; }
      switch (**p) {
        case 'b':
          TP_TICKER_KEY("bid1Price", 0)
          TP_TICKER_KEY("bid1Size", 1)
          if (TP_AT(*p, "bidPrice\\"") || TP_AT(*p, "bidSize\\"")) return 12;
          break;
        case 'a':
          TP_TICKER_KEY("ask1Price", 2)
          TP_TICKER_KEY("ask1Size", 3)
          if (TP_AT(*p, "askPrice\\"") || TP_AT(*p, "askSize\\"")) return 12;
          break;
        case 'm': TP_TICKER_KEY("markPrice", 4) break;
        case 'i': TP_TICKER_KEY("indexPrice", 5) break;
        case 'o': TP_TICKER_KEY("openInterest", 6) break;
        case 'f': TP_TICKER_KEY("fundingRate", 7) break;
        case 'l': TP_TICKER_KEY("lastPrice", 8) break;
        case 'n': TP_TICKER_KEY("nextFundingTime", 9) break;
      }
      return 11;
    }
    """
    bint uuid_fold "tp_uuid_fold"(const char* p, uint64_t* fold) noexcept nogil
    int ticker_field "tp_ticker_field"(const char** p) noexcept nogil


# One side's rows [["65095.30","0.005"],…]; p stands at '['. Returns the byte behind ']' or NULL.
cdef inline const char* bybit_scan_side(const char* p, const Instrument* item, DecodeBatch* batch) noexcept nogil:
    cdef BookDelta* b = <BookDelta*>(batch.slots + batch.count)
    cdef BookDelta* limit = <BookDelta*>(batch.slots + LEVELS_MAX)
    if AT(p, "[]"):
        return p + 2
    if not AT(p, "[[\""):
        return NULL
    p += LEN("[[\"")
    while True:
        if unlikely(b == limit):
            return NULL
        p = scan_row(p, item, b)
        if p == NULL:
            return NULL
        b += 1
        if likely(AT(p, "\"],[\"")):
            p += LEN("\"],[\"")
            continue
        if not AT(p, "\"]]"):
            return NULL
        batch.count = <int32_t>(<Slot*>b - batch.slots)
        return p + LEN("\"]]")


# The records of a book message whose prices and quantities stand from 0 on, bids first. u == 1: the venue's service has begun
# anew, and the message is a snapshot whatever its type says.
cdef inline void bybit_close_book(DecodeBatch* batch, int32_t asks, uint8_t venue, const Instrument* item, const FrameView* frame,
                                  int64_t ts_venue_ns, int flags, uint64_t update_id) noexcept nogil:
    if unlikely(update_id == 1):
        flags |= DELTA_SNAPSHOT
    stamp_levels(batch, 0, asks, venue, item.instrument, frame.ts_recv_ns, ts_venue_ns, flags, update_id, update_id)
    stamp_levels(batch, asks, batch.count, venue, item.instrument, frame.ts_recv_ns, ts_venue_ns, flags | DELTA_ASK, update_id,
                 update_id)
    batch_close_book(batch, 0, venue, item.instrument, frame.ts_recv_ns, ts_venue_ns, flags, update_id, update_id)
    batch.kind = MESSAGE_SNAPSHOT if flags & DELTA_SNAPSHOT else MESSAGE_BOOK_DELTA
    batch.instrument = item.instrument
    batch.ts_venue_ns = ts_venue_ns


cdef inline int bybit_scan_book(const InstrumentTable* instruments, uint8_t venue, uint32_t venue_slot, const char* p,
                                const char* end, const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    # p stands behind "topic":"orderbook. ; what the topic names is the instrument, or the general way decides
    cdef const Instrument* item
    cdef uint64_t update_id = 0, unused = 0
    cdef int64_t ts_venue_ns = 0
    cdef int32_t asks
    cdef int flags = 0
    if not scan_uint(&p, &unused) or p[0] != 46:
        return 0
    p += 1
    item = scan_symbol(instruments, venue_slot, &p, end)
    if item == NULL:
        return 0
    if AT(p, "\",\"type\":\"delta\",\"ts\":"):
        p += LEN("\",\"type\":\"delta\",\"ts\":")
        if not scan_epoch(&p, &ts_venue_ns) or not AT(p, ",\"data\":{\"s\":\""):
            return 0
        p += LEN(",\"data\":{\"s\":\"")
    elif AT(p, "\",\"ts\":"):
        p += LEN("\",\"ts\":")
        if not scan_epoch(&p, &ts_venue_ns):
            return 0
        if AT(p, ",\"type\":\"delta\",\"data\":{\"s\":\""):
            p += LEN(",\"type\":\"delta\",\"data\":{\"s\":\"")
        elif AT(p, ",\"type\":\"snapshot\",\"data\":{\"s\":\""):
            p += LEN(",\"type\":\"snapshot\",\"data\":{\"s\":\"")
            flags = DELTA_SNAPSHOT
        else:
            return 0
    elif AT(p, "\",\"type\":\"snapshot\",\"ts\":"):
        p += LEN("\",\"type\":\"snapshot\",\"ts\":")
        flags = DELTA_SNAPSHOT
        if not scan_epoch(&p, &ts_venue_ns) or not AT(p, ",\"data\":{\"s\":\""):
            return 0
        p += LEN(",\"data\":{\"s\":\"")
    else:
        return 0
    if not same_name(p, item.symbol, item.symbol_bytes):
        return 0
    p += item.symbol_bytes
    if not AT(p, "\",\"b\":"):
        return 0
    p = bybit_scan_side(p + LEN("\",\"b\":"), item, batch)
    if p == NULL or not AT(p, ",\"a\":"):
        return 0
    asks = batch.count
    p = bybit_scan_side(p + LEN(",\"a\":"), item, batch)
    if p == NULL or not AT(p, ",\"u\":"):
        return 0
    p += LEN(",\"u\":")
    if not scan_uint(&p, &update_id) or not AT(p, ",\"seq\":"):
        return 0
    p += LEN(",\"seq\":")
    if not scan_uint(&p, &unused):
        return 0
    if likely(AT(p, "},\"cts\":")):
        p += LEN("},\"cts\":")
        if not scan_uint(&p, &unused) or p[0] != 125 or end - p != 1:
            return 0
    elif not AT(p, "}}") or end - p != LEN("}}"):
        return 0
    bybit_close_book(batch, asks, venue, item, frame, ts_venue_ns, flags, update_id)
    return STATUS_OK


# A number of up to nineteen digits without leading zero; one step of scan.pxd reads sixteen.
cdef inline bint scan_long_uint(const char** p, uint64_t* value) noexcept nogil:
    cdef uint64_t low
    cdef int n = 0, m = 0
    value[0] = digit_run(p[0], &n)
    if n == 17:
        low = digit_run(p[0] + 16, &m)
        if m > 3:
            return False
        value[0] = value[0] * POW10[m] + low
        n = 16 + m
    if n == 0 or (p[0][0] == 48 and n > 1):
        return False
    p[0] += n
    return True


# BT, and RPI and seq where they are sent; p stands behind the id. The answer at '}' or NULL.
cdef inline const char* bybit_scan_trade_tail(const char* p) noexcept nogil:
    cdef uint64_t unused = 0
    cdef int flag = 0
    if not AT(p, ",\"BT\":"):
        return NULL
    p += LEN(",\"BT\":")
    if not scan_bool(&p, &flag):
        return NULL
    if AT(p, ",\"RPI\":"):
        p += LEN(",\"RPI\":")
        if not scan_bool(&p, &flag):
            return NULL
    if AT(p, ",\"seq\":"):
        p += LEN(",\"seq\":")
        if not scan_uint(&p, &unused):
            return NULL
    return p


# One trade as linear and inverse write it; p stands behind {"T": . The answer at its '}' or NULL.
cdef inline const char* bybit_scan_trade(const char* p, const char* end, const Instrument* item, TradeEvent* t,
                                         int64_t* ts_venue_ns, int* is_buy) noexcept nogil:
    cdef uint64_t unused = 0
    if not scan_epoch(&p, ts_venue_ns) or not AT(p, ",\"s\":\""):
        return NULL
    if not same_name(p + LEN(",\"s\":\""), item.symbol, item.symbol_bytes):
        return NULL
    p += LEN(",\"s\":\"") + item.symbol_bytes
    if not AT(p, "\",\"S\":\""):
        return NULL
    p += LEN("\",\"S\":\"")
    if not scan_side_title(&p, is_buy) or not AT(p, "\",\"v\":\""):
        return NULL
    p += LEN("\",\"v\":\"")
    if not scan_plain(&p, &item.qty_grid, &t.qty_lots, scan_decimal_general) or not AT(p, "\",\"p\":\""):
        return NULL
    p += LEN("\",\"p\":\"")
    if not scan_plain(&p, &item.price_grid, &t.price_ticks, scan_decimal_general) or not AT(p, "\",\"L\":\""):
        return NULL
    p += LEN("\",\"L\":\"")
    if not skip_name(&p, end) or not AT(p, "\",\"i\":\""):
        return NULL
    p += LEN("\",\"i\":\"")
    if not uuid_fold(p, &t.trade_id):
        return NULL
    p += 37
    if likely(AT(p, ",\"BT\":false,\"RPI\":false,\"seq\":")):
        p += LEN(",\"BT\":false,\"RPI\":false,\"seq\":")
        return p if scan_uint(&p, &unused) else NULL
    return bybit_scan_trade_tail(p)


# The same as spot writes it; p stands behind {"i":" .
cdef inline const char* bybit_scan_spot_trade(const char* p, const Instrument* item, TradeEvent* t, int64_t* ts_venue_ns,
                                              int* is_buy) noexcept nogil:
    cdef uint64_t unused = 0
    if not scan_long_uint(&p, &t.trade_id) or not AT(p, "\",\"T\":"):
        return NULL
    p += LEN("\",\"T\":")
    if not scan_epoch(&p, ts_venue_ns) or not AT(p, ",\"p\":\""):
        return NULL
    p += LEN(",\"p\":\"")
    if not scan_plain(&p, &item.price_grid, &t.price_ticks, scan_decimal_general) or not AT(p, "\",\"v\":\""):
        return NULL
    p += LEN("\",\"v\":\"")
    if not scan_plain(&p, &item.qty_grid, &t.qty_lots, scan_decimal_general) or not AT(p, "\",\"S\":\""):
        return NULL
    p += LEN("\",\"S\":\"")
    if not scan_side_title(&p, is_buy):
        return NULL
    if AT(p, "\",\"seq\":"):
        p += LEN("\",\"seq\":")
        if not scan_uint(&p, &unused):
            return NULL
    elif p[0] == 34:
        p += 1
    else:
        return NULL
    if not AT(p, ",\"s\":\"") or not same_name(p + LEN(",\"s\":\""), item.symbol, item.symbol_bytes):
        return NULL
    p += LEN(",\"s\":\"") + item.symbol_bytes
    if likely(AT(p, "\",\"BT\":false,\"RPI\":false}")):
        return p + LEN("\",\"BT\":false,\"RPI\":false")
    return bybit_scan_trade_tail(p + 1) if p[0] == 34 else NULL


cdef inline int bybit_scan_trades(const InstrumentTable* instruments, uint8_t venue, uint32_t venue_slot, const char* p,
                                  const char* end, const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    # p stands behind "topic":"publicTrade. ; what the topic names is the instrument of each trade, or the general way decides
    cdef const Instrument* item = scan_symbol(instruments, venue_slot, &p, end)
    cdef TradeEvent* t = <TradeEvent*>batch.slots
    cdef TradeEvent* limit = <TradeEvent*>(batch.slots + BATCH_SLOTS)
    cdef int64_t ts_venue_ns = TS_NONE
    cdef int is_buy = 0
    if item == NULL:
        return 0
    if AT(p, "\",\"type\":\"snapshot\",\"ts\":"):
        p += LEN("\",\"type\":\"snapshot\",\"ts\":")
        if not scan_epoch(&p, &ts_venue_ns) or not AT(p, ",\"data\":["):
            return 0
        p += LEN(",\"data\":[")
    elif AT(p, "\",\"ts\":"):
        p += LEN("\",\"ts\":")
        if not scan_epoch(&p, &ts_venue_ns) or not AT(p, ",\"type\":\"snapshot\",\"data\":["):
            return 0
        p += LEN(",\"type\":\"snapshot\",\"data\":[")
    else:
        return 0
    while True:
        if p >= end or t == limit:
            return 0
        if AT(p, "{\"T\":"):
            p = bybit_scan_trade(p + LEN("{\"T\":"), end, item, t, &ts_venue_ns, &is_buy)
        elif AT(p, "{\"i\":\""):
            p = bybit_scan_spot_trade(p + LEN("{\"i\":\""), item, t, &ts_venue_ns, &is_buy)
        else:
            return 0
        if p == NULL:
            return 0
        if t.price_ticks <= 0 or t.qty_lots <= 0:
            return 0
        slot_open(<Slot*>t, EV_TRADE, venue, item.instrument, frame.ts_recv_ns, ts_venue_ns,
                  TRADE_SELL_AGGRESSOR * (is_buy ^ 1))
        t.trade_count = 1
        t.reserved = 0
        t += 1
        if AT(p, "},"):
            p += 2
            continue
        if not AT(p, "}]}") or end - p != LEN("}]}"):
            return 0
        batch.count = <int32_t>(<Slot*>t - batch.slots)
        batch.kind = MESSAGE_TRADE
        batch.instrument = item.instrument
        batch.ts_venue_ns = ts_venue_ns
        return STATUS_OK


# A value of a ticker: its text between quotes.
cdef struct TickerValue:
    const char* text
    int64_t size


# One reference number; "" is none. False: more or other than the fast step reads.
cdef inline bint bybit_scan_reference(const TickerValue* v, uint32_t kind, uint8_t venue, const Instrument* item,
                                      const FrameView* frame, int64_t ts_venue_ns, int64_t ts_next_ns,
                                      DecodeBatch* batch) noexcept nogil:
    cdef ReferenceEvent* r = <ReferenceEvent*>(batch.slots + batch.count)
    if v.size == 0:
        return True
    if not plain_parts(v.text, v.size, &r.mantissa, &r.scale):
        return False
    slot_open(<Slot*>r, EV_REFERENCE, venue, item.instrument, frame.ts_recv_ns, ts_venue_ns, 0)
    r.kind = kind
    r.ts_next_ns = ts_next_ns
    r.reserved = 0
    batch.count += 1
    return True


cdef inline int bybit_scan_ticker(const InstrumentTable* instruments, uint8_t venue, uint32_t venue_slot, const char* p,
                                  const char* end, const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    # p stands behind "topic":"tickers. ; what the topic names is the instrument, or the general way decides
    cdef const Instrument* item = scan_symbol(instruments, venue_slot, &p, end)
    cdef TickerValue[10] values
    cdef int64_t[4] quote
    cdef QuoteEvent* q = <QuoteEvent*>batch.slots
    cdef const char* at
    cdef uint64_t value = 0
    cdef int64_t ts_venue_ns = 0, ts_next_ns = TS_NONE
    cdef uint32_t seen = 0
    cdef int field
    cdef bint spot
    if item == NULL:
        return 0
    spot = AT(p, "\",\"ts\":")
    if spot:
        p += LEN("\",\"ts\":")
        if not scan_epoch(&p, &ts_venue_ns) or not AT(p, ",\"type\":\"snapshot\",\"cs\":"):
            return 0
        p += LEN(",\"type\":\"snapshot\",\"cs\":")
        if not scan_uint(&p, &value) or not AT(p, ",\"data\":{\"symbol\":\""):
            return 0
        p += LEN(",\"data\":{\"symbol\":\"")
    elif AT(p, "\",\"type\":\"delta\",\"data\":{\"symbol\":\""):
        p += LEN("\",\"type\":\"delta\",\"data\":{\"symbol\":\"")
    elif AT(p, "\",\"type\":\"snapshot\",\"data\":{\"symbol\":\""):
        p += LEN("\",\"type\":\"snapshot\",\"data\":{\"symbol\":\"")
    else:
        return 0
    if not same_name(p, item.symbol, item.symbol_bytes):
        return 0
    p += item.symbol_bytes
    if p[0] != 34:
        return 0
    p += 1
    while AT(p, ",\""):
        p += LEN(",\"")
        field = ticker_field(&p)
        if field == TICKER_OTHER:
            p = name_end(p, end)
            # The name of the instrument a second time would be no message of ours.
            if p == NULL or not AT(p, "\":\"") or AT(p - 6, "symbol\""):
                return 0
            p = name_end(p + LEN("\":\""), end)
            if p == NULL:
                return 0
        else:
            if field == TICKER_OF_OPTION or seen & <uint32_t>1 << field:
                return 0
            seen |= <uint32_t>1 << field
            if field <= TICKER_ASK_QTY:
                # An empty side, and a number that is not plain, are left to the general way.
                if not scan_plain(&p, &item.qty_grid if field & 1 else &item.price_grid, &quote[field], scan_decimal_general):
                    return 0
            else:
                at = p
                p = name_end(p, end)
                if p == NULL:
                    return 0
                values[field].text = at
                values[field].size = p - at
        p += 1
    if spot:
        if not AT(p, "}}") or end - p != LEN("}}"):
            return 0
    else:
        if not AT(p, "},\"cs\":"):
            return 0
        p += LEN("},\"cs\":")
        if not scan_uint(&p, &value) or not AT(p, ",\"ts\":"):
            return 0
        p += LEN(",\"ts\":")
        if not scan_epoch(&p, &ts_venue_ns) or p[0] != 125 or end - p != 1:
            return 0
    batch.ts_venue_ns = ts_venue_ns
    batch.instrument = item.instrument
    batch.kind = MESSAGE_OTHER
    if seen & TICKER_QUOTE_BITS == TICKER_QUOTE_BITS:
        if (quote[TICKER_BID_PRICE] <= 0 or quote[TICKER_ASK_PRICE] <= 0 or quote[TICKER_BID_QTY] < 0
                or quote[TICKER_ASK_QTY] < 0):
            return 0
        q.bid_price_ticks = quote[TICKER_BID_PRICE]
        q.bid_qty_lots = quote[TICKER_BID_QTY]
        q.ask_price_ticks = quote[TICKER_ASK_PRICE]
        q.ask_qty_lots = quote[TICKER_ASK_QTY]
        slot_open(<Slot*>q, EV_QUOTE, venue, item.instrument, frame.ts_recv_ns, ts_venue_ns, 0)
        batch.count = 1
        batch.kind = MESSAGE_QUOTE
    if seen & <uint32_t>1 << TICKER_MARK_PRICE and not bybit_scan_reference(
            &values[TICKER_MARK_PRICE], REFERENCE_MARK_PRICE, venue, item, frame, ts_venue_ns, TS_NONE, batch):
        return 0
    if seen & <uint32_t>1 << TICKER_INDEX_PRICE and not bybit_scan_reference(
            &values[TICKER_INDEX_PRICE], REFERENCE_INDEX_PRICE, venue, item, frame, ts_venue_ns, TS_NONE, batch):
        return 0
    if seen & <uint32_t>1 << TICKER_OPEN_INTEREST and not bybit_scan_reference(
            &values[TICKER_OPEN_INTEREST], REFERENCE_OPEN_INTEREST, venue, item, frame, ts_venue_ns, TS_NONE, batch):
        return 0
    if seen & <uint32_t>1 << TICKER_FUNDING_RATE:
        if seen & <uint32_t>1 << TICKER_NEXT_FUNDING and values[TICKER_NEXT_FUNDING].size:
            at = values[TICKER_NEXT_FUNDING].text
            if not scan_epoch(&at, &ts_next_ns) or at[0] != 34 or ts_next_ns == 0:
                return 0
        if not bybit_scan_reference(&values[TICKER_FUNDING_RATE], REFERENCE_FUNDING_RATE, venue, item, frame, ts_venue_ns,
                                    ts_next_ns, batch):
            return 0
    if seen & <uint32_t>1 << TICKER_LAST_PRICE and not bybit_scan_reference(
            &values[TICKER_LAST_PRICE], REFERENCE_LAST_PRICE, venue, item, frame, ts_venue_ns, TS_NONE, batch):
        return 0
    return STATUS_OK if batch.count else STATUS_IGNORED


# STATUS_OK, or STATUS_IGNORED for a ticker without anything of ours; 0 on any surprise.
cdef inline int bybit_scan(const InstrumentTable* instruments, uint8_t venue, uint32_t venue_slot, const FrameView* frame,
                           DecodeBatch* batch) noexcept nogil:
    cdef const char* p = frame.data
    cdef const char* end = frame.data + frame.size
    if unlikely(frame.size < BYBIT_FRAME_BYTES_MIN or (end - 1)[0] != 125) or not AT(p, "{\"topic\":\""):
        return 0
    p += LEN("{\"topic\":\"")
    if AT(p, "orderbook."):
        return bybit_scan_book(instruments, venue, venue_slot, p + LEN("orderbook."), end, frame, batch)
    if AT(p, "publicTrade."):
        return bybit_scan_trades(instruments, venue, venue_slot, p + LEN("publicTrade."), end, frame, batch)
    if AT(p, "tickers."):
        return bybit_scan_ticker(instruments, venue, venue_slot, p + LEN("tickers."), end, frame, batch)
    return 0
