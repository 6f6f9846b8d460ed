"""Instruments of OKX: /api/v5/public/instruments, one body per instType (per underlying for options).

    {"code": "0", "data": [{"instId": "BTC-USD-241217-92000-C", "instType": "OPTION", "uly": "BTC-USD", "settleCcy": "BTC",
      "ctVal": "1", "ctMult": "0.01", "tickSz": "0.0001", "lotSz": "1", "minSz": "1", "maxLmtSz": "1000000", "stk": "92000",
      "optType": "C", "expTime": "1734422400000", "state": "live"}], "msg": ""}

A contract is ctVal x ctMult of ctValCcy: BTC options are 0.01 BTC, not 1. An option's tickSz is the smallest of its tick
bands. Fields and state words: okx.com docs-v5 "Get instruments" (seen 2026-11-21).
"""
from tickpathd.instruments import facts as f

REST_URLS = {"okx": "https://www.okx.com"}
KINDS = {"okx": f.KINDS}
TYPES = {"SPOT": "spot", "SWAP": "swap", "FUTURES": "future", "OPTION": "option"}
STATUS = {
    "live": "TRADING", "post_only": "POST_ONLY", "suspend": "HALTED", "rebase": "HALTED", "preopen": "HALTED", "test": "HALTED",
    "settling": "HALTED", "expired": "DELISTED",
}
UNDERLYINGS_MAX = 64
# Spot books hold quantities finer than lotSz: FUN-BTC showed 3055.18631369 under a lotSz of 0.01 (recorded 2021-07-22).
SPOT_DATA_LOT = "0.00000001"
# OKX's own ticker of the first (ERC-20) form of the asset; the rest as everywhere.
ASSETS = {"AE": "AET"}


def collect(venue_kind, get, kinds):
    """Yields the bodies that hold the instruments. get(path, parameters) -> bytes."""
    for inst_type, kind in TYPES.items():
        if kind not in kinds:
            continue
        if kind != "option":
            yield get("/api/v5/public/instruments", {"instType": inst_type})
            continue
        underlyings = [name for group in _data(venue_kind, get("/api/v5/public/underlying", {"instType": inst_type}))
                       for name in (group if isinstance(group, list) else [group])]
        if len(underlyings) > UNDERLYINGS_MAX:
            raise f.BodyError(f"{venue_kind} instruments: expected at most {UNDERLYINGS_MAX} underlyings, "
                              f"found {len(underlyings)}")
        for name in underlyings:
            yield get("/api/v5/public/instruments", {"instType": inst_type, "uly": str(name)})


def parse(venue_kind, body):
    """InstrumentTable of one instruments body. Raises BodyError."""
    return f.parse_each(_data(venue_kind, body), lambda item: item.get("instId"), lambda item: _one(venue_kind, item))


def _data(venue_kind, body):
    data = f.decode_body(body, venue_kind)
    if not isinstance(data, dict) or data.get("code") not in ("0", 0, None) or not isinstance(data.get("data"), list):
        found = f"code {data.get('code')}, {data.get('msg')!r}" if isinstance(data, dict) else type(data).__name__
        raise f.BodyError(f'{venue_kind} instruments: expected code 0 and "data", found {str(found)[:200]!r}')
    return data["data"]


def _one(venue_kind, item):
    name, inst_type = f.text_of(item, "instId"), f.text_of(item, "instType")
    if inst_type not in TYPES:
        raise f.OddInstrument(f"instType: expected one of {list(TYPES)}, found {inst_type!r}")
    kind = TYPES[inst_type]
    # Contracts name their assets in the underlying only; a spot pair before its opening has them in its name only.
    pair = f.text_of(item, "uly", default=name) if kind != "spot" else name
    base, quote = (_asset(part) for part in (pair.split("-") + ["", ""])[:2])
    settle, expiry_ns, strike, side, size = "", 0, "", "", "1"
    linear = inverse = False
    if kind == "spot":
        base, quote = _asset(f.text_of(item, "baseCcy", default=base)), _asset(f.text_of(item, "quoteCcy", default=quote))
    else:
        settle = _asset(f.text_of(item, "settleCcy"))
        value, times = f.number(item.get("ctVal"), "ctVal"), f.number(item.get("ctMult") or "1", "ctMult")
        size = f.increment(f.Decimal(value) * f.Decimal(times), "ctVal x ctMult")
        linear, inverse = settle == quote, settle == base
    if kind in ("future", "option"):
        expiry_ns = f.milliseconds(item.get("expTime"), "expTime")
    if kind == "option":
        strike = f.number(item.get("stk"), "stk")
        side = {"C": "call", "P": "put"}.get(item.get("optType"), "")
        if not side:
            raise f.OddInstrument(f"optType: expected C or P, found {item.get('optType')!r}")
    tick_size, step = f.increment(item.get("tickSz"), "tickSz"), f.increment(item.get("lotSz"), "lotSz")
    lot_size = f.finer(step, SPOT_DATA_LOT) if kind == "spot" else step
    word = f.text_of(item, "state", default="")
    return f.InstrumentFacts(
        venue_kind=venue_kind, symbol=f.unified_symbol(base, quote, settle, expiry_ns, strike, side), venue_symbol=name,
        ws_symbol=name, base=base, quote=quote, settle=settle, kind=kind, linear=linear, inverse=inverse, contract_size=size,
        tick_size=tick_size, lot_size=lot_size, order_qty_step=step, min_qty=f.limit(item.get("minSz"), "minSz"),
        max_qty=f.limit(item.get("maxLmtSz"), "maxLmtSz"),
        price_decimals=f.decimals_of(tick_size), qty_decimals=f.decimals_of(lot_size),
        status=STATUS.get(word, "UNKNOWN"), venue_status=word, expiry_ns=expiry_ns, strike=strike, option_side=side)


def _asset(name):
    return f.asset_name(name, ASSETS)
