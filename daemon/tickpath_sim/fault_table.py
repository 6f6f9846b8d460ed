"""The faults by name: what each does, where it applies and what it can be told.

This table is the whole of what `GET /` lists and of what a request to arm a fault is checked against.
"""
import re
from typing import NamedTuple

__all__ = ["BREACHES", "FAULTS", "FORMS", "FaultError", "Spec", "WORDS", "checked", "parameters_of"]

BINANCE = ("binance_spot", "binance_usdm")
BREACHES = ("opcode", "masked", "continuation", "interleaved", "long_control", "split_control")
WORDS = ("field", "event", "word", "element")
DECIMAL = re.compile(r"-?\d{1,12}(\.\d{1,8})?")
FORMS = ("1e400", "nan", "negative_zero", "digits25", "negative_price", "duplicate_keys", "deep_nesting", "cut_json")


class FaultError(ValueError):
    """A fault that cannot be armed: what was expected and what was found."""


class Parameter(NamedTuple):
    kind: type
    default: object
    meaning: str


class Spec(NamedTuple):
    """when: "book" or "data" (an event on its way out), "before" (it is applied), "rest", "now", or of order entry: "request",
    "user" (a message of user data on its way out), "message" (a reply or a message of user data)."""
    summary: str
    when: str
    parameters: dict = {}
    venues: tuple = ()                      # empty: all
    lasting: bool = False                   # until it is taken back, unless a count or a duration is given
    by_connection: bool = True


FAULTS = {
    "drop_diff": Spec("a book change is applied to the truth and never sent", "book"),
    "duplicate_diff": Spec("a book change is sent twice", "book"),
    "old_diff": Spec("after a book change an older one is sent again", "book", venues=(*BINANCE, "okx", "bybit")),
    "straddling_diff": Spec("a book change also covers the one before it, which the client has", "book", venues=BINANCE),
    "old_snapshot": Spec("REST gives the book of the capture's beginning, older than any change in the stream", "rest",
                         venues=BINANCE, by_connection=False),
    "reconnect_move": Spec("all sockets are reset, and every price is moved in the new snapshot and after", "now",
                           {"pct": Parameter(float, 0.02, "fraction of the best bid, 0.02 = 2 %")}, by_connection=False),
    "silent": Spec("no market data and no heartbeats; answers, pongs and TCP stay alive", "data", lasting=True),
    "half_open": Spec("the sockets of this moment are neither read nor written, no FIN; reset when it ends", "now", lasting=True),
    "cut": Spec("every socket is closed as at the 24 h mark, after the venue's shutdown event", "now",
                {"after_ms": Parameter(int, 0, "between the event and the close"),
                 "code": Parameter(int, 1001, "close code")}),
    "drop_all": Spec("every socket is reset at once (RST)", "now"),
    "fragment": Spec("a message is sent in 2 to 5 frames", "data"),
    "trickle": Spec("a message is sent byte by byte", "data", {"gap_ms": Parameter(float, 0.0, "between two bytes")}),
    "bad_utf8": Spec("a message holds a byte that is no UTF-8", "data"),
    "reserved_bits": Spec("a message's frame has reserved bits set", "data",
                          {"bits": Parameter(int, 2, "1 = RSV3, 2 = RSV2, 4 = RSV1, or a sum")}),
    "oversize": Spec("a message is padded with spaces to a size", "data",
                     {"bytes": Parameter(int, (10 << 20) + 1, "size of the message")}),
    "deflate_bomb": Spec("before a message a frame with RSV1 holds a small deflate stream of a large text", "data",
                         {"inflated_mib": Parameter(int, 64, "its size when inflated")}),
    "breach": Spec("before a message a frame that RFC 6455 forbids", "data",
                   {"form": Parameter(str, "opcode", f"one of {', '.join(BREACHES)}")}),
    "unknown_word": Spec("a message holds a field, an event or a word that nobody knows yet", "data",
                         {"form": Parameter(str, "field", f"one of {', '.join(WORDS)}; element: one more in the list of rows")}),
    "unknown_delete": Spec("a book change also deletes a level that is not there", "book"),
    "backward_time": Spec("a message's venue time lies before the one of the message before it", "data",
                          {"back_ms": Parameter(int, 5000, "how far")}),
    "late": Spec("a message arrives behind the next one of another stream", "data"),
    "flood": Spec("the last messages of what a client listens to, again and again", "now",
                  {"rate": Parameter(int, 50_000, "messages a second, for each client")}, lasting=True),
    "crossed": Spec("a bid above the best ask; taken back with the next change after the fault has ended", "book",
                    by_connection=False),
    "reset_u1": Spec("the service restarts: a snapshot with u = 1, then 2, 3 …", "before", venues=("bybit",),
                     by_connection=False),
    "sequence_reset": Spec("a message's seqId is below its prevSeqId; the chain goes on from there", "before",
                           venues=("okx",), by_connection=False),
    "swapped_keys": Spec("a message's JSON keys stand in the opposite order", "data"),
    "checksum_flip": Spec("one digit of a checksum is another", "book", venues=("kraken", "okx")),
    "zero_checksum": Spec("a checksum is 0", "book", venues=("okx",)),
    "halt": Spec("an instrument's status is another, over REST and where the venue has a channel for it", "now",
                 {"status": Parameter(str, "HALT", "the venue's own word")}, lasting=True, by_connection=False),
    "tick_change": Spec("an instrument's increments change; with a finer tick all prices leave the old grid, with a coarser one "
                        "they come back to that of the capture", "now",
                        {"tick_size": Parameter(str, "", "decimal text, empty: unchanged"),
                         "lot_size": Parameter(str, "", "decimal text, empty: unchanged"),
                         "rest_after_ms": Parameter(int, 0, "REST names them so much later")}, by_connection=False),
    "bad_number": Spec("a book change holds what no number or no JSON should be", "book",
                       {"form": Parameter(str, "1e400", f"one of {', '.join(FORMS)}"),
                        "depth": Parameter(int, 5000, "of deep_nesting")}),
}

