"""USD-M futures as a venue: orders of every type, what follows from a fill, settings, funding, liquidation, user data."""
import json

import pytest
from usdm_desk import MS_NS, START_NS, conserved, make_desks, make_market, make_venue


@pytest.fixture
def venue():
    return make_venue()


@pytest.fixture
def desks(venue):
    return make_desks(venue)


@pytest.fixture
def desk(desks):
    make_market(desks["maker"])
    return desks["desk"]


def ids(orders):
    return [order["orderId"] for order in orders]


# ---- orders

def test_a_limit_order_rests_and_is_found_by_either_of_its_names(desk):
    placed = desk.order("BUY", "0.010", "59000", newClientOrderId="mine-1")
    assert (placed["status"], placed["avgPrice"], placed["executedQty"]) == ("NEW", "0.00", "0.000")
    for params in ({"orderId": str(placed["orderId"])}, {"origClientOrderId": "mine-1"}):
        found = desk.call("GET", "/fapi/v1/order", symbol="BTCUSDT", **params)
        assert (found["orderId"], found["price"], found["origQty"]) == (placed["orderId"], "59000.00", "0.010")
        assert desk.call("GET", "/fapi/v1/openOrder", symbol="BTCUSDT", **params)["clientOrderId"] == "mine-1"
    assert ids(desk.call("GET", "/fapi/v1/openOrders")) == [placed["orderId"]]
    canceled = desk.call("DELETE", "/fapi/v1/order", symbol="BTCUSDT", orderId=str(placed["orderId"]))
    assert canceled["status"] == "CANCELED"
    assert desk.refused("DELETE", "/fapi/v1/order", symbol="BTCUSDT", orderId=str(placed["orderId"])) == -2011
    assert desk.refused("GET", "/fapi/v1/openOrder", symbol="BTCUSDT", orderId=str(placed["orderId"])) == -2013
    assert desk.call("GET", "/fapi/v1/allOrders", symbol="BTCUSDT")[-1]["status"] == "CANCELED"


def test_a_market_order_fills_at_the_prices_of_the_book(desk):
    placed = desk.order("BUY", "7")
    assert (placed["status"], placed["executedQty"], placed["cumQuote"]) == ("FILLED", "7.000", "420090.00000")
    assert placed["avgPrice"] == "60012.85714"
    trades = desk.call("GET", "/fapi/v1/userTrades", symbol="BTCUSDT")
    assert [(t["price"], t["qty"], t["maker"], t["buyer"]) for t in trades] == [
        ("60010.00", "5.000", False, True), ("60020.00", "2.000", False, True)]
    assert [t["commission"] for t in trades] == ["150.02500000", "60.02000000"]


def test_an_acknowledgement_is_written_before_the_match(desk):
    assert desk.order("BUY", "1", newOrderRespType="ACK")["status"] == "NEW"
    assert desk.position()["positionAmt"] == "1.000"


@pytest.mark.parametrize(("change", "code"), [
    ({"timeInForce": "GTX", "price": "60010"}, -5022), ({"timeInForce": "FOK", "quantity": "20", "price": "60100"}, -5021),
    ({"price": "70000"}, -4016), ({"side": "SELL", "price": "50000"}, -4024), ({"quantity": "0.001"}, -4164),
    ({"type": "STOP", "stopPrice": "59000", "price": "59000", "timeInForce": "GTC"}, -2021),
    ({"reduceOnly": "true"}, -2022), ({"symbol": "NOSUCH"}, -1121), ({"quantity": "400", "price": "60000"}, -2019)])
def test_what_the_market_or_the_margin_does_not_allow_is_refused(venue, desk, change, code):
    desk.order("BUY", "0.1")
    venue.pass_time(1)
    base = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.010", "price": "59000"}
    assert desk.refused("POST", "/fapi/v1/order", **{**base, **change}) == code


