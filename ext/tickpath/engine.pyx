"""The deterministic engine: frame in, order out, in nine steps.

`engine_on_frame` is the whole path; read it top to bottom. The engine has no clock, no I/O, no randomness and allocates
nothing once started: it is a function of its inputs. Its Python face, `Engine`, is in engine_build.pyx.
"""
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from tickpath.clock cimport cycles_now
from tickpath.market.book cimport (
    BOOK_APPLIED, BOOK_GAP, BOOK_RESULT_INVALID, BOOK_SYNCED, SIDE_ASKS, SIDE_BIDS, book_apply, book_lose,
    book_prefetch, book_qty_at,
)
from tickpath.shm.histogram cimport histogram_record
from tickpath.shm.ring cimport ring_commit, ring_prefetch, ring_publish_slots
from tickpath.engine_bars cimport bars_close_due, bars_on_trade
from tickpath.engine_failover cimport (
    FAILOVER_ELSEWHERE, FAILOVER_NATIVE, FAILOVER_PASS, failover_on_book, is_of_rest, may_take_over,
)
from tickpath.engine_feeds cimport (
    check_connection_sequence, consolidate, gate_look, gates_tick, on_market_fact, on_refused_frame,
)
from tickpath.engine_grid cimport engine_regrid
from tickpath.engine_l3 cimport orders_apply, orders_message
from tickpath.engine_latency cimport record_frame_latency, record_order_latency, stamp
from tickpath.engine_reports cimport publish_fill, publish_order_state, report_gap
from tickpath.engine_state cimport engine_publish_state
from tickpath.market.checksum cimport checksum_matches
from tickpath.market.gate cimport GATE_CHECKSUM, GATE_FEED, GATE_GAP
from tickpath.shm.state_page cimport STEP_ACK, STEP_FILL
from tickpath.signals.indicators.imbalance cimport imbalance_of
from tickpath.trading.commands cimport command_judge
from tickpath.trading.orders cimport (
    ORDER_SLOTS, REPORT_DUPLICATE, REPORT_FILL, REPORT_STATE, order_apply_report, order_close, order_find,
    order_is_open, order_move, order_open, order_release, write_sequence,
)
from tickpath.trading.positions cimport position_apply_fill
from tickpath.trading.risk cimport risk_check, risk_note_order
from tickpath.trading.strategy cimport ACTION_CANCEL, ACTION_SUBMIT, Action, CompiledStrategy, Timer
from tickpath.types cimport (
    BOOK_GOOD, CORE_FAULT_BOOK_LEVELS, CORE_FAULT_EXPOSURE, CORE_FAULT_ORDER_SLOT, CORE_FAULT_ORDER_SUM,
    COMMAND_CANCEL_ALL, COMMAND_GUARD, COMMAND_KILL, COMMAND_SET_STATE, COMMAND_STOP, DELTA_LAST,
    EV_BOOK_DELTA, EV_CANCEL, EV_CLOCK, EV_COMMAND, EV_CONT, EV_EXEC_REPORT, EV_FRAME,
    EV_GRID, EV_INTENT, EV_NONE, EV_ORDER_DELTA, EV_ORDER_STATE, EV_QUOTE, EV_REFUSAL, EV_TIMER, EV_TRADE,
    EXEC_CANCEL_REJECTED, EXEC_EXPIRED, EXEC_NEW, EXEC_REJECTED, FRAME_CONNECTION_SHIFT, FRAME_STATUS_MASK,
    FRAME_VENUE_SHIFT, HEALTH_CORE_FAULT,
    HEALTH_FEED_BROKEN, HEALTH_ORDER_PROTOCOL,
    HEALTH_STARTED, HEALTH_STOPPED, HEALTH_STRATEGY_ERROR, HEALTH_TRADING_STATE, INSTRUMENT_NONE,
    MAX_INSTRUMENTS, MAX_VENUES, ORDER_CANCELED, ORDER_FILLED, ORDER_INVALID, ORDER_PENDING_CANCEL,
    ORDER_REJECTED, PRICE_TICKS_NONE, REASON_GRID_CHANGED, REASON_KILL_SWITCH, REASON_OK, REASON_ORDER_NOT_CANCELABLE,
    REASON_STRATEGY_FAILED, REASON_UNKNOWN_INSTRUMENT, REASON_UNKNOWN_ORDER, REASON_VENUE_REJECTED,
    TRADING_HALTED, TS_NONE, VENUE_BYBIT, VENUE_CCXT, VENUE_COINBASE, BookDelta,
    CancelEvent, CommandEvent, FillEvent, GridEvent, IntentEvent, OrderStateEvent, QuoteEvent,
    RefusalEvent, TimerEvent, TradeEvent, likely, unlikely,
)
from tickpath.venues.binance_encode cimport binance_encode_cancel, binance_encode_order
from tickpath.venues.frame_hash cimport frame_hash


