"""The cache lines and pages that the next frame will need, asked for in idle turns: see engine_prefetch.pxd."""
from libc.stdint cimport int32_t, int64_t, uint64_t

from tickpath.market.bar_set cimport BAR_SET_CAPACITY, BarSet
from tickpath.market.bars cimport BarBuilder
from tickpath.market.book cimport SIDE_ASKS, SIDE_BIDS, Book, prefetch
from tickpath.market.gate cimport Gate, GateLimits
from tickpath.market.instruments cimport Instrument
from tickpath.shm.ring cimport RingWriter
from tickpath.signals.state cimport SignalState, Top
from tickpath.trading.orders cimport ORDER_SLOTS, Order, OrderTable
from tickpath.trading.positions cimport Position
from tickpath.trading.risk cimport InstrumentLimits, RiskState
from tickpath.trading.strategy cimport StrategyContext
from tickpath.types cimport MAX_INSTRUMENTS, Slot
from tickpath.venues.binance_encode cimport EncodeBuffer
from tickpath.venues.decoders cimport Decoder


cdef inline void prefetch_bytes(const void* p, size_t size_bytes) noexcept nogil:
    cdef size_t at = 0
    while at < size_bytes + 63:
        prefetch(<const char*>p + at)
        at += 64


cdef inline void prefetch_level(const Book* b, int side) noexcept nogil:
    cdef int64_t best = b.sides[side].best_ticks & b.mask
    prefetch_bytes(&b.sides[side].qty_lots[best - (best & 7)], 64)
    prefetch(&b.sides[side].bits[best >> 6])
    prefetch(&b.sides[side].summary[best >> 12])


cdef void engine_prefetch(const EngineCore* e) noexcept nogil:
    cdef int32_t i
    cdef uint64_t k
    cdef const RiskState* r = e.risk
    cdef const OrderTable* orders = e.orders
    prefetch_bytes(e, 256)
    prefetch_bytes(&e.actions.items[0], 64)
    prefetch(&e.actions.count)
    prefetch(&e.timers.count)
    prefetch_bytes(&e.risk, <size_t>(<const char*>(e + 1) - <const char*>&e.risk))
    prefetch_bytes(e.ring, sizeof(RingWriter))
    prefetch(e.ring.head)
    for k in range(16):
        prefetch(e.ring.slots + ((e.ring.next_seq + k) & e.ring.mask))
    for i in range(e.venue_count):
        prefetch_bytes(&e.decoders[i], sizeof(Decoder))
        prefetch_bytes(e.decoders[i].self, 128)
    prefetch_bytes(e.batch.slots, 32 * sizeof(Slot))
    prefetch_bytes(e.instruments, 128)
    prefetch(&e.instruments.count)
    prefetch_bytes(r.limits + 64, 64)          # the fields behind the limits
    prefetch(&r.sent_ns[r.sent_count % <uint64_t>r.max_orders_per_min])
    prefetch_bytes(&orders.items[orders.next_ordinal & (ORDER_SLOTS - 1)], sizeof(Order))
    prefetch_bytes(&orders.next_ordinal, 64)
    prefetch(&orders.created_count)
    prefetch_bytes(e.buffer, sizeof(EncodeBuffer))
    for i in range(e.instruments.count):
        prefetch_bytes(&e.instruments.items[i], sizeof(Instrument))
        prefetch_bytes(&e.books[i], sizeof(Book))
        prefetch_level(&e.books[i], SIDE_BIDS)
        prefetch_level(&e.books[i], SIDE_ASKS)
        prefetch_bytes(&e.tops[i], sizeof(Top))
        prefetch_bytes(&e.gates[i], sizeof(Gate))
        prefetch_bytes(&e.gate_limits[i], sizeof(GateLimits))
        prefetch_bytes(&e.signals[i], sizeof(SignalState))
        prefetch_bytes(&e.bars.sets[i], sizeof(BarSet) - (BAR_SET_CAPACITY - e.bars.sets[i].count) * sizeof(BarBuilder))
        prefetch_bytes(&r.limits[i], sizeof(InstrumentLimits))
        prefetch_bytes(&e.account[i], sizeof(Position))
        prefetch(&orders.open_count_by_instrument[i])
        prefetch(&orders.open_buy_lots[i])
        prefetch(&orders.open_sell_lots[i])
    for i in range(e.strategy_count):
        prefetch_bytes(&e.contexts[i], sizeof(StrategyContext))
        prefetch(&e.strategies[i])
        prefetch_bytes(e.strategies[i], 128)
        prefetch_bytes(&e.positions[i * MAX_INSTRUMENTS + e.contexts[i].instrument], sizeof(Position))
