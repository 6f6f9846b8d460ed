"""scripts/bench_sim.py in its smallest size: what it prints, and that core, plain C and server count the same orders and trades."""
import json
import os
import shutil
import subprocess
import sys

import pytest

FIGURES = {"case", "unit", "n", "p50", "p99", "peers"}

needs_two = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="server and client need a processor each")


def run(root, *arguments):
    command = [sys.executable, str(root / "scripts" / "bench_sim.py"), "--json", "--quick", "--no-peers", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    return {c["case"]: c for c in json.loads(done.stdout)["cases"]}


@pytest.mark.skipif(shutil.which("gcc") is None, reason="the floor is C")
def test_the_core_trades_what_plain_c_trades_and_every_case_is_measured(root):
    # Another number of trades, open orders or refusals than the floor's ends the run with exit code 3.
    cases = run(root, "--only", "submit_match_cancel", "match", "flat")
    assert list(cases) == ["submit_match_cancel", "match", "flat_1k", "flat_1m"]
    assert all(case.keys() >= FIGURES and case["p50"] > 0 for case in cases.values())
    assert cases["submit_match_cancel"]["trades"] > 100 and cases["submit_match_cancel"]["floor"]["p50"] > 0
    assert cases["flat_1m"]["ratio_to_1k"] > 0


@needs_two
def test_every_order_through_the_socket_is_answered_and_every_connection_is_held(root):
    cases = run(root, "--only", "server")
    assert list(cases) == ["ws_api_orders", "ws_api_reply", "idle_connections"]
    assert all(case.keys() >= FIGURES for case in cases.values())
    assert cases["ws_api_orders"]["per_s"] > 0 and 0 < cases["ws_api_reply"]["p50"] <= cases["ws_api_reply"]["p99"]
    assert cases["idle_connections"]["n"] == 100 and cases["idle_connections"]["rss_mib"] > 0
