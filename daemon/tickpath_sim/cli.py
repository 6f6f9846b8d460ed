"""`tickpath-sim`: the simulated venue on loopback.

    tickpath-sim serve --port 0 --capture capture.gz --faults-port 0

prints one line of JSON when it listens: {"ws_url": …, "rest_url": …, "faults_url": …, "ca_file": …}, and ends in order on
SIGINT or SIGTERM.
"""
import argparse
import asyncio
import contextlib
import json
import signal
import sys
import tempfile

import uvloop

from tickpath.capture import CaptureError
from tickpath_sim.playback import load_protocol
from tickpath_sim.protocols import VENUES
from tickpath_sim.protocols.base import VenueClock
from tickpath_sim.server import Options, SimServer, Timings
from tickpath_sim.tls import TlsError

__all__ = ["main"]

DONE, FAILED = 0, 1
PACES = {"recorded": 1.0, "fast": 0.0}


def _speed(text):
    if text in PACES:
        return PACES[text]
    try:
        value = float(text.removesuffix("x"))
    except ValueError:
        value = 0.0
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"expected recorded, fast or a factor such as 10 or 0.5x, found {text!r}")
    return value


def _port(text):
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"expected a port from 0 (any free one) to 65535, found {text!r}")
    return int(text)


def _limit(text):
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e9:
        raise argparse.ArgumentTypeError(f"expected a number, 0 for no limit, found {text!r}")
    return value


def _parser():
    parser = argparse.ArgumentParser(prog="tickpath-sim", description="The simulated venue.")
    serve = parser.add_subparsers(dest="command", required=True).add_parser(
        "serve", help="play captures over WebSocket and REST, with faults on demand",
        description="Plays captures as the venue would: its own protocol, only what a client subscribed to.")
    serve.add_argument("--port", type=_port, required=True, help="of the WebSocket side; 0: any free one")
    serve.add_argument("--rest-port", type=_port, default=0, help="of the REST side (default: any free one)")
    serve.add_argument("--faults-port", type=_port, help="of the faults' control, plain HTTP (default: none)")
    serve.add_argument("--capture", action="append", metavar="FILE", required=True,
                       help="a capture or a glob pattern; may be given several times, played in turn")
    serve.add_argument("--venue", choices=sorted(VENUES), help="default: guessed from the content")
    serve.add_argument("--tls", action="store_true", help="wss and https with a certificate made for this run")
    serve.add_argument("--speed", type=_speed, default=1.0, metavar="recorded|fast|X", help="pace (default: recorded)")
    serve.add_argument("--loop", action="store_true", help="begin again at the end; ids and books go on without a gap")
    serve.add_argument("--start-after", type=int, default=1, metavar="N",
                       help="begin to play when N clients have subscribed (default 1; 0: at once)")
    serve.add_argument("--copies", type=int, default=1, metavar="N", choices=range(1, 65),
                       help="play a Binance capture's only instrument N times, under N names (default 1)")
    serve.add_argument("--clock-offset-ms", type=int, default=0, metavar="MS",
                       help="the venue's clock is so far ahead of this machine's (default 0; negative: behind)")
    serve.add_argument("--live-times", action="store_true",
                       help="messages of Binance, OKX and Bybit bear the venue's present time, not the recorded one")
    serve.add_argument("--books-by-rest", action="store_true",
                       help="OKX as since 2026-08: no snapshot at a subscription, no checksum")
    serve.add_argument("--queue-mib", type=_limit, default=64, help="a client with more unsent bytes is cut off (default 64)")
    serve.add_argument("--stall-s", type=_limit, default=5.0,
                       help="with --speed fast, a client that holds up the others for so long is cut off (default 5)")
    timings = serve.add_argument_group("timings and limits of the venue (default: its own; 0: none)")
    for name, help_text in (("ping-interval-s", "between the server's ping frames"), ("pong-timeout-s", "for the pong"),
                            ("cut-after-s", "life of a connection"), ("subscribe-within-s", "for the first subscription"),
                            ("idle-timeout-s", "without a message either way"), ("heartbeat-s", "between heartbeats"),
                            ("messages-per-s", "that a client may send"), ("rest-weight-per-min", "that REST answers")):
        timings.add_argument(f"--{name}", type=_limit, help=help_text)
    return parser


async def _serve(arguments, tls_dir):
    protocol, paths, span_ns = load_protocol(arguments.capture, arguments.venue, arguments.copies)
    VenueClock.offset_ms, protocol.live_times = arguments.clock_offset_ms, arguments.live_times
    if arguments.books_by_rest:
        if protocol.venue != "okx":
            raise CaptureError(arguments.capture[0], None, "a capture of okx for --books-by-rest", f"one of {protocol.venue}")
        protocol.books_by_rest = True
    options = Options(port=arguments.port, rest_port=arguments.rest_port, faults_port=arguments.faults_port, tls_dir=tls_dir,
                      speed=arguments.speed, loop=arguments.loop, start_after=arguments.start_after,
                      stall_s=arguments.stall_s, queue_bytes_max=int(arguments.queue_mib * (1 << 20)) or sys.maxsize)
    names = ("ping_interval_s", "pong_timeout_s", "cut_after_s", "subscribe_within_s", "idle_timeout_s", "heartbeat_s",
             "messages_per_s", "rest_weight_per_min")
    server = SimServer(protocol, paths, span_ns, options, Timings(**{name: getattr(arguments, name) for name in names}))
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    print(json.dumps(await server.start()), flush=True)
    await stop.wait()
    await server.stop()
    return server.player.failure


def main(argv=None):
    """The command's exit code: 0 done, 1 it could not be done, 2 wrong usage."""
    arguments = _parser().parse_args(argv)
    with contextlib.ExitStack() as stack:
        tls_dir = stack.enter_context(tempfile.TemporaryDirectory(prefix="tickpath-sim-")) if arguments.tls else None
        try:
            failure = uvloop.run(_serve(arguments, tls_dir))
        except (CaptureError, TlsError, OSError) as e:
            failure = str(e)
    if failure is not None:
        print(f"tickpath-sim: {failure}", file=sys.stderr)
        return FAILED
    return DONE


if __name__ == "__main__":
    sys.exit(main())
