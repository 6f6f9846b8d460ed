"""Going over to a polled source when an instrument's own stream fails, and back: see engine_failover.pxd.

    stream bad for after_ns, a polled snapshot comes   books swapped, the poll's is shown            SOURCE_REST, SOURCE_CCXT
    the stream's own book is proven again              swapped back in that very message             SOURCE_NATIVE

Both are decided by journaled inputs alone, so a replay goes over and back at the same records.
"""
from libc.string cimport memcpy

from tickpath.engine cimport report_health
from tickpath.engine_feeds cimport gate_look_again
from tickpath.market.book cimport BOOK_APPLIED, BOOK_GAP, BOOK_SYNCED, Book, book_apply, book_lose
from tickpath.market.checksum cimport checksum_matches
from tickpath.market.failover cimport POLL_CONNECTION, Failover
from tickpath.market.gate cimport (
    GATE_AGE, GATE_EMPTY, GATE_FALLBACK, GATE_FEED, GATE_GAP, GATE_GRID, GATE_REFUSED, GATE_SYNCING,
)
from tickpath.types cimport (
    BOOK_GOOD, FEED_LOST, FEED_SILENT, HEALTH_SOURCE, SOURCE_CCXT, SOURCE_NATIVE, SOURCE_NONE, SOURCE_SECOND, VENUE_CCXT,
)

# What says that the stream fails, and not that the market is odd.
cdef enum: STREAM_BAD = GATE_SYNCING | GATE_REFUSED | GATE_AGE | GATE_FEED | GATE_EMPTY


cdef int64_t failover_source(const EngineCore* e, int instrument) noexcept nogil:
    if e.failovers[instrument].active:
        return e.failovers[instrument].source
    if e.instruments.items[instrument].venue == VENUE_CCXT:
        return SOURCE_CCXT
    if e.books[instrument].update_count == 0:
        return SOURCE_NONE
    # The sockets of a line are numbered so that a redundant one is odd (feeds/connection.py).
    return SOURCE_SECOND if e.book_connections[instrument] & 1 else SOURCE_NATIVE


cdef void swap_books(EngineCore* e, int instrument) noexcept nogil:
    cdef Book shown
    memcpy(&shown, &e.books[instrument], sizeof(Book))
    memcpy(&e.books[instrument], &e.failovers[instrument].standby, sizeof(Book))
    memcpy(&e.failovers[instrument].standby, &shown, sizeof(Book))
    # The two number their messages differently: what the top was made of does not count any more.
    e.tops[instrument].update_id = 0


cdef int go_over(EngineCore* e, int instrument, const BookDelta* d) noexcept nogil:
    cdef Failover* f = &e.failovers[instrument]
    cdef int64_t old = failover_source(e, instrument)
    # A poll that began before the stream's last message knows less than the stream did.
    if f.bad_since_ns == 0 or e.now_ns - f.bad_since_ns < f.after_ns or not d.flags & DELTA_SNAPSHOT \
            or e.frame_venue != f.venue_slot or d.ts_recv_ns < e.books[instrument].ts_recv_ns:
        return FAILOVER_ELSEWHERE
    f.native_connection = e.book_connections[instrument]
    f.active = 1
    swap_books(e, instrument)
    e.book_connections[instrument] = POLL_CONNECTION
    # A grid that is not the venue's withholds it whoever feeds it.
    e.gates[instrument].feed_causes &= GATE_GRID
    if not f.trading:
        e.gates[instrument].feed_causes |= GATE_FALLBACK
    e.totals.failovers += 1
    report_health(e, HEALTH_SOURCE, instrument, f.source, old)
    return FAILOVER_POLLED


cdef int failover_on_book(EngineCore* e, const Slot* records, int32_t count, int* result) noexcept nogil:
    cdef const BookDelta* d = <const BookDelta*>records
    cdef int instrument = <int>d.instrument
    cdef Failover* f = &e.failovers[instrument]
    cdef Book* book = &f.standby
    if e.frame_connection == POLL_CONNECTION:
        return go_over(e, instrument, d)
    if not f.active:
        return FAILOVER_PASS
    if e.frame_connection != f.native_connection:
        if not may_take_over(book, d):
            return FAILOVER_ELSEWHERE
        if not is_of_rest(book, d):
            f.native_connection = e.frame_connection
    result[0] = book_apply(book, records, count)
    if book.checksum_seen and (result[0] == BOOK_APPLIED or result[0] == BOOK_SYNCED):
        if checksum_matches(&e.checksums[instrument], book, book.checksum):
            e.totals.checksums_ok += 1
        else:
            e.totals.checksums_bad += 1
            book_lose(book)
    e.totals.gaps += result[0] == BOOK_GAP
    if (result[0] != BOOK_APPLIED and result[0] != BOOK_SYNCED) or book.state != BOOK_GOOD:
        return FAILOVER_ELSEWHERE
    f.active = 0
    f.bad_since_ns = 0
    swap_books(e, instrument)
    # The poll's book is done with: the next one begins with a snapshot of its own.
    book_lose(book)
    e.book_connections[instrument] = <unsigned char>f.native_connection
    e.gates[instrument].feed_causes &= GATE_GRID
    e.gates[instrument].lost_by = 0
    report_health(e, HEALTH_SOURCE, instrument, failover_source(e, instrument), f.source)
    return FAILOVER_NATIVE


cdef void failover_on_gate(EngineCore* e, uint32_t instrument, uint32_t causes) noexcept nogil:
    cdef Failover* f = &e.failovers[instrument]
    cdef int64_t newest = e.books[instrument].ts_recv_ns
    if f.active:
        return
    if not causes & STREAM_BAD:
        f.bad_since_ns = 0
    elif f.bad_since_ns == 0:
        if e.tops[instrument].ts_recv_ns > newest:
            newest = e.tops[instrument].ts_recv_ns
        # One that has fallen silent has been bad since its last message.
        f.bad_since_ns = newest if causes & (GATE_AGE | GATE_FEED) and newest > 0 else e.now_ns


cdef void failover_on_feed(EngineCore* e, const FeedEvent* f) noexcept nogil:
    cdef int i
    for i in range(e.instruments.count):
        if not e.failovers[i].active or e.failovers[i].venue_slot != f.venue_slot:
            continue
        if f.kind == FEED_LOST:
            book_lose(&e.books[i])
            e.gates[i].lost_by = GATE_GAP
            gate_look_again(e, i)
        elif f.kind == FEED_SILENT:
            e.gates[i].feed_causes |= GATE_FEED
            gate_look_again(e, i)
