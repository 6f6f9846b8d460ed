"""Coinbase messages one by one: records against numbers read from the same text with Python's json and decimal. The messages of
the order-by-order channel and of level 3 follow the venue's documentation, since none of them is recorded."""
import json
import random
import uuid
from calendar import timegm
from decimal import Decimal
from time import strptime

import pytest

from tickpath.shm.ring import records
from tickpath.types import PRICE_NONE, QTY_NONE, TIME_NONE, EventType, OrderAction, ReferenceKind, Status, VenueStatus
from tickpath.venues.batch import MessageKind
from tickpath.venues.decoders import MessageDecoder

BTC, ETH = 0, 1
GRIDS = [("BTC-USD", "0.01", "0.00000001"), ("ETH-USD", "0.05", "0.0001")]
T_NS = 1786309548_506659391
ID = "d50ec984-77a8-460a-b958-66f114b0de9b"
ASK, SNAPSHOT, FIRST, LAST, NO_LEVEL = 1, 2, 4, 8, 16
ORDER_ASK, ORDER_SNAPSHOT, ORDER_FIRST, ORDER_LAST = 1, 2, 4, 8


@pytest.fixture(scope="module", params=[True, False], ids=["scanner", "tape"])
def decoder(request):
    return MessageDecoder(GRIDS, kind="coinbase", scanner=request.param)


def ns(text):
    """Independent of the decoder: calendar.timegm."""
    head, _, fraction = text.removesuffix("Z").partition(".")
    return timegm(strptime(head, "%Y-%m-%dT%H:%M:%S")) * 10 ** 9 + int(fraction.ljust(9, "0") or 0)


def units(text, instrument, column):
    count = Decimal(text) / Decimal(GRIDS[instrument][column])
    assert count == int(count)
    return int(count)


def ticks(text, instrument=BTC):
    return units(text, instrument, 1)


def lots(text, instrument=BTC):
    return units(text, instrument, 2)


def decode(decoder, message, hint=0xFFFFFFFF):
    data = message if isinstance(message, bytes) else json.dumps(message, separators=(",", ":")).encode()
    return decoder.decode(data, 7, hint)


def advanced(channel, *events, number=15, **other):
    return {"channel": channel, "timestamp": "2026-08-09T21:05:48.506659391Z", "sequence_num": number, "events": list(events), **other}


def level(side, price, qty, time="2026-08-09T21:05:48.264069Z"):
    return {"side": side, "event_time": time, "price_level": price, "new_quantity": qty}


def deltas(slots):
    return [(int(r["instrument"]), int(r["flags"]), int(r["price_ticks"]), int(r["qty_lots"]), int(r["ts_venue_ns"]),
             int(r["first_update_id"]), int(r["last_update_id"])) for r in records(slots, EventType.EV_BOOK_DELTA)]


def orders(slots):
    found = records(slots, EventType.EV_ORDER_DELTA)
    return [(OrderAction(int(r["action"])), int(r["flags"]), int(r["price_ticks"]), int(r["qty_lots"]),
             int(r["order_key_high"]) << 64 | int(r["order_key_low"]), int(r["update_id"]), int(r["ts_venue_ns"])) for r in found]


# ---- Advanced Trade

def test_an_l2_update_is_one_book_message_with_the_event_times(decoder):
    other = "2026-08-09T21:05:48.3Z"
    message = advanced("l2_data", {"type": "update", "product_id": "BTC-USD", "updates": [
        level("offer", "65106.54", "0.15361938"), level("bid", "65061.5", "0"), level("bid", "65062", "12.5", other)]})
    status, kind, slots, _, levels, update_id = decode(decoder, message)
    at = ns("2026-08-09T21:05:48.264069Z")
    assert (status, kind, levels, update_id) == (Status.STATUS_OK, MessageKind.MESSAGE_BOOK_DELTA, 3, 16)
    assert deltas(slots) == [(BTC, ASK | FIRST, ticks("65106.54"), lots("0.15361938"), at, 0, 0),
                             (BTC, 0, ticks("65061.5"), 0, at, 0, 0), (BTC, LAST, ticks("65062"), lots("12.5"), ns(other), 0, 0)]
    assert decoder.ts_venue_ns == ns(other) and set(slots["ts_recv_ns"].tolist()) == {7} and set(slots["venue"].tolist()) == {3}


