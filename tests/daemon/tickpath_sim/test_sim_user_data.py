"""User data: every event of an order's life, over the WebSocket API and over listen keys."""
import gzip
import json
from decimal import Decimal

import pytest
from trading_harness import ALICE, BOB, CAROL, Refused, now_ms

D = Decimal


@pytest.fixture
def sides(trading):
    """(alice's REST, bob's REST, alice's subscribed connection)."""
    alice, bob, api = trading.rest(ALICE), trading.rest(BOB), trading.api(ALICE)
    api.signed("userDataStream.subscribe.signature")
    yield alice, bob, api
    for client in (alice, bob):
        client.clear()
        client.clear("ETHUSDT")


def test_an_orders_life_is_told_event_by_event(sides):
    alice, bob, api = sides
    order = alice.order("SELL", "0.3", "52000.00", newClientOrderId="life")
    new = api.event("executionReport")
    assert (new["x"], new["X"], new["c"], new["i"], new["q"], new["p"], new["w"]) == (
        "NEW", "NEW", "life", order["orderId"], "0.30000000", "52000.00000000", True)
    held = {row["a"]: (row["f"], row["l"]) for row in api.event("outboundAccountPosition")["B"]}
    assert held["BTC"][1] == "0.30000000"
    bob.order("BUY", "0.1", "52000.00")
    part = api.event("executionReport")
    assert (part["x"], part["X"], part["l"], part["z"], part["L"], part["Y"], part["N"], part["m"]) == (
        "TRADE", "PARTIALLY_FILLED", "0.10000000", "0.10000000", "52000.00000000", "5200.00000000", "USDT", True)
    assert D(part["n"]) == D("5.2") and part["t"] > 0
    alice.signed("DELETE", "/api/v3/order", symbol="BTCUSDT", orderId=order["orderId"], newClientOrderId="end-of-life")
    gone = api.event("executionReport")
    assert (gone["x"], gone["X"], gone["c"], gone["C"], gone["z"]) == ("CANCELED", "CANCELED", "end-of-life", "life", "0.10000000")
    assert new["I"] < part["I"] < gone["I"]


def test_expiry_prevention_trigger_and_amendment_have_their_own_words(sides):
    alice, bob, api = sides
    alice.order("BUY", "0.1", timeInForce="IOC", price="30000.00")
    assert [api.event("executionReport")["x"] for _ in range(2)] == ["NEW", "EXPIRED"]
    alice.order("SELL", "0.2", "52000.00", newClientOrderId="mine")
    api.event("executionReport")
    alice.signed("PUT", "/api/v3/order/amend/keepPriority", symbol="BTCUSDT", origClientOrderId="mine", newQty="0.1",
                 newClientOrderId="less")
    amended = api.event("executionReport")
    assert (amended["x"], amended["X"], amended["c"], amended["C"], amended["q"]) == ("REPLACED", "NEW", "less", "mine", "0.10000000")
    alice.order("BUY", "0.1", "52000.00", selfTradePreventionMode="EXPIRE_MAKER")
    reports = [api.event("executionReport") for _ in range(2)]
    assert {(r["x"], r["X"]) for r in reports} == {("NEW", "NEW"), ("TRADE_PREVENTION", "EXPIRED_IN_MATCH")}
    prevented = next(r for r in reports if r["x"] == "TRADE_PREVENTION")
    assert (prevented["A"], prevented["B"], prevented["c"]) == ("0.10000000", "0.10000000", "less")
    alice.clear()
    api.event("executionReport")
    bob.order("SELL", "0.01", "52000.00")
    alice.order("BUY", "0.01", "52000.00")
    [api.event("executionReport") for _ in range(2)]
    alice.signed("POST", "/api/v3/order", symbol="BTCUSDT", side="BUY", type="STOP_LOSS_LIMIT", timeInForce="GTC", quantity="0.01",
                 price="53000", stopPrice="52500")
    waiting = api.event("executionReport")
    assert (waiting["x"], waiting["w"], waiting["P"]) == ("NEW", False, "52500.00000000") and "W" not in waiting
    bob.order("SELL", "0.01", "52500.00")
    alice.order("BUY", "0.01", "52500.00")
    seen = [api.event("executionReport") for _ in range(3)]
    assert [(r["x"], r["o"]) for r in seen] == [("NEW", "LIMIT"), ("TRADE", "LIMIT"), ("NEW", "STOP_LOSS_LIMIT")]
    assert seen[2]["w"] is True and "W" in seen[2]


