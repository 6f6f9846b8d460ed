"""What has been told to go wrong: armed faults, the log of what was injected, and what becomes of an event on its way out.

An event goes out as a list of `Outgoing`, usually one; a fault turns that list into another. A count counts events of the
stream, however many clients hear them.
"""
import json
import time
from collections import Counter, deque

from tickpath_sim.fault_messages import TRANSFORMS, Outgoing
from tickpath_sim.fault_table import FAULTS, ORDER_WHENS, FaultError, checked
from tickpath_sim.protocols.base import BOOK

__all__ = ["Injector"]

LOG_ENTRIES_MAX = 10_000
ORDER_FAULTS = frozenset({"clock_skew", "mark_price", "funding",
                          *(name for name, spec in FAULTS.items() if spec.when in ORDER_WHENS)})


class Armed:
    """One fault that is in force."""

    def __init__(self, name, values):
        self.name, self.values = name, values
        self.spec = FAULTS[name]
        self.symbol, self.connection = values["symbol"], values.get("connection")
        self.remaining = values["count"]
        self.until_mono = None if values["seconds"] is None else time.monotonic() + values["seconds"]
        self.fired = 0
        self.held = []                      # what the end of the fault has to undo

    def over(self, now_mono):
        return self.remaining == 0 or (self.until_mono is not None and now_mono >= self.until_mono)

    def concerns(self, event):
        return ((self.spec.when != "book" or event.kind is BOOK)
                and (self.symbol is None or (event.instrument is not None and event.instrument.is_called(self.symbol))))

    def reaches(self, connection):
        return self.connection is None or self.connection == connection.number

    def use(self):
        self.fired += 1
        if self.remaining is not None:
            self.remaining -= 1

    def describe(self):
        left = None if self.until_mono is None else max(0.0, self.until_mono - time.monotonic())
        return {"name": self.name, "remaining": self.remaining, "seconds_left": left, "fired": self.fired,
                **{key: value for key, value in self.values.items() if key not in ("count", "seconds")}}