def test_a_market_order_does_not_meet_a_price_far_from_the_mark(venue, desks, desk):
    desk.order("BUY", "0.1")
    venue.marks.pin("BTCUSDT", "56000")
    params = {"symbol": "BTCUSDT", "type": "MARKET", "quantity": "0.1"}
    assert desk.refused("POST", "/fapi/v1/order", side="BUY", **params) == -4131
    assert desk.call("POST", "/fapi/v1/order", side="SELL", newOrderRespType="RESULT", **params)["status"] == "FILLED"
    venue.marks.pin("BTCUSDT", None)


def test_order_test_places_nothing(desk):
    params = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.010", "price": "59000"}
    assert desk.call("POST", "/fapi/v1/order/test", **params) == {}
    assert desk.refused("POST", "/fapi/v1/order/test", **{**params, "quantity": "900"}) == -2019
    assert desk.call("GET", "/fapi/v1/openOrders") == []


def test_a_client_id_is_taken_while_its_order_is_open(desk):
    placed = desk.order("BUY", "0.010", "59000", newClientOrderId="one")
    params = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.010", "price": "59000",
              "newClientOrderId": "one"}
    assert desk.refused("POST", "/fapi/v1/order", **params) == -4116
    desk.call("DELETE", "/fapi/v1/order", symbol="BTCUSDT", orderId=str(placed["orderId"]))
    assert desk.call("POST", "/fapi/v1/order", **params)["orderId"] > placed["orderId"]


def test_an_order_is_modified_in_price_and_quantity_and_remembers_it(venue, desk):
    placed = desk.order("BUY", "0.010", "59000")
    change = {"symbol": "BTCUSDT", "orderId": str(placed["orderId"]), "side": "BUY"}
    changed = desk.call("PUT", "/fapi/v1/order", **change, quantity="0.020", price="59100")
    assert (changed["price"], changed["origQty"], changed["status"]) == ("59100.00", "0.020", "NEW")
    assert desk.refused("PUT", "/fapi/v1/order", **change, quantity="0.020", price="59100") == -5027
    assert desk.refused("PUT", "/fapi/v1/order", **change, quantity="0.020", price="59100.05") == -4014
    assert desk.refused("PUT", "/fapi/v1/order", **change, quantity="0.020") == -1102
    venue.pass_time(1)
    assert desk.refused("PUT", "/fapi/v1/order", **change, quantity="0.020", price="70000") == -4016
    assert desk.call("GET", "/fapi/v1/openOrders")[0]["price"] == "59100.00"
    row = desk.call("GET", "/fapi/v1/orderAmendment", symbol="BTCUSDT", orderId=str(placed["orderId"]))[0]
    assert row["amendment"] == {"price": {"before": "59000.00", "after": "59100.00"},
                                "origQty": {"before": "0.010", "after": "0.020"}, "count": 1}
    filled = desk.call("PUT", "/fapi/v1/order", **change, quantity="0.020", price="60010")
    assert (filled["status"], desk.position()["positionAmt"]) == ("FILLED", "0.020")


def test_a_post_only_order_that_would_take_after_an_amendment_is_canceled(desk):
    placed = desk.order("BUY", "0.010", "59000", timeInForce="GTX")
    changed = desk.call("PUT", "/fapi/v1/order", symbol="BTCUSDT", orderId=str(placed["orderId"]), side="BUY", quantity="0.010",
                        price="60010")
    assert (changed["status"], desk.position()["positionAmt"]) == ("CANCELED", "0.000")


