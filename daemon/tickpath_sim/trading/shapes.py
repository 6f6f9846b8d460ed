"""Spot's answers and events as JSON text, in the venue's order of fields.

Everything that is put in has been checked or made here: no text needs escaping. Field lists: github.com/binance/
binance-spot-api-docs rest-api.md, user-data-stream.md "Conditional fields in Execution Report", seen 2026-11-22.
"""
from tickpath_sim.trading.orders import BUY, OPEN, SIDES
from tickpath_sim.trading.symbols import text_of

__all__ = ["ack_answer", "amend_answer", "cancel_answer", "full_answer", "order_row", "result_answer", "execution_report",
           "account_position", "balance_update", "trade_row"]

ZERO = "0.00000000"


def _conditional(order, unit_ns, shown=False):
    """Fields that an order has only when they mean something, as they follow the others. `shown`: two are there already."""
    symbol, text = order.symbol, ""
    if order.stop_ticks and not shown:
        text += f',"stopPrice":"{symbol.prices[order.stop_ticks]}"'
    if order.trailing_bips:
        text += f',"trailingDelta":{order.trailing_bips},"trailingTime":{_time(order.trailing_ns, unit_ns)}'
    if order.iceberg_lots and not shown:
        text += f',"icebergQty":"{symbol.qtys[order.iceberg_lots]}"'
    if order.strategy_id is not None:
        text += f',"strategyId":{order.strategy_id}'
    if order.strategy_type is not None:
        text += f',"strategyType":{order.strategy_type}'
    if order.prevented_lots:
        text += f',"preventedMatchId":{order.prevented_id},"preventedQuantity":"{symbol.qtys[order.prevented_lots]}"'
    return text


def _is_plain(order):
    return not (order.stop_ticks or order.trailing_bips or order.iceberg_lots or order.strategy_id is not None
                or order.strategy_type is not None or order.prevented_lots)


def _time(ns, unit_ns):
    return ns // unit_ns if ns > 0 else -1


def ack_answer(order, unit_ns):
    return (f'{{"symbol":{order.symbol.json_name},"orderId":{order.order_id},"orderListId":{order.list_id},'
            f'"clientOrderId":"{order.client_order_id}","transactTime":{order.updated_ns // unit_ns}}}')


def _result(order, unit_ns, client, time_ns):
    symbol, asset = order.symbol, order.symbol.quote
    quote = asset.text(order.quote_units) if order.quote_units else ZERO
    cum = asset.text(order.cum_quote_units) if order.cum_quote_units else ZERO
    return (f'{{"symbol":{symbol.json_name},{client}"orderId":{order.order_id},"orderListId":{order.list_id},'
            f'"clientOrderId":"%s","transactTime":{time_ns // unit_ns},"price":"{symbol.prices[order.price_ticks]}",'
            f'"origQty":"{symbol.qtys[order.qty_lots]}","executedQty":"{symbol.qtys[order.cum_lots]}",'
            f'"origQuoteOrderQty":"{quote}","cummulativeQuoteQty":"{cum}","status":"{order.status}",'
            f'"timeInForce":"{order.tif or "GTC"}","type":"{order.type}","side":"{SIDES[order.side]}"'
            f'{"" if _is_plain(order) else _conditional(order, unit_ns)}')


def result_answer(order, unit_ns, tail="}"):
    return (_result(order, unit_ns, "", order.created_ns) % order.client_order_id
            + f',"workingTime":{_time(order.working_ns, unit_ns)},"selfTradePreventionMode":"{order.stp}"{tail}')


def fill_row(fill):
    symbol = fill.order.symbol
    return (f'{{"price":"{symbol.prices[fill.price_ticks]}","qty":"{symbol.qtys[fill.qty_lots]}",'
            f'"commission":"{fill.fee_asset.text(fill.fee_units)}","commissionAsset":"{fill.fee_asset.name}",'
            f'"tradeId":{fill.trade_id}}}')


def full_answer(order, unit_ns):
    """As `result_answer`, and the order's fills so far."""
    fills = order.fills
    rows = "" if not fills else fill_row(fills[0]) if len(fills) == 1 else ",".join([fill_row(fill) for fill in fills])
    if not _is_plain(order):
        return result_answer(order, unit_ns, f',"fills":[{rows}]}}')
    # The usual one in one piece.
    symbol, quote_units = order.symbol, order.cum_quote_units
    return (f'{{"symbol":{symbol.json_name},"orderId":{order.order_id},"orderListId":{order.list_id},'
            f'"clientOrderId":"{order.client_order_id}","transactTime":{order.created_ns // unit_ns},'
            f'"price":"{symbol.prices[order.price_ticks]}","origQty":"{symbol.qtys[order.qty_lots]}",'
            f'"executedQty":"{symbol.qtys[order.cum_lots]}",'
            f'"origQuoteOrderQty":"{text_of(order.quote_units) if order.quote_units else ZERO}",'
            f'"cummulativeQuoteQty":"{text_of(quote_units) if quote_units else ZERO}","status":"{order.status}",'
            f'"timeInForce":"{order.tif or "GTC"}","type":"{order.type}","side":"{SIDES[order.side]}",'
            f'"workingTime":{order.working_ns // unit_ns or -1},"selfTradePreventionMode":"{order.stp}","fills":[{rows}]}}')


