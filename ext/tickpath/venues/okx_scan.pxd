# OKX's exact text of books, trades and tickers, read in one pass. Hot; C++ only; owned by the decoder (okx_decode.pxd).
#
# Every frame it takes ends in '}' (checked first), and between the closing braces of the text nothing but a literal can hold
# one: so a step starts in front of the frame's last byte, and behind each literal with a brace the place is compared with the
# frame's end. A message that continues in the bytes behind the frame is refused, not read on (scan.pxd).
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from tickpath.market.instruments cimport Instrument, InstrumentTable
from tickpath.types cimport (
    DELTA_ASK, DELTA_SNAPSHOT, EV_QUOTE, EV_TRADE, STATUS_OK, TRADE_AGGREGATE, TRADE_SELL_AGGRESSOR, BookDelta,
    QuoteEvent, Slot, TradeEvent, likely, unlikely,
)
from tickpath.venues.batch cimport (
    BATCH_SLOTS, MESSAGE_BOOK_DELTA, MESSAGE_QUOTE, MESSAGE_SNAPSHOT, MESSAGE_TRADE, DecodeBatch, FrameView, batch_close_book,
    batch_close_book_checked, slot_open,
)
from tickpath.venues.scan cimport (
    AT, LEN, batch_of_one, scan_decimal_general, scan_epoch, scan_int, scan_plain, scan_symbol, scan_uint, skip_name,
)
from tickpath.venues.scan_rows cimport (
    LEVELS_MAX, same_name, scan_row, scan_side_lower, skip_digits, stamp_levels,
)

# Less than any message it knows.
cdef enum: OKX_FRAME_BYTES_MIN = 48

cdef enum:
    TAIL_TS = 1
    TAIL_CHECKSUM = 2
    TAIL_SEQ = 4
    TAIL_PREV = 8

# What stands behind the levels of a book message.
cdef struct OkxBookTail:
    uint32_t seen                     # TAIL_*
    int64_t ts_venue_ns
    int64_t checksum
    uint64_t seq_id
    uint64_t prev_seq_id              # as sent, -1 included
    uint64_t first_update_id
    uint64_t last_update_id


# What the ids of a book message say in our terms; False when they make no message of that kind.
#
# An update chains by prevSeqId, whatever the step to seqId: first = prevSeqId + 1. "Nothing has changed" is sent with
# seqId = prevSeqId: first = last + 1, which follows a book at last and leaves it there. After maintenance seqId is less than
# prevSeqId and still follows. A snapshot (prevSeqId -1, or none in the channels that send nothing else) takes the book to seqId.
cdef inline bint okx_update_ids(OkxBookTail* t, int flags) noexcept nogil:
    if not t.seen & TAIL_SEQ:
        t.first_update_id = t.last_update_id = 0
        return not t.seen & TAIL_PREV
    t.last_update_id = t.seq_id
    if flags & DELTA_SNAPSHOT:
        t.first_update_id = t.seq_id
        return True
    t.first_update_id = t.prev_seq_id + 1
    return t.seen & TAIL_PREV != 0


# The records of a book message whose prices and quantities stand from `first` on, asks first.
cdef inline void okx_close_book(DecodeBatch* batch, int32_t first, int32_t bids, uint8_t venue, const Instrument* item,
                                int64_t ts_recv_ns, int flags, const OkxBookTail* t) noexcept nogil:
    stamp_levels(batch, first, bids, venue, item.instrument, ts_recv_ns, t.ts_venue_ns, flags | DELTA_ASK, t.first_update_id,
                 t.last_update_id)
    stamp_levels(batch, bids, batch.count, venue, item.instrument, ts_recv_ns, t.ts_venue_ns, flags, t.first_update_id,
                 t.last_update_id)
    # Since 2026-06-23 the checksum is always 0, which says nothing (okx.com/help, "OKX Order Book Channels Checksum Field
    # Deprecation", seen 2026-11).
    if t.checksum != 0:
        batch_close_book_checked(batch, first, venue, item.instrument, ts_recv_ns, t.ts_venue_ns, flags, t.first_update_id,
                                 t.last_update_id, t.checksum)
    else:
        batch_close_book(batch, first, venue, item.instrument, ts_recv_ns, t.ts_venue_ns, flags, t.first_update_id,
                         t.last_update_id)


