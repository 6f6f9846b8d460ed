"""The venue's orders: one service for REST, the WebSocket API and futures, over the matching core.

A request that has been checked becomes an `Order`, is submitted to the exchange, and what the exchange reports is put into
the orders' records, into the fills, and out to user data. Records of orders that are over are kept up to a bound, the oldest
go first. Every change of the exchange, by whomever, is followed by `TradingVenue.settle`, which comes here first.
"""
from collections import deque

import msgspec

from tickpath.sim.exchange import SimReason
from tickpath_sim.trading import errors
from tickpath_sim.trading.errors import VenueError, rejected

__all__ = ["BUY", "SELL", "Fill", "Order", "OrderRequest", "OrderService"]

BUY, SELL = 1, 2
SIDES = {BUY: "BUY", SELL: "SELL"}
CLOSED_MAX = 50_000                         # orders that are over, of all accounts
FILLS_MAX = 100_000
PREVENTED_MAX = 10_000
OPEN = frozenset({"NEW", "PARTIALLY_FILLED", "PENDING_NEW"})
CLIENT_ID_FACTOR = 0x9E3779B97F4A7C15
MASK_64 = (1 << 64) - 1


class OrderRequest(msgspec.Struct, gc=False):
    """A new order, checked and in ticks and lots. `submit`: further keyword arguments of Exchange.submit, {} for most."""
    symbol: object
    side: int
    order_type: int                         # of the matching core
    time_in_force: int                      # likewise
    price_ticks: int
    qty_lots: int
    client_order_id: str
    type: str                               # as the venue calls it
    tif: str | None
    submit: dict = {}
    quote_units: int = 0
    stop_ticks: int = 0
    iceberg_lots: int = 0
    trailing_bips: int = 0
    stp: str = "NONE"
    strategy_id: int | None = None
    strategy_type: int | None = None
    list_id: int = -1
    extra: object = None                    # a venue's own, kept on the order


class Order(msgspec.Struct, gc=False, eq=False):
    """What the venue remembers of an order. Times in ns of the venue's clock; `working_ns` 0: not on the book yet."""
    order_id: int
    client_order_id: str
    account: object
    symbol: object
    side: int
    type: str
    tif: str | None
    price_ticks: int
    qty_lots: int
    quote_units: int
    stop_ticks: int
    iceberg_lots: int
    trailing_bips: int
    stp: str
    created_ns: int
    updated_ns: int
    sim_id: int = 0
    status: str = "NEW"
    cum_lots: int = 0
    cum_quote_units: int = 0
    working_ns: int = 0
    trailing_ns: int = -1
    list_id: int = -1
    strategy_id: int | None = None
    strategy_type: int | None = None
    fills: list | None = None
    prevented_lots: int = 0
    prevented_id: int = 0
    counter_id: int = 0                     # the other order of the last prevented match
    executions: int = 0
    amendments: list | None = None
    reason: str = "NONE"                    # as executionReport's r
    extra: object = None

    @property
    def is_open(self):
        return self.status in OPEN


class Fill(msgspec.Struct, gc=False, eq=False):
    """One party's side of a trade."""
    trade_id: int
    order: object
    price_ticks: int
    qty_lots: int
    quote_units: int
    fee_units: int
    fee_asset: object                       # Asset
    ts_ns: int
    is_maker: bool
    event: object = None


class Prevented(msgspec.Struct, gc=False, eq=False):
    """A match that self-trade prevention kept from being a trade."""
    match_id: int
    symbol: object
    account: object
    taker_order_id: int
    maker_order_id: int
    group_id: int
    mode: str
    price_ticks: int
    maker_lots: int
    taker_lots: int
    ts_ns: int


