/* The event ring's protocol: one writer, any number of readers that the writer never waits for. Hot; C, so that the engine,
   the stress tests and the benchmarks compile the same text. ring.pxd says who uses it; tests/models/ring.pml proves it.

   Each 64-byte slot carries its own sequence, so that one cache line brings both the news and the data.
     W1 store 0 to slot.seq (relaxed), W2 release fence, W3 payload stores (relaxed), W4 store s to slot.seq (release)
     R1 load slot.seq (acquire), R2 payload loads (relaxed), R3 acquire fence, R4 load slot.seq (relaxed)
   R1 reads W4's s: everything of W3 is visible to R2. R2 reads a later lap's W3: by W2 -> R3 the reader's R4 then sees that
   lap's W1 or W4, not s, and drops the copy.
     H1 store head (release) after the last slot of an input, H2 load head (acquire): a reader that is told `head` finds
     every slot up to it, until it is lapped. */
#ifndef TICKPATH_RING_H
#define TICKPATH_RING_H
#include "atomics.h"

#define RING_PREFETCH_SLOTS 8          /* what a quote with one order publishes */

typedef struct { uint64_t seq, words[7]; } RingSlot;

typedef struct {
  RingSlot *slots;
  uint64_t *head;            /* shared; last sequence of a finished input */
  uint64_t mask;             /* slot_count - 1 */
  uint64_t next_seq;         /* of the slot to be written next */
} RingWriter;

typedef struct {
  const RingSlot *slots;
  const uint64_t *head;
  uint64_t mask;
  uint64_t next_seq;         /* of the slot to be read next */
  uint64_t missed_slots;     /* lost to laps, exact */
} RingReader;

/* Publish one slot, whose seq field is set here. Returns the sequence. */
static inline uint64_t ring_publish(RingWriter *w, const void *source) {
  const uint64_t seq = w->next_seq;
  RingSlot *slot = w->slots + (seq & w->mask);
  store_relaxed_u64(&slot->seq, 0);                                      /* W1, see R4 */
  fence_release();                                                       /* W2, see R3 */
  copy_to_shared(slot->words, (const uint64_t *)source + 1, 7);          /* W3, see R2 */
  store_release_u64(&slot->seq, seq);                                    /* W4, see R1 */
  w->next_seq = seq + 1;
  return seq;
}

/* Ask for the slots that the next input will fill, for writing: a reader that waits for the first of them holds its line, and
   in a large ring the others have left the cache since the last lap. Called at the frame's first byte, so that the lines
   arrive while it is decoded. */
static inline void ring_prefetch(const RingWriter *w) {
  for (uint64_t i = 0; i < RING_PREFETCH_SLOTS; i++) __builtin_prefetch(w->slots + ((w->next_seq + i) & w->mask), 1);
}

/* Publish consecutive slots; returns the sequence of the first. */
static inline uint64_t ring_publish_slots(RingWriter *w, const void *source, long count) {
  const uint64_t first = w->next_seq;
  for (long i = 0; i < count; i++) ring_publish(w, (const RingSlot *)source + i);
  return first;
}

/* Tell readers that everything so far belongs to finished inputs. */
static inline void ring_commit(RingWriter *w) {
  store_release_u64(w->head, w->next_seq - 1);                           /* H1, see H2 */
}

/* Copy up to max_slots consecutive slots to out; returns how many. Never part of a slot, and no gap inside a batch: what a
   lap cost is added to missed_slots, and reading goes on an eighth of the ring above the oldest slot, so that the writer
   does not catch us at once. */
static inline long ring_read(RingReader *r, void *out, long max_slots) {
  RingSlot *to = (RingSlot *)out;
  long n = 0;
  while (n < max_slots) {
    const RingSlot *slot = r->slots + (r->next_seq & r->mask);
    uint64_t seq = load_acquire_u64(&slot->seq);                         /* R1, see W4 */
    if (seq == r->next_seq) {
      copy_from_shared(to[n].words, slot->words, 7);                     /* R2, see W3 */
      fence_acquire();                                                   /* R3, see W2 */
      if (load_relaxed_u64(&slot->seq) != seq) continue;                 /* R4, see W1 */
      to[n].seq = seq;
      n++;
      r->next_seq++;
      continue;
    }
    if (seq < r->next_seq) break;                    /* not there yet. Head stays unread: it is the writer's own line */
    if (n > 0) break;
    uint64_t newest = load_acquire_u64(r->head);                         /* H2, see H1 */
    if (newest < seq) newest = seq;                  /* the slot tells of a later lap whose input is not finished yet */
    const uint64_t oldest = newest - r->mask + (r->mask >> 3);
    if ((int64_t)(oldest - r->next_seq) <= 0) break; /* no writer of ours leaves that: do not look for ever */
    r->missed_slots += oldest - r->next_seq;
    r->next_seq = oldest;
  }
  return n;
}
#endif
