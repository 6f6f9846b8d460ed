"""`tickpath doctor`: what of this machine helps or hinders the daemon, one line a check, each with the command to run.

A check is a function of the directories it reads (`root` is / but in tests) and returns a Check. What cannot be read is a
warning with the reason, never an error: a doctor that dies helps nobody. Nothing compiled is imported here, so that
`python -m tickpathd.doctor` also runs on a processor that the compiled core was not built for.
"""
import ctypes
import importlib.util
import os
import platform
import re
import resource
import struct
import subprocess
import sys
import sysconfig
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

OK, WARN, FAIL = "ok", "warn", "fail"
MB = 1 << 20
FDATASYNC_WRITES = 20
FDATASYNC_BYTES = 4096
FDATASYNC_WARN_MS = 20.0
CLOCK_WARN_MS = 10.0
MIN_OPEN_FILES = 1024
SEGMENT_MAX_BYTES = 256 * MB                  # of a journal segment, see tickpath.shm.journal
VOLATILE_FILE_SYSTEMS = ("tmpfs", "ramfs")
REMOTE_FILE_SYSTEMS = ("nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "ceph", "glusterfs")
# What each psABI level asks of /proc/cpuinfo (System V x86-64 supplement, section 3.1.1); a level holds those below it.
MARCH_FLAGS = {
    "x86-64": (),
    "x86-64-v2": ("cx16", "lahf_lm", "popcnt", "sse4_1", "sse4_2", "ssse3"),
    "x86-64-v3": ("avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave"),
    "x86-64-v4": ("avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"),
}


@dataclass(frozen=True)
class Check:
    name: str
    status: str
    found: str
    advice: str = ""


class Unreadable(Exception):
    """A file or call that does not answer; the text says which and why."""


def read_text(path):
    try:
        return Path(path).read_text().strip()
    except OSError as e:
        raise Unreadable(f"{path}: {e.strerror}") from None
    except ValueError as e:
        raise Unreadable(f"{path}: {e}") from None


def parse_cpu_list(text):
    """The kernel's "0-2,5" as a set of int."""
    result = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.strip().partition("-")
        try:
            result.update(range(int(first), int(last or first) + 1))
        except ValueError:
            raise Unreadable(f"expected a list of processors, found {text!r}") from None
    return result


def cpu_list_text(cpus):
    return ",".join(map(str, sorted(cpus))) or "none"


def bytes_text(count):
    for unit, size in (("GiB", 1 << 30), ("MiB", MB), ("KiB", 1024)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"


def chosen(text):
    """The value in brackets of "always [madvise] never"."""
    found = re.search(r"\[(\S+)\]", text)
    if found is None:
        raise Unreadable(f"expected one value in brackets, found {text!r}")
    return found[1]


def cpu_flags(root):
    found = re.search(r"^(?:flags|Features)\s*:(.*)$", read_text(Path(root, "proc/cpuinfo")), flags=re.M)
    if found is None:
        raise Unreadable(f"{Path(root, 'proc/cpuinfo')}: expected a line of flags, found none")
    return set(found[1].split())


# ---- processors

def check_processors(root, affinity):
    online = parse_cpu_list(read_text(Path(root, "sys/devices/system/cpu/online")))
    found = f"{len(online)} online ({cpu_list_text(online)}), {len(affinity)} of them for this process"
    if len(affinity & online) < 2:
        return Check("processors", WARN, found, "give the daemon at least 2: engine, journal and feeder share one now "
                                                f"(taskset -pc {cpu_list_text(online)} $$)")
    return Check("processors", OK, found)


def check_engine_core(root, core, affinity):
    online = parse_cpu_list(read_text(Path(root, "sys/devices/system/cpu/online")))
    usable = sorted(online & affinity)
    choice = usable[-1] if usable else 0
    if core == -1:
        return Check("engine core", WARN, "instance.core = -1: the engine is not pinned",
                     f"--set instance.core={choice}")
    if core not in online:
        return Check("engine core", FAIL, f"instance.core = {core}, online are {cpu_list_text(online)}",
                     f"--set instance.core={choice}")
    if core not in affinity:
        return Check("engine core", FAIL, f"instance.core = {core}, this process may use {cpu_list_text(affinity)}",
                     f"--set instance.core={choice}, or taskset -c {core},{cpu_list_text(affinity)} tickpath run …")
    return Check("engine core", OK, f"instance.core = {core}, online and allowed")


def check_isolation(root, core):
    base = Path(root, "sys/devices/system/cpu")
    isolated = parse_cpu_list(read_text(base / "isolated"))
    try:
        text = read_text(base / "nohz_full")
        tickless = parse_cpu_list("" if text == "(null)" else text)
        tickless_text = cpu_list_text(tickless)
    except Unreadable:
        tickless, tickless_text = set(), "not in this kernel"
    found = f"isolated {cpu_list_text(isolated)}, nohz_full {tickless_text}"
    if core >= 0 and core in isolated and (core in tickless or tickless_text == "not in this kernel"):
        return Check("isolated cores", OK, found)
    wanted = core if core >= 0 else "N"
    return Check("isolated cores", WARN, found,
                 f"kernel command line: isolcpus=managed_irq,domain,{wanted} nohz_full={wanted} rcu_nocbs={wanted}"
                 + ("" if core >= 0 else ", and --set instance.core=N"))


def check_smt(root, core):
    base = Path(root, "sys/devices/system/cpu")
    cores = [core] if core >= 0 else sorted(parse_cpu_list(read_text(base / "online")))
    sharing = []
    for cpu in cores:
        siblings = parse_cpu_list(read_text(base / f"cpu{cpu}" / "topology" / "thread_siblings_list")) - {cpu}
        if siblings:
            sharing.append(f"{cpu} with {cpu_list_text(siblings)}")
            other = min(siblings)
    which = f"core {core}" if core >= 0 else "every core"
    if not sharing:
        return Check("SMT siblings", OK, f"{which} has none")
    advice = f"echo 0 > /sys/devices/system/cpu/cpu{other}/online" if core >= 0 else \
        "echo off > /sys/devices/system/cpu/smt/control"
    return Check("SMT siblings", WARN, f"shared: {'; '.join(sharing[:4])}{' …' if len(sharing) > 4 else ''}", advice)


def check_governor(root):
    files = sorted(Path(root, "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_governor"))
    if not files:
        if "hypervisor" in cpu_flags(root):
            return Check("frequency governor", OK, "no cpufreq (virtual machine)")
        return Check("frequency governor", WARN, "no cpufreq driver: who sets the frequency is unknown",
                     "choose the performance profile in the firmware, or: modprobe acpi-cpufreq")
    governors = sorted({read_text(path) for path in files})
    if governors == ["performance"]:
        return Check("frequency governor", OK, f"performance on {len(files)} processors")
    return Check("frequency governor", WARN, ", ".join(governors), "cpupower frequency-set -g performance")


def check_virtualisation(root):
    if "hypervisor" not in cpu_flags(root):
        return Check("virtualisation", OK, "none seen")
    return Check("virtualisation", WARN, "hypervisor flag: figures of a virtual machine jump",
                 "measure on the machine that will trade, several times, and compare p50 rather than p99.9")


# ---- clocks

def check_clock_source(root):
    base = Path(root, "sys/devices/system/clocksource/clocksource0")
    source = read_text(base / "current_clocksource")
    if source == "tsc":
        return Check("clock source", OK, "tsc")
    try:
        available = read_text(base / "available_clocksource").split()
    except Unreadable:
        available = []
    return Check("clock source", WARN, f"{source}: reading the time is a system call or slow",
                 f"echo tsc > {base / 'current_clocksource'}" if "tsc" in available else
                 "kernel command line: tsc=reliable (only where the hypervisor promises it)")


def check_tsc(root):
    flags = cpu_flags(root)
    missing = [name for name in ("constant_tsc", "nonstop_tsc") if name not in flags]
    if missing:
        return Check("invariant TSC", WARN, f"flags missing: {', '.join(missing)}",
                     "latency figures in ns are wrong when the frequency changes: cpupower frequency-set -g performance")
    return Check("invariant TSC", OK, "constant_tsc nonstop_tsc")


class Timex(ctypes.Structure):
    """struct timex of <sys/timex.h>."""
    _fields_ = [("modes", ctypes.c_uint), ("offset", ctypes.c_long), ("freq", ctypes.c_long), ("maxerror_us", ctypes.c_long),
                ("esterror_us", ctypes.c_long), ("status", ctypes.c_int), ("constant", ctypes.c_long),
                ("precision", ctypes.c_long), ("tolerance", ctypes.c_long), ("time_s", ctypes.c_long),
                ("time_fraction", ctypes.c_long), ("tick", ctypes.c_long), ("ppsfreq", ctypes.c_long),
                ("jitter", ctypes.c_long), ("shift", ctypes.c_int), ("stabil", ctypes.c_long), ("jitcnt", ctypes.c_long),
                ("calcnt", ctypes.c_long), ("errcnt", ctypes.c_long), ("stbcnt", ctypes.c_long), ("tai", ctypes.c_int),
                ("reserved", ctypes.c_int * 11)]


STA_UNSYNC, STA_NANO = 0x0040, 0x2000         # <sys/timex.h>


def read_timex():
    """The kernel's clock discipline; reading it needs no privilege (adjtimex(2))."""
    timex = Timex()
    if ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex)) < 0:
        raise Unreadable(f"adjtimex: {os.strerror(ctypes.get_errno())}")
    return timex


