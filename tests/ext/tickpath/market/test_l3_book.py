"""The order-by-order book against dicts and lists, its synchronisation step by step, and Kraken's own checksum example."""
import random
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from example_counts import examples
from tickpath.market.checksum import Checksum
from tickpath.market.instruments import ChecksumKind
from tickpath.market.l3_book import L3OrderBook, L3Result
from tickpath.types import DTYPES, BookState, EventType, OrderAction

ADD, CHANGE, DELETE, MATCH = (OrderAction.ORDER_ACTION_ADD, OrderAction.ORDER_ACTION_CHANGE, OrderAction.ORDER_ACTION_DELETE,
                              OrderAction.ORDER_ACTION_MATCH)
NOTHING = OrderAction.ORDER_ACTION_INVALID
ASK, SNAPSHOT, FIRST, LAST = 1, 2, 4, 8
MASK = 2 ** 64 - 1


def colliding_keys(count):
    """Different keys with one and the same hash."""
    def swapped(v):
        return v >> 32 | (v & 0xFFFFFFFF) << 32
    return [high << 64 | (swapped(high) ^ 0x1234_5678_9ABC_DEF0) for high in range(1, count + 1)]


class Reference:
    """orders: {key: [side, price, qty]}; queues: {(side, price): [key]}, first in the queue first."""

    def __init__(self, capacity):
        self.capacity, self.orders, self.queues = capacity, {}, {}

    def leave(self, key):
        side, price, _ = self.orders[key]
        self.queues[side, price].remove(key)
        if not self.queues[side, price]:
            del self.queues[side, price]

    def join(self, key):
        side, price, _ = self.orders[key]
        self.queues.setdefault((side, price), []).append(key)

    def apply(self, action, key, side, price, qty):
        if action == ADD:
            if qty <= 0 or price is None or key in self.orders:
                return L3Result.L3_INCONSISTENT
            if len(self.orders) == self.capacity:
                return L3Result.L3_OVERFLOW
            self.orders[key] = [side, price, qty]
            self.join(key)
            return L3Result.L3_APPLIED
        if action == NOTHING:
            return L3Result.L3_APPLIED
        if key not in self.orders:
            return L3Result.L3_INCONSISTENT if action == MATCH else L3Result.L3_UNKNOWN_ORDER
        order = self.orders[key]
        if action == MATCH:
            if not 0 < qty <= order[2]:
                return L3Result.L3_INCONSISTENT
            qty, price = order[2] - qty, None
        if action == DELETE or qty == 0:
            self.leave(key)
            del self.orders[key]
            return L3Result.L3_APPLIED
        if qty < 0:
            return L3Result.L3_INCONSISTENT
        if (price is not None and price != order[1]) or qty > order[2]:
            self.leave(key)
            order[1:] = [order[1] if price is None else price, qty]
            self.join(key)
        order[2] = qty
        return L3Result.L3_APPLIED

    def levels(self):
        found = ({}, {})
        for (side, price), keys in self.queues.items():
            found[side][price] = sum(self.orders[k][2] for k in keys)
        return found

    def ahead(self, key):
        if key not in self.orders:
            return None
        queue = self.queues[tuple(self.orders[key][:2])]
        return sum(self.orders[k][2] for k in queue[:queue.index(key)])

    def rows(self):
        """As a snapshot has them: best prices first, each queue from its front."""
        order = sorted(self.queues, key=lambda at: (at[0], at[1] if at[0] else -at[1]))
        return [(key, *self.orders[key]) for at in order for key in self.queues[at]]


def assert_same(book, reference, keys):
    assert len(book) == len(reference.orders)
    assert book.l2.levels() == reference.levels()
    for at, queue in reference.queues.items():
        assert book.queue(*at) == [(key, reference.orders[key][2]) for key in queue]
        assert book.order_count(*at) == len(queue)
    for key in keys:
        assert book.queue_ahead(key) == reference.ahead(key)
    bids, asks = reference.levels()
    assert (book.l2.best_bid or (None,))[0] == max(bids, default=None)
    assert (book.l2.best_ask or (None,))[0] == min(asks, default=None)


def opened(rows=(), update_id=100, **kwargs):
    book = L3OrderBook("0.01", "0.00000001", **kwargs)
    assert book.snapshot(rows, update_id) == L3Result.L3_SYNCED
    return book


# ---- against the reference

