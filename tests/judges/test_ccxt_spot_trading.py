"""ccxt's binance class, unmodified but for its URLs, trades at the simulated venue over REST, WebSocket streams and the WebSocket API."""
import asyncio

import pytest
from venue_on_loopback import Venue

from required import require_package

ccxt = require_package("ccxt.pro", "research")

SYMBOL = "BTC/USDT"


@pytest.fixture(scope="module")
def venue(tmp_path_factory):
    with Venue("binance_spot", tmp_path_factory.mktemp("ccxt-spot")) as v:
        yield v


def binance(venue, **more):
    exchange = ccxt.binance({"apiKey": venue.hmac["api_key"], "secret": venue.hmac["api_secret"], "enableRateLimit": False,
                             "options": {"fetchMarkets": {"types": ["spot"]}, "defaultType": "spot"}, **more})
    rest, api = venue.where["rest_url"], exchange.urls["api"]
    api.update(public=f"{rest}/api/v3", private=f"{rest}/api/v3", v1=f"{rest}/api/v1", sapi=f"{rest}/sapi/v1", sapiV2=f"{rest}/sapi/v2",
               sapiV3=f"{rest}/sapi/v3", sapiV4=f"{rest}/sapi/v4")
    api["ws"].update(spot=venue.where["ws_url"] + "/ws")
    api["ws"]["ws-api"].update(spot=venue.where["ws_api_url"])
    return exchange


def run(venue, scenario, **more):
    async def whole():
        exchange = binance(venue, **more)
        try:
            await exchange.load_markets()
            return await asyncio.wait_for(scenario(exchange), 60)
        finally:
            await exchange.close()
    return asyncio.run(whole())


async def prices(exchange):
    """(a price that rests below the market, one above it)."""
    book = await exchange.fetch_order_book(SYMBOL, 5)
    return (float(exchange.price_to_precision(SYMBOL, book["bids"][0][0] * 0.98)),
            float(exchange.price_to_precision(SYMBOL, book["asks"][0][0] * 1.02)))


def test_markets_and_public_data_are_read(venue):
    async def scenario(exchange):
        market = exchange.market(SYMBOL)
        assert (market["spot"], market["active"], market["precision"]["price"], market["precision"]["amount"]) == (True, True, 0.01, 0.00001)
        assert market["limits"]["cost"]["min"] > 0
        book = await exchange.fetch_order_book(SYMBOL, 20)
        assert book["bids"][0][0] < book["asks"][0][0]
        trades = await exchange.fetch_trades(SYMBOL, limit=10)
        assert trades and all(t["side"] in ("buy", "sell") and t["amount"] > 0 for t in trades)
        candles = await exchange.fetch_ohlcv(SYMBOL, "1m", limit=5)
        assert candles and all(low <= min(first, last) and high >= max(first, last) for _, first, high, low, last, _ in candles)
        ticker = await exchange.fetch_ticker(SYMBOL)
        assert ticker["bid"] < ticker["ask"] and ticker["last"] > 0
        assert abs(await exchange.fetch_time() - exchange.milliseconds()) < 5000
        assert (await exchange.fetch_balance())["BTC"]["free"] > 0
    run(venue, scenario)


