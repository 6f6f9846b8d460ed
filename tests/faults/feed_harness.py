"""A whole daemon on live feeds from a venue simulator that misbehaves when told, and what the event ring said meanwhile."""
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from decimal import Decimal

import numpy as np

from process_harness import ROOT, alive, children, until
from tickpath.market.gate import GateCause
from tickpath.shm.ring import EventReader, records
from tickpath.shm.segment import SegmentError, list_segments, reclaim_if_stale
from tickpath.shm.state_page import StatePage
from tickpath.types import BookState, EventType, HealthKind
from tickpath_sim.control import FaultClient


class Simulator:
    """`tickpath-sim serve` in a process of its own."""

    def __init__(self, venue, capture, *more):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tickpath_sim.cli", "serve", "--venue", venue, "--port", "0", "--faults-port", "0", "--capture",
             str(capture), "--loop", *map(str, more)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(f"the simulator did not start: {self.process.communicate()[1]}")
        self.urls = json.loads(line)
        self.faults = FaultClient(self.urls["faults_url"])

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.communicate(timeout=10)
                return
            self.process.kill()
        self.process.communicate()


class LiveRun:
    """`tickpath run` on the simulator, with a strategy that wants an order at every event of every instrument.

    Parameters: simulator : Simulator.  venue : kind.  symbols : unified.  tmp_path : for state.  qty_lots : of each order.  settings :
    of [venues.v].
    """

    def __init__(self, simulator, venue, symbols, tmp_path, name, *, ws_path="", limits="", qty_lots=100_000, **settings):
        self.simulator, self.faults, self.name = simulator, simulator.faults, name
        urls = simulator.urls
        options = {"kind": venue, "ws_url": urls["ws_url"] + ws_path, "rest_url": urls["rest_url"], "symbols": symbols,
                   "ca_file": urls["ca_file"] or "", "silent_after_ms": 700, "ping_after_ms": 400, "reconnect_min_ms": 20,
                   "reconnect_max_ms": 300, "resync_after_ms": 150, **settings}
        strategies = "".join(f'[[strategies]]\nname = "s{n}"\nkind = "every_event"\ninstrument = "v:{symbol}"\n'
                             f"[strategies.parameters]\norder_qty_lots = {qty_lots}\n" for n, symbol in enumerate(symbols[:16]))
        config = tmp_path / f"{name}.toml"
        config.write_text(
            f'[instance]\nname = "{name}"\n[storage]\ndir = "{tmp_path / "state"}"\n[venues.v]\n'
            + "".join(f"{key} = {json.dumps(value)}\n" for key, value in options.items())
            + "[limits.account]\nmax_order_rate_per_min = 60000\nmax_order_size_usd = 1e9\nmax_position_usd = 1e9\n"
            + "[limits.instrument]\nmax_open_orders = 1000\nprice_collar_bps = 5000.0\njump_hold_ms = 50\nmax_crossed_ms = 400\n"
            + limits + strategies)
        self.process = subprocess.Popen([sys.executable, "-m", "tickpathd.cli", "run", "-c", str(config), "--json"], cwd=ROOT,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.slots = []
        self.pids = {}
        try:
            self.reader = until(lambda: EventReader.attach(name, "oldest"), "the event ring")
            self.page = until(lambda: StatePage.attach(name), "the state page")
            assert self.reader.segment.owner_alive(), f"expected no segment of an instance {name!r} to be left over"
        except AssertionError:
            self.stop()
            raise

    # ---- what is now
    def instruments(self):
        return self.page.instruments()

    def good(self, instrument=None):
        rows = self.instruments()
        rows = rows if instrument is None else [rows[instrument]]
        return bool(rows) and all(row["book_state"] == BookState.BOOK_GOOD for row in rows)

    def until_good(self, seconds=20):
        until(self.good, "every book good", seconds)
        self.pids = self.pids or children(self.process.pid)
        return self

    def totals(self):
        return self.page.totals()

    # ---- what was
    def read(self):
        """Everything in the ring so far, as slots; nothing may have been missed."""
        while len(slots := self.reader.read(65536)):
            self.slots.append(slots)
        assert self.reader.missed_slots == 0
        if len(self.slots) > 1:
            self.slots = [np.concatenate(self.slots)]
        return self.slots[0] if self.slots else np.zeros(0)

    def mark(self):
        """The sequence from which a test looks."""
        return self.reader.head

    def since(self, seq):
        slots = self.read()
        return slots[slots["seq"] > seq]

    def gates(self, seq, instrument=0):
        """[(ring sequence, BookState, causes, receive time)] of an instrument's gate since `seq`."""
        health = records(self.since(seq), EventType.EV_HEALTH)
        rows = health[(health["kind"] == HealthKind.HEALTH_BOOK_STATE) & (health["instrument"] == instrument)]
        return [(int(r["seq"]), BookState(int(r["value"])), GateCause(int(r["causes"])), int(r["ts_recv_ns"])) for r in rows]

    def orders_while_closed(self, seq, instrument=0):
        """Orders of an instrument that were sent while its gate was not GOOD, since `seq`, when it was GOOD."""
        slots = self.since(seq)
        state, bad = BookState.BOOK_GOOD, 0
        wanted = slots[(slots["instrument"] == instrument)
                       & ((slots["type"] == EventType.EV_INTENT) | (slots["type"] == EventType.EV_HEALTH))]
        changes = {s: g for s, g, _, _ in self.gates(seq, instrument)}
        for row in wanted:
            if row["type"] == EventType.EV_HEALTH:
                state = changes.get(int(row["seq"]), state)
            elif state != BookState.BOOK_GOOD:
                bad += 1
        return bad

    def orders(self, seq):
        return int((self.since(seq)["type"] == EventType.EV_INTENT).sum())

    def tops(self, symbol, instrument=0):
        """(our best bid and ask, the venue's), each (price, qty), as the feed stands still."""
        info, row = self.page.info(), self.instruments()[instrument]
        truth = self.faults.truth(symbol)
        def text(ticks, grid):
            mantissa, scale = grid
            return Decimal(int(ticks) * mantissa).scaleb(-scale)
        ours = [(text(row[f"{side}_price_ticks"][0], info["tick"][instrument]),
                 text(row[f"{side}_qty_lots"][0], info["lot"][instrument])) for side in ("bid", "ask")]
        theirs = [tuple(Decimal(str(v)) for v in truth[f"best_{side}"][:2]) for side in ("bid", "ask")]
        return ours, theirs, (row["last_update_id"], truth["sequence"], BookState(row["book_state"]).name)

    def proven(self, symbol, instrument=0):
        """Stop the feed, compare the top with the venue's truth, let it go on. Shorter than the silence that closes the gate."""
        self.faults.pause()
        try:
            end = time.monotonic() + 0.5
            while (seen := self.tops(symbol, instrument))[0] != seen[1] and time.monotonic() < end:
                time.sleep(0.02)
            assert seen[0] == seen[1], f"expected the venue's best bid and offer, found another: {seen}"
        finally:
            self.faults.resume()

    # ---- the end
    def end(self):
        """(exit code, JSON, stderr) of an orderly stop with nothing left behind."""
        self.process.send_signal(signal.SIGTERM)
        out, err = self.process.communicate(timeout=60)
        assert list_segments(self.name) == []
        assert [role for role, pid in self.pids.items() if alive(pid)] == []
        assert "Traceback" not in err, err
        return self.process.returncode, json.loads(out) if out else None, err

    def stop(self):
        pids = {**self.pids, **(children(self.process.pid) if self.process.poll() is None else {})}
        for pid in (self.process.pid, *pids.values()):
            if alive(pid):
                os.kill(pid, signal.SIGKILL)
        self.process.communicate()
        for segment in list_segments(self.name):
            with contextlib.suppress(SegmentError):
                reclaim_if_stale(self.name, segment.split(".", 2)[2])


def closed_and_reopened(run, seq, instrument=0, seconds=8.0):
    """Wait until the gate has closed and is GOOD again since `seq`; [(ring seq, state, causes, ts)]."""
    def there():
        gates = run.gates(seq, instrument)
        return gates if len(gates) > 1 and gates[-1][1] == BookState.BOOK_GOOD and run.good(instrument) else None
    return until(there, "the gate to close and open again", seconds)


def closed_s(gates):
    """How long the gate was closed for the longest time, s."""
    longest, since = 0, None
    for _, state, _, ts in gates:
        if state != BookState.BOOK_GOOD:
            since = ts if since is None else since
        elif since is not None:
            longest, since = max(longest, ts - since), None
    return longest / 1e9


