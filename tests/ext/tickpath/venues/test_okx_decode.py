"""OKX messages one by one: what the decoder makes of each kind, against numbers written by hand.

The texts are recorded ones, shortened, or the examples of okx.com/docs-v5; chains of seqId, maintenance resets and zero
checksums are generated, since the recordings are older than these fields.
"""
import json

import pytest
from decode_pair import levels_of, split_messages

from tickpath.market import OrderBook
from tickpath.market.book import BookResult
from tickpath.shm.ring import records
from tickpath.types import BookState, EventType, ReferenceKind, Status, VenueId, VenueStatus
from tickpath.venues.batch import MessageKind
from tickpath.venues.decoders import MessageDecoder

BTC, SWAP, FUN, OPTION = 0, 1, 2, 3
INSTRUMENTS = [("BTC-USDT", "0.1", "0.00000001"), ("BTC-USDT-SWAP", "0.1", "0.01"), ("FUN-BTC", "0.000000001", "0.01"),
               ("BTC-USD-210924-66000-C", "0.0005", "1")]
NONE = -2 ** 63
MS = 1_000_000


@pytest.fixture(scope="module", params=[True, False], ids=["scanner", "general"])
def decoder(request):
    return MessageDecoder(INSTRUMENTS, kind="okx", scanner=request.param)


def decode(decoder, message, expected=Status.STATUS_OK):
    """(kind, slots) of a message given as text or as an object."""
    data = message if isinstance(message, bytes) else json.dumps(message, separators=(",", ":")).encode()
    status, kind, slots, *_ = decoder.decode(data, 1_000)
    assert Status(status) == expected, data
    return kind, slots


def push(channel, data, *, inst="BTC-USDT", **more):
    return {"arg": {"channel": channel, "instId": inst}, **more, "data": data}


def book(asks, bids, *, channel="books", action="update", ts="1652459225453", inst="BTC-USDT", **tail):
    more = {} if action is None else {"action": action}
    rows = [[[p, q, "0", "1"] for p, q in side] for side in (asks, bids)]
    return push(channel, [{"asks": rows[0], "bids": rows[1], "ts": ts, **tail}], inst=inst, **more)


def one(slots, kind):
    (found,) = records(slots, kind)
    return found


# ---- books

def test_an_update_gives_its_levels_asks_first_and_the_checksum_behind_them(decoder):
    raw = (b'{"arg":{"channel":"books-l2-tbt","instId":"BTC-USDT"},"action":"update","data":[{"asks":[["30243.5","1.2112","0","4"],'
           b'["30247.5","0","0","0"]],"bids":[["30175.3","0.06523858","0","12"]],"ts":"1652459225453","checksum":-652563973}]}')
    kind, slots = decode(decoder, raw)
    d = records(slots, EventType.EV_BOOK_DELTA)
    assert kind == MessageKind.MESSAGE_BOOK_DELTA and len(d) == 4
    assert levels_of(d) == [(1, 302435, 121120000), (1, 302475, 0), (0, 301753, 6523858)]
    # First 4, last 8, no level 16, checksum 32, ask 1.
    assert d["flags"].tolist() == [1 | 4, 1, 0, 8 | 16 | 32]
    assert d["price_ticks"][3] == -652563973 and d["qty_lots"][3] == 0
    assert set(d["ts_venue_ns"]) == {1652459225453 * MS} and set(d["ts_recv_ns"]) == {1000}
    assert set(d["instrument"]) == {BTC} and set(d["venue"]) == {VenueId.VENUE_OKX}
    assert set(d["first_update_id"]) == set(d["last_update_id"]) == {0}


def test_a_snapshot_is_marked_and_takes_the_book_to_its_seq_id(decoder):
    kind, slots = decode(decoder, book([("8476.9", "415")], [("8476.8", "256")], action="snapshot", checksum=-855196043, seqId=123456,
                                       prevSeqId=-1))
    d = records(slots, EventType.EV_BOOK_DELTA)
    assert kind == MessageKind.MESSAGE_SNAPSHOT
    assert (d["flags"] & 2 != 0).all() and d["flags"][0] & 4 and d["flags"][2] & 8
    assert set(d["first_update_id"]) == set(d["last_update_id"]) == {123456}


