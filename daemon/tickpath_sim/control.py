"""A client of the faults' control, on the standard library alone, for tests and scripts.

    faults = FaultClient("http://127.0.0.1:9001")
    faults.arm("drop_diff", symbol="BTCUSDT", count=1)
    faults.truth("BTCUSDT")["best_bid"]
"""
import json
import time
from http.client import HTTPConnection
from urllib.parse import quote, urlsplit

from tickpath_sim.fault_table import FaultError

__all__ = ["FaultClient", "FaultError"]


class FaultClient:
    """Parameters: url : as `tickpath-sim serve` prints it.  timeout_s : of one request.

    Errors: FaultError with the server's words for a request that it refuses; OSError when it is not there.
    """

    def __init__(self, url, timeout_s=10.0):
        parts = urlsplit(url)
        self._address = (parts.hostname, parts.port)
        self._timeout_s = timeout_s

    def arm(self, name, **values):
        """Arm a fault; returns what is in force. See `faults()` for names and parameters."""
        return self._ask("POST", f"/{quote(name)}", values)["armed"]

    def disarm(self, name):
        """Take a fault back; true if it was armed."""
        return self._ask("DELETE", f"/{quote(name)}")["disarmed"]

    def faults(self):
        return self._ask("GET", "/")

    def log(self, name=None):
        """What was injected, oldest first; only of one fault if it is named."""
        return [entry for entry in self._ask("GET", "/log")["entries"] if name in (None, entry["fault"])]

    def truth(self, symbol):
        """{"best_bid": [price, qty], "best_ask": …, "bids": top 10, "asks": top 10, "sequence": …, …} now."""
        return self._ask("GET", f"/truth?symbol={quote(symbol, safe='')}")

    def state(self):
        return self._ask("GET", "/state")

    def pause(self):
        return self._ask("POST", "/playback", {"paused": True})

    def resume(self):
        return self._ask("POST", "/playback", {"paused": False})

    def step(self, count=1, symbol=None):
        """Let `count` events pass, or `count` changes of a symbol's book, and stand still; returns the state when they have
        passed or the capture has ended."""
        self._ask("POST", "/playback", {"step": count, **({"symbol": symbol} if symbol else {})})
        return self.wait(lambda state: not state["playback"]["steps"] or state["playback"]["ended"])

    def wait(self, condition, seconds=10.0):
        """Ask for the state until `condition(state)` holds; returns it. Errors: TimeoutError."""
        end = time.monotonic() + seconds
        while True:
            state = self.state()
            if condition(state):
                return state
            if time.monotonic() > end:
                raise TimeoutError(f"expected the condition within {seconds} s, found {state}")
            time.sleep(0.003)

    def _ask(self, method, target, body=None):
        connection = HTTPConnection(*self._address, timeout=self._timeout_s)
        try:
            connection.request(method, target, None if body is None else json.dumps(body))
            reply = connection.getresponse()
            value = json.loads(reply.read())
        finally:
            connection.close()
        if reply.status != 200:
            raise FaultError(value.get("error", f"status {reply.status}"))
        return value
