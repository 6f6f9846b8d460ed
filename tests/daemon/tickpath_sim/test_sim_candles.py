"""Candles, windows and averages of trades: against sums over all trades, and against the venue's own recorded candles."""
import gzip
import json
from datetime import UTC, datetime

import numpy as np
import pytest

from tickpath.capture import read_capture
from tickpath_sim.trading import public_answers
from tickpath_sim.trading.candles import DAY_MS, INTERVALS, Candles, next_open_ms, open_ms_of
from tickpath_sim.trading.market_view import MarketView
from tickpath_sim.trading.tape import Aggregator, Tape, Trade, e8_of, fixed

E8 = 10**8
# 2026-02-27 21:58:20 UTC, a Friday shortly before the end of a month.
START_MS = 1_772_229_500_000


def utc_ms(*fields):
    return int(datetime(*fields, tzinfo=UTC).timestamp()) * 1000


@pytest.fixture(scope="module")
def trades():
    """8,000 trades over more than a day, with pauses of minutes."""
    rng = np.random.default_rng(5)
    times = START_MS + np.cumsum(rng.exponential(13_000, 8_000).astype(np.int64))
    prices = 60_000 * E8 + np.cumsum(rng.integers(-50, 51, 8_000)) * 10**6
    qtys = rng.integers(1, 100_000, 8_000) * 1000
    makers = rng.integers(0, 2, 8_000).astype(bool)
    return [Trade(n + 1, *row) for n, row in enumerate(zip(prices.tolist(), qtys.tolist(), times.tolist(), makers.tolist(),
                                                           strict=True))]


@pytest.fixture(scope="module")
def candles(trades):
    made = Candles(kept=1 << 20)
    for t in trades:
        made.add(t.id, t.price_e8, t.qty_e8, t.time_ms, t.is_buyer_maker)
    return made


def by_hand(trades, interval):
    """{opening: row of the candle}, the slow and obvious way."""
    groups = {}
    for t in trades:
        groups.setdefault(open_ms_of(interval, t.time_ms), []).append(t)
    return {open_ms: (g[0].price_e8, max(t.price_e8 for t in g), min(t.price_e8 for t in g), g[-1].price_e8,
                      sum(t.qty_e8 for t in g), sum(t.qty_e8 * t.price_e8 for t in g), len(g), g[0].id, g[-1].id,
                      sum(t.qty_e8 for t in g if not t.is_buyer_maker),
                      sum(t.qty_e8 * t.price_e8 for t in g if not t.is_buyer_maker)) for open_ms, g in groups.items()}


def fields(c):
    return (c.open_e8, c.high_e8, c.low_e8, c.close_e8, c.volume_e8, c.quote_e16, c.count, c.first_id, c.last_id,
            c.taker_volume_e8, c.taker_quote_e16)


@pytest.mark.parametrize("interval", list(INTERVALS))
def test_candles_of_every_interval_are_the_sums_of_their_trades(trades, candles, interval):
    assert {c.open_ms: fields(c) for c in candles.traded(interval)} == by_hand(trades, interval)


@pytest.mark.parametrize(("interval", "moment", "opening"), [
    ("3d", (2026, 2, 28, 5), (2026, 2, 27)), ("1w", (2026, 3, 1, 23, 59), (2026, 2, 23)), ("1w", (2026, 3, 2), (2026, 3, 2)),
    ("1M", (2026, 2, 28, 23), (2026, 2, 1)), ("8h", (2026, 2, 28, 15, 59), (2026, 2, 28, 8))])
def test_intervals_open_where_the_venue_opens_them(interval, moment, opening):
    assert open_ms_of(interval, utc_ms(*moment)) == utc_ms(*opening)


def test_a_month_is_followed_by_the_next_one_whatever_its_length():
    opens = [utc_ms(2027, 12, 1)]
    for _ in range(4):
        opens.append(next_open_ms("1M", opens[-1]))
    assert opens[1:] == [utc_ms(2028, month, 1) for month in (1, 2, 3, 4)]


