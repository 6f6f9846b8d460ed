"""The recorded OKX captures: counts, checksums, the book after every message, best prices against the ticker; what they say
of their instruments."""
import json
import zlib
from collections import Counter, defaultdict
from decimal import Decimal

import pytest
from decode_pair import split_messages

from tickpath.capture import CaptureFrame, read_capture
from tickpath.market import OrderBook
from tickpath.market.book import BookResult
from tickpath.shm.ring import records
from tickpath.types import BookState, EventType, Status
from tickpath.venues.batch import MessageKind
from tickpath.venues.decoders import MessageDecoder
from tickpath.venues.okx_facts import CaptureFacts, scan_facts

FILES = ("cryptofeed_OKEX_20210722", "cryptofeed_OKX_20220513")
CHECKSUMS = (4372, 290)
# Tickers whose both sides were some state of the book on their connection; the others fall between two book messages.
TICKERS_IN_BOOK = ((121, 139), (11, 28))
KINDS = {"trades": MessageKind.MESSAGE_TRADE, "tickers": MessageKind.MESSAGE_QUOTE}


@pytest.fixture(scope="module", params=range(len(FILES)), ids=FILES)
def capture(request, shared_data):
    """(index of the file, frames, {(conn, symbol): facts})."""
    frames = list(read_capture(shared_data(f"ws/okx/{FILES[request.param]}.jsonl.zst")))
    facts = {}
    for frame in frames:
        scan_facts(frame, facts)
    return request.param, frames, facts


@pytest.fixture(scope="module")
def decoded(capture):
    """(conn, message as JSON, status, kind, slots, symbols) of every frame; symbols = instruments in the decoder's order."""
    _, frames, facts = capture
    found = {key[1]: value for key, value in sorted(facts.items(), key=str) if key[0] is not None}
    decoder = MessageDecoder([(symbol, f.tick_size, f.lot_size) for symbol, f in found.items()], kind="okx")
    rows = []
    for frame in frames:
        status, kind, slots, scanned, *_ = decoder.decode(frame.data, frame.ts_recv_ns)
        assert scanned == (status == Status.STATUS_OK)
        rows.append((frame.conn, json.loads(frame.data), Status(status), kind, slots))
    return rows, list(found), found


def test_every_frame_decodes_and_is_counted_as_json_counts_it(decoded):
    rows, *_ = decoded
    for _, message, status, kind, _ in rows:
        if "event" in message or "code" in message:
            assert (status, kind) == (Status.STATUS_IGNORED, MessageKind.MESSAGE_OTHER)
            continue
        expected = KINDS.get(message["arg"]["channel"]) or (
            MessageKind.MESSAGE_SNAPSHOT if message["action"] == "snapshot" else MessageKind.MESSAGE_BOOK_DELTA)
        assert (status, kind) == (Status.STATUS_OK, expected)


def test_every_field_is_that_of_the_text(decoded):
    rows, symbols, facts = decoded
    counts = Counter()
    for _, message, status, kind, slots in rows:
        if status != Status.STATUS_OK:
            continue
        symbol = message["arg"]["instId"]
        tick, lot = Decimal(facts[symbol].tick_size), Decimal(facts[symbol].lot_size)
        assert set(slots["instrument"]) == {symbols.index(symbol)}
        (data,) = message["data"]
        ts = int(data["ts"]) * 1_000_000
        if kind == MessageKind.MESSAGE_TRADE:
            (t,) = records(slots, EventType.EV_TRADE)
            assert (t["price_ticks"] * tick, t["qty_lots"] * lot, t["trade_id"], t["ts_venue_ns"], t["flags"]) == (
                Decimal(data["px"]), Decimal(data["sz"]), int(data["tradeId"]), ts, data["side"] == "sell")
        elif kind == MessageKind.MESSAGE_QUOTE:
            (q,) = records(slots, EventType.EV_QUOTE)
            assert [q[k + "_price_ticks"] * tick for k in ("bid", "ask")] == [Decimal(data["bidPx"]), Decimal(data["askPx"])]
            assert [q[k + "_qty_lots"] * lot for k in ("bid", "ask")] == [Decimal(data["bidSz"]), Decimal(data["askSz"])]
        else:
            d = records(slots, EventType.EV_BOOK_DELTA)
            levels = d[:-1]
            assert set(d["ts_venue_ns"]) == {ts} and d["price_ticks"][-1] == data["checksum"] and d["flags"][-1] & 32
            expected = [(Decimal(p), Decimal(q), side) for side, rows in ((1, data["asks"]), (0, data["bids"])) for p, q, *_ in rows]
            assert [(p * tick, q * lot, f & 1) for p, q, f in zip(levels["price_ticks"].tolist(), levels["qty_lots"].tolist(),
                                                                  levels["flags"].tolist(), strict=True)] == expected
        counts[kind] += 1
    assert counts[MessageKind.MESSAGE_TRADE] and counts[MessageKind.MESSAGE_QUOTE] and counts[MessageKind.MESSAGE_BOOK_DELTA]


