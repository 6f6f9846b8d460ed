/* Floor of the book checksum: the plainest ladder (floors/book.c's, without its best index), and three ways to the checksum
   of its top that keep nothing but the ladder, or the levels' text.
     0 plain    every level rendered, the text joined, CRC-32 by tables, eight bytes a step, as zlib has it
     1 folded   the same, CRC-32 by carry-less multiplication
     2 text     the text of each level kept by price, joined by copying, CRC-32 by carry-less multiplication

   Build: cc -O3 -march=<the build's> checksum.c -o checksum    Run: ./checksum STREAM WAY PASSES     (see bench_checksum.py)
   STREAM: int64 kind (1 Kraken, 2 OKX), books, messages; of each book base_ticks, price_factor, qty_factor, price_decimals,
   qty_decimals; of each message book, changes, and of each change side, price_ticks, qty_lots.
   Prints of each message the fewest cycles of the passes, less those of the clock, and the checksum. */
#include "../../ext/tickpath/market/crc32.h"
#include <stdio.h>
#include <stdlib.h>

enum { TICKS = 1 << 18, WORDS = TICKS / 64, TEXT = 96, KEPT = 256 };
typedef struct { int64_t base_ticks, price_factor, qty_factor, price_decimals, qty_decimals; } Rules;
typedef struct { int64_t price, qty; int bytes; char text[TEXT]; } Level;
typedef struct {
  int64_t qty[2][TICKS];
  uint64_t live[2][WORDS];
  int64_t best[2];
  Level kept[2][KEPT];
  Rules rules;
} Book;
static int kind, way;
static const int64_t power10[19] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000, 10000000000,
  100000000000, 1000000000000, 10000000000000, 100000000000000, 1000000000000000, 10000000000000000, 100000000000000000,
  1000000000000000000};

static void set_level(Book *b, int side, int64_t price, int64_t qty) {
  const int64_t i = price - b->rules.base_ticks;
  if ((uint64_t)i >= TICKS) return;
  b->qty[side][i] = qty;
  if (qty) b->live[side][i >> 6] |= 1ull << (i & 63);
  else b->live[side][i >> 6] &= ~(1ull << (i & 63));
}
static int64_t next(const Book *b, int side, int64_t i) {   /* from i on, i included; -1: none */
  if ((uint64_t)i >= TICKS) return -1;
  int64_t w = i >> 6;
  uint64_t x = b->live[side][w] & (side ? ~0ull << (i & 63) : ~0ull >> (63 - (i & 63)));
  while (!x) {
    w += side ? 1 : -1;
    if ((uint64_t)w >= WORDS) return -1;
    x = b->live[side][w];
  }
  return w * 64 + (side ? __builtin_ctzll(x) : 63 - __builtin_clzll(x));
}
static char *write_digits(char *out, uint64_t v) {
  char text[20];
  int n = 0;
  do text[n++] = (char)('0' + v % 10); while (v /= 10);
  while (n) *out++ = text[--n];
  return out;
}
static char *write_decimal(char *out, uint64_t v, int decimals) {
  uint64_t whole = v / (uint64_t)power10[decimals], fraction = v % (uint64_t)power10[decimals];
  out = write_digits(out, whole);
  if (!fraction) return out;
  while (fraction % 10 == 0) fraction /= 10, decimals--;
  *out = '.';
  for (int i = decimals; i; i--, fraction /= 10) out[i] = (char)('0' + fraction % 10);
  return out + 1 + decimals;
}
static char *write_level(char *out, const Rules *r, int64_t price, int64_t qty) {
  if (kind == 1) return write_digits(write_digits(out, (uint64_t)(price * r->price_factor)), (uint64_t)(qty * r->qty_factor));
  out = write_decimal(out, (uint64_t)(price * r->price_factor), (int)r->price_decimals);
  *out++ = ':';
  out = write_decimal(out, (uint64_t)(qty * r->qty_factor), (int)r->qty_decimals);
  *out++ = ':';
  return out;
}
static char *add_level(Book *b, char *out, int side, int64_t i) {
  const int64_t price = b->rules.base_ticks + i, qty = b->qty[side][i];
  if (way != 2) return write_level(out, &b->rules, price, qty);
  Level *l = &b->kept[side][(uint64_t)price * 0x9E3779B97F4A7C15ull >> 56];
  if (l->price != price || l->qty != qty) {
    l->price = price, l->qty = qty;
    l->bytes = (int)(write_level(l->text, &b->rules, price, qty) - l->text);
  }
  memcpy(out, l->text, 32);
  if (l->bytes > 32) memcpy(out + 32, l->text + 32, 64);
  return out + l->bytes;
}
static __attribute__((noinline)) uint32_t checksum(Book *b) {
  char text[50 * TEXT], *out = text;
  if (kind == 1) {
    for (int side = 1; side >= 0; side--) {
      int64_t i = next(b, side, b->best[side]);
      for (int n = 0; n < 10 && i >= 0; n++, i = next(b, side, i + (side ? 1 : -1))) out = add_level(b, out, side, i);
    }
  } else {
    int64_t bid = next(b, 0, b->best[0]), ask = next(b, 1, b->best[1]);
    for (int n = 0; n < 25 && (bid >= 0 || ask >= 0); n++) {
      if (bid >= 0) out = add_level(b, out, 0, bid), bid = next(b, 0, bid - 1);
      if (ask >= 0) out = add_level(b, out, 1, ask), ask = next(b, 1, ask + 1);
    }
    if (out > text) out--;
  }
  return ~(way ? tp_crc32_update_clmul : tp_crc32_update_portable)(~0u, (const unsigned char *)text, (size_t)(out - text));
}
static inline uint64_t cycles_now(void) {
  _mm_lfence();
  uint64_t v = __builtin_ia32_rdtsc();
  _mm_lfence();
  return v;
}

