# The scanner's part for executionReport: exact text, exact key order; 0 on any surprise. Hot; C++ only.
from libc.stdint cimport int64_t, uint8_t, uint64_t

from tickpath.decimal cimport load_u64
from tickpath.market.instruments cimport Instrument
from tickpath.types cimport (
    EXEC_TRADE, LIQUIDITY_MAKER, SIDE_BUY, SIDE_SELL, STATUS_OK, ExecReport, likely,
)
from tickpath.venues.batch cimport DecodeBatch, FrameView, batch_clear
from tickpath.venues.binance_scan cimport closes
from tickpath.venues.binance_state cimport BinanceDecoder, ExecName, own_ordinal, report_close
from tickpath.venues.scan cimport (
    AT, LEN, name_end, scan_bool, scan_decimal_general, scan_decimal_or, scan_epoch, scan_int, scan_symbol, scan_uint, skip_name,
)

cdef extern from *:
    """
    /* One bit for each letter: its low six bits are 1..26 for 'A'..'Z' and 33..58 for 'a'..'z'. */
    #define TP_KEY(c) (1ULL << ((c) & 63))
    #define TP_KEYS(a, b, c, d, e, f, g, h) \
        (TP_KEY(a) | TP_KEY(b) | TP_KEY(c) | TP_KEY(d) | TP_KEY(e) | TP_KEY(f) | TP_KEY(g) | TP_KEY(h))
    #define TP_REPORT_KEYS (TP_KEYS('e', 'E', 's', 'c', 'S', 'o', 'f', 'q') | TP_KEYS('p', 'P', 'F', 'g', 'C', 'x', 'X', 'r') \
                            | TP_KEYS('i', 'l', 'z', 'L', 'n', 'N', 'T', 't') | TP_KEYS('I', 'w', 'm', 'M', 'I', 'w', 'm', 'M'))
    #define TP_REPORT_TAIL_KEYS (TP_KEYS('O', 'Z', 'Y', 'Q', 'O', 'Z', 'Y', 'Q'))

    TP_INLINE bool tp_scan_side(const char **p, int *is_buy) {
      int buy = **p == 'B';
      TP_NO_BRANCH(buy);
      unsigned text = tp_load_u32(*p);                    /* 'BUY"' or 'SELL' */
      *is_buy = buy;
      *p += 4 - buy;
      return text == 0x4C4C4553u - (-(unsigned)buy & (0x4C4C4553u - 0x22595542u));
    }
    """
    uint64_t KEY "TP_KEY"(int letter) noexcept nogil
    const uint64_t REPORT_KEYS "TP_REPORT_KEYS"
    const uint64_t REPORT_TAIL_KEYS "TP_REPORT_TAIL_KEYS"
    bint scan_side "tp_scan_side"(const char** p, int* is_buy) noexcept nogil


# Further fields of a report, each one letter and a plain value, none of them seen before: the message's tail differs from
# account to account. p stands at ',' or '}'; NULL on a longer key, a key a second time, or a value with an inside.
cdef inline const char* scan_report_tail(const char* p, const char* end, uint64_t seen) noexcept nogil:
    cdef uint64_t value = 0
    cdef int negative = 0
    cdef int unused = 0
    cdef int key
    while p[0] == 44:
        key = <unsigned char>p[2]
        if p[1] != 34 or p[3] != 34 or p[4] != 58 or not (65 <= key <= 90 or 97 <= key <= 122):
            return NULL
        if seen & KEY(key):
            return NULL
        seen |= KEY(key)
        p += 5
        if p[0] == 34:
            p = name_end(p + 1, end)
            if p == NULL:
                return NULL
            p += 1
        elif AT(p, "null"):
            p += 4
        elif p[0] == 116 or p[0] == 102:
            if not scan_bool(&p, &unused):
                return NULL
        elif not scan_int(&p, &value, &negative):
            return NULL
    return p


