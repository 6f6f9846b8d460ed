"""Streams of the exchange's own market that are sent at a pace: candles, tickers, average and mark prices, liquidations.

What has not changed is not sent again. Paces are the venue's: developers.binance.com "WebSocket Streams" (spot), "WebSocket
Market Streams" (USDS-M), seen 2026-11-22.
"""
from tickpath_sim.protocols.base import DATA
from tickpath_sim.trading.candles import DAY_MS, HOUR_MS, next_open_ms, open_ms_of

__all__ = ["PacedStreams"]

# Channel -> pace in ms.
PACES = {"spot": {"kline": 2000, "kline_1s": 1000, "miniTicker": 1000, "ticker": 1000, "window": 1000, "avgPrice": 1000,
                  "array": 1000},
         "usdm": {"kline": 250, "miniTicker": 500, "ticker": 2000, "array": 1000, "books": 5000, "markPrice": 3000,
                  "markPrice@1s": 1000, "forceOrder": 1000}}
WINDOWS_MS = {"1h": HOUR_MS, "4h": 4 * HOUR_MS, "1d": DAY_MS}
UTC8_MS = 8 * HOUR_MS


class _Stream:
    """A stream that somebody listens to and that is sent at a pace.

    mark : what was last sent of it, so that nothing is sent twice.  slot : number of the period in which it was last looked at.
    """
    __slots__ = ("key", "make", "argument", "name", "period_ms", "slot", "mark")

    def __init__(self, key, make, argument, name, period_ms, slot):
        self.key, self.make, self.argument, self.name = key, make, argument, name
        self.period_ms, self.slot, self.mark = period_ms, slot, None


