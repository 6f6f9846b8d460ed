"""Kraken's messages one by one: each decodes to the records that its text says, read here with Python's json and decimal."""
import json
from datetime import datetime
from decimal import Decimal

import pytest

from tickpath.shm.ring import records
from tickpath.types import PRICE_NONE, QTY_NONE, TIME_NONE, EventType, OrderAction, Status, VenueStatus
from tickpath.venues.batch import MessageKind
from tickpath.venues.decoders import MessageDecoder
from tickpath.venues.kraken_decode import order_id_to_key, order_key_to_id

TICKS = {"BTC/USD": ("0.1", "0.00000001"), "XMR/USD": ("0.01", "0.00000001"), "ADA/XBT": ("0.00000001", "0.00000001"),
         "SHIB/USD": ("0.0000000001", "0.00001"), "MATIC/USD": ("0.0001", "0.00000001")}
SYMBOLS = list(TICKS)
ASK, SNAPSHOT, FIRST, LAST, NO_LEVEL, CHECKSUM = 1, 2, 4, 8, 16, 32
NO_INSTRUMENT = 0xFFFFFFFF
RECV_NS = 1_700_000_000_000_000_123


@pytest.fixture(scope="module", params=[True, False], ids=["scanner", "general"])
def decoder(request):
    return MessageDecoder([(s, *TICKS[s]) for s in SYMBOLS], kind="kraken", scanner=request.param)


def decoded(decoder, message, kind):
    data = message if isinstance(message, bytes) else json.dumps(message, separators=(",", ":")).encode()
    status, found, slots, _, _, update_id = decoder.decode(data, RECV_NS)
    assert (Status(status), MessageKind(found), update_id) == (Status.STATUS_OK, kind, 0), data
    assert (slots["ts_recv_ns"] == RECV_NS).all() and (slots["venue"] == 4).all()
    return slots


def status_of(decoder, message):
    data = message if isinstance(message, bytes) else json.dumps(message, separators=(",", ":")).encode()
    status, kind, slots, _, levels, _ = decoder.decode(data, RECV_NS)
    if status != Status.STATUS_OK:
        assert len(slots) == 0 and levels == 0
    return Status(status), MessageKind(kind)


def units(symbol, price, qty):
    tick, lot = (Decimal(t) for t in TICKS[symbol])
    ticks, lots = Decimal(str(price)) / tick, Decimal(str(qty)) / lot
    assert ticks == int(ticks) and lots == int(lots)
    return int(ticks), int(lots)


def ns(text):
    whole, _, fraction = text.rstrip("Z").partition(".")
    return int(datetime.fromisoformat(whole + "+00:00").timestamp()) * 10 ** 9 + int(fraction.ljust(9, "0") or 0)


def book_rows(slots):
    return [(int(b["flags"]), int(b["price_ticks"]), int(b["qty_lots"]), int(b["ts_venue_ns"])) for b in
            records(slots, EventType.EV_BOOK_DELTA)]


# ---- v2

def test_a_v2_update_gives_bids_then_asks_then_the_checksum(decoder):
    time = "2026-07-19T17:54:39.784623Z"
    slots = decoded(decoder, b'{"channel":"book","type":"update","data":[{"symbol":"BTC/USD","bids":[{"price":64524.0,"qty":0.00000000},'
                    b'{"price":64521.2,"qty":0.00200000}],"asks":[{"price":64532.8,"qty":1.23479983}],"checksum":3906264065,'
                    b'"timestamp":"2026-07-19T17:54:39.784623Z"}]}', MessageKind.MESSAGE_BOOK_DELTA)
    assert book_rows(slots) == [
        (FIRST, *units("BTC/USD", "64524.0", "0"), ns(time)), (0, *units("BTC/USD", "64521.2", "0.002"), ns(time)),
        (ASK, *units("BTC/USD", "64532.8", "1.23479983"), ns(time)), (LAST | NO_LEVEL | CHECKSUM, 3906264065, 0, ns(time))]
    assert (slots["instrument"] == 0).all() and not slots["payload"][:, 2:].any()
    assert decoder.ts_venue_ns == ns(time)


def test_a_v2_snapshot_is_marked_on_every_record(decoder):
    message = {"channel": "book", "type": "snapshot", "data": [
        {"symbol": "BTC/USD", "bids": [{"price": 64525.0, "qty": 0.53807066}], "asks": [{"price": 64525.1, "qty": 0.0107749}],
         "checksum": 2175437505, "timestamp": "2026-07-19T17:54:39.753424Z"}]}
    rows = book_rows(decoded(decoder, message, MessageKind.MESSAGE_SNAPSHOT))
    assert [r[0] for r in rows] == [SNAPSHOT | FIRST, SNAPSHOT | ASK, SNAPSHOT | LAST | NO_LEVEL | CHECKSUM]
    # The first snapshots of the venue carried no time.
    del message["data"][0]["timestamp"]
    assert {r[3] for r in book_rows(decoded(decoder, message, MessageKind.MESSAGE_SNAPSHOT))} == {TIME_NONE}
    message["data"][0]["bids"] = message["data"][0]["asks"] = []
    assert [r[:3] for r in book_rows(decoded(decoder, message, MessageKind.MESSAGE_SNAPSHOT))] == [
        (SNAPSHOT | FIRST | LAST | NO_LEVEL | CHECKSUM, 2175437505, 0)]


