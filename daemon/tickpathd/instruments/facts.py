"""What a venue says about one instrument, in the project's own words; read from REST metadata, never guessed.

    InstrumentError                       anything that keeps instruments from being known
    ├─ BodyError                          a REST body is not what the venue's parser reads
    ├─ OddInstrument                      one instrument is unusable; costs itself only
    ├─ UnknownSymbol / AmbiguousSymbol    a name that means no instrument, or several (symbols.py)
    ├─ FetchError                         the venue could not be asked (fetch.py)
    └─ CacheError                         neither a fresh nor a kept table (cache.py)

Numbers are exact decimal text ("0.00001", never 1e-05): ticks and lots are made of them where they are used. "" is a limit
that the venue does not state.
"""
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

import msgspec

__all__ = ["KINDS", "STATUSES", "BodyError", "FactsChange", "InstrumentError", "InstrumentFacts", "InstrumentTable",
           "OddInstrument", "SkippedInstrument", "diff_facts", "engine_lot_size"]

KINDS = ("spot", "swap", "future", "option")
# Order entry needs TRADING; UNKNOWN is a word of the venue's that this build does not know, and is treated as HALTED.
STATUSES = ("TRADING", "HALTED", "CANCEL_ONLY", "POST_ONLY", "LIMIT_ONLY", "AUCTION", "DELISTED", "UNKNOWN")
# The engine's grids hold 18 decimals (decimal.pyx); longer numbers than this are no market's.
DECIMALS_MAX = 18
DIGITS_MAX = 40
# Unified names of assets that several venues call otherwise; each venue's module adds its own.
COMMON_ASSETS = {"XBT": "BTC", "BCHSV": "BSV"}
NAME_CHARACTERS_MAX = 64
# Risk refuses products above this many ticklots (NOTIONAL_MAX in trading/risk.pyx).
TICKLOTS_MAX = 4 * 10 ** 18


class InstrumentError(ValueError):
    """See the tree at the top of the module."""


class BodyError(InstrumentError):
    """A whole REST body that cannot be read."""


class OddInstrument(InstrumentError):
    """One instrument that cannot be used: it is skipped, counted and named, and its venue goes on."""


class InstrumentFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One instrument of one venue.

    Quantities (lot_size, order_qty_step, min_qty, max_qty) are in the base asset, or in contracts where the venue trades
    contracts; one contract is contract_size of the base asset (linear) or of the quote asset (inverse).
    """
    venue_kind: str                # "binance_spot", …
    symbol: str                    # unified: BTC/USDT, BTC/USDT:USDT, BTC/USD:BTC-260327, BTC/USD:BTC-260327-42000-P
    venue_symbol: str              # as REST names it
    ws_symbol: str                 # as streamed messages name it (subscriptions may want it in lower case: Binance)
    ws_symbol_v1: str = ""         # as the venue's older stream protocol names it, where it has one (Kraken: XBT/USD)
    aliases: tuple[str, ...] = ()  # further names that the venue accepts
    alias_of: str = ""             # venue_symbol of the instrument whose book this one shares (Coinbase USDC pairs)
    base: str
    quote: str
    settle: str = ""               # "" = spot
    kind: str                      # one of KINDS
    linear: bool = False           # settles in the quote asset
    inverse: bool = False          # settles in the base asset; neither = settles in a third one
    contract_size: str = "1"
    tick_size: str
    lot_size: str                  # unit of quantities, as fine as the venue's data show them
    order_qty_step: str            # order quantities are multiples of it; a multiple of lot_size
    min_qty: str = ""
    max_qty: str = ""
    min_notional: str = ""         # quote asset
    max_notional: str = ""
    price_decimals: int            # with how many the venue writes prices and quantities (Kraken's checksum counts on it)
    qty_decimals: int
    status: str                    # one of STATUSES
    venue_status: str = ""         # the venue's own word for it
    expiry_ns: int = 0             # since the epoch, UTC; 0 = never
    strike: str = ""               # quote asset
    option_side: str = ""          # "call", "put" or ""


class SkippedInstrument(msgspec.Struct, frozen=True):
    """An instrument that a parser could not use."""
    venue_symbol: str
    reason: str

    def __str__(self):
        # Names come from outside: escaped, so that they cannot write into a terminal or a log.
        return f"{self.venue_symbol.encode('unicode_escape').decode()[:NAME_CHARACTERS_MAX]}: {self.reason}"


class InstrumentTable(msgspec.Struct, frozen=True):
    """All instruments of some REST bodies, in the order in which they were listed."""
    facts: tuple[InstrumentFacts, ...]
    skipped: tuple[SkippedInstrument, ...] = ()

    @classmethod
    def joined(cls, tables):
        """The tables of several bodies as one. A second instrument under a symbol that is taken is skipped: orders for the
        one would reach the other."""
        facts, skipped, taken = [], [], {}
        for table in tables:
            skipped += table.skipped
            for one in table.facts:
                owner = taken.get(one.symbol)
                if owner is None:
                    taken[one.symbol] = one.venue_symbol
                    facts.append(one)
                elif owner != one.venue_symbol:          # the same one again: pages overlap when the list moves
                    reason = f"expected a symbol of its own, found {one.symbol}, which is {owner}'s"
                    skipped.append(SkippedInstrument(one.venue_symbol, reason))
        return cls(tuple(facts), tuple(skipped))


# ---- reading one instrument

def decode_body(body, venue):
    """A JSON body, numbers with a fraction as Decimal. Raises BodyError."""
    try:
        return msgspec.json.Decoder(float_hook=Decimal).decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, InvalidOperation, RecursionError) as e:
        start = bytes(body[:40]).decode("utf-8", "backslashreplace")
        raise BodyError(f"{venue} instruments: expected a JSON body, found {start!r} ({e})") from None


def parse_each(items: Iterable, name_of: Callable, parse_one: Callable):
    """An InstrumentTable of what `parse_one` makes of each item; an odd one becomes a SkippedInstrument."""
    facts, skipped = [], []
    for n, item in enumerate(items):
        name = ""
        try:
            if not isinstance(item, dict):
                raise OddInstrument(f"expected an object, found {type(item).__name__}")
            name = str(name_of(item) or "")[:4 * NAME_CHARACTERS_MAX]
            one = parse_one(item)
            checked(one)
        except OddInstrument as e:
            skipped.append(SkippedInstrument(name or f"#{n}", str(e)))
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as e:
            # A shape that no parser here has seen: the same to the operator as a bad number.
            skipped.append(SkippedInstrument(name or f"#{n}", f"unreadable ({type(e).__name__}: {str(e)[:80]!r})"))
        else:
            facts.append(one)
    return InstrumentTable(tuple(facts), tuple(skipped))


def checked(one):
    """Raise OddInstrument unless the facts can be traded on: names printable, increments positive and nested."""
    for field in ("symbol", "venue_symbol", "ws_symbol", "base", "quote"):
        text = getattr(one, field)
        if not text or len(text) > NAME_CHARACTERS_MAX or not text.isprintable() or any(c.isspace() for c in text):
            raise OddInstrument(f"{field}: expected 1 to {NAME_CHARACTERS_MAX} printable characters, found {text[:80]!r}")
    for text in (one.settle, one.ws_symbol_v1, one.alias_of, *one.aliases, one.venue_status):
        if len(text) > 4 * NAME_CHARACTERS_MAX or not text.isprintable():
            raise OddInstrument(f"expected printable text, found {text[:80]!r}")
    if any(c in part for part in (one.base, one.quote, one.settle) for c in "/:"):
        raise OddInstrument(f"symbol: expected assets without / and :, found {one.symbol!r}")
    if one.kind != "spot" and not one.settle:
        raise OddInstrument("settle: expected the asset in which it settles, found none")
    if one.kind in ("future", "option") and one.expiry_ns <= 0:
        raise OddInstrument("expiry: expected a time, found none")
    lot, step = Decimal(one.lot_size), Decimal(one.order_qty_step)
    if step % lot:
        raise OddInstrument(f"order_qty_step: expected a multiple of lot_size {one.lot_size}, found {one.order_qty_step}")


def text_of(item, *keys, default=None):
    """The first of the keys that holds non-empty text. Raises OddInstrument when none does and there is no default."""
    for key in keys:
        value = item.get(key)
        if isinstance(value, str) and value:
            return value
    if default is None:
        raise OddInstrument(f"{'/'.join(keys)}: expected text, found {item.get(keys[0])!r}")
    return default


def number(value, what):
    """Decimal text or a JSON number to canonical decimal text: "0.01000000" and 1E-2 are "0.01". Raises OddInstrument."""
    try:
        if isinstance(value, bool) or not isinstance(value, (str, int, Decimal)):
            raise InvalidOperation
        exact = Decimal(value)
        if not exact.is_finite() or exact < 0 or len(exact.as_tuple().digits) > DIGITS_MAX or abs(exact.adjusted()) > DIGITS_MAX:
            raise InvalidOperation
    except InvalidOperation:
        raise OddInstrument(f"{what}: expected a decimal number of at least 0, found {str(value)[:40]!r}") from None
    return plain(exact)


def increment(value, what):
    """As `number`, for a tick, lot or contract size: positive and of at most 18 decimals."""
    text = number(value, what)
    if text == "0" or decimals_of(text) > DECIMALS_MAX:
        raise OddInstrument(f"{what}: expected a positive number of at most {DECIMALS_MAX} decimals, found {str(value)[:40]!r}")
    return text


def limit(value, what):
    """As `number`; "" for a limit that is not stated (absent, empty, or 0)."""
    if value is None or value == "":
        return ""
    text = number(value, what)
    return "" if text == "0" else text


def plain(exact):
    """A Decimal as digits without exponent and without trailing zeros behind the point."""
    text = format(exact, "f")
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"


def decimals_of(text):
    """Digits behind the point of canonical decimal text."""
    return len(text.partition(".")[2])


def power_of_ten(decimals, what):
    """10^-decimals as text. Raises OddInstrument unless 0 <= decimals <= 18."""
    if isinstance(decimals, bool) or not isinstance(decimals, int) or not 0 <= decimals <= DECIMALS_MAX:
        raise OddInstrument(f"{what}: expected 0 to {DECIMALS_MAX} decimals, found {decimals!r}")
    return plain(Decimal(1).scaleb(-decimals))


def finer(a, b):
    """The smaller of two increments when the other is a multiple of it, else `a`."""
    return b if Decimal(b) < Decimal(a) and not Decimal(a) % Decimal(b) else a


def asset_name(name, renamed):
    """The unified name of a venue's asset."""
    upper = name.upper()
    return renamed.get(upper) or COMMON_ASSETS.get(upper, upper)