cdef inline int scan_exec_report(BinanceDecoder* d, const char* p, const char* end, long close_bytes,
                                 const FrameView* frame, DecodeBatch* batch) noexcept nogil:
    # p stands behind {"e":"executionReport","E":
    cdef ExecReport* r = <ExecReport*>batch.slots
    cdef const Instrument* item
    cdef const ExecName* name
    cdef const char* own
    cdef const char* original
    cdef long own_bytes, original_bytes
    cdef uint64_t trade_id = 0, value = 0
    cdef int64_t ts_event_ns = 0, ts_venue_ns = 0
    cdef uint64_t seen = REPORT_KEYS
    cdef int negative = 0
    cdef int is_buy = 0, is_maker = 0, unused = 0
    if not scan_epoch(&p, &ts_event_ns) or not AT(p, ",\"s\":\""):
        return 0
    p += LEN(",\"s\":\"")
    item = scan_symbol(d.instruments, d.venue_slot, &p, end)
    if item == NULL or not AT(p, "\",\"c\":\""):
        return 0
    p += LEN("\",\"c\":\"")
    own = p
    if not skip_name(&p, end) or not AT(p, "\",\"S\":\""):
        return 0
    own_bytes = p - own
    p += LEN("\",\"S\":\"")
    if not scan_side(&p, &is_buy) or not AT(p, "\",\"o\":\""):
        return 0
    p += LEN("\",\"o\":\"")
    # Whole runs of text that most reports share are compared at once: a step over a constant waits for no byte of it.
    if likely(AT(p, "LIMIT\",\"f\":\"GTC\",\"q\":\"")):
        p += LEN("LIMIT\",\"f\":\"GTC\",\"q\":\"")
    else:
        if not skip_name(&p, end) or not AT(p, "\",\"f\":\""):
            return 0
        p += LEN("\",\"f\":\"")
        if not skip_name(&p, end) or not AT(p, "\",\"q\":\""):
            return 0
        p += LEN("\",\"q\":\"")
    if not skip_name(&p, end) or not AT(p, "\",\"p\":\""):
        return 0
    p += LEN("\",\"p\":\"")
    if not skip_name(&p, end) or not AT(p, "\",\"P\":\""):
        return 0
    p += LEN("\",\"P\":\"")
    if likely(AT(p, "0.00000000\",\"F\":\"0.00000000\",\"g\":-1,\"C\":\"")):
        p += LEN("0.00000000\",\"F\":\"0.00000000\",\"g\":-1,\"C\":\"")
    else:
        if not skip_name(&p, end) or not AT(p, "\",\"F\":\""):
            return 0
        p += LEN("\",\"F\":\"")
        if not skip_name(&p, end) or not AT(p, "\",\"g\":"):
            return 0
        p += LEN("\",\"g\":")
        if not scan_int(&p, &value, &negative) or not AT(p, ",\"C\":\""):
            return 0
        p += LEN(",\"C\":\"")
    original = p
    if p[0] != 34 and not skip_name(&p, end):
        return 0
    original_bytes = p - original
    if not AT(p, "\",\"x\":\""):
        return 0
    p += LEN("\",\"x\":\"")
    name = &d.exec_names[p[0] & 31]
    if (load_u64(p) & name.mask) != name.word:
        return 0
    p += name.size
    if not AT(p, "\",\"X\":\""):
        return 0
    p += LEN("\",\"X\":\"")
    if not skip_name(&p, end) or not AT(p, "\",\"r\":\""):
        return 0
    p += LEN("\",\"r\":\"")
    if likely(AT(p, "NONE\",\"i\":")):
        p += LEN("NONE\",\"i\":")
    else:
        if not skip_name(&p, end) or not AT(p, "\",\"i\":"):
            return 0
        p += LEN("\",\"i\":")
    if not scan_uint(&p, &r.venue_order_id) or not AT(p, ",\"l\":\""):
        return 0
    p += LEN(",\"l\":\"")
    if not scan_decimal_or(&p, &item.qty_grid, &r.last_qty_lots, scan_decimal_general) or not AT(p, "\",\"z\":\""):
        return 0
    p += LEN("\",\"z\":\"")
    if not scan_decimal_or(&p, &item.qty_grid, &r.cum_qty_lots, scan_decimal_general) or not AT(p, "\",\"L\":\""):
        return 0
    p += LEN("\",\"L\":\"")
    if not scan_decimal_or(&p, &item.price_grid, &r.last_price_ticks, scan_decimal_general) or not AT(p, "\",\"n\":\""):
        return 0
    p += LEN("\",\"n\":\"")
    if AT(p, "0\",\"N\":null,\"T\":"):
        r.fee_e8 = 0
        p += LEN("0\",\"N\":null,\"T\":")
    else:
        if not scan_decimal_or(&p, &d.fee_grid, &r.fee_e8, scan_decimal_general) or not AT(p, "\",\"N\":"):
            return 0
        p += LEN("\",\"N\":")
        if p[0] == 34:
            p += 1
            if not skip_name(&p, end) or not AT(p, "\",\"T\":"):
                return 0
            p += LEN("\",\"T\":")
        elif AT(p, "null,\"T\":"):
            p += LEN("null,\"T\":")
        else:
            return 0
    if not scan_epoch(&p, &ts_venue_ns) or not AT(p, ",\"t\":"):
        return 0
    p += LEN(",\"t\":")
    if not scan_int(&p, &trade_id, &negative):
        return 0
    if AT(p, ",\"v\":"):
        p += LEN(",\"v\":")
        seen |= KEY(c'v')
        if not scan_uint(&p, &value):
            return 0
    if not AT(p, ",\"I\":"):
        return 0
    p += LEN(",\"I\":")
    if not scan_uint(&p, &value) or not AT(p, ",\"w\":"):
        return 0
    p += LEN(",\"w\":")
    if not scan_bool(&p, &unused) or not AT(p, ",\"m\":"):
        return 0
    p += LEN(",\"m\":")
    if not scan_bool(&p, &is_maker) or not AT(p, ",\"M\":"):
        return 0
    p += LEN(",\"M\":")
    if not scan_bool(&p, &unused):
        return 0
    # The documented tail; whatever is missing or added is left to the loop over single fields.
    if likely(AT(p, ",\"O\":")):
        p += LEN(",\"O\":")
        if not scan_uint(&p, &value) or not AT(p, ",\"Z\":\""):
            return 0
        p += LEN(",\"Z\":\"")
        if not skip_name(&p, end) or not AT(p, "\",\"Y\":\""):
            return 0
        p += LEN("\",\"Y\":\"")
        if not skip_name(&p, end) or not AT(p, "\",\"Q\":\""):
            return 0
        p += LEN("\",\"Q\":\"")
        if not skip_name(&p, end):
            return 0
        p += 1
        seen |= REPORT_TAIL_KEYS
        if likely(AT(p, ",\"W\":")):
            p += LEN(",\"W\":")
            if not scan_uint(&p, &value):
                return 0
            seen |= KEY(c'W')
            if likely(AT(p, ",\"V\":\"")):
                p += LEN(",\"V\":\"")
                if not skip_name(&p, end):
                    return 0
                p += 1
                seen |= KEY(c'V')
    if p[0] == 44:
        p = scan_report_tail(p, end, seen)
        if p == NULL:
            return 0
    if not closes(p, end, close_bytes):
        return 0
    batch_clear(batch)
    batch.by_scanner = 1
    batch.ts_venue_ns = ts_venue_ns
    if r.last_qty_lots < 0 or r.cum_qty_lots < 0 or r.last_price_ticks < 0 or negative & (name.kind == EXEC_TRADE):
        return 0
    # A cancel's own id stands in "c", the order's in "C"; any other report has the order's in "c" and "" in "C".
    if original_bytes != 0:
        own = original
        own_bytes = original_bytes
    r.order_ordinal = own_ordinal(d, own, own_bytes)
    r.trade_id = trade_id & (<uint64_t>negative - 1)   # sent as -1 when the report is no trade, and then 0 here
    r.side = SIDE_BUY if is_buy else SIDE_SELL
    r.exec_type = <uint8_t>name.kind
    report_close(d, item, frame, batch, LIQUIDITY_MAKER * is_maker)
    return STATUS_OK
