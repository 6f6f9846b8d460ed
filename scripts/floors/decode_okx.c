/* Floor of the OKX decoder (decode_floor.h says what a floor is): books of 2022 with a checksum, books of today with ids, best
   bid and offer, trades, tickers; kinds as in scripts/decode_cases/okx.py. Of a row the price and the quantity are read.

   Build: cc -O3 -march=<the build's> decode_okx.c -o decode_okx      Run: ./decode_okx FRAMES ROUNDS */
#include "decode_floor.h"

enum { BOOK, NUMBERED_BOOK, BBO, TRADE, TICKER, SNAPSHOT };
static const uint16_t price_values[] = {[TRADE] = 1 << 1, [TICKER] = 1 | 1 << 2, [SNAPSHOT] = 0};
static const uint16_t qty_values[] = {[TRADE] = 1 << 2, [TICKER] = 1 << 1 | 1 << 3, [SNAPSHOT] = 0};

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
    LIT("\",\"0\",\"");
    int64_t orders;
    NUMBER(&orders);
    if (!IS("\"],[\"")) break;
    p += 5;
  }
  LIT("\"]]");
  *at = p;
  return !bad;
}

static __attribute__((noinline)) int scan_message(int kind, const char *p, const char *end, Out *o) {
  int bad = 0, negative;
  const Instrument *item;
  o->levels = 0;
  LIT("{\"arg\":{\"channel\":\"");
  switch (kind) {
    case TRADE:
      LIT("trades\",\"instId\":\""); SYMBOL(); LIT("\"},\"data\":[{\"instId\":\""); AGAIN();
      LIT("\",\"tradeId\":\""); NUMBER(&o->v[0]); LIT("\",\"px\":\""); PRICE(&o->v[1]); LIT("\",\"sz\":\""); QTY(&o->v[2]);
      LIT("\",\"side\":\""); WORD(&o->v[3], "buy", "sell"); LIT("\",\"ts\":\""); NUMBER(&o->v[4]); LIT("\"}]}");
      return !bad && p == end;
    case TICKER:
      LIT("tickers\",\"instId\":\""); SYMBOL(); LIT("\"},\"data\":[{\"instType\":\""); NAME();
      LIT("\",\"instId\":\""); AGAIN(); LIT("\",\"last\":\""); NAME(); LIT("\",\"lastSz\":\""); NAME();
      LIT("\",\"askPx\":\""); PRICE(&o->v[0]); LIT("\",\"askSz\":\""); QTY(&o->v[1]);
      LIT("\",\"bidPx\":\""); PRICE(&o->v[2]); LIT("\",\"bidSz\":\""); QTY(&o->v[3]);
      LIT("\",\"open24h\":\""); NAME(); LIT("\",\"high24h\":\""); NAME(); LIT("\",\"low24h\":\""); NAME();
      LIT("\",\"sodUtc0\":\""); NAME(); LIT("\",\"sodUtc8\":\""); NAME(); LIT("\",\"volCcy24h\":\""); NAME();
      LIT("\",\"vol24h\":\""); NAME(); LIT("\",\"ts\":\""); NUMBER(&o->v[4]); LIT("\"}]}");
      return !bad && p == end;
    case BBO:
      LIT("bbo-tbt\",\"instId\":\""); SYMBOL(); LIT("\"},\"data\":[{\"asks\":[");
      break;
    case SNAPSHOT:
      LIT("books\",\"instId\":\""); SYMBOL(); LIT("\"},\"action\":\"snapshot\",\"data\":[{\"asks\":[");
      break;
    default:
      LIT("books\",\"instId\":\""); SYMBOL(); LIT("\"},\"action\":\"update\",\"data\":[{\"asks\":[");
  }
  if (!side(&p, item, o)) return 0;
  LIT(",\"bids\":[");
  if (!side(&p, item, o)) return 0;
  LIT(",\"ts\":\""); NUMBER(&o->v[0]); LIT("\"");
  if (kind != BBO) {
    LIT(",\"checksum\":"); negative = *p == '-'; p += negative; NUMBER(&o->v[1]); if (negative) o->v[1] = -o->v[1];
  }
  if (kind != BOOK && kind != SNAPSHOT) { LIT(",\"seqId\":"); NUMBER(&o->v[2]); }
  if (kind == NUMBERED_BOOK) { LIT(",\"prevSeqId\":"); NUMBER(&o->v[3]); }
  LIT("}]}");
  return !bad && p == end;
}
