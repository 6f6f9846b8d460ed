"""Decimal text and grid counts, held to Python's exact arithmetic, and the decoder's fast way to the slow one."""
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from example_counts import examples
from tickpath.decimal import DecimalGrid, OffGridError

INT64_MAX = 2 ** 63 - 1
INCREMENTS = ["0.01", "0.00000001", "0.00001", "0.000001", "0.1", "0.5", "1", "5", "0.025", "0.0025", "1e3", "1E-7", "0.05",
              "2.5", "1000000", "0.000000000000000001", "0.123456789012345678", "9223372036854775807", "9.223372036854775807",
              "92233720368.54775807", "46116860184.27387904", "7", "0.00000003", "64", "0.00000512"]
increments = st.sampled_from(INCREMENTS) | st.builds(
    lambda mantissa, scale: str(Decimal(mantissa).scaleb(-scale)), st.integers(1, INT64_MAX), st.integers(0, 18))
units = st.integers(-INT64_MAX, INT64_MAX) | st.integers(-10 ** 6, 10 ** 6) | st.sampled_from([INT64_MAX, -INT64_MAX, 0, 1, -1])


def outcome(call, text):
    """The value, or the class of the error."""
    try:
        return call(text)
    except (OffGridError, OverflowError, ValueError) as e:
        return type(e)


def plain(value):
    """A Fraction with a finite decimal expansion as plain text, exactly."""
    text = format(Decimal(value.numerator), "f")
    decimals = 0
    while (value * 10 ** decimals).denominator != 1:
        decimals += 1
    digits = str(abs(int(value * 10 ** decimals))).rjust(decimals + 1, "0")
    text = digits if decimals == 0 else f"{digits[:-decimals]}.{digits[-decimals:]}"
    return f"-{text}" if value < 0 else text


@given(increments, units)
@settings(max_examples=examples(500))
def test_count_becomes_text_and_back(increment, count):
    grid = DecimalGrid(increment)
    text = grid.format(count)
    assert Fraction(text) == count * Fraction(increment)
    assert grid.parse(text) == count
    # The decoder's buffers guarantee no more than 63 characters, which no count of a grid exceeds.
    assert len(text) <= 41
    assert grid.parse_quoted(text) == count


@given(increments, units, st.integers(0, 12))
@settings(max_examples=examples(500))
def test_trailing_zeros_and_exponents_do_not_change_the_count(increment, count, zeros):
    grid = DecimalGrid(increment)
    exact = plain(count * Fraction(increment))
    padded = (exact if "." in exact else exact + ".0") + "0" * zeros
    scaled = f"{plain(count * Fraction(increment) * 10 ** zeros)}e-{zeros}"
    for text in (exact, padded, scaled, scaled.upper()):
        if text in (scaled, scaled.upper()) and len(scaled.partition("e")[0].replace(".", "").lstrip("-0")) > 38:
            continue                                  # more digits than are read, see decimal.pxd
        assert grid.parse(text) == count, text
        assert len(text) > 63 or grid.parse_quoted(text) == count, text


@given(increments, units, st.integers(1, 10 ** 9 - 1))
@settings(max_examples=examples(500))
def test_number_between_two_increments_is_refused_as_off_grid(increment, count, part):
    grid = DecimalGrid(increment)
    text = plain((count + Fraction(part, 10 ** 9)) * Fraction(increment))
    # More than 38 digits are refused for their number alone.
    refusals = (OffGridError,) if len(text.replace(".", "")) <= 38 else (OffGridError, OverflowError)
    with pytest.raises(refusals, match="expected a"):
        grid.parse(text)


@given(increments, st.integers(INT64_MAX + 1, 2 ** 80), st.booleans())
@example("0.01", INT64_MAX + 1, True)
def test_count_outside_int64_is_refused_as_overflow(increment, count, negative):
    text = plain((-count if negative else count) * Fraction(increment))
    grid = DecimalGrid(increment)
    with pytest.raises(OverflowError, match="within int64"):
        grid.parse(text)
    assert outcome(grid.parse_quoted, text) is (OverflowError if len(text) < 64 else ValueError)


def test_null_value_cannot_come_out_of_text():
    """INT64_MIN is PRICE_TICKS_NONE: it prints, but no text parses to it."""
    grid = DecimalGrid("1")
    assert grid.format(-2 ** 63) == "-9223372036854775808"
    with pytest.raises(OverflowError):
        grid.parse("-9223372036854775808")
    with pytest.raises(OverflowError):
        grid.parse_quoted("-9223372036854775808")


@given(st.text("0123456789.eE+-", max_size=30) | st.text(max_size=12)
       | st.from_regex(r"-?[0-9]{1,12}\.[0-9]{1,10}", fullmatch=True)
       | st.from_regex(r"-?[0-9]{0,20}\.?[0-9]{0,20}([eE][+-]?[0-9]{0,3})?", fullmatch=True), st.sampled_from(INCREMENTS))
@settings(max_examples=examples(800))
@example("", "0.01")
@example('1.00"5', "0.01")
@example("1.00\0", "0.01")
@example("9999999999.99999999", "0.00000001")
@example("10000000000.00000000", "0.01")
@example("12345678.1234567890", "0.01")
@example("1234567890123456.5", "0.5")
@example("12345678901234567.5", "0.5")
@example("61837.63:00000", "0.01")
@example("61837/63000000", "0.01")
@example("9.22337203", "9.223372036854775807")
def test_fast_way_agrees_with_the_slow_one_on_any_text(text, increment):
    grid = DecimalGrid(increment)
    slow, fast = outcome(grid.parse, text), outcome(grid.parse_quoted, text)
    assert slow == fast or (isinstance(slow, type) and isinstance(fast, type)), (slow, fast)


