"""Bybit v5 public messages to input records.

The messages (bybit-exchange.github.io/docs/v5/websocket/public, seen 2026-11; recorded in 2026, where marked *):

    * {"topic":"orderbook.200.BTCUSDT","type":"delta","ts":1786310818130,"data":{"s":"BTCUSDT","b":[["65095.30","0.005"]],
       "a":[["65116.60","0"]],"u":15076953,"seq":753843913870},"cts":1786310818129}          linear, inverse; 1, 50, … levels
    * {"topic":"orderbook.200.BTCUSDT","ts":1786310816618,"type":"delta","data":{"s":"BTCUSDT","b":[["65140.4","0.875077"]],
       "a":[],"u":62505425,"seq":112488545865},"cts":1786310816585}                         spot
    * {"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":1786310819681,"data":[{"T":1786310819680,"s":"BTCUSDT","S":"Sell",
       "v":"0.004","p":"65114.20","L":"MinusTick","i":"a9188a0a-82bc-50de-be60-03eedbe3cdd7","BT":false,"RPI":false,"seq":7}]}
    * {"topic":"publicTrade.ETHUSDT","ts":1786310821917,"type":"snapshot","data":[{"i":"2280000001739247417","T":1786310821917,
       "p":"1923.28","v":"0.04537","S":"Sell","seq":178477362706,"s":"ETHUSDT","BT":false,"RPI":false}]}
    * {"topic":"tickers.BTCUSDT","type":"delta","data":{"symbol":"BTCUSDT","markPrice":"65117.43","bid1Price":"65114.20",
       "bid1Size":"6.054","ask1Price":"65114.30","ask1Size":"10.488"},"cs":753843915209,"ts":1786310818183}
    * {"topic":"tickers.BTCUSDT","ts":1786310819126,"type":"snapshot","cs":112488546160,"data":{"symbol":"BTCUSDT",
       "lastPrice":"65140.5","highPrice24h":"65305.6",…,"usdIndexPrice":"65091.459221"}}    spot: no bid and no ask
    * {"topic":"kline.1.BTCUSDT","data":[{"start":1786310760000,"end":1786310819999,"interval":"1","open":"65119.9",
       "close":"65114.3","high":"65119.9","low":"65114.2","volume":"1.576","turnover":"102627.995","confirm":false,…}],
       "ts":1786310818440,"type":"snapshot"}
      {"topic":"allLiquidation.ROSEUSDT","type":"snapshot","ts":1739502303204,"data":[{"T":1739502302929,"s":"ROSEUSDT",
       "S":"Sell","v":"20000","p":"0.04499"}]}                                              S: the position's side
      {"topic":"liquidation.BTCUSDT","type":"snapshot","ts":…,"data":{"updatedTime":…,"symbol":"BTCUSDT","side":"Buy",…}}
    * {"success":true,"ret_msg":"","conn_id":"…","req_id":"","op":"subscribe"}, {"op":"pong",…}, REST bodies {"retCode":0,…}

Books: u numbers the messages of a book, so each takes it from u - 1 to u; "cts" (the matching engine's clock) stands behind the
levels and is not used. A book of one level is sent again each 3 s with the same u, as a snapshot. An instrument must be
subscribed in one depth only.

Trades: an id that is a number is kept; of a UUID the high and the low 64 bits are folded into one by exclusive or.

Tickers: the decoder knows no earlier message, so a delta gives a quote only when it has both prices and both quantities. "cs"
does not compare with "u", so a quote has no update id.
"""
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp

from tickpath.market.instruments cimport Instrument, instrument_find
from tickpath.types cimport (
    DELTA_SNAPSHOT, EV_TRADE, INSTRUMENT_NONE, REFERENCE_FUNDING_RATE, REFERENCE_INDEX_PRICE, REFERENCE_LAST_PRICE,
    REFERENCE_MARK_PRICE, REFERENCE_OPEN_INTEREST, STATUS_IGNORED, STATUS_MALFORMED, STATUS_OK, STATUS_TOO_LARGE,
    STATUS_UNKNOWN_SYMBOL, STATUS_UNSUPPORTED, TRADE_SELL_AGGRESSOR, TS_NONE, Slot, TradeEvent, likely, unlikely,
)
from tickpath.venues.batch cimport (
    FRAME_PADDING, MESSAGE_BAR, MESSAGE_OTHER, MESSAGE_QUOTE, MESSAGE_TRADE, batch_clear, slot_open,
)
from tickpath.venues.bybit_scan cimport bybit_close_book, bybit_scan
from tickpath.venues.json_tape cimport (
    JSON_ABSENT, JsonNode, JsonTape, json_bool, json_decimal, json_get, json_instrument, json_is_member, json_is_text,
    json_is_type, json_tape_free, json_tape_new, json_tape_parse, json_uint,
)
from tickpath.venues.walk cimport (
    batch_room, json_is_empty_text, json_time_ns, put_candle, put_liquidation, put_quote, put_reference, put_rows,
)

cdef enum: NS_PER_MS = 1000000
# A book of BATCH_SLOTS levels has three for each.
cdef enum: TAPE_VALUES_MAX = 393216

cdef struct BybitDecoder:
    JsonTape* tape
    const InstrumentTable* instruments
    int64_t max_frame_bytes
    int32_t use_scanner
    uint8_t venue                 # VenueId
    uint8_t venue_slot


