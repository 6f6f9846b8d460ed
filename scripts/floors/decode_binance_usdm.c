/* Floor of the decoder for USD-M futures (decode_floor.h says what a floor is): kinds as in scripts/decode_cases/binance_usdm.py.

   Build: cc -O3 -march=<the build's> decode_binance_usdm.c -o decode      Run: ./decode FRAMES ROUNDS */
#include "decode_floor.h"

enum { AGG_TRADE, BOOK_TICKER, TRADE, DEPTH };
static const uint16_t price_values[] = {1 << 1, 1 << 1 | 1 << 3, 1 << 1, 0};
static const uint16_t qty_values[] = {1 << 2, 1 << 2 | 1 << 4, 1 << 2, 0};

#define BOOL(to) do { int is_false = *p == 'f'; bad |= load4(p + is_false) != load4(is_false ? "alse" : "true"); \
    *(to) = !is_false; p += 4 + is_false; } while (0)

HOT int side(const char **at, const Instrument *item, Out *o) {
  const char *p = *at;
  int bad = 0;
  LIT("[");
  if (*p == ']') { *at = p + 1; return 1; }
  do {
    LIT("[\"");
    PRICE(&o->level[2 * o->levels]);
    LIT("\",\"");
    QTY(&o->level[2 * o->levels + 1]);
    if (++o->levels == LEVELS_MAX) return 0;
    LIT("\"]");
  } while (*p++ == ',');
  *at = p;
  return p[-1] == ']' && !bad;
}

static __attribute__((noinline)) int scan_message(int kind, const char *p, const char *end, Out *o) {
  int bad = 0;
  int64_t ignored;
  const Instrument *item;
  o->levels = 0;
  LIT("{\"stream\":\""); NAME(); LIT("\",\"data\":{\"e\":\"");
  switch (kind) {
    case BOOK_TICKER:
      LIT("bookTicker\",\"u\":"); NUMBER(&o->v[0]); LIT(",\"s\":\""); SYMBOL(); LIT("\",\"b\":\""); PRICE(&o->v[1]);
      LIT("\",\"B\":\""); QTY(&o->v[2]); LIT("\",\"a\":\""); PRICE(&o->v[3]); LIT("\",\"A\":\""); QTY(&o->v[4]);
      LIT("\",\"T\":"); NUMBER(&o->v[5]); LIT(",\"E\":"); NUMBER(&ignored); LIT("}}");
      return !bad && p == end;
    case TRADE:
      LIT("trade\",\"E\":"); NUMBER(&ignored); LIT(",\"T\":"); NUMBER(&o->v[3]); LIT(",\"s\":\""); SYMBOL();
      LIT("\",\"t\":"); NUMBER(&o->v[0]); LIT(",\"p\":\""); PRICE(&o->v[1]); LIT("\",\"q\":\""); QTY(&o->v[2]);
      LIT("\",\"X\":\"MARKET\",\"m\":"); BOOL(&o->v[4]); LIT("}}");
      return !bad && p == end;
    case AGG_TRADE:
      LIT("aggTrade\",\"E\":"); NUMBER(&ignored); LIT(",\"a\":"); NUMBER(&o->v[0]); LIT(",\"s\":\""); SYMBOL();
      LIT("\",\"p\":\""); PRICE(&o->v[1]); LIT("\",\"q\":\""); QTY(&o->v[2]); LIT("\",\"f\":"); NUMBER(&o->v[5]);
      LIT(",\"l\":"); NUMBER(&o->v[6]); LIT(",\"T\":"); NUMBER(&o->v[3]); LIT(",\"m\":"); BOOL(&o->v[4]); LIT("}}");
      return !bad && p == end;
    case DEPTH:
      LIT("depthUpdate\",\"E\":"); NUMBER(&ignored); LIT(",\"T\":"); NUMBER(&o->v[0]); LIT(",\"s\":\""); SYMBOL();
      LIT("\",\"U\":"); NUMBER(&ignored); LIT(",\"u\":"); NUMBER(&o->v[2]); LIT(",\"pu\":"); NUMBER(&o->v[1]);
      o->levels = 0; LIT(",\"b\":");
      if (!side(&p, item, o)) return 0;
      LIT(",\"a\":");
      if (!side(&p, item, o)) return 0;
      LIT("}}");
      return !bad && p == end;
  }
  return 0;
}
