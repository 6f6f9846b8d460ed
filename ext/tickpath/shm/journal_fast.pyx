"""What the journal does for every slot, compiled: the checksum, the sequence check, the canonical rows. Cold for the
engine; the journal process, recovery and replay use it, each on one thread.

`crc32` is the CRC-32 of zlib, so that any tool can check a journal; where the processor multiplies without carries it
folds 64 bytes at a time, several times faster than zlib.
"""
import numpy as np

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset
from tickpath.types cimport EV_CONT, EV_INPUT_LAST, EV_NONE, EV_OUTPUT_FIRST, EV_OUTPUT_LAST, SLOT_BYTES, Slot

cdef extern from *:
    """
    #include <stddef.h>
    #include <stdint.h>
    #include <string.h>

    static uint32_t crc_table[256];

    static void crc_prepare(void) {
        for (uint32_t i = 0; i < 256; i++) {
            uint32_t c = i;
            for (int bit = 0; bit < 8; bit++) c = c & 1 ? 0xEDB88320u ^ (c >> 1) : c >> 1;
            crc_table[i] = c;
        }
    }

    static uint32_t crc_bytes(uint32_t state, const uint8_t* p, size_t n) {
        while (n--) state = crc_table[(state ^ *p++) & 0xFF] ^ (state >> 8);
        return state;
    }

    #if defined(__x86_64__)
    #include <immintrin.h>
    /* Folding with carry-less multiplication. The constants are x^(512+32), x^(512-32), x^(128+32) and x^(128-32) modulo
       the CRC's polynomial, bits reflected. What is left after the last fold is congruent to all that came before: its
       16 bytes go through the table. n is at least 64. */
    __attribute__((target("pclmul,sse2"))) static uint32_t crc_folded(uint32_t state, const uint8_t* p, size_t n) {
        const __m128i by_64 = _mm_set_epi64x(0x1c6e41596LL, 0x154442bd4LL);
        const __m128i by_16 = _mm_set_epi64x(0x0ccaa009eLL, 0x1751997d0LL);
        #define CRC_FOLD(x, k, y) _mm_xor_si128(_mm_xor_si128(_mm_clmulepi64_si128(x, k, 0x00), \\
                                                              _mm_clmulepi64_si128(x, k, 0x11)), y)
        #define CRC_LOAD(i) _mm_loadu_si128((const __m128i*)p + i)
        __m128i a = _mm_xor_si128(CRC_LOAD(0), _mm_cvtsi32_si128((int)state));
        __m128i b = CRC_LOAD(1), c = CRC_LOAD(2), d = CRC_LOAD(3);
        for (p += 64, n -= 64; n >= 64; p += 64, n -= 64) {
            a = CRC_FOLD(a, by_64, CRC_LOAD(0));
            b = CRC_FOLD(b, by_64, CRC_LOAD(1));
            c = CRC_FOLD(c, by_64, CRC_LOAD(2));
            d = CRC_FOLD(d, by_64, CRC_LOAD(3));
        }
        a = CRC_FOLD(a, by_16, b);
        a = CRC_FOLD(a, by_16, c);
        a = CRC_FOLD(a, by_16, d);
        uint8_t rest[16];
        _mm_storeu_si128((__m128i*)rest, a);
        return crc_bytes(crc_bytes(0, rest, 16), p, n);
        #undef CRC_FOLD
        #undef CRC_LOAD
    }
    static uint32_t crc_update(uint32_t state, const uint8_t* p, size_t n) {
        return n >= 64 && __builtin_cpu_supports("pclmul") ? crc_folded(state, p, n) : crc_bytes(state, p, n);
    }
    #else
    static uint32_t crc_update(uint32_t state, const uint8_t* p, size_t n) { return crc_bytes(state, p, n); }
    #endif
    """
    void crc_prepare() noexcept nogil
    uint32_t crc_update(uint32_t state, const uint8_t* p, size_t n) noexcept nogil

cdef enum: FIELDS_MAX = 12            # copied fields of one output type
cdef enum: OUTPUT_TYPES = EV_OUTPUT_LAST + 1 - EV_OUTPUT_FIRST
cdef enum: ROW_BYTES = 64

cdef struct FieldCopy:
    uint16_t source               # byte in the record
    uint16_t target               # byte in the row
    uint8_t copied_bytes
    uint8_t first_byte_mask

crc_prepare()


def crc32(data, uint32_t value=0):
    """CRC-32 as zlib.crc32(data, value); data is a contiguous buffer of bytes."""
    cdef const uint8_t[::1] memory = data
    cdef size_t count = memory.shape[0]
    if count:
        with nogil:
            value = ~crc_update(~value, &memory[0], count)
    return value


cdef const uint8_t[::1] _bytes_of(slots):
    return np.ascontiguousarray(slots).view(np.uint8).reshape(-1)


