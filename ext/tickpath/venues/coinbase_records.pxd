# What the scanner and the general way of the Coinbase decoder share: the decoder, and records whose fields stand in both. Hot;
# owned by the engine's thread.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from tickpath.market.instruments cimport Instrument, InstrumentTable
from tickpath.types cimport (
    EV_CONT, EV_ORDER_DELTA, EV_TRADE, INSTRUMENT_NONE, TRADE_SELL_AGGRESSOR, OrderDelta, Slot, TradeEvent, likely,
)
from tickpath.venues.batch cimport BATCH_SLOTS, DecodeBatch, FrameView, slot_open
from tickpath.venues.coinbase_text cimport Day
from tickpath.venues.json_tape cimport JsonTape

# One slot less than the batch holds, as a book message without levels takes one all the same.
cdef enum: SLOTS_MAX = BATCH_SLOTS - 1

cdef struct CoinbaseDecoder:
    JsonTape* tape
    const InstrumentTable* instruments
    int64_t max_frame_bytes
    Day day                       # of the scanner
    int32_t use_scanner
    uint8_t venue                 # VenueId
    uint8_t venue_slot

# Which instrument a frame is of, while its records are added one after the other: none in particular when of several.
cdef inline void note_instrument(DecodeBatch* batch, uint32_t instrument) noexcept nogil:
    if likely(batch.count == 0):
        batch.instrument = instrument
    elif batch.instrument != instrument:
        batch.instrument = INSTRUMENT_NONE


cdef inline void trade_close(CoinbaseDecoder* d, const Instrument* item, const FrameView* frame, DecodeBatch* batch,
                             TradeEvent* t, int64_t ts_venue_ns, uint64_t trade_id, int maker_sells) noexcept nogil:
    slot_open(<Slot*>t, EV_TRADE, d.venue, item.instrument, frame.ts_recv_ns, ts_venue_ns,
              TRADE_SELL_AGGRESSOR * (1 - maker_sells))
    t.trade_id = trade_id
    t.trade_count = 1
    t.reserved = 0
    note_instrument(batch, item.instrument)
    batch.count += 1


# A list of trades stands newest first; what follows needs them as they happened.
cdef inline void trades_in_order(DecodeBatch* batch, int32_t first) noexcept nogil:
    cdef TradeEvent* a = <TradeEvent*>(batch.slots + first)
    cdef TradeEvent* b = <TradeEvent*>(batch.slots + batch.count - 1)
    cdef TradeEvent swapped
    if a.ts_venue_ns < b.ts_venue_ns or (a.ts_venue_ns == b.ts_venue_ns and a.trade_id <= b.trade_id):
        return
    while a < b:
        swapped = a[0]
        a[0] = b[0]
        b[0] = swapped
        a += 1
        b -= 1


cdef inline void order_delta(CoinbaseDecoder* d, const Instrument* item, const FrameView* frame, DecodeBatch* batch,
                             int64_t ts_venue_ns, int action, int flags, int64_t price_ticks, int64_t qty_lots, uint64_t key_high,
                             uint64_t key_low, uint64_t update_id) noexcept nogil:
    cdef OrderDelta* o = <OrderDelta*>(batch.slots + batch.count)
    slot_open(<Slot*>o, EV_ORDER_DELTA, d.venue, item.instrument, frame.ts_recv_ns, ts_venue_ns, flags)
    slot_open(<Slot*>o + 1, EV_CONT, d.venue, item.instrument, frame.ts_recv_ns, ts_venue_ns, 1)
    o.price_ticks = price_ticks
    o.qty_lots = qty_lots
    o.order_key_high = key_high
    o.order_key_low = key_low
    o.update_id = update_id
    o.action = action
    o.checksum = 0
    o.reserved2[0] = o.reserved2[1] = 0
    note_instrument(batch, item.instrument)
    batch.count += 2
