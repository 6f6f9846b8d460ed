"""Binance USD-M futures as a venue that trades: perpetuals with margin, funding and liquidation over the matching core.

    /fapi/v1, v2, v3      usdm_rest.py: public data, usdm_trading.py, usdm_settings.py
    /ws-fapi/v1           the same handlers by method
    user data             usdm_user_data.py
    mark price, funding   usdm_mark.py

The amounts are the exchange's own (tickpath.sim.margin); here they are put into the venue's words.
"""
from decimal import Decimal

import msgspec

from tickpath.sim.exchange import SimReason
from tickpath.sim.margin_face import MarginReason
from tickpath_sim.trading.accounts import DEMO
from tickpath_sim.trading.calls import NONE, READ
from tickpath_sim.trading.limits import Rate
from tickpath_sim.trading.market_view import CaptureMarket
from tickpath_sim.trading.symbols import Symbol
from tickpath_sim.trading.tape import e8_of
from tickpath_sim.trading.usdm_account import Statement
from tickpath_sim.trading.usdm_contracts import BRACKETS, DEFAULTS, E8, MAX_ALGO_ORDERS, MAX_ORDERS, Contract, Terms
from tickpath_sim.trading.usdm_errors import error, refusal
from tickpath_sim.trading.usdm_mark import MarkPrices
from tickpath_sim.trading.usdm_orders import UsdmOrders
from tickpath_sim.trading.usdm_rest import UsdmPublic, UsdmRoute, rest_routes, ws_routes
from tickpath_sim.trading.usdm_settings import UsdmSettings, income_of
from tickpath_sim.trading.usdm_shapes import units_text
from tickpath_sim.trading.usdm_trading import UsdmTrading
from tickpath_sim.trading.usdm_user_data import UsdmUserStreams
from tickpath_sim.trading.venue import TradingVenue
from tickpath_sim.trading.ws_api import WsApiSession

__all__ = ["UsdmVenue", "usdm_rates", "usdm_specs"]

UNLIMITED = 1 << 40
NS_PER_MS = 1_000_000
MAKER_BPS, TAKER_BPS = "2", "5"
LIQUIDATED = int(SimReason.LIQUIDATED)
ALL_LEVELS = 1 << 20
CROSS = 0xFFFF                              # an event's instrument when it concerns the whole cross wallet
TERM_NAMES = ("min_price", "max_price", "min_qty", "max_qty", "market_max_qty", "min_notional", "multiplier_up",
              "multiplier_down", "liquidation_fee")


def usdm_rates(weight_per_min=2400, orders_per_10s=300, orders_per_min=1200):
    """The venue's limits; 0: none."""
    rates = [Rate("REQUEST_WEIGHT", 1, "MINUTE", weight_per_min or UNLIMITED)]
    if orders_per_min:
        rates.append(Rate("ORDERS", 1, "MINUTE", orders_per_min))
    if orders_per_10s:
        rates.append(Rate("ORDERS", 10, "SECOND", orders_per_10s))
    return rates


def usdm_specs(names=None, info=None):
    """{symbol: (base, quote, tick_size, lot_size, terms)} of contracts.

    Parameters: names : those wanted, None for the defaults.  info : a recorded exchangeInfo, whose entries come first.
    """
    listed = {}
    for entry in (info or {}).get("symbols", ()):
        filters = {f.get("filterType"): f for f in entry.get("filters", ())}
        price, lot, market = (filters.get(name, {}) for name in ("PRICE_FILTER", "LOT_SIZE", "MARKET_LOT_SIZE"))
        if price.get("tickSize") and lot.get("stepSize"):
            percent = filters.get("PERCENT_PRICE", {})
            terms = {"min_price": price.get("minPrice"), "max_price": price.get("maxPrice"), "min_qty": lot.get("minQty"),
                     "max_qty": lot.get("maxQty"), "market_max_qty": market.get("maxQty"),
                     "min_notional": filters.get("MIN_NOTIONAL", {}).get("notional"),
                     "multiplier_up": percent.get("multiplierUp"), "multiplier_down": percent.get("multiplierDown"),
                     "liquidation_fee": entry.get("liquidationFee")}
            listed[entry["symbol"]] = (entry["baseAsset"], entry["quoteAsset"], price["tickSize"], lot["stepSize"],
                                       {name: text for name, text in terms.items() if text})
    for name, t in DEFAULTS.items():
        listed.setdefault(name, (t.base, t.quote, t.tick_size, t.lot_size, {key: getattr(t, key) for key in TERM_NAMES}))
    return {name: listed[name] for name in (DEFAULTS if names is None else names) if name in listed}


