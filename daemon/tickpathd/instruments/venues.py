"""Which parser and which public REST server a venue kind has."""
import difflib

from tickpathd.instruments import binance, bybit, ccxt_markets, coinbase, kraken, okx
from tickpathd.instruments.facts import BodyError, InstrumentError, InstrumentTable

MODULES = {kind: module for module in (binance, coinbase, kraken, okx, bybit) for kind in module.REST_URLS}
VENUE_KINDS = tuple(MODULES)


def venue_module(venue_kind):
    if ccxt_markets.is_ccxt(venue_kind):
        return ccxt_markets
    if venue_kind not in MODULES:
        near = difflib.get_close_matches(venue_kind, VENUE_KINDS, 3, 0.4)
        raise InstrumentError(f"venue kind: expected one of {near or list(VENUE_KINDS)}, found {venue_kind!r}")
    return MODULES[venue_kind]


def default_rest_url(venue_kind):
    """The venue's public production server."""
    if ccxt_markets.is_ccxt(venue_kind):
        return ccxt_markets.rest_url(venue_kind)
    return venue_module(venue_kind).REST_URLS[venue_kind]


def offered_kinds(venue_kind):
    """Which of facts.KINDS the venue lists."""
    if ccxt_markets.is_ccxt(venue_kind):
        return ccxt_markets.KINDS
    return venue_module(venue_kind).KINDS[venue_kind]


def parse_bodies(venue_kind, bodies):
    """The InstrumentTable of all REST bodies of one venue.

    Errors: BodyError when a body is not the venue's, or when not one instrument of all of them can be used.
    """
    module = venue_module(venue_kind)
    table = InstrumentTable.joined(module.parse(venue_kind, body) for body in bodies)
    if not table.facts:
        first = f", the first: {table.skipped[0]}" if table.skipped else ""
        raise BodyError(f"{venue_kind} instruments: expected at least one usable, found {len(table.skipped)} odd ones{first}")
    return table
