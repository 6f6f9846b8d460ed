/* The event ring between two processes, and its floors in the same program: what one cache line costs to change hands, and
   the plainest C rings there are. 64-byte slots; times by the cycle counter, which both processors share.

   Who finds nothing pauses before he looks again, floors and ours alike, because asking for the line too often keeps it from
   the writer (ping_pong_tight shows by how much); only the paced cases poll without, as their writer is rarely at it.
   Latency (ns, one way): a stamp in the event, taken by the writer before the store and compared by the reader behind it.
     ping_pong            one cache line to and fro, half a round trip, with a pause in the wait; ping_pong_tight without
     seq_slot             plain C ring whose slot carries its sequence       index_ring   with head and tail in lines of their own
     tickpath             ring.h, the text that the engine compiles: publish and commit of every event
     tickpath_segment     the same in a segment that create_segment made
     ..._ping             an event to and fro through two rings, half a round trip; the others are paced, an event a microsecond
   Throughput (events a second): publish and commit of every event, no batch.
   No event is lost: the reader tells now and then how far it is, and the writer waits when it is SLOTS ahead (the engine never
   does; a driver outside the engine does it for it). SLOTS also in a larger segment, and far below a window of events: a window
   in which the reader only catches up would show the speed of reading, not of the ring.

   A shared machine takes a processor away for milliseconds, and a virtual one may move its processors nearer to or farther from
   each other. So samples come in windows of 1 to 2 ms and what is printed is the quietest tenth of them, chosen by their
   median, for floors and ours alike (p50_all is over everything); and every round runs all cases shortly one after another, so
   that figures of one round may be compared.

   Build: cc -O3 -march=<the build's> ring.c -o ring
   Run:   ./ring ROUNDS WRITER_CORE READER_CORE [SEGMENT]     each round: lines "latency NAME n p50 p99 p999 max p50_all" (ns)
                                                              and "rate NAME n per_s per_s_all"; exit 1 on a wrong event
          ./ring write WRITER_CORE SEGMENT COUNT GAP_NS       only the paced writer, its stamp the monotonic clock in ns */
#define _GNU_SOURCE
#include "../../ext/tickpath/shm/ring.h"
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

enum { SLOTS = 4096, READ_BATCH = 64,
       LATENCY_EVENTS = 20000, LATENCY_WINDOW = 1000, TELL_PACED = 64,        /* a window is 1 ms when paced */
       RATE_EVENTS = 2100000, RATE_WINDOW = 1 << 16, TELL_RATE = 256,         /* a window is 1 to 2 ms */
       SEGMENT_HEADER_BYTES = 4096, SEGMENT_HEAD_OFFSET = 128 };               /* as in ring.pxd */
#define LINE __attribute__((aligned(128)))

typedef struct {
  LINE uint64_t ping;
  LINE uint64_t pong;
  LINE uint64_t head;        /* of the ring, written by the writer */
  LINE uint64_t head_back;   /* of the ring back, where there is one */
  LINE uint64_t tail;        /* how far the reader is */
  LINE uint64_t ready;
  LINE RingSlot slots[SLOTS];
  LINE RingSlot slots_back[SLOTS];
  LINE double samples_ns[LATENCY_EVENTS];
  LINE uint64_t window_end_cycles[RATE_EVENTS / RATE_WINDOW + 1];
  uint64_t wrong;
} Shared;

typedef struct { RingSlot *slots; uint64_t *head; uint64_t slot_count; } Memory;

static Shared *shared;
static double cycles_per_ns;

static int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}
static uint64_t cycles(void) { unsigned processor; return __rdtscp(&processor); }
static double since_ns(uint64_t start) { return (double)(int64_t)(cycles() - start) / cycles_per_ns; }
static void calibrate(void) {
  const int64_t begin_ns = now_ns();
  const uint64_t begin = cycles();
  while (now_ns() - begin_ns < 50000000) {}
  cycles_per_ns = (double)(cycles() - begin) / (double)(now_ns() - begin_ns);
}
static void pin(int core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core, &set);
  if (sched_setaffinity(0, sizeof set, &set)) { perror("sched_setaffinity"); exit(1); }
}
static void meet(void) {     /* both processes are pinned and running */
  __atomic_fetch_add(&shared->ready, 1, __ATOMIC_ACQ_REL);
  while (load_acquire_u64(&shared->ready) < 2) cpu_relax();
}
static RingWriter ring_writer(Memory m) { return (RingWriter){m.slots, m.head, m.slot_count - 1, 1}; }
static RingReader ring_reader(Memory m) { return (RingReader){m.slots, m.head, m.slot_count - 1, 1, 0}; }

