"""What the venues have in common: instruments and their books, events of the stream, a client's session.

A protocol turns captured frames into events, applies each to its instrument's book (the truth), and knows how the venue
writes a message, acknowledges a request and brings a client that joins late up to date. Nothing here does I/O.

Life of an event:  frame -> `events` -> `accept` (book, ids) -> [faults] -> `Session.render` -> bytes of the messages.
"""
import time
from collections import deque
from decimal import Decimal

from tickpath_sim import wire_json
from tickpath_sim.ledger import Book, merge_rows

__all__ = ["BOOK", "DATA", "SNAPSHOT", "Event", "Instrument", "Protocol", "Reply", "Session", "VenueClock",
           "decimals", "now_ms", "shifted"]

# Kinds of events: a change of a book, a whole book, and all other market data.
BOOK, SNAPSHOT, DATA = "book", "snapshot", "data"
HISTORY_EVENTS = 8


class VenueClock:
    """The venue's clock: ours and an offset, one for the whole server."""
    offset_ms = 0

    @classmethod
    def now_ms(cls):
        return time.time_ns() // 1_000_000 + cls.offset_ms


now_ms = VenueClock.now_ms


def decimals(text):
    return len(text.partition(".")[2])


def shifted(text, shift):
    """A price text moved by a Decimal; keeps its number of decimals where they suffice. None when it would not be positive."""
    moved = Decimal(text) + shift
    if moved <= 0:
        return None
    places = max(decimals(text), -shift.normalize().as_tuple().exponent)
    return type(text)(format(moved, f".{places}f"))


class Reply:
    """A REST answer. `weight`: what the request costs, where the venue counts it."""
    __slots__ = ("status", "body", "headers", "weight")

    def __init__(self, body, status=200, headers=(), weight=1):
        self.status, self.body, self.headers, self.weight = status, body, headers, weight


class Event:
    """One message of the venue's stream.

    raw : bytes as captured.  data : bytes as sent, None until `Protocol.text` writes them again after a change.
    bids, asks : rows of a book event.  sequence : the venue's id.  ids : further ids, by the venue's field names.
    views : a venue's other forms of the same change.  cache : what sessions rendered alike.
    """
    __slots__ = ("key", "instrument", "kind", "raw", "data", "bids", "asks", "sequence", "ids", "checksum", "price_shift",
                 "views", "cache", "index")

    def __init__(self, key, instrument, kind, raw, bids=(), asks=(), sequence=None, ids=None):
        self.key, self.instrument, self.kind = key, instrument, kind
        self.raw = self.data = raw
        self.bids, self.asks, self.sequence, self.ids = bids, asks, sequence, ids
        self.checksum = self.price_shift = self.views = None
        self.cache = {}
        self.index = 0

    def changed(self, **fields):
        """A copy that will be written again with these fields."""
        other = Event(self.key, self.instrument, self.kind, self.raw, self.bids, self.asks, self.sequence, self.ids)
        other.checksum, other.price_shift, other.index = self.checksum, self.price_shift, self.index
        other.views = dict(self.views) if self.views else None
        other.data = None
        for name, value in fields.items():
            setattr(other, name, value)
        return other


