"""Candles of every interval that Binance has, built from trades, with a bounded history of each.

A trade touches one candle only, that of its second. When the second is over it is folded into the open candles of the longer
intervals, so that a trade costs the same however many intervals there are.

Prices and quantities are integers of 1e-8, quote amounts integers of 1e-16: products are exact.
"""
from collections import deque
from datetime import UTC, datetime
from itertools import chain
from typing import NamedTuple

__all__ = ["Candle", "Candles", "INTERVALS", "WindowStats", "next_open_ms", "open_ms_of"]

SECOND_MS, MINUTE_MS, HOUR_MS, DAY_MS = 1000, 60_000, 3_600_000, 86_400_000
# Length of each interval; of a month None, because it depends.
INTERVALS = {"1s": SECOND_MS, "1m": MINUTE_MS, "3m": 3 * MINUTE_MS, "5m": 5 * MINUTE_MS, "15m": 15 * MINUTE_MS,
             "30m": 30 * MINUTE_MS, "1h": HOUR_MS, "2h": 2 * HOUR_MS, "4h": 4 * HOUR_MS, "6h": 6 * HOUR_MS,
             "8h": 8 * HOUR_MS, "12h": 12 * HOUR_MS, "1d": DAY_MS, "3d": 3 * DAY_MS, "1w": 7 * DAY_MS, "1M": None}
# The Unix epoch was a Thursday; weeks begin on Monday.
WEEK_SHIFT_MS = 3 * DAY_MS
# The most that a request for candles may ask for (USD-M), and more than the minutes of a day.
CANDLES_KEPT = 1500


