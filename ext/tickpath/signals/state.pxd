# What the engine knows of an instrument's market besides its book: the top, the bar, the signals. Hot; step 4.
#
# The top is the newest of the venue's quote and our book's best, by update id where the venue gives one to both
# (Binance spot does), else by arrival.
from libc.stdint cimport int32_t, int64_t, uint64_t

from tickpath.market.bars cimport BarBuilder
from tickpath.signals.indicators.ema cimport EmaState

cdef struct Top:
    int64_t bid_price_ticks           # PRICE_TICKS_NONE when a side is empty
    int64_t bid_qty_lots
    int64_t ask_price_ticks
    int64_t ask_qty_lots
    uint64_t update_id
    int64_t ts_recv_ns

cdef struct SignalState:
    BarBuilder bar
    EmaState ema_fast                 # of bar closes, ticks
    EmaState ema_slow
    double imbalance                  # of the top, -1..1
    double book_imbalance             # of the best imbalance_levels of the book, after its last update
    int32_t imbalance_levels
    int64_t last_trade_ticks
    int64_t last_trade_lots
