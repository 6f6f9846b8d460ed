"""Rows F66 to F73 on a whole run: whatever the disk does to the journal, no order is placed that nobody records, cancels go on,
market data goes on, and the operator is told within five seconds."""
import contextlib
import gzip
import itertools
import json
import os
import signal
import subprocess
import time

import numpy as np
import pytest
from forked_cli import tickpath

from process_harness import DEMO, until
from tickpath.shm.journal import JournalReader
from tickpath.shm.lane import CommandClient
from tickpath.shm.ring import EventReader, records
from tickpath.shm.segment import attach_segment, list_segments
from tickpath.shm.words import load_word
from tickpath.types import CommandKind, EventType, ExecType, Reason, TradingState

NORMAL, CANCEL_ONLY = TradingState.TRADING_NORMAL, TradingState.TRADING_CANCEL_ONLY
ALARM_S = 5.0
SYNCED, STATE = 192, 256
FRAMES = 12_000                   # of the capture that both durabilities are given


class Injection:
    """strace on a running process, changing the result of one system call."""

    def __init__(self, strace, pid, rule, path):
        only = ["-P", str(path)] if path is not None else []
        self.process = subprocess.Popen([strace, "-f", "-qq", "-p", str(pid), "-e", f"trace={rule.split(':')[0]}",
                                         "-e", f"inject={rule}", *only, "-o", "/dev/null"], stderr=subprocess.PIPE, text=True)
        until(lambda: self.process.poll() is not None or b"TracerPid:\t0" not in open(f"/proc/{pid}/status", "rb").read(),
              "strace attached")
        if self.process.poll() is not None:
            text = self.process.stderr.read()
            if os.environ.get("TICKPATH_REQUIRE_TOOLS") != "1" and "not permitted" in text:
                pytest.skip(f"strace may not attach here: {text.strip()}")
            pytest.fail(text)

    def end(self):
        self.process.terminate()
        self.process.wait(10)
        self.process.stderr.close()


@pytest.fixture
def inject(require_tool):
    strace = require_tool("strace", "strace")
    running = []

    def begin(pid, rule, path=None):
        running.append(Injection(strace, pid, rule, path))
        return running[-1]
    yield begin
    for injection in running:
        if injection.process.poll() is None:
            injection.end()


def state(run):
    return TradingState(run.totals()["trading_state"])


def guards(run, reader):
    """[(TradingState, Reason), …] that the journal's state has caused."""
    found = records(np.concatenate([reader.read(1 << 18)]), EventType.EV_COMMAND)
    found = found[found["kind"] == CommandKind.COMMAND_GUARD]
    return [(TradingState(int(r["value"])), Reason(int(r["detail"]))) for r in found]


@pytest.mark.parametrize(("rule", "error"), [
    ("fdatasync:error=EIO:when=1", "fsync"), ("write,pwrite64,writev,pwritev:error=ENOSPC", "No space left on device"),
    ("write,pwrite64,writev,pwritev:error=EIO:when=1", "Input/output error")])
def test_failing_disk_stops_new_orders_within_five_seconds_and_for_good(start, inject, tmp_path, rule, error):
    run = start().trading()
    until(lambda: run.totals()["open_orders"] > 0, "an open order")
    reader = EventReader.attach(run.name, "latest")
    begin_s = time.monotonic()
    (run_dir,) = (tmp_path / run.name / "runs").iterdir()
    injection = inject(run.pids["journal_process"], rule, run_dir / "segment-000001.tpj")
    until(lambda: state(run) == CANCEL_ONLY, "CANCEL_ONLY", ALARM_S)
    assert time.monotonic() - begin_s < ALARM_S
    assert guards(run, reader)[-1] == (CANCEL_ONLY, Reason.REASON_JOURNAL_FAILED)
    injection.end()                                            # from here on every fsync would succeed
    totals = run.totals()
    until(lambda: run.totals()["frames"] > totals["frames"] + 100, "market data as before")
    until(lambda: run.totals()["refusals"] > totals["refusals"], "a refused order")
    assert run.totals()["orders"] == totals["orders"] and state(run) == CANCEL_ONLY
    with CommandClient(run.name, "admin") as client:           # cancels are live
        assert client.call(CommandKind.COMMAND_CANCEL_ALL)["reason"] == Reason.REASON_OK
    until(lambda: run.totals()["open_orders"] == 0, "no open order")
    assert load_word(attach_segment(run.name, "journal").buffer, STATE) == 3
    run.process.send_signal(signal.SIGTERM)
    code, _, err = run.end()
    assert code == 1
    lines = [line for line in err.splitlines() if line.startswith("journal:") and error in line]
    assert len(lines) == 1, err


