"""The engine on another grid: see engine_grid.pxd."""
from libc.stdint cimport INT64_MAX, int32_t, int64_t, uint8_t, uint32_t

from tickpath.decimal cimport Grid, grid_init
from tickpath.engine cimport report_health
from tickpath.engine_feeds cimport consolidate, gate_look_again
from tickpath.engine_l3 cimport lose_order_book
from tickpath.market.bar_set cimport BarSet
from tickpath.market.book cimport Book, book_lose, book_regrid
from tickpath.market.checksum cimport BookChecksum, checksum_init
from tickpath.market.consolidated cimport Consolidated
from tickpath.market.gate cimport GATE_GRID, Gate
from tickpath.market.grid_change cimport (
    GridChange, bar_regrid, grid_change_between, ratio_exact, ratio_is_one, ratio_nearest, ratio_of_limit, ratio_of_sum,
)
from tickpath.market.instruments cimport Instrument, instrument_set_grid
from tickpath.signals.state cimport SignalState, Top
from tickpath.trading.orders cimport ORDER_SLOTS, Order, order_is_open
from tickpath.trading.positions cimport Position
from tickpath.trading.risk cimport InstrumentLimits
from tickpath.types cimport (
    HEALTH_GRID_REFUSED, MAX_INSTRUMENTS, ORDER_INVALID, ORDER_TYPE_MARKET, PRICE_TICKS_NONE, STATUS_OK, TS_NONE, GridEvent,
    int128, uint128,
)

cdef extern from *:
    """
    /* What stands for no limit: TICKLOTS_MAX and the largest order quantity of tickpathd/engine_spec.py. */
    #define TP_NO_NOTIONAL_LIMIT 4000000000000000000LL
    #define TP_NO_QTY_LIMIT (1LL << 62)
    """
    const int64_t NO_NOTIONAL_LIMIT "TP_NO_NOTIONAL_LIMIT"
    const int64_t NO_QTY_LIMIT "TP_NO_QTY_LIMIT"


# The grid that an EV_GRID asks for, as far as it can be followed.
cdef struct Wanted:
    Grid tick
    Grid lot
    int64_t qty_step_lots
    int64_t min_notional_ticklots
    uint8_t price_decimals
    uint8_t qty_decimals


cdef bint engine_regrid(EngineCore* e, const GridEvent* g) noexcept nogil:
    cdef Wanted w
    cdef GridChange c
    cdef BookChecksum checksum
    cdef Instrument* item
    cdef int refusal
    if g.instrument >= <uint32_t>e.instruments.count:
        return refuse(e, g, GRID_REFUSAL_INSTRUMENT)
    item = &e.instruments.items[g.instrument]
    refusal = read_wanted(g, &w)
    if refusal != 0:
        return refuse(e, g, refusal)
    if not grid_change_between(&c, &item.price_grid, &item.qty_grid, &w.tick, &w.lot):
        return refuse(e, g, GRID_REFUSAL_RATIO)
    if not holdings_fit(e, g.instrument, &c):
        # Positions and orders are exact on the lot that we have; where that divides the venue's, only its step is new.
        if c.qty.num != 1 or w.qty_step_lots > INT64_MAX // c.qty.den or w.min_notional_ticklots > INT64_MAX // c.qty.den:
            e.gates[g.instrument].feed_causes |= GATE_GRID
            refuse(e, g, GRID_REFUSAL_HOLDINGS)
            gate_look_again(e, g.instrument)
            return False
        w.lot = item.qty_grid
        w.qty_step_lots *= c.qty.den
        w.min_notional_ticklots *= c.qty.den
        if w.qty_decimals < w.lot.scale:
            w.qty_decimals = <uint8_t>w.lot.scale
        grid_change_between(&c, &item.price_grid, &item.qty_grid, &w.tick, &w.lot)
    if checksum_init(&checksum, item.rules.checksum, &w.tick, &w.lot, w.price_decimals, w.qty_decimals) != STATUS_OK:
        return refuse(e, g, GRID_REFUSAL_CHECKSUM)
    if e.gates[g.instrument].feed_causes & GATE_GRID:
        e.gates[g.instrument].feed_causes &= ~GATE_GRID
        gate_look_again(e, g.instrument)
    if (ratio_is_one(&c.price) and ratio_is_one(&c.qty) and w.qty_step_lots == e.risk.limits[g.instrument].qty_step_lots
            and w.min_notional_ticklots == item.min_notional_ticklots and w.price_decimals == item.rules.price_decimals
            and w.qty_decimals == item.rules.qty_decimals):
        return False                       # as it is already
    switch_instrument(e, g.instrument, &w, &c, &checksum)
    e.grid_change = c
    e.grid_epochs[g.instrument] += 1
    e.grid_seqs[g.instrument] = e.ring.next_seq - 2          # its own record, two slots, is the last one published
    e.totals.grids += 1
    return True


