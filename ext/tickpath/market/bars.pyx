"""Right-aligned bars. `build_bars(trades, interval_ns)` is the batch form over recorded trades."""
from libc.stdint cimport INT64_MAX, uint8_t
from libc.string cimport memset

from tickpath.types cimport EV_BAR, EV_CONT, unlikely

import numpy as np

from tickpath.types import DTYPES


cdef int bar_on_trade(BarBuilder* b, const TradeEvent* trade, BarEvent* closed) noexcept nogil:
    cdef int64_t ts_ns = bar_trade_time(trade)
    cdef int done = BAR_NONE_CLOSED
    cdef bint late = False
    if unlikely(b.kind != BAR_TIME):
        return threshold_bar_on_trade(b, trade, ts_ns, closed)
    # One comparison for the usual trade: inside the bar being built. The grid is divided only when a bar opens.
    if unlikely(<uint64_t>ts_ns - <uint64_t>b.ts_open_ns >= <uint64_t>b.interval_ns or not b.started):
        late = b.started and ts_ns < b.ts_open_ns
        if not late:
            done = bar_close_next(b, ts_ns, trade.ts_recv_ns, 0, closed)
            if unlikely(done and bar_has_due(b, ts_ns)):
                return BAR_CLOSED_CALL_AGAIN
            b.ts_open_ns = interval_start(b, ts_ns)
            b.started = 1
    bar_add(b, trade, ts_ns, late)
    return done


cdef inline int threshold_bar_on_trade(BarBuilder* b, const TradeEvent* trade, int64_t ts_ns, BarEvent* closed) noexcept nogil:
    # Between bars ts_open_ns is the newest time seen, so that bars never overlap by more than the instant they share.
    cdef bint late = b.started and ts_ns < b.ts_open_ns
    cdef int128 reached
    if not late:
        if not b.has_trades:
            b.ts_open_ns = ts_ns
        b.started = 1
    bar_add(b, trade, ts_ns, late)
    if b.kind == BAR_TICK:
        reached = <int128>b.trade_count
    elif b.kind == BAR_VOLUME:
        reached = b.volume_lots
    else:
        reached = b.notional_ticklots
    if reached < b.threshold or not b.has_trades:
        return BAR_NONE_CLOSED
    bar_fill(b, trade.ts_recv_ns, 0, closed)
    b.ts_open_ns = closed.ts_venue_ns - 1
    bar_reset(b)
    return BAR_CLOSED