class OrderService:
    """Parameters: venue : TradingVenue with its exchange.  kinds, statuses : of tickpath.sim.exchange, by name."""

    def __init__(self, venue, kinds, statuses):
        self.venue, self.exchange, self.users = venue, venue.exchange, venue.users
        self.by_id = {}
        self.by_market = {}                 # (account number, symbol index) -> {order id: Order}, oldest first
        self.fills_of = {}                  # likewise -> deque of Fill
        self.prevented = deque(maxlen=PREVENTED_MAX)
        self.closed = deque()
        self.listeners = []
        self.next_id, self._names_made = 1, 0
        self.next_execution = self.next_prevented = 1
        self.placed = self.canceled = self.filled = self.rejected = 0
        self.lists = None                   # order lists, see order_lists.py
        self._incoming = None               # the order that is being placed
        self._touched = {}                  # account -> assets whose balances the batch changed
        self._client_ids = {}               # order id -> the cancel's client id, while it is being carried out
        self._handlers = {kinds[name]: handler for name, handler in (
            ("NEW", self._new), ("TRADE", self._trade), ("CANCELED", self._canceled), ("EXPIRED", self._expired),
            ("TRIGGERED", self._triggered), ("AMENDED", self._amended), ("PREVENTED", self._prevented)) if name in kinds}
        self.statuses = {number: name for name, number in statuses.items()}

    # ---- what clients ask for

    def client_id(self):
        """A client order id of the venue's own making."""
        self._names_made += 1
        return f"sim{(self._names_made * CLIENT_ID_FACTOR) & MASK_64:019x}"

    def place(self, account, request, now_ns):
        """Place an order; returns its record after everything that follows from it at once. Errors: VenueError."""
        symbol = request.symbol
        name = (symbol.index, request.client_order_id)
        if name in account.open_clients:
            raise rejected(errors.DUPLICATE)
        order_id = self.next_id
        order = Order(order_id, request.client_order_id, account, symbol, request.side, request.type, request.tif,
                      request.price_ticks, request.qty_lots, request.quote_units, request.stop_ticks, request.iceberg_lots,
                      request.trailing_bips, request.stp, now_ns, now_ns, list_id=request.list_id,
                      strategy_id=request.strategy_id, strategy_type=request.strategy_type, extra=request.extra)
        self.by_id[order_id] = self._incoming = order
        sim_id, reason = self.exchange.submit(
            account.number, symbol.index, request.side, request.order_type, request.time_in_force, request.price_ticks,
            request.qty_lots, ref=order_id, now_ns=now_ns, **request.submit)
        if reason:
            del self.by_id[order_id]
            self.rejected += 1
            self.venue.settle()
            raise self.venue.refusal(reason, request)
        self.next_id = order_id + 1
        self.placed += 1
        order.sim_id = sim_id
        account.open_orders[order_id] = account.open_clients[name] = account.clients[name] = order
        market = (account.number, symbol.index)
        orders = self.by_market.get(market)
        if orders is None:
            orders = self.by_market[market] = {}
        orders[order_id] = order
        for listener in self.listeners:
            listener.on_order(order, now_ns)
        self.venue.settle()
        self._incoming = None
        return order

    def check(self, account, request, now_ns):
        """What `place` would say, without placing. Errors: VenueError."""
        if (request.symbol.index, request.client_order_id) in account.open_clients:
            raise rejected(errors.DUPLICATE)
        reason = self.exchange.check(
            account.number, request.symbol.index, request.side, request.order_type, request.time_in_force,
            request.price_ticks, request.qty_lots, ref=0, now_ns=now_ns, **request.submit)
        if reason:
            raise self.venue.refusal(reason, request)

    def cancel(self, account, order, now_ns, client_order_id=None):
        """Cancel an open order of this account; returns (record, the cancel's own client id). Errors: VenueError -2011."""
        if order is None or not order.is_open or order.account is not account:
            raise VenueError(*errors.UNKNOWN_ORDER)
        if client_order_id is None:
            client_order_id = f"sim{(now_ns ^ order.order_id * CLIENT_ID_FACTOR) & MASK_64:019x}"
        self._client_ids[order.order_id] = client_order_id
        try:
            reason = self.exchange.cancel(account.number, order.sim_id, now_ns)
            self.venue.settle()
        finally:
            self._client_ids.pop(order.order_id, None)
        if reason:
            raise VenueError(*errors.UNKNOWN_ORDER)
        self.canceled += 1
        return order, client_order_id

    def cancel_all(self, account, symbol, now_ns):
        """Cancel every open order of an account at a symbol; returns [(record, client id)], oldest first."""
        open_orders = [order for order in account.open_orders.values() if order.symbol is symbol]
        done = []
        for order in open_orders:
            # One may have gone with another of its list.
            if order.is_open:
                done.append(self.cancel(account, order, now_ns))
            else:
                done.append((order, order.client_order_id))
        return done

    def amend(self, account, order, qty_lots, now_ns, price_ticks=None, client_order_id=None):
        """Change an open order; returns its record. Errors: VenueError."""
        if order is None or not order.is_open or order.account is not account:
            raise VenueError(*errors.UNKNOWN_ORDER)
        if client_order_id is not None and client_order_id != order.client_order_id:
            if (order.symbol.index, client_order_id) in account.open_clients:
                raise rejected(errors.DUPLICATE)
            self._client_ids[order.order_id] = client_order_id
        try:
            reason = self.exchange.amend(account.number, order.sim_id, qty_lots, now_ns) if price_ticks is None else \
                self.exchange.amend(account.number, order.sim_id, qty_lots, now_ns, price_ticks=price_ticks)
            self.venue.settle()
        finally:
            self._client_ids.pop(order.order_id, None)
        if reason:
            raise self.venue.refusal(reason, None)
        return order

    def expire(self, order, status="EXPIRED_IN_MATCH"):
        """End an open order as the venue itself would."""
        status = next(number for number, name in self.statuses.items() if name == status)
        self.exchange.expire(order.sim_id, status, int(SimReason.VENUE), self.venue.now_ns())
        self.venue.settle()

    # ---- what is remembered

    def find(self, account, symbol, order_id=None, client_order_id=None):
        """The order of an account that both or one of the names mean, None if there is none."""
        if order_id is not None:
            order = self.by_id.get(order_id)
            if order is None or order.account is not account or order.symbol is not symbol:
                return None
            return order if client_order_id in (None, order.client_order_id) else None
        return account.clients.get((symbol.index, client_order_id))

    def open_orders(self, account, symbol=None):
        return [order for order in account.open_orders.values() if symbol is None or order.symbol is symbol]

    def history(self, account, symbol):
        """{order id: Order}, oldest first."""
        return self.by_market.get((account.number, symbol.index), {})

    def fills(self, account, symbol):
        """Oldest first."""
        return self.fills_of.get((account.number, symbol.index), ())

    # ---- what the exchange reports

    def on_events(self, events):
        handlers, by_id = self._handlers, self.by_id
        for event in events:
            ref = event.ref
            if ref:
                handler = handlers.get(event.kind)
                order = by_id.get(ref)
                if handler is not None and order is not None:
                    handler(order, event)
        if self.lists is not None and self.lists.due:
            self.lists.work()
        if self._touched:
            touched, self._touched = self._touched, {}
            for account, assets in touched.items():
                self.users.account_changed(account, assets, account.updated_ns)

    def report(self, order, execution, event, fill=None, client_order_id=None):
        """Tell the account's user data what happened to an order."""
        order.executions = self.next_execution
        self.next_execution += 1
        account = order.account
        account.updated_ns = event.ts_ns
        if account.subscriptions:
            self.users.execution(order, execution, fill, event, client_order_id)
            touched = self._touched.setdefault(account, set())
            touched.add(order.symbol.quote)
            touched.add(order.symbol.base)
            if fill is not None and fill.fee_units:
                touched.add(fill.fee_asset)

    def _new(self, order, event):
        order.updated_ns = event.ts_ns
        if order.type in RESTING:
            order.working_ns = event.ts_ns
        elif order.trailing_bips:
            order.trailing_ns = event.ts_ns
        self.report(order, "NEW", event)

    def _triggered(self, order, event):
        order.working_ns = order.updated_ns = event.ts_ns
        self.report(order, "TRIGGERED", event)
        if self.lists is not None and order.list_id >= 0:
            self.lists.traded(order, event.ts_ns)

    def _trade(self, order, event):
        order.cum_lots, order.updated_ns = event.cum_lots, event.ts_ns
        quote_units = event.cum_quote_units - order.cum_quote_units
        order.cum_quote_units = event.cum_quote_units
        if not order.working_ns:
            order.working_ns = event.ts_ns
        order.status = self.statuses[event.status]
        asset = self.venue.by_asset[event.fee_asset]
        fill = Fill(event.trade_id, order, event.price_ticks, event.qty_lots, quote_units, event.fee_units, asset, event.ts_ns,
                    bool(event.is_maker), event)
        if order.fills is None:
            order.fills = [fill]
        else:
            order.fills.append(fill)
        market = (order.account.number, order.symbol.index)
        fills = self.fills_of.get(market)
        if fills is None:
            fills = self.fills_of[market] = deque(maxlen=FILLS_MAX)
        fills.append(fill)
        if order.status == "FILLED":
            self.filled += 1
            self._over(order)
            if order.account.order_count.windows:
                order.account.order_count.give_back(event.ts_ns)
        self.report(order, "TRADE", event, fill)
        if self.lists is not None and order.list_id >= 0:
            self.lists.traded(order, event.ts_ns)

    def _canceled(self, order, event):
        self._end(order, event, "CANCELED", "CANCELED")

    def _expired(self, order, event):
        # The core names the reason in the status where there are several.
        status = self.statuses.get(event.status, "EXPIRED")
        self._end(order, event, status if status.startswith("EXPIRED") else "EXPIRED", "EXPIRED")

    def _end(self, order, event, status, execution):
        order.status, order.updated_ns = status, event.ts_ns
        order.cum_lots, order.cum_quote_units = event.cum_lots, event.cum_quote_units
        self._over(order)
        self.report(order, execution, event, client_order_id=self._client_ids.get(order.order_id))
        if self.lists is not None and order.list_id >= 0:
            self.lists.ended(order, event.ts_ns)

    def _amended(self, order, event):
        client_order_id = self._client_ids.get(order.order_id)
        if order.amendments is None:
            order.amendments = []
        order.amendments.append((event.ts_ns, self.next_execution, order.client_order_id, client_order_id, order.qty_lots,
                                 event.qty_lots))
        order.qty_lots, order.updated_ns = event.qty_lots, event.ts_ns
        if event.price_ticks:
            order.price_ticks = event.price_ticks
        before = order.client_order_id
        if client_order_id is not None:
            account, index = order.account, order.symbol.index
            account.open_clients.pop((index, before), None)
            order.client_order_id = client_order_id
            account.open_clients[index, client_order_id] = account.clients[index, client_order_id] = order
        self.report(order, "REPLACED", event, client_order_id=before)

    def _prevented(self, order, event):
        """Self-trade prevention took from this order, or ended it."""
        incoming = self._incoming
        is_maker = order is not incoming
        other = self.exchange.order(event.counter_order_id) if event.counter_order_id else None
        counter_id = other.ref if other is not None else incoming.order_id if incoming is not None and is_maker else 0
        last = self.prevented[-1] if self.prevented else None
        if is_maker and last is not None and last.taker_order_id == counter_id and not last.maker_order_id:
            # The other half of the match that has just been told of the taker.
            match = last
            match.maker_order_id, match.group_id, match.maker_lots = order.order_id, order.order_id, event.qty_lots
            match.price_ticks = order.price_ticks
        else:
            taker_id, maker_id = (counter_id, order.order_id) if is_maker else (order.order_id, counter_id)
            match = Prevented(self.next_prevented, order.symbol, order.account, taker_id, maker_id, maker_id,
                              (incoming or order).stp, event.price_ticks or order.price_ticks,
                              event.qty_lots if is_maker else 0, 0 if is_maker else event.qty_lots, event.ts_ns)
            self.next_prevented += 1
            self.prevented.append(match)
        order.prevented_lots += event.qty_lots
        order.updated_ns, order.counter_id, order.prevented_id = event.ts_ns, counter_id, match.match_id
        status = self.statuses.get(event.status, order.status)
        if status not in OPEN and order.is_open:
            order.status = status
            self._over(order)
        self.report(order, "TRADE_PREVENTION", event)

    def _over(self, order):
        account, index = order.account, order.symbol.index
        account.open_orders.pop(order.order_id, None)
        name = (index, order.client_order_id)
        if account.open_clients.get(name) is order:
            del account.open_clients[name]
        closed = self.closed
        closed.append(order)
        if len(closed) > CLOSED_MAX:
            old = closed.popleft()
            self.by_id.pop(old.order_id, None)
            self.by_market[old.account.number, old.symbol.index].pop(old.order_id, None)
            # Each amendment has given it another name.
            for client_id in (old.client_order_id, *(a[2] for a in old.amendments or () if a.__class__ is tuple)):
                name = (old.symbol.index, client_id)
                if old.account.clients.get(name) is old:
                    del old.account.clients[name]


# Types that stand on the book, or are matched, from the beginning; the others wait for their trigger.
RESTING = frozenset({"LIMIT", "LIMIT_MAKER", "MARKET"})
