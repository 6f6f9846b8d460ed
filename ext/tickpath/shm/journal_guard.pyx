"""What the state of the journal allows; see journal_guard.pxd."""
from tickpath.shm.atomics cimport load_acquire_u64
from tickpath.types cimport (
    REASON_JOURNAL_BEHIND, REASON_JOURNAL_FAILED, REASON_JOURNAL_LAPPED, REASON_JOURNAL_SILENT, REASON_OK,
    TRADING_CANCEL_ONLY, TRADING_NORMAL, TRADING_REDUCE_ONLY,
)

cdef enum: STATE_FAILED = 3                # of the journal's page


cdef bint journal_guard_look(JournalGuard* g, uint64_t next_seq, int64_t mono_ns) noexcept nogil:
    cdef int32_t allowed = TRADING_NORMAL, reason = REASON_OK
    cdef int64_t last_sign_ns = g.since_mono_ns
    cdef uint64_t state = 0
    if g.latched:
        if g.written != NULL:
            g.lag_slots = next_seq - 1 - load_acquire_u64(g.written)           # P2, see P1
        return False
    if g.written != NULL:
        state = load_acquire_u64(g.state)                                      # P2, see P1
        last_sign_ns = <int64_t>load_acquire_u64(g.heartbeat)                  # P2, see P1
        g.synced_seq = load_acquire_u64(g.synced)                              # P2, see P1
        g.lag_slots = next_seq - 1 - load_acquire_u64(g.written)               # P2, see P1
    if state == STATE_FAILED:
        allowed, reason = TRADING_CANCEL_ONLY, REASON_JOURNAL_FAILED
        g.latched = 1
    elif g.lag_slots > g.slot_count:
        allowed, reason = TRADING_CANCEL_ONLY, REASON_JOURNAL_LAPPED
        g.latched = 1
    elif mono_ns - last_sign_ns > g.timeout_ns:
        allowed, reason = TRADING_CANCEL_ONLY, REASON_JOURNAL_SILENT
    elif g.by_lag:
        if g.lag_slots > g.slot_count >> 1:
            allowed, reason = TRADING_CANCEL_ONLY, REASON_JOURNAL_BEHIND
        elif g.lag_slots > g.slot_count >> 2:
            # Not less strict than before while it catches up, so that the state does not flap.
            allowed, reason = TRADING_REDUCE_ONLY, REASON_JOURNAL_BEHIND
            if g.reason == REASON_JOURNAL_BEHIND and g.allowed > allowed:
                allowed = g.allowed
        elif g.lag_slots > g.slot_count >> 3 and g.reason == REASON_JOURNAL_BEHIND:
            allowed, reason = g.allowed, g.reason
    if allowed == g.allowed and reason == g.reason:
        return False
    g.allowed, g.reason = allowed, reason
    return True