int main(int argc, char **argv) {
  FILE *f = argc == 4 ? fopen(argv[1], "rb") : NULL;
  int64_t head[3];
  if (!f || fread(head, 8, 3, f) != 3) { fprintf(stderr, "usage: checksum STREAM WAY PASSES\n"); return 2; }
  kind = (int)head[0];
  way = atoi(argv[2]);
  if (!tp_crc32_setup() && way) { fprintf(stderr, "checksum: way %d needs PCLMULQDQ\n", way); return 2; }
  Book *books = calloc((size_t)head[1], sizeof *books);
  Rules *rules = malloc((size_t)head[1] * sizeof *rules);
  long start = 24 + 40 * (long)head[1];
  if (fread(rules, sizeof *rules, (size_t)head[1], f) != (size_t)head[1]) return 2;
  fseek(f, 0, SEEK_END);
  const long words = (ftell(f) - start) / 8;
  int64_t *stream = malloc((size_t)words * 8), *least = malloc((size_t)head[2] * 8);
  fseek(f, start, SEEK_SET);
  if (fread(stream, 8, (size_t)words, f) != (size_t)words) return 2;
  uint32_t *found = malloc((size_t)head[2] * 4);
  uint64_t clock = ~0ull;
  for (int i = 0; i < 10000; i++) {
    uint64_t begin = cycles_now(), v = cycles_now() - begin;
    if (v < clock) clock = v;
  }
  for (int pass = 0; pass < atoi(argv[3]); pass++) {
    memset(books, 0, (size_t)head[1] * sizeof *books);
    for (int64_t k = 0; k < head[1]; k++) books[k].rules = rules[k];
    const int64_t *p = stream;
    for (int64_t m = 0; m < head[2]; m++) {
      Book *b = &books[p[0]];
      int64_t changes = p[1];
      for (p += 2; changes; changes--, p += 3) set_level(b, (int)p[0], p[1], p[2]);
      b->best[0] = next(b, 0, TICKS - 1);
      b->best[1] = next(b, 1, 0);
      uint64_t begin = cycles_now();
      found[m] = checksum(b);
      int64_t v = (int64_t)(cycles_now() - begin - clock);
      if (pass == 0 || v < least[m]) least[m] = v;
    }
  }
  for (int64_t m = 0; m < head[2]; m++) printf("%lld %u\n", (long long)least[m], found[m]);
  return 0;
}