@pytest.mark.parametrize(("kind", "side", "where", "more", "status"), [
    ("limit", "buy", "low", {}, "open"),
    ("limit", "sell", "high", {"timeInForce": "GTC", "icebergQty": 0.002}, "open"),
    ("limit", "buy", "low", {"timeInForce": "IOC"}, "expired"),
    ("limit", "buy", "low", {"timeInForce": "FOK"}, "expired"),
    ("limit", "buy", "high", {"timeInForce": "IOC"}, "closed"),
    ("market", "buy", None, {}, "closed"),
    ("market", "sell", None, {}, "closed"),
    ("limit", "sell", "high", {"postOnly": True}, "open"),
    ("limit", "sell", "low", {"stopLossPrice": "low"}, "open"),
    ("market", "sell", None, {"stopLossPrice": "low"}, "open"),
    ("limit", "sell", "high", {"takeProfitPrice": "high"}, "open"),
    ("market", "sell", None, {"takeProfitPrice": "high"}, "open"),
    ("market", "sell", None, {"trailingPercent": 5, "stopLossOrTakeProfit": "stopLoss"}, "open"),
])
def test_each_order_type_is_taken_and_found_again(venue, kind, side, where, more, status):
    async def scenario(exchange):
        at = dict(zip(("low", "high"), await prices(exchange), strict=True))
        params = {name: at.get(value, value) if isinstance(value, str) else value for name, value in more.items()}
        order = await exchange.create_order(SYMBOL, kind, side, 0.01, at.get(where), params)
        found = await exchange.fetch_order(order["id"], SYMBOL)
        assert found["status"] == status, found["info"]
        assert (found["side"], found["amount"]) == (side, 0.01)
        if status == "closed":
            assert found["filled"] == 0.01 and found["average"] > 0
            trades = await exchange.fetch_my_trades(SYMBOL, params={"orderId": order["id"]})
            assert round(sum(t["amount"] for t in trades), 8) == 0.01
            assert all(t["fee"]["cost"] > 0 for t in trades)
        if status == "open":
            assert order["id"] in [o["id"] for o in await exchange.fetch_open_orders(SYMBOL)]
            assert (await exchange.cancel_order(order["id"], SYMBOL))["status"] == "canceled"
        assert order["id"] in [o["id"] for o in await exchange.fetch_orders(SYMBOL)]
    run(venue, scenario)


def test_market_order_by_cost_spends_no_more(venue):
    async def scenario(exchange):
        order = await exchange.create_market_buy_order_with_cost(SYMBOL, 100)
        assert order["status"] == "closed" and 90 < order["cost"] <= 100
    run(venue, scenario)


def test_edit_is_one_cancel_and_one_new_order(venue):
    async def scenario(exchange):
        low, _ = await prices(exchange)
        order = await exchange.create_order(SYMBOL, "limit", "buy", 0.01, low)
        changed = await exchange.edit_order(order["id"], SYMBOL, "limit", "buy", 0.02, low)
        assert (await exchange.fetch_order(order["id"], SYMBOL))["status"] == "canceled"
        assert (await exchange.fetch_order(changed["id"], SYMBOL))["amount"] == 0.02
        await exchange.cancel_all_orders(SYMBOL)
        assert await exchange.fetch_open_orders(SYMBOL) == []
    run(venue, scenario)


def test_refusals_are_the_exceptions_that_ccxt_knows(venue):
    async def scenario(exchange):
        low, _ = await prices(exchange)
        with pytest.raises(ccxt.InsufficientFunds):
            await exchange.create_order(SYMBOL, "limit", "buy", 100, low)
        with pytest.raises(ccxt.OrderNotFound):
            await exchange.cancel_order("999999999", SYMBOL)
        with pytest.raises(ccxt.OrderNotFound):
            await exchange.fetch_order("999999999", SYMBOL)
        with pytest.raises(ccxt.OrderImmediatelyFillable):
            await exchange.create_order(SYMBOL, "limit", "sell", 0.01, low, {"postOnly": True})
        with pytest.raises(ccxt.BadSymbol):
            await exchange.publicGetDepth({"symbol": "NOSUCH"})
        with pytest.raises(ccxt.InvalidOrder):
            await exchange.privatePostOrder({"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.0000001",
                                             "price": str(low)})
        exchange.secret = "another"
        with pytest.raises(ccxt.AuthenticationError):
            await exchange.fetch_balance()
        exchange.apiKey = "unknown"
        with pytest.raises(ccxt.AuthenticationError):
            await exchange.fetch_balance()
    run(venue, scenario)


