# What a decoder makes of one frame: input records ready for the ring. Hot; owned by the engine, reused for each frame.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from tickpath.types cimport (
    DELTA_CHECKSUM, DELTA_FIRST, DELTA_LAST, DELTA_NO_LEVEL, EV_BOOK_DELTA, INSTRUMENT_NONE, PRICE_TICKS_NONE, TS_NONE,
    BookDelta, Slot,
)

cdef enum: BATCH_SLOTS = 65536        # Coinbase opens a stream with the whole book: 46,000 levels in the recorded one

cpdef enum MessageKind:
    MESSAGE_NONE = 0
    MESSAGE_QUOTE = 1
    MESSAGE_TRADE = 2
    MESSAGE_BOOK_DELTA = 3
    MESSAGE_SNAPSHOT = 4
    MESSAGE_BAR = 5
    MESSAGE_EXEC_REPORT = 6
    MESSAGE_OTHER = 7                 # replies, heartbeats, statuses, reference prices

cdef struct FrameView:
    const char* data                  # FRAME_PADDING more bytes must be readable behind data + size
    int64_t size
    int64_t ts_recv_ns
    uint32_t instrument_hint          # of a REST body that does not name its instrument, else INSTRUMENT_NONE
    uint16_t venue_slot               # which of our venues, and so whose decoder
    uint16_t connection               # which of its connections; a REST body has the one it was asked for by

cdef enum: FRAME_PADDING = 64         # simdjson and the scanner read past the end, never act on it

cdef struct DecodeBatch:
    Slot* slots                       # BATCH_SLOTS of them
    int32_t count                     # slots used
    int32_t kind                      # MessageKind
    int32_t by_scanner                # 1 when the fast scanner took it, 0 when simdjson did
    uint32_t instrument
    int64_t ts_venue_ns
    uint64_t last_update_id           # of a quote, or the connection's own sequence
    uint32_t level_count              # level changes of a delta or snapshot
    uint32_t skipped_count            # elements that were left out because one word in them is unknown

# ---- for decoders
cdef inline void batch_clear(DecodeBatch* batch) noexcept nogil:
    batch.count = 0
    batch.kind = MESSAGE_NONE
    batch.instrument = INSTRUMENT_NONE
    batch.last_update_id = 0
    batch.level_count = 0
    batch.skipped_count = 0
    batch.ts_venue_ns = TS_NONE
    batch.by_scanner = 0

cdef inline void slot_open(Slot* s, uint8_t kind, uint8_t venue, uint32_t instrument, int64_t ts_recv_ns, int64_t ts_venue_ns,
                           int flags) noexcept nogil:
    s.ts_recv_ns = ts_recv_ns
    s.ts_venue_ns = ts_venue_ns
    s.instrument = instrument
    s.type = kind
    s.venue = venue
    s.flags = <unsigned short>flags

# Marks the first and last of the book records from `first` on, which are one message; one without a level gets a record that
# carries its ids.
cdef inline void batch_close_book(DecodeBatch* batch, int32_t first, uint8_t venue, uint32_t instrument, int64_t ts_recv_ns,
                                  int64_t ts_venue_ns, int flags, uint64_t first_id, uint64_t last_id) noexcept nogil:
    cdef BookDelta* b
    batch.level_count += batch.count - first
    if batch.count == first:
        b = <BookDelta*>(batch.slots + first)
        slot_open(<Slot*>b, EV_BOOK_DELTA, venue, instrument, ts_recv_ns, ts_venue_ns, flags | DELTA_NO_LEVEL)
        b.price_ticks = PRICE_TICKS_NONE
        b.qty_lots = 0
        b.first_update_id = first_id
        b.last_update_id = last_id
        batch.count = first + 1
    batch.slots[first].flags |= DELTA_FIRST
    batch.slots[batch.count - 1].flags |= DELTA_LAST

# The same with the venue's checksum of the book after this message, as one more record at its end.
cdef inline void batch_close_book_checked(DecodeBatch* batch, int32_t first, uint8_t venue, uint32_t instrument,
                                          int64_t ts_recv_ns, int64_t ts_venue_ns, int flags, uint64_t first_id,
                                          uint64_t last_id, int64_t checksum) noexcept nogil:
    cdef BookDelta* b = <BookDelta*>(batch.slots + batch.count)
    batch.level_count += batch.count - first
    slot_open(<Slot*>b, EV_BOOK_DELTA, venue, instrument, ts_recv_ns, ts_venue_ns, flags | DELTA_NO_LEVEL | DELTA_CHECKSUM)
    b.price_ticks = checksum
    b.qty_lots = 0
    b.first_update_id = first_id
    b.last_update_id = last_id
    batch.count += 1
    batch.slots[first].flags |= DELTA_FIRST
    batch.slots[batch.count - 1].flags |= DELTA_LAST
