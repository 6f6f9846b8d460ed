"""How many instructions does a frame cost, first byte to encoded order? Counted by callgrind, so the same on a busy machine.

Workload: for each kind of frame N1 and N2 generated messages (bookTicker, trade, aggTrade, depth of 10 + 10 levels,
executionReport) around one price, 1 ms apart, each giving an order of a compiled strategy; every step stamped, orders sent
nowhere, so that no venue is counted. A figure is the difference of the two runs over N2 - N1: what a run costs once cancels.
`instructions` is engine_on_frame with all it calls; `decode` and `encode` are parts of it; `turn` adds the feed lane.

Usage: instructions.py --json | --store | --check
  --store   writes instructions.json beside this file
  --check   compares with it: 1 when a figure is more than 3 % off, either way; 0 and a word when the stored ones are of
            another compiler or -march, or valgrind is missing (with TICKPATH_REQUIRE_TOOLS=1 missing valgrind is 1)
"""
import argparse
import ctypes
import json
import mmap
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import benchlib

STORED = Path(__file__).with_suffix(".json")
KINDS = ("bookTicker", "trade", "aggTrade", "depth20", "executionReport")
FRAMES_FEW, FRAMES_MANY = 200, 1200        # open orders pile up, for nobody answers: below the order table's 2,048
TOLERANCE = 0.03
INSTANCE, EPOCH = "bench", 1
EVERY_EVENT = {"order_qty_lots": 1000, "offset_ticks": 5}
SNAPSHOT = b'{"lastUpdateId":1000,"bids":[["61000.00000000","1.00000000"]],"asks":[["61000.01000000","1.00000000"]]}'
FRAME_SPACING_NS = 1_000_000
# The functions whose totals, callees included, are reported. Cython's names end in the function's own.
FUNCTIONS = {"turn": r"7Session_\d+drain", "instructions": "engine_on_frame", "decode": r"binance_decode_binance_decode",
             "encode": "binance_encode_order"}


# ---- the messages
def frames(kind, n, *, seed=7):
    """n messages of a kind as Binance sends them: list of bytes. They belong behind SNAPSHOT."""
    r = random.Random(f"{seed} {kind}")
    if kind == "executionReport":
        return execution_reports(n)
    make = {"bookTicker": book_ticker, "trade": trade, "aggTrade": agg_trade, "depth20": depth}[kind]
    return [make(r, i, 1723161255342 + i).encode() for i in range(n)]


def quantity(r):
    return f"{r.lognormvariate(-2, 1) + 0.00001:.5f}000"


def book_ticker(r, i, ms):
    bid = 61000 + r.randrange(200) / 100
    return (f'{{"stream":"btcusdt@bookTicker","data":{{"u":{50_093_239_212 + 3 * i},"s":"BTCUSDT",'
            f'"b":"{bid:.8f}","B":"{quantity(r)}","a":"{bid + 0.01:.8f}","A":"{quantity(r)}"}}}}')


def trade(r, i, ms):
    return (f'{{"stream":"btcusdt@trade","data":{{"e":"trade","E":{ms},"s":"BTCUSDT","t":{3_735_683_259 + i},'
            f'"p":"{61000 + r.randrange(200) / 100:.8f}","q":"{quantity(r)}","T":{ms - 1},'
            f'"m":{r.choice(("true", "false"))},"M":true}}}}')


def agg_trade(r, i, ms):
    return (f'{{"stream":"btcusdt@aggTrade","data":{{"e":"aggTrade","E":{ms},"s":"BTCUSDT","a":{3_512_000_000 + i},'
            f'"p":"{61000 + r.randrange(200) / 100:.8f}","q":"{quantity(r)}","f":{5_123_000_000 + 3 * i},'
            f'"l":{5_123_000_002 + 3 * i},"T":{ms - 1},"m":{r.choice(("true", "false"))},"M":true}}}}')


def depth(r, i, ms):
    rows = [",".join(f'["{61000 + sign * (k + (sign > 0)) / 100:.8f}","{r.lognormvariate(-2, 2) + 0.00001:.5f}000"]'
                     for k in range(10)) for sign in (-1, 1)]
    return (f'{{"stream":"btcusdt@depth@100ms","data":{{"e":"depthUpdate","E":{ms},"s":"BTCUSDT","U":{1001 + 31 * i},'
            f'"u":{1031 + 31 * i},"b":[{rows[0]}],"a":[{rows[1]}]}}}}')


