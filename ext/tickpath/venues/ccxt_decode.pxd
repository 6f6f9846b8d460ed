# Frames of our own workers to input records: market data that ccxt, or a REST poll, brought and a worker normalised. Warm; no
# state of its own; owned by the engine. The text of the layout, and its encoder, are venues/ccxt_frame.py.
from libc.stdint cimport int64_t, uint8_t

from tickpath.market.instruments cimport InstrumentTable
from tickpath.venues.batch cimport DecodeBatch, FrameView

# Ids of worker frames begin here: above those of every venue, so that where both feed one instrument in turn they never mix.
cdef extern from *:
    """
    #define TP_WORKER_SEQUENCE_BASE (1ULL << 62)
    """
    const unsigned long long WORKER_SEQUENCE_BASE "TP_WORKER_SEQUENCE_BASE"

# ---- cold
# venue_slot: whose instruments the symbols of its frames name; of a fallback that is the native venue's.
cdef void* ccxt_decoder_new(uint8_t venue, uint8_t venue_slot, const InstrumentTable* instruments,
                            int64_t max_frame_bytes) noexcept nogil
cdef void ccxt_decoder_free(void* self) noexcept nogil
# ---- hot
cdef int ccxt_decode(void* self, const FrameView* frame, DecodeBatch* batch) noexcept nogil
