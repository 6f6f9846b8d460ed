"""How long from a Binance frame's bytes to filled input records? (binance_decode alone: no ring, no hash, no engine)

Workload: generated messages of five instruments in turn by chance, at most 256 KiB a kind (they stay in the L2 cache), one
behind the other in one buffer, warm. A batch of 16 messages is timed at a time and divided by 16, everywhere alike,
because the TSC of many machines moves in steps of some 10 ns; n counts batches. Every answer is checked against the
others' before a time is printed. Unit: ns a message.

Peers: msgspec (Struct decode, then the decimals to int64 with Python's own means), and our own general path (simdjson
on-demand, any key order) with the scanner switched off. Floor: scripts/floors/decode.c, a plain C scanner, same run.
Where the reference programs of TICKPATH_BENCH_REFERENCE (default: ../shared/bench beside the repository) exist and build,
the floor must not take over 1.3 times as long as theirs: exit status 3.
--instructions adds instructions a message by callgrind, which do not vary from run to run.
"""
import os
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter_ns

import msgspec
import numpy as np

import benchlib
from tickpath.clock import calibrate_cycles_per_ns
from tickpath.shm.ring import records
from tickpath.types import EventType, Side, Status
from tickpath.venues.decoders import MessageDecoder

BATCH = 16
BYTES_A_KIND = 256 << 10
FLOOR_KINDS = {"aggTrade": 0, "bookTicker": 1, "trade": 2, "depth20": 3, "executionReport": 4}
REFERENCE_RATIO_MAX = 1.3
PREFIX = "tp0bench0000"
# Many short windows, of which the best counts: on a shared machine a long one never is undisturbed.
PASSES = 8
WINDOWS_A_ROUND = 4
# symbol: middle price, decimals of its tick.
SYMBOLS = {"BTCUSDT": (61837.63, 2), "ETHUSDT": (2671.55, 2), "SOLUSDT": (153.07, 2), "DOGEUSDT": (0.10523, 5),
           "XRPUSDT": (0.6117, 4)}
LOT_E8 = 1000
INSTRUMENTS = [(name, f"{10 ** -decimals:.{decimals}f}", "0.00001") for name, (_, decimals) in SYMBOLS.items()]
TICK_E8 = [10 ** (8 - decimals) for _, decimals in SYMBOLS.values()]
MASK = (1 << 64) - 1


# ---- messages

