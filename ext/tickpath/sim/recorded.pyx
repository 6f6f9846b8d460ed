"""A recorded market as the counterparty of clients' orders: see recorded.pxd."""
from libc.math cimport ceil
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memset

from tickpath.market.book cimport SIDE_ASKS, SIDE_BIDS, book_free, book_init, book_next_level, book_qty_at
from tickpath.market.instruments cimport BOOK_SYNC_STREAM, CHECKSUM_NONE, BookRules
from tickpath.market.l3_book cimport L3_KEEP_ON_INCREASE, L3_SEQUENCED
from tickpath.market.l3_queues cimport L3_NONE, L3Order, queues_find, queues_find_level
from tickpath.sim.core cimport exchange_fill_resting
from tickpath.sim.order_queues cimport SIM_NONE, SimLadder, SimOrder, level_at, queue_find, queue_next
from tickpath.sim.queue_models cimport (
    QUEUE_L3, place_begin, place_on_departure, place_on_display, place_on_print, place_serve, repeatable_exp2,
)
from tickpath.types cimport (
    DELTA_ASK, ORDER_ACTION_CHANGE, ORDER_ACTION_DELETE, ORDER_ACTION_MATCH, ORDER_DELTA_LAST, ORDER_DELTA_SNAPSHOT,
    PRICE_TICKS_NONE, SIDE_BUY, int128, likely, unlikely,
)

cdef int64_t FARTHEST = 0x7FFFFFFFFFFFFFFFLL


# ---- what is displayed

cdef inline bint better(int book_side, int64_t a_ticks, int64_t b_ticks) noexcept nogil:
    return a_ticks < b_ticks if book_side == SIDE_ASKS else a_ticks > b_ticks


cdef inline int64_t top_price(const RecordedMarket* m, int book_side) noexcept nogil:
    return m.top.ask_price_ticks if book_side == SIDE_ASKS else m.top.bid_price_ticks


cdef inline int64_t top_lots(const RecordedMarket* m, int book_side) noexcept nogil:
    return m.top.ask_qty_lots if book_side == SIDE_ASKS else m.top.bid_qty_lots


cdef int64_t recorded_displayed(const RecordedMarket* m, int book_side, int64_t price_ticks) noexcept nogil:
    # The best level is as the newest of quote and book has it, deeper ones are the book's.
    cdef int64_t top = top_price(m, book_side)
    if top == price_ticks:
        return top_lots(m, book_side)
    if top != PRICE_TICKS_NONE and better(book_side, price_ticks, top):
        return 0
    return book_qty_at(m.book, book_side, price_ticks)


cdef int64_t level_behind(const RecordedMarket* m, int book_side, int64_t price_ticks) noexcept nogil:
    """The displayed level behind a price, or PRICE_TICKS_NONE: the book's, which may still show levels that the quote knows to
    be gone."""
    cdef int64_t p = m.book.sides[book_side].best_ticks
    cdef bint inside = <uint64_t>(price_ticks - m.book.base_ticks) < <uint64_t>m.book.window_ticks
    while p != PRICE_TICKS_NONE and not better(book_side, price_ticks, p):
        p = book_next_level(m.book, book_side, price_ticks if inside else p)
    return p


cdef inline TakenLevel* taken_at(RecordedMarket* m, int book_side, int64_t price_ticks, int64_t shown_lots) noexcept nogil:
    """What was taken at a price, NULL when nothing of what is displayed now."""
    cdef int32_t i
    cdef TakenLevel* t
    for i in range(m.taken_count):
        t = &m.taken[i]
        if t.price_ticks == price_ticks and t.side == book_side and t.taken_lots != 0:
            if t.shown_lots == shown_lots:
                return t
            t.taken_lots = 0
            return NULL
    return NULL


cdef inline int64_t available(RecordedMarket* m, int book_side, int64_t price_ticks, int64_t shown_lots) noexcept nogil:
    cdef TakenLevel* t = taken_at(m, book_side, price_ticks, shown_lots)
    if t == NULL:
        return shown_lots
    return shown_lots - t.taken_lots if shown_lots > t.taken_lots else 0