def execution_reports(n):
    """A fill of each order that the strategy places on the fill before."""
    from tickpath.trading.orders import client_order_prefix
    prefix = client_order_prefix(INSTANCE, EPOCH)
    out = []
    for i in range(1, n + 1):
        ms = 1723161255342 + i
        out.append((
            f'{{"e":"executionReport","E":{ms},"s":"BTCUSDT","c":"{prefix}{base32(i)}","S":"BUY","o":"LIMIT","f":"IOC",'
            f'"q":"0.00100000","p":"60999.95000000","P":"0.00000000","F":"0.00000000","g":-1,"C":"","x":"TRADE","X":"FILLED",'
            f'"r":"NONE","i":{34_293_153_000 + i},"l":"0.00100000","z":"0.00100000","L":"60999.95000000","n":"0.06100000",'
            f'"N":"USDT","T":{ms - 1},"t":{4_512_345_678 + i},"I":{78_641_984_000 + i},"w":false,"m":true,"M":false,'
            f'"O":{ms - 900},"Z":"61.00000000","Y":"61.00000000","Q":"0.00000000","W":{ms - 900}}}').encode())
    return out


def base32(v):
    out = ""
    for _ in range(6):
        out = "0123456789abcdefghijklmnopqrstuv"[v & 31] + out
        v >>= 5
    return out


# ---- the counted process
# Requests to callgrind (<valgrind/callgrind.h>, 3.19: the tool's letters and the number in its enum).
DUMP_STATS, ZERO_STATS, START_INSTRUMENTATION = (0x43540000 + i for i in (0, 1, 4))
# f(request): how a program on x86-64 speaks to valgrind (<valgrind/valgrind.h>): rax = address of six words, rdx = default
# answer, four rotations of rdi that add up to none, xchg rbx, rbx. Elsewhere it does nothing.
REQUEST_CODE = bytes.fromhex("4889f8 31d2 48c1c703 48c1c70d 48c1c73d 48c1c733 4887db 4889d0 c3")


def client_request():
    memory = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    memory.write(REQUEST_CODE)
    start = ctypes.c_char.from_buffer(memory)                  # holds the memory as long as the function below lives
    call = ctypes.CFUNCTYPE(ctypes.c_uint64, ctypes.c_void_p)(ctypes.addressof(start))

    def ask(request, _memory=start):
        words = (ctypes.c_uint64 * 6)(request)
        return call(ctypes.addressof(words))

    return ask


def unanswered_spec():
    """Orders stay open, for no venue answers: as many as the order table takes. The cycle rate is of no interest."""
    spec = benchlib.spec("every_event", EVERY_EVENT)
    spec["instruments"][0]["max_open_orders"] = 2000
    return {**spec, "cycles_per_ns": 1.0}


def drain_counted(kind, messages, writer, state_buffer=None):
    """One turn of a fresh engine over all messages, behind their snapshot, counted: writes one profile."""
    from tickpath.engine import Engine
    from tickpath.session import Session
    from tickpath.shm.feed_lane import FeedLaneWriter
    session = Session(Engine(unanswered_spec(), writer, state_buffer))
    lane_writer, lane = FeedLaneWriter.local(1 << 21)
    for i, data in enumerate([SNAPSHOT, *messages]):
        if not lane_writer.try_write(data, i * FRAME_SPACING_NS, 0):
            raise RuntimeError("the feed lane is too small for the messages")
    request = client_request()
    request(START_INSTRUMENTATION)         # from the first of them on: it stays
    request(ZERO_STATS)
    session.drain(lane, len(messages) + 1)
    request(DUMP_STATS)
    # The snapshot gives an order too. A report closes the order before, so that one is always open.
    expected = 1 if kind == "executionReport" else len(messages) + 1
    if session.engine.open_orders != expected:
        raise RuntimeError(f"{kind}: expected {expected} open orders, found {session.engine.open_orders}")


def child():
    from tickpath.shm.ring import EventWriter
    for kind in KINDS:
        messages = frames(kind, FRAMES_MANY)
        for n in (FRAMES_FEW, FRAMES_MANY):
            drain_counted(kind, messages[:n], EventWriter.local(1 << 16))


# ---- the counting process
def callgrind(out_file, *command):
    """The command that runs `command` under callgrind: one profile, out_file.1, .2 …, for each drain_counted."""
    return ["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={out_file}", "--instr-atstart=no",
            "--compress-strings=no", "--compress-pos=no", *command]


def inclusive(path):
    """{figure of FUNCTIONS: instructions of the function and all it called} in one profile."""
    totals = dict.fromkeys(FUNCTIONS, 0)
    patterns = {figure: re.compile(f"{name}(?!\\w)|{name}P\\d") for figure, name in FUNCTIONS.items()}
    of = {}                                # a name is looked up once
    current = ()
    for line in path.read_text().splitlines():
        if line.startswith("fn="):
            name = line[3:]
            if name not in of:
                of[name] = [figure for figure, pattern in patterns.items() if pattern.search(name)]
            current = of[name]
        elif current and line[:1].isdigit():
            for figure in current:
                totals[figure] += int(line.split()[1])
    return totals


