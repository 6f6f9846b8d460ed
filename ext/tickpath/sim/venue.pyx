"""The simulated venue behind paper trading and backtests: latency, the matching engine, and the engine's own words."""
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from tickpath.market.book cimport SIDE_ASKS, SIDE_BIDS
from tickpath.market.grid_change cimport ratio_exact
from tickpath.market.instruments cimport Instrument
from tickpath.sim.core cimport (
    SIM_ACTION_SUBMIT, SIM_EVENT_CANCELED, SIM_EVENT_EXPIRED, SIM_EVENT_NEW, SIM_EVENT_TRADE, SIM_REASON_BAD_REQUEST,
    SIM_REASON_LOT_SIZE, SIM_REASON_OK, SIM_REASON_OVERFLOW, SIM_REASON_PRICE_FILTER, SIM_REASON_VENUE, SIM_STATUS_EXPIRED,
    SIM_STATUS_FILLED, SimAction, SimEvent, SimInstrument, exchange_add_account, exchange_add_asset, exchange_add_instrument,
    exchange_cancel, exchange_end, exchange_finish, exchange_free, exchange_new, exchange_order, exchange_submit,
)
from tickpath.sim.latency cimport LATENCY_ENTRY, LATENCY_RESPONSE, latency_due, latency_free, latency_from
from tickpath.sim.order_queues cimport SIM_NONE, SimLadder, SimOrder, level_at, queue_join, queue_leave
from tickpath.sim.queue_models cimport QueuePlace
from tickpath.sim.recorded cimport (
    place_regrid, recorded_new, recorded_on_levels, recorded_on_order, recorded_on_snapshot, recorded_on_top, recorded_on_trade,
    recorded_place, recorded_regrid, recorded_repriced,
)
from tickpath.types cimport (
    DELTA_SNAPSHOT, EV_BOOK_DELTA, EV_CONT, EV_EXEC_REPORT, EV_ORDER_DELTA, EV_QUOTE, EV_TRADE, EXEC_CANCELED,
    EXEC_CANCEL_REJECTED, EXEC_EXPIRED, EXEC_NEW, EXEC_REJECTED, EXEC_TRADE, LIQUIDITY_MAKER, ORDER_TYPE_MARKET,
    PRICE_TICKS_NONE, QTY_LOTS_NONE, SIDE_BUY, SIDE_SELL, TIME_IN_FORCE_GTC, TRADE_SELL_AGGRESSOR, BookDelta, OrderDelta,
    TradeEvent, int128, unlikely,
)
from tickpath.sim.queue_models import NAMES as QUEUE_MODELS

# Binance's own error codes (github.com/binance/binance-spot-api-docs, errors.md).
cdef enum: CODE_FILTER = 1013         # -1013 INVALID_MESSAGE: a filter failed
cdef enum: CODE_NOT_REQUIRED = 1106   # -1106 UNREAD_PARAMETER: a parameter that the order type does not take
cdef enum: CODE_REJECTED = 2010       # -2010 NEW_ORDER_REJECTED
cdef enum: CODE_CANCEL_REJECTED = 2011

cdef int64_t PRICES = 1 << 47         # ticks: what an instrument of the exchange takes
# The exchange keeps no money of ours: a notional over this is nothing, and the account may owe.
cdef int64_t NO_MONEY = 1000000000000000000


# ---- cold: made and given back

cdef SimVenue* sim_new(const InstrumentTable* instruments, const Book* books, const Top* tops, L3Book** l3,
                       const SimSettings* settings, LatencyModel* latency) noexcept nogil:
    cdef SimVenue* s = <SimVenue*>calloc(1, sizeof(SimVenue))
    cdef int i
    if s == NULL:
        latency_free(latency)
        return NULL
    s.latency = latency[0]
    s.instruments = instruments
    s.tops = tops
    s.settings = settings[0]
    s.reject_threshold = <uint64_t>(settings.reject_probability * 18446744073709549568.0)
    s.random_state = settings.seed
    s.next_id = 1
    s.next_venue_order_id = 1
    s.next_trade_id = 1
    s.requests = <SimRequest*>calloc(SIM_REQUESTS, sizeof(SimRequest))
    s.replies = <SimReply*>calloc(SIM_REPLIES, sizeof(SimReply))
    s.live = <SimLive*>calloc(SIM_PLACES, sizeof(SimLive))
    s.exchange = exchange_new(settings.seed, 2 * SIM_RESTING)
    if s.requests == NULL or s.replies == NULL or s.live == NULL or s.exchange == NULL or not open_account(s):
        sim_free(s)
        return NULL
    for i in range(instruments.count):
        if not open_market(s, i, &books[i], &tops[i], l3[i]):
            sim_free(s)
            return NULL
    return s


