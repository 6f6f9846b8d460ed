# What both of Coinbase's protocols say in the same words, from the tape: values, levels, trades, tickers, candles, products. Hot,
# but behind the scanner; included by coinbase_walk_advanced.pxd, coinbase_walk_exchange.pxd and the decoder.
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from tickpath.market.instruments cimport Instrument
from tickpath.types cimport (
    CANDLE_CLOSED, DELTA_SNAPSHOT, EV_BOOK_DELTA, EV_CANDLE, EV_CONT, EV_INSTRUMENT_STATUS, EV_QUOTE, EV_REFERENCE,
    PRICE_TICKS_NONE, QTY_LOTS_NONE, REFERENCE_LAST_PRICE, STATUS_IGNORED, STATUS_MALFORMED, STATUS_OK, STATUS_TOO_LARGE,
    STATUS_UNSUPPORTED, TS_NONE, VENUE_STATUS_AUCTION, VENUE_STATUS_CANCEL_ONLY, VENUE_STATUS_DELISTED, VENUE_STATUS_HALTED,
    VENUE_STATUS_LIMIT_ONLY, VENUE_STATUS_POST_ONLY, VENUE_STATUS_TRADING, VENUE_STATUS_UNKNOWN, BookDelta, CandleEvent,
    InstrumentStatusEvent, QuoteEvent, ReferenceEvent, Slot, TradeEvent, unlikely,
)
from tickpath.venues.batch cimport (
    BATCH_SLOTS, MESSAGE_BAR, MESSAGE_BOOK_DELTA, MESSAGE_NONE, MESSAGE_OTHER, MESSAGE_QUOTE, MESSAGE_SNAPSHOT, MESSAGE_TRADE,
    DecodeBatch, FrameView, batch_close_book, slot_open,
)
from tickpath.venues.coinbase_records cimport SLOTS_MAX, CoinbaseDecoder, note_instrument, trade_close
from tickpath.venues.coinbase_text cimport scan_uuid
from tickpath.venues.json_tape cimport (
    JSON_ABSENT, JSON_DUPLICATE, JsonNode, json_bool, json_decimal, json_get, json_instrument, json_is_member, json_is_text,
    json_is_type, json_uint,
)
from tickpath.venues.scan cimport scan_iso_time

# The candles channel has this interval alone.
cdef enum: CANDLE_INTERVAL_S = 300
cdef enum: UUID_BYTES = 36

cdef enum: SIDE_ABSENT = 0
cdef enum: SIDE_BIDDING = 1
cdef enum: SIDE_ASKING = 2
cdef enum: SIDE_UNKNOWN = 3


cdef inline bint node_time(const JsonNode* nodes, uint32_t node, int64_t* ns) noexcept nogil:
    cdef const char* p
    if not json_is_type(nodes, node, b's') or nodes[node].size < 20:
        return False
    p = nodes[node].text
    return scan_iso_time(&p, ns) and p == nodes[node].text + nodes[node].size


cdef inline bint node_uuid(const JsonNode* nodes, uint32_t node, uint64_t* high, uint64_t* low) noexcept nogil:
    cdef const char* p
    if not json_is_type(nodes, node, b's') or nodes[node].size != UUID_BYTES:
        return False
    p = nodes[node].text
    return scan_uuid(&p, high, low)


cdef inline int node_side(const JsonNode* nodes, uint32_t node) noexcept nogil:
    if not json_is_member(node) or (nodes[node].type != b's' and nodes[node].type != b'S'):
        return SIDE_ABSENT
    if json_is_text(nodes, node, "buy", 3) or json_is_text(nodes, node, "BUY", 3) or json_is_text(nodes, node, "bid", 3):
        return SIDE_BIDDING
    if json_is_text(nodes, node, "sell", 4) or json_is_text(nodes, node, "SELL", 4) or json_is_text(nodes, node, "offer", 5):
        return SIDE_ASKING
    return SIDE_UNKNOWN


# Absent, null or "": the venue has no number there.
cdef inline bint has_no_number(const JsonNode* nodes, uint32_t node) noexcept nogil:
    return node == JSON_ABSENT or json_is_type(nodes, node, b'0') or json_is_text(nodes, node, "", 0)


