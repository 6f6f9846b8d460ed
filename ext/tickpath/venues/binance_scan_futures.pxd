# The scanner's part for Binance futures (USD-M, and COIN-M with its "ps" field): exact text, exact key order; 0 on any
# surprise, and then the general way decides. Hot; C++ only; included by binance_decode. See binance_scan.pxd's head.
#
# Its numbers have as many decimals as the instrument wants, or none: a number is read in one piece of 16 bytes, whose point a
# shuffle takes out.
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

from tickpath.decimal cimport Grid, ctz64, quote_mask
from tickpath.market.instruments cimport Instrument
from tickpath.types cimport (
    DELTA_ASK, DELTA_SNAPSHOT, EV_BOOK_DELTA, EV_QUOTE, EV_TRADE, STATUS_OK, TRADE_AGGREGATE, TRADE_SELL_AGGRESSOR, TS_NONE,
    BookDelta, QuoteEvent, Slot, TradeEvent, likely, unlikely,
)
from tickpath.venues.batch cimport (
    MESSAGE_BOOK_DELTA, MESSAGE_QUOTE, MESSAGE_SNAPSHOT, MESSAGE_TRADE, DecodeBatch, FrameView, batch_close_book, slot_open,
)
from tickpath.venues.binance_scan cimport (
    closes, message_start, scan_level_general, snapshot_instrument, stream_name,
)
from tickpath.venues.binance_state cimport LEVELS_MAX, BinanceDecoder, binance_time_ns
from tickpath.venues.scan cimport (
    AT, LEN, decimal_scanner, scan_bool, scan_decimal_general, scan_symbol, scan_uint, skip_name,
)

cdef extern from *:
    """
    /* row[d][n]: the shuffle that puts the digits of text of n bytes with d decimals at the right end of 16, without its point */
    struct alignas(16) TpAlign { unsigned char row[9][17][16]; };
    constexpr TpAlign tp_make_align(void) {
      TpAlign align = {};
      for (int d = 0; d < 9; d++)
        for (int n = 0; n < 17; n++)
          for (int k = 0; k < 16; k++) {
            int from = d != 0 && k >= d ? n - 2 - k : n - 1 - k;
            align.row[d][n][15 - k] = (unsigned char)(from < 0 ? 128 : from);
          }
      return align;
    }
    static constexpr TpAlign tp_align = tp_make_align();

    /* Text of n bytes with d decimals, up to 16 bytes and ten digits before the point, in units of the grid. Its length and
       decimals are known beforehand, so that the next number's place does not wait for this one's digits. */
    template <class G> TP_INLINE bool tp_fixed_short(const char *p, unsigned n, unsigned d, const G *g, int64_t *units) {
      unsigned behind = d + (d != 0);
      if (TP_UNLIKELY((n - behind - 1 > 9) | (n > 16))) return false;
      __m128i v = _mm_xor_si128(tp_load16(p), TP_OF16(zero));
      v = _mm_shuffle_epi8(v, _mm_load_si128((const __m128i *)tp_align.row[d][n]));
      __m128i over = _mm_subs_epu8(v, TP_OF16(nine));
      uint64_t quotient = tp_rotate_right(tp_join_eights(tp_two_eights(v)) * tp_pow10[8 - d] * g->inverse, g->shift);
      *units = (int64_t)quotient;
      int plain = _mm_testz_si128(over, over) & ((d == 0) | (p[n - behind] == '.'));
      return TP_LIKELY(plain) && TP_LIKELY(quotient <= g->quotient_max);
    }
    /* How many decimals text of n bytes has; 9 where it has more, or no digit behind its point. */
    TP_INLINE unsigned tp_decimals(const char *p, unsigned n) {
      unsigned dots = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(tp_load16(p), _mm_set1_epi8('.'))) & ((1u << (n & 31)) - 1);
      unsigned d = dots ? n - 1 - (unsigned)__builtin_ctz(dots) : 0;
      return ((dots != 0) & (d == 0)) | (d > 8) ? 9 : d;
    }
    /* A decimal to its closing quote; `general` is called for any that has more bytes, digits or decimals. */
    template <class G, class F> TP_INLINE bool tp_scan_short(const char **at, const G *g, int64_t *units, F general) {
      unsigned n = (unsigned)__builtin_ctzll(tp_quote_mask(*at) | 1ULL << 32), d = tp_decimals(*at, n);
      if (TP_LIKELY((d < 9) & (g->fast != 0)) && TP_LIKELY(tp_fixed_short(*at, n, d, g, units))) {
        *at += n;
        return true;
      }
      return (*at = general(*at, g, units)) != NULL;
    }
    """
    bint fixed_short "tp_fixed_short"(const char* p, uint32_t n, uint32_t d, const Grid* g, int64_t* units) noexcept nogil
    uint32_t decimals_of "tp_decimals"(const char* p, uint32_t n) noexcept nogil
    bint scan_short_or "tp_scan_short"(const char** p, const Grid* g, int64_t* units, decimal_scanner general) noexcept nogil


