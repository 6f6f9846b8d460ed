"""A picows server for bench_feed's TLS case: recorded messages on schedule, over TLS or not, told by stdin as feed_server.c is.

Usage: feed_tls_server.py CORE MESSAGES TIMES [CERTIFICATE KEY]. Due together does not leave together here: a send a message.
"""
import asyncio
import gc
import mmap
import os
import struct
import sys
import time
from pathlib import Path

import uvloop
from picows import WSListener, WSMsgType, ws_create_server

from tickpath_sim.tls import server_context


def read_messages(path):
    data, at, found = Path(path).read_bytes(), 4, []
    while at < len(data):
        size, = struct.unpack_from("<I", data, at)
        found.append(data[at + 4:at + 4 + size])
        at += 4 + size
    return found


class Venue(WSListener):
    newest = None

    def on_ws_connected(self, transport):
        Venue.newest = transport


def send(messages, times, count, rate):
    """Blocks the loop: the socket takes every message at once, or the figure is none."""
    gap_ns, start_ns = 1e9 / rate, time.monotonic_ns() + 1_000_000
    for i in range(count):
        due_ns = start_ns + int(i * gap_ns)
        while (now_ns := time.monotonic_ns()) < due_ns:
            pass
        times[2 * i], times[2 * i + 1] = due_ns, now_ns
        Venue.newest.send(WSMsgType.TEXT, messages[i])
    return time.monotonic_ns() - start_ns


async def serve(core, messages, times, certificate):
    os.sched_setaffinity(0, {core})
    loop = asyncio.get_running_loop()
    server = await ws_create_server(lambda request: Venue(), "127.0.0.1", 0,
                                    ssl=server_context(*certificate) if certificate else None)
    print("port", server.sockets[0].getsockname()[1], flush=True)
    asked = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(asked), sys.stdin)
    while line := await asked.readline():
        _, count, rate = line.split()
        print("sent", int(count), 0, send(messages, times, int(count), float(rate)), flush=True)


def main():
    core, messages_path, times_path, *certificate = sys.argv[1:]
    with open(times_path, "r+b") as f:
        times = memoryview(mmap.mmap(f.fileno(), 0)).cast("q")
    gc.disable()
    uvloop.run(serve(int(core), read_messages(messages_path), times, certificate))


if __name__ == "__main__":
    main()
