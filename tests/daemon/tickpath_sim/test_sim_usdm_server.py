"""USD-M futures over real sockets: signatures, headers, listen keys on each path, the WebSocket API, public streams, bad input."""
import json
import time

import pytest
from sim_harness import USDM, Sim
from trading_harness import ALICE, BOB, CAROL, Keys, Refused, Rest, TradingSim, now_ms

LIMIT = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.010", "price": "50000"}


@pytest.fixture(scope="module")
def sim(tmp_path_factory):
    server = TradingSim(tmp_path_factory.mktemp("usdm"), "--venue", "binance_usdm", "--no-limits")
    yield server
    for client in server.clients:
        client.stop()
    assert server.end() == (0, "")


@pytest.fixture
def alice(sim):
    rest = sim.rest(ALICE)
    yield rest
    rest.signed("DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT")


def place(rest, **change):
    return rest.signed("POST", "/fapi/v1/order", **{**LIMIT, **change})


def test_the_start_line_names_the_websocket_api_of_futures(sim):
    assert sim.addresses["ws_api_url"].endswith("/ws-fapi/v1")


def test_orders_are_taken_with_parameters_in_the_query_or_the_body(alice):
    first = place(alice)
    second = alice.signed("POST", "/fapi/v1/order", in_body=True, **LIMIT)
    assert [order["orderId"] for order in alice.signed("GET", "/fapi/v1/openOrders")] == [first["orderId"], second["orderId"]]
    # This venue passes over what it does not know.
    assert place(alice, nonsense="1")["status"] == "NEW"
    assert {"X-MBX-USED-WEIGHT-1M"} <= set(alice.headers)


@pytest.mark.parametrize(("key", "change", "code"), [
    (None, {}, -2014), ("unknown0unknown0", {}, -2015), (ALICE, {"signature": "00"}, -1022),
    (ALICE, {"timestamp": "1500000000000"}, -1021), ("readerreader", {}, -2015)])
def test_who_may_not_is_told_so(sim, key, change, code):
    rest = Rest(sim.addresses["rest_url"], key)
    if "signature" in change:
        status, body = rest.raw("POST", f"/fapi/v1/order?symbol=BTCUSDT&timestamp={now_ms()}&signature=00")
        assert (status, body["code"]) == (400, code)
        return
    with pytest.raises(Refused) as refused:
        rest.signed("POST", "/fapi/v1/order", **{**LIMIT, **change})
    assert refused.value.code == code


def test_bad_input_gets_the_venue_s_error_and_nothing_falls(sim, alice):
    for method, path, params, codes in (
            ("POST", "/fapi/v1/batchOrders", {"batchOrders": "[{"}, {-1130}), ("POST", "/fapi/v1/batchOrders", {"batchOrders": "{}"}, {-1130}),
            ("POST", "/fapi/v1/batchOrders", {"batchOrders": json.dumps([1, 2])}, {-1130}),
            ("DELETE", "/fapi/v1/batchOrders", {"symbol": "BTCUSDT", "orderIdList": "x"}, {-1130}),
            ("GET", "/fapi/v1/order", {"symbol": "BTCUSDT", "orderId": "9" * 30}, {-1102}),
            ("GET", "/fapi/v1/order", {"symbol": "BTCUSDT", "orderId": "abc"}, {-1102}),
            ("GET", "/fapi/v1/order", {"symbol": "BTCUSDT"}, {-1102}), ("GET", "/fapi/v1/allOrders", {}, {-1102}),
            ("GET", "/fapi/v1/income", {"startTime": "5", "endTime": "4"}, {-1023}),
            ("POST", "/fapi/v1/leverage", {"symbol": "BTCUSDT", "leverage": "10.5"}, {-1102}),
            ("POST", "/fapi/v1/marginType", {"symbol": "BTCUSDT", "marginType": "BOTH"}, {-1130}),
            ("POST", "/fapi/v1/positionMargin", {"symbol": "BTCUSDT", "amount": "-1", "type": "1"}, {-4055}),
            ("POST", "/fapi/v1/countdownCancelAll", {"symbol": "BTCUSDT", "countdownTime": "-1"}, {-1130}),
            ("POST", "/fapi/v1/order", {**LIMIT, "quantity": "1" * 60}, {-1102, -4005}),
            ("POST", "/fapi/v1/order", {**LIMIT, "price": "１２"}, {-1102, -1100})):
        with pytest.raises(Refused) as refused:
            alice.signed(method, path, **params)
        assert refused.value.code in codes, (path, params, refused.value.body)
    status, _ = alice.raw("GET", "/fapi/v9/nothing")
    assert status == 404
    for interval in ("", "7m"):
        status, body = alice.raw("GET", f"/fapi/v1/markPriceKlines?symbol=BTCUSDT&interval={interval}")
        assert (status, body["code"]) in ((400, -1120), (400, -1105))
    assert alice.ask("GET", "/fapi/v1/ping") == {}


