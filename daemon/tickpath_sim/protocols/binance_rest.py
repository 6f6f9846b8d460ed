"""Binance's REST side: snapshots that are consistent with the stream, the instrument list, what has been traded, weights.

The list is the recorded one, with the played instruments' entries corrected by faults; without a recorded list an entry is
made of what the capture shows. Weights: developers.binance.com/docs/binance-spot-api-docs/rest-api, seen 2026-11-21.
"""
import json
from collections import deque
from decimal import Decimal

from tickpath_sim import wire_json
from tickpath_sim.protocols.base import DATA, Reply, now_ms

__all__ = ["BinanceRest", "compact", "split_symbol"]

DEPTH_MAX = 5000
# The status that a fault gives an instrument which is to vanish from the list.
DELISTED = "DELISTED"
TRADES_KEPT = 1000                      # of an instrument and kind, for who polls
INTERVALS_MS = {"1s": 1000, "1m": 60_000, "5m": 300_000, "15m": 900_000, "1h": 3_600_000}


class BinanceRest:
    """Mixed into the protocols."""
    prefix = "/api/v3"
    depth_limits = None                     # None: any from 1

    def rest(self, method, path, query, old_snapshot=None):
        if not path.startswith(self.prefix + "/"):
            return None
        name = path.removeprefix(self.prefix + "/")
        if name == "ping":
            return Reply(b"{}", weight=1)
        if name == "time":
            return Reply(compact({"serverTime": now_ms()}), weight=1)
        if name == "exchangeInfo":
            asked = [query["symbol"]] if "symbol" in query else _symbols(query.get("symbols", "[]"))
            if asked is None or any(symbol not in self.listed() for symbol in asked):
                return _error(-1121, "Invalid symbol.")
            return Reply(compact(self.info(query)), weight=self.info_weight)
        if name == "depth":
            return self.depth(query, old_snapshot)
        if name in ("trades", "aggTrades"):
            return self._of_symbol(query, lambda item: self.recent_trades(item, name, query), 25 if name == "trades" else 4)
        if name == "ticker/24hr":
            return self._of_symbol(query, self.ticker, 2)
        if name == "klines":
            return self._of_symbol(query, lambda item: self.klines(item, query), 2)
        return None

    # ---- what has passed, for clients that poll

    def accept(self, event):
        event = super().accept(event)
        if event is not None and event.kind is DATA and event.key.partition("@")[2] in ("trade", "aggTrade"):
            self.trade_events.setdefault((event.instrument.key, event.key.partition("@")[2]),
                                         deque(maxlen=TRADES_KEPT)).append(event)
        return event

    def _of_symbol(self, query, answer, weight):
        item = self.instruments.get(query.get("symbol"))
        return _error(-1121, "Invalid symbol.") if item is None else Reply(compact(answer(item)), weight=weight)

    def _trades(self, item):
        """The last trades of an instrument as the stream wrote them, oldest first; aggregates where it has nothing else."""
        events = self.trade_events.get((item.key, "trade")) or self.trade_events.get((item.key, "aggTrade")) or ()
        return [json.loads(self.text(event)) for event in events]

    def recent_trades(self, item, name, query):
        limit = int(query["limit"]) if query.get("limit", "").isdecimal() else 500
        trades = self._trades(item)[-limit:]
        if name == "trades":
            return [{"id": t.get("t", t.get("a")), "price": t["p"], "qty": t["q"], "time": t["T"], "isBuyerMaker": t["m"],
                     "isBestMatch": True} for t in trades]
        return [{"a": t.get("a", t.get("t")), "p": t["p"], "q": t["q"], "f": t.get("f", t.get("t")), "l": t.get("l", t.get("t")),
                 "T": t["T"], "m": t["m"], "M": True} for t in trades]

    def ticker(self, item):
        bid, ask = (side.top(1)[0] if side.top(1) else ("0.00000000", "0.00000000") for side in (item.book.bids, item.book.asks))
        trades = self._trades(item)[-1:]
        last = trades[0]["p"] if trades else bid[0]
        return {"symbol": item.symbol, "lastPrice": last, "bidPrice": bid[0], "bidQty": bid[1], "askPrice": ask[0],
                "askQty": ask[1], "closeTime": now_ms()}

    def klines(self, item, query):
        """Candles of the trades that are kept, by the venue's own times."""
        step_ms = INTERVALS_MS.get(query.get("interval"), 60_000)
        limit = int(query["limit"]) if query.get("limit", "").isdecimal() else 500
        candles = {}
        for t in self._trades(item):
            open_ms = t["T"] - t["T"] % step_ms
            row = candles.setdefault(open_ms, [open_ms, t["p"], t["p"], t["p"], t["p"], Decimal(0), open_ms + step_ms - 1, 0])
            row[2], row[3], row[4] = max(row[2], t["p"], key=Decimal), min(row[3], t["p"], key=Decimal), t["p"]
            row[5] += Decimal(t["q"])
            row[7] += 1
        return [[*row[:5], str(row[5]), row[6], "0", row[7], "0", "0", "0"] for _, row in sorted(candles.items())[-limit:]]

    info_weight = 20
    default_limit = 100

    def depth_weight(self, limit):
        return 5 if limit <= 100 else 25 if limit <= 500 else 50 if limit <= 1000 else 250

    def depth(self, query, old_snapshot):
        symbol = query.get("symbol")
        if not symbol:
            return _error(-1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.")
        item = self.instruments.get(symbol)
        if item is None or item.book.sequence is None:
            return _error(-1121, "Invalid symbol.")
        text = query.get("limit", str(self.default_limit))
        if not text.isdecimal() or (self.depth_limits and int(text) not in self.depth_limits) or not int(text):
            return _error(-1130 if self.depth_limits is None else -4021, f"'{text}' is not valid depth limit.")
        limit = min(int(text), DEPTH_MAX)
        bids, asks, sequence = item.book.bids.top(limit), item.book.asks.top(limit), item.book.sequence
        if old_snapshot is not None and old_snapshot(item):
            bids, asks, sequence = item.start
            # Older than anything a client can have buffered, also when nothing has been played yet.
            bids, asks, sequence = bids[:limit], asks[:limit], sequence + item.id_offset - 1
        return Reply(compact(self.depth_body(sequence, bids, asks)), weight=self.depth_weight(limit))

    def depth_body(self, sequence, bids, asks):
        return {"lastUpdateId": sequence, "bids": bids, "asks": asks}

    def listed(self):
        """Symbols of the instrument list: one that was delisted is in it no more."""
        return ({entry["symbol"] for entry in (self.exchange_info or {}).get("symbols", ())} | set(self.instruments)) - {
            item.symbol for item in self.instruments.values() if item.status == DELISTED}

    def info(self, query):
        entries = {entry["symbol"]: entry for entry in (self.exchange_info or {}).get("symbols", ())}
        for item in self.instruments.values():
            entry = entries[item.symbol] = self.info_entry(item, entries.get(item.symbol))
            if item.status == DELISTED:
                del entries[item.symbol]
            elif item.status:
                entry["status"] = item.status
        wanted = {query["symbol"]} if "symbol" in query else set(json.loads(query["symbols"])) if "symbols" in query else None
        listed = [entry for name, entry in entries.items() if wanted is None or name in wanted]
        return {**(self.exchange_info or {"timezone": "UTC", "rateLimits": [
            {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": self.rest_weight_per_min}],
            "exchangeFilters": []}), "serverTime": now_ms(), "symbols": listed}

    def info_entry(self, item, captured):
        tick, lot = item.listed_grid()
        filters = {"PRICE_FILTER": {"minPrice": tick, "maxPrice": "1000000.00000000", "tickSize": tick},
                   "LOT_SIZE": {"minQty": lot, "maxQty": "9000000.00000000", "stepSize": lot},
                   "NOTIONAL": {"minNotional": "5.00000000", "applyMinToMarket": True, "maxNotional": "9000000.00000000",
                                "applyMaxToMarket": False, "avgPriceMins": 5}}
        if captured is not None:
            entry = dict(captured)
            entry["filters"] = [{**f, **{k: v for k, v in filters[f["filterType"]].items() if k in ("tickSize", "stepSize")}}
                                if f.get("filterType") in ("PRICE_FILTER", "LOT_SIZE") else f for f in entry["filters"]]
            return entry
        if self.trading is not None and item.symbol in self.trading.symbols:
            entry = self.trading.symbols[item.symbol].info_entry()
            for row in entry["filters"]:
                if row["filterType"] == "PRICE_FILTER":
                    row["tickSize"] = tick
                elif row["filterType"] == "LOT_SIZE":
                    row["stepSize"] = lot
            return entry
        base, quote = split_symbol(item.symbol)
        return {"symbol": item.symbol, "status": "TRADING", "baseAsset": base, "baseAssetPrecision": 8, "quoteAsset": quote,
                "quotePrecision": 8, "quoteAssetPrecision": 8, "baseCommissionPrecision": 8, "quoteCommissionPrecision": 8,
                "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"], "icebergAllowed": True, "ocoAllowed": True,
                "isSpotTradingAllowed": True, "isMarginTradingAllowed": False, "permissions": [],
                "permissionSets": [["SPOT"]], "filters": [{"filterType": name, **rest} for name, rest in filters.items()]}


QUOTES = ("USDT", "USDC", "FDUSD", "BUSD", "TUSD", "BTC", "ETH", "BNB", "EUR", "TRY", "USD", "GBP")


def split_symbol(symbol):
    """("BTC", "USDT") of "BTCUSDT"."""
    for quote in QUOTES:
        if symbol.endswith(quote) and len(symbol) > len(quote):
            return symbol.removesuffix(quote), quote
    return symbol[:-3], symbol[-3:]


def _symbols(text):
    """The list of symbols of a query, None for what is none."""
    try:
        found = wire_json.of_client(text)
    except ValueError:
        return None
    return found if isinstance(found, list) and all(isinstance(symbol, str) for symbol in found) else None


def _error(code, text, status=400):
    return Reply(compact({"code": code, "msg": text}), status=status)


def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
