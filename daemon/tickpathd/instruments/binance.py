"""Instruments of Binance: spot /api/v3/exchangeInfo, USD-M /fapi/v1/exchangeInfo, COIN-M /dapi/v1/exchangeInfo.

    {"symbols": [{"symbol": "BTCUSDT", "status": "TRADING", "baseAsset": "BTC", "quoteAsset": "USDT", "baseAssetPrecision": 8,
      "filters": [{"filterType": "PRICE_FILTER", "tickSize": "0.01000000", …}, {"filterType": "LOT_SIZE", "stepSize": …}]}]}

Fields and status words: developers.binance.com, spot "Filters" and "ENUM definitions", USD-M and COIN-M "Common Definition"
(seen 2026-11-21). TRADING_HALT and TRADING_CANCEL_ONLY are the derivatives' newer words; SETTLING is how a delisted
perpetual stays in the list.
"""
from tickpathd.instruments import facts as f

REST_URLS = {"binance_spot": "https://api.binance.com", "binance_usdm": "https://fapi.binance.com",
             "binance_coinm": "https://dapi.binance.com"}
PATHS = {"binance_spot": "/api/v3/exchangeInfo", "binance_usdm": "/fapi/v1/exchangeInfo",
         "binance_coinm": "/dapi/v1/exchangeInfo"}
KINDS = {"binance_spot": ("spot",), "binance_usdm": ("swap", "future"), "binance_coinm": ("swap", "future")}

STATUS = {
    "TRADING": "TRADING", "AUCTION_MATCH": "AUCTION", "TRADING_CANCEL_ONLY": "CANCEL_ONLY",
    "CANCEL_ONLY": "CANCEL_ONLY",
    "PRE_TRADING": "HALTED", "POST_TRADING": "HALTED", "END_OF_DAY": "HALTED", "HALT": "HALTED", "BREAK": "HALTED",
    "PENDING_TRADING": "HALTED", "TRADING_HALT": "HALTED", "PRE_DELIVERING": "HALTED", "PRE_SETTLE": "HALTED",
    "DELIVERING": "DELISTED", "DELIVERED": "DELISTED", "SETTLING": "DELISTED", "CLOSE": "DELISTED",
}
# The delivery date that stands for "never" (2100-12-25); some perpetuals have no contract type beside it.
NEVER_MS = 4133404800000
# ccxt's names where Binance's differ.
ASSETS = {"YOYO": "YOYOW"}


def collect(venue_kind, get, kinds):
    """Yields the bodies that hold the instruments. get(path, parameters) -> bytes."""
    yield get(PATHS[venue_kind], {})


def parse(venue_kind, body):
    """InstrumentTable of one exchangeInfo body. Raises BodyError."""
    data = f.decode_body(body, venue_kind)
    if not isinstance(data, dict) or not isinstance(data.get("symbols"), list):
        found = data.get("msg", sorted(data)[:5]) if isinstance(data, dict) else type(data).__name__
        raise f.BodyError(f'{venue_kind} instruments: expected an exchangeInfo body with "symbols", found {str(found)[:200]!r}')
    return f.parse_each(data["symbols"], lambda item: item.get("symbol"), lambda item: _one(venue_kind, item))


def _one(venue_kind, item):
    base_id, quote_id = f.text_of(item, "baseAsset"), f.text_of(item, "quoteAsset")
    base, quote = _asset(base_id), _asset(quote_id)
    filters = {entry.get("filterType"): entry for entry in item.get("filters") or () if isinstance(entry, dict)}
    if venue_kind == "binance_spot":
        kind, settle, expiry_ns = "spot", "", 0
        # Numbers in spot messages always carry the asset's full precision, whatever the increments are.
        price_decimals, qty_decimals = item.get("quoteAssetPrecision", item.get("quotePrecision")), item.get("baseAssetPrecision")
    else:
        kind, expiry_ns = _contract(item)
        settle = _asset(f.text_of(item, "marginAsset"))
        price_decimals, qty_decimals = item.get("pricePrecision"), item.get("quantityPrecision")
    written_price = f.power_of_ten(price_decimals, "price precision")
    written_qty = f.power_of_ten(qty_decimals, "quantity precision")
    price, lot = _filter(filters, "PRICE_FILTER"), _filter(filters, "LOT_SIZE")
    # An increment of 0 switches the rule off: then only the number of decimals binds.
    tick_size = f.increment(f.limit(price.get("tickSize"), "PRICE_FILTER.tickSize") or written_price, "PRICE_FILTER.tickSize")
    step = f.increment(f.limit(lot.get("stepSize"), "LOT_SIZE.stepSize") or written_qty, "LOT_SIZE.stepSize")
    notional = [filters[name] for name in ("MIN_NOTIONAL", "NOTIONAL") if name in filters]
    floors = [f.limit(entry.get("minNotional", entry.get("notional")), "minimum notional") for entry in notional]
    ceilings = [f.limit(entry.get("maxNotional"), "maximum notional") for entry in notional]
    word = f.text_of(item, "status", "contractStatus", default="")
    return f.InstrumentFacts(
        venue_kind=venue_kind, venue_symbol=f.text_of(item, "symbol"), ws_symbol=f.text_of(item, "symbol"),
        symbol=f.unified_symbol(base, quote, settle, expiry_ns), base=base, quote=quote, settle=settle, kind=kind,
        linear=bool(settle) and settle == quote, inverse=bool(settle) and settle == base,
        contract_size=f.increment(item.get("contractSize", 1), "contractSize"),
        # The book may show quantities of an older, finer step than orders must keep today.
        tick_size=tick_size, lot_size=f.finer(step, written_qty), order_qty_step=step,
        min_qty=f.limit(lot.get("minQty"), "LOT_SIZE.minQty"), max_qty=f.limit(lot.get("maxQty"), "LOT_SIZE.maxQty"),
        min_notional=max(floors, key=_value, default=""), max_notional=next(filter(None, ceilings), ""),
        price_decimals=price_decimals, qty_decimals=qty_decimals,
        status=STATUS.get(word, "UNKNOWN"), venue_status=word, expiry_ns=expiry_ns)


def _contract(item):
    """(kind, expiry_ns). PERPETUAL, TRADIFI_PERPETUAL and "PERPETUAL DELIVERING" are swaps, the rest delivers on a date."""
    word = str(item.get("contractType") or "")
    if "PERPETUAL" in word or item.get("deliveryDate") == NEVER_MS:
        return "swap", 0
    return "future", f.milliseconds(item.get("deliveryDate"), "deliveryDate")


def _filter(filters, name):
    if name not in filters:
        raise f.OddInstrument(f"filters: expected {name}, found {sorted(map(str, filters)) or 'none'}")
    return filters[name]


def _value(text):
    return f.Decimal(text or 0)


def _asset(name):
    return f.asset_name(name, ASSETS)
