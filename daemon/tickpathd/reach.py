"""Can a worker's tasks reach their exchange? Pauses that grow while one cannot, and one line to the operator at each change."""
import asyncio
import random
import sys

__all__ = ["Reach"]

SILENCE_S = 5.0                   # least pause where the exchange said "too many requests"


class Reach:
    """Parameters: label : how lines begin.  settings : config.Venue, for the pauses.

    A key names a task to the operator: (symbol, channel), or a word.
    """

    def __init__(self, label, settings):
        self.label = label
        self.min_s, self.max_s = settings.reconnect_min_ms / 1000, settings.reconnect_max_ms / 1000
        self.is_up = {}                   # key of a task -> True, False; absent: it has not tried yet
        self.cap_s = {}
        self.counters = {"failures": 0}

    def exchange(self):
        """True while the exchange answers, False while it does not, None before it was tried. Books say it where there are any:
        other tasks may ask once a minute."""
        tried = {key: up for key, up in self.is_up.items() if key[1:] == ("book",)} or self.is_up
        return any(tried.values()) if tried else None

    def up(self, key):
        was_down = self.is_up.get(key) is False
        self.is_up[key] = True
        self.cap_s.pop(key, None)
        if was_down:
            self.say(key, "answers again")

    def down(self, key, error):
        """Note a failure; returns how long to wait, s."""
        self.counters["failures"] += 1
        if self.is_up.get(key) is not False:
            self.say(key, f"{type(error).__name__}: {' '.join(str(error).split())[:300]}; trying on")
        self.is_up[key] = False
        cap_s = self.cap_s.get(key, self.min_s)
        self.cap_s[key] = min(2 * cap_s, self.max_s)
        pause_s = random.uniform(self.min_s / 2, cap_s)
        # By name: ccxt is not imported here.
        if {"RateLimitExceeded", "DDoSProtection"} & {cls.__name__ for cls in type(error).__mro__}:
            pause_s = max(pause_s, SILENCE_S)
        return pause_s

    def forget(self, key):
        self.is_up.pop(key, None)
        self.cap_s.pop(key, None)

    async def keep(self, key, call):
        """Await call() until it gives an answer; the answer. ccxt's own errors and whatever its parsers raise are waited out."""
        while True:
            try:
                answer = await call()
            except Exception as e:
                await asyncio.sleep(self.down(key, e))
            else:
                self.up(key)
                return answer

    def say(self, key, text):
        what = " ".join(map(str, key)) if isinstance(key, tuple) else key
        print(f"{self.label}: {what}: {text}", file=sys.stderr, flush=True)
