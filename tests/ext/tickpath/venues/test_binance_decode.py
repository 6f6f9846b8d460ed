"""Single Binance messages, by hand from their text: spot and futures, every kind, in every envelope, and what is refused."""
import json

import pytest

from tickpath.shm.ring import records
from tickpath.types import EventType, ReferenceKind, Status, VenueStatus
from tickpath.venues.batch import MessageKind
from tickpath.venues.decoders import MessageDecoder

MS = 10 ** 6
NONE = -2 ** 63
SPOT = [("BTCUSDT", "0.01", "0.00001"), ("BNBBTC", "0.0001", "1")]
USDM = [("BTCUSDT", "0.1", "0.001"), ("IOTAUSDT", "0.0001", "0.1"), ("BTCUSDT_250328", "0.1", "0.001")]


@pytest.fixture(scope="module", params=(True, False), ids=("scanner", "general"))
def spot(request):
    return MessageDecoder(SPOT, kind="binance_spot", scanner=request.param)


@pytest.fixture(scope="module", params=(True, False), ids=("scanner", "general"))
def usdm(request):
    return MessageDecoder(USDM, kind="binance_usdm", scanner=request.param)


def text(tree, stream=None):
    return json.dumps({"stream": stream, "data": tree} if stream else tree, separators=(",", ":")).encode()


def ok(decoder, frame, kind, hint=0xFFFFFFFF):
    status, found, slots, *_ = decoder.decode(frame, 7, hint)
    assert (status, found) == (Status.STATUS_OK, kind), Status(status).name
    return slots


def refused(decoder, frame, status, hint=0xFFFFFFFF):
    found, _, slots, *_ = decoder.decode(frame, 7, hint)
    assert (found, len(slots)) == (status, 0), Status(found).name


def values(row, *names):
    return tuple(int(row[name]) for name in names)


# ---- candles

BAR = {"t": 1672515780000, "T": 1672515839999, "s": "BNBBTC", "i": "1m", "f": 100, "L": 200, "o": "0.0010", "c": "0.0020",
       "h": "0.0025", "l": "0.0010", "v": "1000", "n": 100, "x": False, "q": "1.0000", "V": "500", "Q": "0.500", "B": "123456"}
KLINE = {"e": "kline", "E": 1672515782136, "s": "BNBBTC", "k": BAR}
CANDLE = ("open_ticks", "high_ticks", "low_ticks", "close_ticks", "volume_lots", "buy_volume_lots", "trade_count", "interval_ns",
          "ts_venue_ns", "ts_open_ns", "flags", "instrument")


def bar(**changes):
    return text({**KLINE, "k": {**BAR, **changes}}, "bnbbtc@kline_1m")


def test_kline_becomes_a_candle_that_closes_when_the_next_one_opens(spot):
    candle = records(ok(spot, bar(), MessageKind.MESSAGE_BAR), EventType.EV_CANDLE)[0]
    expected = (10, 25, 10, 20, 1000, 500, 100, 60 * 10 ** 9, 1672515840000 * MS, 1672515780000 * MS, 0, 1)
    assert values(candle, *CANDLE) == expected
    closed = records(ok(spot, bar(x=True), MessageKind.MESSAGE_BAR), EventType.EV_CANDLE)[0]
    assert values(closed, *CANDLE) == (*expected[:10], 1, 1)
    assert spot.ts_venue_ns == 1672515782136 * MS


def test_kline_in_microseconds_closes_at_the_same_time(spot):
    micro = text({**KLINE, "E": 1672515782136000, "k": {**BAR, "t": 1672515780000000, "T": 1672515839999999}})
    candle = records(ok(spot, micro, MessageKind.MESSAGE_BAR), EventType.EV_CANDLE)[0]
    assert values(candle, "ts_venue_ns", "ts_open_ns", "interval_ns") == (1672515840000 * MS, 1672515780000 * MS, 60 * 10 ** 9)


