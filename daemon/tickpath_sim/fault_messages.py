"""What faults make of a message on its way out: other rows, other bytes, other frames.

A transform takes the list of Outgoing that an event has become so far and returns another, or None when it cannot act on
this event and waits for the next.
"""
import re
import zlib
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache

from tickpath_sim import wire_json
from tickpath_sim.frames import CONTINUATION, PING, RSV1, fragments, frame, masked_frame
from tickpath_sim.ledger import merge_rows, zero_like
from tickpath_sim.protocols.base import shifted

__all__ = ["Outgoing", "TRANSFORMS"]

FIRST_KEY = re.compile(rb'\{("[^"]*"):')


class Outgoing:
    """A message to be sent.

    event : rendered by each session.  payload : sent in place of it, the same to all.  lost : rendered, not sent.
    edits : bytes -> bytes, in turn.  framing : payload -> frames.  gap_s : byte by byte, with this pause.
    """
    __slots__ = ("event", "payload", "lost", "copies", "edits", "framing", "gap_s")

    def __init__(self, event, *, payload=None, lost=False, copies=1, edits=(), framing=frame, gap_s=None):
        self.event, self.payload, self.lost, self.copies = event, payload, lost, copies
        self.edits, self.framing, self.gap_s = edits, framing, gap_s

    def but(self, **fields):
        other = Outgoing(self.event, payload=self.payload, lost=self.lost, copies=self.copies, edits=self.edits,
                         framing=self.framing, gap_s=self.gap_s)
        for name, value in fields.items():
            setattr(other, name, value)
        return other

    def bytes_of(self, session):
        """The frames of each message for this session."""
        for data in (session.own(self.payload),) if self.payload is not None else session.render(self.event):
            if self.lost:
                continue
            for edit in self.edits:
                data = edit(data)
            for _ in range(self.copies):
                yield self.framing(data)


def _each(**fields):
    return lambda armed, outgoing, event, protocol: [o.but(**fields) for o in outgoing]


def _edited(edit):
    """A transform that edits the bytes: edit(data, armed, event, protocol)."""
    def transform(armed, outgoing, event, protocol):
        return [o.but(edits=(*o.edits, lambda data: edit(data, armed, event, protocol))) for o in outgoing]
    return transform


# ---- rows

def _old_diff(armed, outgoing, event, protocol):
    oldest = event.instrument.history[0]
    return None if oldest is event or oldest.kind is not event.kind else [*outgoing, Outgoing(oldest)]


def _straddling_diff(armed, outgoing, event, protocol):
    history = event.instrument.history
    if len(history) < 2 or history[-2].kind is not event.kind:
        return None
    before = history[-2]
    ids = {**before.ids, "u": event.ids["u"]}
    merged = event.changed(bids=merge_rows(before.bids, event.bids), asks=merge_rows(before.asks, event.asks), ids=ids)
    return [o.but(event=merged) for o in outgoing]


def _with_rows(event, bids, protocol, checksum):
    """The event with further bids that win over its own."""
    changed = event.changed(bids=merge_rows(event.bids, bids), checksum=checksum)
    if changed.views:
        changed.views = {depth: (merge_rows(view[0], bids), view[1]) for depth, view in changed.views.items()}
    return changed


def _crossed(event, item, planted, protocol):
    """The event with a bid one tick above the best ask; None without an ask. `planted` collects the rows."""
    best_ask = item.book.asks.top(1)
    if not best_ask:
        return None
    row = best_ask[0]
    price = shifted(row[0], Decimal(item.grid()[0]))
    row = [price, *row[1:]]
    planted.append(row)
    return _with_rows(event, planted, protocol, _checksum_with(item.book, planted, protocol))


def _checksum_with(book, rows, protocol):
    if not protocol.has_checksum:
        return None
    kept = {Decimal(row[0]): book.bids.rows.get(Decimal(row[0])) for row in rows}
    for row in rows:
        book.bids.apply(row)
    made = protocol.checksum(book)
    for row in rows:
        book.bids.apply(kept[Decimal(row[0])] or _zero(row))
    return made


def _zero(row):
    return [row[0], type(row[1])(zero_like(row[1])), *row[2:]]


