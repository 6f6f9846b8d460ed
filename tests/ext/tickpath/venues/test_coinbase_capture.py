"""Recorded Coinbase feeds, whole: every frame decodes, counts and chains are those an independent reading finds, the engine's
book equals a plain Python one after each message, and tickers name its best prices."""
import bisect
import functools
import json
from collections import Counter, defaultdict
from decimal import Decimal

import pytest

from tickpath.capture import CaptureFrame, read_capture
from tickpath.market import OrderBook
from tickpath.shm.ring import records
from tickpath.types import QTY_NONE, EventType, Status
from tickpath.venues.coinbase_facts import CaptureFacts, close_facts, scan_facts
from tickpath.venues.decoders import MessageDecoder

ADVANCED = "ws/coinbase/cryptofeed_COINBASE_20260809.jsonl.zst"
EXCHANGE = "ws/coinbase/cryptofeed_COINBASE_EXCHANGE_20210417.jsonl.zst"
MAX_FRAME_BYTES = 16 << 20
SNAPSHOT, LAST, ASK = 2, 8, 1


@pytest.fixture(scope="module")
def capture(shared_data):
    """capture(name): its frames, its facts and a decoder for every instrument of its stream, by symbol."""
    read = {}

    def find(name):
        if name not in read:
            frames, facts = list(read_capture(shared_data(name))), {}
            for frame in frames:
                scan_facts(frame, facts)
            facts = {symbol: fact for (_, symbol), fact in close_facts(facts).items()}
            grids = [(symbol, fact.tick_size, fact.lot_size) for symbol, fact in facts.items()]
            read[name] = frames, facts, MessageDecoder(grids, kind="coinbase", max_frame_bytes=MAX_FRAME_BYTES)
        return read[name]
    return find


def messages(slots):
    """The slots of each book message of a frame."""
    start = 0
    for i in range(len(slots)):
        if slots[i]["type"] == EventType.EV_BOOK_DELTA and slots[i]["flags"] & LAST:
            yield slots[start:i + 1]
            start = i + 1


class PlainBook:
    """Ticks to lots in two dicts, straight from the text through Decimal, and the prices of each in order."""

    def __init__(self, fact):
        self.tick, self.lot = Decimal(fact.tick_size), Decimal(fact.lot_size)
        # A capture has the same texts again and again.
        self.ticks_of, self.lots_of = functools.cache(functools.partial(units, self.tick)), functools.cache(functools.partial(units, self.lot))
        self.clear()

    def clear(self):
        self.bids, self.asks = {}, {}
        self.ladders = {id(self.bids): [], id(self.asks): []}

    def set(self, side, price, qty):
        price, qty, ladder = self.ticks_of(price), self.lots_of(qty), self.ladders[id(side)]
        if qty:
            if price not in side:
                bisect.insort(ladder, price)
            side[price] = qty
        elif side.pop(price, None) is not None:
            del ladder[bisect.bisect_left(ladder, price)]

    def best(self):
        bids, asks = self.ladders[id(self.bids)], self.ladders[id(self.asks)]
        return (bids[-1], self.bids[bids[-1]]) if bids else None, (asks[0], self.asks[asks[0]]) if asks else None


def units(size, text):
    count = Decimal(text) / size
    assert count == int(count)
    return int(count)


def apply_text(books, message):
    """Applies a message's text to the plain books; the symbol it was of, or None."""
    if message.get("channel") == "l2_data":
        (event,) = message["events"]
        book = books[event["product_id"]]
        if event["type"] == "snapshot":
            book.clear()
        for u in event["updates"]:
            book.set({"bid": book.bids, "offer": book.asks}[u["side"]], u["price_level"], u["new_quantity"])
        return event["product_id"]
    if message.get("type") == "snapshot":
        book = books[message["product_id"]]
        book.clear()
        for side, rows in ((book.bids, message["bids"]), (book.asks, message["asks"])):
            for price, qty in rows:
                book.set(side, price, qty)
        return message["product_id"]
    if message.get("type") == "l2update":
        book = books[message["product_id"]]
        for side, price, qty in message["changes"]:
            book.set({"buy": book.bids, "sell": book.asks}[side], price, qty)
        return message["product_id"]
    return None


def book_of(fact):
    # Wide enough that the 46,000 levels of the recorded book, which reach to a thousand times its price, fit beside it.
    return OrderBook(fact.tick_size, fact.lot_size, window_ticks=1 << 22, sync="stream")


