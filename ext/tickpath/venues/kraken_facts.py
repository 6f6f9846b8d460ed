"""What a capture of Kraken's feeds says about its instruments: increments, decimals of the text, subscribed depth. Cold.

`scan_facts` is fed every frame of a capture and collects into a dict, which holds CaptureFacts after each of them; `close_facts`
ends it. Both protocol versions, by the message:

    v1   [992,{"b":[["354.15000000","5.00000000","1618678133.365913"]],"c":"2583817756"},"book-1000","XMR/USD"]
    v2   {"channel":"book","type":"update","data":[{"symbol":"BTC/USD","bids":[{"price":64525.3,"qty":0.00309336}],…}]}

An AssetPairs body (REST) and the instrument channel name the venue's own increments; they decide as long as the recorded
numbers are multiples of them, and the greatest common increment of both counts otherwise.
"""
import json
from decimal import Decimal, InvalidOperation

from tickpath.venues.increments import CaptureFacts, Increment, decimal_units

__all__ = ["CaptureFacts", "close_facts", "scan_facts"]

# Where what the frames said so far is kept in the caller's dictionary; `close_facts` leaves it out.
STATE = "state"
EXPONENT_MAX = 40
# v2 renamed two assets; an AssetPairs body has only the older names.
V2_NAMES = {"XBT": "BTC", "XDG": "DOGE"}


class _State:
    """Increments, depths and what the metadata says, of all frames so far."""

    def __init__(self):
        self.seen = {}                # (conn, symbol) -> (price, qty) as Increment
        self.depths = {}              # (conn, symbol) -> levels a side
        self.listed = {}              # symbol -> ((units, scale), (units, scale), price decimals, qty decimals)

    def facts(self, key):
        price, qty = self.seen[key]
        price_decimals, qty_decimals = price.decimals, qty.decimals
        if (listed := self.listed.get(key[1])) is not None:
            price.fold(*listed[0])
            qty.fold(*listed[1])
            price_decimals, qty_decimals = max(price_decimals, listed[2]), max(qty_decimals, listed[3])
        return CaptureFacts(price.text(), qty.text(), price_decimals, qty_decimals, self.depths.get(key, 0))


def _plain(text):
    """A JSON number's text, written out where it has an exponent; None for what is no number."""
    if not isinstance(text, str) or ("e" not in text and "E" not in text):
        return text
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    # Looked at before it is written out: the exponent may ask for a billion digits.
    return f"{number:f}" if number.is_finite() and abs(number.adjusted()) <= EXPONENT_MAX else None


def _units(text):
    """decimal_units of a number's text, or None."""
    text = _plain(text)
    return decimal_units(text) if isinstance(text, str) else None


def scan_facts(frame, facts):
    """Add one CaptureFrame's numbers to `facts`: {(conn, symbol): CaptureFacts}, and under STATE what is still needed to go on.

    A frame that is no JSON, or of another shape, adds nothing.
    """
    state = facts.get(STATE)
    if state is None:
        state = facts[STATE] = _State()
    try:
        # Numbers stay the text they were sent as.
        message = json.loads(frame.data, parse_float=str, parse_int=str)
    except (ValueError, RecursionError):
        return
    if isinstance(message, list):
        touched = _scan_v1(state, frame.conn, message)
    elif isinstance(message, dict):
        touched = _scan_v2(state, frame.conn, message)
    else:
        return
    for key in touched:
        facts[key] = state.facts(key)


def close_facts(facts):
    """{(conn, symbol): CaptureFacts} of what was collected; conn is None where the recorder names no connection."""
    return {key: value for key, value in facts.items() if key != STATE}


def _add(state, key, prices, quantities):
    price, qty = state.seen.setdefault(key, (Increment(), Increment()))
    for text in prices:
        price.add(_plain(text))
    for text in quantities:
        qty.add(_plain(text))
    return (key,)


def _rows(container, *names):
    """The rows of these lists of an object, those that are lists of at least two."""
    lists = [container.get(name) for name in names]
    return [row for rows in lists if isinstance(rows, list) for row in rows if isinstance(row, list) and len(row) >= 2]


