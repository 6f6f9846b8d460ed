"""The venue's REST side: order entry where the venue trades, else the protocol's answers, its weight limit, and the faults that
concern snapshots."""
import asyncio
import time
from collections import deque
from urllib.parse import unquote_plus

from tickpath_sim.http_server import Response
from tickpath_sim.trading.calls import MICROSECOND, MILLISECOND, Call
from tickpath_sim.trading.errors import VenueError
from tickpath_sim.trading.faulted import Request

__all__ = ["RestSide"]

WINDOW_S = 60
REQUESTS_KEPT = 1000
UNITS = {"MILLISECOND": MILLISECOND, "MICROSECOND": MICROSECOND}


class RestSide:
    """Parameters: protocol : Protocol.  injector : Injector.  weight_max : a minute, None for no limit.
    trading : TradingVenue, or None for a venue that has market data alone."""

    def __init__(self, protocol, injector, weight_max, trading=None):
        self.protocol, self.injector, self.weight_max, self.trading = protocol, injector, weight_max, trading
        self._used = 0
        self.window_mono = time.monotonic()
        self._limited = 0
        self.requests = deque(maxlen=REQUESTS_KEPT)    # what was asked: {"ts_ns", "path", "query", "weight", "status"}

    @property
    def used(self):
        """The weight of this minute."""
        return self._used if self.trading is None else self.trading.limits.weight.count(self.trading.now_ns())

    @property
    def limited(self):
        return self._limited + (0 if self.trading is None else self.trading.limits.limited)

    def handle(self, request):
        if self.trading is not None:
            route = self.trading.rest_routes.get((request.method, request.path))
            if route is not None:
                return self._trade(route, request)
            return self._unknown(request)
        now = time.monotonic()
        if now - self.window_mono >= WINDOW_S:
            self._used, self.window_mono = 0, now
        if self.weight_max is not None and self._used >= self.weight_max:
            self._limited += 1
            self._note(request, 0, 429)
            wait_s = max(1, int(WINDOW_S - (now - self.window_mono)) + 1)
            return Response.of({"code": -1003, "msg": f"Too much request weight used; current limit is {self.weight_max} "
                                                      "request weight per 1 MINUTE."}, 429,
                               (("Retry-After", str(wait_s)), *self._weight_header()))
        reply = self.protocol.rest(request.method, request.path, request.query, self.injector.take_old_snapshot)
        if reply is None:
            return self._unknown(request)
        self._used += reply.weight
        self._note(request, reply.weight, reply.status)
        return Response(reply.body, reply.status, (*reply.headers, *self._weight_header()))

    def _unknown(self, request):
        return Response.of({"code": -1, "msg": f"no such path here: {request.path}"}, 404)

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
        return (("X-MBX-USED-WEIGHT-1M", str(self._used)),) if self.protocol.rest_weight_per_min else ()

    # ---- a venue that trades

    def _trade(self, route, request):
        venue = self.trading
        now_ns = venue.now_ns()
        call = Call(venue, route, {}, now_ns)
        key_text = request.headers.get("X-MBX-APIKEY")
        try:
            call.params, signed = parameters_of(request)
            unit = request.headers.get("X-MBX-TIME-UNIT")
            if unit is not None:
                call.unit_ns = UNITS.get(unit.upper())
                if call.unit_ns is None:
                    raise VenueError(-1194, "Invalid value for time unit; expected either MICROSECOND or MILLISECOND.")
        except VenueError as e:
            call.unit_ns = MILLISECOND
            return self._refusal(request, call, e)
        faults = venue.faults
        if faults is not None and faults.active:
            return self._with_faults(faults, route, request, call, signed, key_text)
        return self._execute(request, call, signed, key_text)

    def _execute(self, request, call, signed, key_text):
        try:
            body = call.run(signed, key_text)
        except VenueError as e:
            return self._refusal(request, call, e)
        except Exception:
            self.trading.failed(call)
            return self._refusal(request, call, VenueError(-1000, "An unknown error occurred while processing the request.", 500))
        self._note(request, call.weight, 200)
        return Response(body, 200, self._headers(call))

    def _refusal(self, request, call, error):
        self._note(request, call.weight, error.status)
        text = Response.of({"code": error.code, "msg": error.msg}).body
        if error.data is not None:
            text = b'%b,"data":%b}' % (text[:-1], error.data)
        return Response(text, error.status, (*error.headers, *self._headers(call)))

    def _headers(self, call):
        headers = self.trading.limits.headers(call.now_ns)
        if call.route.orders and call.account is not None:
            headers += call.account.order_count.headers(call.now_ns)
        return headers

    def _with_faults(self, faults, route, request, call, signed, key_text):
        """Let the armed faults decide when, how often and whether the request is carried out and answered."""
        future = asyncio.get_running_loop().create_future()

        def send(answer):
            if not future.done():
                future.set_result(answer)
        seen = call.faults = Request(self.trading, route, call, "rest", key_text, request.transport)
        seen.finish = lambda error: self._refusal(request, call, error)
        if not faults.request(seen, lambda: self._execute(request, call, signed, key_text), send):
            return self._execute(request, call, signed, key_text)
        return future


def parameters_of(request):
    """({name: text} of query and body, () -> bytes that were signed). Errors: VenueError for a name that comes twice."""
    query, body = request.raw_query, ""
    if request.body and request.method != "GET":
        body = request.body.decode("utf-8", "replace").strip("\r\n")
    params = {}
    # The query goes before the body, for the signature and where both have a name.
    for part in (body, query) if body else (query,):
        if part:
            seen = set()
            for pair in part.split("&"):
                if not pair:
                    continue
                name, _, value = pair.partition("=")
                if "%" in pair or "+" in pair:
                    name, value = unquote_plus(name), unquote_plus(value)
                if name in seen:
                    raise VenueError(-1101, f"Duplicate values for parameter '{name[:40]}' detected.")
                seen.add(name)
                params[name] = value
    return params, lambda: (_unsigned(query) + _unsigned(body)).encode()


def _unsigned(part):
    if "signature=" not in part:
        return part
    return "&".join([pair for pair in part.split("&") if not pair.startswith("signature=")])
