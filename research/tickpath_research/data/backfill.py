"""Backfill: what a store does not cover is asked for, page by page, and stored; what it covers is never asked for again.

A page is a range of time together with everything that the venue has in it. The venue's word is taken only for what its
answer proves: candles that are missing between two others of one answer are missing at the venue; where an answer begins
late, ends early or is empty, the rest is asked for once more, since it may have been cut (a lower limit than ours, a
venue that counts from the newest). So a hole that is stored as covered is an outage of the venue, not one of ours.
"""
import time
from dataclasses import dataclass, field

from tickpath_research.data.layout import (
    DataError,
    Disagreement,
    merged,
    missing,
    month_end,
    split_months,
    time_text,
)
from tickpath_research.data.raw_log import Page
from tickpath_research.data.source import trade_order

SETTLE_MS = 10_000                    # a venue may still change what is younger than this
OVERLAP_CANDLES = 3                   # that are asked for again where a run goes on behind stored ones
TRADE_WINDOW_MS = 3_600_000           # Binance refuses more than one hour between startTime and endTime
NEAR_NOW_CANDLES = 3


@dataclass
class Result:
    """What a backfill did, or had done when it was ended by an error."""
    pages_new: int = 0
    rows_new: int = 0
    rows_compared: int = 0
    fetched: list = field(default_factory=list)               # merged [from_ms, to_ms)
    elapsed_s: float = 0.0
    interrupted: bool = False


# ---- candles
class CandleWalk:
    """Pages of candles. Parameters: source : Source.  series : Series of kind candles."""

    def __init__(self, source, series):
        source.require("fetchOHLCV", series.interval)
        self.source, self.series, self.step_ms = source, series, series.interval_ms
        self.limit = source.page_limit(series.symbol, "fetchOHLCV")
        self._empty_to_ms = 0         # the venue has said that nothing opens before this

    def pages(self, from_ms, to_ms):
        """Pages of [from_ms, to_ms), both on the grid; none crosses the end of a month."""
        while from_ms < to_ms:
            end_ms = min(from_ms + self.limit * self.step_ms, month_end(from_ms), to_ms)
            answers = []
            if self._empty_to_ms > end_ms:
                end_ms = min(self._empty_to_ms, month_end(from_ms), to_ms)
                rows = []
            else:
                rows = self._window(from_ms, end_ms, answers)
            yield Page(from_ms=from_ms, to_ms=end_ms, rows=rows, answers=answers)
            from_ms = end_ms

    def _window(self, from_ms, to_ms, answers):
        rows = self._complete(from_ms, to_ms, answers)
        if not rows:
            rows = self._complete(from_ms, to_ms, answers)
        if not rows:
            self._look_ahead(from_ms, to_ms, answers)
        return rows

    def _complete(self, from_ms, to_ms, answers):
        """Everything in a window: where an answer leaves an end of it open, that end is asked for again."""
        rows, todo = [], [(from_ms, to_ms)]
        while todo:
            begin_ms, end_ms = todo.pop()
            inside, behind = self._ask(begin_ms, end_ms, answers)
            if not inside:
                self._check_not_clamped(begin_ms, end_ms, behind)
                continue
            rows += inside
            ends = (begin_ms, inside[0][0]), (inside[-1][0] + self.step_ms, end_ms)
            todo += [(a, b) for a, b in ends if a < b]
        return sorted(rows)

    def _ask(self, from_ms, to_ms, answers):
        """(rows in the window, rows behind it) of one answer, checked."""
        rows, got = self.source.candles(self.series.symbol, self.series.interval, from_ms, to_ms, self.limit)
        answers += got
        checked = {}
        for row in rows:
            if row[0] % self.step_ms:
                raise DataError(f"{self.series}: expected candles that open at multiples of {self.series.interval}, found one at "
                                f"{time_text(row[0])}")
            known = checked.setdefault(row[0], row)
            if known != row:
                raise Disagreement(f"{self.series}: candle of {time_text(row[0])}: expected one, found two in one answer: "
                                   f"{row_text(known)} and {row_text(row)}")
        rows = [checked[t] for t in sorted(checked)]
        return [r for r in rows if from_ms <= r[0] < to_ms], [r for r in rows if r[0] >= to_ms]

    def _check_not_clamped(self, from_ms, to_ms, behind):
        """A venue that keeps little history answers with its newest candles, whatever was asked for: that is no outage."""
        if behind and behind[-1][0] + NEAR_NOW_CANDLES * self.step_ms >= self.source.now_ms():
            raise DataError(f"{self.series}: expected candles from {time_text(from_ms)} to {time_text(to_ms)}, found those from "
                            f"{time_text(behind[0][0])} on: the venue keeps no older ones. Use --since {time_text(behind[0][0])}")

    def _look_ahead(self, from_ms, to_ms, answers):
        """Behind an empty window: where does the venue go on? Years before a listing take one question then, not thousands."""
        rows, got = self.source.candles(self.series.symbol, self.series.interval, from_ms, None, 1)
        answers += got
        if rows and rows[0][0] >= to_ms and rows[-1][0] + NEAR_NOW_CANDLES * self.step_ms < self.source.now_ms():
            self._empty_to_ms = rows[0][0]


