# An instrument's tick or lot changes in session. Cold; called by engine.pyx for an EV_GRID input alone; everything here follows
# from journaled input.
#
# The switch is one event: behind its record every price and quantity of the instrument is of the new grid, before it of the old
# one, in the engine as in the journal. What must be exact moves exactly: levels of a proven book (or the book is lost and
# synchronised again), positions, open orders. An open order that the new grid does not have is cancelled. Limits keep their value
# in the quote asset, rounded down to a whole ticklot.
#
# A lot that positions or open orders are no multiples of is not followed: a coarser one becomes the order step instead, on the
# finer lot that we have; any other is refused, and the gate stays shut (GATE_GRID) until a grid comes that can be followed.
from libc.stdint cimport uint32_t, uint64_t

from tickpath.engine cimport EngineCore
from tickpath.types cimport GridEvent

cpdef enum GridRefusal:
    GRID_REFUSAL_INVALID = 0
    GRID_REFUSAL_INSTRUMENT = 1       # one that we do not have
    GRID_REFUSAL_NUMBER = 2           # a size, step or minimum that is none
    GRID_REFUSAL_RATIO = 3            # too far from the present grid for 64 bits
    GRID_REFUSAL_CHECKSUM = 4         # the venue's text would have fewer decimals than the grid
    GRID_REFUSAL_HOLDINGS = 5         # positions or open orders are no multiples of the lot

# Follow a grid. True when something has changed: e.grid_change says by how much, orders that do not fit are marked off_grid.
cdef bint engine_regrid(EngineCore* e, const GridEvent* g) noexcept nogil

# Whether what was decided after reading the ring up to seen_seq was decided on the instrument's present grid.
cdef inline bint grid_was_seen(const EngineCore* e, uint32_t instrument, uint64_t seen_seq) noexcept nogil:
    return seen_seq >= e.grid_seqs[instrument]
