"""What a ccxt worker does for each channel of each instrument: a coroutine that streams or polls until it is cancelled.

A stream is ccxt.pro's, where `exchange.has` says so and the transport is auto or ws; else the call is repeated every
`poll_interval_ms`, behind ccxt's own rate limiter. Whatever goes wrong in ccxt is waited out (reach.py).
"""
import asyncio
import hashlib
import time
from collections import OrderedDict

from tickpath.venues.ccxt_frame import TS_NONE, FrameError
from tickpathd.ccxt_exchange import InexactNumber, number_text, request_began_ns

__all__ = ["BOOK_TASKS", "TASKS"]

SILENT_AFTER_S = 30.0             # a stream without a message for so long is opened anew, unless the configuration says when
TRADE_IDS_KEPT = 4096             # of an instrument: more than any exchange's page of trades
CANDLE_GRACE_S = 0.5              # after a candle's close, until the exchange has it
CANDLES_ASKED = 3
# What a row of an exchange that is not what ccxt promises does to the code below.
ODD = (FrameError, InexactNumber, TypeError, KeyError, IndexError, ValueError)


def ts_ns(milliseconds):
    return TS_NONE if milliseconds is None else int(milliseconds) * 1_000_000


class Channel:
    """One channel of one instrument. Subclasses say how it is fetched, watched and sent."""
    channel = watch_has = fetch_has = ""

    def __init__(self, worker, number, item):
        self.worker, self.item = worker, item
        self.exchange, self.lane, self.settings = worker.exchange, worker.lane, worker.settings
        self.sender = worker.senders[number]
        self.key = (item.symbol, self.channel)
        self.odd_said = False

    async def fetch(self):
        raise NotImplementedError

    async def watch(self):
        raise NotImplementedError

    def send(self, answer, as_of_ns):
        """as_of_ns : monotonic, of what the answer is as old as."""
        raise NotImplementedError

    def take(self, answer, as_of_ns):
        try:
            self.send(answer, as_of_ns)
        except ODD as e:
            # Not sent, and so not fresh: the gate sees it by its age.
            self.lane.refuse()
            if not self.odd_said:
                self.odd_said = True
                self.worker.reach.say(self.key, f"refused: {e}")
        else:
            self.odd_said = False

    async def stream(self):
        silent_after_s = self.settings.silent_after_ms / 1000 or SILENT_AFTER_S
        while True:
            try:
                answer = await asyncio.wait_for(self.watch(), silent_after_s)
            except asyncio.CancelledError:
                # ccxt cancels what waits for a line that it closes; only a task that was itself cancelled ends.
                if asyncio.current_task().cancelling():
                    raise
                await asyncio.sleep(self.worker.reach.down(self.key, ConnectionError("the line was closed")))
            except Exception as e:
                pause_s = self.worker.reach.down(self.key, e if str(e) else TimeoutError(f"no message for {silent_after_s:g} s"))
                if isinstance(e, TimeoutError):
                    # Perhaps the line is dead and does not know it: all of the exchange's are opened anew.
                    await self.exchange.close_ws_clients()
                await asyncio.sleep(pause_s)
            else:
                now_ns = time.monotonic_ns()
                self.worker.reach.up(self.key)
                self.take(answer, now_ns)

    async def poll(self):
        interval_s = self.settings.poll_interval_ms / 1000
        while True:
            began_ns = time.monotonic_ns()
            answer = await self.worker.reach.keep(self.key, self.fetch)
            self.take(answer, request_began_ns(began_ns))
            await asyncio.sleep(max(0.0, interval_s - (time.monotonic_ns() - began_ns) / 1e9))


class Book(Channel):
    channel, watch_has, fetch_has = "book", "watchOrderBook", "fetchOrderBook"
    limit_refused = False

    async def fetch(self):
        if not self.limit_refused:
            try:
                return await self.exchange.fetch_order_book(self.item.symbol, self.settings.depth)
            except Exception as e:
                # Some exchanges take a few depths only; without one they give their own.
                if {"NetworkError", "OperationFailed"} & {cls.__name__ for cls in type(e).__mro__}:
                    raise
                self.limit_refused = True
        return await self.exchange.fetch_order_book(self.item.symbol)

    async def watch(self):
        return await self.exchange.watch_order_book(self.item.symbol)

    def send(self, answer, as_of_ns):
        bids, asks = ([(number_text(row[0]), number_text(row[1])) for row in answer[side][:self.settings.depth]]
                      for side in ("bids", "asks"))
        self.sender.send(bids, asks, ts_venue_ns=ts_ns(answer.get("timestamp")), as_of_ns=as_of_ns)