def test_a_snapshot_is_marked_and_its_missing_times_are_the_messages_own(decoder):
    message = advanced("l2_data", {"type": "snapshot", "product_id": "ETH-USD", "updates": [
        level("bid", "1919.45", "1", "1970-01-01T00:00:00Z"), level("offer", "1919.5", "0.0001", "1970-01-01T00:00:00Z")]}, number=0)
    status, kind, slots, _, _, update_id = decode(decoder, message)
    assert (status, kind, update_id) == (Status.STATUS_OK, MessageKind.MESSAGE_SNAPSHOT, 1)
    assert deltas(slots) == [(ETH, SNAPSHOT | FIRST, ticks("1919.45", ETH), 10000, T_NS, 0, 0),
                             (ETH, SNAPSHOT | ASK | LAST, ticks("1919.5", ETH), 1, T_NS, 0, 0)]


def test_events_of_several_products_are_several_book_messages(decoder):
    message = advanced("l2_data", {"type": "update", "product_id": "BTC-USD", "updates": [level("bid", "1", "2"), level("bid", "3", "4")]},
                       {"type": "update", "product_id": "XRP-USD", "updates": [level("bid", "junk", "4")]},
                       {"type": "update", "product_id": "ETH-USD", "updates": []},
                       {"type": "snapshot", "product_id": "ETH-USD", "updates": [level("offer", "0.05", "4")]})
    status, _, slots, scanned, levels, _ = decode(decoder, message)
    assert (status, scanned, levels, decoder.skipped_count) == (Status.STATUS_OK, False, 3, 1)
    assert [(r[0], r[1]) for r in deltas(slots)] == [(BTC, FIRST), (BTC, LAST), (ETH, FIRST | LAST | NO_LEVEL), (ETH, 15)]
    assert deltas(slots)[2][2:4] == (PRICE_NONE, 0)


def test_trades_stand_oldest_first_and_the_aggressor_is_the_other_side_of_the_maker(decoder):
    trades = [{"product_id": "BTC-USD", "trade_id": "1068572092", "price": "65083.67", "size": "0.5", "time": "2026-08-09T21:05:48.2Z", "side": "SELL"},
              {"product_id": "ETH-USD", "trade_id": "833140778", "price": "1919.45", "size": "2", "time": "2026-08-09T21:05:48.2Z", "side": "BUY"},
              {"product_id": "BTC-USD", "trade_id": "1068572091", "price": "65083", "size": "1", "time": "2026-08-09T21:05:48.1Z", "side": "BUY"}]
    status, kind, slots, _, _, update_id = decode(decoder, advanced("market_trades", {"type": "update", "trades": trades}))
    found = [(int(r["instrument"]), int(r["trade_id"]), int(r["price_ticks"]), int(r["qty_lots"]), int(r["flags"]), int(r["trade_count"]),
              int(r["ts_venue_ns"])) for r in records(slots, EventType.EV_TRADE)]
    assert (status, kind, update_id) == (Status.STATUS_OK, MessageKind.MESSAGE_TRADE, 16)
    early, late = ns("2026-08-09T21:05:48.1Z"), ns("2026-08-09T21:05:48.2Z")
    assert found == [(BTC, 1068572091, 6508300, 10 ** 8, 1, 1, early), (ETH, 833140778, ticks("1919.45", ETH), 20000, 1, 1, late),
                     (BTC, 1068572092, 6508367, 5 * 10 ** 7, 0, 1, late)]
    assert decoder.ts_venue_ns == late
    # A list that already stands oldest first stays as it is.
    same = decode(decoder, advanced("market_trades", {"type": "update", "trades": trades[::-1]}))[2]
    assert [int(r["trade_id"]) for r in records(same, EventType.EV_TRADE)] == [1068572091, 833140778, 1068572092]


def test_a_trade_with_an_unknown_side_or_product_costs_that_trade_only(decoder):
    good = {"product_id": "BTC-USD", "trade_id": "7", "price": "65083.67", "size": "0.5", "time": "2026-08-09T21:05:48.2Z", "side": "SELL"}
    event = {"type": "update", "trades": [{**good, "side": "UNKNOWN_SIDE"}, {**good, "product_id": "DOGE-USD"}, good]}
    status, _, slots, _, _, _ = decode(decoder, advanced("market_trades", event))
    assert (status, len(slots), decoder.skipped_count) == (Status.STATUS_OK, 1, 2)
    for trades, expected in (([{**good, "side": "NEITHER"}], Status.STATUS_UNSUPPORTED), ([{**good, "product_id": "DOGE-USD"}], Status.STATUS_UNKNOWN_SYMBOL),
                             ([], Status.STATUS_IGNORED), ([good, {**good, "price": "65083.675"}], Status.STATUS_OFF_GRID),
                             ([good, {**good, "size": "0"}], Status.STATUS_MALFORMED), ([good, {**good, "trade_id": 7}], Status.STATUS_MALFORMED)):
        status, _, slots, _, _, update_id = decode(decoder, advanced("market_trades", {"type": "update", "trades": trades}))
        assert (status, len(slots), update_id) == (expected, 0, 16)


