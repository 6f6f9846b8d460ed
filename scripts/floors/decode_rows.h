/* What the floors of the OKX and the Bybit decoder share: literals, numbers, and the program around them.

   A decimal has up to 15 bytes, digits with or without a point, and becomes units of 1e-8. A floor does the least that
   hand-written C needs for a message of known text: fixed key order, no symbol lookup, no grid, no names checked, no end of the
   frame, no records, no fallback; text that is not exactly as expected is counted as a failure.

   Run: PROGRAM FRAMES ROUNDS. FRAMES holds, for each frame: uint32 kind, uint32 size, bytes; kinds one after the other.
   Prints one line a kind: kind n p50 p99 p999 max checksum, in cycles of a batch of 16 messages. */
#include <immintrin.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <x86intrin.h>

enum { BATCH = 16, VALUES = 12, LEVELS_MAX = 4096 };
typedef struct { int64_t v[VALUES]; int levels; int64_t level[2 * LEVELS_MAX]; } Out;

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
#define TRY(s) (IS(s) ? (p += sizeof(s) - 1, 1) : 0)

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

static const uint64_t power[16] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};
static int8_t shift_in[32], drop_point[16][16];
static void tables(void) {
  for (int i = 0; i < 32; i++) shift_in[i] = i < 16 ? -1 : i - 16;
  for (int n = 0; n < 16; n++)
    for (int i = 0; i < 16; i++) drop_point[n][i] = i < n ? i : i + 1;
}
HOT const char *whole(const char *p, int64_t *out) {
  __m128i v = values(load16(p));
  int n = __builtin_ctz(~digits(v));
  *out = number16(_mm_shuffle_epi8(v, _mm_loadu_si128((const __m128i *)(shift_in + n))));
  return p + n;
}
/* To the quote behind it. */
HOT const char *decimal(const char *p, int64_t *out, int *bad) {
  __m128i text = load16(p), v = values(text);
  unsigned others = ~digits(v), n = __builtin_ctz(others);
  unsigned size = __builtin_ctz(_mm_movemask_epi8(_mm_cmpeq_epi8(text, _mm_set1_epi8('"'))) | 1u << 16), point = n < size;
  unsigned f = size - n - point;
  *bad |= (size > 15) | (f > 8) | (point & (p[n & 15] != '.'));
  v = _mm_shuffle_epi8(v, _mm_load_si128((const __m128i *)drop_point[n & 15]));
  v = _mm_shuffle_epi8(v, _mm_loadu_si128((const __m128i *)(shift_in + ((size - point) & 15))));
  *out = number16(v) * power[(8 - f) & 15];
  return p + size;
}
#define NUMBER(to) (p = whole(p, to))
#define DECIMAL(to) (p = decimal(p, to, &bad))

/* What the including program defines: the message of this kind at p. */
static int scan_message(int kind, const char *p, Out *o);

static int ascending(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return (x > y) - (x < y);
}

int main(int argc, char **argv) {
  FILE *f = argc == 3 ? fopen(argv[1], "rb") : NULL;
  if (!f) { fprintf(stderr, "usage: %s FRAMES ROUNDS\n", argv[0]); return 2; }
  int rounds = atoi(argv[2]);
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
      for (int j = 0; j < VALUES; j++) checksum += (2 * j + 1) * o.v[j];
      for (int j = 0; j < o.levels; j++) checksum += o.level[2 * j] + 3 * o.level[2 * j + 1];
    }
    long groups = n / BATCH, total = groups * rounds, at = 0;
    uint64_t *cycles = malloc(total * sizeof *cycles);
    int ok = 1;
    for (int r = 0; r < rounds; r++)
      for (long g = 0; g < groups; g++) {
        uint64_t start = __rdtsc();
        for (int k = 0; k < BATCH; k++) ok &= scan_message(kind, frames[g * BATCH + k], &o);
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
