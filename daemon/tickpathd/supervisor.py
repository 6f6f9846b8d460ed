"""`tickpath run`: starts engine, journal and feeder in order, shows what goes on, ends them in order.

Order of start: engine (owns the segments), journal (reads the ring from its first record), feeder. Order of end: feeder,
engine (which does the SIGTERM policy and writes its last record), journal (which drains the ring). A journal that was killed
is started again and goes on where it was; one whose disk failed leaves the engine running in CANCEL_ONLY, so that somebody
still looks after open orders. Whatever else dies out of turn ends the run with one clear line; segments of a killed engine
are removed only after the journal has drained them, if need be at the next start.
"""
import contextlib
import functools
import json
import os
import select
import signal
import subprocess
import sys
import time
from decimal import Decimal

from tickpath.capture import CaptureError, expand_capture
from tickpath.shm.journal import JournalError
from tickpath.shm.segment import SegmentError, attach_segment, list_segments, reclaim_if_stale
from tickpath.shm.state_page import StatePage
from tickpath.shm.words import load_word
from tickpath.types import FeedSource
from tickpathd.clock_page import attach_clocks, read_clocks
from tickpathd.feed_report import AccuracyWatch, feed_rows
from tickpathd.feeds.feeds import is_capture, is_ccxt, is_live
from tickpathd.instruments_at_start import with_instruments
from tickpathd.kept import Kept
from tickpathd.recovery import drain_stale_ring
from tickpathd.run_dir import InstanceLock, RunError, new_run, state_dir

START_TIMEOUT_S = 30.0
END_TIMEOUT_S = 60.0
REFRESH_S = 0.25
GATEWAY_RESTART_S = 1.0
JOURNAL_RESTARTS_MAX = 5
CCXT_UNUSABLE = 2                 # exit code of ccxt_worker.py
# In the journal's page, see journal_process.py.
JOURNAL_STATE_OFFSET, JOURNAL_RUNNING, JOURNAL_FAILED = 256, 1, 3


class Child:
    """One process of the run, in a session of its own so that Ctrl-C reaches only the supervisor."""

    def __init__(self, role, module, *arguments, pipe=False):
        self.role = role
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
        self.process = subprocess.Popen([sys.executable, "-m", module, *arguments], start_new_session=True,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE if pipe else subprocess.DEVNULL,
                                        env=environment)

    def signal(self, number):
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(number)

    def wait(self, timeout_s):
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def kill(self):
        self.signal(signal.SIGKILL)
        self.process.wait()


