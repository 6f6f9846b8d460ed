"""Ticks and lots that a venue changes in session: no order on the wrong grid, and trading again within two seconds of the venue's
own word (fault F20: an atomic switch; what stood on the old grid is moved exactly or cancelled)."""
import subprocess
import sys
import time
from decimal import Decimal

import pytest
from feed_harness import LiveRun, Simulator, closed_and_reopened, closed_s

from process_harness import ROOT, until
from tickpath.market.gate import GateCause
from tickpath.shm.ring import records
from tickpath.types import BookState, EventType, Status

RESYNC_S = 2.0


@pytest.fixture
def simulator(golden_dir):
    simulator = Simulator("binance_spot", golden_dir / "binance_spot" / "hftbacktest_btcusdt_20240808.gz", "--speed", "4")
    yield simulator
    simulator.stop()


def off_grid(run):
    return run.totals()["venue_off_grid"][0]


def grids(run, mark):
    return records(run.since(mark), EventType.EV_GRID)


def shown_tick(run):
    mantissa, scale = run.page.info()["tick"][0]
    return Decimal(mantissa).scaleb(-scale)


def test_finer_tick_is_followed_within_two_seconds_with_no_order_on_the_wrong_grid(simulator, tmp_path):
    run = LiveRun(simulator, "binance_spot", ["BTC/USDT"], tmp_path, "gridfault", instruments_refresh_s=1.0)
    try:
        run.until_good()
        orders = run.totals()["orders"]
        until(lambda: run.totals()["orders"] > orders, "orders on a good book")
        assert shown_tick(run) == Decimal("0.01") and run.instruments()[0]["grid_epoch"] == 0
        mark = run.mark()
        run.faults.arm("tick_change", symbol="BTCUSDT", tick_size="0.001", lot_size="0.0001")
        until(lambda: run.instruments()[0]["grid_epoch"] == 1, "the new grid", 6)
        gates = closed_and_reopened(run, mark)
        assert closed_s(gates) < RESYNC_S and run.orders_while_closed(mark) == 0
        assert off_grid(run) > 0 and any(causes & (GateCause.GATE_REFUSED | GateCause.GATE_SYNCING) for _, _, causes, _ in gates)
        (grid,) = grids(run, mark)
        assert (grid["tick_mantissa"], grid["tick_scale"]) == (1, 3)
        # Whatever the lot is, what orders may have is the venue's new step.
        row = run.instruments()[0]
        assert row["qty_step_lots"] * Decimal(row["lot_mantissa"]).scaleb(-row["lot_scale"]) == Decimal("0.0001")
        assert shown_tick(run) == Decimal("0.001")
        # Not one frame that was read on the old grid was taken after the venue had left it: the refused ones closed the gate.
        errors = records(run.since(mark), EventType.EV_HEALTH)
        refused = errors[(errors["kind"] == 5) & (errors["value"] == Status.STATUS_OFF_GRID)]
        assert len(refused) and all(r["seq"] < grid["seq"] for r in refused)
        run.proven("BTCUSDT")
        before = run.totals()["orders"]
        until(lambda: run.totals()["orders"] > before, "orders on the new grid")
        # Back to the coarser tick: nothing is off the present grid, so it is the next look at the list that tells.
        mark = run.mark()
        run.faults.arm("tick_change", symbol="BTCUSDT", tick_size="0.01")
        until(lambda: run.instruments()[0]["grid_epoch"] == 2, "the coarser grid", 8)
        until(run.good, "a good book")
        assert run.orders_while_closed(mark) == 0 and shown_tick(run) == Decimal("0.01")
        run.proven("BTCUSDT")
        code, result, err = run.end()
        assert code == 0 and result["totals"]["grids"] == 2 and result["totals"]["protocol_errors"] == 0, err
        assert "BTC/USDT: tick 0.01 -> 0.001" in err and "BTC/USDT: tick 0.001 -> 0.01" in err
    finally:
        run.stop()
    done = subprocess.run([sys.executable, "-m", "tickpathd.cli", "replay", result["journal"], "--verify"], cwd=ROOT,
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_list_that_lags_behind_the_stream_is_asked_again_and_the_gate_stays_shut_until_then(simulator, tmp_path):
    run = LiveRun(simulator, "binance_spot", ["BTC/USDT"], tmp_path, "gridlag")
    try:
        run.until_good()
        mark = run.mark()
        run.faults.arm("tick_change", symbol="BTCUSDT", tick_size="0.001", rest_after_ms=2500)
        armed_s = time.monotonic()
        until(lambda: off_grid(run) > 0, "a number off the grid")
        until(lambda: run.instruments()[0]["grid_epoch"] == 1, "the new grid", 10)
        assert time.monotonic() - armed_s > 2.4
        (grid,) = grids(run, mark)
        gates = closed_and_reopened(run, mark)
        assert run.orders_while_closed(mark) == 0
        # From the engine's new grid on, not from the change: until then nobody could know it.
        reopened = next(ts for seq, state, _, ts in gates if state == BookState.BOOK_GOOD and seq > grid["seq"])
        assert (reopened - grid["ts_recv_ns"]) / 1e9 < RESYNC_S
        code, _, err = run.end()
        assert code == 0, err
    finally:
        run.stop()
