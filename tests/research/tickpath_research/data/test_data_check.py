"""`check` finds what is damaged, by file and row, and takes nothing else for damage."""
import pytest
from data_harness import BEGIN, MINUTE, PAGES, SERIES, Killed, filled, kill_at, page

from required import require_package
from tickpath_research.data.check import check_series, find_gaps, list_series
from tickpath_research.data.layout import Series, StoreDamage, time_text
from tickpath_research.data.processed import build_stale, month_file
from tickpath_research.data.raw_log import Page
from tickpath_research.data.store import SeriesStore

pq = require_package("pyarrow.parquet", "research")

TRADES = Series("kraken", "XBT/USD", "trades")


def checked(store):
    return check_series(SeriesStore(store.root, store.series))


def test_a_sound_store_is_found_sound(tmp_path):
    report = checked(filled(tmp_path))
    assert report["ok"] and not report["damage"] and not report["notes"] and not report["gaps"]
    assert (report["pages"], report["rows"]) == (4, 20)


def test_damage_of_a_raw_file_is_named_once_with_its_row(tmp_path):
    store = filled(tmp_path)
    path = store.raw_dir / "2024-08.0001.jsonl.zst"
    data = bytearray(path.read_bytes())
    data[-20] ^= 0xFF
    path.write_bytes(data)
    report = checked(store)
    assert not report["ok"]
    assert [(d["file"], d["row"]) for d in report["damage"]] == [(str(path), 1)]


def test_a_missing_file_is_damage(tmp_path):
    store = filled(tmp_path)
    (store.raw_dir / "2024-08.0001.jsonl.zst").unlink()
    month_file(store, "2024-07").unlink()
    files = {d["file"].rsplit("/", 1)[1] for d in checked(store)["damage"]}
    assert files == {"2024-08.0001.jsonl.zst", "2024-07.parquet"}


def test_every_flipped_byte_of_a_processed_file_is_found(tmp_path):
    store = filled(tmp_path)
    path = month_file(store, "2024-08")
    whole = path.read_bytes()
    for at in range(0, len(whole), 13):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1:])
        report = checked(store)
        assert [d["file"] for d in report["damage"]] == [str(path)], at


def rewritten_month(store, month, change):
    """A processed file with other rows, right in itself, whose digest the manifest knows."""
    path = month_file(store, month)
    table = pq.read_table(path)
    pq.write_table(change(table), path)


@pytest.mark.parametrize(("change", "row", "what"), [
    (lambda t: t.set_column(5, t.schema.field(5), [[v + (i == 3) for i, v in enumerate(t.column(5).to_pylist())]]), 3, "as in the raw"),
    (lambda t: t.slice(0, 7), 0, "expected 10 rows"),
    (lambda t: t.slice(0, 0), 0, "expected 10 rows"),
    (lambda t: t.drop_columns(["volume_lots"]), None, "columns of its kind"),
])
def test_processed_rows_that_the_raw_pages_do_not_give_are_named(tmp_path, change, row, what):
    store = filled(tmp_path)
    rewritten_month(store, "2024-08", change)
    damage = checked(store)["damage"]
    assert [(d["file"], d["row"]) for d in damage] == [(str(month_file(store, "2024-08")), row)]
    assert what in damage[0]["what"]


def test_rows_twice_or_out_of_order_in_raw_pages_are_damage(tmp_path):
    twice = page(0, 4)
    twice.rows[2][0] = twice.rows[1][0]
    with SeriesStore(tmp_path, SERIES, write=True) as store:
        store.append(twice)
        with pytest.raises(StoreDamage, match="0001.jsonl.zst: row 2: expected each candle once, found 2024-07-31T23:51:00Z twice"):
            build_stale(store)
    back = page(0, 4)
    back.rows[2][0] -= 2 * MINUTE
    with SeriesStore(tmp_path / "back", SERIES, write=True) as store:
        store.append(back)
        with pytest.raises(StoreDamage, match="row 2: expected a time after 2024-07-31T23:51:00Z, found 2024-07-31T23:50:00Z"):
            build_stale(store)


def test_a_kill_between_a_month_and_its_manifest_is_a_note_and_no_damage(tmp_path, monkeypatch):
    filled(tmp_path, PAGES[:3])
    with SeriesStore(tmp_path, SERIES, write=True) as store:
        store.append(PAGES[3])
        with monkeypatch.context() as patch:
            # The month's fsync and rename, the folder's fsync; then the manifest's own.
            kill_at(patch, 4)
            with pytest.raises(Killed):
                build_stale(store)
    report = checked(store)
    assert report["ok"] and "not processed yet" in report["notes"][0]
    with SeriesStore(tmp_path, SERIES, write=True) as store:
        build_stale(store)
    assert not checked(store)["notes"]


def test_a_candle_that_contradicts_itself_is_suspect_and_kept(tmp_path):
    odd = page(0, 4)
    odd.rows[1][2] = "1.4"
    report = checked(filled(tmp_path, [odd]))
    assert report["ok"] and report["suspect"] == [time_text(BEGIN + MINUTE)]


def test_gaps_are_told_apart(tmp_path):
    held = page(4, 6)
    with_outage = Page(from_ms=held.from_ms, to_ms=held.to_ms, rows=[*held.rows[:2], held.rows[5]], answers=[])
    empty = Page(from_ms=BEGIN, to_ms=BEGIN + 4 * MINUTE, rows=[], answers=[])
    store = filled(tmp_path, [empty, with_outage, page(15, 5)])
    at = [time_text(BEGIN + i * MINUTE) for i in range(31)]
    assert find_gaps(store).listed == [
        {"kind": "before_first", "from": at[0], "to": at[4], "missing": 4},
        {"kind": "venue", "from": at[6], "to": at[9], "missing": 3},
        {"kind": "not_fetched", "from": at[10], "to": at[15], "missing": None}]
    later = find_gaps(store, BEGIN + 7 * MINUTE, BEGIN + 30 * MINUTE).listed
    assert [(g["kind"], g["from"], g["to"]) for g in later] == [("venue", at[7], at[9]), ("not_fetched", at[10], at[15]),
                                                                ("not_fetched", at[20], at[30])]
    assert find_gaps(store).missing_rows == 7


def test_trades_of_a_venue_without_consecutive_ids_have_no_id_gaps(tmp_path):
    rows = [[BEGIN + i, f"T{i * 7}" if i % 2 else str(i * 7), "buy", "1", "1"] for i in range(5)]
    with SeriesStore(tmp_path, TRADES, write=True) as store:
        store.append(Page(from_ms=BEGIN, to_ms=BEGIN + MINUTE, rows=rows, answers=[]))
        build_stale(store)
    report = checked(store)
    assert report["ok"] and not report["gaps"] and report["rows"] == 5


def test_a_listing_comes_from_the_manifest_alone(tmp_path):
    store = filled(tmp_path)
    listed = list_series(SeriesStore(tmp_path, SERIES))
    assert (listed["rows"], listed["pages"], listed["months"], listed["months_not_processed"]) == (20, 4, 2, 0)
    assert listed["covered"] == [[time_text(BEGIN), time_text(BEGIN + 20 * MINUTE)]]
    for path in store.raw_dir.glob("*.zst"):
        path.unlink()
    assert list_series(SeriesStore(tmp_path, SERIES)) == listed
