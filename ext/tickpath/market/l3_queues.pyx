"""Orders by key and their queues by price, for the order-by-order book."""
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from tickpath.types cimport likely


# ---- the two indices: open addressing, linear probing, deletion by shifting back

cdef inline uint32_t key_mark(uint64_t high, uint64_t low) noexcept nogil:
    return <uint32_t>(((low ^ (high << 32 | high >> 32)) * 0x9E3779B97F4A7C15ULL) >> 32)


cdef int32_t queues_find(const L3Queues* q, uint64_t key_high, uint64_t key_low) noexcept nogil:
    cdef uint32_t mark = key_mark(key_high, key_low)
    cdef uint32_t i = mark & q.place_mask
    cdef const L3Order* o
    while q.places[i].order != L3_NONE:
        if q.places[i].mark == mark:
            o = &q.orders[q.places[i].order]
            if likely(o.key_low == key_low and o.key_high == key_high):
                return q.places[i].order
        i = (i + 1) & q.place_mask
    return L3_NONE


cdef void place_order(L3Queues* q, int32_t order) noexcept nogil:
    cdef uint32_t i = q.orders[order].mark & q.place_mask
    while q.places[i].order != L3_NONE:
        i = (i + 1) & q.place_mask
    q.places[i].mark = q.orders[order].mark
    q.places[i].order = order


cdef void displace_order(L3Queues* q, int32_t order) noexcept nogil:
    cdef uint32_t i = q.orders[order].mark & q.place_mask
    cdef uint32_t k
    while q.places[i].order != order:
        i = (i + 1) & q.place_mask
    k = i
    while True:
        k = (k + 1) & q.place_mask
        if q.places[k].order == L3_NONE:
            break
        # k may move into the hole at i only when its home does not lie between them.
        if ((k - q.places[k].mark) & q.place_mask) >= ((k - i) & q.place_mask):
            q.places[i] = q.places[k]
            i = k
    q.places[i].order = L3_NONE


cdef inline uint32_t level_home(const L3Queues* q, int side, int64_t price_ticks) noexcept nogil:
    return <uint32_t>((((<uint64_t>price_ticks << 1) | <uint64_t>side) * 0x9E3779B97F4A7C15ULL) >> 32) & q.place_mask


cdef int32_t queues_find_level(const L3Queues* q, int side, int64_t price_ticks) noexcept nogil:
    cdef uint32_t i = level_home(q, side, price_ticks)
    cdef const L3Level* level
    while q.level_places[i] != L3_NONE:
        level = &q.levels[q.level_places[i]]
        if level.price_ticks == price_ticks and level.side == side:
            return q.level_places[i]
        i = (i + 1) & q.place_mask
    return L3_NONE


cdef int32_t open_level(L3Queues* q, int side, int64_t price_ticks) noexcept nogil:
    """The level of a price, made when there is none. There are as many levels as orders, so one is always free for an order."""
    cdef int32_t index = queues_find_level(q, side, price_ticks)
    cdef uint32_t i
    cdef L3Level* level
    if index != L3_NONE:
        return index
    index = q.free_level
    level = &q.levels[index]
    q.free_level = level.back
    level.price_ticks = price_ticks
    level.side = side
    level.qty_lots = 0
    level.order_count = 0
    level.front = level.back = L3_NONE
    i = level_home(q, side, price_ticks)
    while q.level_places[i] != L3_NONE:
        i = (i + 1) & q.place_mask
    q.level_places[i] = index
    return index


cdef void queues_close_level(L3Queues* q, int32_t level) noexcept nogil:
    cdef L3Level* closed = &q.levels[level]
    cdef const L3Level* other
    cdef uint32_t i = level_home(q, closed.side, closed.price_ticks)
    cdef uint32_t k
    while q.level_places[i] != level:
        i = (i + 1) & q.place_mask
    k = i
    while True:
        k = (k + 1) & q.place_mask
        if q.level_places[k] == L3_NONE:
            break
        other = &q.levels[q.level_places[k]]
        if ((k - level_home(q, other.side, other.price_ticks)) & q.place_mask) >= ((k - i) & q.place_mask):
            q.level_places[i] = q.level_places[k]
            i = k
    q.level_places[i] = L3_NONE
    closed.side = L3_NONE
    closed.back = q.free_level
    q.free_level = level


