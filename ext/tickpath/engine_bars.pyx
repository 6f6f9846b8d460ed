"""Bars, the averages of their closes and the signals made of both: see engine_bars.pxd."""
from libc.stdint cimport INT64_MAX, int32_t, int64_t, uint32_t
from libc.string cimport memset

from tickpath.engine cimport begin_call, publish, publish_two
from tickpath.market.bar_set cimport BAR_SET_CAPACITY, bar_set_close_due, bar_set_next_due_ns
from tickpath.market.bars cimport bar_spec_idx
from tickpath.signals.indicators.ema cimport ema_ready, ema_update
from tickpath.signals.state cimport SignalState, depth_imbalance
from tickpath.trading.strategy cimport CompiledStrategy
from tickpath.types cimport EV_SIGNAL, SIGNAL_EMA_FAST, SIGNAL_IMBALANCE, BarEvent, SignalEvent, Slot


cdef int bars_turn(EngineCore* e, const TradeEvent* trade, int count) noexcept nogil:
    cdef BarSet* s = &e.bars.sets[trade.instrument]
    close_bars(e, count)
    while s.again:
        # More empty bars than one call gives: the trade itself comes behind them.
        call_on_bars(e, count)
        count = bar_set_on_trade(s, trade, e.bars.closed)
        close_bars(e, count)
    s.moved = 0
    look_at_dues(e, trade.instrument)
    return count


cdef void bars_close_due(EngineCore* e) noexcept nogil:
    cdef int32_t i = 0
    cdef int count = BAR_SET_CAPACITY
    while e.bars.dues_ns[i] > e.bars_due_ns:
        i += 1
    if e.bars_due_ns > e.now_ns:
        e.now_ns = e.bars_due_ns
    while count == BAR_SET_CAPACITY:
        count = bar_set_close_due(&e.bars.sets[i], e.now_ns, e.bars.closed)
        close_bars(e, count)
        call_on_bars(e, count)
    look_at_dues(e, i)


cdef void look_at_dues(EngineCore* e, uint32_t instrument) noexcept nogil:
    cdef int32_t i
    cdef int64_t first_ns = INT64_MAX
    e.bars.dues_ns[instrument] = bar_set_next_due_ns(&e.bars.sets[instrument])
    for i in range(e.instruments.count):
        if e.bars.dues_ns[i] < first_ns:
            first_ns = e.bars.dues_ns[i]
    e.bars_due_ns = first_ns


cdef void call_on_bars(EngineCore* e, int count) noexcept nogil:
    cdef int i, k
    for i in range(e.strategy_count):
        for k in range(count):
            if begin_call(e, i):
                (<CompiledStrategy>e.strategies[i]).on_bar(&e.contexts[i], &e.bars.closed[k])


cdef void close_bars(EngineCore* e, int count) noexcept nogil:
    cdef int k
    for k in range(count):
        close_bar(e, &e.signals[e.bars.closed[k].instrument], &e.bars.closed[k])


cdef void close_bar(EngineCore* e, SignalState* s, BarEvent* bar) noexcept nogil:
    cdef double fast, slow
    e.totals.bars += 1
    publish_two(e, <const Slot*>bar)
    if bar_spec_idx(bar) != 0:
        return                             # the averages are of the first of the specifications
    fast = ema_update(&s.ema_fast, <double>bar.close_ticks)
    slow = ema_update(&s.ema_slow, <double>bar.close_ticks)
    if ema_ready(&s.ema_slow) and ema_ready(&s.ema_fast):
        publish_signal(e, bar, SIGNAL_EMA_FAST, fast, slow)
    publish_signal(e, bar, SIGNAL_IMBALANCE, s.imbalance,
                   depth_imbalance(&e.books[bar.instrument], s.imbalance_levels))


cdef void publish_signal(EngineCore* e, const BarEvent* bar, int kind, double value, double value2) noexcept nogil:
    cdef SignalEvent s
    cdef int i
    memset(&s, 0, sizeof(SignalEvent))
    s.ts_recv_ns = bar.ts_recv_ns
    s.ts_venue_ns = bar.ts_venue_ns
    s.instrument = bar.instrument
    s.type = EV_SIGNAL
    s.venue = bar.venue
    s.kind = kind
    s.value = value
    s.value2 = value2
    e.totals.signals += 1
    publish(e, <const Slot*>&s)
    for i in range(e.strategy_count):
        if begin_call(e, i):
            (<CompiledStrategy>e.strategies[i]).on_signal(&e.contexts[i], &s)
