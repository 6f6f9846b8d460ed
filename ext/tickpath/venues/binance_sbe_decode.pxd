# Binance's binary market data streams (SBE) to input records: numbers at known places, no text. Hot; no state of its own.
from tickpath.venues.batch cimport DecodeBatch, FrameView
from tickpath.venues.binance_state cimport BinanceDecoder

# Whether a frame is binary: it opens with a block's length, less than 256 bytes, and no JSON text has a zero byte.
cdef inline bint is_sbe(const FrameView* frame) noexcept nogil:
    return frame.size >= 8 and frame.data[1] == 0 and frame.data[0] != 123 and frame.data[0] != 91

# Returns Status; `batch` has been cleared. On anything but STATUS_OK its count means nothing.
cdef int binance_sbe_decode(const BinanceDecoder* d, const FrameView* frame, DecodeBatch* batch) noexcept nogil
