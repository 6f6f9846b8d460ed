"""An order of USD-M futures from its parameters: what is asked for, checked in the venue's order, in ticks and lots.

    {"symbol": "BTCUSDT", "side": "BUY", "type": "STOP", "quantity": "0.010", "price": "61000.0", "stopPrice": "60950.0", …}

Rules: developers.binance.com/docs/derivatives/usds-margined-futures/trade/rest-api (New Order, Modify Order, New Algo Order),
seen 2026-11-22. Signature, unknown and empty parameters have been checked before.
"""
import re

import msgspec

from tickpath_sim.trading.usdm_contracts import E8
from tickpath_sim.trading.usdm_errors import error

__all__ = ["CONDITIONAL", "Intent", "client_id", "flag", "number", "parse_order"]

WHOLE = re.compile(r"-?[0-9]{1,18}")
CLIENT_ID = re.compile(r"[.A-Z:/a-z0-9_-]{1,36}")
CONDITIONAL = frozenset(("STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET"))
TYPES = CONDITIONAL | {"LIMIT", "MARKET"}
PRICED = frozenset(("LIMIT", "STOP", "TAKE_PROFIT"))
STOPPED = CONDITIONAL - {"TRAILING_STOP_MARKET"}
CLOSERS = frozenset(("STOP_MARKET", "TAKE_PROFIT_MARKET"))
TIMES = frozenset(("GTC", "IOC", "FOK", "GTX", "GTD"))
STP = frozenset(("NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH"))
PRICE_MATCH = {"OPPONENT": (True, 1), "OPPONENT_5": (True, 5), "OPPONENT_10": (True, 10), "OPPONENT_20": (True, 20),
               "QUEUE": (False, 1), "QUEUE_5": (False, 5), "QUEUE_10": (False, 10), "QUEUE_20": (False, 20)}
KNOWN_MAX = 1 << 16
GTD_AHEAD_MS, GTD_MAX_MS = 600_000, 253_402_300_799_000


class Intent(msgspec.Struct):
    """An order that is fit to be sent to the core; the record of the order keeps it as its `extra`."""
    contract: object
    buy: bool
    type: str
    tif: str
    position_side: str
    qty_lots: int
    price_ticks: int = 0
    stop_ticks: int = 0
    activation_ticks: int = 0
    callback_bips: int = 0
    callback_text: str = ""
    reduce_only: bool = False
    close_position: bool = False
    mark: bool = False
    price_protect: bool = False
    price_match: str = "NONE"
    stp: str = "EXPIRE_MAKER"
    gtd_ms: int = 0
    client_order_id: str = ""
    wants_result: bool = False
    # What has become of it.
    triggered: bool = False
    trigger_ms: int = 0
    algo_id: int = 0                        # 0: it came by the plain order call
    algo_status: str = ""
    algo_reason: str = ""
    edits: int = 0


def flag(params, name):
    """A parameter "true" or "false" in any case; absent is false. Errors: VenueError."""
    text = params.get(name)
    if text is None:
        return False
    lower = str(text).lower()
    if lower not in ("true", "false"):
        raise error(-1130, name)
    return lower == "true"


def number(params, name, low=None, high=None, default=None):
    """A whole number. Errors: VenueError -1102 when it is missing without a default, -1130 when it is none."""
    text = params.get(name)
    if text is None:
        if default is None:
            raise error(-1102, name.lower())
        return default
    text = str(text)
    if WHOLE.fullmatch(text) is None:
        raise error(-1102, name.lower())
    value = int(text)
    if (low is not None and value < low) or (high is not None and value > high):
        raise error(-1130, name)
    return value


def client_id(text):
    """`text` if it may be a client's id. Errors: VenueError -4015."""
    if len(text) > 36:
        raise error(-4015, text="Client order id length should be less than 36 chars")
    if not CLIENT_ID.fullmatch(text):
        raise error(-4015)
    return text


def parse_price(contract, text, name="price", *, codes=(-4001, -4013, -4002)):
    """Ticks of a price. `codes`: for one that is not positive, too low, too high."""
    known = contract.ticks_of.get(text)
    if known is not None:
        return known
    value = contract.scaled(text)
    if value is None:
        raise error(-1102, name.lower())
    if value is False:
        raise error(-1111)
    if value <= 0:
        raise error(codes[0])
    ticks, rest = divmod(value, contract.tick_e8)
    if rest:
        # One place too many is another fault than a price between two ticks.
        raise error(-1111 if rest % 10 ** (8 - contract.price_places) else -4014)
    if ticks > contract.max_ticks:
        raise error(codes[2])
    if ticks < contract.min_ticks:
        raise error(codes[1])
    remember(contract.ticks_of, text, ticks)
    return ticks


def remember(known, text, value):
    """Keep a text that has been read; the texts of clients are many, so there is a bound."""
    if len(known) >= KNOWN_MAX:
        known.clear()
    known[text] = value


def parse_qty(contract, text, market):
    known = contract.lots_of.get(text)
    if known is not None and not market:
        return known
    value = contract.scaled(text)
    if value is None:
        raise error(-1102, "quantity")
    if value is False:
        raise error(-1111)
    if value <= 0:
        raise error(-4003)
    lots, rest = divmod(value, contract.lot_e8)
    if rest:
        raise error(-1111 if rest % 10 ** (8 - contract.qty_places) else -4023)
    if lots < contract.min_lots:
        raise error(-4004)
    if lots > (contract.market_max_lots if market else contract.max_lots):
        raise error(-4005)
    remember(contract.lots_of, text, lots)
    return lots


