# What the general way makes of Kraken's values: nodes of the tape to numbers, times and records. Included by kraken_decode.pyx.
#
# Hot enough for rare messages, and it decides on every message that the scanner leaves. Each put_* adds one record to the batch
# and returns Status; a number that cannot be read refuses the whole message.
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from tickpath.decimal cimport Grid
from tickpath.market.instruments cimport Instrument, instrument_find
from tickpath.types cimport (
    EV_BOOK_DELTA, EV_CANDLE, EV_CONT, EV_INSTRUMENT_STATUS, EV_QUOTE, EV_TRADE, PRICE_TICKS_NONE, QTY_LOTS_NONE,
    STATUS_MALFORMED, STATUS_OK, STATUS_TOO_LARGE, TRADE_SELL_AGGRESSOR, TS_NONE, VENUE_STATUS_CANCEL_ONLY,
    VENUE_STATUS_DELISTED, VENUE_STATUS_HALTED, VENUE_STATUS_LIMIT_ONLY, VENUE_STATUS_POST_ONLY, VENUE_STATUS_TRADING,
    VENUE_STATUS_UNKNOWN, BookDelta, CandleEvent, InstrumentStatusEvent, Slot, TradeEvent,
)
from tickpath.venues.batch cimport BATCH_SLOTS, MESSAGE_BAR, MESSAGE_QUOTE, DecodeBatch, FrameView, slot_open
from tickpath.venues.json_tape cimport (
    JSON_ABSENT, JsonNode, JsonTape, json_decimal, json_is_member, json_is_text, json_is_type,
)
from tickpath.venues.kraken_text cimport KRAKEN_LEVELS_MAX, KrakenScan, batch_note
from tickpath.venues.scan cimport scan_iso_time

cdef enum: INTERVAL_MINUTES_MAX = 60000

cdef struct KrakenDecoder:
    KrakenScan scan
    JsonTape* tape
    Grid seconds_grid             # 1e-9: the times of v1 as nanoseconds
    int64_t max_frame_bytes
    int32_t use_scanner


# The venue's REST side escapes the slash of a symbol; a feed may.
cdef inline const Instrument* instrument_at(const KrakenDecoder* d, uint32_t node) noexcept nogil:
    cdef const JsonNode* n
    cdef char[32] name
    cdef uint32_t i = 0
    cdef long size = 0
    if not json_is_member(node):
        return NULL
    n = &d.tape.nodes[node]
    if n.type != c's' and n.type != c'S':
        return NULL
    memset(name, 0, 32)
    while i < n.size:
        if n.text[i] == c'\\':
            i += 1
            if n.text[i] != c'/':
                return NULL
        if size == 24:
            return NULL
        name[size] = n.text[i]
        size += 1
        i += 1
    return instrument_find(d.scan.instruments, d.scan.venue_slot, name, size)


# RFC 3339 text to ns. An absent member is TS_NONE; anything else that is no time is malformed.
cdef inline int iso_time_at(const JsonNode* nodes, uint32_t node, int64_t* ns) noexcept nogil:
    cdef const char* p
    ns[0] = TS_NONE
    if node == JSON_ABSENT:
        return STATUS_OK
    if not json_is_type(nodes, node, c's'):
        return STATUS_MALFORMED
    p = nodes[node].text
    if not scan_iso_time(&p, ns) or p != nodes[node].text + nodes[node].size:
        return STATUS_MALFORMED
    return STATUS_OK


# Seconds since 1970 as text to ns; 0, which an empty book's spread has, is TS_NONE.
cdef inline int seconds_at(const KrakenDecoder* d, uint32_t node, int64_t* ns) noexcept nogil:
    cdef int status = json_decimal(d.tape.nodes, node, &d.seconds_grid, ns)
    if status != STATUS_OK:
        return status
    if ns[0] < 0 or ns[0] > 9000000000000000000LL:
        return STATUS_MALFORMED
    if ns[0] == 0:
        ns[0] = TS_NONE
    return STATUS_OK


# One side of a quote. A side without an order is sent as price 0 (v1), or left out or null (v2).
cdef inline int quote_side(const KrakenDecoder* d, const Instrument* item, uint32_t price, uint32_t qty, int64_t* price_ticks,
                           int64_t* qty_lots) noexcept nogil:
    cdef const JsonNode* nodes = d.tape.nodes
    cdef int status
    if price == JSON_ABSENT or json_is_type(nodes, price, c'0'):
        price_ticks[0] = PRICE_TICKS_NONE
        qty_lots[0] = 0
        return STATUS_OK
    status = json_decimal(nodes, price, &item.price_grid, price_ticks)
    if status == STATUS_OK:
        status = json_decimal(nodes, qty, &item.qty_grid, qty_lots)
    if status != STATUS_OK:
        return status
    if price_ticks[0] < 0 or qty_lots[0] < 0:
        return STATUS_MALFORMED
    if price_ticks[0] == 0:
        price_ticks[0] = PRICE_TICKS_NONE
    return STATUS_OK


cdef inline void put_quote(KrakenDecoder* d, const FrameView* frame, DecodeBatch* batch, const Instrument* item,
                           int64_t ts_venue_ns) noexcept nogil:
    batch_note(batch, item.instrument, ts_venue_ns)
    slot_open(batch.slots + batch.count, EV_QUOTE, d.scan.venue, item.instrument, frame.ts_recv_ns, ts_venue_ns, 0)
    batch.count += 1
    batch.kind = MESSAGE_QUOTE


