"""Books, bars and instruments."""
from tickpath.market.bar_set import BarStream, build_bar_set
from tickpath.market.bar_spec import parse_bar_spec
from tickpath.market.bars import build_bars
from tickpath.market.book import OrderBook
from tickpath.market.checksum import Checksum
from tickpath.market.consolidated import ConsolidatedBook
from tickpath.market.l3_book import L3OrderBook

__all__ = ["BarStream", "Checksum", "ConsolidatedBook", "L3OrderBook", "OrderBook", "build_bar_set", "build_bars",
           "parse_bar_spec"]
