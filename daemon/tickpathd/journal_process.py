"""The journal's process: drains the event ring to checksummed segments and tells how far it is.

Its page (segment kind "journal") holds seven words, each to be read with load_word: written_seq at byte 128, synced_seq
at 192, state at 256 (0 not begun, 1 running, 2 finished, 3 failed), a monotonic heartbeat in ns at 320, the errno of a
failure at 384 and the slots missed to laps at 448. The main thread drains; a second one syncs and publishes synced_seq,
so that a slow disk delays synced_seq and nothing else.

It ends when it has written the engine's last record (`orderly`), or when the engine is dead and the ring is drained.
Started again after it was killed, it goes on behind the last whole block of its journal. SIGTERM and SIGINT do not end it
while the engine lives: what is in the ring must reach the disk, so the engine is stopped first. When it failed, it keeps
its page, so that everybody sees why, until the engine is gone. Exit codes: 0 everything is written; 1 with one line on
stderr: no ring, a journal that does not fit, the disk failed, it was lapped.
"""
import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"       # before NumPy, which would start threads of its own

import argparse
import contextlib
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np

from tickpath.shm.journal import SEGMENT_MAX_BYTES, GroupSync, JournalError
from tickpath.shm.ring import EventReader
from tickpath.shm.segment import SegmentError, create_segment
from tickpath.shm.words import store_word
from tickpath.types import SLOT_DTYPE
from tickpathd.recovery import BATCH_SLOTS, RunJournal, engine_stopped, read_config

PAGE_BYTES = 4096
WRITTEN_OFFSET, SYNCED_OFFSET, STATE_OFFSET, HEARTBEAT_OFFSET = 128, 192, 256, 320
ERRNO_OFFSET, MISSED_OFFSET = 384, 448
RUNNING, FINISHED, FAILED = 1, 2, 3
IDLE_SLEEP_MIN_S, IDLE_SLEEP_MAX_S = 0.0005, 0.002
OWNER_CHECK_INTERVAL_S = 0.05                  # of an idle ring; a check reads /proc
BEAT_INTERVAL_S = 0.02                         # while another thread waits for the disk


class RingOwner:
    """The process that owns a segment, watched through one file that stays open: with no handle left for another look at
    /proc, a living engine would pass for a dead one, and its ring would not be drained to its end."""

    def __init__(self, segment):
        self._stat = None
        with contextlib.suppress(OSError):
            stat = open(f"/proc/{segment.pid}/stat", "rb", buffering=0)
            # Looked at after the file is open: from here on it tells of this very process, whoever gets its pid later.
            if segment.owner_alive():
                self._stat = stat
            else:
                stat.close()

    def alive(self):
        if self._stat is None:
            return False
        try:
            stat = os.pread(self._stat.fileno(), 1024, 0)
        except ProcessLookupError:
            return False
        return stat[stat.rindex(b")") + 2:][:1] not in (b"Z", b"X")


