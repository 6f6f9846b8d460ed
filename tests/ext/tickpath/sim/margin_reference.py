"""The slow, obvious model of futures margin that the compiled one is compared with: decimals, no cache, every sum made anew.

It does not match orders. It is told what was asked for and what was traded, and says what every account must hold, what an order
must be answered, who must be liquidated and at which price. One unit of the margin asset is 1e-8. Rounding: what is required is
rounded up, what is credited or valued is rounded down (towards zero).
"""
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

PRECISION = 80            # digits that the tests of margin count with, see conftest.py

UNIT = Decimal("0.00000001")
ZERO = Decimal(0)
BOTH, LONG, SHORT = 0, 1, 2
BUY, SELL = 1, 2
HOUSE, FEES, INSURANCE = 0, 1, 2


def down(value):
    """To whole units, towards zero."""
    sign = -1 if value < 0 else 1
    return sign * abs(value).quantize(UNIT, ROUND_FLOOR)


def up(value):
    return value.quantize(UNIT, ROUND_CEILING)


@dataclass
class Contract:
    tick: Decimal
    lot: Decimal
    brackets: list                    # [(cap, max leverage, maintenance rate)], caps rising
    liquidation_fee: Decimal = ZERO
    mark: Decimal = ZERO

    def cum(self, index):
        """The maintenance amount: what makes the maintenance margin continuous over the brackets."""
        total, floor, previous = ZERO, ZERO, ZERO
        for cap, _, rate in self.brackets[:index + 1]:
            total += floor * (rate - previous)
            floor, previous = cap, rate
        return total

    def bracket(self, notional):
        for index, (cap, _, _) in enumerate(self.brackets):
            if notional <= cap:
                return index
        return len(self.brackets) - 1

    def maintenance(self, notional):
        if notional == 0:
            return ZERO
        index = self.bracket(notional)
        return up(notional * self.brackets[index][2] - self.cum(index))

    def max_notional(self, leverage):
        return max([cap for cap, limit, _ in self.brackets if limit >= leverage], default=ZERO)


@dataclass
class Leg:
    qty: Decimal = ZERO               # signed, base asset
    cost: Decimal = ZERO              # signed: what the position cost, not yet realised
    isolated_wallet: Decimal = ZERO
    realised: Decimal = ZERO


@dataclass
class Order:
    account: int
    symbol: int
    side: int
    position_side: int
    price: Decimal                    # at which its margin is counted
    open_qty: Decimal
    counted: bool                     # False: can only reduce, or the account is not checked


@dataclass
class Account:
    checked: bool = True
    maker: Decimal = ZERO
    taker: Decimal = ZERO
    hedge: bool = False
    cross: Decimal = ZERO
    legs: dict = field(default_factory=dict)          # (symbol, position side) -> Leg
    leverage: dict = field(default_factory=dict)
    isolated: dict = field(default_factory=dict)