def _uncross(event, item, planted, protocol):
    """The event with the truth about the planted prices, and about the levels that a client of limited depth pushed out."""
    book = item.book
    truth = [book.bids.rows.get(Decimal(row[0])) or _zero(row) for row in planted]
    if book.depth is not None:
        for depth in {book.depth, *(event.views or ())}:
            truth += book.bids.top(depth)[-len(planted) - 2:]
    return _with_rows(event, merge_rows(truth), protocol, protocol.checksum(book))


def _unknown_delete(armed, outgoing, event, protocol):
    """A deletion of a bid half a book below the best: nobody has a level there."""
    rows = event.instrument.book.bids.top(1)
    if not rows:
        return None
    shift = (-Decimal(rows[0][0]) / 2).quantize(Decimal(event.instrument.grid()[0]))
    price = shifted(rows[0][0], shift)
    if Decimal(price) in event.instrument.book.bids.rows:
        return None
    checksum = protocol.checksum(event.instrument.book) if protocol.has_checksum else None
    gone = _with_rows(event, [_zero([price, *rows[0][1:]])], protocol, checksum)
    return [o.but(event=gone) for o in outgoing]


# ---- bytes

TIME_FIELDS = (re.compile(rb'"(?:E|T|ts|cts)":"?(\d{13})'), re.compile(rb'"(?:timestamp|time|event_time)":"(\d{4}-[^"]+Z)"'))


def _backward_time(data, armed, event, protocol):
    back_ms = armed.values["back_ms"]
    data = TIME_FIELDS[0].sub(lambda m: m[0][:-13] + b"%013d" % (int(m[1]) - back_ms), data)
    def earlier(match):
        text = match[1].decode()
        moment = datetime.fromisoformat(text.replace("Z", "+00:00")) - timedelta(milliseconds=back_ms)
        return match[0].replace(match[1], moment.isoformat().replace("+00:00", "Z").encode())
    return TIME_FIELDS[1].sub(earlier, data)


def _unknown_word(armed, outgoing, event, protocol):
    form = armed.values["form"]
    if form == "event":
        # A message of its own: the one that it stands before is not touched.
        return [Outgoing(None, payload=protocol.unknown_event(event)), *outgoing]
    if form == "word":
        made = protocol.unknown_word(event)
        return None if made is None else [Outgoing(None, payload=made), *outgoing]
    if form == "element":
        made = protocol.unknown_element(event)
        return None if made is None else [o.but(payload=made) for o in outgoing]
    return [o.but(edits=(*o.edits, _with_field)) for o in outgoing]


def _with_field(data):
    key = FIRST_KEY.search(data)
    return data[:key.start() + 1] + b'"newInThisVersion":{"a":[1,"x",null]},' + data[key.start() + 1:]


def _bad_utf8(data, armed, event, protocol):
    symbol = event.instrument.symbol.encode() if event.instrument else b""
    at = data.find(symbol) if symbol else -1
    at = at if at >= 0 else data.find(b'"') + 1
    return data[:at] + b"\xff" + data[at + 1:]


def _flip_checksum(data, armed, event, protocol):
    match = protocol.checksum_pattern.search(data)
    if match is None:
        return data
    digit = (match[1][-1] - 48 + 1) % 10
    return data[:match.end(1) - 1] + b"%d" % digit + data[match.end(1):]


def _zero_checksum(data, armed, event, protocol):
    match = protocol.checksum_pattern.search(data)
    return data if match is None else data[:match.start(1)] + b"0" + data[match.end(1):]


def _swapped_keys(data, armed, event, protocol):
    return wire_json.dumps(wire_json.reversed_keys(wire_json.loads(data)))


def _oversize(data, armed, event, protocol):
    return data.ljust(armed.values["bytes"])


BAD_QUANTITIES = {"1e400": b"1e400", "negative_zero": b"-0", "digits25": b"1234567890123456789012345"}


def _bad_number(armed, outgoing, event, protocol):
    rows = [row for row in (*event.bids, *event.asks) if Decimal(row[1])] or [*event.bids, *event.asks]
    if not rows:
        return None
    return [o.but(edits=(*o.edits, lambda data: _spoiled(data, armed.values, rows[0]))) for o in outgoing]


