"""Coinbase messages to input records: Advanced Trade and Exchange, told apart by the message itself.

Advanced Trade (docs.cdp.coinbase.com/coinbase-app/advanced-trade-apis/websocket/websocket-channels, seen 2026-08 in the
recorded captures). `sequence_num` counts every message of the connection, from 0:

    {"channel":"l2_data","timestamp":"2026-08-09T21:05:48.506659391Z","sequence_num":15,"events":[{"type":"update",
     "product_id":"BTC-USD","updates":[{"side":"offer","event_time":"2026-08-09T21:05:48.264069Z",
     "price_level":"65106.54","new_quantity":"0.15361938"}]}]}
    {"channel":"market_trades",…,"events":[{"type":"update","trades":[{"product_id":"BTC-USD","trade_id":"1068572091",
     "price":"65083.67","size":"0.01034361","time":"2026-08-09T21:05:48.167634Z","side":"SELL"}]}]}
    {"channel":"ticker",…,"events":[{"type":"update","tickers":[{"type":"ticker","product_id":"BTC-USD","price":"65086.18",…,
     "best_bid":"65083.66","best_ask":"65083.67","best_bid_quantity":"0.20371215","best_ask_quantity":"0.24290402"}]}]}
    {"channel":"candles",…,"events":[{"type":"update","candles":[{"start":"1786309500","high":"1919.6","low":"1919.27",
     "open":"1919.58","close":"1919.41","volume":"36.36630914","product_id":"ETH-USD"}]}]}
    {"channel":"status",…,"events":[{"type":"snapshot","products":[{"id":"BTC-USD","status":"online",…}]}]}
    {"channel":"heartbeats",…,"events":[{"current_time":"2026-08-09 21:05:48.85 +0000 UTC m=+41691.2","heartbeat_counter":1}]}
    {"pricebook":{"product_id":"BTC-USD","bids":[{"price":"68923.66","size":"0.17189468"}],"asks":[…],"time":"…"}}     (REST)

Exchange (docs.cdp.coinbase.com/exchange/docs/websocket-channels, seen 2021-04 in the recorded captures):

    {"type":"l2update","product_id":"SKL-BTC","changes":[["sell","0.00001306","660.5"]],"time":"2021-04-17T16:43:37.075687Z"}
    {"type":"snapshot","product_id":"BAND-GBP","asks":[["14.8024","12.77"]],"bids":[["14.7550","3.10"]]}
    {"type":"match","trade_id":280232,"maker_order_id":"2a0da34e-61f7-4c36-88e5-c9dd15927b16","taker_order_id":"3c82…",
     "side":"sell","size":"985","price":"0.00001305","product_id":"SKL-BTC","sequence":177100030,"time":"2021-…Z"}
    {"type":"ticker","sequence":333938798,"product_id":"BAND-GBP","price":"14.7775",…,"best_bid":"14.7550",
     "best_bid_size":"3.10","best_ask":"14.8060","best_ask_size":"12.77","side":"buy","time":"2021-…Z","trade_id":881613,…}
    {"type":"open","order_id":"d50ec984-77a8-460a-b958-66f114b0de9b","side":"sell","price":"200.2","remaining_size":"1.00",
     "product_id":"BTC-USD","sequence":10,"time":"2014-11-07T08:19:27.028459Z"}            and received, done, change (full)
    {"type":"status","products":[{"id":"BTC-USD","status":"online","cancel_only":false,…}],"currencies":[…]}
    {"bids":[["295.96","4.39088265",2]],"asks":[…],"sequence":3}                   (REST, level 2; /products/…/book)
    {"bids":[["295.96","0.05088265","3b0f1225-7f84-490b-a29f-0faef9de823a"]],…}    (REST, level 3)

What the words mean here:
- A trade's "side" is the maker's (in the recorded books 71 of 71 trades at a best price say so), so SELL is a buying aggressor.
- A list of trades stands newest first; its records stand oldest first.
- A quote whose venue does not give quantities (Exchange tickers of 2021) has QTY_LOTS_NONE; an empty side, sent as "" or 0,
  has PRICE_TICKS_NONE. A ticker without best bid and ask (ticker_batch) is a reference price.
- A candle is closed when its end is not after the message's own time; candles are of five minutes.
- A book record's time is its event_time; the venue's "1970-01-01T00:00:00Z" for none is the message's own time.
- Order by order (full): open adds, match takes from the maker, change sets, done deletes, each with the product's sequence.
  What touches no resting order (received, a market order's change) is a delete of an order that is not there, as many a
  done is too, so that the sequence has no hole. A match is a trade as well.
"""
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from tickpath.market.instruments cimport Instrument
from tickpath.types cimport (
    CANDLE_CLOSED, DELTA_ASK, DELTA_SNAPSHOT, EV_BOOK_DELTA, EV_CANDLE, EV_CONT, EV_INSTRUMENT_STATUS, EV_QUOTE, EV_REFERENCE,
    INSTRUMENT_NONE, ORDER_ACTION_ADD, ORDER_ACTION_CHANGE, ORDER_ACTION_DELETE, ORDER_ACTION_MATCH, ORDER_DELTA_ASK,
    ORDER_DELTA_FIRST, ORDER_DELTA_LAST, ORDER_DELTA_SNAPSHOT, PRICE_TICKS_NONE, QTY_LOTS_NONE, REFERENCE_LAST_PRICE,
    STATUS_IGNORED, STATUS_MALFORMED, STATUS_OK, STATUS_TOO_LARGE, STATUS_UNKNOWN_SYMBOL, STATUS_UNSUPPORTED, TS_NONE,
    VENUE_STATUS_AUCTION, VENUE_STATUS_CANCEL_ONLY, VENUE_STATUS_DELISTED, VENUE_STATUS_HALTED, VENUE_STATUS_LIMIT_ONLY,
    VENUE_STATUS_POST_ONLY, VENUE_STATUS_TRADING, VENUE_STATUS_UNKNOWN, BookDelta, CandleEvent, InstrumentStatusEvent,
    QuoteEvent, ReferenceEvent, Slot, TradeEvent, likely, unlikely,
)
from tickpath.venues.batch cimport (
    BATCH_SLOTS, FRAME_PADDING, MESSAGE_BAR, MESSAGE_BOOK_DELTA, MESSAGE_NONE, MESSAGE_OTHER, MESSAGE_QUOTE, MESSAGE_SNAPSHOT,
    MESSAGE_TRADE, batch_clear, batch_close_book, slot_open,
)
from tickpath.venues.coinbase_records cimport (
    SLOTS_MAX, CoinbaseDecoder, note_instrument, order_delta, trade_close, trades_in_order,
)
from tickpath.venues.coinbase_scan cimport coinbase_scan
from tickpath.venues.coinbase_text cimport scan_uuid
from tickpath.venues.json_tape cimport (
    JSON_ABSENT, JSON_DUPLICATE, JsonNode, json_at, json_bool, json_decimal, json_get, json_instrument, json_is_member,
    json_is_text, json_is_type, json_tape_free, json_tape_new, json_tape_parse, json_uint,
)
from tickpath.venues.scan cimport scan_iso_time

