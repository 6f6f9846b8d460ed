"""Kraken's and OKX's book checksums from the ladder; `Checksum` is their Python face."""
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from tickpath.decimal cimport POW10, DecimalGrid, Grid, clz64, ctz64, digit_count
from tickpath.market.book cimport (
    BOOK_FAR_LEVELS, SIDE_ASKS, SIDE_BIDS, Book, Ladder, OrderBook, next_word_down, next_word_up,
)
from tickpath.market.instruments cimport CHECKSUM_KRAKEN, CHECKSUM_OKX
from tickpath.types cimport (
    PRICE_TICKS_NONE, STATUS_MALFORMED, STATUS_OFF_GRID, STATUS_OK, STATUS_OVERFLOW, likely, uint128, unlikely,
)

from tickpath.market.instruments import ChecksumKind

cdef extern from "crc32.h" nogil:
    ctypedef struct TpCrcPart:
        pass
    int crc32_setup "tp_crc32_setup"()
    uint32_t crc32_update_portable "tp_crc32_update_portable"(uint32_t crc, const unsigned char* p, size_t n)
    uint32_t crc32_update_clmul "tp_crc32_update_clmul"(uint32_t crc, const unsigned char* p, size_t n)
    uint32_t crc32_digits "tp_crc32_digits"(uint64_t v, int place)
    uint32_t crc32_digits16 "tp_crc32_digits16"(uint64_t v, int place)
    int trailing_zeros "tp_trailing_zeros"(uint64_t v)
    const uint32_t[48] crc32_colon "tp_crc32_colon"
    const uint32_t[48] crc32_point "tp_crc32_point"
    const uint32_t[49] crc32_zeros "tp_crc32_zeros"
    uint32_t crc32_join_clmul "tp_crc32_join_clmul"(const TpCrcPart* parts, int count, uint32_t seed, uint32_t skip)
    uint32_t crc32_join_portable "tp_crc32_join_portable"(const TpCrcPart* parts, int count, uint32_t seed, uint32_t skip)

cdef int carryless = crc32_setup()
# The colon in front of the first level is no part of OKX's text. Its raw CRC, which is that of the byte ':'.
cdef uint32_t colon_crc = crc32_update_portable(0, b":", 1)


cdef inline uint32_t join(const BookChecksum* c, const CrcPart* parts, int count, uint32_t seed, uint32_t skip) noexcept nogil:
    if likely(c.carryless):
        return crc32_join_clmul(<const TpCrcPart*>parts, count, seed, skip)
    return crc32_join_portable(<const TpCrcPart*>parts, count, seed, skip)


# ---- one level. Its CRC is made from its digits without writing them down; text is for numbers beyond 64 bits.

cdef inline void kraken_part(CrcPart* part, uint64_t price, uint64_t qty) noexcept nogil:
    cdef int qty_bytes = digit_count(qty)
    part.bytes = qty_bytes + (digit_count(price) if likely(price != 0) else 0)
    part.crc = crc32_zeros[part.bytes] ^ crc32_digits16(qty, 0) ^ crc32_digits(price, qty_bytes)


cdef inline int decimal_at(uint32_t* crc, int place, uint64_t v, int decimals, uint64_t reciprocal) noexcept nogil:
    """Adds v / 10^decimals as canonical text that ends `place` bytes before the end; returns the place in front of it."""
    # (2^64 - 1) // 10^decimals in place of a division, which falls short by one at most.
    cdef uint64_t whole = <uint64_t>((<uint128>v * reciprocal) >> 64)
    cdef uint64_t fraction = v - whole * POW10[decimals]
    cdef int behind
    if fraction >= POW10[decimals]:
        fraction -= POW10[decimals]
        whole += 1
    if fraction != 0:
        # Zeros at the end of a fraction say nothing and are not sent.
        behind = trailing_zeros(fraction)
        crc[0] ^= crc32_digits(fraction, place - behind) ^ crc32_point[place + decimals - behind]
        place += decimals - behind + 1
    crc[0] ^= crc32_digits(whole, place)
    return place + digit_count(whole)


cdef inline void okx_part(const BookChecksum* c, CrcPart* part, uint64_t price, uint64_t qty) noexcept nogil:
    cdef uint32_t crc = 0
    cdef int place = decimal_at(&crc, 0, qty, c.qty_decimals, c.qty_reciprocal)
    crc ^= crc32_colon[place]
    place = decimal_at(&crc, place + 1, price, c.price_decimals, c.price_reciprocal)
    crc ^= crc32_colon[place]
    part.bytes = place + 1
    part.crc = crc ^ crc32_zeros[part.bytes]


