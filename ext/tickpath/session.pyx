"""What stands around the engine: where inputs come from, what time it is, where orders go.

A Session with the simulated venue is paper trading and backtest; without it, fed with a journal's own replies, it is
replay. Either way it is the same engine, and everything asynchronous enters it as a journaled input.

Order of time: before an input at T, whatever is due at or before T happens first, earliest first: strategies' timers,
requests reaching the simulated venue, its replies reaching us.
"""
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t
from libc.string cimport memcpy, memset

from tickpath.engine cimport (
    Engine, EngineCore, engine_finish, engine_next_timer, engine_on_frame, engine_on_input, engine_on_records,
    engine_run_timers, engine_start,
)
from tickpath.engine_state cimport engine_publish_state
from tickpath.shm.feed_lane cimport (
    FEED_END, FEED_ENTRY_BYTES, FeedEntry, FeedLaneReader, feed_next, feed_release,
)
from tickpath.sim.venue cimport (
    SimVenue, sim_cancel, sim_free, sim_new, sim_next_due, sim_on_market, sim_step, sim_submit,
)
from tickpath.trading.orders cimport Order
from tickpath.types cimport (
    BOOK_GOOD, EV_BOOK_DELTA, EV_CLOCK, EV_COMMAND, EV_EXEC_REPORT,
    EV_FRAME, EV_INPUT_LAST, INSTRUMENT_NONE, SLOT_BYTES, STATUS_OK, TS_NONE, ClockEvent, CommandEvent,
    ExecReport, FrameEvent, Slot, likely, unlikely,
)
from tickpath.venues.batch cimport FRAME_PADDING, FrameView
from tickpath.venues.binance_encode cimport EncodeBuffer

import numpy as np

cdef int64_t NEVER = 0x7FFFFFFFFFFFFFFFLL


cdef void send_to_sim(void* self, const Order* o, bint is_cancel, EncodeBuffer* buffer, int64_t now_ns) noexcept nogil:
    if is_cancel:
        sim_cancel(<SimVenue*>self, o.ordinal, o.instrument, now_ns)
    else:
        sim_submit(<SimVenue*>self, o.ordinal, o.instrument, o.side, o.order_type, o.time_in_force, o.price_ticks,
                   o.qty_lots, now_ns)


