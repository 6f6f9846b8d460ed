"""Coverage-guided fuzzing of what reads bytes that others wrote: gcc, ASan, UBSan and Python are all it needs.

    python tests/fuzz/fuzz_driver.py all --seconds 60          every target, one after the other; goes on with var/fuzz/corpus
    python tests/fuzz/fuzz_driver.py decoder --input FILE      one input, as a finding's text says

Exit code 1 when something was found. Findings: var/fuzz/crashes/TARGET/, the input and a text that says how to repeat it.
"""
import argparse
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from fuzz_build import FUZZ_DIR, HERE, ROOT, instrumented_build, preload_libraries
from fuzz_targets import TARGETS, TIMEOUTS_S, VENUE_TARGETS
from fuzz_worker import STATE_BYTES, SharedState, input_name

ASAN_OPTIONS = ("detect_leaks=0:allocator_may_return_null=1:max_allocation_size_mb=1024:hard_rss_limit_mb=3072:"
                "quarantine_size_mb=16:malloc_context_size=8:handle_abort=1:exitcode=99")
UBSAN_OPTIONS = "halt_on_error=1:print_stacktrace=1"
RESTARTS_MAX = 8
START_TIMEOUT_S = 60


@dataclass
class Finding:
    """Something that must not happen. what : one line.  path : its input.  text : report or traceback."""
    what: str
    path: Path
    text: str


@dataclass
class Result:
    """One run of one target."""
    target: str
    executions: int = 0
    seconds: float = 0.0
    corpus: int = 0
    edges: int = 0
    findings: list = field(default_factory=list)

    def line(self):
        return (f"{self.target}: {self.executions} executions, {self.executions / max(self.seconds, 1e-9):.0f}/s, "
                f"corpus {self.corpus}, edges {self.edges}, findings {len(self.findings)}")


class Fuzzer:
    """Runs one target in child processes. Parameters: target : a name of fuzz_targets.  work_dir : holds corpus
    and crashes; default var/fuzz."""

    def __init__(self, target, work_dir=FUZZ_DIR):
        self.target = target
        self.corpus_dir = Path(work_dir) / "corpus" / target
        self.crash_dir = Path(work_dir) / "crashes" / target
        self.corpus_dir.mkdir(parents=True, exist_ok=True)
        self.build = instrumented_build(target in VENUE_TARGETS)
        self._env = {
            **os.environ,
            "LD_PRELOAD": ":".join([*preload_libraries(), str(self.build / "coverage_map.so")]),
            "ASAN_OPTIONS": ASAN_OPTIONS, "UBSAN_OPTIONS": UBSAN_OPTIONS, "PYTHONMALLOC": "malloc",
            "PYTHONPATH": os.pathsep.join(map(str, (self.build / "ext", ROOT / "daemon", HERE))),
            "TICKPATH_FUZZ_BUILD": str(self.build), "TICKPATH_FUZZ_ROOT": str(ROOT),
        }

    def run(self, seconds, seed=1, *, until_killed=False):
        """Fuzz for so long; what kills a worker is noted, and another one goes on without that input (until_killed: the
        run ends with it). Result."""
        result = Result(self.target)
        end_s = time.monotonic() + seconds
        skip, corpus_before = set(), 0
        for _ in range(RESTARTS_MAX):
            left_s = end_s - time.monotonic()
            if left_s < 1:
                break
            worker = _WorkerProcess(self, ["--seconds", str(left_s), "--seed", str(seed), "--skip", ",".join(skip)])
            hard = worker.wait(TIMEOUTS_S[self.target])
            result.executions += worker.executions
            result.seconds += worker.seconds
            result.corpus, result.edges = worker.corpus or corpus_before, max(result.edges, worker.edges)
            for line in worker.findings:
                data = bytes.fromhex(line["data"])
                skip.add(input_name(data))
                self._note(result, line["finding"], data, line["text"])
            if hard is None:
                break
            what, data, text = hard
            skip.add(input_name(data))
            seed += 1
            self._note(result, what, data, text)
            if until_killed:
                break
        return result

    def reproduce(self, path):
        """Run one input; the report's text, or None when nothing is wrong with it."""
        worker = _WorkerProcess(self, ["--input", str(path)])
        hard = worker.wait(TIMEOUTS_S[self.target])
        return hard[2] if hard else worker.findings[0]["text"] if worker.findings else None

    def leaked_bytes(self, executions):
        """Bytes allocated and not freed by nine tenths of so many executions of the seeds."""
        worker = _WorkerProcess(self, ["--leak", str(executions)])
        hard = worker.wait(None)
        if hard:
            raise AssertionError(hard[2])
        return worker.other["leaked_bytes"]

    def _note(self, result, what, data, text):
        if any(f.what == what for f in result.findings):
            return
        self.crash_dir.mkdir(parents=True, exist_ok=True)
        path = self.crash_dir / input_name(data)
        path.write_bytes(data)
        command = f"python tests/fuzz/fuzz_driver.py {self.target} --input {_shown(path)}"
        path.with_suffix(".txt").write_text(f"{what}\nrepeat with: {command}\n\n{text}\n")
        result.findings.append(Finding(what, path, f"{what}\nrepeat with: {command}\n{text}"))


