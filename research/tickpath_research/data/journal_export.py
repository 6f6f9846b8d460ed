"""Events of a journal as one Parquet file, whose columns are derived from the record dtypes and from nothing else.

Several kinds share the file: columns are those of all of them, null where a kind has none, and `type` says which it is. Rows
stand in order of sequence. Memory is bounded by ROW_GROUP_SLOTS, whatever the journal's length.
"""
import json
import re

import numpy as np

from tickpath.shm.journal import JournalReader
from tickpath.shm.journal_format import whole_slot_count
from tickpath.shm.ring import records
from tickpath.types import DTYPES, EVENT_NAMES, LAYOUT_HASH, PRICE_NONE, SLOT_DTYPE
from tickpath_research.data.export import replaced
from tickpath_research.data.layout import UsageError
from tickpath_research.data.processed import arrow

ROW_GROUP_SLOTS = 131_072
KIND_NUMBERS = {name: kind for kind, name in EVENT_NAMES.items() if name not in ("none", "cont")}
TEXT_FIELDS = ("client_order_id",)
HEADER = [name for name in SLOT_DTYPE.names if name != "payload"]
# The header of a record's later slots repeats the first's.
REPEATED = re.compile("(" + "|".join(n.removesuffix("_ns") for n in HEADER) + ")[2-4](_ns)?")
NONE = int(PRICE_NONE)                # the null of prices, quantities and times is one value
NO_INSTRUMENT = 0xFFFFFFFF


def kept_fields(kind):
    """Names of a record's fields that become columns, in the dtype's order."""
    return [n for n in DTYPES[kind].names if not REPEATED.fullmatch(n) and not n.startswith("reserved") and n != "payload"]


def field_type(pa, dtype, name):
    if name == "type" or name in TEXT_FIELDS:
        return pa.string()
    base = dtype.fields[name][0]
    return pa.binary(base.itemsize) if base.subdtype or base.kind == "V" else pa.from_numpy_dtype(base)


def events_schema(kinds, metadata=None):
    """The Arrow schema for these EventTypes. Fields of one name and different types get their kind before their name."""
    pa = arrow()
    types = {name: field_type(pa, SLOT_DTYPE, name) for name in HEADER}
    names = {}                        # (kind, field) -> column
    for kind in kinds:
        for name in kept_fields(kind):
            wanted = field_type(pa, DTYPES[kind], name)
            column = name if types.setdefault(name, wanted) == wanted else f"{EVENT_NAMES[kind]}_{name}"
            types[column] = wanted
            names[kind, name] = column
    return pa.schema([pa.field(n, t, nullable=n not in ("seq", "type")) for n, t in types.items()], metadata), names


def column_array(pa, rows, name, arrow_type, kind):
    values = rows[name]
    if name == "type":
        return pa.repeat(EVENT_NAMES[kind], len(rows))
    if name in TEXT_FIELDS:
        text = [bytes(v).split(b"\0")[0].decode("ascii", "replace") for v in np.ascontiguousarray(values)]
        return pa.array(text, pa.string())
    if values.dtype.kind == "V" or values.ndim > 1:
        raw = np.ascontiguousarray(values).tobytes()
        return pa.FixedSizeBinaryArray.from_buffers(arrow_type, len(rows), [None, pa.py_buffer(raw)])
    none = NONE if values.dtype == np.int64 else NO_INSTRUMENT if name == "instrument" else None
    return pa.array(np.ascontiguousarray(values), arrow_type, mask=None if none is None else values == none)


def kind_table(pa, slots, kind, schema, names):
    rows = records(slots, kind)
    columns = {}
    for name in kept_fields(kind):
        column = names[kind, name]
        columns[column] = column_array(pa, rows, name, schema.field(column).type, kind)
    arrays = [columns[f.name] if f.name in columns else pa.nulls(len(rows), f.type) for f in schema]
    return pa.table(arrays, schema=schema)


def whole_batches(reader):
    """Arrays of SLOT_DTYPE of about ROW_GROUP_SLOTS whole records each."""
    held = []
    for batch in reader.batches():
        held.append(batch)
        if sum(map(len, held)) >= ROW_GROUP_SLOTS:
            slots = np.concatenate(held)
            keep = whole_slot_count(slots)
            yield slots[:keep]
            held = [slots[keep:]]
    if held:
        yield np.concatenate(held)


def export_journal(journal, out, kinds=(), *, progress=None):
    """Write the events of a journal (see JournalReader) to a Parquet file.

    Parameters: kinds : names of events (trade, bar, fill, …); none means all.  progress : called with the slots done.
    Returns: dict: path, rows, rows of each kind, missed_slots, torn_tail.
    Errors: UsageError, JournalError, JournalDamage, DataError (disk).
    """
    unknown = sorted(set(kinds) - KIND_NUMBERS.keys())
    if unknown:
        raise UsageError(f"--kind: expected some of {', '.join(KIND_NUMBERS)}, found {', '.join(unknown)}")
    pa = arrow()
    numbers = sorted({KIND_NUMBERS[name] for name in kinds} or KIND_NUMBERS.values())
    reader = JournalReader(journal)
    config = reader.config.get("config", {})
    metadata = {"tickpath.layout_hash": f"{LAYOUT_HASH:016x}", "tickpath.instance": reader.instance,
                "tickpath.epoch": str(reader.epoch), "tickpath.instruments": json.dumps(config.get("instruments", []))}
    schema, names = events_schema(numbers, metadata)
    counts, slots_done = dict.fromkeys((EVENT_NAMES[k] for k in numbers), 0), 0
    with replaced(out) as temporary:
        with pa.parquet.ParquetWriter(temporary, schema, compression="zstd", write_page_checksum=True) as writer:
            for slots in whole_batches(reader):
                tables = []
                for kind in numbers:
                    table = kind_table(pa, slots, kind, schema, names)
                    counts[EVENT_NAMES[kind]] += table.num_rows
                    tables += [table] if table.num_rows else []
                if tables:
                    table = pa.concat_tables(tables)
                    writer.write_table(table.sort_by("seq") if len(tables) > 1 else table)
                slots_done += len(slots)
                if progress is not None:
                    progress(slots_done)
    return {"path": str(out), "rows": sum(counts.values()), "kinds": {k: n for k, n in counts.items() if n},
            "missed_slots": reader.missed_slots, "torn_tail": reader.torn_tail, "final": reader.final}
