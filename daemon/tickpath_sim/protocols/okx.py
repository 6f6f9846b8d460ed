"""OKX v5 public: books with a checksum over 25 levels and a chain of sequence ids, trades, tickers.

    > {"op":"subscribe","args":[{"channel":"books","instId":"BTC-USDT"}]}
    < {"event":"subscribe","arg":{"channel":"books","instId":"BTC-USDT"},"connId":"a4d3ae55"}
    < {"arg":{…},"action":"update","data":[{"asks":[["30249.4","0","0","0"]],"bids":[],"ts":"1652459225464",
       "checksum":-914047754,"prevSeqId":1000137,"seqId":1000141}]}

Captures from before the sequence ids get them here, so that a client of today's protocol can follow the chain: rising, with
gaps between numbers, each message naming the one before. A client that pings gets its pong; one that neither sends nor is
sent anything for 30 s is closed. Rules: www.okx.com/docs-v5, seen 2026-11-21.
"""
import json
import re
from zlib import crc32

from tickpath_sim import wire_json
from tickpath_sim.protocols.base import BOOK, DATA, SNAPSHOT, Event, Protocol, Reply, Session, now_ms, shifted

CHECKSUM_LEVELS = 25
# Channels with snapshot and updates: one recorded stream serves all of them.
BOOK_CHANNELS = ("books", "books-l2-tbt", "books50-l2-tbt", "books-elp")
PARTIAL_CHANNELS = {"books5": 5, "bbo-tbt": 1}
FIRST_SEQUENCE = 1_000_000
PRICE_FIELDS = ("px", "last", "askPx", "bidPx", "open24h", "high24h", "low24h", "sodUtc0", "sodUtc8")


def plain(text):
    """A number as OKX writes it, without zeros at its end: a price that a fault has moved may have some."""
    return text.rstrip("0").rstrip(".") if "." in text else text


def okx_checksum(book):
    """Signed CRC32 of bid and ask in turn, price:quantity, of the 25 best levels; a side that is shorter is left out."""
    bids, asks = book.bids.top(CHECKSUM_LEVELS), book.asks.top(CHECKSUM_LEVELS)
    parts = []
    for n in range(max(len(bids), len(asks))):
        for rows in (bids, asks):
            if n < len(rows):
                parts += map(plain, rows[n][:2])
    unsigned = crc32(":".join(parts).encode())
    return unsigned - (1 << 32) if unsigned >= 1 << 31 else unsigned


