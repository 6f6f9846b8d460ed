"""The recorded Kraken captures: every frame decodes, every book equals one kept by plain Python after each message, and every
checksum the venue sent is reproduced, from the text and from the book's integers."""
import gzip
import heapq
import json
import zlib
from collections import Counter
from decimal import Decimal

import pytest

from tickpath.capture import CaptureFrame, read_capture
from tickpath.market import OrderBook
from tickpath.shm.ring import records
from tickpath.types import BookState, EventType, Status
from tickpath.venues.batch import MessageKind
from tickpath.venues.decoders import MessageDecoder
from tickpath.venues.kraken_facts import STATE, CaptureFacts, close_facts, scan_facts

V1 = "ws/kraken/cryptofeed_KRAKEN_20210417.jsonl.zst"
V2 = "ws/kraken/kraken_v2_book10_BTCUSD_20260719T1754.jsonl.gz"
STATES = "ws/kraken/kraken_v2_checksum_states_BTCUSD_20260721.json.gz"
CHECKSUM_LEVELS = 10


def checksum_digits(text):
    return text.replace(".", "").lstrip("0")


def checksum(asks, bids):
    """CRC-32 over the best ten asks, then bids, best first: (price text, quantity text) pairs without point and leading zeros."""
    return zlib.crc32("".join(checksum_digits(t) for row in asks + bids for t in row).encode())


class PlainBook:
    """A book in Decimals that keeps the venue's text, cut to the subscribed depth after each message."""

    def __init__(self, depth):
        self.depth = depth
        self.sides = {"bids": {}, "asks": {}}

    def set_rows(self, side, rows):
        levels = self.sides[side]
        for price, qty in rows:
            if Decimal(qty) == 0:
                levels.pop(Decimal(price), None)
            else:
                levels[Decimal(price)] = (price, qty)

    def close(self):
        for side, worst in (("bids", min), ("asks", max)):
            levels = self.sides[side]
            while len(levels) > self.depth:
                del levels[worst(levels)]

    def best(self, side, n=CHECKSUM_LEVELS):
        pick = heapq.nlargest if side == "bids" else heapq.nsmallest
        return [self.sides[side][p] for p in pick(n, self.sides[side])]

    def levels(self, tick, lot):
        """As OrderBook.levels()."""
        return tuple({int(p / tick): int(Decimal(q) / lot) for p, (_, q) in self.sides[side].items()} for side in ("bids", "asks"))


def capture_facts(frames):
    facts = {}
    for frame in frames:
        scan_facts(frame, facts)
    return close_facts(facts)


def decoders_of(facts):
    """{conn: (decoder, symbols)}: connections may have the same symbols, so each has its own instruments."""
    result = {}
    for conn in sorted({conn for conn, _ in facts}, key=str):
        symbols = [symbol for c, symbol in facts if c == conn]
        grids = [(s, facts[conn, s].tick_size, facts[conn, s].lot_size) for s in symbols]
        result[conn] = (MessageDecoder(grids, kind="kraken"), symbols)
    return result


def independent_kind(message):
    """(Status, MessageKind) of a message, read without the decoder."""
    if isinstance(message, list):
        name = message[-2].partition("-")[0]
        if name == "book":
            return Status.STATUS_OK, MessageKind.MESSAGE_SNAPSHOT if "as" in message[1] else MessageKind.MESSAGE_BOOK_DELTA
        return Status.STATUS_OK, {"trade": MessageKind.MESSAGE_TRADE, "ticker": MessageKind.MESSAGE_QUOTE}[name]
    if message.get("channel") == "book":
        return Status.STATUS_OK, (MessageKind.MESSAGE_SNAPSHOT if message["type"] == "snapshot" else MessageKind.MESSAGE_BOOK_DELTA)
    if message.get("channel") == "status" or message.get("event") == "systemStatus":
        return Status.STATUS_OK, MessageKind.MESSAGE_OTHER
    return Status.STATUS_IGNORED, MessageKind.MESSAGE_OTHER


