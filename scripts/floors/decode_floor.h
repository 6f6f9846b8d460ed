/* What the floors of the decoders share: literals, names, numbers, instruments, and the program around them.

   A floor is what a good C engineer writes for messages of known text: fixed key order, literals compared by words, closing quotes
   and points found by SSE or AVX2, one shuffle a number. It does what no correct scanner can leave out: each symbol is looked up,
   each name holds no escape, control or other than ASCII byte, each number is a number (a JSON integer has no leading zero), a
   price or quantity becomes counts of its instrument's grid or is refused, and the message ends where the frame ends. Left out:
   other key orders, other lengths of numbers than those sent, records (a floor leaves its values in an array), a way on when the
   text is not as expected, which is counted as a failure.

   Run: PROGRAM FRAMES ROUNDS [BATCH]. FRAMES holds uint32 how many instruments, for each its symbol in 24 bytes and uint64 tick
   and lot in units of 1e-8; then for each frame uint32 kind, uint32 size, bytes; kinds one after the other.
   Prints one line a kind: kind n p50 p99 p999 max checksum, in cycles of a batch of BATCH (16) messages. */
#include <immintrin.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <x86intrin.h>

enum { VALUES = 12, LEVELS_MAX = 65536, INSTRUMENTS_MAX = 64 };
/* [0] price, [1] quantity */
typedef struct { uint64_t key[2], unit[2], inverse[2], max[2]; int shift[2]; } Instrument;
typedef struct { const Instrument *item; int64_t v[VALUES]; int levels; int64_t level[2 * LEVELS_MAX]; } Out;
static Instrument instruments[INSTRUMENTS_MAX];
static uint8_t buckets[256];

#define HOT static inline __attribute__((always_inline))
HOT uint64_t load8(const char *p) { uint64_t v; memcpy(&v, p, 8); return v; }
HOT uint32_t load4(const char *p) { uint32_t v; memcpy(&v, p, 4); return v; }
HOT __m128i load16(const char *p) { return _mm_loadu_si128((const __m128i *)p); }
HOT int same(const char *p, const char *s, size_t n) {
  if (n > 16) {
    __m128i differs = _mm_xor_si128(load16(p + n - 16), load16(s + n - 16));
    for (size_t i = 0; i + 16 < n; i += 16) differs = _mm_or_si128(differs, _mm_xor_si128(load16(p + i), load16(s + i)));
    return _mm_testz_si128(differs, differs);
  }
  if (n >= 8) return ((load8(p) ^ load8(s)) | (load8(p + n - 8) ^ load8(s + n - 8))) == 0;
  if (n >= 4) return load4(p) == load4(s) && load4(p + n - 4) == load4(s + n - 4);
  return (load4(p) ^ load4(s)) << (32 - 8 * n) == 0;
}
/* Padded, so that a load of four bytes stays inside the literal's array. */
#define IS(s) same(p, s "\0\0\0", sizeof(s) - 1)
#define LIT(s) do { if (!IS(s)) return 0; p += sizeof(s) - 1; } while (0)
#define TRY(s) (IS(s) ? (p += sizeof(s) - 1, 1) : 0)

/* A branch that is never taken, as the literals' are. */
#define FAIL_IF(what) do { if (__builtin_expect(what, 0)) *bad = 1; } while (0)
HOT unsigned bytes_equal(__m128i text, char c) { return _mm_movemask_epi8(_mm_cmpeq_epi8(text, _mm_set1_epi8(c))); }
/* A name of at most 31 bytes, to its closing quote. */
HOT const char *name(const char *p, int *bad) {
#ifdef __AVX2__
  __m256i text = _mm256_loadu_si256((const __m256i *)p);
  unsigned quotes = _mm256_movemask_epi8(_mm256_cmpeq_epi8(text, _mm256_set1_epi8('"')));
  unsigned special = _mm256_movemask_epi8(_mm256_or_si256(_mm256_cmpgt_epi8(_mm256_set1_epi8(' '), text),
                                                          _mm256_cmpeq_epi8(text, _mm256_set1_epi8('\\'))));
#else
  unsigned quotes = 0, special = 0;
  for (int i = 0; i < 2; i++) {
    __m128i text = load16(p + 16 * i);
    quotes |= bytes_equal(text, '"') << 16 * i;
    special |= (_mm_movemask_epi8(_mm_cmplt_epi8(text, _mm_set1_epi8(' '))) | bytes_equal(text, '\\')) << 16 * i;
  }
#endif
  FAIL_IF((quotes == 0) || ((special & (quotes ^ (quotes - 1))) != 0));
  return p + __builtin_ctz(quotes | 1u << 31);
}
#define NAME() (p = name(p, &bad))

