"""Queue position of a resting order against a recorded market: see queue_models.pxd and docs/simulation.md."""
from libc.math cimport floor
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy

NAMES = {"pessimistic": QUEUE_PESSIMISTIC, "proportional": QUEUE_PROPORTIONAL, "power": QUEUE_POWER, "log": QUEUE_LOG,
         "l3": QUEUE_L3, "optimistic": QUEUE_OPTIMISTIC}

cdef double LN2 = 0.6931471805599453


# The C library's log and pow differ in the last bit from one release to the next; a backtest is to give the same fills on
# every machine. These use nothing but IEEE addition, multiplication and division.
cdef double repeatable_log2(double x) noexcept nogil:
    """Of a positive, finite, normal number."""
    cdef uint64_t bits
    cdef int64_t exponent
    cdef double t, square, sum, term
    cdef int k
    memcpy(&bits, &x, 8)
    exponent = <int64_t>((bits >> 52) & 0x7FF) - 1023
    bits = (bits & 0xFFFFFFFFFFFFFULL) | 0x3FF0000000000000ULL
    memcpy(&x, &bits, 8)
    if x > 1.4142135623730951:
        x *= 0.5
        exponent += 1
    t = (x - 1.0) / (x + 1.0)
    square = t * t
    sum = 0.0
    term = t
    for k in range(1, 25, 2):
        sum += term / k
        term *= square
    return exponent + 2.0 * sum / LN2


cdef double repeatable_exp2(double x) noexcept nogil:
    """0 below -1000, the largest power above 1000."""
    cdef uint64_t bits
    cdef double whole, rest, term, sum
    cdef int k
    if x < -1000.0:
        return 0.0
    if x > 1000.0:
        x = 1000.0
    whole = floor(x)
    rest = (x - whole) * LN2
    sum = term = 1.0
    for k in range(1, 19):
        term *= rest / k
        sum += term
    bits = <uint64_t>(<int64_t>whole + 1023) << 52
    memcpy(&term, &bits, 8)
    return sum * term


cdef double share_ahead(int model, double power, int64_t ahead_lots, int64_t behind_lots) noexcept nogil:
    """The part of a decrease that falls ahead of us, 0..1. Both quantities are at least 0 and not both 0."""
    cdef double of_ahead, of_behind
    if ahead_lots == 0 or behind_lots == 0:
        return 1.0 if behind_lots == 0 else 0.0
    if model == QUEUE_POWER:
        of_behind = repeatable_exp2(power * (repeatable_log2(<double>behind_lots) - repeatable_log2(<double>ahead_lots)))
        return 1.0 / (1.0 + of_behind)
    if model == QUEUE_LOG:
        of_ahead = repeatable_log2(1.0 + <double>ahead_lots)
        of_behind = repeatable_log2(1.0 + <double>behind_lots)
        return of_ahead / (of_ahead + of_behind)
    return <double>ahead_lots / (<double>ahead_lots + <double>behind_lots)


cdef void place_on_display(QueuePlace* p, int model, double power, int64_t shown_lots, int64_t now_ns) noexcept nogil:
    cdef int64_t decrease = p.shown_lots - shown_lots
    cdef int64_t behind, taken, before = p.ahead_lots
    cdef double wanted
    if model == QUEUE_PESSIMISTIC:
        # Each message at its word, as it has been from the first version: where a display tells of a trade before its print
        # does, the trade is counted twice (docs/simulation.md says how often that matters).
        if shown_lots < p.ahead_lots:
            p.ahead_lots = shown_lots
        return
    if decrease == 0:
        return
    p.shown_lots = shown_lots
    if decrease < 0:
        # It shows the prints by now, and more has come in behind us.
        p.traded_lots = p.left_lots = p.credit_lots = 0
        return
    taken = p.traded_lots if p.traded_lots < decrease else decrease
    p.traded_lots = 0
    decrease -= taken
    if decrease > 0:
        behind = shown_lots + decrease - p.ahead_lots
        if behind < 0:
            behind = 0
        if model == QUEUE_OPTIMISTIC:
            taken = decrease
        else:
            wanted = p.carry
            if p.ahead_lots > 0:
                wanted += share_ahead(model, power, p.ahead_lots, behind) * <double>decrease
            taken = <int64_t>wanted
            p.carry = wanted - <double>taken
            if taken < decrease - behind:
                taken = decrease - behind
        if taken > 0:
            p.ahead_lots -= taken if taken < p.ahead_lots else p.ahead_lots
    if p.ahead_lots > shown_lots:
        p.ahead_lots = shown_lots
    if decrease > 0:
        if now_ns - p.left_ns > SETTLE_NS:
            p.left_lots = p.credit_lots = 0
        p.left_lots += decrease
        p.credit_lots += before - p.ahead_lots
        p.left_ns = now_ns


cdef void place_on_departure(QueuePlace* p, int64_t lots, bint may_be_traded, int64_t now_ns) noexcept nogil:
    cdef int64_t told = lots if lots < p.traded_lots else p.traded_lots
    p.ahead_lots -= lots if lots < p.ahead_lots else p.ahead_lots
    p.traded_lots -= told
    if may_be_traded and lots > told:
        if now_ns - p.left_ns > SETTLE_NS:
            p.left_lots = p.credit_lots = 0
        p.left_lots += lots - told
        p.credit_lots += lots - told
        p.left_ns = now_ns


# ---- for a look from Python

def part_ahead(str model, int64_t ahead_lots, int64_t behind_lots, double power=3.0):
    """The part of a cancelled quantity that a share model takes to have stood ahead of us: a float from 0 to 1.

    Parameters: model : "proportional", "power" or "log".  ahead_lots, behind_lots : what stands there.  power : n of "power".
    """
    if model not in ("proportional", "power", "log"):
        raise ValueError(f"model: expected proportional, power or log, found {model!r}")
    if ahead_lots < 0 or behind_lots < 0 or ahead_lots + behind_lots == 0:
        raise ValueError(f"expected lots of at least 0, not both 0, found {ahead_lots} and {behind_lots}")
    return share_ahead(NAMES[model], power, ahead_lots, behind_lots)


cdef class Place:
    """A resting order's place in the queue of its price, followed by hand.

    Parameters: model : a name of NAMES.  ahead_lots : displayed at its price when it came.  power : n of "power".
    """
    cdef QueuePlace place
    cdef int model
    cdef double power

    def __init__(self, str model, int64_t ahead_lots, *, double power=3.0):
        if model not in NAMES:
            raise ValueError(f"model: expected one of {sorted(NAMES)}, found {model!r}")
        self.model = NAMES[model]
        self.power = power
        place_begin(&self.place, ahead_lots)
        self.place.number = model == "l3"

    def shown(self, int64_t shown_lots, int64_t now_ns=0):
        """The display at our price is now shown_lots; returns lots ahead of us."""
        place_on_display(&self.place, self.model, self.power, shown_lots, now_ns)
        return self.place.ahead_lots

    def printed(self, int64_t lots, int64_t now_ns=0):
        """A trade of `lots` at our price; returns how much of it reaches us."""
        return place_on_print(&self.place, lots, now_ns)

    def left(self, int64_t lots, int64_t now_ns=0, bint may_be_traded=True):
        """l3: so much has left from ahead of us; returns lots ahead of us."""
        place_on_departure(&self.place, lots, may_be_traded, now_ns)
        return self.place.ahead_lots

    @property
    def ahead_lots(self):
        return self.place.ahead_lots
