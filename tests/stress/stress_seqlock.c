/* The state page's protocol under one writer and two readers: every version that is read is whole, and lies between what was
   there before the read and after it. Blocks of 1 to 256 words. */
#include "stress.h"
#include "seqlock.h"

#define WORDS_MAX 256
#define BLOCKS 512                     /* of the plain variant, each written once */
#define ROUND_NS 12000000

typedef struct {
  _Alignas(64) uint64_t seq[BLOCKS];
  _Alignas(64) uint64_t stopped;       /* release; the last version stands */
  uint64_t words, versions;
  int64_t end_mono_ns;
  uint64_t reads, retries;
  _Alignas(64) uint64_t block[BLOCKS * 8 > WORDS_MAX ? BLOCKS * 8 : WORDS_MAX];
} Shared;

#ifndef PLAIN_COPIES
static void write_versions(void *shared, uint64_t random) {
  Shared *s = shared;
  uint64_t source[WORDS_MAX], version = 0;
  for (unsigned turn = 0; (turn & 15) || mono_ns() < s->end_mono_ns; turn++) {
    fill_payload(source, ++version, (long)s->words);
    seqlock_write(s->seq, s->block, source, (long)s->words * 8);
    if (random_below(&random, 8) == 0) random_pause(&random);
  }
  s->versions = version;
  store_release_u64(&s->stopped, 1);
}

static void read_and_check(void *shared, uint64_t random) {
  Shared *s = shared;
  uint64_t out[WORDS_MAX], version = 0, reads = 0, retries = 0;
  unsigned idle = 0;
  for (;;) {
    const uint64_t stopped = load_acquire_u64(&s->stopped), before = load_acquire_u64(s->seq);
    if (seqlock_try_read(s->seq, s->block, out, (long)s->words * 8)) {
      const uint64_t after = load_acquire_u64(s->seq), least = before / 2 > version ? before / 2 : version;
      /* Word 0 names the version; payload_word is invertible, but a search in this range is as good. */
      uint64_t found = least;
      while (found < after / 2 && out[0] != payload_word(found, 0)) found++;
      if (found) expect_payload("version", out, found, (long)s->words);
      EXPECT(found >= least, "expected version %" PRIu64 " or later, found %" PRIu64, least, found);
      version = found;
      reads++;
    } else {
      EXPECT(!stopped, "expected a quiet block to be read at once, found a retry");
      retries++;
      idle_turn(&idle);
    }
    if (stopped) break;
    if (random_below(&random, 64) == 0) random_pause(&random);
  }
  EXPECT(version == s->versions, "expected the last version %" PRIu64 ", found %" PRIu64, s->versions, version);
  add_relaxed_u64(&s->reads, reads);
  add_relaxed_u64(&s->retries, retries);
}

static const Worker workers[] = {write_versions, read_and_check, read_and_check};

#else
static void write_once(void *shared, uint64_t random) {
  Shared *s = shared;
  uint64_t source[8];
  for (uint64_t i = 0; i < BLOCKS; i++) {
    fill_payload(source, i + 1, 8);
    seqlock_write(&s->seq[i], &s->block[8 * i], source, 64);
    if (random_below(&random, 32) == 0) random_pause(&random);
  }
}

static void read_once_written(void *shared, uint64_t random) {
  Shared *s = shared;
  uint64_t out[8];
  unsigned idle = 0;
  (void)random;
  for (uint64_t i = 0; i < BLOCKS; i++) {
    while (load_relaxed_u64(&s->seq[i]) != 2) idle_turn(&idle);        /* relaxed: the reads below order themselves */
    EXPECT(seqlock_try_read(&s->seq[i], &s->block[8 * i], out, 64), "expected a quiet block to be read at once, found a retry");
    expect_payload("version", out, i + 1, 8);
  }
  add_relaxed_u64(&s->reads, BLOCKS);
}

static const Worker workers[] = {write_once, read_once_written, read_once_written};
#endif

int main(int argc, char **argv) {
  const Options o = read_options(argc, argv);
  Shared *s = shared_memory(sizeof *s);
  const int64_t end_mono_ns = mono_ns() + o.duration_ns;
  uint64_t random = random_from(o.seed, 0), rounds = 0, versions = 0;
  while (mono_ns() < end_mono_ns) {
    memset(s->seq, 0, sizeof s->seq);
    memset(s->block, 0, sizeof s->block);
    s->words = 1ULL << random_below(&random, 9);
    s->versions = BLOCKS;
    s->stopped = 0;
    s->end_mono_ns = mono_ns() + ROUND_NS;
    run_together(o.as_processes, workers, 3, s, random_next(&random));
    versions += s->versions;
    rounds++;
  }
  printf("rounds=%" PRIu64 " written=%" PRIu64 " read=%" PRIu64 " retries=%" PRIu64 "\n", rounds, versions, s->reads,
         s->retries);
  return 0;
}
