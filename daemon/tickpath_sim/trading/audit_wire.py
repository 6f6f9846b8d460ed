"""What the wire says, against the ledger: replies, lists and execution reports name only orders and fills that there are, with
the ledger's own prices and quantities; and who was told to wait, waited.

Bytes are put together again as a client would: frames of the server, requests and responses of HTTP. Nothing of the server's
own code or memory is asked.
"""
import re
import struct

import msgspec

from tickpath_sim.trading.audit_truth import PLACES, TERMINAL, text_of, units_of
from tickpath_sim.trading.wire_log import CLOSED, FAULT, HTTP_IN, HTTP_OUT, OPENED, WS_IN, WS_OUT

__all__ = ["WireAudit"]

GRACE_NS = 100_000_000                      # a request that was under way when its client was told to wait
PLACED = {("POST", "/api/v3/order"), ("POST", "/fapi/v1/order")}
API_PATHS = ("/ws-api/", "/ws-fapi/")
UNIT_NS = {"SECOND": 10**9, "MINUTE": 60 * 10**9, "HOUR": 3600 * 10**9, "DAY": 86_400 * 10**9}
LIMIT_CODES = frozenset({-1003, -1015})
BODYLESS = frozenset({204, 304})
decode = msgspec.json.decode


class _Connection:
    __slots__ = ("number", "kind", "path", "out", "parts", "requests", "key", "ins", "pending")

    def __init__(self, number, kind, path):
        self.number, self.kind, self.path = number, kind, path
        self.out, self.parts = bytearray(), b""     # frames not yet whole; a message of several frames
        self.ins = bytearray()
        self.requests = {}                  # WebSocket API: id -> method
        self.pending = []                   # HTTP: (method, path, key) that wait for their response
        self.key = None

    @property
    def client(self):
        return self.key or f"connection {self.number}"


