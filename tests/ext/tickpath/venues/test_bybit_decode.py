"""Bybit messages one by one: what the decoder makes of each kind, against numbers written by hand.

The texts are recorded ones, shortened, or the examples of bybit-exchange.github.io/docs/v5; the restart with u = 1 and the
repeated book of one level are generated, since the recording has neither.
"""
import json
import uuid

import pytest
from decode_pair import levels_of

from tickpath.market import OrderBook
from tickpath.market.book import BookResult
from tickpath.shm.ring import records
from tickpath.types import BookState, EventType, ReferenceKind, Status, VenueId
from tickpath.venues.batch import MessageKind
from tickpath.venues.decoders import MessageDecoder

BTC, ETH, OPTION = 0, 1, 2
INSTRUMENTS = [("BTCUSDT", "0.10", "0.001"), ("ETHUSDT", "0.01", "0.00001"), ("BTC-28JUN24-60000-P", "5", "0.01")]
NONE = -2 ** 63
MS = 1_000_000


@pytest.fixture(scope="module", params=[True, False], ids=["scanner", "general"])
def decoder(request):
    return MessageDecoder(INSTRUMENTS, kind="bybit", scanner=request.param)


def decode(decoder, message, expected=Status.STATUS_OK):
    """(kind, slots) of a message given as text or as an object."""
    data = message if isinstance(message, bytes) else json.dumps(message, separators=(",", ":")).encode()
    status, kind, slots, *_ = decoder.decode(data, 1_000)
    assert Status(status) == expected, data
    return kind, slots


def one(slots, kind):
    (found,) = records(slots, kind)
    return found


# ---- books

def book(bids, asks, *, u=10, kind="delta", spot=False, depth=50, **change):
    data = {"s": "BTCUSDT", "b": bids, "a": asks, "u": u, "seq": 753843913870}
    head = {"topic": f"orderbook.{depth}.BTCUSDT", "ts": 1786310818130, "type": kind} if spot else \
        {"topic": f"orderbook.{depth}.BTCUSDT", "type": kind, "ts": 1786310818130}
    return {**head, "data": data, "cts": 1786310818129, **change}


@pytest.mark.parametrize("spot", [False, True])
@pytest.mark.parametrize("depth", [1, 50, 200, 500, 1000])
def test_a_delta_gives_its_levels_bids_first(decoder, spot, depth):
    kind, slots = decode(decoder, book([["65095.30", "0.005"], ["65094.6", "0"]], [["65116.60", "12"]], u=15076953, spot=spot, depth=depth))
    d = records(slots, EventType.EV_BOOK_DELTA)
    assert kind == MessageKind.MESSAGE_BOOK_DELTA and levels_of(d) == [(0, 650953, 5), (0, 650946, 0), (1, 651166, 12000)]
    # First 4, last 8, ask 1; the id is both the first and the last.
    assert d["flags"].tolist() == [4, 0, 1 | 8]
    assert set(d["first_update_id"]) == set(d["last_update_id"]) == {15076953}
    assert set(d["ts_venue_ns"]) == {1786310818130 * MS} == {decoder.ts_venue_ns} and set(d["venue"]) == {VenueId.VENUE_BYBIT}


@pytest.mark.parametrize("change", [{"kind": "snapshot"}, {"u": 1}, {"kind": "snapshot", "u": 1}])
def test_a_snapshot_and_the_first_id_after_a_restart_replace_the_book(decoder, change):
    kind, slots = decode(decoder, book([["65095.30", "0.005"]], [], **change))
    assert kind == MessageKind.MESSAGE_SNAPSHOT and slots["flags"].tolist() == [2 | 4 | 8]


def test_an_empty_delta_carries_its_id(decoder):
    d = one(decode(decoder, book([], [], u=77))[1], EventType.EV_BOOK_DELTA)
    assert (d["flags"], d["first_update_id"], d["last_update_id"]) == (4 | 8 | 16, 77, 77)