class Trades(Channel):
    channel, watch_has, fetch_has = "trades", "watchTrades", "fetchTrades"

    def __init__(self, worker, number, item):
        super().__init__(worker, number, item)
        self.known = OrderedDict()
        self.started_ms = time.time_ns() // 1_000_000
        self.seeded = False

    async def fetch(self):
        return await self.exchange.fetch_trades(self.item.symbol)

    async def watch(self):
        return await self.exchange.watch_trades(self.item.symbol)

    def send(self, answer, as_of_ns):
        rows = []
        for trade in answer:
            name = trade.get("id") or f"{trade['timestamp']} {trade['side']} {trade['price']} {trade['amount']}"
            if name in self.known:
                self.known.move_to_end(name)
                continue
            self.known[name] = None
            if not self.seeded:
                continue                  # the first page is history: what comes after it is news
            rows.append((number_text(trade["price"]), number_text(trade["amount"]), trade_number(name),
                         ts_ns(trade["timestamp"]), trade["side"] == "sell"))
        while len(self.known) > TRADE_IDS_KEPT:
            self.known.popitem(last=False)
        if rows:
            self.lane.send(self.sender.encoder.trades(max(1, self.sender.sequence), rows))
        self.seeded = True

    async def stream(self):
        self.seeded = True                # a stream has no history
        self.exchange.newUpdates = True
        await super().stream()


class Quotes(Channel):
    channel, watch_has, fetch_has = "quotes", "watchTicker", "fetchTicker"

    async def fetch(self):
        return await self.exchange.fetch_ticker(self.item.symbol)

    async def watch(self):
        return await self.exchange.watch_ticker(self.item.symbol)

    def send(self, answer, as_of_ns):
        numbers = [number_text(answer[key]) for key in ("bid", "bidVolume", "ask", "askVolume")]
        self.sender.sequence += 1
        self.lane.send(self.sender.encoder.quote(self.sender.sequence, *numbers, ts_venue_ns=ts_ns(answer.get("timestamp")),
                                                 age_ns=max(0, time.monotonic_ns() - as_of_ns)))


class Candles(Channel):
    """The exchange's own closed candles, fetched once after each close."""
    channel, fetch_has = "candles", "fetchOHLCV"

    async def fetch(self):
        return await self.exchange.fetch_ohlcv(self.item.symbol, self.settings.candle_interval, None, CANDLES_ASKED)

    async def poll(self):
        interval_s = self.exchange.parse_timeframe(self.settings.candle_interval)
        self.interval_ns, self.last_open_ns = int(interval_s * 1e9), 0
        while True:
            answer = await self.worker.reach.keep(self.key, self.fetch)
            self.take(answer, time.monotonic_ns())
            now_s = time.time()
            await asyncio.sleep(interval_s - now_s % interval_s + CANDLE_GRACE_S)

    def send(self, answer, as_of_ns):
        now_ns, rows = time.time_ns(), []
        for row in answer:
            open_ns = int(row[0]) * 1_000_000         # ccxt labels a candle by its open time, ms
            if open_ns > self.last_open_ns and open_ns + self.interval_ns <= now_ns:
                rows.append((open_ns, self.interval_ns, [number_text(n) for n in row[1:5]], number_text(row[5]), True))
        if rows and self.lane.send(self.sender.encoder.candles(max(1, self.sender.sequence), rows)):
            self.last_open_ns = rows[-1][0]


def trade_number(name):
    """A trade id as 64 bits: the number itself where it is one, else a hash of its text."""
    if name.isdecimal() and len(name) < 19:
        return int(name)
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little") or 1


def _task(cls):
    def task(worker, number, item):
        has, transport = worker.exchange.has, worker.settings.transport
        if transport != "rest" and cls.watch_has and has.get(cls.watch_has):
            return cls(worker, number, item).stream()
        if (transport != "ws" or not cls.watch_has) and has.get(cls.fetch_has):
            return cls(worker, number, item).poll()
        worker.reach.say((item.symbol, cls.channel), f"{worker.ccxt_id} does not offer it over {transport}")
        return None
    return task


TASKS = {cls.channel: _task(cls) for cls in (Book, Trades, Quotes, Candles)}
BOOK_TASKS = {"rest": lambda worker, number, item: Book(worker, number, item).poll()}
