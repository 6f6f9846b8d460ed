"""python-binance against a venue that stands at other addresses. Run by its own interpreter; prints what it saw as JSON.

    python python_binance.py '{"rest_url": …, "ws_url": …, "ws_api_url": …, "api_key": …, "api_secret": …}'

Nothing of the client is changed but its addresses.
"""
import asyncio
import json
import sys

from binance import AsyncClient, BinanceSocketManager
from binance.exceptions import BinanceAPIException

WHERE = json.loads(sys.argv[1])
SYMBOL = "BTCUSDT"
AsyncClient.API_URL = WHERE["rest_url"] + "/api"
AsyncClient.MARGIN_API_URL = WHERE["rest_url"] + "/sapi"
AsyncClient.WS_API_URL = WHERE["ws_api_url"]
BinanceSocketManager.STREAM_URL = WHERE["ws_url"] + "/"


async def user_events(sockets, found, ready):
    async with sockets.user_socket() as stream:
        ready.set()
        while True:
            found.append(await stream.recv())


async def first(stream, count=1):
    async with stream as socket:
        return [await asyncio.wait_for(socket.recv(), 15) for _ in range(count)]


def code_of(error):
    return {"code": error.code, "message": error.message, "status": error.status_code}


async def refusal(call):
    try:
        await call
    except BinanceAPIException as e:
        return code_of(e)
    return None


