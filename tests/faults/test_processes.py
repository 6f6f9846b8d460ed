"""Processes that are killed, stopped, started twice: the run ends in order, or says in one line why it could not."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from forked_cli import tickpath

from process_harness import DEMO, Started, alive, children, until
from tickpath.shm.journal import JournalReader
from tickpath.shm.ring import EventReader
from tickpath.shm.segment import attach_segment, list_segments
from tickpath.shm.words import load_word
from tickpath.types import EventType, TradingState

DONE, FAILED = 0, 1
# What the contract promises of `run --json`.
KEYS = {
    "instance",
    "mode",
    "epoch",
    "events",
    "frames",
    "orders",
    "fills",
    "refusals",
    "pnl",
    "output_hash",
    "journal",
    "latency",
}


def journal_of(tmp_path, run):
    (found,) = (tmp_path / run.name / "runs").iterdir()
    return found


def verified(journal):
    result = tickpath("replay", journal, "--verify", "--json")
    assert result.returncode == DONE, result.stderr
    return json.loads(result.stdout)


def slots_of(journal):
    return np.concatenate(list(JournalReader(journal).batches()))


def test_second_instance_under_the_same_name_is_refused_and_the_first_goes_on(start, tmp_path):
    first = start().trading()
    second = start(name=first.name)
    out, err = second.process.communicate(timeout=30)
    assert second.process.returncode == FAILED and out == ""
    assert len(err.strip().splitlines()) == 1 and f"{first.name!r}" in err and str(first.process.pid) in err
    before = first.totals()["frames"]
    until(lambda: first.totals()["frames"] > before, "more frames in the first run")
    assert all(alive(pid) for pid in first.pids.values())
    first.process.send_signal(signal.SIGTERM)
    code, summary, _ = first.end()
    assert code == DONE and summary["problems"] == []
    assert verified(summary["journal"])["orderly"]


def test_second_instance_with_another_state_directory_is_refused_by_the_segments(start, tmp_path):
    first = start().trading()
    second = start(f"storage.dir={tmp_path / 'other'}", name=first.name)
    out, err = second.process.communicate(timeout=60)
    assert second.process.returncode == FAILED and out == "" and "Traceback" not in err
    assert first.name in err and "is running" in err
    before = first.totals()["frames"]
    until(lambda: first.totals()["frames"] > before, "more frames in the first run")
    first.process.send_signal(signal.SIGTERM)
    assert first.end()[0] == DONE


def test_killed_engine_ends_the_run_with_one_line_and_leaves_a_journal_that_replays(start, tmp_path):
    run = start().trading()
    os.kill(run.pids["engine_process"], signal.SIGKILL)
    code, _, err = run.end()
    assert code == FAILED
    assert any("tickpathd" in line and "signal 9" in line for line in err.splitlines()), err
    result = verified(journal_of(tmp_path, run))
    assert not result["orderly"] and result["outputs"] > 0


def test_killed_journal_is_started_again_and_nothing_is_missing(start, tmp_path):
    run = start("venues.binance.pace=recorded").trading()
    for _ in range(2):
        killed = children(run.process.pid)["journal_process"]
        os.kill(killed, signal.SIGKILL)
        again = until(lambda k=killed: (p := children(run.process.pid).get("journal_process")) != k and p, "another journal")
        until(lambda p=again: attach_segment(run.name, "journal").pid == p, "its page")
        written = load_word(attach_segment(run.name, "journal").buffer, 128)
        until(lambda w=written: load_word(attach_segment(run.name, "journal").buffer, 128) > w, "it to write on")
    until(lambda: run.totals()["trading_state"] == TradingState.TRADING_NORMAL, "normal trading")
    run.process.send_signal(signal.SIGTERM)
    code, summary, err = run.end()
    assert code == DONE, err
    assert len([line for line in err.splitlines() if "journal" in line and "signal 9" in line]) == 2
    result = verified(journal_of(tmp_path, run))
    assert result["orderly"] and result["output_hash"] == summary["output_hash"]
    slots = slots_of(journal_of(tmp_path, run))
    assert (np.diff(slots["seq"]) == 1).all() and slots["seq"][0] == 1


def test_killed_engine_and_journal_lose_nothing_that_reached_the_ring(start, tmp_path):
    run = start().trading()
    os.kill(run.pids["journal_process"], signal.SIGSTOP)
    time.sleep(0.1)                                            # until it stands still, it may write on
    ring = EventReader.attach(run.name, 1)
    written = load_word(attach_segment(run.name, "journal").buffer, 128)
    until(lambda: ring.head > written + 100, "a hundred slots that the journal has not read")
    for pid in (run.pids["engine_process"], run.process.pid, *run.pids.values()):
        os.kill(pid, signal.SIGSTOP)                       # so that none of them notices the end of another
    for pid in (run.process.pid, *run.pids.values()):
        os.kill(pid, signal.SIGKILL)
    run.process.wait(10)
    until(lambda: not any(alive(pid) for pid in run.pids.values()), "all processes dead")
    left = ring.read(1 << 20)
    (journal,) = (tmp_path / run.name / "runs").iterdir()
    again = Started(tmp_path, run.name, "venues.binance.pace=fast")
    code, _, err = again.end()
    assert code == DONE, err
    appended = re.search(r"the last run was killed: (\d+) slots of its ring were appended", err)
    assert appended and int(appended[1]) > 100, err
    slots = slots_of(journal)
    assert len(slots) >= len(left) - 1 and slots.tobytes() == left[:len(slots)].tobytes()
    assert not verified(journal)["orderly"]


def test_a_ring_that_cannot_be_drained_stops_every_start_and_stays(start, tmp_path):
    name = f"left{os.getpid()}"
    code = ("import os, sys\nfrom tickpath.shm.ring import EventWriter, ring_bytes\nfrom tickpath.shm.segment import create_segment\n"
            "EventWriter(create_segment(sys.argv[1], 'ring', ring_bytes(65536), epoch=7, slot_count=65536).buffer)\n"
            "os.kill(os.getpid(), 9)")
    assert subprocess.run([sys.executable, "-c", code, name], timeout=60).returncode == -signal.SIGKILL
    try:
        for _ in range(2):
            result = tickpath("run", "-c", DEMO, "--set", f"storage.dir={tmp_path}", "--set", f"instance.name={name}")
            assert result.returncode == FAILED and "Traceback" not in result.stderr
            assert "expected the run directory" in result.stderr and "the ring is left as it is" in result.stderr
            assert list_segments(name) == [f"/tickpath.{name}.ring"]
    finally:
        os.unlink(f"/dev/shm/tickpath.{name}.ring")


def test_killed_feeder_ends_the_run_and_is_named(start, tmp_path):
    run = start().trading()
    os.kill(run.pids["feeder"], signal.SIGKILL)
    try:
        code, _, err = run.end(20)
    except subprocess.TimeoutExpired:
        pytest.fail("the run goes on without a feed and says nothing")
    assert code == FAILED and "feeder" in err
    assert verified(journal_of(tmp_path, run))["orderly"]


def test_killed_supervisor_does_not_leave_an_engine_that_trades(start, tmp_path):
    run = start().trading()
    run.process.kill()
    run.process.wait(10)  # not communicate: its children hold the pipes
    until(lambda: not any(alive(pid) for pid in run.pids.values()), "all processes of the run ended", 15)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop_signal_ends_the_run_in_order_with_no_order_left_open(start, tmp_path, number):
    run = start().trading()
    until(lambda: run.totals()["open_orders"] > 0, "an open order")
    run.process.send_signal(number)
    code, summary, err = run.end()
    assert code == DONE, err
    assert err == "" and summary["problems"] == []
    assert summary["totals"]["open_orders"] == 0 and summary["totals"]["stopped"] == 1
    assert summary["totals"]["canceled"] > 0
    result = verified(summary["journal"])
    assert result["orderly"] and result["output_hash"] == summary["output_hash"]
    assert summary.keys() >= KEYS


def test_stop_signal_before_the_first_frame_ends_the_run(start):
    run = start()
    run.pids = until(lambda: len(c := children(run.process.pid)) >= 1 and c, "a process")
    run.process.send_signal(signal.SIGTERM)
    code, _, err = run.end(30)
    assert code in (DONE, FAILED, -signal.SIGTERM) and "Traceback" not in err


def test_kill_switch_halts_the_engine_cancels_everything_and_no_intent_follows(start):
    run = start().trading()
    until(lambda: run.totals()["open_orders"] > 0, "an open order")
    pid = run.page().segment.pid
    assert pid == run.pids["engine_process"]
    os.kill(pid, signal.SIGUSR1)
    until(lambda: run.totals()["trading_state"] == TradingState.TRADING_HALTED, "the halt", 5)
    until(lambda: run.totals()["open_orders"] == 0, "no open order", 5)
    halted = run.totals()
    until(lambda: run.totals()["frames"] > halted["frames"] + 100, "frames after the halt")
    assert run.totals()["orders"] == halted["orders"]
    run.process.send_signal(signal.SIGTERM)
    code, summary, _ = run.end()
    assert code == DONE and summary["orders"] == halted["orders"]
    slots = slots_of(summary["journal"])
    command = np.flatnonzero(slots["type"] == EventType.EV_COMMAND)[0]
    assert EventType.EV_INTENT in slots["type"][:command] and EventType.EV_INTENT not in slots["type"][command:]
    assert verified(summary["journal"])["orderly"]


def test_duration_ends_the_run_in_order(start):
    run = start("--duration 2")
    begin = time.monotonic()
    code, summary, err = run.end(30)
    assert code == DONE and err == "" and summary["totals"]["open_orders"] == 0
    assert 1.5 < time.monotonic() - begin < 15
    assert verified(summary["journal"])["orderly"]


def test_segments_of_a_killed_run_do_not_stop_the_next_one(start, tmp_path):
    run = start().trading()
    # The command last: its children are told to end in order when it dies.
    for pid in (*run.pids.values(), run.process.pid):
        os.kill(pid, signal.SIGKILL)
    run.process.communicate()
    until(lambda: not any(alive(pid) for pid in run.pids.values()), "all of them dead")
    assert list_segments(run.name) != []
    again = start("venues.binance.pace=fast", name=run.name)
    code, summary, err = again.end()
    assert code == DONE, err
    assert summary["frames"] > 40_000 and len(list((tmp_path / run.name / "runs").iterdir())) == 2
    first, second = sorted((tmp_path / run.name / "runs").iterdir(), key=lambda p: int(p.name))
    assert verified(second)["orderly"] and not verified(first)["orderly"]


def test_lagging_reader_of_the_ring_does_not_disturb_the_run(start):
    run = start("venues.binance.pace=fast")
    held = until(lambda: attach_segment(run.name, "ring"), "the ring")
    code, summary, err = run.end()
    held.close()
    assert code == DONE, err
    assert verified(summary["journal"])["match"]


def test_json_output_is_one_object_with_the_promised_keys(start):
    code, summary, err = start("venues.binance.pace=fast", "--verify").end()
    assert code == DONE and err == ""
    assert summary.keys() >= KEYS
    assert summary["verified"]["match"] and summary["verified"]["output_hash"] == summary["output_hash"]
    assert summary["frames"] == 41249 and isinstance(summary["pnl"], float)
    assert {"n", "p50_ns", "p99_ns", "max_ns"} <= summary["latency"]["frame_to_order"].keys()


@pytest.mark.parametrize("turns", [1, pytest.param(12, marks=pytest.mark.soak)])
def test_runs_at_full_speed_end_with_zero_every_time(start, turns):
    # The feeder ends by itself just when the supervisor tells it to end: neither may call that a failure.
    for turn in range(turns):
        code, _, err = start("venues.binance.pace=fast", name=f"proc{os.getpid()}t{turn}").end()
        assert code == DONE, f"run {turn}: {err}"
