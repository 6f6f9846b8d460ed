"""Processed months: a series as Parquet, made from its raw pages and from nothing else, so that it can be made again.

Times are int64 ns. Prices and quantities are int64 counts of 10**-price_scale and 10**-qty_scale, which stand in each
file's metadata and are the same in all files of a series: exact, and what `tickpath.market` computes with. There are no
floats here. Candles carry ts_open_ns and their exclusive ts_close_ns, and come in that order.
"""
import hashlib
import os

from tickpath_research.data.layout import (
    MS,
    DataError,
    StoreDamage,
    month_of,
    put_in_place,
    right_aligned,
    scaled,
    time_text,
)
from tickpath_research.data.store import Month

ROW_GROUP_ROWS = 65_536
FORMAT = "1"
SIDES = {"buy": 1, "sell": 2}         # FIX 54, as tickpath.types.Side; 0: the venue does not say


def arrow():
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise DataError("expected the pyarrow package, found none. Run: pip install 'tickpath[research]'") from None
    return pyarrow


def series_schema(store, source=""):
    """The Arrow schema of a series' files; `source` is the digest of the raw pages that a month was made from."""
    pa = arrow()
    m = store.manifest
    metadata = {"format": FORMAT, "exchange": m.exchange, "symbol": m.symbol, "kind": m.kind, "interval": m.interval,
                "price_scale": str(m.price_scale), "qty_scale": str(m.qty_scale), "source": source}
    if m.kind == "candles":
        names = ("ts_open_ns", "ts_close_ns", "open_ticks", "high_ticks", "low_ticks", "close_ticks", "volume_lots")
        fields = [pa.field(name, pa.int64(), nullable=False) for name in names]
    else:
        fields = [pa.field("ts_venue_ns", pa.int64(), nullable=False), pa.field("trade_id", pa.string(), nullable=False),
                  pa.field("side", pa.int8(), nullable=False), pa.field("price_ticks", pa.int64(), nullable=False),
                  pa.field("qty_lots", pa.int64(), nullable=False)]
    return pa.schema(fields, metadata={f"tickpath.{key}": value for key, value in metadata.items()})


class RowOrder:
    """Checks that rows rise in time and none comes twice; says what is wrong with one, or None."""

    def __init__(self):
        self._ts_ms, self._ids = None, set()

    def problem(self, row, kind):
        ts_ms = row[0]
        if self._ts_ms is None or ts_ms > self._ts_ms:
            self._ts_ms, self._ids = ts_ms, set() if kind == "candles" else {row[1]}
            return None
        if ts_ms < self._ts_ms:
            return f"expected a time after {time_text(self._ts_ms)}, found {time_text(ts_ms)}"
        if kind == "candles" or row[1] in self._ids:
            return f"expected each {'candle' if kind == 'candles' else 'trade'} once, found {time_text(ts_ms)} " \
                   f"{'' if kind == 'candles' else row[1] + ' '}twice"
        self._ids.add(row[1])
        return None


def columns(store, rows):
    """Raw rows as the columns of series_schema, lists of the file's values."""
    m, step_ms = store.manifest, store.series.interval_ms
    p, q = m.price_scale, m.qty_scale
    if m.kind == "candles":
        times = [right_aligned(row[0], step_ms) for row in rows]
        return [[t[0] for t in times], [t[1] for t in times],
                *([scaled(row[i], p) for row in rows] for i in (1, 2, 3, 4)), [scaled(row[5], q) for row in rows]]
    return [[row[0] * MS for row in rows], [row[1] for row in rows], [SIDES.get(row[2], 0) for row in rows],
            [scaled(row[3], p) for row in rows], [scaled(row[4], q) for row in rows]]


def derived_batches(store, month, schema):
    """The record batches that a month's raw pages give: ROW_GROUP_ROWS rows each but for the last. Errors: StoreDamage."""
    pa = arrow()
    order, held = RowOrder(), []

    def batch(rows):
        try:
            return pa.record_batch([pa.array(c, f.type) for c, f in zip(columns(store, rows), schema, strict=True)], schema)
        except OverflowError as e:
            raise DataError(f"{store.series}: {month}: expected numbers that fit int64, found {e}") from None
    files = store.raw_files_of(month)
    for entry in files:
        row_no = 0
        for page in store.pages(entry.from_ms, entry.to_ms):
            for row in page.rows:
                problem = order.problem(row, store.series.kind)
                if problem is not None:
                    raise StoreDamage(store.raw_dir / entry.file, row_no, problem)
                row_no += 1
            held += page.rows
            while len(held) >= ROW_GROUP_ROWS:
                yield batch(held[:ROW_GROUP_ROWS])
                held = held[ROW_GROUP_ROWS:]
    if held or not any(entry.rows for entry in files):
        yield batch(held)


def month_file(store, month):
    return store.processed_dir / f"{month}.parquet"


