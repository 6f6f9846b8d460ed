"""Every byte that goes in and out of the venue, with its time: written here, read again by `WireLogReader`.

A directory holds files wire-000001.tpw, wire-000002.tpw …, each a header and then records:

    header   64 bytes: magic, format, number of the file, number of its first record, wall time, monotonic time
    record   32 bytes: CRC-32 of all that follows, size of the payload, number, time, connection, kind, flags; then the payload

Records are numbered from 1 through all files, so that a hole is seen. Times are wall time as it was at the start plus the
monotonic clock: they never go back. Bytes are put down as they are before encryption and, for WebSocket frames that come in,
after unmasking. Credentials are overwritten by asterisks of the same length before anything reaches the disk:

    signature            whole                  in a query, a form, a JSON text
    apiKey, X-MBX-APIKEY all but 6 characters   enough to tell clients apart
    listenKey            all but 6 characters   in a query, a JSON text, a path, a subscription

API secrets and private keys never travel, so that they cannot stand here.

What is given is packed in memory (`tickpath.sim.wire_pack`) until 64 KiB have come together or 100 ms have passed, so that a
request pays for a copy and its share of one write. A disk that fails ends the log, never the venue.
"""
import asyncio
import os
import re
import socket
import struct
import time
import zlib
from pathlib import Path
from typing import NamedTuple

from tickpath.sim.wire_pack import WirePacker, masked

__all__ = ["CLOSED", "FAULT", "HTTP_IN", "HTTP_OUT", "KIND_NAMES", "OPENED", "WS_IN", "WS_OUT", "WireLog", "WireLogError",
           "WireLogReader", "WireRecord", "masked", "tapped"]

MAGIC = b"TPWIRE01"
FORMAT_VERSION = 1
HEADER = struct.Struct("<8sIIQqq24x")
RECORD = struct.Struct("<IIQqIBBxx")
RECORD_BYTES = RECORD.size
PAYLOAD_BYTES_MAX = 64 << 20

OPENED, CLOSED, WS_IN, WS_OUT, HTTP_IN, HTTP_OUT, FAULT = range(1, 8)
KIND_NAMES = {OPENED: "opened", CLOSED: "closed", WS_IN: "ws_in", WS_OUT: "ws_out", HTTP_IN: "http_in", HTTP_OUT: "http_out",
              FAULT: "fault"}
FIN = 0x80                                  # flags of WS_IN: the frame's first byte without its reserved bits

FLUSH_BYTES = 64 << 10
FLUSH_S = 0.1
FILE_BYTES = 64 << 20
FILES_MIN = 4                               # a bounded log is cut in at least so many, so that rotation forgets a part only


# ---- credentials

SEPARATORS = re.compile(rb"[\n&,{]")
CARRIED_BYTES_MAX = 2048


class _Carry:
    """Masks a stream that is cut anywhere: what stands behind the last separator is looked at again with the next piece."""

    def __init__(self):
        self.rest = b""

    def masked(self, data):
        whole = self.rest + data
        done = masked(whole)[len(self.rest):]
        ends = [m.end() for m in SEPARATORS.finditer(whole)]
        self.rest = whole[ends[-1] if ends else 0:][-CARRIED_BYTES_MAX:]
        return done


# ---- writing

