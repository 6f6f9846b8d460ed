"""A run's journal with its hash and summary kept along, new or taken up again; and what is done about a ring whose engine
was killed before its journal had everything.
"""
import json
import time
from pathlib import Path

from tickpath.shm.canonical import OutputHasher
from tickpath.shm.journal import JournalDiskError, JournalError, JournalWriter, segment_numbers
from tickpath.shm.ring import EventReader, records
from tickpath.shm.segment import SegmentError, attach_segment, list_segments, reclaim_if_stale, segment_name
from tickpath.types import LAYOUT_HASH, EventType, HealthKind
from tickpathd.durable import write_whole
from tickpathd.run_dir import RunError

BATCH_SLOTS = 4096                             # one block, and small enough to stay in the processor's cache
JOURNAL_PATIENCE_S = 60.0                      # for a journal process that is still draining a dead engine's ring
POLL_S = 0.02


class RunJournal:
    """The journal of one run, written here or found there, and what summary.json will say of it.

    Parameters: run_dir : a prepared run (holds config.json); where segments stand already they are read, checked, hashed
                and continued.  first_seq : expected first in a new journal.  on_batch : called after each batch found.
                options : of JournalWriter.
    Errors: JournalError, JournalDamage, JournalDiskError.
    """

    def __init__(self, run_dir, *, instance, epoch, first_seq, on_batch=None, **options):
        self.run_dir = Path(run_dir)
        self.hasher = OutputHasher()
        self.orderly = False                   # the engine's last record is in it
        self._on_batch = on_batch
        options = {"instance": instance, "epoch": epoch, "config_bytes": read_config(self.run_dir), **options}
        if segment_numbers(self.run_dir):
            self.writer = JournalWriter.resume(self.run_dir, on_batch=self._found, **options)
        else:
            self.writer = JournalWriter(self.run_dir, first_seq=first_seq, **options)

    def _found(self, slots):
        self._account(slots)
        if self._on_batch is not None:
            self._on_batch()

    def _account(self, slots):
        health_records = self.hasher.count(EventType.EV_HEALTH)
        self.hasher.update(slots)
        if self.hasher.count(EventType.EV_HEALTH) != health_records:
            self.orderly = engine_stopped(slots)

    def append(self, slots):
        self._account(self.writer.append(slots))

    def write_summary(self):
        """Write summary.json from the whole journal; returns its dict."""
        summary = {
            "output_hash": self.hasher.hexdigest(), "events": sum(self.hasher.counts_by_type.values()),
            "inputs": self.hasher.inputs, "outputs": self.hasher.outputs, "records": self.hasher.names(),
            "first_seq": self.writer.first_seq, "last_seq": self.writer.written_seq,
            "missed_slots": self.writer.missed_slots, "verifiable": self.writer.missed_slots == 0,
            "orderly": self.orderly, "layout_hash": f"{LAYOUT_HASH:016x}"}
        path = self.run_dir / "summary.json"
        try:
            write_whole(path, json.dumps(summary, indent=1).encode())
        except OSError as e:
            raise JournalDiskError(path, "write", e) from None
        return summary


def read_config(run_dir):
    path = run_dir / "config.json"
    try:
        return path.read_bytes()
    except OSError as e:
        raise JournalError(f"{path}: expected the run's configuration, found {e.strerror}") from None


def engine_stopped(slots):
    """Whether the engine's last record is among these slots."""
    return bool((records(slots, EventType.EV_HEALTH)["kind"] == HealthKind.HEALTH_STOPPED).any())


def drain_stale_ring(state_dir, instance, *, patience_s=JOURNAL_PATIENCE_S, **options):
    """Append to its run's journal what the ring of a killed engine holds beyond it, write the run's summary.json, and
    remove the instance's stale segments. The caller holds the instance's lock.

    options : of JournalWriter. Returns the summary with run_dir and appended_slots, or None: there was no such ring.
    Errors: RunError, JournalError: the segments are left for the operator. Killed in the middle, it is simply run again.
    """
    name = segment_name(instance, "ring")
    if name not in list_segments(instance):
        reclaim_stale_segments(instance)
        return None
    try:
        ring = attach_segment(instance, "ring")
    except SegmentError as e:
        raise RunError(f"{e}; it is left as it is: look at it with the version that wrote it, or remove it") from None
    with ring:
        if ring.owner_alive():
            return None
        wait_for_journal_process(instance, patience_s)
        run_dir = Path(state_dir) / instance / "runs" / str(ring.epoch)
        if not run_dir.is_dir():
            raise RunError(f"{name}: expected the run directory {run_dir} of the engine that left it, found none; "
                           "the ring is left as it is")
        reader = EventReader(ring.buffer, 1)
        journal = RunJournal(run_dir, instance=instance, epoch=ring.epoch, first_seq=reader.next_seq, **options)
        appended_slots = 0
        try:
            if not journal.writer.is_final:
                before = journal.writer.written_seq
                missed = journal.writer.missed_slots
                reader = EventReader(ring.buffer, before + 1)
                while len(slots := reader.read(BATCH_SLOTS)):
                    journal.append(slots)
                appended_slots = journal.writer.written_seq - before - (journal.writer.missed_slots - missed)
        finally:
            journal.writer.close(final=journal.orderly and not journal.writer.is_final)
        summary = journal.write_summary()
    reclaim_stale_segments(instance)
    return {**summary, "run_dir": str(run_dir), "appended_slots": appended_slots}


def wait_for_journal_process(instance, patience_s):
    """Until no journal process of a run before is at work; it drains the ring itself."""
    deadline_s = time.monotonic() + patience_s
    while True:
        try:
            with attach_segment(instance, "journal") as page:
                if not page.owner_alive():
                    return
                pid = page.pid
        except SegmentError:
            return
        if time.monotonic() > deadline_s:
            raise RunError(f"{segment_name(instance, 'journal')}: expected the journal of the last run to end within "
                           f"{patience_s:.0f} s, found it running (pid {pid})")
        time.sleep(POLL_S)


def reclaim_stale_segments(instance):
    """Remove the segments of an instance whose owners are dead. The ring goes last: it is what the others explain."""
    names = sorted(list_segments(instance), key=lambda name: name == segment_name(instance, "ring"))
    for name in names:
        reclaim_if_stale(instance, name.split(".", 2)[2])