cdef bint refuse(EngineCore* e, const GridEvent* g, int refusal) noexcept nogil:
    e.totals.grids_refused += 1
    report_health(e, HEALTH_GRID_REFUSED, g.instrument, refusal, 0)
    return False


cdef int read_wanted(const GridEvent* g, Wanted* w) noexcept nogil:
    """0, or why the record is no grid."""
    if (grid_init(&w.tick, g.tick_mantissa, g.tick_scale) != STATUS_OK
            or grid_init(&w.lot, g.lot_mantissa, g.lot_scale) != STATUS_OK
            or w.tick.mantissa > INT64_MAX // w.lot.mantissa or g.qty_step_lots < 1 or g.min_notional_ticklots < 0
            or not -1 <= g.price_decimals <= 18 or not -1 <= g.qty_decimals <= 18):
        return GRID_REFUSAL_NUMBER
    w.qty_step_lots = g.qty_step_lots
    w.min_notional_ticklots = g.min_notional_ticklots
    w.price_decimals = <uint8_t>(g.price_decimals if g.price_decimals >= 0 else w.tick.scale)
    w.qty_decimals = <uint8_t>(g.qty_decimals if g.qty_decimals >= 0 else w.lot.scale)
    return 0


cdef bint position_fits(const Position* p, const GridChange* c) noexcept nogil:
    cdef int64_t lots
    cdef int128 sum_
    return (ratio_exact(&c.qty, p.position_lots, &lots) and ratio_exact(&c.qty, p.buy_lots, &lots)
            and ratio_exact(&c.qty, p.sell_lots, &lots) and ratio_of_sum(&c.notional, p.open_cost_ticklots, &sum_)
            and ratio_of_sum(&c.notional, p.realised_ticklots, &sum_))


cdef bint holdings_fit(const EngineCore* e, uint32_t instrument, const GridChange* c) noexcept nogil:
    """Whether every position and every open order has its quantity in whole new lots."""
    cdef int64_t lots
    cdef const Order* o
    cdef int i
    if not position_fits(&e.account[instrument], c):
        return False
    for i in range(e.strategy_count):
        if not position_fits(&e.positions[i * MAX_INSTRUMENTS + instrument], c):
            return False
    for i in range(ORDER_SLOTS):
        o = &e.orders.items[i]
        if o.ordinal == 0 or o.state == ORDER_INVALID or o.instrument != instrument:
            continue
        if not (ratio_exact(&c.qty, o.qty_lots, &lots) and ratio_exact(&c.qty, o.cum_qty_lots, &lots)
                and ratio_exact(&c.qty, o.leaves_qty_lots, &lots)):
            return False
    return True