class Instrument:
    """One symbol of the venue, with the truth about its book.

    `start` is the book at the beginning of the capture: (bids, asks, sequence).
    """

    def __init__(self, key, symbol):
        self.key = key                      # unique in the protocol: the symbol, "linear:BTCUSDT" where a venue has two
        self.symbol = symbol
        self.book = Book()
        self.start = ((), (), None)
        self.tick_size = self.lot_size = None
        self.listed_before = None           # (increments that REST still names, monotonic time until which it does)
        self.status = None                  # None: as captured
        self.price_shift = None             # Decimal added to every price, None for none
        self.id_offset = 0
        self.pending = None                 # (bids, asks) that the next change carries as well
        self.snapshots_seen = 0
        self.history = deque(maxlen=HISTORY_EVENTS)
        self.price_places = self.qty_places = 0

    def is_called(self, name):
        return name in (self.key, self.symbol)

    def reset(self):
        """Back to the book at the beginning; what differs from the present one becomes pending."""
        bids, asks, _ = self.start
        self.pending = self.book.changes_to(self.moved(bids), self.moved(asks))
        self.snapshots_seen = 0

    def move_prices(self, shift):
        """Move every price by a Decimal, now and from now on; the next change carries what a client needs to follow."""
        self.price_shift = (self.price_shift or 0) + shift
        bids, asks = self.book.bids.top(), self.book.asks.top()
        moved = [[[shifted(row[0], shift), *row[1:]] for row in rows] for rows in (bids, asks)]
        bids, asks = ([row for row in rows if row[0] is not None] for rows in moved)
        before = self.book
        self.book = Book(before.depth)
        self.book.sequence = before.sequence
        self.book.load(bids, asks)
        changes = before.changes_to(bids, asks)
        waiting = self.pending or ((), ())
        self.pending = tuple(merge_rows(*both) for both in zip(waiting, changes, strict=True))

    def moved(self, rows):
        """Rows with their prices shifted; levels whose price would not be positive are gone."""
        if not self.price_shift:
            return rows
        moved = ([shifted(row[0], self.price_shift), *row[1:]] for row in rows)
        return [row for row in moved if row[0] is not None]

    def observe_rows(self, rows):
        for row in rows:
            self.price_places = max(self.price_places, significant(row[0]))
            self.qty_places = max(self.qty_places, significant(row[1]))

    def grid(self):
        """(tick_size, lot_size) texts: what the venue says, or else the finest decimal place seen in the capture."""
        tick = self.tick_size or format(Decimal(1).scaleb(-self.price_places), "f")
        lot = self.lot_size or format(Decimal(1).scaleb(-self.qty_places), "f")
        return tick, lot

    def listed_grid(self):
        """The increments that REST names now: it may lag behind the stream."""
        if self.listed_before is not None and time.monotonic() < self.listed_before[1]:
            return self.listed_before[0]
        return self.grid()


def significant(text):
    return len(text.partition(".")[2].rstrip("0"))


