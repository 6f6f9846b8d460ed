"""Binance spot `order.place` and `order.cancel` requests (WebSocket API).

    {"id":"tp…","method":"order.place","params":{"symbol":"BTCUSDT","side":"BUY","type":"LIMIT","timeInForce":"GTC",
     "price":"61837.63","quantity":"0.00100","newClientOrderId":"tp…","newOrderRespType":"ACK","timestamp":1723161254087}}
    {"id":"tc…","method":"order.cancel","params":{"symbol":"BTCUSDT","origClientOrderId":"tp…","timestamp":1723161254087}}
"""
from libc.string cimport memcpy, memset

from tickpath.decimal cimport DecimalGrid, units_to_text, write_u64
from tickpath.types cimport (
    CLIENT_ORDER_ID_BYTES, ORDER_TYPE_LIMIT, ORDER_TYPE_LIMIT_MAKER, SIDE_BUY,
    TIME_IN_FORCE_GTC, TIME_IN_FORCE_IOC,
)

cdef extern from *:
    """
    #define TP_PUT(p, s) (memcpy((p), (s), sizeof(s) - 1), (long)sizeof(s) - 1)
    """
    long PUT "TP_PUT"(char* p, const char* s) noexcept nogil


cdef inline long put_timestamp(char* p, int64_t now_ns) noexcept nogil:
    cdef long n = PUT(p, ",\"timestamp\":")
    n += write_u64(p + n, <uint64_t>(now_ns // 1000000))
    return n + PUT(p + n, "}}")


cdef int binance_encode_order(EncodeBuffer* b, const Order* o, const Instrument* item, const char* client_order_id,
                              int64_t now_ns) noexcept nogil:
    cdef char* p = b.text
    p += PUT(p, "{\"id\":\"")
    memcpy(p, client_order_id, CLIENT_ORDER_ID_BYTES)
    p += CLIENT_ORDER_ID_BYTES
    p += PUT(p, "\",\"method\":\"order.place\",\"params\":{\"symbol\":\"")
    memcpy(p, item.symbol, 16)
    p += item.symbol_bytes
    p += PUT(p, "\",\"side\":\"BUY") if o.side == SIDE_BUY else PUT(p, "\",\"side\":\"SELL")
    if o.order_type == ORDER_TYPE_LIMIT:
        if o.time_in_force == TIME_IN_FORCE_GTC:
            p += PUT(p, "\",\"type\":\"LIMIT\",\"timeInForce\":\"GTC\",\"price\":\"")
        elif o.time_in_force == TIME_IN_FORCE_IOC:
            p += PUT(p, "\",\"type\":\"LIMIT\",\"timeInForce\":\"IOC\",\"price\":\"")
        else:
            p += PUT(p, "\",\"type\":\"LIMIT\",\"timeInForce\":\"FOK\",\"price\":\"")
        p += units_to_text(p, o.price_ticks, &item.price_grid)
        p += PUT(p, "\",\"quantity\":\"")
    elif o.order_type == ORDER_TYPE_LIMIT_MAKER:
        p += PUT(p, "\",\"type\":\"LIMIT_MAKER\",\"price\":\"")
        p += units_to_text(p, o.price_ticks, &item.price_grid)
        p += PUT(p, "\",\"quantity\":\"")
    else:
        p += PUT(p, "\",\"type\":\"MARKET\",\"quantity\":\"")
    p += units_to_text(p, o.qty_lots, &item.qty_grid)
    p += PUT(p, "\",\"newClientOrderId\":\"")
    memcpy(p, client_order_id, CLIENT_ORDER_ID_BYTES)
    p += CLIENT_ORDER_ID_BYTES
    p += PUT(p, "\",\"newOrderRespType\":\"ACK\"")
    p += put_timestamp(p, now_ns)
    b.size = <int32_t>(p - b.text)
    return b.size


cdef int binance_encode_cancel(EncodeBuffer* b, const Instrument* item, const char* client_order_id,
                               int64_t now_ns) noexcept nogil:
    cdef char* p = b.text
    p += PUT(p, "{\"id\":\"tc")
    memcpy(p, client_order_id + 2, CLIENT_ORDER_ID_BYTES - 2)
    p += CLIENT_ORDER_ID_BYTES - 2
    p += PUT(p, "\",\"method\":\"order.cancel\",\"params\":{\"symbol\":\"")
    memcpy(p, item.symbol, 16)
    p += item.symbol_bytes
    p += PUT(p, "\",\"origClientOrderId\":\"")
    memcpy(p, client_order_id, CLIENT_ORDER_ID_BYTES)
    p += CLIENT_ORDER_ID_BYTES
    p += PUT(p, "\"")
    p += put_timestamp(p, now_ns)
    b.size = <int32_t>(p - b.text)
    return b.size


cdef class RequestEncoder:
    """The encoder from Python, for tools and tests. Parameters: venue_symbol; tick_size, lot_size : decimal strings."""
    cdef Instrument item
    cdef EncodeBuffer buffer

    def __cinit__(self, venue_symbol, tick_size, lot_size):
        cdef DecimalGrid tick = DecimalGrid(tick_size)
        cdef DecimalGrid lot = DecimalGrid(lot_size)
        symbol = venue_symbol.encode()
        if not 0 < len(symbol) <= 16:
            raise ValueError(f"venue_symbol: expected 1 to 16 bytes, found {venue_symbol!r}")
        memset(&self.item, 0, sizeof(Instrument))
        memcpy(self.item.symbol, <const char*>symbol, len(symbol))
        self.item.symbol_bytes = len(symbol)
        self.item.price_grid = tick.grid
        self.item.qty_grid = lot.grid

    def order(self, client_order_id, int side, int order_type, int time_in_force, int64_t price_ticks, int64_t qty_lots,
              int64_t now_ns):
        """The bytes of an `order.place` request."""
        cdef Order o
        memset(&o, 0, sizeof(Order))
        o.side = side
        o.order_type = order_type
        o.time_in_force = time_in_force
        o.price_ticks = price_ticks
        o.qty_lots = qty_lots
        cdef bytes cid = client_order_id.encode()
        if len(cid) != CLIENT_ORDER_ID_BYTES:
            raise ValueError(f"client_order_id: expected {CLIENT_ORDER_ID_BYTES} characters, found {client_order_id!r}")
        n = binance_encode_order(&self.buffer, &o, &self.item, cid, now_ns)
        return (<char*>self.buffer.text)[:n]

    def cancel(self, client_order_id, int64_t now_ns):
        """The bytes of an `order.cancel` request."""
        cdef bytes cid = client_order_id.encode()
        if len(cid) != CLIENT_ORDER_ID_BYTES:
            raise ValueError(f"client_order_id: expected {CLIENT_ORDER_ID_BYTES} characters, found {client_order_id!r}")
        n = binance_encode_cancel(&self.buffer, &self.item, cid, now_ns)
        return (<char*>self.buffer.text)[:n]
