"""OKX v5 messages to input records.

The messages (okx.com/docs-v5/en, "Public Channel" and "Market Data", seen 2026-11; recorded in 2021 and 2022, where marked *):

    * {"arg":{"channel":"books","instId":"BTC-USDT"},"action":"update","data":[{"asks":[["30243.5","1.2112","0","4"]],
       "bids":[],"ts":"1652459225453","checksum":-652563973}]}                     also books-l2-tbt *, books50-l2-tbt
      … "checksum":0,"seqId":9690930617,"prevSeqId":9690930615}]}                  newer: ids, and no checksum any more
      {"arg":{"channel":"bbo-tbt","instId":"BTC-USDT"},"data":[{"asks":[["8476.98","415","0","13"]],
       "bids":[["8476.97","256","0","12"]],"ts":"1597026383085","seqId":123456}]}  also books5
    * {"arg":{"channel":"trades","instId":"BTC-USDT"},"data":[{"instId":"BTC-USDT","tradeId":"130639474","px":"42219.9",
       "sz":"0.12060306","side":"buy","ts":"1630048897897"}]}                      newer: "count":"3", "source":"0"
    * {"arg":{"channel":"tickers","instId":"UNI-USD-SWAP"},"data":[{"instType":"SWAP","instId":"UNI-USD-SWAP","last":"5.123",
       "lastSz":"100","askPx":"5.142","askSz":"25","bidPx":"5.134","bidSz":"96","open24h":"4.799",…,"ts":"1652459223143"}]}
      {"arg":{"channel":"candle1m","instId":"BTC-USDT"},"data":[["1597026383085","8533.02","8553.74","8527.17","8548.26",
       "45247","529.5858061","529.5858061","0"]]}                                  open time, o, h, l, c, volume, …, closed
      {"arg":{"channel":"mark-price","instId":"BTC-USDT"},"data":[{"instId":"BTC-USDT","markPx":"42310.6","ts":"…"}]}
      {"arg":{"channel":"index-tickers",…},"data":[{"instId":"BTC-USDT","idxPx":"42310.1","ts":"…"}]}
      {"arg":{"channel":"funding-rate",…},"data":[{"instId":"…","fundingRate":"0.0001","fundingTime":"…","ts":"…"}]}
      {"arg":{"channel":"open-interest",…},"data":[{"instId":"…","oi":"2216113.01","oiCcy":"…","ts":"…"}]}
      {"arg":{"channel":"liquidation-orders","instType":"SWAP"},"data":[{"details":[{"bkPx":"0.007831","side":"buy",
       "posSide":"short","sz":"13","ts":"1692266434010"}],"instId":"IOST-USDT-SWAP"}]}
      {"arg":{"channel":"status"},"data":[{"state":"ongoing","serviceType":"5","env":"1","ts":"1597026383085",…}]}
      {"arg":{"channel":"instruments","instType":"SWAP"},"data":[{"instId":"BTC-USDT-SWAP","state":"live",…}]}
    * {"event":"subscribe","arg":{…}}, "error", "notice", "channel-conn-count"; REST bodies {"code":"0","data":[…],"msg":""}
      pong                                                                         text, not JSON

Books: a book has asks first, as sent. books5 and bbo-tbt send nothing but snapshots, so an instrument must be subscribed in
one book channel only. How ids chain is said at okx_update_ids. Candles of months are not taken: their length differs.
"""
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy, memset

