"""The job of `tickpath record`: prepares a recording, starts its processes, shows what goes on, ends them in order.

    OUT/raw/<venue>/<yyyymmdd-hhmmss>-<nnnnnn>.tpraw     frames as received (tickpath/raw_capture.py)
    OUT/events/<yyyymmdd-hhmmss>/                        a journal of the events decoded from them, with its config.json

Order of start: recorder (owns the segments), journal, gateway; of end: gateway, recorder, journal. A gateway that dies is
started again, and so is a journal whose disk was full once there is room; the recorder's death ends the recording.
"""
import contextlib
import json
import os
import signal
import sys
import time

import msgspec

from tickpath.shm.segment import SegmentError, attach_segment, list_segments, reclaim_if_stale
from tickpath.shm.state_page import StatePage
from tickpath.shm.words import load_word
from tickpath.trading.orders import next_epoch
from tickpathd import __version__
from tickpathd.config import ConfigError, config_to_json
from tickpathd.durable import write_whole
from tickpathd.feed_report import AccuracyWatch, feed_rows
from tickpathd.feeds.feeds import is_live
from tickpathd.instruments_at_start import with_instruments
from tickpathd.run_dir import InstanceLock, RunError, state_dir
from tickpathd.supervisor import Child

START_TIMEOUT_S = 30.0
END_TIMEOUT_S = 60.0
REFRESH_S = 0.25
RESTART_S = 2.0
JOURNAL_GRACE_S = 10.0
RECORDINGS_AT_ONCE_MAX = 16       # of one instance's configuration on one machine
SPARE_BYTES = 4 << 20             # room beyond a segment without which a journal is not started again
# In the journal's page, see journal_process.py.
JOURNAL_STATE_OFFSET, JOURNAL_RUNNING, JOURNAL_FAILED = 256, 1, 3


def recording_config(config, venues=()):
    """The Config of what is recorded: its live venues (or those named) with their instruments, and nothing that trades.

    Errors: ConfigError for a venue that is not there or no live one.
    """
    live = [name for name, venue in config.venues.items() if is_live(venue)]
    for name in venues:
        if name not in live:
            raise ConfigError(f"--venue: expected one of {live} (live venues of the configuration), found {name!r}")
    wanted = [name for name in live if not venues or name in venues]
    if not wanted:
        raise ConfigError(f"venues: expected a live venue to record, found {sorted(config.venues)}")
    replace = msgspec.structs.replace
    return replace(
        config, venues={name: replace(config.venues[name], failover="none") for name in wanted}, strategies=[], lanes={},
        instruments=[item for item in config.instruments if item.venue in wanted],
        instance=replace(config.instance, core=-1, poll="sleep", durability="process", mode="paper"),
        latency=replace(config.latency, stamps=False, warming=False))


class Counts:
    """The recorder's lines, taken from its pipe without waiting."""

    def __init__(self, pipe):
        self.fd = pipe.fileno()
        self.held = b""
        self.last = None
        os.set_blocking(self.fd, False)

    def lines(self):
        """Whole lines that have come."""
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self.fd, 65536):
                self.held += data
        *whole, self.held = self.held.split(b"\n")
        return whole

    def read(self):
        """The newest counts, or None while there are none."""
        for line in self.lines():
            with contextlib.suppress(ValueError):
                self.last = json.loads(line)
        return self.last