def __getattr__(name):
    """`Engine` is built in a module of its own, which needs this one: it is loaded when first asked for."""
    if name == "Engine":
        from tickpath.engine_build import Engine
        return Engine
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


# ======================================================================================================================
# The path. Steps 1 and 2 here, steps 3 to 9 in on_message and act_on_orders below: nine calls, in order.
# ======================================================================================================================

cdef int engine_on_frame(EngineCore* e, const FrameView* frame) noexcept nogil:
    cdef FrameEvent head
    cdef int status
    engine_run_timers(e, frame.ts_recv_ns)                                     # those due before this input come first
    e.stamps.start = cycles_now()
    ring_prefetch(e.ring)
    receive(e, frame, &head)                                                   # 1 receive
    e.stamps.receive = stamp(e)
    status = decode(e, frame)                                                  # 2 decode
    e.stamps.decode = stamp(e)
    head.flags = <unsigned short>(status | frame.venue_slot << FRAME_VENUE_SHIFT | frame.connection << FRAME_CONNECTION_SHIFT)
    head.event_count = e.batch.count
    head.instrument = e.batch.instrument
    head.ts_venue_ns = e.batch.ts_venue_ns
    head.last_update_id = e.batch.last_update_id
    e.from_frame = 1
    engine_on_records(e, &head, e.batch.slots, e.batch.count)
    e.from_frame = 0
    if likely(e.stamps_on):
        record_frame_latency(e)
    return status


# One whole message of the market: step 3 to 5, then 6 to 9 for every order the strategies want.
cdef void on_message(EngineCore* e, const Slot* records, int32_t count) noexcept nogil:
    cdef Changes changes
    if unlikely(not apply_to_book(e, records, count, &changes)):               # 3 book
        return                             # another socket has brought it before
    e.stamps.book = stamp(e)
    compute_signals(e, records, &changes)                                      # 4 signal
    e.stamps.signal = stamp(e)
    call_strategies(e, records, &changes)                                      # 5 strategy
    e.stamps.strategy = stamp(e)
    act_on_orders(e)


# The same for a message of a feed that goes order by order: the steps behind the book see its totals.
cdef void on_orders(EngineCore* e, const Slot* records, int32_t count) noexcept nogil:
    cdef Changes changes
    changes.instrument = records.instrument
    changes.book_applied = 1
    changes.bars_closed = 0
    if not orders_apply(e, records, count, &changes.top_changed):
        return
    if unlikely(e.consolidated_of[records.instrument] >= 0) and changes.top_changed:
        consolidate(e, records.instrument, records.ts_venue_ns)
    e.stamps.book = stamp(e)
    compute_signals(e, records, &changes)
    e.stamps.signal = stamp(e)
    call_strategies(e, records, &changes)
    e.stamps.strategy = stamp(e)
    act_on_orders(e)


cdef void act_on_orders(EngineCore* e) noexcept nogil:
    cdef const Action* a
    cdef Order* o
    cdef uint64_t t_begin = e.stamps.strategy, t_risk, t_order, t_encode, t_send
    cdef int reason
    cdef IntentEvent intent
    while e.actions.next < e.actions.count:
        a = &e.actions.items[e.actions.next]
        e.actions.next += 1
        if a.kind == ACTION_CANCEL:
            cancel_order(e, a.order_ordinal, a.strategy)
            t_begin = stamp(e)
            continue
        reason = check_risk(e, a)                                              # 6 risk
        t_risk = stamp(e)
        if unlikely(reason != REASON_OK):
            refuse(e, a, reason)
            t_begin = t_risk
            continue
        o = create_order(e, a, &intent)                                        # 7 order: intent in the ring, then …
        t_order = stamp(e)
        binance_encode_order(e.buffer, o, &e.instruments.items[o.instrument],  # 8 encode
                             intent.client_order_id, e.now_ns)
        t_encode = stamp(e)
        e.gateway.send(e.gateway.self, o, False, e.buffer, e.now_ns)           # 9 send: … its bytes leave
        t_send = stamp(e)
        if likely(e.stamps_on):
            record_order_latency(e, o, t_begin, t_risk, t_order, t_encode, t_send)
        t_begin = stamp(e)
    e.actions.count = 0
    e.actions.next = 0


# ======================================================================================================================
# The steps
# ======================================================================================================================

cdef extern from "core_assert.h":
    void CORE_ASSERT(bint x) noexcept nogil


# An invariant that only a bug of ours can break: a debug build stops here, a release build halts trading.
cdef inline void core_check(EngineCore* e, bint holds, int fault) noexcept nogil:
    CORE_ASSERT(holds)
    if unlikely(not holds):
        report_health(e, HEALTH_CORE_FAULT, INSTRUMENT_NONE, fault, 0)
        e.operator_state = TRADING_HALTED
        apply_trading_state(e, REASON_KILL_SWITCH)


