"""Bars from recorded trades against the candles that the venues themselves published."""
import datetime
import gzip
import io
import json
import zipfile
from decimal import Decimal

import numpy as np
import pytest
import zstandard

from required import require_package
from tickpath.capture import read_capture
from tickpath.market.bar_set import BarStream, build_bar_set
from tickpath.market.bar_spec import parse_bar_spec
from tickpath.market.bars import BarFlag
from tickpath.types import DTYPES, EventType

MINUTE = 60_000_000_000
PRICES = ("open_ticks", "high_ticks", "low_ticks", "close_ticks")


def units(text, size):
    value = Decimal(text) / Decimal(size)
    assert value == value.to_integral_value(), (text, size)
    return int(value)


def tape(rows, tick, lot):
    """Trade records of (time ns, trade id, price text, qty text, seller is aggressor, trades in it)."""
    out = np.zeros(len(rows), DTYPES[EventType.EV_TRADE])
    out["type"] = EventType.EV_TRADE
    for i, (ts, trade_id, price, qty, sell, count) in enumerate(rows):
        out[i]["ts_venue_ns"], out[i]["trade_id"], out[i]["flags"], out[i]["trade_count"] = ts, trade_id, sell, count
        out[i]["price_ticks"], out[i]["qty_lots"] = units(price, tick), units(qty, lot)
    return out


def finished(series):
    return series.bars[(series.bars["flags"] & BarFlag.BAR_UNFINISHED) == 0]


def rows_of(bars, tick, lot):
    """{open time ns: (open, high, low, close, volume)} as Decimals."""
    return {int(b["ts_open_ns"]): (*(int(b[k]) * Decimal(tick) for k in PRICES), int(b["volume_lots"]) * Decimal(lot)) for b in bars}


def feather(path, decimals, *, between=None):
    """{open time ns: (open, high, low, close, volume)} of a candle file, which labels by open time."""
    table = require_package("pyarrow.feather", "research").read_table(path)
    stamps = table["date"].to_numpy().astype("datetime64[ns]").astype(np.int64)
    columns = [table[name].to_numpy() for name in ("open", "high", "low", "close", "volume")]
    keep = range(len(stamps)) if between is None else np.nonzero((stamps >= between[0]) & (stamps < between[1]))[0]
    # The files hold doubles: rounding to the venue's decimals gives back what it sent.
    return {int(stamps[i]): tuple(round(Decimal(float(c[i])), decimals).normalize() for c in columns) for i in keep}


def same(found, expected):
    return {k: tuple(v.normalize() for v in row) for k, row in found.items()} == {
        k: tuple(v.normalize() for v in row) for k, row in expected.items()}


# ---- Binance spot: the captures' trades, the venue's klines of the same minutes

@pytest.fixture(scope="module")
def binance_tape(golden_dir):
    rows = []
    for name in ("hftbacktest_btcusdt_20240808.gz", "hftbacktest_btcusdt_20240809.gz"):
        for frame in read_capture(golden_dir / "binance_spot" / name):
            if b'"e":"trade"' in frame.data:
                t = json.loads(frame.data)["data"]
                rows.append((t["T"] * 1_000_000, t["t"], t["p"], t["q"], t["m"], 1))
    return tape(rows, "0.01", "0.000001")


# Open, high, low, close, volume of the ten minutes as in test_binance_decode_golden.py, joined by hand to five minutes.
FIVE_MINUTES = {
    "2024-08-08T23:55": ("61828.0", "61860.8", "61583.22", "61685.99", "199.42863"),
    "2024-08-09T00:00": ("61686.0", "61744.37", "61556.04", "61607.99", "221.61722"),
}


def test_five_minute_bars_of_the_capture_equal_the_venues_klines_joined(binance_tape):
    one, five, hour, day = build_bar_set(binance_tape, ["1m", "5m", "1h", "1d"])
    found = rows_of(five.bars, "0.01", "0.000001")
    expected = {int(np.datetime64(k, "ns").astype(np.int64)): tuple(map(Decimal, v)) for k, v in FIVE_MINUTES.items()}
    assert same({k: v for k, v in found.items() if k in expected}, expected)
    # The capture begins inside 23:54 and ends inside 00:05.
    assert (len(one), len(five), len(hour), len(day)) == (12, 4, 2, 2)
    assert one.late_count == 0 and day.bars["trade_count"].sum() == len(binance_tape) == 19904
    assert sum(five.notional_ticklots) == sum(int(t["price_ticks"]) * int(t["qty_lots"]) for t in binance_tape)