def test_generated_ids_chain_in_the_book_through_a_repetition_and_a_restart(decoder):
    """Generated after the rules of the documentation: a repeated snapshot, a lost message, a restart with u = 1."""
    ladder = OrderBook("0.10", "0.001", sync="stream", max_levels=50)
    steps = [  # type, u, bid, expected
        ("snapshot", 10, "100", BookResult.BOOK_SYNCED), ("delta", 11, "101", BookResult.BOOK_APPLIED),
        ("snapshot", 11, "102", BookResult.BOOK_SYNCED), ("snapshot", 11, "102", BookResult.BOOK_SYNCED),
        ("delta", 12, "103", BookResult.BOOK_APPLIED), ("delta", 12, "109", BookResult.BOOK_DROPPED_OLD),
        ("delta", 1, "90", BookResult.BOOK_SYNCED), ("delta", 2, "91", BookResult.BOOK_APPLIED), ("delta", 4, "92", BookResult.BOOK_GAP),
        ("delta", 5, "93", BookResult.BOOK_PENDING), ("snapshot", 6, "94", BookResult.BOOK_SYNCED),
    ]
    for kind, u, bid, expected in steps:
        _, slots = decode(decoder, book([[bid, "1"]], [], u=u, kind=kind))
        assert ladder.apply(slots) == expected, u
    assert ladder.best_bid == (940, 1000) and ladder.bid_levels == 1 and ladder.state == BookState.BOOK_GOOD


@pytest.mark.parametrize("message, status", [
    (book([["65095.35", "1"]], []), Status.STATUS_OFF_GRID), (book([], [["1", "0.0001"]]), Status.STATUS_OFF_GRID),
    (book([["0", "1"]], []), Status.STATUS_MALFORMED), (book([["-1", "1"]], []), Status.STATUS_MALFORMED),
    (book([["1", "-1"]], []), Status.STATUS_MALFORMED), (book([["1e30", "1"]], []), Status.STATUS_OVERFLOW),
    (book([["1"]], []), Status.STATUS_MALFORMED), (book([["", "1"]], []), Status.STATUS_MALFORMED), (book({}, []), Status.STATUS_MALFORMED),
    (book([], [], u=-1), Status.STATUS_MALFORMED), (book([], [], u="5"), Status.STATUS_MALFORMED),
    (book([], [], kind="partial"), Status.STATUS_UNSUPPORTED), (book([], [], type=None), Status.STATUS_MALFORMED),
    (book([], [], ts="x"), Status.STATUS_MALFORMED), (book([], [], data=[]), Status.STATUS_MALFORMED),
    (book([], [], data={"s": "XRPUSDT", "b": [], "a": [], "u": 5}), Status.STATUS_UNKNOWN_SYMBOL),
    (book([], [], topic="orderbook.rpi.BTCUSDT"), Status.STATUS_UNSUPPORTED),
])
def test_a_book_that_cannot_be_read_is_refused_whole(decoder, message, status):
    assert len(decode(decoder, message, status)[1]) == 0
    if status == Status.STATUS_OFF_GRID:
        message["data"]["b"].insert(0, ["8000", "1"])
        assert len(decode(decoder, message, status)[1]) == 0


# ---- trades

def linear_trade(**change):
    return {"T": 1786310819680, "s": "BTCUSDT", "S": "Sell", "v": "0.004", "p": "65114.20", "L": "MinusTick",
            "i": "a9188a0a-82bc-50de-be60-03eedbe3cdd7", "BT": False, "RPI": False, "seq": 753843954913, **change}


def spot_trade(**change):
    return {"i": "2280000001739247417", "T": 1786310821917, "p": "65114.2", "v": "0.045", "S": "Buy", "seq": 178477362706, "s": "BTCUSDT",
            "BT": False, "RPI": False, **change}


def trades(*elements, spot=False):
    head = {"ts": 1786310819681, "type": "snapshot"} if spot else {"type": "snapshot", "ts": 1786310819681}
    return {"topic": "publicTrade.BTCUSDT", **head, "data": list(elements)}


def fold(text):
    value = uuid.UUID(text).int
    return value >> 64 ^ value & 2 ** 64 - 1