def test_kline_without_a_trade_is_a_candle(spot):
    empty = bar(f=-1, L=-1, n=0, v="0", V="0", q="0", Q="0", o="0.0020", h="0.0020", l="0.0020")
    candle = records(ok(spot, empty, MessageKind.MESSAGE_BAR), EventType.EV_CANDLE)[0]
    assert values(candle, *CANDLE)[:7] == (20, 20, 20, 20, 0, 0, 0)


@pytest.mark.parametrize(("changes", "status"), [
    ({"o": "0.00105"}, Status.STATUS_OFF_GRID), ({"v": "1000.5"}, Status.STATUS_OFF_GRID), ({"h": "0.0015"}, Status.STATUS_MALFORMED),
    ({"l": "0.0011"}, Status.STATUS_MALFORMED), ({"l": "0.0000"}, Status.STATUS_MALFORMED), ({"V": "1001"}, Status.STATUS_MALFORMED),
    ({"T": 1672515779999}, Status.STATUS_MALFORMED), ({"x": "false"}, Status.STATUS_MALFORMED), ({"n": -1}, Status.STATUS_MALFORMED),
    ({"c": 0.002}, Status.STATUS_MALFORMED), ({"o": 0.002}, Status.STATUS_MALFORMED), ({"h": "99999999999999999999"}, Status.STATUS_OVERFLOW),
])
def test_kline_that_is_no_bar_is_refused(spot, changes, status):
    refused(spot, bar(**changes), status)


def test_kline_without_its_bar_is_refused(spot):
    refused(spot, text({**KLINE, "k": {}}), Status.STATUS_MALFORMED)
    refused(spot, text({**KLINE, "k": []}), Status.STATUS_MALFORMED)
    refused(spot, bar().replace(b'"o":', b'"o":"1","o":'), Status.STATUS_MALFORMED)
    refused(spot, text({**KLINE, "s": "ETHBTC"}), Status.STATUS_UNKNOWN_SYMBOL)


# ---- partial books

PARTIAL = {"lastUpdateId": 160, "bids": [["61837.63000000", "3.78826000"], ["61837.62000000", "0.00000000"]],
           "asks": [["61837.64000000", "1.54698000"]]}


@pytest.mark.parametrize("stream", ("btcusdt@depth5", "btcusdt@depth10@100ms", "btcusdt@depth20@1000ms"))
def test_partial_book_is_a_snapshot_of_the_instrument_in_its_streams_name(spot, stream):
    slots = ok(spot, text(PARTIAL, stream), MessageKind.MESSAGE_SNAPSHOT)
    rows = records(slots, EventType.EV_BOOK_DELTA)
    assert [values(r, "price_ticks", "qty_lots", "flags", "first_update_id", "last_update_id", "instrument") for r in rows] == [
        (6183763, 378826, 2 | 4, 160, 160, 0), (6183762, 0, 2, 160, 160, 0), (6183764, 154698, 1 | 2 | 8, 160, 160, 0)]
    assert spot.ts_venue_ns == NONE


def test_partial_book_whose_stream_names_no_instrument_of_ours_is_counted(spot):
    for stream in ("ethusdt@depth5", "btcusdt", "@depth5", "x" * 40 + "@depth5", "btcusd@depth5", "btcusdtx@depth5"):
        refused(spot, text(PARTIAL, stream), Status.STATUS_UNKNOWN_SYMBOL, hint=0)


def test_bare_partial_book_is_of_the_instrument_it_was_asked_for(spot):
    assert set(ok(spot, text(PARTIAL), MessageKind.MESSAGE_SNAPSHOT, hint=0)["instrument"].tolist()) == {0}
    refused(spot, text(PARTIAL), Status.STATUS_UNKNOWN_SYMBOL)
    refused(spot, text(PARTIAL), Status.STATUS_UNKNOWN_SYMBOL, hint=2)


