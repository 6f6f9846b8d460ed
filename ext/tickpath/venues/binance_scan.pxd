# The scanner's part for the spot market's data: exact text, exact key order; 0 on any surprise, and then the general way
# decides. Hot; C++ only; included by binance_decode.
#
# No step looks at the frame's end. Every frame it takes ends in '}' (checked first), and nothing but the closing braces
# can hold a '}': literals, numbers and decimals have none, and a name's closing quote must stand before the end. So each
# step starts in front of that last byte, reads at most FRAME_PADDING bytes beyond it, and a message that continues in
# the bytes behind the frame is refused, not read on.
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

from tickpath.decimal cimport ctz64, e8_to_units, fixed8_pair, quote_mask
from tickpath.market.instruments cimport Instrument, instrument_find_words
from tickpath.types cimport (
    DELTA_ASK, DELTA_SNAPSHOT, EV_BOOK_DELTA, EV_QUOTE, EV_TRADE, STATUS_OK, TRADE_AGGREGATE, TRADE_SELL_AGGRESSOR, TS_NONE,
    BookDelta, QuoteEvent, Slot, TradeEvent, likely, unlikely,
)
from tickpath.venues.batch cimport (
    MESSAGE_BOOK_DELTA, MESSAGE_QUOTE, MESSAGE_SNAPSHOT, MESSAGE_TRADE, DecodeBatch, FrameView, batch_clear, batch_close_book,
    slot_open,
)
from tickpath.venues.binance_state cimport LEVELS_MAX, BinanceDecoder
from tickpath.venues.scan cimport (
    AT, LEN, batch_of_one, name_end, scan_bool, scan_decimal_general, scan_decimal_or, scan_epoch, scan_symbol, scan_uint,
)

# Less than any message the scanner knows; what is shorter has no byte to look at in front of its end.
cdef enum: FRAME_BYTES_MIN = 16

cdef extern from *:
    """
    /* The symbol that opens a stream's name ("btcusdt@depth5"), in capitals and zero-padded; its length, or 0 where it has
       more than 15 bytes or the name ends before an '@'. */
    TP_INLINE long tp_stream_symbol(const char *p, const char *stop, uint64_t *words) {
      __m128i text = tp_load16(p), out;
      long n = __builtin_ctz((unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(text, _mm_set1_epi8('@'))) | 1u << 16);
      if (n > 15 || n >= stop - p) return 0;
      tp_zero_padded(p, n, (char *)words);
      out = tp_load16((const char *)words);
      __m128i lower = _mm_and_si128(_mm_cmpgt_epi8(out, _mm_set1_epi8('a' - 1)), _mm_cmplt_epi8(out, _mm_set1_epi8('z' + 1)));
      _mm_storeu_si128((__m128i *)words, _mm_xor_si128(out, _mm_and_si128(lower, _mm_set1_epi8(0x20))));
      return n;
    }
    static __attribute__((noinline)) const char *tp_other_ignored(const char *p) {
      int unused;
      if (!TP_AT(p, ",\\"M\\":")) return NULL;
      p += TP_LEN(",\\"M\\":");
      return tp_scan_bool(&p, &unused) ? p : NULL;
    }
    TP_INLINE bool tp_skip_ignored(const char **p) {
      const char *s = *p;
      if (TP_LIKELY(TP_AT(s, ",\\"M\\":true"))) {
        *p = s + TP_LEN(",\\"M\\":true");
        return true;
      }
      return (*p = tp_other_ignored(s)) != NULL;
    }
    """
    # The field "M", which says nothing: it has always been true.
    bint skip_ignored "tp_skip_ignored"(const char** p) noexcept nogil
    long stream_symbol "tp_stream_symbol"(const char* p, const char* stop, uint64_t* words) noexcept nogil


# The message's own closing brace and its envelope's, and then the end.
cdef inline bint closes(const char* p, const char* end, long close_bytes) noexcept nogil:
    return p[0] == 125 and end - p == close_bytes


# Behind the brace and the quote that open the message, in whatever envelope it comes; NULL: none that we know.
cdef inline const char* message_start(const FrameView* frame, const char* end, long* close_bytes) noexcept nogil:
    cdef const char* p = frame.data
    cdef uint64_t subscription = 0
    if unlikely(frame.size < FRAME_BYTES_MIN or (end - 1)[0] != 125):
        return NULL
    close_bytes[0] = 2
    if AT(p, "{\"stream\":\""):
        p = name_end(p + LEN("{\"stream\":\""), end)
        if p == NULL or not AT(p, "\",\"data\":{\""):
            return NULL
        return p + LEN("\",\"data\":{\"")
    if AT(p, "{\"subscriptionId\":"):
        p += LEN("{\"subscriptionId\":")
        if not scan_uint(&p, &subscription) or not AT(p, ",\"event\":{\""):
            return NULL
        return p + LEN(",\"event\":{\"")
    if AT(p, "{\"event\":{\""):
        return p + LEN("{\"event\":{\"")
    close_bytes[0] = 1
    return p + 2 if AT(p, "{\"") else <const char*>NULL


