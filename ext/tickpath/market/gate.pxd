# The validity gate: is what we see of this instrument true? Hot; one for each instrument; owned by the engine.
#
# It looks after every message of the instrument and at every clock input, and says one BookState with the causes behind it:
#   HALTED   the venue says so (VenueStatus)
#   SYNCING  the book is not proven: no snapshot yet, a gap, a failed checksum
#   STALE    it was proven, but a message was refused, it is crossed, its spread is too wide, its price has just jumped,
#            it is too old, its connection is silent, or it is polled from elsewhere
#   GOOD     none of these; risk lets an order pass only now (trading/risk.pyx)
# A change of state or causes is an event of its own, written in the turn of the message that made it.
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

from tickpath.market.book cimport Book
from tickpath.types cimport (
    BOOK_GOOD, BOOK_HALTED, BOOK_STALE, BOOK_SYNCING, PRICE_TICKS_NONE, VENUE_STATUS_INVALID, VENUE_STATUS_LIMIT_ONLY,
    VENUE_STATUS_POST_ONLY, VENUE_STATUS_TRADING, likely, unlikely,
)

# Bits of Gate.causes and of HealthEvent.causes.
cpdef enum GateCause:
    GATE_NONE = 0
    GATE_SYNCING = 1
    GATE_REFUSED = 2              # a message was refused since
    GATE_CROSSED = 4
    GATE_SPREAD = 8
    GATE_JUMP = 16
    GATE_AGE = 32
    GATE_VENUE = 64               # the venue has halted it
    GATE_FEED = 128               # its connection is silent
    GATE_CHECKSUM = 256           # why it is SYNCING: the venue's checksum did not fit
    GATE_GAP = 512                # why it is SYNCING: a number is missing
    GATE_EMPTY = 1024             # a side has no level
    GATE_GRID = 2048              # the venue's tick or lot has changed, and ours could not follow yet
    GATE_FALLBACK = 4096          # its data are polled while its stream is bad: shown, not traded on

cdef struct GateLimits:
    double max_spread                 # (ask - bid) / mid
    double max_jump                   # of the mid from one message to the next, as a fraction
    int64_t jump_hold_ns              # a jump is believed after so much more data
    int64_t max_crossed_ns            # crossed for longer, the book is thrown away
    int64_t max_age_ns

cdef struct Gate:
    uint32_t causes
    int32_t state                     # BookState
    uint32_t venue_status             # VenueStatus in force, INVALID until the venue has said one: the stricter of …
    uint32_t own_status               # … what was said of this instrument …
    uint32_t system_status            # … and of the whole venue
    uint32_t lost_by                  # GATE_CHECKSUM or GATE_GAP, while SYNCING
    uint32_t feed_causes              # those of GATE_FEED, GATE_GRID and GATE_FALLBACK that hold, whatever messages say
    int64_t twice_mid_ticks           # of the last message with both sides, 0 = none yet
    int64_t jumped_ns                 # 0 = no jump is doubted
    int64_t crossed_ns                # since when it is crossed, 0 = it is not
    uint64_t messages                 # of book and quotes that were looked at
    uint64_t good_messages            # … and after which the gate was open

cdef inline bint status_allows(uint32_t status) noexcept nogil:
    return status == VENUE_STATUS_TRADING or status == VENUE_STATUS_POST_ONLY or status == VENUE_STATUS_LIMIT_ONLY

# What keeps the gate closed after a message (fresh) or as time goes by, and with it the state.
cdef inline uint32_t gate_judge(Gate* g, const GateLimits* l, const Book* b, int64_t bid_ticks, int64_t ask_ticks,
                                int64_t ts_newest_ns, int64_t now_ns, bint fresh) noexcept nogil:
    cdef uint32_t causes = 0
    cdef int64_t twice_mid, moved
    if unlikely(b.state != BOOK_GOOD):
        if b.state == BOOK_SYNCING:
            causes |= GATE_SYNCING | g.lost_by
        elif not b.crossed:
            causes |= GATE_REFUSED
    else:
        g.lost_by = 0
    if unlikely(bid_ticks == PRICE_TICKS_NONE or ask_ticks == PRICE_TICKS_NONE):
        causes |= GATE_EMPTY
        g.crossed_ns = 0
    else:
        if unlikely(bid_ticks >= ask_ticks or b.crossed):
            causes |= GATE_CROSSED
            if g.crossed_ns == 0:
                g.crossed_ns = now_ns
        else:
            g.crossed_ns = 0
        twice_mid = bid_ticks + ask_ticks
        if unlikely(<double>(ask_ticks - bid_ticks) * 2 > l.max_spread * <double>twice_mid):
            causes |= GATE_SPREAD
        if likely(fresh):
            moved = twice_mid - g.twice_mid_ticks if twice_mid > g.twice_mid_ticks else g.twice_mid_ticks - twice_mid
            if unlikely(<double>moved > l.max_jump * <double>g.twice_mid_ticks) and g.twice_mid_ticks != 0:
                g.jumped_ns = now_ns
            g.twice_mid_ticks = twice_mid
        if unlikely(g.jumped_ns != 0):
            if now_ns - g.jumped_ns < l.jump_hold_ns:
                causes |= GATE_JUMP
            elif fresh:
                g.jumped_ns = 0
            else:
                causes |= g.causes & GATE_JUMP           # time alone proves nothing
    if unlikely(now_ns - ts_newest_ns > l.max_age_ns):
        causes |= GATE_AGE
    causes |= g.feed_causes
    if unlikely(g.venue_status != VENUE_STATUS_INVALID) and not status_allows(g.venue_status):
        causes |= GATE_VENUE
    return causes

cdef inline int gate_state_of(uint32_t causes) noexcept nogil:
    if likely(causes == 0):
        return BOOK_GOOD
    if causes & GATE_VENUE:
        return BOOK_HALTED
    return BOOK_SYNCING if causes & GATE_SYNCING else BOOK_STALE