cdef char* wide_digits_before(char* end, uint128 v) noexcept nogil:
    """The digits of v, none for 0, so that they end before `end`; returns where they start."""
    while v > 0:
        end -= 1
        end[0] = <char>(48 + <int>(v % 10))
        v = v // 10
    return end


cdef char* wide_decimal_before(char* end, uint128 v, int decimals) noexcept nogil:
    cdef uint128 whole = v // POW10[decimals]
    cdef uint64_t fraction = <uint64_t>(v - whole * POW10[decimals])
    cdef char* start
    if fraction != 0:
        while fraction % 10 == 0:
            fraction = fraction // 10
            decimals -= 1
        start = wide_digits_before(end, fraction)
        end -= decimals
        while start > end:
            start -= 1
            start[0] = 48
        end -= 1
        end[0] = 46
    start = wide_digits_before(end, whole)
    if start == end:
        start -= 1
        start[0] = 48
    return start


cdef void wide_part(const BookChecksum* c, CrcPart* part, uint128 price, uint128 qty) noexcept nogil:
    cdef char[96] text                                        # LEVEL_TEXT_BYTES
    cdef char* end = text + LEVEL_TEXT_BYTES
    if c.kind == CHECKSUM_KRAKEN:
        end = wide_digits_before(wide_digits_before(end, qty), price)
    else:
        end = wide_decimal_before(end, qty, c.qty_decimals) - 1
        end[0] = 58
        end = wide_decimal_before(end, price, c.price_decimals) - 1
        end[0] = 58
    part.bytes = <uint32_t>(text + LEVEL_TEXT_BYTES - end)
    part.crc = crc32_update_portable(0, <const unsigned char*>end, part.bytes)


cdef void checksum_part(BookChecksum* c, CrcPart* part, int64_t price_ticks, int64_t qty_lots) noexcept nogil:
    cdef uint128 price = <uint128>price_ticks * <uint128>c.price_factor
    cdef uint128 qty = <uint128>qty_lots * <uint128>c.qty_factor
    c.rendered_count += 1
    if unlikely((price | qty) >> 64 != 0):
        wide_part(c, part, price, qty)
    elif c.kind == CHECKSUM_KRAKEN:
        kraken_part(part, <uint64_t>price, <uint64_t>qty)
    else:
        okx_part(c, part, <uint64_t>price, <uint64_t>qty)


cdef uint32_t checksum_extend(const BookChecksum* c, uint32_t crc, const CrcPart* parts, int count) noexcept nogil:
    return crc if count == 0 else join(c, parts, count, ~crc, 0)


# ---- the top of one side

cdef inline const CrcPart* part_of(BookChecksum* c, int side, int64_t price_ticks, int64_t qty_lots) noexcept nogil:
    # By a hash and not by the low bits: a venue whose prices are all multiples of 64 ticks would use four places.
    cdef ChecksumLevel* l = &c.levels[side][(<uint64_t>price_ticks * 0x9E3779B97F4A7C15ULL) >> 56]
    if unlikely((l.price_ticks != price_ticks) | (l.qty_lots != qty_lots)):
        l.price_ticks = price_ticks
        l.qty_lots = qty_lots
        checksum_part(c, &l.part, price_ticks, qty_lots)
    return &l.part


cdef inline int top_parts(BookChecksum* c, const Book* b, int side, int depth, CrcPart* parts, int stride) noexcept nogil:
    """The best `depth` levels' parts to parts[0], parts[stride], …; returns how many there are.

    The ladder's bits are read a word at a time: asking book_next_level for each level costs more than all the rest here.
    """
    cdef const Ladder* l = &b.sides[side]
    cdef int64_t price = l.best_ticks
    cdef int64_t w, k, from_base
    cdef uint64_t x
    cdef int n = 0
    if price == PRICE_TICKS_NONE:
        return 0
    if unlikely(<uint64_t>(price - b.base_ticks) >= <uint64_t>b.window_ticks):
        return far_parts(c, b, side, depth, parts, stride)
    w = (price & b.mask) >> 6
    # The window starts on a word's border: a word's prices are all in a row.
    price &= ~<int64_t>63
    if side == SIDE_ASKS:
        x = l.bits[w] & (~<uint64_t>0 << (l.best_ticks & 63))
        while True:
            while x != 0:
                k = ctz64(x)
                parts[n * stride] = part_of(c, side, price + k, l.qty_lots[(w << 6) + k])[0]
                n += 1
                if n == depth:
                    return n
                x &= x - 1
            w = next_word_up(b, l, w)
            from_base = ((w << 6) - b.base_ticks) & b.mask
            if w < 0 or b.base_ticks + from_base <= price:
                break
            price = b.base_ticks + from_base
            x = l.bits[w]
    else:
        x = l.bits[w] & (~<uint64_t>0 >> (63 - (l.best_ticks & 63)))
        while True:
            while x != 0:
                k = 63 - clz64(x)
                parts[n * stride] = part_of(c, side, price + k, l.qty_lots[(w << 6) + k])[0]
                n += 1
                if n == depth:
                    return n
                x ^= <uint64_t>1 << k
            w = next_word_down(b, l, w)
            from_base = ((w << 6) - b.base_ticks) & b.mask
            if w < 0 or b.base_ticks + from_base >= price:
                break
            price = b.base_ticks + from_base
            x = l.bits[w]
    if unlikely(l.far_count != 0):
        return far_parts(c, b, side, depth, parts, stride)
    return n


