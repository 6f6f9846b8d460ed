# The state page: what is now, for readers that do not follow the ring. Hot on the writer's side, off the order path.
#
# Writer: the engine, after the frames of one turn. Readers: status line, tap top, admin; they map it read-only.
#
# Each block is guarded by a sequence word; the protocol, with what each access pairs with, is seqlock.h.
from libc.stdint cimport int64_t, uint32_t, uint64_t

from tickpath.shm.histogram cimport Histogram

cdef enum: STATE_DEPTH = 10
cdef enum: STATE_ORDERS = 64
cdef enum: STEP_COUNT = 12

# Steps of the latency histograms. The first ten are recorded in cycles, the last two in nanoseconds of engine time.
cpdef enum Step:
    STEP_RECEIVE = 0
    STEP_DECODE = 1
    STEP_BOOK = 2
    STEP_SIGNAL = 3
    STEP_STRATEGY = 4
    STEP_RISK = 5
    STEP_ORDER = 6
    STEP_ENCODE = 7
    STEP_SEND = 8
    STEP_FRAME_TO_ORDER = 9
    STEP_ACK = 10
    STEP_FILL = 11

cdef struct StateInfo:                # written once, before the first input
    double cycles_per_ns
    uint64_t instrument_count
    uint64_t strategy_count
    uint64_t mode                     # 1 backtest, 2 paper, 3 live, 4 replay
    int64_t started_ns                # epoch ns
    char symbols[64][24]              # venue spelling
    int64_t tick_mantissa[64]         # of the start; the grids in force stand with the instruments
    int64_t tick_scale[64]
    int64_t lot_mantissa[64]
    int64_t lot_scale[64]
    char strategies[16][32]
    uint64_t venue_count
    char venues[16][32]               # our names of the venues, by slot
    int64_t instrument_venues[64]     # slot of each instrument's venue

cdef struct StateTotals:
    int64_t now_ns                    # engine time of the last input
    uint64_t last_seq                 # ring head
    uint64_t frames
    uint64_t events                   # records written, continuation slots not counted
    uint64_t inputs
    uint64_t quotes
    uint64_t trades
    uint64_t book_messages
    uint64_t levels
    uint64_t snapshots
    uint64_t bars
    uint64_t signals
    uint64_t orders                   # intents
    uint64_t cancels
    uint64_t refusals
    uint64_t acks
    uint64_t rejects
    uint64_t expired
    uint64_t canceled
    uint64_t fills
    uint64_t filled_orders
    uint64_t open_orders
    uint64_t trading_state
    uint64_t frame_errors             # refused: malformed, off the grid, overflow, too large
    uint64_t frames_unsupported
    uint64_t frames_ignored
    uint64_t unknown_symbols
    uint64_t gaps
    uint64_t protocol_errors
    uint64_t strategy_errors
    uint64_t action_overflows
    uint64_t feed_ended
    uint64_t stopped
    uint64_t scanned                  # frames the fast scanner took
    uint64_t missed_timers
    uint64_t max_orders_per_min       # limit in force
    uint64_t max_data_age_ns          # limit in force
    uint64_t commands                 # taken in, refused ones too
    uint64_t command_refusals
    uint64_t guard_state              # TradingState that the journal allows
    uint64_t journal_lag_slots        # how far the journal was behind at the last look
    uint64_t held_orders              # waiting for the disk (durability = disk)
    uint64_t lanes_broken             # lanes whose memory their client took away
    uint64_t feed_broken
    uint64_t duplicates               # book messages and trades that another socket had brought before
    uint64_t gate_changes
    uint64_t checksums_ok
    uint64_t checksums_bad
    uint64_t feed_events
    uint64_t facts                    # candles, reference prices, statuses
    uint64_t venue_frames[16]         # by venue slot: frames received …
    uint64_t venue_errors[16]         # … and refused
    uint64_t venue_gaps[16]           # numbers that were missing
    uint64_t venue_losses[16]         # connections lost
    uint64_t venue_off_grid[16]       # of those: a number is no multiple of the instrument's tick or lot
    uint64_t grids                    # EV_GRID followed …
    uint64_t grids_refused            # … and not
    uint64_t grid_rounded             # prices of bars and fills that the new grid does not have: the nearest stands for them
    uint64_t order_messages           # of order-by-order feeds, whole
    uint64_t failovers                # times that an instrument went over to its fallback

