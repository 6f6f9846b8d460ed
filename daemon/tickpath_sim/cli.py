"""`tickpath-sim`: the simulated venue on loopback.

    tickpath-sim serve --port 0 --capture capture.gz --faults-port 0
    tickpath-sim serve --port 0 --venue binance_spot --accounts accounts.toml        # a market of its clients alone

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
from dataclasses import fields

import uvloop

from tickpath.capture import CaptureError
from tickpath_sim.playback import load_protocol
from tickpath_sim.protocols import VENUES
from tickpath_sim.protocols.base import VenueClock
from tickpath_sim.protocols.binance_own import own_protocol
from tickpath_sim.scenarios import ScenarioError
from tickpath_sim.server import Options, SimServer, Timings
from tickpath_sim.tls import TlsError
from tickpath_sim.trading import extensions, flow
from tickpath_sim.trading.accounts import DEMO, AccountError, read_accounts
from tickpath_sim.trading.build import KINDS, trading_venue
from tickpath_sim.trading.wire_log import WireLogError

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
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser(
        "serve", help="play captures, or trade, over WebSocket and REST, with faults on demand",
        description="Plays captures as the venue would: its own protocol, only what a client subscribed to. Where the venue is "
                    "one of Binance's, clients can trade.")
    serve.add_argument("--port", type=_port, required=True, help="of the WebSocket side; 0: any free one")
    serve.add_argument("--rest-port", type=_port, default=0, help="of the REST side (default: any free one)")
    serve.add_argument("--faults-port", type=_port, help="of the faults' control, plain HTTP (default: none)")
    serve.add_argument("--capture", action="append", metavar="FILE",
                       help="a capture or a glob pattern; may be given several times, played in turn (default: none: the "
                            "market is what the clients, and --flow, make it)")
    serve.add_argument("--venue", choices=sorted(VENUES), help="default: by the capture, else binance_spot")
    serve.add_argument("--accounts", metavar="FILE", help="accounts of clients that trade, TOML (default: demo)")
    serve.add_argument("--no-limits", action="store_true", help="no limit of weights, requests and orders")
    serve.add_argument("--busy-poll", action="store_true", help="never sleep: shortest replies, a whole core")
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
                            ("messages-per-s", "that a client may send"), ("rest-weight-per-min", "that REST answers"),
                            ("orders-per-10s", "of an account"), ("orders-per-day", "of an account")):
        timings.add_argument(f"--{name}", type=_limit, help=help_text)
    flow.add_arguments(serve)
    extensions.add_arguments(serve)
    extensions.add_commands(commands)
    return parser


def _protocol(arguments):
    """(protocol, paths, span in ns) of the capture, or of a market of its own."""
    if arguments.capture:
        protocol, paths, span_ns = load_protocol(arguments.capture, arguments.venue, arguments.copies)
    else:
        venue = arguments.venue or "binance_spot"
        if venue not in KINDS:
            raise CaptureError("--venue", None, f"a --capture for {venue}, or one of {', '.join(KINDS)}", "no --capture")
        protocol, paths, span_ns = own_protocol(KINDS[venue]), [], 0
    VenueClock.offset_ms, protocol.live_times = arguments.clock_offset_ms, arguments.live_times
    if arguments.books_by_rest:
        if protocol.venue != "okx":
            raise CaptureError(arguments.capture[0], None, "a capture of okx for --books-by-rest", f"one of {protocol.venue}")
        protocol.books_by_rest = True
    return protocol, paths, span_ns


async def _serve(arguments, tls_dir):
    protocol, paths, span_ns = _protocol(arguments)
    options = Options(port=arguments.port, rest_port=arguments.rest_port, faults_port=arguments.faults_port, tls_dir=tls_dir,
                      speed=arguments.speed, loop=arguments.loop, start_after=arguments.start_after,
                      stall_s=arguments.stall_s, queue_bytes_max=int(arguments.queue_mib * (1 << 20)) or sys.maxsize,
                      busy_poll=arguments.busy_poll)
    timings = Timings(**{field.name: getattr(arguments, field.name) for field in fields(Timings)})
    if arguments.no_limits:
        timings.rest_weight_per_min = timings.orders_per_10s = timings.orders_per_day = 0
    trading = None
    if protocol.venue in KINDS:
        rows = read_accounts(arguments.accounts) if arguments.accounts else DEMO
        trading = trading_venue(protocol, bool(paths), rows, timings.of(protocol), arguments.seed or 0)
    elif arguments.accounts:
        raise AccountError(f"--accounts: expected a venue where clients can trade ({', '.join(KINDS)}), found {protocol.venue}")
    server = SimServer(protocol, paths, span_ns, options, timings, trading)
    extensions.attach(server, arguments)
    server.at_stop += [part.close for part in (server.wire, server.ledger) if part is not None]
    if not paths:
        flow.attach(server, arguments)
    elif arguments.flow is not None:
        raise flow.FlowError("--flow: expected no --capture beside it: a capture is a market of its own")
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
    if arguments.command != "serve":
        return arguments.run(arguments)
    with contextlib.ExitStack() as stack:
        tls_dir = stack.enter_context(tempfile.TemporaryDirectory(prefix="tickpath-sim-")) if arguments.tls else None
        try:
            failure = uvloop.run(_serve(arguments, tls_dir))
        except (CaptureError, TlsError, AccountError, flow.FlowError, ScenarioError, WireLogError, OSError) as e:
            failure = str(e)
    if failure is not None:
        print(f"tickpath-sim: {failure}", file=sys.stderr)
        return FAILED
    return DONE


if __name__ == "__main__":
    sys.exit(main())
