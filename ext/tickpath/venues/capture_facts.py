"""What captures say of their instruments: increments, decimals of the text, subscribed depth. Cold; by venue.

`capture_facts(paths, kind)` reads whole captures with the venue's own `scan_facts` (venues/<venue>_facts.py). A symbol belongs to
the connection that carried it: two connections may use one name for two instruments (Bybit: spot and linear), or carry the same
one twice.
"""
import importlib

from tickpath.capture import read_capture
from tickpath.venues.increments import INCREMENT_UNKNOWN, CaptureFacts

__all__ = ["CaptureFacts", "capture_facts"]


MODULES = {"binance_spot": "binance_facts", "binance_usdm": "binance_facts", "coinbase": "coinbase_facts",
           "kraken": "kraken_facts", "okx": "okx_facts", "bybit": "bybit_facts"}


def capture_facts(paths, kind):
    """{(connection, venue_symbol): CaptureFacts} of what the captures' sockets carried; connection "" where none is named.

    Errors: ValueError for a venue without a decoder; CaptureError.
    """
    if kind not in MODULES:
        raise ValueError(f"kind: expected one of {list(MODULES)}, found {kind!r}")
    venue = importlib.import_module(f"tickpath.venues.{MODULES[kind]}")
    facts, carried = {}, set()
    for path in paths:
        for frame in read_capture(path):
            if frame.source == "ws":
                frame = frame._replace(conn=frame.conn or "")
                carried.add(frame.conn)
            venue.scan_facts(frame, facts)
    if hasattr(venue, "close_facts"):
        facts = venue.close_facts(facts)
    found = {key: value for key, value in facts.items() if isinstance(key, tuple) and key[0] in carried}
    return {key: _known(value) for key, value in sorted(found.items())}


def _known(facts):
    """Where no number was seen, the finest increment that every venue's numbers fit."""
    tick = facts.tick_size if facts.tick_size not in ("0", "") else INCREMENT_UNKNOWN
    lot = facts.lot_size if facts.lot_size not in ("0", "") else INCREMENT_UNKNOWN
    return facts._replace(tick_size=tick, lot_size=lot)
