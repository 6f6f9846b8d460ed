# The scanner of the Coinbase decoder: exact text, exact key order; 0 on any surprise, and then the tape decides. Hot.
#
# Every frame it takes ends in '}' (checked first). Literals between two looks at the end, numbers, times and names have no
# '}', so a step that starts inside the frame cannot leave it; a list's elements do end in one, so each begins with a look
# whether it still is inside, and the last '}' must be the frame's.
from libc.stdint cimport int32_t, int64_t, uint64_t

from tickpath.decimal cimport e8_to_units
from tickpath.market.instruments cimport Instrument
from tickpath.types cimport (
    DELTA_ASK, DELTA_SNAPSHOT, EV_BOOK_DELTA, EV_QUOTE, ORDER_ACTION_MATCH, ORDER_DELTA_ASK, ORDER_DELTA_FIRST, ORDER_DELTA_LAST,
    QTY_LOTS_NONE, STATUS_OK, TS_NONE, BookDelta, QuoteEvent, Slot, TradeEvent, likely, unlikely,
)
from tickpath.venues.batch cimport (
    MESSAGE_BOOK_DELTA, MESSAGE_QUOTE, MESSAGE_SNAPSHOT, MESSAGE_TRADE, DecodeBatch, FrameView, batch_close_book, slot_open,
)
from tickpath.venues.coinbase_records cimport SLOTS_MAX, CoinbaseDecoder, order_delta, trade_close, trades_in_order
from tickpath.venues.coinbase_text cimport (
    last_time, same_run, scan_book_side, scan_e8, scan_maker_side, scan_time, scan_trade_side, scan_uuid, skip_uuid,
)
from tickpath.venues.scan cimport AT, LEN, scan_decimal_general, scan_plain, scan_symbol, scan_uint, skip_name

# Less than any message the scanner knows; what is shorter has no byte to look at in front of its end.
cdef enum: FRAME_BYTES_MIN = 64

# {"channel":"…","timestamp":"…","sequence_num":15,"events":[{"type":"  from behind the channel's own literal on.
cdef inline bint scan_sequence(const char** at, uint64_t* sequence) noexcept nogil:
    cdef const char* p = at[0]
    if not AT(p, "\",\"sequence_num\":"):
        return False
    p += LEN("\",\"sequence_num\":")
    if not scan_uint(&p, sequence) or not AT(p, ",\"events\":[{\"type\":\""):
        return False
    at[0] = p + LEN(",\"events\":[{\"type\":\"")
    return True


