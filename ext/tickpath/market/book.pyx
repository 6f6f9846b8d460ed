"""The L2 price ladder; `OrderBook` is its Python face.

`OrderBook.apply(slots)` takes BookDelta records as the decoder makes them; `best_bid`, `best_ask` and `depth(n)` read it.
"""
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from tickpath.market.grid_change cimport GridChange, GridChangeOf, ratio_exact
from tickpath.market.instruments cimport BOOK_SYNC_REST, BOOK_SYNC_STREAM, BookRules

from tickpath.types cimport (
    BOOK_GOOD, BOOK_STALE, BOOK_SYNCING, DELTA_ASK, DELTA_CHECKSUM, DELTA_LAST, DELTA_NO_LEVEL, DELTA_SNAPSHOT, SLOT_BYTES,
)

import numpy as np

from tickpath.decimal import DecimalGrid
from tickpath.types import BookState


# Behind a requested snapshot: so many messages in a row that are older than it were not buffered anywhere.
cdef enum: OLD_MESSAGES_MAX = 64


cdef int book_init(Book* b, int64_t window_ticks, BookRules rules) noexcept nogil:
    """0, or -1 when memory is short. window_ticks: a power of two of at least 4096."""
    cdef int side
    cdef Ladder* l
    memset(b, 0, sizeof(Book))
    b.rules = rules
    b.window_ticks = window_ticks
    b.mask = window_ticks - 1
    b.word_mask = (window_ticks >> 6) - 1
    b.summary_mask = (window_ticks >> 12) - 1
    b.pending = <Slot*>calloc(BOOK_PENDING_SLOTS, sizeof(Slot))
    if b.pending == NULL:
        return -1
    for side in range(2):
        l = &b.sides[side]
        l.qty_lots = <int64_t*>calloc(window_ticks, 8)
        l.bits = <uint64_t*>calloc(window_ticks >> 6, 8)
        l.summary = <uint64_t*>calloc(window_ticks >> 12, 8)
        l.far = <FarLevel*>calloc(BOOK_FAR_LEVELS, sizeof(FarLevel))
        if l.qty_lots == NULL or l.bits == NULL or l.summary == NULL or l.far == NULL:
            return -1
    book_clear(b)
    b.state = BOOK_SYNCING
    return 0


cdef void book_free(Book* b) noexcept nogil:
    cdef int side
    for side in range(2):
        free(b.sides[side].qty_lots)
        free(b.sides[side].bits)
        free(b.sides[side].summary)
        free(b.sides[side].far)
        b.sides[side].qty_lots = NULL
        b.sides[side].bits = NULL
        b.sides[side].summary = NULL
        b.sides[side].far = NULL
    free(b.pending)
    b.pending = NULL


cdef void book_clear(Book* b) noexcept nogil:
    cdef int side
    cdef int64_t i
    cdef Ladder* l
    for side in range(2):
        l = &b.sides[side]
        memset(l.qty_lots, 0, b.window_ticks * 8)
        memset(l.bits, 0, (b.window_ticks >> 6) * 8)
        memset(l.summary, 0, (b.window_ticks >> 12) * 8)
        for i in range(BOOK_FAR_LEVELS):
            l.far[i].price_ticks = PRICE_TICKS_NONE
        l.best_ticks = PRICE_TICKS_NONE
        l.level_count = 0
        l.far_count = 0
    b.crossed = 0
    b.overflowed = 0
    b.unsettled = 0


# ---- far levels: open addressing, linear probing, deletion by shifting back (no tombstones, so it never degrades)

cdef inline uint64_t far_slot(int64_t price_ticks) noexcept nogil:
    return (<uint64_t>price_ticks * 0x9E3779B97F4A7C15ULL) >> 48        # 16 bits = BOOK_FAR_LEVELS


cdef int64_t book_far_qty(const Book* b, int side, int64_t price_ticks) noexcept nogil:
    cdef const FarLevel* far = b.sides[side].far
    cdef uint64_t i = far_slot(price_ticks)
    while far[i].price_ticks != PRICE_TICKS_NONE:
        if far[i].price_ticks == price_ticks:
            return far[i].qty_lots
        i = (i + 1) & (BOOK_FAR_LEVELS - 1)
    return 0


