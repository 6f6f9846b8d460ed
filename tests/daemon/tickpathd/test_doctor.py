"""The doctor's checks, on trees of real files made for the test and on this machine."""
import ctypes
import json
import os
import resource
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tickpath.shm.journal import SEGMENT_MAX_BYTES as JOURNAL_SEGMENT_BYTES
from tickpath.shm.segment import create_segment, list_segments, process_start_ticks, segment_name
from tickpathd import doctor
from tickpathd.config import load_config

ROOT = Path(__file__).resolve().parents[3]
DEMO = ROOT / "config" / "paper-demo.toml"
DONE, FAILED, USAGE = 0, 1, 2
CPU = "sys/devices/system/cpu"
CLOCK = "sys/devices/system/clocksource/clocksource0"
THP = "sys/kernel/mm/transparent_hugepage"
GIB = 1 << 30
NAMES = ["compiled core", "shared memory", "state directory", "disk sync", "left segments", "processors", "engine core",
         "isolated cores", "SMT siblings", "frequency governor", "virtualisation", "clock source", "invariant TSC",
         "clock offset", "huge pages", "transparent huge pages", "swap", "locked memory", "open files", "kernel"]


@pytest.fixture
def tree(tmp_path):
    """tree({relative path: text}) writes the files and returns their root."""
    def write(files):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path
    return write


def tickpath(*arguments, **environment):
    return subprocess.run([sys.executable, "-m", "tickpathd.cli", *map(str, arguments)], cwd=ROOT, capture_output=True,
                          text=True, timeout=90, env={**os.environ, **environment})


# ---- processors

@pytest.mark.parametrize("text, cpus", [("0-3,6", {0, 1, 2, 3, 6}), ("5", {5}), ("", set())])
def test_list_of_processors_is_read_as_the_kernel_writes_it(text, cpus):
    assert doctor.parse_cpu_list(text) == cpus


@pytest.mark.parametrize("core, status, part", [
    (-1, "warn", "not pinned"), (2, "ok", "instance.core = 2"), (7, "fail", "online are 0,1,2,3"), (3, "fail", "may use 0,1,2")])
def test_engine_core_must_be_online_and_allowed(tree, core, status, part):
    check = doctor.check_engine_core(tree({f"{CPU}/online": "0-3\n"}), core, {0, 1, 2})
    assert (check.status, part in check.found) == (status, True)
    assert (status == "ok") == (check.advice == "")
    if status != "ok":
        assert "--set instance.core=2" in check.advice


@pytest.mark.parametrize("isolated, tickless, core, status", [
    ("2-3", "2-3", 3, "ok"), ("2-3", None, 3, "ok"), ("2-3", "2", 3, "warn"), ("", "(null)", 3, "warn"), ("2-3", "2-3", -1, "warn")])
def test_isolated_core_is_one_without_other_work_and_without_tick(tree, isolated, tickless, core, status):
    files = {f"{CPU}/isolated": isolated, **({f"{CPU}/nohz_full": tickless} if tickless is not None else {})}
    check = doctor.check_isolation(tree(files), core)
    assert check.status == status and (status == "ok" or "isolcpus=" in check.advice)


def test_sibling_of_the_engine_core_is_named_with_the_command_that_parks_it(tree):
    root = tree({f"{CPU}/cpu1/topology/thread_siblings_list": "1,5", f"{CPU}/cpu2/topology/thread_siblings_list": "2",
                 f"{CPU}/online": "1-2"})
    shared = doctor.check_smt(root, 1)
    assert shared.status == "warn" and "1 with 5" in shared.found and "cpu5/online" in shared.advice
    assert doctor.check_smt(root, 2).status == "ok"
    assert doctor.check_smt(root, -1).status == "warn"


def test_single_processor_is_warned_about(tree):
    root = tree({f"{CPU}/online": "0-3"})
    assert doctor.check_processors(root, {0, 1}).status == "ok"
    assert doctor.check_processors(root, {3}).status == "warn"