def file_digest(path):
    digest = hashlib.blake2b(digest_size=16)
    with open(path, "rb") as f:
        while data := f.read(1 << 20):
            digest.update(data)
    return digest.hexdigest()


def build_month(store, month):
    """Make a month's file from its raw pages and put it in place. A kill leaves the old one, or the new one whole."""
    pq = arrow().parquet
    source = store.source(month)
    schema, path = series_schema(store, source), month_file(store, month)
    temporary = path.with_name(path.name + ".tmp")
    rows = 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with pq.ParquetWriter(temporary, schema, compression="zstd", write_page_checksum=True, write_statistics=True) as writer:
            for batch in derived_batches(store, month, schema):
                writer.write_batch(batch, row_group_size=ROW_GROUP_ROWS)
                rows += batch.num_rows
        with open(temporary, "rb") as f:
            os.fsync(f.fileno())
        entry = Month(rows=rows, bytes=temporary.stat().st_size, digest=file_digest(temporary), source=source)
        put_in_place(temporary, path)
        store.manifest.months[month] = entry
        store.write_manifest()
    except OSError as e:
        raise DataError(f"{path}: expected the disk to take a month, found {e.strerror or e}") from None


def build_stale(store, progress=None):
    """Build every month that is missing or does not follow from the raw pages as they are now; returns their names."""
    stale = [month for month in store.months() if store.is_stale(month) or not month_file(store, month).exists()]
    for month in stale:
        build_month(store, month)
        if progress is not None:
            progress(month)
    return stale


def read_month(store, month):
    """Record batches of a month's file, one a row group. Errors: StoreDamage, which names file and first row of the group."""
    pa = arrow()
    path, row = month_file(store, month), 0
    try:
        # A mapped file read by several threads would outlive the error message: one row group at a time, here.
        with pa.parquet.ParquetFile(path, page_checksum_verification=True) as file:
            for group in range(file.num_row_groups):
                for batch in file.read_row_group(group, use_threads=False).combine_chunks().to_batches():
                    yield batch
                    row += batch.num_rows
    except FileNotFoundError:
        raise StoreDamage(path, None, "expected the processed month, found no file") from None
    except (OSError, pa.ArrowException) as e:
        raise StoreDamage(path, row, f"expected a readable row group, found {str(e).splitlines()[0][:200]}") from None


def read_batches(store, since_ns=None, until_ns=None):
    """Record batches of everything stored with since_ns <= open (trades: time) and close (trades: time) <= until_ns, in order.

    So a caller that stands at `until_ns` is never shown a candle that was not over. Errors: DataError when a month is not
    built yet, StoreDamage.
    """
    arrow()
    import pyarrow.compute as pc
    low, high = ("ts_open_ns", "ts_close_ns") if store.series.kind == "candles" else ("ts_venue_ns", "ts_venue_ns")
    wanted = {month_of(f.from_ms) for f in store.raw_files() if (until_ns is None or f.from_ms * MS <= until_ns)
              and (since_ns is None or f.to_ms * MS > since_ns)}
    for month in sorted(wanted):
        if store.is_stale(month):
            raise DataError(f"{store.series}: expected {month} to be processed, found raw pages only; run the backfill again")
        for batch in read_month(store, month):
            mask = None
            if since_ns is not None:
                mask = pc.greater_equal(batch.column(low), since_ns)
            if until_ns is not None:
                before = pc.less_equal(batch.column(high), until_ns)
                mask = before if mask is None else pc.and_(mask, before)
            batch = batch if mask is None else batch.filter(mask)
            if batch.num_rows:
                yield batch


def read_table(store, since_ns=None, until_ns=None):
    """read_batches as one Arrow table: as large as what is asked for."""
    pa = arrow()
    schema = series_schema(store)
    return pa.Table.from_batches([b.replace_schema_metadata(schema.metadata)
                                  for b in read_batches(store, since_ns, until_ns)], schema)


def trade_events(table):
    """Trades as records of the engine's trade dtype, for tickpath.market.build_bars and whatever else reads events.

    Ticks and lots are the series' 10**-scale. trade_id is 0 where the venue's is no number. Not set: instrument, venue.
    """
    import numpy as np

    from tickpath.types import DTYPES, EventType
    events = np.zeros(table.num_rows, DTYPES[int(EventType.EV_TRADE)])
    events["type"] = int(EventType.EV_TRADE)
    events["ts_venue_ns"] = events["ts_recv_ns"] = table.column("ts_venue_ns").to_numpy()
    events["price_ticks"] = table.column("price_ticks").to_numpy()
    events["qty_lots"] = table.column("qty_lots").to_numpy()
    events["flags"] = table.column("side").to_numpy() == SIDES["sell"]        # TRADE_SELL_AGGRESSOR
    events["trade_id"] = [int(t) if t.isdecimal() and len(t) < 20 else 0 for t in table.column("trade_id").to_pylist()]
    events["trade_count"] = 1
    return events
