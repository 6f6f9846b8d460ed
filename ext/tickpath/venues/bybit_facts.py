"""What a Bybit capture says of its instruments: increments, decimals, subscribed depth. Cold; exact.

Spot and linear spell their symbols alike, so a capture is told apart by its connections. The venue's own increments (REST
/v5/market/instruments-info) are those of the connection's market, which the order of a message's keys gives away: spot has
"ts" in front of "type" (bars: "type" first), the others behind it (recorded 2026-08, all 3,200 messages).
"""
import msgspec

from tickpath.venues.okx_facts import NOT_JSON, CaptureFacts, add_metadata, add_numbers, is_plain

__all__ = ["CaptureFacts", "scan_facts"]

CONTRACTS = "contracts"
SPOT = "spot"


def scan_facts(frame, facts):
    """Add what one frame says.

    Parameters: frame : CaptureFrame.  facts : dict, {(conn, venue_symbol): CaptureFacts} of the frames so far; what the venue's
    metadata says stands under (("spot" or "contracts",), venue_symbol), for instruments that no connection may carry.
    """
    try:
        message = msgspec.json.decode(frame.data)
    except NOT_JSON:
        return
    if not isinstance(message, dict):
        return
    if frame.source == "rest":
        _scan_metadata(message.get("result"), facts)
        return
    topic, data = message.get("topic"), message.get("data")
    if not isinstance(topic, str) or "type" not in message or "ts" not in message:
        return
    kind, _, rest = topic.partition(".")
    market = _market(kind, list(message))
    if kind == "orderbook" and isinstance(data, dict):
        depth = rest.partition(".")[0]
        rows = [row for side in ("b", "a") if isinstance(data.get(side), list)
                for row in data[side] if isinstance(row, list) and len(row) == 2]
        if depth.isdecimal() and depth.isascii():
            _add(facts, frame.conn, data.get("s"), market, [row[0] for row in rows], [row[1] for row in rows], int(depth))
    elif kind == "publicTrade" and isinstance(data, list):
        for trade in data:
            if isinstance(trade, dict):
                _add(facts, frame.conn, trade.get("s"), market, (trade.get("p"),), (trade.get("v"),))
    elif kind == "tickers" and isinstance(data, dict):
        _add(facts, frame.conn, data.get("symbol"), market, (data.get("bid1Price"), data.get("ask1Price")),
             (data.get("bid1Size"), data.get("ask1Size")))
    elif kind == "kline" and isinstance(data, list):
        for bar in data:
            if isinstance(bar, dict):
                _add(facts, frame.conn, rest.partition(".")[2], market, [bar.get(k) for k in ("open", "high", "low", "close")],
                     (bar.get("volume"),))


def _market(kind, keys):
    if kind == "kline":
        return SPOT if keys[0] == "type" else CONTRACTS
    return SPOT if keys.index("ts") < keys.index("type") else CONTRACTS


def _add(facts, conn, symbol, market, prices, quantities, max_levels=0):
    if isinstance(symbol, str) and symbol:
        add_numbers(facts, (conn, symbol), (market,), prices, quantities, max_levels)


def _scan_metadata(result, facts):
    if not isinstance(result, dict) or not isinstance(items := result.get("list"), list):
        return
    market = (SPOT if result.get("category") == "spot" else CONTRACTS,)
    for item in items:
        if not isinstance(item, dict):
            continue
        price, lot = item.get("priceFilter"), item.get("lotSizeFilter")
        if isinstance(price, dict) and isinstance(lot, dict):
            step = lot.get("basePrecision", lot.get("qtyStep"))
            if is_plain(price.get("tickSize")) and is_plain(step):
                add_metadata(facts, market, item.get("symbol"), price["tickSize"], step)