# COIN-M names the pair too: moves p behind it.
cdef inline bint skip_pair(const char** p, const char* end) noexcept nogil:
    if not AT(p[0], "\"ps\":\""):
        return True
    p[0] += LEN("\"ps\":\"")
    if not skip_name(p, end) or not AT(p[0], "\","):
        return False
    p[0] += LEN("\",")
    return True


cdef inline int scan_futures_book_ticker(BinanceDecoder* d, const char* p, const char* end, long close_bytes,
                                         const FrameView* frame, DecodeBatch* batch, uint64_t update_id) noexcept nogil:
    # p stands behind the update id and "s":"
    cdef uint64_t event_time = 0, trade_time = 0
    cdef const Instrument* item
    cdef QuoteEvent* q = <QuoteEvent*>batch.slots
    item = scan_symbol(d.instruments, d.venue_slot, &p, end)
    if item == NULL or not AT(p, "\","):
        return 0
    p += LEN("\",")
    if not skip_pair(&p, end) or not AT(p, "\"b\":\""):
        return 0
    p += LEN("\"b\":\"")
    if not scan_short_or(&p, &item.price_grid, &q.bid_price_ticks, scan_decimal_general) or not AT(p, "\",\"B\":\""):
        return 0
    p += LEN("\",\"B\":\"")
    if not scan_short_or(&p, &item.qty_grid, &q.bid_qty_lots, scan_decimal_general) or not AT(p, "\",\"a\":\""):
        return 0
    p += LEN("\",\"a\":\"")
    if not scan_short_or(&p, &item.price_grid, &q.ask_price_ticks, scan_decimal_general) or not AT(p, "\",\"A\":\""):
        return 0
    p += LEN("\",\"A\":\"")
    if not scan_short_or(&p, &item.qty_grid, &q.ask_qty_lots, scan_decimal_general) or not AT(p, "\",\"T\":"):
        return 0
    p += LEN("\",\"T\":")
    if not scan_uint(&p, &trade_time) or not AT(p, ",\"E\":"):
        return 0
    p += LEN(",\"E\":")
    if not scan_uint(&p, &event_time) or not closes(p, end, close_bytes):
        return 0
    batch.ts_venue_ns = binance_time_ns(trade_time)
    if (q.bid_price_ticks <= 0 or q.ask_price_ticks <= 0 or q.bid_qty_lots < 0 or q.ask_qty_lots < 0
            or batch.ts_venue_ns == TS_NONE or binance_time_ns(event_time) == TS_NONE):
        return 0                                       # an empty side or nonsense: the general way tells which
    slot_open(batch.slots, EV_QUOTE, d.venue, item.instrument, frame.ts_recv_ns, batch.ts_venue_ns, 0)
    batch.count = 1
    batch.kind = MESSAGE_QUOTE
    batch.instrument = item.instrument
    batch.last_update_id = update_id
    return STATUS_OK