cdef bint open_account(SimVenue* s) noexcept nogil:
    cdef int account
    if exchange_add_asset(s.exchange) < 0 or exchange_add_asset(s.exchange) < 0:
        return False
    account = exchange_add_account(s.exchange)
    if account < 0:
        return False
    s.account = <uint32_t>account
    s.exchange.accounts[account].checked = 0
    return True


# Two instruments of the exchange for one of ours, bids in the first and offers in the second: so our own orders never meet,
# and a taking order finds nothing but the recorded market.
cdef bint open_market(SimVenue* s, int number, const Book* book, const Top* top, const L3Book* l3) noexcept nogil:
    cdef int _side, i
    cdef SimInstrument* item
    for _side in range(2):
        i = exchange_add_instrument(s.exchange, PRICES)
        if i < 0:
            return False
        item = &s.exchange.instruments[i]
        item.base_asset = 0
        item.quote_asset = 1
        item.quote_multiplier = 1
        item.quote_divisor = NO_MONEY
        item.lot_units = 0
    s.markets[number] = recorded_new(s.exchange, 2 * number, 2 * number + 1, book, top, l3, s.settings.market)
    return s.markets[number] != NULL


cdef void sim_free(SimVenue* s) noexcept nogil:
    if s != NULL:
        if s.exchange != NULL:
            exchange_free(s.exchange)
        latency_free(&s.latency)
        free(s.requests)
        free(s.replies)
        free(s.live)
        free(s)


cdef SimVenue* sim_from(const InstrumentTable* instruments, const Book* books, const Top* tops, L3Book** l3, paper) except NULL:
    cdef SimSettings settings
    cdef LatencyModel latency
    cdef SimVenue* s
    memset(&settings, 0, sizeof(SimSettings))
    model = paper.get("queue_model", "pessimistic")
    if model not in QUEUE_MODELS:
        raise ValueError(f"queue_model: expected one of {sorted(QUEUE_MODELS)}, found {model!r}")
    settings.maker_fee_e8 = paper["maker_fee_e8"]
    settings.taker_fee_e8 = paper["taker_fee_e8"]
    settings.reject_probability = paper["reject_probability"]
    settings.seed = paper["seed"]
    settings.market.queue_model = QUEUE_MODELS[model]
    settings.market.queue_power = paper.get("queue_power", 3.0)
    settings.market.slippage_bps = paper.get("market_slippage_bps", 0.0)
    settings.market.impact_bps = paper.get("impact_bps", 0.0)
    settings.market.impact_half_life_ns = paper.get("impact_half_life_ns", 1_000_000_000)
    if settings.market.impact_half_life_ns <= 0:
        raise ValueError(f"impact_half_life_ns: expected a positive number, found {settings.market.impact_half_life_ns}")
    latency_from(&latency, paper.get("latency_model", "constant"), paper["order_latency_ns"], paper["reply_latency_ns"],
                 paper.get("latency_jitter_ns", 0), paper["seed"], paper.get("latency_samples"))
    s = sim_new(instruments, books, tops, l3, &settings, &latency)
    if s == NULL:
        raise MemoryError()
    return s


# ---- hot: requests on their way

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
    q.due_ns = latency_due(&s.latency, LATENCY_ENTRY, now_ns)
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


# ---- replies

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
    p.due_ns = latency_due(&s.latency, LATENCY_RESPONSE, now_ns)
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


cdef void tell_trade(SimVenue* s, const SimEvent* e, uint64_t venue_order_id, uint32_t instrument) noexcept nogil:
    cdef ExecReport* r
    s.fills += 1
    r = new_reply(s, EXEC_TRADE, <uint64_t>e.ref, venue_order_id, instrument, e.side, e.cum_lots, e.ts_ns)
    if r == NULL:
        return
    r.last_price_ticks = e.price_ticks
    r.last_qty_lots = e.qty_lots
    r.trade_id = s.next_trade_id
    s.next_trade_id += 1
    r.flags = LIQUIDITY_MAKER if e.is_maker else 0
    r.fee_e8 = fee_of(s, &s.instruments.items[instrument], e.price_ticks, e.qty_lots,
                      s.settings.maker_fee_e8 if e.is_maker else s.settings.taker_fee_e8)