def test_slow_fsync_delays_neither_market_data_nor_orders(start, inject):
    run = start().trading()
    inject(run.pids["journal_process"], "fdatasync:delay_enter=1500000")
    totals = run.totals()
    synced = load_word(attach_segment(run.name, "journal").buffer, SYNCED)
    time.sleep(2.0)
    assert state(run) == NORMAL
    assert run.totals()["frames"] > totals["frames"] + 100
    page = attach_segment(run.name, "journal").buffer
    assert load_word(page, 128) > load_word(page, SYNCED) >= synced


def ack_waits_ms(slots):
    """How long each order that was sent within the slots waited for its ack."""
    intents = records(slots, EventType.EV_INTENT)
    acks = records(slots, EventType.EV_EXEC_REPORT)
    acks = acks[acks["exec_type"] == ExecType.EXEC_NEW]
    sent = dict(zip(intents["order_ordinal"].tolist(), intents["ts_recv_ns"].tolist(), strict=True))
    return [(int(a["ts_recv_ns"]) - sent[int(a["order_ordinal"])]) / 1e6 for a in acks if int(a["order_ordinal"]) in sent]


def test_durability_disk_holds_orders_while_the_disk_is_slow(start, inject, tmp_path):
    run = start("instance.durability=disk", "storage.max_hold_ms=5000").trading()
    inject(run.pids["journal_process"], "fdatasync:delay_enter=300000")
    synced = load_word(attach_segment(run.name, "journal").buffer, SYNCED)
    until(lambda: load_word(attach_segment(run.name, "journal").buffer, SYNCED) > synced, "the sync that was on its way")
    first, reader, read = run.totals()["last_seq"], EventReader.attach(run.name, "latest"), []

    def acknowledged():
        read.append(reader.read(1 << 18))
        return len(ack_waits_ms(np.concatenate(read))) >= 2
    until(acknowledged, "two orders and their acks")
    run.process.send_signal(signal.SIGTERM)
    code, summary, err = run.end()
    assert code == 0, err
    waits_ms = ack_waits_ms(np.concatenate(list(JournalReader(summary["journal"]).batches(first))))
    assert waits_ms and np.median(waits_ms) > 150, "an ack takes 7 ms when nothing waits"
    assert tickpath("replay", summary["journal"], "--verify").returncode == 0


def test_durability_disk_never_sends_what_a_dead_disk_did_not_take(start, inject):
    run = start("instance.durability=disk", "storage.max_hold_ms=300").trading()
    reader = EventReader.attach(run.name, "latest")
    inject(run.pids["journal_process"], "fdatasync:error=EIO:when=1")
    until(lambda: state(run) == CANCEL_ONLY, "CANCEL_ONLY", ALARM_S)
    synced = load_word(attach_segment(run.name, "journal").buffer, SYNCED)
    until(lambda: run.totals()["held_orders"] == 0, "no order held")
    time.sleep(0.5)
    slots = reader.read(1 << 18)
    acks = records(slots, EventType.EV_EXEC_REPORT)
    acks = acks[acks["exec_type"] == ExecType.EXEC_NEW]
    late = {int(i["order_ordinal"]) for i in records(slots, EventType.EV_INTENT) if int(i["seq2"]) > synced}
    assert late.isdisjoint(acks["order_ordinal"].tolist())


