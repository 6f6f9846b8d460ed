# The types every other part shares: units, null values, FIX words and the layout of every event record.
#
# Owner: none (constants and plain structs). Hot. This file is the single source of the record layout: the NumPy
# dtypes, the journal reader and the layout hash are derived from these structs by types.pyx, never retyped.
#
# Units: *_ticks and *_lots are int64 counts of the instrument's own tick_size and lot_size; *_ns is nanoseconds
# (epoch UTC unless the name says mono_ or says duration); *_e8 is units of 1e-8; *_cycles is the TSC.
from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from *:
    """
    typedef __int128 tp_int128;
    typedef unsigned __int128 tp_uint128;
    #define TP_LIKELY(x) __builtin_expect(!!(x), 1)
    #define TP_UNLIKELY(x) __builtin_expect(!!(x), 0)
    """
    ctypedef long long int128 "tp_int128"
    ctypedef unsigned long long uint128 "tp_uint128"
    bint likely "TP_LIKELY"(bint x) noexcept nogil
    bint unlikely "TP_UNLIKELY"(bint x) noexcept nogil

# Null values. Prices and quantities are never negative on the venues we trade, and INT64_MIN is no sum of any of them.
cdef enum: SLOT_BYTES = 64
cdef enum: MAX_INSTRUMENTS = 64
cdef enum: MAX_STRATEGIES = 16
cdef enum: MAX_VENUES = 16
cdef enum: CLIENT_ORDER_ID_BYTES = 18
cdef extern from *:
    """
    #define TP_PRICE_TICKS_NONE INT64_MIN
    #define TP_QTY_LOTS_NONE INT64_MIN
    #define TP_TS_NONE INT64_MIN
    #define TP_INSTRUMENT_NONE 0xFFFFFFFFu
    """
    const int64_t PRICE_TICKS_NONE "TP_PRICE_TICKS_NONE"
    const int64_t QTY_LOTS_NONE "TP_QTY_LOTS_NONE"
    const int64_t TS_NONE "TP_TS_NONE"
    const uint32_t INSTRUMENT_NONE "TP_INSTRUMENT_NONE"

# What a hot function answers. 0 is INVALID, so that a zeroed struct is never taken for success.
cpdef enum Status:
    STATUS_INVALID = 0
    STATUS_OK = 1
    STATUS_MALFORMED = 2          # not JSON, or a field we need has the wrong shape: the message is refused whole
    STATUS_UNSUPPORTED = 3        # well-formed, but a kind we do not know: skipped and counted
    STATUS_UNKNOWN_SYMBOL = 4
    STATUS_OFF_GRID = 5           # a number that is not a multiple of the instrument's tick or lot
    STATUS_OVERFLOW = 6           # a number outside int64 ticks or lots
    STATUS_TOO_LARGE = 7          # more levels or bytes than the fixed buffers hold
    STATUS_IGNORED = 8            # a reply to a subscription, a pong: nothing for the engine

# Record types. 1..15 are inputs (what replay feeds back), 16..31 are derived and left out of output_hash,
# 32..63 are the outputs that output_hash covers. 255 continues a record that takes more than one slot.
cpdef enum EventType:
    EV_NONE = 0
    EV_FRAME = 1
    EV_BOOK_DELTA = 2
    EV_TRADE = 3
    EV_QUOTE = 4
    EV_EXEC_REPORT = 5
    EV_COMMAND = 6
    EV_CLOCK = 7
    EV_CANDLE = 8                 # the venue's own bar; our own are EV_BAR
    EV_REFERENCE = 9              # mark and index price, funding rate, open interest
    EV_LIQUIDATION = 10
    EV_INSTRUMENT_STATUS = 11
    EV_ORDER_DELTA = 12           # of an order-by-order (L3) feed
    EV_FEED = 13                  # what became of a connection to a venue
    EV_GRID = 14                  # an instrument's tick_size or lot_size has changed
    EV_BAR = 16
    EV_TIMER = 17
    EV_HEALTH = 18
    EV_GAP = 19
    EV_LATENCY = 20
    EV_CONSOLIDATED = 21          # best bid and offer over several venues
    EV_SIGNAL = 32
    EV_INTENT = 33
    EV_CANCEL = 34
    EV_REFUSAL = 35
    EV_ORDER_STATE = 36
    EV_FILL = 37
    EV_POSITION = 38
    EV_CONT = 255

