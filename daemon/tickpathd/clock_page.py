"""The clocks page: what is known of the venues' clocks (venue_clock.py), for tap, report and whoever looks.

A segment of the run, made by the engine's process. Two writers, each with words of its own (shm/words.pyx): the engine's
process what its streams show, the gateway what the time endpoints say. A block is (round, value, uncertainty, written at);
its round is odd while it is written, so that a reader takes no half of it.

    128     blocks: of venue slot v and source s at 128 + (2 v + s) * 64; source 0 = stream, 1 = rest
    2176    the venues' names, 32 bytes each, zero-padded; written before anybody else attaches
"""
import time
from typing import NamedTuple

from tickpath.shm.segment import SegmentError, attach_segment
from tickpath.shm.words import load_word, store_word
from tickpathd.venue_clock import Offset, verdict

__all__ = ["CLOCKS_BYTES", "REST", "STREAM", "ClockRow", "attach_clocks", "name_venues", "read_clocks", "write_clock"]

STREAM, REST = 0, 1
FIRST, BLOCK = 128, 64
VENUES = 16
NAMES, NAME_BYTES = FIRST + 2 * VENUES * BLOCK, 32
CLOCKS_BYTES = 4096
ATTEMPTS = 100
# A gateway that has fallen silent knows nothing of now.
STALE_S = 300.0


class ClockRow(NamedTuple):
    """One venue. offset : Offset or None.  stream_lag_ns : least receive minus venue time in the window, None: no message."""
    venue: str
    offset: Offset | None
    source: str
    stream_lag_ns: int | None

    def as_dict(self):
        """For JSON: milliseconds."""
        o = self.offset
        return {"venue": self.venue, "source": self.source, "offset_ms": None if o is None else round(o.offset_ns / 1e6, 3),
                "uncertainty_ms": None if o is None or o.at_least else round(o.uncertainty_ns / 1e6, 3),
                "at_least": bool(o and o.at_least),
                "stream_lag_ms": None if self.stream_lag_ns is None else round(self.stream_lag_ns / 1e6, 3)}


def name_venues(buffer, names):
    """Write the venues' names, in the order of their slots."""
    for slot, name in enumerate(names):
        buffer[NAMES + slot * NAME_BYTES:NAMES + (slot + 1) * NAME_BYTES] = name.encode().ljust(NAME_BYTES, b"\0")


def write_clock(buffer, slot, source, value_ns, uncertainty_ns=0):
    """Publish one estimate: an offset (rest) or a least lag (stream), ns."""
    at = FIRST + (2 * slot + source) * BLOCK
    number = load_word(buffer, at)
    number += 1 + (number & 1)              # even again, whatever a writer that was killed has left
    store_word(buffer, at, number | 1)
    for k, word in enumerate((value_ns, uncertainty_ns, time.time_ns()), 1):
        store_word(buffer, at + 8 * k, word & (1 << 64) - 1)
    store_word(buffer, at, (number | 1) + 1)


def _read(buffer, slot, source):
    """(value, uncertainty) or None when nothing was written, or nothing of late."""
    at = FIRST + (2 * slot + source) * BLOCK
    for _ in range(ATTEMPTS):
        number = load_word(buffer, at)
        words = [load_word(buffer, at + 8 * k) for k in (1, 2, 3)]
        if number == 0:
            return None
        if not number & 1 and load_word(buffer, at) == number:
            value, uncertainty, written_ns = (w - (1 << 64) if w >> 63 else w for w in words)
            return (value, uncertainty) if time.time_ns() - written_ns < STALE_S * 1e9 else None
    return None                             # its writer died in the middle


def read_clocks(buffer):
    """[ClockRow] of the venues of which something is known, in the order of their slots."""
    rows = []
    for slot in range(VENUES):
        name = bytes(buffer[NAMES + slot * NAME_BYTES:NAMES + (slot + 1) * NAME_BYTES]).rstrip(b"\0").decode()
        stream, rest = _read(buffer, slot, STREAM), _read(buffer, slot, REST)
        if stream is None and rest is None:
            continue
        lag_ns = stream[0] if stream else None
        offset = verdict(Offset(*rest) if rest else None, lag_ns)
        rows.append(ClockRow(name, offset, "rest" if rest else "stream", lag_ns))
    return rows


def attach_clocks(instance, *, writable=False):
    """The page of a running instance, None when it has none (a run of captures alone)."""
    try:
        return attach_segment(instance, "clocks", writable=writable)
    except SegmentError:
        return None