def test_stopped_journal_is_cancel_only_until_it_goes_on(start):
    run = start("storage.journal_timeout_ms=300").trading()
    os.kill(run.pids["journal_process"], signal.SIGSTOP)
    until(lambda: state(run) == CANCEL_ONLY, "CANCEL_ONLY", ALARM_S)
    os.kill(run.pids["journal_process"], signal.SIGCONT)
    until(lambda: state(run) == NORMAL, "NORMAL", ALARM_S)


def test_commands_of_other_processes_act_on_a_run_by_their_role(start):
    run = start().trading()
    with CommandClient(run.name, "research") as agent, CommandClient(run.name, "admin") as admin:
        assert agent.call(CommandKind.COMMAND_PING)["reason"] == Reason.REASON_OK
        assert agent.call(CommandKind.COMMAND_KILL)["reason"] == Reason.REASON_ROLE_FORBIDS
        assert state(run) == NORMAL
        for _ in range(200):
            assert admin.call(CommandKind.COMMAND_PING)["reason"] == Reason.REASON_OK
        admin.call(CommandKind.COMMAND_SET_STATE, value=int(TradingState.TRADING_REDUCE_ONLY))
        until(lambda: state(run) == TradingState.TRADING_REDUCE_ONLY, "REDUCE_ONLY")
        with contextlib.suppress(Exception):
            admin.call(CommandKind.COMMAND_STOP)
    code, summary, err = run.end()
    assert code == 0, err
    assert tickpath("replay", summary["journal"], "--verify").returncode == 0


def test_both_durabilities_decide_alike_on_a_capture(start, tmp_path, golden_dir):
    capture = tmp_path / "capture.gz"
    with gzip.open(golden_dir / "binance_spot" / "hftbacktest_btcusdt_20240808.gz") as f:
        capture.write_bytes(gzip.compress(b"".join(itertools.islice(f, FRAMES)), 1))
    hashes = []
    for durability in ("process", "disk"):
        run = start("venues.binance.pace=fast", f"venues.binance.kind=capture:{capture}", f"instance.durability={durability}",
                    name=f"dur{os.getpid()}{durability}")
        code, summary, err = run.end(120)
        assert code == 0, err
        assert summary["frames"] == FRAMES and summary["orders"] > 300 and summary["fills"] > 100
        hashes.append(summary["output_hash"])
    assert hashes[0] == hashes[1]


@pytest.fixture
def small_disk(tmp_path):
    """small_disk("1m"): a file system of that size."""
    made = []

    def mount(size):
        point = tmp_path / f"disk{len(made)}"
        point.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(point)], capture_output=True, text=True)
        if done.returncode:
            text = f"mounting a file system needs root: {done.stderr.strip()}"
            pytest.fail(text) if os.environ.get("TICKPATH_REQUIRE_TOOLS") == "1" else pytest.skip(text)
        made.append(point)
        return point
    yield mount
    for point in made:
        subprocess.run(["umount", "-l", str(point)], check=False)


def test_disk_that_is_full_at_the_start_ends_the_run_with_a_line_and_leaves_nothing(small_disk):
    for _ in range(2):
        name = f"full{os.getpid()}"
        result = tickpath("run", "-c", DEMO, "--set", f"storage.dir={small_disk('1m')}", "--set", f"instance.name={name}")
        assert result.returncode == 1 and "Traceback" not in result.stderr
        assert "preallocate: expected the disk to take it, found No space left on device" in result.stderr
        assert list_segments(name) == []


def test_disk_that_fills_up_during_the_run_stops_orders_and_the_rest_goes_on(small_disk):
    name = f"fill{os.getpid()}"
    result = tickpath("run", "-c", DEMO, "--set", f"storage.dir={small_disk('5m')}", "--set", f"instance.name={name}",
                      "--set", "storage.segment_mb=2", "--set", "venues.binance.pace=fast", "--json")
    assert result.returncode == 1 and "Traceback" not in result.stderr, result.stderr
    summary = json.loads(result.stdout)
    assert summary["frames"] == 41249, "the feed is read to its end"
    assert summary["totals"]["trading_state"] in (CANCEL_ONLY, TradingState.TRADING_HALTED)
    assert "preallocate: expected the disk to take it, found No space left on device" in result.stderr
    assert 0 < summary["orders"] < 1303 and summary["refusals"] > 0
