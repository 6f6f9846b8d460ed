"""The matching engine of the simulated venue. Read core.pxd first: it says what there is.

A request goes through filters.pxd, admission.pxd and matching.pxd, with open_orders.pxd, spot_funds.pxd, triggers.pxd and
events.pxd below them; they are inlined here, so that the way of an order is one piece of code.
"""
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcpy, memset

from tickpath.sim.order_queues cimport (
    SIM_FLAG_POST_ONLY, SIM_FLAG_WAITING, SIM_INDEX_MASK, SIM_NONE, SIM_TREE_HEIGHT, SimLevel, SimOrder, SimOrderExtra,
    ladder_init, level_at, order_new, pool_free, pool_init, queue_has_room,
)
from tickpath.sim.spot_funds cimport (
    balance_of, is_priced, lock_of, notional_fits, notional_of, spot_release,
)
from tickpath.sim.triggers cimport (
    trail, trigger_price, triggers_on_price, triggers_wait,
)
from tickpath.sim.events cimport (
    SIDE_ASKS, SIDE_BIDS, new_event, order_event, publish_level,
)
from tickpath.sim.open_orders cimport (
    bury, compact_ids, count_less, count_open, due_add, due_pop, extra_of, funds_release, is_due_alive, leave_book, note_id,
    take_off,
)
from tickpath.sim.filters cimport (
    LOTS_MAX, REDUCING, check_band, check_price,
)
from tickpath.sim.matching cimport (
    expire_rest, trade, work,
)
from tickpath.sim.admission cimport (
    can_pay, check, fill_extra, fill_order, needs_extra, reserve, unmake, would_take,
)
from tickpath.types cimport SIDE_BUY, SIDE_SELL, int128, likely, unlikely

cdef enum: EVENTS_AT_FIRST = 4096


cdef SimEvent* exchange_event(SimExchange* x, int kind) noexcept nogil:
    return new_event(x, kind)


cdef int64_t exchange_compact(SimExchange* x, uint32_t account) noexcept nogil:
    return compact_ids(x, account)


cdef SimOrder* exchange_order(SimExchange* x, uint64_t order_id) noexcept nogil:
    cdef SimOrder* o
    if unlikely(<int64_t>(order_id & SIM_INDEX_MASK) >= x.pool.order_high):
        return NULL
    o = &x.pool.orders[order_id & SIM_INDEX_MASK]
    if o.order_id != order_id or o.status > SIM_STATUS_PARTIALLY_FILLED:
        return NULL
    return o


cdef void exchange_end(SimExchange* x, SimOrder* o, int status, int reason, int64_t now_ns) noexcept nogil:
    x.now_ns = now_ns
    take_off(x, o, SIM_EVENT_CANCELED if status == SIM_STATUS_CANCELED else SIM_EVENT_EXPIRED, status, reason)


# ---- what the prices set off

# What has fired, first to last; what that sets off stands behind it.
cdef void run_fired(SimExchange* x) noexcept nogil:
    cdef uint64_t order_id
    cdef SimOrder* o
    while x.fired_head != x.fired_tail:
        order_id = x.fired[x.fired_head]
        x.fired_head += 1
        o = exchange_order(x, order_id)
        if o != NULL and o.flags & SIM_FLAG_WAITING:
            trigger(x, o)
    x.fired_head = x.fired_tail = 0