def test_user_data_comes_by_every_path_of_a_listen_key(sim, alice):
    key = alice.ask("POST", "/fapi/v1/listenKey")["listenKey"]
    plain = [sim.client(f"/ws/{key}"), sim.client(f"/private/ws?listenKey={key}")]
    combined = sim.client(f"/stream?streams={key}")
    order = place(alice)
    for client in plain:
        event = client.until(lambda m: m.get("e") == "ORDER_TRADE_UPDATE" and m["o"]["i"] == order["orderId"])
        assert event["o"]["X"] == "NEW"
    event = combined.until(lambda m: m.get("data", {}).get("e") == "ORDER_TRADE_UPDATE" and m["data"]["o"]["i"] == order["orderId"])
    assert event["stream"] == key
    assert alice.ask("PUT", "/fapi/v1/listenKey") == {}
    assert alice.ask("DELETE", "/fapi/v1/listenKey") == {}
    with pytest.raises(Refused) as refused:
        alice.ask("PUT", "/fapi/v1/listenKey")
    assert refused.value.code == -1125


def api_of(sim, key):
    """A connection to the WebSocket API of futures."""
    api = sim.api(key)
    api.client.stop()
    api.client = sim.client("/ws-fapi/v1")
    return api


def test_a_session_that_is_logged_on_trades_without_signatures(sim):
    api = api_of(sim, CAROL)
    status = api.ask("session.logon", **api.sign({}))
    assert status["apiKey"] == CAROL
    stamp = {"timestamp": now_ms()}
    placed = api.ask("order.place", **LIMIT, **stamp)
    assert placed["status"] == "NEW"
    changed = api.ask("order.modify", symbol="BTCUSDT", orderId=placed["orderId"], side="BUY", quantity=0.02, price="50000", **stamp)
    assert changed["origQty"] == "0.020"
    assert api.ask("order.status", symbol="BTCUSDT", orderId=placed["orderId"], **stamp)["price"] == "50000.00"
    assert api.ask("order.cancel", symbol="BTCUSDT", orderId=placed["orderId"], **stamp)["status"] == "CANCELED"
    assert api.ask("v2/account.balance", **stamp)[0]["asset"] == "USDT"
    assert api.ask("account.position", **stamp)[0]["symbol"] == "BTCUSDT"
    with pytest.raises(Refused) as refused:
        api.ask("order.cancel", symbol="BTCUSDT", orderId=placed["orderId"], **stamp)
    assert (refused.value.status, refused.value.code) == (400, -2011)
    with pytest.raises(Refused) as refused:
        api.ask("order.nothing")
    assert refused.value.status == 400
    api.ask("session.logout")
    with pytest.raises(Refused) as refused:
        api.ask("order.place", **LIMIT, **stamp)
    assert refused.value.code in (-2014, -1102)


def test_signed_requests_of_the_websocket_api_carry_their_limits(sim):
    api = api_of(sim, ALICE)
    message = api.answer(api.send("order.place", api.sign(LIMIT)))
    assert message["status"] == 200
    assert "rateLimits" in message
    listen_key = api.ask("userDataStream.start", apiKey=ALICE)["listenKey"]
    assert api.ask("userDataStream.ping", apiKey=ALICE) == {}
    assert len(listen_key) > 20
    api.signed("order.cancel", symbol="BTCUSDT", orderId=message["result"]["orderId"])
    assert {row["symbol"] for row in api.ask("ticker.price")} >= {"BTCUSDT", "ETHUSDT"}


def test_mark_prices_are_streamed_when_there_is_a_market(sim, alice):
    bob = sim.rest(BOB)
    place(bob, side="SELL", price="50010")
    place(alice)
    place(alice, price="50010", timeInForce="IOC")
    client = sim.client("/market/ws/btcusdt@markPrice@1s")
    message = client.until(lambda m: m.get("e") == "markPriceUpdate")
    assert set(message) >= {"e", "E", "s", "p", "i", "P", "r", "T"} and abs(float(message["p"]) - 50000) < 20
    end = time.monotonic() + 5
    while (index := alice.ask("GET", "/fapi/v1/premiumIndex", symbol="BTCUSDT"))["markPrice"] == "0.00000000":
        assert time.monotonic() < end
    assert index["nextFundingTime"] > now_ms()
    assert alice.signed("GET", "/fapi/v3/positionRisk")[0]["positionAmt"] == "0.010"
    alice.signed("POST", "/fapi/v1/order", symbol="BTCUSDT", side="SELL", type="MARKET", quantity="0.010", reduceOnly="true")
    assert bob.signed("DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT")["code"] == 200