cdef enum: MAX_LANES = 16
cdef enum: LANE_NONE = 0xFFFF         # not through a lane: a signal, a guard

cdef enum: EV_INPUT_LAST = 15
cdef enum: EV_OUTPUT_FIRST = 32
cdef enum: EV_OUTPUT_LAST = 63

cpdef enum VenueId:
    VENUE_NONE = 0
    VENUE_BINANCE_SPOT = 1
    VENUE_BINANCE_USDM = 2
    VENUE_COINBASE = 3
    VENUE_KRAKEN = 4
    VENUE_OKX = 5
    VENUE_BYBIT = 6
    VENUE_CCXT = 7

# FIX 54.
cpdef enum Side:
    SIDE_INVALID = 0
    SIDE_BUY = 1
    SIDE_SELL = 2

# FIX 40. LIMIT_MAKER is Binance's name of a post-only limit order.
cpdef enum OrderType:
    ORDER_TYPE_INVALID = 0
    ORDER_TYPE_MARKET = 1
    ORDER_TYPE_LIMIT = 2
    ORDER_TYPE_LIMIT_MAKER = 3

# FIX 59 (GTC 1, IOC 3, FOK 4).
cpdef enum TimeInForce:
    TIME_IN_FORCE_INVALID = 0
    TIME_IN_FORCE_GTC = 1
    TIME_IN_FORCE_IOC = 3
    TIME_IN_FORCE_FOK = 4

# FIX 39, plus UNKNOWN: sent, and nothing proves what became of it. It counts as exposure.
cpdef enum OrderState:
    ORDER_INVALID = 0
    ORDER_PENDING_NEW = 1
    ORDER_NEW = 2
    ORDER_PARTIALLY_FILLED = 3
    ORDER_FILLED = 4
    ORDER_PENDING_CANCEL = 5
    ORDER_CANCELED = 6
    ORDER_REJECTED = 7
    ORDER_EXPIRED = 8
    ORDER_UNKNOWN = 9

# FIX 150.
cpdef enum ExecType:
    EXEC_INVALID = 0
    EXEC_NEW = 1
    EXEC_CANCELED = 2
    EXEC_REJECTED = 3
    EXEC_TRADE = 4
    EXEC_EXPIRED = 5
    EXEC_CANCEL_REJECTED = 6

# Why an action was refused by us, or an order ended. The same numbers stand in proto.
cpdef enum Reason:
    REASON_INVALID = 0
    REASON_OK = 1
    REASON_KILL_SWITCH = 2
    REASON_STATE_FORBIDS = 3
    REASON_BOOK_NOT_GOOD = 4
    REASON_DATA_STALE = 5
    REASON_QTY_NOT_POSITIVE = 6
    REASON_PRICE_NOT_POSITIVE = 7
    REASON_ORDER_QTY_OVER_LIMIT = 8
    REASON_ORDER_NOTIONAL_OVER_LIMIT = 9
    REASON_ORDER_NOTIONAL_UNDER_MINIMUM = 10
    REASON_PRICE_OUTSIDE_BAND = 11
    REASON_POSITION_OVER_LIMIT = 12
    REASON_ORDER_RATE_OVER_LIMIT = 13
    REASON_OPEN_ORDERS_OVER_LIMIT = 14
    REASON_ORDER_TABLE_FULL = 15
    REASON_ACTION_QUEUE_FULL = 16
    REASON_UNKNOWN_ORDER = 17
    REASON_ORDER_NOT_CANCELABLE = 18
    REASON_UNKNOWN_INSTRUMENT = 19
    REASON_ORDER_TYPE_UNSUPPORTED = 20
    REASON_NUMBER_OVERFLOW = 21
    REASON_VENUE_REJECTED = 22
    REASON_WOULD_MATCH_AS_TAKER = 23
    REASON_TIMER_QUEUE_FULL = 24
    REASON_QTY_NOT_MULTIPLE_OF_LOT = 25
    REASON_STRATEGY_FAILED = 26
    # Answers to commands.
    REASON_ROLE_FORBIDS = 27
    REASON_COMMAND_UNKNOWN = 28
    REASON_COMMAND_MALFORMED = 29
    REASON_REQUEST_TOO_OLD = 30   # its answer is no longer remembered: not done a second time
    # Why the journal keeps trading from adding exposure.
    REASON_JOURNAL_BEHIND = 31
    REASON_JOURNAL_SILENT = 32    # no sign of life
    REASON_JOURNAL_FAILED = 33    # its disk; latched
    REASON_JOURNAL_LAPPED = 34    # events are lost to it; latched
    REASON_INTENT_NOT_DURABLE = 35    # not on the disk in time, never sent (durability = disk)
    REASON_GRID_CHANGED = 36      # the instrument's tick or lot has changed, and the order does not fit the new one
    REASON_ORDER_ENTRY_DOWN = 37  # the venue's order entry is not connected: trading is CANCEL_ONLY; or the request never left
    REASON_ORDER_ENTRY_LOST = 38  # it was lost while orders were open; latched

