# Records that the engine writes about what it was told: fills, positions, order states, gaps. Warm; called by engine.pyx alone.
from libc.stdint cimport uint8_t

from tickpath.engine cimport EngineCore
from tickpath.market.book cimport Book
from tickpath.trading.orders cimport Order
from tickpath.trading.positions cimport Position
from tickpath.types cimport ExecReport, FillEvent, Slot

# A fill and the position after it; `f` is the record that the strategy is to see.
cdef void publish_fill(EngineCore* e, const Order* o, const ExecReport* r, FillEvent* f) noexcept nogil
# What an order is now; its strategy is told.
cdef void publish_order_state(EngineCore* e, const Order* o, uint8_t old, int reason) noexcept nogil
cdef void report_gap(EngineCore* e, const Book* book, const Slot* record) noexcept nogil