# From here on nothing is refused.
cdef void switch_instrument(EngineCore* e, uint32_t instrument, const Wanted* w, const GridChange* c,
                            const BookChecksum* checksum) noexcept nogil:
    cdef Instrument* item = &e.instruments.items[instrument]
    cdef Book* book = &e.books[instrument]
    cdef long long rounded = 0
    cdef int i
    if not (ratio_is_one(&c.price) and ratio_is_one(&c.qty)):
        if e.l3[instrument] != NULL:
            lose_order_book(e, instrument)             # orders have no grid but their book's: the venue gives them anew
        elif not book_regrid(book, c):
            book_lose(book)
        if e.failovers[instrument].configured:
            book_lose(&e.failovers[instrument].standby)        # the book that is not shown: a snapshot makes it anew
        regrid_top(&e.tops[instrument], c)
        regrid_gate(&e.gates[instrument], c)
        regrid_signals(&e.signals[instrument], c, &rounded)
        regrid_bars(&e.bars.sets[instrument], c, &rounded)
        regrid_position(&e.account[instrument], c)
        for i in range(e.strategy_count):
            regrid_position(&e.positions[i * MAX_INSTRUMENTS + instrument], c)
    regrid_orders(e, instrument, w, c, &rounded)
    regrid_limits(&e.risk.limits[instrument], w, c)
    instrument_set_grid(item, w.tick, w.lot, w.min_notional_ticklots)
    item.rules.price_decimals = book.rules.price_decimals = w.price_decimals
    item.rules.qty_decimals = book.rules.qty_decimals = w.qty_decimals
    e.failovers[instrument].standby.rules.price_decimals = w.price_decimals
    e.failovers[instrument].standby.rules.qty_decimals = w.qty_decimals
    e.checksums[instrument] = checksum[0]
    e.totals.grid_rounded += rounded
    if e.consolidated_of[instrument] >= 0:
        regrid_consolidated(e, e.consolidated_of[instrument])
    gate_look_again(e, instrument)


cdef void regrid_top(Top* t, const GridChange* c) noexcept nogil:
    """A side that the new grid does not have is unknown until the venue names it again."""
    if t.bid_price_ticks != PRICE_TICKS_NONE and not (ratio_exact(&c.price, t.bid_price_ticks, &t.bid_price_ticks)
                                                      and regrid_shown(c, &t.bid_qty_lots)):
        t.bid_price_ticks = PRICE_TICKS_NONE
        t.bid_qty_lots = 0
    if t.ask_price_ticks != PRICE_TICKS_NONE and not (ratio_exact(&c.price, t.ask_price_ticks, &t.ask_price_ticks)
                                                      and regrid_shown(c, &t.ask_qty_lots)):
        t.ask_price_ticks = PRICE_TICKS_NONE
        t.ask_qty_lots = 0


cdef bint regrid_shown(const GridChange* c, int64_t* lots) noexcept nogil:
    return lots[0] < 0 or ratio_exact(&c.qty, lots[0], lots)             # a size may be unknown


cdef void regrid_gate(Gate* g, const GridChange* c) noexcept nogil:
    cdef long long rounded = 0             # it is compared with the next mid as a fraction: half a tick is no jump
    g.twice_mid_ticks = ratio_nearest(&c.price, g.twice_mid_ticks, &rounded)


cdef void regrid_signals(SignalState* s, const GridChange* c, long long* rounded) noexcept nogil:
    cdef double per_tick = <double>c.price.num / <double>c.price.den
    s.ema_fast.value *= per_tick
    s.ema_slow.value *= per_tick
    s.last_trade_ticks = ratio_nearest(&c.price, s.last_trade_ticks, rounded)
    s.last_trade_lots = ratio_nearest(&c.qty, s.last_trade_lots, rounded)


cdef void regrid_bars(BarSet* s, const GridChange* c, long long* rounded) noexcept nogil:
    cdef int32_t i
    for i in range(s.count):
        bar_regrid(&s.builders[i], c, rounded)


cdef void regrid_position(Position* p, const GridChange* c) noexcept nogil:
    # holdings_fit has seen that all of them can.
    ratio_exact(&c.qty, p.position_lots, &p.position_lots)
    ratio_exact(&c.qty, p.buy_lots, &p.buy_lots)
    ratio_exact(&c.qty, p.sell_lots, &p.sell_lots)
    ratio_of_sum(&c.notional, p.open_cost_ticklots, &p.open_cost_ticklots)
    ratio_of_sum(&c.notional, p.realised_ticklots, &p.realised_ticklots)


