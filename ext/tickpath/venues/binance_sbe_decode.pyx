"""Binance spot's binary market data streams: schema 1, version 0 (github.com/binance/binance-spot-api-docs,
sbe/schemas/stream_1_0.xml, and sbe-market-data-streams.md, seen 2026-11). Little-endian, times in us:

    header      blockLength u16, templateId u16, schemaId u16, version u16
    10000 trades        eventTime i64, transactTime i64, priceExponent i8, qtyExponent i8
                        group (blockLength u16, count u32) of: id i64, price i64, qty i64, isBuyerMaker u8
    10001 best bid/ask  eventTime i64, bookUpdateId i64, priceExponent i8, qtyExponent i8, bidPrice, bidQty, askPrice, askQty i64
    10002 top of book   eventTime i64, bookUpdateId i64, priceExponent i8, qtyExponent i8
                        groups bids, asks (blockLength u16, count u16) of: price i64, qty i64
    10003 diff          eventTime i64, firstBookUpdateId i64, lastBookUpdateId i64, priceExponent i8, qtyExponent i8
                        groups as above
    and behind each its symbol: length u8, bytes

A number is mantissa x 10^exponent. A newer version may make a block longer and add data behind the symbol: both are passed
over. A frame that begins with '{' is a reply to a request, in JSON, on the same connection.
"""
from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from tickpath.decimal cimport Grid, e8_to_units, mantissa_to_units
from tickpath.market.instruments cimport Instrument, instrument_find
from tickpath.types cimport (
    DELTA_ASK, DELTA_SNAPSHOT, EV_BOOK_DELTA, EV_QUOTE, EV_TRADE, PRICE_TICKS_NONE, STATUS_IGNORED, STATUS_MALFORMED,
    STATUS_OK, STATUS_TOO_LARGE, STATUS_UNKNOWN_SYMBOL, STATUS_UNSUPPORTED,
    TRADE_SELL_AGGRESSOR, BookDelta, QuoteEvent, Slot, TradeEvent, likely, unlikely,
)
from tickpath.venues.batch cimport (
    BATCH_SLOTS, MESSAGE_BOOK_DELTA, MESSAGE_QUOTE, MESSAGE_SNAPSHOT, MESSAGE_TRADE, batch_close_book, slot_open,
)
from tickpath.venues.binance_state cimport LEVELS_MAX

cdef enum: SCHEMA_ID = 1
cdef enum: TEMPLATE_TRADES = 10000
cdef enum: TEMPLATE_BEST_BID_ASK = 10001
cdef enum: TEMPLATE_DEPTH_SNAPSHOT = 10002
cdef enum: TEMPLATE_DEPTH_DIFF = 10003
# What a block and an element must have at least, in bytes.
cdef enum: HEADER_BYTES = 8
cdef enum: TRADES_BYTES = 18
cdef enum: BEST_BID_ASK_BYTES = 50
cdef enum: DEPTH_SNAPSHOT_BYTES = 18
cdef enum: DEPTH_DIFF_BYTES = 26
cdef enum: TRADE_BYTES = 25
cdef enum: LEVEL_BYTES = 16
# Times of which the ns fit.
cdef int64_t TIME_US_MAX = 9000000000000000

cdef struct Group:
    const char* first
    int64_t element_bytes
    int64_t count


cdef inline uint16_t load_u16(const char* p) noexcept nogil:
    cdef uint16_t v
    memcpy(&v, p, 2)
    return v


cdef inline uint32_t load_u32(const char* p) noexcept nogil:
    cdef uint32_t v
    memcpy(&v, p, 4)
    return v


cdef inline int64_t load_i64(const char* p) noexcept nogil:
    cdef int64_t v
    memcpy(&v, p, 8)
    return v


cdef inline int units_of(int64_t mantissa, int exponent, const Grid* g, int64_t* units) noexcept nogil:
    # Below 2^63 in units of 1e-8; Binance sends the exponent -8 and mostly so.
    if likely(exponent == -8 and g.fast != 0 and mantissa >= 0):
        return e8_to_units(<uint64_t>mantissa, g, units)
    if unlikely(mantissa < 0):
        return STATUS_MALFORMED
    return mantissa_to_units(mantissa, exponent, g, units)


# The group at *p, of at least `element_bytes` an element; moves *p behind it. False when it does not fit.
cdef bint take_group(const char** p, const char* end, bint wide_count, int64_t element_bytes, Group* group) noexcept nogil:
    cdef int64_t dimension_bytes = 6 if wide_count else 4
    if end - p[0] < dimension_bytes:
        return False
    group.element_bytes = load_u16(p[0])
    group.count = load_u32(p[0] + 2) if wide_count else load_u16(p[0] + 2)
    p[0] += dimension_bytes
    group.first = p[0]
    if group.count > 0 and group.element_bytes < element_bytes:
        return False
    # 2^32 elements of 2^16 bytes are no overflow yet.
    if group.count * group.element_bytes > end - p[0]:
        return False
    p[0] += group.count * group.element_bytes
    return True


