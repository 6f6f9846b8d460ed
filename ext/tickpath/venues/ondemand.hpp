/* simdjson on-demand behind a C face: one walk over a venue's JSON object that keeps pointers to its one-letter fields,
   in any key order, skipping what it does not know. The library comes from the pysimdjson package at build time.

   A walked message is { } or { "stream": "...", "data": { } } or { "subscriptionId": n, "event": { } }.
   Pointers point into the frame and die with it. */
#ifndef TICKPATH_ONDEMAND_HPP
#define TICKPATH_ONDEMAND_HPP
#include <cstdint>
#include <cstring>
#include "simdjson.h"

struct OdField {
  const char *text;   // strings: first byte behind the quote; numbers and literals: first byte of the token
  uint32_t size;      // strings: bytes up to the closing quote, escapes not resolved; numbers: bytes of the token
  uint8_t type;       // 0 absent, 's' string, 'n' number, 't' true, 'f' false, '0' null, '[' array, '{' object
};

struct OdLevel { const char *price; const char *qty; uint32_t ask; };

struct OdMessage {
  OdField one[128];        // by the single letter of the key
  OdField last_update_id;  // "lastUpdateId" of a REST snapshot
  OdField stream;
  uint8_t has_bids, has_asks, has_result, has_id, has_status, has_error, has_code;
  uint64_t seen[2];        // one-letter keys seen, to refuse duplicates
};

struct OdParser { simdjson::ondemand::parser parser; };

static inline OdParser *od_new(size_t max_bytes) {
  OdParser *p = new (std::nothrow) OdParser();
  if (p && p->parser.allocate(max_bytes) != simdjson::SUCCESS) { delete p; return nullptr; }
  return p;
}
static inline void od_free(OdParser *p) { delete p; }

namespace tickpath_od {
using namespace simdjson;

static inline bool field_of(ondemand::value v, OdField *f) {
  ondemand::json_type t;
  if (v.type().get(t)) return false;
  switch (t) {
    case ondemand::json_type::string: {
      ondemand::raw_json_string s;
      if (v.get_raw_json_string().get(s)) return false;
      f->text = s.raw();
      f->type = 's';
      const char *e = f->text;
      while (*e != '"') { if (*e == '\\') return false; ++e; }   // a closing quote exists: stage 1 saw it
      f->size = (uint32_t)(e - f->text);
      return true;
    }
    case ondemand::json_type::number: {
      std::string_view s = v.raw_json_token();
      f->text = s.data();
      f->type = 'n';
      uint32_t n = 0;
      while (n < s.size() && s[n] > ' ' && s[n] != ',' && s[n] != '}' && s[n] != ']') n++;
      f->size = n;
      ondemand::number number;
      return v.get_number().get(number) == SUCCESS;              // refuses leading zeros, bare points and the like
    }
    case ondemand::json_type::boolean: {
      bool b;
      if (v.get_bool().get(b)) return false;
      f->type = b ? 't' : 'f';
      return true;
    }
    case ondemand::json_type::null: {
      bool is_null;
      if (v.is_null().get(is_null) || !is_null) return false;
      f->type = '0';
      return true;
    }
    case ondemand::json_type::array: f->type = '['; return true;   // skipped by the iterator
    case ondemand::json_type::object: f->type = '{'; return true;
    default: return false;
  }
}

static inline bool levels_of(ondemand::value v, uint32_t ask, OdLevel *levels, uint32_t capacity, uint32_t *count, int *status) {
  ondemand::array rows;
  if (v.get_array().get(rows)) return false;
  for (auto row_result : rows) {
    ondemand::array row;
    if (std::move(row_result).get_array().get(row)) return false;
    if (*count == capacity) { *status = 7; return false; }
    OdLevel &level = levels[*count];
    level.ask = ask;
    int column = 0;
    for (auto cell : row) {
      ondemand::raw_json_string s;
      if (column < 2) {
        if (std::move(cell).get_raw_json_string().get(s)) return false;
        (column ? level.qty : level.price) = s.raw();
      } else if (cell.error()) return false;
      column++;
    }
    if (column < 2) return false;
    ++*count;
  }
  return true;
}

/* One pass over an object. want_levels: the second pass, which reads the arrays "b"/"a" or "bids"/"asks". */
static inline bool walk(ondemand::object object, OdMessage *m, bool want_levels, OdLevel *levels, uint32_t capacity,
                        uint32_t *count, int *status) {
  for (auto field_result : object) {
    ondemand::field field;
    if (std::move(field_result).get(field)) return false;
    std::string_view key = field.escaped_key();
    ondemand::value value = field.value();
    if (want_levels) {
      bool bids = key == "b" || key == "bids", asks = key == "a" || key == "asks";
      if ((bids || asks) && !levels_of(value, asks, levels, capacity, count, status)) return false;
      continue;
    }
    if (key.size() == 1) {
      unsigned char c = (unsigned char)key[0];
      if (c >= 128) continue;
      if (m->seen[c >> 6] >> (c & 63) & 1) return false;           // a duplicate key: which one counts is a guess
      m->seen[c >> 6] |= 1ull << (c & 63);
      if (!field_of(value, &m->one[c])) return false;
    } else if (key == "lastUpdateId") {
      if (m->last_update_id.type || !field_of(value, &m->last_update_id)) return false;
    } else if (key == "bids") { if (m->has_bids++) return false;
    } else if (key == "asks") { if (m->has_asks++) return false;
    } else if (key == "result") m->has_result = 1;
    else if (key == "id") m->has_id = 1;
    else if (key == "status") m->has_status = 1;
    else if (key == "error") m->has_error = 1;
    else if (key == "code") m->has_code = 1;
  }
  return true;
}
}  // namespace tickpath_od