# What the exchange says has happened, as replies to us; whoever is not live any more is forgotten.
cdef void tell_events(SimVenue* s) noexcept nogil:
    cdef int64_t i
    cdef const SimEvent* e
    cdef SimLive* live
    cdef uint64_t venue_order_id
    cdef uint32_t instrument
    for i in range(s.exchange.event_count):
        e = &s.exchange.events[i]
        instrument = e.instrument >> 1
        live = find_live(s, <uint64_t>e.ref)
        if e.kind == SIM_EVENT_NEW and live.order_ordinal == 0:
            live.order_ordinal = <uint64_t>e.ref
            live.order_id = e.order_id
            live.venue_order_id = s.next_venue_order_id
            s.next_venue_order_id += 1
            s.resting_count += 1
        venue_order_id = live.venue_order_id
        if e.kind == SIM_EVENT_NEW:
            new_reply(s, EXEC_NEW, <uint64_t>e.ref, venue_order_id, instrument, e.side, 0, e.ts_ns)
        elif e.kind == SIM_EVENT_TRADE:
            tell_trade(s, e, venue_order_id, instrument)
            if e.status == SIM_STATUS_FILLED:
                forget_live(s, live)
        elif e.kind == SIM_EVENT_CANCELED or e.kind == SIM_EVENT_EXPIRED:
            new_reply(s, EXEC_CANCELED if e.kind == SIM_EVENT_CANCELED else EXEC_EXPIRED, <uint64_t>e.ref, venue_order_id,
                      instrument, e.side, e.cum_lots, e.ts_ns)
            forget_live(s, live)
    s.exchange.event_count = 0


# ---- live orders by ordinal: at most SIM_RESTING and the one at work, in four times as many places

cdef inline uint64_t live_home(uint64_t order_ordinal) noexcept nogil:
    return (order_ordinal * 0x9E3779B97F4A7C15ULL) >> 51


cdef SimLive* find_live(SimVenue* s, uint64_t order_ordinal) noexcept nogil:
    """Its entry, or the empty one where it would go."""
    cdef uint64_t i = live_home(order_ordinal)
    while s.live[i].order_ordinal != 0 and s.live[i].order_ordinal != order_ordinal:
        i = (i + 1) & (SIM_PLACES - 1)
    return &s.live[i]


cdef void forget_live(SimVenue* s, SimLive* live) noexcept nogil:
    cdef uint64_t i = <uint64_t>(live - s.live), k = i
    if live.order_ordinal == 0:
        return
    while True:
        k = (k + 1) & (SIM_PLACES - 1)
        if s.live[k].order_ordinal == 0:
            break
        # k may move into the hole at i only when its home does not lie between them.
        if ((k - live_home(s.live[k].order_ordinal)) & (SIM_PLACES - 1)) >= ((k - i) & (SIM_PLACES - 1)):
            s.live[i] = s.live[k]
            i = k
    s.live[i].order_ordinal = 0
    s.resting_count -= 1


# ---- at the venue

cdef void reject(SimVenue* s, const SimRequest* q, int code) noexcept nogil:
    cdef ExecReport* r = new_reply(s, EXEC_REJECTED, q.order_ordinal, 0, q.instrument, q.side, 0, q.due_ns)
    s.rejects += 1
    if r != NULL:
        r.venue_code = -code


cdef int code_of(int reason) noexcept nogil:
    if reason == SIM_REASON_BAD_REQUEST:
        return CODE_NOT_REQUIRED           # post-only with a time in force
    if reason == SIM_REASON_PRICE_FILTER or reason == SIM_REASON_LOT_SIZE or reason == SIM_REASON_OVERFLOW:
        return CODE_FILTER
    return CODE_REJECTED


cdef void arrive_order(SimVenue* s, const SimRequest* q) noexcept nogil:
    cdef const Instrument* item = &s.instruments.items[q.instrument]
    cdef const Top* top = &s.tops[q.instrument]
    cdef RecordedMarket* market = s.markets[q.instrument]
    cdef int64_t opposite = top.ask_price_ticks if q.side == SIDE_BUY else top.bid_price_ticks
    cdef bint priced = q.order_type != ORDER_TYPE_MARKET
    cdef int64_t reference = q.price_ticks if priced else opposite
    cdef SimAction a
    cdef uint64_t order_id = 0
    cdef int reason
    if s.reject_threshold != 0 and next_random(s) < s.reject_threshold:
        reject(s, q, CODE_REJECTED)
        return
    if q.qty_lots <= 0 or reference == PRICE_TICKS_NONE or <int128>reference * q.qty_lots < item.min_notional_ticklots:
        reject(s, q, CODE_FILTER)
        return
    if priced and q.time_in_force == TIME_IN_FORCE_GTC and s.resting_count >= SIM_RESTING:
        reject(s, q, CODE_REJECTED)
        return
    memset(&a, 0, sizeof(SimAction))
    a.kind = SIM_ACTION_SUBMIT
    a.now_ns = q.due_ns
    a.account = s.account
    a.instrument = <uint16_t>(2 * q.instrument + (q.side == SIDE_SELL))
    a.side = q.side
    a.order_type = q.order_type
    a.time_in_force = q.time_in_force
    a.price_ticks = q.price_ticks if priced else 0
    a.qty_lots = q.qty_lots
    a.ref = <int64_t>q.order_ordinal
    if not priced:
        market.extra_bps = s.settings.market.slippage_bps
    reason = exchange_submit(s.exchange, &a, &order_id)
    market.extra_bps = 0
    market.shift_number = 0
    if reason != SIM_REASON_OK:
        reject(s, q, code_of(reason))
    tell_events(s)