cdef void trigger(SimExchange* x, SimOrder* o) noexcept nogil:
    cdef SimInstrument* i = &x.instruments[o.instrument]
    cdef int reason = SIM_REASON_OK
    count_open(x, o, -1)
    if i.kind == SIM_KIND_SPOT and not is_priced(o.order_type):
        spot_release(x, i, o, o.leaves_lots)
    o.flags &= ~SIM_FLAG_WAITING
    o.was_triggered = 1
    o.updated_ns = x.now_ns
    extra_of(x, o).working_ns = x.now_ns
    if i.kind != SIM_KIND_SPOT:
        reason = x.perpetual.reserve(x, o)
    elif not is_priced(o.order_type) and not can_pay(x, i, o):
        reason = SIM_REASON_INSUFFICIENT_BALANCE
    order_event(x, SIM_EVENT_TRIGGERED, o, o.leaves_lots, SIM_REASON_OK)
    if reason != SIM_REASON_OK:
        o.status = SIM_STATUS_EXPIRED
        order_event(x, SIM_EVENT_EXPIRED, o, o.leaves_lots, reason)
        bury(x, o)
        return
    if (o.flags & SIM_FLAG_POST_ONLY or o.order_type == SIM_ORDER_LIMIT_MAKER) and would_take(i, o.side, o.price_ticks):
        expire_rest(x, i, o, SIM_REASON_WOULD_TAKE)
        return
    work(x, i, o)


# ---- a new order

cdef int exchange_check(SimExchange* x, const SimAction* q) noexcept nogil:
    cdef SimOrder o
    cdef SimInstrument* i
    cdef int reason = check(x, q)
    if reason != SIM_REASON_OK:
        return reason
    i = &x.instruments[q.instrument]
    memset(&o, 0, sizeof(SimOrder))
    fill_order(&o, q)
    reason = reserve(x, i, &o, q)
    if reason == SIM_REASON_OK:
        funds_release(x, i, &o, o.leaves_lots)
    return reason


cdef int exchange_submit(SimExchange* x, const SimAction* q, uint64_t* order_id) noexcept nogil:
    cdef SimInstrument* i
    cdef SimOrder* o
    cdef int reason
    order_id[0] = 0
    if unlikely(x.due_count != 0) and x.due[0].due_ns <= q.now_ns:
        exchange_advance(x, q.now_ns)
    x.now_ns = q.now_ns
    reason = check(x, q)
    if unlikely(reason != SIM_REASON_OK):
        return reason
    i = &x.instruments[q.instrument]
    o = order_new(&x.pool)
    if unlikely(o == NULL):
        return SIM_REASON_FULL
    fill_order(o, q)
    if unlikely(needs_extra(q)) and not fill_extra(x, o, q):
        unmake(x, o)
        return SIM_REASON_FULL
    reason = reserve(x, i, o, q)
    if unlikely(reason != SIM_REASON_OK):
        unmake(x, o)
        return reason
    order_id[0] = o.order_id
    order_event(x, SIM_EVENT_NEW, o, o.qty_lots, SIM_REASON_OK)
    # Its id is noted before it can rest or wait; that it ended at once is found out when the list is next put in order.
    if (likely(o.time_in_force != SIM_TIF_IOC and o.time_in_force != SIM_TIF_FOK and o.order_type != SIM_ORDER_MARKET)
            or unlikely(o.flags & SIM_FLAG_WAITING)):
        if unlikely(not note_id(x, &x.accounts[o.account], o)):
            expire_rest(x, i, o, SIM_REASON_FULL)
            return SIM_REASON_OK
    if unlikely(o.time_in_force == SIM_TIF_GTD) and not due_add(x, o, q.expire_ns):
        expire_rest(x, i, o, SIM_REASON_FULL)
        return SIM_REASON_OK
    if unlikely(o.flags & SIM_FLAG_WAITING):
        wait(x, i, o)
    else:
        work(x, i, o)
    finish(x, q.instrument)
    return SIM_REASON_OK


cdef void wait(SimExchange* x, SimInstrument* i, SimOrder* o) noexcept nogil:
    cdef SimOrderExtra* e = extra_of(x, o)
    cdef int64_t price = trigger_price(i, o.flags)
    # A trailing order starts from the price that stands; it cannot fire by it.
    if e.trailing_bips != 0:
        if e.activation_ticks == 0:
            e.activation_ticks = e.stop_ticks
        if price != 0:
            trail(o, e, price)
    if not queue_has_room(&x.pool) or not triggers_wait(x, i, o):
        expire_rest(x, i, o, SIM_REASON_FULL)
        return
    count_open(x, o, 1)


