"""Step 1 on a live socket: a picows listener that hands a venue's frames to the engine.

The frame's bytes are borrowed: they live in picows' read buffer until on_ws_frame returns, with more than FRAME_PADDING
readable bytes behind them (picows 2.3.1 keeps at least 256). A frame from here and one from a capture enter the same
`engine_on_frame`. Import it through `tickpath.venues.listener`, which checks that picows is the one it was built with.
"""
from libc.stdint cimport int64_t, uint32_t

from picows.picows cimport (
    BINARY, CLOSE, CONTINUATION, INVALID_TEXT, MESSAGE_TOO_BIG, PROTOCOL_ERROR, WSFrame, WSListener, WSTransport,
)
from tickpath.clock cimport epoch_now_ns, mono_now_ns
from tickpath.engine_state cimport engine_publish_state
from tickpath.session cimport Session
from tickpath.types cimport STATUS_IGNORED, STATUS_MALFORMED, STATUS_OK, likely, unlikely
from tickpath.venues.batch cimport FRAME_PADDING, FrameView
from tickpath.venues.frame_tap cimport FrameTap


cdef int64_t NEVER_NS = 0x7FFFFFFFFFFFFFFFLL


cdef class TurnClock:
    """Calls `turn` once, behind the frames of one read, when the time given to arm() is over; then it must be armed again.

    Parameters: turn : callable; it runs inside a listener's callback, so it only schedules.
    """
    def __cinit__(self, turn not None):
        self.turn = turn
        self.due_mono_ns = NEVER_NS

    def arm(self, int64_t after_ns):
        self.due_mono_ns = mono_now_ns() + after_ns


cdef class FeedListener(WSListener):
    """One market data connection.

    Parameters: session : Session.  venue_slot, connection : which of our venues, and which of its connections.
                epoch_offset_ns : epoch minus monotonic clock, one for the whole process, so that receive times never decrease;
                None takes it now.
                on_control : called with the bytes of each message that holds nothing for the engine (acknowledgements, errors,
                pongs), or None.
                on_closed : called once with the close code (1006 when there was none), or None.
                max_message_bytes : a message in several frames that grows beyond it ends the connection (1009).
                instrument_hint : of messages that do not name their instrument.
                tap : FrameTap that is given a copy of every message before the engine takes it, or None.
                turn_clock : TurnClock that is looked at behind the frames of one read, or None.
    """
    def __init__(self, Session session not None, int venue_slot=0, int connection=0, *, epoch_offset_ns=None, on_control=None,
                 on_closed=None, int64_t max_message_bytes=16 << 20, uint32_t instrument_hint=0xFFFFFFFF,
                 FrameTap tap=None, TurnClock turn_clock=None):
        self.session = session
        self.tap = tap
        self.venue_slot = venue_slot
        self.connection = connection
        if not 0 <= venue_slot < session.core.venue_count or not 0 <= connection < 256:
            raise ValueError(f"listener: expected a venue below {session.core.venue_count} and a connection below 256, "
                             f"found {venue_slot} and {connection}")
        self.epoch_offset_ns = epoch_now_ns() - mono_now_ns() if epoch_offset_ns is None else epoch_offset_ns
        self.fragments = bytearray()
        self.on_control = on_control
        self.on_closed = on_closed
        self.max_message_bytes = max_message_bytes
        self.close_code = 1006
        self.instrument_hint = instrument_hint
        self.turn_clock = turn_clock

    cpdef on_ws_connected(self, WSTransport transport):
        self.transport = transport
        self.connected_mono_ns = self.last_frame_mono_ns = mono_now_ns()

    cpdef on_ws_frame(self, WSTransport transport, WSFrame frame):
        cdef FrameView view
        cdef Py_ssize_t size
        if unlikely(frame.rsv1 | frame.rsv2 | frame.rsv3):
            # We negotiate no extension: a bit set is a peer that we do not understand, or a bomb.
            self._fail(transport, PROTOCOL_ERROR)
            return
        if unlikely(frame.msg_type > BINARY):
            if frame.msg_type == CLOSE:
                self.close_code = <int>frame.get_close_code() or 1005
                transport.send_close()
                transport.disconnect()
            return                                    # ping and pong: picows answers
        if unlikely((frame.msg_type == CONTINUATION) != (len(self.fragments) > 0)):
            self._fail(transport, PROTOCOL_ERROR)
            return
        view.ts_recv_ns = self.epoch_offset_ns + mono_now_ns()
        if likely(frame.fin and frame.msg_type != CONTINUATION):
            view.data = frame.payload_ptr
            view.size = frame.payload_size
        else:
            # A message in several frames: hardly any venue sends one, but the protocol allows it. Joined off the usual path.
            if len(self.fragments) + frame.payload_size > self.max_message_bytes:
                self._fail(transport, MESSAGE_TOO_BIG)
                return
            self.fragments += frame.get_payload_as_bytes()
            if not frame.fin:
                if len(self.fragments) == 0:
                    self._fail(transport, PROTOCOL_ERROR)         # an empty first fragment says nothing and hides the next
                return
            size = len(self.fragments)
            self.fragments += b"\0" * FRAME_PADDING
            view.data = self.fragments
            view.size = size
        self._take(transport, frame, &view)
        if frame.last_in_buffer:
            engine_publish_state(self.session.core)
            if self.turn_clock is not None and self.last_frame_mono_ns >= self.turn_clock.due_mono_ns:
                self.turn_clock.due_mono_ns = NEVER_NS
                self.turn_clock.turn()
        if unlikely(len(self.fragments) > 0):
            self.fragments = bytearray()

    cdef void _take(self, WSTransport transport, WSFrame frame, FrameView* view) except *:
        cdef int status
        self.frames += 1
        self.bytes_received += view.size
        self.last_frame_mono_ns = view.ts_recv_ns - self.epoch_offset_ns
        view.instrument_hint = self.instrument_hint
        view.venue_slot = <unsigned short>self.venue_slot
        view.connection = <unsigned short>self.connection
        if unlikely(self.tap is not None):
            self.tap.take(view)
        status = self.session._on_frame(view)
        if likely(status == STATUS_OK):
            self.data_frames += 1
        elif status == STATUS_IGNORED:
            if self.on_control is not None:
                self.on_control(view.data[:view.size])
        else:
            self.refused_frames += 1
            if status == STATUS_MALFORMED and frame.msg_type != BINARY and not is_utf8(view.data[:view.size]):
                self._fail(transport, INVALID_TEXT)

    cdef void _fail(self, WSTransport transport, code) except *:
        self.close_code = code
        self.fragments = bytearray()
        transport.send_close(code)
        transport.disconnect()

    cpdef on_ws_disconnected(self, WSTransport transport):
        if not self.closed:
            self.closed = True
            if self.on_closed is not None:
                self.on_closed(self.close_code)


def is_utf8(bytes data):
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
