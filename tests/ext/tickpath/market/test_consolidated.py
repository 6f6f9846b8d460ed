"""The consolidated best bid and offer: against Fractions, when it speaks, how it is laid out."""
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from example_counts import examples
from tickpath.market.consolidated import CONSOLIDATED_QUOTE_DTYPE, ConsolidatedBook, CrossState, common_size
from tickpath.types import DTYPES, PRICE_NONE, TIME_NONE, EventType

TWO = [(11, "0.01", "0.001"), (12, "0.1", "0.00001")]


def state(book):
    return CrossState(int(book.quote["cross_state"]))


# ---- what it says

def test_the_best_of_two_grids_stands_on_the_common_one():
    book = ConsolidatedBook(TWO, instrument=7)
    assert (book.tick_size, book.lot_size) == (Fraction("0.01"), Fraction("0.00001"))
    assert book.update(11, bid=(6_183_761, 5), ask=(6_183_765, 2), ts_recv_ns=100, ts_venue_ns=90)
    assert book.update(12, bid=(618_376, 40), ask=(618_377, 30), ts_recv_ns=110)
    # 61837.61 against 61837.6, and 61837.65 against 61837.7.
    assert book.best_bid == (6_183_761, 500) and book.best_ask == (6_183_765, 200)
    q = book.quote
    assert (q["bid_members"], q["ask_members"], q["good_members"], q["instrument"], q["cause_instrument"]) == (1, 1, 3, 7, 12)
    assert (q["ts_recv_ns"], q["ts_venue_ns"], q["oldest_recv_ns"], q["change_no"]) == (110, TIME_NONE, 100, 2)


def test_sizes_at_the_best_price_are_summed_over_venues():
    book = ConsolidatedBook(TWO)
    book.update(11, bid=(6_183_760, 5), ask=(6_183_770, 2), ts_recv_ns=100)
    book.update(12, bid=(618_376, 40), ask=(618_378, 30), ts_recv_ns=110)
    assert book.best_bid == (6_183_760, 540) and book.best_ask == (6_183_770, 200)
    assert (book.quote["bid_members"], book.quote["ask_members"]) == (3, 1)


def test_a_member_that_is_not_good_counts_for_nothing_until_it_is_again():
    book = ConsolidatedBook(TWO)
    book.update(11, bid=(100, 5), ask=(200, 2))
    book.update(12, bid=(15, 1), ask=(16, 1))
    assert book.best_bid == (150, 1)
    assert book.update(12, bid=(15, 1), ask=(16, 1), good=False)
    assert book.best_bid == (100, 500) and book.quote["good_members"] == 1
    assert not book.update(12, bid=(17, 1), ask=(18, 1), good=False)
    assert book.update(12, bid=(17, 1), ask=(18, 1))
    assert book.best_bid == (170, 1) and book.best_ask == (180, 1)


def test_no_good_member_leaves_no_price():
    book = ConsolidatedBook(TWO)
    assert book.best_bid is None and book.best_ask is None and state(book) == CrossState.CROSS_NONE
    book.update(11, bid=(100, 5))
    assert book.best_bid == (100, 500) and book.best_ask is None
    book.update(11, bid=(100, 5), good=False, ts_recv_ns=3)
    q = book.quote
    assert book.best_bid is None
    assert (q["bid_price_ticks"], q["bid_qty_lots"], q["ask_price_ticks"], q["oldest_recv_ns"]) == (PRICE_NONE, 0, PRICE_NONE, TIME_NONE)


def test_a_price_without_qty_is_no_price():
    book = ConsolidatedBook(TWO)
    assert book.update(11, bid=(100, 0), ask=(200, -1))
    assert book.best_bid is None and book.best_ask is None and book.quote["good_members"] == 1


def test_it_speaks_only_when_something_changed():
    book = ConsolidatedBook(TWO)
    assert book.update(11, bid=(100, 5), ask=(200, 2), ts_recv_ns=1)
    assert not book.update(11, bid=(100, 5), ask=(200, 2), ts_recv_ns=2)
    # A second member behind the best: only that it is good now is news.
    assert book.update(12, bid=(9, 5), ask=(21, 2), ts_recv_ns=3)
    assert not book.update(12, bid=(8, 7), ask=(22, 1), ts_recv_ns=4)
    assert book.quote["ts_recv_ns"] == 3
    assert book.counters == {"updates": 4, "changes": 2, "crossed": 0, "overflows": 0}


