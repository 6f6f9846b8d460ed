"""Every Binance message through the tape of its values; the messages themselves stand in binance_decode.pyx."""
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

from tickpath.decimal cimport quoted_decimal
from tickpath.market.instruments cimport SYMBOL_BYTES_MAX, Instrument, instrument_find
from tickpath.types cimport (
    CANDLE_CLOSED, DELTA_ASK, DELTA_SNAPSHOT, EV_BOOK_DELTA, EV_CANDLE, EV_CONT, EV_EXEC_REPORT, EV_INSTRUMENT_STATUS,
    EV_LIQUIDATION, EV_QUOTE, EV_REFERENCE, EV_TRADE, EXEC_CANCELED, EXEC_CANCEL_REJECTED, EXEC_EXPIRED, EXEC_NEW,
    EXEC_REJECTED, EXEC_TRADE, INSTRUMENT_NONE, LIQUIDITY_MAKER, PRICE_TICKS_NONE, REFERENCE_FUNDING_RATE,
    REFERENCE_INDEX_PRICE, REFERENCE_MARK_PRICE, REFERENCE_OPEN_INTEREST, REFERENCE_SETTLE_PRICE, SIDE_BUY, SIDE_SELL,
    STATUS_IGNORED, STATUS_MALFORMED, STATUS_OK, STATUS_OVERFLOW, STATUS_TOO_LARGE, STATUS_UNKNOWN_SYMBOL, STATUS_UNSUPPORTED,
    TRADE_AGGREGATE, TRADE_SELL_AGGRESSOR, TS_NONE, VENUE_STATUS_AUCTION, VENUE_STATUS_CANCEL_ONLY, VENUE_STATUS_DELISTED,
    VENUE_STATUS_HALTED, VENUE_STATUS_TRADING, VENUE_STATUS_UNKNOWN, BookDelta, CandleEvent, ExecReport,
    InstrumentStatusEvent, LiquidationEvent, QuoteEvent, ReferenceEvent, Slot, TradeEvent,
)
from tickpath.venues.batch cimport (
    BATCH_SLOTS, FRAME_PADDING, MESSAGE_BAR, MESSAGE_BOOK_DELTA, MESSAGE_EXEC_REPORT, MESSAGE_OTHER, MESSAGE_QUOTE,
    MESSAGE_SNAPSHOT, MESSAGE_TRADE, batch_close_book, slot_open,
)
from tickpath.venues.binance_state cimport LEVELS_MAX, binance_time_ns, own_ordinal, report_close
from tickpath.venues.json_tape cimport (
    JSON_ABSENT, JSON_DUPLICATE, JsonNode, json_bool, json_decimal, json_get, json_instrument, json_is_member, json_is_text,
    json_is_type, json_tape_parse, json_uint,
)

# What the depthUpdate messages of a futures stream are; its name tells.
cdef enum: STREAM_DIFF = 0
cdef enum: STREAM_PARTIAL = 1         # the best levels of a book, whole each time
cdef enum: STREAM_OTHER_BOOK = 2      # with retail price improvement orders: its levels must not be mixed with ours

# The members of an object whose keys are one letter, as nodes of the tape by the letter.
cdef struct Letters:
    uint32_t[128] one

# One message on the tape.
cdef struct Message:
    const JsonNode* nodes
    uint32_t at                       # its object
    uint32_t stream                   # the name of its stream, or JSON_ABSENT
    Letters key


# False when a key stands there twice, since which one counts would be a guess.
cdef bint letters_of(const JsonNode* nodes, uint32_t at, Letters* key) noexcept nogil:
    cdef uint32_t i = at + 1
    cdef unsigned char c
    memset(key, 0, sizeof(Letters))
    while i < nodes[at].next:
        if nodes[i].key_size == 1:
            c = <unsigned char>nodes[i].key[0]
            if c < 128:
                if key.one[c] != JSON_ABSENT:
                    return False
                key.one[c] = i
        i = nodes[i].next
    return True


cdef inline bint is_text(const Message* m, uint32_t node, const char* text, uint32_t size) noexcept nogil:
    return json_is_text(m.nodes, node, text, size)


# A time in ms or us as ns, or TS_NONE.
cdef inline int64_t time_of(const Message* m, uint32_t node) noexcept nogil:
    cdef uint64_t value = 0
    return binance_time_ns(value) if json_uint(m.nodes, node, False, &value) else TS_NONE


# STATUS_OK with the instrument that a node names.
cdef int symbol_of(const BinanceDecoder* d, const Message* m, uint32_t node, const Instrument** item) noexcept nogil:
    if not json_is_type(m.nodes, node, b's'):
        return STATUS_MALFORMED
    item[0] = json_instrument(m.nodes, node, d.instruments, d.venue_slot)
    return STATUS_UNKNOWN_SYMBOL if item[0] == NULL else STATUS_OK


# A price and a quantity as strings.
cdef int price_and_qty(const Message* m, const Instrument* item, uint32_t price, uint32_t qty, int64_t* price_ticks,
                       int64_t* qty_lots) noexcept nogil:
    cdef int status
    if not json_is_type(m.nodes, price, b's') or not json_is_type(m.nodes, qty, b's'):
        return STATUS_MALFORMED
    status = json_decimal(m.nodes, price, &item.price_grid, price_ticks)
    return status if status != STATUS_OK else json_decimal(m.nodes, qty, &item.qty_grid, qty_lots)