cdef int far_parts(BookChecksum* c, const Book* b, int side, int depth, CrcPart* parts, int stride) noexcept nogil:
    """As top_parts, where levels outside the window are among the best: one pass over the far map, which is slow and rare."""
    cdef int64_t[25] prices                                   # CHECKSUM_OKX_LEVELS
    cdef int64_t[25] quantities
    cdef const Ladder* l = &b.sides[side]
    cdef int64_t i, _, price, qty
    cdef int n = 0, k
    # First the far levels, the best of them in order; then the window's between them.
    for i in range(BOOK_FAR_LEVELS):
        price = l.far[i].price_ticks
        if price != PRICE_TICKS_NONE:
            n = keep_best(prices, quantities, n, depth, side, price, l.far[i].qty_lots)
    price = b.base_ticks if side == SIDE_ASKS else b.base_ticks + b.window_ticks - 1
    k = 0
    for _ in range(b.window_ticks):
        qty = l.qty_lots[price & b.mask]
        if qty != 0:
            n = keep_best(prices, quantities, n, depth, side, price, qty)
            k += 1
            if k == depth or k == l.level_count:
                break
        price += 1 if side == SIDE_ASKS else -1
    for k in range(n):
        parts[k * stride] = part_of(c, side, prices[k], quantities[k])[0]
    return n


cdef int keep_best(int64_t* prices, int64_t* quantities, int n, int depth, int side, int64_t price, int64_t qty) noexcept nogil:
    """Insert a level into the `n` best in order, of which `depth` are kept; returns how many there are then."""
    cdef int k = n
    if n == depth:
        k -= 1
        if (price > prices[k]) == (side == SIDE_ASKS):
            return n
    while k > 0 and (price < prices[k - 1]) == (side == SIDE_ASKS):
        prices[k] = prices[k - 1]
        quantities[k] = quantities[k - 1]
        k -= 1
    prices[k] = price
    quantities[k] = qty
    return n if n == depth else n + 1


# ---- the whole

cdef uint32_t checksum_kraken(BookChecksum* c, const Book* b) noexcept nogil:
    cdef CrcPart[20] parts                                    # 2 * CHECKSUM_KRAKEN_LEVELS
    cdef int n = top_parts(c, b, SIDE_ASKS, CHECKSUM_KRAKEN_LEVELS, parts, 1)
    n += top_parts(c, b, SIDE_BIDS, CHECKSUM_KRAKEN_LEVELS, parts + n, 1)
    return join(c, parts, n, <uint32_t>0xFFFFFFFF, 0)


cdef int32_t checksum_okx(BookChecksum* c, const Book* b) noexcept nogil:
    cdef CrcPart[50] parts                                    # 2 * CHECKSUM_OKX_LEVELS
    cdef int bids = top_parts(c, b, SIDE_BIDS, CHECKSUM_OKX_LEVELS, parts, 2)
    cdef int asks = top_parts(c, b, SIDE_ASKS, CHECKSUM_OKX_LEVELS, parts + 1, 2)
    cdef int longest = bids if bids > asks else asks
    cdef int i
    # A part of no bytes stands for a level that the shorter side does not have.
    for i in range(bids, longest):
        parts[2 * i].crc = parts[2 * i].bytes = 0
    for i in range(asks, longest):
        parts[2 * i + 1].crc = parts[2 * i + 1].bytes = 0
    return <int32_t>join(c, parts, 2 * longest, ~colon_crc, 1)


cdef bint checksum_matches(BookChecksum* c, const Book* b, int64_t expected) noexcept nogil:
    if c.kind == CHECKSUM_KRAKEN:
        return <int64_t>checksum_kraken(c, b) == expected
    if c.kind == CHECKSUM_OKX:
        return expected == 0 or <int64_t>checksum_okx(c, b) == expected
    return True