def test_trades_of_a_message_are_records_in_order(decoder):
    other = "4d4ad26c-901f-5146-adc0-1db29b6b9ab6"
    kind, slots = decode(decoder, trades(linear_trade(), linear_trade(T=1786310819682, S="Buy", i=other, v="1", p="65114")))
    t = records(slots, EventType.EV_TRADE)
    assert kind == MessageKind.MESSAGE_TRADE and decoder.ts_venue_ns == 1786310819682 * MS
    assert t["price_ticks"].tolist() == [651142, 651140] and t["qty_lots"].tolist() == [4, 1000]
    # TRADE_SELL_AGGRESSOR is 1.
    assert t["flags"].tolist() == [1, 0] and t["ts_venue_ns"].tolist() == [1786310819680 * MS, 1786310819682 * MS]
    assert t["trade_id"].tolist() == [fold("a9188a0a-82bc-50de-be60-03eedbe3cdd7"), fold(other)] and set(t["trade_count"]) == {1}


@pytest.mark.parametrize("text, expected", [
    ("2280000001739247417", 2280000001739247417), ("9999999999999999999", 9999999999999999999), ("7", 7), ("0", 0),
    ("12345678901234567", 12345678901234567), ("A9188A0A-82BC-50DE-BE60-03EEDBE3CDD7", fold("a9188a0a-82bc-50de-be60-03eedbe3cdd7")),
    ("ffffffff-ffff-ffff-0000-000000000000", 2 ** 64 - 1),
])
def test_ids_are_numbers_kept_or_uuids_folded(decoder, text, expected):
    for message in (trades(spot_trade(i=text), spot=True), trades(linear_trade(i=text))):
        assert one(decode(decoder, message)[1], EventType.EV_TRADE)["trade_id"] == expected


@pytest.mark.parametrize("change", [{"S": "Both"}, {"i": "10000000000000000000"}, {"i": "x"}, {"i": ""}, {"i": "a9188a0a_82bc-50de-be60-03eedbe3cdd7"},
                                    {"i": "g9188a0a-82bc-50de-be60-03eedbe3cdd7"}, {"s": "XRPUSDT"}])
def test_an_unknown_word_in_a_trade_costs_only_itself(decoder, change):
    for make, spot in ((linear_trade, False), (spot_trade, True)):
        _, slots = decode(decoder, trades(make(), make(**change), make(), spot=spot))
        assert len(slots) == 2 and decoder.skipped_count == 1
        decode(decoder, trades(make(**change), spot=spot), Status.STATUS_UNKNOWN_SYMBOL if "s" in change else Status.STATUS_UNSUPPORTED)


@pytest.mark.parametrize("change, status", [
    ({"p": "0"}, Status.STATUS_MALFORMED), ({"v": "0"}, Status.STATUS_MALFORMED), ({"p": "65114.25"}, Status.STATUS_OFF_GRID),
    ({"v": "1e30"}, Status.STATUS_OVERFLOW), ({"T": "1786310819680"}, Status.STATUS_MALFORMED), ({"S": None}, Status.STATUS_MALFORMED),
    ({"i": 5}, Status.STATUS_MALFORMED), ({"BT": True, "RPI": True}, Status.STATUS_OK), ({"new": "field"}, Status.STATUS_OK),
])
def test_a_trade_that_cannot_be_read_refuses_its_message(decoder, change, status):
    for make, spot in ((linear_trade, False), (spot_trade, True)):
        assert len(decode(decoder, trades(make(), make(**change), spot=spot), status)[1]) == 2 * (status == Status.STATUS_OK)


# ---- tickers

SNAPSHOT = {"symbol": "BTCUSDT", "tickDirection": "PlusTick", "price24hPcnt": "0.017103", "lastPrice": "17216.00", "markPrice": "17217.33",
            "indexPrice": "17227.36", "openInterest": "68744.761", "openInterestValue": "1183601235.91", "nextFundingTime": "1673280000000",
            "fundingRate": "-0.000212", "bid1Price": "17215.50", "bid1Size": "84.489", "ask1Price": "17216.00", "ask1Size": "83.020"}
KIND = {"markPrice": ReferenceKind.REFERENCE_MARK_PRICE, "indexPrice": ReferenceKind.REFERENCE_INDEX_PRICE, "lastPrice": ReferenceKind.REFERENCE_LAST_PRICE,
        "openInterest": ReferenceKind.REFERENCE_OPEN_INTEREST, "fundingRate": ReferenceKind.REFERENCE_FUNDING_RATE}


