"""POSIX shared-memory segments: create, attach, recognise a dead owner's, remove.

Every segment opens with the same 128-byte header, so that a reader of another version refuses with the reason:

    offset  field
    0       magic         8 bytes, b"TICKPATH"
    8       kind          u32, see KINDS
    12      version       u32, LAYOUT_VERSION
    16      layout_hash   u64, over every record layout
    24      size_bytes    u64
    32      pid           u64, the owner's
    40      pid_start     u64, the owner's start time in clock ticks since boot (field 22 of /proc/PID/stat)
    48      epoch         u64, of the run
    56      slot_count    u64, kind-specific
    64      instance      64 bytes, zero-padded UTF-8

Names are `/tickpath.<instance>.<kind>`. A segment is filled under a name of its own and then linked to the final one,
so that nobody ever finds one without its header. Errors are SegmentError, text: expected, found, where.
"""
import contextlib
import fcntl
import grp
import mmap
import os
import re
import struct

import posix_ipc

from tickpath.types import LAYOUT_HASH, LAYOUT_VERSION

MAGIC = b"TICKPATH"
HEADER = struct.Struct("<8sIIQQQQQQ64s")
HEADER_BYTES = 128
KINDS = {"ring": 1, "state": 2, "feed": 3, "journal": 4, "lane": 5, "clocks": 6}
MADV_POPULATE_WRITE = 23          # <asm-generic/mman-common.h>, Linux 5.14; not in Python's mmap
UNFINISHED = ".new-"              # and a pid, behind the name of a segment that is still being made
SHM_DIR = "/dev/shm"              # where Linux keeps POSIX shared memory (shm_overview(7))


class SegmentError(Exception):
    """A shared-memory segment that is absent, foreign, or owned by somebody alive."""


def process_start_ticks(pid):
    """Start time of a process in clock ticks since boot, or None when there is no such process.

    Errors: OSError when nobody can tell (no file handle left): a living owner must not pass for a dead one.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as f:
            stat = f.read()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The command name, in parentheses, may hold spaces: count fields behind its closing one.
    fields = stat[stat.rindex(b")") + 2:].split()
    if fields[0] in (b"Z", b"X"):
        return None
    return int(fields[19])


def check_instance_name(instance):
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,31}", instance):
        raise SegmentError(f"instance name: expected 1 to 32 characters of [a-z0-9_-], found {instance!r}")
    return instance


def segment_name(instance, kind):
    """`/tickpath.<instance>.<kind>`; kind may carry a suffix ("feed.binance")."""
    return f"/tickpath.{check_instance_name(instance)}.{kind}"


class Segment:
    """A mapped segment. `buffer` is the whole mapping (a writable or read-only memoryview of bytes)."""

    def __init__(self, name, mapping, header, owner):
        self.name = name
        self.mapping = mapping
        self.buffer = memoryview(mapping)
        self.kind, self.pid, self.pid_start, self.epoch, self.slot_count, self.instance = header
        self._owner = owner

    def owner_alive(self):
        return process_start_ticks(self.pid) == self.pid_start

    def close(self):
        """Unmaps where nobody else still holds a view; the owner also removes the name."""
        # A forked child inherits this object, but the segment stays its parent's.
        if self._owner and self.pid == os.getpid():
            with contextlib.suppress(posix_ipc.ExistentialError):
                posix_ipc.unlink_shared_memory(self.name)
        self._owner = False
        # A compiled reader or writer that still holds the memory refuses this; the mapping then goes with it.
        with contextlib.suppress(BufferError):
            self.buffer.release()
            self.mapping.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


def create_segment(instance, kind, size_bytes, *, epoch=0, slot_count=0, mode=0o640, group=""):
    """Create and own a segment; its pages are reserved and touched now, so that a full file system fails here, and they are
    huge pages where /dev/shm is mounted with huge=advise or always.

    A segment of the same name whose owner is dead is removed first; one whose owner lives raises SegmentError.
    """
    name = segment_name(instance, kind)
    kind_number = _kind_number(kind)
    pid = os.getpid()
    pid_start = process_start_ticks(pid)
    reclaim_if_stale(instance, kind)
    unfinished = f"{name}{UNFINISHED}{pid}"
    with contextlib.suppress(posix_ipc.ExistentialError):
        posix_ipc.unlink_shared_memory(unfinished)         # of a process that had our pid and was killed here
    for left in list_segments(instance):
        if left.startswith(name + UNFINISHED):
            reclaim_if_stale(instance, left.split(".", 2)[2])
    shm = posix_ipc.SharedMemory(unfinished, posix_ipc.O_CREX, mode=mode)
    try:
        if group:
            _give_to_group(shm.fd, name, group)
        os.fchmod(shm.fd, mode)                            # the umask took bits off: a lane's client needs its 0660
        mapping = _map_reserved(shm.fd, name, size_bytes)
        mapping[:HEADER.size] = HEADER.pack(MAGIC, kind_number, LAYOUT_VERSION, LAYOUT_HASH, size_bytes, pid, pid_start,
                                            epoch, slot_count, instance.encode())
        try:
            os.link(SHM_DIR + unfinished, SHM_DIR + name)
        except FileExistsError:
            raise SegmentError(f"{name}: expected no such segment, found one: instance {instance!r} is "
                               "running") from None
    finally:
        shm.unlink()
        shm.close_fd()
    return Segment(name, mapping, (kind, pid, pid_start, epoch, slot_count, instance), owner=True)


def _map_reserved(fd, name, size_bytes):
    """Map a new segment with every page in place. Touching a page that the file system cannot give would be SIGBUS:
    MADV_POPULATE_WRITE reports it instead, and fallocate then says why."""
    try:
        os.ftruncate(fd, size_bytes)
        mapping = mmap.mmap(fd, size_bytes, flags=mmap.MAP_SHARED)
        with contextlib.suppress(OSError):                 # a kernel without transparent huge pages
            mapping.madvise(mmap.MADV_HUGEPAGE)
        with contextlib.suppress(OSError):                 # Linux before 5.14, or no room: fallocate decides
            mapping.madvise(MADV_POPULATE_WRITE)
        os.posix_fallocate(fd, 0, size_bytes)
    except OSError as e:
        status = os.statvfs(SHM_DIR)
        raise SegmentError(f"{name}: expected {size_bytes} bytes of shared memory, found {e.strerror}: "
                           f"{SHM_DIR} has {status.f_bavail * status.f_frsize} bytes free") from None
    return mapping


def private_memory(size_bytes):
    """Zeroed memory of this process alone (a mapping), in huge pages where the kernel gives them, every page in place."""
    mapping = mmap.mmap(-1, size_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for advice in (mmap.MADV_HUGEPAGE, MADV_POPULATE_WRITE):
        with contextlib.suppress(OSError):                 # a kernel without them: pages come when they are touched
            mapping.madvise(advice)
    return mapping


def _give_to_group(fd, name, group):
    try:
        os.fchown(fd, -1, grp.getgrnam(group).gr_gid)
    except KeyError:
        raise SegmentError(f"{name}: expected a group of this machine, found {group!r}") from None
    except PermissionError:
        raise SegmentError(f"{name}: expected to be a member of group {group!r}, found not") from None


def _kind_number(kind):
    number = KINDS.get(kind.split(".")[0])
    if number is None:
        raise SegmentError(f"segment kind: expected one of {', '.join(KINDS)}, found {kind!r}")
    return number


def attach_segment(instance, kind, *, writable=False):
    """Map somebody else's segment, read-only unless told. Refuses another layout, size or kind with the reason."""
    name = segment_name(instance, kind)
    try:
        shm = posix_ipc.SharedMemory(name, flags=0, read_only=not writable)
    except posix_ipc.ExistentialError:
        raise SegmentError(f"{name}: expected a running instance {instance!r}, found no such segment") from None
    except posix_ipc.PermissionsError:
        raise SegmentError(f"{name}: expected permission to open it, found none (owner or group only)") from None
    try:
        size_bytes = os.fstat(shm.fd).st_size
        if size_bytes < HEADER_BYTES:
            raise SegmentError(f"{name}: expected at least {HEADER_BYTES} bytes, found {size_bytes}")
        prot = mmap.PROT_READ | (mmap.PROT_WRITE if writable else 0)
        mapping = mmap.mmap(shm.fd, size_bytes, flags=mmap.MAP_SHARED, prot=prot)
    finally:
        shm.close_fd()
    return Segment(name, mapping, check_header(mapping, name, kind, size_bytes), owner=False)


