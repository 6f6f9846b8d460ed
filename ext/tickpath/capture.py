"""Capture files: recorded frames of a venue, read one by one in the order in which they were received.

What a file is follows from its content, never from its name: compression from the magic bytes (gzip, zstandard, lz4
frame, xz, or none), then a recording of `tickpath record` from its own (raw_capture.py), any other format from the first line:

    A   <receive time, ns> <JSON frame>            1723161254087891268 {"stream":"btcusdt@bookTicker","data":{…}}
    B   JSON records {"t": …, "ts": seconds, …}    {"t":"recv","conn":"BINANCE.ws.1","ts":1633998512.0633569,"data":"…"}
    C   one JSON frame a line, without a time      {"channel":"book","type":"update","data":[…]}

A and C are streamed. B is read whole and sorted by time, because its REST records stand first. C gets a synthetic clock
that starts at 0 and advances 1 ms a frame: order is kept, durations mean nothing.

A frame's bytes are delivered as recorded, valid or not: judging them is the decoder's work. Damage (a cut or corrupt
stream, a line that does not fit) raises CaptureError once everything before it has been delivered.
"""
import base64
import binascii
import glob
import lzma
import os
import re
import zlib
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

import lz4.frame
import msgspec
import zstandard

from tickpath.raw_capture import RAW_MAGIC, read_raw

__all__ = ["CaptureError", "CaptureFrame", "expand_capture", "read_capture"]

# Fed to a decompressor at a time. Small, because what precedes damage inside one piece is lost, and because a piece
# bounds what a hostile file can make us allocate (zstandard: 4 bytes can stand for 128 KiB).
PIECE_BYTES = 4096
LINE_BYTES_MAX = 64 << 20
SYNTHETIC_STEP_NS = 1_000_000
TS_NS_MAX = 2 ** 63 - 1

DECOMPRESSORS = (
    (b"\x1f\x8b", "gzip", lambda: zlib.decompressobj(wbits=31)),
    (b"\x28\xb5\x2f\xfd", "zstandard", lambda: zstandard.ZstdDecompressor().decompressobj()),
    (b"\x04\x22\x4d\x18", "lz4", lz4.frame.LZ4FrameDecompressor),
    (b"\xfd7zXZ\x00", "xz", lzma.LZMADecompressor),
)
DAMAGE = (zlib.error, zstandard.ZstdError, lzma.LZMAError, RuntimeError, EOFError)    # lz4 raises RuntimeError
NOT_JSON = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

LINE_A = re.compile(rb"(\d{1,19}) ([{\[].*[}\]])", re.DOTALL)
PRODUCT_BOOK = re.compile(r"/products/([^/]+)/book")
RECORD_KINDS = {"header", "http", "connect", "send", "recv"}


class CaptureError(Exception):
    """A capture that cannot be read (further): "PATH: line N: expected X, found Y".

    Attributes: path : str.  line : int from 1, or None for the file as a whole.  expected, found : str.
    """

    def __init__(self, path, line, expected, found):
        self.path, self.line, self.expected, self.found = str(path), line, expected, found
        where = str(path) if line is None else f"{path}: line {line}"
        super().__init__(f"{where}: expected {expected}, found {found}")


class CaptureFrame(NamedTuple):
    """One received frame or REST body.

    ts_recv_ns: as recorded, not corrected (the recorder's clock may be off, and is in known files).
    symbol_hint: the venue's symbol from the URL of a REST body that does not name it itself.
    """
    ts_recv_ns: int
    data: bytes
    source: str                   # "ws" or "rest"
    symbol_hint: str | None
    conn: str | None              # the recorder's name of the connection
    connection: int = 0           # the socket's number in a recording of our own, as the engine had it


class _Record(msgspec.Struct):
    """A line of format B."""
    t: str
    ts: msgspec.Raw = msgspec.Raw()
    conn: str | None = None
    url: str | None = None
    data: str | None = None
    b64: str | None = None


_decode_record = msgspec.json.Decoder(_Record).decode


