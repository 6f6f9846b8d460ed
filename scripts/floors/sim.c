/* Floor of a matching engine: price-time priority in plain C, without accounts, filters, events or clock. A ladder of prices, each
   with a FIFO of orders linked through their pool; a bitmap of two levels finds the best price.

   Build: cc -O3 -march=<the build's> sim.c -o sim      Run: ./sim FLOW ROUNDS WARM PART     (see bench_sim.py)
   FLOW is rows of scripts/order_flow.py. The first WARM actions are done before the clock is read. Prints a line a round: ns an
   action of each PART actions; then "trades N lots N open N refused N". */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LADDER = 1 << 16, WORDS = LADDER / 64, NONE = 0xFFFFFFFFu };
typedef struct { uint8_t kind, side; uint16_t account; uint32_t unused; int64_t price_ticks, qty_lots, ref; } Action;
typedef struct { int64_t open_lots; uint32_t next, prev, price, side, number, unused; } Order;
typedef struct { uint32_t head, tail; } Level;
typedef struct { Level levels[LADDER]; uint64_t words[WORDS], summary[WORDS / 64]; int32_t best; } Side;
static Side sides[2];
static Order *pool;
static uint32_t *slot_of, free_head;
static int64_t trades, lots_traded, refused, open_count;

static void side_clear(Side *s) {
  memset(s, 0, sizeof *s);
  for (int i = 0; i < LADDER; i++) s->levels[i] = (Level){NONE, NONE};
  s->best = -1;
}
static inline void set_bit(Side *s, uint32_t p) { s->words[p >> 6] |= 1ull << (p & 63); s->summary[p >> 12] |= 1ull << (p >> 6 & 63); }
static inline void clear_bit(Side *s, uint32_t p) {
  if (!(s->words[p >> 6] &= ~(1ull << (p & 63)))) s->summary[p >> 12] &= ~(1ull << (p >> 6 & 63));
}
/* The best price at or behind p: downwards for bids, upwards for asks. */
static int32_t next_best(const Side *s, int32_t p, int bids) {
  if (bids) {
    uint64_t w = s->words[p >> 6] & (~0ull >> (63 - (p & 63)));
    if (w) return (p & ~63) | (63 - __builtin_clzll(w));
    uint64_t m = (p >> 6 & 63) ? s->summary[p >> 12] & ((1ull << (p >> 6 & 63)) - 1) : 0;
    for (int i = p >> 12;;) {
      if (m) { int word = i * 64 + 63 - __builtin_clzll(m); return word * 64 + 63 - __builtin_clzll(s->words[word]); }
      if (--i < 0) return -1;
      m = s->summary[i];
    }
  }
  uint64_t w = s->words[p >> 6] & (~0ull << (p & 63));
  if (w) return (p & ~63) | __builtin_ctzll(w);
  uint64_t m = (p >> 6 & 63) == 63 ? 0 : s->summary[p >> 12] & (~0ull << ((p >> 6 & 63) + 1));
  for (int i = p >> 12;;) {
    if (m) { int word = i * 64 + __builtin_ctzll(m); return word * 64 + __builtin_ctzll(s->words[word]); }
    if (++i >= WORDS / 64) return -1;
    m = s->summary[i];
  }
}
static inline void unlink_order(uint32_t slot) {
  Order *o = &pool[slot];
  Side *s = &sides[o->side];
  Level *l = &s->levels[o->price];
  if (o->prev == NONE) l->head = o->next; else pool[o->prev].next = o->next;
  if (o->next == NONE) l->tail = o->prev; else pool[o->next].prev = o->prev;
  if (l->head == NONE) {
    clear_bit(s, o->price);
    if ((int32_t)o->price == s->best) s->best = next_best(s, o->price, o->side == 0);
  }
  slot_of[o->number] = NONE;
  o->next = free_head;
  free_head = slot;
  open_count--;
}
static __attribute__((noinline)) void run(const Action *flow, int64_t from, int64_t to) {
  for (int64_t i = from; i < to; i++) {
    const Action a = flow[i];
    if (a.kind == 2) {
      const uint32_t slot = slot_of[a.ref];
      if (slot == NONE) { refused++; continue; }
      unlink_order(slot);
      continue;
    }
    const int side = a.side - 1;
    Side *other = &sides[1 - side];
    int64_t left = a.qty_lots;
    while (left && other->best >= 0 && (a.kind == 1 || (side == 0 ? a.price_ticks >= other->best : a.price_ticks <= other->best))) {
      const uint32_t slot = other->levels[other->best].head;
      Order *o = &pool[slot];
      const int64_t done = left < o->open_lots ? left : o->open_lots;
      left -= done;
      trades++;
      lots_traded += done;
      if ((o->open_lots -= done) == 0) unlink_order(slot);
    }
    slot_of[i] = NONE;
    if (!left || a.kind == 1) continue;
    const uint32_t slot = free_head;
    Order *o = &pool[slot];
    free_head = o->next;
    Side *own = &sides[side];
    Level *l = &own->levels[a.price_ticks];
    *o = (Order){left, NONE, l->tail, (uint32_t)a.price_ticks, (uint32_t)side, (uint32_t)i, 0};
    if (l->tail == NONE) {
      l->head = slot;
      set_bit(own, (uint32_t)a.price_ticks);
      if (own->best < 0 || (side == 0 ? a.price_ticks > own->best : a.price_ticks < own->best)) own->best = (int32_t)a.price_ticks;
    } else pool[l->tail].next = slot;
    l->tail = slot;
    slot_of[i] = slot;
    open_count++;
  }
}

int main(int argc, char **argv) {
  if (argc != 5) { fprintf(stderr, "usage: sim FLOW ROUNDS WARM PART\n"); return 2; }
  FILE *f = fopen(argv[1], "rb");
  if (!f) { perror(argv[1]); return 1; }
  fseek(f, 0, SEEK_END);
  const int64_t n = ftell(f) / (int64_t)sizeof(Action), warm = atoll(argv[3]), part = atoll(argv[4]);
  rewind(f);
  Action *flow = malloc((size_t)n * sizeof *flow);
  pool = malloc((size_t)(n + 1) * sizeof *pool);
  slot_of = malloc((size_t)n * sizeof *slot_of);
  if (!flow || !pool || !slot_of || fread(flow, sizeof *flow, (size_t)n, f) != (size_t)n) { fprintf(stderr, "sim: %s: not read\n", argv[1]); return 1; }
  for (int round = 0; round < atoi(argv[2]); round++) {
    struct timespec begin, end;
    side_clear(&sides[0]);
    side_clear(&sides[1]);
    for (int64_t i = 0; i <= n; i++) pool[i] = (Order){0, (uint32_t)(i + 1), NONE, 0, 0, 0, 0};
    memset(slot_of, 0xFF, (size_t)n * sizeof *slot_of);
    free_head = 0;
    trades = lots_traded = refused = open_count = 0;
    run(flow, 0, warm);
    for (int64_t at = warm; at < n; at += part) {
      const int64_t to = at + part < n ? at + part : n;
      clock_gettime(CLOCK_MONOTONIC, &begin);
      run(flow, at, to);
      clock_gettime(CLOCK_MONOTONIC, &end);
      printf("%.3f ", ((end.tv_sec - begin.tv_sec) * 1e9 + (end.tv_nsec - begin.tv_nsec)) / (double)(to - at));
    }
    printf("\n");
  }
  printf("trades %lld lots %lld open %lld refused %lld\n", (long long)trades, (long long)lots_traded, (long long)open_count, (long long)refused);
  return 0;
}
