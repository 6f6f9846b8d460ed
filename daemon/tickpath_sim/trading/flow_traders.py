"""Generated order flow: traders that are ordinary accounts of the exchange and act by a seeded schedule.

Three kinds for each instrument: posters place limit orders near the opposite best price and cancel them after a while, takers
send market orders (Poisson, or Hawkes with bursts), market makers keep both sides filled around a fair price. Posters and takers
know nothing of the price, "zero intelligence": Farmer, Patelli and Zovko 2005, "The predictive power of zero intelligence in
financial markets", PNAS 102; Cont, Stoikov and Talreja 2010, "A stochastic model for order book dynamics", Operations Research
58. docs/order-flow.md has the whole of it.

    spec = load_flow("hawkes", seed=7)
    exchange, desks = flow_exchange(spec)
    Flow(desks, spec).run(60 * 10**9, settle=exchange.drain)        # the first minute, as fast as the machine goes

Against an exchange where nobody else trades, everything is a function of the seed. Clients change what happens, not when.
"""
import heapq
import math

import numpy as np

from tickpath.sim.exchange import Exchange, SimOrderType, SimReason, SimTif
from tickpath.types import Side
from tickpath_sim.trading.flow_schedule import LIMIT, MARKET, Schedule
from tickpath_sim.trading.flows import FlowError
from tickpath_sim.trading.symbols import UNIT, Asset, Symbol, default_symbols

__all__ = ["Flow", "FlowDesk", "desk_sizes", "flow_exchange"]

BUY, SELL = int(Side.SIDE_BUY), int(Side.SIDE_SELL)
OK = int(SimReason.OK)
SECOND_NS = 10**9
# A poster has at most so many orders: the venue's limit for an account and instrument is 200.
ORDERS_OF_POSTER = 120
# What a trader has at the beginning, in multiples of what it is expected to need for resting orders and for a minute of trades.
CAPITAL = 20
# Market orders and makers' orders are priced so far from the fair price that filters of the venue never stand in their way.
BAND = 0.2


class FlowDesk:
    """The accounts through which the flow of one instrument trades, and their funds.

    Parameters: exchange : Exchange.  symbol : Symbol.  spot : whether both sides of a trade need funds of their own.
    posters, takers, makers : account numbers.  fund(account, Asset, units) : deposits (units > 0) or withdraws.
    """

    def __init__(self, exchange, symbol, posters, takers, makers, fund, *, spot=True):
        self.exchange, self.symbol, self.spot = exchange, symbol, spot
        self.posters, self.takers, self.makers, self.fund = posters, takers, makers, fund
        self.targets = {}                   # (account, Asset) -> units that it is to have, about
        self.opening = {}                   # maker -> base units that count as no position

    @property
    def accounts(self):
        return [*self.posters, *self.takers, *self.makers]

    def endow(self, base_units, quote_units):
        """Opening balances of every account."""
        for account in self.accounts:
            self.targets[account, self.symbol.quote] = quote_units
            if self.spot:
                self.targets[account, self.symbol.base] = base_units
                self.opening[account] = base_units
        for (account, asset), units in self.targets.items():
            self.fund(account, asset, units)

    def refill(self):
        """Deposit where less than half of the opening balance is left, withdraw what is more than the double of it."""
        for (account, asset), target in self.targets.items():
            owned, free = self._funds(account, asset)
            units = target - owned
            if 2 * units > target or units < -target and free > -units:
                self.fund(account, asset, units)
                if self.spot and asset is self.symbol.base:
                    self.opening[account] += units

    def _funds(self, account, asset):
        """(what an account owns of an asset, what of it can be paid out)."""
        if self.spot:
            free, locked = self.exchange.balance(account, asset.name)
            return free + locked, free
        wallet = self.exchange.margin_account(account, asset.index)
        return wallet.wallet_units, wallet.max_withdraw_units

    def position_units(self, account):
        """What a maker has bought (negative: sold), in base units of 1e-8."""
        if self.spot:
            free, locked = self.exchange.balance(account, self.symbol.base.name)
            return free + locked - self.opening[account]
        lots = sum(position.qty_lots for position in self.exchange.positions(account)
                   if position.instrument == self.symbol.index)
        return lots * self.symbol.lot_units


