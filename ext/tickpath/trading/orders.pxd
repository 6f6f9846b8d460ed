# Orders: the table, the FIX state machine and the client order ids. Hot; step 7; owned by the engine's thread.
#
# An order lives in slot ordinal & (ORDER_SLOTS - 1), so finding it is one compare. A new ordinal is the next one whose
# slot is free: ordinals rise but may skip. A slot is free again once its order is in a terminal state.
#
# Legal moves (rows: from). UNKNOWN may become anything a venue can prove.
#   PENDING_NEW       -> NEW, PARTIALLY_FILLED, FILLED, PENDING_CANCEL, CANCELED, REJECTED, EXPIRED, UNKNOWN
#   NEW               -> PARTIALLY_FILLED, FILLED, PENDING_CANCEL, CANCELED, EXPIRED, UNKNOWN
#   PARTIALLY_FILLED  -> PARTIALLY_FILLED, FILLED, PENDING_CANCEL, CANCELED, EXPIRED, UNKNOWN
#   PENDING_CANCEL    -> NEW, PARTIALLY_FILLED, PENDING_CANCEL, FILLED, CANCELED, REJECTED, EXPIRED, UNKNOWN
#   UNKNOWN           -> NEW, PARTIALLY_FILLED, FILLED, PENDING_CANCEL, CANCELED, REJECTED, EXPIRED
#   FILLED, CANCELED, REJECTED, EXPIRED -> nothing
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from tickpath.types cimport ExecReport, MAX_INSTRUMENTS

cdef enum: ORDER_SLOTS = 4096         # power of two; at most half of it is ever open (see risk)

cdef struct Order:
    uint64_t ordinal                  # 0 = free slot
    uint32_t instrument
    uint8_t venue
    uint8_t strategy
    uint8_t side
    uint8_t order_type
    uint8_t time_in_force
    uint8_t state                     # OrderState
    uint8_t off_grid                  # its price or quantity is none of the instrument's present grid
    uint8_t acked                     # the venue has confirmed it
    int32_t pad
    int64_t price_ticks
    int64_t qty_lots
    int64_t cum_qty_lots
    int64_t leaves_qty_lots
    uint64_t venue_order_id
    int64_t ts_created_ns

cdef struct OrderTable:
    Order[4096] items
    uint64_t next_ordinal
    uint64_t[64] open_slots           # bit n of word w: slot 64 w + n holds an open order
    int32_t open_count
    int32_t reserved
    int32_t[64] open_count_by_instrument
    int64_t[64] open_buy_lots         # leaves of open buy orders, in flight included: the worst case of the position
    int64_t[64] open_sell_lots
    uint64_t created_count
    uint64_t protocol_errors          # replies that do not fit the order's state

cpdef enum ReportResult:
    REPORT_INVALID = 0
    REPORT_STATE = 1                  # the state changed or was confirmed
    REPORT_FILL = 2                   # a fill was applied
    REPORT_DUPLICATE = 3              # this fill was applied before
    REPORT_UNKNOWN_ORDER = 4
    REPORT_ILLEGAL = 5                # the move is not allowed: nothing was changed

# ---- hot
cdef inline Order* order_find(OrderTable* t, uint64_t ordinal) noexcept nogil:
    cdef Order* o = &t.items[ordinal & (ORDER_SLOTS - 1)]
    return o if o.ordinal == ordinal and ordinal != 0 else NULL

cdef inline bint order_is_open(const Order* o) noexcept nogil:
    return state_is_open(o.state)

cdef inline bint state_is_open(uint8_t state) noexcept nogil:
    # PENDING_NEW, NEW, PARTIALLY_FILLED, PENDING_CANCEL, UNKNOWN
    return (0x22E >> state) & 1

cdef inline bint order_move_is_legal(uint8_t old, uint8_t new) noexcept nogil:
    return (LEGAL_MOVES[old] >> new) & 1

cdef extern from *:
    """
    /* Bit n of row s: state s may become state n. Numbers as OrderState. */
    static const unsigned short tp_legal_moves[10] = {
        0,
        (1<<2)|(1<<3)|(1<<4)|(1<<5)|(1<<6)|(1<<7)|(1<<8)|(1<<9),
        (1<<3)|(1<<4)|(1<<5)|(1<<6)|(1<<8)|(1<<9),
        (1<<3)|(1<<4)|(1<<5)|(1<<6)|(1<<8)|(1<<9),
        0,
        (1<<2)|(1<<3)|(1<<4)|(1<<5)|(1<<6)|(1<<7)|(1<<8)|(1<<9),
        0, 0, 0,
        (1<<2)|(1<<3)|(1<<4)|(1<<5)|(1<<6)|(1<<7)|(1<<8)};
    """
    const uint16_t[10] LEGAL_MOVES "tp_legal_moves"

# Take the next free ordinal; 0 when the table is full. The slot is taken until order_release or a terminal state.
cdef inline uint64_t order_reserve(OrderTable* t) noexcept nogil:
    cdef uint64_t ordinal = t.next_ordinal
    cdef int _i
    for _i in range(ORDER_SLOTS):
        if t.items[ordinal & (ORDER_SLOTS - 1)].ordinal == 0:
            t.items[ordinal & (ORDER_SLOTS - 1)].ordinal = ordinal
            t.items[ordinal & (ORDER_SLOTS - 1)].state = 0
            t.next_ordinal = ordinal + 1
            return ordinal
        ordinal += 1
    return 0

cdef inline void order_release(OrderTable* t, uint64_t ordinal) noexcept nogil:
    cdef Order* o = order_find(t, ordinal)
    if o != NULL:
        o.ordinal = 0

# Turn a reserved ordinal into a PENDING_NEW order and count it as exposure.
cdef void order_open(OrderTable* t, Order* o) noexcept nogil
# Apply a venue's reply to an order. Returns ReportResult; the order's slot stays readable until order_close.
cdef int order_apply_report(OrderTable* t, Order* o, const ExecReport* r) noexcept nogil
# Move to a state of our own making (PENDING_CANCEL, UNKNOWN); False when the move is illegal.
cdef bint order_move(OrderTable* t, Order* o, uint8_t state) noexcept nogil
# Free the slot of a terminal order.
cdef void order_close(OrderTable* t, Order* o) noexcept nogil
# Six base-32 characters of an ordinal.
cdef inline void write_sequence(char* out, uint64_t ordinal) noexcept nogil:
    cdef int i
    for i in range(5, -1, -1):
        out[i] = BASE32[ordinal & 31]
        ordinal >>= 5

cdef extern from *:
    """
    static const char tp_base32[33] = "0123456789abcdefghijklmnopqrstuv";
    """
    const char* BASE32 "tp_base32"

# ---- cold
cdef void order_table_init(OrderTable* t) noexcept nogil
