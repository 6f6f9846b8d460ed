"""Order-by-order books inside the engine: see engine_l3.pxd."""
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from tickpath.engine cimport publish
from tickpath.engine_feeds cimport gate_look
from tickpath.market.book cimport SIDE_ASKS, SIDE_BIDS, Book, book_qty_at
from tickpath.market.gate cimport GATE_CHECKSUM, GATE_FEED, GATE_GAP
from tickpath.market.l3_book cimport (
    L3_APPLIED, L3_GAP, L3_INCONSISTENT, L3_OVERFLOW, L3_RULES_COINBASE, L3_RULES_KRAKEN, L3_SEQUENCED, L3_SYNCED,
    L3_UNKNOWN_ORDER, L3Book, l3_checksum, l3_free, l3_init, l3_lose, l3_on_order, l3_truncate,
)
from tickpath.signals.state cimport Top
from tickpath.types cimport (
    BOOK_GOOD, EV_GAP, MAX_INSTRUMENTS, ORDER_DELTA_CHECKSUM, ORDER_DELTA_SNAPSHOT, PRICE_TICKS_NONE, VENUE_KRAKEN, GapEvent,
    OrderDelta, Slot, unlikely,
)


cdef bint orders_apply(EngineCore* e, const Slot* records, int32_t count, int32_t* top_changed) noexcept nogil:
    cdef uint32_t instrument = records.instrument
    cdef L3Book* l = e.l3[instrument]
    cdef const OrderDelta* last = <const OrderDelta*>(records + count - 2)
    cdef uint8_t connection = <uint8_t>(e.frame_connection | CONNECTION_OF_ORDERS)
    cdef bint applied = False
    cdef int32_t i
    cdef int result
    top_changed[0] = 0
    e.totals.order_messages += 1
    if l == NULL:
        e.totals.facts += 1                # in the ring for whoever wants it
        return False
    if unlikely(e.book_connections[instrument] != connection):
        # Numbered events chain whichever socket brings them; without numbers only a snapshot begins another socket's story.
        if not l.rules & L3_SEQUENCED and not records.flags & ORDER_DELTA_SNAPSHOT:
            e.totals.duplicates += 1
            return False
        e.book_connections[instrument] = connection
    for i in range(0, count, 2):
        result = l3_on_order(l, <const OrderDelta*>(records + i))
        if result == L3_APPLIED or result == L3_UNKNOWN_ORDER or result == L3_SYNCED:
            applied = True
            e.totals.snapshots += result == L3_SYNCED
        elif result == L3_GAP:
            e.gates[instrument].lost_by = GATE_GAP
            report_gap(e, l, records)
        elif result == L3_OVERFLOW or result == L3_INCONSISTENT:
            e.gates[instrument].lost_by = 0
    if l.synced and l.l2.state == BOOK_GOOD and applied:
        if e.l3_depths[instrument] > 0:
            l3_truncate(l, e.l3_depths[instrument])
        if last.flags & ORDER_DELTA_CHECKSUM:
            prove_orders(e, l, instrument, last.checksum)
    e.gates[instrument].feed_causes &= ~GATE_FEED
    applied = applied and l.synced
    if applied:
        e.totals.book_messages += 1
        e.totals.levels += count // 2
        if l.l2.state == BOOK_GOOD:
            top_changed[0] = top_of(l.l2, &e.tops[instrument], records.ts_recv_ns)
    gate_look(e, instrument)
    return applied


# The venue has said what the queues must be now.
cdef void prove_orders(EngineCore* e, L3Book* l, uint32_t instrument, uint32_t expected) noexcept nogil:
    if l3_checksum(l, &e.checksums[instrument]) == expected:
        e.totals.checksums_ok += 1
        return
    e.totals.checksums_bad += 1
    e.gates[instrument].lost_by = GATE_CHECKSUM
    l3_lose(l)


cdef int32_t top_of(const Book* book, Top* top, int64_t ts_recv_ns) noexcept nogil:
    cdef int64_t bid = book.sides[SIDE_BIDS].best_ticks
    cdef int64_t ask = book.sides[SIDE_ASKS].best_ticks
    cdef int64_t bid_qty = book_qty_at(book, SIDE_BIDS, bid) if bid != PRICE_TICKS_NONE else 0
    cdef int64_t ask_qty = book_qty_at(book, SIDE_ASKS, ask) if ask != PRICE_TICKS_NONE else 0
    cdef int32_t changed = (bid != top.bid_price_ticks or ask != top.ask_price_ticks or bid_qty != top.bid_qty_lots
                            or ask_qty != top.ask_qty_lots)
    top.bid_price_ticks = bid
    top.bid_qty_lots = bid_qty
    top.ask_price_ticks = ask
    top.ask_qty_lots = ask_qty
    # These venues' quotes have no number that compares with the orders': the newest is what came last.
    top.update_id = 0
    top.ts_recv_ns = ts_recv_ns
    return changed


cdef void report_gap(EngineCore* e, const L3Book* l, const Slot* record) noexcept nogil:
    cdef GapEvent g
    memset(&g, 0, sizeof(GapEvent))
    g.ts_recv_ns = e.now_ns
    g.ts_venue_ns = record.ts_venue_ns
    g.instrument = record.instrument
    g.type = EV_GAP
    g.venue = record.venue
    g.expected_update_id = l.gap_expected_id
    g.found_update_id = l.gap_found_id
    g.total = l.gap_count
    e.totals.gaps += 1
    e.totals.venue_gaps[e.frame_venue] += 1
    publish(e, <const Slot*>&g)


cdef int order_book_new(EngineCore* e, uint32_t instrument, int32_t order_capacity, int32_t depth) noexcept nogil:
    cdef L3Book* l = <L3Book*>calloc(1, sizeof(L3Book))
    if l == NULL:
        return -1
    # The ladder is cut with its orders, never alone.
    e.books[instrument].rules.max_levels = 0
    if l3_init(l, &e.books[instrument], order_capacity,
               L3_RULES_KRAKEN if e.instruments.items[instrument].venue == VENUE_KRAKEN else L3_RULES_COINBASE) != 0:
        free(l)
        return -1
    e.l3[instrument] = l
    e.l3_depths[instrument] = depth
    e.book_connections[instrument] = CONNECTION_OF_ORDERS
    return 0


cdef void order_books_free(EngineCore* e) noexcept nogil:
    cdef int i
    for i in range(MAX_INSTRUMENTS):
        if e.l3[i] != NULL:
            l3_free(e.l3[i])
            free(e.l3[i])
            e.l3[i] = NULL
