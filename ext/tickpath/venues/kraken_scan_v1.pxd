# The scanner of Kraken's v1 messages: book snapshot and update (one payload or two), trade, ticker, spread. Hot; included by
# kraken_scan.pxd, whose head says what scanners promise.
#
# A message's symbol and channel stand last, and without the symbol no number can be read: both are found from the frame's end.
# Nothing in front of them can step over them, since no row holds a channel's name.
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

from tickpath.decimal cimport clz64, quote_mask
from tickpath.market.instruments cimport Instrument, instrument_find, instrument_find_words
from tickpath.types cimport (
    DELTA_ASK, DELTA_SNAPSHOT, EV_BOOK_DELTA, EV_TRADE, STATUS_OK, TRADE_SELL_AGGRESSOR, TS_NONE,
    BookDelta, QuoteEvent, Slot, TradeEvent, likely, unlikely,
)
from tickpath.venues.batch cimport (
    BATCH_SLOTS, MESSAGE_BOOK_DELTA, MESSAGE_SNAPSHOT, MESSAGE_TRADE, DecodeBatch, FrameView, batch_close_book,
    batch_close_book_checked, slot_open,
)
from tickpath.venues.kraken_text cimport (
    KRAKEN_CHECKSUM_MAX, KRAKEN_LEVELS_MAX, KrakenScan, batch_note, close_quote, scan_seconds6, scan_units, skip_text_pair,
    stamp_levels,
)
from tickpath.venues.scan cimport AT, LEN, scan_uint, skip_name, zero_padded


cdef inline int scan_v1_book(KrakenScan* k, const char* p, const char* tail, const Instrument* item, const FrameView* frame,
                             DecodeBatch* batch) noexcept nogil:
    # p stands at {"a":[["354.15000000","5.00000000","1618678133.365913"],…] or {"b":… or {"as":…, with "r" behind the time of a
    # row that is published again; tail at the comma before the channel's name.
    cdef BookDelta* b = <BookDelta*>batch.slots
    cdef BookDelta* limit = <BookDelta*>(batch.slots + KRAKEN_LEVELS_MAX)
    cdef uint64_t checksum = 0
    cdef int64_t ts_venue_ns = 0, newest_ns = TS_NONE
    cdef int is_ask = p[2] == c'a'                     # nobody can predict which side it is
    cdef int flags = 0, side_flags = DELTA_ASK * is_ask
    if likely(AT(p + 3, "\":[") and AT(p, "{\"")) and (is_ask | (p[2] == c'b')):
        p += LEN("{\"a\":[")
    elif AT(p, "{\"as\":["):
        p += LEN("{\"as\":[")
        flags = DELTA_SNAPSHOT
        side_flags = DELTA_SNAPSHOT | DELTA_ASK
    else:
        return 0
    while True:
        if p[0] != c']':
            if not AT(p, "[\""):
                return 0
            p += 2
            while True:
                if unlikely(b == limit):
                    return 0
                if not scan_units(&p, &item.price_grid, &b.price_ticks) or not AT(p, "\",\""):
                    return 0
                p += 3
                if not scan_units(&p, &item.qty_grid, &b.qty_lots) or not AT(p, "\",\""):
                    return 0
                p += 3
                if not scan_seconds6(&p, &ts_venue_ns) or unlikely(b.price_ticks <= 0):
                    return 0
                newest_ns = ts_venue_ns if ts_venue_ns > newest_ns else newest_ns
                slot_open(<Slot*>b, EV_BOOK_DELTA, k.venue, item.instrument, frame.ts_recv_ns, ts_venue_ns, side_flags)
                b.first_update_id = 0
                b.last_update_id = 0
                b += 1
                if unlikely(AT(p, "\",\"r\"")):
                    p += 4
                if not AT(p, "\"],[\""):
                    break
                p += LEN("\"],[\"")
            if not AT(p, "\"]]"):
                return 0
            p += 2
        if likely(AT(p, "],\"c\"")) or not side_flags & DELTA_ASK:
            break
        # The bids behind the asks: in the same object, or in one of their own.
        if AT(p, "],\"bs\":[") and flags:
            p += LEN("],\"bs\":[")
        elif AT(p, "],\"b\":[") and not flags:
            p += LEN("],\"b\":[")
        elif AT(p, "]},{\"b\":[") and not flags:
            p += LEN("]},{\"b\":[")
        else:
            break
        side_flags = flags
    if unlikely(flags and side_flags & DELTA_ASK):
        return 0                                       # a snapshot of one side
    batch.count = <int32_t>(<Slot*>b - batch.slots)
    batch.ts_venue_ns = newest_ns
    batch.kind = MESSAGE_SNAPSHOT if flags else MESSAGE_BOOK_DELTA
    batch.instrument = item.instrument
    if batch.count > 1:
        stamp_levels(batch, 0, newest_ns)
    if likely(AT(p, "],\"c\":\"")):
        p += LEN("],\"c\":\"")
        if not scan_uint(&p, &checksum) or checksum > KRAKEN_CHECKSUM_MAX or not AT(p, "\"}") or p + 2 != tail:
            return 0
        batch_close_book_checked(batch, 0, k.venue, item.instrument, frame.ts_recv_ns, newest_ns, flags, 0, 0, <int64_t>checksum)
        return STATUS_OK
    if not AT(p, "]}") or p + 2 != tail:
        return 0
    batch_close_book(batch, 0, k.venue, item.instrument, frame.ts_recv_ns, newest_ns, flags, 0, 0)
    return STATUS_OK


