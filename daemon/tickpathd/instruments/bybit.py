"""Instruments of Bybit: /v5/market/instruments-info, categories spot, linear, inverse and option, paged by cursor.

    {"retCode": 0, "result": {"category": "linear", "list": [{"symbol": "BTCUSDT", "contractType": "LinearPerpetual",
      "status": "Trading", "baseCoin": "BTC", "quoteCoin": "USDT", "settleCoin": "USDT", "deliveryTime": "0", "priceScale": "2",
      "priceFilter": {"tickSize": "0.10"}, "lotSizeFilter": {"qtyStep": "0.001", "minOrderQty": "0.001", "maxOrderQty": "1190",
      "minNotionalValue": "5"}}], "nextPageCursor": ""}}

Symbols are unique in their category only: BTCUSDT is a spot pair and a perpetual. Fields, status words and phases of the
pre-market: bybit-exchange.github.io/docs/v5/market/instrument and /v5/enum (seen 2026-11-21).
"""
from tickpathd.instruments import facts as f

REST_URLS = {"bybit": "https://api.bybit.com"}
KINDS = {"bybit": f.KINDS}
PAGE_INSTRUMENTS = 1000
PAGES_MAX = 100
CONTRACTS = {"LinearPerpetual": "swap", "InversePerpetual": "swap", "LinearFutures": "future", "InverseFutures": "future"}
STATUS = {"Trading": "TRADING", "PreLaunch": "HALTED", "PendingOpen": "HALTED", "Settling": "HALTED", "Delivering": "HALTED",
          "Closed": "DELISTED"}
PHASES = {"NotStarted": "HALTED", "CallAuction": "AUCTION", "CallAuctionNoCancel": "AUCTION", "CrossMatching": "HALTED",
          "ContinuousTrading": "TRADING", "Finished": "DELISTED"}


def collect(venue_kind, get, kinds):
    """Yields the bodies that hold the instruments. get(path, parameters) -> bytes."""
    contracts = bool({"swap", "future"} & set(kinds))
    # Contracts in their pre-market are listed on demand only.
    queries = [{"category": "spot"}] * ("spot" in kinds)
    queries += [{"category": "linear"}, {"category": "linear", "status": "PreLaunch"}, {"category": "inverse"}] * contracts
    # Without a base coin options are BTC's only.
    queries += [{"category": "option", "baseCoin": "All"}] * ("option" in kinds)
    for query in queries:
        cursor = ""
        for _ in range(PAGES_MAX):
            parameters = {**query, "limit": PAGE_INSTRUMENTS, **({"cursor": cursor} if cursor else {})}
            body = get("/v5/market/instruments-info", parameters)
            yield body
            cursor = _result(venue_kind, body).get("nextPageCursor") or ""
            if not cursor:
                break
        else:
            raise f.BodyError(f"{venue_kind} instruments: expected at most {PAGES_MAX} pages of {query}, found more")


def parse(venue_kind, body):
    """InstrumentTable of one page. Raises BodyError."""
    return f.parse_each(_result(venue_kind, body)["list"], lambda item: item.get("symbol"), lambda item: _one(venue_kind, item))


def _result(venue_kind, body):
    data = f.decode_body(body, venue_kind)
    result = data.get("result") if isinstance(data, dict) else None
    if not isinstance(result, dict) or data.get("retCode") != 0 or not isinstance(result.get("list"), list):
        found = f"retCode {data.get('retCode')}, {data.get('retMsg')!r}" if isinstance(data, dict) else type(data).__name__
        raise f.BodyError(f'{venue_kind} instruments: expected retCode 0 and "result.list", found {str(found)[:200]!r}')
    return result


def _one(venue_kind, item):
    # Each category has a field of its own; the category itself stands outside the list, and not in every body.
    if "optionsType" in item:
        return _option(venue_kind, item)
    return _contract(venue_kind, item) if "contractType" in item else _spot(venue_kind, item)


def _spot(venue_kind, item):
    base, quote = _asset(f.text_of(item, "baseCoin")), _asset(f.text_of(item, "quoteCoin"))
    lots = _part(item, "lotSizeFilter")
    return f.InstrumentFacts(
        symbol=f.unified_symbol(base, quote), base=base, quote=quote, kind="spot",
        min_notional=f.limit(lots.get("minOrderAmt"), "minOrderAmt"),
        max_notional=f.limit(lots.get("maxOrderAmt"), "maxOrderAmt"),
        **_common(venue_kind, item, lots, "basePrecision"))


