"""The store: what counts after a kill at any instruction, and that nothing changed goes unseen."""
import os

import pytest
import zstandard
from data_harness import BEGIN, MINUTE, PAGES, SERIES, Killed, filled, kill_at, page, rewritten

from required import require_package
from tickpath_research.data.layout import DataError, Series, StoreDamage, UsageError
from tickpath_research.data.processed import build_stale, read_table
from tickpath_research.data.store import SeriesStore, stored_series

require_package("pyarrow", "research")

def rows_of(store):
    return [row for p in store.pages() for row in p.rows]


ALL_ROWS = [row for p in PAGES for row in p.rows]


def test_pages_come_back_as_they_were_written_one_file_a_month(tmp_path):
    store = filled(tmp_path)
    assert rows_of(store) == ALL_ROWS
    assert [f.file for f in store.raw_files()] == ["2024-07.0001.jsonl.zst", "2024-08.0001.jsonl.zst"]
    assert store.covered() == [(BEGIN, BEGIN + 20 * MINUTE)]
    assert list(store.pages())[0].answers[0].url == "http://127.0.0.1/"
    assert stored_series(tmp_path) == [SERIES]


def test_raw_files_are_plain_zstd_json_lines(tmp_path):
    store = filled(tmp_path)
    with open(store.raw_dir / "2024-07.0001.jsonl.zst", "rb") as f:
        text = zstandard.ZstdDecompressor().stream_reader(f, read_across_frames=True).read()
    assert text.count(b"\n") == 2 and text.startswith(b'{"from_ms":')


def test_pages_fetched_out_of_order_are_read_in_order(tmp_path):
    store = filled(tmp_path, [PAGES[2], PAGES[0], PAGES[3], PAGES[1]])
    assert rows_of(store) == ALL_ROWS
    assert read_table(store).equals(read_table(filled(tmp_path / "other")), check_metadata=False)


def test_a_page_over_what_is_covered_or_over_the_end_of_a_month_is_refused(tmp_path):
    with SeriesStore(tmp_path, SERIES, write=True) as store:
        store.append(PAGES[0])
        for bad in (page(3, 2), page(0, 4), page(8, 4), page(5, 0)):
            with pytest.raises(ValueError, match="expected an unfetched part of one month"):
                store.append(bad)
    assert rows_of(SeriesStore(tmp_path, SERIES)) == PAGES[0].rows


def test_files_are_rotated_at_their_size_and_read_as_one(tmp_path, monkeypatch):
    monkeypatch.setattr("tickpath_research.data.store.ROTATE_BYTES", 1)
    store = filled(tmp_path)
    assert len(store.raw_files()) == 4 and rows_of(store) == ALL_ROWS


def test_a_kill_at_any_step_leaves_whole_pages_and_the_next_run_completes_them(tmp_path, monkeypatch):
    expected = read_table(filled(tmp_path / "whole"))
    calls = 1
    while True:
        root = tmp_path / str(calls)
        with monkeypatch.context() as patch:
            kill_at(patch, calls)
            try:
                filled(root)
                killed = False
            except Killed:
                killed = True
        if not killed:
            break
        with SeriesStore(root, SERIES, write=True) as store:
            assert rows_of(store) == ALL_ROWS[:len(rows_of(store))]
            for p in PAGES:
                if not any(a <= p.from_ms and p.to_ms <= b for a, b in store.covered()):
                    store.append(p)
            build_stale(store)
        store = SeriesStore(root, SERIES)
        assert rows_of(store) == ALL_ROWS and not store.stale_months()
        assert read_table(store).equals(expected, check_metadata=False)
        calls += 1
    assert calls > 20                 # every page syncs twice and renames once, every month again


def test_bytes_behind_the_manifest_are_not_read_and_the_next_append_cuts_them(tmp_path):
    store = filled(tmp_path, PAGES[:3])
    path = store.raw_dir / "2024-08.0001.jsonl.zst"
    with open(path, "ab") as f:
        f.write(b"half a page" * 1000)
    assert rows_of(store) == ALL_ROWS[:15]
    with SeriesStore(tmp_path, SERIES, write=True) as store:
        store.append(PAGES[3])
    assert rows_of(SeriesStore(tmp_path, SERIES)) == ALL_ROWS
    assert path.stat().st_size == store.raw_files()[-1].bytes


