"""What Kraken's two WebSocket protocols share: the checksum over number texts, views of less depth, the REST side.

A book of less depth than the recorded one is derived from it, as the venue does: a level that comes into view is sent, one
that falls out of view is not, since the client cuts its book. Rules: docs.kraken.com/exchange, seen 2026-11-21.
"""
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zlib import crc32

from tickpath_sim.protocols.base import BOOK, Protocol, Reply, VenueClock, now_ms

__all__ = ["DEPTHS", "Kraken", "iso_now", "kraken_checksum"]

DEPTHS = (10, 25, 100, 500, 1000)
CHECKSUM_LEVELS = 10


def kraken_checksum(book):
    """CRC32 of the ten best asks and bids, their digits without point and leading zeros."""
    def digits(text):
        return text.replace(".", "").lstrip("0")
    rows = book.asks.top(CHECKSUM_LEVELS) + book.bids.top(CHECKSUM_LEVELS)
    return crc32("".join(digits(row[0]) + digits(row[1]) for row in rows).encode())


def iso_now():
    now = datetime.now(UTC) + timedelta(milliseconds=VenueClock.offset_ms)
    return now.isoformat(timespec="microseconds").replace("+00:00", "Z")


class Kraken(Protocol):
    venue = "kraken"
    normal_status = "online"
    has_checksum = True
    heartbeat_s = 1
    version = None

    def __init__(self):
        super().__init__()
        self.pairs = None                   # the recorded instrument list
        self.views = {}                     # depth -> clients that want it
        self.system = "online"

    def checksum(self, book):
        return kraken_checksum(book)

    def accept(self, event):
        if event.kind is not BOOK or not self.views:
            return super().accept(event)
        book = event.instrument.book
        before = {depth: (best(book.bids, depth), best(book.asks, depth)) for depth in self.views}
        event = super().accept(event)
        if event is not None and event.kind is BOOK:
            event.views = {}
            for depth, (bids, asks) in before.items():
                event.views[depth] = (in_view(bids, book.bids, event.bids, depth), in_view(asks, book.asks, event.asks, depth))
        return event

    def observe_rest(self, frame):
        if b'"wsname"' in frame.data and self.pairs is None:
            found = json.loads(frame.data).get("result")
            self.pairs = found if isinstance(found, dict) else None

    def observed(self):
        for entry in (self.pairs or {}).values():
            item = self.instruments.get(entry.get("wsname"))
            if item is not None:
                item.tick_size = entry.get("tick_size") or format(Decimal(1).scaleb(-entry["pair_decimals"]), "f")
                item.lot_size = format(Decimal(1).scaleb(-entry["lot_decimals"]), "f")
        super().observed()

    def rest(self, method, path, query, old_snapshot=None):
        name = path.removeprefix("/0/public/")
        if name == "Time":
            return self._result({"unixtime": now_ms() // 1000, "rfc1123": iso_now()})
        if name == "SystemStatus":
            return self._result({"status": self.system, "timestamp": iso_now()})
        if name == "AssetPairs":
            return self._result(self._asset_pairs())
        if name == "Depth":
            wanted = query.get("pair", "").replace("/", "")
            item = next((i for i in self.instruments.values() if wanted in (i.symbol.replace("/", ""), i.symbol)), None)
            if item is None:
                return Reply(b'{"error":["EQuery:Unknown asset pair"]}')
            count = int(query.get("count", "100")) if query.get("count", "100").isdecimal() else 100
            stamp = now_ms() // 1000
            return self._result({item.symbol: {side: [[r[0], r[1], stamp] for r in rows.top(count)]
                                               for side, rows in (("asks", item.book.asks), ("bids", item.book.bids))}})
        return None

    @staticmethod
    def _result(value):
        # Row texts of v2 are numbers on its stream, and texts here.
        return Reply(json.dumps({"error": [], "result": value}, separators=(",", ":")).encode())

    def _asset_pairs(self):
        entries = dict(self.pairs or {})
        names = {entry.get("wsname"): name for name, entry in entries.items()}
        for item in self.instruments.values():
            tick, lot = item.listed_grid()
            base, _, quote = item.symbol.partition("/")
            name = names.get(item.symbol, base + quote)
            entries[name] = {"altname": base + quote, "wsname": item.symbol, "base": base, "quote": quote,
                             **entries.get(name, {}), "pair_decimals": len(tick.partition(".")[2]),
                             "lot_decimals": len(lot.partition(".")[2]), "tick_size": tick, "status": item.status or "online"}
        return entries

    def want_view(self, depth, more):
        self.views[depth] = self.views.get(depth, 0) + more
        if not self.views[depth]:
            del self.views[depth]


def best(side, depth):
    prices = side.prices[-depth:] if side.is_bid else side.prices[:depth]
    return set(prices)


def in_view(before, side, changes, depth):
    """The rows of one side that a client with `depth` levels gets, given the prices it saw before the change."""
    after = best(side, depth)
    rows, told = [], set()
    for row in changes:
        price = Decimal(row[0])
        told.add(price)
        if price in after:
            rows.append(row)
        elif price in before and not Decimal(row[1]):
            rows.append(row)
    fresh = sorted(after - before - told, reverse=side.is_bid)
    return rows + [[*side.rows[price][:3], "r"] if len(side.rows[price]) > 2 else side.rows[price] for price in fresh]
