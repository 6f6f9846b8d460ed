"""A whole daemon on live feeds from a venue simulator that misbehaves when told, and what the event ring said meanwhile."""
import contextlib
import gzip
import json
import os
import signal
import subprocess
import sys
import time
from decimal import Decimal
from itertools import islice
from pathlib import Path

import numpy as np

from process_harness import ROOT, alive, children, until
from tickpath.market.gate import GateCause
from tickpath.shm.ring import EventReader, records
from tickpath.shm.segment import SegmentError, list_segments, reclaim_if_stale
from tickpath.shm.state_page import StatePage
from tickpath.types import SLOT_DTYPE, BookState, EventType, FeedKind, HealthKind
from tickpath_sim.control import FaultClient

# The records with which an input begins …
ENTRIES = [EventType.EV_FRAME, EventType.EV_FEED, EventType.EV_CLOCK, EventType.EV_COMMAND, EventType.EV_EXEC_REPORT,
           EventType.EV_INSTRUMENT_STATUS]
# … and those that show a fault: (type, kinds of it or None for all, the cause that they give the gate).
WITNESSES = ((EventType.EV_GAP, None, GateCause.GATE_GAP),
             (EventType.EV_FEED, {FeedKind.FEED_LOST, FeedKind.FEED_GAP}, GateCause.GATE_GAP | GateCause.GATE_SYNCING),
             (EventType.EV_FEED, {FeedKind.FEED_SILENT}, GateCause.GATE_FEED),
             (EventType.EV_HEALTH, {HealthKind.HEALTH_FRAME_REFUSED}, GateCause.GATE_REFUSED),
             (EventType.EV_INSTRUMENT_STATUS, None, GateCause.GATE_VENUE))
RESYNC_S = 2.0


def short_capture(source, path, *, frames=6000, only=()):
    """The beginning of a gzipped capture as a capture of its own, so that a simulator has read it in a moment.

    Parameters: path : of the new file.  frames : lines looked at.  only : texts of which a line must hold one; () = any line.
    """
    with gzip.open(source, "rb") as whole, gzip.open(path, "wb", compresslevel=1) as part:
        for line in islice(whole, frames):
            if not only or any(text in line for text in only):
                part.write(line)
    return path


