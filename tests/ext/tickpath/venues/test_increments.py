"""The increment of which all recorded numbers are multiples."""
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from tickpath.venues import increments
from tickpath.venues.increments import Increment

TEXTS = st.decimals(0, 10 ** 9, allow_nan=False, allow_infinity=False).map(lambda d: f"{d:f}"[:40])


def increment_of(*texts):
    found = Increment()
    for text in texts:
        found.add(text)
    return found


def test_the_increment_is_the_greatest_that_divides_every_number():
    assert increment_of("5.25", "3.50", "7").text() == "1.75"
    assert increment_of("100", "250").text() == "50"
    assert increment_of("0.000000454", "0.000000456").text() == "0.000000002"
    assert increment_of("0", "0.000").text() == increments.INCREMENT_UNKNOWN


@given(st.lists(TEXTS, min_size=1, max_size=8))
def test_every_number_is_a_multiple_whatever_their_order(texts):
    one, other = increment_of(*texts), increment_of(*reversed(texts), *texts)
    assert one.text() == other.text() and one.decimals == other.decimals == max(len(t.partition(".")[2]) for t in texts)
    if one.units:
        assert all(Fraction(t) % Fraction(one.text()) == 0 for t in texts)
    half = len(texts) // 2
    assert increment_of(*texts[:half]).merged(increment_of(*texts[half:])).text() == one.text()


def test_only_what_changes_something_says_so():
    found = Increment()
    assert [found.add(text) for text in ("4", "6", "6", "8", "8.0", "8.00", "5", "x", None, 7, "-1", "1e5", "", ".", "9" * 41)] == [
        True, True, False, False, True, True, True, *[False] * 8]
    assert (found.text(), found.decimals) == ("1", 2)


def test_texts_that_were_seen_are_forgotten_at_a_bound_and_then_read_again(monkeypatch):
    monkeypatch.setattr(increments, "KNOWN_TEXTS_MAX", 4)
    found = increment_of(*(str(n) for n in range(2, 1000, 2)))
    assert found.text() == "2" and len(found._known) <= 4
