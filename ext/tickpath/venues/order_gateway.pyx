"""Where orders of live venues leave: one order entry socket a venue. Import it through `tickpath.venues.listener`."""
from libc.stdint cimport int64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from cpython.object cimport PyObject
from picows.picows cimport TEXT, WSTransport
from tickpath.engine cimport Gateway
from tickpath.session cimport Session
from tickpath.trading.orders cimport Order
from tickpath.types cimport (
    EV_CONT, EV_EXEC_REPORT, EXEC_CANCEL_REJECTED, EXEC_REJECTED, MAX_VENUES, REASON_ORDER_ENTRY_DOWN, TS_NONE, ExecReport,
    likely, unlikely,
)
from tickpath.venues.binance_encode cimport EncodeBuffer


cdef void send_live(void* self, const Order* o, bint is_cancel, EncodeBuffer* buffer, int64_t now_ns) noexcept nogil:
    cdef LiveGateway* g = <LiveGateway*>self
    cdef PyObject* transport = g.transports[g.instruments.items[o.instrument].venue_slot & (MAX_VENUES - 1)]
    cdef bint written = False
    if likely(transport != NULL):
        with gil:                          # the socket is picows'; the engine's thread holds it already
            written = write_request(<WSTransport>transport, buffer)
    if likely(written):
        g.sent += 1
    else:
        not_sent(g, o, is_cancel, now_ns)


cdef bint write_request(WSTransport transport, EncodeBuffer* buffer) noexcept:
    # The header is put into buffer.head in place, and the text is masked where it stands.
    try:
        transport.send_reuse_external_buffer(TEXT, buffer.text, buffer.size)
    except Exception:
        return False
    return True


cdef void not_sent(LiveGateway* g, const Order* o, bint is_cancel, int64_t now_ns) noexcept nogil:
    cdef ExecReport* r
    g.unsent_count += 1
    if unlikely(g.unsent_tail - g.unsent_head >= UNSENT_MAX):
        g.dropped += 1
        return
    r = &g.unsent[g.unsent_tail & (UNSENT_MAX - 1)]
    g.unsent_tail += 1
    memset(r, 0, sizeof(ExecReport))
    r.ts_recv_ns = r.ts_recv2_ns = now_ns
    r.ts_venue_ns = r.ts_venue2_ns = TS_NONE
    r.instrument = r.instrument2 = o.instrument
    r.venue = r.venue2 = o.venue
    r.type = EV_EXEC_REPORT
    r.type2 = EV_CONT
    r.flags2 = 1
    r.order_ordinal = o.ordinal
    r.side = o.side
    r.cum_qty_lots = o.cum_qty_lots
    r.exec_type = EXEC_CANCEL_REJECTED if is_cancel else EXEC_REJECTED
    r.local_reason = REASON_ORDER_ENTRY_DOWN


cdef bint take_unsent(void* self, ExecReport* report) noexcept nogil:
    cdef LiveGateway* g = <LiveGateway*>self
    if likely(g.unsent_head == g.unsent_tail):
        return False
    report[0] = g.unsent[g.unsent_head & (UNSENT_MAX - 1)]
    g.unsent_head += 1
    return True


cdef class OrderGateway:
    """The gateway of a live session.

    Parameters: session : Session without a simulated venue; its orders leave here from now on.
    """
    def __cinit__(self, Session session not None):
        cdef Gateway gateway
        if session.sim != NULL:
            raise ValueError("order gateway: expected a session without a simulated venue, found one with it")
        self.live.unsent = <ExecReport*>calloc(UNSENT_MAX, sizeof(ExecReport))
        if self.live.unsent == NULL:
            raise MemoryError()
        self.live.instruments = session.core.instruments
        self._owned = [None] * MAX_VENUES
        gateway.self = &self.live
        gateway.send = send_live
        gateway.regrid = NULL
        session.use_gateway(self, gateway, take_unsent)

    def __dealloc__(self):
        free(self.live.unsent)

    def connect(self, int venue_slot, WSTransport transport not None):
        """Requests of this venue's instruments go to this socket from now on."""
        self._set(venue_slot, transport)

    def disconnect(self, int venue_slot):
        """They go nowhere: each comes back as unsent."""
        self._set(venue_slot, None)

    def _set(self, int venue_slot, transport):
        if not 0 <= venue_slot < MAX_VENUES:
            raise ValueError(f"venue_slot: expected 0 to {MAX_VENUES - 1}, found {venue_slot}")
        self.live.transports[venue_slot] = NULL if transport is None else <PyObject*>transport
        self._owned[venue_slot] = transport

    @property
    def counters(self):
        """{sent, unsent, dropped}: requests handed to a socket, those that found none, reports of these that found no room."""
        return {"sent": self.live.sent, "unsent": self.live.unsent_count, "dropped": self.live.dropped}