def test_ten_minutes_of_the_capture_equal_the_recorded_klines(binance_tape, shared_data):
    path = shared_data("ohlcv/binance_spot/BTC_USDT-1m_202407_202408.feather")
    start = int(np.datetime64("2024-08-08T23:55", "ns").astype(np.int64))
    expected = feather(path, 8, between=(start, start + 10 * MINUTE))
    found = rows_of(build_bar_set(binance_tape, ["1m"])[0].bars, "0.01", "0.000001")
    assert len(expected) == 10
    assert same({k: found[k] for k in expected}, expected)


# ---- Binance spot: 12,477 aggregate trades, the 1m and 5m candles of the same days

@pytest.fixture(scope="module")
def xrp_tape(shared_data):
    rows = json.loads(gzip.decompress(shared_data("trades/XRP_ETH-trades_raw_and_ccxt.json.gz").read_bytes()))
    rows = [row["info"] for row in rows]
    return tape([(r["T"] * 1_000_000, r["a"], r["p"], r["q"], r["m"], r["l"] - r["f"] + 1) for r in rows], "0.00000001", "0.01")


def test_aggregate_trades_give_as_many_bars_as_the_venue_has_candles(xrp_tape):
    one, five = build_bar_set(xrp_tape, ["1m", "5m"])
    assert (len(xrp_tape), len(one), len(five)) == (12477, 2469, 706)
    assert one.bars["volume_lots"].sum() == five.bars["volume_lots"].sum() == xrp_tape["qty_lots"].sum()


@pytest.mark.parametrize("text, count", [("1m", 2469), ("5m", 706)])
def test_aggregate_trades_rebuild_every_candle(xrp_tape, shared_data, text, count):
    expected = feather(shared_data(f"trades/XRP_ETH-{text}.feather"), 8)
    found = rows_of(build_bar_set(xrp_tape, [text])[0].bars, "0.00000001", "0.01")
    assert len(expected) == count
    assert same(found, expected)


# ---- Kraken: 1000 trades, its one-minute candles, the empty ones among them

@pytest.fixture(scope="module")
def kraken(shared_data):
    """(trade records, {open time ns: candle row}) of XBTUSDT."""
    def result(name):
        text = gzip.decompress(shared_data(f"rest/kraken/{name}").read_bytes())
        return json.loads(text, parse_float=Decimal)["result"]["XBTUSDT"]
    rows = [(int(r[2] * 1_000_000_000), r[6], r[0], r[1], r[3] == "s", 1) for r in result("http_trades_XBTUSDT_20251110.json.gz")]
    return tape(rows, "0.1", "0.00000001"), {r[0] * 10**9: r for r in result("http_ohlc_XBTUSDT_20251110.json.gz")}


def test_trades_rebuild_the_venues_candles_and_its_empty_ones(kraken):
    trades, candles = kraken
    series, = build_bar_set(trades, [parse_bar_spec("1m", emit_empty=True)], unfinished=False)
    # The trades begin inside a minute, which the candle covers wholly and they do not.
    bars, notional = series.bars[1:], series.notional_ticklots[1:]
    assert len(bars) == 409 and ((bars["flags"] & BarFlag.BAR_EMPTY) != 0).sum() == 137
    found = rows_of(bars, "0.1", "0.00000001")
    assert same(found, {k: tuple(map(Decimal, (*candles[k][1:5], candles[k][6]))) for k in found})
    for bar, value in zip(bars, notional, strict=True):
        candle = candles[int(bar["ts_open_ns"])]
        assert bar["trade_count"] == candle[7]
        vwap = Decimal(value) / int(bar["volume_lots"]) * Decimal("0.1") if bar["trade_count"] else Decimal(0)
        assert abs(vwap - Decimal(candle[5])) <= Decimal("0.1")


def test_candles_closed_by_time_equal_the_venues_too(kraken):
    trades, candles = kraken
    stream = BarStream([parse_bar_spec("1m", emit_empty=True)], grace_ns=2_000_000_000)
    bars = []
    for trade in trades:
        # Nothing of the past is learnt from the trade itself: the timer has run for every minute before it.
        now = int(trade["ts_venue_ns"])
        while stream.next_due_ns is not None and stream.next_due_ns <= now:
            bars.append(stream.close_due(stream.next_due_ns))
        bars.append(stream.on_trades(np.array([trade])))
    bars = np.concatenate(bars)[1:]
    found = rows_of(bars, "0.1", "0.00000001")
    assert same(found, {k: tuple(map(Decimal, (*candles[k][1:5], candles[k][6]))) for k in found}) and len(found) == 409
    assert stream.counters()[0]["late_count"] == 0


# ---- Coinbase: a feed that sends the trades of a message newest first

def coinbase_time(text):
    whole, _, part = text.removesuffix("Z").partition(".")
    return int(datetime.datetime.fromisoformat(whole + "+00:00").timestamp()) * 10**9 + int(part.ljust(9, "0"))


