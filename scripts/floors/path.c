/* Floor of the path: the least that plain C needs from a Binance bookTicker or trade frame to an encoded order.
   Hand scanner (fixed key order, 1e-8 integers), top of book, eight risk checks, a 64-byte ring slot for the input and one
   for the order, the order's text. No simdjson fallback, no state machine, no per-step stamps: two rdtsc a frame.

   Build: cc -O3 -march=<the build's> path.c -o path      Run: ./path FRAMES [EVICT_BYTES]     (see bench_frame_to_order.py)
   EVICT_BYTES: other memory that is read and written before each frame; the frame itself is then copied to a receive buffer,
   as a socket would, and is warm.
   FRAMES holds, for each frame: uint32 kind, uint32 size, bytes, padded to 64 behind the last.
   Prints one line a kind: kind n p50 p99 p999 max (cycles), then the checksum. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <x86intrin.h>

static uint64_t ld8(const char *p) { uint64_t v; memcpy(&v, p, 8); return v; }
static uint64_t conv8(uint64_t v) {
  v = v * 10 + (v >> 8);
  return (((v & 0x000000FF000000FFull) * 0x000F424000000064ull) + (((v >> 16) & 0x000000FF000000FFull) * 0x0000271000000001ull)) >> 32;
}
static const uint64_t P10[9] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};
static inline uint64_t digits(const char **p) {
  uint64_t r = 0;
  for (;;) {
    uint64_t v = ld8(*p), m = ((v & 0xF0F0F0F0F0F0F0F0ull) | (((v + 0x0606060606060606ull) & 0xF0F0F0F0F0F0F0F0ull) >> 4)) ^ 0x3333333333333333ull;
    if (!m) { r = r * 100000000 + conv8(v & 0x0F0F0F0F0F0F0F0Full); *p += 8; continue; }
    int n = __builtin_ctzll(m) >> 3;
    if (n) { r = r * P10[n] + conv8((v & 0x0F0F0F0F0F0F0F0Full) << (64 - 8 * n)); *p += n; }
    return r;
  }
}
static inline int64_t fixed8(const char **p) {
  int64_t whole = digits(p);
  if (**p != '.') return whole * 100000000;
  ++*p;
  int64_t f = conv8(ld8(*p) & 0x0F0F0F0F0F0F0F0Full);   /* always eight decimals */
  *p += 8;
  return whole * 100000000 + f;
}
#define LIT(s) do { if (memcmp(p, s, sizeof(s) - 1)) return 0; p += sizeof(s) - 1; } while (0)
static inline const char *quote(const char *p) { while (*p != '"') ++p; return p; }

typedef struct { uint64_t seq; int64_t w[7]; } Slot;
static Slot ring[1 << 16];
static uint64_t seq;
static int64_t bid, bidq, ask, askq, position, open_orders, sent[64], checksum;
static char text[512];

