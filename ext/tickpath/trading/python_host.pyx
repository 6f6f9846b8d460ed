"""Hosts a Python strategy inside the engine's process: the one place where a callback takes the GIL. Cold.

Used in backtest, replay and paper from a capture (docs/design.md, section 4). The event objects are reused from call to
call; they are valid until the callback returns.
"""
import random
import sys
import traceback
from decimal import Decimal
from fractions import Fraction

from libc.stdint cimport int64_t, uint32_t, uint64_t

from tickpath.market.bars cimport BAR_CLOSED_BY_TIME, BAR_EMPTY, BAR_KIND_MASK, bar_spec_idx
from tickpath.market.book cimport SIDE_ASKS, SIDE_BIDS, book_depth
from tickpath.market.grid_change cimport GridChange, ratio_is_one
from tickpath.signals.state cimport depth_imbalance
from tickpath.trading.orders cimport ORDER_SLOTS, Order
from tickpath.trading.strategy cimport (
    CompiledStrategy, StrategyContext, ctx_cancel, ctx_orders_at, ctx_queue_ahead, ctx_set_timer, ctx_submit,
)
from tickpath.types cimport (
    MAX_INSTRUMENTS, ORDER_TYPE_LIMIT, ORDER_TYPE_LIMIT_MAKER, ORDER_TYPE_MARKET, PRICE_TICKS_NONE, QTY_LOTS_NONE, SIDE_BUY,
    SIDE_SELL,
    TIME_IN_FORCE_FOK, TIME_IN_FORCE_GTC, TIME_IN_FORCE_IOC, TRADE_SELL_AGGRESSOR, BarEvent, CommandEvent,
    FillEvent, GridEvent, OrderStateEvent, QuoteEvent, SignalEvent, TimerEvent, TradeEvent,
)

from tickpath.trading.strategy import Strategy
from tickpath.types import OrderState, Reason, SignalKind

_SIDES = {"buy": SIDE_BUY, "sell": SIDE_SELL}
_TYPES = {"market": ORDER_TYPE_MARKET, "limit": ORDER_TYPE_LIMIT, "limit_maker": ORDER_TYPE_LIMIT_MAKER}
_BAR_KINDS = ("time", "tick", "volume", "dollar")
_TIMES_IN_FORCE = {"gtc": TIME_IN_FORCE_GTC, "ioc": TIME_IN_FORCE_IOC, "fok": TIME_IN_FORCE_FOK}


cdef object _choice(dict choices, value, what):
    try:
        return choices[value]
    except KeyError:
        raise ValueError(f"{what}: expected one of {sorted(choices)}, found {value!r}") from None


cdef class Quote:
    """on_quote: best bid and ask as the venue sent them; ticks and lots, None where a side is empty."""
    cdef const QuoteEvent* event

    @property
    def instrument(self):
        return self.event.instrument

    @property
    def ts_recv_ns(self):
        return self.event.ts_recv_ns

    @property
    def bid_price_ticks(self):
        return None if self.event.bid_price_ticks == PRICE_TICKS_NONE else self.event.bid_price_ticks

    @property
    def bid_qty_lots(self):
        return self.event.bid_qty_lots

    @property
    def ask_price_ticks(self):
        return None if self.event.ask_price_ticks == PRICE_TICKS_NONE else self.event.ask_price_ticks

    @property
    def ask_qty_lots(self):
        return self.event.ask_qty_lots


cdef class Trade:
    """on_trade: one print of the public tape; `aggressor_side` is "buy" or "sell"."""
    cdef const TradeEvent* event

    @property
    def instrument(self):
        return self.event.instrument

    @property
    def ts_recv_ns(self):
        return self.event.ts_recv_ns

    @property
    def ts_venue_ns(self):
        return self.event.ts_venue_ns

    @property
    def price_ticks(self):
        return self.event.price_ticks

    @property
    def qty_lots(self):
        return self.event.qty_lots

    @property
    def trade_id(self):
        return self.event.trade_id

    @property
    def aggressor_side(self):
        return "sell" if self.event.flags & TRADE_SELL_AGGRESSOR else "buy"