def test_trades_that_arrive_newest_first_give_the_venues_candles(shared_data):
    with open(shared_data("ws/coinbase/cryptofeed_COINBASE_20260809.jsonl.zst"), "rb") as f:
        lines = io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(f)).readlines()
    arrived, candles = {}, []
    start = 1_786_309_500
    for line in lines:
        record = json.loads(line)
        message = json.loads(record["data"]) if record["t"] == "recv" and record.get("data", "").startswith("{") else {}
        for event in message.get("events", ()):
            for t in event.get("trades", ()):
                arrived.setdefault(t["product_id"], []).append(
                    (coinbase_time(t["time"]), int(t["trade_id"]), t["price"], t["size"], t["side"] == "BUY", 1))
            candles += [c for c in event.get("candles", ()) if int(c["start"]) == start]
    assert len(candles) == 6
    for candle in candles:
        rows = arrived[candle["product_id"]]
        # The candle's volume says how far it had got; ids rise by one without a gap.
        volume, last_id = Decimal(0), None
        for row in sorted(rows, key=lambda r: r[1]):
            if row[0] >= start * 10**9 and volume < Decimal(candle["volume"]):
                volume, last_id = volume + Decimal(row[3]), row[1]
        assert volume == Decimal(candle["volume"])
        in_time = [r for r in rows if r[1] <= last_id]
        assert sorted(in_time) != in_time
        # The snapshot begins before the candle: those trades come after newer ones and are late.
        series, = build_bar_set(tape(in_time, "0.01", "0.00000001"), [parse_bar_spec("5m", late_rule="drop")])
        assert series.late_count > 0
        assert same(rows_of(series.bars, "0.01", "0.00000001"),
                    {start * 10**9: tuple(Decimal(candle[k]) for k in ("open", "high", "low", "close", "volume"))})


# ---- recorded short candles joined to long ones: each candle stands for four trades

def candle_tape(rows):
    """Open, high, low, close of a candle as four trades at its open time, the volume on the last; values as integers."""
    out = np.zeros(len(rows) * 4, DTYPES[EventType.EV_TRADE])
    out["type"] = EventType.EV_TRADE
    values = np.array(rows, np.int64)
    out["ts_venue_ns"] = np.repeat(values[:, 0], 4)
    out["price_ticks"] = values[:, 1:5].reshape(-1)
    out["qty_lots"][3::4] = values[:, 5]
    out["trade_id"] = np.arange(1, len(out) + 1)
    out["trade_count"] = 1
    return out


def lean(path):
    """[(open time ns of the day, open, high, low, close, volume)] of a LEAN file in 1e-4 and 1e-8."""
    with zipfile.ZipFile(path) as archive:
        lines = archive.read(archive.namelist()[0]).decode().split()
    fields = [line.split(",") for line in lines]
    return [(int(f[0]) * 1_000_000, *(units(v, "0.0001") for v in f[1:5]), units(f[5], "0.00000001")) for f in fields]


def bar_rows(bars):
    return [tuple(int(b[k]) for k in ("ts_open_ns", *PRICES, "volume_lots")) for b in bars]


def test_one_second_candles_join_to_the_minutes_of_the_same_day(shared_data):
    seconds = lean(shared_data("ohlcv/lean/crypto_coinbase_second_btcusd_20161007_trade.zip"))
    minutes = lean(shared_data("ohlcv/lean/crypto_coinbase_minute_btcusd_20161007_trade.zip"))
    found = {r[0]: r for r in bar_rows(build_bar_set(candle_tape(seconds), ["1m"])[0].bars)}
    expected = {r[0]: r for r in minutes}
    assert len(found) > 1000
    assert {k: found.get(k) for k in expected if k in found} == {k: v for k, v in expected.items() if k in found}
    assert set(found) <= set(expected)


@pytest.mark.parametrize("short, longs", [("3m", ["15m"]), ("5m", ["15m", "30m", "1h"]), ("15m", ["1h"]), ("30m", ["1d"])])
def test_recorded_candles_join_to_the_recorded_longer_ones(shared_data, short, longs):
    def rows(text):
        table = feather(shared_data(f"ohlcv/binance_usdm/BTC_USDT_USDT-{text}-futures.feather"), 3)
        return {k: (k, *(units(v, "0.1") for v in row[:4]), units(row[4], "0.001")) for k, row in table.items()}
    source = rows(short)
    for text, series in zip(longs, build_bar_set(candle_tape([source[k] for k in sorted(source)]), longs), strict=True):
        step, length = parse_bar_spec(short).interval_ns, series.spec.interval_ns
        whole = {r[0]: r for r in bar_rows(finished(series)) if all(r[0] + i in source for i in range(0, length, step))}
        expected = rows(text)
        common = whole.keys() & expected.keys()
        assert len(common) > 10
        assert {k: whole[k] for k in common} == {k: expected[k] for k in common}