KEYS = [*colliding_keys(6), *range(1, 5), 1 << 64, 2 << 64, 2 ** 128 - 1]
PRICES = st.one_of(st.none(), st.integers(996, 1004), st.sampled_from([1, 64, 4096, 300_000, 10 ** 12]))
EVENTS = st.lists(st.tuples(st.sampled_from([ADD, ADD, ADD, CHANGE, CHANGE, DELETE, MATCH, NOTHING]), st.sampled_from(KEYS),
                            st.integers(0, 1), PRICES, st.sampled_from([-1, 0, 1, 2, 3, 10, 10 ** 15])), max_size=80)


@settings(max_examples=examples(200), deadline=None)
@given(EVENTS, st.sampled_from([4, 8, 64]))
def test_totals_queues_and_lots_ahead_equal_the_reference_after_every_event(events, capacity):
    book, reference = opened(window_ticks=4096, order_capacity=capacity), Reference(capacity)
    for update_id, event in enumerate(events, 101):
        action, key, side, price, qty = event
        result = book.apply(action, key, side, price, qty, update_id)
        assert result == reference.apply(action, key, side, price, qty)
        if result in (L3Result.L3_OVERFLOW, L3Result.L3_INCONSISTENT):
            assert not book.synced and book.l2.state == BookState.BOOK_SYNCING
            assert book.snapshot(reference.rows(), update_id) == L3Result.L3_SYNCED
        assert book.synced and book.last_update_id == update_id
        assert_same(book, reference, KEYS)


def test_a_hundred_thousand_events_end_as_in_the_reference():
    source, capacity = random.Random(3), 2048
    book, reference = opened(window_ticks=4096, order_capacity=capacity), Reference(capacity)
    middle, live, fresh = 50_000, [], 0
    for update_id in range(101, 100_101):
        # A walk that leaves its window behind, and now and then a price far outside it.
        middle += source.choice((-3, 0, 3))
        kind = source.random()
        side = source.randrange(2)
        price = (middle + 1 + source.randrange(40) if side else middle - source.randrange(40))
        if source.random() < 0.01:
            price += 200_000 if side else -40_000
        qty = source.randrange(1, 50)
        if not live or (kind < 0.5 and len(live) < capacity):
            action, key = ADD, source.getrandbits(64) << 64 | (fresh := fresh + 1)
            live.append(key)
        else:
            at = source.randrange(len(live))
            key = live[at]
            action = CHANGE if kind < 0.65 else MATCH if kind < 0.75 else DELETE
            if action == CHANGE:
                side, price = reference.orders[key][0], source.choice((None, price))
            if action == MATCH:
                qty = source.randrange(1, reference.orders[key][2] + 1)
        touched = [tuple(reference.orders[key][:2])] if key in reference.orders else []
        result = book.apply(action, key, side, price, qty, update_id)
        assert result == reference.apply(action, key, side, price, qty) == L3Result.L3_APPLIED
        if key in reference.orders:
            touched.append(tuple(reference.orders[key][:2]))
        elif action != ADD:
            live[at] = live[-1]
            live.pop()
        for place in touched:
            queue = reference.queues.get(place, [])
            assert book.queue(*place) == [(k, reference.orders[k][2]) for k in queue]
            assert book.l2.qty_at(*place) == sum(reference.orders[k][2] for k in queue)
        assert book.queue_ahead(key) == reference.ahead(key)
        if update_id % 5000 == 0:
            assert_same(book, reference, live)
    assert_same(book, reference, live)
    assert len(live) > 500 and book.counters == {"events": 100_000, "gaps": 0, "unknown": 0, "overflows": 0, "inconsistent": 0,
                                                 "dropped_pending": 0, "dropped_unsynced": 0}


def test_keys_with_one_hash_are_told_apart_and_found_after_others_left():
    keys = colliding_keys(64)
    book = opened(order_capacity=64)
    for i, key in enumerate(keys):
        assert book.apply(ADD, key, 0, 1000 + i, 1 + i, 101 + i) == L3Result.L3_APPLIED
    for i, key in enumerate(keys[::2]):
        assert book.apply(DELETE, key, update_id=165 + i) == L3Result.L3_APPLIED
    assert [book.queue_ahead(key) for key in keys] == [None, 0] * 32
    assert [book.queue(0, 1000 + i) for i in range(64)] == [[] if i % 2 == 0 else [(key, 1 + i)] for i, key in enumerate(keys)]


