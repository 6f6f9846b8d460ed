"""Consolidated best bid and offer over venues; `ConsolidatedBook` is the Python face."""
import fractions
import math

from libc.stdint cimport INT64_MAX, int32_t, int64_t, uint8_t, uint32_t
from libc.string cimport memset

from tickpath.types cimport EV_CONSOLIDATED, EV_CONT, PRICE_TICKS_NONE, TS_NONE, ConsolidatedQuote, likely, unlikely

import numpy as np

cdef extern from *:
    """
    static inline int tp_mul_overflows(int64_t a, int64_t b, int64_t *product) { return __builtin_mul_overflow(a, b, product); }
    static inline int tp_add_overflows(int64_t a, int64_t b, int64_t *sum) { return __builtin_add_overflow(a, b, sum); }
    """
    bint mul_overflows "tp_mul_overflows"(int64_t a, int64_t b, int64_t* product) noexcept nogil
    bint add_overflows "tp_add_overflows"(int64_t a, int64_t b, int64_t* sum) noexcept nogil


cdef void consolidated_init(Consolidated* c, uint32_t instrument) noexcept nogil:
    memset(c, 0, sizeof(Consolidated))
    c.instrument = instrument
    c.quote.bid_price_ticks = PRICE_TICKS_NONE
    c.quote.ask_price_ticks = PRICE_TICKS_NONE
    c.quote.cross_state = CROSS_NONE
    c.quote.cross_since_ns = TS_NONE
    c.quote.oldest_recv_ns = TS_NONE
    c.quote.instrument = c.quote.instrument2 = instrument
    c.quote.type = EV_CONSOLIDATED
    c.quote.type2 = EV_CONT
    c.quote.flags2 = 1


cdef int consolidated_add_member(Consolidated* c, uint32_t instrument, int64_t tick_multiplier,
                                 int64_t lot_multiplier) noexcept nogil:
    """Its index, or -1 when there is no room, a multiplier is not positive, or the instrument is a member already."""
    cdef ConsolidatedMember* m
    if (c.count == CONSOLIDATED_MEMBERS_MAX or tick_multiplier <= 0 or lot_multiplier <= 0
            or consolidated_member_of(c, instrument) >= 0):
        return -1
    m = &c.members[c.count]
    m.instrument = instrument
    m.tick_multiplier = tick_multiplier
    m.lot_multiplier = lot_multiplier
    m.bid_price_ticks = m.ask_price_ticks = PRICE_TICKS_NONE
    m.ts_recv_ns = TS_NONE
    c.count += 1
    return c.count - 1


cdef inline void take_side(Consolidated* c, const ConsolidatedMember* m, int64_t price_ticks, int64_t qty_lots,
                           int64_t* common_ticks, int64_t* common_lots) noexcept nogil:
    """A side of a member in common units; empty when it shows nothing or does not fit."""
    if unlikely(price_ticks == PRICE_TICKS_NONE or qty_lots <= 0):
        common_ticks[0] = PRICE_TICKS_NONE
        common_lots[0] = 0
    elif unlikely(mul_overflows(price_ticks, m.tick_multiplier, common_ticks)
                  or mul_overflows(qty_lots, m.lot_multiplier, common_lots)):
        common_ticks[0] = PRICE_TICKS_NONE
        common_lots[0] = 0
        c.overflow_count += 1


cdef inline int64_t capped_sum(Consolidated* c, int64_t a, int64_t b) noexcept nogil:
    cdef int64_t total
    if likely(not add_overflows(a, b, &total)):
        return total
    c.overflow_count += 1
    return INT64_MAX


