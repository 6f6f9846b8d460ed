# What stands around the engine: inputs, time, and where orders go. Hot; one thread owns it.
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

from tickpath.engine cimport EngineCore, Gateway
from tickpath.engine_build cimport Engine
from tickpath.outbox cimport Outbox
from tickpath.shm.journal_guard cimport JournalGuard
from tickpath.shm.lane cimport LaneReader
from tickpath.sim.venue cimport SimVenue
from tickpath.types cimport CommandEvent, ExecReport, FrameEvent, GridEvent, Slot
from tickpath.venues.batch cimport FrameView

cdef enum: COMMANDS_PER_TURN = 16             # of a lane
cdef enum: CANNED_FRAMES = 8

# What a gateway has to say of requests that never left it: True and a report, which then enters like the venue's own.
ctypedef bint (*unsent_report_fn)(void* self, ExecReport* report) noexcept nogil

cdef class Session:
    cdef readonly Engine engine
    cdef EngineCore* core
    cdef SimVenue* sim                        # NULL in replay: the replies come from the journal
    cdef bytearray _frame
    cdef FrameEvent pending_head              # a journaled frame whose records have not all come yet
    cdef int32_t pending_count
    cdef int32_t pending_wanted
    cdef Slot held_input[2]                   # a journaled input whose second slot has not come yet
    cdef bint held
    cdef bint pausing
    cdef JournalGuard guard
    cdef bint guarded
    cdef unsent_report_fn unsent_report       # of a live gateway; NULL without one
    cdef void* unsent_self
    cdef object _live_gateway
    cdef int entry_allowed                    # TradingState by the state of the venues' order entry
    cdef int entry_reason
    cdef object _journal_buffer
    cdef Outbox* outbox                       # NULL unless durability = disk
    cdef bint waits_for_disk                  # no frame while an order is held: the data waits, not the order
    cdef LaneReader* lane_readers[16]         # of the CommandLanes in _lanes
    cdef int lane_roles[16]
    cdef int lane_indexes[16]
    cdef int lane_guards[16]
    cdef int lane_count
    cdef Session _shadow                      # an engine of its own that takes canned frames, for its code and branches
    cdef list _canned
    cdef FrameView canned[8]
    cdef int canned_count
    cdef uint64_t warm_count
    cdef list _lanes
    cdef readonly bint feed_ended
    cdef readonly uint64_t foreign_records    # records in a journal that cannot be an input: counted, never guessed
    # once a turn, between frames
    cdef void _warm(self) noexcept nogil
    cdef int _between_frames(self) noexcept nogil
    cdef int _take_commands(self) noexcept nogil
    cdef void _look_at_journal(self) noexcept nogil
    cdef void _release_held(self) noexcept nogil
    cdef void _release_unsent(self) noexcept nogil
    cdef void _guard_changed(self) noexcept nogil
    cdef void use_gateway(self, object owner, Gateway gateway, unsent_report_fn unsent_report)
    cdef void _system_command(self, int kind, int64_t ts_ns, int64_t value, int64_t detail) noexcept nogil
    # hot, in call order
    cdef void _advance(self, int64_t ts_ns) noexcept nogil
    cdef int _on_frame(self, const FrameView* frame) noexcept nogil
    cdef void _market_to_sim(self, const Slot* records, int32_t count) noexcept nogil
    cdef Py_ssize_t _feed_one(self, const Slot* record, Py_ssize_t left) noexcept nogil
    cdef void _on_recorded_input(self, const Slot* record) noexcept nogil
    cdef bint _on_grid(self, GridEvent* g, int64_t ts_ns, uint32_t instrument) noexcept nogil
    cdef void _on_recorded_frame(self) noexcept nogil