# ---- places in the queue

ROWS = [(1, 0, 1000, 5), (2, 0, 1000, 7), (3, 0, 1000, 9)]


@pytest.mark.parametrize("event, expected", [
    ((CHANGE, 1, 0, None, 4), [(1, 4), (2, 7), (3, 9)]),
    ((CHANGE, 1, 0, 1000, 5), [(1, 5), (2, 7), (3, 9)]),
    ((CHANGE, 1, 0, None, 6), [(2, 7), (3, 9), (1, 6)]),
    ((CHANGE, 2, 0, None, 0), [(1, 5), (3, 9)]),
    ((MATCH, 1, 0, None, 2), [(1, 3), (2, 7), (3, 9)]),
    ((MATCH, 1, 0, None, 5), [(2, 7), (3, 9)]),
    ((DELETE, 3, 0, None, 0), [(1, 5), (2, 7)]),
    ((ADD, 4, 0, 1000, 1), [(1, 5), (2, 7), (3, 9), (4, 1)]),
])
def test_a_smaller_quantity_keeps_the_place_and_a_larger_one_loses_it(event, expected):
    book = opened(ROWS)
    assert book.apply(*event, 101) == L3Result.L3_APPLIED
    assert book.queue(0, 1000) == expected
    assert book.l2.best_bid == (1000, sum(qty for _, qty in expected))


def test_another_price_goes_to_the_back_of_its_queue_and_coming_back_to_the_back_of_the_old_one():
    book = opened([*ROWS, (4, 0, 999, 2)])
    assert book.apply(CHANGE, 1, 0, 999, 3, 101) == L3Result.L3_APPLIED
    assert book.queue(0, 999) == [(4, 2), (1, 3)] and book.queue(0, 1000) == [(2, 7), (3, 9)]
    assert book.queue_ahead(1) == 2
    assert book.apply(CHANGE, 1, 0, 1000, 3, 102) == L3Result.L3_APPLIED
    assert book.queue_ahead(1) == 16
    assert book.l2.levels() == ({1000: 19, 999: 2}, {})


def test_the_only_order_of_a_full_book_may_change_its_price():
    book = opened([(1, 1, 1000, 5)], order_capacity=1)
    assert book.apply(CHANGE, 1, 1, 1001, 5, 101) == L3Result.L3_APPLIED
    assert book.l2.best_ask == (1001, 5)


def test_the_price_of_a_delete_is_not_asked_for():
    book = opened(ROWS)
    assert book.apply(DELETE, 2, 1, 777, 123, 101) == L3Result.L3_APPLIED
    assert book.queue(0, 1000) == [(1, 5), (3, 9)]


# ---- synchronisation (Coinbase)

def test_events_before_the_snapshot_are_kept_and_those_up_to_its_sequence_dropped():
    book = L3OrderBook()
    assert book.apply(ADD, 8, 0, 990, 1, 99) == L3Result.L3_PENDING
    assert book.apply(ADD, 9, 0, 991, 1, 100) == L3Result.L3_PENDING
    assert book.apply(MATCH, 1, 0, None, 2, 101) == L3Result.L3_PENDING
    assert book.apply(ADD, 10, 1, 1001, 3, 102) == L3Result.L3_PENDING
    assert book.l2.state == BookState.BOOK_SYNCING
    assert book.snapshot([*ROWS, (9, 0, 991, 1)], 100) == L3Result.L3_SYNCED
    assert (book.synced, book.last_update_id, book.l2.last_update_id) == (True, 102, 102)
    assert book.l2.levels() == ({1000: 19, 991: 1}, {1001: 3})
    assert book.l2.state == BookState.BOOK_GOOD


def test_a_snapshot_that_does_not_reach_the_first_kept_event_is_refused():
    book = L3OrderBook()
    book.apply(ADD, 8, 0, 990, 1, 150)
    assert book.snapshot(ROWS, 148) == L3Result.L3_SNAPSHOT_TOO_OLD
    assert not book.synced and book.l2.state == BookState.BOOK_SYNCING
    assert book.snapshot(ROWS, 149) == L3Result.L3_SYNCED
    assert book.order_count(0, 990) == 1