def check_clock_offset(timex):
    offset_ms = timex.offset / (1e6 if timex.status & STA_NANO else 1e3)
    found = f"offset {offset_ms:+.3f} ms, maximum error {timex.maxerror_us / 1e3:.1f} ms"
    if timex.status & STA_UNSYNC:
        return Check("clock offset", WARN, f"not synchronised (STA_UNSYNC); {found}",
                     "apt-get install chrony, or timedatectl set-ntp true")
    if abs(offset_ms) > CLOCK_WARN_MS:
        return Check("clock offset", WARN, found, "chronyc makestep (while no engine runs)")
    return Check("clock offset", OK, found)


# ---- memory

def check_venue_clock(name, settings, ask=None):
    """A venue's clock against this machine's, asked now of its time endpoint. ask : () -> venue_clock.Offset, for tests."""
    from tickpathd import venue_clock
    from tickpathd.feeds.protocol import protocol_of
    from tickpathd.rest import Rest
    title = f"clock of {name}"
    try:
        found = ask() if ask else venue_clock.measured(Rest(protocol_of(settings).rest_url, settings.ca_file), settings.kind)
    except venue_clock.PROBE_ERRORS as e:
        return Check(title, WARN, f"unknown: the venue's time cannot be asked: {e}", "check the network and venues.*.rest_url")
    if venue_clock.is_beyond(found, settings.max_clock_offset_ms):
        return Check(title, WARN, f"the venue's clock minus ours: expected at most {settings.max_clock_offset_ms} ms, "
                                  f"found {found.text()}",
                     "set this machine's clock: systemctl enable --now systemd-timesyncd (or chrony)")
    return Check(title, OK, f"the venue's clock minus ours: {found.text()}")