# ---- queues

cdef void queues_leave(L3Queues* q, int32_t order) noexcept nogil:
    cdef const L3Order* o = &q.orders[order]
    cdef L3Level* level = &q.levels[o.level]
    if o.ahead == L3_NONE:
        level.front = o.behind
    else:
        q.orders[o.ahead].behind = o.behind
    if o.behind == L3_NONE:
        level.back = o.ahead
    else:
        q.orders[o.behind].ahead = o.ahead
    level.order_count -= 1
    level.qty_lots -= o.qty_lots


cdef void queues_join(L3Queues* q, int32_t order, int side, int64_t price_ticks, int64_t qty_lots) noexcept nogil:
    cdef L3Order* o = &q.orders[order]
    cdef int32_t index = open_level(q, side, price_ticks)
    cdef L3Level* level = &q.levels[index]
    o.level = index
    o.qty_lots = qty_lots
    o.part.bytes = 0
    o.ahead = level.back
    o.behind = L3_NONE
    if level.back == L3_NONE:
        level.front = order
    else:
        q.orders[level.back].behind = order
    level.back = order
    level.order_count += 1
    level.qty_lots += qty_lots


cdef void queues_set_qty(L3Queues* q, int32_t order, int64_t qty_lots) noexcept nogil:
    cdef L3Order* o = &q.orders[order]
    q.levels[o.level].qty_lots += qty_lots - o.qty_lots
    o.qty_lots = qty_lots
    o.part.bytes = 0


cdef int32_t queues_add(L3Queues* q, uint64_t key_high, uint64_t key_low, int side, int64_t price_ticks,
                        int64_t qty_lots) noexcept nogil:
    cdef int32_t order = q.free_order
    cdef L3Order* o
    if order == L3_NONE:
        return L3_NONE
    o = &q.orders[order]
    q.free_order = o.behind
    q.order_count += 1
    o.key_high = key_high
    o.key_low = key_low
    o.mark = key_mark(key_high, key_low)
    place_order(q, order)
    queues_join(q, order, side, price_ticks, qty_lots)
    return order


cdef void queues_remove(L3Queues* q, int32_t order) noexcept nogil:
    queues_leave(q, order)
    displace_order(q, order)
    q.orders[order].behind = q.free_order
    q.free_order = order
    q.order_count -= 1


cdef int64_t queues_ahead(const L3Queues* q, int32_t order) noexcept nogil:
    cdef int64_t lots = 0
    order = q.orders[order].ahead
    while order != L3_NONE:
        lots += q.orders[order].qty_lots
        order = q.orders[order].ahead
    return lots


# ---- cold

cdef void queues_clear(L3Queues* q) noexcept nogil:
    cdef int32_t i
    cdef uint32_t k
    for i in range(q.order_capacity):
        q.orders[i].behind = i + 1
        q.levels[i].back = i + 1
        q.levels[i].side = L3_NONE
    q.orders[q.order_capacity - 1].behind = L3_NONE
    q.levels[q.order_capacity - 1].back = L3_NONE
    for k in range(q.place_mask + 1):
        q.places[k].order = L3_NONE
        q.level_places[k] = L3_NONE
    q.free_order = 0
    q.free_level = 0
    q.order_count = 0


cdef int queues_init(L3Queues* q, int32_t order_capacity) noexcept nogil:
    memset(q, 0, sizeof(L3Queues))
    q.order_capacity = order_capacity
    q.place_mask = 2 * <uint32_t>order_capacity - 1
    q.orders = <L3Order*>calloc(order_capacity, sizeof(L3Order))
    q.levels = <L3Level*>calloc(order_capacity, sizeof(L3Level))
    q.places = <L3Place*>calloc(q.place_mask + <size_t>1, sizeof(L3Place))
    q.level_places = <int32_t*>calloc(q.place_mask + <size_t>1, sizeof(int32_t))
    if q.orders == NULL or q.levels == NULL or q.places == NULL or q.level_places == NULL:
        queues_free(q)
        return -1
    queues_clear(q)
    return 0


cdef void queues_free(L3Queues* q) noexcept nogil:
    free(q.orders)
    free(q.levels)
    free(q.places)
    free(q.level_places)
    q.orders = NULL
    q.levels = NULL
    q.places = NULL
    q.level_places = NULL
