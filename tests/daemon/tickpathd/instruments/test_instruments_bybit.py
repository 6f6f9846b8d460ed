"""Bybit's instruments-info of every category. What each field becomes, and what is odd."""
import pytest


def has(one, **fields):
    found = {name: getattr(one, name) for name in fields}
    assert found == fields
    return True


def bybit_body(*items, **fields):
    return {"retCode": 0, "retMsg": "OK", "result": {"list": list(items), "nextPageCursor": "", **fields}}


def bybit_contract(**fields):
    return {"symbol": "BTCUSDT", "contractType": "LinearPerpetual", "status": "Trading", "baseCoin": "BTC", "quoteCoin": "USDT",
            "settleCoin": "USDT", "deliveryTime": "0", "priceScale": "2", "priceFilter": {"minPrice": "0.10", "tickSize": "0.10"},
            "lotSizeFilter": {"qtyStep": "0.001", "minOrderQty": "0.001", "maxOrderQty": "1190.000", "minNotionalValue": "5"}, **fields}


BYBIT_SPOT = {"symbol": "BTCUSDT", "baseCoin": "BTC", "quoteCoin": "USDT", "status": "Trading", "priceFilter": {"tickSize": "0.1"},
              "lotSizeFilter": {"basePrecision": "0.000001", "quotePrecision": "0.0000001", "minOrderQty": "0.000001",
                                "maxOrderQty": "230", "maxLimitOrderQty": "231", "minOrderAmt": "5", "maxOrderAmt": "8000000"}}


def test_bybit_spot_and_perpetual_share_a_name_but_no_symbol(parsed):
    table = parsed("bybit", bybit_body(BYBIT_SPOT, category="spot"), bybit_body(bybit_contract(), category="linear"))
    assert [(one.symbol, one.venue_symbol) for one in table.facts] == [("BTC/USDT", "BTCUSDT"), ("BTC/USDT:USDT", "BTCUSDT")]
    assert has(table.facts[0], order_qty_step="0.000001", min_notional="5", max_notional="8000000", max_qty="231")
    assert has(table.facts[1], tick_size="0.1", order_qty_step="0.001", max_qty="1190", min_notional="5", linear=True)


@pytest.mark.parametrize("fields, expected", [
    ({"contractType": "InversePerpetual", "symbol": "BTCUSD", "quoteCoin": "USD", "settleCoin": "BTC"},
     {"symbol": "BTC/USD:BTC", "inverse": True, "linear": False, "min_notional": "", "contract_size": "1"}),
    ({"contractType": "LinearFutures", "symbol": "BTCUSDT-27MAR26", "deliveryTime": "1774598400000"},
     {"symbol": "BTC/USDT:USDT-260327", "kind": "future"}),
    # A delivery time on a perpetual says when it will be delisted, not that it is a future.
    ({"deliveryTime": "1774598400000"}, {"symbol": "BTC/USDT:USDT", "kind": "swap", "expiry_ns": 0}),
    ({"symbol": "BTCPERP", "quoteCoin": "USDC", "settleCoin": "USD"}, {"symbol": "BTC/USDC:USDC"}),
    ({"status": "Closed"}, {"status": "DELISTED"}), ({"status": "Delivering"}, {"status": "HALTED"}), ({"status": "Tomorrow"}, {"status": "UNKNOWN"}),
    ({"status": "PreLaunch", "preListingInfo": {"curAuctionPhase": "CallAuction"}}, {"status": "AUCTION"}),
    ({"status": "PreLaunch", "preListingInfo": {"curAuctionPhase": "ContinuousTrading"}}, {"status": "TRADING"}),
    ({"status": "PreLaunch", "preListingInfo": None}, {"status": "HALTED"}),
    ({"status": "PreLaunch", "preListingInfo": {"curAuctionPhase": "Tomorrow"}}, {"status": "UNKNOWN"})])
def test_bybit_contracts(fields, expected, only):
    assert has(only("bybit", bybit_body(bybit_contract(**fields))), **expected)


def test_bybit_options(only):
    item = {"symbol": "BTC-27MAR26-100000-C", "status": "Trading", "baseCoin": "BTC", "quoteCoin": "USDT", "settleCoin": "USDT",
            "optionsType": "Call", "deliveryTime": "1774598400000", "priceFilter": {"tickSize": "5"},
            "lotSizeFilter": {"qtyStep": "0.01", "minOrderQty": "0.01", "maxOrderQty": "1500"}}
    assert has(only("bybit", bybit_body(item, category="option")), symbol="BTC/USDT:USDT-260327-100000-C", strike="100000",
               option_side="call", linear=True)
