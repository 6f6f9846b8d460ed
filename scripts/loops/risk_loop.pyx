"""risk_check as engine.pyx calls it, through the pointer that a cimport gives: orders that pass every check, and are counted
against the rate as an accepted order is."""
import time

from libc.stdint cimport int64_t
from libc.stdlib cimport calloc, free
from tickpath.market.book cimport SIDE_ASKS, SIDE_BIDS, Book, OrderBook
from tickpath.market.instruments cimport Instrument
from tickpath.signals.state cimport Top
from tickpath.trading.orders cimport OrderTable
from tickpath.trading.positions cimport Position
from tickpath.trading.risk cimport RiskState, risk_check, risk_note_order
from tickpath.trading.strategy cimport Action
from tickpath.types cimport REASON_OK, TRADING_NORMAL

cdef enum: ORDERS = 1024              # different ones, in turn


cdef int64_t check_all(RiskState* r, const Action* actions, const Instrument* item, const Book* book, const Top* top,
                       const Position* account, const OrderTable* orders, int64_t now_ns, int64_t step_ns,
                       int64_t count) noexcept nogil:
    """How many passed; one order each step_ns."""
    cdef int64_t passed = 0, i
    for i in range(count):
        now_ns += step_ns
        passed += risk_check(r, &actions[i & (ORDERS - 1)], item, book, top, account, orders, now_ns) == REASON_OK
        risk_note_order(r, now_ns)
    return passed


cdef class Desk:
    """One instrument's state in the middle of a trading day: a position, open orders on both sides, a full minute of orders
    behind. limits: the keys of an engine specification's instrument; a limit set too low shows that its check is there."""
    cdef RiskState* risk
    cdef OrderTable* orders
    cdef Position account
    cdef Instrument item
    cdef Top top
    cdef OrderBook book
    cdef Action[1024] actions
    cdef int64_t now_ns
    cdef int64_t step_ns

    def __cinit__(self, OrderBook book, dict limits, int64_t step_ns=2_000_000):
        cdef int i
        self.risk = <RiskState*>calloc(1, sizeof(RiskState))
        self.orders = <OrderTable*>calloc(1, sizeof(OrderTable))
        if self.risk == NULL or self.orders == NULL:
            raise MemoryError()
        self.book, self.step_ns = book, step_ns
        self.now_ns = book.book.ts_recv_ns
        self.top.bid_price_ticks = book.book.sides[SIDE_BIDS].best_ticks
        self.top.ask_price_ticks = book.book.sides[SIDE_ASKS].best_ticks
        self.top.ts_recv_ns = self.now_ns
        self.top.state = self.book.book.state
        self.item.min_notional_ticklots = limits["min_notional_ticklots"]
        self.risk.limits[0].max_order_qty_lots = limits["max_order_qty_lots"]
        self.risk.limits[0].max_order_notional_ticklots = limits["max_order_notional_ticklots"]
        self.risk.limits[0].max_position_notional_ticklots = limits["max_position_notional_ticklots"]
        self.risk.limits[0].qty_step_lots = limits["qty_step_lots"]
        self.risk.limits[0].price_collar_e2_bps = limits["price_collar_e2_bps"]
        self.risk.limits[0].max_open_orders = limits["max_open_orders"]
        self.risk.max_data_age_ns = limits["max_data_age_ns"]
        self.risk.max_orders_per_min = limits["max_orders_per_min"]
        self.risk.trading_state = limits.get("trading_state", TRADING_NORMAL)
        self.account.position_lots = 5000
        self.orders.open_count = self.orders.open_count_by_instrument[0] = 8
        self.orders.open_buy_lots[0] = self.orders.open_sell_lots[0] = 4000
        for i in range(ORDERS):
            self.actions[i].side = <unsigned char>(1 + (i * 40503 >> 7 & 1))            # SIDE_BUY, SIDE_SELL
            self.actions[i].order_type = 2                                               # ORDER_TYPE_LIMIT
            self.actions[i].time_in_force = 1 if i & 3 else 3                            # GTC, IOC
            self.actions[i].qty_lots = limits["qty_step_lots"] * (1 + (i * 7919 & 63))
            self.actions[i].price_ticks = self.top.bid_price_ticks + (i * 7919 & 1023) - 512

    def __dealloc__(self):
        free(self.risk)
        free(self.orders)

    def run(self, int64_t count):
        """(ns, orders that passed); the book's time moves with the orders' at the end of each call."""
        begin = time.perf_counter_ns()
        with nogil:
            passed = check_all(self.risk, self.actions, &self.item, &self.book.book, &self.top, &self.account, self.orders,
                               self.now_ns, self.step_ns, count)
        elapsed = time.perf_counter_ns() - begin
        self.now_ns += self.step_ns * count
        self.top.ts_recv_ns = self.now_ns
        return elapsed, passed

    def reason(self):
        """The Reason for the first order."""
        return risk_check(self.risk, self.actions, &self.item, &self.book.book, &self.top, &self.account, self.orders,
                          self.now_ns + self.step_ns)
