# The strategy interface of the path. Hot; step 5.
#
# A compiled strategy is a `cdef class` that derives from CompiledStrategy and overrides what it wants; every callback is
# `noexcept nogil` and takes C structs. A Python strategy is hosted by trading/python_host.pyx, which derives from the
# same class. Actions are put into a queue of fixed size and judged by risk after the callback returns; what became of
# them arrives as events (on_order, on_fill), never as a return value. Time comes from ctx.now_ns, randomness from
# ctx_random, and from nowhere else.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from tickpath.market.bar_set cimport BarSet
from tickpath.market.book cimport Book
from tickpath.market.grid_change cimport GridChange
from tickpath.market.l3_book cimport L3Book, l3_order_count, l3_queue_ahead
from tickpath.signals.state cimport SignalState, Top
from tickpath.trading.orders cimport OrderTable, order_reserve
from tickpath.trading.positions cimport Position
from tickpath.types cimport (
    QTY_LOTS_NONE, BarEvent, CommandEvent, FillEvent, GridEvent, OrderStateEvent, QuoteEvent, SignalEvent, TimerEvent,
    TradeEvent,
)

cdef enum: ACTION_CAPACITY = 64       # a strategy's actions while one input is handled; more are refused
cdef enum: TIMER_CAPACITY = 256

cpdef enum ActionKind:
    ACTION_INVALID = 0
    ACTION_SUBMIT = 1
    ACTION_CANCEL = 2

cdef struct Action:
    uint64_t order_ordinal
    int64_t price_ticks               # PRICE_TICKS_NONE for a market order
    int64_t qty_lots
    uint32_t instrument
    uint8_t kind                      # ActionKind
    uint8_t side
    uint8_t order_type
    uint8_t time_in_force
    uint8_t strategy

cdef struct ActionQueue:
    Action[64] items
    int32_t count
    int32_t next                      # first one not yet judged
    uint64_t overflow_count           # actions dropped because the queue was full, ever

cdef struct Timer:
    int64_t due_ns
    uint64_t timer_id
    uint32_t strategy

cdef struct TimerQueue:
    Timer[256] items                  # sorted by (due, id), earliest last
    int32_t count
    uint64_t next_id
    uint64_t overflow_count

cdef struct StrategyContext:
    int64_t now_ns                    # receive time of the input being handled, or the due time of a timer
    uint64_t seen_seq                 # ring sequence of the last input seen
    uint32_t strategy                 # own index
    uint32_t instrument               # own instrument
    const Top* tops                   # by instrument
    const SignalState* signals        # by instrument
    const Book* books                 # by instrument
    const Position* positions         # own, by instrument
    OrderTable* orders
    ActionQueue* actions
    TimerQueue* timers
    uint64_t random_state
    int32_t failed                    # set by a host whose strategy raised: it is called no more
    const BarSet* bars                # by instrument: those being built
    L3Book** l3                       # by instrument, NULL = its book is fed by levels

# ---- hot
# Ask for an order. Returns its ordinal at once (0 when table or queue is full); whether it was accepted arrives as
# on_order. price_ticks is ignored for market orders.
cdef inline uint64_t ctx_submit(StrategyContext* ctx, uint32_t instrument, int side, int order_type, int time_in_force,
                                int64_t price_ticks, int64_t qty_lots) noexcept nogil:
    cdef Action* a
    cdef uint64_t ordinal
    if ctx.actions.count >= ACTION_CAPACITY:
        ctx.actions.overflow_count += 1
        return 0
    ordinal = order_reserve(ctx.orders)
    if ordinal == 0:
        ctx.actions.overflow_count += 1
        return 0
    a = &ctx.actions.items[ctx.actions.count]
    a.kind = ACTION_SUBMIT
    a.order_ordinal = ordinal
    a.instrument = instrument
    a.side = <uint8_t>side
    a.order_type = <uint8_t>order_type
    a.time_in_force = <uint8_t>time_in_force
    a.price_ticks = price_ticks
    a.qty_lots = qty_lots
    a.strategy = <uint8_t>ctx.strategy
    ctx.actions.count += 1
    return ordinal

cdef inline bint ctx_cancel(StrategyContext* ctx, uint64_t order_ordinal) noexcept nogil:
    cdef Action* a
    if ctx.actions.count >= ACTION_CAPACITY:
        ctx.actions.overflow_count += 1
        return False
    a = &ctx.actions.items[ctx.actions.count]
    a.kind = ACTION_CANCEL
    a.order_ordinal = order_ordinal
    a.instrument = ctx.instrument
    a.side = 0
    a.order_type = 0
    a.time_in_force = 0
    a.price_ticks = 0
    a.qty_lots = 0
    a.strategy = <uint8_t>ctx.strategy
    ctx.actions.count += 1
    return True

# Orders that rest at a price (side of the book), and one of them's lots in front. -1 and QTY_LOTS_NONE where the book is fed by
# levels, which do not tell; QTY_LOTS_NONE also for an order that does not rest.
cdef inline int32_t ctx_orders_at(const StrategyContext* ctx, uint32_t instrument, int side, int64_t price_ticks) noexcept nogil:
    return l3_order_count(ctx.l3[instrument], side, price_ticks) if ctx.l3[instrument] != NULL else -1

cdef inline int64_t ctx_queue_ahead(const StrategyContext* ctx, uint32_t instrument, uint64_t key_high,
                                    uint64_t key_low) noexcept nogil:
    return l3_queue_ahead(ctx.l3[instrument], key_high, key_low) if ctx.l3[instrument] != NULL else QTY_LOTS_NONE

# on_timer at the first input whose time is at or after due_ns. Returns the timer's id, 0 when too many are set.
cdef uint64_t ctx_set_timer(StrategyContext* ctx, int64_t due_ns) noexcept nogil

# splitmix64: the strategy's own seeded stream of 64-bit numbers.
cdef inline uint64_t ctx_random(StrategyContext* ctx) noexcept nogil:
    cdef uint64_t z
    ctx.random_state += 0x9E3779B97F4A7C15ULL
    z = ctx.random_state
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL
    return z ^ (z >> 31)

cdef class CompiledStrategy:
    cdef readonly str name
    cdef readonly dict parameters
    cdef void on_start(self, StrategyContext* ctx) noexcept nogil
    cdef void on_book(self, StrategyContext* ctx, uint32_t instrument) noexcept nogil
    cdef void on_quote(self, StrategyContext* ctx, const QuoteEvent* quote) noexcept nogil
    cdef void on_trade(self, StrategyContext* ctx, const TradeEvent* trade) noexcept nogil
    cdef void on_bar(self, StrategyContext* ctx, const BarEvent* bar) noexcept nogil
    cdef void on_signal(self, StrategyContext* ctx, const SignalEvent* signal) noexcept nogil
    cdef void on_order(self, StrategyContext* ctx, const OrderStateEvent* order) noexcept nogil
    cdef void on_fill(self, StrategyContext* ctx, const FillEvent* fill) noexcept nogil
    cdef void on_timer(self, StrategyContext* ctx, const TimerEvent* timer) noexcept nogil
    cdef void on_command(self, StrategyContext* ctx, const CommandEvent* command) noexcept nogil
    cdef void on_stop(self, StrategyContext* ctx) noexcept nogil
    # An instrument's grid has changed: what is kept in ticks or lots is to be moved by `change`. Books, tops, signals, positions
    # and open orders are on the new one already. Without an answer of its own a strategy on that instrument is stopped.
    cdef void on_grid(self, StrategyContext* ctx, const GridEvent* grid, const GridChange* change) noexcept nogil
