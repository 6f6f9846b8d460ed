"""Order entry over REST, against a running server: what is placed, filled, cancelled, and what is refused with which words."""
import gzip
import json
import time
from decimal import Decimal

import pytest
from sim_harness import SPOT
from trading_harness import ALICE, BOB, CAROL, DAVE, Keys, Refused, Rest, now_ms

D = Decimal


@pytest.fixture
def alice(trading):
    client = trading.rest(ALICE)
    yield client
    client.clear()


@pytest.fixture
def bob(trading):
    client = trading.rest(BOB)
    yield client
    client.clear()


def refused(call, *args, **params):
    with pytest.raises(Refused) as caught:
        call(*args, **params)
    return caught.value.status, caught.value.code, caught.value.msg


# ---- orders

def test_a_limit_order_rests_locks_funds_and_gives_them_back_when_cancelled(alice):
    before = alice.balance("USDT")
    order = alice.order("BUY", "0.10000", "50000.00", newClientOrderId="resting-1")
    assert (order["status"], order["fills"], order["clientOrderId"], order["executedQty"]) == ("NEW", [], "resting-1", "0.00000000")
    free, locked = alice.balance("USDT")
    assert (D(before[0]) - D(free), D(locked) - D(before[1])) == (5000, 5000)
    row = alice.signed("GET", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="resting-1")
    assert (row["orderId"], row["price"], row["isWorking"]) == (order["orderId"], "50000.00000000", True)
    gone = alice.signed("DELETE", "/api/v3/order", symbol="BTCUSDT", orderId=order["orderId"], newClientOrderId="the-cancel")
    assert (gone["status"], gone["origClientOrderId"], gone["clientOrderId"]) == ("CANCELED", "resting-1", "the-cancel")
    assert alice.balance("USDT") == before
    assert refused(alice.signed, "DELETE", "/api/v3/order", symbol="BTCUSDT", orderId=order["orderId"]) == (
        400, -2011, "Unknown order sent.")


def test_two_accounts_trade_and_both_sides_pay_their_fee_to_the_last_unit(alice, bob):
    a, b = [(D(c.balance("BTC")[0]), D(c.balance("USDT")[0])) for c in (alice, bob)]
    resting = alice.order("SELL", "0.30000", "51000.00")
    taken = bob.order("BUY", "0.12345", "51500.00")
    assert taken["status"] == "FILLED" and taken["cummulativeQuoteQty"] == "6295.95000000"
    assert [(f["price"], f["qty"], f["commission"], f["commissionAsset"]) for f in taken["fills"]] == [
        ("51000.00000000", "0.12345000", "0.00012345", "BTC")]
    mine = alice.signed("GET", "/api/v3/myTrades", symbol="BTCUSDT", orderId=resting["orderId"])
    assert [(t["qty"], t["quoteQty"], t["commission"], t["commissionAsset"], t["isMaker"], t["isBuyer"]) for t in mine] == [
        ("0.12345000", "6295.95000000", "6.29595000", "USDT", True, False)]
    assert mine[0]["id"] == taken["fills"][0]["tradeId"]
    alice.clear()
    after = [(D(c.balance("BTC")[0]), D(c.balance("USDT")[0])) for c in (alice, bob)]
    assert after[0] == (a[0] - D("0.12345"), a[1] + D("6295.95") - D("6.29595"))
    assert after[1] == (b[0] + D("0.12345") - D("0.00012345"), b[1] - D("6295.95"))


@pytest.mark.parametrize("kind, keys", [("ACK", 5), ("RESULT", 16), ("FULL", 17)])
def test_the_answer_is_as_long_as_was_asked_for(alice, kind, keys):
    assert len(alice.order("BUY", "0.001", "40000", newOrderRespType=kind)) == keys


def test_a_market_order_by_quote_amount_buys_whole_lots_for_at_most_that_money(alice, bob):
    alice.order("SELL", "1", "52000.00")
    order = bob.signed("POST", "/api/v3/order", symbol="BTCUSDT", side="BUY", type="MARKET", quoteOrderQty="1000")
    assert order["status"] == "FILLED" and order["origQuoteOrderQty"] == "1000.00000000"
    assert D(order["executedQty"]) == D("0.01923") and D(order["cummulativeQuoteQty"]) <= 1000


