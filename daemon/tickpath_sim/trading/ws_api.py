"""The WebSocket API: requests and answers as JSON over one connection, signed each or by a session that is logged on.

    > {"id":"1","method":"order.place","params":{…}}
    < {"id":"1","status":200,"result":{…},"rateLimits":[…]}

Source: github.com/binance/binance-spot-api-docs web-socket-api.md, seen 2026-11-22. No task and no future for a request: it is
answered in the call that brought it, unless a fault takes it over.
"""
import json
import re
from typing import Any

import msgspec

from tickpath_sim.protocols.base import Session
from tickpath_sim.trading import errors
from tickpath_sim.trading.auth import check_format, check_time
from tickpath_sim.trading.calls import MICROSECOND, MILLISECOND, Call
from tickpath_sim.trading.errors import VenueError
from tickpath_sim.trading.faulted import Request

__all__ = ["WsApiSession"]

ID = re.compile(r"[a-zA-Z0-9_-]{1,36}")
INT64 = 1 << 63
ID_RANGE = "^[a-zA-Z0-9-_]{1,36}$"
UNKNOWN_METHOD = VenueError(-1020, "This operation is not supported.")


class _Number(str):
    """The text of a number with a point, as it was sent."""
    __slots__ = ()


class _Frame(msgspec.Struct, gc=False):
    method: str
    id: int | str | None = None
    params: dict[str, Any] | None = None


_decode = msgspec.json.Decoder(_Frame, float_hook=_Number).decode


def text_of(value):
    """A JSON parameter as the text that REST would carry."""
    kind = value.__class__
    if kind is int:
        return str(value)
    if kind is bool:
        return "true" if value else "false"
    if value is None:
        return ""
    if kind is _Number:
        return str.__str__(value)
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


