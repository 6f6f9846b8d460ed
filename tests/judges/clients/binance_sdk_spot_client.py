"""Binance's own connector package (binance-sdk-spot) against a venue that stands at other addresses; prints what it saw as JSON.

    python binance_sdk_spot_client.py '{"rest_url": …, "ws_url": …, "ws_api_url": …, "api_key": …, "private_key": …}'

Its models check the types of every answer; nothing of it is changed but its addresses. Signs with Ed25519.
"""
import asyncio
import json
import sys

from binance_common.configuration import ConfigurationRestAPI, ConfigurationWebSocketAPI, ConfigurationWebSocketStreams
from binance_common.errors import Error
from binance_sdk_spot.rest_api.models import enums as rest_enums
from binance_sdk_spot.spot import Spot
from binance_sdk_spot.websocket_api.models import enums as ws_enums

WHERE = json.loads(sys.argv[1])
SYMBOL = "BTCUSDT"
KEYS = {"api_key": WHERE["api_key"], "private_key": WHERE["private_key"]}


def client():
    return Spot(
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
    seen["time"] = api.time().data().server_time > 1_600_000_000_000
    info = api.exchange_info(symbol=SYMBOL).data()
    seen["filters"] = len(info.symbols[0].filters)
    depth = api.depth(SYMBOL, limit=10)
    seen["weight_counted"] = [limit.rateLimitType for limit in depth.rate_limits] == ["REQUEST_WEIGHT"]
    book = depth.data()
    bid, ask = float(book.bids[0][0]), float(book.asks[0][0])
    seen["book"] = bid < ask
    seen["trades"] = len(api.get_trades(SYMBOL, limit=5).data())
    seen["klines"] = len(api.klines(SYMBOL, "1m", limit=5).data()) > 0
    seen["ticker"] = api.ticker24hr(symbol=SYMBOL).data().actual_instance.symbol
    account = api.get_account().data()
    seen["account"] = [account.account_type, account.can_trade]
    seen["commission"] = api.account_commission(SYMBOL).data().standard_commission.maker
    low, high = round(bid * 0.98, 2), round(ask * 1.02, 2)
    side, kind, force = rest_enums.NewOrderSideEnum, rest_enums.NewOrderTypeEnum, rest_enums.NewOrderTimeInForceEnum
    placed = api.new_order(SYMBOL, side["BUY"], kind["LIMIT"], time_in_force=force["GTC"], quantity=0.01, price=low).data()
    seen["placed"] = placed.status
    seen["queried"] = api.get_order(SYMBOL, order_id=placed.order_id).data().status
    amended = api.order_amend_keep_priority(SYMBOL, 0.005, order_id=placed.order_id).data()
    seen["amended"] = amended.amended_order.qty
    seen["cancelled"] = api.delete_order(SYMBOL, order_id=placed.order_id).data().status
    market = api.new_order(SYMBOL, side["SELL"], kind["MARKET"], quantity=0.01).data()
    seen["market"] = [market.status, len(market.fills) > 0]
    seen["my_trades"] = len(api.my_trades(SYMBOL, order_id=market.order_id).data()) == len(market.fills)
    seen["history"] = len(api.all_orders(SYMBOL).data()) >= 2
    seen["unfilled"] = [row.rate_limit_type for row in api.rate_limit_order().data()]
    seen["refusals"] = {
        "symbol": refusal(api.depth, "NOSUCH"),
        "money": refusal(api.new_order, SYMBOL, side["BUY"], kind["LIMIT"], time_in_force=force["GTC"], quantity=100, price=low),
        "unknown": refusal(api.delete_order, SYMBOL, order_id=999999999),
        "maker": refusal(api.new_order, SYMBOL, side["BUY"], kind["LIMIT_MAKER"], quantity=0.01, price=high),
    }
    return low


async def websocket_api(spot, seen, low):
    connection = await spot.websocket_api.create_connection()
    events = []
    try:
        logon = (await connection.session_logon()).data()
        seen["logged_on"] = logon.result.api_key == WHERE["api_key"]
        subscribed = await connection.user_data_stream_subscribe()
        subscribed.stream.on("message", lambda data: events.append(data))
        placed = (await connection.order_place(
            SYMBOL, ws_enums.OrderPlaceSideEnum["BUY"], ws_enums.OrderPlaceTypeEnum["LIMIT"],
            time_in_force=ws_enums.OrderPlaceTimeInForceEnum["GTC"], price=low, quantity=0.01)).data()
        seen["ws_placed"] = placed.result.status
        status = (await connection.order_status(SYMBOL, order_id=placed.result.order_id)).data()
        seen["ws_status"] = status.result.status
        cancelled = (await connection.order_cancel(SYMBOL, order_id=placed.result.order_id)).data()
        seen["ws_cancelled"] = cancelled.result.status
        seen["ws_account"] = (await connection.account_status()).data().result.can_trade
        seen["ws_open"] = len((await connection.open_orders_status(symbol=SYMBOL)).data().result)
        await asyncio.sleep(0.5)
        seen["events"] = sorted({type(getattr(e, "actual_instance", e)).__name__ for e in events})
    finally:
        await connection.close_connection()


async def streams(spot, seen):
    connection = await spot.websocket_streams.create_connection()
    got = {}
    try:
        for name, stream in (("trade", await connection.trade(SYMBOL)), ("depth", await connection.diff_book_depth(SYMBOL)),
                             ("ticker", await connection.book_ticker(SYMBOL))):
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
    spot = client()
    low = rest(spot.rest_api, seen)
    asyncio.run(websocket_api(spot, seen, low))
    asyncio.run(streams(client(), seen))
    print(json.dumps(seen))


main()
