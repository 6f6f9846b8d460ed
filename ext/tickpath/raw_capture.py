"""Recordings of raw frames (`tickpath record`): the file byte by byte, and its reader. Cold.

A file is a header, its metadata and then blocks, all little endian:

    header, 64 bytes                                block, 64 bytes and then its payload
    0    magic            8 bytes, b"TICKPRAW"      0    magic           4 bytes, b"TPRB"
    8    format_version   u32                       4    flags           u32, FINAL 1, ZSTD 2
    12   metadata_bytes   u32                       8    payload_bytes   u32, as stored
    16   created_ns       i64, epoch                12   frames_bytes    u32, uncompressed
    24   segment_no       u32, from 1               16   frame_count     u32
    28   metadata_crc     u32                       20   payload_crc     u32, of the payload as stored
    32   (zero)                                     24   first_ts_ns     i64, earliest receive time in it
    60   header_crc       u32, over bytes 0 to 59   32   last_ts_ns      i64, latest
                                                    40   first_frame_no  u64, of the recording, from 1; stored frames only
    frame, 24 bytes and then its bytes              48   dropped_frames  u64, received before its end and not stored
    0    ts_recv_ns       i64, epoch                56   previous_crc    u32, see below
    8    frame_bytes      u32                       60   header_crc      u32, over bytes 0 to 59
    12   instrument       u32, see below
    16   connection       u16
    18   flags            u16, REST 1
    20   (zero)           u32

The metadata is a JSON object: venue, kind, recording, version, started_ns, and instruments: a list of objects with instrument,
symbol, venue_symbol, tick_size, lot_size, price_decimals and qty_decimals. A frame's `instrument` is that number for a REST
body, which does not name its symbol, else 0xFFFFFFFF. `previous_crc` is the header_crc of the block before, of a file's first
block that of the file's header. The checksums are CRC-32 as in zlib.

A block with FINAL has no frames and says that the file was ended in order: nothing may follow. What a crash may leave is an
incomplete last block, or zeros where the file had grown already: the tail is torn there, everything before it is read, and
`raw_summary` says so. Whatever else does not fit is damage: a CaptureError that names the byte, after the last whole block.
"""
import json
import struct
from typing import NamedTuple

import zstandard

from tickpath.shm.journal_fast import crc32

__all__ = ["RAW_MAGIC", "RawHeader", "RawSummary", "is_raw_capture", "pack_block_header", "pack_header", "raw_summary",
           "read_raw"]

RAW_MAGIC = b"TICKPRAW"
RAW_VERSION = 1
HEADER = struct.Struct("<8sIIqII28x")
BLOCK_MAGIC = b"TPRB"
BLOCK = struct.Struct("<4sIIIIIqqQQI")
FRAME = struct.Struct("<qIIHHI")
CRC = struct.Struct("<I")
HEADER_BYTES = HEADER.size + CRC.size
BLOCK_HEADER_BYTES = BLOCK.size + CRC.size
FINAL, ZSTD = 1, 2
REST = 1
# Beyond what a writer of ours makes: a length that would make a reader allocate without end is damage.
METADATA_BYTES_MAX = 16 << 20
BLOCK_BYTES_MAX = 64 << 20
SOCKET_OF_MEMBER = 2              # a line's sockets take turns between two numbers, see feeds/connection.py


class RawHeader(NamedTuple):
    """What stands before the blocks. symbols: {instrument number: the venue's symbol}."""
    venue: str
    kind: str
    created_ns: int
    segment_no: int
    metadata: dict
    symbols: dict


class RawSummary(NamedTuple):
    """A recording's file without its frames. torn_bytes: of the unfinished block at its end; final: it was ended in order."""
    header: RawHeader
    frames: int
    dropped: int
    blocks: int
    frames_bytes: int
    stored_bytes: int
    first_ts_ns: int | None
    last_ts_ns: int | None
    final: bool
    torn_bytes: int


class _Block(NamedTuple):
    flags: int
    payload_bytes: int
    frames_bytes: int
    frame_count: int
    payload_crc: int
    first_ts_ns: int
    last_ts_ns: int
    first_frame_no: int
    dropped_frames: int
    previous_crc: int
    crc: int


# ---- what a writer needs

