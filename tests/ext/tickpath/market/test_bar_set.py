"""Several time frames in one pass: order, equality with single builders and with resampling, and the text of specifications."""
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from example_counts import examples
from tickpath.market import build_bars
from tickpath.market.bar_set import BarStream, build_bar_set
from tickpath.market.bar_spec import parse_bar_spec
from tickpath.market.bars import BarFlag, BarKind
from tickpath.types import DTYPES, EventType

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
FRAMES = ["1m", "5m", "15m", "1h", "4h", "1d"]


def trades(rows):
    out = np.zeros(len(rows), DTYPES[EventType.EV_TRADE])
    out["type"] = EventType.EV_TRADE
    out["instrument"], out["venue"] = 3, 1
    out["trade_id"] = np.arange(1, len(rows) + 1)
    if rows:
        out["ts_venue_ns"], out["price_ticks"], out["qty_lots"], out["flags"] = np.array(rows, np.int64).T
    out["trade_count"] = 1
    out["ts_recv_ns"] = out["ts_venue_ns"] - 1_270_000_000
    return out


@st.composite
def tapes(draw):
    """Trades in order, with pauses from a tie in time to most of a day."""
    rows, ts = [], draw(st.integers(1_723_000_000, 1_723_100_000)) * SECOND
    pauses = st.one_of(st.just(0), st.integers(1, 40), st.integers(41, 4000), st.integers(4001, 80_000))
    for pause, price, qty, sell in draw(st.lists(st.tuples(pauses, st.integers(1, 10**9), st.integers(0, 10**6), st.integers(0, 1)),
                                                 min_size=1, max_size=60)):
        ts += pause * SECOND
        rows.append((ts, price, qty, sell))
    return rows


def resampled(series, interval_ns):
    """Bars of a shorter interval joined to a longer one: the fields that a bar is made of."""
    joined = {}
    for bar, notional in zip(series.bars, series.notional_ticklots, strict=True):
        start = int(bar["ts_open_ns"]) // interval_ns * interval_ns
        names = ("open_ticks", "high_ticks", "low_ticks", "close_ticks", "volume_lots", "buy_volume_lots", "trade_count")
        now = (*(int(bar[k]) for k in names), notional)
        was = joined.get(start)
        joined[start] = now if was is None else (was[0], max(was[1], now[1]), min(was[2], now[2]), now[3],
                                                 *(x + y for x, y in zip(was[4:], now[4:], strict=True)))
    return [(start, start + interval_ns, *joined[start]) for start in sorted(joined)]


def plain(series):
    names = ("ts_open_ns", "ts_venue_ns", "open_ticks", "high_ticks", "low_ticks", "close_ticks", "volume_lots", "buy_volume_lots",
             "trade_count")
    return [(*(int(b[k]) for k in names), notional) for b, notional in zip(series.bars, series.notional_ticklots, strict=True)]


# ---- one pass

@given(tapes())
def test_longer_frames_equal_one_minute_bars_resampled(rows):
    minute, *longer = build_bar_set(trades(rows), FRAMES)
    for series in longer:
        assert plain(series) == resampled(minute, series.spec.interval_ns)


@given(tapes(), st.booleans())
def test_empty_bars_change_nothing_of_the_resampled_volume_and_prices(rows, every):
    filled, sparse = (build_bar_set(trades(rows), [parse_bar_spec("1h", emit_empty=e)])[0] for e in (True, False))
    found = filled.bars[(filled.bars["flags"] & BarFlag.BAR_EMPTY) == 0]
    assert found.tobytes() == sparse.bars.tobytes()
    assert np.all(np.diff(filled.bars["ts_open_ns"]) == 3600 * SECOND)
    assert filled.bars["trade_count"][(filled.bars["flags"] & BarFlag.BAR_EMPTY) != 0].sum() == 0


@given(tapes())
def test_a_set_gives_what_each_builder_alone_gives(rows):
    specs = ["5m", "tick:7", "1m", "volume:3000000", "90s", "dollar:90000000000000", "1m@10s"]
    together = build_bar_set(trades(rows), specs, tick_size="1", lot_size="1")
    for series in together:
        alone, = build_bar_set(trades(rows), [series.spec], tick_size="1", lot_size="1")
        assert plain(series) == plain(alone)
        if series.spec.kind == BarKind.BAR_TIME and not series.spec.offset_ns:
            mask = BarFlag.BAR_UNFINISHED | BarFlag.BAR_KIND_MASK
            single = build_bars(trades(rows), series.spec.interval_ns)
            single["flags"] &= mask
            found = series.bars.copy()
            found["flags"] &= mask
            assert found.tobytes() == single.tobytes()


