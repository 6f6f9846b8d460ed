"""What the public may know of the market, wherever it comes from: a capture that is played, or the exchange's own book.

Answers over REST and the WebSocket API are made from a MarketView alone (public_answers.py).
"""
import msgspec

from tickpath_sim.protocols.base import DATA
from tickpath_sim.trading.tape import AggTrade, Tape, Trade, e8_of, fixed

__all__ = ["CaptureMarket", "MarketView"]

SPOT_PLACES = 8


class MarketView:
    """Parameters: kind : "spot" or "usdm".  symbols : {name: Symbol} of what is traded.

    `old_snapshot(instrument)`: asked before each book is given; true when a fault wants the book of the beginning.
    """

    def __init__(self, kind, symbols):
        self.kind, self.symbols = kind, symbols
        self.old_snapshot = None
        self._tapes = {}

    def tape(self, name):
        """The Tape of a symbol."""
        tape = self._tapes.get(name)
        if tape is None:
            tape = self._tapes[name] = Tape()
        return tape

    def depth(self, name, limit):
        """(last update id, bids, asks): rows [price text, quantity text], best first. Limit None: all."""
        raise NotImplementedError

    def best(self, name):
        """((price, quantity) or None, the same): texts of the best bid and ask."""
        _, bids, asks = self.depth(name, 1)
        return (tuple(bids[0][:2]) if bids else None), (tuple(asks[0][:2]) if asks else None)

    def price_places(self, name):
        return SPOT_PLACES if self.kind == "spot" else self.symbols[name].price_places

    def qty_places(self, name):
        return SPOT_PLACES if self.kind == "spot" else self.symbols[name].qty_places

    def quote_places(self, name):
        """Decimals of an amount of quote currency: the futures write as many as price and quantity have together."""
        return SPOT_PLACES if self.kind == "spot" else self.price_places(name) + self.qty_places(name)

    def price_text(self, name, price_e8):
        return fixed(price_e8, 8, self.price_places(name))

    def qty_text(self, name, qty_e8):
        return fixed(qty_e8, 8, self.qty_places(name))

    def quote_text(self, name, quote_e16):
        return fixed(quote_e16, 16, self.quote_places(name))

    def turnover_text(self, name, quote_e16):
        """Quote amounts of trades and tickers: the futures write them with two decimals."""
        return fixed(quote_e16, 16, SPOT_PLACES if self.kind == "spot" else 2)


class _TradeText(msgspec.Struct):
    """The fields of a `trade` or `aggTrade` message."""
    p: str
    q: str
    T: int
    m: bool
    t: int | None = None
    a: int | None = None
    f: int | None = None
    l: int | None = None  # noqa: E741  (the venue's name)


decode_trade = msgspec.json.Decoder(_TradeText).decode


class CaptureMarket(MarketView):
    """The market of a capture as far as it has been played. The streams stay the recorded bytes; clients' orders are not in them.

    Parameters: protocol : BinanceSpot or BinanceUsdm, whose instruments hold the books.
    """

    def __init__(self, kind, symbols, protocol):
        super().__init__(kind, symbols)
        self.protocol = protocol
        self._has_trades = set()
        self._has_aggregates = set()

    def observe(self, event):
        """An event of the stream that has been accepted. Call it for each."""
        if event.kind is not DATA or event.instrument is None:
            return
        channel = event.key.partition("@")[2]
        if channel not in ("trade", "aggTrade"):
            return
        name, message = event.instrument.symbol, decode_trade(self.protocol.text(event))
        price_e8, qty_e8 = e8_of(message.p), e8_of(message.q)
        if not price_e8 or not qty_e8:
            # USD-M also reports trades against the insurance fund; these are no market prices.
            return
        tape = self.tape(name)
        if channel == "trade":
            # Until a capture shows that it has the trades themselves, its aggregates stand for them.
            self._has_trades.add(name)
            tape.add(Trade(message.t, price_e8, qty_e8, message.T, message.m))
            if name not in self._has_aggregates:
                # And the other way round.
                tape.agg_trades.append(AggTrade(message.t, price_e8, qty_e8, message.t, message.t, message.T, message.m))
        else:
            self._has_aggregates.add(name)
            tape.agg_trades.append(AggTrade(message.a, price_e8, qty_e8, message.f, message.l, message.T, message.m))
            if name not in self._has_trades:
                tape.add(Trade(message.l, price_e8, qty_e8, message.T, message.m))

    def depth(self, name, limit):
        item = self.protocol.instruments.get(name)
        if item is None:
            return 0, [], []
        bids, asks, sequence = item.book.bids.top(limit), item.book.asks.top(limit), item.book.sequence
        if self.old_snapshot is not None and self.old_snapshot(item):
            bids, asks, sequence = item.start
            # Older than anything a client can have buffered, also when nothing has been played yet.
            bids, asks, sequence = bids[:limit], asks[:limit], (sequence or 1) + item.id_offset - 1
        return sequence or 0, bids, asks