def ticker(data, kind="delta"):
    return {"topic": f"tickers.{data.get('symbol', 'BTCUSDT')}", "type": kind, "data": data, "cs": 24987956059, "ts": 1673272861686}


def quote_of(slots):
    q = one(slots, EventType.EV_QUOTE)
    return [int(q[k]) for k in ("bid_price_ticks", "bid_qty_lots", "ask_price_ticks", "ask_qty_lots")]


def test_a_whole_ticker_is_a_quote_and_its_reference_numbers(decoder):
    kind, slots = decode(decoder, ticker(SNAPSHOT, "snapshot"))
    assert kind == MessageKind.MESSAGE_QUOTE and quote_of(slots) == [172155, 84489, 172160, 83020]
    r = records(slots, EventType.EV_REFERENCE)
    assert list(zip(r["kind"].tolist(), r["mantissa"].tolist(), r["scale"].tolist(), strict=True)) == [
        (KIND["markPrice"], 1721733, 2), (KIND["indexPrice"], 1722736, 2), (KIND["openInterest"], 68744761, 3), (KIND["fundingRate"], -212, 6),
        (KIND["lastPrice"], 1721600, 2)]
    assert r["ts_next_ns"].tolist() == [NONE, NONE, NONE, 1673280000000 * MS, NONE]
    assert set(slots["ts_venue_ns"]) == {1673272861686 * MS} and set(slots["instrument"]) == {BTC}
    assert slots["type"].tolist() == [EventType.EV_QUOTE] + 5 * [EventType.EV_REFERENCE]


@pytest.mark.parametrize("field", ["bid1Price", "bid1Size", "ask1Price", "ask1Size"])
def test_a_ticker_without_all_of_both_sides_is_no_quote(decoder, field):
    data = {k: v for k, v in SNAPSHOT.items() if k != field}
    kind, slots = decode(decoder, ticker(data))
    assert kind == MessageKind.MESSAGE_OTHER and set(slots["type"]) == {EventType.EV_REFERENCE} and len(slots) == 5
    only = {"symbol": "BTCUSDT", field: SNAPSHOT[field], "turnover24h": "7"}
    assert decode(decoder, ticker(only), Status.STATUS_IGNORED)[0] == MessageKind.MESSAGE_OTHER


@pytest.mark.parametrize("field", sorted(KIND))
def test_each_reference_number_stands_for_itself(decoder, field):
    kind, slots = decode(decoder, ticker({"symbol": "BTCUSDT", field: "123.40"}))
    r = one(slots, EventType.EV_REFERENCE)
    assert kind == MessageKind.MESSAGE_OTHER and (r["kind"], r["mantissa"], r["scale"], r["ts_next_ns"]) == (KIND[field], 12340, 2, NONE)
    decode(decoder, ticker({"symbol": "BTCUSDT", field: ""}), Status.STATUS_IGNORED)
    decode(decoder, ticker({"symbol": "BTCUSDT", field: "a lot"}), Status.STATUS_UNSUPPORTED)
    decode(decoder, ticker({"symbol": "BTCUSDT", field: None}), Status.STATUS_MALFORMED)


def test_an_empty_side_of_a_ticker_has_no_price(decoder):
    assert quote_of(decode(decoder, ticker({**SNAPSHOT, "bid1Price": "", "bid1Size": ""}))[1]) == [NONE, 0, 172160, 83020]
    assert quote_of(decode(decoder, ticker({**SNAPSHOT, "ask1Price": "0", "ask1Size": "0"}))[1]) == [172155, 84489, NONE, 0]


@pytest.mark.parametrize("change, status", [
    ({"bid1Price": "17215.55"}, Status.STATUS_OFF_GRID), ({"ask1Size": "x"}, Status.STATUS_MALFORMED), ({"symbol": "XRPUSDT"}, Status.STATUS_UNKNOWN_SYMBOL),
    ({"nextFundingTime": "soon"}, Status.STATUS_MALFORMED), ({"nextFundingTime": "0"}, Status.STATUS_OK), ({"nextFundingTime": ""}, Status.STATUS_OK),
])
def test_a_ticker_that_cannot_be_read_is_refused(decoder, change, status):
    _, slots = decode(decoder, ticker({**SNAPSHOT, **change}), status)
    assert len(slots) == (6 if status == Status.STATUS_OK else 0)
    if status == Status.STATUS_OK:
        assert set(records(slots, EventType.EV_REFERENCE)["ts_next_ns"]) == {NONE}