def match_price(name, buy, best_levels):
    """Ticks of a price by `priceMatch`. best_levels(buy, count) : prices of that side, best first. Errors: VenueError."""
    if name not in PRICE_MATCH:
        raise error(-5037)
    opponent, level = PRICE_MATCH[name]
    levels = best_levels(buy != opponent, level)
    if len(levels) < level:
        raise error(-5041)
    return levels[level - 1]


def parse_order(params, contract, *, hedge, now_ms, best_levels, algo=False):
    """The order that these parameters ask for.

    Parameters: params : {name: text}.  contract : Contract.  hedge : the account's position mode.  now_ms : venue time.
                best_levels : as for `match_price`.  algo : of the algo endpoints, whose parameters have other names.
    Returns:    Intent.  Errors: VenueError.
    """
    get = params.get
    side, kind = get("side"), get("type")
    if side is None:
        raise error(-1102, "side")
    if side not in ("BUY", "SELL"):
        raise error(-1117)
    if kind is None:
        raise error(-1102, "type")
    if kind not in TYPES or (algo and kind not in CONDITIONAL):
        raise error(-1116)
    buy = side == "BUY"
    position_side = get("positionSide", "BOTH")
    if position_side not in ("BOTH", "LONG", "SHORT"):
        raise error(-4060)
    if hedge != (position_side != "BOTH"):
        raise error(-4061)
    reduce_only, close_position = flag(params, "reduceOnly"), flag(params, "closePosition")
    if hedge and "reduceOnly" in params:
        raise error(-1106, "reduceonly")
    if close_position:
        if kind not in CLOSERS:
            raise error(-4136, kind, "true")
        if "quantity" in params:
            raise error(-4137)
        if reduce_only:
            raise error(-1106, "reduceonly")
    tif = get("timeInForce")
    if kind == "LIMIT" and tif is None:
        raise error(-1102, "timeinforce")
    if kind == "MARKET" and tif is not None:
        raise error(-1106, "timeinforce")
    tif = tif or "GTC"
    if tif not in TIMES:
        raise error(-1115)
    gtd_ms = 0
    if tif == "GTD":
        gtd_ms = number(params, "goodTillDate") // 1000 * 1000
        if not now_ms + GTD_AHEAD_MS < gtd_ms < GTD_MAX_MS:
            raise error(-5040)
    intent = Intent(contract, buy, kind, tif, position_side, 0, reduce_only=reduce_only, close_position=close_position,
                    gtd_ms=gtd_ms)
    if not close_position:
        if get("quantity") is None:
            raise error(-1102, "quantity")
        intent.qty_lots = parse_qty(contract, params["quantity"], kind not in PRICED)
    _prices(params, intent, best_levels, algo)
    intent.stp = get("selfTradePreventionMode", "EXPIRE_MAKER")
    if intent.stp not in STP:
        raise error(-5039)
    intent.mark = _working(params)
    intent.price_protect = flag(params, "priceProtect")
    reply = get("newOrderRespType", "ACK")
    if reply not in ("ACK", "RESULT", "FULL"):
        raise error(-1136)
    intent.wants_result = reply != "ACK"
    name = get("clientAlgoId" if algo else "newClientOrderId")
    intent.client_order_id = client_id(name) if name is not None else ""
    return intent


def _working(params):
    text = params.get("workingType", "CONTRACT_PRICE")
    if text not in ("MARK_PRICE", "CONTRACT_PRICE"):
        raise error(-4031, text)
    return text == "MARK_PRICE"


def _prices(params, intent, best_levels, algo):
    contract, kind, get = intent.contract, intent.type, params.get
    matched = get("priceMatch", "NONE")
    if matched != "NONE":
        if kind not in PRICED:
            raise error(-5038)
        if get("price") is not None:
            raise error(-1106, "price")
        intent.price_match = matched
        intent.price_ticks = match_price(matched, intent.buy, best_levels)
    elif kind in PRICED:
        if get("price") is None:
            raise error(-1102, "price")
        intent.price_ticks = parse_price(contract, params["price"])
    elif get("price") is not None and contract.scaled(params["price"]):
        raise error(-1106, "price")
    stop = "triggerPrice" if algo else "stopPrice"
    if kind in STOPPED:
        # The documentation's own example of the algo call writes it in small letters.
        text = get(stop, get("triggerprice") if algo else None)
        if text is None:
            raise error(-1102, stop.lower())
        intent.stop_ticks = parse_price(contract, text, stop, codes=(-4006, -4013, -4007))
    elif get(stop) is not None and contract.scaled(params[stop]):
        raise error(-1106, stop.lower())
    if kind == "TRAILING_STOP_MARKET":
        text = get("callbackRate")
        if text is None:
            raise error(-1102, "callbackrate")
        rate = contract.scaled(text)
        # 1 is one per cent; the venue takes a tenth of a per cent as the smallest step.
        if not rate or not E8 // 10 <= rate <= 10 * E8 or rate % (E8 // 10):
            raise error(-2007)
        intent.callback_bips, intent.callback_text = rate * 100 // E8, text
        text = get("activatePrice", get("activationPrice"))
        if text is not None:
            if not contract.scaled(text) or contract.scaled(text) <= 0:
                raise error(-4135)
            intent.activation_ticks = parse_price(contract, text, "activationPrice", codes=(-4135, -4013, -4002))
