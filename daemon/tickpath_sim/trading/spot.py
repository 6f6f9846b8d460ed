"""Binance spot: the tables of REST endpoints and of the WebSocket API's methods.

Paths, weights and parameters: github.com/binance/binance-spot-api-docs rest-api.md, web-socket-api.md, seen 2026-11-22.
"""
import json

from tickpath_sim import wire_json
from tickpath_sim.trading import order_lists as lists
from tickpath_sim.trading import public_answers, spot_account, spot_orders
from tickpath_sim.trading.calls import KEY, NONE, READ, STREAM, TRADE, Route
from tickpath_sim.trading.errors import VenueError
from tickpath_sim.trading.limits import Rate
from tickpath_sim.trading.spot_account import dumps
from tickpath_sim.trading.spot_orders import ORDER_PARAMETERS
from tickpath_sim.trading.venue import TradingVenue
from tickpath_sim.trading.ws_api import WsApiSession

__all__ = ["SpotVenue", "spot_rates"]

UNLIMITED = 1 << 40
PAGED = ("startTime", "endTime", "limit")
SYMBOLS = ("symbol", "symbols", "symbolStatus")
PUBLIC = {
    "depth": ("symbol", "limit", "symbolStatus"), "trades": ("symbol", "limit"),
    "historicalTrades": ("symbol", "limit", "fromId"),
    "aggTrades": ("symbol", "fromId", *PAGED), "klines": ("symbol", "interval", "timeZone", *PAGED),
    "uiKlines": ("symbol", "interval", "timeZone", *PAGED), "avgPrice": ("symbol",), "ticker/24hr": (*SYMBOLS, "type"),
    "ticker/tradingDay": (*SYMBOLS, "timeZone", "type"), "ticker/price": SYMBOLS, "ticker/bookTicker": SYMBOLS,
    "ticker": (*SYMBOLS, "windowSize", "type")}
WS_NAMES = {"trades": "trades.recent", "historicalTrades": "trades.historical", "aggTrades": "trades.aggregate",
            "ticker/24hr": "ticker.24hr", "ticker/tradingDay": "ticker.tradingDay", "ticker/price": "ticker.price",
            "ticker/bookTicker": "ticker.book"}
INFO = ("symbol", "symbols", "permissions", "showPermissionSets", "symbolStatus")
FIND = ("symbol", "orderId", "origClientOrderId")
CANCEL = (*FIND, "newClientOrderId", "cancelRestrictions")
REPLACE = (*ORDER_PARAMETERS, "cancelReplaceMode", "cancelNewClientOrderId", "cancelOrigClientOrderId", "cancelOrderId",
           "cancelRestrictions", "orderRateLimitExceededMode")


def spot_rates(weight_per_min=6000, orders_per_10s=100, orders_per_day=200_000, raw_per_5min=61_000):
    """The venue's limits; 0: none."""
    rates = [Rate("REQUEST_WEIGHT", 1, "MINUTE", weight_per_min or UNLIMITED)]
    if orders_per_10s:
        rates.append(Rate("ORDERS", 10, "SECOND", orders_per_10s))
    if orders_per_day:
        rates.append(Rate("ORDERS", 1, "DAY", orders_per_day))
    if raw_per_5min and weight_per_min:
        rates.append(Rate("RAW_REQUESTS", 5, "MINUTE", raw_per_5min))
    return rates


