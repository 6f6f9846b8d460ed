"""Frames of our own workers: what ccxt or a REST poll says of an instrument, as bytes for a feed lane. Cold; exact.

Little-endian, read by venues/ccxt_decode.pyx:

    header      magic u32 "TPCF", layout u8 = 1, kind u8, price_exponent i8, qty_exponent i8, count u32, ask_count u32,
                ts_venue_ns i64 (the smallest: not said), age_ns i64, sequence u64, symbol 24 bytes, zero-padded
    1 snapshot  count bids, then ask_count asks, of: price i64, qty i64             the whole book, best first
    2 diff      the same                                                            new quantities, 0 deletes the level
    3 trades    count of: price i64, qty i64, id u64, ts_venue_ns i64, seller u8, 7 bytes
    4 quote     bid i64, qty i64, ask i64, qty i64                                  price 0: an empty side
    5 candles   count of: ts_open_ns, interval_ns, open, high, low, close, volume i64, closed u8, 7 bytes

A number is mantissa x 10^exponent, never a double. `sequence` counts an instrument's book messages from a start that grows
from worker to worker; a diff follows its predecessor, a quote has the sequence of the book that it is as new as. `age_ns` is
how old the book or quote was when the frame was written: of a poll the time since its request began.
"""
import struct
from decimal import Context, Decimal, Inexact, InvalidOperation

__all__ = ["FrameEncoder", "FrameError"]

MAGIC, LAYOUT = 0x46435054, 1
SNAPSHOT, DIFF, TRADES, QUOTE, CANDLES = 1, 2, 3, 4, 5
HEADER = struct.Struct("<IBBbbIIqqQ24s")
TRADE = struct.Struct("<qqQqB7x")
QUOTE_BODY = struct.Struct("<qqqq")
CANDLE = struct.Struct("<qqqqqqqB7x")
TS_NONE = -2 ** 63
MANTISSA_MAX = 2 ** 63 - 1
KNOWN_NUMBERS_MAX = 50_000
DECIMALS_MAX = 30
# Room for whatever a venue writes; what does not fit is an error, never rounded.
EXACT = Context(prec=60, traps=[Inexact, InvalidOperation])


class FrameError(ValueError):
    """A number or a name that no frame can carry; the text says which."""