cdef inline int scan_l2_data(CoinbaseDecoder* d, const char* p, const char* end, const FrameView* frame,
                             DecodeBatch* batch) noexcept nogil:
    # p stands behind {"channel":"l2_data","timestamp":"
    cdef uint64_t sequence = 0
    cdef const Instrument* item
    cdef BookDelta* b = <BookDelta*>batch.slots
    cdef BookDelta* limit = b + SLOTS_MAX
    cdef int flags = 0, is_ask = 0
    cdef int64_t ts_venue_ns = 0
    cdef const char* run = NULL              # ","event_time":"…","price_level":"  as it stood last
    cdef const char* start
    cdef long run_bytes = 0
    if not skip_name(&p, end) or not scan_sequence(&p, &sequence):
        return 0
    if AT(p, "update\",\"product_id\":\""):
        p += LEN("update\",\"product_id\":\"")
    elif AT(p, "snapshot\",\"product_id\":\""):
        p += LEN("snapshot\",\"product_id\":\"")
        flags = DELTA_SNAPSHOT
    else:
        return 0
    item = scan_symbol(d.instruments, d.venue_slot, &p, end)
    if item == NULL or not AT(p, "\",\"updates\":[{\"side\":\""):
        return 0
    p += LEN("\",\"updates\":[{\"side\":\"")
    while True:
        if unlikely(b == limit or p >= end) or unlikely(not scan_book_side(&p, &is_ask)):
            return 0
        # All levels of a message have one time, so far; a whole run of text is then compared at once.
        if likely(run_bytes != 0) and likely(same_run(p, run, run_bytes)):
            p += run_bytes
        else:
            start = p
            if not AT(p, "\",\"event_time\":\""):
                return 0
            p += LEN("\",\"event_time\":\"")
            if not scan_time(&p, &d.day, &ts_venue_ns) or not AT(p, "\",\"price_level\":\"") or ts_venue_ns <= 0:
                return 0
            p += LEN("\",\"price_level\":\"")
            run = start
            run_bytes = p - start if 48 <= p - start <= 64 else 0
        if unlikely(not scan_plain(&p, &item.price_grid, &b.price_ticks, scan_decimal_general)):
            return 0
        if not AT(p, "\",\"new_quantity\":\""):
            return 0
        p += LEN("\",\"new_quantity\":\"")
        if unlikely(not scan_plain(&p, &item.qty_grid, &b.qty_lots, scan_decimal_general)):
            return 0
        if unlikely(b.price_ticks <= 0 or b.qty_lots < 0):
            return 0
        slot_open(<Slot*>b, EV_BOOK_DELTA, d.venue, item.instrument, frame.ts_recv_ns, ts_venue_ns, flags | (DELTA_ASK * is_ask))
        b.first_update_id = 0
        b.last_update_id = 0
        b += 1
        if likely(AT(p, "\"},{\"side\":\"")):
            p += LEN("\"},{\"side\":\"")
            continue
        if not AT(p, "\"}]}]}") or p + LEN("\"}]}]}") != end:
            return 0
        break
    batch.count = <int32_t>(<Slot*>b - batch.slots)
    batch.kind = MESSAGE_SNAPSHOT if flags else MESSAGE_BOOK_DELTA
    batch.instrument = item.instrument
    batch.ts_venue_ns = ts_venue_ns
    batch.last_update_id = sequence + 1
    batch_close_book(batch, 0, d.venue, item.instrument, frame.ts_recv_ns, ts_venue_ns, flags, 0, 0)
    return STATUS_OK


cdef inline int scan_market_trades(CoinbaseDecoder* d, const char* p, const char* end, const FrameView* frame,
                                   DecodeBatch* batch) noexcept nogil:
    # p stands behind {"channel":"market_trades","timestamp":"
    cdef uint64_t sequence = 0, trade_id = 0
    cdef int64_t ts_venue_ns = 0
    cdef int maker_sells = 0
    cdef const Instrument* item
    cdef TradeEvent* t
    if not skip_name(&p, end) or not scan_sequence(&p, &sequence):
        return 0
    if AT(p, "update\",\"trades\":[{\"product_id\":\""):
        p += LEN("update\",\"trades\":[{\"product_id\":\"")
    elif AT(p, "snapshot\",\"trades\":[{\"product_id\":\""):
        p += LEN("snapshot\",\"trades\":[{\"product_id\":\"")
    else:
        return 0
    while True:
        if unlikely(batch.count == SLOTS_MAX or p >= end):
            return 0
        t = <TradeEvent*>(batch.slots + batch.count)
        item = scan_symbol(d.instruments, d.venue_slot, &p, end)
        if item == NULL or not AT(p, "\",\"trade_id\":\""):
            return 0
        p += LEN("\",\"trade_id\":\"")
        if not scan_uint(&p, &trade_id) or not AT(p, "\",\"price\":\""):
            return 0
        p += LEN("\",\"price\":\"")
        if not scan_plain(&p, &item.price_grid, &t.price_ticks, scan_decimal_general) or not AT(p, "\",\"size\":\""):
            return 0
        p += LEN("\",\"size\":\"")
        if not scan_plain(&p, &item.qty_grid, &t.qty_lots, scan_decimal_general) or not AT(p, "\",\"time\":\""):
            return 0
        p += LEN("\",\"time\":\"")
        if not scan_time(&p, &d.day, &ts_venue_ns) or not AT(p, "\",\"side\":\""):
            return 0
        p += LEN("\",\"side\":\"")
        if not scan_trade_side(&p, &maker_sells) or unlikely(t.price_ticks <= 0 or t.qty_lots <= 0):
            return 0
        trade_close(d, item, frame, batch, t, ts_venue_ns, trade_id, maker_sells)
        if AT(p, "\"},{\"product_id\":\""):
            p += LEN("\"},{\"product_id\":\"")
            continue
        if not AT(p, "\"}]}]}") or p + LEN("\"}]}]}") != end:
            return 0
        break
    trades_in_order(batch, 0)
    batch.kind = MESSAGE_TRADE
    batch.ts_venue_ns = batch.slots[batch.count - 1].ts_venue_ns
    batch.last_update_id = sequence + 1
    return STATUS_OK


