"""What a Python user has instead: `websockets` with orjson, cryptofeed, ccxt.pro. Started by bench_feed with the Python of the
peers' environment; each is pointed at the benchmark's server and otherwise used as its documentation shows.

websockets   a plain client: recv, orjson.loads, best bid and ask, trades, and a dict book checked by its update ids, in floats
cryptofeed   its Binance class: L2_BOOK (Decimal levels in its C order book) and TICKER; it takes aggTrade but not trade messages
ccxt         ccxt.pro's binance class: one task each in watch_order_book, watch_bids_asks and watch_trades

The book's REST snapshot is fetched before the round. All on uvloop. Usage: feed_peers.py NAME CORE STAMPS, or: feed_peers.py
versions
"""
import asyncio
import json
import logging
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from feed_rounds import Stamps, serve  # noqa: E402

SYMBOL = "BTC/USDT"
PACKAGES = {"websockets": ("websockets", "orjson"), "cryptofeed": ("cryptofeed",), "ccxt": ("ccxt",)}


class Websockets:
    spins = False

    def __init__(self, stamps):
        from websockets.asyncio.client import connect
        self.connect, self.stamps = connect, stamps

    async def open(self, port, count, busy):
        import orjson
        self.loads = orjson.loads
        snapshot = self.loads(await get(port, "/api/v3/depth"))
        self.bids = {float(p): float(q) for p, q in snapshot["bids"]}
        self.asks = {float(p): float(q) for p, q in snapshot["asks"]}
        self.last_update_id = snapshot["lastUpdateId"]
        self.best, self.trades, self.seen, self.size, self.gaps = None, [], 0, 0, 0
        self.socket = await self.connect(f"ws://127.0.0.1:{port}/stream", compression=None, ping_interval=None, max_size=None)
        done = self.stamps.begin(count)
        self.task = asyncio.get_running_loop().create_task(self.receive(count))
        return done

    async def receive(self, count):
        for _ in range(count):
            raw = await self.socket.recv(decode=False)
            message = self.loads(raw)
            data, kind = message["data"], message["stream"].split("@", 1)[1]
            if kind == "bookTicker":
                self.best = (float(data["b"]), float(data["B"]), float(data["a"]), float(data["A"]))
            elif kind == "trade":
                self.trades.append((data["T"], float(data["p"]), float(data["q"]), data["m"]))
            elif data["u"] > self.last_update_id:
                self.gaps += data["U"] > self.last_update_id + 1
                self.last_update_id = data["u"]
                for side, levels in ((self.bids, data["b"]), (self.asks, data["a"])):
                    for price, qty in levels:
                        price, qty = float(price), float(qty)
                        if qty:
                            side[price] = qty
                        else:
                            side.pop(price, None)
            self.seen += 1
            self.size += len(raw)
            self.stamps.take()

    async def close(self):
        await self.task
        await self.socket.close()
        return {"messages": self.seen, "bytes": self.size, "gaps": self.gaps, "levels": len(self.bids) + len(self.asks)}


