"""Child of test_ring_kill.py: kills ring writers and readers at random moments and checks what the others see.

Usage: stress_ring_killer.py writers|readers|creators|journals INSTANCE ROUNDS SEED DIRECTORY. Prints one JSON object of figures;
a violation is an AssertionError and exit code 1. One process that has everything imported forks all writers and readers, so
that a round costs milliseconds. The journals are the real process, in run directories below DIRECTORY.
"""
import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"       # before NumPy: a process that forks must have one thread

import ctypes
import json
import mmap
import random
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path

import numpy as np

from tickpath.shm.journal import JournalReader
from tickpath.shm.ring import EventReader, EventWriter, ring_bytes
from tickpath.shm.segment import SegmentError, create_segment, list_segments
from tickpath.shm.words import load_word, store_word
from tickpath.types import SLOT_DTYPE, EventType

# Longer than any ring here and no multiple of one, so that a slot differs from the one a lap before; even, so that records of
# two slots stay whole where it begins again.
PERIOD_SLOTS = 65_520
KILL_WITHIN_S = 0.030
FRESH_WITHIN_S = 1.0
TIMEOUT_S = 30
LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1                             # <linux/prctl.h>: a child ends with us, however we end
RING_SLOTS = [1024, 2048, 8192]


def numbered_period():
    number = np.arange(1, PERIOD_SLOTS + 1, dtype=np.uint64)
    slots = np.zeros(PERIOD_SLOTS, SLOT_DTYPE)
    slots["ts_recv_ns"] = number
    slots["type"][0::2], slots["type"][1::2] = EventType.EV_FILL, EventType.EV_CONT
    slots["payload"] = (number * np.uint64(0x9E3779B97F4A7C15))[:, None] ^ np.array([0, 5, 7, 11], np.uint64)
    return slots


PERIOD = numbered_period()


def expected_slots(epoch, first_seq, count):
    """What a run of this epoch has in these sequences."""
    slots = PERIOD[np.arange(first_seq - 1, first_seq - 1 + count) % PERIOD_SLOTS]
    slots["seq"] = np.arange(first_seq, first_seq + count, dtype=np.uint64)
    slots["ts_venue_ns"] = epoch
    return slots


def publish_until_killed(instance, epoch, slot_count, *, on_ready, slots_max=None, pace_s=0.0):
    """Create the ring and publish as fast as it goes, batches of 1 to 40 records of two slots."""
    slots = PERIOD.copy()
    slots["ts_venue_ns"] = epoch
    segment = create_segment(instance, "ring", ring_bytes(slot_count), epoch=epoch, slot_count=slot_count)
    writer = EventWriter(segment.buffer)
    on_ready()
    at, batch = 0, 0
    while slots_max is None or writer.next_seq <= slots_max:
        batch = batch % 40 + 1
        records = slots[at:at + 2 * batch]
        writer.publish(records)
        at = (at + len(records)) % PERIOD_SLOTS
        if pace_s:
            time.sleep(pace_s)
    while True:
        time.sleep(1)


class Follower:
    """A reader that checks everything it gets and keeps count."""

    def __init__(self, instance, start):
        self.reader = EventReader.attach(instance, start)
        self.epoch = self.reader.segment.epoch
        self.start = self.last = self.reader.next_seq - 1
        self.read = self.laps = self.skipped = 0

    def step(self, max_slots=4096):
        slots = self.reader.read(max_slots)
        if not len(slots):
            return 0
        first, last = int(slots["seq"][0]), int(slots["seq"][-1])
        assert first > self.last, f"expected a sequence above {self.last}, found {first}"
        expected = expected_slots(self.epoch, first, len(slots))
        assert slots.tobytes() == expected.tobytes(), f"expected whole slots of epoch {self.epoch} from {first} on, found others"
        self.laps += first != self.last + 1
        self.skipped += first - self.last - 1
        assert self.skipped == self.reader.missed_slots, f"expected {self.skipped} missed, found {self.reader.missed_slots}"
        self.last = last
        self.read += len(slots)
        assert self.read + self.reader.missed_slots == self.last - self.start
        return len(slots)

    def drain(self):
        while self.step():
            pass
        return self


def last_published(reader):
    """Last sequence in the ring's memory, whatever its writer was doing when it died."""
    return int(reader.view()["seq"].max())


class Child:
    """A forked process; `words` are eight 64-bit words that it shares with us and that outlive it."""

    def __init__(self, work, *arguments):
        self.words = memoryview(mmap.mmap(-1, 4096))
        self.pid = os.fork()
        if self.pid == 0:
            LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            try:
                work(self.words, *arguments)
                os._exit(0)
            except BaseException:
                traceback.print_exc()
                sys.stderr.flush()
            finally:
                os._exit(1)

    def wait_for(self, word, what):
        deadline = time.monotonic() + TIMEOUT_S
        while not load_word(self.words, 8 * word):
            assert time.monotonic() < deadline, f"expected {what} within {TIMEOUT_S} s"
            assert os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None, f"expected {what}, found an end"
            time.sleep(0.0002)

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)
        _, status = os.waitpid(self.pid, 0)
        # Anything but our own signal is a violation that it has printed.
        assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL, f"expected to be killed, found wait status {status}"

    def join(self):
        _, status = os.waitpid(self.pid, 0)
        assert status == 0, f"expected an orderly end, found wait status {status}"