# ---- order entry
MESSAGES = ("any", "reply", "execution", "account")
LOSSES = ("silence", "reset", "close")
ACCEPTANCES = ("now", "late", "never")
HALVES = ("new_refused", "new_unknown", "cancel_refused", "cancel_unknown")
PLACING = "order.place"
ORDER_WHENS = ("request", "user", "message")
WHOSE = {"account": Parameter(str, None, "only this account (its name)"),
         "client_order_id": Parameter(str, None, "only this order; what ends in * means all that begin so"),
         "skip": Parameter(int, 0, "so many that it would have hit pass first"),
         "probability": Parameter(float, 1.0, "of each that it could hit, drawn from the seed"),
         "seed": Parameter(int, 0, "of that drawing")}
OPERATION = "only this operation, by its name in the WebSocket API; empty: all"
WHAT = {**WHOSE, "message": Parameter(str, "any", f"one of {', '.join(MESSAGES)}"),
        "execution": Parameter(str, None, "only execution reports of this type: NEW TRADE CANCELED EXPIRED REPLACED"),
        "op": Parameter(str, "", "only replies to this operation, by its name in the WebSocket API; empty: all")}


def _requests(op=PLACING, **parameters):
    return {**WHOSE, "op": Parameter(str, op, OPERATION), **parameters}


def _refusing(code, msg, op=PLACING, status=400):
    return _requests(op, code=Parameter(int, code, "the venue's"), msg=Parameter(str, msg, "the venue's"),
                     status=Parameter(int, status, "of HTTP"))


def _unknown(status, code, msg):
    return {**_refusing(code, msg, status=status),
            "accept": Parameter(str, "late", f"the order all the same: one of {', '.join(ACCEPTANCES)}"),
            "after_ms": Parameter(int, 1000, "how late")}


def _order(summary, when, parameters, **options):
    return Spec(summary, when, parameters, BINANCE, **options)


