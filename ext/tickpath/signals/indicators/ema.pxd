# Exponential moving average: one multiplication and two additions an update. Hot; state owned by the caller.
from libc.math cimport NAN
from libc.stdint cimport int64_t

cdef struct EmaState:
    double value
    double alpha                      # 2 / (period + 1)
    int64_t seen                      # updates so far
    int64_t period

cdef inline void ema_init(EmaState* s, int64_t period) noexcept nogil:
    s.value = 0.0
    s.alpha = 2.0 / (<double>period + 1.0)
    s.seen = 0
    s.period = period

# The new value; NaN until `period` updates have been seen. The first value seeds the average.
cdef inline double ema_update(EmaState* s, double x) noexcept nogil:
    if s.seen == 0:
        s.value = x
    else:
        s.value += s.alpha * (x - s.value)
    s.seen += 1
    return s.value if s.seen >= s.period else NAN

cdef inline bint ema_ready(const EmaState* s) noexcept nogil:
    return s.seen >= s.period

cdef class EMA:
    cdef EmaState state
