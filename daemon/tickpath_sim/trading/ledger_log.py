"""The venue's ledger on the disk: every order, trade, fee, deposit and balance, in exact decimals; see ledger_records.py.

It listens to the order service. What it hears is kept as it is and written together, every 100 ms or 200 times, so that an
order pays for an append; balances are read when all events before them have been written, so that each `balance` is what
the lines above it must add up to. A disk that fails ends the log, never the venue.
"""
import asyncio
import os
import time
from pathlib import Path

from tickpath.sim.exchange import SimEventKind, SimReason, SimStatus
from tickpath_sim.trading import ledger_records as records
from tickpath_sim.trading.ledger_records import FORMAT_VERSION, LedgerDamage, encode_line

__all__ = ["LedgerLog"]

FLUSH_S = 0.1
FLUSH_ITEMS = 200                           # so that no flush holds up a reply for long
FILE_BYTES = 64 << 20
FILES_MIN = 4
SIDES = {1: "BUY", 2: "SELL"}
INSURANCE = 2
POSITION_SIDES = ("", "LONG", "SHORT")      # of hedge mode
SPECIAL_ACCOUNTS = {0: "house", 1: "fees", 2: "insurance"}
STATUS = {int(status): status.name for status in SimStatus}
REASON = {int(reason): reason.name for reason in SimReason}
KIND = {name: int(value) for name, value in SimEventKind.__members__.items()}
TERMINAL = {int(SimStatus[name]) for name in ("FILLED", "CANCELED", "EXPIRED", "EXPIRED_IN_MATCH")}
STATE_OF = {KIND["NEW"]: None, KIND["CANCELED"]: None, KIND["EXPIRED"]: None, KIND["TRIGGERED"]: "TRIGGERED"}
NEW, TRADE = KIND["NEW"], KIND["TRADE"]
HEARD = {KIND[name] for name in ("NEW", "TRADE", "CANCELED", "EXPIRED", "TRIGGERED", "AMENDED", "PREVENTED", "LIQUIDATION",
                                 "FUNDING", "BALANCE", "MARGIN_BALANCE") if name in KIND}


