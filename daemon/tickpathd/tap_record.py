"""`tickpath tap record`: the event stream of a running engine, written to a directory of its own.

Everything goes to a journal (tickpath.shm.journal) that JournalReader and `tickpath replay` read. With types chosen, each
goes to `<type>.npy`, a NumPy array of that record's dtype, which is loadable at any time while it grows. Beside either
stand `config.json` and, at the end, `recording.json`: what was recorded, and every gap.

The ring is mapped read-only and the engine never waits for it: where the disk is slower than the engine, the ring laps
the recording, which then holds a gap and says so.
"""
import json
import os
import time
from pathlib import Path

import numpy as np

from tickpath.shm.journal import JournalError, JournalWriter, segment_numbers
from tickpath.shm.journal_format import CONTINUATION, whole_slot_count
from tickpath.shm.ring import EventReader, records
from tickpath.types import DTYPES, EVENT_NAMES, LAYOUT_HASH, SLOT_DTYPE, EventType, HealthKind
from tickpathd.durable import write_whole

BATCH_SLOTS = 4096                # one block of the journal
IDLE_SLEEP_S = 0.002
OWNER_CHECK_INTERVAL_S = 0.05     # of an idle ring; a check reads /proc
FSYNC_INTERVAL_S = 1.0            # the engine's own journal may stand on the same disk, and comes first
MAX_GAPS_LISTED = 1000
TYPE_NUMBERS = {name: kind for kind, name in EVENT_NAMES.items() if name not in ("none", "cont")}


class RecordStream:
    """Whole records of a ring, in order. `missed_slots` is what laps cost, exact, with the halves of records torn by them.

    Parameters: reader : EventReader.  The first batch may begin inside a record; what is left of that one is skipped.
    """

    def __init__(self, reader):
        self.reader = reader
        self.next_seq = reader.next_seq          # of the first slot not given out yet
        self.missed_slots = 0
        self.gaps = []                           # (first missing sequence, slots)
        self._held = np.empty(0, SLOT_DTYPE)     # the first slot of a record whose rest is still to come
        self._begun = False

    def read(self):
        """The next slots that are whole records: array of SLOT_DTYPE, may be empty."""
        slots = self.reader.read(BATCH_SLOTS)
        if not len(slots):
            return slots
        if len(self._held):
            if int(slots["seq"][0]) == int(self._held["seq"][-1]) + 1:
                slots = np.concatenate([self._held, slots])
            self._held = self._held[:0]
        if not self._begun or int(slots["seq"][0]) != self.next_seq:
            whole = np.flatnonzero(slots["type"] != CONTINUATION)
            slots = slots[whole[0] if len(whole) else len(slots):]
            if not len(slots):
                return slots
            self._note_gap(int(slots["seq"][0]))
        keep = whole_slot_count(slots)
        self._held = slots[keep:].copy()
        self._begun = True
        self.next_seq = int(slots["seq"][0]) + keep
        return slots[:keep]

    def _note_gap(self, first_seq):
        # What stood before the first record was never asked for; only what a lap took counts.
        lost = first_seq - self.next_seq if self._begun else self.reader.missed_slots
        if lost > 0:
            self.missed_slots += lost
            if len(self.gaps) < MAX_GAPS_LISTED:
                self.gaps.append((self.next_seq, lost))


class OwnerWatch:
    """Whether the engine still lives, asked at most every OWNER_CHECK_INTERVAL_S."""

    def __init__(self, segment):
        self.segment = segment
        self._next_mono_s = 0.0

    def ended(self):
        now = time.monotonic()
        if now < self._next_mono_s:
            return False
        self._next_mono_s = now + OWNER_CHECK_INTERVAL_S
        return not self.segment.owner_alive()


def run_config_bytes(segment):
    """config.json of the run that owns a segment, as it stands on disk, or None where it cannot be read.

    The engine's process names its run's directory on its command line (see engine_process.py).
    """
    try:
        process = Path(f"/proc/{segment.pid}")
        words = (process / "cmdline").read_bytes().decode().split("\0")
        run_dir = Path(os.readlink(process / "cwd")) / words[words.index("--run-dir") + 1]
        data = (run_dir / "config.json").read_bytes()
        header = json.loads(data)
    except (OSError, ValueError, IndexError):
        return None
    return data if isinstance(header, dict) and header.get("epoch") == segment.epoch else None


class JournalSink:
    """All records, as a journal."""

    def __init__(self, output, segment, config_bytes, first_seq):
        self.writer = JournalWriter(output, instance=segment.instance, epoch=segment.epoch, config_bytes=config_bytes,
                                    first_seq=first_seq)
        self._synced_mono_s = time.monotonic()
        self._run_ended = False

    def append(self, slots):
        self.writer.append(slots)
        health = records(slots, EventType.EV_HEALTH)
        self._run_ended = bool((health["kind"] == HealthKind.HEALTH_STOPPED).any())
        if time.monotonic() - self._synced_mono_s > FSYNC_INTERVAL_S:
            self.writer.sync()
            self._synced_mono_s = time.monotonic()
        return int((slots["type"] != CONTINUATION).sum())

    def close(self):
        self.writer.close(final=self._run_ended)
        return {"format": "journal", "files": [f"segment-{n:06d}.tpj" for n in segment_numbers(self.writer.run_dir)]}


