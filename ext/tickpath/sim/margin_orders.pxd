# What orders do to margin: the functions that the core calls through SimFunds (core.pxd says when). Hot; the exchange's thread.
from libc.stdint cimport int64_t

from tickpath.sim.core cimport SimExchange, SimTrade
from tickpath.sim.order_queues cimport SimOrder

cdef int margin_reserve(SimExchange* x, SimOrder* o) noexcept nogil
cdef void margin_release(SimExchange* x, SimOrder* o, int64_t lots) noexcept nogil
cdef void margin_trade(SimExchange* x, SimOrder* taker, SimOrder* maker, int instrument, int taker_side, int64_t price_ticks,
                       int64_t lots, SimTrade* t) noexcept nogil
cdef int64_t margin_allowed(SimExchange* x, const SimOrder* o, int64_t lots) noexcept nogil
cdef int margin_amend(SimExchange* x, SimOrder* o, int64_t price_ticks, int64_t leaves_lots) noexcept nogil
