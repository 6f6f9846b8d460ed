"""Row F70: the power is cut at random instants. What the journal has published as synced, which is what durability = disk waits
for before an order leaves, is in the image of the disk at that instant; and the journal there reads to its end."""
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from process_harness import until
from tickpath.shm.journal import JournalReader, segment_numbers
from tickpath.shm.ring import EventWriter, ring_bytes
from tickpath.shm.segment import attach_segment, create_segment, reclaim_if_stale
from tickpath.shm.words import load_word
from tickpath.types import SLOT_DTYPE, EventType

IMAGE_BYTES = 24 << 20
SYNCED, STATE = 192, 256


def mounted(image, point, *options):
    point.mkdir(exist_ok=True)
    return subprocess.run(["mount", "-o", ",".join(("loop", *options)), str(image), str(point)], capture_output=True, text=True)


@pytest.fixture
def disk(tmp_path, require_tool):
    """(image, mount point) of a small ext4 of its own."""
    require_tool("mkfs.ext4", "e2fsprogs")
    image, point = tmp_path / "disk.img", tmp_path / "disk"
    with open(image, "wb") as f:
        f.truncate(IMAGE_BYTES)
    subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True, capture_output=True)
    done = mounted(image, point)
    if done.returncode:
        text = f"a loop mount needs root and loop devices: {done.stderr.strip()}"
        pytest.fail(text) if os.environ.get("TICKPATH_REQUIRE_TOOLS") == "1" else pytest.skip(text)
    yield image, point
    subprocess.run(["umount", "-l", str(point)], check=False)


def stopped(pid):
    return open(f"/proc/{pid}/stat", "rb").read().rsplit(b")", 1)[1].split()[0] == b"T"


class Publisher(threading.Thread):
    """Publishes numbered trades, a few at a time, until it is told to end."""

    def __init__(self, writer):
        super().__init__(daemon=True)
        self.writer, self.ending = writer, False

    def run(self):
        while not self.ending:
            slots = np.zeros(4, SLOT_DTYPE)
            slots["type"] = EventType.EV_TRADE
            slots["payload"][:, 0] = np.arange(self.writer.next_seq, self.writer.next_seq + 4)
            self.writer.publish(slots)
            time.sleep(0.001)


@pytest.mark.parametrize("cuts, rotations_min", [(50, 1), pytest.param(200, 6, marks=pytest.mark.soak)])
def test_what_was_told_to_be_synced_is_on_the_disk_at_every_power_cut(disk, tmp_path, cuts, rotations_min):
    image, point = disk
    instance = f"cut{os.getpid()}"
    run_dir = point / "run"
    run_dir.mkdir()
    (run_dir / "config.json").write_text('{"instance": {}}')
    os.sync()
    r = random.Random(9)
    lost, rotations = 0, 0
    with create_segment(instance, "ring", ring_bytes(1 << 20), epoch=3, slot_count=1 << 20) as ring:
        publisher = Publisher(EventWriter(ring.buffer))
        journal = subprocess.Popen([sys.executable, "-m", "tickpathd.journal_process", "--instance", instance, "--run-dir",
                                    str(run_dir), "--fsync-interval-ms", "0", "--segment-mb", "0.0625"])
        try:
            page = until(lambda: attach_segment(instance, "journal"), "the journal's page")
            until(lambda: load_word(page.buffer, STATE) == 1, "a running journal")
            publisher.start()
            for cut in range(cuts):
                time.sleep(r.uniform(0, 0.02))
                os.kill(journal.pid, signal.SIGSTOP)
                until(lambda: stopped(journal.pid), "the journal stopped")
                synced, written = load_word(page.buffer, SYNCED), load_word(page.buffer, 128)
                shutil.copyfile(image, tmp_path / "cut.img")
                os.kill(journal.pid, signal.SIGCONT)
                done = mounted(tmp_path / "cut.img", tmp_path / "cut")
                assert done.returncode == 0, done.stderr
                try:
                    if synced == 0 and not segment_numbers(tmp_path / "cut" / "run"):
                        continue
                    reader = JournalReader(tmp_path / "cut" / "run")
                    # What lies further back was read at the cuts before; now and then all of it is.
                    start_seq = 1 if cut % 20 == 0 else max(synced - 2000, 1)
                    slots = np.concatenate([np.empty(0, SLOT_DTYPE), *reader.batches(start_seq)])
                    found = int(slots["seq"][-1]) if len(slots) else 0
                    assert found >= synced, f"cut {cut}: expected sequence {synced} on the disk, found {found}"
                    assert not len(slots) or slots["seq"][0] == start_seq
                    assert (slots["payload"][:, 0] == slots["seq"]).all() and (np.diff(slots["seq"]) == 1).all()
                    lost += found < written
                    rotations = len(segment_numbers(tmp_path / "cut" / "run"))
                    del slots
                finally:
                    subprocess.run(["umount", str(tmp_path / "cut")], check=True)
        finally:
            publisher.ending = True
            journal.kill()
            journal.wait()
            reclaim_if_stale(instance, "journal")
    assert rotations >= rotations_min and lost > 0, "expected cuts in the middle of segments, and some that lost what was not synced"
