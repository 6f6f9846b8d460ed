"""Frames of our own workers (venues/ccxt_frame.py has the layout) to input records.

A frame carries how old it was when it was written: the time from the beginning of the request that a poll made. A book's
and a quote's records are as old as that, so that an answer that took five seconds is five seconds old to the gate, while the
frame itself keeps the engine's stamp. A frame that is wrong anywhere is refused whole.
"""
from libc.stdint cimport int8_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from tickpath.decimal cimport Grid, mantissa_to_units
from tickpath.market.instruments cimport SYMBOL_BYTES_MAX, Instrument, instrument_find
from tickpath.types cimport (
    CANDLE_CLOSED, DELTA_ASK, DELTA_SNAPSHOT, EV_BOOK_DELTA, EV_CANDLE, EV_CONT, EV_QUOTE, EV_TRADE, PRICE_TICKS_NONE,
    QTY_LOTS_NONE, STATUS_MALFORMED, STATUS_OK, STATUS_TOO_LARGE, STATUS_UNKNOWN_SYMBOL, STATUS_UNSUPPORTED,
    TRADE_SELL_AGGRESSOR, TS_NONE, BookDelta, CandleEvent, QuoteEvent, Slot, TradeEvent, unlikely,
)
from tickpath.venues.batch cimport (
    BATCH_SLOTS, MESSAGE_BAR, MESSAGE_BOOK_DELTA, MESSAGE_QUOTE, MESSAGE_SNAPSHOT, MESSAGE_TRADE, batch_clear, batch_close_book,
    slot_open,
)

cdef enum: MAGIC = 0x46435054             # "TPCF"
cdef enum: LAYOUT = 1
cdef enum: KIND_SNAPSHOT = 1
cdef enum: KIND_DIFF = 2
cdef enum: KIND_TRADES = 3
cdef enum: KIND_QUOTE = 4
cdef enum: KIND_CANDLES = 5
cdef enum: HEADER_BYTES = 64
cdef enum: LEVEL_BYTES = 16
cdef enum: TRADE_BYTES = 40
cdef enum: QUOTE_BYTES = 32
cdef enum: CANDLE_BYTES = 64
cdef enum: SIDE_MAX = 16384               # levels a side
cdef enum: CANDLES_MAX = 1024
cdef int64_t AGE_MAX_NS = 3600000000000
cdef uint64_t SEQUENCE_MAX = <uint64_t>1 << 61

cdef struct Header:
    uint32_t magic
    uint8_t layout
    uint8_t kind
    int8_t price_exponent
    int8_t qty_exponent
    uint32_t count                        # bids, trades, candles, or the one quote
    uint32_t ask_count
    int64_t ts_venue_ns
    int64_t age_ns
    uint64_t sequence
    char[24] symbol

cdef struct CcxtDecoder:
    const InstrumentTable* instruments
    int64_t max_frame_bytes
    uint8_t venue
    uint8_t venue_slot


cdef void* ccxt_decoder_new(uint8_t venue, uint8_t venue_slot, const InstrumentTable* instruments,
                            int64_t max_frame_bytes) noexcept nogil:
    cdef CcxtDecoder* d = <CcxtDecoder*>calloc(1, sizeof(CcxtDecoder))
    if d == NULL:
        return NULL
    d.instruments = instruments
    d.max_frame_bytes = max_frame_bytes
    d.venue = venue
    d.venue_slot = venue_slot
    return d


cdef void ccxt_decoder_free(void* self) noexcept nogil:
    free(self)


cdef inline int64_t load_i64(const char* p) noexcept nogil:
    cdef int64_t v
    memcpy(&v, p, 8)
    return v


cdef inline int price_of(int64_t mantissa, int exponent, const Grid* g, int64_t* ticks) noexcept nogil:
    if unlikely(mantissa <= 0):
        return STATUS_MALFORMED
    return mantissa_to_units(mantissa, exponent, g, ticks)


cdef inline int qty_of(int64_t mantissa, int exponent, const Grid* g, int64_t* lots) noexcept nogil:
    if unlikely(mantissa < 0):
        return STATUS_MALFORMED
    return mantissa_to_units(mantissa, exponent, g, lots)