def test_old_events_are_dropped_and_a_gap_leads_back_to_syncing_with_its_event_kept():
    book = opened(ROWS)
    assert book.apply(DELETE, 1, update_id=100) == L3Result.L3_DROPPED_OLD
    assert book.apply(NOTHING, 0, update_id=101) == L3Result.L3_APPLIED
    assert book.apply(DELETE, 1, update_id=103) == L3Result.L3_GAP
    assert book.gap == (102, 103) and book.counters["gaps"] == 1
    assert not book.synced and book.l2.state == BookState.BOOK_SYNCING
    assert book.apply(DELETE, 3, update_id=104) == L3Result.L3_PENDING
    assert book.snapshot([], 101) == L3Result.L3_SNAPSHOT_TOO_OLD
    assert book.snapshot(ROWS, 102) == L3Result.L3_SYNCED
    assert book.queue(0, 1000) == [(2, 7)] and book.last_update_id == 104


def test_a_gap_among_kept_events_leaves_those_behind_it_for_the_next_snapshot():
    book = L3OrderBook()
    for key, update_id in ((1, 101), (2, 102), (3, 105), (4, 106)):
        assert book.apply(ADD, key, 0, 1000, 1, update_id) == L3Result.L3_PENDING
    assert book.snapshot([], 100) == L3Result.L3_GAP
    assert not book.synced
    assert book.snapshot([], 104) == L3Result.L3_SYNCED
    assert book.queue(0, 1000) == [(3, 1), (4, 1)] and book.last_update_id == 106


def test_more_kept_events_than_fit_drop_the_older_ones_and_count_them():
    book = L3OrderBook()
    for update_id in range(1, 65536 + 3):
        assert book.apply(NOTHING, 0, update_id=update_id) == L3Result.L3_PENDING
    assert book.counters["dropped_pending"] == 65536
    assert book.snapshot([], 65535) == L3Result.L3_SNAPSHOT_TOO_OLD
    assert book.snapshot([], 65536) == L3Result.L3_SYNCED and book.last_update_id == 65538


def test_an_order_without_room_is_refused_counted_and_only_a_snapshot_ends_it():
    book = opened(ROWS + [(4, 1, 1001, 1)], order_capacity=4)
    assert book.apply(ADD, 5, 1, 1002, 1, 101) == L3Result.L3_OVERFLOW
    assert book.counters["overflows"] == 1 and not book.synced and book.l2.state == BookState.BOOK_SYNCING
    assert book.snapshot([*ROWS, (4, 1, 1001, 1), (5, 1, 1002, 1)], 101) == L3Result.L3_OVERFLOW
    assert not book.synced and book.counters["overflows"] == 2
    assert book.snapshot(ROWS, 102) == L3Result.L3_SYNCED


def test_a_ladder_without_room_for_the_price_loses_the_book():
    # The far map of a side takes 49,152 levels.
    book = opened([(0, 0, 10, 1)], order_capacity=65536, window_ticks=4096)
    results = [book.apply(ADD, i, 1, 100_000 * i, 1, 100 + i) for i in range(1, 49_200)]
    lost = results.index(L3Result.L3_OVERFLOW)
    assert 49_140 < lost < 49_200 and set(results[:lost]) == {L3Result.L3_APPLIED}
    assert not book.synced and book.l2.state == BookState.BOOK_SYNCING


def test_what_cannot_be_true_loses_the_book_and_what_never_rested_does_not():
    for event in ((ADD, 1, 0, 1000, 1), (MATCH, 1, 0, None, 6), (MATCH, 77, 0, None, 1), (ADD, 9, 0, 1000, 2 ** 63 - 10)):
        book = opened(ROWS)
        assert book.apply(*event, 101) == L3Result.L3_INCONSISTENT
        assert not book.synced and book.counters["inconsistent"] == 1
    book = opened(ROWS)
    assert book.apply(DELETE, 77, update_id=101) == L3Result.L3_UNKNOWN_ORDER
    assert book.apply(CHANGE, 77, 0, 1000, 5, 102) == L3Result.L3_UNKNOWN_ORDER
    assert book.synced and book.counters["unknown"] == 2 and book.last_update_id == 102


def test_a_lost_book_trusts_nothing_until_a_snapshot():
    book = opened(ROWS)
    book.lose()
    assert not book.synced and book.l2.state == BookState.BOOK_SYNCING
    assert book.apply(DELETE, 1, update_id=101) == L3Result.L3_PENDING
    assert book.snapshot(ROWS, 100) == L3Result.L3_SYNCED
    assert book.queue(0, 1000) == [(2, 7), (3, 9)]