# What a message changed, for the steps behind the book.
cdef struct Changes:
    uint32_t instrument
    int32_t top_changed
    int32_t book_applied
    int32_t bars_closed               # of e.bars.closed


# ---- 1 receive
cdef inline void receive(EngineCore* e, const FrameView* frame, FrameEvent* head) noexcept nogil:
    e.totals.frames += 1
    head.ts_recv_ns = frame.ts_recv_ns
    head.type = EV_FRAME
    head.venue = e.decoders[frame.venue_slot].venue
    head.frame_bytes = <uint32_t>frame.size
    head.frame_hash = frame_hash(frame.data, frame.size)
    head.frame_no = e.totals.frames


# ---- 2 decode: by the venue's own decoder
cdef inline int decode(EngineCore* e, const FrameView* frame) noexcept nogil:
    return e.decoders[frame.venue_slot].decode(e.decoders[frame.venue_slot].self, frame, &e.batch)


cdef void engine_on_records(EngineCore* e, const FrameEvent* head, const Slot* records, int32_t count) noexcept nogil:
    cdef int status = head.flags & FRAME_STATUS_MASK
    cdef int32_t i
    if likely(head.ts_recv_ns > e.now_ns):
        e.now_ns = head.ts_recv_ns         # engine time never decreases
    # Inputs are in the ring before they act.
    publish(e, <const Slot*>head)
    e.frame_venue = head.flags >> FRAME_VENUE_SHIFT & (MAX_VENUES - 1)
    e.frame_connection = head.flags >> FRAME_CONNECTION_SHIFT
    if unlikely(head.last_update_id != 0 and head.venue == VENUE_COINBASE):
        check_connection_sequence(e, head)
    e.totals.venue_frames[e.frame_venue] += 1
    if likely(count > 0):
        if records.type == EV_BOOK_DELTA:
            book_prefetch(&e.books[records.instrument], records, count)
        ring_publish_slots(e.ring, records, count)
        # Coinbase numbers its connection, not its books: there the newest is what came last.
        e.quote_update_id = head.last_update_id if likely(head.venue != VENUE_COINBASE) else 0
        e.totals.inputs += 1
        i = 0
        while i < count:
            i += on_record(e, records + i, count - i)
    else:
        e.totals.inputs += 1
        on_refused_frame(e, head, status)
    ring_commit(e.ring)


# One record of a frame, or one whole book message; returns how many slots that was.
cdef int32_t on_record(EngineCore* e, const Slot* record, int32_t left) noexcept nogil:
    cdef int32_t n = 1
    cdef int kind = record.type
    if kind == EV_BOOK_DELTA:
        # A frame may hold several messages: each ends with its DELTA_LAST record.
        while n < left and not record[n - 1].flags & DELTA_LAST:
            n += 1
        e.totals.events += n
        e.totals.inputs += n
        on_message(e, record, n)
        return n
    e.totals.events += 1
    e.totals.inputs += 1
    if likely(kind == EV_TRADE or kind == EV_QUOTE):
        on_message(e, record, 1)
        return 1
    if left > 1 and record[1].type == EV_CONT:
        n = 2
    if kind == EV_EXEC_REPORT and n == 2:
        on_exec_report(e, <const ExecReport*>record)
    elif kind == EV_ORDER_DELTA and n == 2:
        n = orders_message(record, left)
        e.totals.events += n // 2 - 1
        e.totals.inputs += n // 2 - 1
        on_orders(e, record, n)
    else:
        on_market_fact(e, record)
    return n


