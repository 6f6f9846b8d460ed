"""Binance spot and USD-M futures: streams by path or by request, diffs that chain by update id, snapshots over REST.

    /ws/btcusdt@trade                          {"e":"trade", …}
    /stream?streams=btcusdt@depth@100ms/…      {"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","U":…,"u":…,"b":[…]}}
    > {"method":"SUBSCRIBE","params":["btcusdt@bookTicker"],"id":1}     < {"result":null,"id":1}

Rules and limits: developers.binance.com/docs/binance-spot-api-docs/web-socket-streams and
…/derivatives/usds-margined-futures/websocket-market-streams, seen 2026-11-21.
"""
import json
import re
from decimal import Decimal
from urllib.parse import unquote

import msgspec

from tickpath_sim import wire_json
from tickpath_sim.protocols.base import BOOK, DATA, Event, Protocol, Session, now_ms, shifted
from tickpath_sim.protocols.binance_rest import BinanceRest, compact

__all__ = ["BinanceSpot"]

STREAM = re.compile(rb'\{"stream":"([^"]+)","data":')
DIFF_NAME = re.compile(r"([^@]+)@depth(?:@\d+ms)?")
PARTIAL_NAME = re.compile(r"([^@]+)@depth(5|10|20)(?:@\d+ms)?")
PATH = re.compile(r"(?:/(?:public|market|private))?/(ws|stream)(?:/(.*))?")
METHODS = "SUBSCRIBE, UNSUBSCRIBE, LIST_SUBSCRIPTIONS, SET_PROPERTY, GET_PROPERTY"
STREAMS_MAX = 1024
STREAM_LENGTH_MAX = 128                     # a listen key has 64, and no stream's name as many
EARLY_DIFFS_MAX = 20_000
MILLISECOND, MICROSECOND = 1_000_000, 1000
# The ids of messages that are not books, by the fields that count them.
ID_FIELDS = {"trade": (("t", re.compile(rb'"t":(\d+)')),),
             "aggTrade": (("a", re.compile(rb'"a":(\d+)')), ("f", re.compile(rb'"f":(\d+)')), ("l", re.compile(rb'"l":(\d+)')))}
# Price fields of the messages that are not books.
PRICES = {"trade": "p", "aggTrade": "p", "bookTicker": "ba"}


class _Diff(msgspec.Struct):
    U: int
    u: int
    b: list
    a: list
    pu: int | None = None


class _Body(msgspec.Struct):
    last_update_id: int = msgspec.field(name="lastUpdateId")
    bids: list
    asks: list


_decode_diff = msgspec.json.Decoder(_Diff).decode
_decode_body = msgspec.json.Decoder(_Body).decode


def stream_of(data):
    """(name of the stream, raw payload) of a captured frame; the name is None for what is no market data."""
    match = STREAM.match(data)
    if match:
        return match[1].decode(), data[match.end():-1]
    if not data.startswith(b"{") or b'"s":"' not in data:
        return None, data
    try:
        message = json.loads(data)
    except ValueError:
        return None, data
    symbol, kind = message.get("s"), message.get("e", "bookTicker" if "B" in message and "A" in message else None)
    if not isinstance(symbol, str) or kind is None:
        return None, data
    if kind == "kline":
        kind = f"kline_{message['k']['i']}"
    return f"{symbol.lower()}@{'depth@100ms' if kind == 'depthUpdate' else kind}", data


