"""Right-aligned bars. `build_bars(trades, interval_ns)` is the batch form over recorded trades."""
from libc.stdint cimport uint8_t
from libc.string cimport memset

from tickpath.types cimport EV_BAR, EV_CONT, TRADE_SELL_AGGRESSOR, unlikely

import numpy as np

from tickpath.types import DTYPES


cdef int bar_on_trade(BarBuilder* b, const TradeEvent* trade, BarEvent* closed) noexcept nogil:
    cdef int64_t start = trade.ts_venue_ns - trade.ts_venue_ns % b.interval_ns
    cdef int done = 0
    if unlikely(b.trade_count == 0 or start > b.ts_open_ns):
        if b.trade_count != 0:
            bar_fill(b, trade, closed)
            done = 1
        b.ts_open_ns = start
        b.open_ticks = b.high_ticks = b.low_ticks = trade.price_ticks
        b.volume_lots = 0
        b.buy_volume_lots = 0
        b.trade_count = 0
    elif unlikely(start < b.ts_open_ns):
        b.late_count += 1
    if trade.price_ticks > b.high_ticks:
        b.high_ticks = trade.price_ticks
    if trade.price_ticks < b.low_ticks:
        b.low_ticks = trade.price_ticks
    b.close_ticks = trade.price_ticks
    b.volume_lots += trade.qty_lots
    if not trade.flags & TRADE_SELL_AGGRESSOR:
        b.buy_volume_lots += trade.qty_lots
    b.trade_count += trade.trade_count
    return done


cdef void bar_fill(const BarBuilder* b, const TradeEvent* cause, BarEvent* bar) noexcept nogil:
    memset(bar, 0, sizeof(BarEvent))
    bar.type = EV_BAR
    bar.type2 = EV_CONT
    bar.flags2 = 1
    bar.instrument = bar.instrument2 = cause.instrument
    bar.venue = bar.venue2 = cause.venue
    bar.ts_recv_ns = bar.ts_recv2_ns = cause.ts_recv_ns
    bar.ts_venue_ns = b.ts_open_ns + b.interval_ns
    bar.ts_open_ns = b.ts_open_ns
    bar.open_ticks = b.open_ticks
    bar.high_ticks = b.high_ticks
    bar.low_ticks = b.low_ticks
    bar.close_ticks = b.close_ticks
    bar.volume_lots = b.volume_lots
    bar.buy_volume_lots = b.buy_volume_lots
    bar.trade_count = b.trade_count
    bar.interval_ns = b.interval_ns


def build_bars(trades, int64_t interval_ns):
    """Bars of recorded trades.

    Parameters: trades : structured array of the trade dtype, in order of arrival.  interval_ns : bar length, ns, > 0.
    Returns: structured array of the bar dtype; the last, unfinished bar is included.
    Errors: ValueError when interval_ns is not positive.
    """
    cdef BarBuilder b
    cdef BarEvent bar
    cdef const uint8_t[::1] data
    cdef uint8_t[::1] out
    cdef Py_ssize_t i, n
    cdef int count = 0
    if interval_ns <= 0:
        raise ValueError(f"interval_ns: expected a positive number, found {interval_ns}")
    dtype = DTYPES[int(EV_BAR)]
    if len(trades) == 0:
        return np.empty(0, dtype)
    result = np.zeros(len(trades) + 1, dtype)
    out = result.view(np.uint8)
    data = np.ascontiguousarray(trades).view(np.uint8).reshape(-1)
    n = data.shape[0] // sizeof(TradeEvent)
    memset(&b, 0, sizeof(BarBuilder))
    b.interval_ns = interval_ns
    for i in range(n):
        if bar_on_trade(&b, <const TradeEvent*>&data[i * sizeof(TradeEvent)], &bar):
            (<BarEvent*>&out[count * sizeof(BarEvent)])[0] = bar
            count += 1
    bar_fill(&b, <const TradeEvent*>&data[(n - 1) * sizeof(TradeEvent)], <BarEvent*>&out[count * sizeof(BarEvent)])
    return result[:count + 1].copy()