class WireLog:
    """Writes the log of one run.

    Parameters: directory : made when it is not there; must not hold a log yet.  limit_mib : the oldest file is deleted when all
                together would grow beyond this; 0: no bound.
    Errors: WireLogError when the directory cannot be used.  Later failures of the disk stand in `failure` and end the log.
    """

    def __init__(self, directory, limit_mib=1024):
        self.directory = Path(directory)
        self.limit_bytes = int(limit_mib * (1 << 20))
        self.file_bytes_max = min(FILE_BYTES, self.limit_bytes // FILES_MIN) if self.limit_bytes else FILE_BYTES
        self.written = self.bytes = self.dropped = self.deleted_files = 0
        self.failure = None
        self.offset_ns = time.time_ns() - time.monotonic_ns()
        self._packer = WirePacker(self.offset_ns, WS_IN, WS_OUT)
        self._pack = self._packer.put
        self._numbers = 0
        self._carries = {}                  # (connection, direction) -> _Carry, of streams that may be cut anywhere
        self._files = []                    # (path, bytes) of whole files, oldest first
        self._file = None
        self._file_bytes = 0
        self._task = None
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            found = next(self.directory.glob("wire-*.tpw"), None)
            if found is not None:
                raise WireLogError(found, None, "a directory without a wire log", "one of an earlier run")
            self._begin_file()
        except OSError as e:
            raise WireLogError(self.directory, None, "a directory that can be written", e.strerror or str(e)) from None

    # ---- what the sockets call

    def next_number(self):
        """A number for a connection that has none of its own: REST connections count down from 2^32 - 1."""
        self._numbers += 1
        return 0xFFFFFFFF - self._numbers + 1

    def opened(self, number, kind, text=""):
        """A connection begins. kind : "ws" or "http".  text : the path it asked for."""
        self._put(OPENED, 0, number, kind.encode() + b" " + masked(text.encode()))

    def closed(self, number):
        self._put(CLOSED, 0, number, b"")
        self._carries.pop((number, HTTP_IN), None)
        self._carries.pop((number, HTTP_OUT), None)
        self._carries.pop((number, WS_IN), None)

    def frame_in(self, number, opcode, fin, payload):
        """A frame from a client, unmasked. payload : bytes."""
        if not fin or opcode == 0:
            self._put(WS_IN, FIN * bool(fin) | opcode, number, self._carried(number, WS_IN, payload))
        elif self._pack(WS_IN, FIN | opcode, number, payload) > FLUSH_BYTES:
            self.flush()

    def bytes_out(self, number, data):
        """Bytes for a client's WebSocket, as they go to the socket."""
        if self._pack(WS_OUT, 0, number, data) > FLUSH_BYTES:
            self.flush()

    def http_in(self, number, data):
        self._put(HTTP_IN, 0, number, self._carried(number, HTTP_IN, data))

    def http_out(self, number, data):
        self._put(HTTP_OUT, 0, number, self._carried(number, HTTP_OUT, data))

    def fault(self, text):
        """Something was made to go wrong here: one JSON object, as in the injection log."""
        self._put(FAULT, 0, 0, text)

    def tapped(self, factory):
        return tapped(factory, self)

    def _carried(self, number, kind, data):
        carry = self._carries.get((number, kind))
        if carry is None:
            carry = self._carries[number, kind] = _Carry()
        return carry.masked(bytes(data))

    def _put(self, kind, flags, number, payload):
        if self._pack(kind, flags, number, payload) > FLUSH_BYTES:
            self.flush()

    # ---- to the disk

    def start(self):
        """Write at least every 100 ms from now on. Must be called on the loop."""
        self._task = asyncio.get_running_loop().create_task(self._keep_flushing())

    async def _keep_flushing(self):
        while True:
            await asyncio.sleep(FLUSH_S)
            self.flush()

    def flush(self):
        """Write what has been given so far."""
        block, count = self._packer.take()
        if not count:
            return
        if self._file is None:
            self.dropped += count
            return
        try:
            if self._file_bytes + len(block) > self.file_bytes_max and self._file_bytes > HEADER.size:
                self._end_file()
                self._begin_file()
            self._write(block)
        except OSError as e:
            # A venue goes on without its log, and says so: a test that needs the log looks at `failure`.
            self.failure = f"{self.directory}: expected to write, found {e.strerror or e}"
            self.dropped += count
            self._close_file()
            return
        self.written += count
        self.bytes += len(block)

    def _write(self, block):
        view = memoryview(block)
        while view:
            view = view[os.write(self._file, view):]
        self._file_bytes += len(block)

    def _begin_file(self):
        number = (int(self._files[-1][0].stem[5:]) if self._files else 0) + 1
        self._path = self.directory / f"wire-{number:06d}.tpw"
        self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o640)
        self._file_bytes = 0
        mono_ns = time.monotonic_ns()
        self._write(HEADER.pack(MAGIC, FORMAT_VERSION, number, self.written + 1, mono_ns + self.offset_ns, mono_ns))

    def _end_file(self):
        self._close_file()
        self._files.append((self._path, self._file_bytes))
        while self.limit_bytes and len(self._files) > 1 and (sum(size for _, size in self._files) + self.file_bytes_max
                                                             > self.limit_bytes):
            path, _ = self._files.pop(0)
            path.unlink(missing_ok=True)
            self.deleted_files += 1

    def _close_file(self):
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def close(self):
        """Write the rest and end."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self.flush()
        self._close_file()

    def describe(self):
        return {"directory": str(self.directory), "records": self.written, "bytes": self.bytes, "dropped": self.dropped,
                "deleted_files": self.deleted_files, "failure": self.failure}


# ---- any protocol of asyncio

class _TapTransport:
    """A transport that shows what is written to it, and can end a connection in the middle of it."""

    def __init__(self, transport, number, log):
        self._transport, self.number, self._log = transport, number, log
        self._left = None                   # bytes that may still go out, None: all

    def __getattr__(self, name):
        return getattr(self._transport, name)

    def cut_after(self, count):
        """Let `count` more bytes out, then end the connection."""
        self._left = count
        if not count:
            self._cut()

    def reset(self):
        """End it without a word: the peer sees a reset."""
        sock = self._transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    def write(self, data):
        if self._left is not None:
            data = bytes(data)[:self._left]
            self._left -= len(data)
        if self._log is not None and data:
            self._log.http_out(self.number, data)
        self._transport.write(data)
        if self._left == 0:
            self._cut()

    def writelines(self, pieces):
        self.write(b"".join(pieces))

    def _cut(self):
        # An orderly end of TCP behind a part of a reply; what has been written goes out first.
        if not self._transport.is_closing():
            self._transport.close()


class _Tap(asyncio.Protocol):
    """Stands between the loop and a protocol."""

    def __init__(self, inner, log):
        self._inner, self._log, self._number = inner, log, 0

    def connection_made(self, transport):
        self._number = _next_number(self._log)
        if self._log is not None:
            self._log.opened(self._number, "http")
        self._inner.connection_made(_TapTransport(transport, self._number, self._log))

    def data_received(self, data):
        if self._log is not None:
            self._log.http_in(self._number, data)
        self._inner.data_received(data)

    def eof_received(self):
        return self._inner.eof_received()

    def pause_writing(self):
        self._inner.pause_writing()

    def resume_writing(self):
        self._inner.resume_writing()

    def connection_lost(self, exc):
        if self._log is not None:
            self._log.closed(self._number)
        self._inner.connection_lost(exc)


_untold = [0]


def _next_number(log):
    if log is not None:
        return log.next_number()
    _untold[0] += 1
    return 0xFFFFFFFF - _untold[0] + 1


def tapped(factory, log=None):
    """A factory of protocols whose bytes are logged (log None: not) and whose transports have `number`, `cut_after`, `reset`."""
    return lambda: _Tap(factory(), log)


# ---- reading

class WireLogError(Exception):
    """A log that cannot be used: where, what was expected, what was found."""

    def __init__(self, path, offset, expected, found):
        self.path, self.offset = path, offset
        super().__init__(f"{path}{'' if offset is None else f' at byte {offset}'}: expected {expected}, found {found}")


class WireRecord(NamedTuple):
    """One record. flags : of WS_IN the opcode, and 0x80 at a message's last frame."""
    number: int
    ts_ns: int
    connection: int
    kind: int
    flags: int
    data: bytes


