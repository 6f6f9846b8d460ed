"""When the engine's process looks between frames: commands, feed lanes, the journal's state.

A turn that had something to do is followed by another at once. Else, with poll = "busy", the loop goes on polling its sockets and
looks again after a few polls, since a poll finds a frame sooner than a turn between two polls would let it; and it warms the path
(tickpathd.warming) a thousand times a second, not in every turn, since that takes the caches away from the polls: 12.1 us from a
venue's send to the ring on loopback instead of 13.9 (scripts/bench_feed.py, 5,000 messages a second). With poll =
"sleep" it looks again after a millisecond; frames that come meanwhile bring a turn of their own once half of that is over, so
that a busy market costs no wake-ups by the timer (one is 5 to 50 us of CPU, more than a hundred quotes).
"""
from tickpath.venues.listener import TurnClock

__all__ = ["IDLE_SLEEP_S", "Turns"]

IDLE_SLEEP_S = 0.001              # poll = "sleep": how long empty lanes are left alone
WITH_DATA_AFTER_NS = 500_000      # …, and from when on a frame brings the next turn with it
POLLS_PER_TURN = 8                # poll = "busy": about 2.5 us each, so a command waits 20 us at most
TURNS_PER_WARMING = 64            # poll = "busy"


class Turns:
    """Parameters: turn : called each turn with whether to warm the path if there is nothing to do; returns how much it handled,
                       or None when it was the last.
                busy : bool, poll = "busy".
    """

    def __init__(self, turn, *, busy):
        self.turn, self.busy = turn, busy
        self.clock = TurnClock(self._with_data)              # for the listeners
        self.loop = None
        self._timer = None
        self._polls = 0
        self._idle_turns = 0

    def start(self, loop):
        self.loop = loop
        loop.call_soon(self._turn)

    def _turn(self):
        self._timer = None
        handled = self.turn(not self.busy or self._idle_turns % TURNS_PER_WARMING == 0)
        if handled is None:
            return
        if handled:
            self.loop.call_soon(self._turn)                  # sockets get their turn in between
        elif self.busy:
            self._idle_turns += 1
            self._polls = POLLS_PER_TURN
            self.loop.call_soon(self._poll)
        else:
            self._timer = self.loop.call_later(IDLE_SLEEP_S, self._turn)
            self.clock.arm(WITH_DATA_AFTER_NS)

    def _poll(self):
        self._polls -= 1
        self.loop.call_soon(self._poll if self._polls > 0 else self._turn)

    def _with_data(self):
        """A listener has taken frames: the loop is awake anyway, and the next turn is near."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self.loop.call_soon(self._turn)
