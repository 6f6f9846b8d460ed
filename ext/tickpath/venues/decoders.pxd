# One decoder for each of our venues: step 2 of the path behind one call. Hot call, cold making; owned by the engine.
from libc.stdint cimport int64_t, uint8_t

from tickpath.market.instruments cimport InstrumentTable
from tickpath.venues.batch cimport DecodeBatch, FrameView

# Frame to records. Returns Status; on anything but STATUS_OK the batch holds no record.
ctypedef int (*decode_fn)(void* self, const FrameView* frame, DecodeBatch* batch) noexcept nogil

cdef struct Decoder:
    decode_fn decode
    void* self
    void (*free)(void* self) noexcept nogil
    uint8_t venue                 # VenueId

# ---- cold
# The decoder of a venue's messages for the instruments of one of our venues. 0, or -1 when memory is short or the venue has none.
cdef int decoder_new(Decoder* d, uint8_t venue, uint8_t venue_slot, const InstrumentTable* instruments, const char* id_prefix,
                     int64_t max_frame_bytes, bint use_scanner) noexcept nogil
cdef void decoder_free(Decoder* d) noexcept nogil