# One side of a ticker: a price and, perhaps, a quantity. p then stands at the last one's closing quote.
cdef inline bint scan_quote_price(const char** p, const Instrument* item, int64_t* price_ticks) noexcept nogil:
    return scan_plain(p, &item.price_grid, price_ticks, scan_decimal_general) and price_ticks[0] > 0


cdef inline bint scan_quote_qty(const char** p, const Instrument* item, int64_t* qty_lots) noexcept nogil:
    return scan_plain(p, &item.qty_grid, qty_lots, scan_decimal_general) and qty_lots[0] >= 0


cdef inline int scan_ticker(CoinbaseDecoder* d, const char* p, const char* end, const FrameView* frame,
                            DecodeBatch* batch) noexcept nogil:
    # p stands behind {"channel":"ticker","timestamp":"
    cdef uint64_t sequence = 0
    cdef int64_t ts_venue_ns = 0
    cdef const Instrument* item
    cdef QuoteEvent* q = <QuoteEvent*>batch.slots
    if not scan_time(&p, &d.day, &ts_venue_ns) or not scan_sequence(&p, &sequence):
        return 0
    if AT(p, "update\",\"tickers\":[{\"type\":\"ticker\",\"product_id\":\""):
        p += LEN("update\",\"tickers\":[{\"type\":\"ticker\",\"product_id\":\"")
    elif AT(p, "snapshot\",\"tickers\":[{\"type\":\"ticker\",\"product_id\":\""):
        p += LEN("snapshot\",\"tickers\":[{\"type\":\"ticker\",\"product_id\":\"")
    else:
        return 0
    item = scan_symbol(d.instruments, d.venue_slot, &p, end)
    if item == NULL or not AT(p, "\",\"price\":\""):
        return 0
    p += LEN("\",\"price\":\"")
    if not skip_name(&p, end) or not AT(p, "\",\"volume_24_h\":\""):
        return 0
    p += LEN("\",\"volume_24_h\":\"")
    if not skip_name(&p, end) or not AT(p, "\",\"low_24_h\":\""):
        return 0
    p += LEN("\",\"low_24_h\":\"")
    if not skip_name(&p, end) or not AT(p, "\",\"high_24_h\":\""):
        return 0
    p += LEN("\",\"high_24_h\":\"")
    if not skip_name(&p, end) or not AT(p, "\",\"low_52_w\":\""):
        return 0
    p += LEN("\",\"low_52_w\":\"")
    if not skip_name(&p, end) or not AT(p, "\",\"high_52_w\":\""):
        return 0
    p += LEN("\",\"high_52_w\":\"")
    if not skip_name(&p, end) or not AT(p, "\",\"price_percent_chg_24_h\":\""):
        return 0
    p += LEN("\",\"price_percent_chg_24_h\":\"")
    if not skip_name(&p, end) or not AT(p, "\",\"best_bid\":\""):
        return 0
    p += LEN("\",\"best_bid\":\"")
    if not scan_quote_price(&p, item, &q.bid_price_ticks) or not AT(p, "\",\"best_ask\":\""):
        return 0
    p += LEN("\",\"best_ask\":\"")
    if not scan_quote_price(&p, item, &q.ask_price_ticks) or not AT(p, "\",\"best_bid_quantity\":\""):
        return 0
    p += LEN("\",\"best_bid_quantity\":\"")
    if not scan_quote_qty(&p, item, &q.bid_qty_lots) or not AT(p, "\",\"best_ask_quantity\":\""):
        return 0
    p += LEN("\",\"best_ask_quantity\":\"")
    if not scan_quote_qty(&p, item, &q.ask_qty_lots) or not AT(p, "\"}]}]}") or p + LEN("\"}]}]}") != end:
        return 0
    slot_open(batch.slots, EV_QUOTE, d.venue, item.instrument, frame.ts_recv_ns, ts_venue_ns, 0)
    batch.count = 1
    batch.kind = MESSAGE_QUOTE
    batch.instrument = item.instrument
    batch.ts_venue_ns = ts_venue_ns
    batch.last_update_id = sequence + 1
    return STATUS_OK


