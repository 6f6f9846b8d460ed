"""Kraken WebSocket v2: objects whose numbers are JSON numbers, and whose texts count for the checksum.

    > {"method":"subscribe","params":{"channel":"book","symbol":["BTC/USD"],"depth":10}}
    < {"channel":"book","type":"update","data":[{"symbol":"BTC/USD","bids":[],"asks":[{"price":64525.3,"qty":0.00309336}],
       "checksum":1848203113,"timestamp":"2026-07-19T17:54:39.768901Z"}]}

Rules: docs.kraken.com/exchange/api-reference/spot-websocket, seen 2026-11-21.
"""
import json
import re

from tickpath_sim import wire_json
from tickpath_sim.protocols.base import BOOK, DATA, SNAPSHOT, Event, shifted
from tickpath_sim.protocols.kraken import DEPTHS, Kraken, iso_now, kraken_checksum
from tickpath_sim.protocols.kraken_v1 import KrakenV1Session
from tickpath_sim.wire_json import NumberText

__all__ = ["KrakenV2"]


class KrakenV2(Kraken):
    version = 2
    checksum_pattern = re.compile(rb'"checksum":(\d+)')

    @staticmethod
    def claims(frame):
        data = frame.data
        return frame.source == "ws" and data.startswith((b'{"channel":"', b'{"method":"')) and (
            b'"api_version":"v2"' in data or (b'"channel":"book"' in data and b'"checksum":' in data and b'"symbol":' in data)
            or (b'"result":{"channel":' in data and b'"time_in":' in data))

    def _decode(self, frame):
        if not frame.data.startswith(b'{"channel":"') or b'"data":' not in frame.data:
            return None
        message = wire_json.loads(frame.data)
        data = message["data"]
        if message["channel"] in ("status", "instrument", "heartbeat") or not data or "symbol" not in data[0]:
            return None
        return f"{message['channel']}:{data[0]['symbol']}", data[0]["symbol"], message

    @staticmethod
    def _rows(entry):
        return [[[_number(level["price"]), _number(level["qty"])] for level in entry[side]] for side in ("bids", "asks")]

    def observe(self, frame):
        if frame.source == "rest":
            self.observe_rest(frame)
            return
        found = self._decode(frame)
        if found is None:
            if frame.data.startswith(b'{"method":"subscribe"') and b'"depth":' in frame.data:
                result = json.loads(frame.data).get("result", {})
                if "depth" in result:
                    self.instrument(result["symbol"]).book.depth = result["depth"]
            return
        key, symbol, message = found
        if not self.owns(key, frame):
            return
        item = self.instrument(symbol)
        if key.startswith("book:"):
            bids, asks = self._rows(message["data"][0])
            item.observe_rows(bids)
            item.observe_rows(asks)
            if message["type"] == "snapshot" and not item.start[0] and not item.start[1]:
                item.start = (bids, asks, None)
                if item.book.depth is None:
                    item.book.depth = next(d for d in DEPTHS if d >= max(len(bids), len(asks)))

    def events(self, frame):
        found = self._decode(frame) if frame.source == "ws" else None
        if found is None or not self.owns(found[0], frame):
            return ()
        key, symbol, message = found
        item = self.instrument(symbol)
        if not key.startswith("book:"):
            return (Event(key, item, DATA, frame.data),)
        bids, asks = self._rows(message["data"][0])
        return (Event(key, item, SNAPSHOT if message["type"] == "snapshot" else BOOK, frame.data, bids, asks),)

    def rewrite(self, event, message):
        entry = message["data"][0]
        if event.kind is not DATA:
            entry["bids"], entry["asks"] = levels(event.bids), levels(event.asks)
            entry["checksum"] = event.checksum
        elif event.price_shift:
            for trade in message["data"]:
                for field in ("price", "bid", "ask", "last", "low", "high", "vwap"):
                    if field in trade:
                        trade[field] = shifted(_number(trade[field]), event.price_shift) or trade[field]
        return message

    def book_message(self, item, kind, depth, bids, asks, checksum):
        return {"channel": "book", "type": kind, "data": [{
            "symbol": item.symbol, "bids": levels(bids), "asks": levels(asks), "checksum": checksum, "timestamp": iso_now()}]}

    def session(self, connection, path, query):
        return KrakenV2Session(self, connection)

    def status_messages(self, instrument, status):
        self.system = status
        return [(None, wire_json.dumps(self.status()))]

    def status(self):
        return {"channel": "status", "type": "update", "data": [
            {"version": "2.0.10", "system": self.system, "api_version": "v2", "connection_id": 17843232920108160001}]}


