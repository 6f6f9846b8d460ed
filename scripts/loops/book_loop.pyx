"""Level changes through the book's own hot functions, best bid and ask read behind each."""
import time

from libc.stdint cimport int64_t, uint64_t
from tickpath.market.book cimport SIDE_ASKS, SIDE_BIDS, Book, OrderBook, book_apply, book_set_level
from tickpath.types cimport Slot


cdef int64_t set_levels(Book* b, const int64_t* changes, Py_ssize_t count) noexcept nogil:
    cdef int64_t total = 0
    cdef Py_ssize_t i
    for i in range(count):
        book_set_level(b, <int>changes[3 * i], changes[3 * i + 1], changes[3 * i + 2])
        total += b.sides[SIDE_BIDS].best_ticks + b.sides[SIDE_ASKS].best_ticks
    return total


cdef int64_t apply_messages(Book* b, const Slot* records, const int64_t* ends, Py_ssize_t count, int64_t applied) noexcept nogil:
    cdef int64_t total = 0, begin = 0
    cdef Py_ssize_t i
    for i in range(count):
        if book_apply(b, records + begin, <int>(ends[i] - begin)) != applied:
            return -1
        begin = ends[i]
        total += b.sides[SIDE_BIDS].best_ticks + b.sides[SIDE_ASKS].best_ticks
    return total


def level_update(OrderBook book, const int64_t[:, ::1] changes):
    """(ns, sum of what was read): book_set_level on each change, outside any message."""
    begin = time.perf_counter_ns()
    with nogil:
        total = set_levels(&book.book, &changes[0, 0], changes.shape[0])
    return time.perf_counter_ns() - begin, total


def messages(OrderBook book, const uint64_t[::1] words, const int64_t[::1] ends, int64_t applied):
    """(ns, sum of what was read): book_apply of each message; message i ends before record ends[i]."""
    begin = time.perf_counter_ns()
    with nogil:
        total = apply_messages(&book.book, <const Slot*>&words[0], &ends[0], ends.shape[0], applied)
    return time.perf_counter_ns() - begin, total
