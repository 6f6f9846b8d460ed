/* Floor of the Coinbase decoder (decode_floor.h says what a floor is): Exchange and Advanced Trade, kinds as in
   scripts/decode_cases/coinbase.py. Times become ns of their day; the date is compared with that of the first one.

   Build: cc -O3 -march=<the build's> decode_coinbase.c -o decode_coinbase      Run: ./decode_coinbase FRAMES ROUNDS [BATCH] */
#include "decode_floor.h"

enum { L2UPDATE, MATCH, EXCHANGE_TICKER, L2_DATA, MARKET_TRADES, TICKER };
static const uint16_t price_values[] = {[MATCH] = 1 << 5, [EXCHANGE_TICKER] = 1 | 1 << 2, [TICKER] = 1 | 1 << 2};
static const uint16_t qty_values[] = {[MATCH] = 1 << 4, [EXCHANGE_TICKER] = 1 << 1 | 1 << 3, [TICKER] = 1 << 1 | 1 << 3};

/* 2026-08-09T21:05:48.264069Z */
HOT const char *moment(const char *p, int64_t *out, int *bad) {
  __m128i v = _mm_xor_si128(_mm_loadl_epi64((const __m128i *)(p + 11)), _mm_cvtsi64_si128(0x30303A30303A3030ll));
  uint64_t sums = _mm_cvtsi128_si64(_mm_madd_epi16(_mm_maddubs_epi16(v, _mm_cvtsi64_si128(0x010A00010A00010All)),
                                                   _mm_cvtsi64_si128(0x0001003C003C0E10ll)));
  __m128i over = _mm_subs_epu8(v, _mm_cvtsi64_si128(0x0905000905000902ll));
  FAIL_IF((load8(p) != load8(date)) || (load8(p + 3) != load8(date + 3)) || (p[19] != '.') || !_mm_testz_si128(over, over));
  __m128i f = values(load16(p + 20));
  unsigned n = __builtin_ctz(~digits(f));
  int64_t fraction = (int64_t)number16(_mm_shuffle_epi8(f, load16((const char *)align_right + (n & 15))));
  *out = (int64_t)((sums >> 32) + (uint32_t)sums) * 1000000000ll + fraction * (int64_t)(n > 8 ? 1 : power[8 - n] * 10);
  FAIL_IF((n - 1 > 8) || (p[20 + n] != 'Z'));
  return p + 21 + n;
}
/* 36 bytes of a UUID to the sum of its halves. */
HOT uint64_t hex16(__m128i c, int *bad) {
  __m128i digit = _mm_sub_epi8(c, _mm_set1_epi8('0')), letter = _mm_sub_epi8(c, _mm_set1_epi8('a'));
  __m128i is_digit = _mm_cmpeq_epi8(_mm_min_epu8(digit, _mm_set1_epi8(9)), digit);
  __m128i is_letter = _mm_cmpeq_epi8(_mm_min_epu8(letter, _mm_set1_epi8(5)), letter);
  FAIL_IF(_mm_movemask_epi8(_mm_or_si128(is_digit, is_letter)) != 0xFFFF);
  __m128i v = _mm_blendv_epi8(_mm_add_epi8(letter, _mm_set1_epi8(10)), digit, is_digit);
  __m128i bytes = _mm_maddubs_epi16(v, _mm_set1_epi16(0x0110));
  return __builtin_bswap64((uint64_t)_mm_cvtsi128_si64(_mm_packus_epi16(bytes, bytes)));
}
HOT const char *uuid(const char *p, int64_t *high, int64_t *low, int *bad) {
  __m128i middle = _mm_shuffle_epi8(load16(p + 9), _mm_setr_epi8(-1, -1, -1, -1, -1, -1, -1, -1, 0, 1, 2, 3, 5, 6, 7, 8));
  *high = (int64_t)hex16(_mm_blend_epi16(load16(p), middle, 0xF0), bad);
  *low = (int64_t)hex16(_mm_blend_epi16(load16(p + 20), load16(p + 19), 0x03), bad);
  FAIL_IF((p[8] != '-') || (p[13] != '-') || (p[18] != '-') || (p[23] != '-'));
  return p + 36;
}
/* An order's id that nobody reads: 36 bytes of a plain name. */
HOT const char *skip_uuid(const char *p, int *bad) {
  __m128i text = load16(p);
  unsigned special = _mm_movemask_epi8(_mm_cmplt_epi8(text, _mm_set1_epi8(' '))) | bytes_equal(text, '\\') | bytes_equal(text, '"');
  FAIL_IF((special != 0) || (name(p + 5, bad) != p + 36));
  return p + 36;
}
#define TIME(to) (p = moment(p, to, &bad))

