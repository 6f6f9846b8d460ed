"""Answers and events of the simulated USD-M futures against recorded ones, field by field: names, kinds, texts of numbers."""
import json

import pytest
from usdm_desk import make_desks, make_market, make_venue
from usdm_forms import DOCS, MOCK, RECORDED, differences, mock, samples

from tickpath_sim.trading.calls import Call
from tickpath_sim.trading.own_market import OwnMarket
from tickpath_sim.trading.usdm_account import margin_call

ENDPOINTS = "Endpoints/UsdFutures/"
SOCKET = "Socket/UsdFutures/"
EVENTS = "Subscriptions/UsdFutures/"
NAUTILUS = "crates/adapters/binance/test_data/futures/"
# Words of a sample that are numbers by chance, or may be either.
WORDS = ("clientOrderId", "info", "c", "caid", "clientAlgoId", "accountAlias", "positionSide", "activatePrice", "callbackRate",
         # The documentation writes it in quotes, the venue's own connector has an integer.
         "tranId",
         "actualOrderId", "ai", "act", "tradeId", "notionalCoef", "tpOrderType")


class Traded:
    """A venue where something of everything has happened, once for all tests of this module."""

    def __init__(self):
        self.venue = make_venue()
        self.desks = make_desks(self.venue)
        self.desk, self.maker = self.desks["desk"], self.desks["maker"]
        make_market(self.maker)
        desk = self.desk
        desk.call("POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage="4")
        self.filled = desk.order("BUY", "1", newClientOrderId="filled")
        self.venue.pass_time(1)
        self.resting = desk.order("BUY", "0.010", "59000", newClientOrderId="resting", timeInForce="GTC")
        self.trailing = desk.order("SELL", "1", type="TRAILING_STOP_MARKET", callbackRate="0.3", activationPrice="62000.1",
                                   reduceOnly="true")
        self.algo = desk.call("POST", "/fapi/v1/algoOrder", algoType="CONDITIONAL", symbol="BTCUSDT", side="SELL", quantity="0.01",
                              type="TAKE_PROFIT", triggerPrice="61000", price="61000")
        self.events = desk.events.take()
        desk.call("POST", "/fapi/v1/marginType", symbol="ETHUSDT", marginType="ISOLATED")
        make_eth(self.maker)
        desk.order("BUY", "1", symbol="ETHUSDT")
        desk.call("POST", "/fapi/v1/positionMargin", symbol="ETHUSDT", amount="23.36", type="1")
        self.venue.marks.fund(self.venue.marks.of(self.venue.contracts["BTCUSDT"]), self.venue.now_ns(), 10_000)
        self.venue.pass_time(1)

    def event(self, kind, **wanted):
        return next(m for m in self.events if m["e"] == kind and all(m["o"].get(k) == v for k, v in wanted.items()))

    def socket(self, method, **params):
        """The decoded result of a call of the WebSocket API by a session that is logged on."""
        call = Call(self.venue, self.venue.ws_routes[method], {"timestamp": str(self.venue.now_ns() // 10**6), **params},
                    self.venue.now_ns(), session=self)
        return json.loads(call.run(key=self.desk.key))


def make_eth(maker):
    maker.order("SELL", "5", "2999.5", symbol="ETHUSDT")
    maker.order("BUY", "5", "2999.3", symbol="ETHUSDT")


@pytest.fixture(scope="module")
def traded():
    return Traded()


@pytest.fixture(scope="module")
def docs(shared_data):
    return samples(shared_data(DOCS))


@pytest.fixture(scope="module")
def recorded(shared_data):
    return samples(shared_data(RECORDED))


ACCOUNT_CALLS = [
    ("Account/GetAccountInfo", "/fapi/v2/account", {}), ("Account/GetAccountInfoV3", "/fapi/v3/account", {}),
    ("Account/GetPositionInformation", "/fapi/v2/positionRisk", {"symbol": "BTCUSDT"}),
    ("Account/GetIncomeHistory", "/fapi/v1/income", {}),
    ("Account/GetMarginChangeHistory", "/fapi/v1/positionMargin/history", {"symbol": "ETHUSDT"}),
    ("Account/GetMultiAssetsMode", "/fapi/v1/multiAssetsMargin", {}), ("Account/GetBnbBurnStatus", "/fapi/v1/feeBurn", {}),
    ("Account/GetUserCommissionRate", "/fapi/v1/commissionRate", {"symbol": "BTCUSDT"}),
    ("Account/GetAccountConfiguration", "/fapi/v1/accountConfig", {}),
    ("Account/GetBrackets", "/fapi/v1/leverageBracket", {"symbol": "ETHUSDT"}),
    ("Account/GetPositionAdlQuantileEstimation", "/fapi/v1/adlQuantile", {}),
    ("Trading/GetPositions", "/fapi/v2/positionRisk", {"symbol": "BTCUSDT"}),
    ("Trading/GetUserTrades", "/fapi/v1/userTrades", {"symbol": "BTCUSDT"}),
    ("Trading/GetOpenOrders", "/fapi/v1/openOrders", {"symbol": "BTCUSDT"}),
    ("Trading/GetOpenConditionalOrders", "/fapi/v1/openAlgoOrders", {})]


@pytest.mark.parametrize(("name", "path", "params"), ACCOUNT_CALLS, ids=[name for name, *_ in ACCOUNT_CALLS])
def test_account_and_order_queries_have_the_recorded_form(traded, docs, name, path, params):
    sample = docs[f"{ENDPOINTS}{name}.txt"]
    ours = traded.desk.call("GET", path, **params)
    # activatePrice and priceRate come with trailing orders alone; the sample's legs are those of hedge mode.
    without = {"activatePrice", "priceRate"} if name.endswith("GetOpenOrders") else {"HEDGE"} if "Adl" in name else ()
    assert differences(sample, ours, without=without, words=WORDS) == []


def test_a_trailing_order_has_its_two_fields(traded, docs):
    for name in ("GetOrder", "GetOpenOrders"):
        sample = docs[f"{ENDPOINTS}Trading/{name}.txt"]
        ours = traded.desk.call("GET", "/fapi/v1/order", symbol="BTCUSDT", orderId=str(traded.trailing["orderId"]))
        assert differences(sample if name == "GetOrder" else sample[0], ours, words=WORDS) == []
    assert differences(docs[f"{ENDPOINTS}Trading/PlaceOrder.txt"], traded.trailing, words=WORDS) == []


def test_changes_and_cancels_have_the_recorded_form(traded, docs):
    desk = traded.desk
    order = desk.order("BUY", "0.010", "58000")
    change = {"symbol": "BTCUSDT", "orderId": str(order["orderId"]), "side": "BUY", "quantity": "0.010"}
    changed = desk.call("PUT", "/fapi/v1/order", price="58001", **change)
    assert differences(docs[f"{ENDPOINTS}Trading/EditOrder.txt"], changed, words=WORDS) == []
    rows = desk.call("GET", "/fapi/v1/orderAmendment", symbol="BTCUSDT", orderId=str(order["orderId"]))
    assert differences(docs[f"{ENDPOINTS}Trading/GetOrderEditHistory.txt"], rows, words=WORDS) == []
    legs = desk.call("PUT", "/fapi/v1/batchOrders", batchOrders=[{**change, "price": "58002"}, {**change, "side": "SELL", "price": "1"}])
    sample = docs[f"{ENDPOINTS}Trading/EditMultipleOrders.txt"]
    assert differences(sample[0], legs[0], words=WORDS) == [] and differences(sample[1], legs[1]) == []
    trailing = desk.order("SELL", "0.1", type="TRAILING_STOP_MARKET", callbackRate="0.3", activationPrice="62000", reduceOnly="true")
    gone = desk.call("DELETE", "/fapi/v1/order", symbol="BTCUSDT", orderId=str(trailing["orderId"]))
    assert differences(docs[f"{ENDPOINTS}Trading/CancelOrder.txt"], gone, words=WORDS) == []
    legs = desk.call("DELETE", "/fapi/v1/batchOrders", symbol="BTCUSDT", orderIdList=[order["orderId"], 1])
    sample = docs[f"{ENDPOINTS}Trading/CancelMultipleOrders.txt"]
    assert differences(sample[0], legs[0], without={"activatePrice", "priceRate"}, words=WORDS) == []
    assert legs[1] == sample[1]


def test_algo_answers_have_the_recorded_form(traded, docs):
    desk = traded.desk
    assert differences(docs[f"{ENDPOINTS}Trading/PlaceConditionalOrder.txt"], traded.algo, words=WORDS) == []
    order = desk.call("POST", "/fapi/v1/algoOrder", algoType="CONDITIONAL", symbol="BTCUSDT", side="SELL", quantity="0.01",
                      type="STOP_MARKET", triggerPrice="59000")
    gone = desk.call("DELETE", "/fapi/v1/algoOrder", algoId=str(order["algoId"]))
    assert differences(docs[f"{ENDPOINTS}Trading/CancelConditionalOrder.txt"], gone, words=WORDS) == []
    found = desk.call("GET", "/fapi/v1/algoOrder", algoId=str(order["algoId"]))
    sample = docs[f"{ENDPOINTS}Trading/GetConditionalOrder.txt"]
    assert differences(sample, found, without={"actualQty", "actualType"}, words=WORDS) == []


SETTINGS = [("ChangeInitialLeverage", "POST", "/fapi/v1/leverage", {"symbol": "SOLUSDT", "leverage": "21"}),
            ("SetMultiAssetsMode", "POST", "/fapi/v1/feeBurn", {"feeBurn": "true"}),
            ("ModifyPositionMargin", "POST", "/fapi/v1/positionMargin", {"symbol": "ETHUSDT", "amount": "10", "type": "1"}),
            ("StartUserStream", "POST", "/fapi/v1/listenKey", {}), ("KeepAliveUserStream", "PUT", "/fapi/v1/listenKey", {})]


@pytest.mark.parametrize(("name", "verb", "path", "params"), SETTINGS, ids=[name for name, *_ in SETTINGS])
def test_settings_answer_as_recorded(traded, docs, name, verb, path, params):
    assert differences(docs[f"{ENDPOINTS}Account/{name}.txt"], traded.desk.call(verb, path, **params), words=WORDS) == []


PUBLIC = [("GetMarkPrice", "/fapi/v1/premiumIndex", {"symbol": "BTCUSDT"}), ("GetFundingRates", "/fapi/v1/fundingRate", {}),
          ("GetOpenInterest", "/fapi/v1/openInterest", {"symbol": "BTCUSDT"}), ("GetServerTime", "/fapi/v1/time", {}),
          ("GetIndexPriceConstituents", "/fapi/v1/constituents", {"symbol": "BTCUSDT"})]


@pytest.mark.parametrize(("name", "path", "params"), PUBLIC, ids=[name for name, *_ in PUBLIC])
def test_public_answers_have_the_recorded_form(traded, docs, name, path, params):
    assert differences(docs[f"{ENDPOINTS}ExchangeData/{name}.txt"], traded.desk.call("GET", path, **params), words=WORDS) == []


def test_the_list_of_contracts_has_the_recorded_form(traded, shared_data):
    recorded = mock(shared_data(MOCK), "/fapi/v1/exchangeInfo")[0][1]
    ours = traded.desk.call("GET", "/fapi/v1/exchangeInfo")
    entry = next(row for row in recorded["symbols"] if row["symbol"] == "BTCUSDT")
    mine = next(row for row in ours["symbols"] if row["symbol"] == "BTCUSDT")
    assert differences(entry, mine) == []
    assert [f["filterType"] for f in mine["filters"]] == [f["filterType"] for f in entry["filters"]]
    for theirs, of_mine in zip(entry["filters"], mine["filters"], strict=True):
        assert set(of_mine) == set(theirs)
    assert differences({k: v for k, v in recorded.items() if k != "symbols"}, ours) == []


@pytest.fixture(scope="module")
def shown():
    """A desk of a venue whose public market is its own book, with some trades."""
    venue = make_venue()
    venue.market = OwnMarket(venue)
    venue.event_listeners.append(venue.market.on_events)
    desks = make_desks(venue)
    make_market(desks["maker"])
    make_eth(desks["maker"])
    for _ in range(3):
        desks["desk"].order("BUY", "0.5")
        desks["desk"].order("SELL", "0.4")
        desks["desk"].order("BUY", "0.5", symbol="ETHUSDT")
        venue.pass_time(61)
    venue.marks.fund(venue.marks.of(venue.contracts["BTCUSDT"]), venue.now_ns(), 10_000)
    return desks["desk"]


MARKET = [("depth", {"symbol": "BTCUSDT", "limit": "5"}), ("trades", {"symbol": "BTCUSDT"}), ("aggTrades", {"symbol": "BTCUSDT"}),
          ("klines", {"symbol": "BTCUSDT", "interval": "1m"}), ("ticker/24hr", {"symbol": "BTCUSDT"}), ("ticker/price", {}),
          ("ticker/price", {"symbol": "BTCUSDT"}), ("ticker/bookTicker", {"symbol": "BTCUSDT"}), ("ticker/bookTicker", {}),
          ("premiumIndex", {"symbol": "BTCUSDT"}), ("fundingRate", {"symbol": "BTCUSDT"}), ("fundingInfo", {}),
          ("openInterest", {"symbol": "BTCUSDT"}), ("time", {})]


@pytest.mark.parametrize(("name", "params"), MARKET, ids=[f"{n}{'-one' if 'symbol' in p else ''}" for n, p in MARKET])
def test_market_data_has_the_form_of_recorded_answers(shown, shared_data, name, params):
    path = f"/fapi/v1/{name}"
    recorded = [data for query, data in mock(shared_data(MOCK), path)
                if data and ("symbol=" in query) == ("symbol" in params) and not (isinstance(data, dict) and "code" in data)]
    assert recorded, f"no recorded answer to {path}"
    ours = shown.call("GET", path, **params)
    assert differences(recorded[0], ours, words=WORDS) == []
    if isinstance(ours, dict):
        # What the venue gives today beside what it gave then.
        assert set(ours) - set(recorded[0]) <= {"lastUpdateId", "E", "T", "time", "ps"}


def test_candles_of_mark_and_index_have_twelve_columns(shown):
    for path, params in (("markPriceKlines", {"symbol": "BTCUSDT"}), ("indexPriceKlines", {"pair": "BTCUSDT"}),
                         ("continuousKlines", {"pair": "BTCUSDT", "contractType": "PERPETUAL"})):
        rows = shown.call("GET", f"/fapi/v1/{path}", interval="1m", **params)
        assert rows and all(len(row) == 12 for row in rows)
        assert [row[0] for row in rows] == sorted({row[0] for row in rows})
        assert all(float(low) <= float(first) <= float(high) for _, first, high, low, *_ in rows)


SOCKET_CALLS = [("Account/GetAccountInfo", "v2/account.status", {}), ("Account/GetBalances", "v2/account.balance", {}),
                ("Trading/GetPositions", "v2/account.position", {"symbol": "BTCUSDT"})]


@pytest.mark.parametrize(("name", "method", "params"), SOCKET_CALLS, ids=[method for _, method, _ in SOCKET_CALLS])
def test_the_websocket_api_answers_as_recorded(traded, docs, name, method, params):
    assert differences(docs[f"{SOCKET}{name}.txt"]["result"], traded.socket(method, **params), words=WORDS) == []


def test_orders_over_the_websocket_api_answer_as_recorded(traded, docs):
    placed = traded.socket("order.place", symbol="BTCUSDT", side="BUY", type="LIMIT", timeInForce="GTC", quantity="0.100",
                           price="58100")
    assert differences(docs[f"{SOCKET}Trading/PlaceOrder.txt"]["result"], placed, words=WORDS) == []
    changed = traded.socket("order.modify", symbol="BTCUSDT", orderId=str(placed["orderId"]), side="BUY", quantity="0.110",
                            price="58100")
    assert differences(docs[f"{SOCKET}Trading/EditOrder.txt"]["result"], changed, words=WORDS) == []
    assert traded.socket("order.status", symbol="BTCUSDT", orderId=str(placed["orderId"]))["origQty"] == "0.110"
    gone = traded.socket("order.cancel", symbol="BTCUSDT", orderId=str(placed["orderId"]))
    assert differences(docs[f"{SOCKET}Trading/CancelOrder.txt"]["result"], gone, without={"activatePrice", "priceRate"},
                       words=WORDS) == []
    algo = traded.socket("algoOrder.place", algoType="CONDITIONAL", symbol="BTCUSDT", side="SELL", type="TAKE_PROFIT", quantity="1",
                         triggerprice="62000", price="63000")
    assert differences(docs[f"{SOCKET}Trading/PlaceConditionalOrder.txt"]["result"], algo, words=WORDS) == []


def test_public_messages_of_futures_have_the_recorded_form(docs, recorded):
    venue = make_venue()
    venue.market = OwnMarket(venue)
    desks = make_desks(venue)
    make_market(desks["maker"])
    desk = desks["desk"]
    desk.call("POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage="50")
    desk.call("POST", "/fapi/v1/marginType", symbol="BTCUSDT", marginType="ISOLATED")
    desk.order("BUY", "1")
    venue.pass_time(1)
    mark = json.loads(venue.market.text.mark_price("BTCUSDT", 1, *venue.market.paced.marks["BTCUSDT"]))
    assert differences(docs[f"{EVENTS}MarkPrice.txt"]["data"], mark, words=WORDS) == []
    venue.marks.pin("BTCUSDT", "59000")
    message = json.loads(venue.market.paced.liquidations["BTCUSDT"][1])
    assert differences(recorded[f"{NAUTILUS}market_data_json/liquidation_stream.json"], message, words=WORDS) == []
    assert (message["o"]["s"], message["o"]["S"], message["o"]["X"]) == ("BTCUSDT", "SELL", "FILLED")


def test_user_events_have_the_recorded_form(traded, docs, recorded):
    new = traded.event("ORDER_TRADE_UPDATE", o="TRAILING_STOP_MARKET")
    sample = docs[f"{EVENTS}OrderUpdate.txt"]["data"]
    # Commission fields come with a fill.
    assert differences(sample, new, without={"N", "n"}, words=WORDS) == []
    trade = traded.event("ORDER_TRADE_UPDATE", x="TRADE")
    sample = recorded[f"{NAUTILUS}user_data_json/order_update_trade.json"]
    assert differences(sample, trade, without={"AP", "cr"}, words=WORDS) == []
    lite = next(m for m in traded.events if m["e"] == "TRADE_LITE")
    assert differences(docs[f"{EVENTS}TradeUpdate.txt"]["data"], lite, words=WORDS) == []
    algo = traded.event("ALGO_UPDATE", X="NEW")
    assert differences(docs[f"{EVENTS}AlgoOrderUpdate.txt"]["data"], algo, without={"rm"}, words=WORDS) == []
    account = next(m for m in traded.events if m["e"] == "ACCOUNT_UPDATE")
    sample = recorded[f"{NAUTILUS}user_data_json/account_update.json"]
    assert differences(sample, account, words=WORDS) == []
    call = {"e": "MARGIN_CALL", "E": 1, **margin_call(
        traded.venue.statement(traded.desk.account), traded.venue.statement(traded.desk.account).positions())}
    assert differences(docs[f"{EVENTS}MarginUpdate.txt"]["data"], call, words=WORDS) == []