def test_each_leg_of_a_batch_is_settled_on_its_own(desk):
    leg = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": 0.01, "price": "59000"}
    answers = desk.call("POST", "/fapi/v1/batchOrders", batchOrders=[
        {**leg, "newClientOrderId": "a"}, {**leg, "price": "59000.05"}, {**leg, "newClientOrderId": "b", "reduceOnly": False}])
    assert [a.get("code") for a in answers] == [None, -4014, None]
    assert desk.refused("POST", "/fapi/v1/batchOrders", batchOrders=[leg] * 6) == -4082
    answers = desk.call("PUT", "/fapi/v1/batchOrders", batchOrders=[
        {"symbol": "BTCUSDT", "origClientOrderId": "a", "side": "BUY", "quantity": "0.02", "price": "59000"},
        {"symbol": "BTCUSDT", "origClientOrderId": "none", "side": "BUY", "quantity": "0.02", "price": "59000"}])
    assert [a.get("code", a.get("origQty")) for a in answers] == ["0.020", -2013]
    answers = desk.call("DELETE", "/fapi/v1/batchOrders", symbol="BTCUSDT", origClientOrderIdList=["a", "x", "b"])
    assert [a.get("code", a.get("status")) for a in answers] == ["CANCELED", -2011, "CANCELED"]


def test_the_countdown_cancels_what_is_open_unless_it_is_renewed(venue, desk):
    desk.order("BUY", "0.010", "59000")
    desk.order("BUY", "0.01", "2900", symbol="ETHUSDT")
    assert desk.call("POST", "/fapi/v1/countdownCancelAll", symbol="BTCUSDT", countdownTime="5000") == {
        "symbol": "BTCUSDT", "countdownTime": "5000"}
    venue.pass_time(4)
    desk.call("POST", "/fapi/v1/countdownCancelAll", symbol="BTCUSDT", countdownTime="5000")
    venue.pass_time(4)
    assert len(desk.call("GET", "/fapi/v1/openOrders")) == 2
    venue.pass_time(1.1)
    assert [order["symbol"] for order in desk.call("GET", "/fapi/v1/openOrders")] == ["ETHUSDT"]
    desk.order("BUY", "0.010", "59000")
    venue.pass_time(60)
    assert len(desk.call("GET", "/fapi/v1/openOrders")) == 2
    desk.call("POST", "/fapi/v1/countdownCancelAll", symbol="ETHUSDT", countdownTime="1000")
    desk.call("POST", "/fapi/v1/countdownCancelAll", symbol="ETHUSDT", countdownTime="0")
    venue.pass_time(2)
    assert len(desk.call("GET", "/fapi/v1/openOrders")) == 2
    assert desk.call("DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT")["code"] == 200
    assert [order["symbol"] for order in desk.call("GET", "/fapi/v1/openOrders")] == ["ETHUSDT"]


# ---- conditional orders

def test_a_stop_waits_for_its_price_and_goes_on_as_what_it_was_for(desks, desk):
    desk.order("BUY", "1")
    stop = desk.order("SELL", "1", type="STOP_MARKET", stopPrice="59500", reduceOnly="true")
    assert (stop["status"], stop["type"], stop["stopPrice"], stop["reduceOnly"]) == ("NEW", "STOP_MARKET", "59500.00", True)
    desk.events.take()
    desks["maker"].call("DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT")
    desks["maker"].order("BUY", "5", "59400")
    desks["other"].order("SELL", "0.1")
    assert desk.position()["positionAmt"] == "0.000"
    found = desk.call("GET", "/fapi/v1/order", symbol="BTCUSDT", orderId=str(stop["orderId"]))
    assert (found["status"], found["type"], found["origType"]) == ("FILLED", "MARKET", "STOP_MARKET")
    told = [(m["o"]["x"], m["o"]["X"], m["o"]["o"]) for m in desk.events.take("ORDER_TRADE_UPDATE")]
    assert told == [("EXPIRED", "EXPIRED", "STOP_MARKET"), ("NEW", "NEW", "MARKET"), ("TRADE", "FILLED", "MARKET")]


@pytest.mark.parametrize(("kind", "stop", "extra"), [
    ("STOP", "60500", {"price": "60600"}), ("TAKE_PROFIT", "59500", {"price": "59600"}), ("STOP_MARKET", "60500", {}),
    ("TAKE_PROFIT_MARKET", "59500", {"workingType": "MARK_PRICE"})])
