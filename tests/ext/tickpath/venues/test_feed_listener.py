"""A real WebSocket server on loopback plays the capture; the listener's engine ends where one fed from the file ends."""
import asyncio

import pytest
import uvloop
from picows import WSListener, WSMsgType, ws_connect, ws_create_server

from tickpath.capture import read_capture
from tickpath.engine import Engine
from tickpath.session import Session
from tickpath.shm.ring import EventWriter
from tickpath.shm.state_page import StatePage
from tickpath.venues.listener import FeedListener, check_picows

FRAMES = 6000
SPEC = {
    "instance": "socket", "epoch": 1, "mode": "paper", "seed": 1, "stamps": True, "max_frame_bytes": 1 << 20,
    "bar_interval_ns": 10 ** 9, "imbalance_levels": 5, "ema_fast": 12, "ema_slow": 26, "max_data_age_ns": 10 ** 18,
    "max_orders_per_min": 60000, "strategies": [],
    "instruments": [{"venue_symbol": "BTCUSDT", "tick_size": "0.01", "lot_size": "0.000001", "min_notional_ticklots": 0,
                     "book_window_ticks": 65536, "max_order_qty_lots": 10 ** 9, "max_order_notional_ticklots": 10 ** 12,
                     "max_position_notional_ticklots": 10 ** 13, "qty_step_lots": 1, "price_collar_e2_bps": 5000,
                     "max_open_orders": 50}]}


def new_session():
    writer = EventWriter.local(1 << 18)
    return Session(Engine(SPEC, writer))


def final_state(session):
    session.engine.publish_state()
    page = StatePage(session.engine.state_buffer)
    totals, (instrument,) = page.totals(), page.instruments()
    counts = {k: totals[k] for k in ("frames", "quotes", "trades", "book_messages", "levels", "snapshots", "bars", "gaps",
                                     "frame_errors", "events")}
    return counts, {k: v for k, v in instrument.items() if k != "ts_recv_ns"}


class Player(WSListener):
    """The server's side: sends frames as fast as the socket takes them; every 100th in two fragments."""

    def __init__(self, frames):
        self.frames = frames

    def on_ws_connected(self, transport):
        for n, data in enumerate(self.frames):
            if n % 100 == 99:
                transport.send(WSMsgType.TEXT, data[:20], False)
                transport.send(WSMsgType.CONTINUATION, data[20:], True)
            else:
                transport.send(WSMsgType.TEXT, data)
        transport.send_close(1000)


async def play(frames, session):
    server = await ws_create_server(lambda request: Player(frames), "127.0.0.1", 0)
    done = asyncio.get_running_loop().create_future()
    try:
        port = server.sockets[0].getsockname()[1]
        _, listener = await ws_connect(lambda: FeedListener(session, on_closed=done.set_result, instrument_hint=0),
                                       f"ws://127.0.0.1:{port}/stream")
        await asyncio.wait_for(done, 30)
        return listener
    finally:
        server.close()
        await server.wait_closed()


def test_frames_from_a_socket_and_from_a_file_leave_the_engine_in_the_same_state(golden_dir):
    frames = []
    from_file = new_session()
    for frame in read_capture(golden_dir / "binance_spot" / "hftbacktest_btcusdt_20240808.gz"):
        from_file.on_frame(frame.data, frame.ts_recv_ns, 0)
        frames.append(frame.data)
        if len(frames) == FRAMES:
            break
    from_socket = new_session()
    listener = uvloop.new_event_loop().run_until_complete(play(frames, from_socket))
    assert listener.frames == FRAMES and listener.closed
    assert final_state(from_socket) == final_state(from_file)


def test_another_picows_than_the_one_compiled_against_is_refused_in_our_words():
    with pytest.raises(ImportError, match="expected version 2.3.1, which tickpath was compiled with, found 9.9.9"):
        check_picows("9.9.9")
