"""Spot's order entry: parameters of an order to an OrderRequest, and the handlers of everything that concerns orders.

Parameters, mandatory ones by type, and response types: github.com/binance/binance-spot-api-docs rest-api.md "New order",
"Cancel an Existing Order and Send a New Order", "Order Amend Keep Priority", seen 2026-11-22.
"""
import re

from tickpath_sim.trading import errors, shapes
from tickpath_sim.trading.errors import VenueError, rejected
from tickpath_sim.trading.orders import BUY, SELL, OrderRequest
from tickpath_sim.trading.symbols import AMENDS_MAX, units_of

__all__ = ["ORDER_PARAMETERS", "parse_order"]

CLIENT_ID_RANGE = "^[a-zA-Z0-9-_]{1,36}$"
CLIENT_ID = re.compile(r"[a-zA-Z0-9_-]{1,36}")
SIDE_OF = {"BUY": BUY, "SELL": SELL}
MARKET, LIMIT, LIMIT_MAKER, STOP_MARKET, STOP_LIMIT, PROFIT_MARKET, PROFIT_LIMIT = range(1, 8)
GTC, IOC, FOK = 1, 3, 4
TYPE_OF = {"LIMIT": LIMIT, "MARKET": MARKET, "LIMIT_MAKER": LIMIT_MAKER, "STOP_LOSS": STOP_MARKET,
           "STOP_LOSS_LIMIT": STOP_LIMIT, "TAKE_PROFIT": PROFIT_MARKET, "TAKE_PROFIT_LIMIT": PROFIT_LIMIT}
TIF_OF = {"GTC": GTC, "IOC": IOC, "FOK": FOK}
STP_OF = {"NONE": 0, "EXPIRE_TAKER": 1, "EXPIRE_MAKER": 2, "EXPIRE_BOTH": 3, "DECREMENT": 4}
DEFAULT_STP = "EXPIRE_MAKER"
RESPONSES = frozenset({"ACK", "RESULT", "FULL"})
ORDER_PARAMETERS = ("symbol", "side", "type", "timeInForce", "quantity", "quoteOrderQty", "price", "newClientOrderId",
                    "strategyId", "strategyType", "stopPrice", "trailingDelta", "icebergQty", "newOrderRespType",
                    "selfTradePreventionMode")
# What a plain limit order may have; anything more takes the long way.
PLAIN_LIMIT = frozenset({"symbol", "side", "type", "timeInForce", "quantity", "price", "newClientOrderId", "newOrderRespType",
                         "selfTradePreventionMode", "timestamp", "recvWindow", "signature", "apiKey"})
