"""The records of what became of an order and of a book: see engine_reports.pxd."""
from libc.stdint cimport int64_t
from libc.string cimport memset

from tickpath.engine cimport begin_call, publish, publish_two
from tickpath.trading.strategy cimport CompiledStrategy
from tickpath.types cimport (
    EV_CONT, EV_FILL, EV_GAP, EV_ORDER_STATE, EV_POSITION, LIQUIDITY_MAKER, TS_NONE, GapEvent, OrderStateEvent, PositionEvent,
)


cdef void publish_fill(EngineCore* e, const Order* o, const ExecReport* r, FillEvent* f) noexcept nogil:
    cdef PositionEvent p
    cdef const Position* account = &e.account[o.instrument]
    memset(f, 0, sizeof(FillEvent))
    f.ts_recv_ns = f.ts_recv2_ns = e.now_ns
    f.ts_venue_ns = f.ts_venue2_ns = r.ts_venue_ns
    f.instrument = f.instrument2 = o.instrument
    f.type = EV_FILL
    f.type2 = EV_CONT
    f.venue = f.venue2 = o.venue
    f.flags = r.flags & LIQUIDITY_MAKER
    f.flags2 = 1
    f.order_ordinal = o.ordinal
    f.price_ticks = r.last_price_ticks
    f.qty_lots = r.last_qty_lots
    f.trade_id = r.trade_id
    f.fee_e8 = r.fee_e8
    f.cum_qty_lots = o.cum_qty_lots
    f.position_lots = account.position_lots
    f.side = o.side
    f.strategy = o.strategy
    publish_two(e, <const Slot*>f)
    memset(&p, 0, sizeof(PositionEvent))
    p.ts_recv_ns = e.now_ns
    p.ts_venue_ns = r.ts_venue_ns
    p.instrument = o.instrument
    p.type = EV_POSITION
    p.venue = o.venue
    p.position_lots = account.position_lots
    p.open_cost_ticklots = <int64_t>account.open_cost_ticklots
    p.realised_ticklots = <int64_t>account.realised_ticklots
    p.fees_e8 = account.fees_e8
    publish(e, <const Slot*>&p)


cdef void publish_order_state(EngineCore* e, const Order* o, uint8_t old, int reason) noexcept nogil:
    cdef OrderStateEvent s
    memset(&s, 0, sizeof(OrderStateEvent))
    s.ts_recv_ns = e.now_ns
    s.ts_venue_ns = TS_NONE
    s.instrument = o.instrument
    s.type = EV_ORDER_STATE
    s.venue = o.venue
    s.order_ordinal = o.ordinal
    s.cum_qty_lots = o.cum_qty_lots
    s.leaves_qty_lots = o.leaves_qty_lots
    s.state = o.state
    s.prev_state = old
    s.strategy = o.strategy
    s.side = o.side
    s.reason = reason
    publish(e, <const Slot*>&s)
    if begin_call(e, o.strategy):
        (<CompiledStrategy>e.strategies[o.strategy]).on_order(&e.contexts[o.strategy], &s)


cdef void report_gap(EngineCore* e, const Book* book, const Slot* record) noexcept nogil:
    cdef GapEvent g
    memset(&g, 0, sizeof(GapEvent))
    g.ts_recv_ns = e.now_ns
    g.ts_venue_ns = record.ts_venue_ns
    g.instrument = record.instrument
    g.type = EV_GAP
    g.venue = record.venue
    g.expected_update_id = book.gap_expected_id
    g.found_update_id = book.gap_found_id
    g.total = book.gap_count
    e.totals.gaps += 1
    e.totals.venue_gaps[e.frame_venue] += 1
    publish(e, <const Slot*>&g)
