"""ExactDecoder (exact_decoder.pxi) of Binance alone, so that a bounded run need not compile the other venues' decoders."""
from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memset
from tickpath.market.instruments cimport InstrumentTable
from tickpath.types cimport VENUE_BINANCE_SPOT, VENUE_BINANCE_USDM
from tickpath.venues.binance_decode cimport (
    binance_decode, binance_decoder_free, binance_decoder_new, binance_futures_decode,
)
from tickpath.venues.decoders cimport Decoder

KINDS = {"binance_spot": VENUE_BINANCE_SPOT, "binance_usdm": VENUE_BINANCE_USDM}


# As in venues/decoders, of one venue.
cdef int decoder_new(Decoder* d, uint8_t venue, uint8_t venue_slot, const InstrumentTable* instruments, const char* id_prefix,
                     int64_t max_frame_bytes, bint use_scanner) noexcept nogil:
    memset(d, 0, sizeof(Decoder))
    d.venue = venue
    d.decode = binance_decode if venue == VENUE_BINANCE_SPOT else binance_futures_decode
    d.free = binance_decoder_free
    d.self = binance_decoder_new(venue, venue_slot, instruments, id_prefix, max_frame_bytes, use_scanner)
    return 0 if d.self != NULL else -1


cdef void decoder_free(Decoder* d) noexcept nogil:
    if d.self != NULL:
        d.free(d.self)
        d.self = NULL


include "exact_decoder.pxi"
