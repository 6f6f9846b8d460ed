"""What stands around the engine: where inputs come from, what time it is, where orders go.

A Session with the simulated venue is paper trading and backtest; without it, fed with a journal's own replies, it is
replay. Either way it is the same engine, and everything asynchronous enters it as a journaled input.

Order of time: before an input at T, whatever is due at or before T happens first, earliest first: strategies' timers,
requests reaching the simulated venue, its replies reaching us.
"""
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from tickpath.decimal cimport DecimalGrid
from tickpath.engine cimport (
    EngineCore, Gateway, engine_finish, engine_next_timer, engine_on_frame, engine_on_input, engine_on_records,
    engine_report_feed_broken, engine_run_timers, engine_start,
)
from tickpath.engine_failover cimport native_book
from tickpath.engine_build cimport Engine
from tickpath.engine_prefetch cimport engine_prefetch
from tickpath.engine_state cimport engine_publish_state
from tickpath.clock cimport mono_now_ns
from tickpath.market.grid_change cimport GridChange
from tickpath.outbox cimport outbox_free, outbox_held, outbox_new, outbox_regrid, outbox_release, outbox_send
from tickpath.shm.feed_lane cimport FEED_END, FEED_GRID, FEED_RECORD, FeedLaneReader, FeedReader, feed_next, feed_release
from tickpath.shm.journal_guard cimport journal_guard_look
from tickpath.shm.lane cimport CommandLane, LaneCommand, lane_is_broken, lane_repair, lane_try_take
from tickpath.sim.venue cimport (
    SimVenue, sim_cancel, sim_free, sim_from, sim_next_due, sim_on_market, sim_queue_ahead, sim_regrid, sim_step, sim_submit,
)
from tickpath.trading.orders cimport Order
from tickpath.types cimport (
    BOOK_GOOD, COMMAND_GUARD, DELTA_LAST, EV_BOOK_DELTA, EV_CLOCK, EV_COMMAND, EV_EXEC_REPORT,
    EV_CONT, EV_FEED, EV_FRAME, EV_GRID, EV_INPUT_LAST, EV_INSTRUMENT_STATUS, EV_ORDER_DELTA, EV_QUOTE, EV_TRADE,
    INSTRUMENT_NONE, LANE_NONE, MAX_INSTRUMENTS, MAX_LANES, PRICE_TICKS_NONE, QTY_LOTS_NONE,
    REASON_OK, REASON_ORDER_ENTRY_DOWN, REASON_ORDER_ENTRY_LOST, ROLE_SYSTEM, SLOT_BYTES,
    STATUS_OK, TRADING_CANCEL_ONLY, TRADING_NORMAL, TS_NONE, ClockEvent, CommandEvent, ExecReport, FeedEvent, FrameEvent,
    GridEvent, InstrumentStatusEvent, Slot, likely, unlikely,
)
from tickpath.venues.batch cimport FRAME_PADDING, FrameView
from tickpath.venues.binance_encode cimport EncodeBuffer

import numpy as np

cdef int64_t START_GRACE_NS = 10_000_000_000
cdef int64_t NEVER = 0x7FFFFFFFFFFFFFFFLL


cdef void send_to_sim(void* self, const Order* o, bint is_cancel, EncodeBuffer* buffer, int64_t now_ns) noexcept nogil:
    if is_cancel:
        sim_cancel(<SimVenue*>self, o.ordinal, o.instrument, now_ns)
    else:
        sim_submit(<SimVenue*>self, o.ordinal, o.instrument, o.side, o.order_type, o.time_in_force, o.price_ticks,
                   o.qty_lots, now_ns)


cdef void regrid_sim(void* self, uint32_t instrument, const GridChange* change, int64_t now_ns) noexcept nogil:
    sim_regrid(<SimVenue*>self, instrument, change, now_ns)


# A record that the gateway has made: of the kinds that it may make, about an instrument of ours; anything else is counted.
cdef void on_lane_record(Session session, const FeedReader* r) noexcept nogil:
    cdef InstrumentStatusEvent s
    cdef EngineCore* e = session.core
    memcpy(&s, r.frame, SLOT_BYTES)
    if (r.entry.frame_bytes != SLOT_BYTES or s.type != EV_INSTRUMENT_STATUS or s.instrument >= <uint32_t>e.instruments.count
            or e.instruments.items[s.instrument].venue_slot != r.entry.venue_slot):
        session.foreign_records += 1
        return
    s.ts_recv_ns = r.entry.ts_recv_ns if r.entry.ts_recv_ns > e.now_ns else e.now_ns
    s.ts_venue_ns = TS_NONE
    s.venue = e.instruments.items[s.instrument].venue
    s.flags = 0
    session._advance(s.ts_recv_ns)
    engine_on_input(e, <const Slot*>&s)