cdef void arrive_cancel(SimVenue* s, const SimRequest* q) noexcept nogil:
    cdef const SimLive* live = find_live(s, q.order_ordinal)
    cdef ExecReport* r
    if live.order_ordinal != 0 and exchange_cancel(s.exchange, s.account, live.order_id, q.due_ns) == SIM_REASON_OK:
        tell_events(s)
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


cdef void sim_on_market(SimVenue* s, const Slot* records, int32_t count, int64_t now_ns) noexcept nogil:
    cdef RecordedMarket* m
    cdef const TradeEvent* t
    if s.resting_count == 0:
        return
    m = s.markets[records.instrument]
    s.exchange.now_ns = now_ns
    if records.type == EV_TRADE:
        t = <const TradeEvent*>records
        recorded_on_trade(m, t.price_ticks, t.qty_lots, (t.flags & TRADE_SELL_AGGRESSOR) != 0, now_ns)
    elif records.type == EV_QUOTE:
        recorded_on_top(m, now_ns)
    elif records.type == EV_BOOK_DELTA:
        if records.flags & DELTA_SNAPSHOT:
            recorded_on_snapshot(m)
        else:
            recorded_on_levels(m, <const BookDelta*>records, count, now_ns)
            recorded_on_top(m, now_ns)
    elif records.type == EV_ORDER_DELTA:
        recorded_on_order(m, <const OrderDelta*>records, now_ns)
    if s.exchange.event_count > 0:
        exchange_finish(s.exchange, 2 * records.instrument)
        exchange_finish(s.exchange, 2 * records.instrument + 1)
        tell_events(s)


cdef int64_t sim_queue_ahead(SimVenue* s, uint64_t order_ordinal) noexcept nogil:
    cdef const SimLive* live = find_live(s, order_ordinal)
    cdef const SimOrder* o = exchange_order(s.exchange, live.order_id) if live.order_ordinal != 0 else NULL
    cdef const QueuePlace* place = NULL
    if o != NULL and o.level != SIM_NONE:
        place = recorded_place(s.markets[o.instrument >> 1], o.queue_ahead_lots)
    return place.ahead_lots if place != NULL else QTY_LOTS_NONE


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


# Every order is taken out of its queue, named anew and put back, best price first and each queue from its front: so places stay.
# The orders taken out form a chain through `behind`.
cdef void regrid_side(SimVenue* s, uint32_t instrument, int side, const GridChange* c, int64_t now_ns) noexcept nogil:
    cdef SimExchange* x = s.exchange
    cdef SimLadder* l = &x.instruments[2 * instrument + side].book[side]
    cdef SimOrder* o
    cdef QueuePlace* place
    cdef int32_t first = SIM_NONE, last = SIM_NONE, at
    cdef int64_t old_ticks
    cdef bint exact
    while l.order_count > 0:
        at = level_at(&x.pool, l.best_level).front
        o = &x.pool.orders[at]
        queue_leave(&x.pool, l, o)
        if last == SIM_NONE:
            first = at
        else:
            x.pool.orders[last].behind = at
        o.behind = SIM_NONE
        last = at
    at = first
    while at != SIM_NONE:
        o = &x.pool.orders[at]
        at = o.behind
        place = recorded_place(s.markets[instrument], o.queue_ahead_lots)
        if place != NULL:
            place_regrid(place, c)
        ratio_exact(&c.qty, o.qty_lots, &o.qty_lots)
        ratio_exact(&c.qty, o.cum_lots, &o.cum_lots)
        ratio_exact(&c.qty, o.leaves_lots, &o.leaves_lots)
        ratio_exact(&c.qty, o.shown_lots, &o.shown_lots)
        old_ticks = o.price_ticks
        exact = ratio_exact(&c.price, old_ticks, &o.price_ticks)
        recorded_repriced(s.markets[instrument], side, old_ticks, o.price_ticks)
        queue_join(&x.pool, l, o, o.price_ticks)
        if not exact:
            exchange_end(x, o, SIM_STATUS_EXPIRED, SIM_REASON_VENUE, now_ns)


cdef void sim_regrid(SimVenue* s, uint32_t instrument, const GridChange* c, int64_t now_ns) noexcept nogil:
    regrid_requests(s, instrument, c)
    regrid_replies(s, instrument, c)
    recorded_regrid(s.markets[instrument], c)
    regrid_side(s, instrument, SIDE_BIDS, c, now_ns)
    regrid_side(s, instrument, SIDE_ASKS, c, now_ns)
    tell_events(s)