def test_days_of_another_time_zone_begin_at_its_midnight(trades, candles):
    offset_ms = 8 * 3_600_000
    rows = candles.rows("1d", trades[-1].time_ms, limit=10, offset_ms=offset_ms)
    assert all((row.open_ms + offset_ms) % DAY_MS == 0 for row in rows)
    assert sum(row.count for row in rows) == len(trades)
    assert sum(row.quote_e16 for row in rows) == sum(t.price_e8 * t.qty_e8 for t in trades)


def test_intervals_without_trades_are_flat_at_the_last_price(candles, trades):
    rows = candles.rows("1s", trades[-1].time_ms + 5000, limit=200)
    assert [b.open_ms - a.open_ms for a, b in zip(rows, rows[1:], strict=False)] == [1000] * 199
    for before, row in zip(rows, rows[1:], strict=False):
        if not row.count:
            assert fields(row)[:4] == (before.close_e8,) * 4
            assert (row.first_id, row.last_id, row.volume_e8) == (-1, -1, 0)
    assert rows[-1].count == 0


def test_rows_from_a_start_are_the_first_ones_and_without_it_the_last(candles, trades):
    start_ms, now_ms = trades[500].time_ms, trades[-1].time_ms
    first = candles.rows("1m", now_ms, start_ms=start_ms, limit=10)
    assert first[0].open_ms == next_open_ms("1m", open_ms_of("1m", start_ms))
    assert len(first) == 10
    assert candles.rows("1m", now_ms, limit=10)[-1].open_ms == open_ms_of("1m", now_ms)
    ended = candles.rows("1m", now_ms, end_ms=start_ms, limit=3)
    assert ended[-1].open_ms == open_ms_of("1m", start_ms)


def test_a_window_holds_what_was_traded_within_it(candles, trades):
    now_ms = trades[-1].time_ms
    since_ms = open_ms_of("1m", now_ms - DAY_MS)
    inside = [t for t in trades if t.time_ms >= since_ms]
    stats = candles.stats(now_ms)
    assert (stats.first_id, stats.last_id, stats.count) == (inside[0].id, inside[-1].id, len(inside))
    assert stats.volume_e8 == sum(t.qty_e8 for t in inside)
    assert stats.before_e8 == trades[inside[0].id - 2].price_e8
    assert stats.average_e8 == sum(t.qty_e8 * t.price_e8 for t in inside) // stats.volume_e8
    assert (stats.high_e8, stats.low_e8) == (max(t.price_e8 for t in inside), min(t.price_e8 for t in inside))


def test_a_window_in_which_nothing_was_traded_stands_at_the_last_price(candles, trades):
    stats = candles.stats(trades[-1].time_ms + 3 * DAY_MS)
    assert (stats.count, stats.volume_e8, stats.open_e8, stats.close_e8) == (0, 0, trades[-1].price_e8, trades[-1].price_e8)
    assert Candles().stats(START_MS) is None


def test_the_average_price_weighs_the_last_five_minutes(trades):
    tape = Tape()
    for t in trades:
        tape.add(t)
    now_ms = trades[-1].time_ms + 100_000
    recent = [t for t in trades if open_ms_of("1s", t.time_ms) >= now_ms - 300_000]
    assert recent
    assert tape.average_e8(now_ms) == sum(t.price_e8 * t.qty_e8 for t in recent) // sum(t.qty_e8 for t in recent)
    assert tape.average_e8(now_ms + 400_000) == trades[-1].price_e8


def test_what_is_remembered_is_bounded(trades):
    tape, few = Tape(kept=100), Candles(kept=10)
    for t in trades[:5000]:
        tape.add(t)
        few.add(t.id, t.price_e8, t.qty_e8, t.time_ms, t.is_buyer_maker)
    assert len(tape.trades) == 100
    assert all(len(closed) <= 10 for closed in few.closed.values())
    assert [t.id for t in tape.recent(3)] == [4998, 4999, 5000]
    assert [t.id for t in tape.recent(3, from_id=4990)] == [4990, 4991, 4992]