static __attribute__((noinline)) int scan_message(int kind, const char *p, const char *end, Out *o) {
  int bad = 0;
  int64_t other;
  const Instrument *item;
  int64_t ignored;
  uint64_t size_e8, price_e8;
  const char *run, *q;
  o->levels = 0;
  switch (kind) {
    case L2UPDATE:
      LIT("{\"type\":\"l2update\",\"product_id\":\""); SYMBOL(); LIT("\",\"changes\":[[\"");
      for (;;) {
        WORD(&o->v[2], "buy", "sell"); LIT("\",\"");
        PRICE(&o->level[2 * o->levels]); LIT("\",\""); QTY(&o->level[2 * o->levels + 1]);
        o->levels++;
        if (!IS("\"],[\"")) break;
        p += 5;
      }
      LIT("\"]],\"time\":\""); TIME(&o->v[0]); LIT("\"}");
      return !bad && p == end;
    case MATCH:
      LIT("{\"type\":\"match\",\"trade_id\":"); NUMBER(&o->v[0]); LIT(",\"maker_order_id\":\""); p = uuid(p, &o->v[1], &o->v[2], &bad);
      LIT("\",\"taker_order_id\":\""); p = skip_uuid(p, &bad); LIT("\",\"side\":\""); WORD(&o->v[3], "buy", "sell");
      LIT("\",\"size\":\""); p = decimal(p, &size_e8, &bad); LIT("\",\"price\":\""); p = decimal(p, &price_e8, &bad);
      LIT("\",\"product_id\":\""); SYMBOL(); o->v[4] = counts(size_e8, item, 1, &bad); o->v[5] = counts(price_e8, item, 0, &bad);
      LIT("\",\"sequence\":"); NUMBER(&o->v[6]); LIT(",\"time\":\""); TIME(&o->v[7]); LIT("\"}");
      return !bad && p == end;
    case EXCHANGE_TICKER:
      LIT("{\"type\":\"ticker\",\"sequence\":"); NUMBER(&ignored); LIT(",\"product_id\":\""); SYMBOL();
      LIT("\",\"price\":\""); NAME(); LIT("\",\"open_24h\":\""); NAME(); LIT("\",\"volume_24h\":\""); NAME();
      LIT("\",\"low_24h\":\""); NAME(); LIT("\",\"high_24h\":\""); NAME(); LIT("\",\"volume_30d\":\""); NAME();
      LIT("\",\"best_bid\":\""); PRICE(&o->v[0]); LIT("\",\"best_bid_size\":\""); QTY(&o->v[1]);
      LIT("\",\"best_ask\":\""); PRICE(&o->v[2]); LIT("\",\"best_ask_size\":\""); QTY(&o->v[3]);
      LIT("\",\"side\":\""); NAME(); LIT("\",\"time\":\""); TIME(&o->v[4]);
      LIT("\",\"trade_id\":"); NUMBER(&ignored); LIT(",\"last_size\":\""); NAME(); LIT("\"}");
      return !bad && p == end;
    case L2_DATA:
      LIT("{\"channel\":\"l2_data\",\"timestamp\":\""); NAME(); LIT("\",\"sequence_num\":"); NUMBER(&o->v[0]);
      LIT(",\"events\":[{\"type\":\""); NAME(); LIT("\",\"product_id\":\""); SYMBOL(); LIT("\",\"updates\":[{\"side\":\"");
      run = NULL;
      long run_bytes = 0;
      for (;;) {
        other = *p == 'o'; bad |= other ? load4(p + 1) != load4("ffer") : load4(p) != load4("bid\""); o->v[2] = other; p += 3 + 2 * other;
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
        PRICE(&o->level[2 * o->levels]); LIT("\",\"new_quantity\":\""); QTY(&o->level[2 * o->levels + 1]);
        if (++o->levels == 65536) return 0;
        if (!IS("\"},{\"side\":\"")) break;
        p += 12;
      }
      LIT("\"}]}]}");
      return !bad && p == end;
    case MARKET_TRADES:
      LIT("{\"channel\":\"market_trades\",\"timestamp\":\""); NAME(); LIT("\",\"sequence_num\":"); NUMBER(&o->v[0]);
      LIT(",\"events\":[{\"type\":\""); NAME(); LIT("\",\"trades\":[{\"product_id\":\"");
      for (;;) {
        SYMBOL(); LIT("\",\"trade_id\":\""); NUMBER(&o->v[1]); LIT("\",\"price\":\""); PRICE(&o->level[2 * o->levels]);
        LIT("\",\"size\":\""); QTY(&o->level[2 * o->levels + 1]); LIT("\",\"time\":\""); TIME(&o->v[2]);
        LIT("\",\"side\":\""); WORD(&o->v[3], "BUY", "SELL");
        o->levels++;
        if (!IS("\"},{\"product_id\":\"")) break;
        p += 18;
      }
      LIT("\"}]}]}");
      return !bad && p == end;
    case TICKER:
      LIT("{\"channel\":\"ticker\",\"timestamp\":\""); TIME(&o->v[4]); LIT("\",\"sequence_num\":"); NUMBER(&o->v[5]);
      LIT(",\"events\":[{\"type\":\""); NAME(); LIT("\",\"tickers\":[{\"type\":\"ticker\",\"product_id\":\""); SYMBOL();
      LIT("\",\"price\":\""); NAME(); LIT("\",\"volume_24_h\":\""); NAME(); LIT("\",\"low_24_h\":\""); NAME();
      LIT("\",\"high_24_h\":\""); NAME(); LIT("\",\"low_52_w\":\""); NAME(); LIT("\",\"high_52_w\":\""); NAME();
      LIT("\",\"price_percent_chg_24_h\":\""); NAME(); LIT("\",\"best_bid\":\""); PRICE(&o->v[0]);
      LIT("\",\"best_ask\":\""); PRICE(&o->v[2]); LIT("\",\"best_bid_quantity\":\""); QTY(&o->v[1]);
      LIT("\",\"best_ask_quantity\":\""); QTY(&o->v[3]); LIT("\"}]}]}");
      return !bad && p == end;
  }
  return 0;
}
