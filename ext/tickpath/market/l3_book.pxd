# The order-by-order (L3) book of one instrument: every resting order in its place in the queue of its price. Hot; owned by the
# engine's thread.
#
# The totals of the queues are kept in an ordinary Book (market/book.pxd): best bid and ask, depth, state and update id are read
# there, whoever feeds it. This adds who stands where: lots ahead of an order, orders at a price. That Book is fed by nothing
# else, is lost by l3_lose only, and its rules say max_levels = 0 (l3_truncate cuts both).
#
# Orders have 128-bit keys: the venue's UUID, or its text as two words. Everything is allocated once (market/l3_queues.pxd). An
# order that finds no room is refused and counted, and the book is SYNCING from then on: with one missing, no queue is right.
#
# Rules a venue:
#   Coinbase Exchange, `full` channel. Every message of a product has the next `sequence`; smaller ones are old, a jump is a
#     gap. Messages are kept until the REST book (level=3) is there, and those with a sequence up to its own are dropped; one
#     that carries no resting order (received, activate, a done or change of what never rested) only takes its number.
#     A smaller quantity keeps the place; a larger one or another price goes to the back of the queue.
#     https://docs.cdp.coinbase.com/exchange/websocket-feed/channels#full-channel
#     https://docs.cdp.coinbase.com/exchange/docs/fix-msg-order-entry#queue-priority (both seen 2026-11-21). The price of a
#     `done` may differ from that of its `open`, so it is the key alone that says which order is meant.
#   Kraken, `level3` channel. No sequence: a snapshot in the stream replaces the book, and the venue's checksum over the queues
#     (l3_checksum) proves it, their order included. After each message the book is cut to the subscribed depth. An amend keeps
#     its place "where possible"; what a larger quantity does is not said, so the usual rule is taken: the checksum would tell.
#     https://docs.kraken.com/api/docs/websocket-v2/level3, https://docs.kraken.com/api/docs/guides/spot-amends,
#     https://docs.kraken.com/api/docs/guides/spot-ws-l3-v2 (all seen 2026-11-21)
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

from tickpath.market.book cimport Book
from tickpath.market.checksum cimport BookChecksum
from tickpath.market.l3_queues cimport L3Queues
from tickpath.types cimport OrderDelta

cdef enum: L3_PENDING_EVENTS = 65536      # kept while waiting for the snapshot

# Rules, as bits.
cdef enum: L3_SEQUENCED = 1               # update ids follow each other by one; else they mean nothing
cdef enum: L3_KEEP_ON_INCREASE = 2        # a larger quantity keeps its place in the queue; a smaller one always does
cdef enum: L3_RULES_COINBASE = 1
cdef enum: L3_RULES_KRAKEN = 0

# As BookResult, and what only orders can do.
cpdef enum L3Result:
    L3_INVALID = 0
    L3_APPLIED = 1
    L3_DROPPED_OLD = 2
    L3_PENDING = 3                        # kept until the snapshot comes
    L3_GAP = 4
    L3_SYNCED = 5                         # the snapshot was applied
    L3_SNAPSHOT_TOO_OLD = 6               # does not reach the first kept event: another snapshot is needed
    L3_DROPPED_UNSYNCED = 7               # without sequence, before its snapshot
    L3_UNKNOWN_ORDER = 8                  # a delete or change of what does not rest here: no fault
    L3_OVERFLOW = 9                       # no room for the order, or for its price in the ladder: SYNCING
    L3_INCONSISTENT = 10                  # cannot be true of this book (a second order with the key, a match of more): SYNCING

cdef struct L3Event:
    uint64_t key_high
    uint64_t key_low
    int64_t price_ticks
    int64_t qty_lots
    uint64_t update_id
    int64_t ts_recv_ns
    int64_t ts_venue_ns
    int32_t action                        # OrderAction
    int32_t side

cdef struct L3Book:
    Book* l2                              # the totals; not ours
    L3Queues queues
    L3Event* pending
    int32_t pending_count
    uint32_t rules                        # L3_*
    int32_t synced
    int32_t in_snapshot
    uint64_t last_update_id
    uint64_t snapshot_update_id
    int64_t ts_recv_ns                    # of the event being applied
    int64_t ts_venue_ns
    uint64_t event_count                  # applied
    uint64_t gap_count
    uint64_t gap_expected_id
    uint64_t gap_found_id
    uint64_t unknown_count                # deletes and changes of orders that do not rest here
    uint64_t overflow_count
    uint64_t inconsistent_count
    uint64_t dropped_pending              # events that did not fit while waiting for a snapshot
    uint64_t dropped_unsynced

# ---- hot
# One decoded record: snapshots from ORDER_DELTA_FIRST to ORDER_DELTA_LAST, events otherwise; a message of several events is
# whole, and the ladder settled, at its LAST one. Returns L3Result.
cdef int l3_on_order(L3Book* l, const OrderDelta* d) noexcept nogil
# One event that is a whole message. ADD: price and quantity of a new order. CHANGE: its quantity from now on, and its price
# (PRICE_TICKS_NONE = the same). DELETE: the key alone counts. MATCH: qty_lots of it have traded. ORDER_ACTION_INVALID: nothing
# but the update id.
cdef int l3_apply(L3Book* l, int action, uint64_t key_high, uint64_t key_low, int side, int64_t price_ticks, int64_t qty_lots,
                  uint64_t update_id) noexcept nogil
# Lots in front of an order in its queue, or QTY_LOTS_NONE where it does not rest. Walks the queue forward from the order.
cdef int64_t l3_queue_ahead(const L3Book* l, uint64_t key_high, uint64_t key_low) noexcept nogil
cdef int32_t l3_order_count(const L3Book* l, int side, int64_t price_ticks) noexcept nogil
# Kraken's checksum: as of the L2 book (checksum.pxd), but with each order of a price, first in the queue first, in place of its
# total. `c` is of kind CHECKSUM_KRAKEN, and always the same for this book.
cdef uint32_t l3_checksum(L3Book* l, BookChecksum* c) noexcept nogil
# Cuts each side to its best `depth` prices, for venues that say nothing of what falls out of the subscribed depth.
cdef void l3_truncate(L3Book* l, int depth) noexcept nogil

# ---- cold
# 0, or -1 when memory is short. order_capacity: a power of two; l2: an initialised Book that lives as long.
cdef int l3_init(L3Book* l, Book* l2, int32_t order_capacity, uint32_t rules) noexcept nogil
cdef void l3_free(L3Book* l) noexcept nogil
# What it holds is not to be trusted any more: SYNCING until a snapshot.
cdef void l3_lose(L3Book* l) noexcept nogil
# A snapshot order by order, best prices first, each queue from its front: begin, then every order, then end.
cdef int l3_snapshot_begin(L3Book* l, uint64_t update_id) noexcept nogil
cdef int l3_snapshot_order(L3Book* l, uint64_t key_high, uint64_t key_low, int side, int64_t price_ticks,
                           int64_t qty_lots) noexcept nogil
cdef int l3_snapshot_end(L3Book* l) noexcept nogil
