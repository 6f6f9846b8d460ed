"""Recorded markets of an exchange, fed from Python: the mixin of tickpath.sim.exchange.Exchange.

    x.record_market(btcusdt, "proportional")
    x.market_levels(btcusdt, SIDE_SELL, [10001, 10002], [500, 700], now_ns, snapshot=True)
    x.market_top(btcusdt, 10000, 300, 10001, 500, now_ns)
    x.market_trade(btcusdt, 10001, 200, False, now_ns)          # a buyer took 200 lots

Orders then trade with what is displayed, and resting ones are filled by prints and by a book that comes to them
(docs/simulation.md). Whatever happened waits in x.drain().
"""
from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.stdlib cimport calloc, free

from tickpath.market.book cimport BOOK_APPLIED, BOOK_SYNCED, SIDE_ASKS, SIDE_BIDS, book_apply, book_next_level, book_qty_at
from tickpath.sim.core cimport exchange_advance, exchange_finish, exchange_order, exchange_print
from tickpath.sim.exchange_base cimport ExchangeBase
from tickpath.sim.order_queues cimport SimOrder
from tickpath.sim.queue_models cimport QUEUE_L3, QueuePlace
from tickpath.sim.recorded cimport (
    MarketSettings, RecordedMarket, recorded_new_owned, recorded_on_levels, recorded_on_snapshot, recorded_on_top,
    recorded_on_trade, recorded_place,
)
from tickpath.types cimport (
    BOOK_SYNCING, DELTA_ASK, DELTA_FIRST, DELTA_LAST, DELTA_NO_LEVEL, DELTA_SNAPSHOT, EV_BOOK_DELTA, PRICE_TICKS_NONE, BookDelta,
    Slot, SIDE_BUY, SIDE_SELL,
)
from tickpath.sim.queue_models import NAMES as QUEUE_MODELS

import numpy as np

cdef int64_t PRICE_MAX = (1 << 46) - 1
cdef int64_t LOTS_MAX = (1 << 52) - 1
LEVELS_MAX = 60_000                       # a side: more than any venue shows, less than the book's far map holds


cdef RecordedMarket* market_of(ExchangeBase b, int64_t instrument) except NULL:
    if not 0 <= instrument < b.x.instrument_count:
        raise ValueError(f"instrument: expected 0 to {b.x.instrument_count - 1}, found {instrument}")
    if b.x.instruments[instrument].recorded == NULL:
        raise ValueError(f"instrument {instrument}: expected one with a recorded market (record_market), found none")
    return <RecordedMarket*>b.x.instruments[instrument].recorded.market


cdef BookDelta* new_message(RecordedMarket* m, int side, bint whole, int32_t extra, int32_t* count) except NULL:
    """Records with room for `extra` levels; of a whole side, behind records that delete what it shows."""
    cdef int32_t n = <int32_t>(m.own_book.sides[side].level_count + m.own_book.sides[side].far_count) if whole else 0
    cdef BookDelta* d = <BookDelta*>calloc(n + extra + 1, sizeof(BookDelta))
    cdef int64_t p = m.own_book.sides[side].best_ticks
    cdef int32_t k = 0
    if d == NULL:
        raise MemoryError()
    while p != PRICE_TICKS_NONE and k < n:
        d[k].price_ticks = p
        k += 1
        p = book_next_level(&m.own_book, side, p)
    count[0] = k
    return d


cdef void top_from_book(RecordedMarket* m, uint64_t update_id) noexcept nogil:
    """The book is newer than the quote, unless both are numbered and say otherwise."""
    cdef int64_t bid = m.own_book.sides[SIDE_BIDS].best_ticks
    cdef int64_t ask = m.own_book.sides[SIDE_ASKS].best_ticks
    if update_id != 0 and update_id < m.own_top.update_id:
        return
    m.own_top.update_id = update_id
    m.own_top.bid_price_ticks = bid
    m.own_top.ask_price_ticks = ask
    m.own_top.bid_qty_lots = book_qty_at(&m.own_book, SIDE_BIDS, bid) if bid != PRICE_TICKS_NONE else 0
    m.own_top.ask_qty_lots = book_qty_at(&m.own_book, SIDE_ASKS, ask) if ask != PRICE_TICKS_NONE else 0


cdef void at_time(ExchangeBase b, int64_t now_ns) noexcept nogil:
    exchange_advance(b.x, now_ns)
    if now_ns > b.x.now_ns:
        b.x.now_ns = now_ns