def test_the_books_of_several_symbols_are_several_messages(decoder):
    def item(symbol, price, time):
        return {"symbol": symbol, "bids": [{"price": price, "qty": 1.5}], "asks": [], "checksum": 7, "timestamp": time}
    message = {"channel": "book", "type": "update", "data": [
        item("XMR/USD", 354.12, "2026-07-19T17:54:39.000001Z"), item("BTC/USD", 64524.1, "2026-07-19T17:54:39.000003Z")]}
    slots = decoded(decoder, message, MessageKind.MESSAGE_BOOK_DELTA)
    assert slots["instrument"].tolist() == [1, 1, 0, 0]
    assert [r[0] for r in book_rows(slots)] == [FIRST, LAST | NO_LEVEL | CHECKSUM] * 2
    assert decoder.ts_venue_ns == ns("2026-07-19T17:54:39.000003Z")
    # One that we do not trade costs itself only.
    message["data"].insert(1, item("DOGE/USD", 0.1, "2026-07-19T17:54:39.000002Z"))
    assert decoded(decoder, message, MessageKind.MESSAGE_BOOK_DELTA).tobytes() == slots.tobytes() and decoder.skipped_count == 1
    # But a level that cannot be read refuses all of it.
    message["data"][2]["bids"][0]["price"] = 64524.15
    assert status_of(decoder, message)[0] == Status.STATUS_OFF_GRID


def test_v2_trades_keep_their_own_times_and_ids(decoder):
    message = {"channel": "trade", "type": "update", "data": [
        {"symbol": "BTC/USD", "side": "buy", "price": 118832.9, "qty": 0.00409283, "ord_type": "market", "trade_id": 9622656,
         "timestamp": "2025-07-23T04:41:46.919844Z"},
        {"symbol": "BTC/USD", "side": "sell", "price": 118837.0, "qty": 0.00033315, "ord_type": "limit", "trade_id": 9622657,
         "timestamp": "2025-07-23T04:41:46.919845Z"}]}
    trades = records(decoded(decoder, message, MessageKind.MESSAGE_TRADE), EventType.EV_TRADE)
    assert [[int(t[k]) for k in ("instrument", "price_ticks", "qty_lots", "trade_id", "trade_count", "flags", "ts_venue_ns", "reserved")]
            for t in trades] == [
        [0, 1188329, 409283, 9622656, 1, 0, ns("2025-07-23T04:41:46.919844Z"), 0],
        [0, 1188370, 33315, 9622657, 1, 1, ns("2025-07-23T04:41:46.919845Z"), 0]]
    assert decoder.ts_venue_ns == ns("2025-07-23T04:41:46.919845Z")


def test_a_trade_with_an_unknown_side_costs_itself_only(decoder):
    def trade(side, trade_id):
        return {"symbol": "BTC/USD", "side": side, "price": 1.5, "qty": 2.5, "ord_type": "limit", "trade_id": trade_id,
                "timestamp": "2025-07-23T04:41:46.919844Z", "liquidation": True}
    message = {"channel": "trade", "type": "update", "data": [trade("buy", 1), trade("cross", 2), trade("sell", 3)]}
    trades = records(decoded(decoder, message, MessageKind.MESSAGE_TRADE), EventType.EV_TRADE)
    assert trades["trade_id"].tolist() == [1, 3] and decoder.skipped_count == 1
    message["data"] = [trade("cross", 2)]
    assert status_of(decoder, message) == (Status.STATUS_IGNORED, MessageKind.MESSAGE_OTHER)


def test_the_trades_a_subscription_opens_with_are_history(decoder):
    message = {"channel": "trade", "type": "snapshot", "data": [
        {"symbol": "BTC/USD", "side": "buy", "price": 1.5, "qty": 2.5, "ord_type": "limit", "trade_id": 1,
         "timestamp": "2025-07-23T04:41:46.919844Z"}]}
    assert status_of(decoder, message) == (Status.STATUS_IGNORED, MessageKind.MESSAGE_OTHER)


TICKER = (b'{"channel":"ticker","type":"update","data":[{"symbol":"BTC/USD","bid":83744.2,"bid_qty":0.56251979,"ask":83744.3,'
          b'"ask_qty":0.00044780,"last":83744.3,"volume":3156.84782110,"vwap":84174.6,"low":83163.6,"high":85247.4,"change":-429.3,'
          b'"change_pct":-0.51%s}]}')


@pytest.mark.parametrize("tail, time", [
    (b"", None), (b',"trades":135262,"timestamp":"2026-09-25T17:48:26.844359Z"', "2026-09-25T17:48:26.844359Z"),
    (b',"timestamp":"2026-09-25T17:48:26.844359Z"', "2026-09-25T17:48:26.844359Z"), (b',"trades":1', None)])
