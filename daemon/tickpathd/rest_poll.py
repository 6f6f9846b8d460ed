"""The gateway's polls: `failover = "rest"`. A venue's own depth over REST while an instrument's stream is bad, and only then."""
import http.client
import random
import sys
import time

from tickpath.venues.ccxt_frame import FrameEncoder, FrameError
from tickpathd.feeds.depth_poll import DepthError, depth_path, depth_weight, parse_depth
from tickpathd.feeds.fallback import POLL_CONNECTION, is_wanted

__all__ = ["RestPoll"]

DOWN_PAUSE_MAX_S = 10.0


class RestPoll:
    """One venue's polls.

    Parameters: fallback : Fallback.  rest, budget : as the gateway's snapshots have them.  lane : FeedLaneWriter.
                config : Config.  now_ns : the stamp of frames.  retry_after_s : headers -> s, of an answer that asks for silence.
    """

    def __init__(self, fallback, rest, budget, lane, config, now_ns, retry_after_s):
        self.fallback, self.settings, self.rest, self.budget, self.lane = fallback, fallback.settings, rest, budget, lane
        self.now_ns, self.retry_after_s = now_ns, retry_after_s
        self.after_ns = self.settings.failover_after_ms * 1_000_000
        self.interval_s = self.settings.poll_interval_ms / 1000
        self.weight = depth_weight(self.settings)[0]
        self.encoders = {n: (item, FrameEncoder(item.venue_symbol, item.tick_size, item.lot_size))
                         for n, item in enumerate(config.instruments) if item.venue == fallback.name}
        self.due_s = dict.fromkeys(self.encoders, 0.0)
        self.pause_s = dict.fromkeys(self.encoders, 0.0)
        self.sequence = time.time_ns() // 1000
        self.reachable = None
        self.counters = {"polls": 0, "failures": 0, "dropped": 0}

    def look(self, rows, now_ns):
        """Poll what is wanted and due. rows : of the state page.  now_ns : engine time."""
        for number, (item, encoder) in self.encoders.items():
            if not is_wanted(rows[number], now_ns, self.after_ns):
                self.due_s[number] = self.pause_s[number] = 0.0
            elif time.monotonic() >= self.due_s[number] and self.budget.wait_s(self.weight, time.monotonic()) == 0:
                self._poll(number, item, encoder)

    def _poll(self, number, item, encoder):
        began_ns = time.monotonic_ns()
        self.due_s[number] = began_ns / 1e9 + self.interval_s
        self.counters["polls"] += 1
        try:
            status, headers, body = self.rest.get(depth_path(self.settings, item.venue_symbol))
            if status in (418, 429):
                pause_s = self.retry_after_s(headers)
                self.budget.block(pause_s)
                raise DepthError(f"the venue asks for silence (HTTP {status}) for {pause_s:.0f} s")
            if status != 200:
                raise DepthError(f"expected HTTP 200, found {status}: {body[:120]!r}")
            answer = parse_depth(self.settings.kind, body)
            depth = self.settings.depth
            self.sequence += 1
            frame = encoder.book(self.sequence, answer.bids[:depth], answer.asks[:depth], whole=True,
                                 ts_venue_ns=answer.ts_venue_ns, age_ns=time.monotonic_ns() - began_ns)
        except (OSError, http.client.HTTPException, DepthError, FrameError) as e:
            self._failed(number, item, e)
            return
        if self.reachable is False:
            self._say("polls are answered again")
        self.reachable, self.pause_s[number] = True, 0.0
        # A stamp of ours, as of all the gateway's frames; a full lane means that the engine has newer things to read.
        if not self.lane.try_write(frame, self.now_ns(), number, venue_slot=self.fallback.slot, connection=POLL_CONNECTION):
            self.counters["dropped"] += 1

    def _failed(self, number, item, error):
        self.counters["failures"] += 1
        self.pause_s[number] = min(max(2 * self.pause_s[number], self.interval_s), DOWN_PAUSE_MAX_S)
        self.due_s[number] = time.monotonic() + self.pause_s[number] * random.uniform(0.5, 1.0)
        if self.reachable is not False:
            self._say(f"poll of {item.symbol}: {error or type(error).__name__}; trying on")
        self.reachable = False

    def _say(self, text):
        print(f"gateway: {self.fallback.name}: {text}", file=sys.stderr, flush=True)
