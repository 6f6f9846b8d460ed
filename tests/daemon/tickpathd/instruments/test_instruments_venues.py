"""All venues alike: error bodies, junk in any field, and recorded numbers against the grids of the facts."""
import json
from collections import Counter
from decimal import Decimal

import pytest

from tickpath.capture import read_capture
from tickpathd.instruments.facts import BodyError, InstrumentError
from tickpathd.instruments.symbols import SymbolMap
from tickpathd.instruments.venues import VENUE_KINDS, default_rest_url, parse_bodies


def binance_symbol(**fields):
    return {"symbol": "BTCUSDT", "status": "TRADING", "baseAsset": "BTC", "baseAssetPrecision": 8, "quoteAsset": "USDT",
            "quotePrecision": 8, "quoteAssetPrecision": 8, "filters": [
                {"filterType": "PRICE_FILTER", "minPrice": "0.01000000", "maxPrice": "1000000.00000000", "tickSize": "0.01000000"},
                {"filterType": "LOT_SIZE", "minQty": "0.00001000", "maxQty": "9000.00000000", "stepSize": "0.00001000"},
                {"filterType": "NOTIONAL", "minNotional": "5.00000000", "maxNotional": "9000000.00000000"},
                {"filterType": "A_FILTER_OF_TOMORROW", "x": 1}], "permissionSets": [["SPOT"]], **fields}


def okx_instrument(**fields):
    return {"instId": "BTC-USDT", "instType": "SPOT", "baseCcy": "BTC", "quoteCcy": "USDT", "settleCcy": "", "uly": "", "ctVal": "",
            "ctMult": "", "ctType": "", "tickSz": "0.1", "lotSz": "0.00000001", "minSz": "0.00001", "maxLmtSz": "9999999999",
            "expTime": "", "stk": "", "optType": "", "state": "live", **fields}


def coinbase_product(**fields):
    return {"product_id": "BTC-USD", "price_increment": "0.01", "base_increment": "0.00000001", "base_min_size": "0.00000001",
            "base_max_size": "3400", "quote_min_size": "1", "quote_max_size": "150000000", "status": "online", "product_type": "SPOT",
            "trading_disabled": False, "is_disabled": False, "view_only": False, "cancel_only": False, "post_only": False,
            "limit_only": False, "auction_mode": False, "base_currency_id": "BTC", "quote_currency_id": "USD", "alias": "", **fields}


@pytest.mark.parametrize("kind, body, found", [
    ("binance_spot", {"code": -1003, "msg": "Too many requests."}, "Too many requests"), ("binance_spot", [], "found 'list'"),
    ("coinbase", {"message": "rate limit exceeded"}, "rate limit exceeded"), ("coinbase_exchange", {"message": "NotFound"}, "NotFound"),
    ("kraken", {"error": ["EGeneral:Temporary lockout"]}, "Temporary lockout"), ("kraken", {"error": [], "result": []}, "found"),
    ("okx", {"code": "50011", "msg": "Too Many Requests", "data": []}, "50011"), ("bybit", {"retCode": 10006, "retMsg": "Too many visits!"}, "10006"),
    ("bybit", "text", "found 'str'")])
def test_an_error_body_is_named_with_what_the_venue_said(kind, body, found, parsed):
    with pytest.raises(BodyError, match=found):
        parsed(kind, body)


def test_what_a_venue_says_is_shown_escaped(parsed):
    with pytest.raises(BodyError) as caught:
        parsed("binance_spot", {"msg": "\x1b[2J\ncleared"})
    assert str(caught.value).isprintable() and "cleared" in str(caught.value)
    table = parsed("binance_spot", {"symbols": [binance_symbol(status="\x1b[2J"), binance_symbol()]})
    assert len(table.facts) == 1 and str(table.skipped[0]).isprintable()


def test_a_body_without_a_usable_instrument_is_an_error(parsed):
    with pytest.raises(BodyError, match="expected at least one usable, found 1 odd ones, the first: BTCUSDT: filters"):
        parsed("binance_spot", {"symbols": [binance_symbol(filters=[])]})


def test_an_unknown_venue_is_told_the_nearest():
    with pytest.raises(InstrumentError, match=r"expected one of \['binance_spot'"):
        default_rest_url("binance-spot")
    assert all(default_rest_url(kind).startswith("https://") for kind in VENUE_KINDS)


@pytest.mark.parametrize("kind, body, key", [
    ("binance_spot", {"symbols": [binance_symbol(), binance_symbol(symbol="ETHUSDT", baseAsset="ETH")]}, "symbols"),
    ("okx", {"code": "0", "data": [okx_instrument(), okx_instrument(instId="ETH-USDT", baseCcy="ETH")]}, "data"),
    ("coinbase", {"products": [coinbase_product(), coinbase_product(product_id="ETH-USD", base_currency_id="ETH")]}, "products")])
