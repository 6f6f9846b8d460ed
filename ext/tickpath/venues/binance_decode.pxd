# Step 2 of the path for Binance (spot, USD-M futures): frame bytes to input records. Hot; owned by the engine's thread.
#
# Two readers of the same messages: a scanner that knows the exact text Binance sends for its hottest messages
# (binance_scan*.pxd), and the general way (binance_general) for every other key order, message and surprise. Whatever the
# scanner takes, the general way would have decoded to the same records (tests/ext/tickpath/venues/
# test_binance_decode_differential.py).
from libc.stdint cimport int64_t, uint8_t

from tickpath.market.instruments cimport InstrumentTable
from tickpath.venues.batch cimport DecodeBatch, FrameView
from tickpath.venues.binance_state cimport BinanceDecoder

# ---- hot
# Decode one frame of the spot market, or of futures, into `batch`. Returns Status; on anything but STATUS_OK the batch holds no
# record.
cdef int binance_decode(void* self, const FrameView* frame, DecodeBatch* batch) noexcept nogil
cdef int binance_futures_decode(void* self, const FrameView* frame, DecodeBatch* batch) noexcept nogil

# ---- cold
cdef BinanceDecoder* binance_decoder_new(uint8_t venue, uint8_t venue_slot, const InstrumentTable* instruments,
                                         const char* id_prefix, int64_t max_frame_bytes, bint use_scanner) noexcept nogil
cdef void binance_decoder_free(void* self) noexcept nogil