class SpotVenue(TradingVenue):
    """See TradingVenue."""
    kind = "spot"

    def routes(self):
        self._public()
        self._orders()
        self._account()
        self._wallet()
        self._session()

    def _add(self, verb, path, operation, handler, weight, security, parameters=(), orders=0, ws=True, prefix="/api/v3/"):
        route = Route(operation, handler, weight, security, parameters, orders)
        if verb is not None:
            self.rest_routes[verb, prefix + path] = route
        if ws:
            self.ws_routes[operation] = route

    # ---- market data

    def _public(self):
        self._add("GET", "ping", "ping", lambda call: b"{}", 1, NONE)
        self._add("GET", "time", "time", lambda call: b'{"serverTime":%d}' % call.time(call.now_ns), 1, NONE)
        self._add("GET", "exchangeInfo", "exchangeInfo", self._exchange_info, 20, NONE, INFO)
        for path, parameters in PUBLIC.items():
            answer = public_answers.ANSWERS[path]
            security = KEY if path == "historicalTrades" else NONE
            self._add("GET", path, WS_NAMES.get(path, path), self._public_handler(answer),
                      lambda call, answer=answer: public_answers.weight_of(answer, call.params, "spot"), security, parameters)

    def _public_handler(self, answer):
        def handler(call):
            return dumps(answer(self.market, call.params, call.now_ns // 1_000_000))
        return handler

    def _exchange_info(self, call):
        params = call.params
        if "symbol" in params and "symbols" in params:
            raise VenueError(-1128, "Combination of optional parameters invalid.")
        wanted = None
        if "symbol" in params:
            wanted = [params["symbol"]]
        elif "symbols" in params:
            try:
                wanted = wire_json.of_client(params["symbols"])
            except ValueError:
                wanted = None
            if not isinstance(wanted, list) or not all(isinstance(name, str) for name in wanted):
                raise VenueError(-1100, "Illegal characters found in parameter 'symbols'; legal range is "
                                        "'^\\[(\"[A-Z0-9-_.]{1,20}\"(,\"[A-Z0-9-_.]{1,20}\"){0,}){0,1}\\]$'.")
        listed = self.protocol.listed()
        if wanted is not None and any(name not in listed for name in wanted):
            raise VenueError(-1121, "Invalid symbol.")
        query = {} if wanted is None else {"symbols": json.dumps(wanted)}
        info = self.protocol.info(query)
        return dumps({"timezone": "UTC", "serverTime": call.time(call.now_ns), "rateLimits": self.limits.info(),
                      "exchangeFilters": [], "symbols": info["symbols"]})

    # ---- orders

    def _orders(self):
        add, h = self._add, spot_orders
        add("POST", "order", "order.place", h.order_place, 1, TRADE, ORDER_PARAMETERS, 1)
        add("POST", "order/test", "order.test", h.order_test, lambda c: 20 if "computeCommissionRates" in c.params else 1, TRADE,
            (*ORDER_PARAMETERS, "computeCommissionRates"))
        add("GET", "order", "order.status", h.order_status, 4, READ, FIND)
        add("DELETE", "order", "order.cancel", h.order_cancel, 1, TRADE, CANCEL)
        add("POST", "order/cancelReplace", "order.cancelReplace", h.order_cancel_replace, 1, TRADE, REPLACE, 1)
        add("PUT", "order/amend/keepPriority", "order.amend.keepPriority", h.order_amend, 4, TRADE,
            (*FIND, "newClientOrderId", "newQty"))
        add("GET", "order/amendments", "order.amendments", h.order_amendments, 4, READ,
            ("symbol", "orderId", "fromExecutionId", "limit"))
        add("GET", "openOrders", "openOrders.status", h.open_orders, lambda c: 6 if "symbol" in c.params else 80, READ,
            ("symbol",))
        add("DELETE", "openOrders", "openOrders.cancelAll", h.open_orders_cancel_all, 1, TRADE, ("symbol",))
        add("POST", "orderList/oco", "orderList.place.oco", lists.place_oco, 1, TRADE, lists.OCO, 2)
        add("POST", "order/oco", "orderList.place", lists.place_oco_legacy, 1, TRADE, lists.LEGACY, 2)
        add("DELETE", "orderList", "orderList.cancel", lists.cancel_list, 1, TRADE, lists.CANCEL)
        add("GET", "orderList", "orderList.status", lists.list_status, 4, READ, ("orderListId", "origClientOrderId"))
        add("GET", "openOrderList", "openOrderLists.status", lists.open_lists, 6, READ)
        add("GET", "allOrderList", "allOrderLists", lists.all_lists, 20, READ, ("fromId", *PAGED))
        self.orders.lists = lists.OrderLists(self)
        add("GET", "allOrders", "allOrders", h.all_orders, 20, READ, ("symbol", "orderId", *PAGED))
        add("GET", "myTrades", "myTrades", h.my_trades, lambda c: 5 if "orderId" in c.params else 20, READ,
            ("symbol", "orderId", "fromId", *PAGED))
        add("GET", "myPreventedMatches", "myPreventedMatches", h.my_prevented_matches,
            lambda c: 20 if "orderId" in c.params else 2, READ,
            ("symbol", "preventedMatchId", "orderId", "fromPreventedMatchId", "limit"))

    def _account(self):
        add, h = self._add, spot_account
        add("GET", "account", "account.status", h.account_status, 20, READ, ("omitZeroBalances",))
        add("GET", "account/commission", "account.commission", h.account_commission, 20, READ, ("symbol",))
        add("GET", "rateLimit/order", "account.rateLimits.orders", h.rate_limit_orders, 40, READ)
        add("GET", "myAllocations", "myAllocations", h.empty_list, 20, READ,
            ("symbol", "fromAllocationId", "orderId", *PAGED))
        add("POST", "userDataStream", "userDataStream.start", h.listen_key_create, 2, STREAM)
        add("PUT", "userDataStream", "userDataStream.ping", h.listen_key_keepalive, 2, STREAM, ("listenKey",))
        add("DELETE", "userDataStream", "userDataStream.stop", h.listen_key_close, 2, STREAM, ("listenKey",))

    def _wallet(self):
        def add(verb, path, handler, security=READ, parameters=()):
            self._add(verb, path, path, handler, 1, security, parameters, ws=False, prefix="/sapi/")
        h = spot_account
        add("GET", "v1/system/status", h.system_status, NONE)
        add("GET", "v1/capital/config/getall", h.coins)
        add("GET", "v1/asset/tradeFee", h.trade_fee, READ, ("symbol",))
        add("GET", "v1/asset/assetDetail", h.asset_detail, READ, ("asset",))
        add("POST", "v3/asset/getUserAsset", h.user_assets, READ, ("asset", "needBtcValuation"))
        add("GET", "v1/account/apiRestrictions", h.api_restrictions)
        add("GET", "v1/account/apiTradingStatus", h.api_trading_status)
        add("GET", "v1/account/status", h.wallet_account_status)
        add("GET", "v1/bnbBurn", h.bnb_burn)
        for path in ("v1/margin/allPairs", "v1/margin/isolated/allPairs", "v1/margin/allAssets"):
            # There is no margin trading here, so there are no pairs of it.
            add("GET", path, h.empty_list, KEY, ("symbol", "asset"))
        for path in ("v1/capital/deposit/hisrec", "v1/capital/withdraw/history"):
            add("GET", path, h.empty_list, READ, ("coin", "status", "offset", "includeSource", "withdrawOrderId", *PAGED))

    # ---- the WebSocket API

    def _session(self):
        def add(name, method, weight, security=NONE, parameters=()):
            self.ws_routes[name] = Route(name, method, weight, security, parameters)
        add("session.logon", lambda c: c.session.logon(c), 2)
        add("session.status", lambda c: c.session.status_text(c), 2)
        add("session.logout", lambda c: c.session.logout(c), 2)
        add("session.subscriptions", lambda c: c.session.list_subscriptions(c), 2)
        add("userDataStream.subscribe", lambda c: c.session.subscribe(c), 2)
        add("userDataStream.subscribe.signature", lambda c: c.session.subscribe_signed(c), 2, READ)
        add("userDataStream.unsubscribe", lambda c: c.session.unsubscribe(c), 2, NONE, ("subscriptionId",))

    def ws_session(self, connection, path, query):
        if path.rstrip("/") in ("/ws-api/v3", "/ws-api"):
            return WsApiSession(self.protocol, connection, self, query)
        return None
