# The L2 book of one instrument: a price ladder with O(1) best bid and ask. Hot; owned by the engine's thread.
#
# Each side keeps the quantity of every price in a window of 2^k ticks around the top in an array indexed by
# price & mask, with two levels of bitmaps above it (one bit a price, one bit a word), so that finding the next best
# is three bit scans however far it lies. Prices outside the window wait in a hash map of fixed capacity; when the top
# comes near the window's edge the window moves and only the ticks that enter or leave are touched.
#
# Synchronisation is the venue's published one. A message applies to a book at first_update_id - 1 and takes it to
# last_update_id (types.pxd, BookDelta, says what that is at each venue).
#   BOOK_SYNC_REST    (Binance, "How to manage a local order book correctly"): messages that arrive before the snapshot are
#                     kept; those with u <= lastUpdateId are dropped; each applied one must have U <= our last id + 1 <= u.
#                     (The venue asks for U = previous u + 1; one that overlaps does no harm.) Anything else is a gap.
#   BOOK_SYNC_STREAM  (Coinbase, Kraken, OKX, Bybit): a snapshot in the stream replaces the book, whenever it comes; a message
#                     with ids must follow exactly, one without is proven by the connection's own sequence (Coinbase) or by a
#                     checksum (Kraken, market/checksum.pxd). What comes before the first snapshot is dropped, or kept where
#                     it has ids: a snapshot that was asked for (first_update_id = 0; OKX, whose stream need not bring one)
#                     is joined to the kept messages as in BOOK_SYNC_REST.
# A gap and a failed checksum lead back to SYNCING, which only a snapshot ends.
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

from tickpath.decimal cimport clz64, ctz64
from tickpath.market.grid_change cimport GridChange
from tickpath.market.instruments cimport BookRules
from tickpath.types cimport PRICE_TICKS_NONE, BookDelta, Slot, likely, unlikely

cdef enum: SIDE_BIDS = 0
cdef enum: SIDE_ASKS = 1
cdef enum: BOOK_FAR_LEVELS = 65536    # hash map slots a side, power of two; 3/4 may be used (Coinbase: 27,000 asks)
cdef enum: BOOK_PENDING_SLOTS = 65536 # records kept while waiting for the snapshot

cdef struct FarLevel:
    int64_t price_ticks               # PRICE_TICKS_NONE = empty
    int64_t qty_lots

cdef struct Ladder:
    int64_t* qty_lots                 # window_ticks of them, index = price & mask
    uint64_t* bits                    # one bit a price
    uint64_t* summary                 # one bit a word of `bits`
    FarLevel* far
    int64_t best_ticks                # after a whole message: the true best, even if it lies outside the window
    int64_t level_count               # levels inside the window
    int64_t far_count

cdef struct Book:
    Ladder[2] sides                   # SIDE_BIDS, SIDE_ASKS
    int64_t base_ticks                # window is [base, base + window)
    int64_t window_ticks
    int64_t mask
    int64_t word_mask                 # window_ticks / 64 - 1
    int64_t summary_mask              # window_ticks / 4096 - 1
    int32_t state                     # BookState
    int32_t crossed                   # best bid >= best ask after the last whole message
    int32_t overflowed                # a far map ran full: needs a new snapshot
    int32_t unsettled                 # a far level changed that may be, or was, the best of its side
    int32_t chained                   # a first diff has bracketed the snapshot
    uint64_t last_update_id
    uint64_t snapshot_update_id
    int64_t ts_recv_ns                # of the last applied message
    int64_t ts_venue_ns
    uint64_t update_count             # messages applied
    uint64_t gap_count
    uint64_t gap_expected_id
    uint64_t gap_found_id
    uint64_t dropped_pending          # records that did not fit while waiting for a snapshot
    uint64_t crossed_count
    uint64_t dropped_unsynced         # messages of a stream that came before its snapshot
    uint64_t cut_levels               # levels beyond rules.max_levels that were dropped
    BookRules rules
    int32_t checksum_seen             # the last message carried the venue's checksum …
    int64_t checksum                  # … which the book with it applied must have
    Slot* pending
    int32_t pending_count

