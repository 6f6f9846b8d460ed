"""Coinbase Advanced Trade: events by channel, every message numbered per connection.

    > {"type":"subscribe","product_ids":["BTC-USD"],"channel":"level2"}
    < {"channel":"l2_data","timestamp":"…","sequence_num":13,"events":[{"type":"update","product_id":"BTC-USD","updates":[
       {"side":"bid","event_time":"…","price_level":"65083.66","new_quantity":"0.20371215"}]}]}

The recorder's numbers count its own connection; each client's are its own. Rules:
docs.cdp.coinbase.com/coinbase-app/advanced-trade-apis/websocket, seen 2026-11-21.
"""
import json
import re

from tickpath_sim import wire_json
from tickpath_sim.protocols.base import BOOK, DATA, SNAPSHOT, Event, Reply, Session, now_ms, shifted
from tickpath_sim.protocols.coinbase import Coinbase
from tickpath_sim.protocols.kraken import iso_now

__all__ = ["CoinbaseAdvanced"]

# Channel of the messages -> (the name under which a client asks for it, where products stand in an event).
ADVANCED_CHANNELS = {"l2_data": ("level2", None), "market_trades": ("market_trades", "trades"), "ticker": ("ticker", "tickers"),
                     "candles": ("candles", "candles"), "ticker_batch": ("ticker_batch", "tickers")}
ADVANCED_PRICES = ("price", "best_bid", "best_ask", "high", "low", "open", "close", "high_24_h", "low_24_h")
SEQUENCE = re.compile(rb'"sequence_num":\d+')