class BinanceSpot(BinanceRest, Protocol):
    venue = "binance_spot"
    ping_interval_s = 20
    pong_timeout_s = 60
    cut_after_s = 24 * 3600
    messages_per_s = 5
    rest_weight_per_min = 6000
    orders_per_10s, orders_per_day = 100, 200_000

    def __init__(self):
        super().__init__()
        self.exchange_info = None
        self.trade_events = {}              # (symbol, trade or aggTrade) -> the last events
        self.diff_keys = {}                 # symbol in lower case -> key of its recorded diff stream
        self._bodies = {}                   # symbol -> the first recorded REST snapshot
        self._early = {}                    # symbol -> [(U, u, bids, asks)] before that snapshot
        self._spans = {}                    # (symbol, field) -> [first, last] id of a pass
        self._unnamed = []

    @staticmethod
    def claims(frame):
        data = frame.data
        if not is_binance(frame) or b'"ps":' in data or b'"pu":' in data:
            return False
        if frame.source == "rest":
            return b'"futuresType"' not in data
        # Futures quotes have an event type and futures trades no "M"; klines look alike and tell nothing.
        return b'"e":"depthUpdate"' in data or b'"M":' in data or (b'"e":' not in data and b'"B":' in data)

    # ---- the capture

    def observe(self, frame):
        if frame.source == "rest":
            self._observe_rest(frame)
            return
        name, payload = stream_of(frame.data)
        if name is None or not self.owns(name, frame):
            return
        symbol = name.partition("@")[0]
        item = self.instrument(symbol.upper())
        if DIFF_NAME.fullmatch(name):
            self.diff_keys.setdefault(symbol, name)
            diff = _decode_diff(payload)
            item.observe_rows(diff.b)
            item.observe_rows(diff.a)
            self._span(item.key, "u", diff.U, diff.u)
            body = self._bodies.get(item.key) or (self._unnamed and len(self.diff_keys) == 1 and self._unnamed[0]) or None
            early = self._early.setdefault(item.key, [])
            if (body is None or diff.U <= body.last_update_id) and len(early) <= EARLY_DIFFS_MAX:
                early.append((diff.U, diff.u, diff.b, diff.a))
            return
        for field, pattern in ID_FIELDS.get(name.partition("@")[2], ()):
            if match := pattern.search(payload):
                self._span(item.key, "f" if field == "l" else field, int(match[1]), int(match[1]))

    def _span(self, symbol, field, first, last):
        span = self._spans.setdefault((symbol, field), [first, last])
        span[1] = max(span[1], last)

    def _observe_rest(self, frame):
        if b'"lastUpdateId"' in frame.data:
            body = _decode_body(frame.data)
            if frame.symbol_hint:
                self._bodies.setdefault(frame.symbol_hint, body)
            else:
                self._unnamed.append(body)
        elif b'"symbols"' in frame.data and self.exchange_info is None:
            info = json.loads(frame.data)
            if isinstance(info.get("symbols"), list):
                self.exchange_info = info

    def observed(self):
        if self._unnamed and len(self.diff_keys) == 1:
            # A snapshot without a name belongs to the only instrument there is.
            self._bodies.setdefault(next(iter(self.diff_keys)).upper(), self._unnamed[0])
        for symbol in self.diff_keys:
            item = self.instruments[symbol.upper()]
            body = self._bodies.get(item.key)
            early = self._early.get(item.key, [])
            if len(early) > EARLY_DIFFS_MAX:
                # The snapshot came too late to be reckoned back: the book begins empty.
                body = None
            if body is not None:
                early = [diff for diff in early if diff[0] <= body.last_update_id]
                item.observe_rows(body.bids)
                item.observe_rows(body.asks)
            item.start = _book_before(body, early, self._spans[item.key, "u"][0])
        for entry in (self.exchange_info or {}).get("symbols", ()):
            item = self.instruments.get(entry.get("symbol"))
            if item is not None:
                filters = {f.get("filterType"): f for f in entry.get("filters", ())}
                item.tick_size = filters.get("PRICE_FILTER", {}).get("tickSize")
                item.lot_size = filters.get("LOT_SIZE", {}).get("stepSize")
        self._early = self._bodies = None
        super().observed()

    def events(self, frame):
        if frame.source != "ws":
            return ()
        name, payload = stream_of(frame.data)
        if name is None or not self.owns(name, frame):
            return ()
        item = self.instrument(name.partition("@")[0].upper())
        if not DIFF_NAME.fullmatch(name):
            return (Event(name, item, DATA, payload),)
        diff = _decode_diff(payload)
        ids = {"U": diff.U, "u": diff.u}
        if diff.pu is not None:
            ids["pu"] = diff.pu
        return (Event(name, item, BOOK, payload, diff.b, diff.a, diff.u, ids),)

    # ---- ids

    def begin_pass(self, number, span_ms):
        super().begin_pass(number, span_ms)
        for item in self.instruments.values():
            span = self._spans.get((item.key, "u"))
            if number and span:
                # The first diff of this pass begins one behind the last id of the pass before.
                item.id_offset += span[1] - span[0] + 1

    def number(self, event, item):
        if item.id_offset:
            event.ids = {name: value + item.id_offset for name, value in event.ids.items()}
            if "pu" in event.ids and item.book.sequence is not None:
                event.ids["pu"] = item.book.sequence
            event.sequence = event.ids["u"]
            event.data = None
        item.book.sequence = event.sequence

    def rewrite(self, event, message):
        if event.kind is BOOK:
            message.update(event.ids)
            message["b"], message["a"] = list(event.bids), list(event.asks)
        elif event.price_shift:
            for field in PRICES.get(event.key.split("@")[1], ""):
                message[field] = shifted(message[field], event.price_shift) or message[field]
            if "k" in message:
                for field in "ohlc":
                    message["k"][field] = shifted(message["k"][field], event.price_shift) or message["k"][field]
        if self.time_shift_ms:
            self._later(event, message)
        return message

    def _later(self, event, message):
        """Times and ids of a later pass go on where the pass before ended."""
        for field in ("E", "T"):
            if field in message:
                message[field] += self.time_shift_ms
        if event.kind is BOOK:
            return
        for field, _ in ID_FIELDS.get(event.key.partition("@")[2], ()):
            first, last = self._spans[event.instrument.key, "f" if field == "l" else field]
            message[field] += (last - first + 1) * self.pass_number
        if "k" in message:
            message["k"]["t"] += self.time_shift_ms
            message["k"]["T"] += self.time_shift_ms
        elif "B" in message and "u" in message:
            message["u"] += event.instrument.id_offset

    def unknown_event(self, event):
        return compact({"stream": f"{event.instrument.symbol.lower()}@newsflash",
                        "data": {"e": "newsflash", "E": now_ms(), "s": event.instrument.symbol}})

    def stamp(self, message):
        for field in ("E", "T"):
            if field in message:
                message[field] = now_ms()

    # ---- clients

    def session(self, connection, path, query):
        match = PATH.fullmatch(path)
        if match is None:
            return None
        combined = match[1] == "stream"
        names = query.get("streams", "") if combined else match[2] or ""
        names = [unquote(n) for n in names.split("/") if n]
        if "listenKey" in query:
            names.append(query["listenKey"])
        return BinanceSession(self, connection, combined, names, MICROSECOND if query.get("timeUnit", "").upper() == "MICROSECOND"
                              else MILLISECOND)

    def key_of(self, name):
        """(key of the recorded stream, depth of a partial book or None) for a stream's name; key None if none serves it."""
        if name in self.owners:
            return name, None
        if match := DIFF_NAME.fullmatch(name):
            return self.diff_keys.get(match[1]), None
        if match := PARTIAL_NAME.fullmatch(name):
            return self.diff_keys.get(match[1]), int(match[2])
        return None, None

    def partial(self, event, depth):
        """A partial book stream's message: the best levels after this event."""
        book = event.instrument.book
        return compact({"lastUpdateId": book.sequence, "bids": book.bids.top(depth), "asks": book.asks.top(depth)})

    def shutdown_notice(self):
        return compact({"e": "serverShutdown", "E": now_ms()})


