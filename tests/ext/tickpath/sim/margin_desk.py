"""An exchange with perpetuals and the slow model beside it: what is done to one is told to the other, then both are compared."""
from decimal import ROUND_CEILING, Decimal

import margin_reference as reference
from margin_reference import BOTH, BUY, INSURANCE, LONG, SELL, SHORT, UNIT, Contract, MarginReference

from tickpath.sim.exchange import Exchange, SimEventKind, SimReason
from tickpath.sim.margin_face import MarginReason

MARKET, LIMIT, STOP_MARKET, TAKE_PROFIT_MARKET = 1, 2, 4, 6
GTC, IOC = 1, 3
OK = SimReason.OK
UNITS = 10**8
NAMES = {"": OK, "REDUCE_ONLY_REJECTED": SimReason.REDUCE_ONLY, "MARGIN_INSUFFICIENT": SimReason.MARGIN,
         "LEVERAGE_CAP": SimReason.LEVERAGE, "POSITION_SIDE": SimReason.POSITION_SIDE}
BTC_BRACKETS = [("50000", 125, "0.004"), ("250000", 100, "0.005"), ("1000000", 50, "0.01"), ("10000000", 20, "0.025"),
                ("20000000", 10, "0.05"), ("50000000", 5, "0.1")]
ETH_BRACKETS = [("10000", 100, "0.005"), ("100000", 75, "0.0065"), ("500000", 50, "0.01"), ("1000000", 25, "0.02"),
                ("5000000", 10, "0.05"), ("10000000", 5, "0.1")]


def units(amount):
    value = Decimal(amount) * UNITS
    assert value == int(value)
    return int(value)


def money(value):
    return Decimal(value) * UNIT