@pytest.mark.parametrize("governors, flags, status, part", [
    ([], "fpu hypervisor", "ok", "no cpufreq (virtual machine)"), ([], "fpu", "warn", "no cpufreq driver"),
    (["performance", "performance"], "fpu", "ok", "performance on 2"), (["performance", "powersave"], "fpu", "warn", "powersave")])
def test_governor_other_than_performance_is_warned_about(tree, governors, flags, status, part):
    root = tree({"proc/cpuinfo": f"processor\t: 0\nflags\t\t: {flags}\n",
                 **{f"{CPU}/cpu{n}/cpufreq/scaling_governor": f"{g}\n" for n, g in enumerate(governors)}})
    check = doctor.check_governor(root)
    assert check.status == status and part in check.found


def test_virtual_machine_is_warned_about(tree):
    assert doctor.check_virtualisation(tree({"proc/cpuinfo": "flags : fpu hypervisor\n"})).status == "warn"
    assert doctor.check_virtualisation(tree({"proc/cpuinfo": "flags : fpu\n"})).status == "ok"


# ---- clocks

def test_clock_source_other_than_tsc_is_warned_about_with_the_command_that_is_possible(tree):
    assert doctor.check_clock_source(tree({f"{CLOCK}/current_clocksource": "tsc\n"})).status == "ok"
    root = tree({f"{CLOCK}/current_clocksource": "kvm-clock\n", f"{CLOCK}/available_clocksource": "kvm-clock tsc\n"})
    check = doctor.check_clock_source(root)
    assert check.status == "warn" and "kvm-clock" in check.found and check.advice.startswith("echo tsc > ")
    root = tree({f"{CLOCK}/available_clocksource": "kvm-clock\n"})
    assert "tsc=reliable" in doctor.check_clock_source(root).advice


def test_tsc_that_may_stop_is_warned_about(tree):
    assert doctor.check_tsc(tree({"proc/cpuinfo": "flags : constant_tsc nonstop_tsc\n"})).status == "ok"
    check = doctor.check_tsc(tree({"proc/cpuinfo": "flags : constant_tsc\n"}))
    assert check.status == "warn" and "nonstop_tsc" in check.found


@pytest.mark.parametrize("status_bits, offset, status, part", [
    (0x0001, 1500, "ok", "+1.500 ms"), (0x2001, -1_500_000, "ok", "-1.500 ms"), (0x0041, 0, "warn", "STA_UNSYNC"),
    (0x2001, 25_000_000, "warn", "+25.000 ms")])
def test_clock_that_nobody_disciplines_or_that_is_far_off_is_warned_about(status_bits, offset, status, part):
    check = doctor.check_clock_offset(doctor.Timex(status=status_bits, offset=offset, maxerror_us=2500))
    assert check.status == status and part in check.found and "2.5 ms" in check.found


def test_clock_discipline_is_read_from_the_kernel():
    assert ctypes.sizeof(doctor.Timex) == 208          # struct timex on 64-bit Linux
    timex = doctor.read_timex()
    assert 9000 <= timex.tick <= 11000 and abs(timex.time_s - time.time()) < 5


# ---- memory

@pytest.mark.parametrize("options, status", [("rw,relatime,size=100k,huge=advise", "ok"), ("rw,huge=always", "ok"),
                                             ("rw,relatime", "warn"), ("rw,huge=never,size=1k", "warn")])
def test_shared_memory_without_huge_pages_is_warned_about_and_the_pool_is_shown(tree, options, status):
    root = tree({"proc/meminfo": "HugePages_Total:       4\nHugePages_Free:        3\nHugepagesize:       2048 kB\n",
                 "proc/mounts": f"proc /proc proc rw 0 0\ntmpfs /dev/shm tmpfs {options} 0 0\n"})
    check = doctor.check_huge_pages(root)
    assert check.status == status and "4 of 2.0 MiB, 3 free" in check.found
    assert check.advice == ("" if status == "ok" else "mount -o remount,huge=advise /dev/shm")