# One trade; `taker` is 's' or 'b' by its first letter.
cdef inline int put_trade(KrakenDecoder* d, const FrameView* frame, DecodeBatch* batch, const Instrument* item, uint32_t price,
                          uint32_t qty, bint is_sell, uint64_t trade_id, int64_t ts_venue_ns) noexcept nogil:
    cdef TradeEvent* t = <TradeEvent*>(batch.slots + batch.count)
    cdef int status
    if batch.count == BATCH_SLOTS:
        return STATUS_TOO_LARGE
    status = json_decimal(d.tape.nodes, price, &item.price_grid, &t.price_ticks)
    if status == STATUS_OK:
        status = json_decimal(d.tape.nodes, qty, &item.qty_grid, &t.qty_lots)
    if status != STATUS_OK:
        return status
    if t.price_ticks <= 0 or t.qty_lots <= 0:
        return STATUS_MALFORMED
    slot_open(<Slot*>t, EV_TRADE, d.scan.venue, item.instrument, frame.ts_recv_ns, ts_venue_ns,
              TRADE_SELL_AGGRESSOR if is_sell else 0)
    t.trade_id = trade_id
    t.trade_count = 1
    t.reserved = 0
    batch_note(batch, item.instrument, ts_venue_ns)
    batch.count += 1
    return STATUS_OK


# One bar. values: the nodes of open, high, low, close and volume.
cdef inline int put_candle(KrakenDecoder* d, const FrameView* frame, DecodeBatch* batch, const Instrument* item,
                           const uint32_t* values, uint64_t trade_count, int64_t ts_open_ns,
                           int64_t interval_ns) noexcept nogil:
    cdef CandleEvent* c = <CandleEvent*>(batch.slots + batch.count)
    cdef const JsonNode* nodes = d.tape.nodes
    cdef int status
    if batch.count + 2 > BATCH_SLOTS:
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
    if (c.low_ticks <= 0 or c.low_ticks > c.open_ticks or c.low_ticks > c.close_ticks or c.high_ticks < c.open_ticks
            or c.high_ticks < c.close_ticks or c.volume_lots < 0 or ts_open_ns < 0):
        return STATUS_MALFORMED
    slot_open(<Slot*>c, EV_CANDLE, d.scan.venue, item.instrument, frame.ts_recv_ns, ts_open_ns + interval_ns, 0)
    slot_open(<Slot*>c + 1, EV_CONT, d.scan.venue, item.instrument, frame.ts_recv_ns, ts_open_ns, 1)
    c.buy_volume_lots = QTY_LOTS_NONE
    c.trade_count = trade_count
    c.interval_ns = interval_ns
    batch_note(batch, item.instrument, ts_open_ns + interval_ns)
    batch.count += 2
    batch.kind = MESSAGE_BAR
    return STATUS_OK


# A venue's word for a status. We hold none for orders that only reduce a position; what that surely allows is to cancel.
cdef inline uint32_t status_of_word(const JsonNode* nodes, uint32_t word) noexcept nogil:
    if json_is_text(nodes, word, "online", 6):
        return VENUE_STATUS_TRADING
    if json_is_text(nodes, word, "maintenance", 11) or json_is_text(nodes, word, "work_in_progress", 16):
        return VENUE_STATUS_HALTED
    if json_is_text(nodes, word, "cancel_only", 11) or json_is_text(nodes, word, "reduce_only", 11):
        return VENUE_STATUS_CANCEL_ONLY
    if json_is_text(nodes, word, "post_only", 9):
        return VENUE_STATUS_POST_ONLY
    if json_is_text(nodes, word, "limit_only", 10):
        return VENUE_STATUS_LIMIT_ONLY
    if json_is_text(nodes, word, "delisted", 8):
        return VENUE_STATUS_DELISTED
    return VENUE_STATUS_UNKNOWN


cdef inline int put_status(KrakenDecoder* d, const FrameView* frame, DecodeBatch* batch, uint32_t instrument,
                           uint32_t word) noexcept nogil:
    cdef InstrumentStatusEvent* s = <InstrumentStatusEvent*>(batch.slots + batch.count)
    cdef const JsonNode* n
    if not json_is_type(d.tape.nodes, word, c's'):
        return STATUS_MALFORMED
    if batch.count == BATCH_SLOTS:
        return STATUS_TOO_LARGE
    n = &d.tape.nodes[word]
    s.status = status_of_word(d.tape.nodes, word)
    s.reserved = 0
    s.reserved2 = 0
    memset(s.text, 0, 16)
    memcpy(s.text, n.text, n.size if n.size < 16 else 16)
    slot_open(<Slot*>s, EV_INSTRUMENT_STATUS, d.scan.venue, instrument, frame.ts_recv_ns, TS_NONE, 0)
    batch_note(batch, instrument, TS_NONE)
    batch.count += 1
    return STATUS_OK


# One level of a book into the next slot.
cdef inline int put_level(KrakenDecoder* d, const FrameView* frame, DecodeBatch* batch, const Instrument* item, uint32_t price,
                          uint32_t qty, int64_t ts_venue_ns, int flags) noexcept nogil:
    cdef BookDelta* b = <BookDelta*>(batch.slots + batch.count)
    cdef int status
    if batch.count >= KRAKEN_LEVELS_MAX:
        return STATUS_TOO_LARGE
    status = json_decimal(d.tape.nodes, price, &item.price_grid, &b.price_ticks)
    if status == STATUS_OK:
        status = json_decimal(d.tape.nodes, qty, &item.qty_grid, &b.qty_lots)
    if status != STATUS_OK:
        return status
    if b.price_ticks <= 0 or b.qty_lots < 0:
        return STATUS_MALFORMED
    slot_open(<Slot*>b, EV_BOOK_DELTA, d.scan.venue, item.instrument, frame.ts_recv_ns, ts_venue_ns, flags)
    b.first_update_id = 0
    b.last_update_id = 0
    batch.count += 1
    return STATUS_OK