cdef inline int scan_v1_trades(KrakenScan* k, const char* p, const char* tail, const Instrument* item, const FrameView* frame,
                               DecodeBatch* batch) noexcept nogil:
    # p stands at [["354.11000000","0.89594024","1618678142.557535","s","l",""],…]
    cdef TradeEvent* t
    cdef int64_t ts_venue_ns = 0
    if not AT(p, "[[\""):
        return 0
    p += 3
    batch.instrument = item.instrument
    while True:
        if unlikely(batch.count == BATCH_SLOTS):
            return 0
        t = <TradeEvent*>(batch.slots + batch.count)
        if not scan_units(&p, &item.price_grid, &t.price_ticks) or not AT(p, "\",\""):
            return 0
        p += 3
        if not scan_units(&p, &item.qty_grid, &t.qty_lots) or not AT(p, "\",\""):
            return 0
        p += 3
        if not scan_seconds6(&p, &ts_venue_ns) or not AT(p, "\",\"") or not AT(p + 4, "\",\"") or not AT(p + 8, "\",\""):
            return 0
        # Without a branch: neither the side nor the order's type can be predicted.
        if not ((p[3] == c's') | (p[3] == c'b')) & ((p[7] == c'l') | (p[7] == c'm')) or t.price_ticks <= 0 or t.qty_lots <= 0:
            return 0
        slot_open(<Slot*>t, EV_TRADE, k.venue, item.instrument, frame.ts_recv_ns, ts_venue_ns,
                  TRADE_SELL_AGGRESSOR * (p[3] == c's'))
        t.trade_id = 0
        t.trade_count = 1
        t.reserved = 0
        batch_note(batch, item.instrument, ts_venue_ns)
        batch.count += 1
        p += 11
        if not skip_name(&p, tail):
            return 0
        if AT(p, "\"],[\""):
            p += 5
            continue
        if not AT(p, "\"]]") or p + 3 != tail:
            return 0
        batch.kind = MESSAGE_TRADE
        return STATUS_OK


cdef inline int scan_v1_ticker(KrakenScan* k, const char* p, const char* tail, const Instrument* item, const FrameView* frame,
                               DecodeBatch* batch) noexcept nogil:
    # p stands at {"a":["13.253900",35,"35.72892241"],"b":[…],"c":[…],…}
    cdef QuoteEvent* q = <QuoteEvent*>batch.slots
    cdef uint64_t unused = 0
    if not AT(p, "{\"a\":[\""):
        return 0
    p += 7
    if not scan_units(&p, &item.price_grid, &q.ask_price_ticks) or not AT(p, "\","):
        return 0
    p += 2
    if not scan_uint(&p, &unused) or not AT(p, ",\""):
        return 0
    p += 2
    if not scan_units(&p, &item.qty_grid, &q.ask_qty_lots) or not AT(p, "\"],\"b\":[\""):
        return 0
    p += LEN("\"],\"b\":[\"")
    if not scan_units(&p, &item.price_grid, &q.bid_price_ticks) or not AT(p, "\","):
        return 0
    p += 2
    if not scan_uint(&p, &unused) or not AT(p, ",\""):
        return 0
    p += 2
    if not scan_units(&p, &item.qty_grid, &q.bid_qty_lots) or not AT(p, "\"],\"c\":[\""):
        return 0
    p += LEN("\"],\"c\":[\"")
    if not skip_text_pair(&p, tail) or not AT(p, ",\"v\":[\""):
        return 0
    p += 7
    if not skip_text_pair(&p, tail) or not AT(p, ",\"p\":[\""):
        return 0
    p += 7
    if not skip_text_pair(&p, tail) or not AT(p, ",\"t\":["):
        return 0
    p += 6
    if not scan_uint(&p, &unused) or p[0] != c',':
        return 0
    p += 1
    if not scan_uint(&p, &unused) or not AT(p, "],\"l\":[\""):
        return 0
    p += 8
    if not skip_text_pair(&p, tail) or not AT(p, ",\"h\":[\""):
        return 0
    p += 7
    if not skip_text_pair(&p, tail) or not AT(p, ",\"o\":[\""):
        return 0
    p += 7
    if not skip_text_pair(&p, tail) or p[0] != c'}' or p + 1 != tail:
        return 0
    return close_quote(k, q, item, TS_NONE, frame, batch)