/* ---- one cache line */
static void ping_pong(int writer, int relax) {
  for (uint64_t i = 1; i <= LATENCY_EVENTS; i++) {
    if (writer) {
      const uint64_t start = cycles();
      store_release_u64(&shared->ping, i);
      while (load_acquire_u64(&shared->pong) != i) if (relax) cpu_relax();
      shared->samples_ns[i - 1] = since_ns(start) / 2;
    } else {
      while (load_acquire_u64(&shared->ping) != i) if (relax) cpu_relax();
      store_release_u64(&shared->pong, i);
    }
  }
}
static void ping_pong_paused(int writer, Memory m) { (void)m; ping_pong(writer, 1); }
static void ping_pong_tight(int writer, Memory m) { (void)m; ping_pong(writer, 0); }

/* ---- pacing: an event a microsecond, from the one before, so that a writer that lost its core does not send a burst */
typedef struct { uint64_t next, gap; } Pace;
static Pace pace(void) { return (Pace){cycles(), (uint64_t)(1000 * cycles_per_ns)}; }
static uint64_t wait_turn(Pace *p) {
  uint64_t t;
  while ((t = cycles()) < p->next) {}
  p->next = t + p->gap;
  return t;
}

/* How far the reader is, told to the writer; and the time at each window's end. */
static void tell_rate(uint64_t seq) {
  store_release_u64(&shared->tail, seq);
  if (!(seq & (RATE_WINDOW - 1))) shared->window_end_cycles[seq / RATE_WINDOW] = cycles();
}

/* ---- plain C ring, sequence in the slot */
static void seq_slot_write(Memory m, uint64_t seq, uint64_t stamp) {
  RingSlot *slot = m.slots + (seq & (m.slot_count - 1));
  slot->words[0] = stamp;
  for (int i = 1; i < 7; i++) slot->words[i] = seq;
  store_release_u64(&slot->seq, seq);
}
static RingSlot *seq_slot_wait(Memory m, uint64_t seq, int relax) {
  RingSlot *slot = m.slots + (seq & (m.slot_count - 1));
  while (load_acquire_u64(&slot->seq) != seq) if (relax) cpu_relax();
  return slot;
}
static void seq_slot_paced(int writer, Memory m) {
  Pace p = pace();
  for (uint64_t seq = 1, tail = 0; seq <= LATENCY_EVENTS; seq++) {
    if (writer) {
      while (seq - tail > m.slot_count - TELL_PACED) tail = load_acquire_u64(&shared->tail);
      wait_turn(&p);
      seq_slot_write(m, seq, cycles());
    } else {
      const RingSlot *slot = seq_slot_wait(m, seq, 0);
      shared->samples_ns[seq - 1] = since_ns(slot->words[0]);
      if (!(seq & (TELL_PACED - 1))) store_release_u64(&shared->tail, seq);
    }
  }
}
static void seq_slot_ping(int writer, Memory m) {
  const Memory back = {shared->slots_back, &shared->head_back, SLOTS};
  for (uint64_t seq = 1; seq <= LATENCY_EVENTS; seq++) {
    if (writer) {
      const uint64_t start = cycles();
      seq_slot_write(m, seq, start);
      seq_slot_wait(back, seq, 1);
      shared->samples_ns[seq - 1] = since_ns(start) / 2;
    } else {
      seq_slot_write(back, seq, seq_slot_wait(m, seq, 1)->words[0]);
    }
  }
}
static void seq_slot_rate(int writer, Memory m) {
  uint64_t sum = 0, tail = 0;
  for (uint64_t seq = 1; seq <= RATE_EVENTS; seq++) {
    if (writer) {
      while (seq - tail > m.slot_count - TELL_RATE) tail = load_acquire_u64(&shared->tail);
      seq_slot_write(m, seq, seq);
    } else {
      const RingSlot *slot = seq_slot_wait(m, seq, 1);
      sum += slot->words[0] + slot->words[6];
      if (!(seq & (TELL_RATE - 1))) tell_rate(seq);
    }
  }
  if (writer) return;
  shared->wrong = sum != (uint64_t)RATE_EVENTS * (RATE_EVENTS + 1);
}

