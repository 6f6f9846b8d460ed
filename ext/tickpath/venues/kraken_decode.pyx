"""Kraken spot messages to input records: WebSocket v2 (objects, numbers as they are) and v1 (arrays, numbers as text).

v2 (docs.kraken.com/api/docs/websocket-v2, pages book, trade, ticker, ohlc, instrument, status, level3; seen 2026-09):

    {"channel":"book","type":"snapshot","data":[{"symbol":"BTC/USD","bids":[{"price":64525.0,"qty":0.53807066}],
     "asks":[{"price":64525.1,"qty":0.01077490}],"checksum":2175437505,"timestamp":"2026-07-19T17:54:39.753424Z"}]}
    {"channel":"book","type":"update","data":[{"symbol":"BTC/USD","bids":[],"asks":[{"price":64525.3,"qty":0.00309336}],
     "checksum":1848203113,"timestamp":"2026-07-19T17:54:39.768901Z"}]}
    {"channel":"trade","type":"update","data":[{"symbol":"BTC/USD","side":"buy","price":77120.0,"qty":0.00048389,
     "ord_type":"limit","trade_id":105702534,"timestamp":"2026-08-22T17:30:53.355059Z"}]}
    {"channel":"ticker","type":"update","data":[{"symbol":"BTC/USD","bid":83744.2,"bid_qty":0.56251979,"ask":83744.3,
     "ask_qty":0.00044780,"last":83744.3,…,"change_pct":-0.51,"trades":135262,"timestamp":"2026-09-25T17:48:26.844359Z"}]}
    {"channel":"ohlc","type":"update","timestamp":"…","data":[{"symbol":"BTC/USD","open":71037.4,"high":71116.3,
     "low":70964.7,"close":70988.4,"trades":6,"volume":14.02,"vwap":71001.1,
     "interval_begin":"2026-04-09T07:00:00.000000000Z","interval":60,"timestamp":"2026-04-09T08:00:00.000000Z"}]}
    {"channel":"instrument","type":"update","data":{"assets":[],"pairs":[{"symbol":"EUR/USD","status":"online",…}]}}
    {"channel":"status","type":"update","data":[{"version":"2.0.10","system":"online","api_version":"v2",…}]}
    {"channel":"level3","type":"update","data":[{"symbol":"MATIC/USD","checksum":2143854316,"bids":[{"event":"delete",
     "order_id":"OICVDM-VV6DH-2PCM5H","limit_price":0.5567,"order_qty":1000.0,"timestamp":"2023-10-06T18:20:56.506266Z"}],
     "asks":[]}]}
    {"channel":"heartbeat"}   {"method":"subscribe","result":{…},"success":true,…}   {"method":"pong",…}

v1 (docs.kraken.com/api/docs/websocket-v1, pages book, trade, ticker, spread, ohlc; seen 2021-04 in the recorded captures):

    [992,{"as":[["355.24000000","27.19106411","1618678132.1"]],"bs":[]},"book-1000","XMR/USD"]
    [992,{"b":[["354.15000000","5.00000000","1618678133.365913"]],"c":"2583817756"},"book-1000","XMR/USD"]
    [1920,{"a":[["0.042990","364630.28272081","1618678145.920470","r"]]},{"b":[["0.042990","0.00000000",
     "1618678145.920708"]],"c":"4105471083"},"book-1000","SC/EUR"]
    [993,[["354.11000000","0.89594024","1618678142.557535","s","l",""]],"trade","XMR/USD"]
    [1668,{"a":["13.253900",35,"35.72892241"],"b":["13.232900",185,"185.18432037"],"c":[…],…},"ticker","WAVES/EUR"]
    [325,["43770.20000","43770.30000","1633053779.916349","0.00917717","0.31670440"],"spread","XBT/USD"]
    [42,["1542057314.748456","1542057360.435743","3586.7","3586.7","3586.6","3586.6","3586.68894","0.03373000",2],
     "ohlc-5","XBT/USD"]
    {"event":"heartbeat"}   {"event":"systemStatus","status":"online","version":"1.8.3",…}   {"event":"pong","reqid":42}

A book message's records come bids first in v2 and asks first in v1, whatever the order of the keys, and end with the venue's
checksum where the message has one (v1 snapshots have none). A v1 message's time is that of its newest level. The trades a v2
subscription opens with are history: they would be counted twice after a reconnect, so they are ignored. A bar of "ohlc" is
marked as closed only where the same message holds a later one, since the venue does not say. The checksum of level3 is
over the queues of orders, and stands in a message's last record.
"""
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from tickpath.decimal cimport grid_init
from tickpath.market.instruments cimport Instrument
from tickpath.types cimport (
    CANDLE_CLOSED, DELTA_ASK, DELTA_SNAPSHOT, EV_CONT, EV_ORDER_DELTA, INSTRUMENT_NONE, ORDER_ACTION_ADD, ORDER_ACTION_CHANGE,
    ORDER_ACTION_DELETE, ORDER_ACTION_INVALID, ORDER_DELTA_ASK, ORDER_DELTA_CHECKSUM, ORDER_DELTA_FIRST, ORDER_DELTA_LAST,
    ORDER_DELTA_SNAPSHOT, PRICE_TICKS_NONE, STATUS_IGNORED, STATUS_MALFORMED, STATUS_OK, STATUS_TOO_LARGE,
    STATUS_UNKNOWN_SYMBOL, STATUS_UNSUPPORTED, TS_NONE, CandleEvent, OrderDelta, QuoteEvent, Slot, likely, uint128, unlikely,
)
from tickpath.venues.batch cimport (
    BATCH_SLOTS, FRAME_PADDING, MESSAGE_BOOK_DELTA, MESSAGE_OTHER, MESSAGE_SNAPSHOT, MESSAGE_TRADE, batch_clear,
    batch_close_book_checked, slot_open,
)
from tickpath.venues.json_tape cimport (
    JSON_ABSENT, JsonNode, json_decimal, json_get, json_is_text, json_is_type, json_tape_free, json_tape_new, json_tape_parse,
    json_uint,
)
from tickpath.venues.kraken_records cimport (
    INTERVAL_MINUTES_MAX, KrakenDecoder, instrument_at, iso_time_at, put_candle, put_level, put_quote, put_status, put_trade,
    quote_side,
)
from tickpath.venues.kraken_scan cimport kraken_scan
from tickpath.venues.kraken_text cimport KRAKEN_CHECKSUM_MAX, KRAKEN_LEVELS_MAX, batch_note
from tickpath.venues.kraken_walk_v1 cimport walk_v1