@pytest.mark.parametrize("tail", [{"checksum": 0}, {}])
def test_a_checksum_of_zero_is_no_checksum(decoder, tail):
    _, slots = decode(decoder, book([("8476.9", "415")], [], **tail, seqId=12, prevSeqId=10))
    d = records(slots, EventType.EV_BOOK_DELTA)
    assert d["flags"].tolist() == [1 | 4 | 8]
    assert (d["first_update_id"][0], d["last_update_id"][0]) == (11, 12)


@pytest.mark.parametrize("channel", ["books5", "bbo-tbt"])
def test_channels_without_an_action_are_snapshots_each_time(decoder, channel):
    kind, slots = decode(decoder, book([("8476.9", "415")], [("8476.8", "256")], channel=channel, action=None, seqId=77))
    d = records(slots, EventType.EV_BOOK_DELTA)
    assert kind == MessageKind.MESSAGE_SNAPSHOT and (d["flags"] & 2 != 0).all() and set(d["last_update_id"]) == {77}
    _, slots = decode(decoder, book([], [("8476.8", "256")], channel=channel, action=None))
    assert levels_of(slots.view(d.dtype)) == [(0, 84768, 25600000000)]


def test_a_message_without_levels_carries_its_ids(decoder):
    _, slots = decode(decoder, book([], [], seqId=15, prevSeqId=15))
    d = one(slots, EventType.EV_BOOK_DELTA)
    assert d["flags"] == 4 | 8 | 16 and (d["first_update_id"], d["last_update_id"]) == (16, 15)


def test_several_books_in_one_message_are_several_messages(decoder):
    message = book([("8476.9", "1")], [], seqId=2, prevSeqId=1)
    message["data"].append(book([], [("8476.8", "1"), ("8476.7", "2")], seqId=5, prevSeqId=2, checksum=9)["data"][0])
    _, slots = decode(decoder, message)
    first, second = split_messages(records(slots, EventType.EV_BOOK_DELTA))
    assert (len(first), len(second)) == (1, 3)
    assert (second["first_update_id"][0], second["last_update_id"][0], second["price_ticks"][2]) == (3, 5, 9)


def test_nine_decimals_are_exact(decoder):
    _, slots = decode(decoder, book([("0.000000455", "142796.14")], [("0.000000452", "0")], inst="FUN-BTC"))
    assert levels_of(records(slots, EventType.EV_BOOK_DELTA)) == [(1, 455, 14279614), (0, 452, 0)]


def test_generated_ids_chain_in_the_book_through_silence_and_a_maintenance_reset(decoder):
    """Generated after the rules of the documentation: each step is one message of the venue."""
    ladder = OrderBook("0.1", "0.00000001", sync="stream", max_levels=400)
    steps = [  # action, prevSeqId, seqId, bid
        ("snapshot", -1, 10, "100"), ("update", 10, 15, "101"), ("update", 15, 15, None), ("update", 15, 16, "102"),
        ("update", 16, 3, "103"),        # maintenance: the numbers begin anew
        ("update", 3, 3, None), ("update", 3, 5, "104"),
    ]
    for n, (action, prev, seq, bid) in enumerate(steps):
        _, slots = decode(decoder, book([], [(bid, "1")] if bid else [], action=action, seqId=seq, prevSeqId=prev))
        assert ladder.apply(slots) == (BookResult.BOOK_SYNCED if n == 0 else BookResult.BOOK_APPLIED)
        assert ladder.last_update_id == seq and ladder.state == BookState.BOOK_GOOD
    assert ladder.best_bid == (1040, 100000000) and ladder.bid_levels == 5
    _, slots = decode(decoder, book([], [("105", "1")], seqId=9, prevSeqId=7))
    assert ladder.apply(slots) == BookResult.BOOK_GAP and ladder.state == BookState.BOOK_SYNCING
    _, slots = decode(decoder, book([], [("99", "1")], action="snapshot", seqId=20, prevSeqId=-1))
    assert ladder.apply(slots) == BookResult.BOOK_SYNCED and ladder.best_bid == (990, 100000000)


