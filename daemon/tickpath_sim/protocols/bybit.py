"""Bybit v5 public: topics by product, books whose update id rises by one and starts at 1 when the service restarts.

    /v5/public/linear, /v5/public/spot
    > {"req_id":"1","op":"subscribe","args":["orderbook.200.BTCUSDT"]}
    < {"success":true,"ret_msg":"","conn_id":"…","req_id":"1","op":"subscribe"}
    < {"topic":"orderbook.200.BTCUSDT","type":"delta","ts":…,"data":{"s":"BTCUSDT","b":[["65093.10","0"]],"a":[],"u":42,
       "seq":753843954913},"cts":…}

Both products use the same topic names: a book is keyed "linear:BTCUSDT". Rules: bybit-exchange.github.io/docs/v5/ws/connect,
seen 2026-11-21.
"""
import json
import re

from tickpath_sim import wire_json
from tickpath_sim.protocols.base import BOOK, DATA, SNAPSHOT, Event, Protocol, Reply, Session, now_ms, shifted

PATH = re.compile(r"/v5/public/(linear|spot|inverse|option)")
ARGS_MAX = {"spot": 10}
PRICE_FIELDS = ("p", "lastPrice", "bid1Price", "ask1Price", "markPrice", "indexPrice", "highPrice24h", "lowPrice24h",
                "prevPrice24h", "prevPrice1h", "open", "close", "high", "low")


