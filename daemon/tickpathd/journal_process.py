"""The journal's process: drains the event ring to checksummed segments and tells how far it is.

Its page (segment kind "journal") holds four words, each to be read with load_word: written_seq at byte 128, synced_seq
at 192, state at 256 (1 running, 2 finished, 3 failed) and a monotonic heartbeat in ns at 320.

It ends when it has written the engine's last record (`orderly`), or when the engine is dead and the ring is drained.
SIGTERM and SIGINT do not end it while the engine lives: what is in the ring must reach the disk, so the engine is
stopped first. Exit codes: 0 everything is written; 1 with one line on stderr: no ring, the disk failed, it was lapped.
"""
import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"       # before NumPy, which would start threads of its own

import argparse
import json
import signal
import sys
import time
from pathlib import Path

from tickpath.shm.canonical import OutputHasher
from tickpath.shm.journal import JournalError, JournalWriter
from tickpath.shm.ring import EventReader, records
from tickpath.shm.segment import SegmentError, create_segment
from tickpath.shm.words import store_word
from tickpath.types import LAYOUT_HASH, EventType, HealthKind
from tickpathd.durable import write_whole

PAGE_BYTES = 4096
WRITTEN_OFFSET, SYNCED_OFFSET, STATE_OFFSET, HEARTBEAT_OFFSET = 128, 192, 256, 320
RUNNING, FINISHED, FAILED = 1, 2, 3
BATCH_SLOTS = 16384
IDLE_SLEEP_MIN_S, IDLE_SLEEP_MAX_S = 0.0005, 0.002
OWNER_CHECK_INTERVAL_S = 0.05                  # of an idle ring; a check reads /proc


class JournalProcess:
    """The ring on one side, the segment files and the page on the other."""

    def __init__(self, instance, run_dir, *, fsync_interval_s):
        self.run_dir = Path(run_dir)
        self.reader = EventReader.attach(instance, 1)
        self.ring = self.reader.segment
        try:
            config_bytes = (self.run_dir / "config.json").read_bytes()
        except OSError as e:
            raise JournalError(f"{self.run_dir / 'config.json'}: expected the run's configuration, found "
                               f"{e.strerror}") from None
        self.writer = JournalWriter(self.run_dir, instance=instance, epoch=self.ring.epoch, config_bytes=config_bytes,
                                    fsync_interval_s=fsync_interval_s, first_seq=self.reader.next_seq)
        self.hasher = OutputHasher()
        self.orderly = False
        self.signalled = False
        self.page = create_segment(instance, "journal", PAGE_BYTES, epoch=self.ring.epoch)
        self.publish(RUNNING)

    def publish(self, state):
        """Tell how far we are; the state last, so that whoever finds `finished` finds the final sequences."""
        store_word(self.page.buffer, WRITTEN_OFFSET, self.writer.written_seq)
        store_word(self.page.buffer, SYNCED_OFFSET, self.writer.synced_seq)
        store_word(self.page.buffer, HEARTBEAT_OFFSET, time.monotonic_ns())
        store_word(self.page.buffer, STATE_OFFSET, state)

    def drain(self):
        """Write what the ring holds until its last record, or until it is empty and its owner dead."""
        idle_s = IDLE_SLEEP_MIN_S
        check_mono_s = time.monotonic() + OWNER_CHECK_INTERVAL_S
        owner_dead = False
        while True:
            slots = self.reader.read(BATCH_SLOTS)
            if len(slots):
                idle_s = IDLE_SLEEP_MIN_S
                self.write(slots)
            self.writer.maybe_sync(time.monotonic())
            self.publish(RUNNING)
            if self.orderly or owner_dead and not len(slots):
                return
            if len(slots) or owner_dead:
                continue
            if self.signalled or time.monotonic() >= check_mono_s:
                # Dead: then the ring is read once more, for what came between our last look and the death.
                owner_dead = not self.ring.owner_alive()
                self.signalled = False
                check_mono_s = time.monotonic() + OWNER_CHECK_INTERVAL_S
            if not owner_dead:
                time.sleep(idle_s)
                idle_s = min(2 * idle_s, IDLE_SLEEP_MAX_S)

    def write(self, slots):
        written = self.writer.append(slots)
        self.hasher.update(written)
        health = records(written, EventType.EV_HEALTH)
        self.orderly = bool((health["kind"] == HealthKind.HEALTH_STOPPED).any())

    def finish(self):
        """Close the journal and write summary.json; returns its dict."""
        self.writer.close(final=self.orderly)
        summary = {
            "output_hash": self.hasher.hexdigest(), "events": sum(self.hasher.counts_by_type.values()),
            "inputs": self.hasher.inputs, "outputs": self.hasher.outputs, "records": self.hasher.names(),
            "first_seq": self.writer.first_seq, "last_seq": self.writer.written_seq,
            "missed_slots": self.writer.missed_slots, "orderly": self.orderly, "layout_hash": f"{LAYOUT_HASH:016x}"}
        path = self.run_dir / "summary.json"
        try:
            write_whole(path, json.dumps(summary, indent=1).encode())
        except OSError as e:
            raise JournalError(f"{path}: write: expected the disk to take it, found {e.strerror} (errno {e.errno})") from None
        self.publish(FINISHED)
        return summary


def main(argv=None):
    parser = argparse.ArgumentParser(prog="tickpathd.journal_process", description="Drains an engine's ring to disk.")
    parser.add_argument("--instance", required=True)
    parser.add_argument("--run-dir", required=True, help="directory of a prepared run (holds config.json)")
    parser.add_argument("--fsync-interval-ms", type=float, default=50.0)
    parser.add_argument("--segment-mb", type=int, default=256)
    arguments = parser.parse_args(argv)
    process = None

    def on_signal(*_):
        if process is not None:
            process.signalled = True           # look at once whether the engine is gone
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    try:
        process = JournalProcess(arguments.instance, arguments.run_dir,
                                 fsync_interval_s=arguments.fsync_interval_ms / 1000)
        process.drain()
        summary = process.finish()
    except (JournalError, SegmentError) as e:
        print(f"journal: {e}", file=sys.stderr)
        if process is not None:
            process.publish(FAILED)
        return 1
    finally:
        if process is not None:
            process.page.close()
    if summary["missed_slots"]:
        print(f"journal: {process.run_dir}: expected every slot, found {summary['missed_slots']} missed: the engine "
              "lapped it, and this run cannot be verified", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
