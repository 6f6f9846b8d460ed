"""Single 64-bit words of shared memory for Python code: what one process publishes and others watch (a sequence, a
state, a heartbeat). Cold; for anything per record use the ring.

A word is written by one process only. Its order, and what each access pairs with:
  P1 store_word stores with release; P2 load_word loads with acquire: whoever loads the value finds everything that the
  storing process wrote to shared memory before it, to other words too.
"""
from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport uint64_t
from tickpath.shm.atomics cimport load_acquire_u64, store_release_u64


cdef uint64_t* _word_at(Py_buffer* view, Py_ssize_t offset) except NULL:
    # An address that is not a multiple of 8 may straddle two cache lines: then no store is atomic.
    if offset < 0 or offset > view.len - 8:
        raise ValueError(f"offset: expected 0 to {view.len - 8} in a buffer of {view.len} bytes, found {offset}")
    if (<size_t>view.buf + <size_t>offset) & 7:
        raise ValueError(f"offset: expected an address that is a multiple of 8, found offset {offset}")
    return <uint64_t*>(<char*>view.buf + offset)


def load_word(buffer, Py_ssize_t offset):
    """The 64-bit word at `offset` bytes, 0 to 2**64-1. Errors: ValueError (out of bounds, not aligned)."""
    cdef Py_buffer view
    PyObject_GetBuffer(buffer, &view, PyBUF_SIMPLE)
    try:
        return load_acquire_u64(_word_at(&view, offset))                       # P2, see P1
    finally:
        PyBuffer_Release(&view)


def store_word(buffer, Py_ssize_t offset, value):
    """Store 0 to 2**64-1 at `offset` bytes. Errors: ValueError (out of bounds, not aligned, read-only, out of range)."""
    cdef Py_buffer view
    cdef uint64_t word
    try:
        word = value
    except OverflowError:
        raise ValueError(f"value: expected 0 to 2**64-1, found {value}") from None
    try:
        PyObject_GetBuffer(buffer, &view, PyBUF_WRITABLE)
    except BufferError:
        raise ValueError("buffer: expected writable memory, found read-only") from None
    try:
        store_release_u64(_word_at(&view, offset), word)                       # P1, see P2
    finally:
        PyBuffer_Release(&view)