# ---- cold

cdef int set_factor(const Grid* g, int decimals, int64_t* factor) noexcept nogil:
    if decimals < g.scale:
        return STATUS_OFF_GRID
    if decimals - g.scale > 18 or <uint128>g.mantissa * POW10[decimals - g.scale] >= <uint128>1 << 63:
        return STATUS_OVERFLOW
    factor[0] = g.mantissa * <int64_t>POW10[decimals - g.scale]
    return STATUS_OK


cdef int checksum_init(BookChecksum* c, int kind, const Grid* price_grid, const Grid* qty_grid, int price_decimals,
                       int qty_decimals) noexcept nogil:
    cdef int status
    memset(c, 0, sizeof(BookChecksum))
    if kind == CHECKSUM_OKX:
        price_decimals = price_grid.scale
        qty_decimals = qty_grid.scale
    elif kind != CHECKSUM_KRAKEN:
        return STATUS_OK if kind == 0 else STATUS_MALFORMED
    status = set_factor(price_grid, price_decimals, &c.price_factor)
    if status == STATUS_OK:
        status = set_factor(qty_grid, qty_decimals, &c.qty_factor)
    if status != STATUS_OK:
        return status
    c.kind = kind
    c.carryless = carryless
    c.price_decimals = price_decimals
    c.qty_decimals = qty_decimals
    if kind == CHECKSUM_OKX:
        c.price_reciprocal = ~<uint64_t>0 // POW10[price_decimals]
        c.qty_reciprocal = ~<uint64_t>0 // POW10[qty_decimals]
    return STATUS_OK


cdef void checksum_clear(BookChecksum* c) noexcept nogil:
    memset(c.levels, 0, sizeof(c.levels))
    c.rendered_count = 0


def crc32(const uint8_t[::1] data not None, *, portable=False, uint32_t start=0):
    """CRC-32 of the bytes as zlib.crc32 gives it. portable=True: without PCLMULQDQ, as on a processor that lacks it."""
    cdef const unsigned char* p = &data[0] if data.shape[0] else NULL
    if portable or not carryless:
        return ~crc32_update_portable(~start, p, data.shape[0]) & 0xFFFFFFFF
    return ~crc32_update_clmul(~start, p, data.shape[0]) & 0xFFFFFFFF


cdef class Checksum:
    """The venue's checksum of one book's top.

    Parameters: kind : ChecksumKind, CHECKSUM_KRAKEN or CHECKSUM_OKX.  tick_size, lot_size : decimal strings, the book's.
    price_decimals, qty_decimals : of the venue's text (Kraken: a snapshot's; OKX: ignored); the increments' own when None.
    portable : without PCLMULQDQ, as on a processor that lacks it.
    Errors: ValueError when a checksum cannot be computed with these.
    """
    def __cinit__(self, kind, tick_size, lot_size, price_decimals=None, qty_decimals=None, *, portable=False):
        cdef DecimalGrid tick = DecimalGrid(tick_size)
        cdef DecimalGrid lot = DecimalGrid(lot_size)
        if kind not in (ChecksumKind.CHECKSUM_KRAKEN, ChecksumKind.CHECKSUM_OKX):
            raise ValueError(f"kind: expected CHECKSUM_KRAKEN or CHECKSUM_OKX, found {kind!r}")
        if price_decimals is None:
            price_decimals = tick.scale
        if qty_decimals is None:
            qty_decimals = lot.scale
        status = checksum_init(&self.checksum, kind, &tick.grid, &lot.grid, price_decimals, qty_decimals)
        if status != STATUS_OK:
            raise ValueError(f"checksum: expected at least the decimals of {tick_size} and {lot_size}, and a number of them that"
                             f" fits 63 bits, found {price_decimals} and {qty_decimals}")
        if portable:
            self.checksum.carryless = 0

    def of(self, OrderBook book not None):
        """The checksum of a book's present top: uint32 (Kraken) or int32 (OKX), as the venue sends it."""
        if self.checksum.kind == CHECKSUM_KRAKEN:
            return checksum_kraken(&self.checksum, &book.book)
        return checksum_okx(&self.checksum, &book.book)

    def matches(self, OrderBook book not None, int64_t expected):
        """Whether the book has the checksum that the venue sent; True where it sent none (OKX's 0)."""
        return bool(checksum_matches(&self.checksum, &book.book, expected))

    def clear(self):
        """Forget what has been rendered: the next checksum does all its levels."""
        checksum_clear(&self.checksum)

    @property
    def rendered(self):
        """Levels that were turned into text so far."""
        return self.checksum.rendered_count
