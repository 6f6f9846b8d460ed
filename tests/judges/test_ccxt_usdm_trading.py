"""ccxt's binanceusdm class, unmodified but for its URLs, trades perpetuals at the simulated venue over REST and WebSockets."""
import asyncio
import copy

import pytest
from venue_on_loopback import Venue

from required import require_package

ccxt = require_package("ccxt.pro", "research")

SYMBOL = "BTC/USDT:USDT"
AMOUNT = 0.01


@pytest.fixture(scope="module")
def venue(tmp_path_factory):
    with Venue("binance_usdm", tmp_path_factory.mktemp("ccxt-usdm")) as v:
        yield v


def binanceusdm(venue):
    exchange = ccxt.binanceusdm({"apiKey": venue.hmac["api_key"], "secret": venue.hmac["api_secret"], "enableRateLimit": False})
    api, rest, streams = exchange.urls["api"], venue.where["rest_url"], venue.where["ws_url"]
    for name in [name for name in api if name.startswith("fapi")]:
        api[name] = f"{rest}/futures/data" if name == "fapiData" else f"{rest}/fapi/{name[-2:].lower() if name[-2] == 'V' else 'v1'}"
    api["sapi"] = f"{rest}/sapi/v1"
    api["ws"]["linear"] = f"{streams}/ws"
    api["ws"]["ws-api"]["linear"] = f"{streams}/ws-fapi/v1"
    return exchange


def run(venue, scenario):
    async def whole():
        exchange = binanceusdm(venue)
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


async def position(exchange):
    """The signed size of the position."""
    found = [p for p in await exchange.fetch_positions([SYMBOL]) if p["contracts"]]
    return 0 if not found else found[0]["contracts"] * (1 if found[0]["side"] == "long" else -1)


async def flatten(exchange):
    size = await position(exchange)
    if size:
        await exchange.create_order(SYMBOL, "market", "sell" if size > 0 else "buy", abs(size), params={"reduceOnly": True})


def test_markets_and_public_data_are_read(venue):
    async def scenario(exchange):
        market = exchange.market(SYMBOL)
        assert (market["swap"], market["linear"], market["active"], market["settle"]) == (True, True, True, "USDT")
        assert (market["precision"]["price"], market["precision"]["amount"], market["limits"]["cost"]["min"]) == (0.1, 0.001, 100)
        assert market["limits"]["market"]["max"] == 120
        book = await exchange.fetch_order_book(SYMBOL, 20)
        assert book["bids"][0][0] < book["asks"][0][0] and book["nonce"]
        trades = await exchange.fetch_trades(SYMBOL, limit=10)
        assert trades and all(t["side"] in ("buy", "sell") and t["amount"] > 0 for t in trades)
        candles = await exchange.fetch_ohlcv(SYMBOL, "1m", limit=5)
        assert candles and all(low <= min(first, last) and high >= max(first, last) for _, first, high, low, last, _ in candles)
        assert await exchange.fetch_ohlcv(SYMBOL, "1m", params={"price": "mark"})
        assert await exchange.fetch_ohlcv(SYMBOL, "1m", params={"price": "index"})
        ticker = await exchange.fetch_ticker(SYMBOL)
        assert ticker["last"] > 0 and ticker["high"] >= ticker["low"]
        assert (await exchange.fetch_bids_asks([SYMBOL]))[SYMBOL]["bid"] > 0
        rate = await exchange.fetch_funding_rate(SYMBOL)
        assert abs(rate["markPrice"] / rate["indexPrice"] - 1) < 0.01 and rate["fundingTimestamp"] > exchange.milliseconds()
        assert SYMBOL in await exchange.fetch_funding_rates()
        assert (await exchange.fetch_funding_intervals([SYMBOL]))[SYMBOL]["interval"] == "8h"
        assert isinstance(await exchange.fetch_funding_rate_history(SYMBOL), list)
        assert (await exchange.fetch_open_interest(SYMBOL))["openInterestAmount"] >= 0
        assert abs(await exchange.fetch_time() - exchange.milliseconds()) < 5000
    run(venue, scenario)


