"""The arithmetic of a ledger log, done again from its lines alone.

    per account and asset   opening + deposits + trades - fees + funding = every `balance`, and the closing one
    over all accounts       opening + deposits = closing
    per order               fills add up to what the order says, never beyond its quantity, never past its limit; its status moves
                            as a status may; it ends once
    per trade               one id, two parties (or one and the house) with opposite sides and equal amounts; quote = price x qty,
                            rounded down
    locks                   what a balance has locked is what its open orders lock
"""
from tickpath_sim.trading import ledger_records as records
from tickpath_sim.trading.audit_truth import PLACES, TERMINAL, OrderTruth, text_of, units_of

__all__ = ["LedgerAudit"]

HOUSE, FEES, INSURANCE = 0, 1, 2
ON_GRID = "a price and quantity on the instrument's grid"
# What may follow what. An order begins with NEW; TRIGGERED leaves its status.
MOVES = {"": {"NEW"}, "NEW": {"PARTIALLY_FILLED"} | TERMINAL, "PARTIALLY_FILLED": {"PARTIALLY_FILLED"} | TERMINAL}
LIMITED = frozenset({"LIMIT", "LIMIT_MAKER", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT", "STOP", "TAKE_PROFIT"})
BUYS_UNLOCKED = frozenset({"MARKET", "STOP_LOSS", "TAKE_PROFIT", "STOP_MARKET", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET"})


class _Instrument:
    def __init__(self, kind, base, quote, tick_size, lot_size):
        self.kind, self.base, self.quote = kind, base, quote
        self.tick, self.lot = units_of(tick_size, PLACES), units_of(lot_size, PLACES)


class LedgerAudit:
    """Takes the records one by one; `finish` when there are no more.

    After it: `orders` {order id: OrderTruth}, `trades` (their number), `totals` {asset: (opening, flows, closing)} as texts.
    """

    def __init__(self, violations):
        self.violations = violations
        self.decimals, self.instruments, self.account_names = {}, {}, {}
        self.limits, self.kind = [], "spot"
        self.orders = {}
        self.trades = 0
        self.ended = False
        self.totals = {}
        self.positions = {}                 # (account, symbol, side) -> [signed quantity, cash, realised], futures
        self._balances = {}                 # (account, asset) -> units, as the lines add up
        self._locks = {}                    # (account, asset) -> units that open orders lock
        self._sums = {}                     # asset -> [opening, flows]
        self._open_trades = {}              # (symbol, trade id) -> the first party's line
        self._closed_trades = set()
        self._closing_seen = {}
        self._places = {}                   # texts -> units
        self._where = ""
        self._handlers = {kind: getattr(self, "_" + kind.__name__.lower()) for kind in records.RECORDS}
        self._opened = False
        self._joined = False                # the log's beginning is not there: positions may be older

    def feed(self, record):
        self._where = f"ledger record {record.n}"
        try:
            self._handlers[type(record)](record)
        except ValueError as e:
            self._wrong("number", "exact decimals", str(e))
        except KeyError as e:
            self._wrong("reference", "an asset, instrument or account that the log has named", str(e))

    def _wrong(self, check, expected, found, **detail):
        self.violations.add(check, self._where, expected, found, **detail)

    def _units(self, text, places):
        key = (text, places)
        value = self._places.get(key)
        if value is None:
            if len(self._places) > 1 << 16:
                self._places.clear()
            value = self._places[key] = units_of(text, places)
        return value

    def _amount(self, asset, text):
        return self._units(text, self.decimals[asset])

    def _add(self, account, asset, units):
        if account not in self.account_names:
            raise KeyError(f"account {account}")
        key = (account, asset)
        self._balances[key] = self._balances.get(key, 0) + units

    # ---- what there is

    def _begin(self, r):
        self.kind, self.limits = r.kind, r.limits
        self._joined = self._joined or (r.part > 1 and not self._sums)
        if r.format != records.FORMAT_VERSION:
            self._wrong("format", records.FORMAT_VERSION, r.format)
        self.decimals.update(r.assets)
        for row in r.instruments:
            self.instruments[row["symbol"]] = _Instrument(row["kind"], row["base"], row["quote"], row["tick_size"],
                                                          row["lot_size"])
        self.account_names.update({row["account"]: row["name"] for row in r.accounts})
        self._opened = bool(self._sums) or self._opened or r.part > 1 and bool(self._balances)

    def _asset(self, r):
        self.decimals[r.asset] = r.decimals

    def _instrument(self, r):
        self.instruments[r.symbol] = _Instrument(r.kind, r.base, r.quote, r.tick_size, r.lot_size)

    def _account(self, r):
        self.account_names[r.account] = r.name

    # ---- balances

    def _held(self, r):
        amount = self._amount
        return amount(r.asset, r.free) + amount(r.asset, r.locked) + amount(r.asset, r.wallet)

    def _opening(self, r):
        key, held = (r.account, r.asset), self._held(r)
        if self._opened:
            # Of a later file: it must be what the earlier ones have added up to.
            self._check_balance(r, "opening")
            return
        if r.account not in self.account_names:
            raise KeyError(f"account {r.account}")
        self._balances[key] = held
        self._sums.setdefault(r.asset, [0, 0])[0] += held

    def _balance(self, r):
        self._check_balance(r, "balance")

    def _check_balance(self, r, check):
        key, held, places = (r.account, r.asset), self._held(r), self.decimals[r.asset]
        expected = self._balances.get(key, 0)
        if r.account not in self.account_names:
            raise KeyError(f"account {r.account}")
        if self.kind != "spot" and r.account in (HOUSE, FEES, INSURANCE):
            # What the venue itself realises by positions it took over, and its part of a liquidation's fee, is in no line.
            self._balances[key] = held
        elif held != expected:
            self._wrong(check, text_of(expected, places), text_of(held, places), account=r.account, asset=r.asset)
            self._balances[key] = held      # said once, not again at every later line
        locked, found = self._locks.get(key, 0), self._amount(r.asset, r.locked)
        if locked != found and self.kind == "spot":
            self._wrong("locked", text_of(locked, places), text_of(found, places), account=r.account, asset=r.asset)
        return key, held

    def _deposit(self, r):
        units = self._amount(r.asset, r.amount)
        self._add(r.account, r.asset, units)
        self._sums.setdefault(r.asset, [0, 0])[1] += units

    # ---- orders

    def _order(self, r):
        item = self.instruments[r.symbol]
        price, qty = self._units(r.price, PLACES), self._units(r.qty, PLACES)
        if r.order_id in self.orders:
            known = self.orders[r.order_id]
            if r.status and (known.cum, known.status, known.account) == (self._units(r.cum_qty, PLACES), r.status, r.account):
                return                      # alive at the border of two files
            self._wrong("order id", "an order id that is new", r.order_id)
            return
        if r.account not in self.account_names:
            raise KeyError(f"account {r.account}")
        if r.side not in ("BUY", "SELL"):
            self._wrong("order side", "BUY or SELL", r.side, order_id=r.order_id)
        if qty < 0 or qty % item.lot or price < 0 or price % item.tick or (qty == 0 and not self._units(r.quote_qty, PLACES)
                                                                           and item.kind == "spot"):
            self._wrong("order grid", ON_GRID, f"{r.qty} at {r.price}", order_id=r.order_id)
        order = OrderTruth(r, price, qty, self._units(r.cum_qty, PLACES), self._units(r.cum_quote, self.decimals[item.quote]))
        self.orders[r.order_id] = order
        if r.status:
            self._lock(order, item)

    def _known(self, order_id, account):
        order = self.orders.get(order_id)
        if order is None:
            self._wrong("order", "an order that the log has named", order_id)
        elif order.account != account:
            self._wrong("account", f"account {order.account} of order {order_id}", account, order_id=order_id)
        elif order.status in TERMINAL:
            self._wrong("status", f"nothing behind {order.status}", "another line", order_id=order_id)
        return order

    def _move(self, order, status):
        if status not in MOVES.get(order.status, ()):
            self._wrong("status", f"one of {', '.join(sorted(MOVES.get(order.status, ())))} after {order.status or 'nothing'}",
                        status, order_id=order.order_id)
        order.status = status

    def _state(self, r):
        order = self._known(r.order_id, r.account)
        if order is None:
            return
        item = self.instruments[order.symbol]
        if r.status != "TRIGGERED":
            self._move(order, r.status)
        cum, quote = self._units(r.cum_qty, PLACES), self._units(r.cum_quote, self.decimals[item.quote])
        if cum != order.cum or quote != order.cum_quote:
            self._wrong("order sum", f"{text_of(order.cum, PLACES)} for {order.cum_quote}", f"{r.cum_qty} for {quote}",
                        order_id=r.order_id)
        if r.status in TERMINAL:
            if r.status == "FILLED":
                self._wrong("status", "FILLED by a trade", "by a state", order_id=r.order_id)
            if order.tif == "FOK" and order.cum and order.cum != order.qty:
                self._wrong("fill or kill", "all or nothing", text_of(order.cum, PLACES), order_id=r.order_id)
            left = self._units(r.left_qty, PLACES)
            if order.qty and left != order.qty - order.cum - order.prevented:
                self._wrong("order sum", f"{text_of(order.qty - order.cum - order.prevented, PLACES)} left", r.left_qty,
                            order_id=r.order_id)
            order.end_ns = r.ts
        self._lock(order, item)

    def _lock(self, order, item):
        """What the order locks now."""
        asset = item.quote if order.side == "BUY" else item.base
        open_qty = 0 if order.status in TERMINAL else order.qty - order.cum - order.prevented
        if order.side == "SELL":
            lock = open_qty * 10**self.decimals[asset] // 10**PLACES
        elif order.type in BUYS_UNLOCKED and not order.price:
            lock = 0
        else:
            lock = self._quote(item, order.price, open_qty)
        if lock != order.lock:
            key = (order.account, asset)
            self._locks[key] = self._locks.get(key, 0) + lock - order.lock
            order.lock = lock

    def _quote(self, item, price, qty):
        return price * qty * 10**self.decimals[item.quote] // 10**(2 * PLACES)

    def _amend(self, r):
        order = self._known(r.order_id, r.account)
        if order is None:
            return
        order.price, order.qty = self._units(r.price, PLACES), self._units(r.qty, PLACES)
        order.prices.append(order.price)
        order.qtys.append(order.qty)
        item = self.instruments[order.symbol]
        if order.price % item.tick or order.qty % item.lot:
            self._wrong("order grid", ON_GRID, f"{r.qty} at {r.price}", order_id=r.order_id)
        if order.qty < order.cum:
            self._wrong("order sum", f"at least {text_of(order.cum, PLACES)}", r.qty, order_id=r.order_id)
        self._lock(order, self.instruments[order.symbol])

    def _prevented(self, r):
        order = self._known(r.order_id, r.account)
        if order is None:
            return
        order.prevented += self._units(r.qty, PLACES)
        if order.qty and order.cum + order.prevented > order.qty:
            self._wrong("order sum", f"at most {text_of(order.qty, PLACES)}",
                        text_of(order.cum + order.prevented, PLACES), order_id=r.order_id)
        if r.status in TERMINAL:
            self._move(order, r.status)
            order.end_ns = r.ts
        self._lock(order, self.instruments[order.symbol])

    # ---- trades

    def _trade(self, r):
        order = self._known(r.order_id, r.account)
        item = self.instruments[r.symbol]
        price, qty = self._units(r.price, PLACES), self._units(r.qty, PLACES)
        quote, fee = self._amount(item.quote, r.quote), self._amount(r.fee_asset, r.fee)
        if price <= 0 or qty <= 0 or price % item.tick or qty % item.lot:
            self._wrong("trade grid", ON_GRID, f"{r.qty} at {r.price}", trade_id=r.trade_id)
        if quote != self._quote(item, price, qty):
            self._wrong("trade quote", text_of(self._quote(item, price, qty), self.decimals[item.quote]), r.quote,
                        trade_id=r.trade_id)
        if order is not None:
            self._fill(r, order, price, qty, quote)
        self._settle(r, item, qty, quote, fee)
        self._pair(r)
        if order is not None:
            self._lock(order, item)

    def _fill(self, r, order, price, qty, quote):
        def wrong(check, expected, found):
            self._wrong(check, expected, found, order_id=r.order_id, trade_id=r.trade_id)
        if (r.symbol, r.side) != (order.symbol, order.side):
            wrong("trade side", f"{order.side} {order.symbol} as the order", f"{r.side} {r.symbol}")
        if r.trade_id in order.trades:
            wrong("trade id", "a trade once in an order", f"trade {r.trade_id} again")
        order.cum += qty
        order.cum_quote += quote
        order.cums.append(order.cum)
        order.trades[r.trade_id] = (price, qty, quote, r.fee, r.fee_asset, r.maker)
        places = self.decimals[self.instruments[r.symbol].quote]
        if self._units(r.cum_qty, PLACES) != order.cum or self._units(r.cum_quote, places) != order.cum_quote:
            wrong("order sum", f"{text_of(order.cum, PLACES)} for {text_of(order.cum_quote, places)}",
                  f"{r.cum_qty} for {r.cum_quote}")
        if order.qty and order.cum > order.qty:
            wrong("overfill", f"at most {text_of(order.qty, PLACES)}", text_of(order.cum, PLACES))
        if order.price and order.type in LIMITED and (price > order.price if r.side == "BUY" else price < order.price):
            wrong("limit", f"no worse than {text_of(order.price, PLACES)}", r.price)
        if order.type == "LIMIT_MAKER" and not r.maker:
            wrong("post-only", "a maker", "a taker")
        self._move(order, r.status)
        full = order.qty and order.cum + order.prevented == order.qty
        if order.qty and not order.prevented and (r.status == "FILLED") != bool(full):
            wrong("status", "FILLED" if full else "PARTIALLY_FILLED", r.status)
        if r.status in TERMINAL:
            order.end_ns = r.ts

    def _settle(self, r, item, qty, quote, fee):
        """Move what the trade moves, of this party and of the house when it is the other one."""
        sign = 1 if r.side == "BUY" else -1
        if item.kind == "spot":
            base = qty * 10**self.decimals[item.base] // 10**PLACES
            self._add(r.account, item.base, sign * base)
            self._add(r.account, item.quote, -sign * quote)
            if not r.counter_order_id:
                self._add(HOUSE, item.base, -sign * base)
                self._add(HOUSE, item.quote, sign * quote)
        else:
            pnl = self._amount(item.quote, r.pnl)
            self._move_position(r.account, r.symbol, r.position_side, sign * qty, -sign * quote, pnl)
            self._add(r.account, item.quote, pnl)
        self._add(r.account, r.fee_asset, -fee)
        self._add(FEES, r.fee_asset, fee)

    def _pair(self, r):
        def wrong(check, expected, found):
            self._wrong(check, expected, found, trade_id=r.trade_id)
        # The venue numbers the trades of each instrument.
        key = (r.symbol, r.trade_id)
        if key in self._closed_trades:
            wrong("trade id", "a trade id that is new", r.trade_id)
            return
        other = self._open_trades.pop(key, None)
        if other is None:
            self.trades += 1
            if r.counter_order_id:
                self._open_trades[key] = r
            else:
                self._closed_trades.add(key)
            return
        self._closed_trades.add(key)
        if (r.symbol, r.price, r.qty, r.quote) != (other.symbol, other.price, other.qty, other.quote):
            wrong("trade parties", f"{other.qty} {other.symbol} at {other.price} = {other.quote} as the other party",
                  f"{r.qty} {r.symbol} at {r.price} = {r.quote}")
        if r.side == other.side or r.maker == other.maker:
            wrong("trade parties", "a buyer and a seller, a maker and a taker", f"{other.side} and {r.side}")
        if (r.counter_order_id, other.counter_order_id) != (other.order_id, r.order_id):
            wrong("trade parties", f"orders {other.order_id} and {r.order_id} to name each other",
                  f"{r.counter_order_id} and {other.counter_order_id}")

    # ---- futures

    def _funding(self, r):
        self._add(r.account, r.asset, self._amount(r.asset, r.amount))

    def _liquidation(self, r):
        """The insurance fund takes a position over; qty 0 only says that it begins."""
        item = self.instruments[r.symbol]
        qty, pnl = self._units(r.qty, PLACES), self._amount(item.quote, r.pnl)
        if not qty:
            return
        sign = 1 if r.side == "BUY" else -1
        quote = self._quote(item, self._units(r.price, PLACES), qty)
        self._move_position(r.account, r.symbol, r.position_side, sign * qty, -sign * quote, pnl)
        self._move_position(INSURANCE, r.symbol, "", -sign * qty, sign * quote, 0)
        self._add(r.account, item.quote, pnl)
        if r.order_id:
            # The venue tells the client of it as of an order that was filled at once.
            price = self._units(r.price, PLACES)
            order = self.orders[r.order_id] = OrderTruth(r, price, qty, qty, quote)
            order.end_ns, order.cums = r.ts, [0, qty]
            order.trades[0] = (price, qty, quote, "0", r.asset, False)

    def _move_position(self, account, symbol, position_side, qty, cash, pnl):
        """A position that is closed has realised what its trades have paid and cost, to the unit, whatever it was in between."""
        key = (account, symbol, position_side)
        known = self.positions.setdefault(key, [0, 0, 0])
        known[0] += qty
        known[1] += cash
        known[2] += pnl
        if not known[0]:
            if known[1] != known[2] and account != INSURANCE and not self._joined:
                places = self.decimals[self.instruments[symbol].quote]
                self._wrong("realised", text_of(known[1], places), text_of(known[2], places), account=account, symbol=symbol)
            del self.positions[key]

    def _change(self, r):
        self._add(r.account, r.asset, self._amount(r.asset, r.amount))

    # ---- the end

    def _closing(self, r):
        key, held = self._check_balance(r, "closing")
        self._closing_seen[key] = held

    def _end(self, r):
        self.ended = True
        for what, expected, found in (("orders", len(self.orders), r.orders), ("trades", None, r.trades)):
            if expected is not None and expected < found and not any(o.begun for o in self.orders.values()):
                self._wrong("count", f"{found} {what}", expected)

    def finish(self):
        """Check what only the end can tell."""
        self._where = "ledger, at its end"
        for (_, trade_id), r in self._open_trades.items():
            self._wrong("trade parties", f"the part of order {r.counter_order_id}", "none", trade_id=trade_id)
        for order in self.orders.values():
            if not order.status:
                self._wrong("status", "NEW at least", "no word after the order", order_id=order.order_id)
            elif order.status not in TERMINAL and (order.type == "MARKET" or order.tif in ("IOC", "FOK")):
                self._wrong("status", "an end of an order that cannot rest", order.status, order_id=order.order_id)
        closing = {}
        for (account, asset), units in self._balances.items():
            closing[asset] = closing.get(asset, 0) + units
            seen, places = self._closing_seen.get((account, asset), 0), self.decimals[asset]
            if self.ended and units != seen:
                self._wrong("closing", text_of(units, places), text_of(seen, places), account=account, asset=asset)
        for asset in sorted({*closing, *self._sums}):
            opening, flows = self._sums.get(asset, (0, 0))
            found, places = closing.get(asset, 0), self.decimals[asset]
            self.totals[asset] = {"opening": text_of(opening, places), "flows": text_of(flows, places),
                                  "closing": text_of(found, places)}
            # Of futures the sum of wallets is whole only when nobody has a position: what one has realised the other has not yet.
            if opening + flows != found and not self.positions and not self._joined:
                self._wrong("conservation", text_of(opening + flows, places), text_of(found, places), asset=asset)