# A v2 trade takes eight nodes for its record, more than anything else the scanner knows, whose limit is the batch alone.
cdef enum: TAPE_NODES = 8 * BATCH_SLOTS + 256
cdef enum: ORDER_ID_BYTES = 19


cdef void* kraken_decoder_new(uint8_t venue, uint8_t venue_slot, const InstrumentTable* instruments, int64_t max_frame_bytes,
                              bint use_scanner) noexcept nogil:
    cdef KrakenDecoder* d = <KrakenDecoder*>calloc(1, sizeof(KrakenDecoder))
    if d == NULL:
        return NULL
    d.scan.instruments = instruments
    d.scan.venue = venue
    d.scan.venue_slot = venue_slot
    # A true answer from the start: what is remembered is compared with any text.
    memcpy(d.scan.minute.text, b"1970-01-01T00:00", 16)
    d.scan.minute.ns = 0
    d.max_frame_bytes = max_frame_bytes
    d.use_scanner = use_scanner
    grid_init(&d.seconds_grid, 1, 9)
    d.tape = json_tape_new(max_frame_bytes, TAPE_NODES)
    if d.tape == NULL:
        free(d)
        return NULL
    return d


cdef void kraken_decoder_free(void* self) noexcept nogil:
    cdef KrakenDecoder* d = <KrakenDecoder*>self
    if d != NULL:
        json_tape_free(d.tape)
        free(d)


# ---- the general way into v2 ------------------------------------------------------------------------------------------

cdef int walk_levels(KrakenDecoder* d, const FrameView* frame, DecodeBatch* batch, const Instrument* item, uint32_t side,
                     int64_t ts_venue_ns, int flags) noexcept nogil:
    cdef const JsonNode* nodes = d.tape.nodes
    cdef uint32_t i = side + 1
    cdef int status
    while i < nodes[side].next:
        status = put_level(d, frame, batch, item, json_get(nodes, i, "price", 5), json_get(nodes, i, "qty", 3), ts_venue_ns,
                           flags)
        if status != STATUS_OK:
            return status
        i = nodes[i].next
    return STATUS_OK


