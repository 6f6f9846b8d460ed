"""Feeds that are not what they should be, as the engine sees them: see engine_feeds.pxd."""
from libc.stdint cimport uint64_t
from libc.string cimport memset

from tickpath.engine cimport CONNECTIONS_MAX, publish, publish_two
from tickpath.engine_failover cimport failover_on_feed, failover_on_gate, native_book, native_connection
from tickpath.engine_l3 cimport CONNECTION_OF_ORDERS, lose_order_book
from tickpath.market.book cimport book_lose
from tickpath.market.consolidated cimport Consolidated, MemberTop, consolidated_member_of, consolidated_on_top
from tickpath.market.failover cimport POLL_CONNECTION
from tickpath.market.gate cimport GATE_FEED, GATE_GAP, GATE_SYNCING, Gate, gate_state_of, status_allows
from tickpath.market.l3_book cimport L3_SEQUENCED
from tickpath.signals.state cimport Top
from tickpath.types cimport (
    BOOK_GOOD, BOOK_STALE, BOOK_SYNCING, EV_FEED, EV_GAP, EV_HEALTH, EV_INSTRUMENT_STATUS, FEED_GAP, FEED_LOST,
    FEED_RESUBSCRIBED, FEED_SILENT, HEALTH_BOOK_STATE, HEALTH_FRAME_REFUSED, INSTRUMENT_NONE, MAX_VENUES, STATUS_IGNORED,
    STATUS_OFF_GRID, STATUS_UNKNOWN_SYMBOL, STATUS_UNSUPPORTED, TS_NONE, VENUE_COINBASE, VENUE_STATUS_INVALID, FeedEvent,
    GapEvent, HealthEvent, InstrumentStatusEvent,
)


cdef inline void lose(EngineCore* e, uint32_t instrument) noexcept nogil:
    if e.l3[instrument] != NULL:
        lose_order_book(e, instrument)
    else:
        book_lose(&e.books[instrument])


cdef void gate_turn(EngineCore* e, uint32_t instrument, uint32_t causes) noexcept nogil:
    cdef Gate* g = &e.gates[instrument]
    cdef const GateLimits* l = &e.gate_limits[instrument]
    cdef HealthEvent h
    if g.crossed_ns != 0 and e.now_ns - g.crossed_ns > l.max_crossed_ns and e.books[instrument].state != BOOK_SYNCING:
        # Nobody trades in a crossed market for so long: what we hold is not what the venue holds.
        lose(e, instrument)
        g.crossed_ns = 0
        causes |= GATE_SYNCING
    if causes == g.causes:
        return
    memset(&h, 0, sizeof(HealthEvent))
    h.ts_recv_ns = e.now_ns
    h.ts_venue_ns = TS_NONE
    h.instrument = instrument
    h.type = EV_HEALTH
    h.venue = e.instruments.items[instrument].venue
    h.kind = HEALTH_BOOK_STATE
    h.causes = causes
    h.value = gate_state_of(causes)
    h.detail = g.state
    e.totals.gate_changes += 1
    h.total = e.totals.gate_changes
    g.causes = causes
    g.state = <int>h.value
    if e.failovers[instrument].configured:
        failover_on_gate(e, instrument, causes)
    e.tops[instrument].state = g.state
    publish(e, <const Slot*>&h)
    if e.consolidated_of[instrument] >= 0:
        consolidate(e, instrument, TS_NONE)


cdef void consolidate(EngineCore* e, uint32_t instrument, int64_t ts_venue_ns) noexcept nogil:
    cdef Consolidated* c = &e.consolidated[e.consolidated_of[instrument]]
    cdef const Top* top = &e.tops[instrument]
    cdef MemberTop member
    member.bid_price_ticks = top.bid_price_ticks
    member.bid_qty_lots = top.bid_qty_lots
    member.ask_price_ticks = top.ask_price_ticks
    member.ask_qty_lots = top.ask_qty_lots
    member.ts_recv_ns = e.now_ns
    member.ts_venue_ns = ts_venue_ns
    member.good = e.gates[instrument].state == BOOK_GOOD
    if consolidated_on_top(c, consolidated_member_of(c, instrument), &member):
        publish_two(e, <const Slot*>&c.quote)


cdef void gate_look_again(EngineCore* e, uint32_t instrument) noexcept nogil:
    cdef int64_t newest = e.books[instrument].ts_recv_ns
    if e.tops[instrument].ts_recv_ns > newest:
        newest = e.tops[instrument].ts_recv_ns
    gate_turn(e, instrument, gate_judge(&e.gates[instrument], &e.gate_limits[instrument], &e.books[instrument],
                                        e.tops[instrument].bid_price_ticks, e.tops[instrument].ask_price_ticks, newest,
                                        e.now_ns, False))


cdef void gates_tick(EngineCore* e) noexcept nogil:
    cdef int i
    for i in range(e.instruments.count):
        gate_look_again(e, i)


# Does this instrument's book come through that connection?
cdef inline bint is_of_connection(const EngineCore* e, int instrument, uint32_t venue_slot, uint32_t connection) noexcept nogil:
    if e.l3[instrument] != NULL:
        connection |= CONNECTION_OF_ORDERS
    return e.instruments.items[instrument].venue_slot == venue_slot and native_connection(e, instrument) == connection


cdef void lose_book(EngineCore* e, int instrument, uint32_t cause) noexcept nogil:
    if e.failovers[instrument].active:
        book_lose(native_book(e, instrument))       # what is shown is the fallback's
    elif e.books[instrument].state != BOOK_SYNCING:
        lose(e, instrument)
        e.gates[instrument].lost_by = cause
        e.gates[instrument].feed_causes &= ~GATE_FEED
        gate_look_again(e, instrument)