class _Trader:
    """The state of one instrument's flow."""

    def __init__(self, flow, spec, desk, seed):
        symbol = desk.symbol
        self.exchange, self.desk, self.spec, self.symbol = desk.exchange, desk, spec, symbol
        self.instrument = symbol.index
        start_units, lots = _units(spec.start_price), lambda text: _units(text) // symbol.lot_units
        self.start_ticks = start_units // symbol.tick_units
        if self.start_ticks < 100:
            raise FlowError(f"{symbol.name}: start_price: expected at least 100 ticks of {symbol.tick_size}, "
                            f"found {spec.start_price}")
        self.schedule = Schedule(spec, seed, self.instrument, self.start_ticks, lots(spec.qty))
        self.maker_lots = max(1, lots(spec.maker_qty))
        self.half_spread_ticks = max(1, round(self.start_ticks * spec.half_spread_bps / 1e4))
        self.step_ticks = max(1, round(self.start_ticks * spec.step_bps / 1e4))
        # Each order is worth a little more than the venue's least.
        self.least_units = int(_units(str(symbol.filters.get("min_notional") or "0")) * 1.05)
        most = symbol.filters.get("market_max_qty")
        self.market_max_lots = _units(str(most)) // symbol.lot_units if most else 1 << 62
        self.quotes = [{} for _ in desk.makers]         # of each maker: (side, level) -> (order id, price_ticks)
        self.next_poster = 0
        self.refused = flow.refused

    def endow(self):
        spec, symbol, schedule = self.spec, self.symbol, self.schedule
        mean_lots = schedule.median_lots * math.exp(spec.qty_sigma ** 2 / 2)
        rate_hz = spec.market_hz / (1 - spec.self_excitation - spec.cross_excitation) if spec.hawkes else spec.market_hz
        lots = max(schedule.resting_orders / 2 * mean_lots, 2 * rate_hz * 60 * mean_lots,
                   spec.levels * self.maker_lots * 4) * CAPITAL
        # Funds do not have to cover less than the venue's least order.
        lots = max(int(lots), -(-self.least_units * UNIT // (self.start_ticks * symbol.tick_units * symbol.lot_units)) * 1000)
        self.desk.endow(lots * symbol.lot_units, symbol.quote_units(self.start_ticks, lots))

    def at_least(self, price_ticks, lots):
        """The quantity, or the least that the venue takes at this price."""
        unit = price_ticks * self.symbol.tick_units * self.symbol.lot_units // UNIT
        return lots if lots * unit >= self.least_units else -(-self.least_units // max(1, unit))

    def submit(self, account, side, order_type, price_ticks, lots, now_ns):
        tif = SimTif.IOC if order_type == SimOrderType.MARKET else SimTif.GTC
        order_id, reason = self.exchange.submit(account, self.instrument, side, order_type, tif, price_ticks, lots,
                                                now_ns=now_ns)
        if reason != OK:
            self.refused[int(reason)] = self.refused.get(int(reason), 0) + 1
            return 0
        return order_id

    # ---- the three kinds

    def post(self, side, distance_ticks, lots, fair_ticks, now_ns):
        """A limit order, so far from the opposite best price. Returns (account, order id)."""
        bid, ask = self.exchange.best(self.instrument)
        if side > 0:
            price_ticks = (ask if ask is not None else fair_ticks) - distance_ticks
        else:
            price_ticks = (bid if bid is not None else fair_ticks) + distance_ticks
        low, high = fair_ticks * (1 - BAND), fair_ticks * (1 + BAND)
        price_ticks = int(min(max(price_ticks, low, 1), high))
        account = self.desk.posters[self.next_poster]
        self.next_poster = (self.next_poster + 1) % len(self.desk.posters)
        return account, self.submit(account, BUY if side > 0 else SELL, SimOrderType.LIMIT, price_ticks,
                                    self.at_least(price_ticks, lots), now_ns)

    def take(self, side, lots, fair_ticks, now_ns):
        lots = min(self.at_least(max(1, int(fair_ticks * (1 - BAND))), lots), self.market_max_lots)
        self.submit(self.desk.takers[0], BUY if side > 0 else SELL, SimOrderType.MARKET, 0, lots, now_ns)

    def quote(self, maker, fair_ticks, now_ns):
        """A maker moves its orders to where it wants them now; one that stands right already keeps its place."""
        account, quotes, exchange = self.desk.makers[maker], self.quotes[maker], self.exchange
        position = self.desk.position_units(account) / (self.maker_lots * self.symbol.lot_units)
        lean_ticks = round(self.start_ticks * self.spec.skew_bps / 1e4 * position)
        most = int(fair_ticks * BAND / 2)
        center_ticks = fair_ticks - max(-most, min(most, lean_ticks))
        wanted = {}
        for level in range(self.spec.levels):
            away_ticks = self.half_spread_ticks + level * self.step_ticks + maker
            wanted[BUY, level], wanted[SELL, level] = max(1, center_ticks - away_ticks), center_ticks + away_ticks
        # All that has to go goes before anything new comes, so that a maker never meets its own order.
        missing = []
        for place, price_ticks in wanted.items():
            order_id, standing_ticks = quotes.get(place, (0, 0))
            if order_id and exchange.order(order_id) is None:
                order_id = 0
            if order_id and standing_ticks != price_ticks:
                exchange.cancel(account, order_id, now_ns)
                order_id = 0
            if not order_id:
                missing.append(place)
        for place in missing:
            price_ticks = wanted[place]
            quotes[place] = (self.submit(account, place[0], SimOrderType.LIMIT, price_ticks,
                                         self.at_least(price_ticks, self.maker_lots), now_ns), price_ticks)


class Flow:
    """The flow of several instruments.

    Parameters: desks : [FlowDesk], endowed by this.  spec : FlowSpec, with an InstrumentFlow for each desk's symbol.
    refilled : deposit what runs short, once a second of the flow's time.
    `refused`: {SimReason: how many orders the exchange did not take}.
    """

    def __init__(self, desks, spec, *, refilled=True):
        self.spec = spec
        self.refused = {}
        self.executed = 0
        self.now_ns = 0                     # of the flow: 0 at its beginning
        # By symbol, not by place: an instrument's flow is the same whatever stands beside it.
        self.traders = {desk.symbol.index: _Trader(self, spec.instruments[desk.symbol.name], desk,
                                                   np.random.SeedSequence([spec.seed, *desk.symbol.name.encode()]))
                        for desk in desks}
        for trader in self.traders.values():
            trader.endow()
        self._block, self._position = [], 0
        self._cancels = []                  # heap of (t_ns, number, trader, account, order id)
        self._number = 0
        self._refill_ns = SECOND_NS if refilled else 1 << 62

    def _next_block(self):
        blocks = np.concatenate([trader.schedule.block() for trader in self.traders.values()])
        order = np.argsort(blocks["t_ns"], kind="stable")
        self._block, self._position = blocks[order].tolist(), 0

    def next_ns(self):
        """When the next thing happens, in the flow's time."""
        while self._position == len(self._block):
            self._next_block()
        t_ns = self._block[self._position][0]
        return min(t_ns, self._cancels[0][0]) if self._cancels else t_ns

    def step(self, now_ns):
        """The next thing happens, at `now_ns` of the exchange's time."""
        t_ns = self.next_ns()
        self.now_ns = t_ns
        self.executed += 1
        if t_ns >= self._refill_ns:
            self._refill_ns = t_ns - t_ns % SECOND_NS + SECOND_NS
            for trader in self.traders.values():
                trader.desk.refill()
        if self._cancels and self._cancels[0][0] <= self._block[self._position][0]:
            _, _, trader, account, order_id = heapq.heappop(self._cancels)
            trader.exchange.cancel(account, order_id, now_ns)
            return
        _, lifetime_ns, distance_ticks, lots, fair_ticks, who, instrument, side, kind = self._block[self._position]
        self._position += 1
        trader = self.traders[instrument]
        if kind == LIMIT:
            account, order_id = trader.post(side, distance_ticks, lots, fair_ticks, now_ns)
            if order_id:
                self._number += 1
                heapq.heappush(self._cancels, (t_ns + lifetime_ns, self._number, trader, account, order_id))
        elif kind == MARKET:
            trader.take(side, lots, fair_ticks, now_ns)
        else:
            trader.quote(who, fair_ticks, now_ns)

    def run(self, until_ns, *, start_ns=0, settle=None):
        """Everything that happens before `until_ns` of the flow's time; the exchange's time is that and `start_ns`.

        `settle()` is called after each step. Returns the number of steps.
        """
        before = self.executed
        while (t_ns := self.next_ns()) < until_ns:
            self.step(start_ns + t_ns)
            if settle is not None:
                settle()
        return self.executed - before


def _units(text):
    """A decimal text as a count of 1e-8."""
    whole, _, rest = text.partition(".")
    return int(whole + rest[:8].ljust(8, "0"))


def desk_sizes(spec, symbol):
    """(posters, takers, makers): how many accounts an instrument's flow takes."""
    lots = max(1, _units(spec.qty) // symbol.lot_units)
    schedule = Schedule(spec, np.random.SeedSequence(0), 0, _units(spec.start_price) // symbol.tick_units, lots)
    return max(1, math.ceil(1.3 * schedule.resting_orders / ORDERS_OF_POSTER)), 1, spec.makers


def flow_exchange(spec, *, checked=True, publish=False):
    """An Exchange of its own for a flow, with its instruments and accounts: for use in process.

    Parameters: spec : FlowSpec of spot symbols that symbols.default_symbols() knows.  checked : False lets balances go negative,
    so that no deposits are needed later.
    Returns: (exchange, desks).  Errors: FlowError.
    """
    known = default_symbols()
    exchange, assets, desks = Exchange(seed=spec.seed, publish=publish), {}, []
    for name, flow in spec.instruments.items():
        if name not in known:
            raise FlowError(f"flow {spec.name}: expected one of {', '.join(known)}, found {name}")
        base, quote, tick_size, lot_size, filters = known[name]
        for asset in (base, quote):
            if asset not in assets:
                assets[asset] = Asset(asset, exchange.add_asset(asset))
        number = exchange.add_instrument(name, kind="spot", base=base, quote=quote, tick_size=tick_size, lot_size=lot_size,
                                         **filters)
        symbol = Symbol(name, number, assets[base], assets[quote], tick_size, lot_size, filters)
        groups = [[exchange.add_account(maker_bps="0", taker_bps="0", checked=checked) for _ in range(count)]
                  for count in desk_sizes(flow, symbol)]
        desks.append(FlowDesk(exchange, symbol, *groups, _funding(exchange)))
    return exchange, desks


def _funding(exchange):
    def fund(account, asset, units):
        if units > 0:
            exchange.deposit(account, asset.name, units)
        else:
            exchange.withdraw(account, asset.name, -units)
    return fund
