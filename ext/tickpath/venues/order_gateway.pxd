# Step 9 on a live venue: an encoded request goes to the venue's order entry socket. Hot; owned by the engine's thread.
#
# The request is written in the turn in which it was decided; nothing is queued here. One that cannot be handed to a socket comes
# back to the engine as a report of our own (REASON_ORDER_ENTRY_DOWN): it never left, so it is no unknown. What was handed over
# and got no answer is the venue's to tell.
from libc.stdint cimport uint64_t

from cpython.object cimport PyObject
from tickpath.market.instruments cimport InstrumentTable
from tickpath.types cimport ExecReport

cdef enum: UNSENT_MAX = 4096          # power of two, above the most orders that can be open and cancelled

cdef struct LiveGateway:
    const InstrumentTable* instruments
    PyObject* transports[16]          # MAX_VENUES; by venue slot, borrowed from OrderGateway._owned, NULL while there is none
    ExecReport* unsent                # reports that wait for the next turn
    uint64_t unsent_head
    uint64_t unsent_tail
    uint64_t sent
    uint64_t unsent_count
    uint64_t dropped                  # reports that found no room: cannot be while orders are bounded; counted all the same

cdef class OrderGateway:
    cdef LiveGateway live
    cdef list _owned