def test_streams_bring_what_happens_to_our_orders(venue):
    async def scenario(exchange):
        low, _ = await prices(exchange)
        orders, trades, balances = [], [], []

        async def watch(call, found):
            while True:
                got = await call()
                # ccxt goes on to change what it has handed out.
                found.append(dict(got) if isinstance(got, dict) else [dict(row) for row in got])
        tasks = [asyncio.create_task(watch(lambda: exchange.watch_orders(SYMBOL), orders)),
                 asyncio.create_task(watch(lambda: exchange.watch_my_trades(SYMBOL), trades)),
                 asyncio.create_task(watch(exchange.watch_balance, balances))]
        await asyncio.sleep(1.5)
        resting = await exchange.create_order(SYMBOL, "limit", "buy", 0.01, low)
        await exchange.cancel_order(resting["id"], SYMBOL)
        taken = await exchange.create_order(SYMBOL, "market", "buy", 0.01)
        for _ in range(100):
            if trades and balances and any(o["id"] == taken["id"] and o["status"] == "closed" for batch in orders for o in batch):
                break
            await asyncio.sleep(0.05)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        statuses = [o["status"] for batch in orders for o in batch if o["id"] == resting["id"]]
        assert "open" in statuses and "canceled" in statuses
        assert round(sum({t["id"]: t["amount"] for batch in trades for t in batch if t["order"] == taken["id"]}.values()), 8) == 0.01
        assert balances[-1]["BTC"]["total"] > 0
    run(venue, scenario)


def test_public_streams_agree_with_rest(venue):
    async def scenario(exchange):
        for _ in range(5):
            book = await exchange.watch_order_book(SYMBOL)
            assert book["bids"][0][0] < book["asks"][0][0]
        assert (await exchange.watch_trades(SYMBOL))[0]["amount"] > 0
        assert (await exchange.watch_ticker(SYMBOL))["last"] > 0
        assert (await exchange.watch_ohlcv(SYMBOL, "1m"))[0][5] >= 0
    run(venue, scenario)


def test_orders_go_over_the_websocket_api(venue):
    async def scenario(exchange):
        low, _ = await prices(exchange)
        order = await exchange.create_order_ws(SYMBOL, "limit", "buy", 0.01, low)
        assert (await exchange.fetch_order_ws(order["id"], SYMBOL))["status"] == "open"
        assert order["id"] in [o["id"] for o in await exchange.fetch_open_orders_ws(SYMBOL)]
        changed = await exchange.edit_order_ws(order["id"], SYMBOL, "limit", "buy", 0.02, low)
        assert (await exchange.cancel_order_ws(changed["id"], SYMBOL))["status"] == "canceled"
        await exchange.fetch_balance_ws()         # ccxt 4.5.90 reads "assets", which spot's account.status does not have
        with pytest.raises(ccxt.InsufficientFunds):
            await exchange.create_order_ws(SYMBOL, "limit", "buy", 100, low)
    run(venue, scenario)


def test_limits_are_the_exceptions_that_ccxt_knows(tmp_path):
    """Too many orders, then too much weight, then a ban for who goes on: 429 and 418 with Retry-After."""
    with Venue("binance_spot", tmp_path, "--orders-per-10s", 5, "--rest-weight-per-min", 150, keeps_limits=False) as venue:
        async def scenario(exchange):
            low, _ = await prices(exchange)
            for _ in range(5):
                await exchange.create_order(SYMBOL, "limit", "buy", 0.01, low)
            assert exchange.last_response_headers["X-MBX-ORDER-COUNT-10S"] == "5"
            with pytest.raises(ccxt.DDoSProtection) as found:          # what ccxt makes of 429 and 418
                await exchange.create_order(SYMBOL, "limit", "buy", 0.01, low)
            assert "429" in str(found.value) and "-1015" in str(found.value)
            assert int(exchange.last_response_headers["Retry-After"]) >= 1
            banned = False
            for _ in range(80):
                try:
                    await exchange.fetch_open_orders(SYMBOL)
                except ccxt.DDoSProtection as e:
                    assert "-1003" in str(e) and int(exchange.last_response_headers["Retry-After"]) >= 1
                    banned = banned or "418" in str(e)
            assert banned
        run(venue, scenario)
