/* The command lane's protocol: one client writes, the engine takes; nothing is ever overwritten. tests/models/lane.pml.

     K4 load taken (acquire): room?   payload stores (relaxed)   K1 store slot.seq (release)
     K2 load slot.seq (acquire)       payload loads (relaxed)    K3 store taken (release)
   K2 reads K1: the payload is whole. K4 reads K3: the engine has copied the slot, which may be used again.
   A client that dies before K1 has sent nothing. What it may write wherever it likes: the engine keeps its own count, trusts
   no number it finds here, and copies a slot once before it looks at it. */
#ifndef TICKPATH_LANE_H
#define TICKPATH_LANE_H
#include "atomics.h"

typedef struct { uint64_t seq, words[7]; } LaneSlot;

typedef struct {
  LaneSlot *slots;
  const uint64_t *taken;     /* shared; the engine's */
  uint64_t mask;
  uint64_t next_seq;
} LaneWriter;

typedef struct {
  const LaneSlot *slots;
  uint64_t *taken;
  uint64_t mask;
  uint64_t next_seq;         /* private: the one that counts */
} LaneReader;

/* 0 when the lane is full. words: the seven words behind the sequence. */
static inline int lane_try_push(LaneWriter *w, const uint64_t *words) {
  LaneSlot *slot = w->slots + (w->next_seq & w->mask);
  if (w->next_seq - 1 - load_acquire_u64(w->taken) > w->mask) return 0;  /* K4, see K3 */
  copy_to_shared(slot->words, words, 7);
  store_release_u64(&slot->seq, w->next_seq);                            /* K1, see K2 */
  w->next_seq++;
  return 1;
}

/* 0 when there is nothing. */
static inline int lane_try_take(LaneReader *r, uint64_t *words) {
  const LaneSlot *slot = r->slots + (r->next_seq & r->mask);
  if (load_acquire_u64(&slot->seq) != r->next_seq) return 0;             /* K2, see K1 */
  copy_from_shared(words, slot->words, 7);
  store_release_u64(r->taken, r->next_seq);                              /* K3, see K4 */
  r->next_seq++;
  return 1;
}
#endif
