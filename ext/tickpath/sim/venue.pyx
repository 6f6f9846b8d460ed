"""The simulated venue behind paper trading and backtests: queue position, constant latency, fees, partial fills, rejects."""
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from tickpath.market.book cimport SIDE_ASKS, SIDE_BIDS, book_next_level, book_qty_at
from tickpath.market.grid_change cimport ratio_exact
from tickpath.market.instruments cimport Instrument
from tickpath.types cimport (
    DELTA_ASK, DELTA_SNAPSHOT, EV_BOOK_DELTA, EV_CONT, EV_EXEC_REPORT, EV_ORDER_DELTA, EV_QUOTE, EV_TRADE,
    EXEC_CANCELED, EXEC_CANCEL_REJECTED, EXEC_EXPIRED, EXEC_NEW, EXEC_REJECTED, EXEC_TRADE, LIQUIDITY_MAKER, ORDER_DELTA_LAST,
    ORDER_TYPE_LIMIT_MAKER, ORDER_TYPE_MARKET, PRICE_TICKS_NONE, SIDE_BUY, SIDE_SELL, TIME_IN_FORCE_FOK,
    TIME_IN_FORCE_GTC, TRADE_SELL_AGGRESSOR, BookDelta, TradeEvent, int128, unlikely,
)

# Binance's own error codes (github.com/binance/binance-spot-api-docs, errors.md).
cdef enum: CODE_FILTER = 1013         # -1013 INVALID_MESSAGE: a filter failed
cdef enum: CODE_REJECTED = 2010       # -2010 NEW_ORDER_REJECTED
cdef enum: CODE_CANCEL_REJECTED = 2011


cdef SimVenue* sim_new(const InstrumentTable* instruments, const Book* books, const Top* tops, int64_t order_latency_ns,
                       int64_t reply_latency_ns, int64_t maker_fee_e8, int64_t taker_fee_e8, double reject_probability,
                       uint64_t seed) noexcept nogil:
    cdef SimVenue* s = <SimVenue*>calloc(1, sizeof(SimVenue))
    if s == NULL:
        return NULL
    s.requests = <SimRequest*>calloc(SIM_REQUESTS, sizeof(SimRequest))
    s.replies = <SimReply*>calloc(SIM_REPLIES, sizeof(SimReply))
    if s.requests == NULL or s.replies == NULL:
        sim_free(s)
        return NULL
    s.instruments = instruments
    s.books = books
    s.tops = tops
    s.order_latency_ns = order_latency_ns
    s.reply_latency_ns = reply_latency_ns
    s.maker_fee_e8 = maker_fee_e8
    s.taker_fee_e8 = taker_fee_e8
    s.reject_threshold = <uint64_t>(reject_probability * 18446744073709549568.0)
    s.random_state = seed
    s.next_id = 1
    s.next_venue_order_id = 1
    s.next_trade_id = 1
    return s


cdef void sim_free(SimVenue* s) noexcept nogil:
    if s != NULL:
        free(s.requests)
        free(s.replies)
        free(s)


cdef inline uint64_t next_random(SimVenue* s) noexcept nogil:
    cdef uint64_t z
    s.random_state += 0x9E3779B97F4A7C15ULL
    z = s.random_state
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL
    return z ^ (z >> 31)


cdef inline SimRequest* new_request(SimVenue* s, int64_t now_ns) noexcept nogil:
    cdef SimRequest* q
    if unlikely(s.request_tail - s.request_head >= SIM_REQUESTS):
        s.dropped_requests += 1
        return NULL
    q = &s.requests[s.request_tail & (SIM_REQUESTS - 1)]
    s.request_tail += 1
    q.due_ns = now_ns + s.order_latency_ns
    q.request_id = s.next_id
    s.next_id += 1
    return q


cdef void sim_submit(SimVenue* s, uint64_t order_ordinal, uint32_t instrument, int side, int order_type,
                     int time_in_force, int64_t price_ticks, int64_t qty_lots, int64_t now_ns) noexcept nogil:
    cdef SimRequest* q = new_request(s, now_ns)
    if q == NULL:
        return
    q.order_ordinal = order_ordinal
    q.instrument = instrument
    q.is_cancel = 0
    q.side = <uint8_t>side
    q.order_type = <uint8_t>order_type
    q.time_in_force = <uint8_t>time_in_force
    q.price_ticks = price_ticks
    q.qty_lots = qty_lots


