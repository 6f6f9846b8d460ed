# Step 2 of the path for Bybit: frame bytes to input records. Hot; owned by the engine's thread.
#
# A scanner for the exact text of books, trades and tickers (bybit_scan.pxd), the JSON tape for every other key order, message
# and surprise. Whatever the scanner takes, the tape decodes to the same records
# (tests/ext/tickpath/venues/test_bybit_decode_differential.py).
from libc.stdint cimport int64_t, uint8_t

from tickpath.market.instruments cimport InstrumentTable
from tickpath.venues.batch cimport DecodeBatch, FrameView

cdef struct BybitDecoder

# ---- hot
# Decode one frame into `batch`. Returns Status; on anything but STATUS_OK the batch holds no record.
cdef int bybit_decode(void* self, const FrameView* frame, DecodeBatch* batch) noexcept nogil

# ---- cold
cdef BybitDecoder* bybit_decoder_new(uint8_t venue, uint8_t venue_slot, const InstrumentTable* instruments,
                                     int64_t max_frame_bytes, bint use_scanner) noexcept nogil
cdef void bybit_decoder_free(void* self) noexcept nogil
