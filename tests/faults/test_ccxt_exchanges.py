"""Exchanges of ccxt other than binance, each against the venue simulator in its own protocol: books over REST and WebSocket."""
import asyncio
from decimal import Decimal

import pytest
from feed_harness import Simulator

from process_harness import until
from required import require_package
from tickpathd.ccxt_exchange import make_exchange, number_text

require_package("ccxt", "ccxt")
CASES = {
    "okx": ("okx", "ws/okx/cryptofeed_OKX_20220513.jsonl.zst", "BTC/USDT", "BTC-USDT", True),
    "coinbase": ("coinbase", "ws/coinbase/cryptofeed_COINBASE_20260809.jsonl.zst", "BTC/USD", "BTC-USD", True),
    # Its capture has no book of the depth that ccxt subscribes.
    "bybit": ("bybit", "ws/bybit/cryptofeed_BYBIT_20260809.jsonl.zst", "BTC/USDT:USDT", "linear:BTCUSDT", False),
}


@pytest.mark.parametrize("ccxt_id", CASES)
def test_books_of_other_exchanges_are_exact(shared_data, ccxt_id):
    venue, capture, symbol, key, streams = CASES[ccxt_id]
    simulator = Simulator(venue, shared_data(capture), "--start-after", "0", "--speed", "20")

    def truth():
        found = simulator.faults.truth(key)
        return found["bids"] and [[tuple(map(Decimal, map(str, row[:2]))) for row in found[side][:10]] for side in ("bids", "asks")]

    def exact(book):
        return [[tuple(Decimal(number_text(n)) for n in row[:2]) for row in book[side][:10]] for side in ("bids", "asks")]

    async def main():
        exchange = make_exchange(ccxt_id, rest_url=simulator.urls["rest_url"], ws_url=simulator.urls["ws_url"], symbols=[symbol])
        try:
            await exchange.load_markets()
            simulator.faults.pause()
            assert exact(await exchange.fetch_order_book(symbol, 10)) == truth()
            if streams:
                assert exact(await asyncio.wait_for(exchange.watch_order_book(symbol), 20)) == truth()
        finally:
            await exchange.close()
    try:
        until(truth, "a book", 20)
        asyncio.run(main())
    finally:
        simulator.stop()
