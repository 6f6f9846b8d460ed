# The engine: the only file that knows the sequence. Hot; one thread owns it.
#
# Two doors for inputs, both stamped outside:
#   engine_on_frame   raw bytes from a socket or a capture: all nine steps
#   engine_on_input   a venue reply, command or clock; and, in replay, the decoded records of a frame via engine_on_records
# Everything taken in is published to the event ring before it acts; everything decided is published when decided.
from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from tickpath.market.bar_set cimport BarSet
from tickpath.market.book cimport Book
from tickpath.market.checksum cimport BookChecksum
from tickpath.market.consolidated cimport Consolidated
from tickpath.market.failover cimport Failover
from tickpath.market.gate cimport Gate, GateLimits
from tickpath.market.grid_change cimport GridChange
from tickpath.market.instruments cimport InstrumentTable
from tickpath.market.l3_book cimport L3Book
from tickpath.shm.ring cimport RingWriter, ring_publish
from tickpath.shm.state_page cimport StatePageLayout, StateTotals
from tickpath.signals.state cimport SignalState, Top
from tickpath.trading.commands cimport CommandMemory
from tickpath.trading.orders cimport Order, OrderTable
from tickpath.trading.positions cimport Position
from tickpath.trading.risk cimport RiskState
from tickpath.trading.strategy cimport ActionQueue, StrategyContext, TimerQueue
from tickpath.types cimport EV_HEALTH, TS_NONE, BarEvent, ExecReport, FrameEvent, HealthEvent, Slot
from tickpath.venues.batch cimport DecodeBatch, FrameView
from tickpath.venues.binance_encode cimport EncodeBuffer
from tickpath.venues.decoders cimport Decoder

cdef enum: CONSOLIDATED_MAX = 16
cdef enum: CONNECTIONS_MAX = 64       # of a venue; power of two

# Where an encoded request goes: the socket, or the simulated venue. `o` is the order it is about.
ctypedef void (*gateway_send_fn)(void* self, const Order* o, bint is_cancel, EncodeBuffer* buffer,
                                 int64_t now_ns) noexcept nogil

# The instrument's grid has changed: what waits in there, on its way or resting, is in old ticks and lots.
ctypedef void (*gateway_regrid_fn)(void* self, uint32_t instrument, const GridChange* change,
                                   int64_t now_ns) noexcept nogil

cdef struct Gateway:
    void* self
    gateway_send_fn send
    gateway_regrid_fn regrid          # NULL where nothing waits

# Cycle counter at the end of each step of the frame being handled.
cdef struct Stamps:
    uint64_t start
    uint64_t receive
    uint64_t decode
    uint64_t book
    uint64_t signal
    uint64_t strategy

cdef enum: TRADE_IDS = 64             # of an instrument at a venue whose ids do not grow; power of two

# What tells a trade that came before from a new one.
cdef struct TradeIds:
    uint64_t last                     # greatest id so far …
    uint32_t connection               # … and the connection that brought it
    uint32_t next
    uint64_t recent[64]               # TRADE_IDS

# Of every instrument.
cdef struct EngineBars:
    int64_t dues_ns[64]               # by instrument: its bar_set_next_due_ns
    BarEvent closed[16]               # BAR_SET_CAPACITY: those of the call at hand
    BarSet sets[64]                   # by instrument