def _contract(venue_kind, item):
    base, quote = _asset(f.text_of(item, "baseCoin")), _asset(f.text_of(item, "quoteCoin"))
    word = f.text_of(item, "contractType")
    if word not in CONTRACTS:
        raise f.OddInstrument(f"contractType: expected one of {list(CONTRACTS)}, found {word!r}")
    linear = word.startswith("Linear")
    settle = _asset(f.text_of(item, "settleCoin", default=quote if linear else base))
    if linear and settle == "USD":
        # Early USDC perpetuals say USD and settle in USDC.
        settle = "USDC"
    # A perpetual has a delivery time too once its delisting is announced: only dated contracts expire.
    expiry_ns = f.milliseconds(item.get("deliveryTime"), "deliveryTime") if CONTRACTS[word] == "future" else 0
    lots = _part(item, "lotSizeFilter")
    return f.InstrumentFacts(
        symbol=f.unified_symbol(base, quote, settle, expiry_ns), base=base, quote=quote, settle=settle, kind=CONTRACTS[word],
        linear=linear, inverse=not linear, expiry_ns=expiry_ns,
        # Linear quantities are in the base asset, inverse ones in dollars of the quote: a contract is 1 of either. For
        # inverse contracts Bybit documents no least notional.
        min_notional=f.limit(lots.get("minNotionalValue"), "minNotionalValue") if linear else "",
        **_common(venue_kind, item, lots, "qtyStep"))


def _option(venue_kind, item):
    name = f.text_of(item, "symbol")
    base, quote, settle = (_asset(f.text_of(item, key)) for key in ("baseCoin", "quoteCoin", "settleCoin"))
    parts = name.split("-")
    side = {"Call": "call", "Put": "put"}.get(item.get("optionsType"), "")
    if len(parts) < 4 or not side:
        raise f.OddInstrument(f"expected BASE-DATE-STRIKE-C|P and optionsType Call or Put, found {name!r} and "
                              f"{item.get('optionsType')!r}")
    strike, expiry_ns = f.number(parts[2], "strike"), f.milliseconds(item.get("deliveryTime"), "deliveryTime")
    return f.InstrumentFacts(
        symbol=f.unified_symbol(base, quote, settle, expiry_ns, strike, side), base=base, quote=quote, settle=settle,
        kind="option", linear=settle != base, inverse=settle == base, expiry_ns=expiry_ns, strike=strike, option_side=side,
        **_common(venue_kind, item, _part(item, "lotSizeFilter"), "qtyStep"))


def _common(venue_kind, item, lots, step_key):
    name = f.text_of(item, "symbol")
    tick_size = f.increment(_part(item, "priceFilter").get("tickSize"), "tickSize")
    step = f.increment(lots.get(step_key), step_key)
    status, word = _status(item)
    return dict(venue_kind=venue_kind, venue_symbol=name, ws_symbol=name, tick_size=tick_size, lot_size=step, order_qty_step=step,
                min_qty=f.limit(lots.get("minOrderQty"), "minOrderQty"),
                # maxOrderQty is the older name; where both stand, the newer one speaks of limit orders.
                max_qty=f.limit(lots.get("maxLimitOrderQty", lots.get("maxOrderQty")), "maxOrderQty"),
                price_decimals=f.decimals_of(tick_size), qty_decimals=f.decimals_of(step), status=status, venue_status=word)


def _status(item):
    """(status, the venue's words). A contract in its pre-market is PreLaunch in every phase, also while it trades."""
    word = f.text_of(item, "status", default="")
    info = item.get("preListingInfo")
    if word == "PreLaunch" and isinstance(info, dict) and info.get("curAuctionPhase"):
        phase = str(info["curAuctionPhase"])
        return PHASES.get(phase, "UNKNOWN"), f"{word} {phase}"
    return STATUS.get(word, "UNKNOWN"), word


def _part(item, key):
    part = item.get(key)
    if not isinstance(part, dict):
        raise f.OddInstrument(f"{key}: expected an object, found {type(part).__name__}")
    return part


def _asset(name):
    return f.asset_name(name, {})
