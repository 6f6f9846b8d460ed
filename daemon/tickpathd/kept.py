"""A child of `tickpath run` that the engine can do without for a while: started again when it ends, with growing pauses."""
import random
import signal
import sys
import time

__all__ = ["Kept"]

FIRST_PAUSE_S, PAUSE_MAX_S = 0.5, 30.0
HELD_S = 20.0                     # one that ran for so long was a success: the pauses start small again


class Kept:
    """Parameters: name : how lines begin.  start : makes the Child.  meanwhile : what holds until it is back, for the operator.
    fatal_code : exit code that says that starting it again would not help, or None."""

    def __init__(self, name, start, meanwhile, *, fatal_code=None):
        self.name, self.start, self.meanwhile, self.fatal_code = name, start, meanwhile, fatal_code
        self.restarts = 0
        self.pause_s = FIRST_PAUSE_S
        self.due_s = None                 # None: it runs, or is not to be started again
        self.given_up = False
        self._begin()

    def _begin(self):
        self.child = self.start()
        self.started_s = time.monotonic()

    def look(self):
        """Called a few times a second while the run goes on; returns a problem that ends the run, or None."""
        code = self.child.process.poll()
        now_s = time.monotonic()
        if code is None or self.given_up:
            return None
        if code == self.fatal_code:
            self.given_up = True
            return f"{self.name}: expected a configuration that it can run with, found none; see the line above"
        if self.due_s is None:
            if now_s - self.started_s > HELD_S:
                self.pause_s = FIRST_PAUSE_S
            self.due_s = now_s + random.uniform(0.5, 1.0) * self.pause_s
            self.pause_s = min(2 * self.pause_s, PAUSE_MAX_S)
            ended = f"ended by signal {-code}" if code < 0 else f"ended with {code}"
            print(f"tickpath: {self.name}: expected it to run as long as the engine, found it {ended}: started again; "
                  f"{self.meanwhile}", file=sys.stderr, flush=True)
        if now_s >= self.due_s:
            self.due_s = None
            self.restarts += 1
            self._begin()
        return None

    def stop(self, timeout_s):
        self.child.signal(signal.SIGTERM)
        if self.child.wait(timeout_s) is None:
            self.child.kill()
