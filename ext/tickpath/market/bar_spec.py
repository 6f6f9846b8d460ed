"""What a bar is made of: `BarSpec`, and `parse_bar_spec` that makes one from text like "5m" or "dollar:1000000"."""
import dataclasses
import decimal
import fractions
import math
import re

from tickpath.market.bars import BarKind, BarLateRule

UNIT_NS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 10**9, "m": 60 * 10**9, "h": 3_600 * 10**9, "d": 86_400 * 10**9}
INTERVAL_NS_MAX = 366 * UNIT_NS["d"]
KINDS = {"tick": BarKind.BAR_TICK, "volume": BarKind.BAR_VOLUME, "dollar": BarKind.BAR_NOTIONAL}
LATE_RULES = {"add": int(BarLateRule.BAR_LATE_ADD), "drop": int(BarLateRule.BAR_LATE_DROP)}
EXPECTED = ("expected an interval (1s, 5m, 4h, 1d, 1500ms; 1d@8h moves its grid), tick:TRADES, volume:QTY or "
            "dollar:NOTIONAL")


@dataclasses.dataclass(frozen=True, kw_only=True)
class BarSpec:
    """What a bar is made of. `parse_bar_spec` makes one from text.

    text : as it was given.  kind : BarKind.  interval_ns, offset_ns : of a time bar, ns, else 0.
    size : of the other kinds: trades (int), quantity (Decimal, base units) or notional (Decimal, quote units).
    emit_empty : an interval without a trade gives a bar too.  late_rule : "add" or "drop".
    trade_ids_ordered : whether the venue's trade ids rise with its trades; where not, ties in time go by arrival.
    """
    text: str
    kind: int
    interval_ns: int = 0
    offset_ns: int = 0
    size: object = None
    emit_empty: bool = False
    late_rule: str = "add"
    trade_ids_ordered: bool = True

    def threshold(self, tick_size=None, lot_size=None):
        """Trades, lots or ticklots from which a bar is full, rounded up: the first whole number that reaches `size`."""
        if self.kind == BarKind.BAR_TIME:
            return 0
        if self.kind == BarKind.BAR_TICK:
            return self.size
        wanted = [("lot_size", lot_size)] + [("tick_size", tick_size)] * (self.kind == BarKind.BAR_NOTIONAL)
        unit = fractions.Fraction(1)
        for name, value in wanted:
            try:
                exact = None if value is None or isinstance(value, float) else fractions.Fraction(value)
            except (TypeError, ValueError, ZeroDivisionError):
                exact = None
            if exact is None or exact <= 0:
                raise ValueError(f"bar spec {self.text!r}: expected a positive {name} as decimal text or Decimal, found "
                                 f"{value!r}")
            unit *= exact
        found = math.ceil(fractions.Fraction(self.size) / unit)
        if found >= 1 << 126:
            raise ValueError(f"bar spec {self.text!r}: expected at most 126 bits of ticklots, found {found.bit_length()}")
        return found


def _duration_ns(text, whole):
    """A number with a unit, exactly: `1.5s` is 1,500,000,000."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(ns|us|ms|s|m|h|d)", text)
    if match is None:
        raise ValueError(f"bar spec {whole!r}: {EXPECTED}, found {text!r}")
    value = fractions.Fraction(match[1]) * UNIT_NS[match[2]]
    if value.denominator != 1 or value > INTERVAL_NS_MAX:
        raise ValueError(f"bar spec {whole!r}: expected whole nanoseconds, at most 366 days, found {text!r}")
    return int(value)


def interval_text(interval_ns):
    """The shortest specification of plain time bars: 60,000,000,000 is "1m"."""
    unit = max((u for u, ns in UNIT_NS.items() if interval_ns % ns == 0), key=UNIT_NS.get)
    return f"{interval_ns // UNIT_NS[unit]}{unit}"


def parse_bar_spec(text, *, emit_empty=False, late_rule="add", trade_ids_ordered=True):
    """A BarSpec from text.

    Parameters: text : "1m", "90s", "1500ms", "4h", "1d", with "@8h" behind it to move the grid of opens;
    "tick:100" (trades), "volume:12.5" (base units), "dollar:1000000" (quote units).  The options are those of BarSpec.
    Errors: ValueError saying what was expected and what was found.
    """
    if not isinstance(text, str):
        raise ValueError(f"bar spec {text!r}: {EXPECTED}, found {type(text).__name__}")
    if late_rule not in LATE_RULES:
        raise ValueError(f"bar spec {text!r}: late_rule: expected 'add' or 'drop', found {late_rule!r}")
    options = {"text": text, "late_rule": late_rule, "trade_ids_ordered": bool(trade_ids_ordered)}
    name, colon, number = text.partition(":")
    if not colon:
        interval, at, offset = text.partition("@")
        interval_ns = _duration_ns(interval, text)
        offset_ns = _duration_ns(offset, text) if at else 0
        if interval_ns == 0 or offset_ns >= interval_ns:
            raise ValueError(f"bar spec {text!r}: expected an interval above 0 and an offset below it, found "
                             f"{interval_ns} ns and {offset_ns} ns")
        return BarSpec(kind=BarKind.BAR_TIME, interval_ns=interval_ns, offset_ns=offset_ns, emit_empty=bool(emit_empty),
                       **options)
    if name not in KINDS:
        raise ValueError(f"bar spec {text!r}: {EXPECTED}, found {name!r} before the colon")
    if emit_empty:
        raise ValueError(f"bar spec {text!r}: emit_empty: expected a time bar, found {name}, which has no empty bars")
    if not re.fullmatch(r"[0-9]+" if name == "tick" else r"[0-9]{1,30}(\.[0-9]{1,30})?", number) or not decimal.Decimal(number):
        raise ValueError(f"bar spec {text!r}: expected a positive {'whole ' if name == 'tick' else ''}number behind the colon, "
                         f"found {number!r}")
    size = int(number) if name == "tick" else decimal.Decimal(number)
    if name == "tick" and size >= 1 << 63:
        raise ValueError(f"bar spec {text!r}: expected fewer than 2**63 trades, found {number}")
    return BarSpec(kind=KINDS[name], size=size, **options)