cdef struct EngineCore:
    # 1, 2
    InstrumentTable* instruments
    Decoder decoders[16]              # MAX_VENUES, by venue slot
    int32_t venue_count
    DecodeBatch batch
    RingWriter* ring
    # 3, 4
    Book* books
    Consolidated consolidated[16]     # CONSOLIDATED_MAX
    int32_t consolidated_count
    int8_t consolidated_of[64]        # by instrument: which of them it is a member of, -1 = none
    BookChecksum* checksums           # by instrument
    Gate* gates
    GateLimits* gate_limits
    Top* tops
    SignalState* signals
    EngineBars* bars
    # 5
    StrategyContext contexts[16]
    void* strategies[16]              # borrowed CompiledStrategy objects, kept alive by Engine
    int32_t strategy_count
    ActionQueue actions
    TimerQueue timers
    int64_t bars_due_ns               # the earliest bar that time has to close, INT64_MAX = none
    # 6, 7
    RiskState* risk
    OrderTable* orders
    Position* account                 # by instrument
    Position* positions               # by strategy and instrument
    CommandMemory commands
    int32_t operator_state            # TradingState that the operator wants …
    int32_t guard_state               # … and what the journal allows: the stricter one is in force
    char id_prefix[16]
    # 8, 9
    EncodeBuffer* buffer
    Gateway gateway
    # what is measured and told
    int32_t stamps_on
    int32_t started
    int32_t stopping
    int32_t from_frame                # the input being handled came through engine_on_frame
    Stamps stamps
    StatePageLayout* page
    StateTotals totals
    uint64_t strategy_orders[16]
    uint64_t strategy_refusals[16]
    uint64_t strategy_fills[16]
    int64_t now_ns
    # Of the frame being applied.
    uint64_t quote_update_id
    uint32_t frame_venue              # slot
    uint32_t frame_connection
    uint8_t book_connections[64]      # by instrument: the connection that its book comes through
    TradeIds* trade_ids               # by instrument
    Failover* failovers               # by instrument
    uint64_t next_sequences[1024]     # by venue slot and connection, where a venue numbers all that a connection carries
    # Grids that have changed in this run (engine_grid.pxd).
    uint32_t grid_epochs[64]          # by instrument: how often
    uint64_t grid_seqs[64]            # by instrument: ring sequence of the record that did it last, 0 = none
    GridChange grid_change            # the last one followed
    # Books fed order by order (engine_l3.pxd).
    L3Book* l3[64]                    # by instrument, NULL = fed by levels
    int32_t l3_depths[64]             # a side is cut to so many prices, 0 = not cut

# ---- hot
cdef int engine_on_frame(EngineCore* e, const FrameView* frame) noexcept nogil
# The decoded records of one frame, as the journal has them: steps 3 to 9 only.
cdef void engine_on_records(EngineCore* e, const FrameEvent* head, const Slot* records, int32_t count) noexcept nogil
# A venue reply, a command (two slots each) or a clock input (one).
cdef void engine_on_input(EngineCore* e, const Slot* record) noexcept nogil
# Close the bars and run the timers that are due at or before now_ns, each at its own due time.
cdef void engine_run_timers(EngineCore* e, int64_t now_ns) noexcept nogil
# When the earliest of them is due, INT64_MAX when there is none.
cdef int64_t engine_next_timer(const EngineCore* e) noexcept nogil
# The feed lane is unreadable: say so; nothing more comes from it.
cdef void engine_report_feed_broken(EngineCore* e) noexcept nogil
cdef void engine_start(EngineCore* e, int64_t ts_ns) noexcept nogil
cdef void engine_finish(EngineCore* e) noexcept nogil

# ---- for the engine's own modules
cdef inline void publish(EngineCore* e, const Slot* record) noexcept nogil:
    ring_publish(e.ring, record)
    e.totals.events += 1


cdef inline void publish_two(EngineCore* e, const Slot* record) noexcept nogil:
    ring_publish(e.ring, record)
    ring_publish(e.ring, record + 1)
    e.totals.events += 1

cdef inline void report_health(EngineCore* e, int kind, uint32_t instrument, int64_t value, int64_t detail) noexcept nogil:
    cdef HealthEvent h
    memset(&h, 0, sizeof(HealthEvent))
    h.ts_recv_ns = e.now_ns
    h.ts_venue_ns = TS_NONE
    h.instrument = instrument
    h.type = EV_HEALTH
    h.kind = kind
    h.value = value
    h.detail = detail
    publish(e, <const Slot*>&h)


# Before a call of strategy i; False when it has failed.
cdef inline bint begin_call(EngineCore* e, int i) noexcept nogil:
    e.contexts[i].now_ns = e.now_ns
    e.contexts[i].seen_seq = e.ring.next_seq - 1
    return not e.contexts[i].failed
