"""Percentiles of a latency histogram: bucket midpoints, exact maximum."""
import numpy as np


def bucket_midpoints():
    """The middle of every bucket, in the unit recorded: float64[2048]."""
    index = np.arange(HISTOGRAM_BUCKETS)
    shift = np.maximum(index // 64 - 1, 0)
    low = np.where(index < 64, index, (64 + index % 64) * (2.0 ** shift))
    return low + np.where(index < 64, 0.0, (2.0 ** shift - 1) / 2)


def summarise(counts, max_value, scale=1.0):
    """{n, p50_ns, p90_ns, p99_ns, p999_ns, max_ns} of bucket counts; `scale` converts the recorded unit to ns."""
    counts = np.asarray(counts)
    n = int(counts.sum())
    result = {"n": n}
    total = np.cumsum(counts)
    middle = bucket_midpoints()
    for name, q in (("p50_ns", 0.5), ("p90_ns", 0.9), ("p99_ns", 0.99), ("p999_ns", 0.999)):
        if n == 0:
            result[name] = None
            continue
        bucket = int(np.searchsorted(total, q * n, side="left"))
        result[name] = round(float(min(middle[bucket], max_value) * scale), 1)
    result["max_ns"] = round(float(max_value * scale), 1) if n else None
    return result


def index_of(uint64_t value):
    """The bucket of a value, as the engine chooses it."""
    return histogram_index(value)
