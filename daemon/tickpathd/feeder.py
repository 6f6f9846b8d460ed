"""The feeder: plays a capture into the engine's feed lane, at its recorded pace or as fast as the lane takes it.

A full lane makes it wait; the engine, which leaves frames in the lane while the journal is too far behind, never does.
"""
import argparse
import signal
import sys
import time

from tickpath.capture import CaptureError, expand_capture, read_capture
from tickpath.shm.feed_lane import FeedLaneWriter
from tickpath.shm.segment import SegmentError, attach_segment
from tickpathd.run_dir import RunError, read_run
from tickpathd.supervised import die_with

NO_INSTRUMENT = 0xFFFFFFFF


class EngineGone(Exception):
    """The engine's process has ended: there is nobody to feed."""


class Feeder:
    def __init__(self, config):
        name = config.instance.name
        self.venue_slot, (self.venue_name, venue) = next(
            (n, item) for n, item in enumerate(config.venues.items()) if item[1].kind.startswith("capture:"))
        self.paths = expand_capture(venue.kind.removeprefix("capture:"))
        self.recorded_pace = venue.pace == "recorded"
        self.lane_segment = attach_segment(name, "feed", writable=True)
        self.lane = FeedLaneWriter(self.lane_segment.buffer)
        self.instruments = {item.venue_symbol: n for n, item in enumerate(config.instruments)
                            if item.venue == self.venue_name}
        self.oversized = 0
        self.stop_requested = False

    def hint(self, frame):
        """The instrument of a REST body, which does not name it: from its URL, or the only one there is."""
        if frame.symbol_hint is not None:
            return self.instruments.get(frame.symbol_hint, NO_INSTRUMENT)
        return next(iter(self.instruments.values())) if len(self.instruments) == 1 else NO_INSTRUMENT

    def write(self, frame):
        return self.lane.try_write(frame.data, frame.ts_recv_ns, self.hint(frame), venue_slot=self.venue_slot,
                                   connection=frame.connection)

    def wait_while(self, condition):
        while condition():
            if not self.lane_segment.owner_alive() or self.stop_requested:
                raise EngineGone
            time.sleep(0.0002)

    def play(self):
        start_mono = first_ts = None
        count = 0
        for path in self.paths:
            for frame in read_capture(path):
                if self.recorded_pace:
                    if first_ts is None:
                        first_ts, start_mono = frame.ts_recv_ns, time.monotonic_ns()
                    while (ahead_ns := frame.ts_recv_ns - first_ts - (time.monotonic_ns() - start_mono)) > 0:
                        if self.stop_requested:
                            raise EngineGone
                        time.sleep(min(ahead_ns / 1e9, 0.2))
                count += 1
                try:
                    if not self.write(frame):
                        self.wait_while(lambda f=frame: not self.write(f))
                except ValueError as e:
                    self.oversized += 1
                    print(f"feeder: {path}: frame {count}: {e}", file=sys.stderr)

    def end(self):
        self.wait_while(lambda: not self.lane.try_end())


def main(argv=None):
    parser = argparse.ArgumentParser(prog="tickpathd.feeder", description="Plays a capture; see `tickpath run`.")
    parser.add_argument("--run-dir", required=True)
    parser.add_argument("--parent-pid", type=int, help="end when this process does")
    arguments = parser.parse_args(argv)
    try:
        config, _ = read_run(arguments.run_dir)
        feeder = Feeder(config)
    except (RunError, SegmentError, CaptureError) as e:
        print(f"feeder: {e}", file=sys.stderr)
        return 1

    def stop(*_):
        feeder.stop_requested = True
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    if arguments.parent_pid:
        die_with(arguments.parent_pid)
    failed = None
    try:
        try:
            feeder.play()
        except CaptureError as e:
            # What was read so far is traded to its end; then the run ends as at any end of a feed.
            failed = e
        feeder.end()
    except EngineGone:
        pass
    if failed is not None:
        print(f"feeder: {failed}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