def milliseconds(value, what):
    """A venue's ms since the epoch (number or text) to ns; 0 for none."""
    if value in (None, "", 0, "0"):
        return 0
    try:
        ms = int(value)
    except (TypeError, ValueError):
        ms = -1
    # Up to the year 2100: a unit changed on the way (s, us, ns) is no date in between.
    if not 10 ** 12 <= ms < 4_102_444_800_000:
        raise OddInstrument(f"{what}: expected ms since 1970, found {str(value)[:40]!r}")
    return ms * 1_000_000


def unified_symbol(base, quote, settle="", expiry_ns=0, strike="", option_side=""):
    """BASE/QUOTE[:SETTLE[-YYMMDD[-STRIKE-C|P]]], the spelling that ccxt gave currency."""
    symbol = f"{base}/{quote}"
    if settle:
        symbol += f":{settle}"
    if expiry_ns:
        symbol += f"-{datetime.fromtimestamp(expiry_ns // 10 ** 9, UTC):%y%m%d}"
    if option_side:
        symbol += f"-{strike}-{'C' if option_side == 'call' else 'P'}"
    return symbol


# ---- using them

def engine_lot_size(facts, max_notional="100000000"):
    """The lot to run an instrument with: as fine as the venue's data, as long as sums stay inside the engine's integers.

    A finer lot than orders need holds what the book still shows of older, finer grids; but one tick x one lot times
    4e18 is all the notional that risk can add up, which for a low price with many decimals is soon too little.

    Parameters: facts : of a spot or linear instrument.  max_notional : decimal text, quote asset; must fit.
    Returns:    decimal text: lot_size, or that times a power of ten, at most order_qty_step.
    Errors:     InstrumentError when not even order_qty_step is coarse enough.
    """
    tick, step, lot = Decimal(facts.tick_size), Decimal(facts.order_qty_step), Decimal(facts.lot_size)
    while lot <= step and not step % lot:
        if tick * lot * Decimal(facts.contract_size) * TICKLOTS_MAX >= Decimal(max_notional):
            return plain(lot)
        lot *= 10
    raise InstrumentError(f"{facts.symbol}: expected a tick x lot that sums to {max_notional} {facts.quote} within "
                          f"{TICKLOTS_MAX}, found tick {facts.tick_size} x step {facts.order_qty_step}")


class FactsChange(msgspec.Struct, frozen=True):
    """One thing that differs between two tables. field "listed": the instrument itself came ("" -> its status) or went."""
    symbol: str
    venue_symbol: str
    field: str
    old: str
    new: str

    def __str__(self):
        return f"{self.symbol}: {self.field} {self.old or '-'} -> {self.new or '-'}"


# What an order or a book depends on; names and descriptions may change without anybody having to act.
WATCHED = ("venue_symbol", "ws_symbol", "tick_size", "lot_size", "order_qty_step", "min_qty", "max_qty", "min_notional",
           "max_notional", "contract_size", "price_decimals", "qty_decimals", "status", "expiry_ns")


def diff_facts(old, new):
    """What a refresh found, as [FactsChange], by symbol, then in the order of WATCHED.

    Parameters: old, new : iterables of InstrumentFacts of one venue kind.
    """
    before, after = {f.symbol: f for f in old}, {f.symbol: f for f in new}
    changes = []
    for symbol in sorted(before.keys() | after.keys()):
        a, b = before.get(symbol), after.get(symbol)
        if a is None or b is None:
            changes.append(FactsChange(symbol, (a or b).venue_symbol, "listed", a.status if a else "", b.status if b else ""))
            continue
        for field in WATCHED:
            was, now = str(getattr(a, field)), str(getattr(b, field))
            if was != now:
                changes.append(FactsChange(symbol, b.venue_symbol, field, was, now))
    return changes