class PlainBook:
    """The venue's procedure, written plainly: price text to quantity text, a checksum over the 25 best levels as sent."""

    def __init__(self):
        self.asks, self.bids = {}, {}

    def message(self, action, data):
        if action == "snapshot":
            self.asks, self.bids = {}, {}
        for side, rows in ((self.asks, data["asks"]), (self.bids, data["bids"])):
            for price, qty, *_ in rows:
                if qty == "0":
                    side.pop(price, None)
                else:
                    side[price] = qty
        self.asks = dict(sorted(self.asks.items(), key=lambda row: Decimal(row[0])))
        self.bids = dict(sorted(self.bids.items(), key=lambda row: -Decimal(row[0])))

    def checksum(self):
        texts, asks, bids = [], list(self.asks.items()), list(self.bids.items())
        for n in range(25):
            for side in (bids, asks):
                texts += side[n] if n < len(side) else ()
        crc = zlib.crc32(":".join(texts).encode())
        return crc - (crc >> 31 << 32)

    def tops(self):
        return next(iter(self.bids.items()), None), next(iter(self.asks.items()), None)


def test_books_equal_plain_ones_after_every_message_and_reproduce_every_checksum(capture, decoded):
    which, _, _ = capture
    rows, symbols, facts = decoded
    plain, books = defaultdict(PlainBook), {}
    seen = defaultdict(set)
    tickers, checked, deepest = [], 0, 0
    for conn, message, status, kind, slots in rows:
        if status != Status.STATUS_OK:
            continue
        symbol = message["arg"]["instId"]
        key, (data,) = (conn, symbol), message["data"]
        if kind == MessageKind.MESSAGE_QUOTE:
            tickers.append((key, ((data["bidPx"], data["bidSz"]), (data["askPx"], data["askSz"]))))
        if kind not in (MessageKind.MESSAGE_BOOK_DELTA, MessageKind.MESSAGE_SNAPSHOT):
            continue
        tick, lot = Decimal(facts[symbol].tick_size), Decimal(facts[symbol].lot_size)
        if key not in books:
            books[key] = OrderBook(facts[symbol].tick_size, facts[symbol].lot_size, sync="stream", max_levels=facts[symbol].max_levels)
        book, reference = books[key], plain[key]
        (whole,) = split_messages(slots)
        assert book.apply(whole) == (BookResult.BOOK_SYNCED if message["action"] == "snapshot" else BookResult.BOOK_APPLIED)
        reference.message(message["action"], data)
        assert reference.checksum() == data["checksum"] == book.checksum
        bid, ask = reference.tops()
        assert book.best_bid == (bid and (Decimal(bid[0]) / tick, Decimal(bid[1]) / lot))
        assert book.best_ask == (ask and (Decimal(ask[0]) / tick, Decimal(ask[1]) / lot))
        assert (book.bid_levels, book.ask_levels) == (len(reference.bids), len(reference.asks))
        assert book.state == BookState.BOOK_GOOD
        if checked % 16 == 0:
            assert book.levels() == tuple({int(Decimal(p) / tick): int(Decimal(q) / lot) for p, q in side.items()}
                                          for side in (reference.bids, reference.asks))
        seen[key].add((bid, ask))
        deepest = max(deepest, book.bid_levels, book.ask_levels)
        checked += 1
    # The venue says itself what falls out of the 400 levels it keeps: nothing was ever cut.
    assert checked == CHECKSUMS[which] and deepest == 400
    for book in books.values():
        counters = book.counters
        assert {k: counters[k] for k in ("gaps", "crossed", "cut_levels", "dropped_unsynced")} == dict.fromkeys(
            ("gaps", "crossed", "cut_levels", "dropped_unsynced"), 0)
    assert (sum(tops in seen[key] for key, tops in tickers), len(tickers)) == TICKERS_IN_BOOK[which]


