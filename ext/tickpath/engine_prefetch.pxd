# What an idle turn asks the caches for. The engine's thread, between frames; reads only, changes nothing, decides nothing.
from tickpath.engine cimport EngineCore

# Ask for the cache lines and pages that the next frame will need.
cdef void engine_prefetch(const EngineCore* e) noexcept nogil
