"""Order lists of the kind one-cancels-the-other: two orders of one side and quantity, of which at most one is carried out.

As soon as one leg trades or is triggered the other expires; with one that is cancelled the other goes too. Each leg has its
own funds locked (the venue locks them once). Source: github.com/binance/binance-spot-api-docs rest-api.md "New Order List - OCO",
seen 2026-11-22.
"""
from tickpath_sim.trading import errors, shapes
from tickpath_sim.trading.calls import Call
from tickpath_sim.trading.errors import VenueError, rejected
from tickpath_sim.trading.orders import BUY
from tickpath_sim.trading.spot_orders import ANSWERS, CLIENT_ID, CLIENT_ID_RANGE, list_answer, parse_order, response_type

__all__ = ["CANCEL", "LEGACY", "OCO", "OrderLists"]

LEG = ("Type", "ClientOrderId", "IcebergQty", "Price", "StopPrice", "TrailingDelta", "TimeInForce", "StrategyId", "StrategyType")
COMMON = ("symbol", "side", "quantity", "listClientOrderId", "newOrderRespType", "selfTradePreventionMode")
OCO = (*COMMON, *(side + name for side in ("above", "below") for name in LEG))
LEGACY = (*COMMON, "limitClientOrderId", "price", "limitIcebergQty", "limitStrategyId", "limitStrategyType", "trailingDelta",
          "stopClientOrderId", "stopPrice", "stopLimitPrice", "stopIcebergQty", "stopLimitTimeInForce", "stopStrategyId",
          "stopStrategyType")
