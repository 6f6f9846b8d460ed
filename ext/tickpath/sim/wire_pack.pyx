"""Packs records of the simulated venue's wire log into one buffer (tickpath_sim/trading/wire_log.py has the format).

Owner: the venue's one thread. It runs for every message in and out, which is why it is compiled: a tuple a record in a list
costs more than the rest of the log, by the garbage collector's passes over it.
"""
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy

from tickpath.clock cimport mono_now_ns

cdef extern from *:
    """
    #include <stddef.h>
    #include <stdint.h>
    #include <string.h>

    /* CRC-32 of zlib, eight bytes at a time. */
    static uint32_t wire_table[8][256];

    static void wire_prepare(void) {
        for (uint32_t i = 0; i < 256; i++) {
            uint32_t c = i;
            for (int bit = 0; bit < 8; bit++) c = c & 1 ? 0xEDB88320u ^ (c >> 1) : c >> 1;
            wire_table[0][i] = c;
        }
        for (uint32_t i = 0; i < 256; i++)
            for (int k = 1; k < 8; k++)
                wire_table[k][i] = wire_table[0][wire_table[k - 1][i] & 0xFF] ^ (wire_table[k - 1][i] >> 8);
    }

    static uint32_t wire_crc(const uint8_t* p, size_t n) {
        uint32_t c = 0xFFFFFFFFu;
        for (; n >= 8; p += 8, n -= 8) {
            uint32_t low, high;
            memcpy(&low, p, 4);
            memcpy(&high, p + 4, 4);
            low ^= c;
            c = wire_table[7][low & 0xFF] ^ wire_table[6][(low >> 8) & 0xFF] ^ wire_table[5][(low >> 16) & 0xFF]
                ^ wire_table[4][low >> 24] ^ wire_table[3][high & 0xFF] ^ wire_table[2][(high >> 8) & 0xFF]
                ^ wire_table[1][(high >> 16) & 0xFF] ^ wire_table[0][high >> 24];
        }
        while (n--) c = wire_table[0][(c ^ *p++) & 0xFF] ^ (c >> 8);
        return ~c;
    }

    /* Whether a text may hold what has to be overwritten: a name of a credential, or a subscription to one. */
    static int wire_holds(const uint8_t* p, size_t n, const char* word, size_t size) {
        const uint8_t *end = p + n;
        while (n >= size) {
            const uint8_t* at = (const uint8_t*)memchr(p, word[0], n - size + 1);
            if (at == NULL) return 0;
            if (memcmp(at, word, size) == 0) return 1;
            p = at + 1;
            n = (size_t)(end - p);
        }
        return 0;
    }
    static int wire_is_secret(const uint8_t* p, size_t n) {
        return wire_holds(p, n, "Key", 3) || wire_holds(p, n, "gnature", 7) || wire_holds(p, n, "SUBSCRIBE", 9);
    }

    static int wire_alnum(uint8_t c) { return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z'); }
    static int wire_token(uint8_t c) { return wire_alnum(c) || (c != 0 && strchr("+/=%_.-", c) != NULL); }

    /* Whether the word ends just before `at`, in upper or lower case. */
    static int wire_ends(const uint8_t* p, size_t at, const char* word, size_t size) {
        if (at < size) return 0;
        for (size_t i = 0; i < size; i++)
            if ((p[at - size + i] | 32) != (uint8_t)word[i]) return 0;
        return 1;
    }

    /* Overwrite the values of signature, listenKey and apiKey (X-MBX-APIKEY too), and with long_words each run of 40 or more
       letters and digits: a listen key where nothing names it. Six characters of keys stay, nothing of a signature. */
    static void wire_mask(uint8_t* p, size_t n, int long_words) {
        size_t run = 0, i = 0;
        while (i < n) {
            uint8_t c = p[i] | 32;
            size_t kept = 0;
            int named = 0;
            if (c == 'y' && wire_ends(p, i + 1, "key", 3)
                && (wire_ends(p, i - 2, "listen", 6) || wire_ends(p, i - 2, "api", 3))) named = 1, kept = 6;
            else if (c == 'e' && wire_ends(p, i + 1, "signature", 9)) named = 1;
            if (named) {
                size_t j = i + 1;
                while (j < n && (p[j] == '"' || p[j] == '\\\\' || p[j] == ' ')) j++;
                if (j < n && (p[j] == ':' || p[j] == '=')) {
                    j++;
                    while (j < n && (p[j] == '"' || p[j] == '\\\\' || p[j] == ' ' || p[j] == '\\t')) j++;
                    size_t end = j;
                    while (end < n && wire_token(p[end])) end++;
                    /* JSON's null is no credential, and would be no JSON any more. */
                    if (end - j == 4 && memcmp(p + j, "null", 4) == 0) end = j;
                    if (kept > (end - j) / 2) kept = (end - j) / 2;
                    for (size_t k = j + kept; k < end; k++) p[k] = '*';
                    if (end > j) {
                        i = end;
                        run = 0;
                        continue;
                    }
                }
            }
            if (long_words) {
                run = wire_alnum(p[i]) ? run + 1 : 0;
                if (run >= 40 && (i + 1 == n || !wire_alnum(p[i + 1])))
                    for (size_t k = i + 7 - run; k <= i; k++) p[k] = '*';
            }
            i++;
        }
    }
    """
    void wire_prepare() noexcept nogil
    uint32_t wire_crc(const uint8_t* p, size_t n) noexcept nogil
    int wire_is_secret(const uint8_t* p, size_t n) noexcept nogil
    void wire_mask(uint8_t* p, size_t n, int long_words) noexcept nogil

