# Where a resting order stands in the queue of its price, as far as the recorded market lets one know. Hot; stateless: the
# place is kept in the order itself. What each model assumes is said in a trader's words in docs/simulation.md.
#
# A place hears of three things: prints at its price (place_on_print), another displayed quantity there (place_on_display),
# and, where the feed is order by order, what leaves from ahead of it (place_on_departure). A trade shows itself twice, as a
# print and as a smaller display, in either order; all models but QUEUE_PESSIMISTIC count it once:
#   print first    `traded_lots` is what prints have taken that the display does not show yet; the next decrease is first of all
#                  that, and only the rest of it is cancels.
#   display first  `left_lots` is the decrease for which no print has come, `credit_lots` what it took from ahead; a print
#                  within SETTLE_NS is first of all that, and what is credited is not taken from ahead again.
# The share models are those of the literature: a decrease falls ahead of us with weight f(ahead) and behind us with weight
# f(behind); f(x) = x, x^n or log(1 + x).
#   https://rigtorp.se/2013/06/08/estimating-order-queue-position.html
#   https://quant.stackexchange.com/questions/3782/how-do-we-estimate-position-of-our-order-in-order-book
#   https://hftbacktest.readthedocs.io/en/latest/order_fill.html (seen 2026-11; it names the two above as its sources)
from libc.stdint cimport int64_t, uint32_t, uint64_t

cpdef enum QueueModel:
    QUEUE_MODEL_INVALID = 0
    QUEUE_PESSIMISTIC = 1             # cancels come from behind us as far as they can
    QUEUE_PROPORTIONAL = 2            # f(x) = x
    QUEUE_POWER = 3                   # f(x) = x^n
    QUEUE_LOG = 4                     # f(x) = log(1 + x)
    QUEUE_L3 = 5                      # order by order; proportional where the feed is not
    QUEUE_OPTIMISTIC = 6              # cancels come from ahead of us as far as they can

cdef enum: SETTLE_NS = 20_000_000     # a print and the display that it changes reach us within so long of each other

cdef struct QueuePlace:
    int64_t ahead_lots                # displayed quantity that is served before us
    int64_t shown_lots                # displayed at our price when we last looked
    int64_t traded_lots               # of prints that the display does not show yet (l3: that no departure has told yet)
    int64_t left_lots                 # of a decrease (l3: of departures) for which no print has come yet
    int64_t credit_lots               # what of `left_lots` was taken from ahead
    int64_t left_ns                   # when
    double carry                      # 0..1 lot: what the shares came to beyond whole lots
    uint64_t number                   # l3: the how manieth to join; 0 = not followed order by order

cdef inline void place_begin(QueuePlace* p, int64_t ahead_lots) noexcept nogil:
    p.ahead_lots = p.shown_lots = ahead_lots
    p.traded_lots = p.left_lots = p.credit_lots = p.left_ns = 0
    p.carry = 0
    p.number = 0

# Display ahead of us was taken by another order of the simulation.
cdef inline void place_serve(QueuePlace* p, int64_t lots) noexcept nogil:
    p.ahead_lots -= lots if lots < p.ahead_lots else p.ahead_lots

# A print of `lots` at our price against our side: how much of it reaches us.
cdef inline int64_t place_on_print(QueuePlace* p, int64_t lots, int64_t now_ns) noexcept nogil:
    cdef int64_t same = 0, credit = 0, ahead
    if p.left_lots > 0:
        if now_ns - p.left_ns <= SETTLE_NS:
            same = lots if lots < p.left_lots else p.left_lots
            credit = p.credit_lots if same == p.left_lots else share_of(p.credit_lots, same, p.left_lots)
            p.left_lots -= same
            p.credit_lots -= credit
        else:
            p.left_lots = p.credit_lots = 0
    if p.number != 0:
        # Order by order, it is the departures that shorten the queue; the print only says what is due to leave.
        lots -= same
        ahead = p.ahead_lots - p.traded_lots
        if ahead < 0:
            ahead = 0
        p.traded_lots += lots if lots < ahead else ahead
        return lots - ahead if lots > ahead else 0
    p.traded_lots += lots - same
    lots -= credit
    ahead = p.ahead_lots
    p.ahead_lots -= lots if lots < ahead else ahead
    return lots - ahead if lots > ahead else 0

cdef inline int64_t share_of(int64_t whole, int64_t part, int64_t of) noexcept nogil:
    return <int64_t>(<double>whole * <double>part / <double>of)

# The displayed quantity at our price is `shown_lots` now.
cdef void place_on_display(QueuePlace* p, int model, double power, int64_t shown_lots, int64_t now_ns) noexcept nogil
# Order by order: `lots` have left from ahead of us. may_be_traded: by a trade whose print may come after it.
cdef void place_on_departure(QueuePlace* p, int64_t lots, bint may_be_traded, int64_t now_ns) noexcept nogil
# 2^x and log2 x by IEEE arithmetic alone, so the same on every machine.
cdef double repeatable_exp2(double x) noexcept nogil
cdef double repeatable_log2(double x) noexcept nogil
