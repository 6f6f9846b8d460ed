"""Bars on a live feed that falls silent: they close by the clock, and the run replays."""
import gzip
import re
import signal
import time

import numpy as np
import pytest
from feed_harness import LiveRun, Simulator

from process_harness import tickpath, until
from tickpath.market.bars import BarFlag
from tickpath.shm.ring import records
from tickpath.types import EventType

MS = 1_000_000
FIRST_NS = 1_723_161_253_937_085_768              # of the recording, which stamps 1.27 s behind the venue
TRADES_BEGIN_MS = 1_723_161_255_208
KEPT_NS, SILENCE_NS = 1_200 * MS, 120_000 * MS


@pytest.fixture
def simulator(golden_dir, tmp_path):
    """The first second of a recording, with the venue's times of today, and then nothing for two minutes."""
    lead_ms = time.time_ns() // MS + 6000 - TRADES_BEGIN_MS      # about when the run has subscribed
    path = tmp_path / "silent.gz"
    with gzip.open(golden_dir / "binance_spot" / "hftbacktest_btcusdt_20240808.gz", "rt") as recorded, gzip.open(path, "wt") as out:
        last = ""
        for line in recorded:
            stamp, _, text = line.partition(" ")
            if not stamp.isdigit():
                continue
            if int(stamp) - FIRST_NS > KEPT_NS:
                break
            text = re.sub(r'"([ET])":(\d{13})', lambda m: f'"{m[1]}":{int(m[2]) + lead_ms}', text)
            last = text if "bookTicker" in text else last
            out.write(f"{stamp} {text}")
        out.write(f"{FIRST_NS + SILENCE_NS} {last}")
    simulator = Simulator("binance_spot", path)
    yield simulator
    simulator.stop()


def test_bars_close_by_the_clock_where_no_trade_comes(simulator, tmp_path):
    run = LiveRun(simulator, "binance_spot", ["BTC/USDT"], tmp_path, "livebars", silent_after_ms=60_000,
                  parameters="order_qty_lots = 1000",
                  limits='[signals]\nbars = ["200ms", "1s", "5s", "tick:3"]\nbar_grace_ms = 30.0\n')
    try:
        def found():
            if len(slots := run.read()) == 0:
                return None
            bars = records(slots, EventType.EV_BAR)
            return bars if set(bars[by_time(bars)]["interval_ns"].tolist()) == {200 * MS, 1000 * MS, 5000 * MS} else None
        until(lambda: found() is not None, "bars of three intervals closed by time", 30)
        slots, bars = run.read(), found()
        assert run.totals()["trades"] > 0
        assert (bars["flags"] & BarFlag.BAR_KIND_MASK == 1).any()
        inputs = slots[np.isin(slots["type"], [EventType.EV_CLOCK, EventType.EV_FRAME, EventType.EV_EXEC_REPORT])]
        waits_ms, closers = [], []
        for bar in bars[by_time(bars)]:
            assert bar["ts_recv_ns"] >= bar["ts_venue_ns"] + 30 * MS    # later where the run was slow to start
            closer = inputs[inputs["seq"] > bar["seq"]][0]
            waits_ms.append((int(closer["ts_recv_ns"]) - int(bar["ts_recv_ns"])) / MS)
            closers.append(EventType(closer["type"]))
        # The machine may be busy for a moment; it cannot be at every one of them.
        assert min(waits_ms) >= 0 and sorted(waits_ms)[len(waits_ms) // 2] < 100, waits_ms
        assert EventType.EV_CLOCK in closers
        run.process.send_signal(signal.SIGTERM)
        run.process.communicate(timeout=30)
    finally:
        run.stop()
    done = tickpath("replay", next((tmp_path / "state").rglob("runs/*")), "--verify", "--json")
    assert done.returncode == 0, done.stderr + done.stdout


def by_time(bars):
    return bars["flags"] & BarFlag.BAR_CLOSED_BY_TIME != 0
