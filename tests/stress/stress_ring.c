/* The event ring under one writer and two readers: no torn slot, rising sequences, no gap inside a batch, and every slot
   either read or counted as missed. Rings of 16 to 1024 slots, inputs up to twice the ring, readers that pause until they are
   lapped, leave, and come back at any sequence. */
#include "stress.h"
#include "ring.h"

#define SLOTS_MAX 1024
#define CHUNK_SLOTS 64
#define ROUND_NS 12000000

typedef struct {
  _Alignas(64) uint64_t head;
  _Alignas(64) uint64_t claimed;       /* last sequence that the writer may have begun */
  _Alignas(64) uint64_t stopped;       /* release; everything is written */
  uint64_t slot_count, first_seq, last_seq;
  int64_t end_mono_ns;
  uint64_t read_slots, missed_slots, laps, attaches;
  _Alignas(64) RingSlot slots[SLOTS_MAX];
} Shared;

#ifndef PLAIN_COPIES
static void write_inputs(void *shared, uint64_t random) {
  Shared *s = shared;
  RingWriter w = {s->slots, &s->head, s->slot_count - 1, s->first_seq};
  RingSlot chunk[CHUNK_SLOTS];
  for (unsigned turn = 0; (turn & 15) || mono_ns() < s->end_mono_ns; turn++) {
    long left = 1 + (long)random_below(&random, random_below(&random, 64) ? 8 : 2 * s->slot_count);
    while (left > 0) {
      const long count = left < CHUNK_SLOTS ? left : CHUNK_SLOTS;
      for (long i = 0; i < count; i++) {
        chunk[i].seq = 0;
        fill_payload(chunk[i].words, w.next_seq + (uint64_t)i, 7);
      }
      store_relaxed_u64(&s->claimed, w.next_seq + (uint64_t)count - 1);
      ring_publish_slots(&w, chunk, count);
      left -= count;
    }
    ring_commit(&w);
    if (random_below(&random, 24) == 0) random_pause(&random);
  }
  s->last_seq = w.next_seq - 1;
  store_release_u64(&s->stopped, 1);
}

/* Begin anywhere from the first sequence on, also where it is long gone; returns the sequence. */
static uint64_t attach(Shared *s, RingReader *r, uint64_t *random) {
  const uint64_t head = load_acquire_u64(&s->head);
  uint64_t start = s->first_seq;
  switch (random_below(random, 4)) {
    case 0: start = head + 1; break;
    case 1: if (head - s->first_seq + 1 > s->slot_count) start = head - s->slot_count + 1; break;
    case 2: start += random_below(random, head + 2 - s->first_seq); break;
  }
  *r = (RingReader){s->slots, &s->head, s->slot_count - 1, start, 0};
  return start;
}

static void read_and_check(void *shared, uint64_t random) {
  Shared *s = shared;
  RingReader r;
  RingSlot out[96];
  uint64_t start = attach(s, &r, &random), last = start - 1, read = 0, skipped = 0, laps = 0, attaches = 1;
  unsigned idle = 0;
  for (;;) {
    const uint64_t stopped = load_acquire_u64(&s->stopped), told = load_acquire_u64(&s->head);
    const uint64_t missed_before = r.missed_slots;
    const long n = ring_read(&r, out, 1 + (long)random_below(&random, 96));
    laps += r.missed_slots != missed_before;
    for (long i = 0; i < n; i++) {
      EXPECT(out[i].seq == out[0].seq + (uint64_t)i, "expected no gap inside a batch, found %" PRIu64 " behind %" PRIu64,
             out[i].seq, out[i - 1].seq);
      expect_payload("slot", out[i].words, out[i].seq, 7);
    }
    if (n) {
      EXPECT(out[0].seq > last, "expected a sequence above %" PRIu64 ", found %" PRIu64, last, out[0].seq);
      skipped += out[0].seq - last - 1;
      last = out[n - 1].seq;
      read += (uint64_t)n;
      EXPECT(last <= load_relaxed_u64(&s->claimed), "expected nothing that is not written, found %" PRIu64, last);
      EXPECT(r.next_seq == last + 1 && r.missed_slots == skipped, "expected %" PRIu64 " missed before %" PRIu64 ", found %"
             PRIu64 " before %" PRIu64, skipped, last + 1, r.missed_slots, r.next_seq);
    }
    EXPECT(read + r.missed_slots == r.next_seq - start, "expected %" PRIu64 " read and missed, found %" PRIu64 " and %" PRIu64,
           r.next_seq - start, read, r.missed_slots);
    if (n == 0) {
      /* Only the writer inside the same slot, a lap later, may hide what head has told. */
      EXPECT(told < r.next_seq || load_relaxed_u64(&s->claimed) >= r.next_seq + s->slot_count,
             "expected slot %" PRIu64 " up to head %" PRIu64 ", found none", r.next_seq, told);
      if (stopped) break;
      idle_turn(&idle);
    }
    if (random_below(&random, 200) == 0) random_pause(&random);
    if (n && random_below(&random, 400) == 0) {
      add_relaxed_u64(&s->read_slots, read);
      add_relaxed_u64(&s->missed_slots, r.missed_slots);
      start = attach(s, &r, &random);
      last = start - 1;
      read = skipped = 0;
      attaches++;
    }
  }
  EXPECT(r.next_seq == s->last_seq + 1, "expected to read up to %" PRIu64 ", found the end at %" PRIu64, s->last_seq,
         r.next_seq - 1);
  add_relaxed_u64(&s->read_slots, read);
  add_relaxed_u64(&s->missed_slots, r.missed_slots);
  add_relaxed_u64(&s->laps, laps);
  add_relaxed_u64(&s->attaches, attaches);
}

