"""`tickpath decode` and `tickpath book`: what a capture holds, and the books it makes."""
import numpy as np

from tickpath.capture import expand_capture, read_capture
from tickpath.market import OrderBook
from tickpath.market.book import BookResult
from tickpath.market.checksum import Checksum
from tickpath.market.instruments import ChecksumKind
from tickpath.market.l3_book import L3OrderBook, L3Result
from tickpath.raw_capture import is_raw_capture, raw_summary
from tickpath.types import DTYPES, BookState, EventType, Status
from tickpath.venues.batch import MessageKind
from tickpath.venues.capture_facts import capture_facts
from tickpath.venues.decoders import KINDS, MessageDecoder

VENUES = tuple(KINDS)
NO_INSTRUMENT = 0xFFFFFFFF
MAX_FRAME_BYTES = 16 << 20
DELTA_LAST = ORDER_DELTA_LAST = 8     # as in types.pxd
ORDER_DELTA_CHECKSUM = 16
L3_ORDERS = 1 << 19               # of one book
CHECKSUMS = {"kraken": ChecksumKind.CHECKSUM_KRAKEN, "okx": ChecksumKind.CHECKSUM_OKX}
NAMES = {MessageKind.MESSAGE_TRADE: "trades", MessageKind.MESSAGE_QUOTE: "quotes",
         MessageKind.MESSAGE_BOOK_DELTA: "book_deltas", MessageKind.MESSAGE_SNAPSHOT: "snapshots",
         MessageKind.MESSAGE_BAR: "bars"}


def unfinished_recordings(file):
    """A line for each recording among the files whose last block was never finished."""
    for path in expand_capture(str(file)):
        if is_raw_capture(path) and (torn := raw_summary(path).torn_bytes):
            yield f"{path}: the recording was cut off: {torn} bytes of an unfinished block at its end are left out"


class VenueError(ValueError):
    """A venue this build has no decoder for."""


class CaptureDecoder:
    """A capture's frames through the venue's decoder, one for each recorded connection, with grids found in the capture."""

    def __init__(self, venue, file):
        if venue not in VENUES:
            raise VenueError(f"--venue: expected one of {list(VENUES)}, found {venue!r}")
        self.venue = venue
        self.paths = expand_capture(str(file))
        self.facts = capture_facts(self.paths, venue)
        self.symbols = {}             # connection -> symbols in the order of their numbers
        for conn, symbol in self.facts:
            self.symbols.setdefault(conn, []).append(symbol)
        if not self.symbols:
            self.symbols[""] = []
        self.ids = {conn: {s: n for n, s in enumerate(symbols)} for conn, symbols in self.symbols.items()}
        self.decoders = {conn: MessageDecoder([(s, *self.facts[conn, s][:2]) for s in symbols], kind=venue,
                                              max_frame_bytes=MAX_FRAME_BYTES)
                         for conn, symbols in self.symbols.items()}

    def connections_of(self, frame):
        """The recorded connections a frame belongs to: its own, or for a REST body those that carry its symbol."""
        if frame.source == "ws":
            conn = frame.conn or ""
            return [conn if conn in self.decoders else next(iter(self.decoders))]
        return [conn for conn, ids in self.ids.items() if frame.symbol_hint in ids] or [next(iter(self.decoders))]

    def frames(self):
        """Yields (frame, connection, status, kind, slots, level_count); a REST body once for each connection it serves."""
        for path in self.paths:
            for frame in read_capture(path):
                for conn in self.connections_of(frame):
                    ids = self.ids[conn]
                    hint = ids.get(frame.symbol_hint, NO_INSTRUMENT) if frame.symbol_hint else (
                        0 if len(ids) == 1 else NO_INSTRUMENT)
                    status, kind, slots, _, levels, _ = self.decoders[conn].decode(frame.data, frame.ts_recv_ns, hint)
                    yield frame, conn, status, kind, slots, levels


