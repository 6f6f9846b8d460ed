"""ccxt connects to the venue simulator over real sockets, with its own URLs' paths, subscriptions and snapshots; our decoders and books
are given the very bytes that its socket received, and must agree with it after every message."""
import asyncio
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from required import require_package
from tickpath.capture import CaptureFrame

ccxt = require_package("ccxt.pro", "research")

from ccxt.async_support.base.ws.client import Client  # noqa: E402  (where it is there)
from ccxt.base.errors import ChecksumError  # noqa: E402
from ccxt_judge import OurSide, TheirSide, market, trade_of  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 60
# venue: capture, instrument, ccxt's class, our grid and depth, where its address stands and what it ends with, limit that it asks for,
# books to compare, trades to wait for
VENUES = {
    "binance_spot": ("binance_spot/hftbacktest_btcusdt_20240808.gz", market("BTC/USDT", "BTCUSDT"), "binance", ("0.01", "0.000001", 0),
                     ("spot",), "/ws", None, 60, 100),
    "binance_usdm": ("binance_usdm/cryptofeed_BINANCE_FUTURES_20210722.jsonl.zst", market("SUSHI/USDT:USDT", "SUSHIUSDT", kind="swap"), "binance",
                     ("0.001", "1", 0), ("linear",), "/ws", None, 60, 0),
    "bybit": ("bybit/cryptofeed_BYBIT_20260809.jsonl.zst", market("BTC/USDT:USDT", "BTCUSDT", kind="swap"), "bybit", ("0.1", "0.001", 200),
              ("public", "linear"), "/v5/public/linear", 200, 60, 20),
    "coinbase": ("coinbase/cryptofeed_COINBASE_20260809.jsonl.zst", market("ETH/USD", "ETH-USD"), "coinbase", ("0.01", "0.00000001", 0),
                 (), "", None, 60, 20),
    "kraken": ("kraken/kraken_v2_book10_BTCUSD_20260719T1754.jsonl.gz", market("BTC/USD", "BTC/USD"), "kraken", ("0.1", "0.00000001", 10),
               ("publicV2",), "/v2", 10, 60, 0),
    "okx": ("okx/cryptofeed_OKX_20220513.jsonl.zst", market("BTC/USDT", "BTC-USDT"), "okx", ("0.1", "0.00000001", 400), (), "/ws/v5", None, 60, 20),
}
# Half a minute of recording: at ten times its pace it would begin anew before sixty books are compared on a busy machine.
SPEEDS = {"binance_usdm": "3x"}
SNAPSHOTS = {"binance_spot": "publicGetDepth", "binance_usdm": "fapiPublicGetDepth"}
REST_PATHS = {"binance_spot": ("public", "/api/v3"), "binance_usdm": ("fapiPublic", "/fapi/v1")}


class Witness:
    """Our side, fed with what ccxt's socket receives, and the comparison."""

    def __init__(self, venue, exchange, venue_symbol, symbol, grid):
        self.venue, self.venue_symbol = venue, venue_symbol
        self.ours = OurSide(venue, {venue_symbol: grid}, sync="rest" if venue in SNAPSHOTS else "stream", window_ticks=1 << 22)
        self.theirs = TheirSide(exchange, "", {venue_symbol: symbol})
        self.found = Counter()
        self.failed = None
        if venue in SNAPSHOTS:
            self.fetch = getattr(exchange, SNAPSHOTS[venue])
            setattr(exchange, SNAPSHOTS[venue], self.snapshot)

    async def snapshot(self, *arguments):
        body = await self.fetch(*arguments)
        self.ours.feed(CaptureFrame(0, json.dumps(body, separators=(",", ":")).encode(), "rest", self.venue_symbol, None))
        return body

    def received(self, data):
        """After ccxt has handled a message."""
        try:
            self.compare(data)
        except AssertionError as e:
            self.failed = self.failed or e

    def compare(self, data):
        ours, touched = self.ours.feed(CaptureFrame(0, data.encode(), "ws", None, None))
        theirs = [trade_of(t) for _, t in self.theirs.new_trades()]
        # Coinbase: ccxt gives the maker's side as the taker's (test_ccxt_websocket_frames.py).
        cut = 3 if self.venue == "coinbase" else 5
        assert [(*t[:cut], t.ts_ms) for _, t in ours] == [(*t[:cut], t.ts_ms) for t in theirs], data[:300]
        self.found["trades"] += len(ours)
        for symbol in touched:
            top = self.theirs.top(symbol)
            if self.ours.synced(symbol) and top[0]:
                assert self.ours.top(symbol) == top, data[:300]
                self.found["books"] += 1


@pytest.mark.parametrize("venue", VENUES)
def test_ccxt_over_a_socket_and_we_see_the_same(venue, shared_data, monkeypatch):
    capture, listed, class_name, grid, place, path, limit, books, trades = VENUES[venue]
    sim = subprocess.Popen([sys.executable, "-m", "tickpath_sim.cli", "serve", "--venue", venue, "--port", "0", "--speed", SPEEDS.get(venue, "10x"), "--loop",
                            "--rest-weight-per-min", "0", "--capture", str(shared_data(f"ws/{capture}"))],
                           cwd=ROOT, stdout=subprocess.PIPE, text=True)
    witnesses = []
    handle = Client.handle_text_or_binary_message

    def handle_and_tell(client, data):
        handle(client, data)
        if witnesses and data[:1] == "{":
            witnesses[0].received(data)
    monkeypatch.setattr(Client, "handle_text_or_binary_message", handle_and_tell)

    async def main():
        addresses = json.loads(sim.stdout.readline())
        exchange = getattr(ccxt, class_name)({"newUpdates": True, "options": {"tradesLimit": 1 << 20}})
        exchange.set_markets([listed])
        if place:
            *above, last = place
            node = exchange.urls["api"]["ws"]
            for name in above:
                node = node[name]
            node[last] = addresses["ws_url"] + path
        else:
            exchange.urls["api"]["ws"] = addresses["ws_url"] + path
        if venue in REST_PATHS:
            name, rest_path = REST_PATHS[venue]
            exchange.urls["api"][name] = addresses["rest_url"] + rest_path
        witness = Witness(venue, exchange, listed["id"], listed["symbol"], grid)
        witnesses.append(witness)

        async def watch(method, what, wanted, *arguments):
            while witness.found[what] < wanted and witness.failed is None:
                try:
                    await method(listed["symbol"], *arguments)
                except ChecksumError:
                    # The recording has begun anew: ccxt wants to be asked again, and goes on only without what it kept.
                    witness.found["asked_again"] += 1
                    assert witness.found["asked_again"] <= 5
                    exchange.orderbooks.clear()
                    for client in list(exchange.clients.values()):
                        await client.close()
        watching = [watch(exchange.watch_order_book, "books", books, *([limit] if limit else []))]
        if trades:
            watching.append(watch(exchange.watch_trades, "trades", trades))
        try:
            await asyncio.wait_for(asyncio.gather(*watching), SECONDS)
        finally:
            await exchange.close()
        if witness.failed is not None:
            raise witness.failed
        return witness.found
    try:
        found = asyncio.run(main())
    finally:
        sim.terminate()
        sim.communicate(timeout=20)
    assert found["books"] >= books and found["trades"] >= trades