from tickpath.market.instruments cimport Instrument
from tickpath.types cimport (
    DELTA_SNAPSHOT, EV_INSTRUMENT_STATUS, EV_TRADE, INSTRUMENT_NONE, REFERENCE_FUNDING_RATE, REFERENCE_INDEX_PRICE,
    REFERENCE_MARK_PRICE, REFERENCE_OPEN_INTEREST, STATUS_IGNORED, STATUS_MALFORMED, STATUS_OK, STATUS_TOO_LARGE,
    STATUS_UNKNOWN_SYMBOL, STATUS_UNSUPPORTED, TRADE_AGGREGATE, TRADE_SELL_AGGRESSOR, TS_NONE, VENUE_STATUS_DELISTED,
    VENUE_STATUS_HALTED, VENUE_STATUS_POST_ONLY, VENUE_STATUS_TRADING, VENUE_STATUS_UNKNOWN, InstrumentStatusEvent, Slot,
    TradeEvent, likely, unlikely,
)
from tickpath.venues.batch cimport (
    FRAME_PADDING, MESSAGE_BAR, MESSAGE_BOOK_DELTA, MESSAGE_OTHER, MESSAGE_QUOTE, MESSAGE_SNAPSHOT, MESSAGE_TRADE, batch_clear,
    slot_open,
)
from tickpath.venues.json_tape cimport (
    JSON_ABSENT, JsonNode, JsonTape, json_at, json_decimal, json_get, json_instrument, json_is_member, json_is_text,
    json_is_type, json_tape_free, json_tape_new, json_tape_parse, json_uint,
)
from tickpath.venues.okx_scan cimport (
    TAIL_CHECKSUM, TAIL_PREV, TAIL_SEQ, TAIL_TS, OkxBookTail, okx_close_book, okx_scan, okx_update_ids,
)
from tickpath.venues.walk cimport (
    batch_room, json_int, json_time_ns, put_candle, put_liquidation, put_quote, put_reference, put_rows,
)

cdef enum: NS_PER_S = 1000000000
# A book of BATCH_SLOTS levels has five for each.
cdef enum: TAPE_VALUES_MAX = 393216

# A channel by its name's text.
cdef enum Channel:
    CHANNEL_UNKNOWN = 0
    CHANNEL_BOOK = 1              # snapshots and updates
    CHANNEL_WHOLE_BOOK = 2        # snapshots only
    CHANNEL_TRADES = 3
    CHANNEL_TICKERS = 4
    CHANNEL_CANDLE = 5
    CHANNEL_MARK_PRICE = 6
    CHANNEL_INDEX_TICKERS = 7
    CHANNEL_FUNDING_RATE = 8
    CHANNEL_OPEN_INTEREST = 9
    CHANNEL_LIQUIDATIONS = 10
    CHANNEL_STATUS = 11
    CHANNEL_INSTRUMENTS = 12

cdef struct OkxDecoder:
    JsonTape* tape
    const InstrumentTable* instruments
    int64_t max_frame_bytes
    int32_t use_scanner
    uint8_t venue                 # VenueId
    uint8_t venue_slot


cdef OkxDecoder* okx_decoder_new(uint8_t venue, uint8_t venue_slot, const InstrumentTable* instruments,
                                 int64_t max_frame_bytes, bint use_scanner) noexcept nogil:
    cdef OkxDecoder* d = <OkxDecoder*>calloc(1, sizeof(OkxDecoder))
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
        okx_decoder_free(d)
        return NULL
    return d


cdef void okx_decoder_free(void* self) noexcept nogil:
    cdef OkxDecoder* d = <OkxDecoder*>self
    if d != NULL:
        json_tape_free(d.tape)
        free(d)