# One more book record. Status.
cdef inline int put_level(CoinbaseDecoder* d, const FrameView* frame, DecodeBatch* batch, const Instrument* item,
                          const JsonNode* nodes, uint32_t price, uint32_t qty, int64_t ts_venue_ns, int flags,
                          uint64_t update_id) noexcept nogil:
    cdef BookDelta* b = <BookDelta*>(batch.slots + batch.count)
    cdef int status
    if unlikely(batch.count >= SLOTS_MAX):
        return STATUS_TOO_LARGE
    status = json_decimal(nodes, price, &item.price_grid, &b.price_ticks)
    if status == STATUS_OK:
        status = json_decimal(nodes, qty, &item.qty_grid, &b.qty_lots)
    if status != STATUS_OK:
        return status
    if b.price_ticks <= 0 or b.qty_lots < 0:
        return STATUS_MALFORMED
    slot_open(<Slot*>b, EV_BOOK_DELTA, d.venue, item.instrument, frame.ts_recv_ns, ts_venue_ns, flags)
    b.first_update_id = update_id
    b.last_update_id = update_id
    note_instrument(batch, item.instrument)
    batch.count += 1
    return STATUS_OK


# Marks what stands from `first` on as one book message. Status.
cdef inline int close_book(CoinbaseDecoder* d, const FrameView* frame, DecodeBatch* batch, int32_t first, const Instrument* item,
                           int64_t ts_venue_ns, int flags, uint64_t update_id) noexcept nogil:
    if unlikely(batch.count >= BATCH_SLOTS):
        return STATUS_TOO_LARGE
    if batch.count == first:
        note_instrument(batch, item.instrument)
    batch_close_book(batch, first, d.venue, item.instrument, frame.ts_recv_ns, ts_venue_ns, flags, update_id, update_id)
    batch.kind = MESSAGE_SNAPSHOT if flags & DELTA_SNAPSHOT else MESSAGE_BOOK_DELTA
    batch.ts_venue_ns = ts_venue_ns
    return STATUS_OK


# One trade. STATUS_UNSUPPORTED: a side we do not know; nothing was added.
cdef inline int put_trade(CoinbaseDecoder* d, const FrameView* frame, DecodeBatch* batch, const Instrument* item,
                          const JsonNode* nodes, uint32_t at, bint quoted_id, int64_t* ts_venue_ns,
                          int* maker_sells) noexcept nogil:
    cdef TradeEvent* t = <TradeEvent*>(batch.slots + batch.count)
    cdef int side = node_side(nodes, json_get(nodes, at, "side", 4)), status
    cdef uint64_t trade_id = 0
    if unlikely(batch.count >= SLOTS_MAX):
        return STATUS_TOO_LARGE
    if side == SIDE_UNKNOWN:
        return STATUS_UNSUPPORTED
    if (side == SIDE_ABSENT or not json_uint(nodes, json_get(nodes, at, "trade_id", 8), quoted_id, &trade_id)
            or not node_time(nodes, json_get(nodes, at, "time", 4), ts_venue_ns)):
        return STATUS_MALFORMED
    status = json_decimal(nodes, json_get(nodes, at, "price", 5), &item.price_grid, &t.price_ticks)
    if status == STATUS_OK:
        status = json_decimal(nodes, json_get(nodes, at, "size", 4), &item.qty_grid, &t.qty_lots)
    if status != STATUS_OK:
        return status
    if t.price_ticks <= 0 or t.qty_lots <= 0:
        return STATUS_MALFORMED
    maker_sells[0] = side == SIDE_ASKING
    trade_close(d, item, frame, batch, t, ts_venue_ns[0], trade_id, maker_sells[0])
    batch.kind = MESSAGE_TRADE
    return STATUS_OK


# One side of a ticker; *given says whether it is there. Status.
cdef inline int quote_side(const JsonNode* nodes, uint32_t price, uint32_t qty, const Instrument* item, int64_t* price_ticks,
                           int64_t* qty_lots, bint* given) noexcept nogil:
    cdef int status
    given[0] = price != JSON_ABSENT
    price_ticks[0] = PRICE_TICKS_NONE
    qty_lots[0] = 0
    if has_no_number(nodes, price):
        return STATUS_OK
    status = json_decimal(nodes, price, &item.price_grid, price_ticks)
    if status != STATUS_OK:
        return status
    if price_ticks[0] == 0:
        price_ticks[0] = PRICE_TICKS_NONE
        return STATUS_OK
    if price_ticks[0] < 0:
        return STATUS_MALFORMED
    if has_no_number(nodes, qty):
        qty_lots[0] = QTY_LOTS_NONE
        return STATUS_OK
    status = json_decimal(nodes, qty, &item.qty_grid, qty_lots)
    if status == STATUS_OK and qty_lots[0] < 0:
        return STATUS_MALFORMED
    return status