cpdef enum BookState:
    BOOK_INVALID = 0
    BOOK_SYNCING = 1              # no snapshot yet, or a gap since: quantities are not to be trusted
    BOOK_GOOD = 2
    BOOK_STALE = 3                # was good, but a message was refused or the book is crossed
    BOOK_HALTED = 4

# What a venue says of an instrument.
cpdef enum VenueStatus:
    VENUE_STATUS_INVALID = 0
    VENUE_STATUS_UNKNOWN = 1      # a word we do not know: no new orders
    VENUE_STATUS_TRADING = 2
    VENUE_STATUS_HALTED = 3
    VENUE_STATUS_CANCEL_ONLY = 4
    VENUE_STATUS_POST_ONLY = 5
    VENUE_STATUS_LIMIT_ONLY = 6
    VENUE_STATUS_AUCTION = 7
    VENUE_STATUS_DELISTED = 8

cpdef enum ReferenceKind:
    REFERENCE_INVALID = 0
    REFERENCE_MARK_PRICE = 1
    REFERENCE_INDEX_PRICE = 2
    REFERENCE_FUNDING_RATE = 3    # of one interval, a fraction of one; ts_next_ns = when it is paid
    REFERENCE_OPEN_INTEREST = 4   # in the venue's own unit (contracts or base asset)
    REFERENCE_SETTLE_PRICE = 5
    REFERENCE_LAST_PRICE = 6

# Of an order-by-order feed.
cpdef enum OrderAction:
    ORDER_ACTION_INVALID = 0
    ORDER_ACTION_ADD = 1
    ORDER_ACTION_CHANGE = 2       # a new quantity and price
    ORDER_ACTION_DELETE = 3
    ORDER_ACTION_MATCH = 4        # qty_lots of it have traded

cpdef enum FeedKind:
    FEED_INVALID = 0
    FEED_CONNECTED = 1            # detail = source: 1 native, 2 redundant socket, 3 REST poll, 4 ccxt
    FEED_LOST = 2                 # value = why (a close code); its books are to be synchronised again
    FEED_SILENT = 3               # no application frame for value ns
    FEED_GAP = 4                  # the connection's own sequence: value = expected, detail = found
    FEED_HEARTBEAT = 5
    FEED_RESUBSCRIBED = 6
    FEED_REFUSED = 7              # the venue refused a subscription; value = its code

# Where an instrument's data come from.
cpdef enum FeedSource:
    SOURCE_NONE = 0
    SOURCE_NATIVE = 1             # the venue's own stream, first socket
    SOURCE_SECOND = 2             # its redundant socket
    SOURCE_REST = 3               # the venue's REST answers, polled
    SOURCE_CCXT = 4               # a ccxt worker

cpdef enum TradingState:
    TRADING_INVALID = 0
    TRADING_NORMAL = 1
    TRADING_REDUCE_ONLY = 2
    TRADING_CANCEL_ONLY = 3
    TRADING_HALTED = 4
    TRADING_FLATTENING = 5

cpdef enum CommandKind:
    COMMAND_INVALID = 0
    COMMAND_KILL = 1              # HALTED: cancel every open order, accept none
    COMMAND_STOP = 2              # the SIGTERM policy `cancel`: as KILL, then the run ends
    COMMAND_SET_STATE = 3         # value = TradingState the operator wants
    COMMAND_PING = 4              # nothing but the answer
    COMMAND_CANCEL_ALL = 5
    COMMAND_GUARD = 6             # ours alone. value = TradingState at most, detail = Reason: what the journal allows