cdef int channel_of(const JsonNode* nodes, uint32_t name) noexcept nogil:
    if json_is_text(nodes, name, "books", 5) or json_is_text(nodes, name, "books-l2-tbt", 12) \
            or json_is_text(nodes, name, "books50-l2-tbt", 14):
        return CHANNEL_BOOK
    if json_is_text(nodes, name, "books5", 6) or json_is_text(nodes, name, "bbo-tbt", 7):
        return CHANNEL_WHOLE_BOOK
    if json_is_text(nodes, name, "trades", 6) or json_is_text(nodes, name, "trades-all", 10):
        return CHANNEL_TRADES
    if json_is_text(nodes, name, "tickers", 7):
        return CHANNEL_TICKERS
    if nodes[name].size > 6 and memcmp(nodes[name].text, "candle", 6) == 0:
        return CHANNEL_CANDLE
    if json_is_text(nodes, name, "mark-price", 10):
        return CHANNEL_MARK_PRICE
    if json_is_text(nodes, name, "index-tickers", 13):
        return CHANNEL_INDEX_TICKERS
    if json_is_text(nodes, name, "funding-rate", 12):
        return CHANNEL_FUNDING_RATE
    if json_is_text(nodes, name, "open-interest", 13):
        return CHANNEL_OPEN_INTEREST
    if json_is_text(nodes, name, "liquidation-orders", 18):
        return CHANNEL_LIQUIDATIONS
    if json_is_text(nodes, name, "status", 6):
        return CHANNEL_STATUS
    if json_is_text(nodes, name, "instruments", 11):
        return CHANNEL_INSTRUMENTS
    return CHANNEL_UNKNOWN


# The length of the bars of "candle1m", "candle4Hutc", … in ns; 0 for months and whatever else is none of fixed length.
cdef int64_t candle_interval_ns(const JsonNode* name) noexcept nogil:
    cdef uint32_t i = 6
    cdef int64_t n = 0
    while i < name.size and i < 8 and 48 <= name.text[i] <= 57:
        n = n * 10 + (name.text[i] - 48)
        i += 1
    if i >= name.size or (i + 1 != name.size and not (i + 4 == name.size and memcmp(name.text + i + 1, "utc", 3) == 0)):
        return 0
    if name.text[i] == b's':
        return n * NS_PER_S
    if name.text[i] == b'm':
        return n * 60 * NS_PER_S
    if name.text[i] == b'H':
        return n * 3600 * NS_PER_S
    if name.text[i] == b'D':
        return n * 86400 * NS_PER_S
    if name.text[i] == b'W':
        return n * 604800 * NS_PER_S
    return 0


# ---- one book message -----------------------------------------------------------------------------------------------
cdef int read_tail(const JsonNode* nodes, uint32_t at, OkxBookTail* t) noexcept nogil:
    cdef uint32_t node
    cdef int64_t value = 0
    t.seen = 0
    t.checksum = 0
    t.seq_id = t.prev_seq_id = 0
    if not json_time_ns(nodes, json_get(nodes, at, "ts", 2), True, &t.ts_venue_ns):
        return STATUS_MALFORMED
    t.seen |= TAIL_TS
    node = json_get(nodes, at, "checksum", 8)
    if node != JSON_ABSENT:
        if not json_int(nodes, node, &t.checksum) or not -0x80000000LL <= t.checksum <= 0x7FFFFFFFLL:
            return STATUS_MALFORMED
        t.seen |= TAIL_CHECKSUM
    node = json_get(nodes, at, "seqId", 5)
    if node != JSON_ABSENT:
        if not json_int(nodes, node, &value) or value < 0:
            return STATUS_MALFORMED
        t.seq_id = <uint64_t>value
        t.seen |= TAIL_SEQ
    node = json_get(nodes, at, "prevSeqId", 9)
    if node != JSON_ABSENT:
        if not json_int(nodes, node, &value) or value < -1:
            return STATUS_MALFORMED
        t.prev_seq_id = <uint64_t>value
        t.seen |= TAIL_PREV
    return STATUS_OK


