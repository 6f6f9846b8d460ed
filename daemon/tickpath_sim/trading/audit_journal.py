"""A client's journal against the venue's ledger: every order, fill and cancel that the daemon wrote down, by client order id.

    order     an intent that reached the venue stands in the ledger with the same side, price and quantity; one that the venue
              took from this client stands in the journal
    fill      the same trades, once each, with the same price, quantity and fee
    end       the journal's last word of an order is the venue's

Orders that the client still holds for unknown when its journal ends are counted, not blamed: that is what the state says.
"""
from decimal import Decimal

import numpy as np

from tickpath.shm.journal import JournalReader
from tickpath.shm.journal_format import whole_slot_count
from tickpath.shm.ring import records as ring_records
from tickpath.types import EventType, OrderState, Reason, Side
from tickpath_sim.trading.audit_truth import PLACES, TERMINAL, text_of

__all__ = ["JournalAudit"]

KINDS = (EventType.EV_GRID, EventType.EV_INTENT, EventType.EV_CANCEL, EventType.EV_EXEC_REPORT, EventType.EV_ORDER_STATE,
         EventType.EV_FILL)
SCALE = 10**PLACES
PREFIX_CHARACTERS = 5                       # of a client order id: `tp` and the instance; the rest counts
ENDS = {int(OrderState.ORDER_FILLED): {"FILLED"}, int(OrderState.ORDER_CANCELED): {"CANCELED"},
        int(OrderState.ORDER_EXPIRED): {"EXPIRED", "EXPIRED_IN_MATCH"}}
SIDES = {int(Side.SIDE_BUY): "BUY", int(Side.SIDE_SELL): "SELL"}


class _Order:
    __slots__ = ("ordinal", "client_order_id", "symbol", "side", "price", "qty", "state", "reason", "cum", "fills", "cancels",
                 "venue_order_id")

    def __init__(self, ordinal, client_order_id, symbol, side, price, qty):
        self.ordinal, self.client_order_id, self.symbol, self.side = ordinal, client_order_id, symbol, side
        self.price, self.qty = price, qty
        self.state = int(OrderState.ORDER_PENDING_NEW)
        self.reason, self.cum, self.cancels, self.venue_order_id = 0, 0, 0, 0
        self.fills = {}                     # trade id -> (price, qty, fee in 10^-8)