# Who asks. Fixed by the engine for each lane; the same numbers stand in proto.
cpdef enum Role:
    ROLE_INVALID = 0
    ROLE_VIEWER = 1
    ROLE_AGENT = 2
    ROLE_TRADER = 3
    ROLE_RISK = 4
    ROLE_ADMIN = 5
    ROLE_SYSTEM = 6               # the engine's own process: signals, guards

cpdef enum HealthKind:
    HEALTH_INVALID = 0
    HEALTH_STARTED = 1
    HEALTH_STOPPED = 2            # the last record of an orderly run
    HEALTH_BOOK_STATE = 3         # value = new BookState, detail = old
    HEALTH_TRADING_STATE = 4      # value = new TradingState, detail = Reason
    HEALTH_FRAME_REFUSED = 5      # value = Status
    HEALTH_STRATEGY_ERROR = 6     # value = strategy index: a Python callback raised
    HEALTH_ORDER_PROTOCOL = 7     # value = order ordinal: the venue's reply does not fit the order's state
    HEALTH_CORE_FAULT = 8         # value = CoreFault: an invariant of ours is broken; trading halts
    HEALTH_FEED_BROKEN = 9        # the feed lane holds what no feeder of ours writes: it is read no more
    HEALTH_GRID_REFUSED = 10      # value = GridRefusal: an EV_GRID was not followed
    HEALTH_SOURCE = 11            # an instrument's data come from elsewhere: value = new FeedSource, detail = old

# What core_check found broken.
cpdef enum CoreFault:
    CORE_FAULT_INVALID = 0
    CORE_FAULT_ORDER_SLOT = 1     # an accepted action without its reserved slot
    CORE_FAULT_EXPOSURE = 2       # open counts or lots below zero
    CORE_FAULT_ORDER_SUM = 3      # an order filled beyond its quantity
    CORE_FAULT_BOOK_LEVELS = 4    # a negative number of levels

cpdef enum SignalKind:
    SIGNAL_INVALID = 0
    SIGNAL_EMA_FAST = 1
    SIGNAL_EMA_SLOW = 2
    SIGNAL_IMBALANCE = 3

# Flag bits of BookDelta.flags.
cdef enum: DELTA_ASK = 1
cdef enum: DELTA_SNAPSHOT = 2
cdef enum: DELTA_FIRST = 4        # first record of its message
cdef enum: DELTA_LAST = 8         # last record of its message: the book is whole again
cdef enum: DELTA_NO_LEVEL = 16    # carries the update ids of a message without levels
cdef enum: DELTA_CHECKSUM = 32    # with DELTA_NO_LEVEL: price_ticks is the venue's checksum of the book with this message applied
# Flag bits of Trade.flags.
cdef enum: TRADE_SELL_AGGRESSOR = 1
cdef enum: TRADE_AGGREGATE = 2
# Frame.flags: four bits each of the decoder's Status and of which of our venues, then the connection it came through.
cdef enum: FRAME_STATUS_MASK = 15
cdef enum: FRAME_VENUE_SHIFT = 4
cdef enum: FRAME_CONNECTION_SHIFT = 8
# Flag bits of CandleEvent and OrderDelta.
cdef enum: CANDLE_CLOSED = 1
cdef enum: ORDER_DELTA_ASK = 1
cdef enum: ORDER_DELTA_SNAPSHOT = 2
cdef enum: ORDER_DELTA_FIRST = 4
cdef enum: ORDER_DELTA_LAST = 8
cdef enum: ORDER_DELTA_CHECKSUM = 16  # OrderDelta.checksum is the venue's, of the book with this message applied
# Flag bits of FillEvent and ExecReport.
cdef enum: LIQUIDITY_MAKER = 1
# Flag bits of CommandEvent.flags.
cdef enum: COMMAND_REPEATED = 1   # the first answer again; nothing was done

# ---- Records. Every slot opens with the same 32 bytes: seq, ts_recv_ns, ts_venue_ns, instrument, type, venue, flags.
# A record of two slots repeats them in its second slot (names ending in 2; type2 is EV_CONT).