@pytest.mark.parametrize("kind", [b"update", b"snapshot"])
def test_a_v2_ticker_is_a_quote(decoder, tail, time, kind):
    q = records(decoded(decoder, (TICKER % tail).replace(b"update", kind), MessageKind.MESSAGE_QUOTE), EventType.EV_QUOTE)[0]
    assert [int(q[k]) for k in ("bid_price_ticks", "bid_qty_lots", "ask_price_ticks", "ask_qty_lots")] == [
        837442, 56251979, 837443, 44780]
    assert int(q["ts_venue_ns"]) == (ns(time) if time else TIME_NONE)


@pytest.mark.parametrize("side", [{}, {"bid": None, "bid_qty": None}, {"bid": 0.0, "bid_qty": 0.0}, {"bid": 0, "bid_qty": 0}])
def test_a_side_without_orders_is_no_price(decoder, side):
    message = {"channel": "ticker", "type": "update", "data": [{"symbol": "BTC/USD", **side, "ask": 10.5, "ask_qty": 2.0}]}
    q = records(decoded(decoder, message, MessageKind.MESSAGE_QUOTE), EventType.EV_QUOTE)[0]
    assert [int(q[k]) for k in ("bid_price_ticks", "bid_qty_lots", "ask_price_ticks", "ask_qty_lots")] == [
        PRICE_NONE, 0, 105, 200000000]


def test_v2_candles_are_labelled_by_their_end(decoder):
    def candle(begin, close, **more):
        return {"symbol": "BTC/USD", "open": 71037.4, "high": 71116.3, "low": 70964.7, "close": close, "trades": 17, "volume": 14.02,
                "vwap": 71001.123, "interval_begin": begin, "interval": 60, **more}
    message = {"channel": "ohlc", "type": "snapshot", "timestamp": "2026-04-09T08:10:11.309506666Z", "data": [
        candle("2026-04-09T07:00:00.000000000Z", 70988.4, timestamp="2026-04-09T08:00:00.000000Z"),
        candle("2026-04-09T08:00:00.000000000Z", 70970.1)]}
    bars = records(decoded(decoder, message, MessageKind.MESSAGE_BAR), EventType.EV_CANDLE)
    hour = 3600 * 10 ** 9
    open_ns = ns("2026-04-09T07:00:00Z")
    # The first has an end that is known, since the second has begun.
    assert [[int(b[k]) for k in ("ts_open_ns", "ts_venue_ns", "flags", "close_ticks", "interval_ns")] for b in bars] == [
        [open_ns, open_ns + hour, 1, 709884, hour], [open_ns + hour, open_ns + 2 * hour, 0, 709701, hour]]
    assert [int(bars[0][k]) for k in ("open_ticks", "high_ticks", "low_ticks", "volume_lots", "buy_volume_lots", "trade_count")] == [
        710374, 711163, 709647, 1402000000, QTY_NONE, 17]


@pytest.mark.parametrize("change", [{"low": 71100.0}, {"interval": 0}, {"interval": "60"}, {"trades": -1}, {"open": 0},
                                    {"interval_begin": "2026-04-09"}, {"interval_begin": None}, {"volume": -1.0}, {"close": None}])
def test_a_bar_that_is_none_is_refused(decoder, change):
    bar = {"symbol": "BTC/USD", "open": 71037.4, "high": 71116.3, "low": 70964.7, "close": 71000.0, "trades": 17, "volume": 14.02,
           "interval_begin": "2026-04-09T07:00:00.000000000Z", "interval": 60} | change
    message = {"channel": "ohlc", "type": "update", "data": [bar]}
    assert status_of(decoder, message)[0] == Status.STATUS_MALFORMED


@pytest.mark.parametrize("word, status", [
    ("online", VenueStatus.VENUE_STATUS_TRADING), ("maintenance", VenueStatus.VENUE_STATUS_HALTED),
    ("cancel_only", VenueStatus.VENUE_STATUS_CANCEL_ONLY), ("post_only", VenueStatus.VENUE_STATUS_POST_ONLY),
    ("limit_only", VenueStatus.VENUE_STATUS_LIMIT_ONLY), ("reduce_only", VenueStatus.VENUE_STATUS_CANCEL_ONLY),
    ("delisted", VenueStatus.VENUE_STATUS_DELISTED), ("work_in_progress", VenueStatus.VENUE_STATUS_HALTED),
    ("something_else_entirely", VenueStatus.VENUE_STATUS_UNKNOWN)])
