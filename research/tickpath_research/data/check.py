"""What is stored, examined: gaps, and whether every byte is still what was written."""
from tickpath_research.data.layout import MS, StoreDamage, missing, time_text
from tickpath_research.data.processed import (
    arrow,
    derived_batches,
    file_digest,
    month_file,
    read_batches,
    read_month,
    series_schema,
)
from tickpath_research.data.source import PAGED_BY_ID

QUIET_MS = 3_600_000                  # a series of trades may begin with this long a pause
MAX_LISTED = 1000                     # gaps and damages that a report carries; it counts them all


class GapList:
    """Gaps of a series, in order of time.

    kind: `venue` (asked for, the venue has nothing there: an outage, or a time without a trade), `before_first` (asked for,
    and the venue has nothing as old), `not_fetched` (never asked for), `ids` (trades whose ids are missing between two others).
    """

    def __init__(self):
        self.listed, self.counts, self.missing_rows = [], {}, 0

    def add(self, kind, from_ms, to_ms, count):
        self.counts[kind] = self.counts.get(kind, 0) + 1
        self.missing_rows += count or 0
        if len(self.listed) < MAX_LISTED:
            self.listed.append({"kind": kind, "from": time_text(from_ms), "to": time_text(to_ms), "missing": count})

    def report(self):
        return {"gaps": self.listed, "gap_counts": self.counts, "missing_rows": self.missing_rows}


def find_gaps(store, since_ms=None, until_ms=None):
    """Gaps of [since, until), which is everything covered where not given. Returns GapList."""
    covered = store.covered()
    since_ms = since_ms if since_ms is not None else covered[0][0] if covered else 0
    until_ms = until_ms if until_ms is not None else covered[-1][1] if covered else 0
    unfetched = missing(covered, since_ms, until_ms)
    found = candle_gaps if store.series.kind == "candles" else trade_gaps
    gaps = GapList()
    rows = [("not_fetched", begin, end, None) for begin, end in unfetched]
    rows += found(store, since_ms, until_ms, unfetched)
    for row in sorted(rows, key=lambda r: r[1]):
        gaps.add(*row)
    return gaps


