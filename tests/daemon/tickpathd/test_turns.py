"""When the engine's process looks between frames: on a real loop, with a real socket where data matters."""
import asyncio

import pytest
import uvloop
from picows import WSListener, WSMsgType, ws_connect, ws_create_server

from tickpath.engine import Engine
from tickpath.session import Session
from tickpath.shm.ring import EventWriter
from tickpath.venues.listener import FeedListener, TurnClock
from tickpathd import turns
from tickpathd.turns import POLLS_PER_TURN, TURNS_PER_WARMING, Turns

SPEC = {
    "instance": "turns", "epoch": 1, "mode": "paper", "seed": 1, "stamps": True, "max_frame_bytes": 1 << 20,
    "bar_interval_ns": 10 ** 9, "imbalance_levels": 5, "ema_fast": 12, "ema_slow": 26, "max_data_age_ns": 10 ** 18,
    "max_orders_per_min": 60000, "strategies": [],
    "instruments": [{"venue_symbol": "BTCUSDT", "tick_size": "0.01", "lot_size": "0.000001", "min_notional_ticklots": 0,
                     "book_window_ticks": 65536, "max_order_qty_lots": 10 ** 9, "max_order_notional_ticklots": 10 ** 12,
                     "max_position_notional_ticklots": 10 ** 13, "qty_step_lots": 1, "price_collar_e2_bps": 5000,
                     "max_open_orders": 50}]}
QUOTE = b'{"u":%d,"s":"BTCUSDT","b":"100.00000000","B":"1.00000000","a":"100.01000000","A":"1.00000000"}'


@pytest.fixture
def loop():
    loop = uvloop.new_event_loop()
    yield loop
    loop.close()


class CountingLoop:
    """The loop's two ways to schedule, counted; everything else is the real one's."""

    def __init__(self, loop):
        self.loop, self.soon, self.later = loop, 0, 0

    def call_soon(self, callback):
        self.soon += 1
        return self.loop.call_soon(callback)

    def call_later(self, delay_s, callback):
        self.later += 1
        return self.loop.call_later(delay_s, callback)


def test_a_turn_that_handled_something_is_followed_at_once_and_none_is_the_last(loop):
    handled = iter([3, 1, None])
    counting = CountingLoop(loop)
    run = Turns(lambda warming: next(handled), busy=False)
    run.start(counting)
    loop.run_until_complete(asyncio.sleep(0.02))
    assert next(handled, "used up") == "used up"
    assert (counting.soon, counting.later) == (3, 0)


def test_an_idle_sleeping_process_looks_again_after_a_while(loop):
    handled = iter([0, 0, None])
    counting = CountingLoop(loop)
    Turns(lambda warming: next(handled), busy=False).start(counting)
    loop.run_until_complete(asyncio.sleep(0.1))
    assert (counting.soon, counting.later) == (1, 2)


def test_a_busy_process_polls_its_sockets_a_few_times_between_idle_turns(loop):
    handled = iter([0, 0, None])
    counting = CountingLoop(loop)
    Turns(lambda warming: next(handled), busy=True).start(counting)
    loop.run_until_complete(asyncio.sleep(0.05))
    assert (counting.soon, counting.later) == (1 + 2 * (POLLS_PER_TURN + 1), 0)


def test_a_busy_process_warms_its_path_seldom_and_a_sleeping_one_in_every_turn(loop):
    for busy, expected in ((False, [True] * 4), (True, [True] + [False] * (TURNS_PER_WARMING - 1) + [True])):
        asked, left = [], iter([0] * (len(expected) - 1) + [None])

        def turn(warming, asked=asked, left=left):
            asked.append(warming)
            return next(left)
        Turns(turn, busy=busy).start(loop)
        loop.run_until_complete(asyncio.sleep(0.1))
        assert asked == expected


class Quotes(WSListener):
    """The server's side: a quote every tenth of a millisecond or so."""

    def __init__(self, n):
        self.left = n

    def on_ws_connected(self, transport):
        self.transport = transport
        self.send()

    def send(self):
        self.left -= 1
        if self.left < 0:
            self.transport.send_close(1000)
            return
        self.transport.send(WSMsgType.TEXT, QUOTE % (1000 - self.left))
        asyncio.get_running_loop().call_later(0.0005, self.send)


async def take_quotes(n, clock):
    """A FeedListener that has taken n quotes from a real server."""
    server = await ws_create_server(lambda request: Quotes(n), "127.0.0.1", 0)
    done = asyncio.get_running_loop().create_future()
    session = Session(Engine(SPEC, EventWriter.local(1024)))
    try:
        port = server.sockets[0].getsockname()[1]
        _, listener = await ws_connect(lambda: FeedListener(session, on_closed=done.set_result, turn_clock=clock),
                                       f"ws://127.0.0.1:{port}/stream")
        await asyncio.wait_for(done, 30)
        return listener
    finally:
        server.close()
        await server.wait_closed()


def test_frames_bring_the_next_turn_with_them_once_it_is_near(loop, monkeypatch):
    # With a pause that never ends every turn but the first must have come with data.
    monkeypatch.setattr(turns, "IDLE_SLEEP_S", 3600)
    turned = []
    run = Turns(lambda warming: turned.append(1) or 0, busy=False)
    run.start(loop)
    listener = loop.run_until_complete(take_quotes(40, run.clock))
    assert listener.frames == 40
    assert 1 < len(turned) <= 41


def test_the_turn_clock_rings_once_and_only_when_armed(loop):
    rung = []
    clock = TurnClock(lambda: rung.append(1))
    assert loop.run_until_complete(take_quotes(5, clock)).frames == 5 and rung == []
    clock.arm(0)
    assert loop.run_until_complete(take_quotes(5, clock)).frames == 5 and rung == [1]