def open_ms_of(interval, time_ms, offset_ms=0):
    """When the interval that contains a time begins.

    Parameters: interval : a key of INTERVALS.  time_ms : Unix epoch.  offset_ms : of the time zone whose days count.
    """
    local_ms = time_ms + offset_ms
    if interval == "1M":
        day = datetime.fromtimestamp(local_ms // 1000, UTC)
        return int(datetime(day.year, day.month, 1, tzinfo=UTC).timestamp()) * 1000 - offset_ms
    shift_ms = WEEK_SHIFT_MS if interval == "1w" else 0
    return local_ms - (local_ms + shift_ms) % INTERVALS[interval] - offset_ms


def next_open_ms(interval, open_ms, offset_ms=0):
    """When the interval after the one that begins at `open_ms` begins."""
    if interval == "1M":
        # No month has more than 31 days, and none fewer than 28.
        return open_ms_of(interval, open_ms + 31 * DAY_MS + DAY_MS // 2, offset_ms)
    return open_ms + INTERVALS[interval]


class Candle:
    """One interval's trades. `count` 0: nothing was traded, all prices are the last one before."""
    __slots__ = ("open_ms", "first_id", "last_id", "open_e8", "high_e8", "low_e8", "close_e8", "volume_e8", "quote_e16",
                 "count", "taker_volume_e8", "taker_quote_e16")

    def __init__(self, open_ms, trade_id, price_e8):
        self.open_ms = open_ms
        self.first_id = self.last_id = trade_id
        self.open_e8 = self.high_e8 = self.low_e8 = self.close_e8 = price_e8
        self.volume_e8 = self.quote_e16 = self.count = self.taker_volume_e8 = self.taker_quote_e16 = 0

    @classmethod
    def flat(cls, open_ms, price_e8):
        return cls(open_ms, -1, price_e8)

    def copy(self):
        other = Candle.__new__(Candle)
        for name in Candle.__slots__:
            setattr(other, name, getattr(self, name))
        return other

    def absorb(self, later):
        """Add the trades of a candle that lies within this one and behind all that it holds."""
        self.last_id, self.close_e8 = later.last_id, later.close_e8
        self.high_e8, self.low_e8 = max(self.high_e8, later.high_e8), min(self.low_e8, later.low_e8)
        self.volume_e8 += later.volume_e8
        self.quote_e16 += later.quote_e16
        self.count += later.count
        self.taker_volume_e8 += later.taker_volume_e8
        self.taker_quote_e16 += later.taker_quote_e16


class WindowStats(NamedTuple):
    """What was traded in a window that ends now. `before_e8`: the last price before it, 0 if there was none."""
    open_ms: int
    close_ms: int
    first_id: int
    last_id: int
    open_e8: int
    high_e8: int
    low_e8: int
    close_e8: int
    volume_e8: int
    quote_e16: int
    count: int
    before_e8: int

    @property
    def average_e8(self):
        """Average price, weighted by quantity."""
        return self.quote_e16 // self.volume_e8 if self.volume_e8 else 0


class Candles:
    """One instrument's candles.

    Parameters: kept : closed candles with trades that are remembered, of each interval.
    """

    def __init__(self, kept=CANDLES_KEPT):
        self.closed = {interval: deque(maxlen=kept) for interval in INTERVALS}
        self._open = dict.fromkeys(INTERVALS)
        self._second = None                 # the candle of the present second, in no other yet
        self.last_e8 = 0                    # price of the last trade, 0 before the first

    def add(self, trade_id, price_e8, qty_e8, time_ms, is_buyer_maker):
        """One trade. A time that lies before the last trade's counts as that: a venue's trades are in order."""
        second = self._second
        if second is None or time_ms >= second.open_ms + SECOND_MS:
            if second is not None:
                self._fold(second)
            second = self._second = Candle(time_ms - time_ms % SECOND_MS, trade_id, price_e8)
        quote_e16 = price_e8 * qty_e8
        second.last_id, second.close_e8 = trade_id, price_e8
        if price_e8 > second.high_e8:
            second.high_e8 = price_e8
        elif price_e8 < second.low_e8:
            second.low_e8 = price_e8
        second.volume_e8 += qty_e8
        second.quote_e16 += quote_e16
        second.count += 1
        if not is_buyer_maker:
            second.taker_volume_e8 += qty_e8
            second.taker_quote_e16 += quote_e16
        self.last_e8 = price_e8

    def _fold(self, second):
        self.closed["1s"].append(second)
        for interval in INTERVALS:
            if interval == "1s":
                continue
            open_ms, candle = open_ms_of(interval, second.open_ms), self._open[interval]
            if candle is not None and candle.open_ms == open_ms:
                candle.absorb(second)
                continue
            if candle is not None:
                self.closed[interval].append(candle)
            candle = self._open[interval] = second.copy()
            candle.open_ms = open_ms

    def newest(self, interval):
        """The candle of the last trade, with that trade in it; None before the first. Not to be changed."""
        second = self._second
        if second is None or interval == "1s":
            return second
        candle, open_ms = self._open[interval], open_ms_of(interval, second.open_ms)
        if candle is None or candle.open_ms != open_ms:
            candle = second.copy()
            candle.open_ms = open_ms
            return candle
        candle = candle.copy()
        candle.absorb(second)
        return candle

    def traded(self, interval):
        """All candles that have trades and are remembered, oldest first."""
        found = list(self.closed[interval])
        if interval != "1s" and self._second is not None:
            last = self._open[interval]
            if last is not None and last.open_ms != open_ms_of(interval, self._second.open_ms):
                found.append(last)
        newest = self.newest(interval)
        return found if newest is None else [*found, newest]

    def rows(self, interval, now_ms, *, start_ms=None, end_ms=None, limit=500, offset_ms=0):
        """Candles whose opening lies in [start_ms, end_ms], oldest first; flat ones where nothing was traded.

        With start_ms the first `limit` of them, without it the last; none opens after now_ms.
        """
        source = self._zoned(interval, offset_ms) if offset_ms else self.traded(interval)
        if not source:
            return []
        known = {candle.open_ms: candle for candle in source}
        first_ms, last_ms = source[0].open_ms, open_ms_of(interval, now_ms, offset_ms)
        if end_ms is not None:
            last_ms = min(last_ms, open_ms_of(interval, end_ms, offset_ms))
        if start_ms is not None and start_ms > first_ms:
            first_ms = open_ms_of(interval, start_ms, offset_ms)
            if first_ms < start_ms:
                first_ms = next_open_ms(interval, first_ms, offset_ms)
        elif start_ms is None and INTERVALS[interval]:
            first_ms = max(first_ms, last_ms - (limit - 1) * INTERVALS[interval])
        rows, open_ms = [], first_ms
        close_e8 = next((c.close_e8 for c in reversed(source) if c.open_ms < first_ms), source[0].open_e8)
        while open_ms <= last_ms and (start_ms is None or len(rows) < limit):
            candle = known.get(open_ms) or Candle.flat(open_ms, close_e8)
            close_e8 = candle.close_e8
            rows.append(candle)
            open_ms = next_open_ms(interval, open_ms, offset_ms)
        return rows[-limit:]

    def _zoned(self, interval, offset_ms):
        """Candles of another time zone's hours and days, put together from shorter ones as far back as these reach."""
        length_ms = INTERVALS[interval]
        if length_ms is not None and offset_ms % length_ms == 0 and interval not in ("3d", "1w"):
            return self.traded(interval)
        finest = "15m" if offset_ms % INTERVALS["15m"] == 0 and (length_ms or DAY_MS) > INTERVALS["15m"] else "1m"
        found = []
        for part in self.traded(finest):
            open_ms = open_ms_of(interval, part.open_ms, offset_ms)
            if found and found[-1].open_ms == open_ms:
                found[-1].absorb(part)
            else:
                found.append(part.copy())
                found[-1].open_ms = open_ms
        return found

    def current(self, interval, now_ms, offset_ms=0):
        """The candle of this moment, flat when nothing has been traded in it; None before the first trade."""
        if offset_ms:
            rows = self.rows(interval, now_ms, limit=1, offset_ms=offset_ms)
            return rows[-1] if rows else None
        newest, open_ms = self.newest(interval), open_ms_of(interval, now_ms)
        return newest if newest is None or newest.open_ms >= open_ms else Candle.flat(open_ms, newest.close_e8)

    def stats(self, now_ms, window_ms=DAY_MS):
        """WindowStats of the last `window_ms`; None before the first trade.

        The window begins on a minute (one of more than a day on an hour), and so may be longer by less than that.
        """
        interval = "1m" if window_ms <= DAY_MS else "1h"
        open_ms = open_ms_of(interval, now_ms - window_ms)
        return self._stats(self.traded(interval), open_ms, now_ms)

    def day_stats(self, now_ms, offset_ms=0):
        """WindowStats of the calendar day so far."""
        open_ms = open_ms_of("1d", now_ms, offset_ms)
        return self._stats(self.traded("1m"), open_ms, now_ms)

    def recent(self, now_ms, seconds):
        """(volume_e8, quote_e16) of the last so many seconds."""
        volume_e8 = quote_e16 = 0
        since_ms = now_ms - seconds * SECOND_MS
        present = () if self._second is None else (self._second,)
        for candle in chain(present, reversed(self.closed["1s"])):
            if candle.open_ms < since_ms:
                break
            volume_e8 += candle.volume_e8
            quote_e16 += candle.quote_e16
        return volume_e8, quote_e16

    def _stats(self, candles, open_ms, now_ms):
        before_e8 = next((c.close_e8 for c in reversed(candles) if c.open_ms < open_ms), 0)
        parts = [c for c in candles if c.open_ms >= open_ms]
        if not parts:
            last_e8 = self.last_e8
            return None if not last_e8 else WindowStats(open_ms, now_ms, -1, -1, last_e8, last_e8, last_e8, last_e8, 0, 0, 0,
                                                        before_e8)
        return WindowStats(open_ms, now_ms, parts[0].first_id, parts[-1].last_id, parts[0].open_e8,
                           max(c.high_e8 for c in parts), min(c.low_e8 for c in parts), parts[-1].close_e8,
                           sum(c.volume_e8 for c in parts), sum(c.quote_e16 for c in parts), sum(c.count for c in parts),
                           before_e8)
