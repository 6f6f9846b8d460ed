"""What an OKX capture says of its instruments: increments, decimals, subscribed depth. Cold; exact.

`scan_facts` is given every frame of a capture in turn and keeps its answer up to date. An increment is the greatest of which
every recorded number is a multiple; the venue's own (REST /api/v5/public/instruments) decides as long as the numbers are on it.
"""
import math
from decimal import Decimal

import msgspec

from tickpath.venues.increments import CaptureFacts

__all__ = ["CaptureFacts", "add_metadata", "add_numbers", "scan_facts"]

# Levels a side that a channel keeps (okx.com/docs-v5/en, "Order book channel", seen 2026-11).
CHANNEL_LEVELS = {"books": 400, "books-l2-tbt": 400, "books50-l2-tbt": 50, "books5": 5, "bbo-tbt": 1}
NOT_JSON = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


NOTHING = CaptureFacts("0", "0", 0, 0, 0)


def scan_facts(frame, facts):
    """Add what one frame says.

    Parameters: frame : CaptureFrame.  facts : dict, {(conn, venue_symbol): CaptureFacts} of the frames so far; what the venue's
    metadata says stands under (None, venue_symbol), for instruments that no connection may carry.
    """
    try:
        message = msgspec.json.decode(frame.data)
    except NOT_JSON:
        return
    if not isinstance(message, dict) or not isinstance(data := message.get("data"), list):
        return
    if frame.source == "rest":
        for item in data:
            if isinstance(item, dict) and is_plain(item.get("tickSz")) and is_plain(item.get("lotSz")):
                add_metadata(facts, None, item.get("instId"), item["tickSz"], item["lotSz"])
        return
    arg = message.get("arg")
    if not isinstance(arg, dict) or not isinstance(channel := arg.get("channel"), str):
        return
    for item in data:
        symbol = item.get("instId", arg.get("instId")) if isinstance(item, dict) else arg.get("instId")
        if not isinstance(symbol, str):
            continue
        prices, quantities = _numbers(channel, item)
        if prices or quantities or channel in CHANNEL_LEVELS:
            add_numbers(facts, (frame.conn, symbol), None, prices, quantities, CHANNEL_LEVELS.get(channel, 0))


def _numbers(channel, item):
    """The price texts and quantity texts of one element of a channel's data."""
    if isinstance(item, list):
        return (item[1:5], item[5:6]) if channel.startswith("candle") else ((), ())
    if channel in CHANNEL_LEVELS:
        rows = [row for side in ("asks", "bids") if isinstance(item.get(side), list)
                for row in item[side] if isinstance(row, list) and len(row) >= 2]
        return [row[0] for row in rows], [row[1] for row in rows]
    if channel in ("trades", "trades-all"):
        return (item.get("px"),), (item.get("sz"),)
    if channel == "tickers":
        return (item.get("bidPx"), item.get("askPx")), (item.get("bidSz"), item.get("askSz"))
    return (), ()


def add_metadata(facts, market, symbol, tick_size, lot_size):
    """The venue's own increments of an instrument. market: what tells equal symbols apart in the metadata, or None."""
    if isinstance(symbol, str):
        facts[market, symbol] = CaptureFacts(_plain(tick_size), _plain(lot_size), decimals(tick_size), decimals(lot_size), 0)


def add_numbers(facts, key, market, prices, quantities, max_levels):
    """Recorded numbers of one instrument on one connection, key = (conn, venue_symbol), and what the metadata has said of it."""
    known, said = facts.get(key, NOTHING), facts.get((market, key[1]), NOTHING)
    tick, price_decimals = _finer(known.tick_size, max(known.price_decimals, said.price_decimals), (said.tick_size, *prices))
    lot, qty_decimals = _finer(known.lot_size, max(known.qty_decimals, said.qty_decimals), (said.lot_size, *quantities))
    facts[key] = CaptureFacts(tick, lot, price_decimals, qty_decimals, max(known.max_levels, max_levels))


def is_plain(text):
    """Whether it is decimal text without sign or exponent."""
    return isinstance(text, str) and text.isascii() and text.replace(".", "", 1).isdigit() and len(text) <= 40


def decimals(text):
    return len(text.partition(".")[2])


def _plain(text):
    return format(Decimal(text).normalize(), "f")


def _finer(size, most_decimals, texts):
    """(the greatest increment that divides `size` and every number of texts, the most decimals of any text)."""
    step = Decimal(size)
    for text in texts:
        if not is_plain(text):
            continue
        most_decimals = max(most_decimals, decimals(text))
        number = Decimal(text)
        # Most numbers are multiples of what is known already; 0 says nothing.
        if number and (not step or number % step):
            scale = max(0, -number.as_tuple().exponent, -step.as_tuple().exponent)
            step = Decimal(math.gcd(int(number.scaleb(scale)), int(step.scaleb(scale)))).scaleb(-scale)
    return _plain(step), most_decimals
