"""The engine allocates nothing in the steady state: the allocator's calls during a drain of a million events are counted.

The figure comes from a library that stands in front of the C library (LD_PRELOAD) and counts malloc, calloc, realloc, free,
memalign and its kin, mmap, munmap, mremap, brk and sbrk, in every thread. Python runs with PYTHONMALLOC=malloc, so that each
Python object is a call too. The one call of `Session.drain` makes a few objects of its own; so does a drain of few frames,
and the difference between that and a drain of a million events is what the engine allocates: exactly 0.
"""
import ctypes
import gc
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
COUNTER = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MALLOC, CALLOC, REALLOC, FREE, ALIGNED, MAP, UNMAP, REMAP, BREAK, COUNTERS };
static uint64_t calls[COUNTERS];
#define COUNT(which) __atomic_fetch_add(&calls[which], 1, __ATOMIC_RELAXED)

/* The C library's own names: looking them up would allocate. */
extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);

void *malloc(size_t n) { COUNT(MALLOC); return __libc_malloc(n); }
void *calloc(size_t n, size_t size) { COUNT(CALLOC); return __libc_calloc(n, size); }
void *realloc(void *p, size_t n) { COUNT(REALLOC); return __libc_realloc(p, n); }
void free(void *p) { COUNT(FREE); __libc_free(p); }
void *memalign(size_t alignment, size_t n) { COUNT(ALIGNED); return __libc_memalign(alignment, n); }
void *aligned_alloc(size_t alignment, size_t n) { COUNT(ALIGNED); return __libc_memalign(alignment, n); }
int posix_memalign(void **out, size_t alignment, size_t n) {
    COUNT(ALIGNED);
    *out = __libc_memalign(alignment, n);
    return *out ? 0 : ENOMEM;
}
void *mmap(void *a, size_t n, int prot, int flags, int fd, off_t offset) {
    COUNT(MAP);
    return (void *)syscall(SYS_mmap, a, n, prot, flags, fd, offset);
}
void *mmap64(void *a, size_t n, int prot, int flags, int fd, off_t offset) { return mmap(a, n, prot, flags, fd, offset); }
int munmap(void *a, size_t n) { COUNT(UNMAP); return (int)syscall(SYS_munmap, a, n); }
void *mremap(void *a, size_t old, size_t n, int flags, ...) {
    COUNT(REMAP);
    __builtin_va_list more;
    __builtin_va_start(more, flags);
    void *at = flags & MREMAP_FIXED ? __builtin_va_arg(more, void *) : NULL;
    __builtin_va_end(more);
    return (void *)syscall(SYS_mremap, a, old, n, flags, at);
}
int brk(void *end) {
    COUNT(BREAK);
    return ((int (*)(void *))dlsym(RTLD_NEXT, "brk"))(end);
}
void *sbrk(intptr_t n) {
    COUNT(BREAK);
    return ((void *(*)(intptr_t))dlsym(RTLD_NEXT, "sbrk"))(n);
}