def cancel_answer(order, client_order_id, unit_ns):
    """The answer to a cancel, whose own client id comes beside the order's."""
    return (_result(order, unit_ns, f'"origClientOrderId":"{order.client_order_id}",', order.updated_ns) % client_order_id
            + f',"selfTradePreventionMode":"{order.stp}"}}')


def order_row(order, unit_ns):
    """An order as order.status, openOrders and allOrders give it."""
    symbol, asset = order.symbol, order.symbol.quote
    text = "" if _is_plain(order) else _conditional(order, unit_ns, shown=True)
    working = "true" if order.working_ns else "false"
    return (f'{{"symbol":{symbol.json_name},"orderId":{order.order_id},"orderListId":{order.list_id},'
            f'"clientOrderId":"{order.client_order_id}","price":"{symbol.prices[order.price_ticks]}",'
            f'"origQty":"{symbol.qtys[order.qty_lots]}","executedQty":"{symbol.qtys[order.cum_lots]}",'
            f'"cummulativeQuoteQty":"{asset.text(order.cum_quote_units)}","status":"{order.status}",'
            f'"timeInForce":"{order.tif or "GTC"}","type":"{order.type}","side":"{SIDES[order.side]}",'
            f'"stopPrice":"{symbol.prices[order.stop_ticks]}","icebergQty":"{symbol.qtys[order.iceberg_lots]}",'
            f'"time":{order.created_ns // unit_ns},"updateTime":{order.updated_ns // unit_ns},"isWorking":{working},'
            f'"workingTime":{_time(order.working_ns, unit_ns)},"origQuoteOrderQty":"{asset.text(order.quote_units)}",'
            f'"selfTradePreventionMode":"{order.stp}"{text}}}')


def amend_answer(order, execution_id, unit_ns):
    """The answer to an amendment that keeps the order's place."""
    symbol = order.symbol
    return (f'{{"transactTime":{order.updated_ns // unit_ns},"executionId":{execution_id},"amendedOrder":'
            f'{{"symbol":{symbol.json_name},"orderId":{order.order_id},"orderListId":{order.list_id},'
            f'"origClientOrderId":"{order.amendments[-1][2]}","clientOrderId":"{order.client_order_id}",'
            f'"price":"{symbol.prices[order.price_ticks]}","qty":"{symbol.qtys[order.qty_lots]}",'
            f'"executedQty":"{symbol.qtys[order.cum_lots]}","preventedQty":"{symbol.qtys[order.prevented_lots]}",'
            f'"quoteOrderQty":"{symbol.quote.text(order.quote_units)}",'
            f'"cumulativeQuoteQty":"{symbol.quote.text(order.cum_quote_units)}","status":"{order.status}",'
            f'"timeInForce":"{order.tif or "GTC"}","type":"{order.type}","side":"{SIDES[order.side]}",'
            f'"workingTime":{_time(order.working_ns, unit_ns)},"selfTradePreventionMode":"{order.stp}"}}}}')


def trade_row(fill, unit_ns):
    """A row of myTrades."""
    order, symbol = fill.order, fill.order.symbol
    buyer = "true" if order.side == BUY else "false"
    maker = "true" if fill.is_maker else "false"
    return (f'{{"symbol":{symbol.json_name},"id":{fill.trade_id},"orderId":{order.order_id},"orderListId":{order.list_id},'
            f'"price":"{symbol.prices[fill.price_ticks]}","qty":"{symbol.qtys[fill.qty_lots]}",'
            f'"quoteQty":"{symbol.quote.text(fill.quote_units)}","commission":"{fill.fee_asset.text(fill.fee_units)}",'
            f'"commissionAsset":"{fill.fee_asset.name}","time":{fill.ts_ns // unit_ns},"isBuyer":{buyer},"isMaker":{maker},'
            f'"isBestMatch":true}}')


# ---- user data