def test_ioc_and_fok_leave_nothing_behind(alice, bob):
    alice.order("SELL", "0.1", "52000.00")
    assert bob.order("BUY", "1", "52000", timeInForce="FOK")["status"] == "EXPIRED"
    part = bob.order("BUY", "1", "52000", timeInForce="IOC")
    assert (part["status"], part["executedQty"]) == ("EXPIRED", "0.10000000")
    assert bob.signed("GET", "/api/v3/openOrders", symbol="BTCUSDT") == []


def test_post_only_that_would_take_is_refused(alice, bob):
    alice.order("SELL", "0.1", "52000.00")
    assert refused(bob.order, "BUY", "0.1", "52000", type="LIMIT_MAKER") == (400, -2010, "Order would immediately match and take.")
    assert bob.order("BUY", "0.1", "51999", type="LIMIT_MAKER", newOrderRespType="RESULT")["status"] == "NEW"


def test_a_stop_order_waits_and_is_triggered_by_a_trade(alice, bob):
    alice.order("SELL", "0.01", "53000.00")
    bob.order("BUY", "0.01", "53000.00")
    stop = bob.signed("POST", "/api/v3/order", symbol="BTCUSDT", side="BUY", type="STOP_LOSS_LIMIT", timeInForce="GTC",
                      quantity="0.02", price="54500", stopPrice="54000", newOrderRespType="RESULT")
    assert (stop["status"], stop["workingTime"], stop["stopPrice"]) == ("NEW", -1, "54000.00000000")
    row = bob.signed("GET", "/api/v3/order", symbol="BTCUSDT", orderId=stop["orderId"])
    assert (row["isWorking"], row["workingTime"]) == (False, -1)
    assert refused(bob.order, "BUY", "0.02", "50000", type="STOP_LOSS_LIMIT", timeInForce="GTC", stopPrice="50000") == (
        400, -2010, "Order would trigger immediately.")
    alice.order("SELL", "0.02", "54000.00")
    alice.order("SELL", "0.05", "54100.00")
    bob.order("BUY", "0.02", "54000.00")
    row = bob.signed("GET", "/api/v3/order", symbol="BTCUSDT", orderId=stop["orderId"])
    assert (row["status"], row["isWorking"]) == ("FILLED", True)


def test_an_iceberg_shows_its_tip(alice):
    alice.order("BUY", "1", "45000.00", icebergQty="0.1")
    assert [r for r in alice.ask("GET", "/api/v3/depth", symbol="BTCUSDT")["bids"] if D(r[0]) == 45000] == [
        ["45000.00000000", "0.10000000"]]


def test_an_account_does_not_trade_with_itself(alice):
    resting = alice.order("SELL", "0.1", "52000.00")
    taker = alice.order("BUY", "0.1", "52000.00", selfTradePreventionMode="EXPIRE_MAKER")
    assert taker["status"] == "NEW"
    row = alice.signed("GET", "/api/v3/order", symbol="BTCUSDT", orderId=resting["orderId"])
    assert (row["status"], row["preventedQuantity"]) == ("EXPIRED_IN_MATCH", "0.10000000")
    matches = alice.signed("GET", "/api/v3/myPreventedMatches", symbol="BTCUSDT", orderId=resting["orderId"])
    assert [(m["makerOrderId"], m["takerOrderId"], m["makerPreventedQuantity"]) for m in matches] == [
        (resting["orderId"], taker["orderId"], "0.10000000")]


def test_a_client_id_is_taken_while_its_order_is_open_and_free_again_after(alice):
    first = alice.order("BUY", "0.1", "40000", newClientOrderId="twice")
    assert refused(alice.order, "BUY", "0.1", "40000", newClientOrderId="twice") == (400, -2010, "Duplicate order sent.")
    alice.signed("DELETE", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="twice")
    second = alice.order("BUY", "0.1", "40000", newClientOrderId="twice")
    found = alice.signed("GET", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="twice")
    assert found["orderId"] == second["orderId"] != first["orderId"]