# The snapshot of the recorded feed has 46,000 levels of five values each; a list of all products some 45,000 values.
cdef enum: TAPE_NODES = 6 * BATCH_SLOTS
# The candles channel has this interval alone.
cdef enum: CANDLE_INTERVAL_S = 300
cdef enum: UUID_BYTES = 36

cdef enum: SIDE_ABSENT = 0
cdef enum: SIDE_BIDDING = 1
cdef enum: SIDE_ASKING = 2
cdef enum: SIDE_UNKNOWN = 3


cdef void* coinbase_decoder_new(uint8_t venue, uint8_t venue_slot, const InstrumentTable* instruments, int64_t max_frame_bytes,
                                bint use_scanner) noexcept nogil:
    cdef CoinbaseDecoder* d = <CoinbaseDecoder*>calloc(1, sizeof(CoinbaseDecoder))
    if d == NULL:
        return NULL
    d.venue = venue
    d.venue_slot = venue_slot
    d.instruments = instruments
    d.max_frame_bytes = max_frame_bytes
    d.use_scanner = use_scanner
    d.tape = json_tape_new(max_frame_bytes, TAPE_NODES)
    if d.tape == NULL:
        free(d)
        return NULL
    return d


cdef void coinbase_decoder_free(void* self) noexcept nogil:
    cdef CoinbaseDecoder* d = <CoinbaseDecoder*>self
    if d != NULL:
        json_tape_free(d.tape)
        free(d)


