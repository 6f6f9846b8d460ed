"""The older connector packages (binance-connector, binance-futures-connector) against a venue at other addresses.

    python binance_connector_client.py '{"rest_url": …, "ws_url": …, "api_key": …, "api_secret": …, "market": "spot" | "usdm"}'
"""
import json
import sys
import time

WHERE = json.loads(sys.argv[1])
SYMBOL = "BTCUSDT"


def spot(seen):
    from binance.error import ClientError
    from binance.spot import Spot
    from binance.websocket.spot.websocket_stream import SpotWebsocketStreamClient
    client = Spot(WHERE["api_key"], WHERE["api_secret"], base_url=WHERE["rest_url"])
    listen_key = client.new_listen_key()["listenKey"]
    events = []
    stream = SpotWebsocketStreamClient(stream_url=WHERE["ws_url"], on_message=lambda _, text: events.append(json.loads(text)))
    stream.user_data(listen_key=listen_key)
    time.sleep(0.5)
    book = client.depth(SYMBOL, limit=5)
    low = f"{float(book['bids'][0][0]) * 0.98:.2f}"
    placed = client.new_order(symbol=SYMBOL, side="BUY", type="LIMIT", timeInForce="GTC", quantity=0.01, price=low)
    seen["placed"] = placed["status"]
    seen["cancelled"] = client.cancel_order(SYMBOL, orderId=placed["orderId"])["status"]
    seen["market"] = client.new_order(symbol=SYMBOL, side="SELL", type="MARKET", quantity=0.01)["status"]
    seen["account"] = client.account()["canTrade"]
    seen["trades"] = len(client.my_trades(SYMBOL)) > 0
    try:
        client.new_order(symbol=SYMBOL, side="BUY", type="LIMIT", timeInForce="GTC", quantity=100, price=low)
    except ClientError as e:
        seen["refusal"] = [e.status_code, e.error_code, e.error_message]
    time.sleep(0.5)
    stream.stop()
    seen["events"] = sorted({e["e"] for e in events if "e" in e})


def usdm(seen):
    from binance.error import ClientError
    from binance.um_futures import UMFutures
    client = UMFutures(WHERE["api_key"], WHERE["api_secret"], base_url=WHERE["rest_url"])
    book = client.depth(SYMBOL, limit=5)
    low = f"{float(book['bids'][0][0]) * 0.98:.1f}"
    seen["leverage"] = client.change_leverage(symbol=SYMBOL, leverage=5)["leverage"]
    placed = client.new_order(symbol=SYMBOL, side="BUY", type="LIMIT", timeInForce="GTC", quantity=0.01, price=low)
    seen["placed"] = placed["status"]
    seen["cancelled"] = client.cancel_order(SYMBOL, orderId=placed["orderId"])["status"]
    seen["batch"] = [row.get("status") or row["code"] for row in client.new_batch_order([
        {"symbol": SYMBOL, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01", "price": low},
        {"symbol": SYMBOL, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0", "price": low}])]
    seen["all"] = client.cancel_open_orders(SYMBOL)["code"]
    seen["market"] = client.new_order(symbol=SYMBOL, side="SELL", type="MARKET", quantity=0.01, newOrderRespType="RESULT")["status"]
    seen["position"] = [float(p["positionAmt"]) for p in client.get_position_risk(symbol=SYMBOL)]
    seen["account"] = client.account()["totalWalletBalance"] != ""
    try:
        client.cancel_order(SYMBOL, orderId=999999999)
    except ClientError as e:
        seen["refusal"] = [e.status_code, e.error_code]
    client.new_order(symbol=SYMBOL, side="BUY", type="MARKET", quantity=0.01)


found = {}
{"spot": spot, "usdm": usdm}[WHERE["market"]](found)
print(json.dumps(found))