class KrakenV2Session(KrakenV1Session):
    def on_open(self):
        self.control(self.protocol.status())

    def on_text(self, text):
        time_in = iso_now()
        try:
            request = wire_json.of_client(text)
            method = request["method"]
        except (ValueError, TypeError, KeyError):
            self.control({"error": "Malformed request", "success": False, "time_in": time_in, "time_out": iso_now()})
            return
        number = {"req_id": request["req_id"]} if "req_id" in request else {}
        params = request.get("params")
        if method == "ping":
            self.control({"method": "pong", **number, "time_in": time_in, "time_out": iso_now()})
        elif method not in ("subscribe", "unsubscribe") or not isinstance(params, dict) or "channel" not in params:
            self.control({"error": "Malformed request", "method": method, **number, "success": False, "time_in": time_in,
                          "time_out": iso_now()})
        else:
            symbols = params.get("symbol", [])
            for symbol in symbols if isinstance(symbols, list) else [symbols]:
                self._v2_change(method, symbol, params, number, time_in)

    def _v2_change(self, method, symbol, params, number, time_in):
        channel = params["channel"]
        key = f"{channel}:{symbol}"
        item = self.protocol.instruments.get(symbol)
        depth = params.get("depth", 10) if channel == "book" else None
        problem = None
        if item is None:
            problem = f"Currency pair not supported {symbol}"
        elif key not in self.protocol.owners:
            problem = f"Channel not supported {channel}"
        elif depth is not None and (depth not in DEPTHS or depth > item.book.depth):
            problem = "Subscription depth not supported"
        elif method == "subscribe" and key in self.names:
            problem = "Already subscribed"
        elif method == "unsubscribe" and key not in self.names:
            problem = "Subscription Not Found"
        if problem:
            self.control({"error": problem, "method": method, **number, "success": False, "symbol": symbol, "time_in": time_in,
                          "time_out": iso_now()})
            return
        snapshot = params.get("snapshot", True)
        result = {"channel": channel, **({"depth": depth} if depth else {}), **({"snapshot": snapshot} if depth else {}),
                  "symbol": symbol}
        if method == "unsubscribe":
            result.pop("snapshot", None)
        self.control({"method": method, "result": result, **number, "success": True, "time_in": time_in, "time_out": iso_now()})
        self.forget_depth(key)
        if method == "unsubscribe":
            self.remove(key)
            return
        self.add(key, channel)
        if depth:
            self.depths[key] = depth
            if depth != item.book.depth:
                self.protocol.want_view(depth, 1)
            if snapshot:
                self.market(self.protocol.book_message(item, "snapshot", depth, item.book.bids.top(depth),
                                                       item.book.asks.top(depth), kraken_checksum(item.book)))
        elif key in self.protocol.last and channel == "ticker" and snapshot:
            self.market(self.protocol.text(self.protocol.last[key]))

    def render(self, event):
        depth = self.depths.get(event.key)
        if depth is None or depth == event.instrument.book.depth:
            return (self.protocol.text(event),)
        made = event.cache.get(depth)
        if made is None:
            if event.kind is SNAPSHOT:
                rows = (event.bids[:depth], event.asks[:depth])
            else:
                rows = (event.views or {}).get(depth, ((), ()))
            made = ()
            if any(rows):
                checksum = event.checksum if event.checksum is not None else kraken_checksum(event.instrument.book)
                kind = "snapshot" if event.kind is SNAPSHOT else "update"
                made = (wire_json.dumps(self.protocol.book_message(event.instrument, kind, depth, *rows, checksum)),)
            event.cache[depth] = made
        return made

    def heartbeat(self, now_mono):
        if self.subscribed and now_mono - self.data_mono >= self.protocol.heartbeat_s:
            self.market(b'{"channel":"heartbeat"}')


def _number(value):
    return value if isinstance(value, NumberText) else NumberText(value)


def levels(rows):
    return [{"price": NumberText(row[0]), "qty": NumberText(row[1])} for row in rows]