cdef class Session:
    """An engine with its inputs.

    Parameters: engine : Engine.  paper : dict of [paper] settings for the simulated venue, or None for replay.
    """
    def __cinit__(self, Engine engine not None, paper=None):
        self.engine = engine
        self.core = engine.core
        self._frame = bytearray(65536)
        if paper is not None:
            self.sim = sim_new(self.core.instruments, self.core.books, self.core.tops, paper["order_latency_ns"],
                               paper["reply_latency_ns"], paper["maker_fee_e8"], paper["taker_fee_e8"],
                               paper["reject_probability"], paper["seed"])
            if self.sim == NULL:
                raise MemoryError()
            self.core.gateway.self = self.sim
            self.core.gateway.send = send_to_sim

    def __dealloc__(self):
        sim_free(self.sim)

    cdef void _advance(self, int64_t ts_ns) noexcept nogil:
        """Everything due at or before ts_ns, earliest first."""
        cdef int64_t sim_due, timer_due
        cdef ExecReport report
        if unlikely(not self.core.started):
            engine_start(self.core, ts_ns)
        if self.sim == NULL:
            return
        while True:
            sim_due = sim_next_due(self.sim)
            timer_due = engine_next_timer(self.core)
            if sim_due > ts_ns and timer_due > ts_ns:
                return
            if timer_due <= sim_due:
                engine_run_timers(self.core, timer_due)
            elif sim_step(self.sim, &report):
                engine_on_input(self.core, <const Slot*>&report)

    cdef int _on_frame(self, const FrameView* frame) noexcept nogil:
        cdef int status
        self._advance(frame.ts_recv_ns)
        status = engine_on_frame(self.core, frame)
        if self.sim != NULL and likely(status == STATUS_OK):
            self._market_to_sim(self.core.batch.slots, self.core.batch.count)
        return status

    cdef void _market_to_sim(self, const Slot* records, int32_t count) noexcept nogil:
        # Depth counts only once the engine's book, which the simulated venue looks at, is proven.
        if records.type == EV_BOOK_DELTA and self.core.books[records.instrument].state != BOOK_GOOD:
            return
        sim_on_market(self.sim, records, count, records.ts_recv_ns)

    def drain(self, FeedLaneReader lane not None, int max_frames=64):
        """Handle up to max_frames frames that wait in the lane; returns how many were handled."""
        cdef FrameView frame
        cdef const FeedEntry* entry
        cdef int n = 0
        with nogil:
            while n < max_frames:
                entry = feed_next(&lane.feed)
                if entry == NULL:
                    break
                if unlikely(entry.flags & FEED_END):
                    self.feed_ended = True
                    self.core.totals.feed_ended = 1
                    feed_release(&lane.feed, entry)
                    break
                frame.data = <const char*>entry + FEED_ENTRY_BYTES
                frame.size = entry.frame_bytes
                frame.ts_recv_ns = entry.ts_recv_ns
                frame.instrument_hint = entry.instrument
                self._on_frame(&frame)
                feed_release(&lane.feed, entry)
                n += 1
            if n > 0:
                engine_publish_state(self.core)
        return n

    def on_frame(self, bytes data, int64_t ts_recv_ns, uint32_t instrument_hint=0xFFFFFFFF):
        """One raw frame, as from a socket; returns its Status."""
        cdef FrameView frame
        cdef Py_ssize_t size = len(data)
        if len(self._frame) < size + FRAME_PADDING:
            self._frame = bytearray(2 * size + FRAME_PADDING)
        self._frame[:size] = data
        frame.data = self._frame
        frame.size = size
        frame.ts_recv_ns = ts_recv_ns
        frame.instrument_hint = instrument_hint
        return self._on_frame(&frame)

    def feed(self, slots):
        """Inputs as a journal has them (SLOT_DTYPE, records of all types): inputs are handled, the rest is skipped.

        With a simulated venue, recorded replies are skipped too: it gives its own.
        """
        cdef const uint8_t[::1] data = np.ascontiguousarray(slots).view(np.uint8).reshape(-1)
        cdef const Slot* record
        cdef Py_ssize_t i = 0
        cdef Py_ssize_t n = data.shape[0] // SLOT_BYTES
        if n == 0:
            return
        record = <const Slot*>&data[0]
        with nogil:
            while i < n:
                i += self._feed_one(record + i, n - i)

    def command(self, int kind, int64_t ts_ns, int64_t value=0):
        """A command input (CommandKind), stamped ts_ns but never before engine time."""
        cdef CommandEvent c
        memset(&c, 0, sizeof(CommandEvent))
        c.ts_recv_ns = ts_ns if ts_ns > self.core.now_ns else self.core.now_ns
        c.ts_venue_ns = TS_NONE
        c.instrument = INSTRUMENT_NONE
        c.type = EV_COMMAND
        c.kind = kind
        c.value = value
        self._advance(c.ts_recv_ns)
        engine_on_input(self.core, <const Slot*>&c)
        engine_publish_state(self.core)

    def clock(self, int64_t ts_ns):
        """A clock input: time has passed and nothing else came. What an idle live loop injects, so that timers run; journaled
        like every input. A ts_ns before engine time is ignored."""
        cdef ClockEvent c
        if ts_ns < self.core.now_ns:
            return
        memset(&c, 0, sizeof(ClockEvent))
        c.ts_recv_ns = ts_ns
        c.ts_venue_ns = TS_NONE
        c.instrument = INSTRUMENT_NONE
        c.type = EV_CLOCK
        c.epoch_offset_ns = TS_NONE
        self._advance(ts_ns)
        engine_on_input(self.core, <const Slot*>&c)

    def settle(self, int64_t limit_ns=10_000_000_000):
        """Let the simulated venue finish what is on its way (acks of the last cancels), at most limit_ns of engine time."""
        cdef int64_t end = self.core.now_ns + limit_ns
        cdef int64_t due
        while self.sim != NULL:
            due = sim_next_due(self.sim)
            if due == NEVER or due > end:
                return
            self._advance(due)

    def finish(self):
        engine_finish(self.core)

    @property
    def sim_counters(self):
        """{fills, rejects, dropped}: the simulated venue's own counts."""
        if self.sim == NULL:
            return None
        return {"fills": self.sim.fills, "rejects": self.sim.rejects, "dropped": self.sim.dropped_requests,
                "resting": self.sim.resting_count}

    cdef Py_ssize_t _feed_one(self, const Slot* record, Py_ssize_t left) noexcept nogil:
        """Handle the record at hand; returns how many slots it took."""
        cdef int32_t take
        if self.pending_wanted > 0:
            # Decoded records of a frame, kept together until all are there.
            take = self.pending_wanted - self.pending_count
            if take > left:
                take = <int32_t>left
            memcpy(self.core.batch.slots + self.pending_count, record, take * SLOT_BYTES)
            self.pending_count += take
            if self.pending_count == self.pending_wanted:
                self.pending_wanted = 0
                self._on_recorded_frame()
            return take
        if record.type == EV_FRAME:
            self.pending_head = (<const FrameEvent*>record)[0]
            self.pending_count = 0
            self.pending_wanted = <int32_t>self.pending_head.event_count
            if self.pending_wanted == 0:
                self._on_recorded_frame()
            return 1
        if self.held:
            self.held = False
            memcpy(<char*>&self.held_report + SLOT_BYTES, record, SLOT_BYTES)
            if self.sim == NULL:
                self._advance(self.held_report.ts_recv_ns)
                engine_on_input(self.core, <const Slot*>&self.held_report)
            return 1
        if record.type == EV_EXEC_REPORT:
            if left < 2:
                memcpy(&self.held_report, record, SLOT_BYTES)
                self.held = True
                return 1
            if self.sim == NULL:
                self._advance(record.ts_recv_ns)
                engine_on_input(self.core, record)
            return 2
        if record.type == EV_COMMAND or record.type == EV_CLOCK:
            self._advance(record.ts_recv_ns)
            engine_on_input(self.core, record)
            return 1
        if record.type <= EV_INPUT_LAST:
            self.foreign_records += 1
        return 1

    cdef void _on_recorded_frame(self) noexcept nogil:
        cdef EngineCore* e = self.core
        self._advance(self.pending_head.ts_recv_ns)
        engine_run_timers(e, self.pending_head.ts_recv_ns)
        e.totals.frames += 1
        e.stamps.start = e.stamps.receive = e.stamps.decode = 0
        engine_on_records(e, &self.pending_head, e.batch.slots, self.pending_count)
        if self.sim != NULL and self.pending_count > 0:
            self._market_to_sim(e.batch.slots, self.pending_count)