cdef int consolidated_on_top(Consolidated* c, int32_t member, const MemberTop* top) noexcept nogil:
    cdef ConsolidatedMember* m
    cdef ConsolidatedQuote q
    cdef int32_t k
    if unlikely(member < 0 or member >= c.count):
        return 0
    m = &c.members[member]
    c.update_count += 1
    take_side(c, m, top.bid_price_ticks, top.bid_qty_lots, &m.bid_price_ticks, &m.bid_qty_lots)
    take_side(c, m, top.ask_price_ticks, top.ask_qty_lots, &m.ask_price_ticks, &m.ask_qty_lots)
    m.good = top.good != 0
    m.ts_recv_ns = top.ts_recv_ns
    q = c.quote
    q.bid_price_ticks = q.ask_price_ticks = PRICE_TICKS_NONE
    q.bid_qty_lots = q.ask_qty_lots = 0
    q.bid_members = q.ask_members = q.good_members = 0
    for k in range(c.count):
        m = &c.members[k]
        if not m.good:
            continue
        q.good_members |= 1 << k
        # PRICE_TICKS_NONE is the smallest int64: worse than every bid, and for asks it has to be left out by name.
        if m.bid_price_ticks > q.bid_price_ticks:
            q.bid_price_ticks = m.bid_price_ticks
            q.bid_qty_lots = m.bid_qty_lots
            q.bid_members = 1 << k
        elif m.bid_price_ticks == q.bid_price_ticks and m.bid_price_ticks != PRICE_TICKS_NONE:
            q.bid_qty_lots = capped_sum(c, q.bid_qty_lots, m.bid_qty_lots)
            q.bid_members |= 1 << k
        if m.ask_price_ticks != PRICE_TICKS_NONE:
            if m.ask_price_ticks < q.ask_price_ticks or q.ask_members == 0:
                q.ask_price_ticks = m.ask_price_ticks
                q.ask_qty_lots = m.ask_qty_lots
                q.ask_members = 1 << k
            elif m.ask_price_ticks == q.ask_price_ticks:
                q.ask_qty_lots = capped_sum(c, q.ask_qty_lots, m.ask_qty_lots)
                q.ask_members |= 1 << k
    if q.bid_members == 0 or q.ask_members == 0 or q.bid_price_ticks < q.ask_price_ticks:
        q.cross_state = CROSS_NONE
    else:
        q.cross_state = CROSS_LOCKED if q.bid_price_ticks == q.ask_price_ticks else CROSS_CROSSED
    if likely(not differs(&q, &c.quote)):
        return 0
    if q.cross_state != c.quote.cross_state:
        q.cross_since_ns = TS_NONE if q.cross_state == CROSS_NONE else top.ts_recv_ns
        c.crossed_count += q.cross_state == CROSS_CROSSED
    q.oldest_recv_ns = oldest_recv_ns(c, q.bid_members | q.ask_members)
    q.cause_instrument = c.members[member].instrument
    q.ts_recv_ns = q.ts_recv2_ns = top.ts_recv_ns
    q.ts_venue_ns = q.ts_venue2_ns = top.ts_venue_ns
    q.change_no += 1
    c.quote = q
    return 1


cdef inline bint differs(const ConsolidatedQuote* a, const ConsolidatedQuote* b) noexcept nogil:
    # The cross state follows from the prices, and the rest is of the change itself.
    return (a.bid_price_ticks != b.bid_price_ticks or a.bid_qty_lots != b.bid_qty_lots
            or a.ask_price_ticks != b.ask_price_ticks or a.ask_qty_lots != b.ask_qty_lots
            or a.bid_members != b.bid_members or a.ask_members != b.ask_members or a.good_members != b.good_members)


cdef inline int64_t oldest_recv_ns(const Consolidated* c, uint8_t members) noexcept nogil:
    cdef int64_t oldest = TS_NONE
    cdef int32_t k
    for k in range(c.count):
        if members >> k & 1 and (oldest == TS_NONE or c.members[k].ts_recv_ns < oldest):
            oldest = c.members[k].ts_recv_ns
    return oldest


# ---- Python face

def _dtype():
    cdef ConsolidatedQuote quote
    return np.asarray(<ConsolidatedQuote[:1]>&quote).dtype


CONSOLIDATED_QUOTE_DTYPE = _dtype()


def _size(value, where):
    if isinstance(value, float):
        raise ValueError(f"{where}: expected decimal text, Decimal or Fraction, which are exact; found the float {value!r}")
    try:
        size = fractions.Fraction(value)
    except (TypeError, ValueError, ZeroDivisionError):
        raise ValueError(f"{where}: expected decimal text, Decimal or Fraction, found {value!r}") from None
    if size <= 0:
        raise ValueError(f"{where}: expected a positive number, found {value}")
    return size