READY, READ, LAST, MISSED, LAPS, OWNER_DEAD, GO = range(7)


def write_ring(words, instance, epoch, slot_count):
    publish_until_killed(instance, epoch, slot_count, on_ready=lambda: store_word(words, 8 * READY, 1))


def follow(words, instance, pause_s, seed):
    """Read until the writer is dead and nothing is left."""
    pick = random.Random(seed)
    follower = Follower(instance, "oldest")
    store_word(words, 8 * READY, 1)
    owner_dead = False
    while True:
        count = follower.step(pick.choice([1, 100, 4096]))
        for word, value in ((READ, follower.read), (LAST, follower.last), (MISSED, follower.reader.missed_slots),
                            (LAPS, follower.laps)):
            store_word(words, 8 * word, value)
        if count == 0:
            if owner_dead:
                break
            owner_dead = not follower.reader.segment.owner_alive()
        if pause_s and pick.random() < 0.02:
            time.sleep(pause_s)
    store_word(words, 8 * OWNER_DEAD, 1)


def kill_writers(instance, rounds, pick, _):
    """The writer dies: reader and fresh reader agree on what is left; a fresh writer of the same instance starts at once."""
    found = {"kills": 0, "laps": 0, "read": 0, "claimed": 0, "slowest_fresh_ms": 0.0}
    old_reader = old_epoch = killed_mono_s = None
    for epoch in range(1, rounds + 1):
        slot_count = pick.choice(RING_SLOTS)
        writer = Child(write_ring, instance, epoch, slot_count)
        writer.wait_for(READY, "a fresh writer")
        fresh = EventReader.attach(instance, 1)
        while not len(slots := fresh.read()):
            pass
        if old_reader is not None:
            fresh_s = time.monotonic() - killed_mono_s
            assert fresh_s < FRESH_WITHIN_S, f"expected a usable ring within {FRESH_WITHIN_S} s, found {fresh_s:.3f} s"
            found["slowest_fresh_ms"] = max(found["slowest_fresh_ms"], round(fresh_s * 1000, 1))
            # The old mapping is nobody's any more: it tells so, and nothing new appears in it.
            assert not old_reader.segment.owner_alive() and not len(old_reader.read())
            assert fresh.segment.epoch == epoch != old_epoch
            assert (slots["ts_venue_ns"] == epoch).all(), "expected nothing of an older epoch"
        survivor = Child(follow, instance, pick.choice([0.0, 0.0005, 0.004]), pick.random())
        if pick.random() < 0.8:
            survivor.wait_for(READY, "a reader")
        time.sleep(pick.random() * KILL_WITHIN_S)
        writer.kill()
        killed_mono_s = time.monotonic()
        found["kills"] += 1
        assert not fresh.segment.owner_alive()
        survivor.join()
        last = last_published(fresh)
        # A slot that was begun and not finished: its sequence is 0. Ours begins behind it.
        claimed = last >= slot_count and fresh.view()["seq"].min() == 0
        found["claimed"] += int(claimed)
        begin = max(1, last - slot_count + 1 + int(claimed))
        late = Follower(instance, begin).drain()
        assert late.last == last and late.skipped == 0 and late.read == last - begin + 1
        assert load_word(survivor.words, 8 * OWNER_DEAD) == 1
        survivor_last = load_word(survivor.words, 8 * LAST)
        assert survivor_last == last, f"expected a reader at {last}, found it at {survivor_last}"
        found["read"] += load_word(survivor.words, 8 * READ)
        found["laps"] += load_word(survivor.words, 8 * LAPS)
        old_reader, old_epoch = late.reader, epoch
    assert list_segments(instance) == [f"/tickpath.{instance}.ring"]
    return found


def kill_readers(instance, rounds, pick, _):
    """A reader dies: the segment stays, the writer goes on, another reader sees no difference."""
    found = {"kills": 0, "laps": 0, "read": 0}
    writer = Child(write_ring, instance, 1, 2048)
    writer.wait_for(READY, "a writer")
    inode = os.stat(f"/dev/shm/tickpath.{instance}.ring").st_ino
    other = Follower(instance, "latest")
    for _ in range(rounds):
        reader = Child(follow, instance, pick.choice([0.0, 0.0005, 0.004]), pick.random())
        if pick.random() < 0.5:
            reader.wait_for(READY, "a reader")
        time.sleep(pick.random() * KILL_WITHIN_S)
        reader.kill()
        found["kills"] += 1
        found["read"] += load_word(reader.words, 8 * READ)
        found["laps"] += load_word(reader.words, 8 * LAPS)
        assert os.stat(f"/dev/shm/tickpath.{instance}.ring").st_ino == inode
        assert other.reader.segment.owner_alive()
        before = other.last
        deadline = time.monotonic() + TIMEOUT_S
        while other.last <= before + 4096:
            assert time.monotonic() < deadline, "expected the writer to go on"
            other.step()
    found["kills"] += 1
    writer.kill()
    return found


