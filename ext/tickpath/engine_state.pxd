# What the engine shows on its state page. Off the order path; the engine's thread, after the frames of one turn.
from tickpath.engine cimport EngineCore

cdef void engine_publish_state(EngineCore* e) noexcept nogil
