"""One ccxt venue's market data, from a process of its own: ccxt is heavy to import and may block for as long as it likes.

    websocket (ccxt.pro) or polls ──► exact text ──► frame (venues/ccxt_frame.py) ──► feed lane ──► engine

As a venue (`kind = "ccxt:<id>"`) it begins at once. As a fallback (`failover = "ccxt:<id>"`) it makes no request until the state
page shows an instrument whose own stream has been bad for `failover_after_ms`, and stops when the stream is good again.

If it dies, the engine hears no more beats, closes the gates and goes on; `tickpath run` starts it again.
"""
import argparse
import asyncio
import contextlib
import signal
import sys
import time

from tickpath.market.gate import GateCause
from tickpath.shm.segment import SegmentError
from tickpath.shm.state_page import StatePage
from tickpathd.ccxt_channels import BOOK_TASKS, TASKS
from tickpathd.ccxt_exchange import CcxtError, make_exchange
from tickpathd.feeds.fallback import POLL_CONNECTION, fallbacks_of, is_wanted
from tickpathd.reach import Reach
from tickpathd.run_dir import RunError, read_run
from tickpathd.supervised import die_with
from tickpathd.worker_lane import (
    WORKER_IDLE,
    WORKER_SERVING,
    WORKER_STARTING,
    WORKER_UNREACHABLE,
    BookSender,
    WorkerLane,
)

BEAT_INTERVAL_S = 0.05
RESEND_INTERVAL_S = 0.25
UNUSABLE = 2                      # exit code: starting it again would not help


class CcxtWorker:
    """Parameters: config : Config.  name : of the venue.  fallback : Fallback, or None where the venue itself is ccxt's."""

    def __init__(self, config, name, fallback):
        self.settings = config.venues[name]
        self.name, self.fallback = name, fallback
        self.ccxt_id = (self.settings.failover if fallback else self.settings.kind).removeprefix("ccxt:")
        slot = fallback.slot if fallback else list(config.venues).index(name)
        self.lane = WorkerLane(config.instance.name, slot, POLL_CONNECTION if fallback else 0)
        self.page = StatePage.attach(config.instance.name)
        self.items = {n: item for n, item in enumerate(config.instruments) if item.venue == name}
        # What a fallback sends must stand alone: it may be refused at any time, because the stream is back.
        self.senders = {n: BookSender(self.lane, item, self.settings.depth, diffs=fallback is None)
                        for n, item in self.items.items()}
        self.resend_at_s = dict.fromkeys(self.items, 0.0)
        self.tasks = {}                   # (instrument, channel) -> task
        self.reach = Reach(f"{name}: ccxt {self.ccxt_id}", self.settings)
        self.exchange = None
        self.stopping = asyncio.Event()

    def make(self):
        """Errors: CcxtError."""
        self.exchange = make_exchange(
            self.ccxt_id, ws_url=self.settings.ws_url if self.fallback is None else "", rest_url=self.settings.rest_url,
            ca_file=self.settings.ca_file, options=self.settings.ccxt_options, symbols=[i.symbol for i in self.items.values()])

    async def run(self):
        beats = asyncio.create_task(self._beat())
        try:
            await (self._serve() if self.fallback is None else self._stand_by())
        finally:
            beats.cancel()
            for task in self.tasks.values():
                task.cancel()
            await asyncio.gather(*self.tasks.values(), return_exceptions=True)
            with contextlib.suppress(Exception):
                await asyncio.wait_for(self.exchange.close(), 2.0)

    # ---- what runs besides
    async def _beat(self):
        """The sign of life, what the engine is told of the exchange, and books that it has lost."""
        while True:
            self.lane.beat()
            if not self.tasks:
                self.lane.state(WORKER_IDLE if self.fallback else WORKER_STARTING)
            elif (answers := self.reach.exchange()) is not None:
                self.lane.state(WORKER_SERVING if answers else WORKER_UNREACHABLE)
            if self.fallback is None:
                self._send_lost_again()
            if not self.lane.segment.owner_alive():
                self.stopping.set()       # there is nobody to feed
            await asyncio.sleep(BEAT_INTERVAL_S)

    def _send_lost_again(self):
        now_s = time.monotonic()
        rows = None
        for number, sender in self.senders.items():
            if sender.latest is None or now_s < self.resend_at_s[number]:
                continue
            rows = rows or self.page.instruments()
            if rows[number]["gate_causes"] & GateCause.GATE_SYNCING:
                self.resend_at_s[number] = now_s + RESEND_INTERVAL_S
                sender.send_again()

    # ---- as a venue
    async def _serve(self):
        markets = asyncio.create_task(self.reach.keep("markets", self.exchange.load_markets))
        await self._until(markets)
        if self.stopping.is_set():
            return
        self.reach.forget("markets")
        channels = [c for c in self.settings.channels if not (c == "quotes" and "book" in self.settings.channels)]
        for number, item in self.items.items():
            if item.symbol not in self.exchange.markets:
                raise CcxtError(f"expected a symbol of {self.ccxt_id}, found {item.symbol!r}")
            for channel in channels:
                task = TASKS[channel](self, number, item)
                if task is not None:
                    self.tasks[number, channel] = asyncio.create_task(task)
        if not self.tasks:
            raise CcxtError(f"expected {self.ccxt_id} to have one of {channels} over {self.settings.transport}, found none")
        stop = asyncio.create_task(self.stopping.wait())
        # A task of ours only ends by a defect: then this process does, and is started again.
        done, _ = await asyncio.wait([stop, *self.tasks.values()], return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        for task in done - {stop}:
            task.result()

    async def _until(self, task):
        stop = asyncio.create_task(self.stopping.wait())
        await asyncio.wait([stop, task], return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            stop.cancel()
            task.result()
        else:
            task.cancel()

    # ---- as a fallback
    async def _stand_by(self):
        after_ns = self.settings.failover_after_ms * 1_000_000
        while not self.stopping.is_set():
            now_ns, rows = self.page.totals()["now_ns"], self.page.instruments()
            for number, item in self.items.items():
                task = self.tasks.get((number, "book"))
                if task is not None and task.done():
                    task.result()             # it only ends by a defect: then this process does, and is started again
                if not is_wanted(rows[number], now_ns, after_ns):
                    if task is not None:
                        task.cancel()
                        del self.tasks[number, "book"]
                        self.reach.forget((item.symbol, "book"))
                elif task is None:
                    self.tasks[number, "book"] = asyncio.create_task(BOOK_TASKS["rest"](self, number, item))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.stopping.wait(), BEAT_INTERVAL_S)


def main(argv=None):
    parser = argparse.ArgumentParser(prog="tickpathd.ccxt_worker", description="Market data through ccxt; see `tickpath run`.")
    parser.add_argument("--run-dir", required=True)
    parser.add_argument("--venue", required=True, help="name of its section")
    parser.add_argument("--parent-pid", type=int, help="end when this process does")
    arguments = parser.parse_args(argv)

    async def run():
        worker = CcxtWorker(config, arguments.venue, fallback)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, worker.stopping.set)
        if arguments.parent_pid:
            die_with(arguments.parent_pid)
        worker.make()
        await worker.run()
    try:
        config, _ = read_run(arguments.run_dir)
        fallback = next((f for f in fallbacks_of(config) if f.name == arguments.venue), None)
        asyncio.run(run())
    except CcxtError as e:
        print(f"ccxt: {arguments.venue}: {e}", file=sys.stderr)
        return UNUSABLE
    except (RunError, SegmentError, OSError) as e:
        print(f"ccxt: {arguments.venue}: {e}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