# ---- 3 book
cdef inline bint apply_to_book(EngineCore* e, const Slot* records, int32_t count, Changes* changes) noexcept nogil:
    cdef uint32_t instrument = records.instrument
    cdef Top* top = &e.tops[instrument]
    cdef Book* book = &e.books[instrument]
    cdef const QuoteEvent* q
    cdef int result, source = FAILOVER_PASS
    changes.instrument = instrument
    changes.top_changed = 0
    changes.book_applied = 0
    changes.bars_closed = 0
    if records.type == EV_QUOTE:
        q = <const QuoteEvent*>records
        e.totals.quotes += 1
        if likely(e.quote_update_id >= top.update_id and (q.bid_qty_lots | q.ask_qty_lots) >= 0):    # sizes may be unknown
            changes.top_changed = (q.bid_price_ticks != top.bid_price_ticks or q.ask_price_ticks != top.ask_price_ticks
                                   or q.bid_qty_lots != top.bid_qty_lots or q.ask_qty_lots != top.ask_qty_lots)
            top.bid_price_ticks = q.bid_price_ticks
            top.bid_qty_lots = q.bid_qty_lots
            top.ask_price_ticks = q.ask_price_ticks
            top.ask_qty_lots = q.ask_qty_lots
            top.update_id = e.quote_update_id
            top.ts_recv_ns = q.ts_recv_ns
            gate_look(e, instrument)
    elif records.type == EV_BOOK_DELTA:
        e.totals.levels += count
        if unlikely(e.book_connections[instrument] != e.frame_connection):
            if unlikely(e.failovers[instrument].configured):
                source = failover_on_book(e, records, count, &result)
            if source == FAILOVER_ELSEWHERE:
                return forget(<Slot*>records, count)
            if source == FAILOVER_PASS and not takes_over(e, book, <const BookDelta*>records):
                return skip_duplicate(e, <Slot*>records, count)
        if likely(source != FAILOVER_NATIVE):
            result = book_apply(book, records, count)
            if unlikely(book.checksum_seen) and (result == BOOK_APPLIED or result == BOOK_SYNCED):
                result = prove_book(e, book, instrument, result)
        if likely(result == BOOK_APPLIED or result == BOOK_SYNCED):
            core_check(e, book.sides[SIDE_BIDS].level_count >= 0 and book.sides[SIDE_ASKS].level_count >= 0,
                       CORE_FAULT_BOOK_LEVELS)
            changes.book_applied = 1
            e.totals.book_messages += 1
            e.totals.snapshots += result == BOOK_SYNCED
            if book.last_update_id >= top.update_id and book.state == BOOK_GOOD:
                top_from_book(book, top, records.ts_recv_ns, changes)
        elif result == BOOK_GAP:
            e.gates[instrument].lost_by = GATE_GAP
            report_gap(e, book, records)
        e.gates[instrument].feed_causes &= ~GATE_FEED
        gate_look(e, instrument)
    elif records.type == EV_TRADE:
        if unlikely(is_known_trade(e, <const TradeEvent*>records)):
            return skip_duplicate(e, <Slot*>records, count)
        e.totals.trades += 1
        e.signals[instrument].last_trade_ticks = (<const TradeEvent*>records).price_ticks
        e.signals[instrument].last_trade_lots = (<const TradeEvent*>records).qty_lots
    if unlikely(e.consolidated_of[instrument] >= 0) and changes.top_changed:
        consolidate(e, instrument, records.ts_venue_ns)
    return True


# It is in the ring as an input; from here on, the simulated venue included, it did not happen.
cdef bint skip_duplicate(EngineCore* e, Slot* records, int32_t count) noexcept nogil:
    e.totals.duplicates += 1
    return forget(records, count)


cdef bint forget(Slot* records, int32_t count) noexcept nogil:
    cdef int32_t i
    for i in range(count):
        records[i].type = EV_NONE
    return False


# The venue has said what the book must be now. 0 when it is not that.
cdef int prove_book(EngineCore* e, Book* book, uint32_t instrument, int result) noexcept nogil:
    if checksum_matches(&e.checksums[instrument], book, book.checksum):
        e.totals.checksums_ok += 1
        return result
    e.totals.checksums_bad += 1
    e.gates[instrument].lost_by = GATE_CHECKSUM
    book_lose(book)
    return BOOK_RESULT_INVALID


# Another connection than the one that this book came through.
cdef inline bint takes_over(EngineCore* e, const Book* book, const BookDelta* d) noexcept nogil:
    if not may_take_over(book, d):
        return False
    if e.l3[d.instrument] != NULL:
        return False                       # its orders make its levels
    if is_of_rest(book, d):
        return True                        # the book still lives from the socket that brings its changes
    e.book_connections[d.instrument] = <uint8_t>e.frame_connection
    return True


# The same trade through another socket. Ids grow at most venues; where they do not, the last ones are kept.
cdef inline bint is_known_trade(EngineCore* e, const TradeEvent* t) noexcept nogil:
    cdef TradeIds* ids = &e.trade_ids[t.instrument]
    cdef int i
    if t.trade_id == 0:
        return False
    if t.venue != VENUE_BYBIT and t.venue != VENUE_CCXT:
        if t.trade_id <= ids.last and ids.connection != e.frame_connection:
            return True
        if t.trade_id > ids.last:
            ids.last = t.trade_id
            ids.connection = e.frame_connection
        return False
    for i in range(TRADE_IDS):
        if ids.recent[i] == t.trade_id:
            return True
    ids.recent[ids.next & (TRADE_IDS - 1)] = t.trade_id
    ids.next += 1
    return False


cdef inline void top_from_book(const Book* book, Top* top, int64_t ts_recv_ns, Changes* changes) noexcept nogil:
    cdef int64_t bid = book.sides[SIDE_BIDS].best_ticks
    cdef int64_t ask = book.sides[SIDE_ASKS].best_ticks
    cdef int64_t bid_qty = book_qty_at(book, SIDE_BIDS, bid) if bid != PRICE_TICKS_NONE else 0
    cdef int64_t ask_qty = book_qty_at(book, SIDE_ASKS, ask) if ask != PRICE_TICKS_NONE else 0
    changes.top_changed = (bid != top.bid_price_ticks or ask != top.ask_price_ticks or bid_qty != top.bid_qty_lots
                           or ask_qty != top.ask_qty_lots)
    top.bid_price_ticks = bid
    top.bid_qty_lots = bid_qty
    top.ask_price_ticks = ask
    top.ask_qty_lots = ask_qty
    top.update_id = book.last_update_id
    top.ts_recv_ns = ts_recv_ns


