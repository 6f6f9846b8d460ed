"""Python's way into the simulated venue's matching engine (core.pxd); exchange.py puts the whole `Exchange` together.

Prices are counts of an instrument's tick, quantities of its lot, amounts of money of 10^-decimals of their asset ("units").
Methods that the venue may refuse answer a `SimReason` (0 = done); a wrong call (an unknown name, no number) raises.
"""
from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t, uint8_t
from libc.string cimport memcpy, memset

from tickpath.sim.core cimport (
    SIM_ACCOUNT_FIRST, SIM_ACTION_SUBMIT, SIM_ASSETS_MAX, SIM_CANCEL_ONLY, SIM_HALT, SIM_KIND_PERPETUAL, SIM_KIND_SPOT,
    SIM_REASON_UNKNOWN_ACCOUNT, SIM_TRADING, SimAccount, SimAction, SimInstrument, SimResult, exchange_add_asset,
    exchange_add_instrument, exchange_advance, exchange_amend, exchange_cancel, exchange_cancel_all, exchange_check,
    exchange_compact, exchange_end, exchange_free, exchange_new, exchange_next_due, exchange_order, exchange_submit,
)
from tickpath.sim.core cimport SimEvent as CoreEvent
from tickpath.sim.order_queues cimport (
    SIM_FLAG_CLOSE_POSITION, SIM_FLAG_EXTRA, SIM_FLAG_POST_ONLY, SIM_FLAG_REDUCE_ONLY, SIM_FLAG_WAITING, SIM_FLAG_WORKING_MARK,
    SIM_INDEX_BITS, SIM_INDEX_MASK, SimLadder, SimOrder, SimOrderExtra, level_at, queue_find, queue_next,
)
from tickpath.types cimport PRICE_TICKS_NONE

from decimal import Decimal
from fractions import Fraction

import numpy as np

from tickpath.sim.exchange_types import (
    ACTION_DTYPE, EVENT_DTYPE, RESULT_DTYPE, InstrumentFacts, SimEvent, SimOrderView, count_of, decimal_of, scaled,
)

STATUSES = {"TRADING": SIM_TRADING, "HALT": SIM_HALT, "CANCEL_ONLY": SIM_CANCEL_ONLY}
KINDS = {"spot": SIM_KIND_SPOT, "perpetual": SIM_KIND_PERPETUAL}

# A namedtuple's own constructor is Python, and costs more than the event: this is what it calls.
new_tuple = tuple.__new__

if (ACTION_DTYPE.itemsize != sizeof(SimAction) or RESULT_DTYPE.itemsize != sizeof(SimResult)
        or EVENT_DTYPE.itemsize != sizeof(CoreEvent)):
    raise ImportError("tickpath.sim.exchange_base: the NumPy types are not those of core.pxd")


