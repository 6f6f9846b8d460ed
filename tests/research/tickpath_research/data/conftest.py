"""A venue on loopback with recorded history, and backfills from it."""
import functools

import pytest
from data_harness import Filler
from venue_server import Market, VenueServer, feather_candles, recorded_agg_trades

BTC_1M = "ohlcv/binance_spot/BTC_USDT-1m_202407_202408.feather"
BTC_1H = "ohlcv/binance_spot/BTC_USDT-1h_2017_2024.feather"


@functools.cache
def loaded(reader, path):
    return reader(path)


@pytest.fixture
def btc(shared_data):
    market = Market("BTCUSDT", "BTC", "USDT")
    market.candles = {"1m": loaded(feather_candles, shared_data(BTC_1M)), "1h": loaded(feather_candles, shared_data(BTC_1H))}
    return market


@pytest.fixture
def xrp(shared_data):
    market = Market("XRPETH", "XRP", "ETH")
    market.candles = {"1m": loaded(feather_candles, shared_data("trades/XRP_ETH-1m.feather")),
                      "5m": loaded(feather_candles, shared_data("trades/XRP_ETH-5m.feather"))}
    market.trades = loaded(recorded_agg_trades, shared_data("trades/XRP_ETH-trades_raw_and_ccxt.json.gz"))
    return market


@pytest.fixture
def serve():
    """serve(market, …): a VenueServer that ends with the test."""
    servers = []

    def start(*markets, **options):
        servers.append(VenueServer(*markets, **options))
        return servers[-1]
    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def filler(tmp_path, serve):
    """filler(server): a Filler into this test's own directory."""
    return lambda server, root=tmp_path / "store": Filler(root, server)
