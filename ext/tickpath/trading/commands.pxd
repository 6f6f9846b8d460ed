# Commands: who may ask for what, and which requests were answered before. Hot enough to stand between frames; owned by the
# engine's thread; a function of the journaled commands alone, so that replay answers alike.
#
# A client numbers its requests upwards. One that comes again gets the first answer again and does nothing; one that is older
# than the last ANSWERS_KEPT of its lane is refused, never done a second time.
from libc.stdint cimport uint32_t, uint64_t

from tickpath.types cimport CommandEvent

cdef enum: ANSWERS_KEPT = 64

cdef struct CommandAnswer:
    uint64_t request_id
    uint64_t holds_seq
    uint32_t reason

cdef struct LaneAnswers:
    uint64_t highest_request_id
    uint64_t count
    CommandAnswer[64] items           # of the last requests, in a circle

cdef struct CommandMemory:
    LaneAnswers[16] lanes             # by lane

# Judge a command that will be published with sequence next_seq: fills reason, holds_seq and flags. True when it is to act.
cdef bint command_judge(CommandMemory* m, CommandEvent* c, uint64_t next_seq) noexcept nogil
