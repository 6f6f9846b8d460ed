"""Answers of USD-M futures about orders and fills, in the venue's fields and their order.

`order` is the order service's record; its `extra` is the Intent that it was made from (usdm_params.py).
Fields: developers.binance.com/docs/derivatives/usds-margined-futures, seen 2026-11-22.
"""
from tickpath_sim.trading.usdm_contracts import text_of

__all__ = ["ALGO_BASE", "algo_answer", "amendment", "fill_answer", "order_answer", "units_text"]

NS_PER_MS = 1_000_000
# Numbers of algo orders, apart from those of orders so that one is never taken for the other.
ALGO_BASE = 3_000_000_000_000_000


def units_text(units):
    """Money, 1e-8 of an asset, with its eight places."""
    return text_of(units, 8, 8)


def order_answer(order, *, time=False, cum_qty=True, modified=False):
    """An order as POST, PUT, DELETE and GET /fapi/v1/order give it.

    Parameters: time : queries also give when it was made, and no cumQty.  modified : the answer to an amendment.
    """
    intent = order.extra
    contract = intent.contract
    executed = contract.qty_text(order.cum_lots)
    price, stop = order.price_ticks, order.stop_ticks
    answer = {
        "orderId": order.order_id, "symbol": contract.name, "status": order.status, "clientOrderId": order.client_order_id,
        "price": contract.price_text(price) if price else contract.price_zero,
        "avgPrice": contract.average_text(order.cum_quote_units, order.cum_lots), "origQty": contract.qty_text(order.qty_lots),
        "executedQty": executed, "cumQty": executed, "cumQuote": contract.quote_text(order.cum_quote_units),
        "timeInForce": intent.tif, "type": type_now(intent) if intent.triggered else intent.type,
        "reduceOnly": intent.reduce_only or intent.close_position, "closePosition": intent.close_position,
        "side": "BUY" if intent.buy else "SELL", "positionSide": intent.position_side,
        "stopPrice": contract.price_text(stop) if stop else contract.price_zero,
        "workingType": "MARK_PRICE" if intent.mark else "CONTRACT_PRICE", "priceProtect": intent.price_protect,
        "origType": intent.type, "priceMatch": intent.price_match, "selfTradePreventionMode": intent.stp,
        "goodTillDate": intent.gtd_ms, "updateTime": order.updated_ns // NS_PER_MS}
    if not cum_qty:
        del answer["cumQty"]
    if time:
        answer["time"] = order.created_ns // NS_PER_MS
    if modified:
        answer["pair"], answer["cumBase"] = contract.name, executed
    if intent.type == "TRAILING_STOP_MARKET":
        answer["activatePrice"] = price_or_zero(contract, intent.activation_ticks)
        answer["priceRate"] = intent.callback_text
    return answer


def price_or_zero(contract, ticks):
    return contract.price_text(ticks) if ticks else contract.price_zero


def type_now(intent):
    """What the order is at present: a conditional order that was triggered is a market or limit order."""
    if not intent.triggered:
        return intent.type
    return "LIMIT" if intent.type in ("STOP", "TAKE_PROFIT") else "MARKET"


def fill_answer(fill, order):
    """A fill as GET /fapi/v1/userTrades gives it."""
    intent = order.extra
    contract = intent.contract
    return {"symbol": contract.name, "id": fill.trade_id, "orderId": order.order_id, "side": "BUY" if intent.buy else "SELL",
            "price": contract.price_text(fill.price_ticks), "qty": contract.qty_text(fill.qty_lots),
            "realizedPnl": units_text(fill.event.pnl_units), "marginAsset": contract.terms.quote,
            "quoteQty": contract.quote_text(fill.quote_units), "commission": units_text(fill.fee_units),
            "commissionAsset": contract.terms.quote, "time": fill.ts_ns // NS_PER_MS, "positionSide": intent.position_side,
            "buyer": intent.buy, "maker": fill.is_maker}


def algo_answer(order, *, placed=False, query=False):
    """A conditional order as the algo endpoints give it.

    Parameters: placed : answer to POST, with the trailing parameters.  query : with what has become of it.
    """
    intent = order.extra
    contract = intent.contract
    answer = {"algoId": intent.algo_id, "clientAlgoId": intent.client_order_id, "algoType": "CONDITIONAL",
              "orderType": intent.type, "symbol": contract.name, "side": "BUY" if intent.buy else "SELL",
              "positionSide": intent.position_side, "timeInForce": intent.tif, "quantity": contract.qty_text(intent.qty_lots),
              "algoStatus": intent.algo_status}
    if query:
        answer["actualOrderId"] = str(order.order_id) if intent.triggered else ""
        answer["actualPrice"] = contract.average_text(order.cum_quote_units, order.cum_lots) if order.cum_lots else "0.00000"
        if intent.triggered:
            answer |= {"actualQty": contract.qty_text(order.cum_lots), "actualType": type_now(intent)}
    answer |= {"triggerPrice": price_or_zero(contract, intent.stop_ticks), "price": price_or_zero(contract, intent.price_ticks),
               "icebergQuantity": None}
    if query:
        zero = text_of(0, 0, 3)
        answer |= {"tpTriggerPrice": zero, "tpPrice": zero, "slTriggerPrice": zero, "slPrice": zero, "tpOrderType": ""}
    answer |= {"selfTradePreventionMode": intent.stp, "workingType": "MARK_PRICE" if intent.mark else "CONTRACT_PRICE",
               "priceMatch": intent.price_match, "closePosition": intent.close_position, "priceProtect": intent.price_protect,
               "reduceOnly": intent.reduce_only or intent.close_position}
    if placed or intent.type == "TRAILING_STOP_MARKET":
        answer |= {"activatePrice": price_or_zero(contract, intent.activation_ticks) if intent.activation_ticks else "",
                   "callbackRate": intent.callback_text}
    answer |= {"createTime": order.created_ns // NS_PER_MS, "updateTime": order.updated_ns // NS_PER_MS,
               "triggerTime": intent.trigger_ms, "goodTillDate": intent.gtd_ms}
    return answer


def amendment(number, order, before, ts_ms):
    """One row of GET /fapi/v1/orderAmendment. `before` : (price in ticks, quantity in lots)."""
    intent = order.extra
    contract = intent.contract
    return {"amendmentId": number, "symbol": contract.name, "pair": contract.name, "orderId": order.order_id,
            "clientOrderId": order.client_order_id, "time": ts_ms, "amendment": {
                "price": {"before": contract.price_text(before[0]), "after": contract.price_text(order.price_ticks)},
                "origQty": {"before": contract.qty_text(before[1]), "after": contract.qty_text(order.qty_lots)},
                "count": intent.edits}, "priceMatch": intent.price_match}