void allocation_counts(uint64_t *out) {
    for (int i = 0; i < COUNTERS; i++) out[i] = __atomic_load_n(&calls[i], __ATOMIC_RELAXED);
}
"""
NAMES = ("malloc", "calloc", "realloc", "free", "aligned", "mmap", "munmap", "mremap", "brk")
CAPTURES = ("hftbacktest_btcusdt_20240808.gz", "hftbacktest_btcusdt_20240809.gz")
LANE_BYTES = 1 << 27
WARM_UP_FRAMES = 5000
EVENTS = 1_000_000


# ---- what runs in the child, under the counter

def shifted(data, by):
    """A recorded message with its update and trade ids moved on, so that it is a new one to the engine."""
    return re.sub(rb'"(U|u|t|lastUpdateId)":(\d+)', lambda m: b'"%b":%d' % (m[1], int(m[2]) + by), data)


def frames(case, rounds):
    """(bytes, ts_recv_ns) of a case, `rounds` times over, time and ids going on."""
    sys.path.insert(0, str(ROOT / "scripts"))
    from bench_frame_to_order import generated
    from tickpath.capture import read_capture
    if case != "capture":
        yield from generated(case, 30000 * rounds)
        return
    recorded = [(f.data, f.ts_recv_ns) for name in CAPTURES for f in read_capture(ROOT / "tests/golden/binance_spot" / name)]
    duration_ns = recorded[-1][1] - recorded[0][1] + 1_000_000
    for n in range(rounds):
        for data, ts_ns in recorded:
            yield shifted(data, n * 10 ** 9) if n else data, ts_ns + n * duration_ns


def child(kind, case, rounds):
    """Counts, printed as JSON: the calls of a drain of 300 frames, and of one of all frames that are left."""
    sys.path.insert(0, str(ROOT / "scripts"))
    import benchlib
    from tickpath.engine import Engine
    from tickpath.session import Session
    from tickpath.shm.feed_lane import FeedLaneWriter
    from tickpath.shm.ring import EventWriter
    from tickpath.shm.state_page import StatePage
    count_into = ctypes.CDLL(None).allocation_counts
    before, after = (ctypes.c_uint64 * len(NAMES))(), (ctypes.c_uint64 * len(NAMES))()
    engine = Engine(benchlib.spec(kind, {}, stamps=True), EventWriter.local(1 << 16))
    session = Session(engine, benchlib.PAPER)
    page = StatePage(engine.state_buffer)
    writer, lane = FeedLaneWriter.local(LANE_BYTES)
    for data, ts_ns in frames(case, rounds):
        if not writer.try_write(data, ts_ns, 0):
            raise RuntimeError("expected the frames to fit the lane")
    gc.disable()

    def calls(max_frames):
        count_into(before)
        handled = session.drain(lane, max_frames)
        count_into(after)
        return handled, dict(zip(NAMES, (b - a for a, b in zip(before, after, strict=True)), strict=True))
    for n in (WARM_UP_FRAMES - 900, 300, 300, 300):
        calls(n)
    first = page.totals()
    # Both results are Python ints of one digit (30 bits) that are not among the cached small ones: one object each.
    few_handled, few = calls(300)
    middle = page.totals()
    handled, many = calls(1 << 20)
    last = page.totals()
    data = bytes(100_000)
    count_into(before)
    data = data + b"x"
    count_into(after)
    print(json.dumps({"few": few, "few_frames": few_handled, "few_events": middle["events"] - first["events"], "many": many,
                      "frames": handled, "events": last["events"] - middle["events"],
                      "orders": last["orders"] - middle["orders"], "fills": last["fills"] - middle["fills"],
                      "cancels": last["cancels"] - middle["cancels"], "levels": last["levels"] - middle["levels"],
                      "latencies": page.latency()["send"]["n"], "planted": after[0] - before[0]}))


# ---- the tests

@pytest.fixture(scope="module")
def counter(tmp_path_factory, require_tool):
    gcc = require_tool("gcc", "build-essential")
    base = tmp_path_factory.mktemp("counter")
    (base / "counter.c").write_text(COUNTER)
    subprocess.run([gcc, "-O2", "-shared", "-fPIC", "-fno-builtin", "-o", base / "counter.so", base / "counter.c", "-ldl"], check=True)
    return base / "counter.so"


def counted(counter, kind, case, rounds):
    environment = {**os.environ, "LD_PRELOAD": str(counter), "PYTHONMALLOC": "malloc", "OPENBLAS_NUM_THREADS": "1",
                   "PYTHONPATH": os.pathsep.join([str(ROOT / "examples"), *filter(None, sys.path)])}
    done = subprocess.run([sys.executable, __file__, kind, case, str(rounds)], capture_output=True, text=True, timeout=200,
                          env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("kind, case, rounds", [
    ("every_event", "capture", 1), ("market_maker", "capture", 2), ("market_maker", "depth20", 2)])
def test_a_million_events_make_not_one_call_of_the_allocator(counter, kind, case, rounds):
    found = counted(counter, kind, case, rounds)
    print(found)
    assert found["events"] >= EVENTS and found["few_frames"] == 300 < found["few_events"] < EVENTS / 100
    assert found["orders"] > 1000 and found["latencies"] >= found["orders"], "expected orders, each with its stamps"
    if case == "capture":
        assert found["fills"] > 100 and found["levels"] > 100_000
    assert {k: max(found["many"][k] - found["few"][k], 0) for k in NAMES} == dict.fromkeys(NAMES, 0)
    assert sum(found["few"].values()) < 20, "expected one call's own objects only"
    assert found["many"]["mmap"] == found["many"]["brk"] == found["many"]["munmap"] == 0
    assert found["planted"] >= 1, "the counter sees nothing"


def test_the_counter_sees_what_a_python_strategy_allocates(counter):
    found = counted(counter, "ema_cross:EmaCross", "capture", 1)
    assert found["many"]["malloc"] - found["few"]["malloc"] > 1000


if __name__ == "__main__":
    child(sys.argv[1], sys.argv[2], int(sys.argv[3]))
