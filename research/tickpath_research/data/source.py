"""A venue's history through ccxt: one call at a time, exact numbers, every answer kept, and patience.

ccxt is told to make numbers with `str`, so that a price stays the text that the venue wrote. A failed call is repeated
with a growing, jittered pause (or the one that the venue asks for) as long as the failure may pass by itself.
"""
import random
import ssl
import time
import urllib.parse

from tickpath_research.data.layout import DataError, UsageError, plain_decimal, time_text
from tickpath_research.data.raw_log import Answer

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 60.0
PAGE_LIMIT = 500                      # where ccxt does not know the venue's own
# Their aggregate trades have consecutive ids, and `fromId` pages through them without a window of time.
# https://developers.binance.com/docs/derivatives/usds-margined-futures/market-data/rest-api/Compressed-Aggregate-Trades-List
# (seen 2026-11-21): limit 1000 at most, less than an hour between startTime and endTime, fromId not together with them.
ID_PAGE_LIMIT = 1000
PAGED_BY_ID = ("binance", "binanceus", "binanceusdm", "binancecoinm")
TEMPORARY_STATUS = (408, 418, 425, 429)


def ccxt_module():
    try:
        import ccxt
    except ImportError:
        raise DataError("expected the ccxt package, found none. Run: pip install 'tickpath[research]'") from None
    return ccxt


def moved(urls, base):
    """ccxt's table of addresses with scheme, host and port (and a path before theirs) of `base`."""
    if isinstance(urls, dict):
        return {key: moved(value, base) for key, value in urls.items()}
    if not isinstance(urls, str) or "://" not in urls:
        return urls
    to, url = urllib.parse.urlsplit(base), urllib.parse.urlsplit(urls)
    return urllib.parse.urlunsplit((to.scheme, to.netloc, to.path.rstrip("/") + url.path, url.query, ""))


def causes(error):
    """An exception and what it was raised from, outermost first."""
    while error is not None:
        yield error
        inner = error.__cause__ or error.__context__ or getattr(error, "reason", None)
        error = inner if isinstance(inner, BaseException) else next((a for a in error.args if isinstance(a, BaseException)), None)


def cause_text(error):
    """The innermost reason of a failed call: 'Connection refused' rather than the three layers around it."""
    *_, seen = causes(error)
    text = getattr(seen, "strerror", None) or str(seen) or type(seen).__name__
    return " ".join(text.split())[:300]


