# A 64-bit hash of a raw frame, for the journal's frame record: tells whether two runs saw the same bytes. Hot, stateless.
#
# Folded 64x64->128 multiplications (the idea of wyhash, github.com/wangyi-fudan/wyhash), four independent lanes of
# 16 bytes so that the multiplier is kept busy. Not cryptographic; the journal's own checksums guard the file.
from libc.stdint cimport uint64_t
from libc.string cimport memcpy

from tickpath.types cimport uint128

cdef inline uint64_t mix(uint64_t a, uint64_t b) noexcept nogil:
    cdef uint128 r = <uint128>a * b
    return <uint64_t>r ^ <uint64_t>(r >> 64)

cdef inline uint64_t word_at(const char* p) noexcept nogil:
    cdef uint64_t v
    memcpy(&v, p, 8)
    return v

cdef inline uint64_t frame_hash(const char* data, long size) noexcept nogil:
    cdef uint64_t a = 0x9E3779B97F4A7C15ULL ^ <uint64_t>size
    cdef uint64_t b = 0xC2B2AE3D27D4EB4FULL
    cdef uint64_t c = 0x165667B19E3779F9ULL
    cdef uint64_t d = 0x27D4EB2F165667C5ULL
    cdef uint64_t low = 0, high = 0
    cdef const char* p = data
    cdef long left = size
    while left >= 64:
        a = mix(word_at(p) ^ 0xA0761D6478BD642FULL, word_at(p + 8) ^ a)
        b = mix(word_at(p + 16) ^ 0xE7037ED1A0B428DBULL, word_at(p + 24) ^ b)
        c = mix(word_at(p + 32) ^ 0x8EBC6AF09C88C6E3ULL, word_at(p + 40) ^ c)
        d = mix(word_at(p + 48) ^ 0x589965CC75374CC3ULL, word_at(p + 56) ^ d)
        p += 64
        left -= 64
    while left >= 16:
        a = mix(word_at(p) ^ 0xA0761D6478BD642FULL, word_at(p + 8) ^ a)
        p += 16
        left -= 16
    if left >= 8:
        memcpy(&low, p, 8)
        memcpy(&high, p + 8, left - 8)
    else:
        memcpy(&low, p, left)
    a = mix(low ^ 0xE7037ED1A0B428DBULL, high ^ a)
    return mix(a ^ b ^ 0x8EBC6AF09C88C6E3ULL, c ^ d ^ <uint64_t>size)
