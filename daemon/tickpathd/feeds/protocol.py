"""What a venue wants to hear on its market data sockets, in the words all venues share."""
from enum import Enum
from typing import NamedTuple

__all__ = ["Control", "ControlKind", "Stream", "VenueProtocol", "protocol_of", "protocols_of"]


class Stream(NamedTuple):
    """One subscription. channel: book, trades, quotes, status or l3 (order by order)."""
    instrument: int               # the engine's id
    symbol: str                   # the venue's own spelling
    channel: str


class ControlKind(Enum):
    ACK = "ack"                   # a subscription was taken
    REFUSED = "refused"           # a subscription was refused; text says why
    ERROR = "error"               # something else we sent was refused
    PONG = "pong"
    CLOSING = "closing"           # the venue announces that it will cut the connection
    OTHER = "other"


class Control(NamedTuple):
    kind: ControlKind
    text: str = ""


class VenueProtocol:
    """One venue's market data protocol; subclasses say how it differs.

    Parameters: settings : the venue's configuration (config.Venue).
    """
    kind = ""
    default_ws_url = ""
    default_rest_url = ""
    channels = ("book", "trades", "quotes")
    streams_per_connection = 100
    message_interval_s = 0.0      # least time between two messages of ours on one connection
    ping_interval_s = None        # of an application ping; None: the WebSocket's own is enough
    silent_after_s = 10.0         # without an application frame for so long the line is taken for dead
    replace_after_s = None        # a new socket is opened before the venue cuts the old one
    ack_timeout_s = 10.0
    needs_rest_snapshot = False
    may_stream_snapshot = False   # … but the stream may bring one all the same: it is then asked for both ways
    can_resubscribe = True        # one symbol at a time; else the whole line is connected anew
    weight_per_min = 0            # of REST snapshots
    snapshot_weight = 0
    weight_window_s = 60.0        # over which the venue counts the weight

    def __init__(self, settings):
        self.settings = settings
        self.ws_url = (settings.ws_url or self.default_ws_url).rstrip("/")
        self.rest_url = (settings.rest_url or self.default_rest_url).rstrip("/")

    def check(self):
        """What can be known to fail before anything is connected. Errors: ValueError, one line for the operator."""

    def url(self, streams):
        """Where to connect for these streams."""
        return self.ws_url

    def subscribe(self, streams):
        """Messages (bytes) that subscribe the streams."""
        raise NotImplementedError

    def unsubscribe(self, streams):
        raise NotImplementedError

    def ping(self):
        """The application ping, bytes."""
        raise NotImplementedError

    def control(self, data):
        """What a message that holds no market data says: Control."""
        raise NotImplementedError

    def snapshot_path(self, symbol):
        """REST path of a book snapshot, where the stream brings none."""
        raise NotImplementedError


def protocols_of(settings):
    """[(protocol, channels)] of a configured venue: order-by-order data have a server and rules of their own.

    Errors: KeyError for a kind without one.
    """
    usual = protocol_of(settings)
    found = [(usual, [c for c in usual.channels if c in settings.channels])]
    if "l3" in settings.channels:
        from tickpathd.feeds import coinbase, kraken
        l3 = {"coinbase": coinbase.CoinbaseFull, "kraken": kraken.KrakenL3}[settings.kind](settings)
        found.append((l3, ["l3"]))
    return [(protocol, channels) for protocol, channels in found if channels]


def protocol_of(settings):
    """The usual protocol of a configured venue. Errors: KeyError for a kind without one."""
    from tickpathd.feeds import binance, bybit, coinbase, kraken, okx
    classes = {cls.kind: cls for cls in (binance.BinanceSpot, binance.BinanceUsdm, bybit.Bybit, coinbase.Coinbase,
                                         kraken.Kraken, okx.Okx)}
    return classes[settings.kind](settings)