cdef class _Quote:
    """One side of a quote, checked."""
    cdef int64_t price_ticks
    cdef int64_t qty_lots

    def __init__(self, str side, price, qty):
        self.price_ticks = PRICE_TICKS_NONE
        if price is None:
            return
        if not 0 < price <= PRICE_MAX or not 0 <= qty <= LOTS_MAX:
            raise ValueError(f"{side}: expected 1 to {PRICE_MAX} ticks, 0 to {LOTS_MAX} lots, found {price}, {qty}")
        self.price_ticks = price
        self.qty_lots = qty


class RecordedFace:
    """What an Exchange can do with recorded markets."""

    def record_market(self, instrument, queue_model="pessimistic", *, queue_power=3.0, impact_bps=0.0,
                      impact_half_life_ns=1_000_000_000, window_ticks=65536):
        """Give an instrument a recorded market, which its orders trade with from now on. Nothing is displayed yet.

        Parameters: instrument : its number.
                    queue_model : pessimistic, proportional, power, log or optimistic (docs/simulation.md).
                    queue_power : n of power.
                    impact_bps, impact_half_life_ns : how far the display stands back for every whole level taken, and after
                    how long half of that is gone.  window_ticks : fast part of the display, a power of two from 4096.
        Errors: ValueError, MemoryError. Orders must not rest in the instrument yet.
        """
        cdef ExchangeBase b = self
        cdef MarketSettings s
        if not 0 <= instrument < b.x.instrument_count:
            raise ValueError(f"instrument: expected 0 to {b.x.instrument_count - 1}, found {instrument}")
        if b.x.instruments[<int>instrument].recorded != NULL:
            raise ValueError(f"instrument {instrument}: expected one without a recorded market, found one")
        if b.x.instruments[<int>instrument].book[0].order_count + b.x.instruments[<int>instrument].book[1].order_count:
            raise ValueError(f"instrument {instrument}: expected no resting orders before its market is recorded")
        if queue_model not in QUEUE_MODELS or QUEUE_MODELS[queue_model] == QUEUE_L3:
            raise ValueError(f"queue_model: expected one of {sorted(set(QUEUE_MODELS) - {'l3'})}, found {queue_model!r}")
        if not 0 < queue_power <= 100:
            raise ValueError(f"queue_power: expected a number above 0, at most 100, found {queue_power}")
        if not 0 <= impact_bps <= 1000 or impact_half_life_ns <= 0:
            raise ValueError(f"impact: expected 0 to 1000 bps and a half-life, found {impact_bps}, {impact_half_life_ns}")
        if not 4096 <= window_ticks <= 1 << 24 or window_ticks & (window_ticks - 1):
            raise ValueError(f"window_ticks: expected a power of two from 4096 to {1 << 24}, found {window_ticks}")
        s.queue_model = QUEUE_MODELS[queue_model]
        s.queue_power = queue_power
        s.slippage_bps = 0
        s.impact_bps = impact_bps
        s.impact_half_life_ns = impact_half_life_ns
        if recorded_new_owned(b.x, instrument, window_ticks, s) == NULL:
            raise MemoryError()

    def market_levels(self, instrument, side, prices, qtys, now_ns, snapshot=False, *, update_id=0):
        """The market shows these quantities at these prices now; 0 = nothing there any more.

        Parameters: side : SIDE_BUY for bids, SIDE_SELL for asks.  prices, qtys : shape (n,), ticks and lots.
                    snapshot : this is the whole side, and nobody's place in a queue changes by it.
                    update_id : of the message, where quotes (market_top) are numbered too: then the newer of both is the best
                    price; 0 = what came last is.
        Errors: ValueError, MemoryError.
        """
        cdef ExchangeBase b = self
        cdef RecordedMarket* m = market_of(b, instrument)
        cdef const int64_t[::1] price = np.ascontiguousarray(prices, np.int64)
        cdef const int64_t[::1] qty = np.ascontiguousarray(qtys, np.int64)
        cdef int64_t now = now_ns
        cdef uint64_t id = update_id
        cdef int32_t n = <int32_t>price.shape[0], old = 0, k
        cdef int book_side, flags, result, number = instrument
        cdef bint whole = bool(snapshot)
        cdef BookDelta* d
        if side != SIDE_BUY and side != SIDE_SELL:
            raise ValueError(f"side: expected {SIDE_BUY} (bids) or {SIDE_SELL} (asks), found {side}")
        if price.shape[0] != qty.shape[0] or price.shape[0] > LEVELS_MAX:
            raise ValueError(f"expected two lists of one length, at most {LEVELS_MAX}, found {len(price)} and {len(qty)}")
        for k in range(n):
            if price[k] <= 0 or price[k] > PRICE_MAX or qty[k] < 0 or qty[k] > LOTS_MAX:
                raise ValueError(f"level {k}: expected 1 to {PRICE_MAX} ticks, 0 to {LOTS_MAX} lots, found {price[k]}, {qty[k]}")
        book_side = SIDE_BIDS if side == SIDE_BUY else SIDE_ASKS
        d = new_message(m, book_side, whole, n, &old)
        for k in range(n):
            d[old + k].price_ticks = price[k]
            d[old + k].qty_lots = qty[k]
        flags = (DELTA_ASK if book_side == SIDE_ASKS else 0) | (DELTA_SNAPSHOT if m.own_book.state == BOOK_SYNCING else 0)
        n += old
        if n == 0:
            n = 1
            flags |= DELTA_NO_LEVEL
        for k in range(n):
            d[k].type = EV_BOOK_DELTA
            d[k].flags = flags | (DELTA_FIRST if k == 0 else 0) | (DELTA_LAST if k == n - 1 else 0)
        with nogil:
            at_time(b, now)
            result = book_apply(&m.own_book, <const Slot*>d, n)
            if result == BOOK_APPLIED or result == BOOK_SYNCED:
                top_from_book(m, id)
                if whole:
                    recorded_on_snapshot(m)
                else:
                    recorded_on_levels(m, d, n, now)
                recorded_on_top(m, now)
                exchange_finish(b.x, number)
            free(d)
        if result != BOOK_APPLIED and result != BOOK_SYNCED:
            raise ValueError(f"instrument {instrument}: levels not taken (book result {result})")

    def market_top(self, instrument, bid, bid_qty, ask, ask_qty, now_ns, *, update_id=0):
        """The market's best prices and what stands there; a price of None is an empty side. update_id : as of market_levels."""
        cdef ExchangeBase b = self
        cdef RecordedMarket* m = market_of(b, instrument)
        cdef int64_t now = now_ns
        cdef uint64_t id = update_id
        cdef int number = instrument
        cdef _Quote bids = _Quote("bid", bid, bid_qty)
        cdef _Quote asks = _Quote("ask", ask, ask_qty)
        if id != 0 and id < m.own_top.update_id:
            return
        with nogil:
            at_time(b, now)
            m.own_top.update_id = id
            m.own_top.bid_price_ticks = bids.price_ticks
            m.own_top.bid_qty_lots = bids.qty_lots
            m.own_top.ask_price_ticks = asks.price_ticks
            m.own_top.ask_qty_lots = asks.qty_lots
            recorded_on_top(m, now)
            exchange_finish(b.x, number)

    def market_trade(self, instrument, price, qty, sell_aggressor, now_ns):
        """The market has traded qty lots at a price; sell_aggressor: the seller came to the buyer. Fills what it reaches, is the
        last price from then on and triggers what waits for it."""
        cdef ExchangeBase b = self
        cdef RecordedMarket* m = market_of(b, instrument)
        cdef int64_t price_ticks = price, lots = qty, now = now_ns
        cdef int number = instrument
        cdef bint sold = bool(sell_aggressor)
        if not 0 < price_ticks <= PRICE_MAX or not 0 < lots <= LOTS_MAX:
            raise ValueError(f"trade: expected 1 to {PRICE_MAX} ticks and 1 to {LOTS_MAX} lots, found {price}, {qty}")
        with nogil:
            at_time(b, now)
            recorded_on_trade(m, price_ticks, lots, sold, now)
            exchange_print(b.x, number, price_ticks, now)

    def queue_ahead(self, order_id):
        """Displayed lots that are taken to stand ahead of a resting order; None where it rests in no recorded market."""
        cdef ExchangeBase b = self
        cdef SimOrder* o = exchange_order(b.x, order_id)
        cdef QueuePlace* place
        if o == NULL or o.level < 0 or b.x.instruments[o.instrument].recorded == NULL:
            return None
        place = recorded_place(<RecordedMarket*>b.x.instruments[o.instrument].recorded.market, o.queue_ahead_lots)
        return None if place == NULL else place.ahead_lots
