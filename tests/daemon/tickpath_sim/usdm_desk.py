"""A venue of USD-M futures in this process, and desks that trade at it with signed calls, without sockets.

The venue's clock is a number that tests set: nothing depends on how long a test takes.
"""
import hashlib
import hmac
import json
from urllib.parse import urlencode

from tickpath_sim.trading.calls import Call
from tickpath_sim.trading.errors import VenueError
from tickpath_sim.trading.usdm import UsdmVenue, usdm_rates, usdm_specs

START_NS = 1_790_000_000_000_000_000
SECOND_NS, MS_NS = 10**9, 10**6
NAMES = ("desk", "maker", "other")


class TestVenue(UsdmVenue):
    """A UsdmVenue whose clock stands until it is moved."""
    __test__ = False

    def __init__(self, *arguments, **options):
        self.clock_ns = START_NS
        super().__init__(*arguments, **options)

    def now_ns(self):
        return self.clock_ns

    def pass_time(self, seconds):
        """Move the clock on and do what is due."""
        self.clock_ns += int(seconds * SECOND_NS)
        self.tick(self.clock_ns)


class Listener:
    """A session that hears an account's user data."""
    combined = False

    def __init__(self):
        self.connection = self
        self.heard = []

    def send_control(self, data):
        self.heard.append(json.loads(data))

    def take(self, kind=None):
        """What was heard since the last call, of one kind where that is given."""
        heard, self.heard = self.heard, []
        return [message for message in heard if kind in (None, message["e"])]


class Desk:
    """One account."""

    def __init__(self, venue, name):
        self.venue, self.name = venue, name
        self.key = next(key for key in venue.accounts.by_key.values() if key.account.name == name)
        self.account = self.key.account
        self.events = Listener()
        venue.users.attach(self.events, venue.users.listen_key(self.account, venue.now_ns()))

    def call(self, verb, path, **params):
        """The decoded answer of a signed REST call. Errors: VenueError."""
        route = self.venue.rest_routes[verb, path]
        params = {name: value if isinstance(value, str) else json.dumps(value) for name, value in params.items()}
        params["timestamp"] = str(self.venue.now_ns() // MS_NS)
        text = urlencode(params)
        params["signature"] = hmac.new(self.key.secret, text.encode(), hashlib.sha256).hexdigest() \
            if isinstance(self.key.secret, bytes) else hmac.new(self.key.secret.encode(), text.encode(), hashlib.sha256).hexdigest()
        call = Call(self.venue, route, params, self.venue.now_ns())
        return json.loads(call.run(lambda: text.encode(), self.key.key))

    def refused(self, verb, path, **params):
        """The code with which the venue refuses a call."""
        try:
            answer = self.call(verb, path, **params)
        except VenueError as e:
            return e.code
        raise AssertionError(f"expected a refusal, found {answer}")

    def order(self, side, qty, price=None, **more):
        """Place an order: LIMIT GTC with a price, MARKET without."""
        params = {"symbol": "BTCUSDT", "side": side, "quantity": str(qty), "newOrderRespType": "RESULT", **more}
        if price is not None:
            params |= {"price": str(price), "type": params.get("type", "LIMIT")}
            if params["type"] == "LIMIT":
                params.setdefault("timeInForce", "GTC")
        params.setdefault("type", "MARKET")
        if params.get("closePosition") == "true":
            del params["quantity"]
        return self.call("POST", "/fapi/v1/order", **params)

    def position(self, symbol="BTCUSDT", side="BOTH"):
        rows = self.call("GET", "/fapi/v2/positionRisk", symbol=symbol)
        return next(row for row in rows if row["positionSide"] == side)

    def wallet(self):
        return self.call("GET", "/fapi/v2/balance")[0]


def make_venue(balance="100000", **rates):
    rows = [{"name": name, "api_key": name.ljust(64, "k"), "secret": f"secret of {name}", "maker_bps": "2", "taker_bps": "5",
             "balances": {"USDT": balance}} for name in NAMES]
    return TestVenue(usdm_specs(), rows, usdm_rates(**{"weight_per_min": 0, "orders_per_10s": 0, "orders_per_min": 0, **rates}),
                     enforced=bool(rates), publish=True, seed=7)


def make_desks(venue):
    return {name: Desk(venue, name) for name in NAMES}


def make_market(maker, bid="60000", ask="60010", qty="5", levels=3):
    """Orders of the maker on both sides, a step of ten apart."""
    orders = []
    for n in range(levels):
        orders.append(maker.order("BUY", qty, str(int(bid) - 10 * n)))
        orders.append(maker.order("SELL", qty, str(int(ask) + 10 * n)))
    maker.events.take()
    return orders


def conserved(venue):
    """The sum of every wallet, free and locked balance of the margin asset over all accounts, in units."""
    exchange, total = venue.exchange, 0
    numbers = [0, 1, 2, *venue.accounts.by_number]
    for number in numbers:
        free, locked = exchange.balance(number, venue.margin_asset.name)
        total += free + locked + exchange.margin_account(number, venue.margin_asset.index).wallet_units
    return total


__all__ = ["MS_NS", "SECOND_NS", "START_NS", "Desk", "conserved", "make_desks", "make_market", "make_venue"]