def decode_counts(venue, file, progress=None):
    """Counts of a capture: dict with frames, trades, quotes, book_deltas, snapshots, bars, other, levels, unsupported, errors."""
    counts = dict.fromkeys(("frames", "trades", "quotes", "book_deltas", "snapshots", "bars", "other", "levels",
                            "unsupported", "errors"), 0)
    first_error = None
    last = None
    for frame, _, status, kind, _, levels in CaptureDecoder(venue, file).frames():
        if frame is last:
            continue                  # a REST body that serves several connections is one frame
        last = frame
        counts["frames"] += 1
        if status in (Status.STATUS_OK, Status.STATUS_IGNORED):
            counts[NAMES.get(kind, "other")] += 1
            counts["levels"] += levels if status == Status.STATUS_OK else 0
        elif frame.source == "rest" and status == Status.STATUS_UNSUPPORTED:
            # REST bodies that are no market data (instrument lists) are of another kind, not of an unknown one.
            counts["other"] += 1
        elif status == Status.STATUS_UNSUPPORTED:
            counts["unsupported"] += 1
        else:
            counts["errors"] += 1
            first_error = first_error or f"frame {counts['frames']}: {Status(status).name}: {frame.data[:200]!r}"
        if progress is not None and counts["frames"] % 4096 == 0:
            progress(counts["frames"])
    counts["first_error"] = first_error
    return counts


class ProvenOrders:
    """One instrument's book of one connection, made from single orders, with Kraken's proof of the queues."""

    def __init__(self, venue, facts):
        self.book = L3OrderBook(facts.tick_size, facts.lot_size, 262144 if venue in CHECKSUMS else 65536,
                                rules="kraken" if venue == "kraken" else "coinbase", order_capacity=L3_ORDERS)
        self.checksum = None
        if venue == "kraken":
            self.checksum = Checksum(CHECKSUMS[venue], facts.tick_size, facts.lot_size, facts.price_decimals, facts.qty_decimals)
        self.depth = facts.max_levels if venue == "kraken" else 0
        self.messages = self.ok = self.bad = self.too_old = 0

    def apply(self, slots):
        """The slots of a whole message, two for each order."""
        self.messages += 1
        results = self.book.on_orders(slots.view(np.uint8).reshape(-1))
        self.too_old += L3Result.L3_SNAPSHOT_TOO_OLD in results
        if self.depth:
            self.book.truncate(self.depth)
        last = slots[-2:].view(DTYPES[EventType.EV_ORDER_DELTA])[0]
        if self.checksum is not None and self.book.synced and last["flags"] & ORDER_DELTA_CHECKSUM:
            if self.book.checksum(self.checksum) == last["checksum"]:
                self.ok += 1
            else:
                self.bad += 1
                self.book.lose()

    def report(self):
        return {**_book_report(self.book.l2, self), "orders": len(self.book), "gaps": self.book.counters["gaps"],
                **{f"orders_{name}": self.book.counters[name] for name in ("unknown", "overflows", "inconsistent")}}


class ProvenBook:
    """One instrument's book of one connection, with the venue's proof where it has one."""

    def __init__(self, venue, facts):
        stream = venue not in ("binance_spot", "binance_usdm")
        # Books proven by their text are as wide as their text is fine.
        window = 262144 if venue in CHECKSUMS else 65536
        self.book = OrderBook(facts.tick_size, facts.lot_size, window, sync="stream" if stream else "rest",
                              max_levels=facts.max_levels if venue == "kraken" else 0)
        self.checksum = None
        if venue in CHECKSUMS:
            self.checksum = Checksum(CHECKSUMS[venue], facts.tick_size, facts.lot_size, facts.price_decimals, facts.qty_decimals)
        self.messages = self.ok = self.bad = self.too_old = 0

    def apply(self, slots):
        self.messages += 1
        result = self.book.apply(slots)
        if result == BookResult.BOOK_SNAPSHOT_TOO_OLD:
            self.too_old += 1
        elif self.checksum is not None and result in (BookResult.BOOK_APPLIED, BookResult.BOOK_SYNCED) \
                and self.book.checksum is not None:
            if self.checksum.matches(self.book, self.book.checksum):
                self.ok += 1
            else:
                self.bad += 1
                self.book.lose()

    def report(self):
        return _book_report(self.book, self)