cdef struct Slot:
    uint64_t seq                  # ring sequence, from 1; written last (see shm/ring.pxd)
    int64_t ts_recv_ns            # when we received the input that caused this
    int64_t ts_venue_ns           # the venue's own time, or TS_NONE
    uint32_t instrument
    uint8_t type                  # EventType
    uint8_t venue                 # VenueId
    uint16_t flags
    uint64_t payload[4]

cdef struct FrameEvent:
    uint64_t seq
    int64_t ts_recv_ns
    int64_t ts_venue_ns
    uint32_t instrument
    uint8_t type
    uint8_t venue
    uint16_t flags                # FRAME_*: Status, venue slot, connection
    uint64_t frame_hash           # 64-bit hash of the raw bytes
    uint32_t frame_bytes          # raw length
    uint32_t event_count          # decoded input slots that follow
    uint64_t last_update_id       # of a quote frame, or the connection's own sequence; 0 = none
    uint64_t frame_no             # from 1, per engine

cdef struct BookDelta:
    uint64_t seq
    int64_t ts_recv_ns
    int64_t ts_venue_ns
    uint32_t instrument
    uint8_t type
    uint8_t venue
    uint16_t flags                # DELTA_*
    int64_t price_ticks
    int64_t qty_lots              # new quantity at the price; 0 deletes the level
    # Of the whole message; both 0 where a venue numbers nothing. It applies to a book at first_update_id - 1 and takes it to
    # last_update_id: Binance spot U and u, USD-M pu + 1 and u, OKX prevSeqId + 1 and seqId, Bybit u and u.
    uint64_t first_update_id
    uint64_t last_update_id

cdef struct TradeEvent:
    uint64_t seq
    int64_t ts_recv_ns
    int64_t ts_venue_ns
    uint32_t instrument
    uint8_t type
    uint8_t venue
    uint16_t flags                # TRADE_*
    int64_t price_ticks
    int64_t qty_lots
    uint64_t trade_id
    uint32_t trade_count          # trades in an aggregate, else 1
    uint32_t reserved

cdef struct QuoteEvent:
    uint64_t seq
    int64_t ts_recv_ns
    int64_t ts_venue_ns
    uint32_t instrument
    uint8_t type
    uint8_t venue
    uint16_t flags
    int64_t bid_price_ticks
    int64_t bid_qty_lots
    int64_t ask_price_ticks
    int64_t ask_qty_lots

# A command as it is taken in and its answer, in one record: written before it acts, exactly one for each request.
cdef struct CommandEvent:
    uint64_t seq
    int64_t ts_recv_ns
    int64_t ts_venue_ns
    uint32_t instrument
    uint8_t type
    uint8_t venue
    uint16_t flags                # COMMAND_REPEATED
    uint16_t kind                 # CommandKind
    uint16_t lane                 # LANE_NONE: our own
    uint16_t role                 # Role, of the lane
    uint16_t reason               # Reason: REASON_OK, or why it was refused
    uint64_t request_id
    int64_t value
    int64_t detail
    uint64_t seq2
    int64_t ts_recv2_ns
    int64_t ts_venue2_ns
    uint32_t instrument2
    uint8_t type2
    uint8_t venue2
    uint16_t flags2
    uint64_t holds_seq            # from this sequence on; of a repeated request the first answer's
    uint64_t seen_seq             # last event its client had read when it asked, 0 = none
    int64_t price_ticks
    int64_t qty_lots

cdef struct ClockEvent:
    uint64_t seq
    int64_t ts_recv_ns
    int64_t ts_venue_ns
    uint32_t instrument
    uint8_t type
    uint8_t venue
    uint16_t flags
    int64_t epoch_offset_ns       # epoch minus monotonic clock, or TS_NONE when only time passes
    uint64_t reserved[3]

cdef struct BarEvent:
    uint64_t seq
    int64_t ts_recv_ns            # the input that closed the bar
    int64_t ts_venue_ns           # close time of the bar, exclusive (right-aligned)
    uint32_t instrument
    uint8_t type
    uint8_t venue
    uint16_t flags
    int64_t open_ticks
    int64_t high_ticks
    int64_t low_ticks
    int64_t close_ticks
    uint64_t seq2
    int64_t ts_recv2_ns
    int64_t ts_open_ns            # open time of the bar, inclusive
    uint32_t instrument2
    uint8_t type2
    uint8_t venue2
    uint16_t flags2
    int64_t volume_lots
    int64_t buy_volume_lots       # of trades whose aggressor bought
    uint64_t trade_count
    int64_t interval_ns

