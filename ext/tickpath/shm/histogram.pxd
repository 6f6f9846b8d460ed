# Latency histograms in the HDR layout: 64 linear buckets, then 64 for every power of two (at most 1.6 % wide). Hot.
#
# One writer (the engine) increments; readers may see a count one behind, never a torn one (64-bit stores).
from libc.stdint cimport uint64_t

from tickpath.decimal cimport clz64

cdef enum: HISTOGRAM_BUCKETS = 2048   # values up to 2^37

cdef struct Histogram:
    uint64_t max_value
    uint64_t reserved[7]
    uint64_t counts[2048]

cdef inline uint64_t histogram_index(uint64_t v) noexcept nogil:
    cdef int shift
    if v < 64:
        return v
    shift = 57 - clz64(v)
    if shift > 30:
        return HISTOGRAM_BUCKETS - 1
    return (<uint64_t>(shift + 1) << 6) + ((v >> shift) & 63)

cdef inline void histogram_record(Histogram* h, uint64_t v) noexcept nogil:
    h.counts[histogram_index(v)] += 1
    if v > h.max_value:
        h.max_value = v
