"""The rules of one bar builder: membership, order inside a bar, late trades, empty intervals, closing by time, thresholds."""
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickpath.market import build_bars
from tickpath.market.bar_set import BarStream, build_bar_set
from tickpath.market.bar_spec import parse_bar_spec
from tickpath.market.bars import BarFlag
from tickpath.types import DTYPES, TIME_NONE, EventType

SECOND = 1_000_000_000
PRICES = ("open_ticks", "high_ticks", "low_ticks", "close_ticks")


def trades(rows):
    """Trade records of (time ns, price, qty, sell aggressor[, trade id])."""
    out = np.zeros(len(rows), DTYPES[EventType.EV_TRADE])
    out["type"] = EventType.EV_TRADE
    out["trade_count"] = 1
    for i, (ts, price, qty, sell, *trade_id) in enumerate(rows):
        out[i]["ts_venue_ns"], out[i]["price_ticks"], out[i]["qty_lots"], out[i]["flags"] = ts, price, qty, sell
        out[i]["trade_id"] = trade_id[0] if trade_id else 0
    return out


def prices(bar):
    return tuple(int(bar[k]) for k in PRICES)


def one_spec(rows, text, *, tick_size=None, lot_size=None, unfinished=True, **options):
    spec = parse_bar_spec(text, **options)
    return build_bar_set(trades(rows), [spec], tick_size=tick_size, lot_size=lot_size, unfinished=unfinished)[0]


# ---- time bars

def test_bar_is_stamped_with_its_exclusive_close_and_keeps_its_open():
    bars = build_bars(trades([(0, 10, 1, 0), (SECOND - 1, 12, 2, 1), (SECOND, 9, 4, 0)]), SECOND)
    assert bars["ts_venue_ns"].tolist() == [SECOND, 2 * SECOND]
    assert bars["ts_open_ns"].tolist() == [0, SECOND]
    first = bars[0]
    assert prices(first) == (10, 12, 10, 12)
    assert (first["volume_lots"], first["buy_volume_lots"], first["trade_count"]) == (3, 1, 2)


def test_only_the_last_bar_of_a_batch_is_flagged_unfinished():
    bars = build_bars(trades([(0, 10, 1, 0), (SECOND, 12, 2, 1)]), SECOND)
    assert bars["flags"].tolist() == [0, BarFlag.BAR_UNFINISHED]


def test_empty_intervals_give_no_bar():
    bars = build_bars(trades([(0, 10, 1, 0), (5 * SECOND, 11, 1, 0)]), SECOND)
    assert bars["ts_open_ns"].tolist() == [0, 5 * SECOND]


def test_no_trades_give_no_bars():
    assert len(build_bars(trades([]), SECOND)) == 0
    assert [len(s) for s in build_bar_set(trades([]), ["1s", "tick:2"])] == [0, 0]


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 100), st.integers(1, 9), st.integers(0, 1)), min_size=1,
                max_size=80))
