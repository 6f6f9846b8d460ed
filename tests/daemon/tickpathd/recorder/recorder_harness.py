"""A writing thread with its lane, and whole recordings of a venue simulator."""
import contextlib
import json
import os
import signal
import subprocess
import sys

from process_harness import ROOT, alive, children, until
from tickpath.capture import read_capture
from tickpath.raw_capture import raw_summary
from tickpath.shm.feed_lane import FeedLaneWriter
from tickpath.shm.segment import SegmentError, list_segments, reclaim_if_stale
from tickpath.venues.frame_tap import FrameTap
from tickpathd.recorder.raw_writer import RawWriter, VenueFiles

METADATA = {"venue": "v", "kind": "kraken", "instruments": [{"instrument": 1, "venue_symbol": "BTC/USD"}]}


class Recorded:
    """A RawWriter that runs, and the tap in front of it."""

    def __init__(self, directory, venues=None, *, lane_bytes=1 << 22, **options):
        lane, reader = FeedLaneWriter.local(lane_bytes)
        self.tap = FrameTap(lane)
        self.said = []
        self.writer = RawWriter(reader, self.tap, {slot: VenueFiles(name, directory / name, METADATA)
                                                   for slot, name in (venues or {0: "v"}).items()},
                                say=self.said.append, **options)
        self.writer.start()

    def end(self):
        """counts() at the end."""
        self.writer.stop()
        self.writer.join(20)
        assert not self.writer.is_alive()
        if self.writer.failure is not None:
            raise self.writer.failure
        return self.writer.counts()


def frames_of(counts):
    """[(ts_recv_ns, data, connection)] of a venue's files."""
    return [(f.ts_recv_ns, f.data, f.connection) for path in counts["files"] for f in read_capture(path)]


class Started:
    """`tickpath record` on the venues of a configuration, in processes of its own.

    Parameters: venues : {name: (kind, symbols, addresses of tickpath-sim, settings)}.  more : further arguments.
    """

    def __init__(self, tmp_path, name, venues, *more, out=None):
        self.out = out or tmp_path / "out"
        self.config = tmp_path / f"{name}.toml"
        text = f'[instance]\nname = "{name}"\n[storage]\ndir = "{tmp_path / "state"}"\nsegment_mb = 1\n'
        for venue, (kind, symbols, urls, settings) in venues.items():
            options = {"kind": kind, "ws_url": urls["ws_url"], "rest_url": urls["rest_url"], "symbols": symbols,
                       "reconnect_min_ms": 20, "reconnect_max_ms": 300, **settings}
            text += f"[venues.{venue}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in options.items())
        self.config.write_text(text)
        self.name = f"{name}-rec1"
        self.err = tmp_path / f"{name}.err"
        with open(self.err, "w") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tickpathd.cli", "record", "-c", str(self.config), "--out", str(self.out), "--json", *more],
                cwd=ROOT, stdout=subprocess.PIPE, stderr=err, text=True)
        self.pids = {}

    def said(self):
        return self.err.read_text()

    def files(self, venue):
        return sorted((self.out / "raw" / venue).glob("*.tpraw"))

    def stored(self, venue, frames=1, seconds=30):
        """Wait until so many frames of a venue are in its files."""
        until(lambda: sum(raw_summary(path).frames for path in self.files(venue)) >= frames, f"{frames} frames of {venue} on disk",
              seconds)
        self.pids = self.pids or children(self.process.pid)
        return self

    def end(self, number=signal.SIGTERM, seconds=60):
        """(exit code, JSON, stderr) after a signal (None: it ends by itself), with nothing left behind."""
        if number is not None:
            self.process.send_signal(number)
        out, _ = self.process.communicate(timeout=seconds)
        assert list_segments(self.name) == []
        assert [role for role, pid in self.pids.items() if alive(pid)] == []
        assert "Traceback" not in self.said()
        return self.process.returncode, json.loads(out) if out else None, self.said()

    def stop(self):
        pids = {**self.pids, **(children(self.process.pid) if self.process.poll() is None else {})}
        for pid in (self.process.pid, *pids.values()):
            if alive(pid):
                os.kill(pid, signal.SIGKILL)
        self.process.communicate()
        for segment in list_segments(self.name):
            with contextlib.suppress(SegmentError):
                reclaim_if_stale(self.name, segment.split(".", 2)[2])
