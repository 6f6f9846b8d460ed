"""The order service of USD-M futures: as everywhere, and what the core does by itself: liquidations, triggers, funding.

Orders that the margin book sends to close a position have no record of a client; they get one here, with the client id that
the venue gives them ("autoclose-…"), so that they are seen in queries, fills and user data.
"""
from collections import deque

from tickpath.sim.exchange import SimEventKind, SimReason
from tickpath_sim.trading.orders import BUY, FILLS_MAX, Fill, Order, OrderService
from tickpath_sim.trading.usdm_account import leg_name
from tickpath_sim.trading.usdm_params import Intent

__all__ = ["UsdmOrders"]

KIND = {name: int(getattr(SimEventKind, name)) for name in
        ("NEW", "TRADE", "CANCELED", "EXPIRED", "LIQUIDATION", "FUNDING", "BALANCE", "MARGIN_CALL", "MARGIN_BALANCE")
        if hasattr(SimEventKind, name)}
NEW, TRADE, EXPIRED, LIQUIDATION = KIND["NEW"], KIND["TRADE"], KIND["EXPIRED"], KIND["LIQUIDATION"]
FUNDING, MARGIN_CALL, MARGIN_BALANCE = KIND["FUNDING"], KIND.get("MARGIN_CALL"), KIND.get("MARGIN_BALANCE")
OWN = frozenset((TRADE, LIQUIDATION, FUNDING, MARGIN_CALL, MARGIN_BALANCE))
REFUSALS = {int(SimReason.REDUCE_ONLY): "Reduce Only reject", int(SimReason.MARGIN): "Margin is insufficient",
            int(SimReason.LEVERAGE): "Exceeded the maximum allowable position at current leverage",
            int(SimReason.POSITION_SIDE): "Position side does not match"}
NS_PER_MS = 1_000_000
FINAL = frozenset(("FILLED", "CANCELED", "EXPIRED", "EXPIRED_IN_MATCH"))


