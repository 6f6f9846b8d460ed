"""Binance's own connector package for USD-M futures against a venue at other addresses; prints what it saw as JSON.

    python binance_sdk_usdm_client.py '{"rest_url": …, "ws_url": …, "ws_api_url": …, "api_key": …, "api_secret": …}'

Its models check the types of every answer; nothing of it is changed but its addresses.
"""
import asyncio
import json
import sys

from binance_common.configuration import ConfigurationRestAPI, ConfigurationWebSocketAPI, ConfigurationWebSocketStreams
from binance_common.errors import Error
from binance_sdk_derivatives_trading_usds_futures.derivatives_trading_usds_futures import DerivativesTradingUsdsFutures
from binance_sdk_derivatives_trading_usds_futures.rest_api.models import enums as rest_enums
from binance_sdk_derivatives_trading_usds_futures.websocket_api.models import enums as ws_enums

WHERE = json.loads(sys.argv[1])
SYMBOL = "BTCUSDT"
KEYS = {"api_key": WHERE["api_key"], "api_secret": WHERE["api_secret"]}


def client():
    return DerivativesTradingUsdsFutures(
        config_rest_api=ConfigurationRestAPI(base_path=WHERE["rest_url"], timeout=5000, retries=0, **KEYS),
        config_ws_api=ConfigurationWebSocketAPI(stream_url=WHERE["ws_api_url"], **KEYS),
        config_ws_streams=ConfigurationWebSocketStreams(stream_url=WHERE["ws_url"]))


def refusal(call, *arguments, **more):
    try:
        call(*arguments, **more)
    except Error as e:
        return [type(e).__name__, str(e)]
    return None


def rest(api, seen):
    seen["time"] = api.check_server_time().data().server_time > 1_600_000_000_000
    seen["symbols"] = SYMBOL in [s.symbol for s in api.exchange_information().data().symbols]
    book = api.order_book(SYMBOL, limit=10).data()
    bid, ask = float(book.bids[0][0]), float(book.asks[0][0])
    seen["book"] = bid < ask
    seen["mark"] = float(api.mark_price(symbol=SYMBOL).data().actual_instance.mark_price) > 0
    low, high = round(bid * 0.98, 1), round(ask * 1.02, 1)
    seen["leverage"] = api.change_initial_leverage(SYMBOL, 10).data().leverage
    side, kind, force = rest_enums.NewOrderSideEnum, rest_enums.NewOrderTypeEnum, rest_enums.NewOrderTimeInForceEnum
    placed = api.new_order(SYMBOL, side["BUY"], kind["LIMIT"], time_in_force=force["GTC"], quantity=0.01, price=low).data()
    seen["placed"] = placed.status
    changed = api.modify_order(SYMBOL, rest_enums.ModifyOrderSideEnum["BUY"], 0.02, low, order_id=placed.order_id).data()
    seen["modified"] = changed.orig_qty
    seen["queried"] = api.query_order(SYMBOL, order_id=placed.order_id).data().status
    seen["dead_man"] = api.auto_cancel_all_open_orders(SYMBOL, 60000).data().countdown_time
    seen["cancelled"] = api.cancel_order(SYMBOL, order_id=placed.order_id).data().status
    market = api.new_order(SYMBOL, side["BUY"], kind["MARKET"], quantity=0.01,
                           new_order_resp_type=rest_enums.NewOrderNewOrderRespTypeEnum["RESULT"]).data()
    seen["market"] = market.status
    positions = [p for p in api.position_information_v3(symbol=SYMBOL).data() if float(p.position_amt)]
    seen["position"] = [float(p.position_amt) for p in positions]
    seen["trades"] = len(api.account_trade_list(SYMBOL).data()) > 0
    seen["balance"] = [b.asset for b in api.futures_account_balance_v3().data()]
    closed = api.new_order(SYMBOL, side["SELL"], kind["MARKET"], quantity=0.01, reduce_only=rest_enums.NewOrderReduceOnlyEnum["TRUE"],
                           new_order_resp_type=rest_enums.NewOrderNewOrderRespTypeEnum["RESULT"]).data()
    seen["closed"] = closed.status
    seen["income"] = sorted({row.income_type for row in api.get_income_history().data()})
    seen["refusals"] = {
        "reduce_only": refusal(api.new_order, SYMBOL, side["SELL"], kind["MARKET"], quantity=0.01,
                               reduce_only=rest_enums.NewOrderReduceOnlyEnum["TRUE"]),
        "margin": refusal(api.new_order, SYMBOL, side["BUY"], kind["LIMIT"], time_in_force=force["GTC"], quantity=900, price=low),
        "unknown": refusal(api.cancel_order, SYMBOL, order_id=999999999),
        "maker": refusal(api.new_order, SYMBOL, side["BUY"], kind["LIMIT"], time_in_force=force["GTX"], quantity=0.01, price=high),
    }
    return low


async def user_data(futures, seen, low):
    events = []
    listen_key = futures.rest_api.start_user_data_stream().data().listen_key
    streams = await futures.websocket_streams.create_connection()
    api = await futures.websocket_api.create_connection()
    try:
        stream = await streams.user_data(listen_key)
        stream.on("message", lambda data: events.append(data))
        await asyncio.sleep(0.3)
        placed = (await api.new_order(SYMBOL, ws_enums.NewOrderSideEnum["BUY"], ws_enums.NewOrderTypeEnum["LIMIT"],
                                      time_in_force=ws_enums.NewOrderTimeInForceEnum["GTC"], price=low, quantity=0.01)).data()
        seen["ws_placed"] = placed.result.status
        seen["ws_queried"] = (await api.query_order(SYMBOL, order_id=placed.result.order_id)).data().result.status
        seen["ws_cancelled"] = (await api.cancel_order(SYMBOL, order_id=placed.result.order_id)).data().result.status
        seen["ws_balance"] = len((await api.futures_account_balance_v2()).data().result) > 0
        await asyncio.sleep(0.5)
        seen["events"] = sorted({type(getattr(e, "actual_instance", e)).__name__ for e in events})
    finally:
        await api.close_connection()
        await streams.close_connection()


async def streams(futures, seen):
    connection = await futures.websocket_streams.create_connection()
    got = {}
    try:
        for name, stream in (("depth", await connection.diff_book_depth_streams(SYMBOL)),
                             ("ticker", await connection.individual_symbol_book_ticker_streams(SYMBOL)),
                             ("mark", await connection.mark_price_stream(SYMBOL))):
            stream.on("message", lambda data, name=name: got.setdefault(name, type(data).__name__))
        for _ in range(150):
            if len(got) == 3:
                break
            await asyncio.sleep(0.1)
    finally:
        await connection.close_connection()
    seen["streams"] = got


def main():
    seen = {}
    futures = client()
    low = rest(futures.rest_api, seen)
    asyncio.run(user_data(client(), seen, low))
    asyncio.run(streams(client(), seen))
    print(json.dumps(seen))


main()
