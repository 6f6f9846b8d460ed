"""The venue's refusals: code, message, HTTP status.

Codes and messages: github.com/binance/binance-spot-api-docs errors.md, seen 2026-11-22.
"""
__all__ = ["VenueError", "of_reason", "reason_name"]


class VenueError(Exception):
    """A request that the venue refuses.

    Parameters: code, msg : as the venue gives them.  status : of the HTTP answer.  data : bytes of JSON that some errors
                carry (cancel-replace).  headers : of the HTTP answer, with 429 and 418.
    """

    def __init__(self, code, msg, status=400, data=None, headers=()):
        super().__init__(code, msg)
        self.code, self.msg, self.status, self.data, self.headers = code, msg, status, data, headers

    def __str__(self):
        return f"{self.code}: {self.msg}"


def illegal_chars(name, legal):
    return VenueError(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{legal}'.")


def mandatory(name):
    return VenueError(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def either(first, second):
    return VenueError(-1102, f"Param '{first}' or '{second}' must be sent, but both were empty/null!")


def not_required(name):
    return VenueError(-1106, f"Parameter '{name}' sent when not required.")


def empty(name):
    return VenueError(-1105, f"Parameter '{name}' was empty.")


def too_precise(name):
    return VenueError(-1111, f"Parameter '{name}' has too much precision.")


def overflowed(name):
    return VenueError(-1108, f"Parameter '{name}' overflowed.")


def invalid(name):
    return VenueError(-1130, f"Data sent for parameter '{name}' is not valid.")


def filter_failure(name):
    return VenueError(-1013, f"Filter failure: {name}")


def rejected(msg):
    return VenueError(-2010, msg)


BAD_SYMBOL = (-1121, "Invalid symbol.")
UNKNOWN_ORDER = (-2011, "Unknown order sent.")
NO_SUCH_ORDER = (-2013, "Order does not exist.")
DUPLICATE = "Duplicate order sent."

# What the matching core says -> (code, message) of spot.
SPOT_REASONS = {
    "PRICE_FILTER": (-1013, "Filter failure: PRICE_FILTER"),
    "LOT_SIZE": (-1013, "Filter failure: LOT_SIZE"),
    "MARKET_LOT_SIZE": (-1013, "Filter failure: MARKET_LOT_SIZE"),
    "MIN_NOTIONAL": (-1013, "Filter failure: NOTIONAL"),
    "MAX_NOTIONAL": (-1013, "Filter failure: NOTIONAL"),
    "NOTIONAL": (-1013, "Filter failure: NOTIONAL"),
    "PERCENT_PRICE": (-1013, "Filter failure: PERCENT_PRICE_BY_SIDE"),
    "MAX_ORDERS": (-1013, "Filter failure: MAX_NUM_ORDERS"),
    "MAX_ALGO_ORDERS": (-1013, "Filter failure: MAX_NUM_ALGO_ORDERS"),
    "ICEBERG_PARTS": (-1013, "Filter failure: ICEBERG_PARTS"),
    "MAX_POSITION": (-1013, "Filter failure: MAX_POSITION"),
    "TRAILING_DELTA": (-1013, "Filter failure: TRAILING_DELTA"),
    "INSUFFICIENT_BALANCE": (-2010, "Account has insufficient balance for requested action."),
    "WOULD_TAKE": (-2010, "Order would immediately match and take."),
    "WOULD_TRIGGER": (-2010, "Order would trigger immediately."),
    "UNKNOWN_ORDER": UNKNOWN_ORDER,
    "OVERFLOW": (-2010, "Account has insufficient balance for requested action."),
    "NO_LIQUIDITY": (-2010, "Order book liquidity is less than symbol minimum quantity."),
    "CLOSED": (-1013, "Market is closed."),
    "ICEBERG_QTY": (-2010, "IcebergQty exceeds QTY."),
    "NOT_AMENDABLE": (-2038, "The requested action would change no state; rejecting."),
}


def reason_name(reason):
    """The plain name of a SimReason: "PRICE_FILTER"."""
    name = reason.name if hasattr(reason, "name") else str(reason)
    return name.removeprefix("SIM_REASON_").removeprefix("SIM_")


def of_reason(name, table=SPOT_REASONS):
    """The venue's words for a reason of the matching core, by its name."""
    code, msg = table.get(name, (-2010, f"Order rejected: {name}."))
    return VenueError(code, msg)
