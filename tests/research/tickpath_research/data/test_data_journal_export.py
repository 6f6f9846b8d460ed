"""Journals as Parquet: a real run's, row by row against what JournalReader gives."""
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from required import require_package
from tickpath.shm.journal import JournalDamage, JournalError, JournalReader, JournalWriter
from tickpath.shm.ring import records
from tickpath.types import DTYPES, EVENT_NAMES, LAYOUT_HASH, PRICE_NONE, SLOT_DTYPE, EventType
from tickpath_research.data import journal_export
from tickpath_research.data.journal_export import KIND_NUMBERS, events_schema, export_journal, kept_fields
from tickpath_research.data.layout import UsageError

pa = require_package("pyarrow", "research")
pq = require_package("pyarrow.parquet", "research")

ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture(scope="module")
def journal(tmp_path_factory):
    """The journal of a real paper run over the recorded feed, as fast as it goes."""
    state = tmp_path_factory.mktemp("state")
    done = subprocess.run([sys.executable, "-m", "tickpathd.cli", "run", "--config", str(ROOT / "config" / "paper-demo.toml"),
                           "--set", "venues.binance.pace=fast", "--set", f"storage.dir={state}", "--set",
                           "instance.name=data-export", "--json"], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return Path(json.loads(done.stdout)["journal"])


@pytest.fixture(scope="module")
def slots(journal):
    return np.concatenate(list(JournalReader(journal).batches()))


def test_every_record_of_every_kind_is_a_row_with_its_values(journal, slots, tmp_path):
    result = export_journal(journal, tmp_path / "all.parquet")
    table = pq.read_table(tmp_path / "all.parquet")
    assert np.array_equal(table.column("seq").to_numpy(), slots["seq"][slots["type"] != EventType.EV_CONT])
    _, names = events_schema(sorted(KIND_NUMBERS.values()))
    kinds = np.array(table.column("type").to_pylist())
    seen = 0
    for name, kind in KIND_NUMBERS.items():
        rows = records(slots, kind)
        assert result["kinds"].get(name, 0) == len(rows) == np.sum(kinds == name)
        if not len(rows):
            continue
        seen += 1
        part = table.filter(kinds == name)
        for field in kept_fields(kind):
            values = rows[field]
            if field == "type" or values.dtype.kind == "V" or values.ndim > 1:
                continue
            found = part.column(names[kind, field]).combine_chunks()
            none = PRICE_NONE if values.dtype == np.int64 else 0xFFFFFFFF if field == "instrument" else None
            mask = None if none is None else values == none
            assert found.equals(pa.array(np.ascontiguousarray(values), mask=mask)), (name, field)
    assert seen > 10 and result["rows"] == table.num_rows and result["final"]


def test_one_kind_has_its_own_columns_only_and_no_padding(journal, slots, tmp_path):
    export_journal(journal, tmp_path / "fills.parquet", ["fill"])
    table = pq.read_table(tmp_path / "fills.parquet")
    assert table.num_rows == len(records(slots, EventType.EV_FILL)) > 0
    assert table.column_names[:7] == ["seq", "ts_recv_ns", "ts_venue_ns", "instrument", "type", "venue", "flags"]
    assert {"order_ordinal", "price_ticks", "qty_lots", "position_lots"} <= set(table.column_names)
    assert not [n for n in table.column_names if n.startswith("reserved") or n.endswith("2") or n == "seq2"]


def test_client_order_ids_are_text(journal, slots, tmp_path):
    export_journal(journal, tmp_path / "intents.parquet", ["intent"])
    ids = pq.read_table(tmp_path / "intents.parquet").column("client_order_id").to_pylist()
    assert ids == [bytes(v).decode() for v in records(slots, EventType.EV_INTENT)["client_order_id"]]
    assert len(ids[0]) == 18 and ids[0].startswith("tp")


def test_metadata_says_what_the_numbers_mean(journal, tmp_path):
    export_journal(journal, tmp_path / "t.parquet", ["trade", "bar"])
    metadata = pq.read_schema(tmp_path / "t.parquet").metadata
    assert metadata[b"tickpath.layout_hash"] == f"{LAYOUT_HASH:016x}".encode()
    assert json.loads(metadata[b"tickpath.instruments"])[0]["tick_size"] == "0.01"


def test_small_row_groups_give_the_same_rows(journal, tmp_path, monkeypatch):
    export_journal(journal, tmp_path / "a.parquet", ["fill", "trade", "latency"])
    monkeypatch.setattr(journal_export, "ROW_GROUP_SLOTS", 5000)
    export_journal(journal, tmp_path / "b.parquet", ["fill", "trade", "latency"])
    assert pq.ParquetFile(tmp_path / "b.parquet").num_row_groups > 20
    assert pq.read_table(tmp_path / "a.parquet").equals(pq.read_table(tmp_path / "b.parquet"))


def test_a_record_over_the_edge_of_two_blocks_is_whole(tmp_path):
    count = 9001                                   # two slots each: no block of 4,096 slots ends between two records for long
    rows = np.zeros(count, DTYPES[EventType.EV_FILL])
    rows["type"], rows["type2"] = EventType.EV_FILL, EventType.EV_CONT
    rows["seq"], rows["seq2"] = np.arange(count) * 2 + 1, np.arange(count) * 2 + 2
    rows["position_lots"] = np.arange(count) - 4000
    rows["price_ticks"][7] = PRICE_NONE
    (tmp_path / "config.json").write_bytes(b"{}")
    writer = JournalWriter(tmp_path, instance="x", epoch=1, config_bytes=b"{}", first_seq=1)
    whole = rows.view(np.uint8).view(SLOT_DTYPE)
    writer.append(whole[:4097])
    writer.append(whole[4097:])
    writer.close(final=True)
    export_journal(tmp_path, tmp_path / "f.parquet", ["fill"])
    table = pq.read_table(tmp_path / "f.parquet")
    assert table.column("position_lots").to_pylist() == rows["position_lots"].tolist()
    assert table.column("price_ticks")[7].as_py() is None


@pytest.mark.parametrize("kind", sorted(KIND_NUMBERS))
def test_every_field_of_every_layout_has_a_column_of_its_own_type(kind):
    schema, names = events_schema(sorted(KIND_NUMBERS.values()))
    number = KIND_NUMBERS[kind]
    for field in kept_fields(number):
        assert schema.field(names[number, field]).type is not None
    columns = [names[number, f] for f in kept_fields(number)]
    assert len(set(columns)) == len(columns)
    assert EVENT_NAMES[number] == kind


def test_damage_and_wrong_names_are_said(journal, tmp_path):
    with pytest.raises(UsageError, match="--kind: expected some of .*found candel"):
        export_journal(journal, tmp_path / "x.parquet", ["candel"])
    with pytest.raises(JournalError, match="expected a journal"):
        export_journal(tmp_path / "none", tmp_path / "x.parquet")
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in journal.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    segment = copy / "segment-000001.tpj"
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 1
    segment.write_bytes(data)
    with pytest.raises(JournalDamage, match="segment-000001.tpj: offset"):
        export_journal(copy, tmp_path / "x.parquet")
    assert not (tmp_path / "x.parquet").exists() and not list(tmp_path.glob(".x*"))