def execution_report(order, execution, fill, event, client_order_id, now_ns, unit_ns):
    """An executionReport. `client_order_id`: of the cancel or the amendment, where it has one of its own."""
    symbol, asset = order.symbol, order.symbol.quote
    if execution == "REPLACED":
        client, original = order.client_order_id, client_order_id or ""
    else:
        client, original = (order.client_order_id, "") if client_order_id is None else (client_order_id, order.client_order_id)
    if fill is None:
        last, last_price, last_quote, fee, fee_asset, trade_id, maker = ZERO, ZERO, ZERO, "0", "null", -1, "false"
    else:
        last, last_price = symbol.qtys[fill.qty_lots], symbol.prices[fill.price_ticks]
        last_quote, fee = asset.text(fill.quote_units), fill.fee_asset.text(fill.fee_units)
        fee_asset, trade_id = f'"{fill.fee_asset.name}"', fill.trade_id
        maker = "true" if fill.is_maker else "false"
    on_book = "true" if order.working_ns and order.status in OPEN else "false"
    text = (f'{{"e":"executionReport","E":{now_ns // unit_ns},"s":{symbol.json_name},"c":"{client}","S":"{SIDES[order.side]}",'
            f'"o":"{order.type}","f":"{order.tif or "GTC"}","q":"{symbol.qtys[order.qty_lots]}",'
            f'"p":"{symbol.prices[order.price_ticks]}","P":"{symbol.prices[order.stop_ticks]}",'
            f'"F":"{symbol.qtys[order.iceberg_lots]}","g":{order.list_id},"C":"{original}","x":"{execution}",'
            f'"X":"{order.status}","r":"{order.reason}","i":{order.order_id},"l":"{last}",'
            f'"z":"{symbol.qtys[order.cum_lots]}","L":"{last_price}","n":"{fee}","N":{fee_asset},'
            f'"T":{order.updated_ns // unit_ns},"t":{trade_id},"I":{order.executions},"w":{on_book},"m":{maker},'
            f'"M":{"true" if fill is not None else "false"},"O":{order.created_ns // unit_ns},'
            f'"Z":"{asset.text(order.cum_quote_units)}","Y":"{last_quote}","Q":"{asset.text(order.quote_units)}"')
    if order.working_ns:
        text += f',"W":{order.working_ns // unit_ns}'
    text += f',"V":"{order.stp}"'
    if not _is_plain(order):
        text += _report_conditional(order, execution, event, unit_ns)
    return text + "}"


def _report_conditional(order, execution, event, unit_ns):
    symbol, text = order.symbol, ""
    if order.trailing_bips:
        text += f',"d":{order.trailing_bips},"D":{_time(order.trailing_ns, unit_ns)}'
    if order.strategy_id is not None:
        text += f',"j":{order.strategy_id}'
    if order.strategy_type is not None:
        text += f',"J":{order.strategy_type}'
    if order.prevented_lots:
        text += f',"v":{order.prevented_id},"A":"{symbol.qtys[order.prevented_lots]}"'
        if execution == "TRADE_PREVENTION":
            text += (f',"B":"{symbol.qtys[event.qty_lots]}","u":{order.order_id},"U":{order.counter_id},'
                     f'"Cs":{symbol.json_name},"pl":"{symbol.qtys[event.qty_lots]}",'
                     f'"pL":"{symbol.prices[event.price_ticks]}",'
                     f'"pY":"{symbol.quote.text(symbol.quote_units(event.price_ticks, event.qty_lots))}"')
    return text


def account_position(rows, updated_ns, now_ns, unit_ns):
    """outboundAccountPosition. `rows`: (Asset, free units, locked units)."""
    balances = ",".join([f'{{"a":"{asset.name}","f":"{asset.text(free)}","l":"{asset.text(locked)}"}}'
                         for asset, free, locked in rows])
    return (f'{{"e":"outboundAccountPosition","E":{now_ns // unit_ns},"u":{updated_ns // unit_ns},"B":[{balances}]}}')


def balance_update(asset, units, now_ns, unit_ns):
    time = now_ns // unit_ns
    return f'{{"e":"balanceUpdate","E":{time},"a":"{asset.name}","d":"{asset.text(units)}","T":{time}}}'


def list_status(order_list, now_ns, unit_ns):
    """listStatus of an order list."""
    orders = ",".join([f'{{"s":{order.symbol.json_name},"i":{order.order_id},"c":"{order.client_order_id}"}}'
                       for order in order_list.orders])
    return (f'{{"e":"listStatus","E":{now_ns // unit_ns},"s":{order_list.symbol.json_name},"g":{order_list.list_id},"c":"OCO",'
            f'"l":"{order_list.status_type}","L":"{order_list.status}","r":"NONE","C":"{order_list.client_id}",'
            f'"T":{order_list.updated_ns // unit_ns},"O":[{orders}]}}')


def list_row(order_list, unit_ns, reports=None):
    """An order list as the answers give it; `reports`: texts of its orders' reports, None for none."""
    orders = ",".join([f'{{"symbol":{order.symbol.json_name},"orderId":{order.order_id},'
                       f'"clientOrderId":"{order.client_order_id}"}}' for order in order_list.orders])
    tail = "" if reports is None else f',"orderReports":[{",".join(reports)}]'
    return (f'{{"orderListId":{order_list.list_id},"contingencyType":"OCO","listStatusType":"{order_list.status_type}",'
            f'"listOrderStatus":"{order_list.status}","listClientOrderId":"{order_list.client_id}",'
            f'"transactionTime":{order_list.updated_ns // unit_ns},"symbol":{order_list.symbol.json_name},'
            f'"orders":[{orders}]{tail}}}')
