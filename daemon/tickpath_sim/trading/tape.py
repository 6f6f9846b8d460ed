"""What has been traded of one instrument: the last trades, the last aggregates, candles. Bounded.

Prices and quantities are integers of 1e-8; quote amounts, their products, of 1e-16.
"""
from collections import deque
from itertools import islice
from typing import NamedTuple

from tickpath_sim.trading.candles import Candles

__all__ = ["AggTrade", "Aggregator", "Tape", "Trade", "e8_of", "fixed"]

TRADES_KEPT = 5000
WINDOW_MS = 100


def fixed(value, scale, places):
    """Decimal text of the integer `value` x 10^-scale with so many places; what is finer is cut off, as the venue does."""
    sign = ""
    if value < 0:
        sign, value = "-", -value
    value = value // 10 ** (scale - places) if scale >= places else value * 10 ** (places - scale)
    if not places:
        return sign + str(value)
    text = f"{value:0{places + 1}d}"
    return f"{sign}{text[:-places]}.{text[-places:]}"


def e8_of(text):
    """The integer of 1e-8 that a plain decimal text means; what is finer is cut off."""
    whole, _, rest = text.partition(".")
    return int(whole + rest[:8].ljust(8, "0"))


class Trade(NamedTuple):
    """One match. `is_buyer_maker`: the seller took."""
    id: int
    price_e8: int
    qty_e8: int
    time_ms: int
    is_buyer_maker: bool
    buyer_order_id: int = 0
    seller_order_id: int = 0


class AggTrade(NamedTuple):
    """Consecutive trades of one taker at one price."""
    id: int
    price_e8: int
    qty_e8: int
    first_id: int
    last_id: int
    time_ms: int
    is_buyer_maker: bool


class Aggregator:
    """Makes aggregates of trades.

    Parameters: by_taker : spot's rule, one taker's fills at one price; otherwise USD-M's, fills of one price and one taking side
    within a tenth of a second.
    Source: developers.binance.com, "Aggregate Trade Streams" of spot and of USDS-M futures, seen 2026-11-22.
    """

    def __init__(self, by_taker):
        self.by_taker = by_taker
        self.next_id = 1
        self._open = {}                     # (taker or side, price) -> AggTrade, oldest first
        self._slot = None                   # of the last trade

    def add(self, trade):
        """Take a trade in. Returns the aggregates that have ended before it."""
        if self.by_taker:
            key = trade.seller_order_id if trade.is_buyer_maker else trade.buyer_order_id, trade.price_e8
            # A taker walks from price to price and is done before the next begins.
            ended = () if key in self._open else self.take()
        else:
            key = trade.is_buyer_maker, trade.price_e8
            slot = trade.time_ms // WINDOW_MS
            ended = () if slot == self._slot else self.take()
            self._slot = slot
        found = self._open.get(key)
        if found is not None:
            self._open[key] = found._replace(qty_e8=found.qty_e8 + trade.qty_e8, last_id=trade.id)
            return ended
        self._open[key] = AggTrade(self.next_id, trade.price_e8, trade.qty_e8, trade.id, trade.id, trade.time_ms,
                                   trade.is_buyer_maker)
        self.next_id += 1
        return ended

    def take(self):
        """All aggregates that are still open, which ends them: the taker is done, or the time is over."""
        found = list(self._open.values())
        self._open.clear()
        return found


class Tape:
    """Parameters: kept : trades, and aggregates, that are remembered."""

    def __init__(self, kept=TRADES_KEPT):
        self.trades = deque(maxlen=kept)
        self.agg_trades = deque(maxlen=kept)
        self.candles = Candles()

    @property
    def last(self):
        """The last trade, None before the first."""
        return self.trades[-1] if self.trades else None

    def add(self, trade):
        self.trades.append(trade)
        self.candles.add(trade.id, trade.price_e8, trade.qty_e8, trade.time_ms, trade.is_buyer_maker)

    def average_e8(self, now_ms, minutes=5):
        """Price of the last minutes, weighted by quantity; the last price when nothing was traded, 0 before the first trade."""
        volume_e8, quote_e16 = self.candles.recent(now_ms, minutes * 60)
        return quote_e16 // volume_e8 if volume_e8 else self.candles.last_e8

    def recent(self, limit, from_id=None):
        """Trades, oldest first: the last `limit`, or the first `limit` from an id on."""
        return _part(self.trades, limit, None if from_id is None else lambda t: t.id >= from_id)

    def recent_aggregates(self, limit, *, from_id=None, start_ms=None, end_ms=None):
        """Aggregates, oldest first. With from_id or start_ms the first `limit` from there on, otherwise the last."""
        rows = [a for a in self.agg_trades if end_ms is None or a.time_ms <= end_ms] if end_ms is not None else self.agg_trades
        if from_id is not None:
            return _part(rows, limit, lambda a: a.id >= from_id)
        return _part(rows, limit, None if start_ms is None else lambda a: a.time_ms >= start_ms)


def _part(rows, limit, wanted):
    if wanted is None:
        return list(islice(rows, max(0, len(rows) - limit), None))
    return list(islice((row for row in rows if wanted(row)), limit))
