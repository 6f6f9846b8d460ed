"""Kraken v2: one socket for all, books proven by checksum, a heartbeat each second.

Facts: docs.kraken.com/api/docs/websocket-v2 (seen 2026-11). Symbols are BASE/QUOTE; book depths 10, 25, 100, 500, 1000.
"""
import json

import msgspec

from tickpathd.feeds.credentials import read_credentials
from tickpathd.feeds.protocol import Control, ControlKind, VenueProtocol

CHANNELS = {"book": "book", "trades": "trade", "quotes": "ticker"}
DEPTHS = (10, 25, 100, 500, 1000)


def depth_offered(levels):
    """The smallest depth that Kraken offers and that holds so many levels."""
    return next((d for d in DEPTHS if d >= levels), DEPTHS[-1])


class Kraken(VenueProtocol):
    kind = "kraken"
    default_ws_url = "wss://ws.kraken.com/v2"
    default_rest_url = "https://api.kraken.com"
    streams_per_connection = 200
    message_interval_s = 0.05
    silent_after_s = 5.0
    ping_interval_s = 15.0

    def _requests(self, method, streams):
        for channel, name in CHANNELS.items():
            symbols = [s.symbol for s in streams if s.channel == channel]
            if not symbols:
                continue
            params = {"channel": name, "symbol": symbols}
            if channel == "book":
                params["depth"] = depth_offered(self.settings.depth)
            elif channel == "quotes":
                params["event_trigger"] = "bbo"
            if method == "subscribe":
                params["snapshot"] = channel != "trades"
            yield json.dumps({"method": method, "params": params}).encode()

    def subscribe(self, streams):
        return list(self._requests("subscribe", streams))

    def unsubscribe(self, streams):
        return list(self._requests("unsubscribe", streams))

    def ping(self):
        return b'{"method":"ping"}'

    def control(self, data):
        message = msgspec.json.decode(data)
        if not isinstance(message, dict):
            return Control(ControlKind.OTHER)
        if message.get("method") == "pong":
            return Control(ControlKind.PONG)
        if message.get("method") in ("subscribe", "unsubscribe"):
            if message.get("success"):
                return Control(ControlKind.ACK if message["method"] == "subscribe" else ControlKind.OTHER)
            text, symbol = str(message.get("error", "refused")), message.get("symbol")
            if text == "Already subscribed":
                return Control(ControlKind.ACK)
            return Control(ControlKind.REFUSED, text if not symbol or str(symbol) in text else f"{text} ({symbol})")
        if "error" in message:
            return Control(ControlKind.ERROR, str(message["error"]))
        return Control(ControlKind.OTHER)


L3_DEPTHS = (10, 100, 1000)


def l3_depth_offered(levels):
    """The smallest depth of level3 that Kraken offers and that holds so many levels."""
    return next((d for d in L3_DEPTHS if d >= levels), L3_DEPTHS[-1])


class KrakenL3(Kraken):
    """The level3 channel: single orders, on a server of its own, for whoever shows a token.

    Facts: docs.kraken.com/api/docs/websocket-v2/level3 and .../guides/spot-ws-auth (seen 2026-11). Depths 10, 100, 1000. The
    token comes from REST GetWebSocketsToken and must be used within 15 minutes; a subscription that is kept keeps it valid.
    """
    default_ws_url = "wss://ws-l3.kraken.com/v2"
    channels = ("l3",)
    streams_per_connection = 100

    def check(self):
        read_credentials(self.settings.credentials, ("token",))

    def _requests(self, method, streams):
        symbols = [s.symbol for s in streams if s.channel == "l3"]
        if not symbols:
            return
        params = {"channel": "level3", "symbol": symbols, "depth": l3_depth_offered(self.settings.depth),
                  **read_credentials(self.settings.credentials, ("token",))}
        if method == "subscribe":
            params["snapshot"] = True
        yield json.dumps({"method": method, "params": params}).encode()
