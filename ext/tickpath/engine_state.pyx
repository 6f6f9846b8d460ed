"""Copies what is now to the state page, for readers that do not follow the ring."""
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memset

from tickpath.decimal cimport ctz64
from tickpath.engine cimport EngineCore
from tickpath.engine_failover cimport failover_source, native_book
from tickpath.market.bar_set cimport BarSet
from tickpath.market.bars cimport BarBuilder
from tickpath.market.book cimport SIDE_ASKS, SIDE_BIDS, Book, book_depth
from tickpath.market.l3_book cimport L3Book
from tickpath.shm.state_page cimport (
    STATE_DEPTH, STATE_ORDERS, StateBar, StateBars, StateInstrument, StateOrder, StateOrders, StateStrategy, StateTotals,
    seqlock_write,
)
from tickpath.trading.orders cimport ORDER_SLOTS, Order
from tickpath.trading.positions cimport Position
from tickpath.types cimport BOOK_SYNCING, MAX_INSTRUMENTS


cdef void engine_publish_state(EngineCore* e) noexcept nogil:
    cdef int i
    cdef StateInstrument s
    cdef StateStrategy[16] strategies
    cdef const Position* p
    cdef const Book* b
    e.totals.now_ns = e.now_ns
    e.totals.last_seq = e.ring.next_seq - 1
    e.totals.open_orders = e.orders.open_count
    e.totals.trading_state = e.risk.trading_state
    e.totals.guard_state = e.guard_state
    e.totals.action_overflows = e.actions.overflow_count
    e.totals.missed_timers = e.timers.overflow_count
    e.totals.max_orders_per_min = e.risk.max_orders_per_min
    e.totals.max_data_age_ns = e.risk.max_data_age_ns
    seqlock_write(&e.page.totals_seq, &e.page.totals, &e.totals, sizeof(StateTotals))
    for i in range(e.instruments.count):
        memset(&s, 0, sizeof(StateInstrument))
        b = &e.books[i]
        book_depth(b, SIDE_BIDS, s.bid_price_ticks, s.bid_qty_lots, STATE_DEPTH)
        book_depth(b, SIDE_ASKS, s.ask_price_ticks, s.ask_qty_lots, STATE_DEPTH)
        s.top_bid_ticks = e.tops[i].bid_price_ticks
        s.top_bid_lots = e.tops[i].bid_qty_lots
        s.top_ask_ticks = e.tops[i].ask_price_ticks
        s.top_ask_lots = e.tops[i].ask_qty_lots
        s.last_trade_ticks = e.signals[i].last_trade_ticks
        s.last_trade_lots = e.signals[i].last_trade_lots
        s.book_state = e.gates[i].state
        s.gate_causes = e.gates[i].causes
        s.venue_status = e.gates[i].venue_status
        s.messages = e.gates[i].messages
        s.good_messages = e.gates[i].good_messages
        s.book_gaps = b.gap_count
        s.pending_slots = native_book(e, i).pending_count if native_book(e, i).state == BOOK_SYNCING else 0
        s.source = failover_source(e, i)
        s.native_bad_since_ns = e.failovers[i].bad_since_ns
        if e.l3[i] != NULL:
            publish_order_book(e.l3[i], &s)
        s.bid_levels = b.sides[SIDE_BIDS].level_count + b.sides[SIDE_BIDS].far_count
        s.ask_levels = b.sides[SIDE_ASKS].level_count + b.sides[SIDE_ASKS].far_count
        s.last_update_id = b.last_update_id
        s.ts_recv_ns = b.ts_recv_ns if b.ts_recv_ns > e.tops[i].ts_recv_ns else e.tops[i].ts_recv_ns
        publish_bars(e, i, &s)
        p = &e.account[i]
        s.position_lots = p.position_lots
        s.open_cost_ticklots = <int64_t>p.open_cost_ticklots
        s.realised_ticklots = <int64_t>p.realised_ticklots
        s.fees_e8 = p.fees_e8
        s.open_buy_lots = e.orders.open_buy_lots[i]
        s.open_sell_lots = e.orders.open_sell_lots[i]
        s.max_order_notional_ticklots = e.risk.limits[i].max_order_notional_ticklots
        s.max_position_notional_ticklots = e.risk.limits[i].max_position_notional_ticklots
        s.max_open_orders = e.risk.limits[i].max_open_orders
        s.price_collar_e2_bps = e.risk.limits[i].price_collar_e2_bps
        s.ema_fast = e.signals[i].ema_fast.value
        s.ema_slow = e.signals[i].ema_slow.value
        s.imbalance = e.signals[i].imbalance
        s.grid_epoch = e.grid_epochs[i]
        s.grid_seq = <int64_t>e.grid_seqs[i]
        s.tick_mantissa = e.instruments.items[i].price_grid.mantissa
        s.tick_scale = e.instruments.items[i].price_grid.scale
        s.lot_mantissa = e.instruments.items[i].qty_grid.mantissa
        s.lot_scale = e.instruments.items[i].qty_grid.scale
        s.qty_step_lots = e.risk.limits[i].qty_step_lots
        s.min_notional_ticklots = e.instruments.items[i].min_notional_ticklots
        seqlock_write(&e.page.instruments_seq[i], &e.page.instruments[i], &s, sizeof(StateInstrument))
    memset(strategies, 0, sizeof(StateStrategy) * 16)
    for i in range(e.strategy_count):
        p = &e.positions[i * MAX_INSTRUMENTS + e.contexts[i].instrument]
        strategies[i].orders = e.strategy_orders[i]
        strategies[i].refusals = e.strategy_refusals[i]
        strategies[i].fills = e.strategy_fills[i]
        strategies[i].failed = e.contexts[i].failed != 0
        strategies[i].instrument = e.contexts[i].instrument
        strategies[i].position_lots = p.position_lots
        strategies[i].open_cost_ticklots = <int64_t>p.open_cost_ticklots
        strategies[i].realised_ticklots = <int64_t>p.realised_ticklots
        strategies[i].fees_e8 = p.fees_e8
    publish_open_orders(e, strategies)
    seqlock_write(&e.page.strategies_seq, &e.page.strategies, strategies, sizeof(StateStrategy) * 16)


