"""The journal's process on a disk that refuses, fails or hangs, and killed at random: what it says it has, it has.

The test owns the ring and stands in for the engine; the process, its files and the refusals of the kernel are real.
"""
import contextlib
import errno
import gzip
import itertools
import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import posix_ipc
import pytest

from tickpath.shm.canonical import OutputHasher
from tickpath.shm.journal import JournalReader, JournalWriter, segment_numbers
from tickpath.shm.ring import EventWriter, ring_bytes
from tickpath.shm.segment import SegmentError, attach_segment, create_segment, list_segments
from tickpath.shm.words import load_word
from tickpath.types import DTYPES, SLOT_DTYPE, EventType, HealthKind
from tickpathd.replay import replay

ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONDONTWRITEBYTECODE": "1"}
RING_SLOTS = 1 << 16
TIMEOUT_S = 30
WRITTEN, SYNCED, STATE, HEARTBEAT, ERRNO = 128, 192, 256, 320, 384
RUNNING, FINISHED, FAILED = 1, 2, 3
_numbers = itertools.count()


def wait_for(condition, what, timeout_s=TIMEOUT_S):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"expected {what} within {timeout_s} s"
        time.sleep(0.002)


def health(kind):
    record = np.zeros(1, DTYPES[EventType.EV_HEALTH])
    record["type"], record["kind"] = EventType.EV_HEALTH, kind
    return record.view(np.uint8).view(SLOT_DTYPE)


def trades(count, seed=1):
    slots = np.zeros(count, SLOT_DTYPE)
    slots["payload"] = np.random.default_rng(seed).integers(0, 2**63, (count, 4))
    slots["type"] = EventType.EV_TRADE
    slots["type"][5::11] = EventType.EV_POSITION
    return slots


class Journaled:
    """A ring, a run directory and the journal processes that a test starts on them."""

    def __init__(self, instance, run_dir, ring):
        self.instance, self.run_dir = instance, run_dir
        self.writer = EventWriter(ring.buffer)
        self.published = []
        self.page = None

    def publish(self, slots):
        first = self.writer.publish(slots)
        slots = slots.copy()
        slots["seq"] = first + np.arange(len(slots))
        self.published.append(slots)

    def stop_engine(self):
        self.publish(health(HealthKind.HEALTH_STOPPED))

    @contextlib.contextmanager
    def process(self, *arguments, before=()):
        process = subprocess.Popen(
            [*before, sys.executable, "-m", "tickpathd.journal_process", "--instance", self.instance, "--run-dir",
             str(self.run_dir), *arguments], stderr=subprocess.PIPE, text=True, env=ENVIRONMENT, start_new_session=True)
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            process.stderr.close()

    def word(self, offset):
        """A word of the page, 0 while there is none."""
        if self.page is None:
            try:
                self.page = attach_segment(self.instance, "journal")
            except SegmentError:
                return 0
        return load_word(self.page.buffer, offset)

    def wait_state(self, state):
        wait_for(lambda: self.word(STATE) == state, f"state {state}")

    def expect_failure(self, process, path, what, number):
        """The page tells of the failure until the engine stops; one line; nothing is synced after it."""
        self.wait_state(FAILED)
        assert self.word(ERRNO) == number
        synced, beat = self.word(SYNCED), self.word(HEARTBEAT)
        wait_for(lambda: self.word(HEARTBEAT) > beat, "a heartbeat after the failure", 1)
        self.publish(trades(100))
        time.sleep(0.2)
        assert process.poll() is None and self.word(STATE) == FAILED and self.word(SYNCED) == synced
        self.stop_engine()
        assert process.wait(TIMEOUT_S) == 1
        assert process.stderr.read() == (f"journal: {path}: {what}: expected the disk to take it, found "
                                         f"{os.strerror(number)} (errno {number})\n")
        assert self.word(STATE) == FAILED and self.word(SYNCED) == synced
        assert not (self.run_dir / "summary.json").exists()

    def check_prefix(self, at_least):
        """The journal reads, is a prefix of what was published, and holds what was said to be written."""
        reader = JournalReader(self.run_dir)
        found = np.concatenate([np.empty(0, SLOT_DTYPE), *reader.batches()])
        published = np.concatenate(self.published)
        assert len(found) >= at_least and not reader.final
        assert found.tobytes() == published[:len(found)].tobytes()

    def check_whole(self):
        reader = JournalReader(self.run_dir)
        found = np.concatenate(list(reader.batches()))
        published = np.concatenate(self.published)
        assert found.tobytes() == published.tobytes() and reader.final and reader.missed_slots == 0
        hasher = OutputHasher()
        hasher.update(published)
        summary = json.loads((self.run_dir / "summary.json").read_bytes())
        assert summary["output_hash"] == hasher.hexdigest() and summary["verifiable"] and summary["orderly"]


