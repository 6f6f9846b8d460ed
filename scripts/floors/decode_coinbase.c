/* Floor of the Coinbase decoder: the least that hand-written C needs to turn a message of known text into int64. Fixed key
   order, literals compared, SSE or AVX2 to find closing quotes and to find a number's point, prices and quantities
   in units of 1e-8, times in ns of their day (the date is compared with the first one's). No symbol lookup, no grid, no names
   checked, no end of the frame, no records, no fallback: text that is not exactly as expected is counted as a failure.

   Build: cc -O3 -march=<the build's> decode_coinbase.c -o decode_coinbase      Run: ./decode_coinbase FRAMES ROUNDS [BATCH]
   FRAMES holds, for each frame: uint32 kind, uint32 size, bytes; kinds one after the other (scripts/decode_cases/coinbase.py).
   Prints one line a kind: kind n p50 p99 p999 max checksum, in cycles of a batch of BATCH (16) messages. */
#include <immintrin.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <x86intrin.h>

enum { L2UPDATE, MATCH, EXCHANGE_TICKER, L2_DATA, MARKET_TRADES, TICKER };
enum { VALUES = 64 };
typedef struct { int64_t v[VALUES]; int count, levels; int64_t level[2 * 65536]; } Out;

#define HOT static inline __attribute__((always_inline))
HOT uint64_t load8(const char *p) { uint64_t v; memcpy(&v, p, 8); return v; }
HOT __m128i load16(const char *p) { return _mm_loadu_si128((const __m128i *)p); }
HOT int same(const char *p, const char *s, size_t n) {
  if (n > 16) {
    __m128i differs = _mm_xor_si128(load16(p + n - 16), load16(s + n - 16));
    for (size_t i = 0; i + 16 < n; i += 16) differs = _mm_or_si128(differs, _mm_xor_si128(load16(p + i), load16(s + i)));
    return _mm_testz_si128(differs, differs);
  }
  if (n >= 8) return ((load8(p) ^ load8(s)) | (load8(p + n - 8) ^ load8(s + n - 8))) == 0;
  return (load8(p) ^ load8(s)) << (64 - 8 * n) == 0;
}
/* Padded, so that a load of eight bytes stays inside the literal's array. */
#define LIT(s) do { if (!same(p, s "\0\0\0\0\0\0\0", sizeof(s) - 1)) return 0; p += sizeof(s) - 1; } while (0)

HOT const char *skip(const char *p) {
  for (;; p += 16) {
    unsigned m = _mm_movemask_epi8(_mm_cmpeq_epi8(load16(p), _mm_set1_epi8('"')));
    if (m) return p + __builtin_ctz(m);
  }
}
static const uint64_t pow10[16] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};
static const int8_t align_right[32] = {-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
                                       0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
/* 16 digit values, most significant first, to their number. */
HOT uint64_t number16(__m128i d) {
  d = _mm_maddubs_epi16(d, _mm_set1_epi16(0x010A));
  d = _mm_madd_epi16(d, _mm_set1_epi32(0x00010064));
  d = _mm_packus_epi32(d, d);
  d = _mm_madd_epi16(d, _mm_set1_epi32(0x00012710));
  uint64_t halves = _mm_cvtsi128_si64(d);
  return (uint32_t)halves * 100000000ull + (halves >> 32);
}
HOT const char *whole(const char *p, int64_t *out, int *digits) {
  __m128i v = _mm_sub_epi8(load16(p), _mm_set1_epi8('0'));
  int n = __builtin_ctz(~_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(9)), v)));
  *out = number16(_mm_shuffle_epi8(v, load16((const char *)align_right + n)));
  *digits = n;
  return p + n;
}
/* For n bytes with `whole` of them in front of the point: where the digits go, and what takes their number to 1e-8. */
static int8_t form_align[273][16];
static uint64_t form_scale[273];
static void tables(void) {
  for (int n = 1; n <= 15; n++)
    for (int whole = 1; whole <= n; whole++) {
      int point = whole < n, decimals = n - whole - point, row = 16 * n + whole;
      if (decimals > 8) continue;
      for (int i = 0; i < 16; i++) {
        int from = i - 16 + n - point;
        form_align[row][i] = from < 0 ? -1 : from < whole ? from : from + 1;
      }
      form_scale[row] = pow10[8 - decimals];
    }
}
HOT const char *decimal(const char *p, int64_t *out, int *bad) {
  __m128i text = load16(p);
  unsigned quotes = _mm_movemask_epi8(_mm_cmpeq_epi8(text, _mm_set1_epi8('"')));
  unsigned points = _mm_movemask_epi8(_mm_cmpeq_epi8(text, _mm_set1_epi8('.')));
  unsigned n = __builtin_ctz(quotes | 0x10000), row = 16 * n + __builtin_ctz(points | quotes | 0x10000);
  __m128i v = _mm_shuffle_epi8(_mm_sub_epi8(text, _mm_set1_epi8('0')), load16((const char *)form_align[row]));
  __m128i over = _mm_subs_epu8(v, _mm_set1_epi8(9));
  *bad |= !_mm_testz_si128(over, over) | (form_scale[row] == 0);
  *out = number16(v) * form_scale[row];
  return p + n;
}
static char date[11];
/* 2026-08-09T21:05:48.264069Z */
HOT const char *moment(const char *p, int64_t *out, int *bad) {
  __m128i v = _mm_xor_si128(_mm_loadl_epi64((const __m128i *)(p + 11)), _mm_cvtsi64_si128(0x30303A30303A3030ll));
  uint64_t sums = _mm_cvtsi128_si64(_mm_madd_epi16(_mm_maddubs_epi16(v, _mm_cvtsi64_si128(0x010A00010A00010All)),
                                                   _mm_cvtsi64_si128(0x0001003C003C0E10ll)));
  *bad |= (load8(p) != load8(date)) | (p[19] != '.');
  int64_t fraction;
  int n;
  p = whole(p + 20, &fraction, &n);
  *out = (int64_t)((sums >> 32) + (uint32_t)sums) * 1000000000ll + fraction * (int64_t)pow10[(9 - n) & 15];
  *bad |= ((unsigned)(n - 2) > 7) | (*p != 'Z');
  return p + 1;
}
/* 36 bytes of a UUID to the sum of its halves. */
HOT uint64_t hex16(__m128i c) {
  __m128i letter = _mm_cmpgt_epi8(c, _mm_set1_epi8('9'));
  __m128i v = _mm_add_epi8(_mm_and_si128(c, _mm_set1_epi8(15)), _mm_and_si128(letter, _mm_set1_epi8(9)));
  __m128i bytes = _mm_maddubs_epi16(v, _mm_set1_epi16(0x0110));
  return __builtin_bswap64((uint64_t)_mm_cvtsi128_si64(_mm_packus_epi16(bytes, bytes)));
}
HOT const char *uuid(const char *p, int64_t *high, int64_t *low) {
  __m128i middle = _mm_shuffle_epi8(load16(p + 9), _mm_setr_epi8(-1, -1, -1, -1, -1, -1, -1, -1, 0, 1, 2, 3, 5, 6, 7, 8));
  *high = (int64_t)hex16(_mm_blend_epi16(load16(p), middle, 0xF0));
  *low = (int64_t)hex16(_mm_blend_epi16(load16(p + 20), load16(p + 19), 0x03));
  return p + 36;
}
#define NUMBER(to) (p = whole(p, to, &digits))
#define DECIMAL(to) (p = decimal(p, to, &bad))
#define TIME(to) (p = moment(p, to, &bad))

