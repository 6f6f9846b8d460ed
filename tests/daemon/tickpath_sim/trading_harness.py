"""Servers that trade, and clients that sign: REST with the standard library, the WebSocket API on a bare socket."""
import base64
import hashlib
import hmac
import http.client
import json
import time
from urllib.parse import urlencode, urlsplit

from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sim_harness import SECONDS, RawClient, Sim

ALICE, BOB, CAROL, DAVE = (name.ljust(64, "x") for name in ("alice", "bob", "carol", "dave"))
ED_SEED, RSA_BITS = bytes(range(32)), 2048


class Keys:
    """The keys of the accounts file: alice and bob sign with HMAC, carol with Ed25519, dave with RSA."""
    secrets = {ALICE: "alice-secret", BOB: "bob-secret"}
    ed = ed25519.Ed25519PrivateKey.from_private_bytes(ED_SEED)
    rsa = None

    @classmethod
    def accounts(cls):
        cls.rsa = cls.rsa or rsa.generate_private_key(65537, RSA_BITS)
        raw = base64.b64encode(cls.ed.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
        pem = cls.rsa.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        keys = {"alice": f'secret = "{cls.secrets[ALICE]}"', "bob": f'secret = "{cls.secrets[BOB]}"',
                "carol": f'public_key = "{raw}"', "dave": f"public_key = '''{pem}'''"}
        text = "".join(f'[[account]]\nname = "{name}"\napi_key = "{name.ljust(64, "x")}"\n{line}\n'
                       '[account.balances]\nUSDT = "1000000"\nBTC = "100"\nETH = "1000"\n' for name, line in keys.items())
        return text + ('[[account]]\nname = "reader"\napi_key = "readerreader"\nsecret = "reader"\npermissions = ["READ"]\n'
                       '[[account]]\nname = "poor"\napi_key = "poorpoor"\nsecret = "poor"\n'
                       '[[account]]\nname = "bnb"\napi_key = "bnbbnbbnb"\nsecret = "bnb"\nfee_asset = "BNB"\n'
                       '[account.balances]\nUSDT = "100000"\nBNB = "10"\n')

    @classmethod
    def sign(cls, api_key, text):
        if api_key == CAROL:
            return base64.b64encode(cls.ed.sign(text.encode())).decode()
        if api_key == DAVE:
            return base64.b64encode(cls.rsa.sign(text.encode(), padding.PKCS1v15(), SHA256())).decode()
        secret = cls.secrets.get(api_key, {"readerreader": "reader", "poorpoor": "poor", "bnbbnbbnb": "bnb"}.get(api_key, "?"))
        return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def now_ms():
    return time.time_ns() // 1_000_000


class TradingSim(Sim):
    """A server whose market is made by its clients; `options` as those of the command."""

    def __init__(self, directory, *options, faults=True):
        accounts = directory / "accounts.toml"
        accounts.write_text(Keys.accounts())
        self.command_options = ("--accounts", accounts, *options)
        super().__init__(None, *self.command_options, faults=faults)

    def rest(self, api_key=None, **options):
        return Rest(self.addresses["rest_url"], api_key, **options)

    def api(self, api_key=None, query=""):
        return Api(self, api_key, query)


class Refused(Exception):
    """An answer that is an error."""

    def __init__(self, status, body, headers=None):
        super().__init__(status, body)
        self.status, self.body, self.headers = status, body, headers or {}
        self.code = body["error"]["code"] if "error" in body else body.get("code")
        self.msg = body["error"]["msg"] if "error" in body else body.get("msg")


class Rest:
    """REST over one connection that is kept. `headers` of the last answer."""

    def __init__(self, url, api_key=None):
        parts = urlsplit(url)
        self.api_key = api_key
        self.connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=SECONDS)
        self.headers = {}

    def raw(self, method, target, body=None, headers=()):
        """(status, decoded body)."""
        given = dict(headers)
        if self.api_key is not None:
            given.setdefault("X-MBX-APIKEY", self.api_key)
        if body is not None:
            given.setdefault("Content-Type", "application/x-www-form-urlencoded")
        self.connection.request(method, target, body, given)
        reply = self.connection.getresponse()
        text = reply.read()
        self.headers = dict(reply.getheaders())
        return reply.status, json.loads(text)

    def ask(self, method, path, **params):
        """The decoded result of an unsigned request. Errors: Refused."""
        status, body = self.raw(method, path + ("?" + urlencode(params) if params else ""))
        if status != 200:
            raise Refused(status, body, self.headers)
        return body

    def signed(self, method, path, *, in_body=False, **params):
        """The decoded result of a signed request. Errors: Refused."""
        params.setdefault("timestamp", now_ms())
        text = urlencode(params)
        text += "&" + urlencode({"signature": Keys.sign(self.api_key, text)})
        status, body = self.raw(method, path if in_body else f"{path}?{text}", text if in_body else None)
        if status != 200:
            raise Refused(status, body, self.headers)
        return body

    def order(self, side, quantity, price=None, symbol="BTCUSDT", type=None, **more):
        """Place an order: a limit order when there is a price, else a market order."""
        params = {"symbol": symbol, "side": side, "type": type or ("LIMIT" if price else "MARKET"), "quantity": quantity}
        if price:
            params["price"] = price
        if params["type"] == "LIMIT":
            params["timeInForce"] = more.pop("timeInForce", "GTC")
        return self.signed("POST", "/api/v3/order", **params, **more)

    def balance(self, asset):
        rows = {row["asset"]: row for row in self.signed("GET", "/api/v3/account")["balances"]}
        return rows[asset]["free"], rows[asset]["locked"]

    def clear(self, symbol="BTCUSDT"):
        for row in self.signed("GET", "/api/v3/openOrders", symbol=symbol):
            self.signed("DELETE", "/api/v3/order", symbol=symbol, orderId=row["orderId"])


