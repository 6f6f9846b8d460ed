# What the engine knows of an instrument's market besides its book and bars: the top, the signals. Hot; step 4.
#
# The top is the newest of the venue's quote and our book's best, by update id where the venue gives one to both
# (Binance spot does), else by arrival.
from libc.stdint cimport int32_t, int64_t, uint64_t

from tickpath.market.book cimport SIDE_ASKS, SIDE_BIDS, Book, book_next_level
from tickpath.signals.indicators.ema cimport EmaState
from tickpath.signals.indicators.imbalance cimport imbalance_of
from tickpath.types cimport PRICE_TICKS_NONE

cdef struct Top:
    int64_t bid_price_ticks           # PRICE_TICKS_NONE when a side is empty
    int64_t bid_qty_lots
    int64_t ask_price_ticks
    int64_t ask_qty_lots
    uint64_t update_id
    int64_t ts_recv_ns
    int32_t state                     # BookState, as the gate says (market/gate.pxd)

cdef struct SignalState:
    EmaState ema_fast                 # of the closes of the first of the bars, ticks
    EmaState ema_slow
    double imbalance                  # of the top, -1..1
    int32_t imbalance_levels
    int64_t last_trade_ticks
    int64_t last_trade_lots

# Imbalance of the best `levels` of a book; computed when asked for, since walking the levels costs as much as applying
# a message does.
cdef inline double depth_imbalance(const Book* book, int levels) noexcept nogil:
    cdef int side, n
    cdef int64_t price
    cdef int64_t[2] total
    for side in range(2):
        total[side] = 0
        n = 0
        price = book.sides[side].best_ticks
        while n < levels and price != PRICE_TICKS_NONE:
            total[side] += book.sides[side].qty_lots[price & book.mask]
            price = book_next_level(book, side, price)
            n += 1
    return imbalance_of(total[SIDE_BIDS], total[SIDE_ASKS])
