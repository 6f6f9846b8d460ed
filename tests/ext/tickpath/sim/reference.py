"""The matching core, said slowly: a spot exchange in plain Python, the judge of ext/tickpath/sim in the property tests.

Every rule is the obvious one: books are lists that are sorted at every step, money is a Fraction until it is cut to whole units,
nothing is remembered that can be worked out again. Speed is no concern. Rules come from Binance's public documentation
(github.com/binance/binance-spot-api-docs, read 2026-11-22: filters.md, rest-api.md, faqs/{stp_faq, trailing-stop-faq,
market_orders_faq, order_amend_keep_priority, commission_faq}.md). Where it is silent we decided, and core and reference agree:

- A submit's events: NEW, then for each match TRADE of the taker and TRADE of the maker, or PREVENTED; then the end of what
  cannot rest. A FOK order that cannot be filled is NEW, then EXPIRED, without a trade.
- Checks run in the order of the reasons' enum, but the maximum notional, the maximum position and the balance come last, behind
  "would take" and "would trigger". Those relative to a price use the last trade's and pass while there is none. A stop at the last
  price has been passed.
- A resting buy locks floor(limit price x open quantity). A fill frees lock(open) - lock(open - filled) and pays
  floor(trade price x filled); both parties use the same floor. A sell locks the base quantity.
- The fee is cut from what is received, rounded down. It is taken from the fee asset (the notional's fee converted from the quote
  asset, or what is received where that is the fee asset; less the discount, rounded down) only when all of it is free there before
  anything is received.
- A market buy by quantity must be able to pay for the whole walk over the book, or as much of it as the book has; the cost is
  rounded down price by price.
- A market order by quote amount is measured at the start: price by price, the most whole lots that fit what is left of the amount;
  a sell must own as many. Those lots are what it asks for: it is FILLED with the last of them, and EXPIRED when the book ends first.
- Only an order that may rest is refused for the number of open orders.
- An iceberg whose tip is all of it is an ordinary order. A tip refills when it is used up and then stands last at its price;
  depth shows tips alone.
- Self-trade: DECREMENT meets the tip; the other modes expire all that is open. A FOK order counts nothing of its own account under
  EXPIRE_MAKER, and under the other modes cannot pass an own order.
- Every trade price counts: what it reaches fires when the match is over, in the order in which it was reached and then of
  submission, each matched whole before the next, and even where the first of them moves the price away again; those that they
  bring about fire behind them. A triggered order whose funds do not suffice expires. A stop-market buy locks nothing until it fires.
- An amendment to what is executed or less, or of an order that waits for its trigger, is refused (AMEND); to more, or to another
  price, the order comes anew and may take.
- A trailing stop follows from the last price at submission on, if that has reached its stop price already or there is none.
- What is good till a date that has come expires before the next request is looked at.
"""
from collections import defaultdict, namedtuple
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil, floor

Event = namedtuple("Event", "ts_ns kind account order_id status price_ticks qty_lots cum_lots cum_quote_units fee_units fee_asset "
                            "trade_id is_maker counter_order_id")
BUY, SELL = "BUY", "SELL"
STOPS = {"STOP", "STOP_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT"}
UNPRICED = {"MARKET", "STOP", "TAKE_PROFIT"}
OVER = {"FILLED", "CANCELED", "EXPIRED", "EXPIRED_IN_MATCH"}


@dataclass
class Instrument:
    name: str
    base: str
    quote: str
    tick_size: Fraction
    lot_size: Fraction
    filters: dict
    status: str = "TRADING"
    last_ticks: int = None


@dataclass
class Account:
    maker: Fraction
    taker: Fraction
    fee_asset: str = None
    discount: Fraction = Fraction(0)
    free: dict = field(default_factory=lambda: defaultdict(int))
    locked: dict = field(default_factory=lambda: defaultdict(int))


@dataclass
class Order:
    id: int
    account: int
    instrument: str
    side: str
    kind: str                      # MARKET LIMIT LIMIT_MAKER and STOPS
    tif: str
    price_ticks: int
    qty_lots: int
    quote_units: int = 0
    stop_ticks: int = 0
    trailing_bips: int = 0
    iceberg_lots: int = 0
    stp: str = "NONE"
    expire_ns: int = 0
    status: str = "NEW"
    cum_lots: int = 0
    cum_quote_units: int = 0
    prevented_lots: int = 0
    arrival: int = None            # place in time on the book; None: not on the book
    tip_lots: int = 0
    waiting: bool = False          # a stop that has not fired
    extreme_ticks: int = None      # of the prices since a trailing stop began to track
    locked_units: int = 0

    @property
    def open_lots(self):
        return self.qty_lots - self.cum_lots - self.prevented_lots


