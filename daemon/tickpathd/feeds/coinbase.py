"""Coinbase Advanced Trade: channels by product, one sequence over the whole connection, heartbeats each second.

Facts: docs.cdp.coinbase.com/advanced-trade/docs/ws-overview (seen 2026-11). The first subscription must come within 5 s;
a quiet channel is closed after 60 to 90 s unless `heartbeats` is subscribed. One request names one channel. A book is
synchronised again by a new connection, since the sequence belongs to that.
"""
import json

import msgspec

from tickpathd.feeds.protocol import Control, ControlKind, VenueProtocol

CHANNELS = {"book": "level2", "trades": "market_trades", "quotes": "ticker"}


class Coinbase(VenueProtocol):
    kind = "coinbase"
    default_ws_url = "wss://advanced-trade-ws.coinbase.com"
    default_rest_url = "https://api.coinbase.com"
    streams_per_connection = 30
    message_interval_s = 0.13
    silent_after_s = 5.0
    can_resubscribe = False

    def _request(self, kind, streams):
        for channel, name in CHANNELS.items():
            products = [s.symbol for s in streams if s.channel == channel]
            if products:
                yield json.dumps({"type": kind, "product_ids": products, "channel": name}).encode()

    def subscribe(self, streams):
        return [json.dumps({"type": "subscribe", "channel": "heartbeats"}).encode(), *self._request("subscribe", streams)]

    def unsubscribe(self, streams):
        return list(self._request("unsubscribe", streams))

    def control(self, data):
        message = msgspec.json.decode(data)
        if not isinstance(message, dict):
            return Control(ControlKind.OTHER)
        if message.get("channel") == "subscriptions" or message.get("type") == "subscriptions":
            return Control(ControlKind.ACK)
        if message.get("type") == "error":
            return Control(ControlKind.REFUSED, f"{message.get('message')} {message.get('reason', '')}".strip())
        return Control(ControlKind.OTHER)