def test_statuses_of_pairs_and_of_the_venue(decoder, word, status):
    pairs = [{"symbol": "EUR/USD", "status": "online"}, {"symbol": "XMR/USD", "base": "XMR", "status": word, "tick_size": 0.01}]
    messages = [
        ({"channel": "instrument", "type": "snapshot", "data": {"assets": [{"id": "XMR", "status": "enabled"}], "pairs": pairs}}, 1),
        ({"channel": "status", "type": "update", "data": [{"version": "2.0.10", "system": word, "connection_id": 1}]}, NO_INSTRUMENT),
        ({"connectionID": 18239578009413566319, "event": "systemStatus", "status": word, "version": "1.8.3"}, NO_INSTRUMENT)]
    for message, instrument in messages:
        s = records(decoded(decoder, message, MessageKind.MESSAGE_OTHER), EventType.EV_INSTRUMENT_STATUS)
        assert s["instrument"].tolist() == [instrument] and s["status"].tolist() == [status]
        assert bytes(s["text"][0]).rstrip(b"\0") == word.encode()[:16] and int(s["ts_venue_ns"][0]) == TIME_NONE


@pytest.mark.parametrize("data", [None, [], 5, "x", {"pairs": {}}, {"pairs": 5}, {"pairs": [{"symbol": "BTC/USD"}]},
                                  {"pairs": [{"symbol": "BTC/USD", "status": 5}]}])
def test_an_instrument_message_of_another_shape_is_refused(decoder, data):
    message = {"channel": "instrument", "type": "update"} | ({} if data is None else {"data": data})
    assert status_of(decoder, message)[0] == Status.STATUS_MALFORMED


def test_pairs_that_we_do_not_trade_are_ignored(decoder):
    message = {"channel": "instrument", "type": "update", "data": {"assets": [], "pairs": [{"symbol": "EUR/USD", "status": "online"}]}}
    assert status_of(decoder, message) == (Status.STATUS_IGNORED, MessageKind.MESSAGE_OTHER)


# ---- level 3: no capture of it exists, these are the documented messages

BIDS = [("O6ZQNQ-BXL4E-5WGINO", "0.5629", "111.56125344", "2023-10-06T17:35:00.279389650Z"),
        ("OEP26Y-YAFEF-OFR62B", "0.5625", "6390.19338", "2023-10-06T18:19:55.056070105Z")]
ASKS = [("OLLSXO-HDMT3-BUOKEI", "0.5630", "4422.9978357", "2023-10-06T18:18:20.734897896Z")]


def orders(rows, event=None):
    return "[" + ",".join("{" + (f'"event":"{event}",' if event else "") + f'"order_id":"{i}","limit_price":{p},"order_qty":{q},'
                          f'"timestamp":"{t}"}}' for i, p, q, t in rows) + "]"


def order_rows(slots):
    return [(int(o["flags"]), order_key_to_id(int(o["order_key_high"]), int(o["order_key_low"])), int(o["price_ticks"]),
             int(o["qty_lots"]), int(o["ts_venue_ns"]), int(o["action"])) for o in records(slots, EventType.EV_ORDER_DELTA)]


def level3(kind, bids, asks):
    return (f'{{"channel":"level3","type":"{kind}","data":[{{"symbol":"MATIC/USD","checksum":281817320,"bids":{bids},'
            f'"asks":{asks}}}]}}').encode()


def test_a_level3_snapshot_adds_every_order(decoder):
    slots = decoded(decoder, level3("snapshot", orders(BIDS), orders(ASKS)), MessageKind.MESSAGE_SNAPSHOT)
    rows = order_rows(slots)
    assert rows == [(2 | {0: 4, 2: 8 | 16}.get(k, 0) | (1 if k == 2 else 0), i, *units("MATIC/USD", p, q), ns(t), OrderAction.ORDER_ACTION_ADD)
                    for k, (i, p, q, t) in enumerate(BIDS + ASKS)]
    empty = records(decoded(decoder, level3("snapshot", "[]", "[]"), MessageKind.MESSAGE_SNAPSHOT), EventType.EV_ORDER_DELTA)[0]
    assert (int(empty["flags"]), int(empty["action"]), int(empty["price_ticks"])) == (30, OrderAction.ORDER_ACTION_INVALID, PRICE_NONE)


@pytest.mark.parametrize("event, action", [("add", OrderAction.ORDER_ACTION_ADD), ("modify", OrderAction.ORDER_ACTION_CHANGE),
                                           ("delete", OrderAction.ORDER_ACTION_DELETE)])
def test_a_level3_update_says_what_became_of_an_order(decoder, event, action):
    (row,) = order_rows(decoded(decoder, level3("update", "[]", orders(ASKS, event)), MessageKind.MESSAGE_BOOK_DELTA))
    i, p, q, t = ASKS[0]
    price_ticks, qty_lots = units("MATIC/USD", p, q)
    assert row == (1 | 4 | 8 | 16, i, price_ticks, 0 if event == "delete" else qty_lots, ns(t), action)


def test_a_level3_checksum_stands_in_the_messages_last_record(decoder):
    found = records(decoded(decoder, level3("snapshot", orders(BIDS), orders(ASKS)), MessageKind.MESSAGE_SNAPSHOT),
                    EventType.EV_ORDER_DELTA)
    assert [int(o["checksum"]) for o in found] == [0, 0, 281817320]
    without = level3("update", "[]", orders(ASKS, "add")).replace(b'"checksum":281817320,', b"")
    (last,) = records(decoded(decoder, without, MessageKind.MESSAGE_BOOK_DELTA), EventType.EV_ORDER_DELTA)
    assert (int(last["flags"]) & 16, int(last["checksum"])) == (0, 0)