def test_partial_book_without_levels_still_says_which_update_it_is(spot):
    slots = ok(spot, text({"lastUpdateId": 161, "bids": [], "asks": []}, "bnbbtc@depth5"), MessageKind.MESSAGE_SNAPSHOT)
    assert [values(r, "flags", "last_update_id", "instrument") for r in records(slots, EventType.EV_BOOK_DELTA)] == [
        (2 | 4 | 8 | 16, 161, 1)]


# ---- futures

DEPTH = {"e": "depthUpdate", "E": 1626992741037, "T": 1626992741024, "s": "BTCUSDT", "U": 600859599090, "u": 600859600917,
         "pu": 600859598061, "b": [["61673.60", "0.048"]], "a": [["61673.7", "1.563"], ["61675", "0"]]}


def levels(slots):
    return [values(r, "price_ticks", "qty_lots", "flags", "first_update_id", "last_update_id", "ts_venue_ns")
            for r in records(slots, EventType.EV_BOOK_DELTA)]


@pytest.mark.parametrize("stream", (None, "btcusdt@depth", "btcusdt@depth@0ms", "btcusdt@depth@500ms", "x@depth@0ms"))
def test_futures_diff_applies_to_a_book_at_the_update_before(usdm, stream):
    ts_ns = 1626992741024 * MS
    assert levels(ok(usdm, text(DEPTH, stream), MessageKind.MESSAGE_BOOK_DELTA)) == [
        (616736, 48, 4, 600859598062, 600859600917, ts_ns), (616737, 1563, 1, 600859598062, 600859600917, ts_ns),
        (616750, 0, 1 | 8, 600859598062, 600859600917, ts_ns)]


@pytest.mark.parametrize("stream", ("btcusdt@depth5", "btcusdt@depth10@100ms", "btcusdt@depth20@500ms"))
def test_futures_partial_book_is_told_by_its_streams_name_and_is_a_snapshot(usdm, stream):
    found = levels(ok(usdm, text(DEPTH, stream), MessageKind.MESSAGE_SNAPSHOT))
    assert [(row[2], row[3], row[4]) for row in found] == [(2 | 4, DEPTH["u"], DEPTH["u"]), (3, DEPTH["u"], DEPTH["u"]),
                                                           (3 | 8, DEPTH["u"], DEPTH["u"])]


def test_a_book_with_retail_price_improvement_orders_is_another_book(usdm):
    refused(usdm, text(DEPTH, "btcusdt@rpiDepth@500ms"), Status.STATUS_UNSUPPORTED)


def test_a_futures_pair_beside_the_symbol_changes_nothing(usdm):
    pair = dict(list(DEPTH.items())[:4] + [("ps", "BTCUSD")] + list(DEPTH.items())[4:])
    assert levels(ok(usdm, text(pair), MessageKind.MESSAGE_BOOK_DELTA)) == levels(ok(usdm, text(DEPTH), MessageKind.MESSAGE_BOOK_DELTA))


@pytest.mark.parametrize("changes", [
    {"pu": None}, {"pu": 600859600917}, {"pu": -1}, {"u": 600859599089}, {"T": "x"}, {"E": None}, {"b": None}, {"b": [["1"]]},
    {"a": [["61673.7", "-1"]]}, {"a": [["0.0", "1"]]}, {"b": [[61673.6, 1]]},
])
def test_futures_diff_with_a_field_that_is_wrong_is_refused_whole(usdm, changes):
    refused(usdm, text({**DEPTH, **changes}), Status.STATUS_MALFORMED)
    refused(usdm, text({k: v for k, v in DEPTH.items() if k not in changes}), Status.STATUS_MALFORMED)


def test_futures_diff_off_the_grid_is_refused_whole(usdm):
    refused(usdm, text({**DEPTH, "a": [["61673.7", "1.563"], ["61673.75", "1"]]}), Status.STATUS_OFF_GRID)


