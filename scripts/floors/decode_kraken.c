/* Floor of the Kraken decoder: the least that hand-written C needs to turn a message of known text into int64.
   Fixed key order, literals compared, prices and quantities of up to 15 bytes to units of 1e-8. No symbol lookup (a v1
   message's symbol stands last and is skipped), no grid, no date (a v2 time is its hour, minute, second and microsecond as one
   number of twelve digits), no end of the frame, no records, no fallback: text that is not exactly as expected is counted as a
   failure.

   Build: cc -O3 -march=<the build's> decode_kraken.c -o decode_kraken      Run: ./decode_kraken FRAMES ROUNDS [BATCH]
   FRAMES holds, for each frame: uint32 kind, uint32 size, bytes; kinds one after the other (scripts/decode_cases/kraken.py).
   Prints one line a kind: kind n p50 p99 p999 max checksum, in cycles of a batch of messages (16). */
#include <immintrin.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <x86intrin.h>

enum { LEVELS_MAX = 4096 };
enum { BOOK, TRADE, TICKER, SNAPSHOT, V1_BOOK, V1_TRADE, V1_TICKER, V1_SPREAD, V1_SNAPSHOT };
typedef struct { int64_t v[12]; int levels; int64_t level[2 * LEVELS_MAX]; } Out;

#define HOT static inline __attribute__((always_inline))
HOT uint64_t load8(const char *p) { uint64_t v; memcpy(&v, p, 8); return v; }
HOT uint32_t load4(const char *p) { uint32_t v; memcpy(&v, p, 4); return v; }
HOT __m128i load16(const char *p) { return _mm_loadu_si128((const __m128i *)p); }
HOT int same(const char *p, const char *s, size_t n) {
  while (n >= 8) { if (load8(p) != load8(s)) return 0; p += 8, s += 8, n -= 8; }
  if (n & 4) { if (load4(p) != load4(s)) return 0; p += 4, s += 4; }
  if (n & 2) { if (p[0] != s[0] || p[1] != s[1]) return 0; p += 2, s += 2; }
  return !(n & 1) || *p == *s;
}
#define IS(s) same(p, s, sizeof(s) - 1)
#define LIT(s) do { if (!IS(s)) return 0; p += sizeof(s) - 1; } while (0)

HOT const char *skip(const char *p) {
  unsigned m = _mm_movemask_epi8(_mm_cmpeq_epi8(load16(p), _mm_set1_epi8('"')));
  while (!m) m = _mm_movemask_epi8(_mm_cmpeq_epi8(load16(p += 16), _mm_set1_epi8('"')));
  return p + __builtin_ctz(m);
}

/* 16 digit values, most significant first, to their number. */
HOT uint64_t number16(__m128i d) {
  d = _mm_maddubs_epi16(d, _mm_set1_epi16(0x010A));
  d = _mm_madd_epi16(d, _mm_set1_epi32(0x00010064));
  d = _mm_packus_epi32(d, d);
  d = _mm_madd_epi16(d, _mm_set1_epi32(0x00012710));
  uint64_t halves = _mm_cvtsi128_si64(d);
  return (uint32_t)halves * 100000000ull + (halves >> 32);
}
HOT __m128i values(__m128i text) { return _mm_sub_epi8(text, _mm_set1_epi8('0')); }
HOT unsigned digits(__m128i v) { return _mm_movemask_epi8(_mm_cmpeq_epi8(_mm_max_epu8(v, _mm_set1_epi8(9)), _mm_set1_epi8(9))); }

static const uint64_t power[17] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};
static int8_t shift_in[32], drop_point[16][16];
static void tables(void) {
  for (int i = 0; i < 32; i++) shift_in[i] = i < 16 ? -1 : i - 16;
  for (int n = 0; n < 16; n++)
    for (int i = 0; i < 16; i++) drop_point[n][i] = i == 0 ? -1 : i <= n ? i - 1 : i;
}
HOT const char *whole(const char *p, int64_t *out) {
  __m128i v = values(load16(p));
  int n = __builtin_ctz(~digits(v));
  *out = number16(_mm_shuffle_epi8(v, _mm_loadu_si128((const __m128i *)(shift_in + n))));
  return p + n;
}
/* Digits, a point, one to eight digits. */
HOT const char *decimal(const char *p, int64_t *out, int *bad) {
  __m128i v = values(load16(p));
  unsigned others = ~digits(v), n = __builtin_ctz(others), size = __builtin_ctz(others & (others - 1)), f = size - n - 1;
  *bad |= (size > 15) | (f > 8) | (p[n & 15] != '.');
  v = _mm_shuffle_epi8(v, _mm_load_si128((const __m128i *)drop_point[n & 15]));
  v = _mm_shuffle_epi8(v, _mm_loadu_si128((const __m128i *)(shift_in + (size & 15))));
  *out = number16(v) * power[(8 - f) & 15];
  return p + size;
}
HOT const char *clock_of_day(const char *p, int64_t *out, int *bad) {
  __m128i v = values(load16(p + 11));
  *bad |= (digits(v) & 0x7EDB) != 0x7EDB;
  *out = number16(_mm_shuffle_epi8(v, _mm_setr_epi8(-1, -1, -1, -1, 0, 1, 3, 4, 6, 7, 9, 10, 11, 12, 13, 14)));
  return p + 27;
}
HOT const char *seconds(const char *p, int64_t *out, int *bad) {
  __m128i v = values(_mm_blend_epi16(load16(p), load16(p + 1), 0xE0));
  *bad |= digits(v) != 0xFFFF;
  *out = number16(v);
  return p + 17;
}
/* A number nobody reads: digits, a point, digits. */
HOT const char *pass(const char *p, int *bad) {
  p += *p == '-';
  unsigned others = ~digits(values(load16(p))), n = __builtin_ctz(others), size = __builtin_ctz(others & (others - 1));
  *bad |= (size > 15) | (p[n & 15] != '.');
  return p + size;
}
#define PASS() (p = pass(p, &bad))
#define NUMBER(to) (p = whole(p, to))
#define PAIR() do { p = skip(p); LIT("\",\""); p = skip(p); LIT("\"]"); } while (0)
#define DECIMAL(to) (p = decimal(p, to, &bad))