def test_a_spot_ticker_gives_the_last_price(decoder):
    raw = (b'{"topic":"tickers.BTCUSDT","ts":1786310819126,"type":"snapshot","cs":112488546160,"data":{"symbol":"BTCUSDT",'
           b'"lastPrice":"65140.5","highPrice24h":"65305.6","usdIndexPrice":"65091.459221"}}')
    kind, slots = decode(decoder, raw)
    r = one(slots, EventType.EV_REFERENCE)
    assert kind == MessageKind.MESSAGE_OTHER and (r["kind"], r["mantissa"], r["scale"]) == (KIND["lastPrice"], 651405, 1)


def test_a_ticker_of_an_option_is_a_quote_too(decoder):
    data = {"symbol": "BTC-28JUN24-60000-P", "bidPrice": "3475", "bidSize": "10.14", "bidIv": "0.5479", "askPrice": "3520", "askSize": "2.5",
            "lastPrice": "3565", "markPrice": "3502.0715721", "indexPrice": "61912.8"}
    kind, slots = decode(decoder, {"topic": "tickers.BTC-28JUN24-60000-P", "ts": 1715742949283, "type": "snapshot", "id": "x", "data": data})
    assert kind == MessageKind.MESSAGE_QUOTE and quote_of(slots) == [695, 1014, 704, 250] and len(slots) == 4


# ---- bars and liquidations

@pytest.mark.parametrize("interval, minutes", [("1", 1), ("720", 720), ("D", 1440), ("M", 44640)])
@pytest.mark.parametrize("confirm", [False, True])
def test_a_bar_is_right_aligned(decoder, interval, minutes, confirm):
    start = 1786310760000
    bar = {"start": start, "end": start + minutes * 60_000 - 1, "interval": interval, "open": "65119.9", "close": "65114.3", "high": "65120",
           "low": "65114.2", "volume": "1.576", "turnover": "102627.995", "confirm": confirm, "timestamp": 1786310818440}
    message = {"topic": f"kline.{interval}.BTCUSDT", "data": [bar], "ts": 1786310818440, "type": "snapshot"}
    kind, slots = decode(decoder, message)
    c = one(slots, EventType.EV_CANDLE)
    assert kind == MessageKind.MESSAGE_BAR and decoder.ts_venue_ns == 1786310818440 * MS
    assert (c["ts_open_ns"], c["ts_venue_ns"], c["interval_ns"]) == (start * MS, (start + minutes * 60_000) * MS, minutes * 60_000 * MS)
    assert [int(c[k]) for k in ("open_ticks", "high_ticks", "low_ticks", "close_ticks", "volume_lots", "trade_count", "buy_volume_lots", "flags")] == \
        [651199, 651200, 651142, 651143, 1576, 0, NONE, int(confirm)]
    assert slots["type"].tolist() == [EventType.EV_CANDLE, EventType.EV_CONT]
    for change, status in (({"end": start - 1}, Status.STATUS_MALFORMED), ({"confirm": 1}, Status.STATUS_MALFORMED),
                           ({"open": "0"}, Status.STATUS_MALFORMED), ({"low": "65114.25"}, Status.STATUS_OFF_GRID)):
        decode(decoder, {**message, "data": [{**bar, **change}]}, status)
    decode(decoder, {**message, "topic": f"kline.{interval}.XRPUSDT"}, Status.STATUS_UNKNOWN_SYMBOL)
    decode(decoder, {**message, "topic": f"kline.{interval}"}, Status.STATUS_UNKNOWN_SYMBOL)


