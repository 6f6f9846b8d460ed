"""`tickpath decode` and `tickpath book`: what a capture holds, and the books it makes."""
from tickpath.capture import expand_capture, infer_grids, read_capture
from tickpath.market import OrderBook
from tickpath.market.book import BookResult
from tickpath.types import BookState, Status
from tickpath.venues.batch import MessageKind
from tickpath.venues.decoders import MessageDecoder

VENUES = ("binance_spot",)
NO_INSTRUMENT = 0xFFFFFFFF


class VenueError(ValueError):
    """A venue this build has no decoder for."""


class CaptureDecoder:
    """A capture's frames through the venue's decoder, with grids found in the capture itself."""

    def __init__(self, venue, file):
        if venue not in VENUES:
            raise VenueError(f"--venue: expected one of {list(VENUES)}, found {venue!r}")
        self.paths = expand_capture(str(file))
        grids = infer_grids(self.paths, venue)
        self.symbols = sorted(grids)
        self.grids = grids
        self.decoder = MessageDecoder([(s, *grids[s]) for s in self.symbols])
        self.ids = {s: i for i, s in enumerate(self.symbols)}

    def frames(self):
        """Yields (frame, status, kind, slots, level_count)."""
        for path in self.paths:
            for frame in read_capture(path):
                hint = self.ids.get(frame.symbol_hint, NO_INSTRUMENT) if frame.symbol_hint else (
                    0 if len(self.symbols) == 1 else NO_INSTRUMENT)
                status, kind, slots, _, levels, _ = self.decoder.decode(frame.data, frame.ts_recv_ns, hint)
                yield frame, status, kind, slots, levels


def decode_counts(venue, file, progress=None):
    """Counts of a capture: dict with frames, trades, quotes, book_deltas, snapshots, bars, other, levels, unsupported, errors."""
    counts = dict.fromkeys(("frames", "trades", "quotes", "book_deltas", "snapshots", "bars", "other", "levels",
                            "unsupported", "errors"), 0)
    names = {MessageKind.MESSAGE_TRADE: "trades", MessageKind.MESSAGE_QUOTE: "quotes",
             MessageKind.MESSAGE_BOOK_DELTA: "book_deltas", MessageKind.MESSAGE_SNAPSHOT: "snapshots",
             MessageKind.MESSAGE_BAR: "bars"}
    first_error = None
    for frame, status, kind, _, levels in CaptureDecoder(venue, file).frames():
        counts["frames"] += 1
        if status in (Status.STATUS_OK, Status.STATUS_IGNORED):
            counts[names.get(kind, "other")] += 1
            counts["levels"] += levels if status == Status.STATUS_OK else 0
        elif status == Status.STATUS_UNSUPPORTED:
            # REST bodies that are no market data (instrument lists) are of another kind, not of an unknown one.
            counts["other" if frame.source == "rest" else "unsupported"] += 1
        else:
            counts["errors"] += 1
            first_error = first_error or f"frame {counts['frames']}: {Status(status).name}: {frame.data[:200]!r}"
        if progress is not None and counts["frames"] % 4096 == 0:
            progress(counts["frames"])
    counts["first_error"] = first_error
    return counts


def rebuild_books(venue, file, symbol=None, progress=None):
    """{symbol: {updates, checksums_ok, checksums_bad, gaps, crossed, best_bid, best_ask, bid_levels, ask_levels, state}}."""
    source = CaptureDecoder(venue, file)
    wanted = source.symbols
    if symbol is not None:
        plain = symbol.replace("/", "").replace("-", "").upper()
        if plain not in source.ids:
            raise ValueError(f"--symbol: expected one of {source.symbols}, found {symbol!r}")
        wanted = [plain]
    books = {source.ids[s]: OrderBook(*source.grids[s]) for s in wanted}
    too_old = dict.fromkeys(books, 0)
    count = 0
    for _, status, kind, slots, _ in source.frames():
        count += 1
        if progress is not None and count % 4096 == 0:
            progress(count)
        if status != Status.STATUS_OK or kind not in (MessageKind.MESSAGE_BOOK_DELTA, MessageKind.MESSAGE_SNAPSHOT):
            continue
        book = books.get(int(slots[0]["instrument"]))
        if book is not None and book.apply(slots) == BookResult.BOOK_SNAPSHOT_TOO_OLD:
            too_old[int(slots[0]["instrument"])] += 1
    return {source.symbols[i]: book_report(book, too_old[i]) for i, book in books.items()}


def book_report(book, snapshots_too_old):
    def side(best):
        return (None, None) if best is None else (book.tick_size.format(best[0]), book.lot_size.format(best[1]))
    bid, bid_qty = side(book.best_bid)
    ask, ask_qty = side(book.best_ask)
    counters = book.counters
    return {"updates": counters["updates"], "checksums_ok": 0, "checksums_bad": 0, "gaps": counters["gaps"],
            "crossed": counters["crossed"], "best_bid": bid, "best_ask": ask, "best_bid_qty": bid_qty,
            "best_ask_qty": ask_qty, "bid_levels": book.bid_levels, "ask_levels": book.ask_levels,
            "last_update_id": book.last_update_id, "snapshots_too_old": snapshots_too_old,
            "state": BookState(book.state).name[5:]}