HOT int levels(const char **at, Out *o) {
  const char *p = *at;
  int bad = 0;
  if (*p == ']') { *at = p + 1; return 1; }
  LIT("{\"price\":");
  for (;;) {
    DECIMAL(&o->level[2 * o->levels]);
    LIT(",\"qty\":");
    DECIMAL(&o->level[2 * o->levels + 1]);
    if (++o->levels == LEVELS_MAX) return 0;
    if (!IS("},{\"price\":")) break;
    p += 11;
  }
  LIT("}]");
  *at = p;
  return !bad;
}
HOT int rows(const char **at, Out *o) {
  const char *p = *at;
  int bad = 0;
  if (*p == ']') { *at = p + 1; return 1; }
  LIT("[\"");
  for (;;) {
    int64_t time;
    DECIMAL(&o->level[2 * o->levels]);
    LIT("\",\"");
    DECIMAL(&o->level[2 * o->levels + 1]);
    LIT("\",\"");
    p = seconds(p, &time, &bad);
    if (time > o->v[0]) o->v[0] = time;
    if (++o->levels == LEVELS_MAX) return 0;
    if (!IS("\"],[\"")) break;
    p += 5;
  }
  LIT("\"]]");
  *at = p;
  return !bad;
}

static __attribute__((noinline)) int scan_message(int kind, const char *p, Out *o) {
  int bad = 0;
  int64_t ignored;
  o->levels = 0;
  switch (kind) {
    case BOOK:
    case SNAPSHOT:
      if (kind == BOOK) LIT("{\"channel\":\"book\",\"type\":\"update\",\"data\":[{\"symbol\":\"");
      else LIT("{\"channel\":\"book\",\"type\":\"snapshot\",\"data\":[{\"symbol\":\"");
      p = skip(p); LIT("\",\"bids\":[");
      if (!levels(&p, o)) return 0;
      LIT(",\"asks\":[");
      if (!levels(&p, o)) return 0;
      LIT(",\"checksum\":"); NUMBER(&o->v[1]); LIT(",\"timestamp\":\""); p = clock_of_day(p, &o->v[0], &bad); LIT("\"}]}");
      return !bad;
    case TRADE:
      LIT("{\"channel\":\"trade\",\"type\":\"update\",\"data\":[{\"symbol\":\""); p = skip(p);
      LIT("\",\"side\":\""); o->v[1] = *p == 's'; p += 3 + (*p == 's'); LIT("\",\"price\":"); DECIMAL(&o->v[2]);
      LIT(",\"qty\":"); DECIMAL(&o->v[3]); LIT(",\"ord_type\":\""); p = skip(p); LIT("\",\"trade_id\":"); NUMBER(&o->v[4]);
      LIT(",\"timestamp\":\""); p = clock_of_day(p, &o->v[0], &bad); LIT("\"}]}");
      return !bad;
    case TICKER:
      LIT("{\"channel\":\"ticker\",\"type\":\"update\",\"data\":[{\"symbol\":\""); p = skip(p);
      LIT("\",\"bid\":"); DECIMAL(&o->v[1]); LIT(",\"bid_qty\":"); DECIMAL(&o->v[2]);
      LIT(",\"ask\":"); DECIMAL(&o->v[3]); LIT(",\"ask_qty\":"); DECIMAL(&o->v[4]);
      LIT(",\"last\":"); PASS(); LIT(",\"volume\":"); PASS(); LIT(",\"vwap\":"); PASS(); LIT(",\"low\":"); PASS();
      LIT(",\"high\":"); PASS(); LIT(",\"change\":"); PASS(); LIT(",\"change_pct\":"); PASS(); LIT(",\"trades\":");
      NUMBER(&ignored); LIT(",\"timestamp\":\""); p = clock_of_day(p, &o->v[0], &bad); LIT("\"}]}");
      return !bad;
    case V1_BOOK:
      LIT("["); NUMBER(&ignored); LIT(",{\"");
      o->v[2] = *p++ == 'a';
      LIT("\":["); o->v[0] = 0;
      if (!rows(&p, o)) return 0;
      LIT(",\"c\":\""); NUMBER(&o->v[1]); LIT("\"},\"book-1000\",\""); p = skip(p); LIT("\"]");
      return 1;
    case V1_SNAPSHOT:
      LIT("["); NUMBER(&ignored); LIT(",{\"as\":["); o->v[0] = 0;
      if (!rows(&p, o)) return 0;
      LIT(",\"bs\":[");
      if (!rows(&p, o)) return 0;
      LIT("},\"book-1000\",\""); p = skip(p); LIT("\"]");
      return 1;
    case V1_TRADE:
      LIT("["); NUMBER(&ignored); LIT(",[[\""); DECIMAL(&o->v[2]); LIT("\",\""); DECIMAL(&o->v[3]); LIT("\",\"");
      p = seconds(p, &o->v[0], &bad); LIT("\",\""); o->v[1] = *p++ == 's'; LIT("\",\""); p++; LIT("\",\"");
      p = skip(p); LIT("\"]],\"trade\",\""); p = skip(p); LIT("\"]");
      return !bad;
    case V1_TICKER:
      LIT("["); NUMBER(&ignored); LIT(",{\"a\":[\""); DECIMAL(&o->v[3]); LIT("\","); NUMBER(&ignored); LIT(",\"");
      DECIMAL(&o->v[4]); LIT("\"],\"b\":[\""); DECIMAL(&o->v[1]); LIT("\","); NUMBER(&ignored); LIT(",\"");
      DECIMAL(&o->v[2]); LIT("\"],\"c\":[\""); PAIR(); LIT(",\"v\":[\""); PAIR(); LIT(",\"p\":[\""); PAIR();
      LIT(",\"t\":["); NUMBER(&ignored); LIT(","); NUMBER(&ignored); LIT("],\"l\":[\""); PAIR(); LIT(",\"h\":[\""); PAIR();
      LIT(",\"o\":[\""); PAIR(); LIT("},\"ticker\",\""); p = skip(p); LIT("\"]");
      return !bad;
    case V1_SPREAD:
      LIT("["); NUMBER(&ignored); LIT(",[\""); DECIMAL(&o->v[1]); LIT("\",\""); DECIMAL(&o->v[3]); LIT("\",\"");
      p = seconds(p, &o->v[0], &bad); LIT("\",\""); DECIMAL(&o->v[2]); LIT("\",\""); DECIMAL(&o->v[4]);
      LIT("\"],\"spread\",\""); p = skip(p); LIT("\"]");
      return !bad;
  }
  return 0;
}

