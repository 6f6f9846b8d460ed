"""The shared-memory protocols under stress, compiled from the product's own headers: tests/stress. Under -O3, in threads and
in processes, under the address and undefined sanitizers and under ThreadSanitizer they hold; mutants of the headers do not.

MUTANTS says for each weakened access who rejects it. "stress": the -O3 program sees a torn, lost or repeated slot. "tsan":
ThreadSanitizer sees a payload access that nothing orders, once the payload copies are plain (PLAIN_COPIES in stress.h).
"model": only tests/models does: x86 keeps stores and loads in order, and ThreadSanitizer takes no notice of fences.
"""
import os
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from build_cache import cached_program

CFLAGS = ["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter", "-Wno-unused-but-set-variable"]
BUILDS = {
    "O3": ["-O3"],
    # ThreadSanitizer does not model fences; -Wtsan says so. All payload accesses are relaxed atomics, so there is no data
    # race to report, and none may be reported.
    "thread": ["-O1", "-g1", "-fsanitize=thread", "-Wno-tsan"],
    "thread, plain copies": ["-O1", "-g1", "-fsanitize=thread", "-Wno-tsan", "-DPLAIN_COPIES"],
    "address,undefined": ["-O1", "-g1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
}
SANITIZER_ENVIRONMENT = {**os.environ, "TSAN_OPTIONS": "halt_on_error=1 exitcode=66"}
PROTOCOLS = ["ring", "seqlock", "lane"]
TSAN_EXIT = 66
MUTANTS = [
    # header, label, what becomes of the line with that label, who rejects it
    ("ring", "W1", "dropped", "stress"),
    ("ring", "W2", "dropped", "model"),
    ("ring", "W3", "behind the next", "stress"),
    ("ring", "W4", "relaxed", "tsan"),
    ("ring", "R1", "relaxed", "tsan"),
    ("ring", "R3", "dropped", "model"),
    ("ring", "R4", "dropped", "stress"),
    ("ring", "H1", "relaxed", "tsan"),
    ("ring", "H1", ("w->next_seq - 1", "w->next_seq"), "stress"),
    ("ring", "H2", "relaxed", "model"),
    ("ring", "if (n > 0) break;", "dropped", "stress"),
    ("ring", "r->missed_slots +=", ("oldest - r->next_seq", "oldest - r->next_seq + 1"), "stress"),
    ("seqlock", "L1", "dropped", "stress"),
    ("seqlock", "L2", "dropped", "model"),
    ("seqlock", "L3", "behind the next", "stress"),
    ("seqlock", "L4", "relaxed", "tsan"),
    ("seqlock", "L5", "relaxed", "tsan"),
    ("seqlock", "if (before & 1)", "dropped", "stress"),
    ("seqlock", "L7", "dropped", "model"),
    ("seqlock", "L8", ("load_relaxed_u64(seq) == before", "1"), "stress"),
    ("lane", "K4", "relaxed", "tsan"),
    ("lane", "K4", ("> w->mask", "> w->mask + 1"), "stress"),
    ("lane", "K4", ("> w->mask", ">= w->mask"), "stress"),
    ("lane", "K1", "relaxed", "tsan"),
    ("lane", "copy_to_shared(slot->words, words, 7);", "behind the next", "stress"),
    ("lane", "K2", "relaxed", "tsan"),
    ("lane", "copy_from_shared(words, slot->words, 7);", "behind the next", "stress"),
    ("lane", "K3", "relaxed", "tsan"),
]
MUTANT_IDS = [f"{header}-{label}-{change if isinstance(change, str) else change[1]}" for header, label, change, _ in MUTANTS]


@pytest.fixture(scope="session")
def headers(root):
    return root / "ext" / "tickpath" / "shm"


@pytest.fixture(scope="session")
def gcc(require_tool):
    return require_tool("gcc", "build-essential")


@pytest.fixture(scope="session")
def need_sanitizer(gcc, tmp_path_factory):
    """need_sanitizer("thread"): skips, saying why, where gcc has no such runtime or the kernel's address layout defeats it."""
    directory = tmp_path_factory.mktemp("sanitizers")
    (directory / "probe.c").write_text("int main(void) { return 0; }\n")
    found = {}

    def need(name):
        if name not in found:
            program = directory / name.replace(",", "_")
            done = subprocess.run([gcc, f"-fsanitize={name}", directory / "probe.c", "-o", program], capture_output=True,
                                  text=True)
            if done.returncode == 0:
                done = subprocess.run([program], capture_output=True, text=True)
            found[name] = None if done.returncode == 0 else (done.stderr.strip().splitlines() or ["no message"])[-1]
        if found[name] is not None:
            text = f"gcc -fsanitize={name} does not work here: {found[name]}"
            if os.environ.get("TICKPATH_REQUIRE_TOOLS") == "1":
                pytest.fail(text)
            pytest.skip(text)
    return need


@pytest.fixture(scope="session")
def programs(gcc, headers, root):
    """programs(protocol, build): the path of a stress program of the product's own headers. The first call compiles all."""
    built = {}

    def path_of(protocol, build):
        if not built:
            wanted = [(p, b) for p in PROTOCOLS for b in BUILDS]
            with ThreadPoolExecutor(2) as pool:
                built.update(zip(wanted, pool.map(
                    lambda w: compile_stress(gcc, root, headers, *w), wanted), strict=True))
        program = built[protocol, build]
        assert isinstance(program, os.PathLike), program
        return program
    return path_of


def compile_stress(gcc, root, headers, protocol, build):
    """The program's path, or the compiler's message where it refuses."""
    stress = root / "tests" / "stress"

    def compiled(path):
        done = subprocess.run([gcc, *CFLAGS, *BUILDS[build], f"-I{headers}", stress / f"stress_{protocol}.c", "-o", path, "-lpthread"],
                              capture_output=True, text=True, timeout=120)
        if done.returncode:
            raise RuntimeError(done.stderr)
    try:
        return cached_program(f"stress_{protocol}", gcc, [*CFLAGS, *BUILDS[build], protocol],
                              [*sorted(stress.glob("*.[ch]")), *sorted(headers.glob("*.h"))], compiled)
    except RuntimeError as e:
        return str(e)


def run_stress(program, duration_ms, *, seed=1, kind="threads"):
    return subprocess.run([program, str(duration_ms), str(seed), kind], capture_output=True, text=True, timeout=150,
                          env=SANITIZER_ENVIRONMENT)


def figures(done):
    assert done.returncode == 0, done.stderr[-3000:]
    # A report of a sanitizer is a failure even where it would not change the exit code.
    assert done.stderr == ""
    return {name: int(value) for name, value in re.findall(r"(\w+)=(\d+)", done.stdout)}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("build, kind", [("O3", "threads"), ("O3", "processes"), ("thread", "threads"),
                                         ("address,undefined", "threads")])
def test_a_protocol_holds_under_stress(programs, need_sanitizer, protocol, build, kind):
    if build != "O3":
        need_sanitizer(build)
    found = figures(run_stress(programs(protocol, build), 500, kind=kind))
    # The stress was one: readers were lapped and came again, versions were retried, lanes ran full and empty.
    for name in {"ring": ["read", "missed", "laps", "attaches"], "seqlock": ["read", "retries"],
                 "lane": ["taken", "refused", "emptied"]}[protocol]:
        assert found[name] > 10, found


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_release_and_acquire_order_plain_payload_copies_too(programs, need_sanitizer, protocol):
    need_sanitizer("thread")
    found = figures(run_stress(programs(protocol, "thread, plain copies"), 400))
    assert found["taken" if protocol == "lane" else "read"] > 1000


# ---- mutants

def marked_line(lines, label):
    """Index of the one line that carries a label's comment, or that holds the text itself."""
    wanted = f"/* {label}, see " if re.fullmatch("[A-Z][0-9]", label) else label
    found = [i for i, line in enumerate(lines) if wanted in line]
    assert len(found) == 1, f"{label}: expected one line with {wanted!r}, found {len(found)}"
    return found[0]


def mutate(text, label, change):
    lines = text.splitlines()
    i = marked_line(lines, label)
    if change == "dropped":
        lines[i] = ""
    elif change == "relaxed":
        lines[i], count = re.subn(r"\b(load_acquire|store_release)_u64", lambda m: m[1].split("_")[0] + "_relaxed_u64", lines[i])
        assert count == 1, lines[i]
    elif change == "behind the next":
        lines[i], lines[i + 1] = lines[i + 1], lines[i]
    else:
        assert lines[i].count(change[0]) == 1, lines[i]
        lines[i] = lines[i].replace(*change)
    return "\n".join(lines) + "\n"


def build_of(rejected_by):
    return "thread, plain copies" if rejected_by == "tsan" else "O3"


@pytest.fixture(scope="session")
def mutant_programs(gcc, headers, root, tmp_path_factory):
    """{index in MUTANTS: program} of every mutant that a run here can reject."""
    directory = tmp_path_factory.mktemp("mutants")

    def build(index):
        header, label, change, rejected_by = MUTANTS[index]
        mutated = directory / str(index)
        mutated.mkdir()
        for name in (*PROTOCOLS, "atomics"):
            shutil.copy(headers / f"{name}.h", mutated)
        (mutated / f"{header}.h").write_text(mutate((headers / f"{header}.h").read_text(), label, change))
        return compile_stress(gcc, root, mutated, header, build_of(rejected_by))
    indices = [i for i, mutant in enumerate(MUTANTS) if mutant[3] != "model"]
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(indices, pool.map(build, indices), strict=True))