cdef void note_taken(RecordedMarket* m, int book_side, int64_t price_ticks, int64_t lots) noexcept nogil:
    cdef int64_t shown = recorded_displayed(m, book_side, price_ticks)
    cdef TakenLevel* t = taken_at(m, book_side, price_ticks, shown)
    if t == NULL:
        t = &m.taken[m.taken_next]
        m.taken_next = (m.taken_next + 1) % SIM_TAKEN
        if m.taken_count < SIM_TAKEN:
            m.taken_count += 1
        t.price_ticks = price_ticks
        t.side = book_side
        t.shown_lots = shown
        t.taken_lots = 0
    t.taken_lots += lots
    if m.settings.impact_bps > 0 and shown > 0:
        m.impact[book_side] += m.settings.impact_bps * (<double>lots / <double>shown)


# ---- how far it stands back

cdef void look_at_shift(RecordedMarket* m) noexcept nogil:
    """Once a request: a level moved in the middle of a match would be met twice or not at all."""
    cdef int side
    cdef double bps
    cdef uint64_t request = m.x.pool.next_number
    cdef int64_t now_ns = m.x.now_ns
    if request == m.shift_number and now_ns == m.impact_ns:
        return
    m.shift_number = request
    if now_ns > m.impact_ns:
        if m.settings.impact_bps > 0:
            bps = repeatable_exp2(-(<double>(now_ns - m.impact_ns) / <double>m.settings.impact_half_life_ns))
            m.impact[SIDE_BIDS] *= bps
            m.impact[SIDE_ASKS] *= bps
        m.impact_ns = now_ns
    for side in range(2):
        m.shift_ticks[side] = 0
        bps = m.impact[side] + m.extra_bps
        if bps > 1e-6 and top_price(m, side) != PRICE_TICKS_NONE:
            m.shift_ticks[side] = <int64_t>ceil(<double>top_price(m, side) * bps * 1e-4 - 1e-9)
            if side == SIDE_BIDS:
                m.shift_ticks[side] = -m.shift_ticks[side]


cdef inline bint may_shift(const RecordedMarket* m) noexcept nogil:
    return m.settings.impact_bps > 0 or m.settings.slippage_bps > 0


# ---- what the exchange asks (core.pxd, SimRecorded)

cdef int64_t on_best(void* r, int side) noexcept nogil:
    cdef RecordedMarket* m = <RecordedMarket*>r
    cdef int64_t p = top_price(m, side)
    if unlikely(m.closed):
        return PRICE_TICKS_NONE
    if p != PRICE_TICKS_NONE and may_shift(m):
        look_at_shift(m)
        p += m.shift_ticks[side]
    return p if p > 0 else PRICE_TICKS_NONE


cdef int64_t on_next(void* r, int side, int64_t price_ticks) noexcept nogil:
    cdef RecordedMarket* m = <RecordedMarket*>r
    cdef int64_t p = level_behind(m, side, price_ticks - m.shift_ticks[side])
    if p != PRICE_TICKS_NONE:
        p += m.shift_ticks[side]
    return p if p > 0 else PRICE_TICKS_NONE


cdef int64_t on_shown(void* r, int side, int64_t price_ticks, const SimOrder* o) noexcept nogil:
    cdef RecordedMarket* m = <RecordedMarket*>r
    cdef const QueuePlace* place
    cdef int64_t raw = price_ticks - m.shift_ticks[side]
    cdef int64_t lots
    if unlikely(m.closed):
        return 0
    lots = available(m, side, raw, recorded_displayed(m, side, raw))
    if o == NULL or m.shift_ticks[side] != 0:
        return lots
    place = recorded_place(m, o.queue_ahead_lots)
    if place == NULL:
        return 0
    return place.ahead_lots if place.ahead_lots < lots else lots


cdef void on_take(void* r, int side, int64_t price_ticks, int64_t lots) noexcept nogil:
    cdef RecordedMarket* m = <RecordedMarket*>r
    cdef SimOrder* o = NULL
    cdef QueuePlace* place
    note_taken(m, side, price_ticks - m.shift_ticks[side], lots)
    if m.instruments[SIDE_BIDS] == m.instruments[SIDE_ASKS]:
        o = first_at(m, side, price_ticks)
    while o != NULL:
        place = recorded_place(m, o.queue_ahead_lots)
        if place != NULL:
            place_serve(place, lots)
        o = next_of(m, o)


