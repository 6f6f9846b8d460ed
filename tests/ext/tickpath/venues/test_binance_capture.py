"""All recorded Binance captures: every frame decodes to what a JSON library reads, every book equals a plain one, every chain holds."""
import bisect
import functools
import itertools
import json
from collections import Counter

import pytest

from tickpath.capture import read_capture
from tickpath.market import OrderBook
from tickpath.market.book import BookResult
from tickpath.types import BookState, EventType, Status
from tickpath.venues.batch import MessageKind
from tickpath.venues.binance_facts import STATE, scan_facts
from tickpath.venues.decoders import MessageDecoder

# name: kind of decoder, file, how many of its frames, diffs that the books take, books that a quote answers to, those of them
# equal to it (the recorder's order of quotes and diffs explains the rest). The spot captures of BTCUSDT stand in
# test_binance_decode_golden.py.
CAPTURES = {
    "usdm btcusdt": ("binance_usdm", "ws/binance_usdm/hftbacktest_btcusdt_20240808.gz", None, 6547, 6546, 6546),
    "usdm 4 symbols": ("binance_usdm", "ws/binance_usdm/cryptofeed_BINANCE_FUTURES_20210722.jsonl.zst", None, 752, 744, 744),
    "coinm btcusd": ("binance_usdm", "ws/binance_coinm/hftbacktest_btcusd_perp_20240808.gz", 12000, 6772, 6771, 6771),
    "coinm btcusd, continued": ("binance_usdm", "ws/binance_coinm/hftbacktest_btcusd_perp_20240809.gz", 8000, 0, 0, 0),
    "coinm 10 symbols": ("binance_usdm", "ws/binance_coinm/cryptofeed_BINANCE_DELIVERY_20210722.jsonl.zst", None, 1788, 1788, 1785),
    "spot 2021-08": ("binance_spot", "ws/binance_spot/cryptofeed_BINANCE_20210814.jsonl.zst", None, 528, 527, 527),
    "spot 2021-10": ("binance_spot", "ws/binance_spot/cryptofeed_BINANCE_20211012.jsonl.zst", None, 172, 159, 159),
    "us 2021-10": ("binance_spot", "ws/binance_spot/cryptofeed_BINANCE_US_20211012.jsonl.zst", None, 332, 316, 316),
}
KINDS = {"bookTicker": MessageKind.MESSAGE_QUOTE, "trade": MessageKind.MESSAGE_TRADE, "aggTrade": MessageKind.MESSAGE_TRADE,
         "depthUpdate": MessageKind.MESSAGE_BOOK_DELTA, "kline": MessageKind.MESSAGE_BAR, "snapshot": MessageKind.MESSAGE_SNAPSHOT,
         "exchangeInfo": MessageKind.MESSAGE_NONE}


def e12(text):
    whole, _, fraction = text.partition(".")
    return int(whole + fraction.ljust(12, "0"))


class Grid:
    def __init__(self, tick_size, lot_size):
        self.sizes = tick_size, lot_size
        self.tick, self.lot = e12(tick_size), e12(lot_size)
        # A capture has the same texts again and again.
        self.price, self.qty = functools.cache(self.price), functools.cache(self.qty)

    def price(self, text):
        ticks, rest = divmod(e12(text), self.tick)
        assert rest == 0
        return ticks

    def qty(self, text):
        lots, rest = divmod(e12(text), self.lot)
        assert rest == 0
        return lots


class Recording:
    """A capture, decoded: rows of (message, kind name, status, kind, slots, by_scanner, update id, symbol)."""

    def __init__(self, path, kind, count):
        self.futures = kind == "binance_usdm"
        facts, frames = {}, []
        for frame in itertools.islice(read_capture(path), count):
            scan_facts(frame, facts)
            frames.append(frame)
        del facts[STATE]
        self.grids = {symbol: Grid(f.tick_size, f.lot_size) for (_, symbol), f in facts.items()}
        self.symbols = list(self.grids)
        decoder = MessageDecoder([(s, *g.sizes) for s, g in self.grids.items()], kind=kind)
        self.rows = []
        for frame in frames:
            message = json.loads(frame.data)
            data = message.get("data", message)
            name = data.get("e") or ("snapshot" if "lastUpdateId" in data else "exchangeInfo" if "symbols" in data else "bookTicker")
            symbol = data.get("s") or data.get("symbol") or frame.symbol_hint or (self.symbols[0] if name == "snapshot" else None)
            hint = self.symbols.index(symbol) if name == "snapshot" else 0xFFFFFFFF
            status, found, slots, scanned, _, update_id = decoder.decode(frame.data, frame.ts_recv_ns, hint)
            self.rows.append((data, name, status, found, slots, scanned, update_id, symbol))