# ---- of a stream's name, "btcusdt@depth5@100ms"

# The instrument of its first part; NULL: none of ours, or no such name.
cdef const Instrument* stream_instrument(const BinanceDecoder* d, const Message* m) noexcept nogil:
    cdef char[32] symbol
    cdef const JsonNode* name = &m.nodes[m.stream]
    cdef uint32_t n = 0
    cdef char c
    memset(symbol, 0, 32)
    while n < name.size and name.text[n] != 64:
        if n == SYMBOL_BYTES_MAX:
            return NULL
        c = name.text[n]
        symbol[n] = c - 32 if 97 <= c <= 122 else c
        n += 1
    if n == name.size:
        return NULL
    return instrument_find(d.instruments, d.venue_slot, symbol, n)


cdef int stream_kind(const Message* m, const Instrument* item) noexcept nogil:
    cdef const JsonNode* name = &m.nodes[m.stream]
    cdef uint32_t n = item.symbol_bytes
    if m.stream == JSON_ABSENT or name.type != b's':
        return STREAM_DIFF
    if n >= name.size or name.text[n] != 64:
        n = 0
        while n < name.size and name.text[n] != 64:
            n += 1
    n += 1
    if n + 6 <= name.size and memcmp(name.text + n, "depth", 5) == 0 and 48 <= name.text[n + 5] <= 57:
        return STREAM_PARTIAL
    if n + 8 <= name.size and memcmp(name.text + n, "rpiDepth", 8) == 0:
        return STREAM_OTHER_BOOK
    return STREAM_DIFF


# ---- trades and quotes