@pytest.mark.parametrize("name", [ADVANCED, EXCHANGE])
def test_every_frame_decodes_and_the_counts_are_those_of_the_text(capture, name):
    frames, _, decoder = capture(name)
    found, expected, statuses = Counter(), Counter(), Counter()
    for frame in frames:
        status, _, slots, scanned, levels, _ = decoder.decode(frame.data)
        statuses[Status(status), scanned] += 1
        kinds = Counter(map(int, slots["type"]))
        found.update(levels=levels, trades=kinds[EventType.EV_TRADE], quotes=kinds[EventType.EV_QUOTE],
                     candles=kinds[EventType.EV_CANDLE], matches=kinds[EventType.EV_ORDER_DELTA])
        assert decoder.skipped_count == 0
        if frame.source == "rest":
            continue
        message = json.loads(frame.data)
        for event in message.get("events", ()):
            expected.update(levels=len(event.get("updates", ())), trades=len(event.get("trades", ())),
                            quotes=len(event.get("tickers", ())), candles=len(event.get("candles", ())))
        kind = message.get("type")
        expected.update(levels=sum(len(message.get(k, ())) for k in ("changes", "asks", "bids")), trades=kind in ("match", "last_match"),
                        quotes=kind == "ticker", matches=kind == "match")
    assert +found == +expected
    ignored = {ADVANCED: 30, EXCHANGE: 3}[name]
    # All but candles, acknowledgements, heartbeats and the list of products goes the fast way.
    assert statuses[Status.STATUS_IGNORED, False] == ignored
    assert {status for status, _ in statuses} == {Status.STATUS_OK, Status.STATUS_IGNORED}
    assert statuses[Status.STATUS_OK, False] == {ADVANCED: 7, EXCHANGE: 1}[name]


@pytest.mark.parametrize("name", [ADVANCED, EXCHANGE])
def test_the_engines_book_equals_a_plain_one_after_each_message(capture, name):
    frames, facts, decoder = capture(name)
    books = {symbol: PlainBook(fact) for symbol, fact in facts.items()}
    ours = {symbol: book_of(fact) for symbol, fact in facts.items()}
    symbols, compared = list(facts), 0
    for frame in frames:
        if frame.source == "rest":
            continue
        slots = decoder.decode(frame.data)[2]
        symbol = apply_text(books, json.loads(frame.data))
        if symbol is None:
            continue
        for part in messages(slots):
            assert symbols[int(part[0]["instrument"])] == symbol
            ours[symbol].apply(part)
        book = ours[symbol]
        assert ((book.best_bid, book.best_ask), book.crossed) == (books[symbol].best(), False)
        assert (book.bid_levels, book.ask_levels) == (len(books[symbol].bids), len(books[symbol].asks))
        compared += 1
        # The whole of it at times: 46,000 levels take longer to compare than all the rest to do.
        if compared % {ADVANCED: 100, EXCHANGE: 300}[name] == 0:
            assert book.levels() == (books[symbol].bids, books[symbol].asks)
    for symbol in facts:
        assert ours[symbol].levels() == (books[symbol].bids, books[symbol].asks)
        assert ours[symbol].counters["gaps"] == ours[symbol].counters["dropped_unsynced"] == 0
    assert compared == {ADVANCED: 775, EXCHANGE: 9729}[name]


def test_the_connections_sequence_and_the_trade_ids_have_no_hole(capture):
    frames, _, decoder = capture(ADVANCED)
    numbers = [decoder.decode(frame.data)[5] for frame in frames if frame.source == "ws"]
    assert numbers == list(range(1, 1031))
    for name in (ADVANCED, EXCHANGE):
        frames, _, decoder = capture(name)
        ids = defaultdict(list)
        for frame in frames:
            for trade in records(decoder.decode(frame.data)[2], EventType.EV_TRADE):
                ids[int(trade["instrument"])].append(int(trade["trade_id"]))
        for instrument, seen in ids.items():
            assert seen == list(range(seen[0], seen[0] + len(seen))), instrument


@pytest.mark.parametrize("name, agree, of", [(ADVANCED, 132, 154), (EXCHANGE, 100, 107)])
def test_tickers_name_the_best_prices_of_the_book(capture, name, agree, of):
    # The rest were sent slightly before or after the book's own message.
    frames, facts, decoder = capture(name)
    books = [book_of(fact) for fact in facts.values()]
    same = seen = 0
    for frame in frames:
        slots = decoder.decode(frame.data)[2]
        for part in messages(slots):
            books[int(part[0]["instrument"])].apply(part)
        for q in records(slots, EventType.EV_QUOTE):
            book = books[int(q["instrument"])]
            if book.best_bid is None or book.best_ask is None:
                continue
            seen += 1
            same += (book.best_bid[0], book.best_ask[0]) == (int(q["bid_price_ticks"]), int(q["ask_price_ticks"]))
            assert (int(q["bid_qty_lots"]) == QTY_NONE) == (name == EXCHANGE)
    assert (same, seen) == (agree, of)


