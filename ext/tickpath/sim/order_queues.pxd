# Orders of clients by price: what the simulated venue's book and its waiting stop orders are made of. Hot; owned by the one
# thread that runs the exchange; no clock, no I/O.
#
# Orders live in one pool and are known by their index; an order's id holds its index in the low 24 bits and a number that
# only rises above them, so that finding an order is one load and one comparison, and ids rise in the order of arrival.
# A price's queue is a doubly linked list through the orders. Prices are the leaves of a radix tree of 64 children a node: a
# node's children are one word of bits, so the next price that has orders is a bit scan, however far it lies, and the cost of
# a price does not depend on how many there are. A leaf holds 64 neighbouring prices next to one another.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from tickpath.decimal cimport clz64, ctz64
from tickpath.types cimport PRICE_TICKS_NONE, likely, unlikely

cdef enum: SIM_NONE = -1                  # no order, no level, no node
cdef enum: SIM_INDEX_BITS = 24
cdef enum: SIM_INDEX_MASK = (1 << 24) - 1
cdef enum: SIM_TREE_HEIGHT = 7            # nodes above the leaves at most: prices below 2^48 ticks

# SimOrder.flags
cdef enum: SIM_FLAG_REDUCE_ONLY = 1
cdef enum: SIM_FLAG_CLOSE_POSITION = 2
cdef enum: SIM_FLAG_WORKING_MARK = 4      # its stop is judged by the mark price
cdef enum: SIM_FLAG_POST_ONLY = 8
cdef enum: SIM_FLAG_EXTRA = 16            # has a SimOrderExtra, at SimOrder.extra
cdef enum: SIM_FLAG_LIQUIDATION = 32      # the venue's own order on a client's account: no filters, no reservation
cdef enum: SIM_FLAG_WAITING = 64          # a stop order that has not been triggered: in no book
cdef enum: SIM_FLAG_QUOTE_QTY = 128       # a market order for an amount of the quote asset

# First cache line: all that matching and cancelling read. A free one: order_id = 0, `behind` = the next free one.
cdef struct SimOrder:
    uint64_t order_id
    int64_t price_ticks                   # of a market order 0
    int64_t leaves_lots                   # still open, hidden part of an iceberg included
    int64_t shown_lots                    # of it in the queue now: leaves, or the tip of an iceberg
    int64_t cum_lots                      # executed
    int32_t ahead                         # order in front of it at its price, SIM_NONE = it is the first
    int32_t behind
    int32_t level                         # where it stands, SIM_NONE = in no queue
    uint32_t account
    uint16_t instrument
    uint8_t side                          # SIDE_BUY, SIDE_SELL
    uint8_t order_type                    # SIM_ORDER_*
    uint8_t time_in_force                 # SIM_TIF_*
    uint8_t status                        # SimStatus
    uint8_t stp                           # SimStp
    uint8_t flags                         # SIM_FLAG_*
    # Second cache line.
    int64_t qty_lots                      # as ordered
    int64_t cum_quote_units
    int64_t ref                           # the caller's own word
    int64_t created_ns
    int64_t updated_ns
    int64_t queue_ahead_lots              # recorded market: displayed quantity served before it (recorded.pyx alone writes it)
    int64_t reserved_units                # margin reserved for it (margin.pyx alone writes it)
    int32_t extra                         # index of its SimOrderExtra; of a free order's: nothing
    uint8_t position_side                 # 0 both, 1 long, 2 short
    uint8_t mark                          # free for recorded.pyx
    uint8_t mark2                         # free for margin.pyx
    uint8_t was_triggered

# What few orders have: conditions, a tip, an end.
cdef struct SimOrderExtra:
    int64_t stop_ticks
    int64_t activation_ticks              # trailing: 0 = active from the start
    int64_t extreme_ticks                 # trailing: best price since it is active; PRICE_TICKS_NONE = not active
    int64_t iceberg_lots                  # size of the tip, 0 = none
    int64_t expire_ns                     # 0 = none
    int64_t working_ns
    int64_t quote_units                   # of SIM_FLAG_QUOTE_QTY
    int32_t trailing_bips                 # 0 = not trailing
    int32_t trail_place                   # place in the instrument's list of trailing orders
    int32_t next_free

