"""The calls of USD-M futures: paths and methods, weights, what each must be signed with.

Weights: developers.binance.com/docs/derivatives/usds-margined-futures, seen 2026-11-22. Parameters that a call does not know
are passed over, as this venue does.
"""
import msgspec

from tickpath_sim.trading import spot_account
from tickpath_sim.trading.calls import KEY, NONE, READ, STREAM, TRADE, Route
from tickpath_sim.trading.market_view import CaptureMarket
from tickpath_sim.trading.public_answers import ANSWERS, weight_of
from tickpath_sim.trading.usdm_errors import error
from tickpath_sim.trading.usdm_params import number

__all__ = ["UsdmPublic", "rest_routes", "ws_routes"]

encode = msgspec.json.encode
NS_PER_MS = 1_000_000
STEPS_MS = {"1m": 60_000, "3m": 180_000, "5m": 300_000, "15m": 900_000, "30m": 1_800_000, "1h": 3_600_000, "2h": 7_200_000,
            "4h": 14_400_000, "6h": 21_600_000, "8h": 28_800_000, "12h": 43_200_000, "1d": 86_400_000, "3d": 259_200_000,
            "1w": 604_800_000, "1M": 2_592_000_000}
CONTINUOUS = {"PERPETUAL", "CURRENT_QUARTER", "NEXT_QUARTER"}


class _Anything:
    """The parameter names of a call that reads what it knows and passes over the rest."""

    def __ge__(self, names):
        return True


class UsdmRoute(Route):
    """A Route whose unknown parameters are passed over."""
    __slots__ = ()

    def __init__(self, operation, handler, weight=1, security=NONE, orders=0):
        super().__init__(operation, handler, weight, security, (), orders)
        self.allowed = _Anything()