# The request is done: stop orders that it has set off, liquidations that those prices bring, until all is quiet.
cdef void settle_down(SimExchange* x, int instrument) noexcept nogil:
    if x.depth != 0:
        return
    x.depth = 1
    while True:
        run_fired(x)
        if x.perpetual != NULL and x.perpetual.after != NULL and x.instruments[instrument].kind != SIM_KIND_SPOT:
            x.perpetual.after(x, instrument)
        if x.fired_head == x.fired_tail:
            break
    x.depth = 0


cdef inline void finish(SimExchange* x, int instrument) noexcept nogil:
    if unlikely(x.fired_head != x.fired_tail) or unlikely(x.perpetual != NULL):
        settle_down(x, instrument)


# ---- cancel, amend, time

cdef int exchange_cancel(SimExchange* x, uint32_t account, uint64_t order_id, int64_t now_ns) noexcept nogil:
    cdef SimOrder* o
    cdef int instrument
    if unlikely(x.due_count != 0) and x.due[0].due_ns <= now_ns:
        exchange_advance(x, now_ns)
    x.now_ns = now_ns
    o = exchange_order(x, order_id)
    if unlikely(o == NULL or o.account != account):
        return SIM_REASON_UNKNOWN_ORDER
    instrument = o.instrument
    if unlikely(x.instruments[instrument].status == SIM_HALT):
        return SIM_REASON_CLOSED
    take_off(x, o, SIM_EVENT_CANCELED, SIM_STATUS_CANCELED, SIM_REASON_USER)
    finish(x, instrument)
    return SIM_REASON_OK


cdef int64_t exchange_cancel_all(SimExchange* x, uint32_t account, int instrument, int64_t now_ns) noexcept nogil:
    cdef int64_t k, count, canceled = 0
    cdef SimOrder* o
    if account >= <uint32_t>x.account_count:
        return 0
    exchange_advance(x, now_ns)
    x.now_ns = now_ns
    count = exchange_compact(x, account)
    for k in range(count):
        o = exchange_order(x, x.accounts[account].order_ids[k])
        if o != NULL and (instrument < 0 or o.instrument == instrument) and x.instruments[o.instrument].status != SIM_HALT:
            take_off(x, o, SIM_EVENT_CANCELED, SIM_STATUS_CANCELED, SIM_REASON_USER)
            canceled += 1
    if instrument >= 0:
        finish(x, instrument)
    return canceled


cdef void shrink(SimExchange* x, SimInstrument* i, SimOrder* o, int64_t less) noexcept nogil:
    cdef SimLevel* v = level_at(&x.pool, o.level)
    cdef int64_t shown = o.shown_lots
    funds_release(x, i, o, less)
    count_less(x, o, less)
    o.leaves_lots -= less
    o.qty_lots -= less
    if o.shown_lots > o.leaves_lots:
        o.shown_lots = o.leaves_lots
    v.total_lots -= less
    v.shown_lots -= shown - o.shown_lots