# One side's rows [["30249.4","1.2112","0","4"],…]; p stands at '['. Returns the byte behind ']' or NULL.
cdef inline const char* okx_scan_side(const char* p, const Instrument* item, DecodeBatch* batch) noexcept nogil:
    cdef BookDelta* b = <BookDelta*>(batch.slots + batch.count)
    cdef BookDelta* limit = <BookDelta*>(batch.slots + LEVELS_MAX)
    if AT(p, "[]"):
        return p + 2
    if not AT(p, "[[\""):
        return NULL
    p += LEN("[[\"")
    while True:
        if unlikely(b == limit):
            return NULL
        p = scan_row(p, item, b)
        if p == NULL or not AT(p, "\",\"0\",\""):
            return NULL
        b += 1
        p += LEN("\",\"0\",\"")
        if not skip_digits(&p):
            return NULL
        if likely(AT(p, "\"],[\"")):
            p += LEN("\"],[\"")
            continue
        if not AT(p, "\"]]"):
            return NULL
        batch.count = <int32_t>(<Slot*>b - batch.slots)
        return p + LEN("\"]]")


cdef inline const char* okx_scan_prev(const char* p, OkxBookTail* t) noexcept nogil:
    cdef int negative = 0
    p += LEN(",\"prevSeqId\":")
    t.seen |= TAIL_PREV
    if not scan_int(&p, &t.prev_seq_id, &negative) or negative and t.prev_seq_id != 1:
        return NULL
    if negative:
        t.prev_seq_id = ~<uint64_t>0
    return p


# The fields behind the levels: "ts", then of checksum, seqId and prevSeqId those that are sent (the last two in either order: the
# documentation and the stream differ). p stands behind the bids; the answer at '}', or NULL.
cdef inline const char* okx_scan_tail(const char* p, OkxBookTail* t) noexcept nogil:
    cdef uint64_t value = 0
    cdef int negative = 0
    t.checksum = 0
    t.seen = TAIL_TS
    if not AT(p, ",\"ts\":\""):
        return NULL
    p += LEN(",\"ts\":\"")
    if not scan_epoch(&p, &t.ts_venue_ns) or p[0] != 34:
        return NULL
    p += 1
    if AT(p, ",\"checksum\":"):
        p += LEN(",\"checksum\":")
        if not scan_int(&p, &value, &negative) or value > <uint64_t>0x7FFFFFFF + negative:
            return NULL
        t.checksum = -<int64_t>value if negative else <int64_t>value
    if p[0] == 125:
        return p
    if AT(p, ",\"prevSeqId\":"):
        p = okx_scan_prev(p, t)
        if p == NULL:
            return NULL
    if not AT(p, ",\"seqId\":"):
        return NULL
    p += LEN(",\"seqId\":")
    t.seen |= TAIL_SEQ
    if not scan_uint(&p, &t.seq_id):
        return NULL
    if not t.seen & TAIL_PREV and AT(p, ",\"prevSeqId\":"):
        return okx_scan_prev(p, t)
    return p


