"""Kept instruments: what the venue said, as it came and as it was read, so that a start does not need the network.

Two files for each venue kind and REST server, both replaced whole (a test network's table never stands in for the venue's):

    <kind>-<server>.raw.jsonl.zst    the REST bodies, as a capture that tickpath.capture reads: {"t":"http","ts":…,"data":…}
    <kind>-<server>.table.json       the InstrumentTable made of them, with when, from where and a digest of the raw file

The table is a convenience: one that is absent, damaged or of another build's layout is made again from the raw bodies.
`<kind>-<server>.hold` holds the time until which a venue wants silence; `.lock` lets one process ask at a time. A directory
that cannot be written keeps nothing and stops nobody: `store` says so, everything else goes on.
"""
import contextlib
import fcntl
import hashlib
import json
import os
import time
from pathlib import Path

import msgspec
import zstandard

from tickpath.capture import CaptureError, read_capture
from tickpathd.durable import write_whole
from tickpathd.instruments.facts import InstrumentError, InstrumentTable
from tickpathd.instruments.venues import parse_bodies

__all__ = ["CacheError", "CachedTable", "InstrumentCache", "default_cache_dir"]

TABLE_FORMAT = 1
LOCK_WAIT_S = 90.0


class CacheError(InstrumentError):
    """The kept table cannot be read or written."""


class CachedTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table and where it is from."""
    format: int = TABLE_FORMAT
    venue_kind: str
    rest_url: str
    kinds: tuple[str, ...]         # which kinds were asked for
    fetched_ns: int                # wall clock, when the last body had come
    raw_digest: str                # BLAKE2b-128 of the raw file
    table: InstrumentTable


def default_cache_dir():
    """`instruments` in the state directory: $STATE_DIRECTORY, or the user's state home."""
    if os.environ.get("STATE_DIRECTORY"):
        return Path(os.environ["STATE_DIRECTORY"].split(":")[0]) / "instruments"
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "tickpath" / "instruments"


class InstrumentCache:
    """The files of one venue kind at one REST server."""

    def __init__(self, cache_dir, venue_kind, rest_url):
        self.venue_kind, self.rest_url = venue_kind, rest_url.rstrip("/")
        self.dir = Path(cache_dir)
        stem = f"{venue_kind}-{hashlib.blake2b(self.rest_url.encode(), digest_size=4).hexdigest()}"
        self.raw, self.table = self.dir / f"{stem}.raw.jsonl.zst", self.dir / f"{stem}.table.json"
        self.hold, self.lock = self.dir / f"{stem}.hold", self.dir / f"{stem}.lock"

    @contextlib.contextmanager
    def locked(self):
        """Held while one process asks the venue; a second one waits and then finds the answer here. Raises CacheError."""
        try:
            self.dir.mkdir(parents=True, exist_ok=True)
            file = open(self.lock, "a")
        except OSError:
            yield
            return
        with file:
            self._wait_for(file)
            yield

    def _wait_for(self, file):
        due = time.monotonic() + LOCK_WAIT_S
        while True:
            try:
                return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                if time.monotonic() > due:
                    raise CacheError(f"{self.lock}: expected its holder to end within {LOCK_WAIT_S:g} s, found it held") from None
            time.sleep(0.05)

    def made(self, answers, kinds, table, fetched_ns):
        """(CachedTable, raw bytes) of answers. answers: [(url, body bytes)]."""
        seconds = f"{fetched_ns // 10 ** 9}.{fetched_ns % 10 ** 9:09d}"
        lines = [b'{"t":"header","ts":%s,"venue_kind":%s,"rest_url":%s,"kinds":%s}' % (
            seconds.encode(), *(json.dumps(value).encode() for value in (self.venue_kind, self.rest_url, list(kinds))))]
        # The time is written digit by digit: a double would not hold its nanoseconds.
        lines += [b'{"t":"http","ts":%s,"conn":"instruments","url":%s,"data":%s}' % (
            seconds.encode(), json.dumps(url).encode(), msgspec.json.encode(body.decode())) for url, body in answers]
        raw = zstandard.ZstdCompressor(level=9).compress(b"\n".join(lines) + b"\n")
        cached = CachedTable(venue_kind=self.venue_kind, rest_url=self.rest_url, kinds=tuple(kinds), fetched_ns=fetched_ns,
                             raw_digest=_digest(raw), table=table)
        return cached, raw

    def store(self, cached, raw):
        """Write what `made` returned. Raises CacheError."""
        try:
            write_whole(self.raw, raw)
            write_whole(self.table, msgspec.json.encode(cached))
            self.hold.unlink(missing_ok=True)
        except OSError as e:
            raise CacheError(f"{self.dir}: expected to keep the instruments there, found {e.strerror}") from None

    def load(self):
        """The CachedTable, or None when nothing is kept. Errors: CacheError when what is kept cannot be used."""
        try:
            raw = self.raw.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as e:
            raise CacheError(f"{self.raw}: expected a readable file, found {e.strerror}") from None
        try:
            cached = msgspec.json.decode(self.table.read_bytes(), type=CachedTable)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            cached = None
        if (cached is None or cached.format != TABLE_FORMAT or cached.raw_digest != _digest(raw)
                or (cached.venue_kind, cached.rest_url) != (self.venue_kind, self.rest_url)):
            return self._from_raw(raw)
        return cached

    def _from_raw(self, raw):
        try:
            bodies, fetched_ns = [], 0
            for frame in read_capture(self.raw):
                bodies.append(frame.data)
                fetched_ns = frame.ts_recv_ns
            with zstandard.ZstdDecompressor().stream_reader(raw) as reader:
                header = json.loads(reader.read(4096).partition(b"\n")[0])
            origin = (header["venue_kind"], header["rest_url"])
            if origin != (self.venue_kind, self.rest_url):
                raise CacheError(f"{self.raw}: expected instruments of {self.venue_kind} from {self.rest_url}, found {origin}")
            return CachedTable(venue_kind=self.venue_kind, rest_url=self.rest_url, kinds=tuple(header["kinds"]),
                               fetched_ns=fetched_ns, raw_digest=_digest(raw), table=parse_bodies(self.venue_kind, bodies))
        except CaptureError as e:
            raise CacheError(str(e)) from None
        except (zstandard.ZstdError, LookupError, TypeError, ValueError) as e:
            if isinstance(e, InstrumentError):
                raise CacheError(f"{self.raw}: {e}") from None
            raise CacheError(f"{self.raw}: expected a capture of REST bodies, found damage ({e})") from None

    def silent_until_ns(self):
        """Until when the venue wants not to be asked (wall clock, ns); 0 = it may be."""
        try:
            return int(self.hold.read_text())
        except (OSError, ValueError):
            return 0

    def keep_silent(self, until_ns):
        """Remember across restarts that the venue wants silence: a daemon that restarts must not ask again and again."""
        # Without this file the venue is asked again and says the same.
        with contextlib.suppress(OSError):
            write_whole(self.hold, str(until_ns).encode())


def _digest(data):
    return hashlib.blake2b(data, digest_size=16).hexdigest()
