"""Address space of the simulated venue's orders and price levels: reserved once, filled as it is touched."""
from libc.string cimport memset

cdef extern from *:
    """
    #include <sys/mman.h>
    #include <stddef.h>
    /* Nothing is charged for what is not touched. Huge pages behind the first 8 MiB: at 10^6 orders a page table walk costs as
       much as the order, while a small exchange stays small. */
    static void *tp_reserve(size_t bytes) {
        void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (p == MAP_FAILED) return NULL;
        madvise(p, bytes, MADV_DONTDUMP);
        if (bytes > (8u << 20)) madvise((char *)p + (8u << 20), bytes - (8u << 20), MADV_HUGEPAGE);
        return p;
    }
    static void tp_unreserve(void *p, size_t bytes) { if (p != NULL) munmap(p, bytes); }
    """
    void* reserve "tp_reserve"(size_t size) noexcept nogil
    void unreserve "tp_unreserve"(void* p, size_t size) noexcept nogil


cdef bint try_init(SimPool* p, int64_t orders) noexcept nogil:
    memset(p, 0, sizeof(SimPool))
    p.free_order = p.free_block = p.free_node = p.free_extra = SIM_NONE
    p.next_number = 1
    p.order_limit = <int32_t>orders
    # A price has at least one order, and a lonely price needs a leaf and, if it is far from all others, a path of nodes; in the
    # densest of markets 64 prices share a leaf. Where the leaves run out an order is refused (SIM_REASON_FULL).
    p.block_limit = <int32_t>(orders >> 3) + 4096
    p.node_limit = <int32_t>(orders >> 3) + 16384
    p.extra_limit = <int32_t>orders
    p.orders = <SimOrder*>reserve(<size_t>p.order_limit * sizeof(SimOrder))
    p.blocks = <SimBlock*>reserve(<size_t>p.block_limit * sizeof(SimBlock))
    p.nodes = <SimNode*>reserve(<size_t>p.node_limit * sizeof(SimNode))
    p.extras = <SimOrderExtra*>reserve(<size_t>p.extra_limit * sizeof(SimOrderExtra))
    return p.orders != NULL and p.blocks != NULL and p.nodes != NULL and p.extras != NULL


cdef bint pool_init(SimPool* p) noexcept nogil:
    cdef int64_t orders = SIM_INDEX_MASK + 1
    while orders >= 4096:
        if try_init(p, orders):
            return True
        # A machine that does not overcommit: as many as it gives.
        pool_free(p)
        orders >>= 2
    return False


cdef void pool_free(SimPool* p) noexcept nogil:
    unreserve(p.orders, <size_t>p.order_limit * sizeof(SimOrder))
    unreserve(p.blocks, <size_t>p.block_limit * sizeof(SimBlock))
    unreserve(p.nodes, <size_t>p.node_limit * sizeof(SimNode))
    unreserve(p.extras, <size_t>p.extra_limit * sizeof(SimOrderExtra))
    p.orders = NULL
    p.blocks = NULL
    p.nodes = NULL
    p.extras = NULL
