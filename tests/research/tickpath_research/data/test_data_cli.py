"""`tickpath data …` as processes: killed with -9, cut off from their venue, stopped, wrongly used."""
import functools
import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from data_harness import stored_rows
from typer.testing import CliRunner
from venue_server import feather_candles

from required import require_package
from tickpath_research.data.cli import app
from tickpath_research.data.layout import Series, parse_time
from tickpath_research.data.store import SeriesStore

require_package("ccxt", "research")
require_package("pyarrow", "research")

BTC_1M = "ohlcv/binance_spot/BTC_USDT-1m_202407_202408.feather"
SERIES = Series("binance", "BTC/USDT", "candles", "1m")
DONE, FAILED, USAGE, UNVERIFIED = 0, 1, 2, 3
SINCE, UNTIL = "2024-07-30T06:00", "2024-08-06T18:00"


def command(*arguments):
    return [sys.executable, "-m", "tickpath_research.data.cli", *map(str, arguments)]


@pytest.fixture
def run():
    """run(argument, …): the command in this process, with exit_code, stdout and stderr. Signal handlers are put back."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(n) for n in numbers]
    yield lambda *arguments: CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


def backfill_arguments(url, out, *more, since=SINCE, until=UNTIL):
    return ["backfill", "--exchange", "binance", "--symbol", "BTC/USDT", "--since", since, "--until", until, "--out", out,
            "--url", url, *more]


def pages_of(out):
    try:
        return sum(f.pages for f in SeriesStore(out, SERIES).manifest.raw)
    except Exception:
        return 0


def until(condition, what, process=None, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        assert process is None or process.poll() is None, process.communicate()
        time.sleep(0.01)
    raise AssertionError(f"expected {what} within {seconds} s")


def expected_rows(btc, since=SINCE, until=UNTIL):
    return [r for r in btc.candles["1m"] if parse_time(since) <= r[0] < parse_time(until)]


def test_a_backfill_killed_again_and_again_ends_without_a_hole_or_a_double(btc, serve, run, tmp_path):
    server = serve(btc)
    killed_at = []
    for pages in (2, 6):
        server.allowed = len(server.asked("/api/v3/klines")) + 6          # so that it cannot be done before it is killed
        process = subprocess.Popen(command(*backfill_arguments(server.url, tmp_path)), stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        until(functools.partial(lambda n: pages_of(tmp_path) >= n, pages), f"{pages} pages", process)
        process.kill()
        process.communicate()
        killed_at.append(pages_of(tmp_path))
    server.allowed = None
    done = run(*backfill_arguments(server.url, tmp_path, "--json"))
    assert done.exit_code == DONE, done.stderr
    report = json.loads(done.stdout)["series"][0]
    store = SeriesStore(tmp_path, SERIES)
    assert stored_rows(store) == expected_rows(btc)
    assert 2 <= killed_at[0] < killed_at[1] < pages_of(tmp_path)
    assert report["pages_new"] == pages_of(tmp_path) - killed_at[-1]
    check = run("check", tmp_path, "--json")
    assert check.exit_code == DONE and json.loads(check.stdout)["series"][0]["gap_counts"] == {}


@pytest.fixture
def venue_process(shared_data):
    """start(port, option, …): a venue in a process of its own, (process, url); killed with the test."""
    started = []

    def start(port=0, *options):
        process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("venue_server.py")), "--port", str(port), "--candles",
             f"BTCUSDT,BTC,USDT,1m,{shared_data(BTC_1M)}", *options], stdout=subprocess.PIPE, text=True)
        started.append(process)
        return process, process.stdout.readline().strip()
    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_venue_that_dies_and_comes_back_is_waited_for_and_said_once(venue_process, shared_data, tmp_path):
    venue, url = venue_process(0, "--allowed", "3")
    process = subprocess.Popen(command(*backfill_arguments(url, tmp_path, "--json")), stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    until(lambda: pages_of(tmp_path) >= 2, "two pages", process)
    venue.kill()
    venue.wait()
    time.sleep(1.5)                                  # long enough for several attempts
    venue_process(int(url.rsplit(":", 1)[1]))
    out, said = process.communicate(timeout=60)
    assert process.returncode == DONE, said
    lines = said.splitlines()
    assert len(lines) == 2, said
    assert "no network" in lines[0] and "trying again" in lines[0] and "answers again after" in lines[1]
    report = json.loads(out)
    assert report["retries"] >= 2 and report["ok"]
    rows = [r for r in feather_candles(shared_data(BTC_1M)) if parse_time(SINCE) <= r[0] < parse_time(UNTIL)]
    assert stored_rows(SeriesStore(tmp_path, SERIES)) == rows


def test_nobody_there_is_said_and_given_up_on(run, tmp_path):
    done = run(*backfill_arguments("http://127.0.0.1:1", tmp_path, "--give-up-after", "0.2"))
    assert done.exit_code == FAILED
    assert "expected an answer within 0.2 s, found no network: Connection refused" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_signal_ends_it_with_whole_pages_and_what_they_hold_processed(btc, serve, tmp_path):
    server = serve(btc)
    server.allowed = 3
    process = subprocess.Popen(command(*backfill_arguments(server.url, tmp_path, "--json")), stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    until(lambda: pages_of(tmp_path) >= 2, "two pages", process)
    process.send_signal(signal.SIGTERM)
    server.allowed = None
    out, said = process.communicate(timeout=30)
    assert process.returncode == FAILED and "stopped; the same command goes on from here" in said
    store = SeriesStore(tmp_path, SERIES)
    assert not store.stale_months() and stored_rows(store) == expected_rows(btc)[:len(stored_rows(store))]
    assert json.loads(out)["series"][0]["gap_counts"] == {"not_fetched": 1}


def test_a_changed_candle_ends_with_exit_code_3_and_names_it(btc, serve, run, tmp_path):
    server = serve(btc)
    assert run(*backfill_arguments(server.url, tmp_path, until="2024-07-30T07:00")).exit_code == DONE
    changed = [list(r) for r in btc.candles["1m"]]
    next(r for r in changed if r[0] == parse_time("2024-07-30T06:30"))[1] = "7.00000000"
    btc.candles["1m"] = changed
    done = run(*backfill_arguments(server.url, tmp_path, "--recheck", until="2024-07-30T07:00"))
    assert done.exit_code == UNVERIFIED
    assert "candle of 2024-07-30T06:30:00Z: expected open " in done.stderr and "found open 7.00000000" in done.stderr


def test_list_check_and_export_of_a_store(btc, serve, run, tmp_path):
    server = serve(btc)
    store = tmp_path / "store"
    done = run(*backfill_arguments(server.url, store, until="2024-07-30T12:00"))
    assert done.exit_code == DONE and "360" in done.stdout and done.stderr == ""      # no bar where there is no terminal
    listed = json.loads(run("list", store, "--json").stdout)["series"]
    assert [(s["symbol"], s["rows"], s["interval"]) for s in listed] == [("BTC/USDT", 360, "1m")]
    assert "BTC/USDT" in run("list", store).stdout
    written = json.loads(run("export", store, "--out", tmp_path, "--format", "csv", "--json").stdout)["written"]
    assert [w["rows"] for w in written] == [360] and len(Path(written[0]["path"]).read_text().splitlines()) == 361
    assert run("check", store).exit_code == DONE
    raw = SeriesStore(store, SERIES).raw_dir / "2024-07.0001.jsonl.zst"
    data = bytearray(raw.read_bytes())
    data[len(data) // 2] ^= 0xFF
    raw.write_bytes(data)
    done = run("check", store)
    assert done.exit_code == UNVERIFIED and f"tickpath: {raw}: row 0: " in done.stderr


@pytest.mark.parametrize(("arguments", "text"), [
    (["backfill", "--exchange", "nowhere", "--symbol", "A/B", "--since", "2024-01-01", "--out", "x"], "--exchange: expected one"),
    (["backfill", "--exchange", "binance", "--symbol", "A/B", "--since", "soon", "--out", "x"], "expected a time like"),
    (["backfill", "--exchange", "binance", "--symbol", "A/B", "--since", "2024-01-01", "--out", "x", "--kind", "quotes"],
     "--kind: expected candles or trades"),
    (["backfill", "--exchange", "binance", "--symbol", "A/B", "--since", "2024-01-01", "--out", "x", "--url", "ftp://x"],
     "--url: expected http"),
    (["list", "/nonexistent"], "found nothing stored"),
    (["journal", "--journal", "/nonexistent", "--out", "x.parquet", "--kind", "nothing"], "--kind: expected some of"),
])
def test_wrong_usage_ends_with_exit_code_2_and_one_line(run, arguments, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run(*arguments)
    assert done.exit_code == USAGE, done.stderr
    assert text in done.stderr and done.stderr.startswith("tickpath: ") and done.stderr.count("\n") == 1


def test_a_progress_bar_is_drawn_on_a_terminal(btc, serve, tmp_path):
    server = serve(btc)
    server.delay_s = 0.1
    leader, follower = pty.openpty()
    seen = bytearray()

    def read():
        while True:
            try:
                data = os.read(leader, 4096)
            except OSError:
                return
            if not data:
                return
            seen.extend(data)
    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    process = subprocess.Popen(command(*backfill_arguments(server.url, tmp_path, until="2024-08-01")), stdout=subprocess.DEVNULL,
                               stderr=follower, env={**os.environ, "TERM": "xterm", "COLUMNS": "150"})
    os.close(follower)
    assert process.wait(timeout=60) == DONE
    reader.join(5)
    os.close(leader)
    assert b"binance BTC/USDT candles 1m" in seen and b"rows" in seen and b"%" in seen
