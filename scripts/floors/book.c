/* Floor of the book: the plainest array ladder. One quantity a tick and side, a bitmap of live levels, the best index a side,
   which a bit scan finds anew when its level goes. No window, no far levels, no sequence checks, no crossed book.

   Build: cc -O3 -march=<the build's> book.c -o book      Run: ./book CHANGES ROUNDS     (see bench_book.py)
   CHANGES: uint64 count of the snapshot's levels, uint64 count of changes, then int64 side, price_ticks, qty_lots of each.
   Prints the time of each stretch of STRETCH changes, the best of the rounds, in ns, best bid and ask read behind each change;
   then "sum S bids HASH N asks HASH N": the sum of what
   was read and a hash of the final levels, worst price first, for the comparison with other books. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TICKS = 1 << 16, WORDS = TICKS / 64, STRETCH = 20000 };
typedef struct { int64_t side, price_ticks, qty_lots; } Change;
static int64_t qty[2][TICKS];
static uint64_t live[2][WORDS];
static int64_t base_ticks, best[2];

static inline void set_level(int side, int64_t price_ticks, int64_t qty_lots) {
  const int64_t i = price_ticks - base_ticks;
  if ((uint64_t)i >= TICKS) return;
  qty[side][i] = qty_lots;
  if (qty_lots) {
    live[side][i >> 6] |= 1ull << (i & 63);
    if (side ? i < best[1] : i > best[0]) best[side] = i;
    return;
  }
  live[side][i >> 6] &= ~(1ull << (i & 63));
  if (i != best[side]) return;
  int64_t w = i >> 6;
  if (side) {
    while (w < WORDS && !live[1][w]) w++;
    best[1] = w < WORDS ? w * 64 + __builtin_ctzll(live[1][w]) : TICKS;
  } else {
    while (w >= 0 && !live[0][w]) w--;
    best[0] = w >= 0 ? w * 64 + 63 - __builtin_clzll(live[0][w]) : -1;
  }
}
static void hash_side(int side) {
  uint64_t hash = 0, count = 0;
  for (int64_t k = 0; k < TICKS; k++) {
    const int64_t i = side ? TICKS - 1 - k : k;
    if (!qty[side][i]) continue;
    hash = (hash ^ (uint64_t)(base_ticks + i)) * 0x9E3779B97F4A7C15ull;
    hash = (hash ^ (uint64_t)qty[side][i]) * 0x9E3779B97F4A7C15ull;
    count++;
  }
  printf(" %s %llu %llu", side ? "asks" : "bids", (unsigned long long)hash, (unsigned long long)count);
}

int main(int argc, char **argv) {
  FILE *f = argc == 3 ? fopen(argv[1], "rb") : NULL;
  uint64_t n[2];
  if (!f || fread(n, 8, 2, f) != 2) { fprintf(stderr, "usage: book CHANGES ROUNDS\n"); return 2; }
  Change *c = malloc((n[0] + n[1]) * sizeof *c);
  if (fread(c, sizeof *c, n[0] + n[1], f) != n[0] + n[1]) { fprintf(stderr, "book: %s is cut short\n", argv[1]); return 1; }
  int64_t sum = 0;
  const uint64_t stretches = (n[1] + STRETCH - 1) / STRETCH;
  double *best_ns = calloc(stretches, sizeof *best_ns);
  for (int round = 0; round < atoi(argv[2]); round++) {
    memset(qty, 0, sizeof qty);
    memset(live, 0, sizeof live);
    best[0] = -1;
    best[1] = TICKS;
    base_ticks = c[0].price_ticks - TICKS / 2;
    for (uint64_t i = 0; i < n[0]; i++) set_level((int)c[i].side, c[i].price_ticks, c[i].qty_lots);
    sum = 0;
    for (uint64_t k = 0; k < stretches; k++) {
      struct timespec begin, end;
      const Change *last = c + n[0] + (n[1] < (k + 1) * STRETCH ? n[1] : (k + 1) * STRETCH);
      clock_gettime(CLOCK_MONOTONIC, &begin);
      for (const Change *p = c + n[0] + k * STRETCH; p < last; p++) {
        set_level((int)p->side, p->price_ticks, p->qty_lots);
        sum += 2 * base_ticks + best[0] + best[1];
      }
      clock_gettime(CLOCK_MONOTONIC, &end);
      const double ns = (end.tv_sec - begin.tv_sec) * 1e9 + (end.tv_nsec - begin.tv_nsec);
      if (round == 0 || ns < best_ns[k]) best_ns[k] = ns;
    }
  }
  for (uint64_t k = 0; k < stretches; k++) printf("%.0f\n", best_ns[k]);
  printf("sum %lld", (long long)sum);
  hash_side(0);
  hash_side(1);
  printf("\n");
  return 0;
}