class Injector:
    """Parameters: protocol : Protocol. The server sets `actions`: name of a fault that acts at once -> (begin, end)."""

    def __init__(self, protocol):
        self.protocol = protocol
        self.armed = {}                     # name -> Armed
        self.actions = {}
        self.log = deque(maxlen=LOG_ENTRIES_MAX)
        self.logged = 0
        self.counts = Counter()             # how often each fault has hit
        self.orders = None                  # OrderFaults of a venue that takes orders
        self.wire = None                    # WireLog
        self.late = []                      # [(event, sessions)] held back behind an event of another stream
        self.planted = {}                   # instrument key -> rows of bids that cross, still to be taken back

    # ---- arming

    def arm(self, name, body):
        """Arm a fault, in place of one of the same name. Errors: FaultError."""
        values = checked(name, body, self.protocol.venue, self._find)
        if name in ORDER_FAULTS:
            if self.orders is None:
                raise FaultError(f"{name}: expected a venue that takes orders, found one that plays a market only")
            account = values.get("account")
            if account is not None and account not in self.orders.account_names():
                raise FaultError(f"{name}.account: expected one of {', '.join(self.orders.account_names())}, found {account!r}")
        self.disarm(name)
        armed = Armed(name, values)
        if armed.spec.when == "now":
            begin, end = self.actions[name]
            begin(armed)
            armed.fired += 1
            if end is None or not (armed.spec.lasting or armed.until_mono):
                return armed
        self.armed[name] = armed
        if self.orders is not None:
            self.orders.changed()
        return armed

    def _find(self, symbol):
        found = self.protocol.find(symbol)
        return found if found is not None or self.orders is None else self.orders.symbol(symbol)

    def disarm(self, name):
        """Take a fault back; true if it was armed."""
        armed = self.armed.pop(name, None)
        if armed is not None and armed.spec.when == "now":
            self.actions[name][1](armed)
        if armed is not None and self.orders is not None:
            self.orders.changed(armed)
        return armed is not None

    def tick(self, now_mono):
        if self.orders is not None:
            self.orders.tick(now_mono)
        for name in [name for name, armed in self.armed.items() if armed.over(now_mono)]:
            self.disarm(name)

    def note(self, name, *, event=None, connections=(), **detail):
        """Write down what was done, and where on each wire: the number of the message and of its first byte."""
        self.logged += 1
        self.counts[name] += 1
        entry = {"n": self.logged, "fault": name, "ts_ns": time.time_ns(),
                         "event": event.index if event else None,
                         "symbol": event.instrument.key if event and event.instrument else detail.pop("symbol", None),
                         "sequence": event.sequence if event else None, "connections": list(connections), **detail}
        self.log.append(entry)
        if self.wire is not None:
            self.wire.fault(json.dumps(entry, separators=(",", ":"), default=str).encode())

    # ---- events

    def active(self, event, when):
        now = time.monotonic()
        return [a for a in self.armed.values() if a.spec.when in when and not a.over(now) and a.concerns(event)]

    def is_silent(self, connection):
        silent = self.armed.get("silent")
        return (silent is not None and silent.symbol is None and not silent.over(time.monotonic())
                and silent.reaches(connection))

    def before(self, event):
        """Faults of the venue's own state, set before the event is applied; returns those that were."""
        used = [a for a in self.active(event, ("before",)) if event.kind is BOOK]
        for armed in used:
            getattr(self.protocol, {"reset_u1": "resets", "sequence_reset": "sequence_reset"}[armed.name]).add(
                event.instrument.key)
            armed.use()
        return used

    def plan(self, event, sessions):
        """[(session, [Outgoing, …])] for an event that these sessions listen to."""
        firing = self.active(event, ("book", "data"))
        if event.kind is BOOK and ("crossed" in self.armed or event.instrument.key in self.planted):
            firing = [a for a in firing if a.name != "crossed"]
            event = self._cross(event, sessions)
        plain = [Outgoing(event)]
        late = next((a for a in firing if a.name == "late"), None)
        if self.late and self.late[0][0].key == event.key or late is not None and not self.late:
            # Kept until an event of another stream has gone out, and with it what follows it in its own.
            if not self.late:
                late.use()
                self.note("late", event=event, connections=[wire_position(s.connection) for s in sessions])
            self.late.append((event, sessions))
            return []
        firing = [a for a in firing if a is not late]
        behind = self._behind()
        if not firing:
            return [(session, plain) for session in sessions] + behind
        made, used, plan = {}, {}, []
        for session in sessions:
            mine = tuple(a for a in firing if a.reaches(session.connection))
            outgoing = made.get(mine)
            if outgoing is None:
                outgoing = plain
                for armed in mine:
                    changed = TRANSFORMS[armed.name](armed, outgoing, event, self.protocol)
                    if changed is not None:
                        outgoing = changed
                        used.setdefault(armed, [])
                made[mine] = outgoing
            for armed in mine:
                if armed in used:
                    used[armed].append(session.connection)
            plan.append((session, outgoing))
        for armed, connections in used.items():
            armed.use()
            if armed.name != "silent" or armed.fired == 1:
                self.note(armed.name, event=event, connections=[wire_position(c) for c in connections],
                          **{k: armed.values[k] for k in armed.spec.parameters})
        return plan + behind

    def _behind(self):
        """The part of the plan that messages held back make, now that one of another stream goes out before them."""
        held, self.late = self.late, []
        return [(session, [Outgoing(earlier)]) for earlier, sessions in held for session in sessions
                if not session.connection.closing]

    def _cross(self, event, sessions):
        """Add a bid above the best ask, or take those back that were added before."""
        armed, item = self.armed.get("crossed"), event.instrument
        if armed is not None and not armed.over(time.monotonic()) and armed.concerns(event):
            rows = self.planted.setdefault(item.key, [])
            changed = TRANSFORMS["crossed"](event, item, rows, self.protocol)
            if changed is not None:
                armed.use()
                self.note("crossed", event=event, price=rows[-1][0],
                          connections=[wire_position(s.connection) for s in sessions])
                return changed
            return event
        rows = self.planted.pop(item.key, [])
        return TRANSFORMS["uncross"](event, item, rows, self.protocol) if rows else event

    # ---- REST

    def take_old_snapshot(self, item):
        armed = self.armed.get("old_snapshot")
        if armed is None or armed.over(time.monotonic()) or (armed.symbol is not None and not item.is_called(armed.symbol)):
            return False
        armed.use()
        self.note("old_snapshot", symbol=item.key, given=item.start[2] + item.id_offset - 1, present=item.book.sequence)
        return True


def wire_position(connection):
    """Where the next message of a connection stands: it is number `message`, and `byte` bytes went before it."""
    return {"connection": connection.number, "message": connection.messages + 1, "byte": connection.sent_bytes}
