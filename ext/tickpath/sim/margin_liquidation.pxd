# What prices and time do to margin: marks, funding, margin calls, liquidation. Owned by the exchange's thread; a mark is hot, the
# rest is rare. Accounts are seen to in the order of their numbers, their instruments likewise.
from libc.stdint cimport int64_t

from tickpath.sim.core cimport SimExchange
from tickpath.sim.margin cimport MarginSlot
from tickpath.types cimport int128

# The mark price of an instrument, in 1e-8 of the quote asset. Liquidates who is due, then triggers what waits for the mark.
cdef void margin_set_mark(SimExchange* x, int instrument, int64_t mark_e8, int64_t now_ns) noexcept nogil
# Longs pay shorts (rate_e8 > 0) value at mark x rate. Each amount is rounded down, a payment up; the insurance fund has the rest.
cdef void margin_fund(SimExchange* x, int instrument, int64_t rate_e8, int64_t now_ns) noexcept nogil
# SimFunds.after: see to the accounts that are watched.
cdef void margin_after(SimExchange* x, int instrument) noexcept nogil
# Price in ticks at which nothing of a leg's margin is left, rounded so that the account is not below zero; within 1 .. 2^47.
cdef int64_t bankruptcy_ticks(SimExchange* x, const MarginSlot* s, int leg) noexcept nogil
# A change of a margin wallet that is no trade and no funding.
cdef void margin_balance_event(SimExchange* x, int account, int asset, int128 change, int reason) noexcept nogil
# The insurance fund's position goes to the book, at price_ticks or better (0: at any price), what does not trade stays with it.
# Returns the lots that traded.
cdef int64_t margin_offload(SimExchange* x, int instrument, int64_t price_ticks, int64_t now_ns) noexcept nogil
