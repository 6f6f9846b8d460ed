/* CRC-32 as zlib computes it (reflected polynomial 0xEDB88320), whole or from parts. Used by market/checksum.pxd; stateless
   but for the tables, which crc32_setup fills once.

   Two implementations with one result: carry-less multiplication (PCLMULQDQ, chosen at run time, since the -march levels leave
   it out) and tables with eight bytes a step. A "raw" CRC starts from 0 and is not inverted: it is linear, zero bytes in front
   of the text do not change it, and the raw CRC of two texts in a row is raw(a) * x^(8 * bytes of b) + raw(b) in GF(2)[x]
   modulo the polynomial. So a text of many parts needs only the raw CRC and the length of each part, all of them independent
   of each other, and one reduction at the end.

   Folding and Barrett reduction: V. Gopal et al., "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ Instruction",
   Intel, 2009. The constants are powers of x modulo the polynomial; tests/ext/tickpath/market/test_checksum.py derives them. */
#ifndef TICKPATH_CRC32_H
#define TICKPATH_CRC32_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#define TP_CRC32_JOIN_BYTES 4800     /* the longest text that crc32_join can take */

typedef struct {
  uint32_t crc;                      /* raw */
  uint32_t bytes;                    /* 0: there is no such part, and crc is 0 as well */
} TpCrcPart;

#define TP_CRC32_PLACES 48           /* bytes of one part that is put together from digits */
#define TP_CRC32_BEHIND 18           /* zeros at a number's end that can be left out */

static uint32_t tp_crc32_table[8][256];
static uint32_t tp_crc32_shift[TP_CRC32_JOIN_BYTES + 1];     /* [n] = x^(8 n) modulo the polynomial */
/* Raw CRCs of what stands `place` bytes before the end of a text: two digits less their '0's ([TP_CRC32_BEHIND + place], and
   place may be negative, for digits of 0 behind the end), a byte less '0', and of that many '0's. Taking '0' away makes zeros
   vanish, in front of a number and behind it, so that no step depends on how many digits it has. */
static uint32_t tp_crc32_pair[TP_CRC32_BEHIND + TP_CRC32_PLACES][100];
static uint32_t tp_crc32_colon[TP_CRC32_PLACES], tp_crc32_point[TP_CRC32_PLACES];
static uint32_t tp_crc32_zeros[TP_CRC32_PLACES + 1];

/* x^n modulo the polynomial, reflected into 32 bits and shifted left by one, as the folding multiplications want it. */
#define TP_FOLD_544 0x154442bd4ull
#define TP_FOLD_480 0x1c6e41596ull
#define TP_FOLD_160 0x1751997d0ull
#define TP_FOLD_96 0x0ccaa009eull
#define TP_FOLD_64 0x163cd6124ull
#define TP_POLYNOMIAL 0x1db710641ull
#define TP_BARRETT 0x1f7011641ull    /* x^64 divided by the polynomial */

/* The product of two residues: bit 31 of either is x^0. */
static inline uint32_t tp_crc32_multiply_portable(uint32_t a, uint32_t b) {
  uint32_t product = 0;
  for (int i = 31; i >= 0; i--) {
    product ^= b & -(a >> i & 1u);
    b = b >> 1 ^ (0xEDB88320u & -(b & 1u));
  }
  return product;
}

/* Fills the tables; 1 when this processor multiplies without carries. Calling it again changes nothing. */
static inline int tp_crc32_setup(void) {
  for (uint32_t i = 0; i < 256; i++) {
    uint32_t c = i;
    for (int k = 0; k < 8; k++) c = c >> 1 ^ (0xEDB88320u & -(c & 1u));
    tp_crc32_table[0][i] = c;
  }
  for (int t = 1; t < 8; t++)
    for (int i = 0; i < 256; i++)
      tp_crc32_table[t][i] = tp_crc32_table[t - 1][i] >> 8 ^ tp_crc32_table[0][tp_crc32_table[t - 1][i] & 255];
  uint32_t c = 0x80000000u;
  for (int n = 0; n <= TP_CRC32_JOIN_BYTES; n++) {
    tp_crc32_shift[n] = c;
    c = c >> 8 ^ tp_crc32_table[0][c & 255];
  }
  /* Back from x^0: the top byte of a table's entry tells which it is. */
  uint32_t shift = 0x80000000u;
  for (int n = 0; n < TP_CRC32_BEHIND; n++) {
    uint32_t i = 0;
    while (tp_crc32_table[0][i] >> 24 != shift >> 24) i++;
    shift = (shift ^ tp_crc32_table[0][i]) << 8 | i;
  }
  for (int k = 0; k < TP_CRC32_BEHIND + TP_CRC32_PLACES; k++) {
    const uint32_t following = shift >> 8 ^ tp_crc32_table[0][shift & 255];
    uint32_t low[10], high[10];
    for (uint32_t digit = 0; digit < 10; digit++) {
      low[digit] = tp_crc32_multiply_portable(tp_crc32_table[0][digit], shift);
      high[digit] = tp_crc32_multiply_portable(tp_crc32_table[0][digit], following);
    }
    for (int pair = 0; pair < 100; pair++) tp_crc32_pair[k][pair] = high[pair / 10] ^ low[pair % 10];
    const int place = k - TP_CRC32_BEHIND;
    if (place >= 0) {
      tp_crc32_colon[place] = tp_crc32_multiply_portable(tp_crc32_table[0][':' ^ '0'], shift);
      tp_crc32_point[place] = tp_crc32_multiply_portable(tp_crc32_table[0]['.' ^ '0'], shift);
      tp_crc32_zeros[place + 1] = tp_crc32_zeros[place] ^ tp_crc32_multiply_portable(tp_crc32_table[0]['0'], shift);
    }
    shift = following;
  }
  __builtin_cpu_init();
  return __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1");
}