def _spoiled(data, values, row):
    form = values["form"]
    if form == "cut_json":
        return data[:len(data) // 2]
    key = FIRST_KEY.search(data)
    if form == "duplicate_keys":
        return data[:key.start() + 1] + key[1] + b":null," + data[key.start() + 1:]
    if form == "deep_nesting":
        depth = values["depth"]
        return data[:key.start() + 1] + b'"x":' + b"[" * depth + b"]" * depth + b"," + data[key.start() + 1:]
    price, qty = row[0].encode(), row[1].encode()
    start, length = _place(data, price, qty, form == "negative_price")
    if form == "negative_price":
        return data[:start] + b"-" + data[start:]
    if form == "nan":
        quoted = data[start - 1:start] == b'"'
        return data[:start - quoted] + b"NaN" + data[start + length + quoted:]
    return data[:start] + BAD_QUANTITIES[form] + data[start + length:]


def _place(data, price, qty, want_price):
    """Offset and length of a row's price or quantity. Rows stand behind the first bracket of a row or a level's first key."""
    rows = min((at for at in (data.find(b"[["), data.find(b'"price')) if at >= 0), default=0)
    at = re.compile(rb"(?<![\d.])" + re.escape(price) + rb"(?![\d.])").search(data, rows)
    if want_price:
        return at.start(), len(price)
    found = re.compile(rb"(?<![\d.])" + re.escape(qty) + rb"(?![\d.])").search(data, at.end())
    return found.start(), len(qty)


# ---- frames

def _fragment(armed, outgoing, event, protocol):
    count = 2 + armed.fired % 4
    return [o.but(framing=lambda data: fragments(data, count)) for o in outgoing]


def _reserved_bits(armed, outgoing, event, protocol):
    bits = armed.values["bits"] << 4
    return [o.but(framing=lambda data: frame(data, reserved=bits)) for o in outgoing]


def _trickle(armed, outgoing, event, protocol):
    return [o.but(gap_s=armed.values["gap_ms"] / 1000) for o in outgoing]


def _breach(armed, outgoing, event, protocol):
    form = armed.values["form"]
    return [Outgoing(None, payload=b"{}", framing=lambda data: BREACH_FRAMES[form](data)), *outgoing]


# By name; each takes the bytes of a message and gives frames that no server may send (RFC 6455 5.1, 5.2, 5.4, 5.5).
BREACH_FRAMES = {
    "opcode": lambda data: frame(data, opcode=0x3),
    "masked": masked_frame,
    "continuation": lambda data: frame(data, opcode=CONTINUATION),
    "interleaved": lambda data: frame(data, fin=False) + frame(data),
    "long_control": lambda data: frame(b"x" * 126, opcode=PING),
    "split_control": lambda data: frame(b"x", opcode=PING, fin=False),
}


@lru_cache(maxsize=2)
def _bomb(inflated_mib):
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    # What follows a full flush refers to nothing before it: the same mebibyte again and again, made once.
    piece = deflate.compress(b" " * (1 << 20)) + deflate.flush(zlib.Z_FULL_FLUSH)
    # RFC 7692 7.2.1: the empty block at the end of a flush is left out.
    return (piece * inflated_mib)[:-4]


def _deflate_bomb(armed, outgoing, event, protocol):
    bomb = Outgoing(None, payload=_bomb(armed.values["inflated_mib"]), framing=lambda data: frame(data, reserved=RSV1))
    return [bomb, *outgoing]


TRANSFORMS = {
    "drop_diff": _each(lost=True),
    "silent": lambda armed, outgoing, event, protocol: [],
    "duplicate_diff": _each(copies=2),
    "old_diff": _old_diff,
    "straddling_diff": _straddling_diff,
    "crossed": _crossed,
    "uncross": _uncross,
    "bad_utf8": _edited(_bad_utf8),
    "checksum_flip": _edited(_flip_checksum),
    "zero_checksum": _edited(_zero_checksum),
    "swapped_keys": _edited(_swapped_keys),
    "oversize": _edited(_oversize),
    "bad_number": _bad_number,
    "unknown_delete": _unknown_delete,
    "unknown_word": _unknown_word,
    "backward_time": _edited(_backward_time),
    "breach": _breach,
    "fragment": _fragment,
    "reserved_bits": _reserved_bits,
    "trickle": _trickle,
    "deflate_bomb": _deflate_bomb,
}