def test_a_trade_at_a_best_price_is_on_its_makers_side(capture):
    frames, facts, decoder = capture(ADVANCED)
    books = [book_of(fact) for fact in facts.values()]
    seen = Counter()
    for frame in frames:
        slots = decoder.decode(frame.data)[2]
        for part in messages(slots):
            books[int(part[0]["instrument"])].apply(part)
        for t in records(slots, EventType.EV_TRADE):
            book, price = books[int(t["instrument"])], int(t["price_ticks"])
            if book.best_bid is None:
                continue
            if price >= book.best_ask[0] or price <= book.best_bid[0]:
                seen[bool(t["flags"] & 1), price <= book.best_bid[0]] += 1
    # Sellers trade at the bid, buyers at the ask.
    assert seen == {(True, True): 23, (False, False): 48}


def test_facts_are_those_of_the_product_list_as_long_as_the_numbers_are_on_their_grid(capture):
    assert capture(ADVANCED)[1] == {"BTC-USD": CaptureFacts("0.01", "0.00000001", 2, 8, 0), "ETH-USD": CaptureFacts("0.01", "0.00000001", 2, 8, 0)}
    frames, facts, _ = capture(EXCHANGE)
    products = {p["id"]: p for frame in frames if frame.source == "rest" for p in json.loads(frame.data)}
    assert len(facts) == 10
    for symbol, fact in facts.items():
        assert Decimal(fact.tick_size) == Decimal(products[symbol]["quote_increment"])
        assert Decimal(fact.lot_size) == Decimal(products[symbol]["base_increment"])
    # The text may have more decimals than the increment needs.
    assert facts["SKL-BTC"] == CaptureFacts("0.00000001", "0.1", 8, 1, 0)
    assert facts["DASH-BTC"] == CaptureFacts("0.00000001", "0.001", 8, 8, 0)


def frame_of(message, conn="c", symbol=None):
    return CaptureFrame(0, json.dumps(message).encode(), "ws", symbol, conn)


def test_facts_hold_increments_finer_than_eight_decimals_and_each_connections_own():
    facts = {}
    scan_facts(frame_of({"type": "l2update", "product_id": "PEPE-USD", "changes": [["buy", "0.000000454", "5000000"], ["sell", "0.00000100", "0"]]}), facts)
    scan_facts(frame_of({"bids": [["1.50", "2", 1]], "asks": [["1.75", "4", 1]], "sequence": 1}, "rest", "A-B"), facts)
    scan_facts(frame_of({"type": "snapshot", "product_id": "A-B", "bids": [["3", "0.5"]], "asks": []}), facts)
    for broken in (b"", b"{", b"7", b'{"type":"l2update","changes":[1,[2],["buy",3,4]],"product_id":"A-B"}', b'{"events":[1,{"updates":7}]}',
                   b'{"type":"l2update","product_id":"A-B","changes":[["buy","x","1e5"]]}', b'{"products":[1,{}]}', b"[" * 3000):
        scan_facts(CaptureFrame(0, broken, "ws", None, "c"), facts)
    assert close_facts(facts) == {
        ("c", "A-B"): CaptureFacts("3", "0.5", 0, 1, 0), ("c", "PEPE-USD"): CaptureFacts("0.000000002", "5000000", 9, 0, 0),
        ("rest", "A-B"): CaptureFacts("0.25", "2", 2, 0, 0)}


def test_a_products_increment_gives_way_to_a_recorded_number_off_its_grid():
    facts = {}
    scan_facts(frame_of([{"id": "A-B", "quote_increment": "0.01", "base_increment": "0.1"}]), facts)
    scan_facts(frame_of({"products": [{"product_id": "C-D", "quote_increment": "0.01", "price_increment": "0.05", "base_increment": "1"}]}), facts)
    for symbol, price, qty in (("A-B", "12.5", "3"), ("C-D", "0.1", "2.5")):
        scan_facts(frame_of({"type": "match", "product_id": symbol, "price": price, "size": qty}), facts)
    assert close_facts(facts) == {("c", "A-B"): CaptureFacts("0.01", "0.1", 1, 0, 0), ("c", "C-D"): CaptureFacts("0.05", "0.5", 1, 1, 0)}
