# Builds the engine of one run from its specification and owns its memory. Cold.
from tickpath.engine cimport EngineCore
from tickpath.shm.ring cimport EventWriter

cdef class Engine:
    cdef EngineCore* core
    cdef EventWriter writer
    cdef object _page_buffer
    cdef object _batch_slots
    cdef readonly list strategies
    cdef readonly tuple bar_specs         # texts, in the order of the bars' spec_idx
    cdef readonly dict spec
    cdef void _free(self) noexcept
