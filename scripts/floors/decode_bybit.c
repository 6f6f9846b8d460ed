/* Floor of the Bybit decoder (decode_floor.h says what a floor is): books and trades of linear contracts and of spot, tickers of
   linear contracts; kinds as in scripts/decode_cases/bybit.py. Of a ticker's fields those are read that the decoder keeps; their
   order is the recorded one, and each may be missing.

   Build: cc -O3 -march=<the build's> decode_bybit.c -o decode_bybit      Run: ./decode_bybit FRAMES ROUNDS */
#include "decode_floor.h"

/* A reference number, which has no grid. */
#define E8(to) do { uint64_t e8_here; p = decimal(p, &e8_here, &bad); *(to) = (int64_t)e8_here; } while (0)

enum { BOOK, SPOT_BOOK, TRADE, SPOT_TRADE, TICKER, SNAPSHOT };
static const uint16_t price_values[] = {[TRADE] = 1 << 3, [SPOT_TRADE] = 1 << 3, [TICKER] = 1 << 1 | 1 << 3, [SNAPSHOT] = 0};
static const uint16_t qty_values[] = {[TRADE] = 1 << 2, [SPOT_TRADE] = 1 << 2, [TICKER] = 1 << 2 | 1 << 4, [SNAPSHOT] = 0};

HOT int side(const char **at, const Instrument *item, Out *o) {
  const char *p = *at;
  int bad = 0;
  if (*p == ']') { *at = p + 1; return 1; }
  LIT("[\"");
  for (;;) {
    PRICE(&o->level[2 * o->levels]);
    LIT("\",\"");
    QTY(&o->level[2 * o->levels + 1]);
    if (++o->levels == LEVELS_MAX) return 0;
    if (!IS("\"],[\"")) break;
    p += 5;
  }
  LIT("\"]]");
  *at = p;
  return !bad;
}

/* A UUID's high half xor its low half. */
HOT uint64_t hex16(__m128i v, int *bad) {
  __m128i digit = _mm_sub_epi8(v, _mm_set1_epi8('0')), letter = _mm_sub_epi8(v, _mm_set1_epi8('a'));
  __m128i is_digit = _mm_cmpeq_epi8(_mm_min_epu8(digit, _mm_set1_epi8(9)), digit);
  __m128i is_letter = _mm_cmpeq_epi8(_mm_min_epu8(letter, _mm_set1_epi8(5)), letter);
  FAIL_IF(_mm_movemask_epi8(_mm_or_si128(is_digit, is_letter)) != 0xFFFF);
  v = _mm_blendv_epi8(_mm_add_epi8(letter, _mm_set1_epi8(10)), digit, is_digit);
  v = _mm_maddubs_epi16(v, _mm_set1_epi16(0x0110));
  return __builtin_bswap64(_mm_cvtsi128_si64(_mm_packus_epi16(v, v)));
}
HOT const char *uuid(const char *p, int64_t *out, int *bad) {
  char text[48];
  memcpy(text, p, 8); memcpy(text + 8, p + 9, 4); memcpy(text + 12, p + 14, 4);
  memcpy(text + 16, p + 19, 4); memcpy(text + 20, p + 24, 16);
  *out = hex16(load16(text), bad) ^ hex16(load16(text + 16), bad);
  FAIL_IF((p[8] != '-') || (p[13] != '-') || (p[18] != '-') || (p[23] != '-'));
  return p + 36;
}