def book_of(message):
    """(symbol, {side: [(price, quantity)]}, checksum or None) of a book message, its numbers as text."""
    if isinstance(message, list):
        rows = {"bids": [], "asks": []}
        total = None
        for payload in message[1:-2]:
            for key, side in (("a", "asks"), ("as", "asks"), ("b", "bids"), ("bs", "bids")):
                rows[side] += [(row[0], row[1]) for row in payload.get(key, ())]
            total = payload.get("c", total)
        return message[-1], rows, None if total is None else int(total)
    (item,) = message["data"]
    return item["symbol"], {side: [(r["price"], r["qty"]) for r in item[side]] for side in ("bids", "asks")}, int(item["checksum"])


@pytest.mark.parametrize("name, counts", [
    (V1, {MessageKind.MESSAGE_BOOK_DELTA: 4269, MessageKind.MESSAGE_SNAPSHOT: 10, MessageKind.MESSAGE_QUOTE: 18,
          MessageKind.MESSAGE_TRADE: 8, MessageKind.MESSAGE_OTHER: 126}),
    (V2, {MessageKind.MESSAGE_BOOK_DELTA: 1253, MessageKind.MESSAGE_SNAPSHOT: 1, MessageKind.MESSAGE_OTHER: 122})])
def test_every_frame_decodes_and_the_scanner_takes_the_market_data(shared_data, name, counts):
    facts = capture_facts(read_capture(shared_data(name)))
    decoders = decoders_of(facts)
    any_decoder = next(iter(decoders.values()))[0]
    found, trades = Counter(), 0
    for frame in read_capture(shared_data(name)):
        status, kind, slots, scanned, _, _ = decoders.get(frame.conn, (any_decoder,))[0].decode(frame.data, frame.ts_recv_ns)
        assert (status, kind) == independent_kind(json.loads(frame.data)), frame.data[:200]
        assert scanned == (kind != MessageKind.MESSAGE_OTHER), frame.data[:200]
        found[kind] += 1
        trades += kind == MessageKind.MESSAGE_TRADE and len(slots)
    assert found == counts
    assert trades == sum(len(m[1]) for m in (json.loads(f.data) for f in read_capture(shared_data(name)))
                         if isinstance(m, list) and m[-2] == "trade")