def per_frame(few, many, frames_between=FRAMES_MANY - FRAMES_FEW):
    """Figures of one frame from two profiles; a function that is in neither is an error, not a zero."""
    a, b = inclusive(few), inclusive(many)
    for figure in FUNCTIONS:
        if b[figure] == 0:
            raise RuntimeError(f"{many.name}: expected calls of {FUNCTIONS[figure]}, found none: was it inlined or renamed?")
    return {figure: round((b[figure] - a[figure]) / frames_between, 1) for figure in FUNCTIONS}


def profile(directory, number):
    path = Path(directory, f"callgrind.{number}")
    if not path.exists():
        raise RuntimeError(f"{path.name}: expected a profile, found none")
    return path


def count():
    """{case: {instructions, decode, encode, turn}} of one frame."""
    with tempfile.TemporaryDirectory(prefix="tickpath-callgrind-") as directory:
        command = callgrind(Path(directory, "callgrind"), sys.executable, __file__, "--child")
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"the counted process: expected exit status 0, found {done.returncode}:\n{done.stderr[-2000:]}")
        return {kind: per_frame(profile(directory, 2 * i + 1), profile(directory, 2 * i + 2)) for i, kind in enumerate(KINDS)}


def available():
    return shutil.which("valgrind") is not None


def toolchain():
    m = benchlib.machine()
    return {"compiler": m["compiler"], "march": m["march"], "cython": m["cython"],
            "valgrind": benchlib.first_line("valgrind", "--version")}


def compiler_major(text):
    """gcc (Debian 12.2.0-14) 12.2.0 -> ("gcc", "12")."""
    found = re.search(r"(\d+)\.\d+\.\d+\S*(?: \d+)?$", text)
    return text.split()[0] if text else "", found.group(1) if found else text


def stored():
    """The stored figures, or None."""
    return json.loads(STORED.read_text()) if STORED.exists() else None


def for_cases():
    """({case: figures}, "counted" or "stored") for a benchmark's JSON; ({}, "none") where neither is to be had."""
    if available():
        return count(), "counted"
    kept = stored()
    return (kept["cases"], "stored") if kept else ({}, "none")


def not_comparable(kept, now):
    """Why the stored figures say nothing about this build, or None."""
    if kept is None:
        return f"expected stored figures in {STORED.name}, found none: run instructions.py --store"
    for what, expected, found in (("compiler", compiler_major(kept["compiler"]), compiler_major(now["compiler"])),
                                  ("march", kept["march"], now["march"])):
        if expected != found:
            return f"the stored figures are of another {what}: expected {kept[what]}, found {now[what]}"
    if os.environ.get("TICKPATH_DEBUG") == "1" or os.environ.get("TICKPATH_SANITIZE"):
        return "this is a debug or sanitizer build"
    return None


def compare(kept, found):
    """(lines of a table, whether every figure is within TOLERANCE) of {case: figures}."""
    lines, held = [f"{'instructions a frame':<22}{'expected':>10}{'found':>10}{'%':>8}"], True
    for case in sorted(kept.keys() | found.keys()):
        if case not in kept or case not in found:
            held = False
            lines.append(f"{case:<22}{'' if case in found else 'stored, but not counted':>10}"
                         f"{'' if case in kept else ' counted, but not stored'}")
            continue
        a, b = kept[case]["instructions"], found[case]["instructions"]
        off = b / a - 1
        verdict = ""
        if off > TOLERANCE:
            verdict = "  more than stored"
        elif off < -TOLERANCE:
            verdict = "  better: store the new figure (instructions.py --store)"
        held = held and not verdict
        lines.append(f"{case:<22}{a:>10,.0f}{b:>10,.0f}{100 * off:>+8.1f}{verdict}")
    return lines, held


def check():
    if not available():
        print("instructions: valgrind not found. Run: apt-get install valgrind", file=sys.stderr)
        return 1 if os.environ.get("TICKPATH_REQUIRE_TOOLS") == "1" else 0
    kept = stored()
    why = not_comparable(kept, toolchain())
    if why is not None:
        print(f"instructions: not checked: {why}")
        return 0
    lines, held = compare(kept["cases"], count())
    print("\n".join(lines))
    return 0 if held else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    what = parser.add_mutually_exclusive_group(required=True)
    for name in ("json", "store", "check"):
        what.add_argument(f"--{name}", action="store_true")
    what.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child()
        return 0
    if options.check:
        return check()
    if not available():
        print("instructions: valgrind not found. Run: apt-get install valgrind", file=sys.stderr)
        return 1
    text = json.dumps({**toolchain(), "frames": FRAMES_MANY - FRAMES_FEW, "cases": count()}, indent=1)
    if options.store:
        STORED.write_text(text + "\n")
    else:
        print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
