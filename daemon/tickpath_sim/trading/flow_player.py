"""Plays a generated flow into the exchange of a running server, at any pace. Stands where a capture's Player stands.

The flow's own time runs `speed` times as fast as the clock; the venue's clock stays what it is, so that orders and trades bear
the time at which they happened. What happens, and in which order, is the seed's and the clients' doing.
"""
import asyncio
import time

__all__ = ["FlowPlayer"]

# How long the loop may be kept from its sockets.
TURN_NS = 2_000_000
# The longest wait: what has been asked for in the meantime is seen after it.
WAIT_S = 0.05
# A step while paused: so much of the flow's time passes before the books' changes go out.
STEP_NS = 100_000_000


class FlowPlayer:
    """Parameters: venue : TradingVenue.  market : OwnMarket.  flow : Flow, None for a market that has its clients' orders alone.
    crowded() : whether a client's queue is too full for more when there is no pace.  speed : 0 for as fast as clients take it.
    """

    def __init__(self, venue, market, flow, crowded, *, speed=1.0):
        self.venue, self.market, self.flow, self.crowded, self.speed = venue, market, flow, crowded, speed
        self.paused = self.ended = False
        self.started = asyncio.Event()
        self.events = 0                     # messages of the market's streams, counted by the market
        self.steps = 0                      # changes of a book that may still pass while paused
        self.step_item = None
        self.failure = None
        self._woken = asyncio.Event()

    def begin(self):
        if not self.started.is_set() and self.flow is not None:
            # What happens at the very beginning, so that nobody ever sees the book empty.
            self.flow.run(1, start_ns=self.venue.now_ns())
            self.venue.settle()
        self.started.set()

    def set_paused(self, paused):
        self.paused = paused
        self._woken.set()

    def step(self, count, item=None):
        """Let the flow go on until at least `count` changes of a book (of one instrument's, if it is named) have gone out."""
        self.paused = True
        self.steps, self.step_item = count, item
        self._woken.set()

    async def run(self):
        await self.started.wait()
        if self.flow is None:
            self.ended = True
            return
        start_mono_ns, start_flow_ns = time.monotonic_ns(), self.flow.now_ns
        while True:
            if self.paused:
                if self.steps:
                    self._step()
                    await asyncio.sleep(0)
                else:
                    self._woken.clear()
                    await self._woken.wait()
                start_mono_ns, start_flow_ns = time.monotonic_ns(), self.flow.now_ns
                continue
            turn_ns = time.monotonic_ns()
            until_ns = start_flow_ns + (turn_ns - start_mono_ns) * self.speed if self.speed else 1 << 62
            wait_s = self._turn(turn_ns, until_ns)
            while not self.speed and self.crowded():
                await asyncio.sleep(0.001)
            await asyncio.sleep(wait_s)

    def _turn(self, turn_ns, until_ns):
        """Do what is due, for a while. Returns how long there is nothing to do, in seconds."""
        flow, now_ns = self.flow, self.venue.now_ns
        wait_s = 0.0
        while True:
            next_ns = flow.next_ns()
            if next_ns > until_ns:
                wait_s = min(WAIT_S, (next_ns - until_ns) / self.speed / 1e9)
                break
            flow.step(now_ns())
            if time.monotonic_ns() - turn_ns > TURN_NS:
                break
        self.venue.settle()
        return wait_s

    def _step(self):
        flow = self.flow
        until_ns = flow.now_ns + STEP_NS
        while flow.next_ns() < until_ns:
            flow.step(self.venue.now_ns())
        flow.now_ns = until_ns
        self.venue.settle()
        sent = self.market.flush(None if self.step_item is None else self.step_item.symbol)
        self.steps = max(0, self.steps - sent)

    def state(self):
        return {"started": self.started.is_set(), "ended": self.ended, "paused": self.paused, "events": self.events,
                "steps": self.steps, "failure": self.failure, "flow": self.flow.spec.name if self.flow else None,
                "flow_ns": self.flow.now_ns if self.flow else 0, "requests": self.flow.executed if self.flow else 0,
                "refused": {str(reason): count for reason, count in self.flow.refused.items()} if self.flow else {},
                # As a capture's player says it.
                "frames": 0, "passes": 0}