# The rows of an l2update, ["buy","22356.27","0.5"],…; p stands behind the first's [". Returns the byte behind them or NULL.
cdef inline const char* scan_changes(CoinbaseDecoder* d, const char* p, const Instrument* item, const FrameView* frame,
                                     int64_t ts_venue_ns, DecodeBatch* batch) noexcept nogil:
    cdef BookDelta* b = <BookDelta*>batch.slots
    cdef BookDelta* limit = <BookDelta*>(batch.slots + SLOTS_MAX)
    cdef int is_ask = 0
    while True:
        if unlikely(b == limit or not scan_maker_side(&p, &is_ask)) or not AT(p, "\",\""):
            return NULL
        p += LEN("\",\"")
        if unlikely(not scan_plain(&p, &item.price_grid, &b.price_ticks, scan_decimal_general)) or not AT(p, "\",\""):
            return NULL
        p += LEN("\",\"")
        if unlikely(not scan_plain(&p, &item.qty_grid, &b.qty_lots, scan_decimal_general)):
            return NULL
        if unlikely(b.price_ticks <= 0 or b.qty_lots < 0):
            return NULL
        slot_open(<Slot*>b, EV_BOOK_DELTA, d.venue, item.instrument, frame.ts_recv_ns, ts_venue_ns, DELTA_ASK * is_ask)
        b.first_update_id = 0
        b.last_update_id = 0
        b += 1
        if AT(p, "\"],[\""):
            p += LEN("\"],[\"")
            continue
        batch.count = <int32_t>(<Slot*>b - batch.slots)
        return p + LEN("\"]]") if AT(p, "\"]]") else NULL


cdef inline int scan_l2update(CoinbaseDecoder* d, const char* p, const char* end, const FrameView* frame,
                              DecodeBatch* batch) noexcept nogil:
    # p stands behind {"type":"l2update","product_id":"
    cdef const Instrument* item = scan_symbol(d.instruments, d.venue_slot, &p, end)
    cdef int64_t ts_venue_ns = 0
    cdef const char* time_text
    cdef const char* stop
    cdef bint is_time_last
    if item == NULL:
        return 0
    is_time_last = AT(p, "\",\"changes\":[[\"")
    if likely(is_time_last):
        time_text = stop = last_time(end)
        if stop == NULL or not scan_time(&stop, &d.day, &ts_venue_ns) or stop != end - 2:
            return 0
    else:
        time_text = p + LEN("\",\"time\":\"")
        if not AT(p, "\",\"time\":\"") or not scan_time(&time_text, &d.day, &ts_venue_ns):
            return 0
        p = time_text
        if not AT(p, "\",\"changes\":[[\""):
            return 0
    p = scan_changes(d, p + LEN("\",\"changes\":[[\""), item, frame, ts_venue_ns, batch)
    if p == NULL:
        return 0
    if likely(is_time_last):
        if not AT(p, ",\"time\":\"") or p + LEN(",\"time\":\"") != time_text:
            return 0
    elif p[0] != 125 or p + 1 != end:
        return 0
    batch.kind = MESSAGE_BOOK_DELTA
    batch.instrument = item.instrument
    batch.ts_venue_ns = ts_venue_ns
    batch_close_book(batch, 0, d.venue, item.instrument, frame.ts_recv_ns, ts_venue_ns, 0, 0, 0)
    return STATUS_OK


