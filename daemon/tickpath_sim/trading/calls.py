"""One request, whatever it came by: its parameters as text, who sent it, and the checks that all requests share.

REST and the WebSocket API serve the same handlers: `handler(call) -> bytes` of the JSON result.
"""
from tickpath_sim.trading import errors
from tickpath_sim.trading.auth import check_format, check_time
from tickpath_sim.trading.errors import VenueError

__all__ = ["KEY", "NONE", "READ", "TRADE", "Call", "Route", "STREAM"]

# What a request must show: nothing, an API key, an API key for user data, a signature.
NONE, KEY, STREAM, READ, TRADE = 0, 1, 2, 3, 4
SIGNING = frozenset({"timestamp", "recvWindow", "signature", "apiKey", "returnRateLimits"})
MILLISECOND, MICROSECOND = 1_000_000, 1000


class Route:
    """One endpoint.

    Parameters: operation : the WebSocket API's name of it, also for REST.  handler : Call -> bytes.  weight : or Call -> weight.
                security : NONE KEY STREAM READ TRADE.  parameters : names that it reads.  orders : new orders that it counts as.
    """
    __slots__ = ("operation", "handler", "weight", "security", "parameters", "allowed", "orders")

    def __init__(self, operation, handler, weight=1, security=NONE, parameters=(), orders=0):
        self.operation, self.handler, self.weight, self.security, self.orders = operation, handler, weight, security, orders
        self.parameters = frozenset(parameters)
        self.allowed = self.parameters | SIGNING


class Call:
    """Parameters: params : {name: text}.  unit_ns : of the times in the answer.  session : of the WebSocket API, or None."""
    __slots__ = ("venue", "route", "params", "account", "key", "now_ns", "unit_ns", "session", "weight", "faults")

    def __init__(self, venue, route, params, now_ns, unit_ns=MILLISECOND, session=None):
        self.venue, self.route, self.params, self.now_ns, self.unit_ns = venue, route, params, now_ns, unit_ns
        self.session = session
        self.account = self.key = self.faults = None
        self.weight = 0

    # ---- the gate

    def run(self, payload=None, key_text=None, key=None):
        """Check the request and answer it.

        Parameters: payload : () -> bytes that were signed.  key_text : the API key as sent, or None.  key : ApiKey of a session
                    that is logged on: no signature is needed.
        Errors: VenueError.
        """
        route, params = self.route, self.params
        weight = route.weight
        if weight.__class__ is not int:
            weight = weight(self)
        self.weight = weight
        self.venue.limits.take(weight, self.now_ns)
        security = route.security
        if security:
            self._identify(security, payload, key_text, key)
        if not params.keys() <= route.allowed:
            self._unread()
        if "" in params.values():
            raise errors.empty(next(name for name, value in params.items() if value == ""))
        return route.handler(self)

    def _identify(self, security, payload, key_text, key):
        params = self.params
        if key is None or key_text is not None:
            if key_text is None and self.session is not None:
                raise errors.mandatory("apiKey")
            check_format(key_text)
            key = self.venue.accounts.by_key.get(key_text)
            if key is None:
                raise VenueError(-2015, "Invalid API-key, IP, or permissions for action.", 401)
            if security >= READ:
                signature, timestamp = params.get("signature"), params.get("timestamp")
                if not timestamp:
                    raise errors.mandatory("timestamp")
                if not signature:
                    raise errors.mandatory("signature")
                check_time(timestamp, params.get("recvWindow"), self.now_ns)
                if not key.verify(payload(), signature):
                    raise VenueError(-1022, "Signature for this request is not valid.")
        elif security >= READ:
            timestamp = params.get("timestamp")
            if not timestamp:
                raise errors.mandatory("timestamp")
            check_time(timestamp, params.get("recvWindow"), self.now_ns)
        if security == TRADE and "TRADE" not in key.permissions or security == READ and "READ" not in key.permissions \
                or security == STREAM and "USER_STREAM" not in key.permissions:
            raise VenueError(-2015, "Invalid API-key, IP, or permissions for action.", 401)
        self.key, self.account = key, key.account

    def _unread(self):
        sent = len(self.params)
        read = len(self.params.keys() & self.route.allowed)
        if not self.route.parameters and self.route.security < READ:
            raise VenueError(-1101, f"Too many parameters; expected '0' and received '{sent}'.")
        raise VenueError(-1104, f"Not all sent parameters were read; read '{read}' parameter(s) but was sent '{sent}'.")

    # ---- parameters

    def text(self, name):
        """A mandatory parameter. Errors: VenueError -1102."""
        value = self.params.get(name)
        if value is None:
            raise errors.mandatory(name)
        return value

    def symbol(self):
        """The Symbol that `symbol` names. Errors: VenueError -1102, -1100, -1121."""
        name = self.params.get("symbol")
        if name is None:
            raise errors.mandatory("symbol")
        symbol = self.venue.symbols.get(name)
        if symbol is None:
            raise self.venue.bad_symbol(name)
        return symbol

    def optional_symbol(self):
        return self.symbol() if "symbol" in self.params else None

    def integer(self, name, default=None, least=0, most=(1 << 63) - 1):
        """An optional integer. Errors: VenueError -1100, -1130."""
        value = self.params.get(name)
        if value is None:
            return default
        if not value.isascii() or not value.isdecimal() or len(value) > 20:
            raise errors.illegal_chars(name, "^[0-9]{1,20}$")
        value = int(value)
        if not least <= value <= most:
            raise errors.overflowed(name) if value > (1 << 63) - 1 else errors.invalid(name)
        return value

    def choice(self, name, choices, default=None):
        value = self.params.get(name)
        if value is None:
            return default
        if value not in choices:
            raise errors.invalid(name)
        return value

    def boolean(self, name, default=False):
        value = self.params.get(name)
        if value is None:
            return default
        if value not in ("true", "false", "TRUE", "FALSE"):
            raise errors.invalid(name)
        return value in ("true", "TRUE")

    def time(self, ns):
        """A time in the unit that the client asked for."""
        return ns // self.unit_ns

    def instant_ns(self, name):
        """A time parameter in milliseconds or microseconds, in nanoseconds; None when it was not sent."""
        value = self.integer(name)
        return None if value is None else value * (MICROSECOND if value >= 10**15 else MILLISECOND)
