# The instrument table: what we trade, its grids, and the lookup from a venue's own spelling. Hot reads, cold writes.
#
# Owner: the engine. Filled before the first frame and read-only from then on, but for a grid that a journaled input changes.
# One table for all venues: two of them may spell different instruments alike, so the lookup asks for the venue's slot too.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from tickpath.decimal cimport Grid
from tickpath.types cimport MAX_INSTRUMENTS

cdef enum: SYMBOL_BYTES_MAX = 24

# How a book comes to be, and stays, proven (market/book.pxd).
cpdef enum BookSync:
    BOOK_SYNC_INVALID = 0
    BOOK_SYNC_REST = 1            # snapshot by request, diffs chained by ids: Binance
    BOOK_SYNC_STREAM = 2          # the stream opens with a snapshot: Coinbase, Kraken, OKX, Bybit

cpdef enum ChecksumKind:
    CHECKSUM_NONE = 0
    CHECKSUM_KRAKEN = 1
    CHECKSUM_OKX = 2

cdef struct BookRules:
    uint8_t sync                  # BookSync
    uint8_t checksum              # ChecksumKind
    uint8_t price_decimals        # of the venue's own text, where its checksum is over that
    uint8_t qty_decimals
    uint32_t max_levels           # a side is cut to this many after each message (the subscribed depth); 0 = not cut

cdef struct Instrument:
    uint32_t instrument           # our id = index in the table
    uint8_t venue                 # VenueId
    uint8_t venue_slot            # which of our venues: its place in the configuration
    uint8_t symbol_bytes
    uint8_t reserved
    char[24] symbol               # the venue's own spelling, zero-padded
    uint64_t[3] key               # the same as words, for the lookup
    Grid price_grid               # tick_size
    Grid qty_grid                 # lot_size
    int64_t min_notional_ticklots
    int64_t book_window_ticks
    BookRules rules
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

cdef inline uint32_t symbol_bucket(uint64_t low, uint64_t high, uint64_t third, uint32_t venue_slot) noexcept nogil:
    cdef uint64_t v = low ^ (high * 0x9E3779B97F4A7C15ULL) ^ (third * 0xC2B2AE3D27D4EB4FULL) ^ venue_slot
    return <uint32_t>((v * 0x9E3779B97F4A7C15ULL) >> 56)

# The instrument with this venue spelling as three zero-padded words, or NULL.
cdef inline const Instrument* instrument_find_words(const InstrumentTable* t, uint32_t venue_slot, uint64_t low, uint64_t high,
                                                    uint64_t third) noexcept nogil:
    cdef uint32_t h = symbol_bucket(low, high, third, venue_slot)
    cdef const Instrument* item
    cdef int i
    while True:
        i = t.buckets[h & 255]
        if i == 0:
            return NULL
        item = &t.items[i - 1]
        if (item.key[0] == low and item.key[1] == high and item.key[2] == third) and item.venue_slot == venue_slot:
            return item
        h += 1

# The same by text of up to 24 bytes, of which 24 must be readable.
cdef inline const Instrument* instrument_find(const InstrumentTable* t, uint32_t venue_slot, const char* symbol,
                                              long size) noexcept nogil:
    if size > SYMBOL_BYTES_MAX or size <= 0:
        return NULL
    return instrument_find_words(t, venue_slot, symbol_word(symbol, size), symbol_word(symbol + 8, size - 8) if size > 8 else 0,
                                 symbol_word(symbol + 16, size - 16) if size > 16 else 0)

# ---- cold
cdef int instrument_add(InstrumentTable* t, uint8_t venue, uint8_t venue_slot, const char* symbol, long size, Grid price_grid,
                        Grid qty_grid, int64_t min_notional_ticklots, int64_t book_window_ticks,
                        BookRules rules) noexcept nogil
# A new grid from now on; prices and quantities already in books must be thrown away by the caller.
cdef void instrument_set_grid(Instrument* item, Grid price_grid, Grid qty_grid, int64_t min_notional_ticklots) noexcept nogil
# What a venue's books need when the configuration says nothing else.
cdef BookRules book_rules_of(uint8_t venue, const Grid* price_grid, const Grid* qty_grid) noexcept nogil