# ---- 4 signal
cdef inline void compute_signals(EngineCore* e, const Slot* records, Changes* changes) noexcept nogil:
    cdef SignalState* s = &e.signals[changes.instrument]
    cdef const Top* top = &e.tops[changes.instrument]
    if changes.top_changed:
        s.imbalance = imbalance_of(top.bid_qty_lots, top.ask_qty_lots)
    if records.type == EV_TRADE:
        changes.bars_closed = bars_on_trade(e, <const TradeEvent*>records)


# ---- 5 strategy
cdef inline void call_strategies(EngineCore* e, const Slot* records, const Changes* changes) noexcept nogil:
    cdef int i, k
    for i in range(e.strategy_count):
        if unlikely(not begin_call(e, i)):
            stop_failed_strategy(e, i)
            continue
        if records.type == EV_QUOTE:
            (<CompiledStrategy>e.strategies[i]).on_quote(&e.contexts[i], <const QuoteEvent*>records)
        elif records.type == EV_TRADE:
            (<CompiledStrategy>e.strategies[i]).on_trade(&e.contexts[i], <const TradeEvent*>records)
            for k in range(changes.bars_closed):
                (<CompiledStrategy>e.strategies[i]).on_bar(&e.contexts[i], &e.bars.closed[k])
        elif changes.book_applied:
            (<CompiledStrategy>e.strategies[i]).on_book(&e.contexts[i], changes.instrument)


# A strategy whose callback raised is called no more; its open orders are cancelled, once (failed 1 -> 2).
cdef void stop_failed_strategy(EngineCore* e, int i) noexcept nogil:
    cdef int k
    cdef Order* o
    if e.contexts[i].failed != 1:
        return
    e.contexts[i].failed = 2
    e.totals.strategy_errors += 1
    report_health(e, HEALTH_STRATEGY_ERROR, e.contexts[i].instrument, i, 0)
    for k in range(ORDER_SLOTS):
        o = &e.orders.items[k]
        if o.ordinal != 0 and o.state != ORDER_INVALID and o.strategy == i and order_is_open(o) \
                and o.state != ORDER_PENDING_CANCEL:
            send_cancel(e, o, REASON_STRATEGY_FAILED)


# ---- 6 risk
cdef inline int check_risk(EngineCore* e, const Action* a) noexcept nogil:
    if unlikely(a.instrument >= <uint32_t>e.instruments.count):
        return REASON_UNKNOWN_INSTRUMENT
    if unlikely(e.contexts[a.strategy].failed):
        return REASON_STRATEGY_FAILED
    return risk_check(e.risk, a, &e.instruments.items[a.instrument], &e.books[a.instrument], &e.tops[a.instrument],
                      &e.account[a.instrument], e.orders, e.now_ns)


cdef void refuse(EngineCore* e, const Action* a, int reason) noexcept nogil:
    cdef RefusalEvent r
    cdef OrderStateEvent state
    memset(&r, 0, sizeof(RefusalEvent))
    r.ts_recv_ns = e.now_ns
    r.ts_venue_ns = TS_NONE
    r.instrument = a.instrument
    r.type = EV_REFUSAL
    r.venue = e.instruments.items[a.instrument].venue if a.instrument < <uint32_t>e.instruments.count else 0
    r.flags = <unsigned short>reason
    r.order_ordinal = a.order_ordinal
    r.price_ticks = a.price_ticks
    r.qty_lots = a.qty_lots
    r.reason = reason
    r.side = a.side
    r.order_type = a.order_type
    r.strategy = a.strategy
    r.action = a.kind
    publish(e, <const Slot*>&r)
    e.totals.refusals += 1
    e.strategy_refusals[a.strategy] += 1
    if a.kind != ACTION_SUBMIT:
        return
    order_release(e.orders, a.order_ordinal)
    # The strategy learns of it like of any order that ended; the ring has the refusal, so no order state is written.
    memset(&state, 0, sizeof(OrderStateEvent))
    state.ts_recv_ns = e.now_ns
    state.instrument = a.instrument
    state.type = EV_ORDER_STATE
    state.order_ordinal = a.order_ordinal
    state.state = ORDER_REJECTED
    state.strategy = a.strategy
    state.side = a.side
    state.reason = reason
    if begin_call(e, a.strategy):
        (<CompiledStrategy>e.strategies[a.strategy]).on_order(&e.contexts[a.strategy], &state)


