"""How a venue's clock stands against ours: measured, shown, warned of; never used for the age of data (docs/design.md 5).

Two estimates of offset = the venue's clock minus ours:

    rest     the venue's time endpoint: the offset between its answer and the middle of request and answer, known to half of
             the time they took; of the last probes the quickest counts (Cristian, "Probabilistic clock synchronization",
             Distributed Computing 3 (1989)).
    stream   the least (receive time - venue time) of book messages in a window is the least one-way delay minus the offset:
             so the offset is at least the negative of it, and more than that by the delay, which a stream cannot tell.

The rest estimate decides where there is one. Nothing compiled is imported here, so that `tickpath doctor` can ask too.
"""
import http.client
import json
import time
from collections import deque
from typing import NamedTuple

__all__ = ["LagWindow", "Offset", "OffsetWindow", "TIME_PATHS", "probe", "verdict"]

WINDOW_S = 60.0
BUCKETS = 12
PROBES_KEPT = 8
# What two clocks without correction may drift apart, seconds a second: a quartz clock of the poorer kind.
DRIFT = 100e-6
MS = 1_000_000


class Offset(NamedTuple):
    """The venue's clock minus ours. at_least: a stream's bound, `uncertainty_ns` is then unknown (0)."""
    offset_ns: int
    uncertainty_ns: int
    at_least: bool = False

    def text(self):
        if self.at_least:
            return f"at least {self.offset_ns / 1e6:+,.0f} ms"
        return f"{self.offset_ns / 1e6:+,.1f} ms (± {self.uncertainty_ns / 1e6:,.1f} ms)"


def _binance(body):
    return int(body["serverTime"]) * MS, MS


def _kraken(body):
    return int(body["result"]["unixtime"]) * 1000 * MS, 1000 * MS


# Venue kind -> (path, decoded body -> (venue time in ns, its resolution in ns)). Sources: developers.binance.com "Check server
# time", docs.cdp.coinbase.com "Get Server Time", docs.kraken.com "Get Server Time", okx.com/docs-v5 "Get system time",
# bybit-exchange.github.io/docs/v5/market/time; seen 2026-11-21.
TIME_PATHS = {
    "binance_spot": ("/api/v3/time", _binance),
    "binance_usdm": ("/fapi/v1/time", _binance),
    "coinbase": ("/api/v3/brokerage/time", lambda body: (int(body["epochMillis"]) * MS, MS)),
    "kraken": ("/0/public/Time", _kraken),
    "okx": ("/api/v5/public/time", lambda body: (int(body["data"][0]["ts"]) * MS, MS)),
    "bybit": ("/v5/market/time", lambda body: (int(body["result"]["timeNano"]), 1)),
}


class ProbeError(Exception):
    """A time endpoint that gave no time; the text says what was expected and found."""


def probe(rest, kind):
    """(Offset, round trip in ns) of one question.

    Parameters: rest : tickpathd.rest.Rest.  kind : of TIME_PATHS.   Errors: ProbeError, OSError, http.client.HTTPException.
    """
    path, parse = TIME_PATHS[kind]
    # The wall clock says when, the monotonic one how long: a clock that is set in between must not pass for a short trip.
    wall_ns, mono_ns = time.time_ns(), time.monotonic_ns()
    status, _, body = rest.get(path)
    trip_ns = time.monotonic_ns() - mono_ns
    if status != 200:
        raise ProbeError(f"{path}: expected HTTP 200, found {status}")
    try:
        venue_ns, resolution_ns = parse(json.loads(body))
    except (ValueError, TypeError, KeyError, IndexError):
        raise ProbeError(f"{path}: expected the venue's time, found {body[:80]!r}") from None
    # A time that is cut to its resolution stands for anything up to the next step.
    offset_ns = venue_ns + resolution_ns // 2 - (wall_ns + trip_ns // 2)
    return Offset(offset_ns, trip_ns // 2 + resolution_ns // 2), trip_ns


class OffsetWindow:
    """The last probes of one venue; the one known best counts, the older the less."""

    def __init__(self):
        self.probes = deque(maxlen=PROBES_KEPT)

    def add(self, offset, mono_s):
        # A clock that was set makes older probes false: they no longer agree with this one.
        kept = [(o, at) for o, at in self.probes
                if abs(o.offset_ns - offset.offset_ns) <= o.uncertainty_ns + offset.uncertainty_ns
                + int((mono_s - at) * DRIFT * 1e9)]
        self.probes = deque([*kept, (offset, mono_s)], maxlen=PROBES_KEPT)

    def best(self, mono_s):
        """The Offset now, None before the first probe."""
        aged = [Offset(o.offset_ns, o.uncertainty_ns + int((mono_s - at) * DRIFT * 1e9)) for o, at in self.probes]
        return min(aged, key=lambda o: o.uncertainty_ns, default=None)


class LagWindow:
    """The least (receive time - venue time) of the last WINDOW_S, in BUCKETS pieces, so that memory does not grow."""

    def __init__(self, window_s=WINDOW_S):
        self.piece_s = window_s / BUCKETS
        self.pieces = deque(maxlen=BUCKETS + 1)     # (number of the piece, least lag in it)

    def add(self, lag_ns, mono_s):
        number = int(mono_s / self.piece_s)
        if self.pieces and self.pieces[-1][0] == number:
            if lag_ns < self.pieces[-1][1]:
                self.pieces[-1] = (number, lag_ns)
        else:
            self.pieces.append((number, lag_ns))

    def least(self, mono_s):
        """ns, None when nothing came within the window."""
        first = int(mono_s / self.piece_s) - BUCKETS
        return min((lag for number, lag in self.pieces if number >= first), default=None)


def verdict(rest, stream_lag_ns):
    """The Offset to believe, None when nothing is known. rest : Offset or None.  stream_lag_ns : LagWindow.least or None."""
    if rest is not None:
        return rest
    return None if stream_lag_ns is None else Offset(-stream_lag_ns, 0, True)


def is_beyond(offset, max_ms):
    """Is the clock certainly further off than max_ms? A stream's bound proves it only where the venue is ahead."""
    if offset is None:
        return False
    if offset.at_least:
        return offset.offset_ns > max_ms * MS
    return abs(offset.offset_ns) - offset.uncertainty_ns > max_ms * MS


def measured(rest, kind, probes=3):
    """The best Offset of a few probes, for one who asks once. Errors: as probe."""
    window = OffsetWindow()
    for _ in range(probes):
        window.add(probe(rest, kind)[0], time.monotonic())
    return window.best(time.monotonic())


PROBE_ERRORS = (ProbeError, OSError, http.client.HTTPException)