@pytest.mark.parametrize("name, updates, books", [(V1, 4269, 10), (V2, 1254, 1)])
def test_every_checksum_is_reproduced_and_every_book_equals_the_plain_one(shared_data, name, updates, books):
    facts = capture_facts(read_capture(shared_data(name)))
    decoders = decoders_of(facts)
    plain, core, grids, checked = {}, {}, {}, 0
    for frame in read_capture(shared_data(name)):
        decoder, symbols = decoders.get(frame.conn, (None, None))
        if decoder is None:
            continue
        status, kind, slots, _, level_count, _ = decoder.decode(frame.data, frame.ts_recv_ns)
        if kind not in (MessageKind.MESSAGE_BOOK_DELTA, MessageKind.MESSAGE_SNAPSHOT):
            continue
        symbol, rows, expected = book_of(json.loads(frame.data, parse_float=str))
        f = facts[frame.conn, symbol]
        assert status == Status.STATUS_OK and level_count == len(rows["bids"]) + len(rows["asks"])
        assert set(slots["instrument"]) == {symbols.index(symbol)}
        if kind == MessageKind.MESSAGE_SNAPSHOT:
            plain[symbol] = PlainBook(f.max_levels)
            core.setdefault(symbol, OrderBook(f.tick_size, f.lot_size, sync="stream", max_levels=f.max_levels))
        for side in ("asks", "bids"):
            plain[symbol].set_rows(side, rows[side])
        plain[symbol].close()
        book = core[symbol]
        book.apply(slots)
        assert book.state == BookState.BOOK_GOOD and book.checksum == expected
        tick, lot = grids[symbol] = Decimal(f.tick_size), Decimal(f.lot_size)
        own = plain[symbol]
        ticks = {side: [int(Decimal(p) / tick) for p, _ in rows[side]] for side in rows}
        for number, side in enumerate(("bids", "asks")):
            kept = own.sides[side]
            (best,) = own.best(side, 1)
            assert (book.best_bid, book.best_ask)[number] == (int(Decimal(best[0]) / tick), int(Decimal(best[1]) / lot))
            assert (book.bid_levels, book.ask_levels)[number] == len(kept)
            for price_ticks in ticks[side]:
                _, qty = kept.get(price_ticks * tick, (None, "0"))
                assert book.qty_at(number, price_ticks) == int(Decimal(qty) / lot)
        if expected is not None:
            checked += 1
            top = own.best("asks"), own.best("bids")
            assert checksum(*top) == expected
            # The same from the book's integers and the decimals of the text.
            text = ""
            for number, side in ((1, top[0]), (0, top[1])):
                for price, _ in side:
                    price_ticks = int(Decimal(price) / tick)
                    text += f"{int(price_ticks * tick.scaleb(f.price_decimals))}"
                    text += f"{int(book.qty_at(number, price_ticks) * lot.scaleb(f.qty_decimals))}"
            assert zlib.crc32(text.encode()) == expected
        if checked % 50 == 0 or kind == MessageKind.MESSAGE_SNAPSHOT:
            assert book.levels() == own.levels(tick, lot)
    assert all(book.levels() == plain[s].levels(*grids[s]) for s, book in core.items())
    assert (checked, len(core)) == (updates, books)
    assert all(book.counters["crossed"] == 0 for book in core.values())


def test_recorded_states_have_the_checksums_the_venue_named(shared_data):
    """Ladders of quantities down to 1e-7: written out, decoded as a snapshot, summed from the book's integers."""
    with gzip.open(shared_data(STATES)) as f:
        captures = json.load(f)["captures"]
    decoder = MessageDecoder([("BTC/USD", "0.1", "0.00000001")], kind="kraken")
    assert len(captures) == 200
    for state in captures:
        sides = [[(f"{Decimal(p):f}", f"{Decimal(q):.8f}") for p, q in state[f"local_book_{side}"]] for side in ("bids", "asks")]
        assert checksum(sides[1], sides[0]) == state["expected_checksum"]
        levels = [",".join(f'{{"price":{price},"qty":{qty}}}' for price, qty in side) for side in sides]
        frame = (f'{{"channel":"book","type":"snapshot","data":[{{"symbol":"BTC/USD","bids":[{levels[0]}],"asks":[{levels[1]}],'
                 f'"checksum":{state["expected_checksum"]},"timestamp":"2026-07-21T17:13:05.810195Z"}}]}}').encode()
        book = OrderBook("0.1", "0.00000001", sync="stream", max_levels=10)
        status, _, slots, scanned, _, _ = decoder.decode(frame)
        assert (status, scanned) == (Status.STATUS_OK, True)
        book.apply(slots)
        bids, asks = book.depth(CHECKSUM_LEVELS)
        assert zlib.crc32("".join(f"{p}{q}" for p, q in [*asks.tolist(), *bids.tolist()]).encode()) == book.checksum


