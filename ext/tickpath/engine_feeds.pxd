# What the engine does about feeds that are not what they should be: the gate of each instrument, refused frames, gaps, lost
# connections, statuses. Warm; called by engine.pyx alone; everything here is journaled input or follows from it.
from libc.stdint cimport int64_t, uint32_t

from tickpath.engine cimport EngineCore
from tickpath.market.gate cimport GateLimits, gate_judge
from tickpath.types cimport FrameEvent, Slot, likely

# The gate of one instrument after a message of its book or a quote. Hot: the usual answer is that nothing has changed.
cdef inline void gate_look(EngineCore* e, uint32_t instrument) noexcept nogil:
    cdef int64_t newest = e.books[instrument].ts_recv_ns
    cdef uint32_t causes
    if e.tops[instrument].ts_recv_ns > newest:
        newest = e.tops[instrument].ts_recv_ns
    causes = gate_judge(&e.gates[instrument], &e.gate_limits[instrument], &e.books[instrument],
                        e.tops[instrument].bid_price_ticks, e.tops[instrument].ask_price_ticks, newest, e.now_ns, True)
    # Before the first one that opens the gate there is no book to be right or wrong.
    e.gates[instrument].messages += causes == 0 or e.gates[instrument].messages != 0
    e.gates[instrument].good_messages += causes == 0
    if likely(causes == e.gates[instrument].causes) and likely(e.gates[instrument].crossed_ns == 0):
        return
    gate_turn(e, instrument, causes)

# The causes have changed, or it stays crossed.
cdef void gate_turn(EngineCore* e, uint32_t instrument, uint32_t causes) noexcept nogil
# The gate without a message of its own: time has passed, or something was said about it.
cdef void gate_look_again(EngineCore* e, uint32_t instrument) noexcept nogil
# The best bid and offer over venues, where this instrument is one of several.
cdef void consolidate(EngineCore* e, uint32_t instrument, int64_t ts_venue_ns) noexcept nogil
# Every gate, as time goes by.
cdef void gates_tick(EngineCore* e) noexcept nogil
# The gate without a message of its own: time has passed, or something was said about it.
cdef void gate_look_again(EngineCore* e, uint32_t instrument) noexcept nogil
# A frame that gave no record.
cdef void on_refused_frame(EngineCore* e, const FrameEvent* head, int status) noexcept nogil
# Venues that number all they send over a connection.
cdef void check_connection_sequence(EngineCore* e, const FrameEvent* head) noexcept nogil
# Records that are no message of a book: statuses, feed events, grids, the venue's candles and reference prices.
cdef void on_market_fact(EngineCore* e, const Slot* record) noexcept nogil