cdef class Bar:
    """on_bar: a closed bar, right-aligned: ts_close_ns is exclusive, ts_open_ns inclusive. `spec` is its specification as the
    configuration has it ("5m", "tick:100"), `spec_idx` that one's place there."""
    cdef const BarEvent* event
    cdef tuple specs

    @property
    def spec(self):
        return self.specs[bar_spec_idx(self.event)]

    @property
    def spec_idx(self):
        return bar_spec_idx(self.event)

    @property
    def kind(self):
        cdef uint32_t kind = self.event.flags & BAR_KIND_MASK
        return _BAR_KINDS[kind]

    @property
    def interval_ns(self):
        return self.event.interval_ns

    @property
    def is_empty(self):
        return bool(self.event.flags & BAR_EMPTY)

    @property
    def closed_by_time(self):
        return bool(self.event.flags & BAR_CLOSED_BY_TIME)

    @property
    def instrument(self):
        return self.event.instrument

    @property
    def ts_close_ns(self):
        return self.event.ts_venue_ns

    @property
    def ts_open_ns(self):
        return self.event.ts_open_ns

    @property
    def open_ticks(self):
        return self.event.open_ticks

    @property
    def high_ticks(self):
        return self.event.high_ticks

    @property
    def low_ticks(self):
        return self.event.low_ticks

    @property
    def close_ticks(self):
        return self.event.close_ticks

    @property
    def volume_lots(self):
        return self.event.volume_lots

    @property
    def buy_volume_lots(self):
        return self.event.buy_volume_lots

    @property
    def trade_count(self):
        return self.event.trade_count


cdef class Signal:
    """on_signal: kind (SignalKind), value, value2 (0 where the kind has only one)."""
    cdef const SignalEvent* event

    @property
    def instrument(self):
        return self.event.instrument

    @property
    def kind(self):
        return SignalKind(self.event.kind)

    @property
    def value(self):
        return self.event.value

    @property
    def value2(self):
        return self.event.value2


cdef class OrderUpdate:
    """on_order: an order's new state; refused by our own risk: state REJECTED with the reason."""
    cdef const OrderStateEvent* event

    @property
    def order_ordinal(self):
        return self.event.order_ordinal

    @property
    def state(self):
        return OrderState(self.event.state)

    @property
    def prev_state(self):
        return OrderState(self.event.prev_state)

    @property
    def reason(self):
        return Reason(self.event.reason)

    @property
    def cum_qty_lots(self):
        return self.event.cum_qty_lots

    @property
    def leaves_qty_lots(self):
        return self.event.leaves_qty_lots

    @property
    def is_open(self):
        return self.event.leaves_qty_lots > 0


cdef class Fill:
    """on_fill: an execution of one of this strategy's orders."""
    cdef const FillEvent* event

    @property
    def instrument(self):
        return self.event.instrument

    @property
    def order_ordinal(self):
        return self.event.order_ordinal

    @property
    def side(self):
        return "buy" if self.event.side == SIDE_BUY else "sell"

    @property
    def price_ticks(self):
        return self.event.price_ticks

    @property
    def qty_lots(self):
        return self.event.qty_lots

    @property
    def fee_e8(self):
        return self.event.fee_e8

    @property
    def is_maker(self):
        return bool(self.event.flags & 1)


cdef class Book:
    """on_book: the book after a whole message; `depth(n)` gives (bids, asks) as lists of (price_ticks, qty_lots)."""
    cdef StrategyContext* ctx
    cdef readonly uint32_t instrument

    @property
    def best_bid_ticks(self):
        cdef int64_t p = self.ctx.books[self.instrument].sides[SIDE_BIDS].best_ticks
        return None if p == PRICE_TICKS_NONE else p

    @property
    def best_ask_ticks(self):
        cdef int64_t p = self.ctx.books[self.instrument].sides[SIDE_ASKS].best_ticks
        return None if p == PRICE_TICKS_NONE else p

    @property
    def imbalance(self):
        return depth_imbalance(&self.ctx.books[self.instrument], self.ctx.signals[self.instrument].imbalance_levels)

    def depth(self, int levels=5):
        cdef int64_t[64] prices
        cdef int64_t[64] quantities
        cdef int side, n, i
        if not 0 < levels <= 64:
            raise ValueError(f"levels: expected 1 to 64, found {levels}")
        result = []
        for side in range(2):
            n = book_depth(&self.ctx.books[self.instrument], side, prices, quantities, levels)
            result.append([(prices[i], quantities[i]) for i in range(n)])
        return tuple(result)