class JournalProcess:
    """The ring on one side, the segment files and the page on the other."""

    def __init__(self, instance, run_dir, *, fsync_interval_s=0.05, segment_max_bytes=SEGMENT_MAX_BYTES):
        self.instance, self.run_dir = instance, Path(run_dir)
        self.options = {"fsync_interval_s": fsync_interval_s, "segment_max_bytes": segment_max_bytes}
        self.reader = EventReader.attach(instance, 1)
        self.ring = self.reader.segment
        self.owner = RingOwner(self.ring)
        self.slots = np.empty(BATCH_SLOTS, SLOT_DTYPE)
        self.count = 0                         # of them, read last
        self.signalled = False
        self.journal = self.sync = None
        self.page_lock = threading.Lock()      # between a sync that ended well and a failure: nothing is synced after one
        self.failed = False
        read_config(self.run_dir)
        # One journal a ring: the page of another one that lives refuses us before we touch its files.
        self.page = create_segment(instance, "journal", PAGE_BYTES, epoch=self.ring.epoch)

    def open(self):
        """Begin the journal, or take it up behind its last whole block."""
        self.journal = RunJournal(self.run_dir, instance=self.instance, epoch=self.ring.epoch,
                                  first_seq=self.reader.next_seq, on_batch=self.beat, **self.options)
        self.reader = EventReader(self.ring.buffer, self.journal.writer.written_seq + 1, self.ring)
        self.sync = GroupSync(self.journal.writer, self.publish_synced)
        self.publish_synced()
        self.publish(RUNNING)
        if not self.journal.writer.is_final:
            self.sync.start()
            self.sync.wake()

    # ---- the page
    def beat(self):
        store_word(self.page.buffer, HEARTBEAT_OFFSET, time.monotonic_ns())

    def publish(self, state):
        """Tell how far we are; the state last, so that whoever finds `finished` finds the final sequences."""
        if self.journal is not None:
            store_word(self.page.buffer, WRITTEN_OFFSET, self.journal.writer.written_seq)
            store_word(self.page.buffer, MISSED_OFFSET, self.journal.writer.missed_slots)
        self.beat()
        store_word(self.page.buffer, STATE_OFFSET, state)

    def publish_synced(self):
        with self.page_lock:
            if not self.failed:
                store_word(self.page.buffer, SYNCED_OFFSET, self.journal.writer.synced_seq)

    def publish_failed(self, error):
        with self.page_lock:
            self.failed = True
        store_word(self.page.buffer, ERRNO_OFFSET, getattr(error, "errno", 0))
        self.publish(FAILED)

    # ---- the ring
    def drain(self):
        """Write what the ring holds until its last record, or until it is empty and its owner dead."""
        idle_s = IDLE_SLEEP_MIN_S
        check_mono_s = time.monotonic() + OWNER_CHECK_INTERVAL_S
        owner_dead = False
        journal = self.journal
        while not journal.orderly:
            self.count = self.reader.read_into(self.slots)
            if self.count:
                idle_s = IDLE_SLEEP_MIN_S
                journal.append(self.slots[:self.count])
                self.sync.wake()
            self.check_sync()
            self.publish(RUNNING)
            if self.count:
                continue
            if owner_dead:
                return
            if self.signalled or time.monotonic() >= check_mono_s:
                # Dead: then the ring is read once more, for what came between our last look and the death.
                self.signalled = False
                owner_dead = not self.owner.alive()
                check_mono_s = time.monotonic() + OWNER_CHECK_INTERVAL_S
            if not owner_dead:
                time.sleep(idle_s)
                idle_s = min(2 * idle_s, IDLE_SLEEP_MAX_S)

    def check_sync(self):
        if self.journal.writer.failure is not None:
            raise self.journal.writer.failure
        if not self.sync.is_alive():
            raise RuntimeError("journal: expected its sync thread to live, found it ended; see the lines above")

    def finish(self):
        """Close the journal and write summary.json; returns its dict."""
        writer = self.journal.writer
        if not writer.is_final:
            if self.journal.orderly:
                writer.finish()
            self.sync.finish()
            self.beat_until_ended(self.sync)
            if writer.failure is not None:
                raise writer.failure
            writer.close(final=False)
        done = []
        last = threading.Thread(target=lambda: done.append(attempt(self.journal.write_summary)), daemon=True)
        last.start()
        self.beat_until_ended(last)
        if isinstance(done[0], JournalError):
            raise done[0]
        self.publish_synced()
        self.publish(FINISHED)
        return done[0]

    def beat_until_ended(self, thread):
        while thread.is_alive():
            thread.join(BEAT_INTERVAL_S)
            self.publish(RUNNING)

    def keep_page(self):
        """After a failure: the page says so until the engine is gone."""
        check_mono_s = time.monotonic()
        stopped = engine_stopped(self.slots[:self.count])
        while not stopped:
            count = self.reader.read_into(self.slots)
            stopped = engine_stopped(self.slots[:count])
            self.beat()
            if time.monotonic() >= check_mono_s:
                if not self.owner.alive():
                    return
                check_mono_s = time.monotonic() + OWNER_CHECK_INTERVAL_S
            if not count:
                time.sleep(IDLE_SLEEP_MAX_S)


def attempt(work):
    """What work() returns, or the JournalError that it raises."""
    try:
        return work()
    except JournalError as e:
        return e


def main(argv=None):
    parser = argparse.ArgumentParser(prog="tickpathd.journal_process", description="Drains an engine's ring to disk.")
    parser.add_argument("--instance", required=True)
    parser.add_argument("--run-dir", required=True, help="directory of a prepared run (holds config.json)")
    parser.add_argument("--fsync-interval-ms", type=float, default=50.0, help="0: one fsync after the other")
    parser.add_argument("--segment-mb", type=float, default=SEGMENT_MAX_BYTES / 2**20,
                        help="MiB of a segment, reserved when it is made")
    arguments = parser.parse_args(argv)
    process = None

    def on_signal(*_):
        if process is not None:
            process.signalled = True           # look at once whether the engine is gone
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    # A file size limit then fails the write and is reported as what it is.
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        process = JournalProcess(arguments.instance, arguments.run_dir, fsync_interval_s=arguments.fsync_interval_ms / 1000,
                                 segment_max_bytes=int(arguments.segment_mb * 2**20))
        process.open()
        process.drain()
        summary = process.finish()
    except (JournalError, SegmentError, ValueError) as e:
        if process is not None:
            process.publish_failed(e)
        with contextlib.suppress(OSError):     # what stderr goes to may stand on the same disk
            print(f"journal: {e}", file=sys.stderr, flush=True)
        if process is not None:
            process.keep_page()
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