def test_crossed_and_locked_say_since_when():
    book = ConsolidatedBook(TWO)
    book.update(11, bid=(100, 5), ask=(110, 2), ts_recv_ns=1)
    assert (state(book), book.quote["cross_since_ns"]) == (CrossState.CROSS_NONE, TIME_NONE)
    book.update(12, bid=(11, 5), ask=(12, 2), ts_recv_ns=2)
    assert (state(book), book.quote["cross_since_ns"]) == (CrossState.CROSS_LOCKED, 2)
    book.update(12, bid=(11, 6), ask=(12, 2), ts_recv_ns=3)
    assert (state(book), book.quote["cross_since_ns"]) == (CrossState.CROSS_LOCKED, 2)
    book.update(12, bid=(12, 6), ask=(13, 2), ts_recv_ns=4)
    assert (state(book), book.quote["cross_since_ns"]) == (CrossState.CROSS_CROSSED, 4)
    book.update(11, bid=(110, 5), ask=(115, 2), ts_recv_ns=5)
    assert (state(book), book.quote["cross_since_ns"]) == (CrossState.CROSS_CROSSED, 4)
    book.update(11, bid=(110, 5), ask=(130, 2), ts_recv_ns=6)
    assert (state(book), book.quote["cross_since_ns"]) == (CrossState.CROSS_NONE, TIME_NONE)
    assert book.counters["crossed"] == 1


# ---- common sizes

@pytest.mark.parametrize("sizes, common, multiples", [
    (["0.01", "0.1"], "0.01", [1, 10]), (["0.5", "0.2"], "0.1", [5, 2]), (["1/3", "1/2"], "1/6", [2, 3]),
    (["0.25", "0.25"], "0.25", [1, 1]), (["10", "4", "6"], "2", [5, 2, 3]), (["1e-18", "1"], "1e-18", [1, 10**18])])
def test_the_common_size_is_the_greatest_that_divides_all(sizes, common, multiples):
    assert common_size([Fraction(s) for s in sizes], "tick_size") == (Fraction(common), multiples)


@pytest.mark.parametrize("members, message", [
    ([(1, "1e-10", "1"), (2, "1e10", "1")], "tick_size: expected sizes with a common divisor in int64, found 1/10000000000, 10000000000"),
    ([(1, "1", "1e-19"), (2, "1", "1e-19")], "lot_size: expected sizes with a common divisor in int64"),
    ([(1, 0.01, "1")], r"members\[0\].tick_size: expected decimal text, .* found the float 0.01"),
    ([(1, "0.01", "x")], r"members\[0\].lot_size: expected decimal text, .* found 'x'"),
    ([(1, "0.01", "1"), (2, "0", "1")], r"members\[1\].tick_size: expected a positive number, found 0"),
    ([(1, "0.01", "1"), (1, "0.1", "1")], r"members\[1\]: expected an instrument that is not a member yet, found 1 again"),
    ([], "members: expected 1 to 8, found 0"), ([(k, "1", "1") for k in range(9)], "members: expected 1 to 8, found 9")])
def test_members_without_a_common_grid_are_refused(members, message):
    with pytest.raises(ValueError, match=message):
        ConsolidatedBook(members)


def test_an_instrument_that_is_no_member_is_refused():
    with pytest.raises(ValueError, match=r"instrument: expected one of \(11, 12\), found 13"):
        ConsolidatedBook(TWO).update(13)


def test_a_price_that_does_not_fit_is_left_out_and_counted():
    book = ConsolidatedBook([(1, "1", "1"), (2, "0.00000001", "0.00000001")])
    book.update(2, bid=(5 * 10**8, 10), ask=(6 * 10**8, 10))
    book.update(1, bid=(2**63 - 1, 1), ask=(7, 2**62))
    assert book.best_bid == (5 * 10**8, 10) and book.best_ask == (6 * 10**8, 10)
    assert book.counters["overflows"] == 2


def test_a_sum_that_does_not_fit_is_cut_off_and_counted():
    book = ConsolidatedBook([(1, "1", "1"), (2, "1", "1")])
    book.update(1, bid=(5, 2**63 - 2))
    book.update(2, bid=(5, 9))
    assert book.best_bid == (5, 2**63 - 1) and book.counters["overflows"] == 1


# ---- the record

def test_the_record_takes_two_slots_and_begins_like_a_quote():
    assert CONSOLIDATED_QUOTE_DTYPE.itemsize == 128
    quote, bar = DTYPES[EventType.EV_QUOTE], DTYPES[EventType.EV_BAR]
    for name in quote.names:
        assert CONSOLIDATED_QUOTE_DTYPE.fields[name] == quote.fields[name]
    for name in ("seq2", "ts_recv2_ns", "instrument2", "type2", "venue2", "flags2"):
        assert CONSOLIDATED_QUOTE_DTYPE.fields[name] == bar.fields[name]


