"""The command line: what each command prints, and its exit code."""

import gzip
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tickpath.shm.segment import SegmentError
from tickpath.shm.state_page import StatePage
from tickpathd import __version__
from tickpathd.cli import app

ROOT = Path(__file__).resolve().parents[3]
DEMO = ROOT / "config" / "paper-demo.toml"
CAPTURE = ROOT / "tests" / "golden" / "binance_spot" / "hftbacktest_btcusdt_20240808.gz"
DONE, FAILED, USAGE = 0, 1, 2
DECODE_KEYS = [
    "frames",
    "trades",
    "quotes",
    "book_deltas",
    "snapshots",
    "bars",
    "other",
    "levels",
    "unsupported",
    "errors",
]
BOOK_KEYS = {
    "updates",
    "checksums_ok",
    "checksums_bad",
    "gaps",
    "crossed",
    "best_bid",
    "best_ask",
    "bid_levels",
    "ask_levels",
    "state",
}


def tickpath(*arguments):
    result = subprocess.run(
        [sys.executable, "-m", "tickpathd.cli", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert "Traceback" not in result.stderr
    return result


def settings(storage, name, *more):
    return [o for s in (f"storage.dir={storage}", f"instance.name={name}", *more) for o in ("--set", s)]


@pytest.fixture(scope="module")
def short_capture(tmp_path_factory):
    path = tmp_path_factory.mktemp("capture") / "short.gz"
    with gzip.open(CAPTURE, "rb") as f:
        path.write_bytes(gzip.compress(b"".join(line for _, line in zip(range(6000), f, strict=False)), 1))
    return path


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """The name of an instance that runs at the recorded pace and has traded."""
    name = f"cli{os.getpid()}"
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "tickpathd.cli",
            "run",
            "-c",
            str(DEMO),
            "--json",
            *settings(tmp_path_factory.mktemp("state"), name),
        ],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
    )
    try:
        end = time.monotonic() + 30
        while True:
            try:
                if StatePage.attach(name).totals()["orders"] > 0:
                    break
            except SegmentError:
                pass
            assert time.monotonic() < end and process.poll() is None
            time.sleep(0.05)
        yield name
    finally:
        process.terminate()
        process.wait(60)


@pytest.mark.parametrize(
    "command",
    [
        (),
        ("run",),
        ("replay",),
        ("decode",),
        ("book",),
        ("tap",),
        ("tap", "tail"),
        ("tap", "top"),
        ("config",),
        ("config", "schema"),
        ("config", "check"),
        ("config", "show"),
    ],
)
def test_help_of_every_command_ends_with_zero(command):
    result = CliRunner().invoke(app, [*command, "--help"])
    assert result.exit_code == DONE and "Usage" in result.stdout and result.stderr == ""


def test_help_of_the_command_as_a_process_ends_with_zero():
    result = tickpath("--help")
    assert result.returncode == DONE and "Usage" in result.stdout and result.stderr == ""


def test_version_is_printed():
    result = tickpath("--version")
    assert (result.returncode, result.stdout) == (DONE, f"tickpath {__version__}\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("run", "--nonsense"),
        ("replay",),
        ("decode", "x"),
        ("tap", "nonsense"),
        ("run", "--duration", "soon"),
        ("tap", "tail", "--count", "x"),
    ],
)
def test_wrong_usage_ends_with_two(arguments):
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == USAGE and result.stdout == "" and result.stderr


def test_wrong_usage_of_the_command_as_a_process_ends_with_two():
    result = tickpath("nonsense")
    assert result.returncode == USAGE and result.stdout == "" and result.stderr


def test_run_prints_a_summary_and_replay_accepts_its_journal(tmp_path, short_capture):
    more = ("venues.binance.pace=fast", f"venues.binance.kind=capture:{short_capture}")
    name = f"sum{os.getpid()}"
    result = tickpath("run", "-c", DEMO, "--verify", *settings(tmp_path, name, *more))
    assert result.returncode == DONE, result.stderr
    assert "output hash" in result.stdout and "hash equal" in result.stdout
    (run_dir,) = (tmp_path / name / "runs").iterdir()
    assert str(run_dir) in result.stdout
    for path in (run_dir, tmp_path / name):
        replayed = tickpath("replay", path, "--verify", "--json")
        assert replayed.returncode == DONE
        assert {"events", "output_hash", "match", "events_per_s"} <= json.loads(replayed.stdout).keys()
        assert json.loads(replayed.stdout)["match"] is True
    assert "hash equal" in tickpath("replay", run_dir).stdout


def test_decode_counts_every_frame_under_the_promised_keys(short_capture):
    result = tickpath("decode", short_capture, "--venue", "binance_spot", "--json")
    assert result.returncode == DONE and result.stderr == ""
    counts = json.loads(result.stdout)
    assert set(DECODE_KEYS) <= counts.keys()
    assert counts["frames"] == 6000 and counts["errors"] == counts["unsupported"] == 0 and counts["snapshots"] == 1
    assert sum(counts[k] for k in ("trades", "quotes", "book_deltas", "snapshots", "bars", "other")) == 6000
    assert "6,000" in tickpath("decode", short_capture, "--venue", "binance_spot").stdout