static const Worker workers[] = {write_inputs, read_and_check, read_and_check};

#else
/* One lap only. What W4/R1 order is read by ring_read; what H1 orders is read without a look at any slot's sequence. */
static void write_one_lap(void *shared, uint64_t random) {
  Shared *s = shared;
  RingWriter w = {s->slots, &s->head, s->slot_count - 1, s->first_seq};
  RingSlot slot;
  while (w.next_seq - s->first_seq < s->slot_count) {
    fill_payload(slot.words, w.next_seq, 7);
    ring_publish(&w, &slot);
    if (random_below(&random, 4) == 0) ring_commit(&w);
    if (random_below(&random, 64) == 0) random_pause(&random);
  }
  ring_commit(&w);
}

static void read_by_sequence(void *shared, uint64_t random) {
  Shared *s = shared;
  RingReader r = {s->slots, &s->head, s->slot_count - 1, s->first_seq, 0};
  RingSlot out[96];
  unsigned idle = 0;
  while (r.next_seq - s->first_seq < s->slot_count) {
    const long n = ring_read(&r, out, 1 + (long)random_below(&random, 96));
    for (long i = 0; i < n; i++) expect_payload("slot", out[i].words, out[i].seq, 7);
    if (n == 0) idle_turn(&idle);
  }
  EXPECT(r.missed_slots == 0, "expected none missed in the first lap, found %" PRIu64, r.missed_slots);
  add_relaxed_u64(&s->read_slots, s->slot_count);
}

static void read_by_head(void *shared, uint64_t random) {
  Shared *s = shared;
  uint64_t next_seq = s->first_seq, words[7];
  unsigned idle = 0;
  (void)random;
  while (next_seq - s->first_seq < s->slot_count) {
    const uint64_t head = load_acquire_u64(&s->head);
    for (; next_seq <= head; next_seq++) {
      copy_from_shared(words, s->slots[next_seq & (s->slot_count - 1)].words, 7);
      expect_payload("slot", words, next_seq, 7);
    }
    idle_turn(&idle);
  }
}

static const Worker workers[] = {write_one_lap, read_by_sequence, read_by_head};
#endif

int main(int argc, char **argv) {
  static const uint64_t firsts[] = {1, (1ULL << 32) - 300, (1ULL << 63) - 300, -(1ULL << 40)};
  const Options o = read_options(argc, argv);
  Shared *s = shared_memory(sizeof *s);
  const int64_t end_mono_ns = mono_ns() + o.duration_ns;
  uint64_t random = random_from(o.seed, 0), rounds = 0, written = 0;
  while (mono_ns() < end_mono_ns) {
    memset(s->slots, 0, sizeof s->slots);
    s->slot_count = 16ULL << random_below(&random, 7);
    s->first_seq = firsts[random_below(&random, 4)];
    s->head = s->claimed = s->first_seq - 1;
    s->last_seq = s->first_seq + s->slot_count - 1;
    s->stopped = 0;
    s->end_mono_ns = mono_ns() + ROUND_NS;
    run_together(o.as_processes, workers, 3, s, random_next(&random));
    written += s->last_seq - s->first_seq + 1;
    rounds++;
  }
  printf("rounds=%" PRIu64 " written=%" PRIu64 " read=%" PRIu64 " missed=%" PRIu64 " laps=%" PRIu64 " attaches=%" PRIu64 "\n",
         rounds, written, s->read_slots, s->missed_slots, s->laps, s->attaches);
  return 0;
}
