"""Binance spot messages to input records.

The messages (github.com/binance/binance-spot-api-docs, web-socket-streams.md, seen 2024-08 in the recorded captures):

    {"stream":"btcusdt@bookTicker","data":{"u":50093239212,"s":"BTCUSDT","b":"61837.63000000","B":"3.78826000",
     "a":"61837.64000000","A":"1.54698000"}}
    {"stream":"btcusdt@trade","data":{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":3735683259,"p":"61837.63000000",
     "q":"0.02000000","T":1723161255342,"m":true,"M":true}}
    {"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1723161255208,"s":"BTCUSDT","U":50093239189,
     "u":50093239202,"b":[["61737.63000000","0.00000000"]],"a":[["61837.64000000","1.54698000"]]}}
    {"lastUpdateId":50093239218,"bids":[["61837.63000000","3.78826000"]],"asks":[]}          (REST, /api/v3/depth)
    {"e":"executionReport","E":1499405658658,"s":"ETHBTC","c":"tp…","S":"BUY","x":"TRADE","i":4293153,"l":"…",…}

Each may come bare or inside {"stream":…,"data":…}. `MessageDecoder` is the Python face, for tools and tests.
"""
from libc.stdint cimport int32_t, uint8_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy, memset

from tickpath.decimal cimport (
    DecimalGrid, Grid, ctz64, decimal_to_units_slow, digit_run, grid_init, load_u64, quoted_decimal,
)
from tickpath.market.instruments cimport Instrument, instrument_add, instrument_find
from tickpath.types cimport (
    DELTA_ASK, DELTA_FIRST, DELTA_LAST, DELTA_NO_LEVEL, DELTA_SNAPSHOT, EV_BOOK_DELTA, EV_CONT, EV_EXEC_REPORT,
    EV_QUOTE, EV_TRADE, EXEC_CANCELED, EXEC_EXPIRED, EXEC_NEW, EXEC_REJECTED, EXEC_TRADE, INSTRUMENT_NONE,
    LIQUIDITY_MAKER, PRICE_TICKS_NONE, SIDE_BUY, SIDE_SELL, STATUS_IGNORED, STATUS_MALFORMED, STATUS_OK,
    STATUS_TOO_LARGE, STATUS_UNKNOWN_SYMBOL, STATUS_UNSUPPORTED, TRADE_AGGREGATE,
    TRADE_SELL_AGGRESSOR, TS_NONE, VENUE_BINANCE_SPOT, BookDelta, ExecReport, QuoteEvent, Slot, TradeEvent,
    likely, unlikely,
)
from tickpath.venues.batch cimport (
    BATCH_SLOTS, FRAME_PADDING, MESSAGE_BAR, MESSAGE_BOOK_DELTA, MESSAGE_EXEC_REPORT, MESSAGE_NONE, MESSAGE_OTHER,
    MESSAGE_QUOTE, MESSAGE_SNAPSHOT, MESSAGE_TRADE,
)

import numpy as np

from tickpath.types import SLOT_DTYPE


cdef extern from "ondemand.hpp":
    cdef struct OdField:
        const char* text
        uint32_t size
        uint8_t type
    cdef struct OdLevel:
        const char* price
        const char* qty
        uint32_t ask
    cdef struct OdMessage:
        OdField[128] one
        OdField last_update_id
        OdField stream
        uint8_t has_bids
        uint8_t has_asks
        uint8_t has_result
        uint8_t has_id
        uint8_t has_status
        uint8_t has_error
        uint8_t has_code
    cdef struct OdParser:
        pass
    OdParser* od_new(size_t max_bytes) noexcept nogil
    void od_free(OdParser* p) noexcept nogil
    int od_walk(OdParser* p, const char* data, size_t size, size_t capacity_bytes, OdMessage* m, OdLevel* levels,
                uint32_t capacity, uint32_t* count) noexcept nogil

cdef struct BinanceDecoder:
    OdParser* parser
    OdMessage* message
    OdLevel* levels
    const InstrumentTable* instruments
    int64_t max_frame_bytes
    int32_t use_scanner
    char[16] id_prefix            # the 12 characters that open every client order id of this run


cdef BinanceDecoder* binance_decoder_new(const InstrumentTable* instruments, const char* id_prefix, int64_t max_frame_bytes,
                                         bint use_scanner) noexcept nogil:
    cdef BinanceDecoder* d = <BinanceDecoder*>calloc(1, sizeof(BinanceDecoder))
    if d == NULL:
        return NULL
    d.instruments = instruments
    d.max_frame_bytes = max_frame_bytes
    d.use_scanner = use_scanner
    memcpy(d.id_prefix, id_prefix, 12)
    d.message = <OdMessage*>calloc(1, sizeof(OdMessage))
    d.levels = <OdLevel*>calloc(BATCH_SLOTS, sizeof(OdLevel))
    d.parser = od_new(max_frame_bytes)
    if d.message == NULL or d.levels == NULL or d.parser == NULL:
        binance_decoder_free(d)
        return NULL
    return d


