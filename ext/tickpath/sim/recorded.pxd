# A recorded market as the counterparty of clients' orders: what is displayed and what of it has been taken, where each resting
# order stands in the queue behind it, what its prints fill. Hot; owned by the thread that runs the exchange; no clock, no I/O.
#
# It looks at a Book and a Top and never changes them: the engine's own (the paper gateway), or ones of its own that are fed
# from Python (recorded_face.pyx). The exchange asks it through SimRecorded (core.pxd); what happens in the market comes in
# through the functions below, after the book has taken it. Places in the queue: queue_models.pxd.
#
# What an order has taken stays taken until the venue shows another quantity at that price; the last SIM_TAKEN prices are
# remembered. Bids and offers of clients may stand in two instruments of the exchange (the paper gateway, so that its orders
# never meet) or in one.
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

from tickpath.market.book cimport Book
from tickpath.market.grid_change cimport GridChange
from tickpath.market.l3_book cimport L3Book
from tickpath.signals.state cimport Top
from tickpath.sim.core cimport SimExchange, SimRecorded
from tickpath.sim.order_queues cimport SimLadder
from tickpath.sim.queue_models cimport QueuePlace
from tickpath.types cimport BookDelta, OrderDelta, TradeEvent

cdef enum: SIM_TAKEN = 32
cdef enum: FOLLOWED_MAX = 16384       # recorded orders ahead of ours that are followed one by one, power of two; 3/4 may be used

cdef struct MarketSettings:
    int32_t queue_model               # QueueModel
    double queue_power                # n of QUEUE_POWER
    double slippage_bps               # a market order meets every level so much further away (paper gateway)
    double impact_bps                 # so much further for each whole level taken …
    int64_t impact_half_life_ns       # … of which half is gone after this

# Displayed quantity that clients have already taken at a price, until the venue shows it anew.
cdef struct TakenLevel:
    int64_t price_ticks
    int64_t shown_lots                # as displayed when it was hit
    int64_t taken_lots
    int64_t side                      # book side that was hit

# A recorded order that stands ahead of orders of ours. number: it is ahead of those that joined with this number or later.
cdef struct Followed:
    uint64_t key_high
    uint64_t key_low
    int64_t price_ticks
    int64_t qty_lots                  # 0 = empty
    uint64_t number
    int64_t side

cdef struct RecordedMarket:
    SimRecorded face                  # what the exchange calls …
    SimRecorded second                # … of the second instrument, where there is one
    SimExchange* x
    const Book* book
    const Top* top
    const L3Book* l3                  # NULL: fed by levels
    MarketSettings settings
    int32_t[2] instruments            # of the exchange: where clients' bids stand, where their offers stand …
    SimLadder* ladders[2]             # … and the queues themselves
    # Which prices they stand at, told apart by their last six bits: most of what is displayed concerns nobody, and is passed over
    # without a look at the queues.
    uint64_t[2] price_bits
    int32_t[128] price_counts         # by side and last six bits: orders
    int32_t closed                    # 1: shows nothing to the exchange (orders are being put back)
    TakenLevel[32] taken
    int32_t taken_next
    int32_t taken_count               # entries ever used, at most SIM_TAKEN
    # The best level that resting orders have heard of last, PRICE_TICKS_NONE = none: most quotes change one side only.
    int64_t[2] heard_ticks
    int64_t[2] heard_lots
    # Orders priced like this or better have nobody ahead of them.
    int64_t[2] cleared_ticks
    # Places of the resting orders; their index is in SimOrder.queue_ahead_lots.
    QueuePlace* places
    int32_t place_capacity
    int32_t free_place                # chain through QueuePlace.shown_lots, -1 = none
    # How far the market stands back from those who take from it.
    double[2] impact                  # bps, by book side, as of impact_ns
    int64_t impact_ns
    int64_t[2] shift_ticks            # in force for the request at work
    uint64_t shift_number             # which request that is
    double extra_bps                  # slippage of the order at work
    # Order by order.
    Followed* followed
    int32_t followed_count
    uint64_t joined                   # our orders that have joined so far
    uint64_t l3_update_id             # of the last event heard
    uint64_t unplaced                 # orders that rest without a place: memory was short
    # Display of its own, where nobody else keeps one.
    Book own_book
    Top own_top
    int32_t owned

# ---- hot: what happened in the market, after book and top have taken it
cdef void recorded_on_trade(RecordedMarket* m, int64_t price_ticks, int64_t qty_lots, bint sell_aggressor,
                            int64_t now_ns) noexcept nogil
cdef void recorded_on_top(RecordedMarket* m, int64_t now_ns) noexcept nogil
cdef void recorded_on_levels(RecordedMarket* m, const BookDelta* d, int32_t count, int64_t now_ns) noexcept nogil
cdef void recorded_on_snapshot(RecordedMarket* m) noexcept nogil
cdef void recorded_on_order(RecordedMarket* m, const OrderDelta* d, int64_t now_ns) noexcept nogil
# Lots displayed at a price on a side, what was taken of them included.
cdef int64_t recorded_displayed(const RecordedMarket* m, int book_side, int64_t price_ticks) noexcept nogil
# The place of a resting order of an exchange's, NULL when it has none.
cdef QueuePlace* recorded_place(RecordedMarket* m, int64_t index) noexcept nogil

# ---- cold
# NULL when memory is short. instruments: of `x`, where clients' bids stand and where their offers stand (may be the same). l3
# may be NULL. Registers itself with the exchange, which frees it.
cdef RecordedMarket* recorded_new(SimExchange* x, int bid_instrument, int ask_instrument, const Book* book, const Top* top,
                                  const L3Book* l3, MarketSettings settings) noexcept nogil
# The same with a display of its own, empty at first.
cdef RecordedMarket* recorded_new_owned(SimExchange* x, int instrument, int64_t window_ticks,
                                        MarketSettings settings) noexcept nogil
# What is displayed is named anew: nothing counts as taken. Places of resting orders are the caller's business.
cdef void recorded_regrid(RecordedMarket* m, const GridChange* c) noexcept nogil
# An order that stands in a queue is at another price from now on (a grid's change).
cdef void recorded_repriced(RecordedMarket* m, int book_side, int64_t old_ticks, int64_t new_ticks) noexcept nogil
cdef void place_regrid(QueuePlace* p, const GridChange* c) noexcept nogil