class BinanceSession(Session):
    """One connection. `streams` keeps the client's names in the order in which it asked for them."""

    def __init__(self, protocol, connection, combined, names, unit_ns=MILLISECOND):
        super().__init__(protocol, connection)
        self.combined = combined
        self.unit_ns = unit_ns              # of the times in user data; market data stays as it is
        self.streams = {}                   # name -> (key or None, depth of a partial book or None)
        self._asked = names

    @property
    def subscribed(self):
        return bool(self.streams)

    def on_open(self):
        for name in [name for name in self._asked if len(name) <= STREAM_LENGTH_MAX][:STREAMS_MAX]:
            self._subscribe(name)

    def _subscribe(self, name):
        trading = self.protocol.trading
        if trading is not None and trading.users.attach(self, name, self.unit_ns):
            self.streams[name] = (None, None)
            return
        key, depth = self.protocol.key_of(name)
        self.streams[name] = (key, depth)
        if key is not None:
            self.add(key, None)

    def closed(self):
        if self.protocol.trading is not None:
            self.protocol.trading.users.detach(self)

    def _unsubscribe(self, name):
        if self.protocol.trading is not None and name in self.protocol.trading.users.keys:
            self.protocol.trading.users.detach(self, name)
        key, _ = self.streams.pop(name, (None, None))
        if key is not None and all(other != key for other, _ in self.streams.values()):
            self.remove(key)

    def render(self, event):
        messages = []
        for name, (key, depth) in self.streams.items():
            if key != event.key:
                continue
            made = event.cache.get((name, self.combined))
            if made is None:
                made = self.protocol.text(event) if depth is None else self.protocol.partial(event, depth)
                if self.combined:
                    made = b'{"stream":"%b","data":%b}' % (name.encode(), made)
                event.cache[name, self.combined] = made
            messages.append(made)
        return messages

    def on_text(self, text):
        try:
            request = wire_json.of_client(text)
        except ValueError as e:
            self.control({"code": 3, "msg": f"Invalid JSON: {e}"})
            return
        if not isinstance(request, dict) or "method" not in request:
            self.control({"code": 2, "msg": "Invalid request: missing field `method`"})
            return
        method, number, params = request["method"], request.get("id"), request.get("params", [])
        if not (number is None or isinstance(number, str) or (isinstance(number, int) and number >= 0)):
            self.control({"code": 2, "msg": "Invalid request: request ID must be an unsigned integer"})
            return
        answer = self._answer(method, params)
        self.control({**answer, "id": number} if "result" in answer else answer)

    def _answer(self, method, params):
        if method in ("SUBSCRIBE", "UNSUBSCRIBE"):
            if not isinstance(params, list) or not all(isinstance(name, str) for name in params) \
                    or any(len(name) > STREAM_LENGTH_MAX for name in params):
                return {"code": 2, "msg": "Invalid request: params must be a list of stream names"}
            if len(set(self.streams) | set(params)) > STREAMS_MAX:
                return {"code": 2, "msg": "Invalid request: too many parameters"}
            for name in params:
                (self._subscribe if method == "SUBSCRIBE" else self._unsubscribe)(name)
            return {"result": None}
        if method == "LIST_SUBSCRIPTIONS":
            return {"result": list(self.streams)}
        if method in ("SET_PROPERTY", "GET_PROPERTY"):
            if not isinstance(params, list) or not params or params[0] != "combined":
                return {"code": 0, "msg": "Unknown property"}
            if method == "GET_PROPERTY":
                return {"result": self.combined}
            if len(params) != 2 or not isinstance(params[1], bool):
                return {"code": 1, "msg": "Invalid value type: expected Boolean"}
            self.combined = params[1]
            return {"result": None}
        return {"code": 2, "msg": f"Invalid request: unknown variant `{method}`, expected one of {METHODS}"}


def is_binance(frame):
    data = frame.data
    if frame.source == "rest":
        return b'"exchangeFilters"' in data[:4096] and b'"symbols"' in data
    return bool(STREAM.match(data)) or (data.startswith(b"{") and b'"e":"depthUpdate"' in data[:64])


def _book_before(body, early, first_id):
    """(bids, asks, sequence): a book to which the capture's first diff can be applied, so that the book of the recorded REST
    snapshot comes out where it was recorded.

    A level that a diff before the snapshot touches has an unknown past and is left out until that diff sets it; one that
    none touches was as the snapshot says. So the book is never crossed and never wrong, only thinner for a moment.
    """
    sequence = first_id - 1
    if body is None:
        return [], [], sequence
    if not early:
        return body.bids, body.asks, max(sequence, body.last_update_id)
    touched = [{Decimal(row[0]) for diff in early for row in diff[side]} for side in (2, 3)]
    bids, asks = ([row for row in rows if Decimal(row[0]) not in prices]
                  for rows, prices in zip((body.bids, body.asks), touched, strict=True))
    return bids, asks, sequence
