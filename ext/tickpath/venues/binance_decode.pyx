"""Binance messages to input records.

The messages of the spot market (github.com/binance/binance-spot-api-docs, web-socket-streams.md and rest-api.md, seen
2026-11; those of the captures are of 2021 and 2024):

    {"stream":"btcusdt@bookTicker","data":{"u":50093239212,"s":"BTCUSDT","b":"61837.63000000","B":"3.78826000",
     "a":"61837.64000000","A":"1.54698000"}}
    {"stream":"btcusdt@trade","data":{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":3735683259,"p":"61837.63000000",
     "q":"0.02000000","T":1723161255342,"m":true,"M":true}}
    {"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1723161255208,"s":"BTCUSDT","U":50093239189,
     "u":50093239202,"b":[["61737.63000000","0.00000000"]],"a":[["61837.64000000","1.54698000"]]}}
    {"stream":"btcusdt@depth5","data":{"lastUpdateId":160,"bids":[["0.0024","10"]],"asks":[["0.0026","100"]]}}
    {"lastUpdateId":50093239218,"bids":[["61837.63000000","3.78826000"]],"asks":[]}          (REST, /api/v3/depth)
    {"e":"kline","E":1628952396573,"s":"FTMUSDT","k":{"t":1628952360000,"T":1628952419999,"i":"1m","o":"0.34064000",…}}
    {"e":"executionReport","E":1499405658658,"s":"ETHBTC","c":"tp…","S":"BUY","x":"TRADE","i":4293153,"l":"…",…}

Those of USD-M futures (developers.binance.com, derivatives/usds-margined-futures/websocket-market-streams, seen 2026-11);
COIN-M has the same with a pair ("ps") beside the symbol:

    {"e":"bookTicker","u":5123107839020,"s":"BTCUSDT","b":"61800.20","B":"2.507","a":"61800.30","A":"2.510",
     "T":1723161256313,"E":1723161256313}
    {"e":"trade","E":1723161256322,"T":1723161256322,"s":"BTCUSDT","t":5266583935,"p":"61800.30","q":"0.006","X":"MARKET",
     "m":false}
    {"e":"aggTrade","E":1626992741575,"a":16599292,"s":"CTKUSDT","p":"1.01100","q":"10","f":23961322,"l":23961322,
     "T":1626992741421,"m":false}
    {"e":"depthUpdate","E":1626992741037,"T":1626992741024,"s":"SUSHIUSDT","U":600859599090,"u":600859600917,
     "pu":600859598061,"b":[["7.5040","813"]],"a":[["7.6150","1563"]]}
    {"e":"markPriceUpdate","E":1562305380000,"s":"BTCUSDT","p":"11794.15","i":"11784.62","P":"11784.25","r":"0.00038167",…}
    {"e":"forceOrder","E":1568014460893,"o":{"s":"BTCUSDT","S":"SELL","q":"0.014","p":"9910","z":"0.014","T":…,…}}
    {"e":"contractInfo","E":1669356423908,"s":"IOTAUSDT","ct":"PERPETUAL","cs":"TRADING",…}
    {"openInterest":"10659.509","symbol":"BTCUSDT","time":1589437530011}                     (REST, /fapi/v1/openInterest)

Each may come bare or inside {"stream":…,"data":…}, but for partial books: a spot one names its symbol, and a futures one
differs from a diff, in the stream's name only. The spot market's binary frames are in binance_sbe_decode.pyx, the Python
face of every decoder is in decoders.pyx.
"""
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from tickpath.decimal cimport grid_init
from tickpath.market.instruments cimport InstrumentTable
from tickpath.types cimport (
    EXEC_CANCELED, EXEC_EXPIRED, EXEC_NEW, EXEC_REJECTED, EXEC_TRADE, STATUS_OK, STATUS_TOO_LARGE, VENUE_BINANCE_SPOT,
    likely, unlikely,
)
from tickpath.venues.batch cimport batch_clear
from tickpath.venues.binance_general cimport binance_general
from tickpath.venues.binance_sbe_decode cimport binance_sbe_decode, is_sbe
from tickpath.venues.binance_scan cimport (
    message_start, scan_agg_trade, scan_book_ticker, scan_depth_update, scan_snapshot, scan_trade,
)
from tickpath.venues.binance_scan_futures cimport (
    scan_futures_agg_trade, scan_futures_book_ticker, scan_futures_depth_update, scan_futures_snapshot, scan_futures_trade,
)
from tickpath.venues.binance_scan_report cimport scan_exec_report
from tickpath.venues.binance_state cimport BASE32_BAD, ExecName
from tickpath.venues.json_tape cimport json_tape_free, json_tape_new
from tickpath.venues.scan cimport AT, LEN

# A level is three nodes: its row, price and quantity.
cdef enum: TAPE_NODES = 262144


