"""Instruments of Kraken spot: /0/public/AssetPairs, in the classic names and in the newer ones (assetVersion=1).

    {"error": [], "result": {"XXBTZUSD": {"altname": "XBTUSD", "wsname": "XBT/USD", "base": "XXBT", "quote": "ZUSD",
      "pair_decimals": 1, "lot_decimals": 8, "tick_size": "0.1", "ordermin": "0.00005", "costmin": "0.5", "status": "online"}}}
    {"error": [], "result": {"BTC/USD": {"altname": "XBTUSD", "wsname": "XBT/USD", "base": "BTC", "quote": "USD", …}}}

An instrument has up to five names: XXBTZUSD (key), XBTUSD (altname), XBT/USD (streams v1), BTC/USD (streams v2) and the
unified one. Streams v2 renamed XBT to BTC and XDG to DOGE and nothing else. Fields and status words: docs.kraken.com "Get
Tradable Asset Pairs"; the streams' `instrument` channel and FIX know further words (seen 2026-11-21).
"""
from tickpathd.instruments import facts as f

REST_URLS = {"kraken": "https://api.kraken.com"}
KINDS = {"kraken": ("spot",)}
STATUS = {
    "online": "TRADING", "cancel_only": "CANCEL_ONLY", "post_only": "POST_ONLY", "limit_only": "LIMIT_ONLY",
    # Only orders that reduce a margin position are taken: spot trading cannot tell, so it stays out.
    "reduce_only": "CANCEL_ONLY", "maintenance": "HALTED", "work_in_progress": "HALTED", "delisted": "DELISTED",
}
RENAMED_IN_V2 = {"XBT": "BTC", "XDG": "DOGE"}
# Unified names of Kraken's assets where they differ: ccxt's, but for XREP, which ccxt 4.5.90 takes for the second token of
# that name. The four-letter ones carry the X (asset) or Z (currency) that Kraken put before its first listings; the others
# were renamed by their projects.
ASSETS = {
    "XXBT": "BTC", "XDG": "DOGE", "XXDG": "DOGE", "XETC": "ETC", "XETH": "ETH", "XLTC": "LTC", "XMLN": "MLN",
    "XXLM": "XLM", "XXMR": "XMR", "XXRP": "XRP", "XZEC": "ZEC", "XREP": "REPV1", "ZAUD": "AUD", "ZCAD": "CAD", "ZEUR": "EUR",
    "ZGBP": "GBP", "ZJPY": "JPY", "ZUSD": "USD", "LUNA": "LUNC", "LUNA2": "LUNA", "REPV2": "REP", "REP": "REPV1",
    "UST": "USTC", "FEE": "KFEE",
}


def collect(venue_kind, get, kinds):
    """Yields the bodies that hold the instruments. get(path, parameters) -> bytes."""
    yield get("/0/public/AssetPairs", {})


def parse(venue_kind, body):
    """InstrumentTable of one AssetPairs body. Raises BodyError."""
    data = f.decode_body(body, venue_kind)
    if not isinstance(data, dict) or data.get("error") or not isinstance(data.get("result"), dict):
        found = (data.get("error") or sorted(data)[:5]) if isinstance(data, dict) else type(data).__name__
        raise f.BodyError(f'{venue_kind} instruments: expected an AssetPairs body with "result", found {str(found)[:200]!r}')
    items = [{**pair, "": key} if isinstance(pair, dict) else {"": key} for key, pair in data["result"].items()]
    return f.parse_each(items, lambda item: item[""], lambda item: _one(venue_kind, item))


def _one(venue_kind, item):
    key, altname = item[""], f.text_of(item, "altname")
    base_id, quote_id = f.text_of(item, "base"), f.text_of(item, "quote")
    base, quote = _asset(base_id), _asset(quote_id)
    symbol = f.unified_symbol(base, quote)
    v1 = f.text_of(item, "wsname", default="")
    v2 = "/".join(RENAMED_IN_V2.get(part, part) for part in v1.split("/"))
    if not v1:
        # Dark pools trade the same assets in a book that nobody sees; their keys end in .d and they have no stream.
        suffix = key.partition(".")[2]
        symbol, v2 = (f"{symbol}.{suffix}" if suffix else symbol), key
    elif ":" in key:
        # Another execution venue's book of the same pair: its key stays its name.
        symbol = key.replace(":", "@")
    decimals, lot_decimals = item.get("pair_decimals"), item.get("lot_decimals")
    written_price = f.power_of_ten(decimals, "pair_decimals")
    step = f.power_of_ten(lot_decimals, "lot_decimals")
    # Bodies from before tick_size existed leave the price to its decimals.
    tick_size = f.increment(item.get("tick_size") or written_price, "tick_size")
    word = f.text_of(item, "status", default="")
    return f.InstrumentFacts(
        venue_kind=venue_kind, symbol=symbol, venue_symbol=key, ws_symbol=v2, ws_symbol_v1=v1,
        aliases=tuple(name for name in (altname,) if name != key), base=base, quote=quote, kind="spot",
        tick_size=tick_size, lot_size=step, order_qty_step=step, min_qty=f.limit(item.get("ordermin"), "ordermin"),
        min_notional=f.limit(item.get("costmin"), "costmin"), price_decimals=decimals, qty_decimals=lot_decimals,
        status=STATUS.get(word, "UNKNOWN"), venue_status=word)


def _asset(name):
    """XXBT -> BTC, ADA.M -> ADA.M (a suffix marks another form of holding, not another asset's X or Z)."""
    stem, dot, suffix = name.partition(".")
    return f.asset_name(stem, ASSETS) + dot + suffix