def test_futures_snapshot_has_the_matching_engines_time(usdm):
    body = {"lastUpdateId": 5123107852948, "E": 1723161256501, "T": 1723161256493, "bids": [["61800.20", "2.909"]], "asks": [["61800.30", "1"]]}
    slots = ok(usdm, text(body), MessageKind.MESSAGE_SNAPSHOT, hint=0)
    assert levels(slots) == [(618002, 2909, 2 | 4, 5123107852948, 5123107852948, 1723161256493 * MS),
                             (618003, 1000, 1 | 2 | 8, 5123107852948, 5123107852948, 1723161256493 * MS)]
    named = text({**body, "symbol": "BTCUSDT_250328", "pair": "BTCUSDT"})
    assert set(ok(usdm, named, MessageKind.MESSAGE_SNAPSHOT, hint=0)["instrument"].tolist()) == {2}


QUOTE = {"e": "bookTicker", "u": 5123107839020, "s": "BTCUSDT", "b": "61800.20", "B": "2.507", "a": "61800.30", "A": "2.510",
         "T": 1723161256313, "E": 1723161256314}


@pytest.mark.parametrize("quote", [QUOTE, {"u": QUOTE["u"], "e": "bookTicker", "s": "BTCUSDT", "ps": "BTCUSD", **QUOTE}])
def test_futures_quote_has_a_time_and_an_update_id(usdm, quote):
    status, kind, slots, _, _, update_id = usdm.decode(text(quote, "btcusdt@bookTicker"), 7)
    assert (status, kind, update_id) == (Status.STATUS_OK, MessageKind.MESSAGE_QUOTE, 5123107839020)
    assert values(records(slots, EventType.EV_QUOTE)[0], "bid_price_ticks", "bid_qty_lots", "ask_price_ticks", "ask_qty_lots",
                  "ts_venue_ns") == (618002, 2507, 618003, 2510, 1723161256313 * MS)


def test_an_empty_side_of_a_futures_quote_has_no_price(usdm):
    quote = records(ok(usdm, text({**QUOTE, "b": "0.00", "B": "0"}), MessageKind.MESSAGE_QUOTE), EventType.EV_QUOTE)[0]
    assert values(quote, "bid_price_ticks", "bid_qty_lots", "ask_price_ticks") == (NONE, 0, 618003)


TRADE = {"e": "trade", "E": 1723161256322, "T": 1723161256321, "s": "BTCUSDT", "t": 5266583935, "p": "61800.30", "q": "0.006",
         "X": "MARKET", "m": False}
TRADE_FIELDS = ("price_ticks", "qty_lots", "trade_id", "trade_count", "ts_venue_ns", "flags")


@pytest.mark.parametrize("cause", ("MARKET", "INSURANCE_FUND", "ADL"))
def test_futures_trade_by_whatever_cause(usdm, cause):
    trade = records(ok(usdm, text({**TRADE, "X": cause}), MessageKind.MESSAGE_TRADE), EventType.EV_TRADE)[0]
    assert values(trade, *TRADE_FIELDS) == (618003, 6, 5266583935, 1, 1723161256321 * MS, 0)


def test_a_trade_number_without_a_trade_is_no_trade(usdm):
    refused(usdm, text({**TRADE, "X": "NA", "p": "0", "q": "0"}), Status.STATUS_IGNORED)
    refused(usdm, text({**TRADE, "p": "0", "q": "0"}), Status.STATUS_MALFORMED)


def test_a_trade_of_an_unknown_cause_is_skipped_and_counted(usdm):
    refused(usdm, text({**TRADE, "X": "SOMETHING_NEW"}), Status.STATUS_UNSUPPORTED)
    assert usdm.skipped_count == 1


AGGREGATE = {"e": "aggTrade", "E": 1626992741575, "a": 16599292, "s": "BTCUSDT", "p": "61800.3", "q": "10", "f": 23961322, "l": 23961325,
             "T": 1626992741421, "m": True}