class UsdmVenue(TradingVenue):
    """See TradingVenue; `filters` of the specs are the contract's terms (usdm_contracts.Terms)."""
    kind = "usdm"
    users_class = UsdmUserStreams
    orders_class = UsdmOrders
    ws_api_path = "/ws-fapi/v1"

    def __init__(self, specs, rows, rates, **options):
        self.contracts, self.by_index = {}, {}
        # The demonstration account names spot's fees.
        fees = {"maker_bps": MAKER_BPS, "taker_bps": TAKER_BPS}
        rows = [{**row, **fees} if rows is DEMO else {**fees, **row} for row in rows]
        super().__init__(specs, rows, rates, **options)

    def routes(self):
        self.marks = MarkPrices(self)
        self.public, self.trading, self.settings = UsdmPublic(self), UsdmTrading(self), UsdmSettings(self)
        self.rest_routes.update(rest_routes(self))
        self.ws_routes.update(ws_routes(self))
        for name, method in (("session.logon", lambda call: call.session.logon(call)),
                             ("session.status", lambda call: call.session.status_text(call)),
                             ("session.logout", lambda call: call.session.logout(call))):
            self.ws_routes[name] = UsdmRoute(name, method, 2, NONE)
        self.ws_routes["userDataStream.subscribe.signature"] = UsdmRoute(
            "userDataStream.subscribe.signature", lambda call: call.session.subscribe_signed(call), 2, READ)
        self.timers += [self.marks.tick, self.trading.tick]

    @property
    def margin_asset(self):
        """The Asset that all contracts are settled in."""
        return next(iter(self.contracts.values())).symbol.quote

    def ws_session(self, connection, path, query):
        if path.rstrip("/") == "/ws-fapi/v1":
            return WsApiSession(self.protocol, connection, self, query)
        return None

    # ---- contracts and accounts

    def add_symbol(self, name, base, quote, tick_size, lot_size, filters):
        base, quote = self.asset(base), self.asset(quote)
        known = DEFAULTS.get(name)
        if known is not None:
            # The same grid, but with as many places as the venue writes.
            tick_size = known.tick_size if Decimal(known.tick_size) == Decimal(tick_size) else tick_size
            lot_size = known.lot_size if Decimal(known.lot_size) == Decimal(lot_size) else lot_size
        terms = Terms(base.name, quote.name, tick_size, lot_size, **{k: v for k, v in filters.items() if k in TERM_NAMES})
        # Notional and price bands go by the mark price and spare orders that reduce, so they are checked here, not in the core.
        index = self.exchange.add_instrument(
            name, kind="perpetual", base=base.name, quote=quote.name, tick_size=tick_size, lot_size=lot_size,
            min_price=terms.min_price, max_price=terms.max_price, min_qty=terms.min_qty, max_qty=terms.max_qty,
            market_max_qty=terms.market_max_qty, max_orders=MAX_ORDERS, max_algo_orders=MAX_ALGO_ORDERS)
        places = (len(tick_size.partition(".")[2]), len(lot_size.partition(".")[2]))
        symbol = self.symbols[name] = Symbol(name, index, base, quote, tick_size, lot_size, filters, *places)
        self.by_instrument.append(symbol)
        contract = self.contracts[name] = self.by_index[index] = Contract(symbol, terms)
        self.exchange.set_brackets(index, [(cap * E8, leverage, contract.scaled(rate)) for cap, leverage, rate in BRACKETS])
        self.exchange.set_liquidation_fee(index, contract.scaled(terms.liquidation_fee))
        return symbol

    def deposit(self, account, asset, units, why="deposit"):
        """As TradingVenue.deposit; the margin asset goes on into the futures wallet."""
        margin = asset.name in {contract.terms.quote for contract in self.contracts.values()}
        if margin and units < 0:
            self._transfer(account, asset, units)
        super().deposit(account, asset, units, why)
        if margin and units > 0:
            self._transfer(account, asset, units)
        if account.keys:
            self.statement(account).income.append(income_of(
                self, "TRANSFER", None, units, self.now_ns() // NS_PER_MS, self._transaction()))

    def _transfer(self, account, asset, units):
        reason = self.exchange.margin_transfer(account.number, asset.index, units)
        self.settle()
        if reason:
            raise error(-2018)

    def statement(self, account):
        """The account's Statement."""
        statement = account.extra
        if statement is None:
            statement = account.extra = Statement(self, account)
        return statement

    def contract_of(self, params):
        """The contract that `symbol` names. Errors: VenueError -1102, -1121."""
        name = params.get("symbol")
        if name is None:
            raise error(-1102, "symbol")
        contract = self.contracts.get(name)
        if contract is None:
            raise error(-1121)
        return contract

    def bad_symbol(self, name):
        return error(-1121)

    # ---- refusals

    def refusal(self, reason, request):
        intent = request.extra if request is not None else None
        return refusal(SimReason(reason).name, market=intent is not None and intent.type == "MARKET",
                       buy=intent is not None and intent.buy,
                       min_notional=intent.contract.terms.min_notional if intent is not None else "5")

    @staticmethod
    def margin_reason(reason):
        """The name of a reason of the margin book's settings."""
        return MarginReason(reason).name

    # ---- the market

    def status_of(self, contract):
        item = self.protocol.instruments.get(contract.name) if self.protocol is not None else None
        return (item.status if item is not None else None) or contract.symbol.status

    def check_status(self, contract):
        if self.status_of(contract) != "TRADING":
            raise error(-4140)

    def best_and_last(self, contract):
        """(bid, ask, last trade) in 1e-8, 0 for none."""
        bid, ask = self.exchange.best(contract.index)
        last = self.exchange.last_price(contract.index) or 0
        prices = [ticks * contract.tick_e8 if ticks else 0 for ticks in (bid, ask, last)]
        if isinstance(self.market, CaptureMarket):
            sides = self.market.best(contract.name)
            prices[:2] = [price or (e8_of(side[0]) if side else 0) for price, side in zip(prices, sides, strict=False)]
            prices[2] = prices[2] or self.market.tape(contract.name).candles.last_e8
        return tuple(prices)

    def price_levels(self, contract, bids, count):
        """Prices of a side's levels in ticks, best first."""
        if isinstance(self.market, CaptureMarket):
            _, *sides = self.market.depth(contract.name, count)
            return [e8_of(row[0]) // contract.tick_e8 for row in sides[0 if bids else 1]]
        return [ticks for ticks, _ in self.exchange.depth(contract.index, count)[0 if bids else 1]]

    def fillable_lots(self, contract, buy, ticks):
        """What an order at a limit could trade at once, in lots."""
        side, sign = (1, 1) if buy else (0, -1)
        total = sum(lots for price, lots in self.exchange.depth(contract.index, ALL_LEVELS)[side] if sign * (ticks - price) >= 0)
        if isinstance(self.market, CaptureMarket):
            rows = self.market.depth(contract.name, None)[1 + side]
            total += sum(e8_of(qty) // contract.lot_e8 for price, qty, *_ in rows
                         if sign * (ticks * contract.tick_e8 - e8_of(price)) >= 0)
        return total

    def would_take(self, contract, buy, ticks):
        bid, ask, _ = self.best_and_last(contract)
        price = ticks * contract.tick_e8
        return bool(ask and price >= ask) if buy else bool(bid and price <= bid)

    def reduces(self, account, intent):
        """Whether an order can only make a position smaller, by what it says of itself."""
        return intent.reduce_only or intent.close_position or (
            intent.position_side != "BOTH" and intent.buy == (intent.position_side == "SHORT"))

    def recorded_mark(self, contract):
        """The last recorded markPriceUpdate of a contract, None without one."""
        if not isinstance(self.market, CaptureMarket) or self.protocol is None:
            return None
        for channel in ("markPrice@1s", "markPrice"):
            event = self.protocol.last.get(f"{contract.name.lower()}@{channel}")
            if event is not None:
                return event.raw
        return None

    def publish_mark(self, price, now_ms):
        publish = getattr(self.market, "publish_mark", None)
        if publish is not None:
            publish(price.contract.name, price.mark_e8, price.index_e8, price.index_e8, price.rate_e8, price.next_funding_ms)

    def open_interest(self, contract):
        """Open contracts in lots: what all clients are long, or short if that is more."""
        longs = shorts = 0
        for account in self.accounts:
            for position in self.exchange.positions(account.number, contract.index):
                if position.qty_lots > 0:
                    longs += position.qty_lots
                else:
                    shorts -= position.qty_lots
        return max(longs, shorts)

    def open_notional(self, account, contract):
        """(bids, asks): texts of the notional that an account has open in orders on either side."""
        if not account.open_orders:
            return "0", "0"
        bids = asks = 0
        for position in self.exchange.positions(account.number, contract.index):
            bids += position.bid_notional_units
            asks += position.ask_notional_units
        return tuple(units_text(units).rstrip("0").rstrip(".") if units else "0" for units in (bids, asks))

    # ---- what the exchange did to an account of its own accord

    def _transaction(self):
        self.orders.next_transaction += 1
        return self.orders.next_transaction

    def earned(self, account, event):
        """A trade: what it cost and what it won."""
        if not account.keys:
            return
        contract, now_ms = self.by_index[event.instrument], event.ts_ns // NS_PER_MS
        income = self.statement(account).income
        number = self._transaction()
        if event.fee_units:
            income.append(income_of(self, "COMMISSION", contract, -event.fee_units, now_ms, number, event.trade_id))
        if event.pnl_units:
            income.append(income_of(self, "REALIZED_PNL", contract, event.pnl_units, now_ms, number, event.trade_id))

    def funded(self, account, event):
        contract = self.by_index[event.instrument]
        if account.keys:
            self.statement(account).income.append(income_of(
                self, "FUNDING_FEE", contract, event.value, event.ts_ns // NS_PER_MS, self._transaction()))
        isolated = self.statement(account).isolated(contract)
        self.users.account_update(account, "FUNDING_FEE", contract if isolated else None, change_units=event.value,
                                  legs=(event.position_side,))

    def margin_called(self, account, event):
        statement = self.statement(account)
        if event.instrument == CROSS:
            found = [(c, p) for c, p in statement.positions() if p.qty_lots and not p.isolated]
        else:
            found = [(c, p) for c, p in statement.positions(self.by_index[event.instrument])
                     if p.qty_lots and int(p.position_side) == event.position_side]
        self.users.margin_call(account, found)

    def wallet_changed(self, account, event):
        """The insurance fund has made up for what was missing; other moves of the wallet are told by who asked for them."""
        if event.reason == LIQUIDATED:
            if account.keys:
                self.statement(account).income.append(income_of(
                    self, "INSURANCE_CLEAR", None, event.value, event.ts_ns // NS_PER_MS, self._transaction()))
            self.users.account_update(account, "INSURANCE_CLEAR", None, change_units=event.value)

    def liquidated(self, order):
        """An order by which a position was closed is over: tell the public."""
        publish = getattr(self.market, "publish_liquidation", None)
        if publish is None or not order.cum_lots:
            return
        contract = order.extra.contract
        qty = contract.qty_text(order.cum_lots)
        text = msgspec.json.encode({
            "s": contract.name, "S": "BUY" if order.extra.buy else "SELL", "o": "LIMIT", "f": "IOC",
            "q": contract.qty_text(order.qty_lots), "p": contract.price_text(order.price_ticks),
            "ap": contract.average_text(order.cum_quote_units, order.cum_lots), "X": order.status,
            "l": order.fills and contract.qty_text(order.fills[-1].qty_lots) or qty, "z": qty,
            "T": order.updated_ns // NS_PER_MS}).decode()
        publish(contract.name, text, order.updated_ns // NS_PER_MS)
