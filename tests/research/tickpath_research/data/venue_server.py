"""Binance's spot REST over recorded data, on loopback: what the real ccxt client is judged against.

Serves /api/v3/exchangeInfo, klines and aggTrades with the venue's parameters (startTime and endTime inclusive, limit 500 up
to 1000, fromId not together with times) and its error bodies. It can be told to fail: see `VenueServer.faults`. As a program
it serves until it is killed: python venue_server.py --port 0 --candles BTCUSDT,BTC,USDT,1m,FILE.feather …
"""
import argparse
import bisect
import collections
import gzip
import json
import socketserver
import ssl
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler

INTERVAL_MS = {"1m": 60_000, "5m": 300_000, "1h": 3_600_000}


class Market:
    """One symbol. candles: {interval: sorted list of [open_ms, open, high, low, close, volume] as text}; trades: aggTrades."""

    def __init__(self, market_id, base, quote):
        self.market_id, self.base, self.quote = market_id, base, quote
        self.candles, self.trades = {}, []

    def info(self):
        return {"symbol": self.market_id, "status": "TRADING", "baseAsset": self.base, "baseAssetPrecision": 8,
                "quoteAsset": self.quote, "quotePrecision": 8, "quoteAssetPrecision": 8, "isSpotTradingAllowed": True,
                "isMarginTradingAllowed": False, "orderTypes": ["LIMIT", "MARKET"], "permissions": ["SPOT"],
                "permissionSets": [["SPOT"]],
                "filters": [{"filterType": "PRICE_FILTER", "minPrice": "0.00000001", "maxPrice": "1000000.00000000",
                             "tickSize": "0.00000001"},
                            {"filterType": "LOT_SIZE", "minQty": "0.00000001", "maxQty": "9000.00000000",
                             "stepSize": "0.00000001"},
                            {"filterType": "NOTIONAL", "minNotional": "0.00010000", "applyMinToMarket": True}]}


