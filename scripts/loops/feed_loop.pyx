"""The measured listeners of bench_feed: ours and a bare picows one, each stamping every message it has done with; and what an
instrument takes of the engine's memory, by the sizes of its structs (bench_connections)."""
import asyncio

from libc.stdint cimport int64_t

from picows.picows cimport CLOSE, PING, PONG, WSFrame, WSListener, WSTransport
from tickpath.clock cimport mono_now_ns
from tickpath.market.book cimport BOOK_FAR_LEVELS, BOOK_PENDING_SLOTS, Book, FarLevel
from tickpath.market.checksum cimport BookChecksum
from tickpath.market.gate cimport Gate, GateLimits
from tickpath.engine cimport TradeIds
from tickpath.signals.state cimport SignalState, Top
from tickpath.trading.positions cimport Position
from tickpath.types cimport MAX_STRATEGIES, SLOT_BYTES
from tickpath.venues.batch cimport FrameView
from tickpath.venues.feed_listener cimport FeedListener


cdef class StampedFeedListener(FeedListener):
    """The daemon's listener; the stamp of a message is taken when its records are in the event ring, before the state page."""
    cdef int64_t[::1] taken
    cdef Py_ssize_t count, wanted
    cdef object done

    def measure(self, int64_t[::1] taken, Py_ssize_t wanted):
        """Stamp the next `wanted` messages; returns a future that is done with the last."""
        self.taken, self.count, self.wanted = taken, 0, wanted
        self.done = asyncio.get_running_loop().create_future()
        return self.done

    cdef void _take(self, WSTransport transport, WSFrame frame, FrameView* view) except *:
        FeedListener._take(self, transport, frame, view)
        if self.count < self.wanted:
            self.taken[self.count] = mono_now_ns()
            self.count += 1
            if self.count == self.wanted:
                self.done.set_result(None)


cdef class BareListener(WSListener):
    """picows and a stamp: what the network side costs a compiled client that looks at no byte of a message."""
    cdef int64_t[::1] taken
    cdef Py_ssize_t count, wanted
    cdef object done
    cdef readonly int64_t bytes_received

    def measure(self, int64_t[::1] taken, Py_ssize_t wanted):
        self.taken, self.count, self.wanted = taken, 0, wanted
        self.done = asyncio.get_running_loop().create_future()
        return self.done

    cpdef on_ws_frame(self, WSTransport transport, WSFrame frame):
        if frame.msg_type == CLOSE or frame.msg_type == PING or frame.msg_type == PONG:
            return
        self.bytes_received += frame.payload_size
        if self.count < self.wanted:
            self.taken[self.count] = mono_now_ns()
            self.count += 1
            if self.count == self.wanted:
                self.done.set_result(None)


def instrument_bytes(int64_t window_ticks):
    """{part: bytes} that an engine keeps for one instrument, as book_init and Engine allocate them."""
    return {"window": 2 * (window_ticks * 8 + (window_ticks >> 6) * 8 + (window_ticks >> 12) * 8),
            "far_levels": 2 * BOOK_FAR_LEVELS * sizeof(FarLevel), "pending_snapshot": BOOK_PENDING_SLOTS * SLOT_BYTES,
            "checksum": sizeof(BookChecksum), "positions": (1 + MAX_STRATEGIES) * sizeof(Position),
            "other": sizeof(Book) + sizeof(Gate) + sizeof(GateLimits) + sizeof(Top) + sizeof(SignalState) + sizeof(TradeIds)}