class ArrayFile:
    """One growing .npy file: rows are appended, then the header's row count is written again."""

    def __init__(self, path, dtype):
        self.path, self.dtype, self.row_count = path, dtype, 0
        # numpy.lib.format leaves room in the header for the first axis to grow.
        self._file = open(path, "xb")
        self._write_header()

    def _write_header(self):
        self._file.seek(0)
        np.lib.format.write_array_header_1_0(self._file, {
            "descr": np.lib.format.dtype_to_descr(self.dtype), "fortran_order": False, "shape": (self.row_count,)})
        self._file.flush()

    def append(self, rows):
        self._file.seek(0, os.SEEK_END)
        self._file.write(np.ascontiguousarray(rows).tobytes())
        self._file.flush()
        self.row_count += len(rows)
        self._write_header()

    def close(self):
        os.fsync(self._file.fileno())
        self._file.close()


class ArraySink:
    """Records of chosen types, as one .npy file each."""

    def __init__(self, output, types):
        self.files = {kind: ArrayFile(output / f"{EVENT_NAMES[kind]}.npy", DTYPES[kind]) for kind in types}

    def append(self, slots):
        count = 0
        for kind, file in self.files.items():
            rows = records(slots, kind)
            if len(rows):
                file.append(rows)
                count += len(rows)
        return count

    def close(self):
        for file in self.files.values():
            file.close()
        return {"format": "npy", "files": [file.path.name for file in self.files.values()],
                "rows": {EVENT_NAMES[kind]: file.row_count for kind, file in self.files.items()}}


def first_records(slots, types, count):
    """The slots up to the end of the count-th record (of these types, if any)."""
    kinds = slots["type"]
    begins = np.flatnonzero(np.isin(kinds, types) if types else kinds != CONTINUATION)
    if len(begins) <= count:
        return slots
    end = int(begins[count - 1]) + 1
    while kinds[end] == CONTINUATION:
        end += 1
    return slots[:end]


def prepared_directory(output):
    """The output directory, made where it is missing. Raises JournalError when it holds a recording already."""
    try:
        output.mkdir(parents=True, exist_ok=True)
        found = sorted(entry.name for entry in output.iterdir())
    except OSError as e:
        raise JournalError(f"{output}: expected a writable directory, found {e.strerror}") from None
    if found:
        raise JournalError(f"{output}: expected an empty directory, found {found[0]} in it")
    return output


def record(instance, output, *, duration_s=None, count=None, types=(), start="latest", stop=lambda: False, progress=None):
    """Record until `count` records are written, duration_s is over, the engine has ended or `stop()`; returns a dict.

    Parameters: types : numbers of EventType; none means everything.  start : latest, or oldest: with what the ring still
                holds.  progress : called with (records, slots, missed_slots).
    Errors: SegmentError (no such instance), JournalError (directory, disk).
    """
    reader = EventReader.attach(instance, start)
    segment = reader.segment
    output = prepared_directory(Path(output))
    config_bytes = run_config_bytes(segment)
    config_copied = config_bytes is not None
    if not config_copied:
        config_bytes = json.dumps({"recorded_from": instance, "epoch": segment.epoch,
                                   "layout_hash": f"{LAYOUT_HASH:016x}"}).encode()
    stream, watch = RecordStream(reader), OwnerWatch(segment)
    end_mono_s = time.monotonic() + duration_s if duration_s is not None else None
    sink, first_seq, last_seq, written, slot_count, ended_by = None, None, None, 0, 0, None
    try:
        write_whole(output / "config.json", config_bytes)
        while ended_by is None:
            owner_ended = watch.ended()          # asked before the ring is read: what it wrote last is then read, too
            slots = stream.read()
            if len(slots):
                if sink is None:
                    first_seq = int(slots["seq"][0]) - stream.missed_slots
                    sink = new_sink(output, segment, config_bytes, first_seq, types)
                if count is not None:
                    slots = first_records(slots, types, count - written)
                written += sink.append(slots)
                slot_count += len(slots)
                last_seq = int(slots["seq"][-1])
                if count is not None and written >= count:
                    ended_by = "count"
            elif owner_ended:
                ended_by = "engine"
            else:
                time.sleep(IDLE_SLEEP_S)
            if progress is not None:
                progress(written, slot_count, stream.missed_slots)
            if ended_by is None and stop():
                ended_by = "interrupt"
            if ended_by is None and end_mono_s is not None and time.monotonic() >= end_mono_s:
                ended_by = "duration"
        if sink is None:
            sink = new_sink(output, segment, config_bytes, stream.next_seq, types)
        result = {"instance": instance, "epoch": segment.epoch, "output": str(output), **sink.close(),
                  "types": [EVENT_NAMES[kind] for kind in types], "first_seq": first_seq, "last_seq": last_seq,
                  "records": written, "slots_read": slot_count, "missed_slots": stream.missed_slots,
                  "gaps": [{"first_seq": seq, "slots": lost} for seq, lost in stream.gaps], "ended_by": ended_by,
                  "config_copied": config_copied, "layout_hash": f"{LAYOUT_HASH:016x}"}
        write_whole(output / "recording.json", json.dumps(result, indent=1).encode())
    except OSError as e:
        raise JournalError(f"{output}: expected the disk to take the recording, found {e.strerror}") from None
    return result


def new_sink(output, segment, config_bytes, first_seq, types):
    return ArraySink(output, types) if types else JournalSink(output, segment, config_bytes, first_seq)