@pytest.mark.parametrize("text, status", [("[always] madvise never", "warn"), ("always [madvise] never", "ok")])
def test_transparent_huge_pages_everywhere_are_warned_about(tree, text, status):
    assert doctor.check_transparent_huge_pages(tree({f"{THP}/enabled": text})).status == status


def test_swap_is_warned_about_while_an_area_is_on(tree):
    head = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
    assert doctor.check_swap(tree({"proc/swaps": head, "proc/sys/vm/swappiness": "60\n"})).status == "ok"
    check = doctor.check_swap(tree({"proc/swaps": head + "/dev/vda2 partition 100 0 -2\n"}))
    assert check.status == "warn" and "swappiness 60" in check.found and "swapoff -a" in check.advice


def test_shared_memory_fails_when_the_segments_do_not_fit(tree, tmp_path):
    root = tree({"proc/meminfo": "MemAvailable:  1000 kB\n"})
    free = os.statvfs("/dev/shm").f_bavail * os.statvfs("/dev/shm").f_frsize
    small = doctor.check_shared_memory("/dev/shm", {"ring": 1000}, root)
    assert small.status == "ok" and "ring 1000 bytes" in small.found
    check = doctor.check_shared_memory("/dev/shm", {"ring": free, "feed lane": GIB}, root)
    assert check.status == "fail" and "remount,size=" in check.advice
    assert doctor.check_shared_memory("/dev/shm", {"ring": 1 << 21}, root).status == "fail"        # more than is available
    assert doctor.check_shared_memory(tmp_path / "absent", {"ring": 1}, root).status == "fail"


@pytest.mark.parametrize("soft, status", [(resource.RLIM_INFINITY, "ok"), (2 << 20, "ok"), (65536, "warn")])
def test_locked_memory_below_the_segments_is_warned_about(soft, status):
    assert doctor.check_locked_memory((soft, soft), 1 << 20).status == status


@pytest.mark.parametrize("soft, status", [(resource.RLIM_INFINITY, "ok"), (1024, "ok"), (256, "warn")])
def test_low_limit_of_open_files_is_warned_about(soft, status):
    assert doctor.check_open_files((soft, soft)).status == status


# ---- disk

MOUNTS = ("22 1 254:0 / / rw - ext4 /dev/root rw\n23 22 0:5 / {base}/ram rw - tmpfs tmpfs rw\n"
          "24 22 0:6 / {base}/with\\040space rw shared:1 - nfs4 host:/x rw\n25 22 0:7 / {base}/over rw - tmpfs tmpfs rw\n"
          "26 22 0:8 / {base}/over rw - xfs /dev/b rw\n")


@pytest.mark.parametrize("where, kind, status", [
    ("disk", "ext4", "ok"), ("ram/state", "tmpfs", "warn"), ("with space", "nfs4", "warn"), ("over/x", "xfs", "ok"),
    ("ramble", "ext4", "ok")])
def test_state_directory_is_judged_by_the_file_system_that_holds_it(tree, tmp_path, where, kind, status):
    root = tree({"proc/self/mountinfo": MOUNTS.format(base=tmp_path)})
    (tmp_path / where).mkdir(parents=True)
    assert doctor.file_system_of(tmp_path / where, root) == kind
    check = doctor.check_state_directory(tmp_path / where, root)
    assert check.status == status and kind in check.found


def test_state_directory_that_will_be_made_is_judged_by_its_parent(tmp_path):
    check = doctor.check_state_directory(tmp_path / "not" / "yet", "/")
    assert "will be made" in check.found and check.status != "fail" and not (tmp_path / "not").exists()


def test_state_directory_below_a_file_fails(tmp_path):
    (tmp_path / "file").write_text("")
    check = doctor.check_state_directory(tmp_path / "file" / "state", "/")
    assert check.status == "fail" and "not a directory" in check.found


