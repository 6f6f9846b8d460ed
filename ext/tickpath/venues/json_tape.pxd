# The general way into a message: every value of a JSON text laid down in order, looked up by key in any order. Hot enough for
# rare messages, not for the ones a scanner takes (scan.pxd); owned by one decoder; no allocation once made.
#
# simdjson finds and checks the values (json_tape.hpp); nodes[0] is the outermost object or array. The members of a container
# at i are i + 1, nodes[i + 1].next, … up to nodes[i].next.
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

from tickpath.decimal cimport Grid, decimal_to_units_slow
from tickpath.market.instruments cimport Instrument, InstrumentTable, instrument_find
from tickpath.types cimport STATUS_MALFORMED, TS_NONE

cdef struct JsonNode:
    const char* text              # strings: the byte behind the quote; numbers: the first digit or '-'
    const char* key               # of a member of an object
    uint32_t size                 # strings: bytes up to the closing quote, escapes not resolved; numbers: bytes of the token
    uint32_t key_size
    uint32_t next                 # the node behind this one and all in it
    uint8_t type                  # 's' string, 'S' string with an escape, 'n' number, 't', 'f', '0' null, '[', '{'

cdef struct JsonTape:
    JsonNode* nodes
    uint32_t count
    uint32_t capacity

cdef enum: JSON_ABSENT = 0            # node 0 is the outermost, so it is nobody's member
cdef enum: JSON_DUPLICATE = 0xFFFFFFFF

# Status. capacity_bytes: readable bytes from data on, size + FRAME_PADDING at least.
cdef int json_tape_parse(JsonTape* t, const char* data, int64_t size, int64_t capacity_bytes) noexcept nogil

# ---- cold
cdef JsonTape* json_tape_new(int64_t max_bytes, uint32_t capacity) noexcept nogil
cdef void json_tape_free(JsonTape* t) noexcept nogil

# ---- lookups
# The member of the object at `at`: its node, JSON_ABSENT, or JSON_DUPLICATE when the key stands there twice, since which one
# counts would be a guess.
cdef inline uint32_t json_get(const JsonNode* nodes, uint32_t at, const char* key, uint32_t key_size) noexcept nogil:
    cdef uint32_t i = at + 1, found = JSON_ABSENT
    if at == JSON_DUPLICATE or nodes[at].type != b'{':
        return JSON_ABSENT
    while i < nodes[at].next:
        if nodes[i].key_size == key_size and memcmp(nodes[i].key, key, key_size) == 0:
            if found != JSON_ABSENT:
                return JSON_DUPLICATE
            found = i
        i = nodes[i].next
    return found

# The n-th element (from 0) of the array at `at`, or JSON_ABSENT.
cdef inline uint32_t json_at(const JsonNode* nodes, uint32_t at, uint32_t n) noexcept nogil:
    cdef uint32_t i = at + 1
    if at == JSON_DUPLICATE or nodes[at].type != b'[':
        return JSON_ABSENT
    while i < nodes[at].next:
        if n == 0:
            return i
        n -= 1
        i = nodes[i].next
    return JSON_ABSENT

cdef inline bint json_is_member(uint32_t node) noexcept nogil:
    return node != JSON_ABSENT and node != JSON_DUPLICATE

# ---- values; `node` may be JSON_ABSENT or JSON_DUPLICATE, and then none of them holds
cdef inline bint json_is_text(const JsonNode* nodes, uint32_t node, const char* text, uint32_t size) noexcept nogil:
    return (json_is_member(node) and nodes[node].type == b's' and nodes[node].size == size
            and memcmp(nodes[node].text, text, size) == 0)

cdef inline bint json_is_type(const JsonNode* nodes, uint32_t node, uint8_t type) noexcept nogil:
    return json_is_member(node) and nodes[node].type == type

# An unsigned integer of up to 19 digits, as a number or (with `quoted`) as a string.
cdef inline bint json_uint(const JsonNode* nodes, uint32_t node, bint quoted, uint64_t* value) noexcept nogil:
    cdef const JsonNode* f
    cdef uint64_t v = 0
    cdef uint32_t i
    if not json_is_member(node):
        return False
    f = &nodes[node]
    if f.type != (115 if quoted else 110) or f.size == 0 or f.size > 19:      # 's', 'n'
        return False
    for i in range(f.size):
        if not 48 <= f.text[i] <= 57:
            return False
        v = v * 10 + <uint64_t>(f.text[i] - 48)
    value[0] = v
    return True

# A decimal as a string or a number, in units of the grid. Status.
cdef inline int json_decimal(const JsonNode* nodes, uint32_t node, const Grid* g, int64_t* units) noexcept nogil:
    if not json_is_member(node) or (nodes[node].type != b's' and nodes[node].type != b'n'):
        return STATUS_MALFORMED
    return decimal_to_units_slow(nodes[node].text, nodes[node].size, g, units)

# True or False into *value; anything else is no answer.
cdef inline bint json_bool(const JsonNode* nodes, uint32_t node, bint* value) noexcept nogil:
    if not json_is_member(node) or (nodes[node].type != b't' and nodes[node].type != b'f'):
        return False
    value[0] = nodes[node].type == b't'
    return True

cdef inline const Instrument* json_instrument(const JsonNode* nodes, uint32_t node, const InstrumentTable* t,
                                              uint32_t venue_slot) noexcept nogil:
    cdef char[32] padded
    if not json_is_member(node) or nodes[node].type != b's' or nodes[node].size == 0 or nodes[node].size > 24:
        return NULL
    memset(padded, 0, 32)
    memcpy(padded, nodes[node].text, nodes[node].size)
    return instrument_find(t, venue_slot, padded, nodes[node].size)
