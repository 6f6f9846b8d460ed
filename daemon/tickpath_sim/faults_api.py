"""The control of the faults over HTTP, on a port of its own.

    GET /                   every fault with its parameters, and those in force
    POST /<fault>           arm it; the body holds its parameters
    DELETE /<fault>         take it back
    GET /log                what was injected, at which event and where on each wire
    GET /truth?symbol=S     what the book truly is now
    GET /state              playback, clients, counters
    POST /playback          {"paused": true} | {"paused": false} | {"step": n, "symbol": S}; with S: n changes of its book
"""

from tickpath_sim import wire_json
from tickpath_sim.fault_table import FAULTS, FaultError, parameters_of
from tickpath_sim.http_server import Response

__all__ = ["FaultsApi"]


class FaultsApi:
    """Parameters: hub : SimServer."""

    def __init__(self, hub):
        self.hub = hub

    def handle(self, request):
        try:
            return self._route(request)
        except FaultError as e:
            return Response.of({"error": str(e)}, 400)

    def _route(self, request):
        injector, name = self.hub.injector, request.path.strip("/")
        if request.method == "GET":
            if name == "":
                return Response.of({"venue": self.hub.protocol.venue, "faults": self._listed(),
                                    "armed": [armed.describe() for armed in injector.armed.values()]})
            if name == "log":
                return Response.of({"entries": list(injector.log), "dropped": injector.logged - len(injector.log)})
            if name == "truth":
                return self._truth(request.query.get("symbol"))
            if name == "state":
                return Response.of(self._state())
        elif request.method == "POST":
            try:
                body = wire_json.of_client((request.body or b"{}").decode())
            except ValueError:
                raise FaultError(f"{name}: expected a JSON body, found {request.body[:60]!r}") from None
            if name == "playback":
                return self._playback(body)
            return Response.of({"armed": injector.arm(name, body).describe()})
        elif request.method == "DELETE" and name in FAULTS:
            return Response.of({"disarmed": injector.disarm(name)})
        return Response.of({"error": f"no such thing here: {request.method} {request.path}"}, 404)

    def _listed(self):
        venue = self.hub.protocol.venue
        return {name: {"summary": spec.summary, "when": spec.when, "applies": not spec.venues or venue in spec.venues,
                       "parameters": {key: {"type": p.kind.__name__, "default": p.default, "meaning": p.meaning}
                                      for key, p in parameters_of(spec).items()}}
                for name, spec in FAULTS.items()}

    def _truth(self, symbol):
        protocol = self.hub.protocol
        if symbol is None:
            return Response.of({"symbols": [item.key for item in protocol.instruments.values()]})
        item = self._instrument(symbol)
        return Response.of({"symbol": item.key, **item.book.describe(), "event": self.hub.player.events,
                            "status": item.status or protocol.normal_status, "tick_size": item.grid()[0],
                            "lot_size": item.grid()[1]})

    def _instrument(self, symbol):
        item = self.hub.protocol.find(symbol)
        if item is None:
            raise FaultError(f"symbol: expected one of {list(self.hub.protocol.instruments)}, found {symbol!r}")
        return item

    def _state(self):
        hub = self.hub
        state = {"venue": hub.protocol.venue, "playback": hub.player.state(), "counters": dict(hub.counters),
                "clients": [connection.describe() for connection in hub.connections.values()],
                "closes": list(hub.closes),
                "rest": {"weight_used": hub.rest.used, "limited": hub.rest.limited, "heaviest_minute": hub.rest.heaviest(),
                         "weight_max": hub.rest.weight_max, "requests": list(hub.rest.requests)},
                "conditions": self._conditions()}
        for name in ("wire", "ledger", "scenario"):
            part = getattr(hub, name, None)
            if part is not None:
                state[name] = part.describe()
        return state

    def _conditions(self):
        """What a scenario's conditions look at."""
        trading = getattr(self.hub, "trading", None)
        orders = fills = 0
        if trading is not None:
            orders = trading.orders.placed
            fills = sum(len(rows) for rows in trading.orders.fills_of.values())
        return {"orders": orders, "fills": fills, "fired": dict(self.hub.injector.counts)}

    def _playback(self, body):
        player = self.hub.player
        if isinstance(body, dict) and type(body.get("step")) is int and body["step"] > 0 and set(body) <= {"step", "symbol"}:
            player.step(body["step"], self._instrument(body["symbol"]) if "symbol" in body else None)
        elif isinstance(body, dict) and type(body.get("paused")) is bool and len(body) == 1:
            player.set_paused(body["paused"])
        else:
            raise FaultError(f'playback: expected {{"paused": bool}} or {{"step": count}}, found {body!r}')
        return Response.of(player.state())