# ---- trades
class TradeWalk:
    """Pages of trades. Where ids are consecutive (source.is_paged_by_id) they are the way from page to page; elsewhere time
    is, and the trades of a page's last millisecond are asked for again with the next.

    A page ends before the millisecond of the last trade known so far, of which there may be more to come.
    """

    def __init__(self, source, series):
        source.require("fetchTrades")
        self.source, self.series = source, series
        self.limit = source.page_limit(series.symbol, "fetchTrades")
        self._first_ms = None         # of the venue's first trade, where it can be asked for

    def pages(self, from_ms, to_ms):
        for begin_ms, end_ms in split_months(from_ms, to_ms):
            yield from self._month(begin_ms, end_ms)

    def _month(self, cursor_ms, to_ms):
        held, answers, window_ms = [], [], cursor_ms       # held: trades from cursor_ms on that no page has yet
        while cursor_ms < to_ms:
            by_id = held and self.source.is_paged_by_id
            if by_id:
                rows, got = self.source.trades_from_id(self.series.symbol, int(held[-1][1]) + 1, self.limit)
                end_ms = to_ms
            else:
                window_ms = held[-1][0] if held else cursor_ms
                end_ms = min(window_ms + TRADE_WINDOW_MS - 1, to_ms)
                rows, got = self._window(window_ms, end_ms)
            answers += got
            known = {row[1] for row in held}
            new = [row for row in rows if row[1] not in known and (by_id or row[0] >= window_ms)]
            inside = [row for row in new if row[0] < end_ms]
            if by_id and new and (new[0][0] < held[-1][0] or int(new[0][1]) <= int(held[-1][1])):
                raise DataError(f"{self.series}: expected trades behind {row_name(self.series, held[-1])}, found "
                                f"{row_name(self.series, new[0])}")
            if not inside and not by_id and len(rows) >= self.limit and {row[0] for row in rows} == {window_ms}:
                raise DataError(f"{self.series}: expected fewer than {self.limit} trades in one millisecond, found "
                                f"{len(rows)} at {time_text(window_ms)}: this venue cannot be paged by time")
            held += inside
            ended = len(inside) < len(new) or not inside
            page_ms = end_ms if ended else held[-1][0]
            if not held and self.source.is_paged_by_id:
                page_ms = max(page_ms, min(self._first_trade_ms(answers), to_ms))
            if page_ms > cursor_ms:
                yield Page(from_ms=cursor_ms, to_ms=page_ms, rows=[r for r in held if r[0] < page_ms], answers=answers)
                held, answers, cursor_ms = [r for r in held if r[0] >= page_ms], [], page_ms

    def _first_trade_ms(self, answers):
        """Time of the first trade ever; 0 where there is none. Years before a listing take one question then."""
        if self._first_ms is None:
            rows, got = self.source.trades_from_id(self.series.symbol, 0, 1)
            answers += got
            self._first_ms = rows[0][0] if rows else 0
        return self._first_ms

    def _window(self, from_ms, to_ms):
        """Trades of a window of time; an empty or a wholly later answer is not believed at once."""
        rows, got = self.source.trades(self.series.symbol, from_ms, to_ms, self.limit)
        if not any(from_ms <= row[0] < to_ms for row in rows):
            rows, more = self.source.trades(self.series.symbol, from_ms, to_ms, self.limit)
            got += more
        behind = [row for row in rows if row[0] >= to_ms]
        # From somewhere behind the window up to now: a venue that gives its newest trades whatever it is asked.
        if behind and len(behind) == len(rows) and behind[-1][0] + TRADE_WINDOW_MS >= self.source.now_ms():
            raise DataError(f"{self.series}: expected trades from {time_text(from_ms)} to {time_text(to_ms)}, found those from "
                            f"{time_text(behind[0][0])} on: the venue keeps no older ones. Use --since "
                            f"{time_text(behind[0][0])}")
        if not self.source.is_paged_by_id and rows and rows[0][0] > from_ms:
            # Newest first, cut at a limit? Then there is more before the first of them.
            earlier, more = self.source.trades(self.series.symbol, from_ms, rows[0][0], self.limit)
            got += more
            known = {row[1] for row in rows}
            found = [row for row in earlier if row[1] not in known and from_ms <= row[0] < rows[0][0]]
            if found:
                raise DataError(f"{self.series}: expected the oldest trades from {time_text(from_ms)} on, found that an answer "
                                f"leaves out {len(found)} of them: this venue cannot be paged by time")
        return rows, got


def walk(source, series):
    return (CandleWalk if series.kind == "candles" else TradeWalk)(source, series)


# ---- agreement with what is stored
def row_text(row):
    if row is None:
        return "none"
    if len(row) == 6:
        return "open {} high {} low {} close {} volume {}".format(*row[1:])
    return "{1} {2} price {3} qty {4}".format(*row)


def row_name(series, row):
    return f"{'candle' if series.kind == 'candles' else f'trade {row[1]}'} of {time_text(row[0])}"