cdef struct SimLevel:
    int64_t price_ticks
    int64_t shown_lots                    # sum over its orders
    int64_t total_lots                    # hidden quantity included
    int32_t front
    int32_t back

cdef struct SimBlock:
    uint64_t bits                         # one a price that has orders
    int32_t next_free
    int32_t unused
    uint64_t[6] unused2                   # the levels start on a cache line
    SimLevel[64] levels

cdef struct SimNode:
    uint64_t bits                         # one a child
    int32_t[64] children                  # index of a node, at the lowest row of a block
    int32_t next_free

# The prices of one side of a book, or of the stop orders that wait in one direction.
cdef struct SimLadder:
    int64_t best_ticks                    # PRICE_TICKS_NONE = empty
    int32_t best_level
    int32_t root                          # node
    int32_t height                        # rows of nodes above the leaves
    int32_t rising                        # 1: the lowest price is the best (asks), 0: the highest (bids)
    int64_t last_block_no                 # of the leaf used last, -1 = none
    int32_t last_block
    int32_t level_count
    int64_t order_count

# All orders and prices of an exchange. The arrays lie in reserved address space, of which the kernel hands out the pages that
# are touched: they grow without moving, so a pointer to an order stays good as long as the order is alive.
cdef struct SimPool:
    SimOrder* orders
    SimBlock* blocks
    SimNode* nodes
    SimOrderExtra* extras
    int32_t free_order                    # chain of free ones, last freed first; SIM_NONE = take a new one
    int32_t free_block
    int32_t free_node
    int32_t free_extra
    int32_t order_high                    # orders ever used
    int32_t block_high
    int32_t node_high
    int32_t extra_high
    int32_t order_limit
    int32_t block_limit
    int32_t node_limit
    int32_t extra_limit
    int64_t order_count                   # alive
    uint64_t next_number                  # of the next order's id


cdef inline int32_t order_index(const SimOrder* o) noexcept nogil:
    return <int32_t>(o.order_id & SIM_INDEX_MASK)

cdef inline SimLevel* level_at(const SimPool* p, int32_t level) noexcept nogil:
    return &p.blocks[level >> 6].levels[level & 63]

# ---- hot. The leaf that holds a price, SIM_NONE when none of its 64 prices has orders.
cdef inline int32_t queue_block(const SimPool* p, const SimLadder* l, int64_t block_no) noexcept nogil:
    cdef int32_t at = l.root, row
    cdef const SimNode* n
    cdef int i
    if likely(block_no == l.last_block_no):
        return l.last_block
    row = l.height - 1
    while row >= 0:
        n = &p.nodes[at]
        i = <int>((block_no >> (6 * row)) & 63)
        if (n.bits >> i) & 1 == 0:
            return SIM_NONE
        at = n.children[i]
        row -= 1
    return at

# Index of a price's level, or SIM_NONE.
cdef inline int32_t queue_find(const SimPool* p, const SimLadder* l, int64_t price_ticks) noexcept nogil:
    cdef int32_t b = queue_block(p, l, price_ticks >> 6)
    if b < 0 or (p.blocks[b].bits >> (price_ticks & 63)) & 1 == 0:
        return SIM_NONE
    return (b << 6) + <int32_t>(price_ticks & 63)

# Room for one more price: a path of new nodes and a leaf. Asked before an order is accepted.
cdef inline bint queue_has_room(const SimPool* p) noexcept nogil:
    return ((p.free_node != SIM_NONE or p.node_limit - p.node_high > SIM_TREE_HEIGHT)
            and (p.free_block != SIM_NONE or p.block_high < p.block_limit))

cdef inline int32_t queue_new_block(SimPool* p) noexcept nogil:
    cdef int32_t b = p.free_block
    if b != SIM_NONE:
        p.free_block = p.blocks[b].next_free
    else:
        b = p.block_high
        p.block_high += 1
    p.blocks[b].bits = 0
    return b

cdef inline int32_t queue_new_node(SimPool* p) noexcept nogil:
    cdef int32_t n = p.free_node
    if n != SIM_NONE:
        p.free_node = p.nodes[n].next_free
    else:
        n = p.node_high
        p.node_high += 1
    p.nodes[n].bits = 0
    return n

