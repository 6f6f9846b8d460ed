"""Command lanes from Python: CommandLane held by the engine, CommandClient for whoever asks something of it.

    client = CommandClient("demo", "admin")
    answer = client.call(CommandKind.COMMAND_KILL)      # {"reason": Reason.REASON_OK, "holds_seq": …, "repeated": False}

A client waits for its answer on the event ring: each request is answered by exactly one `command` event.

Errors: LaneError and below it LaneFull (nothing was sent), LaneTimeout (sent; what became of it is not known yet: ask again
with the same request_id, which is never done twice).
"""
import fcntl
import os
import time

from libc.stdint cimport uint8_t
from libc.string cimport memset
from tickpath.shm.atomics cimport load_acquire_u64, load_relaxed_u64, store_relaxed_u64, store_release_u64
from tickpath.types cimport COMMAND_REPEATED, EV_COMMAND, MAX_LANES, PRICE_TICKS_NONE

from tickpath.shm.ring import EventReader, records
from tickpath.shm.segment import SHM_DIR, SegmentError, attach_segment, segment_name
from tickpath.types import Reason

cdef extern from "bus_guard.h":
    int bus_guard_add(const void* start, size_t size_bytes)
    bint bus_guard_is_broken(int range) nogil

cdef enum: TAKEN_OFFSET = 128
cdef enum: INDEX_OFFSET = 192
cdef enum: ROLE_OFFSET = 256
LANES_MAX = MAX_LANES
ANSWERS_HELD = 1024               # by a client that does not ask for them


class LaneError(Exception):
    """A command that could not be sent or was not answered."""


class LaneFull(LaneError):
    """The engine has not taken what was sent before; this command was not sent."""


class LaneTimeout(LaneError):
    """Sent, but no answer in time."""


def lane_bytes(slot_count):
    """Bytes of a lane with this many slots (a power of two, at least 16)."""
    if slot_count < 16 or slot_count & (slot_count - 1):
        raise ValueError(f"slot_count: expected a power of two of at least 16, found {slot_count}")
    return LANE_HEADER_BYTES + slot_count * sizeof(LaneSlot)


cdef uint64_t _slot_count(Py_ssize_t size_bytes) except 0:
    cdef uint64_t slots = 0
    if size_bytes > LANE_HEADER_BYTES:
        slots = (size_bytes - LANE_HEADER_BYTES) // sizeof(LaneSlot)
    if slots < 16 or slots & (slots - 1) or <Py_ssize_t>(LANE_HEADER_BYTES + slots * sizeof(LaneSlot)) != size_bytes:
        raise SegmentError(f"lane: expected {LANE_HEADER_BYTES} bytes and a power-of-two number of 64-byte slots, found "
                           f"{size_bytes} bytes")
    return slots


