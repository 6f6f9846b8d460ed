"""Instruments of Coinbase: Advanced Trade /api/v3/brokerage/market/products ("coinbase") and Exchange /products
("coinbase_exchange").

    {"products": [{"product_id": "BTC-USD", "price_increment": "0.01", "base_increment": "0.00000001", "base_min_size": …,
      "status": "online", "trading_disabled": false, "cancel_only": false, …}], "num_products": 920, "pagination": {…}}
    [{"id": "BTC-USD", "quote_increment": "0.01", "base_increment": "0.00000001", "min_market_funds": "1", …}]

Fields: docs.cdp.coinbase.com, Advanced Trade "List Public Products", Exchange "Get all known trading pairs" (seen 2026-11-21):
trading_disabled forbids cancels too; min_market_funds is the least notional of limit orders as well.
"""
from datetime import datetime

from tickpathd.instruments import facts as f

REST_URLS = {"coinbase": "https://api.coinbase.com", "coinbase_exchange": "https://api.exchange.coinbase.com"}
KINDS = {"coinbase": ("spot", "swap", "future"), "coinbase_exchange": ("spot",)}
PAGE_PRODUCTS = 1000
PAGES_MAX = 100
# Coinbase kept the name under which it first listed the asset.
ASSETS = {"CGLD": "CELO"}


def collect(venue_kind, get, kinds):
    """Yields the bodies that hold the instruments. get(path, parameters) -> bytes."""
    if venue_kind == "coinbase_exchange":
        yield get("/products", {})
        return
    for product_type in ["SPOT"] * ("spot" in kinds) + ["FUTURE"] * bool({"swap", "future"} & set(kinds)):
        for page in range(PAGES_MAX):
            body = get("/api/v3/brokerage/market/products", {"product_type": product_type, "limit": PAGE_PRODUCTS,
                                                             "offset": page * PAGE_PRODUCTS})
            yield body
            if len(_products(venue_kind, body)) < PAGE_PRODUCTS:
                break
        else:
            raise f.BodyError(f"{venue_kind} instruments: expected at most {PAGES_MAX} pages of {PAGE_PRODUCTS}, found more")


def parse(venue_kind, body):
    """InstrumentTable of one products body. Raises BodyError."""
    key, parse_one = ("id", _exchange) if venue_kind == "coinbase_exchange" else ("product_id", _advanced)
    return f.parse_each(_products(venue_kind, body), lambda item: item.get(key), lambda item: parse_one(venue_kind, item))


def _products(venue_kind, body):
    data = f.decode_body(body, venue_kind)
    products = data.get("products") if venue_kind == "coinbase" and isinstance(data, dict) else data
    if not isinstance(products, list):
        shape = 'an object with "products"' if venue_kind == "coinbase" else "a list of products"
        found = data.get("message", sorted(data)[:5]) if isinstance(data, dict) else type(data).__name__
        raise f.BodyError(f"{venue_kind} instruments: expected {shape}, found {str(found)[:200]!r}")
    return products


def _exchange(venue_kind, item):
    name = f.text_of(item, "id")
    # Not base_currency: an auction's book BTCAUCTION-USD says BTC there.
    base_id, dash, quote_id = name.partition("-")
    if not dash or not quote_id:
        raise f.OddInstrument(f"id: expected BASE-QUOTE, found {name!r}")
    return _spot(venue_kind, item, name, base_id, quote_id, tick=item.get("quote_increment"),
                 min_notional=item.get("min_market_funds"), max_notional=None)


def _advanced(venue_kind, item):
    name = f.text_of(item, "product_id")
    product_type = f.text_of(item, "product_type", default="SPOT")
    if product_type == "FUTURE":
        return _contract(venue_kind, item, name)
    if product_type != "SPOT":
        raise f.OddInstrument(f"product_type: expected SPOT or FUTURE, found {product_type!r}")
    return _spot(venue_kind, item, name, f.text_of(item, "base_currency_id"), f.text_of(item, "quote_currency_id"),
                 tick=item.get("price_increment") or item.get("quote_increment"), min_notional=item.get("quote_min_size"),
                 max_notional=item.get("quote_max_size"), alias_of=f.text_of(item, "alias", default=""))


def _spot(venue_kind, item, name, base_id, quote_id, *, tick, min_notional, max_notional, alias_of=""):
    base, quote = _asset(base_id), _asset(quote_id)
    return f.InstrumentFacts(
        symbol=f.unified_symbol(base, quote), base=base, quote=quote, kind="spot", alias_of=alias_of,
        min_notional=f.limit(min_notional, "minimum notional"), max_notional=f.limit(max_notional, "maximum notional"),
        **_common(venue_kind, item, name, tick))


def _contract(venue_kind, item, name):
    details = item.get("future_product_details")
    if not isinstance(details, dict):
        raise f.OddInstrument(f"future_product_details: expected an object, found {type(details).__name__}")
    base, quote = _asset(f.text_of(details, "contract_root_unit")), _asset(f.text_of(item, "quote_currency_id"))
    # Perpetual-style futures of the United States are listed as expiring, with a date far away and a funding interval.
    perpetual = (details.get("contract_expiry_type") == "PERPETUAL" or bool(details.get("funding_interval"))
                 or str(item.get("display_name") or "").endswith("PERP"))
    expiry_ns = 0 if perpetual else _time(f.text_of(details, "contract_expiry"))
    return f.InstrumentFacts(
        symbol=f.unified_symbol(base, quote, quote, expiry_ns), base=base, quote=quote, settle=quote, linear=True,
        kind="swap" if perpetual else "future", expiry_ns=expiry_ns,
        contract_size=f.increment(details.get("contract_size"), "contract_size"),
        **_common(venue_kind, item, name, item.get("price_increment") or item.get("quote_increment")))


def _common(venue_kind, item, name, tick):
    tick_size, step = f.increment(tick, "price increment"), f.increment(item.get("base_increment"), "base_increment")
    status, word = _status(item)
    return dict(venue_kind=venue_kind, venue_symbol=name, ws_symbol=name, tick_size=tick_size, lot_size=step, order_qty_step=step,
                min_qty=f.limit(item.get("base_min_size"), "base_min_size"),
                max_qty=f.limit(item.get("base_max_size"), "base_max_size"), price_decimals=f.decimals_of(tick_size),
                qty_decimals=f.decimals_of(step), status=status, venue_status=word)


def _status(item):
    """(status, the venue's words): flags come beside the status word; the strictest counts."""
    word = str(item.get("status") or "")
    flags = [name for name in ("trading_disabled", "is_disabled", "view_only", "cancel_only", "auction_mode", "post_only",
                               "limit_only") if item.get(name) is True]
    words = " ".join([word, *flags])
    if word == "delisted":
        return "DELISTED", words
    for name, status in (("trading_disabled", "HALTED"), ("is_disabled", "HALTED"), ("view_only", "HALTED"),
                         ("cancel_only", "CANCEL_ONLY"), ("auction_mode", "AUCTION"), ("post_only", "POST_ONLY"),
                         ("limit_only", "LIMIT_ONLY")):
        if name in flags:
            return status, words
    return {"online": "TRADING", "offline": "HALTED", "internal": "HALTED"}.get(word, "UNKNOWN"), words


def _time(text):
    try:
        return int(datetime.fromisoformat(text).timestamp()) * 10 ** 9
    except ValueError:
        raise f.OddInstrument(f"contract_expiry: expected an ISO time, found {text[:40]!r}") from None


def _asset(name):
    return f.asset_name(name, ASSETS)