class Okx(Protocol):
    venue = "okx"
    normal_status = "live"
    has_checksum = True
    checksum_pattern = re.compile(rb'"checksum":(-?\d+)')
    idle_timeout_s = 30

    def __init__(self):
        super().__init__()
        self.book_keys = {}                 # instId -> key of its recorded book stream
        self.captured = {}                  # instId -> its entry of the recorded instrument list
        self.sequence_reset = set()         # instruments whose next message starts a new chain
        self.books_by_rest = False          # as since 2026-08: no snapshot at the subscription, and no checksum

    @staticmethod
    def claims(frame):
        data = frame.data
        if frame.source == "rest":
            return b'"instId":"' in data[:4096] and b'"tickSz":"' in data[:4096]
        return data.startswith((b'{"arg":{"channel":"', b'{"event":"subscribe","arg":{"channel":"')) and b'"instId":' in data

    @staticmethod
    def _decode(frame):
        if not frame.data.startswith(b'{"arg":') or b'"data":' not in frame.data:
            return None
        message = json.loads(frame.data)
        arg = message["arg"]
        if "instId" not in arg:
            return None
        return f"{arg['channel']}:{arg['instId']}", arg["instId"], message

    def observe(self, frame):
        if frame.source == "rest":
            if b'"tickSz"' in frame.data:
                for entry in json.loads(frame.data).get("data", ()):
                    self.captured[entry["instId"]] = entry
            return
        found = self._decode(frame)
        if found is None or not self.owns(found[0], frame):
            return
        key, symbol, message = found
        item = self.instrument(symbol)
        if "action" in message:
            self.book_keys.setdefault(symbol, key)
            entry = message["data"][0]
            item.observe_rows(entry["bids"])
            item.observe_rows(entry["asks"])
            if message["action"] == "snapshot" and not item.start[0] and not item.start[1]:
                item.start = (entry["bids"], entry["asks"], entry.get("seqId", FIRST_SEQUENCE))

    def observed(self):
        for item in self.instruments.values():
            entry = self.captured.get(item.symbol)
            if entry is not None:
                item.tick_size, item.lot_size = entry["tickSz"], entry["lotSz"]
            if item.start[2] is None:
                item.start = (*item.start[:2], FIRST_SEQUENCE)
        super().observed()

    def events(self, frame):
        found = self._decode(frame) if frame.source == "ws" else None
        if found is None or not self.owns(found[0], frame):
            return ()
        key, symbol, message = found
        item = self.instrument(symbol)
        if "action" not in message:
            return (Event(key, item, DATA, frame.data),)
        entry = message["data"][0]
        kind = SNAPSHOT if message["action"] == "snapshot" else BOOK
        ids = {"seqId": entry["seqId"], "prevSeqId": entry["prevSeqId"]} if "seqId" in entry else None
        return (Event(key, item, kind, frame.data, entry["bids"], entry["asks"], entry.get("seqId"), ids),)

    def number(self, event, item):
        before = item.book.sequence
        if self.books_by_rest:
            event.data = None
        if item.key in self.sequence_reset:
            self.sequence_reset.discard(item.key)
            item.id_offset = None
            sequence = 1 + len(event.bids) + len(event.asks)
        elif event.ids is not None and item.id_offset == 0 and not self.pass_number:
            item.book.sequence = event.sequence
            return
        else:
            sequence = before + 1 + len(event.bids) + len(event.asks)
        event.ids = {"seqId": sequence, "prevSeqId": before if event.kind is BOOK else -1}
        event.sequence = item.book.sequence = sequence
        if event.data is not None:
            # Spliced in, so that the rest of the message stays as captured.
            if event.data.endswith(b"}]}") and b'"seqId"' not in event.data:
                event.data = event.data[:-3] + b',"prevSeqId":%d,"seqId":%d}]}' % (event.ids["prevSeqId"], sequence)
            else:
                event.data = None

    def rewrite(self, event, message):
        if event.kind is DATA:
            for entry in message["data"]:
                if event.price_shift:
                    for field in PRICE_FIELDS:
                        if entry.get(field):
                            entry[field] = shifted(entry[field], event.price_shift) or entry[field]
                self._later(entry)
            return message
        entry = message["data"][0]
        entry["bids"], entry["asks"] = list(event.bids), list(event.asks)
        if self.books_by_rest:
            entry.pop("checksum", None)
        elif "checksum" in entry and event.checksum is not None:
            entry["checksum"] = event.checksum
        entry.update(event.ids or {})
        self._later(entry)
        return message

    def _later(self, entry):
        if self.time_shift_ms and "ts" in entry:
            entry["ts"] = str(int(entry["ts"]) + self.time_shift_ms)

    def unknown_event(self, event):
        return wire_json.dumps({"arg": {"channel": "newsflash", "instId": event.instrument.symbol},
                                "data": [{"ts": str(now_ms())}]})

    def unknown_word(self, event):
        return wire_json.dumps({"arg": {"channel": "books", "instId": event.instrument.symbol}, "action": "rewind", "data": [
            {"asks": [], "bids": [], "ts": str(now_ms()), "seqId": 1, "prevSeqId": 1}]})

    def unknown_element(self, event):
        """A list of trades in which one has a side that is neither buy nor sell."""
        if not event.key.startswith("trades:"):
            return None
        message = wire_json.loads(self.text(event))
        message["data"].append({**message["data"][0], "side": "both"})
        return wire_json.dumps(message)

    def stamp(self, message):
        for entry in message["data"]:
            if "ts" in entry:
                entry["ts"] = str(now_ms())

    def checksum(self, book):
        return okx_checksum(book)

    def snapshot(self, item, arg):
        book = item.book
        return {"arg": arg, "action": "snapshot", "data": [{
            "asks": book.asks.top(400), "bids": book.bids.top(400), "ts": str(now_ms()), "checksum": okx_checksum(book),
            "prevSeqId": -1, "seqId": book.sequence}]}

    def partial(self, item, arg, depth):
        book = item.book
        return {"arg": arg, "data": [{"asks": book.asks.top(depth), "bids": book.bids.top(depth), "instId": item.symbol,
                                      "ts": str(now_ms()), "seqId": book.sequence}]}

    def session(self, connection, path, query):
        return OkxSession(self, connection) if path in ("/", "/ws/v5/public", "/ws/v5/business") else None

    def status_messages(self, instrument, status):
        return [("status", wire_json.dumps({"arg": {"channel": "status"}, "data": [{
            "title": f"{instrument.symbol} {status}", "state": "ongoing", "begin": str(now_ms()), "end": "", "href": "",
            "serviceType": "1", "system": "unified", "scheDesc": "", "ts": str(now_ms())}]}))]

    def rest(self, method, path, query, old_snapshot=None):
        name = path.removeprefix("/api/v5/")
        if name == "public/time":
            return self._data([{"ts": str(now_ms())}])
        if name == "public/instruments":
            return self._data([self._entry(item) for item in self.instruments.values()
                               if query.get("instType") in (None, self._entry(item)["instType"])
                               and query.get("instId") in (None, item.symbol)])
        if name in ("market/books", "market/books-full"):
            item = self.instruments.get(query.get("instId"))
            if item is None:
                return Reply(b'{"code":"51001","msg":"Instrument ID does not exist","data":[]}')
            depth = int(query["sz"]) if query.get("sz", "").isdecimal() else 1
            book = item.book
            return self._data([{"asks": book.asks.top(depth), "bids": book.bids.top(depth), "ts": str(now_ms()),
                                "seqId": book.sequence}])
        return None

    @staticmethod
    def _data(rows):
        return Reply(json.dumps({"code": "0", "msg": "", "data": rows}, separators=(",", ":")).encode())

    def _entry(self, item):
        tick, lot = item.listed_grid()
        base, _, rest = item.symbol.partition("-")
        captured = self.captured.get(item.symbol, {"instType": "SPOT", "instId": item.symbol, "baseCcy": base, "quoteCcy": rest,
                                                   "minSz": lot})
        return {**captured, "tickSz": tick, "lotSz": lot, "state": item.status or captured.get("state", "live")}