def meminfo_bytes(root):
    """{name: bytes, or a count where /proc/meminfo gives no unit}."""
    result = {}
    for line in read_text(Path(root, "proc/meminfo")).splitlines():
        found = re.match(r"(\w+(?:\(\w+\))?):\s+(\d+)( kB)?$", line)
        if found:
            result[found[1]] = int(found[2]) * (1024 if found[3] else 1)
    return result


def check_huge_pages(root):
    memory = meminfo_bytes(root)
    pool = (f"{memory['HugePages_Total']} of {bytes_text(memory['Hugepagesize'])}, {memory['HugePages_Free']} free"
            if {"HugePages_Total", "HugePages_Free", "Hugepagesize"} <= memory.keys() else "none in this kernel")
    # shmem_enabled rules what has no mount (memfd, SysV); segments stand on the tmpfs of /dev/shm, with an option of its own.
    mounts = [line.split() for line in read_text(Path(root, "proc/mounts")).splitlines()]
    options = next((m[3].split(",") for m in reversed(mounts) if len(m) > 3 and m[1] == "/dev/shm"), [])
    huge = next((o.removeprefix("huge=") for o in options if o.startswith("huge=")), "never")
    found = f"/dev/shm huge={huge}; pool {pool} (this version uses none of it)"
    if huge == "never":
        return Check("huge pages", WARN, f"{found}: the ring is mapped in 4 KiB pages", "mount -o remount,huge=advise /dev/shm")
    return Check("huge pages", OK, found)