/* ---- tables */

static inline uint32_t tp_crc32_update_portable(uint32_t crc, const unsigned char *p, size_t n) {
  for (; n >= 8; p += 8, n -= 8) {
    uint64_t v;
    memcpy(&v, p, 8);
    v ^= crc;
    crc = tp_crc32_table[7][v & 255] ^ tp_crc32_table[6][v >> 8 & 255] ^ tp_crc32_table[5][v >> 16 & 255]
          ^ tp_crc32_table[4][v >> 24 & 255] ^ tp_crc32_table[3][v >> 32 & 255] ^ tp_crc32_table[2][v >> 40 & 255]
          ^ tp_crc32_table[1][v >> 48 & 255] ^ tp_crc32_table[0][v >> 56];
  }
  for (; n; p++, n--) crc = crc >> 8 ^ tp_crc32_table[0][(crc ^ *p) & 255];
  return crc;
}

/* ---- digits without text */

/* Raw CRC of a number below 10^8 whose last digit stands at t[0], less its '0's. */
static inline uint32_t tp_crc32_digits8(uint32_t v, const uint32_t (*t)[100]) {
  const uint32_t high = v / 10000, low = v - high * 10000, high_high = high / 100, low_high = low / 100;
  return t[0][low - low_high * 100] ^ t[2][low_high] ^ t[4][high - high_high * 100] ^ t[6][high_high];
}

/* The same for any number; -TP_CRC32_BEHIND <= place <= TP_CRC32_PLACES - 20. The second guesses how long the number is,
   the first is for quantities around 10^8, where the guess would often be wrong. */
static inline uint32_t tp_crc32_digits16(uint64_t v, int place) {
  const uint32_t (*t)[100] = tp_crc32_pair + TP_CRC32_BEHIND + place;
  const uint64_t high = v / 100000000;
  const uint32_t crc = tp_crc32_digits8((uint32_t)(v - high * 100000000), t);
  if (__builtin_expect(high < 100000000, 1)) return crc ^ tp_crc32_digits8((uint32_t)high, t + 8);
  const uint32_t top = (uint32_t)(high / 100000000);
  return crc ^ tp_crc32_digits8((uint32_t)(high - (uint64_t)top * 100000000), t + 8) ^ t[16][top % 100] ^ t[18][top / 100];
}
static inline uint32_t tp_crc32_digits(uint64_t v, int place) {
  const uint32_t (*t)[100] = tp_crc32_pair + TP_CRC32_BEHIND + place;
  if (v < 10000) return t[0][v % 100] ^ t[2][v / 100];
  return v < 100000000 ? tp_crc32_digits8((uint32_t)v, t) : tp_crc32_digits16(v, place);
}

/* Zeros at the end of a number from 1 to 10^18 - 1. */
static inline int tp_trailing_zeros(uint64_t v) {
  int behind = 0;
  while (__builtin_expect(v >= 100000000 && v % 100000000 == 0, 0)) {
    v /= 100000000;
    behind += 8;
  }
  const uint64_t last = v % 100000000, high = last / 10000;
  /* Eight digits in eight bytes, the first one lowest: two, then four, then eight lanes of one multiplication each. */
  uint64_t x = high | (last - high * 10000) << 32;
  uint64_t q = x * 10486 >> 20 & 0x0000007F0000007Full;
  x = q | (x - q * 100) << 16;
  q = x * 103 >> 10 & 0x000F000F000F000Full;
  x = q | (x - q * 10) << 8;
  return behind + (__builtin_clzll(x) >> 3);
}

/* ---- carry-less multiplication */

#define TP_CLMUL __attribute__((target("pclmul,sse4.1")))

