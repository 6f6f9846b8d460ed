"""ccxt's exchange objects, made so that numbers stay exact and every request's beginning is known. Imported by workers only.

ccxt works with doubles. Here each number is a double that still has the text it was made of (TextFloat), through ccxt's two doors
`number` and `safe_float`; and bare numbers of REST answers are read as text, as ccxt itself does in JavaScript. A number that
ccxt made in another way is taken by its shortest text if that has at most 15 digits, which every such double holds exactly,
and refused otherwise.
"""
import contextvars
import difflib
import importlib.util
import json
import ssl
import time
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

__all__ = ["CcxtError", "InexactNumber", "TextFloat", "check_ccxt_id", "make_exchange", "market_dict", "number_text",
           "request_began_ns"]

EXACT_DIGITS = 15                 # of decimal text that a double gives back unchanged (DBL_DIG, C11 5.2.4.2.2)
# What fetchMarkets.types of an exchange's options calls the kinds of instruments (ccxt 4.5.90: binance, bybit, okx, …).
TYPE_WORDS = {"spot": {"spot"}, "linear": {"linear", "swap", "future"}, "inverse": {"inverse", "swap", "future"},
              "option": {"option"}}

_began_ns = contextvars.ContextVar("began_ns", default=0)


class CcxtError(Exception):
    """ccxt cannot be used as configured; the text is one line for the operator."""


class InexactNumber(ValueError):
    """A number whose text is lost."""


class TextFloat(float):
    """A double with the text that it was made of, or None where that is lost."""
    __slots__ = ("text",)

    def __new__(cls, value):
        self = super().__new__(cls, value)
        self.text = value if type(value) is str else getattr(value, "text", None)
        return self

    def __str__(self):
        return float.__repr__(self) if self.text is None else self.text


def number_text(value):
    """The exact decimal text of a number from ccxt. Errors: InexactNumber; TypeError for what is no number."""
    text = value if type(value) is str else getattr(value, "text", None)
    if text is not None:
        return text
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"number: expected one, found {value!r}")
    text = repr(value) if isinstance(value, int) else float.__repr__(value)
    if isinstance(value, float) and sum(c.isdigit() for c in text.partition("e")[0].strip("-0.")) > EXACT_DIGITS:
        raise InexactNumber(f"number: expected one of at most {EXACT_DIGITS} digits where its text is lost, found {text}")
    return text


def request_began_ns(otherwise):
    """When the last request of this task left (monotonic, ns); `otherwise` when it made none."""
    return _began_ns.get() or otherwise


class _Exact:
    """Mixed in front of an exchange's class."""

    @staticmethod
    def safe_float(dictionary, key, default_value=None):
        try:
            return TextFloat(dictionary[key])
        except (LookupError, TypeError, ValueError):
            return default_value

    @staticmethod
    def safe_float_2(dictionary, key1, key2, default_value=None):
        return _Exact.safe_float(dictionary, key1, _Exact.safe_float(dictionary, key2, default_value))

    @staticmethod
    def safe_float_n(dictionary, key_list, default_value=None):
        return next((found for key in key_list if (found := _Exact.safe_float(dictionary, key)) is not None), default_value)

    # ccxt asks for `type(value) is float`, which a TextFloat is not.
    @staticmethod
    def safe_string(dictionary, key, default_value=None):
        try:
            value = dictionary[key]
        except (LookupError, TypeError):
            return default_value
        if type(value) in (float, int, TextFloat):
            return str(value)
        return value if type(value) is str and value else default_value

    @staticmethod
    def safe_string_2(dictionary, key1, key2, default_value=None):
        return _Exact.safe_string(dictionary, key1, _Exact.safe_string(dictionary, key2, default_value))

    @staticmethod
    def safe_string_n(dictionary, key_list, default_value=None):
        return next((found for key in key_list if (found := _Exact.safe_string(dictionary, key)) is not None), default_value)

    def on_json_response(self, response_body):
        return json.loads(response_body, parse_float=str)

    async def fetch(self, url, method="GET", headers=None, body=None):
        # Here the wait for the rate limiter is over.
        _began_ns.set(time.monotonic_ns())
        return await super().fetch(url, method, headers, body)


# ---- which exchanges there are, without importing ccxt (which takes most of a second)