@pytest.mark.parametrize("message, status", [
    (book([("8476.95", "1")], []), Status.STATUS_OFF_GRID),
    (book([], [("8476.9", "0.000000001")]), Status.STATUS_OFF_GRID),
    (book([("0", "1")], []), Status.STATUS_MALFORMED),
    (book([("-5", "1")], []), Status.STATUS_MALFORMED),
    (book([("5", "-1")], []), Status.STATUS_MALFORMED),
    (book([("", "1")], []), Status.STATUS_MALFORMED),
    (book([("1e30", "1")], []), Status.STATUS_OVERFLOW),
    (book([], [], ts="yesterday"), Status.STATUS_MALFORMED),
    (book([], [], seqId=5), Status.STATUS_MALFORMED),
    (book([], [], prevSeqId=5), Status.STATUS_MALFORMED),
    (book([], [], seqId=-5, prevSeqId=1), Status.STATUS_MALFORMED),
    (book([], [], seqId=5, prevSeqId=-2), Status.STATUS_MALFORMED),
    (book([], [], checksum=2 ** 31), Status.STATUS_MALFORMED),
    (book([], [], checksum="5"), Status.STATUS_MALFORMED),
    (book([], [], action="partial"), Status.STATUS_UNSUPPORTED),
    (book([], [], action=None), Status.STATUS_MALFORMED),
    (book([("1", "1")], [], inst="ETH-USDT"), Status.STATUS_UNKNOWN_SYMBOL),
    (push("books", [{"bids": [], "ts": "1652459225453"}], action="update"), Status.STATUS_MALFORMED),
    (push("books", [{"asks": [["1"]], "bids": [], "ts": "1652459225453"}], action="update"), Status.STATUS_MALFORMED),
    (push("books", {}, action="update"), Status.STATUS_MALFORMED),
    (push("books", [], action="update"), Status.STATUS_IGNORED),
])
def test_a_book_that_cannot_be_read_is_refused_whole(decoder, message, status):
    _, slots = decode(decoder, message, status)
    assert len(slots) == 0
    # The same behind a good level: no part of a book gets through.
    if status == Status.STATUS_OFF_GRID:
        message["data"][0]["asks"].insert(0, ["8000", "1", "0", "1"])
        assert len(decode(decoder, message, status)[1]) == 0


def test_the_largest_book_fits_and_one_level_more_does_not(decoder):
    rows = ",".join(f'["{n}.5","1","0","1"]' for n in range(1, 65535))
    text = '{"arg":{"channel":"books","instId":"BTC-USDT"},"action":"snapshot","data":[{"asks":[%s],"bids":[],"ts":"1652459225453","checksum":5}]}'
    assert len(decode(decoder, (text % rows).encode())[1]) == 65535
    decode(decoder, (text % (rows + ',["70000","1","0","1"]')).encode(), Status.STATUS_TOO_LARGE)


# ---- trades and quotes

def trade(**change):
    return {"instId": "BTC-USDT", "tradeId": "130639474", "px": "42219.9", "sz": "0.12060306", "side": "buy", "ts": "1630048897897", **change}


def test_trades_of_a_message_are_records_in_order(decoder):
    kind, slots = decode(decoder, push("trades", [trade(), trade(tradeId="130639475", side="sell", px="42219.8", ts="1630048897899")]))
    t = records(slots, EventType.EV_TRADE)
    assert kind == MessageKind.MESSAGE_TRADE and decoder.ts_venue_ns == 1630048897899 * MS
    assert t["price_ticks"].tolist() == [422199, 422198] and t["qty_lots"].tolist() == [12060306, 12060306]
    assert t["trade_id"].tolist() == [130639474, 130639475] and t["trade_count"].tolist() == [1, 1]
    # TRADE_SELL_AGGRESSOR is 1.
    assert t["flags"].tolist() == [0, 1] and t["ts_venue_ns"].tolist() == [1630048897897 * MS, 1630048897899 * MS]