@pytest.mark.parametrize("checksum", [b'"281817320"', b"-1", b"4294967296", b"1.5"])
def test_a_level3_checksum_that_is_none_refuses_the_message(decoder, checksum):
    message = level3("update", "[]", orders(ASKS, "add")).replace(b"281817320", checksum)
    assert decoder.decode(message)[0] == Status.STATUS_MALFORMED


@pytest.mark.parametrize("old, new", [("OLLSXO-", "ollsxo-"), ("OLLSXO-HDMT3", "OLLSXOHDMT3"), ('"event":"add"', '"event":"replace"'),
                                      ('"event":"add",', ""), ("4422.9978357", "0"), ("0.5630", "-0.5630"), ("0.5630", "0.56305")])
def test_an_order_that_cannot_be_read_refuses_the_whole_message(decoder, old, new):
    message = level3("update", orders(BIDS, "add"), orders(ASKS, "add"))
    assert status_of(decoder, message)[0] == Status.STATUS_OK
    assert status_of(decoder, message.replace(old.encode(), new.encode()))[0] in (Status.STATUS_MALFORMED, Status.STATUS_OFF_GRID)


def test_order_ids_and_their_keys_are_one_to_one():
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    for order_id in ("OICVDM-VV6DH-2PCM5H", "000000-00000-000000", "ZZZZZZ-ZZZZZ-ZZZZZZ", "O00000-00000-000001"):
        high, low = order_id_to_key(order_id)
        assert high << 64 | low == int(order_id.replace("-", ""), 36) and order_key_to_id(high, low) == order_id
    # Each character counts, at each place.
    base = order_id_to_key("OICVDM-VV6DH-2PCM5H")
    changed = {order_id_to_key("OICVDM-VV6DH-2PCM5H"[:at] + c + "OICVDM-VV6DH-2PCM5H"[at + 1:])
               for at in range(19) if at not in (6, 12) for c in digits}
    assert len(changed) == 17 * 35 + 1 and base in changed
    for bad in ("OICVDM-VV6DH-2PCM5", "OICVDM-VV6DH-2PCM5H0", "oicvdm-VV6DH-2PCM5H", "OICVDMVVV6DH-2PCM5H", "", "OICVDM-VV6DH_2PCM5H"):
        with pytest.raises(ValueError, match="order_id"):
            order_id_to_key(bad)
    with pytest.raises(ValueError, match="order key"):
        order_key_to_id(*divmod(36 ** 17, 1 << 64))


# ---- v1

def test_a_v1_update_of_two_objects_is_one_message_with_its_newest_time(decoder):
    slots = decoded(decoder, b'[1920,{"a":[["354.15000000","5.00000000","1618678145.920470","r"],["354.16000000","0.00000000","1618678145.920709"]]},'
                    b'{"b":[["354.12000000","0.50000000","1618678145.920708"]],"c":"4105471083"},"book-1000","XMR/USD"]',
                    MessageKind.MESSAGE_BOOK_DELTA)
    time = 1618678145920709000
    assert book_rows(slots) == [(ASK | FIRST, 35415, 500000000, time), (ASK, 35416, 0, time), (0, 35412, 50000000, time),
                                (LAST | NO_LEVEL | CHECKSUM, 4105471083, 0, time)]
    assert decoder.ts_venue_ns == time and (slots["instrument"] == 1).all()


@pytest.mark.parametrize("message, flags", [
    (b'[992,{"b":[["354.15000000","5.00000000","1618678133.365913"]],"c":"2583817756"},"book-1000","XMR/USD"]', [FIRST, 56]),
    (b'[992,{"a":[["354.15000000","5.00000000","1618678133.365913"]],"c":"2583817756"},"book-10","XMR/USD"]', [FIRST | ASK, 56]),
    (b'[992,{"a":[["354.15000000","5.00000000","1618678133.365913"]],"b":[["354.10000000","1.0","1618678133.365912"]],'
     b'"c":"2583817756"},"book-25","XMR/USD"]', [FIRST | ASK, 0, 56]),
    (b'[992,{"b":[["354.10000000","1.0","1618678133.365912"]],"c":"2583817756"},{"a":[["354.15000000","5.00000000",'
     b'"1618678133.365913"]]},"book-1000","XMR/USD"]', [FIRST | ASK, 0, 56]),
    # Before checksums, and with an empty second payload, as recorded in 2019.
    (b'[992,{"b":[["354.15000000","5.00000000","1618678133.365913"]]},"book-1000","XMR/USD"]', [FIRST | LAST]),
    (b'[992,{"a":[["354.15000000","5.00000000","1618678133.365913"]]},{"b":[["354.10000000","1.0","1618678133.365912"]]},'
     b'"book-1000","XMR/USD"]', [FIRST | ASK, LAST]),
    (b'[992,{"as":[["354.15000000","5.00000000","1618678133.365913"]],"bs":[["354.10000000","1.0","1618678133.365912"]]},null,'
     b'"book-1000","XMR/USD"]', [SNAPSHOT | FIRST | ASK, SNAPSHOT | LAST]),
    (b'[992,{"as":[["354.15000000","5.00000000","1618678133.365913"]],"bs":[]},"book-1000","XMR/USD"]',
     [SNAPSHOT | FIRST | LAST | ASK]),
    (b'[992,{"as":[],"bs":[]},"book-1000","XMR/USD"]', [SNAPSHOT | FIRST | LAST | NO_LEVEL]),
    (b'[992,{"b":[],"c":"2583817756"},"book-1000","XMR/USD"]', [FIRST | LAST | NO_LEVEL | CHECKSUM])])