class LedgerLog:
    """Writes the ledger of one run.

    Parameters: directory : made when it is not there; must not hold a ledger yet.  venue : TradingVenue.  limit_mib : the oldest
                file is deleted when all together would grow beyond this; 0: no bound.
    Errors: LedgerDamage when the directory cannot be used. Later failures of the disk stand in `failure` and end the log.
    """

    def __init__(self, directory, venue, limit_mib=1024):
        self.directory, self.venue = Path(directory), venue
        self.limit_bytes = int(limit_mib * (1 << 20))
        self.file_bytes_max = min(FILE_BYTES, self.limit_bytes // FILES_MIN) if self.limit_bytes else FILE_BYTES
        self.records = self.bytes = self.orders = self.trades = self.dropped = self.deleted_files = 0
        self.failure = None
        self._started_ns = time.time_ns()
        self._items = []                    # (kind of item, time, what) not yet written
        self._live = {}                     # order id -> the service's Order, of those that have not ended
        self._names = {}                    # the exchange's own number of an order -> order id, of those
        self._ended = []                    # both, of those that have ended since the last flush
        self._loop, self._due = None, False     # whether a flush has been asked for
        self._touched = {}                  # (account, asset) -> None, whose balance has changed since it was last written
        self._known = [0, 0, set()]         # assets, instruments, accounts that have a line
        self._files = []
        self._file = None
        self._task = None
        self._crc = 0
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            found = next(self.directory.glob("ledger-*.jsonl"), None)
            if found is not None:
                raise LedgerDamage(found, 0, "a directory without a ledger", "one of an earlier run")
            self._begin_file()
        except OSError as e:
            raise LedgerDamage(self.directory, 0, "a directory that can be written", e.strerror or str(e)) from None

    # ---- what the order service calls

    def on_order(self, order, ts_ns):
        """An order has been accepted. order : the service's record, which it goes on changing."""
        self._live[order.order_id] = order
        self._names[order.sim_id] = order.order_id
        self._items.append(("order", ts_ns, _order_fields(order)))
        self._flush_soon()

    def on_events(self, events):
        """What the exchange did, in order."""
        self._items.append(("events", 0, [e for e in events if e.kind in HEARD]))
        self._flush_soon()

    def on_deposit(self, account, asset, units, why=""):
        """account : Account.  asset : Asset.  units : negative of a withdrawal."""
        self._items.append(("deposit", self.venue.now_ns(), (account.number, asset.index, units, why)))

    # ---- writing

    def start(self):
        """Write at least every 100 ms from now on. Must be called on the loop."""
        self._loop = asyncio.get_running_loop()
        self._task = self._loop.create_task(self._keep_flushing())

    def _flush_soon(self):
        """Behind the request that is being handled: only then has the exchange told of all that its balances show."""
        if len(self._items) > FLUSH_ITEMS and not self._due and self._loop is not None:
            self._due = True
            self._loop.call_soon(self.flush)

    async def _keep_flushing(self):
        while True:
            await asyncio.sleep(FLUSH_S)
            self.flush()

    def flush(self):
        """Write what has been heard so far, and the balances that it left. Never while a request is being handled."""
        self._due = False
        items, self._items = self._items, []
        if not items and not self._touched:
            return
        if self._file is None:
            self.dropped += len(items)
            self._touched.clear()
            return
        lines = []
        self._news(lines)
        for kind, ts_ns, what in items:
            if kind == "events":
                for event in what:
                    self._event(lines, event)
            elif kind == "order":
                self._put(lines, records.Order(0, ts_ns, **what))
                self.orders += 1
            else:
                account, asset, units, why = what
                self._put(lines, records.Deposit(0, ts_ns, account, self._asset(asset).name, self._asset(asset).text(units), why))
                self._touched[account, asset] = None
        self._write_balances(lines, records.Balance, self._touched)
        self._touched.clear()
        for order_id, number in self._ended:
            self._live.pop(order_id, None)
            self._names.pop(number, None)
        self._ended.clear()
        self._write(lines)

    def _write(self, lines):
        block = b"".join(lines)
        try:
            if self._file_bytes + len(block) > self.file_bytes_max and self._file_bytes:
                # The lines go on from the old file's checksum, so they are its last.
                self._append(block)
                self._end_file()
                self._begin_file()
            else:
                self._append(block)
        except OSError as e:
            self.failure = f"{self.directory}: expected to write, found {e.strerror or e}"
            self._close_file()

    def _append(self, block):
        view = memoryview(block)
        while view:
            view = view[os.write(self._file, view):]
        self._file_bytes += len(block)
        self.bytes += len(block)

    def _put(self, lines, record):
        self.records += 1
        record.n = self.records
        line, self._crc = encode_line(record, self._crc)
        lines.append(line)

    # ---- events

    def _asset(self, number):
        return self.venue.by_asset[number]

    def _end_of(self, e):
        # Forgotten only when the batch is written: the other party's event may still name it.
        if e.status in TERMINAL:
            self._ended.append((e.ref or self._names.get(e.order_id, e.order_id), e.order_id))

    def _event(self, lines, e):
        kind, ts = e.kind, e.ts_ns
        order_id = e.ref or self._names.get(e.order_id, e.order_id)
        if kind == TRADE:
            symbol = self.venue.by_instrument[e.instrument]
            fee_asset = self._asset(e.fee_asset) if e.fee_units else symbol.quote
            counter_id = self._names.get(e.counter_order_id, e.counter_order_id)
            self._put(lines, records.Trade(
                0, ts, e.trade_id, order_id, counter_id, e.account, symbol.name, SIDES[e.side], bool(e.is_maker),
                symbol.price_text(e.price_ticks), symbol.qty_text(e.qty_lots), symbol.quote.text(e.value),
                fee_asset.text(e.fee_units), fee_asset.name, symbol.qty_text(e.cum_lots), symbol.quote.text(e.cum_quote_units),
                STATUS[e.status], symbol.quote.text(e.pnl_units) if e.pnl_units else "0", POSITION_SIDES[e.position_side]))
            self.trades += 1
            touched = self._touched
            for account in (e.account, 0):
                touched[account, symbol.base.index] = touched[account, symbol.quote.index] = None
            if e.fee_units:
                touched[1, e.fee_asset] = touched[e.account, e.fee_asset] = None
            self._end_of(e)
        elif kind in STATE_OF:
            symbol = self.venue.by_instrument[e.instrument]
            if kind == NEW and order_id not in self._live:
                known = self._forced(e) if not e.ref else None
                if known is not None:
                    order_id = self._names[e.order_id] = known.order_id
                    self._live[order_id] = known
                self._put(lines, records.Order(0, ts, **(self._own_order(e, symbol) if known is None else
                                                         {**_order_fields(known), "type": "LIQUIDATION"})))
                self.orders += 1
            self._put(lines, records.State(
                0, ts, order_id, e.account, STATE_OF[kind] or STATUS[e.status], symbol.qty_text(e.cum_lots),
                symbol.quote.text(e.cum_quote_units), symbol.qty_text(e.qty_lots) if kind != NEW else "0",
                "" if not e.reason else REASON.get(e.reason, str(e.reason))))
            self._touched[e.account, (symbol.base if e.side == 2 else symbol.quote).index] = None
            self._end_of(e)
        elif kind == KIND["AMENDED"]:
            symbol = self.venue.by_instrument[e.instrument]
            order = self._live.get(order_id)
            qty = e.qty_lots if order is None else order.qty_lots
            self._put(lines, records.Amend(0, ts, order_id, e.account, symbol.price_text(e.price_ticks), symbol.qty_text(qty)))
            self._touched[e.account, (symbol.base if e.side == 2 else symbol.quote).index] = None
        elif kind == KIND["PREVENTED"]:
            symbol = self.venue.by_instrument[e.instrument]
            self._put(lines, records.Prevented(0, ts, order_id, e.account, symbol.qty_text(e.qty_lots), STATUS[e.status],
                                               e.counter_order_id))
            self._touched[e.account, (symbol.base if e.side == 2 else symbol.quote).index] = None
            self._end_of(e)
        elif kind == KIND["FUNDING"]:
            symbol = self.venue.by_instrument[e.instrument]
            self._put(lines, records.Funding(0, ts, e.account, symbol.name, symbol.quote.name, symbol.quote.text(e.value),
                                             symbol.qty_text(e.qty_lots), symbol.price_text(e.price_ticks)))
            self._touched[e.account, symbol.quote.index] = None
        elif kind == KIND["LIQUIDATION"]:
            symbol = self.venue.by_instrument[e.instrument]
            taken = self._forced(e, taken_over=True) if e.qty_lots else None
            self._put(lines, records.Liquidation(0, ts, e.account, symbol.name, SIDES.get(e.side, ""),
                                                 symbol.price_text(e.price_ticks), symbol.qty_text(e.qty_lots),
                                                 taken.order_id if taken is not None else 0,
                                                 symbol.quote.text(e.fee_units), symbol.quote.name,
                                                 symbol.quote.text(e.pnl_units), POSITION_SIDES[e.position_side],
                                                 taken.client_order_id if taken is not None else ""))
            self._touched[e.account, symbol.quote.index] = self._touched[2, symbol.quote.index] = None
        elif kind == KIND.get("MARGIN_BALANCE") and (e.reason or e.account == INSURANCE):
            # Without a reason a client has moved money between spot and futures: the sum of both is what a balance is.
            asset = self._asset(e.fee_asset)
            self._put(lines, records.Change(0, ts, e.account, asset.name, asset.text(e.value), "insurance"))
            self._touched[e.account, e.fee_asset] = None

    def _forced(self, e, taken_over=False):
        """The order service's record of a liquidation, which it makes without being asked to place an order; None for others."""
        account = self.venue.accounts.by_number.get(e.account)
        if self.venue.kind == "spot" or account is None or account.extra is None:
            return None
        for order in reversed(account.extra.forced):
            if (order.sim_id == e.order_id and not taken_over) or (taken_over and order.created_ns == e.ts_ns and order.status
                                                                   == "FILLED" and order.qty_lots == e.qty_lots):
                return order
        return None

    @staticmethod
    def _own_order(e, symbol):
        """An order that came past the order service: generated flow, a liquidation. The exchange does not say its type."""
        return {"order_id": e.ref or e.order_id, "account": e.account, "symbol": symbol.name, "client_order_id": "",
                "side": SIDES[e.side], "type": "", "tif": "", "price": symbol.price_text(e.price_ticks),
                "qty": symbol.qty_text(e.qty_lots)}

    # ---- balances and what there is

    def _holding(self, account, asset):
        """(free, locked, futures wallet) in units."""
        free, locked = self.venue.exchange.balance(account, asset)
        if self.venue.kind == "spot":
            return free, locked, 0
        return free, locked, self.venue.exchange.margin_account(account, asset).wallet_units

    def _write_balances(self, lines, kind, pairs):
        ts = self.venue.now_ns()
        for account, number in pairs:
            asset = self._asset(number)
            free, locked, wallet = self._holding(account, number)
            self._put(lines, kind(0, ts, account, asset.name, asset.text(free), asset.text(locked),
                                  asset.text(wallet) if wallet else "0"))

    def _all_holdings(self):
        """(account, asset) of all that hold anything."""
        return [(account, asset.index) for account in sorted(self._account_names()) for asset in self.venue.by_asset
                if any(self._holding(account, asset.index))]

    def _account_names(self):
        return {**SPECIAL_ACCOUNTS, **{account.number: account.name for account in self.venue.accounts}}

    def _news(self, lines):
        """Assets, instruments and accounts that are new since the file began."""
        ts = self.venue.now_ns()
        for asset in self.venue.by_asset[self._known[0]:]:
            self._put(lines, records.Asset(0, ts, asset.name, asset.decimals))
        for symbol in self.venue.by_instrument[self._known[1]:]:
            self._put(lines, records.Instrument(0, ts, **self._instrument_fields(symbol)))
        for account in self.venue.accounts:
            if account.number not in self._known[2]:
                self._known[2].add(account.number)
                self._put(lines, records.Account(0, ts, account.number, account.name))
        self._known[:2] = len(self.venue.by_asset), len(self.venue.by_instrument)

    def _instrument_fields(self, symbol):
        return {"symbol": symbol.name, "kind": self.venue.kind, "base": symbol.base.name, "quote": symbol.quote.name,
                "tick_size": str(symbol.tick_size), "lot_size": str(symbol.lot_size)}

    # ---- files

    def _begin_file(self):
        number = (int(self._files[-1][0].stem[7:]) if self._files else 0) + 1
        self._path = self.directory / f"ledger-{number:06d}.jsonl"
        self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o640)
        self._file_bytes, self._crc = 0, 0
        ts, venue, lines = self.venue.now_ns(), self.venue, []
        names = self._account_names()
        self._known = [len(venue.by_asset), len(venue.by_instrument), set(names)]
        limits = getattr(venue.limits, "rates", ())
        self._put(lines, records.Begin(
            0, ts, number, FORMAT_VERSION, venue.kind, self._started_ns,
            [(asset.name, asset.decimals) for asset in venue.by_asset],
            [self._instrument_fields(symbol) for symbol in venue.by_instrument],
            [{"account": number, "name": name} for number, name in sorted(names.items())],
            [{"kind": r.kind, "number": r.number, "unit": r.unit, "limit": r.limit} for r in limits]))
        self._write_balances(lines, records.Opening, self._all_holdings())
        for order in self._live.values():
            symbol = order.symbol
            self._put(lines, records.Order(0, ts, **_order_fields(order), cum_qty=symbol.qty_text(order.cum_lots),
                                           cum_quote=symbol.quote.text(order.cum_quote_units), status=str(order.status)))
        self._append(b"".join(lines))

    def _end_file(self):
        self._close_file()
        self._files.append((self._path, self._file_bytes))
        while self.limit_bytes and len(self._files) > 1 and (sum(size for _, size in self._files) + self.file_bytes_max
                                                             > self.limit_bytes):
            path, _ = self._files.pop(0)
            path.unlink(missing_ok=True)
            self.deleted_files += 1

    def _close_file(self):
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def close(self):
        """Write the rest, the closing balances and the end."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self.flush()
        if self._file is None:
            return
        lines = []
        self._write_balances(lines, records.Closing, self._all_holdings())
        self._put(lines, records.End(0, self.venue.now_ns(), self.orders, self.trades))
        try:
            self._append(b"".join(lines))
        except OSError as e:
            self.failure = f"{self.directory}: expected to write, found {e.strerror or e}"
        self._close_file()

    def describe(self):
        return {"directory": str(self.directory), "records": self.records, "bytes": self.bytes, "orders": self.orders,
                "trades": self.trades, "dropped": self.dropped, "deleted_files": self.deleted_files, "failure": self.failure}


def _order_fields(order):
    """The fields of an `order` line out of the service's record, as texts."""
    symbol = order.symbol
    fields = {"order_id": order.order_id, "account": order.account.number, "symbol": symbol.name,
              "client_order_id": order.client_order_id, "side": SIDES[order.side], "type": order.type, "tif": order.tif or "",
              "price": symbol.price_text(order.price_ticks), "qty": symbol.qty_text(order.qty_lots)}
    if getattr(order, "stop_ticks", 0):
        fields["stop_price"] = symbol.price_text(order.stop_ticks)
    if getattr(order, "quote_units", 0):
        fields["quote_qty"] = symbol.quote.text(order.quote_units)
    if getattr(order, "iceberg_lots", 0):
        fields["iceberg_qty"] = symbol.qty_text(order.iceberg_lots)
    if getattr(order, "reduce_only", False):
        fields["reduce_only"] = True
    return fields