cdef void on_rest(void* r, SimOrder* o) noexcept nogil:
    cdef RecordedMarket* m = <RecordedMarket*>r
    cdef int side = SIDE_BIDS if o.side == SIDE_BUY else SIDE_ASKS
    cdef QueuePlace* p
    note_price(m, side, o.price_ticks, 1)
    m.heard_ticks[side] = PRICE_TICKS_NONE
    o.queue_ahead_lots = new_place(m)
    p = recorded_place(m, o.queue_ahead_lots)
    if unlikely(p == NULL):
        m.unplaced += 1
        return
    place_begin(p, recorded_displayed(m, side, o.price_ticks))
    if m.l3 != NULL and m.settings.queue_model == QUEUE_L3:
        join_l3(m, p, side, o.price_ticks)
    if p.ahead_lots > 0 and not better(side, m.cleared_ticks[side], o.price_ticks):
        m.cleared_ticks[side] = o.price_ticks + (1 if side == SIDE_BIDS else -1)


cdef void on_leave(void* r, SimOrder* o) noexcept nogil:
    cdef RecordedMarket* m = <RecordedMarket*>r
    cdef QueuePlace* p = recorded_place(m, o.queue_ahead_lots)
    note_price(m, SIDE_BIDS if o.side == SIDE_BUY else SIDE_ASKS, o.price_ticks, -1)
    if p == NULL:
        return
    p.shown_lots = m.free_place
    m.free_place = <int32_t>o.queue_ahead_lots
    o.queue_ahead_lots = -1


cdef void on_free(void* r) noexcept nogil:
    cdef RecordedMarket* m = <RecordedMarket*>r
    free(m.places)
    free(m.followed)
    if m.owned:
        book_free(&m.own_book)
    free(m)


cdef inline void note_price(RecordedMarket* m, int book_side, int64_t price_ticks, int by) noexcept nogil:
    cdef int32_t* count = &m.price_counts[(book_side << 6) | <int>(price_ticks & 63)]
    count[0] += by
    if count[0] == 0:
        m.price_bits[book_side] &= ~(<uint64_t>1 << (price_ticks & 63))
    else:
        m.price_bits[book_side] |= <uint64_t>1 << (price_ticks & 63)


cdef void recorded_repriced(RecordedMarket* m, int book_side, int64_t old_ticks, int64_t new_ticks) noexcept nogil:
    note_price(m, book_side, old_ticks, -1)
    note_price(m, book_side, new_ticks, 1)


# ---- places

cdef QueuePlace* recorded_place(RecordedMarket* m, int64_t index) noexcept nogil:
    return &m.places[index] if 0 <= index < m.place_capacity else NULL


cdef int32_t new_place(RecordedMarket* m) noexcept nogil:
    cdef int32_t i
    if unlikely(m.free_place < 0) and not grow_places(m):
        return -1
    i = m.free_place
    m.free_place = <int32_t>m.places[i].shown_lots
    return i


cdef bint grow_places(RecordedMarket* m) noexcept nogil:
    cdef int32_t i, capacity = 2 * m.place_capacity if m.place_capacity > 0 else 256
    cdef QueuePlace* places = <QueuePlace*>realloc(m.places, capacity * sizeof(QueuePlace))
    if places == NULL:
        return False
    m.places = places
    for i in range(capacity - 1, m.place_capacity - 1, -1):
        places[i].shown_lots = m.free_place
        m.free_place = i
    m.place_capacity = capacity
    return True


cdef inline SimOrder* first_at(RecordedMarket* m, int book_side, int64_t price_ticks) noexcept nogil:
    cdef SimLadder* l = m.ladders[book_side]
    cdef int32_t level
    if likely((m.price_bits[book_side] >> (price_ticks & 63)) & 1 == 0):
        return NULL
    # Negative, or more than any queue of the exchange is for.
    if price_ticks >> 46 != 0 or better(book_side, price_ticks, l.best_ticks):
        return NULL
    level = queue_find(&m.x.pool, l, price_ticks)
    return &m.x.pool.orders[level_at(&m.x.pool, level).front] if level != SIM_NONE else NULL


cdef inline SimOrder* next_of(RecordedMarket* m, const SimOrder* o) noexcept nogil:
    return &m.x.pool.orders[o.behind] if o.behind != SIM_NONE else NULL


# ---- what happens in the market

