# Where an instrument's data come from when its own stream fails: what the engine keeps of it. Warm; owned by the engine.
#
# Two books: the one that is shown (EngineCore.books) and a standby. While the stream is good the standby is the fallback's and
# empty; while the fallback feeds, the two are swapped, and the stream's messages go on proving their own book in the standby.
# So a poll can never overwrite what the stream knows, and the stream takes over in the very message that proves its book.
from libc.stdint cimport int32_t, int64_t, uint32_t

from tickpath.market.book cimport Book

# The connection of all frames that a fallback brings: no socket has it.
cdef enum: POLL_CONNECTION = 255

cdef struct Failover:
    int32_t configured
    int32_t active                    # the fallback feeds now
    int32_t trading                   # orders may go out on polled data
    uint32_t source                   # FeedSource of the fallback
    uint32_t venue_slot               # of the fallback's frames
    uint32_t native_connection        # while active: the one that the stream's book comes through
    int64_t after_ns                  # how long the stream is bad before the fallback takes over
    int64_t bad_since_ns              # since when it is bad, 0 = it is not
    Book standby
