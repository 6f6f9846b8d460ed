# Step 8: orders to Binance WebSocket API requests, in a reused buffer. Hot; owned by the engine's thread.
#
# After `session.logon` a request carries neither apiKey nor signature
# (github.com/binance/binance-spot-api-docs, web-socket-api.md, "Authentication", seen 2025-10).
from libc.stdint cimport int32_t, int64_t, uint64_t

from tickpath.market.instruments cimport Instrument
from tickpath.trading.orders cimport Order

cdef enum: ENCODE_HEAD_BYTES = 16     # writable bytes in front of the text: a WebSocket header is put there in place
cdef enum: ENCODE_TEXT_BYTES = 496

cdef struct EncodeBuffer:
    char[16] head
    char[496] text
    int32_t size                      # bytes of text

# The request that places `o`; client_order_id is 18 characters. Returns the bytes of text.
cdef int binance_encode_order(EncodeBuffer* b, const Order* o, const Instrument* item, const char* client_order_id,
                              int64_t now_ns) noexcept nogil
# The request that cancels the order with this client order id.
cdef int binance_encode_cancel(EncodeBuffer* b, const Instrument* item, const char* client_order_id,
                               int64_t now_ns) noexcept nogil