cdef int walk_book(OkxDecoder* d, const FrameView* frame, DecodeBatch* batch, uint32_t arg, uint32_t data,
                   bint whole) noexcept nogil:
    cdef const JsonNode* nodes = d.tape.nodes
    cdef uint32_t action = json_get(nodes, 0, "action", 6)
    cdef uint32_t at
    cdef const Instrument* item
    cdef OkxBookTail tail
    cdef int32_t first, bids
    cdef int status, flags = 0
    if whole or json_is_text(nodes, action, "snapshot", 8):
        flags = DELTA_SNAPSHOT
    elif not json_is_text(nodes, action, "update", 6):
        return STATUS_UNSUPPORTED if json_is_type(nodes, action, b's') else STATUS_MALFORMED
    item = json_instrument(nodes, json_get(nodes, arg, "instId", 6), d.instruments, d.venue_slot)
    if item == NULL:
        return STATUS_UNKNOWN_SYMBOL
    at = data + 1
    while at < nodes[data].next:
        first = batch.count
        status = read_tail(nodes, at, &tail)
        if status == STATUS_OK and not okx_update_ids(&tail, flags):
            status = STATUS_MALFORMED
        if status == STATUS_OK:
            status = put_rows(batch, nodes, json_get(nodes, at, "asks", 4), item)
        bids = batch.count
        if status == STATUS_OK:
            status = put_rows(batch, nodes, json_get(nodes, at, "bids", 4), item)
        if status != STATUS_OK:
            return status
        if batch_room(batch, 2) == NULL:
            return STATUS_TOO_LARGE
        okx_close_book(batch, first, bids, d.venue, item, frame.ts_recv_ns, flags, &tail)
        batch.ts_venue_ns = tail.ts_venue_ns
        at = nodes[at].next
    if batch.count == 0:
        return STATUS_IGNORED
    batch.kind = MESSAGE_SNAPSHOT if flags else MESSAGE_BOOK_DELTA
    batch.instrument = item.instrument
    return STATUS_OK