cdef enum: HEAD_BYTES = 32
cdef enum: FIRST_CAPACITY = 1 << 17

# As wire_log.RECORD: little-endian, no padding but the last two bytes.
cdef packed struct RecordHead:
    uint32_t crc
    uint32_t payload_bytes
    uint64_t number
    int64_t ts_ns
    uint32_t connection
    uint8_t kind
    uint8_t flags
    uint8_t reserved[2]

wire_prepare()


def masked(data, bint long_words=True):
    """The bytes with credentials overwritten by asterisks; of the same length.

    Parameters: data : bytes.  long_words : also runs of 40 letters and digits or more.
    """
    cdef bytes source = data
    cdef bytes out = PyBytes_FromStringAndSize(<const char*>source, len(source))
    wire_mask(<uint8_t*><char*>out, len(out), long_words)
    return out


cdef class WirePacker:
    """Records waiting for the disk.

    Parameters: offset_ns : wall time minus monotonic time.  incoming, outgoing : kinds whose payloads are looked through for
                credentials; others have been already.
    """
    cdef uint8_t* _memory
    cdef Py_ssize_t _capacity
    cdef readonly Py_ssize_t used_bytes
    cdef readonly uint64_t records             # numbered so far
    cdef readonly uint64_t waiting             # of them in the buffer
    cdef int64_t _offset_ns
    cdef int _incoming, _outgoing

    def __cinit__(self, int64_t offset_ns, int incoming, int outgoing):
        self._offset_ns, self._incoming, self._outgoing = offset_ns, incoming, outgoing
        self._capacity = FIRST_CAPACITY
        self._memory = <uint8_t*>malloc(FIRST_CAPACITY)
        if self._memory == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self._memory)

    def put(self, int kind, int flags, uint32_t connection, data):
        """Add a record; returns the bytes that wait. data : any buffer of bytes."""
        cdef Py_buffer view
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            self._add(kind, flags, connection, <const uint8_t*>view.buf, view.len)
        finally:
            PyBuffer_Release(&view)
        return self.used_bytes

    cdef int _add(self, int kind, int flags, uint32_t connection, const uint8_t* data, Py_ssize_t size) except -1:
        cdef Py_ssize_t needed = self.used_bytes + HEAD_BYTES + size, capacity = self._capacity
        cdef uint8_t* memory
        cdef RecordHead head
        if size > 0xFFFFFFFF:
            raise ValueError(f"expected a payload of less than 4 GiB, found {size} bytes")
        if needed > capacity:
            while capacity < needed:
                capacity *= 2
            memory = <uint8_t*>realloc(self._memory, capacity)
            if memory == NULL:
                raise MemoryError
            self._memory, self._capacity = memory, capacity
        self.records += 1
        self.waiting += 1
        memory = self._memory + self.used_bytes
        head.crc = 0
        head.payload_bytes = <uint32_t>size
        head.number = self.records
        head.ts_ns = mono_now_ns() + self._offset_ns
        head.connection = connection
        head.kind = <uint8_t>kind
        head.flags = <uint8_t>flags
        head.reserved[0] = head.reserved[1] = 0
        memcpy(memory, &head, HEAD_BYTES)
        memcpy(memory + HEAD_BYTES, data, size)
        if (kind == self._incoming or kind == self._outgoing) and wire_is_secret(memory + HEAD_BYTES, size):
            wire_mask(memory + HEAD_BYTES, size, kind == self._incoming and data[0] == 123)
        head.crc = wire_crc(memory + 4, HEAD_BYTES - 4 + size)
        memcpy(memory, &head.crc, 4)
        self.used_bytes = needed
        return 0

    def take(self):
        """(bytes of all records that wait, how many); the buffer is empty after it."""
        cdef bytes block = PyBytes_FromStringAndSize(<const char*>self._memory, self.used_bytes)
        cdef uint64_t count = self.waiting
        self.used_bytes = 0
        self.waiting = 0
        # A message of many megabytes does not keep its memory for the rest of the run.
        if self._capacity > 16 * FIRST_CAPACITY:
            memory = <uint8_t*>malloc(FIRST_CAPACITY)
            if memory != NULL:
                free(self._memory)
                self._memory, self._capacity = memory, FIRST_CAPACITY
        return block, count