cdef inline void fill(RecordedMarket* m, SimOrder* o, int64_t lots, int64_t now_ns) noexcept nogil:
    exchange_fill_resting(m.x, o, lots, now_ns)


cdef void recorded_on_trade(RecordedMarket* m, int64_t price_ticks, int64_t qty_lots, bint sell_aggressor,
                            int64_t now_ns) noexcept nogil:
    """A print: through a client's price it fills the client; at its price what stands ahead comes first."""
    cdef int side = SIDE_BIDS if sell_aggressor else SIDE_ASKS         # of the orders that it hits
    cdef SimLadder* l = m.ladders[side]
    cdef int64_t left = qty_lots, lots
    cdef SimOrder* o
    cdef SimOrder* behind
    cdef QueuePlace* place
    # Better prices than the print's, best first: the front order until the price or the print is used up.
    while left > 0 and l.order_count > 0 and better(side, l.best_ticks, price_ticks):
        o = &m.x.pool.orders[level_at(&m.x.pool, l.best_level).front]
        lots = left if left < o.shown_lots else o.shown_lots
        left -= lots
        place = recorded_place(m, o.queue_ahead_lots)
        if place != NULL:
            place.ahead_lots = 0
        fill(m, o, lots, now_ns)
    o = first_at(m, side, price_ticks) if left > 0 else NULL
    while o != NULL and left > 0:
        behind = next_of(m, o)
        place = recorded_place(m, o.queue_ahead_lots)
        lots = place_on_print(place, left, now_ns) if place != NULL else left
        if lots > o.shown_lots:
            lots = o.shown_lots
        if lots > 0:
            left -= lots
            fill(m, o, lots, now_ns)
        o = behind


cdef void clear_better(RecordedMarket* m, int side) noexcept nogil:
    """The display's best has moved behind clients' prices: nobody is ahead of them any more."""
    cdef SimLadder* l = m.ladders[side]
    cdef int64_t top = top_price(m, side)
    cdef int64_t before_top = top + (1 if side == SIDE_BIDS else -1)
    cdef int64_t p = l.best_ticks
    cdef SimOrder* o
    cdef QueuePlace* place
    if not better(side, m.cleared_ticks[side], before_top):
        return
    if not better(side, m.cleared_ticks[side], p):
        p = queue_next(&m.x.pool, l, m.cleared_ticks[side])
    while p != PRICE_TICKS_NONE and better(side, p, top):
        o = first_at(m, side, p)
        while o != NULL:
            place = recorded_place(m, o.queue_ahead_lots)
            if place != NULL:
                place.ahead_lots = 0
            o = next_of(m, o)
        p = queue_next(&m.x.pool, l, p)
    m.cleared_ticks[side] = before_top


cdef void show_level(RecordedMarket* m, int side, int64_t price_ticks, int64_t now_ns) noexcept nogil:
    """The display at a price may have changed: clients' orders there hear of it."""
    cdef SimOrder* o = first_at(m, side, price_ticks)
    cdef QueuePlace* place
    cdef int64_t shown
    if o == NULL:
        return
    shown = recorded_displayed(m, side, price_ticks)
    while o != NULL:
        place = recorded_place(m, o.queue_ahead_lots)
        if place != NULL and place.number == 0:
            place_on_display(place, m.settings.queue_model, m.settings.queue_power, shown, now_ns)
        o = next_of(m, o)


cdef void meet_other_side(RecordedMarket* m, int side, int64_t now_ns) noexcept nogil:
    """The other side's best has come to clients' prices: it trades with them, at their price, up to what it displays."""
    cdef SimLadder* l = m.ladders[side]
    cdef int other = SIDE_ASKS if side == SIDE_BIDS else SIDE_BIDS
    cdef int64_t raw = top_price(m, other)
    cdef int64_t top, lots, left
    cdef SimOrder* o
    if raw == PRICE_TICKS_NONE or l.order_count == 0:
        return
    top = raw
    if may_shift(m):
        m.x.now_ns = now_ns
        look_at_shift(m)
        top += m.shift_ticks[other]
    if better(side, top, l.best_ticks):
        return
    left = available(m, other, raw, top_lots(m, other))
    while left > 0 and l.order_count > 0 and not better(side, top, l.best_ticks):
        o = &m.x.pool.orders[level_at(&m.x.pool, l.best_level).front]
        lots = left if left < o.shown_lots else o.shown_lots
        left -= lots
        note_taken(m, other, raw, lots)
        fill(m, o, lots, now_ns)


