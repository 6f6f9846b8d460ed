"""Facts against ccxt's markets, made of the same recorded bodies, instrument by instrument and field by field.

Where the two differ on purpose, DIFFERENCES says how often and why; one more or one less fails.
"""
import json
from collections import Counter
from decimal import Decimal

import pytest

from required import require_package
from tickpathd.instruments.venues import parse_bodies

ccxt = require_package("ccxt", "research")

CAPTURES = {
    "binance_spot 2021-08": ("binance_spot", "ws/binance_spot/cryptofeed_BINANCE_20210814.jsonl.zst", "", 1589),
    "binance_spot 2021-10": ("binance_spot", "ws/binance_spot/cryptofeed_BINANCE_20211012.jsonl.zst", "", 1695),
    "binance_us": ("binance_spot", "ws/binance_spot/cryptofeed_BINANCE_US_20211012.jsonl.zst", "", 121),
    "binance_spot sample": ("binance_spot", "rest/binance/nautilus_samples.jsonl.gz", "http_spot_market_exchange_info", 2),
    "binance_usdm": ("binance_usdm", "ws/binance_usdm/cryptofeed_BINANCE_FUTURES_20210722.jsonl.zst", "", 122),
    "binance_usdm sample": ("binance_usdm", "rest/binance/nautilus_samples.jsonl.gz", "http_futures_market_exchange_info", 3),
    "binance_coinm": ("binance_coinm", "ws/binance_coinm/cryptofeed_BINANCE_DELIVERY_20210722.jsonl.zst", "", 36),
    "coinbase": ("coinbase", "ws/coinbase/cryptofeed_COINBASE_20260809.jsonl.zst", "", 920),
    "coinbase sample": ("coinbase", "rest/coinbase/nautilus_samples.jsonl.gz", "http_products", 2),
    "coinbase_exchange": ("coinbase_exchange", "ws/coinbase/cryptofeed_COINBASE_EXCHANGE_20210417.jsonl.zst", "", 162),
    "kraken": ("kraken", "ws/kraken/cryptofeed_KRAKEN_20210417.jsonl.zst", "", 304),
    "kraken sample": ("kraken", "rest/kraken/nautilus_samples.jsonl.gz", "http_asset_pairs", 2),
    "okx 2021": ("okx", "ws/okx/cryptofeed_OKEX_20210722.jsonl.zst", "", 1134),
    "okx 2022": ("okx", "ws/okx/cryptofeed_OKX_20220513.jsonl.zst", "", 1479),
    "okx sample": ("okx", "rest/okx/nautilus_samples.jsonl.gz", "http_get_instruments", 18),
    "bybit": ("bybit", "ws/bybit/cryptofeed_BYBIT_20260809.jsonl.zst", "", 1357),
    "bybit sample": ("bybit", "rest/bybit/nautilus_samples.jsonl.gz", "http_get_instruments", 8),
}
MULTIPLIER = "ccxt leaves ctMult out: an OKX contract is ctVal x ctMult"
MARKET_SIZE = "ccxt takes maxMktSz, a quantity of market orders, for a notional of all"
REMOVED = "ccxt leaves out limits that Coinbase Exchange had until 2022-06-30"
# {(case, field): (how many, why)}
DIFFERENCES = {
    ("coinbase_exchange", "min_qty"): (162, REMOVED),
    ("coinbase_exchange", "max_qty"): (162, REMOVED),
    ("kraken", "symbol"): (15, "11 dark pools and 4 pairs of the first REP token share ccxt's symbol with another instrument"),
    ("kraken", "base"): (4, "the first REP token is REPV1 under its newer name REP, but REP under its older name XREP in ccxt"),
    ("okx 2021", "contract_size"): (214, MULTIPLIER),
    ("okx 2022", "contract_size"): (346, MULTIPLIER),
    ("okx 2022", "max_notional"): (513, MARKET_SIZE),
    ("okx sample", "contract_size"): (4, MULTIPLIER),
    ("okx sample", "max_notional"): (5, MARKET_SIZE),
    ("bybit sample", "contract_size"): (1, "ccxt takes the least order quantity of an inverse contract for its size"),
}


def number(value):
    """A number of either side, exactly; None for a limit that is not stated."""
    return None if value in (None, "", "0") or not Decimal(str(value)) else Decimal(str(value))


def exchange(name):
    made = getattr(ccxt, name)()
    made.number = str          # ccxt's own switch: numbers stay text, so that the comparison is exact
    return made


