# The cycle stamps of a frame and of an order, and where they are kept. Hot; inlined into engine.pyx.
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memset

from tickpath.clock cimport cycles_now
from tickpath.engine cimport EngineCore, Stamps, publish_two
from tickpath.shm.histogram cimport histogram_record
from tickpath.shm.state_page cimport (
    STEP_BOOK, STEP_DECODE, STEP_ENCODE, STEP_FRAME_TO_ORDER, STEP_ORDER, STEP_RECEIVE, STEP_RISK, STEP_SEND, STEP_SIGNAL,
    STEP_STRATEGY,
)
from tickpath.trading.orders cimport Order
from tickpath.types cimport EV_CONT, EV_LATENCY, TS_NONE, LatencyEvent, Slot, likely, unlikely


cdef inline uint64_t stamp(const EngineCore* e) noexcept nogil:
    return cycles_now() if likely(e.stamps_on) else 0


cdef inline uint32_t cycles_between(uint64_t a, uint64_t b) noexcept nogil:
    cdef uint64_t d = b - a
    if unlikely(d > 0xFFFFFFFFULL):
        d = 0xFFFFFFFFULL
    return <uint32_t>d


cdef inline void record_frame_latency(EngineCore* e) noexcept nogil:
    cdef Stamps* t = &e.stamps
    histogram_record(&e.page.steps[<int>STEP_RECEIVE], t.receive - t.start)
    histogram_record(&e.page.steps[<int>STEP_DECODE], t.decode - t.receive)
    if t.book > t.decode:
        histogram_record(&e.page.steps[<int>STEP_BOOK], t.book - t.decode)
        histogram_record(&e.page.steps[<int>STEP_SIGNAL], t.signal - t.book)
        histogram_record(&e.page.steps[<int>STEP_STRATEGY], t.strategy - t.signal)


cdef inline void record_order_latency(EngineCore* e, const Order* o, uint64_t t_begin, uint64_t t_risk, uint64_t t_order,
                                      uint64_t t_encode, uint64_t t_send) noexcept nogil:
    cdef LatencyEvent r
    cdef Stamps* t = &e.stamps
    memset(&r, 0, sizeof(LatencyEvent))
    r.ts_recv_ns = r.ts_recv2_ns = e.now_ns
    r.ts_venue_ns = r.ts_venue2_ns = TS_NONE
    r.instrument = r.instrument2 = o.instrument
    r.type = EV_LATENCY
    r.type2 = EV_CONT
    r.flags2 = 1
    r.order_ordinal = o.ordinal
    r.risk_cycles = cycles_between(t_begin, t_risk)
    r.order_cycles = cycles_between(t_risk, t_order)
    r.encode_cycles = cycles_between(t_order, t_encode)
    r.send_cycles = cycles_between(t_encode, t_send)
    histogram_record(&e.page.steps[<int>STEP_RISK], r.risk_cycles)
    histogram_record(&e.page.steps[<int>STEP_ORDER], r.order_cycles)
    histogram_record(&e.page.steps[<int>STEP_ENCODE], r.encode_cycles)
    histogram_record(&e.page.steps[<int>STEP_SEND], r.send_cycles)
    if e.from_frame:
        r.receive_start_cycles = t.start
        r.receive_cycles = cycles_between(t.start, t.receive)
        r.decode_cycles = cycles_between(t.receive, t.decode)
        r.book_cycles = cycles_between(t.decode, t.book)
        r.signal_cycles = cycles_between(t.book, t.signal)
        r.strategy_cycles = cycles_between(t.signal, t.strategy)
        r.frame_to_order_cycles = cycles_between(t.start, t_encode)
        histogram_record(&e.page.steps[<int>STEP_FRAME_TO_ORDER], r.frame_to_order_cycles)
    publish_two(e, <const Slot*>&r)
