"""The truth's book and the JSON that keeps number texts."""
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickpath_sim.frames import fragments, frame
from tickpath_sim.ledger import Book, merge_rows
from tickpath_sim.protocols.base import shifted
from tickpath_sim.wire_json import NumberText, dumps, loads, reversed_keys

rows = st.lists(st.tuples(st.integers(1, 30), st.integers(0, 3)).map(lambda r: [f"{r[0]}.50", f"{r[1]}.0"]), max_size=30)


@given(rows, rows, rows, rows)
def test_the_changes_between_two_books_turn_one_into_the_other(bids, asks, new_bids, new_asks):
    book, target = Book(), Book()
    book.load(bids, asks)
    target.load(new_bids, new_asks)
    book.apply(*book.changes_to(target.bids.top(), target.asks.top()))
    assert book.describe(50) == target.describe(50)


@given(rows)
def test_a_side_is_sorted_and_holds_the_last_word_on_each_price(changes):
    book = Book()
    book.apply(changes, changes)
    wanted = {Decimal(p): q for p, q in changes}
    wanted = {p: q for p, q in wanted.items() if Decimal(q)}
    assert [Decimal(p) for p, _ in book.bids.top()] == sorted(wanted, reverse=True)
    assert [Decimal(p) for p, _ in book.asks.top()] == sorted(wanted)
    assert all(wanted[Decimal(p)] == q for p, q in book.asks.top())


@given(rows, rows)
def test_merged_rows_say_the_same_as_one_after_the_other(first, second):
    one, two = Book(), Book()
    one.apply(first, [])
    one.apply(second, [])
    two.apply(merge_rows(first, second), [])
    assert one.describe(50) == two.describe(50)


def test_a_book_of_limited_depth_lets_the_worst_levels_go():
    book = Book(2)
    book.apply([["1", "1"], ["2", "1"], ["3", "1"]], [["4", "1"], ["5", "1"], ["6", "1"]])
    assert [r[0] for r in book.bids.top()] == ["3", "2"] and [r[0] for r in book.asks.top()] == ["4", "5"]
    assert book.bids.top(0) == [] and book.describe(1)["best_bid"] == ["3", "1"]


def test_numbers_keep_their_text():
    text = b'{"a":0.00005100,"b":[1E-8,12,null,true,"x\\"y"],"c":{}}'
    assert dumps(loads(text)) == text
    assert dumps(reversed_keys(loads(text))) == b'{"c":{},"b":[1E-8,12,null,true,"x\\"y"],"a":0.00005100}'
    with pytest.raises(TypeError):
        dumps(1.5)


@pytest.mark.parametrize("text, shift, moved", [
    ("61737.63000000", "1234.75", "62972.38000000"), ("10", "0.5", "10.5"), ("0.01", "-0.02", None), ("1.00", "0", "1.00")])
def test_a_shifted_price_keeps_its_decimals(text, shift, moved):
    assert shifted(text, Decimal(shift)) == moved


def test_a_shifted_number_stays_a_number():
    assert type(shifted(NumberText("64525.3"), Decimal("0.1"))) is NumberText


@pytest.mark.parametrize("size, head", [(0, b"\x81\x00"), (125, b"\x81\x7d"), (126, b"\x81\x7e\x00\x7e"), (65535, b"\x81\x7e\xff\xff"),
                                        (65536, b"\x81\x7f\0\0\0\0\0\x01\0\0")])
def test_a_frame_has_the_shortest_length_that_fits(size, head):
    assert frame(b"a" * size) == head + b"a" * size


def test_fragments_join_to_the_message_even_when_it_is_short():
    assert fragments(b"abcde", 3) == b"\x01\x02ab" + b"\x00\x02cd" + b"\x80\x01e"
    assert fragments(b"a", 5) == b"\x81\x01a" and fragments(b"", 5) == b"\x81\x00"
