"""JournalWriter writes the slots of one run; GroupSync syncs it from a thread of its own. Cold for the engine.

See journal_format.py for the files.
"""
import contextlib
import ctypes
import errno
import os
import threading
import time
from pathlib import Path

import numpy as np

from tickpath.shm.journal_fast import crc32, sequence_break
from tickpath.shm.journal_format import (
    BLOCK_FINAL,
    BLOCK_GAP,
    BLOCK_HEADER_BYTES,
    BLOCK_MAX_SLOTS,
    CONTINUATION,
    INDEX_ENTRY,
    RECORD_MAX_SLOTS,
    SEGMENT_HEADER_BYTES,
    SEGMENT_MAX_BYTES,
    SLOT_BYTES,
    JournalDiskError,
    JournalError,
    SegmentHeader,
    config_hash,
    index_file,
    pack_block_header,
    segment_file,
    segment_numbers,
    whole_slot_count,
)
from tickpath.shm.journal_reader import JournalReader, read_index
from tickpath.types import SLOT_DTYPE

FALLOC_FL_KEEP_SIZE = 1                # <linux/falloc.h>
_libc = ctypes.CDLL(None, use_errno=True)
_libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]


def reserve_space(fd, offset, size_bytes):
    """Reserve a file's space beyond its end without making it longer. Raises OSError; a file system that cannot do it
    is fine, there a full disk shows later."""
    if size_bytes <= 0:
        return
    while _libc.fallocate(fd, FALLOC_FL_KEEP_SIZE, offset, size_bytes) != 0:
        number = ctypes.get_errno()
        if number in (errno.EOPNOTSUPP, errno.ENOSYS):
            return
        if number != errno.EINTR:
            raise OSError(number, os.strerror(number))


