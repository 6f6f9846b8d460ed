"""What stands around the order service: wire log, ledger, order faults, scenarios; and their options of the command."""
import argparse

from tickpath_sim import audit, scenarios
from tickpath_sim.trading.ledger_log import LedgerLog
from tickpath_sim.trading.ledger_records import LedgerDamage
from tickpath_sim.trading.order_faults import OrderFaults
from tickpath_sim.trading.wire_log import WireLog

__all__ = ["add_arguments", "add_commands", "attach", "prepare"]


def _mib(text):
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not (value == 0 or 1 <= value < 1e7):
        raise argparse.ArgumentTypeError(f"expected at least 1 MiB, or 0 for no bound, found {text!r}")
    return value


def add_arguments(parser):
    """Options of `serve`."""
    group = parser.add_argument_group("what is written down, and what goes wrong")
    group.add_argument("--log-dir", metavar="DIR",
                       help="write every byte in and out, and the ledger, here (`tickpath-sim audit DIR`)")
    group.add_argument("--log-mib", type=_mib, default=1024, metavar="N",
                       help="keep so much of each of the two, the oldest goes first (default 1024, 0: no bound)")
    group.add_argument("--scenario", metavar="FILE", help="a TOML file of faults that are armed by time or by what happens")


def add_commands(subparsers):
    """Commands beside `serve`: each sets `run(arguments) -> exit code`."""
    audit.add_parser(subparsers)


def prepare(arguments):
    """Read what the options name before anything listens. Errors: ScenarioError, WireLogError.

    Returns: (Scenario or None, WireLog or None).
    """
    scenario = scenarios.load(arguments.scenario) if arguments.scenario else None
    wire = WireLog(arguments.log_dir, arguments.log_mib) if arguments.log_dir else None
    return scenario, wire


def attach(server, arguments):
    """Put the extensions on a server that is about to start. Errors: ScenarioError, WireLogError, OSError.

    Sets `wire`, `ledger`, `order_faults`, `scenario` of the server, None where there is none; the loop must be running.
    """
    scenario, wire = prepare(arguments)
    server.wire = server.injector.wire = wire
    server.ledger = server.order_faults = server.scenario = None
    if getattr(server, "trading", None) is not None:
        server.order_faults = OrderFaults(server)
        if wire is not None:
            try:
                server.ledger = LedgerLog(arguments.log_dir, server.trading, arguments.log_mib)
            except LedgerDamage as e:
                raise OSError(str(e)) from None
            server.trading.orders.listeners.append(server.ledger)
            server.ledger.start()
    if wire is not None:
        wire.start()
    if scenario is not None:
        server.scenario = scenarios.attach(server, scenario)
