"""Binance's binary streams, written here from the schema's field table: no recording of them exists, so recorded JSON messages are
written anew as binary frames and must give the same records."""
import itertools
import json
import random
import struct
from decimal import Decimal

import pytest

from example_counts import examples
from tickpath.capture import read_capture
from tickpath.shm.ring import records
from tickpath.types import EventType, Status
from tickpath.venues.batch import MessageKind
from tickpath.venues.decoders import MessageDecoder

pytestmark = pytest.mark.sampled

SYMBOL = "BTCUSDT"
INSTRUMENTS = [(SYMBOL, "0.01", "0.000001"), ("ODDUSDT", "0.25", "5"), ("FINEUSDT", "0.000000000001", "1000000000000"), ("X" * 24, "1", "1")]
US = 1723161255343123
NONE = -2 ** 63
# Template: name, fields of the block, groups. From stream_1_0.xml (github.com/binance/binance-spot-api-docs, sbe/schemas, seen 2026-11).
CODES = {"u8": "B", "i8": "b", "u16": "H", "u32": "I", "i64": "q"}
LEVEL = (("price", "i64"), ("qty", "i64"))
TEMPLATES = {
    "trades": (10000, (("eventTime", "i64"), ("transactTime", "i64"), ("priceExponent", "i8"), ("qtyExponent", "i8")),
               (("trades", "u32", (("id", "i64"), *LEVEL, ("isBuyerMaker", "u8"))),)),
    "best": (10001, (("eventTime", "i64"), ("bookUpdateId", "i64"), ("priceExponent", "i8"), ("qtyExponent", "i8"), ("bidPrice", "i64"),
                     ("bidQty", "i64"), ("askPrice", "i64"), ("askQty", "i64")), ()),
    "snapshot": (10002, (("eventTime", "i64"), ("bookUpdateId", "i64"), ("priceExponent", "i8"), ("qtyExponent", "i8")),
                 (("bids", "u16", LEVEL), ("asks", "u16", LEVEL))),
    "diff": (10003, (("eventTime", "i64"), ("firstBookUpdateId", "i64"), ("lastBookUpdateId", "i64"), ("priceExponent", "i8"),
                     ("qtyExponent", "i8")), (("bids", "u16", LEVEL), ("asks", "u16", LEVEL))),
}


def pack(fields, values, more=b""):
    return b"".join(struct.pack("<" + CODES[code], values[name]) for name, code in fields) + more


def frame(template, values, symbol=SYMBOL, *, version=0, schema=1, more=b"", element_more=b"", behind=b"", template_id=None, block_bytes=None):
    """A message from its values. more, element_more, behind: what a newer version adds to the block, to elements, behind the symbol."""
    number, fields, groups = TEMPLATES[template]
    block = pack(fields, values, more)
    out = struct.pack("<4H", len(block) if block_bytes is None else block_bytes, template_id or number, schema, version) + block
    for name, count_code, element_fields in groups:
        elements = [pack(element_fields, dict(zip([n for n, _ in element_fields], e, strict=True)), element_more) for e in values[name]]
        size = struct.calcsize("<" + "".join(CODES[c] for _, c in element_fields)) + len(element_more)
        out += struct.pack("<H" + CODES[count_code], size, len(elements)) + b"".join(elements)
    name = symbol.encode()
    return out + struct.pack("B", len(name)) + name + behind


TRADES = {"eventTime": US, "transactTime": US - 5, "priceExponent": -8, "qtyExponent": -8,
          "trades": [(3735683259, 6183763000000, 2000000, 1), (3735683260, 6183764000000, 100, 0)]}
BEST = {"eventTime": US, "bookUpdateId": 50093239212, "priceExponent": -8, "qtyExponent": -8, "bidPrice": 6183763000000, "bidQty": 378826000,
        "askPrice": 6183764000000, "askQty": 154698000}