class Api:
    """One connection to the WebSocket API. `events`: what came that was no answer."""

    def __init__(self, sim, api_key=None, query=""):
        self.api_key, self.events, self.number = api_key, [], 0
        self.client = RawClient(sim.addresses["ws_url"], "/ws-api/v3" + query)
        sim.clients.append(self.client)

    def send(self, method, params=None, number=None):
        self.number += 1
        self.client.send({"id": self.number if number is None else number, "method": method, "params": params or {}})
        return self.number if number is None else number

    def answer(self, number):
        """The whole answer to a request; events that come before it are kept."""
        while True:
            message = self.client.message()
            if message.get("id") == number and "status" in message:
                return message
            self.events.append(message)

    def ask(self, method, **params):
        """The result of an unsigned request, or of one on a session that is logged on. Errors: Refused."""
        message = self.answer(self.send(method, params))
        if message["status"] != 200:
            raise Refused(message["status"], message)
        return message["result"]

    def signed(self, method, **params):
        return self.ask(method, **self.sign(params))

    def sign(self, params):
        params = {"apiKey": self.api_key, "timestamp": now_ms(), **params}
        text = "&".join(f"{name}={params[name]}" for name in sorted(params))
        return {**params, "signature": Keys.sign(self.api_key, text)}

    def event(self, kind, seconds=SECONDS):
        """The next event of a kind, without its wrapping."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            message = self.events.pop(0) if self.events else self.client.message(max(0.05, end - time.monotonic()))
            found = message.get("event", message)
            if found.get("e") == kind:
                return found
        raise AssertionError(f"expected {kind} within {seconds} s")

    def order(self, side, quantity, price=None, symbol="BTCUSDT", type=None, method="order.place", **more):
        params = {"symbol": symbol, "side": side, "type": type or ("LIMIT" if price else "MARKET"), "quantity": quantity, **more}
        if price:
            params["price"] = price
        if params["type"] == "LIMIT":
            params.setdefault("timeInForce", "GTC")
        return self.signed(method, **params)