# A book by REST, {"code":"0","data":[{"asks":…,"bids":…,"ts":…,"seqId":…}],"msg":""}, whose instrument the hint says.
# first_update_id = 0 tells the book that it was asked for, and that kept messages follow (market/book.pxd).
cdef int walk_rest_book(OkxDecoder* d, const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    cdef const JsonNode* nodes = d.tape.nodes
    cdef uint32_t data = json_get(nodes, 0, "data", 4)
    cdef const Instrument* item
    cdef OkxBookTail tail
    cdef int32_t bids
    cdef int status
    if (frame.instrument_hint >= <uint32_t>d.instruments.count or not json_is_type(nodes, data, b'[')
            or not json_is_type(nodes, json_at(nodes, data, 0), b'{')
            or json_get(nodes, json_at(nodes, data, 0), "asks", 4) == JSON_ABSENT):
        return STATUS_IGNORED
    item = &d.instruments.items[frame.instrument_hint]
    data = json_at(nodes, data, 0)
    status = read_tail(nodes, data, &tail)
    if status == STATUS_OK and (not tail.seen & TAIL_SEQ or tail.seq_id == 0 or item.venue_slot != d.venue_slot):
        status = STATUS_MALFORMED
    if status == STATUS_OK:
        status = put_rows(batch, nodes, json_get(nodes, data, "asks", 4), item)
    bids = batch.count
    if status == STATUS_OK:
        status = put_rows(batch, nodes, json_get(nodes, data, "bids", 4), item)
    if status != STATUS_OK:
        return status
    if batch_room(batch, 2) == NULL:
        return STATUS_TOO_LARGE
    tail.first_update_id = tail.checksum = 0
    tail.last_update_id = tail.seq_id
    okx_close_book(batch, 0, bids, d.venue, item, frame.ts_recv_ns, DELTA_SNAPSHOT, &tail)
    batch.ts_venue_ns = tail.ts_venue_ns
    batch.kind = MESSAGE_SNAPSHOT
    batch.instrument = item.instrument
    return STATUS_OK


# ---- elements of a list; STATUS_UNSUPPORTED costs this one only --------------------------------------------------------
cdef int put_trade(OkxDecoder* d, const FrameView* frame, DecodeBatch* batch, uint32_t at, const Instrument* item) noexcept nogil:
    cdef const JsonNode* nodes = d.tape.nodes
    cdef TradeEvent* t = <TradeEvent*>batch_room(batch, 1)
    cdef uint32_t side = json_get(nodes, at, "side", 4)
    cdef uint32_t count_node = json_get(nodes, at, "count", 5)
    cdef uint64_t count = 0
    cdef int64_t ts_venue_ns = TS_NONE
    cdef int status, flags = 0
    if t == NULL:
        return STATUS_TOO_LARGE
    if json_is_text(nodes, side, "sell", 4):
        flags = TRADE_SELL_AGGRESSOR
    elif not json_is_text(nodes, side, "buy", 3):
        return STATUS_UNSUPPORTED if json_is_type(nodes, side, b's') else STATUS_MALFORMED
    if not json_uint(nodes, json_get(nodes, at, "tradeId", 7), True, &t.trade_id):
        return STATUS_MALFORMED
    if not json_time_ns(nodes, json_get(nodes, at, "ts", 2), True, &ts_venue_ns):
        return STATUS_MALFORMED
    if count_node != JSON_ABSENT:
        if not json_uint(nodes, count_node, True, &count) or count == 0 or count > 0x7FFFFFFF:
            return STATUS_MALFORMED
        flags |= TRADE_AGGREGATE
    status = json_decimal(nodes, json_get(nodes, at, "px", 2), &item.price_grid, &t.price_ticks)
    if status == STATUS_OK:
        status = json_decimal(nodes, json_get(nodes, at, "sz", 2), &item.qty_grid, &t.qty_lots)
    if status != STATUS_OK:
        return status
    if t.price_ticks <= 0 or t.qty_lots <= 0:
        return STATUS_MALFORMED
    slot_open(<Slot*>t, EV_TRADE, d.venue, item.instrument, frame.ts_recv_ns, ts_venue_ns, flags)
    t.trade_count = <uint32_t>count if count else 1
    t.reserved = 0
    batch.count += 1
    batch.ts_venue_ns = ts_venue_ns
    return STATUS_OK


cdef int put_bar(OkxDecoder* d, const FrameView* frame, DecodeBatch* batch, uint32_t at, const Instrument* item,
                 int64_t interval_ns) noexcept nogil:
    cdef const JsonNode* nodes = d.tape.nodes
    cdef int64_t ts_open_ns = 0
    cdef uint32_t[5] values
    cdef uint32_t i
    if not json_time_ns(nodes, json_at(nodes, at, 0), True, &ts_open_ns):
        return STATUS_MALFORMED
    for i in range(5):
        values[i] = json_at(nodes, at, i + 1)
    # Rows of 2021 end behind the volumes and do not say whether the bar is closed.
    return put_candle(batch, frame, d.venue, item, nodes, values, ts_open_ns, interval_ns,
                      json_is_text(nodes, json_at(nodes, at, 8), "1", 1))


cdef int put_liquidations(OkxDecoder* d, const FrameView* frame, DecodeBatch* batch, uint32_t element,
                          const Instrument* item) noexcept nogil:
    cdef const JsonNode* nodes = d.tape.nodes
    cdef uint32_t details = json_get(nodes, element, "details", 7)
    cdef uint32_t at, side
    cdef int64_t ts_venue_ns = TS_NONE
    cdef int status
    if not json_is_type(nodes, details, b'['):
        return STATUS_MALFORMED
    at = details + 1
    while at < nodes[details].next:
        side = json_get(nodes, at, "side", 4)
        if not json_is_type(nodes, side, b's') or not json_time_ns(nodes, json_get(nodes, at, "ts", 2), True, &ts_venue_ns):
            return STATUS_MALFORMED
        if json_is_text(nodes, side, "sell", 4) or json_is_text(nodes, side, "buy", 3):
            status = put_liquidation(batch, frame, d.venue, item, nodes, json_get(nodes, at, "bkPx", 4),
                                     json_get(nodes, at, "sz", 2), nodes[side].size == 4, ts_venue_ns)
            if status != STATUS_OK:
                return status
            batch.ts_venue_ns = ts_venue_ns
        else:
            batch.skipped_count += 1
        at = nodes[at].next
    return STATUS_OK


cdef int put_status(OkxDecoder* d, const FrameView* frame, DecodeBatch* batch, const JsonNode* word, uint32_t status,
                    uint32_t instrument, int64_t ts_venue_ns) noexcept nogil:
    cdef InstrumentStatusEvent* s = <InstrumentStatusEvent*>batch_room(batch, 1)
    if s == NULL:
        return STATUS_TOO_LARGE
    slot_open(<Slot*>s, EV_INSTRUMENT_STATUS, d.venue, instrument, frame.ts_recv_ns, ts_venue_ns, 0)
    s.status = status
    s.reserved = 0
    memset(s.text, 0, 16)
    memcpy(s.text, word.text, word.size if word.size < 16 else 16)
    s.reserved2 = 0
    batch.count += 1
    return STATUS_OK


cdef int put_instrument_state(OkxDecoder* d, const FrameView* frame, DecodeBatch* batch, uint32_t at,
                              const Instrument* item) noexcept nogil:
    cdef const JsonNode* nodes = d.tape.nodes
    cdef uint32_t state = json_get(nodes, at, "state", 5)
    cdef uint32_t status = VENUE_STATUS_UNKNOWN
    if not json_is_type(nodes, state, b's'):
        return STATUS_MALFORMED
    if json_is_text(nodes, state, "live", 4):
        status = VENUE_STATUS_TRADING
    elif json_is_text(nodes, state, "post_only", 9):
        status = VENUE_STATUS_POST_ONLY
    elif json_is_text(nodes, state, "expired", 7):
        status = VENUE_STATUS_DELISTED
    elif (json_is_text(nodes, state, "suspend", 7) or json_is_text(nodes, state, "preopen", 7)
            or json_is_text(nodes, state, "settling", 8) or json_is_text(nodes, state, "rebase", 6)
            or json_is_text(nodes, state, "test", 4)):
        status = VENUE_STATUS_HALTED
    return put_status(d, frame, batch, &nodes[state], status, item.instrument, TS_NONE)


# Maintenance of trading or of this WebSocket service in production; of bots, block trading and the like nothing is said, and
# neither of what is only planned.
cdef int put_system_state(OkxDecoder* d, const FrameView* frame, DecodeBatch* batch, uint32_t at) noexcept nogil:
    cdef const JsonNode* nodes = d.tape.nodes
    cdef uint32_t state = json_get(nodes, at, "state", 5)
    cdef uint32_t env = json_get(nodes, at, "env", 3)
    cdef uint64_t service = 0
    cdef int64_t ts_venue_ns = TS_NONE
    cdef uint32_t status = VENUE_STATUS_UNKNOWN
    if (not json_is_type(nodes, state, b's') or not json_uint(nodes, json_get(nodes, at, "serviceType", 11), True, &service)
            or not json_time_ns(nodes, json_get(nodes, at, "ts", 2), True, &ts_venue_ns)):
        return STATUS_MALFORMED
    # 0 WebSocket, 1..4 the kinds of instruments of older messages, 5 trading, 8 and 9 trading in batches.
    if (service > 5 and service != 8 and service != 9) or (env != JSON_ABSENT and not json_is_text(nodes, env, "1", 1)):
        return STATUS_OK
    if json_is_text(nodes, state, "scheduled", 9) or json_is_text(nodes, state, "canceled", 8):
        return STATUS_OK
    if json_is_text(nodes, state, "ongoing", 7):
        status = VENUE_STATUS_HALTED
    elif json_is_text(nodes, state, "pre_open", 8):
        status = VENUE_STATUS_POST_ONLY
    elif json_is_text(nodes, state, "completed", 9):
        status = VENUE_STATUS_TRADING
    batch.ts_venue_ns = ts_venue_ns
    return put_status(d, frame, batch, &nodes[state], status, INSTRUMENT_NONE, ts_venue_ns)


cdef int put_number(OkxDecoder* d, const FrameView* frame, DecodeBatch* batch, uint32_t at, const Instrument* item,
                    const char* key, uint32_t key_size, uint32_t kind) noexcept nogil:
    cdef const JsonNode* nodes = d.tape.nodes
    cdef int64_t ts_venue_ns = TS_NONE, ts_next_ns = TS_NONE
    cdef uint32_t node = json_get(nodes, at, key, key_size)
    if node == JSON_ABSENT or not json_time_ns(nodes, json_get(nodes, at, "ts", 2), True, &ts_venue_ns):
        return STATUS_MALFORMED
    if kind == REFERENCE_FUNDING_RATE and not json_time_ns(nodes, json_get(nodes, at, "fundingTime", 11), True, &ts_next_ns):
        return STATUS_MALFORMED
    batch.ts_venue_ns = ts_venue_ns
    return put_reference(batch, frame, d.venue, item, nodes, node, kind, ts_venue_ns, ts_next_ns)


cdef int put_ticker(OkxDecoder* d, const FrameView* frame, DecodeBatch* batch, uint32_t at,
                    const Instrument* item) noexcept nogil:
    cdef const JsonNode* nodes = d.tape.nodes
    cdef int64_t ts_venue_ns = TS_NONE
    if not json_time_ns(nodes, json_get(nodes, at, "ts", 2), True, &ts_venue_ns):
        return STATUS_MALFORMED
    batch.ts_venue_ns = ts_venue_ns
    return put_quote(batch, frame, d.venue, item, nodes, json_get(nodes, at, "bidPx", 5), json_get(nodes, at, "bidSz", 5),
                     json_get(nodes, at, "askPx", 5), json_get(nodes, at, "askSz", 5), ts_venue_ns)


cdef int put_element(OkxDecoder* d, const FrameView* frame, DecodeBatch* batch, int channel, uint32_t at,
                     const Instrument* item, int64_t interval_ns) noexcept nogil:
    if channel == CHANNEL_TRADES:
        return put_trade(d, frame, batch, at, item)
    if channel == CHANNEL_TICKERS:
        return put_ticker(d, frame, batch, at, item)
    if channel == CHANNEL_CANDLE:
        return put_bar(d, frame, batch, at, item, interval_ns)
    if channel == CHANNEL_MARK_PRICE:
        return put_number(d, frame, batch, at, item, "markPx", 6, REFERENCE_MARK_PRICE)
    if channel == CHANNEL_INDEX_TICKERS:
        return put_number(d, frame, batch, at, item, "idxPx", 5, REFERENCE_INDEX_PRICE)
    if channel == CHANNEL_FUNDING_RATE:
        return put_number(d, frame, batch, at, item, "fundingRate", 11, REFERENCE_FUNDING_RATE)
    if channel == CHANNEL_OPEN_INTEREST:
        return put_number(d, frame, batch, at, item, "oi", 2, REFERENCE_OPEN_INTEREST)
    if channel == CHANNEL_LIQUIDATIONS:
        return put_liquidations(d, frame, batch, at, item)
    return put_instrument_state(d, frame, batch, at, item)


cdef int walk_list(OkxDecoder* d, const FrameView* frame, DecodeBatch* batch, int channel, uint32_t arg, uint32_t data,
                   int64_t interval_ns) noexcept nogil:
    cdef const JsonNode* nodes = d.tape.nodes
    cdef uint32_t at = data + 1, name
    cdef bint unknown_symbol = False
    cdef const Instrument* item
    cdef int status
    while at < nodes[data].next:
        if nodes[at].type != (91 if channel == CHANNEL_CANDLE else 123):           # '[', '{'
            return STATUS_MALFORMED
        if channel == CHANNEL_STATUS:
            status = put_system_state(d, frame, batch, at)
        else:
            # A subscription to a whole kind of instruments names them in the elements only.
            name = json_get(nodes, at, "instId", 6)
            if name == JSON_ABSENT:
                name = json_get(nodes, arg, "instId", 6)
            item = json_instrument(nodes, name, d.instruments, d.venue_slot)
            if item == NULL:
                if not json_is_member(name):
                    return STATUS_MALFORMED
                unknown_symbol = True
                batch.skipped_count += 1
                at = nodes[at].next
                continue
            status = put_element(d, frame, batch, channel, at, item, interval_ns)
            if batch.instrument == INSTRUMENT_NONE and batch.count:
                batch.instrument = item.instrument
        if status == STATUS_UNSUPPORTED:
            batch.skipped_count += 1
        elif status != STATUS_OK:
            return status
        at = nodes[at].next
    if channel == CHANNEL_TRADES:
        batch.kind = MESSAGE_TRADE
    elif channel == CHANNEL_TICKERS:
        batch.kind = MESSAGE_QUOTE
    elif channel == CHANNEL_CANDLE:
        batch.kind = MESSAGE_BAR
    else:
        batch.kind = MESSAGE_OTHER
    if batch.count == 0:
        if unknown_symbol:
            return STATUS_UNKNOWN_SYMBOL
        return STATUS_UNSUPPORTED if batch.skipped_count else STATUS_IGNORED
    return STATUS_OK


cdef int walk(OkxDecoder* d, const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    cdef const JsonNode* nodes
    cdef uint32_t arg, name, data
    cdef int64_t interval_ns = 0
    cdef int status, channel
    if frame.size == 4 and memcmp(frame.data, "pong", 4) == 0:
        batch.kind = MESSAGE_OTHER
        return STATUS_IGNORED
    status = json_tape_parse(d.tape, frame.data, frame.size, frame.size + FRAME_PADDING)
    if status != STATUS_OK:
        return status
    nodes = d.tape.nodes
    arg = json_get(nodes, 0, "arg", 3)
    if json_get(nodes, 0, "event", 5) != JSON_ABSENT or json_get(nodes, 0, "code", 4) != JSON_ABSENT:
        status = walk_rest_book(d, frame, batch)
        if status == STATUS_IGNORED:
            batch.kind = MESSAGE_OTHER                 # what became of a subscription, a reply to a request
        return status
    if arg == JSON_ABSENT:
        return STATUS_UNSUPPORTED                      # among others the v3 protocol, {"table":…}
    if not json_is_type(nodes, arg, b'{'):
        return STATUS_MALFORMED
    name = json_get(nodes, arg, "channel", 7)
    if not json_is_type(nodes, name, b's'):
        return STATUS_MALFORMED
    channel = channel_of(nodes, name)
    if channel == CHANNEL_CANDLE:
        interval_ns = candle_interval_ns(&nodes[name])
    if channel == CHANNEL_UNKNOWN or (channel == CHANNEL_CANDLE and interval_ns == 0):
        return STATUS_UNSUPPORTED
    data = json_get(nodes, 0, "data", 4)
    if not json_is_type(nodes, data, b'['):
        return STATUS_MALFORMED
    if channel == CHANNEL_BOOK or channel == CHANNEL_WHOLE_BOOK:
        return walk_book(d, frame, batch, arg, data, channel == CHANNEL_WHOLE_BOOK)
    return walk_list(d, frame, batch, channel, arg, data, interval_ns)


cdef int okx_decode(void* self, const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    cdef OkxDecoder* d = <OkxDecoder*>self
    cdef int status
    batch_clear(batch)
    if unlikely(frame.size > d.max_frame_bytes):
        return STATUS_TOO_LARGE
    if likely(d.use_scanner):
        batch.by_scanner = 1
        status = okx_scan(d.instruments, d.venue, d.venue_slot, frame, batch)
        if likely(status == STATUS_OK):
            return status
        batch_clear(batch)
    status = walk(d, frame, batch)
    if status != STATUS_OK:
        batch.count = 0
    return status
