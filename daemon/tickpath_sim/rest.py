"""The venue's REST side: the protocol's answers, its weight limit, and the faults that concern snapshots."""
import time

from tickpath_sim.http_server import Response

__all__ = ["RestSide"]

WINDOW_S = 60


class RestSide:
    """Parameters: protocol : Protocol.  injector : Injector.  weight_max : a minute, None for no limit."""

    def __init__(self, protocol, injector, weight_max):
        self.protocol, self.injector, self.weight_max = protocol, injector, weight_max
        self.used = 0
        self.window_mono = time.monotonic()
        self.limited = 0

    def handle(self, request):
        now = time.monotonic()
        if now - self.window_mono >= WINDOW_S:
            self.used, self.window_mono = 0, now
        if self.weight_max is not None and self.used >= self.weight_max:
            self.limited += 1
            wait_s = max(1, int(WINDOW_S - (now - self.window_mono)) + 1)
            return Response.of({"code": -1003, "msg": f"Too much request weight used; current limit is {self.weight_max} "
                                                      "request weight per 1 MINUTE."}, 429,
                               (("Retry-After", str(wait_s)), *self._weight_header()))
        reply = self.protocol.rest(request.method, request.path, request.query, self.injector.take_old_snapshot)
        if reply is None:
            return Response.of({"code": -1, "msg": f"no such path here: {request.path}"}, 404)
        self.used += reply.weight
        return Response(reply.body, reply.status, (*reply.headers, *self._weight_header()))

    def _weight_header(self):
        return (("X-MBX-USED-WEIGHT-1M", str(self.used)),) if self.protocol.rest_weight_per_min else ()
