# What stands around the engine: inputs, time, and where orders go. Hot; one thread owns it.
from libc.stdint cimport int32_t, int64_t, uint64_t

from tickpath.engine cimport Engine, EngineCore
from tickpath.sim.venue cimport SimVenue
from tickpath.types cimport ExecReport, FrameEvent, Slot
from tickpath.venues.batch cimport FrameView

cdef class Session:
    cdef readonly Engine engine
    cdef EngineCore* core
    cdef SimVenue* sim                        # NULL in replay: the replies come from the journal
    cdef bytearray _frame
    cdef FrameEvent pending_head              # a journaled frame whose records have not all come yet
    cdef int32_t pending_count
    cdef int32_t pending_wanted
    cdef ExecReport held_report               # a journaled reply whose second slot has not come yet
    cdef bint held
    cdef readonly bint feed_ended
    cdef readonly uint64_t foreign_records    # records in a journal that cannot be an input: counted, never guessed
    # hot, in call order
    cdef void _advance(self, int64_t ts_ns) noexcept nogil
    cdef int _on_frame(self, const FrameView* frame) noexcept nogil
    cdef void _market_to_sim(self, const Slot* records, int32_t count) noexcept nogil
    cdef Py_ssize_t _feed_one(self, const Slot* record, Py_ssize_t left) noexcept nogil
    cdef void _on_recorded_frame(self) noexcept nogil