/* A 64-bit reflected polynomial (bit 63 is x^0) modulo the polynomial. */
TP_CLMUL static inline uint32_t tp_crc32_reduce64(__m128i v) {
  const __m128i low = _mm_set_epi32(0, 0, 0, -1);
  const __m128i barrett = _mm_set_epi64x(TP_BARRETT, TP_POLYNOMIAL);
  __m128i q = _mm_and_si128(_mm_clmulepi64_si128(_mm_and_si128(v, low), barrett, 0x10), low);
  return (uint32_t)_mm_extract_epi32(_mm_xor_si128(v, _mm_clmulepi64_si128(q, barrett, 0x00)), 1);
}

/* 16 bytes behind which nothing comes. */
TP_CLMUL static inline uint32_t tp_crc32_reduce128(__m128i v) {
  const __m128i low = _mm_set_epi32(0, 0, 0, -1);
  v = _mm_xor_si128(_mm_srli_si128(v, 8), _mm_clmulepi64_si128(v, _mm_set_epi64x(0, TP_FOLD_96), 0x00));
  v = _mm_xor_si128(_mm_srli_si128(v, 4), _mm_clmulepi64_si128(_mm_and_si128(v, low), _mm_set_epi64x(0, TP_FOLD_64), 0x00));
  return tp_crc32_reduce64(v);
}

TP_CLMUL static inline __m128i tp_crc32_fold(__m128i v, __m128i by, __m128i next) {
  return _mm_xor_si128(_mm_xor_si128(_mm_clmulepi64_si128(v, by, 0x00), _mm_clmulepi64_si128(v, by, 0x11)), next);
}

#define TP_LOAD(p) _mm_loadu_si128((const __m128i *)(p))

TP_CLMUL static inline uint32_t tp_crc32_update_clmul(uint32_t crc, const unsigned char *p, size_t n) {
  if (n < 16) return tp_crc32_update_portable(crc, p, n);
  const __m128i by16 = _mm_set_epi64x(TP_FOLD_96, TP_FOLD_160);
  __m128i v = _mm_xor_si128(TP_LOAD(p), _mm_cvtsi32_si128((int)crc));
  p += 16;
  n -= 16;
  if (n >= 112) {
    /* Four independent chains: one multiplication takes several cycles, but four fit in them. */
    const __m128i by64 = _mm_set_epi64x(TP_FOLD_480, TP_FOLD_544);
    __m128i b = TP_LOAD(p), c = TP_LOAD(p + 16), d = TP_LOAD(p + 32);
    for (p += 48, n -= 48; n >= 64; p += 64, n -= 64) {
      v = tp_crc32_fold(v, by64, TP_LOAD(p));
      b = tp_crc32_fold(b, by64, TP_LOAD(p + 16));
      c = tp_crc32_fold(c, by64, TP_LOAD(p + 32));
      d = tp_crc32_fold(d, by64, TP_LOAD(p + 48));
    }
    v = tp_crc32_fold(tp_crc32_fold(tp_crc32_fold(v, by16, b), by16, c), by16, d);
  }
  for (; n >= 16; p += 16, n -= 16) v = tp_crc32_fold(v, by16, TP_LOAD(p));
  return tp_crc32_update_portable(tp_crc32_reduce128(v), p, n);
}

/* CRC-32 of the parts in a row. `seed` takes the place of 0xFFFFFFFF, and `skip` bytes (0 or 1) of the first part, whose
   effect the seed already undoes, do not count. */
TP_CLMUL __attribute__((noinline)) static uint32_t tp_crc32_join_clmul(const TpCrcPart *parts, int count, uint32_t seed,
                                                                       uint32_t skip) {
  __m128i sum = _mm_setzero_si128();
  uint32_t behind = 0;
  for (int i = count - 1; i >= 0; i--) {
    sum = _mm_xor_si128(sum, _mm_clmulepi64_si128(_mm_cvtsi32_si128((int)parts[i].crc),
                                                  _mm_cvtsi32_si128((int)tp_crc32_shift[behind]), 0x00));
    behind += parts[i].bytes;
  }
  if (behind == 0) return 0;
  sum = _mm_xor_si128(sum, _mm_clmulepi64_si128(_mm_cvtsi32_si128((int)seed),
                                                _mm_cvtsi32_si128((int)tp_crc32_shift[behind - skip]), 0x00));
  /* Two reflected 32-bit factors make 63 bits with x^0 at bit 62. */
  return ~tp_crc32_reduce64(_mm_slli_epi64(sum, 1));
}

__attribute__((noinline)) static uint32_t tp_crc32_join_portable(const TpCrcPart *parts, int count, uint32_t seed, uint32_t skip) {
  uint32_t sum = 0, behind = 0;
  for (int i = count - 1; i >= 0; i--) {
    sum ^= tp_crc32_multiply_portable(parts[i].crc, tp_crc32_shift[behind]);
    behind += parts[i].bytes;
  }
  if (behind == 0) return 0;
  return ~(sum ^ tp_crc32_multiply_portable(seed, tp_crc32_shift[behind - skip]));
}

#endif