async def main():
    seen = {}
    client = await AsyncClient.create(WHERE["api_key"], WHERE["api_secret"])
    try:
        sockets = BinanceSocketManager(client)
        events, ready = [], asyncio.Event()
        listening = asyncio.create_task(user_events(sockets, events, ready))
        await asyncio.wait_for(ready.wait(), 15)
        info = await client.get_symbol_info(SYMBOL)
        seen["filters"] = sorted(f["filterType"] for f in info["filters"])
        book = await client.get_order_book(symbol=SYMBOL, limit=20)
        bid, ask = float(book["bids"][0][0]), float(book["asks"][0][0])
        seen["book"] = [len(book["bids"]), len(book["asks"]), bid < ask]
        seen["trades"] = len(await client.get_recent_trades(symbol=SYMBOL, limit=10))
        seen["klines"] = [len(row) for row in await client.get_klines(symbol=SYMBOL, interval="1m", limit=5)]
        seen["average"] = float((await client.get_avg_price(symbol=SYMBOL))["price"])
        seen["ticker"] = (await client.get_symbol_ticker(symbol=SYMBOL))["symbol"]
        account = await client.get_account()
        seen["balances"] = {b["asset"]: [b["free"], b["locked"]] for b in account["balances"]}
        low, high = f"{bid * 0.98:.2f}", f"{ask * 1.02:.2f}"

        placed = await client.order_limit_buy(symbol=SYMBOL, quantity="0.01", price=low)
        seen["limit"] = placed["status"]
        seen["queried"] = (await client.get_order(symbol=SYMBOL, orderId=placed["orderId"]))["status"]
        seen["open"] = [o["orderId"] for o in await client.get_open_orders(symbol=SYMBOL)] == [placed["orderId"]]
        replaced = await client.cancel_replace_order(symbol=SYMBOL, side="BUY", type="LIMIT", timeInForce="GTC", quantity="0.02",
                                                     price=low, cancelReplaceMode="STOP_ON_FAILURE",
                                                     cancelOrderId=placed["orderId"])
        seen["replaced"] = [replaced["cancelResult"], replaced["newOrderResult"]]
        number = replaced["newOrderResponse"]["orderId"]
        seen["cancelled"] = (await client.cancel_order(symbol=SYMBOL, orderId=number))["status"]
        market = await client.order_market_buy(symbol=SYMBOL, quantity="0.01")
        seen["market"] = [market["status"], len(market["fills"]) > 0, market["executedQty"]]
        spent = await client.create_order(symbol=SYMBOL, side="BUY", type="MARKET", quoteOrderQty="50")
        seen["quote_quantity"] = [spent["status"], 0 < float(spent["cummulativeQuoteQty"]) <= 50]
        types = {}
        for name, more in {
                "LIMIT_MAKER": {"price": high}, "STOP_LOSS_LIMIT": {"price": low, "stopPrice": low, "timeInForce": "GTC"},
                "STOP_LOSS": {"stopPrice": low}, "TAKE_PROFIT": {"stopPrice": high},
                "TAKE_PROFIT_LIMIT": {"price": high, "stopPrice": high, "timeInForce": "GTC"}}.items():
            order = await client.create_order(symbol=SYMBOL, side="SELL", type=name, quantity="0.001", newOrderRespType="RESULT",
                                              **more)
            types[name] = [order["status"], order["type"]]
        for name, more in {"IOC": {"timeInForce": "IOC"}, "FOK": {"timeInForce": "FOK"}}.items():
            order = await client.create_order(symbol=SYMBOL, side="BUY", type="LIMIT", quantity="0.001", price=low,
                                              newOrderRespType="RESULT", **more)
            types[name] = [order["status"], order["timeInForce"]]
        trailing = await client.create_order(symbol=SYMBOL, side="SELL", type="STOP_LOSS", quantity="0.001", trailingDelta=500,
                                             newOrderRespType="RESULT")
        types["trailing"] = [trailing["status"], trailing["type"]]
        iceberg = await client.create_order(symbol=SYMBOL, side="SELL", type="LIMIT", timeInForce="GTC", quantity="0.01",
                                            icebergQty="0.002", price=high, newOrderRespType="RESULT")
        types["iceberg"] = [iceberg["status"], iceberg["origQty"]]
        seen["types"] = types
        seen["all_cancelled"] = len(await client.cancel_all_open_orders(symbol=SYMBOL))
        seen["still_open"] = len(await client.get_open_orders(symbol=SYMBOL))
        seen["history"] = len(await client.get_all_orders(symbol=SYMBOL)) >= 10
        trades = await client.get_my_trades(symbol=SYMBOL)
        seen["fee_assets"] = sorted({t["commissionAsset"] for t in trades})
        ws_placed = await client.ws_create_order(symbol=SYMBOL, side="BUY", type="LIMIT", timeInForce="GTC", quantity="0.01", price=low)
        seen["ws_limit"] = ws_placed["status"] if "status" in ws_placed else ws_placed["orderId"] > 0
        seen["ws_query"] = (await client.ws_get_order(symbol=SYMBOL, orderId=ws_placed["orderId"]))["status"]
        seen["ws_cancelled"] = (await client.ws_cancel_order(symbol=SYMBOL, orderId=ws_placed["orderId"]))["status"]
        seen["refusals"] = {
            "symbol": await refusal(client.get_order_book(symbol="NOSUCH")),
            "filter": await refusal(client.order_limit_buy(symbol=SYMBOL, quantity="0.0000001", price=low)),
            "money": await refusal(client.order_limit_buy(symbol=SYMBOL, quantity="100", price=low)),
            "unknown": await refusal(client.cancel_order(symbol=SYMBOL, orderId=999999999)),
            "maker": await refusal(client.create_order(symbol=SYMBOL, side="SELL", type="LIMIT_MAKER", quantity="0.01", price=low)),
        }
        stranger = AsyncClient(WHERE["api_key"], "not the secret")
        seen["refusals"]["signature"] = await refusal(stranger.get_account())
        await stranger.close_connection()
        trade, depth, book, kline = await asyncio.gather(
            first(sockets.trade_socket(SYMBOL)), first(sockets.depth_socket(SYMBOL)), first(sockets.depth_socket(SYMBOL, depth="5")),
            first(sockets.kline_socket(SYMBOL)))
        seen["stream"] = {"trade": trade[0].get("e"), "depth": depth[0].get("e"), "book": sorted(book[0]), "kline": kline[0].get("e")}
        await asyncio.sleep(0.5)
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        inner = [e.get("event", e) for e in events]
        seen["events"] = sorted({e.get("e") for e in inner})
        seen["executions"] = sorted({e["x"] for e in inner if e.get("e") == "executionReport"})
    finally:
        await client.close_connection()
    print(json.dumps(seen))


asyncio.run(main())
