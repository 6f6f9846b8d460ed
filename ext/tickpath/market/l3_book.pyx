"""Price-time queues of single orders over the L2 ladder; `L3OrderBook` is their Python face."""
from libc.stdint cimport INT64_MAX, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from tickpath.market.book cimport (
    SIDE_ASKS, SIDE_BIDS, Book, OrderBook, book_apply, book_clear, book_lose, book_next_far, book_next_level, book_set_level,
)
from tickpath.market.checksum cimport (
    CHECKSUM_JOIN_BYTES, CHECKSUM_KRAKEN_LEVELS, BookChecksum, Checksum, CrcPart, checksum_extend, checksum_part,
)
from tickpath.market.instruments cimport CHECKSUM_KRAKEN
from tickpath.market.l3_queues cimport (
    L3_NONE, L3_ORDERS_MAX, L3Level, L3Order, L3Queues, queues_add, queues_ahead, queues_clear, queues_close_level, queues_find,
    queues_find_level, queues_free, queues_init, queues_join, queues_leave, queues_remove, queues_set_qty,
)
from tickpath.types cimport (
    BOOK_GOOD, BOOK_SYNCING, DELTA_FIRST, DELTA_LAST, DELTA_NO_LEVEL, EV_BOOK_DELTA, ORDER_ACTION_ADD, ORDER_ACTION_CHANGE,
    ORDER_ACTION_DELETE, ORDER_ACTION_INVALID, ORDER_ACTION_MATCH, ORDER_DELTA_ASK, ORDER_DELTA_FIRST, ORDER_DELTA_LAST,
    ORDER_DELTA_SNAPSHOT, PRICE_TICKS_NONE, QTY_LOTS_NONE, SLOT_BYTES, BookDelta, OrderDelta, Slot, likely, unlikely,
)

from tickpath.market.book import OrderBook as PyOrderBook


# ---- one event on a book that is in sync. L3_APPLIED, L3_UNKNOWN_ORDER, or what makes the book lose its sync.

cdef inline void show_level(L3Book* l, int32_t index) noexcept nogil:
    """The level's total to the ladder; an empty level is closed."""
    cdef const L3Level* level = &l.queues.levels[index]
    book_set_level(l.l2, level.side, level.price_ticks, level.qty_lots)
    if level.order_count == 0:
        queues_close_level(&l.queues, index)


cdef inline void remove_order(L3Book* l, int32_t order) noexcept nogil:
    cdef int32_t index = l.queues.orders[order].level
    queues_remove(&l.queues, order)
    show_level(l, index)


cdef inline bint too_large(const L3Book* l, int side, int64_t price_ticks, int64_t qty_lots) noexcept nogil:
    """Whether a price's total would leave int64 with so many lots more."""
    cdef int32_t index = queues_find_level(&l.queues, side, price_ticks)
    return index != L3_NONE and qty_lots > INT64_MAX - l.queues.levels[index].qty_lots


cdef int add_order(L3Book* l, uint64_t key_high, uint64_t key_low, int side, int64_t price_ticks,
                   int64_t qty_lots) noexcept nogil:
    cdef int32_t order
    if unlikely(qty_lots <= 0 or price_ticks == PRICE_TICKS_NONE or queues_find(&l.queues, key_high, key_low) != L3_NONE
                or too_large(l, side, price_ticks, qty_lots)):
        return L3_INCONSISTENT
    order = queues_add(&l.queues, key_high, key_low, side, price_ticks, qty_lots)
    if unlikely(order == L3_NONE):
        return L3_OVERFLOW
    show_level(l, l.queues.orders[order].level)
    return L3_APPLIED


cdef int change_order(L3Book* l, int32_t order, int64_t price_ticks, int64_t qty_lots) noexcept nogil:
    cdef const L3Order* o = &l.queues.orders[order]
    cdef int32_t index = o.level
    cdef int side = l.queues.levels[index].side
    cdef bint same_price = price_ticks == PRICE_TICKS_NONE or price_ticks == l.queues.levels[index].price_ticks
    if same_price:
        price_ticks = l.queues.levels[index].price_ticks
    if unlikely(qty_lots < 0 or too_large(l, side, price_ticks, qty_lots - o.qty_lots if same_price else qty_lots)):
        return L3_INCONSISTENT
    if qty_lots == 0:
        remove_order(l, order)
        return L3_APPLIED
    if same_price and (qty_lots <= o.qty_lots or l.rules & L3_KEEP_ON_INCREASE):
        queues_set_qty(&l.queues, order, qty_lots)
        show_level(l, index)
        return L3_APPLIED
    # The old price first: when it was the order's alone, its level is free for the new one.
    queues_leave(&l.queues, order)
    show_level(l, index)
    queues_join(&l.queues, order, side, price_ticks, qty_lots)
    show_level(l, l.queues.orders[order].level)
    return L3_APPLIED


