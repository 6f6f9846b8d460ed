"""The order table and its state machine; `client_order_prefix` makes the ids of a run.

A client order id is 18 characters of [0-9a-z]: "tp", 3 of the instance, 7 of the epoch, 6 of the order ordinal, the
last two in base 32. An epoch never comes twice, so neither does an id.
"""
import hashlib

from libc.stdlib cimport calloc, free
from libc.string cimport memset

from tickpath.types cimport (
    EXEC_CANCELED, EXEC_CANCEL_REJECTED, EXEC_EXPIRED, EXEC_NEW, EXEC_REJECTED, EXEC_TRADE, ORDER_CANCELED,
    ORDER_EXPIRED, ORDER_FILLED, ORDER_NEW, ORDER_PARTIALLY_FILLED, ORDER_PENDING_CANCEL, ORDER_PENDING_NEW,
    ORDER_REJECTED, ORDER_UNKNOWN, SIDE_BUY,
)

EPOCH_ZERO_S = 1577836800          # 2020-01-01T00:00:00Z


cdef void order_table_init(OrderTable* t) noexcept nogil:
    memset(t, 0, sizeof(OrderTable))
    t.next_ordinal = 1


cdef inline void add_exposure(OrderTable* t, const Order* o, int64_t lots) noexcept nogil:
    if o.side == SIDE_BUY:
        t.open_buy_lots[o.instrument] += lots
    else:
        t.open_sell_lots[o.instrument] += lots


cdef void order_open(OrderTable* t, Order* o) noexcept nogil:
    o.state = ORDER_PENDING_NEW
    o.cum_qty_lots = 0
    o.leaves_qty_lots = o.qty_lots
    o.venue_order_id = 0
    o.acked = o.off_grid = 0
    t.open_count += 1
    t.open_slots[(o.ordinal & (ORDER_SLOTS - 1)) >> 6] |= <unsigned long long>1 << (o.ordinal & 63)
    t.open_count_by_instrument[o.instrument] += 1
    t.created_count += 1
    add_exposure(t, o, o.leaves_qty_lots)


cdef void set_state(OrderTable* t, Order* o, uint8_t state) noexcept nogil:
    if order_is_open(o) and not state_is_open(state):
        t.open_count -= 1
        t.open_slots[(o.ordinal & (ORDER_SLOTS - 1)) >> 6] &= ~(<unsigned long long>1 << (o.ordinal & 63))
        t.open_count_by_instrument[o.instrument] -= 1
        add_exposure(t, o, -o.leaves_qty_lots)
        o.leaves_qty_lots = 0
    o.state = state


cdef bint order_move(OrderTable* t, Order* o, uint8_t state) noexcept nogil:
    if not order_move_is_legal(o.state, state):
        t.protocol_errors += 1
        return False
    set_state(t, o, state)
    return True


cdef void order_close(OrderTable* t, Order* o) noexcept nogil:
    if not order_is_open(o):
        o.ordinal = 0