def test_candles_agree_with_those_that_the_venue_recorded(shared_data):
    """Recorded candle messages of minutes that begin within the recording, against candles made of its recorded aggregates."""
    aggregates, recorded, checked = {}, [], 0
    for frame in read_capture(shared_data("ws/binance_usdm/cryptofeed_BINANCE_FUTURES_20210722.jsonl.zst")):
        if b'"e":"aggTrade"' in frame.data:
            t = json.loads(frame.data)["data"]
            aggregates.setdefault(t["s"], []).append(t)
        elif b'"e":"kline"' in frame.data:
            recorded.append(json.loads(frame.data)["data"]["k"])
    for k in recorded:
        inside = [t for t in aggregates.get(k["s"], ()) if k["f"] <= t["f"] and t["l"] <= k["L"]]
        # The candle may be ahead of the aggregates, or have begun before the recording.
        if not inside or inside[0]["f"] != k["f"] or inside[-1]["l"] != k["L"]:
            continue
        candles = Candles()
        for t in inside:
            candles.add(t["l"], e8_of(t["p"]), e8_of(t["q"]), t["T"], t["m"])
        c = candles.newest("1m")
        assert (c.open_ms, c.open_e8, c.high_e8, c.low_e8, c.close_e8, c.volume_e8, c.taker_volume_e8) == (
            k["t"], *(e8_of(k[name]) for name in "ohlcvV"))
        assert (c.quote_e16, c.taker_quote_e16) == (e8_of(k["q"]) * E8, e8_of(k["Q"]) * E8)
        checked += 1
    assert checked >= 10


@pytest.mark.parametrize(("value", "scale", "places", "text"), [
    (123456789, 8, 8, "1.23456789"), (123456789, 8, 2, "1.23"), (-5, 8, 8, "-0.00000005"), (150, 1, 0, "15"),
    (10**24 + 10**15, 16, 8, "100000000.10000000"), (7, 0, 2, "7.00"), (0, 8, 8, "0.00000000")])
def test_integers_are_written_as_the_venue_writes_decimals(value, scale, places, text):
    assert fixed(value, scale, places) == text


def test_spot_aggregates_one_takers_fills_at_one_price():
    made = Aggregator(by_taker=True)
    # Seller 9 takes two orders at 100 and one at 99, then seller 10 one at 99.
    ended = [made.add(Trade(n, price, 5, 1, True, buyer, seller)) for n, price, buyer, seller in (
        (1, 100, 3, 9), (2, 100, 4, 9), (3, 99, 5, 9), (4, 99, 6, 10))]
    rows = [row for rows in [*ended, made.take()] for row in rows]
    assert [(a.id, a.price_e8, a.qty_e8, a.first_id, a.last_id) for a in rows] == [
        (1, 100, 10, 1, 2), (2, 99, 5, 3, 3), (3, 99, 5, 4, 4)]
    assert made.take() == []


def test_futures_aggregate_price_and_side_of_a_tenth_of_a_second():
    made = Aggregator(by_taker=False)
    trades = [(1, 100, True, 700), (2, 101, False, 710), (3, 100, True, 799), (4, 100, False, 799), (5, 100, True, 800)]
    ended = [made.add(Trade(n, price, 5, time_ms, is_maker, n, 50 + n)) for n, price, is_maker, time_ms in trades]
    assert not any(ended[:4])
    assert [(a.price_e8, a.qty_e8, a.is_buyer_maker, a.first_id, a.last_id) for a in ended[4]] == [
        (100, 10, True, 1, 3), (101, 5, False, 2, 2), (100, 5, False, 4, 4)]
    assert [(a.first_id, a.time_ms) for a in made.take()] == [(5, 800)]


def test_recorded_rest_candles_have_the_shape_that_is_answered(shared_data):
    """Twelve fields of the same types, in the same order, as the venue's recorded answer."""
    mock = json.loads(gzip.decompress(shared_data("rest/binance/gct_http_mock.json.gz").read_bytes()))
    recorded = mock["routes"]["/api/v3/klines"]["GET"][0]["data"][0]
    view = MarketView("spot", {"BTCUSDT": None})
    view.tape("BTCUSDT").add(Trade(1, 60_000 * E8, E8, START_MS, False))
    row = public_answers.klines(view, {"symbol": "BTCUSDT", "interval": "1m"}, START_MS)[0]
    assert [type(value) for value in row] == [type(value) for value in recorded]
    assert row == [open_ms_of("1m", START_MS), *["60000.00000000"] * 4, "1.00000000", open_ms_of("1m", START_MS) + 59_999,
                   "60000.00000000", 1, "1.00000000", "60000.00000000", "0"]