/* ---- plain C ring, head and tail */
static void index_ring_paced(int writer, Memory m) {
  Pace p = pace();
  for (uint64_t n = 0, tail = 0; n < LATENCY_EVENTS; n++) {
    RingSlot *slot = m.slots + (n & (m.slot_count - 1));
    if (writer) {
      while (n - tail >= m.slot_count) tail = load_acquire_u64(&shared->tail);
      wait_turn(&p);
      for (int i = 1; i < 7; i++) slot->words[i] = n;
      slot->words[0] = cycles();
      store_release_u64(m.head, n + 1);
    } else {
      while (load_acquire_u64(m.head) == n) {}
      shared->samples_ns[n] = since_ns(slot->words[0]);
      store_release_u64(&shared->tail, n + 1);
    }
  }
}
static void index_ring_rate(int writer, Memory m) {
  uint64_t sum = 0, tail = 0, head = 0;
  if (writer) {
    while (head < RATE_EVENTS) {
      while (head + 1 - tail > m.slot_count) tail = load_acquire_u64(&shared->tail);
      RingSlot *slot = m.slots + (head & (m.slot_count - 1));
      slot->seq = ++head;
      for (int i = 0; i < 7; i++) slot->words[i] = head;
      store_release_u64(m.head, head);
    }
    return;
  }
  while (tail < RATE_EVENTS) {
    for (; head == tail; head = load_acquire_u64(m.head)) cpu_relax();
    while (tail < head) {
      const RingSlot *slot = m.slots + (tail++ & (m.slot_count - 1));
      sum += slot->words[0] + slot->words[6];
      if (!(tail & (RATE_WINDOW - 1))) tell_rate(tail);
    }
    store_release_u64(&shared->tail, tail);
  }
  shared->wrong = sum != (uint64_t)RATE_EVENTS * (RATE_EVENTS + 1);
}

