"""Our own measured clients: the daemon's path (`tickpath`) and picows alone (`picows`). Started by bench_feed.

`tickpath` is what tickpathd does around a socket: uvloop, the compiled FeedListener, an Engine with the event ring in a shared
segment of the default size, and the engine process's turns between frames (tickpathd.turns; commands, feed lanes, warming when
idle), with poll = "busy" or "sleep". No strategy.

Usage: feed_clients.py tickpath|picows CORE STAMPS LISTENERS SNAPSHOT    (LISTENERS: feed_loop's compiled module)
"""
import asyncio
import gc
import os
import ssl
import sys
from pathlib import Path

import uvloop
from picows import ws_connect

import benchlib
import loops
from feed_rounds import Stamps, serve
from tickpath.engine import Engine
from tickpath.session import Session
from tickpath.shm.feed_lane import FeedLaneWriter
from tickpath.shm.ring import EventReader, EventWriter, ring_bytes
from tickpath.shm.segment import create_segment
from tickpath.shm.state_page import StatePage
from tickpath.types import EventType
from tickpath.venues.listener import check_picows
from tickpathd.engine_process import FRAMES_PER_TURN
from tickpathd.turns import Turns
from tickpathd.warming import attach_shadow

RING_SLOTS = 262144                 # the default of storage.ring_slots
CA_FILE = os.environ.get("TICKPATH_BENCH_CA")      # set where the server speaks TLS


async def connect(listener, port, **options):
    scheme, context = "ws", None
    if CA_FILE:
        scheme, context = "wss", ssl.create_default_context(cafile=CA_FILE)
    transport, _ = await ws_connect(lambda: listener, f"{scheme}://127.0.0.1:{port}/stream", ssl_context=context,
                                    max_frame_size=16 << 20, **options)
    return transport


async def disconnect(transport):
    transport.disconnect(False)
    await transport.wait_disconnected()


class Picows:
    spins = False

    def __init__(self, module, stamps):
        self.module, self.stamps = module, stamps

    async def open(self, port, count, busy):
        self.count = count
        self.listener = self.module.BareListener()
        done = self.listener.measure(self.stamps.ns, count)
        self.transport = await connect(self.listener, port)
        return done

    async def close(self):
        await disconnect(self.transport)
        return {"messages": self.count, "bytes": self.listener.bytes_received}


class Tickpath:
    spins = True

    def __init__(self, module, stamps, snapshot, ring):
        self.module, self.stamps, self.snapshot, self.ring = module, stamps, snapshot, ring
        self.spec = benchlib.spec(None, {}, mode="paper")
        self.next_seq = 1                                    # one ring for all rounds, as a daemon has: its pages stay warm

    async def open(self, port, count, busy):
        turns = Turns(self._turn, busy=busy)
        self.first_seq, self.writer = self.next_seq, EventWriter(self.ring.buffer, self.next_seq)
        self.session = Session(Engine(self.spec, self.writer), benchlib.PAPER)
        attach_shadow(self.session, self.spec, benchlib.PAPER)
        _, self.lane = FeedLaneWriter.local(1 << 20)
        if self.snapshot:
            self.session.on_frame(self.snapshot, 0, 0)
        self.listener = self.module.StampedFeedListener(self.session, instrument_hint=0, turn_clock=turns.clock)
        self.done = self.listener.measure(self.stamps.ns, count)
        # As FeedSocket.connect.
        self.transport = await connect(self.listener, port, enable_auto_ping=True, auto_ping_idle_timeout=10.0,
                                       auto_ping_reply_timeout=10.0)
        turns.start(asyncio.get_running_loop())
        return self.done

    def _turn(self, warming):
        handled = self.session.drain(self.lane, FRAMES_PER_TURN, warming=warming)
        return None if self.done.done() else handled

    async def close(self):
        await disconnect(self.transport)
        self.session.engine.publish_state()
        totals = StatePage(self.session.engine.state_buffer).totals()
        reader = EventReader(self.ring.buffer, self.first_seq)
        slots = reader.read(RING_SLOTS)
        self.next_seq = self.writer.next_seq
        first = 1 if self.snapshot else 0                    # the snapshot is a frame too
        in_ring = None if reader.missed_slots else int((slots["type"] == EventType.EV_FRAME).sum()) - first
        return {"messages": totals["frames"] - first, "bytes": self.listener.bytes_received, "ring_frames": in_ring,
                "events": totals["events"], "errors": totals["frame_errors"], "gaps": totals["gaps"],
                "data_frames": self.listener.data_frames, "refused": self.listener.refused_frames}


def main():
    kind, core, stamps_path, module_path, snapshot_path = sys.argv[1:]
    check_picows()
    module = loops.module_of(module_path)
    stamps = Stamps(stamps_path)
    loop = uvloop.new_event_loop()
    if kind == "picows":
        gc.disable()
        serve(Picows(module, stamps), int(core), loop)
        return
    with create_segment(f"bench-feed-{os.getpid()}", "ring", ring_bytes(RING_SLOTS), slot_count=RING_SLOTS) as ring:
        gc.collect()
        gc.freeze()
        gc.disable()                                          # as tickpathd does
        serve(Tickpath(module, stamps, Path(snapshot_path).read_bytes(), ring), int(core), loop)


if __name__ == "__main__":
    main()
