"""A measured client's side of bench_feed: rounds asked for on stdin, answered on stdout. Standard library only, since the
clients of the peers run in an environment of their own.

A line `round PORT COUNT busy|sleep`: connect, say `ready`, take COUNT messages, say `done CPU_NS MESSAGES BYTES JSON`.
CPU_NS is the process's, kernel included, from `ready` to the last message. busy: the loop never sleeps.
"""
import asyncio
import json
import mmap
import os
import sys
import time


class Stamps:
    """When each message of a round was done with (CLOCK_MONOTONIC ns), in memory shared with the benchmark."""

    def __init__(self, path):
        with open(path, "r+b") as f:
            self._mapping = mmap.mmap(f.fileno(), 0)
        self.ns = memoryview(self._mapping).cast("q")
        self.count = self.wanted = 0
        self.done = None

    def begin(self, wanted):
        """The next `wanted` messages; returns a future that is done with the last."""
        self.count, self.wanted = 0, wanted
        self.done = asyncio.get_running_loop().create_future()
        return self.done

    def take(self):
        if self.count < self.wanted:
            self.ns[self.count] = time.monotonic_ns()
            self.count += 1
            if self.count == self.wanted and not self.done.done():
                self.done.set_result(None)


async def one_round(client, port, count, busy):
    loop = asyncio.get_running_loop()
    done = await client.open(port, count, busy)
    print("ready", flush=True)
    begin_ns = time.process_time_ns()
    if busy and not client.spins:
        def again():
            if not done.done():
                loop.call_soon(again)
        again()
    await done
    cpu_ns = time.process_time_ns() - begin_ns
    return cpu_ns, await client.close()


def serve(client, core, loop):
    """Rounds until stdin ends. client: async open(port, count, busy) -> future, async close() -> dict with messages and bytes,
    spins: it keeps the loop awake itself."""
    os.sched_setaffinity(0, {core})
    for line in sys.stdin:
        _, port, count, how = line.split()
        cpu_ns, found = loop.run_until_complete(one_round(client, int(port), int(count), how == "busy"))
        print("done", cpu_ns, found.pop("messages"), found.pop("bytes"), json.dumps(found), flush=True)
