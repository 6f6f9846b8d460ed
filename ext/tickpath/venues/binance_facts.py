"""What a capture of Binance's feeds (spot, USD-M, COIN-M) says of its instruments: increments, decimals, depth. Cold; exact.

`scan_facts` is given every frame of a capture in turn and keeps its answer up to date. An increment is the greatest of which
every recorded number is a multiple; an exchangeInfo body decides instead, as long as the recorded numbers are on its grid: a
book may still hold orders from before an increment grew. A symbol means one instrument on every connection of a capture, so
what a REST body shows counts for the symbol's streams.
"""
import msgspec

from tickpath.venues.increments import CaptureFacts, Increment

__all__ = ["CaptureFacts", "scan_facts"]

# Where the numbers of the frames so far are kept in the caller's dictionary.
STATE = "state"
NOT_JSON = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class _State:
    def __init__(self):
        self.seen = {}                # symbol -> (price, qty) as Increment
        self.conns = {}               # symbol -> {conn: levels a side of its partial book}
        self.listed = {}              # symbol -> (price, qty) as Increment, of an exchangeInfo body
        self.unnamed = Increment(), Increment()

    def publish(self, facts, symbol):
        """The facts of a symbol's connections, anew."""
        price, qty = self.seen.get(symbol, (Increment(), Increment()))
        if len(self.conns) == 1:
            # A REST snapshot does not name its symbol: it belongs to the only one that there is.
            price, qty = price.merged(self.unnamed[0]), qty.merged(self.unnamed[1])
        decimals = price.decimals, qty.decimals
        if symbol in self.listed:
            price, qty = price.merged(self.listed[symbol][0]), qty.merged(self.listed[symbol][1])
        for conn, levels in self.conns[symbol].items():
            facts[conn, symbol] = CaptureFacts(price.text(), qty.text(), *decimals, levels)


def scan_facts(frame, facts):
    """Add what one frame says.

    Parameters: frame : CaptureFrame.  facts : dict, {(conn, venue_symbol): CaptureFacts} of the frames so far (conn is None where
    the recorder names none), and under STATE what is needed to go on: the caller takes it out when it is done.
    A frame that is no JSON, or of another shape, adds nothing.
    """
    state = facts.get(STATE)
    if state is None:
        state = facts[STATE] = _State()
    try:
        message = msgspec.json.decode(frame.data)
    except NOT_JSON:
        return
    if not isinstance(message, dict):
        return
    symbol, levels = frame.symbol_hint, 0
    if isinstance(stream := message.get("stream"), str):
        message = message.get("data")
        name, _, channel = stream.partition("@")
        symbol = name.upper()
        channel = channel.partition("@")[0]
        if channel.startswith("depth") and channel[5:].isdecimal():
            levels = int(channel[5:])
        if not isinstance(message, dict):
            return
    if isinstance(listed := message.get("symbols"), list):
        for item in listed:
            _scan_filters(state, facts, item)
        return
    symbol = message.get("s", message.get("symbol", symbol))
    prices, quantities = _numbers(message)
    if prices:
        _add(state, facts, frame, symbol if isinstance(symbol, str) else None, prices, quantities, levels)


def _add(state, facts, frame, symbol, prices, quantities, levels):
    price, qty = state.unnamed if symbol is None else state.seen.setdefault(symbol, (Increment(), Increment()))
    changed = False
    for text in prices:
        changed |= price.add(text)
    for text in quantities:
        changed |= qty.add(text)
    if symbol is None:
        if changed and len(state.conns) == 1:
            state.publish(facts, next(iter(state.conns)))
        return
    if frame.source == "ws":
        conns = state.conns.setdefault(symbol, {})
        if conns.get(frame.conn, -1) < levels:
            conns[frame.conn] = levels
            changed = True
            if len(state.conns) == 2:
                # The one before is no longer the only one.
                state.publish(facts, next(iter(state.conns)))
    if changed and symbol in state.conns:
        state.publish(facts, symbol)


def _numbers(message):
    """The price texts and the quantity texts of a message."""
    kind = message.get("e")
    if kind == "depthUpdate" or "bids" in message:
        rows = _rows(message, "b", "a") if kind == "depthUpdate" else _rows(message, "bids", "asks")
        return [row[0] for row in rows], [row[1] for row in rows]
    if kind in ("trade", "aggTrade"):
        return (message.get("p"),), (message.get("q"),)
    if kind == "kline" and isinstance(bar := message.get("k"), dict):
        return [bar.get(key) for key in "ohlc"], [bar.get(key) for key in "vV"]
    if kind in (None, "bookTicker") and "B" in message and "A" in message:
        return (message.get("b"), message.get("a")), (message["B"], message["A"])
    return (), ()


def _rows(message, *keys):
    lists = [rows for key in keys if isinstance(rows := message.get(key), list)]
    return [row for rows in lists for row in rows if isinstance(row, list) and len(row) >= 2]


def _scan_filters(state, facts, item):
    if not isinstance(item, dict) or not isinstance(item.get("filters"), list) or not isinstance(item.get("symbol"), str):
        return
    price, qty = Increment(), Increment()
    for entry in item["filters"]:
        if isinstance(entry, dict):
            if entry.get("filterType") == "PRICE_FILTER":
                price.add(entry.get("tickSize"))
            elif entry.get("filterType") == "LOT_SIZE":
                qty.add(entry.get("stepSize"))
    state.listed[item["symbol"]] = price, qty
    if item["symbol"] in state.conns:
        state.publish(facts, item["symbol"])
