/* The only atomics of the project: 64-bit loads and stores with a named order, on memory that may be shared between
   processes. Each call site says what it pairs with (labels A1/R1 ... in the .pxd files). GCC builtins, so that the
   same code compiles as C and as C++. */
#ifndef TICKPATH_ATOMICS_H
#define TICKPATH_ATOMICS_H
#include <stdint.h>
#include <string.h>

static inline uint64_t load_acquire_u64(const uint64_t *p) { return __atomic_load_n(p, __ATOMIC_ACQUIRE); }
static inline uint64_t load_relaxed_u64(const uint64_t *p) { return __atomic_load_n(p, __ATOMIC_RELAXED); }
static inline void store_release_u64(uint64_t *p, uint64_t v) { __atomic_store_n(p, v, __ATOMIC_RELEASE); }
static inline void store_relaxed_u64(uint64_t *p, uint64_t v) { __atomic_store_n(p, v, __ATOMIC_RELAXED); }
static inline void fence_release(void) { __atomic_thread_fence(__ATOMIC_RELEASE); }
static inline void fence_acquire(void) { __atomic_thread_fence(__ATOMIC_ACQUIRE); }
static inline void cpu_relax(void) { __builtin_ia32_pause(); }

/* Word-wise copies with relaxed atomics: racing readers then see old or new words, never undefined behaviour. */
static inline void copy_to_shared(uint64_t *dst, const uint64_t *src, long words) {
  for (long i = 0; i < words; i++) __atomic_store_n(dst + i, src[i], __ATOMIC_RELAXED);
}
static inline void copy_from_shared(uint64_t *dst, const uint64_t *src, long words) {
  for (long i = 0; i < words; i++) dst[i] = __atomic_load_n(src + i, __ATOMIC_RELAXED);
}
#endif
