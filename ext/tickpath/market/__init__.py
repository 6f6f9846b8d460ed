"""Books, bars and instruments."""
from tickpath.market.bars import build_bars
from tickpath.market.book import OrderBook

__all__ = ["OrderBook", "build_bars"]