def check_kinds(recording):
    expected, found = Counter(), Counter()
    for _, name, status, kind, _, _, _, _ in recording.rows:
        expected[KINDS[name], Status.STATUS_UNSUPPORTED if name == "exchangeInfo" else Status.STATUS_OK] += 1
        found[kind, status] += 1
    assert found == expected


def check_scanner(recording):
    """Every hot message takes the scanner; a COIN-M snapshot, which names its pair, does not."""
    for data, name, _, _, _, scanned, _, _ in recording.rows:
        if name not in ("kline", "exchangeInfo"):
            assert scanned == (not (name == "snapshot" and "pair" in data)), data


def expected_records(recording, data, name, symbol):
    """Rows of (type, instrument, ts_venue_ns, four numbers)."""
    grid, instrument = recording.grids[symbol], recording.symbols.index(symbol)
    none = -2 ** 63
    if name == "bookTicker":
        return [(EventType.EV_QUOTE, instrument, data["T"] * 10 ** 6 if "T" in data else none, grid.price(data["b"]),
                 grid.qty(data["B"]), grid.price(data["a"]), grid.qty(data["A"]))]
    if name in ("trade", "aggTrade"):
        count = data["l"] - data["f"] + 1 if name == "aggTrade" else 1
        return [(EventType.EV_TRADE, instrument, data["T"] * 10 ** 6, grid.price(data["p"]), grid.qty(data["q"]),
                 data["a" if name == "aggTrade" else "t"], count)]
    if name == "depthUpdate":
        first, ts_ns = (data["pu"] + 1, data["T"]) if recording.futures else (data["U"], data["E"])
        return [(EventType.EV_BOOK_DELTA, instrument, ts_ns * 10 ** 6, grid.price(p), grid.qty(q), first, data["u"])
                for p, q in data["b"] + data["a"]] or [(EventType.EV_BOOK_DELTA, instrument, ts_ns * 10 ** 6, none, 0, first, data["u"])]
    if name == "snapshot":
        last = data["lastUpdateId"]
        return [(EventType.EV_BOOK_DELTA, instrument, data["T"] * 10 ** 6 if "T" in data else none, grid.price(p), grid.qty(q), last, last)
                for p, q in data["bids"] + data["asks"]]
    bar = data["k"]
    close_ns = (bar["T"] + 1) * 10 ** 6
    return [(EventType.EV_CANDLE, instrument, close_ns, *(grid.price(bar[k]) for k in "ohlc")),
            (EventType.EV_CONT, instrument, bar["t"] * 10 ** 6, grid.qty(bar["v"]), grid.qty(bar["V"]), bar["n"],
             close_ns - bar["t"] * 10 ** 6)]


def check_records(recording):
    for data, name, _, _, slots, _, update_id, symbol in recording.rows:
        if name == "exchangeInfo":
            assert len(slots) == 0
            continue
        numbers = slots["payload"].view("<i8").reshape(-1, 4).tolist()
        found = [(*head, *row) for head, row in zip(
            zip(slots["type"].tolist(), slots["instrument"].tolist(), slots["ts_venue_ns"].tolist(), strict=True), numbers, strict=True)]
        if name in ("trade", "aggTrade"):
            found = [(*row[:6], row[6] & 0xFFFFFFFF) for row in found]
            assert bool(slots[0]["flags"] & 1) == data["m"] and bool(slots[0]["flags"] & 2) == (name == "aggTrade")
        assert found == expected_records(recording, data, name, symbol), data
        if name == "bookTicker":
            assert update_id == data["u"]
        if name in ("depthUpdate", "snapshot"):
            flags = slots["flags"]
            bids = len(data["b"] if name == "depthUpdate" else data["bids"])
            levels = len(slots) if not flags[0] & 16 else 0
            assert [f & 1 for f in flags[:levels].tolist()] == [0] * bids + [1] * (levels - bids)
            assert (flags[0] & 4, flags[-1] & 8) == (4, 8) and set((flags & 2).tolist()) == {2 if name == "snapshot" else 0}
        if name == "kline":
            assert bool(slots[0]["flags"] & 1) == data["k"]["x"]


