"""The recorded Bybit capture and order book archive: counts, chains, the book after every message, best prices against the
ticker; what they say of their instruments. Spot and linear spell their symbols alike: everything is told apart by connection."""
import json
import uuid
import zipfile
from collections import Counter, defaultdict
from decimal import Decimal

import pytest
from decode_pair import split_messages

from tickpath.capture import CaptureFrame, read_capture
from tickpath.market import OrderBook
from tickpath.market.book import BookResult
from tickpath.shm.ring import records
from tickpath.types import BookState, EventType, ReferenceKind, Status
from tickpath.venues.batch import MessageKind
from tickpath.venues.bybit_facts import CaptureFacts, scan_facts
from tickpath.venues.decoders import MessageDecoder

FILE = "ws/bybit/cryptofeed_BYBIT_20260809.jsonl.zst"
ARCHIVE = "l2/bybit_XRPUSDT_ob500_20241201.data.zip"
REFERENCES = {"markPrice": ReferenceKind.REFERENCE_MARK_PRICE, "indexPrice": ReferenceKind.REFERENCE_INDEX_PRICE,
              "openInterest": ReferenceKind.REFERENCE_OPEN_INTEREST, "fundingRate": ReferenceKind.REFERENCE_FUNDING_RATE,
              "lastPrice": ReferenceKind.REFERENCE_LAST_PRICE}
QUOTE_FIELDS = ("bid1Price", "bid1Size", "ask1Price", "ask1Size")
MS = 1_000_000


@pytest.fixture(scope="module")
def capture(shared_data):
    """(frames, {(conn, symbol): facts})."""
    frames = list(read_capture(shared_data(FILE)))
    facts = {}
    for frame in frames:
        scan_facts(frame, facts)
    return frames, facts


@pytest.fixture(scope="module")
def decoded(capture):
    """(conn, message as JSON, Status, kind, slots, by_scanner) of every frame, and the symbols of each connection's decoder."""
    frames, facts = capture
    symbols = defaultdict(list)
    for conn, symbol in facts:
        symbols[conn].append(symbol)
    decoders = {conn: MessageDecoder([(s, *facts[conn, s][:2]) for s in names], kind="bybit") for conn, names in symbols.items()
                if isinstance(conn, str)}
    rows = []
    for frame in frames:
        decoder = decoders.get(frame.conn) or next(iter(decoders.values()))
        status, kind, slots, scanned, *_ = decoder.decode(frame.data, frame.ts_recv_ns)
        assert decoder.skipped_count == 0
        rows.append((frame.conn, json.loads(frame.data), Status(status), kind, slots, scanned))
    return rows, symbols


def test_every_frame_decodes_and_is_counted_as_json_counts_it(decoded):
    rows, _ = decoded
    counts = Counter()
    for _, message, status, kind, _, scanned in rows:
        topic = message.get("topic", "").partition(".")[0]
        counts[topic] += 1
        if not topic:
            assert (status, kind) == (Status.STATUS_IGNORED, MessageKind.MESSAGE_OTHER)
            continue
        assert scanned == (topic != "kline")
        if topic == "tickers":
            quote = all(field in message["data"] for field in QUOTE_FIELDS)
            something = quote or any(message["data"].get(field) for field in REFERENCES)
            assert kind == (MessageKind.MESSAGE_QUOTE if quote else MessageKind.MESSAGE_OTHER)
            assert status == (Status.STATUS_OK if something else Status.STATUS_IGNORED)
            continue
        assert status == Status.STATUS_OK
        assert kind == {"publicTrade": MessageKind.MESSAGE_TRADE, "kline": MessageKind.MESSAGE_BAR}.get(topic) or kind == (
            MessageKind.MESSAGE_SNAPSHOT if message["type"] == "snapshot" else MessageKind.MESSAGE_BOOK_DELTA)
    assert counts == {"": 26, "orderbook": 2148, "publicTrade": 120, "tickers": 839, "kline": 96}


def trade_id(text):
    if text.isdigit():
        return int(text)
    value = uuid.UUID(text).int
    return value >> 64 ^ value & 2 ** 64 - 1