def generated(seed=11):
    """{kind: [frame, ...]}: numbers drawn anew for each message, so that no branch can be learnt from the text."""
    result = {}
    for kind, make in (("bookTicker", book_ticker), ("aggTrade", agg_trade), ("trade", trade), ("depth20", depth),
                       ("executionReport", report)):
        r, frames, total = random.Random(f"{kind}{seed}"), [], 0
        while total < BYTES_A_KIND:
            frame = make(r, len(frames), 1723161255342 + 7 * len(frames), r.choice(list(SYMBOLS))).encode()
            frames.append(frame)
            total += len(frame)
        result[kind] = frames[:len(frames) // BATCH * BATCH]
    return result


def price(r, symbol, offset_ticks=0):
    middle, decimals = SYMBOLS[symbol]
    return f"{round(middle * r.gauss(1, 0.002), decimals) + offset_ticks * 10 ** -decimals:.{decimals}f}".ljust(
        len(f"{middle:.0f}") + 1, "0") + "0" * (8 - decimals)


def qty(r):
    return f"{r.lognormvariate(-2, 2) + 0.00001:.5f}000"


def book_ticker(r, i, ms, symbol):
    return (f'{{"stream":"{symbol.lower()}@bookTicker","data":{{"u":{50_093_239_212 + 7 * i},"s":"{symbol}",'
            f'"b":"{price(r, symbol)}","B":"{qty(r)}","a":"{price(r, symbol, 1)}","A":"{qty(r)}"}}}}')


def agg_trade(r, i, ms, symbol):
    first = 5_123_000_000 + 3 * i
    return (f'{{"stream":"{symbol.lower()}@aggTrade","data":{{"e":"aggTrade","E":{ms},"s":"{symbol}","a":{3_512_000_000 + i},'
            f'"p":"{price(r, symbol)}","q":"{qty(r)}","f":{first},"l":{first + r.randrange(3)},"T":{ms - r.randrange(3)},'
            f'"m":{r.choice(("true", "false"))},"M":true}}}}')


def trade(r, i, ms, symbol):
    return (f'{{"stream":"{symbol.lower()}@trade","data":{{"e":"trade","E":{ms},"s":"{symbol}","t":{3_735_683_259 + i},'
            f'"p":"{price(r, symbol)}","q":"{qty(r)}","T":{ms - r.randrange(3)},"m":{r.choice(("true", "false"))},"M":true}}}}')


def depth(r, i, ms, symbol):
    middle, decimals = SYMBOLS[symbol]
    rows = [",".join(f'["{middle + sign * (k + r.randrange(1, 3)) * 10 ** -decimals:.{decimals}f}{"0" * (8 - decimals)}",'
                     f'"{qty(r) if r.random() > 0.15 else "0.00000000"}"]' for k in range(10)) for sign in (-1, 1)]
    last = 50_093_239_202 + 31 * i
    return (f'{{"stream":"{symbol.lower()}@depth@100ms","data":{{"e":"depthUpdate","E":{ms},"s":"{symbol}","U":{last - 30},'
            f'"u":{last},"b":[{rows[0]}],"a":[{rows[1]}]}}}}')


def report(r, i, ms, symbol):
    kind, state = r.choice((("NEW", "NEW"), ("TRADE", "FILLED"), ("CANCELED", "CANCELED")))
    filled = kind == "TRADE"
    amount, limit = qty(r), price(r, symbol)
    notional = f"{float(amount) * float(limit) if filled else 0:.8f}"
    fee = f'"{float(notional) / 1000:.8f}","N":"USDT"' if filled else '"0","N":null'
    none = "0.00000000"
    return (f'{{"e":"executionReport","E":{ms},"s":"{symbol}","c":"{PREFIX}{r.randrange(10 ** 6):06d}",'
            f'"S":"{r.choice(("BUY", "SELL"))}","o":"LIMIT","f":"GTC","q":"{amount}","p":"{limit}","P":"{none}","F":"{none}",'
            f'"g":-1,"C":"","x":"{kind}","X":"{state}","r":"NONE","i":{34_293_153_000 + i},"l":"{amount if filled else none}",'
            f'"z":"{amount if filled else none}","L":"{limit if filled else none}","n":{fee},"T":{ms - 1},'
            f'"t":{4_512_345_678 + i if filled else -1},"I":{78_641_984_000 + i},"w":{"false" if filled else "true"},'
            f'"m":{r.choice(("true", "false"))},"M":false,"O":{ms - 900},"Z":"{notional}","Y":"{notional}","Q":"{none}",'
            f'"W":{ms - 900},"V":"EXPIRE_MAKER"}}')


# ---- answers: each kind's numbers in the floor's order, and one sum over them

def weighted(values, levels=()):
    return sum((2 * j + 1) * v for j, v in enumerate(values)) + sum(p + 3 * q for p, q in levels)


def answer_of_slots(kind, slots, update_id):
    tick = TICK_E8[int(slots[0]["instrument"])]
    if kind == "depth20":
        d = records(slots, EventType.EV_BOOK_DELTA)
        return weighted((int(d["ts_venue_ns"][0]) // 10 ** 6, int(d["first_update_id"][0]), int(d["last_update_id"][0])),
                        [(int(p) * tick, int(q) * LOT_E8) for p, q in zip(d["price_ticks"], d["qty_lots"], strict=True)])
    if kind == "bookTicker":
        q = records(slots, EventType.EV_QUOTE)[0]
        return weighted((update_id, int(q["bid_price_ticks"]) * tick, int(q["bid_qty_lots"]) * LOT_E8,
                         int(q["ask_price_ticks"]) * tick, int(q["ask_qty_lots"]) * LOT_E8))
    if kind == "executionReport":
        e = records(slots, EventType.EV_EXEC_REPORT)[0]
        return weighted((e["side"] == Side.SIDE_BUY, int(e["venue_order_id"]), int(e["last_qty_lots"]) * LOT_E8,
                         int(e["cum_qty_lots"]) * LOT_E8, int(e["last_price_ticks"]) * tick, int(e["fee_e8"]),
                         int(e["ts_venue_ns"]) // 10 ** 6, int(e["trade_id"]), int(e["flags"]) & 1))
    t = records(slots, EventType.EV_TRADE)[0]
    return (int(t["price_ticks"]) * tick, int(t["qty_lots"]) * LOT_E8, int(t["trade_id"]), int(t["trade_count"]),
            int(t["ts_venue_ns"]) // 10 ** 6, int(t["flags"]) & 1)


class Trade(msgspec.Struct, gc=False):
    E: int
    s: str
    t: int
    p: str
    q: str
    T: int
    m: bool


class AggTrade(msgspec.Struct, gc=False):
    E: int
    s: str
    a: int
    p: str
    q: str
    f: int
    last: int = msgspec.field(name="l")
    T: int
    m: bool


class BookTicker(msgspec.Struct, gc=False):
    u: int
    s: str
    b: str
    B: str
    a: str
    A: str


class Depth(msgspec.Struct, gc=False):
    E: int
    s: str
    U: int
    u: int
    b: list[tuple[str, str]]
    a: list[tuple[str, str]]


class Report(msgspec.Struct, gc=False):
    E: int
    s: str
    c: str
    S: str
    x: str
    i: int
    last_qty: str = msgspec.field(name="l")
    z: str
    L: str
    n: str
    T: int
    t: int
    m: bool


def envelope(inner):
    return msgspec.defstruct(f"{inner.__name__}Message", [("data", inner)], gc=False)


def e8(text):
    whole, _, fraction = text.partition(".")
    return int(whole + (fraction + "00000000")[:8])


def of_trade(message):
    d = message.data
    return d.t, e8(d.p), e8(d.q), d.T, d.m


def of_agg_trade(message):
    d = message.data
    return d.a, e8(d.p), e8(d.q), d.T, d.m, d.f, d.last


def of_book_ticker(message):
    d = message.data
    return d.u, e8(d.b), e8(d.B), e8(d.a), e8(d.A)


def of_depth(message):
    d = message.data
    return (d.E, d.U, d.u), [(e8(p), e8(q)) for p, q in d.b] + [(e8(p), e8(q)) for p, q in d.a]


def of_report(d):
    return d.S == "BUY", d.i, e8(d.last_qty), e8(d.z), e8(d.L), e8(d.n), d.T, max(d.t, 0), d.m


MSGSPEC = {"bookTicker": (envelope(BookTicker), of_book_ticker), "aggTrade": (envelope(AggTrade), of_agg_trade),
           "trade": (envelope(Trade), of_trade), "depth20": (envelope(Depth), of_depth), "executionReport": (Report, of_report)}


def check_answers(kind, frames, decoders, floor_checksum):
    """Scanner, simdjson, msgspec and the C floor must have read the same numbers; raises ValueError otherwise."""
    struct_, convert = MSGSPEC[kind]
    decode = msgspec.json.Decoder(struct_).decode
    total = 0
    for number, frame in enumerate(frames):
        values = convert(decode(frame))
        expected = weighted(*values) if kind == "depth20" else weighted(values)
        total += expected
        if kind == "aggTrade":
            expected = (*values[1:3], values[0], values[6] - values[5] + 1, *values[3:5])
        elif kind == "trade":
            expected = (*values[1:3], values[0], 1, *values[3:])
        for name, decoder in decoders.items():
            status, _, slots, by_scanner, _, update_id = decoder.decode(frame)
            found = answer_of_slots(kind, slots, update_id) if status == Status.STATUS_OK else status
            if found != expected or by_scanner != (name == "scanner"):
                raise ValueError(f"{kind}, frame {number}: expected {expected} by msgspec, found {found} by {name}")
    if total & MASK != floor_checksum:
        raise ValueError(f"{kind}: expected the sum {total & MASK} by msgspec, found {floor_checksum} by the floor")


# ---- times

def time_msgspec(kind, frames, passes=2):
    """ns a message, batch by batch."""
    struct_, convert = MSGSPEC[kind]
    decode = msgspec.json.Decoder(struct_).decode
    times = []
    for _ in range(passes):
        for at in range(0, len(frames), BATCH):
            batch = frames[at:at + BATCH]
            start = perf_counter_ns()
            for frame in batch:
                convert(decode(frame))
            times.append((perf_counter_ns() - start) / BATCH)
    return times


def write_floor_frames(path, messages):
    with open(path, "wb") as f:
        for kind, frames in messages.items():
            for frame in frames:
                f.write(struct.pack("<II", FLOOR_KINDS[kind], len(frame)) + frame)


def run_floor(program, path, cycles_per_ns, passes=PASSES):
    names = {v: k for k, v in FLOOR_KINDS.items()}
    result = {}
    for line in subprocess.run([program, path, str(passes)], capture_output=True, text=True, check=True).stdout.splitlines():
        kind, n, *values, checksum = map(int, line.split())
        result[names[kind]] = {"n": n, **{k: round(v / BATCH / cycles_per_ns, 1) for k, v in
                                          zip(("p50", "p99", "p999", "max"), values, strict=True)}, "checksum": checksum}
    return result


def reference_program(folder):
    """The reference scanner, built into `folder`; None where its source is absent or does not build."""
    source = Path(os.environ.get("TICKPATH_BENCH_REFERENCE") or benchlib.ROOT.parent / "shared" / "bench")
    if not (source / "io_json.cpp").exists():
        return None
    try:
        import simdjson
    except ImportError:
        return None
    home = Path(simdjson.__file__).parent
    program = Path(folder) / "io_json"
    built = subprocess.run(["g++", "-O3", "-std=c++17", f"-march={benchlib.march()}", "-I", str(home),
                            str(source / "io_json.cpp"), str(home / "simdjson.cpp"), "-o", str(program)], capture_output=True)
    return program if built.returncode == 0 else None


def run_reference(program, folder, messages):
    """{kind: ns a message in its best pass} of the reference's AVX2 scanner on the same messages."""
    for kind, frames in messages.items():
        (Path(folder) / f"{kind}.jsonl").write_bytes(b"\n".join(frames) + b"\n")
    out = subprocess.run([program, folder], capture_output=True, text=True, check=True).stdout
    rows = re.findall(r"^(\w+)\s+hand scanner AVX2\s+best\s+([\d.]+)(.*)$", out, flags=re.M)
    return {kind: float(best) for kind, best, rest in rows if "FALLBACKS" not in rest}


def collected(valgrind, function, *command):
    """Instructions that callgrind counts inside `function` in one run of `command`."""
    done = subprocess.run([valgrind, "--tool=callgrind", "--callgrind-out-file=/dev/null", f"--toggle-collect={function}",
                           *command], capture_output=True, text=True, check=True)
    return int(re.search(r"Collected : (\d+)", done.stderr)[1])


def count_instructions(valgrind, kind, frames, program, folder):
    """(ours, the floor's) instructions a message."""
    ours = collected(valgrind, "*binance_decode_binance_decode*", sys.executable, __file__, "--only-decode", kind)
    path = f"{folder}/one"
    write_floor_frames(path, {kind: frames})
    # One pass for the checksum and one that is timed.
    return round(ours / len(frames)), round(collected(valgrind, "scan_message*", program, path, "1") / len(frames) / 2)


def main():
    parser = benchlib.arguments(__doc__)
    parser.add_argument("--instructions", action="store_true", help="count instructions a message under valgrind")
    parser.add_argument("--only-decode", choices=FLOOR_KINDS, help="decode this kind's messages once and print nothing")
    options = parser.parse_args()
    messages = generated()
    if options.only_decode:
        MessageDecoder(INSTRUMENTS, id_prefix=PREFIX).time_cycles(messages[options.only_decode], batch=BATCH)
        return 0
    benchlib.pin(options.core)
    cycles_per_ns = calibrate_cycles_per_ns(200_000_000)
    decoders = {"scanner": MessageDecoder(INSTRUMENTS, id_prefix=PREFIX),
                "simdjson": MessageDecoder(INSTRUMENTS, id_prefix=PREFIX, scanner=False)}
    program = benchlib.build_floor("decode")
    missing, slow, cases = [], [], []
    with tempfile.TemporaryDirectory(prefix="tickpath-decode-") as folder:
        path = f"{folder}/frames"
        write_floor_frames(path, messages)
        reference_at = reference_program(folder)
        if reference_at is None:
            missing.append("reference scanner (TICKPATH_BENCH_REFERENCE)")
        floors = run_floor(program, path, cycles_per_ns, 1)
        for kind, frames in messages.items():
            check_answers(kind, frames, decoders, floors[kind]["checksum"])
        best, floor, references = {}, {}, {}
        for window in range(options.rounds * WINDOWS_A_ROUND):
            found = run_floor(program, path, cycles_per_ns)
            for kind, frames in messages.items():
                times = {"msgspec": time_msgspec(kind, frames)} if window % WINDOWS_A_ROUND == 0 else {}
                for name, decoder in decoders.items():
                    times[name] = decoder.time_cycles(frames, rounds=PASSES, batch=BATCH) / (BATCH * cycles_per_ns)
                for name, values in times.items():
                    if (kind, name) not in best or np.median(values) < np.median(best[kind, name]):
                        best[kind, name] = values
                if kind not in floor or found[kind]["p50"] < floor[kind]["p50"]:
                    floor[kind] = found[kind]
            if reference_at and window % WINDOWS_A_ROUND == 0:
                for kind, ns in run_reference(reference_at, folder, messages).items():
                    references[kind] = min(ns, references.get(kind, ns))
        valgrind = shutil.which("valgrind") if options.instructions else None
        if options.instructions and not valgrind:
            missing.append("valgrind")
        for kind, frames in messages.items():
            case = {"case": kind, "unit": "ns", **benchlib.percentiles(best[kind, "scanner"]), "messages": len(frames),
                    "peers": {}}
            for name, peer, package in (("msgspec", "msgspec", "msgspec"), ("simdjson", "simdjson on-demand", "pysimdjson")):
                values = benchlib.percentiles(best[kind, name])
                case["peers"][peer] = {"p50": values["p50"], "p99": values["p99"], "version": benchlib.version(package)}
            case["floor"] = {k: v for k, v in floor[kind].items() if k != "checksum"}
            case["ratio_to_floor"] = round(case["p50"] / floor[kind]["p50"], 2)
            case["times_faster_than_msgspec"] = round(case["peers"]["msgspec"]["p50"] / case["p50"], 1)
            if kind in references:
                case["reference_scanner"] = {"best": references[kind], "floor_to_reference": round(
                    floor[kind]["p50"] / references[kind], 2)}
                if floor[kind]["p50"] > REFERENCE_RATIO_MAX * references[kind]:
                    slow.append(f"{kind}: expected a floor of at most {REFERENCE_RATIO_MAX} x the reference's "
                                f"{references[kind]} ns, found {floor[kind]['p50']} ns")
            if valgrind:
                case["instructions"], case["floor"]["instructions"] = count_instructions(valgrind, kind, frames, program, folder)
            cases.append(case)
    benchlib.finish({"name": "bench_decode", "machine": benchlib.machine(), "rounds": options.rounds, "batch": BATCH,
                     "cases": cases, "missing": missing}, options.json)
    if not options.json:
        for case in cases:
            if "reference_scanner" in case:
                print(f"{case['case']}: floor {case['floor']['p50']} ns, reference {case['reference_scanner']['best']} ns")
    for line in slow:
        print(line, file=sys.stderr)
    return 3 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