cdef void exec_name_add(BinanceDecoder* d, const char* text, int size, int kind) noexcept nogil:
    cdef ExecName* name = &d.exec_names[text[0] & 31]
    name.mask = 0
    memcpy(&name.word, text, size)
    memset(&name.mask, 255, size)
    name.size = size
    name.kind = kind


cdef BinanceDecoder* binance_decoder_new(uint8_t venue, uint8_t venue_slot, const InstrumentTable* instruments,
                                         const char* id_prefix, int64_t max_frame_bytes, bint use_scanner) noexcept nogil:
    cdef BinanceDecoder* d = <BinanceDecoder*>calloc(1, sizeof(BinanceDecoder))
    cdef int i
    if d == NULL:
        return NULL
    d.venue = venue
    d.venue_slot = venue_slot
    d.futures = venue != VENUE_BINANCE_SPOT
    d.instruments = instruments
    d.max_frame_bytes = max_frame_bytes
    d.use_scanner = use_scanner
    memcpy(d.id_prefix, id_prefix, 12)
    grid_init(&d.fee_grid, 1, 8)
    for i in range(32):
        d.exec_names[i].mask = ~<uint64_t>0
    exec_name_add(d, "NEW", 3, EXEC_NEW)
    exec_name_add(d, "TRADE", 5, EXEC_TRADE)
    exec_name_add(d, "CANCELED", 8, EXEC_CANCELED)
    exec_name_add(d, "REJECTED", 8, EXEC_REJECTED)
    exec_name_add(d, "EXPIRED", 7, EXEC_EXPIRED)
    memset(d.base32, BASE32_BAD, 256)
    for i in range(32):
        d.base32[48 + i if i < 10 else 87 + i] = <uint8_t>i
    d.tape = json_tape_new(max_frame_bytes, TAPE_NODES)
    if d.tape == NULL:
        binance_decoder_free(d)
        return NULL
    return d


cdef void binance_decoder_free(void* self) noexcept nogil:
    cdef BinanceDecoder* d = <BinanceDecoder*>self
    if d != NULL:
        json_tape_free(d.tape)
        free(d)


