"""Several bar builders in one pass: the hot set and the batch form.

`build_bar_set(trades, ["1m", "5m", "tick:100"])` gives one `BarSeries` for each specification; `BarStream` gives the bars as
they close, as the engine sees them. Rules and worked examples: docs/bars.md.
"""
from libc.stdint cimport INT64_MAX, INT64_MIN, int32_t, uint8_t, uint64_t
from libc.string cimport memset

from tickpath.market.bars cimport (
    BAR_SPEC_SHIFT, BAR_TIME, bar_add, bar_close_due, bar_close_next, bar_has_due, bar_next_due_ns,
    bar_on_trade, bar_trade_time, bar_unfinished,
)
from tickpath.types cimport EV_BAR, EV_TRADE, likely, unlikely

import numpy as np

from tickpath.market.bar_spec import LATE_RULES, BarSpec, parse_bar_spec
from tickpath.types import DTYPES


# ---- the set

cdef void bar_set_init(BarSet* s, int64_t grace_ns) noexcept nogil:
    memset(s, 0, sizeof(BarSet))
    s.grace_ns = grace_ns
    s.ts_next_close_ns = INT64_MIN


cdef bint bar_set_add(BarSet* s, const BarBuilder* configured) noexcept nogil:
    cdef int32_t i = s.count, k
    if s.count == BAR_SET_CAPACITY:
        return False
    if configured.kind == BAR_TIME:
        i = s.time_count
        while i > 0 and configured.interval_ns < s.builders[i - 1].interval_ns:
            i -= 1
        s.time_count += 1
    for k in range(s.count, i, -1):
        s.builders[k] = s.builders[k - 1]
    s.builders[i] = configured[0]
    s.builders[i].spec_idx = s.count
    s.builders[i].grace_ns = s.grace_ns
    s.count += 1
    return True


cdef int bar_set_on_trade(BarSet* s, const TradeEvent* trade, BarEvent* closed) noexcept nogil:
    cdef int64_t ts_ns = bar_trade_time(trade)
    cdef int32_t i
    cdef int n = 0
    s.again = 0
    if unlikely(ts_ns >= s.ts_next_close_ns):
        s.moved = 1
        # Room is kept for the bars that the trade itself fills, one a builder at most.
        n = close_until(s, ts_ns, trade.ts_recv_ns, closed, BAR_SET_CAPACITY - (s.count - s.time_count))
        if unlikely(earliest_over(s, ts_ns) >= 0):
            s.again = 1
            return n
        for i in range(s.time_count):
            bar_on_trade(&s.builders[i], trade, closed + n)
        s.ts_next_close_ns = next_close_ns(s)
    else:
        # No time bar ends here: each takes the trade as it is.
        for i in range(s.time_count):
            bar_add(&s.builders[i], trade, ts_ns, ts_ns < s.builders[i].ts_open_ns)
    for i in range(s.time_count, s.count):
        if unlikely(bar_on_trade(&s.builders[i], trade, closed + n)):
            s.closed_notional_ticklots[n] = s.builders[i].closed_notional_ticklots
            n += 1
    return n


cdef int bar_set_close_due(BarSet* s, int64_t now_ns, BarEvent* closed) noexcept nogil:
    cdef int n = 0
    cdef int32_t i = earliest_due(s, now_ns)
    if i >= 0:
        s.ts_next_close_ns = INT64_MIN     # as next_close_ns has it
    while i >= 0 and n < BAR_SET_CAPACITY:
        if unlikely(not bar_close_due(&s.builders[i], now_ns, closed + n)):
            break
        s.closed_notional_ticklots[n] = s.builders[i].closed_notional_ticklots
        n += 1
        i = earliest_due(s, now_ns)
    return n


cdef inline int close_until(BarSet* s, int64_t until_ns, int64_t ts_recv_ns, BarEvent* closed, int room) noexcept nogil:
    cdef int n = 0
    cdef int32_t i
    while n < room:
        i = earliest_over(s, until_ns)
        if i < 0:
            break
        # 0 when a builder skips a gap longer than it may fill: that moves it on, so the loop ends.
        if bar_close_next(&s.builders[i], until_ns, ts_recv_ns, 0, closed + n):
            s.closed_notional_ticklots[n] = s.builders[i].closed_notional_ticklots
            n += 1
    return n


cdef inline int32_t earlier(const BarSet* s, int32_t i, int32_t found) noexcept nogil:
    """Whichever of two time bars closes first. Ties go to `found`, the lower index and so the shorter interval."""
    if found < 0:
        return i
    if s.builders[i].ts_open_ns + s.builders[i].interval_ns < s.builders[found].ts_open_ns + s.builders[found].interval_ns:
        return i
    return found


cdef inline int32_t earliest_over(const BarSet* s, int64_t until_ns) noexcept nogil:
    """The builder that closes first among those whose interval is over; -1 when none is."""
    cdef int32_t i, found = -1
    for i in range(s.time_count):
        if bar_has_due(&s.builders[i], until_ns):
            found = earlier(s, i, found)
    return found


