"""SeriesStore: one series on disk. The raw pages are the data and the state; what is derived from them can be made again.

    DIR/raw/<exchange>/<symbol>/<kind>/manifest.json, lock, YYYY-MM.NNNN.jsonl.zst
    DIR/processed/<exchange>/<symbol>/<kind>/YYYY-MM.parquet

A page counts from the moment in which the manifest, replaced atomically after the page is synced, counts it. So a process
that is killed at any instruction leaves a store that holds whole pages only, and knows exactly what it covers: the next
backfill asks for the rest and nothing else.
"""
import fcntl
import hashlib

import msgspec

from tickpath_research.data.layout import (
    DataError,
    Series,
    StoreDamage,
    UsageError,
    decimal_places,
    merged,
    month_of,
    time_text,
    write_whole,
)
from tickpath_research.data.raw_log import RawFile, append_page, read_pages

FORMAT = 1
ROTATE_BYTES = 32 << 20               # a resumed run reads the last file once to see what it must agree with


class Month(msgspec.Struct):
    """One processed file, and from which raw pages it was made."""
    rows: int
    bytes: int
    digest: str                       # blake2b-128 of the file
    source: str                       # SeriesStore.source() when it was made


class Manifest(msgspec.Struct):
    """manifest.json. Prices and quantities of a series are kept as counts of 10**-scale; a scale only ever grows."""
    exchange: str
    symbol: str
    kind: str
    interval: str = ""
    format: int = FORMAT
    price_scale: int = 0
    qty_scale: int = 0
    raw: list[RawFile] = []
    months: dict[str, Month] = {}