def check_agreement(series, stored, fetched, where):
    """Raises Disagreement, which names the first row that differs; returns how many were compared."""
    def key(row):
        return row[0] if series.kind == "candles" else trade_order(row)
    count = 0
    expected, found = {key(r): r for r in stored}, {key(r): r for r in fetched}
    for at in sorted(expected.keys() | found.keys()):
        a, b = expected.get(at), found.get(at)
        if a is None or b is None or any(not same_value(x, y) for x, y in zip(a, b, strict=True)):
            raise Disagreement(f"{series}: {row_name(series, a or b)}: expected {row_text(a)}, as stored in {where}, found "
                               f"{row_text(b)} at the venue; nothing was changed")
        count += 1
    return count


def same_value(a, b):
    """1.10 and 1.1 are one price: some venues do not always write their zeros."""
    def normal(value):
        return value.rstrip("0").rstrip(".") if isinstance(value, str) and "." in value else value
    return normal(a) == normal(b)


def overlap(store, begin_ms):
    """Start of what is to be asked for again where a fetch begins at begin_ms, or None where nothing stands before it."""
    before = next((r for r in store.covered() if r[1] == begin_ms), None)
    if before is None:
        return None
    step_ms = store.series.interval_ms
    if step_ms:
        return max(before[0], begin_ms - OVERLAP_CANDLES * step_ms)
    entry = next(f for f in store.raw_files() if f.to_ms == begin_ms)
    last = None
    for page in store.pages(entry.from_ms, entry.to_ms):
        last = page.rows[-1][0] if page.rows else last
    return last


def check_overlap(store, source, begin_ms):
    """The venue's word on the last rows that are stored, against what is stored."""
    from_ms = overlap(store, begin_ms)
    if from_ms is None:
        return 0
    series = store.series
    if series.kind == "candles":
        fetched, _ = source.candles(series.symbol, series.interval, from_ms, begin_ms, OVERLAP_CANDLES)
        end_ms = begin_ms
    else:
        # The last stored trades are those of one millisecond; what came later was all asked for and was empty.
        end_ms = from_ms + 1
        limit = source.page_limit(series.symbol, "fetchTrades")
        fetched, _ = source.trades(series.symbol, from_ms, end_ms, limit)
        if len(fetched) >= limit:
            return 0                  # one answer does not hold them all
    return check_agreement(series, store.rows(from_ms, end_ms), [r for r in fetched if from_ms <= r[0] < end_ms],
                           store.raw_dir)


# ---- the run
def wanted_range(series, since_ms, until_ms, now_ms):
    """[since, until) as asked for, cut to what is settled; for candles, to whole ones inside it."""
    until_ms = min(now_ms - SETTLE_MS, until_ms if until_ms is not None else now_ms)
    step_ms = series.interval_ms or 1
    since_ms, until_ms = -(-since_ms // step_ms) * step_ms, until_ms // step_ms * step_ms
    if since_ms >= until_ms:
        raise DataError(f"{series}: expected --since before --until and before now, found nothing between "
                        f"{time_text(since_ms)} and {time_text(until_ms)}")
    return since_ms, until_ms


class StoredRows:
    """The stored rows of a range, read once, beside pages that come in the same order."""

    def __init__(self, store, from_ms, to_ms):
        self._covered, self._rows, self._next = store.covered(), store.rows(from_ms, to_ms), None

    def take(self, page):
        """(stored rows of a page's range, the page's rows of those parts that are stored)."""
        stored = [] if self._next is None else [self._next]
        self._next = None
        for row in self._rows:
            if row[0] >= page.to_ms:
                self._next = row
                break
            stored.append(row)
        return stored, [r for r in page.rows if any(begin <= r[0] < end for begin, end in self._covered)]


def backfill(store, source, since_ms, until_ms, *, result, recheck=False, progress=None, stop=lambda: False):
    """Fetch what is missing of [since_ms, until_ms) into a store; or, with recheck, fetch all of it, compare what is stored
    with it, and write nothing.

    Parameters: store : SeriesStore, open for writing.  result : Result, filled as it goes, so that it is right in an error,
                too.  progress : called with (ms of time done, rows) after each page.  stop : asked after each page; True
                ends the run, with whole pages only.
    Errors: DataError, Disagreement, StoreDamage, UsageError.
    """
    started_s = time.monotonic()
    walker = walk(source, store.series)
    stored = StoredRows(store, since_ms, until_ms) if recheck else None
    todo = [(since_ms, until_ms)] if recheck else missing(store.covered(), since_ms, until_ms)
    try:
        for begin_ms, end_ms in todo:
            if not recheck:
                result.rows_compared += check_overlap(store, source, begin_ms)
            for page in walker.pages(begin_ms, end_ms):
                if recheck:
                    result.rows_compared += check_agreement(store.series, *stored.take(page), store.raw_dir)
                else:
                    store.append(page)
                    result.rows_new += len(page.rows)
                    result.pages_new += 1
                result.fetched = merged([*result.fetched, (page.from_ms, page.to_ms)])
                if progress is not None:
                    progress(page.to_ms - page.from_ms, len(page.rows))
                if stop():
                    result.interrupted = True
                    return
    finally:
        result.elapsed_s = time.monotonic() - started_s