class FrameEncoder:
    """Frames of one instrument. Numbers are decimal text.

    Parameters: symbol : as the instrument table has it, 1 to 24 bytes.  tick_size, lot_size : decimal text; where the numbers
    are on this grid their mantissas are as short as can be, others are carried as they are, for the engine to refuse.
    Errors:     FrameError for a symbol, number or count that does not fit.
    """

    def __init__(self, symbol, tick_size, lot_size):
        self.symbol = symbol.encode()
        if not 1 <= len(self.symbol) <= 24:
            raise FrameError(f"symbol: expected 1 to 24 bytes, found {symbol!r}")
        self.price_exponent = min(0, Decimal(tick_size).normalize().as_tuple().exponent)
        self.qty_exponent = min(0, Decimal(lot_size).normalize().as_tuple().exponent)
        self._prices, self._qtys = {}, {}           # text -> mantissa: a book shows the same numbers again and again

    def units(self, rows):
        """[(price, qty)] of text as mantissas of the increments' own decimals; None when one of them has more decimals, and the
        rows must go out as text (`book`), for the engine to refuse. Raises FrameError."""
        found = []
        for price, qty in rows:
            price_units, qty_units = self._prices.get(price), self._qtys.get(qty)
            if price_units is None:
                price_units = _known(self._prices, price, self.price_exponent)
            if qty_units is None:
                qty_units = _known(self._qtys, qty, self.qty_exponent)
            if price_units is None or qty_units is None:
                return None
            found.append((price_units, qty_units))
        return found

    def book_of_units(self, sequence, bids, asks, *, whole, ts_venue_ns=TS_NONE, age_ns=0):
        """As `book`, of rows that `units` made."""
        levels = [n for row in (*bids, *asks) for n in row]
        return self._header(SNAPSHOT if whole else DIFF, self.price_exponent, self.qty_exponent, len(bids), len(asks),
                            ts_venue_ns, age_ns, sequence) + struct.pack(f"<{len(levels)}q", *levels)

    def book(self, sequence, bids, asks, *, whole, ts_venue_ns=TS_NONE, age_ns=0):
        """A snapshot (whole) or a diff. bids, asks : [(price, qty)]."""
        rows = [*bids, *asks]
        price_exponent, prices = mantissas([row[0] for row in rows], self.price_exponent)
        qty_exponent, qtys = mantissas([row[1] for row in rows], self.qty_exponent)
        levels = [n for pair in zip(prices, qtys, strict=True) for n in pair]
        return self._header(SNAPSHOT if whole else DIFF, price_exponent, qty_exponent, len(bids), len(asks), ts_venue_ns, age_ns,
                            sequence) + struct.pack(f"<{len(levels)}q", *levels)

    def trades(self, sequence, rows, *, ts_venue_ns=TS_NONE):
        """rows : [(price, qty, id, ts_venue_ns, True where the seller was the aggressor)]."""
        price_exponent, prices = mantissas([row[0] for row in rows], self.price_exponent)
        qty_exponent, qtys = mantissas([row[1] for row in rows], self.qty_exponent)
        body = b"".join(TRADE.pack(price, qty, row[2] & 2 ** 64 - 1, row[3], bool(row[4]))
                        for price, qty, row in zip(prices, qtys, rows, strict=True))
        return self._header(TRADES, price_exponent, qty_exponent, len(rows), 0, ts_venue_ns, 0, sequence) + body

    def quote(self, sequence, bid, bid_qty, ask, ask_qty, *, ts_venue_ns=TS_NONE, age_ns=0):
        """Best bid and offer; price "0" is an empty side."""
        price_exponent, (bid, ask) = mantissas([bid, ask], self.price_exponent)
        qty_exponent, (bid_qty, ask_qty) = mantissas([bid_qty, ask_qty], self.qty_exponent)
        return self._header(QUOTE, price_exponent, qty_exponent, 1, 0, ts_venue_ns, age_ns, sequence) \
            + QUOTE_BODY.pack(bid, bid_qty, ask, ask_qty)

    def candles(self, sequence, rows):
        """rows : [(ts_open_ns, interval_ns, (open, high, low, close), volume, closed)]."""
        price_exponent, prices = mantissas([price for row in rows for price in row[2]], self.price_exponent)
        qty_exponent, volumes = mantissas([row[3] for row in rows], self.qty_exponent)
        body = b"".join(CANDLE.pack(row[0], row[1], *prices[4 * n:4 * n + 4], volumes[n], bool(row[4]))
                        for n, row in enumerate(rows))
        return self._header(CANDLES, price_exponent, qty_exponent, len(rows), 0, TS_NONE, 0, sequence) + body

    def _header(self, kind, price_exponent, qty_exponent, count, ask_count, ts_venue_ns, age_ns, sequence):
        return HEADER.pack(MAGIC, LAYOUT, kind, price_exponent, qty_exponent, count, ask_count, ts_venue_ns, age_ns, sequence,
                           self.symbol)


def mantissas(texts, exponent):
    """(exponent, [int]) of decimal texts: the given exponent, or the lowest that any of them needs. Raises FrameError."""
    try:
        numbers = [EXACT.create_decimal(text) for text in texts]
        try:
            found = [int(EXACT.to_integral_exact(EXACT.scaleb(n, -exponent))) for n in numbers]
        except Inexact:
            exponent = min(n.normalize(EXACT).as_tuple().exponent for n in numbers)
            if exponent < -DECIMALS_MAX:
                raise FrameError(f"number: expected at most {DECIMALS_MAX} decimals, found {_longest(texts)}") from None
            found = [int(EXACT.to_integral_exact(EXACT.scaleb(n, -exponent))) for n in numbers]
    except (InvalidOperation, Inexact, ValueError, OverflowError, TypeError) as e:
        if isinstance(e, FrameError):
            raise
        raise FrameError(f"number: expected decimal text, found {_longest(texts)}") from None
    if found and not 0 <= min(found) <= max(found) <= MANTISSA_MAX:
        raise FrameError(f"number: expected 0 to {MANTISSA_MAX} x 10^{exponent}, found {_longest(texts)}")
    return exponent, found


def _known(numbers, text, exponent):
    found_exponent, (units,) = mantissas([text], exponent)
    if found_exponent != exponent:
        return None
    if len(numbers) >= KNOWN_NUMBERS_MAX:
        numbers.clear()
    numbers[text] = units
    return units


def _longest(texts):
    return repr(max(map(str, texts), key=len))[:60]