def test_a_file_shorter_than_the_manifest_says_is_damage(tmp_path):
    store = filled(tmp_path)
    path = store.raw_dir / "2024-08.0001.jsonl.zst"
    os.truncate(path, store.raw_files()[-1].bytes - 5)
    with pytest.raises(StoreDamage, match="2024-08.0001.jsonl.zst: row 1"):
        rows_of(store)
    with SeriesStore(tmp_path, SERIES, write=True) as store, pytest.raises(StoreDamage, match="expected .* bytes"):
        store.append(page(20, 2))


def test_no_flipped_byte_of_a_raw_file_changes_what_is_read(tmp_path):
    store = filled(tmp_path)
    path = store.raw_dir / "2024-07.0001.jsonl.zst"
    whole, pages, unseen = path.read_bytes(), list(store.pages()), 0
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1:])
        try:
            assert list(store.pages()) == pages           # as a reserved bit of a frame's header leaves it
            unseen += 1
        except StoreDamage as e:
            assert e.path == path
    assert unseen < len(whole) // 20


@pytest.mark.parametrize(("change", "row"), [
    (lambda lines: [lines[0].replace(b'"1.5"', b'"1.6"', 1), *lines[1:]], 0),
    (lambda lines: [lines[0], lines[1].replace(b'"1.5"', b'"1.6"', 1)], 1),
    (lambda lines: [lines[1], lines[0]], 0),
    (lambda lines: lines[1:], 0),
])
def test_pages_that_were_edited_swapped_or_taken_out_are_found_by_their_row(tmp_path, change, row):
    store = filled(tmp_path)
    path = store.raw_dir / "2024-07.0001.jsonl.zst"
    rewritten(path, change)
    store.manifest.raw[0].bytes = path.stat().st_size
    with pytest.raises(StoreDamage) as found:
        rows_of(store)
    assert (found.value.path, found.value.row) == (path, row)


def test_a_second_writer_is_refused_and_a_reader_is_not(tmp_path):
    with SeriesStore(tmp_path, SERIES, write=True) as store:
        store.append(PAGES[0])
        with pytest.raises(DataError, match="expected no other writer of binance BTC/USDT candles 1m"):
            SeriesStore(tmp_path, SERIES, write=True)
        assert rows_of(SeriesStore(tmp_path, SERIES)) == PAGES[0].rows
    SeriesStore(tmp_path, SERIES, write=True).close()


def test_two_symbols_of_one_folder_name_are_not_mixed(tmp_path):
    filled(tmp_path)
    with pytest.raises(UsageError, match="two symbols share this name"):
        SeriesStore(tmp_path, Series("binance", "BTC:USDT", "candles", "1m"), write=True)


@pytest.mark.parametrize(("text", "error"), [(b"{", StoreDamage), (b"[]", StoreDamage), (b'{"exchange": 1}', StoreDamage),
                                             (b'{"exchange":"a","symbol":"b","kind":"trades","format":9}', DataError)])
def test_a_manifest_that_is_none_is_named(tmp_path, text, error):
    store = filled(tmp_path)
    store.manifest_path.write_bytes(text)
    with pytest.raises(error, match="manifest.json: expected"):
        SeriesStore(tmp_path, SERIES)


def test_a_finer_price_changes_the_scale_of_all_months(tmp_path):
    store = filled(tmp_path, PAGES[:2])
    assert (store.manifest.price_scale, store.manifest.qty_scale) == (1, 2)
    with SeriesStore(tmp_path, SERIES, write=True) as store:
        store.append(page(10, 5, price="1.50005"))
        assert store.stale_months() == ["2024-07", "2024-08"]
        build_stale(store)
    table = read_table(SeriesStore(tmp_path, SERIES))
    assert table.column("open_ticks").to_pylist() == [150_000] * 10 + [150_005] * 5
    assert table.schema.metadata[b"tickpath.price_scale"] == b"5"


def test_an_empty_directory_is_named(tmp_path):
    with pytest.raises(UsageError, match="found nothing stored"):
        stored_series(tmp_path)
    with pytest.raises(UsageError, match="found nothing stored"):
        SeriesStore(tmp_path, SERIES)