static int ascending(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return (x > y) - (x < y);
}

int main(int argc, char **argv) {
  FILE *f = argc >= 3 ? fopen(argv[1], "rb") : NULL;
  if (!f) { fprintf(stderr, "usage: decode_kraken FRAMES ROUNDS [BATCH]\n"); return 2; }
  int rounds = atoi(argv[2]), batch = argc > 3 ? atoi(argv[3]) : 16;
  fseek(f, 0, SEEK_END);
  long size = ftell(f);
  rewind(f);
  char *data = calloc(1, size + 64);
  const char **frames = malloc((size / 8 + 1) * sizeof *frames);
  if (fread(data, 1, size, f) != (size_t)size) return 1;
  tables();
  static Out o;
  for (long i = 0; i < size;) {
    uint32_t kind, bytes, other;
    memcpy(&kind, data + i, 4);
    long n = 0;
    for (; i < size; i += 8 + bytes) {
      memcpy(&other, data + i, 4);
      if (other != kind) break;
      memcpy(&bytes, data + i + 4, 4);
      frames[n++] = data + i + 8;
    }
    uint64_t checksum = 0;
    for (long k = 0; k < n; k++) {
      memset(&o, 0, sizeof o);
      if (!scan_message(kind, frames[k], &o)) { fprintf(stderr, "kind %u, frame %ld: expected the known text\n", kind, k); return 1; }
      for (int j = 0; j < 12; j++) checksum += (2 * j + 1) * o.v[j];
      for (int j = 0; j < o.levels; j++) checksum += o.level[2 * j] + 3 * o.level[2 * j + 1];
    }
    long groups = n / batch, total = groups * rounds, at = 0;
    uint64_t *cycles = malloc(total * sizeof *cycles);
    int ok = 1;
    for (int r = 0; r < rounds; r++)
      for (long g = 0; g < groups; g++) {
        uint64_t start = __rdtsc();
        for (int k = 0; k < batch; k++) ok &= scan_message(kind, frames[g * batch + k], &o);
        cycles[at++] = __rdtsc() - start;
      }
    if (!ok || !total) return 1;
    qsort(cycles, total, sizeof *cycles, ascending);
    printf("%u %ld %lu %lu %lu %lu %lu\n", kind, total, cycles[total / 2], cycles[total * 99 / 100],
           cycles[total * 999 / 1000], cycles[total - 1], checksum);
    free(cycles);
  }
  return 0;
}
