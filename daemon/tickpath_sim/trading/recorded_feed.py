"""The capture that is played, given to the exchange as the recorded market against which clients trade."""
import numpy as np

from tickpath_sim.protocols.base import BOOK, DATA, SNAPSHOT
from tickpath_sim.trading.market_view import decode_trade
from tickpath_sim.trading.orders import BUY, SELL
from tickpath_sim.trading.tape import e8_of

__all__ = ["RecordedFeed"]


class RecordedFeed:
    """Parameters: venue : TradingVenue whose protocol has read its capture.  settings : of Exchange.record_market.

    Levels and trades between the ticks of the venue's grid (a capture of another time may have them) are put onto it: bids down,
    asks up, so that a client's order is never filled better than it was shown.
    """

    def __init__(self, venue, **settings):
        self.venue, self.exchange = venue, venue.exchange
        self.fed = {}                       # instrument key -> Symbol
        self.has_trades = set()
        for item in venue.protocol.instruments.values():
            symbol = venue.symbols.get(item.symbol)
            if symbol is not None:
                self.exchange.record_market(symbol.index, **settings)
                self.fed[item.key] = symbol
                self._levels(symbol, item.book.bids.top(), item.book.asks.top(), True, item.book.sequence or 0)

    def observe(self, event):
        """An accepted event of the stream."""
        item = event.instrument
        symbol = None if item is None else self.fed.get(item.key)
        if symbol is None:
            return
        if event.kind is BOOK:
            self._levels(symbol, event.bids, event.asks, False, event.sequence or 0)
        elif event.kind is SNAPSHOT:
            self._levels(symbol, item.book.bids.top(), item.book.asks.top(), True, item.book.sequence or 0)
        elif event.kind is DATA:
            self._trade(symbol, event)
        self.venue.settle()

    def _levels(self, symbol, bids, asks, snapshot, update_id):
        now_ns, tick, lot = self.venue.now_ns(), symbol.tick_units, symbol.lot_units
        for side, rows, up in ((BUY, bids, 0), (SELL, asks, tick - 1)):
            levels = [((e8_of(row[0]) + up) // tick, e8_of(row[1]) // lot) for row in rows]
            levels = [level for level in levels if level[0] > 0]
            if levels or snapshot:
                prices, lots = np.array(levels, np.int64).reshape(-1, 2).T
                self.exchange.market_levels(symbol.index, side, prices, lots, now_ns, snapshot=snapshot, update_id=update_id)

    def _trade(self, symbol, event):
        channel = event.key.partition("@")[2]
        if channel == "trade":
            self.has_trades.add(symbol)
        elif channel != "aggTrade" or symbol in self.has_trades:
            return
        trade = decode_trade(self.venue.protocol.text(event))
        lots = e8_of(trade.q) // symbol.lot_units
        if lots:
            self.exchange.market_trade(symbol.index, e8_of(trade.p) // symbol.tick_units, lots, trade.m, self.venue.now_ns())