/* ---- ours */
static void ring_paced(int writer, Memory m) {
  RingSlot batch[READ_BATCH];
  if (writer) {
    RingWriter w = ring_writer(m);
    RingSlot event = {0};
    Pace p = pace();
    for (uint64_t seq = 1, tail = 0; seq <= LATENCY_EVENTS; seq++) {
      while (seq - tail > SLOTS - READ_BATCH - TELL_PACED) tail = load_acquire_u64(&shared->tail);
      wait_turn(&p);
      for (int i = 1; i < 7; i++) event.words[i] = seq;
      event.words[0] = cycles();
      ring_publish(&w, &event);
      ring_commit(&w);
    }
    return;
  }
  RingReader r = ring_reader(m);
  for (uint64_t told = 0; r.next_seq <= LATENCY_EVENTS;) {
    const long n = ring_read(&r, batch, READ_BATCH);
    if (n == 0) continue;
    const uint64_t now = cycles();
    for (long i = 0; i < n; i++) {
      shared->samples_ns[batch[i].seq - 1] = (double)(int64_t)(now - batch[i].words[0]) / cycles_per_ns;
      shared->wrong |= batch[i].words[6] != batch[i].seq;
    }
    if (r.next_seq - 1 - told >= TELL_PACED) { told = r.next_seq - 1; store_release_u64(&shared->tail, told); }
  }
  shared->wrong |= r.missed_slots != 0;
}
static void ring_ping(int writer, Memory m) {
  const Memory back = {shared->slots_back, &shared->head_back, SLOTS};
  RingWriter w = ring_writer(writer ? m : back);
  RingReader r = ring_reader(writer ? back : m);
  RingSlot event = {0}, batch[1];      /* one expected, one asked for: to look for more would delay the answer */
  for (uint64_t seq = 1; seq <= LATENCY_EVENTS; seq++) {
    if (writer) {
      const uint64_t start = cycles();
      event.words[0] = seq;
      ring_publish(&w, &event);
      ring_commit(&w);
      while (ring_read(&r, batch, 1) == 0) cpu_relax();
      shared->samples_ns[seq - 1] = since_ns(start) / 2;
      shared->wrong |= batch[0].words[0] != seq;
    } else {
      while (ring_read(&r, batch, 1) == 0) cpu_relax();
      ring_publish(&w, batch);
      ring_commit(&w);
    }
  }
}
static void ring_rate(int writer, Memory m) {
  uint64_t sum = 0, tail = 0;
  if (writer) {
    RingWriter w = ring_writer(m);
    RingSlot event = {0};
    for (uint64_t seq = 1; seq <= RATE_EVENTS; seq++) {
      while (seq - tail > SLOTS - READ_BATCH - TELL_RATE) tail = load_acquire_u64(&shared->tail);
      for (int i = 0; i < 7; i++) event.words[i] = seq;
      ring_publish(&w, &event);
      ring_commit(&w);
    }
    return;
  }
  RingReader r = ring_reader(m);
  RingSlot batch[READ_BATCH];
  for (uint64_t told = 0; r.next_seq <= RATE_EVENTS;) {
    const long n = ring_read(&r, batch, READ_BATCH);
    if (n == 0) cpu_relax();
    for (long i = 0; i < n; i++) sum += batch[i].words[0] + batch[i].words[6];
    const uint64_t seq = r.next_seq - 1;
    if (seq - told < TELL_RATE) continue;
    if (seq / RATE_WINDOW != told / RATE_WINDOW) shared->window_end_cycles[seq / RATE_WINDOW] = cycles();
    told = seq;
    store_release_u64(&shared->tail, told);
  }
  shared->wrong = sum != (uint64_t)RATE_EVENTS * (RATE_EVENTS + 1) || r.missed_slots != 0;
}

