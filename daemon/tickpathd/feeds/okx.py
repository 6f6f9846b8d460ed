"""OKX v5: channels by instrument, books chained by seqId, a text ping of our own.

Facts: okx.com/docs-v5/en, WebSocket (seen 2026-11). 3 connections a second from one address; without a message for 30 s the
venue cuts the line, so "ping" is sent and "pong" comes back. `books` pushes 400 levels each 100 ms. Since 2026-08 a
subscription to it may bring no snapshot (okx.com/docs-v5/log_en, seen 2026-11): the book then comes by REST, 40 requests in 2 s,
and is joined to the stream by seqId.
"""
import json

import msgspec

from tickpathd.feeds.protocol import Control, ControlKind, VenueProtocol

# No bbo-tbt: the book itself is as fast, and a one-level book would replace it.
CHANNELS = {"book": "books", "trades": "trades"}


class Okx(VenueProtocol):
    kind = "okx"
    default_ws_url = "wss://ws.okx.com:8443/ws/v5/public"
    default_rest_url = "https://www.okx.com"
    channels = ("book", "trades")
    streams_per_connection = 240
    message_interval_s = 0.1
    ping_interval_s = 10.0
    silent_after_s = 25.0
    needs_rest_snapshot = True
    may_stream_snapshot = True
    weight_per_min = 1200
    weight_window_s = 2.0
    snapshot_weight = 1

    def _request(self, op, streams):
        args = [{"channel": CHANNELS[s.channel], "instId": s.symbol} for s in streams if s.channel in CHANNELS]
        for at in range(0, len(args), 100):
            yield json.dumps({"op": op, "args": args[at:at + 100]}).encode()

    def subscribe(self, streams):
        return list(self._request("subscribe", streams))

    def unsubscribe(self, streams):
        return list(self._request("unsubscribe", streams))

    def ping(self):
        return b"ping"

    def snapshot_path(self, symbol):
        return f"/api/v5/market/books?instId={symbol}&sz=400"

    def control(self, data):
        if data == b"pong":
            return Control(ControlKind.PONG)
        message = msgspec.json.decode(data)
        event = message.get("event") if isinstance(message, dict) else None
        if event == "subscribe":
            return Control(ControlKind.ACK)
        if event == "error":
            return Control(ControlKind.REFUSED, f"{message.get('code')} {message.get('msg')}")
        if event == "notice":
            return Control(ControlKind.CLOSING, str(message.get("msg", "notice")))
        return Control(ControlKind.OTHER)
