"""What the parts of the audit share: what was found wrong, what the ledger says of an order, and exact amounts."""
from decimal import Decimal, InvalidOperation

__all__ = ["PLACES", "TERMINAL", "OrderTruth", "Violations", "text_of", "units_of"]

PLACES = 8                                  # of prices and quantities
VIOLATIONS_KEPT = 1000
TERMINAL = frozenset({"FILLED", "CANCELED", "EXPIRED", "EXPIRED_IN_MATCH"})


class Violations:
    """What was found wrong. All are counted, the first thousand are kept."""

    def __init__(self):
        self.rows, self.count, self.by_check = [], 0, {}

    def add(self, check, where, expected, found, **detail):
        self.count += 1
        self.by_check[check] = self.by_check.get(check, 0) + 1
        if len(self.rows) < VIOLATIONS_KEPT:
            self.rows.append({"check": check, "where": where, "expected": str(expected), "found": str(found), **detail})


class OrderTruth:
    """What the ledger says of one order."""
    __slots__ = ("order_id", "account", "symbol", "client_order_id", "side", "type", "tif", "price", "qty", "quote_qty", "cum",
                 "cum_quote", "status", "cums", "trades", "prevented", "lock", "ts_ns", "end_ns", "begun", "qtys", "prices",
                 "acknowledged_ns")

    def __init__(self, r, price, qty, cum, cum_quote):
        self.order_id, self.account, self.symbol, self.client_order_id = r.order_id, r.account, r.symbol, r.client_order_id
        self.side, self.type, self.tif, self.quote_qty = r.side, r.type, r.tif, r.quote_qty
        self.price, self.qty = price, qty
        self.cum, self.cum_quote, self.status = cum, cum_quote, r.status
        self.cums = [cum]                   # every value that the executed quantity has had
        self.trades = {}                    # trade id -> (price, qty, quote, fee text, fee asset, is maker)
        self.prevented = 0
        self.lock = 0
        self.ts_ns, self.end_ns = r.ts, None
        self.begun = bool(r.status)         # it was alive when the log begins
        self.qtys, self.prices = [qty], [price]
        self.acknowledged_ns = None         # when the wire says so


def units_of(text, places):
    """A decimal text as a count of 10^-places. Errors: ValueError when it is not a whole count."""
    whole, _, fraction = text.partition(".")
    if len(fraction) <= places and (fraction.isdecimal() or not fraction) and whole.lstrip("-").isdecimal():
        value = int(whole.lstrip("-")) * 10**places + int(fraction.ljust(places, "0") or 0)
        return -value if whole.startswith("-") else value
    try:
        value = Decimal(text).scaleb(places)
    except InvalidOperation:
        raise ValueError(f"expected a decimal number, found {text!r}") from None
    if value != value.to_integral_value():
        raise ValueError(f"expected at most {places} decimals, found {text!r}")
    return int(value)


def text_of(units, places):
    sign, units = ("-", -units) if units < 0 else ("", units)
    return f"{sign}{units // 10**places}.{units % 10**places:0{places}d}" if places else f"{sign}{units}"