def test_book_reports_every_symbol_under_the_promised_keys(short_capture):
    result = tickpath("book", short_capture, "--venue", "binance_spot", "--json")
    assert result.returncode == DONE and result.stderr == ""
    books = json.loads(result.stdout)
    assert list(books) == ["BTCUSDT"]
    book = books["BTCUSDT"]
    assert BOOK_KEYS <= book.keys()
    assert book["state"] == "GOOD" and book["gaps"] == book["crossed"] == book["checksums_bad"] == 0
    assert float(book["best_bid"]) < float(book["best_ask"]) and book["bid_levels"] > 100 < book["ask_levels"]
    for symbol in ("BTCUSDT", "BTC/USDT", "btc-usdt"):
        one = tickpath("book", short_capture, "--venue", "binance_spot", "--symbol", symbol, "--json")
        assert json.loads(one.stdout) == books
    table = tickpath("book", short_capture, "--venue", "binance_spot")
    assert table.returncode == DONE and book["best_bid"] in table.stdout


@pytest.mark.parametrize("command", ["decode", "book"])
def test_unknown_venue_is_wrong_usage(short_capture, command):
    result = tickpath(command, short_capture, "--venue", "nasdaq")
    assert result.returncode == USAGE and result.stdout == ""
    assert "nasdaq" in result.stderr and "binance_spot" in result.stderr and len(result.stderr.splitlines()) == 1


def test_unknown_symbol_of_a_book_is_one_line(short_capture):
    result = tickpath("book", short_capture, "--venue", "binance_spot", "--symbol", "ETHUSDT")
    assert result.returncode in (FAILED, USAGE) and "ETHUSDT" in result.stderr and len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments", [("tail", "-n", "1"), ("tail", "--json"), ("top", "--json"), ("top", "--duration", "1")]
)
def test_tap_on_an_instance_that_does_not_run_fails_with_one_line(arguments):
    result = tickpath("tap", *arguments, "--instance", "absent")
    assert result.returncode == FAILED and result.stdout.strip() in ("", "null")
    assert result.stdout == "" and "absent" in result.stderr and len(result.stderr.splitlines()) == 1


def test_tap_tail_prints_one_event_a_line(running):
    result = tickpath("tap", "tail", "--instance", running, "-n", "50", "--json", "--start", "oldest")
    assert result.returncode == DONE and result.stderr == ""
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(events) == 50 and all({"seq", "type", "ts_recv_ns"} <= e.keys() for e in events)
    assert [e["seq"] for e in events] == sorted(e["seq"] for e in events)
    plain = tickpath("tap", "tail", "--instance", running, "-n", "5")
    assert plain.returncode == DONE and len(plain.stdout.splitlines()) == 5


def test_tap_tail_shows_only_the_types_asked_for(running):
    result = tickpath(
        "tap",
        "tail",
        "--instance",
        running,
        "-n",
        "5",
        "--json",
        "--type",
        "quote",
        "--type",
        "trade",
        "--start",
        "oldest",
    )
    assert {json.loads(line)["type"] for line in result.stdout.splitlines()} <= {"quote", "trade"}
    unknown = tickpath("tap", "tail", "--instance", running, "--type", "nonsense")
    assert unknown.returncode == USAGE and "nonsense" in unknown.stderr and "quote" in unknown.stderr
    assert tickpath("tap", "tail", "--instance", running, "--start", "yesterday").returncode == USAGE


def test_tap_top_prints_the_state_page_as_one_object(running):
    result = tickpath("tap", "top", "--instance", running, "--json")
    assert result.returncode == DONE and result.stderr == ""
    page = json.loads(result.stdout)
    assert {"info", "totals", "instruments", "strategies", "orders", "latency"} <= page.keys()
    assert page["totals"]["frames"] > 0 and [s for s in page["info"]["symbols"]] == ["BTCUSDT"]
    assert tickpath("tap", "top", "--instance", running, "--duration", "1").returncode == DONE


def test_config_schema_lists_every_key_once_with_its_meaning():
    result = tickpath("config", "schema", "--json")
    rows = json.loads(result.stdout)
    keys = [r["key"] for r in rows]
    assert result.returncode == DONE and len(keys) == len(set(keys)) > 60
    assert {"instance.name", "limits.account.max_position_usd", "instruments[].tick_size", "venues.<name>.kind"} <= set(
        keys
    )
    assert all(r["type"] for r in rows) and [r["key"] for r in rows if not r["meaning"]] == []
    assert "limits.account.max_position_usd" in tickpath("config", "schema").stdout


def test_config_check_says_ok_and_show_can_be_loaded_again(tmp_path):
    assert tickpath("config", "check", "-c", DEMO).stdout == "ok\n"
    shown = tickpath("config", "show", "-c", DEMO)
    (tmp_path / "again.json").write_text(shown.stdout)
    assert shown.returncode == DONE
    assert tickpath("config", "show", "-c", tmp_path / "again.json").stdout == shown.stdout
    assert json.loads(shown.stdout)["strategies"][0]["name"] == "Market maker"


def test_limit_that_this_version_does_not_enforce_is_warned_about():
    result = tickpath("config", "check", "-c", DEMO, "--set", "limits.account.daily_loss_pct=0.01")
    assert (
        result.returncode == DONE
        and "limits.account.daily_loss_pct" in result.stderr
        and "not enforced" in result.stderr
    )