cdef void binance_decoder_free(BinanceDecoder* d) noexcept nogil:
    if d != NULL:
        if d.parser != NULL:
            od_free(d.parser)
        free(d.message)
        free(d.levels)
        free(d)


cdef inline void slot_open(Slot* s, uint8_t kind, uint32_t instrument, int64_t ts_recv_ns, int64_t ts_venue_ns,
                           int flags) noexcept nogil:
    s.ts_recv_ns = ts_recv_ns
    s.ts_venue_ns = ts_venue_ns
    s.instrument = instrument
    s.type = kind
    s.venue = VENUE_BINANCE_SPOT
    s.flags = <unsigned short>flags


# Venue time in ms (13 digits) or us (16 digits, with timeUnit=MICROSECOND) to ns; TS_NONE when it is neither.
cdef inline int64_t venue_time_ns(uint64_t value) noexcept nogil:
    if likely(value < 9000000000000ULL):
        return <int64_t>(value * 1000000)
    if value < 9000000000000000ULL and value > 100000000000000ULL:
        return <int64_t>(value * 1000)
    return TS_NONE


# ---- the scanner: exact text, exact key order; 0 on any surprise, and then simdjson decides ---------------------------

cdef extern from *:
    """
    /* memcmp with a constant length compiles to plain compares. */
    #define TP_LIT(p, end, s) ((end) - (p) >= (long)sizeof(s) - 1 && memcmp((p), (s), sizeof(s) - 1) == 0)
    #define TP_LEN(s) ((long)sizeof(s) - 1)
    """
    bint LIT "TP_LIT"(const char* p, const char* end, const char* s) noexcept nogil
    long LEN "TP_LEN"(const char* s) noexcept nogil


# To the closing quote of a plain name: no escape, control or non-ASCII byte. NULL when it is anything else.
cdef inline const char* plain_name_end(const char* p, const char* end) noexcept nogil:
    cdef uint64_t v, quote, bad
    cdef int i
    while p < end:
        v = load_u64(p)
        quote = v ^ 0x2222222222222222ULL
        quote = (quote - 0x0101010101010101ULL) & ~quote & 0x8080808080808080ULL
        bad = v ^ 0x5C5C5C5C5C5C5C5CULL
        bad = ((bad - 0x0101010101010101ULL) & ~bad) | v | ((v - 0x2020202020202020ULL) & ~v)
        bad &= 0x8080808080808080ULL
        if quote != 0:
            i = ctz64(quote) >> 3
            # Only bytes before the quote count (the byte tests may also flag bytes after the first hit).
            if i > 0 and bad & ((<uint64_t>1 << (8 * i)) - 1):
                return NULL
            p += i
            return p if p < end else NULL
        if bad:
            return NULL
        p += 8
    return NULL


# A JSON unsigned integer of 1 to 16 digits without leading zero. Moves p; False on anything else.
cdef inline bint scan_uint(const char** p, uint64_t* value) noexcept nogil:
    cdef int n = 0
    value[0] = digit_run(p[0], &n)
    if unlikely(n == 0 or n > 16 or (p[0][0] == 48 and n > 1)):
        return False
    p[0] += n
    return True


cdef inline const Instrument* scan_symbol(const InstrumentTable* t, const char** p, const char* end) noexcept nogil:
    cdef const char* stop = plain_name_end(p[0], end)
    cdef const Instrument* item
    if unlikely(stop == NULL):
        return NULL
    item = instrument_find(t, p[0], stop - p[0])
    p[0] = stop
    return item


