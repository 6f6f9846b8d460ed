# Step 2 of the path for Kraken spot, WebSocket v1 and v2: frame bytes to input records. Hot; owned by the engine's thread.
#
# Two readers of the same messages: a scanner that knows the exact text of the hottest ones (kraken_scan.pxd and
# kraken_scan_v1.pxd over kraken_text.pxd), and the tape for every other key order, message and surprise (kraken_decode.pyx and
# kraken_walk_v1.pxd over kraken_records.pxd). Whatever the scanner takes, the tape would have decoded to the same records
# (tests/ext/tickpath/venues/test_kraken_decode_differential.py).
from libc.stdint cimport int64_t, uint8_t

from tickpath.market.instruments cimport InstrumentTable
from tickpath.venues.batch cimport DecodeBatch, FrameView

# ---- hot
# Decode one frame into `batch`. Returns Status; on anything but STATUS_OK the batch holds no record.
cdef int kraken_decode(void* self, const FrameView* frame, DecodeBatch* batch) noexcept nogil

# ---- cold
# NULL when memory is short.
cdef void* kraken_decoder_new(uint8_t venue, uint8_t venue_slot, const InstrumentTable* instruments, int64_t max_frame_bytes,
                              bint use_scanner) noexcept nogil
cdef void kraken_decoder_free(void* self) noexcept nogil
