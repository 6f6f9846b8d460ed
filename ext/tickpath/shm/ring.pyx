"""The event ring from Python: EventWriter for whoever owns one, EventReader for everybody else.

`EventReader.attach("demo").read()` returns the next slots as a NumPy structured array; `records(slots, EV_TRADE)`
picks one record type out of it. `view()` is the ring's memory itself, without a copy, for readers that check `seq`.
"""
import numpy as np

from libc.stdint cimport uint8_t
from tickpath.shm.atomics cimport load_acquire_u64, load_relaxed_u64, store_relaxed_u64, store_release_u64
from tickpath.types cimport SLOT_BYTES

from tickpath.shm.segment import SegmentError, attach_segment, private_memory
from tickpath.types import DTYPES, SLOT_COUNTS, SLOT_DTYPE

HEADER_SIZE = RING_HEADER_BYTES


def ring_bytes(slot_count):
    """Bytes of a ring with this many slots (a power of two, at least 1024)."""
    if slot_count < 1024 or slot_count & (slot_count - 1):
        raise ValueError(f"slot_count: expected a power of two of at least 1024, found {slot_count}")
    return RING_HEADER_BYTES + slot_count * SLOT_BYTES


cdef uint64_t _check_size(Py_ssize_t size_bytes) except 0:
    cdef uint64_t slots = (size_bytes - RING_HEADER_BYTES) // SLOT_BYTES if size_bytes > RING_HEADER_BYTES else 0
    if slots < 1024 or slots & (slots - 1) or <Py_ssize_t>(slots * SLOT_BYTES + RING_HEADER_BYTES) != size_bytes:
        raise SegmentError(f"ring: expected {RING_HEADER_BYTES} bytes and a power-of-two number of {SLOT_BYTES}-byte "
                           f"slots, found {size_bytes} bytes")
    return slots