# The venue's own bar: times are ours (right-aligned), whatever the venue labels by.
cdef struct CandleEvent:
    uint64_t seq
    int64_t ts_recv_ns
    int64_t ts_venue_ns           # close time of the bar, exclusive
    uint32_t instrument
    uint8_t type
    uint8_t venue
    uint16_t flags                # CANDLE_CLOSED
    int64_t open_ticks
    int64_t high_ticks
    int64_t low_ticks
    int64_t close_ticks
    uint64_t seq2
    int64_t ts_recv2_ns
    int64_t ts_open_ns            # open time of the bar, inclusive
    uint32_t instrument2
    uint8_t type2
    uint8_t venue2
    uint16_t flags2
    int64_t volume_lots
    int64_t buy_volume_lots       # QTY_LOTS_NONE where the venue does not say
    uint64_t trade_count          # 0 where the venue does not say
    int64_t interval_ns

# A number that is no price of ours: kept as the venue's text has it, since it need not be on the instrument's grid.
cdef struct ReferenceEvent:
    uint64_t seq
    int64_t ts_recv_ns
    int64_t ts_venue_ns
    uint32_t instrument
    uint8_t type
    uint8_t venue
    uint16_t flags
    uint32_t kind                 # ReferenceKind
    int32_t scale                 # value = mantissa / 10^scale
    int64_t mantissa
    int64_t ts_next_ns            # of a funding rate, else TS_NONE
    uint64_t reserved

cdef struct LiquidationEvent:
    uint64_t seq
    int64_t ts_recv_ns
    int64_t ts_venue_ns
    uint32_t instrument
    uint8_t type
    uint8_t venue
    uint16_t flags                # TRADE_SELL_AGGRESSOR: a long position was closed by selling
    int64_t price_ticks
    int64_t qty_lots
    uint64_t reserved[2]

cdef struct InstrumentStatusEvent:
    uint64_t seq
    int64_t ts_recv_ns
    int64_t ts_venue_ns
    uint32_t instrument           # INSTRUMENT_NONE: of the whole venue
    uint8_t type
    uint8_t venue
    uint16_t flags
    uint32_t status               # VenueStatus
    uint32_t reserved
    char text[16]                 # the venue's own word, cut, zero-padded
    uint64_t reserved2

cdef struct OrderDelta:
    uint64_t seq
    int64_t ts_recv_ns
    int64_t ts_venue_ns
    uint32_t instrument
    uint8_t type
    uint8_t venue
    uint16_t flags                # ORDER_DELTA_*
    int64_t price_ticks
    int64_t qty_lots
    uint64_t order_key_high       # the venue's order id as 128 bits
    uint64_t order_key_low
    uint64_t seq2
    int64_t ts_recv2_ns
    int64_t ts_venue2_ns
    uint32_t instrument2
    uint8_t type2
    uint8_t venue2
    uint16_t flags2
    uint64_t update_id            # the instrument's own sequence, 0 = none
    uint32_t action               # OrderAction
    uint32_t checksum             # with ORDER_DELTA_CHECKSUM, which only a message's last record has
    uint64_t reserved2[2]

cdef struct FeedEvent:
    uint64_t seq
    int64_t ts_recv_ns
    int64_t ts_venue_ns
    uint32_t instrument           # INSTRUMENT_NONE: every one that the connection carries
    uint8_t type
    uint8_t venue
    uint16_t flags
    uint16_t kind                 # FeedKind
    uint16_t connection
    uint32_t venue_slot
    int64_t value
    int64_t detail
    uint64_t total                # how often so far

cdef struct GridEvent:
    uint64_t seq
    int64_t ts_recv_ns
    int64_t ts_venue_ns           # from when on
    uint32_t instrument
    uint8_t type
    uint8_t venue
    uint16_t flags
    int64_t tick_mantissa         # tick_size = tick_mantissa / 10^tick_scale
    int64_t lot_mantissa
    int32_t tick_scale
    int32_t lot_scale
    int64_t min_notional_ticklots # of the new tick and lot, as are all counts here
    uint64_t seq2
    int64_t ts_recv2_ns
    int64_t ts_venue2_ns
    uint32_t instrument2
    uint8_t type2
    uint8_t venue2
    uint16_t flags2
    int64_t qty_step_lots         # an order's quantity is a multiple of it
    int32_t price_decimals        # of the venue's own text, where its checksum is over that; -1 = those of the tick
    int32_t qty_decimals          # … -1 = those of the lot
    uint64_t reserved[2]