cdef int apply_event(L3Book* l, const L3Event* e) noexcept nogil:
    cdef int32_t order
    cdef int64_t left
    if e.action == ORDER_ACTION_ADD:
        return add_order(l, e.key_high, e.key_low, e.side, e.price_ticks, e.qty_lots)
    if e.action == ORDER_ACTION_INVALID:
        return L3_APPLIED
    order = queues_find(&l.queues, e.key_high, e.key_low)
    if unlikely(order == L3_NONE):
        l.unknown_count += 1
        # A trade is always with an order that rests; a delete or change may be of one that never did.
        return L3_INCONSISTENT if e.action == ORDER_ACTION_MATCH else L3_UNKNOWN_ORDER
    if e.action == ORDER_ACTION_DELETE:
        remove_order(l, order)
        return L3_APPLIED
    if e.action == ORDER_ACTION_CHANGE:
        return change_order(l, order, e.price_ticks, e.qty_lots)
    if unlikely(e.action != ORDER_ACTION_MATCH):
        return L3_INCONSISTENT
    left = l.queues.orders[order].qty_lots - e.qty_lots
    if unlikely(e.qty_lots <= 0 or left < 0):
        return L3_INCONSISTENT
    if left == 0:
        remove_order(l, order)
        return L3_APPLIED
    queues_set_qty(&l.queues, order, left)
    show_level(l, l.queues.orders[order].level)
    return L3_APPLIED


# ---- synchronisation

cdef bint settle(L3Book* l) noexcept nogil:
    """Closes a message in the ladder: its window, crossed state, id and times. False when the ladder has run full."""
    cdef BookDelta d
    memset(&d, 0, sizeof(BookDelta))
    d.type = EV_BOOK_DELTA
    d.flags = DELTA_NO_LEVEL | DELTA_FIRST | DELTA_LAST
    d.ts_recv_ns = l.ts_recv_ns
    d.ts_venue_ns = l.ts_venue_ns
    d.price_ticks = PRICE_TICKS_NONE
    d.first_update_id = l.l2.last_update_id + 1
    d.last_update_id = l.last_update_id if l.last_update_id >= d.first_update_id else d.first_update_id
    book_apply(l.l2, <const Slot*>&d, 1)
    return l.l2.state != BOOK_SYNCING


cdef void l3_lose(L3Book* l) noexcept nogil:
    l.synced = 0
    l.in_snapshot = 0
    l.pending_count = 0
    book_lose(l.l2)


cdef int keep_pending(L3Book* l, const L3Event* e) noexcept nogil:
    if not l.rules & L3_SEQUENCED:
        l.dropped_unsynced += 1
        return L3_DROPPED_UNSYNCED
    if unlikely(l.pending_count == L3_PENDING_EVENTS):
        # Keep the newest: an old event is the first that a later snapshot makes worthless.
        l.dropped_pending += l.pending_count
        l.pending_count = 0
    l.pending[l.pending_count] = e[0]
    l.pending_count += 1
    return L3_PENDING


cdef int take_event(L3Book* l, const L3Event* e, bint last) noexcept nogil:
    """One event with everything that can become of it; `last`: it ends its message."""
    cdef int result
    if unlikely(not l.synced):
        return keep_pending(l, e)
    if l.rules & L3_SEQUENCED:
        if unlikely(e.update_id <= l.last_update_id):
            return L3_DROPPED_OLD
        if unlikely(e.update_id != l.last_update_id + 1):
            l.gap_count += 1
            l.gap_expected_id = l.last_update_id + 1
            l.gap_found_id = e.update_id
            l3_lose(l)
            # The event that showed the gap is the first that a new snapshot has to reach.
            keep_pending(l, e)
            return L3_GAP
        l.last_update_id = e.update_id
    l.ts_recv_ns = e.ts_recv_ns
    l.ts_venue_ns = e.ts_venue_ns
    result = apply_event(l, e)
    if likely(result == L3_APPLIED or result == L3_UNKNOWN_ORDER):
        l.event_count += 1
        if last and unlikely(not settle(l)):
            result = L3_OVERFLOW
        else:
            return result
    if result == L3_OVERFLOW:
        l.overflow_count += 1
    else:
        l.inconsistent_count += 1
    l3_lose(l)
    keep_pending(l, e)
    return result


