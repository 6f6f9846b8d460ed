"""Clocks: monotonic and epoch nanoseconds, the cycle counter (TSC) and its rate.

The engine itself reads none of these but the cycle counter, and that only to measure; receive times are stamped by
whoever hands it an input.
"""
from posix.time cimport CLOCK_MONOTONIC, CLOCK_REALTIME, clock_gettime, timespec


cdef int64_t mono_now_ns() noexcept nogil:
    cdef timespec t
    clock_gettime(CLOCK_MONOTONIC, &t)
    return <int64_t>t.tv_sec * 1000000000 + t.tv_nsec


cdef int64_t epoch_now_ns() noexcept nogil:
    cdef timespec t
    clock_gettime(CLOCK_REALTIME, &t)
    return <int64_t>t.tv_sec * 1000000000 + t.tv_nsec


def mono_ns():
    """The monotonic clock, ns; of the same kind as in the listeners."""
    return mono_now_ns()


def epoch_ns():
    """The wall clock, ns since 1970."""
    return epoch_now_ns()


def read_cycles():
    """The cycle counter now (TSC)."""
    return cycles_now()


def calibrate_cycles_per_ns(int64_t duration_ns=20_000_000):
    """TSC cycles per nanosecond, measured against the monotonic clock over `duration_ns` (default 20 ms)."""
    cdef int64_t t0, t1
    cdef uint64_t c0, c1
    with nogil:
        t0 = mono_now_ns()
        c0 = cycles_now()
        t1 = t0
        while t1 - t0 < duration_ns:
            t1 = mono_now_ns()
        c1 = cycles_now()
    return (c1 - c0) / <double>(t1 - t0)
