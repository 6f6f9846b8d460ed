# The scanner of Kraken's hottest messages: exact text in, records out, 0 on any surprise. Hot; included by kraken_decode.pyx.
#
# v2 here: book snapshot and update, trade, ticker. v1 in kraken_scan_v1.pxd. Each is told by how it begins.
#
# The time of a book message stands last and in every record, so it is read first, from the frame's end. That tail is compared
# before anything else, and nothing in front of it can step over it: no level or element holds the text `"}]}` but the last one
# at its end. So a message that continues in the bytes behind the frame is refused, not read on.
from libc.stdint cimport int32_t, int64_t, uint64_t

from tickpath.market.instruments cimport Instrument
from tickpath.types cimport (
    DELTA_ASK, DELTA_SNAPSHOT, EV_BOOK_DELTA, EV_TRADE, STATUS_OK, TRADE_SELL_AGGRESSOR, TS_NONE,
    BookDelta, QuoteEvent, Slot, TradeEvent, likely, unlikely,
)
from tickpath.venues.batch cimport (
    BATCH_SLOTS, MESSAGE_BOOK_DELTA, MESSAGE_SNAPSHOT, MESSAGE_TRADE, DecodeBatch, FrameView, batch_close_book_checked, slot_open,
)
from tickpath.venues.kraken_scan_v1 cimport scan_v1
from tickpath.venues.kraken_text cimport (
    KRAKEN_CHECKSUM_MAX, KRAKEN_FRAME_BYTES_MIN, KRAKEN_LEVELS_MAX, KrakenScan, batch_note, close_quote, scan_iso_micros,
    scan_taker, scan_units, skip_number,
)
from tickpath.venues.scan cimport AT, LEN, scan_symbol, scan_uint, skip_name


# Each loop over levels stands in the text once, for both sides: the compiler then takes it into its caller, and what is the
# same for every message stays in registers.
cdef inline int scan_book(KrakenScan* k, const char* p, const char* end, int flags, const FrameView* frame,
                          DecodeBatch* batch) noexcept nogil:
    # p stands at the symbol; the frame ends in 2026-07-19T17:54:39.768901Z"}]}
    cdef const char* time_at = end - 31
    cdef const Instrument* item
    cdef BookDelta* b = <BookDelta*>batch.slots
    cdef BookDelta* limit = <BookDelta*>(batch.slots + KRAKEN_LEVELS_MAX)
    cdef uint64_t checksum = 0
    cdef int64_t ts_venue_ns = 0
    cdef int side_flags = flags
    if not AT(end - 4, "\"}]}") or not scan_iso_micros(time_at, &k.minute, &ts_venue_ns):
        return 0
    item = scan_symbol(k.instruments, k.venue_slot, &p, end)
    if item == NULL or not AT(p, "\",\"bids\":["):
        return 0
    p += LEN("\",\"bids\":[")
    while True:
        if p[0] != c']':
            if not AT(p, "{\"price\":"):
                return 0
            p += LEN("{\"price\":")
            while True:
                if unlikely(b == limit):
                    return 0
                if not scan_units(&p, &item.price_grid, &b.price_ticks) or not AT(p, ",\"qty\":"):
                    return 0
                p += LEN(",\"qty\":")
                if not scan_units(&p, &item.qty_grid, &b.qty_lots) or unlikely(b.price_ticks <= 0):
                    return 0
                slot_open(<Slot*>b, EV_BOOK_DELTA, k.venue, item.instrument, frame.ts_recv_ns, ts_venue_ns, side_flags)
                b.first_update_id = 0
                b.last_update_id = 0
                b += 1
                if not AT(p, "},{\"price\":"):
                    break
                p += LEN("},{\"price\":")
            if p[0] != c'}' or p[1] != c']':
                return 0
            p += 1
        if not AT(p, "],\"asks\":["):
            break
        if unlikely(side_flags & DELTA_ASK):
            return 0
        side_flags |= DELTA_ASK
        p += LEN("],\"asks\":[")
    if not side_flags & DELTA_ASK or not AT(p, "],\"checksum\":"):
        return 0
    p += LEN("],\"checksum\":")
    if not scan_uint(&p, &checksum) or not AT(p, ",\"timestamp\":\""):
        return 0
    if p + LEN(",\"timestamp\":\"") != time_at or checksum > KRAKEN_CHECKSUM_MAX:
        return 0
    batch.count = <int32_t>(<Slot*>b - batch.slots)
    batch.kind = MESSAGE_SNAPSHOT if flags & DELTA_SNAPSHOT else MESSAGE_BOOK_DELTA
    batch.instrument = item.instrument
    batch.ts_venue_ns = ts_venue_ns
    batch_close_book_checked(batch, 0, k.venue, item.instrument, frame.ts_recv_ns, ts_venue_ns, flags, 0, 0, <int64_t>checksum)
    return STATUS_OK


