# The bars of every instrument inside the engine: closed by its trades or by time, published, and told to the strategies.
# The engine's thread. Hot for a trade inside its bars (bars_on_trade), warm where one closes. Rules: docs/bars.md.
#
# Closing by time is a function of the inputs: a bar that is due at D closes before the first input whose time is at or after
# D, with D as its time, whatever that input is and however many came before it.
from tickpath.engine cimport EngineCore
from tickpath.market.bar_set cimport BarSet, bar_set_on_trade
from tickpath.types cimport TradeEvent, unlikely

# A trade. Returns how many bars of e.bars.closed the strategies have yet to be told of; the records are in the ring.
cdef inline int bars_on_trade(EngineCore* e, const TradeEvent* trade) noexcept nogil:
    cdef BarSet* s = &e.bars.sets[trade.instrument]
    cdef int count = bar_set_on_trade(s, trade, e.bars.closed)
    if unlikely(count | s.moved):
        return bars_turn(e, trade, count)
    return 0

# The trade closed or opened a bar.
cdef int bars_turn(EngineCore* e, const TradeEvent* trade, int count) noexcept nogil
# Close what is due at e.bars_due_ns, of the first instrument that has such a bar, and tell the strategies.
cdef void bars_close_due(EngineCore* e) noexcept nogil
# Tell every strategy of the first `count` of e.bars.closed.
cdef void call_on_bars(EngineCore* e, int count) noexcept nogil
