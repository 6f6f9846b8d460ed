"""The venues' protocols, by name; a venue with two kinds of feed has two, and a capture tells which."""
from tickpath_sim.protocols.binance import BinanceSpot
from tickpath_sim.protocols.binance_usdm import BinanceUsdm
from tickpath_sim.protocols.bybit import Bybit
from tickpath_sim.protocols.coinbase_advanced import CoinbaseAdvanced
from tickpath_sim.protocols.coinbase_exchange import CoinbaseExchange
from tickpath_sim.protocols.kraken_v1 import KrakenV1
from tickpath_sim.protocols.kraken_v2 import KrakenV2
from tickpath_sim.protocols.okx import Okx

__all__ = ["VENUES", "protocol_for"]

VENUES = {"binance_spot": (BinanceSpot,), "binance_usdm": (BinanceUsdm,), "coinbase": (CoinbaseExchange, CoinbaseAdvanced),
          "kraken": (KrakenV1, KrakenV2), "okx": (Okx,), "bybit": (Bybit,)}
GUESS_FRAMES = 1000


def protocol_for(frames, venue=None):
    """The protocol class that claims the first frame which any claims; None if none does.

    Parameters: frames : iterable of CaptureFrame, at most GUESS_FRAMES are read.  venue : look only at this one's.
    A USD-M quote looks like none of spot's, and a spot diff is one of USD-M's without "pu"; so the order does not matter.
    """
    candidates = VENUES[venue] if venue else [p for protocols in VENUES.values() for p in protocols]
    for count, frame in enumerate(frames, 1):
        for protocol in candidates:
            if protocol.claims(frame):
                return protocol
        if count == GUESS_FRAMES:
            break
    return candidates[0] if venue and len(candidates) == 1 else None
