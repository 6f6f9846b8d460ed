"""What goes wrong with orders when it is told to: requests, their replies, and user data on its way out.

While nothing is armed `active` is False and nobody asks. A request comes as `request(request, execute, send)`: a fault that takes
it calls `execute` and `send` now, later, twice or never, and answers True. A message of user data comes as
`user_event(connection, account, event, send)`. What was done stands in the injection log with the order's ids.
"""
import asyncio
import random
import time
from collections import deque

from tickpath_sim.fault_table import ORDER_WHENS
from tickpath_sim.frames import frame
from tickpath_sim.protocols.base import VenueClock
from tickpath_sim.trading.fault_answers import ORDER_ID, body_of, cut, order_of, with_body, without_rows

__all__ = ["OrderFaults"]

BAN_S_MAX = 3 * 86_400
HELD_MAX = 10_000                           # messages held back at a time; beyond, they go out
NO_SUCH_ORDER = (400, -2013, "Order does not exist.")
HALF_ERRORS = {"new": (-2010, "Account has insufficient balance for requested action."), "cancel": (-2011, "Unknown order sent.")}
UNKNOWN = (408, -1007, "Timeout waiting for response from backend server. Send status unknown; execution status unknown.")
EXECUTIONS = frozenset({"executionReport", "ORDER_TRADE_UPDATE"})
ACCOUNTS = frozenset({"outboundAccountPosition", "balanceUpdate", "ACCOUNT_UPDATE"})
SINGLE_QUERIES = frozenset({"order.status"})
LIST_QUERIES = frozenset({"openOrders.status", "allOrders"})