def common_size(sizes, what):
    """The greatest Fraction of which every one of `sizes` is a whole multiple, and those multiples.

    Errors: ValueError when the size or a multiple does not fit int64.
    """
    denominator = math.lcm(*(s.denominator for s in sizes))
    numerator = math.gcd(*(s.numerator * (denominator // s.denominator) for s in sizes))
    common = fractions.Fraction(numerator, denominator)
    multiples = [int(s / common) for s in sizes]
    if max(common.numerator, common.denominator, *multiples) > INT64_MAX:
        raise ValueError(f"{what}: expected sizes with a common divisor in int64, found {', '.join(map(str, sizes))}: it would "
                         f"be {common}, {max(multiples)} of them in the greatest")
    return common, multiples


cdef class ConsolidatedBook:
    """Best bid and offer over up to 8 instruments that are the same thing on different venues.

    Parameters: members : sequence of (instrument, tick_size, lot_size): our instrument id and its exact sizes (decimal text,
    Decimal or Fraction) in units common to all members.  instrument : our id of the logical instrument.
    Errors: ValueError: a size that is not positive, no common tick or lot in int64, an instrument named twice, too many.
    """

    def __cinit__(self, members, *, uint32_t instrument=0):
        members = tuple(members)
        if not 1 <= len(members) <= CONSOLIDATED_MEMBERS_MAX:
            raise ValueError(f"members: expected 1 to {CONSOLIDATED_MEMBERS_MAX}, found {len(members)}")
        ticks = [_size(m[1], f"members[{k}].tick_size") for k, m in enumerate(members)]
        lots = [_size(m[2], f"members[{k}].lot_size") for k, m in enumerate(members)]
        self.tick_size, tick_multipliers = common_size(ticks, "tick_size")
        self.lot_size, lot_multipliers = common_size(lots, "lot_size")
        self.members = tuple(m[0] for m in members)
        consolidated_init(&self.c, instrument)
        for k, member in enumerate(self.members):
            if consolidated_add_member(&self.c, member, tick_multipliers[k], lot_multipliers[k]) < 0:
                raise ValueError(f"members[{k}]: expected an instrument that is not a member yet, found {member} again")

    def update(self, uint32_t instrument, *, bid=None, ask=None, bint good=True, int64_t ts_recv_ns=0, ts_venue_ns=None):
        """A member's top: True when the consolidated quote changed.

        bid, ask : (price_ticks, qty_lots) in the member's own ticks and lots, or None for an empty side.
        """
        cdef MemberTop top
        cdef int32_t member = consolidated_member_of(&self.c, instrument)
        if member < 0:
            raise ValueError(f"instrument: expected one of {self.members}, found {instrument}")
        top.bid_price_ticks, top.bid_qty_lots = (PRICE_TICKS_NONE, 0) if bid is None else bid
        top.ask_price_ticks, top.ask_qty_lots = (PRICE_TICKS_NONE, 0) if ask is None else ask
        top.ts_recv_ns = ts_recv_ns
        top.ts_venue_ns = TS_NONE if ts_venue_ns is None else ts_venue_ns
        top.good = good
        return consolidated_on_top(&self.c, member, &top) == 1

    @property
    def quote(self):
        """The consolidated quote as a record of CONSOLIDATED_QUOTE_DTYPE: a copy."""
        cdef ConsolidatedQuote[::1] view
        out = np.zeros(1, CONSOLIDATED_QUOTE_DTYPE)
        view = out
        view[0] = self.c.quote
        return out[0]

    @property
    def best_bid(self):
        """(price_ticks, qty_lots) in common units, or None."""
        return (self.c.quote.bid_price_ticks, self.c.quote.bid_qty_lots) if self.c.quote.bid_members else None

    @property
    def best_ask(self):
        """(price_ticks, qty_lots) in common units, or None."""
        return (self.c.quote.ask_price_ticks, self.c.quote.ask_qty_lots) if self.c.quote.ask_members else None

    @property
    def counters(self):
        return {"updates": self.c.update_count, "changes": self.c.quote.change_no, "crossed": self.c.crossed_count,
                "overflows": self.c.overflow_count}
