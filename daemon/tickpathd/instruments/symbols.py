"""Names of instruments: the unified one inside, the venue's own at the border, and what people type.

    BTC/USDT                   spot                       also BTC-USDT, BTC_USDT, BTCUSDT
    BTC/USDT:USDT              perpetual                  also BTC-USDT-PERP, BTCUSDT-PERP
    BTC/USD:BTC-260327         dated future               also the venue's name, BTCUSD_260327
    BTC/USD:BTC-260327-42000-P option                     also the venue's name, BTC-USD-260327-42000-P

A name is tried as unified, then as the venue's own (REST, streams, further names), then as one of the loose forms; letter case
only counts where two names differ in nothing else. A name that several instruments share in the group in which it is found is
the spot pair's if one of them is spot (Bybit lists BTCUSDT as spot and as perpetual); else it is ambiguous, never guessed.
"""
import difflib
from collections import defaultdict

from tickpathd.instruments.facts import InstrumentError

__all__ = ["AmbiguousSymbol", "SymbolMap", "UnknownSymbol", "kinds_named"]

NEAREST_MAX = 5


class UnknownSymbol(InstrumentError):
    """A name that means no instrument of the venue; `nearest` holds the most similar unified symbols, at most five."""

    def __init__(self, text, nearest):
        super().__init__(text)
        self.nearest = nearest


class AmbiguousSymbol(InstrumentError):
    """A name that means several instruments; the text names them."""


class SymbolMap:
    """Lookups over the instruments of one venue kind.

    Parameters: table : InstrumentTable.  venue_kind : str, for messages.
    """

    def __init__(self, table, venue_kind):
        self.venue_kind = venue_kind
        self.by_symbol = {one.symbol: one for one in table.facts}
        self.skipped = {odd.venue_symbol: odd for odd in table.skipped}
        self._by_venue_symbol, self._by_ws_symbol = defaultdict(list), defaultdict(list)
        self._groups = [defaultdict(list), defaultdict(list), defaultdict(list)]
        for one in table.facts:
            self._by_venue_symbol[one.venue_symbol].append(one)
            self._by_ws_symbol[one.ws_symbol].append(one)
            unified, own, loose = self._groups
            unified[one.symbol].append(one)
            for name in {one.venue_symbol, one.ws_symbol, one.ws_symbol_v1, *one.aliases} - {""}:
                own[name].append(one)
            for name in _loose_names(one):
                loose[name].append(one)
        self._folded = []
        for group in self._groups:
            folded = defaultdict(list)
            for name, found in group.items():
                folded[name.casefold()] += found
            self._folded.append(folded)

    def find(self, name, kind=None):
        """The facts of the instrument that a name means.

        Parameters: kind : one of facts.KINDS, or None; leaves only instruments of that kind.
        Errors:     UnknownSymbol, AmbiguousSymbol.
        """
        for group, folded in zip(self._groups, self._folded, strict=True):
            for candidates in (group.get(name), folded.get(name.casefold())):
                found = _distinct(one for one in candidates or () if kind in (None, one.kind))
                if found:
                    return self._only(name, found)
        raise self._unknown(name, kind)

    def venue_symbol(self, name, kind=None):
        """The venue's REST spelling of whatever name `find` takes."""
        return self.find(name, kind).venue_symbol

    def unified(self, name, kind=None):
        """The unified spelling of whatever name `find` takes."""
        return self.find(name, kind).symbol

    def from_venue(self, venue_symbol, kind=None):
        """The facts of what REST calls so, exactly: at the border a name may mean another instrument (on Kraken LUNA/USD
        is the unified name of one and the stream's name of another). Errors: as `find`."""
        return self._exact(self._by_venue_symbol, venue_symbol, kind)

    def from_stream(self, ws_symbol, kind=None):
        """The facts of what streamed messages call so, exactly. Errors: as `find`."""
        return self._exact(self._by_ws_symbol, ws_symbol, kind)

    def _exact(self, names, name, kind):
        found = [one for one in names.get(name, ()) if kind in (None, one.kind)]
        if not found:
            raise self._unknown(name, kind)
        return self._only(name, found)

    def _only(self, name, found):
        spot = [one for one in found if one.kind == "spot"]
        if len(found) > 1 and len(spot) != 1:
            raise AmbiguousSymbol(f"{self.venue_kind} symbol: expected the name of one instrument, found {name!r}, which is "
                                  f"{', '.join(sorted(one.symbol for one in found)[:NEAREST_MAX])}")
        return (spot or found)[0]

    def _unknown(self, name, kind):
        if name in self.skipped:
            return UnknownSymbol(f"{self.venue_kind} symbol {name!r}: expected an instrument that can be traded, found one that "
                                 f"was skipped: {self.skipped[name].reason}", ())
        nearest = self.nearest(name, kind)
        hint = f"one of {', '.join(nearest)}" if nearest else f"one of its {len(self.by_symbol)} instruments"
        return UnknownSymbol(f"{self.venue_kind} symbol: expected {hint}, found {name[:80]!r}", nearest)

    def nearest(self, name, kind=None):
        """Unified symbols most like a name, by their unified or venue spelling; at most five, best first."""
        spellings = {}
        for one in self.by_symbol.values():
            if kind in (None, one.kind):
                spellings.setdefault(one.venue_symbol.upper(), one.symbol)
                spellings[one.symbol.upper()] = one.symbol
        close = difflib.get_close_matches(name.upper()[:64], spellings, 2 * NEAREST_MAX, 0.5)
        return tuple(dict.fromkeys(spellings[spelling] for spelling in close))[:NEAREST_MAX]


def kinds_named(names, offered):
    """Which kinds of instruments must be loaded so that these names can be found: by their shape, in the order of `offered`.

    A name that is not in unified spelling may mean anything but an option, whose lists are long: those are only loaded for a
    unified name, or the venue's with its -C or -P.
    """
    wanted = set()
    for name in names:
        pair, colon, contract = name.partition(":")
        if name.upper().endswith(("-C", "-P")):
            wanted.add("option")
        elif colon:
            wanted.add("future" if "-" in contract else "swap")
        elif "/" in pair:
            wanted.add("spot")
        else:
            wanted |= {"spot", "swap", "future"}
    return tuple(kind for kind in offered if kind in wanted)


def _loose_names(one):
    # Not for the dark pool or the other venue's book of a pair: what people type means the pair itself.
    if one.kind == "spot" and one.symbol == f"{one.base}/{one.quote}":
        return {one.base + mark + one.quote for mark in ("-", "_", "")}
    if one.kind == "swap":
        return {one.base + mark + one.quote + "-PERP" for mark in ("-", "_", "")}
    return set()


def _distinct(instruments):
    return list({one.symbol: one for one in instruments}.values())
