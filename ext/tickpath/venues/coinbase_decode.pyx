"""Coinbase messages to input records: Advanced Trade and Exchange, told apart by the message itself.

Advanced Trade (docs.cdp.coinbase.com/coinbase-app/advanced-trade-apis/websocket/websocket-channels, seen 2026-08 in the
recorded captures). `sequence_num` counts every message of the connection, from 0:

    {"channel":"l2_data","timestamp":"2026-08-09T21:05:48.506659391Z","sequence_num":15,"events":[{"type":"update",
     "product_id":"BTC-USD","updates":[{"side":"offer","event_time":"2026-08-09T21:05:48.264069Z",
     "price_level":"65106.54","new_quantity":"0.15361938"}]}]}
    {"channel":"market_trades",…,"events":[{"type":"update","trades":[{"product_id":"BTC-USD","trade_id":"1068572091",
     "price":"65083.67","size":"0.01034361","time":"2026-08-09T21:05:48.167634Z","side":"SELL"}]}]}
    {"channel":"ticker",…,"events":[{"type":"update","tickers":[{"type":"ticker","product_id":"BTC-USD","price":"65086.18",…,
     "best_bid":"65083.66","best_ask":"65083.67","best_bid_quantity":"0.20371215","best_ask_quantity":"0.24290402"}]}]}
    {"channel":"candles",…,"events":[{"type":"update","candles":[{"start":"1786309500","high":"1919.6","low":"1919.27",
     "open":"1919.58","close":"1919.41","volume":"36.36630914","product_id":"ETH-USD"}]}]}
    {"channel":"status",…,"events":[{"type":"snapshot","products":[{"id":"BTC-USD","status":"online",…}]}]}
    {"channel":"heartbeats",…,"events":[{"current_time":"2026-08-09 21:05:48.85 +0000 UTC m=+41691.2","heartbeat_counter":1}]}
    {"pricebook":{"product_id":"BTC-USD","bids":[{"price":"68923.66","size":"0.17189468"}],"asks":[…],"time":"…"}}     (REST)

Exchange (docs.cdp.coinbase.com/exchange/docs/websocket-channels, seen 2021-04 in the recorded captures):

    {"type":"l2update","product_id":"SKL-BTC","changes":[["sell","0.00001306","660.5"]],"time":"2021-04-17T16:43:37.075687Z"}
    {"type":"snapshot","product_id":"BAND-GBP","asks":[["14.8024","12.77"]],"bids":[["14.7550","3.10"]]}
    {"type":"match","trade_id":280232,"maker_order_id":"2a0da34e-61f7-4c36-88e5-c9dd15927b16","taker_order_id":"3c82…",
     "side":"sell","size":"985","price":"0.00001305","product_id":"SKL-BTC","sequence":177100030,"time":"2021-…Z"}
    {"type":"ticker","sequence":333938798,"product_id":"BAND-GBP","price":"14.7775",…,"best_bid":"14.7550",
     "best_bid_size":"3.10","best_ask":"14.8060","best_ask_size":"12.77","side":"buy","time":"2021-…Z","trade_id":881613,…}
    {"type":"open","order_id":"d50ec984-77a8-460a-b958-66f114b0de9b","side":"sell","price":"200.2","remaining_size":"1.00",
     "product_id":"BTC-USD","sequence":10,"time":"2014-11-07T08:19:27.028459Z"}            and received, done, change (full)
    {"type":"status","products":[{"id":"BTC-USD","status":"online","cancel_only":false,…}],"currencies":[…]}
    {"bids":[["295.96","4.39088265",2]],"asks":[…],"sequence":3}                   (REST, level 2; /products/…/book)
    {"bids":[["295.96","0.05088265","3b0f1225-7f84-490b-a29f-0faef9de823a"]],…}    (REST, level 3)

What the words mean here:
- A trade's "side" is the maker's (in the recorded books 71 of 71 trades at a best price say so), so SELL is a buying aggressor.
- A list of trades stands newest first; its records stand oldest first.
- A quote whose venue does not give quantities (Exchange tickers of 2021) has QTY_LOTS_NONE; an empty side, sent as "" or 0,
  has PRICE_TICKS_NONE. A ticker without best bid and ask (ticker_batch) is a reference price.
- A candle is closed when its end is not after the message's own time; candles are of five minutes.
- A book record's time is its event_time; the venue's "1970-01-01T00:00:00Z" for none is the message's own time.
- Order by order (full): open adds, match takes from the maker, change sets, done deletes, each with the product's sequence.
  What touches no resting order (received, a market order's change) is a delete of an order that is not there, as many a
  done is too, so that the sequence has no hole. A match is a trade as well.
"""
from libc.stdint cimport int64_t, uint32_t, uint64_t, uint8_t
from libc.stdlib cimport calloc, free

