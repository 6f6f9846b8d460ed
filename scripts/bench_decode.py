"""How long from a frame's bytes to filled input records, per venue and message? (the decoder alone: no ring, no hash, no engine)

Workload: scripts/decode_cases, one behind the other in one buffer, warm. A batch of 16 messages is timed at a time and divided
by 16, everywhere alike, because the TSC of many machines moves in steps of some 10 ns; n counts batches. Unit: ns a message.
Before a time is printed, the scanner and the general way (simdjson on-demand, any key order) must have given the same records
of every message, and the floor and Python the same numbers.
`…_cold_2m`, `…_cold_48m` (Binance spot): one message at a time, 2 or 48 MiB of other memory read and written before it.

Floor: scripts/floors/FLOOR.c, a plain C scanner, in windows that alternate with ours; of all windows the best counts, for both.
Peers: the general way with the scanner off; for Binance spot msgspec (Struct decode, then the decimals by Python's own means).
Where the reference programs of TICKPATH_BENCH_REFERENCE (default: ../shared/bench beside the repository) exist and build, the
floor of Binance spot must not take over 1.3 times as long as theirs: exit status 3.
--instructions adds instructions a message by callgrind, which do not vary from run to run; --only-instructions leaves times out.
"""
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
from decimal import Decimal
from pathlib import Path
from time import perf_counter_ns

import numpy as np

import benchlib
import decode_cases
import instructions
from decode_cases.binance_spot import PREFIX, values_of
from tickpath.clock import calibrate_cycles_per_ns
from tickpath.types import Status
from tickpath.venues.decoders import MessageDecoder

REFERENCE_RATIO_MAX = 1.3
# Many short windows, of which the best counts: on a shared machine a long one never is undisturbed.
PASSES = 8
WINDOWS_A_ROUND = 4
COLD = {"cold_2m": (2 << 20, 2000), "cold_48m": (48 << 20, 200)}
DECODE_FUNCTION = r"6venues_\d+\w+_decode_\w+_decode(?!\w)"


def case_name(venue, name):
    return name if venue == "binance_spot" else f"{venue}_{name}"


def decoder_of(venue, case, **options):
    return MessageDecoder(case.instruments, kind=venue, id_prefix=PREFIX, max_frame_bytes=case.max_frame_bytes, **options)


# ---- answers

def check_records(what, case, venue):
    """Scanner and general way give the same records, and the scanner takes all; raises ValueError otherwise."""
    fast, slow = decoder_of(venue, case), decoder_of(venue, case, scanner=False)
    for number, frame in enumerate(case.frames):
        a, b = fast.decode(frame), slow.decode(frame)
        if a[0] != Status.STATUS_OK or not a[3] or b[3]:
            raise ValueError(f"{what}, frame {number}: expected a message that the scanner takes, found {Status(a[0]).name}")
        if (a[0], a[1], a[4], a[5]) != (b[0], b[1], b[4], b[5]) or not np.array_equal(a[2], b[2]):
            raise ValueError(f"{what}, frame {number}: expected the records of the general way {b[2]}, found {a[2]}")


# ---- the floor

def write_floor_frames(path, number, case):
    with open(path, "wb") as f:
        f.write(struct.pack("<I", len(case.instruments)))
        for symbol, tick, lot in case.instruments:
            f.write(struct.pack("<24sQQ", symbol.encode(), int(Decimal(tick).scaleb(8)), int(Decimal(lot).scaleb(8))))
        for frame in case.frames:
            f.write(struct.pack("<II", number, len(frame)) + frame)


def run_floor(program, path, case, cycles_per_ns, passes=PASSES):
    """Percentiles in ns a message, and the checksum."""
    out = subprocess.run([program, path, str(passes), str(case.batch)], capture_output=True, text=True, check=True).stdout
    _, n, *values, checksum = map(int, out.split())
    return {"n": n, **{k: round(v / case.batch / cycles_per_ns, 1) for k, v in
                       zip(("p50", "p99", "p999", "max"), values, strict=True)}}, checksum


# ---- what only Binance spot has

def time_msgspec(name, case, passes=2):
    """ns a message, batch by batch."""
    read = values_of(name)
    times = []
    for _ in range(passes):
        for at in range(0, len(case.frames), case.batch):
            batch = case.frames[at:at + case.batch]
            start = perf_counter_ns()
            for frame in batch:
                read(frame)
            times.append((perf_counter_ns() - start) / case.batch)
    return times


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