# A side of a book: in a snapshot it must be there, in an update one side may be left out. Both absent is no book.
cdef inline bint sides_are_lists(const JsonNode* nodes, uint32_t bids, uint32_t asks, bint snapshot) noexcept nogil:
    if not json_is_type(nodes, bids, c'[') and (snapshot or bids != JSON_ABSENT):
        return False
    if not json_is_type(nodes, asks, c'[') and (snapshot or asks != JSON_ABSENT):
        return False
    return bids != JSON_ABSENT or asks != JSON_ABSENT


cdef int walk_book(KrakenDecoder* d, const FrameView* frame, DecodeBatch* batch, uint32_t at, bint snapshot) noexcept nogil:
    cdef const JsonNode* nodes = d.tape.nodes
    cdef const Instrument* item = instrument_at(d, json_get(nodes, at, "symbol", 6))
    cdef uint32_t bids = json_get(nodes, at, "bids", 4), asks = json_get(nodes, at, "asks", 4)
    cdef int32_t first = batch.count
    cdef int flags = DELTA_SNAPSHOT if snapshot else 0
    cdef int status = STATUS_OK
    cdef int64_t ts_venue_ns = TS_NONE
    cdef uint64_t checksum = 0
    if item == NULL:
        return STATUS_UNKNOWN_SYMBOL
    if (not sides_are_lists(nodes, bids, asks, snapshot)
            or not json_uint(nodes, json_get(nodes, at, "checksum", 8), False, &checksum) or checksum > KRAKEN_CHECKSUM_MAX
            or iso_time_at(nodes, json_get(nodes, at, "timestamp", 9), &ts_venue_ns) != STATUS_OK):
        return STATUS_MALFORMED
    if batch.count >= KRAKEN_LEVELS_MAX:
        return STATUS_TOO_LARGE
    batch_note(batch, item.instrument, ts_venue_ns)
    if bids != JSON_ABSENT:
        status = walk_levels(d, frame, batch, item, bids, ts_venue_ns, flags)
    if status == STATUS_OK and asks != JSON_ABSENT:
        status = walk_levels(d, frame, batch, item, asks, ts_venue_ns, flags | DELTA_ASK)
    if status != STATUS_OK:
        return status
    batch.kind = MESSAGE_SNAPSHOT if snapshot else MESSAGE_BOOK_DELTA
    batch_close_book_checked(batch, first, d.scan.venue, item.instrument, frame.ts_recv_ns, ts_venue_ns, flags, 0, 0,
                             <int64_t>checksum)
    return STATUS_OK


cdef int walk_trade(KrakenDecoder* d, const FrameView* frame, DecodeBatch* batch, uint32_t at) noexcept nogil:
    cdef const JsonNode* nodes = d.tape.nodes
    cdef const Instrument* item = instrument_at(d, json_get(nodes, at, "symbol", 6))
    cdef uint32_t side = json_get(nodes, at, "side", 4)
    cdef bint is_sell = json_is_text(nodes, side, "sell", 4)
    cdef uint64_t trade_id = 0
    cdef int64_t ts_venue_ns = TS_NONE
    if (not json_uint(nodes, json_get(nodes, at, "trade_id", 8), False, &trade_id) or not json_is_type(nodes, side, c's')
            or iso_time_at(nodes, json_get(nodes, at, "timestamp", 9), &ts_venue_ns) != STATUS_OK or ts_venue_ns == TS_NONE):
        return STATUS_MALFORMED
    if item == NULL:
        return STATUS_UNKNOWN_SYMBOL
    if not is_sell and not json_is_text(nodes, side, "buy", 3):
        batch.skipped_count += 1
        return STATUS_OK
    batch.kind = MESSAGE_TRADE
    return put_trade(d, frame, batch, item, json_get(nodes, at, "price", 5), json_get(nodes, at, "qty", 3), is_sell, trade_id,
                     ts_venue_ns)


