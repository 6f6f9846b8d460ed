"""Every recorded frame given to ccxt's WebSocket classes and to our decoders: the same trades, and the same books after each message.

Where the two differ, DIFFERENCES says how often and why; one more or one less fails. ccxt has no Kraken v1; the recorded Kraken v2
feed is of a book, so that a trade of that protocol is the documentation's.
"""
import asyncio
import gzip
import importlib
import json
from collections import Counter
from itertools import islice

import pytest

from required import require_package
from tickpath.capture import CaptureFrame, read_capture
from tickpathd.instruments.venues import parse_bodies

ccxt = require_package("ccxt.pro", "research")

from ccxt_judge import OurSide, TheirSide, market, settle, trade_of  # noqa: E402  (they import ccxt)

SPOT_URL, USDM_URL = "wss://stream.binance.com:9443/stream", "wss://fstream.binance.com/public/stream"
OKX_URL, BYBIT_URL = "wss://ws.okx.com:8443/ws/v5/public", "wss://stream.bybit.com/v5/public/"
OKX_CHANNELS = ("books", "books-l2-tbt", "books50-l2-tbt")
WIDE_WINDOW = 1 << 22         # the recorded books of Coinbase reach to a thousand times their price
FACTS = {"binance_spot": "binance", "binance_usdm": "binance", "coinbase_exchange": "coinbase"}
METADATA = (b'"symbols":[', b'"products":[', b'"pair_decimals"', b'"base_currency"', b'"instId"', b'"priceFilter"')
TAKER = "ccxt gives the maker's side of a trade of Advanced Trade as the taker's; the recorded books say whose it is"
LAST_MATCH = "ccxt leaves out last_match, the trade before the subscription; ours is flagged as that"

# name: (kind, ccxt's class, connection's address, files, trades, books compared)
CAPTURES = {
    "binance spot btcusdt": ("binance_spot", "binance", SPOT_URL, ("ws/binance_spot/hftbacktest_btcusdt_20240808.gz",
                                                                   "ws/binance_spot/hftbacktest_btcusdt_20240809.gz"), 19904, 6493),
    "binance spot 2021-08": ("binance_spot", "binance", SPOT_URL, ("ws/binance_spot/cryptofeed_BINANCE_20210814.jsonl.zst",), 28, 546),
    "binance spot 2021-10": ("binance_spot", "binance", SPOT_URL, ("ws/binance_spot/cryptofeed_BINANCE_20211012.jsonl.zst",), 2, 177),
    "binance us": ("binance_spot", "binance", SPOT_URL, ("ws/binance_spot/cryptofeed_BINANCE_US_20211012.jsonl.zst",), 11, 336),
    "binance usdm btcusdt": ("binance_usdm", "binance", USDM_URL, ("ws/binance_usdm/hftbacktest_btcusdt_20240808.gz",), 21313, 6546),
    "binance usdm 2021": ("binance_usdm", "binance", USDM_URL, ("ws/binance_usdm/cryptofeed_BINANCE_FUTURES_20210722.jsonl.zst",), 91, 764),
    "coinbase": ("coinbase", "coinbase", "wss://advanced-trade-ws.coinbase.com",
                 ("ws/coinbase/cryptofeed_COINBASE_20260809.jsonl.zst",), 279, 775),
    "coinbase exchange": ("coinbase_exchange", "coinbaseexchange", "wss://ws-feed.exchange.coinbase.com",
                          ("ws/coinbase/cryptofeed_COINBASE_EXCHANGE_20210417.jsonl.zst",), 107, 9729),
    "kraken": ("kraken", "kraken", "wss://ws.kraken.com/v2", ("ws/kraken/kraken_v2_book10_BTCUSD_20260719T1754.jsonl.gz",), 0, 1254),
    "okx 2021": ("okx", "okx", OKX_URL, ("ws/okx/cryptofeed_OKEX_20210722.jsonl.zst",), 108, 4372),
    "okx 2022": ("okx", "okx", OKX_URL, ("ws/okx/cryptofeed_OKX_20220513.jsonl.zst",), 74, 290),
    "bybit": ("bybit", "bybit", BYBIT_URL, ("ws/bybit/cryptofeed_BYBIT_20260809.jsonl.zst",), 347, 2148),
}
# The two longest run whole with the soaks, and otherwise their first frames only. {name: (frames, trades, books compared)}
BEGINNINGS = {"binance spot btcusdt": (4000, 2700, 1297), "binance usdm btcusdt": (4000, 2768, 1226)}
# Markets of captures without metadata.
MARKETS = {"binance spot btcusdt": market("BTC/USDT", "BTCUSDT"), "binance usdm btcusdt": market("BTC/USDT:USDT", "BTCUSDT", kind="swap"),
           "kraken": market("BTC/USD", "BTC/USD")}
