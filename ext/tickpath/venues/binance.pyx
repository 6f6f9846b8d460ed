"""Step 1 on a live socket: a picows listener that hands Binance frames to the engine.

The frame's bytes are borrowed: they live in picows' read buffer until on_ws_frame returns, with more than FRAME_PADDING
readable bytes behind them (picows 2.3.1 keeps at least 256). A frame from here and one from a capture enter the same
`engine_on_frame`. Import it through `tickpath.venues.listener`, which checks that picows is the one it was built with.
"""
from libc.stdint cimport int64_t, uint32_t

from picows.picows cimport CLOSE, CONTINUATION, TEXT, WSFrame, WSListener, WSTransport
from tickpath.clock cimport epoch_now_ns, mono_now_ns
from tickpath.engine_state cimport engine_publish_state
from tickpath.session cimport Session
from tickpath.venues.batch cimport FRAME_PADDING, FrameView


cdef class BinanceListener(WSListener):
    """One market stream connection.

    Parameters: session : Session.  instrument_hint : of REST-like bodies, INSTRUMENT_NONE when there are none.
    Receive times are an epoch offset taken here plus the monotonic clock, so they never decrease.
    """
    cdef readonly Session session
    cdef readonly object transport
    cdef readonly long frames
    cdef readonly bint closed
    cdef uint32_t instrument_hint
    cdef int64_t epoch_offset_ns
    cdef bytearray fragments
    cdef object on_closed

    def __init__(self, Session session not None, instrument_hint=0xFFFFFFFF, on_closed=None):
        self.session = session
        self.instrument_hint = instrument_hint
        self.epoch_offset_ns = epoch_now_ns() - mono_now_ns()
        self.fragments = bytearray()
        self.on_closed = on_closed

    cpdef on_ws_connected(self, WSTransport transport):
        self.transport = transport

    cpdef on_ws_frame(self, WSTransport transport, WSFrame frame):
        cdef FrameView view
        cdef Py_ssize_t size
        if frame.msg_type == CLOSE:
            transport.send_close()
            transport.disconnect()
            return
        if frame.msg_type != TEXT and frame.msg_type != CONTINUATION:
            return
        view.ts_recv_ns = self.epoch_offset_ns + mono_now_ns()
        view.instrument_hint = self.instrument_hint
        view.venue_slot = view.connection = 0
        if frame.fin and frame.msg_type == TEXT:
            view.data = frame.payload_ptr
            view.size = frame.payload_size
        else:
            # A message in several frames: Binance sends none, but the protocol allows it. Joined off the usual path.
            self.fragments += frame.get_payload_as_bytes()
            if not frame.fin:
                return
            size = len(self.fragments)
            self.fragments += b"\0" * FRAME_PADDING
            view.data = self.fragments
            view.size = size
        self.frames += 1
        self.session._on_frame(&view)
        if frame.last_in_buffer:
            engine_publish_state(self.session.core)
        if len(self.fragments):
            self.fragments = bytearray()

    cpdef on_ws_disconnected(self, WSTransport transport):
        self.closed = True
        if self.on_closed is not None:
            self.on_closed()