class Protocol:
    """Base of the venues' protocols. Subclasses fill in the parts that raise NotImplementedError."""
    venue = None
    has_checksum = False
    checksum_pattern = None                 # bytes pattern whose first group is the checksum in a message
    # Timings of the real venue in seconds, None where it has none; the command line may change each.
    ping_interval_s = None                  # of the server's ping frames
    pong_timeout_s = None
    cut_after_s = None
    subscribe_within_s = None
    idle_timeout_s = None
    heartbeat_s = None
    messages_per_s = None                   # that a client may send
    rest_weight_per_min = None
    orders_per_10s = orders_per_day = None
    normal_status = "TRADING"               # what the venue calls an instrument that trades

    def __init__(self):
        self.instruments = {}
        self.owners = {}                    # key of a stream -> the recorder's connection whose copy is played
        self.last = {}                      # key -> the last event, for streams that greet a new subscriber with the present
        self.pass_number = 0
        self.time_shift_ms = 0              # added to the venue's times in later passes
        self.live_times = False             # messages bear the venue's present time
        self.trading = None                 # TradingVenue, where clients can trade

    # ---- reading the capture

    @staticmethod
    def claims(frame):
        """Whether a captured frame looks like this venue's."""
        raise NotImplementedError

    def observe(self, frame):
        """Learn from a frame before anything is played: instruments, grids, the books at the beginning."""
        raise NotImplementedError

    def observed(self):
        """All frames have been seen: set the books up."""
        for item in self.instruments.values():
            bids, asks, sequence = item.start
            item.book.load(bids, asks)
            item.book.sequence = sequence

    def events(self, frame):
        """The events of a frame, in order; none for what is not market data."""
        raise NotImplementedError

    def owns(self, key, frame):
        """Some captures hold one stream several times, once a connection: the first that carried it is played."""
        return self.owners.setdefault(key, frame.conn) == frame.conn

    def instrument(self, key, symbol=None):
        item = self.instruments.get(key)
        if item is None:
            item = self.instruments[key] = Instrument(key, symbol or key)
        return item

    def find(self, name):
        """The instrument that a fault's or a request's symbol names, None if there is none."""
        return next((item for item in self.instruments.values() if item.is_called(name)), None)

    def begin_pass(self, number, span_ms):
        """The capture, `span_ms` long, starts again (number > 0): every book goes back to its beginning with the next change."""
        self.pass_number = number
        self.time_shift_ms = number * span_ms
        for item in self.instruments.values():
            if number:
                item.reset()

    # ---- applying

    def accept(self, event):
        """Apply an event to the truth. Returns the event to deliver, or None for what a client gets in another way."""
        item = event.instrument
        if event.kind is DATA:
            if item is not None and item.price_shift:
                event.price_shift, event.data = item.price_shift, None
            if self.pass_number or self.live_times:
                event.data = None
            self.last[event.key] = event
            return event
        if event.kind is SNAPSHOT:
            item.snapshots_seen += 1
            if item.snapshots_seen == 1:
                # The book at the beginning: whoever subscribed has it already.
                return None
            self._move(event, item)
            item.book.load(event.bids, event.asks)
        else:
            self._move(event, item)
            item.book.apply(event.bids, event.asks)
        self.number(event, item)
        if self.live_times:
            event.data = None
        if event.data is None and self.has_checksum:
            event.checksum = self.checksum(item.book)
        item.history.append(event)
        return event

    def _move(self, event, item):
        if item.price_shift:
            event.bids, event.asks, event.data = item.moved(event.bids), item.moved(event.asks), None
        if item.pending:
            bids, asks = item.pending
            item.pending = None
            if event.kind is BOOK:
                event.bids, event.asks = merge_rows(bids, event.bids), merge_rows(asks, event.asks)
                event.data = None

    def number(self, event, item):
        """Give the event the ids that follow from the instrument's state, and the book its sequence."""
        item.book.sequence = event.sequence

    # ---- writing

    def text(self, event):
        """The message's bytes, written again if the event was changed."""
        if event.data is None:
            message = self.rewrite(event, wire_json.loads(event.raw))
            if self.live_times:
                self.stamp(message)
            event.data = wire_json.dumps(message)
        return event.data

    def stamp(self, message):
        """Put the venue's present time into a message, where this venue can be asked for that."""

    def rewrite(self, event, message):
        """Put the event's rows, ids, checksum and price shift into the decoded message."""
        raise NotImplementedError

    def unknown_event(self, event):
        """A message of a kind that nobody knows yet, bytes."""
        return wire_json.dumps({"channel": "newsflash", "type": "newsflash", "e": "newsflash", "s": event.instrument.symbol})

    def unknown_word(self, event):
        """A message of a known kind with a word in it that nobody knows; None where this venue has none."""
        return None

    def unknown_element(self, event):
        """The event's message with one more element, in which a word is unknown; None where a message has no such elements."""
        return None

    def checksum(self, book):
        """The venue's checksum over a book, None where it has none."""
        return None

    # ---- clients

    def session(self, connection, path, query):
        """A Session for a client that asks for this path, None for a path the venue does not have."""
        raise NotImplementedError

    def rest(self, method, path, query, old_snapshot=None):
        """Reply to a REST request, None for an unknown path.

        `old_snapshot(instrument)`: asked for each order book; true when the book of the beginning is to be given.
        """
        return None

    def shutdown_notice(self):
        """What the venue sends before it closes a connection on purpose, None for nothing."""
        return None

    def status_messages(self, instrument, status):
        """[(key of the stream or None for all sessions, text)] that tell of a trading status."""
        return []


class Session:
    """What the venue remembers of one client. Sends through its `connection` (see connection.py)."""

    def __init__(self, protocol, connection):
        self.protocol = protocol
        self.connection = connection
        self.names = {}                     # key of a stream -> what the client calls it
        self.data_mono = self.opened_mono = time.monotonic()

    @property
    def subscribed(self):
        return bool(self.names)

    def on_open(self):
        """The socket is open."""

    def on_text(self, text):
        """A whole text message of the client."""
        raise NotImplementedError

    def closed(self):
        """The socket is gone."""

    def render(self, event):
        """The messages, as bytes, that this client gets for an event."""
        return (self.protocol.text(event),)

    def own(self, data):
        """A message that is the same for all clients, in this client's form."""
        return data

    def heartbeat(self, now_mono):
        """Called every few hundredths of a second where the venue has heartbeats; sends one when it is due."""

    def add(self, key, name=None):
        """Subscribe to a stream; true if it is new."""
        fresh = key not in self.names
        self.names[key] = name
        self.connection.listen(key)
        return fresh

    def remove(self, key):
        if key not in self.names:
            return False
        del self.names[key]
        self.connection.forget(key)
        return True

    def control(self, message):
        """Send an answer (text, or an object to write as JSON): what a silent venue still sends."""
        self.connection.send_control(message if isinstance(message, (str, bytes)) else wire_json.dumps(message))

    def market(self, data):
        """Send market data that is not an event: a snapshot, a heartbeat."""
        self.connection.send_market(data if isinstance(data, bytes) else wire_json.dumps(data))
