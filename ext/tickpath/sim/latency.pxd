# How long an order takes to the venue and its answer back. Hot; owned by the engine's thread; no clock: the time of sending is
# an argument, the draws come from a seed.
#
# Each way is one first-in first-out connection: whatever a model says, nothing arrives before what was sent before it on the
# same way. So the times at which things are due only rise, and two queues hold them.
from libc.stdint cimport int32_t, int64_t, uint64_t

cpdef enum LatencyModelKind:
    LATENCY_INVALID = 0
    LATENCY_CONSTANT = 1
    LATENCY_INTERPOLATED = 2          # between the samples before and after the time of sending
    LATENCY_DRAWN = 3                 # any of the samples, each as likely

cdef enum: LATENCY_ENTRY = 0          # from us to the venue
cdef enum: LATENCY_RESPONSE = 1       # from the venue to us

cdef struct LatencyModel:
    int32_t kind
    int32_t sample_count
    int64_t[2] constant_ns            # by way
    int64_t jitter_ns                 # 0 to this much more, drawn for each message
    int64_t* ts_ns                    # of the samples, rising
    int64_t* sample_ns[2]             # by way
    int32_t last_sample               # where the last look-up ended: time seldom goes back
    uint64_t random_state
    int64_t[2] last_due_ns

# When a message sent at now_ns on a way arrives.
cdef int64_t latency_due(LatencyModel* l, int way, int64_t now_ns) noexcept nogil

# ---- cold
# Takes the samples by copy; ts_ns may be NULL (LATENCY_DRAWN). -1 when memory is short.
cdef int latency_init(LatencyModel* l, int kind, int64_t entry_ns, int64_t response_ns, int64_t jitter_ns, uint64_t seed,
                      const int64_t* ts_ns, const int64_t* entries_ns, const int64_t* responses_ns, int32_t count) noexcept nogil
cdef void latency_free(LatencyModel* l) noexcept nogil
# From Python's words; `samples` as load_latency gives them, or None.
cdef int latency_from(LatencyModel* l, str kind, int64_t entry_ns, int64_t response_ns, int64_t jitter_ns, seed,
                      samples) except -1
