"""Where the stream comes from and at what pace: captures read frame by frame, once or round and round.

The capture is read once before anything is played, so that the protocol knows its instruments and the books at the
beginning. The clock starts with the first subscription (`start_after` clients), because a capture is finite.
"""
import asyncio
import time

from tickpath.capture import CaptureError, expand_capture, read_capture
from tickpath_sim.protocols import VENUES, protocol_for
from tickpath_sim.protocols.base import BOOK
from tickpath_sim.protocols.binance_rest import split_symbol

__all__ = ["Player", "load_protocol"]

# How long the loop may be kept from its sockets while frames are played without pause.
TURN_NS = 2_000_000


def _frames(paths):
    if isinstance(paths, _CopiedFrames):
        yield from paths.frames()
        return
    for path in paths:
        yield from read_capture(path)


class _CopiedFrames:
    """Stands for the paths of a capture whose only instrument is played under several names."""

    def __init__(self, paths, protocol, count):
        once = protocol()
        for frame in _frames(paths):
            once.observe(frame)
        if protocol.venue not in ("binance_spot", "binance_usdm") or len(once.instruments) != 1:
            raise CaptureError(paths[0], None, "a Binance capture of one instrument, to be copied",
                               f"{protocol.venue}: {', '.join(once.instruments) or 'no instrument'}")
        self.paths, self.copies = paths, Copies(next(iter(once.instruments)), count)

    def frames(self):
        for frame in _frames(self.paths):
            yield from self.copies.of(frame)


class Copies:
    """A capture of one instrument as one of many: the same frames again under other names (for Binance, whose symbols stand in
    stream names and in one field).

    Parameters: symbol : the recorded one, upper case.  count : how many in all.
    """

    def __init__(self, symbol, count):
        base, quote = split_symbol(symbol)
        self.names = [symbol, *(f"{base[:1]}{n:02d}{quote}" for n in range(1, count))]
        self.lower = [name.lower().encode() + b"@" for name in self.names]
        self.upper = [b'"s":"%b"' % name.encode() for name in self.names]

    def of(self, frame):
        """The frame and its copies, one for each name."""
        yield frame
        for n in range(1, len(self.names)):
            data = frame.data.replace(self.lower[0], self.lower[n], 1).replace(self.upper[0], self.upper[n], 1)
            hint = self.names[n] if frame.source == "rest" else frame.symbol_hint
            if data != frame.data or frame.source == "rest":
                yield frame._replace(data=data, symbol_hint=hint)


def load_protocol(specs, venue=None, copies=1):
    """(protocol, paths or frames, span in ns) of captures, after one reading.

    Parameters: specs : paths or glob patterns, played one after another.  venue : a name of VENUES, None to guess.
                copies : of a Binance capture's only instrument, under names of their own.
    Errors: CaptureError, also when the content is of no venue that is known.
    """
    paths = [path for spec in specs for path in expand_capture(spec)]
    found = protocol_for(_frames(paths), venue)
    if found is None:
        raise CaptureError(paths[0], None, f"a capture of {venue or ' or '.join(VENUES)}", "frames of another kind")
    protocol = found()
    if copies > 1:
        paths = _CopiedFrames(paths, found, copies)
    first = last = None
    for frame in _frames(paths):
        if first is None:
            first = frame.ts_recv_ns
        last = frame.ts_recv_ns
        protocol.observe(frame)
    protocol.observed()
    return protocol, paths, (last - first) if first is not None else 0


class Player:
    """Plays frames into `publish(event)`.

    Parameters: speed : factor of the recorded pace, 0 for as fast as the clients take it.  loop : begin again at the end.
    crowded() : whether a client's queue is too full for more when there is no pace.
    """

    def __init__(self, protocol, paths, span_ns, publish, crowded, *, speed=1.0, loop=False):
        self.protocol, self.paths, self.span_ns = protocol, paths, span_ns
        self.publish, self.crowded = publish, crowded
        self.speed, self.loop = speed, loop
        self.paused = False
        self.started = asyncio.Event()
        self.ended = False
        self.frames = self.events = self.passes = 0
        self.steps = 0                      # events that may still pass while paused
        self.step_item = None               # the instrument whose changes alone are counted
        self.failure = None
        self._resumed = asyncio.Event()

    def begin(self):
        self.started.set()

    def set_paused(self, paused):
        self.paused = paused
        self._resumed.set()

    def step(self, count, item=None):
        """Let events pass until at least `count` have, or `count` changes of one instrument's book; then stand still."""
        self.paused = True
        self.steps, self.step_item = count, item
        self._resumed.set()

    async def run(self):
        await self.started.wait()
        try:
            while True:
                self.protocol.begin_pass(self.passes, self.span_ns // 1_000_000)
                await self._pass()
                self.passes += 1
                if not self.loop:
                    break
        except CaptureError as e:
            self.failure = str(e)
        self.ended = True

    async def _pass(self):
        first_ns = start_ns = None
        turn_ns = time.monotonic_ns()
        for frame in _frames(self.paths):
            self.frames += 1
            events = self.protocol.events(frame)
            if not events:
                continue
            if self.speed and not self.steps:
                if first_ns is None:
                    first_ns, start_ns = frame.ts_recv_ns, time.monotonic_ns()
                ahead_ns = (frame.ts_recv_ns - first_ns) / self.speed - (time.monotonic_ns() - start_ns)
                if ahead_ns > 0:
                    await self._wait(ahead_ns)
                    turn_ns = time.monotonic_ns()
            if time.monotonic_ns() - turn_ns > TURN_NS:
                await asyncio.sleep(0)
                turn_ns = time.monotonic_ns()
            while not self.speed and self.crowded():
                await asyncio.sleep(0.001)
            # The last thing before an event passes, so that none does once a pause has been acknowledged.
            while self.paused and not self.steps:
                self._resumed.clear()
                await self._resumed.wait()
                # The pace is taken up again from here.
                first_ns = None
            for event in events:
                self.events += 1
                event.index = self.events
                self.publish(event)
            if self.steps:
                item = self.step_item
                self.steps = max(0, self.steps - sum(item is None or (e.kind is BOOK and e.instrument is item) for e in events))

    async def _wait(self, ahead_ns):
        """Sleep, but wake when the playback is paused or made to step."""
        self._resumed.clear()
        try:
            await asyncio.wait_for(self._resumed.wait(), ahead_ns / 1e9)
        except TimeoutError:
            pass

    def state(self):
        return {"started": self.started.is_set(), "ended": self.ended, "paused": self.paused, "frames": self.frames,
                "events": self.events, "steps": self.steps, "passes": self.passes, "failure": self.failure}
