"""Binance's exchangeInfo, spot, USD-M and COIN-M. What each field becomes, and what is odd."""
import pytest


def has(one, **fields):
    found = {name: getattr(one, name) for name in fields}
    assert found == fields
    return True


def binance_symbol(**fields):
    return {"symbol": "BTCUSDT", "status": "TRADING", "baseAsset": "BTC", "baseAssetPrecision": 8, "quoteAsset": "USDT",
            "quotePrecision": 8, "quoteAssetPrecision": 8, "filters": [
                {"filterType": "PRICE_FILTER", "minPrice": "0.01000000", "maxPrice": "1000000.00000000", "tickSize": "0.01000000"},
                {"filterType": "LOT_SIZE", "minQty": "0.00001000", "maxQty": "9000.00000000", "stepSize": "0.00001000"},
                {"filterType": "NOTIONAL", "minNotional": "5.00000000", "maxNotional": "9000000.00000000"},
                {"filterType": "A_FILTER_OF_TOMORROW", "x": 1}], "permissionSets": [["SPOT"]], **fields}


def binance_contract(**fields):
    return binance_symbol(**{"marginAsset": "USDT", "contractType": "PERPETUAL", "deliveryDate": 4133404800000, "pricePrecision": 2,
                             "quantityPrecision": 5, **fields})


def test_binance_spot_facts_are_exact_and_hold_the_books_finer_lots(only):
    one = only("binance_spot", {"symbols": [binance_symbol()], "sors": [], "somethingNew": {}})
    assert has(one, symbol="BTC/USDT", venue_symbol="BTCUSDT", ws_symbol="BTCUSDT", kind="spot", tick_size="0.01",
               order_qty_step="0.00001", lot_size="0.00000001", min_qty="0.00001", max_qty="9000", min_notional="5",
               max_notional="9000000", price_decimals=8, qty_decimals=8, status="TRADING", linear=False, inverse=False)


@pytest.mark.parametrize("word, status", [
    ("TRADING", "TRADING"), ("BREAK", "HALTED"), ("HALT", "HALTED"), ("PRE_TRADING", "HALTED"), ("AUCTION_MATCH", "AUCTION"),
    ("TRADING_CANCEL_ONLY", "CANCEL_ONLY"), ("TRADING_HALT", "HALTED"), ("SETTLING", "DELISTED"), ("CLOSE", "DELISTED"),
    ("A_WORD_OF_TOMORROW", "UNKNOWN"), (None, "UNKNOWN"), (7, "UNKNOWN")])
def test_binance_status_words_and_unknown_ones(word, status, only):
    assert only("binance_spot", {"symbols": [binance_symbol(status=word)]}).status == status


def test_binance_rules_that_are_switched_off_leave_the_decimals(only):
    off = binance_symbol(filters=[{"filterType": "PRICE_FILTER", "tickSize": "0.00000000"},
                                  {"filterType": "LOT_SIZE", "stepSize": "0.00000000", "minQty": "0", "maxQty": "0"}])
    assert has(only("binance_spot", {"symbols": [off]}), tick_size="0.00000001", order_qty_step="0.00000001", min_qty="", max_qty="",
               min_notional="")


@pytest.mark.parametrize("fields, expected", [
    ({}, {"symbol": "BTC/USDT:USDT", "kind": "swap", "linear": True, "inverse": False, "expiry_ns": 0, "price_decimals": 2}),
    ({"contractType": "TRADIFI_PERPETUAL"}, {"symbol": "BTC/USDT:USDT", "kind": "swap"}),
    ({"contractType": "PERPETUAL DELIVERING", "deliveryDate": 1700000000000}, {"symbol": "BTC/USDT:USDT", "kind": "swap", "expiry_ns": 0}),
    ({"contractType": "", "status": "PENDING_TRADING"}, {"symbol": "BTC/USDT:USDT", "kind": "swap", "status": "HALTED"}),
    ({"contractType": "CURRENT_QUARTER", "deliveryDate": 1774598400000, "symbol": "BTCUSDT_260327"},
     {"symbol": "BTC/USDT:USDT-260327", "kind": "future", "expiry_ns": 1774598400 * 10 ** 9})])
def test_binance_usdm_contracts(fields, expected, only):
    assert has(only("binance_usdm", {"symbols": [binance_contract(**fields)]}), **expected)


def test_binance_coinm_contracts_are_a_number_of_dollars(only):
    body = {"symbols": [binance_contract(symbol="BTCUSD_PERP", quoteAsset="USD", marginAsset="BTC", contractSize=100, status=None,
                                         contractStatus="TRADING")]}
    assert has(only("binance_coinm", body), symbol="BTC/USD:BTC", inverse=True, linear=False, contract_size="100", status="TRADING")