@contextlib.contextmanager
def journaled_in(directory):
    instance = f"tjf-{os.getpid()}-{next(_numbers)}"
    run_dir = directory / "runs" / "12"
    run_dir.mkdir(parents=True)
    (run_dir / "config.json").write_bytes(b'{"epoch": 12}')
    try:
        with create_segment(instance, "ring", ring_bytes(RING_SLOTS), epoch=12, slot_count=RING_SLOTS) as ring:
            yield Journaled(instance, run_dir, ring)
    finally:
        for left in list_segments(instance):
            posix_ipc.unlink_shared_memory(left)


@pytest.fixture
def journaled(tmp_path):
    with journaled_in(tmp_path) as made:
        yield made


@pytest.fixture
def injecting(require_tool):
    """injecting("fdatasync:error=EIO:when=2"): the command in front that makes the kernel answer so."""
    strace = require_tool("strace", "strace")

    def command(fault):
        return (strace, "-f", "--quiet=all", "-o", "/dev/null", "-e", f"trace={fault.split(':')[0]}", "-e", f"inject={fault}")
    return command


@pytest.fixture
def tmpfs(tmp_path):
    """tmpfs("2m"): a mounted file system of that size, unmounted at the end; skipped where we may not mount."""
    mounted = []

    def mount(size):
        where = tmp_path / f"tmpfs-{len(mounted)}"
        where.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(where)], capture_output=True, text=True)
        if done.returncode != 0:
            text = f"mounting a tmpfs needs root: {done.stderr.strip()}"
            pytest.fail(text) if os.environ.get("TICKPATH_REQUIRE_TOOLS") == "1" else pytest.skip(text)
        mounted.append(where)
        return where
    yield mount
    for where in mounted:
        subprocess.run(["umount", str(where)], check=True)


# ---- the disk refuses

def test_a_write_that_finds_the_disk_full_fails_the_journal_for_good(journaled, injecting):
    # The segment's header is the first writev; only one write is refused, the next one would be taken.
    with journaled.process(before=injecting("writev:error=ENOSPC:when=3")) as process:
        journaled.wait_state(RUNNING)
        journaled.publish(trades(500))
        wait_for(lambda: journaled.word(WRITTEN) == 500, "the first batch written")
        journaled.publish(trades(500))
        journaled.expect_failure(process, journaled.run_dir / "segment-000001.tpj", "write", errno.ENOSPC)
    assert journaled.word(WRITTEN) == 500
    journaled.check_prefix(500)


def test_a_disk_without_room_for_a_segment_fails_before_trading(journaled, injecting):
    # The first fallocate is the page's own.
    with journaled.process(before=injecting("fallocate:error=ENOSPC:when=2")) as process:
        journaled.expect_failure(process, journaled.run_dir / "segment-000001.tpj", "preallocate", errno.ENOSPC)
    assert journaled.word(WRITTEN) == 0


def test_a_disk_without_room_for_the_next_segment_keeps_all_before(journaled, injecting):
    with journaled.process("--segment-mb", "0.1", before=injecting("fallocate:error=ENOSPC:when=3")) as process:
        journaled.wait_state(RUNNING)
        for _ in range(20):
            journaled.publish(trades(200))
            time.sleep(0.01)
        journaled.expect_failure(process, journaled.run_dir / "segment-000002.tpj", "preallocate", errno.ENOSPC)
    written = journaled.word(WRITTEN)
    assert written > 1000
    journaled.check_prefix(written)