cdef int walk_ticker(KrakenDecoder* d, const FrameView* frame, DecodeBatch* batch, uint32_t at) noexcept nogil:
    cdef const JsonNode* nodes = d.tape.nodes
    cdef const Instrument* item = instrument_at(d, json_get(nodes, at, "symbol", 6))
    cdef QuoteEvent* q = <QuoteEvent*>(batch.slots + batch.count)
    cdef int64_t ts_venue_ns = TS_NONE
    cdef int status
    if iso_time_at(nodes, json_get(nodes, at, "timestamp", 9), &ts_venue_ns) != STATUS_OK:
        return STATUS_MALFORMED
    if item == NULL:
        return STATUS_UNKNOWN_SYMBOL
    if batch.count == BATCH_SLOTS:
        return STATUS_TOO_LARGE
    status = quote_side(d, item, json_get(nodes, at, "bid", 3), json_get(nodes, at, "bid_qty", 7), &q.bid_price_ticks,
                        &q.bid_qty_lots)
    if status == STATUS_OK:
        status = quote_side(d, item, json_get(nodes, at, "ask", 3), json_get(nodes, at, "ask_qty", 7), &q.ask_price_ticks,
                            &q.ask_qty_lots)
    if status == STATUS_OK:
        put_quote(d, frame, batch, item, ts_venue_ns)
    return status


cdef int walk_candle(KrakenDecoder* d, const FrameView* frame, DecodeBatch* batch, uint32_t at) noexcept nogil:
    cdef const JsonNode* nodes = d.tape.nodes
    cdef const Instrument* item = instrument_at(d, json_get(nodes, at, "symbol", 6))
    cdef CandleEvent* last = <CandleEvent*>(batch.slots + batch.count - 2)
    cdef CandleEvent* c = <CandleEvent*>(batch.slots + batch.count)
    cdef uint32_t[5] values
    cdef uint64_t minutes = 0, trade_count = 0
    cdef int64_t ts_open_ns = TS_NONE
    cdef int status
    if (not json_uint(nodes, json_get(nodes, at, "interval", 8), False, &minutes) or minutes - 1 >= INTERVAL_MINUTES_MAX
            or not json_uint(nodes, json_get(nodes, at, "trades", 6), False, &trade_count)
            or iso_time_at(nodes, json_get(nodes, at, "interval_begin", 14), &ts_open_ns) != STATUS_OK or ts_open_ns == TS_NONE):
        return STATUS_MALFORMED
    if item == NULL:
        return STATUS_UNKNOWN_SYMBOL
    values[0] = json_get(nodes, at, "open", 4)
    values[1] = json_get(nodes, at, "high", 4)
    values[2] = json_get(nodes, at, "low", 3)
    values[3] = json_get(nodes, at, "close", 5)
    values[4] = json_get(nodes, at, "volume", 6)
    status = put_candle(d, frame, batch, item, values, trade_count, ts_open_ns, <int64_t>minutes * 60000000000LL)
    if status == STATUS_OK and batch.count > 2 and last.instrument == c.instrument and last.ts_open_ns < c.ts_open_ns:
        last.flags |= CANDLE_CLOSED
    return status


# "OICVDM-VV6DH-2PCM5H", six, five and six of 0-9A-Z, as a number of 17 digits in base 36: below 2^88, and one for each id.
cdef bint order_key(const char* text, long size, uint64_t* high, uint64_t* low) noexcept nogil:
    cdef uint128 key = 0
    cdef int i
    cdef char c
    if size != ORDER_ID_BYTES:
        return False
    for i in range(ORDER_ID_BYTES):
        c = text[i]
        if i == 6 or i == 12:
            if c != c'-':
                return False
        elif c'0' <= c <= c'9':
            key = key * 36 + <uint64_t>(c - c'0')
        elif c'A' <= c <= c'Z':
            key = key * 36 + <uint64_t>(c - c'A' + 10)
        else:
            return False
    high[0] = <uint64_t>(key >> 64)
    low[0] = <uint64_t>key
    return True


