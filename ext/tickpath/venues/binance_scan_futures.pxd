# The scanner's part for Binance futures (USD-M, and COIN-M with its "ps" field): exact text, exact key order; 0 on any
# surprise, and then the general way decides. Hot; C++ only; included by binance_decode. See binance_scan.pxd's head.
#
# Its numbers have as many decimals as the instrument wants, or none.
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

from tickpath.market.instruments cimport Instrument
from tickpath.types cimport (
    DELTA_ASK, DELTA_SNAPSHOT, EV_BOOK_DELTA, EV_QUOTE, EV_TRADE, STATUS_OK, TRADE_AGGREGATE, TRADE_SELL_AGGRESSOR,
    BookDelta, QuoteEvent, Slot, TradeEvent, likely, unlikely,
)
from tickpath.venues.batch cimport (
    MESSAGE_BOOK_DELTA, MESSAGE_QUOTE, MESSAGE_SNAPSHOT, MESSAGE_TRADE, DecodeBatch, FrameView, batch_clear, batch_close_book,
    slot_open,
)
from tickpath.venues.binance_scan cimport closes, snapshot_instrument, stream_name
from tickpath.venues.binance_state cimport LEVELS_MAX, BinanceDecoder
from tickpath.venues.scan cimport (
    AT, LEN, batch_of_one, scan_bool, scan_decimal_general, scan_epoch, scan_plain, scan_symbol, scan_uint, skip_name,
)
from tickpath.venues.scan_rows cimport scan_row

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
                                         const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    # p stands behind "u": ; COIN-M, whose message opens with it, names the event behind the id
    cdef bint is_coin_m = (p - LEN("{\"u\":"))[0] == c'{'
    cdef uint64_t update_id = 0
    cdef int64_t ts_event_ns = 0, ts_venue_ns = 0
    cdef const Instrument* item
    cdef QuoteEvent* q = <QuoteEvent*>batch.slots
    if not scan_uint(&p, &update_id):
        return 0
    if likely(not is_coin_m):
        if not AT(p, ",\"s\":\""):
            return 0
        p += LEN(",\"s\":\"")
    else:
        if not AT(p, ",\"e\":\"bookTicker\",\"s\":\""):
            return 0
        p += LEN(",\"e\":\"bookTicker\",\"s\":\"")
    item = scan_symbol(d.instruments, d.venue_slot, &p, end)
    if item == NULL or not AT(p, "\","):
        return 0
    p += LEN("\",")
    if not skip_pair(&p, end) or not AT(p, "\"b\":\""):
        return 0
    p += LEN("\"b\":\"")
    if not scan_plain(&p, &item.price_grid, &q.bid_price_ticks, scan_decimal_general) or not AT(p, "\",\"B\":\""):
        return 0
    p += LEN("\",\"B\":\"")
    if not scan_plain(&p, &item.qty_grid, &q.bid_qty_lots, scan_decimal_general) or not AT(p, "\",\"a\":\""):
        return 0
    p += LEN("\",\"a\":\"")
    if not scan_plain(&p, &item.price_grid, &q.ask_price_ticks, scan_decimal_general) or not AT(p, "\",\"A\":\""):
        return 0
    p += LEN("\",\"A\":\"")
    if not scan_plain(&p, &item.qty_grid, &q.ask_qty_lots, scan_decimal_general) or not AT(p, "\",\"T\":"):
        return 0
    p += LEN("\",\"T\":")
    if not scan_epoch(&p, &ts_venue_ns) or not AT(p, ",\"E\":"):
        return 0
    p += LEN(",\"E\":")
    if not scan_epoch(&p, &ts_event_ns) or not closes(p, end, close_bytes):
        return 0
    if q.bid_price_ticks <= 0 or q.ask_price_ticks <= 0 or q.bid_qty_lots < 0 or q.ask_qty_lots < 0:
        return 0                                       # an empty side or nonsense: the general way tells which
    slot_open(batch.slots, EV_QUOTE, d.venue, item.instrument, frame.ts_recv_ns, ts_venue_ns, 0)
    batch_of_one(batch, MESSAGE_QUOTE, item.instrument, ts_venue_ns, update_id)
    return STATUS_OK