def feather_candles(path):
    """Recorded candles in the venue's text: eight decimal places, which the recorded floats stand for exactly."""
    import pyarrow.feather
    table = pyarrow.feather.read_table(path)
    opened_ms = table.column("date").cast("int64").to_pylist()
    columns = [[f"{v:.8f}" for v in table.column(n).to_pylist()] for n in ("open", "high", "low", "close", "volume")]
    return [[t // 1_000_000, *values] for t, *values in zip(opened_ms, *columns, strict=True)]


def recorded_agg_trades(path):
    with gzip.open(path) as f:
        return [trade["info"] for trade in json.load(f)]


def captured_trades(*paths):
    """The trade frames of captures as aggregate trades of one trade each."""
    result = []
    for path in paths:
        with gzip.open(path, "rt") as f:
            for line in f:
                if '"e":"trade"' in line:
                    t = json.loads(line.split(" ", 1)[1])["data"]
                    result.append({"a": t["t"], "p": t["p"], "q": t["q"], "f": t["t"], "l": t["t"], "T": t["T"], "m": t["m"],
                                   "M": True})
    return result


class Refusal(Exception):
    def __init__(self, status, code, text):
        self.status, self.body = status, {"code": code, "msg": text}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        venue = self.server.venue
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        with venue.lock:
            venue.requests.append((url.path, query))
            fault = None
            if url.path != "/api/v3/exchangeInfo" and venue.faults:
                fault = venue.faults.popleft()
            answer_no = sum(path != "/api/v3/exchangeInfo" for path, _ in venue.requests)
        time.sleep(venue.delay_s)
        while venue.allowed is not None and answer_no > venue.allowed:
            time.sleep(0.01)
        fault = fault or {}
        if fault.get("cut"):
            self.close_connection = True
            return
        if "status" in fault:
            self.answer(fault["status"], fault.get("body", {"code": -1000, "msg": "An unknown error occurred."}),
                        {"Retry-After": fault["retry_after"]} if "retry_after" in fault else {})
            return
        if fault.get("text"):
            self.answer_bytes(200, fault["text"].encode(), {"Content-Type": "text/html"})
            return
        try:
            body = venue.respond(url.path, query)
        except Refusal as e:
            self.answer(e.status, e.body)
            return
        self.answer(200, [] if fault.get("empty") else body, cut_body=fault.get("cut_body", False))

    def answer(self, status, body, headers=None, cut_body=False):
        self.answer_bytes(status, json.dumps(body).encode(), {"Content-Type": "application/json;charset=UTF-8",
                                                              **(headers or {})}, cut_body)

    def answer_bytes(self, status, data, headers, cut_body=False):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, str(value))
        self.send_header("Content-Length", str(len(data)))
        self._headers_buffer.append(b"\r\n" + (data[:len(data) // 2] if cut_body else data))
        self.flush_headers()
        self.close_connection = self.close_connection or cut_body

    def log_message(self, *_):
        pass


class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    allow_reuse_address = True
    daemon_threads = True


class VenueServer:
    """Serves `markets` from a thread of this process until stop().

    faults : a deque; each request but exchangeInfo takes one: {"status": 429, "retry_after": 1}, {"cut": True} (connection
             closed without an answer), {"cut_body": True}, {"empty": True}, {"text": "<html>"}.
    max_limit : rows of an answer at most.  outages : [from_ms, to_ms) of which the venue has no candles.
    delay_s : before every answer.  allowed : so many requests but exchangeInfo are answered, and the next ones wait.
    newest_only : answers with the newest rows whatever the times, as venues do that keep little history.
    ignores_end : endTime is not heard.
    """

    def __init__(self, *markets, port=0, tls=None):
        self.markets = {m.market_id: m for m in markets}
        self.lock, self.requests, self.faults = threading.Lock(), [], collections.deque()
        self.max_limit, self.outages, self.delay_s = 1000, [], 0.0
        self.newest_only = self.ignores_end = False
        self.allowed = None
        self._server = Server(("127.0.0.1", port), Handler)
        self._server.venue = self
        self.scheme = "https" if tls else "http"
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        self.url = f"{self.scheme}://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.allowed = None
        self._server.shutdown()
        self._server.server_close()

    def wait(self):
        self._thread.join()

    def asked(self, path):
        return [query for p, query in self.requests if p == path]

    def respond(self, path, query):
        if path == "/api/v3/exchangeInfo":
            return {"timezone": "UTC", "serverTime": 0, "rateLimits": [], "exchangeFilters": [],
                    "symbols": [m.info() for m in self.markets.values()]}
        if path not in ("/api/v3/klines", "/api/v3/aggTrades"):
            raise Refusal(404, -1, "no such path")
        if self.newest_only or self.ignores_end:
            query = {k: v for k, v in query.items() if k != "endTime" and not (self.newest_only and k == "startTime")}
        market = self.markets.get(query.get("symbol"))
        if market is None:
            raise Refusal(400, -1121, "Invalid symbol.")
        limit = min(int(query.get("limit", 500)), 1000, self.max_limit)
        begin, end = (int(query[k]) if k in query else None for k in ("startTime", "endTime"))
        if path == "/api/v3/klines":
            return self.klines(market, query["interval"], begin, end, limit)
        return self.agg_trades(market, query, begin, end, limit)

    def klines(self, market, interval, begin, end, limit):
        if interval not in INTERVAL_MS:
            raise Refusal(400, -1120, "Invalid interval.")
        step = INTERVAL_MS[interval]
        rows = [r for r in market.candles.get(interval, []) if not any(a <= r[0] < b for a, b in self.outages)] \
            if self.outages else market.candles.get(interval, [])
        low = 0 if begin is None else bisect.bisect_left(rows, begin, key=lambda r: r[0])
        high = len(rows) if end is None else bisect.bisect_right(rows, end, key=lambda r: r[0])
        rows = rows[low:high][-limit:] if begin is None else rows[low:high][:limit]
        # What follows the volume was not recorded.
        return [[*r, r[0] + step - 1, "0.00000000", 0, "0.00000000", "0.00000000", "0"] for r in rows]

    def agg_trades(self, market, query, begin, end, limit):
        trades = market.trades
        if "fromId" in query:
            if begin is not None or end is not None:
                raise Refusal(400, -1128, "Combination of optional parameters invalid.")
            low = bisect.bisect_left(trades, int(query["fromId"]), key=lambda t: t["a"])
            return trades[low:low + limit]
        if begin is not None and end is not None and end - begin > 3_600_000:
            raise Refusal(400, -1127, "More than 1 hours between startTime and endTime.")
        low = 0 if begin is None else bisect.bisect_left(trades, begin, key=lambda t: t["T"])
        high = len(trades) if end is None else bisect.bisect_right(trades, end, key=lambda t: t["T"])
        return trades[low:high][-limit:] if begin is None else trades[low:high][:limit]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--candles", action="append", default=[])
    parser.add_argument("--trades", action="append", default=[])
    parser.add_argument("--allowed", type=int)
    arguments = parser.parse_args()
    markets = {}
    for text in arguments.candles:
        market_id, base, quote, interval, path = text.split(",", 4)
        market = markets.setdefault(market_id, Market(market_id, base, quote))
        market.candles[interval] = feather_candles(path)
    for text in arguments.trades:
        market_id, base, quote, path = text.split(",", 3)
        markets.setdefault(market_id, Market(market_id, base, quote)).trades = recorded_agg_trades(path)
    with VenueServer(*markets.values(), port=arguments.port) as server:
        server.allowed = arguments.allowed
        print(server.url, flush=True)
        server.wait()


if __name__ == "__main__":
    main()