static __attribute__((noinline)) int scan_message(int kind, const char *p, const char *end, Out *o) {
  int bad = 0;
  int64_t ignored;
  const Instrument *item;
  o->levels = 0;
  LIT("{\"topic\":\"");
  switch (kind) {
    case TRADE:
      LIT("publicTrade."); SYMBOL(); LIT("\",\"type\":\"snapshot\",\"ts\":"); NUMBER(&ignored); LIT(",\"data\":[{\"T\":");
      NUMBER(&o->v[0]); LIT(",\"s\":\""); AGAIN(); LIT("\",\"S\":\""); WORD(&o->v[1], "Buy", "Sell");
      LIT("\",\"v\":\""); QTY(&o->v[2]); LIT("\",\"p\":\""); PRICE(&o->v[3]); LIT("\",\"L\":\""); NAME();
      LIT("\",\"i\":\""); p = uuid(p, &o->v[4], &bad); LIT("\",\"BT\":false,\"RPI\":false,\"seq\":"); NUMBER(&ignored); LIT("}]}");
      return !bad && p == end;
    case SPOT_TRADE:
      LIT("publicTrade."); SYMBOL(); LIT("\",\"ts\":"); NUMBER(&ignored); LIT(",\"type\":\"snapshot\",\"data\":[{\"i\":\"");
      o->v[4] = number16(values(load16(p))) * 1000; bad |= (digits(values(load16(p))) != 0xFFFF) | (*p == '0'); p += 16;
      bad |= (digits(values(load16(p))) & 7) != 7; o->v[4] += (p[0] - '0') * 100 + (p[1] - '0') * 10 + p[2] - '0'; p += 3;
      LIT("\",\"T\":"); NUMBER(&o->v[0]); LIT(",\"p\":\""); PRICE(&o->v[3]); LIT("\",\"v\":\""); QTY(&o->v[2]);
      LIT("\",\"S\":\""); WORD(&o->v[1], "Buy", "Sell"); LIT("\",\"seq\":"); NUMBER(&ignored);
      LIT(",\"s\":\""); AGAIN(); LIT("\",\"BT\":false,\"RPI\":false}]}");
      return !bad && p == end;
    case TICKER:
      memset(o->v, 0, sizeof o->v);
      LIT("tickers."); SYMBOL(); LIT("\",\"type\":\"delta\",\"data\":{\"symbol\":\""); AGAIN(); LIT("\"");
      if (TRY(",\"lastPrice\":\"")) { E8(&o->v[5]); LIT("\""); }
      if (TRY(",\"markPrice\":\"")) { E8(&o->v[6]); LIT("\""); }
      if (TRY(",\"indexPrice\":\"")) { E8(&o->v[7]); LIT("\""); }
      if (TRY(",\"openInterestValue\":\"")) { NAME(); LIT("\""); }
      if (TRY(",\"bid1Price\":\"")) {
        PRICE(&o->v[1]); LIT("\",\"bid1Size\":\""); QTY(&o->v[2]); LIT("\"");
      }
      if (TRY(",\"ask1Price\":\"")) {
        PRICE(&o->v[3]); LIT("\",\"ask1Size\":\""); QTY(&o->v[4]); LIT("\"");
      }
      LIT("},\"cs\":"); NUMBER(&ignored); LIT(",\"ts\":"); NUMBER(&o->v[0]); LIT("}");
      return !bad && p == end;
    case SPOT_BOOK:
      LIT("orderbook."); NUMBER(&ignored); LIT("."); SYMBOL(); LIT("\",\"ts\":"); NUMBER(&o->v[0]); LIT(",\"type\":\"delta\",\"data\":{\"s\":\"");
      break;
    case SNAPSHOT:
      LIT("orderbook."); NUMBER(&ignored); LIT("."); SYMBOL(); LIT("\",\"type\":\"snapshot\",\"ts\":"); NUMBER(&o->v[0]); LIT(",\"data\":{\"s\":\"");
      break;
    default:
      LIT("orderbook."); NUMBER(&ignored); LIT("."); SYMBOL(); LIT("\",\"type\":\"delta\",\"ts\":"); NUMBER(&o->v[0]); LIT(",\"data\":{\"s\":\"");
  }
  AGAIN(); LIT("\",\"b\":[");
  if (!side(&p, item, o)) return 0;
  LIT(",\"a\":[");
  if (!side(&p, item, o)) return 0;
  LIT(",\"u\":"); NUMBER(&o->v[1]); LIT(",\"seq\":"); NUMBER(&ignored); LIT("},\"cts\":"); NUMBER(&ignored); LIT("}");
  return !bad && p == end;
}