def expand_capture(spec):
    """The files that a path or a glob pattern names, sorted by name. Raises CaptureError when there is none."""
    spec = os.path.expanduser(str(spec))
    if os.path.exists(spec):
        paths = [Path(spec)]
    else:
        paths = sorted(Path(p) for p in glob.glob(spec, recursive=True) if os.path.isfile(p))
    if not paths:
        kind = "a file that fits the pattern" if glob.has_magic(spec) else "a capture file"
        raise CaptureError(spec, None, kind, "none")
    if paths[0].is_dir():
        raise CaptureError(spec, None, "a capture file", "a directory")
    return paths


def read_capture(path):
    """Yields the CaptureFrames of one file in the order of their receive times; see the module's docstring.

    Errors: CaptureError with path and line number, after the last frame before the damage.
    """
    try:
        with open(path, "rb") as file:
            begin, chunks = _begin(path, _chunks(file))
            if begin == RAW_MAGIC:
                yield from read_raw(path, _whole(path, chunks))
            else:
                yield from _frames(path, _numbered_lines(path, chunks))
    except OSError as e:
        raise CaptureError(path, None, "a readable capture file", e.strerror or str(e)) from None


class _Damage(Exception):
    """The byte stream ends or breaks here; the line number is added where lines are counted."""


def _chunks(file):
    """The plain bytes of a file, in pieces."""
    head = file.read(8)
    file.seek(0)
    for magic, name, new in DECOMPRESSORS:
        if head.startswith(magic):
            return _decompressed(file, name, new)
    return iter(lambda: file.read(1 << 16), b"")


def _decompressed(file, name, new):
    decompressor = new()
    offset, fresh = 0, True
    while piece := file.read(PIECE_BYTES):
        offset += len(piece)
        while piece:
            if fresh:
                # Padding between and behind members is allowed by gzip and xz.
                piece = piece.lstrip(b"\0")
                if not piece:
                    break
                fresh = False
            try:
                out = decompressor.decompress(piece)
            except DAMAGE as e:
                raise _Damage(f"a sound {name} stream", f"damage before byte {offset} ({e})") from None
            if out:
                yield out
            piece = b""
            if decompressor.eof:
                # Files may be concatenated: a new member starts where the last one ended.
                piece, decompressor, fresh = decompressor.unused_data or b"", new(), True
    if not fresh:
        raise _Damage(f"the rest of the {name} stream", f"the end of the file at byte {offset} (truncated)")


def _begin(path, chunks):
    """(the first bytes, as many as a recording's magic, and the same pieces from their beginning)."""
    first = b""
    try:
        while len(first) < len(RAW_MAGIC) and (piece := next(chunks, b"")):
            first += piece
    except _Damage as e:
        raise CaptureError(path, 1, *e.args) from None
    return first[:len(RAW_MAGIC)], _chained(first, chunks)


def _whole(path, chunks):
    try:
        yield from chunks
    except _Damage as e:
        raise CaptureError(path, None, *e.args) from None


def _numbered_lines(path, chunks):
    """(number from 1, line without its end) of each line that is not blank."""
    number, parts, size = 1, [], 0
    try:
        for chunk in chunks:
            first, *rest = chunk.split(b"\n")
            parts.append(first)
            size += len(first)
            if size > LINE_BYTES_MAX:
                raise _Damage(f"a line of at most {LINE_BYTES_MAX} bytes", f"{size} bytes without an end")
            if not rest:
                continue
            *whole, last = b"".join(parts), *rest
            for line in whole:
                if line := line.strip():
                    yield number, line
                number += 1
            parts, size = [last], len(last)
    except _Damage as e:
        raise CaptureError(path, number, *e.args) from None
    if line := b"".join(parts).strip():
        yield number, line


def _shown(line):
    text = line[:60].decode("utf-8", "backslashreplace")
    return repr(text + ("…" if len(line) > 60 else ""))


def _frames(path, lines):
    first = next(lines, None)
    if first is None:
        raise CaptureError(path, None, "a capture with at least one line", "an empty file")
    reader = _reader_of(path, *first)
    return reader(path, _chained(first, lines))


def _chained(first, rest):
    yield first
    yield from rest


