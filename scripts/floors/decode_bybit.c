/* Floor of the Bybit decoder (decode_rows.h says what a floor is): books and trades of linear contracts and of spot, tickers of
   linear contracts; kinds as in scripts/decode_cases/bybit.py. Of a ticker's fields those are read that the decoder keeps; their
   order is the recorded one, and each may be missing.

   Build: cc -O3 -march=<the build's> decode_bybit.c -o decode_bybit      Run: ./decode_bybit FRAMES ROUNDS */
#include "decode_rows.h"

enum { BOOK, SPOT_BOOK, TRADE, SPOT_TRADE, TICKER, SNAPSHOT };

HOT int side(const char **at, Out *o) {
  const char *p = *at;
  int bad = 0;
  if (*p == ']') { *at = p + 1; return 1; }
  LIT("[\"");
  for (;;) {
    DECIMAL(&o->level[2 * o->levels]);
    LIT("\",\"");
    DECIMAL(&o->level[2 * o->levels + 1]);
    if (++o->levels == LEVELS_MAX) return 0;
    if (!IS("\"],[\"")) break;
    p += 5;
  }
  LIT("\"]]");
  *at = p;
  return !bad;
}

/* A UUID's high half xor its low half. */
HOT uint64_t hex16(__m128i v) {
  v = _mm_add_epi8(_mm_and_si128(v, _mm_set1_epi8(15)), _mm_and_si128(_mm_cmpgt_epi8(v, _mm_set1_epi8('9')), _mm_set1_epi8(9)));
  v = _mm_maddubs_epi16(v, _mm_set1_epi16(0x0110));
  return __builtin_bswap64(_mm_cvtsi128_si64(_mm_packus_epi16(v, v)));
}
HOT const char *uuid(const char *p, int64_t *out) {
  char text[48];
  memcpy(text, p, 8); memcpy(text + 8, p + 9, 4); memcpy(text + 12, p + 14, 4);
  memcpy(text + 16, p + 19, 4); memcpy(text + 20, p + 24, 16);
  *out = hex16(load16(text)) ^ hex16(load16(text + 16));
  return p + 36;
}

static __attribute__((noinline)) int scan_message(int kind, const char *p, Out *o) {
  int bad = 0;
  int64_t ignored;
  o->levels = 0;
  LIT("{\"topic\":\"");
  switch (kind) {
    case TRADE:
      LIT("publicTrade."); p = skip(p); LIT("\",\"type\":\"snapshot\",\"ts\":"); NUMBER(&ignored); LIT(",\"data\":[{\"T\":");
      NUMBER(&o->v[0]); LIT(",\"s\":\""); p = skip(p); LIT("\",\"S\":\""); o->v[1] = *p == 'S'; p += 3 + (*p == 'S');
      LIT("\",\"v\":\""); DECIMAL(&o->v[2]); LIT("\",\"p\":\""); DECIMAL(&o->v[3]); LIT("\",\"L\":\""); p = skip(p);
      LIT("\",\"i\":\""); p = uuid(p, &o->v[4]); LIT("\",\"BT\":false,\"RPI\":false,\"seq\":"); NUMBER(&ignored); LIT("}]}");
      return !bad;
    case SPOT_TRADE:
      LIT("publicTrade."); p = skip(p); LIT("\",\"ts\":"); NUMBER(&ignored); LIT(",\"type\":\"snapshot\",\"data\":[{\"i\":\"");
      o->v[4] = number16(values(load16(p))) * 1000 + (p[16] - '0') * 100 + (p[17] - '0') * 10 + p[18] - '0'; p += 19;
      LIT("\",\"T\":"); NUMBER(&o->v[0]); LIT(",\"p\":\""); DECIMAL(&o->v[3]); LIT("\",\"v\":\""); DECIMAL(&o->v[2]);
      LIT("\",\"S\":\""); o->v[1] = *p == 'S'; p += 3 + (*p == 'S'); LIT("\",\"seq\":"); NUMBER(&ignored);
      LIT(",\"s\":\""); p = skip(p); LIT("\",\"BT\":false,\"RPI\":false}]}");
      return !bad;
    case TICKER:
      memset(o->v, 0, sizeof o->v);
      LIT("tickers."); p = skip(p); LIT("\",\"type\":\"delta\",\"data\":{\"symbol\":\""); p = skip(p); LIT("\"");
      if (TRY(",\"lastPrice\":\"")) { DECIMAL(&o->v[5]); LIT("\""); }
      if (TRY(",\"markPrice\":\"")) { DECIMAL(&o->v[6]); LIT("\""); }
      if (TRY(",\"indexPrice\":\"")) { DECIMAL(&o->v[7]); LIT("\""); }
      if (TRY(",\"openInterestValue\":\"")) { p = skip(p); LIT("\""); }
      if (TRY(",\"bid1Price\":\"")) {
        DECIMAL(&o->v[1]); LIT("\",\"bid1Size\":\""); DECIMAL(&o->v[2]); LIT("\"");
      }
      if (TRY(",\"ask1Price\":\"")) {
        DECIMAL(&o->v[3]); LIT("\",\"ask1Size\":\""); DECIMAL(&o->v[4]); LIT("\"");
      }
      LIT("},\"cs\":"); NUMBER(&ignored); LIT(",\"ts\":"); NUMBER(&o->v[0]); LIT("}");
      return !bad;
    case SPOT_BOOK:
      LIT("orderbook."); p = skip(p); LIT("\",\"ts\":"); NUMBER(&o->v[0]); LIT(",\"type\":\"delta\",\"data\":{\"s\":\"");
      break;
    case SNAPSHOT:
      LIT("orderbook."); p = skip(p); LIT("\",\"type\":\"snapshot\",\"ts\":"); NUMBER(&o->v[0]); LIT(",\"data\":{\"s\":\"");
      break;
    default:
      LIT("orderbook."); p = skip(p); LIT("\",\"type\":\"delta\",\"ts\":"); NUMBER(&o->v[0]); LIT(",\"data\":{\"s\":\"");
  }
  p = skip(p); LIT("\",\"b\":[");
  if (!side(&p, o)) return 0;
  LIT(",\"a\":[");
  if (!side(&p, o)) return 0;
  LIT(",\"u\":"); NUMBER(&o->v[1]); LIT(",\"seq\":"); NUMBER(&ignored); LIT("},\"cts\":"); NUMBER(&ignored); LIT("}");
  return 1;
}
