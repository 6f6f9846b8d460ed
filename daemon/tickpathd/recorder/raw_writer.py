"""RawWriter: the thread that takes frames out of the lane, compresses them in blocks and writes them to files.

A block is written when it is full or half a second old, so that a killed process loses no more than that. When the disk is full
the block at hand is tried again and again while the lane fills behind it; what then finds no room there is counted as dropped,
and the sockets go on. The files: tickpath/raw_capture.py.
"""
import contextlib
import os
import threading
import time
from pathlib import Path
from typing import NamedTuple

import zstandard

from tickpath.raw_capture import FINAL, ZSTD, pack_block_header, pack_header
from tickpath.venues.frame_tap import FrameDrain

BLOCK_BYTES = 256 << 10
FLUSH_S = 0.5
SYNC_S = 5.0
IDLE_SLEEP_S = 0.02
RETRY_S = 0.25
ZSTD_LEVEL = 3


class VenueFiles(NamedTuple):
    """Where a venue's frames go. metadata: as raw_capture.py wants it."""
    name: str
    directory: Path
    metadata: dict


class RawFile:
    """One file of a recording, open for writing at its end. It has its name only once its header is there."""

    def __init__(self, directory, stamp, segment_no, metadata):
        head, self.crc = pack_header(metadata, created_ns=time.time_ns(), segment_no=segment_no)
        self.path = directory / f"{stamp}-{segment_no:06d}.tpraw"
        unfinished = self.path.with_name(self.path.name + ".new")
        self.size_bytes = 0
        self.fd = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
        try:
            self.write(head)
            os.link(unfinished, self.path)         # unlike a rename it refuses a name that is taken
        except OSError:
            os.close(self.fd)
            raise
        finally:
            with contextlib.suppress(OSError):
                os.unlink(unfinished)
        # The name of a new file is data of its directory (fsync(2)); without it a power cut takes the file.
        with contextlib.suppress(OSError):
            directory_fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(directory_fd)
            finally:
                os.close(directory_fd)
        self.created_s = time.monotonic()
        self.blocks = 0

    def write(self, *parts):
        """All of it or, with an OSError, nothing."""
        size = sum(map(len, parts))
        try:
            written = os.writev(self.fd, parts)
            while written < size:                  # the next byte has no room; asking for it names the reason
                written += os.write(self.fd, b"".join(parts)[written:])
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self.fd, self.size_bytes)
                os.lseek(self.fd, self.size_bytes, os.SEEK_SET)
            raise
        self.size_bytes += size

    def close(self):
        with contextlib.suppress(OSError):
            os.fdatasync(self.fd)
        os.close(self.fd)


class VenueWriter:
    """One venue's files, one after another. Errors of the disk are the caller's to try again."""

    def __init__(self, files, segment_bytes, segment_s):
        self.files, self.segment_bytes, self.segment_s = files, segment_bytes, segment_s
        self.file = None
        self.segment_no = 0
        self.paths = []
        self.closed_bytes = 0
        self.stored_frames = 0
        self.lost_frames = 0                       # given up by the writer itself, at its end
        self.since_s = None                        # when the block at hand got its first frame

    @property
    def stored_bytes(self):
        return self.closed_bytes + (self.file.size_bytes if self.file is not None else 0)

    def store(self, payload, *, flags, dropped, **counts):
        """Append a block; begins or changes the file where that is due."""
        if self.file is not None and self.file.blocks and (
                self.file.size_bytes + len(payload) > self.segment_bytes
                or time.monotonic() - self.file.created_s > self.segment_s):
            self.end(dropped)
        if self.file is None:
            self._begin()
        head, crc = pack_block_header(flags=flags, payload=payload, first_frame_no=self.stored_frames + 1,
                                      dropped_frames=dropped, previous_crc=self.file.crc, **counts)
        self.file.write(head, payload)
        self.file.crc = crc
        self.file.blocks += 1
        self.stored_frames += counts["frame_count"]

    def _begin(self):
        self.files.directory.mkdir(parents=True, exist_ok=True)
        while True:
            self.segment_no += 1
            try:
                self.file = RawFile(self.files.directory, time.strftime("%Y%m%d-%H%M%S", time.gmtime()), self.segment_no,
                                    self.files.metadata)
            except FileExistsError:                # of a recording that began in this very second
                continue
            except OSError:
                self.segment_no -= 1
                raise
            self.paths.append(self.file.path)
            return

    def end(self, dropped):
        """Write the mark of the orderly end and close the file."""
        head, _ = pack_block_header(flags=FINAL, payload=b"", frames_bytes=0, frame_count=0, first_ts_ns=0, last_ts_ns=0,
                                    first_frame_no=self.stored_frames + 1, dropped_frames=dropped, previous_crc=self.file.crc)
        self.file.write(head)
        self.abandon()

    def abandon(self):
        """Close the file as it is."""
        if self.file is not None:
            self.closed_bytes += self.file.size_bytes
            self.file.close()
            self.file = None