class WireAudit:
    """Takes the records one by one; `finish` when there are no more.

    Parameters: ledger : LedgerAudit that has read everything, or None where the venue takes no orders.
    After it: `counts`, `highest` (of what the venue counts, the most that replies named).
    """

    def __init__(self, ledger, violations):
        self.ledger, self.violations = ledger, violations
        self.counts = {"records": 0, "connections": 0, "requests": 0, "replies": 0, "refusals": 0, "order_messages": 0,
                       "faults": 0, "unreadable": 0, "limited": 0, "banned": 0, "sent_while_told_to_wait": 0}
        self.highest = {}
        self.faults = {}                    # name -> how often
        self._connections = {}
        self._told = {}                     # client -> (until ns, status), of those who must wait
        self._excused = {}                  # connection -> refusals by limits that a fault made
        self._where = ""
        self._places = {}

    def feed(self, r):
        self._where = f"wire record {r.number}"
        self.counts["records"] += 1
        if r.kind == FAULT:
            self._fault(r)
        elif r.kind == OPENED:
            kind, _, path = r.data.decode("utf-8", "replace").partition(" ")
            self._connections[r.connection] = _Connection(r.connection, kind, path)
            self.counts["connections"] += 1
        elif r.kind == CLOSED:
            self._connections.pop(r.connection, None)
        else:
            connection = self._connections.get(r.connection)
            if connection is None:          # it was open before the oldest file begins
                connection = self._connections[r.connection] = _Connection(
                    r.connection, "http" if r.kind in (HTTP_IN, HTTP_OUT) else "ws", "")
            if r.kind == WS_OUT:
                self._frames(connection, r)
            elif r.kind == WS_IN:
                self._frame_in(connection, r)
            elif r.kind == HTTP_IN:
                connection.ins += r.data
                self._http_requests(connection, r.ts_ns)
            else:
                connection.out += r.data
                self._http_responses(connection, r.ts_ns)

    def _wrong(self, check, expected, found, **detail):
        self.violations.add(check, self._where, expected, found, **detail)

    def _fault(self, r):
        self.counts["faults"] += 1
        entry = decode(r.data)
        name = entry.get("fault", "")
        self.faults[name] = self.faults.get(name, 0) + 1
        if entry.get("code") in LIMIT_CODES:
            for where in entry.get("connections", ()):
                self._excused[where["connection"]] = self._excused.get(where["connection"], 0) + 1

    # ---- WebSocket

    def _frames(self, connection, r):
        out = connection.out
        out += r.data
        while len(out) >= 2:
            size, start = out[1] & 0x7F, 2
            if size == 126:
                if len(out) < 4:
                    return
                size, start = struct.unpack_from(">H", out, 2)[0], 4
            elif size == 127:
                if len(out) < 10:
                    return
                size, start = struct.unpack_from(">Q", out, 2)[0], 10
            if len(out) < start + size:
                return
            first, payload = out[0], bytes(out[start:start + size])
            del out[:start + size]
            if first & 0x0F in (0, 1, 2):
                connection.parts += payload
                if first & 0x80:
                    payload, connection.parts = connection.parts, b""
                    self._ws_message(connection, payload, r.ts_ns)

    def _frame_in(self, connection, r):
        if r.flags & 0x0F not in (0, 1):
            return
        connection.ins += r.data
        if not r.flags & 0x80:
            return
        text = bytes(connection.ins)
        connection.ins.clear()
        if not connection.path.startswith(API_PATHS):
            return
        self._request(connection, r.ts_ns)
        try:
            message = decode(text)
            params = message.get("params") or {}
            connection.requests[message.get("id")] = message.get("method")
            key = params.get("apiKey") if isinstance(params, dict) else None
            if isinstance(key, str):
                connection.key = key
        except (msgspec.DecodeError, AttributeError, TypeError, ValueError, RecursionError):
            pass                            # the venue answers such things with an error

    def _ws_message(self, connection, payload, ts_ns):
        is_api = connection.path.startswith(API_PATHS)
        # Market data is most of what goes out and names no order.
        if not is_api and b'"executionReport"' not in payload and b'"ORDER_TRADE_UPDATE"' not in payload:
            return
        message = self._json(payload)
        if not isinstance(message, dict):
            return
        if is_api and "status" in message:
            method = connection.requests.pop(message.get("id"), None)
            self.counts["replies"] += 1
            for row in message.get("rateLimits", ()):
                self._count(row.get("rateLimitType"), row.get("interval"), row.get("intervalNum"), row.get("count"))
            error = message.get("error")
            if error is not None:
                retry_ms = (error.get("data") or {}).get("retryAfter") if isinstance(error.get("data"), dict) else None
                self._refused(connection, message["status"], error.get("code"), ts_ns,
                              None if retry_ms is None else
                              (retry_ms - (error["data"].get("serverTime") or 0)) / 1000)
                self._views(error.get("data"), ts_ns, method == "order.place")
            else:
                self._views(message.get("result"), ts_ns, method in ("order.place", "order.cancelReplace"))
        else:
            event = message.get("event") or message.get("data") or message
            if isinstance(event, dict):
                self._report(event)

    def _json(self, payload):
        try:
            return decode(payload)
        except (msgspec.DecodeError, ValueError, RecursionError):
            self.counts["unreadable"] += 1
            if not self.faults:
                self._wrong("message", "JSON", repr(payload[:60]))
            return None

    # ---- HTTP

    def _http_requests(self, connection, ts_ns):
        data = connection.ins
        while True:
            end = data.find(b"\r\n\r\n")
            if end < 0:
                return
            head = bytes(data[:end]).decode("latin-1")
            size = re.search(r"(?im)^content-length:\s*(\d{1,9})\s*$", head)
            whole = end + 4 + (int(size[1]) if size else 0)
            if len(data) < whole:
                return
            method, _, rest = head.partition(" ")
            path = rest.partition(" ")[0].partition("?")[0]
            key = re.search(r"(?im)^x-mbx-apikey:\s*(\S+)", head)
            if key:
                connection.key = key[1]
            connection.pending.append((method, path))
            self._request(connection, ts_ns)
            del data[:whole]

    def _http_responses(self, connection, ts_ns):
        data = connection.out
        while True:
            end = data.find(b"\r\n\r\n")
            if end < 0:
                return
            head = bytes(data[:end]).decode("latin-1")
            status = int(head[9:12]) if head[9:12].isdigit() else 0
            if status == 100:
                del data[:end + 4]
                continue
            method, path = connection.pending[0] if connection.pending else ("", "")
            if re.search(r"(?im)^transfer-encoding:\s*chunked", head):
                body, whole = _chunks(data, end + 4)
                if body is None:
                    return
            else:
                size = re.search(r"(?im)^content-length:\s*(\d+)", head)
                count = int(size[1]) if size and status not in BODYLESS and method != "HEAD" else 0
                whole = end + 4 + count
                if len(data) < whole:
                    return
                body = bytes(data[end + 4:whole])
            del data[:whole]
            if connection.pending:
                connection.pending.pop(0)
            self._response(connection, method, path, status, head, body, ts_ns)

    def _response(self, connection, method, path, status, head, body, ts_ns):
        self.counts["replies"] += 1
        for name, value in re.findall(r"(?im)^x-mbx-(used-weight-\S+|order-count-\S+):\s*(\d+)", head):
            number, letter = re.fullmatch(r".*-(\d+)([smhd])", name.lower()).groups()
            unit = {"s": "SECOND", "m": "MINUTE", "h": "HOUR", "d": "DAY"}[letter]
            kind = "REQUEST_WEIGHT" if name.lower().startswith("used") else "ORDERS"
            self._count(kind, unit, int(number), int(value))
        if not body or "/api/" not in path and "/fapi/" not in path and "/sapi/" not in path:
            return
        found = self._json(body)
        if status >= 400 and isinstance(found, dict):
            retry = re.search(r"(?im)^retry-after:\s*(\d+)", head)
            self._refused(connection, status, found.get("code"), ts_ns, int(retry[1]) if retry else None)
        self._views(found if status < 400 else (found or {}).get("data") if isinstance(found, dict) else None, ts_ns,
                    (method, path) in PLACED)

    # ---- limits

    def _request(self, connection, ts_ns):
        self.counts["requests"] += 1
        told = self._told.get(connection.client)
        if told is None:
            return
        until_ns, since_ns, status = told
        if ts_ns >= until_ns:
            del self._told[connection.client]
        elif ts_ns > since_ns + GRACE_NS:
            self.counts["sent_while_told_to_wait"] += 1
            self._wrong("ban" if status == 418 else "wait", f"nothing from {connection.client} for another "
                        f"{(until_ns - ts_ns) / 1e9:.1f} s after {status}", "a request", connection=connection.number)

    def _refused(self, connection, status, code, ts_ns, retry_s):
        self.counts["refusals"] += 1
        if status in (429, 418) or code in LIMIT_CODES:
            self.counts["limited" if status != 418 else "banned"] += 1
            if retry_s:
                until = ts_ns + int(retry_s * 1e9)
                known = self._told.get(connection.client)
                # Since the first word: who hears it again has not just been told.
                since = known[1] if known is not None and known[2] == status else ts_ns
                self._told[connection.client] = (until, since, status)
            if self._excused.get(connection.number, 0):
                self._excused[connection.number] -= 1
            else:
                self._wrong("rate limit", f"limits kept by {connection.client}", f"{status} with {code}",
                            connection=connection.number)

    def _count(self, kind, unit, number, count):
        if count is not None:
            name = f"{kind} {number} {unit}"
            self.highest[name] = max(self.highest.get(name, 0), count)

    # ---- orders

    def _units(self, text):
        value = self._places.get(text)
        if value is None:
            if len(self._places) > 1 << 16:
                self._places.clear()
            value = self._places[text] = units_of(text, PLACES)
        return value

    def _views(self, value, ts_ns, is_placement):
        """Every order and fill that a reply names."""
        if self.ledger is None:
            return
        if isinstance(value, list):
            for row in value:
                self._views(row, ts_ns, False)
        elif isinstance(value, dict):
            if isinstance(value.get("orderId"), int) and value["orderId"] > 0:
                if "commission" in value and "qty" in value:
                    self._fill_view(value["orderId"], value.get("id"), value)
                else:
                    self._order_view(value, ts_ns, is_placement)
            else:
                for name, row in value.items():
                    if isinstance(row, (dict, list)):
                        self._views(row, ts_ns, name == "newOrderResponse")

    def _order(self, order_id, what):
        order = self.ledger.orders.get(order_id)
        if order is None:
            self._wrong("acknowledged", "an order of the ledger", f"{what} of order {order_id}", order_id=order_id)
        return order

    def _same(self, order, name, expected, found):
        if found != expected:
            self._wrong("acknowledged", f"{name} {expected} of order {order.order_id}", found, order_id=order.order_id)

    def _order_view(self, view, ts_ns, is_placement):
        self.counts["order_messages"] += 1
        order = self._order(view["orderId"], "a reply")
        if order is None:
            return
        if is_placement and order.acknowledged_ns is None:
            order.acknowledged_ns = ts_ns
        self._same(order, "symbol", order.symbol, view.get("symbol", order.symbol))
        if len(order.qtys) == 1:
            name = "origClientOrderId" if "origClientOrderId" in view else "clientOrderId"
            self._same(order, "client id", order.client_order_id, view.get(name, order.client_order_id))
        if "side" in view:
            self._same(order, "side", order.side, view["side"])
        if "origQty" in view and _is_zero(order.quote_qty):
            self._one_of(order, "quantity", order.qtys, view["origQty"])
        if "price" in view and view.get("type", "LIMIT") in ("LIMIT", "LIMIT_MAKER"):
            self._one_of(order, "price", order.prices, view["price"])
        if "executedQty" in view:
            self._one_of(order, "executed quantity", order.cums, view["executedQty"])
        self._status(order, view.get("status"))
        for fill in view.get("fills") or ():
            if "tradeId" in fill:
                self._fill_view(order.order_id, fill["tradeId"], fill)

    def _one_of(self, order, name, values, text):
        if self._units(text) not in values:
            known = " or ".join([text_of(value, PLACES) for value in values[-3:]])
            self._wrong("acknowledged", f"{name} {known} of order {order.order_id}", text, order_id=order.order_id)

    def _status(self, order, status):
        if status in TERMINAL and status != order.status:
            self._wrong("acknowledged", f"status {order.status} of order {order.order_id}", status, order_id=order.order_id)

    def _fill_view(self, order_id, trade_id, view):
        order = self._order(order_id, "a fill")
        if order is None:
            return
        truth = order.trades.get(trade_id)
        if truth is None:
            self._wrong("acknowledged", f"a trade of order {order_id}", f"trade {trade_id}", order_id=order_id, trade_id=trade_id)
            return
        price, qty, _, fee, fee_asset, _ = truth
        for name, expected, found in (("price", price, view.get("price")), ("quantity", qty, view.get("qty")),
                                      ("fee", self._units(fee), view.get("commission"))):
            if found is not None and self._units(found) != expected:
                self._wrong("acknowledged", f"{name} {text_of(expected, PLACES)} of trade {trade_id}", found, order_id=order_id,
                            trade_id=trade_id)
        if view.get("commissionAsset", fee_asset) not in (fee_asset, None):
            self._wrong("acknowledged", f"fee in {fee_asset} of trade {trade_id}", view["commissionAsset"], trade_id=trade_id)

    def _report(self, event):
        """An execution report, spot's or futures'."""
        kind = event.get("e")
        if self.ledger is None or kind not in ("executionReport", "ORDER_TRADE_UPDATE"):
            return
        row = event if kind == "executionReport" else event.get("o") or {}
        self.counts["order_messages"] += 1
        if row.get("x") == "REJECTED" or not isinstance(row.get("i"), int) or row["i"] <= 0:
            return
        order = self._order(row["i"], f"an execution report {row.get('x')}")
        if order is None:
            return
        self._one_of(order, "executed quantity", order.cums, row["z"])
        self._one_of(order, "quantity", order.qtys, row["q"])
        self._status(order, row.get("X"))
        if row.get("x") == "TRADE":
            self._fill_view(order.order_id, row.get("t"), {"price": row.get("L"), "qty": row.get("l"), "commission": row.get("n"),
                                                           "commissionAsset": row.get("N")})

    # ---- the end

    def finish(self):
        self._where = "wire, at its end"
        if self.ledger is None:
            return
        limits = {f"{row['kind']} {row['number']} {row['unit']}": row for row in self.ledger.limits}
        for name, most in self.highest.items():
            if name in limits and most > limits[name]["limit"]:
                self._wrong("rate limit", f"at most {limits[name]['limit']} {name}", most)
        self._order_rates([row for row in self.ledger.limits if row["kind"] == "ORDERS"])

    def _order_rates(self, limits):
        """Count again what the venue counts: orders that were acknowledged, without those that were filled."""
        for row in limits:
            window_ns, windows = row["number"] * UNIT_NS[row["unit"]], {}
            for order in self.ledger.orders.values():
                if order.acknowledged_ns is None:
                    continue
                key = (order.account, order.ts_ns // window_ns)
                filled = order.status == "FILLED" and order.end_ns is not None
                windows[key] = windows.get(key, 0) + (0 if filled else 1)
            for (account, window), count in windows.items():
                if count > row["limit"]:
                    self._wrong("rate limit", f"at most {row['limit']} orders in {row['number']} {row['unit']}", count,
                                account=account, window=window)


def _is_zero(text):
    return not text.strip("0.")


def _chunks(data, offset):
    """(body, where it ends) of a chunked body; (None, 0) while it is not whole."""
    body = b""
    while True:
        end = data.find(b"\r\n", offset)
        if end < 0:
            return None, 0
        size = int(bytes(data[offset:end]).split(b";")[0], 16)
        if len(data) < end + 2 + size + 2:
            return None, 0
        body += bytes(data[end + 2:end + 2 + size])
        offset = end + 2 + size + 2
        if not size:
            return body, offset