CANCEL = ("symbol", "orderListId", "listClientOrderId", "newClientOrderId")
STOPS = frozenset({"STOP_LOSS", "STOP_LOSS_LIMIT"})
LIMITS = frozenset({"LIMIT_MAKER", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT"})
LISTS_MAX = 10_000
NAMES = {"ClientOrderId": "newClientOrderId", "IcebergQty": "icebergQty", "Price": "price", "StopPrice": "stopPrice",
         "TrailingDelta": "trailingDelta", "TimeInForce": "timeInForce", "StrategyId": "strategyId",
         "StrategyType": "strategyType", "Type": "type"}


class OrderList:
    __slots__ = ("list_id", "client_id", "account", "symbol", "orders", "status_type", "status", "updated_ns", "decided")

    def __init__(self, list_id, client_id, account, symbol, now_ns):
        self.list_id, self.client_id, self.account, self.symbol, self.updated_ns = list_id, client_id, account, symbol, now_ns
        self.orders = []
        self.decided = None                 # the leg that traded, was triggered or ended first
        self.status_type, self.status = "EXEC_STARTED", "EXECUTING"


class OrderLists:
    """Parameters: venue : TradingVenue."""

    def __init__(self, venue):
        self.venue, self.orders = venue, venue.orders
        self.by_id = {}
        self.due = []                       # (order that decided, whether its sibling expires) since the events were heard
        self.next_id = 0

    # ---- placing

    def place(self, call, legs):
        """Place two orders, texts of their parameters given; returns the OrderList. Errors: VenueError, and nothing is placed."""
        account, params, now_ns = call.account, call.params, call.now_ns
        client_id = params.get("listClientOrderId")
        if client_id is None:
            client_id = self.orders.client_id()
        elif CLIENT_ID.fullmatch(client_id) is None:
            raise errors.illegal_chars("listClientOrderId", CLIENT_ID_RANGE)
        if any(found.client_id == client_id and found.account is account and found.status == "EXECUTING"
               for found in self.by_id.values()):
            raise rejected(errors.DUPLICATE)
        requests = []
        for leg in legs:
            part = Call(self.venue, call.route, leg, now_ns)
            requests.append(parse_order(part))
        self._check(requests)
        if account.order_count.windows:
            account.order_count.take(2, now_ns)
        for request in requests:
            self.orders.check(account, request, now_ns)
        order_list = OrderList(self.next_id, client_id, account, requests[0].symbol, now_ns)
        self.next_id += 1
        self.by_id[order_list.list_id] = order_list
        if len(self.by_id) > LISTS_MAX:
            del self.by_id[next(iter(self.by_id))]
        for request in requests:
            request.list_id = order_list.list_id
        try:
            # The leg that waits goes first: nothing can happen to it yet.
            for request in sorted(requests, key=lambda r: r.type not in STOPS):
                order_list.orders.append(self.orders.place(account, request, now_ns))
        except VenueError:
            del self.by_id[order_list.list_id]
            for order in order_list.orders:
                order.list_id = -1
                self.orders.cancel(account, order, now_ns)
            raise
        self._tell(order_list)
        return order_list

    def _check(self, requests):
        above, below = requests
        if above.type not in STOPS | LIMITS or below.type not in STOPS | LIMITS:
            raise VenueError(-1158, "Order type not supported in OCO.")
        buy = above.side == BUY
        stop, limit = (above, below) if buy else (below, above)
        if stop.type not in STOPS:
            raise VenueError(-1196, "A stop loss order in a buy OCO must be above.") if buy else \
                VenueError(-1197, "A stop loss order in a sell OCO must be below.")
        if limit.type not in LIMITS:
            raise VenueError(-1165, "A limit order in a buy OCO must be below.") if buy else \
                VenueError(-1166, "A limit order in a sell OCO must be above.")
        last = self.venue.exchange.last_price(above.symbol.index)
        prices = [request.stop_ticks or request.price_ticks for request in (above, below)]
        if last is not None and not prices[0] > last > prices[1] and stop.stop_ticks:
            raise rejected("The relationship of the prices for the orders is not correct.")

    # ---- cancelling

    def find(self, call, client_name):
        """The list that the parameters name. Errors: VenueError."""
        list_id, client_id = call.integer("orderListId"), call.params.get(client_name)
        if list_id is None and client_id is None:
            raise errors.either(client_name, "orderListId")
        for found in ([self.by_id.get(list_id)] if list_id is not None else reversed(self.by_id.values())):
            if found is not None and found.account is call.account and client_id in (None, found.client_id):
                return found
        return None

    def cancel(self, account, list_id, now_ns, client_id=None):
        """Cancel both legs. Errors: VenueError -2011."""
        found = self.by_id.get(list_id)
        if found is None or found.account is not account or found.status != "EXECUTING":
            raise VenueError(*errors.UNKNOWN_ORDER)
        for order in found.orders:
            if order.is_open:
                self.orders.cancel(account, order, now_ns, client_id)
        return found

    # ---- what happens to the legs

    def traded(self, order, ts_ns):
        self.due.append((order, True))

    def ended(self, order, ts_ns):
        self.due.append((order, order.status != "CANCELED"))

    def work(self):
        """After a batch of events: end the siblings of the legs that have decided."""
        due, self.due = self.due, []
        for order, expires in due:
            found = self.by_id.get(order.list_id)
            if found is None or found.status != "EXECUTING":
                continue
            if found.decided is None:
                found.decided = order
            for sibling in found.orders:
                # The leg that decided is not ended by the end of the other.
                if sibling is not order and sibling is not found.decided and sibling.is_open:
                    if expires:
                        self.orders.expire(sibling, "EXPIRED")
                    else:
                        self.venue.exchange.cancel(found.account.number, sibling.sim_id, self.venue.now_ns())
                        self.venue.settle()
            if len(found.orders) == 2 and not any(o.is_open for o in found.orders) and found.status == "EXECUTING":
                found.status_type = found.status = "ALL_DONE"
                found.updated_ns = self.venue.now_ns()
                self._tell(found)

    def _tell(self, order_list):
        account = order_list.account
        if account.subscriptions:
            now_ns = self.venue.now_ns()
            self.venue.users.send(account, "listStatus", lambda unit_ns: shapes.list_status(order_list, now_ns, unit_ns))


# ---- handlers

def _answer(call, order_list):
    params = {"type": "LIMIT", **call.params}
    answer = ANSWERS[response_type(params)] if "newOrderRespType" in params else ANSWERS["RESULT"]
    return shapes.list_row(order_list, call.unit_ns, [answer(order, call.unit_ns) for order in order_list.orders]).encode()


def _shared(params):
    return {name: params[name] for name in ("symbol", "side", "quantity", "selfTradePreventionMode") if name in params}


def place_oco(call):
    params, legs = call.params, []
    for side in ("above", "below"):
        if side + "Type" not in params:
            raise errors.mandatory(side + "Type")
        legs.append({**_shared(params), **{NAMES[name]: params[side + name] for name in LEG if side + name in params}})
    return _answer(call, call.venue.orders.lists.place(call, legs))


def place_oco_legacy(call):
    params = call.params
    for name in ("side", "quantity", "price", "stopPrice"):
        if name not in params:
            raise errors.mandatory(name)
    limit, stop = {**_shared(params), "type": "LIMIT_MAKER", "price": params["price"]}, _shared(params)
    stop.update(type="STOP_LOSS", stopPrice=params["stopPrice"])
    if "stopLimitPrice" in params:
        stop.update(type="STOP_LOSS_LIMIT", price=params["stopLimitPrice"], timeInForce=params.get("stopLimitTimeInForce", "GTC"))
    for leg, prefix in ((limit, "limit"), (stop, "stop")):
        for name in ("ClientOrderId", "IcebergQty", "StrategyId", "StrategyType"):
            if prefix + name in params:
                leg[NAMES[name]] = params[prefix + name]
    if "trailingDelta" in params:
        stop["trailingDelta"] = params["trailingDelta"]
    legs = [stop, limit] if params["side"] == "BUY" else [limit, stop]
    return _answer(call, call.venue.orders.lists.place(call, legs))


def cancel_list(call):
    call.symbol()
    found = call.venue.orders.lists.find(call, "listClientOrderId")
    if found is None:
        raise VenueError(*errors.UNKNOWN_ORDER)
    return list_answer(call.venue.orders.lists.cancel(call.account, found.list_id, call.now_ns,
                                                      call.params.get("newClientOrderId")), call.unit_ns)


def list_status(call):
    found = call.venue.orders.lists.find(call, "origClientOrderId")
    if found is None:
        raise VenueError(-2018, "Order list does not exist.")
    return shapes.list_row(found, call.unit_ns).encode()


def _rows(call, lists):
    return f"[{','.join([shapes.list_row(found, call.unit_ns) for found in lists])}]".encode()


def open_lists(call):
    lists = call.venue.orders.lists.by_id.values()
    return _rows(call, [found for found in lists if found.account is call.account and found.status == "EXECUTING"])


def all_lists(call):
    from_id, limit = call.integer("fromId", 0), min(call.integer("limit", 500, 1), 1000)
    start_ns, end_ns = call.instant_ns("startTime") or 0, call.instant_ns("endTime") or 1 << 63
    found = [row for row in call.venue.orders.lists.by_id.values() if row.account is call.account and row.list_id >= from_id
             and start_ns <= row.updated_ns <= end_ns]
    return _rows(call, found[:limit] if from_id or start_ns else found[-limit:])