@given(tapes(), st.integers(1, 7))
def test_pieces_give_the_same_bytes_as_the_whole(rows, size):
    specs = [parse_bar_spec("1m", emit_empty=True), "5m", "tick:3", "1h", "volume:900000"]
    whole = BarStream(specs, lot_size="1")
    pieces = BarStream(specs, lot_size="1")
    tape = trades(rows)
    expected = whole.on_trades(tape).tobytes()
    assert b"".join(pieces.on_trades(tape[i:i + size]).tobytes() for i in range(0, len(tape), size)) == expected
    assert pieces.unfinished().tobytes() == whole.unfinished().tobytes() and pieces.counters() == whole.counters()


@given(tapes())
def test_bars_come_by_close_time_and_then_by_interval(rows):
    specs = ["15m", parse_bar_spec("1m", emit_empty=True), "7m", "5m", parse_bar_spec("3m", emit_empty=True), "5m@1m"]
    stream = BarStream(specs)
    last = []
    for i in range(len(rows)):
        bars = stream.on_trades(trades(rows[i:i + 1]))
        last += [(int(b["ts_venue_ns"]), int(b["interval_ns"]), int(b["ts_open_ns"]) % int(b["interval_ns"])) for b in bars]
    assert last == sorted(last)


def test_the_shortest_frame_comes_first_and_bars_the_trade_fills_come_last():
    stream = BarStream(["tick:3", "1h", "1m", "5m"])
    stream.on_trades(trades([(0, 10, 1, 0), (10, 11, 1, 0)]))
    bars = stream.on_trades(trades([(3600 * SECOND, 12, 1, 0)]))
    # The hour's first minute closed long before the hour did; the tick bar closes with this very trade.
    assert bars["interval_ns"].tolist() == [MINUTE, 5 * MINUTE, 60 * MINUTE, 0]
    assert (bars["flags"] >> BarFlag.BAR_SPEC_SHIFT).tolist() == [2, 3, 1, 0]
    assert (bars["instrument"] == 3).all() and (bars["venue"] == 1).all()


def test_a_full_set_closes_all_sixteen_at_once():
    specs = [f"{n}m" for n in (1, 2, 3, 4, 5, 6, 10, 12, 15, 20)] + [f"tick:{n}" for n in (2, 3, 4, 5, 6, 7)]
    stream = BarStream(specs)
    tape = trades([(0, 10, 1, 0), (3600 * SECOND, 12, 1, 0)])
    tape["trade_count"][1] = 99
    bars = stream.on_trades(tape)
    assert sorted(bars["flags"] >> BarFlag.BAR_SPEC_SHIFT) == list(range(16))


