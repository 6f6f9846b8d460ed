"""Kraken WebSocket v1: arrays, one channel name with the depth in it, prices with a time.

    > {"event":"subscribe","pair":["XBT/USD"],"subscription":{"name":"book","depth":10}}
    < [1664,{"a":[["13.284500","1396.00000000","1618678133.383209"]],"c":"176333288"},"book-1000","WAVES/EUR"]

Rules: docs.kraken.com/exchange/api-reference/spot-websocket-v1, seen 2026-11-21.
"""
import json
import re

from tickpath_sim import wire_json
from tickpath_sim.protocols.base import BOOK, DATA, SNAPSHOT, Event, Session, shifted
from tickpath_sim.protocols.kraken import DEPTHS, Kraken, kraken_checksum

__all__ = ["KrakenV1", "KrakenV1Session"]


class KrakenV1(Kraken):
    version = 1
    checksum_pattern = re.compile(rb'"c":"(\d+)"')

    def __init__(self):
        super().__init__()
        self.channel_ids = {}               # key -> channelID

    @staticmethod
    def claims(frame):
        data = frame.data
        if frame.source == "rest":
            return b'"wsname"' in data[:4096] and b'"pair_decimals"' in data[:4096]
        return data.startswith(b'{"connectionID"') or (data.startswith(b"[") and data.endswith(b'"]') and b'],"c":"' in data)

    def _decode(self, frame):
        """(key, symbol, message) of a channel's message, None for others."""
        if not frame.data.startswith(b"["):
            return None
        message = json.loads(frame.data)
        channel, symbol = message[-2], message[-1]
        return f"{channel.partition('-')[0]}:{symbol}" if channel.startswith("book") else f"{channel}:{symbol}", symbol, message

    def observe(self, frame):
        if frame.source == "rest":
            self.observe_rest(frame)
            return
        found = self._decode(frame)
        if found is None or not self.owns(found[0], frame):
            return
        key, symbol, message = found
        self.channel_ids.setdefault(key, message[0])
        if key.startswith("book:"):
            item = self.instrument(symbol)
            item.book.depth = int(message[-2].partition("-")[2] or 10)
            kind, bids, asks = self._rows(message)
            item.observe_rows(bids)
            item.observe_rows(asks)
            if kind is SNAPSHOT and not item.start[0] and not item.start[1]:
                item.start = (bids, asks, None)
        else:
            self.instrument(symbol)

    @staticmethod
    def _rows(message):
        bids, asks, kind = [], [], BOOK
        for part in message[1:-2]:
            if "as" in part or "bs" in part:
                kind = SNAPSHOT
            bids += part.get("b", part.get("bs", ()))
            asks += part.get("a", part.get("as", ()))
        return kind, bids, asks

    def events(self, frame):
        found = self._decode(frame) if frame.source == "ws" else None
        if found is None or not self.owns(found[0], frame):
            return ()
        key, symbol, message = found
        item = self.instrument(symbol)
        if not key.startswith("book:"):
            return (Event(key, item, DATA, frame.data),)
        kind, bids, asks = self._rows(message)
        return (Event(key, item, kind, frame.data, bids, asks),)

    def rewrite(self, event, message):
        if event.kind is DATA:
            return self._moved(event, message) if event.price_shift else message
        if event.kind is SNAPSHOT:
            return [message[0], {"as": list(event.asks), "bs": list(event.bids)}, *message[-2:]]
        return self.book_message(message[0], message[-2], message[-1], event.bids, event.asks, event.checksum)

    @staticmethod
    def _moved(event, message):
        shift, name = event.price_shift, message[-2]
        if name == "trade":
            for row in message[1]:
                row[0] = shifted(row[0], shift) or row[0]
        elif name == "ticker":
            for field in "abc":
                message[1][field][0] = shifted(message[1][field][0], shift) or message[1][field][0]
            for field in "plho":
                message[1][field] = [shifted(text, shift) or text for text in message[1][field]]
        return message

    @staticmethod
    def book_message(number, name, symbol, bids, asks, checksum):
        parts = [{side: list(rows)} for side, rows in (("a", asks), ("b", bids)) if rows] or [{"b": []}]
        parts[-1]["c"] = str(checksum)
        return [number, *parts, name, symbol]

    def session(self, connection, path, query):
        return KrakenV1Session(self, connection)

    def status_messages(self, instrument, status):
        self.system = status
        return [(None, json.dumps({"connectionID": 1, "event": "systemStatus", "status": status, "version": "1.9.6"}))]


