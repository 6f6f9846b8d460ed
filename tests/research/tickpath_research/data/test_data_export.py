"""Exports against the recordings that the store was filled from, and against what others' readers make of them."""
import csv
from decimal import Decimal

import pytest
from data_harness import Filler, stored_rows
from venue_server import Market, VenueServer, feather_candles, recorded_agg_trades

from required import require_package
from tickpath_research.data.export import export
from tickpath_research.data.layout import DataError, UsageError, parse_time
from tickpath_research.data.processed import read_table
from tickpath_research.data.store import SeriesStore

require_package("ccxt", "research")
feather = require_package("pyarrow.feather", "research")


@pytest.fixture(scope="module")
def xrp_store(shared_data, tmp_path_factory):
    """xrp_store(kind): three days of recorded XRP/ETH, backfilled once."""
    market = Market("XRPETH", "XRP", "ETH")
    market.candles = {"1m": feather_candles(shared_data("trades/XRP_ETH-1m.feather"))}
    market.trades = recorded_agg_trades(shared_data("trades/XRP_ETH-trades_raw_and_ccxt.json.gz"))
    with VenueServer(market) as server:
        fill = Filler(tmp_path_factory.mktemp("store"), server)
        return {kind: fill("XRP/ETH", "2019-10-11", "2019-10-14", kind) for kind in ("candles", "trades")}.__getitem__


def test_freqtrade_candles_equal_freqtrades_own_file(xrp_store, shared_data, tmp_path):
    path, rows = export(xrp_store("candles"), "freqtrade", tmp_path)
    assert path == tmp_path / "XRP_ETH-1m.feather" and rows == 2469
    own = feather.read_table(shared_data("trades/XRP_ETH-1m.feather"))
    assert feather.read_table(path).equals(own)


def test_freqtrade_trades_equal_freqtrades_own_file(xrp_store, shared_data, tmp_path):
    path, rows = export(xrp_store("trades"), "freqtrade", tmp_path / "x.feather")
    own = feather.read_table(shared_data("trades/XRP_ETH-trades.feather"))
    found = feather.read_table(path)
    assert rows == 12_477 and found.schema.equals(own.schema)
    for name in own.column_names[:-1]:
        assert found.column(name).equals(own.column(name)), name
    # The recorded costs carry rounding errors of a product of floats; ours are the floats nearest to the exact product.
    costs = [float(Decimal(repr(p)) * Decimal(repr(q))) for p, q in zip(own["price"].to_pylist(), own["amount"].to_pylist(),
                                                                       strict=True)]
    assert found["cost"].to_pylist() == costs == pytest.approx(own["cost"].to_pylist(), rel=1e-14)


def test_csv_holds_the_venues_own_numbers(xrp_store, tmp_path):
    store = xrp_store("candles")
    path, _ = export(store, "csv", tmp_path)
    with open(path) as f:
        rows = list(csv.DictReader(f))
    stored = stored_rows(store)
    assert len(rows) == len(stored)
    assert all(int(a["ts_open_ns"]) == b[0] * 1_000_000 and int(a["ts_close_ns"]) == (b[0] + 60_000) * 1_000_000
               and b[3].startswith(a["low"]) and not b[3][len(a["low"]):].strip("0") for a, b in zip(rows, stored, strict=True))


def test_csv_of_trades_names_the_sides(xrp_store, tmp_path):
    path, _ = export(xrp_store("trades"), "csv", tmp_path / "t.csv")
    lines = path.read_text().splitlines()
    assert lines[:2] == ["ts_venue_ns,trade_id,side,price,qty", "1570752011620000000,13519807,sell,0.00141342,23"]


def test_parquet_is_the_processed_table_and_honours_the_range(xrp_store, tmp_path):
    import pyarrow.parquet as pq
    store = xrp_store("candles")
    path, rows = export(store, "parquet", tmp_path)
    assert pq.read_table(path).equals(read_table(store)) and rows == 2469
    begin, end = parse_time("2019-10-12"), parse_time("2019-10-12T00:10")
    path, rows = export(store, "parquet", tmp_path / "part.parquet", since_ms=begin, until_ms=end)
    table = pq.read_table(path)
    assert rows == table.num_rows > 0
    assert table.column("ts_open_ns")[0].as_py() >= begin * 1_000_000
    assert table.column("ts_close_ns")[-1].as_py() <= end * 1_000_000


def test_an_export_that_fails_leaves_the_old_file_and_no_other(xrp_store, tmp_path, monkeypatch):
    store = xrp_store("candles")
    out = tmp_path / "exports"
    out.mkdir()
    path, _ = export(store, "csv", out)
    before = path.read_bytes()
    monkeypatch.setattr("tickpath_research.data.export.unscaled", lambda v, scale: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        export(store, "csv", out)
    assert path.read_bytes() == before and [p.name for p in out.iterdir()] == [path.name]


def test_what_cannot_be_written_is_said(xrp_store, tmp_path):
    store = xrp_store("candles")
    with pytest.raises(UsageError, match="--format: expected one of csv"):
        export(store, "xlsx", tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="expected the disk to take the export"):
        export(store, "csv", tmp_path / "file" / "x.csv")


def test_raw_pages_that_are_not_processed_are_not_exported_by_halves(xrp_store, tmp_path):
    store = xrp_store("candles")
    store = SeriesStore(store.root, store.series)
    store.manifest.months = {}
    with pytest.raises(DataError, match="expected 2019-10 to be processed"):
        export(store, "csv", tmp_path)
