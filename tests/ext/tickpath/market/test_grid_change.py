"""The same prices on another grid: exact where it must be, and never another price by accident."""
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickpath.market.book import OrderBook
from tickpath.market.grid_change import GridChangeOf
from tickpath.types import SLOT_DTYPE, BookState, EventType

ASK, SNAPSHOT, FIRST, LAST = 1, 2, 4, 8
SIZES = st.sampled_from(["1", "0.5", "0.1", "0.05", "0.02", "0.01", "0.001", "0.00001", "0.00000001", "10", "25", "3"])


@given(old=SIZES, new=SIZES, ticks=st.integers(-10 ** 12, 10 ** 12))
def test_ticks_move_exactly_or_are_refused(old, new, ticks):
    exact = ticks * Fraction(old) / Fraction(new)
    expected = int(exact) if exact.denominator == 1 and abs(exact) < 2 ** 63 else None
    change = GridChangeOf((old, "1"), (new, "1"))
    assert change.exact_ticks(ticks) == expected
    nearest, rounded = change.nearest_ticks(ticks)
    assert rounded == (expected is None)
    if abs(exact) < 2 ** 62:
        assert nearest == round(exact)                 # Python rounds half to even too


@given(old=st.tuples(SIZES, SIZES), new=st.tuples(SIZES, SIZES), limit=st.integers(0, 4 * 10 ** 18))
def test_limit_keeps_its_value_rounded_down(old, new, limit):
    value = limit * Fraction(old[0]) * Fraction(old[1])
    unit = Fraction(new[0]) * Fraction(new[1])
    found = GridChangeOf(old, new).limit(limit)
    if limit == 4 * 10 ** 18 or value / unit >= 4 * 10 ** 18:
        assert found == 4 * 10 ** 18
    else:
        assert found == value // unit


def test_ratios_are_in_lowest_terms():
    change = GridChangeOf(("0.05", "0.001"), ("0.02", "0.01"))
    assert (change.price, change.qty, change.notional) == ((5, 2), (1, 10), (1, 4))


def test_grids_that_are_too_far_apart_are_refused():
    with pytest.raises(ValueError, match="expected a ratio in int64"):
        GridChangeOf(("1000000000000000007", "1"), ("0.000000000000000003", "1"))


def snapshot(levels):
    import numpy as np
    slots = np.zeros(len(levels), SLOT_DTYPE)
    words = slots.view(np.int64).reshape(-1, 8)
    for n, (side, ticks, lots) in enumerate(levels):
        slots["type"][n] = EventType.EV_BOOK_DELTA
        slots["flags"][n] = SNAPSHOT | (ASK if side else 0) | (FIRST if n == 0 else 0) | (LAST if n == len(levels) - 1 else 0)
        words[n, 4:8] = ticks, lots, 7, 7
    return slots


@given(bids=st.dictionaries(st.integers(1, 10 ** 6), st.integers(1, 10 ** 6), min_size=1, max_size=40),
       asks=st.dictionaries(st.integers(10 ** 6 + 1, 3 * 10 ** 6), st.integers(1, 10 ** 6), min_size=1, max_size=40),
       new=st.sampled_from(["0.01", "0.001", "0.05", "0.1", "0.02"]), lot=st.sampled_from(["0.001", "0.0001", "0.01"]))
def test_book_has_the_same_levels_on_the_other_grid_or_stays_as_it_was(bids, asks, new, lot):
    book = OrderBook("0.01", "0.001", 4096)
    book.apply(snapshot([(0, p, q) for p, q in sorted(bids.items(), reverse=True)] + [(1, p, q) for p, q in sorted(asks.items())]))
    price, qty = Fraction("0.01") / Fraction(new), Fraction("0.001") / Fraction(lot)
    moved = [{p * price: q * qty for p, q in side.items()} for side in (bids, asks)]
    fits = all(v.denominator == 1 for side in moved for level in side.items() for v in level)
    assert book.regrid(new, lot) == fits
    assert book.levels() == (tuple({int(p): int(q) for p, q in side.items()} for side in moved) if fits else (bids, asks))
    assert book.state == BookState.BOOK_GOOD and book.last_update_id == 7
    if fits:
        assert book.best_bid[0] == max(bids) * price and book.best_ask[0] == min(asks) * price


def test_book_without_a_snapshot_cannot_move():
    assert not OrderBook("0.01", "0.001", 4096).regrid("0.001", "0.001")
