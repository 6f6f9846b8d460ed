"""The venue's REST side: the protocol's answers, its weight limit, and the faults that concern snapshots."""
import time
from collections import deque

from tickpath_sim.http_server import Response

__all__ = ["RestSide"]

WINDOW_S = 60
REQUESTS_KEPT = 1000


class RestSide:
    """Parameters: protocol : Protocol.  injector : Injector.  weight_max : a minute, None for no limit."""

    def __init__(self, protocol, injector, weight_max):
        self.protocol, self.injector, self.weight_max = protocol, injector, weight_max
        self.used = 0
        self.window_mono = time.monotonic()
        self.limited = 0
        self.requests = deque(maxlen=REQUESTS_KEPT)    # what was asked: {"ts_ns", "path", "query", "weight", "status"}

    def handle(self, request):
        now = time.monotonic()
        if now - self.window_mono >= WINDOW_S:
            self.used, self.window_mono = 0, now
        if self.weight_max is not None and self.used >= self.weight_max:
            self.limited += 1
            self._note(request, 0, 429)
            wait_s = max(1, int(WINDOW_S - (now - self.window_mono)) + 1)
            return Response.of({"code": -1003, "msg": f"Too much request weight used; current limit is {self.weight_max} "
                                                      "request weight per 1 MINUTE."}, 429,
                               (("Retry-After", str(wait_s)), *self._weight_header()))
        reply = self.protocol.rest(request.method, request.path, request.query, self.injector.take_old_snapshot)
        if reply is None:
            return Response.of({"code": -1, "msg": f"no such path here: {request.path}"}, 404)
        self.used += reply.weight
        self._note(request, reply.weight, reply.status)
        return Response(reply.body, reply.status, (*reply.headers, *self._weight_header()))

    def _note(self, request, weight, status):
        self.requests.append({"ts_ns": time.time_ns(), "path": request.path, "query": request.query, "weight": weight,
                              "status": status})

    def heaviest(self, window_s=WINDOW_S):
        """The greatest weight that was answered within any window of that length."""
        most, total, first = 0, 0, 0
        rows = list(self.requests)
        for row in rows:
            total += row["weight"]
            while row["ts_ns"] - rows[first]["ts_ns"] >= window_s * 1e9:
                total -= rows[first]["weight"]
                first += 1
            most = max(most, total)
        return most

    def _weight_header(self):
        return (("X-MBX-USED-WEIGHT-1M", str(self.used)),) if self.protocol.rest_weight_per_min else ()
