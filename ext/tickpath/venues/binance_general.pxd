# The general way into Binance's messages: any key order, every kind we know, through json_tape. Called for what the scanner
# does not take. Hot enough for rare messages; owned by the engine's thread.
from tickpath.venues.batch cimport DecodeBatch, FrameView
from tickpath.venues.binance_state cimport BinanceDecoder

# Returns Status; `batch` has been cleared. On anything but STATUS_OK its count means nothing.
cdef int binance_general(BinanceDecoder* d, const FrameView* frame, DecodeBatch* batch) noexcept nogil
