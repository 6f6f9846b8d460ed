"""What recorded numbers say of an instrument: the increment that all of them are multiples of, and the decimals of their text.

Cold, exact. The facts of every venue (venues/<venue>_facts.py) are made of these; `venues/capture_facts.py` is the way in.
"""
import math
from typing import NamedTuple

__all__ = ["INCREMENT_UNKNOWN", "CaptureFacts", "Increment", "decimal_units"]

# An increment that nobody has named and no number has shown.
INCREMENT_UNKNOWN = "0.00000001"
DIGITS_MAX = 40
# A book names the same prices again and again: a text that was seen once changes nothing any more, and need not be read.
KNOWN_TEXTS_MAX = 1 << 16


class CaptureFacts(NamedTuple):
    """One instrument of one connection.

    tick_size, lot_size : decimal text.  price_decimals, qty_decimals : the most that the venue's own text has.
    max_levels : levels a side of the subscribed book, 0 = the whole book, or none.
    """
    tick_size: str
    lot_size: str
    price_decimals: int
    qty_decimals: int
    max_levels: int


class Increment:
    """The greatest decimal of which every number seen is a multiple: units / 10^scale; 0 units: none seen."""
    __slots__ = ("_known", "decimals", "scale", "units")

    def __init__(self):
        self.units = self.scale = self.decimals = 0
        self._known = set()

    def add(self, text):
        """Decimal text as sent; True when it changes anything. What is no such text is left out: the decoder refuses it."""
        if not isinstance(text, str) or text in self._known:
            return False
        number = decimal_units(text)
        if number is None:
            return False
        if len(self._known) >= KNOWN_TEXTS_MAX:
            self._known.clear()
        self._known.add(text)
        units, scale = number
        changed = scale > self.decimals
        if changed:
            self.decimals = scale
        return self.fold(units, scale) or changed

    def fold(self, units, scale):
        """One more number, units / 10^scale; True when the increment changes."""
        if scale < self.scale:
            units *= 10 ** (self.scale - scale)
        elif scale > self.scale:
            self.units *= 10 ** (scale - self.scale)
            self.scale = scale
        # Most numbers are multiples of what is known already; 0 says nothing.
        if not units or (self.units and units % self.units == 0):
            return False
        self.units = math.gcd(self.units, units)
        return True

    def merged(self, *others):
        """A new one of the numbers of all of them."""
        result = Increment()
        for one in (self, *others):
            result.fold(one.units, one.scale)
            result.decimals = max(result.decimals, one.decimals)
        return result

    def text(self):
        if not self.units:
            return INCREMENT_UNKNOWN
        whole, fraction = divmod(self.units, 10 ** self.scale)
        return f"{whole}.{fraction:0{self.scale}d}".rstrip("0").rstrip(".") if self.scale else str(whole)


def decimal_units(text):
    """(units, scale) of plain decimal text, units / 10^scale, not negative; None when it is none."""
    whole, _, fraction = text.partition(".")
    digits = whole + fraction
    if len(digits) > DIGITS_MAX or not digits.isdecimal() or not digits.isascii():
        return None
    return int(digits), len(fraction)
