# Step 1 on a live socket. Hot; owned by the engine's thread. Declared here so that compiled code outside the package (a
# benchmark's stamps, a recorder) can stand between the socket and the engine by overriding _take.
from libc.stdint cimport int64_t, uint32_t

from picows.picows cimport WSFrame, WSListener, WSTransport
from tickpath.session cimport Session
from tickpath.venues.batch cimport FrameView
from tickpath.venues.frame_tap cimport FrameTap

# From when on a listener that has taken frames brings the process's next turn with it. One for all listeners of a loop.
cdef class TurnClock:
    cdef int64_t due_mono_ns                      # never, until armed
    cdef object turn

cdef class FeedListener(WSListener):
    cdef readonly Session session
    cdef readonly WSTransport transport
    cdef readonly int64_t frames
    cdef readonly int64_t data_frames             # that gave records
    cdef readonly int64_t refused_frames
    cdef readonly int64_t bytes_received
    cdef readonly int64_t last_frame_mono_ns      # application frames only: a pong says nothing about the market
    cdef readonly int64_t connected_mono_ns
    cdef readonly bint closed
    cdef readonly int close_code
    cdef readonly int venue_slot
    cdef readonly int connection
    cdef uint32_t instrument_hint
    cdef int64_t epoch_offset_ns
    cdef int64_t max_message_bytes
    cdef bytearray fragments
    cdef object on_control
    cdef object on_closed
    cdef FrameTap tap                             # None: nobody records
    cdef TurnClock turn_clock                     # None: nobody waits
    # hot: one whole message to the engine; its records are in the ring when it returns
    cdef void _take(self, WSTransport transport, WSFrame frame, FrameView* view) except *
    # cold
    cdef void _fail(self, WSTransport transport, code) except *
