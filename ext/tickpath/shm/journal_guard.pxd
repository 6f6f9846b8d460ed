# How far the journal is behind the ring, and what trading that allows. Looked at once a turn, between frames; the engine's
# thread. What it finds enters the engine as a journaled command.
#
# Reads: the journal's page (see daemon/tickpathd/journal_process.py). Writes nothing.
#   lag over a quarter of the ring: REDUCE_ONLY; over half, or no sign of life: CANCEL_ONLY; back below an eighth: NORMAL.
#   Its disk failed, or it was lapped: CANCEL_ONLY until a restart, whatever it says later.
from libc.stdint cimport int32_t, int64_t, uint64_t

cdef struct JournalGuard:
    const uint64_t* written               # shared; NULL until there is a journal
    const uint64_t* synced
    const uint64_t* state
    const uint64_t* heartbeat             # CLOCK_MONOTONIC, ns
    uint64_t slot_count                   # of the ring
    int64_t timeout_ns                    # silence that counts as dead
    int64_t since_mono_ns                 # when watching began
    int32_t by_lag                        # False where a driver outside the engine waits for the journal instead
    int32_t latched
    int32_t allowed                       # TradingState
    int32_t reason                        # Reason
    uint64_t lag_slots                    # at the last look
    uint64_t synced_seq

# True when `allowed` has changed. next_seq: of the ring's writer.
cdef bint journal_guard_look(JournalGuard* g, uint64_t next_seq, int64_t mono_ns) noexcept nogil
