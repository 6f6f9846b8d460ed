# Right-aligned bars of one instrument from its trades: a bar's timestamp is its exclusive close time, its open time is
# kept too. Hot; owned by the engine's thread. A zeroed BarBuilder with interval_ns set builds plain time bars.
#
# Membership. A time bar [open, close) takes the trades whose venue time lies in it; opens are multiples of interval_ns from
# the epoch (UTC), moved by offset_ns. A tick, volume or notional bar takes trades as they arrive and closes with the trade
# that reaches its threshold, whole: what overshoots stays in that bar. Its open is its first trade's time and its close is
# its last trade's time + 1 ns, the first instant at which all of it lies in the past.
#
# Order inside a bar. Open and close are the first and last trade by (venue time, trade id, arrival). The recorded feeds need
# it: Coinbase sends the trades of a message newest first, and times alone tie (half of the neighbours in its ETH-USD stream).
#
# Late. A trade older than the open of the bar being built is counted; the rule then adds it to that bar, where it counts in
# volume, notional, high and low but is neither open nor close unless the bar has no other trade, or drops it.
from libc.stdint cimport INT64_MAX, INT64_MIN, int32_t, int64_t, uint8_t, uint32_t, uint64_t

from tickpath.types cimport TRADE_SELL_AGGRESSOR, TS_NONE, BarEvent, TradeEvent, int128, likely, unlikely

# Zero is the plain case here, not INVALID: a zeroed builder is a time bar that adds late trades.
cpdef enum BarKind:
    BAR_TIME = 0
    BAR_TICK = 1                      # threshold in trades
    BAR_VOLUME = 2                    # threshold in lots
    BAR_NOTIONAL = 3                  # threshold in ticklots ("dollar bars")

cpdef enum BarLateRule:
    BAR_LATE_ADD = 0
    BAR_LATE_DROP = 1

# Flag bits of BarEvent.flags. A plain time bar that a trade closed has none.
cpdef enum BarFlag:
    BAR_KIND_MASK = 3
    BAR_EMPTY = 4                     # no trade: the last close carried, volume 0
    BAR_CLOSED_BY_TIME = 8            # by bar_close_due, not by a later trade
    BAR_UNFINISHED = 16               # not closed yet: the last bar of a batch
    BAR_SPEC_SHIFT = 8                # the bits from here on: which of a set's specifications, in the order given

# What bar_on_trade answers.
cdef enum: BAR_NONE_CLOSED = 0
cdef enum: BAR_CLOSED = 1
cdef enum: BAR_CLOSED_CALL_AGAIN = 2  # emit_empty only: a bar closed, more are due, the trade is not taken yet

# Consecutive empty bars emitted at most (a week of minutes), so that one wrong timestamp cannot hold up the path; the rest of
# such a gap is skipped and counted.
cdef enum: BAR_EMPTY_RUN_MAX = 10080

cdef struct BarBuilder:
    int64_t interval_ns               # of a time bar, > 0; 0 for the other kinds
    int64_t ts_open_ns
    int64_t open_ticks                # between bars all four hold the last close
    int64_t high_ticks
    int64_t low_ticks
    int64_t close_ticks
    int64_t volume_lots
    int64_t buy_volume_lots
    uint64_t trade_count              # an aggregate counts as the trades it stands for
    uint64_t late_count               # records, not the trades in them
    int64_t late_lots
    int64_t ts_open_trade_ns          # of the trade that gave open_ticks
    int64_t ts_close_trade_ns
    uint64_t open_trade_id
    uint64_t close_trade_id
    int64_t offset_ns                 # of the grid of opens, 0 <= offset_ns < interval_ns
    int64_t grace_ns                  # bar_close_due waits this long after the close …
    int64_t ts_due_ns                 # … until then, while the bar being built has a trade
    uint64_t skipped_empty_count
    int128 notional_ticklots          # sum of price x qty of the bar being built: VWAP = notional / volume
    int128 closed_notional_ticklots   # of the bar closed last
    int128 threshold                  # trades, lots or ticklots, by kind; > 0
    uint32_t instrument               # of the newest trade
    int32_t empty_run                 # empty bars since the last trade …
    int32_t empty_run_max             # … and how many there may be; 0 = BAR_EMPTY_RUN_MAX
    uint8_t venue
    uint8_t kind                      # BarKind
    uint8_t late_rule                 # BarLateRule
    uint8_t emit_empty                # 1: an interval without a trade gives a bar too (time bars only)
    uint8_t ids_unordered             # 1: trade ids carry no order (Bybit's are UUIDs); ties in time go by arrival
    uint8_t spec_idx
    uint8_t started                   # a trade has been seen
    uint8_t has_trades                # the bar being built has one

# A trade without a time of the venue's is placed by the time at which it was received.
cdef inline int64_t bar_trade_time(const TradeEvent* trade) noexcept nogil:
    return trade.ts_venue_ns if likely(trade.ts_venue_ns != TS_NONE) else trade.ts_recv_ns