cdef int l3_apply(L3Book* l, int action, uint64_t key_high, uint64_t key_low, int side, int64_t price_ticks, int64_t qty_lots,
                  uint64_t update_id) noexcept nogil:
    cdef L3Event e
    e.key_high = key_high
    e.key_low = key_low
    e.price_ticks = price_ticks
    e.qty_lots = qty_lots
    e.update_id = update_id
    e.ts_recv_ns = l.ts_recv_ns
    e.ts_venue_ns = l.ts_venue_ns
    e.action = action
    e.side = side
    return take_event(l, &e, True)


cdef int l3_on_order(L3Book* l, const OrderDelta* d) noexcept nogil:
    cdef L3Event e
    cdef int result = L3_APPLIED
    cdef int side = SIDE_ASKS if d.flags & ORDER_DELTA_ASK else SIDE_BIDS
    if unlikely(d.flags & ORDER_DELTA_SNAPSHOT):
        l.ts_recv_ns = d.ts_recv_ns
        l.ts_venue_ns = d.ts_venue_ns
        if d.flags & ORDER_DELTA_FIRST:
            result = l3_snapshot_begin(l, d.update_id)
        # An empty book's snapshot is one record without an order.
        if l.in_snapshot and d.action == ORDER_ACTION_ADD:
            result = l3_snapshot_order(l, d.order_key_high, d.order_key_low, side, d.price_ticks, d.qty_lots)
        if l.in_snapshot and d.flags & ORDER_DELTA_LAST:
            result = l3_snapshot_end(l)
        return result
    e.key_high = d.order_key_high
    e.key_low = d.order_key_low
    e.price_ticks = d.price_ticks
    e.qty_lots = d.qty_lots
    e.update_id = d.update_id
    e.ts_recv_ns = d.ts_recv_ns
    e.ts_venue_ns = d.ts_venue_ns
    e.action = <int32_t>d.action
    e.side = side
    return take_event(l, &e, d.flags & ORDER_DELTA_LAST != 0)


cdef int l3_snapshot_begin(L3Book* l, uint64_t update_id) noexcept nogil:
    """L3_APPLIED, or why this snapshot is of no use."""
    if l.rules & L3_SEQUENCED:
        if l.synced and update_id < l.last_update_id:
            return L3_DROPPED_OLD
        if l.pending_count > 0 and l.pending[0].update_id > update_id + 1:
            return L3_SNAPSHOT_TOO_OLD
    queues_clear(&l.queues)
    book_clear(l.l2)
    l.l2.state = BOOK_SYNCING
    l.synced = 0
    l.in_snapshot = 1
    l.snapshot_update_id = update_id
    return L3_APPLIED