def test_state_directory_without_room_for_a_segment_fails(tmp_path):
    space = os.statvfs(tmp_path)
    free = space.f_bavail * space.f_frsize
    assert doctor.check_state_directory(tmp_path, "/", 2 * free).status == "fail"
    assert doctor.check_state_directory(tmp_path, "/", free // 2).status == "warn"


def test_journal_segment_is_as_large_as_the_journal_says():
    assert doctor.SEGMENT_MAX_BYTES == JOURNAL_SEGMENT_BYTES


def test_disk_sync_is_measured_and_nothing_is_left(tmp_path):
    times = doctor.fdatasync_times_ms(tmp_path)
    assert len(times) == 20 and times == sorted(times) and times[0] > 0 and list(tmp_path.iterdir()) == []
    assert doctor.check_fdatasync(tmp_path, warn_ms=1e9).status == "ok"
    check = doctor.check_fdatasync(tmp_path, warn_ms=0.0)
    assert check.status == "warn" and "p50" in check.found and "max" in check.found


# ---- kernel, segments, core

def test_kernel_line_shows_preemption_and_tick(tree):
    root = tree({"proc/version": "Linux version 6.1 (x) #1 SMP PREEMPT_DYNAMIC Debian\n", "boot/config-6.1": "CONFIG_HZ=1000\n",
                 "sys/kernel/debug/sched/preempt": "none (voluntary) full\n"})
    check = doctor.check_kernel(root, "6.1")
    assert check.found == "6.1, PREEMPT_DYNAMIC, now voluntary, 1000 Hz"
    assert "Hz unknown" in doctor.check_kernel(root, "6.2").found


def test_segment_of_a_dead_process_is_named_with_its_command_and_a_live_one_is_not(tmp_path):
    def segment(name, pid, start):
        (tmp_path / name).write_bytes(struct.pack("<8sIIQQQQ", b"TICKPATH", 1, 1, 0, 0, pid, start).ljust(128, b"\0"))
    segment("tickpath.live.ring", os.getpid(), process_start_ticks(os.getpid()))
    assert doctor.check_segments(tmp_path, "/") == doctor.Check("left segments", "ok", "running: live")
    segment("tickpath.reused.ring", os.getpid(), process_start_ticks(os.getpid()) - 1)
    (tmp_path / "tickpath.cut.state").write_bytes(b"TICK")
    (tmp_path / "other.thing").write_bytes(b"")
    check = doctor.check_segments(tmp_path, "/")
    assert check.status == "warn" and "running: live" in check.found
    assert check.advice.endswith(f"rm {tmp_path}/tickpath.cut.state {tmp_path}/tickpath.reused.ring")


def test_real_segment_of_a_killed_process_is_found_in_shared_memory():
    name = f"doc{os.getpid()}"
    code = ("import os, signal, sys; from tickpath.shm.segment import create_segment; "
            f"s = create_segment({name!r}, 'state', 4096); os.kill(os.getpid(), signal.SIGKILL)")
    with create_segment(f"{name}b", "state", 4096):
        try:
            subprocess.run([sys.executable, "-c", code], timeout=60, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
            assert list_segments(name) == [segment_name(name, "state")]
            check = doctor.check_segments("/dev/shm", "/")
            assert check.status == "warn" and f"tickpath.{name}.state" in check.found
            assert f"{name}b" in check.found.split("running: ")[1] and f"tickpath.{name}b" not in check.advice
        finally:
            Path(f"/dev/shm/tickpath.{name}.state").unlink(missing_ok=True)


def test_levels_of_the_instruction_set_hold_those_below():
    assert doctor.required_flags("x86-64") == [] and doctor.required_flags("znver3") is None
    assert set(doctor.required_flags("x86-64-v2")) < set(doctor.required_flags("x86-64-v3")) < set(doctor.required_flags("x86-64-v4"))


def test_core_for_another_processor_or_python_fails_before_it_is_loaded(tree, tmp_path):
    root = tree({"proc/cpuinfo": "flags : cx16 lahf_lm popcnt sse4_1 sse4_2 ssse3 avx\n"})
    package = tmp_path / "tickpath"
    package.mkdir()
    (package / "__init__.py").write_text("")
    assert doctor.check_core(root, package).status == "fail"
    (package / "types.cpython-27-x86.so").write_bytes(b"")
    other = doctor.check_core(root, package)
    assert other.status == "fail" and "cpython-27-x86.so" in other.found
    suffix = doctor.sysconfig.get_config_var("EXT_SUFFIX")
    (package / f"types{suffix}").write_bytes(b"\0GNU C11 12.2.0 -O3 -march=x86-64-v3 -g1\0")
    check = doctor.check_core(root, package)
    assert check.status == "fail" and "x86-64-v3" in check.found and "avx2" in check.found
    (package / f"types{suffix}").write_bytes(b"\0GNU C11 12.2.0 -O3 -march=x86-64-v2 -g1\0")
    broken = doctor.check_core(root, package)
    assert broken.status == "fail" and "loading the modules ended with" in broken.found and "make build" in broken.advice


# ---- all of them

def test_every_check_answers_on_a_machine_that_tells_nothing(tmp_path):
    config = load_config([DEMO], [f"storage.dir={tmp_path}"])
    checks = doctor.examine(config, root=tmp_path / "empty", shm_dir=tmp_path / "none")
    assert sorted(c.name for c in checks) == sorted(NAMES)
    unknown = [c for c in checks if c.status == "warn" and c.found.startswith("unknown: ")]
    assert len(unknown) >= 10 and all("No such file" in c.found for c in unknown)


def test_doctor_prints_one_line_a_check_as_json_and_as_a_table(tmp_path):
    result = tickpath("doctor", "-c", DEMO, "--set", f"storage.dir={tmp_path}", "--json")
    data = json.loads(result.stdout)
    assert [c["name"] for c in data["checks"]] == NAMES and result.stderr == ""
    assert all(set(c) == {"name", "status", "found", "advice"} and c["status"] in ("ok", "warn", "fail") and c["found"]
               for c in data["checks"])
    assert all(bool(c["advice"]) == (c["status"] != "ok") for c in data["checks"])
    assert data["ok"] == all(c["status"] != "fail" for c in data["checks"])
    assert result.returncode == (DONE if data["ok"] else FAILED)
    table = tickpath("doctor", "-c", DEMO, "--set", f"storage.dir={tmp_path}")
    assert table.returncode == result.returncode and all(name in table.stdout for name in NAMES)
    assert "Traceback" not in result.stderr + table.stderr


def test_failing_check_ends_doctor_with_one(tmp_path):
    result = tickpath("doctor", "-c", DEMO, "--set", f"storage.dir={tmp_path}", "--set", "instance.core=4095", "--json")
    data = json.loads(result.stdout)
    assert result.returncode == FAILED and data["ok"] is False
    assert [c["status"] for c in data["checks"] if c["name"] == "engine core"] == ["fail"]


def test_doctor_needs_no_configuration_and_refuses_a_wrong_one(tmp_path):
    result = tickpath("doctor", "--json", "--set", "storage.ring_slots=65536", XDG_STATE_HOME=str(tmp_path))
    shared = [c for c in json.loads(result.stdout)["checks"] if c["name"] == "shared memory"]
    assert result.returncode in (DONE, FAILED) and "ring 4.0 MiB" in shared[0]["found"]
    wrong = tickpath("doctor", "--set", "instance.cor=1")
    assert wrong.returncode == USAGE and wrong.stdout == "" and len(wrong.stderr.splitlines()) == 1


def test_doctor_runs_as_a_module_without_the_command():
    result = subprocess.run([sys.executable, "-m", "tickpathd.doctor"], cwd=ROOT, capture_output=True, text=True, timeout=90)
    assert result.returncode in (DONE, FAILED) and len(result.stdout.splitlines()) == len(NAMES) and result.stderr == ""
