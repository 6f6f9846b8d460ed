# The simulated venue as the engine's gateway: takes orders, gives replies, advanced only by inputs and due times. Hot enough for
# backtests; owned by the engine's thread; no clock, no I/O. Its assumptions are written down in docs/simulation.md.
#
# It is the matching engine of core.pxd with the recorded market of recorded.pxd as everybody else, between two queues: requests
# on their way to the venue, replies on their way to us. Both are first in, first out, with due times that only rise
# (latency.pxd). What is the gateway's own: latency, random rejects, the least notional, fees rounded up to 1e-8 of the quote
# asset, and the engine's words for what happens.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from tickpath.market.book cimport Book
from tickpath.market.grid_change cimport GridChange
from tickpath.market.instruments cimport InstrumentTable
from tickpath.market.l3_book cimport L3Book
from tickpath.signals.state cimport Top
from tickpath.sim.core cimport SimExchange
from tickpath.sim.latency cimport LatencyModel
from tickpath.sim.recorded cimport MarketSettings, RecordedMarket
from tickpath.types cimport ExecReport, Slot

cdef enum: SIM_REQUESTS = 8192
cdef enum: SIM_REPLIES = 16384
cdef enum: SIM_RESTING = 2048
cdef enum: SIM_PLACES = 8192          # of the index of live orders, power of two

cdef struct SimRequest:
    int64_t due_ns
    uint64_t request_id               # order of arrival where due times are equal
    uint64_t order_ordinal
    int64_t price_ticks
    int64_t qty_lots
    uint32_t instrument
    uint8_t is_cancel
    uint8_t side
    uint8_t order_type
    uint8_t time_in_force

cdef struct SimReply:
    int64_t due_ns
    uint64_t reply_id
    ExecReport report

# An order of ours that is live at the venue, found by its ordinal.
cdef struct SimLive:
    uint64_t order_ordinal            # 0 = empty
    uint64_t order_id                 # the exchange's
    uint64_t venue_order_id           # what we are told

cdef struct SimSettings:
    int64_t maker_fee_e8              # rate x 1e8
    int64_t taker_fee_e8
    double reject_probability
    uint64_t seed
    MarketSettings market

cdef struct SimVenue:
    const InstrumentTable* instruments
    const Top* tops
    SimExchange* exchange
    RecordedMarket* markets[64]       # by instrument
    uint32_t account                  # of the exchange: ours
    LatencyModel latency
    SimRequest* requests
    SimReply* replies
    uint64_t request_head
    uint64_t request_tail
    uint64_t reply_head
    uint64_t reply_tail
    uint64_t next_id
    SimLive* live
    int32_t resting_count
    SimSettings settings
    uint64_t reject_threshold         # a draw below it rejects the order
    uint64_t random_state
    uint64_t next_venue_order_id
    uint64_t next_trade_id
    uint64_t dropped_requests         # queue full: cannot happen while risk bounds open orders; counted all the same
    uint64_t fills
    uint64_t rejects

# ---- hot
cdef void sim_submit(SimVenue* s, uint64_t order_ordinal, uint32_t instrument, int side, int order_type,
                     int time_in_force, int64_t price_ticks, int64_t qty_lots, int64_t now_ns) noexcept nogil
cdef void sim_cancel(SimVenue* s, uint64_t order_ordinal, uint32_t instrument, int64_t now_ns) noexcept nogil
# When the venue next has something to do; INT64_MAX when it has not.
cdef inline int64_t sim_next_due(const SimVenue* s) noexcept nogil:
    cdef int64_t due = 0x7FFFFFFFFFFFFFFFLL
    if s.request_head != s.request_tail:
        due = s.requests[s.request_head & (SIM_REQUESTS - 1)].due_ns
    if s.reply_head != s.reply_tail and s.replies[s.reply_head & (SIM_REPLIES - 1)].due_ns < due:
        due = s.replies[s.reply_head & (SIM_REPLIES - 1)].due_ns
    return due
# Do the earliest thing. True when it is a reply that has reached us, then in `report`.
cdef bint sim_step(SimVenue* s, ExecReport* report) noexcept nogil
# The market moved: records of one message that the engine has applied, received at now_ns.
cdef void sim_on_market(SimVenue* s, const Slot* records, int32_t count, int64_t now_ns) noexcept nogil

# ---- cold
# Displayed lots that are taken to stand ahead of a resting order of ours; QTY_LOTS_NONE where it does not rest.
cdef int64_t sim_queue_ahead(SimVenue* s, uint64_t order_ordinal) noexcept nogil
# An instrument's tick or lot has changed. What rests or arrives at a price that the new grid does not have is given back, as
# expired or rejected; a fill on its way to us keeps its price where it can, else it takes the next tick that is worse for us.
cdef void sim_regrid(SimVenue* s, uint32_t instrument, const GridChange* c, int64_t now_ns) noexcept nogil
# NULL when memory is short. l3: by instrument, entries may be NULL. *latency is taken over, whatever comes of it.
cdef SimVenue* sim_new(const InstrumentTable* instruments, const Book* books, const Top* tops, L3Book** l3,
                       const SimSettings* settings, LatencyModel* latency) noexcept nogil
cdef void sim_free(SimVenue* s) noexcept nogil
# The same from the dict of [paper] settings that daemon/tickpathd/engine_spec.py makes. Errors: ValueError, MemoryError.
cdef SimVenue* sim_from(const InstrumentTable* instruments, const Book* books, const Top* tops, L3Book** l3, paper) except NULL
