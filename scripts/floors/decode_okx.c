/* Floor of the OKX decoder (decode_rows.h says what a floor is): books of 2022 with a checksum, books of today with ids, best
   bid and offer, trades, tickers; kinds as in scripts/decode_cases/okx.py. Of a row the price and the quantity are read.

   Build: cc -O3 -march=<the build's> decode_okx.c -o decode_okx      Run: ./decode_okx FRAMES ROUNDS */
#include "decode_rows.h"

enum { BOOK, NUMBERED_BOOK, BBO, TRADE, TICKER, SNAPSHOT };

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
    LIT("\",\"0\",\"");
    p += p[1] == '"' ? 1 : p[2] == '"' ? 2 : 3;
    if (!IS("\"],[\"")) break;
    p += 5;
  }
  LIT("\"]]");
  *at = p;
  return !bad;
}

static __attribute__((noinline)) int scan_message(int kind, const char *p, Out *o) {
  int bad = 0, negative;
  o->levels = 0;
  LIT("{\"arg\":{\"channel\":\"");
  switch (kind) {
    case TRADE:
      LIT("trades\",\"instId\":\""); p = skip(p); LIT("\"},\"data\":[{\"instId\":\""); p = skip(p);
      LIT("\",\"tradeId\":\""); NUMBER(&o->v[0]); LIT("\",\"px\":\""); DECIMAL(&o->v[1]); LIT("\",\"sz\":\""); DECIMAL(&o->v[2]);
      LIT("\",\"side\":\""); o->v[3] = *p == 's'; p += 3 + (*p == 's'); LIT("\",\"ts\":\""); NUMBER(&o->v[4]); LIT("\"}]}");
      return !bad;
    case TICKER:
      LIT("tickers\",\"instId\":\""); p = skip(p); LIT("\"},\"data\":[{\"instType\":\""); p = skip(p);
      LIT("\",\"instId\":\""); p = skip(p); LIT("\",\"last\":\""); p = skip(p); LIT("\",\"lastSz\":\""); p = skip(p);
      LIT("\",\"askPx\":\""); DECIMAL(&o->v[0]); LIT("\",\"askSz\":\""); DECIMAL(&o->v[1]);
      LIT("\",\"bidPx\":\""); DECIMAL(&o->v[2]); LIT("\",\"bidSz\":\""); DECIMAL(&o->v[3]);
      LIT("\",\"open24h\":\""); p = skip(p); LIT("\",\"high24h\":\""); p = skip(p); LIT("\",\"low24h\":\""); p = skip(p);
      LIT("\",\"sodUtc0\":\""); p = skip(p); LIT("\",\"sodUtc8\":\""); p = skip(p); LIT("\",\"volCcy24h\":\""); p = skip(p);
      LIT("\",\"vol24h\":\""); p = skip(p); LIT("\",\"ts\":\""); NUMBER(&o->v[4]); LIT("\"}]}");
      return !bad;
    case BBO:
      LIT("bbo-tbt\",\"instId\":\""); p = skip(p); LIT("\"},\"data\":[{\"asks\":[");
      break;
    case SNAPSHOT:
      LIT("books\",\"instId\":\""); p = skip(p); LIT("\"},\"action\":\"snapshot\",\"data\":[{\"asks\":[");
      break;
    default:
      LIT("books\",\"instId\":\""); p = skip(p); LIT("\"},\"action\":\"update\",\"data\":[{\"asks\":[");
  }
  if (!side(&p, o)) return 0;
  LIT(",\"bids\":[");
  if (!side(&p, o)) return 0;
  LIT(",\"ts\":\""); NUMBER(&o->v[0]); LIT("\"");
  if (kind != BBO) {
    LIT(",\"checksum\":"); negative = *p == '-'; p += negative; NUMBER(&o->v[1]); if (negative) o->v[1] = -o->v[1];
  }
  if (kind != BOOK && kind != SNAPSHOT) { LIT(",\"seqId\":"); NUMBER(&o->v[2]); }
  if (kind == NUMBERED_BOOK) { LIT(",\"prevSeqId\":"); NUMBER(&o->v[3]); }
  LIT("}]}");
  return 1;
}
