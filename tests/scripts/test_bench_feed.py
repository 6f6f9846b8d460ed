"""scripts/bench_feed.py and bench_connections.py in their smallest size: what they print, and that what was sent came."""
import importlib
import importlib.machinery
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys

import pytest

from build_cache import cached_program

FIGURES = {"case", "unit", "n", "p50", "peers"}


@pytest.fixture(scope="module")
def listeners(root, tmp_path_factory):
    """feed_loop, compiled once for all tests, and lightly: what it measures here is not looked at."""
    directory = tmp_path_factory.mktemp("loops")
    compiler = directory / "cc"
    compiler.write_text('#!/bin/sh\nexec gcc "$@" -O1\n')
    compiler.chmod(0o755)
    sys.path.insert(0, str(root / "scripts"))
    try:
        loops, march = importlib.import_module("loops"), importlib.import_module("benchlib").march()
    finally:
        sys.path.remove(str(root / "scripts"))
    core = root / "ext" / "tickpath"
    sources = [root / "scripts" / "loops" / name for name in ("__init__.py", "feed_loop.pyx")]
    sources += sorted(p for p in core.rglob("*") if p.suffix in (".pxd", ".h", ".hpp"))

    def build(path):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("CC", str(compiler))
            shutil.copyfile(loops.build("feed_loop", directory), path)
    versions = [importlib.metadata.version(name) for name in ("Cython", "numpy", "picows")]
    kept = cached_program("feed_loop", "gcc", [sys.version, versions, march, compiler.read_text()], sources, build)
    # Python imports it by the name that it was compiled with.
    path = directory / f"feed_loop{importlib.machinery.EXTENSION_SUFFIXES[0]}"
    shutil.copyfile(kept, path)
    return str(path)


def run(root, listeners, name, *arguments):
    command = [sys.executable, str(root / "scripts" / name), "--json", "--quick", "--module", listeners, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def shown(root, result, tmp_path):
    path = tmp_path / "result.json"
    path.write_text(json.dumps(result))
    return subprocess.run([sys.executable, str(root / "scripts" / "show_bench.py"), str(path)], capture_output=True, text=True,
                          check=True).stdout


needs_two = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="server and client need a processor each")


@needs_two
def test_every_case_of_the_feed_is_measured_and_every_message_goes_through_the_engine(root, listeners, tmp_path):
    # A message that is lost, refused, or missing in the ring ends the run: exit 0 is the proof that none was.
    result = run(root, listeners, "bench_feed.py", "--only", "one_way", "sustained", "cpu", "--no-peers")
    cases = {c["case"]: c for c in result["cases"]}
    assert list(cases) == ["one_way_busy", "one_way_sleep", "sustained", "cpu_rate_book", "cpu_burst_book",
                           "cpu_burst_bookTicker", "cpu_burst_depth", "cpu_burst_trade"]
    for case in cases.values():
        assert case.keys() >= FIGURES and case["floor"]["p50"] != 0 and "picows" in case["peers"]
    for name in ("one_way_busy", "one_way_sleep"):
        # Each message is a frame record and at least one more.
        assert cases[name]["messages"] == 300 and cases[name]["events_a_round"] >= 2 * 300
        assert 0 < cases[name]["p50"] <= cases[name]["p99"] <= cases[name]["max"]
    assert set(result["missing"]) == {"websockets: no peer figures", "cryptofeed: no peer figures", "ccxt: no peer figures"}
    text = shown(root, result, tmp_path)
    assert all(name in text for name in cases)


@needs_two
@pytest.mark.soak
def test_all_connections_are_held_and_each_takes_what_was_sent_to_it(root, listeners, tmp_path):
    result = run(root, listeners, "bench_connections.py", "--connections", "40", "--only", "connections")
    cases = {c["case"]: c for c in result["cases"]}
    assert list(cases) == ["rss_per_connection", "rss_over_run", "one_way_alone", "one_way_among_all"]
    assert cases["rss_per_connection"]["counts"][-1] == result["limits"]["connections"] == 40
    assert all(case.keys() >= FIGURES for case in cases.values())
    assert "rss_per_connection" in shown(root, result, tmp_path)


@pytest.mark.soak
def test_a_reserved_instrument_is_counted_by_its_structs_and_its_pages_by_the_kernel(root, listeners):
    result = run(root, listeners, "bench_connections.py", "--only", "instruments")
    (case,) = result["cases"]
    parts = dict(case["reserved_bytes"])
    assert parts.pop("sum") == sum(parts.values()) and parts["window"] >= 2 * 8 * case["book_window_ticks"]
    # What is touched is part of what is reserved, and no instrument is free.
    assert 0 < case["p50"] * 1024 < case["reserved_bytes"]["sum"]
    assert case["book_messages"] > 0
