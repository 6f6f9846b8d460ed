/* Floor of the Kraken decoder (decode_floor.h says what a floor is): v2 and v1, kinds as in scripts/decode_cases/kraken.py. A v1
   message's symbol stands last and is found from the end. A v2 time is its hour, minute, second and microsecond as one number of
   twelve digits; the date is compared with that of the first one.

   Build: cc -O3 -march=<the build's> decode_kraken.c -o decode_kraken      Run: ./decode_kraken FRAMES ROUNDS [BATCH] */
#include "decode_floor.h"

enum { BOOK, TRADE, TICKER, SNAPSHOT, V1_BOOK, V1_TRADE, V1_TICKER, V1_SPREAD, V1_SNAPSHOT };
enum { QUOTE_PRICES = 1 << 1 | 1 << 3, QUOTE_QTYS = 1 << 2 | 1 << 4 };
static const uint16_t price_values[] = {[TRADE] = 1 << 2, [TICKER] = QUOTE_PRICES, [V1_TRADE] = 1 << 2, [V1_TICKER] = QUOTE_PRICES,
                                        [V1_SPREAD] = QUOTE_PRICES, [V1_SNAPSHOT] = 0};
static const uint16_t qty_values[] = {[TRADE] = 1 << 3, [TICKER] = QUOTE_QTYS, [V1_TRADE] = 1 << 3, [V1_TICKER] = QUOTE_QTYS,
                                      [V1_SPREAD] = QUOTE_QTYS, [V1_SNAPSHOT] = 0};

#define BARE_PRICE(to) DECIMAL_AS(bare_decimal, to, 0)
#define BARE_QTY(to) DECIMAL_AS(bare_decimal, to, 1)
#define PASS() (p = pass(p, &bad))
#define PAIR() do { NAME(); LIT("\",\""); NAME(); LIT("\"]"); } while (0)