@pytest.mark.parametrize("channel", ["trades", "trades-all"])
def test_a_trade_with_a_count_is_an_aggregate(decoder, channel):
    _, slots = decode(decoder, push(channel, [trade(count="3", source="0", seqId=1234)]))
    t = one(slots, EventType.EV_TRADE)
    assert (t["trade_count"], t["flags"]) == (3, 2)


def test_a_trade_of_an_unknown_side_costs_only_itself(decoder):
    _, slots = decode(decoder, push("trades", [trade(), trade(side="both", tradeId="2"), trade(tradeId="3")]))
    assert records(slots, EventType.EV_TRADE)["trade_id"].tolist() == [130639474, 3] and decoder.skipped_count == 1
    decode(decoder, push("trades", [trade(side="both")]), Status.STATUS_UNSUPPORTED)


@pytest.mark.parametrize("change, status", [
    ({"px": "0"}, Status.STATUS_MALFORMED), ({"px": "-1"}, Status.STATUS_MALFORMED), ({"sz": "0"}, Status.STATUS_MALFORMED),
    ({"px": "42219.95"}, Status.STATUS_OFF_GRID), ({"tradeId": "x"}, Status.STATUS_MALFORMED), ({"ts": "1"}, Status.STATUS_OK),
    ({"ts": 1630048897897}, Status.STATUS_MALFORMED), ({"side": 1}, Status.STATUS_MALFORMED), ({"count": "0"}, Status.STATUS_MALFORMED),
    ({"instId": "ETH-USDT"}, Status.STATUS_UNKNOWN_SYMBOL), ({"instId": 5}, Status.STATUS_UNKNOWN_SYMBOL),
])
def test_a_trade_that_cannot_be_read_refuses_its_message(decoder, change, status):
    _, slots = decode(decoder, push("trades", [trade(**change)]), status)
    assert len(slots) == (status == Status.STATUS_OK)


def ticker(**change):
    return push("tickers", [{"instType": "OPTION", "instId": "BTC-USD-210924-66000-C", "last": "0.0065", "lastSz": "0", "askPx": "0.008",
                             "askSz": "300", "bidPx": "0.0065", "bidSz": "5", "open24h": "0.006", "high24h": "0.0065", "low24h": "0.006",
                             "sodUtc0": "0.006", "sodUtc8": "0.0065", "volCcy24h": "0.2", "vol24h": "2", "ts": "1626995703355", **change}],
                inst="BTC-USD-210924-66000-C")


def test_a_ticker_is_a_quote(decoder):
    kind, slots = decode(decoder, ticker())
    q = one(slots, EventType.EV_QUOTE)
    assert kind == MessageKind.MESSAGE_QUOTE and q["instrument"] == OPTION and q["ts_venue_ns"] == 1626995703355 * MS
    assert [int(q[k]) for k in ("bid_price_ticks", "bid_qty_lots", "ask_price_ticks", "ask_qty_lots")] == [13, 5, 16, 300]


@pytest.mark.parametrize("change, expected", [
    ({"askPx": "", "askSz": ""}, [13, 5, NONE, 0]), ({"bidPx": "", "bidSz": ""}, [NONE, 0, 16, 300]),
    ({"askPx": "", "askSz": "0", "bidPx": "", "bidSz": "0"}, [NONE, 0, NONE, 0]), ({"askPx": "0", "askSz": "0"}, [13, 5, NONE, 0]),
])
def test_an_empty_side_of_a_ticker_has_no_price(decoder, change, expected):
    q = one(decode(decoder, ticker(**change))[1], EventType.EV_QUOTE)
    assert [int(q[k]) for k in ("bid_price_ticks", "bid_qty_lots", "ask_price_ticks", "ask_qty_lots")] == expected