def test_the_tickers_best_prices_are_those_of_the_book(shared_data):
    """Ticker and book come through two connections: each ticker's best prices are the book's, at its receipt or a moment away."""
    facts = capture_facts(read_capture(shared_data(V1)))
    decoders = decoders_of(facts)
    books, history, quotes = {}, {}, []
    for frame in read_capture(shared_data(V1)):
        if frame.conn not in decoders:
            continue
        decoder, symbols = decoders[frame.conn]
        _, kind, slots, _, _, _ = decoder.decode(frame.data, frame.ts_recv_ns)
        if kind in (MessageKind.MESSAGE_BOOK_DELTA, MessageKind.MESSAGE_SNAPSHOT):
            symbol = symbols[int(slots["instrument"][0])]
            f = facts[frame.conn, symbol]
            book = books.setdefault(symbol, OrderBook(f.tick_size, f.lot_size, sync="stream", max_levels=f.max_levels))
            book.apply(slots)
            tick, lot = Decimal(f.tick_size), Decimal(f.lot_size)
            history.setdefault(symbol, []).append((frame.ts_recv_ns, [(p * tick, q * lot) for p, q in (book.best_bid, book.best_ask)]))
        elif kind == MessageKind.MESSAGE_QUOTE:
            q = records(slots, EventType.EV_QUOTE)[0]
            f = facts[frame.conn, symbols[int(q["instrument"])]]
            tick, lot = Decimal(f.tick_size), Decimal(f.lot_size)
            quotes.append((frame.ts_recv_ns, symbols[int(q["instrument"])],
                           [(int(q[f"{side}_price_ticks"]) * tick, int(q[f"{side}_qty_lots"]) * lot) for side in ("bid", "ask")]))
    # Ten tickers come before the snapshot of their book; of the other eight each shows a state that the book is in within 0.2 s.
    after = [q for q in quotes if history[q[1]][0][0] <= q[0]]
    equal = sum([state for ts, state in history[symbol] if ts <= ts_recv_ns][-1] == best for ts_recv_ns, symbol, best in after)
    near = sum(any(state == best for ts, state in history[symbol] if abs(ts - ts_recv_ns) < 200_000_000)
               for ts_recv_ns, symbol, best in after)
    assert (len(quotes), len(after), equal, near) == (18, 8, 2, 8)


# ---- facts

def test_the_facts_of_the_captures(shared_data):
    v1 = capture_facts(read_capture(shared_data(V1)))
    assert len(v1) == 22 and {conn for conn, _ in v1} == {"KRAKEN.ws.48", "KRAKEN.ws.49", "KRAKEN.ws.50"}
    # The book has 1e-8 in its text and a tick of a cent in AssetPairs; a tick of 1e-8 is written with nine decimals.
    assert v1["KRAKEN.ws.50", "XMR/USD"] == CaptureFacts("0.01", "0.00000001", 8, 8, 1000)
    assert v1["KRAKEN.ws.50", "ADA/XBT"] == CaptureFacts("0.00000001", "0.00000001", 9, 8, 1000)
    assert v1["KRAKEN.ws.49", "XBT/CHF"] == CaptureFacts("0.1", "0.00000001", 5, 8, 0)
    assert capture_facts(read_capture(shared_data(V2))) == {(None, "BTC/USD"): CaptureFacts("0.1", "0.00000001", 1, 8, 10)}


def facts_of(*messages):
    return capture_facts(CaptureFrame(i, m if isinstance(m, bytes) else json.dumps(m).encode(), "ws", None, "c")
                         for i, m in enumerate(messages))


BOOK = (b'{"channel":"book","type":"update","data":[{"symbol":"BTC/USD","bids":[{"price":1.50,"qty":1e-05}],'
        b'"asks":[{"price":2.25,"qty":0.000000454}],"checksum":1}]}')


def test_increments_come_from_the_numbers_where_nothing_names_them():
    assert facts_of(BOOK)["c", "BTC/USD"] == CaptureFacts("0.75", "0.000000002", 2, 9, 0)
    assert facts_of(b'[1,["1.10","1.15","1.5","3","4"],"spread","A/B"]')["c", "A/B"] == CaptureFacts("0.05", "1", 2, 0, 0)
    # Nothing but an empty book says nothing of the increments.
    assert facts_of(b'[1,{"as":[],"bs":[]},"book-10","A/B"]')["c", "A/B"] == CaptureFacts("0.00000001", "0.00000001", 0, 0, 10)