def test_facts_are_those_of_the_venues_metadata(capture):
    which, frames, facts = capture
    carried = {key: found for key, found in facts.items() if key[0] is not None}
    metadata = {item["instId"]: item for frame in frames if frame.source == "rest" for item in json.loads(frame.data)["data"]}
    assert len(carried) == (30, 3)[which] and len({conn for conn, _ in carried}) == (3, 1)[which]
    for (_, symbol), found in carried.items():
        assert Decimal(found.tick_size) == Decimal(metadata[symbol]["tickSz"])
        # Quantities of 2021 are finer than the lot of the metadata for one instrument of ten.
        assert Decimal(metadata[symbol]["lotSz"]) % Decimal(found.lot_size) == 0
        assert found.max_levels == 400
    assert facts[None, "BTC-USDT"].max_levels == 0
    if which == 0:
        assert carried["OKEX.ws.2", "FUN-BTC"] == CaptureFacts("0.000000001", "0.00000001", 9, 8, 400)


def frame(source, message, conn="a"):
    return CaptureFrame(0, json.dumps(message).encode(), source, None, conn)


def test_facts_without_metadata_are_greatest_common_divisors_whenever_it_comes():
    facts = {}
    for price, qty in (("1.50", "30"), ("2.25", "0"), ("0.75", "45")):
        scan_facts(frame("ws", {"arg": {"channel": "books50-l2-tbt", "instId": "X"}, "data": [{"asks": [[price, qty, "0", "1"]], "bids": []}]}), facts)
    assert facts == {("a", "X"): CaptureFacts("0.75", "15", 2, 0, 50)}
    scan_facts(frame("ws", {"arg": {"channel": "trades", "instId": "X"}, "data": [{"instId": "X", "px": "0.000000454", "sz": "1.5"}]}), facts)
    assert facts["a", "X"] == CaptureFacts("0.000000002", "1.5", 9, 1, 50)
    scan_facts(frame("rest", {"code": "0", "data": [{"instId": "X", "tickSz": "0.00000000100", "lotSz": "1"}]}, "http"), facts)
    scan_facts(frame("ws", {"arg": {"channel": "tickers", "instId": "X"}, "data": [{"instId": "X"}]}), facts)
    assert facts["a", "X"] == CaptureFacts("0.000000001", "0.5", 11, 1, 50)
    # Known before it is carried: an increment that no number has shown yet.
    scan_facts(frame("ws", {"arg": {"channel": "tickers", "instId": "X"}, "data": [{"bidPx": "5", "askPx": "", "bidSz": "2", "askSz": "x"}]}, "b"), facts)
    assert facts["b", "X"] == CaptureFacts("0.000000001", "1", 11, 0, 0)


@pytest.mark.parametrize("data", [b"pong", b"\xff", b"5", b"[1]", b'{"data":[5]}', b'{"arg":5,"data":[]}', b'{"arg":{"channel":5},"data":[1]}',
                                  b'{"arg":{"channel":"books","instId":5},"data":[{}]}', b'{"arg":{"channel":"trades","instId":"X"},"data":[[1]]}',
                                  b'{"arg":{"channel":"trades","instId":"X"},"data":[{"px":5,"sz":null}]}', b"[" * 5000])
def test_facts_take_no_harm_from_what_is_no_message(data):
    facts = {}
    scan_facts(CaptureFrame(0, data, "ws", None, "a"), facts)
    scan_facts(CaptureFrame(0, data, "rest", None, "a"), facts)
    assert all(found[:2] == ("0", "0") for found in facts.values())