@pytest.mark.parametrize("more", [{}, {"nq": "9.5"}])
def test_futures_aggregate_trade(usdm, more):
    tree = {**dict(list(AGGREGATE.items())[:6]), **more, **AGGREGATE}
    trade = records(ok(usdm, text(tree, "btcusdt@aggTrade"), MessageKind.MESSAGE_TRADE), EventType.EV_TRADE)[0]
    assert values(trade, *TRADE_FIELDS) == (618003, 10000, 16599292, 4, 1626992741421 * MS, 1 | 2)


MARK = {"e": "markPriceUpdate", "E": 1562305380000, "s": "BTCUSDT", "p": "11794.15000000", "i": "11784.62659091", "P": "11784.25641265",
        "r": "-0.00038167", "T": 1562306400000}


def references(slots):
    return [(*values(r, "kind", "mantissa", "scale", "ts_next_ns", "ts_venue_ns", "instrument"),)
            for r in records(slots, EventType.EV_REFERENCE)]


def test_mark_price_gives_each_of_its_numbers_as_the_text_has_it(usdm):
    ts_ns = 1562305380000 * MS
    assert references(ok(usdm, text(MARK, "btcusdt@markPrice@1s"), MessageKind.MESSAGE_OTHER)) == [
        (ReferenceKind.REFERENCE_MARK_PRICE, 1179415000000, 8, NONE, ts_ns, 0),
        (ReferenceKind.REFERENCE_INDEX_PRICE, 1178462659091, 8, NONE, ts_ns, 0),
        (ReferenceKind.REFERENCE_SETTLE_PRICE, 1178425641265, 8, NONE, ts_ns, 0),
        (ReferenceKind.REFERENCE_FUNDING_RATE, -38167, 8, 1562306400000 * MS, ts_ns, 0)]


def test_a_contract_that_expires_has_no_funding_rate(usdm):
    mark = {**MARK, "s": "BTCUSDT_250328", "r": "", "T": 0}
    assert [row[0] for row in references(ok(usdm, text(mark), MessageKind.MESSAGE_OTHER))] == [
        ReferenceKind.REFERENCE_MARK_PRICE, ReferenceKind.REFERENCE_INDEX_PRICE, ReferenceKind.REFERENCE_SETTLE_PRICE]


@pytest.mark.parametrize("data", [text([MARK, {**MARK, "s": "ETHUSDT"}, {**MARK, "s": "IOTAUSDT"}]),
                                  text([MARK, {**MARK, "s": "ETHUSDT"}, {**MARK, "s": "IOTAUSDT"}], "!markPrice@arr@1s")])
def test_mark_prices_of_all_symbols_give_those_of_ours(usdm, data):
    assert [row[5] for row in references(ok(usdm, data, MessageKind.MESSAGE_OTHER))] == [0] * 4 + [1] * 4
    refused(usdm, text([{**MARK, "s": "ETHUSDT"}], "!markPrice@arr"), Status.STATUS_UNKNOWN_SYMBOL)
    refused(usdm, text([MARK, {**MARK, "p": "x"}], "!markPrice@arr"), Status.STATUS_MALFORMED)


def test_more_mark_prices_than_a_batch_holds_refuse_the_message(usdm):
    refused(usdm, text([MARK] * 16385, "!markPrice@arr"), Status.STATUS_TOO_LARGE)


@pytest.mark.parametrize(("number", "status"), [
    ("1234567890.123456789", Status.STATUS_OVERFLOW), ("1e5", Status.STATUS_MALFORMED), (".5", Status.STATUS_MALFORMED),
    ("5.", Status.STATUS_MALFORMED), ("-", Status.STATUS_MALFORMED), ("", Status.STATUS_MALFORMED), ("1.2.3", Status.STATUS_MALFORMED),
    (7.5, Status.STATUS_MALFORMED), ("0." + "0" * 19, Status.STATUS_MALFORMED),
])
def test_a_mark_price_that_is_no_plain_number_refuses_the_message(usdm, number, status):
    refused(usdm, text({**MARK, "p": number}), status)


