"""Binance USD-M futures: as spot, but the chain is by `pu`, and pings, limits and weights are others.

Rules: developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams, seen 2026-11-21.
"""
from tickpath_sim import wire_json
from tickpath_sim.protocols.base import now_ms
from tickpath_sim.protocols.binance import BinanceSpot, is_binance

__all__ = ["BinanceUsdm"]


class BinanceUsdm(BinanceSpot):
    """USD-M futures: the chain is by `pu`, pings come each 3 minutes, the snapshot's rules and weights are others."""
    venue = "binance_usdm"
    ping_interval_s = 180
    pong_timeout_s = 600
    messages_per_s = 10
    rest_weight_per_min = 2400
    orders_per_10s, orders_per_day = 300, None
    prefix = "/fapi/v1"
    depth_limits = (5, 10, 20, 50, 100, 500, 1000)
    default_limit = 500
    info_weight = 1

    @staticmethod
    def claims(frame):
        data = frame.data
        if not is_binance(frame) or b'"ps":' in data:
            return False
        return b'"pu":' in data or b'"futuresType":"U_MARGINED"' in data or b'"e":"bookTicker"' in data

    def depth_weight(self, limit):
        return 2 if limit <= 50 else 5 if limit <= 100 else 10 if limit <= 500 else 20

    def depth_body(self, sequence, bids, asks):
        return {"lastUpdateId": sequence, "E": now_ms(), "T": now_ms(), "bids": bids, "asks": asks}

    def partial(self, event, depth):
        message = wire_json.loads(self.text(event))
        book = event.instrument.book
        message["b"], message["a"] = book.bids.top(depth), book.asks.top(depth)
        return wire_json.dumps(message)

    def info_entry(self, item, captured):
        entry = super().info_entry(item, captured)
        if captured is None:
            entry = {key: value for key, value in entry.items() if not key.startswith(("oco", "iceberg", "is", "permission"))}
            entry.update(pair=item.symbol, contractType="PERPETUAL", deliveryDate=4133404800000, onboardDate=1567964400000,
                         marginAsset=entry["quoteAsset"], pricePrecision=item.price_places, quantityPrecision=item.qty_places,
                         underlyingType="COIN", timeInForce=["GTC", "IOC", "FOK", "GTX"])
        return entry