def check_transparent_huge_pages(root):
    value = chosen(read_text(Path(root, "sys/kernel/mm/transparent_hugepage/enabled")))
    if value == "always":
        return Check("transparent huge pages", WARN, "always: the kernel may stop a process to collect a huge page",
                     "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled")
    return Check("transparent huge pages", OK, value)


def check_swap(root):
    devices = read_text(Path(root, "proc/swaps")).splitlines()[1:]
    swappiness = read_text(Path(root, "proc/sys/vm/swappiness"))
    if not devices:
        return Check("swap", OK, f"off (swappiness {swappiness})")
    return Check("swap", WARN, f"{len(devices)} area(s) on, swappiness {swappiness}: a page fault from disk takes ms",
                 "swapoff -a, or sysctl vm.swappiness=0")


def check_shared_memory(shm_dir, needed_bytes, root):
    """needed_bytes: {segment kind: bytes} of one instance."""
    total = sum(needed_bytes.values())
    parts = ", ".join(f"{kind} {bytes_text(size)}" for kind, size in needed_bytes.items())
    try:
        space = os.statvfs(shm_dir)
    except OSError as e:
        return Check("shared memory", FAIL, f"{shm_dir}: {e.strerror}", f"mount -t tmpfs tmpfs {shm_dir}")
    free = space.f_bavail * space.f_frsize
    found = f"{bytes_text(total)} needed ({parts}), {bytes_text(free)} free in {shm_dir}"
    if free < total:
        size_mb = (space.f_blocks * space.f_frsize + 2 * total) // MB + 1
        return Check("shared memory", FAIL, found, f"mount -o remount,size={size_mb}m {shm_dir}, or a smaller "
                                                   "--set storage.ring_slots=65536")
    if not os.access(shm_dir, os.W_OK | os.X_OK):
        return Check("shared memory", FAIL, f"{shm_dir}: not writable", f"chmod 1777 {shm_dir}")
    available = meminfo_bytes(root).get("MemAvailable")
    if available is not None and available < total:
        return Check("shared memory", FAIL, f"{found}, but only {bytes_text(available)} of memory available",
                     "a smaller --set storage.ring_slots=65536")
    return Check("shared memory", OK, found)


def check_locked_memory(limits, needed_bytes):
    """limits: (soft, hard) of RLIMIT_MEMLOCK."""
    soft = limits[0]
    if soft == resource.RLIM_INFINITY:
        return Check("locked memory", OK, "unlimited")
    found = f"limit {bytes_text(soft)}, segments {bytes_text(needed_bytes)}"
    if soft >= needed_bytes:
        return Check("locked memory", OK, found)
    return Check("locked memory", WARN, found, "ulimit -l unlimited, or LimitMEMLOCK=infinity in the unit")


def check_open_files(limits):
    """limits: (soft, hard) of RLIMIT_NOFILE."""
    soft = limits[0]
    if soft == resource.RLIM_INFINITY or soft >= MIN_OPEN_FILES:
        return Check("open files", OK, "unlimited" if soft == resource.RLIM_INFINITY else f"limit {soft}")
    return Check("open files", WARN, f"limit {soft}, expected at least {MIN_OPEN_FILES}",
                 f"ulimit -n {MIN_OPEN_FILES}, or LimitNOFILE={MIN_OPEN_FILES} in the unit")


# ---- disk

def file_system_of(path, root):
    """Type of the file system that holds a path, from mountinfo (proc(5))."""
    path = str(path)
    best, kind = "", None
    for line in read_text(Path(root, "proc/self/mountinfo")).splitlines():
        before, separator, behind = line.partition(" - ")
        fields = before.split()
        if not separator or len(fields) < 5:
            continue
        mount = re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), fields[4])
        inside = path == mount or path.startswith(mount.rstrip("/") + "/")
        # Of two mounts on one point the later one is seen.
        if inside and len(mount) >= len(best):
            best, kind = mount, behind.split()[0]
    if kind is None:
        raise Unreadable(f"{Path(root, 'proc/self/mountinfo')}: no mount holds {path}")
    return kind


