"""Which venues have a fallback, where its frames go, and when it has to poll. Read by engine, gateway and ccxt workers alike."""
from typing import NamedTuple

from tickpath.types import FeedSource

__all__ = ["POLLED", "POLL_CONNECTION", "POLL_SUFFIX", "Fallback", "fallbacks_of", "is_wanted"]

POLL_CONNECTION = 255             # market/failover.pxd: the connection of all frames that a fallback brings
POLL_SUFFIX = " (poll)"           # what the row of a fallback's own frames is called
POLLED = (FeedSource.SOURCE_REST, FeedSource.SOURCE_CCXT)


class Fallback(NamedTuple):
    """One venue's. slot: the venue slot of its frames, behind those of the configured venues."""
    name: str
    settings: object              # config.Venue
    slot: int
    source: FeedSource


def fallbacks_of(config):
    """[Fallback] in the order of the configuration, which gives them their slots."""
    found = []
    for name, settings in config.venues.items():
        if settings.failover != "none":
            source = FeedSource.SOURCE_REST if settings.failover == "rest" else FeedSource.SOURCE_CCXT
            found.append(Fallback(name, settings, len(config.venues) + len(found), source))
    return found


def is_wanted(row, now_ns, after_ns):
    """Has this instrument (a row of the state page) been without its stream for so long that polls are asked for? While a poll
    feeds it, yes."""
    return row["source"] in POLLED or 0 < row["native_bad_since_ns"] <= now_ns - after_ns