@given(st.integers(0, 99_999_999_999), st.integers(0, 8), st.data())
@settings(max_examples=examples(800))
def test_fast_way_agrees_on_plain_prices_of_every_length(whole, decimals, data):
    fraction = data.draw(st.integers(0, 10 ** decimals - 1)) if decimals else 0
    text = f"{whole}.{fraction:0{decimals}d}" if decimals else str(whole)
    for increment in ("0.01", "0.00000001", "0.5", "0.025", "0.00000003", "5"):
        grid = DecimalGrid(increment)
        assert outcome(grid.parse, text) == outcome(grid.parse_quoted, text), increment


@given(st.text("0123456789.eE+-", max_size=30)
       | st.from_regex(r"-?[0-9]{1,25}(\.[0-9]{1,12})?([eE][+-]?[0-9]{1,2})?", fullmatch=True),
       st.sampled_from(INCREMENTS))
@settings(max_examples=examples(800))
def test_whatever_is_accepted_is_exact(text, increment):
    count = outcome(DecimalGrid(increment).parse, text)
    if not isinstance(count, type):
        assert Fraction(Decimal(text)) == count * Fraction(increment)


@pytest.mark.parametrize("text", ["", "-", ".", ".5", "5.", "1..2", "1.2.3", "+1", " 1", "1 ", "1e", "1e+", "e5", "0x10", "1_000",
                                  "١", "nan", "Infinity", "--1", "1e5.0", "1,5"])
def test_text_that_is_no_json_like_decimal_is_refused(text):
    for parse in (DecimalGrid("0.01").parse, DecimalGrid("0.01").parse_quoted):
        with pytest.raises(ValueError, match="expected decimal text, found"):
            parse(text)


@pytest.mark.parametrize("increment, text, count", [
    ("0.01", "61837.63000000", 6183763), ("0.00000001", "0.02000000", 2_000_000), ("5", "10", 2),
    ("5", "-15.000", -3), ("0.025", "0.05", 2),
    ("1e3", "2000", 2), ("1e3", "2e3", 2), ("1e3", "2e6", 2000), ("0.01", "1E2", 10_000), ("0.01", "100e-2", 100),
    ("0.01", "0e999", 0), ("0.01", "0.00", 0), ("0.01", "007.50", 750), ("1", "10e-1", 1),
    ("0.00000001", "92233720368.54775807", INT64_MAX),
])
def test_known_texts_give_known_counts(increment, text, count):
    grid = DecimalGrid(increment)
    assert grid.parse(text) == grid.parse_quoted(text) == count


@pytest.mark.parametrize("increment, text, error", [
    ("0.01", "0.005", OffGridError), ("5", "7", OffGridError), ("0.025", "0.03", OffGridError), ("1e3", "1500", OffGridError),
    ("0.01", "1e-3", OffGridError), ("0.01", "1e-99999999999", OffGridError), ("0.01", "92233720368547758.08", OverflowError),
    ("1", "1e99999999999", OverflowError), ("0.01", "9" * 60, OverflowError),
])
def test_known_texts_outside_the_grid_are_refused(increment, text, error):
    for parse in (DecimalGrid(increment).parse, DecimalGrid(increment).parse_quoted):
        with pytest.raises(error):
            parse(text)


def test_quoted_text_without_an_end_in_sight_is_refused_and_not_read_on():
    assert DecimalGrid("0.01").parse_quoted("0" * 62 + "1") == 100
    with pytest.raises(ValueError, match="expected decimal text"):
        DecimalGrid("0.01").parse_quoted("0" * 63 + "1")


@pytest.mark.parametrize("increment, text", [
    ("0.010", "0.01"), ("1e3", "1000"), ("5", "5"), ("0.025", "0.025"), ("1E-8", "0.00000001")])
def test_grid_prints_its_increment(increment, text):
    assert str(DecimalGrid(increment)) == text
    assert repr(DecimalGrid(increment)) == f"DecimalGrid('{text}')"


@pytest.mark.parametrize("increment", ["0", "-1", "nan", "inf", "", "abc", "1e-19", "1e19", "9223372036854775808",
                                       "0.0000000000000000015"])
def test_increment_that_no_grid_can_have_is_refused(increment):
    with pytest.raises(ValueError, match="increment: expected a positive decimal with at most 18 decimals, found"):
        DecimalGrid(increment)


def test_counts_print_with_the_increments_own_decimals():
    assert DecimalGrid("0.01").format(6183763) == "61837.63"
    assert DecimalGrid("0.01").format(-5) == "-0.05"
    assert DecimalGrid("0.01").format(0) == "0.00"
    assert DecimalGrid("0.025").format(3) == "0.075"
    assert DecimalGrid("1e3").format(7) == "7000"
    assert DecimalGrid("0.000000000000000001").format(INT64_MAX) == "9.223372036854775807"
    assert DecimalGrid("9223372036854775807").format(INT64_MAX) == str(INT64_MAX ** 2)