class OkxSession(Session):
    def __init__(self, protocol, connection):
        super().__init__(protocol, connection)
        self.args = {}                      # (channel, instId) -> (key, arg as the client wrote it, depth or None)

    @property
    def subscribed(self):
        return bool(self.args)

    def on_text(self, text):
        if text == "ping":
            self.control("pong")
            return
        try:
            request = wire_json.of_client(text)
            operation, args = request["op"], request["args"]
            args = [(arg["channel"], arg.get("instId"), arg) for arg in args]
        except (ValueError, TypeError, KeyError, AttributeError):
            self._error("60012", f"Invalid request: {text[:200]}", {})
            return
        number = {"id": request["id"]} if "id" in request else {}
        if operation not in ("subscribe", "unsubscribe"):
            self._error("60012", f"Invalid request: {text[:200]}", number)
            return
        for channel, symbol, arg in args:
            if operation == "subscribe":
                self._subscribe(channel, symbol, arg, number)
            else:
                self._unsubscribe(channel, symbol, arg, number)

    def _error(self, code, text, number):
        self.control({**number, "event": "error", "code": code, "msg": text, "connId": self.connection.label})

    def _subscribe(self, channel, symbol, arg, number):
        protocol = self.protocol
        depth = PARTIAL_CHANNELS.get(channel)
        key = f"{channel}:{symbol}"
        if channel == "status":
            key = "status"
        elif channel in BOOK_CHANNELS or depth:
            key = protocol.book_keys.get(symbol)
        if key is None or (key != "status" and key not in protocol.owners):
            self._error("60018", f"Wrong URL or channel:{channel},instId:{symbol} doesn't exist. Please use the correct URL, "
                                 "channel and parameters referring to API document.", number)
            return
        self.control({**number, "event": "subscribe", "arg": arg, "connId": self.connection.label})
        self.args[channel, symbol] = (key, arg, depth)
        self.add(key)
        item = protocol.instruments.get(symbol)
        if depth:
            self.market(protocol.partial(item, arg, depth))
        elif channel in BOOK_CHANNELS:
            if not protocol.books_by_rest:
                self.market(protocol.snapshot(item, arg))
        elif channel == "tickers" and key in protocol.last:
            self.market(protocol.text(protocol.last[key]))

    def _unsubscribe(self, channel, symbol, arg, number):
        found = self.args.pop((channel, symbol), None)
        if found is not None and all(key != found[0] for key, _, _ in self.args.values()):
            self.remove(found[0])
        self.control({**number, "event": "unsubscribe", "arg": arg, "connId": self.connection.label})

    def render(self, event):
        messages = []
        for (channel, _), (key, arg, depth) in self.args.items():
            if key != event.key:
                continue
            made = event.cache.get(channel)
            if made is None:
                if depth:
                    made = wire_json.dumps(self.protocol.partial(event.instrument, arg, depth))
                else:
                    recorded = key.partition(":")[0]
                    made = self.protocol.text(event)
                    if channel != recorded:
                        made = made.replace(b'"channel":"%b"' % recorded.encode(), b'"channel":"%b"' % channel.encode(), 1)
                event.cache[channel] = made
            messages.append(made)
        return messages