from tickpath.market.instruments cimport Instrument
from tickpath.types cimport (
    INSTRUMENT_NONE, STATUS_MALFORMED, STATUS_OK, STATUS_TOO_LARGE, STATUS_UNKNOWN_SYMBOL, STATUS_UNSUPPORTED, TS_NONE, likely,
    unlikely,
)
from tickpath.venues.batch cimport BATCH_SLOTS, FRAME_PADDING, batch_clear
from tickpath.venues.coinbase_records cimport CoinbaseDecoder
from tickpath.venues.coinbase_scan cimport coinbase_scan
from tickpath.venues.coinbase_walk cimport close_products, put_product, put_products
from tickpath.venues.coinbase_walk_advanced cimport walk_advanced
from tickpath.venues.coinbase_walk_exchange cimport walk_book, walk_exchange
from tickpath.venues.json_tape cimport (
    JSON_ABSENT, JsonNode, json_get, json_instrument, json_is_text, json_is_type, json_tape_free, json_tape_new, json_tape_parse,
    json_uint,
)

# The snapshot of the recorded feed has 46,000 levels of five values each; a list of all products some 45,000 values.
cdef enum: TAPE_NODES = 6 * BATCH_SLOTS


cdef void* coinbase_decoder_new(uint8_t venue, uint8_t venue_slot, const InstrumentTable* instruments, int64_t max_frame_bytes,
                                bint use_scanner) noexcept nogil:
    cdef CoinbaseDecoder* d = <CoinbaseDecoder*>calloc(1, sizeof(CoinbaseDecoder))
    if d == NULL:
        return NULL
    d.venue = venue
    d.venue_slot = venue_slot
    d.instruments = instruments
    d.max_frame_bytes = max_frame_bytes
    d.use_scanner = use_scanner
    d.tape = json_tape_new(max_frame_bytes, TAPE_NODES)
    if d.tape == NULL:
        free(d)
        return NULL
    return d


cdef void coinbase_decoder_free(void* self) noexcept nogil:
    cdef CoinbaseDecoder* d = <CoinbaseDecoder*>self
    if d != NULL:
        json_tape_free(d.tape)
        free(d)


# ---- answers to requests

cdef int walk_body(CoinbaseDecoder* d, const FrameView* frame, DecodeBatch* batch, const JsonNode* nodes) noexcept nogil:
    cdef uint32_t pricebook = json_get(nodes, 0, "pricebook", 9), products = json_get(nodes, 0, "products", 8)
    cdef uint64_t sequence = 0
    cdef const Instrument* item
    if json_get(nodes, 0, "bids", 4) != JSON_ABSENT:
        if not json_uint(nodes, json_get(nodes, 0, "sequence", 8), False, &sequence):
            return STATUS_MALFORMED
        if frame.instrument_hint >= <uint32_t>d.instruments.count:
            return STATUS_UNKNOWN_SYMBOL
        return walk_book(d, frame, batch, &d.instruments.items[frame.instrument_hint], nodes, 0, sequence)
    if json_is_type(nodes, pricebook, b'{'):
        item = json_instrument(nodes, json_get(nodes, pricebook, "product_id", 10), d.instruments, d.venue_slot)
        return STATUS_UNKNOWN_SYMBOL if item == NULL else walk_book(d, frame, batch, item, nodes, pricebook, 0)
    if products != JSON_ABSENT:
        return close_products(batch, put_products(d, frame, batch, nodes, products, TS_NONE), TS_NONE)
    if json_get(nodes, 0, "status", 6) != JSON_ABSENT and (json_get(nodes, 0, "id", 2) != JSON_ABSENT
                                                           or json_get(nodes, 0, "product_id", 10) != JSON_ABSENT):
        return close_products(batch, put_product(d, frame, batch, nodes, 0, TS_NONE), TS_NONE)
    return STATUS_UNSUPPORTED


cdef int walk(CoinbaseDecoder* d, const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    cdef int status = json_tape_parse(d.tape, frame.data, frame.size, frame.size + FRAME_PADDING)
    cdef const JsonNode* nodes = d.tape.nodes
    cdef uint32_t channel, kind
    if status != STATUS_OK:
        return status
    if nodes[0].type == b'[':
        # A list of products; the arrays of the level3 channel are another protocol.
        if nodes[0].next == 1 or nodes[1].type != b'{':
            return STATUS_UNSUPPORTED
        return close_products(batch, put_products(d, frame, batch, nodes, 0, TS_NONE), TS_NONE)
    channel = json_get(nodes, 0, "channel", 7)
    kind = json_get(nodes, 0, "type", 4)
    if channel != JSON_ABSENT and not json_is_text(nodes, kind, "error", 5):
        return walk_advanced(d, frame, batch, nodes, channel)
    if kind != JSON_ABSENT:
        return walk_exchange(d, frame, batch, nodes, kind)
    return walk_body(d, frame, batch, nodes)


cdef int coinbase_decode(void* self, const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    cdef CoinbaseDecoder* d = <CoinbaseDecoder*>self
    cdef int status
    batch_clear(batch)
    if unlikely(frame.size > d.max_frame_bytes):
        return STATUS_TOO_LARGE
    if likely(d.use_scanner):
        batch.by_scanner = 1
        status = coinbase_scan(d, frame, batch)
        if likely(status == STATUS_OK):
            return status
        batch_clear(batch)
    status = walk(d, frame, batch)
    if status != STATUS_OK:
        batch.count = 0
        batch.level_count = 0
        batch.instrument = INSTRUMENT_NONE
    return status