cdef inline int scan_book_ticker(BinanceDecoder* d, const char* p, const char* end, const char* close, long close_bytes,
                                 const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    # p stands behind {"u":
    cdef uint64_t update_id = 0
    cdef const Instrument* item
    cdef QuoteEvent* q = <QuoteEvent*>batch.slots
    if not scan_uint(&p, &update_id) or not LIT(p, end, ",\"s\":\""):
        return 0
    p += LEN(",\"s\":\"")
    item = scan_symbol(d.instruments, &p, end)
    if item == NULL or not LIT(p, end, "\",\"b\":\""):
        return 0
    p += LEN("\",\"b\":\"")
    if quoted_decimal(p, &item.price_grid, &q.bid_price_ticks, &p) != STATUS_OK or not LIT(p, end, "\",\"B\":\""):
        return 0
    p += LEN("\",\"B\":\"")
    if quoted_decimal(p, &item.qty_grid, &q.bid_qty_lots, &p) != STATUS_OK or not LIT(p, end, "\",\"a\":\""):
        return 0
    p += LEN("\",\"a\":\"")
    if quoted_decimal(p, &item.price_grid, &q.ask_price_ticks, &p) != STATUS_OK or not LIT(p, end, "\",\"A\":\""):
        return 0
    p += LEN("\",\"A\":\"")
    if quoted_decimal(p, &item.qty_grid, &q.ask_qty_lots, &p) != STATUS_OK:
        return 0
    if end - p != close_bytes + 1 or p[0] != 34 or memcmp(p + 1, close, close_bytes) != 0:
        return 0
    if (q.bid_price_ticks <= 0 or q.ask_price_ticks <= 0 or q.bid_qty_lots < 0 or q.ask_qty_lots < 0):
        return 0                                       # an empty side or nonsense: the general way tells which
    slot_open(batch.slots, EV_QUOTE, item.instrument, frame.ts_recv_ns, TS_NONE, 0)
    batch.count = 1
    batch.kind = MESSAGE_QUOTE
    batch.instrument = item.instrument
    batch.last_update_id = update_id
    batch.ts_venue_ns = TS_NONE
    return STATUS_OK


cdef inline int scan_trade(BinanceDecoder* d, const char* p, const char* end, const char* close, long close_bytes,
                           const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    # p stands behind {"e":"trade","E":
    cdef uint64_t event_time = 0, trade_id = 0, trade_time = 0
    cdef const Instrument* item
    cdef TradeEvent* t = <TradeEvent*>batch.slots
    cdef int flags = 0
    if not scan_uint(&p, &event_time) or not LIT(p, end, ",\"s\":\""):
        return 0
    p += LEN(",\"s\":\"")
    item = scan_symbol(d.instruments, &p, end)
    if item == NULL or not LIT(p, end, "\",\"t\":"):
        return 0
    p += LEN("\",\"t\":")
    if not scan_uint(&p, &trade_id) or not LIT(p, end, ",\"p\":\""):
        return 0
    p += LEN(",\"p\":\"")
    if quoted_decimal(p, &item.price_grid, &t.price_ticks, &p) != STATUS_OK or not LIT(p, end, "\",\"q\":\""):
        return 0
    p += LEN("\",\"q\":\"")
    if quoted_decimal(p, &item.qty_grid, &t.qty_lots, &p) != STATUS_OK or not LIT(p, end, "\",\"T\":"):
        return 0
    p += LEN("\",\"T\":")
    if not scan_uint(&p, &trade_time):
        return 0
    if LIT(p, end, ",\"m\":true,\"M\":true"):
        flags = TRADE_SELL_AGGRESSOR
        p += LEN(",\"m\":true,\"M\":true")
    elif LIT(p, end, ",\"m\":false,\"M\":true"):
        p += LEN(",\"m\":false,\"M\":true")
    else:
        return 0
    if end - p != close_bytes or memcmp(p, close, close_bytes) != 0:
        return 0
    batch.ts_venue_ns = venue_time_ns(trade_time)
    if t.price_ticks <= 0 or t.qty_lots <= 0 or batch.ts_venue_ns == TS_NONE or venue_time_ns(event_time) == TS_NONE:
        return 0
    slot_open(batch.slots, EV_TRADE, item.instrument, frame.ts_recv_ns, batch.ts_venue_ns, flags)
    t.trade_id = trade_id
    t.trade_count = 1
    t.reserved = 0
    batch.count = 1
    batch.kind = MESSAGE_TRADE
    batch.instrument = item.instrument
    return STATUS_OK


cdef inline int scan_agg_trade(BinanceDecoder* d, const char* p, const char* end, const char* close, long close_bytes,
                               const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    # p stands behind {"e":"aggTrade","E":
    cdef uint64_t event_time = 0, trade_id = 0, first_id = 0, last_id = 0, trade_time = 0
    cdef const Instrument* item
    cdef TradeEvent* t = <TradeEvent*>batch.slots
    cdef int flags = TRADE_AGGREGATE
    if not scan_uint(&p, &event_time) or not LIT(p, end, ",\"s\":\""):
        return 0
    p += LEN(",\"s\":\"")
    item = scan_symbol(d.instruments, &p, end)
    if item == NULL or not LIT(p, end, "\",\"a\":"):
        return 0
    p += LEN("\",\"a\":")
    if not scan_uint(&p, &trade_id) or not LIT(p, end, ",\"p\":\""):
        return 0
    p += LEN(",\"p\":\"")
    if quoted_decimal(p, &item.price_grid, &t.price_ticks, &p) != STATUS_OK or not LIT(p, end, "\",\"q\":\""):
        return 0
    p += LEN("\",\"q\":\"")
    if quoted_decimal(p, &item.qty_grid, &t.qty_lots, &p) != STATUS_OK or not LIT(p, end, "\",\"f\":"):
        return 0
    p += LEN("\",\"f\":")
    if not scan_uint(&p, &first_id) or not LIT(p, end, ",\"l\":"):
        return 0
    p += LEN(",\"l\":")
    if not scan_uint(&p, &last_id) or not LIT(p, end, ",\"T\":"):
        return 0
    p += LEN(",\"T\":")
    if not scan_uint(&p, &trade_time):
        return 0
    if LIT(p, end, ",\"m\":true,\"M\":true"):
        flags |= TRADE_SELL_AGGRESSOR
        p += LEN(",\"m\":true,\"M\":true")
    elif LIT(p, end, ",\"m\":false,\"M\":true"):
        p += LEN(",\"m\":false,\"M\":true")
    else:
        return 0
    if end - p != close_bytes or memcmp(p, close, close_bytes) != 0:
        return 0
    batch.ts_venue_ns = venue_time_ns(trade_time)
    if (t.price_ticks <= 0 or t.qty_lots <= 0 or last_id < first_id or last_id - first_id > 0x7FFFFFFF
            or batch.ts_venue_ns == TS_NONE or venue_time_ns(event_time) == TS_NONE):
        return 0
    slot_open(batch.slots, EV_TRADE, item.instrument, frame.ts_recv_ns, batch.ts_venue_ns, flags)
    t.trade_id = trade_id
    t.trade_count = <uint32_t>(last_id - first_id + 1)
    t.reserved = 0
    batch.count = 1
    batch.kind = MESSAGE_TRADE
    batch.instrument = item.instrument
    return STATUS_OK


# One side's rows [["p","q"],…]; p stands at '['. Returns the byte behind ']' or NULL.
cdef inline const char* scan_levels(const char* p, const char* end, const Instrument* item, int flags, int64_t ts_recv_ns,
                                    int64_t ts_venue_ns, uint64_t first_id, uint64_t last_id,
                                    DecodeBatch* batch) noexcept nogil:
    cdef BookDelta* b
    if p >= end or p[0] != 91:
        return NULL
    p += 1
    if p[0] == 93:
        return p + 1
    while True:
        if not LIT(p, end, "[\"") or batch.count >= BATCH_SLOTS:
            return NULL
        p += 2
        b = <BookDelta*>(batch.slots + batch.count)
        if quoted_decimal(p, &item.price_grid, &b.price_ticks, &p) != STATUS_OK or not LIT(p, end, "\",\""):
            return NULL
        p += 3
        if quoted_decimal(p, &item.qty_grid, &b.qty_lots, &p) != STATUS_OK or not LIT(p, end, "\"]"):
            return NULL
        p += 2
        if unlikely(b.price_ticks <= 0 or b.qty_lots < 0):
            return NULL
        slot_open(<Slot*>b, EV_BOOK_DELTA, item.instrument, ts_recv_ns, ts_venue_ns, flags)
        b.first_update_id = first_id
        b.last_update_id = last_id
        batch.count += 1
        if p[0] == 44:
            p += 1
            continue
        if p[0] == 93:
            return p + 1
        return NULL


cdef inline int scan_depth_update(BinanceDecoder* d, const char* p, const char* end, const char* close, long close_bytes,
                                  const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    # p stands behind {"e":"depthUpdate","E":
    cdef uint64_t event_time = 0, first_id = 0, last_id = 0
    cdef const Instrument* item
    if not scan_uint(&p, &event_time) or not LIT(p, end, ",\"s\":\""):
        return 0
    p += LEN(",\"s\":\"")
    item = scan_symbol(d.instruments, &p, end)
    if item == NULL or not LIT(p, end, "\",\"U\":"):
        return 0
    p += LEN("\",\"U\":")
    if not scan_uint(&p, &first_id) or not LIT(p, end, ",\"u\":"):
        return 0
    p += LEN(",\"u\":")
    if not scan_uint(&p, &last_id) or not LIT(p, end, ",\"b\":"):
        return 0
    p += LEN(",\"b\":")
    batch.ts_venue_ns = venue_time_ns(event_time)
    if batch.ts_venue_ns == TS_NONE or last_id < first_id:
        return 0
    p = scan_levels(p, end, item, 0, frame.ts_recv_ns, batch.ts_venue_ns, first_id, last_id, batch)
    if p == NULL or not LIT(p, end, ",\"a\":"):
        return 0
    p += LEN(",\"a\":")
    p = scan_levels(p, end, item, DELTA_ASK, frame.ts_recv_ns, batch.ts_venue_ns, first_id, last_id, batch)
    if p == NULL or end - p != close_bytes or memcmp(p, close, close_bytes) != 0:
        return 0
    batch.kind = MESSAGE_BOOK_DELTA
    batch.instrument = item.instrument
    batch_close_delta(batch, frame, first_id, last_id)
    return STATUS_OK


# Marks the first and last record of a book message; a message without levels gets one record that carries its ids.
cdef inline void batch_close_delta(DecodeBatch* batch, const FrameView* frame, uint64_t first_id,
                                   uint64_t last_id) noexcept nogil:
    cdef BookDelta* b
    batch.level_count = batch.count
    if batch.count == 0:
        b = <BookDelta*>batch.slots
        slot_open(<Slot*>b, EV_BOOK_DELTA, batch.instrument, frame.ts_recv_ns, batch.ts_venue_ns, DELTA_NO_LEVEL)
        b.price_ticks = PRICE_TICKS_NONE
        b.qty_lots = 0
        b.first_update_id = first_id
        b.last_update_id = last_id
        batch.count = 1
    batch.slots[0].flags |= DELTA_FIRST
    batch.slots[batch.count - 1].flags |= DELTA_LAST


cdef inline int scan(BinanceDecoder* d, const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    cdef const char* p = frame.data
    cdef const char* end = frame.data + frame.size
    cdef const char* close = "}"
    cdef long close_bytes = 1
    if LIT(p, end, "{\"stream\":\""):
        p = plain_name_end(p + LEN("{\"stream\":\""), end)
        if p == NULL or not LIT(p, end, "\",\"data\":{\""):
            return 0
        p += LEN("\",\"data\":{\"")
        close = "}}"
        close_bytes = 2
    elif LIT(p, end, "{\""):
        p += 2
    else:
        return 0
    if LIT(p, end, "u\":"):
        return scan_book_ticker(d, p + 3, end, close, close_bytes, frame, batch)
    if LIT(p, end, "e\":\"trade\",\"E\":"):
        return scan_trade(d, p + LEN("e\":\"trade\",\"E\":"), end, close, close_bytes, frame, batch)
    if LIT(p, end, "e\":\"depthUpdate\",\"E\":"):
        return scan_depth_update(d, p + LEN("e\":\"depthUpdate\",\"E\":"), end, close, close_bytes, frame, batch)
    if LIT(p, end, "e\":\"aggTrade\",\"E\":"):
        return scan_agg_trade(d, p + LEN("e\":\"aggTrade\",\"E\":"), end, close, close_bytes, frame, batch)
    return 0


# ---- the general way: simdjson, any key order ---------------------------------------------------------------------------

cdef inline bint field_uint(const OdField* f, uint64_t* value) noexcept nogil:
    cdef uint64_t v = 0
    cdef uint32_t i
    if f.type != b'n' or f.size == 0 or f.size > 19:
        return False
    for i in range(f.size):
        if not 48 <= f.text[i] <= 57:
            return False
        v = v * 10 + <uint64_t>(f.text[i] - 48)
    value[0] = v
    return True


cdef inline int field_decimal(const OdField* f, const Grid* g, int64_t* units) noexcept nogil:
    if f.type != b's':
        return STATUS_MALFORMED
    return decimal_to_units_slow(f.text, f.size, g, units)


cdef inline bint field_is(const OdField* f, const char* text, uint32_t size) noexcept nogil:
    return f.type == b's' and f.size == size and memcmp(f.text, text, size) == 0


cdef inline const Instrument* field_instrument(const InstrumentTable* t, const OdField* f) noexcept nogil:
    cdef char[32] padded
    if f.type != b's' or f.size == 0 or f.size > 16:
        return NULL
    memset(padded, 0, 32)
    memcpy(padded, f.text, f.size)
    return instrument_find(t, padded, f.size)


cdef int walk_quote(BinanceDecoder* d, const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    cdef OdMessage* m = d.message
    cdef const Instrument* item = field_instrument(d.instruments, &m.one[b's'])
    cdef QuoteEvent* q = <QuoteEvent*>batch.slots
    cdef int status
    if not field_uint(&m.one[b'u'], &batch.last_update_id):
        return STATUS_MALFORMED
    if item == NULL:
        return STATUS_UNKNOWN_SYMBOL
    status = field_decimal(&m.one[b'b'], &item.price_grid, &q.bid_price_ticks)
    if status == STATUS_OK:
        status = field_decimal(&m.one[b'B'], &item.qty_grid, &q.bid_qty_lots)
    if status == STATUS_OK:
        status = field_decimal(&m.one[b'a'], &item.price_grid, &q.ask_price_ticks)
    if status == STATUS_OK:
        status = field_decimal(&m.one[b'A'], &item.qty_grid, &q.ask_qty_lots)
    if status != STATUS_OK:
        return status
    if q.bid_price_ticks < 0 or q.ask_price_ticks < 0 or q.bid_qty_lots < 0 or q.ask_qty_lots < 0:
        return STATUS_MALFORMED
    # An empty side is sent as price 0, quantity 0.
    if q.bid_price_ticks == 0:
        q.bid_price_ticks = PRICE_TICKS_NONE
    if q.ask_price_ticks == 0:
        q.ask_price_ticks = PRICE_TICKS_NONE
    slot_open(batch.slots, EV_QUOTE, item.instrument, frame.ts_recv_ns, TS_NONE, 0)
    batch.count = 1
    batch.kind = MESSAGE_QUOTE
    batch.instrument = item.instrument
    batch.ts_venue_ns = TS_NONE
    return STATUS_OK


cdef int walk_trade(BinanceDecoder* d, const FrameView* frame, DecodeBatch* batch, bint aggregate) noexcept nogil:
    cdef OdMessage* m = d.message
    cdef const Instrument* item = field_instrument(d.instruments, &m.one[b's'])
    cdef TradeEvent* t = <TradeEvent*>batch.slots
    cdef uint64_t event_time = 0, trade_time = 0, first_id = 0, last_id = 0
    cdef int status, flags = TRADE_AGGREGATE if aggregate else 0
    if not field_uint(&m.one[b'E'], &event_time) or not field_uint(&m.one[b'T'], &trade_time):
        return STATUS_MALFORMED
    if not field_uint(&m.one[b'a' if aggregate else b't'], &t.trade_id):
        return STATUS_MALFORMED
    if aggregate:
        if not field_uint(&m.one[b'f'], &first_id) or not field_uint(&m.one[b'l'], &last_id):
            return STATUS_MALFORMED
        if last_id < first_id or last_id - first_id > 0x7FFFFFFF:
            return STATUS_MALFORMED
    if m.one[b'm'].type == b't':
        flags |= TRADE_SELL_AGGRESSOR
    elif m.one[b'm'].type != b'f':
        return STATUS_MALFORMED
    if item == NULL:
        return STATUS_UNKNOWN_SYMBOL
    status = field_decimal(&m.one[b'p'], &item.price_grid, &t.price_ticks)
    if status == STATUS_OK:
        status = field_decimal(&m.one[b'q'], &item.qty_grid, &t.qty_lots)
    if status != STATUS_OK:
        return status
    batch.ts_venue_ns = venue_time_ns(trade_time)
    if t.price_ticks <= 0 or t.qty_lots <= 0 or batch.ts_venue_ns == TS_NONE or venue_time_ns(event_time) == TS_NONE:
        return STATUS_MALFORMED
    slot_open(batch.slots, EV_TRADE, item.instrument, frame.ts_recv_ns, batch.ts_venue_ns, flags)
    t.trade_count = <uint32_t>(last_id - first_id + 1) if aggregate else 1
    t.reserved = 0
    batch.count = 1
    batch.kind = MESSAGE_TRADE
    batch.instrument = item.instrument
    return STATUS_OK


cdef int walk_levels(BinanceDecoder* d, const FrameView* frame, DecodeBatch* batch, const Instrument* item,
                     uint32_t level_count, int flags, uint64_t first_id, uint64_t last_id) noexcept nogil:
    cdef BookDelta* b
    cdef const char* stop = NULL
    cdef uint32_t i, side, n = 0
    cdef int status
    # Bids first whatever the key order, as the scanner has them.
    for side in range(2):
        for i in range(level_count):
            if d.levels[i].ask != side:
                continue
            b = <BookDelta*>(batch.slots + n)
            n += 1
            status = quoted_decimal(d.levels[i].price, &item.price_grid, &b.price_ticks, &stop)
            if status == STATUS_OK:
                status = quoted_decimal(d.levels[i].qty, &item.qty_grid, &b.qty_lots, &stop)
            if status != STATUS_OK:
                return status
            if b.price_ticks <= 0 or b.qty_lots < 0:
                return STATUS_MALFORMED
            slot_open(<Slot*>b, EV_BOOK_DELTA, item.instrument, frame.ts_recv_ns, batch.ts_venue_ns,
                      flags | (DELTA_ASK if side else 0))
            b.first_update_id = first_id
            b.last_update_id = last_id
    batch.count = level_count
    batch.instrument = item.instrument
    batch_close_delta(batch, frame, first_id, last_id)
    if flags & DELTA_SNAPSHOT:
        batch.slots[0].flags |= DELTA_SNAPSHOT
    return STATUS_OK


cdef int walk_depth_update(BinanceDecoder* d, const FrameView* frame, DecodeBatch* batch, uint32_t levels) noexcept nogil:
    cdef OdMessage* m = d.message
    cdef const Instrument* item = field_instrument(d.instruments, &m.one[b's'])
    cdef uint64_t event_time = 0, first_id = 0, last_id = 0
    if (not field_uint(&m.one[b'E'], &event_time) or not field_uint(&m.one[b'U'], &first_id)
            or not field_uint(&m.one[b'u'], &last_id) or last_id < first_id
            or m.one[b'b'].type != b'[' or m.one[b'a'].type != b'['):
        return STATUS_MALFORMED
    batch.ts_venue_ns = venue_time_ns(event_time)
    if batch.ts_venue_ns == TS_NONE:
        return STATUS_MALFORMED
    if item == NULL:
        return STATUS_UNKNOWN_SYMBOL
    batch.kind = MESSAGE_BOOK_DELTA
    return walk_levels(d, frame, batch, item, levels, 0, first_id, last_id)


cdef int walk_snapshot(BinanceDecoder* d, const FrameView* frame, DecodeBatch* batch, uint32_t levels) noexcept nogil:
    cdef OdMessage* m = d.message
    cdef uint64_t last_id = 0
    if not field_uint(&m.last_update_id, &last_id) or not m.has_bids or not m.has_asks:
        return STATUS_MALFORMED
    if frame.instrument_hint >= <uint32_t>d.instruments.count:
        return STATUS_UNKNOWN_SYMBOL
    batch.kind = MESSAGE_SNAPSHOT
    batch.ts_venue_ns = TS_NONE
    return walk_levels(d, frame, batch, &d.instruments.items[frame.instrument_hint], levels, DELTA_SNAPSHOT, last_id,
                       last_id)


# The six base-32 characters that end a client order id of ours; 0 when the id is not of this run.
cdef uint64_t own_ordinal(BinanceDecoder* d, const OdField* f) noexcept nogil:
    cdef uint64_t v = 0
    cdef int i, c
    if f.type != b's' or f.size != 18 or memcmp(f.text, d.id_prefix, 12) != 0:
        return 0
    for i in range(12, 18):
        c = <unsigned char>f.text[i]
        if 48 <= c <= 57:
            c -= 48
        elif 97 <= c <= 118:
            c -= 87
        else:
            return 0
        v = v * 32 + <uint64_t>c
    return v


cdef int walk_exec_report(BinanceDecoder* d, const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    cdef OdMessage* m = d.message
    cdef const Instrument* item = field_instrument(d.instruments, &m.one[b's'])
    cdef ExecReport* r = <ExecReport*>batch.slots
    cdef uint64_t event_time = 0, trade_time = 0, trade_id = 0
    cdef Grid fee_grid
    cdef int status, kind
    cdef const OdField* x = &m.one[b'x']
    if (not field_uint(&m.one[b'E'], &event_time) or not field_uint(&m.one[b'T'], &trade_time)
            or not field_uint(&m.one[b'i'], &r.venue_order_id)):
        return STATUS_MALFORMED
    if field_is(x, "NEW", 3):
        kind = EXEC_NEW
    elif field_is(x, "TRADE", 5):
        kind = EXEC_TRADE
    elif field_is(x, "CANCELED", 8):
        kind = EXEC_CANCELED
    elif field_is(x, "REJECTED", 8):
        kind = EXEC_REJECTED
    elif field_is(x, "EXPIRED", 7) or field_is(x, "TRADE_PREVENTION", 16):
        kind = EXEC_EXPIRED
    else:
        return STATUS_UNSUPPORTED if x.type == b's' else STATUS_MALFORMED
    if item == NULL:
        return STATUS_UNKNOWN_SYMBOL
    grid_init(&fee_grid, 1, 8)
    status = field_decimal(&m.one[b'l'], &item.qty_grid, &r.last_qty_lots)
    if status == STATUS_OK:
        status = field_decimal(&m.one[b'L'], &item.price_grid, &r.last_price_ticks)
    if status == STATUS_OK:
        status = field_decimal(&m.one[b'z'], &item.qty_grid, &r.cum_qty_lots)
    if status == STATUS_OK:
        status = field_decimal(&m.one[b'n'], &fee_grid, &r.fee_e8)
    if status != STATUS_OK:
        return status
    if r.last_qty_lots < 0 or r.cum_qty_lots < 0 or r.last_price_ticks < 0:
        return STATUS_MALFORMED
    # A cancel's own id stands in "c", the order's in "C"; any other report has the order's in "c" and "" in "C".
    r.order_ordinal = own_ordinal(d, &m.one[b'C']) if m.one[b'C'].size else own_ordinal(d, &m.one[b'c'])
    if field_uint(&m.one[b't'], &trade_id):
        r.trade_id = trade_id
    else:
        r.trade_id = 0                                 # sent as -1 when the report is no trade
        if kind == EXEC_TRADE:
            return STATUS_MALFORMED
    r.side = SIDE_BUY if field_is(&m.one[b'S'], "BUY", 3) else SIDE_SELL
    r.exec_type = <uint8_t>kind
    r.venue_code = 0
    r.local_reason = 0
    batch.ts_venue_ns = venue_time_ns(trade_time)
    if batch.ts_venue_ns == TS_NONE:
        return STATUS_MALFORMED
    slot_open(batch.slots, EV_EXEC_REPORT, item.instrument, frame.ts_recv_ns, batch.ts_venue_ns,
              LIQUIDITY_MAKER if m.one[b'm'].type == b't' else 0)
    slot_open(batch.slots + 1, EV_CONT, item.instrument, frame.ts_recv_ns, batch.ts_venue_ns, 1)
    batch.count = 2
    batch.kind = MESSAGE_EXEC_REPORT
    batch.instrument = item.instrument
    return STATUS_OK


cdef int walk(BinanceDecoder* d, const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    cdef OdMessage* m = d.message
    cdef uint32_t levels = 0
    cdef int status = od_walk(d.parser, frame.data, frame.size, frame.size + FRAME_PADDING, m, d.levels, BATCH_SLOTS - 1,
                              &levels)
    cdef const OdField* e
    if status != STATUS_OK:
        return status
    e = &m.one[b'e']
    if e.type == b's':
        if field_is(e, "trade", 5):
            return walk_trade(d, frame, batch, False)
        if field_is(e, "aggTrade", 8):
            return walk_trade(d, frame, batch, True)
        if field_is(e, "depthUpdate", 11):
            return walk_depth_update(d, frame, batch, levels)
        if field_is(e, "executionReport", 15):
            return walk_exec_report(d, frame, batch)
        if field_is(e, "kline", 5):
            # Counted as a bar; our own bars come from trades, so it is no input of the engine.
            batch.kind = MESSAGE_BAR
            return STATUS_IGNORED
        return STATUS_UNSUPPORTED
    if m.last_update_id.type != 0:
        return walk_snapshot(d, frame, batch, levels)
    if e.type == 0 and m.one[b'u'].type == b'n' and m.one[b'b'].type == b's':
        return walk_quote(d, frame, batch)
    if m.has_result or m.has_id or m.has_status or m.has_error or m.has_code:
        batch.kind = MESSAGE_OTHER                     # a reply to a request: no market data
        return STATUS_IGNORED
    return STATUS_UNSUPPORTED


cdef int binance_decode(BinanceDecoder* d, const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    cdef int status
    batch.count = 0
    batch.kind = MESSAGE_NONE
    batch.instrument = INSTRUMENT_NONE
    batch.last_update_id = 0
    batch.level_count = 0
    batch.ts_venue_ns = TS_NONE
    batch.by_scanner = 0
    if unlikely(frame.size > d.max_frame_bytes):
        return STATUS_TOO_LARGE
    if likely(d.use_scanner):
        batch.by_scanner = 1
        status = scan(d, frame, batch)
        if likely(status == STATUS_OK):
            return status
    batch.by_scanner = 0
    batch.count = 0
    batch.level_count = 0
    batch.last_update_id = 0
    status = walk(d, frame, batch)
    if status != STATUS_OK:
        batch.count = 0
    return status


# ---- Python face -----------------------------------------------------------------------------------------------------

cdef class MessageDecoder:
    """Decode single Binance spot frames from Python: for tools and tests, not for the path.

    Parameters: instruments : list of (venue_symbol, tick_size, lot_size), ids in list order.
                scanner : False leaves everything to simdjson.  max_frame_bytes : larger frames are STATUS_TOO_LARGE.
                id_prefix : 12 characters that open our client order ids.
    """
    cdef InstrumentTable* table
    cdef BinanceDecoder* decoder
    cdef DecodeBatch batch
    cdef object _slots
    cdef bytearray _frame

    def __cinit__(self, instruments, *, scanner=True, max_frame_bytes=4 << 20, id_prefix="tp0000000000"):
        cdef uint8_t[::1] memory
        cdef DecimalGrid tick, lot
        self.table = <InstrumentTable*>calloc(1, sizeof(InstrumentTable))
        for symbol, tick_size, lot_size in instruments:
            tick = DecimalGrid(tick_size)
            lot = DecimalGrid(lot_size)
            data = symbol.encode()
            if instrument_add(self.table, VENUE_BINANCE_SPOT, data, len(data), tick.grid, lot.grid, 0, 65536) < 0:
                raise ValueError(f"instruments: expected at most 64 distinct symbols of 1 to 16 bytes, found {symbol!r}")
        prefix = id_prefix.encode()
        if len(prefix) != 12:
            raise ValueError(f"id_prefix: expected 12 characters, found {id_prefix!r}")
        self.decoder = binance_decoder_new(self.table, prefix, max_frame_bytes, scanner)
        if self.decoder == NULL:
            raise MemoryError()
        self._slots = np.zeros(BATCH_SLOTS, SLOT_DTYPE)
        memory = self._slots.view(np.uint8)
        self.batch.slots = <Slot*>&memory[0]
        self._frame = bytearray(65536)

    def __dealloc__(self):
        binance_decoder_free(self.decoder)
        free(self.table)

    def decode(self, bytes frame, int64_t ts_recv_ns=0, uint32_t instrument_hint=0xFFFFFFFF):
        """(Status, MessageKind, input slots as SLOT_DTYPE, by_scanner, level count, last update id) of one frame."""
        cdef FrameView view
        cdef int status
        cdef Py_ssize_t size = len(frame)
        if len(self._frame) < size + 2 * FRAME_PADDING:
            self._frame = bytearray(2 * size + 2 * FRAME_PADDING)
        self._frame[:size] = frame
        self._frame[size:size + FRAME_PADDING] = b"\0" * FRAME_PADDING
        view.data = self._frame
        view.size = size
        view.ts_recv_ns = ts_recv_ns
        view.instrument_hint = instrument_hint
        with nogil:
            status = binance_decode(self.decoder, &view, &self.batch)
        return (status, self.batch.kind, self._slots[:self.batch.count].copy(), bool(self.batch.by_scanner),
                self.batch.level_count, self.batch.last_update_id)