# Whole with the soaks alone: the venue's other captures stay.
LONG = {*BEGINNINGS, "coinbase exchange", "okx 2021"}
# {(capture, what): (how often, why)}
DIFFERENCES = {
    ("coinbase", "side"): (279, TAKER),
    ("coinbase exchange", "only ours"): (10, LAST_MATCH),
}


def facts_of(kind, frames):
    """{(connection, venue_symbol): increments and depth} of what the connections carry."""
    module = importlib.import_module(f"tickpath.venues.{FACTS.get(kind, kind)}_facts")
    facts = {}
    for frame in frames:
        module.scan_facts(frame, facts)
    if hasattr(module, "close_facts"):
        facts = module.close_facts(facts)
    carried = {(frame.conn, symbol) for frame in frames if frame.source == "ws" for _, symbol in filter(is_key, facts)}
    return {key: found for key, found in facts.items() if key in carried}


def is_key(key):
    return isinstance(key, tuple)


class Judged:
    """One connection of a capture: our side and theirs, and how they compare."""

    def __init__(self, name, kind, class_name, url, grids, markets, market_type):
        self.grids = grids
        self.is_rest = kind.startswith("binance")
        exchange = getattr(ccxt, class_name)()
        exchange.asyncio_loop = asyncio.get_running_loop()
        exchange.set_markets(markets)
        self.exchange = exchange
        self.theirs = TheirSide(exchange, url, {m["id"]: m["symbol"] for m in markets})
        self.ours = OurSide("coinbase" if kind == "coinbase_exchange" else kind, grids, sync="rest" if self.is_rest else "stream",
                            window_ticks=WIDE_WINDOW if kind.startswith("coinbase") else 65536)
        self.found = Counter()
        if self.is_rest:
            self.snapshots = {symbol: exchange.asyncio_loop.create_future() for symbol in grids}
            exchange.publicGetDepth = exchange.fapiPublicGetDepth = self.answer
            for symbol in grids:
                exchange.handle_order_book_subscription(self.theirs.client, {}, {
                    "symbol": self.theirs.symbols[symbol], "params": {}, "limit": 1000, "type": "linear" if market_type == "swap" else None})
        if kind == "okx":
            # It takes a book only of channels that it has subscribed to.
            self.theirs.client.subscriptions.update({f"{channel}:{m['symbol']}": True for channel in OKX_CHANNELS for m in markets})

    async def answer(self, request):
        """The REST snapshot that ccxt asks for: the recorded body, once the capture has come to it."""
        return await self.snapshots[request["symbol"]]

    async def feed(self, frame):
        our_trades, touched = self.ours.feed(frame)
        if frame.source == "rest":
            if self.is_rest and b'"lastUpdateId"' in frame.data:
                self.snapshots[frame.symbol_hint or next(iter(self.grids))].set_result(json.loads(frame.data))
                await settle()
        else:
            self.theirs.feed(frame.data)
        self.compare_trades(our_trades, [(symbol, trade_of(t)) for symbol, t in self.theirs.new_trades()])
        for symbol in touched:
            theirs = self.theirs.top(symbol)
            if not self.ours.synced(symbol):
                assert theirs == [[], []], symbol
                continue
            assert self.ours.top(symbol) == theirs, (symbol, frame.data[:200])
            self.found["books"] += 1

    def compare_trades(self, ours, theirs):
        self.found["trades"] += len(ours)
        if [t for _, t in ours] == [t for _, t in theirs]:
            return
        known = {(symbol, t.trade_id): t for symbol, t in theirs}
        for symbol, t in ours:
            other = known.pop((self.theirs.symbols[symbol], t.trade_id), None)
            if other is None:
                self.found["only ours"] += 1
            else:
                self.found.update(field for field in t._fields if getattr(t, field) != getattr(other, field))
        self.found["only theirs"] += len(known)

    async def close(self):
        """All levels are equal in the end, and ccxt has lost no book on the way."""
        for symbol in self.grids:
            if self.ours.synced(symbol):
                assert self.ours.top(symbol, None) == self.theirs.top(symbol, None), symbol
                self.found["whole books"] += 1
        await self.exchange.close()