cdef inline int scan_trades(KrakenScan* k, const char* p, const char* end, const FrameView* frame,
                            DecodeBatch* batch) noexcept nogil:
    # p stands at the first symbol.
    cdef const Instrument* item
    cdef TradeEvent* t
    cdef int64_t ts_venue_ns = 0
    cdef int is_sell = 0
    if not AT(end - 4, "\"}]}"):
        return 0
    while True:
        if unlikely(batch.count == BATCH_SLOTS):
            return 0
        t = <TradeEvent*>(batch.slots + batch.count)
        item = scan_symbol(k.instruments, k.venue_slot, &p, end)
        if item == NULL or not AT(p, "\",\"side\":\""):
            return 0
        p += LEN("\",\"side\":\"")
        if not scan_taker(&p, &is_sell) or not AT(p, ",\"price\":"):
            return 0
        p += LEN(",\"price\":")
        if not scan_units(&p, &item.price_grid, &t.price_ticks) or not AT(p, ",\"qty\":"):
            return 0
        p += LEN(",\"qty\":")
        if not scan_units(&p, &item.qty_grid, &t.qty_lots) or not AT(p, ",\"ord_type\":\""):
            return 0
        p += LEN(",\"ord_type\":\"")
        if not skip_name(&p, end) or not AT(p, "\",\"trade_id\":"):
            return 0
        p += LEN("\",\"trade_id\":")
        if not scan_uint(&p, &t.trade_id) or not AT(p, ",\"timestamp\":\""):
            return 0
        p += LEN(",\"timestamp\":\"")
        if not scan_iso_micros(p, &k.minute, &ts_venue_ns):
            return 0
        p += 27
        if unlikely(t.price_ticks <= 0 or t.qty_lots <= 0):
            return 0
        slot_open(<Slot*>t, EV_TRADE, k.venue, item.instrument, frame.ts_recv_ns, ts_venue_ns, TRADE_SELL_AGGRESSOR * is_sell)
        t.trade_count = 1
        t.reserved = 0
        batch_note(batch, item.instrument, ts_venue_ns)
        batch.count += 1
        if AT(p, "\"},{\"symbol\":\""):
            p += LEN("\"},{\"symbol\":\"")
            continue
        if p != end - 4:
            return 0
        batch.kind = MESSAGE_TRADE
        return STATUS_OK


cdef inline int scan_ticker(KrakenScan* k, const char* p, const char* end, const FrameView* frame,
                            DecodeBatch* batch) noexcept nogil:
    # p stands at the symbol. "trades" and "timestamp" were added to the message's end in 2025 and 2026.
    cdef const Instrument* item
    cdef QuoteEvent* q = <QuoteEvent*>batch.slots
    cdef uint64_t unused = 0
    cdef int64_t ts_venue_ns = TS_NONE
    if not AT(end - 3, "}]}"):
        return 0
    item = scan_symbol(k.instruments, k.venue_slot, &p, end)
    if item == NULL or not AT(p, "\",\"bid\":"):
        return 0
    p += LEN("\",\"bid\":")
    if not scan_units(&p, &item.price_grid, &q.bid_price_ticks) or not AT(p, ",\"bid_qty\":"):
        return 0
    p += LEN(",\"bid_qty\":")
    if not scan_units(&p, &item.qty_grid, &q.bid_qty_lots) or not AT(p, ",\"ask\":"):
        return 0
    p += LEN(",\"ask\":")
    if not scan_units(&p, &item.price_grid, &q.ask_price_ticks) or not AT(p, ",\"ask_qty\":"):
        return 0
    p += LEN(",\"ask_qty\":")
    if not scan_units(&p, &item.qty_grid, &q.ask_qty_lots) or not AT(p, ",\"last\":"):
        return 0
    p += LEN(",\"last\":")
    if not skip_number(&p) or not AT(p, ",\"volume\":"):
        return 0
    p += LEN(",\"volume\":")
    if not skip_number(&p) or not AT(p, ",\"vwap\":"):
        return 0
    p += LEN(",\"vwap\":")
    if not skip_number(&p) or not AT(p, ",\"low\":"):
        return 0
    p += LEN(",\"low\":")
    if not skip_number(&p) or not AT(p, ",\"high\":"):
        return 0
    p += LEN(",\"high\":")
    if not skip_number(&p) or not AT(p, ",\"change\":"):
        return 0
    p += LEN(",\"change\":")
    if not skip_number(&p) or not AT(p, ",\"change_pct\":"):
        return 0
    p += LEN(",\"change_pct\":")
    if not skip_number(&p):
        return 0
    if AT(p, ",\"trades\":"):
        p += LEN(",\"trades\":")
        if not scan_uint(&p, &unused):
            return 0
    if AT(p, ",\"timestamp\":\""):
        p += LEN(",\"timestamp\":\"")
        if not scan_iso_micros(p, &k.minute, &ts_venue_ns) or p[27] != c'"':
            return 0
        p += 28
    if p != end - 3:
        return 0
    return close_quote(k, q, item, ts_venue_ns, frame, batch)


cdef inline int kraken_scan(KrakenScan* k, const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    cdef const char* p = frame.data
    cdef const char* end = frame.data + frame.size
    cdef int flags = 0
    if unlikely(frame.size < KRAKEN_FRAME_BYTES_MIN):
        return 0
    if p[0] == c'[':
        return scan_v1(k, p + 1, end, frame, batch)
    if AT(p, "{\"channel\":\"book\",\"type\":\""):
        p += LEN("{\"channel\":\"book\",\"type\":\"")
        if likely(AT(p, "update\",\"data\":[{\"symbol\":\"")):
            p += LEN("update\",\"data\":[{\"symbol\":\"")
        elif AT(p, "snapshot\",\"data\":[{\"symbol\":\""):
            p += LEN("snapshot\",\"data\":[{\"symbol\":\"")
            flags = DELTA_SNAPSHOT
        else:
            return 0
        return scan_book(k, p, end, flags, frame, batch)
    if AT(p, "{\"channel\":\"trade\",\"type\":\"update\",\"data\":[{\"symbol\":\""):
        return scan_trades(k, p + LEN("{\"channel\":\"trade\",\"type\":\"update\",\"data\":[{\"symbol\":\""), end, frame, batch)
    if AT(p, "{\"channel\":\"ticker\",\"type\":\"update\",\"data\":[{\"symbol\":\""):
        return scan_ticker(k, p + LEN("{\"channel\":\"ticker\",\"type\":\"update\",\"data\":[{\"symbol\":\""), end, frame, batch)
    return 0
