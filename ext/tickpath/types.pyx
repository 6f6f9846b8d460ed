"""Record layouts as NumPy sees them, derived from the structs of types.pxd.

`DTYPES[EventType]` is the dtype of a whole record (64 or 128 bytes), `SLOT_DTYPE` that of one slot, and
`LAYOUT_HASH` a 64-bit hash over all of them that stands in every shared segment and journal header: a reader built
from another layout refuses instead of misreading.
"""
import hashlib

import numpy as np

cdef object _dtype(object view):
    return np.asarray(view).dtype

cdef dict _layouts():
    # A Cython memoryview of a struct carries names, types and offsets of its fields; NumPy turns that into a dtype.
    cdef Slot slot
    cdef FrameEvent frame
    cdef BookDelta delta
    cdef TradeEvent trade
    cdef QuoteEvent quote
    cdef CommandEvent command
    cdef ClockEvent clock
    cdef BarEvent bar
    cdef TimerEvent timer
    cdef HealthEvent health
    cdef GapEvent gap
    cdef LatencyEvent latency
    cdef SignalEvent signal
    cdef IntentEvent intent
    cdef CancelEvent cancel
    cdef RefusalEvent refusal
    cdef OrderStateEvent order_state
    cdef ExecReport report
    cdef FillEvent fill
    cdef PositionEvent position
    cdef CandleEvent candle
    cdef ReferenceEvent reference
    cdef LiquidationEvent liquidation
    cdef InstrumentStatusEvent instrument_status
    cdef OrderDelta order_delta
    cdef FeedEvent feed
    cdef GridEvent grid
    cdef ConsolidatedQuote consolidated
    return {
        EV_NONE: _dtype(<Slot[:1]>&slot), EV_CONT: _dtype(<Slot[:1]>&slot),
        EV_FRAME: _dtype(<FrameEvent[:1]>&frame), EV_BOOK_DELTA: _dtype(<BookDelta[:1]>&delta),
        EV_TRADE: _dtype(<TradeEvent[:1]>&trade), EV_QUOTE: _dtype(<QuoteEvent[:1]>&quote),
        EV_EXEC_REPORT: _dtype(<ExecReport[:1]>&report), EV_COMMAND: _dtype(<CommandEvent[:1]>&command),
        EV_CLOCK: _dtype(<ClockEvent[:1]>&clock), EV_BAR: _dtype(<BarEvent[:1]>&bar),
        EV_TIMER: _dtype(<TimerEvent[:1]>&timer), EV_HEALTH: _dtype(<HealthEvent[:1]>&health),
        EV_GAP: _dtype(<GapEvent[:1]>&gap), EV_LATENCY: _dtype(<LatencyEvent[:1]>&latency),
        EV_SIGNAL: _dtype(<SignalEvent[:1]>&signal), EV_INTENT: _dtype(<IntentEvent[:1]>&intent),
        EV_CANCEL: _dtype(<CancelEvent[:1]>&cancel), EV_REFUSAL: _dtype(<RefusalEvent[:1]>&refusal),
        EV_ORDER_STATE: _dtype(<OrderStateEvent[:1]>&order_state), EV_FILL: _dtype(<FillEvent[:1]>&fill),
        EV_POSITION: _dtype(<PositionEvent[:1]>&position), EV_CANDLE: _dtype(<CandleEvent[:1]>&candle),
        EV_REFERENCE: _dtype(<ReferenceEvent[:1]>&reference), EV_LIQUIDATION: _dtype(<LiquidationEvent[:1]>&liquidation),
        EV_INSTRUMENT_STATUS: _dtype(<InstrumentStatusEvent[:1]>&instrument_status),
        EV_ORDER_DELTA: _dtype(<OrderDelta[:1]>&order_delta), EV_FEED: _dtype(<FeedEvent[:1]>&feed),
        EV_GRID: _dtype(<GridEvent[:1]>&grid), EV_CONSOLIDATED: _dtype(<ConsolidatedQuote[:1]>&consolidated),
    }

# EventType -> dtype of the whole record.
DTYPES = {int(kind): dtype for kind, dtype in _layouts().items()}
SLOT_DTYPE = DTYPES[int(EV_NONE)]
# EventType -> slots a record takes.
SLOT_COUNTS = {kind: dtype.itemsize // SLOT_BYTES for kind, dtype in DTYPES.items()}
EVENT_NAMES = {int(kind): EventType(kind).name[3:].lower() for kind in DTYPES}
LAYOUT_VERSION = 3


def _layout_text():
    parts = [f"version {LAYOUT_VERSION}"]
    for kind in sorted(DTYPES):
        dtype = DTYPES[kind]
        fields = ", ".join(f"{name}:{dtype.fields[name][0].str}{dtype.fields[name][0].shape}@{dtype.fields[name][1]}"
                           for name in dtype.names)
        parts.append(f"{kind} {dtype.itemsize} {fields}")
    return "\n".join(parts)


LAYOUT_HASH = int.from_bytes(hashlib.blake2b(_layout_text().encode(), digest_size=8).digest(), "little")

PRICE_NONE = PRICE_TICKS_NONE
QTY_NONE = QTY_LOTS_NONE
TIME_NONE = TS_NONE
MAX_INSTRUMENT_COUNT = MAX_INSTRUMENTS
MAX_STRATEGY_COUNT = MAX_STRATEGIES
MAX_VENUE_COUNT = MAX_VENUES


def cython_sizes():
    """sizeof of every record struct as the compiler sees it, bytes: {struct name: size}. For the layout tests."""
    return {
        "Slot": sizeof(Slot), "FrameEvent": sizeof(FrameEvent), "BookDelta": sizeof(BookDelta),
        "TradeEvent": sizeof(TradeEvent), "QuoteEvent": sizeof(QuoteEvent), "CommandEvent": sizeof(CommandEvent),
        "ClockEvent": sizeof(ClockEvent), "BarEvent": sizeof(BarEvent), "TimerEvent": sizeof(TimerEvent),
        "HealthEvent": sizeof(HealthEvent), "GapEvent": sizeof(GapEvent), "LatencyEvent": sizeof(LatencyEvent),
        "SignalEvent": sizeof(SignalEvent), "IntentEvent": sizeof(IntentEvent), "CancelEvent": sizeof(CancelEvent),
        "RefusalEvent": sizeof(RefusalEvent), "OrderStateEvent": sizeof(OrderStateEvent),
        "ExecReport": sizeof(ExecReport), "FillEvent": sizeof(FillEvent), "PositionEvent": sizeof(PositionEvent),
        "CandleEvent": sizeof(CandleEvent), "ReferenceEvent": sizeof(ReferenceEvent),
        "LiquidationEvent": sizeof(LiquidationEvent), "InstrumentStatusEvent": sizeof(InstrumentStatusEvent),
        "OrderDelta": sizeof(OrderDelta), "FeedEvent": sizeof(FeedEvent), "GridEvent": sizeof(GridEvent),
        "ConsolidatedQuote": sizeof(ConsolidatedQuote),
    }
