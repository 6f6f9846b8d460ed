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

Each may come bare or inside {"stream":…,"data":…}. The Python face of every decoder is in decoders.pyx.
"""
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy, memset

from tickpath.decimal cimport (
    Grid, ctz64, decimal_to_units_slow, e8_to_units, fixed8_pair, grid_init, load_u64, quote_mask, quoted_decimal,
)
from tickpath.market.instruments cimport Instrument, instrument_find
from tickpath.types cimport (
    DELTA_ASK, DELTA_SNAPSHOT, EV_BOOK_DELTA, EV_CONT, EV_EXEC_REPORT,
    EV_QUOTE, EV_TRADE, EXEC_CANCELED, EXEC_EXPIRED, EXEC_NEW, EXEC_REJECTED, EXEC_TRADE,
    LIQUIDITY_MAKER, PRICE_TICKS_NONE, SIDE_BUY, SIDE_SELL, STATUS_IGNORED, STATUS_MALFORMED, STATUS_OK,
    STATUS_TOO_LARGE, STATUS_UNKNOWN_SYMBOL, STATUS_UNSUPPORTED, TRADE_AGGREGATE,
    TRADE_SELL_AGGRESSOR, TS_NONE, BookDelta, ExecReport, QuoteEvent, Slot, TradeEvent,
    likely, unlikely,
)
from tickpath.venues.batch cimport (
    BATCH_SLOTS, FRAME_PADDING, MESSAGE_BAR, MESSAGE_BOOK_DELTA, MESSAGE_EXEC_REPORT, MESSAGE_OTHER,
    MESSAGE_QUOTE, MESSAGE_SNAPSHOT, MESSAGE_TRADE, batch_clear, batch_close_book, slot_open,
)
from tickpath.venues.scan cimport (
    AT, LEN, name_end, scan_bool, scan_decimal_general, scan_decimal_or, scan_int, scan_symbol, scan_uint, skip_name,
    venue_time_ns,
)

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

cdef enum: BASE32_BAD = 128
# One level less than the batch holds, as the general way counts them.
cdef enum: LEVELS_MAX = BATCH_SLOTS - 1
# Less than any message the scanner knows; what is shorter has no byte to look at in front of its end.
cdef enum: FRAME_BYTES_MIN = 16

# An execution type's text, found by the low five bits of its first letter; an unused row wants eight zero bytes.
cdef struct ExecName:
    uint64_t word                 # the text, zero-padded
    uint64_t mask                 # its bytes
    uint32_t size
    uint32_t kind                 # ExecType

cdef struct BinanceDecoder:
    OdParser* parser
    OdMessage* message
    OdLevel* levels
    const InstrumentTable* instruments
    int64_t max_frame_bytes
    int32_t use_scanner
    uint8_t venue                 # VenueId
    uint8_t venue_slot
    char[16] id_prefix            # the 12 characters that open every client order id of this run
    Grid fee_grid                 # 1e-8
    ExecName[32] exec_names
    uint8_t[256] base32           # value of each character of a client order id; BASE32_BAD of any other


cdef void exec_name_add(BinanceDecoder* d, const char* text, int size, int kind) noexcept nogil:
    cdef ExecName* name = &d.exec_names[text[0] & 31]
    name.mask = 0
    memcpy(&name.word, text, size)
    memset(&name.mask, 255, size)
    name.size = size
    name.kind = kind


cdef BinanceDecoder* binance_decoder_new(uint8_t venue, uint8_t venue_slot, const InstrumentTable* instruments,
                                         const char* id_prefix, int64_t max_frame_bytes, bint use_scanner) noexcept nogil:
    cdef BinanceDecoder* d = <BinanceDecoder*>calloc(1, sizeof(BinanceDecoder))
    cdef int i
    if d == NULL:
        return NULL
    d.venue = venue
    d.venue_slot = venue_slot
    d.instruments = instruments
    d.max_frame_bytes = max_frame_bytes
    d.use_scanner = use_scanner
    memcpy(d.id_prefix, id_prefix, 12)
    grid_init(&d.fee_grid, 1, 8)
    for i in range(32):
        d.exec_names[i].mask = ~<uint64_t>0
    exec_name_add(d, "NEW", 3, EXEC_NEW)
    exec_name_add(d, "TRADE", 5, EXEC_TRADE)
    exec_name_add(d, "CANCELED", 8, EXEC_CANCELED)
    exec_name_add(d, "REJECTED", 8, EXEC_REJECTED)
    exec_name_add(d, "EXPIRED", 7, EXEC_EXPIRED)
    memset(d.base32, BASE32_BAD, 256)
    for i in range(32):
        d.base32[48 + i if i < 10 else 87 + i] = <uint8_t>i
    d.message = <OdMessage*>calloc(1, sizeof(OdMessage))
    d.levels = <OdLevel*>calloc(BATCH_SLOTS, sizeof(OdLevel))
    d.parser = od_new(max_frame_bytes)
    if d.message == NULL or d.levels == NULL or d.parser == NULL:
        binance_decoder_free(d)
        return NULL
    return d


cdef void binance_decoder_free(void* self) noexcept nogil:
    cdef BinanceDecoder* d = <BinanceDecoder*>self
    if d != NULL:
        if d.parser != NULL:
            od_free(d.parser)
        free(d.message)
        free(d.levels)
        free(d)


# The six base-32 characters that end a client order id of ours; 0 when the id is not of this run.
cdef inline uint64_t own_ordinal(const BinanceDecoder* d, const char* text, long size) noexcept nogil:
    cdef uint64_t v = 0
    cdef uint32_t bad = 0, c
    cdef int i
    if size != 18 or memcmp(text, d.id_prefix, 12) != 0:
        return 0
    for i in range(12, 18):
        c = d.base32[<unsigned char>text[i]]
        bad |= c
        v = v << 5 | c
    return 0 if unlikely(bad & BASE32_BAD) else v


# ---- the scanner: exact text, exact key order; 0 on any surprise, and then simdjson decides ---------------------------
#
# No step looks at the frame's end. Every frame it takes ends in '}' (checked first), and nothing but the closing braces
# can hold a '}': literals, numbers and decimals have none, and a name's closing quote must stand before the end. So each
# step starts in front of that last byte, reads at most FRAME_PADDING bytes beyond it, and a message that continues in
# the bytes behind the frame is refused, not read on.

cdef extern from *:
    """
    /* One bit for each letter: its low six bits are 1..26 for 'A'..'Z' and 33..58 for 'a'..'z'. */
    #define TP_KEY(c) (1ULL << ((c) & 63))
    #define TP_KEYS(a, b, c, d, e, f, g, h) \
        (TP_KEY(a) | TP_KEY(b) | TP_KEY(c) | TP_KEY(d) | TP_KEY(e) | TP_KEY(f) | TP_KEY(g) | TP_KEY(h))
    #define TP_REPORT_KEYS (TP_KEYS('e', 'E', 's', 'c', 'S', 'o', 'f', 'q') | TP_KEYS('p', 'P', 'F', 'g', 'C', 'x', 'X', 'r') \
                            | TP_KEYS('i', 'l', 'z', 'L', 'n', 'N', 'T', 't') | TP_KEYS('I', 'w', 'm', 'M', 'I', 'w', 'm', 'M'))
    #define TP_REPORT_TAIL_KEYS (TP_KEYS('O', 'Z', 'Y', 'Q', 'O', 'Z', 'Y', 'Q'))

    TP_INLINE bool tp_scan_side(const char **p, int *is_buy) {
      int buy = **p == 'B';
      TP_NO_BRANCH(buy);
      unsigned text = tp_load_u32(*p);                    /* 'BUY"' or 'SELL' */
      *is_buy = buy;
      *p += 4 - buy;
      return text == 0x4C4C4553u - (-(unsigned)buy & (0x4C4C4553u - 0x22595542u));
    }
    """
    uint64_t KEY "TP_KEY"(int letter) noexcept nogil
    const uint64_t REPORT_KEYS "TP_REPORT_KEYS"
    const uint64_t REPORT_TAIL_KEYS "TP_REPORT_TAIL_KEYS"
    bint scan_side "tp_scan_side"(const char** p, int* is_buy) noexcept nogil


# The message's own closing brace and its envelope's, and then the end.
cdef inline bint closes(const char* p, const char* end, long close_bytes) noexcept nogil:
    return p[0] == 125 and end - p == close_bytes


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
    batch.count = 1
    batch.kind = MESSAGE_QUOTE
    batch.instrument = item.instrument
    batch.last_update_id = update_id
    return STATUS_OK


cdef inline int scan_trade(BinanceDecoder* d, const char* p, const char* end, long close_bytes,
                           const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    # p stands behind {"e":"trade","E":
    cdef uint64_t event_time = 0, trade_id = 0, trade_time = 0
    cdef const Instrument* item
    cdef TradeEvent* t = <TradeEvent*>batch.slots
    cdef int sell_aggressor = 0, unused = 0
    if not scan_uint(&p, &event_time) or not AT(p, ",\"s\":\""):
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
    if not scan_uint(&p, &trade_time) or not AT(p, ",\"m\":"):
        return 0
    p += LEN(",\"m\":")
    if not scan_bool(&p, &sell_aggressor) or not AT(p, ",\"M\":"):
        return 0
    p += LEN(",\"M\":")
    if not scan_bool(&p, &unused) or not closes(p, end, close_bytes):
        return 0
    batch.ts_venue_ns = venue_time_ns(trade_time)
    if t.price_ticks <= 0 or t.qty_lots <= 0 or batch.ts_venue_ns == TS_NONE or venue_time_ns(event_time) == TS_NONE:
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


cdef inline int scan_agg_trade(BinanceDecoder* d, const char* p, const char* end, long close_bytes,
                               const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    # p stands behind {"e":"aggTrade","E":
    cdef uint64_t event_time = 0, trade_id = 0, first_id = 0, last_id = 0, trade_time = 0
    cdef const Instrument* item
    cdef TradeEvent* t = <TradeEvent*>batch.slots
    cdef int sell_aggressor = 0, unused = 0
    if not scan_uint(&p, &event_time) or not AT(p, ",\"s\":\""):
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
    if not scan_uint(&p, &trade_time) or not AT(p, ",\"m\":"):
        return 0
    p += LEN(",\"m\":")
    if not scan_bool(&p, &sell_aggressor) or not AT(p, ",\"M\":"):
        return 0
    p += LEN(",\"M\":")
    if not scan_bool(&p, &unused) or not closes(p, end, close_bytes):
        return 0
    batch.ts_venue_ns = venue_time_ns(trade_time)
    if (t.price_ticks <= 0 or t.qty_lots <= 0 or last_id < first_id or last_id - first_id > 0x7FFFFFFF
            or batch.ts_venue_ns == TS_NONE or venue_time_ns(event_time) == TS_NONE):
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


# A row of other decimals than eight, or longer than 32 bytes. p stands behind ["; the answer at the last closing quote.
cdef const char* scan_level_general(const char* p, const Instrument* item, BookDelta* b) noexcept nogil:
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
    cdef uint64_t event_time = 0, first_id = 0, last_id = 0
    cdef const Instrument* item
    if not scan_uint(&p, &event_time) or not AT(p, ",\"s\":\""):
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
    batch.ts_venue_ns = venue_time_ns(event_time)
    if batch.ts_venue_ns == TS_NONE or last_id < first_id:
        return 0
    p = scan_levels(d, p, item, 0, frame.ts_recv_ns, batch.ts_venue_ns, first_id, last_id, batch)
    if p == NULL or not AT(p, ",\"a\":"):
        return 0
    p += LEN(",\"a\":")
    p = scan_levels(d, p, item, DELTA_ASK, frame.ts_recv_ns, batch.ts_venue_ns, first_id, last_id, batch)
    if p == NULL or not closes(p, end, close_bytes):
        return 0
    batch.kind = MESSAGE_BOOK_DELTA
    batch.instrument = item.instrument
    batch_close_book(batch, 0, d.venue, item.instrument, frame.ts_recv_ns, batch.ts_venue_ns, 0, first_id, last_id)
    return STATUS_OK


# Further fields of a report, each one letter and a plain value, none of them seen before: the message's tail differs from
# account to account. p stands at ',' or '}'; NULL on a longer key, a key a second time, or a value with an inside.
cdef const char* scan_report_tail(const char* p, const char* end, uint64_t seen) noexcept nogil:
    cdef uint64_t value = 0
    cdef int negative = 0
    cdef int unused = 0
    cdef int key
    while p[0] == 44:
        key = <unsigned char>p[2]
        if p[1] != 34 or p[3] != 34 or p[4] != 58 or not (65 <= key <= 90 or 97 <= key <= 122):
            return NULL
        if seen & KEY(key):
            return NULL
        seen |= KEY(key)
        p += 5
        if p[0] == 34:
            p = name_end(p + 1, end)
            if p == NULL:
                return NULL
            p += 1
        elif AT(p, "null"):
            p += 4
        elif p[0] == 116 or p[0] == 102:
            if not scan_bool(&p, &unused):
                return NULL
        elif not scan_int(&p, &value, &negative):
            return NULL
    return p


cdef inline int scan_exec_report(BinanceDecoder* d, const char* p, const char* end, long close_bytes,
                                 const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    # p stands behind {"e":"executionReport","E":
    cdef ExecReport* r = <ExecReport*>batch.slots
    cdef const Instrument* item
    cdef const ExecName* name
    cdef const char* own
    cdef const char* original
    cdef long own_bytes, original_bytes
    cdef uint64_t event_time = 0, trade_time = 0, trade_id = 0, value = 0
    cdef uint64_t seen = REPORT_KEYS
    cdef int negative = 0
    cdef int is_buy = 0, is_maker = 0, unused = 0
    if not scan_uint(&p, &event_time) or not AT(p, ",\"s\":\""):
        return 0
    p += LEN(",\"s\":\"")
    item = scan_symbol(d.instruments, d.venue_slot, &p, end)
    if item == NULL or not AT(p, "\",\"c\":\""):
        return 0
    p += LEN("\",\"c\":\"")
    own = p
    if not skip_name(&p, end) or not AT(p, "\",\"S\":\""):
        return 0
    own_bytes = p - own
    p += LEN("\",\"S\":\"")
    if not scan_side(&p, &is_buy) or not AT(p, "\",\"o\":\""):
        return 0
    p += LEN("\",\"o\":\"")
    # Whole runs of text that most reports share are compared at once: a step over a constant waits for no byte of it.
    if likely(AT(p, "LIMIT\",\"f\":\"GTC\",\"q\":\"")):
        p += LEN("LIMIT\",\"f\":\"GTC\",\"q\":\"")
    else:
        if not skip_name(&p, end) or not AT(p, "\",\"f\":\""):
            return 0
        p += LEN("\",\"f\":\"")
        if not skip_name(&p, end) or not AT(p, "\",\"q\":\""):
            return 0
        p += LEN("\",\"q\":\"")
    if not skip_name(&p, end) or not AT(p, "\",\"p\":\""):
        return 0
    p += LEN("\",\"p\":\"")
    if not skip_name(&p, end) or not AT(p, "\",\"P\":\""):
        return 0
    p += LEN("\",\"P\":\"")
    if likely(AT(p, "0.00000000\",\"F\":\"0.00000000\",\"g\":-1,\"C\":\"")):
        p += LEN("0.00000000\",\"F\":\"0.00000000\",\"g\":-1,\"C\":\"")
    else:
        if not skip_name(&p, end) or not AT(p, "\",\"F\":\""):
            return 0
        p += LEN("\",\"F\":\"")
        if not skip_name(&p, end) or not AT(p, "\",\"g\":"):
            return 0
        p += LEN("\",\"g\":")
        if not scan_int(&p, &value, &negative) or not AT(p, ",\"C\":\""):
            return 0
        p += LEN(",\"C\":\"")
    original = p
    if p[0] != 34 and not skip_name(&p, end):
        return 0
    original_bytes = p - original
    if not AT(p, "\",\"x\":\""):
        return 0
    p += LEN("\",\"x\":\"")
    name = &d.exec_names[p[0] & 31]
    if (load_u64(p) & name.mask) != name.word:
        return 0
    p += name.size
    if not AT(p, "\",\"X\":\""):
        return 0
    p += LEN("\",\"X\":\"")
    if not skip_name(&p, end) or not AT(p, "\",\"r\":\""):
        return 0
    p += LEN("\",\"r\":\"")
    if likely(AT(p, "NONE\",\"i\":")):
        p += LEN("NONE\",\"i\":")
    else:
        if not skip_name(&p, end) or not AT(p, "\",\"i\":"):
            return 0
        p += LEN("\",\"i\":")
    if not scan_uint(&p, &r.venue_order_id) or not AT(p, ",\"l\":\""):
        return 0
    p += LEN(",\"l\":\"")
    if not scan_decimal_or(&p, &item.qty_grid, &r.last_qty_lots, scan_decimal_general) or not AT(p, "\",\"z\":\""):
        return 0
    p += LEN("\",\"z\":\"")
    if not scan_decimal_or(&p, &item.qty_grid, &r.cum_qty_lots, scan_decimal_general) or not AT(p, "\",\"L\":\""):
        return 0
    p += LEN("\",\"L\":\"")
    if not scan_decimal_or(&p, &item.price_grid, &r.last_price_ticks, scan_decimal_general) or not AT(p, "\",\"n\":\""):
        return 0
    p += LEN("\",\"n\":\"")
    if AT(p, "0\",\"N\":null,\"T\":"):
        r.fee_e8 = 0
        p += LEN("0\",\"N\":null,\"T\":")
    else:
        if not scan_decimal_or(&p, &d.fee_grid, &r.fee_e8, scan_decimal_general) or not AT(p, "\",\"N\":"):
            return 0
        p += LEN("\",\"N\":")
        if p[0] == 34:
            p += 1
            if not skip_name(&p, end) or not AT(p, "\",\"T\":"):
                return 0
            p += LEN("\",\"T\":")
        elif AT(p, "null,\"T\":"):
            p += LEN("null,\"T\":")
        else:
            return 0
    if not scan_uint(&p, &trade_time) or not AT(p, ",\"t\":"):
        return 0
    p += LEN(",\"t\":")
    if not scan_int(&p, &trade_id, &negative):
        return 0
    if AT(p, ",\"v\":"):
        p += LEN(",\"v\":")
        seen |= KEY(c'v')
        if not scan_uint(&p, &value):
            return 0
    if not AT(p, ",\"I\":"):
        return 0
    p += LEN(",\"I\":")
    if not scan_uint(&p, &value) or not AT(p, ",\"w\":"):
        return 0
    p += LEN(",\"w\":")
    if not scan_bool(&p, &unused) or not AT(p, ",\"m\":"):
        return 0
    p += LEN(",\"m\":")
    if not scan_bool(&p, &is_maker) or not AT(p, ",\"M\":"):
        return 0
    p += LEN(",\"M\":")
    if not scan_bool(&p, &unused):
        return 0
    # The documented tail; whatever is missing or added is left to the loop over single fields.
    if likely(AT(p, ",\"O\":")):
        p += LEN(",\"O\":")
        if not scan_uint(&p, &value) or not AT(p, ",\"Z\":\""):
            return 0
        p += LEN(",\"Z\":\"")
        if not skip_name(&p, end) or not AT(p, "\",\"Y\":\""):
            return 0
        p += LEN("\",\"Y\":\"")
        if not skip_name(&p, end) or not AT(p, "\",\"Q\":\""):
            return 0
        p += LEN("\",\"Q\":\"")
        if not skip_name(&p, end):
            return 0
        p += 1
        seen |= REPORT_TAIL_KEYS
        if likely(AT(p, ",\"W\":")):
            p += LEN(",\"W\":")
            if not scan_uint(&p, &value):
                return 0
            seen |= KEY(c'W')
            if likely(AT(p, ",\"V\":\"")):
                p += LEN(",\"V\":\"")
                if not skip_name(&p, end):
                    return 0
                p += 1
                seen |= KEY(c'V')
    if p[0] == 44:
        p = scan_report_tail(p, end, seen)
        if p == NULL:
            return 0
    if not closes(p, end, close_bytes):
        return 0
    batch.ts_venue_ns = venue_time_ns(trade_time)
    if (r.last_qty_lots < 0 or r.cum_qty_lots < 0 or r.last_price_ticks < 0 or batch.ts_venue_ns == TS_NONE
            or negative & (name.kind == EXEC_TRADE)):
        return 0
    # A cancel's own id stands in "c", the order's in "C"; any other report has the order's in "c" and "" in "C".
    if original_bytes != 0:
        own = original
        own_bytes = original_bytes
    r.order_ordinal = own_ordinal(d, own, own_bytes)
    r.trade_id = trade_id & (<uint64_t>negative - 1)   # sent as -1 when the report is no trade, and then 0 here
    r.side = SIDE_BUY if is_buy else SIDE_SELL
    r.exec_type = <uint8_t>name.kind
    report_close(d, item, frame, batch, LIQUIDITY_MAKER * is_maker)
    return STATUS_OK


cdef inline void report_close(BinanceDecoder* d, const Instrument* item, const FrameView* frame, DecodeBatch* batch,
                              int flags) noexcept nogil:
    cdef ExecReport* r = <ExecReport*>batch.slots
    r.venue_code = 0
    r.local_reason = 0
    slot_open(batch.slots, EV_EXEC_REPORT, d.venue, item.instrument, frame.ts_recv_ns, batch.ts_venue_ns, flags)
    slot_open(batch.slots + 1, EV_CONT, d.venue, item.instrument, frame.ts_recv_ns, batch.ts_venue_ns, 1)
    batch.count = 2
    batch.kind = MESSAGE_EXEC_REPORT
    batch.instrument = item.instrument


cdef inline int scan(BinanceDecoder* d, const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    cdef const char* p = frame.data
    cdef const char* end = frame.data + frame.size
    cdef long close_bytes = 1
    cdef uint64_t subscription = 0
    if unlikely(frame.size < FRAME_BYTES_MIN or (end - 1)[0] != 125):
        return 0
    if AT(p, "{\"stream\":\""):
        p = name_end(p + LEN("{\"stream\":\""), end)
        if p == NULL or not AT(p, "\",\"data\":{\""):
            return 0
        p += LEN("\",\"data\":{\"")
        close_bytes = 2
    elif AT(p, "{\"subscriptionId\":"):
        p += LEN("{\"subscriptionId\":")
        if not scan_uint(&p, &subscription) or not AT(p, ",\"event\":{\""):
            return 0
        p += LEN(",\"event\":{\"")
        close_bytes = 2
    elif AT(p, "{\"event\":{\""):
        p += LEN("{\"event\":{\"")
        close_bytes = 2
    elif AT(p, "{\""):
        p += 2
    else:
        return 0
    if AT(p, "u\":"):
        return scan_book_ticker(d, p + LEN("u\":"), end, close_bytes, frame, batch)
    if AT(p, "e\":\"trade\",\"E\":"):
        return scan_trade(d, p + LEN("e\":\"trade\",\"E\":"), end, close_bytes, frame, batch)
    if AT(p, "e\":\"depthUpdate\",\"E\":"):
        return scan_depth_update(d, p + LEN("e\":\"depthUpdate\",\"E\":"), end, close_bytes, frame, batch)
    if AT(p, "e\":\"aggTrade\",\"E\":"):
        return scan_agg_trade(d, p + LEN("e\":\"aggTrade\",\"E\":"), end, close_bytes, frame, batch)
    if AT(p, "e\":\"executionReport\",\"E\":"):
        return scan_exec_report(d, p + LEN("e\":\"executionReport\",\"E\":"), end, close_bytes, frame, batch)
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


cdef inline const Instrument* field_instrument(const BinanceDecoder* d, const OdField* f) noexcept nogil:
    cdef char[32] padded
    if f.type != b's' or f.size == 0 or f.size > 24:
        return NULL
    memset(padded, 0, 32)
    memcpy(padded, f.text, f.size)
    return instrument_find(d.instruments, d.venue_slot, padded, f.size)


cdef int walk_quote(BinanceDecoder* d, const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    cdef OdMessage* m = d.message
    cdef const Instrument* item = field_instrument(d, &m.one[b's'])
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
    slot_open(batch.slots, EV_QUOTE, d.venue, item.instrument, frame.ts_recv_ns, TS_NONE, 0)
    batch.count = 1
    batch.kind = MESSAGE_QUOTE
    batch.instrument = item.instrument
    batch.ts_venue_ns = TS_NONE
    return STATUS_OK


cdef int walk_trade(BinanceDecoder* d, const FrameView* frame, DecodeBatch* batch, bint aggregate) noexcept nogil:
    cdef OdMessage* m = d.message
    cdef const Instrument* item = field_instrument(d, &m.one[b's'])
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
    slot_open(batch.slots, EV_TRADE, d.venue, item.instrument, frame.ts_recv_ns, batch.ts_venue_ns, flags)
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
            slot_open(<Slot*>b, EV_BOOK_DELTA, d.venue, item.instrument, frame.ts_recv_ns, batch.ts_venue_ns,
                      flags | (DELTA_ASK if side else 0))
            b.first_update_id = first_id
            b.last_update_id = last_id
    batch.count = level_count
    batch.instrument = item.instrument
    batch_close_book(batch, 0, d.venue, item.instrument, frame.ts_recv_ns, batch.ts_venue_ns, flags, first_id, last_id)
    return STATUS_OK


cdef int walk_depth_update(BinanceDecoder* d, const FrameView* frame, DecodeBatch* batch, uint32_t levels) noexcept nogil:
    cdef OdMessage* m = d.message
    cdef const Instrument* item = field_instrument(d, &m.one[b's'])
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


cdef int walk_exec_report(BinanceDecoder* d, const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    cdef OdMessage* m = d.message
    cdef const Instrument* item = field_instrument(d, &m.one[b's'])
    cdef ExecReport* r = <ExecReport*>batch.slots
    cdef uint64_t event_time = 0, trade_time = 0, trade_id = 0
    cdef int status, kind
    cdef const OdField* x = &m.one[b'x']
    cdef const OdField* own
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
    status = field_decimal(&m.one[b'l'], &item.qty_grid, &r.last_qty_lots)
    if status == STATUS_OK:
        status = field_decimal(&m.one[b'L'], &item.price_grid, &r.last_price_ticks)
    if status == STATUS_OK:
        status = field_decimal(&m.one[b'z'], &item.qty_grid, &r.cum_qty_lots)
    if status == STATUS_OK:
        status = field_decimal(&m.one[b'n'], &d.fee_grid, &r.fee_e8)
    if status != STATUS_OK:
        return status
    if r.last_qty_lots < 0 or r.cum_qty_lots < 0 or r.last_price_ticks < 0:
        return STATUS_MALFORMED
    # A cancel's own id stands in "c", the order's in "C"; any other report has the order's in "c" and "" in "C".
    own = &m.one[b'C'] if m.one[b'C'].size else &m.one[b'c']
    r.order_ordinal = own_ordinal(d, own.text, own.size) if own.type == b's' else 0
    if field_uint(&m.one[b't'], &trade_id):
        r.trade_id = trade_id
    else:
        r.trade_id = 0                                 # sent as -1 when the report is no trade
        if kind == EXEC_TRADE:
            return STATUS_MALFORMED
    r.side = SIDE_BUY if field_is(&m.one[b'S'], "BUY", 3) else SIDE_SELL
    r.exec_type = <uint8_t>kind
    batch.ts_venue_ns = venue_time_ns(trade_time)
    if batch.ts_venue_ns == TS_NONE:
        return STATUS_MALFORMED
    report_close(d, item, frame, batch, LIQUIDITY_MAKER if m.one[b'm'].type == b't' else 0)
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


cdef int binance_decode(void* self, const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    cdef BinanceDecoder* d = <BinanceDecoder*>self
    cdef int status
    batch_clear(batch)
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