def test_the_second_slot_carries_the_header_again():
    book = ConsolidatedBook(TWO, instrument=9)
    book.update(11, bid=(1, 1), ts_recv_ns=5, ts_venue_ns=4)
    q = book.quote
    assert (q["instrument2"], q["ts_recv2_ns"], q["ts_venue2_ns"], q["flags2"], q["venue"]) == (9, 5, 4, 1, 0)
    assert q["type2"] == EventType.EV_CONT


# ---- against Fractions

SIZES = ["0.01", "0.1", "0.5", "0.25", "0.001", "1", "0.00001", "5"]


class PlainConsolidated:
    """Every member's top as Fractions; the best is looked up afresh each time."""

    def __init__(self, members):
        self.members, self.tops, self.cross, self.since, self.last = members, {}, CrossState.CROSS_NONE, None, None

    def update(self, instrument, bid, ask, good, ts):
        self.tops[instrument] = (bid, ask, good, ts)
        sides = []
        for side, pick in ((0, max), (1, min)):
            levels = {}
            for k, (member, tick, lot) in enumerate(self.members):
                top = self.tops.get(member)
                if top and top[2] and top[side] and top[side][1] > 0:
                    price = top[side][0] * Fraction(tick)
                    qty, mask, oldest = levels.get(price, (Fraction(0), 0, ts))
                    levels[price] = (qty + top[side][1] * Fraction(lot), mask | 1 << k, min(oldest, top[3]))
            best = pick(levels) if levels else None
            sides.append((best, *levels[best]) if levels else (None, Fraction(0), 0, ts))
        good = sum(1 << k for k, m in enumerate(self.members) if m[0] in self.tops and self.tops[m[0]][2])
        (bid_price, _, _, bid_ts), (ask_price, _, _, ask_ts) = sides
        both = bid_price is not None and ask_price is not None
        cross = CrossState.CROSS_NONE
        if both and bid_price >= ask_price:
            cross = CrossState.CROSS_LOCKED if bid_price == ask_price else CrossState.CROSS_CROSSED
        if cross != self.cross:
            self.cross, self.since = cross, ts if cross != CrossState.CROSS_NONE else None
        now = (sides[0][:3], sides[1][:3], good)
        changed = now != (self.last or (((None, 0, 0)), (None, 0, 0), 0))
        self.last = now
        self.oldest = min(bid_ts, ask_ts) if bid_price is not None or ask_price is not None else None
        return changed


sides = st.one_of(st.none(), st.tuples(st.integers(1, 30), st.integers(0, 5)))


@settings(max_examples=examples(300))
@given(st.lists(st.tuples(st.sampled_from(SIZES), st.sampled_from(SIZES)), min_size=1, max_size=8),
       st.lists(st.tuples(st.integers(0, 7), sides, sides, st.integers(0, 4)), max_size=60))
def test_it_equals_the_plain_reference_after_every_update(sizes, updates):
    members = [(20 + k, tick, lot) for k, (tick, lot) in enumerate(sizes)]
    book, plain = ConsolidatedBook(members, instrument=99), PlainConsolidated(members)
    for i, (which, bid, ask, good) in enumerate(updates):
        instrument = members[which % len(members)][0]
        changed = book.update(instrument, bid=bid, ask=ask, good=good > 0, ts_recv_ns=1000 + i)
        assert changed == plain.update(instrument, bid, ask, good > 0, 1000 + i)
        q = book.quote
        for side, found in ((0, book.best_bid), (1, book.best_ask)):
            price, qty, mask = plain.last[side]
            assert (found is None) == (price is None)
            if found is not None:
                assert (found[0] * book.tick_size, found[1] * book.lot_size) == (price, qty)
            assert q[("bid_members", "ask_members")[side]] == mask
        assert q["good_members"] == plain.last[2] and state(book) == plain.cross
        assert q["cross_since_ns"] == (TIME_NONE if plain.since is None else plain.since)
        if changed:
            assert (q["cause_instrument"], q["ts_recv_ns"]) == (instrument, 1000 + i)
            assert q["oldest_recv_ns"] == (TIME_NONE if plain.oldest is None else plain.oldest)


@given(st.lists(st.tuples(st.integers(0, 2), sides, sides, st.booleans()), max_size=40))
def test_the_record_is_the_same_bytes_every_time(updates):
    def run():
        book = ConsolidatedBook([(1, "0.01", "1"), (2, "0.5", "0.1"), (3, Decimal("0.25"), Fraction(1, 3))])
        records = []
        for i, (member, bid, ask, good) in enumerate(updates):
            if book.update(member + 1, bid=bid, ask=ask, good=good, ts_recv_ns=i):
                records.append(book.quote)
        return np.array(records, CONSOLIDATED_QUOTE_DTYPE).tobytes()
    assert run() == run()