def test_the_forms_of_a_v1_book(decoder, message, flags):
    kind = MessageKind.MESSAGE_SNAPSHOT if b'"as"' in message else MessageKind.MESSAGE_BOOK_DELTA
    rows = book_rows(decoded(decoder, message, kind))
    flags[-1] |= LAST
    assert [r[0] for r in rows] == flags
    assert {r[3] for r in rows} == {1618678133365913000 if b'"1618678133.365913"' in message else TIME_NONE}


@pytest.mark.parametrize("payload", [
    b'{"as":[["354.15","5.0","1618678133.365913"]]}', b'{"as":[],"b":[]}', b'{"c":"1"}', b"{}", b"null",
    b'{"a":[["354.15","5.0","1618678133.365913","x"]],"c":"1"}', b'{"a":[["354.15","5.0"]],"c":"1"}', b'{"a":[["354.15"]],"c":"1"}',
    b'{"a":[["354.15","5.0","1618678133.365913","r","r"]],"c":"1"}', b'{"a":[["-354.15","5.0","1618678133.365913"]],"c":"1"}',
    b'{"a":[["0.00","5.0","1618678133.365913"]],"c":"1"}', b'{"a":[["354.15","-5.0","1618678133.365913"]],"c":"1"}',
    b'{"a":[["354.15","5.0","-1.5"]],"c":"1"}', b'{"a":[["354.15","5.0","x"]],"c":"1"}', b'{"a":[["354.15","5.0",null]],"c":"1"}',
    b'{"a":[],"c":"4294967296"}', b'{"a":[],"c":1}', b'{"a":[],"c":"-1"}', b'{"a":{},"c":"1"}', b'{"a":[],"a":[],"c":"1"}',
    b'{"a":[],"c":"1"},{"b":[],"c":"1"}', b'[],{"a":[]}'])
def test_a_v1_book_that_cannot_be_read_is_refused_whole(decoder, payload):
    assert status_of(decoder, b'[992,' + payload + b',"book-1000","XMR/USD"]')[0] == Status.STATUS_MALFORMED


def test_v1_numbers_finer_than_eight_decimals_and_a_finer_grid(decoder):
    # Nine decimals on a tick of 1e-8: the last one is always zero.
    slots = decoded(decoder, b'[1360,{"a":[["0.000022900","13355.87450757","1618678123.481570"]],"c":"1"},"book-1000","ADA/XBT"]',
                    MessageKind.MESSAGE_BOOK_DELTA)
    assert book_rows(slots)[0][1:3] == (2290, 1335587450757)
    assert status_of(decoder, b'[1360,{"a":[["0.000022905","1.0","1618678123.481570"]],"c":"1"},"book-1000","ADA/XBT"]')[0] == \
        Status.STATUS_OFF_GRID
    slots = decoded(decoder, b'[1,{"a":[["0.0000123457","5000000000.00001","1618678123.481570"]],"c":"1"},"book-1000","SHIB/USD"]',
                    MessageKind.MESSAGE_BOOK_DELTA)
    assert book_rows(slots)[0][1:3] == (123457, 500000000000001)
    assert status_of(decoder, b'[1,{"a":[["99999999999999999999.0","1.0","1618678123.481570"]],"c":"1"},"book-1000","XMR/USD"]')[0] \
        == Status.STATUS_OVERFLOW


def test_v1_trades_have_no_ids(decoder):
    slots = decoded(decoder, b'[993,[["354.11000000","0.89594024","1618678142.557535","s","l",""],["354.55000000","1.25690315",'
                    b'"1618678142.557536","b","m","x"]],"trade","XMR/USD"]', MessageKind.MESSAGE_TRADE)
    trades = records(slots, EventType.EV_TRADE)
    assert [[int(t[k]) for k in ("price_ticks", "qty_lots", "trade_id", "trade_count", "flags", "ts_venue_ns")] for t in trades] == [
        [35411, 89594024, 0, 1, 1, 1618678142557535000], [35455, 125690315, 0, 1, 0, 1618678142557536000]]
    slots = decoded(decoder, b'[993,[["354.11","0.5","1618678142.557535","x","l",""],["354.11","0.5","1618678142.557535","b","l","",1]],'
                    b'"trade","XMR/USD"]', MessageKind.MESSAGE_TRADE)
    assert len(slots) == 1 and decoder.skipped_count == 1