FAULTS |= {
    "drop_message": _order("a reply or a message of user data is never sent", "message", WHAT),
    "delay_message": _order("it is sent later; others pass it", "message",
                            {**WHAT, "delay_ms": Parameter(int, 500, "how much later")}),
    "duplicate_message": _order("it is sent more than once", "message",
                                {**WHAT, "copies": Parameter(int, 2, "in all"),
                                 "gap_ms": Parameter(int, 0, "between two of them")}),
    "reorder_message": _order("it is sent behind the next one on the same connection", "message",
                              {**WHAT, "hold_ms": Parameter(int, 1000, "at most so late")}),
    "lost_reply": _order("the order is accepted and works; its reply is lost", "request",
                         _requests(how=Parameter(str, "silence", f"one of {', '.join(LOSSES)}"))),
    "unknown_503": _order("503: nobody knows what became of the request", "request",
                          _unknown(503, -1000, "Unknown error, please check your request or try again later.")),
    "timeout_1007": _order("-1007: nobody knows what became of the request", "request",
                           _unknown(408, -1007, "Timeout waiting for response from backend server. Send status unknown; "
                                                "execution status unknown.")),
    "status_lag": _order("-2013 for an order younger than the lag, and it is in no list", "request",
                         {**_requests(""), "lag_ms": Parameter(int, 15_000, "how long"),
                          "lists": Parameter(bool, True, "openOrders and allOrders leave it out")}, lasting=True),
    "silent_user_stream": _order("no user data; sockets, replies and pings stay alive", "user", {**WHOSE}, lasting=True),
    "missing_fill": _order("the execution report of a fill is never sent; the venue's lists have it", "user", {**WHOSE}),
    "trade_twice": _order("the execution report of a fill comes again, as if found by another way", "user",
                          {**WHOSE, "gap_ms": Parameter(int, 200, "between the two")}),
    "fill_before_ack": _order("an order's reply is held back until its first fill has been reported", "request",
                              _requests(hold_ms=Parameter(int, 2000, "at most so long"))),
    "late_fill": _order("fills are reported only after the cancel of their order has been", "user",
                        {**WHOSE, "delay_ms": Parameter(int, 100, "behind the cancel's report"),
                         "hold_ms": Parameter(int, 5000, "at most, where no cancel comes")}),
    "bad_timestamp": _order("-1021, whatever the client sends", "request",
                            _refusing(-1021, "Timestamp for this request is outside of the recvWindow.", op="")),
    "no_balance": _order("-2010, whatever the account holds", "request",
                         _refusing(-2010, "Account has insufficient balance for requested action.")),
    "filter_reject": _order("-1013, however the order fits", "request", _refusing(-1013, "Filter failure: PRICE_FILTER")),
    "half_cancel_replace": _order("one leg of a cancel-replace is done, the other is refused or not known", "request",
                                  _requests("order.cancelReplace",
                                            form=Parameter(str, "new_refused", f"one of {', '.join(HALVES)}"))),
    "ban": _order("429 with Retry-After; who goes on is banned with 418, and longer each time", "request",
                  {**_requests(""), "retry_after_s": Parameter(int, 5, "of 429"),
                   "patience": Parameter(int, 10, "requests during 429 that lead to the ban"),
                   "ban_s": Parameter(int, 120, "of 418; doubled for each `patience` more requests, up to three days")},
                  lasting=True),
    "cut_reply": _order("the connection ends at a byte of a reply", "request",
                        _requests("", bytes=Parameter(int, 20, "of the reply that still go out, heads and frames included"))),
    "clock_skew": _order("the venue's clock is off, and runs away", "now",
                         {"offset_ms": Parameter(int, 5000, "ahead (negative: behind), besides --clock-offset-ms"),
                          "drift_ppm": Parameter(float, 0.0, "millionths: 1000 = a millisecond more each second")},
                         lasting=True, by_connection=False),
    "mark_price": Spec("a contract's mark price is held at a price: margin calls, liquidations and stops by mark follow", "now",
                       {"price": Parameter(str, "", "decimal text")}, ("binance_usdm",), lasting=True, by_connection=False),
    "funding": Spec("a contract's funding is charged now", "now",
                    {"rate": Parameter(str, "0.0001", "decimal text, 0.0001 = 0.01 %; positive: longs pay")}, ("binance_usdm",),
                    by_connection=False),
    "expired_in_match": _order("an order is accepted, and what does not trade at once ends as EXPIRED_IN_MATCH", "request",
                               _requests()),
}
CHOICES = {"message": MESSAGES, "how": LOSSES, "accept": ACCEPTANCES}
COMMON = {"count": Parameter(int, None, "how many events; 1 when neither count nor seconds is given"),
          "seconds": Parameter(float, None, "how long"),
          "symbol": Parameter(str, None, "only this instrument")}