cdef void publish_bars(EngineCore* e, int instrument, StateInstrument* s) noexcept nogil:
    cdef const BarSet* bars = &e.bars.sets[instrument]
    cdef const BarBuilder* b
    cdef StateBars out
    cdef StateBar* row
    cdef int k
    for k in range(bars.count):
        b = &bars.builders[k]
        row = &out.items[b.spec_idx]
        row.ts_open_ns = b.ts_open_ns
        row.open_ticks = b.open_ticks
        row.high_ticks = b.high_ticks
        row.low_ticks = b.low_ticks
        row.close_ticks = b.close_ticks
        row.volume_lots = b.volume_lots
        row.buy_volume_lots = b.buy_volume_lots
        row.trade_count = b.trade_count
        row.late_count = b.late_count
        row.late_lots = b.late_lots
        row.skipped_empty_count = b.skipped_empty_count
    seqlock_write(&e.page.bars_seq[instrument], &e.page.bars[instrument], &out, bars.count * sizeof(StateBar))
    s.bar_open_ticks = out.items[0].open_ticks
    s.bar_high_ticks = out.items[0].high_ticks
    s.bar_low_ticks = out.items[0].low_ticks
    s.bar_close_ticks = out.items[0].close_ticks
    s.bar_volume_lots = out.items[0].volume_lots


cdef void publish_order_book(const L3Book* l, StateInstrument* s) noexcept nogil:
    s.pending_slots = 2 * l.pending_count if not l.synced else 0
    s.l3_capacity = l.queues.order_capacity
    s.l3_orders = l.queues.order_count
    s.l3_unknown = l.unknown_count
    s.l3_refused = l.overflow_count + l.inconsistent_count
    s.l3_dropped = l.dropped_pending + l.dropped_unsynced


cdef void publish_open_orders(EngineCore* e, StateStrategy* strategies) noexcept nogil:
    cdef StateOrders out
    cdef uint64_t w, word, bits, start = e.orders.next_ordinal & (ORDER_SLOTS - 1)
    memset(&out, 0, sizeof(StateOrders))
    # From the slot behind the newest on, around the table, slots are in order of ordinal but for the few that were skipped.
    # The first word comes twice: its upper bits first, what is below them last.
    for w in range(ORDER_SLOTS // 64 + 1):
        word = ((start >> 6) + w) & (ORDER_SLOTS // 64 - 1)
        bits = e.orders.open_slots[word]
        if w == 0:
            bits &= ~<uint64_t>0 << (start & 63)
        elif w == ORDER_SLOTS // 64:
            bits &= (<uint64_t>1 << (start & 63)) - 1
        while bits != 0:
            publish_open_order(&e.orders.items[(word << 6) + ctz64(bits)], &out, strategies)
            bits &= bits - 1
    seqlock_write(&e.page.orders_seq, &e.page.orders, &out, sizeof(StateOrders))


cdef inline void publish_open_order(const Order* o, StateOrders* out, StateStrategy* strategies) noexcept nogil:
    cdef StateOrder* row
    strategies[o.strategy].open_orders += 1
    out.total += 1
    if out.count == STATE_ORDERS:
        return
    row = &out.items[out.count]
    out.count += 1
    row.order_ordinal = o.ordinal
    row.price_ticks = o.price_ticks
    row.qty_lots = o.qty_lots
    row.leaves_qty_lots = o.leaves_qty_lots
    row.instrument = o.instrument
    row.side = o.side
    row.state = o.state
    row.strategy = o.strategy