# ---- values of the tape

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
cdef int put_trade(CoinbaseDecoder* d, const FrameView* frame, DecodeBatch* batch, const Instrument* item, const JsonNode* nodes,
                   uint32_t at, bint quoted_id, int64_t* ts_venue_ns, int* maker_sells) noexcept nogil:
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
cdef int quote_side(const JsonNode* nodes, uint32_t price, uint32_t qty, const Instrument* item, int64_t* price_ticks,
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
cdef bint node_number(const JsonNode* nodes, uint32_t node, int64_t* mantissa, int32_t* scale) noexcept nogil:
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


cdef int put_ticker(CoinbaseDecoder* d, const FrameView* frame, DecodeBatch* batch, const Instrument* item, const JsonNode* nodes,
                    uint32_t at, int64_t ts_venue_ns, uint32_t bid_qty, uint32_t ask_qty) noexcept nogil:
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


cdef int put_candle(CoinbaseDecoder* d, const FrameView* frame, DecodeBatch* batch, const Instrument* item, const JsonNode* nodes,
                    uint32_t at, int64_t ts_message_ns) noexcept nogil:
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
cdef int put_product(CoinbaseDecoder* d, const FrameView* frame, DecodeBatch* batch, const JsonNode* nodes, uint32_t at,
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
cdef int put_products(CoinbaseDecoder* d, const FrameView* frame, DecodeBatch* batch, const JsonNode* nodes, uint32_t at,
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


# ---- Advanced Trade

# The levels of one l2_data event, a book message. Status.
cdef int walk_updates(CoinbaseDecoder* d, const FrameView* frame, DecodeBatch* batch, const Instrument* item,
                      const JsonNode* nodes, uint32_t updates, int flags, uint32_t timestamp) noexcept nogil:
    cdef int32_t first = batch.count
    cdef int64_t ts_venue_ns = TS_NONE
    cdef uint32_t i = updates + 1, event_time
    cdef int side, status
    if not json_is_type(nodes, updates, b'['):
        return STATUS_MALFORMED
    while i < nodes[updates].next:
        if nodes[i].type != b'{':
            return STATUS_MALFORMED
        side = node_side(nodes, json_get(nodes, i, "side", 4))
        if side != SIDE_BIDDING and side != SIDE_ASKING:
            return STATUS_MALFORMED
        event_time = json_get(nodes, i, "event_time", 10)
        if event_time != JSON_ABSENT and not node_time(nodes, event_time, &ts_venue_ns):
            return STATUS_MALFORMED
        if (event_time == JSON_ABSENT or ts_venue_ns <= 0) and not node_time(nodes, timestamp, &ts_venue_ns):
            return STATUS_MALFORMED
        status = put_level(d, frame, batch, item, nodes, json_get(nodes, i, "price_level", 11),
                           json_get(nodes, i, "new_quantity", 12), ts_venue_ns,
                           flags | (DELTA_ASK if side == SIDE_ASKING else 0), 0)
        if status != STATUS_OK:
            return status
        i = nodes[i].next
    if batch.count == first and not node_time(nodes, timestamp, &ts_venue_ns):
        return STATUS_MALFORMED
    return close_book(d, frame, batch, first, item, ts_venue_ns, flags, 0)


cdef int walk_l2_event(CoinbaseDecoder* d, const FrameView* frame, DecodeBatch* batch, const JsonNode* nodes, uint32_t event,
                       uint32_t timestamp) noexcept nogil:
    cdef uint32_t kind = json_get(nodes, event, "type", 4)
    cdef uint32_t name = json_get(nodes, event, "product_id", 10)
    cdef const Instrument* item = json_instrument(nodes, name, d.instruments, d.venue_slot)
    cdef int flags = 0
    if json_is_text(nodes, kind, "snapshot", 8):
        flags = DELTA_SNAPSHOT
    elif not json_is_text(nodes, kind, "update", 6):
        return STATUS_UNSUPPORTED if json_is_type(nodes, kind, b's') else STATUS_MALFORMED
    if item == NULL:
        if not json_is_member(name):
            return STATUS_MALFORMED
        batch.skipped_count += 1
        return STATUS_OK
    return walk_updates(d, frame, batch, item, nodes, json_get(nodes, event, "updates", 7), flags, timestamp)


# The elements of one event's list: trades, tickers or candles. One of a product that is not ours is left out, and a trade
# with a side we do not know. Status.
cdef int walk_elements(CoinbaseDecoder* d, const FrameView* frame, DecodeBatch* batch, const JsonNode* nodes, uint32_t elements,
                       int kind, int64_t ts_message_ns, bint* stranger) noexcept nogil:
    cdef int32_t first = batch.count
    cdef uint32_t i = elements + 1, name
    cdef int64_t ts_venue_ns = TS_NONE
    cdef int maker_sells = 0
    cdef const Instrument* item
    cdef int status
    if not json_is_type(nodes, elements, b'['):
        return STATUS_MALFORMED
    while i < nodes[elements].next:
        name = json_get(nodes, i, "product_id", 10)
        if not json_is_member(name):
            return STATUS_MALFORMED
        item = json_instrument(nodes, name, d.instruments, d.venue_slot)
        if item == NULL:
            stranger[0] = True
            batch.skipped_count += 1
        else:
            if kind == MESSAGE_TRADE:
                status = put_trade(d, frame, batch, item, nodes, i, True, &ts_venue_ns, &maker_sells)
            elif kind == MESSAGE_QUOTE:
                status = put_ticker(d, frame, batch, item, nodes, i, ts_message_ns, json_get(nodes, i, "best_bid_quantity", 17),
                                    json_get(nodes, i, "best_ask_quantity", 17))
            else:
                status = put_candle(d, frame, batch, item, nodes, i, ts_message_ns)
            if status == STATUS_UNSUPPORTED:
                batch.skipped_count += 1
            elif status != STATUS_OK:
                return status
        i = nodes[i].next
    if kind == MESSAGE_TRADE and batch.count > first:
        trades_in_order(batch, first)
        batch.ts_venue_ns = batch.slots[batch.count - 1].ts_venue_ns
    return STATUS_OK


cdef int walk_advanced(CoinbaseDecoder* d, const FrameView* frame, DecodeBatch* batch, const JsonNode* nodes,
                       uint32_t channel) noexcept nogil:
    cdef uint32_t timestamp = json_get(nodes, 0, "timestamp", 9)
    cdef uint32_t events = json_get(nodes, 0, "events", 6), i = events + 1
    cdef uint64_t sequence = 0
    cdef int64_t ts_message_ns = TS_NONE
    cdef bint is_book = json_is_text(nodes, channel, "l2_data", 7), stranger = False
    cdef bint is_trade = json_is_text(nodes, channel, "market_trades", 13)
    cdef bint is_status = json_is_text(nodes, channel, "status", 6)
    cdef bint is_ticker = json_is_text(nodes, channel, "ticker", 6) or json_is_text(nodes, channel, "ticker_batch", 12)
    cdef int status = STATUS_OK
    if not json_uint(nodes, json_get(nodes, 0, "sequence_num", 12), False, &sequence):
        return STATUS_MALFORMED
    batch.last_update_id = sequence + 1
    # Of books and trades the message's own time is read only where it is needed: their own times stand with them.
    if not is_book and not is_trade and not node_time(nodes, timestamp, &ts_message_ns):
        return STATUS_MALFORMED
    if json_is_text(nodes, channel, "heartbeats", 10) or json_is_text(nodes, channel, "subscriptions", 13):
        batch.kind = MESSAGE_OTHER
        batch.ts_venue_ns = ts_message_ns
        return STATUS_IGNORED
    if not (is_book or is_trade or is_ticker or is_status or json_is_text(nodes, channel, "candles", 7)):
        return STATUS_UNSUPPORTED if json_is_type(nodes, channel, b's') else STATUS_MALFORMED
    if not json_is_type(nodes, events, b'['):
        return STATUS_MALFORMED
    while i < nodes[events].next and status == STATUS_OK:
        if is_book:
            status = walk_l2_event(d, frame, batch, nodes, i, timestamp)
        elif is_trade:
            status = walk_elements(d, frame, batch, nodes, json_get(nodes, i, "trades", 6), MESSAGE_TRADE, TS_NONE, &stranger)
        elif is_ticker:
            status = walk_elements(d, frame, batch, nodes, json_get(nodes, i, "tickers", 7), MESSAGE_QUOTE, ts_message_ns,
                                   &stranger)
        elif is_status:
            status = put_products(d, frame, batch, nodes, json_get(nodes, i, "products", 8), ts_message_ns)
        else:
            status = walk_elements(d, frame, batch, nodes, json_get(nodes, i, "candles", 7), MESSAGE_BAR, ts_message_ns,
                                   &stranger)
        i = nodes[i].next
    if is_status:
        return close_products(batch, status, ts_message_ns)
    if status != STATUS_OK or batch.count > 0:
        return status
    if stranger or (is_book and batch.skipped_count):
        return STATUS_UNKNOWN_SYMBOL
    if batch.skipped_count:
        return STATUS_UNSUPPORTED
    batch.kind = MESSAGE_OTHER
    return STATUS_IGNORED


# ---- Exchange

cdef int walk_l2update(CoinbaseDecoder* d, const FrameView* frame, DecodeBatch* batch, const Instrument* item,
                       const JsonNode* nodes) noexcept nogil:
    cdef uint32_t changes = json_get(nodes, 0, "changes", 7), i = changes + 1
    cdef int64_t ts_venue_ns = TS_NONE
    cdef int side, status
    if not json_is_type(nodes, changes, b'[') or not node_time(nodes, json_get(nodes, 0, "time", 4), &ts_venue_ns):
        return STATUS_MALFORMED
    while i < nodes[changes].next:
        side = node_side(nodes, json_at(nodes, i, 0))
        if (side != SIDE_BIDDING and side != SIDE_ASKING):
            return STATUS_MALFORMED
        status = put_level(d, frame, batch, item, nodes, json_at(nodes, i, 1), json_at(nodes, i, 2), ts_venue_ns,
                           DELTA_ASK if side == SIDE_ASKING else 0, 0)
        if status != STATUS_OK:
            return status
        i = nodes[i].next
    return close_book(d, frame, batch, 0, item, ts_venue_ns, 0, 0)


# A snapshot's optional time. False when it is there and no time.
cdef inline bint optional_time(const JsonNode* nodes, uint32_t node, int64_t* ts_venue_ns) noexcept nogil:
    ts_venue_ns[0] = TS_NONE
    return node == JSON_ABSENT or node_time(nodes, node, ts_venue_ns)


# One order of a level 3 body: [price, size, order id]. Status.
cdef int put_resting_order(CoinbaseDecoder* d, const FrameView* frame, DecodeBatch* batch, const Instrument* item,
                           const JsonNode* nodes, uint32_t row, int64_t ts_venue_ns, int flags,
                           uint64_t update_id) noexcept nogil:
    cdef int64_t price_ticks = 0, qty_lots = 0
    cdef uint64_t key_high = 0, key_low = 0
    cdef int status
    if unlikely(batch.count + 2 > SLOTS_MAX):
        return STATUS_TOO_LARGE
    if not node_uuid(nodes, json_at(nodes, row, 2), &key_high, &key_low):
        return STATUS_MALFORMED
    status = json_decimal(nodes, json_at(nodes, row, 0), &item.price_grid, &price_ticks)
    if status == STATUS_OK:
        status = json_decimal(nodes, json_at(nodes, row, 1), &item.qty_grid, &qty_lots)
    if status != STATUS_OK:
        return status
    if price_ticks <= 0 or qty_lots < 0:
        return STATUS_MALFORMED
    order_delta(d, item, frame, batch, ts_venue_ns, ORDER_ACTION_ADD, flags, price_ticks, qty_lots, key_high, key_low, update_id)
    return STATUS_OK


# A whole book, from the stream or by request: sides in the order of the text. Rows are [price, size], with a count of orders
# (level 2) or an order's id (level 3), or objects of price and size. Status.
cdef int walk_book(CoinbaseDecoder* d, const FrameView* frame, DecodeBatch* batch, const Instrument* item, const JsonNode* nodes,
                   uint32_t at, uint64_t update_id) noexcept nogil:
    cdef uint32_t bids = json_get(nodes, at, "bids", 4), asks = json_get(nodes, at, "asks", 4)
    cdef uint32_t side, i, n, price, qty
    cdef int64_t ts_venue_ns = TS_NONE
    cdef bint by_order
    cdef int status
    if (not json_is_type(nodes, bids, b'[') or not json_is_type(nodes, asks, b'[')
            or not optional_time(nodes, json_get(nodes, at, "time", 4), &ts_venue_ns)):
        return STATUS_MALFORMED
    by_order = (json_is_type(nodes, json_at(nodes, json_at(nodes, bids, 0), 2), b's')
                or json_is_type(nodes, json_at(nodes, json_at(nodes, asks, 0), 2), b's'))
    for n in range(2):
        side = bids if (n == 0) == (bids < asks) else asks
        i = side + 1
        while i < nodes[side].next:
            if by_order:
                status = put_resting_order(d, frame, batch, item, nodes, i, ts_venue_ns,
                                           ORDER_DELTA_SNAPSHOT | (ORDER_DELTA_ASK if side == asks else 0), update_id)
            else:
                price = json_get(nodes, i, "price", 5) if nodes[i].type == b'{' else json_at(nodes, i, 0)
                qty = json_get(nodes, i, "size", 4) if nodes[i].type == b'{' else json_at(nodes, i, 1)
                status = put_level(d, frame, batch, item, nodes, price, qty, ts_venue_ns,
                                   DELTA_SNAPSHOT | (DELTA_ASK if side == asks else 0), update_id)
            if status != STATUS_OK:
                return status
            i = nodes[i].next
    if not by_order:
        return close_book(d, frame, batch, 0, item, ts_venue_ns, DELTA_SNAPSHOT, update_id)
    batch.slots[0].flags |= ORDER_DELTA_FIRST
    batch.slots[batch.count - 2].flags |= ORDER_DELTA_LAST
    batch.kind = MESSAGE_SNAPSHOT
    batch.ts_venue_ns = ts_venue_ns
    return STATUS_OK


cdef int walk_match(CoinbaseDecoder* d, const FrameView* frame, DecodeBatch* batch, const Instrument* item,
                    const JsonNode* nodes, bint is_last) noexcept nogil:
    cdef uint32_t maker = json_get(nodes, 0, "maker_order_id", 14), number = json_get(nodes, 0, "sequence", 8)
    cdef uint64_t key_high = 0, key_low = 0, sequence = 0
    cdef int64_t ts_venue_ns = TS_NONE
    cdef int maker_sells = 0
    cdef const TradeEvent* t = <const TradeEvent*>batch.slots
    cdef int status = put_trade(d, frame, batch, item, nodes, 0, False, &ts_venue_ns, &maker_sells)
    if status != STATUS_OK:
        batch.skipped_count += status == STATUS_UNSUPPORTED
        return status
    batch.ts_venue_ns = ts_venue_ns
    # The last match before a subscription is no part of the sequence.
    if is_last or maker == JSON_ABSENT or number == JSON_ABSENT:
        return STATUS_OK
    if not node_uuid(nodes, maker, &key_high, &key_low) or not json_uint(nodes, number, False, &sequence):
        return STATUS_MALFORMED
    order_delta(d, item, frame, batch, ts_venue_ns, ORDER_ACTION_MATCH,
                ORDER_DELTA_FIRST | ORDER_DELTA_LAST | (ORDER_DELTA_ASK * maker_sells), t.price_ticks, t.qty_lots, key_high,
                key_low, sequence)
    return STATUS_OK


# received, open, done and change of the full channel.
cdef int walk_order(CoinbaseDecoder* d, const FrameView* frame, DecodeBatch* batch, const Instrument* item,
                    const JsonNode* nodes, int action) noexcept nogil:
    cdef uint64_t key_high = 0, key_low = 0, sequence = 0
    cdef int64_t ts_venue_ns = TS_NONE, price_ticks = PRICE_TICKS_NONE, qty_lots = 0
    cdef int side = node_side(nodes, json_get(nodes, 0, "side", 4)), status = STATUS_OK
    cdef uint32_t price = json_get(nodes, 0, "price", 5), new_price = json_get(nodes, 0, "new_price", 9), qty = JSON_ABSENT
    if (side == SIDE_ABSENT or not json_uint(nodes, json_get(nodes, 0, "sequence", 8), False, &sequence)
            or not node_uuid(nodes, json_get(nodes, 0, "order_id", 8), &key_high, &key_low)
            or not node_time(nodes, json_get(nodes, 0, "time", 4), &ts_venue_ns)):
        return STATUS_MALFORMED
    if side == SIDE_UNKNOWN:
        batch.skipped_count += 1
        return STATUS_UNSUPPORTED
    if action == ORDER_ACTION_CHANGE:
        qty = json_get(nodes, 0, "new_size", 8)
        if not has_no_number(nodes, new_price):
            price = new_price
        # A market order has no price, and funds for a size: it never rests.
        if has_no_number(nodes, price) or has_no_number(nodes, qty):
            action = ORDER_ACTION_DELETE
            price = JSON_ABSENT
    elif action == ORDER_ACTION_ADD:
        qty = json_get(nodes, 0, "remaining_size", 14)
    if action != ORDER_ACTION_DELETE or not has_no_number(nodes, price):
        status = json_decimal(nodes, price, &item.price_grid, &price_ticks)
        if status == STATUS_OK and price_ticks <= 0:
            status = STATUS_MALFORMED
    if status == STATUS_OK and action != ORDER_ACTION_DELETE:
        status = json_decimal(nodes, qty, &item.qty_grid, &qty_lots)
        if status == STATUS_OK and qty_lots < 0:
            status = STATUS_MALFORMED
    if status != STATUS_OK:
        return status
    order_delta(d, item, frame, batch, ts_venue_ns, action,
                ORDER_DELTA_FIRST | ORDER_DELTA_LAST | (ORDER_DELTA_ASK if side == SIDE_ASKING else 0), price_ticks, qty_lots,
                key_high, key_low, sequence)
    batch.kind = MESSAGE_BOOK_DELTA
    batch.ts_venue_ns = ts_venue_ns
    return STATUS_OK


cdef int walk_exchange(CoinbaseDecoder* d, const FrameView* frame, DecodeBatch* batch, const JsonNode* nodes,
                       uint32_t kind) noexcept nogil:
    cdef uint32_t name = json_get(nodes, 0, "product_id", 10)
    cdef const Instrument* item
    cdef int64_t ts_venue_ns = TS_NONE
    cdef bint is_ticker = json_is_text(nodes, kind, "ticker", 6), is_match = json_is_text(nodes, kind, "match", 5)
    cdef bint is_last = json_is_text(nodes, kind, "last_match", 10), is_update = json_is_text(nodes, kind, "l2update", 8)
    cdef bint is_snapshot = json_is_text(nodes, kind, "snapshot", 8)
    cdef int action = 0
    if json_is_text(nodes, kind, "heartbeat", 9):
        batch.kind = MESSAGE_OTHER
        if node_time(nodes, json_get(nodes, 0, "time", 4), &ts_venue_ns):
            batch.ts_venue_ns = ts_venue_ns
        return STATUS_IGNORED
    if (json_is_text(nodes, kind, "subscriptions", 13) or json_is_text(nodes, kind, "error", 5)
            or json_is_text(nodes, kind, "activate", 8)):
        batch.kind = MESSAGE_OTHER
        return STATUS_IGNORED
    if json_is_text(nodes, kind, "status", 6):
        return close_products(batch, put_products(d, frame, batch, nodes, json_get(nodes, 0, "products", 8), TS_NONE), TS_NONE)
    if json_is_text(nodes, kind, "open", 4):
        action = ORDER_ACTION_ADD
    elif json_is_text(nodes, kind, "change", 6):
        action = ORDER_ACTION_CHANGE
    elif json_is_text(nodes, kind, "done", 4) or json_is_text(nodes, kind, "received", 8):
        action = ORDER_ACTION_DELETE
    elif not (is_ticker or is_match or is_last or is_update or is_snapshot):
        return STATUS_UNSUPPORTED if json_is_type(nodes, kind, b's') else STATUS_MALFORMED
    if not json_is_member(name):
        return STATUS_MALFORMED
    item = json_instrument(nodes, name, d.instruments, d.venue_slot)
    if item == NULL:
        return STATUS_UNKNOWN_SYMBOL
    if action:
        return walk_order(d, frame, batch, item, nodes, action)
    if is_update:
        return walk_l2update(d, frame, batch, item, nodes)
    if is_snapshot:
        return walk_book(d, frame, batch, item, nodes, 0, 0)
    if is_ticker:
        # The ticker that answers a subscription to a product without a trade has no time.
        if not optional_time(nodes, json_get(nodes, 0, "time", 4), &ts_venue_ns):
            return STATUS_MALFORMED
        return put_ticker(d, frame, batch, item, nodes, 0, ts_venue_ns, json_get(nodes, 0, "best_bid_size", 13),
                          json_get(nodes, 0, "best_ask_size", 13))
    return walk_match(d, frame, batch, item, nodes, is_last)


# ---- answers to requests

cdef int walk_body(CoinbaseDecoder* d, const FrameView* frame, DecodeBatch* batch, const JsonNode* nodes) noexcept nogil:
    cdef uint32_t pricebook = json_get(nodes, 0, "pricebook", 9), products = json_get(nodes, 0, "products", 8)
    cdef uint64_t sequence = 0
    cdef const Instrument* item
    if json_get(nodes, 0, "bids", 4) != JSON_ABSENT:
        if not json_uint(nodes, json_get(nodes, 0, "sequence", 8), False, &sequence):
            return STATUS_MALFORMED
        if frame.instrument_hint >= <uint32_t>d.instruments.count:
            return STATUS_UNKNOWN_SYMBOL
        return walk_book(d, frame, batch, &d.instruments.items[frame.instrument_hint], nodes, 0, sequence)
    if json_is_type(nodes, pricebook, b'{'):
        item = json_instrument(nodes, json_get(nodes, pricebook, "product_id", 10), d.instruments, d.venue_slot)
        return STATUS_UNKNOWN_SYMBOL if item == NULL else walk_book(d, frame, batch, item, nodes, pricebook, 0)
    if products != JSON_ABSENT:
        return close_products(batch, put_products(d, frame, batch, nodes, products, TS_NONE), TS_NONE)
    if json_get(nodes, 0, "status", 6) != JSON_ABSENT and (json_get(nodes, 0, "id", 2) != JSON_ABSENT
                                                           or json_get(nodes, 0, "product_id", 10) != JSON_ABSENT):
        return close_products(batch, put_product(d, frame, batch, nodes, 0, TS_NONE), TS_NONE)
    return STATUS_UNSUPPORTED


cdef int walk(CoinbaseDecoder* d, const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    cdef int status = json_tape_parse(d.tape, frame.data, frame.size, frame.size + FRAME_PADDING)
    cdef const JsonNode* nodes = d.tape.nodes
    cdef uint32_t channel, kind
    if status != STATUS_OK:
        return status
    if nodes[0].type == b'[':
        # A list of products; the arrays of the level3 channel are another protocol.
        if nodes[0].next == 1 or nodes[1].type != b'{':
            return STATUS_UNSUPPORTED
        return close_products(batch, put_products(d, frame, batch, nodes, 0, TS_NONE), TS_NONE)
    channel = json_get(nodes, 0, "channel", 7)
    kind = json_get(nodes, 0, "type", 4)
    if channel != JSON_ABSENT and not json_is_text(nodes, kind, "error", 5):
        return walk_advanced(d, frame, batch, nodes, channel)
    if kind != JSON_ABSENT:
        return walk_exchange(d, frame, batch, nodes, kind)
    return walk_body(d, frame, batch, nodes)


cdef int coinbase_decode(void* self, const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    cdef CoinbaseDecoder* d = <CoinbaseDecoder*>self
    cdef int status
    batch_clear(batch)
    if unlikely(frame.size > d.max_frame_bytes):
        return STATUS_TOO_LARGE
    if likely(d.use_scanner):
        batch.by_scanner = 1
        status = coinbase_scan(d, frame, batch)
        if likely(status == STATUS_OK):
            return status
        batch_clear(batch)
    status = walk(d, frame, batch)
    if status != STATUS_OK:
        batch.count = 0
        batch.level_count = 0
        batch.instrument = INSTRUMENT_NONE
    return status