/* Walks a frame. Returns 1, or the Status that refuses it: 2 malformed, 7 too large. capacity_bytes: readable bytes
   from data on (size + 64 at least). Levels are only collected when the message has them. */
static inline int od_walk(OdParser *p, const char *data, size_t size, size_t capacity_bytes, OdMessage *m, OdLevel *levels,
                          uint32_t capacity, uint32_t *count) {
  using namespace tickpath_od;
  memset(m, 0, sizeof *m);
  *count = 0;
  if (size > p->parser.capacity()) return 7;
  ondemand::document doc;
  if (p->parser.iterate(data, size, capacity_bytes).get(doc)) return 2;
  int status = 2;
  for (int pass = 0; pass < 2; pass++) {
    ondemand::object outer;
    if (doc.get_object().get(outer)) return 2;
    bool wrapped = false;
    int envelope = 0;
    // The envelope is recognised by its own keys; everything else is the message itself.
    for (auto field_result : outer) {
      ondemand::field field;
      if (std::move(field_result).get(field)) return 2;
      std::string_view key = field.escaped_key();
      if (key == "data" || key == "event") {
        if (envelope++) return 2;                                 // twice: which one counts is a guess
        ondemand::object inner;
        ondemand::json_type t;
        ondemand::value v = field.value();
        if (v.type().get(t)) return 2;
        if (t != ondemand::json_type::object) continue;
        wrapped = true;
        if (v.get_object().get(inner)) return 2;
        if (!walk(inner, m, pass == 1, levels, capacity, count, &status)) return status;
      } else if (key == "stream" && pass == 0) {
        if (m->stream.type || !field_of(field.value(), &m->stream)) return 2;
      }
    }
    if (!wrapped) {
      doc.rewind();
      if (doc.get_object().get(outer)) return 2;
      if (!walk(outer, m, pass == 1, levels, capacity, count, &status)) return status;
    }
    if (!doc.at_end()) return 2;
    bool has_levels = m->one['b'].type == '[' || m->one['a'].type == '[' || m->has_bids || m->has_asks;
    if (pass == 0) { if (!has_levels) break; doc.rewind(); }
  }
  return 1;
}
#endif