class OrderFaults:
    """Parameters: server : SimServer with its injector and its trading venue."""

    def __init__(self, server):
        self.server, self.venue, self.injector = server, server.trading, server.injector
        self.active = False
        self._armed = []                    # (Armed, random.Random), in the table's order
        self._acks = {}                     # order id -> () that sends the reply which waits for its first fill
        self._fills = {}                    # order id -> [() …] that send the reports which wait for its cancel
        self._behind = {}                   # connection number -> deque of () that go out behind its next message
        self._held = 0
        self._clock = None                  # of clock_skew: offset before it, time it began
        self._ban = None
        self.injector.orders = self
        self.injector.actions |= {"clock_skew": (self._begin_skew, self._end_skew), "mark_price": (self._pin, self._unpin),
                                  "funding": (self._fund, None)}
        self._requests = {
            "ban": self._banned, "bad_timestamp": self._refuse, "no_balance": self._refuse, "filter_reject": self._refuse,
            "unknown_503": self._unknown, "timeout_1007": self._unknown, "lost_reply": self._lose_reply,
            "half_cancel_replace": self._half, "expired_in_match": self._expire, "status_lag": self._lag,
            "fill_before_ack": self._hold_ack, "cut_reply": self._cut}
        self._users = {"silent_user_stream": self._drop, "missing_fill": self._drop, "trade_twice": self._twice,
                       "late_fill": self._hold_fill}
        self._messages = {"drop_message": self._drop_message, "delay_message": self._delay, "duplicate_message": self._duplicate,
                          "reorder_message": self._reorder}
        self._order = (*self._requests, *self._users, *self._messages)
        halt = self.injector.actions.get("halt")
        if halt is not None:
            self.injector.actions["halt"] = (lambda armed: (halt[0](armed), self._halt(armed, "HALT")),
                                             lambda armed: (halt[1](armed), self._halt(armed, "TRADING")))

    # ---- what the injector asks

    def account_names(self):
        return sorted(account.name for account in self.venue.accounts)

    def symbol(self, name):
        return self.venue.symbols.get(name.upper())

    def changed(self, gone=None):
        """Faults were armed or taken back."""
        kept = {armed: drawn for armed, drawn in self._armed}
        armed = [a for a in self.injector.armed.values() if a.spec.when in ORDER_WHENS]
        armed.sort(key=lambda a: self._order.index(a.name))
        self._armed = [(a, kept.get(a) or random.Random(a.values["seed"])) for a in armed]
        # One whose count is used up has hit: what it holds back keeps its time.
        if gone is not None and gone.remaining != 0:
            self._release(gone)
        self._settle_active()

    def _release(self, gone):
        """Let go what a fault that is over has held back."""
        waiting = []
        if gone.name == "fill_before_ack":
            waiting, self._acks = list(self._acks.values()), {}
        elif gone.name == "late_fill":
            waiting, self._fills = [send for held in self._fills.values() for send in held], {}
        elif gone.name == "reorder_message":
            waiting, self._behind = [send for held in self._behind.values() for send in held], {}
        elif gone.name == "ban":
            self._ban = None
        for send in waiting:
            send()

    def tick(self, now_mono):
        """Called every 20 ms."""
        skew = self.injector.armed.get("clock_skew")
        if skew is not None and self._clock is not None:
            before, since = self._clock
            drift_ms = (now_mono - since) * 1000 * skew.values["drift_ppm"] / 1e6
            VenueClock.offset_ms = before + skew.values["offset_ms"] + int(drift_ms)

    # ---- who is hit

    def _hits(self, armed, drawn, *, symbol, account, client_order_id, connection, op=None):
        values = armed.values
        if (armed.over(time.monotonic()) or not (armed.symbol is None or armed.symbol.upper() == symbol)
                or not (values["account"] is None or account is not None and account.name == values["account"])
                or (connection is not None and not armed.reaches(connection))
                or (op is not None and values.get("op") and values["op"] != op)):
            return False
        wanted = values["client_order_id"]
        if wanted is not None and not (client_order_id == wanted or wanted.endswith("*") and client_order_id is not None
                                       and client_order_id.startswith(wanted[:-1])):
            return False
        if values["probability"] < 1 and drawn.random() >= values["probability"]:
            return False
        if values["skip"] > 0:
            values["skip"] -= 1
            return False
        return True

    def _note(self, armed, connection=None, *, account=None, symbol=None, **detail):
        number = getattr(connection, "number", None)
        self.injector.note(armed.name, connections=[] if number is None else [{"connection": number}], symbol=symbol,
                           account=None if account is None else account.name,
                           **{key: value for key, value in detail.items() if value is not None})

    def _note_request(self, armed, request, **detail):
        self._note(armed, request.connection, account=request.account, **{
            "symbol": request.symbol, "op": request.op, "transport": request.transport,
            "client_order_id": request.client_order_id, "order_id": request.order_id, **detail})

    def _use(self, armed):
        armed.use()
        if armed.remaining == 0:
            # The next request finds it gone; the ticks would take up to 20 ms.
            self._armed = [(a, drawn) for a, drawn in self._armed if a is not armed]
            self._settle_active()

    # ---- requests

    def request(self, request, execute, send):
        """True when a fault has taken the request over."""
        send = self._reply_sender(request, send)
        for armed, drawn in self._armed:
            handler = self._requests.get(armed.name)
            if handler is not None and self._hits(
                    armed, drawn, symbol=request.symbol, account=request.account, client_order_id=request.client_order_id,
                    connection=request.connection, op=request.op) and handler(armed, request, execute, send):
                return True
        answer = execute()
        send(answer)
        return True

    def _reply_sender(self, request, send):
        """`send`, with what is armed for replies, and with what waits for this reply behind it."""
        def sender(answer):
            data = body_of(answer)
            known = ORDER_ID.search(data)
            self._message("reply", None, request.connection, request.account, request.symbol,
                          request.client_order_id, int(known[1]) if known else request.order_id, lambda: send(answer),
                          op=request.op)
        return sender

    def _refuse(self, armed, request, execute, send):
        values = armed.values
        if armed.name == "bad_timestamp" and "timestamp" not in request.params:
            return False
        self._use(armed)
        self._note_request(armed, request, code=values["code"])
        send(request.error(values["status"], values["code"], values["msg"]))
        return True

    def _unknown(self, armed, request, execute, send):
        values = armed.values
        self._use(armed)
        order_id = None
        if values["accept"] == "now":
            order_id = order_of(execute())
        elif values["accept"] == "late":
            self._later(values["after_ms"], lambda: self._note_request(armed, request, accepted_late=True,
                                                                       order_id=order_of(execute())))
        self._note_request(armed, request, order_id=order_id, accept=values["accept"], code=values["code"])
        send(request.error(values["status"], values["code"], values["msg"]))
        return True

    def _lose_reply(self, armed, request, execute, send):
        answer = execute()
        order_id = order_of(answer)
        if order_id is None:
            send(answer)                    # it was refused: there is no order that could be lost
            return True
        self._use(armed)
        self._note_request(armed, request, order_id=order_id, how=armed.values["how"])
        if armed.values["how"] == "reset":
            request.connection.reset()
        elif armed.values["how"] == "close":
            cut(request.connection, 0, b"")
        return True

    def _half(self, armed, request, execute, send):
        form = armed.values["form"]
        leg = form.partition("_")[0]
        setattr(request, f"force_{leg}", HALF_ERRORS[leg])
        self._use(armed)
        answer = execute()
        self._note_request(armed, request, form=form, order_id=order_of(answer))
        send(request.error(*UNKNOWN) if form.endswith("unknown") else answer)
        return True

    def _expire(self, armed, request, execute, send):
        answer = execute()
        order_id = order_of(answer)
        order = None if order_id is None else self.venue.orders.by_id.get(order_id)
        if order is not None:
            self._use(armed)
            self._note_request(armed, request, order_id=order_id, was=order.status)
            if order.is_open:
                self.venue.orders.expire(order, "EXPIRED_IN_MATCH")
        send(answer)
        return True

    def _lag(self, armed, request, execute, send):
        since_ns = self.venue.now_ns() - armed.values["lag_ms"] * 1_000_000
        by_id = self.venue.orders.by_id
        if request.op in SINGLE_QUERIES:
            account, symbol = request.account, self.symbol(request.symbol or "")
            if account is None or symbol is None:
                return False
            order = self.venue.orders.find(account, symbol, request.order_id, request.params.get("origClientOrderId"))
            if order is None or order.created_ns <= since_ns:
                return False
            self._use(armed)
            self._note_request(armed, request, order_id=order.order_id, client_order_id=order.client_order_id)
            send(request.error(*NO_SUCH_ORDER))
            return True
        if request.op not in LIST_QUERIES or not armed.values["lists"]:
            return False
        answer = execute()
        young = {number for number in map(int, ORDER_ID.findall(body_of(answer)))
                 if number in by_id and by_id[number].created_ns > since_ns}
        if young:
            self._use(armed)
            self._note_request(armed, request, order_ids=sorted(young))
            answer = with_body(answer, without_rows(body_of(answer), young))
        send(answer)
        return True

    def _hold_ack(self, armed, request, execute, send):
        # The reply is made, and with it the order; its first fill may be on its way out in this very call.
        seen = []
        self._watch = seen
        try:
            answer = execute()
        finally:
            self._watch = None
        order_id = order_of(answer)
        if order_id is None:
            send(answer)
            return True
        self._use(armed)
        self._note_request(armed, request, order_id=order_id)
        if order_id in seen:
            send(answer)
            return True
        def late():
            if self._acks.pop(order_id, None) is not None:
                self._settle_active()
            send(answer)
        done = []
        def once():
            if not done:
                done.append(True)
                late()
        self._acks[order_id] = once
        self.active = True
        self._later(armed.values["hold_ms"], once)
        return True

    def _cut(self, armed, request, execute, send):
        answer = execute()
        self._use(armed)
        self._note_request(armed, request, order_id=order_of(answer), bytes=armed.values["bytes"])
        if hasattr(request.connection, "cut_after"):
            request.connection.cut_after(armed.values["bytes"])
            if armed.values["bytes"]:
                send(answer)
        else:
            cut(request.connection, armed.values["bytes"], frame(body_of(answer)))
        return True

    def _banned(self, armed, request, execute, send):
        values, now = armed.values, time.monotonic()
        ban = self._ban
        armed.fired += 1
        if ban is None:
            ban = self._ban = {"until": now + values["retry_after_s"], "status": 429, "refused": 0, "ban_s": values["ban_s"]}
        elif now >= ban["until"]:
            # Waited out: over, as at the venue.
            self.injector.disarm("ban")
            return False
        ban["refused"] += 1
        if ban["refused"] > values["patience"]:
            ban["refused"] = 0
            if ban["status"] == 418:
                ban["ban_s"] = min(2 * ban["ban_s"], BAN_S_MAX)
            ban["status"], ban["until"] = 418, now + ban["ban_s"]
        retry_s = max(1, round(ban["until"] - now))
        self._note_request(armed, request, status=ban["status"], retry_after_s=retry_s, code=-1003)
        until_ms = VenueClock.now_ms() + retry_s * 1000
        msg = (f"Way too much request weight used; IP banned until {until_ms}. Please use WebSocket Streams for live updates to "
               "avoid bans." if ban["status"] == 418 else
               "Too much request weight used; current limit is 6000 request weight per 1 MINUTE. Please use WebSocket Streams "
               "for live updates to avoid polling the API.")
        send(request.error(ban["status"], -1003, msg, retry_s))
        return True

    # ---- user data

    def user_event(self, connection, account, event, send):
        """True when the message has been taken over: it is sent from here, now, later, twice or never."""
        is_fill = event.exec == "TRADE"
        if is_fill and self._watch is not None:
            self._watch.append(event.order_id)
        for armed, drawn in self._armed:
            handler = self._users.get(armed.name)
            if handler is None or armed.name != "silent_user_stream" and event.kind not in EXECUTIONS:
                continue
            if armed.name != "silent_user_stream" and not is_fill:
                continue
            if self._hits(armed, drawn, symbol=event.symbol, account=account, client_order_id=event.client_order_id,
                          connection=connection) and handler(armed, connection, account, event, send):
                return True
        kind = "execution" if event.kind in EXECUTIONS else "account" if event.kind in ACCOUNTS else "other"
        self._message(kind, event.exec, connection, account, event.symbol, event.client_order_id, event.order_id, send)
        if is_fill:
            ack = self._acks.get(event.order_id)
            if ack is not None:
                asyncio.get_running_loop().call_soon(ack)
        elif event.exec in ("CANCELED", "EXPIRED") and event.order_id in self._fills:
            armed = self.injector.armed.get("late_fill")
            delay_ms = armed.values["delay_ms"] if armed is not None else self._fill_delay_ms
            held = self._fills.pop(event.order_id)
            self._later(delay_ms, lambda: [release() for release in held])
            self._settle_active()
        return True

    _watch = None                           # order ids of the fills that are reported while a request is carried out
    _fill_delay_ms = 0

    def _note_event(self, armed, connection, account, event, **detail):
        self._note(armed, connection, account=account, symbol=event.symbol, message=event.kind, execution=event.exec,
                   order_id=event.order_id, client_order_id=event.client_order_id, trade_id=event.trade_id, **detail)

    def _drop(self, armed, connection, account, event, send):
        self._use(armed)
        if armed.name != "silent_user_stream" or armed.fired == 1:
            self._note_event(armed, connection, account, event)
        return True

    def _twice(self, armed, connection, account, event, send):
        self._use(armed)
        self._note_event(armed, connection, account, event)
        send()
        self._later(armed.values["gap_ms"], send)
        return True

    def _hold_fill(self, armed, connection, account, event, send):
        if self._held >= HELD_MAX:
            return False
        self._use(armed)
        self._fill_delay_ms = armed.values["delay_ms"]
        self._note_event(armed, connection, account, event)
        release = self._once(send)
        self._fills.setdefault(event.order_id, []).append(release)
        self.active = True
        self._later(armed.values["hold_ms"], release)
        return True

    # ---- messages of either kind

    def _message(self, kind, execution, connection, account, symbol, client_order_id, order_id, send, op=None):
        for armed, drawn in self._armed:
            handler = self._messages.get(armed.name)
            if handler is None:
                continue
            values = armed.values
            if values["message"] not in ("any", kind) or values["execution"] not in (None, execution) \
                    or (values["op"] and values["op"] != op):
                continue
            if self._hits(armed, drawn, symbol=symbol, account=account, client_order_id=client_order_id, connection=connection):
                self._use(armed)
                self._note(armed, connection, account=account, symbol=symbol, message=kind, execution=execution, op=op,
                           order_id=order_id, client_order_id=client_order_id)
                handler(armed, connection, send)
                return
        send()
        behind = self._behind.pop(getattr(connection, "number", None), None)
        if behind is not None:
            for release in behind:
                release()
            self._settle_active()

    def _drop_message(self, armed, connection, send):
        pass

    def _delay(self, armed, connection, send):
        self._later(armed.values["delay_ms"], send)

    def _duplicate(self, armed, connection, send):
        send()
        for copy in range(1, armed.values["copies"]):
            if armed.values["gap_ms"]:
                self._later(armed.values["gap_ms"] * copy, send)
            else:
                send()

    def _reorder(self, armed, connection, send):
        release = self._once(send)
        self._behind.setdefault(getattr(connection, "number", None), deque()).append(release)
        self.active = True
        self._later(armed.values["hold_ms"], release)

    # ---- helpers

    def _once(self, send):
        """`send`, the first time it is called."""
        left = [send]
        self._held += 1
        def release():
            if left:
                self._held -= 1
                left.pop()()
        return release

    def _later(self, milliseconds, call):
        asyncio.get_running_loop().call_later(milliseconds / 1000, call)

    def _settle_active(self):
        self.active = bool(self._armed or self._acks or self._fills or self._behind)

    # ---- the clock, and instruments that stand still

    def _begin_skew(self, armed):
        self._clock = (VenueClock.offset_ms, time.monotonic())
        VenueClock.offset_ms += armed.values["offset_ms"]
        self._note(armed, offset_ms=armed.values["offset_ms"], drift_ppm=armed.values["drift_ppm"])

    def _end_skew(self, armed):
        VenueClock.offset_ms, self._clock = self._clock[0], None

    def _pin(self, armed):
        self.venue.marks.pin(armed.symbol.upper(), armed.values["price"])
        self._note(armed, symbol=armed.symbol, price=armed.values["price"])

    def _unpin(self, armed):
        self.venue.marks.pin(armed.symbol.upper(), None)

    def _fund(self, armed):
        contract, rate = self.venue.contracts[armed.symbol.upper()], armed.values["rate"]
        self._note(armed, symbol=armed.symbol, rate=rate)
        self.venue.marks.fund(self.venue.marks.of(contract), self.venue.now_ns(), contract.scaled(rate))
        self.venue.settle()

    def _halt(self, armed, status):
        for symbol in self.venue.symbols.values():
            if armed.symbol is None or symbol.name == armed.symbol.upper():
                self.venue.exchange.set_status(symbol.index, status)
                symbol.status = armed.values["status"] if status == "HALT" else "TRADING"