# A message's time that stands behind its levels.
cdef inline void stamp_records(DecodeBatch* batch, int64_t ts_venue_ns) noexcept nogil:
    cdef int32_t i
    for i in range(batch.count):
        batch.slots[i].ts_venue_ns = ts_venue_ns


# One side of a snapshot, [["14.8024","12.77"],…]; p stands at '['. Returns the byte behind ']' or NULL.
cdef inline const char* scan_levels(CoinbaseDecoder* d, const char* p, const Instrument* item, const FrameView* frame, int flags,
                                    DecodeBatch* batch) noexcept nogil:
    cdef BookDelta* b = <BookDelta*>(batch.slots + batch.count)
    cdef BookDelta* limit = <BookDelta*>(batch.slots + SLOTS_MAX)
    if AT(p, "[]"):
        return p + LEN("[]")
    if not AT(p, "[[\""):
        return NULL
    p += LEN("[[\"")
    while True:
        if unlikely(b == limit) or unlikely(not scan_plain(&p, &item.price_grid, &b.price_ticks, scan_decimal_general)):
            return NULL
        if not AT(p, "\",\""):
            return NULL
        p += LEN("\",\"")
        if unlikely(not scan_plain(&p, &item.qty_grid, &b.qty_lots, scan_decimal_general)):
            return NULL
        if unlikely(b.price_ticks <= 0 or b.qty_lots < 0):
            return NULL
        slot_open(<Slot*>b, EV_BOOK_DELTA, d.venue, item.instrument, frame.ts_recv_ns, TS_NONE, flags)
        b.first_update_id = 0
        b.last_update_id = 0
        b += 1
        if likely(AT(p, "\"],[\"")):
            p += LEN("\"],[\"")
            continue
        batch.count = <int32_t>(<Slot*>b - batch.slots)
        return p + LEN("\"]]") if AT(p, "\"]]") else NULL


cdef inline int scan_snapshot(CoinbaseDecoder* d, const char* p, const char* end, const FrameView* frame,
                              DecodeBatch* batch) noexcept nogil:
    # p stands behind {"type":"snapshot","product_id":"
    cdef const Instrument* item = scan_symbol(d.instruments, d.venue_slot, &p, end)
    cdef int64_t ts_venue_ns = TS_NONE
    if item == NULL:
        return 0
    if AT(p, "\",\"asks\":"):
        p = scan_levels(d, p + LEN("\",\"asks\":"), item, frame, DELTA_SNAPSHOT | DELTA_ASK, batch)
        if p == NULL or not AT(p, ",\"bids\":"):
            return 0
        p = scan_levels(d, p + LEN(",\"bids\":"), item, frame, DELTA_SNAPSHOT, batch)
    elif AT(p, "\",\"bids\":"):
        p = scan_levels(d, p + LEN("\",\"bids\":"), item, frame, DELTA_SNAPSHOT, batch)
        if p == NULL or not AT(p, ",\"asks\":"):
            return 0
        p = scan_levels(d, p + LEN(",\"asks\":"), item, frame, DELTA_SNAPSHOT | DELTA_ASK, batch)
    else:
        return 0
    if p == NULL:
        return 0
    if AT(p, ",\"time\":\""):
        p += LEN(",\"time\":\"")
        if not scan_time(&p, &d.day, &ts_venue_ns) or p[0] != 34:
            return 0
        p += 1
        stamp_records(batch, ts_venue_ns)
    if p[0] != 125 or p + 1 != end:
        return 0
    batch.kind = MESSAGE_SNAPSHOT
    batch.instrument = item.instrument
    batch.ts_venue_ns = ts_venue_ns
    batch_close_book(batch, 0, d.venue, item.instrument, frame.ts_recv_ns, ts_venue_ns, DELTA_SNAPSHOT, 0, 0)
    return STATUS_OK