cdef inline int scan_futures_trade(BinanceDecoder* d, const char* p, const char* end, long close_bytes,
                                   const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    # p stands behind {"e":"trade","E":
    cdef uint64_t event_time = 0, trade_id = 0, trade_time = 0
    cdef const Instrument* item
    cdef TradeEvent* t = <TradeEvent*>batch.slots
    cdef int sell_aggressor = 0
    if not scan_uint(&p, &event_time) or not AT(p, ",\"T\":"):
        return 0
    p += LEN(",\"T\":")
    if not scan_uint(&p, &trade_time) or not AT(p, ",\"s\":\""):
        return 0
    p += LEN(",\"s\":\"")
    item = scan_symbol(d.instruments, d.venue_slot, &p, end)
    if item == NULL or not AT(p, "\",\"t\":"):
        return 0
    p += LEN("\",\"t\":")
    if not scan_uint(&p, &trade_id) or not AT(p, ",\"p\":\""):
        return 0
    p += LEN(",\"p\":\"")
    if not scan_short_or(&p, &item.price_grid, &t.price_ticks, scan_decimal_general) or not AT(p, "\",\"q\":\""):
        return 0
    p += LEN("\",\"q\":\"")
    if (not scan_short_or(&p, &item.qty_grid, &t.qty_lots, scan_decimal_general)
            or not AT(p, "\",\"X\":\"MARKET\",\"m\":")):
        return 0                                       # of the insurance fund, of deleveraging, or no trade
    p += LEN("\",\"X\":\"MARKET\",\"m\":")
    if not scan_bool(&p, &sell_aggressor) or not closes(p, end, close_bytes):
        return 0
    batch.ts_venue_ns = binance_time_ns(trade_time)
    if t.price_ticks <= 0 or t.qty_lots <= 0 or batch.ts_venue_ns == TS_NONE or binance_time_ns(event_time) == TS_NONE:
        return 0
    slot_open(batch.slots, EV_TRADE, d.venue, item.instrument, frame.ts_recv_ns, batch.ts_venue_ns,
              TRADE_SELL_AGGRESSOR * sell_aggressor)
    t.trade_id = trade_id
    t.trade_count = 1
    t.reserved = 0
    batch.count = 1
    batch.kind = MESSAGE_TRADE
    batch.instrument = item.instrument
    return STATUS_OK


cdef inline int scan_futures_agg_trade(BinanceDecoder* d, const char* p, const char* end, long close_bytes,
                                       const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    # p stands behind {"e":"aggTrade","E":
    cdef uint64_t event_time = 0, trade_id = 0, first_id = 0, last_id = 0, trade_time = 0
    cdef const Instrument* item
    cdef TradeEvent* t = <TradeEvent*>batch.slots
    cdef int sell_aggressor = 0
    if not scan_uint(&p, &event_time) or not AT(p, ",\"a\":"):
        return 0
    p += LEN(",\"a\":")
    if not scan_uint(&p, &trade_id) or not AT(p, ",\"s\":\""):
        return 0
    p += LEN(",\"s\":\"")
    item = scan_symbol(d.instruments, d.venue_slot, &p, end)
    if item == NULL or not AT(p, "\",\"p\":\""):
        return 0
    p += LEN("\",\"p\":\"")
    if not scan_short_or(&p, &item.price_grid, &t.price_ticks, scan_decimal_general) or not AT(p, "\",\"q\":\""):
        return 0
    p += LEN("\",\"q\":\"")
    if not scan_short_or(&p, &item.qty_grid, &t.qty_lots, scan_decimal_general) or not AT(p, "\","):
        return 0
    p += LEN("\",")
    if AT(p, "\"nq\":\""):                            # without trades against retail price improvement orders; not kept
        p += LEN("\"nq\":\"")
        if not skip_name(&p, end) or not AT(p, "\","):
            return 0
        p += LEN("\",")
    if not AT(p, "\"f\":"):
        return 0
    p += LEN("\"f\":")
    if not scan_uint(&p, &first_id) or not AT(p, ",\"l\":"):
        return 0
    p += LEN(",\"l\":")
    if not scan_uint(&p, &last_id) or not AT(p, ",\"T\":"):
        return 0
    p += LEN(",\"T\":")
    if not scan_uint(&p, &trade_time) or not AT(p, ",\"m\":"):
        return 0
    p += LEN(",\"m\":")
    if not scan_bool(&p, &sell_aggressor) or not closes(p, end, close_bytes):
        return 0
    batch.ts_venue_ns = binance_time_ns(trade_time)
    if (t.price_ticks <= 0 or t.qty_lots <= 0 or last_id < first_id or last_id - first_id > 0x7FFFFFFF
            or batch.ts_venue_ns == TS_NONE or binance_time_ns(event_time) == TS_NONE):
        return 0
    slot_open(batch.slots, EV_TRADE, d.venue, item.instrument, frame.ts_recv_ns, batch.ts_venue_ns,
              TRADE_AGGREGATE | TRADE_SELL_AGGRESSOR * sell_aggressor)
    t.trade_id = trade_id
    t.trade_count = <uint32_t>(last_id - first_id + 1)
    t.reserved = 0
    batch.count = 1
    batch.kind = MESSAGE_TRADE
    batch.instrument = item.instrument
    return STATUS_OK


# One side's rows [["p","q"],…]; p stands at '['. Returns the byte behind ']' or NULL.
cdef inline const char* scan_futures_levels(BinanceDecoder* d, const char* p, const Instrument* item, int flags,
                                            int64_t ts_recv_ns, int64_t ts_venue_ns, uint64_t first_id, uint64_t last_id,
                                            DecodeBatch* batch) noexcept nogil:
    cdef BookDelta* b = <BookDelta*>(batch.slots + batch.count)
    cdef BookDelta* limit = <BookDelta*>(batch.slots + LEVELS_MAX)
    cdef uint32_t quotes, price_bytes, row_bytes, price_decimals, qty_decimals
    if AT(p, "[]"):
        return p + 2
    if not AT(p, "[[\""):
        return NULL
    p += LEN("[[\"")
    # All rows have the decimals of the first, or are left to the general step.
    quotes = quote_mask(p)
    price_bytes = ctz64(quotes | <uint64_t>1 << 32)
    quotes &= quotes - 1
    quotes &= quotes - 1
    row_bytes = ctz64(quotes | <uint64_t>1 << 32)
    price_decimals = decimals_of(p, price_bytes)
    qty_decimals = decimals_of(p + price_bytes + 3, row_bytes - price_bytes - 3)
    if unlikely(price_decimals > 8 or qty_decimals > 8 or item.price_grid.fast == 0 or item.qty_grid.fast == 0):
        return NULL
    while True:
        if unlikely(b == limit):
            return NULL
        # One load finds the price's closing quote and, two quotes on, the quantity's.
        quotes = quote_mask(p)
        price_bytes = ctz64(quotes | <uint64_t>1 << 32)
        quotes &= quotes - 1
        quotes &= quotes - 1
        row_bytes = ctz64(quotes | <uint64_t>1 << 32)
        if (likely(fixed_short(p, price_bytes, price_decimals, &item.price_grid, &b.price_ticks))
                and likely(AT(p + price_bytes, "\",\""))
                and likely(fixed_short(p + price_bytes + 3, row_bytes - price_bytes - 3, qty_decimals, &item.qty_grid,
                                       &b.qty_lots))):
            p += row_bytes
        else:
            p = scan_level_general(p, item, b)
            if p == NULL:
                return NULL
        if unlikely(b.price_ticks <= 0 or b.qty_lots < 0):
            return NULL
        slot_open(<Slot*>b, EV_BOOK_DELTA, d.venue, item.instrument, ts_recv_ns, ts_venue_ns, flags)
        b.first_update_id = first_id
        b.last_update_id = last_id
        b += 1
        if likely(AT(p, "\"],[\"")):
            p += LEN("\"],[\"")
            continue
        if not AT(p, "\"]]"):
            return NULL
        batch.count = <int32_t>(<Slot*>b - batch.slots)
        return p + LEN("\"]]")


cdef inline int scan_futures_depth_update(BinanceDecoder* d, const char* p, const char* end, long close_bytes,
                                          const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    # p stands behind {"e":"depthUpdate","E":
    cdef uint64_t event_time = 0, trade_time = 0, first_id = 0, last_id = 0, previous_id = 0
    cdef const Instrument* item
    cdef const char* stop = NULL
    cdef const char* stream
    if not scan_uint(&p, &event_time) or not AT(p, ",\"T\":"):
        return 0
    p += LEN(",\"T\":")
    if not scan_uint(&p, &trade_time) or not AT(p, ",\"s\":\""):
        return 0
    p += LEN(",\"s\":\"")
    item = scan_symbol(d.instruments, d.venue_slot, &p, end)
    if item == NULL or not AT(p, "\","):
        return 0
    p += LEN("\",")
    stream = stream_name(frame, &stop)
    if stream != NULL:
        # "btcusdt@depth@100ms"; those of partial books ("@depth5") and of other books have the same messages.
        stream += item.symbol_bytes
        if not AT(stream, "@depth") or (stream[6] != 64 and stream[6] != 34):
            return 0
    if not skip_pair(&p, end) or not AT(p, "\"U\":"):
        return 0
    p += LEN("\"U\":")
    if not scan_uint(&p, &first_id) or not AT(p, ",\"u\":"):
        return 0
    p += LEN(",\"u\":")
    if not scan_uint(&p, &last_id) or not AT(p, ",\"pu\":"):
        return 0
    p += LEN(",\"pu\":")
    if not scan_uint(&p, &previous_id) or not AT(p, ",\"b\":"):
        return 0
    p += LEN(",\"b\":")
    batch.ts_venue_ns = binance_time_ns(trade_time)
    if (batch.ts_venue_ns == TS_NONE or binance_time_ns(event_time) == TS_NONE or last_id < first_id
            or last_id <= previous_id):
        return 0
    first_id = previous_id + 1
    p = scan_futures_levels(d, p, item, 0, frame.ts_recv_ns, batch.ts_venue_ns, first_id, last_id, batch)
    if p == NULL or not AT(p, ",\"a\":"):
        return 0
    p += LEN(",\"a\":")
    p = scan_futures_levels(d, p, item, DELTA_ASK, frame.ts_recv_ns, batch.ts_venue_ns, first_id, last_id, batch)
    if p == NULL or not closes(p, end, close_bytes):
        return 0
    batch.kind = MESSAGE_BOOK_DELTA
    batch.instrument = item.instrument
    batch_close_book(batch, 0, d.venue, item.instrument, frame.ts_recv_ns, batch.ts_venue_ns, 0, first_id, last_id)
    return STATUS_OK


cdef inline int scan_futures_snapshot(BinanceDecoder* d, const char* p, const char* end, long close_bytes,
                                      const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    # p stands behind {"lastUpdateId":
    cdef uint64_t last_id = 0, event_time = 0, trade_time = 0
    cdef const Instrument* item = snapshot_instrument(d, frame)
    if item == NULL or not scan_uint(&p, &last_id) or not AT(p, ",\"E\":"):
        return 0
    p += LEN(",\"E\":")
    if not scan_uint(&p, &event_time) or not AT(p, ",\"T\":"):
        return 0
    p += LEN(",\"T\":")
    if not scan_uint(&p, &trade_time) or not AT(p, ",\"bids\":"):
        return 0
    p += LEN(",\"bids\":")
    batch.ts_venue_ns = binance_time_ns(trade_time)
    if batch.ts_venue_ns == TS_NONE or binance_time_ns(event_time) == TS_NONE:
        return 0
    p = scan_futures_levels(d, p, item, DELTA_SNAPSHOT, frame.ts_recv_ns, batch.ts_venue_ns, last_id, last_id, batch)
    if p == NULL or not AT(p, ",\"asks\":"):
        return 0
    p += LEN(",\"asks\":")
    p = scan_futures_levels(d, p, item, DELTA_SNAPSHOT | DELTA_ASK, frame.ts_recv_ns, batch.ts_venue_ns, last_id, last_id,
                            batch)
    if p == NULL or not closes(p, end, close_bytes):
        return 0
    batch.kind = MESSAGE_SNAPSHOT
    batch.instrument = item.instrument
    batch_close_book(batch, 0, d.venue, item.instrument, frame.ts_recv_ns, batch.ts_venue_ns, DELTA_SNAPSHOT, last_id, last_id)
    return STATUS_OK


cdef inline int scan_futures(BinanceDecoder* d, const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    cdef const char* end = frame.data + frame.size
    cdef long close_bytes = 0
    cdef const char* p = message_start(frame, end, &close_bytes)
    cdef uint64_t update_id = 0
    if p == NULL:
        return 0
    if AT(p, "e\":\"bookTicker\",\"u\":"):
        p += LEN("e\":\"bookTicker\",\"u\":")
        if not scan_uint(&p, &update_id) or not AT(p, ",\"s\":\""):
            return 0
        return scan_futures_book_ticker(d, p + LEN(",\"s\":\""), end, close_bytes, frame, batch, update_id)
    if AT(p, "e\":\"trade\",\"E\":"):
        return scan_futures_trade(d, p + LEN("e\":\"trade\",\"E\":"), end, close_bytes, frame, batch)
    if AT(p, "e\":\"depthUpdate\",\"E\":"):
        return scan_futures_depth_update(d, p + LEN("e\":\"depthUpdate\",\"E\":"), end, close_bytes, frame, batch)
    if AT(p, "e\":\"aggTrade\",\"E\":"):
        return scan_futures_agg_trade(d, p + LEN("e\":\"aggTrade\",\"E\":"), end, close_bytes, frame, batch)
    if AT(p, "u\":"):                                 # COIN-M
        p += LEN("u\":")
        if not scan_uint(&p, &update_id) or not AT(p, ",\"e\":\"bookTicker\",\"s\":\""):
            return 0
        return scan_futures_book_ticker(d, p + LEN(",\"e\":\"bookTicker\",\"s\":\""), end, close_bytes, frame, batch, update_id)
    if close_bytes == 1 and AT(p, "lastUpdateId\":"):
        return scan_futures_snapshot(d, p + LEN("lastUpdateId\":"), end, close_bytes, frame, batch)
    return 0