cdef BybitDecoder* bybit_decoder_new(uint8_t venue, uint8_t venue_slot, const InstrumentTable* instruments,
                                     int64_t max_frame_bytes, bint use_scanner) noexcept nogil:
    cdef BybitDecoder* d = <BybitDecoder*>calloc(1, sizeof(BybitDecoder))
    if d == NULL:
        return NULL
    d.venue = venue
    d.venue_slot = venue_slot
    d.instruments = instruments
    d.max_frame_bytes = max_frame_bytes
    d.use_scanner = use_scanner
    # A value takes two bytes at least ("1,").
    d.tape = json_tape_new(max_frame_bytes, <uint32_t>min(max_frame_bytes // 2 + 16, <int64_t>TAPE_VALUES_MAX))
    if d.tape == NULL:
        bybit_decoder_free(d)
        return NULL
    return d


cdef void bybit_decoder_free(void* self) noexcept nogil:
    cdef BybitDecoder* d = <BybitDecoder*>self
    if d != NULL:
        json_tape_free(d.tape)
        free(d)


cdef int walk_book(BybitDecoder* d, const FrameView* frame, DecodeBatch* batch, uint32_t data,
                   int64_t ts_venue_ns) noexcept nogil:
    cdef const JsonNode* nodes = d.tape.nodes
    cdef uint32_t type_node = json_get(nodes, 0, "type", 4)
    cdef const Instrument* item
    cdef uint64_t update_id = 0
    cdef int32_t asks
    cdef int status, flags = 0
    if not json_is_type(nodes, data, b'{') or not json_is_type(nodes, type_node, b's'):
        return STATUS_MALFORMED
    if json_is_text(nodes, type_node, "snapshot", 8):
        flags = DELTA_SNAPSHOT
    elif not json_is_text(nodes, type_node, "delta", 5):
        return STATUS_UNSUPPORTED
    if not json_uint(nodes, json_get(nodes, data, "u", 1), False, &update_id):
        return STATUS_MALFORMED
    item = json_instrument(nodes, json_get(nodes, data, "s", 1), d.instruments, d.venue_slot)
    if item == NULL:
        return STATUS_UNKNOWN_SYMBOL
    status = put_rows(batch, nodes, json_get(nodes, data, "b", 1), item)
    asks = batch.count
    if status == STATUS_OK:
        status = put_rows(batch, nodes, json_get(nodes, data, "a", 1), item)
    if status != STATUS_OK:
        return status
    bybit_close_book(batch, asks, d.venue, item, frame, ts_venue_ns, flags, update_id)
    return STATUS_OK


cdef inline int hex_digit(char c) noexcept nogil:
    if 48 <= c <= 57:
        return c - 48
    if 97 <= c <= 102:
        return c - 87
    return c - 55 if 65 <= c <= 70 else -1


# The id of a trade; False for text that is neither a number nor a UUID.
cdef bint trade_id_of(const JsonNode* nodes, uint32_t node, uint64_t* trade_id) noexcept nogil:
    cdef uint64_t[2] half
    cdef uint32_t i, n = 0
    cdef int digit
    if json_uint(nodes, node, True, trade_id):
        return True
    if nodes[node].size != 36:
        return False
    half[0] = half[1] = 0
    for i in range(36):
        if i == 8 or i == 13 or i == 18 or i == 23:
            if nodes[node].text[i] != 45:
                return False
            continue
        digit = hex_digit(nodes[node].text[i])
        if digit < 0:
            return False
        half[n >> 4] = half[n >> 4] << 4 | <uint64_t>digit
        n += 1
    trade_id[0] = half[0] ^ half[1]
    return True


# Elements of a list; STATUS_UNSUPPORTED costs this one only.
cdef int put_trade(BybitDecoder* d, const FrameView* frame, DecodeBatch* batch, uint32_t at,
                   const Instrument* item) noexcept nogil:
    cdef const JsonNode* nodes = d.tape.nodes
    cdef TradeEvent* t = <TradeEvent*>batch_room(batch, 1)
    cdef uint32_t side = json_get(nodes, at, "S", 1)
    cdef uint32_t id_node = json_get(nodes, at, "i", 1)
    cdef int64_t ts_venue_ns = TS_NONE
    cdef int status
    if t == NULL:
        return STATUS_TOO_LARGE
    if (not json_is_type(nodes, side, b's') or not json_is_type(nodes, id_node, b's')
            or not json_time_ns(nodes, json_get(nodes, at, "T", 1), False, &ts_venue_ns)):
        return STATUS_MALFORMED
    status = json_decimal(nodes, json_get(nodes, at, "p", 1), &item.price_grid, &t.price_ticks)
    if status == STATUS_OK:
        status = json_decimal(nodes, json_get(nodes, at, "v", 1), &item.qty_grid, &t.qty_lots)
    if status != STATUS_OK:
        return status
    if t.price_ticks <= 0 or t.qty_lots <= 0:
        return STATUS_MALFORMED
    if (not (json_is_text(nodes, side, "Buy", 3) or json_is_text(nodes, side, "Sell", 4))
            or not trade_id_of(nodes, id_node, &t.trade_id)):
        return STATUS_UNSUPPORTED
    slot_open(<Slot*>t, EV_TRADE, d.venue, item.instrument, frame.ts_recv_ns, ts_venue_ns,
              TRADE_SELL_AGGRESSOR if nodes[side].size == 4 else 0)
    t.trade_count = 1
    t.reserved = 0
    batch.count += 1
    batch.ts_venue_ns = ts_venue_ns
    return STATUS_OK


# Both messages name the side of the position that was closed, not of the order: Buy is a long one, closed by selling.
cdef int put_closed_position(BybitDecoder* d, const FrameView* frame, DecodeBatch* batch, const Instrument* item, uint32_t side,
                             uint32_t price, uint32_t qty, uint32_t time) noexcept nogil:
    cdef const JsonNode* nodes = d.tape.nodes
    cdef int64_t ts_venue_ns = TS_NONE
    cdef int status
    if not json_is_type(nodes, side, b's') or not json_time_ns(nodes, time, False, &ts_venue_ns):
        return STATUS_MALFORMED
    if not json_is_text(nodes, side, "Buy", 3) and not json_is_text(nodes, side, "Sell", 4):
        return STATUS_UNSUPPORTED
    status = put_liquidation(batch, frame, d.venue, item, nodes, price, qty, nodes[side].size == 3, ts_venue_ns)
    if status == STATUS_OK:
        batch.ts_venue_ns = ts_venue_ns
    return status


cdef int put_bar(BybitDecoder* d, const FrameView* frame, DecodeBatch* batch, uint32_t at, const Instrument* item) noexcept nogil:
    cdef const JsonNode* nodes = d.tape.nodes
    cdef int64_t ts_open_ns = 0, ts_last_ns = 0
    cdef uint32_t[5] values
    cdef bint closed = False
    if (not json_time_ns(nodes, json_get(nodes, at, "start", 5), False, &ts_open_ns)
            or not json_time_ns(nodes, json_get(nodes, at, "end", 3), False, &ts_last_ns)
            or not json_bool(nodes, json_get(nodes, at, "confirm", 7), &closed)):
        return STATUS_MALFORMED
    values[0] = json_get(nodes, at, "open", 4)
    values[1] = json_get(nodes, at, "high", 4)
    values[2] = json_get(nodes, at, "low", 3)
    values[3] = json_get(nodes, at, "close", 5)
    values[4] = json_get(nodes, at, "volume", 6)
    # "end" is the bar's last millisecond.
    return put_candle(batch, frame, d.venue, item, nodes, values, ts_open_ns, ts_last_ns + NS_PER_MS - ts_open_ns, closed)


cdef enum Topic:
    TOPIC_UNKNOWN = 0
    TOPIC_BOOK = 1
    TOPIC_TRADES = 2
    TOPIC_TICKER = 3
    TOPIC_KLINE = 4
    TOPIC_ALL_LIQUIDATIONS = 5
    TOPIC_LIQUIDATION = 6


cdef inline bint opens_with(const JsonNode* name, const char* text, uint32_t size) noexcept nogil:
    return name.size > size and memcmp(name.text, text, size) == 0


cdef int topic_of(const JsonNode* name) noexcept nogil:
    # "orderbook.rpi.…" has other rows.
    if opens_with(name, "orderbook.", 10) and 48 <= name.text[10] <= 57:
        return TOPIC_BOOK
    if opens_with(name, "publicTrade.", 12):
        return TOPIC_TRADES
    if opens_with(name, "tickers.", 8):
        return TOPIC_TICKER
    if opens_with(name, "kline.", 6):
        return TOPIC_KLINE
    if opens_with(name, "allLiquidation.", 15):
        return TOPIC_ALL_LIQUIDATIONS
    if opens_with(name, "liquidation.", 12):
        return TOPIC_LIQUIDATION
    return TOPIC_UNKNOWN


# "kline.1.BTCUSDT" is the only place where a bar's instrument stands.
cdef const Instrument* kline_instrument(const BybitDecoder* d, const JsonNode* name) noexcept nogil:
    cdef uint32_t i = 6
    while i < name.size and name.text[i] != b'.':
        i += 1
    if i + 1 >= name.size:
        return NULL
    return instrument_find(d.instruments, d.venue_slot, name.text + i + 1, name.size - i - 1)


cdef int walk_list(BybitDecoder* d, const FrameView* frame, DecodeBatch* batch, int topic, uint32_t name,
                   uint32_t data) noexcept nogil:
    cdef const JsonNode* nodes = d.tape.nodes
    cdef uint32_t at = data + 1
    cdef bint unknown_symbol = False
    cdef const Instrument* item
    cdef int status
    if not json_is_type(nodes, data, b'['):
        return STATUS_MALFORMED
    batch.kind = MESSAGE_TRADE if topic == TOPIC_TRADES else MESSAGE_BAR if topic == TOPIC_KLINE else MESSAGE_OTHER
    while at < nodes[data].next:
        if nodes[at].type != b'{':
            return STATUS_MALFORMED
        if topic == TOPIC_KLINE:
            item = kline_instrument(d, &nodes[name])
        else:
            item = json_instrument(nodes, json_get(nodes, at, "s", 1), d.instruments, d.venue_slot)
        if item == NULL:
            status = STATUS_UNSUPPORTED
            unknown_symbol = True
        elif topic == TOPIC_TRADES:
            status = put_trade(d, frame, batch, at, item)
        elif topic == TOPIC_KLINE:
            status = put_bar(d, frame, batch, at, item)
        else:
            status = put_closed_position(d, frame, batch, item, json_get(nodes, at, "S", 1), json_get(nodes, at, "p", 1),
                                         json_get(nodes, at, "v", 1), json_get(nodes, at, "T", 1))
        if status == STATUS_UNSUPPORTED:
            batch.skipped_count += 1
        elif status != STATUS_OK:
            return status
        elif batch.instrument == INSTRUMENT_NONE:
            batch.instrument = item.instrument
        at = nodes[at].next
    if batch.count == 0:
        if unknown_symbol:
            return STATUS_UNKNOWN_SYMBOL
        return STATUS_UNSUPPORTED if batch.skipped_count else STATUS_IGNORED
    return STATUS_OK


cdef int walk_liquidation(BybitDecoder* d, const FrameView* frame, DecodeBatch* batch, uint32_t data) noexcept nogil:
    cdef const JsonNode* nodes = d.tape.nodes
    cdef const Instrument* item
    batch.kind = MESSAGE_OTHER
    if not json_is_type(nodes, data, b'{'):
        return STATUS_MALFORMED
    item = json_instrument(nodes, json_get(nodes, data, "symbol", 6), d.instruments, d.venue_slot)
    if item == NULL:
        return STATUS_UNKNOWN_SYMBOL
    batch.instrument = item.instrument
    return put_closed_position(d, frame, batch, item, json_get(nodes, data, "side", 4), json_get(nodes, data, "price", 5),
                               json_get(nodes, data, "size", 4), json_get(nodes, data, "updatedTime", 11))


# Options call the same fields bidPrice, bidSize, ….
cdef inline uint32_t either(const JsonNode* nodes, uint32_t at, const char* key, uint32_t size, const char* option_key,
                            uint32_t option_size) noexcept nogil:
    cdef uint32_t node = json_get(nodes, at, key, size)
    return node if node != JSON_ABSENT else json_get(nodes, at, option_key, option_size)


cdef int walk_ticker(BybitDecoder* d, const FrameView* frame, DecodeBatch* batch, uint32_t data,
                     int64_t ts_venue_ns) noexcept nogil:
    cdef const JsonNode* nodes = d.tape.nodes
    cdef const Instrument* item
    cdef uint32_t bid_price, bid_qty, ask_price, ask_qty, rate, next_node
    cdef int64_t ts_next_ns = TS_NONE
    cdef int status = STATUS_OK
    if not json_is_type(nodes, data, b'{'):
        return STATUS_MALFORMED
    item = json_instrument(nodes, json_get(nodes, data, "symbol", 6), d.instruments, d.venue_slot)
    if item == NULL:
        return STATUS_UNKNOWN_SYMBOL
    batch.ts_venue_ns = ts_venue_ns
    batch.instrument = item.instrument
    batch.kind = MESSAGE_OTHER
    bid_price = either(nodes, data, "bid1Price", 9, "bidPrice", 8)
    bid_qty = either(nodes, data, "bid1Size", 8, "bidSize", 7)
    ask_price = either(nodes, data, "ask1Price", 9, "askPrice", 8)
    ask_qty = either(nodes, data, "ask1Size", 8, "askSize", 7)
    if bid_price != JSON_ABSENT and bid_qty != JSON_ABSENT and ask_price != JSON_ABSENT and ask_qty != JSON_ABSENT:
        status = put_quote(batch, frame, d.venue, item, nodes, bid_price, bid_qty, ask_price, ask_qty, ts_venue_ns)
        batch.kind = MESSAGE_QUOTE
    if status == STATUS_OK:
        status = put_reference(batch, frame, d.venue, item, nodes, json_get(nodes, data, "markPrice", 9), REFERENCE_MARK_PRICE,
                               ts_venue_ns, TS_NONE)
    if status == STATUS_OK:
        status = put_reference(batch, frame, d.venue, item, nodes, json_get(nodes, data, "indexPrice", 10),
                               REFERENCE_INDEX_PRICE, ts_venue_ns, TS_NONE)
    if status == STATUS_OK:
        status = put_reference(batch, frame, d.venue, item, nodes, json_get(nodes, data, "openInterest", 12),
                               REFERENCE_OPEN_INTEREST, ts_venue_ns, TS_NONE)
    rate = json_get(nodes, data, "fundingRate", 11)
    if status == STATUS_OK and rate != JSON_ABSENT:
        next_node = json_get(nodes, data, "nextFundingTime", 15)
        if (next_node != JSON_ABSENT and not json_is_empty_text(nodes, next_node) and not json_is_text(nodes, next_node, "0", 1)
                and not json_time_ns(nodes, next_node, True, &ts_next_ns)):
            return STATUS_MALFORMED
        status = put_reference(batch, frame, d.venue, item, nodes, rate, REFERENCE_FUNDING_RATE, ts_venue_ns, ts_next_ns)
    if status == STATUS_OK:
        status = put_reference(batch, frame, d.venue, item, nodes, json_get(nodes, data, "lastPrice", 9), REFERENCE_LAST_PRICE,
                               ts_venue_ns, TS_NONE)
    if status != STATUS_OK:
        return status
    return STATUS_OK if batch.count else STATUS_UNSUPPORTED if batch.skipped_count else STATUS_IGNORED


cdef int walk(BybitDecoder* d, const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    cdef const JsonNode* nodes
    cdef uint32_t name, ts, data
    cdef int64_t ts_venue_ns = TS_NONE
    cdef int status = json_tape_parse(d.tape, frame.data, frame.size, frame.size + FRAME_PADDING)
    cdef int topic
    if status != STATUS_OK:
        return status
    nodes = d.tape.nodes
    name = json_get(nodes, 0, "topic", 5)
    if name == JSON_ABSENT:
        if (json_get(nodes, 0, "op", 2) != JSON_ABSENT or json_get(nodes, 0, "success", 7) != JSON_ABSENT
                or json_get(nodes, 0, "retCode", 7) != JSON_ABSENT):
            batch.kind = MESSAGE_OTHER                 # what became of a subscription, a pong, a REST body
            return STATUS_IGNORED
        return STATUS_UNSUPPORTED
    if not json_is_member(name) or nodes[name].type != b's':
        return STATUS_MALFORMED
    topic = topic_of(&nodes[name])
    ts = json_get(nodes, 0, "ts", 2)
    # Every message of v5 has a time; older protocols call some of their topics alike.
    if topic == TOPIC_UNKNOWN or ts == JSON_ABSENT:
        return STATUS_UNSUPPORTED
    if not json_time_ns(nodes, ts, False, &ts_venue_ns):
        return STATUS_MALFORMED
    data = json_get(nodes, 0, "data", 4)
    if topic == TOPIC_BOOK:
        return walk_book(d, frame, batch, data, ts_venue_ns)
    if topic == TOPIC_TICKER:
        return walk_ticker(d, frame, batch, data, ts_venue_ns)
    if topic == TOPIC_LIQUIDATION:
        return walk_liquidation(d, frame, batch, data)
    if topic == TOPIC_KLINE:
        batch.ts_venue_ns = ts_venue_ns
    return walk_list(d, frame, batch, topic, name, data)


cdef int bybit_decode(void* self, const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    cdef BybitDecoder* d = <BybitDecoder*>self
    cdef int status
    batch_clear(batch)
    if unlikely(frame.size > d.max_frame_bytes):
        return STATUS_TOO_LARGE
    if likely(d.use_scanner):
        batch.by_scanner = 1
        status = bybit_scan(d.instruments, d.venue, d.venue_slot, frame, batch)
        if likely(status != 0):
            return status
        batch_clear(batch)
    status = walk(d, frame, batch)
    if status != STATUS_OK:
        batch.count = 0
    return status
