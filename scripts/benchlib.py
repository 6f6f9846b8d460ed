"""What every benchmark shares: the machine, pinning, percentiles, C floors, engine specifications, the JSON shape."""
import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "tests" / "golden" / "binance_spot"
CAPTURES = [GOLDEN / "hftbacktest_btcusdt_20240808.gz", GOLDEN / "hftbacktest_btcusdt_20240809.gz"]


def arguments(description):
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)), help="processor to run on")
    parser.add_argument("--rounds", type=int, default=5)
    return parser


def pin(core):
    os.sched_setaffinity(0, {core})


def march():
    sys.path.insert(0, str(ROOT))
    flags = Path("/proc/cpuinfo").read_text().split("flags", 1)[1].split("\n", 1)[0].split()
    return os.environ.get("TICKPATH_MARCH") or ("x86-64-v3" if {"avx2", "bmi2", "fma", "movbe"} <= set(flags) else "x86-64-v2")


def first_line(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout.splitlines()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        return "unknown"


def machine():
    cpu = next((line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                if line.startswith("model name")), platform.processor())
    try:
        cython = version("Cython")
    except PackageNotFoundError:
        cython = "unknown"
    return {"cpu": f"{cpu}, {os.cpu_count()} cores", "kernel": platform.release(), "compiler": first_line("gcc", "--version"),
            "python": platform.python_version(), "cython": cython, "march": march(),
            "commit": first_line("git", "rev-parse", "--short", "HEAD")}


def percentiles(values):
    values = np.asarray(values, dtype=np.float64)
    p50, p99, p999 = np.percentile(values, [50, 99, 99.9], method="higher")
    return {"n": len(values), "p50": round(float(p50), 1), "p99": round(float(p99), 1), "p999": round(float(p999), 1),
            "max": round(float(values.max()), 1)}


def single(value):
    """The same keys for a figure that is one: a slope, a rate."""
    return dict.fromkeys(("p50", "p99", "p999", "max"), value)


def peers_python():
    """The Python of the peers' environment (make bench PEERS=1), or None."""
    python = ROOT / ".venv-peers" / "bin" / "python"
    return str(python) if python.exists() else None


def build_floor(name):
    """Compile scripts/floors/NAME.c with -O3 and the build's -march; returns the program's path."""
    out = Path(tempfile.mkdtemp(prefix="tickpath-floor-")) / name
    subprocess.run(["gcc", "-O3", f"-march={march()}", str(ROOT / "scripts" / "floors" / f"{name}.c"), "-o", str(out), "-lm"],
                   check=True)
    return out


def spec(strategy, parameters, *, stamps=True, mode="backtest", lot_size="0.000001"):
    """An engine specification with limits that let every order of a benchmark pass."""
    return {
        "instance": "bench", "epoch": 1, "mode": mode, "seed": 1, "stamps": stamps, "max_frame_bytes": 1 << 20,
        "bar_interval_ns": 10 ** 9, "imbalance_levels": 5, "ema_fast": 12, "ema_slow": 26, "max_data_age_ns": 10 ** 18,
        "max_orders_per_min": 65536,
        "instruments": [{"venue_symbol": "BTCUSDT", "tick_size": "0.01", "lot_size": lot_size,
                         "min_notional_ticklots": 0, "book_window_ticks": 65536, "max_order_qty_lots": 10 ** 12,
                         "max_order_notional_ticklots": 4 * 10 ** 18, "max_position_notional_ticklots": 4 * 10 ** 18,
                         "qty_step_lots": 1, "price_collar_e2_bps": 10 ** 6, "max_open_orders": 1024}],
        "strategies": [{"name": "bench", "kind": strategy, "parameters": parameters, "instrument": 0}] if strategy else [],
    }


PAPER = {"order_latency_ns": 50_000, "reply_latency_ns": 50_000, "maker_fee_e8": 20_000, "taker_fee_e8": 50_000,
         "reject_probability": 0.0, "seed": 1}


def finish(result, as_json):
    if as_json:
        print(json.dumps(result))
        return
    from show_bench import show
    show(result)