def test_a_liquidation_is_told_to_the_account_and_to_everybody(sim, alice):
    bob = sim.rest(BOB)
    alice.signed("POST", "/fapi/v1/leverage", symbol="ETHUSDT", leverage=50)
    alice.signed("POST", "/fapi/v1/marginType", symbol="ETHUSDT", marginType="ISOLATED")
    place(bob, symbol="ETHUSDT", side="SELL", quantity="1", price="3000")
    place(alice, symbol="ETHUSDT", quantity="1", price="3000")
    place(bob, symbol="ETHUSDT", quantity="0.4", price="2960")
    public = sim.client("/market/ws/ethusdt@forceOrder")
    private = sim.client("/private/ws?listenKey=" + alice.ask("POST", "/fapi/v1/listenKey")["listenKey"])
    sim.faults.arm("mark_price", symbol="ETHUSDT", price="2940", seconds=5)
    forced = private.until(lambda m: m.get("e") == "ORDER_TRADE_UPDATE" and m["o"]["z"] != "0.000")["o"]
    assert (forced["x"], forced["S"], forced["c"][:10]) == ("CALCULATED", "SELL", "autoclose-")
    message = public.until(lambda m: m.get("e") == "forceOrder")
    assert (message["o"]["s"], message["o"]["S"]) == ("ETHUSDT", "SELL")
    row = next(row for row in alice.signed("GET", "/fapi/v2/positionRisk", symbol="ETHUSDT") if row["positionSide"] == "BOTH")
    assert row["positionAmt"] == "0.000"
    orders = alice.signed("GET", "/fapi/v1/forceOrders", symbol="ETHUSDT")
    assert sum(float(order["executedQty"]) for order in orders) == pytest.approx(1)
    sim.faults.disarm("mark_price")


def test_a_recorded_market_is_traded_against(tmp_path, shared_data):
    accounts = tmp_path / "accounts.toml"
    accounts.write_text(Keys.accounts())
    with Sim(shared_data(USDM), "--accounts", accounts, "--no-limits", "--start-after", "0", "--speed", "10") as sim:
        rest = Rest(sim.addresses["rest_url"], ALICE)
        entry = next(row for row in rest.ask("GET", "/fapi/v1/exchangeInfo")["symbols"] if row["symbol"] == "SUSHIUSDT")
        assert entry["filters"][0]["tickSize"] == "0.0010"
        end = time.monotonic() + 10
        while not rest.ask("GET", "/fapi/v1/depth", symbol="SUSHIUSDT", limit=5)["asks"]:
            assert time.monotonic() < end
            time.sleep(0.05)
        taken = rest.signed("POST", "/fapi/v1/order", symbol="SUSHIUSDT", side="BUY", type="MARKET", quantity="10",
                            newOrderRespType="RESULT")
        assert (taken["status"], taken["executedQty"]) == ("FILLED", "10")
        trade = rest.signed("GET", "/fapi/v1/userTrades", symbol="SUSHIUSDT")[0]
        assert (trade["maker"], trade["qty"]) == (False, "10")
        position = rest.signed("GET", "/fapi/v3/positionRisk")[0]
        assert (position["symbol"], position["positionAmt"]) == ("SUSHIUSDT", "10")
        resting = rest.signed("POST", "/fapi/v1/order", symbol="SUSHIUSDT", side="SELL", type="LIMIT", timeInForce="GTX",
                              quantity="10", priceMatch="QUEUE_5", reduceOnly="true")
        assert resting["status"] == "NEW"


def test_the_countdown_runs_by_the_venue_s_clock(sim, alice):
    place(alice)
    alice.signed("POST", "/fapi/v1/countdownCancelAll", symbol="BTCUSDT", countdownTime="300")
    assert len(alice.signed("GET", "/fapi/v1/openOrders")) == 1
    end = time.monotonic() + 5
    while alice.signed("GET", "/fapi/v1/openOrders"):
        assert time.monotonic() < end, "expected the orders to be canceled 300 ms later"
        time.sleep(0.02)


def test_the_keys_of_other_accounts_see_nothing_of_it(sim, alice):
    order = place(alice, newClientOrderId="hidden")
    bob = sim.rest(BOB)
    for params in ({"orderId": order["orderId"]}, {"origClientOrderId": "hidden"}):
        with pytest.raises(Refused) as refused:
            bob.signed("GET", "/fapi/v1/order", symbol="BTCUSDT", **params)
        assert refused.value.code == -2013
        with pytest.raises(Refused) as refused:
            bob.signed("DELETE", "/fapi/v1/order", symbol="BTCUSDT", **params)
        assert refused.value.code == -2011
