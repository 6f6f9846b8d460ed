# The cycle counter and its calibration. Hot: cycles_now. The engine stamps durations with it and reads no other clock.
from libc.stdint cimport int64_t, uint64_t

cdef extern from *:
    """
    #include <x86intrin.h>
    static inline unsigned long long tp_cycles_now(void) { return __rdtsc(); }
    """
    uint64_t cycles_now "tp_cycles_now"() noexcept nogil

cdef int64_t mono_now_ns() noexcept nogil
cdef int64_t epoch_now_ns() noexcept nogil