static inline int scan(const char *p, int64_t *out) {
  LIT("{\"stream\":\""); p = quote(p);
  LIT("\",\"data\":{\"");
  if (*p == 'u') {
    LIT("u\":"); out[0] = digits(&p); LIT(",\"s\":\"");
    if (ld8(p) == 0) return 0;
    p = quote(p); LIT("\",\"b\":\""); out[1] = fixed8(&p); LIT("\",\"B\":\""); out[2] = fixed8(&p);
    LIT("\",\"a\":\""); out[3] = fixed8(&p); LIT("\",\"A\":\""); out[4] = fixed8(&p); LIT("\"}}");
    return 1;
  }
  LIT("e\":\"trade\",\"E\":"); digits(&p); LIT(",\"s\":\""); p = quote(p); LIT("\",\"t\":"); out[0] = digits(&p);
  LIT(",\"p\":\""); out[1] = fixed8(&p); LIT("\",\"q\":\""); out[2] = fixed8(&p); LIT("\",\"T\":"); out[3] = digits(&p);
  LIT(",\"m\":"); out[4] = *p == 't';
  return 2;
}
static inline char *put_u64(char *p, uint64_t v) {
  char tmp[20]; int n = 0;
  do { tmp[n++] = '0' + v % 10; v /= 10; } while (v);
  while (n) *p++ = tmp[--n];
  return p;
}
#define PUT(s) (memcpy(p, s, sizeof(s) - 1), p += sizeof(s) - 1)
static inline int order(int64_t price, int64_t qty, int64_t now) {
  int64_t mid2 = bid + ask, d = 2 * price - mid2;
  if (d < 0) d = -d;
  if (qty <= 0 || price <= 0 || qty > 1000000000 || (__int128)price * qty / 100000000 > 1000000000000ll || d * 50 > mid2 ||
      position + qty > 100000000000ll || open_orders > 1000 || now - sent[seq & 63] < 0) return 0;
  sent[seq & 63] = now;
  Slot *s = &ring[++seq & 65535];
  s->w[0] = price; s->w[1] = qty; s->w[2] = now; s->w[3] = seq; s->w[4] = 1; s->w[5] = 2; s->w[6] = 3;
  __atomic_store_n(&s->seq, seq, __ATOMIC_RELEASE);
  char *p = text;
  PUT("{\"id\":\"tp0000000000"); p = put_u64(p, seq);
  PUT("\",\"method\":\"order.place\",\"params\":{\"symbol\":\"BTCUSDT\",\"side\":\"BUY\",\"type\":\"LIMIT\",\"timeInForce\":\"IOC\",\"price\":\"");
  p = put_u64(p, price / 1000000); PUT("\",\"quantity\":\""); p = put_u64(p, qty);
  PUT("\",\"newClientOrderId\":\"tp0000000000"); p = put_u64(p, seq); PUT("\",\"timestamp\":"); p = put_u64(p, now / 1000000); PUT("}}");
  return (int)(p - text);
}
static int cmp(const void *a, const void *b) { uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b; return (x > y) - (x < y); }

int main(int argc, char **argv) {
  const long evict_bytes = argc > 2 ? atol(argv[2]) : 0;
  volatile char *other = malloc(evict_bytes + 1);
  memset((void *)other, 1, evict_bytes + 1);
  FILE *f = argc > 1 ? fopen(argv[1], "rb") : NULL;
  if (!f) { fprintf(stderr, "usage: path FRAMES [EVICT_BYTES]\n"); return 2; }
  fseek(f, 0, SEEK_END); long size = ftell(f); rewind(f);
  char *data = malloc(size + 64);
  if (fread(data, 1, size, f) != (size_t)size) return 1;
  uint64_t *t[3]; long n[3] = {0, 0, 0};
  for (int k = 0; k < 3; k++) t[k] = malloc(sizeof(uint64_t) * 1000000);
  for (long i = 0; i < size;) {
    uint32_t kind, bytes; memcpy(&kind, data + i, 4); memcpy(&bytes, data + i + 4, 4);
    const char *p = data + i + 8; i += 8 + bytes;
    int64_t v[5];
    static int64_t clock_ns = 1723161254087891268ll;
    if (evict_bytes) {
      static char received[4096];
      for (long j = 0; j < evict_bytes; j += 64) other[j]++;
      if (bytes > sizeof received - 64) continue;
      memcpy(received, p, bytes);
      p = received;
    }
    uint64_t t0 = __rdtsc();
    int got = scan(p, v);
    if (got == 1) { bid = v[1]; bidq = v[2]; ask = v[3]; askq = v[4]; }
    Slot *s = &ring[++seq & 65535];
    memcpy(s->w, v, sizeof v); s->w[5] = got; s->w[6] = bytes;
    __atomic_store_n(&s->seq, seq, __ATOMIC_RELEASE);
    int out = got && bid ? order(bid - 5000000, 1000000, ++clock_ns) : 0;
    uint64_t t1 = __rdtsc();
    checksum += out + v[1];
    if (got && kind < 3 && n[kind] < 1000000) t[kind][n[kind]++] = t1 - t0;
  }
  for (int k = 0; k < 3; k++) if (n[k]) {
    qsort(t[k], n[k], 8, cmp);
    printf("%d %ld %lu %lu %lu %lu\n", k, n[k], t[k][n[k] / 2], t[k][n[k] * 99 / 100], t[k][n[k] * 999 / 1000], t[k][n[k] - 1]);
  }
  printf("checksum %ld %s\n", checksum, text[0] ? "ok" : "empty");
  return 0;
}