cdef class ExchangeBase:
    """One simulated venue.

    Parameters: seed : int, for the models that draw (the core draws nothing).  orders : int, orders to expect (a hint).
                publish : bool, LEVEL and PUBLIC_TRADE events too.
    Errors: MemoryError where the address space cannot be had.
    """
    def __cinit__(self, seed=0, orders=1 << 16, publish=False, **options):
        self.x = exchange_new(<uint64_t>(seed & 0xFFFFFFFFFFFFFFFF), <int64_t>orders)
        if self.x == NULL:
            raise MemoryError("Exchange: no memory for its orders")
        self.x.publish = bool(publish)
        self.assets = []
        self.asset_decimals = []
        self.instruments = []
        self.asset_numbers = {}
        self.instrument_numbers = {}

    def __dealloc__(self):
        exchange_free(self.x)

    # ---- what there is

    def add_asset(self, name, decimals=8):
        if name in self.asset_numbers:
            raise ValueError(f"asset {name}: is there already")
        if not 0 <= decimals <= 18:
            raise ValueError(f"asset {name}: expected 0 to 18 decimals, found {decimals}")
        cdef int number = exchange_add_asset(self.x)
        if number < 0:
            raise MemoryError(f"asset {name}: at most {SIM_ASSETS_MAX} assets")
        self.asset_numbers[name] = number
        self.assets.append(name)
        self.asset_decimals.append(decimals)
        return number

    def asset(self, name):
        """Number of an asset by its name, or a number as it is. KeyError when there is none."""
        if isinstance(name, int):
            if not 0 <= name < len(self.assets):
                raise KeyError(f"no asset {name}")
            return name
        return self.asset_numbers[name]

    def instrument(self, name):
        """Number of an instrument by its name."""
        return self.instrument_numbers[name]

    def add_instrument(self, name, *, kind="spot", base, quote, tick_size, lot_size, min_price=None, max_price=None, min_qty=None,
                       max_qty=None, market_min_qty=None, market_max_qty=None, min_notional=None, max_notional=None,
                       min_notional_market=True, max_notional_market=False, bid_up=None, bid_down=None, ask_up=None,
                       ask_down=None, max_orders=0, max_algo_orders=0, max_iceberg_parts=0, max_iceberg_orders=0,
                       max_position=None):
        """Its number. Filters are decimals in the instrument's own terms (price, quantity, notional), None or 0 = off."""
        cdef SimInstrument* i
        cdef int number
        if name in self.instrument_numbers:
            raise ValueError(f"instrument {name}: is there already")
        if kind not in KINDS:
            raise ValueError(f"instrument {name}: expected kind spot or perpetual, found {kind!r}")
        tick = decimal_of(tick_size, "tick_size")
        lot = decimal_of(lot_size, "lot_size")
        if tick <= 0 or lot <= 0:
            raise ValueError(f"instrument {name}: expected a tick_size and a lot_size above 0, found {tick} and {lot}")
        base_asset, quote_asset = self.asset(base), self.asset(quote)
        quote_units = 10 ** self.asset_decimals[quote_asset]
        value = Fraction(tick) * Fraction(lot) * quote_units
        lot_units = Fraction(lot) * 10 ** self.asset_decimals[base_asset]
        if kind == "spot" and lot_units.denominator != 1:
            raise ValueError(f"instrument {name}: lot_size {lot} is finer than the decimals of {base}")
        if value.numerator >= 1 << 40 or value.denominator >= 1 << 60 or lot_units >= 1 << 60:
            raise ValueError(f"instrument {name}: tick {tick} and lot {lot} do not fit the assets' decimals")
        max_ticks = count_of(max_price, tick, "max_price")
        filters = {
            "min_price_ticks": count_of(min_price, tick, "min_price"),
            "min_lots": count_of(min_qty, lot, "min_qty"), "max_lots": count_of(max_qty, lot, "max_qty"),
            "market_min_lots": count_of(market_min_qty, lot, "market_min_qty"),
            # Not a whole number of lots at Binance, who derives it from traded volume: rounded down.
            "market_max_lots": int(decimal_of(market_max_qty or 0, "market_max_qty") / lot),
            "min_notional_units": count_of(min_notional, Decimal(1) / quote_units, "min_notional"),
            "max_notional_units": count_of(max_notional, Decimal(1) / quote_units, "max_notional"),
            "max_position_units": count_of(max_position, Decimal(1) / 10 ** self.asset_decimals[base_asset], "max_position"),
            "bid_up": scaled(bid_up, 4, "bid_up"), "bid_down": scaled(bid_down, 4, "bid_down"),
            "ask_up": scaled(ask_up, 4, "ask_up"), "ask_down": scaled(ask_down, 4, "ask_down"),
        }
        for field, count in filters.items():
            if not 0 <= count < 1 << 61:
                raise ValueError(f"instrument {name}: {field} does not fit")
        number = exchange_add_instrument(self.x, <int64_t>max_ticks)
        if number < 0:
            raise MemoryError(f"instrument {name}: no room for another instrument")
        i = &self.x.instruments[number]
        i.kind = <uint8_t>KINDS[kind]
        i.base_asset = <uint16_t>base_asset
        i.quote_asset = <uint16_t>quote_asset
        i.quote_multiplier = value.numerator
        i.quote_divisor = value.denominator
        i.lot_units = int(lot_units) if kind == "spot" else 0
        i.min_price_ticks = filters["min_price_ticks"]
        i.max_price_ticks = max_ticks
        i.min_lots = filters["min_lots"]
        i.max_lots = filters["max_lots"]
        i.market_min_lots = filters["market_min_lots"]
        i.market_max_lots = filters["market_max_lots"]
        i.min_notional_units = filters["min_notional_units"]
        i.max_notional_units = filters["max_notional_units"]
        i.min_notional_market = bool(min_notional_market)
        i.max_notional_market = bool(max_notional_market)
        i.max_position_units = filters["max_position_units"]
        i.bid_up_e4 = filters["bid_up"]
        i.bid_down_e4 = filters["bid_down"]
        i.ask_up_e4 = filters["ask_up"]
        i.ask_down_e4 = filters["ask_down"]
        i.max_orders = max_orders
        i.max_algo_orders = max_algo_orders
        i.max_iceberg_parts = max_iceberg_parts
        i.max_iceberg_orders = max_iceberg_orders
        self.instrument_numbers[name] = number
        self.instruments.append(InstrumentFacts(name, number, kind, self.assets[base_asset], self.assets[quote_asset], tick, lot))
        if kind == "perpetual":
            self._attach_margin()
        return number

    def _attach_margin(self):
        raise ValueError("this exchange has no perpetuals: use tickpath.sim.exchange.Exchange")

    def set_status(self, int instrument, status):
        """TRADING, HALT (nothing is taken, not even a cancel) or CANCEL_ONLY."""
        self._instrument(instrument).status = <uint8_t>STATUSES[status]

    def status(self, int instrument):
        cdef int found = self._instrument(instrument).status
        return next(name for name, number in STATUSES.items() if number == found)

    def set_reference_price(self, int instrument, int64_t price_ticks):
        """The average price that price-relative filters use; 0 = the last trade's."""
        self._instrument(instrument).reference_ticks = price_ticks

    def set_last_price(self, int instrument, int64_t price_ticks):
        """The price of a trade before the exchange opened. Triggers nothing."""
        self._instrument(instrument).last_ticks = price_ticks

    cdef SimInstrument* _instrument(self, int instrument) except NULL:
        if not 0 <= instrument < self.x.instrument_count:
            raise KeyError(f"no instrument {instrument}")
        return &self.x.instruments[instrument]

    cdef SimAccount* _account(self, int64_t account) except NULL:
        if not 0 <= account < self.x.account_count:
            raise KeyError(f"no account {account}")
        return &self.x.accounts[account]

    # ---- orders

    cdef int _action(self, SimAction* q, account, instrument, side, order_type, tif, price_ticks, qty_lots, quote_units,
                     stop_ticks, trailing_bips, activation_ticks, iceberg_lots, stp, reduce_only, close_position, position_side,
                     working_mark, expire_ns, ref, post_only, now_ns) except -1:
        memset(q, 0, sizeof(SimAction))
        q.now_ns = now_ns
        q.price_ticks = price_ticks
        q.qty_lots = qty_lots
        q.ref = ref
        q.account = account
        q.instrument = instrument
        q.kind = SIM_ACTION_SUBMIT
        q.side = side
        q.order_type = order_type
        q.time_in_force = tif
        q.stp = stp
        q.flags = <uint8_t>((SIM_FLAG_REDUCE_ONLY if reduce_only else 0) | (SIM_FLAG_CLOSE_POSITION if close_position else 0)
                            | (SIM_FLAG_WORKING_MARK if working_mark else 0) | (SIM_FLAG_POST_ONLY if post_only else 0))
        q.position_side = position_side
        q.trailing_bips = trailing_bips
        q.quote_units = quote_units
        q.stop_ticks = stop_ticks
        q.activation_ticks = activation_ticks
        q.iceberg_lots = iceberg_lots
        q.expire_ns = expire_ns
        return 0

    def submit(self, account, instrument, side, order_type, tif, price_ticks, qty_lots, *, quote_units=0, stop_ticks=0,
               trailing_bips=0, activation_ticks=0, iceberg_lots=0, stp=0, reduce_only=False, close_position=False,
               position_side=0, working_mark=False, expire_ns=0, ref=0, post_only=False, now_ns):
        """(order_id, SimReason); a refused order has id 0 and leaves no event. OverflowError for a number beyond int64."""
        cdef SimAction q
        cdef uint64_t order_id
        cdef int reason
        self._action(&q, account, instrument, side, order_type, tif, price_ticks, qty_lots, quote_units, stop_ticks,
                     trailing_bips, activation_ticks, iceberg_lots, stp, reduce_only, close_position, position_side,
                     working_mark, expire_ns, ref, post_only, now_ns)
        if q.account < SIM_ACCOUNT_FIRST:
            return 0, SIM_REASON_UNKNOWN_ACCOUNT
        reason = exchange_submit(self.x, &q, &order_id)
        return order_id, reason

    def check(self, account, instrument, side, order_type, tif, price_ticks, qty_lots, *, quote_units=0, stop_ticks=0,
              trailing_bips=0, activation_ticks=0, iceberg_lots=0, stp=0, reduce_only=False, close_position=False,
              position_side=0, working_mark=False, expire_ns=0, ref=0, post_only=False, now_ns):
        """What submit() would answer, without placing anything."""
        cdef SimAction q
        self._action(&q, account, instrument, side, order_type, tif, price_ticks, qty_lots, quote_units, stop_ticks,
                     trailing_bips, activation_ticks, iceberg_lots, stp, reduce_only, close_position, position_side,
                     working_mark, expire_ns, ref, post_only, now_ns)
        if q.account < SIM_ACCOUNT_FIRST:
            return SIM_REASON_UNKNOWN_ACCOUNT
        return exchange_check(self.x, &q)

    def cancel(self, account, order_id, now_ns):
        return exchange_cancel(self.x, account, order_id, now_ns)

    def cancel_all(self, account, instrument, now_ns):
        """How many were cancelled; instrument None = in all."""
        return exchange_cancel_all(self.x, account, -1 if instrument is None else instrument, now_ns)

    def amend(self, account, order_id, qty_lots, now_ns, price_ticks=None):
        """qty_lots: its new whole quantity. Less at the same price keeps the order's place; anything else loses it."""
        return exchange_amend(self.x, account, order_id, qty_lots, 0 if price_ticks is None else price_ticks, now_ns)

    def expire(self, order_id, status, reason, now_ns):
        """End a live order as the venue does (status a SimStatus). True when it was alive."""
        cdef SimOrder* o = exchange_order(self.x, order_id)
        if o == NULL:
            return False
        exchange_end(self.x, o, status, reason, now_ns)
        return True

    cdef object _view(self, const SimOrder* order):
        cdef SimOrder o = order[0]
        cdef SimOrderExtra e
        memset(&e, 0, sizeof(SimOrderExtra))
        e.working_ns = o.created_ns
        if o.flags & SIM_FLAG_EXTRA:
            e = self.x.pool.extras[o.extra]
        return SimOrderView(
            o.order_id, o.ref, o.account, o.instrument, o.side, o.order_type, o.time_in_force, o.status, o.price_ticks,
            e.stop_ticks, o.qty_lots, o.leaves_lots, o.cum_lots, o.cum_quote_units, e.iceberg_lots,
            not o.flags & SIM_FLAG_WAITING, o.created_ns, o.updated_ns,
            e.working_ns, o.stp, o.position_side, bool(o.flags & SIM_FLAG_REDUCE_ONLY),
            bool(o.flags & SIM_FLAG_CLOSE_POSITION), bool(o.flags & SIM_FLAG_WORKING_MARK), bool(o.flags & SIM_FLAG_POST_ONLY),
            e.trailing_bips, e.activation_ticks, e.expire_ns)

    def order(self, order_id):
        """SimOrderView or None. One that has ended is there until the next order is placed."""
        cdef uint64_t number = order_id
        cdef SimOrder* o
        if number >> SIM_INDEX_BITS == 0 or <int64_t>(number & SIM_INDEX_MASK) >= self.x.pool.order_high:
            return None
        o = &self.x.pool.orders[number & SIM_INDEX_MASK]
        return self._view(o) if o.order_id == number else None

    def open_orders(self, account=None, instrument=None):
        """[SimOrderView], oldest first."""
        cdef int64_t k, count
        cdef uint32_t a
        cdef SimOrder* o
        wanted = -1 if instrument is None else instrument
        accounts = range(self.x.account_count) if account is None else (account,)
        found = []
        for number in accounts:
            self._account(number)
            a = number
            count = exchange_compact(self.x, a)
            for k in range(count):
                o = exchange_order(self.x, self.x.accounts[a].order_ids[k])
                if o != NULL and (wanted < 0 or o.instrument == wanted):
                    found.append(self._view(o))
        if account is None:
            found.sort()
        return found

    def open_order_count(self, account, instrument=None):
        if instrument is None:
            return self._account(account).open_orders
        self._account(account)
        self._instrument(instrument)
        return self.x.holdings[<int64_t>account * self.x.instrument_stride + <int64_t>instrument].open_orders

    def advance(self, now_ns):
        exchange_advance(self.x, now_ns)

    def next_due_ns(self):
        """When something falls due by itself (an order's GTD); None when nothing does."""
        cdef int64_t due = exchange_next_due(self.x)
        return None if due == 0x7FFFFFFFFFFFFFFFLL else due

    # ---- the market

    cdef list _side(self, int instrument, int side, int levels):
        cdef SimLadder* l = &self._instrument(instrument).book[side]
        cdef int64_t price_ticks = l.best_ticks
        cdef int64_t qty_lots
        rows = []
        while price_ticks != PRICE_TICKS_NONE and len(rows) < levels:
            qty_lots = level_at(&self.x.pool, queue_find(&self.x.pool, l, price_ticks)).shown_lots
            rows.append((price_ticks, qty_lots))
            price_ticks = queue_next(&self.x.pool, l, price_ticks)
        return rows

    def depth(self, instrument, levels=20):
        """(bids, asks) of the clients' orders, each [(price_ticks, qty_lots)] best first; of an iceberg its tip."""
        return self._side(instrument, 0, levels), self._side(instrument, 1, levels)

    def best(self, instrument):
        """(bid_ticks or None, ask_ticks or None), clients' and recorded."""
        cdef SimInstrument* i = self._instrument(instrument)
        cdef int64_t bid = i.book[0].best_ticks, ask = i.book[1].best_ticks, shown
        if i.recorded != NULL:
            shown = i.recorded.best(i.recorded.market, 0)
            bid = shown if shown > bid else bid
            shown = i.recorded.best(i.recorded.market, 1)
            if shown != PRICE_TICKS_NONE and (ask == PRICE_TICKS_NONE or shown < ask):
                ask = shown
        return None if bid == PRICE_TICKS_NONE else bid, None if ask == PRICE_TICKS_NONE else ask

    def last_price(self, instrument):
        """Ticks of the last trade, None before the first."""
        cdef int64_t last = self._instrument(instrument).last_ticks
        return last if last != 0 else None

    # ---- events

    def drain(self):
        """[SimEvent] since the last call, in the order in which they happened."""
        cdef int64_t k, count = self.x.event_count
        cdef CoreEvent e
        if count == 0:
            return []
        found = [None] * count
        for k in range(count):
            e = self.x.events[k]
            found[k] = new_tuple(SimEvent, (
                e.seq, e.ts_ns, e.kind, e.account, e.instrument, e.order_id, e.ref, e.side, e.status, e.price_ticks, e.qty_lots,
                e.cum_lots, e.cum_quote_units, e.fee_units, e.fee_asset, e.trade_id, e.is_maker, e.counter_order_id, e.reason,
                e.value, e.pnl_units, e.position_side))
        self.x.event_count = 0
        return found

    def drain_array(self):
        """The same as an array of EVENT_DTYPE."""
        cdef int64_t count = self.x.event_count
        out = np.empty(count, EVENT_DTYPE)
        cdef unsigned char[::1] room
        if count > 0:
            room = out.view(np.uint8)
            memcpy(&room[0], self.x.events, count * sizeof(CoreEvent))
        self.x.event_count = 0
        return out

    @property
    def pending_events(self):
        return self.x.event_count

    @property
    def trade_count(self):
        return self.x.trades

    @property
    def open_count(self):
        """Orders alive in the whole exchange."""
        return self.x.pool.order_count