@pytest.mark.parametrize("early", [True, False])
def test_what_the_venue_names_decides_as_long_as_the_numbers_are_on_it(early):
    pair = {"symbol": "BTC/USD", "status": "online", "price_precision": 3, "qty_precision": 10, "tick_size": 0.05,
            "price_increment": 0.05, "qty_increment": 1e-10}
    instruments = {"channel": "instrument", "type": "snapshot", "data": {"assets": [], "pairs": [pair, {"symbol": 1}, 5]}}
    facts = facts_of(*((instruments, BOOK) if early else (BOOK, instruments)))
    assert facts == {("c", "BTC/USD"): CaptureFacts("0.05", "0.0000000001", 3, 10, 0)}
    # A tick that is too coarse for what was recorded.
    pair["tick_size"] = 0.5
    assert facts_of(instruments, BOOK)["c", "BTC/USD"].tick_size == "0.25"


def test_an_asset_pairs_body_names_the_pairs_of_both_versions():
    pairs = {"error": [], "result": {"XXBTZUSD": {"wsname": "XBT/USD", "pair_decimals": 1, "lot_decimals": 8},
                                     "XDGUSD": {"wsname": "XDG/USD", "pair_decimals": 7, "lot_decimals": 8, "tick_size": "0.0000005"},
                                     "bad": {"wsname": 1}, "worse": None}}
    xbt = b'[1,{"a":[["64500.00000","1.00000000","1618678145.920470"]],"c":"1"},"book-100","XBT/USD"]'
    dog = b'{"channel":"trade","type":"update","data":[{"symbol":"DOGE/USD","side":"buy","price":0.5,"qty":2.0,"trade_id":1}]}'
    facts = facts_of(xbt, pairs, dog)
    assert facts == {("c", "XBT/USD"): CaptureFacts("0.1", "0.00000001", 5, 8, 100),
                     ("c", "DOGE/USD"): CaptureFacts("0.0000005", "0.00000001", 7, 8, 0)}


def test_depths_follow_the_subscription():
    ack = {"method": "subscribe", "success": True, "result": {"channel": "book", "symbol": "BTC/USD", "depth": 25}}
    assert facts_of(ack, BOOK)["c", "BTC/USD"].max_levels == 25
    assert facts_of(BOOK, ack)["c", "BTC/USD"].max_levels == 25


@pytest.mark.parametrize("message", [
    b"", b"{", b"[", b"null", b"5", b"[1,2,3,4]", b'[1,{"a":5},"book-10","A/B"]', b'[1,5,"trade","A/B"]', b'[1,[[]],"trade","A/B"]',
    b'{"channel":"book","data":[{"symbol":"A/B","bids":[5,{"price":[]}],"asks":{"x":1}}]}', b'{"channel":["book"],"data":[1]}',
    b'{"channel":"instrument","data":{"pairs":5}}', b'{"result":{"a":{"wsname":"A/B","pair_decimals":"x","lot_decimals":8}}}',
    b'{"channel":"ticker","data":[{"symbol":"A/B","bid":-1,"ask":NaN,"bid_qty":1e999999,"ask_qty":"x"}]}', b"[" * 100000,
    b'[1,["1e-999999999","1","1.5","3","4"],"spread","A/B"]'])
def test_frames_of_another_shape_add_no_numbers(message):
    assert all(f.tick_size == f.lot_size == "0.00000001" or f.tick_size == "1" for f in facts_of(message).values())


def test_facts_can_be_read_after_every_frame():
    facts = {}
    frames = [CaptureFrame(0, BOOK, "ws", None, None), CaptureFrame(1, BOOK.replace(b"2.25", b"2.26"), "ws", None, None)]
    scan_facts(frames[0], facts)
    assert facts[None, "BTC/USD"].tick_size == "0.75"
    scan_facts(frames[1], facts)
    assert facts[None, "BTC/USD"].tick_size == "0.01" and set(facts) == {(None, "BTC/USD"), STATE}