class RawWriter(threading.Thread):
    """Parameters: lane : FeedLaneReader behind `tap`.  tap : FrameTap, for what it dropped.  venues : {slot: VenueFiles}.
                segment_bytes, segment_s : a file that has grown or aged beyond it ends, and the next begins.
                say : called with one line when the disk stops taking frames, and when it takes them again.
    A failure that is not the disk's ends the thread and stands in `failure`.
    """

    def __init__(self, lane, tap, venues, *, segment_bytes=256 << 20, segment_s=3600.0, block_bytes=BLOCK_BYTES, say=print):
        super().__init__(name="raw-writer", daemon=True)       # a disk that hangs must not keep the process
        self.tap, self.say = tap, say
        self.drain = FrameDrain(lane, block_bytes)
        self.venues = {slot: VenueWriter(files, segment_bytes, segment_s) for slot, files in venues.items()}
        self.compressor = zstandard.ZstdCompressor(level=ZSTD_LEVEL)
        self.stopping = threading.Event()
        self.paused = None                         # the disk's reason, while it takes nothing
        self.pauses = 0
        self.failure = None
        self.next_sync_s = time.monotonic() + SYNC_S

    # ---- of other threads
    def stop(self):
        """Write what is in the lane by now, and end; `join` waits for it."""
        self.stopping.set()

    def counts(self):
        """{venue: {frames, stored, dropped, bytes_raw, bytes_stored, files}}; frames = stored + dropped once it has ended."""
        result = {}
        for slot, venue in self.venues.items():
            frames, _, frames_bytes = self.tap.counts(slot)
            result[venue.files.name] = {"frames": frames, "stored": venue.stored_frames, "dropped": self._dropped(slot),
                                        "bytes_raw": frames_bytes, "bytes_stored": venue.stored_bytes,
                                        "files": [str(path) for path in venue.paths]}
        return result

    # ---- of its own
    def run(self):
        try:
            self._run()
        except BaseException as e:                 # whatever it is, somebody must hear of it: the frames are lost
            self.failure = e
            for venue in self.venues.values():
                venue.abandon()

    def _run(self):
        while True:
            stopping = self.stopping.is_set()      # asked before the lane is: what was in it by then is written
            slot = self.drain.drain()
            if slot is not None:
                self._seal(slot)
                continue
            now_s = time.monotonic()
            for slot, venue in self.venues.items():
                if not self.drain.blocks[slot].frame_count:
                    continue
                if venue.since_s is None:
                    venue.since_s = now_s
                if stopping or now_s - venue.since_s >= FLUSH_S:
                    self._seal(slot)
            if stopping:
                break
            if now_s >= self.next_sync_s:
                self._sync()
            self.stopping.wait(IDLE_SLEEP_S)
        for slot, venue in self.venues.items():
            if venue.file is not None:
                self._until_taken(lambda slot=slot, venue=venue: venue.end(self._dropped(slot)))
                venue.abandon()

    def _dropped(self, slot):
        return self.tap.counts(slot)[1] + self.venues[slot].lost_frames

    def _seal(self, slot):
        block, venue = self.drain.blocks[slot], self.venues[slot]
        frames = block.bytes()
        packed = self.compressor.compress(frames)
        flags, payload = (ZSTD, packed) if len(packed) < len(frames) else (0, frames)
        taken = self._until_taken(lambda: venue.store(
            payload, flags=flags, dropped=self._dropped(slot), frames_bytes=len(frames), frame_count=block.frame_count,
            first_ts_ns=block.first_ts_ns, last_ts_ns=block.last_ts_ns))
        if not taken:
            venue.lost_frames += block.frame_count
        block.clear()
        venue.since_s = None

    def _until_taken(self, work):
        """Do it until the disk takes it; False when the recording ends before."""
        while True:
            try:
                work()
            except OSError as e:
                if self.paused is None:
                    self.pauses += 1
                    self.say(f"raw frames: expected the disk to take them, found {e.strerror}: paused, the feeds go on and what "
                             "finds no room in memory is counted as dropped")
                self.paused = e.strerror or str(e)
                if self.stopping.wait(RETRY_S):
                    return False
                continue
            if self.paused is not None:
                self.paused = None
                dropped = sum(self._dropped(slot) for slot in self.venues)
                self.say(f"raw frames: the disk takes them again; {dropped} frames were dropped so far")
            return True

    def _sync(self):
        for venue in self.venues.values():
            if venue.file is not None:
                with contextlib.suppress(OSError):             # the next write says what is wrong
                    os.fdatasync(venue.file.fd)
        self.next_sync_s = time.monotonic() + SYNC_S
