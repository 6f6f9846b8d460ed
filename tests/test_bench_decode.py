"""scripts/bench_decode.py: that what it times is right, for the decoder and for the C it is compared with."""
import importlib
import shutil
import subprocess
import sys

import pytest

from build_cache import cached_program

FRAMES = 64
VENUES = ("binance_spot", "binance_usdm", "coinbase", "kraken", "okx", "bybit")


@pytest.fixture(scope="module")
def bench(root):
    sys.path.insert(0, str(root / "scripts"))
    try:
        yield importlib.import_module("bench_decode")
    finally:
        sys.path.remove(str(root / "scripts"))


def floor(bench, name):
    """The program of benchlib.build_floor, compiled once."""
    sources = sorted(p for p in (bench.benchlib.ROOT / "scripts" / "floors").iterdir() if p.suffix in (".c", ".h"))
    sources.append(bench.benchlib.__file__)
    return cached_program(f"floor_{name}", "gcc", [name, bench.benchlib.march()], sources,
                          lambda path: shutil.copy(bench.benchlib.build_floor(name), path))


def few(case):
    return case._replace(frames=case.frames[:FRAMES if len(case.frames[0]) < 100_000 else 1])


@pytest.mark.parametrize("venue", VENUES)
def test_the_scanner_takes_every_case_and_the_floor_reads_what_python_reads(bench, venue, tmp_path):
    module = bench.decode_cases.load(venue)
    program = floor(bench, module.FLOOR)
    assert module.CASES.keys() == module.FLOOR_KINDS.keys()
    for name, case in module.CASES.items():
        case = few(case)
        bench.check_records(name, case, venue)
        bench.write_floor_frames(tmp_path / name, module.FLOOR_KINDS[name], case)
        _, checksum = bench.run_floor(program, tmp_path / name, case, 1.0, passes=1)
        assert checksum == module.floor_checksum(name, case.frames), name


@pytest.mark.parametrize(("change", "found"), [(b'"p":"', b'"p":"-'), (b'"data":{', b'"data": {'), (b"true}}", b"true}}}")])
def test_the_floor_counts_text_that_is_not_as_expected_as_a_failure(bench, change, found, tmp_path):
    module = bench.decode_cases.load("binance_usdm")
    case = few(module.CASES["trade"])
    changed = [frame.replace(change, found) for frame in case.frames]
    assert changed != case.frames
    bench.write_floor_frames(tmp_path / "trade", module.FLOOR_KINDS["trade"], case._replace(frames=changed))
    done = subprocess.run([floor(bench, module.FLOOR), tmp_path / "trade", "1"], capture_output=True, text=True)
    assert done.returncode == 1
    assert "expected the known text" in done.stderr
