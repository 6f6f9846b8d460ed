"""The instrument table: grids and the lookup by the venue's own symbol."""
from libc.string cimport memset

from tickpath.types cimport VENUE_BINANCE_SPOT, VENUE_BINANCE_USDM, VENUE_KRAKEN, VENUE_OKX


cdef BookRules book_rules_of(uint8_t venue, const Grid* price_grid, const Grid* qty_grid) noexcept nogil:
    cdef BookRules rules
    memset(&rules, 0, sizeof(BookRules))
    rules.sync = BOOK_SYNC_REST if venue == VENUE_BINANCE_SPOT or venue == VENUE_BINANCE_USDM else BOOK_SYNC_STREAM
    if venue == VENUE_KRAKEN:
        rules.checksum = CHECKSUM_KRAKEN
    elif venue == VENUE_OKX:
        rules.checksum = CHECKSUM_OKX
    rules.price_decimals = <uint8_t>price_grid.scale
    rules.qty_decimals = <uint8_t>qty_grid.scale
    return rules


cdef void instrument_set_grid(Instrument* item, Grid price_grid, Grid qty_grid, int64_t min_notional_ticklots) noexcept nogil:
    item.price_grid = price_grid
    item.qty_grid = qty_grid
    item.min_notional_ticklots = min_notional_ticklots
    item.ticklot_mantissa = price_grid.mantissa * qty_grid.mantissa
    item.ticklot_scale = price_grid.scale + qty_grid.scale


cdef int instrument_add(InstrumentTable* t, uint8_t venue, uint8_t venue_slot, const char* symbol, long size, Grid price_grid,
                        Grid qty_grid, int64_t min_notional_ticklots, int64_t book_window_ticks,
                        BookRules rules) noexcept nogil:
    """Append an instrument; returns its index, or -1 when the table is full, the symbol is known or does not fit 24 bytes."""
    cdef Instrument* item
    cdef char[32] padded
    cdef uint32_t h
    if t.count >= MAX_INSTRUMENTS or size <= 0 or size > SYMBOL_BYTES_MAX:
        return -1
    memset(padded, 0, 32)
    memcpy(padded, symbol, size)
    if instrument_find(t, venue_slot, padded, size) != NULL:
        return -1
    item = &t.items[t.count]
    memset(item, 0, sizeof(Instrument))
    item.instrument = t.count
    item.venue = venue
    item.venue_slot = venue_slot
    item.symbol_bytes = <uint8_t>size
    memcpy(item.symbol, padded, 24)
    memcpy(item.key, padded, 24)
    item.book_window_ticks = book_window_ticks
    item.rules = rules
    instrument_set_grid(item, price_grid, qty_grid, min_notional_ticklots)
    h = symbol_bucket(item.key[0], item.key[1], item.key[2], venue_slot)
    while t.buckets[h & 255] != 0:
        h += 1
    t.count += 1
    t.buckets[h & 255] = t.count
    return t.count - 1