static Memory segment_memory(const char *path) {
  struct stat status;
  const int fd = open(path, O_RDWR);
  if (fd < 0 || fstat(fd, &status)) { perror(path); exit(1); }
  char *at = mmap(NULL, status.st_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
  if (at == MAP_FAILED) { perror(path); exit(1); }
  close(fd);
  return (Memory){(RingSlot *)(at + SEGMENT_HEADER_BYTES), (uint64_t *)(at + SEGMENT_HEAD_OFFSET),
                  (status.st_size - SEGMENT_HEADER_BYTES) / sizeof(RingSlot)};
}
static int by_value(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* ---- the quietest tenth of the windows */
typedef struct { double median_ns; const double *samples_ns; } Window;
static void print_latency(const char *name) {
  enum { WINDOWS = LATENCY_EVENTS / LATENCY_WINDOW, KEPT = WINDOWS / 10 * LATENCY_WINDOW };
  static double all[LATENCY_EVENTS], kept[KEPT];
  static Window windows[WINDOWS];
  memcpy(all, shared->samples_ns, sizeof all);
  for (int i = 0; i < WINDOWS; i++) {
    double *v = shared->samples_ns + i * LATENCY_WINDOW;
    qsort(v, LATENCY_WINDOW, sizeof *v, by_value);
    windows[i] = (Window){v[LATENCY_WINDOW / 2], v};
  }
  qsort(all, LATENCY_EVENTS, sizeof *all, by_value);
  qsort(windows, WINDOWS, sizeof *windows, by_value);        /* the median comes first in a Window */
  for (int i = 0; i < KEPT / LATENCY_WINDOW; i++)
    memcpy(kept + i * LATENCY_WINDOW, windows[i].samples_ns, LATENCY_WINDOW * sizeof *kept);
  qsort(kept, KEPT, sizeof *kept, by_value);
  printf("latency %s %d %.1f %.1f %.1f %.1f %.1f\n", name, KEPT, kept[KEPT / 2], kept[KEPT * 99 / 100], kept[KEPT * 999 / 1000],
         kept[KEPT - 1], all[LATENCY_EVENTS / 2]);
}
static void print_rate(const char *name) {
  enum { WINDOWS = RATE_EVENTS / RATE_WINDOW - 1 };          /* the first one also held the start */
  static double ns[WINDOWS];
  const uint64_t *end = shared->window_end_cycles;
  for (int i = 0; i < WINDOWS; i++) ns[i] = (double)(end[i + 2] - end[i + 1]) / cycles_per_ns;
  qsort(ns, WINDOWS, sizeof *ns, by_value);
  printf("rate %s %d %.0f %.0f\n", name, WINDOWS * RATE_WINDOW, RATE_WINDOW * 1e9 / ns[WINDOWS / 20],
         WINDOWS * RATE_WINDOW * 1e9 * cycles_per_ns / (double)(end[WINDOWS + 1] - end[1]));
}

typedef void Case(int writer, Memory memory);
static const struct { const char *name; Case *run; int rate, segment; } cases[] = {
  {"ping_pong", ping_pong_paused, 0, 0}, {"ping_pong_tight", ping_pong_tight, 0, 0},
  {"seq_slot", seq_slot_paced, 0, 0}, {"index_ring", index_ring_paced, 0, 0},
  {"tickpath", ring_paced, 0, 0}, {"tickpath_segment", ring_paced, 0, 1},
  {"seq_slot_ping", seq_slot_ping, 0, 0}, {"tickpath_ping", ring_ping, 0, 0},
  {"seq_slot", seq_slot_rate, 1, 0}, {"index_ring", index_ring_rate, 1, 0},
  {"tickpath", ring_rate, 1, 0}, {"tickpath_segment", ring_rate, 1, 1},
};

static int run_case(int k, int writer_core, int reader_core, Memory memory) {
  memset(shared, 0, sizeof *shared);
  memset(memory.slots, 0, memory.slot_count * sizeof(RingSlot));
  *memory.head = 0;
  const pid_t child = fork();
  if (child < 0) { perror("fork"); return 1; }
  pin(child ? writer_core : reader_core);
  meet();
  cases[k].run(child != 0, memory);
  if (!child) _exit(0);
  int status;
  waitpid(child, &status, 0);
  if (status || shared->wrong) { fprintf(stderr, "ring: %s: a wrong or missing event\n", cases[k].name); return 1; }
  if (cases[k].rate) print_rate(cases[k].name);
  else print_latency(cases[k].name);
  fflush(stdout);
  return 0;
}

static int write_paced(int core, Memory memory, uint64_t count, int64_t gap_ns) {
  RingWriter w = ring_writer(memory);
  RingSlot event = {0};
  pin(core);
  int64_t next_ns = now_ns();
  for (uint64_t seq = 1; seq <= count; seq++) {
    int64_t t;
    while ((t = now_ns()) < next_ns) {}
    next_ns = t + gap_ns;
    event.words[0] = now_ns();
    ring_publish(&w, &event);
    ring_commit(&w);
  }
  return 0;
}

int main(int argc, char **argv) {
  if (argc == 6 && !strcmp(argv[1], "write"))
    return write_paced(atoi(argv[2]), segment_memory(argv[3]), strtoull(argv[4], NULL, 10), atoll(argv[5]));
  if (argc != 4 && argc != 5) {
    fprintf(stderr, "usage: ring ROUNDS WRITER_CORE READER_CORE [SEGMENT] | ring write CORE SEGMENT COUNT GAP_NS\n");
    return 2;
  }
  shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (shared == MAP_FAILED) { perror("mmap"); return 1; }
  const Memory own = {shared->slots, &shared->head, SLOTS};
  const Memory segment = argc == 5 ? segment_memory(argv[4]) : own;
  calibrate();
  for (int round = 0; round < atoi(argv[1]); round++)
    for (int k = 0; k < (int)(sizeof cases / sizeof cases[0]); k++)
      if ((!cases[k].segment || argc == 5) &&
          run_case(k, atoi(argv[2]), atoi(argv[3]), cases[k].segment ? segment : own)) return 1;
  return 0;
}
