"""Clients that others wrote, unmodified but for the URL, trade at the simulated venue: python-binance and Binance's own connector
packages. Each runs in a process of its own with the interpreter of `.venv-clients` (make test installs it)."""
import pytest
from venue_on_loopback import CLIENTS, Venue

from required import require_path


@pytest.fixture(scope="module")
def spot(tmp_path_factory):
    require_path(CLIENTS / ".deps", "make .venv-clients/.deps")
    with Venue("binance_spot", tmp_path_factory.mktemp("clients-spot")) as v:
        yield v


@pytest.fixture(scope="module")
def usdm(tmp_path_factory):
    require_path(CLIENTS / ".deps", "make .venv-clients/.deps")
    with Venue("binance_usdm", tmp_path_factory.mktemp("clients-usdm")) as v:
        yield v


def test_python_binance_trades_spot(spot):
    seen = spot.client("python_binance_client", **spot.hmac)
    assert {"LOT_SIZE", "PRICE_FILTER", "NOTIONAL"} <= set(seen["filters"])
    assert seen["book"][2] and seen["trades"] > 0 and seen["average"] > 0 and set(seen["klines"]) == {12}
    assert (seen["limit"], seen["queried"], seen["open"], seen["cancelled"]) == ("NEW", "NEW", True, "CANCELED")
    assert seen["replaced"] == ["SUCCESS", "SUCCESS"]
    assert seen["market"] == ["FILLED", True, "0.01000000"]
    assert seen["quote_quantity"] == ["FILLED", True]
    assert seen["types"] == {"LIMIT_MAKER": ["NEW", "LIMIT_MAKER"], "STOP_LOSS_LIMIT": ["NEW", "STOP_LOSS_LIMIT"],
                             "STOP_LOSS": ["NEW", "STOP_LOSS"], "TAKE_PROFIT": ["NEW", "TAKE_PROFIT"],
                             "TAKE_PROFIT_LIMIT": ["NEW", "TAKE_PROFIT_LIMIT"], "IOC": ["EXPIRED", "IOC"], "FOK": ["EXPIRED", "FOK"],
                             "trailing": ["NEW", "STOP_LOSS"], "iceberg": ["NEW", "0.01000000"]}
    assert (seen["all_cancelled"], seen["still_open"], seen["history"]) == (7, 0, True)
    assert (seen["ws_query"], seen["ws_cancelled"]) == ("NEW", "CANCELED")
    codes = {name: found["code"] for name, found in seen["refusals"].items()}
    assert codes == {"symbol": -1121, "filter": -1013, "money": -2010, "unknown": -2011, "maker": -2010, "signature": -1022}
    assert seen["refusals"]["money"]["message"] == "Account has insufficient balance for requested action."
    assert seen["stream"] == {"trade": "trade", "depth": "depthUpdate", "book": ["asks", "bids", "lastUpdateId"], "kline": "kline"}
    assert {"executionReport", "outboundAccountPosition"} <= set(seen["events"])
    assert {"NEW", "CANCELED", "TRADE", "EXPIRED"} <= set(seen["executions"])


def test_official_connector_trades_spot(spot):
    seen = spot.client("binance_sdk_spot_client", **spot.ed25519)
    assert seen["time"] and seen["book"] and seen["klines"] and seen["weight_counted"]
    assert (seen["filters"] >= 5, seen["ticker"], seen["account"]) == (True, "BTCUSDT", ["SPOT", True])
    assert (seen["placed"], seen["queried"], seen["cancelled"]) == ("NEW", "NEW", "CANCELED")
    assert seen["amended"] == "0.00500000"
    assert (seen["market"], seen["my_trades"], seen["history"]) == (["FILLED", True], True, True)
    assert set(seen["unfilled"]) == {"ORDERS"}
    assert {name: found[0] for name, found in seen["refusals"].items()} == dict.fromkeys(
        ("symbol", "money", "unknown", "maker"), "BadRequestError")
    assert seen["logged_on"] and seen["ws_account"]
    assert (seen["ws_placed"], seen["ws_status"], seen["ws_cancelled"], seen["ws_open"]) == ("NEW", "NEW", "CANCELED", 0)
    assert {"ExecutionReport", "OutboundAccountPosition"} <= set(seen["events"])
    assert set(seen["streams"]) == {"trade", "depth", "ticker"}


def test_official_connector_trades_futures(usdm):
    seen = usdm.client("binance_sdk_usdm_client", **usdm.hmac)
    assert seen["time"] and seen["symbols"] and seen["book"] and seen["mark"]
    assert (seen["leverage"], seen["placed"], seen["modified"], seen["queried"], seen["cancelled"]) == (10, "NEW", "0.020", "NEW", "CANCELED")
    assert int(seen["dead_man"]) == 60000
    assert (seen["market"], seen["position"], seen["closed"]) == ("FILLED", [0.01], "FILLED")
    assert seen["trades"] and "USDT" in seen["balance"] and "COMMISSION" in seen["income"]
    assert {name: found[0] for name, found in seen["refusals"].items()} == dict.fromkeys(
        ("reduce_only", "margin", "unknown", "maker"), "BadRequestError")
    assert (seen["ws_placed"], seen["ws_queried"], seen["ws_cancelled"], seen["ws_balance"]) == ("NEW", "NEW", "CANCELED", True)
    assert "OrderTradeUpdate" in seen["events"]
    assert set(seen["streams"]) == {"depth", "ticker", "mark"}


def test_older_connector_trades_spot(spot):
    seen = spot.client("binance_connector_client", market="spot", **spot.hmac)
    assert (seen["placed"], seen["cancelled"], seen["market"], seen["account"], seen["trades"]) == ("NEW", "CANCELED", "FILLED", True, True)
    assert seen["refusal"] == [400, -2010, "Account has insufficient balance for requested action."]
    assert {"executionReport", "outboundAccountPosition"} <= set(seen["events"])


def test_older_connector_trades_futures(usdm):
    seen = usdm.client("binance_connector_client", market="usdm", **usdm.hmac)
    assert (seen["leverage"], seen["placed"], seen["cancelled"], seen["market"]) == (5, "NEW", "CANCELED", "FILLED")
    assert seen["batch"][0] == "NEW" and seen["batch"][1] < 0
    assert seen["all"] == 200 and seen["position"] == [-0.01] and seen["account"]
    assert seen["refusal"] == [400, -2011]