def test_a_crossed_book_is_stale_and_good_again_when_it_is_uncrossed():
    book = opened([*ROWS, (4, 1, 1001, 1)])
    book.apply(ADD, 5, 0, 1001, 1, 101)
    assert book.l2.crossed and book.l2.state == BookState.BOOK_STALE
    book.apply(MATCH, 4, 0, None, 1, 102)
    assert not book.l2.crossed and book.l2.state == BookState.BOOK_GOOD


def test_capacity_and_rules_are_checked_at_the_start():
    with pytest.raises(ValueError, match="order_capacity: expected a power of two up to 268435456, found 3"):
        L3OrderBook(order_capacity=3)
    with pytest.raises(ValueError, match="rules: expected one of coinbase, kraken, found 'bitstamp'"):
        L3OrderBook(rules="bitstamp")


# ---- records

def records(rows):
    """OrderDelta records as bytes; rows: (flags, update_id, action, key, price, qty)."""
    out = np.zeros(len(rows), DTYPES[EventType.EV_ORDER_DELTA])
    out["type"], out["type2"] = EventType.EV_ORDER_DELTA, EventType.EV_CONT
    for record, (flags, update_id, action, key, price, qty) in zip(out, rows, strict=True):
        record["flags"], record["update_id"], record["action"] = flags, update_id, action
        record["order_key_high"], record["order_key_low"] = key >> 64, key & MASK
        record["price_ticks"], record["qty_lots"] = price, qty
    out["ts_recv_ns"] = 1_700_000_000_000_000_000
    return out.view(np.uint8)


def test_records_carry_a_snapshot_and_what_follows():
    book = L3OrderBook()
    key = 2 ** 127 + 5
    assert book.on_orders(records([
        (FIRST | LAST, 11, ADD, 7, 999, 4),
        (SNAPSHOT | FIRST, 10, ADD, key, 1000, 5), (SNAPSHOT, 10, ADD, 2, 1000, 7), (SNAPSHOT | ASK | LAST, 10, ADD, 3, 1001, 9),
        (FIRST | LAST, 12, DELETE, 2, 0, 0),
    ])) == [L3Result.L3_PENDING, L3Result.L3_APPLIED, L3Result.L3_APPLIED, L3Result.L3_SYNCED, L3Result.L3_APPLIED]
    assert book.l2.levels() == ({1000: 5, 999: 4}, {1001: 9})
    assert book.queue_ahead(key) == 0 and book.last_update_id == 12


def test_a_snapshot_of_nothing_is_one_record_without_an_order():
    book = opened(ROWS, rules="kraken")
    assert book.on_orders(records([(SNAPSHOT | FIRST | LAST, 0, NOTHING, 0, 0, 0)])) == [L3Result.L3_SYNCED]
    assert len(book) == 0 and book.l2.levels() == ({}, {})


def test_records_that_are_not_whole_are_refused():
    with pytest.raises(ValueError, match="expected whole 128-byte OrderDelta records, found 64 bytes"):
        L3OrderBook().on_orders(np.zeros(64, np.uint8))


# ---- Kraken

# The example of https://docs.kraken.com/api/docs/guides/spot-ws-l3-v2 (seen 2026-11-21): price and quantity of each order as sent.
KRAKEN_BIDS = """44939.4 0.88968699 0.45210000 0.10000000 0.14296323 0.25000000 0.10292988 0.33880000 1.28140860
44937.1 0.03346877
44934.7 0.35630000
44930.2 0.22734299 0.01000000 0.05550000 0.70000000 0.15000000
44928.0 0.00105240
44919.6 0.33870000
44919.5 0.07610000
44912.0 0.35630000
44909.7 0.06690000
44901.9 0.00088982"""
KRAKEN_ASKS = """44939.5 4.52308393 0.00111261 0.00100000 0.01000000
44950.0 0.10334926
44953.0 0.00064537
44955.0 0.00250000
44959.6 0.35630000 0.35630000
44960.1 0.00338072
44960.2 0.88967575
44967.0 3.14392283
44978.5 0.06778960
44979.2 0.35630000"""
KRAKEN_CHECKSUM = 1063832831