class MarginReference:
    def __init__(self):
        self.contracts = []
        self.accounts = [Account(checked=False) for _ in range(3)]
        self.orders = {}
        self.deposited = ZERO

    # ---- set up
    def add_contract(self, contract):
        self.contracts.append(contract)
        return len(self.contracts) - 1

    def add_account(self, maker, taker):
        self.accounts.append(Account(maker=maker, taker=taker))
        return len(self.accounts) - 1

    def deposit(self, account, amount):
        self.accounts[account].cross += amount
        self.deposited += amount

    # ---- reading
    def leg(self, account, symbol, position_side):
        return self.accounts[account].legs.setdefault((symbol, position_side), Leg())

    def legs_of(self, account, symbol=None):
        return [(key, leg) for key, leg in sorted(self.accounts[account].legs.items()) if symbol is None or key[0] == symbol]

    def leverage_of(self, account, symbol):
        return self.accounts[account].leverage.get(symbol, 20)

    def is_isolated(self, account, symbol):
        return self.accounts[account].isolated.get(symbol, False)

    def notional(self, symbol, leg):
        return down(abs(leg.qty) * self.contracts[symbol].mark)

    def unrealised(self, symbol, leg):
        value = self.notional(symbol, leg)
        return (value if leg.qty > 0 else -value) - leg.cost

    def order_sums(self, account, symbol):
        bid = ask = ZERO
        for order in self.orders.values():
            if order.account == account and order.symbol == symbol and order.counted:
                if order.side == BUY:
                    bid += order.price * order.open_qty
                else:
                    ask += order.price * order.open_qty
        return bid, ask

    def presents(self, account, symbol, extra=None):
        """Notional that needs initial margin, per leg: [(with its orders, of the position alone)]. extra: (side, notional)."""
        bid, ask = self.order_sums(account, symbol)
        if extra is not None:
            if extra[0] == BUY:
                bid += extra[1]
            else:
                ask += extra[1]
        if self.accounts[account].hedge:
            long, short = self.leg(account, symbol, LONG), self.leg(account, symbol, SHORT)
            n_long, n_short = self.notional(symbol, long), self.notional(symbol, short)
            return [(n_long + bid, n_long), (n_short + ask, n_short)]
        leg = self.leg(account, symbol, BOTH)
        value = self.notional(symbol, leg)
        signed = value if leg.qty > 0 else -value
        return [(max(abs(signed + bid), abs(signed - ask)), value)]

    def initial_margin(self, account, symbol, extra=None):
        """(with orders, position alone)"""
        leverage = self.leverage_of(account, symbol)
        presents = self.presents(account, symbol, extra)
        return sum(up(p / leverage) for p, _ in presents), sum(up(n / leverage) for _, n in presents)

    def symbols_of(self, account):
        touched = {key[0] for key in self.accounts[account].legs}
        return sorted(touched | {o.symbol for o in self.orders.values() if o.account == account})

    def totals(self, account):
        holder = self.accounts[account]
        out = {"cross_wallet": holder.cross, "cross_unrealised": ZERO, "cross_margin": ZERO, "cross_maintenance": ZERO,
               "isolated_wallet": ZERO, "isolated_order_margin": ZERO}
        for symbol in self.symbols_of(account):
            whole, position = self.initial_margin(account, symbol)
            legs = self.legs_of(account, symbol)
            if self.is_isolated(account, symbol):
                out["isolated_wallet"] += sum(leg.isolated_wallet for _, leg in legs)
                out["isolated_order_margin"] += whole - position
            else:
                out["cross_unrealised"] += sum(self.unrealised(symbol, leg) for _, leg in legs)
                out["cross_maintenance"] += sum(self.contracts[symbol].maintenance(self.notional(symbol, leg)) for _, leg in legs)
                out["cross_margin"] += whole
        out["free"] = out["cross_wallet"] + out["cross_unrealised"] - out["cross_margin"] - out["isolated_order_margin"]
        out["available"] = max(ZERO, out["free"])
        return out

    def max_withdraw(self, account):
        t = self.totals(account)
        return max(ZERO, min(t["cross_wallet"] - t["isolated_order_margin"] - t["cross_maintenance"], t["free"]))

    # ---- orders
    def judge_order(self, account, symbol, side, position_side, reduce_only, price, qty):
        """"" or the name of the refusal."""
        holder = self.accounts[account]
        if holder.hedge != (position_side != BOTH) or (holder.hedge and reduce_only):
            return "POSITION_SIDE"
        leg = self.leg(account, symbol, position_side)
        if holder.hedge:
            closes = (position_side == LONG) == (side == SELL)
            if closes:
                waiting = sum(o.open_qty for o in self.orders.values() if (o.account, o.symbol, o.side, o.position_side)
                              == (account, symbol, side, position_side))
                return "REDUCE_ONLY_REJECTED" if waiting + qty > abs(leg.qty) else ""
        elif reduce_only:
            return "" if (leg.qty > 0 and side == SELL) or (leg.qty < 0 and side == BUY) else "REDUCE_ONLY_REJECTED"
        if not holder.checked:
            return ""
        before, _ = self.initial_margin(account, symbol)
        after, _ = self.initial_margin(account, symbol, (side, price * qty))
        cap = self.contracts[symbol].max_notional(self.leverage_of(account, symbol))
        index = 1 if position_side == SHORT else 0
        present = self.presents(account, symbol)[index][0]
        wanted = self.presents(account, symbol, (side, price * qty))[index][0]
        if wanted > cap and wanted > present:
            return "LEVERAGE_CAP"
        opening = qty
        if position_side == BOTH and leg.qty != 0 and (leg.qty > 0) == (side == SELL):
            opening = max(ZERO, qty - abs(leg.qty))
        mark = self.contracts[symbol].mark
        loss = ZERO
        if mark:
            worse = price - mark if side == BUY else mark - price
            loss = up(max(ZERO, worse) * opening)
        need = after - before + loss
        return "MARGIN_INSUFFICIENT" if need > 0 and need > self.totals(account)["free"] else ""

    def open_order(self, order_id, account, symbol, side, position_side, reduce_only, price, qty):
        holder = self.accounts[account]
        closes = (holder.hedge and (position_side == LONG) == (side == SELL)) or reduce_only
        self.orders[order_id] = Order(account, symbol, side, position_side, price, qty, not closes)

    def close_order(self, order_id):
        self.orders.pop(order_id, None)

    # ---- trades
    def apply(self, account, symbol, side, position_side, price, qty):
        """A fill's effect on one leg; the realised profit of it, and what came free of an isolated wallet."""
        holder, leg = self.accounts[account], self.leg(account, symbol, position_side)
        isolated = self.is_isolated(account, symbol)
        if self.contracts[symbol].mark == 0:
            self.contracts[symbol].mark = price
        signed = qty if side == BUY else -qty
        closed = min(abs(leg.qty), qty) if leg.qty != 0 and (leg.qty > 0) != (signed > 0) else ZERO
        realised = freed = ZERO
        if closed:
            share = down(abs(leg.cost) * closed / abs(leg.qty))
            freed = (leg.isolated_wallet * closed / abs(leg.qty)).quantize(UNIT, ROUND_FLOOR)
            if closed == abs(leg.qty):
                share, freed = abs(leg.cost), leg.isolated_wallet
            proceeds = closed * price
            if leg.qty > 0:
                realised = proceeds - share
                leg.cost -= share
                leg.qty -= closed
            else:
                realised = share - proceeds
                leg.cost += share
                leg.qty += closed
            leg.isolated_wallet -= freed
            credit = realised + freed
            if isolated and credit < 0:
                taken = min(-credit, max(ZERO, leg.isolated_wallet))
                leg.isolated_wallet -= taken
                credit += taken
            holder.cross += credit
            leg.realised += realised
        rest = qty - closed
        if rest:
            leg.qty += rest if signed > 0 else -rest
            leg.cost += rest * price if signed > 0 else -rest * price
            if isolated:
                margin = up(rest * price / self.leverage_of(account, symbol))
                leg.isolated_wallet += margin
                holder.cross -= margin
        return realised, freed

    def trade(self, order_id, account, symbol, side, position_side, price, qty, fee, to=FEES):
        """One party's side of a trade. The other party's comes by a call of its own."""
        order = self.orders.get(order_id)
        if order is not None:
            order.open_qty -= qty
        realised, _ = self.apply(account, symbol, side, position_side, price, qty)
        self.accounts[account].cross -= fee
        self.accounts[to].cross += fee
        return realised

    def fee(self, account, price, qty, is_maker):
        holder = self.accounts[account]
        return down(price * qty * (holder.maker if is_maker else holder.taker))

    def take_over(self, account, symbol, position_side, price, qty):
        """The insurance fund takes qty of a position at a price."""
        leg = self.leg(account, symbol, position_side)
        side = SELL if leg.qty > 0 else BUY
        self.apply(account, symbol, side, position_side, price, qty)
        self.apply(INSURANCE, symbol, BUY if side == SELL else SELL, BOTH, price, qty)

    # ---- funding and liquidation
    def fund(self, symbol, rate):
        """{(account, position side): what it gets (+) or pays (-)}; the remainder of the rounding goes to the insurance fund."""
        paid, total = {}, ZERO
        for account in range(len(self.accounts)):
            for (_, position_side), leg in self.legs_of(account, symbol):
                if leg.qty == 0:
                    continue
                exact = self.notional(symbol, leg) * rate * (-1 if leg.qty > 0 else 1)
                amount = exact.quantize(UNIT, ROUND_FLOOR)
                paid[account, position_side] = amount
                total += amount
                if self.is_isolated(account, symbol):
                    leg.isolated_wallet += amount
                else:
                    self.accounts[account].cross += amount
        self.accounts[INSURANCE].cross -= total
        return paid

    def cross_is_due(self, account):
        t = self.totals(account)
        return t["cross_maintenance"] > 0 and t["cross_wallet"] + t["cross_unrealised"] <= t["cross_maintenance"]

    def isolated_due(self, account):
        out = []
        for (symbol, position_side), leg in self.legs_of(account):
            need = self.contracts[symbol].maintenance(self.notional(symbol, leg))
            if self.is_isolated(account, symbol) and leg.qty and leg.isolated_wallet + self.unrealised(symbol, leg) <= need:
                out.append((symbol, position_side))
        return out

    def due(self):
        """Accounts that must be liquidated now, as (account, symbol or None for the cross wallet, position side)."""
        out = []
        for account, holder in enumerate(self.accounts):
            if holder.checked:
                if self.cross_is_due(account):
                    out.append((account, None, BOTH))
                out += [(account, *key) for key in self.isolated_due(account)]
        return out

    def bankruptcy_price(self, account, symbol, position_side):
        """The price at which nothing of the margin is left, on the tick that is not worse for the account."""
        leg = self.leg(account, symbol, position_side)
        if self.is_isolated(account, symbol):
            margin = leg.isolated_wallet
        else:
            t = self.totals(account)
            margin = t["cross_wallet"] + t["cross_unrealised"] - self.unrealised(symbol, leg)
        exact = (leg.cost - margin) / leg.qty
        tick = self.contracts[symbol].tick
        ticks = (exact / tick).to_integral_value(ROUND_CEILING if leg.qty > 0 else ROUND_FLOOR)
        return max(Decimal(1), ticks) * tick

    def cover(self, account):
        """What the insurance fund pays in for an account without a position whose wallet is below zero."""
        holder = self.accounts[account]
        if not holder.checked or holder.cross >= 0 or any(leg.qty for leg in holder.legs.values()):
            return ZERO
        amount = -holder.cross
        holder.cross += amount
        self.accounts[INSURANCE].cross -= amount
        return amount

    # ---- what must always hold
    def imbalance(self):
        """Wallets less what the open positions cost, less what was put in: zero, always."""
        total = -self.deposited
        for holder in self.accounts:
            total += holder.cross + sum(leg.isolated_wallet - leg.cost for leg in holder.legs.values())
        return total

    def net_positions(self):
        return [sum(leg.qty for holder in self.accounts for (s, _), leg in holder.legs.items() if s == symbol)
                for symbol in range(len(self.contracts))]