async def judge(name, paths, count=None):
    kind, class_name, url, _, _, _ = CAPTURES[name]
    # Quotes are no part of the comparison, and three quarters of the long captures.
    every = (frame for path in paths for frame in read_capture(path) if b"@bookTicker" not in frame.data[:64])
    frames = list(islice(every, count))
    facts = facts_of(kind, frames)
    listed = []
    if name not in MARKETS:
        bodies = [frame.data for frame in frames if frame.source == "rest" and any(mark in frame.data for mark in METADATA)]
        listed = parse_bodies(kind, bodies).facts
    total = Counter()
    for conn in sorted({conn for conn, _ in facts}, key=str):
        grids = {symbol: (f.tick_size, f.lot_size, f.max_levels) for (c, symbol), f in facts.items() if c == conn}
        market_type, address = "swap" if kind == "binance_usdm" else "spot", url
        if kind == "bybit":
            # Spot and linear are connections of their own, and spell their symbols alike.
            market_type = "spot" if len(grids) == 2 else "swap"
            address = url + {"spot": "spot", "swap": "linear"}[market_type]
        markets = [MARKETS[name]] if name in MARKETS else [
            market(one.symbol, one.venue_symbol, kind=one.kind) for one in listed
            if one.venue_symbol in grids and (kind != "bybit" or one.kind == market_type)]
        judged = Judged(name, kind, class_name, address, grids, markets, market_type)
        for frame in frames:
            if frame.conn == conn or frame.source == "rest":
                await judged.feed(frame)
        await judged.close()
        total += judged.found
    return total


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.soak] if n in LONG else []) for n in CAPTURES])
def test_trades_and_books_of_a_capture_are_those_of_ccxt(shared_data, name):
    *_, files, trades, books = CAPTURES[name]
    found = asyncio.run(judge(name, [shared_data(path) for path in files]))
    assert (found.pop("trades", 0), found.pop("books")) == (trades, books)
    assert found.pop("whole books") > 0
    assert found == {what: n for (where, what), (n, _) in DIFFERENCES.items() if where == name}


@pytest.mark.parametrize("name", BEGINNINGS)
def test_the_beginning_of_a_long_capture_is_that_of_ccxt(shared_data, name):
    count, trades, books = BEGINNINGS[name]
    found = asyncio.run(judge(name, [shared_data(path) for path in CAPTURES[name][3]], count))
    assert found.pop("whole books") > 0
    assert found == {"trades": trades, "books": books}


def test_a_kraken_trade_message_is_what_ccxt_makes_of_it(shared_data):
    with gzip.open(shared_data("rest/kraken/nautilus_samples.jsonl.gz")) as file:
        (text,) = [sample["text"] for sample in map(json.loads, file) if sample["file"].endswith("/ws_trade_update.json")]

    async def main():
        judged = Judged("kraken", "kraken", "kraken", "wss://ws.kraken.com/v2", {"BTC/USD": ("0.1", "0.00000001", 10)}, [MARKETS["kraken"]], "spot")
        await judged.feed(CaptureFrame(0, text.encode(), "ws", None, None))
        await judged.exchange.close()
        return judged.found
    assert asyncio.run(main()) == {"trades": len(json.loads(text)["data"])}


def test_a_changed_price_is_seen_by_the_comparison(shared_data):
    path = shared_data(CAPTURES["kraken"][3][0])

    async def main():
        frames = list(read_capture(path))[:40]
        (found,) = facts_of("kraken", frames).values()
        judged = Judged("kraken", "kraken", "kraken", CAPTURES["kraken"][2], {"BTC/USD": (found.tick_size, found.lot_size, 10)}, [MARKETS["kraken"]], "spot")
        try:
            for n, frame in enumerate(frames):
                if n == 30:
                    judged.exchange.orderbooks["BTC/USD"]["bids"][0][1] += 0.00000001
                await judged.feed(frame)
        finally:
            await judged.exchange.close()
    with pytest.raises(AssertionError):
        asyncio.run(main())
