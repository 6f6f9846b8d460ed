"""The recorded Binance captures: counts, the book after every message, best prices against bookTicker, bars against klines."""
import functools
import json
from collections import Counter
from decimal import Decimal

import numpy as np
import pytest

from tickpath.capture import read_capture
from tickpath.market import OrderBook, build_bars
from tickpath.market.book import BookResult
from tickpath.shm.ring import records
from tickpath.types import BookState, EventType, Status
from tickpath.venues.batch import MessageKind
from tickpath.venues.decoders import MessageDecoder

FILES = ("hftbacktest_btcusdt_20240808.gz", "hftbacktest_btcusdt_20240809.gz")
# Counts of every message type as the captures' origin has them (tests/golden/README.md).
COUNTS = ({MessageKind.MESSAGE_QUOTE: 28040, MessageKind.MESSAGE_TRADE: 9757, MessageKind.MESSAGE_BOOK_DELTA: 3451,
           MessageKind.MESSAGE_SNAPSHOT: 1},
          {MessageKind.MESSAGE_QUOTE: 45134, MessageKind.MESSAGE_TRADE: 10147, MessageKind.MESSAGE_BOOK_DELTA: 3044})
TICK, LOT = Decimal("0.01"), Decimal("0.000001")
# Binance spot BTCUSDT 1m klines (open, high, low, close, volume) of the ten whole minutes both captures cover, from an
# unrelated recording of the venue's own candles: github.com/mintanam/ftrade, user_data/data/binance/BTC_USDT-1m.feather
# at commit fc93cf3c0a.
KLINES = """
2024-08-08T23:55 61828.0 61860.8 61780.0 61782.25 15.07702
2024-08-08T23:56 61782.25 61782.26 61723.99 61727.66 15.49778
2024-08-08T23:57 61727.66 61735.99 61651.01 61652.01 59.29235
2024-08-08T23:58 61652.0 61745.27 61583.22 61717.63 77.14202
2024-08-08T23:59 61717.64 61743.5 61666.17 61685.99 32.41946
2024-08-09T00:00 61686.0 61744.37 61630.88 61631.79 34.0818
2024-08-09T00:01 61631.79 61631.79 61556.04 61589.99 79.69369
2024-08-09T00:02 61590.0 61700.0 61590.0 61626.17 40.44064
2024-08-09T00:03 61626.17 61686.0 61608.3 61637.26 37.08509
2024-08-09T00:04 61637.26 61691.64 61602.0 61607.99 30.316
"""


@pytest.fixture(scope="module")
def decoded(golden_dir):
    """Per file: list of (raw bytes, status, kind, slots, by_scanner, last_update_id)."""
    decoder = MessageDecoder([("BTCUSDT", str(TICK), str(LOT))])
    result = []
    for name in FILES:
        rows = []
        for frame in read_capture(golden_dir / "binance_spot" / name):
            status, kind, slots, scanned, _, update_id = decoder.decode(frame.data, frame.ts_recv_ns, 0)
            rows.append((frame.data, status, kind, slots, scanned, update_id))
        result.append(rows)
    return result


@functools.cache
def ticks(text):
    value = Decimal(text) / TICK
    assert value == value.to_integral_value()
    return int(value)


@functools.cache
def lots(text):
    value = Decimal(text) / LOT
    assert value == value.to_integral_value()
    return int(value)


@pytest.mark.parametrize("n", (0, 1))
def test_every_frame_decodes_and_counts_are_those_of_the_origin(decoded, n):
    assert {row[1] for row in decoded[n]} == {Status.STATUS_OK}
    assert Counter(row[2] for row in decoded[n]) == COUNTS[n]


def test_every_hot_message_of_the_captures_takes_the_scanner(decoded):
    assert all(row[4] for rows in decoded for row in rows if row[2] != MessageKind.MESSAGE_SNAPSHOT)


def test_every_field_equals_what_a_json_library_reads(decoded):
    for raw, _, kind, slots, _, update_id in decoded[0]:
        message = json.loads(raw)
        data = message.get("data", message)
        if kind == MessageKind.MESSAGE_QUOTE:
            q = records(slots, EventType.EV_QUOTE)[0]
            assert (q["bid_price_ticks"], q["bid_qty_lots"], q["ask_price_ticks"], q["ask_qty_lots"], update_id) == (
                ticks(data["b"]), lots(data["B"]), ticks(data["a"]), lots(data["A"]), data["u"])
        elif kind == MessageKind.MESSAGE_TRADE:
            t = records(slots, EventType.EV_TRADE)[0]
            assert (t["price_ticks"], t["qty_lots"], t["trade_id"], t["ts_venue_ns"], bool(t["flags"] & 1)) == (
                ticks(data["p"]), lots(data["q"]), data["t"], data["T"] * 1_000_000, data["m"])
        elif kind == MessageKind.MESSAGE_BOOK_DELTA:
            d = records(slots, EventType.EV_BOOK_DELTA)
            expected = [(ticks(p), lots(q), 0) for p, q in data["b"]] + [(ticks(p), lots(q), 1) for p, q in data["a"]]
            assert list(zip(d["price_ticks"].tolist(), d["qty_lots"].tolist(), (d["flags"] & 1).tolist(), strict=True)) == expected
            assert set(d["first_update_id"]) == {data["U"]} and set(d["last_update_id"]) == {data["u"]}