# ---- 7 order
cdef inline Order* create_order(EngineCore* e, const Action* a, IntentEvent* intent) noexcept nogil:
    cdef Order* o = order_find(e.orders, a.order_ordinal)
    core_check(e, o != NULL and o.state == ORDER_INVALID, CORE_FAULT_ORDER_SLOT)
    o.instrument = a.instrument
    o.venue = e.instruments.items[a.instrument].venue
    o.strategy = a.strategy
    o.side = a.side
    o.order_type = a.order_type
    o.time_in_force = a.time_in_force
    o.price_ticks = a.price_ticks
    o.qty_lots = a.qty_lots
    o.ts_created_ns = e.now_ns
    order_open(e.orders, o)
    risk_note_order(e.risk, e.now_ns)
    intent.ts_recv_ns = intent.ts_recv2_ns = e.now_ns
    intent.ts_venue_ns = intent.ts_venue2_ns = TS_NONE
    intent.instrument = intent.instrument2 = a.instrument
    intent.type = EV_INTENT
    intent.type2 = EV_CONT
    intent.venue = intent.venue2 = o.venue
    intent.flags = 0
    intent.flags2 = 1
    intent.order_ordinal = o.ordinal
    intent.price_ticks = a.price_ticks
    intent.qty_lots = a.qty_lots
    intent.seen_seq = e.contexts[a.strategy].seen_seq
    memcpy(intent.client_order_id, e.id_prefix, 12)
    write_sequence(intent.client_order_id + 12, o.ordinal)
    intent.side = a.side
    intent.order_type = a.order_type
    intent.time_in_force = a.time_in_force
    intent.strategy = a.strategy
    intent.reserved[0] = 0
    intent.reserved[1] = 0
    intent.reserved2 = 0
    publish_two(e, <const Slot*>intent)
    e.totals.orders += 1
    e.strategy_orders[a.strategy] += 1
    return o


cdef void cancel_order(EngineCore* e, uint64_t ordinal, uint8_t strategy) noexcept nogil:
    cdef Order* o = order_find(e.orders, ordinal)
    cdef Action a
    if unlikely(o == NULL or o.state == ORDER_INVALID or o.strategy != strategy or not order_is_open(o)
                or o.state == ORDER_PENDING_CANCEL):
        memset(&a, 0, sizeof(Action))
        a.kind = ACTION_CANCEL
        a.order_ordinal = ordinal
        a.strategy = strategy
        a.instrument = e.contexts[strategy].instrument
        a.price_ticks = PRICE_TICKS_NONE
        refuse(e, &a, REASON_UNKNOWN_ORDER if o == NULL or o.strategy != strategy else REASON_ORDER_NOT_CANCELABLE)
        return
    send_cancel(e, o, REASON_OK)


cdef void send_cancel(EngineCore* e, Order* o, int reason) noexcept nogil:
    cdef CancelEvent c
    cdef char[18] client_order_id
    memset(&c, 0, sizeof(CancelEvent))
    c.ts_recv_ns = e.now_ns
    c.ts_venue_ns = TS_NONE
    c.instrument = o.instrument
    c.type = EV_CANCEL
    c.venue = o.venue
    c.order_ordinal = o.ordinal
    c.seen_seq = e.contexts[o.strategy].seen_seq
    c.strategy = o.strategy
    c.reason = reason
    publish(e, <const Slot*>&c)
    e.totals.cancels += 1
    order_move(e.orders, o, ORDER_PENDING_CANCEL)
    memcpy(client_order_id, e.id_prefix, 12)
    write_sequence(client_order_id + 12, o.ordinal)
    binance_encode_cancel(e.buffer, &e.instruments.items[o.instrument], client_order_id, e.now_ns)
    e.gateway.send(e.gateway.self, o, True, e.buffer, e.now_ns)


# ======================================================================================================================
# Inputs that are no market data
# ======================================================================================================================

cdef void engine_on_input(EngineCore* e, const Slot* record) noexcept nogil:
    cdef uint64_t now = stamp(e)
    engine_run_timers(e, record.ts_recv_ns)
    if record.ts_recv_ns > e.now_ns:
        e.now_ns = record.ts_recv_ns
    e.stamps.start = e.stamps.receive = e.stamps.decode = e.stamps.book = e.stamps.signal = e.stamps.strategy = now
    e.totals.inputs += 1
    if record.type == EV_EXEC_REPORT:
        publish_two(e, record)
        on_exec_report(e, <const ExecReport*>record)
    elif record.type == EV_COMMAND:
        on_command(e, <const CommandEvent*>record)
    elif record.type == EV_GRID:
        publish_two(e, record)
        on_grid(e, <const GridEvent*>record)
    else:
        publish(e, record)
        if record.type == EV_CLOCK:
            gates_tick(e)                  # time has passed, due timers have run
        else:
            e.frame_venue = MAX_VENUES
            on_market_fact(e, record)
    ring_commit(e.ring)