cdef void regrid_orders(EngineCore* e, uint32_t instrument, const Wanted* w, const GridChange* c,
                        long long* rounded) noexcept nogil:
    cdef Order* o
    cdef int k
    for k in range(ORDER_SLOTS):
        o = &e.orders.items[k]
        if o.ordinal == 0 or o.state == ORDER_INVALID or o.instrument != instrument:
            continue
        ratio_exact(&c.qty, o.qty_lots, &o.qty_lots)
        ratio_exact(&c.qty, o.cum_qty_lots, &o.cum_qty_lots)
        ratio_exact(&c.qty, o.leaves_qty_lots, &o.leaves_qty_lots)
        if o.order_type != ORDER_TYPE_MARKET and not ratio_exact(&c.price, o.price_ticks, &o.price_ticks):
            # It rests where the new grid has no price, until the venue has cancelled it.
            o.price_ticks = ratio_nearest(&c.price, o.price_ticks, rounded)
            o.off_grid = 1
        if order_is_open(o) and o.leaves_qty_lots % w.qty_step_lots != 0:
            o.off_grid = 1
    ratio_exact(&c.qty, e.orders.open_buy_lots[instrument], &e.orders.open_buy_lots[instrument])
    ratio_exact(&c.qty, e.orders.open_sell_lots[instrument], &e.orders.open_sell_lots[instrument])


cdef void regrid_limits(InstrumentLimits* l, const Wanted* w, const GridChange* c) noexcept nogil:
    l.max_order_qty_lots = ratio_of_limit(&c.qty, l.max_order_qty_lots, NO_QTY_LIMIT)
    l.max_order_notional_ticklots = ratio_of_limit(&c.notional, l.max_order_notional_ticklots, NO_NOTIONAL_LIMIT)
    l.max_position_notional_ticklots = ratio_of_limit(&c.notional, l.max_position_notional_ticklots, NO_NOTIONAL_LIMIT)
    l.qty_step_lots = w.qty_step_lots


# ---- the best over several venues: its common ticks are the greatest that divide every member's

cdef uint128 divisor_of(uint128 a, uint128 b) noexcept nogil:
    cdef uint128 t
    while b != 0:
        t = a % b
        a = b
        b = t
    return a


cdef inline uint128 in_e18(const Grid* g) noexcept nogil:
    cdef uint128 v = <uint128><unsigned long long>g.mantissa
    cdef int32_t _k
    for _k in range(18 - g.scale):
        v *= 10
    return v


cdef inline int64_t multiplier(uint128 size, uint128 common) noexcept nogil:
    # One that does not fit leaves the side out and counts it, as any price that does not fit does (consolidated.pyx).
    return <int64_t>(size // common) if size // common <= <uint128>INT64_MAX else INT64_MAX


cdef void regrid_consolidated(EngineCore* e, int32_t group) noexcept nogil:
    cdef Consolidated* q = &e.consolidated[group]
    cdef uint128 tick = 0, lot = 0
    cdef const Instrument* item
    cdef int32_t k
    for k in range(q.count):
        item = &e.instruments.items[q.members[k].instrument]
        tick = divisor_of(in_e18(&item.price_grid), tick)
        lot = divisor_of(in_e18(&item.qty_grid), lot)
    for k in range(q.count):
        item = &e.instruments.items[q.members[k].instrument]
        q.members[k].tick_multiplier = multiplier(in_e18(&item.price_grid), tick)
        q.members[k].lot_multiplier = multiplier(in_e18(&item.qty_grid), lot)
        q.members[k].good = 0
    # What was published is in other units; members come back one by one, each with a record.
    q.quote.bid_price_ticks = q.quote.ask_price_ticks = PRICE_TICKS_NONE
    q.quote.bid_qty_lots = q.quote.ask_qty_lots = 0
    q.quote.bid_members = q.quote.ask_members = q.quote.good_members = 0
    for k in range(q.count):
        consolidate(e, q.members[k].instrument, TS_NONE)