@pytest.mark.parametrize(("number", "mantissa", "scale"), [
    ("0", 0, 0), ("0.000", 0, 3), ("-0.5", -5, 1), ("123456789012345678", 123456789012345678, 0), ("0000000000000000000000.1", 1, 1),
])
def test_a_mark_price_keeps_its_decimals(usdm, number, mantissa, scale):
    assert references(ok(usdm, text({**MARK, "p": number}), MessageKind.MESSAGE_OTHER))[0][1:3] == (mantissa, scale)


FORCE = {"e": "forceOrder", "E": 1568014460893, "o": {
    "s": "BTCUSDT", "S": "SELL", "o": "LIMIT", "f": "IOC", "q": "0.014", "p": "9910", "ap": "9910.05", "X": "FILLED", "l": "0.014", "z": "0.014",
    "T": 1568014460890}}


@pytest.mark.parametrize(("side", "flags"), [("SELL", 1), ("BUY", 0)])
def test_forced_order_is_a_liquidation(usdm, side, flags):
    frame = text({**FORCE, "o": {**FORCE["o"], "S": side}}, "!forceOrder@arr")
    event = records(ok(usdm, frame, MessageKind.MESSAGE_OTHER), EventType.EV_LIQUIDATION)[0]
    assert values(event, "price_ticks", "qty_lots", "ts_venue_ns", "flags", "instrument") == (99100, 14, 1568014460890 * MS, flags, 0)


def test_forced_order_that_cannot_be_read_is_refused(usdm):
    def with_order(**changes):
        return text({**FORCE, "o": {**FORCE["o"], **changes}})
    refused(usdm, with_order(S="SIDEWAYS"), Status.STATUS_UNSUPPORTED)
    assert usdm.skipped_count == 1
    refused(usdm, with_order(q="0"), Status.STATUS_MALFORMED)
    refused(usdm, with_order(p="9910.05"), Status.STATUS_OFF_GRID)
    refused(usdm, with_order(s="ETHUSDT"), Status.STATUS_UNKNOWN_SYMBOL)
    refused(usdm, text({**FORCE, "o": "x"}), Status.STATUS_MALFORMED)


@pytest.mark.parametrize(("word", "status"), [
    ("TRADING", VenueStatus.VENUE_STATUS_TRADING), ("PENDING_TRADING", VenueStatus.VENUE_STATUS_HALTED),
    ("PRE_DELIVERING", VenueStatus.VENUE_STATUS_HALTED), ("SETTLING", VenueStatus.VENUE_STATUS_DELISTED),
    ("DELIVERED", VenueStatus.VENUE_STATUS_DELISTED), ("TRADING_CANCEL_ONLY", VenueStatus.VENUE_STATUS_CANCEL_ONLY),
    ("SOMETHING_THAT_NOBODY_KNOWS", VenueStatus.VENUE_STATUS_UNKNOWN), ("", VenueStatus.VENUE_STATUS_UNKNOWN),
])
def test_contract_info_says_the_contracts_status(usdm, word, status):
    info = {"e": "contractInfo", "E": 1669356423908, "s": "IOTAUSDT", "ps": "IOTAUSDT", "ct": "PERPETUAL", "dt": 4133404800000,
            "ot": 1569398400000, "cs": word, "bks": [{"bs": 1, "bnf": 0, "mmr": 0.01}]}
    event = records(ok(usdm, text(info, "!contractInfo"), MessageKind.MESSAGE_OTHER), EventType.EV_INSTRUMENT_STATUS)[0]
    assert values(event, "status", "instrument", "ts_venue_ns") == (status, 1, 1669356423908 * MS)
    assert bytes(event["text"]).rstrip(b"\0") == word.encode()[:16]