def run_reference(program, folder, cases):
    """{name: ns a message in its best pass} of the reference's AVX2 scanner on the same messages."""
    for name, case in cases.items():
        (Path(folder) / f"{name}.jsonl").write_bytes(b"\n".join(case.frames) + b"\n")
    out = subprocess.run([program, folder], capture_output=True, text=True, check=True).stdout
    rows = re.findall(r"^(\w+)\s+hand scanner AVX2\s+best\s+([\d.]+)(.*)$", out, flags=re.M)
    return {name: float(best) for name, best, rest in rows if "FALLBACKS" not in rest}


def time_cold(case, evict_bytes, n, cycles_per_ns):
    """ns of one message, decoded behind `evict_bytes` of other memory. Its own bytes are warm, as a socket's are."""
    from bench_frame_to_order import other_memory
    decoder, other = decoder_of("binance_spot", case), other_memory(evict_bytes)
    found = []
    for i in range(n):
        np.add(other, 1, out=other)
        found.append(decoder.time_cycles([case.frames[i % len(case.frames)]], batch=1)[0] / cycles_per_ns)
    return found[n // 20:]


# ---- instructions

def count_floor(program, path, frames):
    """Instructions of the floor's scan_message a message: one pass for the checksum and one that is timed."""
    done = subprocess.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=scan_message*",
                           program, path, "1", "1"], capture_output=True, text=True, check=True)
    return round(int(re.search(r"Collected : (\d+)", done.stderr)[1]) / frames / 2, 1)


def child(venues):
    """The counted process: each case's messages once, one profile each."""
    request = instructions.client_request()
    for venue in venues:
        for case in decode_cases.load(venue).CASES.values():
            decoder = decoder_of(venue, case)
            decoder.time_cycles(case.frames, batch=1)
            request(instructions.START_INSTRUMENTATION)
            request(instructions.ZERO_STATS)
            decoder.time_cycles(case.frames, batch=1)
            request(instructions.DUMP_STATS)


def count_ours(venues):
    """{(venue, name): instructions a message}, the decoder with all it calls."""
    pattern, result = re.compile(DECODE_FUNCTION), {}
    with tempfile.TemporaryDirectory(prefix="tickpath-callgrind-") as directory:
        command = instructions.callgrind(Path(directory, "callgrind"), sys.executable, str(Path(__file__).resolve()), "--child",
                                         "--venue", ",".join(venues))
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"the counted process: expected exit status 0, found {done.returncode}:\n{done.stderr[-2000:]}")
        number = 0
        for venue in venues:
            for name, case in decode_cases.load(venue).CASES.items():
                number += 1
                total, ours = 0, False
                for line in instructions.profile(directory, number).read_text().splitlines():
                    if line.startswith("fn="):
                        ours = bool(pattern.search(line))
                    elif ours and line[:1].isdigit():
                        total += int(line.split()[1])
                result[venue, name] = round(total / len(case.frames), 1)
    return result


# ---- all of it

def kept_best(best, key, values):
    if key not in best or np.median(values) < np.median(best[key]):
        best[key] = values


def time_venue(venue, paths, program, cycles_per_ns, rounds):
    """({(name, way): ns of each batch}, {name: the floor's percentiles}) of the best window of each."""
    module = decode_cases.load(venue)
    best, floor = {}, {}
    decoders = {name: (decoder_of(venue, case), decoder_of(venue, case, scanner=False)) for name, case in module.CASES.items()}
    for window in range(rounds * WINDOWS_A_ROUND):
        for name, case in module.CASES.items():
            passes = PASSES if case.batch > 1 else 1
            found, checksum = run_floor(program, paths[venue, name], case, cycles_per_ns, passes)
            if window == 0 and checksum != module.floor_checksum(name, case.frames):
                raise ValueError(f"{case_name(venue, name)}: expected the sum {module.floor_checksum(name, case.frames)} that "
                                 f"Python reads, found {checksum} by the floor")
            if name not in floor or found["p50"] < floor[name]["p50"]:
                floor[name] = found
            fast, slow = decoders[name]
            for way, decoder in (("scanner", fast), *((("general", slow),) if window % WINDOWS_A_ROUND == 0 else ())):
                cycles = decoder.time_cycles(case.frames, rounds=passes, batch=case.batch)
                kept_best(best, (name, way), cycles / (case.batch * cycles_per_ns))
            if venue == "binance_spot" and window % WINDOWS_A_ROUND == 0:
                kept_best(best, (name, "msgspec"), time_msgspec(name, case))
    return best, floor