def test_liquidations_name_the_side_of_the_position_that_was_closed(decoder):
    message = {"topic": "allLiquidation.BTCUSDT", "type": "snapshot", "ts": 1739502303204, "data": [
        {"T": 1739502302929, "s": "BTCUSDT", "S": "Sell", "v": "20", "p": "65000.1"}, {"T": 1739502302930, "s": "BTCUSDT", "S": "Buy", "v": "1", "p": "65000.123"},
        {"T": 1739502302930, "s": "BTCUSDT", "S": "Up", "v": "1", "p": "1"}]}
    kind, slots = decode(decoder, message)
    r = records(slots, EventType.EV_LIQUIDATION)
    # A long position (Buy) is closed by selling, which is flag 1; a price off the grid is none.
    assert kind == MessageKind.MESSAGE_OTHER and r["flags"].tolist() == [0, 1] and decoder.skipped_count == 1
    assert r["price_ticks"].tolist() == [650001, NONE] and r["qty_lots"].tolist() == [20000, 1000]
    assert r["ts_venue_ns"].tolist() == [1739502302929 * MS, 1739502302930 * MS]
    single = {"topic": "liquidation.BTCUSDT", "type": "snapshot", "ts": 1703485237953,
              "data": {"updatedTime": 1703485237953, "symbol": "BTCUSDT", "side": "Buy", "size": "0.003", "price": "43511.70"}}
    r = one(decode(decoder, single)[1], EventType.EV_LIQUIDATION)
    assert (r["price_ticks"], r["qty_lots"], r["flags"], r["ts_venue_ns"]) == (435117, 3, 1, 1703485237953 * MS)
    single["data"]["side"] = "Up"
    decode(decoder, single, Status.STATUS_UNSUPPORTED)


# ---- everything else

@pytest.mark.parametrize("text", [
    b'{"success":true,"ret_msg":"","conn_id":"d8bu1olkndm7crnfs1e0-j6akw","req_id":"","op":"subscribe"}',
    b'{"success":false,"ret_msg":"Invalid topic: x","conn_id":"c","op":"subscribe"}', b'{"success":true,"ret_msg":"pong","conn_id":"c","op":"ping"}',
    b'{"req_id":"test","op":"pong","args":["1675418560633"],"conn_id":"c"}', b'{"retCode":0,"retMsg":"OK","result":{"category":"spot","list":[]}}',
])
def test_what_is_no_market_data_is_ignored(decoder, text):
    kind, slots = decode(decoder, text, Status.STATUS_IGNORED)
    assert kind == MessageKind.MESSAGE_OTHER and len(slots) == 0


@pytest.mark.parametrize("text, status", [
    (b"", Status.STATUS_MALFORMED), (b"pong", Status.STATUS_MALFORMED), (b"{}", Status.STATUS_UNSUPPORTED), (b"[]", Status.STATUS_UNSUPPORTED),
    (b'{"topic":5}', Status.STATUS_MALFORMED), (b'{"topic":"tickers.BTCUSDT","topic":"x"}', Status.STATUS_MALFORMED),
    (b'{"topic":"priceLimit.BTCUSDT","ts":1786310819126,"data":{}}', Status.STATUS_UNSUPPORTED), (b'{"topic":"tickers","ts":1,"data":{}}', Status.STATUS_UNSUPPORTED),
    (b'{"topic":"tickers.BTCUSDT","ts":1786310819126,"data":[]}', Status.STATUS_MALFORMED),
    (b'{"topic":"publicTrade.BTCUSDT","ts":1786310819126,"data":{}}', Status.STATUS_MALFORMED),
    (b'{"topic":"publicTrade.BTCUSDT","ts":1786310819126,"data":[5]}', Status.STATUS_MALFORMED),
    (b'{"topic":"publicTrade.BTCUSDT","ts":1786310819126,"data":[]}', Status.STATUS_IGNORED),
    (b'{"topic":"liquidation.BTCUSD","data":{"symbol":"BTCUSD","side":"Sell","price":"45171.00","qty":"2329","time":1632123949005}}', Status.STATUS_UNSUPPORTED),
    (b'{"topic":"orderBookL2_25.BTCUSD","type":"snapshot","data":[{"price":"9353.50","symbol":"BTCUSD","id":93535000,"side":"Buy","size":58486}]}', Status.STATUS_UNSUPPORTED),
])
def test_what_is_no_message_of_this_protocol_says_which_way(decoder, text, status):
    assert len(decode(decoder, text, status)[1]) == 0
