"""The fuzzed process: runs one target under ASan, UBSan and coverage. `fuzz_driver.py` starts it and outlives it.

Each input stands in a shared file before it runs, so that whatever kills this process is attributed to its input. A Python
exception from a target is a finding too; it is written down here, and the run goes on.

The shared file: started u64 (inputs begun), executions u64 (ended), corpus u64, edges u64, running u64, input_bytes u64,
then the input.
"""
import argparse
import ctypes
import faulthandler
import gc
import hashlib
import json
import mmap
import os
import random
import signal
import struct
import sys
import time
import traceback
from pathlib import Path

from fuzz_mutator import Mutator
from fuzz_targets import load_target

STATE = struct.Struct("<6Q")
STATE_BYTES = 1 << 20
FINDINGS_MAX = 20
FOUND_DIR = Path(__file__).resolve().parent / "found"


class SharedState:
    """Parameters: path : file of STATE_BYTES, made by the driver."""

    def __init__(self, path):
        with open(path, "r+b") as f:
            self._map = mmap.mmap(f.fileno(), STATE_BYTES)

    def read(self):
        """(started, executions, corpus, edges, running, input_bytes)."""
        return STATE.unpack_from(self._map)

    def read_input(self):
        size = self.read()[5]
        return self._map[STATE.size:STATE.size + size]

    def begin(self, started, executions, corpus, edges, data):
        self._map[STATE.size:STATE.size + len(data)] = data
        STATE.pack_into(self._map, 0, started, executions, corpus, edges, 1, len(data))

    def end(self, started, executions, corpus, edges):
        STATE.pack_into(self._map, 0, started, executions, corpus, edges, 0, 0)


def input_name(data):
    return hashlib.blake2b(data, digest_size=8).hexdigest()


def finding_of(error):
    """What makes two exceptions the same finding: type and innermost place; of a recursion, where it began."""
    frames = traceback.extract_tb(error.__traceback__)
    places = [f"{Path(f.filename).name}:{f.name}" for f in frames]
    return f"{type(error).__name__} at {' '.join(places[1:4]) if isinstance(error, RecursionError) else places[-1]}"


class Worker:
    def __init__(self, options):
        build = Path(os.environ["TICKPATH_FUZZ_BUILD"])
        self.options = options
        self.module = load_target(options.target)
        found = Path(sys.modules["tickpath.types"].__file__) if "tickpath.types" in sys.modules else build
        if build not in (found, *found.parents):
            raise SystemExit(f"tickpath: expected the instrumented build in {build}, found {found}")
        self.target = self.module.Target()
        self.coverage = ctypes.PyDLL(str(build / "coverage_map.so"))
        self.state = SharedState(options.state)
        self.corpus, self.names, self.findings = [], set(), set()
        self.started = self.executions = self.edges = 0
        self.traced = int(self.module.TRACE_PYTHON)

    def execute(self, data):
        """Run one input; True when it reached something new."""
        self.started += 1
        self.state.begin(self.started, self.executions, len(self.corpus), self.edges, data)
        error = None
        self.coverage.coverage_begin(self.traced)
        try:
            self.target.run(data)
        except Exception as e:
            error = e
        finally:
            self.coverage.coverage_end(self.traced)
        self.executions += 1
        if error is not None:
            self.report(data, error)
        return self.coverage.coverage_merge() > 0

    def report(self, data, error):
        finding = finding_of(error)
        if finding in self.findings:
            return
        self.findings.add(finding)
        text = "".join(traceback.format_exception(error))
        if len(text) > 20000:
            text = text[:10000] + "\n…\n" + text[-10000:]
        print(json.dumps({"finding": finding, "input": input_name(data), "data": data.hex(), "text": text}), flush=True)

    def keep(self, data, new):
        self.corpus.append(data)
        self.edges = self.coverage.coverage_edge_count()
        if new:
            path = Path(self.options.corpus) / input_name(data)
            temporary = path.with_suffix(f".{os.getpid()}")
            temporary.write_bytes(data)
            temporary.rename(path)

    def load(self, deadline_s):
        """The inputs to begin with: seeds, those that once found a bug, and the corpus of earlier runs, shortest first."""
        skip = set(self.options.skip.split(","))
        found = FOUND_DIR / self.options.target
        inputs = self.module.seeds() + [p.read_bytes() for p in sorted(found.glob("*"))]
        stored = [p.read_bytes() for p in sorted(Path(self.options.corpus).iterdir()) if not p.suffix]
        for data in inputs + sorted(stored, key=len):
            name = input_name(data)
            if name in skip or name in self.names or (self.corpus and time.monotonic() > deadline_s):
                continue
            self.names.add(name)
            if self.execute(data) or not self.corpus:
                self.keep(data, new=False)

    def fuzz(self):
        begin_s = time.monotonic()
        end_s = begin_s + self.options.seconds
        # An old corpus must not eat the whole run.
        self.load(begin_s + self.options.seconds / 2)
        r = random.Random(self.options.seed)
        mutator = Mutator(r, self.module.DICTIONARY, self.module.MAX_BYTES)
        while time.monotonic() < end_s and len(self.findings) < FINDINGS_MAX:
            corpus = self.corpus
            # Half of the time one of the newest: what just reached something new has most left to show.
            recent = corpus[-max(1, len(corpus) // 8):]
            data = mutator.mutate(r.choice(recent if r.random() < 0.5 else corpus), r.choice(corpus))
            if self.execute(data):
                self.keep(data, new=True)
        self.state.end(self.started, self.executions, len(self.corpus), self.coverage.coverage_edge_count())

    def leak(self):
        """Bytes that the allocator holds more after `leak` executions than after a tenth of them."""
        # By item: Python would mangle an attribute that begins with two underscores.
        allocated = ctypes.CDLL(None)["__sanitizer_get_current_allocated_bytes"]
        allocated.restype = ctypes.c_size_t
        inputs = self.module.seeds()
        before = 0
        for n in range(self.options.leak):
            if n == self.options.leak // 10:
                gc.collect()
                before = allocated()
            self.target.run(inputs[n % len(inputs)])
        gc.collect()
        print(json.dumps({"executions": self.options.leak, "leaked_bytes": allocated() - before}), flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("target")
    parser.add_argument("--state", required=True)
    parser.add_argument("--corpus", required=True)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--skip", default="")
    parser.add_argument("--input")
    parser.add_argument("--leak", type=int)
    options = parser.parse_args()
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    worker = Worker(options)
    try:
        if options.leak:
            worker.leak()
        elif options.input:
            worker.execute(Path(options.input).read_bytes())
            worker.state.end(1, 1, 0, worker.coverage.coverage_edge_count())
        else:
            worker.fuzz()
    finally:
        if hasattr(worker.target, "close"):
            worker.target.close()


if __name__ == "__main__":
    main()
