"""The recorder's process: the sockets of the engine's feeds, every frame copied to disk, and an engine that trades nothing.

The engine decodes, keeps the books and publishes events as in `tickpath run`, so that the gateway sees which books wait for a
snapshot, the journal gets the events and the state page says how good the feeds are. What is received is copied before the
engine looks at it. A second thread compresses and writes (raw_writer.py); the sockets' thread never waits for it.
"""
import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")     # NumPy would start a thread of its own

import argparse
import contextlib
import json
import signal
import sys
import time
from pathlib import Path

from tickpath.shm.feed_lane import FeedLaneWriter
from tickpath.shm.segment import SegmentError
from tickpath.venues.frame_tap import FrameTap, RestTap
from tickpath.venues.listener import FeedListener
from tickpathd.engine_process import EngineProcess
from tickpathd.engine_spec import MAX_FRAME_BYTES
from tickpathd.feeds.feeds import Feeds
from tickpathd.recorder.raw_writer import RawWriter, VenueFiles
from tickpathd.run_dir import RunError, read_run

QUEUE_BYTES = 64 << 20            # a quarter of it holds the largest frame
TELL_INTERVAL_S = 0.25
LAST_WRITES_S = 30.0
# The writing thread must not keep the interpreter for Python's usual 5 ms while a frame waits for its receive time.
SWITCH_INTERVAL_S = 0.0002


class RecordingFeeds(Feeds):
    """The engine's feeds with a copy of every message."""

    def __init__(self, tap, *arguments):
        super().__init__(*arguments)
        self.tap = tap

    def new_listener(self, venue_slot, connection, on_control, on_closed):
        return FeedListener(self.session, venue_slot, connection, epoch_offset_ns=self.epoch_offset_ns, on_control=on_control,
                            on_closed=on_closed, max_message_bytes=self.max_frame_bytes, tap=self.tap, turn_clock=self.turn_clock)

    def say(self, line, text):
        print(f"recorder: {line.name}: {text}", file=sys.stderr, flush=True)


class RecorderProcess(EngineProcess):
    """Parameters: config, header : of the recording's directory of events.  raw_dir : Path.  segment_bytes, segment_s : of raw
    files."""

    def __init__(self, config, header, raw_dir, *, segment_bytes, segment_s):
        super().__init__(config, header)
        lane, reader = FeedLaneWriter.local(QUEUE_BYTES)
        self.tap = FrameTap(lane)
        self.raw = RawWriter(reader, self.tap, venue_files(config, header, raw_dir), segment_bytes=segment_bytes,
                             segment_s=segment_s, say=say)
        self.rest_tap = None
        self.next_tell_s = 0.0

    def open(self):
        super().open()
        self.rest_tap = RestTap(self.gateway_lane, self.tap)
        self.raw.start()

    def _new_feeds(self):
        return RecordingFeeds(self.tap, self.session, self.config, MAX_FRAME_BYTES, self.turns.clock, self.clocks)

    def _turn(self, warming):
        self.rest_tap.look()
        now_s = time.monotonic()
        if now_s >= self.next_tell_s:
            self.next_tell_s = now_s + TELL_INTERVAL_S
            self.tell()
            if self.raw.failure is not None:
                self.stop_requested = True
        return super()._turn(warming)

    def tell(self):
        """One line of counts for whoever started us; left out when nobody reads (a line fits the pipe whole or not at all)."""
        os.set_blocking(1, False)
        with contextlib.suppress(OSError):
            os.write(1, self.report())

    def report(self):
        feeds = self.raw.counts()
        for feed in feeds.values():
            del feed["files"]
        return json.dumps({"feeds": feeds, "paused": self.raw.paused, "pauses": self.raw.pauses}).encode() + b"\n"

    def finish(self):
        """Write what is left; returns the exit code."""
        self.rest_tap.look()
        self.raw.stop()
        self.raw.join(LAST_WRITES_S)
        os.set_blocking(1, True)
        with contextlib.suppress(OSError):
            os.write(1, self.report())
        if self.raw.failure is not None:
            say(f"raw frames: expected to write them to the end, found {type(self.raw.failure).__name__}: {self.raw.failure}")
            return 1
        if self.raw.is_alive():
            say(f"raw frames: expected the disk to take the last of them within {LAST_WRITES_S:.0f} s, found it busy")
            return 1
        return 0


def venue_files(config, header, raw_dir):
    """{slot: VenueFiles} of every venue."""
    result = {}
    for slot, (name, venue) in enumerate(config.venues.items()):
        instruments = [{"instrument": n, "symbol": item.symbol, "venue_symbol": item.venue_symbol, "tick_size": item.tick_size,
                        "lot_size": item.lot_size, "price_decimals": item.price_decimals, "qty_decimals": item.qty_decimals}
                       for n, item in enumerate(config.instruments) if item.venue == name]
        result[slot] = VenueFiles(name, raw_dir / name, {
            "venue": name, "kind": venue.kind, "recording": header["recording"], "version": header["version"],
            "started_ns": header["started_ns"], "instruments": instruments})
    return result


def say(text):
    with contextlib.suppress(OSError):     # what stderr goes to may stand on the same disk
        print(f"recorder: {text}", file=sys.stderr, flush=True)


def main(argv=None):
    parser = argparse.ArgumentParser(prog="tickpathd.recorder.process", description="The recorder; see `tickpath record`.")
    parser.add_argument("--run-dir", required=True, help="directory of a prepared recording's events (holds config.json)")
    parser.add_argument("--raw-dir", required=True, type=Path)
    parser.add_argument("--segment-mb", type=float, required=True)
    parser.add_argument("--segment-minutes", type=float, required=True)
    parser.add_argument("--parent-pid", type=int, help="end when this process does")
    arguments = parser.parse_args(argv)
    process = None
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)      # a file size limit then fails the write and is reported as what it is
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    try:
        config, header = read_run(arguments.run_dir)
        process = RecorderProcess(config, header, arguments.raw_dir, segment_bytes=int(arguments.segment_mb * 2**20),
                                  segment_s=arguments.segment_minutes * 60)
        process.open()
        process.run(arguments.parent_pid)
        return process.finish()
    except (RunError, SegmentError, ValueError) as e:
        say(str(e))
        return 1
    finally:
        if process is not None:
            process.close()


if __name__ == "__main__":
    sys.exit(main())
