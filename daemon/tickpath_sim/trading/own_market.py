"""The public market made from the exchange's own book: every stream of Binance spot and USD-M, and what REST answers.

    exchange.drain() -> on_events: LEVEL -> books, bookTicker;  PUBLIC_TRADE -> tape, trade, aggTrade
    every 10 ms      -> on_time:   diff streams at the end of their windows, candles, tickers

Messages go out by `server.publish`, as those of a capture do, so that subscriptions, sessions and faults are the same.
A message is made only when somebody listens; books, tape and the truth are always kept.

Paces are the venue's: developers.binance.com "WebSocket Streams" (spot), "WebSocket Market Streams" (USDS-M), seen 2026-11-22.
"""
from tickpath.sim.exchange import SimEventKind
from tickpath.types import Side
from tickpath_sim.protocols.base import BOOK, DATA, Event
from tickpath_sim.trading.market_view import MarketView
from tickpath_sim.trading.own_market_book import OwnBook
from tickpath_sim.trading.own_market_paced import PacedStreams
from tickpath_sim.trading.own_market_text import SpotText, UsdmText
from tickpath_sim.trading.tape import Aggregator, Trade

__all__ = ["OwnMarket"]

LEVEL, PUBLIC_TRADE = int(SimEventKind.LEVEL), int(SimEventKind.PUBLIC_TRADE)
BUY = int(Side.SIDE_BUY)
# Suffix of each diff stream's key and its pace in ms; the first is the one that the truth follows.
PERIODS = {"spot": (("@100ms", 100), ("", 1000)),
           "usdm": (("@100ms", 100), ("@0ms", 0), ("", 250), ("@500ms", 500))}
AGGREGATE_MS = 100                      # USD-M's aggregates
# So many events are put aside at most.
ASIDE_MAX = 20_000


