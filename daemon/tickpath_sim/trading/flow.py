"""Order flow for a venue that trades: the command's options, and what is set up when it has no capture to play.

    tickpath-sim serve --port 0 --flow hawkes --seed 7          # generated traders and the clients
    tickpath-sim serve --port 0                                 # the clients alone
"""
from tickpath_sim.trading.flow_actions import generate_actions
from tickpath_sim.trading.flow_player import FlowPlayer
from tickpath_sim.trading.flow_traders import Flow, FlowDesk, desk_sizes, flow_exchange
from tickpath_sim.trading.flows import PRESETS, FlowError, load_flow
from tickpath_sim.trading.own_market import OwnMarket

__all__ = ["Flow", "FlowError", "add_arguments", "attach", "flow_exchange", "flow_of", "generate_actions", "load_flow"]


def add_arguments(parser):
    group = parser.add_argument_group("generated order flow (docs/order-flow.md), for Binance without a capture")
    group.add_argument("--flow", metavar="NAME|FILE",
                       help=f"let generated accounts trade: {', '.join(PRESETS)}, or a TOML file (default: clients alone)")
    group.add_argument("--seed", type=int, metavar="N", help="of the flow (default: the file's, or 0)")


def flow_of(venue, spec):
    """A Flow whose accounts are opened at a TradingVenue; deposits of theirs are in its ledger.

    Parameters: venue : TradingVenue.  spec : FlowSpec.  Errors: FlowError when the venue has no such instrument.
    """
    def fund(account, asset, units):
        venue.deposit(venue.accounts.by_number[account], asset, units, "flow")
    desks = []
    for name, flow in spec.instruments.items():
        symbol = venue.symbols.get(name)
        if symbol is None:
            raise FlowError(f"flow {spec.name}: expected one of {', '.join(venue.symbols)}, found {name}")
        counts = desk_sizes(flow, symbol)
        groups = [[venue.add_account(f"flow.{name}.{kind}{n}", {}, "0", "0").number for n in range(1, count + 1)]
                  for kind, count in zip(("poster", "taker", "maker"), counts, strict=True)]
        desks.append(FlowDesk(venue.exchange, symbol, *groups, fund, spot=venue.kind == "spot"))
    return Flow(desks, spec)


def attach(server, arguments):
    """Make the server's public market of its own book, and let a flow trade in it if one was asked for.

    Call it before `server.start()`, once `server.trading` is there and `server.protocol` is binance_own.own_protocol's.
    Errors: FlowError.
    """
    venue = server.trading
    market = venue.market = OwnMarket(venue)
    spec = None
    if arguments.flow is not None:
        symbols = [name for name in ("BTCUSDT", "ETHUSDT") if name in venue.symbols]
        spec = load_flow(arguments.flow, arguments.seed, symbols)
    flow = flow_of(venue, spec) if spec else None
    venue.settle()
    market.start(server)
    venue.event_listeners.append(market.on_events)
    venue.timers.append(market.on_time)
    server.player = FlowPlayer(venue, market, flow, server._crowded, speed=server.options.speed)
    # A market is open before anybody comes.
    server.player.begin()