# A binary frame, or text that the scanner leaves: what it had written before it gave up does not count.
cdef int decode_otherwise(BinanceDecoder* d, const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    cdef int status
    batch_clear(batch)
    if is_sbe(frame) and not d.futures:
        status = binance_sbe_decode(d, frame, batch)
    else:
        status = binance_general(d, frame, batch)
    if status != STATUS_OK:
        batch.count = 0
    return status


cdef int too_large(DecodeBatch* batch) noexcept nogil:
    batch_clear(batch)
    return STATUS_TOO_LARGE


# ---- each message in a function of its own, which is jumped to and leaves what the scanner refuses to the general way itself: so
# no message pays for registers that only another needs.

cdef int book_ticker(BinanceDecoder* d, const char* p, const char* end, long close_bytes, const FrameView* frame,
                     DecodeBatch* batch) noexcept nogil:
    if likely(scan_book_ticker(d, p, end, close_bytes, frame, batch) == STATUS_OK):
        return STATUS_OK
    return decode_otherwise(d, frame, batch)


cdef int trade(BinanceDecoder* d, const char* p, const char* end, long close_bytes, const FrameView* frame,
               DecodeBatch* batch) noexcept nogil:
    if likely(scan_trade(d, p, end, close_bytes, frame, batch) == STATUS_OK):
        return STATUS_OK
    return decode_otherwise(d, frame, batch)


cdef int agg_trade(BinanceDecoder* d, const char* p, const char* end, long close_bytes, const FrameView* frame,
                   DecodeBatch* batch) noexcept nogil:
    if likely(scan_agg_trade(d, p, end, close_bytes, frame, batch) == STATUS_OK):
        return STATUS_OK
    return decode_otherwise(d, frame, batch)


cdef int depth_update(BinanceDecoder* d, const char* p, const char* end, long close_bytes, const FrameView* frame,
                      DecodeBatch* batch) noexcept nogil:
    if likely(scan_depth_update(d, p, end, close_bytes, frame, batch) == STATUS_OK):
        return STATUS_OK
    return decode_otherwise(d, frame, batch)


cdef int exec_report(BinanceDecoder* d, const char* p, const char* end, long close_bytes, const FrameView* frame,
                     DecodeBatch* batch) noexcept nogil:
    if likely(scan_exec_report(d, p, end, close_bytes, frame, batch) == STATUS_OK):
        return STATUS_OK
    return decode_otherwise(d, frame, batch)


cdef int snapshot(BinanceDecoder* d, const char* p, const char* end, long close_bytes, const FrameView* frame,
                  DecodeBatch* batch) noexcept nogil:
    if likely(scan_snapshot(d, p, end, close_bytes, frame, batch) == STATUS_OK):
        return STATUS_OK
    return decode_otherwise(d, frame, batch)


cdef int futures_book_ticker(BinanceDecoder* d, const char* p, const char* end, long close_bytes, const FrameView* frame,
                             DecodeBatch* batch) noexcept nogil:
    if likely(scan_futures_book_ticker(d, p, end, close_bytes, frame, batch) == STATUS_OK):
        return STATUS_OK
    return decode_otherwise(d, frame, batch)


cdef int futures_trade(BinanceDecoder* d, const char* p, const char* end, long close_bytes, const FrameView* frame,
                       DecodeBatch* batch) noexcept nogil:
    if likely(scan_futures_trade(d, p, end, close_bytes, frame, batch) == STATUS_OK):
        return STATUS_OK
    return decode_otherwise(d, frame, batch)


cdef int futures_agg_trade(BinanceDecoder* d, const char* p, const char* end, long close_bytes, const FrameView* frame,
                           DecodeBatch* batch) noexcept nogil:
    if likely(scan_futures_agg_trade(d, p, end, close_bytes, frame, batch) == STATUS_OK):
        return STATUS_OK
    return decode_otherwise(d, frame, batch)


cdef int futures_depth_update(BinanceDecoder* d, const char* p, const char* end, long close_bytes, const FrameView* frame,
                              DecodeBatch* batch) noexcept nogil:
    if likely(scan_futures_depth_update(d, p, end, close_bytes, frame, batch) == STATUS_OK):
        return STATUS_OK
    return decode_otherwise(d, frame, batch)


cdef int futures_snapshot(BinanceDecoder* d, const char* p, const char* end, long close_bytes, const FrameView* frame,
                          DecodeBatch* batch) noexcept nogil:
    if likely(scan_futures_snapshot(d, p, end, close_bytes, frame, batch) == STATUS_OK):
        return STATUS_OK
    return decode_otherwise(d, frame, batch)


cdef int binance_decode(void* self, const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    cdef BinanceDecoder* d = <BinanceDecoder*>self
    cdef const char* end = frame.data + frame.size
    cdef long close_bytes = 0
    cdef const char* p
    if unlikely(frame.size > d.max_frame_bytes):
        return too_large(batch)
    if unlikely(not d.use_scanner):
        return decode_otherwise(d, frame, batch)
    p = message_start(frame, end, &close_bytes)
    if likely(p != NULL):
        if AT(p, "u\":"):
            return book_ticker(d, p + LEN("u\":"), end, close_bytes, frame, batch)
        if AT(p, "e\":\"trade\",\"E\":"):
            return trade(d, p + LEN("e\":\"trade\",\"E\":"), end, close_bytes, frame, batch)
        if AT(p, "e\":\"depthUpdate\",\"E\":"):
            return depth_update(d, p + LEN("e\":\"depthUpdate\",\"E\":"), end, close_bytes, frame, batch)
        if AT(p, "e\":\"aggTrade\",\"E\":"):
            return agg_trade(d, p + LEN("e\":\"aggTrade\",\"E\":"), end, close_bytes, frame, batch)
        if AT(p, "e\":\"executionReport\",\"E\":"):
            return exec_report(d, p + LEN("e\":\"executionReport\",\"E\":"), end, close_bytes, frame, batch)
        if AT(p, "lastUpdateId\":"):
            return snapshot(d, p + LEN("lastUpdateId\":"), end, close_bytes, frame, batch)
    return decode_otherwise(d, frame, batch)


# The same for futures, in a function of its own, so that neither market's messages pay for the other's.
cdef int binance_futures_decode(void* self, const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    cdef BinanceDecoder* d = <BinanceDecoder*>self
    cdef const char* end = frame.data + frame.size
    cdef long close_bytes = 0
    cdef const char* p
    if unlikely(frame.size > d.max_frame_bytes):
        return too_large(batch)
    if unlikely(not d.use_scanner):
        return decode_otherwise(d, frame, batch)
    p = message_start(frame, end, &close_bytes)
    if likely(p != NULL):
        if AT(p, "e\":\"bookTicker\",\"u\":"):
            return futures_book_ticker(d, p + LEN("e\":\"bookTicker\",\"u\":"), end, close_bytes, frame, batch)
        if AT(p, "e\":\"trade\",\"E\":"):
            return futures_trade(d, p + LEN("e\":\"trade\",\"E\":"), end, close_bytes, frame, batch)
        if AT(p, "e\":\"depthUpdate\",\"E\":"):
            return futures_depth_update(d, p + LEN("e\":\"depthUpdate\",\"E\":"), end, close_bytes, frame, batch)
        if AT(p, "e\":\"aggTrade\",\"E\":"):
            return futures_agg_trade(d, p + LEN("e\":\"aggTrade\",\"E\":"), end, close_bytes, frame, batch)
        if AT(p, "u\":"):                             # COIN-M
            return futures_book_ticker(d, p + LEN("u\":"), end, close_bytes, frame, batch)
        if close_bytes == 1 and AT(p, "lastUpdateId\":"):
            return futures_snapshot(d, p + LEN("lastUpdateId\":"), end, close_bytes, frame, batch)
    return decode_otherwise(d, frame, batch)