SNAPSHOT = {"eventTime": US, "bookUpdateId": 50093239218, "priceExponent": -8, "qtyExponent": -8,
            "bids": [(6183763000000, 378826000), (6183762000000, 0)], "asks": [(6183764000000, 154698000)]}
DIFF = {"eventTime": US, "firstBookUpdateId": 50093239189, "lastBookUpdateId": 50093239202, "priceExponent": -8, "qtyExponent": -8,
        "bids": [(6173763000000, 0)], "asks": [(6183764000000, 154698000), (6183985000000, 0)]}
MESSAGES = {"trades": TRADES, "best": BEST, "snapshot": SNAPSHOT, "diff": DIFF}
KINDS = {"trades": MessageKind.MESSAGE_TRADE, "best": MessageKind.MESSAGE_QUOTE, "snapshot": MessageKind.MESSAGE_SNAPSHOT,
         "diff": MessageKind.MESSAGE_BOOK_DELTA}


@pytest.fixture(scope="module")
def decoder():
    return MessageDecoder(INSTRUMENTS, kind="binance_spot")


def ok(decoder, data, kind):
    status, found, slots, scanned, *_ = decoder.decode(data, 7)
    assert (status, found, scanned) == (Status.STATUS_OK, kind, False), Status(status).name
    assert set(slots["ts_recv_ns"].tolist()) == {7}
    return slots


def refused(decoder, data, status):
    found, _, slots, *_ = decoder.decode(data, 7)
    assert (found, len(slots)) == (status, 0), Status(found).name


def values(row, *names):
    return tuple(int(row[name]) for name in names)


LEVELS = ("price_ticks", "qty_lots", "flags", "first_update_id", "last_update_id", "ts_venue_ns")


def test_trades_of_one_frame_are_records_each(decoder):
    rows = records(ok(decoder, frame("trades", TRADES), MessageKind.MESSAGE_TRADE), EventType.EV_TRADE)
    assert [values(r, "price_ticks", "qty_lots", "trade_id", "trade_count", "ts_venue_ns", "flags") for r in rows] == [
        (6183763, 20000, 3735683259, 1, (US - 5) * 1000, 1), (6183764, 1, 3735683260, 1, (US - 5) * 1000, 0)]


def test_best_bid_and_ask_have_their_update_id_and_the_events_time(decoder):
    status, kind, slots, _, _, update_id = decoder.decode(frame("best", BEST), 7)
    assert (status, kind, update_id) == (Status.STATUS_OK, MessageKind.MESSAGE_QUOTE, 50093239212)
    assert values(records(slots, EventType.EV_QUOTE)[0], "bid_price_ticks", "bid_qty_lots", "ask_price_ticks", "ask_qty_lots",
                  "ts_venue_ns") == (6183763, 3788260, 6183764, 1546980, US * 1000)
    empty = records(ok(decoder, frame("best", {**BEST, "askPrice": 0, "askQty": 0}), MessageKind.MESSAGE_QUOTE), EventType.EV_QUOTE)[0]
    assert values(empty, "bid_price_ticks", "ask_price_ticks", "ask_qty_lots") == (6183763, NONE, 0)


def test_the_top_of_a_book_is_a_snapshot(decoder):
    rows = records(ok(decoder, frame("snapshot", SNAPSHOT), MessageKind.MESSAGE_SNAPSHOT), EventType.EV_BOOK_DELTA)
    ids = 50093239218, 50093239218, US * 1000
    assert [values(r, *LEVELS) for r in rows] == [(6183763, 3788260, 2 | 4, *ids), (6183762, 0, 2, *ids), (6183764, 1546980, 1 | 2 | 8, *ids)]