def _shown(path):
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else path


class _WorkerProcess:
    """One child, its shared state and its output."""

    def __init__(self, fuzzer, arguments):
        self._directory = tempfile.TemporaryDirectory(prefix="tickpath-fuzz-")
        state_path = Path(self._directory.name) / "state"
        state_path.write_bytes(bytes(STATE_BYTES))
        self._state = SharedState(state_path)
        self._log = open(Path(self._directory.name) / "log", "w+b")
        self.findings, self.other = [], None
        self.executions = self.corpus = self.edges = 0
        self._begin_s = time.monotonic()
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "fuzz_worker.py"), fuzzer.target, "--state", str(state_path), "--corpus",
             str(fuzzer.corpus_dir), *arguments], env=fuzzer._env, cwd=ROOT, stdout=self._log, stderr=subprocess.STDOUT)

    def wait(self, timeout_s):
        """Until the child ends: None when in order, else (what, input, text). An input that takes longer than timeout_s
        is killed."""
        last, since_s, late = None, time.monotonic(), False
        while True:
            try:
                self._process.wait(0.1)
                break
            except subprocess.TimeoutExpired:
                pass
            started, *_ = state = self._state.read()
            if started != last:
                last, since_s = started, time.monotonic()
            limit_s = timeout_s if state[4] else START_TIMEOUT_S
            if timeout_s is not None and time.monotonic() - since_s > limit_s:
                late = True
                self._process.send_signal(signal.SIGUSR1)
                time.sleep(0.5)
                self._process.kill()
                self._process.wait()
                break
        self.seconds = time.monotonic() - self._begin_s
        _, self.executions, self.corpus, self.edges, running, _ = self._state.read()
        data = self._state.read_input()
        self._log.seek(0)
        text = self._log.read().decode(errors="replace")
        self._log.close()
        self._directory.cleanup()
        rest = []
        for line in text.splitlines():
            if line.startswith('{"finding"'):
                self.findings.append(json.loads(line))
            elif line.startswith('{"executions"'):
                self.other = json.loads(line)
            else:
                rest.append(line)
        text = "\n".join(rest)
        if not late and self._process.returncode == 0:
            return None
        if not running and not late:
            raise AssertionError(f"worker: expected it to start and to end in order, found exit code "
                                 f"{self._process.returncode}\n{text[-4000:]}")
        return (f"an input that takes more than {timeout_s} s" if late else _summary(text, self._process.returncode),
                data, text[-20000:])


def _summary(text, code):
    """One line that is the same for the same bug: sanitizer, kind and place."""
    match = re.search(r"SUMMARY: (\S+ \S+) (.*)", text)
    if match:
        return f"{match[1]} {Path(match[2].split(' ')[0]).name} {' '.join(match[2].split(' ')[1:])}".strip()
    match = re.search(r"(\S+): runtime error: (.*)", text)
    if match:
        return f"{Path(match[1]).name}: {re.sub(r'0x[0-9a-f]+|[0-9]{4,}', 'N', match[2])}"
    return f"exit code {code}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", choices=["all", *TIMEOUTS_S])
    parser.add_argument("--seconds", type=float, default=60.0, help="for each target")
    parser.add_argument("--seed", type=int, help="of the mutations; default: another one each time")
    parser.add_argument("--input", type=Path, help="run this one input")
    options = parser.parse_args()
    if options.input:
        if options.target == "all":
            parser.error("--input: expected one target, found all")
        text = Fuzzer(options.target).reproduce(options.input)
        print(text or f"{options.input}: nothing found")
        return int(text is not None)
    seed = options.seed if options.seed is not None else secrets.randbits(32)
    failed = 0
    for target in TARGETS if options.target == "all" else [options.target]:
        result = Fuzzer(target).run(options.seconds, seed)
        print(f"{result.line()}, seed {seed}", flush=True)
        for finding in result.findings:
            failed = 1
            print(finding.text, flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