cdef void lane_repair(LaneReader* r, uint64_t index, uint64_t role) noexcept nogil:
    store_relaxed_u64(r.taken + (INDEX_OFFSET - TAKEN_OFFSET) // 8, index)
    store_relaxed_u64(r.taken + (ROLE_OFFSET - TAKEN_OFFSET) // 8, role)
    if load_relaxed_u64(r.taken) != r.next_seq - 1:
        store_release_u64(r.taken, r.next_seq - 1)                             # K3, see K4


cdef bint lane_is_broken(int guard) noexcept nogil:
    return bus_guard_is_broken(guard)


cdef class CommandLane:
    """The engine's end.

    Parameters: buffer : writable memory of `lane_bytes(n)` bytes, page-aligned.  index : 0 to LANES_MAX - 1.
                role : Role of every command of this lane.
    """
    def __cinit__(self, buffer, int index, int role, str name=""):
        cdef uint8_t[::1] memory = buffer
        cdef uint64_t slots = _slot_count(memory.shape[0])
        if not 0 <= index < MAX_LANES:
            raise ValueError(f"index: expected 0 to {MAX_LANES - 1}, found {index}")
        self._buffer = memory
        self.index, self.role, self.name = index, role, name
        self.lane.slots = <const LaneSlot*>&memory[LANE_HEADER_BYTES]
        self.lane.taken = <uint64_t*>&memory[TAKEN_OFFSET]
        self.lane.mask = slots - 1
        self.lane.next_seq = 1
        lane_repair(&self.lane, index, role)
        self.guard = bus_guard_add(&memory[0], memory.shape[0])

    @property
    def broken(self):
        """True when the client took the segment's memory away: nothing comes from it any more."""
        return bus_guard_is_broken(self.guard)

    @property
    def taken(self):
        """Commands taken so far."""
        return self.lane.next_seq - 1


cdef class CommandClient:
    """The client's end of one lane. A second client of the same lane is refused while the first one lives.

    Parameters: instance : of the running engine.  lane : its name in the configuration.
    Errors: SegmentError (no such lane, no permission), LaneError (in use).
    """
    def __cinit__(self, str instance, str lane):
        cdef uint8_t[::1] memory
        name = segment_name(instance, f"lane.{lane}")
        self._segment = attach_segment(instance, f"lane.{lane}", writable=True)
        # The lock goes with the process: a dead client's lane is free at once.
        self._lock = os.open(SHM_DIR + name, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            self._lock = None
            raise LaneError(f"{name}: expected a free lane, found it in use by another client") from None
        memory = self._segment.buffer
        self.instance, self.name = instance, lane
        self.lane.slots = <LaneSlot*>&memory[LANE_HEADER_BYTES]
        self.lane.taken = <const uint64_t*>&memory[TAKEN_OFFSET]
        self.lane.mask = _slot_count(memory.shape[0]) - 1
        self.index = load_relaxed_u64(<const uint64_t*>&memory[INDEX_OFFSET])
        self.role = load_relaxed_u64(<const uint64_t*>&memory[ROLE_OFFSET])
        # A client that died here may have sent commands that are still to be taken: go on behind them.
        self.lane.next_seq = load_acquire_u64(self.lane.taken) + 1             # K4, see K3
        while self.lane.slots[self.lane.next_seq & self.lane.mask].seq == self.lane.next_seq:
            self.lane.next_seq += 1
        self._events = EventReader.attach(instance)
        self._answers = {}
        # Above whatever a client before us has used, without asking anybody.
        self._next_request_id = time.time_ns()

    def send(self, int kind, *, int64_t value=0, int64_t detail=0, uint32_t instrument=0xFFFFFFFF, uint64_t seen_seq=0,
             int64_t price_ticks=PRICE_TICKS_NONE, int64_t qty_lots=0, request_id=None):
        """Send a command (CommandKind) and do not wait; returns its request_id. Raises LaneFull."""
        cdef LaneCommand c
        memset(&c, 0, sizeof(LaneCommand))
        if request_id is None:
            request_id = self._next_request_id
        c.request_id = request_id
        c.kind = <uint16_t>kind
        c.instrument = instrument
        c.value = value
        c.detail = detail
        c.seen_seq = seen_seq
        c.price_ticks = price_ticks
        c.qty_lots = qty_lots
        if self._lock is None:
            raise LaneError(f"lane {self.name!r}: expected an open client, found it closed")
        if not lane_try_push(&self.lane, <const uint64_t*>&c):
            raise LaneFull(f"lane {self.name!r}: expected room for a command, found all {self.lane.mask + 1} slots waiting")
        if request_id >= self._next_request_id:
            self._next_request_id = min(request_id + 1, 2 ** 64 - 1)
        return request_id

    def wait(self, request_id, double timeout_s=1.0):
        """The answer to a request: dict with reason (Reason), holds_seq, seq, ts_recv_ns, repeated. Raises LaneTimeout."""
        deadline = time.monotonic() + timeout_s
        while True:
            self._collect()
            if request_id in self._answers:
                return self._answers.pop(request_id)
            if self._events.missed_slots:
                raise LaneTimeout(f"lane {self.name!r}: expected to follow the event ring, found {self._events.missed_slots} "
                                  "slots missed: ask again with the same request_id")
            if time.monotonic() > deadline:
                raise LaneTimeout(f"lane {self.name!r}: expected an answer to request {request_id} within {timeout_s} s, "
                                  "found none")
            time.sleep(0.00005)

    def call(self, int kind, *, double timeout_s=1.0, **fields):
        """Send a command and wait for its answer."""
        return self.wait(self.send(kind, **fields), timeout_s)

    def _collect(self):
        while len(slots := self._events.read(8192)):
            found = records(slots, EV_COMMAND)
            for row in found[found["lane"] == self.index]:
                self._answers[int(row["request_id"])] = {
                    "reason": Reason(int(row["reason"])), "holds_seq": int(row["holds_seq"]), "seq": int(row["seq"]),
                    "ts_recv_ns": int(row["ts_recv_ns"]), "repeated": bool(row["flags"] & COMMAND_REPEATED)}
                while len(self._answers) > ANSWERS_HELD:
                    self._answers.pop(next(iter(self._answers)))

    def close(self):
        """Give the lane back. What was sent is still taken."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()