def test_every_field_of_trades_bars_and_tickers_is_that_of_the_text(capture, decoded):
    _, facts = capture
    rows, symbols = decoded
    trades = quotes = references = 0
    for conn, message, status, _, slots, _ in rows:
        topic, _, symbol = message.get("topic", "").rpartition(".")
        if status != Status.STATUS_OK or topic.startswith("orderbook"):
            continue
        tick, lot = (Decimal(text) for text in facts[conn, symbol][:2])
        assert set(slots["instrument"]) == {symbols[conn].index(symbol)}
        data = message["data"]
        if topic == "publicTrade":
            found = [(t["price_ticks"] * tick, t["qty_lots"] * lot, t["trade_id"], t["ts_venue_ns"], t["flags"])
                     for t in records(slots, EventType.EV_TRADE)]
            assert found == [(Decimal(t["p"]), Decimal(t["v"]), trade_id(t["i"]), t["T"] * MS, t["S"] == "Sell") for t in data]
            trades += len(found)
        elif topic.startswith("kline"):
            # A bar that closes comes together with the one that opens.
            for c, bar in zip(records(slots, EventType.EV_CANDLE), data, strict=True):
                assert [c[k + "_ticks"] * tick for k in ("open", "high", "low", "close")] == [Decimal(bar[k]) for k in ("open", "high", "low", "close")]
                assert (c["volume_lots"] * lot, c["ts_open_ns"], c["ts_venue_ns"], c["flags"]) == (
                    Decimal(bar["volume"]), bar["start"] * MS, (bar["end"] + 1) * MS, bar["confirm"])
        else:
            assert set(slots["ts_venue_ns"]) == {message["ts"] * MS}
            if all(field in data for field in QUOTE_FIELDS):
                (q,) = records(slots, EventType.EV_QUOTE)
                assert [q["bid_price_ticks"] * tick, q["bid_qty_lots"] * lot, q["ask_price_ticks"] * tick, q["ask_qty_lots"] * lot] == [
                    Decimal(data[field]) for field in QUOTE_FIELDS]
                quotes += 1
            found = {int(r["kind"]): Decimal(int(r["mantissa"])).scaleb(-int(r["scale"])) for r in records(slots, EventType.EV_REFERENCE)}
            assert found == {kind: Decimal(data[field]) for field, kind in REFERENCES.items() if data.get(field)}
            references += len(found)
    assert (trades, quotes, references > 300) == (sum(len(m["data"]) for _, m, *_ in rows if m.get("topic", "").startswith("publicTrade")), 144, True)


class PlainBook:
    """The venue's procedure, written plainly."""

    def __init__(self):
        self.bids, self.asks, self.last = {}, {}, None

    def message(self, message):
        data = message["data"]
        if message["type"] == "snapshot":
            self.bids, self.asks = {}, {}
        else:
            assert data["u"] == self.last + 1
        for side, rows in ((self.bids, data["b"]), (self.asks, data["a"])):
            for price, qty in rows:
                if Decimal(qty):
                    side[Decimal(price)] = Decimal(qty)
                else:
                    del side[Decimal(price)]
        self.last = data["u"]

    def tops(self):
        bid, ask = max(self.bids), min(self.asks)
        return bid, self.bids[bid], ask, self.asks[ask]


def follow(book, plain, message, slots, tick, lot, every):
    """One message into both books, which must then be equal; True when all levels were compared."""
    (whole,) = split_messages(slots)
    d = records(slots, EventType.EV_BOOK_DELTA)
    assert set(d["first_update_id"]) == set(d["last_update_id"]) == {message["data"]["u"]} and set(d["ts_venue_ns"]) == {message["ts"] * MS}
    assert book.apply(whole) == (BookResult.BOOK_SYNCED if message["type"] == "snapshot" else BookResult.BOOK_APPLIED)
    plain.message(message)
    bid, bid_qty, ask, ask_qty = plain.tops()
    assert book.best_bid == (bid / tick, bid_qty / lot) and book.best_ask == (ask / tick, ask_qty / lot)
    assert (book.bid_levels, book.ask_levels, book.state) == (len(plain.bids), len(plain.asks), BookState.BOOK_GOOD)
    if every:
        assert book.levels() == tuple({int(p / tick): int(q / lot) for p, q in side.items()} for side in (plain.bids, plain.asks))