# What was refused may have been a change of the book: the gate closes until the next message of the chain proves that nothing
# is missing. Where messages carry neither a number nor a checksum only a new snapshot proves it.
cdef void on_refused_frame(EngineCore* e, const FrameEvent* head, int status) noexcept nogil:
    cdef HealthEvent h
    cdef int i
    if status == STATUS_IGNORED:
        e.totals.frames_ignored += 1
        return
    if status == STATUS_UNSUPPORTED:
        e.totals.frames_unsupported += 1
        return
    if status == STATUS_UNKNOWN_SYMBOL:
        e.totals.unknown_symbols += 1
        return
    e.totals.frame_errors += 1
    e.totals.venue_errors[e.frame_venue] += 1
    e.totals.venue_off_grid[e.frame_venue] += status == STATUS_OFF_GRID
    memset(&h, 0, sizeof(HealthEvent))
    h.ts_recv_ns = e.now_ns
    h.ts_venue_ns = TS_NONE
    h.instrument = INSTRUMENT_NONE
    h.type = EV_HEALTH
    h.venue = head.venue
    h.kind = HEALTH_FRAME_REFUSED
    h.value = status
    h.detail = head.frame_bytes
    publish(e, <const Slot*>&h)
    for i in range(e.instruments.count):
        if is_of_connection(e, i, e.frame_venue, e.frame_connection):
            # Without a number of its own nothing proves that a book is whole but a new snapshot.
            if (e.l3[i].rules & L3_SEQUENCED == 0) if e.l3[i] != NULL else head.venue == VENUE_COINBASE:
                lose_book(e, i, GATE_GAP)
            elif native_book(e, i).state == BOOK_GOOD:
                native_book(e, i).state = BOOK_STALE
                gate_look_again(e, i)


# Coinbase: what is missing may have been any book's.
cdef void check_connection_sequence(EngineCore* e, const FrameEvent* head) noexcept nogil:
    cdef uint64_t* expected = &e.next_sequences[e.frame_venue * CONNECTIONS_MAX + (e.frame_connection & (CONNECTIONS_MAX - 1))]
    cdef GapEvent g
    cdef int i
    if head.last_update_id > expected[0] and expected[0] != 0:
        memset(&g, 0, sizeof(GapEvent))
        g.ts_recv_ns = e.now_ns
        g.ts_venue_ns = head.ts_venue_ns
        g.instrument = INSTRUMENT_NONE
        g.type = EV_GAP
        g.venue = head.venue
        g.expected_update_id = expected[0]
        g.found_update_id = head.last_update_id
        e.totals.gaps += 1
        e.totals.venue_gaps[e.frame_venue] += 1
        g.total = e.totals.gaps
        publish(e, <const Slot*>&g)
        for i in range(e.instruments.count):
            if is_of_connection(e, i, e.frame_venue, e.frame_connection):
                lose_book(e, i, GATE_GAP)
    expected[0] = head.last_update_id + 1


cdef void on_market_fact(EngineCore* e, const Slot* record) noexcept nogil:
    if record.type == EV_INSTRUMENT_STATUS:
        on_status(e, <const InstrumentStatusEvent*>record)
    elif record.type == EV_FEED:
        on_feed_event(e, <const FeedEvent*>record)
    else:
        e.totals.facts += 1                # candles, reference prices, liquidations: in the ring for whoever wants them


cdef void on_status(EngineCore* e, const InstrumentStatusEvent* s) noexcept nogil:
    cdef Gate* g
    cdef int i
    e.totals.facts += 1
    for i in range(e.instruments.count):
        if (s.instrument == <uint32_t>i
                or (s.instrument == INSTRUMENT_NONE and e.instruments.items[i].venue_slot == e.frame_venue)):
            g = &e.gates[i]
            # A system that is online again says nothing of an instrument that is halted, and the other way round.
            if s.instrument == INSTRUMENT_NONE:
                g.system_status = s.status
            else:
                g.own_status = s.status
            if g.system_status != VENUE_STATUS_INVALID and (g.own_status == VENUE_STATUS_INVALID
                                                            or not status_allows(g.system_status)):
                g.venue_status = g.system_status
            else:
                g.venue_status = g.own_status
            gate_look_again(e, i)


cdef void on_feed_event(EngineCore* e, const FeedEvent* f) noexcept nogil:
    cdef int i
    e.totals.feed_events += 1
    e.totals.venue_losses[f.venue_slot % MAX_VENUES] += f.kind == FEED_LOST
    if f.connection == POLL_CONNECTION:
        failover_on_feed(e, f)
    if f.kind == FEED_LOST or f.kind == FEED_RESUBSCRIBED or f.kind == FEED_GAP:
        e.next_sequences[f.venue_slot % MAX_VENUES * CONNECTIONS_MAX + (f.connection & (CONNECTIONS_MAX - 1))] = 0
    for i in range(e.instruments.count):
        if f.instrument != INSTRUMENT_NONE and f.instrument != <uint32_t>i:
            continue
        if not is_of_connection(e, i, f.venue_slot, f.connection):
            continue
        if f.kind == FEED_LOST or f.kind == FEED_RESUBSCRIBED or f.kind == FEED_GAP:
            lose_book(e, i, GATE_GAP)
        elif f.kind == FEED_SILENT and not e.failovers[i].active:
            e.gates[i].feed_causes |= GATE_FEED
            gate_look_again(e, i)
