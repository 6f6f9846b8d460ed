"""One instrument's book as the public sees it: levels kept from the exchange's own LEVEL events, update ids, and the windows of
the diff streams.

Each LEVEL event takes the next update id. A diff stream sends, at the end of each of its windows, what has become of the levels
that were touched in it, with the first and the last id of the window; so every stream's chain is whole, and a snapshot taken at
any moment joins each of them.
"""
from bisect import bisect_left, insort

__all__ = ["DiffWindow", "Ladder", "OwnBook"]


class Ladder:
    """One side: lots by price in ticks, and the prices in ascending order."""
    __slots__ = ("is_bid", "lots", "prices")

    def __init__(self, is_bid):
        self.is_bid = is_bid
        self.lots = {}
        self.prices = []

    def set(self, price_ticks, qty_lots):
        if qty_lots:
            if price_ticks not in self.lots:
                insort(self.prices, price_ticks)
            self.lots[price_ticks] = qty_lots
        elif self.lots.pop(price_ticks, None) is not None:
            del self.prices[bisect_left(self.prices, price_ticks)]

    def best(self):
        """(price_ticks, qty_lots), None when the side is empty."""
        if not self.prices:
            return None
        price_ticks = self.prices[-1 if self.is_bid else 0]
        return price_ticks, self.lots[price_ticks]

    def top(self, count=None):
        """[(price_ticks, qty_lots)], best first; all when count is None."""
        if self.is_bid:
            prices = reversed(self.prices if count is None else self.prices[-count:] if count else ())
        else:
            prices = self.prices if count is None else self.prices[:count]
        return [(price, self.lots[price]) for price in prices]


class DiffWindow:
    """What one diff stream still has to send.

    Parameters: key : of the stream.  period_ms : how often it sends, 0 after every change.
    """
    __slots__ = ("key", "period_ms", "last_id", "bids", "asks")

    def __init__(self, key, period_ms, last_id):
        self.key, self.period_ms, self.last_id = key, period_ms, last_id
        self.bids, self.asks = set(), set()

    def begin(self, update_id):
        """Somebody listens from now on: what the window covers begins behind this id."""
        self.last_id = update_id
        self.bids.clear()
        self.asks.clear()


class OwnBook:
    """Parameters: symbol : Symbol.  periods : [(suffix of the stream, ms)], the first is the one that the truth follows."""

    def __init__(self, symbol, periods, update_id=1):
        self.symbol = symbol
        self.name = symbol.name
        self.lower = symbol.name.lower()
        # Keys of the streams that are looked for at every event.
        self.quote_key, self.trade_key, self.aggregate_key = (f"{self.lower}@{channel}"
                                                              for channel in ("bookTicker", "trade", "aggTrade"))
        self.bids, self.asks = Ladder(True), Ladder(False)
        self.update_id = update_id
        self.changed_ns = 0                 # venue time of the last change
        self.windows = [DiffWindow(f"{self.lower}@depth{suffix}", period_ms, update_id) for suffix, period_ms in periods]
        self.active = self.windows[:1]      # those that are kept: the first, and what is listened to
        self.best = [None, None]            # (price_ticks, qty_lots) of bid and ask

    def apply(self, is_bid, price_ticks, qty_lots, time_ns):
        """One level is now so large. Returns whether the top of the book has changed."""
        self.update_id += 1
        self.changed_ns = time_ns
        ladder = self.bids if is_bid else self.asks
        lots = ladder.lots
        if qty_lots and price_ticks in lots:
            lots[price_ticks] = qty_lots
        else:
            ladder.set(price_ticks, qty_lots)
        for window in self.active:
            (window.bids if is_bid else window.asks).add(price_ticks)
        best = self.best[not is_bid]
        if best is not None and (price_ticks < best[0] if is_bid else price_ticks > best[0]):
            return False
        now = ladder.best()
        if now == best:
            return False
        self.best[not is_bid] = now
        return True

    @property
    def changed_ms(self):
        return self.changed_ns // 1_000_000

    def load(self, bids, asks):
        """The book at the beginning, [(price_ticks, qty_lots)] a side."""
        for ladder, rows in ((self.bids, bids), (self.asks, asks)):
            for price_ticks, qty_lots in rows:
                ladder.set(price_ticks, qty_lots)
        self.best = [self.bids.best(), self.asks.best()]

    def listen(self, keys):
        """Keep the windows of these streams, besides the first, from now on."""
        for window in self.windows[1:]:
            if (window.key in keys) != (window in self.active):
                if window in self.active:
                    self.active.remove(window)
                else:
                    window.begin(self.update_id)
                    self.active.append(window)

    def rows(self, count=None):
        """(bids, asks) in the venue's texts, best first."""
        price, qty = self.symbol.price_text, self.symbol.qty_text
        return tuple([[price(p), qty(q)] for p, q in ladder.top(count)] for ladder in (self.bids, self.asks))

    def best_texts(self):
        """((price, quantity), (price, quantity)) of the best bid and ask; zeros for an empty side, as the venue writes it."""
        price, qty = self.symbol.price_text, self.symbol.qty_text
        return tuple((price(best[0]), qty(best[1])) if best else (price(0), qty(0))
                     for best in self.best)

    def take(self, window):
        """(first id, last id, id before, bids, asks) of a window that is over, rows as texts; None when nothing was touched."""
        if not window.bids and not window.asks:
            window.last_id = self.update_id
            return None
        price, qty = self.symbol.price_text, self.symbol.qty_text
        bids = [[price(p), qty(self.bids.lots.get(p, 0))] for p in sorted(window.bids, reverse=True)]
        asks = [[price(p), qty(self.asks.lots.get(p, 0))] for p in sorted(window.asks)]
        before, window.last_id = window.last_id, self.update_id
        # Sets are kept and emptied, so that a busy book does not allocate them anew ten times a second.
        window.bids.clear()
        window.asks.clear()
        return before + 1, self.update_id, before, bids, asks