cdef int decode_side(const CcxtDecoder* d, const Header* h, const char* at, uint32_t count, const Instrument* item, int flags,
                     int64_t ts_ns, DecodeBatch* batch) noexcept nogil:
    cdef BookDelta* b
    cdef uint32_t _
    cdef int status
    for _ in range(count):
        b = <BookDelta*>(batch.slots + batch.count)
        status = price_of(load_i64(at), h.price_exponent, &item.price_grid, &b.price_ticks)
        if status == STATUS_OK:
            status = qty_of(load_i64(at + 8), h.qty_exponent, &item.qty_grid, &b.qty_lots)
        if unlikely(status != STATUS_OK):
            return status
        slot_open(<Slot*>b, EV_BOOK_DELTA, d.venue, item.instrument, ts_ns, h.ts_venue_ns, flags)
        b.first_update_id = b.last_update_id = WORKER_SEQUENCE_BASE + h.sequence
        batch.count += 1
        at += LEVEL_BYTES
    return STATUS_OK


cdef int decode_book(const CcxtDecoder* d, const Header* h, const char* at, const Instrument* item, int64_t ts_ns,
                     DecodeBatch* batch) noexcept nogil:
    cdef int flags = DELTA_SNAPSHOT if h.kind == KIND_SNAPSHOT else 0
    cdef int status = decode_side(d, h, at, h.count, item, flags, ts_ns, batch)
    if status == STATUS_OK:
        status = decode_side(d, h, at + <int64_t>h.count * LEVEL_BYTES, h.ask_count, item, flags | DELTA_ASK, ts_ns, batch)
    if status != STATUS_OK:
        return status
    batch.kind = MESSAGE_SNAPSHOT if h.kind == KIND_SNAPSHOT else MESSAGE_BOOK_DELTA
    batch_close_book(batch, 0, d.venue, item.instrument, ts_ns, h.ts_venue_ns, flags, WORKER_SEQUENCE_BASE + h.sequence,
                     WORKER_SEQUENCE_BASE + h.sequence)
    return STATUS_OK


cdef int decode_quote(const CcxtDecoder* d, const Header* h, const char* at, const Instrument* item, int64_t ts_ns,
                      DecodeBatch* batch) noexcept nogil:
    cdef QuoteEvent* q = <QuoteEvent*>batch.slots
    cdef int status = STATUS_OK
    cdef int64_t bid = load_i64(at), ask = load_i64(at + 16)
    # An empty side has price 0, as at Binance.
    q.bid_price_ticks = q.ask_price_ticks = PRICE_TICKS_NONE
    if bid != 0:
        status = price_of(bid, h.price_exponent, &item.price_grid, &q.bid_price_ticks)
    if status == STATUS_OK:
        status = qty_of(load_i64(at + 8), h.qty_exponent, &item.qty_grid, &q.bid_qty_lots)
    if status == STATUS_OK and ask != 0:
        status = price_of(ask, h.price_exponent, &item.price_grid, &q.ask_price_ticks)
    if status == STATUS_OK:
        status = qty_of(load_i64(at + 24), h.qty_exponent, &item.qty_grid, &q.ask_qty_lots)
    if status != STATUS_OK:
        return status
    slot_open(<Slot*>q, EV_QUOTE, d.venue, item.instrument, ts_ns, h.ts_venue_ns, 0)
    batch.count = 1
    batch.kind = MESSAGE_QUOTE
    batch.last_update_id = WORKER_SEQUENCE_BASE + h.sequence
    return STATUS_OK


cdef int decode_trades(const CcxtDecoder* d, const Header* h, const char* at, const Instrument* item, int64_t ts_recv_ns,
                       DecodeBatch* batch) noexcept nogil:
    cdef TradeEvent* t
    cdef uint32_t _
    cdef int64_t qty
    cdef int status
    for _ in range(h.count):
        t = <TradeEvent*>(batch.slots + batch.count)
        qty = load_i64(at + 8)
        status = price_of(load_i64(at), h.price_exponent, &item.price_grid, &t.price_ticks)
        if status == STATUS_OK:
            status = qty_of(qty, h.qty_exponent, &item.qty_grid, &t.qty_lots)
        if status != STATUS_OK:
            return status
        if qty == 0 or <uint8_t>at[32] > 1:
            return STATUS_MALFORMED
        slot_open(<Slot*>t, EV_TRADE, d.venue, item.instrument, ts_recv_ns, load_i64(at + 24), TRADE_SELL_AGGRESSOR * at[32])
        t.trade_id = <uint64_t>load_i64(at + 16)
        t.trade_count = 1
        t.reserved = 0
        batch.count += 1
        at += TRADE_BYTES
    batch.kind = MESSAGE_TRADE
    return STATUS_OK