cdef void on_exec_report(EngineCore* e, const ExecReport* r) noexcept nogil:
    cdef Order* o = order_find(e.orders, r.order_ordinal)
    cdef uint8_t old
    cdef int result, reason = REASON_OK
    cdef FillEvent f
    if unlikely(o == NULL or o.state == ORDER_INVALID):
        if r.exec_type == EXEC_CANCEL_REJECTED:
            return                         # our cancel crossed the order's own end: nothing to do
        e.totals.protocol_errors += 1
        report_health(e, HEALTH_ORDER_PROTOCOL, r.instrument, <int64_t>r.order_ordinal, r.exec_type)
        return
    old = o.state
    result = order_apply_report(e.orders, o, r)
    if result == REPORT_DUPLICATE:
        return
    if unlikely(result != REPORT_FILL and result != REPORT_STATE):
        e.totals.protocol_errors += 1
        report_health(e, HEALTH_ORDER_PROTOCOL, r.instrument, <int64_t>r.order_ordinal, r.exec_type)
        return
    core_check(e, 0 <= o.cum_qty_lots <= o.qty_lots and o.leaves_qty_lots >= 0, CORE_FAULT_ORDER_SUM)
    core_check(e, e.orders.open_count >= 0 and e.orders.open_buy_lots[o.instrument] >= 0
               and e.orders.open_sell_lots[o.instrument] >= 0, CORE_FAULT_EXPOSURE)
    if r.exec_type == EXEC_NEW:
        e.totals.acks += 1
        histogram_record(&e.page.steps[<int>STEP_ACK], <uint64_t>(e.now_ns - o.ts_created_ns))
    elif r.exec_type == EXEC_REJECTED:
        e.totals.rejects += 1
        reason = REASON_VENUE_REJECTED
    elif r.exec_type == EXEC_EXPIRED:
        e.totals.expired += 1
    if unlikely(r.local_reason):
        reason = r.local_reason
    if o.state == ORDER_CANCELED:
        e.totals.canceled += 1
    if result == REPORT_FILL:
        position_apply_fill(&e.account[o.instrument], o.side, r.last_price_ticks, r.last_qty_lots, r.fee_e8)
        position_apply_fill(&e.positions[o.strategy * MAX_INSTRUMENTS + o.instrument], o.side, r.last_price_ticks,
                            r.last_qty_lots, r.fee_e8)
        e.totals.fills += 1
        e.strategy_fills[o.strategy] += 1
        if o.state == ORDER_FILLED:
            e.totals.filled_orders += 1
        histogram_record(&e.page.steps[<int>STEP_FILL], <uint64_t>(e.now_ns - o.ts_created_ns))
        publish_fill(e, o, r, &f)
    publish_order_state(e, o, old, reason)
    if result == REPORT_FILL and begin_call(e, o.strategy):
        (<CompiledStrategy>e.strategies[o.strategy]).on_fill(&e.contexts[o.strategy], &f)
    order_close(e.orders, o)
    e.stamps.strategy = stamp(e)
    act_on_orders(e)


# Its own record is its answer, written before it acts.
cdef void on_command(EngineCore* e, const CommandEvent* record) noexcept nogil:
    cdef CommandEvent c = record[0]
    cdef bint acts = command_judge(&e.commands, &c, e.ring.next_seq)
    cdef int i
    c.type = EV_COMMAND
    c.type2 = EV_CONT
    c.flags2 = 1
    c.ts_recv2_ns = c.ts_recv_ns
    c.ts_venue2_ns = c.ts_venue_ns
    c.instrument2 = c.instrument
    c.venue2 = c.venue
    publish_two(e, <const Slot*>&c)
    e.totals.commands += 1
    if not acts:
        e.totals.command_refusals += c.reason != REASON_OK
        return
    for i in range(e.strategy_count):
        if begin_call(e, i):
            (<CompiledStrategy>e.strategies[i]).on_command(&e.contexts[i], &c)
    if c.kind == COMMAND_SET_STATE:
        e.operator_state = <int>c.value
        apply_trading_state(e, REASON_OK)
    elif c.kind == COMMAND_GUARD:
        e.guard_state = <int>c.value
        apply_trading_state(e, <int>c.detail)
    elif c.kind == COMMAND_CANCEL_ALL:
        cancel_all(e, REASON_OK)
    elif c.kind == COMMAND_KILL or c.kind == COMMAND_STOP:
        e.operator_state = TRADING_HALTED
        apply_trading_state(e, REASON_KILL_SWITCH)
        if c.kind == COMMAND_STOP and not e.stopping:
            e.stopping = 1
            for i in range(e.strategy_count):
                if begin_call(e, i):
                    (<CompiledStrategy>e.strategies[i]).on_stop(&e.contexts[i])
        if c.value == 0:                   # value 1: leave open orders at the venue (SIGTERM policy `leave`)
            cancel_all(e, REASON_KILL_SWITCH)
    e.stamps.strategy = stamp(e)
    act_on_orders(e)