cdef void sim_cancel(SimVenue* s, uint64_t order_ordinal, uint32_t instrument, int64_t now_ns) noexcept nogil:
    cdef SimRequest* q = new_request(s, now_ns)
    if q == NULL:
        return
    q.order_ordinal = order_ordinal
    q.instrument = instrument
    q.is_cancel = 1


cdef ExecReport* new_reply(SimVenue* s, int kind, uint64_t order_ordinal, uint64_t venue_order_id, uint32_t instrument,
                           int side, int64_t cum_lots, int64_t now_ns) noexcept nogil:
    cdef SimReply* p
    cdef ExecReport* r
    if unlikely(s.reply_tail - s.reply_head >= SIM_REPLIES):
        # Cannot happen while risk bounds the open orders (1,024 at most); were it to happen, the reply is lost and counted.
        s.dropped_requests += 1
        return NULL
    p = &s.replies[s.reply_tail & (SIM_REPLIES - 1)]
    s.reply_tail += 1
    p.due_ns = now_ns + s.reply_latency_ns
    p.reply_id = s.next_id
    s.next_id += 1
    r = &p.report
    memset(r, 0, sizeof(ExecReport))
    r.type = EV_EXEC_REPORT
    r.type2 = EV_CONT
    r.flags2 = 1
    r.instrument = r.instrument2 = instrument
    r.venue = r.venue2 = s.instruments.items[instrument].venue
    r.ts_recv_ns = r.ts_recv2_ns = p.due_ns
    r.ts_venue_ns = r.ts_venue2_ns = now_ns
    r.order_ordinal = order_ordinal
    r.venue_order_id = venue_order_id
    r.exec_type = <uint8_t>kind
    r.side = <uint8_t>side
    r.cum_qty_lots = cum_lots
    r.last_price_ticks = 0
    return r