class OwnMarket(MarketView):
    """Parameters: venue : TradingVenue: kind, symbols, by_instrument, exchange, now_ns.

    `start(server)` is called once the server is there. Then `on_events` hears every batch that the exchange drains, and
    `on_time` is called every 10 ms.
    """

    def __init__(self, venue):
        super().__init__(venue.kind, venue.symbols)
        self._aside = []                    # events that are not in the books yet, while nobody listens
        self.venue = venue
        self.text = SpotText(self) if venue.kind == "spot" else UsdmText(self)
        self.server = self.protocol = None
        self._listeners = {}
        self._publish = None
        self.books = [OwnBook(symbol, PERIODS[venue.kind]) for symbol in venue.by_instrument]
        self.by_name = {book.name: book for book in self.books}
        self._aggregators = [Aggregator(venue.kind == "spot") for _ in self.books]
        self._scale = [(symbol.tick_units, symbol.lot_units) for symbol in venue.by_instrument]
        self._tape_of = [self.tape(book.name) for book in self.books]
        self._touched = {}                  # books that have changed in this batch, by number
        self._traded = {}                   # instruments that have traded in this batch
        self.paced = PacedStreams(self)
        self._slots = {}                    # period in ms -> number of the last period that is over

    # ---- life

    def start(self, server):
        """Take the books as they stand and begin to publish."""
        self.server, self.protocol = server, server.protocol
        self.protocol.market = self
        self._listeners, self._publish = server.listeners, server.publish
        self.old_snapshot = server.injector.take_old_snapshot
        for number, book in enumerate(self.books):
            bids, asks = self.venue.exchange.depth(number, 1 << 20)
            book.load(bids, asks)
            item = self.protocol.instruments[book.name]
            item.book.load(*book.rows())
            item.book.sequence = book.update_id
            item.start = (*book.rows(), book.update_id)
        self._slots = {period_ms: self._now_ms() // period_ms for period_ms in (10, AGGREGATE_MS)}

    def _now_ms(self):
        return self.venue.now_ns() // 1_000_000

    def send(self, key, kind, name, raw, **rows):
        """Publish a message of a stream; `name` is None for one of all symbols."""
        item = self.protocol.instruments[name] if name else None
        event = Event(key, item, kind, raw, **rows)
        self.server.player.events += 1
        event.index = self.server.player.events
        self._publish(event)

    # ---- what the exchange did

    def on_events(self, events):
        """A batch of SimEvents in order."""
        if not self._listeners:
            # Nobody would hear of it now: it is put aside until somebody asks, or until the next turn of the clock.
            self._aside += events
            if len(self._aside) > ASIDE_MAX:
                self._fold()
            return
        if self._aside:
            self._fold()
        listeners, books, touched = self._listeners, self.books, self._touched
        for event in events:
            kind = event.kind
            if kind == LEVEL:
                book = books[event.instrument]
                touched[event.instrument] = book
                if (book.apply(event.side == BUY, event.price_ticks, event.qty_lots, event.ts_ns)
                        and book.quote_key in listeners):
                    self.send(book.quote_key, DATA, book.name, self.text.book_ticker(
                        book.name, self._now_ms(), book.changed_ms, book.update_id, *book.best_texts()))
            elif kind == PUBLIC_TRADE:
                self._on_trade(event)
        if self._traded:
            self._end_takers()
        if touched:
            if self.kind == "usdm":
                self._send_realtime_diffs()
            touched.clear()

    def _fold(self):
        """Bring books and tape up to date with what was put aside. Of the changes of a level only the last one counts."""
        events, self._aside = self._aside, []
        # Who has come since then does not hear of what was before.
        listeners, self._listeners = self._listeners, {}
        levels, counts = {}, {}
        for event in events:
            kind = event.kind
            if kind == LEVEL:
                number = event.instrument
                levels[number, event.side, event.price_ticks] = event
                counts[number] = counts.get(number, 0) + 1
            elif kind == PUBLIC_TRADE:
                self._on_trade(event)
        for (number, side, price_ticks), event in levels.items():
            self.books[number].apply(side == BUY, price_ticks, event.qty_lots, event.ts_ns)
            counts[number] -= 1
        for number, count in counts.items():
            self.books[number].update_id += count
            self.books[number].changed_ns = events[-1].ts_ns
        if self._traded:
            self._end_takers()
        self._listeners = listeners

    def _end_takers(self):
        """One call of the exchange is one taker: spot's aggregates are whole when the batch is."""
        if self.kind == "spot":
            for number in self._traded:
                self._send_aggregates(number, self._aggregators[number].take())
        self._traded.clear()

    def _on_trade(self, event):
        number = event.instrument
        book, (tick_units, lot_units) = self.books[number], self._scale[number]
        trade = Trade(event.trade_id, event.price_ticks * tick_units, event.qty_lots * lot_units, event.ts_ns // 1_000_000,
                      bool(event.is_maker), event.order_id, event.counter_order_id)
        self._tape_of[number].add(trade)
        self._traded[number] = None
        ended = self._aggregators[number].add(trade)
        if ended:
            self._send_aggregates(number, ended)
        if book.trade_key in self._listeners:
            self.send(book.trade_key, DATA, book.name, self.text.trade(book.name, self._now_ms(), trade))

    def _send_aggregates(self, number, aggregates):
        if not aggregates:
            return
        book = self.books[number]
        self._tape_of[number].agg_trades.extend(aggregates)
        if book.aggregate_key in self._listeners:
            now_ms = self._now_ms()
            for aggregate in aggregates:
                self.send(book.aggregate_key, DATA, book.name, self.text.agg_trade(book.name, now_ms, aggregate))

    # ---- the clock

    def on_time(self, now_ns):
        """Send what has become due. Called often; each stream keeps its own pace."""
        now_ms = now_ns // 1_000_000
        if not self._over(10, now_ms):
            return
        if self._aside:
            self._fold()
        for book in self.books:
            self._send_diffs(book, now_ms)
        if self.kind == "usdm" and self._over(AGGREGATE_MS, now_ms):
            for number, aggregator in enumerate(self._aggregators):
                self._send_aggregates(number, aggregator.take())
        self.paced.send(now_ms, self._listeners)

    def _over(self, period_ms, now_ms):
        """Whether a period has ended since this was last asked of it."""
        slot = now_ms // period_ms
        if self._slots.get(period_ms) == slot:
            return False
        self._slots[period_ms] = slot
        return True

    def flush(self, name=None):
        """End the first window of every book now, as if its time were over. Returns how many changes of the named one went out,
        or of all."""
        if self._aside:
            self._fold()
        now_ms = self._now_ms()
        return sum(self._send_window(book, book.windows[0], now_ms) for book in self.books if name in (None, book.name))

    def _send_diffs(self, book, now_ms):
        """The windows of a book that are over, first that which the truth follows."""
        book.listen(self._listeners)
        for window in book.active:
            if window.period_ms and self._slots.get(window.key) != now_ms // window.period_ms:
                self._slots[window.key] = now_ms // window.period_ms
                self._send_window(book, window, now_ms)

    def _send_realtime_diffs(self):
        """USD-M's streams without a window."""
        for book in self._touched.values():
            for window in book.active:
                if not window.period_ms:
                    self._send_window(book, window, self._now_ms())

    def _send_window(self, book, window, now_ms):
        taken = book.take(window)
        if taken is None:
            return 0
        first, last, before, bids, asks = taken
        raw = self.text.diff(book.name, now_ms, book.changed_ms, first, last, before, bids, asks)
        ids = {"U": first, "u": last}
        if self.kind == "usdm":
            ids["pu"] = before
        self.send(window.key, BOOK, book.name, raw, bids=bids, asks=asks, sequence=last, ids=ids)
        return 1

    # ---- futures: told by the margin side

    def publish_mark(self, name, mark_e8, index_e8, estimated_e8, rate_e8, next_funding_ms):
        """The mark price of a symbol is now so; its streams send it at their paces. Prices 1e-8, rate a fraction of 1e-8."""
        self.paced.marks[name] = mark_e8, index_e8, estimated_e8, rate_e8, next_funding_ms

    def publish_liquidation(self, name, order_text, now_ms):
        """A liquidation order, the JSON object of a forceOrder's "o" as text. Of several within a second the last is sent."""
        self.paced.liquidations[name] = (now_ms, f'{{"e":"forceOrder","E":{now_ms},"o":{order_text}}}'.encode())

    # ---- MarketView

    def tape(self, name):
        if self._aside:
            self._fold()
        return super().tape(name)

    def depth(self, name, limit):
        if self._aside:
            self._fold()
        book = self.by_name[name]
        item = self.protocol.instruments[name] if self.protocol else None
        if item is not None and self.old_snapshot is not None and self.old_snapshot(item):
            bids, asks, sequence = item.start
            return sequence - 1, bids[:limit], asks[:limit]
        return book.update_id, *self.rows(name, limit)

    def rows(self, name, count):
        """(bids, asks) of this moment as the clients see them, best first."""
        if self._aside:
            self._fold()
        bids, asks = self.by_name[name].rows(count)
        item = self.protocol.instruments[name] if self.protocol else None
        if item is not None and item.price_shift:
            bids, asks = item.moved(bids), item.moved(asks)
        return bids, asks

    def best(self, name):
        if self._aside:
            self._fold()
        book = self.by_name[name]
        return tuple(text if best else None for text, best in zip(book.best_texts(), book.best, strict=True))