def test_bars_equal_a_plain_grouping(rows):
    rows = sorted(((t * SECOND // 7, p, q, s) for t, p, q, s in rows), key=lambda r: r[0])
    expected = {}
    for ts, price, qty, sell in rows:
        bar = expected.setdefault(ts // SECOND, [price, price, price, price, 0, 0])
        bar[1], bar[2], bar[3] = max(bar[1], price), min(bar[2], price), price
        bar[4] += qty
        bar[5] += 0 if sell else qty
    bars = build_bars(trades(rows), SECOND)
    got = [[int(b[k]) for k in ("open_ticks", "high_ticks", "low_ticks", "close_ticks", "volume_lots", "buy_volume_lots")]
           for b in bars]
    assert got == [expected[k] for k in sorted(expected)]


def test_interval_must_be_positive():
    with pytest.raises(ValueError, match="interval_ns: expected a positive number, found 0"):
        build_bars(trades([(0, 1, 1, 0)]), 0)


@pytest.mark.parametrize("text, interval_s, offset_s", [
    ("4h", 4 * 3600, 0), ("1d", 86400, 0), ("1d@8h", 86400, 8 * 3600), ("90s", 90, 0), ("7d@4d", 7 * 86400, 4 * 86400)])
def test_opens_stand_on_the_epochs_grid_moved_by_the_offset(text, interval_s, offset_s):
    ts = 1_723_161_253_937_085_768                     # 2024-08-08 23:54:13.9
    bar = one_spec([(ts, 5, 1, 0)], text).bars[0]
    start = (ts // SECOND - offset_s) // interval_s * interval_s + offset_s
    assert (bar["ts_open_ns"], bar["ts_venue_ns"]) == (start * SECOND, (start + interval_s) * SECOND)


def test_weeks_with_an_offset_of_four_days_open_on_monday():
    bar = one_spec([(1_723_161_253_937_085_768, 5, 1, 0)], "7d@4d").bars[0]
    assert np.datetime64(int(bar["ts_open_ns"]), "ns").astype("datetime64[D]") == np.datetime64("2024-08-05")


def test_times_before_the_first_grid_point_round_down():
    bar = one_spec([(-1, 5, 1, 0)], "1s").bars[0]
    assert (bar["ts_open_ns"], bar["ts_venue_ns"]) == (-SECOND, 0)


def test_a_trade_without_venue_time_is_placed_by_its_receive_time():
    rows = trades([(0, 5, 1, 0), (TIME_NONE, 6, 1, 0)])
    rows["ts_recv_ns"] = [99 * SECOND, 7 * SECOND]
    assert build_bars(rows, SECOND)["ts_open_ns"].tolist() == [0, 7 * SECOND]


def test_notional_and_vwap_are_exact_beyond_64_bits():
    big = 1 << 62
    series = one_spec([(0, big, big, 0), (1, big, 3, 0), (2, 7, 0, 0)], "1s")
    assert series.notional_ticklots.tolist() == [big * big + big * 3]
    series = one_spec([(0, 10, 1, 0), (1, 11, 2, 0), (SECOND, 4, 0, 0)], "1s")
    assert series.notional_ticklots.tolist() == [32, 0]
    assert series.vwap_ticks[0] == 32 / 3 and np.isnan(series.vwap_ticks[1])


# ---- order inside a bar

def test_open_and_close_follow_the_venues_time_not_arrival():
    bar = one_spec([(500, 12, 1, 0), (900, 13, 1, 0), (100, 11, 1, 0), (600, 20, 1, 0)], "1s").bars[0]
    assert prices(bar) == (11, 20, 11, 13)


def test_ties_in_time_go_by_trade_id():
    bar = one_spec([(5, 13, 1, 0, 33), (5, 12, 1, 0, 32), (5, 11, 1, 0, 31)], "1s").bars[0]
    assert prices(bar) == (11, 13, 11, 13)


def test_ties_in_time_go_by_arrival_where_ids_carry_no_order():
    rows = [(5, 13, 1, 0, 33), (5, 12, 1, 0, 32), (5, 11, 1, 0, 31)]
    assert prices(one_spec(rows, "1s", trade_ids_ordered=False).bars[0]) == (13, 13, 11, 11)
    assert prices(one_spec([r[:4] for r in rows], "1s").bars[0]) == (13, 13, 11, 11)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 100)), min_size=1, max_size=30), st.randoms(use_true_random=False))
def test_any_order_of_arrival_inside_a_bar_gives_the_same_bar(rows, random):
    rows = [(ts, price, 1, 0, i + 1) for i, (ts, price) in enumerate(sorted(rows, key=lambda r: r[0]))]
    shuffled = rows[:]
    random.shuffle(shuffled)
    # The first trade opens the interval for all of them.
    assert one_spec(shuffled, "1s").bars.tobytes() == one_spec(rows, "1s").bars.tobytes()


# ---- late trades

LATE = [(SECOND, 10, 1, 0), (SECOND - 5, 20, 3, 0), (SECOND + 1, 12, 1, 0), (2 * SECOND - 9, 11, 1, 0)]


def test_late_trade_is_added_to_the_bar_being_built():
    bars = build_bars(trades([(SECOND, 10, 1, 0), (SECOND - 5, 20, 3, 0)]), SECOND)
    assert len(bars) == 1 and bars[0]["volume_lots"] == 4


def test_added_late_trade_counts_and_widens_but_is_neither_open_nor_close():
    series = one_spec(LATE, "1s")
    assert (series.late_count, series.late_lots) == (1, 3)
    assert prices(series.bars[0]) == (10, 20, 10, 11)
    assert (series.bars[0]["volume_lots"], series.bars[0]["trade_count"], series.notional_ticklots[0]) == (6, 4, 93)


def test_dropped_late_trade_is_counted_and_nothing_else():
    series = one_spec(LATE, "1s", late_rule="drop")
    assert (series.late_count, series.late_lots) == (1, 3)
    assert prices(series.bars[0]) == (10, 12, 10, 11)
    assert (series.bars[0]["volume_lots"], series.bars[0]["trade_count"]) == (3, 3)


def test_a_late_trade_after_closing_by_time_opens_the_bar_until_one_in_time_comes():
    stream = BarStream(["1s"])
    stream.on_trades(trades([(0, 10, 1, 0)]))
    assert len(stream.close_due(SECOND)) == 1
    stream.on_trades(trades([(SECOND - 1, 20, 1, 0)]))
    assert prices(stream.unfinished()[0]) == (20, 20, 20, 20)
    stream.on_trades(trades([(SECOND + 5, 11, 1, 0)]))
    bar = stream.unfinished()[0]
    assert prices(bar) == (11, 20, 11, 11) and bar["ts_open_ns"] == SECOND and bar["volume_lots"] == 2
    assert stream.counters() == [{"late_count": 1, "late_lots": 1, "skipped_empty_count": 0}]


# ---- empty intervals

def test_emit_empty_carries_the_last_close():
    series = one_spec([(0, 10, 1, 0), (1, 9, 1, 0), (3 * SECOND, 12, 1, 0)], "1s", emit_empty=True)
    assert series.bars["ts_venue_ns"].tolist() == [SECOND, 2 * SECOND, 3 * SECOND, 4 * SECOND]
    assert [prices(b) for b in series.bars] == [(10, 10, 9, 9), (9, 9, 9, 9), (9, 9, 9, 9), (12, 12, 12, 12)]
    assert series.bars["trade_count"].tolist() == [2, 0, 0, 1] and series.bars["volume_lots"].tolist() == [2, 0, 0, 1]
    assert [bool(f & BarFlag.BAR_EMPTY) for f in series.bars["flags"]] == [False, True, True, False]


def test_nothing_is_empty_before_the_first_trade():
    assert one_spec([(100 * SECOND, 10, 1, 0)], "1s", emit_empty=True).bars["ts_open_ns"].tolist() == [100 * SECOND]


def test_a_gap_longer_than_a_week_of_minutes_is_cut_and_counted():
    series = one_spec([(0, 10, 1, 0), (20_000 * SECOND + 1, 12, 1, 0)], "1s", emit_empty=True)
    assert len(series) == 1 + 10080 + 1
    assert series.skipped_empty_count == 20_000 - 1 - 10080
    assert series.bars[len(series) - 1]["ts_open_ns"] == 20_000 * SECOND
    assert series.bars[len(series) - 2]["ts_venue_ns"] == 10_081 * SECOND


def test_every_gap_may_be_as_long_as_the_first():
    rows = [(k * 6_000 * SECOND, 10, 1, 0) for k in range(4)]
    series = one_spec(rows, "1s", emit_empty=True)
    assert (len(series), series.skipped_empty_count) == (18_001, 0)


# ---- closing by time

def test_close_due_waits_for_the_grace_and_stamps_the_time_given():
    stream = BarStream(["1s"], grace_ns=100)
    assert stream.next_due_ns is None
    stream.on_trades(trades([(10, 10, 1, 0)]))
    assert stream.next_due_ns == SECOND + 100
    assert len(stream.close_due(SECOND + 99)) == 0
    bar = stream.close_due(SECOND + 100)[0]
    assert (bar["ts_venue_ns"], bar["ts_recv_ns"], bar["flags"]) == (SECOND, SECOND + 100, BarFlag.BAR_CLOSED_BY_TIME)
    assert stream.next_due_ns is None and len(stream.close_due(50 * SECOND)) == 0


def test_a_bar_closed_by_time_equals_the_one_a_trade_would_have_closed():
    rows = [(10, 10, 1, 0), (20, 12, 5, 1)]
    timed, traded = BarStream(["1s"]), BarStream(["1s"])
    timed.on_trades(trades(rows))
    by_time = timed.close_due(SECOND)
    by_trade = traded.on_trades(trades([*rows, (SECOND, 9, 1, 0)]))
    names = [n for n in by_time.dtype.names if n not in ("flags", "ts_recv_ns", "ts_recv2_ns")]
    assert [by_time[0][n] for n in names] == [by_trade[0][n] for n in names]
    # And the trade that would have closed it now opens the next one.
    assert len(timed.on_trades(trades([(SECOND, 9, 1, 0)]))) == 0
    assert timed.unfinished().tobytes() == traded.unfinished().tobytes()


def test_empty_bars_are_emitted_by_time_too():
    stream = BarStream([parse_bar_spec("1s", emit_empty=True)])
    stream.on_trades(trades([(10, 10, 1, 0)]))
    assert stream.close_due(40 * SECOND)["ts_venue_ns"].tolist() == [k * SECOND for k in range(1, 41)]


# ---- ticks, volume, notional

def test_tick_bars_close_with_their_last_trade():
    stream = BarStream(["tick:2"])
    bars = stream.on_trades(trades([(5, 10, 1, 0), (7, 12, 1, 0), (7, 11, 1, 0)]))
    assert len(bars) == 1 and prices(bars[0]) == (10, 12, 10, 12)
    # The close is exclusive: the first instant after the last trade.
    assert (bars[0]["ts_open_ns"], bars[0]["ts_venue_ns"], bars[0]["interval_ns"]) == (5, 8, 0)
    assert prices(stream.unfinished()[0]) == (11, 11, 11, 11)


def test_a_trade_that_overshoots_closes_the_bar_and_is_not_split():
    series = one_spec([(1, 10, 30, 0), (2, 10, 1, 0), (3, 10, 9, 0)], "volume:1", lot_size="0.1", unfinished=False)
    assert series.bars["volume_lots"].tolist() == [30, 10]
    series = one_spec([(1, 10, 30, 0), (2, 10, 1, 0), (3, 9, 1, 0), (4, 10, 1, 0)], "dollar:19", tick_size="0.5", lot_size="2",
                      unfinished=False)
    assert series.notional_ticklots.tolist() == [300, 19]


def test_an_aggregate_counts_as_the_trades_it_stands_for():
    rows = trades([(1, 10, 1, 0), (2, 10, 1, 0), (3, 10, 1, 0)])
    rows["trade_count"] = [1, 7, 1]
    bars = build_bar_set(rows, ["tick:3"])[0].bars
    assert bars["trade_count"].tolist() == [8, 1]


@pytest.mark.parametrize("rule, volumes, open_ns", [("add", [3, 2], 120), ("drop", [3, 1], 130)])
def test_late_trades_of_threshold_bars_are_those_older_than_the_newest_time_of_the_bar_before(rule, volumes, open_ns):
    stream = BarStream([parse_bar_spec("volume:3", late_rule=rule)], lot_size="1")
    bars = stream.on_trades(trades([(100, 10, 1, 0), (120, 11, 2, 0), (110, 12, 1, 0), (130, 13, 1, 0)]))
    last = stream.unfinished()[0]
    assert [int(bars[0]["volume_lots"]), int(last["volume_lots"])] == volumes
    assert stream.counters()[0] == {"late_count": 1, "late_lots": 1, "skipped_empty_count": 0}
    assert last["ts_open_ns"] == open_ns and prices(last)[::3] == (13, 13)


# ---- the rules again, written the plain way

class PlainBuilder:
    """Keeps every trade of the bar being built and works the bar out afresh from them."""

    def __init__(self, kind, size, offset=0, late_rule="add", emit_empty=False):
        self.kind, self.size, self.offset, self.drop, self.emit = kind, size, offset, late_rule == "drop", emit_empty
        self.open, self.rows, self.close, self.late, self.out = None, [], None, 0, []

    def record(self):
        on_time = sorted((r for r in self.rows if not r[5]), key=lambda r: (r[0], r[4]))
        ends = on_time or [self.rows[0]] if self.rows else []
        first, last = (ends[0][1], ends[-1][1]) if ends else (self.close, self.close)
        values = [r[1] for r in self.rows] or [self.close]
        newest = max([self.open, *(r[0] for r in on_time)])
        end = self.open + self.size if self.kind == "time" else newest + 1
        return (self.open, end, first, max(values), min(values), last, sum(r[2] for r in self.rows),
                sum(r[2] for r in self.rows if not r[3]), len(self.rows), sum(Fraction(r[1]) * r[2] for r in self.rows))

    def finish(self):
        done = self.record()
        self.out.append(done)
        self.close, self.rows = done[5], []
        self.open = done[1] if self.kind == "time" else done[1] - 1

    def until(self, ts):
        while self.kind == "time" and self.open is not None and self.open + self.size <= ts and (self.rows or self.emit):
            self.finish()

    def trade(self, ts, price, qty, sell, trade_id):
        late = self.open is not None and ts < self.open
        if not late:
            self.until(ts)
            if self.kind == "time":
                self.open = (ts - self.offset) // self.size * self.size + self.offset
            elif not self.rows:
                self.open = ts
        self.late += late
        if late and self.drop:
            return
        self.rows.append((ts, price, qty, sell, trade_id, late))
        reached = {"time": -1, "tick": len(self.rows), "volume": sum(r[2] for r in self.rows),
                   "dollar": sum(r[1] * r[2] for r in self.rows)}[self.kind]
        if self.kind != "time" and reached >= self.size:
            self.finish()


steps = st.lists(st.one_of(
    st.tuples(st.integers(-40, 90), st.integers(1, 60), st.integers(1, 9), st.integers(0, 1)),
    st.just(None)), min_size=1, max_size=60)


@given(steps, st.sampled_from(["time", "tick", "volume", "dollar"]), st.integers(1, 50), st.integers(0, 20),
       st.sampled_from(["add", "drop"]), st.booleans())
def test_every_kind_equals_the_plain_builder_whatever_arrives(steps, kind, size, offset, late_rule, emit_empty):
    emit_empty, offset = emit_empty and kind == "time", offset % size if kind == "time" else 0
    text = f"{size}ns@{offset}ns" if kind == "time" else f"{kind}:{size}"
    spec = parse_bar_spec(text, late_rule=late_rule, emit_empty=emit_empty)
    stream = BarStream([spec], tick_size="1", lot_size="1")
    plain = PlainBuilder(kind, size, offset, late_rule, emit_empty)
    now, trade_id, found = 1000, 0, []
    for step in steps:
        if step is None:
            found.append(stream.close_due(now))
            if plain.open is not None:
                plain.until(now)
            continue
        move, price, qty, sell = step
        now, trade_id = max(now, now + move), trade_id + 1
        found.append(stream.on_trades(trades([(now + min(move, 0), price, qty, sell, trade_id)])))
        plain.trade(now + min(move, 0), price, qty, sell, trade_id)
    bars = np.concatenate(found)
    names = ("ts_open_ns", "ts_venue_ns", *PRICES, "volume_lots", "buy_volume_lots", "trade_count")
    assert [tuple(int(b[n]) for n in names) for b in bars] == [row[:9] for row in plain.out]
    assert stream.counters()[0]["late_count"] == plain.late
    unfinished = stream.unfinished()
    assert [tuple(int(b[n]) for n in names) for b in unfinished] == [plain.record()[:9] for _ in range(bool(plain.rows))]
