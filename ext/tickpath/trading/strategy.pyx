"""The strategy interface. `Strategy` is what a Python strategy derives from; CompiledStrategy what a compiled one does."""
from tickpath.market.grid_change cimport ratio_is_one


cdef uint64_t ctx_set_timer(StrategyContext* ctx, int64_t due_ns) noexcept nogil:
    cdef TimerQueue* q = ctx.timers
    cdef int i
    if q.count >= TIMER_CAPACITY:
        q.overflow_count += 1
        return 0
    q.next_id += 1
    # Insertion into a descending array: the earliest stands last. Equal due times keep the order of their ids.
    i = q.count
    while i > 0 and q.items[i - 1].due_ns <= due_ns:
        q.items[i] = q.items[i - 1]
        i -= 1
    q.items[i].due_ns = due_ns
    q.items[i].timer_id = q.next_id
    q.items[i].strategy = ctx.strategy
    q.count += 1
    return q.next_id


def read_parameters(given, schema):
    """A strategy's parameters, checked: {name: value} with defaults filled in.

    Parameters: given : dict from the configuration.  schema : {name: (default, lowest, highest)}; an int default takes
    whole numbers only, a float one any finite number.
    Errors: ValueError "parameters.NAME: expected …, found …" for an unknown name, another type or a value out of range.
    """
    unknown = sorted(set(given) - set(schema))
    if unknown:
        raise ValueError(f"parameters.{unknown[0]}: expected one of {sorted(schema)}, found {unknown[0]!r}")
    result = {}
    for name, (default, lowest, highest) in schema.items():
        value = given.get(name, default)
        whole = isinstance(default, int)
        if isinstance(value, float) and whole and value.is_integer() and abs(value) < 2 ** 53:
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)) \
                or not lowest <= value <= highest:
            raise ValueError(f"parameters.{name}: expected a {'whole ' if whole else ''}number from {lowest} to {highest}, "
                             f"found {value!r}")
        result[name] = value if whole else float(value)
    return result


cdef class CompiledStrategy:
    """Base of compiled strategies. Parameters: name : str.  parameters : dict of the strategy's own settings."""
    def __init__(self, name="", parameters=None):
        self.name = name
        self.parameters = dict(parameters or {})

    cdef void on_start(self, StrategyContext* ctx) noexcept nogil:
        pass

    cdef void on_book(self, StrategyContext* ctx, uint32_t instrument) noexcept nogil:
        pass

    cdef void on_quote(self, StrategyContext* ctx, const QuoteEvent* quote) noexcept nogil:
        pass

    cdef void on_trade(self, StrategyContext* ctx, const TradeEvent* trade) noexcept nogil:
        pass

    cdef void on_bar(self, StrategyContext* ctx, const BarEvent* bar) noexcept nogil:
        pass

    cdef void on_signal(self, StrategyContext* ctx, const SignalEvent* signal) noexcept nogil:
        pass

    cdef void on_order(self, StrategyContext* ctx, const OrderStateEvent* order) noexcept nogil:
        pass

    cdef void on_fill(self, StrategyContext* ctx, const FillEvent* fill) noexcept nogil:
        pass

    cdef void on_timer(self, StrategyContext* ctx, const TimerEvent* timer) noexcept nogil:
        pass

    cdef void on_command(self, StrategyContext* ctx, const CommandEvent* command) noexcept nogil:
        pass

    cdef void on_stop(self, StrategyContext* ctx) noexcept nogil:
        pass

    cdef void on_grid(self, StrategyContext* ctx, const GridEvent* grid, const GridChange* change) noexcept nogil:
        if grid.instrument == ctx.instrument and not (ratio_is_one(&change.price) and ratio_is_one(&change.qty)):
            ctx.failed = 1                 # what it keeps would now mean something else


class Strategy:
    """Base of Python strategies: override the callbacks you want, each `(self, ctx, event)`.

    An event and everything it refers to is valid only until the callback returns: copy what you keep. Actions are asked
    for through `ctx` (submit, cancel, set_timer); their results arrive as later events.

    Parameters: parameters : dict, from the configuration.
    """

    def __init__(self, parameters):
        self.parameters = parameters

    def on_start(self, ctx, event):
        """Once, before the first input. `event` is None."""

    def on_book(self, ctx, event):
        """A whole book message was applied."""

    def on_quote(self, ctx, event):
        """The venue sent a new best bid and ask."""

    def on_trade(self, ctx, event):
        """A trade on the public tape."""

    def on_bar(self, ctx, event):
        """A bar closed."""

    def on_signal(self, ctx, event):
        """A signal was computed."""

    def on_order(self, ctx, event):
        """An order of this strategy changed its state, or was refused by risk."""

    def on_fill(self, ctx, event):
        """An order of this strategy was filled, wholly or in part."""

    def on_timer(self, ctx, event):
        """A timer of this strategy is due."""

    def on_command(self, ctx, event):
        """An operator's command was executed."""

    def on_stop(self, ctx, event):
        """Once, before the run ends. `event` is None."""

    def on_grid(self, ctx, event):
        """An instrument's tick or lot has changed. A strategy that does not override this is stopped when it is its own."""