cdef void far_remove(Ladder* l, uint64_t i) noexcept nogil:
    cdef uint64_t j = i, home
    l.far_count -= 1
    while True:
        j = (j + 1) & (BOOK_FAR_LEVELS - 1)
        if l.far[j].price_ticks == PRICE_TICKS_NONE:
            break
        home = far_slot(l.far[j].price_ticks)
        # j may move into the hole at i only when its home does not lie between them.
        if ((j - home) & (BOOK_FAR_LEVELS - 1)) >= ((j - i) & (BOOK_FAR_LEVELS - 1)):
            l.far[i] = l.far[j]
            i = j
    l.far[i].price_ticks = PRICE_TICKS_NONE


cdef inline bint better(int side, int64_t a, int64_t b) noexcept nogil:
    if b == PRICE_TICKS_NONE:
        return True
    return a > b if side == SIDE_BIDS else a < b


cdef void book_set_far(Book* b, int side, int64_t price_ticks, int64_t qty_lots) noexcept nogil:
    cdef Ladder* l = &b.sides[side]
    cdef uint64_t i = far_slot(price_ticks)
    while l.far[i].price_ticks != PRICE_TICKS_NONE:
        if l.far[i].price_ticks == price_ticks:
            if qty_lots == 0:
                far_remove(l, i)
                if price_ticks == l.best_ticks:
                    b.unsettled = 1
            else:
                l.far[i].qty_lots = qty_lots
            return
        i = (i + 1) & (BOOK_FAR_LEVELS - 1)
    if qty_lots == 0:
        return                                          # delete of an unknown level is no error
    if l.far_count >= BOOK_FAR_LEVELS * 3 // 4:
        b.overflowed = 1
        return
    l.far[i].price_ticks = price_ticks
    l.far[i].qty_lots = qty_lots
    l.far_count += 1
    if better(side, price_ticks, l.best_ticks):
        b.unsettled = 1


cdef int64_t far_best(const Book* b, int side) noexcept nogil:
    cdef const Ladder* l = &b.sides[side]
    cdef int64_t best = PRICE_TICKS_NONE
    cdef int64_t i
    if l.far_count == 0:
        return PRICE_TICKS_NONE
    for i in range(BOOK_FAR_LEVELS):
        if l.far[i].price_ticks != PRICE_TICKS_NONE and better(side, l.far[i].price_ticks, best):
            best = l.far[i].price_ticks
    return best