cdef int put_order(KrakenDecoder* d, const FrameView* frame, DecodeBatch* batch, const Instrument* item, uint32_t at,
                   int flags) noexcept nogil:
    cdef const JsonNode* nodes = d.tape.nodes
    cdef OrderDelta* o = <OrderDelta*>(batch.slots + batch.count)
    cdef uint32_t node = json_get(nodes, at, "order_id", 8)
    cdef int64_t ts_venue_ns = TS_NONE
    cdef uint32_t action = ORDER_ACTION_ADD
    cdef int status
    if batch.count + 2 > BATCH_SLOTS:
        return STATUS_TOO_LARGE
    if (not json_is_type(nodes, node, c's')
            or not order_key(nodes[node].text, nodes[node].size, &o.order_key_high, &o.order_key_low)):
        return STATUS_MALFORMED
    if not flags & ORDER_DELTA_SNAPSHOT:
        node = json_get(nodes, at, "event", 5)
        if json_is_text(nodes, node, "modify", 6):
            action = ORDER_ACTION_CHANGE
        elif json_is_text(nodes, node, "delete", 6):
            action = ORDER_ACTION_DELETE
        elif not json_is_text(nodes, node, "add", 3):
            return STATUS_MALFORMED
    status = json_decimal(nodes, json_get(nodes, at, "limit_price", 11), &item.price_grid, &o.price_ticks)
    o.qty_lots = 0                                     # what a deleted order leaves
    if status == STATUS_OK and action != ORDER_ACTION_DELETE:
        status = json_decimal(nodes, json_get(nodes, at, "order_qty", 9), &item.qty_grid, &o.qty_lots)
    if status == STATUS_OK:
        status = iso_time_at(nodes, json_get(nodes, at, "timestamp", 9), &ts_venue_ns)
    if status != STATUS_OK:
        return status
    if o.price_ticks <= 0 or o.qty_lots < 0 or (o.qty_lots == 0 and action != ORDER_ACTION_DELETE):
        return STATUS_MALFORMED
    put_order_head(d, frame, batch, item.instrument, ts_venue_ns, action, flags)
    return STATUS_OK


cdef void put_order_head(KrakenDecoder* d, const FrameView* frame, DecodeBatch* batch, uint32_t instrument, int64_t ts_venue_ns,
                         uint32_t action, int flags) noexcept nogil:
    cdef OrderDelta* o = <OrderDelta*>(batch.slots + batch.count)
    slot_open(<Slot*>o, EV_ORDER_DELTA, d.scan.venue, instrument, frame.ts_recv_ns, ts_venue_ns, flags)
    slot_open(<Slot*>o + 1, EV_CONT, d.scan.venue, instrument, frame.ts_recv_ns, ts_venue_ns, 1)
    o.update_id = 0
    o.action = action
    o.checksum = 0
    o.reserved2[0] = 0
    o.reserved2[1] = 0
    batch_note(batch, instrument, ts_venue_ns)
    batch.count += 2


cdef int walk_orders(KrakenDecoder* d, const FrameView* frame, DecodeBatch* batch, uint32_t at, bint snapshot) noexcept nogil:
    cdef const JsonNode* nodes = d.tape.nodes
    cdef const Instrument* item = instrument_at(d, json_get(nodes, at, "symbol", 6))
    cdef uint32_t[2] sides
    cdef uint32_t i
    cdef int32_t first = batch.count
    cdef int side, status, flags = ORDER_DELTA_SNAPSHOT if snapshot else 0
    cdef uint32_t node = json_get(nodes, at, "checksum", 8)
    cdef uint64_t checksum = 0
    cdef OrderDelta* o
    if item == NULL:
        return STATUS_UNKNOWN_SYMBOL
    if node != JSON_ABSENT and (not json_uint(nodes, node, False, &checksum) or checksum > KRAKEN_CHECKSUM_MAX):
        return STATUS_MALFORMED
    sides[0] = json_get(nodes, at, "bids", 4)
    sides[1] = json_get(nodes, at, "asks", 4)
    if not sides_are_lists(nodes, sides[0], sides[1], snapshot):
        return STATUS_MALFORMED
    for side in range(2):
        if sides[side] == JSON_ABSENT:
            continue
        i = sides[side] + 1
        while i < nodes[sides[side]].next:
            status = put_order(d, frame, batch, item, i, flags | (ORDER_DELTA_ASK if side else 0))
            if status != STATUS_OK:
                return status
            i = nodes[i].next
    if batch.count == first:
        if not snapshot:
            return STATUS_OK
        # Nobody has an order: one record that names none, so that whoever keeps the book empties it.
        if batch.count + 2 > BATCH_SLOTS:
            return STATUS_TOO_LARGE
        o = <OrderDelta*>(batch.slots + batch.count)
        o.price_ticks = PRICE_TICKS_NONE
        o.qty_lots = 0
        o.order_key_high = 0
        o.order_key_low = 0
        put_order_head(d, frame, batch, item.instrument, TS_NONE, ORDER_ACTION_INVALID, flags)
    else:
        batch.level_count += <uint32_t>(batch.count - first) // 2
    batch.slots[first].flags |= ORDER_DELTA_FIRST
    o = <OrderDelta*>(batch.slots + batch.count - 2)
    o.flags |= ORDER_DELTA_LAST
    if node != JSON_ABSENT:
        o.flags |= ORDER_DELTA_CHECKSUM
        o.checksum = <uint32_t>checksum
    batch.kind = MESSAGE_SNAPSHOT if snapshot else MESSAGE_BOOK_DELTA
    return STATUS_OK