def test_books_equal_plain_ones_after_every_message(capture, decoded):
    _, facts = capture
    plain, books, seen, tickers = defaultdict(PlainBook), {}, defaultdict(set), []
    messages = deepest = 0
    for conn, message, _, kind, slots, _ in decoded[0]:
        topic, _, symbol = message.get("topic", "").rpartition(".")
        key = conn, symbol
        if kind == MessageKind.MESSAGE_QUOTE:
            tickers.append((key, tuple(Decimal(message["data"][k]) for k in QUOTE_FIELDS)))
        if not topic.startswith("orderbook"):
            continue
        tick, lot = (Decimal(text) for text in facts[key][:2])
        if key not in books:
            books[key] = OrderBook(*facts[key][:2], sync="stream", max_levels=facts[key].max_levels)
        follow(books[key], plain[key], message, slots, tick, lot, messages % 16 == 0)
        seen[key].add(plain[key].tops())
        deepest = max(deepest, books[key].bid_levels, books[key].ask_levels)
        messages += 1
    # The venue says itself what falls out of its 200 levels: nothing was cut.
    assert (len(books), messages, deepest) == (6, 2148, 200)
    for book in books.values():
        assert book.counters["gaps"] == book.counters["crossed"] == book.counters["cut_levels"] == book.counters["dropped_unsynced"] == 0
    # Tickers come from another clock of the venue: 106 of 144 show a state in which the book was seen, too.
    assert (sum(tops in seen[key] for key, tops in tickers), len(tickers)) == (106, 144)


def test_the_archive_of_500_levels_gives_the_same_book(shared_data):
    with zipfile.ZipFile(shared_data(ARCHIVE)) as archive:
        (name,) = archive.namelist()
        lines = archive.read(name).splitlines()
    facts = {}
    for line in lines:
        scan_facts(CaptureFrame(0, line, "ws", None, "a"), facts)
    found = facts["a", "XRPUSDT"]
    assert found == CaptureFacts("0.0001", "1", 4, 0, 500)
    decoder = MessageDecoder([("XRPUSDT", found.tick_size, found.lot_size)], kind="bybit")
    book, plain = OrderBook(found.tick_size, found.lot_size, sync="stream", max_levels=500), PlainBook()
    for line in lines:
        status, kind, slots, scanned, levels, _ = decoder.decode(line)
        message = json.loads(line)
        assert (status, scanned, levels) == (Status.STATUS_OK, True, len(message["data"]["b"]) + len(message["data"]["a"]))
        follow(book, plain, message, slots, Decimal(found.tick_size), Decimal(found.lot_size), True)
    assert len(lines) == 50 == book.counters["updates"] and book.counters["gaps"] == 0


def test_facts_are_those_of_the_metadata_of_each_market(capture):
    frames, facts = capture
    carried = {key: found for key, found in facts.items() if isinstance(key[0], str)}
    metadata = {}
    for frame in frames:
        if frame.source == "rest":
            result = json.loads(frame.data)["result"]
            for item in result["list"]:
                lot = item["lotSizeFilter"]
                metadata[result["category"], item["symbol"]] = (item["priceFilter"]["tickSize"], lot.get("qtyStep") or lot["basePrecision"])
    markets = {conn: "spot" if len([1 for c, _ in carried if c == conn]) == 2 else "linear" for conn, _ in carried}
    assert sorted(markets.values()) == ["linear", "spot"] and len(carried) == 6
    for (conn, symbol), found in carried.items():
        tick, lot = metadata[markets[conn], symbol]
        assert (Decimal(found.tick_size), Decimal(found.lot_size), found.max_levels) == (Decimal(tick), Decimal(lot), 200)
    linear = next(conn for conn, market in markets.items() if market == "linear")
    assert carried[linear, "BTCUSDT"] == CaptureFacts("0.1", "0.001", 2, 3, 200)


@pytest.mark.parametrize("data", [b"pong", b"\xff", b"5", b"{}", b'{"topic":5,"type":1,"ts":1}', b'{"topic":"orderbook.x.Y","type":"delta","ts":1,"data":{}}',
                                  b'{"topic":"orderbook.5.Y","type":"delta","ts":1,"data":{"s":"Y","b":[[1,2],["x","y"],5],"a":7}}',
                                  b'{"topic":"tickers.Y","type":"delta","ts":1,"data":[]}', b'{"result":{"list":[5,{"priceFilter":{},"lotSizeFilter":5}]}}',
                                  b'{"topic":"kline","type":"delta","ts":1,"data":[5,{}]}', b'{"topic":"publicTrade.Y","type":"delta","ts":1,"data":[5,{"s":5}]}'])
def test_facts_take_no_harm_from_what_is_no_message(data):
    facts = {}
    scan_facts(CaptureFrame(0, data, "ws", None, "a"), facts)
    scan_facts(CaptureFrame(0, data, "rest", None, "a"), facts)
    assert all(found[:2] == ("0", "0") for found in facts.values())
