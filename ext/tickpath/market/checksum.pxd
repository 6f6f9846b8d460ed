# The venue's checksum of the top of a book, from the ladder. Hot; one BookChecksum per book, owned by the engine's thread.
#
# Kraken (v1 "c", v2 "checksum"): ten asks from the best, then ten bids; of each the digits of price and quantity without the
# point and without leading zeros, all in a row; CRC-32. https://docs.kraken.com/exchange/guides/websockets/book-checksum-v2
# OKX ("checksum"): up to 25 levels as bid price:qty:ask price:qty: and so on, joined by colons, a missing side left out, numbers
# as canonical decimals; CRC-32 as int32. All 49,756 numbers recorded in 2021 and 2022 are canonical: no exponent, no leading
# zero, no trailing zero behind the point. So the text follows from ticks and lots, and their grid may be as fine as one likes.
# OKX announced for 2026-06-23 that the field stays but always holds 0
# (https://www.okx.com/help/okx-order-book-channels-checksum-field-deprecation, seen 2026-11-21): 0 says nothing of the book.
#
# Nothing is joined and hashed anew: a level's raw CRC and length are kept by price, and crc32_join makes the CRC of the whole
# from them with one carry-less multiplication a level (crc32.h). Only a level that changed is turned into text
# (scripts/bench_checksum.py, which also times the other ways).
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

from tickpath.decimal cimport Grid
from tickpath.market.book cimport Book

cdef struct CrcPart:                      # as TpCrcPart of crc32.h
    uint32_t crc                          # raw
    uint32_t bytes

cdef enum: CHECKSUM_KRAKEN_LEVELS = 10
cdef enum: CHECKSUM_OKX_LEVELS = 25
cdef enum: CHECKSUM_CACHE_LEVELS = 256    # a side, power of two; by a hash of the price
cdef enum: CHECKSUM_JOIN_BYTES = 4800     # TP_CRC32_JOIN_BYTES
cdef enum: LEVEL_TEXT_BYTES = 96          # of the longest level: two numbers of 41 characters and two colons

cdef struct ChecksumLevel:
    int64_t price_ticks
    int64_t qty_lots                      # 0 = empty: no level has this quantity
    CrcPart part

cdef struct BookChecksum:
    int32_t kind                          # ChecksumKind
    int32_t carryless                     # the processor has PCLMULQDQ
    int64_t price_factor                  # ticks x factor = the number's digits, of which `decimals` stand behind the point
    int64_t qty_factor
    int32_t price_decimals
    int32_t qty_decimals
    uint64_t price_reciprocal             # (2^64 - 1) // 10^decimals (OKX)
    uint64_t qty_reciprocal
    uint64_t rendered_count               # levels turned into text so far
    ChecksumLevel[2][256] levels          # SIDE_BIDS, SIDE_ASKS

# ---- hot. The message must have been applied whole, so that the best prices are true.
cdef uint32_t checksum_kraken(BookChecksum* c, const Book* b) noexcept nogil
cdef int32_t checksum_okx(BookChecksum* c, const Book* b) noexcept nogil
# Whether the book has the venue's checksum, by the kind of `c`; True where the venue says nothing (OKX's 0, no kind).
cdef bint checksum_matches(BookChecksum* c, const Book* b, int64_t expected) noexcept nogil

# For texts of more than levels (l3_book.pxd): one part of it from a price and a quantity, and the CRC-32 of a text, 0 when it is
# empty, with parts of at most CHECKSUM_JOIN_BYTES behind it.
cdef void checksum_part(BookChecksum* c, CrcPart* part, int64_t price_ticks, int64_t qty_lots) noexcept nogil
cdef uint32_t checksum_extend(const BookChecksum* c, uint32_t crc, const CrcPart* parts, int count) noexcept nogil

# ---- cold
# kind: ChecksumKind. price_decimals, qty_decimals: how many the venue's text has (Kraken; OKX follows from the grids). Returns
# Status: STATUS_OFF_GRID when the text has fewer decimals than the grid, STATUS_OVERFLOW when a factor leaves int64.
cdef int checksum_init(BookChecksum* c, int kind, const Grid* price_grid, const Grid* qty_grid, int price_decimals,
                       int qty_decimals) noexcept nogil
# Forgets what it has rendered: for a grid that has changed, follow it by checksum_init.
cdef void checksum_clear(BookChecksum* c) noexcept nogil

cdef class Checksum:
    cdef BookChecksum checksum