TICKER = {"type": "ticker", "product_id": "BTC-USD", "price": "65086.18", "volume_24_h": "2867.54532609", "low_24_h": "64675.22",
          "high_24_h": "65252.99", "low_52_w": "57717.55", "high_52_w": "126296", "price_percent_chg_24_h": "-0.09601107287722",
          "best_bid": "65083.66", "best_ask": "65083.67", "best_bid_quantity": "0.20371215", "best_ask_quantity": "0.24290402"}


def quote(slots):
    (q,) = records(slots, EventType.EV_QUOTE)
    return tuple(int(q[k]) for k in ("bid_price_ticks", "bid_qty_lots", "ask_price_ticks", "ask_qty_lots", "ts_venue_ns"))


def test_a_ticker_is_a_quote(decoder):
    status, kind, slots, _, _, update_id = decode(decoder, advanced("ticker", {"type": "update", "tickers": [TICKER]}))
    assert (status, kind, update_id) == (Status.STATUS_OK, MessageKind.MESSAGE_QUOTE, 16)
    assert quote(slots) == (6508366, 20371215, 6508367, 24290402, T_NS)


@pytest.mark.parametrize("change, expected", [
    ({"best_bid": "", "best_bid_quantity": ""}, (PRICE_NONE, 0, 6508367, 24290402)),
    ({"best_ask": "0", "best_ask_quantity": "0"}, (6508366, 20371215, PRICE_NONE, 0)),
    ({"best_bid_quantity": None, "best_ask_quantity": ""}, (6508366, QTY_NONE, 6508367, QTY_NONE)),
])
def test_an_empty_side_has_no_price_and_an_unknown_quantity_is_not_zero(decoder, change, expected):
    status, _, slots, _, _, _ = decode(decoder, advanced("ticker", {"type": "update", "tickers": [{**TICKER, **change}]}))
    assert (status, quote(slots)[:4]) == (Status.STATUS_OK, expected)


def test_a_ticker_without_best_prices_is_a_reference_price(decoder):
    ticker = {k: v for k, v in TICKER.items() if not k.startswith("best")}
    status, kind, slots, _, _, _ = decode(decoder, advanced("ticker_batch", {"type": "update", "tickers": [ticker]}))
    (r,) = records(slots, EventType.EV_REFERENCE)
    assert (status, kind) == (Status.STATUS_OK, MessageKind.MESSAGE_OTHER)
    assert (int(r["kind"]), int(r["mantissa"]), int(r["scale"]), int(r["ts_next_ns"]), int(r["ts_venue_ns"])) == (
        ReferenceKind.REFERENCE_LAST_PRICE, 6508618, 2, TIME_NONE, T_NS)
    half = {k: v for k, v in TICKER.items() if k != "best_ask"}
    assert decode(decoder, advanced("ticker", {"type": "update", "tickers": [half]}))[0] == Status.STATUS_MALFORMED


def test_a_candle_is_right_aligned_and_closed_when_it_has_ended(decoder):
    candle = {"start": "1786309200", "high": "1919.6", "low": "1919.25", "open": "1919.55", "close": "1919.4", "volume": "36.3663",
              "product_id": "ETH-USD"}
    status, kind, slots, _, _, _ = decode(decoder, advanced("candles", {"type": "snapshot", "candles": [{**candle, "start": "1786309500"}, candle]}))
    first, second = records(slots, EventType.EV_CANDLE)
    assert (status, kind, decoder.ts_venue_ns) == (Status.STATUS_OK, MessageKind.MESSAGE_BAR, T_NS)
    assert [int(first[k]) for k in ("flags", "ts_open_ns", "ts_venue_ns")] == [0, 1786309500 * 10 ** 9, 1786309800 * 10 ** 9]
    names = ("flags", "open_ticks", "high_ticks", "low_ticks", "close_ticks", "volume_lots", "buy_volume_lots", "trade_count",
             "interval_ns", "ts_open_ns", "ts_venue_ns", "instrument")
    assert [int(second[k]) for k in names] == [
        1, ticks("1919.55", ETH), ticks("1919.6", ETH), ticks("1919.25", ETH), ticks("1919.4", ETH), lots("36.3663", ETH), QTY_NONE, 0,
        300 * 10 ** 9, 1786309200 * 10 ** 9, 1786309500 * 10 ** 9, ETH]


