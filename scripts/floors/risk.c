/* Floor of the risk checks: eight of them in plain C on state that fits two cache lines: quantity, notional at most and at
   least, collar, position, cash, open orders, rate. Integers of ticks and lots; each order another price, side and quantity.

   Build: cc -O3 -march=<the build's> risk.c -o risk      Run: ./risk ORDERS ROUNDS     (see bench_risk.py)
   Prints ns an order of each round, then "passed N". */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { RATE_SLOTS = 1024 };
typedef struct { int64_t price_ticks, qty_lots, side; } Order;
typedef struct {
  int64_t qty_max_lots, notional_max_ticklots, notional_min_ticklots, collar_ticks, position_max_lots, open_max;
  int64_t position_lots, open_count, cash_ticklots, bid_ticks, ask_ticks;
} Limits;
static int64_t sent_ns[RATE_SLOTS];
static uint64_t sent_count;

/* Not inlined, as the product's is called through a pointer from another module. */
static __attribute__((noinline)) int check(const Limits *l, const Order *o, int64_t now_ns) {
  const int64_t notional = o->price_ticks * o->qty_lots, signed_lots = o->side ? -o->qty_lots : o->qty_lots;
  const int64_t position = l->position_lots + signed_lots;
  if (o->qty_lots <= 0 || o->qty_lots > l->qty_max_lots) return 2;
  if (notional > l->notional_max_ticklots) return 3;
  if (notional < l->notional_min_ticklots) return 4;
  if (o->price_ticks > l->ask_ticks + l->collar_ticks || o->price_ticks < l->bid_ticks - l->collar_ticks) return 5;
  if (position > l->position_max_lots || position < -l->position_max_lots) return 6;
  if (notional > l->cash_ticklots) return 7;
  if (l->open_count >= l->open_max) return 8;
  if (now_ns - sent_ns[sent_count & (RATE_SLOTS - 1)] < 1000000) return 9;
  return 1;
}

int main(int argc, char **argv) {
  if (argc != 3) { fprintf(stderr, "usage: risk ORDERS ROUNDS\n"); return 2; }
  const int64_t n = atoll(argv[1]);
  const Limits limits = {100000, 4000000000000000000, 1, 5000, 100000000, 1000, 0, 10, 4000000000000000000, 6100000, 6100001};
  static Order orders[1024];
  for (int i = 0; i < 1024; i++) orders[i] = (Order){6100000 + (i * 7919 & 1023) - 512, 1 + (i & 63), i & 1};
  int64_t passed = 0, now_ns = 1000000000;
  for (int round = 0; round < atoi(argv[2]); round++) {
    struct timespec begin, end;
    passed = 0;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (int64_t i = 0; i < n; i++) {
      now_ns += 2000;
      passed += check(&limits, &orders[i & 1023], now_ns) == 1;
      sent_ns[sent_count++ & (RATE_SLOTS - 1)] = now_ns;
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    printf("%.3f\n", ((end.tv_sec - begin.tv_sec) * 1e9 + (end.tv_nsec - begin.tv_nsec)) / (double)n);
  }
  printf("passed %lld\n", (long long)passed);
  return 0;
}