/* The n bytes at p, at most 15, are the name of an instrument. */
HOT const Instrument *find(const char *p, unsigned n) {
  static const uint8_t keep[32] = {255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255};
  __m128i text = _mm_and_si128(load16(p), load16((const char *)keep + 16 - n));
  uint64_t low = _mm_cvtsi128_si64(text), high = _mm_extract_epi64(text, 1);
  for (unsigned h = (low ^ high * 3) * 0x9E3779B97F4A7C15ull >> 56;; h = (h + 1) & 255) {
    if (!buckets[h]) return NULL;
    const Instrument *item = &instruments[buckets[h] - 1];
    if (item->key[0] == low && item->key[1] == high) return item;
  }
}
#define SYMBOL() do { \
    unsigned symbol_bytes = __builtin_ctz(bytes_equal(load16(p), '"') | 1u << 31); \
    if (symbol_bytes > 15 || !(item = o->item = find(p, symbol_bytes))) return 0; \
    p += symbol_bytes; } while (0)
/* The same name once more. */
#define AGAIN() do { const char *was = (const char *)item->key; __m128i text = load16(p); \
    unsigned symbol_bytes = __builtin_ctz(bytes_equal(text, '"') | 1u << 31); \
    if (symbol_bytes > 15 || (~_mm_movemask_epi8(_mm_cmpeq_epi8(text, load16(was))) & ((1u << symbol_bytes) - 1))) return 0; \
    p += symbol_bytes; } while (0)

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
static const int8_t align_right[32] = {-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
                                       0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
/* A JSON integer of up to 15 digits; what is no digit behind it is for the literal that follows. */
HOT const char *whole(const char *p, int64_t *out, int *bad) {
  __m128i v = values(load16(p));
  unsigned n = __builtin_ctz(~digits(v));
  FAIL_IF((n - 1 > 14u) || ((*p == '0') & (n != 1)));
  *out = number16(_mm_shuffle_epi8(v, load16((const char *)align_right + (n & 15))));
  return p + n;
}
#define NUMBER(to) (p = whole(p, to, &bad))
/* For n bytes with `before` of them in front of the point: where the digits go, with eight in front of the point and eight behind
   it. A form that is no number has the byte behind it, which is no digit. */
static int8_t form[256][16];
static void tables(void) {
  for (int n = 0; n < 16; n++)
    for (int before = 0; before < 16; before++) {
      int decimals = before < n ? n - before - 1 : 0;
      int plain = before >= 1 && before <= 8 && before <= n && decimals <= 8 && (before == n || decimals > 0);
      for (int i = 0; i < 16; i++) {
        int from = i < 8 ? before - 8 + i : i - 8 < decimals ? before - 7 + i : -1;
        form[16 * n + before][i] = !plain ? n : from < 0 ? -1 : from;
      }
    }
}
HOT uint64_t formed(__m128i text, unsigned n, unsigned before, int *bad) {
  __m128i v = _mm_shuffle_epi8(values(text), load16((const char *)form[16 * (n & 15) + (before & 15)]));
  __m128i over = _mm_subs_epu8(v, _mm_set1_epi8(9));
  FAIL_IF(!_mm_testz_si128(over, over) || (n > 15));
  return number16(v);
}
/* A decimal to its closing quote, in units of 1e-8. */
HOT const char *decimal(const char *p, uint64_t *e8, int *bad) {
  __m128i text = load16(p);
  unsigned quotes = bytes_equal(text, '"'), n = __builtin_ctz(quotes | 1u << 16);
  *e8 = formed(text, n, __builtin_ctz(bytes_equal(text, '.') | quotes | 1u << 16), bad);
  return p + n;
}
/* The same without quotes: digits, a point, digits. */
HOT const char *bare_decimal(const char *p, uint64_t *e8, int *bad) {
  __m128i text = load16(p);
  unsigned others = ~digits(values(text)), before = __builtin_ctz(others), n = __builtin_ctz(others & (others - 1));
  *e8 = formed(text, n, before, bad);
  FAIL_IF((p[before & 15] != '.') || ((*p == '0') & (before != 1)));
  return p + n;
}
HOT int64_t counts(uint64_t e8, const Instrument *item, int what, int *bad) {
  uint64_t product = e8 * item->inverse[what], q = product >> item->shift[what] | product << (-item->shift[what] & 63);
  FAIL_IF(q > item->max[what]);
  return (int64_t)q;
}
#define DECIMAL_AS(reader, to, what) do { uint64_t e8_here; p = reader(p, &e8_here, &bad); *(to) = counts(e8_here, item, what, &bad); } while (0)
#define PRICE(to) DECIMAL_AS(decimal, to, 0)
#define QTY(to) DECIMAL_AS(decimal, to, 1)
/* Words of which the second is one byte longer: "buy" and "sell". */
#define WORD(to, first, second) do { int is_second = *p == second[0]; \
    bad |= load4(p) != (is_second ? load4(second) : load4(first "\"")); *(to) = is_second; p += 3 + is_second; } while (0)