class Refused(Exception):
    pass


class Reference:
    def __init__(self):
        self.decimals, self.instruments, self.accounts = {}, {}, {}
        self.orders, self.events = {}, []
        self.fee_prices = {}
        self.fired = []                                           # stop orders whose price has come, in the order to be carried out
        self.next_order, self.next_trade, self.next_arrival = 1, 1, 1
        self.house = Account(Fraction(0), Fraction(0))            # what fees are paid to

    # ---- setting up
    def add_asset(self, name, decimals=8):
        self.decimals[name] = decimals

    def add_instrument(self, name, base, quote, tick_size, lot_size, **filters):
        self.instruments[name] = Instrument(name, base, quote, Fraction(tick_size), Fraction(lot_size), filters)

    def add_account(self, number, maker_bps="10", taker_bps="10", fee_asset=None, fee_discount="0.25"):
        self.accounts[number] = Account(Fraction(maker_bps) / 10_000, Fraction(taker_bps) / 10_000, fee_asset,
                                        Fraction(fee_discount))

    def set_fee_asset_price(self, asset, quote, price):
        self.fee_prices[asset, quote] = Fraction(price)

    def deposit(self, account, asset, units):
        self.accounts[account].free[asset] += units

    def balance(self, account, asset):
        found = self.accounts[account]
        return found.free[asset], found.locked[asset]

    # ---- money
    def notional_units(self, instrument, price_ticks, lots):
        amount = price_ticks * instrument.tick_size * lots * instrument.lot_size
        return floor(amount * 10 ** self.decimals[instrument.quote])

    def lots_for(self, instrument, price_ticks, units):
        """The most whole lots whose notional, rounded down, is no more than this; none for nothing."""
        lot = price_ticks * instrument.tick_size * instrument.lot_size * 10 ** self.decimals[instrument.quote]
        return ceil((units + 1) / lot) - 1 if units > 0 else 0

    def base_units(self, instrument, lots):
        return floor(lots * instrument.lot_size * 10 ** self.decimals[instrument.base])

    def wanted_lock(self, order):
        """(asset, units) that an order must have locked for what is open of it."""
        instrument = self.instruments[order.instrument]
        if order.side == SELL:
            if order.quote_units:
                return instrument.base, order.locked_units         # settled as it trades
            return instrument.base, self.base_units(instrument, order.open_lots)
        if order.kind in UNPRICED:
            return instrument.quote, order.locked_units
        return instrument.quote, self.notional_units(instrument, order.price_ticks, order.open_lots)

    def lock(self, order, units, asset):
        account = self.accounts[order.account]
        if units > account.free[asset]:
            raise Refused("INSUFFICIENT_BALANCE")
        account.free[asset] -= units
        account.locked[asset] += units
        order.locked_units += units

    def unlock(self, order, units, asset):
        account = self.accounts[order.account]
        account.locked[asset] -= units
        account.free[asset] += units
        order.locked_units -= units

    def relock(self, order):
        """Frees what an order no longer has to have locked; all of it when it is over."""
        asset, units = self.wanted_lock(order)
        if order.status in OVER:
            units = 0
        self.unlock(order, order.locked_units - units, asset)

    def fee(self, account, instrument, asset, units, notional, rate):
        """(units, asset) of the fee on so much received in a trade of this notional."""
        paid_in = account.fee_asset
        if paid_in is not None and rate > 0:
            if paid_in == asset:
                found = units * rate
            elif paid_in == instrument.quote:
                found = notional * rate
            elif price := self.fee_prices.get((paid_in, instrument.quote)):
                found = notional * rate / price * Fraction(10) ** (self.decimals[paid_in] - self.decimals[instrument.quote])
            else:
                found = None
            if found is not None and floor(found * (1 - account.discount)) <= account.free[paid_in]:
                return floor(found * (1 - account.discount)), paid_in
        return floor(units * rate), asset

    def settle(self, order, price_ticks, lots, rate):
        """One party's side of a trade; returns (fee units, fee asset). `order` has not counted the lots yet."""
        instrument, account = self.instruments[order.instrument], self.accounts[order.account]
        quote, base = self.notional_units(instrument, price_ticks, lots), self.base_units(instrument, lots)
        order.cum_lots += lots
        order.cum_quote_units += quote
        if order.side == BUY:
            paid, paid_asset, got, got_asset = quote, instrument.quote, base, instrument.base
        else:
            paid, paid_asset, got, got_asset = base, instrument.base, quote, instrument.quote
        self.unlock(order, paid, paid_asset)
        account.free[paid_asset] -= paid
        self.relock(order)
        units, asset = self.fee(account, instrument, got_asset, got, quote, rate)
        account.free[got_asset] += got
        account.free[asset] -= units
        self.house.free[asset] += units
        return units, asset

    # ---- what the outside asks for
    def submit(self, account, instrument, side, kind, tif, price_ticks, qty_lots, *, now_ns, quote_units=0, stop_ticks=0,
               trailing_bips=0, iceberg_lots=0, stp="NONE", expire_ns=0):
        if iceberg_lots >= qty_lots:
            iceberg_lots = 0
        order = Order(self.next_order, account, instrument, side, kind, tif, price_ticks, qty_lots, quote_units, stop_ticks,
                      trailing_bips, iceberg_lots, stp, expire_ns)
        self.advance(now_ns)
        try:
            self.check(order)
            self.check_post_only(order)
            self.check_stop(order)
            self.check_size(order)
            self.reserve(order)
        except Refused as refused:
            if order.locked_units:
                self.unlock(order, order.locked_units, self.wanted_lock(order)[0])
            return None, str(refused)
        self.next_order += 1
        self.orders[order.id] = order
        self.report(now_ns, "NEW", order)
        found = self.instruments[instrument]
        if kind in STOPS:
            order.waiting = True
            if trailing_bips and found.last_ticks is not None:
                self.follow(order, found.last_ticks)
        else:
            self.match(order, now_ns)
            self.trigger(now_ns)
        return order.id, "OK"

    def cancel(self, account, order_id, now_ns):
        self.advance(now_ns)
        order = self.orders.get(order_id)
        if order is None or order.account != account or order.status in OVER:
            return "UNKNOWN_ORDER"
        self.end(order, "CANCELED", now_ns)
        return "OK"

    def cancel_all(self, account, instrument, now_ns):
        self.advance(now_ns)
        found = [o for o in self.alive(instrument) if o.account == account]
        for order in found:
            self.end(order, "CANCELED", now_ns)
        return len(found)

    def amend(self, account, order_id, qty_lots, now_ns, price_ticks=None):
        """A smaller quantity at the same price: the order keeps its place (order.amend.keepPriority). Anything else: it comes anew."""
        self.advance(now_ns)
        order = self.orders.get(order_id)
        if order is None or order.account != account or order.status in OVER:
            return "UNKNOWN_ORDER"
        before = order.qty_lots, order.price_ticks
        after = qty_lots, order.price_ticks if price_ticks is None else price_ticks
        if order.waiting or after == before or qty_lots <= order.cum_lots + order.prevented_lots:
            return "AMEND"
        keeps_place = after[1] == before[1] and after[0] < before[0]
        order.qty_lots, order.price_ticks = after
        try:
            self.check_prices(order)
            self.check_quantity(order)
            self.check_notional(order)
            if not keeps_place:
                self.check_band(order)
                self.check_post_only(order)
                asset, units = self.wanted_lock(order)
                self.lock(order, units - order.locked_units, asset)
        except Refused as refused:
            order.qty_lots, order.price_ticks = before
            return str(refused)
        if keeps_place:
            order.tip_lots = min(order.tip_lots, order.open_lots)
            self.relock(order)
        else:
            order.arrival = None
        self.report(now_ns, "AMENDED", order)
        if not keeps_place:
            self.match(order, now_ns)
        self.trigger(now_ns)
        return "OK"

    def advance(self, now_ns):
        due = [o for o in self.orders.values() if o.status not in OVER and o.tif == "GTD" and o.expire_ns <= now_ns]
        for order in sorted(due, key=lambda o: (o.expire_ns, o.id)):
            self.end(order, "EXPIRED", now_ns)

    def depth(self, instrument, levels):
        found = {BUY: defaultdict(int), SELL: defaultdict(int)}
        for order in self.book(instrument):
            found[order.side][order.price_ticks] += order.tip_lots
        return (sorted(found[BUY].items(), reverse=True)[:levels], sorted(found[SELL].items())[:levels])

    def drain(self):
        """The events since the last call; orders that are over are forgotten."""
        events, self.events = self.events, []
        self.orders = {n: o for n, o in self.orders.items() if o.status not in OVER}
        return events

    # ---- refusals
    def check(self, order):
        instrument = self.instruments[order.instrument]
        f = instrument.filters
        if instrument.status != "TRADING":
            raise Refused("CLOSED")
        self.check_prices(order)
        self.check_quantity(order)
        self.check_notional(order)
        self.check_band(order)
        mine = [o for o in self.alive(order.instrument) if o.account == order.account]
        rests = order.kind in STOPS or order.kind != "MARKET" and order.tif in ("GTC", "GTD")
        if rests and len(mine) >= f.get("max_orders", len(mine) + 1):
            raise Refused("MAX_ORDERS")
        algos = [o for o in mine if o.waiting]
        if order.kind in STOPS and len(algos) >= f.get("max_algo_orders", len(algos) + 1):
            raise Refused("MAX_ALGO_ORDERS")
        if order.iceberg_lots and -(-order.qty_lots // order.iceberg_lots) > f.get("max_iceberg_parts", order.qty_lots):
            raise Refused("ICEBERG_PARTS")

    def check_prices(self, order):
        f = self.instruments[order.instrument].filters
        prices = ([] if order.kind in UNPRICED else [order.price_ticks]) + ([order.stop_ticks] if order.stop_ticks else [])
        if any(p < f.get("min_ticks", 1) or p > f.get("max_ticks", p) for p in prices):
            raise Refused("PRICE_FILTER")

    def check_quantity(self, order):
        f = self.instruments[order.instrument].filters
        quantities = ([] if order.quote_units else [order.qty_lots]) + ([order.iceberg_lots] if order.iceberg_lots else [])
        if any(q < f.get("min_lots", 1) or q > f.get("max_lots", q) for q in quantities):
            raise Refused("LOT_SIZE")
        if order.kind in UNPRICED and order.qty_lots > f.get("market_max_lots", order.qty_lots):
            raise Refused("MARKET_LOT_SIZE")

    def check_notional(self, order):
        instrument = self.instruments[order.instrument]
        price = instrument.last_ticks if order.kind in UNPRICED else order.price_ticks
        if price is not None or order.quote_units:
            notional = order.quote_units or self.notional_units(instrument, price, order.qty_lots)
            if notional < instrument.filters.get("min_notional_units", 0):
                raise Refused("MIN_NOTIONAL")

    def check_band(self, order):
        instrument = self.instruments[order.instrument]
        f, last = instrument.filters, instrument.last_ticks
        if order.kind in UNPRICED or last is None:
            return
        side = "bid" if order.side == BUY else "ask"
        if f"{side}_up" in f and order.price_ticks > last * Fraction(f[f"{side}_up"]):
            raise Refused("PERCENT_PRICE")
        if f"{side}_down" in f and order.price_ticks < last * Fraction(f[f"{side}_down"]):
            raise Refused("PERCENT_PRICE")

    def check_size(self, order):
        instrument = self.instruments[order.instrument]
        f = instrument.filters
        if order.side == BUY and "max_position_units" in f:
            free, locked = self.balance(order.account, instrument.base)
            bought = sum(o.open_lots for o in self.alive(order.instrument) if o.account == order.account and o.side == BUY)
            if free + locked + self.base_units(instrument, bought + order.qty_lots) > f["max_position_units"]:
                raise Refused("MAX_POSITION")
        if order.kind not in UNPRICED:
            notional = self.notional_units(instrument, order.price_ticks, order.qty_lots)
            if notional > f.get("max_notional_units", notional):
                raise Refused("MAX_NOTIONAL")

    def reserve(self, order):
        instrument = self.instruments[order.instrument]
        if order.quote_units:
            self.measure(order)
        if order.kind == "MARKET":
            units = self.market_lock(order)
            self.lock(order, units, instrument.quote if order.side == BUY else instrument.base)
        elif order.kind in UNPRICED and order.side == BUY:
            return
        else:
            asset, units = self.wanted_lock(order)
            self.lock(order, units, asset)

    def measure(self, order):
        """A market order by quote amount: what it comes to in lots. What stays open where the book ends is a lot that is not there."""
        instrument, left, book_ends = self.instruments[order.instrument], order.quote_units, True
        levels = self.depth_hidden(order)
        for price, lots in levels:
            fitting = min(lots, self.lots_for(instrument, price, left))
            order.qty_lots += fitting
            left -= self.notional_units(instrument, price, fitting)
            if fitting < lots:
                book_ends = False
                break
        order.qty_lots += 1 if book_ends or order.qty_lots == 0 else 0

    def depth_hidden(self, order):
        """The other side's prices, best first, with all that is open there."""
        found = defaultdict(int)
        for other in self.against(order):
            found[other.price_ticks] += other.open_lots
        return list(found.items())

    def market_lock(self, order):
        """What a market order must have: the cost of the walk (buy), the base sold (sell)."""
        instrument = self.instruments[order.instrument]
        if order.quote_units and order.side == BUY:
            return order.quote_units
        left, walk = order.open_lots, {}
        for price, lots in self.depth_hidden(order):
            walk[price] = min(left, lots)
            left -= walk[price]
        if order.quote_units:
            return self.base_units(instrument, sum(walk.values()))
        if order.side == SELL:
            return self.base_units(instrument, order.qty_lots)
        return sum(self.notional_units(instrument, price, lots) for price, lots in walk.items())

    def check_post_only(self, order):
        if order.kind == "LIMIT_MAKER" and any(self.crosses(order, o) for o in self.against(order)):
            raise Refused("WOULD_TAKE")

    def check_stop(self, order):
        last = self.instruments[order.instrument].last_ticks
        if order.kind in STOPS and not order.trailing_bips and last is not None and self.stop_reached(order, last):
            raise Refused("WOULD_TRIGGER")

    # ---- the book
    def alive(self, instrument):
        return [o for o in self.orders.values() if o.instrument == instrument and o.status not in OVER]

    def book(self, instrument):
        return [o for o in self.alive(instrument) if o.arrival is not None]

    def against(self, order):
        """The other side's orders, those first that trade first."""
        sign = 1 if order.side == BUY else -1
        return sorted((o for o in self.book(order.instrument) if o.side != order.side),
                      key=lambda o: (sign * o.price_ticks, o.arrival))

    def crosses(self, order, other):
        if order.kind in UNPRICED:
            return True
        return order.price_ticks >= other.price_ticks if order.side == BUY else order.price_ticks <= other.price_ticks

    def can_fill(self, order):
        left = order.open_lots
        for other in self.against(order):
            if left <= 0 or not self.crosses(order, other):
                break
            if order.stp != "NONE" and other.account == order.account:
                if order.stp == "EXPIRE_MAKER":
                    continue
                return False
            left -= other.open_lots
        return left <= 0

    def match(self, order, now_ns):
        instrument = self.instruments[order.instrument]
        if order.tif == "FOK" and not self.can_fill(order):
            self.end(order, "EXPIRED", now_ns)
            return
        while order.status not in OVER:
            others = [o for o in self.against(order) if self.crosses(order, o)]
            if not others:
                break
            maker = others[0]
            if order.stp != "NONE" and maker.account == order.account:
                self.prevent(order, maker, now_ns)
                continue
            lots = maker.tip_lots
            if order.quote_units:
                lots = min(lots, self.lots_for(instrument, maker.price_ticks, order.quote_units - order.cum_quote_units))
                if lots == 0:
                    break
            lots = min(lots, order.open_lots)
            self.trade(order, maker, lots, now_ns)
        if order.status in OVER:
            return
        if order.kind in UNPRICED or order.tif in ("IOC", "FOK"):
            self.end(order, "EXPIRED", now_ns)
            return
        self.rest(order)

    def rest(self, order):
        order.arrival, self.next_arrival = self.next_arrival, self.next_arrival + 1
        order.tip_lots = min(order.iceberg_lots or order.open_lots, order.open_lots)

    def trade(self, taker, maker, lots, now_ns):
        instrument, price = self.instruments[taker.instrument], maker.price_ticks
        trade_id, self.next_trade = self.next_trade, self.next_trade + 1
        for order, other, is_maker in ((taker, maker, False), (maker, taker, True)):
            account = self.accounts[order.account]
            fee, asset = self.settle(order, price, lots, account.maker if is_maker else account.taker)
            order.status = "PARTIALLY_FILLED" if order.open_lots else "FILLED"
            if order.open_lots == 0:
                self.relock(order)
                order.arrival = None
            elif is_maker:
                self.use_tip(order, lots)
            self.report(now_ns, "TRADE", order, price_ticks=price, qty_lots=lots, fee_units=fee, fee_asset=asset, trade_id=trade_id,
                        is_maker=is_maker, counter=other.id)
        instrument.last_ticks = price
        self.reach(instrument, price)

    def use_tip(self, order, lots):
        order.tip_lots -= lots
        if order.tip_lots == 0:
            order.tip_lots = min(order.iceberg_lots, order.open_lots)
            order.arrival, self.next_arrival = self.next_arrival, self.next_arrival + 1

    def prevent(self, taker, maker, now_ns):
        lost = {"EXPIRE_TAKER": [(taker, taker.open_lots)], "EXPIRE_MAKER": [(maker, maker.open_lots)],
                "EXPIRE_BOTH": [(taker, taker.open_lots), (maker, maker.open_lots)],
                "DECREMENT": [(o, min(taker.open_lots, maker.tip_lots)) for o in (taker, maker)]}[taker.stp]
        for order, lots in lost:
            order.prevented_lots += lots
            if order.open_lots == 0:
                order.status, order.arrival = "EXPIRED_IN_MATCH", None
            elif order is maker:
                self.use_tip(order, lots)
            self.relock(order)
            self.report(now_ns, "PREVENTED", order, price_ticks=maker.price_ticks, qty_lots=lots, is_maker=order is maker,
                        counter=(maker if order is taker else taker).id)

    def end(self, order, status, now_ns):
        order.status, order.arrival, order.waiting = status, None, False
        self.relock(order)
        if status != "FILLED":
            self.report(now_ns, status, order)

    # ---- stops
    def stop_reached(self, order, last_ticks):
        rises = (order.side == BUY) == (order.kind in ("STOP", "STOP_LIMIT"))
        return last_ticks >= order.stop_ticks if rises else last_ticks <= order.stop_ticks

    def reach(self, instrument, last):
        """A trade price: trailing stops follow it, and what it reaches will be carried out when the match is over."""
        waiting = sorted((o for o in self.alive(instrument.name) if o.waiting and o not in self.fired), key=lambda o: o.id)
        for order in waiting:
            if order.trailing_bips:
                self.follow(order, last)
        self.fired += [o for o in waiting if self.due(o, last)]

    def follow(self, order, last):
        if order.extreme_ticks is not None:
            order.extreme_ticks = (min if order.side == BUY else max)(order.extreme_ticks, last)
        elif not order.stop_ticks or self.stop_reached(order, last):
            order.extreme_ticks = last

    def due(self, order, last):
        if not order.trailing_bips:
            return self.stop_reached(order, last)
        if order.extreme_ticks is None:
            return False
        if order.side == BUY:
            return last * 10_000 >= order.extreme_ticks * (10_000 + order.trailing_bips)
        return last * 10_000 <= order.extreme_ticks * (10_000 - order.trailing_bips)

    def trigger(self, now_ns):
        while self.fired:
            order = self.fired.pop(0)
            if order.status in OVER:
                continue
            order.waiting = False
            self.report(now_ns, "TRIGGERED", order)
            if order.kind in UNPRICED and order.side == BUY:
                try:
                    self.lock(order, self.market_lock(order), self.instruments[order.instrument].quote)
                except Refused:
                    self.end(order, "EXPIRED", now_ns)
                    continue
            self.match(order, now_ns)

    # ---- what is told
    def report(self, now_ns, kind, order, *, price_ticks=None, qty_lots=0, fee_units=0, fee_asset=None, trade_id=0, is_maker=False,
               counter=0):
        self.events.append(Event(now_ns, kind, order.account, order.id, order.status, price_ticks, qty_lots, order.cum_lots,
                                 order.cum_quote_units, fee_units, fee_asset, trade_id, is_maker, counter))