class UsdmOrders(OrderService):
    """As OrderService; `venue` is a UsdmVenue."""

    def __init__(self, venue, kinds, statuses):
        super().__init__(venue, kinds, statuses)
        self.forced = {}                    # number in the core -> Order of a liquidation that is under way
        self._closing = set()               # (account number, instrument) whose next order is the venue's own
        self.next_transaction = 1
        self.liquidations = 0

    def on_events(self, events):
        """A batch of the exchange: those of clients' orders as ever, the venue's own here, in their order."""
        own = [event for event in events if event.kind in OWN]
        self.venue.users.batch_begins()
        super().on_events(events)
        if own:
            if any(event.kind == LIQUIDATION for event in own):
                # The venue's own orders come without a reference; only here are they told from those of generated flow.
                own = [event for event in events if event.kind in OWN or (not event.ref and event.kind in (NEW, EXPIRED))]
            for event in own:
                account = self.venue.accounts.by_number.get(event.account)
                if account is not None:
                    self._own(account, event)
            self._closing.clear()

    def _own(self, account, event):
        kind = event.kind
        if kind == FUNDING:
            self.venue.funded(account, event)
        elif kind == LIQUIDATION:
            if event.qty_lots:
                self._taken_over(account, event)
            else:
                self._closing.add((event.account, event.instrument))
        elif kind == NEW:
            if (event.account, event.instrument) in self._closing:
                self._closing.discard((event.account, event.instrument))
                self.forced[event.order_id] = self._force(account, event, event.cum_lots or None, "autoclose-")
        elif kind == TRADE:
            if event.ref:
                self.venue.earned(account, event)
            elif event.order_id in self.forced:
                self._forced_trade(self.forced[event.order_id], event)
        elif kind == EXPIRED:
            order = self.forced.pop(event.order_id, None)
            if order is not None:
                self._forced_end(order, event, "EXPIRED")
        elif kind == MARGIN_CALL:
            self.venue.margin_called(account, event)
        elif kind == MARGIN_BALANCE:
            self.venue.wallet_changed(account, event)

    # ---- the venue's own orders

    def _force(self, account, event, lots, prefix):
        contract = self.venue.by_index[event.instrument]
        order_id = self.next_id
        self.next_id += 1
        client_id = f"{prefix}{event.ts_ns // NS_PER_MS}{order_id % 1_000_000:06d}"
        buy = event.side == BUY
        intent = Intent(contract, buy, "LIMIT", "IOC", leg_name(event.position_side), lots or event.qty_lots,
                        price_ticks=event.price_ticks, client_order_id=client_id, stp="NONE")
        order = Order(order_id, client_id, account, contract.symbol, event.side, "LIMIT", "IOC", event.price_ticks,
                      lots or event.qty_lots, 0, 0, 0, 0, "NONE", event.ts_ns, event.ts_ns, sim_id=event.order_id, extra=intent)
        self.by_id[order_id] = order
        self.by_market.setdefault((account.number, contract.index), {})[order_id] = order
        self.venue.statement(account).forced.append(order)
        self.liquidations += 1
        if account.subscriptions:
            self.venue.users.execution(order, "CALCULATED", None, event, None)
        return order

    def _forced_trade(self, order, event):
        quote_units = event.cum_quote_units - order.cum_quote_units
        order.cum_lots, order.cum_quote_units, order.updated_ns = event.cum_lots, event.cum_quote_units, event.ts_ns
        order.status = self.statuses[event.status]
        fill = Fill(event.trade_id, order, event.price_ticks, event.qty_lots, quote_units, event.fee_units,
                    self.venue.by_asset[event.fee_asset], event.ts_ns, bool(event.is_maker), event)
        self._note(order, fill)
        self.venue.earned(order.account, event)
        if order.account.subscriptions:
            self.venue.users.execution(order, "CALCULATED", fill, event, None)
        if order.status == "FILLED":
            self.forced.pop(event.order_id, None)
            self._forced_over(order)

    def _forced_end(self, order, event, status):
        order.status, order.updated_ns = status, event.ts_ns
        if order.account.subscriptions:
            self.venue.users.execution(order, "EXPIRED", None, event, None)
        self._forced_over(order)

    def _forced_over(self, order):
        self._over(order)
        self.venue.liquidated(order)

    def _taken_over(self, account, event):
        """The insurance fund has taken a position: an order of its own at the bankruptcy price, filled at once."""
        order = self._force(account, event, event.qty_lots, "autoclose-insurance-")
        order.cum_lots, order.cum_quote_units = event.qty_lots, event.value
        order.status = "FILLED"
        fill = Fill(0, order, event.price_ticks, event.qty_lots, event.value, 0, order.symbol.quote, event.ts_ns, False, event)
        self.venue.earned(account, event)
        if account.subscriptions:
            self.venue.users.execution(order, "CALCULATED", fill, event, None)
        self._forced_over(order)

    def _note(self, order, fill):
        if order.fills is None:
            order.fills = []
        order.fills.append(fill)
        self.fills_of.setdefault((order.account.number, order.symbol.index), deque(maxlen=FILLS_MAX)).append(fill)

    # ---- conditional orders

    def _triggered(self, order, event):
        intent = order.extra
        intent.triggered, intent.trigger_ms = True, event.ts_ns // NS_PER_MS
        if intent.close_position and event.qty_lots:
            order.qty_lots = event.qty_lots
        if intent.algo_id:
            intent.algo_status = "TRIGGERED"
        super()._triggered(order, event)

    def _trade(self, order, event):
        if order.extra.close_position and not order.qty_lots:
            order.qty_lots = event.cum_lots
        super()._trade(order, event)

    def report(self, order, execution, event, fill=None, client_order_id=None):
        intent = order.extra
        if intent is not None and intent.algo_id and order.status in FINAL:
            refused = REFUSALS.get(event.reason) if order.status == "EXPIRED" and not order.cum_lots else None
            if refused is not None:
                # Its price came, and what it was for could not be placed.
                intent.algo_status, intent.algo_reason = "REJECTED", refused
            else:
                intent.algo_status = "FINISHED" if intent.triggered else (
                    "CANCELED" if order.status == "CANCELED" else "EXPIRED")
        super().report(order, execution, event, fill, client_order_id)