def test_each_conditional_type_is_taken(venue, desk, kind, stop, extra):
    desk.order("BUY", "0.1")
    venue.pass_time(1)
    placed = desk.order("BUY", "0.010", type=kind, stopPrice=stop, **extra)
    assert (placed["type"], placed["stopPrice"], placed["status"]) == (kind, f"{stop}.00", "NEW")


def test_a_trailing_stop_follows_the_price(desks, desk):
    desk.order("BUY", "1")
    trail = desk.order("SELL", "1", type="TRAILING_STOP_MARKET", callbackRate="1", reduceOnly="true")
    assert (trail["priceRate"], trail["type"]) == ("1", "TRAILING_STOP_MARKET")
    maker, other = desks["maker"], desks["other"]
    for bid in (61000, 60800, 60300):
        maker.call("DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT")
        make_market(maker, bid, bid + 10, levels=1)
        other.order("SELL", "0.1")
        if bid != 60300:
            assert desk.position()["positionAmt"] == "1.000"
    assert desk.position()["positionAmt"] == "0.000"


@pytest.mark.parametrize(("side", "activation", "path"), [
    ("SELL", "60500", [(59300, "1.000"), (60600, "1.000"), (60100, "1.000"), (59900, "0.000")]),
    ("BUY", "59500", [(60700, "-1.000"), (59400, "-1.000"), (59900, "-1.000"), (60100, "0.000")])])
def test_a_trailing_stop_follows_from_its_activation_price_on(desks, desk, side, activation, path):
    maker, other = desks["maker"], desks["other"]
    desk.order("BUY" if side == "SELL" else "SELL", "1")
    desk.order(side, "1", type="TRAILING_STOP_MARKET", callbackRate="1", activationPrice=activation, reduceOnly="true")
    for price, amount in path:
        maker.call("DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT")
        make_market(maker, price - 10, price, levels=1)
        # The first trade is at the price of the step, on the side that the trailing order does not take.
        other.order("BUY", "0.1") if side == "BUY" else other.order("SELL", "0.1")
        assert desk.position()["positionAmt"] == amount, price


@pytest.mark.parametrize(("mode", "taker", "maker"), [
    ("EXPIRE_MAKER", "PARTIALLY_FILLED", "EXPIRED_IN_MATCH"), ("EXPIRE_TAKER", "EXPIRED_IN_MATCH", "NEW"),
    ("EXPIRE_BOTH", "EXPIRED_IN_MATCH", "EXPIRED_IN_MATCH"), ("NONE", "FILLED", "FILLED")])
def test_an_account_does_not_trade_with_itself_unless_it_wants_to(desks, mode, taker, maker):
    desk = desks["desk"]
    own = desk.order("SELL", "0.1", "60000")
    desks["maker"].order("SELL", "0.1", "60001")
    desk.events.take()
    assert desk.order("BUY", "0.2", "60001", selfTradePreventionMode=mode)["status"] == taker
    assert desk.call("GET", "/fapi/v1/order", symbol="BTCUSDT", orderId=str(own["orderId"]))["status"] == maker
    ends = [m["o"]["x"] for m in desk.events.take("ORDER_TRADE_UPDATE") if m["o"]["X"] == "EXPIRED_IN_MATCH"]
    assert ends == ["EXPIRED"] * [taker, maker].count("EXPIRED_IN_MATCH")


def test_an_order_is_good_till_its_date(venue, desk):
    until_ms = venue.now_ns() // MS_NS + 700_000
    placed = desk.order("BUY", "0.010", "59000", timeInForce="GTD", goodTillDate=str(until_ms))
    assert placed["goodTillDate"] == until_ms // 1000 * 1000
    venue.pass_time(690)
    assert desk.call("GET", "/fapi/v1/openOrder", symbol="BTCUSDT", orderId=str(placed["orderId"]))["status"] == "NEW"
    venue.pass_time(11)
    assert desk.call("GET", "/fapi/v1/order", symbol="BTCUSDT", orderId=str(placed["orderId"]))["status"] == "EXPIRED"