def test_all_open_orders_of_a_symbol_go_at_once(alice, bob):
    alice.order("BUY", "0.1", "40000")
    alice.order("BUY", "0.1", "40001")
    other = bob.order("BUY", "0.1", "40001")
    gone = alice.signed("DELETE", "/api/v3/openOrders", symbol="BTCUSDT")
    assert [row["status"] for row in gone] == ["CANCELED", "CANCELED"]
    assert refused(alice.signed, "DELETE", "/api/v3/openOrders", symbol="BTCUSDT") == (400, -2011, "Unknown order sent.")
    assert bob.signed("GET", "/api/v3/openOrders", symbol="BTCUSDT")[0]["orderId"] == other["orderId"]


def test_nobody_sees_or_cancels_anothers_order(alice, bob):
    order = alice.order("BUY", "0.1", "40000")
    assert refused(bob.signed, "GET", "/api/v3/order", symbol="BTCUSDT", orderId=order["orderId"])[1] == -2013
    assert refused(bob.signed, "DELETE", "/api/v3/order", symbol="BTCUSDT", orderId=order["orderId"])[1] == -2011


# ---- cancel-replace and amendments

REPLACE = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.1", "price": "40000"}


def test_cancel_replace_does_both_legs(alice):
    first = alice.order("BUY", "0.1", "40000")
    done = alice.signed("POST", "/api/v3/order/cancelReplace", **REPLACE, cancelReplaceMode="STOP_ON_FAILURE",
                        cancelOrderId=first["orderId"])
    assert (done["cancelResult"], done["newOrderResult"]) == ("SUCCESS", "SUCCESS")
    assert done["cancelResponse"]["orderId"] == first["orderId"] and done["newOrderResponse"]["status"] == "NEW"


def test_cancel_replace_stops_or_goes_on_when_the_cancel_fails(alice):
    with pytest.raises(Refused) as caught:
        alice.signed("POST", "/api/v3/order/cancelReplace", **REPLACE, cancelReplaceMode="STOP_ON_FAILURE", cancelOrderId=10**9)
    assert (caught.value.status, caught.value.code) == (400, -2022)
    assert caught.value.body["data"] == {"cancelResult": "FAILURE", "newOrderResult": "NOT_ATTEMPTED", "newOrderResponse": None,
                                         "cancelResponse": {"code": -2011, "msg": "Unknown order sent."}}
    with pytest.raises(Refused) as caught:
        alice.signed("POST", "/api/v3/order/cancelReplace", **REPLACE, cancelReplaceMode="ALLOW_FAILURE", cancelOrderId=10**9)
    assert (caught.value.status, caught.value.code) == (409, -2021)
    assert caught.value.body["data"]["newOrderResponse"]["status"] == "NEW"


def test_cancel_replace_whose_new_order_fails_has_cancelled_all_the_same(alice):
    first = alice.order("BUY", "0.1", "40000")
    with pytest.raises(Refused) as caught:
        alice.signed("POST", "/api/v3/order/cancelReplace", **{**REPLACE, "quantity": "9000"}, cancelReplaceMode="STOP_ON_FAILURE",
                     cancelOrderId=first["orderId"])
    data = caught.value.body["data"]
    assert (caught.value.status, caught.value.code) == (409, -2021)
    assert (data["cancelResult"], data["newOrderResult"]) == ("SUCCESS", "FAILURE") and data["newOrderResponse"]["code"] in (-1013, -2010)
    assert alice.signed("GET", "/api/v3/openOrders", symbol="BTCUSDT") == []


def test_less_quantity_keeps_the_place_in_the_queue(alice, bob, trading):
    first = alice.order("SELL", "0.3", "52000.00", newClientOrderId="amend-me")
    carol = trading.rest(CAROL)
    carol.order("SELL", "0.3", "52000.00")
    done = alice.signed("PUT", "/api/v3/order/amend/keepPriority", symbol="BTCUSDT", orderId=first["orderId"], newQty="0.1",
                        newClientOrderId="amended")
    assert (done["amendedOrder"]["qty"], done["amendedOrder"]["clientOrderId"], done["amendedOrder"]["origClientOrderId"]) == (
        "0.10000000", "amended", "amend-me")
    bob.order("BUY", "0.1", "52000.00")
    assert alice.signed("GET", "/api/v3/order", symbol="BTCUSDT", orderId=first["orderId"])["status"] == "FILLED"
    history = alice.signed("GET", "/api/v3/order/amendments", symbol="BTCUSDT", orderId=first["orderId"])
    assert [(row["origQty"], row["newQty"]) for row in history] == [("0.30000000", "0.10000000")]
    carol.clear()
    assert refused(alice.signed, "PUT", "/api/v3/order/amend/keepPriority", symbol="BTCUSDT", orderId=first["orderId"],
                   newQty="0.05")[1] == -2013