cdef int l3_snapshot_order(L3Book* l, uint64_t key_high, uint64_t key_low, int side, int64_t price_ticks,
                           int64_t qty_lots) noexcept nogil:
    cdef int result
    if not l.in_snapshot:
        return L3_INVALID
    if l.queues.order_count == 0:
        # The window is centred on the first price before anything lies in it.
        l.l2.base_ticks = (price_ticks - l.l2.window_ticks // 2) & ~<int64_t>63
    result = add_order(l, key_high, key_low, side, price_ticks, qty_lots)
    if unlikely(result != L3_APPLIED):
        if result == L3_OVERFLOW:
            l.overflow_count += 1
        else:
            l.inconsistent_count += 1
        # What is pending stays: the next snapshot has to reach it just the same.
        l.in_snapshot = 0
    return result


cdef int l3_snapshot_end(L3Book* l) noexcept nogil:
    cdef int32_t i, count = l.pending_count
    cdef int result
    if not l.in_snapshot:
        return L3_INVALID
    l.in_snapshot = 0
    l.synced = 1
    l.last_update_id = l.snapshot_update_id
    # To the ladder this is the message behind the one before it, with the snapshot's id.
    l.l2.last_update_id = l.snapshot_update_id - 1 if l.snapshot_update_id > 0 else 0
    l.l2.snapshot_update_id = l.snapshot_update_id
    l.l2.chained = 1
    l.l2.state = BOOK_GOOD
    if unlikely(not settle(l)):
        l.overflow_count += 1
        l3_lose(l)
        return L3_OVERFLOW
    l.pending_count = 0
    for i in range(count):
        if l.pending[i].update_id <= l.snapshot_update_id:
            continue
        result = take_event(l, &l.pending[i], True)
        if unlikely(not l.synced):
            # It has kept this event as the first of those to come; those behind it are still here.
            while i + 1 < count:
                i += 1
                keep_pending(l, &l.pending[i])
            return result
    return L3_SYNCED


# ---- reading

cdef int64_t l3_queue_ahead(const L3Book* l, uint64_t key_high, uint64_t key_low) noexcept nogil:
    cdef int32_t order = queues_find(&l.queues, key_high, key_low)
    return QTY_LOTS_NONE if order == L3_NONE else queues_ahead(&l.queues, order)


cdef int32_t l3_order_count(const L3Book* l, int side, int64_t price_ticks) noexcept nogil:
    cdef int32_t index = queues_find_level(&l.queues, side, price_ticks)
    return 0 if index == L3_NONE else l.queues.levels[index].order_count


cdef inline int64_t next_price(const Book* b, int side, int64_t price_ticks) noexcept nogil:
    cdef int64_t found = book_next_level(b, side, price_ticks)
    # A price in the window looks no further than the window's end.
    if found == PRICE_TICKS_NONE and b.sides[side].far_count > 0:
        found = book_next_far(b, side, price_ticks)
    return found


cdef uint32_t l3_checksum(L3Book* l, BookChecksum* c) noexcept nogil:
    cdef CrcPart[256] parts
    cdef uint32_t crc = 0, bytes_ = 0
    cdef int count = 0, side, k
    cdef int32_t order
    cdef int64_t price
    cdef L3Order* o
    for side in range(SIDE_ASKS, SIDE_BIDS - 1, -1):
        price = l.l2.sides[side].best_ticks
        k = 0
        while price != PRICE_TICKS_NONE and k < CHECKSUM_KRAKEN_LEVELS:
            order = l.queues.levels[queues_find_level(&l.queues, side, price)].front
            while order != L3_NONE:
                o = &l.queues.orders[order]
                if o.part.bytes == 0:
                    checksum_part(c, &o.part, price, o.qty_lots)
                if unlikely(count == 256 or bytes_ + o.part.bytes > CHECKSUM_JOIN_BYTES):
                    crc = checksum_extend(c, crc, parts, count)
                    count = 0
                    bytes_ = 0
                parts[count] = o.part
                count += 1
                bytes_ += o.part.bytes
                order = o.behind
            k += 1
            price = next_price(l.l2, side, price)
    return checksum_extend(c, crc, parts, count)


cdef void l3_truncate(L3Book* l, int depth) noexcept nogil:
    cdef int side, _
    cdef int32_t index
    cdef int64_t price, following
    for side in range(2):
        if likely(l.l2.sides[side].level_count + l.l2.sides[side].far_count <= depth):
            continue
        price = l.l2.sides[side].best_ticks
        for _ in range(depth - 1):
            price = next_price(l.l2, side, price)
        following = next_price(l.l2, side, price)
        while following != PRICE_TICKS_NONE:
            index = queues_find_level(&l.queues, side, following)
            while l.queues.levels[index].front != L3_NONE:
                queues_remove(&l.queues, l.queues.levels[index].front)
            show_level(l, index)
            following = next_price(l.l2, side, price)


# ---- cold

cdef int l3_init(L3Book* l, Book* l2, int32_t order_capacity, uint32_t rules) noexcept nogil:
    memset(l, 0, sizeof(L3Book))
    l.l2 = l2
    l.rules = rules
    l.pending = <L3Event*>calloc(L3_PENDING_EVENTS, sizeof(L3Event))
    if l.pending == NULL or queues_init(&l.queues, order_capacity) != 0:
        l3_free(l)
        return -1
    l2.state = BOOK_SYNCING
    return 0


cdef void l3_free(L3Book* l) noexcept nogil:
    queues_free(&l.queues)
    free(l.pending)
    l.pending = NULL


RULES = {"coinbase": L3_RULES_COINBASE, "kraken": L3_RULES_KRAKEN}


cdef class L3OrderBook:
    """One instrument's single orders from Python. `.l2` is the ladder of their totals: read prices, depth and state there.

    Parameters: tick_size, lot_size, window_ticks : as of OrderBook.  rules : "coinbase" or "kraken" (l3_book.pxd).
    order_capacity : power of two; how many orders fit.
    Keys are ints below 2**128. side: 0 bids, 1 asks.
    Errors: ValueError for a bad capacity or unknown rules; MemoryError.
    """
    cdef L3Book book
    cdef readonly OrderBook l2

    def __cinit__(self, tick_size="0.01", lot_size="0.00001", window_ticks=65536, *, rules="coinbase", order_capacity=65536):
        if rules not in RULES:
            raise ValueError(f"rules: expected one of {', '.join(RULES)}, found {rules!r}")
        if not 1 <= order_capacity <= L3_ORDERS_MAX or order_capacity & (order_capacity - 1):
            raise ValueError(f"order_capacity: expected a power of two up to {L3_ORDERS_MAX}, found {order_capacity}")
        self.l2 = PyOrderBook(tick_size, lot_size, window_ticks)
        if l3_init(&self.book, &self.l2.book, order_capacity, RULES[rules]) != 0:
            raise MemoryError()

    def __dealloc__(self):
        l3_free(&self.book)

    def apply(self, action, key, int side=0, price_ticks=None, int64_t qty_lots=0, uint64_t update_id=0):
        """One event that is a whole message; price_ticks None: as it was. Returns an L3Result."""
        return l3_apply(&self.book, action, key >> 64, key & 0xFFFFFFFFFFFFFFFF, side,
                        PRICE_TICKS_NONE if price_ticks is None else price_ticks, qty_lots, update_id)

    def on_orders(self, const uint8_t[::1] records not None):
        """OrderDelta records as bytes, in order. Returns their L3Results."""
        if records.shape[0] % (2 * SLOT_BYTES):
            raise ValueError(f"records: expected whole {2 * SLOT_BYTES}-byte OrderDelta records, found {records.shape[0]} bytes")
        return [l3_on_order(&self.book, <const OrderDelta*>(&records[i])) for i in range(0, records.shape[0], 2 * SLOT_BYTES)]

    def snapshot(self, orders, uint64_t update_id=0):
        """Replace the book. orders: (key, side, price_ticks, qty_lots), best prices first, each queue from its front.

        Returns an L3Result: L3_SYNCED, or why not. Events kept since are applied behind it.
        """
        cdef int result = l3_snapshot_begin(&self.book, update_id)
        if result != L3_APPLIED:
            return result
        for key, side, price_ticks, qty_lots in orders:
            result = l3_snapshot_order(&self.book, key >> 64, key & 0xFFFFFFFFFFFFFFFF, side, price_ticks, qty_lots)
            if result != L3_APPLIED:
                return result
        return l3_snapshot_end(&self.book)

    def lose(self):
        """Trust it no more: SYNCING until a snapshot."""
        l3_lose(&self.book)

    def truncate(self, int depth):
        """Cut each side to its best `depth` prices, depth >= 1."""
        if depth < 1:
            raise ValueError(f"depth: expected at least 1, found {depth}")
        l3_truncate(&self.book, depth)

    def queue_ahead(self, key):
        """Lots in front of an order, or None where it does not rest."""
        cdef int64_t lots = l3_queue_ahead(&self.book, key >> 64, key & 0xFFFFFFFFFFFFFFFF)
        return None if lots == QTY_LOTS_NONE else lots

    def checksum(self, Checksum checksum not None):
        """Kraken's checksum of the queues. checksum: of kind CHECKSUM_KRAKEN, this book's alone."""
        if checksum.checksum.kind != CHECKSUM_KRAKEN:
            raise ValueError("checksum: expected one of kind CHECKSUM_KRAKEN, found another")
        return l3_checksum(&self.book, &checksum.checksum)

    def order_count(self, int side, int64_t price_ticks):
        return l3_order_count(&self.book, side, price_ticks)

    def queue(self, int side, int64_t price_ticks):
        """[(key, qty_lots)] of a price, first in the queue first."""
        cdef const L3Queues* q = &self.book.queues
        cdef int32_t index = queues_find_level(q, side, price_ticks)
        cdef int32_t order = L3_NONE if index == L3_NONE else q.levels[index].front
        found = []
        while order != L3_NONE:
            found.append((<object>q.orders[order].key_high << 64 | q.orders[order].key_low, q.orders[order].qty_lots))
            order = q.orders[order].behind
        return found

    def __len__(self):
        return self.book.queues.order_count

    @property
    def synced(self):
        return bool(self.book.synced)

    @property
    def last_update_id(self):
        return self.book.last_update_id

    @property
    def gap(self):
        """(expected, found) update id of the last gap."""
        return self.book.gap_expected_id, self.book.gap_found_id

    @property
    def counters(self):
        """{events, gaps, unknown, overflows, inconsistent, dropped_pending, dropped_unsynced}: counts since the start."""
        return {"events": self.book.event_count, "gaps": self.book.gap_count, "unknown": self.book.unknown_count,
                "overflows": self.book.overflow_count, "inconsistent": self.book.inconsistent_count,
                "dropped_pending": self.book.dropped_pending, "dropped_unsynced": self.book.dropped_unsynced}