cdef void recorded_on_top(RecordedMarket* m, int64_t now_ns) noexcept nogil:
    cdef int side
    cdef int64_t top, other
    for side in range(2):
        if m.price_bits[side] == 0:
            continue
        top = top_price(m, side)
        if top != PRICE_TICKS_NONE:
            if top != m.heard_ticks[side] or top_lots(m, side) != m.heard_lots[side]:
                m.heard_ticks[side] = top
                m.heard_lots[side] = top_lots(m, side)
                if (m.price_bits[side] >> (top & 63)) & 1:
                    show_level(m, side, top, now_ns)
            if better(side, m.ladders[side].best_ticks, top):
                clear_better(m, side)
        other = top_price(m, 1 - side)
        if other != PRICE_TICKS_NONE and unlikely(not better(side, other, m.ladders[side].best_ticks)):
            meet_other_side(m, side, now_ns)


cdef void recorded_on_levels(RecordedMarket* m, const BookDelta* d, int32_t count, int64_t now_ns) noexcept nogil:
    cdef int32_t i
    cdef int side
    for i in range(count):
        side = d[i].flags & DELTA_ASK                      # SIDE_BIDS is 0, SIDE_ASKS and DELTA_ASK are 1
        if unlikely((m.price_bits[side] >> (d[i].price_ticks & 63)) & 1):
            show_level(m, side, d[i].price_ticks, now_ns)


cdef void recorded_on_snapshot(RecordedMarket* m) noexcept nogil:
    """Nobody's place changes by it, but the next change of a level is one from what is displayed now."""
    cdef int side
    cdef int64_t p, shown
    cdef SimOrder* o
    cdef QueuePlace* place
    for side in range(2):
        m.heard_ticks[side] = PRICE_TICKS_NONE
        p = m.ladders[side].best_ticks
        while p != PRICE_TICKS_NONE:
            shown = recorded_displayed(m, side, p)
            o = first_at(m, side, p)
            while o != NULL:
                place = recorded_place(m, o.queue_ahead_lots)
                if place != NULL and place.number == 0 and shown >= place.ahead_lots:
                    place.shown_lots = shown
                    place.traded_lots = place.left_lots = place.credit_lots = 0
                o = next_of(m, o)
            p = queue_next(&m.x.pool, m.ladders[side], p)


# ---- order by order

cdef inline uint32_t followed_home(uint64_t key_high, uint64_t key_low) noexcept nogil:
    return <uint32_t>(((key_high ^ (key_low * 0xC2B2AE3D27D4EB4FULL)) * 0x9E3779B97F4A7C15ULL) >> 40) & (FOLLOWED_MAX - 1)


cdef int32_t followed_find(const RecordedMarket* m, uint64_t key_high, uint64_t key_low) noexcept nogil:
    """Its place, or the empty one where it would go."""
    cdef uint32_t i = followed_home(key_high, key_low)
    while m.followed[i].qty_lots != 0 and (m.followed[i].key_low != key_low or m.followed[i].key_high != key_high):
        i = (i + 1) & (FOLLOWED_MAX - 1)
    return <int32_t>i


cdef void followed_remove(RecordedMarket* m, int32_t at) noexcept nogil:
    cdef uint32_t i = <uint32_t>at, k = <uint32_t>at, home
    while True:
        k = (k + 1) & (FOLLOWED_MAX - 1)
        if m.followed[k].qty_lots == 0:
            break
        home = followed_home(m.followed[k].key_high, m.followed[k].key_low)
        if ((k - home) & (FOLLOWED_MAX - 1)) >= ((k - i) & (FOLLOWED_MAX - 1)):
            m.followed[i] = m.followed[k]
            i = k
    m.followed[i].qty_lots = 0
    m.followed_count -= 1