class Simulator:
    """`tickpath-sim serve` in a process of its own."""

    def __init__(self, venue, capture, *more, wait=True):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tickpath_sim.cli", "serve", "--venue", venue, "--port", "0", "--faults-port", "0", "--capture",
             str(capture), "--loop", *map(str, more)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if wait:
            self.wait()

    def wait(self):
        """Until it listens; several of them can start at once."""
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

    Parameters: simulator : Simulator.  venue : kind.  symbols : unified.  tmp_path : for state.  strategy, parameters : of each
    instrument (the first 16).  others : {name: (simulator, kind, symbols, settings)} of further venues, whose instruments follow;
    `focus` chooses to which of them faults are done.  storage : further lines of [storage].  settings : of [venues.v].
    """

    def __init__(self, simulator, venue, symbols, tmp_path, name, *, ws_path="", limits="", strategy="every_event",
                 parameters="order_qty_lots = 100_000", others=None, storage="", **settings):
        self.name = name
        venues = {"v": (simulator, venue, symbols, {"ws_path": ws_path, **settings}), **(others or {})}
        self.simulators = {key: row[0] for key, row in venues.items()}
        self.instruments_of, traded, sections = {}, [], ""
        for key, (at, kind, listed, options) in venues.items():
            first = sum(map(len, self.instruments_of.values()))
            self.instruments_of[key] = range(first, first + len(listed))
            traded += [f"{key}:{symbol}" for symbol in listed]
            options = {"kind": kind, "ws_url": at.urls["ws_url"] + options.get("ws_path", ""), "rest_url": at.urls["rest_url"],
                       "symbols": listed, "ca_file": at.urls["ca_file"] or "", "silent_after_ms": 700, "ping_after_ms": 400,
                       "reconnect_min_ms": 20, "reconnect_max_ms": 300, "resync_after_ms": 150,
                       **{k: v for k, v in options.items() if k != "ws_path"}}
            sections += f"[venues.{key}]\n" + "".join(f"{k} = {json.dumps(v)}\n" for k, v in options.items())
        self.focus("v")
        strategies = "".join(f'[[strategies]]\nname = "s{n}"\nkind = "{strategy}"\ninstrument = "{name}"\n'
                             f"[strategies.parameters]\n{parameters}\n" for n, name in enumerate(traded[:16]))
        config = tmp_path / f"{name}.toml"
        config.write_text(
            f'[instance]\nname = "{name}"\n[storage]\ndir = "{tmp_path / "state"}"\n{storage}{sections}'
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

    def focus(self, venue):
        """Faults are done to this venue from now on; returns the number of its first instrument."""
        self.venue, self.simulator = venue, self.simulators[venue]
        self.faults = self.simulator.faults
        return self.instruments_of[venue][0]

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
        return self.slots[0] if self.slots else np.zeros(0, SLOT_DTYPE)

    def mark(self):
        """The sequence from which a test looks."""
        return self.reader.head

    def mark_anew(self):
        """The same for one who needs nothing of what was before: a long run would else be searched again and again."""
        self.read()
        self.slots = []
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

    def rss_bytes(self):
        """Resident memory of the engine's process."""
        pages = int(Path(f"/proc/{self.pids['engine_process']}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def disturbed(self, seq):
        """Gates of the venues not in focus that changed since `seq`. A recording that has nothing to say for two seconds is none
        of a fault's doing."""
        return [(n, gate) for venue, numbers in self.instruments_of.items() if venue != self.venue for n in numbers
                for gate in self.gates(seq, n) if gate[2] & ~GateCause.GATE_AGE]

    def closes_in_its_event(self, seq, instrument=0):
        """Is the first closed gate since `seq` written in the turn of the input that showed the fault, and at its time?

        What showed it: a gap, a lost or silent connection, a refused frame, a status; for a checksum or a crossed book the frame
        itself. Between it and the gate stands no other input.
        """
        gates = self.gates(seq, instrument)
        slots = self.since(seq)
        closed_seq, _, causes, closed_ns = next(g for g in gates if g[1] != BookState.BOOK_GOOD)
        before = slots[slots["seq"] < closed_seq]
        # Decoded records follow their frame and are of its event.
        own = np.isin(before["type"], ENTRIES)
        last = before[own][-1]
        assert last["ts_recv_ns"] == closed_ns, f"expected the gate to close at {last['ts_recv_ns']}, found {closed_ns}"
        shown = [int(s) for kind, wanted, bit in WITNESSES if causes & bit
                 for s in self._seqs(before, kind, wanted)[-1 if kind == EventType.EV_INSTRUMENT_STATUS else 0:]]
        if shown:
            between = before[own & (before["seq"] > min(shown))]
            assert len(between) == 0, f"expected the gate to close in the event that showed the fault, found inputs {between}"

    @staticmethod
    def _seqs(slots, kind, wanted):
        rows = records(slots[np.isin(slots["type"], [kind])], kind)
        return [r["seq"] for r in rows if wanted is None or int(r["kind"]) in wanted]

    def chain_gaps(self, seq, instrument=0):
        """[(expected, found)] where the update ids of an instrument's book messages in the ring leave one out, whichever
        socket brought them; only what was applied or could have been counts."""
        slots = self.since(seq)
        deltas = records(slots[(slots["type"] == EventType.EV_BOOK_DELTA) & (slots["instrument"] == instrument)],
                         EventType.EV_BOOK_DELTA)
        pairs = sorted({(int(a), int(b)) for a, b in zip(deltas["first_update_id"], deltas["last_update_id"], strict=True)})
        gaps, end = [], None
        for first, last in pairs:
            if end is not None and first > end + 1:
                gaps.append((end + 1, first))
            end = last if end is None else max(end, last)
        return gaps

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


def fault_row(run, symbol, fault, cause, *, within_s=RESYNC_S, wait_s=12.0, expect_closed=True, **options):
    """Inject one fault into the venue in focus and check what must hold for every one of them; returns the mark and the gates since.

    The gate closes for `cause` (GateCause bits), in the very event that shows the fault; no order leaves while it is closed; it is
    open again within `within_s` of good data; the book is then the venue's; and the run's other venue never noticed.
    With expect_closed false the fault is one that must not be noticed at all: `cause` is then how many must have been on the wire.
    """
    run.until_good()
    instrument = run.instruments_of[run.venue][0]
    mark = run.mark_anew()
    logged = len(run.faults.log(fault))
    run.faults.arm(fault, **options)
    if expect_closed:
        gates = closed_and_reopened(run, mark, instrument, seconds=wait_s + options.get("seconds", 0))
        assert any(causes & cause for _, _, causes, _ in gates), (fault, options, gates)
        run.closes_in_its_event(mark, instrument)
        assert closed_s(gates) < within_s + options.get("seconds", 0), (fault, options, gates)
    else:
        until(lambda: len(run.faults.log(fault)) >= logged + cause, f"{fault} on the wire {cause} times", wait_s)
        frames = run.totals()["frames"]
        until(lambda: run.totals()["frames"] > frames + 10, "frames behind it")
        gates = run.gates(mark, instrument)
        assert gates == [], (fault, options, gates)
    for n in run.instruments_of[run.venue][:16]:
        assert run.orders_while_closed(mark, n) == 0, (fault, options)
    run.proven(symbol, instrument)
    assert run.disturbed(mark) == [], f"expected the other venues to stay GOOD during {fault}"
    return mark, gates


def closed_s(gates):
    """How long the gate was closed for the longest time, s."""
    longest, since = 0, None
    for _, state, _, ts in gates:
        if state != BookState.BOOK_GOOD:
            since = ts if since is None else since
        elif since is not None:
            longest, since = max(longest, ts - since), None
    return longest / 1e9
