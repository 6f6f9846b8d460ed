# Messages of Exchange, {"type":…}, and whole books of either protocol, from the tape. Hot, but behind the scanner; included by
# coinbase_decode.pyx, which shows the messages.
from libc.stdint cimport int64_t, uint32_t, uint64_t

from tickpath.market.instruments cimport Instrument
from tickpath.types cimport (
    DELTA_ASK, DELTA_SNAPSHOT, ORDER_ACTION_ADD, ORDER_ACTION_CHANGE, ORDER_ACTION_DELETE, ORDER_ACTION_MATCH, ORDER_DELTA_ASK,
    ORDER_DELTA_FIRST, ORDER_DELTA_LAST, ORDER_DELTA_SNAPSHOT, PRICE_TICKS_NONE, STATUS_IGNORED, STATUS_MALFORMED, STATUS_OK,
    STATUS_TOO_LARGE, STATUS_UNKNOWN_SYMBOL, STATUS_UNSUPPORTED, TS_NONE, TradeEvent, unlikely,
)
from tickpath.venues.batch cimport MESSAGE_BOOK_DELTA, MESSAGE_OTHER, MESSAGE_SNAPSHOT, DecodeBatch, FrameView
from tickpath.venues.coinbase_records cimport SLOTS_MAX, CoinbaseDecoder, order_delta
from tickpath.venues.coinbase_walk cimport (
    SIDE_ABSENT, SIDE_ASKING, SIDE_BIDDING, SIDE_UNKNOWN, close_book, close_products, has_no_number, node_side, node_time,
    node_uuid, put_level, put_products, put_ticker, put_trade,
)
from tickpath.venues.json_tape cimport (
    JSON_ABSENT, JsonNode, json_at, json_decimal, json_get, json_instrument, json_is_member, json_is_text, json_is_type,
    json_uint,
)


cdef inline int walk_l2update(CoinbaseDecoder* d, const FrameView* frame, DecodeBatch* batch, const Instrument* item,
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
cdef inline int put_resting_order(CoinbaseDecoder* d, const FrameView* frame, DecodeBatch* batch, const Instrument* item,
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
cdef inline int walk_book(CoinbaseDecoder* d, const FrameView* frame, DecodeBatch* batch, const Instrument* item,
                          const JsonNode* nodes, uint32_t at, uint64_t update_id) noexcept nogil:
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


cdef inline int walk_match(CoinbaseDecoder* d, const FrameView* frame, DecodeBatch* batch, const Instrument* item,
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
cdef inline int walk_order(CoinbaseDecoder* d, const FrameView* frame, DecodeBatch* batch, const Instrument* item,
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


cdef inline int walk_exchange(CoinbaseDecoder* d, const FrameView* frame, DecodeBatch* batch, const JsonNode* nodes,
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