cdef int walk_quote(BinanceDecoder* d, const Message* m, const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    cdef const Instrument* item = NULL
    cdef QuoteEvent* q = <QuoteEvent*>batch.slots
    cdef int status
    if not json_uint(m.nodes, m.key.one[b'u'], False, &batch.last_update_id):
        return STATUS_MALFORMED
    # The spot market's has no time.
    if m.key.one[b'T'] != JSON_ABSENT:
        batch.ts_venue_ns = time_of(m, m.key.one[b'T'])
        if batch.ts_venue_ns == TS_NONE:
            return STATUS_MALFORMED
    status = symbol_of(d, m, m.key.one[b's'], &item)
    if status == STATUS_OK:
        status = price_and_qty(m, item, m.key.one[b'b'], m.key.one[b'B'], &q.bid_price_ticks, &q.bid_qty_lots)
    if status == STATUS_OK:
        status = price_and_qty(m, item, m.key.one[b'a'], m.key.one[b'A'], &q.ask_price_ticks, &q.ask_qty_lots)
    if status != STATUS_OK:
        return status
    if q.bid_price_ticks < 0 or q.ask_price_ticks < 0 or q.bid_qty_lots < 0 or q.ask_qty_lots < 0:
        return STATUS_MALFORMED
    # An empty side is sent as price 0, quantity 0.
    if q.bid_price_ticks == 0:
        q.bid_price_ticks = PRICE_TICKS_NONE
    if q.ask_price_ticks == 0:
        q.ask_price_ticks = PRICE_TICKS_NONE
    slot_open(batch.slots, EV_QUOTE, d.venue, item.instrument, frame.ts_recv_ns, batch.ts_venue_ns, 0)
    batch.count = 1
    batch.kind = MESSAGE_QUOTE
    batch.instrument = item.instrument
    return STATUS_OK


cdef int walk_trade(BinanceDecoder* d, const Message* m, const FrameView* frame, DecodeBatch* batch,
                    bint aggregate) noexcept nogil:
    cdef const Instrument* item = NULL
    cdef TradeEvent* t = <TradeEvent*>batch.slots
    cdef uint64_t first_id = 0, last_id = 0
    cdef int status, flags = TRADE_AGGREGATE if aggregate else 0
    cdef bint sell_aggressor = False
    cdef uint32_t cause = m.key.one[b'X'] if d.futures else JSON_ABSENT
    batch.ts_venue_ns = time_of(m, m.key.one[b'T'])
    if batch.ts_venue_ns == TS_NONE or time_of(m, m.key.one[b'E']) == TS_NONE:
        return STATUS_MALFORMED
    if not json_uint(m.nodes, m.key.one[b'a'] if aggregate else m.key.one[b't'], False, &t.trade_id):
        return STATUS_MALFORMED
    if aggregate:
        if (not json_uint(m.nodes, m.key.one[b'f'], False, &first_id) or not json_uint(m.nodes, m.key.one[b'l'], False, &last_id)
                or last_id < first_id or last_id - first_id > 0x7FFFFFFF):
            return STATUS_MALFORMED
    if not json_bool(m.nodes, m.key.one[b'm'], &sell_aggressor):
        return STATUS_MALFORMED
    if sell_aggressor:
        flags |= TRADE_SELL_AGGRESSOR
    status = symbol_of(d, m, m.key.one[b's'], &item)
    if status != STATUS_OK:
        return status
    if cause != JSON_ABSENT:
        if is_text(m, cause, "NA", 2):                 # a price and quantity of 0: a number was given out, nothing traded
            batch.kind = MESSAGE_TRADE
            return STATUS_IGNORED
        if not (is_text(m, cause, "MARKET", 6) or is_text(m, cause, "INSURANCE_FUND", 14) or is_text(m, cause, "ADL", 3)):
            batch.skipped_count += 1
            return STATUS_UNSUPPORTED
    status = price_and_qty(m, item, m.key.one[b'p'], m.key.one[b'q'], &t.price_ticks, &t.qty_lots)
    if status != STATUS_OK:
        return status
    if t.price_ticks <= 0 or t.qty_lots <= 0:
        return STATUS_MALFORMED
    slot_open(batch.slots, EV_TRADE, d.venue, item.instrument, frame.ts_recv_ns, batch.ts_venue_ns, flags)
    t.trade_count = <uint32_t>(last_id - first_id + 1) if aggregate else 1
    t.reserved = 0
    batch.count = 1
    batch.kind = MESSAGE_TRADE
    batch.instrument = item.instrument
    return STATUS_OK


# ---- books

# The rows of one side, [["p","q"],…]; what stands behind the quantity is not looked at.
cdef int walk_side(BinanceDecoder* d, const Message* m, uint32_t rows, const Instrument* item, int flags, const FrameView* frame,
                   DecodeBatch* batch, uint64_t first_id, uint64_t last_id) noexcept nogil:
    cdef const JsonNode* nodes = m.nodes
    cdef BookDelta* b
    cdef const char* stop = NULL
    cdef uint32_t row = rows + 1, qty
    cdef int status
    if not json_is_type(nodes, rows, b'['):
        return STATUS_MALFORMED
    while row < nodes[rows].next:
        if batch.count == LEVELS_MAX:
            return STATUS_TOO_LARGE
        if nodes[row].type != b'[' or row + 1 == nodes[row].next or nodes[row + 1].type != b's':
            return STATUS_MALFORMED
        qty = row + 2
        if qty == nodes[row].next or nodes[qty].type != b's':
            return STATUS_MALFORMED
        b = <BookDelta*>(batch.slots + batch.count)
        status = quoted_decimal(nodes[row + 1].text, &item.price_grid, &b.price_ticks, &stop)
        if status == STATUS_OK:
            status = quoted_decimal(nodes[qty].text, &item.qty_grid, &b.qty_lots, &stop)
        if status != STATUS_OK:
            return status
        if b.price_ticks <= 0 or b.qty_lots < 0:
            return STATUS_MALFORMED
        slot_open(<Slot*>b, EV_BOOK_DELTA, d.venue, item.instrument, frame.ts_recv_ns, batch.ts_venue_ns, flags)
        b.first_update_id = first_id
        b.last_update_id = last_id
        batch.count += 1
        row = nodes[row].next
    return STATUS_OK


# Bids first whatever the key order, as the scanner has them.
cdef int walk_levels(BinanceDecoder* d, const Message* m, uint32_t bids, uint32_t asks, const Instrument* item, int flags,
                     const FrameView* frame, DecodeBatch* batch, uint64_t first_id, uint64_t last_id) noexcept nogil:
    cdef int status = walk_side(d, m, bids, item, flags, frame, batch, first_id, last_id)
    if status == STATUS_OK:
        status = walk_side(d, m, asks, item, flags | DELTA_ASK, frame, batch, first_id, last_id)
    if status != STATUS_OK:
        return status
    batch.kind = MESSAGE_SNAPSHOT if flags & DELTA_SNAPSHOT else MESSAGE_BOOK_DELTA
    batch.instrument = item.instrument
    batch_close_book(batch, 0, d.venue, item.instrument, frame.ts_recv_ns, batch.ts_venue_ns, flags, first_id, last_id)
    return STATUS_OK


cdef int walk_depth_update(BinanceDecoder* d, const Message* m, const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    cdef const Instrument* item = NULL
    cdef uint64_t first_id = 0, last_id = 0, previous_id = 0
    cdef int64_t event_ns = time_of(m, m.key.one[b'E'])
    cdef int status, kind
    if (event_ns == TS_NONE or not json_uint(m.nodes, m.key.one[b'U'], False, &first_id)
            or not json_uint(m.nodes, m.key.one[b'u'], False, &last_id) or last_id < first_id):
        return STATUS_MALFORMED
    batch.ts_venue_ns = event_ns
    status = symbol_of(d, m, m.key.one[b's'], &item)
    if not d.futures:
        return status if status != STATUS_OK else walk_levels(d, m, m.key.one[b'b'], m.key.one[b'a'], item, 0, frame, batch,
                                                              first_id, last_id)
    # When the matching engine did it; E is when the message was made.
    batch.ts_venue_ns = time_of(m, m.key.one[b'T'])
    if (batch.ts_venue_ns == TS_NONE
            or not json_uint(m.nodes, json_get(m.nodes, m.at, "pu", 2), False, &previous_id)):
        return STATUS_MALFORMED
    if status != STATUS_OK:
        return status
    kind = stream_kind(m, item)
    if kind == STREAM_OTHER_BOOK:
        return STATUS_UNSUPPORTED
    if kind == STREAM_PARTIAL:
        return walk_levels(d, m, m.key.one[b'b'], m.key.one[b'a'], item, DELTA_SNAPSHOT, frame, batch, last_id, last_id)
    if last_id <= previous_id:
        return STATUS_MALFORMED
    # Chained by "pu" alone: the ids between it and "U" belong to other books.
    return walk_levels(d, m, m.key.one[b'b'], m.key.one[b'a'], item, 0, frame, batch, previous_id + 1, last_id)


# A REST body, whose instrument the hint says unless it names it, or a partial book, whose instrument its stream's name says.
cdef int walk_snapshot(BinanceDecoder* d, const Message* m, const FrameView* frame, DecodeBatch* batch,
                       uint32_t last_update_id) noexcept nogil:
    cdef const Instrument* item = NULL
    cdef uint64_t last_id = 0
    cdef uint32_t bids = json_get(m.nodes, m.at, "bids", 4), asks = json_get(m.nodes, m.at, "asks", 4)
    cdef uint32_t symbol = json_get(m.nodes, m.at, "symbol", 6)
    cdef int status
    if not json_uint(m.nodes, last_update_id, False, &last_id) or not json_is_member(bids) or not json_is_member(asks):
        return STATUS_MALFORMED
    if m.key.one[b'T'] != JSON_ABSENT:
        batch.ts_venue_ns = time_of(m, m.key.one[b'T'])
        if batch.ts_venue_ns == TS_NONE:
            return STATUS_MALFORMED
    if symbol != JSON_ABSENT:
        status = symbol_of(d, m, symbol, &item)
        if status != STATUS_OK:
            return status
    elif m.stream != JSON_ABSENT:
        item = stream_instrument(d, m)
    elif frame.instrument_hint < <uint32_t>d.instruments.count:
        item = &d.instruments.items[frame.instrument_hint]
    if item == NULL:
        return STATUS_UNKNOWN_SYMBOL
    return walk_levels(d, m, bids, asks, item, DELTA_SNAPSHOT, frame, batch, last_id, last_id)


# ---- candles

cdef int walk_kline(BinanceDecoder* d, const Message* m, const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    cdef const Instrument* item = NULL
    cdef CandleEvent* c = <CandleEvent*>batch.slots
    cdef Letters key
    cdef uint64_t last_ms = 0
    cdef int64_t open_ns, close_ns
    cdef bint closed = False
    cdef int status
    if not json_is_type(m.nodes, m.key.one[b'k'], b'{') or not letters_of(m.nodes, m.key.one[b'k'], &key):
        return STATUS_MALFORMED
    batch.ts_venue_ns = time_of(m, m.key.one[b'E'])
    open_ns = time_of(m, key.one[b't'])
    if (batch.ts_venue_ns == TS_NONE or open_ns == TS_NONE or not json_uint(m.nodes, key.one[b'T'], False, &last_ms)
            or not json_uint(m.nodes, key.one[b'n'], False, &c.trade_count) or not json_bool(m.nodes, key.one[b'x'], &closed)
            or not json_is_type(m.nodes, key.one[b'l'], b's') or not json_is_type(m.nodes, key.one[b'c'], b's')):
        return STATUS_MALFORMED
    # "T" is the last millisecond (or microsecond) that belongs to the bar.
    close_ns = binance_time_ns(last_ms + 1)
    if close_ns <= open_ns:
        return STATUS_MALFORMED
    status = symbol_of(d, m, m.key.one[b's'], &item)
    if status == STATUS_OK:
        status = price_and_qty(m, item, key.one[b'o'], key.one[b'v'], &c.open_ticks, &c.volume_lots)
    if status == STATUS_OK:
        status = price_and_qty(m, item, key.one[b'h'], key.one[b'V'], &c.high_ticks, &c.buy_volume_lots)
    if status == STATUS_OK:
        status = json_decimal(m.nodes, key.one[b'l'], &item.price_grid, &c.low_ticks)
    if status == STATUS_OK:
        status = json_decimal(m.nodes, key.one[b'c'], &item.price_grid, &c.close_ticks)
    if status != STATUS_OK:
        return status
    if (c.low_ticks <= 0 or c.open_ticks < c.low_ticks or c.open_ticks > c.high_ticks or c.close_ticks < c.low_ticks
            or c.close_ticks > c.high_ticks or c.buy_volume_lots < 0 or c.volume_lots < c.buy_volume_lots):
        return STATUS_MALFORMED
    slot_open(batch.slots, EV_CANDLE, d.venue, item.instrument, frame.ts_recv_ns, close_ns, CANDLE_CLOSED if closed else 0)
    slot_open(batch.slots + 1, EV_CONT, d.venue, item.instrument, frame.ts_recv_ns, open_ns, 1)
    c.interval_ns = close_ns - open_ns
    batch.count = 2
    batch.kind = MESSAGE_BAR
    batch.instrument = item.instrument
    return STATUS_OK


# ---- what a futures market says of its contracts

# One more ReferenceEvent, its number as the text has it.
cdef int add_reference(BinanceDecoder* d, const Message* m, uint32_t node, const Instrument* item, uint32_t kind,
                       int64_t ts_next_ns, const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    cdef ReferenceEvent* r = <ReferenceEvent*>(batch.slots + batch.count)
    cdef const JsonNode* text = &m.nodes[node]
    cdef int64_t mantissa = 0
    cdef int32_t scale = 0
    cdef uint32_t i, digits = 0, start, point = 0
    if batch.count == BATCH_SLOTS:
        return STATUS_TOO_LARGE
    if not json_is_type(m.nodes, node, b's') or text.size == 0:
        return STATUS_MALFORMED
    start = 1 if text.text[0] == 45 else 0
    for i in range(start, text.size):
        if text.text[i] == 46 and point == 0:
            point = i + 1
        elif 48 <= text.text[i] <= 57:
            # Up to 18 digits; zeroes in front do not count.
            digits += 1 if digits > 0 or text.text[i] != 48 else 0
            if digits > 18:
                return STATUS_OVERFLOW
            mantissa = mantissa * 10 + (text.text[i] - 48)
            if point:
                scale += 1
        else:
            return STATUS_MALFORMED
    if text.size == start or point == start + 1 or point == text.size or scale > 18:
        return STATUS_MALFORMED
    slot_open(<Slot*>r, EV_REFERENCE, d.venue, item.instrument, frame.ts_recv_ns, batch.ts_venue_ns, 0)
    r.kind = kind
    r.scale = scale
    r.mantissa = -mantissa if start else mantissa
    r.ts_next_ns = ts_next_ns
    r.reserved = 0
    batch.count += 1
    batch.kind = MESSAGE_OTHER
    batch.instrument = item.instrument
    return STATUS_OK


cdef inline bint is_given(const Message* m, uint32_t node) noexcept nogil:
    return node != JSON_ABSENT and not (m.nodes[node].type == b's' and m.nodes[node].size == 0)


cdef int walk_mark_price(BinanceDecoder* d, const Message* m, const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    cdef const Instrument* item = NULL
    cdef uint64_t next_time = 0
    cdef int status
    batch.ts_venue_ns = time_of(m, m.key.one[b'E'])
    if batch.ts_venue_ns == TS_NONE:
        return STATUS_MALFORMED
    status = symbol_of(d, m, m.key.one[b's'], &item)
    if status == STATUS_OK:
        status = add_reference(d, m, m.key.one[b'p'], item, REFERENCE_MARK_PRICE, TS_NONE, frame, batch)
    if status == STATUS_OK and is_given(m, m.key.one[b'i']):
        status = add_reference(d, m, m.key.one[b'i'], item, REFERENCE_INDEX_PRICE, TS_NONE, frame, batch)
    if status == STATUS_OK and is_given(m, m.key.one[b'P']):
        status = add_reference(d, m, m.key.one[b'P'], item, REFERENCE_SETTLE_PRICE, TS_NONE, frame, batch)
    # A contract that expires pays no funding: its rate is "" and its time 0.
    if status == STATUS_OK and is_given(m, m.key.one[b'r']):
        if not json_uint(m.nodes, m.key.one[b'T'], False, &next_time) or binance_time_ns(next_time) == TS_NONE:
            return STATUS_MALFORMED
        status = add_reference(d, m, m.key.one[b'r'], item, REFERENCE_FUNDING_RATE,
                               binance_time_ns(next_time) if next_time else TS_NONE, frame, batch)
    return status


# {"openInterest":…}, the answer to a REST request.
cdef int walk_open_interest(BinanceDecoder* d, const Message* m, const FrameView* frame, DecodeBatch* batch,
                            uint32_t open_interest) noexcept nogil:
    cdef const Instrument* item = NULL
    cdef int status
    batch.ts_venue_ns = time_of(m, json_get(m.nodes, m.at, "time", 4))
    if batch.ts_venue_ns == TS_NONE:
        return STATUS_MALFORMED
    status = symbol_of(d, m, json_get(m.nodes, m.at, "symbol", 6), &item)
    if status != STATUS_OK:
        return status
    return add_reference(d, m, open_interest, item, REFERENCE_OPEN_INTEREST, TS_NONE, frame, batch)


# "p" is the price at which the position is bankrupt, "q" the order's quantity.
cdef int walk_force_order(BinanceDecoder* d, const Message* m, const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    cdef const Instrument* item = NULL
    cdef LiquidationEvent* e = <LiquidationEvent*>batch.slots
    cdef Letters key
    cdef int status, flags = 0
    if not json_is_type(m.nodes, m.key.one[b'o'], b'{') or not letters_of(m.nodes, m.key.one[b'o'], &key):
        return STATUS_MALFORMED
    batch.ts_venue_ns = time_of(m, key.one[b'T'])
    if batch.ts_venue_ns == TS_NONE or not json_is_type(m.nodes, key.one[b'S'], b's'):
        return STATUS_MALFORMED
    status = symbol_of(d, m, key.one[b's'], &item)
    if status != STATUS_OK:
        return status
    if is_text(m, key.one[b'S'], "SELL", 4):
        flags = TRADE_SELL_AGGRESSOR
    elif not is_text(m, key.one[b'S'], "BUY", 3):
        batch.skipped_count += 1
        return STATUS_UNSUPPORTED
    status = price_and_qty(m, item, key.one[b'p'], key.one[b'q'], &e.price_ticks, &e.qty_lots)
    if status != STATUS_OK:
        return status
    if e.price_ticks <= 0 or e.qty_lots <= 0:
        return STATUS_MALFORMED
    slot_open(batch.slots, EV_LIQUIDATION, d.venue, item.instrument, frame.ts_recv_ns, batch.ts_venue_ns, flags)
    e.reserved[0] = e.reserved[1] = 0
    batch.count = 1
    batch.kind = MESSAGE_OTHER
    batch.instrument = item.instrument
    return STATUS_OK


# The words of developers.binance.com, derivatives, "Common Definition" (seen 2026-11-21), as daemon/tickpathd/instruments
# reads them.
cdef uint32_t contract_status(const Message* m, uint32_t node) noexcept nogil:
    if is_text(m, node, "TRADING", 7):
        return VENUE_STATUS_TRADING
    if is_text(m, node, "TRADING_CANCEL_ONLY", 19):
        return VENUE_STATUS_CANCEL_ONLY
    if is_text(m, node, "AUCTION_MATCH", 13):
        return VENUE_STATUS_AUCTION
    if (is_text(m, node, "PENDING_TRADING", 15) or is_text(m, node, "TRADING_HALT", 12) or is_text(m, node, "PRE_DELIVERING", 14)
            or is_text(m, node, "PRE_SETTLE", 10) or is_text(m, node, "HALT", 4) or is_text(m, node, "BREAK", 5)):
        return VENUE_STATUS_HALTED
    if (is_text(m, node, "DELIVERING", 10) or is_text(m, node, "DELIVERED", 9) or is_text(m, node, "SETTLING", 8)
            or is_text(m, node, "CLOSE", 5)):
        return VENUE_STATUS_DELISTED
    return VENUE_STATUS_UNKNOWN


cdef int walk_contract_info(BinanceDecoder* d, const Message* m, const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    cdef const Instrument* item = NULL
    cdef InstrumentStatusEvent* e = <InstrumentStatusEvent*>batch.slots
    cdef uint32_t word = json_get(m.nodes, m.at, "cs", 2)
    cdef int status
    batch.ts_venue_ns = time_of(m, m.key.one[b'E'])
    if batch.ts_venue_ns == TS_NONE or not json_is_type(m.nodes, word, b's'):
        return STATUS_MALFORMED
    status = symbol_of(d, m, m.key.one[b's'], &item)
    if status != STATUS_OK:
        return status
    slot_open(batch.slots, EV_INSTRUMENT_STATUS, d.venue, item.instrument, frame.ts_recv_ns, batch.ts_venue_ns, 0)
    e.status = contract_status(m, word)
    e.reserved = 0
    memset(e.text, 0, 16)
    memcpy(e.text, m.nodes[word].text, m.nodes[word].size if m.nodes[word].size < 16 else 16)
    e.reserved2 = 0
    batch.count = 1
    batch.kind = MESSAGE_OTHER
    batch.instrument = item.instrument
    return STATUS_OK


# ---- reports of our own orders

cdef int walk_exec_report(BinanceDecoder* d, const Message* m, const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    cdef const Instrument* item = NULL
    cdef ExecReport* r = <ExecReport*>batch.slots
    cdef uint64_t trade_id = 0, event_time = 0
    cdef int status, kind
    cdef uint32_t word = m.key.one[b'x'], own
    batch.ts_venue_ns = time_of(m, m.key.one[b'T'])
    if (batch.ts_venue_ns == TS_NONE or not json_uint(m.nodes, m.key.one[b'E'], False, &event_time)
            or not json_uint(m.nodes, m.key.one[b'i'], False, &r.venue_order_id)):
        return STATUS_MALFORMED
    if is_text(m, word, "NEW", 3):
        kind = EXEC_NEW
    elif is_text(m, word, "TRADE", 5):
        kind = EXEC_TRADE
    elif is_text(m, word, "CANCELED", 8):
        kind = EXEC_CANCELED
    elif is_text(m, word, "REJECTED", 8):
        kind = EXEC_REJECTED
    elif is_text(m, word, "EXPIRED", 7) or is_text(m, word, "TRADE_PREVENTION", 16):
        kind = EXEC_EXPIRED
    else:
        return STATUS_UNSUPPORTED if json_is_type(m.nodes, word, b's') else STATUS_MALFORMED
    status = symbol_of(d, m, m.key.one[b's'], &item)
    if status == STATUS_OK:
        status = price_and_qty(m, item, m.key.one[b'L'], m.key.one[b'l'], &r.last_price_ticks, &r.last_qty_lots)
    if status == STATUS_OK:
        status = json_decimal(m.nodes, m.key.one[b'z'], &item.qty_grid, &r.cum_qty_lots)
    if status == STATUS_OK:
        status = json_decimal(m.nodes, m.key.one[b'n'], &d.fee_grid, &r.fee_e8)
    if status != STATUS_OK:
        return status
    if r.last_qty_lots < 0 or r.cum_qty_lots < 0 or r.last_price_ticks < 0:
        return STATUS_MALFORMED
    # A cancel's own id stands in "c", the order's in "C"; any other report has the order's in "c" and "" in "C".
    own = m.key.one[b'C']
    if own == JSON_ABSENT or m.nodes[own].size == 0:
        own = m.key.one[b'c']
    r.order_ordinal = own_ordinal(d, m.nodes[own].text, m.nodes[own].size) if json_is_type(m.nodes, own, b's') else 0
    if json_uint(m.nodes, m.key.one[b't'], False, &trade_id):
        r.trade_id = trade_id
    else:
        r.trade_id = 0                                 # sent as -1 when the report is no trade
        if kind == EXEC_TRADE:
            return STATUS_MALFORMED
    r.side = SIDE_BUY if is_text(m, m.key.one[b'S'], "BUY", 3) else SIDE_SELL
    r.exec_type = <uint8_t>kind
    report_close(d, item, frame, batch, LIQUIDITY_MAKER if json_is_type(m.nodes, m.key.one[b'm'], b't') else 0)
    return STATUS_OK


# {"id":"tp…","status":400,"error":{"code":-2010,"msg":"…"}}: the venue refused a request of ours, whose id says which (an order's
# own client order id; that of a cancel begins with tc). From 500 on, and at -1006 and -1007, it does not know itself what has
# become of it: that is no refusal (rest-api.md, "HTTP Return Codes"; errors.md; seen 2026-11-21). The reply names no instrument.
cdef bint is_refused_request(BinanceDecoder* d, const Message* m, const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    cdef ExecReport* r = <ExecReport*>batch.slots
    cdef uint32_t own = json_get(m.nodes, m.at, "id", 2), error = json_get(m.nodes, m.at, "error", 5), code
    cdef uint64_t status = 0, ordinal, magnitude = 0
    cdef char[18] text
    cdef const char* digits
    cdef bint is_cancel
    cdef int i
    if (not json_is_type(m.nodes, own, b's') or m.nodes[own].size != 18 or not json_is_type(m.nodes, error, b'{')
            or not json_uint(m.nodes, json_get(m.nodes, m.at, "status", 6), False, &status) or not 400 <= status < 500):
        return False
    memcpy(text, m.nodes[own].text, 18)
    is_cancel = text[1] == 99                          # 'c'
    if is_cancel:
        text[1] = 112                                  # 'p'
    ordinal = own_ordinal(d, text, 18)
    code = json_get(m.nodes, error, "code", 4)
    if ordinal == 0 or not json_is_type(m.nodes, code, b'n') or not 2 <= m.nodes[code].size <= 7:
        return False
    digits = m.nodes[code].text
    if digits[0] != 45:                                # '-'
        return False
    for i in range(1, <int>m.nodes[code].size):
        if not 48 <= digits[i] <= 57:
            return False
        magnitude = magnitude * 10 + <uint64_t>(digits[i] - 48)
    if magnitude == 1006 or magnitude == 1007:
        return False
    memset(r, 0, sizeof(ExecReport))
    r.order_ordinal = ordinal
    r.exec_type = EXEC_CANCEL_REJECTED if is_cancel else EXEC_REJECTED
    batch.ts_venue_ns = TS_NONE
    slot_open(batch.slots, EV_EXEC_REPORT, d.venue, INSTRUMENT_NONE, frame.ts_recv_ns, TS_NONE, 0)
    slot_open(batch.slots + 1, EV_CONT, d.venue, INSTRUMENT_NONE, frame.ts_recv_ns, TS_NONE, 1)
    r.venue_code = -<int32_t>magnitude
    batch.count = 2
    batch.kind = MESSAGE_EXEC_REPORT
    batch.instrument = INSTRUMENT_NONE
    return True


# ---- which message it is

# Of the kinds that we know and do not use: tickers, averages, candles of other prices, notices.
cdef bint is_other_event(const Message* m) noexcept nogil:
    cdef uint32_t e = m.key.one[b'e']
    return (is_text(m, e, "24hrTicker", 10) or is_text(m, e, "24hrMiniTicker", 14) or is_text(m, e, "avgPrice", 8)
            or is_text(m, e, "1hTicker", 8) or is_text(m, e, "4hTicker", 8) or is_text(m, e, "1dTicker", 8)
            or is_text(m, e, "serverShutdown", 14) or is_text(m, e, "continuous_kline", 16)
            or is_text(m, e, "indexPrice_kline", 16) or is_text(m, e, "markPrice_kline", 15)
            or is_text(m, e, "indexPriceUpdate", 16) or is_text(m, e, "assetIndexUpdate", 16)
            or is_text(m, e, "compositeIndex", 14))


cdef bint has_reply_key(const Message* m) noexcept nogil:
    return (json_get(m.nodes, m.at, "result", 6) != JSON_ABSENT or json_get(m.nodes, m.at, "id", 2) != JSON_ABSENT
            or json_get(m.nodes, m.at, "status", 6) != JSON_ABSENT or json_get(m.nodes, m.at, "error", 5) != JSON_ABSENT
            or json_get(m.nodes, m.at, "code", 4) != JSON_ABSENT)


cdef int walk_event(BinanceDecoder* d, const Message* m, const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    cdef uint32_t e = m.key.one[b'e']
    if is_text(m, e, "trade", 5):
        return walk_trade(d, m, frame, batch, False)
    if is_text(m, e, "aggTrade", 8):
        return walk_trade(d, m, frame, batch, True)
    if is_text(m, e, "depthUpdate", 11):
        return walk_depth_update(d, m, frame, batch)
    if is_text(m, e, "bookTicker", 10):
        return walk_quote(d, m, frame, batch)
    if is_text(m, e, "kline", 5):
        return walk_kline(d, m, frame, batch)
    if is_text(m, e, "executionReport", 15):
        return walk_exec_report(d, m, frame, batch)
    if d.futures:
        if is_text(m, e, "markPriceUpdate", 15):
            return walk_mark_price(d, m, frame, batch)
        if is_text(m, e, "forceOrder", 10):
            return walk_force_order(d, m, frame, batch)
        if is_text(m, e, "contractInfo", 12):
            return walk_contract_info(d, m, frame, batch)
    if is_other_event(m):
        batch.kind = MESSAGE_OTHER
        return STATUS_IGNORED
    return STATUS_UNSUPPORTED


cdef int walk_message(BinanceDecoder* d, Message* m, const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    cdef uint32_t node
    if not letters_of(m.nodes, m.at, &m.key):
        return STATUS_MALFORMED
    if json_is_type(m.nodes, m.key.one[b'e'], b's'):
        return walk_event(d, m, frame, batch)
    if json_is_type(m.nodes, m.key.one[b'e'], b'S'):
        return STATUS_MALFORMED                        # no kind of message is written with escapes
    node = json_get(m.nodes, m.at, "lastUpdateId", 12)
    if node != JSON_ABSENT:
        return walk_snapshot(d, m, frame, batch, node)
    if (m.key.one[b'e'] == JSON_ABSENT and json_is_type(m.nodes, m.key.one[b'u'], b'n')
            and (json_is_type(m.nodes, m.key.one[b'b'], b's') or json_is_type(m.nodes, m.key.one[b'b'], b'S'))):
        return walk_quote(d, m, frame, batch)
    node = json_get(m.nodes, m.at, "openInterest", 12)
    if d.futures and node != JSON_ABSENT:
        return walk_open_interest(d, m, frame, batch, node)
    if has_reply_key(m):
        if is_refused_request(d, m, frame, batch):
            return STATUS_OK
        batch.kind = MESSAGE_OTHER                     # a reply to a request: no market data
        return STATUS_IGNORED
    return STATUS_UNSUPPORTED


# Of all symbols at once ("!markPrice@arr", "!ticker@arr"): those that are none of ours are passed over. Only reference
# prices come so; any other kind is no input.
cdef int walk_list(BinanceDecoder* d, Message* m, const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    cdef uint32_t list_at = m.at, element = m.at + 1, other_count = 0, unknown_count = 0
    cdef int status
    if element == m.nodes[list_at].next:
        return STATUS_MALFORMED
    while element < m.nodes[list_at].next:
        m.at = element
        if m.nodes[element].type != b'{' or not letters_of(m.nodes, element, &m.key):
            return STATUS_MALFORMED
        if d.futures and is_text(m, m.key.one[b'e'], "markPriceUpdate", 15):
            status = walk_mark_price(d, m, frame, batch)
            if status == STATUS_UNKNOWN_SYMBOL:
                unknown_count += 1
            elif status != STATUS_OK:
                return status
        elif is_other_event(m):
            other_count += 1
        else:
            batch.skipped_count += 1
        element = m.nodes[element].next
    if batch.count > 0:
        return STATUS_OK
    if unknown_count > 0:
        return STATUS_UNKNOWN_SYMBOL
    if other_count > 0:
        batch.kind = MESSAGE_OTHER
        return STATUS_IGNORED
    return STATUS_UNSUPPORTED


cdef int binance_general(BinanceDecoder* d, const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    cdef Message m
    cdef uint32_t data, event
    cdef int status = json_tape_parse(d.tape, frame.data, frame.size, frame.size + FRAME_PADDING)
    if status != STATUS_OK:
        return status
    m.nodes = d.tape.nodes
    m.at = 0
    m.stream = JSON_ABSENT
    if m.nodes[0].type == b'[':
        return walk_list(d, &m, frame, batch)
    # The envelope is recognised by its own keys; everything else is the message itself.
    data = json_get(m.nodes, 0, "data", 4)
    event = json_get(m.nodes, 0, "event", 5)
    m.stream = json_get(m.nodes, 0, "stream", 6)
    if (data == JSON_DUPLICATE or event == JSON_DUPLICATE or m.stream == JSON_DUPLICATE
            or (data != JSON_ABSENT and event != JSON_ABSENT)):
        return STATUS_MALFORMED
    if data == JSON_ABSENT:
        data = event
    if json_is_type(m.nodes, data, b'{'):
        m.at = data
    elif json_is_type(m.nodes, data, b'[') and m.stream != JSON_ABSENT:
        m.at = data
        return walk_list(d, &m, frame, batch)
    return walk_message(d, &m, frame, batch)
