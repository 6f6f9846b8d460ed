# What a client or the venue sets about margin. Cold; owned by the exchange's thread. Each returns a MarginReason.
from libc.stdint cimport int64_t, uint32_t

from tickpath.sim.core cimport SimExchange
from tickpath.types cimport int128

# Make x hold perpetuals. False: no memory.
cdef bint margin_attach(SimExchange* x) noexcept nogil
# An instrument of the core becomes a perpetual with one bracket without a cap.
cdef int margin_add_instrument(SimExchange* x, int instrument, int64_t tick_e8) noexcept nogil
# caps_units and max_leverages as long as rates_e8: caps rise, rates rise, leverages fall.
cdef int margin_set_brackets(SimExchange* x, int instrument, const int64_t* caps_units, const int64_t* max_leverages,
                             const int64_t* rates_e8, int count) noexcept nogil
cdef int margin_set_leverage(SimExchange* x, uint32_t account, int instrument, int leverage) noexcept nogil
cdef int margin_set_type(SimExchange* x, uint32_t account, int instrument, bint isolated) noexcept nogil
cdef int margin_set_mode(SimExchange* x, uint32_t account, bint hedge) noexcept nogil
# units > 0 from the cross wallet to the leg's, < 0 back.
cdef int margin_move_isolated(SimExchange* x, uint32_t account, int instrument, int position_side, int64_t units) noexcept nogil
# What may be taken out of an isolated leg.
cdef int128 margin_isolated_excess(SimExchange* x, uint32_t account, int instrument, int leg) noexcept nogil
# units > 0 from the spot balance to the margin wallet, < 0 back.
cdef int margin_transfer(SimExchange* x, uint32_t account, int asset, int64_t units) noexcept nogil