cdef class EventWriter:
    """The writing end, for the one process that owns the ring.

    Parameters: buffer : writable buffer of `ring_bytes(n)` bytes, page-aligned; `EventWriter.local(n)` makes a private one.
    """
    def __cinit__(self, buffer, uint64_t first_seq=1):
        cdef uint8_t[::1] memory = buffer
        cdef uint64_t slots = _check_size(memory.shape[0])
        if first_seq == 0:
            raise ValueError("first_seq: expected 1 or more, found 0")
        self._buffer = memory
        self.ring.slots = <RingSlot*>&memory[RING_HEADER_BYTES]
        self.ring.head = <uint64_t*>&memory[RING_HEAD_OFFSET]
        self.ring.mask = slots - 1
        self.ring.next_seq = first_seq
        # Readers load `first` after `head`: relaxed is enough before the release.
        store_relaxed_u64(<uint64_t*>&memory[RING_FIRST_OFFSET], first_seq)
        store_release_u64(self.ring.head, first_seq - 1)                       # H1, see H2

    @staticmethod
    def local(slot_count):
        """A ring in private memory (replay, backtest)."""
        return EventWriter(private_memory(ring_bytes(slot_count)))

    @property
    def next_seq(self):
        return self.ring.next_seq

    @property
    def buffer(self):
        return self._buffer

    def publish(self, slots):
        """Publish an array of SLOT_DTYPE in order; returns the first sequence."""
        cdef const uint8_t[::1] data = np.ascontiguousarray(slots).view(np.uint8).reshape(-1)
        if data.shape[0] % SLOT_BYTES:
            raise ValueError(f"slots: expected a multiple of {SLOT_BYTES} bytes, found {data.shape[0]}")
        if data.shape[0] == 0:
            return self.ring.next_seq
        first = ring_publish_slots(&self.ring, &data[0], data.shape[0] // SLOT_BYTES)
        ring_commit(&self.ring)
        return first


cdef class EventReader:
    """The reading end: never blocks, never writes, never slows the writer.

    Parameters: buffer : the ring's memory (may be read-only).  start : "oldest", "latest" or a sequence number; one
                below the first the ring ever held begins there.
    """
    def __cinit__(self, buffer, start="oldest", segment=None):
        cdef const uint8_t[::1] memory = buffer
        cdef uint64_t slots = _check_size(memory.shape[0])
        cdef uint64_t head, first
        self._buffer = memory
        self._segment = segment
        self.ring.slots = <const RingSlot*>&memory[RING_HEADER_BYTES]
        self.ring.head = <const uint64_t*>&memory[RING_HEAD_OFFSET]
        self.ring.mask = slots - 1
        self.ring.missed_slots = 0
        head = load_acquire_u64(self.ring.head)                                # H2, see H1
        self.first = <const uint64_t*>&memory[RING_FIRST_OFFSET]
        first = load_relaxed_u64(self.first)
        if start == "latest":
            self.ring.next_seq = head + 1
        elif start == "oldest":
            self.ring.next_seq = 1 if head <= slots else head - slots + 1
        else:
            self.ring.next_seq = start
        if self.ring.next_seq < first:
            self.ring.next_seq = first
        self._scratch_count = 0

    @staticmethod
    def attach(instance, start="latest"):
        """Read a running instance's ring. Raises SegmentError when there is none or its layout is another."""
        segment = attach_segment(instance, "ring")
        return EventReader(segment.buffer, start, segment)

    @property
    def segment(self):
        return self._segment

    @property
    def next_seq(self):
        return self.ring.next_seq

    @property
    def head(self):
        """Last sequence of a finished input."""
        return load_acquire_u64(self.ring.head)                            # H2, see H1

    @property
    def slot_count(self):
        return self.ring.mask + 1

    @property
    def missed_slots(self):
        """Slots lost to laps so far, exact."""
        return self.ring.missed_slots

    cdef long _read(self, void* out, long max_slots) noexcept nogil:
        cdef RingReader* r = &self.ring
        cdef long n = ring_read(r, out, max_slots)
        if n or load_relaxed_u64(&r.slots[r.next_seq & r.mask].seq) != 0 or load_acquire_u64(r.head) < r.next_seq:  # H2, see H1
            return n
        if r.next_seq < load_relaxed_u64(self.first):
            r.next_seq = load_relaxed_u64(self.first)                          # we attached before the writer had begun
        elif load_relaxed_u64(&r.slots[r.next_seq & r.mask].seq) == 0:
            # By H2 our slot was there: the 0 is W1 of a later lap, perhaps of a writer that died in it.
            r.missed_slots += r.mask >> 3
            r.next_seq += r.mask >> 3
        return ring_read(r, out, max_slots)

    def read(self, long max_slots=4096):
        """The next slots, copied and checked: array of SLOT_DTYPE, shape (n,), n may be 0. A batch has no gap inside."""
        cdef uint8_t[::1] memory
        cdef long n
        if max_slots < 1:
            raise ValueError(f"max_slots: expected at least 1, found {max_slots}")
        if self._scratch_count < max_slots:
            self._scratch = np.empty(max_slots, SLOT_DTYPE)
            memory = self._scratch.view(np.uint8)
            self._scratch_slots = <Slot*>&memory[0]
            self._scratch_count = max_slots
        with nogil:
            n = self._read(self._scratch_slots, max_slots)
        return self._scratch[:n].copy()

    def read_into(self, out):
        """As `read`, into a caller's array of SLOT_DTYPE; returns how many slots were written."""
        cdef uint8_t[::1] memory = out.view(np.uint8)
        cdef long n
        cdef long room = memory.shape[0] // SLOT_BYTES
        if room == 0:
            return 0
        with nogil:
            n = self._read(&memory[0], room)
        return n

    def view(self):
        """The slots in memory, no copy: array of SLOT_DTYPE, shape (slot_count,), read-only. A slot may change while it
        is looked at: compare its `seq` before and after."""
        slots = np.frombuffer(self._buffer, SLOT_DTYPE, self.ring.mask + 1, RING_HEADER_BYTES)
        slots.flags.writeable = False          # also where the reader was given the writer's own memory
        return slots


def records(slots, kind):
    """All records of one EventType in an array of slots, as a structured array of that record's dtype.

    Records of one slot are selected without changing bytes; those of two are joined from neighbouring slots (a record
    whose second slot is not in the array is left out).
    """
    kind = int(kind)
    index = np.flatnonzero(slots["type"] == kind)
    count = SLOT_COUNTS[kind]
    if count == 1:
        return slots[index].view(DTYPES[kind])
    index = index[index + count <= len(slots)]
    raw = np.ascontiguousarray(slots).view(np.uint8).reshape(-1, SLOT_BYTES)
    parts = [raw[index + i] for i in range(count)]
    joined = np.concatenate(parts, axis=1) if len(index) else np.empty((0, count * SLOT_BYTES), np.uint8)
    return np.ascontiguousarray(joined).view(DTYPES[kind]).reshape(-1)