def finished_case(venue, name, case, best, floor):
    result = {"case": case_name(venue, name), "unit": "ns", **benchlib.percentiles(best[name, "scanner"]),
              "messages": len(case.frames), "peers": {}}
    for way, peer, package in (("msgspec", "msgspec", "msgspec"), ("general", "simdjson on-demand", "pysimdjson")):
        if (name, way) in best:
            values = benchlib.percentiles(best[name, way])
            result["peers"][peer] = {"p50": values["p50"], "p99": values["p99"], "version": benchlib.version(package)}
    result["floor"] = floor[name]
    result["ratio_to_floor"] = round(result["p50"] / floor[name]["p50"], 2)
    result["ratio_to_best_peer"] = round(result["p50"] / min(p["p50"] for p in result["peers"].values()), 3)
    return result


def add_reference(cases, program, folder, rounds):
    """Compares the floors of Binance spot with the reference's times; the lines of those that are too slow."""
    spot, references, slow = decode_cases.load("binance_spot").CASES, {}, []
    for _ in range(rounds):
        for name, ns in run_reference(program, folder, spot).items():
            references[name] = min(ns, references.get(name, ns))
    for case in cases:
        ns = references.get(case["case"])
        if ns is None:
            continue
        case["reference_scanner"] = {"best": ns, "floor_to_reference": round(case["floor"]["p50"] / ns, 2)}
        if case["floor"]["p50"] > REFERENCE_RATIO_MAX * ns:
            slow.append(f"{case['case']}: expected a floor of at most {REFERENCE_RATIO_MAX} x the reference's {ns} ns, found "
                        f"{case['floor']['p50']} ns")
    return slow


def main():
    parser = benchlib.arguments(__doc__)
    parser.add_argument("--venue", default="all", help="all, or some of " + ", ".join(decode_cases.VENUES) + ", comma-separated")
    parser.add_argument("--instructions", action="store_true", help="count instructions a message under valgrind, too")
    parser.add_argument("--only-instructions", action="store_true", help="count them and time nothing")
    parser.add_argument("--child", action="store_true", help="the counted process: print nothing")
    options = parser.parse_args()
    venues = decode_cases.VENUES if options.venue == "all" else tuple(options.venue.split(","))
    if set(venues) - set(decode_cases.VENUES):
        parser.error(f"--venue: expected some of {', '.join(decode_cases.VENUES)}, found {options.venue}")
    if options.child:
        child(venues)
        return 0
    benchlib.pin(options.core)
    cycles_per_ns = calibrate_cycles_per_ns(200_000_000)
    counting = options.instructions or options.only_instructions
    cases, missing, slow = [], [], []
    if counting and not shutil.which("valgrind"):
        missing.append("valgrind")
        counting = False
    with tempfile.TemporaryDirectory(prefix="tickpath-decode-") as folder:
        counts, paths = count_ours(venues) if counting else {}, {}
        for venue in venues:
            module = decode_cases.load(venue)
            program, found = benchlib.build_floor(module.FLOOR), []
            for name, case in module.CASES.items():
                paths[venue, name] = f"{folder}/{venue}-{name}"
                write_floor_frames(paths[venue, name], module.FLOOR_KINDS[name], case)
                check_records(case_name(venue, name), case, venue)
            if options.only_instructions:
                found = [{"case": case_name(venue, name), "floor": {}} for name in module.CASES]
            else:
                best, floor = time_venue(venue, paths, program, cycles_per_ns, options.rounds)
                found = [finished_case(venue, name, case, best, floor) for name, case in module.CASES.items()]
            for result, (name, case) in zip(found, module.CASES.items(), strict=True):
                if counting:
                    result["instructions"] = counts[venue, name]
                    result["floor"]["instructions"] = count_floor(program, paths[venue, name], len(case.frames))
                    result["instructions_to_floor"] = round(result["instructions"] / result["floor"]["instructions"], 2)
            cases += found
        if "binance_spot" in venues and not options.only_instructions:
            reference_at = reference_program(folder)
            if reference_at is None:
                missing.append("reference scanner (TICKPATH_BENCH_REFERENCE)")
            else:
                slow = add_reference(cases, reference_at, folder, options.rounds)
            for suffix, (evict_bytes, n) in COLD.items():
                for name, case in decode_cases.load("binance_spot").CASES.items():
                    cases.append({"case": f"{name}_{suffix}", "unit": "ns", "peers": {},
                                  **benchlib.percentiles(time_cold(case, evict_bytes, n, cycles_per_ns))})
    result = {"name": "bench_decode", "machine": benchlib.machine(), "rounds": options.rounds, "batch": decode_cases.BATCH,
              "cases": cases, "missing": missing}
    if options.only_instructions and not options.json:
        for case in cases:
            print(f"{case['case']:<28}{case['instructions']:>10,.1f}{case['floor']['instructions']:>10,.1f}"
                  f"{case['instructions_to_floor']:>7.2f}")
    else:
        benchlib.finish(result, options.json)
    for line in slow:
        print(line, file=sys.stderr)
    return 3 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