/* The name that ends in front of "] at the frame's end. */
HOT const Instrument *last_symbol(const char *end, const char **symbol) {
  unsigned quotes = bytes_equal(load16(end - 18), '"');
  if (!quotes || load4(end - 4) >> 16 != (unsigned)('"' | ']' << 8)) return NULL;
  unsigned n = __builtin_clz(quotes) - 16;
  *symbol = end - 2 - n;
  return find(*symbol, n);
}
HOT const char *clock_of_day(const char *p, int64_t *out, int *bad) {
  __m128i v = values(load16(p + 11));
  FAIL_IF(((digits(v) & 0x7EDB) != 0x7EDB) || (p[13] != ':') || (p[16] != ':') || (p[19] != '.') || (p[26] != 'Z'));
  FAIL_IF((load8(p) != load8(date)) || (load8(p + 3) != load8(date + 3)));
  *out = number16(_mm_shuffle_epi8(v, _mm_setr_epi8(-1, -1, -1, -1, 0, 1, 3, 4, 6, 7, 9, 10, 11, 12, 13, 14)));
  return p + 27;
}
HOT const char *seconds(const char *p, int64_t *out, int *bad) {
  __m128i v = values(_mm_blend_epi16(load16(p), load16(p + 1), 0xE0));
  FAIL_IF((digits(v) != 0xFFFF) || (p[10] != '.'));
  *out = number16(v);
  return p + 17;
}
/* A number nobody reads: digits, a point, digits. */
HOT const char *pass(const char *p, int *bad) {
  p += *p == '-';
  unsigned others = ~digits(values(load16(p))), n = __builtin_ctz(others), size = __builtin_ctz(others & (others - 1));
  FAIL_IF((size > 15) || (n == 0) || (p[n & 15] != '.') || ((*p == '0') & (n != 1)));
  return p + size;
}
HOT int levels(const char **at, const Instrument *item, Out *o) {
  const char *p = *at;
  int bad = 0;
  if (*p == ']') { *at = p + 1; return 1; }
  LIT("{\"price\":");
  for (;;) {
    BARE_PRICE(&o->level[2 * o->levels]);
    LIT(",\"qty\":");
    BARE_QTY(&o->level[2 * o->levels + 1]);
    if (++o->levels == LEVELS_MAX) return 0;
    if (!IS("},{\"price\":")) break;
    p += 11;
  }
  LIT("}]");
  *at = p;
  return !bad;
}
HOT int rows(const char **at, const Instrument *item, Out *o) {
  const char *p = *at;
  int bad = 0;
  if (*p == ']') { *at = p + 1; return 1; }
  LIT("[\"");
  for (;;) {
    int64_t time;
    PRICE(&o->level[2 * o->levels]);
    LIT("\",\"");
    QTY(&o->level[2 * o->levels + 1]);
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

static __attribute__((noinline)) int scan_message(int kind, const char *p, const char *end, Out *o) {
  int bad = 0;
  int64_t ignored;
  const Instrument *item;
  const char *symbol = end;
  if (kind >= V1_BOOK && !(item = o->item = last_symbol(end, &symbol))) return 0;
  o->levels = 0;
  switch (kind) {
    case BOOK:
    case SNAPSHOT:
      if (kind == BOOK) LIT("{\"channel\":\"book\",\"type\":\"update\",\"data\":[{\"symbol\":\"");
      else LIT("{\"channel\":\"book\",\"type\":\"snapshot\",\"data\":[{\"symbol\":\"");
      SYMBOL(); LIT("\",\"bids\":[");
      if (!levels(&p, item, o)) return 0;
      LIT(",\"asks\":[");
      if (!levels(&p, item, o)) return 0;
      LIT(",\"checksum\":"); NUMBER(&o->v[1]); LIT(",\"timestamp\":\""); p = clock_of_day(p, &o->v[0], &bad); LIT("\"}]}");
      return !bad && p == end;
    case TRADE:
      LIT("{\"channel\":\"trade\",\"type\":\"update\",\"data\":[{\"symbol\":\""); SYMBOL();
      LIT("\",\"side\":\""); WORD(&o->v[1], "buy", "sell"); LIT("\",\"price\":"); BARE_PRICE(&o->v[2]);
      LIT(",\"qty\":"); BARE_QTY(&o->v[3]); LIT(",\"ord_type\":\""); NAME(); LIT("\",\"trade_id\":"); NUMBER(&o->v[4]);
      LIT(",\"timestamp\":\""); p = clock_of_day(p, &o->v[0], &bad); LIT("\"}]}");
      return !bad && p == end;
    case TICKER:
      LIT("{\"channel\":\"ticker\",\"type\":\"update\",\"data\":[{\"symbol\":\""); SYMBOL();
      LIT("\",\"bid\":"); BARE_PRICE(&o->v[1]); LIT(",\"bid_qty\":"); BARE_QTY(&o->v[2]);
      LIT(",\"ask\":"); BARE_PRICE(&o->v[3]); LIT(",\"ask_qty\":"); BARE_QTY(&o->v[4]);
      LIT(",\"last\":"); PASS(); LIT(",\"volume\":"); PASS(); LIT(",\"vwap\":"); PASS(); LIT(",\"low\":"); PASS();
      LIT(",\"high\":"); PASS(); LIT(",\"change\":"); PASS(); LIT(",\"change_pct\":"); PASS(); LIT(",\"trades\":");
      NUMBER(&ignored); LIT(",\"timestamp\":\""); p = clock_of_day(p, &o->v[0], &bad); LIT("\"}]}");
      return !bad && p == end;
    case V1_BOOK:
      LIT("["); NUMBER(&ignored); LIT(",{\"");
      bad |= (*p != 'a') & (*p != 'b'); o->v[2] = *p++ == 'a';
      LIT("\":["); o->v[0] = 0;
      if (!rows(&p, item, o)) return 0;
      LIT(",\"c\":\""); NUMBER(&o->v[1]); LIT("\"},\"book-1000\",\""); if (p != symbol) return 0; p = end;
      return !bad && p == end;
    case V1_SNAPSHOT:
      LIT("["); NUMBER(&ignored); LIT(",{\"as\":["); o->v[0] = 0;
      if (!rows(&p, item, o)) return 0;
      LIT(",\"bs\":[");
      if (!rows(&p, item, o)) return 0;
      LIT("},\"book-1000\",\""); if (p != symbol) return 0; p = end;
      return !bad && p == end;
    case V1_TRADE:
      LIT("["); NUMBER(&ignored); LIT(",[[\""); PRICE(&o->v[2]); LIT("\",\""); QTY(&o->v[3]); LIT("\",\"");
      p = seconds(p, &o->v[0], &bad); LIT("\",\""); bad |= (*p != 's') & (*p != 'b'); o->v[1] = *p++ == 's'; LIT("\",\""); p++; LIT("\",\"");
      NAME(); LIT("\"]],\"trade\",\""); if (p != symbol) return 0; p = end;
      return !bad && p == end;
    case V1_TICKER:
      LIT("["); NUMBER(&ignored); LIT(",{\"a\":[\""); PRICE(&o->v[3]); LIT("\","); NUMBER(&ignored); LIT(",\"");
      QTY(&o->v[4]); LIT("\"],\"b\":[\""); PRICE(&o->v[1]); LIT("\","); NUMBER(&ignored); LIT(",\"");
      QTY(&o->v[2]); LIT("\"],\"c\":[\""); PAIR(); LIT(",\"v\":[\""); PAIR(); LIT(",\"p\":[\""); PAIR();
      LIT(",\"t\":["); NUMBER(&ignored); LIT(","); NUMBER(&ignored); LIT("],\"l\":[\""); PAIR(); LIT(",\"h\":[\""); PAIR();
      LIT(",\"o\":[\""); PAIR(); LIT("},\"ticker\",\""); if (p != symbol) return 0; p = end;
      return !bad && p == end;
    case V1_SPREAD:
      LIT("["); NUMBER(&ignored); LIT(",[\""); PRICE(&o->v[1]); LIT("\",\""); PRICE(&o->v[3]); LIT("\",\"");
      p = seconds(p, &o->v[0], &bad); LIT("\",\""); QTY(&o->v[2]); LIT("\",\""); QTY(&o->v[4]);
      LIT("\"],\"spread\",\""); if (p != symbol) return 0; p = end;
      return !bad && p == end;
  }
  return 0;
}