# The best bid and offer over several venues (market/consolidated.pxd). The first slot's payload is that of a QuoteEvent, in
# common ticks and lots. Bit k of a mask is member k, in the order given at construction.
cdef struct ConsolidatedQuote:
    uint64_t seq
    int64_t ts_recv_ns                # the update that changed it
    int64_t ts_venue_ns               # that venue's time, or TS_NONE
    uint32_t instrument               # the logical one
    uint8_t type
    uint8_t venue                     # VENUE_NONE: of several
    uint16_t flags
    int64_t bid_price_ticks           # common ticks; PRICE_TICKS_NONE when no good member bids
    int64_t bid_qty_lots              # common lots, summed at that price; 0 with no price
    int64_t ask_price_ticks
    int64_t ask_qty_lots
    uint64_t seq2
    int64_t ts_recv2_ns
    int64_t ts_venue2_ns
    uint32_t instrument2
    uint8_t type2
    uint8_t venue2
    uint16_t flags2
    uint8_t bid_members               # mask: who stands at the best bid
    uint8_t ask_members
    uint8_t good_members              # mask: whose state is good
    uint8_t cross_state               # CrossState of market/consolidated.pxd
    uint32_t cause_instrument         # the member whose update changed it
    int64_t cross_since_ns            # ts_recv_ns at which this locked or crossed state began; TS_NONE when neither
    int64_t oldest_recv_ns            # least recent update among the members at a best price; TS_NONE when there are none
    uint64_t change_no                # from 1

cdef struct TimerEvent:
    uint64_t seq
    int64_t ts_recv_ns
    int64_t ts_venue_ns
    uint32_t instrument
    uint8_t type
    uint8_t venue
    uint16_t flags
    int64_t due_ns
    uint64_t timer_id
    uint32_t strategy
    uint32_t reserved
    uint64_t reserved2

cdef struct HealthEvent:
    uint64_t seq
    int64_t ts_recv_ns
    int64_t ts_venue_ns
    uint32_t instrument
    uint8_t type
    uint8_t venue
    uint16_t flags
    uint32_t kind                 # HealthKind
    uint32_t causes               # of a book state: GateCause bits of market/gate.pxd
    int64_t value
    int64_t detail
    uint64_t total                # how often so far

cdef struct GapEvent:
    uint64_t seq
    int64_t ts_recv_ns
    int64_t ts_venue_ns
    uint32_t instrument
    uint8_t type
    uint8_t venue
    uint16_t flags
    uint64_t expected_update_id
    uint64_t found_update_id
    uint64_t total
    uint64_t reserved

cdef struct LatencyEvent:
    uint64_t seq
    int64_t ts_recv_ns
    int64_t ts_venue_ns
    uint32_t instrument
    uint8_t type
    uint8_t venue
    uint16_t flags
    uint64_t order_ordinal
    uint64_t receive_start_cycles # TSC at step 1
    uint32_t receive_cycles       # the nine steps, each as a duration
    uint32_t decode_cycles
    uint32_t book_cycles
    uint32_t signal_cycles
    uint64_t seq2
    int64_t ts_recv2_ns
    int64_t ts_venue2_ns
    uint32_t instrument2
    uint8_t type2
    uint8_t venue2
    uint16_t flags2
    uint32_t strategy_cycles
    uint32_t risk_cycles
    uint32_t order_cycles
    uint32_t encode_cycles
    uint32_t send_cycles
    uint32_t frame_to_order_cycles
    uint64_t reserved

cdef struct SignalEvent:
    uint64_t seq
    int64_t ts_recv_ns
    int64_t ts_venue_ns
    uint32_t instrument
    uint8_t type
    uint8_t venue
    uint16_t flags
    uint32_t kind                 # SignalKind
    uint32_t reserved
    double value                  # unit: the signal's own (EMA: ticks; imbalance: -1..1)
    double value2
    uint64_t reserved2