class WsApiSession(Session):
    """One connection to /ws-api/v3.

    Parameters: query : of the path: returnRateLimits, timeUnit.
    """
    api_messages = True                     # no limit of messages a second: requests have weights
    combined = False

    def __init__(self, protocol, connection, venue, query):
        super().__init__(protocol, connection)
        self.venue = venue
        self.returns_limits = query.get("returnRateLimits", "true") != "false"
        self.unit_ns = MICROSECOND if query.get("timeUnit", "").upper() == "MICROSECOND" else MILLISECOND
        self.key = None                     # ApiKey that is logged on
        self.authorized_ns = 0
        self.connected_ns = venue.now_ns()
        self.subscription_number = 0
        self.subscriptions = {}             # number -> Account
        self.routes = venue.ws_routes
        self.requests = self.refused = 0

    @property
    def subscribed(self):
        return False

    def on_text(self, text):
        self.on_payload(text.encode())

    def on_payload(self, payload):
        """One request."""
        self.requests += 1
        try:
            frame = _decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self._malformed(payload)
            return
        number, returns_limits = frame.id, self.returns_limits
        if number.__class__ is int and -INT64 <= number < INT64:
            head = f'{{"id":{number},"status":'
        elif number is None:
            head = '{"id":null,"status":'
        elif number.__class__ is int or ID.fullmatch(number) is None:
            self._answer_error('{"id":null,"status":', errors.illegal_chars("id", ID_RANGE), False)
            return
        else:
            head = f'{{"id":"{number}","status":'
        params = frame.params
        if params is None:
            params = {}
        else:
            for name, value in params.items():
                if value.__class__ is not str:
                    params[name] = str(value) if value.__class__ is int else text_of(value)
            if "returnRateLimits" in params:
                # Part of what is signed, and read by every method.
                returns_limits = params["returnRateLimits"] == "true"
        route = self.routes.get(frame.method)
        if route is None:
            self._answer_error(head, self._counted(UNKNOWN_METHOD), returns_limits)
            return
        venue = self.venue
        call = Call(venue, route, params, venue.now_ns(), self.unit_ns, self)
        faults = venue.faults
        if faults is not None and faults.active:
            call.faults = request = Request(venue, route, call, "ws", params.get("apiKey"), self.connection, self.key)
            request.finish = lambda error: self._error_text(head, error, returns_limits).encode()
            if faults.request(request, lambda: self._run(call, head, returns_limits), self._send):
                return
        self._send(self._run(call, head, returns_limits))

    def _run(self, call, head, returns_limits):
        """Answer a call, as bytes."""
        params = call.params
        try:
            result = call.run(lambda: signed_text(params), params.get("apiKey"), self.key)
        except VenueError as e:
            self.refused += 1
            return self._error_text(head, e, returns_limits).encode()
        except Exception:
            self.venue.failed(call)
            return self._error_text(head, VenueError(-1000, "An unknown error occurred while processing the request.", 500),
                                    returns_limits).encode()
        if returns_limits:
            return b'%b200,"result":%b,"rateLimits":[%b]}' % (head.encode(), result, self._limits(call).encode())
        return b'%b200,"result":%b}' % (head.encode(), result)

    def _limits(self, call):
        weight = self.venue.limits.json(call.now_ns)
        if call.route.orders and call.account is not None and call.account.order_count.windows:
            return f"{call.account.order_count.json(call.now_ns)},{weight}"
        return weight

    def _send(self, data):
        """Write an answer; None cuts the connection."""
        if data is None:
            self.connection.reset()
        else:
            self.connection.send_control(data)

    def _error_text(self, head, error, returns_limits):
        data = "" if error.data is None else f',"data":{error.data.decode()}'
        for name, value in error.headers:
            if name == "Retry-After" and not data:
                now_ms = self.venue.now_ns() // MILLISECOND
                data = f',"data":{{"serverTime":{now_ms},"retryAfter":{now_ms + int(value) * 1000}}}'
        limits = f',"rateLimits":[{self.venue.limits.json(self.venue.now_ns())}]' if returns_limits else ""
        return f'{head}{error.status},"error":{{"code":{error.code},"msg":{json.dumps(error.msg)}{data}}}{limits}}}'

    def _answer_error(self, head, error, returns_limits):
        self.refused += 1
        self._send(self._error_text(head, error, returns_limits).encode())

    def _malformed(self, payload):
        """Say what is wrong with what is no request."""
        error, number = VenueError(-1135, "Invalid JSON Request"), "null"
        try:
            found = json.loads(payload)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, dict):
            value = found.get("id")
            if isinstance(value, str) and ID.fullmatch(value):
                number = f'"{value}"'
            elif type(value) is int and abs(value) < 1 << 63:
                number = str(value)
            elif value is not None:
                error = errors.illegal_chars("id", ID_RANGE)
            if "method" not in found:
                error = errors.mandatory("method")
            elif not isinstance(found["method"], str):
                error = errors.illegal_chars("method", "^[a-zA-Z0-9.]{1,100}$")
            elif found.get("params") is not None and not isinstance(found["params"], dict):
                error = errors.illegal_chars("params", "JSON object")
        self._answer_error(f'{{"id":{number},"status":', self._counted(error), self.returns_limits)

    def _counted(self, error):
        """The answer to what no handler sees: what is wrong with it, or that there was too much of it."""
        try:
            self.venue.limits.take(1, self.venue.now_ns())
        except VenueError as e:
            return e
        return error

    # ---- the session's own methods

    def logon(self, call):
        params = call.params
        check_format(params.get("apiKey"))
        key = self.venue.accounts.by_key.get(params["apiKey"])
        if key is None:
            raise VenueError(-2015, "Invalid API-key, IP, or permissions for action.", 401)
        if key.secret is not None:
            raise VenueError(-4056, "HMAC_SHA256 API key is not supported.")
        for name in ("timestamp", "signature"):
            if not params.get(name):
                raise errors.mandatory(name)
        check_time(params["timestamp"], params.get("recvWindow"), call.now_ns)
        if not key.verify(signed_text(params), params["signature"]):
            raise VenueError(-1022, "Signature for this request is not valid.")
        self.key, self.authorized_ns = key, call.now_ns
        return self.status_text(call)

    def logout(self, call):
        self.end_subscriptions(call.now_ns)
        self.key = None
        return self.status_text(call)

    def status_text(self, call):
        key = "null" if self.key is None else f'"{self.key.key}"'
        since = "null" if self.key is None else call.time(self.authorized_ns)
        return (f'{{"apiKey":{key},"authorizedSince":{since},"connectedSince":{call.time(self.connected_ns)},'
                f'"returnRateLimits":{"true" if self.returns_limits else "false"},"serverTime":{call.time(call.now_ns)},'
                f'"userDataStream":{"true" if self.subscriptions else "false"}}}').encode()

    # ---- user data

    def subscribe(self, call):
        """Subscribe to the user data of the account that is logged on."""
        if self.key is None:
            raise VenueError(-1002, "You are not authorized to execute this request.", 401)
        return self._subscribe(self.key.account)

    def subscribe_signed(self, call):
        return self._subscribe(call.account)

    def _subscribe(self, account):
        if account in self.subscriptions.values():
            raise VenueError(-2035, "User data stream subscription already active for this account.")
        number = self.subscription_number
        self.subscription_number += 1
        self.subscriptions[number] = account
        self.venue.users.subscribe(self, account, number, self.unit_ns)
        return b'{"subscriptionId":%d}' % number

    def unsubscribe(self, call):
        number = call.integer("subscriptionId")
        if number is not None and number not in self.subscriptions:
            raise VenueError(-2036, "User data stream subscription not active.")
        self.end_subscriptions(call.now_ns, number)
        return b"{}"

    def end_subscriptions(self, now_ns, number=None):
        for known in [n for n in self.subscriptions if number in (None, n)]:
            del self.subscriptions[known]
            self.venue.users.detach(self, number=known)
            event = f'{{"e":"eventStreamTerminated","E":{now_ns // self.unit_ns}}}'
            self._send(f'{{"subscriptionId":{known},"event":{event}}}'.encode())

    def list_subscriptions(self, call):
        return ("[" + ",".join([f'{{"subscriptionId":{number}}}' for number in self.subscriptions]) + "]").encode()

    def closed(self):
        if self.subscriptions:
            self.venue.users.detach(self)
            self.subscriptions.clear()


def signed_text(params):
    """What a signature of the WebSocket API is made over: all parameters but itself, in alphabetical order."""
    return "&".join([f"{name}={params[name]}" for name in sorted(params) if name != "signature"]).encode()