cdef inline int scan_match(CoinbaseDecoder* d, const char* p, const char* end, const FrameView* frame, DecodeBatch* batch,
                           bint is_last) noexcept nogil:
    # p stands behind {"type":"match","trade_id":
    cdef uint64_t trade_id = 0, key_high = 0, key_low = 0, sequence = 0
    cdef int64_t ts_venue_ns = 0
    cdef int maker_sells = 0
    cdef uint64_t size_e8 = 0, price_e8 = 0
    cdef const Instrument* item
    cdef TradeEvent* t = <TradeEvent*>batch.slots
    if not scan_uint(&p, &trade_id) or not AT(p, ",\"maker_order_id\":\""):
        return 0
    p += LEN(",\"maker_order_id\":\"")
    if not scan_uuid(&p, &key_high, &key_low) or not AT(p, "\",\"taker_order_id\":\""):
        return 0
    p += LEN("\",\"taker_order_id\":\"")
    if not skip_uuid(&p, end) or not AT(p, "\",\"side\":\""):
        return 0
    p += LEN("\",\"side\":\"")
    if not scan_maker_side(&p, &maker_sells) or not AT(p, "\",\"size\":\""):
        return 0
    # The numbers stand in front of the name that says their grids.
    p += LEN("\",\"size\":\"")
    if not scan_e8(&p, &size_e8) or not AT(p, "\",\"price\":\""):
        return 0
    p += LEN("\",\"price\":\"")
    if not scan_e8(&p, &price_e8) or not AT(p, "\",\"product_id\":\""):
        return 0
    p += LEN("\",\"product_id\":\"")
    item = scan_symbol(d.instruments, d.venue_slot, &p, end)
    if item == NULL or not AT(p, "\",\"sequence\":"):
        return 0
    p += LEN("\",\"sequence\":")
    if not scan_uint(&p, &sequence) or not AT(p, ",\"time\":\""):
        return 0
    p += LEN(",\"time\":\"")
    if not scan_time(&p, &d.day, &ts_venue_ns) or not AT(p, "\"}") or p + LEN("\"}") != end:
        return 0
    if unlikely(price_e8 == 0 or size_e8 == 0):
        return 0
    if unlikely(e8_to_units(price_e8, &item.price_grid, &t.price_ticks) != STATUS_OK
                or e8_to_units(size_e8, &item.qty_grid, &t.qty_lots) != STATUS_OK):
        return 0
    trade_close(d, item, frame, batch, t, ts_venue_ns, trade_id, maker_sells)
    if not is_last:
        order_delta(d, item, frame, batch, ts_venue_ns, ORDER_ACTION_MATCH,
                    ORDER_DELTA_FIRST | ORDER_DELTA_LAST | (ORDER_DELTA_ASK * maker_sells), t.price_ticks, t.qty_lots, key_high,
                    key_low, sequence)
    batch.kind = MESSAGE_TRADE
    batch.ts_venue_ns = ts_venue_ns
    return STATUS_OK


