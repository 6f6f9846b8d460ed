"""Orders that wait for the disk; see outbox.pxd."""
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from tickpath.market.grid_change cimport ratio_exact
from tickpath.types cimport (
    EV_CONT, EV_EXEC_REPORT, EXEC_CANCELED, EXEC_EXPIRED, ORDER_TYPE_MARKET, REASON_INTENT_NOT_DURABLE, REASON_OK, TS_NONE,
    unlikely,
)


cdef Outbox* outbox_new(Gateway inner, const uint64_t* ring_next_seq, int64_t max_hold_ns,
                        bint holds_cancels) noexcept nogil:
    cdef Outbox* b = <Outbox*>calloc(1, sizeof(Outbox))
    if b == NULL:
        return NULL
    b.items = <HeldRequest*>calloc(OUTBOX_SLOTS, sizeof(HeldRequest))
    if b.items == NULL:
        free(b)
        return NULL
    b.inner = inner
    b.ring_next_seq = ring_next_seq
    b.max_hold_ns = max_hold_ns
    b.holds_cancels = holds_cancels
    return b


cdef void outbox_free(Outbox* b) noexcept nogil:
    if b != NULL:
        free(b.items)
        free(b)


cdef void outbox_send(void* self, const Order* o, bint is_cancel, EncodeBuffer* buffer, int64_t now_ns) noexcept nogil:
    cdef Outbox* b = <Outbox*>self
    cdef HeldRequest* h
    cdef uint64_t i
    if is_cancel and not b.holds_cancels:
        for i in range(b.head, b.tail):
            h = &b.items[i & (OUTBOX_SLOTS - 1)]
            if h.order.ordinal == o.ordinal:
                h.withdrawn = 1
                return
        b.inner.send(b.inner.self, o, is_cancel, buffer, now_ns)
        return
    # Every held order is open, with at most one cancel, and risk lets no more than half the order table be open: there is
    # always room.
    h = &b.items[b.tail & (OUTBOX_SLOTS - 1)]
    b.tail += 1
    h.needs_seq = b.ring_next_seq[0] - 1
    h.held_mono_ns = b.mono_ns
    h.withdrawn = 0
    h.is_cancel = is_cancel
    h.order = o[0]
    h.buffer = buffer[0]


cdef void outbox_regrid(void* self, uint32_t instrument, const GridChange* change, int64_t now_ns) noexcept nogil:
    cdef Outbox* b = <Outbox*>self
    cdef HeldRequest* h
    cdef uint64_t i
    for i in range(b.head, b.tail):
        h = &b.items[i & (OUTBOX_SLOTS - 1)]
        if h.order.instrument != instrument:
            continue
        # The text in its buffer names the price and quantity in decimals: they are the same on either grid.
        ratio_exact(&change.qty, h.order.qty_lots, &h.order.qty_lots)
        ratio_exact(&change.qty, h.order.leaves_qty_lots, &h.order.leaves_qty_lots)
        if h.order.order_type != ORDER_TYPE_MARKET and not ratio_exact(&change.price, h.order.price_ticks, &h.order.price_ticks) \
                and not h.is_cancel:
            h.withdrawn = 1
    if b.inner.regrid != NULL:
        b.inner.regrid(b.inner.self, instrument, change, now_ns)


cdef bint outbox_release(Outbox* b, uint64_t synced_seq, int64_t now_ns, ExecReport* report) noexcept nogil:
    cdef HeldRequest* h
    cdef int exec_type
    while b.head < b.tail:
        h = &b.items[b.head & (OUTBOX_SLOTS - 1)]
        if unlikely(h.withdrawn):
            exec_type = EXEC_CANCELED
        elif h.needs_seq <= synced_seq or h.is_cancel and b.mono_ns - h.held_mono_ns > b.max_hold_ns:
            b.head += 1
            b.inner.send(b.inner.self, &h.order, h.is_cancel, &h.buffer, now_ns)
            continue
        elif b.mono_ns - h.held_mono_ns > b.max_hold_ns:
            exec_type = EXEC_EXPIRED
        else:
            return False
        b.head += 1
        memset(report, 0, sizeof(ExecReport))
        report.ts_recv_ns = report.ts_recv2_ns = now_ns
        report.ts_venue_ns = report.ts_venue2_ns = TS_NONE
        report.instrument = report.instrument2 = h.order.instrument
        report.type = EV_EXEC_REPORT
        report.type2 = EV_CONT
        report.flags2 = 1
        report.order_ordinal = h.order.ordinal
        report.exec_type = exec_type
        report.side = h.order.side
        report.local_reason = REASON_OK if exec_type == EXEC_CANCELED else REASON_INTENT_NOT_DURABLE
        return True
    return False
