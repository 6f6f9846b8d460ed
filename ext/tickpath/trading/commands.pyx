"""Commands: permission, shape and repetition are judged here; what they do stands in engine.pyx."""
from tickpath.types cimport (
    COMMAND_CANCEL_ALL, COMMAND_GUARD, COMMAND_KILL, COMMAND_PING, COMMAND_REPEATED, COMMAND_SET_STATE, COMMAND_STOP,
    LANE_NONE, MAX_LANES, REASON_COMMAND_MALFORMED, REASON_COMMAND_UNKNOWN, REASON_OK, REASON_REQUEST_TOO_OLD,
    REASON_ROLE_FORBIDS, ROLE_ADMIN, ROLE_RISK, ROLE_SYSTEM, ROLE_TRADER, ROLE_VIEWER, TRADING_FLATTENING, TRADING_HALTED,
    TRADING_NORMAL,
)


# Each role may do what the ones before it may.
cdef int least_role(int kind) noexcept nogil:
    if kind == COMMAND_PING:
        return ROLE_VIEWER
    if kind == COMMAND_KILL or kind == COMMAND_CANCEL_ALL:
        return ROLE_TRADER
    if kind == COMMAND_SET_STATE:
        return ROLE_RISK
    if kind == COMMAND_STOP:
        return ROLE_ADMIN
    if kind == COMMAND_GUARD:
        return ROLE_SYSTEM
    return 0


cdef int judge_shape(const CommandEvent* c) noexcept nogil:
    cdef int least = least_role(c.kind)
    if least == 0:
        return REASON_COMMAND_UNKNOWN
    if c.role < least:
        return REASON_ROLE_FORBIDS
    if c.kind == COMMAND_SET_STATE and not TRADING_NORMAL <= c.value <= TRADING_FLATTENING:
        return REASON_COMMAND_MALFORMED
    if c.kind == COMMAND_GUARD and not TRADING_NORMAL <= c.value <= TRADING_HALTED:
        return REASON_COMMAND_MALFORMED
    return REASON_OK


cdef bint command_judge(CommandMemory* m, CommandEvent* c, uint64_t next_seq) noexcept nogil:
    cdef LaneAnswers* answers
    cdef CommandAnswer* a
    cdef uint64_t i, kept
    c.flags = 0
    c.holds_seq = next_seq
    if c.lane == LANE_NONE:
        c.reason = judge_shape(c)
        return c.reason == REASON_OK
    if c.lane >= MAX_LANES or c.request_id == 0:
        c.reason = REASON_COMMAND_MALFORMED
        return False
    answers = &m.lanes[c.lane]
    kept = answers.count if answers.count < ANSWERS_KEPT else ANSWERS_KEPT
    if c.request_id <= answers.highest_request_id:
        for i in range(kept):
            a = &answers.items[i]
            if a.request_id == c.request_id:
                c.flags = COMMAND_REPEATED
                c.reason = <unsigned short>a.reason
                c.holds_seq = a.holds_seq
                return False
        c.reason = REASON_REQUEST_TOO_OLD
        return False
    c.reason = judge_shape(c)
    answers.highest_request_id = c.request_id
    a = &answers.items[answers.count % ANSWERS_KEPT]
    answers.count += 1
    a.request_id = c.request_id
    a.holds_seq = next_seq
    a.reason = c.reason
    return c.reason == REASON_OK