cdef class Grid:
    """on_grid: an instrument's tick or lot has changed; everything in ctx is on the new grid already."""
    cdef readonly uint32_t instrument
    cdef readonly object tick_size, lot_size           # Decimal
    cdef readonly object price_factor, qty_factor      # Fraction: new ticks = old ticks x factor; lots likewise


cdef class TimerDue:
    """on_timer."""
    cdef readonly int64_t due_ns
    cdef readonly uint64_t timer_id


cdef class Command:
    """on_command."""
    cdef readonly uint32_t kind
    cdef readonly int64_t value


cdef class Context:
    """What a callback may ask and do. Valid inside callbacks only."""
    cdef StrategyContext* ctx
    cdef readonly object rng          # random.Random, seeded: the only randomness a strategy may use
    cdef readonly object name

    @property
    def now_ns(self):
        """Engine time, epoch ns: the receive time of the input being handled."""
        return self.ctx.now_ns

    @property
    def instrument(self):
        """Id of the strategy's own instrument."""
        return self.ctx.instrument

    @property
    def position_lots(self):
        """Signed position of this strategy in its own instrument, lots."""
        return self.ctx.positions[self.ctx.instrument].position_lots

    @property
    def best_bid_ticks(self):
        cdef int64_t p = self.ctx.tops[self.ctx.instrument].bid_price_ticks
        return None if p == PRICE_TICKS_NONE else p

    @property
    def best_ask_ticks(self):
        cdef int64_t p = self.ctx.tops[self.ctx.instrument].ask_price_ticks
        return None if p == PRICE_TICKS_NONE else p

    @property
    def imbalance(self):
        """Imbalance of the top, -1..1."""
        return self.ctx.signals[self.ctx.instrument].imbalance

    def open_orders(self):
        """This strategy's open orders: list of (order_ordinal, side, price_ticks, leaves_qty_lots), by ordinal."""
        cdef int i
        cdef const Order* o
        found = []
        for i in range(ORDER_SLOTS):
            o = &self.ctx.orders.items[i]
            if o.ordinal != 0 and o.state != 0 and o.strategy == self.ctx.strategy and o.leaves_qty_lots > 0:
                found.append((o.ordinal, "buy" if o.side == SIDE_BUY else "sell", o.price_ticks, o.leaves_qty_lots))
        return sorted(found)

    def submit(self, *, side, qty_lots, price_ticks=None, order_type="limit", time_in_force="gtc", instrument=None):
        """Ask for an order; returns its ordinal (0 when too many actions or orders are pending).

        Whether risk and venue accept it arrives as on_order. Errors: ValueError for a side, type or time in force that
        does not exist, or a limit order without price.
        """
        side = _choice(_SIDES, side, "side")
        kind = _choice(_TYPES, order_type, "order_type")
        force = _choice(_TIMES_IN_FORCE, time_in_force, "time_in_force")
        if kind == ORDER_TYPE_MARKET:
            price = PRICE_TICKS_NONE
        elif price_ticks is None:
            raise ValueError(f"price_ticks: expected an integer for a {order_type} order, found None")
        else:
            price = price_ticks
        return ctx_submit(self.ctx, self.ctx.instrument if instrument is None else instrument, side, kind, force, price,
                          qty_lots)

    def cancel(self, uint64_t order_ordinal):
        """Ask for a cancel; the outcome arrives as on_order. False when too many actions are pending."""
        return ctx_cancel(self.ctx, order_ordinal)

    def orders_at(self, side, int64_t price_ticks, instrument=None):
        """How many orders rest at a price, which is how many a new one there stands behind; None where the venue's feed goes by
        levels and does not tell. side: "buy" for bids, "sell" for asks."""
        cdef uint32_t i = self.ctx.instrument if instrument is None else instrument
        if i >= MAX_INSTRUMENTS:
            raise ValueError(f"instrument: expected less than {MAX_INSTRUMENTS}, found {instrument}")
        found = ctx_orders_at(self.ctx, i, SIDE_BIDS if _choice(_SIDES, side, "side") == SIDE_BUY else SIDE_ASKS, price_ticks)
        return None if found < 0 else found

    def lots_ahead(self, order_key, instrument=None):
        """Lots in front of a resting order, by the venue's own id as a number of 128 bits; None where it does not rest, or the
        feed goes by levels."""
        cdef uint32_t i = self.ctx.instrument if instrument is None else instrument
        cdef int64_t lots
        if i >= MAX_INSTRUMENTS:
            raise ValueError(f"instrument: expected less than {MAX_INSTRUMENTS}, found {instrument}")
        lots = ctx_queue_ahead(self.ctx, i, order_key >> 64, order_key & 0xFFFFFFFFFFFFFFFF)
        return None if lots == QTY_LOTS_NONE else lots

    def set_timer(self, int64_t due_ns):
        """on_timer at the first input whose time is at or after due_ns; returns the timer's id (0: too many set)."""
        return ctx_set_timer(self.ctx, due_ns)