cdef int exchange_amend(SimExchange* x, uint32_t account, uint64_t order_id, int64_t qty_lots, int64_t price_ticks,
                        int64_t now_ns) noexcept nogil:
    cdef SimOrder* o
    cdef SimInstrument* i
    cdef SimBalance* b
    cdef SimOrder wanted
    cdef int64_t left, old_price, units
    cdef int reason, side
    if unlikely(x.due_count != 0) and x.due[0].due_ns <= now_ns:
        exchange_advance(x, now_ns)
    x.now_ns = now_ns
    o = exchange_order(x, order_id)
    if o == NULL or o.account != account:
        return SIM_REASON_UNKNOWN_ORDER
    i = &x.instruments[o.instrument]
    side = SIDE_BIDS if o.side == SIDE_BUY else SIDE_ASKS
    if i.status != SIM_TRADING:
        return SIM_REASON_CLOSED
    if price_ticks == 0:
        price_ticks = o.price_ticks
    if o.level == SIM_NONE or o.flags & SIM_FLAG_WAITING or (qty_lots == o.qty_lots and price_ticks == o.price_ticks):
        return SIM_REASON_AMEND
    # What self-trade prevention has taken is gone: the executed part and the open part make up the quantity.
    left = o.leaves_lots + qty_lots - o.qty_lots
    if qty_lots <= 0 or left <= 0:
        return SIM_REASON_AMEND
    reason = check_price(i, price_ticks)
    if reason != SIM_REASON_OK:
        return reason
    if qty_lots > LOTS_MAX or qty_lots < i.min_lots or (i.max_lots != 0 and qty_lots > i.max_lots):
        return SIM_REASON_LOT_SIZE
    if not notional_fits(i, price_ticks, qty_lots) or <int128>qty_lots * i.lot_units > <int64_t>1 << 61:
        return SIM_REASON_OVERFLOW
    if notional_of(i, price_ticks, qty_lots) < i.min_notional_units and not o.flags & REDUCING:
        return SIM_REASON_MIN_NOTIONAL
    if price_ticks == o.price_ticks and qty_lots < o.qty_lots:
        shrink(x, i, o, o.qty_lots - qty_lots)
        o.updated_ns = now_ns
        order_event(x, SIM_EVENT_AMENDED, o, o.qty_lots, SIM_REASON_OK)
        if x.publish:
            publish_level(x, o.instrument, side, price_ticks)
        finish(x, o.instrument)
        return SIM_REASON_OK
    reason = check_band(i, o.side, price_ticks)
    if reason != SIM_REASON_OK:
        return reason
    if (o.flags & SIM_FLAG_POST_ONLY or o.order_type == SIM_ORDER_LIMIT_MAKER) and would_take(i, o.side, price_ticks):
        return SIM_REASON_WOULD_TAKE
    if i.kind == SIM_KIND_SPOT:
        wanted = o[0]
        wanted.price_ticks = price_ticks
        units = lock_of(i, &wanted, left) - lock_of(i, o, o.leaves_lots)
        b = balance_of(x, account, i.quote_asset if o.side == SIDE_BUY else i.base_asset)
        if units > b.free and x.accounts[account].checked:
            return SIM_REASON_INSUFFICIENT_BALANCE
        b.free -= units
        b.locked += units
    else:
        reason = x.perpetual.amend(x, o, price_ticks, left)
        if reason != SIM_REASON_OK:
            return reason
    old_price = o.price_ticks
    leave_book(x, i, o)
    count_open(x, o, -1)
    o.price_ticks = price_ticks
    o.leaves_lots = left
    o.qty_lots = qty_lots
    o.updated_ns = now_ns
    order_event(x, SIM_EVENT_AMENDED, o, o.qty_lots, SIM_REASON_OK)
    if x.publish and old_price != price_ticks:
        publish_level(x, o.instrument, side, old_price)
    work(x, i, o)
    finish(x, <int>(i - x.instruments))
    return SIM_REASON_OK


cdef void exchange_advance(SimExchange* x, int64_t now_ns) noexcept nogil:
    cdef SimDue d
    cdef SimOrder* o
    cdef int instrument
    if now_ns > x.now_ns:
        x.now_ns = now_ns
    while x.due_count > 0 and x.due[0].due_ns <= now_ns:
        d = x.due[0]
        due_pop(x)
        o = exchange_order(x, d.order_id)
        if o != NULL:
            instrument = o.instrument
            take_off(x, o, SIM_EVENT_EXPIRED, SIM_STATUS_EXPIRED, SIM_REASON_GTD)
            finish(x, instrument)


cdef int64_t exchange_next_due(SimExchange* x) noexcept nogil:
    while x.due_count > 0 and not is_due_alive(x, &x.due[0]):
        due_pop(x)
    return x.due[0].due_ns if x.due_count > 0 else 0x7FFFFFFFFFFFFFFFLL


# ---- the recorded market, the mark price