def pack_header(metadata, *, created_ns, segment_no):
    """(bytes of header and metadata, header_crc)."""
    text = json.dumps(metadata, sort_keys=True).encode()
    head = HEADER.pack(RAW_MAGIC, RAW_VERSION, len(text), created_ns, segment_no, crc32(text))
    crc = crc32(head)
    return head + CRC.pack(crc) + text, crc


def pack_block_header(*, flags, payload, frames_bytes, frame_count, first_ts_ns, last_ts_ns, first_frame_no, dropped_frames,
                      previous_crc):
    """(bytes, header_crc)."""
    head = BLOCK.pack(BLOCK_MAGIC, flags, len(payload), frames_bytes, frame_count, crc32(payload), first_ts_ns, last_ts_ns,
                      first_frame_no, dropped_frames, previous_crc)
    crc = crc32(head)
    return head + CRC.pack(crc), crc


# ---- reading

class _Stream:
    """Exact reads from pieces of bytes."""

    def __init__(self, chunks):
        self.chunks = iter(chunks)
        self.held = b""
        self.offset = 0               # of the next byte

    def read(self, size):
        """The next `size` bytes, fewer at the end."""
        parts, have = [self.held], len(self.held)
        while have < size:
            piece = next(self.chunks, None)
            if piece is None:
                break
            parts.append(piece)
            have += len(piece)
        data = b"".join(parts)
        data, self.held = data[:size], data[size:]
        self.offset += len(data)
        return data

    def rest(self):
        """(bytes left, whether any of them is not zero)."""
        count, other = len(self.held), bool(self.held.strip(b"\0"))
        for piece in self.chunks:
            count += len(piece)
            other = other or bool(piece.strip(b"\0"))
        self.held = b""
        return count, other


def _error(path, expected, found):
    from tickpath.capture import CaptureError
    return CaptureError(path, None, expected, found)


def _read_header(path, stream):
    """(RawHeader, header_crc)."""
    head = stream.read(HEADER_BYTES)
    if len(head) < HEADER_BYTES:
        raise _error(path, f"a recording's header of {HEADER_BYTES} bytes", f"{len(head)}")
    magic, version, metadata_bytes, created_ns, segment_no, metadata_crc = HEADER.unpack_from(head)
    if magic != RAW_MAGIC:
        raise _error(path, f"{RAW_MAGIC} at offset 0", repr(magic))
    if version != RAW_VERSION:
        raise _error(path, f"a recording of format version {RAW_VERSION}", f"version {version}")
    crc, = CRC.unpack_from(head, HEADER.size)
    if crc != crc32(head[:HEADER.size]) or metadata_bytes > METADATA_BYTES_MAX:
        raise _error(path, f"a header with checksum {crc:08x} at offset 0", "another one")
    text = stream.read(metadata_bytes)
    if len(text) < metadata_bytes or crc32(text) != metadata_crc:
        raise _error(path, f"{metadata_bytes} bytes of metadata with checksum {metadata_crc:08x} at offset {HEADER_BYTES}",
                     f"{len(text)} bytes with {crc32(text):08x}")
    try:
        metadata = json.loads(text)
        header = RawHeader(str(metadata["venue"]), str(metadata["kind"]), created_ns, segment_no, metadata,
                           {int(item["instrument"]): str(item["venue_symbol"]) for item in metadata["instruments"]})
    except (ValueError, LookupError, TypeError, RecursionError) as e:
        raise _error(path, "metadata with venue, kind and instruments", f"{type(e).__name__}: {e}") from None
    return header, crc