cdef class Session:
    """An engine with its inputs.

    Parameters: engine : Engine.  paper : dict of [paper] settings for the simulated venue, or None for replay.
                hold_ns : durability = disk: how long an order may wait for the disk; 0 = orders do not wait.
                data_waits : with hold_ns: no further frame while an order waits, so that decisions and times are those of
                             durability = process. For captures played as fast as they go.
    """
    def __cinit__(self, Engine engine not None, paper=None, *, int64_t hold_ns=0, bint data_waits=False):
        self.engine = engine
        self.core = engine.core
        self._frame = bytearray(65536)
        if paper is not None:
            self.sim = sim_from(self.core.instruments, self.core.books, self.core.tops, self.core.l3, paper)
            self.core.gateway.self = self.sim
            self.core.gateway.send = send_to_sim
            self.core.gateway.regrid = regrid_sim
        self._lanes = []
        self.entry_allowed, self.entry_reason = TRADING_NORMAL, REASON_OK
        if hold_ns > 0:
            self.outbox = outbox_new(self.core.gateway, &self.core.ring.next_seq, hold_ns, data_waits)
            if self.outbox == NULL:
                raise MemoryError()
            self.waits_for_disk = data_waits
            self.core.gateway.self = self.outbox
            self.core.gateway.send = outbox_send
            self.core.gateway.regrid = outbox_regrid

    def __dealloc__(self):
        sim_free(self.sim)
        outbox_free(self.outbox)

    cdef void use_gateway(self, object owner, Gateway gateway, unsent_report_fn unsent_report):
        """Orders leave by this gateway from now on (its owner is kept alive), behind the outbox where there is one."""
        self._live_gateway = owner
        self.unsent_report, self.unsent_self = unsent_report, gateway.self
        if self.outbox != NULL:
            self.outbox.inner = gateway
        else:
            self.core.gateway = gateway

    def order_entry(self, bint ready, *, bint latched=False):
        """Whether orders can reach their venues: while not, trading is CANCEL_ONLY; latched: for good. Journaled."""
        if self.entry_reason == REASON_ORDER_ENTRY_LOST:
            return
        self.entry_allowed = TRADING_NORMAL if ready else TRADING_CANCEL_ONLY
        self.entry_reason = REASON_OK if ready else REASON_ORDER_ENTRY_LOST if latched else REASON_ORDER_ENTRY_DOWN
        self._guard_changed()
        engine_publish_state(self.core)

    def add_lane(self, CommandLane lane not None):
        """Take commands from a lane from now on, in the order in which lanes were added."""
        if self.lane_count == MAX_LANES:
            raise ValueError(f"lanes: expected at most {MAX_LANES}, found one more")
        self._lanes.append(lane)
        self.lane_readers[self.lane_count] = &lane.lane
        self.lane_roles[self.lane_count] = lane.role
        self.lane_indexes[self.lane_count] = lane.index
        self.lane_guards[self.lane_count] = lane.guard
        self.lane_count += 1

    def watch_journal(self, buffer, *, bint by_lag, int64_t timeout_ns=2_000_000_000):
        """Let the journal's state decide what trading is allowed (see shm/journal_guard.pxd).

        Parameters: buffer : the journal's page, or None while there is none yet.
                    by_lag : its lag restricts trading (live); else frames wait while it is over a quarter of the ring.
                    timeout_ns : silence that counts as dead.
        """
        cdef const uint8_t[::1] page
        self.guard.written = self.guard.synced = self.guard.state = self.guard.heartbeat = NULL
        if buffer is not None:
            page = buffer
            self.guard.state = <const uint64_t*>&page[256]
            self.guard.written = <const uint64_t*>&page[128]
            self.guard.synced = <const uint64_t*>&page[192]
            self.guard.heartbeat = <const uint64_t*>&page[320]
        self._journal_buffer = buffer
        self.guard.slot_count = self.core.ring.mask + 1
        self.guard.timeout_ns = timeout_ns
        self.guard.by_lag = by_lag
        if not self.guarded:
            # The journal's process is started after the engine's, which makes the ring.
            self.guard.since_mono_ns = mono_now_ns()
            if timeout_ns < START_GRACE_NS:
                self.guard.since_mono_ns += START_GRACE_NS - timeout_ns
            self.guard.allowed, self.guard.reason = TRADING_NORMAL, REASON_OK
        self.guarded = True

    cdef void _advance(self, int64_t ts_ns) noexcept nogil:
        """Everything due at or before ts_ns, earliest first."""
        cdef int64_t sim_due, timer_due
        cdef ExecReport report
        if unlikely(not self.core.started):
            engine_start(self.core, ts_ns)
        if self.sim == NULL:
            return
        while True:
            if self.pausing and outbox_held(self.outbox) > 0:
                return
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
        cdef int32_t i = 0, n
        while i < count:
            n = 1
            if records[i].type == EV_BOOK_DELTA:
                while i + n < count and not records[i + n - 1].flags & DELTA_LAST:
                    n += 1
                # Depth counts only once the engine's book, which the simulated venue looks at, is proven.
                if self.core.books[records[i].instrument].state == BOOK_GOOD:
                    sim_on_market(self.sim, records + i, n, self.core.now_ns)
            elif records[i].type == EV_TRADE or records[i].type == EV_QUOTE or records[i].type == EV_ORDER_DELTA:
                sim_on_market(self.sim, records + i, 1, self.core.now_ns)
            i += n

    # ---- warming
    def shadow(self, Session other not None, canned):
        """Let `other`, a session over memory of its own, take the `canned` frames (bytes) in turn, one at each warm(): the
        code, branches and translations of the path stay warm, and nothing of ours changes."""
        cdef const char* p
        if len(canned) > CANNED_FRAMES:
            raise ValueError(f"canned: expected at most {CANNED_FRAMES} frames, found {len(canned)}")
        self._shadow = other
        self._canned = [frame + bytes(FRAME_PADDING) for frame in canned]
        self.canned_count = len(self._canned)
        for i, frame in enumerate(self._canned):
            p = frame
            self.canned[i].data = p
            self.canned[i].size = len(frame) - FRAME_PADDING
            self.canned[i].instrument_hint = 0
            self.canned[i].venue_slot = self.canned[i].connection = 0

    def warm(self):
        """What an idle turn does: a canned frame through the shadow, and our own memory into the cache."""
        with nogil:
            self._warm()

    cdef void _warm(self) noexcept nogil:
        cdef FrameView* frame
        if self.canned_count > 0:
            frame = &self.canned[self.warm_count % self.canned_count]
            self.warm_count += 1
            frame.ts_recv_ns = <int64_t>self.warm_count * 1000000
            self._shadow._on_frame(frame)
        engine_prefetch(self.core)

    # ---- between frames
    cdef int _between_frames(self) noexcept nogil:
        """What is not market data, once a turn; returns how many commands were taken."""
        if self.guarded:
            self._look_at_journal()
        if self.outbox != NULL:
            self.outbox.mono_ns = mono_now_ns()
            self._release_held()
        if self.unsent_report != NULL:
            self._release_unsent()
        return self._take_commands()

    cdef void _look_at_journal(self) noexcept nogil:
        if journal_guard_look(&self.guard, self.core.ring.next_seq, mono_now_ns()):
            self._guard_changed()
        self.core.totals.journal_lag_slots = self.guard.lag_slots

    cdef void _guard_changed(self) noexcept nogil:
        """The stricter of what the journal and the venues' order entry allow."""
        if self.guarded and self.guard.allowed >= self.entry_allowed:
            self._system_command(COMMAND_GUARD, 0, self.guard.allowed, self.guard.reason)
        else:
            self._system_command(COMMAND_GUARD, 0, self.entry_allowed, self.entry_reason)

    cdef void _release_unsent(self) noexcept nogil:
        cdef ExecReport report
        while self.unsent_report(self.unsent_self, &report):
            report.ts_recv_ns = report.ts_recv2_ns = self.core.now_ns
            self._advance(report.ts_recv_ns)
            engine_on_input(self.core, <const Slot*>&report)

    cdef void _release_held(self) noexcept nogil:
        cdef ExecReport report
        while outbox_release(self.outbox, self.guard.synced_seq, self.core.now_ns, &report):
            self._advance(report.ts_recv_ns)
            engine_on_input(self.core, <const Slot*>&report)
        self.core.totals.held_orders = outbox_held(self.outbox)

    cdef int _take_commands(self) noexcept nogil:
        cdef LaneCommand asked
        cdef CommandEvent c
        cdef int i, _k, taken = 0
        cdef uint64_t broken = 0
        for i in range(self.lane_count):
            broken += lane_is_broken(self.lane_guards[i])
            for _k in range(COMMANDS_PER_TURN):
                if not lane_try_take(self.lane_readers[i], <uint64_t*>&asked):
                    lane_repair(self.lane_readers[i], self.lane_indexes[i], self.lane_roles[i])
                    break
                memset(&c, 0, sizeof(CommandEvent))
                c.ts_recv_ns = self.core.now_ns
                c.ts_venue_ns = TS_NONE
                c.instrument = asked.instrument
                c.type = EV_COMMAND
                c.kind = asked.kind
                c.lane = <unsigned short>self.lane_indexes[i]
                c.role = <unsigned short>self.lane_roles[i]
                c.request_id = asked.request_id
                c.value = asked.value
                c.detail = asked.detail
                c.seen_seq = asked.seen_seq
                c.price_ticks = asked.price_ticks
                c.qty_lots = asked.qty_lots
                self._advance(c.ts_recv_ns)
                engine_on_input(self.core, <const Slot*>&c)
                taken += 1
        self.core.totals.lanes_broken = broken
        return taken

    cdef void _system_command(self, int kind, int64_t ts_ns, int64_t value, int64_t detail) noexcept nogil:
        cdef CommandEvent c
        memset(&c, 0, sizeof(CommandEvent))
        c.ts_recv_ns = ts_ns if ts_ns > self.core.now_ns else self.core.now_ns
        c.ts_venue_ns = TS_NONE
        c.instrument = INSTRUMENT_NONE
        c.type = EV_COMMAND
        c.kind = <unsigned short>kind
        c.lane = LANE_NONE
        c.role = ROLE_SYSTEM
        c.value = value
        c.detail = detail
        c.price_ticks = PRICE_TICKS_NONE
        self._advance(c.ts_recv_ns)
        engine_on_input(self.core, <const Slot*>&c)

    def drain(self, FeedLaneReader lane not None, int max_frames=64, *, bint warming=True):
        """One turn: commands and the journal's state first, then up to max_frames frames that wait in the lane; returns how
        many of both were handled. warming: keep the path warm if there were none."""
        cdef FrameView frame
        cdef GridEvent grid
        cdef int n = 0, commands
        with nogil:
            commands = self._between_frames()
            if self.guarded and not self.guard.by_lag and self.guard.allowed == TRADING_NORMAL \
                    and self.guard.lag_slots > self.guard.slot_count >> 2:
                max_frames = 0             # where the data can wait it does: the engine's own pace is the journal's
            while n < max_frames:
                if self.waits_for_disk and outbox_held(self.outbox) > 0:
                    break
                if not feed_next(&lane.feed, self.core.venue_count):
                    if unlikely(lane.feed.broken) and not self.feed_ended:
                        self.feed_ended = True
                        engine_report_feed_broken(self.core)
                    break
                if unlikely(lane.feed.entry.flags & FEED_END):
                    self.feed_ended = True
                    self.core.totals.feed_ended = 1
                    feed_release(&lane.feed)
                    break
                if self.waits_for_disk:
                    # Time goes only as far as the first order that has to wait.
                    self.pausing = True
                    self._advance(lane.feed.entry.ts_recv_ns)
                    self.pausing = False
                    if outbox_held(self.outbox) > 0:
                        break
                if unlikely(lane.feed.entry.flags & FEED_GRID):
                    if lane.feed.entry.frame_bytes == sizeof(GridEvent):
                        memcpy(&grid, lane.feed.frame, sizeof(GridEvent))
                        self._on_grid(&grid, lane.feed.entry.ts_recv_ns, lane.feed.entry.instrument)
                    feed_release(&lane.feed)
                    n += 1
                    continue
                if unlikely(lane.feed.entry.flags & FEED_RECORD):
                    on_lane_record(self, &lane.feed)
                    feed_release(&lane.feed)
                    n += 1
                    continue
                frame.data = lane.feed.frame
                frame.size = lane.feed.entry.frame_bytes
                frame.ts_recv_ns = lane.feed.entry.ts_recv_ns
                frame.instrument_hint = lane.feed.entry.instrument
                frame.venue_slot = lane.feed.entry.venue_slot
                frame.connection = lane.feed.entry.connection & 255
                self._on_frame(&frame)
                feed_release(&lane.feed)
                n += 1
            if n > 0 or commands > 0:
                engine_publish_state(self.core)
            elif warming and self.canned_count > 0:
                self._warm()
        return n + commands

    def drain_worker(self, FeedLaneReader lane not None, int64_t ts_recv_ns, uint16_t venue_slot, uint16_t connection,
                     int max_frames=64):
        """Up to max_frames frames of a worker's lane, stamped here; returns how many there were. A worker is taken for hostile:
        its own stamps, venue and end mark do not count, and an entry that does not fit breaks its lane and nothing else."""
        cdef FrameView frame
        cdef int n = 0
        with nogil:
            frame.ts_recv_ns = ts_recv_ns
            frame.instrument_hint = INSTRUMENT_NONE
            frame.venue_slot = venue_slot
            frame.connection = connection
            while n < max_frames and feed_next(&lane.feed, self.core.venue_count):
                if unlikely(lane.feed.entry.venue_slot != venue_slot or lane.feed.entry.flags != 0):
                    lane.feed.broken = 1
                    break
                frame.data = lane.feed.frame
                frame.size = lane.feed.entry.frame_bytes
                self._on_frame(&frame)
                feed_release(&lane.feed)
                n += 1
            if n > 0:
                engine_publish_state(self.core)
        return n

    def on_frame(self, bytes data, int64_t ts_recv_ns, uint32_t instrument_hint=0xFFFFFFFF, *, uint16_t venue_slot=0,
                 uint16_t connection=0):
        """One raw frame, as from a socket; returns its Status. Errors: ValueError for a venue or connection we do not have."""
        cdef FrameView frame
        cdef Py_ssize_t size = len(data)
        if len(self._frame) < size + FRAME_PADDING:
            self._frame = bytearray(2 * size + FRAME_PADDING)
        if venue_slot >= self.core.venue_count or connection > 255:
            raise ValueError(f"frame: expected a venue below {self.core.venue_count} and a connection below 256, "
                             f"found {venue_slot} and {connection}")
        self._frame[:size] = data
        frame.data = self._frame
        frame.size = size
        frame.ts_recv_ns = ts_recv_ns
        frame.instrument_hint = instrument_hint
        frame.venue_slot = venue_slot
        frame.connection = connection
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

    def command(self, int kind, int64_t ts_ns, int64_t value=0, int64_t detail=0):
        """A command input of our own process (CommandKind), stamped ts_ns but never before engine time."""
        self._system_command(kind, ts_ns, value, detail)
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

    def feed_event(self, int kind, int64_t ts_ns, int venue_slot, int connection, *, uint32_t instrument=0xFFFFFFFF,
                   int64_t value=0, int64_t detail=0):
        """What became of a connection (FeedKind), as an input stamped ts_ns but never before engine time; journaled."""
        cdef FeedEvent f
        if not 0 <= venue_slot < self.core.venue_count or not 0 <= connection < 256:
            raise ValueError(f"feed event: expected a venue below {self.core.venue_count} and a connection below 256, "
                             f"found {venue_slot} and {connection}")
        memset(&f, 0, sizeof(FeedEvent))
        f.ts_recv_ns = ts_ns if ts_ns > self.core.now_ns else self.core.now_ns
        f.ts_venue_ns = TS_NONE
        f.instrument = instrument
        f.type = EV_FEED
        f.venue = self.core.decoders[venue_slot].venue
        f.kind = <unsigned short>kind
        f.connection = <unsigned short>connection
        f.venue_slot = venue_slot
        f.value = value
        f.detail = detail
        f.total = self.core.totals.feed_events + 1
        self._advance(f.ts_recv_ns)
        engine_on_input(self.core, <const Slot*>&f)
        engine_publish_state(self.core)

    @property
    def next_due_ns(self):
        """The engine time at which a bar is to be closed or a timer to be run, ns; 2^63 - 1 when there is none."""
        return engine_next_timer(self.core)

    def grid_event(self, int64_t ts_ns, uint32_t instrument, tick_size, lot_size, *, int64_t qty_step_lots=1,
                   int64_t min_notional_ticklots=0, int price_decimals=-1, int qty_decimals=-1):
        """An instrument's tick or lot from now on (decimal text), as an input stamped ts_ns but never before engine time;
        journaled. True when something has changed (engine_grid.pxd says what). Counts are of the new grid."""
        cdef GridEvent g
        cdef DecimalGrid tick = DecimalGrid(tick_size)
        cdef DecimalGrid lot = DecimalGrid(lot_size)
        memset(&g, 0, sizeof(GridEvent))
        g.tick_mantissa, g.tick_scale = tick.grid.mantissa, tick.grid.scale
        g.lot_mantissa, g.lot_scale = lot.grid.mantissa, lot.grid.scale
        g.qty_step_lots, g.min_notional_ticklots = qty_step_lots, min_notional_ticklots
        g.price_decimals, g.qty_decimals = price_decimals, qty_decimals
        changed = self._on_grid(&g, ts_ns, instrument)
        engine_publish_state(self.core)
        return changed

    cdef bint _on_grid(self, GridEvent* g, int64_t ts_ns, uint32_t instrument) noexcept nogil:
        cdef uint32_t before = self.core.grid_epochs[instrument & (MAX_INSTRUMENTS - 1)]
        g.ts_recv_ns = g.ts_recv2_ns = ts_ns if ts_ns > self.core.now_ns else self.core.now_ns
        g.ts_venue_ns = g.ts_venue2_ns = TS_NONE
        g.instrument = g.instrument2 = instrument
        g.type = EV_GRID
        g.type2 = EV_CONT
        g.flags = 0
        g.flags2 = 1
        g.venue = g.venue2 = self.core.instruments.items[instrument & (MAX_INSTRUMENTS - 1)].venue
        self._advance(g.ts_recv_ns)
        engine_on_input(self.core, <const Slot*>g)
        return self.core.grid_epochs[instrument & (MAX_INSTRUMENTS - 1)] != before

    def book_times_ns(self, int instrument):
        """(receive time, venue time) in ns of the last message that an instrument's book took; 0 or TIME_NONE: none."""
        return self.core.books[instrument].ts_recv_ns, self.core.books[instrument].ts_venue_ns

    def gate(self, int instrument):
        """(BookState, mask of GateCause) of an instrument, as its gate says now; while a fallback feeds it the state is that of
        its own stream's book, which is still to be synchronised."""
        if self.core.failovers[instrument].active:
            return native_book(self.core, instrument).state, self.core.gates[instrument].causes
        return self.core.gates[instrument].state, self.core.gates[instrument].causes

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
    def stopping(self):
        """True once a STOP command was accepted."""
        return bool(self.core.stopping)

    @property
    def held_orders(self):
        """Orders that wait for the disk."""
        return outbox_held(self.outbox) if self.outbox != NULL else 0

    @property
    def journal_doubtful(self):
        """True while the journal restricts trading or is over a quarter of the ring behind: it may have been restarted."""
        return self.guarded and (self.guard.allowed != TRADING_NORMAL or self.guard.lag_slots > self.guard.slot_count >> 2)

    @property
    def sim_counters(self):
        """{fills, rejects, dropped}: the simulated venue's own counts."""
        if self.sim == NULL:
            return None
        return {"fills": self.sim.fills, "rejects": self.sim.rejects, "dropped": self.sim.dropped_requests,
                "resting": self.sim.resting_count}

    def sim_queue_ahead(self, uint64_t order_ordinal):
        """Displayed lots that the simulated venue takes to stand ahead of a resting order; None where it does not rest there."""
        cdef int64_t lots = sim_queue_ahead(self.sim, order_ordinal) if self.sim != NULL else QTY_LOTS_NONE
        return None if lots == QTY_LOTS_NONE else lots

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
            self.held_input[1] = record[0]
            self._on_recorded_input(self.held_input)
            return 1
        if record.type == EV_EXEC_REPORT or record.type == EV_COMMAND or record.type == EV_GRID:
            if left < 2:
                self.held_input[0] = record[0]
                self.held = True
                return 1
            self._on_recorded_input(record)
            return 2
        if record.type == EV_CLOCK or record.type == EV_FEED or record.type == EV_INSTRUMENT_STATUS:
            self._on_recorded_input(record)
            return 1
        if record.type <= EV_INPUT_LAST:
            self.foreign_records += 1
        return 1

    cdef void _on_recorded_input(self, const Slot* record) noexcept nogil:
        # A simulated venue gives its own replies.
        if record.type == EV_EXEC_REPORT and self.sim != NULL:
            return
        self._advance(record.ts_recv_ns)
        engine_on_input(self.core, record)

    cdef void _on_recorded_frame(self) noexcept nogil:
        cdef EngineCore* e = self.core
        self._advance(self.pending_head.ts_recv_ns)
        engine_run_timers(e, self.pending_head.ts_recv_ns)
        e.totals.frames += 1
        e.stamps.start = e.stamps.receive = e.stamps.decode = 0
        engine_on_records(e, &self.pending_head, e.batch.slots, self.pending_count)
        if self.sim != NULL and self.pending_count > 0:
            self._market_to_sim(e.batch.slots, self.pending_count)