cdef int decode_candles(const CcxtDecoder* d, const Header* h, const char* at, const Instrument* item, int64_t ts_recv_ns,
                        DecodeBatch* batch) noexcept nogil:
    cdef CandleEvent* c
    cdef const Grid* price = &item.price_grid
    cdef uint32_t _
    cdef int64_t open_ns, interval_ns
    cdef int status, flags
    for _ in range(h.count):
        c = <CandleEvent*>(batch.slots + batch.count)
        open_ns, interval_ns = load_i64(at), load_i64(at + 8)
        if open_ns < 0 or interval_ns <= 0 or open_ns > (<int64_t>1 << 62) - interval_ns or <uint8_t>at[56] > 1:
            return STATUS_MALFORMED
        flags = CANDLE_CLOSED if at[56] else 0
        status = price_of(load_i64(at + 16), h.price_exponent, price, &c.open_ticks)
        if status == STATUS_OK:
            status = price_of(load_i64(at + 24), h.price_exponent, price, &c.high_ticks)
        if status == STATUS_OK:
            status = price_of(load_i64(at + 32), h.price_exponent, price, &c.low_ticks)
        if status == STATUS_OK:
            status = price_of(load_i64(at + 40), h.price_exponent, price, &c.close_ticks)
        if status == STATUS_OK:
            status = qty_of(load_i64(at + 48), h.qty_exponent, &item.qty_grid, &c.volume_lots)
        if status != STATUS_OK:
            return status
        slot_open(<Slot*>c, EV_CANDLE, d.venue, item.instrument, ts_recv_ns, open_ns + interval_ns, flags)
        slot_open(<Slot*>c + 1, EV_CONT, d.venue, item.instrument, ts_recv_ns, open_ns, 1)
        c.buy_volume_lots = QTY_LOTS_NONE
        c.trade_count = 0
        c.interval_ns = interval_ns
        batch.count += 2
        at += CANDLE_BYTES
    batch.kind = MESSAGE_BAR
    return STATUS_OK


cdef int ccxt_decode(void* self, const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    cdef const CcxtDecoder* d = <const CcxtDecoder*>self
    cdef const Instrument* item
    cdef const char* at = frame.data + HEADER_BYTES
    cdef Header h
    cdef int64_t symbol_bytes = 0, element_bytes, limit
    cdef int status
    batch_clear(batch)
    if frame.size > d.max_frame_bytes:
        return STATUS_TOO_LARGE
    if frame.size < HEADER_BYTES:
        return STATUS_MALFORMED
    memcpy(&h, frame.data, HEADER_BYTES)
    if h.magic != MAGIC:
        return STATUS_MALFORMED
    if h.layout != LAYOUT or h.kind < KIND_SNAPSHOT or h.kind > KIND_CANDLES:
        return STATUS_UNSUPPORTED
    if h.sequence == 0 or h.sequence >= SEQUENCE_MAX or h.age_ns < 0 or h.age_ns > AGE_MAX_NS \
            or (h.ts_venue_ns < 0 and h.ts_venue_ns != TS_NONE):
        return STATUS_MALFORMED
    if h.kind == KIND_SNAPSHOT or h.kind == KIND_DIFF:
        element_bytes, limit = LEVEL_BYTES, SIDE_MAX
    elif h.kind == KIND_TRADES:
        element_bytes, limit = TRADE_BYTES, BATCH_SLOTS
    elif h.kind == KIND_QUOTE:
        element_bytes, limit = QUOTE_BYTES, 1
    else:
        element_bytes, limit = CANDLE_BYTES, CANDLES_MAX
    if h.count > limit or h.ask_count > SIDE_MAX:
        return STATUS_TOO_LARGE
    if element_bytes != LEVEL_BYTES and (h.ask_count != 0 or h.count == 0):
        return STATUS_MALFORMED
    if frame.size != HEADER_BYTES + (<int64_t>h.count + h.ask_count) * element_bytes:
        return STATUS_MALFORMED
    while symbol_bytes < SYMBOL_BYTES_MAX and h.symbol[symbol_bytes] != 0:
        symbol_bytes += 1
    item = instrument_find(d.instruments, d.venue_slot, h.symbol, symbol_bytes)
    if item == NULL:
        return STATUS_UNKNOWN_SYMBOL
    if element_bytes == LEVEL_BYTES:
        status = decode_book(d, &h, at, item, frame.ts_recv_ns - h.age_ns, batch)
    elif h.kind == KIND_QUOTE:
        status = decode_quote(d, &h, at, item, frame.ts_recv_ns - h.age_ns, batch)
    elif h.kind == KIND_TRADES:
        status = decode_trades(d, &h, at, item, frame.ts_recv_ns, batch)
    else:
        status = decode_candles(d, &h, at, item, frame.ts_recv_ns, batch)
    if status != STATUS_OK:
        batch.count = 0
        batch.kind = 0
        batch.level_count = 0
        batch.last_update_id = 0
        return status
    batch.instrument = item.instrument
    batch.ts_venue_ns = h.ts_venue_ns
    return STATUS_OK