cdef int order_apply_report(OrderTable* t, Order* o, const ExecReport* r) noexcept nogil:
    cdef uint8_t state
    cdef int64_t leaves
    if r.exec_type == EXEC_TRADE:
        if r.cum_qty_lots <= o.cum_qty_lots:
            return REPORT_DUPLICATE
        if (r.last_qty_lots <= 0 or r.last_qty_lots > o.leaves_qty_lots
                or r.cum_qty_lots != o.cum_qty_lots + r.last_qty_lots or not order_is_open(o)):
            t.protocol_errors += 1
            return REPORT_ILLEGAL
        leaves = o.leaves_qty_lots - r.last_qty_lots
        if leaves == 0:
            state = ORDER_FILLED
        else:
            state = ORDER_PENDING_CANCEL if o.state == ORDER_PENDING_CANCEL else ORDER_PARTIALLY_FILLED
        if not order_move_is_legal(o.state, state):
            t.protocol_errors += 1
            return REPORT_ILLEGAL
        o.acked = 1
        o.cum_qty_lots = r.cum_qty_lots
        add_exposure(t, o, -r.last_qty_lots)
        o.leaves_qty_lots = leaves
        set_state(t, o, state)
        return REPORT_FILL
    if r.exec_type == EXEC_NEW:
        o.venue_order_id = r.venue_order_id
        if o.acked and o.state != ORDER_UNKNOWN:
            return REPORT_DUPLICATE
        o.acked = 1
        if o.state == ORDER_PENDING_CANCEL:
            return REPORT_STATE                # the ack of an order whose cancel is already on its way
        state = ORDER_NEW
    elif r.exec_type == EXEC_CANCELED:
        state = ORDER_CANCELED
    elif r.exec_type == EXEC_REJECTED:
        state = ORDER_REJECTED
    elif r.exec_type == EXEC_EXPIRED:
        state = ORDER_EXPIRED
    elif r.exec_type == EXEC_CANCEL_REJECTED:
        if o.state != ORDER_PENDING_CANCEL:
            return REPORT_DUPLICATE
        state = ORDER_PARTIALLY_FILLED if o.cum_qty_lots > 0 else ORDER_NEW
    else:
        t.protocol_errors += 1
        return REPORT_ILLEGAL
    if not order_move_is_legal(o.state, state):
        t.protocol_errors += 1
        return REPORT_ILLEGAL
    set_state(t, o, state)
    return REPORT_STATE


def _base32(value, width):
    digits = "0123456789abcdefghijklmnopqrstuv"
    out = []
    for _ in range(width):
        out.append(digits[value & 31])
        value >>= 5
    if value:
        raise OverflowError(f"expected a number below 32^{width}")
    return "".join(reversed(out))


def instance_code(instance):
    """Three characters that stand for an instance's name in its client order ids."""
    return _base32(int.from_bytes(hashlib.blake2b(instance.encode(), digest_size=2).digest(), "big") & 0x7FFF, 3)


def client_order_prefix(instance, epoch):
    """The 12 characters that open every client order id of a run. epoch : int, seconds-like, 0 <= epoch < 32^7."""
    return "tp" + instance_code(instance) + _base32(epoch, 7)


def client_order_id(instance, epoch, ordinal):
    """The whole id of one order, as the engine writes it."""
    return client_order_prefix(instance, epoch) + _base32(ordinal & (32 ** 6 - 1), 6)


def next_epoch(stored_epoch, now_s, highest_at_venue=0):
    """max(stored + 1, seconds since 2020-01-01, highest of ours seen at the venue + 1): never an old one again."""
    return max(stored_epoch + 1, int(now_s) - EPOCH_ZERO_S, highest_at_venue + 1)


cdef class OrderBench:
    """One order in a private table, driven by reports: the state machine alone, for its property tests."""
    cdef OrderTable* table
    cdef Order* order

    def __cinit__(self, int64_t qty_lots, int side=1):
        self.table = <OrderTable*>calloc(1, sizeof(OrderTable))
        order_table_init(self.table)
        self.order = order_find(self.table, order_reserve(self.table))
        self.order.qty_lots = qty_lots
        self.order.side = side
        order_open(self.table, self.order)

    def __dealloc__(self):
        free(self.table)

    def report(self, int exec_type, int64_t last_qty_lots=0, int64_t cum_qty_lots=0):
        """Apply a report; returns (ReportResult, OrderState, cum_qty_lots, leaves_qty_lots)."""
        cdef ExecReport r
        memset(&r, 0, sizeof(ExecReport))
        r.exec_type = exec_type
        r.last_qty_lots = last_qty_lots
        r.cum_qty_lots = cum_qty_lots
        result = order_apply_report(self.table, self.order, &r)
        return result, self.order.state, self.order.cum_qty_lots, self.order.leaves_qty_lots

    def move(self, int state):
        return order_move(self.table, self.order, state)

    @property
    def state(self):
        return self.order.state

    @property
    def exposure(self):
        """(open orders, open buy lots, open sell lots) as risk sees them."""
        return self.table.open_count, self.table.open_buy_lots[0], self.table.open_sell_lots[0]


def legal_moves():
    """{(from, to)} of OrderState numbers."""
    return {(a, b) for a in range(10) for b in range(10) if order_move_is_legal(a, b)}
