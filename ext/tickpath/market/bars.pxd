# Right-aligned time bars from trades: a bar's timestamp is its exclusive close time, its open time is kept too. Hot.
#
# A trade belongs to the bar [open, close) by the venue's trade time. A bar closes when the first trade at or after its
# close arrives; intervals without a trade give no bar. A trade older than the bar being built is counted as late and
# added to it, so that no volume is lost.
from libc.stdint cimport int64_t, uint64_t

from tickpath.types cimport BarEvent, TradeEvent

cdef struct BarBuilder:
    int64_t interval_ns
    int64_t ts_open_ns
    int64_t open_ticks
    int64_t high_ticks
    int64_t low_ticks
    int64_t close_ticks
    int64_t volume_lots
    int64_t buy_volume_lots
    uint64_t trade_count              # 0 = no bar yet
    uint64_t late_count

# Add a trade. Returns 1 when that closed a bar, which is then in `closed` (payload fields only), else 0.
cdef int bar_on_trade(BarBuilder* b, const TradeEvent* trade, BarEvent* closed) noexcept nogil