class Run:
    """One run from start to end; `execute` returns the summary dict."""

    def __init__(self, config, *, duration_s=None, on_refresh=None):
        self.config = config
        self.name = config.instance.name
        self.duration_s = duration_s
        self.on_refresh = on_refresh
        self.stop_signals = 0
        self.engine = self.journal = self.feeder = self.gateway = None
        self.workers = []                 # Kept, one for each ccxt venue and ccxt fallback
        self.page = self.clocks = None
        self.problems = []
        self.asked = False
        self.journal_restarts = 0
        self.journal_lost = False
        self.gateway_due_s = 0.0
        self.accuracy = AccuracyWatch()

    def _on_signal(self, *_):
        self.stop_signals += 1

    def execute(self):
        self._check_captures()
        self.config = with_instruments(self.config, lambda text: print(f"tickpath: {text}", file=sys.stderr, flush=True))
        lock = InstanceLock(self.config)
        previous = {s: signal.signal(s, self._on_signal) for s in (signal.SIGINT, signal.SIGTERM)}
        try:
            self._recover()
            self.run_dir, self.epoch = new_run(self.config)
            self._start()
            self._watch()
            self._end()
            return self._summary()
        finally:
            for child in (self.feeder, self.gateway, *(w.child for w in self.workers), self.engine, self.journal):
                if child is not None and child.process.poll() is None:
                    child.kill()
            self._remove_segments()
            for number, handler in previous.items():
                signal.signal(number, handler)
            lock.release()

    def _remove_segments(self):
        """Of children that were killed. A ring that the journal has not drained to its end stays for the next start; where no
        feed was begun nothing is in it. What another run left is not ours to remove."""
        if self.engine is None:
            return
        drained = (self.feeder is None and self.gateway is None and not self.workers) or self.journal.process.poll() == 0
        for name in list_segments(self.name):
            kind = name.split(".", 2)[2]
            if drained or kind != "ring":
                with contextlib.suppress(SegmentError):
                    reclaim_if_stale(self.name, kind)

    # ---- start
    def _check_captures(self):
        """A capture that is not there stops the run before anything starts."""
        for venue in self.config.venues.values():
            if not is_capture(venue):
                continue
            try:
                expand_capture(venue.kind.removeprefix("capture:"))
            except CaptureError as e:
                raise RunError(str(e)) from None

    def _recover(self):
        """What a killed engine left in its ring goes to its journal before anything new begins."""
        try:
            found = drain_stale_ring(state_dir(self.config), self.name)
        except JournalError as e:
            raise RunError(f"recovery of the last run: {e}") from None
        if found is not None:
            print(f"tickpath: the last run was killed: {found['appended_slots']} slots of its ring were appended to "
                  f"{found['run_dir']}", file=sys.stderr, flush=True)

    def _start(self):
        self.engine = Child("tickpathd", "tickpathd.engine_process", "--run-dir", str(self.run_dir), "--parent-pid",
                            str(os.getpid()), pipe=True)
        readable, _, _ = select.select([self.engine.process.stdout], [], [], START_TIMEOUT_S)
        if not readable or self.engine.process.stdout.readline().strip() != b"ready":
            self.engine.wait(2.0)
            raise RunError(f"tickpathd: expected it to be ready within {START_TIMEOUT_S:.0f} s, found it "
                           f"{'ended' if self.engine.process.poll() is not None else 'silent'}; see the line above")
        self.page = StatePage.attach(self.name)
        self.clocks = attach_clocks(self.name)
        self._start_journal()
        self._wait_for_journal()
        arguments = ("--run-dir", str(self.run_dir), "--parent-pid", str(os.getpid()))
        if any(is_capture(v) for v in self.config.venues.values()):
            self.feeder = Child("feeder", "tickpathd.feeder", *arguments)
        if any(is_live(v) for v in self.config.venues.values()):
            self.gateway = Child("gateway", "tickpathd.gateway", *arguments)
        by_ccxt = [name for name, v in self.config.venues.items() if is_ccxt(v) or v.failover.startswith("ccxt:")]
        for name in by_ccxt:
            self.workers.append(Kept(f"ccxt worker of {name}", functools.partial(
                Child, f"ccxt.{name}", "tickpathd.ccxt_worker", "--venue", name, *arguments), "its gates stay closed meanwhile",
                fatal_code=CCXT_UNUSABLE))

    def _start_journal(self):
        storage = self.config.storage
        fsync_interval_ms = 0 if self.config.instance.durability == "disk" else storage.fsync_interval_ms
        self.journal = Child("journal", "tickpathd.journal_process", "--instance", self.name, "--run-dir", str(self.run_dir),
                             "--fsync-interval-ms", str(fsync_interval_ms), "--segment-mb", str(storage.segment_mb))

    def _wait_for_journal(self):
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            with contextlib.suppress(SegmentError), attach_segment(self.name, "journal") as page:
                state = load_word(page.buffer, JOURNAL_STATE_OFFSET)
                if state == JOURNAL_RUNNING and page.epoch == self.epoch:
                    return
                if state == JOURNAL_FAILED and page.epoch == self.epoch:
                    raise RunError("journal: expected it to follow the ring, found it failed; see the line above")
            if self.journal.process.poll() is not None or time.monotonic() > deadline:
                raise RunError("journal: expected it to follow the ring, found it "
                               f"{'silent' if self.journal.process.poll() is None else 'ended; see the line above'}")
            time.sleep(0.01)

    # ---- middle
    def _watch(self):
        end = time.monotonic() + self.duration_s if self.duration_s is not None else None
        self.asked = False
        while self.engine.process.poll() is None:
            self.engine.wait(REFRESH_S)
            if self.on_refresh is not None:
                self.on_refresh(self.page)
            self._judge_feeds()
            late = end is not None and time.monotonic() > end
            if self.journal.process.poll() is not None and self.engine.process.poll() is None:
                self._on_journal_ended(self.journal.process.returncode)
            if self.gateway is not None and self.gateway.process.poll() is not None and not self.asked:
                self._on_gateway_ended(self.gateway.process.returncode)
            for worker in () if self.asked else self.workers:
                if (problem := worker.look()) is not None:
                    self.problems.append(problem)
                    late = True
            if self.feeder is not None and self.feeder.process.poll() not in (None, 0) and self.engine.process.poll() is None:
                late = True            # the feed broke off: what came is traded to its end
            if (self.stop_signals or late) and not self.asked:
                self.asked = True
                for child in (self.feeder, self.gateway, *(w.child for w in self.workers), self.engine):
                    if child is not None:
                        child.signal(signal.SIGTERM)
            if self.stop_signals > 1:
                self.problems.append("stopped at once by a second signal: open orders were not cancelled in order")
                self.engine.kill()

    def _judge_feeds(self, at_end=False):
        rows = feed_rows(self.page.info(), self.page.totals(), self.page.instruments())
        for line in self.accuracy.look(rows, at_end=at_end):
            print(f"tickpath: {line}", file=sys.stderr, flush=True)
        return rows

    def _on_journal_ended(self, code):
        if code == 0 and self.page.totals()["stopped"]:
            return                     # it has drained an orderly run; the engine's process is about to end as well
        if code < 0 and self.journal_restarts < JOURNAL_RESTARTS_MAX:
            self.journal_restarts += 1
            print(f"tickpath: journal: expected it to run as long as the engine, found it ended by signal {-code}: started "
                  "again, it goes on where it was", file=sys.stderr, flush=True)
            self._start_journal()
        elif not self.journal_lost:
            self.journal_lost = True
            self.problems.append("journal: expected it to run as long as the engine, found it ended: no order is placed any "
                                 "more (CANCEL_ONLY), and what came since is not recorded")
            print(f"tickpath: {self.problems[-1]}", file=sys.stderr, flush=True)

    def _on_gateway_ended(self, code):
        """Books that lose their way stay SYNCING meanwhile; nothing else depends on it."""
        now_s = time.monotonic()
        if now_s < self.gateway_due_s:
            return
        self.gateway_due_s = now_s + GATEWAY_RESTART_S
        print(f"tickpath: gateway: expected it to run as long as the engine, found it ended with {code}: started again",
              file=sys.stderr, flush=True)
        self.gateway = Child("gateway", "tickpathd.gateway", "--run-dir", str(self.run_dir), "--parent-pid", str(os.getpid()))

    # ---- end
    def _end(self):
        code = self.engine.wait(END_TIMEOUT_S)
        if code != 0 and not self.problems:
            self.problems.append(f"tickpathd: expected it to end with 0, found "
                                 f"{f'signal {-code}' if code is not None and code < 0 else code}")
        if self.gateway is not None:
            self.gateway.signal(signal.SIGTERM)
            if self.gateway.wait(10.0) is None:
                self.gateway.kill()
        for worker in self.workers:
            worker.stop(10.0)
        code = self.feeder.wait(2.0) if self.feeder is not None else 0
        if code is None:
            self.feeder.signal(signal.SIGTERM)
            code = self.feeder.wait(10.0)
        # Told to stop, it may still be starting, without a handler of its own.
        if code not in (0, None) and not (self.asked and code == -signal.SIGTERM):
            self.problems.append("feeder: the capture could not be read to its end; see the line above")
        code = self.journal.wait(END_TIMEOUT_S)
        if code is None:
            self.problems.append(f"journal: expected it to drain the ring within {END_TIMEOUT_S:.0f} s, found it busy")
        elif code != 0 and not any(p.startswith("journal") for p in self.problems):
            self.problems.append("journal: expected it to end with 0, found an error; see the line above")

    # ---- what came of it
    def _summary(self):
        totals = self.page.totals()
        info, instruments = self.page.view()
        try:
            recorded = json.loads((self.run_dir / "summary.json").read_bytes())
        except (OSError, ValueError) as e:
            recorded = {"output_hash": None, "events": None}
            self.problems.append(f"{self.run_dir / 'summary.json'}: expected the journal's summary, found {e}")
        detail = [instrument_pnl(info, i, state) for i, state in enumerate(instruments)]
        return {
            "instance": self.name, "mode": self.config.instance.mode, "epoch": self.epoch,
            "events": totals["events"], "frames": totals["frames"], "orders": totals["orders"], "fills": totals["fills"],
            "refusals": totals["refusals"], "pnl": float(sum((d["total"] for d in detail), Decimal(0))),
            "pnl_detail": [{k: str(v) for k, v in d.items()} for d in detail],
            "output_hash": recorded["output_hash"], "journal": str(self.run_dir),
            "journal_events": recorded["events"], "latency": self.page.latency(), "totals": totals,
            "strategies": [{"name": name, **s} for name, s in
                           zip(info["strategies"], self.page.strategies(), strict=True)],
            "sources": {symbol: FeedSource(state["source"]).name[7:].lower()
                        for symbol, state in zip(info["symbols"], instruments, strict=True)},
            "instruments": instruments, "info": info, "feeds": self._judge_feeds(at_end=True), "problems": self.problems,
            "clocks": [row.as_dict() for row in read_clocks(self.clocks.buffer)] if self.clocks else [],
        }


def instrument_pnl(info, index, state):
    """Exact P&L of one instrument in its quote asset (Decimal): realised, unrealised at the mid, fees, total."""
    tick_mantissa, tick_scale = info["tick"][index]
    lot_mantissa, lot_scale = info["lot"][index]
    unit = Decimal(tick_mantissa * lot_mantissa).scaleb(-(tick_scale + lot_scale))
    tick = Decimal(tick_mantissa).scaleb(-tick_scale)
    lot = Decimal(lot_mantissa).scaleb(-lot_scale)
    position = state["position_lots"]
    realised = state["realised_ticklots"] * unit
    unrealised = Decimal(0)
    if position:
        twice_mid = state["top_bid_ticks"] + state["top_ask_ticks"]
        unrealised = (position * twice_mid - 2 * state["open_cost_ticklots"]) * unit / 2
    fees = Decimal(state["fees_e8"]).scaleb(-8)
    average = abs(Decimal(state["open_cost_ticklots"]) / position) * tick if position else Decimal(0)
    return {"symbol": info["symbols"][index], "position": position * lot if position else Decimal(0),
            "average_price": round(average, 8), "realised": realised, "unrealised": unrealised, "fees": fees,
            "total": realised + unrealised - fees}