class PlainBook:
    """The venue's procedure, written plainly from its documentation: one snapshot, then diffs in sequence.

    "How to manage a local order book correctly", spot and USD-M: of futures, diffs with u < lastUpdateId are dropped, the first
    has U <= lastUpdateId <= u and each further one pu = the previous u; of spot, those with u <= lastUpdateId are dropped, the
    first has U <= lastUpdateId + 1 <= u and each further one U = the previous u + 1.
    """

    def __init__(self, grid, futures):
        self.grid, self.futures, self.last, self.waiting = grid, futures, None, []
        self.sides, self.fresh, self.applied = ({}, {}), True, 0
        self.ladders = [], []         # the prices of each side in order

    def message(self, data):
        if "lastUpdateId" in data:
            assert self.last is None
            self.sides = tuple({self.grid.price(p): self.grid.qty(q) for p, q in data[side]} for side in ("bids", "asks"))
            self.ladders = tuple(map(sorted, self.sides))
            self.last = data["lastUpdateId"]
            for diff in self.waiting:
                self.diff(diff)
        elif self.last is None:
            self.waiting.append(data)
        else:
            self.diff(data)

    def diff(self, data):
        if self.fresh:
            if data["u"] < self.last + (not self.futures):
                return
            assert data["U"] <= self.last + (not self.futures) <= data["u"]
        else:
            assert data["pu"] == self.last if self.futures else data["U"] == self.last + 1
        self.apply(data)
        self.applied += 1

    def apply(self, diff):
        for side, ladder, rows in zip(self.sides, self.ladders, (diff["b"], diff["a"]), strict=True):
            for price, qty in rows:
                ticks, lots = self.grid.price(price), self.grid.qty(qty)
                if lots:
                    if ticks not in side:
                        bisect.insort(ladder, ticks)
                    side[ticks] = lots
                elif side.pop(ticks, None) is not None:
                    del ladder[bisect.bisect_left(ladder, ticks)]
        self.last, self.fresh = diff["u"], False

    def best(self):
        bid, ask = self.ladders[0][-1], self.ladders[1][0]
        return bid, self.sides[0][bid], ask, self.sides[1][ask]


def check_books(recording, diffs_expected, best_expected, equal_expected):
    books = {s: OrderBook(*g.sizes, sync="rest") for s, g in recording.grids.items()}
    plains = {s: PlainBook(g, recording.futures) for s, g in recording.grids.items()}
    bests = {s: [] for s in books}
    quotes = {s: {} for s in books}
    for data, name, _, _, slots, _, update_id, symbol in recording.rows:
        if name == "bookTicker":
            quotes[symbol][update_id] = tuple(slots[0]["payload"].view("<i8").tolist())
        if name not in ("depthUpdate", "snapshot"):
            continue
        book, plain = books[symbol], plains[symbol]
        result = book.apply(slots)
        before = plain.applied
        plain.message(data)
        if plain.last is None:
            assert (book.state, result) == (BookState.BOOK_SYNCING, BookResult.BOOK_PENDING)
            continue
        best = plain.best()
        assert (*book.best_bid, *book.best_ask) == best and book.last_update_id == plain.last
        assert (book.state, book.bid_levels, book.ask_levels) == (BookState.BOOK_GOOD, *map(len, plain.sides))
        if plain.applied > before:
            bests[symbol].append((plain.last, best))
        if plain.applied % 256 == 0:
            assert book.levels() == plain.sides
    assert all(books[s].levels() == plains[s].sides for s in books)
    assert all(b.counters["gaps"] == 0 and b.counters["crossed"] == 0 for b in books.values())
    compared = equal = 0
    for symbol, rows in bests.items():
        ids = sorted(quotes[symbol])
        for last, best in rows:
            if at := bisect.bisect_right(ids, last):
                compared += 1
                equal += quotes[symbol][ids[at - 1]] == best
    assert (sum(p.applied for p in plains.values()), compared, equal) == (diffs_expected, best_expected, equal_expected)


@pytest.mark.parametrize("name", CAPTURES)
def test_capture_decodes_to_what_its_text_says_and_its_books_hold(shared_data, name):
    kind, file, count, *expected = CAPTURES[name]
    recording = Recording(shared_data(file), kind, count)
    check_kinds(recording)
    check_scanner(recording)
    check_records(recording)
    check_books(recording, *expected)
