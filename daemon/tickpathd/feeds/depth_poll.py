"""A venue's own book over REST, for polls: which path to ask, what it weighs, and the rows of the answer. Numbers stay text.

Sources (seen 2026-11-21): developers.binance.com "Order book" (spot, USD-M); docs.cdp.coinbase.com "Get public product book";
docs.kraken.com "Get order book"; okx.com/docs-v5 "GET / Order book"; bybit-exchange.github.io/docs/v5/market/orderbook.
"""
from datetime import datetime
from typing import NamedTuple
from urllib.parse import quote

import msgspec

from tickpath.venues.ccxt_frame import TS_NONE

__all__ = ["DepthAnswer", "DepthError", "depth_path", "depth_weight", "parse_depth"]

# Requests a minute that polls of one venue may make where it does not count by weight: far below what any of them allows.
REQUESTS_PER_MIN = 60
BINANCE_DEPTHS = (5, 10, 20, 50, 100, 500, 1000)      # USD-M takes these only, spot any


class DepthError(ValueError):
    """An answer that is no book."""


class DepthAnswer(NamedTuple):
    """bids, asks : [(price, qty)] of text, best first.  ts_venue_ns : TS_NONE where the venue does not say."""
    bids: list
    asks: list
    ts_venue_ns: int


def depth_path(settings, symbol):
    """The path and query of a venue's book. settings : config.Venue.  symbol : the venue's spelling on its streams."""
    name, depth = quote(symbol, safe=""), settings.depth
    if settings.kind in ("binance_spot", "binance_usdm"):
        limit = next((d for d in BINANCE_DEPTHS if d >= depth), BINANCE_DEPTHS[-1])
        return f"{'/api/v3' if settings.kind == 'binance_spot' else '/fapi/v1'}/depth?symbol={name}&limit={limit}"
    if settings.kind == "coinbase":
        return f"/api/v3/brokerage/market/product_book?product_id={name}&limit={min(depth, 500)}"
    if settings.kind == "kraken":
        return f"/0/public/Depth?pair={quote(symbol.replace('/', ''), safe='')}&count={min(depth, 500)}"
    if settings.kind == "okx":
        return f"/api/v5/market/books?instId={name}&sz={min(depth, 400)}"
    category = settings.ws_url.rstrip("/").rpartition("/")[2] or "spot"
    return f"/v5/market/orderbook?category={category}&symbol={name}&limit={min(depth, 200)}"


def depth_weight(settings):
    """(weight of one poll, weight a minute that may be used)."""
    if settings.kind == "binance_spot":
        return 5 if settings.depth <= 100 else 25 if settings.depth <= 500 else 50, 6000
    if settings.kind == "binance_usdm":
        return 2 if settings.depth <= 50 else 5 if settings.depth <= 100 else 10 if settings.depth <= 500 else 20, 2400
    return 1, REQUESTS_PER_MIN


def parse_depth(kind, body):
    """DepthAnswer of a REST body. Errors: DepthError."""
    try:
        # Kraken's and OKX's rows hold more than price and quantity; texts stay texts, and a bare number its own digits.
        data = msgspec.json.Decoder(float_hook=str).decode(body)
        if kind in ("binance_spot", "binance_usdm"):
            bids, asks, ms = data["bids"], data["asks"], data.get("T")
        elif kind == "coinbase":
            book = data["pricebook"]
            bids, asks = ([(row["price"], row["size"]) for row in book[side]] for side in ("bids", "asks"))
            ms = datetime.fromisoformat(book["time"]).timestamp() * 1000 if book.get("time") else None
        elif kind == "kraken":
            (book,) = data["result"].values()
            bids, asks, ms = book["bids"], book["asks"], None
        elif kind == "okx":
            (book,) = data["data"]
            bids, asks, ms = book["bids"], book["asks"], book.get("ts")
        else:
            book = data["result"]
            bids, asks, ms = book["b"], book["a"], book.get("ts")
        sides = [[(str(row[0]), str(row[1])) for row in rows] for rows in (bids, asks)]
        return DepthAnswer(*sides, TS_NONE if ms is None else int(ms) * 1_000_000)
    except (msgspec.MsgspecError, LookupError, TypeError, ValueError, AttributeError, RecursionError) as e:
        raise DepthError(f"expected a book of {kind}, found {bytes(body[:120])!r} ({type(e).__name__})") from None