# The number as the text has it: up to 18 digits with or without a point.
cdef inline bint node_number(const JsonNode* nodes, uint32_t node, int64_t* mantissa, int32_t* scale) noexcept nogil:
    cdef uint32_t i, digits = 0
    cdef bint seen_point = False
    cdef char c
    mantissa[0] = 0
    scale[0] = 0
    if not json_is_type(nodes, node, b's'):
        return False
    for i in range(nodes[node].size):
        c = nodes[node].text[i]
        if c == 46 and not seen_point and digits > 0:
            seen_point = True
            continue
        if not 48 <= c <= 57 or digits == 18:
            return False
        mantissa[0] = mantissa[0] * 10 + (c - 48)
        scale[0] += seen_point
        digits += 1
    return digits > 0


cdef inline int put_ticker(CoinbaseDecoder* d, const FrameView* frame, DecodeBatch* batch, const Instrument* item,
                           const JsonNode* nodes, uint32_t at, int64_t ts_venue_ns, uint32_t bid_qty,
                           uint32_t ask_qty) noexcept nogil:
    cdef QuoteEvent* q = <QuoteEvent*>(batch.slots + batch.count)
    cdef ReferenceEvent* r = <ReferenceEvent*>q
    cdef bint bid_given = False, ask_given = False
    cdef int status
    if unlikely(batch.count >= SLOTS_MAX):
        return STATUS_TOO_LARGE
    status = quote_side(nodes, json_get(nodes, at, "best_bid", 8), bid_qty, item, &q.bid_price_ticks, &q.bid_qty_lots, &bid_given)
    if status == STATUS_OK:
        status = quote_side(nodes, json_get(nodes, at, "best_ask", 8), ask_qty, item, &q.ask_price_ticks, &q.ask_qty_lots,
                            &ask_given)
    if status != STATUS_OK:
        return status
    if bid_given != ask_given:
        return STATUS_MALFORMED
    if bid_given:
        slot_open(<Slot*>q, EV_QUOTE, d.venue, item.instrument, frame.ts_recv_ns, ts_venue_ns, 0)
        batch.kind = MESSAGE_QUOTE
    else:
        if not node_number(nodes, json_get(nodes, at, "price", 5), &r.mantissa, &r.scale):
            return STATUS_MALFORMED
        slot_open(<Slot*>r, EV_REFERENCE, d.venue, item.instrument, frame.ts_recv_ns, ts_venue_ns, 0)
        r.kind = REFERENCE_LAST_PRICE
        r.ts_next_ns = TS_NONE
        r.reserved = 0
        if batch.kind == MESSAGE_NONE:
            batch.kind = MESSAGE_OTHER
    note_instrument(batch, item.instrument)
    batch.count += 1
    batch.ts_venue_ns = ts_venue_ns
    return STATUS_OK


cdef inline int put_candle(CoinbaseDecoder* d, const FrameView* frame, DecodeBatch* batch, const Instrument* item,
                           const JsonNode* nodes, uint32_t at, int64_t ts_message_ns) noexcept nogil:
    cdef CandleEvent* c = <CandleEvent*>(batch.slots + batch.count)
    cdef uint64_t start_s = 0
    cdef int64_t ts_open_ns, interval_ns = <int64_t>CANDLE_INTERVAL_S * 1000000000
    cdef int status
    if unlikely(batch.count + 2 > SLOTS_MAX):
        return STATUS_TOO_LARGE
    if not json_uint(nodes, json_get(nodes, at, "start", 5), True, &start_s) or start_s > 9000000000ULL:
        return STATUS_MALFORMED
    ts_open_ns = <int64_t>(start_s * 1000000000)
    status = json_decimal(nodes, json_get(nodes, at, "open", 4), &item.price_grid, &c.open_ticks)
    if status == STATUS_OK:
        status = json_decimal(nodes, json_get(nodes, at, "high", 4), &item.price_grid, &c.high_ticks)
    if status == STATUS_OK:
        status = json_decimal(nodes, json_get(nodes, at, "low", 3), &item.price_grid, &c.low_ticks)
    if status == STATUS_OK:
        status = json_decimal(nodes, json_get(nodes, at, "close", 5), &item.price_grid, &c.close_ticks)
    if status == STATUS_OK:
        status = json_decimal(nodes, json_get(nodes, at, "volume", 6), &item.qty_grid, &c.volume_lots)
    if status != STATUS_OK:
        return status
    if c.open_ticks <= 0 or c.high_ticks <= 0 or c.low_ticks <= 0 or c.close_ticks <= 0 or c.volume_lots < 0:
        return STATUS_MALFORMED
    slot_open(<Slot*>c, EV_CANDLE, d.venue, item.instrument, frame.ts_recv_ns, ts_open_ns + interval_ns,
              CANDLE_CLOSED if ts_open_ns + interval_ns <= ts_message_ns else 0)
    slot_open(<Slot*>c + 1, EV_CONT, d.venue, item.instrument, frame.ts_recv_ns, ts_open_ns, 1)
    c.buy_volume_lots = QTY_LOTS_NONE
    c.trade_count = 0
    c.interval_ns = interval_ns
    note_instrument(batch, item.instrument)
    batch.count += 2
    batch.kind = MESSAGE_BAR
    batch.ts_venue_ns = ts_message_ns
    return STATUS_OK


