"""A stored series in the formats of others: CSV, freqtrade's Feather files, one Parquet file. Streaming, row group by row group.

freqtrade labels a candle by its open time and keeps floats; both are done here, at the border, and nowhere before it.
"""
import contextlib
import csv
import os
from decimal import Decimal

from tickpath_research.data.layout import MS, DataError, UsageError, path_name, unscaled
from tickpath_research.data.processed import arrow, read_batches, series_schema

FORMATS = ("csv", "freqtrade", "parquet")
SIDE_NAMES = {1: "buy", 2: "sell", 0: None}


def freqtrade_name(series):
    return f"{path_name(series.symbol)}-{series.interval or 'trades'}.feather"


@contextlib.contextmanager
def replaced(path):
    """A name beside `path` to write to; what was written takes its place when all went well."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except OSError as e:
        raise DataError(f"{path}: expected the disk to take the export, found {e.strerror or e}") from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def export(store, file_format, out, *, since_ms=None, until_ms=None, progress=None):
    """Write a series to a file; a directory as `out` gets the format's usual name in it.

    Returns: (path, rows).  Errors: UsageError, DataError (not processed yet, disk), StoreDamage.
    """
    if file_format not in FORMATS:
        raise UsageError(f"--format: expected one of {', '.join(FORMATS)}, found {file_format!r}")
    if out.is_dir():
        name = freqtrade_name(store.series)
        out = out / (name if file_format == "freqtrade" else name.removesuffix("feather") + file_format)
    batches = read_batches(store, None if since_ms is None else since_ms * MS, None if until_ms is None else until_ms * MS)
    rows = 0

    def counted():
        nonlocal rows
        for batch in batches:
            yield batch
            rows += batch.num_rows
            if progress is not None:
                progress(rows)
    writer = {"csv": write_csv, "freqtrade": write_freqtrade, "parquet": write_parquet}[file_format]
    with replaced(out) as temporary:
        writer(store, counted(), temporary)
    return out, rows


def write_csv(store, batches, path):
    m = store.manifest
    with open(path, "w", newline="") as f:
        out = csv.writer(f, lineterminator="\n")
        if m.kind == "candles":
            out.writerow(["ts_open_ns", "ts_close_ns", "open", "high", "low", "close", "volume"])
        else:
            out.writerow(["ts_venue_ns", "trade_id", "side", "price", "qty"])
        for batch in batches:
            columns = [c.to_pylist() for c in batch.columns]
            if m.kind == "candles":
                prices = [[unscaled(v, m.price_scale) for v in c] for c in columns[2:6]]
                out.writerows(zip(*columns[:2], *prices, [unscaled(v, m.qty_scale) for v in columns[6]], strict=True))
            else:
                out.writerows(zip(columns[0], columns[1], [SIDE_NAMES[s] or "" for s in columns[2]],
                                  [unscaled(v, m.price_scale) for v in columns[3]],
                                  [unscaled(v, m.qty_scale) for v in columns[4]], strict=True))


def write_parquet(store, batches, path):
    schema = series_schema(store)
    with arrow().parquet.ParquetWriter(path, schema, compression="zstd", write_page_checksum=True) as writer:
        for batch in batches:
            writer.write_batch(batch.replace_schema_metadata(schema.metadata))


def write_freqtrade(store, batches, path):
    """freqtrade's data handler `feather`: Arrow IPC with LZ4."""
    pa = arrow()
    import pyarrow.compute as pc
    import pyarrow.ipc
    m = store.manifest

    def floats(column, scale):
        # Through the decimal text: the float nearest to the venue's own number, not to a product of two floats.
        return pa.array([float(unscaled(v, scale)) for v in column.to_pylist()], pa.float64())
    if m.kind == "candles":
        schema = pa.schema([("date", pa.timestamp("ns", "UTC")),
                            *((name, pa.float64()) for name in ("open", "high", "low", "close", "volume"))])
    else:
        schema = pa.schema([("timestamp", pa.int64()), ("id", pa.string()), ("type", pa.null()), ("side", pa.string()),
                            ("price", pa.float64()), ("amount", pa.float64()), ("cost", pa.float64())])
    options = pyarrow.ipc.IpcWriteOptions(compression="lz4")
    with pyarrow.ipc.new_file(path, schema, options=options) as writer:
        for batch in batches:
            if m.kind == "candles":
                columns = [batch.column("ts_open_ns").cast(pa.timestamp("ns", "UTC")),
                           *(floats(batch.column(f"{name}_ticks"), m.price_scale) for name in ("open", "high", "low", "close")),
                           floats(batch.column("volume_lots"), m.qty_scale)]
            else:
                unit = Decimal(1).scaleb(-m.price_scale - m.qty_scale)
                costs = [float(p * q * unit) for p, q in zip(batch.column("price_ticks").to_pylist(),
                                                             batch.column("qty_lots").to_pylist(), strict=True)]
                columns = [pc.divide(batch.column("ts_venue_ns"), MS), batch.column("trade_id"), pa.nulls(batch.num_rows),
                           pa.array([SIDE_NAMES[s] for s in batch.column("side").to_pylist()], pa.string()),
                           floats(batch.column("price_ticks"), m.price_scale), floats(batch.column("qty_lots"), m.qty_scale),
                           pa.array(costs, pa.float64())]
            writer.write_batch(pa.record_batch(columns, schema))
