"""Latency to the simulated venue and back: constant, or from a file of samples, with jitter from a seed (see latency.pxd)."""
import csv
import json
from pathlib import Path

from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from tickpath.types cimport int128

import numpy as np

KINDS = {"constant": LATENCY_CONSTANT, "interpolated": LATENCY_INTERPOLATED, "drawn": LATENCY_DRAWN}
SAMPLES_MAX = 10_000_000
FILE_BYTES_MAX = 1 << 30
LONGEST_NS = 3_600_000_000_000


cdef inline uint64_t next_random(LatencyModel* l) noexcept nogil:
    cdef uint64_t z
    l.random_state += 0x9E3779B97F4A7C15ULL
    z = l.random_state
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL
    return z ^ (z >> 31)


cdef inline int64_t below(LatencyModel* l, int64_t n) noexcept nogil:
    """0 to n - 1. The high half of a product: a remainder would favour small numbers."""
    return <int64_t>(<uint64_t>((<int128>(next_random(l) >> 1) * n) >> 63))


cdef int64_t interpolated(LatencyModel* l, int way, int64_t now_ns) noexcept nogil:
    cdef int32_t low = 0, high = l.sample_count, middle, i = l.last_sample
    cdef const int64_t* t = l.ts_ns
    cdef const int64_t* v = l.sample_ns[way]
    if now_ns <= t[0]:
        return v[0]
    if now_ns >= t[l.sample_count - 1]:
        return v[l.sample_count - 1]
    if not (t[i] <= now_ns and now_ns < t[i + 1]):
        # The last sample at or before now_ns.
        while high - low > 1:
            middle = (low + high) // 2
            if t[middle] <= now_ns:
                low = middle
            else:
                high = middle
        i = l.last_sample = low
    return v[i] + <int64_t>(<int128>(v[i + 1] - v[i]) * (now_ns - t[i]) // (t[i + 1] - t[i]))


cdef int64_t latency_due(LatencyModel* l, int way, int64_t now_ns) noexcept nogil:
    cdef int64_t due = now_ns + l.constant_ns[way]
    if l.kind == LATENCY_INTERPOLATED:
        due = now_ns + interpolated(l, way, now_ns)
    elif l.kind == LATENCY_DRAWN:
        due = now_ns + l.sample_ns[way][below(l, l.sample_count)]
    if l.jitter_ns > 0:
        due += below(l, l.jitter_ns + 1)
    if due < l.last_due_ns[way]:
        due = l.last_due_ns[way]
    l.last_due_ns[way] = due
    return due


cdef int latency_init(LatencyModel* l, int kind, int64_t entry_ns, int64_t response_ns, int64_t jitter_ns, uint64_t seed,
                      const int64_t* ts_ns, const int64_t* entries_ns, const int64_t* responses_ns, int32_t count) noexcept nogil:
    memset(l, 0, sizeof(LatencyModel))
    l.kind = kind
    l.constant_ns[LATENCY_ENTRY] = entry_ns
    l.constant_ns[LATENCY_RESPONSE] = response_ns
    l.jitter_ns = jitter_ns
    l.last_due_ns[LATENCY_ENTRY] = l.last_due_ns[LATENCY_RESPONSE] = -0x7FFFFFFFFFFFFFFF
    # Not the venue's own stream of draws: with jitter the same orders are rejected as without.
    l.random_state = seed ^ 0x6C6174656E637921ULL
    if kind == LATENCY_CONSTANT:
        return 0
    l.sample_count = count
    l.ts_ns = copied(ts_ns, count)
    l.sample_ns[LATENCY_ENTRY] = copied(entries_ns, count)
    l.sample_ns[LATENCY_RESPONSE] = copied(responses_ns, count)
    if l.sample_ns[LATENCY_ENTRY] == NULL or l.sample_ns[LATENCY_RESPONSE] == NULL or (l.ts_ns == NULL and ts_ns != NULL):
        latency_free(l)
        return -1
    return 0


cdef int64_t* copied(const int64_t* values, int32_t count) noexcept nogil:
    cdef int64_t* p = NULL
    if values != NULL:
        p = <int64_t*>malloc(count * sizeof(int64_t))
        if p != NULL:
            memcpy(p, values, count * sizeof(int64_t))
    return p


cdef void latency_free(LatencyModel* l) noexcept nogil:
    free(l.ts_ns)
    free(l.sample_ns[LATENCY_ENTRY])
    free(l.sample_ns[LATENCY_RESPONSE])
    l.ts_ns = NULL
    l.sample_ns[LATENCY_ENTRY] = NULL
    l.sample_ns[LATENCY_RESPONSE] = NULL


# ---- files of samples

def load_latency(path):
    """Samples of a latency file.

    Parameters: path : a CSV file (.csv) with a header, a JSON file (.json, .jsonl) or a NumPy file (.npz, .npy).
                Names in a CSV header, a JSON object or a structured array, all in ns: entry_ns and response_ns, with ts_ns where
                the samples have times; or req_ts, exch_ts and resp_ts (sent, at the venue, answered; as in hftbacktest).
                JSON: a list of objects, one object a line, or one object of lists. Where an object gives {"p50": …, "p99": …}
                for a name, the samples are 1,000 evenly spaced points of the distribution that these quantiles draw.
    Returns: (ts_ns, entry_ns, response_ns), int64 arrays of one length, sorted by time; ts_ns is None where there are no times.
    Errors: ValueError naming file, place, what was expected and what was found.
    """
    path = Path(path)
    try:
        return _load(path)
    except OSError as error:
        raise ValueError(f"{path}: expected a readable file of latency samples: {error.strerror}") from None


def _load(path):
    if path.stat().st_size > FILE_BYTES_MAX:
        raise ValueError(f"{path}: expected at most {FILE_BYTES_MAX} bytes, found {path.stat().st_size}")
    if path.suffix == ".csv":
        columns = _csv_columns(path)
    elif path.suffix in (".json", ".jsonl"):
        columns = _json_columns(path)
    elif path.suffix in (".npz", ".npy"):
        columns = _numpy_columns(path)
    else:
        raise ValueError(f"{path}: expected a .csv, .json, .jsonl, .npz or .npy file")
    return _samples(path, columns)


def _csv_columns(path):
    with open(path, newline="", encoding="utf-8") as file:
        rows = csv.reader(file)
        names = [name.strip() for name in next(rows, [])]
        columns = {name: [] for name in names}
        for row in rows:
            if not row:
                continue
            if len(row) != len(names):
                raise ValueError(f"{path}:{rows.line_num}: expected {len(names)} values as in the header, found {len(row)}")
            for name, text in zip(names, row):
                columns[name].append(text)
    return columns


def _json_columns(path):
    text = path.read_text(encoding="utf-8")
    try:
        if path.suffix == ".jsonl":
            value = [json.loads(line) for line in text.splitlines() if line.strip()]
        else:
            value = json.loads(text)
    except ValueError as error:
        raise ValueError(f"{path}: expected JSON: {error}") from None
    if isinstance(value, list):
        if not all(isinstance(row, dict) for row in value):
            raise ValueError(f"{path}: expected a list of objects")
        names = list(value[0]) if value else []
        for n, row in enumerate(value):
            if list(row) != names:
                raise ValueError(f"{path}: object {n}: expected {names}, found {list(row)}")
        return {name: [row[name] for row in value] for name in names}
    if not isinstance(value, dict):
        raise ValueError(f"{path}: expected an object or a list of objects, found {type(value).__name__}")
    return {name: _of_quantiles(path, name, column) if isinstance(column, dict) else column for name, column in value.items()}


def _of_quantiles(path, name, quantiles):
    points = {}
    for key, ns in quantiles.items():
        share = {"min": 0.0, "max": 1.0}.get(key)
        if share is None and key.startswith("p") and key[1:].replace(".", "", 1).isdigit():
            # p50, p99.9 and, as histograms write it, p999.
            number = key[1:]
            share = float(number) / (100 if "." in number or len(number) <= 2 else 10 ** len(number))
            if number == "100":
                share = 1.0
        if share is None:
            continue
        points[share] = ns
    if len(points) < 2:
        raise ValueError(f"{path}: {name}: expected at least two of min, p50, p90, p99, p99.9, max, found {sorted(quantiles)}")
    shares = sorted(points)
    return np.rint(np.interp((np.arange(1000) + 0.5) / 1000, shares, [float(points[s]) for s in shares])).astype(np.int64)


def _numpy_columns(path):
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            data = loaded
        else:
            data = loaded[loaded.files[0]] if len(loaded.files) == 1 else {name: loaded[name] for name in loaded.files}
    except (ValueError, OSError, EOFError) as error:
        raise ValueError(f"{path}: expected a NumPy file: {error}") from None
    if isinstance(data, dict):
        return data
    if data.dtype.names is None:
        raise ValueError(f"{path}: expected a structured array with named columns, found {data.dtype}")
    return {name: data[name] for name in data.dtype.names}


def _samples(path, columns):
    if {"entry_ns", "response_ns"} <= set(columns):
        entry, response = _numbers(path, columns, "entry_ns"), _numbers(path, columns, "response_ns")
        times = _numbers(path, columns, "ts_ns") if "ts_ns" in columns else None
    elif {"req_ts", "exch_ts", "resp_ts"} <= set(columns):
        times, arrived, answered = (_numbers(path, columns, name) for name in ("req_ts", "exch_ts", "resp_ts"))
        if not len(times) == len(arrived) == len(answered):
            raise ValueError(f"{path}: expected columns of one length, found {len(times)}, {len(arrived)}, {len(answered)}")
        # An order that got no answer has 0 there.
        known = (arrived > 0) & (answered > 0)
        times, entry, response = times[known], (arrived - times)[known], (answered - arrived)[known]
    else:
        raise ValueError(f"{path}: expected columns entry_ns and response_ns (and ts_ns), or req_ts, exch_ts and resp_ts; "
                         f"found {sorted(columns)}")
    if len(entry) != len(response) or (times is not None and len(times) != len(entry)):
        raise ValueError(f"{path}: expected columns of one length, found {len(entry)} entry_ns, {len(response)} response_ns"
                         + (f", {len(times)} ts_ns" if times is not None else ""))
    if not 1 <= len(entry) <= SAMPLES_MAX:
        raise ValueError(f"{path}: expected 1 to {SAMPLES_MAX} samples, found {len(entry)}")
    for name, values in (("entry", entry), ("response", response)):
        bad = np.flatnonzero((values < 0) | (values > LONGEST_NS))
        if len(bad):
            raise ValueError(f"{path}: sample {bad[0]}: expected a latency of 0 ns to an hour for the {name}, "
                             f"found {values[bad[0]]}")
    if times is not None:
        order = np.argsort(times, kind="stable")
        times, entry, response = times[order], entry[order], response[order]
        # Between two samples of one time nothing can be interpolated: the last one counts.
        last = np.append(times[1:] != times[:-1], True)
        times, entry, response = times[last], entry[last], response[last]
    return times, np.ascontiguousarray(entry), np.ascontiguousarray(response)


def _numbers(path, columns, name):
    values = columns[name]
    try:
        array = np.asarray(values)
        if array.ndim != 1:
            raise ValueError("not a list")
        if array.dtype.kind in "US":
            array = np.array([int(text) for text in values], np.int64)
        elif array.dtype.kind not in "iu":
            if array.dtype.kind != "f" or not np.all(np.isfinite(array)) or np.any(np.abs(array) > 2 ** 62):
                raise ValueError("not numbers")
            array = np.rint(array)
        return array.astype(np.int64)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{path}: {name}: expected whole numbers of ns") from None


cdef class Latency:
    """A latency model by hand: what a message sent at a time would take.

    Parameters: kind : "constant", "interpolated" or "drawn".  entry_ns, response_ns : of "constant".  jitter_ns : up to so much
                more.  seed : of the draws.  samples : (ts_ns, entry_ns, response_ns) as `load_latency` gives them.
    """
    cdef LatencyModel model

    def __init__(self, str kind="constant", *, int64_t entry_ns=0, int64_t response_ns=0, int64_t jitter_ns=0, seed=1,
                 samples=None):
        latency_free(&self.model)
        latency_from(&self.model, kind, entry_ns, response_ns, jitter_ns, seed, samples)

    def __dealloc__(self):
        latency_free(&self.model)

    def entry(self, int64_t now_ns):
        """When a request sent at now_ns reaches the venue."""
        return latency_due(&self.model, LATENCY_ENTRY, now_ns)

    def response(self, int64_t now_ns):
        """When an answer that the venue makes at now_ns reaches us."""
        return latency_due(&self.model, LATENCY_RESPONSE, now_ns)


cdef int latency_from(LatencyModel* l, str kind, int64_t entry_ns, int64_t response_ns, int64_t jitter_ns, seed,
                      samples) except -1:
    """Set a model up from Python. ValueError when kind and samples do not go together."""
    cdef const int64_t[::1] ts, entries, responses
    cdef const int64_t* first = NULL
    cdef uint64_t state = <uint64_t>(<object>seed & 0xFFFFFFFFFFFFFFFF)
    if kind not in KINDS:
        raise ValueError(f"latency model: expected one of {sorted(KINDS)}, found {kind!r}")
    if min(entry_ns, response_ns, jitter_ns) < 0:
        raise ValueError(f"latencies: expected at least 0 ns, found {entry_ns}, {response_ns}, {jitter_ns}")
    if kind == "constant":
        latency_init(l, LATENCY_CONSTANT, entry_ns, response_ns, jitter_ns, state, NULL, NULL, NULL, 0)
        return 0
    if samples is None:
        raise ValueError(f"latency model {kind}: expected samples")
    entries = np.ascontiguousarray(samples[1], np.int64)
    responses = np.ascontiguousarray(samples[2], np.int64)
    if kind == "interpolated":
        if samples[0] is None:
            raise ValueError("latency model interpolated: expected samples with times (ts_ns)")
        ts = np.ascontiguousarray(samples[0], np.int64)
        if ts.shape[0] != entries.shape[0]:
            raise ValueError("samples: expected arrays of one length")
        first = &ts[0]
    if entries.shape[0] != responses.shape[0] or entries.shape[0] == 0:
        raise ValueError("samples: expected arrays of one length, at least 1")
    if latency_init(l, KINDS[kind], entry_ns, response_ns, jitter_ns, state, first, &entries[0], &responses[0],
                    <int32_t>entries.shape[0]) != 0:
        raise MemoryError()
    return 0