def test_a_file_system_that_cannot_reserve_is_fine(journaled, injecting):
    with journaled.process("--segment-mb", "0.1", before=injecting("fallocate:error=EOPNOTSUPP:when=2+")) as process:
        journaled.wait_state(RUNNING)
        for _ in range(10):
            journaled.publish(trades(400))
            time.sleep(0.01)
        journaled.stop_engine()
        assert process.wait(TIMEOUT_S) == 0, process.stderr.read()
    assert len(segment_numbers(journaled.run_dir)) > 1
    journaled.check_whole()


def test_one_failed_fsync_is_never_made_good_by_a_later_one(journaled, injecting):
    with journaled.process("--fsync-interval-ms", "0", before=injecting("fdatasync:error=EIO:when=3")) as process:
        journaled.wait_state(RUNNING)
        for k in range(4):
            if journaled.word(STATE) == RUNNING:
                journaled.publish(trades(100))
                wait_for(lambda k=k: journaled.word(SYNCED) >= 100 * (k + 1) or journaled.word(STATE) == FAILED,
                         "the batch synced or the failure")
        assert 0 < journaled.word(SYNCED) < sum(map(len, journaled.published))
        journaled.expect_failure(process, journaled.run_dir / "segment-000001.tpj", "fsync", errno.EIO)


def test_a_slow_fsync_stops_neither_the_draining_nor_the_heartbeat(journaled, injecting):
    with journaled.process("--fsync-interval-ms", "0",
                           before=injecting("fdatasync:delay_enter=3000000:when=2..3")) as process:
        journaled.wait_state(RUNNING)
        slowest_ns, waiting_s, last_synced = 0, 0.0, 0
        begin_s = before_s = time.monotonic()
        while time.monotonic() < begin_s + 4:
            journaled.publish(trades(150))
            published = sum(map(len, journaled.published))
            wait_for(lambda n=published: journaled.word(WRITTEN) == n, "the batch written", 2)
            slowest_ns = max(slowest_ns, time.monotonic_ns() - journaled.word(HEARTBEAT))
            synced, now_s = journaled.word(SYNCED), time.monotonic()
            if synced == last_synced:
                waiting_s += now_s - before_s
            last_synced, before_s = synced, now_s
            time.sleep(0.02)
        assert waiting_s > 2
        assert slowest_ns < 1_000_000_000, "the heartbeat stood still while the disk was away"
        journaled.stop_engine()
        assert process.wait(TIMEOUT_S) == 0, process.stderr.read()
        assert journaled.word(STATE) == FINISHED
        assert journaled.word(SYNCED) == journaled.word(WRITTEN) == sum(map(len, journaled.published))
    journaled.check_whole()


def test_a_really_full_file_system_fails_when_a_segment_is_begun(tmpfs):
    with journaled_in(tmpfs("2500k")) as journaled, journaled.process("--segment-mb", "1") as process:
        journaled.wait_state(RUNNING)
        while journaled.word(STATE) == RUNNING:
            published = sum(map(len, journaled.published))
            assert published < RING_SLOTS
            journaled.publish(trades(500))
            wait_for(lambda n=published: journaled.word(WRITTEN) >= n or journaled.word(STATE) == FAILED, "the batch written")
        journaled.expect_failure(process, journaled.run_dir / "segment-000003.tpj", "preallocate", errno.ENOSPC)
        written = journaled.word(WRITTEN)
        assert written > 20_000
        journaled.check_prefix(written)


def test_a_file_system_that_became_read_only_fails_with_its_reason(tmpfs):
    where = tmpfs("8m")
    with journaled_in(where) as journaled:
        subprocess.run(["mount", "-o", "remount,ro", str(where)], check=True)
        with journaled.process("--segment-mb", "1") as process:
            journaled.expect_failure(process, journaled.run_dir / "segment-000001.tpj", "open", errno.EROFS)