cdef class PythonHost(CompiledStrategy):
    """Calls a Python Strategy. Only callbacks that the class overrides cost anything."""
    cdef object strategy, context
    cdef Context _context
    cdef Quote _quote
    cdef Trade _trade
    cdef Bar _bar
    cdef Signal _signal
    cdef OrderUpdate _order
    cdef Fill _fill
    cdef Book _book
    cdef object cb_start, cb_book, cb_quote, cb_trade, cb_bar, cb_signal, cb_order, cb_fill, cb_timer, cb_command, cb_stop
    cdef object cb_grid
    cdef int wants_book, wants_quote, wants_trade, wants_bar, wants_signal, wants_order, wants_fill, wants_timer
    cdef int wants_command, wants_start, wants_stop, wants_grid
    cdef readonly list errors

    def __init__(self, name, parameters, strategy, seed):
        super().__init__(name, parameters)
        self.strategy = strategy
        self._context = Context()
        self._context.rng = random.Random(f"{seed}/{name}")
        self._context.name = name
        self._quote, self._trade, self._bar, self._signal = Quote(), Trade(), Bar(), Signal()
        self._order, self._fill, self._book = OrderUpdate(), Fill(), Book()
        self.errors = []
        self._bar.specs = ()

        def overridden(method):
            return getattr(type(strategy), method, None) is not getattr(Strategy, method)

        self.cb_start, self.wants_start = strategy.on_start, overridden("on_start")
        self.cb_book, self.wants_book = strategy.on_book, overridden("on_book")
        self.cb_quote, self.wants_quote = strategy.on_quote, overridden("on_quote")
        self.cb_trade, self.wants_trade = strategy.on_trade, overridden("on_trade")
        self.cb_bar, self.wants_bar = strategy.on_bar, overridden("on_bar")
        self.cb_signal, self.wants_signal = strategy.on_signal, overridden("on_signal")
        self.cb_order, self.wants_order = strategy.on_order, overridden("on_order")
        self.cb_fill, self.wants_fill = strategy.on_fill, overridden("on_fill")
        self.cb_timer, self.wants_timer = strategy.on_timer, overridden("on_timer")
        self.cb_command, self.wants_command = strategy.on_command, overridden("on_command")
        self.cb_stop, self.wants_stop = strategy.on_stop, overridden("on_stop")
        self.cb_grid, self.wants_grid = strategy.on_grid, overridden("on_grid")

    def name_bars(self, specs):
        """specs : texts of the engine's bars, in the order of spec_idx."""
        self._bar.specs = tuple(specs)

    @property
    def python_strategy(self):
        """The user's object."""
        return self.strategy

    cdef void call(self, StrategyContext* ctx, object callback, object event) noexcept:
        self._context.ctx = ctx
        try:
            callback(self._context, event)
        except BaseException as e:
            # One broken callback stops its strategy, never the engine: the engine sees `failed` and cancels its orders.
            ctx.failed = 1
            text = "".join(traceback.format_exception(e))
            self.errors.append(text)
            print(f"strategy_error name={self.name!r} error={e!r}: strategy stopped\n{text}", file=sys.stderr)

    cdef void on_start(self, StrategyContext* ctx) noexcept nogil:
        if self.wants_start:
            with gil:
                self.call(ctx, self.cb_start, None)

    cdef void on_book(self, StrategyContext* ctx, uint32_t instrument) noexcept nogil:
        if self.wants_book:
            with gil:
                self._book.ctx = ctx
                self._book.instrument = instrument
                self.call(ctx, self.cb_book, self._book)

    cdef void on_quote(self, StrategyContext* ctx, const QuoteEvent* quote) noexcept nogil:
        if self.wants_quote:
            with gil:
                self._quote.event = quote
                self.call(ctx, self.cb_quote, self._quote)

    cdef void on_trade(self, StrategyContext* ctx, const TradeEvent* trade) noexcept nogil:
        if self.wants_trade:
            with gil:
                self._trade.event = trade
                self.call(ctx, self.cb_trade, self._trade)

    cdef void on_bar(self, StrategyContext* ctx, const BarEvent* bar) noexcept nogil:
        if self.wants_bar:
            with gil:
                self._bar.event = bar
                self.call(ctx, self.cb_bar, self._bar)

    cdef void on_signal(self, StrategyContext* ctx, const SignalEvent* signal) noexcept nogil:
        if self.wants_signal:
            with gil:
                self._signal.event = signal
                self.call(ctx, self.cb_signal, self._signal)

    cdef void on_order(self, StrategyContext* ctx, const OrderStateEvent* order) noexcept nogil:
        if self.wants_order:
            with gil:
                self._order.event = order
                self.call(ctx, self.cb_order, self._order)

    cdef void on_fill(self, StrategyContext* ctx, const FillEvent* fill) noexcept nogil:
        if self.wants_fill:
            with gil:
                self._fill.event = fill
                self.call(ctx, self.cb_fill, self._fill)

    cdef void on_timer(self, StrategyContext* ctx, const TimerEvent* timer) noexcept nogil:
        if self.wants_timer:
            with gil:
                due = TimerDue()
                (<TimerDue>due).due_ns = timer.due_ns
                (<TimerDue>due).timer_id = timer.timer_id
                self.call(ctx, self.cb_timer, due)

    cdef void on_command(self, StrategyContext* ctx, const CommandEvent* command) noexcept nogil:
        if self.wants_command:
            with gil:
                c = Command()
                (<Command>c).kind = command.kind
                (<Command>c).value = command.value
                self.call(ctx, self.cb_command, c)

    cdef void on_stop(self, StrategyContext* ctx) noexcept nogil:
        if self.wants_stop:
            with gil:
                self.call(ctx, self.cb_stop, None)

    cdef void on_grid(self, StrategyContext* ctx, const GridEvent* grid, const GridChange* change) noexcept nogil:
        with gil:
            self._on_grid(ctx, grid, change)

    cdef void _on_grid(self, StrategyContext* ctx, const GridEvent* grid, const GridChange* change) noexcept:
        cdef GridEvent new = grid[0]
        cdef GridChange by = change[0]
        if not self.wants_grid:
            if new.instrument == ctx.instrument and not (ratio_is_one(&by.price) and ratio_is_one(&by.qty)):
                # What it keeps in ticks and lots would now mean something else: it is stopped like one that raised.
                ctx.failed = 1
                self.errors.append("the grid of its instrument has changed, and it has no on_grid")
                print(f"strategy_error name={self.name!r} error='no on_grid for a changed grid': strategy stopped",
                      file=sys.stderr)
            return
        event = Grid()
        (<Grid>event).instrument = new.instrument
        (<Grid>event).tick_size = Decimal(new.tick_mantissa).scaleb(-new.tick_scale)
        (<Grid>event).lot_size = Decimal(new.lot_mantissa).scaleb(-new.lot_scale)
        (<Grid>event).price_factor = Fraction(by.price.num, by.price.den)
        (<Grid>event).qty_factor = Fraction(by.qty.num, by.qty.den)
        self.call(ctx, self.cb_grid, event)
