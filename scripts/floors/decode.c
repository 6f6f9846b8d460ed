/* Floor of the decoder: the least that hand-written C needs to turn a Binance message of known text into int64.
   Fixed key order, literals compared, AVX2 or SSE to find closing quotes, prices and quantities with eight decimals to
   units of 1e-8. No symbol lookup, no grid, no names checked, no end of the frame, no records, no fallback: text that is
   not exactly as expected is counted as a failure. A report is read up to its maker flag.

   Build: cc -O3 -march=<the build's> decode.c -o decode      Run: ./decode FRAMES ROUNDS     (see bench_decode.py)
   FRAMES is that of decode_floor.h; its instruments are passed over.
   Prints one line a kind: kind n p50 p99 p999 max checksum, in cycles of a batch of 16 messages. */
#include <immintrin.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <x86intrin.h>

enum { BATCH = 16, KINDS = 5 };
enum { AGG_TRADE, BOOK_TICKER, TRADE, DEPTH, REPORT };
typedef struct { int64_t v[12]; int levels; int64_t level[128]; } Out;

#define HOT static inline __attribute__((always_inline))
HOT uint64_t load8(const char *p) { uint64_t v; memcpy(&v, p, 8); return v; }
HOT uint32_t load4(const char *p) { uint32_t v; memcpy(&v, p, 4); return v; }
HOT int same(const char *p, const char *s, size_t n) {
  while (n >= 8) { if (load8(p) != load8(s)) return 0; p += 8, s += 8, n -= 8; }
  if (n & 4) { if (load4(p) != load4(s)) return 0; p += 4, s += 4; }
  if (n & 2) { if (p[0] != s[0] || p[1] != s[1]) return 0; p += 2, s += 2; }
  return !(n & 1) || *p == *s;
}
#define LIT(s) do { if (!same(p, s, sizeof(s) - 1)) return 0; p += sizeof(s) - 1; } while (0)

HOT unsigned quotes(const char *p) {
#ifdef __AVX2__
  return _mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_loadu_si256((const __m256i *)p), _mm256_set1_epi8('"')));
#else
  __m128i q = _mm_set1_epi8('"');
  return _mm_movemask_epi8(_mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)p), q)) |
         (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(p + 16)), q)) << 16;
#endif
}
/* A bit above the text makes the search end. */
HOT int first(unsigned mask) { return __builtin_ctz(mask | 1u << 31); }
HOT const char *skip(const char *p) { return p + first(quotes(p)); }

/* 16 digit values, most significant first, to their number. */
HOT uint64_t number16(__m128i d) {
  d = _mm_maddubs_epi16(d, _mm_set1_epi16(0x010A));
  d = _mm_madd_epi16(d, _mm_set1_epi32(0x00010064));
  d = _mm_packus_epi32(d, d);
  d = _mm_madd_epi16(d, _mm_set1_epi32(0x00012710));
  uint64_t halves = _mm_cvtsi128_si64(d);
  return (uint32_t)halves * 100000000ull + (halves >> 32);
}
static int8_t shift_in[32], drop_point[8][16];
static void tables(void) {
  for (int i = 0; i < 32; i++) shift_in[i] = i < 16 ? -1 : i - 16;
  for (int n = 10; n < 17; n++)
    for (int i = 0; i < 16; i++) {
      int from = i < 8 ? i - 8 + (n - 9) : n - 16 + i;
      drop_point[n - 10][i] = from < 0 ? -1 : from;
    }
}
HOT const char *whole(const char *p, int64_t *out) {
  __m128i v = _mm_add_epi8(_mm_loadu_si128((const __m128i *)p), _mm_set1_epi8(-'0'));
  int n = __builtin_ctz(~_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_max_epu8(v, _mm_set1_epi8(9)), _mm_set1_epi8(9))));
  *out = number16(_mm_shuffle_epi8(v, _mm_loadu_si128((const __m128i *)(shift_in + n))));
  return p + n;
}
HOT const char *decimal(const char *p, int n, int64_t *out, int *bad) {
  __m128i v = _mm_add_epi8(_mm_loadu_si128((const __m128i *)p), _mm_set1_epi8(-'0'));
  v = _mm_shuffle_epi8(v, _mm_loadu_si128((const __m128i *)drop_point[(n - 10) & 7]));
  /* The shuffle leaves zeroes in front; a byte over nine shows itself in its high nibble once six is added. */
  __m128i nibbles = _mm_set1_epi8((char)0xF0);
  *bad |= (n - 10 > 6u) | !_mm_testz_si128(_mm_or_si128(v, _mm_add_epi8(v, _mm_set1_epi8(6))), nibbles) | (p[n - 9] != '.');
  *out = number16(v);
  return p + n;
}
#define NUMBER(to) (p = whole(p, to))
#define DECIMAL(to) (p = decimal(p, first(quotes(p)), to, &bad))

HOT int side(const char **at, Out *o) {
  const char *p = *at;
  int bad = 0;
  LIT("[");
  if (*p == ']') { *at = p + 1; return 1; }
  do {
    LIT("[\"");
    unsigned m = quotes(p);
    int a = first(m);
    m &= m - 1;
    int b = first(m & (m - 1));
    decimal(p, a, &o->level[2 * o->levels], &bad);
    decimal(p + a + 3, b - a - 3, &o->level[2 * o->levels + 1], &bad);
    if (++o->levels == 64) return 0;
    p += b;
    LIT("\"]");
  } while (*p++ == ',');
  *at = p;
  return p[-1] == ']' && !bad;
}