cdef inline int32_t earliest_due(const BarSet* s, int64_t now_ns) noexcept nogil:
    """The same among those that are to be closed by time at now_ns."""
    cdef int32_t i, found = -1
    for i in range(s.time_count):
        if bar_next_due_ns(&s.builders[i]) <= now_ns < INT64_MAX:
            found = earlier(s, i, found)
    return found


cdef inline int64_t next_close_ns(const BarSet* s) noexcept nogil:
    """Where a bar has no trade yet the next trade has to look: it opens that bar, or another."""
    cdef int32_t i
    cdef int64_t close_ns, first_ns = INT64_MAX
    for i in range(s.time_count):
        if not s.builders[i].has_trades:
            return INT64_MIN
        close_ns = s.builders[i].ts_open_ns + s.builders[i].interval_ns
        if close_ns < first_ns:
            first_ns = close_ns
    return first_ns


cdef int64_t bar_set_next_due_ns(const BarSet* s) noexcept nogil:
    cdef int32_t i
    cdef int64_t due_ns, first_ns = INT64_MAX
    for i in range(s.time_count):
        due_ns = bar_next_due_ns(&s.builders[i])
        if due_ns < first_ns:
            first_ns = due_ns
    return first_ns


cdef int bar_set_unfinished(BarSet* s, int64_t ts_recv_ns, BarEvent* bars) noexcept nogil:
    cdef int32_t i
    cdef int n = 0
    for i in range(s.count):
        if bar_unfinished(&s.builders[i], ts_recv_ns, bars + n):
            s.closed_notional_ticklots[n] = s.builders[i].notional_ticklots
            n += 1
    return n


# ---- Python faces

CHUNK_BARS = 4096
NOTIONAL_DTYPE = np.dtype([("low", "<u8"), ("high", "<i8")])


cdef const uint8_t[::1] _bytes(object trades):
    if getattr(trades, "dtype", None) != DTYPES[int(EV_TRADE)] or trades.ndim != 1:
        raise ValueError(f"trades: expected a 1-d array of the trade dtype, found {type(trades).__name__} of "
                         f"{getattr(trades, 'dtype', 'no dtype')}")
    return np.ascontiguousarray(trades).view(np.uint8)


class BarSeries:
    """The bars of one specification.

    spec : BarSpec.  bars : structured array of the bar dtype, an unfinished last bar flagged BAR_UNFINISHED.
    late_count, late_lots, skipped_empty_count : what the rules counted.
    """

    def __init__(self, spec, bars, notional, counters):
        self.spec, self.bars, self._notional = spec, bars, notional
        self.late_count, self.late_lots, self.skipped_empty_count = counters

    def __len__(self):
        return len(self.bars)

    @property
    def notional_ticklots(self):
        """Sum of price x qty of each bar, exact: object array of int, ticklots."""
        return self._notional["high"].astype(object) * (1 << 64) + self._notional["low"].astype(object)

    @property
    def vwap_ticks(self):
        """float64, ticks; NaN where a bar has no volume. One rounding, of an exact quotient."""
        pairs = zip(self.notional_ticklots, self.bars["volume_lots"].tolist(), strict=True)
        return np.array([n / v if v else np.nan for n, v in pairs], np.float64)


cdef int bar_set_configure(BarSet* s, tuple specs, object tick_size, object lot_size, int32_t empty_run_max) except -1:
    cdef BarBuilder b
    if not 1 <= len(specs) <= BAR_SET_CAPACITY:
        raise ValueError(f"specs: expected 1 to {BAR_SET_CAPACITY}, found {len(specs)}")
    seen = {}
    for spec in specs:
        threshold = spec.threshold(tick_size, lot_size)
        key = (spec.kind, spec.interval_ns, spec.offset_ns, threshold)
        if key in seen:
            raise ValueError(f"specs: expected different bars, found {seen[key]!r} and {spec.text!r}")
        seen[key] = spec.text
        memset(&b, 0, sizeof(BarBuilder))
        b.kind = spec.kind
        b.interval_ns = spec.interval_ns
        b.offset_ns = spec.offset_ns
        b.threshold = <int128><uint64_t>(threshold >> 64) << 64 | <uint64_t>(threshold & 0xFFFFFFFFFFFFFFFF)
        b.late_rule = LATE_RULES[spec.late_rule]
        b.emit_empty = spec.emit_empty
        b.empty_run_max = empty_run_max
        b.ids_unordered = not spec.trade_ids_ordered
        bar_set_add(s, &b)
    return 0