cpdef enum BookResult:
    BOOK_RESULT_INVALID = 0
    BOOK_APPLIED = 1
    BOOK_DROPPED_OLD = 2              # everything in it was already in the snapshot
    BOOK_PENDING = 3                  # kept until the snapshot comes
    BOOK_GAP = 4
    BOOK_SYNCED = 5                   # the snapshot was applied
    BOOK_SNAPSHOT_TOO_OLD = 6         # does not reach the first kept message: another snapshot is needed
    BOOK_DROPPED_UNSYNCED = 7         # a stream's message before its snapshot

# ---- hot: set one level (qty 0 deletes it). Side, new or known level, set or delete are all unpredictable in a real stream, and
# a mispredicted branch costs more than the level: so every store is made in every case, with the value that fits, and the
# only branches are two that are nearly always the same (scripts/bench_book.py, level_update).
cdef inline void book_set_level(Book* b, int side, int64_t price_ticks, int64_t qty_lots) noexcept nogil:
    cdef Ladder* l = &b.sides[side]
    cdef int64_t i, w, old, best
    cdef uint64_t present
    if unlikely(<uint64_t>(price_ticks - b.base_ticks) >= <uint64_t>b.window_ticks):
        book_set_far(b, side, price_ticks, qty_lots)
        return
    i = price_ticks & b.mask
    w = i >> 6
    old = l.qty_lots[i]
    best = l.best_ticks
    present = qty_lots != 0
    l.qty_lots[i] = qty_lots
    l.level_count += <int64_t>present - (old != 0)
    l.bits[w] = (l.bits[w] & ~(<uint64_t>1 << (i & 63))) | (present << (i & 63))
    l.summary[w >> 6] = (l.summary[w >> 6] & ~(<uint64_t>1 << (w & 63))) | (<uint64_t>(l.bits[w] != 0) << (w & 63))
    l.best_ticks = price_ticks if (distance_from_best(side, price_ticks) < distance_from_best(side, best)) & present else best
    if unlikely((present == 0) & (price_ticks == best)) and old != 0:
        l.best_ticks = book_next_level(b, side, price_ticks)

# Smaller is better on either side, and PRICE_TICKS_NONE (the smallest int64) is worse than every price: asks are counted up
# and bids down, both from a place that leaves the null value at the very end.
cdef inline uint64_t distance_from_best(int side, int64_t price_ticks) noexcept nogil:
    cdef uint64_t flip = <uint64_t>side - 1             # all ones for bids, 0 for asks
    return ((<uint64_t>price_ticks ^ flip) - flip) + 0x7FFFFFFFFFFFFFFFULL

# The next level of a side behind price_ticks (below for bids, above for asks), or PRICE_TICKS_NONE. From a price inside
# the window it looks no further than the window's end.
cdef inline int64_t book_next_level(const Book* b, int side, int64_t price_ticks) noexcept nogil:
    cdef const Ladder* l = &b.sides[side]
    cdef int64_t i = price_ticks & b.mask
    cdef int64_t w = i >> 6
    cdef uint64_t x
    cdef int64_t found
    if unlikely(<uint64_t>(price_ticks - b.base_ticks) >= <uint64_t>b.window_ticks):
        return book_next_far(b, side, price_ticks)
    if side == SIDE_ASKS:
        x = l.bits[w] & ~(((<uint64_t>1 << (i & 63)) << 1) - 1)
        if x == 0:
            w = next_word_up(b, l, w)
            if w < 0:
                return PRICE_TICKS_NONE
            x = l.bits[w]
        found = (w << 6) + ctz64(x)
        # Index back to a price: the one in the window that is congruent to it.
        found = b.base_ticks + ((found - b.base_ticks) & b.mask)
        return found if found > price_ticks else PRICE_TICKS_NONE
    x = l.bits[w] & ((<uint64_t>1 << (i & 63)) - 1)
    if x == 0:
        w = next_word_down(b, l, w)
        if w < 0:
            return PRICE_TICKS_NONE
        x = l.bits[w]
    found = (w << 6) + 63 - clz64(x)
    found = b.base_ticks + ((found - b.base_ticks) & b.mask)
    return found if found < price_ticks else PRICE_TICKS_NONE