@pytest.mark.parametrize("change, status", [
    ({"askPx": "0.0081"}, Status.STATUS_OFF_GRID), ({"askPx": "x"}, Status.STATUS_MALFORMED), ({"bidSz": "-5"}, Status.STATUS_MALFORMED),
    ({"bidSz": ""}, Status.STATUS_MALFORMED), ({"ts": ""}, Status.STATUS_MALFORMED), ({"askPx": None}, Status.STATUS_MALFORMED),
])
def test_a_ticker_that_cannot_be_read_is_refused(decoder, change, status):
    assert len(decode(decoder, ticker(**change), status)[1]) == 0


# ---- bars and reference numbers

@pytest.mark.parametrize("channel, interval_s", [("candle1m", 60), ("candle15m", 900), ("candle1H", 3600), ("candle4H", 14400),
                                                 ("candle12Hutc", 43200), ("candle1D", 86400), ("candle1Dutc", 86400), ("candle1W", 604800),
                                                 ("candle1s", 1)])
def test_a_candle_is_right_aligned(decoder, channel, interval_s):
    row = ["1597026360000", "8533.1", "8553.7", "8527.2", "8548.3", "45.247", "529.5858061", "529.5858061"]
    kind, slots = decode(decoder, push(channel, [[*row, "0"], [*row, "1"], row[:7]]))
    c = records(slots, EventType.EV_CANDLE)
    assert kind == MessageKind.MESSAGE_BAR and len(c) == 3
    assert set(c["ts_open_ns"]) == {1597026360000 * MS} and set(c["ts_venue_ns"]) == {1597026360000 * MS + interval_s * 10 ** 9}
    assert set(c["interval_ns"]) == {interval_s * 10 ** 9}
    assert [int(c[0][k]) for k in ("open_ticks", "high_ticks", "low_ticks", "close_ticks", "volume_lots", "trade_count")] == \
        [85331, 85537, 85272, 85483, 4524700000, 0]
    assert c["flags"].tolist() == [0, 1, 0] and set(c["buy_volume_lots"]) == {NONE}
    assert slots["type"].tolist() == [EventType.EV_CANDLE, EventType.EV_CONT] * 3


@pytest.mark.parametrize("channel", ["candle1M", "candle3Mutc", "candle", "candlem", "candle1", "candle1mutd", "candle123m", "mark-price-candle1m",
                                     "index-candle1m", "option-summary", "price-limit", "books15", ""])
def test_channels_that_are_not_known_are_unsupported(decoder, channel):
    decode(decoder, push(channel, []), Status.STATUS_UNSUPPORTED)


@pytest.mark.parametrize("row", [["1597026360000", "8533.1", "8527.1", "8527.2", "8548.3", "45"], ["1597026360000", "8533.1"], [],
                                 ["x", "8533.1", "8553.7", "8527.2", "8548.3", "45"], ["1597026360000", "0", "1", "0", "1", "45"]])
def test_a_candle_that_makes_no_sense_is_refused(decoder, row):
    decode(decoder, push("candle1m", [row]), Status.STATUS_MALFORMED)