def _scan_v1(state, conn, message):
    if len(message) < 4 or not isinstance(message[-1], str) or not isinstance(message[-2], str):
        return ()
    *payloads, name, symbol = message[1:]
    key = (conn, symbol)
    name, _, number = name.partition("-")
    if name == "book":
        if number.isdecimal():
            state.depths[key] = int(number)
        rows = [row for payload in payloads if isinstance(payload, dict) for row in _rows(payload, "a", "b", "as", "bs")]
        return _add(state, key, [row[0] for row in rows], [row[1] for row in rows])
    payload = payloads[0]
    if name == "trade" and isinstance(payload, list):
        rows = _rows({"rows": payload}, "rows")
        return _add(state, key, [row[0] for row in rows], [row[1] for row in rows])
    if name == "ticker" and isinstance(payload, dict):
        rows = [side for side in (payload.get("a"), payload.get("b")) if isinstance(side, list) and len(side) >= 3]
        return _add(state, key, [row[0] for row in rows], [row[2] for row in rows])
    if name == "spread" and isinstance(payload, list) and len(payload) >= 5:
        return _add(state, key, payload[:2], payload[3:5])
    if name == "ohlc" and isinstance(payload, list) and len(payload) >= 9:
        return _add(state, key, payload[2:6], payload[7:8])
    return ()


V2_FIELDS = {
    "trade": (("price",), ("qty",)), "ticker": (("bid", "ask"), ("bid_qty", "ask_qty")),
    "ohlc": (("open", "high", "low", "close"), ("volume",)), "book": (("price",), ("qty",)),
    "level3": (("limit_price",), ("order_qty",)),
}


def _scan_v2(state, conn, message):
    channel, data = message.get("channel"), message.get("data")
    result = message.get("result")
    if channel is None and isinstance(result, dict):
        if message.get("method") == "subscribe":
            return _scan_ack(state, conn, result)
        return _scan_asset_pairs(state, result)
    if channel == "instrument" and isinstance(data, dict):
        return _scan_instruments(state, data)
    if not isinstance(channel, str) or channel not in V2_FIELDS or not isinstance(data, list):
        return ()
    touched = []
    prices, quantities = V2_FIELDS[channel]
    for item in data:
        if not isinstance(item, dict) or not isinstance(item.get("symbol"), str):
            continue
        sides = [item.get(side) for side in ("bids", "asks")] if channel in ("book", "level3") else [[item]]
        rows = [row for side in sides if isinstance(side, list) for row in side if isinstance(row, dict)]
        touched += _add(state, (conn, item["symbol"]), [row.get(name) for row in rows for name in prices],
                        [row.get(name) for row in rows for name in quantities])
    return touched


def _scan_ack(state, conn, result):
    symbol, depth = result.get("symbol"), result.get("depth")
    if result.get("channel") in ("book", "level3") and isinstance(symbol, str) and isinstance(depth, str) and depth.isdecimal():
        state.depths[conn, symbol] = int(depth)
        if (conn, symbol) in state.seen:
            return ((conn, symbol),)
    return ()


def _scan_asset_pairs(state, result):
    """An AssetPairs body: increments by decimals, since 2023 with tick_size too; wsname is v1's symbol."""
    for pair in result.values():
        if not isinstance(pair, dict) or not isinstance(name := pair.get("wsname"), str):
            continue
        price_decimals, lot_decimals = _small(pair.get("pair_decimals")), _small(pair.get("lot_decimals"))
        if price_decimals is None or lot_decimals is None:
            continue
        tick = _units(pair.get("tick_size")) or (1, price_decimals)
        listed = (tick, (1, lot_decimals), price_decimals, lot_decimals)
        renamed = "/".join(V2_NAMES.get(asset, asset) for asset in name.split("/"))
        state.listed[name] = state.listed[renamed] = listed
    return [key for key in state.seen if key[1] in state.listed]


def _scan_instruments(state, data):
    pairs = data.get("pairs")
    for pair in pairs if isinstance(pairs, list) else ():
        if not isinstance(pair, dict) or not isinstance(symbol := pair.get("symbol"), str):
            continue
        tick = _units(pair.get("tick_size") or pair.get("price_increment"))
        lot = _units(pair.get("qty_increment"))
        price_decimals, qty_decimals = _small(pair.get("price_precision")), _small(pair.get("qty_precision"))
        if tick and lot and price_decimals is not None and qty_decimals is not None:
            state.listed[symbol] = (tick, lot, price_decimals, qty_decimals)
    return [key for key in state.seen if key[1] in state.listed]


def _small(text):
    return int(text) if isinstance(text, str) and text.isdecimal() and len(text) <= 2 else None