class KrakenV1Session(Session):
    def __init__(self, protocol, connection):
        super().__init__(protocol, connection)
        self.depths = {}                    # key -> depth that the client asked for

    def on_open(self):
        self.control({"connectionID": 17843232920108160000 + self.connection.number, "event": "systemStatus",
                      "status": self.protocol.system, "version": "1.9.6"})

    def on_text(self, text):
        try:
            request = wire_json.of_client(text)
            event = request["event"]
        except (ValueError, TypeError, KeyError):
            self.control({"errorMessage": "Malformed request", "event": "error"})
            return
        number = {"reqid": request["reqid"]} if "reqid" in request else {}
        if event == "ping":
            self.control({"event": "pong", **number})
        elif event in ("subscribe", "unsubscribe"):
            subscription = request.get("subscription")
            if not isinstance(subscription, dict) or not isinstance(request.get("pair"), list):
                self.control({"errorMessage": "Malformed request", "event": "error", **number})
                return
            for pair in request["pair"]:
                self._change(event, pair, subscription, number)
        else:
            self.control({"errorMessage": "Unsupported event", "event": "error", **number})

    def _change(self, event, pair, subscription, number):
        name = subscription.get("name")
        key = f"{name}:{pair}"
        reply = {"event": "subscriptionStatus", "pair": pair, **number, "subscription": subscription}
        item = self.protocol.instruments.get(pair)
        depth = subscription.get("depth", 10) if name == "book" else None
        problem = None
        if item is None:
            problem = f"Currency pair not supported {pair}"
        elif key not in self.protocol.owners:
            problem = "Subscription name invalid"
        elif depth is not None and (depth not in DEPTHS or depth > item.book.depth):
            problem = "Subscription depth not supported"
        elif event == "unsubscribe" and key not in self.names:
            problem = "Subscription Not Found"
        if problem:
            self.control({"errorMessage": problem, **reply, "status": "error"})
            return
        reply = {"channelID": self.protocol.channel_ids[key], "channelName": f"{name}-{depth}" if depth else name, **reply}
        self.forget_depth(key)
        if event == "unsubscribe":
            self.remove(key)
            self.control({**reply, "status": "unsubscribed"})
            return
        self.control({**reply, "status": "subscribed"})
        self.add(key, reply["channelName"])
        if depth:
            self.depths[key] = depth
            if depth != item.book.depth:
                self.protocol.want_view(depth, 1)
            # A fourth text marks a level as sent again; a snapshot has none.
            asks, bids = ([row[:3] for row in side.top(depth)] for side in (item.book.asks, item.book.bids))
            self.market([reply["channelID"], {"as": asks, "bs": bids}, reply["channelName"], pair])
        elif key in self.protocol.last and name == "ticker":
            self.market(self.protocol.text(self.protocol.last[key]))

    def forget_depth(self, key):
        depth = self.depths.pop(key, None)
        if depth and depth in self.protocol.views:
            self.protocol.want_view(depth, -1)

    def closed(self):
        for key in list(self.depths):
            self.forget_depth(key)

    def render(self, event):
        depth = self.depths.get(event.key)
        if depth is None or depth == event.instrument.book.depth:
            return (self.protocol.text(event),)
        made = event.cache.get(depth)
        if made is None:
            message = []
            if event.kind is SNAPSHOT:
                message = [self.protocol.channel_ids[event.key], {"as": list(event.asks[:depth]), "bs": list(event.bids[:depth])},
                           f"book-{depth}", event.instrument.symbol]
            elif event.views and depth in event.views and any(event.views[depth]):
                checksum = event.checksum if event.checksum is not None else kraken_checksum(event.instrument.book)
                message = KrakenV1.book_message(self.protocol.channel_ids[event.key], f"book-{depth}", event.instrument.symbol,
                                                *event.views[depth], checksum)
            made = event.cache[depth] = (wire_json.dumps(message),) if message else ()
        return made

    def heartbeat(self, now_mono):
        if self.subscribed and now_mono - self.data_mono >= self.protocol.heartbeat_s:
            self.market(b'{"event":"heartbeat"}')
