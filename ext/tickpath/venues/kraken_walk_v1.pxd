# The general way into Kraken's v1 messages, [channel id, payload …, name, symbol]. Included by kraken_decode.pyx.
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memcmp

from tickpath.market.instruments cimport Instrument
from tickpath.types cimport (
    DELTA_ASK, DELTA_SNAPSHOT, STATUS_IGNORED, STATUS_MALFORMED, STATUS_OK, STATUS_UNKNOWN_SYMBOL, STATUS_UNSUPPORTED, TS_NONE,
    QuoteEvent,
)
from tickpath.venues.batch cimport (
    MESSAGE_BOOK_DELTA, MESSAGE_OTHER, MESSAGE_SNAPSHOT, MESSAGE_TRADE, DecodeBatch, FrameView, batch_close_book,
    batch_close_book_checked,
)
from tickpath.venues.json_tape cimport (
    JSON_ABSENT, JSON_DUPLICATE, JsonNode, json_get, json_is_text, json_is_type, json_uint,
)
from tickpath.venues.kraken_records cimport (
    INTERVAL_MINUTES_MAX, KrakenDecoder, instrument_at, put_candle, put_level, put_quote, put_trade, quote_side, seconds_at,
)
from tickpath.venues.kraken_text cimport KRAKEN_CHECKSUM_MAX, stamp_levels


# Up to `capacity` elements of an array; returns how many it has in all.
cdef inline uint32_t elements_of(const JsonNode* nodes, uint32_t at, uint32_t* elements, uint32_t capacity) noexcept nogil:
    cdef uint32_t i = at + 1, n = 0
    if not json_is_type(nodes, at, c'['):
        return 0
    while i < nodes[at].next:
        if n < capacity:
            elements[n] = i
        n += 1
        i = nodes[i].next
    return n


cdef inline int walk_v1_rows(KrakenDecoder* d, const FrameView* frame, DecodeBatch* batch, const Instrument* item, uint32_t side,
                             int flags) noexcept nogil:
    cdef const JsonNode* nodes = d.tape.nodes
    cdef uint32_t[4] row
    cdef uint32_t i = side + 1, n
    cdef int64_t ts_venue_ns = TS_NONE
    cdef int status
    if not json_is_type(nodes, side, c'['):
        return STATUS_MALFORMED
    while i < nodes[side].next:
        n = elements_of(nodes, i, row, 4)
        # "r": the level comes again because it came back into the subscribed depth. Another word would be another meaning.
        if n < 3 or n > 4 or (n == 4 and not json_is_text(nodes, row[3], "r", 1)):
            return STATUS_MALFORMED
        status = seconds_at(d, row[2], &ts_venue_ns)
        if status == STATUS_OK:
            status = put_level(d, frame, batch, item, row[0], row[1], ts_venue_ns, flags)
        if status != STATUS_OK:
            return status
        if ts_venue_ns > batch.ts_venue_ns:
            batch.ts_venue_ns = ts_venue_ns
        i = nodes[i].next
    return STATUS_OK