cdef struct StateInstrument:
    int64_t bid_price_ticks[10]
    int64_t bid_qty_lots[10]
    int64_t ask_price_ticks[10]
    int64_t ask_qty_lots[10]
    int64_t top_bid_ticks
    int64_t top_bid_lots
    int64_t top_ask_ticks
    int64_t top_ask_lots
    int64_t last_trade_ticks
    int64_t last_trade_lots
    int64_t book_state                # as the gate says
    int64_t gate_causes               # GateCause bits
    int64_t venue_status              # VenueStatus
    int64_t messages                  # of book and quotes, since the gate was first open …
    int64_t good_messages             # … and after which the gate was open
    int64_t book_gaps
    int64_t pending_slots             # records that wait for a snapshot: its diffs flow
    int64_t bid_levels
    int64_t ask_levels
    uint64_t last_update_id
    int64_t ts_recv_ns                # of the newest message of book or quotes
    int64_t bar_open_ticks
    int64_t bar_high_ticks
    int64_t bar_low_ticks
    int64_t bar_close_ticks
    int64_t bar_volume_lots
    int64_t position_lots             # account
    int64_t open_cost_ticklots
    int64_t realised_ticklots
    int64_t fees_e8
    int64_t open_buy_lots
    int64_t open_sell_lots
    int64_t max_order_notional_ticklots     # limits in force
    int64_t max_position_notional_ticklots
    int64_t max_open_orders
    int64_t price_collar_e2_bps
    double ema_fast
    double ema_slow
    double imbalance
    # The grid in force. The epoch counts its changes: what was read under another one is in other ticks and lots.
    int64_t grid_epoch
    int64_t grid_seq                  # of the EV_GRID record that began it, 0 = the run's first
    int64_t tick_mantissa
    int64_t tick_scale
    int64_t lot_mantissa
    int64_t lot_scale
    int64_t qty_step_lots
    int64_t min_notional_ticklots
    # Order by order (L3), all 0 where the book is fed by levels.
    uint64_t l3_capacity              # orders that fit
    uint64_t l3_orders
    uint64_t l3_unknown               # deletes and changes of orders that do not rest
    uint64_t l3_refused               # orders that found no room, or that cannot be true of the book: SYNCING
    uint64_t l3_dropped               # events that did not fit while a snapshot was waited for
    int64_t source                    # FeedSource
    int64_t native_bad_since_ns       # engine time; 0 = its own stream is good, or it has no fallback

cdef struct StateStrategy:
    uint64_t orders
    uint64_t refusals
    uint64_t fills
    uint64_t failed
    int64_t instrument
    int64_t position_lots
    int64_t open_cost_ticklots
    int64_t realised_ticklots
    int64_t fees_e8
    int64_t open_orders

cdef struct StateOrder:
    uint64_t order_ordinal
    int64_t price_ticks
    int64_t qty_lots
    int64_t leaves_qty_lots
    uint32_t instrument
    uint32_t side
    uint32_t state
    uint32_t strategy

cdef struct StateOrders:
    uint64_t count
    uint64_t total
    StateOrder items[64]

cdef struct StateBar:                 # a bar being built
    int64_t ts_open_ns
    int64_t open_ticks
    int64_t high_ticks
    int64_t low_ticks
    int64_t close_ticks
    int64_t volume_lots
    int64_t buy_volume_lots
    uint64_t trade_count              # 0: it has no trade yet, and its prices are the close of the bar before
    uint64_t late_count               # of the whole run: trades that came after their bar was closed …
    int64_t late_lots
    uint64_t skipped_empty_count

cdef struct StateBars:
    StateBar items[16]                # by spec_idx

cdef struct StatePageLayout:
    StateInfo info
    uint64_t totals_seq
    StateTotals totals
    uint64_t instruments_seq[64]
    StateInstrument instruments[64]
    uint64_t strategies_seq
    StateStrategy strategies[16]
    uint64_t orders_seq
    StateOrders orders
    Histogram steps[12]
    uint64_t bars_seq[64]
    StateBars bars[64]
    uint64_t bar_spec_count           # written once, before the first input
    char bar_specs[16][32]

cdef extern from "seqlock.h" nogil:
    void seqlock_write(uint64_t* seq, void* block, const void* source, long size_bytes) noexcept
    bint seqlock_try_read(const uint64_t* seq, const void* block, void* out, long size_bytes) noexcept

cdef class StatePage:
    cdef StatePageLayout* page
    cdef object _buffer
    cdef object _segment
    cdef bint _read(self, const uint64_t* seq, const void* block, void* out, long size_bytes) except -1