def test_close_position_closes_what_there_is_when_it_is_triggered(desks, desk):
    close = desk.order("SELL", "0", type="STOP_MARKET", stopPrice="59500", closePosition="true")
    assert (close["closePosition"], close["origQty"]) == (True, "0.000")
    desk.order("BUY", "2")
    desks["maker"].call("DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT")
    desks["maker"].order("BUY", "5", "59400")
    desks["other"].order("SELL", "0.1")
    assert desk.position()["positionAmt"] == "0.000"


def test_the_algo_endpoints_keep_conditional_orders_apart(desks, desk):
    desk.order("BUY", "1")
    desk.events.take()
    placed = desk.call("POST", "/fapi/v1/algoOrder", algoType="CONDITIONAL", symbol="BTCUSDT", side="SELL", type="STOP_MARKET",
                       quantity="1", triggerPrice="59500", clientAlgoId="algo-1", reduceOnly="true")
    assert (placed["algoStatus"], placed["triggerPrice"], placed["clientAlgoId"]) == ("NEW", "59500.00", "algo-1")
    assert desk.call("GET", "/fapi/v1/openOrders") == []
    assert [row["algoId"] for row in desk.call("GET", "/fapi/v1/openAlgoOrders")] == [placed["algoId"]]
    second = desk.call("POST", "/fapi/v1/algoOrder", algoType="CONDITIONAL", symbol="BTCUSDT", side="SELL", type="TAKE_PROFIT",
                       quantity="1", triggerPrice="61000", price="61000")
    assert desk.call("DELETE", "/fapi/v1/algoOrder", algoId=str(second["algoId"]))["algoStatus"] == "CANCELED"
    assert desk.refused("DELETE", "/fapi/v1/algoOrder", algoId=str(second["algoId"])) == -2011
    desks["maker"].call("DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT")
    desks["maker"].order("BUY", "5", "59400")
    desk.events.take("ALGO_UPDATE")
    desks["other"].order("SELL", "0.1")
    assert desk.position()["positionAmt"] == "0.000"
    messages = desk.events.take()
    assert [m["o"]["X"] for m in messages if m["e"] == "ALGO_UPDATE"] == ["TRIGGERING", "TRIGGERED", "FINISHED"]
    assert [m["o"]["x"] for m in messages if m["e"] == "ORDER_TRADE_UPDATE"] == ["NEW", "TRADE"]
    found = desk.call("GET", "/fapi/v1/algoOrder", clientAlgoId="algo-1")
    assert (found["algoStatus"], found["actualQty"], found["actualType"]) == ("FINISHED", "1.000", "MARKET")
    assert desk.call("GET", "/fapi/v1/order", symbol="BTCUSDT", orderId=found["actualOrderId"])["status"] == "FILLED"
    assert [row["algoStatus"] for row in desk.call("GET", "/fapi/v1/allAlgoOrders", symbol="BTCUSDT")] == ["FINISHED", "CANCELED"]


def test_an_algo_order_that_has_nothing_left_to_reduce_is_rejected_when_its_price_comes(desks, desk):
    desk.order("BUY", "1")
    desk.call("POST", "/fapi/v1/algoOrder", algoType="CONDITIONAL", symbol="BTCUSDT", side="SELL", type="STOP_MARKET", quantity="1",
              triggerPrice="59500", clientAlgoId="late", reduceOnly="true")
    desk.order("SELL", "1", reduceOnly="true")
    desks["maker"].call("DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT")
    desks["maker"].order("BUY", "5", "59400")
    desk.events.take()
    desks["other"].order("SELL", "0.1")
    assert desk.position()["positionAmt"] == "0.000"
    assert desk.call("GET", "/fapi/v1/algoOrder", clientAlgoId="late")["algoStatus"] == "REJECTED"
    last = desk.events.take("ALGO_UPDATE")[-1]["o"]
    assert (last["X"], last["rm"]) == ("REJECTED", "Reduce Only reject")