def _reader_of(path, number, line):
    if LINE_A.fullmatch(line):
        return _read_a
    if line[:1] == b"{":
        try:
            if _decode_record(line).t in RECORD_KINDS:
                return _read_b
        except NOT_JSON:
            pass
    if line[:1] in (b"{", b"[") and line[-1:] in (b"}", b"]"):
        return _read_c
    raise CaptureError(path, number, "a capture's first line ('<ns> <JSON>', a recorder's JSON record or a JSON frame)",
                       _shown(line))


def _read_a(path, lines):
    fit = LINE_A.fullmatch
    for number, line in lines:
        m = fit(line)
        if m is None:
            raise CaptureError(path, number, "'<receive time in ns> <JSON frame>'", _shown(line))
        ts_recv_ns = int(m[1])
        if ts_recv_ns > TS_NS_MAX:
            raise CaptureError(path, number, "a receive time in ns within int64", m[1].decode())
        data = m[2]
        # The recorder put REST depth snapshots between the frames; only they are not wrapped in a stream.
        source = "rest" if data.startswith(b'{"lastUpdateId"') else "ws"
        yield CaptureFrame(ts_recv_ns, data, source, None, None)


def _read_c(path, lines):
    ts_recv_ns = 0
    for number, line in lines:
        if line[0] not in b"{[" or line[-1] not in b"}]":
            raise CaptureError(path, number, "a JSON object or array", _shown(line))
        yield CaptureFrame(ts_recv_ns, line, "ws", None, None)
        ts_recv_ns += SYNTHETIC_STEP_NS


def _read_b(path, lines):
    frames, damage = [], None
    try:
        for number, line in lines:
            frame = _frame_b(path, number, line)
            if frame is not None:
                frames.append(frame)
    except CaptureError as e:
        damage = e
    # A stable sort: equal times keep the file's order.
    frames.sort(key=lambda frame: frame.ts_recv_ns)
    yield from frames
    if damage is not None:
        raise damage


def _frame_b(path, number, line):
    try:
        record = _decode_record(line)
    except NOT_JSON as e:
        raise CaptureError(path, number, "a recorder's JSON record", f"{_shown(line)} ({e})") from None
    if record.t not in RECORD_KINDS:
        raise CaptureError(path, number, f'"t" to be one of {sorted(RECORD_KINDS)}', repr(record.t))
    if record.t not in ("recv", "http"):
        return None
    ts_recv_ns = _seconds_to_ns(bytes(record.ts))
    if ts_recv_ns is None:
        raise CaptureError(path, number, '"ts" in seconds since 1970', bytes(record.ts)[:60].decode() or "none")
    if record.data is not None:
        data = record.data.encode()
    elif record.b64 is not None:
        try:
            data = base64.b64decode(record.b64, validate=True)
        except (binascii.Error, ValueError):
            raise CaptureError(path, number, '"b64" in base64', _shown(record.b64.encode())) from None
    else:
        raise CaptureError(path, number, '"data" or "b64"', "neither")
    rest = record.t == "http"
    return CaptureFrame(ts_recv_ns, data, "rest" if rest else "ws", _symbol_in_url(record.url) if rest else None,
                        record.conn)


def _seconds_to_ns(text):
    """JSON number text in seconds to whole ns, digit by digit (a double holds no more than 0.2 µs of today's epoch)."""
    whole, _, fraction = text.partition(b".")
    if len(whole) <= 10 and whole.isdigit() and (fraction.isdigit() or not fraction):
        ts_ns = int(whole) * 10 ** 9 + int(fraction[:9].ljust(9, b"0"))
    else:
        try:
            seconds = Decimal(text.decode())
        except (ArithmeticError, ValueError):
            return None
        # Looked at before it is written out: the exponent may ask for a billion digits.
        if not seconds.is_finite() or seconds.adjusted() > 10:
            return None
        ts_ns = int(seconds.scaleb(9))
    return ts_ns if 0 <= ts_ns <= TS_NS_MAX else None


def _symbol_in_url(url):
    if not url:
        return None
    try:
        parts = urlsplit(url)
        values = parse_qs(parts.query).get("symbol")
    except ValueError:
        return None
    if values:
        return values[0]
    product = PRODUCT_BOOK.fullmatch(parts.path)           # Coinbase Exchange names it in the path
    return product[1] if product else None
