"""The faults by name: what each does, where it applies and what it can be told.

This table is the whole of what `GET /` lists and of what a request to arm a fault is checked against.
"""
from typing import NamedTuple

__all__ = ["BREACHES", "FAULTS", "FORMS", "FaultError", "Spec", "WORDS", "checked"]

BINANCE = ("binance_spot", "binance_usdm")
BREACHES = ("opcode", "masked", "continuation", "interleaved", "long_control", "split_control")
WORDS = ("field", "event", "word", "element")
FORMS = ("1e400", "nan", "negative_zero", "digits25", "negative_price", "duplicate_keys", "deep_nesting", "cut_json")


class FaultError(ValueError):
    """A fault that cannot be armed: what was expected and what was found."""


class Parameter(NamedTuple):
    kind: type
    default: object
    meaning: str


class Spec(NamedTuple):
    """when: "book" or "data" (an event on its way out), "before" (it is applied), "rest", or "now"."""
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
    for key in ("count", "seconds", "bytes", "inflated_mib", "rate", "depth"):
        if values.get(key) is not None and values[key] <= 0:
            raise FaultError(f"{name}.{key}: expected more than 0, found {values[key]}")
    if values["symbol"] is not None and find(values["symbol"]) is None:
        raise FaultError(f"{name}.symbol: expected an instrument of the capture, found {values['symbol']!r}")
    if name == "bad_number" and values["form"] not in FORMS:
        raise FaultError(f"{name}.form: expected one of {', '.join(FORMS)}, found {values['form']!r}")
    for fault, forms in (("breach", BREACHES), ("unknown_word", WORDS)):
        if name == fault and values["form"] not in forms:
            raise FaultError(f"{name}.form: expected one of {', '.join(forms)}, found {values['form']!r}")
    if name == "reserved_bits" and not 1 <= values["bits"] <= 7:
        raise FaultError(f"{name}.bits: expected 1 to 7, found {values['bits']}")
    if values["count"] is None and values["seconds"] is None and not spec.lasting and spec.when != "now":
        values["count"] = 1
    return values
