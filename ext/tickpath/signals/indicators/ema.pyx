"""Exponential moving average.

Seed: the first value. alpha = 2 / (period + 1). NaN until `period` values have been seen.
Source: the recursion as in Hunter, "The Exponentially Weighted Moving Average", J. Quality Technology 18 (1986).
"""
import numpy as np


cdef class EMA:
    """Streaming form: `update(x)` returns the average, NaN until `warmup()` updates have been seen.

    Parameters: period : int, updates, >= 1.  Errors: ValueError if period < 1.
    State: 2 float64 and a count.  Cost: O(1), no allocation besides the returned float.
    """
    def __cinit__(self, int64_t period):
        if period < 1:
            raise ValueError(f"period: expected at least 1, found {period}")
        ema_init(&self.state, period)

    def update(self, double x):
        return ema_update(&self.state, x)

    def warmup(self):
        """Updates before the first value that is not NaN, itself included."""
        return self.state.period

    @property
    def value(self):
        return self.state.value if ema_ready(&self.state) else NAN


def ema(x, int64_t period):
    """Batch form, from the same kernel. x : float64[n] -> float64[n] with the same NaN prefix as the streaming form.

    Errors: ValueError if period < 1.
    """
    cdef const double[::1] values = np.ascontiguousarray(x, dtype=np.float64)
    cdef Py_ssize_t i, n = values.shape[0]
    cdef EmaState s
    if period < 1:
        raise ValueError(f"period: expected at least 1, found {period}")
    result = np.empty(n, np.float64)
    cdef double[::1] out = result
    ema_init(&s, period)
    with nogil:
        for i in range(n):
            out[i] = ema_update(&s, values[i])
    return result
