"""The WebSocket API against a running server: signed requests, sessions that are logged on, and what is no request at all."""
import gzip
import json

import pytest
from sim_harness import Closed
from trading_harness import ALICE, BOB, CAROL, DAVE, Refused, now_ms

ORDER = {"symbol": "ETHUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "1", "price": "2000"}


@pytest.fixture
def alice(trading):
    client = trading.api(ALICE)
    yield client
    for key in (ALICE, BOB):
        trading.rest(key).clear("ETHUSDT")


def refused(call, *args, **params):
    with pytest.raises(Refused) as caught:
        call(*args, **params)
    return caught.value.status, caught.value.code


def test_a_signed_request_needs_no_logon(alice):
    order = alice.signed("order.place", **ORDER)
    assert order["status"] == "NEW"
    assert alice.signed("order.status", symbol="ETHUSDT", orderId=order["orderId"])["price"] == "2000.00000000"
    assert alice.signed("order.test", **ORDER) == {}
    gone = alice.signed("order.cancel", symbol="ETHUSDT", orderId=order["orderId"])
    assert gone["status"] == "CANCELED"
    assert refused(alice.signed, "order.cancel", symbol="ETHUSDT", orderId=order["orderId"]) == (400, -2011)
    assert refused(alice.signed, "order.status", symbol="ETHUSDT", orderId=10**9) == (400, -2013)


def test_a_session_that_is_logged_on_signs_nothing_more(trading):
    carol = trading.api(CAROL)
    logged = carol.signed("session.logon")
    assert logged["apiKey"] == CAROL and logged["authorizedSince"]
    order = carol.ask("order.place", **ORDER, timestamp=now_ms())
    replaced = carol.ask("order.cancelReplace", **{**ORDER, "price": "2001"}, cancelReplaceMode="STOP_ON_FAILURE",
                         cancelOrderId=order["orderId"], timestamp=now_ms())
    assert (replaced["cancelResult"], replaced["newOrderResult"]) == ("SUCCESS", "SUCCESS")
    assert [o["price"] for o in carol.ask("openOrders.status", symbol="ETHUSDT", timestamp=now_ms())] == ["2001.00000000"]
    assert len(carol.ask("openOrders.cancelAll", symbol="ETHUSDT", timestamp=now_ms())) == 1
    assert refused(carol.ask, "order.place", **ORDER) == (400, -1102)
    assert refused(carol.ask, "order.place", **ORDER, timestamp=now_ms() - 60_000) == (400, -1021)
    assert carol.ask("session.status")["apiKey"] == CAROL
    assert carol.ask("session.logout")["apiKey"] is None
    assert refused(carol.ask, "order.place", **ORDER, timestamp=now_ms()) == (400, -1102)


def test_only_ed25519_keys_log_on(alice, trading):
    assert refused(alice.signed, "session.logon") == (400, -4056)
    carol = trading.api(CAROL)
    params = carol.sign({})
    assert refused(carol.ask, "session.logon", **{**params, "timestamp": params["timestamp"] + 1}) == (400, -1022)
    assert refused(trading.api("nobodynobody").ask, "session.logon", apiKey="nobodynobody") == (401, -2015)


def test_half_a_cancel_replace_says_what_was_done(alice):
    number = alice.send("order.cancelReplace", alice.sign(
        {**ORDER, "cancelReplaceMode": "ALLOW_FAILURE", "cancelOrderId": 10**9}))
    answer = alice.answer(number)
    assert (answer["status"], answer["error"]["code"]) == (409, -2021)
    assert answer["error"]["data"]["cancelResponse"] == {"code": -2011, "msg": "Unknown order sent."}
    assert answer["error"]["data"]["newOrderResponse"]["status"] == "NEW"


def test_market_data_by_request(alice):
    alice.signed("order.place", **ORDER)
    assert alice.ask("ping") == {} and abs(alice.ask("time")["serverTime"] - now_ms()) < 5000
    assert alice.ask("depth", symbol="ETHUSDT", limit=5)["bids"][0] == ["2000.00000000", "1.00000000"]
    assert alice.ask("exchangeInfo", symbols=["ETHUSDT"])["symbols"][0]["baseAsset"] == "ETH"
    for method in ("trades.recent", "trades.aggregate", "ticker.24hr", "ticker.price", "ticker.book", "avgPrice", "ticker"):
        assert alice.ask(method, symbol="ETHUSDT") is not None, method
    assert alice.ask("klines", symbol="ETHUSDT", interval="1m") == []
    assert refused(alice.ask, "depth") == (400, -1102) and refused(alice.ask, "depth", symbol="NOPE") == (400, -1121)


def test_limits_come_with_the_answer_unless_they_are_not_wanted(alice, trading):
    answer = alice.answer(alice.send("ping"))
    assert [row["rateLimitType"] for row in answer["rateLimits"]] == ["REQUEST_WEIGHT"]
    assert "rateLimits" not in alice.answer(alice.send("ping", {"returnRateLimits": False}))
    quiet = trading.api(ALICE, "?returnRateLimits=false&timeUnit=MICROSECOND")
    assert "rateLimits" not in quiet.answer(quiet.send("ping"))
    assert quiet.ask("time")["serverTime"] > now_ms() * 100


def test_numbers_may_be_sent_as_numbers_and_are_signed_as_they_were_sent(alice):
    params = alice.sign({**ORDER, "quantity": 1, "price": "2000"})
    assert alice.ask("order.test", **params) == {}
    assert refused(alice.ask, "order.test", **{**params, "quantity": 2}) == (400, -1022)


@pytest.mark.parametrize("number", [7, "seven-7", None])
def test_an_answer_bears_the_id_of_its_request(alice, number):
    alice.client.send({"id": number, "method": "ping"})
    assert alice.client.message()["id"] == number


@pytest.mark.parametrize("text, code, number", [
    ("{", -1135, None), ("", -1135, None), ("[]", -1135, None), ("null", -1135, None), ("\x00", -1135, None),
    ('{"id":1}', -1102, 1), ('{"id":1,"method":5}', -1100, 1), ('{"id":1,"method":"order.teleport"}', -1020, 1),
    ('{"id":1,"method":"order.place","params":[]}', -1100, 1), ('{"id":{"a":1},"method":"ping"}', -1100, None),
    ('{"id":"with space","method":"ping"}', -1100, None), ('{"id":1.5,"method":"ping"}', -1100, None),
    ('{"id":1,"method":"ping","params":{"x":1}}', -1101, 1),
    ('{"id":1,"method":"depth","params":{"symbol":{"a":[1,2]}}}', -1121, 1),
    ('{"id":1,"method":"depth","params":{"symbol":null}}', -1105, 1),
    ('{"id":1,"method":"depth","params":{"symbol":"ETHUSDT","limit":1e400}}', -1100, 1),
    ('{"id":1,"method":"order.place","params":{}}', -1102, 1),
    ('{"id":1,"method":"order.place","params":{"apiKey":"!"}}', -2014, 1),
    ('{"id":1,"method":"order.place","params":{"apiKey":"unknownkey"}}', -2015, 1),
    ('{"id":99999999999999999999,"method":"ping"}', -1100, None),
])
def test_what_is_no_request_gets_an_error_and_the_connection_lives(alice, text, code, number):
    alice.client.send(text)
    answer = alice.client.message()
    assert (answer["error"]["code"], answer["id"]) == (code, number)
    assert answer["status"] in (400, 401)
    assert alice.ask("ping") == {}


def test_deep_nesting_and_long_texts_are_survived(alice):
    alice.client.send('{"id":1,"method":"ping","params":' + "[" * 20_000 + "]" * 20_000 + "}")
    assert alice.client.message()["status"] == 400
    alice.client.send(json.dumps({"id": 1, "method": "depth", "params": {"symbol": "X" * 50_000}}))
    assert alice.client.message()["error"]["code"] == -1121
    assert alice.ask("ping") == {}


def test_too_long_a_message_and_bad_utf8_end_the_connection_or_the_request(trading):
    one = trading.api(ALICE)
    head = bytes((0x81, 0xFF)) + (2 << 20).to_bytes(8, "big") + bytes(4)
    try:
        one.client.socket.sendall(head + b"x" * (2 << 20))
    except OSError:
        pass
    assert one.client.closed() in (1009, -1, 0)
    two = trading.api(ALICE)
    two.client.send(b'{"id":1,"method":"\xff\xfe"}')
    try:
        assert two.client.message()["error"]["code"] == -1135
    except Closed as e:
        assert e.code == 1007


def test_requests_are_answered_in_order_however_many_come_at_once(alice):
    for n in range(300):
        alice.client.send({"id": n, "method": "ping" if n % 3 else "time"})
    assert [alice.client.message()["id"] for n in range(300)] == list(range(300))


def test_answers_have_the_fields_and_types_of_the_recorded_samples(alice, trading, shared_data):
    bob = trading.api(BOB)
    alice.signed("order.place", **{**ORDER, "side": "SELL", "price": "3000"})
    full = bob.signed("order.place", **{**ORDER, "price": "3000"})
    placed = alice.signed("order.place", **ORDER)
    bob.signed("order.place", **{**ORDER, "side": "SELL", "price": "3500"})
    asked = {
        "GetAccountInfo": lambda: alice.signed("account.status"), "PlaceOrder": lambda: full,
        "GetOrder": lambda: alice.signed("order.status", symbol="ETHUSDT", orderId=placed["orderId"]),
        "GetOpenOrders": lambda: alice.signed("openOrders.status"),
        "GetUserTrades": lambda: alice.signed("myTrades", symbol="ETHUSDT"),
        "GetOrderBook": lambda: alice.ask("depth", symbol="ETHUSDT"), "GetKlines": lambda: alice.ask("klines", symbol="ETHUSDT", interval="1m"),
        "GetRecentTrades": lambda: alice.ask("trades.recent", symbol="ETHUSDT"),
        "GetAggregatedTradeHistory": lambda: alice.ask("trades.aggregate", symbol="ETHUSDT"),
        "GetCurrentAvgPrice": lambda: alice.ask("avgPrice", symbol="ETHUSDT"), "GetBookTickers": lambda: alice.ask("ticker.book"),
        "GetTickers": lambda: alice.ask("ticker.24hr"),
    }
    seen = set()
    with gzip.open(shared_data("rest/binance/docs_samples_binance_net.jsonl.gz"), "rt") as file:
        for line in file:
            row = json.loads(line)
            name = row["file"].rpartition("/")[2].removesuffix(".txt")
            if row["file"].startswith("Socket/Spot/") and name in asked:
                seen.add(name)
                sample = json.loads(row["text"].partition("\n=")[2])
                compare(sample["result"], asked[name](), name)
    assert seen == set(asked)


def compare(sample, found, where):
    if isinstance(sample, dict):
        for field, value in sample.items():
            if field not in ("trailingDelta", "trailingTime", "strategyId", "strategyType", "preventedMatchId", "preventedQuantity"):
                assert field in found, f"{where}.{field} is missing"
                compare(value, found[field], f"{where}.{field}")
    elif isinstance(sample, list):
        assert isinstance(found, list) and found, where
        compare(sample[0], found[0], where)
    elif sample is not None:
        assert isinstance(found, str) == isinstance(sample, str), f"{where}: {sample!r} in the sample, {found!r} here"


def test_rsa_keys_sign_requests_over_it_as_well(trading):
    assert trading.api(DAVE).signed("account.status")["accountType"] == "SPOT"