class WireLogReader:
    """Reads the wire log of a directory, oldest record first.

    After an iteration to the end: `torn_bytes` (of a last record that a crash cut off), `first_number` (more than 1: older files
    were deleted by the bound).
    Errors: WireLogError, from the constructor and while iterating.
    """

    def __init__(self, directory):
        self.directory = Path(directory)
        self.paths = sorted(self.directory.glob("wire-*.tpw"))
        if not self.paths:
            raise WireLogError(self.directory, None, "a wire log (wire-000001.tpw …)", "none")
        self.torn_bytes = 0
        self.first_number = None

    def __iter__(self):
        expected = None
        for position, path in enumerate(self.paths):
            is_last = position == len(self.paths) - 1
            try:
                data = path.read_bytes()
            except OSError as e:
                raise WireLogError(path, None, "a readable file", e.strerror) from None
            if len(data) < HEADER.size:
                if is_last and MAGIC.startswith(data[:8]):
                    self.torn_bytes = len(data)
                    return
                raise WireLogError(path, 0, f"a header of {HEADER.size} bytes", f"{len(data)} bytes")
            magic, version, number, first, _, _ = HEADER.unpack_from(data)
            if magic != MAGIC or version != FORMAT_VERSION:
                raise WireLogError(path, 0, f"{MAGIC.decode()} of format {FORMAT_VERSION}", f"{magic!r} of format {version}")
            if number != int(path.stem[5:]):
                raise WireLogError(path, 0, f"the header of file {int(path.stem[5:])}", f"that of file {number}")
            if expected is None:
                self.first_number = expected = first
            elif first != expected:
                raise WireLogError(path, 0, f"record {expected} to be the first", f"record {first}")
            expected = yield from self._records(path, data, expected, is_last)

    def _records(self, path, data, expected, is_last):
        offset, view = HEADER.size, memoryview(data)
        while offset < len(data):
            if offset + RECORD_BYTES > len(data):
                return self._torn(path, offset, len(data), is_last, f"a record of {RECORD_BYTES} bytes or more", expected)
            crc, size, number, ts_ns, connection, kind, flags = RECORD.unpack_from(data, offset)
            end = offset + RECORD_BYTES + size
            if end > len(data) and size <= PAYLOAD_BYTES_MAX:
                return self._torn(path, offset, len(data), is_last, f"a record of {RECORD_BYTES + size} bytes", expected)
            found = zlib.crc32(view[offset + 4:min(end, len(data))])
            if found != crc:
                raise WireLogError(path, offset, f"record {expected} with checksum {crc:08x}", f"{found:08x}")
            if number != expected:
                raise WireLogError(path, offset, f"record {expected}", f"record {number}")
            if kind not in KIND_NAMES:
                raise WireLogError(path, offset, f"a kind from 1 to {FAULT}", f"{kind}")
            yield WireRecord(number, ts_ns, connection, kind, flags, data[offset + RECORD_BYTES:end])
            offset, expected = end, expected + 1
        return expected

    def _torn(self, path, offset, size, is_last, wanted, expected):
        if not is_last:
            raise WireLogError(path, offset, wanted, f"{size - offset} bytes, and a file behind it")
        self.torn_bytes = size - offset
        return expected
