"""Bybit v5: topics, books that open with a snapshot and count u, an application ping each 20 s.

Facts: bybit-exchange.github.io/docs/v5/ws/connect (seen 2026-11). Spot and linear have a socket of their own (the URL's end);
args of one request: 10 for spot. Depths 1, 50, 200, 500, 1000.
"""
import json

import msgspec

from tickpathd.feeds.protocol import Control, ControlKind, VenueProtocol

DEPTHS = (1, 50, 200, 500, 1000)


class Bybit(VenueProtocol):
    kind = "bybit"
    default_ws_url = "wss://stream.bybit.com/v5/public/spot"
    default_rest_url = "https://api.bybit.com"
    channels = ("book", "trades")
    streams_per_connection = 200
    message_interval_s = 0.05
    ping_interval_s = 20.0
    silent_after_s = 45.0
    args_per_message = 10

    def depth(self):
        return next((d for d in DEPTHS if d >= self.settings.depth), DEPTHS[-1])

    def _request(self, op, streams):
        names = {"book": f"orderbook.{self.depth()}", "trades": "publicTrade"}
        args = [f"{names[s.channel]}.{s.symbol}" for s in streams if s.channel in names]
        for at in range(0, len(args), self.args_per_message):
            yield json.dumps({"op": op, "args": args[at:at + self.args_per_message]}).encode()

    def subscribe(self, streams):
        return list(self._request("subscribe", streams))

    def unsubscribe(self, streams):
        return list(self._request("unsubscribe", streams))

    def ping(self):
        return b'{"op":"ping"}'

    def control(self, data):
        message = msgspec.json.decode(data)
        if not isinstance(message, dict):
            return Control(ControlKind.OTHER)
        if message.get("op") in ("ping", "pong") or message.get("ret_msg") == "pong":
            return Control(ControlKind.PONG)
        if message.get("op") in ("subscribe", "") and "success" in message:
            text = str(message.get("ret_msg", "refused"))
            if message["success"] or "already subscribed" in text:
                return Control(ControlKind.ACK)
            return Control(ControlKind.REFUSED, text)
        return Control(ControlKind.OTHER)