cdef inline int walk_v1_book(KrakenDecoder* d, const FrameView* frame, DecodeBatch* batch, const Instrument* item,
                             uint32_t payloads_end) noexcept nogil:
    # The payloads are the nodes from the channel's id up to payloads_end: objects, or null (seen in 2019).
    cdef const JsonNode* nodes = d.tape.nodes
    cdef uint32_t i, node, checksum_at = JSON_ABSENT, updates = 0, snapshots = 0
    cdef uint64_t checksum = 0
    cdef int side, status, flags
    i = nodes[1].next
    while i < payloads_end:
        if nodes[i].type != c'{' and nodes[i].type != c'0':
            return STATUS_MALFORMED
        updates += (json_get(nodes, i, "a", 1) != JSON_ABSENT) + (json_get(nodes, i, "b", 1) != JSON_ABSENT)
        snapshots += (json_get(nodes, i, "as", 2) != JSON_ABSENT) + (json_get(nodes, i, "bs", 2) != JSON_ABSENT)
        node = json_get(nodes, i, "c", 1)
        if node != JSON_ABSENT:
            checksum_at = node if checksum_at == JSON_ABSENT else <uint32_t>JSON_DUPLICATE
        i = nodes[i].next
    if checksum_at != JSON_ABSENT and (not json_uint(nodes, checksum_at, True, &checksum) or checksum > KRAKEN_CHECKSUM_MAX):
        return STATUS_MALFORMED
    if not (snapshots == 0 and updates >= 1 or snapshots == 2 and updates == 0):
        return STATUS_MALFORMED
    flags = DELTA_SNAPSHOT if snapshots else 0
    for side in range(2):
        i = nodes[1].next
        while i < payloads_end:
            if snapshots:
                node = json_get(nodes, i, "bs" if side else "as", 2)
            else:
                node = json_get(nodes, i, "b" if side else "a", 1)
            if node != JSON_ABSENT:
                status = walk_v1_rows(d, frame, batch, item, node, flags | (0 if side else DELTA_ASK))
                if status != STATUS_OK:
                    return status
            i = nodes[i].next
    stamp_levels(batch, 0, batch.ts_venue_ns)
    batch.kind = MESSAGE_SNAPSHOT if snapshots else MESSAGE_BOOK_DELTA
    batch.instrument = item.instrument
    if checksum_at != JSON_ABSENT:
        batch_close_book_checked(batch, 0, d.scan.venue, item.instrument, frame.ts_recv_ns, batch.ts_venue_ns, flags, 0, 0,
                                 <int64_t>checksum)
    else:
        batch_close_book(batch, 0, d.scan.venue, item.instrument, frame.ts_recv_ns, batch.ts_venue_ns, flags, 0, 0)
    return STATUS_OK


cdef inline int walk_v1_trades(KrakenDecoder* d, const FrameView* frame, DecodeBatch* batch, const Instrument* item,
                               uint32_t at) noexcept nogil:
    cdef const JsonNode* nodes = d.tape.nodes
    cdef uint32_t[4] row
    cdef uint32_t i = at + 1
    cdef int64_t ts_venue_ns = TS_NONE
    cdef bint is_sell
    cdef int status
    if not json_is_type(nodes, at, c'['):
        return STATUS_MALFORMED
    while i < nodes[at].next:
        if elements_of(nodes, i, row, 4) < 4 or nodes[row[3]].type != c's':
            return STATUS_MALFORMED
        status = seconds_at(d, row[2], &ts_venue_ns)
        if status != STATUS_OK:
            return status
        is_sell = json_is_text(nodes, row[3], "s", 1)
        if is_sell or json_is_text(nodes, row[3], "b", 1):
            status = put_trade(d, frame, batch, item, row[0], row[1], is_sell, 0, ts_venue_ns)
            if status != STATUS_OK:
                return status
        else:
            batch.skipped_count += 1
        i = nodes[i].next
    batch.kind = MESSAGE_TRADE if batch.count else MESSAGE_OTHER
    return STATUS_OK if batch.count else STATUS_IGNORED


cdef inline int walk_v1_ticker(KrakenDecoder* d, const FrameView* frame, DecodeBatch* batch, const Instrument* item,
                               uint32_t at) noexcept nogil:
    # Each side is the price, the quantity in whole lots, and the quantity.
    cdef const JsonNode* nodes = d.tape.nodes
    cdef QuoteEvent* q = <QuoteEvent*>batch.slots
    cdef uint32_t[3] bid
    cdef uint32_t[3] ask
    cdef int status
    if elements_of(nodes, json_get(nodes, at, "b", 1), bid, 3) < 3 or elements_of(nodes, json_get(nodes, at, "a", 1), ask, 3) < 3:
        return STATUS_MALFORMED
    status = quote_side(d, item, bid[0], bid[2], &q.bid_price_ticks, &q.bid_qty_lots)
    if status == STATUS_OK:
        status = quote_side(d, item, ask[0], ask[2], &q.ask_price_ticks, &q.ask_qty_lots)
    if status == STATUS_OK:
        put_quote(d, frame, batch, item, TS_NONE)
    return status