cdef void move_window(Book* b, int64_t centre_ticks) noexcept nogil:
    """Move the window to be centred on a price: levels that leave it go to the far map, those that enter come back."""
    cdef int64_t base = (centre_ticks - b.window_ticks // 2) & ~<int64_t>63
    cdef int64_t low, high, price
    cdef int side
    cdef Ladder* l
    cdef int64_t i, w, old_base = b.base_ticks
    cdef uint64_t k
    cdef int64_t qty
    if base == old_base:
        return
    for side in range(2):
        l = &b.sides[side]
        # Out: prices of the old window that are not in the new one.
        if base > old_base:
            low = old_base
            high = old_base + b.window_ticks if base >= old_base + b.window_ticks else base
        else:
            low = base + b.window_ticks if base + b.window_ticks > old_base else old_base
            high = old_base + b.window_ticks
        b.base_ticks = base
        price = low
        while price < high and l.level_count > 0:
            w = (price & b.mask) >> 6
            if l.bits[w] == 0:
                price = (price | 63) + 1
                continue
            i = price & b.mask
            qty = l.qty_lots[i]
            if qty != 0:
                l.qty_lots[i] = 0
                l.bits[w] &= ~(<uint64_t>1 << (i & 63))
                if l.bits[w] == 0:
                    l.summary[w >> 6] &= ~(<uint64_t>1 << (w & 63))
                l.level_count -= 1
                book_set_far(b, side, price, qty)
            price += 1
        # In: far levels inside the new window. A removal shifts later entries back, so look at the same place again.
        k = 0
        while k < BOOK_FAR_LEVELS and l.far_count > 0:
            price = l.far[k].price_ticks
            if price != PRICE_TICKS_NONE and <uint64_t>(price - base) < <uint64_t>b.window_ticks:
                qty = l.far[k].qty_lots
                far_remove(l, k)
                i = price & b.mask
                w = i >> 6
                l.qty_lots[i] = qty
                l.bits[w] |= <uint64_t>1 << (i & 63)
                l.summary[w >> 6] |= <uint64_t>1 << (w & 63)
                l.level_count += 1
                continue
            k += 1
        b.base_ticks = old_base
    b.base_ticks = base


cdef int64_t window_best(const Book* b, int side) noexcept nogil:
    cdef int64_t first = b.base_ticks if side == SIDE_ASKS else b.base_ticks + b.window_ticks - 1
    if b.sides[side].level_count == 0:
        return PRICE_TICKS_NONE
    if b.sides[side].qty_lots[first & b.mask] != 0:
        return first
    return book_next_level(b, side, first)


cdef inline bint near_edge(const Book* b, int64_t price_ticks) noexcept nogil:
    return (price_ticks < b.base_ticks + b.window_ticks // 8
            or price_ticks >= b.base_ticks + b.window_ticks - b.window_ticks // 8)


cdef int64_t true_best(const Book* b, int side) noexcept nogil:
    cdef int64_t best = window_best(b, side)
    cdef int64_t far = far_best(b, side)
    return far if far != PRICE_TICKS_NONE and better(side, far, best) else best


cdef int64_t book_next_far(const Book* b, int side, int64_t price_ticks) noexcept nogil:
    """The next level behind a price that lies outside the window: slow, for books wider than their window."""
    cdef const Ladder* l = &b.sides[side]
    cdef int64_t found = PRICE_TICKS_NONE
    cdef int64_t i, p
    if l.far_count > 0:
        for i in range(BOOK_FAR_LEVELS):
            p = l.far[i].price_ticks
            if p != PRICE_TICKS_NONE and better(side, price_ticks, p) and better(side, p, found):
                found = p
    p = window_best(b, side)
    if p != PRICE_TICKS_NONE and better(side, price_ticks, p) and better(side, p, found):
        found = p
    return found


cdef void settle_window(Book* b) noexcept nogil:
    """After a message: both bests are true, and well inside the window unless the spread is wider than most of it."""
    cdef int64_t bid = b.sides[SIDE_BIDS].best_ticks
    cdef int64_t ask = b.sides[SIDE_ASKS].best_ticks
    if likely(not b.unsettled and bid != PRICE_TICKS_NONE and ask != PRICE_TICKS_NONE
              and (ask - bid >= b.window_ticks // 2 or bid - ask >= b.window_ticks // 2
                   or not (near_edge(b, bid) or near_edge(b, ask)))):
        return
    if (not b.unsettled and (bid != PRICE_TICKS_NONE or b.sides[SIDE_BIDS].far_count == 0)
            and (ask != PRICE_TICKS_NONE or b.sides[SIDE_ASKS].far_count == 0)
            and (bid == PRICE_TICKS_NONE or not near_edge(b, bid)) and (ask == PRICE_TICKS_NONE or not near_edge(b, ask))):
        return
    b.unsettled = 0
    bid = true_best(b, SIDE_BIDS)
    ask = true_best(b, SIDE_ASKS)
    if bid == PRICE_TICKS_NONE and ask == PRICE_TICKS_NONE:
        b.sides[SIDE_BIDS].best_ticks = b.sides[SIDE_ASKS].best_ticks = PRICE_TICKS_NONE
        return
    if bid == PRICE_TICKS_NONE:
        move_window(b, ask)
    elif ask == PRICE_TICKS_NONE or abs64(ask - bid) >= b.window_ticks // 2:
        move_window(b, bid)
    else:
        move_window(b, bid + (ask - bid) // 2)
    b.unsettled = 0
    b.sides[SIDE_BIDS].best_ticks = bid
    b.sides[SIDE_ASKS].best_ticks = ask


cdef inline int64_t abs64(int64_t v) noexcept nogil:
    return -v if v < 0 else v


cdef inline void set_levels(Book* b, const Slot* records, int32_t count) noexcept nogil:
    cdef const BookDelta* d = <const BookDelta*>records
    cdef int32_t i
    for i in range(count):
        if likely(not d[i].flags & DELTA_NO_LEVEL):
            book_set_level(b, SIDE_ASKS if d[i].flags & DELTA_ASK else SIDE_BIDS, d[i].price_ticks, d[i].qty_lots)


cdef inline void check_cross(Book* b) noexcept nogil:
    b.crossed = (b.sides[SIDE_BIDS].best_ticks != PRICE_TICKS_NONE
                 and b.sides[SIDE_ASKS].best_ticks != PRICE_TICKS_NONE
                 and b.sides[SIDE_BIDS].best_ticks >= b.sides[SIDE_ASKS].best_ticks)
    if unlikely(b.crossed):
        b.crossed_count += 1


cdef int64_t window_worst(const Book* b, int side) noexcept nogil:
    cdef const Ladder* l = &b.sides[side]
    cdef int64_t last = b.base_ticks + b.window_ticks - 1
    cdef int64_t w
    if l.level_count == 0:
        return PRICE_TICKS_NONE
    # The window starts on a word's border and ends on one.
    if side == SIDE_BIDS:
        w = (b.base_ticks & b.mask) >> 6
        if l.bits[w] == 0:
            w = next_word_up(b, l, w)
        return b.base_ticks + (((w << 6) + ctz64(l.bits[w]) - b.base_ticks) & b.mask)
    w = (last & b.mask) >> 6
    if l.bits[w] == 0:
        w = next_word_down(b, l, w)
    return b.base_ticks + (((w << 6) + 63 - clz64(l.bits[w]) - b.base_ticks) & b.mask)


cdef int64_t far_worst(const Book* b, int side) noexcept nogil:
    cdef const Ladder* l = &b.sides[side]
    cdef int64_t worst = PRICE_TICKS_NONE
    cdef int64_t i
    for i in range(BOOK_FAR_LEVELS):
        if l.far[i].price_ticks != PRICE_TICKS_NONE and (worst == PRICE_TICKS_NONE or better(side, worst, l.far[i].price_ticks)):
            worst = l.far[i].price_ticks
    return worst


# A venue that sends a subscribed depth forgets what falls out of it, and does not say so.
cdef void cut_side(Book* b, int side) noexcept nogil:
    cdef Ladder* l = &b.sides[side]
    cdef int64_t worst, far
    while l.level_count + l.far_count > <int64_t>b.rules.max_levels:
        worst = window_worst(b, side)
        if l.far_count > 0:
            far = far_worst(b, side)
            if worst == PRICE_TICKS_NONE or better(side, worst, far):
                worst = far
        book_set_level(b, side, worst, 0)
        b.cut_levels += 1


cdef inline void message_applied(Book* b, const BookDelta* d) noexcept nogil:
    b.last_update_id = d.last_update_id
    b.ts_recv_ns = d.ts_recv_ns
    b.ts_venue_ns = d.ts_venue_ns
    b.update_count += 1
    settle_window(b)
    if b.rules.max_levels != 0:
        cut_side(b, SIDE_BIDS)
        cut_side(b, SIDE_ASKS)
    check_cross(b)
    if unlikely(b.overflowed):
        b.state = BOOK_SYNCING
    else:
        b.state = BOOK_STALE if unlikely(b.crossed) else BOOK_GOOD


cdef int apply_diff(Book* b, const Slot* records, int32_t count) noexcept nogil:
    cdef const BookDelta* d = <const BookDelta*>records
    if unlikely(d.last_update_id <= b.last_update_id):
        return BOOK_DROPPED_OLD
    # One that begins before our place and ends behind it is as good: levels are quantities, not changes of them.
    if unlikely(d.first_update_id > b.last_update_id + 1):
        b.gap_count += 1
        b.gap_expected_id = b.last_update_id + 1
        b.gap_found_id = d.first_update_id
        b.state = BOOK_SYNCING
        return BOOK_GAP
    b.chained = 1
    set_levels(b, records, count)
    message_applied(b, d)
    return BOOK_APPLIED


cdef int keep_pending(Book* b, const Slot* records, int32_t count) noexcept nogil:
    if b.pending_count + count > BOOK_PENDING_SLOTS:
        # Keep the newest: an old message is the first that a later snapshot makes worthless.
        b.dropped_pending += b.pending_count
        b.pending_count = 0
        if count > BOOK_PENDING_SLOTS:
            b.dropped_pending += count
            return BOOK_PENDING
    memcpy(b.pending + b.pending_count, records, count * sizeof(Slot))
    b.pending_count += count
    return BOOK_PENDING


cdef int apply_snapshot(Book* b, const Slot* records, int32_t count) noexcept nogil:
    cdef const BookDelta* d = <const BookDelta*>records
    cdef const BookDelta* p
    cdef int32_t i = 0, n
    cdef int result = BOOK_SYNCED
    if b.state != BOOK_SYNCING and b.chained and d.last_update_id < b.last_update_id:
        return BOOK_DROPPED_OLD
    if b.pending_count > 0 and (<const BookDelta*>b.pending).first_update_id > d.last_update_id + 1:
        return BOOK_SNAPSHOT_TOO_OLD
    book_clear(b)
    # Centre the window on the top of the snapshot before its levels go in.
    for i in range(count):
        if not d[i].flags & DELTA_NO_LEVEL:
            b.base_ticks = (d[i].price_ticks - b.window_ticks // 2) & ~<int64_t>63
            break
    set_levels(b, records, count)
    b.snapshot_update_id = d.last_update_id
    b.chained = 0
    message_applied(b, d)
    # Now what came before it, oldest first.
    i = 0
    while i < b.pending_count:
        p = <const BookDelta*>(b.pending + i)
        n = 1
        while i + n < b.pending_count and (<const BookDelta*>(b.pending + i + n)).last_update_id == p.last_update_id:
            n += 1
        if apply_diff(b, b.pending + i, n) == BOOK_GAP:
            result = BOOK_GAP
            break
        i += n
    b.pending_count = 0
    return result


cdef void book_lose(Book* b) noexcept nogil:
    b.state = BOOK_SYNCING
    b.pending_count = 0


# Each level on the new grid, as records in the place of those that wait for a snapshot, of which a proven book has none. -1 when
# one is none of the new grid.
cdef int32_t regridded_levels(const Book* b, const GridChange* c) noexcept nogil:
    cdef BookDelta* d = <BookDelta*>b.pending
    cdef const Ladder* l
    cdef int64_t price, i
    cdef int32_t n = 0
    cdef int side
    for side in range(2):
        l = &b.sides[side]
        if l.level_count + l.far_count > BOOK_PENDING_SLOTS - n:
            return -1
        price = window_best(b, side)
        while price != PRICE_TICKS_NONE:
            if not (ratio_exact(&c.price, price, &d[n].price_ticks)
                    and ratio_exact(&c.qty, l.qty_lots[price & b.mask], &d[n].qty_lots)):
                return -1
            d[n].flags = DELTA_ASK if side == SIDE_ASKS else 0
            n += 1
            price = book_next_level(b, side, price)
        for i in range(BOOK_FAR_LEVELS):
            if l.far[i].price_ticks == PRICE_TICKS_NONE:
                continue
            if not (ratio_exact(&c.price, l.far[i].price_ticks, &d[n].price_ticks)
                    and ratio_exact(&c.qty, l.far[i].qty_lots, &d[n].qty_lots)):
                return -1
            d[n].flags = DELTA_ASK if side == SIDE_ASKS else 0
            n += 1
    return n


cdef bint book_regrid(Book* b, const GridChange* c) noexcept nogil:
    cdef const BookDelta* d = <const BookDelta*>b.pending
    cdef int64_t best = b.sides[SIDE_BIDS].best_ticks
    cdef int32_t n, k
    if b.state == BOOK_SYNCING:
        return False                       # what waits for the snapshot is in old ticks
    n = regridded_levels(b, c)
    if n < 0:
        return False
    # Every level fits the far map of its side, or there could be too many of them outside the window.
    if b.sides[SIDE_BIDS].level_count + b.sides[SIDE_BIDS].far_count > BOOK_FAR_LEVELS // 2 \
            or b.sides[SIDE_ASKS].level_count + b.sides[SIDE_ASKS].far_count > BOOK_FAR_LEVELS // 2:
        return False
    if best == PRICE_TICKS_NONE:
        best = b.sides[SIDE_ASKS].best_ticks
    book_clear(b)
    if n > 0:
        ratio_exact(&c.price, best, &best)
        b.base_ticks = (best - b.window_ticks // 2) & ~<int64_t>63
    for k in range(n):
        book_set_level(b, SIDE_ASKS if d[k].flags & DELTA_ASK else SIDE_BIDS, d[k].price_ticks, d[k].qty_lots)
    b.pending_count = 0
    b.unsettled = 1
    settle_window(b)
    check_cross(b)
    return True


cdef void load_levels(Book* b, const Slot* records, int32_t count) noexcept nogil:
    cdef const BookDelta* d = <const BookDelta*>records
    cdef int32_t i
    book_clear(b)
    # Centre the window on the top of the snapshot before its levels go in.
    for i in range(count):
        if not d[i].flags & DELTA_NO_LEVEL:
            b.base_ticks = (d[i].price_ticks - b.window_ticks // 2) & ~<int64_t>63
            break
    set_levels(b, records, count)
    b.snapshot_update_id = d.last_update_id
    message_applied(b, d)


# A message of a stream that waits for a requested snapshot. One that takes the ids back (OKX, maintenance) starts a new count:
# a snapshot from behind it has nothing to do with what came before.
cdef int keep_for_request(Book* b, const Slot* records, int32_t count) noexcept nogil:
    cdef const BookDelta* d = <const BookDelta*>records
    if unlikely(d.last_update_id + 1 < d.first_update_id):
        b.pending_count = 0
        return BOOK_PENDING
    return keep_pending(b, records, count)


# A snapshot that was asked for by REST, where the stream brings none (book.pxd): then come the kept messages behind it.
cdef int apply_requested(Book* b, const Slot* records, int32_t count) noexcept nogil:
    cdef const BookDelta* d = <const BookDelta*>records
    cdef const BookDelta* p
    cdef int32_t i = 0, n
    cdef int result = BOOK_SYNCED
    if b.state != BOOK_SYNCING:
        return BOOK_DROPPED_OLD                         # the stream was quicker
    if b.pending_count > 0 and (<const BookDelta*>b.pending).first_update_id > d.last_update_id + 1:
        return BOOK_SNAPSHOT_TOO_OLD
    load_levels(b, records, count)
    b.chained = 0
    while i < b.pending_count and result == BOOK_SYNCED:
        p = <const BookDelta*>(b.pending + i)
        n = 1
        while i + n < b.pending_count and not b.pending[i + n - 1].flags & DELTA_LAST:
            n += 1
        if p.last_update_id > b.last_update_id or p.first_update_id == b.last_update_id + 1:
            if apply_stream(b, b.pending + i, n) == BOOK_GAP:
                result = BOOK_GAP
        i += n
    b.pending_count = 0
    return result


cdef int apply_stream(Book* b, const Slot* records, int32_t count) noexcept nogil:
    cdef const BookDelta* d = <const BookDelta*>records
    if unlikely(d.flags & DELTA_SNAPSHOT):
        if d.first_update_id == 0 and d.last_update_id != 0:
            return apply_requested(b, records, count)
        load_levels(b, records, count)
        b.chained = 1
        b.pending_count = 0
        return BOOK_SYNCED
    if unlikely(b.state == BOOK_SYNCING):
        if d.last_update_id != 0:
            return keep_for_request(b, records, count)
        b.dropped_unsynced += 1
        return BOOK_DROPPED_UNSYNCED
    if d.last_update_id != 0:
        # A reset at the venue (OKX, maintenance) chains like any other message, to an id that is smaller: one that does not
        # chain is no old message.
        if unlikely(d.first_update_id != b.last_update_id + 1):
            if d.last_update_id <= b.last_update_id and d.first_update_id <= d.last_update_id + 1:
                # Behind a requested snapshot a few are old. That all of them are means that the venue has begun to count anew.
                b.chained -= b.chained <= 0
                if likely(b.chained > -OLD_MESSAGES_MAX):
                    return BOOK_DROPPED_OLD
            # The first one behind a requested snapshot may begin before it: levels are quantities, not changes of them.
            if b.chained > 0 or d.first_update_id > b.last_update_id + 1 or d.last_update_id <= b.last_update_id:
                b.gap_count += 1
                b.gap_expected_id = b.last_update_id + 1
                b.gap_found_id = d.first_update_id
                b.state = BOOK_SYNCING
                return BOOK_GAP
        b.chained = 1
    set_levels(b, records, count)
    message_applied(b, d)
    return BOOK_APPLIED


cdef int book_apply(Book* b, const Slot* records, int32_t count) noexcept nogil:
    cdef int result
    if b.rules.sync == BOOK_SYNC_STREAM:
        b.checksum_seen = records[count - 1].flags & DELTA_CHECKSUM
        b.checksum = (<const BookDelta*>(records + count - 1)).price_ticks
        result = apply_stream(b, records, count)
        if unlikely(result == BOOK_GAP) and not records.flags & DELTA_SNAPSHOT:
            # The message that showed the gap is the first that a requested snapshot has to reach.
            b.pending_count = 0
            keep_for_request(b, records, count)
        return result
    if unlikely(records.flags & DELTA_SNAPSHOT):
        return apply_snapshot(b, records, count)
    if unlikely(b.state == BOOK_SYNCING):
        return keep_pending(b, records, count)
    result = apply_diff(b, records, count)
    if unlikely(result == BOOK_GAP):
        # The message that showed the gap is the first that a new snapshot has to reach.
        b.pending_count = 0
        keep_pending(b, records, count)
    return result


cdef int book_depth(const Book* b, int side, int64_t* price_ticks, int64_t* qty_lots, int depth) noexcept nogil:
    cdef int n = 0
    cdef int64_t price = b.sides[side].best_ticks
    while n < depth and price != PRICE_TICKS_NONE:
        price_ticks[n] = price
        qty_lots[n] = book_qty_at(b, side, price)
        n += 1
        price = book_next_level(b, side, price)
        if unlikely(price == PRICE_TICKS_NONE and b.sides[side].far_count > 0):
            price = book_next_far(b, side, price_ticks[n - 1])      # the window ends here, the book does not
    return n


cdef class OrderBook:
    """One instrument's book from Python.

    Parameters: tick_size, lot_size : decimal strings.  window_ticks : power of two, 4096 or more; prices further from
    the top are kept as exactly, only slower.  sync : "rest" or "stream", how it is synchronised (book.pxd).
    max_levels : a side is cut to this many after each message; 0 = not cut.
    Errors: ValueError for a bad window or increment; MemoryError.
    """
    def __cinit__(self, tick_size="0.01", lot_size="0.00001", window_ticks=65536, *, sync="rest", max_levels=0):
        cdef BookRules rules
        memset(&rules, 0, sizeof(BookRules))
        if sync not in ("rest", "stream"):
            raise ValueError(f"sync: expected 'rest' or 'stream', found {sync!r}")
        rules.sync = BOOK_SYNC_REST if sync == "rest" else BOOK_SYNC_STREAM
        rules.max_levels = max_levels
        window = int(window_ticks)
        if window < 4096 or window & (window - 1):
            raise ValueError(f"window_ticks: expected a power of two of at least 4096, found {window_ticks}")
        self.tick_size = DecimalGrid(tick_size)
        self.lot_size = DecimalGrid(lot_size)
        if book_init(&self.book, window, rules) != 0:
            raise MemoryError()

    def __dealloc__(self):
        book_free(&self.book)

    def apply(self, slots):
        """Apply one message: BookDelta records as SLOT_DTYPE, shape (n,), n >= 1. Returns a BookResult.

        Any contiguous buffer of whole slots is read in place, since a NumPy view of its bytes would cost a hundred times more
        than the level it brings (scripts/bench_book.py, python_call). Everything else goes through NumPy, which copies what is
        strided and refuses what is no plain data.
        """
        cdef Py_buffer data
        cdef int result
        try:
            PyObject_GetBuffer(slots, &data, PyBUF_SIMPLE)
        except (BufferError, TypeError, ValueError):
            PyObject_GetBuffer(np.ascontiguousarray(slots).view(np.uint8), &data, PyBUF_SIMPLE)
        if unlikely(data.itemsize != SLOT_BYTES and data.itemsize != 1):
            PyBuffer_Release(&data)
            PyObject_GetBuffer(np.ascontiguousarray(slots).view(np.uint8), &data, PyBUF_SIMPLE)
        if unlikely(data.len < SLOT_BYTES or data.len % SLOT_BYTES != 0):
            size_bytes = data.len
            PyBuffer_Release(&data)
            raise ValueError(f"slots: expected at least one {SLOT_BYTES}-byte slot, found {size_bytes} bytes")
        result = book_apply(&self.book, <const Slot*>data.buf, <int32_t>(data.len // SLOT_BYTES))
        PyBuffer_Release(&data)
        return result

    def set_level(self, int side, int64_t price_ticks, int64_t qty_lots):
        """Set one level outside any message. side: 0 bids, 1 asks; qty_lots 0 deletes."""
        if side not in (0, 1) or qty_lots < 0:
            raise ValueError(f"expected side 0 or 1 and qty_lots >= 0, found {side}, {qty_lots}")
        if self.book.sides[0].best_ticks == PRICE_TICKS_NONE and self.book.sides[1].best_ticks == PRICE_TICKS_NONE \
                and self.book.sides[0].far_count == 0 and self.book.sides[1].far_count == 0:
            self.book.base_ticks = (price_ticks - self.book.window_ticks // 2) & ~<int64_t>63
        book_set_level(&self.book, side, price_ticks, qty_lots)
        settle_window(&self.book)
        check_cross(&self.book)

    def lose(self):
        """Trust it no more: SYNCING until a snapshot."""
        book_lose(&self.book)

    def regrid(self, tick_size, lot_size):
        """The same levels on another grid: True, or False with nothing changed when a level is none of it, or it is SYNCING."""
        cdef GridChangeOf change = GridChangeOf((str(self.tick_size), str(self.lot_size)), (tick_size, lot_size))
        if not book_regrid(&self.book, &change.change):
            return False
        self.tick_size, self.lot_size = DecimalGrid(tick_size), DecimalGrid(lot_size)
        return True

    @property
    def checksum(self):
        """The checksum that the last message carried, or None."""
        return self.book.checksum if self.book.checksum_seen else None

    def mark_synced(self, uint64_t last_update_id):
        """Take the present levels as a snapshot with this update id."""
        self.book.last_update_id = last_update_id
        self.book.chained = 0
        self.book.state = BOOK_STALE if self.book.crossed else BOOK_GOOD

    @property
    def best_bid(self):
        """(price_ticks, qty_lots) or None."""
        cdef int64_t p = self.book.sides[SIDE_BIDS].best_ticks
        return None if p == PRICE_TICKS_NONE else (p, book_qty_at(&self.book, SIDE_BIDS, p))

    @property
    def best_ask(self):
        """(price_ticks, qty_lots) or None."""
        cdef int64_t p = self.book.sides[SIDE_ASKS].best_ticks
        return None if p == PRICE_TICKS_NONE else (p, book_qty_at(&self.book, SIDE_ASKS, p))

    def qty_at(self, int side, int64_t price_ticks):
        return book_qty_at(&self.book, side, price_ticks)

    def depth(self, int levels=10):
        """(bids, asks): int64 arrays of shape (n, 2), price_ticks and qty_lots, best first, n <= levels."""
        return self._depth_array(SIDE_BIDS, levels), self._depth_array(SIDE_ASKS, levels)

    cdef object _depth_array(self, int side, int levels):
        cdef int64_t[::1] prices = np.empty(max(levels, 1), np.int64)
        cdef int64_t[::1] quantities = np.empty(max(levels, 1), np.int64)
        cdef int n = book_depth(&self.book, side, &prices[0], &quantities[0], levels)
        return np.column_stack([np.asarray(prices)[:n], np.asarray(quantities)[:n]])

    def levels(self):
        """({price_ticks: qty_lots} of bids, of asks), every level, also those outside the window. For checks, not for speed."""
        cdef int side
        cdef int64_t i, price
        result = []
        for side in range(2):
            found = {}
            price = window_best(&self.book, side)
            while price != PRICE_TICKS_NONE:
                found[price] = self.book.sides[side].qty_lots[price & self.book.mask]
                price = book_next_level(&self.book, side, price)
            for i in range(BOOK_FAR_LEVELS):
                if self.book.sides[side].far[i].price_ticks != PRICE_TICKS_NONE:
                    found[self.book.sides[side].far[i].price_ticks] = self.book.sides[side].far[i].qty_lots
            result.append(found)
        return tuple(result)

    @property
    def bid_levels(self):
        return self.book.sides[SIDE_BIDS].level_count + self.book.sides[SIDE_BIDS].far_count

    @property
    def ask_levels(self):
        return self.book.sides[SIDE_ASKS].level_count + self.book.sides[SIDE_ASKS].far_count

    @property
    def state(self):
        return BookState(self.book.state)

    @property
    def last_update_id(self):
        return self.book.last_update_id

    @property
    def crossed(self):
        return bool(self.book.crossed)

    @property
    def counters(self):
        """{updates, gaps, crossed, dropped_pending, dropped_unsynced, cut_levels}: counts since the start."""
        return {"updates": self.book.update_count, "gaps": self.book.gap_count, "crossed": self.book.crossed_count,
                "dropped_pending": self.book.dropped_pending, "dropped_unsynced": self.book.dropped_unsynced,
                "cut_levels": self.book.cut_levels}