class Cryptofeed:
    spins = False

    def __init__(self, stamps):
        import cryptofeed.exchanges
        from cryptofeed.connection import RestEndpoint, Routes, WebsocketEndpoint
        from cryptofeed.defines import L2_BOOK, TICKER
        owner = self

        class LocalBinance(cryptofeed.exchanges.Binance):
            """Its class checks that an address is wss://; the scheme is changed behind that."""

            def connect(self):
                found = super().connect()
                for connection, *_ in found:
                    connection.address = connection.address.replace("wss://", "ws://", 1)
                return found

            async def subscribe(self, connection):
                await super().subscribe(connection)
                owner.subscribed.set_result(None)

            async def message_handler(self, message, connection, timestamp):
                await super().message_handler(message, connection, timestamp)
                owner.seen += 1
                owner.size += len(message)
                owner.stamps.take()

        self.feed_class, self.stamps = LocalBinance, stamps
        self.channels = (L2_BOOK, TICKER)
        self.rest, self.routes, self.endpoint = RestEndpoint, Routes, WebsocketEndpoint

    async def open(self, port, count, busy):
        loop = asyncio.get_running_loop()
        self.seen = self.size = self.books = self.tickers = 0
        self.subscribed = loop.create_future()
        routes = self.routes("/api/v3/exchangeInfo", l2book="/api/v3/depth?symbol={}&limit={}")
        self.feed_class.rest_endpoints = [self.rest(f"http://127.0.0.1:{port}", routes=routes)]
        self.feed_class.websocket_endpoints = [self.endpoint(f"wss://127.0.0.1:{port}")]
        self.feed = self.feed_class(symbols=["BTC-USDT"], channels=list(self.channels),
                                    callbacks={self.channels[0]: self.on_book, self.channels[1]: self.on_ticker})
        self.feed.start(loop)
        await self.subscribed
        await self.feed._snapshot("BTCUSDT")
        return self.stamps.begin(count)

    async def on_book(self, book, receipt_timestamp):
        self.books += 1

    async def on_ticker(self, ticker, receipt_timestamp):
        self.tickers += 1

    async def close(self):
        self.feed.stop()
        await self.feed.shutdown()
        return {"messages": self.seen, "bytes": self.size, "books": self.books, "tickers": self.tickers}


class Ccxt:
    spins = False

    def __init__(self, stamps):
        import ccxt.pro
        owner = self

        class LocalBinance(ccxt.pro.binance):
            def handle_message(self, client, message):
                super().handle_message(client, message)
                if "stream" in message:
                    owner.seen += 1
                    owner.stamps.take()

        self.exchange_class, self.stamps = LocalBinance, stamps

    async def open(self, port, count, busy):
        self.seen, self.updates = 0, [0, 0, 0]
        self.exchange = e = self.exchange_class({"enableRateLimit": False, "newUpdates": True})
        e.options["fetchMarkets"] = {"types": ["spot"]}
        e.options["streamLimits"] = {**e.options["streamLimits"], "spot": 1}      # all streams on one connection
        e.urls["api"]["public"] = f"http://127.0.0.1:{port}/api/v3"
        e.urls["api"]["ws"]["spot"] = f"ws://127.0.0.1:{port}/stream"
        await e.load_markets()
        done = self.stamps.begin(count)
        loop = asyncio.get_running_loop()
        self.tasks = [loop.create_task(self.watch(i, call)) for i, call in enumerate((
            lambda: e.watch_order_book(SYMBOL), lambda: e.watch_bids_asks([SYMBOL]), lambda: e.watch_trades(SYMBOL)))]
        for _ in range(1000):
            if SYMBOL in e.orderbooks and e.orderbooks[SYMBOL].get("nonce"):
                break
            await asyncio.sleep(0.005)
        else:
            raise RuntimeError("ccxt: expected the book's snapshot within 5 s, found none")
        await asyncio.sleep(0.05)
        return done

    async def watch(self, i, call):
        while True:
            await call()
            self.updates[i] += 1

    async def close(self):
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        book = self.exchange.orderbooks[SYMBOL]
        await self.exchange.close()
        return {"messages": self.seen, "bytes": 0, "updates": self.updates, "nonce": book["nonce"]}


async def get(port, path):
    """The body of a GET."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    size = int(next(line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")))
    body = await reader.readexactly(size)
    writer.close()
    return body


CLIENTS = {"websockets": Websockets, "cryptofeed": Cryptofeed, "ccxt": Ccxt}


def versions():
    """{peer: version} of those that are installed."""
    found = {}
    for name, packages in PACKAGES.items():
        try:
            found[name] = " ".join(f"{p} {version(p)}" if len(packages) > 1 else version(p) for p in packages)
        except PackageNotFoundError:
            pass
    return found


def main():
    if sys.argv[1] == "versions":
        print(json.dumps(versions()))
        return
    import uvloop
    name, core, stamps_path = sys.argv[1:]
    logging.disable(logging.CRITICAL)
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    serve(CLIENTS[name](Stamps(stamps_path)), int(core), loop)


if __name__ == "__main__":
    main()