cdef void apply_trading_state(EngineCore* e, int reason) noexcept nogil:
    cdef int state = e.operator_state if e.operator_state > e.guard_state else e.guard_state
    if state != e.risk.trading_state:
        e.risk.trading_state = state
        report_health(e, HEALTH_TRADING_STATE, INSTRUMENT_NONE, state, reason)


cdef void cancel_all(EngineCore* e, int reason) noexcept nogil:
    cdef int k
    cdef Order* o
    for k in range(ORDER_SLOTS):
        o = &e.orders.items[k]
        if o.ordinal != 0 and o.state != ORDER_INVALID and order_is_open(o) and o.state != ORDER_PENDING_CANCEL:
            send_cancel(e, o, reason)


# Another tick or lot (engine_grid.pxd): what rests where the new grid has nothing is cancelled, then the strategies are told.
cdef void on_grid(EngineCore* e, const GridEvent* g) noexcept nogil:
    cdef int i
    cdef Order* o
    if not engine_regrid(e, g):
        return
    if e.gateway.regrid != NULL:
        e.gateway.regrid(e.gateway.self, g.instrument, &e.grid_change, e.now_ns)
    for i in range(ORDER_SLOTS):
        o = &e.orders.items[i]
        if o.ordinal != 0 and o.state != ORDER_INVALID and o.off_grid and o.instrument == g.instrument and order_is_open(o) \
                and o.state != ORDER_PENDING_CANCEL:
            send_cancel(e, o, REASON_GRID_CHANGED)
    for i in range(e.strategy_count):
        if begin_call(e, i):
            (<CompiledStrategy>e.strategies[i]).on_grid(&e.contexts[i], g, &e.grid_change)
        stop_failed_strategy(e, i)
    e.stamps.strategy = stamp(e)
    act_on_orders(e)


# ---- timers
cdef int64_t engine_next_timer(const EngineCore* e) noexcept nogil:
    if e.timers.count == 0 or e.bars_due_ns < e.timers.items[e.timers.count - 1].due_ns:
        return e.bars_due_ns
    return e.timers.items[e.timers.count - 1].due_ns


cdef void engine_run_timers(EngineCore* e, int64_t now_ns) noexcept nogil:
    cdef Timer t
    cdef TimerEvent ev
    cdef int guard = 0
    # The guard bounds a strategy that keeps setting timers in the past: 1,024 at one input, the rest wait for the next.
    while guard < 1024:
        if unlikely(e.bars_due_ns <= now_ns) and e.bars_due_ns <= engine_next_timer(e):
            bars_close_due(e)              # before a timer of the same time, which then sees the bar
            e.stamps.strategy = stamp(e)
            act_on_orders(e)
            continue
        if likely(e.timers.count == 0) or e.timers.items[e.timers.count - 1].due_ns > now_ns:
            return
        guard += 1
        t = e.timers.items[e.timers.count - 1]
        e.timers.count -= 1
        if t.due_ns > e.now_ns:
            e.now_ns = t.due_ns
        memset(&ev, 0, sizeof(TimerEvent))
        ev.ts_recv_ns = e.now_ns
        ev.ts_venue_ns = TS_NONE
        ev.instrument = e.contexts[t.strategy].instrument
        ev.type = EV_TIMER
        ev.due_ns = t.due_ns
        ev.timer_id = t.timer_id
        ev.strategy = t.strategy
        publish(e, <const Slot*>&ev)
        if begin_call(e, t.strategy):
            (<CompiledStrategy>e.strategies[t.strategy]).on_timer(&e.contexts[t.strategy], &ev)
        e.stamps.strategy = stamp(e)
        act_on_orders(e)


# ======================================================================================================================
# Start and stop
# ======================================================================================================================

cdef void engine_start(EngineCore* e, int64_t ts_ns) noexcept nogil:
    cdef int i
    if e.started:
        return
    e.started = 1
    e.now_ns = ts_ns
    report_health(e, HEALTH_STARTED, INSTRUMENT_NONE, e.instruments.count, e.strategy_count)
    for i in range(e.strategy_count):
        begin_call(e, i)
        (<CompiledStrategy>e.strategies[i]).on_start(&e.contexts[i])
    act_on_orders(e)
    ring_commit(e.ring)


cdef void engine_report_feed_broken(EngineCore* e) noexcept nogil:
    e.totals.feed_broken = 1
    report_health(e, HEALTH_FEED_BROKEN, INSTRUMENT_NONE, 0, 0)
    ring_commit(e.ring)


cdef void engine_finish(EngineCore* e) noexcept nogil:
    e.totals.stopped = 1
    report_health(e, HEALTH_STOPPED, INSTRUMENT_NONE, e.orders.open_count, 0)
    ring_commit(e.ring)
    engine_publish_state(e)