cdef inline int32_t queue_make_block(SimPool* p, SimLadder* l, int64_t block_no) noexcept nogil:
    cdef int32_t at = l.root, row = l.height - 1, child
    cdef SimNode* n
    cdef int i
    while row >= 0:
        n = &p.nodes[at]
        i = <int>((block_no >> (6 * row)) & 63)
        if (n.bits >> i) & 1 == 0:
            child = queue_new_node(p) if row > 0 else queue_new_block(p)
            n.bits |= <uint64_t>1 << i
            n.children[i] = child
        at = n.children[i]
        row -= 1
    l.last_block_no = block_no
    l.last_block = at
    return at

# Take a leaf without orders out of the tree, and the nodes that are empty then.
cdef inline void queue_drop_block(SimPool* p, SimLadder* l, int64_t block_no) noexcept nogil:
    cdef int32_t[8] path
    cdef int32_t at = l.root, row
    cdef SimNode* n
    for row in range(l.height - 1, -1, -1):
        path[row] = at
        at = p.nodes[at].children[(block_no >> (6 * row)) & 63]
    p.blocks[at].next_free = p.free_block
    p.free_block = at
    if l.last_block_no == block_no:
        l.last_block_no = -1
    for row in range(l.height):
        n = &p.nodes[path[row]]
        n.bits &= ~(<uint64_t>1 << ((block_no >> (6 * row)) & 63))
        if n.bits != 0 or row == l.height - 1:
            return
        n.next_free = p.free_node
        p.free_node = path[row]

# The next price behind this one (below for bids, above for asks), or PRICE_TICKS_NONE; the price itself need not have orders.
cdef inline int64_t queue_next(const SimPool* p, const SimLadder* l, int64_t price_ticks) noexcept nogil:
    cdef int64_t block_no = price_ticks >> 6
    cdef int32_t b = queue_block(p, l, block_no)
    cdef uint64_t x
    cdef int32_t[8] path
    cdef int32_t at, row, low
    cdef int i
    if b >= 0:
        if l.rising:
            x = p.blocks[b].bits & ~(((<uint64_t>1 << (price_ticks & 63)) << 1) - 1)
            if x != 0:
                return (block_no << 6) + ctz64(x)
        else:
            x = p.blocks[b].bits & ((<uint64_t>1 << (price_ticks & 63)) - 1)
            if x != 0:
                return (block_no << 6) + 63 - clz64(x)
    # Down the path as far as it exists, then up to the first node that has a child behind it.
    at = l.root
    row = l.height - 1
    low = row
    while True:
        path[row] = at
        low = row
        i = <int>((block_no >> (6 * row)) & 63)
        if row == 0 or (p.nodes[at].bits >> i) & 1 == 0:
            break
        at = p.nodes[at].children[i]
        row -= 1
    row = low
    while row < l.height:
        i = <int>((block_no >> (6 * row)) & 63)
        x = p.nodes[path[row]].bits
        if l.rising:
            x &= ~(((<uint64_t>1 << i) << 1) - 1)
        else:
            x &= (<uint64_t>1 << i) - 1
        if x != 0:
            i = ctz64(x) if l.rising else 63 - clz64(x)
            at = p.nodes[path[row]].children[i]
            block_no = ((block_no >> (6 * row)) & ~<int64_t>63) + i
            while row > 0:
                row -= 1
                x = p.nodes[at].bits
                i = ctz64(x) if l.rising else 63 - clz64(x)
                at = p.nodes[at].children[i]
                block_no = (block_no << 6) + i
            x = p.blocks[at].bits
            return (block_no << 6) + (ctz64(x) if l.rising else 63 - clz64(x))
        row += 1
    return PRICE_TICKS_NONE