def nearest_existing(path):
    path = Path(path).absolute()
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def check_state_directory(path, root, segment_bytes=SEGMENT_MAX_BYTES):
    base = nearest_existing(path)
    if not base.is_dir():
        return Check("state directory", FAIL, f"{base}: not a directory", "--set storage.dir=/var/lib/tickpath")
    if not os.access(base, os.W_OK | os.X_OK):
        return Check("state directory", FAIL, f"{base}: not writable",
                     f"install -d -o {os.geteuid()} {path}, or --set storage.dir=DIR")
    space = os.statvfs(base)
    free = space.f_bavail * space.f_frsize
    kind = file_system_of(base, root)
    there = "" if base == Path(path).absolute() else " (will be made)"
    found = f"{path}{there}: {kind}, {bytes_text(free)} free, a segment takes {bytes_text(segment_bytes)}"
    if free < segment_bytes:
        return Check("state directory", FAIL, found, "delete old runs (…/runs/<epoch>), or --set storage.dir=DIR")
    if kind in VOLATILE_FILE_SYSTEMS:
        return Check("state directory", WARN, f"{found}; a restart of the machine loses it", "--set storage.dir=DIR on a disk")
    if kind in REMOTE_FILE_SYSTEMS:
        return Check("state directory", WARN, f"{found}; over a network", "--set storage.dir=DIR on a local disk")
    if free < 4 * segment_bytes:
        return Check("state directory", WARN, found, "delete old runs (…/runs/<epoch>), or --set storage.dir=DIR")
    return Check("state directory", OK, found)


def fdatasync_times_ms(directory):
    """Sorted times of FDATASYNC_WRITES appended blocks, each made durable."""
    times = []
    with tempfile.TemporaryFile(dir=directory, buffering=0) as f:
        for _ in range(FDATASYNC_WRITES):
            begin = time.perf_counter()
            f.write(b"\0" * FDATASYNC_BYTES)
            os.fdatasync(f.fileno())
            times.append((time.perf_counter() - begin) * 1e3)
    return sorted(times)


def check_fdatasync(path, warn_ms=FDATASYNC_WARN_MS):
    base = nearest_existing(path)
    try:
        times = fdatasync_times_ms(base)
    except OSError as e:
        return Check("disk sync", FAIL, f"{base}: {e.strerror}", "--set storage.dir=DIR")
    found = (f"fdatasync of {FDATASYNC_BYTES} bytes, {len(times)} times: p50 {times[len(times) // 2]:.2f} ms, "
             f"max {times[-1]:.2f} ms")
    if times[-1] > warn_ms:
        return Check("disk sync", WARN, found, "a disk with power-loss protection: --set storage.dir=DIR; until then "
                                               "--set storage.fsync_interval_ms=200")
    return Check("disk sync", OK, found)


# ---- kernel

def kernel_config(root, release):
    """The kernel's build configuration as text, or None where it is not kept."""
    import gzip
    try:
        return gzip.decompress(Path(root, "proc/config.gz").read_bytes()).decode()
    except (OSError, EOFError, ValueError):
        pass
    try:
        return Path(root, f"boot/config-{release}").read_text()
    except (OSError, ValueError):
        return None


def check_kernel(root, release):
    version = read_text(Path(root, "proc/version"))
    model = re.search(r"\bPREEMPT(?:_RT|_DYNAMIC|_LAZY)?\b", version)
    parts = [release, model[0] if model else "no kernel preemption"]
    try:
        parts.append(f"now {chosen(read_text(Path(root, 'sys/kernel/debug/sched/preempt')).replace('(', '[').replace(')', ']'))}")
    except Unreadable:
        pass                           # debugfs is root's, and often not mounted
    config = kernel_config(root, release)
    tick = re.search(r"^CONFIG_HZ=(\d+)$", config or "", flags=re.M)
    parts.append(f"{tick[1]} Hz" if tick else "Hz unknown (no kernel configuration kept)")
    return Check("kernel", OK, ", ".join(parts))


# ---- what runs, what was left, what was built

SEGMENT_HEAD = struct.Struct("<8sIIQQQQ")     # the first fields of a segment's header, see tickpath.shm.segment


