"""Binance: streams named in requests, diffs that need a REST snapshot, a cut after 24 h.

Facts: github.com/binance/binance-spot-api-docs, web-socket-streams.md and rest-api.md; developers.binance.com, USD-M futures
(seen 2026-11). A connection lives 24 h, takes 1,024 streams and 5 messages a second (USD-M 10); serverShutdown comes before an
earlier end. A depth snapshot of 1,000 levels weighs 50 (USD-M 20) of 6,000 (2,400) a minute.
"""
import json

import msgspec

from tickpathd.feeds.protocol import Control, ControlKind, VenueProtocol

STREAMS = {"book": "depth@100ms", "trades": "trade", "quotes": "bookTicker"}


class BinanceSpot(VenueProtocol):
    kind = "binance_spot"
    default_ws_url = "wss://stream.binance.com:9443"
    default_rest_url = "https://api.binance.com"
    streams_per_connection = 1000
    message_interval_s = 0.25
    replace_after_s = 23.5 * 3600
    silent_after_s = 60.0         # a quiet symbol sends nothing; the server pings every 20 s, which tells us the line is there
    needs_rest_snapshot = True
    weight_per_min = 6000
    snapshot_weight = 50
    depth_path = "/api/v3/depth?symbol={}&limit=1000"
    streams_per_message = 200

    def __init__(self, settings):
        super().__init__(settings)
        self.next_id = 1

    def url(self, streams):
        return self.ws_url + "/stream"

    def _request(self, method, streams):
        names = [f"{s.symbol.lower()}@{STREAMS[s.channel]}" for s in streams if s.channel in STREAMS]
        for at in range(0, len(names), self.streams_per_message):
            yield json.dumps({"method": method, "params": names[at:at + self.streams_per_message], "id": self.next_id}).encode()
            self.next_id += 1

    def subscribe(self, streams):
        return list(self._request("SUBSCRIBE", streams))

    def unsubscribe(self, streams):
        return list(self._request("UNSUBSCRIBE", streams))

    def control(self, data):
        message = msgspec.json.decode(data)
        body = message.get("data", message) if isinstance(message, dict) else {}
        if isinstance(body, dict) and body.get("e") == "serverShutdown":
            return Control(ControlKind.CLOSING, "serverShutdown")
        if not isinstance(message, dict):
            return Control(ControlKind.OTHER)
        error = message.get("error") or (message if "code" in message and "msg" in message else None)
        if error:
            text = f"{error.get('code')} {error.get('msg')}" if isinstance(error, dict) else str(error)
            return Control(ControlKind.REFUSED, text)
        if "id" in message and message.get("result", 0) is None:
            return Control(ControlKind.ACK)
        return Control(ControlKind.OTHER)

    def snapshot_path(self, symbol):
        return self.depth_path.format(symbol)


class BinanceUsdm(BinanceSpot):
    kind = "binance_usdm"
    # Books and book tickers are under /public since 2026-03-06, the other documented streams under /market; the address without
    # either has given only /public since 2026-04-23 (developers.binance.com, USD-M futures, "Important WebSocket Change Notice",
    # seen 2026-11-21). The trade stream is in no list there and comes under /public (ccxt/ccxt issue 28083, 2026-08-01).
    default_ws_url = "wss://fstream.binance.com/public"
    default_rest_url = "https://fapi.binance.com"
    message_interval_s = 0.12
    weight_per_min = 2400
    snapshot_weight = 20
    depth_path = "/fapi/v1/depth?symbol={}&limit=1000"