cdef inline int scan_futures_trade(BinanceDecoder* d, const char* p, const char* end, long close_bytes,
                                   const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    # p stands behind {"e":"trade","E":
    cdef uint64_t trade_id = 0
    cdef int64_t ts_event_ns = 0, ts_venue_ns = 0
    cdef const Instrument* item
    cdef TradeEvent* t = <TradeEvent*>batch.slots
    cdef int sell_aggressor = 0
    if not scan_epoch(&p, &ts_event_ns) or not AT(p, ",\"T\":"):
        return 0
    p += LEN(",\"T\":")
    if not scan_epoch(&p, &ts_venue_ns) or not AT(p, ",\"s\":\""):
        return 0
    p += LEN(",\"s\":\"")
    item = scan_symbol(d.instruments, d.venue_slot, &p, end)
    if item == NULL or not AT(p, "\",\"t\":"):
        return 0
    p += LEN("\",\"t\":")
    if not scan_uint(&p, &trade_id) or not AT(p, ",\"p\":\""):
        return 0
    p += LEN(",\"p\":\"")
    if not scan_plain(&p, &item.price_grid, &t.price_ticks, scan_decimal_general) or not AT(p, "\",\"q\":\""):
        return 0
    p += LEN("\",\"q\":\"")
    if (not scan_plain(&p, &item.qty_grid, &t.qty_lots, scan_decimal_general)
            or not AT(p, "\",\"X\":\"MARKET\",\"m\":")):
        return 0                                       # of the insurance fund, of deleveraging, or no trade
    p += LEN("\",\"X\":\"MARKET\",\"m\":")
    if not scan_bool(&p, &sell_aggressor) or not closes(p, end, close_bytes):
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


cdef inline int scan_futures_agg_trade(BinanceDecoder* d, const char* p, const char* end, long close_bytes,
                                       const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    # p stands behind {"e":"aggTrade","E":
    cdef uint64_t trade_id = 0, first_id = 0, last_id = 0
    cdef int64_t ts_event_ns = 0, ts_venue_ns = 0
    cdef const Instrument* item
    cdef TradeEvent* t = <TradeEvent*>batch.slots
    cdef int sell_aggressor = 0
    if not scan_epoch(&p, &ts_event_ns) or not AT(p, ",\"a\":"):
        return 0
    p += LEN(",\"a\":")
    if not scan_uint(&p, &trade_id) or not AT(p, ",\"s\":\""):
        return 0
    p += LEN(",\"s\":\"")
    item = scan_symbol(d.instruments, d.venue_slot, &p, end)
    if item == NULL or not AT(p, "\",\"p\":\""):
        return 0
    p += LEN("\",\"p\":\"")
    if not scan_plain(&p, &item.price_grid, &t.price_ticks, scan_decimal_general) or not AT(p, "\",\"q\":\""):
        return 0
    p += LEN("\",\"q\":\"")
    if not scan_plain(&p, &item.qty_grid, &t.qty_lots, scan_decimal_general) or not AT(p, "\","):
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
    if not scan_epoch(&p, &ts_venue_ns) or not AT(p, ",\"m\":"):
        return 0
    p += LEN(",\"m\":")
    if not scan_bool(&p, &sell_aggressor) or not closes(p, end, close_bytes):
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


# One side's rows [["p","q"],…]; p stands at '['. Returns the byte behind ']' or NULL.
cdef inline const char* scan_futures_levels(BinanceDecoder* d, const char* p, const Instrument* item, int flags,
                                            int64_t ts_recv_ns, int64_t ts_venue_ns, uint64_t first_id, uint64_t last_id,
                                            DecodeBatch* batch) noexcept nogil:
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
    cdef uint64_t first_id = 0, last_id = 0, previous_id = 0
    cdef int64_t ts_event_ns = 0, ts_venue_ns = 0
    cdef const Instrument* item
    cdef const char* stop = NULL
    cdef const char* stream
    if not scan_epoch(&p, &ts_event_ns) or not AT(p, ",\"T\":"):
        return 0
    p += LEN(",\"T\":")
    if not scan_epoch(&p, &ts_venue_ns) or not AT(p, ",\"s\":\""):
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
    if last_id < first_id or last_id <= previous_id:
        return 0
    batch_clear(batch)
    batch.ts_venue_ns = ts_venue_ns
    first_id = previous_id + 1
    p = scan_futures_levels(d, p, item, 0, frame.ts_recv_ns, batch.ts_venue_ns, first_id, last_id, batch)
    if p == NULL or not AT(p, ",\"a\":"):
        return 0
    p += LEN(",\"a\":")
    p = scan_futures_levels(d, p, item, DELTA_ASK, frame.ts_recv_ns, batch.ts_venue_ns, first_id, last_id, batch)
    if p == NULL or not closes(p, end, close_bytes):
        return 0
    batch.by_scanner = 1
    batch.kind = MESSAGE_BOOK_DELTA
    batch.instrument = item.instrument
    batch_close_book(batch, 0, d.venue, item.instrument, frame.ts_recv_ns, batch.ts_venue_ns, 0, first_id, last_id)
    return STATUS_OK


cdef inline int scan_futures_snapshot(BinanceDecoder* d, const char* p, const char* end, long close_bytes,
                                      const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    # p stands behind {"lastUpdateId":
    cdef uint64_t last_id = 0
    cdef int64_t ts_event_ns = 0, ts_venue_ns = 0
    cdef const Instrument* item = snapshot_instrument(d, frame)
    if item == NULL or not scan_uint(&p, &last_id) or not AT(p, ",\"E\":"):
        return 0
    p += LEN(",\"E\":")
    if not scan_epoch(&p, &ts_event_ns) or not AT(p, ",\"T\":"):
        return 0
    p += LEN(",\"T\":")
    if not scan_epoch(&p, &ts_venue_ns) or not AT(p, ",\"bids\":"):
        return 0
    p += LEN(",\"bids\":")
    batch_clear(batch)
    batch.ts_venue_ns = ts_venue_ns
    p = scan_futures_levels(d, p, item, DELTA_SNAPSHOT, frame.ts_recv_ns, batch.ts_venue_ns, last_id, last_id, batch)
    if p == NULL or not AT(p, ",\"asks\":"):
        return 0
    p += LEN(",\"asks\":")
    p = scan_futures_levels(d, p, item, DELTA_SNAPSHOT | DELTA_ASK, frame.ts_recv_ns, batch.ts_venue_ns, last_id, last_id,
                            batch)
    if p == NULL or not closes(p, end, close_bytes):
        return 0
    batch.by_scanner = 1
    batch.kind = MESSAGE_SNAPSHOT
    batch.instrument = item.instrument
    batch_close_book(batch, 0, d.venue, item.instrument, frame.ts_recv_ns, batch.ts_venue_ns, DELTA_SNAPSHOT, last_id, last_id)
    return STATUS_OK