cdef void join_l3(RecordedMarket* m, QueuePlace* p, int side, int64_t price_ticks) noexcept nogil:
    """Behind every recorded order that stands at the price now; each of them is followed until it leaves. Where that is more than
    can be followed, the place is judged by shares."""
    cdef int32_t level = queues_find_level(&m.l3.queues, side, price_ticks)
    cdef int32_t at
    cdef int64_t ahead = 0
    cdef const L3Order* o
    cdef Followed* f
    m.joined += 1
    at = m.l3.queues.levels[level].front if level != L3_NONE else L3_NONE
    if level != L3_NONE and m.followed_count + m.l3.queues.levels[level].order_count > FOLLOWED_MAX // 4 * 3:
        return
    while at != L3_NONE:
        o = &m.l3.queues.orders[at]
        f = &m.followed[followed_find(m, o.key_high, o.key_low)]
        if f.qty_lots == 0:
            m.followed_count += 1
            f.key_high = o.key_high
            f.key_low = o.key_low
            f.number = m.joined
        elif f.price_ticks != price_ticks or f.side != side:
            f.number = m.joined            # it had fallen out of the subscribed depth and is another place's now
        f.price_ticks = price_ticks
        f.side = side
        f.qty_lots = o.qty_lots
        ahead += o.qty_lots
        at = o.behind
    p.ahead_lots = ahead
    p.shown_lots = 0
    p.number = m.joined


cdef void followed_lost(RecordedMarket* m, const Followed* f, int64_t lots, bint may_be_traded, int64_t now_ns) noexcept nogil:
    """So much of a followed order is gone (negative: it has grown): whoever stands behind it hears of it."""
    cdef SimOrder* o = first_at(m, <int>f.side, f.price_ticks)
    cdef QueuePlace* place
    while o != NULL:
        place = recorded_place(m, o.queue_ahead_lots)
        if place != NULL and place.number >= f.number:
            if lots < 0:
                place.ahead_lots -= lots
            else:
                place_on_departure(place, lots, may_be_traded, now_ns)
        o = next_of(m, o)


cdef void follow(RecordedMarket* m, const OrderDelta* d, int64_t now_ns) noexcept nogil:
    cdef int32_t at = followed_find(m, d.order_key_high, d.order_key_low)
    cdef Followed* f = &m.followed[at]
    cdef int64_t left = f.qty_lots
    # Where the venue tells of matches, what leaves by another word was cancelled.
    cdef bint may_be_traded = d.action == ORDER_ACTION_MATCH or not m.l3.rules & L3_SEQUENCED
    if f.qty_lots == 0:
        return
    if d.action == ORDER_ACTION_DELETE:
        left = 0
    elif d.action == ORDER_ACTION_MATCH:
        left -= d.qty_lots
    elif d.action == ORDER_ACTION_CHANGE:
        if d.price_ticks != PRICE_TICKS_NONE and d.price_ticks != f.price_ticks:
            left = 0
        elif d.qty_lots <= f.qty_lots or m.l3.rules & L3_KEEP_ON_INCREASE:
            left = d.qty_lots
        else:
            left = 0                       # to the back of the queue
    followed_lost(m, f, f.qty_lots - (left if left > 0 else 0), may_be_traded, now_ns)
    if left > 0:
        f.qty_lots = left
    else:
        followed_remove(m, at)


cdef void follow_snapshot(RecordedMarket* m, int64_t now_ns) noexcept nogil:
    """The queues are known anew: who is not in his place any more has left it in the meantime."""
    cdef int32_t at = 0, order
    cdef int64_t left
    cdef Followed* f
    while at < FOLLOWED_MAX:
        f = &m.followed[at]
        if f.qty_lots == 0:
            at += 1
            continue
        order = queues_find(&m.l3.queues, f.key_high, f.key_low)
        left = 0
        if order != L3_NONE and m.l3.queues.levels[m.l3.queues.orders[order].level].price_ticks == f.price_ticks:
            left = m.l3.queues.orders[order].qty_lots
        if left > f.qty_lots:
            left = f.qty_lots
        followed_lost(m, f, f.qty_lots - left, False, now_ns)
        if left > 0:
            f.qty_lots = left
            at += 1
        else:
            followed_remove(m, at)         # another may have moved into its place


cdef void recorded_on_order(RecordedMarket* m, const OrderDelta* d, int64_t now_ns) noexcept nogil:
    if m.followed_count > 0 and m.l3 != NULL:
        if d.flags & ORDER_DELTA_SNAPSHOT:
            if d.flags & ORDER_DELTA_LAST and m.l3.synced:
                follow_snapshot(m, now_ns)
        elif d.update_id == 0 or d.update_id > m.l3_update_id:
            follow(m, d, now_ns)
    if d.update_id > m.l3_update_id:
        m.l3_update_id = d.update_id
    if d.flags & ORDER_DELTA_LAST:
        recorded_on_top(m, now_ns)


