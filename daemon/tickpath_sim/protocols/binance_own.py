"""Binance's protocol over a market that is not recorded: the exchange's own book (trading/own_market.py).

Sessions, requests and faults are those of binance.py and binance_usdm.py. Other than there, every stream that the venue has is
served, each at its own pace.
"""
import re

from tickpath_sim import wire_json
from tickpath_sim.protocols.base import BOOK, DATA, Protocol
from tickpath_sim.protocols.binance import BinanceSpot
from tickpath_sim.protocols.binance_rest import compact
from tickpath_sim.protocols.binance_usdm import BinanceUsdm
from tickpath_sim.trading.candles import INTERVALS

__all__ = ["OwnSpot", "OwnUsdm", "own_protocol"]

NAME = re.compile(r"([^@!]+)@(.+)")
KLINE = re.compile(r"kline_(\w+)(@\+08:00)?")
DEPTH = re.compile(r"depth(5|10|20)?(?:@(\d+)ms)?")


class _OwnMarket:
    """Mixed in before a protocol.

    `periods`: pace in ms that a depth stream's name asks for -> suffix of the diff stream's key.  `market`: the OwnMarket.
    """
    default_period_ms = None
    periods = {}
    channels = frozenset()
    arrays = frozenset()

    def __init__(self):
        super().__init__()
        self.market = None
        self.symbols_lower = {}             # "btcusdt" -> "BTCUSDT"
        self.truth_keys = set()             # keys of the diff streams that the books follow

    @staticmethod
    def claims(frame):
        return False

    def add_symbol(self, symbol):
        """List a Symbol of the exchange. Its book begins empty."""
        item = self.instrument(symbol.name)
        item.tick_size, item.lot_size = symbol.tick_size, symbol.lot_size
        item.price_places, item.qty_places = symbol.price_places, symbol.qty_places
        item.book.sequence = 1
        item.start = ([], [], 1)
        lower = symbol.name.lower()
        self.symbols_lower[lower] = symbol.name
        self.diff_keys[lower] = f"{lower}@depth@100ms"
        self.truth_keys.add(self.diff_keys[lower])
        return item

    def accept(self, event):
        if event.kind is BOOK and event.key not in self.truth_keys:
            # The same changes again, in another stream's windows: the truth has them already.
            if event.instrument.price_shift:
                item = event.instrument
                event.bids, event.asks, event.data = item.moved(event.bids), item.moved(event.asks), None
            return event
        if event.kind is DATA:
            # Other than BinanceRest.accept, which also remembers trades: the tape is the market's own.
            return Protocol.accept(self, event)
        return super().accept(event)

    def number(self, event, item):
        item.book.sequence = event.sequence

    def key_of(self, name):
        if name in self.arrays:
            return name, None
        match = NAME.fullmatch(name)
        if match is None or match[1] not in self.symbols_lower:
            return None, None
        lower, channel = match[1], match[2]
        if depth := DEPTH.fullmatch(channel):
            suffix = self.periods.get(int(depth[2]) if depth[2] else self.default_period_ms)
            if suffix is None:
                return None, None
            return f"{lower}@depth{suffix}", int(depth[1]) if depth[1] else None
        if kline := KLINE.fullmatch(channel):
            if kline[1] not in INTERVALS or (kline[1] == "1s" and "kline_1s" not in self.channels):
                return None, None
            return name, None
        return (name, None) if channel in self.channels else (None, None)


class OwnSpot(_OwnMarket, BinanceSpot):
    default_period_ms = 1000
    periods = {100: "@100ms", 1000: ""}
    channels = frozenset(("trade", "aggTrade", "bookTicker", "miniTicker", "ticker", "ticker_1h", "ticker_4h", "ticker_1d",
                          "avgPrice", "kline_1s"))
    arrays = frozenset(("!miniTicker@arr", "!ticker@arr", "!ticker_1h@arr", "!ticker_4h@arr", "!ticker_1d@arr"))

    def partial(self, event, depth):
        bids, asks = self.market.rows(event.instrument.symbol, depth)
        return compact({"lastUpdateId": event.sequence, "bids": bids, "asks": asks})


class OwnUsdm(_OwnMarket, BinanceUsdm):
    default_period_ms = 250
    periods = {0: "@0ms", 100: "@100ms", 250: "", 500: "@500ms"}
    channels = frozenset(("trade", "aggTrade", "bookTicker", "miniTicker", "ticker", "markPrice", "markPrice@1s", "forceOrder"))
    arrays = frozenset(("!miniTicker@arr", "!ticker@arr", "!bookTicker", "!markPrice@arr", "!markPrice@arr@1s",
                        "!forceOrder@arr"))

    def partial(self, event, depth):
        message = wire_json.loads(self.text(event))
        message["b"], message["a"] = self.market.rows(event.instrument.symbol, depth)
        return wire_json.dumps(message)


def own_protocol(kind, symbols=()):
    """The protocol of a market without a recording.

    Parameters: kind : "spot" or "usdm".  symbols : iterable of Symbol.
    """
    protocol = {"spot": OwnSpot, "usdm": OwnUsdm}[kind]()
    for symbol in symbols:
        protocol.add_symbol(symbol)
    return protocol