def test_what_the_account_has_is_read(venue):
    async def scenario(exchange):
        balance = await exchange.fetch_balance()
        assert 0 < balance["USDT"]["free"] <= balance["USDT"]["total"] <= 1_000_000
        tiers = (await exchange.fetch_leverage_tiers([SYMBOL]))[SYMBOL]
        assert [tier["maxLeverage"] for tier in tiers][:2] == [125, 100] and tiers[0]["maintenanceMarginRate"] == 0.004
        fee = await exchange.fetch_trading_fee(SYMBOL)
        assert 0 < fee["maker"] and 0 < fee["taker"]
        assert (await exchange.fetch_position_mode(SYMBOL))["hedged"] is False
        assert isinstance(await exchange.fetch_income_history() if hasattr(exchange, "fetch_income_history")
                          else await exchange.fetch_funding_history(SYMBOL), list)
        assert (await exchange.fetch_leverages([SYMBOL]))[SYMBOL]["longLeverage"] > 0
        assert (await exchange.fetch_margin_modes([SYMBOL]))[SYMBOL]["marginMode"] == "cross"
    run(venue, scenario)


@pytest.mark.parametrize(("kind", "side", "where", "more", "status"), [
    ("limit", "buy", "low", {}, "open"),
    ("limit", "sell", "high", {"postOnly": True}, "open"),
    ("limit", "buy", "low", {"timeInForce": "IOC"}, "expired"),
    ("limit", "buy", "high", {"timeInForce": "IOC"}, "closed"),
    ("limit", "sell", None, {"priceMatch": "QUEUE_5"}, "open"),
    ("market", "buy", None, {}, "closed"),
    ("market", "sell", None, {}, "closed"),
    ("market", "sell", None, {"reduceOnly": True}, "closed"),
    ("market", "sell", None, {"stopLossPrice": "low"}, "open"),
    ("limit", "sell", "low", {"stopLossPrice": "low"}, "open"),
    ("market", "buy", None, {"takeProfitPrice": "low"}, "open"),
    ("limit", "buy", "low", {"takeProfitPrice": "low", "workingType": "MARK_PRICE"}, "open"),
    ("market", "sell", None, {"trailingPercent": 1, "reduceOnly": True}, "open"),
    ("market", "sell", None, {"trailingPercent": 1, "trailingTriggerPrice": "high"}, "open"),
    ("market", "sell", None, {"stopLossPrice": "low", "closePosition": True}, "open"),
])
def test_each_order_type_is_taken_and_found_again(venue, kind, side, where, more, status):
    async def scenario(exchange):
        at = dict(zip(("low", "high"), await prices(exchange), strict=True))
        params = {name: at.get(value, value) if isinstance(value, str) else value for name, value in more.items()}
        if params.get("reduceOnly"):
            await exchange.create_order(SYMBOL, "market", "buy", AMOUNT)
        order = await exchange.create_order(SYMBOL, kind, side, AMOUNT, at.get(where), params)
        conditional = any(name.endswith("Price") or name.startswith("trailing") for name in more)
        trigger = {"trigger": True} if conditional else {}
        found = await exchange.fetch_order(order["id"], SYMBOL, trigger)
        assert found["status"] == status, found["info"]
        assert found["side"] == side
        if status == "closed":
            assert found["filled"] == AMOUNT and found["average"] > 0
            trades = await exchange.fetch_my_trades(SYMBOL, params={"orderId": order["id"]})
            assert round(sum(t["amount"] for t in trades), 8) == AMOUNT and all(t["fee"]["cost"] > 0 for t in trades)
        if status == "open":
            assert order["id"] in [o["id"] for o in await exchange.fetch_open_orders(SYMBOL, params=trigger)]
            await exchange.cancel_order(order["id"], SYMBOL, trigger)
            assert (await exchange.fetch_order(order["id"], SYMBOL, trigger))["status"] == "canceled"
        assert order["id"] in [o["id"] for o in await exchange.fetch_orders(SYMBOL, params=trigger)]
        await flatten(exchange)
    run(venue, scenario)


