# Messages of Advanced Trade, {"channel":…}, from the tape. Hot, but behind the scanner; included by coinbase_decode.pyx, which
# shows the messages.
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

from tickpath.market.instruments cimport Instrument
from tickpath.types cimport (
    DELTA_ASK, DELTA_SNAPSHOT, STATUS_IGNORED, STATUS_MALFORMED, STATUS_OK, STATUS_UNKNOWN_SYMBOL, STATUS_UNSUPPORTED, TS_NONE,
)
from tickpath.venues.batch cimport MESSAGE_BAR, MESSAGE_OTHER, MESSAGE_QUOTE, MESSAGE_TRADE, DecodeBatch, FrameView
from tickpath.venues.coinbase_records cimport CoinbaseDecoder, trades_in_order
from tickpath.venues.coinbase_walk cimport (
    SIDE_ASKING, SIDE_BIDDING, close_book, close_products, node_side, node_time, put_candle, put_level, put_products, put_ticker,
    put_trade,
)
from tickpath.venues.json_tape cimport (
    JSON_ABSENT, JsonNode, json_get, json_instrument, json_is_member, json_is_text, json_is_type, json_uint,
)


# The levels of one l2_data event, a book message. Status.
cdef inline int walk_updates(CoinbaseDecoder* d, const FrameView* frame, DecodeBatch* batch, const Instrument* item,
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


cdef inline int walk_l2_event(CoinbaseDecoder* d, const FrameView* frame, DecodeBatch* batch, const JsonNode* nodes,
                              uint32_t event, uint32_t timestamp) noexcept nogil:
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
cdef inline int walk_elements(CoinbaseDecoder* d, const FrameView* frame, DecodeBatch* batch, const JsonNode* nodes,
                              uint32_t elements, int kind, int64_t ts_message_ns, bint* stranger) noexcept nogil:
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


cdef inline int walk_advanced(CoinbaseDecoder* d, const FrameView* frame, DecodeBatch* batch, const JsonNode* nodes,
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
