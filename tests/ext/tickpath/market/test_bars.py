"""Right-aligned bars: close time exclusive, open time kept, empty intervals absent."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickpath.market import build_bars
from tickpath.types import DTYPES, EventType

SECOND = 1_000_000_000


def trades(rows):
    out = np.zeros(len(rows), DTYPES[EventType.EV_TRADE])
    out["type"] = EventType.EV_TRADE
    out["trade_count"] = 1
    for i, (ts, price, qty, sell) in enumerate(rows):
        out[i]["ts_venue_ns"], out[i]["price_ticks"], out[i]["qty_lots"], out[i]["flags"] = ts, price, qty, sell
    return out


def test_bar_is_stamped_with_its_exclusive_close_and_keeps_its_open():
    bars = build_bars(trades([(0, 10, 1, 0), (SECOND - 1, 12, 2, 1), (SECOND, 9, 4, 0)]), SECOND)
    assert bars["ts_venue_ns"].tolist() == [SECOND, 2 * SECOND]
    assert bars["ts_open_ns"].tolist() == [0, SECOND]
    first = bars[0]
    assert (first["open_ticks"], first["high_ticks"], first["low_ticks"], first["close_ticks"]) == (10, 12, 10, 12)
    assert (first["volume_lots"], first["buy_volume_lots"], first["trade_count"]) == (3, 1, 2)


def test_empty_intervals_give_no_bar():
    bars = build_bars(trades([(0, 10, 1, 0), (5 * SECOND, 11, 1, 0)]), SECOND)
    assert bars["ts_open_ns"].tolist() == [0, 5 * SECOND]


def test_late_trade_is_added_to_the_bar_being_built():
    bars = build_bars(trades([(SECOND, 10, 1, 0), (SECOND - 5, 20, 3, 0)]), SECOND)
    assert len(bars) == 1 and bars[0]["volume_lots"] == 4


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
    with pytest.raises(ValueError, match="interval_ns"):
        build_bars(trades([(0, 1, 1, 0)]), 0)