def test_edit_keeps_the_order_and_batches_settle_each_leg(venue):
    async def scenario(exchange):
        low, high = await prices(exchange)
        order = await exchange.create_order(SYMBOL, "limit", "buy", AMOUNT, low)
        changed = await exchange.edit_order(order["id"], SYMBOL, "limit", "buy", 2 * AMOUNT, low)
        assert (changed["id"], changed["amount"]) == (order["id"], 2 * AMOUNT)
        legs = await exchange.create_orders([
            {"symbol": SYMBOL, "type": "limit", "side": "buy", "amount": AMOUNT, "price": low},
            {"symbol": SYMBOL, "type": "limit", "side": "sell", "amount": AMOUNT, "price": high}])
        assert [leg["status"] for leg in legs] == ["open", "open"]
        edited = await exchange.edit_orders([
            {"id": leg["id"], "symbol": SYMBOL, "type": "limit", "side": leg["side"], "amount": 2 * AMOUNT, "price": leg["price"]}
            for leg in legs])
        assert [leg["amount"] for leg in edited] == [2 * AMOUNT] * 2
        gone = await exchange.cancel_orders([leg["id"] for leg in legs], SYMBOL)
        assert [leg["status"] for leg in gone] == ["canceled", "canceled"]
        await exchange.cancel_all_orders(SYMBOL)
        assert await exchange.fetch_open_orders(SYMBOL) == []
        await exchange.create_order(SYMBOL, "market", "sell", AMOUNT, params={"stopLossPrice": low})
        await exchange.cancel_all_orders(SYMBOL, {"trigger": True})
        assert await exchange.fetch_open_orders(SYMBOL, params={"trigger": True}) == []
    run(venue, scenario)


def test_leverage_margin_and_position_are_set_and_seen(venue):
    async def scenario(exchange):
        await exchange.set_leverage(10, SYMBOL)
        await exchange.set_margin_mode("isolated", SYMBOL)
        await exchange.create_order(SYMBOL, "market", "buy", AMOUNT)
        found = (await exchange.fetch_positions([SYMBOL], {"useV2": True}))[0]
        assert (found["side"], found["contracts"], found["marginMode"], found["leverage"]) == ("long", AMOUNT, "isolated", 10)
        assert found["entryPrice"] > 0 and found["markPrice"] > 0 and 0 < found["liquidationPrice"] < found["entryPrice"]
        assert found["initialMarginPercentage"] == pytest.approx(0.1, rel=0.01)
        added = await exchange.add_margin(SYMBOL, 10)
        assert (added["type"], added["amount"]) == ("add", 10)
        more = (await exchange.fetch_positions([SYMBOL]))[0]
        assert more["collateral"] == pytest.approx(found["collateral"] + 10, abs=5)
        assert (await exchange.fetch_margin_adjustment_history(SYMBOL))[-1]["amount"] == 10
        account = [p for p in (await exchange.fetch_positions([SYMBOL], {"method": "account"})) if p["contracts"]]
        assert account[0]["contracts"] == AMOUNT
        await flatten(exchange)
        assert await position(exchange) == 0
        await exchange.set_margin_mode("cross", SYMBOL)
        ledger = await exchange.fetch_ledger("USDT", params={"type": "swap"})
        assert {"commission", "transfer"} <= {entry["type"] for entry in ledger}
    run(venue, scenario)


def test_hedge_mode_keeps_both_sides(venue):
    async def scenario(exchange):
        await exchange.set_position_mode(True, SYMBOL)
        await exchange.create_order(SYMBOL, "market", "buy", AMOUNT, params={"positionSide": "LONG"})
        await exchange.create_order(SYMBOL, "market", "sell", 2 * AMOUNT, params={"positionSide": "SHORT"})
        found = {p["side"]: p["contracts"] for p in await exchange.fetch_positions([SYMBOL]) if p["contracts"]}
        assert found == {"long": AMOUNT, "short": 2 * AMOUNT}
        await exchange.create_order(SYMBOL, "market", "sell", AMOUNT, params={"positionSide": "LONG"})
        await exchange.create_order(SYMBOL, "market", "buy", 2 * AMOUNT, params={"positionSide": "SHORT"})
        await exchange.set_position_mode(False, SYMBOL)
    run(venue, scenario)


def test_refusals_are_the_exceptions_that_ccxt_knows(venue):
    async def scenario(exchange):
        low, high = await prices(exchange)
        # ccxt chooses its table of futures codes by the host's name, so that those of futures alone come as ExchangeError here.
        with pytest.raises(ccxt.ExchangeError, match="-2019"):
            await exchange.create_order(SYMBOL, "limit", "buy", 900, low)
        with pytest.raises(ccxt.OrderNotFound):
            await exchange.cancel_order("999999999", SYMBOL)
        with pytest.raises(ccxt.OrderNotFound):
            await exchange.fetch_order("999999999", SYMBOL)
        with pytest.raises(ccxt.InvalidOrder):
            await exchange.create_order(SYMBOL, "limit", "buy", AMOUNT, high, {"postOnly": True})
        with pytest.raises(ccxt.ExchangeError, match="-2022"):
            await exchange.create_order(SYMBOL, "market", "sell", AMOUNT, params={"reduceOnly": True})
        with pytest.raises(ccxt.BadSymbol):
            await exchange.fapiPublicGetDepth({"symbol": "NOSUCH"})
        with pytest.raises(ccxt.ExchangeError, match="-2021"):
            await exchange.create_order(SYMBOL, "market", "sell", AMOUNT, params={"stopLossPrice": high})
        with pytest.raises(ccxt.BadRequest):
            await exchange.set_leverage(125.5, SYMBOL)
        exchange.secret = "another"
        with pytest.raises(ccxt.AuthenticationError):
            await exchange.fetch_balance()
    run(venue, scenario)