def binance_markets(bodies):
    judge = exchange("binance")
    judge.options["crossMarginPairsData"] = judge.options["isolatedMarginPairsData"] = []
    return judge, [judge.parse_market(item) for body in bodies for item in body["symbols"]]


def coinbase_markets(bodies):
    judge = exchange("coinbase")
    return judge, [judge.parse_spot_market(item, {}) for body in bodies for item in body["products"]]


def okx_markets(bodies):
    judge = exchange("okx")
    return judge, judge.parse_markets([item for body in bodies for item in body["data"]])


def fetched_markets(name, method, fetch):
    """Markets of an exchange whose parser is part of its fetch: the request is answered with the recorded body."""
    def markets(bodies):
        judge, found = exchange(name), []
        for body in bodies:
            setattr(judge, method, lambda *_, answer=body: answer)
            found += fetch(judge, body)
        return judge, found
    return markets


def bybit_fetch(judge, body):
    item = body["result"]["list"][0]
    if "optionsType" in item:
        return judge.fetch_option_markets({})
    if "contractType" not in item:
        return judge.fetch_spot_markets({})
    category = "linear" if item["contractType"].startswith("Linear") else "inverse"
    answer = {"result": {**body["result"], "category": category}}
    answers = [answer, {"result": {}}]         # the second request is for contracts before their launch
    judge.publicGetV5MarketInstrumentsInfo = lambda *_: answers.pop(0)
    answer["result"].pop("nextPageCursor", None)
    return judge.fetch_future_markets({})


JUDGES = {
    "binance_spot": binance_markets, "binance_usdm": binance_markets, "binance_coinm": binance_markets,
    "coinbase": coinbase_markets, "okx": okx_markets,
    "coinbase_exchange": fetched_markets("coinbaseexchange", "publicGetProducts", lambda judge, _: judge.fetch_markets()),
    "kraken": fetched_markets("kraken", "publicGetAssetPairs", lambda judge, _: judge.fetch_markets()),
    "bybit": fetched_markets("bybit", "publicGetV5MarketInstrumentsInfo", bybit_fetch),
}


def as_ccxt_says(market):
    limits = market["limits"]
    return {
        "symbol": market["symbol"], "kind": market["type"], "base": market["base"], "quote": market["quote"],
        "settle": market["settle"] or "", "linear": bool(market["linear"]), "inverse": bool(market["inverse"]),
        "contract_size": number(market["contractSize"]) or Decimal(1), "tick_size": number(market["precision"]["price"]),
        "order_qty_step": number(market["precision"]["amount"]), "min_qty": number(limits["amount"]["min"]),
        "max_qty": number(limits["amount"]["max"]), "min_notional": number(limits["cost"]["min"]),
        "max_notional": number(limits["cost"]["max"]), "expiry_ns": (market["expiry"] or 0) * 1_000_000,
        "strike": number(market["strike"]), "option_side": market["optionType"] or "", "active": bool(market["active"]),
    }


def as_we_say(one):
    says = {name: getattr(one, name) for name in ("symbol", "kind", "base", "quote", "settle", "linear", "inverse", "expiry_ns",
                                                  "option_side")}
    says |= {name: number(getattr(one, name)) for name in ("contract_size", "tick_size", "order_qty_step", "min_qty", "max_qty",
                                                           "min_notional", "max_notional", "strike")}
    # ccxt knows active or not; a restriction to certain orders is still active there.
    return says | {"active": one.status in ("TRADING", "LIMIT_ONLY", "POST_ONLY", "AUCTION")}


@pytest.mark.parametrize("case", CAPTURES)
def test_every_recorded_instrument_is_what_ccxt_makes_of_it(case, recorded_bodies):
    kind, path, named, count = CAPTURES[case]
    bodies = [b for b in recorded_bodies(path, named) if case != "okx sample" or b'"arg"' not in b]
    table = parse_bodies(kind, bodies)
    judge, markets = JUDGES[kind]([json.loads(body) for body in bodies])
    judge.set_markets(markets)
    theirs = {(m["id"], m["type"]): m for m in markets}
    assert len(table.facts) == len(theirs) == count
    assert table.skipped == ()
    found = Counter()
    for one in table.facts:
        market = theirs[one.venue_symbol, one.kind]
        expected, said = as_ccxt_says(market), as_we_say(one)
        found.update(name for name in expected if said[name] != expected[name])
    assert found == {field: n for (where, field), (n, _) in DIFFERENCES.items() if where == case}