def check_ccxt_id(ccxt_id):
    """Raise CcxtError unless ccxt is installed and has an exchange of this id."""
    spec = importlib.util.find_spec("ccxt")
    if spec is None or not spec.submodule_search_locations:
        raise CcxtError("expected ccxt, found none. Run: pip install 'tickpath[ccxt]'")
    known = {p.stem for p in Path(spec.submodule_search_locations[0], "async_support").glob("[a-z]*.py")}
    if ccxt_id not in known:
        near = difflib.get_close_matches(ccxt_id, sorted(known), 5, 0.5)
        such_as = f", such as {', '.join(near)}" if near else ""
        raise CcxtError(f"expected an exchange that ccxt knows{such_as}, found {ccxt_id!r}")


# ---- making one

def make_exchange(ccxt_id, *, ws_url="", rest_url="", ca_file="", options=None, symbols=(), timeout_s=10.0):
    """An exchange of ccxt.pro where it has one, else of ccxt.async_support, with its own rate limiter on and no key.

    Parameters: ws_url, rest_url : other servers than its own: their host takes the place of every host that ccxt has, the paths
                stay.  ca_file : a further trust anchor.  options : entries of ccxt's `options`.
                symbols : unified; only markets of their kinds are loaded, where the exchange lets choose.
    Errors:     CcxtError.
    """
    check_ccxt_id(ccxt_id)
    import ccxt.async_support
    import ccxt.pro
    module = ccxt.pro if ccxt_id in ccxt.pro.exchanges else ccxt.async_support
    made = type(ccxt_id, (_Exact, getattr(module, ccxt_id)), {})(
        {"enableRateLimit": True, "timeout": int(timeout_s * 1000), "options": options or {}})
    made.number = TextFloat
    made.has["fetchCurrencies"] = False               # of some exchanges a private request, and nothing here needs it
    fetch_markets = made.options.get("fetchMarkets")
    if isinstance(fetch_markets, dict) and "fetchMarkets" not in (options or {}) and symbols:
        wanted = set().union(*(TYPE_WORDS[_kind_word(symbol)] for symbol in symbols))
        fetch_markets["types"] = [kind for kind in fetch_markets.get("types", ()) if kind in wanted] or fetch_markets.get("types")
    made.urls["api"] = _moved(made.urls["api"], {"ws": ws_url, "wss": ws_url, "http": rest_url, "https": rest_url})
    if ca_file:
        made.ssl_context = ssl.create_default_context()
        made.ssl_context.load_verify_locations(ca_file)
    return made


def _kind_word(symbol):
    pair, _, contract = symbol.partition(":")
    if not contract:
        return "spot"
    if symbol.endswith(("-C", "-P")):
        return "option"
    return "linear" if contract.partition("-")[0] == pair.partition("/")[2] else "inverse"


def _moved(urls, servers):
    if isinstance(urls, dict):
        return {key: _moved(value, servers) for key, value in urls.items()}
    if not isinstance(urls, str):
        return urls
    scheme = urls.partition("://")[0]
    if not servers.get(scheme):
        return urls
    server = urlsplit(servers[scheme])
    path = urlsplit(urls).path
    return urlunsplit((server.scheme, server.netloc, server.path.rstrip("/") + path, urlsplit(urls).query, ""))


# ---- what a market says, as plain data

def market_dict(exchange, market):
    """One entry of `exchange.markets` as JSON can hold it, numbers as text: what instruments/ccxt_markets.py reads."""
    precision, limits = market.get("precision") or {}, market.get("limits") or {}

    def limit(what):
        found = limits.get(what) or {}
        return {key: _text(found.get(key)) for key in ("min", "max")}
    return {**{key: market.get(key) for key in ("id", "symbol", "base", "quote", "settle", "type", "linear", "inverse", "active",
                                                 "expiry", "optionType")},
            "strike": _text(market.get("strike")), "contractSize": _text(market.get("contractSize")),
            "precisionMode": exchange.precisionMode, "precision": {key: _text(precision.get(key)) for key in
                                                                   ("price", "amount", "base")},
            "limits": {"amount": limit("amount"), "cost": limit("cost")}}


def _text(value):
    return None if value is None else number_text(value)
