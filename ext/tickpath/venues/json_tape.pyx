"""JSON text to a tape of its values, through simdjson on-demand; see json_tape.pxd."""


cdef extern from "json_tape.hpp":
    ctypedef struct CppTape "JsonTape":
        pass
    CppTape* json_tape_create(size_t max_bytes, uint32_t capacity) noexcept nogil
    void json_tape_destroy(CppTape* t) noexcept nogil
    int json_tape_read(CppTape* t, const char* data, size_t size, size_t capacity_bytes) noexcept nogil


cdef JsonTape* json_tape_new(int64_t max_bytes, uint32_t capacity) noexcept nogil:
    return <JsonTape*>json_tape_create(max_bytes, capacity)


cdef void json_tape_free(JsonTape* t) noexcept nogil:
    json_tape_destroy(<CppTape*>t)


cdef int json_tape_parse(JsonTape* t, const char* data, int64_t size, int64_t capacity_bytes) noexcept nogil:
    return json_tape_read(<CppTape*>t, data, size, capacity_bytes)