class CoinbaseAdvanced(Coinbase):
    @staticmethod
    def claims(frame):
        data = frame.data
        if frame.source == "rest":
            return data.startswith(b'{"products":') and b'"product_id"' in data[:4096]
        return data.startswith(b'{"channel":"') and b'"sequence_num":' in data and b'"events":' in data

    @staticmethod
    def _parts(frame):
        """[(key, product, message of that product alone)] of a frame; the recorder's subscription may name several."""
        message = wire_json.loads(frame.data)
        channel = message.get("channel")
        if channel not in ADVANCED_CHANNELS:
            return []
        name = ADVANCED_CHANNELS[channel][1]
        by_product = {}
        for event in message["events"]:
            if name is None:
                by_product.setdefault(event["product_id"], []).append(event)
                continue
            for entry in event[name]:
                events = by_product.setdefault(entry["product_id"], [])
                if not events or events[-1]["type"] != event["type"]:
                    events.append({**event, name: []})
                events[-1][name].append(entry)
        return [(f"{channel}:{product}", product, {**message, "events": events}, len(by_product) > 1)
                for product, events in by_product.items()]

    @staticmethod
    def _rows(events):
        bids, asks = [], []
        for event in events:
            for update in event["updates"]:
                (bids if update["side"] == "bid" else asks).append([update["price_level"], update["new_quantity"]])
        return bids, asks

    def observe(self, frame):
        if frame.source == "rest":
            if frame.data.startswith(b'{"products":'):
                self.captured.update((entry["product_id"], entry) for entry in json.loads(frame.data)["products"])
            return
        for key, product, message, _ in self._parts(frame):
            if not self.owns(key, frame):
                continue
            item = self.instrument(product)
            if key.startswith("l2_data:"):
                bids, asks = self._rows(message["events"])
                item.observe_rows(bids)
                item.observe_rows(asks)
                if message["events"][0]["type"] == "snapshot" and not item.start[0] and not item.start[1]:
                    item.start = (bids, asks, None)

    def events(self, frame):
        found = []
        for key, product, message, split in self._parts(frame) if frame.source == "ws" else ():
            if not self.owns(key, frame):
                continue
            item = self.instrument(product)
            raw = wire_json.dumps(message) if split else frame.data
            if key.startswith("l2_data:"):
                kind = SNAPSHOT if message["events"][0]["type"] == "snapshot" else BOOK
                found.append(Event(key, item, kind, raw, *self._rows(message["events"])))
            else:
                found.append(Event(key, item, DATA, raw))
        return found

    def rewrite(self, event, message):
        if event.kind is not DATA:
            stamp = next((u["event_time"] for e in message["events"] for u in e["updates"]), message["timestamp"])
            message["events"] = [l2_event(event.instrument.symbol, "snapshot" if event.kind is SNAPSHOT else "update",
                                          event.bids, event.asks, stamp)]
        elif event.price_shift:
            name = ADVANCED_CHANNELS[message["channel"]][1]
            for part in message["events"]:
                for entry in part[name]:
                    for field in ADVANCED_PRICES:
                        if entry.get(field):
                            entry[field] = shifted(entry[field], event.price_shift) or entry[field]
        return message

    def unknown_event(self, event):
        return wire_json.dumps({"channel": "newsflash", "client_id": "", "timestamp": iso_now(), "sequence_num": 0, "events": []})

    def status_messages(self, instrument, status):
        products = [{"product_type": "SPOT", "id": item.symbol, **self.entry(item, "product_id"),
                     "status": status if item is instrument else item.status or "online"} for item in self.instruments.values()]
        return [("status", wire_json.dumps({"channel": "status", "client_id": "", "timestamp": iso_now(), "sequence_num": 0,
                                            "events": [{"type": "snapshot", "products": products}]}))]

    def rest(self, method, path, query, old_snapshot=None):
        name = path.removeprefix("/api/v3/brokerage/").removeprefix("market/")
        if name == "time":
            return Reply(json.dumps({"iso": iso_now(), "epochSeconds": str(now_ms() // 1000),
                                     "epochMillis": str(now_ms())}).encode())
        if name == "products":
            listed = [self.entry(item, "product_id") for item in self.instruments.values()]
            return Reply(json.dumps({"products": listed, "num_products": len(listed)}).encode())
        if name == "product_book":
            item = self.instruments.get(query.get("product_id"))
            if item is None:
                return Reply(b'{"error":"NOT_FOUND","message":"valid product_id is required"}', status=404)
            depth = int(query["limit"]) if query.get("limit", "").isdecimal() else None
            sides = {name: [{"price": row[0], "size": row[1]} for row in side.top(depth)]
                     for name, side in (("bids", item.book.bids), ("asks", item.book.asks))}
            return Reply(json.dumps({"pricebook": {"product_id": item.symbol, **sides, "time": iso_now()}}).encode())
        return None


def l2_event(product, kind, bids, asks, stamp):
    return {"type": kind, "product_id": product, "updates": [
        {"side": side, "event_time": stamp, "price_level": row[0], "new_quantity": row[1]}
        for side, rows in (("bid", bids), ("offer", asks)) for row in rows]}


def snapshot_text(product, book):
    """The message that opens a book: 46,000 levels in the recorded one, at each loss of a book. So its text is written here and
    not by wire_json, in a tenth of the time; rows hold the venue's own digits, where nothing needs escaping."""
    stamp = iso_now()
    rows = [f'{{"side":"{name}","event_time":"{stamp}","price_level":"{row[0]}","new_quantity":"{row[1]}"}}'
            for name, side in (("bid", book.bids), ("offer", book.asks)) for row in side.top()]
    return (f'{{"channel":"l2_data","client_id":"","timestamp":"{stamp}","sequence_num":0,"events":[{{"type":"snapshot",'
            f'"product_id":"{product}","updates":[{",".join(rows)}]}}]}}').encode()


class CoinbaseAdvancedSession(Session):
    def __init__(self, protocol, connection):
        super().__init__(protocol, connection)
        self.sequence = 0
        self.asked = {}                     # channel as the client writes it -> products in order
        self.beats = 0
        self.beat_mono = self.opened_mono

    @property
    def subscribed(self):
        return bool(self.asked)

    def numbered(self, data):
        """The message with this connection's next number. Dropped messages use one up: that is how a client finds out."""
        data = SEQUENCE.sub(b'"sequence_num":%d' % self.sequence, data, count=1)
        self.sequence += 1
        return data

    def own(self, data):
        return self.numbered(data) if b'"sequence_num":' in data else data

    def render(self, event):
        return (self.numbered(self.protocol.text(event)),)

    def control(self, message):
        super().control(self.numbered(message if isinstance(message, bytes) else wire_json.dumps(message)))

    def market(self, data):
        # A venue that is silent numbers nothing: its answers go on where they were.
        if not self.connection.hub.injector.is_silent(self.connection):
            super().market(self.numbered(data if isinstance(data, bytes) else wire_json.dumps(data)))

    def _message(self, channel, events):
        return {"channel": channel, "client_id": "", "timestamp": iso_now(), "sequence_num": 0, "events": events}

    def on_text(self, text):
        try:
            request = wire_json.of_client(text)
            kind, channel, products = request["type"], request["channel"], request.get("product_ids", [])
            if kind not in ("subscribe", "unsubscribe") or not isinstance(products, list):
                raise ValueError
        except (ValueError, TypeError, KeyError):
            super().control({"type": "error", "message": "failed to parse message"})
            return
        recorded = {asked: (key, name) for key, (asked, name) in ADVANCED_CHANNELS.items()}
        if channel not in recorded and channel not in ("heartbeats", "status"):
            super().control({"type": "error", "message": f"channel {channel} is not valid"})
            return
        listed = self.asked.setdefault(channel, [])
        fresh = []
        for product in products if channel in recorded else [channel]:
            key = f"{recorded[channel][0]}:{product}" if channel in recorded else channel
            if channel in recorded and product not in self.protocol.instruments:
                continue
            if kind == "subscribe" and product not in listed:
                listed.append(product)
                fresh.append((key, product))
                self.add(key, channel)
            elif kind == "unsubscribe" and product in listed:
                listed.remove(product)
                self.remove(key)
        if not listed:
            del self.asked[channel]
        for key, product in fresh:
            self._greet(key, product)
        self.control(self._message("subscriptions", [{"subscriptions": dict(self.asked)}]))

    def _greet(self, key, product):
        protocol = self.protocol
        if key.startswith("l2_data:"):
            self.market(snapshot_text(product, protocol.instruments[product].book))
        elif key in protocol.last:
            self.market(protocol.text(protocol.last[key]).replace(b'"type":"update"', b'"type":"snapshot"', 1))

    def heartbeat(self, now_mono):
        if "heartbeats" in self.asked and now_mono - self.beat_mono >= self.protocol.heartbeat_s:
            self.beat_mono = now_mono
            self.beats += 1
            self.market(self._message("heartbeats", [{"current_time": iso_now(), "heartbeat_counter": self.beats}]))


CoinbaseAdvanced.session_class = CoinbaseAdvancedSession
