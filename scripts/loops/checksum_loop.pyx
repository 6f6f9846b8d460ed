"""Whole messages through book_apply and, behind each, the checksum of the book's top, timed alone."""
import time

import numpy as np

from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.stdlib cimport calloc, free

from tickpath.market.book cimport Book, OrderBook, book_apply
from tickpath.market.checksum cimport BookChecksum, Checksum, checksum_clear, checksum_kraken, checksum_okx
from tickpath.market.instruments cimport CHECKSUM_KRAKEN
from tickpath.types cimport Slot

cdef extern from *:
    """
    #include <x86intrin.h>
    /* What came before has ended, and nothing of what follows has begun. */
    static inline unsigned long long tp_fenced_cycles(void) {
      _mm_lfence();
      unsigned long long v = __rdtsc();
      _mm_lfence();
      return v;
    }
    """
    uint64_t fenced_cycles "tp_fenced_cycles"() noexcept nogil


cdef void run(Book** books, BookChecksum** checksums, const Slot* records, const int64_t* ends, const int32_t* owners,
              int64_t count, bint full, int64_t* cycles, int64_t* found) noexcept nogil:
    cdef int64_t begin = 0, i
    cdef uint64_t start
    cdef Book* b
    cdef BookChecksum* c
    for i in range(count):
        b = books[owners[i]]
        c = checksums[owners[i]]
        book_apply(b, records + begin, <int32_t>(ends[i] - begin))
        begin = ends[i]
        if full:
            checksum_clear(c)
        if c.kind == CHECKSUM_KRAKEN:
            start = fenced_cycles()
            found[i] = checksum_kraken(c, b)
            cycles[i] = <int64_t>(fenced_cycles() - start)
        else:
            start = fenced_cycles()
            found[i] = checksum_okx(c, b)
            cycles[i] = <int64_t>(fenced_cycles() - start)


def overhead_cycles():
    """The least that two readings of the clock are apart."""
    cdef uint64_t start, least = 1 << 62, v
    for _ in range(10000):
        start = fenced_cycles()
        v = fenced_cycles() - start
        least = v if v < least else least
    return least


def cycles_per_ns():
    cdef uint64_t start = fenced_cycles()
    begin = time.perf_counter_ns()
    while time.perf_counter_ns() - begin < 50_000_000:
        pass
    return (fenced_cycles() - start) / (time.perf_counter_ns() - begin)


def replay(list books, list checksums, const uint64_t[::1] words, const int64_t[::1] ends, const int32_t[::1] owners, full):
    """(cycles of each checksum, the checksums); message i belongs to books[owners[i]] and ends before record ends[i]."""
    cdef Book** b = <Book**>calloc(len(books), sizeof(void*))
    cdef BookChecksum** c = <BookChecksum**>calloc(len(books), sizeof(void*))
    cdef int64_t[::1] cycles = np.zeros(len(ends), np.int64)
    cdef int64_t[::1] found = np.zeros(len(ends), np.int64)
    cdef bint whole = full
    for i in range(len(books)):
        b[i] = &(<OrderBook?>books[i]).book
        c[i] = &(<Checksum?>checksums[i]).checksum
    with nogil:
        run(b, c, <const Slot*>&words[0], &ends[0], &owners[0], ends.shape[0], whole, &cycles[0], &found[0])
    free(b)
    free(c)
    return np.asarray(cycles), np.asarray(found)
