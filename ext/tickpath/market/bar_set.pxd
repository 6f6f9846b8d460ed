# Up to 16 bar builders of one instrument, fed by one call per trade: several time frames, and other kinds, in one pass.
# Hot; owned by the engine's thread. Fixed memory, no allocation. `BarStream` is the Python face.
#
# Every builder sees the trades themselves, so that a 5m bar does not depend on which 1m bars were closed or emitted.
# Bars come out in a fixed order: by close time, and at the same close the shortest interval first (equal intervals have
# different offsets, so they never close together). Bars that the trade itself fills (tick, volume, notional) follow, in the
# order in which they were added.
from libc.stdint cimport int32_t, int64_t, uint64_t

from tickpath.market.bars cimport BarBuilder
from tickpath.types cimport BarEvent, TradeEvent, int128

cdef enum: BAR_SET_CAPACITY = 16

cdef struct BarSet:
    int32_t count
    int32_t time_count                # builders[:time_count] are the time bars, shortest first
    int32_t again                     # 1: the last bar_set_on_trade did not take its trade: call it again with the same one
    int32_t moved                     # set when bar_set_next_due_ns may have changed; for the caller, who clears it
    int64_t grace_ns                  # of every time bar, for bar_set_close_due
    int64_t ts_next_close_ns          # no time bar closes before it
    int128[16] closed_notional_ticklots   # of the bars the last call returned, in the same order
    BarBuilder[16] builders

# ---- cold: before the first trade
cdef void bar_set_init(BarSet* s, int64_t grace_ns) noexcept nogil

# Take a builder whose kind, interval or threshold, offset and rules are set and whose rest is zero. Its spec_idx becomes the
# number of builders added before it. False when the set is full.
cdef bint bar_set_add(BarSet* s, const BarBuilder* configured) noexcept nogil

# ---- hot
# Add a trade to every builder; `closed` has room for 16 bars. Returns how many were closed. After it, while s.again, call it
# again with the same trade: only builders with emit_empty ever ask for that.
cdef int bar_set_on_trade(BarSet* s, const TradeEvent* trade, BarEvent* closed) noexcept nogil

# Close the time bars that are due at now_ns (bar_next_due_ns); room for 16. Call until it returns fewer than 16.
cdef int bar_set_close_due(BarSet* s, int64_t now_ns, BarEvent* closed) noexcept nogil

# The engine time from which bar_set_close_due has something to do; INT64_MAX when there is nothing.
cdef int64_t bar_set_next_due_ns(const BarSet* s) noexcept nogil

# The bars being built that have a trade, in the order of the builders; room for 16. Returns how many.
cdef int bar_set_unfinished(BarSet* s, int64_t ts_recv_ns, BarEvent* bars) noexcept nogil

# ---- cold
# Add a builder for each BarSpec; ValueError when there are none, too many, or two that are the same.
cdef int bar_set_configure(BarSet* s, tuple specs, object tick_size, object lot_size, int32_t empty_run_max) except -1

cdef class BarStream:
    cdef BarSet bars
    cdef readonly tuple specs
    cdef list full_chunks             # (bars, notional) arrays
    cdef object chunk                 # the pair being filled, and views of it
    cdef BarEvent[::1] chunk_bars
    cdef uint64_t[:, ::1] chunk_notional
    cdef Py_ssize_t used
    cdef int _take(self, const BarEvent* closed, int count) except -1