# The next non-empty word of the bitmap above (below) word w, around the ring of words; -1 when there is no other.
# The window starts on a word's border, so a word never holds both ends of it.
cdef inline int64_t next_word_up(const Book* b, const Ladder* l, int64_t w) noexcept nogil:
    cdef int64_t s = w >> 6, _step
    cdef uint64_t x = l.summary[s] & ~(((<uint64_t>1 << (w & 63)) << 1) - 1)
    if x != 0:
        return (s << 6) + ctz64(x)
    for _step in range(b.summary_mask + 1):
        s = (s + 1) & b.summary_mask
        x = l.summary[s]
        if x != 0:
            return (s << 6) + ctz64(x)
    return -1

cdef inline int64_t next_word_down(const Book* b, const Ladder* l, int64_t w) noexcept nogil:
    cdef int64_t s = w >> 6, _step
    cdef uint64_t x = l.summary[s] & ((<uint64_t>1 << (w & 63)) - 1)
    if x != 0:
        return (s << 6) + 63 - clz64(x)
    for _step in range(b.summary_mask + 1):
        s = (s - 1) & b.summary_mask
        x = l.summary[s]
        if x != 0:
            return (s << 6) + 63 - clz64(x)
    return -1

cdef inline int64_t book_qty_at(const Book* b, int side, int64_t price_ticks) noexcept nogil:
    if <uint64_t>(price_ticks - b.base_ticks) < <uint64_t>b.window_ticks:
        return b.sides[side].qty_lots[price_ticks & b.mask]
    return book_far_qty(b, side, price_ticks)

cdef extern from *:
    """
    static inline void tp_prefetch(const void *p) { __builtin_prefetch(p, 1); }
    """
    void prefetch "tp_prefetch"(const void* p) noexcept nogil

# Levels of one message lie anywhere in the window. Ask for their cache lines before the records are published, so that
# they are here when they are applied (scripts/bench_frame_to_order.py, depth_capture).
cdef inline void book_prefetch(const Book* b, const Slot* records, int32_t count) noexcept nogil:
    cdef const BookDelta* d = <const BookDelta*>records
    cdef int64_t i
    cdef int32_t k
    for k in range(count if count < 64 else 64):
        i = d[k].price_ticks & b.mask
        prefetch(&b.sides[d[k].flags & 1].qty_lots[i])         # bit 0 is DELTA_ASK
        prefetch(&b.sides[d[k].flags & 1].bits[i >> 6])

# Apply one whole message: `count` BookDelta records of one instrument, first to last. Returns BookResult.
cdef int book_apply(Book* b, const Slot* records, int32_t count) noexcept nogil

# Best `depth` levels of a side into prices/quantities; returns how many there are.
cdef int book_depth(const Book* b, int side, int64_t* price_ticks, int64_t* qty_lots, int depth) noexcept nogil

# ---- cold
cdef void book_set_far(Book* b, int side, int64_t price_ticks, int64_t qty_lots) noexcept nogil
cdef int64_t book_next_far(const Book* b, int side, int64_t price_ticks) noexcept nogil
cdef int64_t book_far_qty(const Book* b, int side, int64_t price_ticks) noexcept nogil
cdef int book_init(Book* b, int64_t window_ticks, BookRules rules) noexcept nogil
# What it holds is not to be trusted any more: SYNCING until a snapshot.
cdef void book_lose(Book* b) noexcept nogil
cdef void book_clear(Book* b) noexcept nogil
# The same levels in other ticks and lots, its state and ids as they were. False, and nothing has changed, when a level is none of
# the new grid or they do not fit.
cdef bint book_regrid(Book* b, const GridChange* c) noexcept nogil
cdef void book_free(Book* b) noexcept nogil

cdef class OrderBook:
    cdef Book book
    cdef readonly object tick_size
    cdef readonly object lot_size
    cdef object _depth_array(self, int side, int levels)