class Recording:
    """One recording; `execute` returns its result as a dict.

    Parameters: config : Config of recording_config.  out : Path.  segment_mb, segment_minutes : of raw files.
                on_refresh : called with the rows of `rows()` a few times a second.  say : takes lines for the operator.
    """

    def __init__(self, config, out, *, duration_s=None, segment_mb=256.0, segment_minutes=60.0, on_refresh=None, say=print):
        self.config, self.out = config, out
        self.duration_s, self.on_refresh, self.say = duration_s, on_refresh, say
        self.segment_mb, self.segment_minutes = segment_mb, segment_minutes
        self.recorder = self.journal = self.gateway = None
        self.counts = self.page = None
        self.watch = AccuracyWatch()
        self.problems = []
        self.stop_signals = 0
        self.asked = False
        self.events_paused = False
        self.restart_due_s = {}

    def _on_signal(self, *_):
        self.stop_signals += 1

    def execute(self):
        started_s = time.monotonic()
        self.config = with_instruments(self.config, self.say)
        self.config, lock = self._own_instance()
        self.name = self.config.instance.name
        previous = {s: signal.signal(s, self._on_signal) for s in (signal.SIGINT, signal.SIGTERM)}
        try:
            self._prepare()
            self._start()
            self._watch()
            self._end()
            return self._result(time.monotonic() - started_s)
        finally:
            for child in (self.gateway, self.recorder, self.journal):
                if child is not None and child.process.poll() is None:
                    child.kill()
            for segment in list_segments(self.name):
                with contextlib.suppress(SegmentError):
                    reclaim_if_stale(self.name, segment.split(".", 2)[2])
            for number, handler in previous.items():
                signal.signal(number, handler)
            lock.release()

    # ---- start
    def _own_instance(self):
        """(config under a name of its own in shared memory, its lock): a running engine and other recordings are not touched."""
        for number in range(1, RECORDINGS_AT_ONCE_MAX + 1):
            name = f"{self.config.instance.name[:24]}-rec{number}"
            config = msgspec.structs.replace(self.config, instance=msgspec.structs.replace(self.config.instance, name=name))
            try:
                return config, InstanceLock(config)
            except RunError as e:
                failure = e
        raise failure

    def _prepare(self):
        self.raw_dir = self.out / "raw"
        self.epoch = next_epoch(0, time.time())
        started_ns = time.time_ns()
        try:
            while True:
                stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
                self.run_dir = self.out / "events" / stamp
                try:
                    self.run_dir.mkdir(parents=True)
                    break
                except FileExistsError:
                    time.sleep(0.1)        # another recording began in this second
            self.raw_dir.mkdir(exist_ok=True)
            header = {"config": json.loads(config_to_json(self.config)), "epoch": self.epoch, "started_ns": started_ns,
                      "version": __version__, "recording": f"{stamp}-{self.name}"}
            write_whole(self.run_dir / "config.json", json.dumps(header, sort_keys=True, indent=1).encode())
        except OSError as e:
            raise RunError(f"{self.out}: expected a writable directory, found {e.strerror}") from None
        self.files_before = {name: self._files(name) for name in self.config.venues}

    def _files(self, venue):
        return sorted(str(path) for path in (self.raw_dir / venue).glob("*.tpraw"))

    def _start(self):
        parent = ("--parent-pid", str(os.getpid()))
        self.recorder = Child("recorder", "tickpathd.recorder.process", "--run-dir", str(self.run_dir), "--raw-dir",
                              str(self.raw_dir), "--segment-mb", str(self.segment_mb), "--segment-minutes",
                              str(self.segment_minutes), *parent, pipe=True)
        self.counts = Counts(self.recorder.process.stdout)
        self._wait(lambda: b"ready" in self.counts.lines(), self.recorder, "be ready")
        self.page = StatePage.attach(self.name)
        self._start_journal()
        self._wait(lambda: self._journal_state() == JOURNAL_RUNNING, self.journal, "follow the ring")
        self._start_gateway()

    def _wait(self, done, child, what):
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while not done():
            ended = child.process.poll() is not None
            if ended or time.monotonic() > deadline_s:
                raise RunError(f"{child.role}: expected it to {what} within {START_TIMEOUT_S:.0f} s, found it "
                               f"{'ended; see the line above' if ended else 'silent'}")
            time.sleep(0.01)

    def _start_journal(self):
        storage = self.config.storage
        self.journal = Child("journal", "tickpathd.journal_process", "--instance", self.name, "--run-dir", str(self.run_dir),
                             "--fsync-interval-ms", str(max(storage.fsync_interval_ms, 1000.0)), "--segment-mb",
                             str(storage.segment_mb))

    def _start_gateway(self):
        self.gateway = Child("gateway", "tickpathd.gateway", "--run-dir", str(self.run_dir), "--parent-pid", str(os.getpid()))

    def _journal_state(self):
        """What the journal's page says; None while it has none of its own (that of a killed one stays until then)."""
        with contextlib.suppress(SegmentError), attach_segment(self.name, "journal") as page:
            if page.epoch == self.epoch and page.pid == self.journal.process.pid:
                return load_word(page.buffer, JOURNAL_STATE_OFFSET)
        return None

    # ---- middle
    def _watch(self):
        end_s = time.monotonic() + self.duration_s if self.duration_s is not None else None
        asked_s = None
        while self.recorder.wait(REFRESH_S) is None:
            rows = self.rows()
            for line in self.watch.look(rows):
                self.say(line)
            if self.on_refresh is not None:
                self.on_refresh(rows)
            if not self.asked:
                self._look_after_others()
            now_s = time.monotonic()
            if asked_s is None and (self.stop_signals or end_s is not None and now_s > end_s):
                asked_s = now_s
            # A journal that is just being started again would not find the ring any more.
            starting = self.journal.process.poll() is None and self._journal_state() is None
            if asked_s is not None and not self.asked and (not starting or now_s > asked_s + JOURNAL_GRACE_S):
                self.asked = True
                for child in (self.gateway, self.recorder):
                    if child is not None:
                        child.signal(signal.SIGTERM)
            if self.stop_signals > 1:
                self.problems.append("stopped at once by a second signal: the last frames are not on the disk")
                self.recorder.kill()

    def rows(self):
        """{venue: figures of the feed and of its files, with `paused`: what the disk says while it takes nothing}."""
        rows = feed_rows(self.page.info(), self.page.totals(), self.page.instruments())
        counts = self.counts.read()
        for name, row in rows.items():
            stored = counts["feeds"][name] if counts else {"frames": 0, "stored": 0, "dropped": 0, "bytes_raw": 0,
                                                           "bytes_stored": 0}
            row.update(stored, paused=counts["paused"] if counts else None)
        return rows

    def _look_after_others(self):
        if self.gateway is not None and self.gateway.process.poll() is not None and self._is_due("gateway"):
            self.say(f"gateway: expected it to run as long as the recording, found it ended with "
                     f"{self.gateway.process.returncode}: started again")
            self._start_gateway()
        state = self._journal_state()
        if self.journal.process.poll() is None and state != JOURNAL_FAILED:
            if self.events_paused and state == JOURNAL_RUNNING:
                self.events_paused = False
                self.say("events: they are written again")
            return
        if not self.events_paused:
            self.events_paused = True
            self.say("events: expected the journal to run as long as the recording, found it ended: paused; the raw frames "
                     "hold everything")
        if self._is_due("journal") and self._room_bytes() > self.config.storage.segment_mb * 2**20 + SPARE_BYTES:
            if self.journal.process.poll() is None:
                self.journal.kill()        # it keeps its page for an engine that trades; here it only stands in the way
            self._start_journal()

    def _is_due(self, what):
        now_s = time.monotonic()
        if now_s < self.restart_due_s.get(what, 0.0):
            return False
        self.restart_due_s[what] = now_s + RESTART_S
        return True

    def _room_bytes(self):
        try:
            status = os.statvfs(self.out)
        except OSError:
            return 0
        return status.f_bavail * status.f_frsize

    # ---- end
    def _end(self):
        code = self.recorder.wait(END_TIMEOUT_S)
        if code != 0 and not self.problems:
            self.problems.append(f"recorder: expected it to end with 0, found "
                                 f"{f'signal {-code}' if code is not None and code < 0 else code}")
        if self.gateway is not None:
            self.gateway.signal(signal.SIGTERM)
            if self.gateway.wait(10.0) is None:
                self.gateway.kill()
        if self._journal_state() == JOURNAL_FAILED:
            self.journal.wait(2.0)
        code = self.journal.wait(END_TIMEOUT_S)
        if code is None:
            self.problems.append(f"events: expected the journal to drain the ring within {END_TIMEOUT_S:.0f} s, found it busy")
        elif code != 0:
            self.problems.append("events: expected the whole stream in the journal, found gaps in it or its end missing; the raw "
                                 "frames hold everything")

    def _result(self, elapsed_s):
        rows = self.rows()
        for line in self.watch.look(rows, at_end=True):
            self.say(line)
        for name, row in rows.items():
            del row["paused"]
            row["files"] = [path for path in self._files(name) if path not in self.files_before[name]]
            if row["dropped"]:
                self.problems.append(f"{name}: expected to store {row['frames']} frames, found no room for {row['dropped']}")
        return {"instance": self.name, "out": str(self.out), "events": str(self.run_dir), "feeds": rows,
                "elapsed_s": round(elapsed_s, 3), "problems": self.problems}


def default_out(config):
    """Where a recording goes unless told: beside the instance's runs."""
    return state_dir(config) / config.instance.name / "recordings"


def say_on_stderr(text):
    with contextlib.suppress(OSError):
        print(f"tickpath: {text}", file=sys.stderr, flush=True)
