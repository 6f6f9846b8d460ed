# Steps of the general way that OKX and Bybit share: values of a JSON tape into records. For the messages that no scanner
# takes; no state. Each answers a Status, or whether it holds; a record that is refused half-way leaves batch.count as it was.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from tickpath.market.instruments cimport Instrument
from tickpath.types cimport (
    CANDLE_CLOSED, EV_CANDLE, EV_CONT, EV_LIQUIDATION, EV_QUOTE, EV_REFERENCE, PRICE_TICKS_NONE, QTY_LOTS_NONE,
    STATUS_MALFORMED, STATUS_OFF_GRID, STATUS_OK, STATUS_TOO_LARGE, TRADE_SELL_AGGRESSOR, TS_NONE, BookDelta, CandleEvent,
    LiquidationEvent, QuoteEvent, ReferenceEvent, Slot,
)
from tickpath.venues.batch cimport BATCH_SLOTS, DecodeBatch, FrameView, slot_open
from tickpath.venues.json_tape cimport JSON_ABSENT, JsonNode, json_at, json_decimal, json_is_member, json_is_type, json_uint
from tickpath.venues.scan cimport venue_time_ns
from tickpath.venues.scan_rows cimport LEVELS_MAX

cdef enum: REFERENCE_DIGITS_MAX = 18
cdef enum: REFERENCE_EXPONENT_MAX = 36


# Room for `count` more slots, or NULL.
cdef inline Slot* batch_room(DecodeBatch* batch, int32_t count) noexcept nogil:
    return batch.slots + batch.count if batch.count + count <= BATCH_SLOTS else NULL


# ---- values
cdef inline bint json_is_empty_text(const JsonNode* nodes, uint32_t node) noexcept nogil:
    return json_is_type(nodes, node, b's') and nodes[node].size == 0


# A time in ms (or us, ns), as a number or as text, in ns.
cdef inline bint json_time_ns(const JsonNode* nodes, uint32_t node, bint quoted, int64_t* ns) noexcept nogil:
    cdef uint64_t value = 0
    if not json_uint(nodes, node, quoted, &value):
        return False
    ns[0] = venue_time_ns(value)
    return ns[0] != TS_NONE


# A number that is an integer of up to 18 digits, negative or not.
cdef inline bint json_int(const JsonNode* nodes, uint32_t node, int64_t* value) noexcept nogil:
    cdef const char* text
    cdef int64_t v = 0
    cdef uint32_t i = 0, size
    if not json_is_type(nodes, node, b'n'):
        return False
    text = nodes[node].text
    size = nodes[node].size
    i = text[0] == 45
    if size == i or size - i > 18:
        return False
    while i < size:
        if not 48 <= text[i] <= 57:
            return False
        v = v * 10 + (text[i] - 48)
        i += 1
    value[0] = -v if text[0] == 45 else v
    return True


# A decimal number or text, exactly, as mantissa / 10^scale with the decimals of the text. False when it is none, or has more
# than 18 digits.
cdef inline bint json_decimal_parts(const JsonNode* nodes, uint32_t node, int64_t* mantissa, int32_t* scale) noexcept nogil:
    cdef const char* p
    cdef const char* end
    cdef int64_t v = 0
    cdef int32_t digits = 0, decimals = 0, exponent = 0
    cdef bint negative = False, point = False, exponent_negative = False, any_digit = False
    if not json_is_member(node) or (nodes[node].type != b's' and nodes[node].type != b'n') or nodes[node].size == 0:
        return False
    p = nodes[node].text
    end = p + nodes[node].size
    if p[0] == 45:
        negative = True
        p += 1
    while p != end and (48 <= p[0] <= 57 or (p[0] == 46 and any_digit and not point)):
        if p[0] == 46:
            point = True
        else:
            any_digit = True
            v = v * 10 + (p[0] - 48)
            digits += v != 0
            decimals += point
            if digits > REFERENCE_DIGITS_MAX or decimals > REFERENCE_EXPONENT_MAX:
                return False
        p += 1
    if not any_digit or (point and decimals == 0):
        return False
    if p != end:
        if p[0] != 101 and p[0] != 69:
            return False
        p += 1
        if p != end and (p[0] == 43 or p[0] == 45):
            exponent_negative = p[0] == 45
            p += 1
        if p == end:
            return False
        while p != end:
            if not 48 <= p[0] <= 57 or exponent > REFERENCE_EXPONENT_MAX:
                return False
            exponent = exponent * 10 + (p[0] - 48)
            p += 1
        decimals -= -exponent if exponent_negative else exponent
    while decimals < 0:
        digits += v != 0
        if digits > REFERENCE_DIGITS_MAX:
            return False
        v *= 10
        decimals += 1
    mantissa[0] = -v if negative else v
    scale[0] = decimals
    return True