cdef inline int scan_exchange_ticker(CoinbaseDecoder* d, const char* p, const char* end, const FrameView* frame,
                                     DecodeBatch* batch) noexcept nogil:
    # p stands behind {"type":"ticker","sequence":
    cdef uint64_t sequence = 0, trade_id = 0
    cdef int64_t ts_venue_ns = 0
    cdef const Instrument* item
    cdef QuoteEvent* q = <QuoteEvent*>batch.slots
    if not scan_uint(&p, &sequence) or not AT(p, ",\"product_id\":\""):
        return 0
    p += LEN(",\"product_id\":\"")
    item = scan_symbol(d.instruments, d.venue_slot, &p, end)
    if item == NULL or not AT(p, "\",\"price\":\""):
        return 0
    p += LEN("\",\"price\":\"")
    if not skip_name(&p, end) or not AT(p, "\",\"open_24h\":\""):
        return 0
    p += LEN("\",\"open_24h\":\"")
    if not skip_name(&p, end) or not AT(p, "\",\"volume_24h\":\""):
        return 0
    p += LEN("\",\"volume_24h\":\"")
    if not skip_name(&p, end) or not AT(p, "\",\"low_24h\":\""):
        return 0
    p += LEN("\",\"low_24h\":\"")
    if not skip_name(&p, end) or not AT(p, "\",\"high_24h\":\""):
        return 0
    p += LEN("\",\"high_24h\":\"")
    if not skip_name(&p, end) or not AT(p, "\",\"volume_30d\":\""):
        return 0
    p += LEN("\",\"volume_30d\":\"")
    if not skip_name(&p, end) or not AT(p, "\",\"best_bid\":\""):
        return 0
    p += LEN("\",\"best_bid\":\"")
    q.bid_qty_lots = QTY_LOTS_NONE
    q.ask_qty_lots = QTY_LOTS_NONE
    if not scan_quote_price(&p, item, &q.bid_price_ticks):
        return 0
    if AT(p, "\",\"best_bid_size\":\""):
        p += LEN("\",\"best_bid_size\":\"")
        if not scan_quote_qty(&p, item, &q.bid_qty_lots):
            return 0
    if not AT(p, "\",\"best_ask\":\""):
        return 0
    p += LEN("\",\"best_ask\":\"")
    if not scan_quote_price(&p, item, &q.ask_price_ticks):
        return 0
    if AT(p, "\",\"best_ask_size\":\""):
        p += LEN("\",\"best_ask_size\":\"")
        if not scan_quote_qty(&p, item, &q.ask_qty_lots):
            return 0
    if not AT(p, "\",\"side\":\""):
        return 0
    p += LEN("\",\"side\":\"")
    if not skip_name(&p, end) or not AT(p, "\",\"time\":\""):
        return 0
    p += LEN("\",\"time\":\"")
    if not scan_time(&p, &d.day, &ts_venue_ns) or not AT(p, "\",\"trade_id\":"):
        return 0
    p += LEN("\",\"trade_id\":")
    if not scan_uint(&p, &trade_id) or not AT(p, ",\"last_size\":\""):
        return 0
    p += LEN(",\"last_size\":\"")
    if not skip_name(&p, end) or not AT(p, "\"}") or p + LEN("\"}") != end:
        return 0
    slot_open(batch.slots, EV_QUOTE, d.venue, item.instrument, frame.ts_recv_ns, ts_venue_ns, 0)
    batch.count = 1
    batch.kind = MESSAGE_QUOTE
    batch.instrument = item.instrument
    batch.ts_venue_ns = ts_venue_ns
    return STATUS_OK


cdef inline int coinbase_scan(CoinbaseDecoder* d, const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    cdef const char* p = frame.data
    cdef const char* end = frame.data + frame.size
    if unlikely(frame.size < FRAME_BYTES_MIN or (end - 1)[0] != 125):
        return 0
    if AT(p, "{\"channel\":\""):
        p += LEN("{\"channel\":\"")
        if likely(AT(p, "l2_data\",\"timestamp\":\"")):
            return scan_l2_data(d, p + LEN("l2_data\",\"timestamp\":\""), end, frame, batch)
        if AT(p, "ticker\",\"timestamp\":\""):
            return scan_ticker(d, p + LEN("ticker\",\"timestamp\":\""), end, frame, batch)
        if AT(p, "market_trades\",\"timestamp\":\""):
            return scan_market_trades(d, p + LEN("market_trades\",\"timestamp\":\""), end, frame, batch)
        return 0
    if not AT(p, "{\"type\":\""):
        return 0
    p += LEN("{\"type\":\"")
    if likely(AT(p, "l2update\",\"product_id\":\"")):
        return scan_l2update(d, p + LEN("l2update\",\"product_id\":\""), end, frame, batch)
    if AT(p, "match\",\"trade_id\":"):
        return scan_match(d, p + LEN("match\",\"trade_id\":"), end, frame, batch, False)
    if AT(p, "ticker\",\"sequence\":"):
        return scan_exchange_ticker(d, p + LEN("ticker\",\"sequence\":"), end, frame, batch)
    if AT(p, "snapshot\",\"product_id\":\""):
        return scan_snapshot(d, p + LEN("snapshot\",\"product_id\":\""), end, frame, batch)
    if AT(p, "last_match\",\"trade_id\":"):
        return scan_match(d, p + LEN("last_match\",\"trade_id\":"), end, frame, batch, True)
    return 0