def test_v1_ticker_and_spread_are_quotes(decoder):
    ticker = (b'[996,{"a":["355.24000000",27,"27.19106411"],"b":["354.32000000",6,"6.87748868"],"c":["355.23000000","1.20454360"],'
              b'"v":["17858.85261084","33470.74135600"],"p":["355.33503706","349.16721624"],"t":[6481,10283],"l":["340.88000000",'
              b'"333.87000000"],"h":["368.00000000","368.00000000"],"o":["340.88000000","335.21000000"]},"ticker","XMR/USD"]')
    spread = b'[996,["354.32000000","355.24000000","1633053779.916349","6.87748868","27.19106411"],"spread","XMR/USD"]'
    for message, time in ((ticker, TIME_NONE), (spread, 1633053779916349000)):
        q = records(decoded(decoder, message, MessageKind.MESSAGE_QUOTE), EventType.EV_QUOTE)[0]
        assert [int(q[k]) for k in ("instrument", "bid_price_ticks", "bid_qty_lots", "ask_price_ticks", "ask_qty_lots", "ts_venue_ns")] == [
            1, 35432, 687748868, 35524, 2719106411, time]
    # An empty book, as recorded.
    empty = b'[545,["0.000000000","0.000000000","0.000000","0.00000000","0.00000000"],"spread","XMR/USD"]'
    q = records(decoded(decoder, empty, MessageKind.MESSAGE_QUOTE), EventType.EV_QUOTE)[0]
    assert [int(q[k]) for k in ("bid_price_ticks", "bid_qty_lots", "ask_price_ticks", "ask_qty_lots", "ts_venue_ns")] == [
        PRICE_NONE, 0, PRICE_NONE, 0, TIME_NONE]


def test_a_v1_candle_is_labelled_by_its_end(decoder):
    message = (b'[42,["1542057314.748456","1542057360.000000","3586.70000","3586.80000","3586.60000","3586.60000","3586.68894",'
               b'"0.03373000",2],"ohlc-5","XMR/USD"]')
    b = records(decoded(decoder, message, MessageKind.MESSAGE_BAR), EventType.EV_CANDLE)[0]
    assert [int(b[k]) for k in ("ts_open_ns", "ts_venue_ns", "open_ticks", "high_ticks", "low_ticks", "close_ticks", "volume_lots",
                                "trade_count", "interval_ns", "flags")] == [
        1542057060 * 10 ** 9, 1542057360 * 10 ** 9, 358670, 358680, 358660, 358660, 3373000, 2, 300 * 10 ** 9, 0]


# ---- everything else

@pytest.mark.parametrize("message", [
    b'{"channel":"heartbeat"}', b'{"event":"heartbeat"}', b'{"event":"pong","reqid":42}', b'{"method":"pong","req_id":1,"time_in":"x"}',
    b'{"method":"subscribe","result":{"channel":"book","depth":10,"snapshot":true,"symbol":"BTC/USD"},"success":true}',
    b'{"error":"Currency pair not supported XX/YY","method":"subscribe","success":false,"symbol":"XX/YY"}',
    b'{"error":"EGeneral:Invalid arguments","success":false}', b'{"errorMessage":"Malformed request","event":"error"}',
    b'{"channelID":1665,"channelName":"trade","event":"subscriptionStatus","pair":"XMR/USD","status":"subscribed","subscription":{"name":"trade"}}',
    b'{"error":[],"result":{"XXBTZUSD":{"wsname":"XBT/USD","pair_decimals":1}}}'])
def test_replies_and_signs_of_life_are_ignored(decoder, message):
    assert status_of(decoder, message) == (Status.STATUS_IGNORED, MessageKind.MESSAGE_OTHER)


@pytest.mark.parametrize("message", [
    b'{"channel":"executions","type":"snapshot","data":[]}', b'{"channel":"book","type":"delta","data":[]}', b'{"event":"ownTrades"}',
    b'[[{"TDLH43-DVQXD-2KHVYY":{"cost":"1"}}],"ownTrades",{"sequence":1}]', b'[1,{"x":1},"orders","XMR/USD"]', b'[1,2]', b'[]', b'{}',
    b'{"jsonrpc":"2.0"}', b'[1,{"a":[]},"book-","XMR/USD"]', b'[1,{"a":[]},"book","XMR/USD"]', b'[1,[],[],"trade","XMR/USD"]'])
def test_kinds_we_do_not_know_are_unsupported(decoder, message):
    assert status_of(decoder, message)[0] == Status.STATUS_UNSUPPORTED


@pytest.mark.parametrize("message", [
    b'{"channel":"book","type":"update","data":[{"symbol":"DOGE/USD","bids":[],"asks":[],"checksum":1}]}',
    b'[1,{"a":[],"c":"1"},"book-10","DOGE/USD"]', b'[1,[],"trade","DOGE/USD"]', b'[1,{},"ticker","DOGE/USD"]',
    b'{"channel":"ticker","type":"update","data":[{"symbol":"A_SYMBOL_OF_MORE_THAN_24_BYTES","bid":1}]}'])