# ---- records
# The rows of one side, [[price, quantity, …], …], as prices and quantities only (stamp_levels does the rest).
cdef inline int put_rows(DecodeBatch* batch, const JsonNode* nodes, uint32_t rows, const Instrument* item) noexcept nogil:
    cdef BookDelta* b
    cdef uint32_t row
    cdef int status
    if not json_is_type(nodes, rows, b'['):
        return STATUS_MALFORMED
    row = rows + 1
    while row < nodes[rows].next:
        if batch.count >= LEVELS_MAX:
            return STATUS_TOO_LARGE
        b = <BookDelta*>(batch.slots + batch.count)
        status = json_decimal(nodes, json_at(nodes, row, 0), &item.price_grid, &b.price_ticks)
        if status == STATUS_OK:
            status = json_decimal(nodes, json_at(nodes, row, 1), &item.qty_grid, &b.qty_lots)
        if status != STATUS_OK:
            return status
        if b.price_ticks <= 0 or b.qty_lots < 0:
            return STATUS_MALFORMED
        batch.count += 1
        row = nodes[row].next
    return STATUS_OK


# One side of a quote. Nobody there is sent as no price ("" or 0): no price and no quantity.
cdef inline int quote_side(const JsonNode* nodes, uint32_t price, uint32_t qty, const Instrument* item, int64_t* price_ticks,
                           int64_t* qty_lots) noexcept nogil:
    cdef int status
    if not json_is_empty_text(nodes, price):
        status = json_decimal(nodes, price, &item.price_grid, price_ticks)
        if status != STATUS_OK:
            return status
        if price_ticks[0] != 0:
            status = json_decimal(nodes, qty, &item.qty_grid, qty_lots)
            if status != STATUS_OK:
                return status
            return STATUS_OK if price_ticks[0] > 0 and qty_lots[0] >= 0 else STATUS_MALFORMED
    price_ticks[0] = PRICE_TICKS_NONE
    qty_lots[0] = 0
    return STATUS_OK


cdef inline int put_quote(DecodeBatch* batch, const FrameView* frame, uint8_t venue, const Instrument* item,
                          const JsonNode* nodes, uint32_t bid_price, uint32_t bid_qty, uint32_t ask_price, uint32_t ask_qty,
                          int64_t ts_venue_ns) noexcept nogil:
    cdef QuoteEvent* q = <QuoteEvent*>batch_room(batch, 1)
    cdef int status
    if q == NULL:
        return STATUS_TOO_LARGE
    status = quote_side(nodes, bid_price, bid_qty, item, &q.bid_price_ticks, &q.bid_qty_lots)
    if status == STATUS_OK:
        status = quote_side(nodes, ask_price, ask_qty, item, &q.ask_price_ticks, &q.ask_qty_lots)
    if status != STATUS_OK:
        return status
    slot_open(<Slot*>q, EV_QUOTE, venue, item.instrument, frame.ts_recv_ns, ts_venue_ns, 0)
    batch.count += 1
    return STATUS_OK