cdef void exchange_fill_resting(SimExchange* x, SimOrder* o, int64_t lots, int64_t now_ns) noexcept nogil:
    cdef SimInstrument* i = &x.instruments[o.instrument]
    cdef int instrument = o.instrument
    cdef int side = SIDE_BIDS if o.side == SIDE_BUY else SIDE_ASKS
    cdef int64_t price_ticks = o.price_ticks, n
    x.now_ns = now_ns
    if o.flags & REDUCING:
        n = x.perpetual.allowed(x, o, lots)
        if n <= 0:
            take_off(x, o, SIM_EVENT_EXPIRED, SIM_STATUS_EXPIRED, SIM_REASON_REDUCE_ONLY)
            return
        lots = n if n < lots else lots
    # A print takes from the whole of an iceberg, a tip at a time.
    while lots > 0 and o.leaves_lots > 0:
        n = o.shown_lots if o.shown_lots < lots else lots
        lots -= n
        if n == o.leaves_lots:
            lots = 0
        trade(x, i, instrument, NULL, o, SIDE_SELL if side == SIDE_BIDS else SIDE_BUY, price_ticks, n)
        if lots == 0:
            break
    if x.publish:
        publish_level(x, instrument, side, price_ticks)


cdef void exchange_finish(SimExchange* x, int instrument) noexcept nogil:
    finish(x, instrument)


cdef void exchange_print(SimExchange* x, int instrument, int64_t price_ticks, int64_t now_ns) noexcept nogil:
    cdef SimInstrument* i = &x.instruments[instrument]
    x.now_ns = now_ns
    if i.last_ticks != price_ticks:
        i.last_ticks = price_ticks
        triggers_on_price(x, i, 0, price_ticks)
    finish(x, instrument)


cdef void exchange_set_mark(SimExchange* x, int instrument, int64_t mark_ticks, int64_t now_ns) noexcept nogil:
    cdef SimInstrument* i = &x.instruments[instrument]
    x.now_ns = now_ns
    i.mark_ticks = mark_ticks
    triggers_on_price(x, i, 2, mark_ticks)
    settle_down(x, instrument)


# ---- cold

cdef SimExchange* exchange_new(uint64_t seed, int64_t orders_hint) noexcept nogil:
    cdef SimExchange* x = <SimExchange*>calloc(1, sizeof(SimExchange))
    if x == NULL:
        return NULL
    x.seed = seed
    x.next_seq = 1
    x.asset_stride = 4
    x.instrument_stride = 4
    x.account_capacity = 16
    x.volume_asset = SIM_NONE
    x.event_capacity = EVENTS_AT_FIRST
    x.events = <SimEvent*>calloc(EVENTS_AT_FIRST, sizeof(SimEvent))
    x.instruments = <SimInstrument*>calloc(SIM_INSTRUMENTS_MAX, sizeof(SimInstrument))
    x.accounts = <SimAccount*>calloc(x.account_capacity, sizeof(SimAccount))
    x.balances = <SimBalance*>calloc(x.account_capacity * x.asset_stride, sizeof(SimBalance))
    x.holdings = <SimHolding*>calloc(x.account_capacity * x.instrument_stride, sizeof(SimHolding))
    x.supply = <int64_t*>calloc(SIM_ASSETS_MAX, sizeof(int64_t))
    x.trade_ids = <uint64_t*>calloc(SIM_INSTRUMENTS_MAX, sizeof(uint64_t))
    if (not pool_init(&x.pool) or x.events == NULL or x.instruments == NULL or x.accounts == NULL or x.balances == NULL
            or x.holdings == NULL or x.supply == NULL or x.trade_ids == NULL):
        exchange_free(x)
        return NULL
    exchange_add_account(x)
    exchange_add_account(x)
    exchange_add_account(x)
    x.accounts[SIM_ACCOUNT_HOUSE].checked = 0
    x.accounts[SIM_ACCOUNT_FEES].checked = 0
    x.accounts[SIM_ACCOUNT_INSURANCE].checked = 0
    return x