cdef inline bint is_set(const JsonNode* nodes, uint32_t at, const char* key, uint32_t key_size) noexcept nogil:
    cdef bint value = False
    return json_bool(nodes, json_get(nodes, at, key, key_size), &value) and value


# What a product's description says of trading in it: its word, then the strictest of its flags. Products that are not ours
# are left out. Status.
cdef inline int put_product(CoinbaseDecoder* d, const FrameView* frame, DecodeBatch* batch, const JsonNode* nodes, uint32_t at,
                            int64_t ts_venue_ns) noexcept nogil:
    cdef InstrumentStatusEvent* e = <InstrumentStatusEvent*>(batch.slots + batch.count)
    cdef uint32_t name = json_get(nodes, at, "id", 2)
    cdef uint32_t word = json_get(nodes, at, "status", 6)
    cdef const Instrument* item = json_instrument(nodes, json_get(nodes, at, "product_id", 10) if name == JSON_ABSENT else name,
                                                  d.instruments, d.venue_slot)
    cdef const char* text
    cdef uint32_t size
    cdef int status
    if item == NULL:
        return STATUS_OK
    if unlikely(batch.count >= SLOTS_MAX):
        return STATUS_TOO_LARGE
    if not json_is_type(nodes, word, b's'):
        return STATUS_MALFORMED
    text = nodes[word].text
    size = nodes[word].size
    if json_is_text(nodes, word, "delisted", 8):
        status = VENUE_STATUS_DELISTED
    elif json_is_text(nodes, word, "offline", 7) or json_is_text(nodes, word, "internal", 8):
        status = VENUE_STATUS_HALTED
    elif not json_is_text(nodes, word, "online", 6):
        status = VENUE_STATUS_UNKNOWN
    elif is_set(nodes, at, "trading_disabled", 16):
        status, text, size = VENUE_STATUS_HALTED, "trading_disabled", 16
    elif is_set(nodes, at, "cancel_only", 11):
        status, text, size = VENUE_STATUS_CANCEL_ONLY, "cancel_only", 11
    elif is_set(nodes, at, "auction_mode", 12):
        status, text, size = VENUE_STATUS_AUCTION, "auction_mode", 12
    elif is_set(nodes, at, "post_only", 9):
        status, text, size = VENUE_STATUS_POST_ONLY, "post_only", 9
    elif is_set(nodes, at, "limit_only", 10):
        status, text, size = VENUE_STATUS_LIMIT_ONLY, "limit_only", 10
    else:
        status = VENUE_STATUS_TRADING
    slot_open(<Slot*>e, EV_INSTRUMENT_STATUS, d.venue, item.instrument, frame.ts_recv_ns, ts_venue_ns, 0)
    e.status = status
    e.reserved = 0
    memset(e.text, 0, 16)
    memcpy(e.text, text, size if size < 16 else 16)
    e.reserved2 = 0
    note_instrument(batch, item.instrument)
    batch.count += 1
    return STATUS_OK


# The products of an array.
cdef inline int put_products(CoinbaseDecoder* d, const FrameView* frame, DecodeBatch* batch, const JsonNode* nodes, uint32_t at,
                             int64_t ts_venue_ns) noexcept nogil:
    cdef uint32_t i = at + 1
    cdef int status
    if at == JSON_DUPLICATE or nodes[at].type != b'[':
        return STATUS_MALFORMED
    while i < nodes[at].next:
        if nodes[i].type != b'{':
            return STATUS_MALFORMED
        status = put_product(d, frame, batch, nodes, i, ts_venue_ns)
        if status != STATUS_OK:
            return status
        i = nodes[i].next
    return STATUS_OK


# Products have been read: a message of nothing but strangers says nothing to us.
cdef inline int close_products(DecodeBatch* batch, int status, int64_t ts_venue_ns) noexcept nogil:
    batch.kind = MESSAGE_OTHER
    batch.ts_venue_ns = ts_venue_ns
    return STATUS_IGNORED if status == STATUS_OK and batch.count == 0 else status