cdef inline int scan_v1_spread(KrakenScan* k, const char* p, const char* tail, const Instrument* item, const FrameView* frame,
                               DecodeBatch* batch) noexcept nogil:
    # p stands at ["43770.20000","43770.30000","1633053779.916349","0.00917717","0.31670440"]
    cdef QuoteEvent* q = <QuoteEvent*>batch.slots
    cdef int64_t ts_venue_ns = 0
    if not AT(p, "[\""):
        return 0
    p += 2
    if not scan_units(&p, &item.price_grid, &q.bid_price_ticks) or not AT(p, "\",\""):
        return 0
    p += 3
    if not scan_units(&p, &item.price_grid, &q.ask_price_ticks) or not AT(p, "\",\""):
        return 0
    p += 3
    if not scan_seconds6(&p, &ts_venue_ns) or not AT(p, "\",\""):
        return 0
    p += 3
    if not scan_units(&p, &item.qty_grid, &q.bid_qty_lots) or not AT(p, "\",\""):
        return 0
    p += 3
    if not scan_units(&p, &item.qty_grid, &q.ask_qty_lots) or not AT(p, "\"]") or p + 2 != tail:
        return 0
    return close_quote(k, q, item, ts_venue_ns, frame, batch)


cdef inline int scan_v1(KrakenScan* k, const char* p, const char* end, const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    # p stands behind '['. The last three quotes before the end's own are those around the name and in front of the symbol.
    cdef const char* window = end - 34
    cdef const char* symbol
    cdef const char* name
    cdef const char* tail
    cdef const Instrument* item
    cdef uint64_t channel_id = 0, depth = 0
    cdef uint32_t quotes
    cdef uint64_t[2] words
    cdef long symbol_bytes
    if not AT(end - 2, "\"]"):
        return 0
    quotes = quote_mask(window)
    if unlikely(quotes == 0):
        return 0
    symbol = window + (64 - clz64(quotes))
    quotes &= (<uint32_t>1 << (symbol - window - 1)) - 1
    if unlikely(quotes & (quotes - 1) == 0):
        return 0
    quotes &= (<uint32_t>1 << (63 - clz64(quotes))) - 1
    name = window + (64 - clz64(quotes))
    tail = name - 2
    symbol_bytes = end - 2 - symbol
    if not AT(symbol - 3, "\",\"") or tail[0] != c',':
        return 0
    if likely(symbol_bytes <= 16):
        zero_padded(symbol, symbol_bytes, <char*>words)
        item = instrument_find_words(k.instruments, k.venue_slot, words[0], words[1], 0)
        # A name may hold a zero byte, and then is none of ours.
        if item == NULL or item.symbol_bytes != symbol_bytes:
            return 0
    else:
        item = instrument_find(k.instruments, k.venue_slot, symbol, symbol_bytes)
    if item == NULL or not scan_uint(&p, &channel_id) or p[0] != c',':
        return 0
    p += 1
    if AT(name, "book-"):
        name += 5
        if not scan_uint(&name, &depth) or name + 3 != symbol:
            return 0
        return scan_v1_book(k, p, tail, item, frame, batch)
    if AT(name, "trade\""):
        return scan_v1_trades(k, p, tail, item, frame, batch)
    if AT(name, "spread\""):
        return scan_v1_spread(k, p, tail, item, frame, batch)
    if AT(name, "ticker\""):
        return scan_v1_ticker(k, p, tail, item, frame, batch)
    return 0