static __attribute__((noinline)) int scan_message(int kind, const char *p, Out *o) {
  int bad = 0, digits, other;
  int64_t ignored;
  const char *run, *q;
  switch (kind) {
    case L2UPDATE:
      LIT("{\"type\":\"l2update\",\"product_id\":\""); p = skip(p); LIT("\",\"changes\":[[\"");
      o->levels = 0;
      for (;;) {
        o->v[2] = other = *p == 's'; p += 3 + other; LIT("\",\"");
        DECIMAL(&o->level[2 * o->levels]); LIT("\",\""); DECIMAL(&o->level[2 * o->levels + 1]);
        o->levels++;
        if (!same(p, "\"],[\"\0\0", 5)) break;
        p += 5;
      }
      LIT("\"]],\"time\":\""); TIME(&o->v[0]); LIT("\"}");
      return !bad;
    case MATCH:
      LIT("{\"type\":\"match\",\"trade_id\":"); NUMBER(&o->v[0]); LIT(",\"maker_order_id\":\""); p = uuid(p, &o->v[1], &o->v[2]);
      LIT("\",\"taker_order_id\":\""); p = skip(p + 30); LIT("\",\"side\":\""); other = *p == 's'; o->v[3] = other; p += 3 + other;
      LIT("\",\"size\":\""); DECIMAL(&o->v[4]); LIT("\",\"price\":\""); DECIMAL(&o->v[5]); LIT("\",\"product_id\":\""); p = skip(p);
      LIT("\",\"sequence\":"); NUMBER(&o->v[6]); LIT(",\"time\":\""); TIME(&o->v[7]); LIT("\"}");
      return !bad;
    case EXCHANGE_TICKER:
      LIT("{\"type\":\"ticker\",\"sequence\":"); NUMBER(&ignored); LIT(",\"product_id\":\""); p = skip(p);
      LIT("\",\"price\":\""); p = skip(p); LIT("\",\"open_24h\":\""); p = skip(p); LIT("\",\"volume_24h\":\""); p = skip(p);
      LIT("\",\"low_24h\":\""); p = skip(p); LIT("\",\"high_24h\":\""); p = skip(p); LIT("\",\"volume_30d\":\""); p = skip(p);
      LIT("\",\"best_bid\":\""); DECIMAL(&o->v[0]); LIT("\",\"best_bid_size\":\""); DECIMAL(&o->v[1]);
      LIT("\",\"best_ask\":\""); DECIMAL(&o->v[2]); LIT("\",\"best_ask_size\":\""); DECIMAL(&o->v[3]);
      LIT("\",\"side\":\""); p = skip(p); LIT("\",\"time\":\""); TIME(&o->v[4]);
      LIT("\",\"trade_id\":"); NUMBER(&ignored); LIT(",\"last_size\":\""); p = skip(p); LIT("\"}");
      return !bad;
    case L2_DATA:
      LIT("{\"channel\":\"l2_data\",\"timestamp\":\""); p = skip(p); LIT("\",\"sequence_num\":"); NUMBER(&o->v[0]);
      LIT(",\"events\":[{\"type\":\""); p = skip(p); LIT("\",\"product_id\":\""); p = skip(p); LIT("\",\"updates\":[{\"side\":\"");
      o->levels = 0;
      run = NULL;
      long run_bytes = 0;
      for (;;) {
        o->v[2] = other = *p == 'o'; p += 3 + 2 * other;
        if (run) {
          __m128i d = _mm_or_si128(_mm_or_si128(_mm_xor_si128(load16(p), load16(run)), _mm_xor_si128(load16(p + 16), load16(run + 16))),
                                   _mm_or_si128(_mm_xor_si128(load16(p + 32), load16(run + 32)),
                                                _mm_xor_si128(load16(p + run_bytes - 16), load16(run + run_bytes - 16))));
          if (!_mm_testz_si128(d, d)) return 0;
          p += run_bytes;
        } else {
          q = p;
          LIT("\",\"event_time\":\""); TIME(&o->v[1]); LIT("\",\"price_level\":\"");
          run = q;
          run_bytes = p - q;
        }
        DECIMAL(&o->level[2 * o->levels]); LIT("\",\"new_quantity\":\""); DECIMAL(&o->level[2 * o->levels + 1]);
        if (++o->levels == 65536) return 0;
        if (!same(p, "\"},{\"side\":\"", 12)) break;
        p += 12;
      }
      LIT("\"}]}]}");
      return !bad;
    case MARKET_TRADES:
      LIT("{\"channel\":\"market_trades\",\"timestamp\":\""); p = skip(p); LIT("\",\"sequence_num\":"); NUMBER(&o->v[0]);
      LIT(",\"events\":[{\"type\":\""); p = skip(p); LIT("\",\"trades\":[{\"product_id\":\"");
      o->levels = 0;
      for (;;) {
        p = skip(p); LIT("\",\"trade_id\":\""); NUMBER(&o->v[1]); LIT("\",\"price\":\""); DECIMAL(&o->level[2 * o->levels]);
        LIT("\",\"size\":\""); DECIMAL(&o->level[2 * o->levels + 1]); LIT("\",\"time\":\""); TIME(&o->v[2]);
        LIT("\",\"side\":\""); other = *p == 'S'; o->v[3] = other; p += 3 + other;
        o->levels++;
        if (!same(p, "\"},{\"product_id\":\"", 18)) break;
        p += 18;
      }
      LIT("\"}]}]}");
      return !bad;
    case TICKER:
      LIT("{\"channel\":\"ticker\",\"timestamp\":\""); TIME(&o->v[4]); LIT("\",\"sequence_num\":"); NUMBER(&o->v[5]);
      LIT(",\"events\":[{\"type\":\""); p = skip(p); LIT("\",\"tickers\":[{\"type\":\"ticker\",\"product_id\":\""); p = skip(p);
      LIT("\",\"price\":\""); p = skip(p); LIT("\",\"volume_24_h\":\""); p = skip(p); LIT("\",\"low_24_h\":\""); p = skip(p);
      LIT("\",\"high_24_h\":\""); p = skip(p); LIT("\",\"low_52_w\":\""); p = skip(p); LIT("\",\"high_52_w\":\""); p = skip(p);
      LIT("\",\"price_percent_chg_24_h\":\""); p = skip(p); LIT("\",\"best_bid\":\""); DECIMAL(&o->v[0]);
      LIT("\",\"best_ask\":\""); DECIMAL(&o->v[2]); LIT("\",\"best_bid_quantity\":\""); DECIMAL(&o->v[1]);
      LIT("\",\"best_ask_quantity\":\""); DECIMAL(&o->v[3]); LIT("\"}]}]}");
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
  if (!f) { fprintf(stderr, "usage: decode_coinbase FRAMES ROUNDS [BATCH]\n"); return 2; }
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
    const char *year = strstr(data + i + 8, "\"20");
    if (!year) return 1;
    memcpy(date, year + 1, 11);
    long n = 0;
    for (; i < size; i += 8 + bytes) {
      memcpy(&other, data + i, 4);
      if (other != kind) break;
      memcpy(&bytes, data + i + 4, 4);
      frames[n++] = data + i + 8;
    }
    uint64_t checksum = 0;
    for (long k = 0; k < n; k++) {
      o.levels = 0;
      memset(o.v, 0, sizeof o.v);
      if (!scan_message(kind, frames[k], &o)) { fprintf(stderr, "kind %u, frame %ld: expected the known text\n", kind, k); return 1; }
      for (int j = 0; j < VALUES; j++) checksum += (2 * j + 1) * (uint64_t)o.v[j];
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