def test_open_interest_of_a_rest_body(usdm):
    body = b'{"openInterest":"10659.509","symbol":"BTCUSDT","time":1589437530011}'
    assert references(ok(usdm, body, MessageKind.MESSAGE_OTHER)) == [
        (ReferenceKind.REFERENCE_OPEN_INTEREST, 10659509, 3, NONE, 1589437530011 * MS, 0)]
    refused(usdm, body.replace(b"BTC", b"ETH"), Status.STATUS_UNKNOWN_SYMBOL)
    refused(usdm, body.replace(b'"time":1589437530011', b'"time":"x"'), Status.STATUS_MALFORMED)


# ---- what is no input

@pytest.mark.parametrize("message", [
    b'{"result":null,"id":1}', b'{"result":["btcusdt@depth"],"id":3}', b'{"error":{"code":2,"msg":"Invalid request"},"id":1}',
    b'{"code":2,"msg":"Invalid request"}', b'{"id":"x","status":200,"result":{"lastUpdateId":1,"bids":[],"asks":[]}}',
    b'{"e":"serverShutdown","E":1770123456789}', b'{"event":{"e":"serverShutdown","E":1770123456789}}',
    b'{"e":"avgPrice","E":1693907033000,"s":"BTCUSDT","i":"5m","w":"25776.86000000","T":1693907032213}',
    b'{"stream":"btcusdt@miniTicker","data":{"e":"24hrMiniTicker","E":1672515782136,"s":"BTCUSDT","c":"0.0025"}}',
    b'{"e":"24hrTicker","E":1672515782136,"s":"BTCUSDT","b":"0.0024","B":"10","a":"0.0026","A":"100","u":5}',
    b'{"e":"1hTicker","E":1672515782136,"s":"BTCUSDT"}', b'{"e":"4hTicker","E":1}', b'{"e":"1dTicker","E":1}',
    b'{"stream":"!miniTicker@arr","data":[{"e":"24hrMiniTicker","s":"BTCUSDT"},{"e":"24hrMiniTicker","s":"XYZ"}]}',
    b'{"e":"continuous_kline","E":1607443058651,"ps":"BTCUSDT","ct":"PERPETUAL","k":{}}',
])
def test_replies_notices_and_tickers_are_no_input(spot, usdm, message):
    for decoder in (spot, usdm):
        status, kind, slots, *_ = decoder.decode(message, 7)
        assert (status, kind, len(slots)) == (Status.STATUS_IGNORED, MessageKind.MESSAGE_OTHER, 0)


@pytest.mark.parametrize("message", [
    b'{"e":"somethingNew","E":1}', b'{"stream":"!new@arr","data":[{"e":"somethingNew"}]}', b'[{"e":"somethingNew"}]', b'{"symbols":[]}',
    b'{"e":"ORDER_TRADE_UPDATE","E":1,"o":{}}', b"{}", b'{"stream":"x","data":null}',
])
def test_kinds_that_nobody_knows_are_counted_as_such(usdm, message):
    refused(usdm, message, Status.STATUS_UNSUPPORTED)


@pytest.mark.parametrize("message", [b"[]", b"[1]", b'[{"e":"x"},2]', b'{"stream":"x","data":[1]}', b'[{"e":"x","e":"y"}]', b'{"e":"tr\\u0061de"}'])
def test_lists_of_anything_but_messages_are_malformed(spot, usdm, message):
    refused(spot, message, Status.STATUS_MALFORMED)
    refused(usdm, message, Status.STATUS_MALFORMED)


def test_futures_messages_of_the_spot_market_are_not_mixed_up(spot):
    """The spot decoder knows no mark prices, and reads a diff by its own ids."""
    refused(spot, text(MARK), Status.STATUS_UNSUPPORTED)
    row = records(ok(spot, text({**DEPTH, "b": [], "a": []}), MessageKind.MESSAGE_BOOK_DELTA), EventType.EV_BOOK_DELTA)[0]
    assert values(row, "first_update_id", "last_update_id") == (DEPTH["U"], DEPTH["u"])