def test_many_empty_bars_leave_one_trade_whole():
    specs = [parse_bar_spec(f"{n}s", emit_empty=True) for n in range(1, 16)] + ["tick:2"]
    stream = BarStream(specs)
    bars = stream.on_trades(trades([(0, 10, 1, 0), (1000 * SECOND, 12, 4, 0)]))
    assert len(bars) == sum(1000 // n for n in range(1, 16)) + 1
    assert stream.unfinished()["volume_lots"].tolist() == [4] * 15
    assert bars[len(bars) - 1]["volume_lots"] == 5


def test_no_length_of_a_gap_overruns_the_room_for_sixteen():
    specs = [parse_bar_spec(f"{n}s", emit_empty=True) for n in range(1, 13)] + [f"tick:{n}" for n in (2, 3, 4, 5)]
    for gap in range(1, 120):
        tape = trades([(0, 10, 1, 0), (gap * SECOND, 12, 4, 0), (gap * SECOND + 1, 13, 1, 0)])
        tape["trade_count"][1] = 9
        series = build_bar_set(tape, specs)
        assert [len(s) for s in series] == [gap // n + 1 for n in range(1, 13)] + [2] * 4
        assert [int(s.bars["volume_lots"].sum()) for s in series] == [6] * 16
        assert all(sum(s.notional_ticklots) == 10 + 48 + 13 for s in series)


def test_closing_by_time_goes_on_until_nothing_is_due():
    stream = BarStream([parse_bar_spec("1s", emit_empty=True), "2s", "1m"], grace_ns=5)
    stream.on_trades(trades([(1, 10, 1, 0)]))
    assert stream.next_due_ns == SECOND + 5
    bars = stream.close_due(60 * SECOND + 4)
    assert bars["interval_ns"].tolist() == [SECOND, SECOND, 2 * SECOND] + [SECOND] * 57
    assert stream.close_due(60 * SECOND + 5)["interval_ns"].tolist() == [SECOND, 60 * SECOND]
    # A trade of the next interval finds nothing left to close.
    assert len(stream.on_trades(trades([(60 * SECOND + 1, 11, 1, 0)]))) == 0


def test_a_bar_that_was_overdue_at_its_first_trade_waits_for_one_interval_more():
    stream = BarStream(["1s", "3s"], grace_ns=5)
    tape = trades([(100, 10, 1, 0), (200, 11, 1, 0), (2 * SECOND, 12, 1, 0)])
    tape["ts_recv_ns"] = [SECOND + 6, SECOND + 7, 2 * SECOND + 1]
    stream.on_trades(tape[:2])
    assert stream.next_due_ns == 2 * SECOND + 11 and len(stream.close_due(2 * SECOND + 10)) == 0
    assert stream.on_trades(tape[2:])["ts_open_ns"].tolist() == [0]
    assert stream.next_due_ns == 3 * SECOND + 5            # in time: both end there
    assert stream.close_due(3 * SECOND + 5)["interval_ns"].tolist() == [SECOND, 3 * SECOND]


def test_a_bar_at_the_end_of_time_is_never_due():
    stream = BarStream(["1s", parse_bar_spec("2s", emit_empty=True)], grace_ns=5)
    stream.on_trades(trades([(2 ** 63 - 2, 10, 1, 0)]))
    assert stream.next_due_ns is None and len(stream.close_due(2 ** 63 - 1)) == 0


def test_a_trade_long_after_closing_by_time_opens_its_own_interval():
    stream = BarStream(["1s", "5s"])
    stream.on_trades(trades([(0, 10, 1, 0)]))
    assert len(stream.close_due(5 * SECOND)) == 2
    assert len(stream.on_trades(trades([(17 * SECOND, 11, 1, 0), (17 * SECOND, 12, 1, 0)]))) == 0
    assert stream.unfinished()["ts_open_ns"].tolist() == [17 * SECOND, 15 * SECOND]


@settings(max_examples=examples(20))
@given(st.integers(1, 3000))
def test_results_longer_than_one_buffer_keep_their_order(count):
    rows = [(i * SECOND, i + 1, 1, 0) for i in range(count * 3)]
    series = build_bar_set(trades(rows), ["1s", "2s"])
    assert series[0].bars["close_ticks"].tolist() == list(range(1, count * 3 + 1))
    assert series[0].notional_ticklots.tolist() == list(range(1, count * 3 + 1))
    assert len(series[1]) == (count * 3 + 1) // 2


# ---- specifications

@pytest.mark.parametrize("text, interval_ns, offset_ns", [
    ("1s", SECOND, 0), ("1m", MINUTE, 0), ("5m", 5 * MINUTE, 0), ("15m", 15 * MINUTE, 0), ("1h", 60 * MINUTE, 0),
    ("4h", 240 * MINUTE, 0), ("1d", 1440 * MINUTE, 0), ("90s", 90 * SECOND, 0), ("1500ms", 1_500_000_000, 0), ("1.5s", 1_500_000_000, 0),
    ("250us", 250_000, 0), ("7ns", 7, 0), ("1d@8h", 1440 * MINUTE, 480 * MINUTE), ("1m@0s", MINUTE, 0)])
def test_intervals_are_read_exactly(text, interval_ns, offset_ns):
    spec = parse_bar_spec(text)
    assert (spec.kind, spec.interval_ns, spec.offset_ns, spec.text) == (BarKind.BAR_TIME, interval_ns, offset_ns, text)


@pytest.mark.parametrize("text, tick, lot, threshold", [
    ("tick:100", None, None, 100), ("volume:12.5", None, "0.001", 12500), ("volume:12.5", None, "5", 3), ("volume:1", None, "0.3", 4),
    ("dollar:1000000", "0.01", "0.000001", 10**14), ("dollar:1000000", "0.00000001", "0.00000001", 10**22),
    ("dollar:0.5", "1", "1", 1), ("dollar:7", Decimal("0.1"), Fraction(1, 3), 210)])
def test_thresholds_are_the_first_whole_count_that_reaches_the_size(text, tick, lot, threshold):
    assert parse_bar_spec(text).threshold(tick, lot) == threshold


def test_a_threshold_beyond_64_bits_is_reached():
    price, qty = 10**13, 10**13
    tape = trades([(i, price, qty, 0) for i in range(250)])
    series, = build_bar_set(tape, ["dollar:1000000000000"], tick_size="0.00000001", lot_size="0.000000001", unfinished=False)
    assert series.spec.threshold("0.00000001", "0.000000001") == 10**29 > 1 << 64
    assert len(series) == 0
    tape["price_ticks"], tape["qty_lots"] = 10**15, 10**13
    series, = build_bar_set(tape, ["dollar:1000000000000"], tick_size="0.00000001", lot_size="0.000000001", unfinished=False)
    assert series.notional_ticklots.tolist() == [10 * 10**28] * 25


@pytest.mark.parametrize("text, message", [
    ("5x", r"bar spec '5x': expected an interval .* found '5x'"), ("", "found ''"), ("0m", "an interval above 0"),
    ("-1m", "found '-1m'"), ("1m@1m", "an offset below it"), ("1m@", "found ''"), ("0.5ns", "whole nanoseconds"), ("367d", "at most 366 days"),
    ("1.0000000000000000000000000000000001s", "whole nanoseconds"),
    ("tick:0", "positive whole number behind the colon, found '0'"), ("tick:1.5", "positive whole number"), ("tick:", "found ''"),
    ("volume:-3", "positive number behind the colon, found '-3'"), ("volume:nan", "found 'nan'"), ("dollar:1e6", "found '1e6'"),
    ("range:5", "found 'range' before the colon"), (60, "found int"), ("tick:99999999999999999999", r"fewer than 2\*\*63")])
def test_bad_specifications_say_what_was_expected_and_found(text, message):
    with pytest.raises(ValueError, match=message):
        parse_bar_spec(text)


def test_options_that_fit_no_bar_are_refused():
    with pytest.raises(ValueError, match="emit_empty: expected a time bar, found tick"):
        parse_bar_spec("tick:5", emit_empty=True)
    with pytest.raises(ValueError, match="late_rule: expected 'add' or 'drop', found 'keep'"):
        parse_bar_spec("1m", late_rule="keep")


@pytest.mark.parametrize("specs, sizes, message", [
    ([], {}, "specs: expected 1 to 16, found 0"), ([f"{n}s" for n in range(1, 18)], {}, "expected 1 to 16, found 17"),
    (["60s", "1m"], {}, "expected different bars, found '60s' and '1m'"), (["volume:5"], {}, "expected a positive lot_size .* found None"),
    (["dollar:5"], {"lot_size": "1"}, "expected a positive tick_size .* found None"), (["volume:5"], {"lot_size": 0.1}, "found 0.1"),
    (["volume:5"], {"lot_size": "0"}, "positive lot_size .* found '0'"), (["volume:5"], {"lot_size": "ten"}, "found 'ten'"), (["1m"], {"grace_ns": -1}, "grace_ns: expected 0 or more, found -1"),
    (["dollar:1" + "0" * 29], {"lot_size": "0.000000001", "tick_size": "0.000000001"}, "at most 126 bits")])
def test_bad_sets_are_refused(specs, sizes, message):
    with pytest.raises(ValueError, match=message):
        BarStream(specs, **sizes)


def test_only_trade_records_are_taken():
    with pytest.raises(ValueError, match="expected a 1-d array of the trade dtype, found list"):
        build_bar_set([1, 2], ["1m"])
    with pytest.raises(ValueError, match="trade dtype, found ndarray of int64"):
        BarStream(["1m"]).on_trades(np.zeros(3, np.int64))
