/* A command lane under its client and the engine: every command is taken exactly once, in order and whole; a full lane refuses,
   and only a full one does. Lanes of 16 to 1024 slots; both sides pause, so that the lane runs full and empty. */
#include "stress.h"
#include "lane.h"

#define SLOTS_MAX 1024
#define ROUND_NS 12000000

typedef struct {
  _Alignas(64) uint64_t taken;
  _Alignas(64) uint64_t pushed;        /* commands that the client has sent */
  _Alignas(64) uint64_t stopped;       /* release; everything is sent */
  uint64_t slot_count;
  int64_t end_mono_ns;
  uint64_t taken_total, refused, emptied;
  _Alignas(64) LaneSlot slots[SLOTS_MAX];
} Shared;

static void send_commands(void *shared, uint64_t random) {
  Shared *s = shared;
  LaneWriter w = {s->slots, &s->taken, s->slot_count - 1, load_relaxed_u64(&s->pushed) + 1};
  uint64_t words[7], refused = 0;
  unsigned idle = 0;
  for (unsigned turn = 0; (turn & 15) || mono_ns() < s->end_mono_ns; turn++) {
    const uint64_t taken = load_relaxed_u64(&s->taken);
    fill_payload(words, w.next_seq, 7);
    if (lane_try_push(&w, words)) {
      store_relaxed_u64(&s->pushed, w.next_seq - 1);
    } else {
      EXPECT(w.next_seq - 1 - taken >= s->slot_count, "expected room for command %" PRIu64 " with %" PRIu64 " taken of %" PRIu64
             " slots, found it refused", w.next_seq, taken, s->slot_count);
      refused++;
      idle_turn(&idle);
    }
    if (random_below(&random, 200) == 0) random_pause(&random);
  }
  add_relaxed_u64(&s->refused, refused);
  store_release_u64(&s->stopped, 1);
}

static void take_commands(void *shared, uint64_t random) {
  Shared *s = shared;
  LaneReader r = {s->slots, &s->taken, s->slot_count - 1, 1};
  uint64_t words[7], emptied = 0;
  unsigned idle = 0;
  for (;;) {
    const uint64_t stopped = load_acquire_u64(&s->stopped), next_seq = r.next_seq;
    if (lane_try_take(&r, words)) {
      EXPECT(r.next_seq == next_seq + 1, "expected the next command to be %" PRIu64 ", found %" PRIu64, next_seq + 1, r.next_seq);
      expect_payload("command", words, next_seq, 7);
    } else {
      const uint64_t pushed = load_relaxed_u64(&s->pushed);
      EXPECT(pushed < next_seq + s->slot_count, "expected at most %" PRIu64 " commands waiting from %" PRIu64 ", found %" PRIu64
             " sent: one was overwritten", s->slot_count, next_seq, pushed);
      if (stopped) break;
      emptied++;
      idle_turn(&idle);
    }
    if (random_below(&random, 200) == 0) random_pause(&random);
  }
  EXPECT(r.next_seq == s->pushed + 1, "expected %" PRIu64 " commands, found %" PRIu64, s->pushed, r.next_seq - 1);
  add_relaxed_u64(&s->taken_total, r.next_seq - 1);
  add_relaxed_u64(&s->emptied, emptied);
}

/* With nobody who takes, a lane holds as many commands as it has slots. */
static void fill_lane(Shared *s) {
  LaneWriter w = {s->slots, &s->taken, s->slot_count - 1, 1};
  uint64_t words[7];
  for (;;) {
    fill_payload(words, w.next_seq, 7);
    if (w.next_seq > s->slot_count + 1 || !lane_try_push(&w, words)) break;
  }
  EXPECT(w.next_seq == s->slot_count + 1, "expected a lane of %" PRIu64 " slots to hold as many commands, found %" PRIu64,
         s->slot_count, w.next_seq - 1);
  s->pushed = s->slot_count;
}

int main(int argc, char **argv) {
  static const Worker workers[] = {send_commands, take_commands};
  const Options o = read_options(argc, argv);
  Shared *s = shared_memory(sizeof *s);
  const int64_t end_mono_ns = mono_ns() + o.duration_ns;
  uint64_t random = random_from(o.seed, 0), rounds = 0;
  while (mono_ns() < end_mono_ns) {
    memset(s->slots, 0, sizeof s->slots);
    s->slot_count = 16ULL << random_below(&random, 7);
    s->taken = s->pushed = s->stopped = 0;
    s->end_mono_ns = mono_ns() + ROUND_NS;
    if (random_below(&random, 2)) fill_lane(s);
    run_together(o.as_processes, workers, 2, s, random_next(&random));
    rounds++;
  }
  printf("rounds=%" PRIu64 " taken=%" PRIu64 " refused=%" PRIu64 " emptied=%" PRIu64 "\n", rounds, s->taken_total, s->refused,
         s->emptied);
  return 0;
}
