"""Mutations of byte strings: bit flips, bytes, blocks, numbers (binary and text), truncation, dictionary words, splices.

`Mutator(random, dictionary, max_bytes).mutate(data, other)` gives a new input; the same seed gives the same inputs.
"""
import re
import struct

INTERESTING = (
    0, 1, 2, 3, 7, 8, 15, 16, 31, 32, 33, 63, 64, 65, 127, 128, 255, 256, 1023, 1024, 4095, 4096, 32767, 32768, 65535, 65536,
    2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 53, 2 ** 63 - 1, 2 ** 63, 2 ** 64 - 1,
)
NUMBERS_AS_TEXT = (
    b"0", b"-1", b"00", b"1e5", b"1E400", b"-0", b"0.1", b".5", b"5.", b"0.00000001", b"0.000000001", b"1e-9",
    b"9007199254740993", b"9223372036854775807", b"9223372036854775808", b"18446744073709551615", b"18446744073709551616",
    b"99999999999999999999999", b"0.123456789012345678901", b"nan", b"inf",
)
NUMBER = re.compile(rb"\d[\d.]*")
WIDTHS = ((1, "<B"), (2, "<H"), (4, "<I"), (8, "<Q"))


class Mutator:
    """Parameters: random : random.Random.  dictionary : words worth inserting.  max_bytes : longest input made."""

    def __init__(self, random, dictionary=(), max_bytes=65536):
        self.random, self.dictionary, self.max_bytes = random, list(dictionary), max_bytes
        self._ways = [self._flip_bit, self._set_byte, self._set_byte, self._add_to_word, self._set_word, self._delete_block,
                      self._copy_block, self._overwrite_block, self._insert_bytes, self._change_number_text,
                      self._cut_end]
        if self.dictionary:
            self._ways += [self._insert_word, self._insert_word, self._overwrite_with_word]

    def mutate(self, data, other):
        """A changed copy of `data`; `other` is another input of the corpus, for splices."""
        r = self.random
        out = bytearray(data)
        if other and r.random() < 0.15:
            out[r.randrange(len(out) + 1):] = other[r.randrange(len(other)):]
        for _ in range(1 << r.randrange(5) if r.random() < 0.5 else 1):
            if not out:
                out += bytes([r.randrange(256)])
            r.choice(self._ways)(out)
        del out[self.max_bytes:]
        return bytes(out)

    def _length(self, longest):
        # Mostly short: long blocks destroy what made the input interesting.
        return min(longest, 1 + int(self.random.expovariate(1 / 12)))

    def _flip_bit(self, out):
        out[self.random.randrange(len(out))] ^= 1 << self.random.randrange(8)

    def _set_byte(self, out):
        out[self.random.randrange(len(out))] = self.random.randrange(256)

    def _word_at(self, out):
        width, text = self.random.choice(WIDTHS)
        if len(out) < width:
            width, text = WIDTHS[0]
        return self.random.randrange(len(out) - width + 1), width, text

    def _add_to_word(self, out):
        at, width, text = self._word_at(out)
        value = struct.unpack_from(text, out, at)[0] + self.random.randrange(-35, 36)
        struct.pack_into(text, out, at, value % (1 << 8 * width))

    def _set_word(self, out):
        at, width, text = self._word_at(out)
        struct.pack_into(text, out, at, self.random.choice(INTERESTING) % (1 << 8 * width))

    def _delete_block(self, out):
        at = self.random.randrange(len(out))
        del out[at:at + self._length(len(out) - at)]

    def _copy_block(self, out):
        start = self.random.randrange(len(out))
        at = self.random.randrange(len(out) + 1)
        out[at:at] = out[start:start + self._length(len(out) - start)] * self.random.choice((1, 1, 1, 2, 40))

    def _overwrite_block(self, out):
        start, at = self.random.randrange(len(out)), self.random.randrange(len(out))
        block = out[start:start + self._length(len(out) - start)]
        out[at:at + len(block)] = block

    def _insert_bytes(self, out):
        at = self.random.randrange(len(out) + 1)
        out[at:at] = self.random.randbytes(self._length(64))

    def _change_number_text(self, out):
        found = list(NUMBER.finditer(out))
        if not found:
            return self._set_byte(out)
        match = self.random.choice(found)
        if self.random.random() < 0.5:
            text = self.random.choice(NUMBERS_AS_TEXT)
        else:
            digits = match[0].replace(b".", b"")[:18]
            text = str(max(0, int(digits) + self.random.choice((-1, 1, 10, -10, 1000)))).encode()
            if b"." in match[0]:
                text = text[:1] + b"." + text[1:]
        out[match.start():match.end()] = text

    def _cut_end(self, out):
        del out[len(out) - self._length(len(out)):]

    def _insert_word(self, out):
        at = self.random.randrange(len(out) + 1)
        out[at:at] = self.random.choice(self.dictionary)

    def _overwrite_with_word(self, out):
        at, word = self.random.randrange(len(out)), self.random.choice(self.dictionary)
        out[at:at + len(word)] = word
