"""The decoders by venue. `MessageDecoder` is their Python face, `KINDS` the venues' names."""
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from tickpath.clock cimport cycles_now
from tickpath.decimal cimport DecimalGrid
from tickpath.market.instruments cimport book_rules_of, instrument_add
from tickpath.types cimport (
    STATUS_OK, VENUE_BINANCE_SPOT, VENUE_BINANCE_USDM, VENUE_BYBIT, VENUE_CCXT, VENUE_COINBASE, VENUE_KRAKEN, VENUE_OKX, Slot,
)
from tickpath.venues.batch cimport BATCH_SLOTS, FRAME_PADDING
from tickpath.venues.binance_decode cimport (
    binance_decode, binance_decoder_free, binance_decoder_new, binance_futures_decode,
)
from tickpath.venues.bybit_decode cimport bybit_decode, bybit_decoder_free, bybit_decoder_new
from tickpath.venues.ccxt_decode cimport ccxt_decode, ccxt_decoder_free, ccxt_decoder_new
from tickpath.venues.coinbase_decode cimport coinbase_decode, coinbase_decoder_free, coinbase_decoder_new
from tickpath.venues.kraken_decode cimport kraken_decode, kraken_decoder_free, kraken_decoder_new
from tickpath.venues.okx_decode cimport okx_decode, okx_decoder_free, okx_decoder_new

import numpy as np

from tickpath.types import SLOT_DTYPE, VenueId

# The names of venues in the configuration and on the command line.
KINDS = {
    "binance_spot": int(VenueId.VENUE_BINANCE_SPOT), "binance_usdm": int(VenueId.VENUE_BINANCE_USDM),
    "coinbase": int(VenueId.VENUE_COINBASE), "kraken": int(VenueId.VENUE_KRAKEN), "okx": int(VenueId.VENUE_OKX),
    "bybit": int(VenueId.VENUE_BYBIT), "ccxt": int(VenueId.VENUE_CCXT),
}


cdef int decoder_new(Decoder* d, uint8_t venue, uint8_t venue_slot, const InstrumentTable* instruments, const char* id_prefix,
                     int64_t max_frame_bytes, bint use_scanner) noexcept nogil:
    memset(d, 0, sizeof(Decoder))
    d.venue = venue
    if venue == VENUE_BINANCE_SPOT or venue == VENUE_BINANCE_USDM:
        d.self = binance_decoder_new(venue, venue_slot, instruments, id_prefix, max_frame_bytes, use_scanner)
        d.decode = binance_decode if venue == VENUE_BINANCE_SPOT else binance_futures_decode
        d.free = binance_decoder_free
    elif venue == VENUE_COINBASE:
        d.self = coinbase_decoder_new(venue, venue_slot, instruments, max_frame_bytes, use_scanner)
        d.decode = coinbase_decode
        d.free = coinbase_decoder_free
    elif venue == VENUE_KRAKEN:
        d.self = kraken_decoder_new(venue, venue_slot, instruments, max_frame_bytes, use_scanner)
        d.decode = kraken_decode
        d.free = kraken_decoder_free
    elif venue == VENUE_OKX:
        d.self = okx_decoder_new(venue, venue_slot, instruments, max_frame_bytes, use_scanner)
        d.decode = okx_decode
        d.free = okx_decoder_free
    elif venue == VENUE_BYBIT:
        d.self = bybit_decoder_new(venue, venue_slot, instruments, max_frame_bytes, use_scanner)
        d.decode = bybit_decode
        d.free = bybit_decoder_free
    elif venue == VENUE_CCXT:
        d.self = ccxt_decoder_new(venue, venue_slot, instruments, max_frame_bytes)
        d.decode = ccxt_decode
        d.free = ccxt_decoder_free
    return 0 if d.self != NULL else -1


cdef void decoder_free(Decoder* d) noexcept nogil:
    if d.self != NULL:
        d.free(d.self)
        d.self = NULL


