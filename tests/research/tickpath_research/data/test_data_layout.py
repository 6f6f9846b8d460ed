"""Series, times, coverage and exact decimals."""
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickpath_research.data.layout import (
    DAY_MS,
    MS,
    Series,
    UsageError,
    decimal_places,
    interval_ms,
    merged,
    missing,
    month_end,
    month_of,
    parse_time,
    plain_decimal,
    right_aligned,
    scaled,
    split_months,
    time_text,
    unscaled,
)

INTERVALS = ["1s", "1m", "3m", "5m", "15m", "1h", "4h", "12h", "1d"]
ranges = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20)).map(lambda r: (r[0], r[0] + r[1])), max_size=8)
decimals = st.decimals(min_value=0, max_value=10**9, allow_nan=False, allow_infinity=False, places=None)


@given(st.sampled_from(INTERVALS), st.integers(0, 2**40), st.integers(0, DAY_MS - 1))
def test_a_candle_is_labelled_by_the_first_instant_at_which_all_of_it_is_known(interval, opened, into):
    step_ms = interval_ms(interval)
    opened_ms = opened - opened % step_ms
    trade_ms = opened_ms + into % step_ms                 # any trade that ccxt's label opened_ms stands for
    ts_open_ns, ts_close_ns = right_aligned(opened_ms, step_ms)
    assert ts_open_ns <= trade_ms * MS < ts_close_ns
    assert right_aligned(opened_ms + step_ms, step_ms)[0] == ts_close_ns
    assert ts_close_ns % (step_ms * MS) == 0


@given(decimals)
def test_decimals_survive_the_way_through_ticks(number):
    text = plain_decimal(str(number))
    scale = decimal_places(text)
    if len(text) < 19:
        assert Decimal(unscaled(scaled(text, scale), scale)) == number
        assert Decimal(unscaled(scaled(text, scale + 1), scale + 1)) == number


def test_decimals_are_kept_as_written_and_exponents_written_out():
    assert plain_decimal("0.00141300") == "0.00141300" and decimal_places("0.00141300") == 6
    assert plain_decimal("1E-7") == "0.0000001" and plain_decimal("5e3") == "5000"
    assert unscaled(-5, 3) == "-0.005" and unscaled(7, 0) == "7"


@pytest.mark.parametrize("text", ["nan", "inf", "", "None", "1,5", "0x10"])
def test_what_is_no_finite_number_is_refused(text):
    with pytest.raises(ValueError):
        plain_decimal(text)


def test_a_number_beyond_int64_is_refused():
    assert scaled("9223372036854775807", 0) == 2**63 - 1
    with pytest.raises(OverflowError):
        scaled("92233720368547758.08", 2)


@given(ranges)
def test_merged_ranges_cover_the_same_points_and_stand_apart(given_ranges):
    points = {p for a, b in given_ranges for p in range(a, b)}
    result = merged(given_ranges)
    assert {p for a, b in result for p in range(a, b)} == points
    assert all(x[1] < y[0] for x, y in zip(result, result[1:], strict=False))


@given(ranges, st.integers(0, 40), st.integers(1, 50))
def test_missing_ranges_are_the_rest(given_ranges, begin, length):
    covered = merged(given_ranges)
    points = {p for a, b in covered for p in range(a, b)}
    rest = missing(covered, begin, begin + length)
    assert [p for a, b in rest for p in range(a, b)] == [p for p in range(begin, begin + length) if p not in points]


@given(st.integers(0, 2**41), st.integers(1, 200 * DAY_MS))
def test_months_are_cut_without_a_hole(begin, length):
    pieces = list(split_months(begin, begin + length))
    assert pieces[0][0] == begin and pieces[-1][1] == begin + length
    assert all(a[1] == b[0] for a, b in zip(pieces, pieces[1:], strict=False))
    assert all(month_of(a) == month_of(b - 1) and a < b <= month_end(a) for a, b in pieces)


def test_times_are_utc_and_come_back():
    assert parse_time("2024-08-08T23:55:00Z") == parse_time("2024-08-08 23:55") == parse_time("2024-08-09T01:55:00+02:00")
    assert time_text(parse_time("2024-08-08")) == "2024-08-08T00:00:00Z"
    assert time_text(1_570_752_011_620) == "2019-10-11T00:00:11.620Z"
    assert time_text(month_end(parse_time("2024-12-31"))) == "2025-01-01T00:00:00Z"
    with pytest.raises(UsageError, match="expected a time like"):
        parse_time("yesterday")


@pytest.mark.parametrize("interval", ["1M", "1w", "3d", "7m", "0m", "m", "1", ""])
def test_intervals_that_do_not_divide_a_day_are_refused(interval):
    with pytest.raises(UsageError, match="--interval"):
        interval_ms(interval)


def test_a_series_has_one_folder_and_names_what_is_wrong_with_it():
    assert str(Series("binance", "BTC/USDT:USDT", "candles", "1m").folder) == "binance/BTC_USDT_USDT/candles-1m"
    assert str(Series("binance", "XRP/ETH", "trades").folder) == "binance/XRP_ETH/trades"
    for bad in [("binance", "XRP/ETH", "quotes"), ("binance", "XRP/ETH", "trades", "1m"), ("binance", "XRP/ETH", "candles"),
                ("binance", "../x", "trades"), ("binance", "", "trades"), ("binance", "a b", "trades")]:
        with pytest.raises(UsageError):
            Series(*bad)
