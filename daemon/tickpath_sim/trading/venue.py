"""A venue that trades: the exchange, its instruments and accounts, the order service, user data, limits, and its tables of
endpoints. `spot.py` and `usdm.py` fill the tables.

Whoever changes the exchange calls `settle()` after it: the events of that change go, in order, to the order service first and
then to the other listeners, before anything else happens.
"""
import logging
import time
from collections import Counter
from decimal import Decimal

from tickpath.sim.exchange import Exchange, SimEventKind, SimReason, SimStatus
from tickpath_sim.protocols.base import VenueClock
from tickpath_sim.trading.accounts import DEMO, Account, Accounts
from tickpath_sim.trading.errors import BAD_SYMBOL, SPOT_REASONS, VenueError, of_reason
from tickpath_sim.trading.limits import Limits
from tickpath_sim.trading.market_view import CaptureMarket
from tickpath_sim.trading.orders import OrderService
from tickpath_sim.trading.recorded_feed import RecordedFeed
from tickpath_sim.trading.symbols import UNIT, Asset, Symbol
from tickpath_sim.trading.user_data import UserStreams

__all__ = ["TradingVenue"]

log = logging.getLogger("tickpath_sim")
FEE_PRICE_INTERVAL_NS = 10**9


class TradingVenue:
    """Parameters: specs : {symbol: (base, quote, tick_size, lot_size, filters)}.  rows : of accounts, see accounts.py.
    rates : the limits.  enforced : whether a limit refuses.  publish : the exchange tells of its own book, for a venue whose
    market is made by its clients.  seed : of the exchange.
    """
    kind = "spot"
    users_class = UserStreams
    orders_class = OrderService
    symbol_class = Symbol
    reasons = SPOT_REASONS
    ws_api_path = "/ws-api/v3"

    def __init__(self, specs, rows, rates, *, enforced=True, publish=False, seed=0):
        self.exchange = Exchange(seed=seed, publish=publish) if publish else Exchange(seed=seed)
        self.counters = Counter()
        self.assets, self.by_asset = {}, []
        self.symbols, self.by_instrument = {}, []
        self.accounts = Accounts()
        self.limits = Limits(rates, enforced)
        self.event_listeners = []
        self.timers = []                    # f(now_ns), called every 10 ms
        self.faults = None                  # order faults, while there are any
        self.market = None                  # MarketView
        self.feed = None                    # RecordedFeed, where a capture is played
        self.protocol = None                # whose sessions carry the market streams
        self.rest_routes, self.ws_routes = {}, {}
        for name, (base, quote, tick, lot, filters) in specs.items():
            self.add_symbol(name, base, quote, tick, lot, filters)
        for row in rows:
            for asset in row.get("balances", ()):
                self.asset(asset)
        self.users = self.users_class(self)
        self.orders = self.orders_class(self, {kind.name: int(kind) for kind in SimEventKind},
                                        {status.name: int(status) for status in SimStatus})
        self.event_listeners.append(self.orders.on_events)
        for row in rows:
            self.add_account(row["name"], row.get("balances", {}), row.get("maker_bps", "10"), row.get("taker_bps", "10"),
                             row.get("fee_asset"), row.get("fee_discount", "0.25"),
                             [*([row] if "api_key" in row else []), *row.get("key", ())])
        self._fee_assets = sorted({account.fee_asset for account in self.accounts if account.fee_asset})
        self._fee_prices_ns = 0
        self.routes()

    def routes(self):
        """Fill `rest_routes` and `ws_routes`."""
        raise NotImplementedError

    # ---- what there is

    @staticmethod
    def now_ns():
        """The venue's clock."""
        return time.time_ns() + VenueClock.offset_ms * 1_000_000

    def asset(self, name):
        """The Asset of a name, made when it is new."""
        asset = self.assets.get(name)
        if asset is None:
            asset = self.assets[name] = Asset(name, self.exchange.add_asset(name, decimals=8))
            self.by_asset.append(asset)
        return asset

    def add_symbol(self, name, base, quote, tick_size, lot_size, filters):
        base, quote = self.asset(base), self.asset(quote)
        index = self.exchange.add_instrument(name, kind="spot", base=base.name, quote=quote.name, tick_size=tick_size,
                                             lot_size=lot_size, **filters)
        symbol = self.symbols[name] = self.symbol_class(name, index, base, quote, tick_size, lot_size, filters)
        self.by_instrument.append(symbol)
        return symbol

    def add_account(self, name, balances=None, maker_bps="10", taker_bps="10", fee_asset=None, fee_discount="0.25", keys=()):
        """A new account with its opening balances ({asset: decimal text})."""
        if fee_asset is not None:
            self.asset(fee_asset)
        number = self.exchange.add_account(maker_bps=str(maker_bps), taker_bps=str(taker_bps), fee_asset=fee_asset,
                                           fee_discount=str(fee_discount))
        account = Account(number, name, maker_bps, taker_bps, fee_asset, fee_discount, self.limits.order_count())
        self.accounts.add(account)
        for row in keys:
            self.accounts.add_key(account, row)
        for asset, amount in (balances or {}).items():
            self.deposit(account, self.asset(asset), int(Decimal(str(amount)) * UNIT), "opening")
        return account

    def deposit(self, account, asset, units, why="deposit"):
        """Pay in (units > 0) or out. Errors: VenueError when the account has not so much."""
        if units >= 0:
            reason = self.exchange.deposit(account.number, asset.name, units)
        else:
            reason = self.exchange.withdraw(account.number, asset.name, -units)
        if reason:
            raise self.refusal(reason, None)
        account.updated_ns = self.now_ns()
        for listener in self.orders.listeners:
            listener.on_deposit(account, asset, units, why)
        self.settle()
        if account.subscriptions:
            self.users.deposited(account, asset, units)

    def bad_symbol(self, name):
        return VenueError(*BAD_SYMBOL)

    def refusal(self, reason, request):
        """The venue's words for what the exchange says to a request."""
        return of_reason(SimReason(reason).name, self.reasons)

    # ---- what happens

    def settle(self):
        """Hand out what the exchange has to tell."""
        drain = self.exchange.drain
        while events := drain():
            for listener in self.orders.listeners:
                listener.on_events(events)
            for listener in self.event_listeners:
                listener(events)

    def tick(self, now_ns):
        """The clock's duties, every 10 ms."""
        self.exchange.advance(now_ns)
        self.settle()
        for timer in self.timers:
            timer(now_ns)
        if self._fee_assets and now_ns >= self._fee_prices_ns:
            self._fee_prices_ns = now_ns + FEE_PRICE_INTERVAL_NS
            self._set_fee_prices()
        if self.users.keys:
            self.users.expire(now_ns)

    def _set_fee_prices(self):
        """What fees cost in a third asset: by the last price of that asset in each quote asset."""
        for name in self._fee_assets:
            for symbol in self.by_instrument:
                if symbol.base.name == name:
                    ticks = self.exchange.last_price(symbol.index)
                    if ticks:
                        self.exchange.set_fee_asset_price(name, symbol.quote.name, Decimal(ticks) * Decimal(symbol.tick_size))

    def failed(self, call):
        """A handler of ours failed: the client gets -1000, and we get to know."""
        self.counters["handler_failures"] += 1
        log.exception("tickpath-sim: %s failed", call.route.operation)

    # ---- the market

    def attach(self, protocol, injector, played):
        """The server is there: its protocol carries the market streams, and its faults concern snapshots.

        `played`: its market is a capture's. Otherwise `market` is set by who makes the market.
        """
        self.protocol, protocol.trading = protocol, self
        if played:
            self.market = CaptureMarket(self.kind, self.symbols, protocol)
            self.feed = RecordedFeed(self)
            self.market.old_snapshot = injector.take_old_snapshot

    def market_event(self, event):
        """An event of the stream that is played."""
        if self.feed is not None:
            self.market.observe(event)
            self.feed.observe(event)

    # ---- clients

    def listed_accounts(self):
        """What the start line says of the accounts; a secret only where it is no secret: the demonstration's."""
        rows = []
        for account in self.accounts:
            for key in account.keys:
                row = {"name": account.name, "api_key": key.key}
                if key.secret is not None and account.name == DEMO[0]["name"] and key.secret == DEMO[0]["secret"]:
                    row["secret"] = key.secret
                rows.append(row)
        return rows

    def ws_session(self, connection, path, query):
        """A Session for a path of the WebSocket API, None for others."""
        return None
