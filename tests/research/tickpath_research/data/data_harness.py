"""Small stores made by hand, kills at a chosen step, and backfills from a VenueServer in the test's own process."""
import os

import zstandard

from tickpath_research.data import raw_log
from tickpath_research.data.backfill import Result, backfill, wanted_range
from tickpath_research.data.layout import Series, parse_time
from tickpath_research.data.processed import build_stale
from tickpath_research.data.raw_log import Answer, Page
from tickpath_research.data.source import Source
from tickpath_research.data.store import SeriesStore

MINUTE = 60_000
BEGIN = parse_time("2024-07-31T23:50")
SERIES = Series("binance", "BTC/USDT", "candles", "1m")


def page(first, count, begin=BEGIN, price="1.5"):
    rows = [[begin + i * MINUTE, price, price, price, price, f"{i}.25"] for i in range(first, first + count)]
    return Page(from_ms=begin + first * MINUTE, to_ms=begin + (first + count) * MINUTE, rows=rows,
                answers=[Answer(url="http://127.0.0.1/", status=200, received_ns=1, body="[]")])


PAGES = [page(0, 4), page(4, 6), page(10, 5), page(15, 5)]        # the second ends with July


def filled(root, pages=PAGES):
    with SeriesStore(root, SERIES, write=True) as store:
        for p in pages:
            store.append(p)
        build_stale(store)
    return SeriesStore(root, SERIES)


class Killed(BaseException):
    pass


def kill_at(monkeypatch, calls):
    """From the calls-th call on, what reaches the disk does so no more, as after a kill -9 between two instructions."""
    count = [0]

    def wrapped(real):
        def call(*args, **kwargs):
            count[0] += 1
            if count[0] >= calls:
                raise Killed
            return real(*args, **kwargs)
        return call
    for name in ("fsync", "rename"):
        monkeypatch.setattr(os, name, wrapped(getattr(os, name)))
    return count


def rewritten(path, change):
    """A raw file with its lines changed, each frame whole and right in itself."""
    with open(path, "rb") as f:
        lines = zstandard.ZstdDecompressor().stream_reader(f, read_across_frames=True).read().splitlines(keepends=True)
    compressor = zstandard.ZstdCompressor(level=raw_log.LEVEL, write_checksum=True)
    path.write_bytes(b"".join(compressor.compress(line) for line in change(lines)))


class Filler:
    """Backfills into one directory from one server, in this process, without the pauses of a real venue's rate limit."""

    def __init__(self, root, server):
        self.root, self.server, self.said = root, server, []

    def source(self, *symbols, **options):
        source = Source("binance", symbols, url=self.server.url, say=self.said.append, sleep=lambda s: None, **options)
        source.exchange.rateLimit = 0
        return source

    def __call__(self, symbol, since, until, kind="candles", interval="1m", *, source=None, recheck=False, stop=lambda: False):
        series = Series("binance", symbol, kind, interval if kind == "candles" else "")
        source = source or self.source(symbol)
        result = Result()
        with SeriesStore(self.root, series, write=True) as store:
            try:
                backfill(store, source, *wanted_range(series, parse_time(since), parse_time(until), source.now_ms()),
                         result=result, recheck=recheck, stop=stop)
            finally:
                if store.manifest.raw:
                    build_stale(store)
        self.result = result
        return SeriesStore(self.root, series)


def stored_rows(store):
    covered = store.covered()
    return list(store.rows(covered[0][0], covered[-1][1]))
