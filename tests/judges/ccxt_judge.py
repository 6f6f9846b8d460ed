"""ccxt's own WebSocket classes as a judge of our decoders and books: both are given the same recorded frames, in the same order.

A ccxt exchange handles a frame in `handle_message(client, message)`; the client is ccxt's own too, only without a socket, so that
nothing but the frames decides what happens. Its markets are those that the capture's metadata lists; a REST snapshot that it asks
for is answered with the recorded body when the capture comes to it.

ccxt counts in doubles, we in ticks and lots: a double of our exact decimal is the double of the venue's text, so that equality is
exact.
"""
import asyncio
import json
import uuid
from collections import Counter
from decimal import Decimal
from typing import NamedTuple

import numpy as np
from ccxt.async_support.base.ws.client import Client

from tickpath.market import OrderBook
from tickpath.shm.ring import records
from tickpath.types import EventType, Status
from tickpath.venues.decoders import MessageDecoder

TOP_LEVELS = 10
DELTA_LAST = 8
ALL_LEVELS = 1 << 20


class Trade(NamedTuple):
    """A trade in the words of both sides; ts_ms is whole milliseconds, which is all that ccxt keeps."""
    trade_id: int
    price: float
    qty: float
    side: str
    ts_ms: int


class OurSide:
    """Our decoder and books for the instruments of one connection.

    Parameters: kind : the venue's.  grids : {venue_symbol: (tick_size, lot_size, max_levels)}.  window_ticks : of the books.
    """

    def __init__(self, kind, grids, *, sync, window_ticks=65536):
        self.symbols = list(grids)
        self.sizes = [tuple(map(Decimal, grids[s][:2])) for s in self.symbols]
        self.decoder = MessageDecoder([(s, *grids[s][:2]) for s in self.symbols], kind=kind, max_frame_bytes=16 << 20)
        self.books = [OrderBook(*grids[s][:2], window_ticks, sync=sync, max_levels=grids[s][2]) for s in self.symbols]

    def feed(self, frame):
        """([(venue_symbol, Trade)], [venue_symbol of each book message]) of a frame; the books are brought up to date."""
        hint = self.symbols.index(frame.symbol_hint) if frame.symbol_hint in self.symbols else 0
        status, _, slots, *_ = self.decoder.decode(frame.data, frame.ts_recv_ns, hint)
        if status != Status.STATUS_OK:
            return [], []
        trades = []
        for t in records(slots, EventType.EV_TRADE):
            i = int(t["instrument"])
            tick, lot = self.sizes[i]
            trades.append((self.symbols[i], Trade(int(t["trade_id"]), float(int(t["price_ticks"]) * tick), float(int(t["qty_lots"]) * lot),
                                                  "sell" if t["flags"] & 1 else "buy", int(t["ts_venue_ns"]) // 1_000_000)))
        touched = []
        levels = slots[slots["type"] == EventType.EV_BOOK_DELTA]
        if len(levels):
            for message in np.split(levels, np.flatnonzero(levels["flags"] & DELTA_LAST)[:-1] + 1):
                i = int(message[0]["instrument"])
                self.books[i].apply(message)
                touched.append(self.symbols[i])
        return trades, touched

    def top(self, symbol, levels=TOP_LEVELS):
        """[[(price, qty)] of bids, of asks], best first; levels None: all."""
        i = self.symbols.index(symbol)
        tick, lot = self.sizes[i]
        return [[(float(p * tick), float(q * lot)) for p, q in side.tolist()] for side in self.books[i].depth(levels or ALL_LEVELS)]

    def synced(self, symbol):
        """Whether the book has had its beginning."""
        return self.books[self.symbols.index(symbol)].best_bid is not None


class TheirSide:
    """A ccxt.pro exchange and a client of it without a socket.

    Parameters: exchange : with its markets set.  url : of the connection, from which some exchanges tell their markets apart.
    symbols : {venue_symbol: ccxt's symbol}.
    """

    def __init__(self, exchange, url, symbols):
        self.exchange, self.symbols = exchange, symbols
        exchange.options["tradesLimit"] = 1 << 20
        self.client = Client(url, None, None, None, None, {"options": {}})
        self.seen = Counter()

    def feed(self, data):
        """Hand over one frame; what ccxt cannot do with it raises."""
        self.exchange.handle_message(self.client, json.loads(data))

    def new_trades(self):
        """[(ccxt's symbol, trade as ccxt gives it)] since the last call."""
        found = []
        for symbol, trades in self.exchange.trades.items():
            if len(trades) > self.seen[symbol]:
                found += [(symbol, trades[n]) for n in range(self.seen[symbol], len(trades))]
                self.seen[symbol] = len(trades)
        return found

    def top(self, venue_symbol, levels=TOP_LEVELS):
        """As OurSide.top; without levels where ccxt has no book, or one that waits for its snapshot."""
        book = self.exchange.orderbooks.get(self.symbols[venue_symbol], {"bids": [], "asks": []})
        return [[(row[0], row[1]) for row in book[side][:levels]] for side in ("bids", "asks")]


def trade_of(t):
    """A ccxt trade in our words."""
    return Trade(number_of(t["id"]), t["price"], t["amount"], t["side"], t["timestamp"])


def number_of(trade_id):
    """A trade id in 64 bits, as the decoders have it: a number is itself, a UUID its two halves, one over the other."""
    if trade_id.isdigit():
        return int(trade_id)
    value = uuid.UUID(trade_id).int
    return value >> 64 ^ value & 2 ** 64 - 1


async def settle(turns=30):
    """Let the tasks that ccxt has started come to their end."""
    for _ in range(turns):
        await asyncio.sleep(0)


def market(symbol, venue_symbol, *, kind="spot"):
    """A ccxt market with what the WebSocket classes need of it."""
    base, _, rest = symbol.partition("/")
    quote, _, settled = rest.partition(":")
    settled = settled.partition("-")[0] or None
    contract = kind != "spot"
    return {"id": venue_symbol, "lowercaseId": venue_symbol.lower(), "symbol": symbol, "base": base, "quote": quote, "settle": settled,
            "baseId": base, "quoteId": quote, "settleId": settled, "type": kind, "spot": not contract, "margin": False,
            "swap": kind == "swap", "future": kind == "future", "option": kind == "option", "contract": contract,
            "linear": contract and settled == quote, "inverse": contract and settled == base,
            "contractSize": 1.0 if contract else None, "active": True, "precision": {"price": None, "amount": None}, "limits": {},
            "info": {}}
