"""What a Coinbase capture says of its instruments: increments, decimals of the text, depth. Cold; for tools and tests.

`scan_facts` is fed every frame of a capture, in any order, and collects into a dict; `close_facts` turns that into one
CaptureFacts per (connection, venue symbol):

    facts = {}
    for frame in read_capture(path):
        scan_facts(frame, facts)
    facts = close_facts(facts)

The list of products decides the increments (Exchange `quote_increment` and `base_increment`; Advanced Trade `price_increment`
where it has one), as long as the recorded numbers are on their grid: a book may still hold orders from before an increment grew.
Both feeds send whole books, so a depth is never subscribed to.
"""
import msgspec

from tickpath.venues.increments import CaptureFacts, Increment

__all__ = ["CaptureFacts", "close_facts", "scan_facts"]

# Keys of `facts` while it is being filled: products of all connections, and what could not be given to an instrument.
PRODUCTS = None

_decode = msgspec.json.Decoder().decode
NOT_JSON = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class _Seen:
    __slots__ = ("price", "qty")

    def __init__(self):
        self.price, self.qty = Increment(), Increment()

    def add(self, prices, quantities):
        for text in prices:
            self.price.add(text)
        for text in quantities:
            self.qty.add(text)


def scan_facts(frame, facts):
    """Add what one CaptureFrame says to `facts`, a dict that starts empty. Frames that are not JSON, or are of another form than
    Coinbase's, add nothing: judging them is the decoder's work."""
    try:
        message = _decode(frame.data)
    except NOT_JSON:
        return
    if isinstance(message, list):
        _scan_products(message, facts)
    elif not isinstance(message, dict):
        return
    elif isinstance(message.get("events"), list):
        for event in _objects(message, "events"):
            _scan_event(frame.conn, event, facts)
    elif "type" in message:
        _scan_exchange(frame.conn, message, facts)
    elif isinstance(message.get("pricebook"), dict):
        book = message["pricebook"]
        rows = _objects(book, "bids") + _objects(book, "asks")
        _add(facts, frame.conn, book.get("product_id"), [r.get("price") for r in rows], [r.get("size") for r in rows])
    elif "products" in message:
        _scan_products(_objects(message, "products"), facts)
    elif "bids" in message:
        rows = _rows(message, "bids", 2) + _rows(message, "asks", 2)
        _add(facts, frame.conn, frame.symbol_hint, [r[0] for r in rows], [r[1] for r in rows])


def close_facts(facts):
    """{(conn, venue symbol): CaptureFacts} of what was collected, sorted. A connection's name may be None. Where no number was
    seen the product's own increment stands, or else the finest one: 0.00000001."""
    products = facts.get(PRODUCTS, {})
    result = {}
    for conn, symbol in sorted((key for key in facts if key is not PRODUCTS), key=lambda key: (key[0] or "", key[1])):
        seen = facts[conn, symbol]
        tick, lot = products.get(symbol, (Increment(), Increment()))
        # Together with the product's own increment: that one, unless a recorded number is off its grid.
        tick, lot = seen.price.merged(tick), seen.qty.merged(lot)
        result[conn, symbol] = CaptureFacts(tick.text(), lot.text(), seen.price.decimals, seen.qty.decimals, 0)
    return result


def _objects(message, key):
    values = message.get(key)
    return [v for v in values if isinstance(v, dict)] if isinstance(values, list) else []


def _rows(message, key, width):
    values = message.get(key)
    return [v for v in values if isinstance(v, list) and len(v) >= width] if isinstance(values, list) else []


def _add(facts, conn, symbol, prices, quantities):
    if not isinstance(symbol, str):
        return
    if (conn, symbol) not in facts:
        facts[conn, symbol] = _Seen()
    facts[conn, symbol].add(prices, quantities)


def _scan_event(conn, event, facts):
    levels = _objects(event, "updates")
    if levels:
        _add(facts, conn, event.get("product_id"), [u.get("price_level") for u in levels],
             [u.get("new_quantity") for u in levels])
    for trade in _objects(event, "trades"):
        _add(facts, conn, trade.get("product_id"), (trade.get("price"),), (trade.get("size"),))
    for ticker in _objects(event, "tickers"):
        _add(facts, conn, ticker.get("product_id"), (ticker.get("best_bid"), ticker.get("best_ask")),
             (ticker.get("best_bid_quantity"), ticker.get("best_ask_quantity")))
    for candle in _objects(event, "candles"):
        _add(facts, conn, candle.get("product_id"), [candle.get(key) for key in ("open", "high", "low", "close")],
             (candle.get("volume"),))


def _scan_exchange(conn, message, facts):
    kind, symbol = message["type"], message.get("product_id")
    if kind == "l2update":
        rows = _rows(message, "changes", 3)
        _add(facts, conn, symbol, [r[1] for r in rows], [r[2] for r in rows])
    elif kind == "snapshot":
        rows = _rows(message, "bids", 2) + _rows(message, "asks", 2)
        _add(facts, conn, symbol, [r[0] for r in rows], [r[1] for r in rows])
    elif kind == "ticker":
        _add(facts, conn, symbol, (message.get("best_bid"), message.get("best_ask")),
             (message.get("best_bid_size"), message.get("best_ask_size")))
    elif kind in ("match", "last_match", "open", "change"):
        _add(facts, conn, symbol, (message.get("price"), message.get("new_price")),
             (message.get("size"), message.get("remaining_size"), message.get("new_size")))
    elif kind == "status":
        _scan_products(_objects(message, "products"), facts)


def _scan_products(products, facts):
    known = facts.setdefault(PRODUCTS, {})
    for product in products:
        if not isinstance(product, dict):
            continue
        symbol = product.get("product_id") or product.get("id")
        if isinstance(symbol, str):
            tick, lot = known[symbol] = Increment(), Increment()
            tick.add(product.get("price_increment") or product.get("quote_increment"))
            lot.add(product.get("base_increment"))
