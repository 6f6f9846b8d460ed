# Named-order loads and stores on shared memory; see atomics.h. Hot, any thread.
from libc.stdint cimport uint64_t

cdef extern from "atomics.h" nogil:
    uint64_t load_acquire_u64(const uint64_t* p) noexcept
    uint64_t load_relaxed_u64(const uint64_t* p) noexcept
    void store_release_u64(uint64_t* p, uint64_t v) noexcept
    void store_relaxed_u64(uint64_t* p, uint64_t v) noexcept
    void fence_release() noexcept
    void fence_acquire() noexcept
    void cpu_relax() noexcept
    void copy_to_shared(uint64_t* dst, const uint64_t* src, long words) noexcept
    void copy_from_shared(uint64_t* dst, const uint64_t* src, long words) noexcept
