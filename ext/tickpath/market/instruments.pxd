# The instrument table: what we trade, its grids, and the lookup from a venue's own spelling. Hot reads, cold writes.
#
# Owner: the engine. Filled before the first frame and read-only from then on.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from tickpath.decimal cimport Grid
from tickpath.types cimport MAX_INSTRUMENTS

cdef struct Instrument:
    uint32_t instrument           # our id = index in the table
    uint8_t venue                 # VenueId
    uint8_t symbol_bytes
    char[24] symbol               # the venue's own spelling, zero-padded
    uint64_t key_low              # its first 16 bytes, for the lookup
    uint64_t key_high
    Grid price_grid               # tick_size
    Grid qty_grid                 # lot_size
    int64_t min_notional_ticklots
    int64_t book_window_ticks
    # 1 tick x 1 lot = ticklot_mantissa / 10^ticklot_scale of the quote asset.
    int64_t ticklot_mantissa
    int32_t ticklot_scale

cdef struct InstrumentTable:
    Instrument[64] items
    int32_t count
    uint8_t[256] buckets          # 0 = empty, else index + 1; linear probing

cdef inline uint64_t symbol_word(const char* p, long size) noexcept nogil:
    cdef uint64_t v = 0
    memcpy(&v, p, 8)
    if size < 8:
        v &= ((<uint64_t>1 << (8 * size)) - 1) if size > 0 else 0
    return v

# The instrument with this venue spelling (up to 16 bytes, 16 readable), or NULL.
cdef inline const Instrument* instrument_find(const InstrumentTable* t, const char* symbol, long size) noexcept nogil:
    cdef uint64_t low, high
    cdef uint32_t h
    cdef int i
    if size > 16 or size <= 0:
        return NULL
    low = symbol_word(symbol, size)
    high = symbol_word(symbol + 8, size - 8) if size > 8 else 0
    h = <uint32_t>(((low ^ (high * 0x9E3779B97F4A7C15ULL)) * 0x9E3779B97F4A7C15ULL) >> 56)
    while True:
        i = t.buckets[h & 255]
        if i == 0:
            return NULL
        if t.items[i - 1].key_low == low and t.items[i - 1].key_high == high:
            return &t.items[i - 1]
        h += 1

# ---- cold
cdef int instrument_add(InstrumentTable* t, uint8_t venue, const char* symbol, long size, Grid price_grid, Grid qty_grid,
                        int64_t min_notional_ticklots, int64_t book_window_ticks) noexcept nogil