# Whether the interval of a time bar ends at or before until_ns. Written as a difference, so that no time overflows it.
cdef inline bint bar_is_over(const BarBuilder* b, int64_t until_ns) noexcept nogil:
    return until_ns >= b.ts_open_ns and <uint64_t>until_ns - <uint64_t>b.ts_open_ns >= <uint64_t>b.interval_ns

# Whether bar_close_next has a bar to give for until_ns.
cdef inline bint bar_has_due(const BarBuilder* b, int64_t until_ns) noexcept nogil:
    return b.kind == BAR_TIME and b.started and (b.has_trades or b.emit_empty) and bar_is_over(b, until_ns)

cdef inline int32_t bar_empty_run_max(const BarBuilder* b) noexcept nogil:
    return b.empty_run_max if b.empty_run_max > 0 else BAR_EMPTY_RUN_MAX

# Which of a set's specifications a bar is of, in the order given.
cdef inline int bar_spec_idx(const BarEvent* bar) noexcept nogil:
    return bar.flags >> BAR_SPEC_SHIFT

# One interval and grace_ns after ts_ns. A time so late that this is none of int64 is never due.
cdef inline int64_t bar_due_from(const BarBuilder* b, int64_t ts_ns) noexcept nogil:
    cdef int64_t wait_ns = b.interval_ns + b.grace_ns
    return ts_ns + wait_ns if likely(ts_ns < INT64_MAX - wait_ns) else INT64_MAX

# ---- hot
# A trade of the bar being built; late: older than its open.
cdef inline void bar_add(BarBuilder* b, const TradeEvent* trade, int64_t ts_ns, bint late) noexcept nogil:
    cdef int64_t price_ticks = trade.price_ticks
    if unlikely(late):
        b.late_count += 1
        b.late_lots += trade.qty_lots
        if b.late_rule == BAR_LATE_DROP:
            return
    if unlikely(not b.has_trades):
        b.open_ticks = b.high_ticks = b.low_ticks = b.close_ticks = price_ticks
        # Any trade that is not late is earlier than this open and later than this close.
        b.ts_open_trade_ns = INT64_MAX
        b.ts_close_trade_ns = INT64_MIN
        b.instrument = trade.instrument
        b.venue = trade.venue
        b.empty_run = 0
        b.has_trades = 1
        b.ts_due_ns = bar_due_from(b, b.ts_open_ns)
        # Overdue when its first trade comes: the feed runs later than grace_ns, and the rest of the bar is on its way too.
        if trade.ts_recv_ns > b.ts_due_ns:
            b.ts_due_ns = bar_due_from(b, trade.ts_recv_ns)
    if price_ticks > b.high_ticks:
        b.high_ticks = price_ticks
    if price_ticks < b.low_ticks:
        b.low_ticks = price_ticks
    if likely(not late):
        if likely(ts_ns > b.ts_close_trade_ns
                  or (ts_ns == b.ts_close_trade_ns and (trade.trade_id >= b.close_trade_id or b.ids_unordered))):
            b.close_ticks = price_ticks
            b.ts_close_trade_ns = ts_ns
            b.close_trade_id = trade.trade_id
        if unlikely(ts_ns < b.ts_open_trade_ns
                    or (ts_ns == b.ts_open_trade_ns and trade.trade_id < b.open_trade_id and not b.ids_unordered)):
            b.open_ticks = price_ticks
            b.ts_open_trade_ns = ts_ns
            b.open_trade_id = trade.trade_id
    b.volume_lots += trade.qty_lots
    if not trade.flags & TRADE_SELL_AGGRESSOR:
        b.buy_volume_lots += trade.qty_lots
    b.trade_count += trade.trade_count
    b.notional_ticklots += <int128>price_ticks * trade.qty_lots

# Add a trade. BAR_CLOSED when that closed a bar, which is then in `closed`; a time bar is closed by the first trade at or after
# its close, any other by its own last trade. Only with emit_empty can the answer be BAR_CLOSED_CALL_AGAIN: take the bar and
# call again with the same trade.
cdef int bar_on_trade(BarBuilder* b, const TradeEvent* trade, BarEvent* closed) noexcept nogil

# Close a time bar because time has passed: when now_ns >= bar_next_due_ns. BAR_CLOSED or BAR_NONE_CLOSED; call until
# the latter. now_ns is engine time, which only journaled inputs move (see docs/bars.md); it becomes the bar's ts_recv_ns.
cdef int bar_close_due(BarBuilder* b, int64_t now_ns, BarEvent* closed) noexcept nogil

# The engine time from which bar_close_due has something to do: the bar's close + grace_ns, or, where the bar was overdue when
# its first trade came, one interval + grace_ns after that. INT64_MAX when there is nothing.
cdef int64_t bar_next_due_ns(const BarBuilder* b) noexcept nogil

# The next time bar whose close is at or before until_ns, without grace.
cdef int bar_close_next(BarBuilder* b, int64_t until_ns, int64_t ts_recv_ns, int flags, BarEvent* closed) noexcept nogil

# The bar being built, as a record with BAR_UNFINISHED; 0 when it has no trade.
cdef int bar_unfinished(const BarBuilder* b, int64_t ts_recv_ns, BarEvent* bar) noexcept nogil