async def watched(exchange, calls, act, until):
    """What each of the watch calls brought while `act` ran and until `until(found)` holds."""
    found = {name: [] for name in calls}

    async def watch(name):
        while True:
            # ccxt goes on writing into what it has handed out.
            found[name].append(copy.deepcopy(await calls[name]()))
    tasks = [asyncio.create_task(watch(name)) for name in calls]
    await asyncio.sleep(1.5)
    result = await act()
    for _ in range(100):
        if until(found, result):
            break
        await asyncio.sleep(0.05)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return found, result


def test_streams_bring_orders_trades_positions_and_balances(venue):
    async def scenario(exchange):
        low, _ = await prices(exchange)

        async def act():
            resting = await exchange.create_order(SYMBOL, "limit", "buy", AMOUNT, low)
            await exchange.cancel_order(resting["id"], SYMBOL)
            stop = await exchange.create_order(SYMBOL, "market", "sell", AMOUNT, params={"stopLossPrice": low})
            await exchange.cancel_order(stop["id"], SYMBOL, {"trigger": True})
            return resting["id"], stop["id"], (await exchange.create_order(SYMBOL, "market", "buy", AMOUNT))["id"]

        def done(found, result):
            orders = [o for batch in found["orders"] for o in batch]
            return (any(o["id"] == result[2] and o["status"] == "closed" for o in orders) and found["trades"] and found["balance"]
                    and found["positions"])
        found, (resting, stop, taken) = await watched(exchange, {
            "orders": lambda: exchange.watch_orders(SYMBOL), "trades": lambda: exchange.watch_my_trades(SYMBOL),
            "balance": exchange.watch_balance, "positions": lambda: exchange.watch_positions([SYMBOL])}, act, done)
        orders = [o for batch in found["orders"] for o in batch]
        for order_id in (resting, stop):
            assert {"open", "canceled"} <= {o["status"] for o in orders if o["id"] == order_id}
        filled = {t["id"]: t["amount"] for batch in found["trades"] for t in batch if t["order"] == taken}
        assert round(sum(filled.values()), 8) == AMOUNT
        assert found["balance"][-1]["USDT"]["total"] > 0
        last = found["positions"][-1][-1]
        assert (last["symbol"], last["side"], last["contracts"]) == (SYMBOL, "long", AMOUNT)
        await flatten(exchange)
    run(venue, scenario)


def test_public_streams_are_read(venue):
    async def scenario(exchange):
        for _ in range(5):
            book = await exchange.watch_order_book(SYMBOL)
            assert book["bids"][0][0] < book["asks"][0][0]
        assert (await exchange.watch_trades(SYMBOL))[0]["amount"] > 0
        assert (await exchange.watch_ticker(SYMBOL))["last"] > 0
        assert (await exchange.watch_mark_price(SYMBOL))["markPrice"] > 0
        assert (await exchange.watch_ohlcv(SYMBOL, "1m"))[0][5] >= 0
    run(venue, scenario)


def test_orders_go_over_the_websocket_api(venue):
    async def scenario(exchange):
        low, _ = await prices(exchange)
        order = await exchange.create_order_ws(SYMBOL, "limit", "buy", AMOUNT, low)
        assert (await exchange.fetch_order_ws(order["id"], SYMBOL))["status"] == "open"
        changed = await exchange.edit_order_ws(order["id"], SYMBOL, "limit", "buy", 2 * AMOUNT, low)
        assert (changed["id"], changed["amount"]) == (order["id"], 2 * AMOUNT)
        assert (await exchange.cancel_order_ws(order["id"], SYMBOL))["status"] == "canceled"
        assert (await exchange.fetch_balance_ws({"type": "future"}))["USDT"]["total"] > 0
        assert isinstance(await exchange.fetch_positions_ws([SYMBOL]), list)
        with pytest.raises(ccxt.ExchangeError, match="-2019"):
            await exchange.create_order_ws(SYMBOL, "limit", "buy", 900, low)
    run(venue, scenario)