def _blocks(path, stream, previous_crc):
    """Yields (offset, _Block, payload) of every whole block; returns (final, torn bytes)."""
    frame_no = None
    while True:
        offset = stream.offset
        head = stream.read(BLOCK_HEADER_BYTES)
        if len(head) < BLOCK_HEADER_BYTES:
            return False, len(head)
        crc, = CRC.unpack_from(head, BLOCK.size)
        magic, *fields = BLOCK.unpack_from(head)
        if magic != BLOCK_MAGIC or crc != crc32(head[:BLOCK.size]):
            left, other = stream.rest()
            if not other and not head.strip(b"\0"):
                return False, len(head) + left
            raise _error(path, f"a sound block header at offset {offset}", repr(head[:8]))
        block = _Block(*fields, crc)
        if block.previous_crc != previous_crc or frame_no is not None and block.first_frame_no != frame_no:
            raise _error(path, f"the block after {previous_crc:08x} at offset {offset}",
                         f"one after {block.previous_crc:08x}, of frame {block.first_frame_no}")
        if max(block.payload_bytes, block.frames_bytes) > BLOCK_BYTES_MAX:
            raise _error(path, f"a block of at most {BLOCK_BYTES_MAX} bytes at offset {offset}",
                         f"{max(block.payload_bytes, block.frames_bytes)}")
        payload = stream.read(block.payload_bytes)
        if len(payload) < block.payload_bytes:
            return False, BLOCK_HEADER_BYTES + len(payload)
        if crc32(payload) != block.payload_crc:
            raise _error(path, f"a block with checksum {block.payload_crc:08x} at offset {offset}", f"{crc32(payload):08x}")
        if block.flags & FINAL:
            left, _ = stream.rest()
            if left:
                raise _error(path, f"nothing behind the end at offset {stream.offset}", f"{left} bytes")
            yield offset, block, payload
            return True, 0
        yield offset, block, payload
        previous_crc, frame_no = crc, block.first_frame_no + block.frame_count


def _frames(path, offset, block, payload, symbols):
    from tickpath.capture import CaptureFrame
    if block.flags & ZSTD:
        try:
            payload = zstandard.ZstdDecompressor().decompress(payload, max_output_size=max(block.frames_bytes, 1))
        except zstandard.ZstdError as e:
            raise _error(path, f"a zstandard block at offset {offset}", str(e)) from None
    if len(payload) != block.frames_bytes:
        raise _error(path, f"{block.frames_bytes} bytes of frames in the block at offset {offset}", f"{len(payload)}")
    at, result = 0, []
    while at < len(payload):
        if at + FRAME.size > len(payload):
            break
        ts_recv_ns, size, instrument, connection, flags, _ = FRAME.unpack_from(payload, at)
        at += FRAME.size + size
        if at > len(payload):
            break
        rest = bool(flags & REST)
        result.append(CaptureFrame(ts_recv_ns, payload[at - size:at], "rest" if rest else "ws", symbols.get(instrument),
                                   "gateway" if rest else _connection_name(connection), connection))
    if at != len(payload) or len(result) != block.frame_count:
        raise _error(path, f"{block.frame_count} whole frames in the block at offset {offset}", f"{len(result)}")
    return result


def _connection_name(connection):
    """Of the line's member, which is one through all its sockets: what a line carries is one stream for a reader."""
    return str(connection & ~SOCKET_OF_MEMBER)


def read_raw(path, chunks):
    """Yields the CaptureFrames of one file in the order in which they were taken in.

    Parameters: chunks : the file's bytes in pieces.  Errors: CaptureError, after the last frame before the damage; a torn tail
    is none. A frame's `conn` names the line's member (feeds/connection.py), its `connection` the very socket.
    """
    stream = _Stream(chunks)
    header, crc = _read_header(path, stream)
    for offset, block, payload in _blocks(path, stream, crc):
        yield from _frames(path, offset, block, payload, header.symbols)


def is_raw_capture(path):
    """Is this file (uncompressed) a recording of ours? False for what cannot be opened."""
    try:
        with open(path, "rb") as file:
            return file.read(len(RAW_MAGIC)) == RAW_MAGIC
    except OSError:
        return False


def raw_summary(path):
    """RawSummary of a recording's file. Errors: CaptureError for damage, OSError."""
    with open(path, "rb") as file:
        stream = _Stream(iter(lambda: file.read(1 << 16), b""))
        header, crc = _read_header(path, stream)
        frames = dropped = blocks = frames_bytes = stored_bytes = 0
        first = last = None
        walk = _blocks(path, stream, crc)
        while True:
            try:
                _, block, payload = next(walk)
            except StopIteration as end:
                final, torn_bytes = end.value
                break
            dropped = block.dropped_frames
            if block.frame_count:
                blocks += 1
                frames += block.frame_count
                frames_bytes += block.frames_bytes
                stored_bytes += len(payload)
                first = block.first_ts_ns if first is None else min(first, block.first_ts_ns)
                last = block.last_ts_ns if last is None else max(last, block.last_ts_ns)
        return RawSummary(header, frames, dropped, blocks, frames_bytes, stored_bytes, first, last, final, torn_bytes)