class OpenSegment:
    """The file of one segment and its index, open for writing at the end."""

    def __init__(self, run_dir, number, *, flags, with_index=True):
        self.number = number
        self.path = segment_file(run_dir, number)
        self.size_bytes = 0
        self.fd = self.index_fd = -1
        with self._failing("open"):
            self.fd = os.open(self.path, os.O_WRONLY | os.O_CLOEXEC | flags, 0o640)
        if not with_index:
            return
        try:
            self.index_fd = os.open(index_file(self.path), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
        except OSError:
            pass                           # the reader does without

    @contextlib.contextmanager
    def _failing(self, what):
        try:
            yield
        except OSError as e:
            raise JournalDiskError(self.path, what, e) from None

    def reserve(self, segment_max_bytes):
        with self._failing("preallocate"):
            reserve_space(self.fd, self.size_bytes, segment_max_bytes - self.size_bytes)

    def cut(self, size_bytes):
        """Let the file end here, and go on from here."""
        with self._failing("truncate"):
            os.ftruncate(self.fd, size_bytes)
            os.lseek(self.fd, size_bytes, os.SEEK_SET)
        self.size_bytes = size_bytes

    def write(self, *parts):
        """One writev; when the disk takes only a part, that part is taken back and the error raised."""
        size = sum(len(part) for part in parts)
        with self._failing("write"):
            try:
                written = os.writev(self.fd, parts)
                # A short count on a file means that the next byte has no room; asking for it names the reason.
                while written < size:
                    written += os.write(self.fd, b"".join(bytes(part) for part in parts)[written:])
            except OSError:
                with contextlib.suppress(OSError):         # what cannot be taken back is cut by the reader as a torn tail
                    os.ftruncate(self.fd, self.size_bytes)
                raise
        self.size_bytes += size

    def write_index(self, entries):
        if self.index_fd >= 0:
            try:
                os.write(self.index_fd, entries)
            except OSError:
                os.close(self.index_fd)                    # from here on the reader makes the entries itself
                self.index_fd = -1

    def sync(self):
        with self._failing("fsync"):
            os.fdatasync(self.fd)

    def release(self):
        """Give back what was reserved beyond the end."""
        with self._failing("truncate"):
            os.ftruncate(self.fd, self.size_bytes)

    def close(self):
        for fd in (self.fd, self.index_fd):
            if fd >= 0:
                os.close(fd)
        self.fd = self.index_fd = -1


class JournalWriter:
    """Writes the slots of one run, for the one process that journals it.

    Parameters: run_dir : holds config.json, and no segment yet.  config_bytes : the bytes of config.json.
                segment_max_bytes : a segment that would grow beyond it ends, and the next begins; its space is reserved
                when it is made, so that a full disk shows then.
                fsync_interval_s : what GroupSync waits between the beginnings of two syncs; 0: back to back.
                first_seq : sequence expected first.
    Threads:    `append` and `close` belong to one thread; `sync` may be called by one other.
    Errors:     JournalError. The first failure of the disk is final: every later call raises it again, for a failed
                fsync may have dropped what it did not write (fsync(2), NOTES).
    Blocks:     `append` on the disk's cache, `sync` on the disk; an `append` never waits for a `sync`.
    """

    def __init__(self, run_dir, *, first_seq=1, **options):
        self._set_up(run_dir, first_seq, **options)
        try:
            found = segment_numbers(self.run_dir)
        except OSError as e:
            raise JournalError(f"{self.run_dir}: run directory: expected a directory, found {e.strerror}") from None
        if found:
            raise JournalError(f"{segment_file(self.run_dir, found[0])}: expected no journal in a new run's directory, "
                               f"found {len(found)} segment(s)")
        with self._latching():
            self._directory_fd = self._open_directory()
            self._begin_segment(1, 0)

    @classmethod
    def resume(cls, run_dir, *, on_batch=None, **options):
        """A writer that goes on where another one was killed. All of the journal is read and checked on the way,
        on_batch(slots) called with each batch; a torn tail is cut. A journal that ended in order gives a writer that is
        closed already, `is_final`. Errors: JournalError, JournalDamage: then nothing was changed."""
        reader = JournalReader(run_dir)
        writer = cls.__new__(cls)
        writer._set_up(reader.run_dir, reader.first_seq, **options)
        for what, expected, found in (("instance", writer._instance, reader.instance),
                                      ("epoch", writer._epoch, reader.epoch)):
            if expected != found:
                raise JournalError(f"{reader.run_dir}: {what}: expected {expected}, found a journal of {found}")
        for batch in reader.batches():
            if on_batch is not None:
                on_batch(batch)
        writer._written_seq = reader.last_seq
        writer._missed_slots = reader.missed_slots
        writer.is_final = reader.final
        if not reader.final:
            with writer._latching():
                writer._continue(reader)
            writer.sync()
        writer._synced_seq = writer._written_seq
        return writer

    def _set_up(self, run_dir, first_seq, *, instance, epoch, config_bytes, segment_max_bytes=SEGMENT_MAX_BYTES,
                fsync_interval_s=0.05):
        smallest = SEGMENT_HEADER_BYTES + 2 * BLOCK_HEADER_BYTES + RECORD_MAX_SLOTS * SLOT_BYTES
        if segment_max_bytes < smallest:
            raise ValueError(f"segment_max_bytes: expected at least {smallest}, found {segment_max_bytes}")
        self.run_dir = Path(run_dir)
        self.fsync_interval_s = fsync_interval_s
        self.is_final = False
        self._instance, self._epoch, self._config_hash = instance, epoch, config_hash(config_bytes)
        self._segment_max_bytes = segment_max_bytes
        self._segment = None
        self._directory_fd = -1
        self._chain_crc = 0
        self._held = np.empty(0, SLOT_DTYPE)        # the first slots of a record whose rest is still to come
        self._first_seq = first_seq
        self._written_seq = first_seq - 1           # last one in a file
        self._synced_seq = first_seq - 1            # last one on the disk
        self._missed_slots = 0
        # Between the thread that appends and the one that syncs: which segments are to be synced, and how far each is.
        self._lock = threading.Lock()
        self._ended = []                            # full segments, not synced yet
        self._names_unsynced = False
        self._written_bytes = self._synced_bytes = 0
        self._failure = None

    @property
    def first_seq(self):
        return self._first_seq

    @property
    def written_seq(self):
        """Last sequence that is in a file; outlives this process, not a power cut."""
        return self._written_seq

    @property
    def synced_seq(self):
        """Last sequence that is on the disk."""
        return self._synced_seq

    @property
    def missed_slots(self):
        """Sequences between the first and the last written that are not in the journal."""
        return self._missed_slots

    @property
    def failure(self):
        """The JournalDiskError that ended it, or None."""
        return self._failure

    @property
    def path(self):
        """The segment being written."""
        return self._segment.path if self._segment is not None else self.run_dir

    def append(self, slots):
        """Write an array of SLOT_DTYPE with consecutive sequences; returns the slots written by this call: without an
        unfinished last record, which is held back until its rest comes, and with the one held back before. What it
        returns may be the array it was given."""
        self._check_usable()
        if slots.dtype != SLOT_DTYPE:
            raise ValueError(f"slots: expected an array of SLOT_DTYPE, found {slots.dtype}")
        if len(slots) == 0:
            return slots
        first, expected = int(slots["seq"][0]), self._written_seq + len(self._held) + 1
        if first < expected:
            raise JournalError(f"{self.path}: slots: expected sequence {expected} or a later one, found {first}")
        wrong = sequence_break(slots, first)
        if wrong >= 0:
            raise JournalError(f"{self.path}: slots: expected sequence {first + wrong}, found {slots['seq'][wrong]}")
        if first > expected:
            # Lapped. Halves of records on both sides of the gap are of no use to anybody.
            self._held = self._held[:0]
            whole = np.flatnonzero(slots["type"][:RECORD_MAX_SLOTS] != CONTINUATION)
            slots = slots[whole[0] if len(whole) else len(slots):]
        elif len(self._held):
            slots = np.concatenate([self._held, slots])
        keep = whole_slot_count(slots)
        self._held = slots[keep:].copy()
        slots = np.ascontiguousarray(slots[:keep])
        start = 0
        while start < keep:
            end = min(start + BLOCK_MAX_SLOTS, keep)
            for _ in range(RECORD_MAX_SLOTS - 1):
                if end < keep and slots["type"][end] == CONTINUATION:
                    end -= 1
            with self._latching():
                self._write_block(slots[start:end])
            start = end
        return slots

    def sync(self):
        """Wait until everything written before this call is on the disk, full segments first."""
        with self._lock:
            self._check_usable()
            written_seq, written_bytes = self._written_seq, self._written_bytes
            if written_bytes == self._synced_bytes:
                return
            ended, self._ended = self._ended, []
            segment, names_unsynced, self._names_unsynced = self._segment, self._names_unsynced, False
        with self._latching():
            for full in ended:
                full.release()
                full.sync()
                full.close()
            segment.sync()
            if names_unsynced:
                # The name of a new file is data of its directory (fsync(2)).
                try:
                    os.fsync(self._directory_fd)
                except OSError as e:
                    raise JournalDiskError(self.run_dir, "fsync", e) from None
        with self._lock:
            self._check_usable()           # a failure meanwhile: no success is told after one
            self._synced_seq, self._synced_bytes = written_seq, written_bytes

    def finish(self):
        """Write the mark of the orderly end: the reader then accepts nothing behind it."""
        self._check_usable()
        with self._latching():
            self._write(self._block_header(BLOCK_FINAL, 0, self._written_seq + 1, 0, 0))
        self.is_final = True

    def close(self, final=True):
        """Sync and close; `final` finishes first."""
        if self._segment is None:
            return
        try:
            if self._failure is None:
                if final:
                    self.finish()
                with self._latching():
                    self._segment.release()
                self.sync()
        finally:
            for segment in (*self._ended, self._segment):
                segment.close()
            os.close(self._directory_fd)
            self._ended, self._segment, self._directory_fd = [], None, -1

    # ---- what they are made of
    def _check_usable(self):
        if self._failure is not None:
            raise self._failure
        if self._segment is None:
            raise JournalError(f"{self.path}: expected an open journal, found it closed")

    @contextlib.contextmanager
    def _latching(self):
        try:
            yield
        except JournalDiskError as e:
            if self._failure is None:
                self._failure = e
            raise

    def _block_header(self, flags, slot_count, first_seq, payload_crc, first_ts_ns):
        head, self._chain_crc = pack_block_header(flags=flags, slot_count=slot_count, first_seq=first_seq,
                                                  payload_crc=payload_crc, previous_crc=self._chain_crc,
                                                  first_ts_ns=first_ts_ns)
        return head

    def _write_block(self, slots):
        block_bytes = BLOCK_HEADER_BYTES + slots.nbytes
        first, first_ts_ns = int(slots["seq"][0]), int(slots["ts_recv_ns"][0])
        size_bytes = self._segment.size_bytes
        if size_bytes + block_bytes > self._segment_max_bytes and size_bytes > SEGMENT_HEADER_BYTES:
            self._begin_segment(self._segment.number + 1, first_ts_ns)
        payload = slots.view(np.uint8).data
        gap = first - self._written_seq - 1
        offset = self._segment.size_bytes
        self._write(self._block_header(BLOCK_GAP if gap else 0, len(slots), first, crc32(payload), first_ts_ns), payload,
                    written_seq=first + len(slots) - 1)
        self._segment.write_index(np.array([(offset, first, first_ts_ns, self._chain_crc, len(slots))], INDEX_ENTRY))
        self._missed_slots += gap

    def _write(self, *parts, written_seq=None):
        before = self._segment.size_bytes
        self._segment.write(*parts)
        with self._lock:
            self._written_bytes += self._segment.size_bytes - before
            if written_seq is not None:
                self._written_seq = written_seq

    def _open_directory(self):
        try:
            return os.open(self.run_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as e:
            raise JournalDiskError(self.run_dir, "open", e) from None

    def _begin_segment(self, number, first_ts_ns):
        if self._segment is not None:
            # The one place that waits for the disk: the new file's name may be on it at once, and a power cut must not leave
            # a torn segment with a successor, which is damage to every reader.
            self._segment.sync()
        segment = OpenSegment(self.run_dir, number, flags=os.O_CREAT | os.O_EXCL)
        try:
            segment.reserve(self._segment_max_bytes)
            head, crc = SegmentHeader.pack(
                segment_no=number, previous_crc=self._chain_crc, first_seq=self._written_seq + 1, epoch=self._epoch,
                created_ns=time.time_ns(), first_ts_ns=first_ts_ns, config_hash=self._config_hash, instance=self._instance)
            segment.write(head)
        except JournalDiskError:
            segment.close()
            raise
        with self._lock:
            if self._segment is not None:
                self._ended.append(self._segment)
            self._segment, self._chain_crc = segment, crc
            self._names_unsynced = True
            self._written_bytes += segment.size_bytes

    def _continue(self, reader):
        """Open the last segment of a journal that was read to its end, behind its last whole block."""
        self._directory_fd = self._open_directory()
        for number in segment_numbers(self.run_dir):
            path = segment_file(self.run_dir, number)
            if number > reader.end_segment_no:
                # A crash left it without its header.
                try:
                    os.unlink(path)
                except OSError as e:
                    raise JournalDiskError(path, "unlink", e) from None
        for number in range(1, reader.end_segment_no):
            # Whoever was killed may have ended these without syncing them.
            full = OpenSegment(self.run_dir, number, flags=0, with_index=False)
            try:
                full.sync()
            finally:
                full.close()
        self._segment = OpenSegment(self.run_dir, reader.end_segment_no, flags=0)
        self._segment.cut(reader.end_offset)
        self._segment.reserve(self._segment_max_bytes)
        self._segment.write_index(read_index(self._segment.path, from_file=False))
        self._chain_crc = reader.end_crc
        self._names_unsynced = True
        self._written_bytes += reader.end_offset


class GroupSync(threading.Thread):
    """Syncs a JournalWriter from a thread of its own, so that a slow disk never stops whoever appends.

    Parameters: writer : its fsync_interval_s is waited between the beginnings of two syncs.
                on_synced : called from this thread after each sync that succeeded.
    A failure ends the thread; it stands in writer.failure.
    """

    def __init__(self, writer, on_synced):
        super().__init__(name="journal-sync", daemon=True)       # a disk that hangs must not keep the process
        self._writer = writer
        self._on_synced = on_synced
        self._work = threading.Event()
        self._finishing = threading.Event()

    def wake(self):
        """Something was appended."""
        self._work.set()

    def finish(self):
        """Sync what is written by now, and end; `join` waits for it."""
        self._finishing.set()
        self._work.set()

    def run(self):
        while True:
            self._work.wait()
            finishing = self._finishing.is_set()
            self._work.clear()
            begin_s = time.monotonic()
            try:
                self._writer.sync()
            except JournalError:
                return
            self._on_synced()
            if finishing:
                return
            self._finishing.wait(max(begin_s + self._writer.fsync_interval_s - time.monotonic(), 0))