def test_a_listen_key_carries_the_same_events_bare_and_wrapped(trading, sides):
    alice, bob, api = sides
    key = alice.ask("POST", "/api/v3/userDataStream")["listenKey"]
    assert len(key) == 60 and alice.ask("POST", "/api/v3/userDataStream")["listenKey"] == key
    assert alice.ask("PUT", "/api/v3/userDataStream", listenKey=key) == {}
    bare, wrapped = trading.client(f"/ws/{key}"), trading.client(f"/stream?streams={key}")
    later = trading.client("/ws")
    later.send({"method": "SUBSCRIBE", "params": [key], "id": 1})
    assert later.message() == {"result": None, "id": 1}
    alice.order("BUY", "0.1", "30000.00", newClientOrderId="streamed")
    expected = api.event("executionReport")
    assert bare.message() == expected == later.message()
    assert wrapped.message() == {"stream": key, "data": expected}
    with pytest.raises(Refused) as caught:
        bob.ask("PUT", "/api/v3/userDataStream", listenKey=key)
    assert caught.value.code == -1125
    assert alice.ask("DELETE", "/api/v3/userDataStream", listenKey=key) == {}
    alice.clear()
    for client in (bare, wrapped, later):
        client.until(lambda m: m.get("data", m)["e"] == "outboundAccountPosition")
        assert client.quiet(0.1)


def test_other_accounts_hear_nothing(trading, sides):
    alice, bob, api = sides
    other = trading.api(CAROL)
    other.signed("session.logon")
    assert other.ask("userDataStream.subscribe") == {"subscriptionId": 0}
    alice.order("BUY", "0.1", "30000.00")
    api.event("executionReport")
    other.ask("ping")
    assert other.events == []


def test_a_subscription_ends_with_a_word_and_another_may_follow(sides, trading):
    alice, bob, api = sides
    assert api.ask("session.subscriptions") == [{"subscriptionId": 0}]
    with pytest.raises(Refused) as caught:
        api.signed("userDataStream.subscribe.signature")
    assert caught.value.code == -2035
    assert api.ask("userDataStream.unsubscribe", subscriptionId=0) == {}
    assert api.event("eventStreamTerminated")["E"]
    alice.order("BUY", "0.1", "30000.00")
    api.ask("ping")
    assert api.events == []
    assert api.signed("userDataStream.subscribe.signature") == {"subscriptionId": 1}


def test_listen_keys_over_the_websocket_api(trading):
    api = trading.api(ALICE)
    key = api.ask("userDataStream.start", apiKey=ALICE)["listenKey"]
    assert api.ask("userDataStream.ping", apiKey=ALICE, listenKey=key) == {}
    assert api.ask("userDataStream.stop", apiKey=ALICE, listenKey=key) == {}
    with pytest.raises(Refused) as caught:
        api.ask("userDataStream.ping", apiKey=ALICE, listenKey=key)
    assert caught.value.code == -1125


def test_times_are_in_the_unit_of_the_connection(trading):
    api = trading.api(ALICE, "?timeUnit=MICROSECOND")
    api.signed("userDataStream.subscribe.signature")
    alice = trading.rest(ALICE)
    alice.order("BUY", "0.1", "30000.00")
    event = api.event("executionReport")
    assert abs(event["T"] - now_ms() * 1000) < 10_000_000 and event["E"] >= event["T"]
    alice.clear()


def test_events_have_the_fields_and_types_of_the_recorded_samples(sides, shared_data):
    alice, bob, api = sides
    alice.order("BUY", "0.1", "30000.00")
    found = {"Order": api.event("executionReport"), "AccountPosition": api.event("outboundAccountPosition")}
    seen = set()
    with gzip.open(shared_data("rest/binance/docs_samples_binance_net.jsonl.gz"), "rt") as file:
        for line in file:
            row = json.loads(line)
            name = row["file"].rpartition("/")[2].removesuffix(".txt")
            if row["file"].startswith("Subscriptions/Spot/Account/") and name in found:
                seen.add(name)
                sample = json.loads(row["text"].rpartition("\n=")[2])["event"]
                assert set(sample) <= set(found[name])
                for field, value in sample.items():
                    assert value is None or type(value) is type(found[name][field]) or isinstance(value, str) == isinstance(
                        found[name][field], str), field
    assert seen == set(found)
