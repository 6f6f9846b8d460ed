"""Coinbase Advanced Trade: channels by product, one sequence over the whole connection, heartbeats each second.

Facts: docs.cdp.coinbase.com/advanced-trade/docs/ws-overview (seen 2026-11). The first subscription must come within 5 s;
a quiet channel is closed after 60 to 90 s unless `heartbeats` is subscribed. One request names one channel. A book is
synchronised again by a new connection, since the sequence belongs to that.
"""
import base64
import hmac
import json
import time

import msgspec

from tickpathd.feeds.credentials import CredentialError, read_credentials
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
        return coinbase_control(data)


def coinbase_control(data):
    """What a message without market data says, on either of Coinbase's servers."""
    message = msgspec.json.decode(data)
    if not isinstance(message, dict):
        return Control(ControlKind.OTHER)
    if message.get("channel") == "subscriptions" or message.get("type") == "subscriptions":
        return Control(ControlKind.ACK)
    if message.get("type") == "error":
        return Control(ControlKind.REFUSED, f"{message.get('message')} {message.get('reason', '')}".strip())
    return Control(ControlKind.OTHER)


class CoinbaseFull(VenueProtocol):
    """Coinbase Exchange's `full` channel: every order of a product in one sequence, its beginning from REST (level=3).

    Facts: docs.cdp.coinbase.com/exchange/websocket-feed/channels and .../authentication (seen 2026-11). Since 2023-08 the channel
    is only for signed subscriptions: the key, its passphrase, a time in seconds, and the HMAC-SHA256 of time + "GET" +
    "/users/self/verify" under the secret, in base64. REST gives public requests 10 a second from one address.
    """
    kind = "coinbase"
    default_ws_url = "wss://ws-feed.exchange.coinbase.com"
    default_rest_url = "https://api.exchange.coinbase.com"
    channels = ("l3",)
    streams_per_connection = 10
    message_interval_s = 0.13
    silent_after_s = 5.0
    needs_rest_snapshot = True
    weight_per_min = 120
    snapshot_weight = 1
    CREDENTIALS = ("key", "passphrase", "secret")

    def check(self):
        self._signed()

    def _signed(self):
        found = read_credentials(self.settings.credentials, self.CREDENTIALS)
        try:
            secret = base64.b64decode(found["secret"], validate=True)
        except ValueError:
            raise CredentialError(f"credentials: expected a secret in base64 in {self.settings.credentials}") from None
        timestamp = f"{time.time():.3f}"
        signature = hmac.digest(secret, f"{timestamp}GET/users/self/verify".encode(), "sha256")
        return {"key": found["key"], "passphrase": found["passphrase"], "timestamp": timestamp,
                "signature": base64.b64encode(signature).decode()}

    def _request(self, kind, streams):
        products = [s.symbol for s in streams if s.channel == "l3"]
        return [json.dumps({"type": kind, "product_ids": products, "channels": ["full", "heartbeat"], **self._signed()}).encode()]

    def subscribe(self, streams):
        return self._request("subscribe", streams)

    def unsubscribe(self, streams):
        return self._request("unsubscribe", streams)

    def control(self, data):
        return coinbase_control(data)

    def snapshot_path(self, symbol):
        return f"/products/{symbol}/book?level=3"