CONNECTION = Parameter(int, None, "only this connection (its number in /state)")


def parameters_of(spec):
    return {**COMMON, **({"connection": CONNECTION} if spec.by_connection else {}), **spec.parameters}


def checked(name, body, venue, find):
    """The values to arm a fault with, defaults filled in.

    Parameters: body : decoded JSON.  venue : name.  find : symbol -> instrument or None.
    Errors: FaultError.
    """
    spec = FAULTS.get(name)
    if spec is None:
        raise FaultError(f"expected one of {', '.join(FAULTS)}, found {name!r}")
    if spec.venues and venue not in spec.venues:
        raise FaultError(f"{name}: expected a venue of {', '.join(spec.venues)}, found {venue}")
    if not isinstance(body, dict):
        raise FaultError(f"{name}: expected a JSON object, found {type(body).__name__}")
    known = parameters_of(spec)
    values = {key: parameter.default for key, parameter in known.items()}
    for key, value in body.items():
        if key not in known:
            raise FaultError(f"{name}: expected keys of {', '.join(known)}, found {key!r}")
        kind = known[key].kind
        if kind is float and type(value) is int:
            value = float(value)
        if type(value) is not kind:
            raise FaultError(f"{name}.{key}: expected {kind.__name__}, found {value!r}")
        values[key] = value
    for key in ("count", "seconds", "bytes", "inflated_mib", "rate", "depth", "copies", "retry_after_s", "patience", "ban_s"):
        if isinstance(values.get(key), (int, float)) and values[key] <= 0 and (name, key) != ("cut_reply", "bytes"):
            raise FaultError(f"{name}.{key}: expected more than 0, found {values[key]}")
    if values["symbol"] is not None and find(values["symbol"]) is None:
        whose = "venue" if spec.when in ORDER_WHENS else "capture"
        raise FaultError(f"{name}.symbol: expected an instrument of the {whose}, found {values['symbol']!r}")
    if name == "bad_number" and values["form"] not in FORMS:
        raise FaultError(f"{name}.form: expected one of {', '.join(FORMS)}, found {values['form']!r}")
    if spec.when in ORDER_WHENS:
        for key in ("skip", "delay_ms", "gap_ms", "hold_ms", "after_ms", "lag_ms", "bytes"):
            if values.get(key, 0) < 0:
                raise FaultError(f"{name}.{key}: expected 0 or more, found {values[key]}")
        if not 0 <= values["probability"] <= 1:
            raise FaultError(f"{name}.probability: expected 0 to 1, found {values['probability']}")
        for key, choices in CHOICES.items():
            if key in values and values[key] not in choices:
                raise FaultError(f"{name}.{key}: expected one of {', '.join(choices)}, found {values[key]!r}")
    if name in ("mark_price", "funding"):
        key = "price" if name == "mark_price" else "rate"
        if DECIMAL.fullmatch(values[key]) is None or (key == "price" and not float(values[key]) > 0):
            raise FaultError(f"{name}.{key}: expected a decimal text{' above 0' * (key == 'price')}, found {values[key]!r}")
        if values["symbol"] is None:
            raise FaultError(f"{name}.symbol: expected a contract, found none")
    for fault, forms in (("breach", BREACHES), ("unknown_word", WORDS), ("half_cancel_replace", HALVES)):
        if name == fault and values["form"] not in forms:
            raise FaultError(f"{name}.form: expected one of {', '.join(forms)}, found {values['form']!r}")
    if name == "reserved_bits" and not 1 <= values["bits"] <= 7:
        raise FaultError(f"{name}.bits: expected 1 to 7, found {values['bits']}")
    if values["count"] is None and values["seconds"] is None and not spec.lasting and spec.when != "now":
        values["count"] = 1
    return values