cdef inline int scan_book_ticker(BinanceDecoder* d, const char* p, const char* end, long close_bytes,
                                 const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    # p stands behind {"u":
    cdef uint64_t update_id = 0
    cdef const Instrument* item
    cdef QuoteEvent* q = <QuoteEvent*>batch.slots
    if not scan_uint(&p, &update_id) or not AT(p, ",\"s\":\""):
        return 0
    p += LEN(",\"s\":\"")
    item = scan_symbol(d.instruments, d.venue_slot, &p, end)
    if item == NULL or not AT(p, "\",\"b\":\""):
        return 0
    p += LEN("\",\"b\":\"")
    if not scan_decimal_or(&p, &item.price_grid, &q.bid_price_ticks, scan_decimal_general) or not AT(p, "\",\"B\":\""):
        return 0
    p += LEN("\",\"B\":\"")
    if not scan_decimal_or(&p, &item.qty_grid, &q.bid_qty_lots, scan_decimal_general) or not AT(p, "\",\"a\":\""):
        return 0
    p += LEN("\",\"a\":\"")
    if not scan_decimal_or(&p, &item.price_grid, &q.ask_price_ticks, scan_decimal_general) or not AT(p, "\",\"A\":\""):
        return 0
    p += LEN("\",\"A\":\"")
    if not scan_decimal_or(&p, &item.qty_grid, &q.ask_qty_lots, scan_decimal_general):
        return 0
    if p[0] != 34 or not closes(p + 1, end, close_bytes):
        return 0
    if (q.bid_price_ticks <= 0 or q.ask_price_ticks <= 0 or q.bid_qty_lots < 0 or q.ask_qty_lots < 0):
        return 0                                       # an empty side or nonsense: the general way tells which
    slot_open(batch.slots, EV_QUOTE, d.venue, item.instrument, frame.ts_recv_ns, TS_NONE, 0)
    batch_of_one(batch, MESSAGE_QUOTE, item.instrument, TS_NONE, update_id)
    return STATUS_OK


cdef inline int scan_trade(BinanceDecoder* d, const char* p, const char* end, long close_bytes,
                           const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    # p stands behind {"e":"trade","E":
    cdef uint64_t trade_id = 0
    cdef int64_t ts_event_ns = 0, ts_venue_ns = 0
    cdef const Instrument* item
    cdef TradeEvent* t = <TradeEvent*>batch.slots
    cdef int sell_aggressor = 0
    if not scan_epoch(&p, &ts_event_ns) or not AT(p, ",\"s\":\""):
        return 0
    p += LEN(",\"s\":\"")
    item = scan_symbol(d.instruments, d.venue_slot, &p, end)
    if item == NULL or not AT(p, "\",\"t\":"):
        return 0
    p += LEN("\",\"t\":")
    if not scan_uint(&p, &trade_id) or not AT(p, ",\"p\":\""):
        return 0
    p += LEN(",\"p\":\"")
    if not scan_decimal_or(&p, &item.price_grid, &t.price_ticks, scan_decimal_general) or not AT(p, "\",\"q\":\""):
        return 0
    p += LEN("\",\"q\":\"")
    if not scan_decimal_or(&p, &item.qty_grid, &t.qty_lots, scan_decimal_general) or not AT(p, "\",\"T\":"):
        return 0
    p += LEN("\",\"T\":")
    if not scan_epoch(&p, &ts_venue_ns) or not AT(p, ",\"m\":"):
        return 0
    p += LEN(",\"m\":")
    if not scan_bool(&p, &sell_aggressor) or not skip_ignored(&p) or not closes(p, end, close_bytes):
        return 0
    if t.price_ticks <= 0 or t.qty_lots <= 0:
        return 0
    slot_open(batch.slots, EV_TRADE, d.venue, item.instrument, frame.ts_recv_ns, ts_venue_ns,
              TRADE_SELL_AGGRESSOR * sell_aggressor)
    t.trade_id = trade_id
    t.trade_count = 1
    t.reserved = 0
    batch_of_one(batch, MESSAGE_TRADE, item.instrument, ts_venue_ns, 0)
    return STATUS_OK


cdef inline int scan_agg_trade(BinanceDecoder* d, const char* p, const char* end, long close_bytes,
                               const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    # p stands behind {"e":"aggTrade","E":
    cdef uint64_t trade_id = 0, first_id = 0, last_id = 0
    cdef int64_t ts_event_ns = 0, ts_venue_ns = 0
    cdef const Instrument* item
    cdef TradeEvent* t = <TradeEvent*>batch.slots
    cdef int sell_aggressor = 0
    if not scan_epoch(&p, &ts_event_ns) or not AT(p, ",\"s\":\""):
        return 0
    p += LEN(",\"s\":\"")
    item = scan_symbol(d.instruments, d.venue_slot, &p, end)
    if item == NULL or not AT(p, "\",\"a\":"):
        return 0
    p += LEN("\",\"a\":")
    if not scan_uint(&p, &trade_id) or not AT(p, ",\"p\":\""):
        return 0
    p += LEN(",\"p\":\"")
    if not scan_decimal_or(&p, &item.price_grid, &t.price_ticks, scan_decimal_general) or not AT(p, "\",\"q\":\""):
        return 0
    p += LEN("\",\"q\":\"")
    if not scan_decimal_or(&p, &item.qty_grid, &t.qty_lots, scan_decimal_general) or not AT(p, "\",\"f\":"):
        return 0
    p += LEN("\",\"f\":")
    if not scan_uint(&p, &first_id) or not AT(p, ",\"l\":"):
        return 0
    p += LEN(",\"l\":")
    if not scan_uint(&p, &last_id) or not AT(p, ",\"T\":"):
        return 0
    p += LEN(",\"T\":")
    if not scan_epoch(&p, &ts_venue_ns) or not AT(p, ",\"m\":"):
        return 0
    p += LEN(",\"m\":")
    if not scan_bool(&p, &sell_aggressor) or not skip_ignored(&p) or not closes(p, end, close_bytes):
        return 0
    if t.price_ticks <= 0 or t.qty_lots <= 0 or last_id < first_id or last_id - first_id > 0x7FFFFFFF:
        return 0
    slot_open(batch.slots, EV_TRADE, d.venue, item.instrument, frame.ts_recv_ns, ts_venue_ns,
              TRADE_AGGREGATE | TRADE_SELL_AGGRESSOR * sell_aggressor)
    t.trade_id = trade_id
    t.trade_count = <uint32_t>(last_id - first_id + 1)
    t.reserved = 0
    batch_of_one(batch, MESSAGE_TRADE, item.instrument, ts_venue_ns, 0)
    return STATUS_OK


# A row of other decimals than eight, or longer than 32 bytes. p stands behind ["; the answer at the last closing quote.
cdef inline const char* scan_level_general(const char* p, const Instrument* item, BookDelta* b) noexcept nogil:
    p = scan_decimal_general(p, &item.price_grid, &b.price_ticks)
    if p == NULL or not AT(p, "\",\""):
        return NULL
    return scan_decimal_general(p + LEN("\",\""), &item.qty_grid, &b.qty_lots)


# One side's rows [["p","q"],…]; p stands at '['. Returns the byte behind ']' or NULL.
cdef inline const char* scan_levels(BinanceDecoder* d, const char* p, const Instrument* item, int flags, int64_t ts_recv_ns,
                                    int64_t ts_venue_ns, uint64_t first_id, uint64_t last_id,
                                    DecodeBatch* batch) noexcept nogil:
    cdef BookDelta* b = <BookDelta*>(batch.slots + batch.count)
    cdef BookDelta* limit = <BookDelta*>(batch.slots + LEVELS_MAX)
    cdef uint32_t quotes, price_bytes, row_bytes
    cdef uint64_t price_e8 = 0, qty_e8 = 0
    if AT(p, "[]"):
        return p + 2
    if not AT(p, "[[\""):
        return NULL
    p += LEN("[[\"")
    while True:
        if unlikely(b == limit):
            return NULL
        # One load finds the price's closing quote and, two quotes on, the quantity's.
        quotes = quote_mask(p)
        price_bytes = ctz64(quotes | <uint64_t>1 << 32)
        quotes &= quotes - 1
        quotes &= quotes - 1
        row_bytes = ctz64(quotes | <uint64_t>1 << 32)
        if (likely(fixed8_pair(p, price_bytes, p + price_bytes + 3, row_bytes - price_bytes - 3, &price_e8, &qty_e8))
                and likely(AT(p + price_bytes, "\",\""))
                and likely(e8_to_units(price_e8, &item.price_grid, &b.price_ticks) == STATUS_OK)
                and likely(e8_to_units(qty_e8, &item.qty_grid, &b.qty_lots) == STATUS_OK)):
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


cdef inline int scan_depth_update(BinanceDecoder* d, const char* p, const char* end, long close_bytes,
                                  const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    # p stands behind {"e":"depthUpdate","E":
    cdef uint64_t first_id = 0, last_id = 0
    cdef int64_t ts_venue_ns = 0
    cdef const Instrument* item
    if not scan_epoch(&p, &ts_venue_ns) or not AT(p, ",\"s\":\""):
        return 0
    p += LEN(",\"s\":\"")
    item = scan_symbol(d.instruments, d.venue_slot, &p, end)
    if item == NULL or not AT(p, "\",\"U\":"):
        return 0
    p += LEN("\",\"U\":")
    if not scan_uint(&p, &first_id) or not AT(p, ",\"u\":"):
        return 0
    p += LEN(",\"u\":")
    if not scan_uint(&p, &last_id) or not AT(p, ",\"b\":"):
        return 0
    p += LEN(",\"b\":")
    if last_id < first_id:
        return 0
    batch_clear(batch)
    batch.ts_venue_ns = ts_venue_ns
    p = scan_levels(d, p, item, 0, frame.ts_recv_ns, ts_venue_ns, first_id, last_id, batch)
    if p == NULL or not AT(p, ",\"a\":"):
        return 0
    p += LEN(",\"a\":")
    p = scan_levels(d, p, item, DELTA_ASK, frame.ts_recv_ns, ts_venue_ns, first_id, last_id, batch)
    if p == NULL or not closes(p, end, close_bytes):
        return 0
    batch.by_scanner = 1
    batch.kind = MESSAGE_BOOK_DELTA
    batch.instrument = item.instrument
    batch_close_book(batch, 0, d.venue, item.instrument, frame.ts_recv_ns, batch.ts_venue_ns, 0, first_id, last_id)
    return STATUS_OK


# The name of the stream that a frame opens with, to its closing quote, or NULL where the message comes bare.
cdef inline const char* stream_name(const FrameView* frame, const char** stop) noexcept nogil:
    cdef const char* name = frame.data + LEN("{\"stream\":\"")
    if not AT(frame.data, "{\"stream\":\""):
        return NULL
    stop[0] = name_end(name, frame.data + frame.size)
    return name


# The instrument of a snapshot: of its stream's name, or, of a REST body, the one it was asked for. NULL: not found so.
cdef inline const Instrument* snapshot_instrument(BinanceDecoder* d, const FrameView* frame) noexcept nogil:
    cdef uint64_t[2] words
    cdef const char* stop = NULL
    cdef const char* stream = stream_name(frame, &stop)
    if stream == NULL:
        if frame.instrument_hint >= <uint32_t>d.instruments.count:
            return NULL
        return &d.instruments.items[frame.instrument_hint]
    if stop == NULL or stream_symbol(stream, stop, words) == 0:
        return NULL
    return instrument_find_words(d.instruments, d.venue_slot, words[0], words[1], 0)


cdef inline int scan_snapshot(BinanceDecoder* d, const char* p, const char* end, long close_bytes,
                              const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    # p stands behind {"lastUpdateId":
    cdef uint64_t last_id = 0
    cdef const Instrument* item
    if not scan_uint(&p, &last_id) or not AT(p, ",\"bids\":"):
        return 0
    p += LEN(",\"bids\":")
    item = snapshot_instrument(d, frame)
    if item == NULL:
        return 0
    batch_clear(batch)
    p = scan_levels(d, p, item, DELTA_SNAPSHOT, frame.ts_recv_ns, TS_NONE, last_id, last_id, batch)
    if p == NULL or not AT(p, ",\"asks\":"):
        return 0
    p += LEN(",\"asks\":")
    p = scan_levels(d, p, item, DELTA_SNAPSHOT | DELTA_ASK, frame.ts_recv_ns, TS_NONE, last_id, last_id, batch)
    if p == NULL or not closes(p, end, close_bytes):
        return 0
    batch.by_scanner = 1
    batch.kind = MESSAGE_SNAPSHOT
    batch.instrument = item.instrument
    batch_close_book(batch, 0, d.venue, item.instrument, frame.ts_recv_ns, TS_NONE, DELTA_SNAPSHOT, last_id, last_id)
    return STATUS_OK
