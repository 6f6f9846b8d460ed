"""Two decoders of one venue, scanner on and off, side by side: what their differential tests share."""
import json

import numpy as np

from tickpath.types import Status
from tickpath.venues.decoders import MessageDecoder


class DecoderPair:
    """Both ways into one venue's messages.

    The records of the two are made over different old bytes, so that a field which one of them does not write differs.
    """

    def __init__(self, kind, instruments, soil_fast, soil_slow):
        self.fast = MessageDecoder(instruments, kind=kind)
        self.slow = MessageDecoder(instruments, kind=kind, scanner=False)
        assert self.fast.decode(soil_fast, 1)[0] == self.slow.decode(soil_slow, 2)[0] == Status.STATUS_OK

    def outcome(self, decoder, data):
        status, kind, slots, scanned, levels, update_id = decoder.decode(data, 7)
        if status != Status.STATUS_OK:
            assert len(slots) == 0, (status, data)
            return (status, b"", kind if status == Status.STATUS_IGNORED else None), scanned
        assert len(slots) > 0, data
        return (status, slots.tobytes(), kind, levels, update_id, decoder.skipped_count, decoder.ts_venue_ns), scanned

    def check(self, data):
        """True when the scanner took it; fails when the two differ."""
        fast, scanned = self.outcome(self.fast, data)
        slow, _ = self.outcome(self.slow, data)
        assert fast == slow, (data, fast, slow)
        return scanned and fast[0] == Status.STATUS_OK

    def status(self, data):
        return Status(self.slow.decode(data, 7)[0])


NUMBERS = [b"0", b"0.0", b"-1", b"1e2", b"1E-2", b"007.5", b"5.", b".5", b"+5", b"5", b"12345678", b"123456789", b"1234567.12345678",
           b"0.000000004", b"0.123456789", b"99999999.99999999", b"9223372036854775807", b"18446744073709551616", b"1.2.3", b"",
           b"12345678901234567", b"1234567890.123456", b"1" + 40 * b"0", b"0." + 40 * b"1", b"NaN", b"1,5", b" 5", b"5 ", b"0x1F", b"\xff"]
INTEGERS = [b"0", b"-0", b"-1", b"-2", b"01", b"1.0", b"1e3", b"2147483647", b"2147483648", b"-2147483648", b"-2147483649",
            b"9999999999999999", b"10000000000000000", b"18446744073709551615", b"18446744073709551616", b'"5"', b"null", b"true", b"[]"]


def mutated(r, data, seeds):
    """One to three changes of bytes."""
    data = bytearray(data)
    for _ in range(r.randrange(1, 4)):
        if not data:
            break
        at = r.randrange(len(data))
        k = r.randrange(8)
        if k == 0:
            data[at] = r.randrange(256)
        elif k == 1:
            data[at] ^= 1 << r.randrange(8)
        elif k == 2:
            del data[at:at + r.choice((1, 1, r.randrange(1, 30)))]
        elif k == 3:
            data.insert(at, r.choice(b'0123456789.,:"{}[]-eE+\\ \n\0'))
        elif k == 4:
            data[at:at] = data[at:at + r.randrange(1, 60)]
        elif k == 5:
            data[at] = r.choice(b'0123456789.,:"{}[]-eE+\\ ')
        elif k == 6:
            other = r.choice(seeds)
            data[at:] = other[r.randrange(len(other)):]
        else:
            digits = [i for i, c in enumerate(data) if 48 <= c <= 57]
            if digits:
                data[r.choice(digits)] = r.choice(b"0123456789")
    return bytes(data)


def revalued(r, data):
    """Another number, of any form, in the place of one or two strings or integers."""
    for _ in range(r.randrange(1, 3)):
        # Every odd piece stands inside quotes.
        pieces = data.split(b'"')
        numeric = [i for i in range(1, len(pieces), 2) if pieces[i][:1].isdigit()]
        bare = [i for i in range(0, len(pieces), 2) if any(48 <= c <= 57 for c in pieces[i])]
        if numeric and (not bare or r.random() < 0.7):
            i = r.choice(numeric)
            if r.random() < 0.5:
                pieces[i] = r.choice(NUMBERS)
            else:
                whole, decimals = r.randrange(1, 12), r.randrange(0, 12)
                text = "".join(r.choice("0123456789") for _ in range(whole + decimals))
                pieces[i] = (text[:whole] + ("." + text[whole:] if decimals else "")).encode()
        elif bare:
            i = r.choice(bare)
            old = bytes(c for c in pieces[i] if c in b"-0123456789")
            pieces[i] = pieces[i].replace(old, r.choice(INTEGERS), 1)
        data = b'"'.join(pieces)
    return data


def reformed(r, data):
    """The same JSON otherwise written: keys in another order, other white space, a field more."""
    def shuffled(value):
        if isinstance(value, dict):
            items = [(k, shuffled(v)) for k, v in value.items()]
            if r.random() < 0.3:
                items.append(("zz", r.choice([1, "x", None, {"deep": [1, {"y": False}]}])))
            r.shuffle(items)
            return dict(items)
        return [shuffled(v) for v in value] if isinstance(value, list) else value
    return json.dumps(shuffled(json.loads(data)), separators=r.choice([(",", ":"), (", ", ": "), (",\n", ":\t")])).encode()


def levels_of(slots):
    """[(flags & ask, price_ticks, qty_lots)] of book records that are levels."""
    keep = slots[(slots["flags"] & 16) == 0]
    return list(zip((keep["flags"] & 1).tolist(), keep["price_ticks"].tolist(), keep["qty_lots"].tolist(), strict=True))


def split_messages(slots):
    """The book messages of a frame, each an array of records: they end with DELTA_LAST."""
    return np.split(slots, np.flatnonzero(slots["flags"] & 8)[:-1] + 1)
