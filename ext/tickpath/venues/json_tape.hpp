/* simdjson on-demand behind a C face: one walk over a JSON text that lays every value down in the order of the text, each
   with the place behind its subtree, so that a decoder looks up keys in any order and skips what it does not know. The walk
   visits all there is, so a text that is malformed anywhere is refused whole. The library comes from the pysimdjson package
   at build time.

   Pointers of a node point into the frame and die with it. */
#ifndef TICKPATH_JSON_TAPE_HPP
#define TICKPATH_JSON_TAPE_HPP
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include "simdjson.h"

struct JsonNode {
  const char *text;   // strings: the byte behind the quote; numbers: the first digit or '-'
  const char *key;    // of a member of an object
  uint32_t size;      // strings: bytes up to the closing quote, escapes not resolved; numbers: bytes of the token
  uint32_t key_size;
  uint32_t next;      // the node behind this one and all in it
  uint8_t type;       // 's' string, 'S' string with an escape, 'n' number, 't' true, 'f' false, '0' null, '[' array, '{' object
};

struct JsonTape {
  JsonNode *nodes;
  uint32_t count, capacity;
  simdjson::ondemand::parser parser;
};

static inline JsonTape *json_tape_create(size_t max_bytes, uint32_t capacity) {
  JsonTape *t = new (std::nothrow) JsonTape();
  if (!t) return nullptr;
  t->capacity = capacity;
  t->nodes = (JsonNode *)calloc(capacity, sizeof(JsonNode));   // untouched pages cost nothing
  if (!t->nodes || t->parser.allocate(max_bytes) != simdjson::SUCCESS) { free(t->nodes); delete t; return nullptr; }
  return t;
}
static inline void json_tape_destroy(JsonTape *t) { if (t) { free(t->nodes); delete t; } }

namespace tickpath_tape {
using namespace simdjson;
enum { MALFORMED = 2, TOO_LARGE = 7, DEPTH_MAX = 32 };

/* 0, or the Status that refuses the text. */
static int put(JsonTape *t, ondemand::value v, std::string_view key, int depth);

static inline int put_members(JsonTape *t, ondemand::object object, int depth) {
  for (auto field_result : object) {
    ondemand::field field;
    if (std::move(field_result).get(field)) return MALFORMED;
    std::string_view key = field.escaped_key();
    if (int status = put(t, field.value(), key, depth + 1)) return status;
  }
  return 0;
}
static inline int put_elements(JsonTape *t, ondemand::array array, int depth) {
  for (auto element : array) {
    ondemand::value v;
    if (std::move(element).get(v)) return MALFORMED;
    if (int status = put(t, v, std::string_view(), depth + 1)) return status;
  }
  return 0;
}

static int put(JsonTape *t, ondemand::value v, std::string_view key, int depth) {
  if (depth > DEPTH_MAX) return MALFORMED;
  if (t->count == t->capacity) return TOO_LARGE;
  uint32_t index = t->count++;
  JsonNode *n = &t->nodes[index];
  n->key = key.data();
  n->key_size = (uint32_t)key.size();
  n->text = nullptr;
  n->size = 0;
  n->next = index + 1;
  ondemand::json_type type;
  if (v.type().get(type)) return MALFORMED;
  switch (type) {
    case ondemand::json_type::string: {
      ondemand::raw_json_string s;
      if (v.get_raw_json_string().get(s)) return MALFORMED;
      n->text = s.raw();
      n->type = 's';
      const char *e = n->text;
      /* A closing quote exists: stage 1 saw it. It refused control bytes too. */
      for (; *e != '"'; ++e) if (*e == '\\') { n->type = 'S'; ++e; }
      n->size = (uint32_t)(e - n->text);
      return 0;
    }
    case ondemand::json_type::number: {
      std::string_view s = v.raw_json_token();
      uint32_t size = 0;
      while (size < s.size() && s[size] > ' ' && s[size] != ',' && s[size] != '}' && s[size] != ']') size++;
      n->text = s.data();
      n->size = size;
      n->type = 'n';
      ondemand::number number;
      return v.get_number().get(number) ? MALFORMED : 0;       // refuses leading zeros, bare points, 1e400 and the like
    }
    case ondemand::json_type::boolean: {
      bool b;
      if (v.get_bool().get(b)) return MALFORMED;
      n->type = b ? 't' : 'f';
      return 0;
    }
    case ondemand::json_type::null: {
      bool is_null;
      if (v.is_null().get(is_null) || !is_null) return MALFORMED;
      n->type = '0';
      return 0;
    }
    case ondemand::json_type::array: {
      ondemand::array array;
      n->type = '[';
      if (v.get_array().get(array)) return MALFORMED;
      if (int status = put_elements(t, array, depth)) return status;
      t->nodes[index].next = t->count;
      return 0;
    }
    case ondemand::json_type::object: {
      ondemand::object object;
      n->type = '{';
      if (v.get_object().get(object)) return MALFORMED;
      if (int status = put_members(t, object, depth)) return status;
      t->nodes[index].next = t->count;
      return 0;
    }
    default: return MALFORMED;
  }
}
}  // namespace tickpath_tape

/* Lays an object or array down from node 0 on. Returns Status: 1 OK, 2 malformed, 7 too large. capacity_bytes: readable bytes
   from data on (size + 64 at least). */
static inline int json_tape_read(JsonTape *t, const char *data, size_t size, size_t capacity_bytes) {
  using namespace tickpath_tape;
  t->count = 0;
  if (size > t->parser.capacity()) return TOO_LARGE;
  ondemand::document doc;
  if (t->parser.iterate(data, size, capacity_bytes).get(doc)) return MALFORMED;
  ondemand::json_type type;
  if (doc.type().get(type)) return MALFORMED;
  JsonNode *root = &t->nodes[t->count++];
  memset(root, 0, sizeof *root);
  int status;
  if (type == ondemand::json_type::object) {
    ondemand::object object;
    root->type = '{';
    if (doc.get_object().get(object)) return MALFORMED;
    status = put_members(t, object, 0);
  } else if (type == ondemand::json_type::array) {
    ondemand::array array;
    root->type = '[';
    if (doc.get_array().get(array)) return MALFORMED;
    status = put_elements(t, array, 0);
  } else {
    return MALFORMED;
  }
  if (status) return status;
  if (!doc.at_end()) return MALFORMED;
  root->next = t->count;
  return 1;
}
#endif