def test_a_symbol_that_is_not_ours_is_named_as_that(decoder, message):
    assert status_of(decoder, message)[0] == Status.STATUS_UNKNOWN_SYMBOL


UPDATE = {"symbol": "BTC/USD", "bids": [{"price": 1.5, "qty": 1.0}], "asks": [], "checksum": 1, "timestamp": "2026-07-19T17:54:39.784623Z"}


@pytest.mark.parametrize("change", [
    {"bids": None, "asks": None}, {"bids": {}}, {"checksum": None}, {"checksum": "1"}, {"checksum": 4294967296}, {"checksum": -1},
    {"checksum": 1.5}, {"timestamp": "yesterday"}, {"timestamp": 1}, {"timestamp": "2026-07-19T17:54:39.784623"},
    {"timestamp": "2026-13-19T17:54:39.784623Z"}, {"bids": [{"price": 1.5}]}, {"bids": [[1.5, 1.0]]}, {"bids": [{"price": 0, "qty": 1.0}]},
    {"bids": [{"price": -1.5, "qty": 1.0}]}, {"bids": [{"price": 1.5, "qty": -1.0}]}, {"bids": [{"price": None, "qty": 1.0}]},
    {"bids": [{"price": "x", "qty": 1.0}]}])
def test_a_v2_book_that_cannot_be_read_is_refused_whole(decoder, change):
    def message(item):
        return {"channel": "book", "type": "update", "data": [UPDATE, item]}
    assert status_of(decoder, message(UPDATE))[0] == Status.STATUS_OK
    assert status_of(decoder, message(UPDATE | change))[0] == Status.STATUS_MALFORMED


def test_a_member_that_stands_twice_is_no_guess(decoder):
    for message in (b'{"channel":"book","channel":"trade","type":"update","data":[]}',
                    b'{"channel":"instrument","type":"update","data":{"pairs":[]},"data":{"pairs":[]}}',
                    b'{"channel":"instrument","type":"update","data":{"pairs":[],"pairs":[]}}',
                    b'{"channel":"trade","type":"update","data":[],"data":[]}', b'{"channel":"trade","type":"update","type":"update","data":[]}',
                    b'{"channel":"ticker","type":"update","data":[{"symbol":"BTC/USD","bid":1.5,"bid":2.5,"bid_qty":1,"ask":3,"ask_qty":1}]}',
                    b'{"channel":"trade","type":"update","data":[{"symbol":"BTC/USD","side":"buy","side":"sell","price":1.5,"qty":1,'
                    b'"trade_id":1,"timestamp":"2026-07-19T17:54:39.784623Z"}]}'):
        assert status_of(decoder, message)[0] == Status.STATUS_MALFORMED


def test_an_escaped_slash_is_the_same_symbol(decoder):
    plain = b'[992,{"b":[["354.15","5.0","1618678133.365913"]],"c":"1"},"book-10","XMR/USD"]'
    expected = decoded(decoder, plain, MessageKind.MESSAGE_BOOK_DELTA).tobytes()
    assert decoded(decoder, plain.replace(b"R/U", b"R\\/U"), MessageKind.MESSAGE_BOOK_DELTA).tobytes() == expected
    assert status_of(decoder, plain.replace(b"R/U", b"R\\u002fU"))[0] == Status.STATUS_UNKNOWN_SYMBOL


@pytest.mark.parametrize("data", [b"", b"{", b"nonsense", b'{"channel":"heartbeat"', b'{"channel":"heartbeat"}}', b'[1,2', b"\0" * 64,
                                  b'{"channel":"book","type":"update","data":[{"symbol":"BTC/USD","bids":[{"price":01.5,"qty":1}]}]}'])
def test_text_that_is_no_json_is_malformed(decoder, data):
    assert status_of(decoder, data)[0] == Status.STATUS_MALFORMED


def test_a_book_of_more_levels_than_the_batch_holds_is_too_large(decoder):
    def message(count):
        rows = b",".join([b'{"price":64525.0,"qty":0.53807066}'] * count)
        return (b'{"channel":"book","type":"snapshot","data":[{"symbol":"BTC/USD","bids":[' + rows
                + b'],"asks":[],"checksum":1,"timestamp":"2026-07-19T17:54:39.753424Z"}]}')
    slots = decoded(decoder, message(65535), MessageKind.MESSAGE_SNAPSHOT)
    assert len(slots) == 65536 and slots["flags"][-1] & LAST
    assert status_of(decoder, message(65536))[0] == Status.STATUS_TOO_LARGE


def test_a_frame_of_more_bytes_than_allowed_is_too_large():
    decoder = MessageDecoder([("BTC/USD", "0.1", "0.00000001")], kind="kraken", max_frame_bytes=100)
    assert status_of(decoder, b'{"channel":"heartbeat"' + b" " * 77 + b"}")[0] == Status.STATUS_IGNORED
    assert status_of(decoder, b'{"channel":"heartbeat"' + b" " * 78 + b"}")[0] == Status.STATUS_TOO_LARGE
