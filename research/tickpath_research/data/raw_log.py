"""Raw pages: what a venue answered, one JSON line a page, in append-only files that are never changed afterwards.

A file is a plain `.jsonl.zst`: each page is one zstd frame with its own checksum (`zstd -d`, DuckDB and others read it),
and its line names the digest of the line before. The last line's digest stands in the manifest, so that a page cannot be
changed, lost or swapped without being found, by its row. Bytes behind those that the manifest counts are what a kill left:
nobody reads them, and the next append cuts them off.
"""
import hashlib
import os

import msgspec
import zstandard

from tickpath_research.data.layout import StoreDamage

FIRST = "0" * 32                      # the digest before a file's first line
READ_BYTES = 1 << 16
LEVEL = 9                             # 3 is a third faster and a tenth larger; the venue's rate limit is what we wait for


class Answer(msgspec.Struct, frozen=True):
    """One HTTP answer of the venue, its body verbatim."""
    url: str
    status: int
    received_ns: int
    body: str


class Page(msgspec.Struct, frozen=True):
    """Everything that a venue has of one series in [from_ms, to_ms).

    rows : candles [ts_open_ms, open, high, low, close, volume] or trades [ts_ms, id, side, price, qty]; numbers as text,
           as the venue wrote them; in order.  answers : what they were read from.
    """
    from_ms: int
    to_ms: int
    rows: list
    answers: list[Answer]
    prev: str = FIRST


class RawFile(msgspec.Struct):
    """What the manifest knows of one file: only its first `bytes` bytes count."""
    file: str
    from_ms: int
    to_ms: int
    bytes: int = 0
    pages: int = 0
    rows: int = 0
    last: str = FIRST


def line_digest(line):
    return hashlib.blake2b(line, digest_size=16).hexdigest()


def append_page(directory, entry, page):
    """Write a page behind the counted bytes of a file and sync it; returns the RawFile that then is right.

    The caller puts that into the manifest; until it has done so, the page does not count.
    """
    line = msgspec.json.encode(msgspec.structs.replace(page, prev=entry.last)) + b"\n"
    frame = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True).compress(line)
    path = directory / entry.file
    with open(path, "r+b" if entry.bytes else "wb") as f:
        size_bytes = f.seek(0, os.SEEK_END)
        if size_bytes < entry.bytes:
            raise StoreDamage(path, entry.pages, f"expected {entry.bytes} bytes, found {size_bytes}")
        f.truncate(entry.bytes)
        f.seek(entry.bytes)
        f.write(frame)
        f.flush()
        os.fsync(f.fileno())
    return RawFile(file=entry.file, from_ms=entry.from_ms, to_ms=page.to_ms, bytes=entry.bytes + len(frame),
                   pages=entry.pages + 1, rows=entry.rows + len(page.rows), last=line_digest(line))


def frames(file, left):
    """The decompressed frames of a file's first `left` bytes, one by one, so that a damaged one is found at its own row."""
    data, frame, parts = b"", None, []
    while True:
        if not data:
            data = file.read(min(left, READ_BYTES))
            left -= len(data)
            if not data:
                break
        frame = frame or zstandard.ZstdDecompressor().decompressobj()
        parts.append(frame.decompress(data))
        data = frame.unused_data
        if frame.eof:
            yield b"".join(parts)
            frame, parts = None, []
    if frame is not None:
        raise zstandard.ZstdError("the end of the file inside it")


def read_pages(directory, entry):
    """The pages of a file, in order, all of their content checked. Errors: StoreDamage, which names the row."""
    path = directory / entry.file
    row, digest, begin_ms = 0, FIRST, entry.from_ms
    try:
        with open(path, "rb") as f:
            size_bytes = os.fstat(f.fileno()).st_size
            for line in frames(f, entry.bytes):
                page = msgspec.json.decode(line, type=Page)
                if page.prev != digest:
                    raise StoreDamage(path, max(row - 1, 0), "expected the page that its successor follows, found another: "
                                                             f"digest {digest}, not {page.prev}")
                if page.from_ms != begin_ms:
                    raise StoreDamage(path, row, f"expected a page that begins at {begin_ms}, found {page.from_ms}")
                digest, begin_ms, row = line_digest(line), page.to_ms, row + 1
                yield page
    except OSError as e:
        raise StoreDamage(path, None, f"expected a readable file, found {e.strerror or e}") from None
    except (zstandard.ZstdError, msgspec.DecodeError, msgspec.ValidationError) as e:
        raise StoreDamage(path, row, f"expected a whole page, found {e}") from None
    if row != entry.pages:
        raise StoreDamage(path, row, f"expected {entry.pages} pages in {entry.bytes} bytes, found {row} in "
                                     f"{min(size_bytes, entry.bytes)}")
    if digest != entry.last or begin_ms != entry.to_ms:
        raise StoreDamage(path, row - 1, f"expected a last page of digest {entry.last} up to {entry.to_ms}, found {digest} up "
                                         f"to {begin_ms}")