def candle_gaps(store, since_ms, until_ms, unfetched):
    """(kind, from_ms, to_ms, missing candles) for every run of candles that is covered and not there."""
    import numpy as np
    step_ms = store.series.interval_ms
    expected_ms, result = since_ms, []

    def note(to_ms):
        for begin, end in missing(unfetched, expected_ms, to_ms):
            first = store.covered()[0][0]
            kind = "before_first" if not seen and begin <= max(first, since_ms) else "venue"
            result.append((kind, begin, end, (end - begin) // step_ms))
    seen = has_rows_before(store, since_ms)
    for batch in read_batches(store, since_ms * MS, until_ms * MS):
        opened_ms = batch.column("ts_open_ns").to_numpy() // MS
        for k in np.flatnonzero(np.diff(opened_ms, prepend=expected_ms - step_ms) != step_ms):
            if k:
                expected_ms = int(opened_ms[k - 1]) + step_ms
            note(int(opened_ms[k]))
            seen = True
        seen, expected_ms = True, int(opened_ms[-1]) + step_ms
    note(until_ms)
    return result


def has_rows_before(store, ms):
    return any(f.rows and f.from_ms < ms for f in store.raw_files())


def trade_gaps(store, since_ms, until_ms, unfetched):
    """Where a venue's ids go up by one, those that are missing between two trades of one fetched range; and a beginning
    without any trade, where that is longer than a pause."""
    import numpy as np
    last_ms, last_id, result = None, None, []
    has_ids = store.series.exchange in PAGED_BY_ID
    for batch in read_batches(store, since_ms * MS, until_ms * MS):
        times_ms = batch.column("ts_venue_ns").to_numpy() // MS
        if last_ms is None and not has_rows_before(store, since_ms) and times_ms[0] - since_ms > QUIET_MS:
            result += [("before_first", a, b, None) for a, b in missing(unfetched, since_ms, int(times_ms[0]))]
        ids = batch.column("trade_id").cast("int64").to_numpy() if has_ids else np.arange(len(times_ms))
        if last_id is not None and has_ids:
            ids, times_ms = np.insert(ids, 0, last_id), np.insert(times_ms, 0, last_ms)
        for k in np.flatnonzero(np.diff(ids) != 1):
            begin_ms, end_ms, lost = int(times_ms[k]), int(times_ms[k + 1]), int(ids[k + 1] - ids[k]) - 1
            if not any(begin_ms < end and begin <= end_ms for begin, end in unfetched):
                result.append(("ids", begin_ms, end_ms, lost))
        last_ms, last_id = int(times_ms[-1]), int(ids[-1])
    return result


def store_rows(store):
    return sum(f.rows for f in store.manifest.raw)


# ---- damage
def check_series(store):
    """Read everything of a series and compare it with itself. Returns dict: damage, gaps, counts.

    Every raw page against its checksums and its neighbours, every processed file against its digest and, row by row,
    against the raw pages that it was made from. Damage is listed with file and row; it does not end the check.
    """
    damage, notes, pages, rows, suspect = [], [], 0, 0, []

    def note(path, row, what):
        damage.append({"file": str(path), "row": row, "what": what})
    for entry in store.raw_files():
        try:
            for page in store.pages(entry.from_ms, entry.to_ms):
                pages += 1
                rows += len(page.rows)
                if store.series.kind == "candles":
                    suspect += [time_text(r[0]) for r in page.rows if not is_sound(r)]
        except StoreDamage as e:
            note(e.path, e.row, e.what)
    for month in store.months():
        if store.is_stale(month):
            notes.append(f"{month}: raw pages are not processed yet; the next backfill does it")
            continue
        try:
            compare_month(store, month)
        except StoreDamage as e:
            if {"file": str(e.path), "row": e.row, "what": e.what} not in damage:
                note(e.path, e.row, e.what)
    gaps = GapList()
    if not damage and not store.stale_months():
        gaps = find_gaps(store)
    return {**identity(store), "pages": pages, "rows": rows, "damage": damage[:MAX_LISTED], "damage_count": len(damage),
            "suspect": suspect[:MAX_LISTED], "suspect_count": len(suspect), "notes": notes, **gaps.report(), "ok": not damage}


def is_sound(row):
    opened, high, low, close, volume = (float(x) for x in row[1:])
    return low <= min(opened, close) and max(opened, close) <= high and volume >= 0


def compare_month(store, month):
    """Raises StoreDamage, which names the first row that is not what the raw pages give."""
    pa = arrow()
    path, entry, row = month_file(store, month), store.manifest.months[month], 0
    try:
        schema = pa.parquet.read_schema(path)
    except FileNotFoundError:
        raise StoreDamage(path, None, "expected the processed month, found no file") from None
    except (OSError, pa.ArrowException) as e:
        raise StoreDamage(path, None, f"expected a Parquet file, found {str(e).splitlines()[0][:200]}") from None
    expected_schema = series_schema(store)
    if not schema.remove_metadata().equals(expected_schema.remove_metadata()):
        raise StoreDamage(path, None, "expected the columns of its kind, found others")
    found = read_month(store, month)
    for expected in derived_batches(store, month, expected_schema):
        if not expected.num_rows:
            continue
        batch = next(found, None)
        if batch is None or batch.num_rows != expected.num_rows:
            raise StoreDamage(path, row, f"expected {expected.num_rows} rows in a group, found "
                                         f"{0 if batch is None else batch.num_rows}")
        for a, b in zip(expected.columns, batch.columns, strict=True):
            if not a.equals(b):
                k = next(i for i in range(len(a)) if a[i] != b[i])
                raise StoreDamage(path, row + k, f"expected {expected.slice(k, 1).to_pylist()[0]} as in the raw pages, found "
                                                 f"{batch.slice(k, 1).to_pylist()[0]}")
        row += batch.num_rows
    if next(found, None) is not None:
        raise StoreDamage(path, row, "expected no more rows, found some that the raw pages do not give")
    if file_digest(path) != entry.digest:
        raise StoreDamage(path, None, f"expected digest {entry.digest}, found {file_digest(path)}, with the right rows")


def identity(store):
    m = store.manifest
    return {"exchange": m.exchange, "symbol": m.symbol, "kind": m.kind, "interval": m.interval or None}


def list_series(store):
    """What is stored of a series, from its manifest alone."""
    covered, m = store.covered(), store.manifest
    processed = [m.months[month] for month in store.months() if not store.is_stale(month)]
    return {**identity(store), "from": time_text(covered[0][0]) if covered else None,
            "to": time_text(covered[-1][1]) if covered else None,
            "covered": [[time_text(a), time_text(b)] for a, b in covered],
            "rows": store_rows(store), "pages": sum(f.pages for f in m.raw), "raw_bytes": sum(f.bytes for f in m.raw),
            "processed_bytes": sum(p.bytes for p in processed), "months": len(store.months()),
            "months_not_processed": len(store.stale_months()), "price_scale": m.price_scale, "qty_scale": m.qty_scale}
