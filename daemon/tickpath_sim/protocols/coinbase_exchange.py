"""Coinbase Exchange: flat messages by type, a snapshot for who joins, the last match and ticker as a greeting.

    > {"type":"subscribe","product_ids":["ETH-USD"],"channels":["level2","heartbeat"]}
    < {"type":"l2update","product_id":"SKL-BTC","changes":[["sell","0.00001306","660.5"]],"time":"2021-04-17T16:43:37.075687Z"}

Rules: docs.cdp.coinbase.com/exchange/websocket-feed, seen 2026-11-21.
"""
import json
import time

from tickpath_sim import wire_json
from tickpath_sim.protocols.base import BOOK, DATA, SNAPSHOT, Event, Reply, Session, shifted
from tickpath_sim.protocols.coinbase import Coinbase
from tickpath_sim.protocols.kraken import iso_now

__all__ = ["CoinbaseExchange"]

EXCHANGE_CHANNELS = {"l2update": "level2", "snapshot": "level2", "ticker": "ticker", "match": "matches", "last_match": "matches"}
EXCHANGE_ALIASES = {"level2_batch": "level2", "ticker_batch": "ticker"}
EXCHANGE_PRICES = ("price", "open_24h", "low_24h", "high_24h", "best_bid", "best_ask")


class CoinbaseExchange(Coinbase):
    @staticmethod
    def claims(frame):
        data = frame.data
        if frame.source == "rest":
            return data.startswith(b"[") and b'"base_increment"' in data[:4096]
        return data.startswith(b'{"type":"') and (b'"product_id":"' in data[:200] or b'"product_ids":' in data)

    @staticmethod
    def _decode(frame):
        message = json.loads(frame.data)
        channel = EXCHANGE_CHANNELS.get(message.get("type")) if isinstance(message, dict) else None
        if channel is None or "product_id" not in message:
            return None
        return f"{channel}:{message['product_id']}", message["product_id"], message

    @staticmethod
    def _rows(message):
        if message["type"] == "snapshot":
            return message["bids"], message["asks"]
        bids, asks = [], []
        for side, price, qty in message["changes"]:
            (bids if side == "buy" else asks).append([price, qty])
        return bids, asks

    def observe(self, frame):
        if frame.source == "rest":
            if frame.data.startswith(b"["):
                self.captured.update((entry["id"], entry) for entry in json.loads(frame.data) if "id" in entry)
            return
        found = self._decode(frame)
        if found is None or not self.owns(found[0], frame):
            return
        key, symbol, message = found
        item = self.instrument(symbol)
        if key.startswith("level2:"):
            bids, asks = self._rows(message)
            item.observe_rows(bids)
            item.observe_rows(asks)
            if message["type"] == "snapshot" and not item.start[0] and not item.start[1]:
                item.start = (bids, asks, None)

    def events(self, frame):
        found = self._decode(frame) if frame.source == "ws" else None
        if found is None or not self.owns(found[0], frame):
            return ()
        key, symbol, message = found
        item = self.instrument(symbol)
        if key.startswith("level2:"):
            kind = SNAPSHOT if message["type"] == "snapshot" else BOOK
            return (Event(key, item, kind, frame.data, *self._rows(message)),)
        event = Event(key, item, DATA, frame.data)
        if message["type"] == "last_match":
            # The greeting of the recorder's own subscription: what a client that joins is told.
            self.last[key] = event
            return ()
        return (event,)

    def rewrite(self, event, message):
        if event.kind is SNAPSHOT:
            message["bids"], message["asks"] = list(event.bids), list(event.asks)
        elif event.kind is BOOK:
            message["changes"] = [[side, *row[:2]] for side, rows in (("buy", event.bids), ("sell", event.asks)) for row in rows]
        elif event.price_shift:
            for field in EXCHANGE_PRICES:
                if message.get(field):
                    message[field] = shifted(message[field], event.price_shift) or message[field]
        return message

    def status_messages(self, instrument, status):
        products = [{**self.entry(item, "id"), "status": status if item is instrument else item.status or "online"}
                    for item in self.instruments.values()]
        return [("status", wire_json.dumps({"type": "status", "products": products, "currencies": []}))]

    def rest(self, method, path, query, old_snapshot=None):
        if path == "/time":
            return Reply(json.dumps({"iso": iso_now(), "epoch": time.time()}).encode())
        if path == "/products":
            return Reply(json.dumps([self.entry(item, "id") for item in self.instruments.values()]).encode())
        parts = path.strip("/").split("/")
        if len(parts) == 3 and parts[0] == "products" and parts[2] == "book":
            item = self.instruments.get(parts[1])
            if item is None:
                return Reply(b'{"message":"NotFound"}', status=404)
            depth = 1 if query.get("level", "1") == "1" else None
            sides = {name: [[*row[:2], 1] for row in side.top(depth)]
                     for name, side in (("bids", item.book.bids), ("asks", item.book.asks))}
            return Reply(json.dumps({**sides, "sequence": 0, "auction_mode": False, "time": iso_now()}).encode())
        return None