@pytest.mark.parametrize("message", [
    advanced("heartbeats", {"current_time": "2026-08-09 21:05:48.854840045 +0000 UTC m=+41691.260485341", "heartbeat_counter": 41691}),
    advanced("subscriptions", {"subscriptions": {"market_trades": ["BTC-USD"]}}, client_id=""),
])
def test_a_heartbeat_and_an_acknowledgement_are_counted_in_the_connections_sequence(decoder, message):
    status, kind, slots, _, _, update_id = decode(decoder, message)
    assert (status, kind, len(slots), update_id, decoder.ts_venue_ns) == (Status.STATUS_IGNORED, MessageKind.MESSAGE_OTHER, 0, 16, T_NS)


@pytest.mark.parametrize("message, expected", [
    (advanced("user", {"type": "snapshot", "orders": []}), Status.STATUS_UNSUPPORTED),
    (advanced("l2_data", {"type": "reset", "product_id": "BTC-USD", "updates": []}), Status.STATUS_UNSUPPORTED),
    (advanced("l2_data", {"type": "update", "product_id": "XRP-USD", "updates": []}), Status.STATUS_UNKNOWN_SYMBOL),
    (advanced("l2_data", {"type": "update", "product_id": "BTC-USD", "updates": [level("bid", "1", "1"), level("middle", "1", "1")]}), Status.STATUS_MALFORMED),
    (advanced("l2_data", {"type": "update", "product_id": "BTC-USD", "updates": [level("bid", "1", "1"), level("bid", "1", "-1")]}), Status.STATUS_MALFORMED),
    (advanced("l2_data", {"type": "update", "product_id": "BTC-USD", "updates": [level("bid", "1", "1"), level("bid", "0", "1")]}), Status.STATUS_MALFORMED),
    (advanced("l2_data", {"type": "update", "product_id": "BTC-USD", "updates": [level("bid", "1", "1"), level("bid", "1.001", "1")]}), Status.STATUS_OFF_GRID),
    (advanced("l2_data", {"type": "update", "product_id": "BTC-USD", "updates": [level("bid", "1", "1"), level("bid", "1e18", "1")]}), Status.STATUS_OVERFLOW),
    (advanced("l2_data", {"type": "update", "product_id": "BTC-USD", "updates": [level("bid", "1", "1", "yesterday")]}), Status.STATUS_MALFORMED),
    (advanced("ticker", {"type": "update", "tickers": [{**TICKER, "best_bid": "-1"}]}), Status.STATUS_MALFORMED),
    (advanced("ticker", {"type": "update"}), Status.STATUS_MALFORMED),
    (advanced("status", {"type": "snapshot"}), Status.STATUS_MALFORMED),
])
def test_a_refused_message_leaves_no_record_and_still_counts(decoder, message, expected):
    status, _, slots, _, levels, update_id = decode(decoder, message)
    assert (status, len(slots), levels, update_id) == (expected, 0, 0, 16)


@pytest.mark.parametrize("data, expected", [
    (b"", Status.STATUS_MALFORMED), (b"{}", Status.STATUS_UNSUPPORTED), (b"[]", Status.STATUS_UNSUPPORTED), (b"7", Status.STATUS_MALFORMED),
    (b'{"channel":"l2_data","events":[]}', Status.STATUS_MALFORMED), (b'{"channel":7,"sequence_num":1,"timestamp":"2026-08-09T21:05:48Z"}', Status.STATUS_MALFORMED),
    (b'{"type":"open","type":"open","product_id":"BTC-USD"}', Status.STATUS_MALFORMED), (b'{"type":"auction","product_id":"BTC-USD"}', Status.STATUS_UNSUPPORTED),
    (b'{"type":"error","message":"Failed to subscribe","reason":"x"}', Status.STATUS_IGNORED),
    (b'{"type":"error","channel":"level2","message":"rate limit"}', Status.STATUS_IGNORED),
    (b'["open","BTC-USD","1"]', Status.STATUS_UNSUPPORTED),
])
def test_other_texts_are_judged_by_what_they_are(decoder, data, expected):
    status, _, slots, _, _, _ = decode(decoder, data)
    assert (status, len(slots)) == (expected, 0)


# ---- statuses

def statuses(slots):
    return [(int(r["instrument"]), VenueStatus(int(r["status"])), bytes(r["text"]).rstrip(b"\0").decode())
            for r in records(slots, EventType.EV_INSTRUMENT_STATUS)]