# ---- what is refused

ORDER = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.1", "price": "40000"}


@pytest.mark.parametrize("change, code, msg", [
    ({"symbol": "NOSUCH"}, -1121, "Invalid symbol."),
    ({"symbol": None}, -1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed."),
    ({"side": None}, -1102, "Mandatory parameter 'side' was not sent, was empty/null, or malformed."),
    ({"side": "HOLD"}, -1117, "Invalid side."),
    ({"type": "NONE"}, -1116, "Invalid orderType."),
    ({"timeInForce": "DAY"}, -1115, "Invalid timeInForce."),
    ({"timeInForce": None}, -1102, "Mandatory parameter 'timeInForce' was not sent, was empty/null, or malformed."),
    ({"quantity": None}, -1102, "Mandatory parameter 'quantity' was not sent, was empty/null, or malformed."),
    ({"price": None}, -1102, "Mandatory parameter 'price' was not sent, was empty/null, or malformed."),
    ({"price": ""}, -1105, "Parameter 'price' was empty."),
    ({"price": "-1"}, -1100, "Illegal characters found in parameter 'price'; legal range is '^([0-9]{1,20})(\\.[0-9]{1,20})?$'."),
    ({"price": "1e5"}, -1100, None), ({"quantity": "NaN"}, -1100, None), ({"quantity": "0x10"}, -1100, None),
    ({"quantity": "9" * 20}, -1108, "Parameter 'quantity' overflowed."),
    ({"price": "40000.123456789"}, -1111, "Parameter 'price' has too much precision."),
    ({"price": "40000.001"}, -1013, "Filter failure: PRICE_FILTER"),
    ({"price": "2000000"}, -1013, "Filter failure: PRICE_FILTER"),
    ({"quantity": "0.000001"}, -1013, "Filter failure: LOT_SIZE"),
    ({"quantity": "9001"}, -1013, "Filter failure: LOT_SIZE"),
    ({"quantity": "0"}, -1013, "Invalid quantity."), ({"price": "0"}, -1013, "Invalid price."),
    ({"quantity": "0.0001", "price": "10000"}, -1013, "Filter failure: NOTIONAL"),
    ({"quantity": "200"}, -2010, "Account has insufficient balance for requested action."),
    ({"stopPrice": "50000"}, -1106, "Parameter 'stopPrice' sent when not required."),
    ({"quoteOrderQty": "50000"}, -1106, "Parameter 'quoteOrderQty' sent when not required."),
    ({"type": "MARKET"}, -1106, "Parameter 'timeInForce' sent when not required."),
    ({"type": "STOP_LOSS_LIMIT"}, -1102, "Param 'stopPrice' or 'trailingDelta' must be sent, but both were empty/null!"),
    ({"icebergQty": "0.05", "timeInForce": "IOC"}, -1014, "Unsupported order combination."),
    ({"icebergQty": "0.2"}, -2010, "IcebergQty exceeds QTY."),
    ({"newClientOrderId": "with space"}, -1100, None), ({"newClientOrderId": "x" * 37}, -1100, None),
    ({"selfTradePreventionMode": "MAYBE"}, -1130, None), ({"strategyType": "7"}, -1134, "`strategyType` was less than 1000000."),
    ({"newOrderRespType": "SHORT"}, -1130, None),
    ({"colour": "red"}, -1104, "Not all sent parameters were read; read '8' parameter(s) but was sent '9'."),
])
def test_a_wrong_order_gets_the_venues_own_words_and_test_says_the_same(alice, change, code, msg):
    params = {k: v for k, v in {**ORDER, **change}.items() if v is not None}
    for path in ("/api/v3/order", "/api/v3/order/test"):
        status, found, text = refused(alice.signed, "POST", path, **params)
        assert (status, found) == (400, code), text
        assert msg is None or text == msg


def test_a_test_order_places_nothing(alice):
    assert alice.signed("POST", "/api/v3/order/test", **ORDER) == {}
    rates = alice.signed("POST", "/api/v3/order/test", **ORDER, computeCommissionRates="true")
    assert rates["standardCommissionForOrder"] == {"maker": "0.00100000", "taker": "0.00100000"}
    assert alice.signed("GET", "/api/v3/openOrders", symbol="BTCUSDT") == []


def test_parameters_may_come_in_the_body_and_twice_is_once_too_often(alice):
    assert alice.signed("POST", "/api/v3/order/test", in_body=True, **ORDER) == {}
    status, body = alice.raw("GET", "/api/v3/depth?symbol=BTCUSDT&symbol=ETHUSDT")
    assert (status, body["code"]) == (400, -1101)
    assert alice.raw("GET", "/api/v3/ping?x=1")[1]["code"] == -1101


@pytest.mark.parametrize("method, target, status", [("GET", "/api/v3/nothing", 404), ("PUT", "/api/v3/order", 404), ("GET", "/", 404)])
def test_what_is_not_there_is_not_found(alice, method, target, status):
    assert alice.raw(method, target)[0] == status


def test_times_come_in_microseconds_for_who_asks(alice):
    status, body = alice.raw("GET", "/api/v3/time", headers={"X-MBX-TIME-UNIT": "MICROSECOND"})
    assert status == 200 and abs(body["serverTime"] / 1000 - now_ms()) < 5000
    assert alice.raw("GET", "/api/v3/time", headers={"X-MBX-TIME-UNIT": "FORTNIGHT"})[1]["code"] == -1194
    assert alice.signed("GET", "/api/v3/account", timestamp=now_ms() * 1000)["accountType"] == "SPOT"


def test_pages_of_orders_and_trades(alice):
    ids = [alice.order("BUY", "0.001", f"4000{n}")["orderId"] for n in range(4)]
    rows = alice.signed("GET", "/api/v3/allOrders", symbol="BTCUSDT", orderId=ids[1], limit=2)
    assert [row["orderId"] for row in rows] == ids[1:3]
    assert [row["orderId"] for row in alice.signed("GET", "/api/v3/allOrders", symbol="BTCUSDT", limit=2)] == ids[2:]
    assert alice.signed("GET", "/api/v3/allOrders", symbol="BTCUSDT", startTime=now_ms() + 60_000) == []
    assert refused(alice.signed, "GET", "/api/v3/myTrades", symbol="BTCUSDT", startTime=1, endTime=2 * 86_400_000)[1] == -1127


def test_fees_in_a_third_asset_are_cheaper_and_taken_from_it(trading, alice):
    bnb = trading.rest("bnbbnbbnb")
    bnb.order("SELL", "1", "600.00", symbol="BNBUSDT")
    alice.order("BUY", "1", "600.00", symbol="BNBUSDT")
    # The venue looks once a second at what the fee asset costs.
    for _ in range(60):
        time.sleep(0.05)
        alice.order("SELL", "0.01", "50000.00")
        fill = bnb.order("BUY", "0.01", "50000.00")["fills"][0]
        if fill["commissionAsset"] == "BNB":
            break
    assert (fill["commissionAsset"], fill["commission"]) == ("BNB", "0.00062500")


def test_what_libraries_ask_when_they_load(alice):
    assert alice.ask("GET", "/sapi/v1/system/status") == {"status": 0, "msg": "normal"}
    coins = {row["coin"]: row for row in alice.signed("GET", "/sapi/v1/capital/config/getall")}
    assert coins["BTC"]["networkList"] and D(coins["USDT"]["free"]) > 0
    assert alice.signed("GET", "/sapi/v1/asset/tradeFee", symbol="BTCUSDT")[0]["takerCommission"] == "0.00100000"
    assert alice.signed("GET", "/sapi/v1/account/apiRestrictions")["enableSpotAndMarginTrading"] is True
    assert alice.ask("GET", "/sapi/v1/margin/allPairs") == []
    assert alice.signed("GET", "/api/v3/account/commission", symbol="BTCUSDT")["standardCommission"]["maker"] == "0.00100000"
    info = alice.ask("GET", "/api/v3/exchangeInfo", symbols='["BTCUSDT","ETHBTC"]')
    assert [row["symbol"] for row in info["symbols"]] == ["BTCUSDT", "ETHBTC"]
    assert {f["filterType"] for f in info["symbols"][0]["filters"]} >= {"PRICE_FILTER", "LOT_SIZE", "NOTIONAL", "MARKET_LOT_SIZE"}


# ---- shapes, field by field

def kinds(value):
    return type(value).__name__


def compare(sample, found, where, missing=(), kinds_differ=()):
    """Every field of a recorded sample must be there with the same JSON type; numbers and texts are not compared."""
    if isinstance(sample, dict):
        assert isinstance(found, dict), where
        for name, value in sample.items():
            if name in missing:
                continue
            assert name in found, f"{where}.{name} is missing"
            compare(value, found[name], f"{where}.{name}", missing, kinds_differ)
    elif isinstance(sample, list) and sample:
        assert isinstance(found, list) and found, where
        compare(sample[0], found[0], f"{where}[0]", missing, kinds_differ)
    elif sample is not None and found is not None and where.rpartition(".")[2] not in kinds_differ:
        assert kinds(sample) == kinds(found), f"{where}: {sample!r} in the sample, {found!r} here"


def samples(shared_data, prefix):
    with gzip.open(shared_data("rest/binance/docs_samples_binance_net.jsonl.gz"), "rt") as file:
        for line in file:
            row = json.loads(line)
            if row["file"].startswith(prefix):
                head, _, text = row["text"].partition("{") if "\n[" not in row["text"] else row["text"].partition("[")
                opening = "[" if "\n[" in row["text"] else "{"
                yield row["file"].rpartition("/")[2].removesuffix(".txt"), head.split("\n"), opening + text


# Fields that only some orders have, and one that the sample bears in an older form.
SOMETIMES = {"trailingDelta", "trailingTime", "strategyId", "strategyType", "preventedMatchId", "preventedQuantity", "tag",
             "makerPreventedQuantity", "marginBuyBorrowAmount"}


def test_answers_have_the_fields_and_types_of_the_recorded_samples(trading, shared_data, alice, bob):
    alice.order("SELL", "0.2", "52000.00", newClientOrderId="shape-1")
    full = bob.order("BUY", "0.1", "52000.00")
    bob.order("BUY", "0.1", "41000.00")
    own = alice.order("BUY", "0.1", "52000.00", selfTradePreventionMode="EXPIRE_MAKER")
    alice.order("BUY", "0.1", "42000.00", newClientOrderId="shape-2")
    answers = {
        "PlaceOrder": lambda: full,
        "GetOrder": lambda: alice.signed("GET", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="shape-1"),
        "GetOpenOrders": lambda: alice.signed("GET", "/api/v3/openOrders"),
        "GetOrders": lambda: alice.signed("GET", "/api/v3/allOrders", symbol="BTCUSDT"),
        "GetUserTrades": lambda: alice.signed("GET", "/api/v3/myTrades", symbol="BTCUSDT"),
        "GetPreventedTrades": lambda: alice.signed("GET", "/api/v3/myPreventedMatches", symbol="BTCUSDT", orderId=own["orderId"]),
        "PlaceTestOrder": lambda: alice.signed("POST", "/api/v3/order/test", **ORDER, computeCommissionRates="true"),
        "ReplaceOrder": lambda: {"data": alice.signed("POST", "/api/v3/order/cancelReplace", **REPLACE,
                                                      cancelReplaceMode="STOP_ON_FAILURE", cancelOrigClientOrderId="shape-2")},
        "GetAccountInfo": lambda: alice.signed("GET", "/api/v3/account"),
        "GetCommissionRates": lambda: alice.signed("GET", "/api/v3/account/commission", symbol="BTCUSDT"),
        "GetBalances": lambda: alice.signed("POST", "/sapi/v3/asset/getUserAsset"),
        "GetAPIKeyPermissions": lambda: alice.signed("GET", "/sapi/v1/account/apiRestrictions"),
        "GetTradingStatus": lambda: alice.signed("GET", "/sapi/v1/account/apiTradingStatus"),
        "GetBnbBurnStatus": lambda: alice.signed("GET", "/sapi/v1/bnbBurn"),
        "GetExchangeInfo": lambda: alice.ask("GET", "/api/v3/exchangeInfo"),
        "GetRecentTrades": lambda: alice.ask("GET", "/api/v3/trades", symbol="BTCUSDT"),
        "GetTradeHistory": lambda: alice.ask("GET", "/api/v3/historicalTrades", symbol="BTCUSDT"),
        "GetAggregatedTradeHistory": lambda: alice.ask("GET", "/api/v3/aggTrades", symbol="BTCUSDT"),
        "GetAvgPrice": lambda: alice.ask("GET", "/api/v3/avgPrice", symbol="BTCUSDT"),
        "GetBookPrice": lambda: alice.ask("GET", "/api/v3/ticker/bookTicker", symbol="BTCUSDT"),
        "GetPrice": lambda: alice.ask("GET", "/api/v3/ticker/price", symbol="BTCUSDT"),
        "GetTicker": lambda: alice.ask("GET", "/api/v3/ticker/24hr", symbol="BTCUSDT"),
        "GetTradingDayTicker": lambda: alice.ask("GET", "/api/v3/ticker/tradingDay", symbol="BTCUSDT"),
        "GetRollingWindowTicker": lambda: alice.ask("GET", "/api/v3/ticker", symbol="BTCUSDT"),
        "GetServerTime": lambda: alice.ask("GET", "/api/v3/time"),
    }
    seen = set()
    for name, head, text in samples(shared_data, "Endpoints/Spot/"):
        if name in answers and ("/api/v3/" in head[1] or "/sapi/" in head[1]) and name not in seen:
            seen.add(name)
            compare(json.loads(text), answers[name](), name, SOMETIMES)
    assert seen == set(answers)


def test_errors_and_answers_are_as_other_clients_recorded_them(trading, shared_data, alice):
    with gzip.open(shared_data("rest/binance/gct_http_mock.json.gz"), "rt") as file:
        routes = json.load(file)["routes"]
    alice.order("BUY", "0.1", "42000.00")
    own = {"/api/v3/openOrders": lambda: alice.signed("GET", "/api/v3/openOrders"),
           "/api/v3/allOrders": lambda: alice.signed("GET", "/api/v3/allOrders", symbol="BTCUSDT"),
           "/api/v3/account": lambda: alice.signed("GET", "/api/v3/account"),
           "/api/v3/ticker/24hr": lambda: alice.ask("GET", "/api/v3/ticker/24hr"),
           "/api/v3/exchangeInfo": lambda: alice.ask("GET", "/api/v3/exchangeInfo")}
    for path, ask in own.items():
        for case in routes[path]["GET"]:
            data = case["data"]
            if isinstance(data, dict) and "code" in data:
                continue
            found = ask()
            if isinstance(data, dict) != isinstance(found, dict):
                data, found = (data if isinstance(data, list) else [data]), (found if isinstance(found, list) else [found])
            compare(data, found, path, SOMETIMES | {"allowedSelfTradePreventionModes", "permissions", "preventedMatchId"}, {"limit"})


def test_dave_signs_with_rsa_and_carol_with_ed25519(trading):
    for key in (CAROL, DAVE):
        assert trading.rest(key).signed("GET", "/api/v3/account")["canTrade"] is True


# ---- order lists

def oco(client, **change):
    params = {"symbol": "BTCUSDT", "side": "SELL", "quantity": "0.1", "aboveType": "LIMIT_MAKER", "abovePrice": "56000",
              "belowType": "STOP_LOSS_LIMIT", "belowStopPrice": "48000", "belowPrice": "47900", "belowTimeInForce": "GTC", **change}
    return client.signed("POST", "/api/v3/orderList/oco", **params)


@pytest.fixture
def at_50000(alice, bob):
    alice.order("SELL", "0.001", "50000.00")
    bob.order("BUY", "0.001", "50000.00")


def statuses(client, found):
    return [client.signed("GET", "/api/v3/order", symbol="BTCUSDT", orderId=row["orderId"])["status"] for row in found["orders"]]


def test_when_one_leg_of_a_list_trades_the_other_expires(alice, bob, at_50000):
    found = oco(alice, listClientOrderId="both")
    assert (found["contingencyType"], found["listStatusType"], found["listOrderStatus"]) == ("OCO", "EXEC_STARTED", "EXECUTING")
    assert [row["orderListId"] for row in alice.signed("GET", "/api/v3/openOrderList")] == [found["orderListId"]]
    bob.order("BUY", "0.05", "56000.00")
    assert statuses(alice, found) == ["EXPIRED", "PARTIALLY_FILLED"]
    bob.order("BUY", "0.05", "56000.00")
    assert alice.signed("GET", "/api/v3/orderList", origClientOrderId="both")["listOrderStatus"] == "ALL_DONE"


def test_when_the_stop_of_a_list_is_triggered_the_limit_expires(alice, bob, at_50000):
    found = oco(alice)
    bob.order("BUY", "0.2", "47950.00")
    alice.order("SELL", "0.01", "47950.00")
    assert statuses(alice, found) == ["FILLED", "EXPIRED"]


def test_a_list_is_cancelled_as_a_whole(alice, at_50000):
    found = oco(alice)
    gone = alice.signed("DELETE", "/api/v3/orderList", symbol="BTCUSDT", orderListId=found["orderListId"])
    assert gone["listOrderStatus"] == "ALL_DONE" and [r["status"] for r in gone["orderReports"]] == ["CANCELED", "CANCELED"]
    found = oco(alice)
    alice.signed("DELETE", "/api/v3/order", symbol="BTCUSDT", orderId=found["orders"][1]["orderId"])
    assert statuses(alice, found) == ["CANCELED", "CANCELED"]
    legacy = alice.signed("POST", "/api/v3/order/oco", symbol="BTCUSDT", side="BUY", quantity="0.1", price="45000", stopPrice="58000",
                          stopLimitPrice="58100", stopLimitTimeInForce="GTC")
    assert len(alice.signed("DELETE", "/api/v3/openOrders", symbol="BTCUSDT")) == 1
    assert statuses(alice, legacy) == ["CANCELED", "CANCELED"]


@pytest.mark.parametrize("change, code", [
    ({"aboveType": "LIMIT"}, -1102), ({"belowType": "LIMIT_MAKER", "aboveType": "STOP_LOSS", "aboveStopPrice": "56000"}, None),
    ({"abovePrice": "49000"}, -2010), ({"belowStopPrice": "51000"}, -2010), ({"quantity": "100000"}, None)])
def test_a_list_that_makes_no_sense_leaves_nothing_behind(alice, at_50000, change, code):
    with pytest.raises(Refused) as caught:
        oco(alice, **change)
    assert caught.value.status == 400 and code in (None, caught.value.code)
    assert alice.signed("GET", "/api/v3/openOrders", symbol="BTCUSDT") == []


def test_against_a_capture_the_recorded_market_is_the_counterparty(start_sim):
    sim = start_sim(SPOT, "--start-after", "0", "--speed", "20")
    demo = sim.addresses["accounts"][0]
    Keys.secrets[demo["api_key"]] = demo["secret"]
    client = Rest(sim.addresses["rest_url"], demo["api_key"])
    deadline = time.monotonic() + 15
    while not D(client.ask("GET", "/api/v3/ticker/bookTicker", symbol="BTCUSDT")["askPrice"]):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    sim.faults.pause()
    best = client.ask("GET", "/api/v3/ticker/bookTicker", symbol="BTCUSDT")
    bought, sold = client.order("BUY", "0.00100"), client.order("SELL", "0.00100")
    assert [o["fills"][0]["price"] for o in (bought, sold)] == [best["askPrice"], best["bidPrice"]]
    resting = client.order("BUY", "0.00100", best["bidPrice"])
    assert resting["status"] == "NEW"
    # The streams and the public book stay the recorded ones.
    assert client.ask("GET", "/api/v3/ticker/bookTicker", symbol="BTCUSDT") == best
    client.clear()