cdef class MessageDecoder:
    """Decode single frames of one venue from Python: for tools and tests, not for the path.

    Parameters: instruments : list of (venue_symbol, tick_size, lot_size), ids in list order.
                kind : the venue, one of KINDS.
                scanner : False leaves everything to simdjson.  max_frame_bytes : larger frames are STATUS_TOO_LARGE.
                id_prefix : 12 characters that open our client order ids.
    """
    cdef InstrumentTable* table
    cdef Decoder decoder
    cdef DecodeBatch batch
    cdef object _slots
    cdef bytearray _frame

    def __cinit__(self, instruments, *, kind="binance_spot", scanner=True, max_frame_bytes=4 << 20, id_prefix="tp0000000000"):
        cdef uint8_t[::1] memory
        cdef DecimalGrid tick, lot
        cdef uint8_t venue
        if kind not in KINDS:
            raise ValueError(f"kind: expected one of {sorted(KINDS)}, found {kind!r}")
        venue = KINDS[kind]
        self.table = <InstrumentTable*>calloc(1, sizeof(InstrumentTable))
        for symbol, tick_size, lot_size in instruments:
            tick = DecimalGrid(tick_size)
            lot = DecimalGrid(lot_size)
            data = symbol.encode()
            if instrument_add(self.table, venue, 0, data, len(data), tick.grid, lot.grid, 0, 65536,
                              book_rules_of(venue, &tick.grid, &lot.grid)) < 0:
                raise ValueError(f"instruments: expected at most 64 distinct symbols of 1 to 24 bytes, found {symbol!r}")
        prefix = id_prefix.encode()
        if len(prefix) != 12:
            raise ValueError(f"id_prefix: expected 12 characters, found {id_prefix!r}")
        if decoder_new(&self.decoder, venue, 0, self.table, prefix, max_frame_bytes, scanner) != 0:
            raise MemoryError()
        self._slots = np.zeros(BATCH_SLOTS, SLOT_DTYPE)
        memory = self._slots.view(np.uint8)
        self.batch.slots = <Slot*>&memory[0]
        self._frame = bytearray(65536)

    def __dealloc__(self):
        decoder_free(&self.decoder)
        free(self.table)

    def decode(self, bytes frame, int64_t ts_recv_ns=0, uint32_t instrument_hint=0xFFFFFFFF):
        """(Status, MessageKind, input slots as SLOT_DTYPE, by_scanner, level count, last update id) of one frame."""
        cdef FrameView view
        cdef int status
        cdef Py_ssize_t size = len(frame)
        if len(self._frame) < size + 2 * FRAME_PADDING:
            self._frame = bytearray(2 * size + 2 * FRAME_PADDING)
        self._frame[:size] = frame
        self._frame[size:size + FRAME_PADDING] = b"\0" * FRAME_PADDING
        view.data = self._frame
        view.size = size
        view.ts_recv_ns = ts_recv_ns
        view.instrument_hint = instrument_hint
        view.venue_slot = view.connection = 0
        with nogil:
            status = self.decoder.decode(self.decoder.self, &view, &self.batch)
        return (status, self.batch.kind, self._slots[:self.batch.count].copy(), bool(self.batch.by_scanner),
                self.batch.level_count, self.batch.last_update_id)

    @property
    def skipped_count(self):
        """Elements of the last frame that were left out because of an unknown word or field in them."""
        return self.batch.skipped_count

    @property
    def ts_venue_ns(self):
        """The venue's time of the last frame, ns, or TIME_NONE."""
        return self.batch.ts_venue_ns

    def time_cycles(self, frames, *, int rounds=1, int batch=16):
        """TSC cycles of the decoder for `batch` frames at a time, over all frames in order, `rounds` times (int64 array).

        The frames lie one behind the other in one buffer, as a socket's bytes do, and are decoded into the same records. A
        batch is timed as a whole because the TSC of many machines moves in steps of some 10 ns. Errors: ValueError when a
        frame is not decoded, or there are fewer frames than a batch has.
        """
        cdef Py_ssize_t i, j, k = 0, groups = len(frames) // batch if batch > 0 else 0
        cdef uint64_t start
        cdef int ok = 1, _
        cdef FrameView* views
        cdef const char* data
        cdef int64_t[::1] cycles
        if groups < 1:
            raise ValueError(f"frames: expected at least one batch of {batch}, found {len(frames)}")
        buffer = bytearray(b"".join(frames)) + bytes(FRAME_PADDING)
        data = buffer
        result = np.empty(groups * rounds, np.int64)
        cycles = result
        views = <FrameView*>calloc(len(frames), sizeof(FrameView))
        if views == NULL:
            raise MemoryError()
        try:
            for i in range(len(frames)):
                views[i].data = data
                views[i].size = len(frames[i])
                views[i].instrument_hint = 0
                data += views[i].size
            with nogil:
                for _ in range(rounds):
                    for i in range(groups):
                        start = cycles_now()
                        for j in range(i * batch, i * batch + batch):
                            ok &= self.decoder.decode(self.decoder.self, &views[j], &self.batch) == STATUS_OK
                        cycles[k] = <int64_t>(cycles_now() - start)
                        k += 1
        finally:
            free(views)
        if not ok:
            raise ValueError("frames: expected frames that decode, found one that is refused")
        return result