@pytest.mark.parametrize("index", [i for i, mutant in enumerate(MUTANTS) if mutant[3] != "model"],
                         ids=[name for name, mutant in zip(MUTANT_IDS, MUTANTS, strict=True) if mutant[3] != "model"])
def test_the_stress_rejects_a_mutant(mutant_programs, need_sanitizer, index):
    header, _, _, rejected_by = MUTANTS[index]
    if rejected_by == "tsan":
        need_sanitizer("thread")
    program = mutant_programs[index]
    assert isinstance(program, os.PathLike), program
    done = run_stress(program, 30_000)         # most end within milliseconds
    if rejected_by == "tsan":
        assert done.returncode == TSAN_EXIT and "ThreadSanitizer: data race" in done.stderr, done.stdout + done.stderr[-3000:]
        assert re.search(r"#0 copy_(to|from)_shared", done.stderr), done.stderr[-3000:]         # it is the payload
    else:
        assert done.returncode == 1 and "expected" in done.stderr, done.stdout + done.stderr[-3000:]


def test_every_mutant_changes_its_header(headers):
    for header, label, change, _ in MUTANTS:
        text = (headers / f"{header}.h").read_text()
        assert mutate(text, label, change) != text


def test_every_ordered_access_has_a_mutant(headers):
    for header in PROTOCOLS:
        ordered = set()
        for line in (headers / f"{header}.h").read_text().splitlines():
            if re.search(r"\b(load_acquire|store_release|fence_)\w*\(", line):
                ordered.add(re.search(r"/\* ([A-Z]\d), see", line)[1])
        assert ordered <= {label for h, label, change, _ in MUTANTS if h == header and change in ("relaxed", "dropped")}
        assert len(ordered) >= 4


def test_what_only_the_models_can_reject_is_a_mutant_of_theirs(root):
    text = (root / "tests" / "models" / "check_models.py").read_text()
    for header, label, change, rejected_by in MUTANTS:
        if rejected_by == "model":
            weaker = {"dropped": "NONE", "relaxed": "RELAXED"}[change]
            assert re.search(rf'"{header}", \(.*"{label}={weaker}"', text), f"{header}.h {label} {change}"