@pytest.mark.parametrize("channel, field, text, kind, mantissa, scale", [
    ("mark-price", "markPx", "42310.6", ReferenceKind.REFERENCE_MARK_PRICE, 423106, 1),
    ("index-tickers", "idxPx", "0.10", ReferenceKind.REFERENCE_INDEX_PRICE, 10, 2),
    ("open-interest", "oi", "2216113.01000000309", ReferenceKind.REFERENCE_OPEN_INTEREST, 221611301000000309, 11),
    ("funding-rate", "fundingRate", "-0.0001429976312", ReferenceKind.REFERENCE_FUNDING_RATE, -1429976312, 13),
    ("mark-price", "markPx", "1.5E+3", ReferenceKind.REFERENCE_MARK_PRICE, 1500, 0),
    ("mark-price", "markPx", "25e-4", ReferenceKind.REFERENCE_MARK_PRICE, 25, 4),
])
def test_reference_numbers_are_kept_as_their_text_has_them(decoder, channel, field, text, kind, mantissa, scale):
    element = {"instId": "BTC-USDT-SWAP", field: text, "ts": "1630049139746", "fundingTime": "1630051200000"}
    message_kind, slots = decode(decoder, push(channel, [element], inst="BTC-USDT-SWAP"))
    r = one(slots, EventType.EV_REFERENCE)
    assert message_kind == MessageKind.MESSAGE_OTHER and r["instrument"] == SWAP and r["ts_venue_ns"] == 1630049139746 * MS
    assert (r["kind"], r["mantissa"], r["scale"]) == (kind, mantissa, scale)
    assert r["ts_next_ns"] == (1630051200000 * MS if channel == "funding-rate" else NONE)


def test_a_reference_number_of_too_many_digits_is_left_out_and_counted(decoder):
    element = {"instId": "BTC-USDT", "markPx": "1234567890.1234567890", "ts": "1630049139746"}
    _, slots = decode(decoder, push("mark-price", [element, {**element, "markPx": "5"}]))
    assert len(slots) == 1 and decoder.skipped_count == 1
    decode(decoder, push("mark-price", [element]), Status.STATUS_UNSUPPORTED)
    decode(decoder, push("mark-price", [{**element, "markPx": ""}]), Status.STATUS_IGNORED)
    decode(decoder, push("mark-price", [{**element, "markPx": True}]), Status.STATUS_MALFORMED)


# ---- liquidations and states

def liquidations(*details, inst="BTC-USDT-SWAP"):
    return {"details": [{"bkLoss": "0", "bkPx": "42310.6", "ccy": "", "posSide": "short", "side": "buy", "sz": "13", "ts": "1692266434010", **d}
                        for d in details], "instFamily": "BTC-USDT", "instId": inst, "instType": "SWAP", "uly": "BTC-USDT"}


def test_liquidations_of_a_whole_kind_of_instruments_give_those_that_are_ours(decoder):
    message = {"arg": {"channel": "liquidation-orders", "instType": "SWAP"}, "data": [
        liquidations({}, {"side": "sell", "posSide": "long", "bkPx": "42310.65"}), liquidations({}, inst="IOST-USDT-SWAP")]}
    kind, slots = decode(decoder, message)
    r = records(slots, EventType.EV_LIQUIDATION)
    assert kind == MessageKind.MESSAGE_OTHER and decoder.skipped_count == 1 and set(r["instrument"]) == {SWAP}
    # A price off the grid is none; a long position is closed by selling.
    assert r["price_ticks"].tolist() == [423106, NONE] and r["qty_lots"].tolist() == [1300, 1300] and r["flags"].tolist() == [0, 1]
    assert set(r["ts_venue_ns"]) == {1692266434010 * MS}
    message["data"] = message["data"][1:]
    decode(decoder, message, Status.STATUS_UNKNOWN_SYMBOL)


@pytest.mark.parametrize("state, status", [
    ("live", VenueStatus.VENUE_STATUS_TRADING), ("suspend", VenueStatus.VENUE_STATUS_HALTED), ("preopen", VenueStatus.VENUE_STATUS_HALTED),
    ("expired", VenueStatus.VENUE_STATUS_DELISTED), ("post_only", VenueStatus.VENUE_STATUS_POST_ONLY),
    ("dancing in the moonlight", VenueStatus.VENUE_STATUS_UNKNOWN),
])
def test_the_state_of_an_instrument_is_told_with_the_venues_own_word(decoder, state, status):
    message = {"arg": {"channel": "instruments", "instType": "SWAP"}, "data": [{"instId": "X-USDT-SWAP", "state": "live"},
                                                                             {"instId": "BTC-USDT-SWAP", "state": state, "tickSz": "0.1"}]}
    kind, slots = decode(decoder, message)
    r = one(slots, EventType.EV_INSTRUMENT_STATUS)
    assert kind == MessageKind.MESSAGE_OTHER and (r["instrument"], r["status"], r["ts_venue_ns"]) == (SWAP, status, NONE)
    assert bytes(r["text"]).rstrip(b"\0") == state.encode()[:16]