# ---- cold

cdef RecordedMarket* recorded_new(SimExchange* x, int bid_instrument, int ask_instrument, const Book* book, const Top* top,
                                  const L3Book* l3, MarketSettings settings) noexcept nogil:
    cdef RecordedMarket* m = <RecordedMarket*>calloc(1, sizeof(RecordedMarket))
    if m == NULL:
        return NULL
    m.free_place = -1
    if l3 != NULL and settings.queue_model == QUEUE_L3:
        m.followed = <Followed*>calloc(FOLLOWED_MAX, sizeof(Followed))
        if m.followed == NULL:
            free(m)
            return NULL
    m.x = x
    m.book = book
    m.top = top
    m.l3 = l3
    m.settings = settings
    m.instruments[SIDE_BIDS] = bid_instrument
    m.instruments[SIDE_ASKS] = ask_instrument
    m.ladders[SIDE_BIDS] = &x.instruments[bid_instrument].book[SIDE_BIDS]
    m.ladders[SIDE_ASKS] = &x.instruments[ask_instrument].book[SIDE_ASKS]
    m.cleared_ticks[SIDE_BIDS] = FARTHEST
    m.cleared_ticks[SIDE_ASKS] = 0
    m.heard_ticks[SIDE_BIDS] = m.heard_ticks[SIDE_ASKS] = PRICE_TICKS_NONE
    m.face.market = m
    m.face.best = on_best
    m.face.next = on_next
    m.face.shown = on_shown
    m.face.take = on_take
    m.face.on_rest = on_rest
    m.face.on_leave = on_leave
    m.face.on_trade = NULL
    m.face.free = on_free
    x.instruments[bid_instrument].recorded = &m.face
    if ask_instrument != bid_instrument:
        # The same market, whose memory the other one gives back.
        m.second = m.face
        m.second.free = NULL
        x.instruments[ask_instrument].recorded = &m.second
    return m


cdef RecordedMarket* recorded_new_owned(SimExchange* x, int instrument, int64_t window_ticks,
                                        MarketSettings settings) noexcept nogil:
    cdef RecordedMarket* m = recorded_new(x, instrument, instrument, NULL, NULL, NULL, settings)
    cdef BookRules rules
    if m == NULL:
        return NULL
    memset(&rules, 0, sizeof(BookRules))
    rules.sync = BOOK_SYNC_STREAM
    rules.checksum = CHECKSUM_NONE
    if book_init(&m.own_book, window_ticks, rules) != 0:
        book_free(&m.own_book)
        x.instruments[instrument].recorded = NULL
        free(m)
        return NULL
    m.owned = 1
    m.own_top.bid_price_ticks = m.own_top.ask_price_ticks = PRICE_TICKS_NONE
    m.book = &m.own_book
    m.top = &m.own_top
    return m


cdef void place_regrid(QueuePlace* p, const GridChange* c) noexcept nogil:
    # A displayed quantity is rounded up: the queue in front of us is not shorter for it.
    p.ahead_lots = <int64_t>((<int128>p.ahead_lots * c.qty.num + c.qty.den - 1) // c.qty.den)
    p.shown_lots = <int64_t>((<int128>p.shown_lots * c.qty.num + c.qty.den - 1) // c.qty.den)
    p.traded_lots = p.left_lots = p.credit_lots = 0


cdef void recorded_regrid(RecordedMarket* m, const GridChange* c) noexcept nogil:
    cdef int32_t i
    m.taken_count = m.taken_next = 0
    m.cleared_ticks[SIDE_BIDS] = FARTHEST
    m.cleared_ticks[SIDE_ASKS] = 0
    m.heard_ticks[SIDE_BIDS] = m.heard_ticks[SIDE_ASKS] = PRICE_TICKS_NONE
    if m.followed == NULL:
        return
    # The recorded orders are named in other lots and prices, or gone: the places are judged by shares from here on.
    for i in range(FOLLOWED_MAX):
        m.followed[i].qty_lots = 0
    m.followed_count = 0
    for i in range(m.place_capacity):
        m.places[i].number = 0