/* The date of the first message. */
static char date[16];

/* What the including program defines: the message of this kind in [p, end), and which of its values are prices and quantities. */
static int scan_message(int kind, const char *p, const char *end, Out *o);
static const uint16_t price_values[], qty_values[];

static int ascending(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return (x > y) - (x < y);
}

static long read_instruments(const char *data) {
  uint32_t count;
  memcpy(&count, data, 4);
  for (uint32_t i = 0; i < count; i++) {
    Instrument *item = &instruments[i];
    memcpy(item->key, data + 4 + 40 * i, 16);
    for (int k = 0; k < 2; k++) {
      memcpy(&item->unit[k], data + 4 + 40 * i + 24 + 8 * k, 8);
      uint64_t odd = item->unit[k], inverse;
      while (!(odd & 1)) { odd >>= 1; item->shift[k]++; }
      inverse = odd;
      for (int n = 0; n < 6; n++) inverse *= 2 - odd * inverse;
      item->inverse[k] = inverse;
      item->max[k] = ~0ull / item->unit[k];
    }
    unsigned h = (item->key[0] ^ item->key[1] * 3) * 0x9E3779B97F4A7C15ull >> 56;
    while (buckets[h]) h = (h + 1) & 255;
    buckets[h] = i + 1;
  }
  return 4 + 40 * (long)count;
}

/* The values' sum, prices and quantities in units of 1e-8 again. */
static uint64_t sum_of(int kind, const Out *o) {
  uint64_t sum = 0, tick = o->item ? o->item->unit[0] : 1, lot = o->item ? o->item->unit[1] : 1;
  for (int j = 0; j < VALUES; j++)
    sum += (2 * j + 1) * (uint64_t)o->v[j] * (price_values[kind] >> j & 1 ? tick : qty_values[kind] >> j & 1 ? lot : 1);
  for (int j = 0; j < o->levels; j++) sum += o->level[2 * j] * tick + 3 * o->level[2 * j + 1] * lot;
  return sum;
}

int main(int argc, char **argv) {
  FILE *f = argc >= 3 ? fopen(argv[1], "rb") : NULL;
  if (!f) { fprintf(stderr, "usage: %s FRAMES ROUNDS [BATCH]\n", argv[0]); return 2; }
  int rounds = atoi(argv[2]), batch = argc > 3 ? atoi(argv[3]) : 16;
  fseek(f, 0, SEEK_END);
  long size = ftell(f);
  rewind(f);
  char *data = calloc(1, size + 64);
  const char **frames = malloc((size / 8 + 2) * sizeof *frames), **ends = malloc((size / 8 + 2) * sizeof *ends);
  if (fread(data, 1, size, f) != (size_t)size) return 1;
  tables();
  static Out o;
  for (long i = read_instruments(data); i < size;) {
    uint32_t kind, bytes, other;
    memcpy(&kind, data + i, 4);
    const char *year = strstr(data + i + 8, "\"20");
    if (year) memcpy(date, year + 1, 11);
    long n = 0;
    for (; i < size; i += 8 + bytes) {
      memcpy(&other, data + i, 4);
      if (other != kind) break;
      memcpy(&bytes, data + i + 4, 4);
      frames[n] = data + i + 8;
      ends[n++] = data + i + 8 + bytes;
    }
    uint64_t checksum = 0;
    for (long k = 0; k < n; k++) {
      memset(o.v, 0, sizeof o.v);
      o.levels = 0;
      if (!scan_message(kind, frames[k], ends[k], &o)) {
        fprintf(stderr, "kind %u, frame %ld: expected the known text\n", kind, k);
        return 1;
      }
      checksum += sum_of(kind, &o);
    }
    long groups = n / batch, total = groups * rounds, at = 0;
    uint64_t *cycles = malloc((total + 1) * sizeof *cycles);
    int ok = 1;
    for (int r = 0; r < rounds; r++)
      for (long g = 0; g < groups; g++) {
        uint64_t start = __rdtsc();
        for (int k = 0; k < batch; k++) ok &= scan_message(kind, frames[g * batch + k], ends[g * batch + k], &o);
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