def kill_creators(instance, rounds, pick, _):
    """The writer dies while it makes its segment: whoever comes next starts cleanly, readers find a whole one or none."""
    found = {"kills": 0, "absent": 0, "stale": 0, "begun": 0, "unfinished": 0}
    begun_mono_s = time.monotonic()
    first = Child(write_ring, instance, 1, 8192)
    first.wait_for(READY, "a writer")
    takes_s = time.monotonic() - begun_mono_s
    first.kill()
    found["kills"] += 1
    epoch = 1
    for _ in range(rounds):
        epoch += 1
        writer = Child(write_ring, instance, epoch, 8192)
        time.sleep(pick.random() * 2 * takes_s)
        writer.kill()
        found["kills"] += 1
        try:
            follower = Follower(instance, 1)
        except SegmentError as e:
            assert "found no such segment" in str(e), e
            found["absent"] += 1
        else:
            assert not follower.reader.segment.owner_alive() and follower.epoch <= epoch
            if last_published(follower.reader) < 8192:
                follower.drain()
            found["begun" if follower.epoch == epoch else "stale"] += 1
        leftovers = [name for name in list_segments(instance) if ".new-" in name]
        found["unfinished"] = max(found["unfinished"], len(leftovers))
        if pick.random() < 0.25:
            epoch += 1
            fresh = Child(write_ring, instance, epoch, 1024)
            fresh.wait_for(READY, "a fresh writer")
            assert EventReader.attach(instance).segment.epoch == epoch
            fresh.kill()
            found["kills"] += 1
    return found


def write_journaled(words, instance, epoch):
    def wait_for_go():
        store_word(words, 8 * READY, 1)
        while not load_word(words, 8 * GO):
            time.sleep(0.0005)
    # The engine's driver would wait for its journal; here the ring is as large as all that is ever published.
    publish_until_killed(instance, epoch, 65_536, slots_max=60_000, pace_s=0.00002, on_ready=wait_for_go)


def kill_journaled(instance, rounds, pick, directory):
    """The writer dies with a real journal behind it, or before one begins: the journal holds all that reached the ring."""
    found = {"kills": 0, "slots": 0, "half_records": 0, "empty": 0}
    group = 4                                    # at a time: a journal's start is what takes long
    for begin in range(0, rounds, group):
        runs = []
        for epoch in range(begin + 1, min(begin + group, rounds) + 1):
            name, run_dir = f"{instance}-{epoch}", Path(directory) / str(epoch)
            run_dir.mkdir()
            (run_dir / "config.json").write_bytes(b"{}")
            writer = Child(write_journaled, name, epoch)
            writer.wait_for(READY, "a writer")
            runs.append((name, run_dir, epoch, writer, EventReader.attach(name, 1)))
        late = pick.random() < 0.25
        journals = [] if late else start_journals(runs)
        if not late:
            for name, *_ in runs:
                wait_for_segment(f"/tickpath.{name}.journal")
        for _, _, _, writer, _ in runs:
            store_word(writer.words, 8 * GO, 1)
            time.sleep(pick.random() * KILL_WITHIN_S)
            writer.kill()
            found["kills"] += 1
        for journal in journals or start_journals(runs):
            assert journal.wait(TIMEOUT_S) == 0, f"expected the journal to end in order, found {journal.returncode}"
        for name, run_dir, epoch, _, reader in runs:
            ring = reader.read(65_536)
            assert len(ring) == last_published(reader) and reader.missed_slots == 0
            assert ring.tobytes() == expected_slots(epoch, 1, len(ring)).tobytes()
            # A record of two slots that was killed between them never was one.
            whole = len(ring) // 2 * 2
            journal = JournalReader(run_dir)
            written = np.concatenate([ring[:0], *journal.batches()])
            assert written.tobytes() == ring[:whole].tobytes(), f"{name}: expected {whole} slots on disk, found {len(written)}"
            assert not journal.final and journal.torn_tail is None
            assert json.loads((run_dir / "summary.json").read_bytes())["orderly"] is False
            found["slots"] += len(written)
            found["half_records"] += len(ring) - whole
            found["empty"] += len(ring) == 0
    return found


def start_journals(runs):
    return [subprocess.Popen([sys.executable, "-m", "tickpathd.journal_process", "--instance", name, "--run-dir", str(run_dir)])
            for name, run_dir, *_ in runs]


def wait_for_segment(name):
    deadline = time.monotonic() + TIMEOUT_S
    while not os.path.exists("/dev/shm" + name):
        assert time.monotonic() < deadline, f"expected {name} within {TIMEOUT_S} s"
        time.sleep(0.002)


SCENARIOS = {"writers": kill_writers, "readers": kill_readers, "creators": kill_creators, "journals": kill_journaled}


def main(scenario, instance, rounds, seed, directory):
    print(json.dumps(SCENARIOS[scenario](instance, int(rounds), random.Random(int(seed)), directory)))


if __name__ == "__main__":
    main(*sys.argv[1:])