def test_a_diff_has_its_ids(decoder):
    rows = records(ok(decoder, frame("diff", DIFF), MessageKind.MESSAGE_BOOK_DELTA), EventType.EV_BOOK_DELTA)
    ids = 50093239189, 50093239202, US * 1000
    assert [values(r, *LEVELS) for r in rows] == [(6173763, 0, 4, *ids), (6183764, 1546980, 1, *ids), (6183985, 0, 1 | 8, *ids)]
    empty = records(ok(decoder, frame("diff", {**DIFF, "bids": [], "asks": []}), MessageKind.MESSAGE_BOOK_DELTA), EventType.EV_BOOK_DELTA)
    assert [values(r, "flags", "last_update_id") for r in empty] == [(4 | 8 | 16, 50093239202)]


@pytest.mark.parametrize("template", MESSAGES)
def test_a_newer_version_with_longer_blocks_elements_and_more_data_gives_the_same(decoder, template):
    plain = ok(decoder, frame(template, MESSAGES[template]), KINDS[template])
    for changes in ({"more": b"\x01" * 7}, {"element_more": b"\xff" * 3}, {"behind": b"\x03abc"}, {"more": b"\x02", "element_more": b"\x03", "behind": b"x"}):
        assert (ok(decoder, frame(template, MESSAGES[template], version=1, **changes), KINDS[template]) == plain).all()


@pytest.mark.parametrize("template", MESSAGES)
def test_a_frame_cut_at_any_byte_is_refused(decoder, template):
    data = frame(template, MESSAGES[template])
    for version in (0, 1):
        data = frame(template, MESSAGES[template], version=version)
        for size in range(len(data)):
            status, _, slots, *_ = decoder.decode(data[:size], 7)
            assert len(slots) == 0 and status == Status.STATUS_MALFORMED, size
    refused(decoder, frame(template, MESSAGES[template], behind=b"x"), Status.STATUS_MALFORMED)


@pytest.mark.parametrize("template", MESSAGES)
def test_a_header_that_is_not_ours_is_refused(decoder, template):
    message = MESSAGES[template]
    refused(decoder, frame(template, message, template_id=10004), Status.STATUS_UNSUPPORTED)
    refused(decoder, frame(template, message, schema=2), Status.STATUS_UNSUPPORTED)
    refused(decoder, frame(template, message, block_bytes=17), Status.STATUS_MALFORMED)
    refused(decoder, frame(template, message, symbol="ETHUSDT"), Status.STATUS_UNKNOWN_SYMBOL)
    refused(decoder, frame(template, message, symbol=""), Status.STATUS_UNKNOWN_SYMBOL)
    refused(decoder, frame(template, message, symbol="Y" * 255), Status.STATUS_UNKNOWN_SYMBOL)
    for us in (0, -1, 2 ** 63 - 1):
        refused(decoder, frame(template, {**message, "eventTime": us}), Status.STATUS_MALFORMED)


@pytest.mark.parametrize(("template", "changes", "status"), [
    ("best", {"bidPrice": -1}, Status.STATUS_MALFORMED), ("best", {"askQty": -2 ** 63}, Status.STATUS_MALFORMED),
    ("best", {"bidPrice": 6183763500000}, Status.STATUS_OFF_GRID), ("best", {"bidQty": 50}, Status.STATUS_OFF_GRID),
    ("best", {"bookUpdateId": -1}, Status.STATUS_MALFORMED), ("best", {"priceExponent": 18}, Status.STATUS_OVERFLOW),
    ("best", {"priceExponent": 127}, Status.STATUS_OVERFLOW), ("best", {"priceExponent": -128}, Status.STATUS_OFF_GRID),
    ("diff", {"bids": [(0, 500)]}, Status.STATUS_MALFORMED), ("diff", {"asks": [(6183764000000, -1)]}, Status.STATUS_MALFORMED),
    ("diff", {"asks": [(6183764000000, 100), (1, 100)]}, Status.STATUS_OFF_GRID), ("diff", {"lastBookUpdateId": 5}, Status.STATUS_MALFORMED),
    ("diff", {"firstBookUpdateId": -1}, Status.STATUS_MALFORMED), ("snapshot", {"bookUpdateId": -1}, Status.STATUS_MALFORMED),
    ("trades", {"trades": [(1, 6183763000000, 0, 1)]}, Status.STATUS_MALFORMED), ("trades", {"trades": [(-1, 6183763000000, 100, 1)]}, Status.STATUS_MALFORMED),
    ("trades", {"trades": [(1, 0, 100, 1)]}, Status.STATUS_MALFORMED), ("trades", {"trades": []}, Status.STATUS_IGNORED),
    ("trades", {"trades": [(1, 6183763000000, 100, 255)]}, Status.STATUS_UNSUPPORTED), ("trades", {"transactTime": 0}, Status.STATUS_MALFORMED),
])
def test_a_number_that_is_wrong_refuses_the_message_whole(decoder, template, changes, status):
    refused(decoder, frame(template, {**MESSAGES[template], **changes}), status)


