# Step 2 of the path for Coinbase, Exchange (ws-feed) and Advanced Trade alike: frame bytes to input records. Hot; owned by
# the engine's thread.
#
# Two readers of the same messages: a scanner (coinbase_scan.pxd) that knows the exact text Coinbase sends for its hottest ones
# (book, trade, ticker, and the opening snapshot of 5 MB), and the tape for every other key order, message and surprise.
# Whatever the scanner takes, the tape would have decoded to the same records
# (tests/ext/tickpath/venues/test_coinbase_decode_differential.py).
from libc.stdint cimport int64_t, uint8_t

from tickpath.market.instruments cimport InstrumentTable
from tickpath.venues.batch cimport DecodeBatch, FrameView

# ---- hot
# Decode one frame into `batch`. Returns Status; on anything but STATUS_OK the batch holds no record. Of an Advanced Trade
# message batch.last_update_id is sequence_num + 1 whatever becomes of it, as long as that number can be read.
cdef int coinbase_decode(void* self, const FrameView* frame, DecodeBatch* batch) noexcept nogil

# ---- cold
# A CoinbaseDecoder (coinbase_records.pxd, which only C++ modules can include); NULL when memory is short.
cdef void* coinbase_decoder_new(uint8_t venue, uint8_t venue_slot, const InstrumentTable* instruments, int64_t max_frame_bytes,
                                bint use_scanner) noexcept nogil
cdef void coinbase_decoder_free(void* self) noexcept nogil
