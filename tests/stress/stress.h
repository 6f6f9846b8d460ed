/* What the stress programs share: a random source, payloads that follow from a sequence, and rounds of workers that run as
   threads or as processes on the same memory. Usage of each: PROGRAM duration_ms seed [threads|processes]. It prints what it
   did and exits 0, or says on stderr what it expected and found and exits 1 at the first violation.

   With -DPLAIN_COPIES the payload copies are ordinary loads and stores. ThreadSanitizer then reports every payload access that
   no release/acquire pair orders, which relaxed atomics hide from it. The lane never overwrites what is not taken, so it runs
   unchanged. Ring and seqlock copies race by design (the re-check drops what was torn), so their plain variants keep to what
   the pairs alone must order: a ring that is never lapped, blocks that are written once.

   What a test keeps for itself (Shared's claimed, pushed, ...) is relaxed: anything stronger would order the payload too and
   hide a missing pair. */
#ifndef TICKPATH_STRESS_H
#define TICKPATH_STRESS_H
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifdef PLAIN_COPIES
#define copy_to_shared atomic_copy_to_shared
#define copy_from_shared atomic_copy_from_shared
#include "atomics.h"
#undef copy_to_shared
#undef copy_from_shared
static inline void copy_to_shared(uint64_t *dst, const uint64_t *src, long words) {
  for (long i = 0; i < words; i++) dst[i] = src[i];
}
static inline void copy_from_shared(uint64_t *dst, const uint64_t *src, long words) {
  for (long i = 0; i < words; i++) dst[i] = src[i];
}
#else
#include "atomics.h"
#endif

#define WORKERS_MAX 4
#define HANG_S 60                      /* without an end after this long a reader or a writer waits for ever */

static inline __attribute__((noreturn, format(printf, 1, 2))) void violation(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  fputc('\n', stderr);
  fflush(stderr);
  _exit(1);
}
#define EXPECT(condition, ...) do { if (!(condition)) violation(__VA_ARGS__); } while (0)

static inline int64_t mono_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* xorshift64*: the state is never 0. */
static inline uint64_t random_next(uint64_t *state) {
  *state ^= *state >> 12;
  *state ^= *state << 25;
  *state ^= *state >> 27;
  return *state * 0x2545F4914F6CDD1DULL;
}
static inline uint64_t random_below(uint64_t *state, uint64_t bound) { return (random_next(state) >> 11) % bound; }
static inline uint64_t random_from(uint64_t seed, uint64_t stream) {
  uint64_t state = (seed * 64 + stream) * 0x9E3779B97F4A7C15ULL | 1;
  random_next(&state);
  return state;
}

/* Word i of what a sequence carries: no word is the same in two laps. */
static inline uint64_t payload_word(uint64_t seq, long i) { return (seq + (uint64_t)i) * 0x9E3779B97F4A7C15ULL; }
static inline void fill_payload(uint64_t *words, uint64_t seq, long count) {
  for (long i = 0; i < count; i++) words[i] = payload_word(seq, i);
}
static inline void expect_payload(const char *what, const uint64_t *words, uint64_t seq, long count) {
  for (long i = 0; i < count; i++)
    EXPECT(words[i] == payload_word(seq, i), "%s %" PRIu64 ": word %ld: expected %016" PRIx64 ", found %016" PRIx64, what,
           seq, i, payload_word(seq, i), words[i]);
}

/* From a few cycles to half a millisecond; long enough for the other side to lap or to fill. */
static inline void random_pause(uint64_t *random) {
  const uint64_t how = random_below(random, 16);
  if (how < 10) {
    for (uint64_t i = random_below(random, 400); i; i--) cpu_relax();
  } else if (how < 13) {
    sched_yield();
  } else {
    struct timespec t = {0, (long)random_below(random, how == 15 ? 500000 : 60000)};
    nanosleep(&t, 0);
  }
}

/* A turn that found nothing: mostly spin, but leave a single core to the other side now and then. */
static inline void idle_turn(unsigned *turns) {
  cpu_relax();
  if ((++*turns & 63) == 0) sched_yield();
}

static inline void add_relaxed_u64(uint64_t *p, uint64_t v) { __atomic_fetch_add(p, v, __ATOMIC_RELAXED); }

static inline void *shared_memory(size_t size_bytes) {
  void *p = mmap(0, size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  EXPECT(p != MAP_FAILED, "mmap: expected %zu bytes, found %s", size_bytes, strerror(errno));
  return p;
}

typedef void (*Worker)(void *shared, uint64_t random);
typedef struct { Worker work; void *shared; uint64_t random; } Job;

static inline void *job_thread(void *job) {
  ((Job *)job)->work(((Job *)job)->shared, ((Job *)job)->random);
  return 0;
}

/* Run the workers at the same time and wait for all; a worker's violation ends the program. */
static inline void run_together(int as_processes, const Worker *workers, int count, void *shared, uint64_t seed) {
  Job jobs[WORKERS_MAX];
  pthread_t threads[WORKERS_MAX];
  pid_t children[WORKERS_MAX];
  for (int i = 0; i < count; i++) jobs[i] = (Job){workers[i], shared, random_from(seed, (uint64_t)i + 1)};
  for (int i = 0; i < count; i++) {
    if (!as_processes) {
      EXPECT(pthread_create(&threads[i], 0, job_thread, &jobs[i]) == 0, "pthread_create: expected a thread, found none");
      continue;
    }
    children[i] = fork();
    EXPECT(children[i] >= 0, "fork: expected a process, found %s", strerror(errno));
    if (children[i] == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      job_thread(&jobs[i]);
      _exit(0);
    }
  }
  for (int i = 0; i < count; i++) {
    int status = 0;
    if (!as_processes) {
      pthread_join(threads[i], 0);
    } else {
      wait(&status);
      if (status != 0) _exit(1);       /* it has said why; the others go with us */
    }
  }
}

static void on_hang(int number) {
  static const char text[] = "expected to end, found no progress\n";
  (void)number;
  if (write(2, text, sizeof text - 1) < 0) _exit(2);
  _exit(1);
}

typedef struct { int64_t duration_ns; uint64_t seed; int as_processes; } Options;

static inline Options read_options(int argc, char **argv) {
  if (argc < 3 || argc > 4) {
    fprintf(stderr, "usage: %s duration_ms seed [threads|processes]\n", argv[0]);
    exit(2);
  }
  Options o = {atoll(argv[1]) * 1000000, strtoull(argv[2], 0, 10), argc == 4 && strcmp(argv[3], "processes") == 0};
  signal(SIGALRM, on_hang);
  alarm(HANG_S + (unsigned)(o.duration_ns / 1000000000));
  return o;
}
#endif