class Source:
    """One exchange.

    Parameters: exchange_id : as ccxt spells it.  symbols : what will be asked for, in ccxt's unified spelling.
                url : base of another server that speaks the same REST, instead of the exchange's own addresses.
                ca_file : PEM file of the certificates to trust instead of the public ones.
                give_up_after_s : how long failures may last without one answer.
                say : called with one line whenever the state (working, network missing, venue failing, told to wait) changes.
    Errors: UsageError (unknown exchange or symbol), DataError (given up, or a failure that will not pass).
    """

    def __init__(self, exchange_id, symbols, *, url=None, ca_file=None, give_up_after_s=600.0, say=lambda line: None,
                 sleep=time.sleep):
        self._ccxt = ccxt_module()
        if exchange_id not in self._ccxt.exchanges:
            raise UsageError(f"--exchange: expected one that ccxt knows (binance, kraken, okx, …), found {exchange_id!r}")
        self.exchange = getattr(self._ccxt, exchange_id)({"enableRateLimit": True})
        self.exchange.number = str
        self.exchange.has["fetchCurrencies"] = False          # of no use here, and at some exchanges a slow call
        self.exchange.on_rest_response = self._on_answer
        if url is not None:
            if urllib.parse.urlsplit(url).scheme not in ("http", "https") or not urllib.parse.urlsplit(url).netloc:
                raise UsageError(f"--url: expected http://host:port or https://host, found {url!r}")
            self.exchange.urls["api"] = moved(self.exchange.urls["api"], url)
        if ca_file is not None:
            if not ca_file.is_file():
                raise UsageError(f"--ca-file: expected a PEM file, found none at {ca_file}")
            # ccxt hands `verify and validateServerSsl` to requests, which takes a path in the place of True.
            self.exchange.validateServerSsl = str(ca_file)
        market_types = self.exchange.options.get("fetchMarkets")
        if isinstance(market_types, dict) and market_types.get("types") == ["spot", "linear", "inverse"]:
            types = {"linear" if ":" in s and not s.split(":")[1].startswith(s.split("/")[0]) else
                     "inverse" if ":" in s else "spot" for s in symbols}
            market_types["types"] = sorted(types)             # one list of markets instead of three
        self.exchange_id, self._say, self._sleep, self._give_up_after_s = exchange_id, say, sleep, give_up_after_s
        self._answers, self._retry_after_s, self._state, self._failing_since_s = [], None, None, None
        self.retry_count = 0
        self.call(self.exchange.load_markets)
        for symbol in symbols:
            if symbol not in self.exchange.markets:
                near = sorted(s for s in self.exchange.markets if symbol.split("/")[0] == s.split("/")[0])[:5]
                raise UsageError(f"--symbol: expected one of {exchange_id}'s {len(self.exchange.markets)}"
                                 f"{', like ' + ', '.join(near) if near else ''}, found {symbol!r}")

    @property
    def is_paged_by_id(self):
        return self.exchange_id in PAGED_BY_ID

    def now_ms(self):
        return self.exchange.milliseconds()

    def page_limit(self, symbol, method):
        usual = ID_PAGE_LIMIT if method == "fetchTrades" and self.is_paged_by_id else PAGE_LIMIT
        return int(self.exchange.feature_value(symbol, method, "limit", usual) or usual)

    def require(self, method, interval=""):
        """Raises UsageError when the exchange cannot be asked for this at all."""
        if self.exchange.has.get(method) is not True:
            raise UsageError(f"--exchange: expected one with {method}, found {self.exchange_id}, which has none")
        if interval and interval not in (self.exchange.timeframes or {}):
            raise UsageError(f"--interval: expected one of {', '.join(self.exchange.timeframes or {})}, found {interval!r}")

    # ---- history
    def candles(self, symbol, interval, from_ms, to_ms, limit):
        """(rows, answers): candles that open in [from_ms, to_ms) as the venue answers, which may be more or fewer."""
        raw = self.call(lambda: self.exchange.fetch_ohlcv(symbol, interval, since=from_ms, limit=limit,
                                                          params={} if to_ms is None else {"until": to_ms - 1}))
        return [candle_row(self.exchange_id, symbol, row) for row in raw], self.take_answers()

    def trades(self, symbol, from_ms, to_ms, limit):
        """(rows, answers): trades of [from_ms, to_ms), oldest first, which may be more or fewer."""
        raw = self.call(lambda: self.exchange.fetch_trades(symbol, since=from_ms, limit=limit, params={"until": to_ms - 1}))
        return trade_rows(self.exchange_id, symbol, raw), self.take_answers()

    def trades_from_id(self, symbol, trade_id, limit):
        """(rows, answers): trades with this id and later; only where is_paged_by_id."""
        raw = self.call(lambda: self.exchange.fetch_trades(symbol, limit=limit, params={"fromId": trade_id}))
        return trade_rows(self.exchange_id, symbol, raw), self.take_answers()

    # ---- one call, as often as it takes
    def _on_answer(self, status, reason, url, method, headers, body, request_headers, request_body):
        self._retry_after_s = None
        try:
            self._retry_after_s = float(headers.get("Retry-After", ""))
        except ValueError:
            pass
        self._answers.append(Answer(url=url, status=status, received_ns=time.time_ns(), body=body))
        body = body.strip()
        if status == 200 and body[:1] not in ("{", "["):
            # ccxt would take a page of a captive portal for an empty answer, that is, for an outage.
            raise self._ccxt.BadResponse(f"{url}: expected JSON, found {body[:60]!r}")
        return body

    def take_answers(self):
        answers, self._answers = self._answers, []
        return answers

    def call(self, request):
        ccxt, attempt = self._ccxt, 0
        while True:
            self._answers, self._retry_after_s = [], None
            try:
                result = request()
            except ccxt.BadSymbol as e:
                raise UsageError(f"{self.exchange_id}: {e}") from None
            except ccxt.OperationFailed as e:
                state, text = self._failure(e)
            except ccxt.BaseError as e:
                raise DataError(f"{self.exchange_id}: expected an answer, found {type(e).__name__}: "
                                f"{cause_text(e) if e.__cause__ else str(e)[:300]}") from None
            else:
                self._note("working", "")
                return result
            self.retry_count += 1
            pause_s = min(FIRST_PAUSE_S * 2 ** min(attempt, 16), LONGEST_PAUSE_S) * random.uniform(0.5, 1.0)
            pause_s = max(pause_s, self._retry_after_s or 0.0)
            attempt += 1
            now_s = time.monotonic()
            self._failing_since_s = self._failing_since_s or now_s
            if now_s + pause_s - self._failing_since_s > self._give_up_after_s:
                raise DataError(f"{self.exchange_id}: expected an answer within {self._give_up_after_s:g} s, found {text}"
                                f"{f', and to wait {pause_s:g} s' if self._retry_after_s else ''}; what came before is "
                                "stored, the same command goes on from there") from None
            self._note(state, f"{text}; trying again"
                              f"{f' in {pause_s:g} s, as it asks' if self._retry_after_s else ' with growing pauses'}")
            self._sleep(pause_s)

    def _failure(self, error):
        """(state, text) of a failure that may pass; raises DataError for one that will not."""
        ccxt = self._ccxt
        status = self._answers[-1].status if self._answers else None
        if any(isinstance(e, ssl.SSLCertVerificationError) for e in causes(error)):
            raise DataError(f"{self.exchange_id}: expected a certificate to trust, found {cause_text(error)}; see --ca-file")
        if status is None:
            return "network missing", f"no network: {cause_text(error)}"
        if 400 <= status < 500 and status not in TEMPORARY_STATUS:
            raise DataError(f"{self.exchange_id}: expected an answer, found HTTP {status}: {self._answers[-1].body[:200]}")
        if status in (418, 429) or isinstance(error, ccxt.DDoSProtection | ccxt.RateLimitExceeded):
            return "told to wait", f"HTTP {status}: too many requests"
        return "venue failing", f"HTTP {status}: {cause_text(error) if status == 200 else self._answers[-1].body[:100]!r}"

    def _note(self, state, text):
        if state == self._state:
            if state == "working":
                self._failing_since_s = None
            return
        if state == "working":
            if self._state is not None:
                self._say(f"{self.exchange_id}: answers again after "
                          f"{time.monotonic() - (self._failing_since_s or time.monotonic()):.1f} s")
            self._failing_since_s = None
        else:
            self._say(f"{self.exchange_id}: {text}")
        self._state = state


# ---- rows, exact
def number_text(exchange_id, symbol, what, value):
    try:
        return plain_decimal(str(value))
    except ValueError:
        raise DataError(f"{exchange_id} {symbol}: {what}: expected a number, found {value!r}") from None


def candle_row(exchange_id, symbol, row):
    opened_ms = int(row[0])
    return [opened_ms, *(number_text(exchange_id, symbol, f"candle of {time_text(opened_ms)}", v) for v in row[1:6])]


def trade_rows(exchange_id, symbol, trades):
    rows = []
    for trade in trades:
        if not trade["id"]:
            raise DataError(f"{exchange_id} {symbol}: expected trades with ids, found one without at "
                            f"{time_text(trade['timestamp'])}: they cannot be told apart")
        what = f"trade {trade['id']}"
        rows.append([int(trade["timestamp"]), str(trade["id"]), trade["side"] or "",
                     number_text(exchange_id, symbol, what, trade["price"]),
                     number_text(exchange_id, symbol, what, trade["amount"])])
    # ccxt sorts ids of one millisecond as text, which puts 1000 before 999.
    rows.sort(key=trade_order)
    return rows


def trade_order(row):
    return (row[0], int(row[1]), "") if row[1].isdecimal() else (row[0], 0, row[1])