# An order to the back of a price's queue. Its shown and leaves lots are set.
cdef inline void queue_join(SimPool* p, SimLadder* l, SimOrder* o, int64_t price_ticks) noexcept nogil:
    cdef int64_t block_no = price_ticks >> 6
    cdef int32_t b = l.last_block
    cdef int32_t index = order_index(o), level
    cdef uint64_t bit = <uint64_t>1 << (price_ticks & 63)
    cdef SimLevel* v
    if unlikely(block_no != l.last_block_no):
        b = queue_make_block(p, l, block_no)
    level = (b << 6) + <int32_t>(price_ticks & 63)
    v = level_at(p, level)
    o.level = level
    o.behind = SIM_NONE
    l.order_count += 1
    if p.blocks[b].bits & bit:
        o.ahead = v.back
        p.orders[v.back].behind = index
        v.back = index
        v.shown_lots += o.shown_lots
        v.total_lots += o.leaves_lots
        return
    p.blocks[b].bits |= bit
    l.level_count += 1
    o.ahead = SIM_NONE
    v.price_ticks = price_ticks
    v.front = v.back = index
    v.shown_lots = o.shown_lots
    v.total_lots = o.leaves_lots
    if l.best_ticks == PRICE_TICKS_NONE or (price_ticks < l.best_ticks if l.rising else price_ticks > l.best_ticks):
        l.best_ticks = price_ticks
        l.best_level = level

# Out of the queue of its price, with what it shows and has open.
cdef inline void queue_leave(SimPool* p, SimLadder* l, SimOrder* o) noexcept nogil:
    cdef int32_t level = o.level
    cdef SimLevel* v = level_at(p, level)
    cdef SimBlock* k
    cdef int64_t price_ticks = v.price_ticks
    v.shown_lots -= o.shown_lots
    v.total_lots -= o.leaves_lots
    if o.ahead != SIM_NONE:
        p.orders[o.ahead].behind = o.behind
    else:
        v.front = o.behind
    if o.behind != SIM_NONE:
        p.orders[o.behind].ahead = o.ahead
    else:
        v.back = o.ahead
    o.level = SIM_NONE
    l.order_count -= 1
    if v.front != SIM_NONE:
        return
    l.level_count -= 1
    k = &p.blocks[level >> 6]
    k.bits &= ~(<uint64_t>1 << (price_ticks & 63))
    if k.bits == 0:
        queue_drop_block(p, l, price_ticks >> 6)
    if price_ticks == l.best_ticks:
        l.best_ticks = queue_next(p, l, price_ticks)
        l.best_level = SIM_NONE if l.best_ticks == PRICE_TICKS_NONE else queue_find(p, l, l.best_ticks)

cdef inline void ladder_init(SimPool* p, SimLadder* l, int rising, int height) noexcept nogil:
    l.best_ticks = PRICE_TICKS_NONE
    l.best_level = SIM_NONE
    l.rising = rising
    l.height = height
    l.root = queue_new_node(p)
    l.last_block_no = -1
    l.last_block = SIM_NONE
    l.level_count = 0
    l.order_count = 0

# ---- the pool. An order without an id yet; NULL when there is no room.
cdef inline SimOrder* order_new(SimPool* p) noexcept nogil:
    cdef int32_t i = p.free_order
    cdef SimOrder* o
    if likely(i != SIM_NONE):
        o = &p.orders[i]
        p.free_order = o.behind
    else:
        if unlikely(p.order_high >= p.order_limit):
            return NULL
        i = p.order_high
        p.order_high += 1
        o = &p.orders[i]
    p.order_count += 1
    o.order_id = (p.next_number << SIM_INDEX_BITS) | <uint64_t>i
    p.next_number += 1
    return o

# A dead order keeps its fields until its place is used again.
cdef inline void order_free(SimPool* p, SimOrder* o) noexcept nogil:
    o.behind = p.free_order
    p.free_order = order_index(o)
    p.order_count -= 1

cdef inline int32_t extra_new(SimPool* p) noexcept nogil:
    cdef int32_t i = p.free_extra
    if i != SIM_NONE:
        p.free_extra = p.extras[i].next_free
    elif p.extra_high < p.extra_limit:
        i = p.extra_high
        p.extra_high += 1
    return i

cdef inline void extra_free(SimPool* p, int32_t i) noexcept nogil:
    p.extras[i].next_free = p.free_extra
    p.free_extra = i

# ---- cold. False when the address space cannot be had.
cdef bint pool_init(SimPool* p) noexcept nogil
cdef void pool_free(SimPool* p) noexcept nogil
