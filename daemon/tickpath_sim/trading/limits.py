"""The venue's limits: request weight and raw requests of an address, orders of an account, and the ban of who goes on.

Fixed windows on the venue's clock, beginning at whole minutes, as the venue counts.
Above a limit 429; who sends on while limited is banned with 418.
Source: github.com/binance/binance-spot-api-docs rest-api.md "LIMITS", seen 2026-11-22.
"""
from typing import NamedTuple

from tickpath_sim.trading.errors import VenueError

__all__ = ["Limits", "OrderCount", "Rate"]

SECOND_NS = 1_000_000_000
UNIT_NS = {"SECOND": SECOND_NS, "MINUTE": 60 * SECOND_NS, "HOUR": 3600 * SECOND_NS, "DAY": 86_400 * SECOND_NS}
UNIT_LETTER = {"SECOND": "S", "MINUTE": "M", "HOUR": "H", "DAY": "D"}
BAN_AFTER = 50                              # refused requests within a window
BAN_S = 120


class Rate(NamedTuple):
    """One limit: at most `limit` within each `number` units."""
    kind: str                               # REQUEST_WEIGHT RAW_REQUESTS ORDERS
    number: int
    unit: str
    limit: int

    @property
    def window_ns(self):
        return self.number * UNIT_NS[self.unit]

    @property
    def suffix(self):
        return f"{self.number}{UNIT_LETTER[self.unit]}"

    def info(self):
        return {"rateLimitType": self.kind, "interval": self.unit, "intervalNum": self.number, "limit": self.limit}

    def json_head(self):
        return (f'{{"rateLimitType":"{self.kind}","interval":"{self.unit}","intervalNum":{self.number},'
                f'"limit":{self.limit},"count":')


class Window:
    """A counter of one fixed window."""
    __slots__ = ("rate", "limit", "window_ns", "end_ns", "used", "head", "name")

    def __init__(self, rate):
        self.rate, self.limit, self.window_ns = rate, rate.limit, rate.window_ns
        self.end_ns = self.used = 0
        self.head = rate.json_head()

    def add(self, amount, now_ns):
        if now_ns >= self.end_ns:
            self.end_ns = now_ns - now_ns % self.window_ns + self.window_ns
            self.used = 0
        self.used += amount
        return self.used

    def count(self, now_ns):
        return 0 if now_ns >= self.end_ns else self.used

    def wait_s(self, now_ns):
        return max(1, -(-(self.end_ns - now_ns) // SECOND_NS))


class OrderCount:
    """The order limits of one account."""
    __slots__ = ("windows",)

    def __init__(self, rates):
        self.windows = [Window(rate) for rate in rates]

    def take(self, orders, now_ns):
        """Count new orders. Errors: VenueError -1015 with 429."""
        for window in self.windows:
            if window.add(orders, now_ns) > window.limit:
                window.used -= orders
                rate = window.rate
                wait = (("Retry-After", str(window.wait_s(now_ns))),)
                text = f"Too many new orders; current limit is {rate.limit} orders per {rate.number} {rate.unit}."
                raise VenueError(-1015, text, 429, headers=wait)

    def give_back(self, now_ns):
        """A filled order counts no more: the venue's relief for who trades."""
        for window in self.windows:
            if window.used and now_ns < window.end_ns:
                window.used -= 1

    def headers(self, now_ns):
        return tuple((f"X-MBX-ORDER-COUNT-{w.rate.suffix}", str(w.count(now_ns))) for w in self.windows)

    def rows(self, now_ns):
        return [{**w.rate.info(), "count": w.count(now_ns)} for w in self.windows]

    def json(self, now_ns):
        """The rows as JSON, without brackets."""
        return ",".join([f"{w.head}{w.count(now_ns)}}}" for w in self.windows])


class Limits:
    """The limits of the one address that there is on loopback.

    Parameters: rates : Rates of the venue.  enforced : false counts without refusing.
    """

    def __init__(self, rates, enforced=True):
        self.rates, self.enforced = list(rates), enforced
        self.weight = next(Window(rate) for rate in rates if rate.kind == "REQUEST_WEIGHT")
        self.raw = next((Window(rate) for rate in rates if rate.kind == "RAW_REQUESTS"), None)
        self.order_rates = [rate for rate in rates if rate.kind == "ORDERS"]
        self.refused = self.limited = self.bans = 0
        self.banned_until_ns = 0

    def order_count(self):
        return OrderCount(self.order_rates)

    def take(self, weight, now_ns):
        """Count a request before it is answered. Errors: VenueError -1003 with 429, or 418 during a ban."""
        if self.banned_until_ns:
            if now_ns < self.banned_until_ns:
                self.limited += 1
                raise self._banned(now_ns)
            self.banned_until_ns = 0
        window = self.weight
        if now_ns >= window.end_ns:
            self.refused = 0
        raw = self.raw
        used = window.add(weight, now_ns)
        if raw is not None and raw.add(1, now_ns) > raw.limit and self.enforced:
            self._refuse(now_ns)
            raise VenueError(-1003, f"Too many requests; current limit is {raw.limit} requests per {raw.rate.number} "
                                    f"{raw.rate.unit}.", 429, headers=(("Retry-After", str(raw.wait_s(now_ns))),))
        if used > window.limit and self.enforced:
            window.used -= weight
            self._refuse(now_ns)
            raise VenueError(
                -1003, f"Too much request weight used; current limit is {window.limit} request weight per 1 MINUTE. "
                       "Please use WebSocket Streams for live updates to avoid polling the API.",
                429, headers=(("Retry-After", str(window.wait_s(now_ns))),))

    def _refuse(self, now_ns):
        self.refused += 1
        self.limited += 1
        if self.refused > BAN_AFTER:
            self.ban(now_ns, BAN_S)
            raise self._banned(now_ns)

    def ban(self, now_ns, seconds):
        """Refuse everything from now on, for so long."""
        self.bans += 1
        self.banned_until_ns = now_ns + seconds * SECOND_NS

    def _banned(self, now_ns):
        wait_s = -(-(self.banned_until_ns - now_ns) // SECOND_NS)
        return VenueError(-1003, f"Way too much request weight used; IP banned until {self.banned_until_ns // 1_000_000}. "
                                 "Please use WebSocket Streams for live updates to avoid bans.",
                          418, headers=(("Retry-After", str(wait_s)),))

    def headers(self, now_ns):
        used = str(self.weight.count(now_ns))
        return (("X-MBX-USED-WEIGHT", used), (f"X-MBX-USED-WEIGHT-{self.weight.rate.suffix}", used))

    def info(self):
        """The rateLimits of exchangeInfo."""
        return [rate.info() for rate in self.rates]

    def json(self, now_ns):
        """The weight's row as JSON."""
        return f"{self.weight.head}{self.weight.count(now_ns)}}}"
