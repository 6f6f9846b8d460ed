# Pre-trade risk: every check, inline, before every message that can add exposure. Hot; step 6; owned by the engine.
#
# Exposure is the worst case: position + leaves of every open, in-flight or unknown order of that side. A refusal names
# its Reason. Cancels are never refused for risk.
from libc.stdint cimport int32_t, int64_t, uint64_t

from tickpath.market.book cimport Book
from tickpath.market.instruments cimport Instrument
from tickpath.signals.state cimport Top
from tickpath.trading.orders cimport OrderTable
from tickpath.trading.positions cimport Position
from tickpath.trading.strategy cimport Action

cdef enum: RATE_SLOTS = 65536         # most orders a minute that can be allowed

cdef struct InstrumentLimits:
    int64_t max_order_qty_lots
    int64_t max_order_notional_ticklots
    int64_t max_position_notional_ticklots
    int64_t qty_step_lots             # an order's quantity is a multiple of it
    int64_t price_collar_e2_bps       # hundredths of a basis point around the mid
    int32_t max_open_orders

cdef struct RiskState:
    InstrumentLimits[64] limits       # by instrument
    int64_t max_data_age_ns
    int32_t trading_state             # TradingState
    int32_t max_orders_per_min
    uint64_t sent_count               # orders accepted so far = write position in sent_ns
    int64_t[65536] sent_ns            # when each of the last max_orders_per_min was accepted

# Judge a submit. Returns Reason (REASON_OK to go on). Changes nothing.
cdef int risk_check(const RiskState* r, const Action* a, const Instrument* item, const Book* book, const Top* top,
                    const Position* account, const OrderTable* orders, int64_t now_ns) noexcept nogil

# Count an accepted order against the rate.
cdef inline void risk_note_order(RiskState* r, int64_t now_ns) noexcept nogil:
    r.sent_ns[r.sent_count % <uint64_t>r.max_orders_per_min] = now_ns
    r.sent_count += 1