class PacedStreams:
    """Parameters: market : OwnMarket.

    `marks`: symbol -> (mark, index, estimate, rate, next funding).  `liquidations`: symbol -> (time, message) of the last one.
    """

    def __init__(self, market):
        self.market = market
        self.marks, self.liquidations = {}, {}
        self._streams = {}                  # key -> _Stream, of those that are listened to

    def send(self, now_ms, listeners):
        """Send what has become due of what is listened to."""
        streams = self._streams
        for key in [key for key in streams if key not in listeners]:
            del streams[key]
        for key in list(listeners):
            stream = streams.get(key)
            if stream is None:
                stream = streams[key] = self._stream(key, now_ms)
            if stream.make is None:
                continue
            slot = now_ms // stream.period_ms
            is_due = slot != stream.slot
            if is_due or stream.make == self._klines:
                stream.slot = slot
                stream.make(stream, now_ms, is_due)

    def _stream(self, key, now_ms):
        """What is to be done for a key, by its name."""
        name, _, channel = key.partition("@")
        paces = PACES[self.market.kind]
        make = argument = None
        pace = "array"
        if name.startswith("!"):
            if name == "!bookTicker":
                make, pace = self._all_books, "books"
            elif name in ("!markPrice", "!forceOrder"):
                make = self._all_marks if name == "!markPrice" else self._liquidation
                pace = name[1:] + ("@1s" if channel.endswith("@1s") else "")
            else:
                make, argument = self._array, name[1:]
        elif channel.startswith("kline_"):
            interval, _, zone = channel.removeprefix("kline_").partition("@")
            make, argument = self._klines, (interval, UTC8_MS if zone else 0)
            pace = "kline_1s" if interval == "1s" else "kline"
        elif channel in ("ticker", "miniTicker"):
            make, argument, pace = self._ticker, channel, channel
        elif channel.startswith("ticker_"):
            make, argument, pace = self._ticker, channel, "window"
        elif channel == "avgPrice":
            make, pace = self._average, "avgPrice"
        elif channel.startswith("markPrice"):
            make, pace = self._mark, channel
        elif channel == "forceOrder":
            make, pace = self._liquidation, channel
        period_ms = paces[pace] if make else None
        book = self.market.by_name.get(name.upper())
        return _Stream(key, make, argument, book.name if book else None, period_ms, now_ms // period_ms if make else None)

    def _klines(self, stream, now_ms, is_due):
        """The candle of the moment when it has changed, and at once the last word of one that is over."""
        interval, offset_ms = stream.argument
        candles = self.market.tape(stream.name).candles
        newest = candles.newest("1s")
        if newest is None:
            return
        open_ms, count = stream.mark or (None, None)
        if open_ms is not None and now_ms >= next_open_ms(interval, open_ms, offset_ms):
            rows = candles.rows(interval, now_ms, start_ms=open_ms, limit=candles.closed[interval].maxlen, offset_ms=offset_ms)
            for candle in rows[:-1]:
                self._send_kline(stream, now_ms, interval, candle, True, offset_ms)
            open_ms, count = (rows[-1].open_ms if rows else open_ms_of(interval, now_ms, offset_ms)), None
            stream.mark = open_ms, count
        if is_due:
            candle = candles.current(interval, now_ms, offset_ms)
            if candle is not None and (candle.open_ms, candle.count) != (open_ms, count):
                stream.mark = candle.open_ms, candle.count
                self._send_kline(stream, now_ms, interval, candle, False, offset_ms)

    def _send_kline(self, stream, now_ms, interval, candle, is_closed, offset_ms):
        self.market.send(stream.key, DATA, stream.name,
                         self.market.text.kline(stream.name, now_ms, interval, candle, is_closed, offset_ms))

    def _ticker_text(self, name, channel, now_ms):
        """A ticker's message, None before the first trade."""
        tape = self.market.tape(name)
        stats = tape.candles.stats(now_ms, WINDOWS_MS[channel.removeprefix("ticker_")] if "_" in channel else DAY_MS)
        if stats is None:
            return None
        if channel == "miniTicker":
            return self.market.text.mini_ticker(name, now_ms, stats)
        if channel == "ticker":
            bid, ask = self.market.by_name[name].best_texts()
            stats = stats._replace(open_ms=now_ms - DAY_MS, close_ms=now_ms)
            return self.market.text.ticker(name, now_ms, stats, tape.last.qty_e8, bid, ask)
        return self.market.text.window_ticker(name, now_ms, channel.removeprefix("ticker_"), stats)

    def _state(self, name, channel):
        """What a ticker shows: when it is the same, nothing needs to be sent."""
        book, last = self.market.by_name[name], self.market.tape(name).last
        return last.id if last else None, book.update_id if channel == "ticker" and self.market.kind == "spot" else None

    def _ticker(self, stream, now_ms, is_due):
        state = self._state(stream.name, stream.argument)
        if state != stream.mark and (raw := self._ticker_text(stream.name, stream.argument, now_ms)) is not None:
            stream.mark = state
            self.market.send(stream.key, DATA, stream.name, raw)

    def _array(self, stream, now_ms, is_due):
        """One message of all symbols whose ticker has changed."""
        sent = stream.mark = stream.mark or {}
        texts = []
        for book in self.market.books:
            state = self._state(book.name, stream.argument)
            if sent.get(book.name) != state and (raw := self._ticker_text(book.name, stream.argument, now_ms)) is not None:
                sent[book.name] = state
                texts.append(raw)
        if texts:
            self.market.send(stream.key, DATA, None, b"[" + b",".join(texts) + b"]")

    def _all_books(self, stream, now_ms, is_due):
        sent = stream.mark = stream.mark or {}
        for book in self.market.books:
            if sent.get(book.name) != book.best:
                sent[book.name] = list(book.best)
                self.market.send(stream.key, DATA, None, self.market.text.book_ticker(
                    book.name, now_ms, book.changed_ms, book.update_id, *book.best_texts()))

    def _average(self, stream, now_ms, is_due):
        tape = self.market.tape(stream.name)
        state = tape.average_e8(now_ms), tape.last.time_ms if tape.last else 0
        if state != stream.mark and state[0]:
            stream.mark = state
            self.market.send(stream.key, DATA, stream.name, self.market.text.avg_price(stream.name, now_ms, *state))

    def _mark(self, stream, now_ms, is_due):
        mark = self.marks.get(stream.name)
        if mark is not None:
            self.market.send(stream.key, DATA, stream.name, self.market.text.mark_price(stream.name, now_ms, *mark))

    def _all_marks(self, stream, now_ms, is_due):
        if self.marks:
            texts = [self.market.text.mark_price(name, now_ms, *mark) for name, mark in self.marks.items()]
            self.market.send(stream.key, DATA, None, b"[" + b",".join(texts) + b"]")

    def _liquidation(self, stream, now_ms, is_due):
        sent = stream.mark = stream.mark or {}
        for name in [stream.name] if stream.name else list(self.liquidations):
            found = self.liquidations.get(name)
            # Who subscribes later than it happened does not hear of it.
            if found is not None and found != sent.get(name) and now_ms - found[0] <= 2 * stream.period_ms:
                sent[name] = found
                self.market.send(stream.key, DATA, stream.name, found[1])