# The symbol at p, with which a message ends but for what a newer version adds. STATUS_OK with the instrument.
cdef int take_symbol(const BinanceDecoder* d, const char* p, const char* end, uint16_t version,
                     const Instrument** item) noexcept nogil:
    cdef int64_t size
    if p >= end:
        return STATUS_MALFORMED
    size = <uint8_t>p[0]
    p += 1
    if end - p < size or (version == 0 and end - p != size):
        return STATUS_MALFORMED
    item[0] = instrument_find(d.instruments, d.venue_slot, p, size)
    return STATUS_UNKNOWN_SYMBOL if item[0] == NULL else STATUS_OK


cdef inline bint take_time(const char* p, int64_t* ts_ns) noexcept nogil:
    cdef int64_t us = load_i64(p)
    ts_ns[0] = us * 1000
    return 0 < us < TIME_US_MAX


cdef int decode_trades(const BinanceDecoder* d, const char* block, const char* p, const char* end, uint16_t version,
                       const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    cdef Group trades
    cdef const Instrument* item = NULL
    cdef TradeEvent* t
    cdef const char* at
    cdef int64_t _, event_ns = 0, trade_id
    cdef int status, price_exponent = <int8_t>block[16], qty_exponent = <int8_t>block[17]
    if not take_time(block, &event_ns) or not take_time(block + 8, &batch.ts_venue_ns):
        return STATUS_MALFORMED
    if not take_group(&p, end, True, TRADE_BYTES, &trades):
        return STATUS_MALFORMED
    if trades.count > BATCH_SLOTS:
        return STATUS_TOO_LARGE
    status = take_symbol(d, p, end, version, &item)
    if status != STATUS_OK:
        return status
    at = trades.first
    for _ in range(trades.count):
        t = <TradeEvent*>(batch.slots + batch.count)
        trade_id = load_i64(at)
        status = units_of(load_i64(at + 8), price_exponent, &item.price_grid, &t.price_ticks)
        if status == STATUS_OK:
            status = units_of(load_i64(at + 16), qty_exponent, &item.qty_grid, &t.qty_lots)
        if status != STATUS_OK:
            return status
        if trade_id < 0 or t.price_ticks <= 0 or t.qty_lots <= 0:
            return STATUS_MALFORMED
        if <uint8_t>at[24] > 1:                        # neither true nor false: who was the aggressor is not known
            batch.skipped_count += 1
        else:
            slot_open(<Slot*>t, EV_TRADE, d.venue, item.instrument, frame.ts_recv_ns, batch.ts_venue_ns,
                      TRADE_SELL_AGGRESSOR * at[24])
            t.trade_id = <uint64_t>trade_id
            t.trade_count = 1
            t.reserved = 0
            batch.count += 1
        at += trades.element_bytes
    batch.kind = MESSAGE_TRADE
    batch.instrument = item.instrument
    if batch.count > 0:
        return STATUS_OK
    return STATUS_UNSUPPORTED if batch.skipped_count > 0 else STATUS_IGNORED


cdef int decode_best_bid_ask(const BinanceDecoder* d, const char* block, const char* p, const char* end, uint16_t version,
                             const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    cdef const Instrument* item = NULL
    cdef QuoteEvent* q = <QuoteEvent*>batch.slots
    cdef int64_t update_id = load_i64(block + 8)
    cdef int price_exponent = <int8_t>block[16], qty_exponent = <int8_t>block[17]
    cdef int status
    if not take_time(block, &batch.ts_venue_ns) or update_id < 0:
        return STATUS_MALFORMED
    status = take_symbol(d, p, end, version, &item)
    if status == STATUS_OK:
        status = units_of(load_i64(block + 18), price_exponent, &item.price_grid, &q.bid_price_ticks)
    if status == STATUS_OK:
        status = units_of(load_i64(block + 26), qty_exponent, &item.qty_grid, &q.bid_qty_lots)
    if status == STATUS_OK:
        status = units_of(load_i64(block + 34), price_exponent, &item.price_grid, &q.ask_price_ticks)
    if status == STATUS_OK:
        status = units_of(load_i64(block + 42), qty_exponent, &item.qty_grid, &q.ask_qty_lots)
    if status != STATUS_OK:
        return status
    # An empty side has price 0, quantity 0.
    if q.bid_price_ticks == 0:
        q.bid_price_ticks = PRICE_TICKS_NONE
    if q.ask_price_ticks == 0:
        q.ask_price_ticks = PRICE_TICKS_NONE
    slot_open(batch.slots, EV_QUOTE, d.venue, item.instrument, frame.ts_recv_ns, batch.ts_venue_ns, 0)
    batch.count = 1
    batch.kind = MESSAGE_QUOTE
    batch.instrument = item.instrument
    batch.last_update_id = <uint64_t>update_id
    return STATUS_OK


cdef int decode_side(const BinanceDecoder* d, const Group* levels, int price_exponent, int qty_exponent, const Instrument* item,
                     int flags, uint64_t first_id, uint64_t last_id, const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    cdef const char* at = levels.first
    cdef BookDelta* b
    cdef int64_t _
    cdef int status
    for _ in range(levels.count):
        b = <BookDelta*>(batch.slots + batch.count)
        status = units_of(load_i64(at), price_exponent, &item.price_grid, &b.price_ticks)
        if likely(status == STATUS_OK):
            status = units_of(load_i64(at + 8), qty_exponent, &item.qty_grid, &b.qty_lots)
        if unlikely(status != STATUS_OK):
            return status
        if unlikely(b.price_ticks <= 0):
            return STATUS_MALFORMED
        slot_open(<Slot*>b, EV_BOOK_DELTA, d.venue, item.instrument, frame.ts_recv_ns, batch.ts_venue_ns, flags)
        b.first_update_id = first_id
        b.last_update_id = last_id
        batch.count += 1
        at += levels.element_bytes
    return STATUS_OK


cdef int decode_depth(const BinanceDecoder* d, const char* block, const char* p, const char* end, uint16_t version,
                      bint snapshot, const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    cdef Group bids, asks
    cdef const Instrument* item = NULL
    cdef int64_t first_id = load_i64(block + 8), last_id = first_id if snapshot else load_i64(block + 16)
    cdef const char* exponents = block + (16 if snapshot else 24)
    cdef int price_exponent = <int8_t>exponents[0], qty_exponent = <int8_t>exponents[1]
    cdef int status, flags = DELTA_SNAPSHOT if snapshot else 0
    if not take_time(block, &batch.ts_venue_ns) or first_id < 0 or last_id < first_id:
        return STATUS_MALFORMED
    if not take_group(&p, end, False, LEVEL_BYTES, &bids) or not take_group(&p, end, False, LEVEL_BYTES, &asks):
        return STATUS_MALFORMED
    if bids.count + asks.count > LEVELS_MAX:
        return STATUS_TOO_LARGE
    status = take_symbol(d, p, end, version, &item)
    if status == STATUS_OK:
        status = decode_side(d, &bids, price_exponent, qty_exponent, item, flags, first_id, last_id, frame, batch)
    if status == STATUS_OK:
        status = decode_side(d, &asks, price_exponent, qty_exponent, item, flags | DELTA_ASK, first_id, last_id, frame, batch)
    if status != STATUS_OK:
        return status
    batch.kind = MESSAGE_SNAPSHOT if snapshot else MESSAGE_BOOK_DELTA
    batch.instrument = item.instrument
    batch_close_book(batch, 0, d.venue, item.instrument, frame.ts_recv_ns, batch.ts_venue_ns, flags, first_id, last_id)
    return STATUS_OK


cdef int binance_sbe_decode(const BinanceDecoder* d, const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    cdef const char* block = frame.data + HEADER_BYTES
    cdef const char* end = frame.data + frame.size
    cdef uint16_t block_bytes, template_id, version
    cdef int32_t block_bytes_min
    if frame.size < HEADER_BYTES:
        return STATUS_MALFORMED
    block_bytes = load_u16(frame.data)
    template_id = load_u16(frame.data + 2)
    version = load_u16(frame.data + 6)
    if block_bytes == 0 or end - block < block_bytes:
        return STATUS_MALFORMED
    if load_u16(frame.data + 4) != SCHEMA_ID:
        return STATUS_UNSUPPORTED
    if template_id == TEMPLATE_TRADES:
        block_bytes_min = TRADES_BYTES
    elif template_id == TEMPLATE_BEST_BID_ASK:
        block_bytes_min = BEST_BID_ASK_BYTES
    elif template_id == TEMPLATE_DEPTH_SNAPSHOT:
        block_bytes_min = DEPTH_SNAPSHOT_BYTES
    elif template_id == TEMPLATE_DEPTH_DIFF:
        block_bytes_min = DEPTH_DIFF_BYTES
    else:
        return STATUS_UNSUPPORTED
    if block_bytes < block_bytes_min:
        return STATUS_MALFORMED
    if template_id == TEMPLATE_TRADES:
        return decode_trades(d, block, block + block_bytes, end, version, frame, batch)
    if template_id == TEMPLATE_BEST_BID_ASK:
        return decode_best_bid_ask(d, block, block + block_bytes, end, version, frame, batch)
    return decode_depth(d, block, block + block_bytes, end, version, template_id == TEMPLATE_DEPTH_SNAPSHOT, frame, batch)