@pytest.mark.parametrize("product, expected", [
    ({"status": "online"}, (VenueStatus.VENUE_STATUS_TRADING, "online")),
    ({"status": "online", "cancel_only": False, "post_only": True}, (VenueStatus.VENUE_STATUS_POST_ONLY, "post_only")),
    ({"status": "online", "limit_only": True}, (VenueStatus.VENUE_STATUS_LIMIT_ONLY, "limit_only")),
    ({"status": "online", "limit_only": True, "auction_mode": True}, (VenueStatus.VENUE_STATUS_AUCTION, "auction_mode")),
    ({"status": "online", "cancel_only": True, "auction_mode": True}, (VenueStatus.VENUE_STATUS_CANCEL_ONLY, "cancel_only")),
    ({"status": "online", "cancel_only": True, "trading_disabled": True}, (VenueStatus.VENUE_STATUS_HALTED, "trading_disabled")),
    ({"status": "offline", "post_only": True}, (VenueStatus.VENUE_STATUS_HALTED, "offline")),
    ({"status": "internal"}, (VenueStatus.VENUE_STATUS_HALTED, "internal")),
    ({"status": "delisted"}, (VenueStatus.VENUE_STATUS_DELISTED, "delisted")),
    ({"status": "a_word_of_more_than_16_bytes"}, (VenueStatus.VENUE_STATUS_UNKNOWN, "a_word_of_more_t")),
])
def test_a_products_status_is_its_word_and_then_its_strictest_flag(decoder, product, expected):
    strangers = [{"id": "XRP-USD", "status": "online"}]
    exchange = {"type": "status", "products": [*strangers, {"id": "BTC-USD", **product}], "currencies": [{"id": "USD", "status": "online"}]}
    status, kind, slots, _, _, update_id = decode(decoder, exchange)
    assert (status, kind, update_id, statuses(slots)) == (Status.STATUS_OK, MessageKind.MESSAGE_OTHER, 0, [(BTC, *expected)])
    assert int(slots[0]["ts_venue_ns"]) == TIME_NONE
    status, _, slots, _, _, update_id = decode(decoder, advanced("status", {"type": "snapshot", "products": [{"id": "ETH-USD", **product}]}))
    assert (status, update_id, statuses(slots), int(slots[0]["ts_venue_ns"])) == (Status.STATUS_OK, 16, [(ETH, *expected)], T_NS)
    for body in ({"products": [{"product_id": "ETH-USD", **product}], "num_products": 1}, [{"id": "ETH-USD", **product}],
                 {"product_id": "ETH-USD", "price": "1", **product}):
        assert statuses(decode(decoder, body)[2]) == [(ETH, *expected)]
    assert decode(decoder, {"type": "status", "products": strangers})[0] == Status.STATUS_IGNORED


# ---- Exchange

def test_an_l2update_has_no_ids_and_the_messages_time(decoder):
    for message in (b'{"type":"l2update","product_id":"BTC-USD","changes":[["buy","22356.270000","0.00000000"],["sell","22356.3","1.5"]],'
                    b'"time":"2022-08-04T15:25:05.010758Z"}',
                    b'{"type":"l2update","product_id":"BTC-USD","time":"2022-08-04T15:25:05.010758Z",'
                    b'"changes":[["buy","22356.270000","0.00000000"],["sell","22356.3","1.5"]]}'):
        status, kind, slots, _, levels, update_id = decode(decoder, message)
        at = ns("2022-08-04T15:25:05.010758Z")
        assert (status, kind, levels, update_id) == (Status.STATUS_OK, MessageKind.MESSAGE_BOOK_DELTA, 2, 0)
        assert deltas(slots) == [(BTC, FIRST, 2235627, 0, at, 0, 0), (BTC, ASK | LAST, 2235630, lots("1.5"), at, 0, 0)]


def test_a_snapshot_keeps_the_order_of_the_text_and_may_have_a_time(decoder):
    message = {"type": "snapshot", "product_id": "BTC-USD", "asks": [["14.80", "12.77"]], "bids": [["14.75", "3.1"], ["1", "2"]]}
    status, kind, slots, _, _, _ = decode(decoder, message)
    rows = [(BTC, ASK | SNAPSHOT | FIRST, 1480, lots("12.77")), (BTC, SNAPSHOT, 1475, lots("3.1")), (BTC, SNAPSHOT | LAST, 100, lots("2"))]
    assert (status, kind, [r[:4] for r in deltas(slots)]) == (Status.STATUS_OK, MessageKind.MESSAGE_SNAPSHOT, rows)
    assert {r[4] for r in deltas(slots)} == {TIME_NONE}
    _, _, slots, _, _, _ = decode(decoder, {**message, "time": "2022-08-04T15:25:05.010758Z"})
    assert {r[4] for r in deltas(slots)} == {ns("2022-08-04T15:25:05.010758Z")}


MATCH = {"type": "match", "trade_id": 280232, "maker_order_id": ID, "taker_order_id": "3c82abaa-c01e-4608-be59-6a1e69742891",
         "side": "sell", "size": "0.5", "price": "13.05", "product_id": "BTC-USD", "sequence": 177100030, "time": "2021-04-17T16:43:37.089723Z"}