cdef inline int okx_scan_book(const InstrumentTable* instruments, uint8_t venue, uint32_t venue_slot, const char* p,
                              const char* end, bint whole, const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    # p stands behind "instId":" ; `whole`: of a channel that sends nothing but snapshots, and has no "action"
    cdef const Instrument* item = scan_symbol(instruments, venue_slot, &p, end)
    cdef OkxBookTail tail
    cdef int flags = 0
    cdef int32_t bids
    if item == NULL:
        return 0
    if whole:
        if not AT(p, "\"},\"data\":[{\"asks\":"):
            return 0
        p += LEN("\"},\"data\":[{\"asks\":")
        flags = DELTA_SNAPSHOT
    elif likely(AT(p, "\"},\"action\":\"update\",\"data\":[{\"asks\":")):
        p += LEN("\"},\"action\":\"update\",\"data\":[{\"asks\":")
    elif AT(p, "\"},\"action\":\"snapshot\",\"data\":[{\"asks\":"):
        p += LEN("\"},\"action\":\"snapshot\",\"data\":[{\"asks\":")
        flags = DELTA_SNAPSHOT
    else:
        return 0
    if unlikely(p >= end):
        return 0
    p = okx_scan_side(p, item, batch)
    if p == NULL or not AT(p, ",\"bids\":"):
        return 0
    p += LEN(",\"bids\":")
    bids = batch.count
    p = okx_scan_side(p, item, batch)
    if p == NULL:
        return 0
    p = okx_scan_tail(p, &tail)
    if p == NULL or not AT(p, "}]}") or end - p != LEN("}]}") or not okx_update_ids(&tail, flags):
        return 0
    okx_close_book(batch, 0, bids, venue, item, frame.ts_recv_ns, flags, &tail)
    batch.kind = MESSAGE_SNAPSHOT if flags else MESSAGE_BOOK_DELTA
    batch.instrument = item.instrument
    batch.ts_venue_ns = tail.ts_venue_ns
    return STATUS_OK


# What newer streams have behind a trade's time: count, source and seqId, in any order, none of them twice. The answer at '}'.
cdef inline const char* okx_scan_trade_tail(const char* p, const char* end, uint64_t* count) noexcept nogil:
    cdef uint64_t unused = 0
    cdef uint32_t seen = 0, bit
    count[0] = 0
    while p[0] == 44:
        if AT(p, ",\"count\":\""):
            p += LEN(",\"count\":\"")
            bit = 1
            if not scan_uint(&p, count) or p[0] != 34 or count[0] == 0 or count[0] > 0x7FFFFFFF:
                return NULL
            p += 1
        elif AT(p, ",\"source\":\""):
            p += LEN(",\"source\":\"")
            bit = 2
            if not skip_name(&p, end):
                return NULL
            p += 1
        elif AT(p, ",\"seqId\":"):
            p += LEN(",\"seqId\":")
            bit = 4
            if not scan_uint(&p, &unused):
                return NULL
        else:
            return NULL
        if seen & bit:
            return NULL
        seen |= bit
    return p


cdef inline int okx_scan_trades(const InstrumentTable* instruments, uint8_t venue, uint32_t venue_slot, const char* p,
                                const char* end, const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    # p stands behind "instId":"
    cdef const Instrument* item = scan_symbol(instruments, venue_slot, &p, end)
    cdef TradeEvent* t = <TradeEvent*>batch.slots
    cdef TradeEvent* limit = <TradeEvent*>(batch.slots + BATCH_SLOTS)
    cdef uint64_t count = 0
    cdef int64_t ts_venue_ns = 0
    cdef int is_buy = 0
    if item == NULL or not AT(p, "\"},\"data\":["):
        return 0
    p += LEN("\"},\"data\":[")
    while True:
        if p >= end or not AT(p, "{\"instId\":\"") or t == limit:
            return 0
        p += LEN("{\"instId\":\"")
        if not same_name(p, item.symbol, item.symbol_bytes):
            return 0
        p += item.symbol_bytes
        if not AT(p, "\",\"tradeId\":\""):
            return 0
        p += LEN("\",\"tradeId\":\"")
        if not scan_uint(&p, &t.trade_id) or not AT(p, "\",\"px\":\""):
            return 0
        p += LEN("\",\"px\":\"")
        if not scan_plain(&p, &item.price_grid, &t.price_ticks, scan_decimal_general) or not AT(p, "\",\"sz\":\""):
            return 0
        p += LEN("\",\"sz\":\"")
        if not scan_plain(&p, &item.qty_grid, &t.qty_lots, scan_decimal_general) or not AT(p, "\",\"side\":\""):
            return 0
        p += LEN("\",\"side\":\"")
        if not scan_side_lower(&p, &is_buy) or not AT(p, "\",\"ts\":\""):
            return 0
        p += LEN("\",\"ts\":\"")
        if not scan_epoch(&p, &ts_venue_ns) or p[0] != 34:
            return 0
        p = okx_scan_trade_tail(p + 1, end, &count)
        if p == NULL or p[0] != 125:
            return 0
        if t.price_ticks <= 0 or t.qty_lots <= 0:
            return 0
        slot_open(<Slot*>t, EV_TRADE, venue, item.instrument, frame.ts_recv_ns, ts_venue_ns,
                  TRADE_SELL_AGGRESSOR * (is_buy ^ 1) | TRADE_AGGREGATE * (count != 0))
        t.trade_count = <uint32_t>count + (count == 0)
        t.reserved = 0
        t += 1
        if AT(p, "},"):
            p += 2
            continue
        if not AT(p, "}]}") or end - p != LEN("}]}"):
            return 0
        batch.count = <int32_t>(<Slot*>t - batch.slots)
        batch.kind = MESSAGE_TRADE
        batch.instrument = item.instrument
        batch.ts_venue_ns = ts_venue_ns
        return STATUS_OK


cdef inline int okx_scan_ticker(const InstrumentTable* instruments, uint8_t venue, uint32_t venue_slot, const char* p,
                                const char* end, const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    # p stands behind "instId":"
    cdef const Instrument* item = scan_symbol(instruments, venue_slot, &p, end)
    cdef QuoteEvent* q = <QuoteEvent*>batch.slots
    cdef int64_t ts_venue_ns = 0
    if item == NULL or not AT(p, "\"},\"data\":[{\"instType\":\""):
        return 0
    p += LEN("\"},\"data\":[{\"instType\":\"")
    if p >= end or not skip_name(&p, end) or not AT(p, "\",\"instId\":\""):
        return 0
    p += LEN("\",\"instId\":\"")
    if not same_name(p, item.symbol, item.symbol_bytes):
        return 0
    p += item.symbol_bytes
    if not AT(p, "\",\"last\":\""):
        return 0
    p += LEN("\",\"last\":\"")
    if not skip_name(&p, end) or not AT(p, "\",\"lastSz\":\""):
        return 0
    p += LEN("\",\"lastSz\":\"")
    if not skip_name(&p, end) or not AT(p, "\",\"askPx\":\""):
        return 0
    p += LEN("\",\"askPx\":\"")
    if not scan_plain(&p, &item.price_grid, &q.ask_price_ticks, scan_decimal_general) or not AT(p, "\",\"askSz\":\""):
        return 0
    p += LEN("\",\"askSz\":\"")
    if not scan_plain(&p, &item.qty_grid, &q.ask_qty_lots, scan_decimal_general) or not AT(p, "\",\"bidPx\":\""):
        return 0
    p += LEN("\",\"bidPx\":\"")
    if not scan_plain(&p, &item.price_grid, &q.bid_price_ticks, scan_decimal_general) or not AT(p, "\",\"bidSz\":\""):
        return 0
    p += LEN("\",\"bidSz\":\"")
    if not scan_plain(&p, &item.qty_grid, &q.bid_qty_lots, scan_decimal_general) or not AT(p, "\",\"open24h\":\""):
        return 0
    p += LEN("\",\"open24h\":\"")
    if not skip_name(&p, end) or not AT(p, "\",\"high24h\":\""):
        return 0
    p += LEN("\",\"high24h\":\"")
    if not skip_name(&p, end) or not AT(p, "\",\"low24h\":\""):
        return 0
    p += LEN("\",\"low24h\":\"")
    if not skip_name(&p, end) or not AT(p, "\",\"sodUtc0\":\""):
        return 0
    p += LEN("\",\"sodUtc0\":\"")
    if not skip_name(&p, end) or not AT(p, "\",\"sodUtc8\":\""):
        return 0
    p += LEN("\",\"sodUtc8\":\"")
    if not skip_name(&p, end) or not AT(p, "\",\"volCcy24h\":\""):
        return 0
    p += LEN("\",\"volCcy24h\":\"")
    if not skip_name(&p, end) or not AT(p, "\",\"vol24h\":\""):
        return 0
    p += LEN("\",\"vol24h\":\"")
    if not skip_name(&p, end) or not AT(p, "\",\"ts\":\""):
        return 0
    p += LEN("\",\"ts\":\"")
    if not scan_epoch(&p, &ts_venue_ns) or not AT(p, "\"}]}") or end - p != LEN("\"}]}"):
        return 0
    if q.bid_price_ticks <= 0 or q.ask_price_ticks <= 0 or q.bid_qty_lots < 0 or q.ask_qty_lots < 0:
        return 0                                       # an empty side or nonsense: the general way tells which
    slot_open(<Slot*>q, EV_QUOTE, venue, item.instrument, frame.ts_recv_ns, ts_venue_ns, 0)
    batch_of_one(batch, MESSAGE_QUOTE, item.instrument, ts_venue_ns, 0)
    return STATUS_OK


# STATUS_OK, or 0 on any surprise.
cdef inline int okx_scan(const InstrumentTable* instruments, uint8_t venue, uint32_t venue_slot, const FrameView* frame,
                         DecodeBatch* batch) noexcept nogil:
    cdef const char* p = frame.data
    cdef const char* end = frame.data + frame.size
    cdef bint whole
    if unlikely(frame.size < OKX_FRAME_BYTES_MIN or (end - 1)[0] != 125) or not AT(p, "{\"arg\":{\"channel\":\""):
        return 0
    p += LEN("{\"arg\":{\"channel\":\"")
    if p[0] == 98:                                     # 'b'
        if AT(p, "books\",\"instId\":\""):
            p += LEN("books\",\"instId\":\"")
            whole = False
        elif AT(p, "bbo-tbt\",\"instId\":\""):
            p += LEN("bbo-tbt\",\"instId\":\"")
            whole = True
        elif AT(p, "books-l2-tbt\",\"instId\":\""):
            p += LEN("books-l2-tbt\",\"instId\":\"")
            whole = False
        elif AT(p, "books50-l2-tbt\",\"instId\":\""):
            p += LEN("books50-l2-tbt\",\"instId\":\"")
            whole = False
        elif AT(p, "books5\",\"instId\":\""):
            p += LEN("books5\",\"instId\":\"")
            whole = True
        else:
            return 0
        return okx_scan_book(instruments, venue, venue_slot, p, end, whole, frame, batch)
    if AT(p, "tickers\",\"instId\":\""):
        return okx_scan_ticker(instruments, venue, venue_slot, p + LEN("tickers\",\"instId\":\""), end, frame, batch)
    if AT(p, "trades\",\"instId\":\""):
        p += LEN("trades\",\"instId\":\"")
    elif AT(p, "trades-all\",\"instId\":\""):
        p += LEN("trades-all\",\"instId\":\"")
    else:
        return 0
    return okx_scan_trades(instruments, venue, venue_slot, p, end, frame, batch)