# A reference number, where there is one: absent or "" is none. One of more digits than a record holds is left out and counted,
# since the rest of its message is as good as ever.
cdef inline int put_reference(DecodeBatch* batch, const FrameView* frame, uint8_t venue, const Instrument* item,
                              const JsonNode* nodes, uint32_t node, uint32_t kind, int64_t ts_venue_ns,
                              int64_t ts_next_ns) noexcept nogil:
    cdef ReferenceEvent* r
    if node == JSON_ABSENT or json_is_empty_text(nodes, node):
        return STATUS_OK
    if not json_is_member(node) or (nodes[node].type != b's' and nodes[node].type != b'n'):
        return STATUS_MALFORMED
    r = <ReferenceEvent*>batch_room(batch, 1)
    if r == NULL:
        return STATUS_TOO_LARGE
    if not json_decimal_parts(nodes, node, &r.mantissa, &r.scale):
        batch.skipped_count += 1
        return STATUS_OK
    slot_open(<Slot*>r, EV_REFERENCE, venue, item.instrument, frame.ts_recv_ns, ts_venue_ns, 0)
    r.kind = kind
    r.ts_next_ns = ts_next_ns
    r.reserved = 0
    batch.count += 1
    return STATUS_OK


# The venue's own bar; values are the nodes of open, high, low, close and volume.
cdef inline int put_candle(DecodeBatch* batch, const FrameView* frame, uint8_t venue, const Instrument* item,
                           const JsonNode* nodes, const uint32_t* values, int64_t ts_open_ns, int64_t interval_ns,
                           bint closed) noexcept nogil:
    cdef CandleEvent* c = <CandleEvent*>batch_room(batch, 2)
    cdef int64_t ts_close_ns = ts_open_ns + interval_ns
    cdef int status
    if c == NULL:
        return STATUS_TOO_LARGE
    status = json_decimal(nodes, values[0], &item.price_grid, &c.open_ticks)
    if status == STATUS_OK:
        status = json_decimal(nodes, values[1], &item.price_grid, &c.high_ticks)
    if status == STATUS_OK:
        status = json_decimal(nodes, values[2], &item.price_grid, &c.low_ticks)
    if status == STATUS_OK:
        status = json_decimal(nodes, values[3], &item.price_grid, &c.close_ticks)
    if status == STATUS_OK:
        status = json_decimal(nodes, values[4], &item.qty_grid, &c.volume_lots)
    if status != STATUS_OK:
        return status
    if (c.open_ticks <= 0 or c.low_ticks <= 0 or c.high_ticks < c.low_ticks or c.close_ticks <= 0 or c.volume_lots < 0
            or interval_ns <= 0):
        return STATUS_MALFORMED
    slot_open(<Slot*>c, EV_CANDLE, venue, item.instrument, frame.ts_recv_ns, ts_close_ns, CANDLE_CLOSED if closed else 0)
    # A second slot has the first one's envelope; where a plain record repeats the venue's time this one has the open time.
    slot_open(<Slot*>c + 1, EV_CONT, venue, item.instrument, frame.ts_recv_ns, ts_open_ns, 1)
    c.buy_volume_lots = QTY_LOTS_NONE
    c.trade_count = 0
    c.interval_ns = interval_ns
    batch.count += 2
    return STATUS_OK


# A bankruptcy price is computed, so it may lie off the grid: the record then has no price.
cdef inline int put_liquidation(DecodeBatch* batch, const FrameView* frame, uint8_t venue, const Instrument* item,
                                const JsonNode* nodes, uint32_t price, uint32_t qty, bint long_closed,
                                int64_t ts_venue_ns) noexcept nogil:
    cdef LiquidationEvent* l = <LiquidationEvent*>batch_room(batch, 1)
    cdef int status
    if l == NULL:
        return STATUS_TOO_LARGE
    status = json_decimal(nodes, price, &item.price_grid, &l.price_ticks)
    if status == STATUS_OFF_GRID:
        l.price_ticks = PRICE_TICKS_NONE
    elif status != STATUS_OK:
        return status
    elif l.price_ticks <= 0:
        return STATUS_MALFORMED
    status = json_decimal(nodes, qty, &item.qty_grid, &l.qty_lots)
    if status != STATUS_OK:
        return status
    if l.qty_lots <= 0:
        return STATUS_MALFORMED
    slot_open(<Slot*>l, EV_LIQUIDATION, venue, item.instrument, frame.ts_recv_ns, ts_venue_ns,
              TRADE_SELL_AGGRESSOR if long_closed else 0)
    l.reserved[0] = l.reserved[1] = 0
    batch.count += 1
    return STATUS_OK