cdef inline int64_t fee_of(const SimVenue* s, const Instrument* item, int64_t price_ticks, int64_t qty_lots,
                           int64_t rate_e8) noexcept nogil:
    # price x qty x rate in 1e-8 of the quote asset, rounded up: the venue never rounds in our favour here.
    cdef int128 n = <int128>price_ticks * qty_lots * item.ticklot_mantissa * rate_e8
    cdef int128 d = <int128>1
    cdef int _k
    for _k in range(item.ticklot_scale):
        d *= 10
    return <int64_t>((n + d - 1) // d) if n > 0 else 0


cdef void fill(SimVenue* s, SimOrder* o, int64_t price_ticks, int64_t qty_lots, bint maker, int64_t now_ns) noexcept nogil:
    cdef ExecReport* r
    o.leaves_lots -= qty_lots
    o.cum_lots += qty_lots
    s.fills += 1
    r = new_reply(s, EXEC_TRADE, o.order_ordinal, o.venue_order_id, o.instrument, o.side, o.cum_lots, now_ns)
    if r == NULL:
        return
    r.last_price_ticks = price_ticks
    r.last_qty_lots = qty_lots
    r.trade_id = s.next_trade_id
    s.next_trade_id += 1
    r.flags = LIQUIDITY_MAKER if maker else 0
    r.fee_e8 = fee_of(s, &s.instruments.items[o.instrument], price_ticks, qty_lots,
                      s.maker_fee_e8 if maker else s.taker_fee_e8)


cdef int64_t available(SimVenue* s, uint32_t instrument, int side, int64_t price_ticks, int64_t shown_lots,
                       SimTaken** entry) noexcept nogil:
    """Displayed quantity less what we have taken of it since it was shown; `entry` is where to note more."""
    cdef int i
    cdef SimTaken* t
    for i in range(SIM_TAKEN):
        t = &s.taken[i]
        if t.taken_lots != 0 and t.price_ticks == price_ticks and t.instrument == instrument and t.side == <uint32_t>side:
            if t.shown_lots != shown_lots:
                t.shown_lots = shown_lots
                t.taken_lots = 0
            entry[0] = t
            return shown_lots - t.taken_lots if shown_lots > t.taken_lots else 0
    t = &s.taken[s.taken_next]
    s.taken_next = (s.taken_next + 1) % SIM_TAKEN
    t.instrument = instrument
    t.side = side
    t.price_ticks = price_ticks
    t.shown_lots = shown_lots
    t.taken_lots = 0
    entry[0] = t
    return shown_lots


# The other side's level behind `price_ticks` (PRICE_TICKS_NONE: its best), and what is displayed there.
cdef int64_t next_level(const SimVenue* s, uint32_t instrument, int book_side, int64_t price_ticks,
                        int64_t* shown_lots) noexcept nogil:
    cdef const Top* top = &s.tops[instrument]
    cdef const Book* book = &s.books[instrument]
    cdef int64_t p
    if price_ticks == PRICE_TICKS_NONE:
        p = top.ask_price_ticks if book_side == SIDE_ASKS else top.bid_price_ticks
        shown_lots[0] = top.ask_qty_lots if book_side == SIDE_ASKS else top.bid_qty_lots
        return p
    # Deeper levels come from the book; those better than the quote are gone already.
    p = book.sides[book_side].best_ticks
    while p != PRICE_TICKS_NONE and (p <= price_ticks if book_side == SIDE_ASKS else p >= price_ticks):
        p = book_next_level(book, book_side, price_ticks if price_in_window(book, price_ticks) else p)
    if p != PRICE_TICKS_NONE:
        shown_lots[0] = book_qty_at(book, book_side, p)
    return p


cdef inline bint price_in_window(const Book* b, int64_t price_ticks) noexcept nogil:
    return <uint64_t>(price_ticks - b.base_ticks) < <uint64_t>b.window_ticks


cdef int64_t takeable(SimVenue* s, uint32_t instrument, int book_side, int64_t limit_ticks, int64_t wanted_lots) noexcept nogil:
    """How much of wanted_lots the displayed market would give up to the limit; for fill-or-kill."""
    cdef int64_t shown = 0, total = 0
    cdef SimTaken* entry
    cdef int64_t p = next_level(s, instrument, book_side, PRICE_TICKS_NONE, &shown)
    while p != PRICE_TICKS_NONE and total < wanted_lots:
        if limit_ticks != PRICE_TICKS_NONE and (p > limit_ticks if book_side == SIDE_ASKS else p < limit_ticks):
            break
        total += available(s, instrument, book_side, p, shown, &entry)
        p = next_level(s, instrument, book_side, p, &shown)
    return total


cdef void take(SimVenue* s, SimOrder* o, int64_t limit_ticks, int64_t now_ns) noexcept nogil:
    """Match an arriving order against the displayed market, best price first."""
    cdef int book_side = SIDE_ASKS if o.side == SIDE_BUY else SIDE_BIDS
    cdef int64_t shown = 0, lots
    cdef SimTaken* entry = NULL
    cdef int64_t p = next_level(s, o.instrument, book_side, PRICE_TICKS_NONE, &shown)
    while p != PRICE_TICKS_NONE and o.leaves_lots > 0:
        if limit_ticks != PRICE_TICKS_NONE and (p > limit_ticks if book_side == SIDE_ASKS else p < limit_ticks):
            break
        lots = available(s, o.instrument, book_side, p, shown, &entry)
        if lots > o.leaves_lots:
            lots = o.leaves_lots
        if lots > 0:
            entry.taken_lots += lots
            fill(s, o, p, lots, False, now_ns)
        p = next_level(s, o.instrument, book_side, p, &shown)


cdef void drop_resting(SimVenue* s, int i) noexcept nogil:
    cdef int k
    s.resting_count -= 1
    for k in range(i, s.resting_count):
        s.resting[k] = s.resting[k + 1]


cdef void reject(SimVenue* s, const SimRequest* q, int code) noexcept nogil:
    cdef ExecReport* r = new_reply(s, EXEC_REJECTED, q.order_ordinal, 0, q.instrument, q.side, 0, q.due_ns)
    s.rejects += 1
    if r != NULL:
        r.venue_code = -code


cdef void arrive_order(SimVenue* s, const SimRequest* q) noexcept nogil:
    cdef const Instrument* item = &s.instruments.items[q.instrument]
    cdef const Top* top = &s.tops[q.instrument]
    cdef SimOrder o
    cdef int64_t opposite = top.ask_price_ticks if q.side == SIDE_BUY else top.bid_price_ticks
    cdef int64_t limit = PRICE_TICKS_NONE if q.order_type == ORDER_TYPE_MARKET else q.price_ticks
    cdef int64_t reference = opposite if limit == PRICE_TICKS_NONE else limit
    cdef bint crosses = opposite != PRICE_TICKS_NONE and (
        limit == PRICE_TICKS_NONE or (limit >= opposite if q.side == SIDE_BUY else limit <= opposite))
    cdef bint rests = q.order_type != ORDER_TYPE_MARKET and q.time_in_force == TIME_IN_FORCE_GTC
    if s.reject_threshold != 0 and next_random(s) < s.reject_threshold:
        reject(s, q, CODE_REJECTED)
        return
    if q.qty_lots <= 0 or reference == PRICE_TICKS_NONE or <int128>reference * q.qty_lots < item.min_notional_ticklots:
        reject(s, q, CODE_FILTER)
        return
    if (q.order_type == ORDER_TYPE_LIMIT_MAKER and crosses) or (rests and s.resting_count >= SIM_RESTING):
        reject(s, q, CODE_REJECTED)
        return
    memset(&o, 0, sizeof(SimOrder))
    o.order_ordinal = q.order_ordinal
    o.venue_order_id = s.next_venue_order_id
    s.next_venue_order_id += 1
    o.instrument = q.instrument
    o.side = q.side
    o.price_ticks = q.price_ticks
    o.leaves_lots = q.qty_lots
    new_reply(s, EXEC_NEW, o.order_ordinal, o.venue_order_id, o.instrument, o.side, 0, q.due_ns)
    if crosses and q.time_in_force == TIME_IN_FORCE_FOK and takeable(
            s, q.instrument, SIDE_ASKS if q.side == SIDE_BUY else SIDE_BIDS, limit, q.qty_lots) < q.qty_lots:
        crosses = False
    if crosses:
        take(s, &o, limit, q.due_ns)
    if o.leaves_lots == 0:
        return
    if not rests:
        new_reply(s, EXEC_EXPIRED, o.order_ordinal, o.venue_order_id, o.instrument, o.side, o.cum_lots, q.due_ns)
        return
    # Behind everything displayed at that price.
    o.queue_ahead_lots = displayed_at(s, o.instrument, SIDE_BIDS if o.side == SIDE_BUY else SIDE_ASKS, o.price_ticks)
    rest(s, &o)


cdef inline bint served_before(const SimOrder* a, const SimOrder* b) noexcept nogil:
    """Price-time priority among our own orders: strictly better price first; equal prices keep their order of arrival."""
    if a.side != b.side:
        return a.side < b.side
    return a.price_ticks > b.price_ticks if a.side == SIDE_BUY else a.price_ticks < b.price_ticks


cdef void rest(SimVenue* s, const SimOrder* o) noexcept nogil:
    cdef int i = s.resting_count
    while i > 0 and served_before(o, &s.resting[i - 1]):
        s.resting[i] = s.resting[i - 1]
        i -= 1
    s.resting[i] = o[0]
    s.resting_count += 1


cdef int64_t displayed_at(const SimVenue* s, uint32_t instrument, int book_side, int64_t price_ticks) noexcept nogil:
    cdef const Top* top = &s.tops[instrument]
    if book_side == SIDE_BIDS:
        if top.bid_price_ticks == price_ticks:
            return top.bid_qty_lots
        if top.bid_price_ticks != PRICE_TICKS_NONE and price_ticks > top.bid_price_ticks:
            return 0
    else:
        if top.ask_price_ticks == price_ticks:
            return top.ask_qty_lots
        if top.ask_price_ticks != PRICE_TICKS_NONE and price_ticks < top.ask_price_ticks:
            return 0
    return book_qty_at(&s.books[instrument], book_side, price_ticks)


cdef void arrive_cancel(SimVenue* s, const SimRequest* q) noexcept nogil:
    cdef int i
    cdef ExecReport* r
    for i in range(s.resting_count):
        if s.resting[i].order_ordinal == q.order_ordinal:
            new_reply(s, EXEC_CANCELED, q.order_ordinal, s.resting[i].venue_order_id, q.instrument, s.resting[i].side,
                      s.resting[i].cum_lots, q.due_ns)
            drop_resting(s, i)
            return
    # Filled, expired or rejected while the cancel was on its way.
    r = new_reply(s, EXEC_CANCEL_REJECTED, q.order_ordinal, 0, q.instrument, 0, 0, q.due_ns)
    if r != NULL:
        r.venue_code = -CODE_CANCEL_REJECTED


cdef bint sim_step(SimVenue* s, ExecReport* report) noexcept nogil:
    cdef SimRequest* q = NULL
    cdef SimReply* p = NULL
    if s.request_head != s.request_tail:
        q = &s.requests[s.request_head & (SIM_REQUESTS - 1)]
    if s.reply_head != s.reply_tail:
        p = &s.replies[s.reply_head & (SIM_REPLIES - 1)]
    if p != NULL and (q == NULL or p.due_ns < q.due_ns or (p.due_ns == q.due_ns and p.reply_id < q.request_id)):
        report[0] = p.report
        s.reply_head += 1
        return True
    if q != NULL:
        s.request_head += 1
        if q.is_cancel:
            arrive_cancel(s, q)
        else:
            arrive_order(s, q)
    return False


cdef void on_trade(SimVenue* s, const TradeEvent* t, int64_t now_ns) noexcept nogil:
    """A print: at our price it first uses up the queue ahead of us; through our price it fills us."""
    cdef int side = SIDE_BUY if t.flags & TRADE_SELL_AGGRESSOR else SIDE_SELL      # of the orders it hits
    cdef int64_t left = t.qty_lots, lots
    cdef int i = 0
    cdef SimOrder* o
    while i < s.resting_count and left > 0:
        o = &s.resting[i]
        if o.side != side or o.instrument != t.instrument:
            i += 1
            continue
        if o.price_ticks == t.price_ticks:
            lots = left - o.queue_ahead_lots
            o.queue_ahead_lots -= left if left < o.queue_ahead_lots else o.queue_ahead_lots
        elif (o.price_ticks > t.price_ticks) == (side == SIDE_BUY):
            lots = left
            o.queue_ahead_lots = 0
        else:
            i += 1
            continue
        if lots > o.leaves_lots:
            lots = o.leaves_lots
        if lots > 0:
            left -= lots
            fill(s, o, o.price_ticks, lots, True, now_ns)
            if o.leaves_lots == 0:
                drop_resting(s, i)
                continue
        i += 1


cdef void on_top(SimVenue* s, uint32_t instrument, int64_t now_ns) noexcept nogil:
    """The displayed top moved: our queue is never longer than what is shown, and a top through our price trades with us."""
    cdef const Top* top = &s.tops[instrument]
    cdef SimOrder* o
    cdef SimTaken* entry = NULL
    cdef int64_t lots
    cdef int i = 0
    while i < s.resting_count:
        o = &s.resting[i]
        if o.instrument != instrument:
            i += 1
            continue
        if o.side == SIDE_BUY:
            if top.bid_price_ticks == o.price_ticks and top.bid_qty_lots < o.queue_ahead_lots:
                o.queue_ahead_lots = top.bid_qty_lots
            elif top.bid_price_ticks != PRICE_TICKS_NONE and top.bid_price_ticks < o.price_ticks:
                o.queue_ahead_lots = 0
            lots = 0
            if top.ask_price_ticks != PRICE_TICKS_NONE and top.ask_price_ticks <= o.price_ticks:
                lots = available(s, instrument, SIDE_ASKS, top.ask_price_ticks, top.ask_qty_lots, &entry)
        else:
            if top.ask_price_ticks == o.price_ticks and top.ask_qty_lots < o.queue_ahead_lots:
                o.queue_ahead_lots = top.ask_qty_lots
            elif top.ask_price_ticks != PRICE_TICKS_NONE and top.ask_price_ticks > o.price_ticks:
                o.queue_ahead_lots = 0
            lots = 0
            if top.bid_price_ticks != PRICE_TICKS_NONE and top.bid_price_ticks >= o.price_ticks:
                lots = available(s, instrument, SIDE_BIDS, top.bid_price_ticks, top.bid_qty_lots, &entry)
        if lots > o.leaves_lots:
            lots = o.leaves_lots
        if lots > 0:
            entry.taken_lots += lots
            fill(s, o, o.price_ticks, lots, True, now_ns)
            if o.leaves_lots == 0:
                drop_resting(s, i)
                continue
        i += 1


cdef void on_levels(SimVenue* s, const BookDelta* d, int32_t count) noexcept nogil:
    """Displayed quantity at our price fell below our queue: what left was ahead of us only as far as it must have been."""
    cdef int32_t i
    cdef int k
    cdef SimOrder* o
    for k in range(s.resting_count):
        o = &s.resting[k]
        if o.instrument != d.instrument or o.queue_ahead_lots == 0:
            continue
        for i in range(count):
            if d[i].price_ticks == o.price_ticks and ((d[i].flags & DELTA_ASK) != 0) == (o.side == SIDE_SELL):
                if d[i].qty_lots < o.queue_ahead_lots:
                    o.queue_ahead_lots = d[i].qty_lots


cdef void sim_on_market(SimVenue* s, const Slot* records, int32_t count, int64_t now_ns) noexcept nogil:
    if s.resting_count == 0:
        return
    if records.type == EV_TRADE:
        on_trade(s, <const TradeEvent*>records, now_ns)
    elif records.type == EV_QUOTE:
        on_top(s, records.instrument, now_ns)
    elif records.type == EV_BOOK_DELTA and not records.flags & DELTA_SNAPSHOT:
        on_levels(s, <const BookDelta*>records, count)
        on_top(s, records.instrument, now_ns)
    elif records.type == EV_ORDER_DELTA and records.flags & ORDER_DELTA_LAST:
        on_top(s, records.instrument, now_ns)


# ---- another grid

cdef int64_t worse_ticks(const GridChange* c, int64_t price_ticks, int side) noexcept nogil:
    """A price on the new grid: the same, or the next one that is worse for an order of this side."""
    cdef int128 product = <int128>price_ticks * c.price.num
    cdef int128 ticks = product // c.price.den
    if side == SIDE_BUY and ticks * c.price.den != product:
        ticks += 1
    return <int64_t>ticks


cdef void regrid_requests(SimVenue* s, uint32_t instrument, const GridChange* c) noexcept nogil:
    cdef SimRequest* q
    cdef uint64_t i
    for i in range(s.request_head, s.request_tail):
        q = &s.requests[i & (SIM_REQUESTS - 1)]
        if q.instrument != instrument or q.is_cancel:
            continue
        ratio_exact(&c.qty, q.qty_lots, &q.qty_lots)
        if q.order_type != ORDER_TYPE_MARKET and not ratio_exact(&c.price, q.price_ticks, &q.price_ticks):
            q.qty_lots = 0                 # a filter fails it on arrival


cdef void regrid_replies(SimVenue* s, uint32_t instrument, const GridChange* c) noexcept nogil:
    cdef ExecReport* r
    cdef uint64_t i
    for i in range(s.reply_head, s.reply_tail):
        r = &s.replies[i & (SIM_REPLIES - 1)].report
        if r.instrument == instrument:
            ratio_exact(&c.qty, r.last_qty_lots, &r.last_qty_lots)
            ratio_exact(&c.qty, r.cum_qty_lots, &r.cum_qty_lots)
            r.last_price_ticks = worse_ticks(c, r.last_price_ticks, r.side)


cdef void regrid_resting(SimVenue* s, uint32_t instrument, const GridChange* c, int64_t now_ns) noexcept nogil:
    cdef SimOrder* o
    cdef int i = 0
    while i < s.resting_count:
        o = &s.resting[i]
        if o.instrument != instrument:
            i += 1
            continue
        ratio_exact(&c.qty, o.leaves_lots, &o.leaves_lots)
        ratio_exact(&c.qty, o.cum_lots, &o.cum_lots)
        # A displayed quantity is rounded up: the queue in front of us is not shorter for it.
        o.queue_ahead_lots = <int64_t>((<int128>o.queue_ahead_lots * c.qty.num + c.qty.den - 1) // c.qty.den)
        if ratio_exact(&c.price, o.price_ticks, &o.price_ticks):
            i += 1
            continue
        new_reply(s, EXEC_EXPIRED, o.order_ordinal, o.venue_order_id, o.instrument, o.side, o.cum_lots, now_ns)
        drop_resting(s, i)


cdef void sim_regrid(SimVenue* s, uint32_t instrument, const GridChange* c, int64_t now_ns) noexcept nogil:
    cdef int i
    regrid_requests(s, instrument, c)
    regrid_replies(s, instrument, c)
    regrid_resting(s, instrument, c, now_ns)
    for i in range(SIM_TAKEN):
        if s.taken[i].instrument == instrument:
            s.taken[i].taken_lots = 0      # what is displayed is named anew