class UsdmPublic:
    """What anybody may ask.

    Parameters: venue : UsdmVenue.
    """

    def __init__(self, venue):
        self.venue = venue

    def ping(self, call):
        return b"{}"

    def time(self, call):
        return b'{"serverTime":%d}' % (call.now_ns // NS_PER_MS)

    def exchange_info(self, call):
        venue = self.venue
        symbols = [contract.entry(venue.status_of(contract)) for contract in venue.contracts.values()]
        if isinstance(venue.market, CaptureMarket):
            symbols = self._as_captured(symbols)
        return encode({"timezone": "UTC", "serverTime": call.now_ns // NS_PER_MS, "futuresType": "U_MARGINED",
                       "rateLimits": venue.limits.info(), "exchangeFilters": [],
                       "assets": [{"asset": venue.margin_asset.name, "marginAvailable": True, "autoAssetExchange": "-10000"}],
                       "symbols": symbols})

    def _as_captured(self, entries):
        """The list as the capture has it, where it has one, and with what faults have done to it."""
        protocol = self.venue.protocol
        listed = protocol.listed()
        if protocol.exchange_info is not None:
            return protocol.info({})["symbols"]
        for entry in entries:
            item = protocol.instruments.get(entry["symbol"])
            if item is not None and (item.tick_size or item.lot_size):
                tick, lot = item.listed_grid()
                for row in entry["filters"]:
                    if row["filterType"] == "PRICE_FILTER":
                        row["tickSize"] = tick
                    elif row["filterType"] in ("LOT_SIZE", "MARKET_LOT_SIZE"):
                        row["stepSize"] = lot
        return [entry for entry in entries if entry["symbol"] in listed]

    def premium_index(self, call):
        marks, now_ms = self.venue.marks, call.now_ns // NS_PER_MS
        if "symbol" in call.params:
            return encode(marks.premium_index(marks.of(self.venue.contract_of(call.params)), now_ms))
        return encode([marks.premium_index(price, now_ms) for price in marks.prices.values()])

    def funding_rate(self, call):
        params = call.params
        name = self.venue.contract_of(params).name if "symbol" in params else None
        start_ms, end_ms = number(params, "startTime", 0, default=0), number(params, "endTime", 0, default=1 << 62)
        if start_ms > end_ms:
            raise error(-1023)
        return encode(self.venue.marks.funding_rows(start_ms, end_ms, min(number(params, "limit", 1, default=100), 1000), name))

    def funding_info(self, call):
        hours = max(1, self.venue.marks.interval_ms // 3_600_000)
        return encode([{"symbol": name, "adjustedFundingRateCap": "0.02000000", "adjustedFundingRateFloor": "-0.02000000",
                        "fundingIntervalHours": hours, "disclaimer": False, "updateTime": 1754596814166}
                       for name in self.venue.contracts])

    def open_interest(self, call):
        contract = self.venue.contract_of(call.params)
        lots = self.venue.open_interest(contract)
        return encode({"symbol": contract.name, "openInterest": contract.qty_text(lots), "time": call.now_ns // NS_PER_MS})

    def index_constituents(self, call):
        contract, now_ms = self.venue.contract_of(call.params), call.now_ns // NS_PER_MS
        price = self.venue.marks.premium_index(self.venue.marks.of(contract), now_ms)["indexPrice"]
        return encode({"symbol": contract.name, "time": now_ms, "constituents": [
            {"exchange": "binance", "symbol": contract.name, "price": price, "weight": "1.00000000"}]})

    def _candles(self, call, contract, which):
        params = call.params
        step_ms = STEPS_MS.get(params.get("interval"))
        if step_ms is None:
            raise error(-1120) if "interval" in params else error(-1102, "interval")
        start_ms, end_ms = number(params, "startTime", 0, default=0), number(params, "endTime", 0, default=1 << 62)
        price = self.venue.marks.of(contract)
        rows = price.minutes if which == "mark" else price.index_minutes
        limit = min(number(params, "limit", 1, default=500), 1500)
        return encode(self.venue.marks.klines(rows, step_ms, start_ms, end_ms, limit))

    def mark_klines(self, call):
        return self._candles(call, self.venue.contract_of(call.params), "mark")

    def index_klines(self, call):
        return self._candles(call, self._of_pair(call), "index")

    def _of_pair(self, call):
        name = call.params.get("pair")
        if name is None:
            raise error(-1102, "pair")
        if name not in self.venue.contracts:
            raise error(-4144)
        return self.venue.contracts[name]

    def continuous_klines(self, call):
        contract = self._of_pair(call)
        kind = call.params.get("contractType")
        if kind is None:
            raise error(-1102, "contracttype")
        if kind not in CONTINUOUS:
            raise error(-4104)
        params = {**call.params, "symbol": contract.name}
        rows = ANSWERS["klines"](self.venue.market, params, call.now_ns // NS_PER_MS) if kind == "PERPETUAL" else []
        return encode(rows)

    def ticker_price_v2(self, call):
        return encode(ANSWERS["ticker/price"](self.venue.market, call.params, call.now_ns // NS_PER_MS))


def market_handler(venue, name):
    """(handler, weight) of a call of public market data that spot has as well."""
    answer = ANSWERS[name]
    return (lambda call: encode(answer(venue.market, call.params, call.now_ns // NS_PER_MS)),
            lambda call: weight_of(answer, call.params, "usdm"))


def rest_routes(venue):
    """{(method, path): Route} of the venue."""
    public, trading, settings = venue.public, venue.trading, venue.settings
    table = {}

    def add(method, path, operation, handler, weight=1, security=NONE, orders=0):
        table[method, path] = UsdmRoute(operation, handler, weight, security, orders)

    add("GET", "/fapi/v1/ping", "ping", public.ping)
    add("GET", "/fapi/v1/time", "time", public.time)
    add("GET", "/fapi/v1/exchangeInfo", "exchangeInfo", public.exchange_info)
    for path in ("depth", "trades", "aggTrades", "klines", "ticker/24hr", "ticker/price", "ticker/bookTicker"):
        add("GET", f"/fapi/v1/{path}", path, *market_handler(venue, path))
    add("GET", "/fapi/v1/historicalTrades", "historicalTrades", *market_handler(venue, "historicalTrades"), KEY)
    add("GET", "/fapi/v2/ticker/price", "ticker/price", public.ticker_price_v2)
    add("GET", "/fapi/v1/continuousKlines", "continuousKlines", public.continuous_klines, 5)
    add("GET", "/fapi/v1/markPriceKlines", "markPriceKlines", public.mark_klines, 5)
    add("GET", "/fapi/v1/indexPriceKlines", "indexPriceKlines", public.index_klines, 5)
    add("GET", "/fapi/v1/premiumIndex", "premiumIndex", public.premium_index,
        lambda call: 1 if "symbol" in call.params else 10)
    add("GET", "/fapi/v1/fundingRate", "fundingRate", public.funding_rate)
    add("GET", "/fapi/v1/fundingInfo", "fundingInfo", public.funding_info)
    add("GET", "/fapi/v1/openInterest", "openInterest", public.open_interest)
    add("GET", "/fapi/v1/constituents", "constituents", public.index_constituents, 2)

    add("POST", "/fapi/v1/order", "order.place", trading.place, 0, TRADE, 1)
    add("PUT", "/fapi/v1/order", "order.modify", trading.modify, 1, TRADE, 1)
    add("DELETE", "/fapi/v1/order", "order.cancel", trading.cancel, 1, TRADE)
    add("GET", "/fapi/v1/order", "order.status", trading.status, 1, READ)
    add("POST", "/fapi/v1/order/test", "order.test", trading.test, 0, TRADE)
    add("POST", "/fapi/v1/batchOrders", "batchOrders.place", trading.place_batch, 5, TRADE, 5)
    add("PUT", "/fapi/v1/batchOrders", "batchOrders.modify", trading.modify_batch, 5, TRADE, 5)
    add("DELETE", "/fapi/v1/batchOrders", "batchOrders.cancel", trading.cancel_batch, 1, TRADE)
    add("DELETE", "/fapi/v1/allOpenOrders", "openOrders.cancelAll", trading.cancel_all, 1, TRADE)
    add("POST", "/fapi/v1/countdownCancelAll", "countdownCancelAll", trading.countdown, 10, TRADE)
    add("GET", "/fapi/v1/openOrder", "openOrder", trading.open_order, 1, READ)
    add("GET", "/fapi/v1/openOrders", "openOrders.status", trading.open_orders, lambda call: 1 if "symbol" in call.params else 40,
        READ)
    add("GET", "/fapi/v1/allOrders", "allOrders", trading.all_orders, 5, READ)
    add("GET", "/fapi/v1/orderAmendment", "orderAmendment", trading.amendments, 1, READ)
    add("GET", "/fapi/v1/userTrades", "myTrades", trading.user_trades, 5, READ)
    add("GET", "/fapi/v1/forceOrders", "forceOrders", trading.force_orders,
        lambda call: 20 if "symbol" in call.params else 50, READ)
    add("POST", "/fapi/v1/algoOrder", "algoOrder.place", trading.place_algo, 0, TRADE, 1)
    add("DELETE", "/fapi/v1/algoOrder", "algoOrder.cancel", trading.cancel_algo, 1, TRADE)
    add("GET", "/fapi/v1/algoOrder", "algoOrder.status", trading.algo_status, 1, READ)
    add("DELETE", "/fapi/v1/algoOpenOrders", "algoOpenOrders.cancel", trading.cancel_all_algo, 1, TRADE)
    add("GET", "/fapi/v1/openAlgoOrders", "openAlgoOrders", trading.open_algos, lambda call: 1 if "symbol" in call.params else 40,
        READ)
    add("GET", "/fapi/v1/allAlgoOrders", "allAlgoOrders", trading.all_algos, 5, READ)

    add("GET", "/fapi/v2/account", "account.status", settings.account_v2, 5, READ)
    add("GET", "/fapi/v3/account", "v2/account.status", settings.account_v3, 5, READ)
    for version in ("v2", "v3"):
        add("GET", f"/fapi/{version}/balance", "account.balance", settings.balance, 5, READ)
    add("GET", "/fapi/v2/positionRisk", "account.position", settings.position_risk_v2, 5, READ)
    add("GET", "/fapi/v3/positionRisk", "v2/account.position", settings.position_risk_v3, 5, READ)
    add("GET", "/fapi/v1/accountConfig", "accountConfig", settings.account_config, 5, READ)
    add("GET", "/fapi/v1/symbolConfig", "symbolConfig", settings.symbol_config, 5, READ)
    add("GET", "/fapi/v1/positionSide/dual", "positionSide.dual", settings.position_mode, 30, READ)
    add("POST", "/fapi/v1/positionSide/dual", "positionSide.dual", settings.set_position_mode, 1, TRADE)
    add("GET", "/fapi/v1/multiAssetsMargin", "multiAssetsMargin", settings.multi_assets, 30, READ)
    add("POST", "/fapi/v1/multiAssetsMargin", "multiAssetsMargin", settings.set_multi_assets, 1, TRADE)
    add("POST", "/fapi/v1/leverage", "leverage", settings.leverage, 1, TRADE)
    add("POST", "/fapi/v1/marginType", "marginType", settings.margin_type, 1, TRADE)
    add("POST", "/fapi/v1/positionMargin", "positionMargin", settings.position_margin, 1, TRADE)
    add("GET", "/fapi/v1/positionMargin/history", "positionMargin.history", settings.margin_history, 1, READ)
    add("GET", "/fapi/v1/leverageBracket", "leverageBracket", settings.brackets, 1, READ)
    add("GET", "/fapi/v1/commissionRate", "commissionRate", settings.commission_rate, 20, READ)
    add("GET", "/fapi/v1/income", "income", settings.income, 30, READ)
    add("GET", "/fapi/v1/adlQuantile", "adlQuantile", settings.adl_quantile, 5, READ)
    add("GET", "/fapi/v1/feeBurn", "feeBurn", settings.fee_burn, 30, READ)
    add("POST", "/fapi/v1/feeBurn", "feeBurn", settings.set_fee_burn, 1, TRADE)
    add("GET", "/fapi/v1/apiTradingStatus", "apiTradingStatus", settings.api_status, 1, READ)
    # Of the wallet, which futures share with spot, what clients ask for before they do anything else.
    add("GET", "/sapi/v1/system/status", "system.status", spot_account.system_status)
    add("GET", "/sapi/v1/capital/config/getall", "capital.config", spot_account.coins, 10, READ)
    for path in ("allPairs", "isolated/allPairs", "allAssets"):
        add("GET", f"/sapi/v1/margin/{path}", path, spot_account.empty_list, 1, KEY)

    add("POST", "/fapi/v1/listenKey", "userDataStream.start", settings.start_stream, 1, STREAM)
    add("PUT", "/fapi/v1/listenKey", "userDataStream.ping", settings.keep_stream, 1, STREAM)
    add("DELETE", "/fapi/v1/listenKey", "userDataStream.stop", settings.close_stream, 1, STREAM)
    return table


def ws_routes(venue):
    """{method: Route} of /ws-fapi/v1, without those that all WebSocket APIs share (session.*)."""
    public, trading, settings = venue.public, venue.trading, venue.settings
    table = {}

    def add(method, handler, weight=1, security=NONE, orders=0):
        table[method] = UsdmRoute(method, handler, weight, security, orders)

    add("ping", public.ping)
    add("time", public.time)
    add("depth", *market_handler(venue, "depth"))
    add("ticker.price", *market_handler(venue, "ticker/price"))
    add("ticker.book", *market_handler(venue, "ticker/bookTicker"))
    add("order.place", trading.place, 0, TRADE, 1)
    add("order.modify", trading.modify, 1, TRADE, 1)
    add("order.cancel", trading.cancel, 1, TRADE)
    add("order.status", trading.status, 1, READ)
    add("algoOrder.place", trading.place_algo, 0, TRADE, 1)
    add("algoOrder.cancel", trading.cancel_algo, 1, TRADE)
    add("account.balance", settings.balance, 5, READ)
    add("v2/account.balance", settings.balance, 5, READ)
    add("account.status", settings.account_v2, 5, READ)
    add("v2/account.status", settings.account_v3, 5, READ)
    add("account.position", settings.position_risk_v2, 5, READ)
    add("v2/account.position", settings.position_status, 5, READ)
    add("userDataStream.start", settings.start_stream, 5, STREAM)
    add("userDataStream.ping", settings.keep_stream, 1, STREAM)
    add("userDataStream.stop", settings.close_stream, 1, STREAM)
    return table