class Desk:
    """Prices, quantities and amounts are decimal text or Decimal. Every step is followed by compare()."""

    def __init__(self, compare=True):
        self.x = Exchange(seed=1)
        self.usdt = self.x.add_asset("USDT", decimals=8)
        self.model = MarginReference()
        self.compares = compare
        self.now = 1_000
        self.events = []
        self.ticks, self.lots = [], []
        self.orders = {}
        self.settings_reason = MarginReason.OK

    # ---- set up
    def contract(self, name, tick, lot, brackets, liquidation_fee="0"):
        self.x.add_asset(name.removesuffix("USDT"), decimals=8)
        symbol = self.x.add_instrument(name, kind="perpetual", base=name.removesuffix("USDT"), quote="USDT", tick_size=tick, lot_size=lot)
        tick, lot, fee = Decimal(tick), Decimal(lot), Decimal(liquidation_fee)
        self.x.set_brackets(symbol, [(units(cap), leverage, units(rate)) for cap, leverage, rate in brackets])
        self.x.set_liquidation_fee(symbol, units(fee))
        self.model.add_contract(Contract(tick, lot, [(Decimal(c), v, Decimal(r)) for c, v, r in brackets], fee))
        self.ticks.append(tick)
        self.lots.append(lot)
        return symbol

    def account(self, deposit="0", maker_bps="0", taker_bps="0"):
        account = self.x.add_account(maker_bps=maker_bps, taker_bps=taker_bps)
        assert account == self.model.add_account(Decimal(maker_bps) / 10000, Decimal(taker_bps) / 10000)
        if Decimal(deposit):
            self.deposit(account, deposit)
        return account

    def deposit(self, account, amount):
        assert self.x.deposit(account, self.usdt, units(amount)) == OK
        assert self.x.margin_transfer(account, self.usdt, units(amount)) == MarginReason.OK
        self.model.deposit(account, Decimal(amount))
        self.settle()

    # ---- orders
    def submit(self, account, symbol, side, qty, price=None, position_side=BOTH, tif=GTC, reduce_only=False):
        """Place a limit (price) or market order. Returns (order id, reason)."""
        self.now += 1
        ticks = 0 if price is None else int(Decimal(price) / self.ticks[symbol])
        lots = int(Decimal(qty) / self.lots[symbol])
        assumed = Decimal(price) if price is not None else self.assumed(symbol, side)
        expected = self.model.judge_order(account, symbol, side, position_side, reduce_only, assumed, Decimal(qty))
        order_id, reason = self.x.submit(account, symbol, side, MARKET if price is None else LIMIT, GTC if price is None else tif, ticks, lots,
                                         position_side=position_side, reduce_only=reduce_only, now_ns=self.now)
        if self.compares:
            assert reason == NAMES[expected], (account, symbol, side, qty, price, reason, expected)
        if reason == OK:
            self.model.open_order(order_id, account, symbol, side, position_side, reduce_only, assumed, Decimal(qty))
            self.orders[order_id] = (account, symbol, side, position_side)
        self.settle()
        return order_id, reason

    def buy(self, account, symbol, qty, price=None, **options):
        return self.submit(account, symbol, BUY, qty, price, **options)

    def sell(self, account, symbol, qty, price=None, **options):
        return self.submit(account, symbol, SELL, qty, price, **options)

    def amend(self, account, order_id, qty, price):
        """Give an open order another whole quantity and price."""
        self.now += 1
        _, symbol, side, leg = self.orders[order_id]
        view, order = self.x.order(order_id), self.model.orders[order_id]
        price, qty = Decimal(price), Decimal(qty)
        ticks, lots = int(price / self.ticks[symbol]), int(qty / self.lots[symbol])
        left = qty - view.cum_lots * self.lots[symbol]
        if (ticks, lots) == (view.price_ticks, view.qty_lots) or left <= 0:
            expected = SimReason.AMEND
        elif ticks == view.price_ticks and lots < view.qty_lots:
            expected = OK
        else:
            del self.model.orders[order_id]
            reduce_only = view.reduce_only and leg == BOTH
            expected = NAMES[self.model.judge_order(account, symbol, side, leg, reduce_only, price, left)]
            self.model.orders[order_id] = order
        reason = self.x.amend(account, order_id, lots, self.now, price_ticks=ticks)
        assert not self.compares or reason == expected, (reason, expected)
        if reason == OK:
            order.price, order.open_qty = price, left
        self.settle()
        return reason

    def assumed(self, symbol, side):
        bid, ask = self.x.best(symbol)
        tick, mark = self.ticks[symbol], self.model.contracts[symbol].mark
        whole_mark = mark // tick * tick
        if side == BUY:
            return whole_mark if ask is None else (Decimal(ask) * 10005 / 10000).to_integral_value(ROUND_CEILING) * tick
        return whole_mark if bid is None else max(bid * tick, whole_mark)

    def cancel(self, account, order_id):
        self.now += 1
        reason = self.x.cancel(account, order_id, self.now)
        self.settle()
        return reason

    def trade(self, buyer, seller, symbol, qty, price, buyer_leg=BOTH, seller_leg=BOTH):
        """A trade at a price between two accounts, the seller as maker."""
        order_id, reason = self.sell(seller, symbol, qty, price, position_side=seller_leg)
        assert reason == OK
        _, reason = self.buy(buyer, symbol, qty, price, position_side=buyer_leg)
        assert reason == OK

    # ---- the venue
    def mark(self, symbol, price):
        self.now += 1
        self.model.contracts[symbol].mark = Decimal(price)
        self.x.set_mark(symbol, units(price), self.now)
        return self.settle()

    def fund(self, symbol, rate):
        self.now += 1
        paid = self.model.fund(symbol, Decimal(rate))
        self.x.fund(symbol, units(rate), self.now)
        events = self.settle()
        told = {(e.account, e.position_side): money(e.value) for e in events if e.kind == SimEventKind.FUNDING}
        assert told == {k: v for k, v in paid.items() if k[0] > INSURANCE}
        return events

    def offload(self, symbol, price):
        self.now += 1
        lots = self.x.offload_insurance(symbol, self.now, int(Decimal(price) / self.ticks[symbol]))
        self.settle()
        return lots

    # ---- events into the model
    def settle(self):
        events = self.x.drain()
        self.events += events
        for e in events:
            self.take(e)
        if self.compares:
            self.compare()
        return events

    def take(self, e):
        kind = e.kind
        if kind == SimEventKind.TRADE:
            price, qty = e.price_ticks * self.ticks[e.instrument], e.qty_lots * self.lots[e.instrument]
            known = self.orders.get(e.order_id)
            if known is None:
                self.liquidation_trade(e, price, qty)
            else:
                fee = self.model.fee(e.account, price, qty, e.is_maker)
                assert money(e.fee_units) == fee
                realised = self.model.trade(e.order_id, *known, price, qty, fee)
                assert money(e.pnl_units) == realised
                order = self.model.orders.get(e.order_id)
                if order is not None and order.open_qty == 0:
                    self.model.close_order(e.order_id)
        elif kind in (SimEventKind.CANCELED, SimEventKind.EXPIRED):
            self.model.close_order(e.order_id)
        elif kind == SimEventKind.LIQUIDATION:
            price = e.price_ticks * self.ticks[e.instrument]
            assert price == self.model.bankruptcy_price(e.account, e.instrument, e.position_side)
            if e.qty_lots:
                self.model.take_over(e.account, e.instrument, e.position_side, price, e.qty_lots * self.lots[e.instrument])
        elif kind == SimEventKind.MARGIN_BALANCE and e.reason == SimReason.LIQUIDATED and e.account > INSURANCE:
            assert self.model.cover(e.account) == money(e.value)

    def liquidation_trade(self, e, price, qty):
        """The venue's own order on a client's account: its fee is bounded by what the trade left."""
        holder = self.model.accounts[e.account]
        cross = holder.cross
        side, leg = e.side, e.position_side
        realised = self.model.trade(None, e.account, e.instrument, side, leg, price, qty, Decimal(0))
        assert money(e.pnl_units) == realised
        if self.model.is_isolated(e.account, e.instrument):
            left = holder.cross - cross
        else:
            totals = self.model.totals(e.account)
            left = totals["cross_wallet"] + totals["cross_unrealised"]
        fee = min(reference.down(price * qty * self.model.contracts[e.instrument].liquidation_fee), max(Decimal(0), left))
        if e.account == INSURANCE:
            fee = Decimal(0)
        assert money(e.fee_units) == fee
        holder.cross -= fee
        self.model.accounts[INSURANCE].cross += fee

    # ---- settings
    def set_leverage(self, account, symbol, leverage):
        reason = self.x.set_leverage(account, symbol, leverage)
        if reason == MarginReason.OK:
            self.model.accounts[account].leverage[symbol] = leverage
        self.settle()
        return reason

    def set_isolated(self, account, symbol, isolated=True):
        reason = self.x.set_margin_type(account, symbol, isolated)
        if reason == MarginReason.OK:
            self.model.accounts[account].isolated[symbol] = isolated
        self.settle()
        return reason

    def set_hedge(self, account, hedge=True):
        reason = self.x.set_position_mode(account, hedge)
        if reason == MarginReason.OK:
            self.model.accounts[account].hedge = hedge
        self.settle()
        return reason

    def add_margin(self, account, symbol, amount, leg=BOTH):
        reason = self.x.add_margin(account, symbol, leg, units(amount))
        if reason == MarginReason.OK:
            self.model.leg(account, symbol, leg).isolated_wallet += Decimal(amount)
            self.model.accounts[account].cross -= Decimal(amount)
        self.settle()
        return reason

    # ---- comparison
    def funds(self, account):
        return self.x.margin_account(account, self.usdt)

    def position(self, account, symbol, leg=BOTH):
        return next((p for p in self.x.positions(account, symbol) if p.position_side == leg), None)

    def compare(self):
        for account, holder in enumerate(self.model.accounts):
            self.compare_account(account, holder)
        assert self.model.imbalance() == 0
        assert not any(self.model.net_positions())

    def compare_account(self, account, holder):
        totals, funds = self.model.totals(account), self.funds(account)
        assert money(funds.cross_wallet_units) == totals["cross_wallet"], account
        assert money(funds.cross_unrealised_units) == totals["cross_unrealised"], account
        assert money(funds.wallet_units) == totals["cross_wallet"] + totals["isolated_wallet"], account
        assert money(funds.available_units) == totals["available"], account
        assert money(funds.max_withdraw_units) == self.model.max_withdraw(account), account
        shown = {(p.instrument, p.position_side): p for p in self.x.positions(account)}
        for key, leg in holder.legs.items():
            position = shown.get(key)
            if position is None:
                assert leg.qty == 0
                continue
            symbol = key[0]
            notional = self.model.notional(symbol, leg)
            assert position.qty_lots * self.lots[symbol] == leg.qty, (account, key)
            assert money(position.cost_units) == leg.cost
            assert money(position.isolated_wallet_units) == leg.isolated_wallet
            assert money(position.realised_units) == leg.realised
            assert money(position.unrealised_units) == self.model.unrealised(symbol, leg)
            assert money(position.maintenance_units) == self.model.contracts[symbol].maintenance(notional)
        for symbol in range(len(self.lots)):
            of_symbol = [p for (s, _), p in shown.items() if s == symbol]
            if of_symbol:
                whole, alone = self.model.initial_margin(account, symbol)
                assert money(sum(p.position_margin_units for p in of_symbol)) == alone
                assert money(sum(p.order_margin_units for p in of_symbol)) == whole - alone

    def everyone_is_solvent(self):
        """Nobody but the venue's own accounts is due, and no client without a position owes anything."""
        assert self.model.due() == []
        for account, holder in enumerate(self.model.accounts):
            if account > INSURANCE and not any(leg.qty for leg in holder.legs.values()):
                assert holder.cross >= 0


__all__ = ["BOTH", "BTC_BRACKETS", "BUY", "Desk", "ETH_BRACKETS", "GTC", "INSURANCE", "IOC", "LIMIT", "LONG", "MARKET", "OK", "SELL", "SHORT",
           "STOP_MARKET", "TAKE_PROFIT_MARKET", "UNITS", "money", "units"]