cdef class BarStream:
    """The bars of one instrument as they close.

    Parameters: specs : 1 to 16 BarSpec or texts, no two equal.  tick_size, lot_size : decimal text or Decimal, wanted by volume
    and dollar bars.  grace_ns : how long after its close `close_due` waits, ns.
    Errors: ValueError.
    """

    def __cinit__(self, specs, *, tick_size=None, lot_size=None, int64_t grace_ns=0):
        if grace_ns < 0:
            raise ValueError(f"grace_ns: expected 0 or more, found {grace_ns}")
        self.specs = tuple(s if isinstance(s, BarSpec) else parse_bar_spec(s) for s in specs)
        bar_set_init(&self.bars, grace_ns)
        bar_set_configure(&self.bars, self.specs, tick_size, lot_size, 0)
        self.full_chunks = []
        self._new_chunk()

    def _new_chunk(self):
        bars, notional = np.zeros(CHUNK_BARS, DTYPES[int(EV_BAR)]), np.zeros(CHUNK_BARS, NOTIONAL_DTYPE)
        self.chunk, self.used = (bars, notional), 0
        self.chunk_bars, self.chunk_notional = bars, notional.view(np.uint64).reshape(-1, 2)

    cdef int _take(self, const BarEvent* closed, int count) except -1:
        cdef int128 notional
        cdef int i
        if self.used + count > self.chunk_bars.shape[0]:
            self.full_chunks.append(tuple(part[:self.used] for part in self.chunk))
            self._new_chunk()
        for i in range(count):
            notional = self.bars.closed_notional_ticklots[i]
            self.chunk_bars[self.used + i] = closed[i]
            self.chunk_notional[self.used + i, 0] = <uint64_t>notional
            self.chunk_notional[self.used + i, 1] = <uint64_t>(notional >> 64)
        self.used += count
        return 0

    def _taken(self):
        """(bars, notional) since the last call, copied out of the chunks."""
        parts = [*self.full_chunks, tuple(part[:self.used] for part in self.chunk)]
        self.full_chunks, self.used = [], 0
        return tuple(np.concatenate(column) for column in zip(*parts, strict=True))

    def _feed(self, trades):
        cdef BarEvent[16] closed
        cdef const uint8_t[::1] data = _bytes(trades)
        cdef Py_ssize_t i, n = data.shape[0] // sizeof(TradeEvent)
        cdef int count
        for i in range(n):
            while True:
                count = bar_set_on_trade(&self.bars, <const TradeEvent*>&data[i * sizeof(TradeEvent)], closed)
                if count:
                    self._take(closed, count)
                if likely(not self.bars.again):
                    break

    def on_trades(self, trades):
        """Structured array of the bars that these trades closed, in the set's order.

        trades : structured array of the trade dtype, in order of arrival.
        """
        self._feed(trades)
        return self._taken()[0]

    def close_due(self, int64_t now_ns):
        """Structured array of the time bars that ended grace_ns or more before now_ns."""
        cdef BarEvent[16] closed
        cdef int count = BAR_SET_CAPACITY
        while count == BAR_SET_CAPACITY:
            count = bar_set_close_due(&self.bars, now_ns, closed)
            self._take(closed, count)
        return self._taken()[0]

    @property
    def next_due_ns(self):
        """The time from which `close_due` has something to do, ns; None when there is nothing."""
        cdef int64_t due_ns = bar_set_next_due_ns(&self.bars)
        return None if due_ns == INT64_MAX else due_ns

    def unfinished(self):
        """Structured array of the bars being built that have a trade, flagged BAR_UNFINISHED; nothing is closed."""
        cdef BarEvent[16] bars
        self._take(bars, bar_set_unfinished(&self.bars, 0, bars))
        return self._taken()[0]

    def counters(self):
        """For each specification: {"late_count", "late_lots", "skipped_empty_count"}."""
        cdef int i
        found = [None] * self.bars.count
        for i in range(self.bars.count):
            found[self.bars.builders[i].spec_idx] = {
                "late_count": self.bars.builders[i].late_count, "late_lots": self.bars.builders[i].late_lots,
                "skipped_empty_count": self.bars.builders[i].skipped_empty_count}
        return found


def build_bar_set(trades, specs, *, tick_size=None, lot_size=None, unfinished=True):
    """Bars of every specification from one pass over recorded trades.

    Parameters: trades : structured array of the trade dtype, in order of arrival.  specs, tick_size, lot_size : as BarStream
    takes them.  unfinished : whether the last, unfinished bars are included.
    Returns: list of BarSeries, one for each of specs, in their order.
    Errors: ValueError.
    """
    cdef BarStream stream = BarStream(specs, tick_size=tick_size, lot_size=lot_size)
    cdef BarEvent[16] bars
    stream._feed(trades)
    if unfinished and len(trades):
        stream._take(bars, bar_set_unfinished(&stream.bars, trades[len(trades) - 1]["ts_recv_ns"], bars))
    found, notional = stream._taken()
    spec_idx = found["flags"] >> BAR_SPEC_SHIFT
    return [BarSeries(spec, found[spec_idx == i], notional[spec_idx == i], tuple(counters.values()))
            for i, (spec, counters) in enumerate(zip(stream.specs, stream.counters(), strict=True))]