cdef inline int walk_v1_spread(KrakenDecoder* d, const FrameView* frame, DecodeBatch* batch, const Instrument* item,
                               uint32_t at) noexcept nogil:
    # Bid, ask, time, bid quantity, ask quantity.
    cdef QuoteEvent* q = <QuoteEvent*>batch.slots
    cdef uint32_t[5] values
    cdef int64_t ts_venue_ns = TS_NONE
    cdef int status
    if elements_of(d.tape.nodes, at, values, 5) < 5:
        return STATUS_MALFORMED
    status = seconds_at(d, values[2], &ts_venue_ns)
    if status == STATUS_OK:
        status = quote_side(d, item, values[0], values[3], &q.bid_price_ticks, &q.bid_qty_lots)
    if status == STATUS_OK:
        status = quote_side(d, item, values[1], values[4], &q.ask_price_ticks, &q.ask_qty_lots)
    if status == STATUS_OK:
        put_quote(d, frame, batch, item, ts_venue_ns)
    return status


cdef inline int walk_v1_candle(KrakenDecoder* d, const FrameView* frame, DecodeBatch* batch, const Instrument* item, uint32_t at,
                               uint64_t minutes) noexcept nogil:
    # Time of the last change, end of the bar, open, high, low, close, vwap, volume, count.
    cdef uint32_t[9] values
    cdef uint32_t[5] wanted
    cdef uint64_t trade_count = 0
    cdef int64_t ts_close_ns = TS_NONE, interval_ns = <int64_t>minutes * 60000000000LL
    cdef int status
    if (elements_of(d.tape.nodes, at, values, 9) < 9 or minutes - 1 >= INTERVAL_MINUTES_MAX
            or not json_uint(d.tape.nodes, values[8], False, &trade_count)):
        return STATUS_MALFORMED
    status = seconds_at(d, values[1], &ts_close_ns)
    if status != STATUS_OK:
        return status
    if ts_close_ns == TS_NONE:
        return STATUS_MALFORMED
    wanted[0] = values[2]
    wanted[1] = values[3]
    wanted[2] = values[4]
    wanted[3] = values[5]
    wanted[4] = values[7]
    return put_candle(d, frame, batch, item, wanted, trade_count, ts_close_ns - interval_ns, interval_ns)


# A channel's name with a number behind it: book-1000, ohlc-5.
cdef inline bint numbered_name(const JsonNode* nodes, uint32_t node, const char* prefix, uint32_t prefix_size,
                               uint64_t* number) noexcept nogil:
    cdef const JsonNode* n = &nodes[node]
    cdef uint32_t i
    number[0] = 0
    if n.size <= prefix_size or n.size > prefix_size + 16 or memcmp(n.text, prefix, prefix_size) != 0:
        return False
    for i in range(prefix_size, n.size):
        if not c'0' <= n.text[i] <= c'9':
            return False
        number[0] = number[0] * 10 + <uint64_t>(n.text[i] - c'0')
    return True


cdef inline int walk_v1(KrakenDecoder* d, const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    # [channel id, payload …, name, symbol]
    cdef const JsonNode* nodes = d.tape.nodes
    cdef const Instrument* item
    cdef uint32_t i = 1, n = 0, name = JSON_ABSENT, symbol = JSON_ABSENT, payload
    cdef uint64_t number = 0
    while i < nodes[0].next:
        name = symbol
        symbol = i
        n += 1
        i = nodes[i].next
    if (n < 4 or nodes[1].type != c'n' or nodes[name].type != c's'
            or (nodes[symbol].type != c's' and nodes[symbol].type != c'S')):
        return STATUS_UNSUPPORTED                      # the private feeds have their name second and a sequence last
    item = instrument_at(d, symbol)
    if numbered_name(nodes, name, "book-", 5, &number):
        return walk_v1_book(d, frame, batch, item, name) if item != NULL else STATUS_UNKNOWN_SYMBOL
    if n != 4:
        return STATUS_UNSUPPORTED
    payload = nodes[1].next
    if json_is_text(nodes, name, "trade", 5):
        return walk_v1_trades(d, frame, batch, item, payload) if item != NULL else STATUS_UNKNOWN_SYMBOL
    if json_is_text(nodes, name, "ticker", 6):
        return walk_v1_ticker(d, frame, batch, item, payload) if item != NULL else STATUS_UNKNOWN_SYMBOL
    if json_is_text(nodes, name, "spread", 6):
        return walk_v1_spread(d, frame, batch, item, payload) if item != NULL else STATUS_UNKNOWN_SYMBOL
    if numbered_name(nodes, name, "ohlc-", 5, &number):
        return walk_v1_candle(d, frame, batch, item, payload, number) if item != NULL else STATUS_UNKNOWN_SYMBOL
    return STATUS_UNSUPPORTED
