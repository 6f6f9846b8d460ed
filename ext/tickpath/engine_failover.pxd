# Going over to a fallback and back, as the engine sees it (market/failover.pxd says how the two books lie). Warm; called by
# engine.pyx and engine_feeds.pyx for instruments that have one; everything here follows from journaled inputs.
from libc.stdint cimport int32_t, int64_t, uint32_t

from tickpath.engine cimport EngineCore
from tickpath.market.book cimport Book
from tickpath.market.instruments cimport BOOK_SYNC_STREAM
from tickpath.types cimport BOOK_GOOD, DELTA_SNAPSHOT, BookDelta, FeedEvent, Slot

# What became of a book message whose connection is not the one that feeds the book shown.
cdef enum: FAILOVER_PASS = 0          # nothing of ours: as without a fallback
cdef enum: FAILOVER_ELSEWHERE = 1     # taken by the standby, or dropped: nothing that is shown has changed
cdef enum: FAILOVER_POLLED = 2        # the fallback feeds from this message on: still to be applied
cdef enum: FAILOVER_NATIVE = 3        # the stream feeds again: this message is applied already, with `result`

# Numbered messages chain whichever socket brings them, the first copy wins and the book drops the rest. Those without a number
# are a socket's own story, which a snapshot begins.
cdef inline bint may_take_over(const Book* book, const BookDelta* d) noexcept nogil:
    if d.last_update_id == 0 and not d.flags & DELTA_SNAPSHOT:
        return False
    # A second socket begins behind what we hold.
    return not (d.flags & DELTA_SNAPSHOT and book.rules.sync == BOOK_SYNC_STREAM and book.state == BOOK_GOOD
                and d.last_update_id != 0 and d.last_update_id <= book.last_update_id)

# A snapshot that was asked for by REST: it comes through no socket.
cdef inline bint is_of_rest(const Book* book, const BookDelta* d) noexcept nogil:
    return d.flags & DELTA_SNAPSHOT and (book.rules.sync != BOOK_SYNC_STREAM
                                         or (d.first_update_id == 0 and d.last_update_id != 0))

# The book that the venue's own stream keeps, shown or not, and the connection it comes through.
cdef inline Book* native_book(EngineCore* e, int instrument) noexcept nogil:
    return &e.failovers[instrument].standby if e.failovers[instrument].active else &e.books[instrument]

cdef inline uint32_t native_connection(const EngineCore* e, int instrument) noexcept nogil:
    if e.failovers[instrument].active:
        return e.failovers[instrument].native_connection
    return e.book_connections[instrument]

cdef int failover_on_book(EngineCore* e, const Slot* records, int32_t count, int* result) noexcept nogil
# The gate's causes have changed: is the stream bad, and since when?
cdef void failover_on_gate(EngineCore* e, uint32_t instrument, uint32_t causes) noexcept nogil
# What became of the fallback itself.
cdef void failover_on_feed(EngineCore* e, const FeedEvent* f) noexcept nogil
# FeedSource of an instrument.
cdef int64_t failover_source(const EngineCore* e, int instrument) noexcept nogil