@pytest.mark.parametrize("side", ["buy", "sell"])
def test_a_match_is_a_trade_and_takes_from_its_makers_order(decoder, side):
    status, kind, slots, _, _, update_id = decode(decoder, {**MATCH, "side": side})
    (t,) = records(slots, EventType.EV_TRADE)
    at = ns(MATCH["time"])
    assert (status, kind, update_id, len(slots)) == (Status.STATUS_OK, MessageKind.MESSAGE_TRADE, 0, 3)
    assert [int(t[k]) for k in ("price_ticks", "qty_lots", "trade_id", "flags", "trade_count", "ts_venue_ns")] == [
        1305, lots("0.5"), 280232, 1 if side == "buy" else 0, 1, at]
    flags = ORDER_FIRST | ORDER_LAST | (ORDER_ASK if side == "sell" else 0)
    assert orders(slots) == [(OrderAction.ORDER_ACTION_MATCH, flags, 1305, lots("0.5"), uuid.UUID(ID).int, 177100030, at)]


def test_the_last_match_is_a_trade_alone(decoder):
    status, _, slots, _, _, _ = decode(decoder, {**MATCH, "type": "last_match"})
    assert status == Status.STATUS_OK and [int(t) for t in slots["type"]] == [EventType.EV_TRADE]
    without_ids = {k: v for k, v in MATCH.items() if not k.endswith("order_id")}
    assert [int(t) for t in decode(decoder, without_ids)[2]["type"]] == [EventType.EV_TRADE]
    assert decode(decoder, {**MATCH, "side": "both"})[0] == Status.STATUS_UNSUPPORTED


def test_a_ticker_of_the_exchange_may_lack_quantities(decoder):
    ticker = {"type": "ticker", "sequence": 333938798, "product_id": "BTC-USD", "price": "14.77", "open_24h": "14.66", "volume_24h": "9",
              "low_24h": "14", "high_24h": "16.55", "volume_30d": "2", "best_bid": "14.75", "best_ask": "14.8", "side": "buy",
              "time": "2021-04-17T16:43:30.244075Z", "trade_id": 881613, "last_size": "0.04"}
    status, kind, slots, _, _, update_id = decode(decoder, ticker)
    assert (status, kind, update_id) == (Status.STATUS_OK, MessageKind.MESSAGE_QUOTE, 0)
    assert quote(slots) == (1475, QTY_NONE, 1480, QTY_NONE, ns(ticker["time"]))
    sized = {}
    for key, value in ticker.items():
        sized[key] = value
        if key in ("best_bid", "best_ask"):
            sized[key + "_size"] = "0.5"
    assert quote(decode(decoder, sized)[2]) == (1475, lots("0.5"), 1480, lots("0.5"), ns(ticker["time"]))
    timeless = {k: v for k, v in sized.items() if k != "time"}
    assert quote(decode(decoder, timeless)[2])[4] == TIME_NONE


def test_a_heartbeat_of_the_exchange_says_nothing_to_the_engine(decoder):
    beat = {"type": "heartbeat", "sequence": 90, "last_trade_id": 20, "product_id": "BTC-USD", "time": "2014-11-07T08:19:28.464459Z"}
    status, kind, slots, _, _, update_id = decode(decoder, beat)
    assert (status, kind, len(slots), update_id) == (Status.STATUS_IGNORED, MessageKind.MESSAGE_OTHER, 0, 0)
    assert decoder.ts_venue_ns == ns(beat["time"])


# ---- order by order

BASE = {"product_id": "BTC-USD", "sequence": 10, "order_id": ID, "side": "sell", "time": "2014-11-07T08:19:27.028459Z"}
BOTH_ENDS = ORDER_FIRST | ORDER_LAST