cdef int walk_system(KrakenDecoder* d, const FrameView* frame, DecodeBatch* batch, uint32_t at) noexcept nogil:
    batch.kind = MESSAGE_OTHER
    return put_status(d, frame, batch, INSTRUMENT_NONE, json_get(d.tape.nodes, at, "system", 6))


# The channel names every pair of the venue: those we do not trade are nobody's loss.
cdef int walk_instruments(KrakenDecoder* d, const FrameView* frame, DecodeBatch* batch, uint32_t data) noexcept nogil:
    cdef const JsonNode* nodes = d.tape.nodes
    cdef const Instrument* item
    cdef uint32_t pairs, i
    cdef int status
    batch.kind = MESSAGE_OTHER
    if not json_is_type(nodes, data, c'{'):
        return STATUS_MALFORMED
    pairs = json_get(nodes, data, "pairs", 5)
    if pairs == JSON_ABSENT:
        return STATUS_IGNORED
    if not json_is_type(nodes, pairs, c'['):
        return STATUS_MALFORMED
    i = pairs + 1
    while i < nodes[pairs].next:
        item = instrument_at(d, json_get(nodes, i, "symbol", 6))
        if item != NULL:
            status = put_status(d, frame, batch, item.instrument, json_get(nodes, i, "status", 6))
            if status != STATUS_OK:
                return status
        i = nodes[i].next
    return STATUS_OK if batch.count else STATUS_IGNORED


cdef enum Channel:
    CHANNEL_BOOK = 1
    CHANNEL_TRADE = 2
    CHANNEL_TICKER = 3
    CHANNEL_OHLC = 4
    CHANNEL_LEVEL3 = 5
    CHANNEL_STATUS = 6


cdef int walk_channel(KrakenDecoder* d, const FrameView* frame, DecodeBatch* batch, uint32_t channel) noexcept nogil:
    cdef const JsonNode* nodes = d.tape.nodes
    cdef uint32_t kind = json_get(nodes, 0, "type", 4), data = json_get(nodes, 0, "data", 4), i, unknown = 0
    cdef bint snapshot = json_is_text(nodes, kind, "snapshot", 8)
    cdef int which, status = STATUS_OK
    if json_is_text(nodes, channel, "heartbeat", 9):
        batch.kind = MESSAGE_OTHER
        return STATUS_IGNORED
    if json_is_text(nodes, channel, "book", 4):
        which = CHANNEL_BOOK
    elif json_is_text(nodes, channel, "trade", 5):
        which = CHANNEL_TRADE
    elif json_is_text(nodes, channel, "ticker", 6):
        which = CHANNEL_TICKER
    elif json_is_text(nodes, channel, "ohlc", 4):
        which = CHANNEL_OHLC
    elif json_is_text(nodes, channel, "level3", 6):
        which = CHANNEL_LEVEL3
    elif json_is_text(nodes, channel, "status", 6):
        which = CHANNEL_STATUS
    elif json_is_text(nodes, channel, "instrument", 10):
        return walk_instruments(d, frame, batch, data)
    else:
        return STATUS_UNSUPPORTED if json_is_type(nodes, channel, c's') else STATUS_MALFORMED
    if not snapshot and not json_is_text(nodes, kind, "update", 6):
        return STATUS_UNSUPPORTED if json_is_type(nodes, kind, c's') else STATUS_MALFORMED
    if not json_is_type(nodes, data, c'['):
        return STATUS_MALFORMED
    if which == CHANNEL_TRADE and snapshot:
        batch.kind = MESSAGE_OTHER
        return STATUS_IGNORED
    i = data + 1
    while i < nodes[data].next:
        if which == CHANNEL_BOOK:
            status = walk_book(d, frame, batch, i, snapshot)
        elif which == CHANNEL_TRADE:
            status = walk_trade(d, frame, batch, i)
        elif which == CHANNEL_TICKER:
            status = walk_ticker(d, frame, batch, i)
        elif which == CHANNEL_OHLC:
            status = walk_candle(d, frame, batch, i)
        elif which == CHANNEL_LEVEL3:
            status = walk_orders(d, frame, batch, i, snapshot)
        else:
            status = walk_system(d, frame, batch, i)
        if status == STATUS_UNKNOWN_SYMBOL:
            unknown += 1
        elif status != STATUS_OK:
            return status
        i = nodes[i].next
    if batch.count == 0:
        batch.kind = MESSAGE_OTHER
        return STATUS_UNKNOWN_SYMBOL if unknown else STATUS_IGNORED
    batch.skipped_count += unknown
    return STATUS_OK