class Bybit(Protocol):
    venue = "bybit"
    normal_status = "Trading"
    idle_timeout_s = 600

    def __init__(self):
        super().__init__()
        self.products = {}                  # the recorder's connection -> linear or spot
        self.captured = {}                  # key of an instrument -> its entry of the recorded list
        self.tickers = {}                   # key of a stream -> (last message, all fields merged)
        self.resets = set()                 # instruments whose next message is a snapshot with u = 1
        self._id_spans = {}

    @staticmethod
    def claims(frame):
        data = frame.data
        if frame.source == "rest":
            return b'"retCode":' in data[:200]
        return (b'"topic":"' in data[:200] and b'"data":' in data) or (b'"conn_id":"' in data and b'"op":"subscribe"' in data)

    def _product(self, frame, message):
        """Connections tell their product only by manner: an acknowledgement of spot says "subscribe"."""
        known = self.products.get(frame.conn)
        if known is None:
            if message.get("op") == "subscribe":
                known = "spot" if message.get("ret_msg") == "subscribe" else "linear"
            elif message.get("topic", "").startswith("tickers."):
                known = "spot" if "usdIndexPrice" in message["data"] else "linear"
            if known is not None:
                self.products[frame.conn] = known
        return known or "linear"

    def _decode(self, frame):
        message = json.loads(frame.data)
        product = self._product(frame, message)
        topic = message.get("topic")
        if topic is None:
            return None
        return f"{product}/{topic}", product, topic, message

    def observe(self, frame):
        if frame.source == "rest":
            result = json.loads(frame.data).get("result") or {}
            for entry in result.get("list", ()):
                if "priceFilter" in entry:
                    self.captured[f"{result.get('category')}:{entry['symbol']}"] = entry
            return
        found = self._decode(frame)
        if found is None or not self.owns(found[0], frame):
            return
        _, product, topic, message = found
        symbol = topic.rpartition(".")[2]
        item = self.instrument(f"{product}:{symbol}", symbol)
        if topic.startswith("orderbook."):
            data = message["data"]
            item.observe_rows(data["b"])
            item.observe_rows(data["a"])
            span = self._id_spans.setdefault(item.key, [data["u"], data["u"]])
            span[1] = data["u"]
            if message["type"] == "snapshot" and not item.start[0] and not item.start[1]:
                item.book.depth = int(topic.split(".")[1])
                item.start = (data["b"], data["a"], data["u"])

    def observed(self):
        for item in self.instruments.values():
            entry = self.captured.get(item.key)
            if entry is not None:
                lot = entry.get("lotSizeFilter", {})
                item.tick_size = entry["priceFilter"].get("tickSize")
                item.lot_size = lot.get("qtyStep") or lot.get("basePrecision")
        super().observed()

    def events(self, frame):
        found = self._decode(frame) if frame.source == "ws" else None
        if found is None or not self.owns(found[0], frame):
            return ()
        key, product, topic, message = found
        symbol = topic.rpartition(".")[2]
        item = self.instrument(f"{product}:{symbol}", symbol)
        data = message["data"]
        if topic.startswith("orderbook."):
            kind = SNAPSHOT if message["type"] == "snapshot" else BOOK
            return (Event(key, item, kind, frame.data, data["b"], data["a"], data["u"], {"u": data["u"]}),)
        if topic.startswith("tickers."):
            before = self.tickers.get(key, {}) if message["type"] == "delta" else {}
            self.tickers[key] = {**before, **data}
        return (Event(key, item, DATA, frame.data),)

    def begin_pass(self, number, span_ms):
        super().begin_pass(number, span_ms)
        for item in self.instruments.values():
            span = self._id_spans.get(item.key)
            if number and span:
                item.id_offset += span[1] - span[0]

    def accept(self, event):
        event = super().accept(event)
        if event is None or event.kind is DATA or event.instrument.key not in self.resets:
            return event
        item = event.instrument
        self.resets.discard(item.key)
        item.id_offset = 1 - (event.sequence - item.id_offset)
        item.book.sequence = 1
        book = item.book
        restarted = event.changed(kind=SNAPSHOT, bids=book.bids.top(), asks=book.asks.top(), sequence=1, ids={"u": 1})
        item.history.append(restarted)
        return restarted

    def number(self, event, item):
        if item.id_offset:
            event.sequence += item.id_offset
            event.ids = {"u": event.sequence}
            event.data = None
        item.book.sequence = event.sequence

    def rewrite(self, event, message):
        if self.time_shift_ms:
            for field in ("ts", "cts"):
                if field in message:
                    message[field] += self.time_shift_ms
        data = message["data"]
        if event.kind is not DATA:
            message["type"] = "snapshot" if event.kind is SNAPSHOT else "delta"
            data["b"], data["a"] = list(event.bids), list(event.asks)
            data.update(event.ids)
        elif event.price_shift:
            for entry in data if isinstance(data, list) else [data]:
                for field in PRICE_FIELDS:
                    if entry.get(field):
                        entry[field] = shifted(entry[field], event.price_shift) or entry[field]
        return message

    def unknown_event(self, event):
        return wire_json.dumps({"topic": f"newsflash.{event.instrument.symbol}", "type": "delta", "ts": now_ms(), "data": {}})

    def unknown_word(self, event):
        return wire_json.dumps({"topic": f"orderbook.{event.instrument.book.depth}.{event.instrument.symbol}", "type": "rewind",
                                "ts": now_ms(), "data": {"s": event.instrument.symbol, "b": [], "a": [], "u": 5, "seq": 5},
                                "cts": now_ms()})

    def unknown_element(self, event):
        """A list of trades in which one has a side that is neither buy nor sell."""
        if "/publicTrade." not in event.key:
            return None
        message = wire_json.loads(self.text(event))
        message["data"].append({**message["data"][0], "S": "Both", "i": "f" * 8 + "-0000-5000-8000-000000000000"})
        return wire_json.dumps(message)

    def stamp(self, message):
        for field in ("ts", "cts"):
            if field in message:
                message[field] = now_ms()

    def snapshot(self, item, topic):
        book = item.book
        return {"topic": topic, "type": "snapshot", "ts": now_ms(), "data": {
            "s": item.symbol, "b": book.bids.top(), "a": book.asks.top(), "u": book.sequence, "seq": book.sequence},
            "cts": now_ms()}

    def session(self, connection, path, query):
        match = PATH.fullmatch(path)
        return BybitSession(self, connection, match[1]) if match else None

    def rest(self, method, path, query, old_snapshot=None):
        name = path.removeprefix("/v5/market/")
        if name == "time":
            ms = now_ms()
            return self._result({"timeSecond": str(ms // 1000), "timeNano": str(ms * 1_000_000)})
        category = query.get("category", "linear")
        if name == "instruments-info":
            return self._result({"category": category, "nextPageCursor": "", "list": [
                self._entry(item) for item in self.instruments.values()
                if item.key.startswith(category + ":") and query.get("symbol") in (None, item.symbol)]})
        if name == "orderbook":
            item = self.instruments.get(f"{category}:{query.get('symbol')}")
            if item is None:
                return Reply(b'{"retCode":10001,"retMsg":"params error: symbol invalid","result":{},"retExtInfo":{},"time":0}')
            depth = int(query["limit"]) if query.get("limit", "").isdecimal() else 25
            book = item.book
            return self._result({"s": item.symbol, "b": book.bids.top(depth), "a": book.asks.top(depth), "ts": now_ms(),
                                 "u": book.sequence, "seq": book.sequence, "cts": now_ms()})
        return None

    @staticmethod
    def _result(value):
        return Reply(json.dumps({"retCode": 0, "retMsg": "OK", "result": value, "retExtInfo": {}, "time": now_ms()},
                                separators=(",", ":")).encode())

    def _entry(self, item):
        tick, lot = item.listed_grid()
        entry = dict(self.captured.get(item.key) or {"symbol": item.symbol, "status": "Trading"})
        lots = dict(entry.get("lotSizeFilter") or {"minOrderQty": lot})
        lots["basePrecision" if "basePrecision" in lots else "qtyStep"] = lot
        entry.update(priceFilter={**entry.get("priceFilter", {}), "tickSize": tick}, lotSizeFilter=lots)
        if item.status:
            entry["status"] = item.status
        return entry


class BybitSession(Session):
    def __init__(self, protocol, connection, product):
        super().__init__(protocol, connection)
        self.product = product

    def on_text(self, text):
        try:
            request = wire_json.of_client(text)
            operation = request["op"]
        except (ValueError, TypeError, KeyError):
            self._answer(False, "error:Params Error", "", {})
            return
        if operation == "ping":
            self._answer(True, "pong", "ping", request)
            return
        args = request.get("args")
        if operation not in ("subscribe", "unsubscribe") or not isinstance(args, list):
            self._answer(False, "error:Params Error", operation, request)
            return
        if len(args) > ARGS_MAX.get(self.product, 2000):
            self._answer(False, f"args size >{ARGS_MAX[self.product]}", operation, request)
            return
        keys = [f"{self.product}/{topic}" for topic in args]
        unknown = [topic for topic, key in zip(args, keys, strict=True) if key not in self.protocol.owners]
        if unknown:
            self._answer(False, f"error:handler not found,topic:{','.join(map(str, unknown))}", operation, request)
            return
        doubled = [topic for topic, key in zip(args, keys, strict=True) if key in self.names]
        if operation == "subscribe" and doubled:
            self._answer(False, f"error:already subscribed,topic:{','.join(doubled)}", operation, request)
            return
        self._answer(True, "subscribe" if self.product == "spot" and operation == "subscribe" else "", operation, request)
        for topic, key in zip(args, keys, strict=True):
            if operation == "unsubscribe":
                self.remove(key)
            elif self.add(key, topic):
                self._greet(topic, key)

    def _greet(self, topic, key):
        if topic.startswith("orderbook."):
            item = self.protocol.instruments[f"{self.product}:{topic.rpartition('.')[2]}"]
            self.market(self.protocol.snapshot(item, topic))
        elif key in self.protocol.tickers:
            self.market({"topic": topic, "type": "snapshot", "data": self.protocol.tickers[key], "ts": now_ms()})

    def _answer(self, success, text, operation, request):
        answer = {"success": success, "ret_msg": text, "conn_id": self.connection.label}
        if self.product != "spot" or "req_id" in request:
            answer["req_id"] = request.get("req_id", "")
        self.control(wire_json.dumps({**answer, "op": operation}))