class SeriesStore:
    """A series under `root`. With write=True it is locked against other writers until close().

    Errors: UsageError (another series stands there), DataError (locked, missing, disk), StoreDamage (manifest).
    """

    def __init__(self, root, series, *, write=False):
        self.root, self.series = root, series
        self.raw_dir = root / "raw" / series.folder
        self.processed_dir = root / "processed" / series.folder
        self.manifest_path = self.raw_dir / "manifest.json"
        self._lock = None
        if write:
            self._take_lock()
        try:
            self.manifest = self._load(must_exist=not write)
        except DataError:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _take_lock(self):
        try:
            self.raw_dir.mkdir(parents=True, exist_ok=True)
            self._lock = open(self.raw_dir / "lock", "a")
        except OSError as e:
            raise DataError(f"{self.raw_dir}: expected a writable directory, found {e.strerror}") from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.close()
            raise DataError(f"{self.raw_dir}: expected no other writer of {self.series}, found one at work") from None

    def _load(self, must_exist):
        series = self.series
        try:
            data = self.manifest_path.read_bytes()
        except FileNotFoundError:
            if must_exist:
                raise UsageError(f"{self.raw_dir}: expected {series}, found nothing stored") from None
            return Manifest(exchange=series.exchange, symbol=series.symbol, kind=series.kind, interval=series.interval)
        except OSError as e:
            raise DataError(f"{self.manifest_path}: expected a readable file, found {e.strerror}") from None
        manifest = decoded_manifest(self.manifest_path, data)
        found = Series(manifest.exchange, manifest.symbol, manifest.kind, manifest.interval)
        if found != series:
            raise UsageError(f"{self.raw_dir}: expected {series}, found {found}: two symbols share this name; use another "
                             "directory")
        return manifest

    # ---- what is there
    def covered(self):
        """Sorted disjoint [from_ms, to_ms): for these the venue has been asked, and gave all it has."""
        return merged((f.from_ms, f.to_ms) for f in self.manifest.raw)

    def raw_files(self):
        """RawFile entries in order of time; they never overlap."""
        return sorted(self.manifest.raw, key=lambda f: f.from_ms)

    def months(self):
        return sorted({month_of(f.from_ms) for f in self.manifest.raw})

    def raw_files_of(self, month):
        return [f for f in self.raw_files() if month_of(f.from_ms) == month]

    def source(self, month):
        """Digest of everything that the processed file of a month follows from."""
        m = self.manifest
        parts = [m.price_scale, m.qty_scale, *((f.file, f.bytes, f.last) for f in self.raw_files_of(month))]
        return hashlib.blake2b(repr(parts).encode(), digest_size=16).hexdigest()

    def is_stale(self, month):
        entry = self.manifest.months.get(month)
        return entry is None or entry.source != self.source(month)

    def stale_months(self):
        return [month for month in self.months() if self.is_stale(month)]

    def pages(self, from_ms=None, to_ms=None):
        """Pages that touch [from_ms, to_ms), in order of time, checked while they are read."""
        for entry in self.raw_files():
            if (to_ms is None or entry.from_ms < to_ms) and (from_ms is None or entry.to_ms > from_ms):
                for page in read_pages(self.raw_dir, entry):
                    if (to_ms is None or page.from_ms < to_ms) and (from_ms is None or page.to_ms > from_ms):
                        yield page

    def rows(self, from_ms, to_ms):
        """Stored rows with from_ms <= time < to_ms, in order."""
        for page in self.pages(from_ms, to_ms):
            yield from (row for row in page.rows if from_ms <= row[0] < to_ms)

    # ---- writing
    def append(self, page):
        """Add a page, which must lie in one month and in nothing that is covered; it is on the disk on return."""
        clash = [r for r in self.covered() if r[0] < page.to_ms and page.from_ms < r[1]]
        if clash or page.from_ms >= page.to_ms or month_of(page.from_ms) != month_of(page.to_ms - 1):
            raise ValueError(f"page {time_text(page.from_ms)} to {time_text(page.to_ms)}: expected an unfetched part of one "
                             f"month, found {clash}")
        m = self.manifest
        month = month_of(page.from_ms)
        files = self.raw_files_of(month)
        entry = next((f for f in files if f.to_ms == page.from_ms and f.bytes < ROTATE_BYTES), None)
        new = entry is None
        if new:
            number = 1 + max((int(f.file.split(".")[1]) for f in files), default=0)
            entry = RawFile(file=f"{month}.{number:04d}.jsonl.zst", from_ms=page.from_ms, to_ms=page.from_ms)
        try:
            grown = append_page(self.raw_dir, entry, page)
            m.raw = [*m.raw, grown] if new else [grown if f is entry else f for f in m.raw]
            price_at, qty_at = ((1, 2, 3, 4), 5) if self.series.kind == "candles" else ((3,), 4)
            for row in page.rows:
                m.price_scale = max(m.price_scale, *(decimal_places(row[i]) for i in price_at), 0)
                m.qty_scale = max(m.qty_scale, decimal_places(row[qty_at]))
            self.write_manifest()
        except OSError as e:
            raise DataError(f"{self.raw_dir}: expected the disk to take a page, found {e.strerror}") from None

    def write_manifest(self):
        write_whole(self.manifest_path, msgspec.json.format(msgspec.json.encode(self.manifest), indent=1) + b"\n")


def decoded_manifest(path, data):
    try:
        manifest = msgspec.json.decode(data, type=Manifest)
    except msgspec.MsgspecError as e:
        raise StoreDamage(path, None, f"expected a manifest, found {e}") from None
    if manifest.format != FORMAT:
        raise DataError(f"{path}: expected format {FORMAT}, found {manifest.format}: written by another version")
    return manifest


def stored_series(root):
    """Every Series under a directory, sorted. Raises UsageError when it holds none, StoreDamage, DataError."""
    result = []
    for path in sorted((root / "raw").glob("*/*/*/manifest.json")):
        try:
            manifest = decoded_manifest(path, path.read_bytes())
        except OSError as e:
            raise DataError(f"{path}: expected a readable file, found {e.strerror}") from None
        result.append(Series(manifest.exchange, manifest.symbol, manifest.kind, manifest.interval))
    if not result:
        raise UsageError(f"{root}: expected a directory that `tickpath data backfill --out` has filled, found nothing stored")
    return result
