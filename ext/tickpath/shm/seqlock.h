/* One writer, many readers of a block that is always whole: the state page's protocol. tests/models/seqlock.pml proves it.

     L1 store seq + 1 (odd, relaxed), L2 release fence, L3 block stores (relaxed), L4 store seq + 2 (release)
     L5 load seq (acquire), L6 block loads (relaxed), L7 acquire fence, L8 load seq (relaxed): equal and even, or again
   L5 reads L4: L6 sees that version or a later one. L6 reads a later L3: by L2 -> L7 L8 then sees that version's L1 or L4. */
#ifndef TICKPATH_SEQLOCK_H
#define TICKPATH_SEQLOCK_H
#include "atomics.h"

static inline void seqlock_write(uint64_t *seq, void *block, const void *source, long size_bytes) {
  const uint64_t s = load_relaxed_u64(seq);          /* our own: nobody else writes it */
  store_relaxed_u64(seq, s + 1);                                         /* L1, see L8 */
  fence_release();                                                       /* L2, see L7 */
  copy_to_shared((uint64_t *)block, (const uint64_t *)source, size_bytes / 8);   /* L3, see L6 */
  store_release_u64(seq, s + 2);                                         /* L4, see L5 */
}

/* One attempt: 1 when `out` holds one whole version. */
static inline int seqlock_try_read(const uint64_t *seq, const void *block, void *out, long size_bytes) {
  const uint64_t before = load_acquire_u64(seq);                         /* L5, see L4 */
  if (before & 1) return 0;
  copy_from_shared((uint64_t *)out, (const uint64_t *)block, size_bytes / 8);    /* L6, see L3 */
  fence_acquire();                                                       /* L7, see L2 */
  return load_relaxed_u64(seq) == before;                                /* L8, see L1 */
}
#endif