def test_a_process_without_file_handles_for_a_segment_fails_with_its_reason(journaled):
    with journaled.process("--segment-mb", "0.1") as process:
        journaled.wait_state(RUNNING)
        journaled.publish(trades(500))
        wait_for(lambda: journaled.word(WRITTEN) == 500, "the first batch written")
        open_files = len(os.listdir(f"/proc/{process.pid}/fd"))
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (open_files, open_files))
        journaled.publish(trades(3000))
        journaled.expect_failure(process, journaled.run_dir / "segment-000002.tpj", "open", errno.EMFILE)
    journaled.check_prefix(journaled.word(WRITTEN))


def test_a_file_size_limit_fails_the_write_with_its_reason(journaled):
    with journaled.process() as process:
        journaled.wait_state(RUNNING)
        journaled.publish(trades(500))
        wait_for(lambda: journaled.word(SYNCED) == 500, "the first batch synced")
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (100_000, 100_000))
        journaled.publish(trades(5000))
        journaled.expect_failure(process, journaled.run_dir / "segment-000001.tpj", "write", errno.EFBIG)
    journaled.check_prefix(500)


# ---- killed

@pytest.mark.parametrize("kills, at_work_min", [(8, 2), pytest.param(20, 3, marks=pytest.mark.soak)])
def test_killed_at_random_instants_it_loses_and_doubles_nothing(journaled, kills, at_work_min):
    chance = random.Random(20)
    kills_while_running = 0
    for k in range(kills):
        with journaled.process("--segment-mb", "0.3", "--fsync-interval-ms", "1") as process:
            journaled.page = None
            until_s = time.monotonic() + chance.uniform(0.0, 1.5)
            while time.monotonic() < until_s:
                if sum(map(len, journaled.published)) < 3000 * (k + 1):
                    journaled.publish(trades(chance.randrange(1, 120), seed=k))
                time.sleep(0.004)
            process.kill()
            process.wait()
            kills_while_running += journaled.word(STATE) == RUNNING
    assert kills_while_running >= at_work_min, "expected it to be killed at work, too"
    journaled.stop_engine()
    with journaled.process("--segment-mb", "0.3") as process:
        assert process.wait(TIMEOUT_S) == 0, process.stderr.read()
    assert len(segment_numbers(journaled.run_dir)) > 2
    journaled.check_whole()


# ---- lapped

def test_a_journal_that_was_lapped_never_verifies_even_when_no_output_was_lost(tmp_path, root):
    capture = tmp_path / "short.gz"
    with gzip.open(root / "tests" / "golden" / "binance_spot" / "hftbacktest_btcusdt_20240808.gz", "rb") as f:
        capture.write_bytes(gzip.compress(b"".join(itertools.islice(f, 3000)), 1))
    settings = (f"storage.dir={tmp_path / 'state'}", f"instance.name=lap{os.getpid()}", "venues.binance.pace=fast",
                f"venues.binance.kind=capture:{capture}")
    done = subprocess.run([sys.executable, "-m", "tickpathd.cli", "run", "-c", str(root / "config" / "paper-demo.toml"), "--json",
                           *itertools.chain.from_iterable(("--set", s) for s in settings)], cwd=root, env=ENVIRONMENT,
                          capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr
    run_dir = Path(json.loads(done.stdout)["journal"])
    whole = replay(run_dir)
    assert whole["match"] and not whole["unverifiable"] and whole["missed_slots"] == 0

    reader = JournalReader(run_dir)
    slots = np.concatenate(list(reader.batches()))
    lapped = tmp_path / "lapped"
    lapped.mkdir()
    (lapped / "config.json").write_bytes(reader.config_bytes)
    writer = JournalWriter(lapped, instance=reader.instance, epoch=reader.epoch, config_bytes=reader.config_bytes)
    # A derived record alone is lost: what is left replays to the same outputs.
    lost = int(np.flatnonzero(slots["type"] == EventType.EV_HEALTH)[0])
    writer.append(slots[:lost])
    writer.append(slots[lost + 1:])
    writer.close()
    result = replay(lapped)
    assert result["unverifiable"] is True and result["missed_slots"] == 1 and result["match"] is False
