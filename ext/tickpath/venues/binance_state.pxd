# What a Binance decoder holds, and the few steps that its scanner and its general way share. Hot; owned by one decoder.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp

from tickpath.decimal cimport Grid
from tickpath.market.instruments cimport Instrument, InstrumentTable
from tickpath.types cimport EV_CONT, EV_EXEC_REPORT, TS_NONE, ExecReport, likely, unlikely
from tickpath.venues.batch cimport BATCH_SLOTS, MESSAGE_EXEC_REPORT, DecodeBatch, FrameView, slot_open
from tickpath.venues.json_tape cimport JsonTape

cdef enum: BASE32_BAD = 128
# One less than the batch holds.
cdef enum: LEVELS_MAX = BATCH_SLOTS - 1

# An execution type's text, found by the low five bits of its first letter; an unused row wants eight zero bytes.
cdef struct ExecName:
    uint64_t word                 # the text, zero-padded
    uint64_t mask                 # its bytes
    uint32_t size
    uint32_t kind                 # ExecType

cdef struct BinanceDecoder:
    const InstrumentTable* instruments
    int64_t max_frame_bytes
    int32_t use_scanner
    uint8_t futures               # USD-M or COIN-M, whose messages have other texts than the spot market's
    uint8_t venue                 # VenueId
    uint8_t venue_slot
    char[16] id_prefix            # the 12 characters that open every client order id of this run
    Grid fee_grid                 # 1e-8
    ExecName[32] exec_names
    uint8_t[256] base32           # value of each character of a client order id; BASE32_BAD of any other
    JsonTape* tape                # of the general way


# Binance's times are ms (13 digits), or us (16 digits) where that was asked for; TS_NONE when it is neither.
cdef inline int64_t binance_time_ns(uint64_t value) noexcept nogil:
    if likely(value < 9000000000000ULL):
        return <int64_t>(value * 1000000)
    if value < 9000000000000000ULL and value > 100000000000000ULL:
        return <int64_t>(value * 1000)
    return TS_NONE


# The six base-32 characters that end a client order id of ours; 0 when the id is not of this run.
cdef inline uint64_t own_ordinal(const BinanceDecoder* d, const char* text, long size) noexcept nogil:
    cdef uint64_t v = 0
    cdef uint32_t bad = 0, c
    cdef int i
    if size != 18 or memcmp(text, d.id_prefix, 12) != 0:
        return 0
    for i in range(12, 18):
        c = d.base32[<unsigned char>text[i]]
        bad |= c
        v = v << 5 | c
    return 0 if unlikely(bad & BASE32_BAD) else v


cdef inline void report_close(BinanceDecoder* d, const Instrument* item, const FrameView* frame, DecodeBatch* batch,
                              int flags) noexcept nogil:
    cdef ExecReport* r = <ExecReport*>batch.slots
    r.venue_code = 0
    r.local_reason = 0
    slot_open(batch.slots, EV_EXEC_REPORT, d.venue, item.instrument, frame.ts_recv_ns, batch.ts_venue_ns, flags)
    slot_open(batch.slots + 1, EV_CONT, d.venue, item.instrument, frame.ts_recv_ns, batch.ts_venue_ns, 1)
    batch.count = 2
    batch.kind = MESSAGE_EXEC_REPORT
    batch.instrument = item.instrument