static __attribute__((noinline)) int scan_message(int kind, const char *p, Out *o) {
  int bad = 0;
  int64_t ignored;
  if (kind == REPORT) {
    LIT("{\"e\":\"executionReport\",\"E\":"); NUMBER(&ignored); LIT(",\"s\":\""); p = skip(p);
    LIT("\",\"c\":\""); p = skip(p); LIT("\",\"S\":\""); o->v[0] = *p == 'B'; p = skip(p);
    LIT("\",\"o\":\""); p = skip(p); LIT("\",\"f\":\""); p = skip(p); LIT("\",\"q\":\""); p = skip(p);
    LIT("\",\"p\":\""); p = skip(p); LIT("\",\"P\":\""); p = skip(p); LIT("\",\"F\":\""); p = skip(p);
    LIT("\",\"g\":"); p += *p == '-'; NUMBER(&ignored); LIT(",\"C\":\""); p = skip(p); LIT("\",\"x\":\""); p = skip(p);
    LIT("\",\"X\":\""); p = skip(p); LIT("\",\"r\":\""); p = skip(p); LIT("\",\"i\":"); NUMBER(&o->v[1]);
    LIT(",\"l\":\""); DECIMAL(&o->v[2]); LIT("\",\"z\":\""); DECIMAL(&o->v[3]); LIT("\",\"L\":\""); DECIMAL(&o->v[4]);
    LIT("\",\"n\":\"");
    if (p[1] == '"') { o->v[5] = (*p++ - '0') * 100000000ll; } else DECIMAL(&o->v[5]);
    LIT("\",\"N\":");
    if (*p == '"') { p = skip(p + 1); LIT("\""); } else LIT("null");
    LIT(",\"T\":"); NUMBER(&o->v[6]); LIT(",\"t\":");
    int negative = *p == '-';
    p += negative; NUMBER(&o->v[7]); o->v[7] &= negative - 1;
    LIT(",\"I\":"); NUMBER(&ignored); LIT(",\"w\":"); p += 4 + (*p == 'f'); LIT(",\"m\":"); o->v[8] = *p == 't';
    return !bad;
  }
  LIT("{\"stream\":\""); p = skip(p); LIT("\",\"data\":{\"");
  switch (kind) {
    case BOOK_TICKER:
      LIT("u\":"); NUMBER(&o->v[0]); LIT(",\"s\":\""); p = skip(p); LIT("\",\"b\":\""); DECIMAL(&o->v[1]);
      LIT("\",\"B\":\""); DECIMAL(&o->v[2]); LIT("\",\"a\":\""); DECIMAL(&o->v[3]); LIT("\",\"A\":\""); DECIMAL(&o->v[4]);
      LIT("\"}}");
      return !bad;
    case TRADE:
      LIT("e\":\"trade\",\"E\":"); NUMBER(&ignored); LIT(",\"s\":\""); p = skip(p); LIT("\",\"t\":"); NUMBER(&o->v[0]);
      LIT(",\"p\":\""); DECIMAL(&o->v[1]); LIT("\",\"q\":\""); DECIMAL(&o->v[2]); LIT("\",\"T\":"); NUMBER(&o->v[3]);
      LIT(",\"m\":"); o->v[4] = *p == 't';
      return !bad;
    case AGG_TRADE:
      LIT("e\":\"aggTrade\",\"E\":"); NUMBER(&ignored); LIT(",\"s\":\""); p = skip(p); LIT("\",\"a\":"); NUMBER(&o->v[0]);
      LIT(",\"p\":\""); DECIMAL(&o->v[1]); LIT("\",\"q\":\""); DECIMAL(&o->v[2]); LIT("\",\"f\":"); NUMBER(&o->v[5]);
      LIT(",\"l\":"); NUMBER(&o->v[6]); LIT(",\"T\":"); NUMBER(&o->v[3]); LIT(",\"m\":"); o->v[4] = *p == 't';
      return !bad;
    case DEPTH:
      LIT("e\":\"depthUpdate\",\"E\":"); NUMBER(&o->v[0]); LIT(",\"s\":\""); p = skip(p); LIT("\",\"U\":"); NUMBER(&o->v[1]);
      LIT(",\"u\":"); NUMBER(&o->v[2]); o->levels = 0; LIT(",\"b\":");
      if (!side(&p, o)) return 0;
      LIT(",\"a\":");
      return side(&p, o);
  }
  return 0;
}

static int ascending(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return (x > y) - (x < y);
}

int main(int argc, char **argv) {
  FILE *f = argc >= 3 ? fopen(argv[1], "rb") : NULL;
  if (!f) { fprintf(stderr, "usage: decode FRAMES ROUNDS\n"); return 2; }
  int rounds = atoi(argv[2]);
  fseek(f, 0, SEEK_END);
  long size = ftell(f);
  rewind(f);
  char *data = calloc(1, size + 64);
  const char **frames = malloc((size / 8 + 1) * sizeof *frames);
  if (fread(data, 1, size, f) != (size_t)size) return 1;
  tables();
  static Out o;
  uint32_t instruments;
  memcpy(&instruments, data, 4);
  for (long i = 4 + 40 * (long)instruments; i < size;) {
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