def start_ticks(pid, root):
    """Start time of a process in clock ticks since boot, or None when there is none or it is a zombie."""
    try:
        stat = Path(root, "proc", str(pid), "stat").read_bytes()
    except OSError:
        return None
    fields = stat[stat.rindex(b")") + 2:].split()
    return None if fields[0] in (b"Z", b"X") else int(fields[19])


def check_segments(shm_dir, root):
    live, stale, odd = set(), [], []
    try:
        names = sorted(name for name in os.listdir(shm_dir) if name.startswith("tickpath."))
    except OSError as e:
        raise Unreadable(f"{shm_dir}: {e.strerror}") from None
    for name in names:
        path = Path(shm_dir, name)
        try:
            with open(path, "rb") as f:
                head = f.read(SEGMENT_HEAD.size)
        except FileNotFoundError:
            continue
        except OSError as e:
            odd.append(f"{name} ({e.strerror})")
            continue
        if len(head) < SEGMENT_HEAD.size or head[:8] != b"TICKPATH":
            stale.append(name)
            continue
        *_, pid, pid_start = SEGMENT_HEAD.unpack(head)
        if start_ticks(pid, root) == pid_start:
            live.add(name.split(".")[1])
        else:
            stale.append(name)
    running = f"running: {', '.join(sorted(live))}" if live else "no instance running"
    if stale:
        return Check("left segments", WARN, f"of dead instances: {', '.join(stale)}; {running}",
                     "start that instance again, which reclaims them, or rm " + " ".join(str(Path(shm_dir, n)) for n in stale))
    if odd:
        return Check("left segments", WARN, f"unreadable: {', '.join(odd)}; {running}", "run it as the daemon's user")
    return Check("left segments", OK, running)


def required_flags(march):
    """Flags that a -march level needs, or None when it is no level we know."""
    if march not in MARCH_FLAGS:
        return None
    levels = list(MARCH_FLAGS)
    return [flag for level in levels[:levels.index(march) + 1] for flag in MARCH_FLAGS[level]]


def build_marchs(package_dir):
    """{-march value} that the compiler left in the modules' debugging information."""
    found = set()
    for path in Path(package_dir).rglob("*.so"):
        found.update(m.decode() for m in re.findall(rb"GNU C(?:\d+|\+\+\d+) [^\0]*?-march=([\w.-]+)", path.read_bytes()))
    return found


def check_core(root, package_dir):
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    modules = sorted(Path(package_dir).rglob("*.so"))
    own = [path for path in modules if path.name.endswith(suffix)]
    python = f"Python {platform.python_version()}"
    if not own:
        others = sorted({path.name.split(".", 1)[1] for path in modules})
        return Check("compiled core", FAIL, f"{python} needs modules *{suffix}, found {', '.join(others) or 'none'} in "
                                            f"{package_dir}", f"make clean && make build PYTHON={sys.executable}")
    marchs = build_marchs(package_dir)
    flags = cpu_flags(root)
    for march in sorted(marchs):
        missing = [flag for flag in required_flags(march) or () if flag not in flags]
        if missing:
            return Check("compiled core", FAIL, f"built for {march}, this processor lacks {', '.join(missing)}",
                         "touch setup.py && TICKPATH_MARCH=x86-64-v2 make build")
    names = [".".join(["tickpath", *path.relative_to(package_dir).parts[:-1], path.name.split(".")[0]]) for path in own]
    # In a process of its own: an instruction that this processor does not have ends it, not us.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(package_dir).parent), *filter(None, sys.path)])}
    done = subprocess.run([sys.executable, "-c", f"import importlib\nfor n in {names!r}: importlib.import_module(n)"],
                          capture_output=True, text=True, timeout=60, env=environment)
    if done.returncode != 0:
        why = (f"signal {-done.returncode}" if done.returncode < 0 else (done.stderr.strip().splitlines() or ["no reason"])[-1])
        return Check("compiled core", FAIL, f"loading the modules ended with {why}", "touch setup.py && make build")
    built = f"built for {', '.join(sorted(marchs))}" if marchs else "build flags not kept"
    if not marchs:
        return Check("compiled core", WARN, f"{python}, {len(own)} modules load, {built}: only that they load is known",
                     "touch setup.py && make build")
    return Check("compiled core", OK, f"{python}, {len(own)} modules load, {built}")


# ---- all of them

