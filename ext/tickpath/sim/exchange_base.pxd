# The Python face of the exchange: instruments, orders, the book, events. exchange_money.pyx (MoneyFace), exchange_run.pyx
# (BulkFace), margin_face.pyx (MarginFace) and recorded_face.pyx (RecordedFace) add to it; exchange.py puts them together. Cold.
from libc.stdint cimport int64_t

from tickpath.sim.core cimport SimAccount, SimAction, SimExchange, SimInstrument
from tickpath.sim.order_queues cimport SimOrder

cdef class ExchangeBase:
    cdef SimExchange* x
    cdef readonly list assets             # names, by number
    cdef readonly list asset_decimals
    cdef readonly list instruments        # InstrumentFacts, by number
    cdef dict asset_numbers
    cdef dict instrument_numbers
    cdef SimInstrument* _instrument(self, int instrument) except NULL
    cdef SimAccount* _account(self, int64_t account) except NULL
    cdef int _action(self, SimAction* q, account, instrument, side, order_type, tif, price_ticks, qty_lots, quote_units,
                     stop_ticks, trailing_bips, activation_ticks, iceberg_lots, stp, reduce_only, close_position, position_side,
                     working_mark, expire_ns, ref, post_only, now_ns) except -1
    cdef object _view(self, const SimOrder* order)
    cdef list _side(self, int instrument, int side, int levels)