cdef void exchange_free(SimExchange* x) noexcept nogil:
    cdef int k
    if x == NULL:
        return
    if x.perpetual != NULL and x.perpetual.free != NULL:
        x.perpetual.free(x)
    for k in range(x.instrument_count):
        if x.instruments[k].recorded != NULL and x.instruments[k].recorded.free != NULL:
            x.instruments[k].recorded.free(x.instruments[k].recorded.market)
        free(x.instruments[k].trailing)
    for k in range(x.account_count):
        free(x.accounts[k].order_ids)
        free(x.accounts[k].volumes)
    pool_free(&x.pool)
    free(x.events)
    free(x.instruments)
    free(x.accounts)
    free(x.balances)
    free(x.holdings)
    free(x.supply)
    free(x.trade_ids)
    free(x.fee_prices_e8)
    free(x.due)
    free(x.fired)
    free(x)


# Another shape of the two tables by account; False when memory is short.
cdef bint reshape(SimExchange* x, int32_t accounts, int32_t assets, int32_t instruments) noexcept nogil:
    cdef SimBalance* balances = <SimBalance*>calloc(<size_t>accounts * assets, sizeof(SimBalance))
    cdef SimHolding* holdings = <SimHolding*>calloc(<size_t>accounts * instruments, sizeof(SimHolding))
    cdef int32_t k
    if balances == NULL or holdings == NULL:
        free(balances)
        free(holdings)
        return False
    for k in range(x.account_count):
        memcpy(&balances[<int64_t>k * assets], &x.balances[<int64_t>k * x.asset_stride], x.asset_count * sizeof(SimBalance))
        memcpy(&holdings[<int64_t>k * instruments], &x.holdings[<int64_t>k * x.instrument_stride],
               x.instrument_count * sizeof(SimHolding))
    free(x.balances)
    free(x.holdings)
    x.balances = balances
    x.holdings = holdings
    x.asset_stride = assets
    x.instrument_stride = instruments
    return True


cdef int exchange_add_asset(SimExchange* x) noexcept nogil:
    if x.asset_count >= SIM_ASSETS_MAX:
        return -1
    if x.asset_count == x.asset_stride and not reshape(x, x.account_capacity, x.asset_stride * 2, x.instrument_stride):
        return -1
    x.asset_count += 1
    return x.asset_count - 1


cdef int exchange_add_account(SimExchange* x) noexcept nogil:
    cdef SimAccount* grown
    cdef SimAccount* a
    if x.account_count == x.account_capacity:
        grown = <SimAccount*>realloc(x.accounts, <size_t>x.account_capacity * 2 * sizeof(SimAccount))
        if grown == NULL:
            return -1
        x.accounts = grown
        if not reshape(x, x.account_capacity * 2, x.asset_stride, x.instrument_stride):
            return -1
        x.account_capacity *= 2
    a = &x.accounts[x.account_count]
    memset(a, 0, sizeof(SimAccount))
    a.checked = 1
    a.fee_asset = SIM_NONE
    x.account_count += 1
    return x.account_count - 1


cdef int exchange_add_instrument(SimExchange* x, int64_t max_price_ticks) noexcept nogil:
    cdef SimInstrument* i
    cdef int height = 1, k
    if x.instrument_count >= SIM_INSTRUMENTS_MAX or x.pool.node_high + 64 > x.pool.node_limit:
        return -1
    if x.instrument_count == x.instrument_stride and not reshape(x, x.account_capacity, x.asset_stride, x.instrument_stride * 2):
        return -1
    if max_price_ticks <= 0:
        max_price_ticks = (<int64_t>1 << 36) - 1
    while height < SIM_TREE_HEIGHT and max_price_ticks >> (6 + 6 * height) != 0:
        height += 1
    i = &x.instruments[x.instrument_count]
    memset(i, 0, sizeof(SimInstrument))
    ladder_init(&x.pool, &i.book[SIDE_BIDS], 0, height)
    ladder_init(&x.pool, &i.book[SIDE_ASKS], 1, height)
    for k in range(4):
        # [0] and [2] wait for a rise: the lowest stop is the next one.
        ladder_init(&x.pool, &i.stops[k], 1 if k & 1 == 0 else 0, height)
    i.quote_multiplier = i.quote_divisor = 1
    x.instrument_count += 1
    return x.instrument_count - 1