def sequence_break(slots, uint64_t first_seq):
    """Index of the first slot whose sequence is not first_seq plus its index, or -1."""
    if len(slots) == 0:
        return -1
    cdef const uint8_t[::1] memory = _bytes_of(slots)
    cdef const Slot* slot = <const Slot*>&memory[0]
    cdef int64_t i, count = memory.shape[0] // SLOT_BYTES, found = -1
    with nogil:
        for i in range(count):
            if slot[i].seq != first_seq + <uint64_t>i:
                found = i
                break
    return found


cdef class RecordScanner:
    """Counts the records of a stream and makes the canonical row of each output.

    Parameters: slots_of_type : 256 slot counts.  copies : {output type: [(source byte, target byte, bytes, mask of the
                first byte), …]}.  offsets : bytes of input_ordinal, instrument and type in a row.
    """
    cdef FieldCopy _copies[OUTPUT_TYPES][FIELDS_MAX]
    cdef int _copy_count[OUTPUT_TYPES]         # -1: no canonical form
    cdef uint8_t _slots_of_type[256]
    cdef uint64_t _counts[256]
    cdef int _ordinal_offset, _instrument_offset, _type_offset
    cdef readonly uint64_t inputs
    cdef readonly uint64_t outputs

    def __cinit__(self, slots_of_type, copies, offsets):
        cdef int kind, k
        memset(self._counts, 0, sizeof(self._counts))
        for kind in range(256):
            self._slots_of_type[kind] = slots_of_type[kind]
        for kind in range(OUTPUT_TYPES):
            self._copy_count[kind] = -1
        for kind, fields in copies.items():
            if len(fields) > FIELDS_MAX:
                raise ValueError(f"output type {kind}: expected at most {FIELDS_MAX} fields, found {len(fields)}")
            for k, (source, target, copied, mask) in enumerate(fields):
                self._copies[kind - EV_OUTPUT_FIRST][k] = FieldCopy(source, target, copied, mask)
            self._copy_count[kind - EV_OUTPUT_FIRST] = len(fields)
        self._ordinal_offset, self._instrument_offset, self._type_offset = offsets

    def count(self, uint8_t kind):
        """Records of one type so far."""
        return self._counts[kind]

    def scan(self, slots, uint8_t[::1] rows):
        """Take the next slots; returns (slots taken, rows written, type without a canonical form or 0).

        rows : room for one row a slot. Not taken is a last record whose rest is still to come, and what begins with an
        output that has no canonical form. A record that a lap tore is taken and neither counted nor written.
        """
        if len(slots) == 0:
            return 0, 0, 0
        cdef const uint8_t[::1] memory = _bytes_of(slots)
        cdef const Slot* first = <const Slot*>&memory[0]
        cdef int64_t count = memory.shape[0] // SLOT_BYTES
        cdef int64_t row_count = 0
        cdef int unknown = 0
        cdef int64_t taken
        if rows.shape[0] < count * ROW_BYTES:
            raise ValueError(f"rows: expected room for {count} rows, found {rows.shape[0]} bytes")
        with nogil:
            taken = self._scan(first, count, &rows[0], &row_count, &unknown)
        return taken, row_count, unknown

    cdef int64_t _scan(self, const Slot* slots, int64_t count, uint8_t* rows, int64_t* row_count,
                       int* unknown) noexcept nogil:
        cdef int64_t i = 0
        cdef int64_t size, k
        cdef int f, fields
        cdef uint8_t kind
        cdef const uint8_t* record
        cdef uint8_t* row
        cdef const FieldCopy* copy
        while i < count:
            kind = slots[i].type
            if kind == EV_CONT:
                i += 1
                continue
            size = self._slots_of_type[kind]
            k = 1
            while k < size and i + k < count and slots[i + k].type == EV_CONT:
                k += 1
            if k < size:
                if i + k == count:
                    return i
                i += k
                continue
            if EV_NONE < kind <= EV_INPUT_LAST:
                self.inputs += 1
            elif EV_OUTPUT_FIRST <= kind <= EV_OUTPUT_LAST:
                fields = self._copy_count[kind - EV_OUTPUT_FIRST]
                if fields < 0:
                    unknown[0] = kind
                    return i
                record = <const uint8_t*>(slots + i)
                row = rows + row_count[0] * ROW_BYTES
                memset(row, 0, ROW_BYTES)
                memcpy(row + self._ordinal_offset, &self.inputs, 8)
                memcpy(row + self._instrument_offset, &slots[i].instrument, 4)
                row[self._type_offset] = kind
                copy = &self._copies[kind - EV_OUTPUT_FIRST][0]
                for f in range(fields):
                    if copy[f].copied_bytes == 8:
                        memcpy(row + copy[f].target, record + copy[f].source, 8)
                    else:
                        memcpy(row + copy[f].target, record + copy[f].source, copy[f].copied_bytes)
                        row[copy[f].target] &= copy[f].first_byte_mask
                row_count[0] += 1
                self.outputs += 1
            self._counts[kind] += 1
            i += size
        return i
