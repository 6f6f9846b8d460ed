"""The compiled WebSocket listeners, behind a check of the picows they were compiled against.

A class that is cimported fixes its memory layout, so build and run must see the same picows; with another one the import
would fail in a way that names neither.
"""
from importlib.metadata import PackageNotFoundError, version

PICOWS_VERSION = "2.3.1"


def check_picows(found=None):
    """Raise ImportError unless the installed picows is the one this build was compiled with."""
    if found is None:
        try:
            found = version("picows")
        except PackageNotFoundError:
            found = "none"
    if found != PICOWS_VERSION:
        raise ImportError(f"picows: expected version {PICOWS_VERSION}, which tickpath was compiled with, found {found}. "
                          f"Run: pip install picows=={PICOWS_VERSION}, or rebuild tickpath against the other version")


check_picows()

from tickpath.venues.feed_listener import FeedListener, TurnClock  # noqa: E402
from tickpath.venues.order_gateway import OrderGateway  # noqa: E402

__all__ = ["PICOWS_VERSION", "FeedListener", "OrderGateway", "TurnClock", "check_picows"]
