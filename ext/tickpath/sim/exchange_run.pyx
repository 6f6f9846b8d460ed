"""Many requests at once, without Python in between: for tests, generated flows, and to measure."""
from libc.stdint cimport int32_t, int64_t, uint64_t, uint8_t

from tickpath.sim.core cimport (
    SIM_ACCOUNT_FIRST, SIM_ACTION_ADVANCE, SIM_ACTION_AMEND, SIM_ACTION_CANCEL, SIM_ACTION_CANCEL_ALL, SIM_ACTION_SUBMIT,
    SIM_REASON_BAD_REQUEST, SIM_REASON_OK, SIM_REASON_UNKNOWN_ACCOUNT, SimAction, SimExchange, SimResult, exchange_advance,
    exchange_amend, exchange_cancel, exchange_cancel_all, exchange_submit,
)
from tickpath.sim.exchange_base cimport ExchangeBase
from tickpath.sim.order_queues cimport SIM_INDEX_MASK, SimOrder, level_at, queue_find
from tickpath.types cimport SIDE_SELL

import numpy as np

from tickpath.sim.exchange_types import ACTION_DTYPE, RESULT_DTYPE

cdef extern from *:
    """
    /* The empty asm keeps the call: a function that does nothing but prefetch counts as one without effect, and gcc drops it. */
    static inline void tp_ask(const void *p) {
        __builtin_prefetch(p, 1);
        __asm__ volatile("");
    }
    """
    void prefetch "tp_ask"(const void* p) noexcept nogil

# Orders from which run() asks ahead: below, all of them are in the processor's caches.
cdef enum: LARGE_BOOK = 4096
# Events that are forgotten at a time.
cdef enum: EVENTS_KEPT = 64


cdef inline SimOrder* meant(const SimExchange* x, const SimAction* q, const SimResult* results, int64_t k) noexcept nogil:
    cdef uint64_t order_id = q.order_id
    if order_id == 0 and 0 <= q.target < k:
        order_id = results[q.target].order_id
    if <int64_t>(order_id & SIM_INDEX_MASK) >= x.pool.order_high:
        return NULL
    return &x.pool.orders[order_id & SIM_INDEX_MASK]


cdef inline void ask_first(const SimExchange* x, const SimAction* q, const SimResult* results, int64_t k, int64_t at,
                           int64_t n) noexcept nogil:
    cdef SimOrder* o
    cdef int32_t level
    if at >= n:
        return
    if q[at].kind == SIM_ACTION_CANCEL:
        o = meant(x, &q[at], results, k)
        if o != NULL:
            prefetch(o)
            prefetch(<char*>o + 64)
    elif q[at].kind == SIM_ACTION_SUBMIT and q[at].instrument < x.instrument_count:
        level = queue_find(&x.pool, &x.instruments[q[at].instrument].book[1 if q[at].side == SIDE_SELL else 0],
                           q[at].price_ticks)
        if level >= 0:
            prefetch(level_at(&x.pool, level))


cdef inline void ask_second(const SimExchange* x, const SimAction* q, const SimResult* results, int64_t k, int64_t at,
                            int64_t n) noexcept nogil:
    cdef SimOrder* o
    cdef int32_t level
    if at >= n:
        return
    if q[at].kind == SIM_ACTION_CANCEL:
        o = meant(x, &q[at], results, k)
        if o != NULL and o.level >= 0:
            prefetch(level_at(&x.pool, o.level))
            if o.ahead >= 0:
                prefetch(&x.pool.orders[o.ahead])
            if o.behind >= 0:
                prefetch(&x.pool.orders[o.behind])
    elif q[at].kind == SIM_ACTION_SUBMIT and q[at].instrument < x.instrument_count:
        level = queue_find(&x.pool, &x.instruments[q[at].instrument].book[1 if q[at].side == SIDE_SELL else 0],
                           q[at].price_ticks)
        if level >= 0:
            prefetch(&x.pool.orders[level_at(&x.pool, level).back])


cdef inline void act(SimExchange* x, const SimAction* q, SimResult* results, int64_t k) noexcept nogil:
    cdef SimResult* r = &results[k]
    cdef uint64_t order_id = q.order_id
    cdef SimOrder* o
    if q.kind == SIM_ACTION_SUBMIT:
        if q.account < SIM_ACCOUNT_FIRST:
            r.reason = SIM_REASON_UNKNOWN_ACCOUNT
            return
        r.reason = <uint8_t>exchange_submit(x, q, &r.order_id)
        if r.reason == SIM_REASON_OK:
            o = &x.pool.orders[r.order_id & SIM_INDEX_MASK]
            r.cum_lots = o.cum_lots
            r.cum_quote_units = o.cum_quote_units
            r.status = o.status
        return
    if order_id == 0 and 0 <= q.target < k:
        order_id = results[q.target].order_id
    if q.kind == SIM_ACTION_CANCEL:
        r.order_id = order_id
        r.reason = <uint8_t>exchange_cancel(x, q.account, order_id, q.now_ns)
    elif q.kind == SIM_ACTION_AMEND:
        r.order_id = order_id
        r.reason = <uint8_t>exchange_amend(x, q.account, order_id, q.qty_lots, q.price_ticks, q.now_ns)
    elif q.kind == SIM_ACTION_ADVANCE:
        exchange_advance(x, q.now_ns)
    elif q.kind == SIM_ACTION_CANCEL_ALL:
        r.cum_lots = exchange_cancel_all(x, q.account, q.instrument, q.now_ns)
    else:
        r.reason = SIM_REASON_BAD_REQUEST


class BulkFace:
    """run()."""

    def run(self, actions, keep_events=True):
        """Many requests at once, without Python in between.

        Parameters: actions : ndarray of ACTION_DTYPE.  kind SUBMIT, CANCEL, AMEND, ADVANCE, CANCEL_ALL; a cancel or amend names
                    its order by order_id, or, with order_id = 0, by `target`: the action of this run that placed it.
                    keep_events : False forgets the events as it goes (they are made all the same).
        Returns:    ndarray of RESULT_DTYPE, one an action; cum_lots and status are those of the order just placed.
        """
        cdef int64_t n = len(actions), k
        if actions.dtype != ACTION_DTYPE:
            raise TypeError("run: expected an array of ACTION_DTYPE")
        actions = np.ascontiguousarray(actions)
        results = np.zeros(n, RESULT_DTYPE)
        if n == 0:
            return results
        cdef const unsigned char[::1] source = actions.view(np.uint8)
        cdef unsigned char[::1] room = results.view(np.uint8)
        cdef const SimAction* q = <const SimAction*>&source[0]
        cdef SimResult* r = <SimResult*>&room[0]
        cdef bint keep = keep_events
        cdef ExchangeBase b = self
        cdef SimExchange* x = b.x
        with nogil:
            for k in range(n):
                # In a large book a request waits for memory more than it computes: what it will touch is asked for early, in two
                # steps, the second of which needs what the first has brought.
                if x.pool.order_count > LARGE_BOOK:
                    ask_first(x, q, r, k, k + 24, n)
                    ask_second(x, q, r, k, k + 12, n)
                if not keep and x.event_count > EVENTS_KEPT:
                    x.event_count = 0
                act(x, &q[k], r, k)
        if not keep:
            x.event_count = 0
        return results