@pytest.mark.parametrize("message, action, price, qty", [
    ({"type": "received", "order_type": "limit", "size": "1.34", "price": "502.1"}, OrderAction.ORDER_ACTION_DELETE, "502.1", "0"),
    ({"type": "received", "order_type": "market", "funds": "3000.234"}, OrderAction.ORDER_ACTION_DELETE, None, "0"),
    ({"type": "open", "price": "200.2", "remaining_size": "1.00"}, OrderAction.ORDER_ACTION_ADD, "200.2", "1"),
    ({"type": "done", "price": "200.2", "reason": "canceled", "remaining_size": "0.4"}, OrderAction.ORDER_ACTION_DELETE, "200.2", "0"),
    ({"type": "done", "reason": "filled"}, OrderAction.ORDER_ACTION_DELETE, None, "0"),
    ({"type": "change", "new_size": "5.23512", "old_size": "12.234412", "price": "400.23"}, OrderAction.ORDER_ACTION_CHANGE, "400.23", "5.23512"),
    ({"type": "change", "reason": "modify_order", "new_size": "1", "old_size": "2", "old_price": "400", "new_price": "401"},
     OrderAction.ORDER_ACTION_CHANGE, "401", "1"),
    ({"type": "change", "new_funds": "5.23512", "old_funds": "12.234412", "price": None}, OrderAction.ORDER_ACTION_DELETE, None, "0"),
])
def test_the_full_channel_says_what_becomes_of_each_order(decoder, message, action, price, qty):
    status, kind, slots, scanned, _, update_id = decode(decoder, {**message, **BASE})
    assert (status, kind, scanned, update_id, len(slots)) == (Status.STATUS_OK, MessageKind.MESSAGE_BOOK_DELTA, False, 0, 2)
    assert orders(slots) == [(action, BOTH_ENDS | ORDER_ASK, PRICE_NONE if price is None else ticks(price), lots(qty),
                              uuid.UUID(ID).int, 10, ns(BASE["time"]))]
    assert orders(decode(decoder, {**message, **BASE, "side": "buy"})[2])[0][1] == BOTH_ENDS


@pytest.mark.parametrize("change, expected", [
    ({"order_id": ID[:-1]}, Status.STATUS_MALFORMED), ({"order_id": ID.replace("-", "0")}, Status.STATUS_MALFORMED),
    ({"sequence": "10"}, Status.STATUS_MALFORMED), ({"side": "none"}, Status.STATUS_UNSUPPORTED), ({"side": None}, Status.STATUS_MALFORMED),
    ({"price": "200.205"}, Status.STATUS_OFF_GRID), ({"price": "0"}, Status.STATUS_MALFORMED), ({"remaining_size": "-1"}, Status.STATUS_MALFORMED),
    ({"product_id": "XRP-USD"}, Status.STATUS_UNKNOWN_SYMBOL), ({"time": "now"}, Status.STATUS_MALFORMED),
])
def test_an_order_that_cannot_be_read_is_refused(decoder, change, expected):
    message = {"type": "open", "price": "200.2", "remaining_size": "1.00", **BASE, **change}
    status, _, slots, _, _, _ = decode(decoder, message)
    assert (status, len(slots)) == (expected, 0)


def test_a_stop_order_that_waits_says_nothing_to_the_book(decoder):
    message = {"type": "activate", "product_id": "BTC-USD", "timestamp": "1483736448.299000", "order_id": ID, "stop_type": "entry",
               "side": "buy", "stop_price": "80", "size": "2", "private": True}
    assert decode(decoder, message)[:2] == (Status.STATUS_IGNORED, MessageKind.MESSAGE_OTHER)


# ---- answers to requests

def test_a_level_2_body_is_a_snapshot_at_its_sequence(decoder):
    body = {"bids": [["295.96", "4.39088265", 2]], "asks": [["295.97", "25.23542881", 12], ["296", "1", 1]], "sequence": 3, "auction_mode": False,
            "auction": None, "time": "2021-02-12T01:09:23.334723Z"}
    status, kind, slots, _, _, update_id = decode(decoder, body, BTC)
    at = ns(body["time"])
    assert (status, kind, update_id) == (Status.STATUS_OK, MessageKind.MESSAGE_SNAPSHOT, 0)
    assert deltas(slots) == [(BTC, SNAPSHOT | FIRST, 29596, lots("4.39088265"), at, 3, 3), (BTC, SNAPSHOT | ASK, 29597, lots("25.23542881"), at, 3, 3),
                             (BTC, SNAPSHOT | ASK | LAST, 29600, lots("1"), at, 3, 3)]
    assert decode(decoder, body)[0] == Status.STATUS_UNKNOWN_SYMBOL
    assert decode(decoder, {**body, "bids": [["295.96", "oops", 2]]}, BTC)[0] == Status.STATUS_MALFORMED


