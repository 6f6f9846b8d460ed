"""Shared fixtures: where recorded data stands, and tools that a test needs."""
import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings

from required import require_tool

ROOT = Path(__file__).resolve().parent.parent
if sys.dont_write_bytecode:
    # Hundreds of processes are started here, and each would compile every module anew; the tree stays as clean as was asked for.
    sys.dont_write_bytecode = False
    sys.pycache_prefix = str(ROOT / ".pytest_cache" / "bytecode")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix
# These machines are shared: how long an example takes says nothing about it.
settings.register_profile("shared", deadline=None)
settings.load_profile("shared")
# The longest files: begun first, so that no worker is left with minutes of them when the other has nothing more to do.
LONG_FILES = ("tests/faults/test_processes.py", "tests/faults/test_feed_faults_streams.py",
              "tests/faults/test_durability.py", "tests/faults/test_ccxt_feed.py", "tests/faults/test_live_bars.py",
              "tests/faults/test_feed_faults_venue.py", "tests/judges/test_ccxt_websocket_frames.py",
              "tests/judges/test_ccxt_spot_trading.py", "tests/judges/test_binance_clients.py",
              "tests/judges/test_ccxt_usdm_trading.py", "tests/faults/test_live_trading.py",
              "tests/faults/test_bad_capture_and_journal.py", "tests/scripts/test_bench_feed.py",
              "tests/faults/test_depth_poll.py", "tests/ext/tickpath/shm/test_stress.py", "tests/ext/tickpath/shm/test_models.py")


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: LONG_FILES.index(name) if (name := item.nodeid.partition("::")[0]) in LONG_FILES
               else len(LONG_FILES))


@pytest.fixture(scope="session")
def root():
    return ROOT


@pytest.fixture(scope="session")
def golden_dir():
    """Recorded input that is part of this repository."""
    return ROOT / "tests" / "golden"


@pytest.fixture(scope="session")
def shared_data():
    """shared_data("ws/…") is a recording under another licence; the test is skipped, saying which, when it is absent."""
    base = Path(os.environ.get("TICKPATH_DATA") or ROOT.parent / "shared" / "data")

    def find(relative):
        path = base / relative
        if not path.exists():
            pytest.skip(f"recorded data absent: {relative} (set TICKPATH_DATA to the directory that holds it)")
        return path
    return find


@pytest.fixture(scope="session", name="require_tool")
def _require_tool():
    """require_tool("valgrind", "valgrind"): the tool's path (required.py says what happens without it)."""
    return require_tool