WITH_PRICE = frozenset({"LIMIT", "LIMIT_MAKER", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"})
WITH_TIF = frozenset({"LIMIT", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"})
WITH_STOP = frozenset({"STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT"})
TRAILING_MIN, TRAILING_MAX = 10, 2000
STRATEGY_TYPE_MIN = 1_000_000


def parse_order(call):
    """The OrderRequest that a call's parameters make. Errors: VenueError."""
    params, orders = call.params, call.venue.orders
    symbol = call.venue.symbols.get(params.get("symbol")) or call.symbol()
    side_text, type_text = params.get("side"), params.get("type")
    side, order_type = SIDE_OF.get(side_text), TYPE_OF.get(type_text)
    if side is None:
        raise errors.mandatory("side") if side_text is None else VenueError(-1117, "Invalid side.")
    if order_type is None:
        raise errors.mandatory("type") if type_text is None else VenueError(-1116, "Invalid orderType.")
    tif_text = params.get("timeInForce")
    if tif_text is None:
        if type_text in WITH_TIF:
            raise errors.mandatory("timeInForce")
        tif = IOC if order_type == MARKET else GTC
    else:
        tif = TIF_OF.get(tif_text)
        if tif is None:
            raise VenueError(-1115, "Invalid timeInForce.")
        if type_text not in WITH_TIF:
            raise errors.not_required("timeInForce")
    price_text = params.get("price")
    if type_text in WITH_PRICE:
        if price_text is None:
            raise errors.mandatory("price")
        price_ticks = symbol.ticks_of(price_text)
        if not price_ticks:
            raise VenueError(-1013, "Invalid price.")
    elif price_text is not None:
        raise errors.not_required("price")
    else:
        price_ticks = 0
    qty_text, quote_units = params.get("quantity"), 0
    if "quoteOrderQty" in params:
        if order_type != MARKET:
            raise errors.not_required("quoteOrderQty")
        if qty_text is not None:
            raise VenueError(-1128, "Combination of optional parameters invalid.")
        quote_units, qty_lots = units_of("quoteOrderQty", params["quoteOrderQty"]), 0
        if not quote_units:
            raise VenueError(-1013, "Invalid quote order quantity.")
    elif qty_text is None:
        raise errors.either("quantity", "quoteOrderQty") if order_type == MARKET else errors.mandatory("quantity")
    else:
        qty_lots = symbol.lots_of(qty_text)
        if not qty_lots:
            raise VenueError(-1013, "Invalid quantity.")
    client_id = params.get("newClientOrderId")
    if client_id is None:
        client_id = orders.client_id()
    elif CLIENT_ID.fullmatch(client_id) is None:
        raise errors.illegal_chars("newClientOrderId", CLIENT_ID_RANGE)
    if not params.keys() <= PLAIN_LIMIT or order_type not in (LIMIT, MARKET, LIMIT_MAKER) or quote_units:
        return _with_more(call, symbol, side, order_type, tif, price_ticks, qty_lots, client_id, quote_units)
    stp = params.get("selfTradePreventionMode", DEFAULT_STP)
    submit = STP_SUBMITS.get(stp)
    if submit is None:
        raise errors.invalid("selfTradePreventionMode")
    return OrderRequest(symbol, side, order_type, tif, price_ticks, qty_lots, client_id, type_text, tif_text, submit, stp=stp)


STP_SUBMITS = {name: {"stp": number} for name, number in STP_OF.items()}


def _with_more(call, symbol, side, order_type, tif, price_ticks, qty_lots, client_id, quote_units):
    params, type_text = call.params, call.params["type"]
    stop_ticks = trailing_bips = iceberg_lots = 0
    if "stopPrice" in params:
        if type_text not in WITH_STOP:
            raise errors.not_required("stopPrice")
        stop_ticks = symbol.ticks_of(params["stopPrice"], "stopPrice")
        if not stop_ticks:
            raise VenueError(-1013, "Invalid stop price.")
    if "trailingDelta" in params:
        if type_text not in WITH_STOP:
            raise errors.not_required("trailingDelta")
        trailing_bips = call.integer("trailingDelta")
        if not TRAILING_MIN <= trailing_bips <= TRAILING_MAX:
            raise errors.filter_failure("TRAILING_DELTA")
    if type_text in WITH_STOP and not stop_ticks and not trailing_bips:
        raise errors.either("stopPrice", "trailingDelta")
    if "icebergQty" in params:
        if type_text not in WITH_PRICE:
            raise errors.not_required("icebergQty")
        iceberg_lots = symbol.lots_of(params["icebergQty"], "icebergQty")
        if iceberg_lots and tif != GTC:
            raise VenueError(-1014, "Unsupported order combination.")
        if iceberg_lots > qty_lots:
            raise rejected("IcebergQty exceeds QTY.")
    stp = params.get("selfTradePreventionMode", DEFAULT_STP)
    if stp not in STP_OF:
        raise errors.invalid("selfTradePreventionMode")
    strategy_id = call.integer("strategyId")
    strategy_type = call.integer("strategyType")
    if strategy_type is not None and strategy_type < STRATEGY_TYPE_MIN:
        raise VenueError(-1134, "`strategyType` was less than 1000000.")
    submit = {"stp": STP_OF[stp]}
    if quote_units:
        submit["quote_units"] = quote_units
    if trailing_bips:
        submit["trailing_bips"] = trailing_bips
        if stop_ticks:
            submit["activation_ticks"] = stop_ticks
    elif stop_ticks:
        submit["stop_ticks"] = stop_ticks
    if iceberg_lots:
        submit["iceberg_lots"] = iceberg_lots
    return OrderRequest(symbol, side, order_type, tif, price_ticks, qty_lots, client_id, type_text, params.get("timeInForce"),
                        submit, quote_units, stop_ticks, iceberg_lots, trailing_bips, stp, strategy_id, strategy_type)


# ---- handlers

ANSWERS = {"FULL": shapes.full_answer, "RESULT": shapes.result_answer, "ACK": shapes.ack_answer}


def response_type(params):
    wanted = params.get("newOrderRespType")
    if wanted is None:
        return "FULL" if params["type"] in ("LIMIT", "MARKET") else "ACK"
    if wanted not in RESPONSES:
        raise VenueError(-1130, "Data sent for parameter 'newOrderRespType' is not valid.")
    return wanted


def order_place(call):
    request = parse_order(call)
    answer = ANSWERS[response_type(call.params)]
    account = call.account
    if account.order_count.windows:
        account.order_count.take(1, call.now_ns)
    return answer(call.venue.orders.place(account, request, call.now_ns), call.unit_ns).encode()


def order_test(call):
    request = parse_order(call)
    response_type(call.params)
    call.venue.orders.check(call.account, request, call.now_ns)
    if not call.boolean("computeCommissionRates"):
        return b"{}"
    rates = commission_rates(call.account)
    return (f'{{"standardCommissionForOrder":{{"maker":"{rates["maker"]}","taker":"{rates["taker"]}"}},'
            f'"specialCommissionForOrder":{{"maker":"0.00000000","taker":"0.00000000"}},'
            f'"taxCommissionForOrder":{{"maker":"0.00000000","taker":"0.00000000"}},'
            f'"discount":{discount_of(call.account)}}}').encode()


def commission_rates(account):
    return {"maker": f"{account.maker_bps / 10_000:.8f}", "taker": f"{account.taker_bps / 10_000:.8f}"}


def discount_of(account):
    used = "true" if account.fee_asset else "false"
    return (f'{{"enabledForAccount":{used},"enabledForSymbol":true,"discountAsset":"{account.fee_asset or "BNB"}",'
            f'"discount":"{account.fee_discount:.8f}"}}')


def _ids(call, id_name="orderId", client_name="origClientOrderId"):
    order_id, client_id = call.integer(id_name), call.params.get(client_name)
    if order_id is None and client_id is None:
        raise errors.either(client_name, id_name)
    return order_id, client_id


def _check_restriction(call, order):
    """cancelRestrictions: cancel only an order that is still new, or only one that is partly filled."""
    wanted = call.params.get("cancelRestrictions")
    if wanted is None:
        return
    status = {"ONLY_NEW": "NEW", "ONLY_PARTIALLY_FILLED": "PARTIALLY_FILLED"}.get(wanted)
    if status is None:
        raise VenueError(-1145, "Invalid cancelRestrictions")
    if order is not None and order.is_open and order.status != status:
        raise VenueError(-2011, "Order was not canceled due to cancel restrictions.")


def _cancel(call, symbol, order_id, client_id, new_client_id):
    venue = call.venue
    order = venue.orders.find(call.account, symbol, order_id, client_id)
    _check_restriction(call, order)
    if order is not None and order.list_id >= 0 and order.is_open and venue.orders.lists is not None:
        # One leg of a list goes with the whole list.
        return venue.orders.lists.cancel(call.account, order.list_id, call.now_ns, new_client_id), None
    return venue.orders.cancel(call.account, order, call.now_ns, new_client_id)


def order_cancel(call):
    symbol = call.symbol()
    order_id, client_id = _ids(call)
    new_client_id = call.params.get("newClientOrderId")
    if new_client_id is not None and CLIENT_ID.fullmatch(new_client_id) is None:
        raise errors.illegal_chars("newClientOrderId", CLIENT_ID_RANGE)
    order, new_client_id = _cancel(call, symbol, order_id, client_id, new_client_id)
    if new_client_id is None:
        return list_answer(order, call.unit_ns)
    return shapes.cancel_answer(order, new_client_id, call.unit_ns).encode()


def list_answer(order_list, unit_ns):
    reports = [shapes.cancel_answer(order, order.client_order_id, unit_ns) for order in order_list.orders]
    return shapes.list_row(order_list, unit_ns, reports).encode()


def open_orders_cancel_all(call):
    symbol = call.symbol()
    orders = call.venue.orders
    if not orders.open_orders(call.account, symbol):
        raise VenueError(*errors.UNKNOWN_ORDER)
    texts, lists = [], set()
    for order, client_id in orders.cancel_all(call.account, symbol, call.now_ns):
        if order.list_id < 0:
            texts.append(shapes.cancel_answer(order, client_id, call.unit_ns))
        elif order.list_id not in lists:
            lists.add(order.list_id)
            texts.append(list_answer(orders.lists.by_id[order.list_id], call.unit_ns).decode())
    return f"[{','.join(texts)}]".encode()


def order_status(call):
    symbol = call.symbol()
    order_id, client_id = _ids(call)
    order = call.venue.orders.find(call.account, symbol, order_id, client_id)
    if order is None:
        raise VenueError(*errors.NO_SUCH_ORDER)
    return shapes.order_row(order, call.unit_ns).encode()


def _rows(orders, unit_ns):
    return f"[{','.join([shapes.order_row(order, unit_ns) for order in orders])}]".encode()


def open_orders(call):
    return _rows(call.venue.orders.open_orders(call.account, call.optional_symbol()), call.unit_ns)


def _page(call, rows, id_of, time_of, from_id):
    """Rows by limit, id and time as the venue pages: the latest, or from an id or a time on."""
    limit = min(call.integer("limit", 500, 1), 1000)
    start_ns, end_ns = call.instant_ns("startTime"), call.instant_ns("endTime")
    if start_ns is not None and end_ns is not None and not 0 <= end_ns - start_ns <= 86_400 * 10**9:
        raise VenueError(-1127, "More than 24 hours between startTime and endTime.")
    found = [row for row in rows
             if (from_id is None or id_of(row) >= from_id) and (start_ns is None or time_of(row) // 10**6 >= start_ns // 10**6)
             and (end_ns is None or time_of(row) <= end_ns + 999_999)]
    if from_id is not None or start_ns is not None:
        return found[:limit]
    return found[-limit:]


def all_orders(call):
    symbol = call.symbol()
    rows = call.venue.orders.history(call.account, symbol).values()
    return _rows(_page(call, rows, lambda o: o.order_id, lambda o: o.created_ns, call.integer("orderId")), call.unit_ns)


def my_trades(call):
    symbol = call.symbol()
    order_id, from_id = call.integer("orderId"), call.integer("fromId")
    fills = call.venue.orders.fills(call.account, symbol)
    if order_id is not None:
        fills = [fill for fill in fills if fill.order.order_id == order_id]
    fills = _page(call, fills, lambda f: f.trade_id, lambda f: f.ts_ns, from_id)
    return f"[{','.join([shapes.trade_row(fill, call.unit_ns) for fill in fills])}]".encode()


def my_prevented_matches(call):
    symbol = call.symbol()
    match_id, order_id = call.integer("preventedMatchId"), call.integer("orderId")
    if match_id is None and order_id is None:
        raise errors.either("preventedMatchId", "orderId")
    from_id = call.integer("fromPreventedMatchId", 0)
    limit = min(call.integer("limit", 500, 1), 1000)
    rows = [p for p in call.venue.orders.prevented
            if p.account is call.account and p.symbol is symbol and p.match_id >= from_id
            and (match_id is None or p.match_id == match_id)
            and (order_id is None or order_id in (p.taker_order_id, p.maker_order_id))][:limit]
    texts = []
    for p in rows:
        lots = "".join(f'"{name}PreventedQuantity":"{symbol.qty_text(value)}",'
                       for name, value in (("maker", p.maker_lots), ("taker", p.taker_lots)) if value)
        texts.append(f'{{"symbol":{symbol.json_name},"preventedMatchId":{p.match_id},"takerOrderId":{p.taker_order_id},'
                     f'"makerSymbol":{symbol.json_name},"makerOrderId":{p.maker_order_id},"tradeGroupId":{p.group_id},'
                     f'"selfTradePreventionMode":"{p.mode}","price":"{symbol.price_text(p.price_ticks)}",{lots}'
                     f'"transactTime":{p.ts_ns // call.unit_ns}}}')
    return f"[{','.join(texts)}]".encode()


# ---- cancel-replace and amendments

def _error_json(error):
    return f'{{"code":{error.code},"msg":"{error.msg}"}}'


def order_cancel_replace(call):
    params, venue, account = call.params, call.venue, call.account
    mode = params.get("cancelReplaceMode")
    if mode is None:
        raise errors.mandatory("cancelReplaceMode")
    if mode not in ("STOP_ON_FAILURE", "ALLOW_FAILURE"):
        raise errors.invalid("cancelReplaceMode")
    exceeded = params.get("orderRateLimitExceededMode", "DO_NOTHING")
    if exceeded not in ("DO_NOTHING", "CANCEL_ONLY"):
        raise errors.invalid("orderRateLimitExceededMode")
    order_id, client_id = call.integer("cancelOrderId"), params.get("cancelOrigClientOrderId")
    if order_id is None and client_id is None:
        raise errors.either("cancelOrigClientOrderId", "cancelOrderId")
    cancel_id = params.get("cancelNewClientOrderId")
    if cancel_id is not None and CLIENT_ID.fullmatch(cancel_id) is None:
        raise errors.illegal_chars("cancelNewClientOrderId", CLIENT_ID_RANGE)
    # The new order's parameters and filters are looked at before anything is cancelled.
    request = parse_order(call)
    answer = ANSWERS[response_type(params)]
    faults = call.faults
    try:
        account.order_count.take(1, call.now_ns)
    except VenueError:
        if exceeded == "DO_NOTHING":
            raise
        limited = True
    else:
        limited = False
    cancel = new = None
    cancel_text = new_text = "null"
    try:
        if faults is not None and faults.force_cancel is not None:
            raise VenueError(*faults.force_cancel)
        order, cancel_id = _cancel(call, request.symbol, order_id, client_id, cancel_id)
        cancel_text = shapes.cancel_answer(order, cancel_id, call.unit_ns) if cancel_id is not None else \
            list_answer(order, call.unit_ns).decode()
    except VenueError as e:
        cancel, cancel_text = e, _error_json(e)
    attempted = cancel is None or mode == "ALLOW_FAILURE"
    if limited:
        new = VenueError(-1015, "Too many new orders; current limit is "
                                f"{venue.limits.order_rates[0].limit} orders per 10 SECOND.")
        new_text = _error_json(new)
    elif attempted:
        try:
            if faults is not None and faults.force_new is not None:
                raise VenueError(*faults.force_new)
            new_text = answer(venue.orders.place(account, request, call.now_ns), call.unit_ns)
        except VenueError as e:
            new, new_text = e, _error_json(e)
    results = ("FAILURE" if cancel else "SUCCESS", "FAILURE" if new else "SUCCESS" if attempted else "NOT_ATTEMPTED")
    body = (f'{{"cancelResult":"{results[0]}","newOrderResult":"{results[1]}","cancelResponse":{cancel_text},'
            f'"newOrderResponse":{new_text}}}').encode()
    if results == ("SUCCESS", "SUCCESS"):
        return body
    if cancel is not None and results[1] != "SUCCESS":
        raise VenueError(-2022, "Order cancel-replace failed.", data=body)
    raise VenueError(-2021, "Order cancel-replace partially failed.", 409, data=body)


def order_amend(call):
    """Less quantity at the same price, without losing the place in the queue."""
    symbol, venue = call.symbol(), call.venue
    order_id, client_id = _ids(call)
    lots = symbol.lots_of(call.text("newQty"), "newQty")
    new_client_id = call.params.get("newClientOrderId")
    if new_client_id is not None and CLIENT_ID.fullmatch(new_client_id) is None:
        raise errors.illegal_chars("newClientOrderId", CLIENT_ID_RANGE)
    order = venue.orders.find(call.account, symbol, order_id, client_id)
    if order is None or not order.is_open:
        raise VenueError(*errors.NO_SUCH_ORDER)
    if lots >= order.qty_lots or lots <= order.cum_lots:
        raise VenueError(-2038, "Order amend (quantity increase) is not supported." if lots > order.qty_lots
                         else "The requested action would change no state; rejecting.")
    if len(order.amendments or ()) >= AMENDS_MAX:
        raise VenueError(-2038, "Filter failure: MAX_NUM_ORDER_AMENDS")
    if new_client_id is None:
        new_client_id = venue.orders.client_id()
    venue.orders.amend(call.account, order, lots, call.now_ns, client_order_id=new_client_id)
    return shapes.amend_answer(order, order.amendments[-1][1], call.unit_ns).encode()


def order_amendments(call):
    symbol = call.symbol()
    order = call.venue.orders.find(call.account, symbol, call.integer("orderId"))
    if order is None:
        raise VenueError(*errors.NO_SUCH_ORDER)
    limit, from_id = call.integer("limit", 500, 1, 1000), call.integer("fromExecutionId", 0)
    rows = [a for a in order.amendments or () if a[1] >= from_id][:limit]
    return ("[" + ",".join([
        f'{{"symbol":{symbol.json_name},"orderId":{order.order_id},"executionId":{execution},"origClientOrderId":"{before}",'
        f'"newClientOrderId":"{after or before}","origQty":"{symbol.qty_text(was)}","newQty":"{symbol.qty_text(now)}",'
        f'"time":{ts_ns // call.unit_ns}}}' for ts_ns, execution, before, after, was, now in rows]) + "]").encode()
