"""The instrument table: grids and the lookup by the venue's own symbol."""
from libc.string cimport memset


cdef int instrument_add(InstrumentTable* t, uint8_t venue, const char* symbol, long size, Grid price_grid, Grid qty_grid,
                        int64_t min_notional_ticklots, int64_t book_window_ticks) noexcept nogil:
    """Append an instrument; returns its index, or -1 when the table is full or the symbol does not fit 16 bytes."""
    cdef Instrument* item
    cdef char[24] padded
    cdef uint32_t h
    if t.count >= MAX_INSTRUMENTS or size <= 0 or size > 16:
        return -1
    memset(padded, 0, 24)
    memcpy(padded, symbol, size)
    if instrument_find(t, padded, size) != NULL:
        return -1
    item = &t.items[t.count]
    memset(item, 0, sizeof(Instrument))
    item.instrument = t.count
    item.venue = venue
    item.symbol_bytes = <uint8_t>size
    memcpy(item.symbol, padded, 24)
    item.key_low = symbol_word(padded, size)
    item.key_high = symbol_word(padded + 8, size - 8) if size > 8 else 0
    item.price_grid = price_grid
    item.qty_grid = qty_grid
    item.min_notional_ticklots = min_notional_ticklots
    item.book_window_ticks = book_window_ticks
    item.ticklot_mantissa = price_grid.mantissa * qty_grid.mantissa
    item.ticklot_scale = price_grid.scale + qty_grid.scale
    h = <uint32_t>(((item.key_low ^ (item.key_high * 0x9E3779B97F4A7C15ULL)) * 0x9E3779B97F4A7C15ULL) >> 56)
    while t.buckets[h & 255] != 0:
        h += 1
    t.count += 1
    t.buckets[h & 255] = t.count
    return t.count - 1