# ---- any message ------------------------------------------------------------------------------------------------------

cdef int walk_event(KrakenDecoder* d, const FrameView* frame, DecodeBatch* batch, uint32_t event) noexcept nogil:
    cdef const JsonNode* nodes = d.tape.nodes
    if json_is_text(nodes, event, "systemStatus", 12):
        batch.kind = MESSAGE_OTHER
        return put_status(d, frame, batch, INSTRUMENT_NONE, json_get(nodes, 0, "status", 6))
    if (json_is_text(nodes, event, "heartbeat", 9) or json_is_text(nodes, event, "subscriptionStatus", 18)
            or json_is_text(nodes, event, "pong", 4) or json_is_text(nodes, event, "error", 5)):
        batch.kind = MESSAGE_OTHER
        return STATUS_IGNORED
    return STATUS_UNSUPPORTED if json_is_type(nodes, event, c's') else STATUS_MALFORMED


cdef int walk(KrakenDecoder* d, const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    cdef const JsonNode* nodes = d.tape.nodes
    cdef int status = json_tape_parse(d.tape, frame.data, frame.size, frame.size + FRAME_PADDING)
    cdef uint32_t node
    if status != STATUS_OK:
        return status
    if nodes[0].type == c'[':
        return walk_v1(d, frame, batch)
    node = json_get(nodes, 0, "channel", 7)
    if node != JSON_ABSENT:
        return walk_channel(d, frame, batch, node)
    node = json_get(nodes, 0, "event", 5)
    if node != JSON_ABSENT:
        return walk_event(d, frame, batch, node)
    if (json_get(nodes, 0, "method", 6) != JSON_ABSENT or json_get(nodes, 0, "error", 5) != JSON_ABSENT
            or json_get(nodes, 0, "success", 7) != JSON_ABSENT or json_get(nodes, 0, "errorMessage", 12) != JSON_ABSENT):
        batch.kind = MESSAGE_OTHER                     # a reply to a request, or a REST body about instruments
        return STATUS_IGNORED
    return STATUS_UNSUPPORTED


cdef int kraken_decode(void* self, const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    cdef KrakenDecoder* d = <KrakenDecoder*>self
    cdef int status
    batch_clear(batch)
    if unlikely(frame.size > d.max_frame_bytes):
        return STATUS_TOO_LARGE
    if likely(d.use_scanner):
        batch.by_scanner = 1
        status = kraken_scan(&d.scan, frame, batch)
        if likely(status == STATUS_OK):
            return status
        batch_clear(batch)
    status = walk(d, frame, batch)
    if status != STATUS_OK:
        batch.count = 0
        batch.level_count = 0
        batch.skipped_count = 0
        batch.instrument = INSTRUMENT_NONE
        batch.ts_venue_ns = TS_NONE
    return status


# ---- order ids, for tools and tests -----------------------------------------------------------------------------------

def order_id_to_key(str order_id):
    """(order_key_high, order_key_low) of a level3 order id. ValueError when it is none."""
    cdef uint64_t high = 0, low = 0
    text = order_id.encode()
    if not order_key(text, len(text), &high, &low):
        raise ValueError(f"order_id: expected 6-5-6 characters of 0-9A-Z, found {order_id!r}")
    return high, low


def order_key_to_id(uint64_t high, uint64_t low):
    """The level3 order id of a key. ValueError when no id has it."""
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    key, text = int(high) << 64 | int(low), ""
    if key >= 36 ** 17:
        raise ValueError(f"order key: expected less than 36^17, found {key}")
    for _ in range(17):
        key, digit = divmod(key, 36)
        text = digits[digit] + text
    return f"{text[:6]}-{text[6:11]}-{text[11:]}"
