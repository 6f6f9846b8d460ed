"""The ladder against a plain dict, and the venue's synchronisation procedure step by step."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from example_counts import examples
from tickpath.market import OrderBook
from tickpath.market.book import BookResult
from tickpath.types import DTYPES, SLOT_DTYPE, BookState, EventType

ASK, SNAPSHOT, FIRST, LAST, NO_LEVEL = 1, 2, 4, 8, 16


def message(first_id, last_id, bids=(), asks=(), snapshot=False):
    rows = [(0, p, q) for p, q in bids] + [(ASK, p, q) for p, q in asks]
    out = np.zeros(max(len(rows), 1), DTYPES[EventType.EV_BOOK_DELTA])
    out["type"] = EventType.EV_BOOK_DELTA
    out["first_update_id"], out["last_update_id"] = first_id, last_id
    out["flags"] = SNAPSHOT if snapshot else 0
    for i, (side, price, qty) in enumerate(rows):
        out[i]["flags"] |= side
        out[i]["price_ticks"], out[i]["qty_lots"] = price, qty
    if not rows:
        out["flags"] |= NO_LEVEL
    out["flags"][0] |= FIRST
    out["flags"][-1] |= LAST
    return out.view(SLOT_DTYPE)


def synced(**kwargs):
    book = OrderBook(**kwargs)
    assert book.apply(message(100, 100, [(999, 5)], [(1001, 7)], snapshot=True)) == BookResult.BOOK_SYNCED
    return book


def reference_best(levels):
    bids, asks = levels
    return (max(bids) if bids else None), (min(asks) if asks else None)


# Prices near each other, far outside any window, and around the places where words and windows end.
PRICES = st.one_of(st.integers(900, 1100), st.integers(1, 300_000), st.sampled_from([1, 63, 64, 65, 4095, 4096, 4097, 10 ** 12]))
UPDATES = st.lists(st.tuples(st.integers(0, 1), PRICES, st.sampled_from([0, 0, 1, 2, 10 ** 15])), max_size=120)


@settings(max_examples=examples(400), deadline=None)
@given(UPDATES, st.sampled_from([4096, 8192, 65536]))
def test_ladder_equals_a_sorted_dict_under_random_levels(updates, window):
    book = OrderBook(window_ticks=window)
    reference = ({}, {})
    for side, price, qty in updates:
        book.set_level(side, price, qty)
        if qty:
            reference[side][price] = qty
        else:
            reference[side].pop(price, None)
        assert book.levels() == reference
        assert book.bid_levels == len(reference[0]) and book.ask_levels == len(reference[1])


@settings(max_examples=examples(200), deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 40), st.integers(0, 3)), max_size=200), st.integers(-30000, 30000))
def test_best_prices_equal_the_reference_while_the_market_walks(steps, drift):
    book = OrderBook(window_ticks=4096)
    reference = ({}, {})
    middle = 100_000
    for side, offset, qty in steps:
        middle = max(50_000, middle + drift // 40)
        price = middle + 1 + offset if side else middle - 1 - offset
        # What the market walked through is gone on the other side, as at a venue.
        for stale in [p for p in reference[1 - side] if (p <= price) == bool(1 - side) and (p >= price) == bool(side)]:
            book.set_level(1 - side, stale, 0)
            del reference[1 - side][stale]
        book.set_level(side, price, qty)
        if qty:
            reference[side][price] = qty
        else:
            reference[side].pop(price, None)
        assert book.levels() == reference
        bid, ask = reference_best(reference)
        if bid is not None and ask is not None and bid < ask and ask - bid < 1000:
            assert book.best_bid == (bid, reference[0][bid])
            assert book.best_ask == (ask, reference[1][ask])


def test_depth_gives_levels_best_first():
    book = OrderBook()
    for i in range(20):
        book.set_level(0, 1000 - i * 70, i + 1)
        book.set_level(1, 1001 + i * 70, i + 101)
    bids, asks = book.depth(10)
    assert bids.tolist() == [[1000 - i * 70, i + 1] for i in range(10)]
    assert asks.tolist() == [[1001 + i * 70, i + 101] for i in range(10)]


def test_snapshot_then_diffs_in_sequence_are_applied():
    book = synced()
    assert book.apply(message(101, 103, [(999, 0), (998, 4)])) == BookResult.BOOK_APPLIED
    assert book.best_bid == (998, 4)
    assert book.state == BookState.BOOK_GOOD and book.last_update_id == 103


def test_diffs_before_the_snapshot_are_kept_and_applied_behind_it():
    book = OrderBook()
    assert book.apply(message(95, 99, [(990, 1)])) == BookResult.BOOK_PENDING       # wholly in the snapshot: dropped
    assert book.apply(message(100, 102, [(999, 9)])) == BookResult.BOOK_PENDING     # straddles it: applied
    assert book.apply(message(103, 103, [], [(1001, 1)])) == BookResult.BOOK_PENDING
    assert book.state == BookState.BOOK_SYNCING
    assert book.apply(message(100, 100, [(999, 5)], [(1001, 7)], snapshot=True)) == BookResult.BOOK_SYNCED
    assert book.best_bid == (999, 9) and book.best_ask == (1001, 1)
    assert book.qty_at(0, 990) == 0
    assert book.last_update_id == 103


def test_snapshot_older_than_the_first_kept_diff_is_refused():
    book = OrderBook()
    book.apply(message(150, 155, [(990, 1)]))
    assert book.apply(message(100, 100, [(999, 5)], [(1001, 7)], snapshot=True)) == BookResult.BOOK_SNAPSHOT_TOO_OLD
    assert book.state == BookState.BOOK_SYNCING
    assert book.apply(message(152, 152, [(999, 5)], [(1001, 7)], snapshot=True)) == BookResult.BOOK_SYNCED
    assert book.qty_at(0, 990) == 1


def test_lost_diff_is_a_gap_in_the_same_event_and_closes_the_book():
    book = synced()
    book.apply(message(101, 101, [(998, 1)]))
    assert book.apply(message(103, 104, [(997, 1)])) == BookResult.BOOK_GAP
    assert book.state == BookState.BOOK_SYNCING
    assert book.qty_at(0, 997) == 0
    # The message that showed the gap is kept: a snapshot that reaches it opens the book again.
    assert book.apply(message(102, 102, [(996, 2)], [(1002, 1)], snapshot=True)) == BookResult.BOOK_SYNCED
    assert book.qty_at(0, 997) == 1 and book.qty_at(0, 998) == 0
    assert book.counters["gaps"] == 1


def test_old_and_duplicate_diffs_are_applied_once():
    book = synced()
    book.apply(message(101, 102, [(998, 1)]))
    assert book.apply(message(101, 102, [(998, 77)])) == BookResult.BOOK_DROPPED_OLD
    assert book.qty_at(0, 998) == 1


def test_overlapping_diff_is_applied_since_levels_are_quantities_not_changes():
    book = synced()
    book.apply(message(101, 103, [(998, 1)]))
    assert book.apply(message(103, 105, [(998, 2)])) == BookResult.BOOK_APPLIED
    assert book.qty_at(0, 998) == 2 and book.last_update_id == 105
    assert book.apply(message(107, 108, [(998, 3)])) == BookResult.BOOK_GAP


def test_older_snapshot_does_not_turn_back_a_good_book():
    book = synced()
    book.apply(message(101, 105, [(998, 1)]))
    assert book.apply(message(99, 99, [(500, 5)], [(2000, 7)], snapshot=True)) == BookResult.BOOK_DROPPED_OLD
    assert book.best_bid == (999, 5) and book.state == BookState.BOOK_GOOD


def test_crossed_book_is_stale_until_it_uncrosses():
    book = synced()
    book.apply(message(101, 101, [(1001, 3)]))
    assert book.state == BookState.BOOK_STALE and book.crossed
    book.apply(message(102, 102, [], [(1001, 0), (1002, 1)]))
    assert book.state == BookState.BOOK_GOOD and not book.crossed


def test_message_without_levels_advances_the_chain():
    book = synced()
    assert book.apply(message(101, 110)) == BookResult.BOOK_APPLIED
    assert book.apply(message(111, 111, [(998, 1)])) == BookResult.BOOK_APPLIED


def test_delete_of_an_unknown_level_is_no_error():
    book = synced()
    assert book.apply(message(101, 101, [(5, 0), (10 ** 9, 0)])) == BookResult.BOOK_APPLIED
    assert book.bid_levels == 1


def test_far_levels_come_back_when_the_market_reaches_them():
    book = synced(window_ticks=4096)
    book.apply(message(101, 101, [], [(500_000, 11)]))
    assert book.ask_levels == 2
    book.apply(message(102, 102, [(499_990, 3), (999, 0)], [(1001, 0)]))
    assert book.best_ask == (500_000, 11) and book.best_bid == (499_990, 3)


def test_apply_takes_records_from_any_buffer_alike():
    whole = message(101, 101, [(998, 1), (997, 2)], [(1002, 3)])
    padded = np.zeros(2 * len(whole), SLOT_DTYPE)
    padded[::2] = whole
    read_only = whole.copy()
    read_only.flags.writeable = False
    forms = {"array": whole, "read-only": read_only, "strided": padded[::2], "bytes": whole.tobytes(),
             "memoryview": memoryview(whole.tobytes()), "record dtype": whole.view(DTYPES[EventType.EV_BOOK_DELTA]), "words": whole.view(np.int64)}
    found = {}
    for name, form in forms.items():
        book = synced()
        assert book.apply(form) == BookResult.BOOK_APPLIED
        found[name] = book.levels()
    assert found == dict.fromkeys(forms, ({999: 5, 998: 1, 997: 2}, {1001: 7, 1002: 3}))


@pytest.mark.parametrize("slots", [np.empty(0, SLOT_DTYPE), b"", bytes(63), bytes(65)])
def test_apply_refuses_what_is_no_whole_slot(slots):
    book = synced()
    with pytest.raises(ValueError, match=f"expected at least one 64-byte slot, found {memoryview(slots).nbytes} bytes"):
        book.apply(slots)
    assert book.last_update_id == 100


@pytest.mark.parametrize("thing", [None, "text", 7, object(), np.array([None] * 8, object)])
def test_apply_refuses_what_holds_no_slots(thing):
    book = synced()
    with pytest.raises((TypeError, ValueError)):
        book.apply(thing)
    assert book.last_update_id == 100


def test_apply_holds_no_reference_to_what_it_read():
    book, slots = synced(), message(101, 101, [(998, 1)])
    memory = bytearray(slots.tobytes())
    book.apply(memory)
    memory.clear()                        # refused with BufferError while somebody holds the buffer
    with pytest.raises(ValueError, match="64-byte slot"):
        book.apply(memory)
    memory.extend(b"again")


@pytest.mark.parametrize("side", [0, 1])
def test_best_price_returns_after_a_side_ran_empty(side):
    book = OrderBook(window_ticks=4096)
    read = (lambda: book.best_bid, lambda: book.best_ask)[side]
    for price in (1000, 1063, 937):
        book.set_level(side, price, 4)
        assert read() == (price, 4)
        book.set_level(side, price, 0)
        assert read() is None
    assert (book.bid_levels, book.ask_levels) == (0, 0)


@pytest.mark.parametrize("window", [0, 100, 4095, 5000])
def test_window_that_is_no_power_of_two_is_refused(window):
    with pytest.raises(ValueError, match="power of two"):
        OrderBook(window_ticks=window)


def test_depth_goes_on_behind_the_windows_end():
    # A book whose sides lie further apart than its window once showed a quantity of 0 at the far side's best.
    book = OrderBook("0.01", "0.001", 4096)
    book.set_level(0, 1000, 5)
    book.set_level(0, 999, 6)
    book.set_level(1, 100000, 7)
    book.set_level(1, 100001, 8)
    bids, asks = book.depth(3)
    assert bids.tolist() == [[1000, 5], [999, 6]] and asks.tolist() == [[100000, 7], [100001, 8]]


class Requested:
    """A streamed book whose snapshot is asked for (OKX): updates chain by their first id, a requested one has none."""

    def __init__(self):
        self.book = OrderBook(sync="stream")

    def update(self, first, last, price=1000, qty=1):
        return self.book.apply(message(first, last, [(price, qty)]))

    def snapshot(self, last, price=900):
        return self.book.apply(message(0, last, [(price, 5)], [(2000, 7)], snapshot=True))


def test_requested_snapshot_is_joined_to_the_kept_updates_and_the_first_may_begin_before_it():
    r = Requested()
    assert [r.update(11, 20), r.update(21, 40, 1001), r.update(41, 50, 1002)] == [BookResult.BOOK_PENDING] * 3
    assert r.snapshot(30) == BookResult.BOOK_SYNCED and r.book.state == BookState.BOOK_GOOD
    assert r.book.last_update_id == 50 and r.book.best_bid == (1002, 1) and r.book.qty_at(0, 1001) == 1
    assert r.book.qty_at(0, 1000) == 0, "expected what the snapshot holds already not to be applied again"
    assert r.update(51, 60) == BookResult.BOOK_APPLIED


def test_requested_snapshot_that_does_not_reach_the_first_kept_update_is_refused_and_the_next_one_taken():
    r = Requested()
    r.update(11, 20)
    assert r.snapshot(5) == BookResult.BOOK_SNAPSHOT_TOO_OLD and r.book.state == BookState.BOOK_SYNCING
    assert r.snapshot(25) == BookResult.BOOK_SYNCED
    assert [r.update(16, 22), r.update(23, 30), r.update(31, 32)] == [BookResult.BOOK_DROPPED_OLD, BookResult.BOOK_APPLIED,
                                                                     BookResult.BOOK_APPLIED]
    assert r.update(40, 41) == BookResult.BOOK_GAP


def test_hole_among_the_kept_updates_is_a_gap_and_the_streams_own_snapshot_ends_it():
    r = Requested()
    r.update(11, 20)
    r.update(31, 40)
    assert r.snapshot(15) == BookResult.BOOK_GAP and r.book.state == BookState.BOOK_SYNCING
    assert r.book.apply(message(50, 50, [(1000, 5)], [(2000, 7)], snapshot=True)) == BookResult.BOOK_SYNCED
    assert r.snapshot(60) == BookResult.BOOK_DROPPED_OLD, "expected a snapshot that comes too late to change nothing"
    assert r.update(51, 52) == BookResult.BOOK_APPLIED


def test_ids_that_begin_anew_while_a_snapshot_is_awaited_do_not_make_it_wait_for_ever():
    r = Requested()
    r.update(1_000_001, 1_000_020)
    assert r.update(1_000_021, 5) == BookResult.BOOK_PENDING                 # the reset: follows, to a smaller id
    r.update(6, 9, 1003)
    assert r.snapshot(7) == BookResult.BOOK_SYNCED and r.book.last_update_id == 9
    # One from before the reset: everything behind it looks old, which is noticed.
    r.book.lose()
    assert r.snapshot(1_000_030) == BookResult.BOOK_SYNCED
    results = [r.update(10 + n, 10 + n) for n in range(70)]
    assert BookResult.BOOK_GAP in results and r.book.state == BookState.BOOK_SYNCING