def kraken_example():
    keys = iter(range(1, 100))
    return [(next(keys), side, int(price.replace(".", "")), int(qty.replace(".", "")))
            for side, text in enumerate((KRAKEN_BIDS, KRAKEN_ASKS)) for line in text.splitlines()
            for price, *quantities in [line.split()] for qty in quantities]


def kraken_books():
    book = L3OrderBook("0.1", "0.00000001", rules="kraken", order_capacity=1024)
    return book, Checksum(ChecksumKind.CHECKSUM_KRAKEN, "0.1", "0.00000001")


def l3_reference(reference):
    rows = reference.rows()
    text = ""
    for side in (1, 0):
        prices = list(dict.fromkeys(row[2] for row in rows if row[1] == side))[:10]
        text += "".join(f"{price}{qty}" for _, s, price, qty in rows if s == side and price in prices)
    return zlib.crc32(text.encode())


def test_krakens_documented_checksum_is_reproduced_and_depends_on_the_order_of_a_queue():
    rows = kraken_example()
    book, checksum = kraken_books()
    assert len(rows) == 35 and book.snapshot(rows) == L3Result.L3_SYNCED
    assert book.checksum(checksum) == KRAKEN_CHECKSUM
    rows[0], rows[1] = rows[1], rows[0]
    assert book.snapshot(rows) == L3Result.L3_SYNCED
    assert book.checksum(checksum) != KRAKEN_CHECKSUM


def test_an_update_without_sequence_before_a_snapshot_is_dropped_and_counted():
    book, _ = kraken_books()
    assert book.apply(ADD, 1, 0, 1000, 5) == L3Result.L3_DROPPED_UNSYNCED
    assert book.counters["dropped_unsynced"] == 1 and len(book) == 0


def test_a_book_cut_to_its_depth_forgets_the_orders_of_what_is_cut():
    rows = kraken_example()
    book, checksum = kraken_books()
    book.snapshot(rows)
    assert book.apply(ADD, 100, 0, 449393, 5) == L3Result.L3_APPLIED
    assert book.apply(ADD, 101, 1, 10 ** 9, 5) == L3Result.L3_APPLIED        # far outside the window
    book.truncate(10)
    assert (book.l2.bid_levels, book.l2.ask_levels) == (10, 10)
    assert book.queue_ahead(101) is None and book.queue(0, 449019) == [] and len(book) == 35
    book.truncate(3)
    assert sorted(book.l2.levels()[0]) == [449371, 449393, 449394] and len(book) == 10 + 6
    # What comes back into the depth is added anew.
    assert book.apply(ADD, 21, 0, 449019, 88982) == L3Result.L3_APPLIED
    with pytest.raises(ValueError, match="depth: expected at least 1, found 0"):
        book.truncate(0)


def test_checksum_equals_the_reference_while_orders_come_and_go():
    source = random.Random(11)
    book, checksum = kraken_books()
    reference = Reference(1024)
    assert book.snapshot([]) == L3Result.L3_SYNCED
    for _ in range(4000):
        live = list(reference.orders)
        action = source.choice((ADD, ADD, CHANGE, MATCH, DELETE)) if live else ADD
        key = source.getrandbits(128) if action == ADD else source.choice(live)
        side = source.randrange(2)
        if action == CHANGE:
            side = reference.orders[key][0]
        price = 5000 + source.randrange(30) if side else 5000 - source.randrange(1, 30)
        if action != ADD and source.random() < 0.5:
            price = None
        qty = source.randrange(1, 10 ** source.randrange(1, 12))
        if action == MATCH:
            qty = source.randrange(1, reference.orders[key][2] + 1)
        assert book.apply(action, key, side, price, qty) == reference.apply(action, key, side, price, qty) == L3Result.L3_APPLIED
        assert book.checksum(checksum) == l3_reference(reference)
    # A long queue is more than one join takes.
    book.snapshot([])
    reference = Reference(1024)
    for i in range(900):
        assert book.apply(ADD, i, 0, 4999, 10 ** 9 + i) == reference.apply(ADD, i, 0, 4999, 10 ** 9 + i) == L3Result.L3_APPLIED
    assert book.checksum(checksum) == l3_reference(reference)


def test_checksum_of_another_kind_is_refused():
    with pytest.raises(ValueError, match="expected one of kind CHECKSUM_KRAKEN"):
        opened().checksum(Checksum(ChecksumKind.CHECKSUM_OKX, "0.1", "1"))