class JournalAudit:
    """Parameters: path : a journal, see JournalReader.  ledger : LedgerAudit that has read everything.

    After `run`: `counts`. Errors: JournalError, JournalDamage.
    """

    def __init__(self, path, ledger, violations):
        self.path, self.ledger, self.violations = path, ledger, violations
        self.orders = {}                    # ordinal -> _Order
        self.grids = []                     # instrument -> [symbol, tick, lot] in 10^-8
        self.counts = {}

    def run(self):
        reader = JournalReader(self.path)
        self._instruments(reader.config)
        rest = None
        for batch in reader.batches():
            slots = batch if rest is None or not len(rest) else np.concatenate([rest, batch])
            keep = whole_slot_count(slots)
            self._take(slots[:keep])
            rest = slots[keep:].copy()
        self._compare()
        return self.counts

    def _wrong(self, check, expected, found, **detail):
        self.violations.add(check, f"journal {self.path}", expected, found, **detail)

    # ---- reading

    def _instruments(self, header):
        config = header.get("config", header)
        for item in config.get("instruments", ()):
            # The venue's own spelling where the journal has one; ours may be BTC/USDT.
            symbol = item.get("venue_symbol") or item["symbol"].replace("/", "").replace("-", "")
            self.grids.append([symbol.upper(), int(Decimal(str(item["tick_size"])) * SCALE),
                               int(Decimal(str(item["lot_size"])) * SCALE)])

    def _take(self, slots):
        rows = [(int(row["seq"]), kind, row) for kind in KINDS for row in ring_records(slots, kind)]
        rows.sort(key=lambda r: r[0])
        for _, kind, row in rows:
            self._handlers[kind](self, row)

    def _grid(self, row):
        grid = self.grids[int(row["instrument"])]
        grid[1] = int(Decimal(int(row["tick_mantissa"])).scaleb(PLACES - int(row["tick_scale"])))
        grid[2] = int(Decimal(int(row["lot_mantissa"])).scaleb(PLACES - int(row["lot_scale"])))

    def _amounts(self, row, price, qty):
        _, tick, lot = self.grids[int(row["instrument"])]
        ticks = int(row[price])
        # A market order has no price: the null value is far below zero.
        return (0 if ticks < 0 else ticks * tick), int(row[qty]) * lot

    def _intent(self, row):
        price, qty = self._amounts(row, "price_ticks", "qty_lots")
        text = bytes(row["client_order_id"]).split(b"\0")[0].decode("ascii", "replace")
        ordinal = int(row["order_ordinal"])
        symbol = self.grids[int(row["instrument"])][0]
        self.orders[ordinal] = _Order(ordinal, text, symbol, SIDES.get(int(row["side"])), price, qty)

    def _cancel(self, row):
        order = self.orders.get(int(row["order_ordinal"]))
        if order is not None:
            order.cancels += 1

    def _report(self, row):
        order = self.orders.get(int(row["order_ordinal"]))
        if order is not None and int(row["venue_order_id"]):
            order.venue_order_id = int(row["venue_order_id"])

    def _state(self, row):
        order = self.orders.get(int(row["order_ordinal"]))
        if order is not None:
            order.state, order.reason = int(row["state"]), int(row["reason"])

    def _fill(self, row):
        order = self.orders.get(int(row["order_ordinal"]))
        if order is None:
            self._wrong("journal fill", "a fill of an order that the journal has", f"order {int(row['order_ordinal'])}")
            return
        price, qty = self._amounts(row, "price_ticks", "qty_lots")
        trade_id = int(row["trade_id"])
        if trade_id in order.fills:
            self._wrong("journal fill", "a trade once", f"trade {trade_id} again", client_order_id=order.client_order_id)
        order.fills[trade_id] = (price, qty, int(row["fee_e8"]))
        order.cum += qty

    _handlers = {EventType.EV_GRID: _grid, EventType.EV_INTENT: _intent, EventType.EV_CANCEL: _cancel,
                 EventType.EV_EXEC_REPORT: _report, EventType.EV_ORDER_STATE: _state, EventType.EV_FILL: _fill}

    # ---- comparing

    def _compare(self):
        truth = {}
        for order in self.ledger.orders.values():
            truth[order.client_order_id] = order
        counts = {"orders": len(self.orders), "matched": 0, "refused": 0, "unresolved": 0, "fills": 0, "cancels": 0}
        prefixes = {order.client_order_id[:PREFIX_CHARACTERS] for order in self.orders.values()}
        known = set()
        for order in self.orders.values():
            known.add(order.client_order_id)
            counts["fills"] += len(order.fills)
            counts["cancels"] += order.cancels
            there = truth.get(order.client_order_id)
            if there is None:
                self._absent(order, counts)
            else:
                counts["matched"] += 1
                self._order(order, there, counts)
        for client_order_id, there in truth.items():
            if client_order_id[:PREFIX_CHARACTERS] in prefixes and client_order_id not in known:
                self._wrong("journal order", "an order that the journal has",
                            f"{client_order_id}, order {there.order_id} at the venue", client_order_id=client_order_id)
        self.counts = counts

    def _absent(self, order, counts):
        if order.state in (int(OrderState.ORDER_REJECTED), int(OrderState.ORDER_EXPIRED)) and not order.fills:
            counts["refused"] += 1          # by the venue, or it was never sent
        elif order.state in (int(OrderState.ORDER_PENDING_NEW), int(OrderState.ORDER_UNKNOWN)) and not order.fills:
            counts["unresolved"] += 1
        else:
            self._wrong("journal order", "an order of the ledger", f"{order.client_order_id} as {OrderState(order.state).name}",
                        client_order_id=order.client_order_id)

    def _order(self, order, there, counts):
        def wrong(what, expected, found):
            self._wrong("journal order", f"{what} {expected}", found, client_order_id=order.client_order_id,
                        order_id=there.order_id)
        for what, expected, found in (("symbol", there.symbol, order.symbol), ("side", there.side, order.side)):
            if expected != found:
                wrong(what, expected, found)
        for what, expected, found in (("price", there.prices[0], order.price), ("quantity", there.qtys[0], order.qty)):
            if expected != found:
                wrong(what, text_of(expected, PLACES), text_of(found, PLACES))
        if order.venue_order_id not in (0, there.order_id):
            wrong("venue order id", there.order_id, order.venue_order_id)
        for trade_id, (price, qty, _, fee, _, _) in there.trades.items():
            mine = order.fills.get(trade_id)
            if mine is None:
                wrong("trade", trade_id, "none in the journal")
            elif mine != (price, qty, int(Decimal(fee) * SCALE)):
                wrong(f"trade {trade_id} as", f"{text_of(qty, PLACES)} at {text_of(price, PLACES)}, fee {fee}",
                      f"{text_of(mine[1], PLACES)} at {text_of(mine[0], PLACES)}, fee {text_of(mine[2], 8)}")
        for trade_id in order.fills.keys() - there.trades.keys():
            wrong("a trade of the ledger, found", trade_id, "in the journal only")
        self._end(order, there, counts, wrong)

    def _end(self, order, there, counts, wrong):
        expected = ENDS.get(order.state)
        name = OrderState(order.state).name
        if order.state == int(OrderState.ORDER_UNKNOWN):
            counts["unresolved"] += 1
        elif order.state == int(OrderState.ORDER_REJECTED):
            wrong("end", there.status, f"{name} ({Reason(order.reason).name})")
        elif expected is not None and there.status not in expected:
            wrong("end", there.status, name)
        elif expected is None and there.status in TERMINAL:
            wrong("end", there.status, name)