@pytest.mark.parametrize("change, status", [
    ({"state": "ongoing"}, VenueStatus.VENUE_STATUS_HALTED), ({"state": "pre_open"}, VenueStatus.VENUE_STATUS_POST_ONLY),
    ({"state": "completed"}, VenueStatus.VENUE_STATUS_TRADING), ({"state": "on fire"}, VenueStatus.VENUE_STATUS_UNKNOWN),
    ({"state": "scheduled"}, None), ({"state": "canceled"}, None), ({"serviceType": "7"}, None), ({"serviceType": "99"}, None),
    ({"env": "2"}, None), ({"env": "1"}, VenueStatus.VENUE_STATUS_HALTED), ({"serviceType": "0"}, VenueStatus.VENUE_STATUS_HALTED),
])
def test_maintenance_of_trading_is_told_for_the_whole_venue(decoder, change, status):
    element = {"title": "Upgrade", "state": "ongoing", "begin": "1610019546000", "serviceType": "5", "system": "unified", "ts": "1597026383085"}
    message = {"arg": {"channel": "status"}, "data": [{**element, **change}]}
    if status is None:
        assert decode(decoder, message, Status.STATUS_IGNORED)[0] == MessageKind.MESSAGE_OTHER
    else:
        r = one(decode(decoder, message)[1], EventType.EV_INSTRUMENT_STATUS)
        assert (r["instrument"], r["status"], r["ts_venue_ns"]) == (0xFFFFFFFF, status, 1597026383085 * MS)


# ---- everything else

@pytest.mark.parametrize("text", [
    b"pong", b'{"event":"subscribe","arg":{"channel":"books","instId":"BTC-USDT"},"connId":"a4d3ae55"}', b'{"event":"unsubscribe","arg":{}}',
    b'{"event":"error","code":"60012","msg":"Invalid request"}', b'{"event":"notice","code":"64008","msg":"The connection will soon be closed"}',
    b'{"event":"channel-conn-count","channel":"orders","connCount":"2"}', b'{"code":"0","data":[],"msg":""}',
])
def test_what_is_no_market_data_is_ignored(decoder, text):
    kind, slots = decode(decoder, text, Status.STATUS_IGNORED)
    assert kind == MessageKind.MESSAGE_OTHER and len(slots) == 0


@pytest.mark.parametrize("text, status", [
    (b"", Status.STATUS_MALFORMED), (b"ping", Status.STATUS_MALFORMED), (b"{", Status.STATUS_MALFORMED), (b"5", Status.STATUS_MALFORMED),
    (b"{}", Status.STATUS_UNSUPPORTED), (b"[]", Status.STATUS_UNSUPPORTED), (b'{"arg":5,"data":[]}', Status.STATUS_MALFORMED),
    (b'{"arg":{"channel":"trades"},"data":5}', Status.STATUS_MALFORMED), (b'{"arg":{"channel":"trades"},"data":[5]}', Status.STATUS_MALFORMED),
    (b'{"arg":{"channel":"trades","channel":"trades"},"data":[]}', Status.STATUS_MALFORMED),
    (b'{"table":"spot/trade","data":[{"instrument_id":"BCH-USDT","price":"328.74"}]}', Status.STATUS_UNSUPPORTED),
])
def test_what_is_no_message_of_this_protocol_says_which_way(decoder, text, status):
    assert len(decode(decoder, text, status)[1]) == 0


def test_a_frame_over_the_limit_is_refused_unread():
    decoder = MessageDecoder(INSTRUMENTS, kind="okx", max_frame_bytes=100)
    decode(decoder, b'{"arg":{"channel":"books","instId":"BTC-USDT"},"action":"update",' + 60 * b" ", Status.STATUS_TOO_LARGE)