def segment_needs(config):
    """{segment kind: bytes} of one instance of a configuration."""
    from tickpath.shm.feed_lane import feed_lane_bytes
    from tickpath.shm.lane import lane_bytes
    from tickpath.shm.ring import ring_bytes
    from tickpath.shm.state_page import state_page_bytes
    return {"ring": ring_bytes(config.storage.ring_slots), "feed lane": feed_lane_bytes(config.storage.feed_bytes),
            "state page": state_page_bytes(), "command lanes": sum(lane_bytes(lane.slots) for lane in config.lanes.values())}


def attempt(name, work):
    """The Check that `work()` returns, or a warning that says why there is none."""
    try:
        return work()
    except Exception as e:             # whatever this machine answers, the other checks go on
        reason = str(e) if isinstance(e, Unreadable) else f"{type(e).__name__}: {e}"
        return Check(name, WARN, f"unknown: {reason}", "check it by hand")


def examine(config, *, root="/", shm_dir="/dev/shm", package_dir=None):
    """All checks of this machine for one configuration, in the order in which they are shown: list of Check."""
    core = config.instance.core
    affinity = os.sched_getaffinity(0)
    if package_dir is None:
        package_dir = importlib.util.find_spec("tickpath").submodule_search_locations[0]
    result = [attempt("compiled core", lambda: check_core(root, package_dir))]
    needs = {}
    if result[0].status != FAIL:
        result += examine_storage(config, root, shm_dir, needs)
    result += [attempt(name, work) for name, work in (
        ("left segments", lambda: check_segments(shm_dir, root)),
        ("processors", lambda: check_processors(root, affinity)),
        ("engine core", lambda: check_engine_core(root, core, affinity)),
        ("isolated cores", lambda: check_isolation(root, core)),
        ("SMT siblings", lambda: check_smt(root, core)),
        ("frequency governor", lambda: check_governor(root)),
        ("virtualisation", lambda: check_virtualisation(root)),
        ("clock source", lambda: check_clock_source(root)),
        ("invariant TSC", lambda: check_tsc(root)),
        ("clock offset", lambda: check_clock_offset(read_timex())),
        ("huge pages", lambda: check_huge_pages(root)),
        ("transparent huge pages", lambda: check_transparent_huge_pages(root)),
        ("swap", lambda: check_swap(root)),
        ("locked memory", lambda: check_locked_memory(resource.getrlimit(resource.RLIMIT_MEMLOCK), sum(needs.values()))),
        ("open files", lambda: check_open_files(resource.getrlimit(resource.RLIMIT_NOFILE))),
        ("kernel", lambda: check_kernel(root, platform.release())),
    )]
    result += [attempt(f"clock of {name}", lambda name=name, settings=settings: check_venue_clock(name, settings))
               for name, settings in config.venues.items() if not settings.kind.startswith(("capture:", "ccxt:"))]
    return result


def examine_storage(config, root, shm_dir, needs):
    """The checks that ask the compiled core: what a configuration needs goes into `needs`."""
    from tickpathd.run_dir import state_dir

    def space():
        needs.update(segment_needs(config))
        return check_shared_memory(shm_dir, needs, root)
    storage = state_dir(config)
    segment_bytes = getattr(config.storage, "segment_mb", SEGMENT_MAX_BYTES // MB) * MB
    return [attempt("shared memory", space),
            attempt("state directory", lambda: check_state_directory(storage, root, segment_bytes)),
            attempt("disk sync", lambda: check_fdatasync(storage))]


def report(checks):
    """What `tickpath doctor --json` prints."""
    return {"checks": [asdict(check) for check in checks], "ok": all(check.status != FAIL for check in checks)}


# Enough of a configuration for the checks when no file is given; every other key has its default.
NO_CONFIG = ("venues.none.kind=capture:none",
             'instruments=[{venue="none", symbol="A/B", venue_symbol="AB", tick_size="1", lot_size="1"}]')


def main():
    """The defaults' checks as plain lines: for a machine on which the `tickpath` command itself does not start."""
    from tickpathd.config import load_config
    result = examine(load_config([], NO_CONFIG))
    for check in result:
        print(f"{check.status:<5} {check.name}: {check.found}{f'. Do: {check.advice}' if check.advice else ''}")
    return 0 if report(result)["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