# ---- positions, settings, money

def test_a_round_trip_leaves_the_profit_in_the_wallet_less_the_fees(venue, desks, desk):
    before = conserved(venue)
    desk.order("BUY", "1")
    assert (desk.position()["entryPrice"], desk.position()["positionAmt"]) == ("60010.0", "1.000")
    desks["maker"].order("BUY", "1", "60500")
    closed = desk.order("SELL", "1")
    assert closed["avgPrice"] == "60500.00000"
    assert desk.call("GET", "/fapi/v1/userTrades", symbol="BTCUSDT")[-1]["realizedPnl"] == "490.00000000"
    assert desk.wallet()["balance"] == "100429.74500000"
    kinds = [(row["incomeType"], row["income"]) for row in desk.call("GET", "/fapi/v1/income")]
    assert kinds == [("TRANSFER", "100000.00000000"), ("COMMISSION", "-30.00500000"), ("COMMISSION", "-30.25000000"),
                     ("REALIZED_PNL", "490.00000000")]
    assert desk.call("GET", "/fapi/v1/income", incomeType="REALIZED_PNL")[0]["symbol"] == "BTCUSDT"
    assert conserved(venue) == before


def test_leverage_and_margin_type_are_set_and_told(desk):
    assert desk.call("POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage="10") == {
        "leverage": 10, "maxNotionalValue": "230000000", "symbol": "BTCUSDT"}
    assert desk.refused("POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage="126") == -4028
    assert desk.call("POST", "/fapi/v1/marginType", symbol="BTCUSDT", marginType="ISOLATED") == {"code": 200, "msg": "success"}
    assert desk.refused("POST", "/fapi/v1/marginType", symbol="BTCUSDT", marginType="ISOLATED") == -4046
    assert desk.events.take("ACCOUNT_CONFIG_UPDATE")[0]["ac"] == {"s": "BTCUSDT", "l": 10}
    desk.order("BUY", "1")
    row = desk.position()
    assert (row["marginType"], row["leverage"], row["isolatedWallet"]) == ("isolated", "10", "6001.00000000")
    assert desk.refused("POST", "/fapi/v1/marginType", symbol="BTCUSDT", marginType="CROSSED") == -4048
    added = desk.call("POST", "/fapi/v1/positionMargin", symbol="BTCUSDT", amount="100", type="1")
    assert added == {"code": 200, "msg": "Successfully modify position margin.", "amount": 100.0, "type": 1}
    assert desk.position()["isolatedWallet"] == "6101.00000000"
    assert desk.call("GET", "/fapi/v1/positionMargin/history", symbol="BTCUSDT")[0]["amount"] == "100.00000000"
    assert desk.refused("POST", "/fapi/v1/positionMargin", symbol="ETHUSDT", amount="100", type="1") in (-4049, -4054)
    assert desk.call("GET", "/fapi/v1/symbolConfig", symbol="BTCUSDT")[0]["marginType"] == "ISOLATED"


def test_hedge_mode_keeps_a_long_and_a_short(desk):
    assert desk.call("GET", "/fapi/v1/positionSide/dual") == {"dualSidePosition": False}
    desk.call("POST", "/fapi/v1/positionSide/dual", dualSidePosition="true")
    assert desk.refused("POST", "/fapi/v1/positionSide/dual", dualSidePosition="true") == -4059
    desk.order("BUY", "1", positionSide="LONG")
    desk.order("SELL", "2", positionSide="SHORT")
    assert (desk.position(side="LONG")["positionAmt"], desk.position(side="SHORT")["positionAmt"]) == ("1.000", "-2.000")
    assert desk.refused("POST", "/fapi/v1/positionSide/dual", dualSidePosition="false") == -4068
    desk.order("BUY", "2", positionSide="SHORT")
    desk.order("SELL", "1", positionSide="LONG")
    assert desk.call("GET", "/fapi/v3/positionRisk") == []


def test_multi_assets_mode_is_remembered(desk):
    assert desk.call("GET", "/fapi/v1/multiAssetsMargin") == {"multiAssetsMargin": False}
    desk.call("POST", "/fapi/v1/multiAssetsMargin", multiAssetsMargin="true")
    assert desk.refused("POST", "/fapi/v1/multiAssetsMargin", multiAssetsMargin="true") == -4171
    assert desk.refused("POST", "/fapi/v1/marginType", symbol="BTCUSDT", marginType="ISOLATED") == -4168
    assert desk.events.take("ACCOUNT_CONFIG_UPDATE")[0]["ai"] == {"j": True}


def test_funding_moves_money_between_long_and_short(venue, desks, desk):
    desk.order("BUY", "1")
    venue.pass_time(1)
    desk.events.take()
    before, wallet = conserved(venue), desk.wallet()["balance"]
    venue.marks.fund(venue.marks.of(venue.contracts["BTCUSDT"]), venue.now_ns(), 10_000)
    paid = desk.call("GET", "/fapi/v1/income", incomeType="FUNDING_FEE")[-1]
    assert float(paid["income"]) < -5.9
    assert float(desk.wallet()["balance"]) == pytest.approx(float(wallet) + float(paid["income"]), abs=1e-8)
    told = desk.events.take("ACCOUNT_UPDATE")[-1]["a"]
    assert (told["m"], told["B"][0]["bc"], told["P"]) == ("FUNDING_FEE", paid["income"], [])
    got = desks["maker"].call("GET", "/fapi/v1/income", incomeType="FUNDING_FEE")[-1]
    assert float(got["income"]) == pytest.approx(-float(paid["income"]), abs=1e-7)
    assert conserved(venue) == before
    rows = json.loads(json.dumps(venue.marks.funding_rows(0, 1 << 62, 10)))
    assert rows[-1]["fundingRate"] == "0.00010000"


def test_funding_comes_by_the_clock(venue, desk):
    desk.order("BUY", "1")
    venue.pass_time(1)
    price = venue.marks.of(venue.contracts["BTCUSDT"])
    due_ms = price.next_funding_ms
    assert due_ms % (8 * 3_600_000) == 0 and due_ms > START_NS // MS_NS
    venue.pass_time((due_ms - venue.now_ns() // MS_NS) / 1000 + 0.5)
    assert price.next_funding_ms == due_ms + 8 * 3_600_000
    assert [row["fundingTime"] for row in venue.marks.funding_rows(0, 1 << 62, 10, "BTCUSDT")] == [due_ms]
    assert desk.call("GET", "/fapi/v1/income", incomeType="FUNDING_FEE")[0]["income"].startswith("-")


def test_a_position_without_margin_is_closed_by_the_venue(venue, desks, desk):
    desk.call("POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage="50")
    desk.call("POST", "/fapi/v1/marginType", symbol="BTCUSDT", marginType="ISOLATED")
    desk.order("BUY", "1")
    desk.order("BUY", "0.010", "59000")
    venue.pass_time(1)
    before = conserved(venue)
    desk.events.take()
    venue.marks.pin("BTCUSDT", "59000")
    assert desk.position()["positionAmt"] == "0.000"
    assert desk.call("GET", "/fapi/v1/openOrders") == []
    forced = desk.call("GET", "/fapi/v1/forceOrders", symbol="BTCUSDT")
    assert forced[-1]["clientOrderId"].startswith("autoclose-")
    orders = [m["o"] for m in desk.events.take("ORDER_TRADE_UPDATE")]
    assert "CALCULATED" in {o["x"] for o in orders}
    assert sum(float(o["l"]) for o in orders if o["c"].startswith("autoclose-")) == pytest.approx(1)
    assert conserved(venue) == before


def test_a_margin_call_is_sent_before_the_liquidation(venue, desk):
    desk.call("POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage="100")
    desk.call("POST", "/fapi/v1/marginType", symbol="BTCUSDT", marginType="ISOLATED")
    desk.order("BUY", "1")
    liquidation = None
    for step in range(60):
        venue.marks.pin("BTCUSDT", str(60010 - 10 * step))
        venue.pass_time(0.3)
        messages = desk.events.take()
        kinds = [m["e"] for m in messages]
        if "MARGIN_CALL" in kinds:
            call = next(m for m in messages if m["e"] == "MARGIN_CALL")
            assert (call["p"][0]["s"], call["p"][0]["pa"], call["p"][0]["mt"]) == ("BTCUSDT", "1.000", "ISOLATED")
            liquidation = float(desk.position()["liquidationPrice"])
            break
    assert liquidation is not None
    assert liquidation < 60010 - 10 * step


def test_a_fill_is_told_in_its_order_lite_account_order(desk):
    desk.events.take()
    desk.order("BUY", "1", newClientOrderId="mine")
    messages = desk.events.take()
    assert [m["e"] for m in messages] == ["ORDER_TRADE_UPDATE", "TRADE_LITE", "ACCOUNT_UPDATE", "ORDER_TRADE_UPDATE"]
    new, lite, account, trade = messages
    assert (new["o"]["x"], trade["o"]["x"], trade["o"]["X"], trade["o"]["rp"]) == ("NEW", "TRADE", "FILLED", "0.00000000")
    assert (lite["c"], lite["L"], lite["l"], lite["i"]) == ("mine", "60010.00", "1.000", trade["o"]["i"])
    assert account["a"]["m"] == "ORDER"
    assert account["a"]["B"][0]["wb"] == "99969.99500000"
    assert (account["a"]["P"][0]["pa"], account["a"]["P"][0]["ep"]) == ("1.000", "60010.0")


def test_a_listen_key_is_renewed_and_ends(venue, desk):
    key = desk.call("POST", "/fapi/v1/listenKey")["listenKey"]
    assert desk.call("POST", "/fapi/v1/listenKey")["listenKey"] == key
    assert desk.call("PUT", "/fapi/v1/listenKey") == {}
    venue.pass_time(3601)
    assert desk.events.take("listenKeyExpired")[0]["listenKey"] == key
    assert desk.refused("PUT", "/fapi/v1/listenKey") == -1125
    assert desk.call("DELETE", "/fapi/v1/listenKey") == {}


def test_a_halted_contract_takes_cancels_only(venue, desk):
    placed = desk.order("BUY", "0.010", "59000")
    venue.contracts["BTCUSDT"].symbol.status = "HALT"
    params = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "1"}
    assert desk.refused("POST", "/fapi/v1/order", **params) == -4140
    assert desk.refused("PUT", "/fapi/v1/order", symbol="BTCUSDT", orderId=str(placed["orderId"]), side="BUY", quantity="0.01",
                        price="59001") == -5024
    assert desk.call("DELETE", "/fapi/v1/order", symbol="BTCUSDT", orderId=str(placed["orderId"]))["status"] == "CANCELED"


def test_limits_of_orders_are_the_account_s(venue):
    limited = make_venue(weight_per_min=2400, orders_per_10s=3, orders_per_min=12)
    desk = make_desks(limited)["desk"]
    for _ in range(3):
        desk.order("BUY", "0.010", "59000")
    assert desk.refused("POST", "/fapi/v1/order", symbol="BTCUSDT", side="BUY", type="MARKET", quantity="1") == -1015
