"""The truth: what each book holds at the present position of the stream, kept in plain Python from the venue's own rows.

A row is the list of texts that the venue sends for a level: price, quantity, and whatever else the venue adds. Rows are kept
as they came, so that a snapshot made for a client that joins late carries the venue's own text.
"""
from bisect import bisect_left, insort
from decimal import Decimal

__all__ = ["Book", "Side", "merge_rows"]


class Side:
    """One side of a book: rows by price, and the prices in ascending order."""
    __slots__ = ("is_bid", "rows", "prices")

    def __init__(self, is_bid):
        self.is_bid = is_bid
        self.rows = {}
        self.prices = []

    def __len__(self):
        return len(self.prices)

    def apply(self, row):
        """Set the level of a row, or delete it when the row's quantity is zero. Deleting what is not there is no error."""
        price = Decimal(row[0])
        if Decimal(row[1]):
            if price not in self.rows:
                insort(self.prices, price)
            self.rows[price] = row
        elif self.rows.pop(price, None) is not None:
            del self.prices[bisect_left(self.prices, price)]

    def truncate(self, depth):
        while len(self.prices) > depth:
            del self.rows[self.prices.pop(0 if self.is_bid else -1)]

    def best_price(self):
        return None if not self.prices else self.prices[-1 if self.is_bid else 0]

    def top(self, count=None):
        """The best rows, best first; all when count is None."""
        if self.is_bid:
            prices = reversed(self.prices if count is None else self.prices[-count:] if count else ())
        else:
            prices = self.prices if count is None else self.prices[:count]
        return [self.rows[price] for price in prices]


class Book:
    """One instrument's book.

    Parameters: depth : levels a side that the venue's stream holds, None for all.
    `sequence` is the venue's id of the last applied message (None where a venue has none).
    """
    __slots__ = ("depth", "bids", "asks", "sequence")

    def __init__(self, depth=None):
        self.depth = depth
        self.sequence = None
        self.clear()

    def clear(self):
        self.bids, self.asks = Side(True), Side(False)

    def apply(self, bids, asks):
        for row in bids:
            self.bids.apply(row)
        for row in asks:
            self.asks.apply(row)
        if self.depth is not None:
            self.bids.truncate(self.depth)
            self.asks.truncate(self.depth)

    def load(self, bids, asks):
        self.clear()
        self.apply(bids, asks)

    def changes_to(self, bids, asks):
        """(bids, asks): the rows that turn this book into the one that `bids` and `asks` are the whole of."""
        return _changes(self.bids, bids), _changes(self.asks, asks)

    def describe(self, count=10):
        """What /truth says: best levels as [price, quantity] texts and counts."""
        bids, asks = ([row[:2] for row in side.top(count)] for side in (self.bids, self.asks))
        return {"best_bid": bids[0] if bids else None, "best_ask": asks[0] if asks else None, "bids": bids, "asks": asks,
                "bid_levels": len(self.bids), "ask_levels": len(self.asks), "sequence": self.sequence}


def _changes(side, rows):
    wanted = {Decimal(row[0]): row for row in rows if Decimal(row[1])}
    gone = [[row[0], zero_like(row[1]), *row[2:]] for price, row in side.rows.items() if price not in wanted]
    return gone + [row for price, row in wanted.items() if side.rows.get(price) != row]


def zero_like(text):
    """Zero with as many decimals as `text` has."""
    return format(Decimal(0).scaleb(-len(text.partition(".")[2])), "f")


def merge_rows(*lists):
    """Rows of several messages in one: of the rows at one price the last stays."""
    merged = {}
    for rows in lists:
        for row in rows:
            price = Decimal(row[0])
            merged.pop(price, None)
            merged[price] = row
    return list(merged.values())
