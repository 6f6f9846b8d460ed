"""Check the shared-memory protocols: spin must pass every model and reject every mutant of it.

A mutant weakens or removes one access (or bends one number), and must break the property named beside it: a model that
accepts it would prove nothing about that access. A witness claims that something never happens; its rejection shows that the
model gets there. Every run is an exhaustive search, in a directory of its own that is removed; the program of an unchanged model
is taken from the last time it was compiled.

Exit code: 0 only if every result is the expected one, 1 otherwise, 2 when a tool is missing.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from build_cache import cached_program  # noqa: E402  (stands one directory up)

TOOLS = {"spin": "spin", "gcc": "gcc"}                 # program: Debian package
VECTOR_BYTES_MAX = 4096                                # pan's limit for one state; the largest here has about 2,300
DEPTH_MAX = 100_000                                    # pan says so when a search is cut off here, and the run then fails
RUN_TIMEOUT_S = 120


@dataclass(frozen=True)
class Case:
    model: str
    defines: tuple[str, ...] = ()                      # for spin's preprocessor
    breaks: str | None = None                          # the assertion that must fail; None: the model must pass

    @property
    def name(self):
        return " ".join(self.defines) or "-"


MODELS = [
    Case("ring", ("SLOT_COUNT=2", "EVENT_COUNT=11")),
    Case("ring", ("SLOT_COUNT=4", "EVENT_COUNT=10")),
    Case("seqlock", ("VERSION_COUNT=8",)),
    Case("lane", ("SLOT_COUNT=2", "COMMAND_COUNT=9")),
    Case("lane", ("SLOT_COUNT=4", "COMMAND_COUNT=6")),
]
MUTANTS = [
    Case("ring", ("W1=NONE",), "untorn"),
    Case("ring", ("W2=NONE",), "untorn"),
    Case("ring", ("W4=RELAXED",), "untorn"),
    Case("ring", ("R1=RELAXED",), "untorn"),
    Case("ring", ("R3=NONE",), "untorn"),
    Case("ring", ("R4=NONE",), "untorn"),
    Case("ring", ("H1=RELAXED",), "found"),
    Case("ring", ("H2=RELAXED",), "found"),
    Case("ring", ("MARGIN_SLOTS=1",), "overwritten"),
    Case("seqlock", ("L1=NONE",), "whole"),
    Case("seqlock", ("L2=NONE",), "whole"),
    Case("seqlock", ("L4=RELAXED",), "whole"),
    Case("seqlock", ("L5=RELAXED",), "whole"),
    Case("seqlock", ("L7=NONE",), "whole"),
    Case("seqlock", ("L8=NONE",), "whole"),
    Case("lane", ("K1=RELAXED",), "untorn"),
    Case("lane", ("K2=RELAXED",), "untorn"),
    Case("lane", ("K3=RELAXED",), "vacant"),
    Case("lane", ("K4=RELAXED",), "vacant"),
    Case("lane", ("OVERFILL=1",), "vacant"),
]
WITNESSES = [
    Case("ring", ("NEVER=LAST_EVENT_DELIVERED",), "unreached"),
    Case("ring", ("NEVER=GAP_BETWEEN_DELIVERIES",), "unreached"),
    Case("seqlock", ("NEVER=TWO_VERSIONS_READ",), "unreached"),
    Case("lane", ("NEVER=ALL_TAKEN_AFTER_A_REFUSAL",), "unreached"),
    Case("lane", ("NEVER=DIED_INSIDE_A_COMMAND",), "unreached"),
]


@dataclass(frozen=True)
class Outcome:
    case: Case
    states: int
    seconds: float
    result: str                                        # "passed", "rejected: <assertion>" or what went wrong
    is_expected: bool


def run(command, directory):
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=RUN_TIMEOUT_S)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]}: expected exit code 0, found {done.returncode}: {(done.stdout + done.stderr).strip()}")
    return done.stdout


def judge(output, breaks):
    """(result, is_expected) of pan's output: a pass must be complete, leave no statement unreached and find no deadlock."""
    violated = re.search(r"^pan:1: assertion violated (.*) \(at depth", output, flags=re.M)
    if violated:
        return f"rejected: {violated[1]}", violated[1] == breaks
    if "errors: 0" not in output:
        error = re.search(r"^pan:.*", output, flags=re.M)
        return f"failed: {error[0] if error else 'pan gave no result'}", False
    if "search depth too small" in output or "Search not completed" in output:
        return "failed: the search was not complete", False
    unreached = [count for count in re.findall(r"\((\d+) of \d+ states\)", output) if count != "0"]
    if unreached:
        return f"failed: {'+'.join(unreached)} statements were never reached", False
    return "passed", breaks is None


def check(case, model_directory=HERE):
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tickpath-model-") as directory:
        for path in Path(model_directory).glob("*.pml"):
            shutil.copy(path, directory)
        try:
            run(["spin", "-a", *(f"-D{define}" for define in case.defines), f"{case.model}.pml"], directory)
            # A counterexample turns up early and no search here is long: more optimisation does not earn back its compilation.
            level = "-O0" if case.breaks else "-O1"
            flags = [level, "-w", "-DSAFETY", f"-DVECTORSZ={VECTOR_BYTES_MAX}"]
            pan = cached_program(f"pan-{case.model}", "gcc", flags, sorted(Path(directory).glob("pan.*")),
                                 lambda path: run(["gcc", *flags, "-o", path, "pan.c"], directory))
            output = run([pan, f"-m{DEPTH_MAX}", "-w20"], directory)
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            return Outcome(case, 0, time.monotonic() - started, f"failed: {error}", False)
    states = re.search(r"(\d+) states, stored", output)
    return Outcome(case, int(states[1]) if states else 0, time.monotonic() - started, *judge(output, case.breaks))


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=["ring", "seqlock", "lane"], help="only this one")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), help="runs at a time (default: %(default)s)")
    options = parser.parse_args(arguments)
    for tool, package in TOOLS.items():
        if shutil.which(tool) is None:
            print(f"check_models: {tool} is missing. Run: apt-get install {package}", file=sys.stderr)
            return 2
    cases = [case for case in MODELS + MUTANTS + WITNESSES if options.model in (None, case.model)]
    started = time.monotonic()
    print(f"{'model':8} {'mutant or size':34} {'states':>8} {'seconds':>8}  result")
    wrong = 0
    with ThreadPoolExecutor(options.jobs) as pool:
        for outcome in pool.map(check, cases):
            case = outcome.case
            expected = f"rejected: {case.breaks}" if case.breaks else "passed"
            note = "" if outcome.is_expected else f"  WRONG, expected {expected}"
            wrong += not outcome.is_expected
            print(f"{case.model:8} {case.name:34} {outcome.states:8} {outcome.seconds:8.1f}  {outcome.result}{note}", flush=True)
    print(f"{len(cases)} runs, {wrong} wrong, {time.monotonic() - started:.1f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