def check_header(mapping, name, kind, size_bytes):
    """Validate a segment header; returns (kind, pid, pid_start, epoch, slot_count, instance)."""
    magic, found_kind, version, layout_hash, size, pid, pid_start, epoch, slot_count, instance = HEADER.unpack(
        mapping[:HEADER.size])
    for what, expected, found in (("magic", MAGIC, magic), ("kind", _kind_number(kind), found_kind),
                                  ("layout version", LAYOUT_VERSION, version),
                                  ("layout hash", f"{LAYOUT_HASH:016x}", f"{layout_hash:016x}"),
                                  ("size", size_bytes, size)):
        if expected != found:
            raise SegmentError(f"{name}: {what}: expected {expected}, found {found}")
    return kind, pid, pid_start, epoch, slot_count, instance.rstrip(b"\0").decode(errors="replace")


def reclaim_if_stale(instance, kind):
    """Remove a segment whose owner is dead; True when one was removed."""
    name = segment_name(instance, kind)
    if UNFINISHED in kind and process_start_ticks(int(kind.split(UNFINISHED)[1])) is not None:
        return False                                       # somebody is making it just now
    try:
        shm = posix_ipc.SharedMemory(name, flags=0, read_only=True)
    except posix_ipc.ExistentialError:
        return False
    try:
        head = os.pread(shm.fd, HEADER.size, 0)
        if len(head) == HEADER.size and head[:8] == MAGIC:
            fields = HEADER.unpack(head)
            if process_start_ticks(fields[5]) == fields[6]:
                return False
        # Two processes may find the same dead owner: whoever comes second must not remove the first one's new segment.
        # The lock is on the segment itself, and the name is compared with it while the lock is held.
        try:
            fcntl.flock(shm.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.stat(SHM_DIR + name).st_ino != os.fstat(shm.fd).st_ino:
                return False
        except (BlockingIOError, FileNotFoundError):
            return False
        posix_ipc.unlink_shared_memory(name)
        return True
    finally:
        shm.close_fd()


def list_segments(instance):
    """Names of the segments an instance has now."""
    prefix = f"tickpath.{check_instance_name(instance)}."
    return sorted("/" + entry for entry in os.listdir("/dev/shm") if entry.startswith(prefix))