class CoinbaseExchangeSession(Session):
    def __init__(self, protocol, connection):
        super().__init__(protocol, connection)
        self.asked = {}                     # channel as the client wrote it -> products in order
        self.beat_mono = self.opened_mono

    @property
    def subscribed(self):
        return bool(self.asked)

    def on_text(self, text):
        try:
            request = wire_json.of_client(text)
            kind = request["type"]
            if kind not in ("subscribe", "unsubscribe"):
                raise ValueError
            wanted = []
            for channel in request.get("channels", ()):
                named = isinstance(channel, dict)
                wanted.append((channel["name"] if named else channel,
                               channel.get("product_ids") if named else None))
        except (ValueError, TypeError, KeyError):
            self.control({"type": "error", "message": "Failed to subscribe", "reason": "Malformed JSON"})
            return
        greet = []
        for channel, products in wanted:
            products = products if products is not None else request.get("product_ids", [])
            name = EXCHANGE_ALIASES.get(channel, channel)
            if name not in ("level2", "ticker", "matches", "heartbeat", "status"):
                self.control({"type": "error", "message": "Failed to subscribe", "reason": f"{channel} is not a valid channel"})
                return
            unknown = [p for p in products if p not in self.protocol.instruments]
            if unknown:
                self.control({"type": "error", "message": "Failed to subscribe",
                              "reason": f"{unknown[0]} is not a valid product"})
                return
            if kind == "subscribe":
                greet += self._subscribe(channel, name, products)
            else:
                self._unsubscribe(channel, name, products)
        self.control({"type": "subscriptions", "channels": [
            {"name": channel, "product_ids": products, "account_ids": None} for channel, products in self.asked.items()]})
        for name, product in greet:
            self._greet(name, product)

    def _subscribe(self, channel, name, products):
        listed = self.asked.setdefault(channel, [])
        fresh = [p for p in products if p not in listed]
        listed += fresh
        if name == "status":
            self.add("status")
        for product in fresh if name not in ("heartbeat", "status") else ():
            self.add(f"{name}:{product}", channel)
        return [(name, product) for product in fresh]

    def _unsubscribe(self, channel, name, products):
        listed = self.asked.get(channel, [])
        for product in products or list(listed):
            if product in listed:
                listed.remove(product)
                self.remove(f"{name}:{product}")
        if not listed:
            self.asked.pop(channel, None)

    def _greet(self, name, product):
        item = self.protocol.instruments[product]
        last = self.protocol.last.get(f"{name}:{product}")
        if name == "level2":
            self.market({"type": "snapshot", "product_id": product, "asks": [r[:2] for r in item.book.asks.top()],
                         "bids": [r[:2] for r in item.book.bids.top()], "time": iso_now()})
        elif last is not None:
            text = self.protocol.text(last)
            self.market(text.replace(b'"type":"match"', b'"type":"last_match"', 1) if name == "matches" else text)

    def heartbeat(self, now_mono):
        if now_mono - self.beat_mono < self.protocol.heartbeat_s:
            return
        self.beat_mono = now_mono
        for product in self.asked.get("heartbeat", ()):
            self.market({"type": "heartbeat", "sequence": 0, "last_trade_id": 0, "product_id": product, "time": iso_now()})


CoinbaseExchange.session_class = CoinbaseExchangeSession
