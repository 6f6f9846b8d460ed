# The consolidated best bid and offer of one logical instrument that several venues quote. Hot; owned by the engine's thread.
#
# Each member is one of our instruments with its own tick_size and lot_size. The common tick is the greatest common divisor of
# the members' ticks as rationals, and likewise the lot, so a member's price is a whole number of common ticks: nothing is
# rounded and prices of different venues compare as integers. The multipliers are found, and refused, at construction.
#
# A side's best is the best price over the good members that show one; its qty is the sum over all members at that price.
# The record is ConsolidatedQuote of types.pxd. An update costs O(members), allocates nothing, and answers whether anything that
# is published changed.
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

from tickpath.types cimport ConsolidatedQuote

cdef enum: CONSOLIDATED_MEMBERS_MAX = 8

cpdef enum CrossState:
    CROSS_INVALID = 0
    CROSS_NONE = 1                    # bid below ask, or a side is empty
    CROSS_LOCKED = 2                  # bid = ask
    CROSS_CROSSED = 3                 # bid above ask

# One member's top of book, in its own ticks and lots. A side with PRICE_TICKS_NONE or no qty is empty.
cdef struct MemberTop:
    int64_t bid_price_ticks
    int64_t bid_qty_lots
    int64_t ask_price_ticks
    int64_t ask_qty_lots
    int64_t ts_recv_ns
    int64_t ts_venue_ns
    int32_t good                      # 0: its book is not to be trusted, so it counts for nothing

cdef struct ConsolidatedMember:
    uint32_t instrument
    int32_t good
    int64_t tick_multiplier           # common ticks in one of its ticks
    int64_t lot_multiplier
    int64_t bid_price_ticks           # common ticks, PRICE_TICKS_NONE = empty
    int64_t bid_qty_lots
    int64_t ask_price_ticks
    int64_t ask_qty_lots
    int64_t ts_recv_ns

cdef struct Consolidated:
    int32_t count
    uint32_t instrument
    ConsolidatedMember[8] members
    ConsolidatedQuote quote           # as published last; change_no 0: nothing yet
    uint64_t update_count
    uint64_t crossed_count            # how often it became crossed
    uint64_t overflow_count           # sides left out, or sums cut off, because they do not fit int64

# ---- hot
# A member's top or state changed. 1 when the consolidated quote changed with it: `c.quote` is then the record to publish. 0 also
# for a member that is not one.
cdef int consolidated_on_top(Consolidated* c, int32_t member, const MemberTop* top) noexcept nogil

# Which member an instrument of ours is, or -1.
cdef inline int32_t consolidated_member_of(const Consolidated* c, uint32_t instrument) noexcept nogil:
    cdef int32_t k
    for k in range(c.count):
        if c.members[k].instrument == instrument:
            return k
    return -1

# ---- cold
cdef void consolidated_init(Consolidated* c, uint32_t instrument) noexcept nogil
cdef int consolidated_add_member(Consolidated* c, uint32_t instrument, int64_t tick_multiplier,
                                 int64_t lot_multiplier) noexcept nogil

cdef class ConsolidatedBook:
    cdef Consolidated c
    cdef readonly object tick_size
    cdef readonly object lot_size
    cdef readonly tuple members
