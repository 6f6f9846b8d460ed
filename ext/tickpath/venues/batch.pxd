# What a decoder makes of one frame: input records ready for the ring. Hot; owned by the engine, reused for each frame.
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

from tickpath.types cimport Slot

cdef enum: BATCH_SLOTS = 20480        # a 5,000-level snapshot of both sides fits twice

cpdef enum MessageKind:
    MESSAGE_NONE = 0
    MESSAGE_QUOTE = 1
    MESSAGE_TRADE = 2
    MESSAGE_BOOK_DELTA = 3
    MESSAGE_SNAPSHOT = 4
    MESSAGE_BAR = 5
    MESSAGE_EXEC_REPORT = 6
    MESSAGE_OTHER = 7                 # replies, heartbeats: well-formed and of no concern to the engine

cdef struct FrameView:
    const char* data                  # FRAME_PADDING more bytes must be readable behind data + size
    int64_t size
    int64_t ts_recv_ns
    uint32_t instrument_hint          # of a REST body that does not name its instrument, else INSTRUMENT_NONE

cdef enum: FRAME_PADDING = 64         # simdjson and the scanner read past the end, never act on it

cdef struct DecodeBatch:
    Slot* slots                       # BATCH_SLOTS of them
    int32_t count                     # slots used
    int32_t kind                      # MessageKind
    int32_t by_scanner                # 1 when the fast scanner took it, 0 when simdjson did
    uint32_t instrument
    int64_t ts_venue_ns
    uint64_t last_update_id           # of a quote
    uint32_t level_count              # level changes of a delta or snapshot