def test_a_level_3_body_is_a_snapshot_of_orders(decoder):
    other = "3b0f1225-7f84-490b-a29f-0faef9de823a"
    body = {"bids": [["295.96", "0.05088265", other]], "asks": [["295.97", "5.72036512", ID]], "sequence": 3}
    status, kind, slots, _, _, _ = decode(decoder, body, BTC)
    assert (status, kind) == (Status.STATUS_OK, MessageKind.MESSAGE_SNAPSHOT)
    add = OrderAction.ORDER_ACTION_ADD
    assert orders(slots) == [(add, ORDER_SNAPSHOT | ORDER_FIRST, 29596, lots("0.05088265"), uuid.UUID(other).int, 3, TIME_NONE),
                             (add, ORDER_SNAPSHOT | ORDER_ASK | ORDER_LAST, 29597, lots("5.72036512"), uuid.UUID(ID).int, 3, TIME_NONE)]
    assert decode(decoder, {**body, "bids": [["295.96", "0.05", 2]]}, BTC)[0] == Status.STATUS_MALFORMED
    many = {**body, "asks": [["295.97", "5.72036512", ID]] * 32768}
    assert decode(decoder, many, BTC)[0] == Status.STATUS_TOO_LARGE


def test_a_pricebook_names_its_product(decoder):
    body = {"pricebook": {"product_id": "ETH-USD", "bids": [{"price": "68923.65", "size": "0.1718"}], "asks": [{"price": "68926", "size": "1"}],
                          "time": "2026-04-07T00:28:59.662782Z"}, "last": "68923.665"}
    status, kind, slots, _, _, _ = decode(decoder, body)
    at = ns("2026-04-07T00:28:59.662782Z")
    assert (status, kind) == (Status.STATUS_OK, MessageKind.MESSAGE_SNAPSHOT)
    assert deltas(slots) == [(ETH, SNAPSHOT | FIRST, ticks("68923.65", ETH), 1718, at, 0, 0), (ETH, SNAPSHOT | ASK | LAST, ticks("68926", ETH), 10000, at, 0, 0)]


# ---- an order-by-order book, from generated messages

def test_a_generated_stream_of_orders_rebuilds_the_book_that_made_it(decoder):
    """Generated, since no capture of the channel is at hand: a book of orders makes messages, as the venue documents them, and
    the records alone must rebuild it; the sequence has no hole."""
    r = random.Random(5)
    book, frames, number = {}, [], 0

    def send(kind, **fields):
        nonlocal number
        number += 1
        frames.append({"type": kind, "product_id": "BTC-USD", "sequence": number, "time": "2014-11-07T08:19:27.028459Z", **fields})

    for _ in range(600):
        choice = r.random()
        if choice < 0.5 or not book:
            key, side, price, size = str(uuid.UUID(int=r.getrandbits(128))), r.choice(("buy", "sell")), r.randrange(1, 500), r.randrange(2, 900)
            send("received", order_id=key, side=side, order_type="limit", price=f"{price / 100:.2f}", size=f"{size / 10:.1f}")
            if r.random() < 0.1:
                send("done", order_id=key, side=side, reason="canceled", price=f"{price / 100:.2f}", remaining_size=f"{size / 10:.1f}")
                continue
            send("open", order_id=key, side=side, price=f"{price / 100:.2f}", remaining_size=f"{size / 10:.1f}")
            book[key] = [side, price, size]
        else:
            key = r.choice(list(book))
            side, price, size = book[key]
            if choice < 0.75:
                taken = r.randrange(1, size + 1)
                send("match", trade_id=number, maker_order_id=key, taker_order_id=str(uuid.UUID(int=1)), side=side,
                     price=f"{price / 100:.2f}", size=f"{taken / 10:.1f}")
                book[key][2] -= taken
                if taken == size:
                    send("done", order_id=key, side=side, reason="filled", price=f"{price / 100:.2f}", remaining_size="0.0")
                    del book[key]
            elif choice < 0.85 and size > 1:
                book[key][2] = r.randrange(1, size)
                send("change", order_id=key, side=side, price=f"{price / 100:.2f}", old_size=f"{size / 10:.1f}", new_size=f"{book[key][2] / 10:.1f}")
            else:
                send("done", order_id=key, side=side, reason="canceled", price=f"{price / 100:.2f}", remaining_size=f"{size / 10:.1f}")
                del book[key]
    rebuilt, expected_number = {}, 1
    for frame in frames:
        status, _, slots, _, _, _ = decode(decoder, frame)
        ((action, flags, price, qty, key, update_id, _),) = orders(slots)
        assert status == Status.STATUS_OK and update_id == expected_number
        expected_number += 1
        if action == OrderAction.ORDER_ACTION_ADD:
            rebuilt[key] = [flags & ORDER_ASK, price, qty]
        elif action == OrderAction.ORDER_ACTION_MATCH:
            rebuilt[key][2] -= qty
        elif action == OrderAction.ORDER_ACTION_CHANGE:
            rebuilt[key][1:] = [price, qty]
        else:
            rebuilt.pop(key, None)
    assert rebuilt == {uuid.UUID(key).int: [side == "sell", price, size * 10 ** 7] for key, (side, price, size) in book.items()}
    assert len(rebuilt) > 50