def test_a_trade_of_which_the_aggressor_is_unknown_costs_itself_alone(decoder):
    trades = [(1, 6183763000000, 100, 1), (2, 6183763000000, 100, 255), (3, 6183763000000, 100, 0)]
    rows = records(ok(decoder, frame("trades", {**TRADES, "trades": trades}), MessageKind.MESSAGE_TRADE), EventType.EV_TRADE)
    assert rows["trade_id"].tolist() == [1, 3] and decoder.skipped_count == 1


def test_groups_larger_than_a_batch_or_than_the_frame_are_refused(decoder):
    level = (6183763000000, 100)
    refused(decoder, frame("diff", {**DIFF, "bids": [level] * 65535, "asks": [level]}), Status.STATUS_TOO_LARGE)
    assert len(ok(decoder, frame("diff", {**DIFF, "bids": [level] * 65534, "asks": [level]}), MessageKind.MESSAGE_BOOK_DELTA)) == 65535
    refused(decoder, frame("trades", {**TRADES, "trades": [(1, *level, 1)] * 65537}), Status.STATUS_TOO_LARGE)
    data = bytearray(frame("trades", TRADES))
    for size, count in ((25, 2 ** 32 - 1), (2 ** 16 - 1, 2 ** 32 - 1), (24, 2), (25, 3)):
        struct.pack_into("<HI", data, 26, size, count)
        refused(decoder, bytes(data), Status.STATUS_MALFORMED)


@pytest.mark.parametrize(("symbol", "tick", "lot"), [(s, Decimal(t), Decimal(q)) for s, t, q in INSTRUMENTS])
def test_any_mantissa_and_exponent_is_exact_or_refused(decoder, symbol, tick, lot):
    r = random.Random(5)
    answered = 0
    for _ in range(3000):
        price_exponent, qty_exponent = r.randrange(-20, 20), r.randrange(-20, 20)
        mantissas = [r.choice([0, 1, 5, 25, 10 ** r.randrange(19), 5 ** r.randrange(27), r.randrange(2 ** 63), 2 ** 63 - 1]) for _ in range(4)]
        if r.random() < 0.5:
            # A number of the grid, written with some exponent.
            price_exponent, qty_exponent = tick.normalize().as_tuple().exponent - r.randrange(3), lot.normalize().as_tuple().exponent - r.randrange(3)
            mantissas = [int((size * r.randrange(1000)).scaleb(-e)) for size, e in ((tick, price_exponent), (lot, qty_exponent)) * 2]
        units = [Decimal(m).scaleb(e) / size for m, e, size in zip(
            mantissas, (price_exponent, qty_exponent) * 2, (tick, lot) * 2, strict=True)]
        message = {**BEST, "priceExponent": price_exponent, "qtyExponent": qty_exponent,
                   **dict(zip(("bidPrice", "bidQty", "askPrice", "askQty"), mantissas, strict=True))}
        status, _, slots, *_ = decoder.decode(frame("best", message, symbol), 7)
        exact = [u.is_finite() and u == u.to_integral_value() and u < 2 ** 63 for u in units]
        if status == Status.STATUS_OK:
            quote = records(slots, EventType.EV_QUOTE)[0]
            expected = [int(u) for u in units]
            found = values(quote, "bid_price_ticks", "bid_qty_lots", "ask_price_ticks", "ask_qty_lots")
            assert found == (expected[0] or NONE, expected[1], expected[2] or NONE, expected[3])
            answered += 1
        else:
            assert status in (Status.STATUS_OFF_GRID, Status.STATUS_OVERFLOW)
            # Nothing that is written with such exponents is looked at.
            shift = max(e + max(0, -size.normalize().as_tuple().exponent) for e, size in ((price_exponent, tick), (qty_exponent, lot)))
            assert not all(exact) or shift > 18, message
    assert answered > 1000