cdef int bar_close_next(BarBuilder* b, int64_t until_ns, int64_t ts_recv_ns, int flags, BarEvent* closed) noexcept nogil:
    cdef int64_t intervals
    if not bar_has_due(b, until_ns):
        return BAR_NONE_CLOSED
    if not b.has_trades:
        if unlikely(b.empty_run >= bar_empty_run_max(b)):
            intervals = <int64_t>((<uint64_t>until_ns - <uint64_t>b.ts_open_ns) // <uint64_t>b.interval_ns)
            b.ts_open_ns += intervals * b.interval_ns
            b.skipped_empty_count += intervals
            return BAR_NONE_CLOSED
        b.empty_run += 1
        flags |= BAR_EMPTY
    bar_fill(b, ts_recv_ns, flags, closed)
    b.ts_open_ns += b.interval_ns
    bar_reset(b)
    return BAR_CLOSED


cdef int bar_close_due(BarBuilder* b, int64_t now_ns, BarEvent* closed) noexcept nogil:
    if now_ns < bar_next_due_ns(b) or now_ns == INT64_MAX:
        return BAR_NONE_CLOSED
    return bar_close_next(b, now_ns - b.grace_ns, now_ns, BAR_CLOSED_BY_TIME, closed)


cdef int64_t bar_next_due_ns(const BarBuilder* b) noexcept nogil:
    if b.kind != BAR_TIME or not b.started:
        return INT64_MAX
    if b.has_trades:
        return b.ts_due_ns
    # A run that has reached its limit ends with the next trade, not bar by bar.
    if not b.emit_empty or b.empty_run >= bar_empty_run_max(b):
        return INT64_MAX
    return bar_due_from(b, b.ts_open_ns)


cdef int bar_unfinished(const BarBuilder* b, int64_t ts_recv_ns, BarEvent* bar) noexcept nogil:
    if not b.has_trades:
        return 0
    bar_fill(b, ts_recv_ns, BAR_UNFINISHED, bar)
    return 1


cdef inline int64_t interval_start(const BarBuilder* b, int64_t ts_ns) noexcept nogil:
    cdef int64_t inside = (ts_ns - b.offset_ns) % b.interval_ns
    # C rounds towards zero; before the first grid point the remainder is negative.
    return ts_ns - inside - (b.interval_ns if unlikely(inside < 0) else 0)


cdef void bar_reset(BarBuilder* b) noexcept nogil:
    b.closed_notional_ticklots = b.notional_ticklots
    b.open_ticks = b.high_ticks = b.low_ticks = b.close_ticks
    b.volume_lots = 0
    b.buy_volume_lots = 0
    b.trade_count = 0
    b.notional_ticklots = 0
    b.has_trades = 0


cdef void bar_fill(const BarBuilder* b, int64_t ts_recv_ns, int flags, BarEvent* bar) noexcept nogil:
    memset(bar, 0, sizeof(BarEvent))
    bar.type = EV_BAR
    bar.type2 = EV_CONT
    bar.flags = flags | b.kind | (b.spec_idx << BAR_SPEC_SHIFT)
    bar.flags2 = 1
    bar.instrument = bar.instrument2 = b.instrument
    bar.venue = bar.venue2 = b.venue
    bar.ts_recv_ns = bar.ts_recv2_ns = ts_recv_ns
    bar.ts_open_ns = b.ts_open_ns
    if likely(b.kind == BAR_TIME):
        bar.ts_venue_ns = b.ts_open_ns + b.interval_ns
    else:
        # Late trades leave ts_close_trade_ns alone: with no other trade the bar is one instant long.
        bar.ts_venue_ns = (b.ts_close_trade_ns if b.ts_close_trade_ns > b.ts_open_ns else b.ts_open_ns) + 1
    bar.open_ticks = b.open_ticks
    bar.high_ticks = b.high_ticks
    bar.low_ticks = b.low_ticks
    bar.close_ticks = b.close_ticks
    bar.volume_lots = b.volume_lots
    bar.buy_volume_lots = b.buy_volume_lots
    bar.trade_count = b.trade_count
    bar.interval_ns = b.interval_ns


def build_bars(trades, int64_t interval_ns):
    """Time bars of recorded trades; `bar_set.build_bar_set` builds every kind, several in one pass, with VWAP.

    Parameters: trades : structured array of the trade dtype, in order of arrival.  interval_ns : bar length, ns, > 0.
    Returns: structured array of the bar dtype; the last, unfinished bar is included and flagged BAR_UNFINISHED.
    Errors: ValueError when interval_ns is not positive.
    """
    cdef BarBuilder b
    cdef BarEvent bar
    cdef const uint8_t[::1] data
    cdef uint8_t[::1] out
    cdef const TradeEvent* records
    cdef Py_ssize_t i, n
    cdef Py_ssize_t count = 0
    if interval_ns <= 0:
        raise ValueError(f"interval_ns: expected a positive number, found {interval_ns}")
    dtype = DTYPES[int(EV_BAR)]
    if len(trades) == 0:
        return np.empty(0, dtype)
    result = np.zeros(len(trades) + 1, dtype)
    out = result.view(np.uint8)
    data = np.ascontiguousarray(trades).view(np.uint8).reshape(-1)
    records = <const TradeEvent*>&data[0]
    n = data.shape[0] // sizeof(TradeEvent)
    memset(&b, 0, sizeof(BarBuilder))
    b.interval_ns = interval_ns
    with nogil:
        for i in range(n):
            if bar_on_trade(&b, records + i, &bar):
                (<BarEvent*>&out[count * sizeof(BarEvent)])[0] = bar
                count += 1
        if bar_unfinished(&b, records[n - 1].ts_recv_ns, &bar):
            (<BarEvent*>&out[count * sizeof(BarEvent)])[0] = bar
            count += 1
    return result[:count].copy()