def _book_report(book, proven):
    def side(best):
        return (None, None) if best is None else (book.tick_size.format(best[0]), book.lot_size.format(best[1]))
    bid, bid_qty = side(book.best_bid)
    ask, ask_qty = side(book.best_ask)
    counters = book.counters
    return {"updates": counters["updates"], "checksums_ok": proven.ok, "checksums_bad": proven.bad, "gaps": counters["gaps"],
            "crossed": counters["crossed"], "best_bid": bid, "best_ask": ask, "best_bid_qty": bid_qty,
            "best_ask_qty": ask_qty, "bid_levels": book.bid_levels, "ask_levels": book.ask_levels,
            "last_update_id": book.last_update_id, "snapshots_too_old": proven.too_old,
            "state": BookState(book.state).name[5:]}


def rebuild_books(venue, file, symbol=None, progress=None):
    """{name: {updates, checksums_ok, checksums_bad, gaps, crossed, best_bid, best_ask, bid_levels, ask_levels, state}}.

    The name is the venue's symbol, and SYMBOL@CONNECTION where several recorded connections carry a book of that symbol.
    """
    source = CaptureDecoder(venue, file)
    wanted = [(conn, s) for conn, s in source.facts if symbol is None or _plain(s) == _plain(symbol.partition("@")[0])]
    if not wanted and (symbol is not None or source.facts):
        raise ValueError(f"--symbol: expected one of {sorted({s for _, s in source.facts})}, found {symbol!r}")
    books = {(conn, source.ids[conn][s]): ProvenBook(venue, source.facts[conn, s]) for conn, s in wanted}
    orders, count = {}, 0
    for _, conn, status, _, slots, _ in source.frames():
        count += 1
        if progress is not None and count % 4096 == 0:
            progress(count)
        if status != Status.STATUS_OK:
            continue
        for message in _book_messages(slots):
            book = books.get((conn, int(message[0]["instrument"])))
            if book is not None:
                book.apply(message)
        for message in _order_messages(slots):
            key = conn, int(message[0]["instrument"])
            if key not in orders and key in books and books[key].messages == 0:
                # A symbol that comes order by order has its book from that.
                orders[key] = books[key] = ProvenOrders(venue, source.facts[conn, source.symbols[conn][key[1]]])
            if key in orders:
                orders[key].apply(message)
    found = {(conn, s): books[conn, source.ids[conn][s]] for conn, s in wanted}
    return {name: found[key].report() for key, name in _names(found).items()
            if symbol is None or "@" not in symbol or symbol == name}


def _plain(symbol):
    return symbol.replace("/", "").replace("-", "").replace("_", "").upper()


def _names(books):
    """{(connection, symbol): name}: a symbol's trades and its book may come through different connections."""
    with_book = {}
    for (conn, symbol), book in books.items():
        with_book.setdefault(symbol, [])
        if book.messages:
            with_book[symbol].append(conn)
    names = {}
    for conn, symbol in books:
        carriers = with_book[symbol]
        if not carriers:
            carriers.append(conn)             # no book at all: one entry says so
        if conn in carriers:
            names[conn, symbol] = symbol if len(carriers) == 1 else f"{symbol}@{conn}"
    return names


def _book_messages(slots):
    """The whole book messages in one frame's records."""
    if len(slots) == 0 or slots["type"][0] != EventType.EV_BOOK_DELTA:
        return
    start = 0
    for end in np.flatnonzero(slots["flags"] & DELTA_LAST):
        yield slots[start:end + 1]
        start = end + 1


def _order_messages(slots):
    """The whole messages of single orders in one frame's records, each as its slots."""
    first = None
    for n in np.flatnonzero(slots["type"] == EventType.EV_ORDER_DELTA) if len(slots) else ():
        first = n if first is None else first
        if slots["flags"][n] & ORDER_DELTA_LAST:
            yield slots[first:n + 2]
            first = None