@pytest.mark.parametrize("junk", [None, 5, "x", [], {}, True, -1, "NaN", {"a": 1}])
def test_any_field_of_one_instrument_may_be_junk_and_the_others_stay(kind, body, key, junk, parsed):
    for field in body[key][0]:
        table = parsed(kind, {**body, key: [{**body[key][0], field: junk}, body[key][1]]})
        assert table.facts[-1].base == "ETH"
        assert len(table.facts) + len(table.skipped) == 2


# ---- recorded numbers lie on the grids of the facts

def rows(*sides):
    return [row[0] for side in sides for row in side], [row[1] for side in sides for row in side]


def binance_numbers(message):
    data = message.get("data", message)
    if data.get("e") == "depthUpdate":
        yield data["s"], *rows(data["b"], data["a"])
    elif data.get("e") == "aggTrade":
        yield data["s"], [data["p"]], [data["q"]]


def exchange_numbers(message):
    if message["type"] == "l2update":
        yield message["product_id"], [c[1] for c in message["changes"]], [c[2] for c in message["changes"]]
    elif message["type"] == "snapshot":
        yield message["product_id"], *rows(message["bids"], message["asks"])


def advanced_numbers(message):
    for event in message.get("events", ()):
        updates = event.get("updates", ()) if message["channel"] == "l2_data" else ()
        yield event.get("product_id"), [u["price_level"] for u in updates], [u["new_quantity"] for u in updates]


def kraken_numbers(message):
    if isinstance(message, list) and message[-2].startswith("book"):
        yield message[-1], *rows(*(part.get(key, ()) for part in message[1:-2] for key in ("a", "b", "as", "bs")))


def okx_numbers(message):
    if message.get("arg", {}).get("channel", "").startswith("books"):
        for book in message.get("data", ()):
            yield message["arg"]["instId"], *rows(book["bids"], book["asks"])


def bybit_numbers(message):
    if message.get("topic", "").startswith("orderbook"):
        yield message["data"]["s"], *rows(message["data"]["b"], message["data"]["a"])


@pytest.mark.parametrize("kind, path, numbers, count, off_step", [
    ("binance_spot", "ws/binance_spot/cryptofeed_BINANCE_20211012.jsonl.zst", binance_numbers, 424, 0),
    ("binance_usdm", "ws/binance_usdm/cryptofeed_BINANCE_FUTURES_20210722.jsonl.zst", binance_numbers, 6388, 0),
    ("binance_coinm", "ws/binance_coinm/cryptofeed_BINANCE_DELIVERY_20210722.jsonl.zst", binance_numbers, 17983, 0),
    ("coinbase_exchange", "ws/coinbase/cryptofeed_COINBASE_EXCHANGE_20210417.jsonl.zst", exchange_numbers, 18081, 0),
    ("coinbase", "ws/coinbase/cryptofeed_COINBASE_20260809.jsonl.zst", advanced_numbers, 74193, 0),
    ("kraken", "ws/kraken/cryptofeed_KRAKEN_20210417.jsonl.zst", kraken_numbers, 11745, 0),
    ("okx", "ws/okx/cryptofeed_OKX_20220513.jsonl.zst", okx_numbers, 8264, 0),
    # Quantities of an older, finer grid in the book: on lot_size, but not on the step that orders must keep.
    ("okx", "ws/okx/cryptofeed_OKEX_20210722.jsonl.zst", okx_numbers, 16614, 45),
    ("bybit", "ws/bybit/cryptofeed_BYBIT_20260809.jsonl.zst", bybit_numbers, 20809, 0)])
def test_every_recorded_price_and_quantity_is_on_its_instruments_grid(kind, path, numbers, count, off_step, recorded_bodies, shared_data):
    table = parse_bodies(kind, recorded_bodies(path))
    names = SymbolMap(table, kind)
    v1 = {one.ws_symbol_v1: one for one in table.facts}
    seen = Counter()
    for frame in read_capture(shared_data(path)):
        if frame.source != "ws":
            continue
        # Spot and contracts come over connections of their own.
        wanted = {"BYBIT.ws.2": "swap", "BYBIT.ws.3": "spot"}.get(frame.conn)
        for symbol, prices, quantities in numbers(json.loads(frame.data, parse_float=str, parse_int=str)):
            if not prices:
                continue
            one = v1[symbol] if kind == "kraken" else names.from_stream(symbol, wanted)
            tick, lot, step = Decimal(one.tick_size), Decimal(one.lot_size), Decimal(one.order_qty_step)
            seen["numbers"] += len(prices)
            seen["price off"] += sum(1 for price in prices if Decimal(price) % tick)
            seen["lot off"] += sum(1 for qty in quantities if Decimal(qty) % lot)
            seen["step off"] += sum(1 for qty in quantities if Decimal(qty) % step)
    assert seen == {"numbers": count, "price off": 0, "lot off": 0, "step off": off_step}