class PlainBook:
    """The venue's procedure, written plainly: dicts of price text, one snapshot, diffs in sequence."""

    def __init__(self):
        self.bids, self.asks, self.last, self.waiting = {}, {}, None, []

    def message(self, data):
        if "lastUpdateId" in data:
            self.bids = {ticks(p): lots(q) for p, q in data["bids"]}
            self.asks = {ticks(p): lots(q) for p, q in data["asks"]}
            self.last, first = data["lastUpdateId"], True
            for diff in self.waiting:
                if diff["u"] > data["lastUpdateId"]:
                    assert not first or diff["U"] <= data["lastUpdateId"] + 1 <= diff["u"]
                    self.apply(diff)
                    first = False
            self.waiting = []
        elif self.last is None:
            self.waiting.append(data)
        else:
            assert data["U"] == self.last + 1
            self.apply(data)

    def apply(self, diff):
        for side, rows in ((self.bids, diff["b"]), (self.asks, diff["a"])):
            for price, qty in rows:
                if Decimal(qty):
                    side[ticks(price)] = lots(qty)
                else:
                    side.pop(ticks(price), None)
        self.last = diff["u"]


def test_book_equals_the_plain_reference_after_every_message(decoded):
    book, plain = OrderBook(str(TICK), str(LOT)), PlainBook()
    checked = 0
    for rows in decoded:
        for raw, _, kind, slots, _, _ in rows:
            if kind not in (MessageKind.MESSAGE_BOOK_DELTA, MessageKind.MESSAGE_SNAPSHOT):
                continue
            message = json.loads(raw)
            plain.message(message.get("data", message))
            book.apply(slots)
            if plain.last is None:
                assert book.state == BookState.BOOK_SYNCING
                continue
            bid, ask = max(plain.bids), min(plain.asks)
            assert book.state == BookState.BOOK_GOOD
            assert book.last_update_id == plain.last
            assert book.best_bid == (bid, plain.bids[bid]) and book.best_ask == (ask, plain.asks[ask])
            assert (book.bid_levels, book.ask_levels) == (len(plain.bids), len(plain.asks))
            if checked % 64 == 0:
                assert book.levels() == (plain.bids, plain.asks)
            checked += 1
    assert checked == 6493 and book.levels() == (plain.bids, plain.asks)
    assert book.counters["gaps"] == 0 and book.counters["crossed"] == 0


def test_best_prices_equal_the_quote_with_the_greatest_id_up_to_the_diffs(decoded):
    book = OrderBook(str(TICK), str(LOT))
    quotes, diffs = [], []
    for rows in decoded:
        for _, _, kind, slots, _, update_id in rows:
            if kind == MessageKind.MESSAGE_QUOTE:
                q = records(slots, EventType.EV_QUOTE)[0]
                quotes.append((update_id, (int(q["bid_price_ticks"]), int(q["bid_qty_lots"])),
                               (int(q["ask_price_ticks"]), int(q["ask_qty_lots"]))))
            elif kind in (MessageKind.MESSAGE_BOOK_DELTA, MessageKind.MESSAGE_SNAPSHOT):
                if book.apply(slots) in (BookResult.BOOK_APPLIED, BookResult.BOOK_SYNCED):
                    diffs.append((book.last_update_id, book.best_bid, book.best_ask))
    ids = np.array([q[0] for q in quotes])
    assert (np.diff(ids.astype(np.int64)) > 0).all()
    equal = 0
    for last_id, bid, ask in diffs:
        k = int(np.searchsorted(ids, last_id, side="right")) - 1
        equal += k >= 0 and quotes[k][1:] == (bid, ask)
    # For two diffs the recorded feed holds no bookTicker of their last ids.
    assert (equal, len(diffs)) == (6491, 6493)


def test_trades_rebuild_the_venues_own_klines(decoded):
    trades = np.concatenate([records(slots, EventType.EV_TRADE) for rows in decoded for _, _, kind, slots, _, _ in rows
                             if kind == MessageKind.MESSAGE_TRADE])
    assert (np.diff(trades["trade_id"].astype(np.int64)) == 1).all()
    bars = {int(b["ts_open_ns"]): b for b in build_bars(trades, 60_000_000_000)}
    for line in KLINES.split("\n"):
        if not line:
            continue
        stamp, *values = line.split()
        bar = bars[int(np.datetime64(stamp, "ns").astype(np.int64))]
        assert bar["ts_venue_ns"] - bar["ts_open_ns"] == 60_000_000_000
        found = [bar[k] * TICK for k in ("open_ticks", "high_ticks", "low_ticks", "close_ticks")] + [bar["volume_lots"] * LOT]
        assert [Decimal(int(bar[k])) * TICK for k in ("open_ticks", "high_ticks", "low_ticks", "close_ticks")] == [
            Decimal(v) for v in values[:4]], found
        assert Decimal(int(bar["volume_lots"])) * LOT == Decimal(values[4])


@pytest.mark.parametrize("name, updates", [
    ("ws/binance_spot/cryptofeed_BINANCE_20211012.jsonl.zst", 4), ("ws/binance_spot/cryptofeed_BINANCE_US_20211012.jsonl.zst", 4)])
def test_captures_of_other_licences_decode_without_error_and_keep_their_chains(shared_data, name, updates):
    from tickpathd.capture_tools import decode_counts, rebuild_books
    path = shared_data(name)
    counts = decode_counts("binance_spot", path)
    assert counts["errors"] == 0 and counts["unsupported"] == 0
    assert counts["frames"] == sum(counts[k] for k in ("trades", "quotes", "book_deltas", "snapshots", "bars", "other"))
    books = rebuild_books("binance_spot", path)
    assert len(books) == updates
    for book in books.values():
        assert book["gaps"] == 0 and book["crossed"] == 0 and book["state"] == "GOOD"