def e8(text):
    return int(Decimal(text).scaleb(8))


def as_binary(data):
    """The binary frame of a JSON message, and of whichever fields differ: the times."""
    levels = {side: [(e8(p), e8(q)) for p, q in data[key]] for side, key in (("bids", "b"), ("asks", "a")) if isinstance(data.get(key), list)}
    if "lastUpdateId" in data:
        return frame("snapshot", {**SNAPSHOT, "bookUpdateId": data["lastUpdateId"], **{s: [(e8(p), e8(q)) for p, q in data[s]] for s in ("bids", "asks")}})
    if data.get("e") == "depthUpdate":
        return frame("diff", {**DIFF, "eventTime": data["E"] * 1000, "firstBookUpdateId": data["U"], "lastBookUpdateId": data["u"], **levels})
    if data.get("e") == "trade":
        return frame("trades", {**TRADES, "eventTime": data["E"] * 1000, "transactTime": data["T"] * 1000,
                                "trades": [(data["t"], e8(data["p"]), e8(data["q"]), data["m"])]})
    return frame("best", {**BEST, "bookUpdateId": data["u"], "bidPrice": e8(data["b"]), "bidQty": e8(data["B"]), "askPrice": e8(data["a"]),
                          "askQty": e8(data["A"])})


def test_recorded_messages_written_as_binary_frames_give_the_same_records(decoder, golden_dir):
    kinds = set()
    for recorded in itertools.islice(read_capture(golden_dir / "binance_spot" / "hftbacktest_btcusdt_20240808.gz"), 6000):
        message = json.loads(recorded.data)
        status, kind, slots, _, count, update_id = decoder.decode(recorded.data, 7, 0)
        found_status, found_kind, found, _, found_count, found_id = decoder.decode(as_binary(message.get("data", message)), 7)
        assert (found_status, found_kind, found_count, found_id) == (status, kind, count, update_id)
        if kind in (MessageKind.MESSAGE_QUOTE, MessageKind.MESSAGE_SNAPSHOT):
            found["ts_venue_ns"] = slots["ts_venue_ns"]               # JSON has none
        assert (found == slots).all()
        kinds.add(kind)
    assert kinds == set(KINDS.values())


def test_replies_on_the_same_connection_are_json(decoder):
    assert decoder.decode(b'{"result":null,"id":1}')[:2] == (Status.STATUS_IGNORED, MessageKind.MESSAGE_OTHER)


def test_random_bytes_and_mutants_never_give_more_than_a_batch(decoder):
    r = random.Random(11)
    seeds = [frame(t, m) for t, m in MESSAGES.items()]
    taken = 0
    for _ in range(examples(40_000)):
        data = bytearray(r.choice(seeds))
        for _ in range(r.randrange(1, 4)):
            data[r.randrange(len(data))] = r.choice([0, 1, 0xFF, 0x7F, r.randrange(256)])
        status, _, slots, *_ = decoder.decode(bytes(data), 7)
        assert (status == Status.STATUS_OK) == (len(slots) > 0)
        taken += len(slots) > 0
    assert taken > examples(1000)