cdef struct IntentEvent:
    uint64_t seq
    int64_t ts_recv_ns
    int64_t ts_venue_ns
    uint32_t instrument
    uint8_t type
    uint8_t venue
    uint16_t flags
    uint64_t order_ordinal
    int64_t price_ticks           # PRICE_TICKS_NONE for a market order
    int64_t qty_lots
    uint64_t seen_seq             # last input sequence the decision used
    uint64_t seq2
    int64_t ts_recv2_ns
    int64_t ts_venue2_ns
    uint32_t instrument2
    uint8_t type2
    uint8_t venue2
    uint16_t flags2
    char client_order_id[18]
    uint8_t side
    uint8_t order_type
    uint8_t time_in_force
    uint8_t strategy
    uint8_t reserved[2]
    uint64_t reserved2

cdef struct CancelEvent:
    uint64_t seq
    int64_t ts_recv_ns
    int64_t ts_venue_ns
    uint32_t instrument
    uint8_t type
    uint8_t venue
    uint16_t flags
    uint64_t order_ordinal
    uint64_t seen_seq
    uint32_t strategy
    uint32_t reason
    uint64_t reserved

cdef struct RefusalEvent:
    uint64_t seq
    int64_t ts_recv_ns
    int64_t ts_venue_ns
    uint32_t instrument
    uint8_t type
    uint8_t venue
    uint16_t flags                # Reason
    uint64_t order_ordinal
    int64_t price_ticks
    int64_t qty_lots
    uint32_t reason               # Reason
    uint8_t side
    uint8_t order_type
    uint8_t strategy
    uint8_t action                # ActionKind of trading/strategy.pxd

cdef struct OrderStateEvent:
    uint64_t seq
    int64_t ts_recv_ns
    int64_t ts_venue_ns
    uint32_t instrument
    uint8_t type
    uint8_t venue
    uint16_t flags
    uint64_t order_ordinal
    int64_t cum_qty_lots
    int64_t leaves_qty_lots
    uint8_t state                 # OrderState
    uint8_t prev_state
    uint8_t strategy
    uint8_t side
    uint32_t reason               # Reason

cdef struct ExecReport:
    uint64_t seq
    int64_t ts_recv_ns
    int64_t ts_venue_ns
    uint32_t instrument
    uint8_t type
    uint8_t venue
    uint16_t flags                # LIQUIDITY_MAKER
    uint64_t order_ordinal        # 0 when the id is not one of ours
    int64_t last_price_ticks
    int64_t last_qty_lots
    int64_t cum_qty_lots
    uint64_t seq2
    int64_t ts_recv2_ns
    int64_t ts_venue2_ns
    uint32_t instrument2
    uint8_t type2
    uint8_t venue2
    uint16_t flags2
    uint64_t venue_order_id
    uint64_t trade_id
    int64_t fee_e8                # of the fee asset
    int32_t venue_code            # the venue's error code, 0 = none
    uint8_t exec_type             # ExecType
    uint8_t side
    uint16_t local_reason         # Reason, where we made the report ourselves; 0 = the venue's

cdef struct FillEvent:
    uint64_t seq
    int64_t ts_recv_ns
    int64_t ts_venue_ns
    uint32_t instrument
    uint8_t type
    uint8_t venue
    uint16_t flags                # LIQUIDITY_MAKER
    uint64_t order_ordinal
    int64_t price_ticks
    int64_t qty_lots
    uint64_t trade_id
    uint64_t seq2
    int64_t ts_recv2_ns
    int64_t ts_venue2_ns
    uint32_t instrument2
    uint8_t type2
    uint8_t venue2
    uint16_t flags2
    int64_t fee_e8
    int64_t cum_qty_lots
    int64_t position_lots         # after the fill
    uint8_t side
    uint8_t strategy
    uint8_t reserved[6]

cdef struct PositionEvent:
    uint64_t seq
    int64_t ts_recv_ns
    int64_t ts_venue_ns
    uint32_t instrument
    uint8_t type
    uint8_t venue
    uint16_t flags
    int64_t position_lots         # signed
    int64_t open_cost_ticklots    # signed cost of the open position, tick x lot units
    int64_t realised_ticklots     # realised P&L before fees
    int64_t fees_e8
