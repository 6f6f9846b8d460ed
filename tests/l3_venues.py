"""Venues that send single orders, made up: no recording of Kraken's level3 or Coinbase's full channel exists. The shapes are those
of the venues' documentation; what comes is drawn from a seed."""
import json
import random
import zlib
from uuid import UUID

from tickpath.venues.kraken_decode import order_key_to_id


class Orders:
    """Resting orders by price and time: the truth that an engine's book is held against. Prices in ticks, quantities in lots."""

    def __init__(self):
        self.sides = ({}, {})             # price -> {key: qty}, in the order of arrival
        self.where = {}                   # key -> (side, price)

    def add(self, key, side, price, qty):
        self.sides[side].setdefault(price, {})[key] = qty
        self.where[key] = side, price

    def remove(self, key):
        side, price = self.where.pop(key)
        qty = self.sides[side][price].pop(key)
        if not self.sides[side][price]:
            del self.sides[side][price]
        return side, price, qty

    def reduce(self, key, qty):
        side, price = self.where[key]
        self.sides[side][price][key] = qty
        return side, price

    def best(self, side):
        """(price, lots, orders) of a side's best, or None."""
        prices = self.sides[side]
        if not prices:
            return None
        price = min(prices) if side else max(prices)
        return price, sum(prices[price].values()), len(prices[price])

    def levels(self, side):
        return [(p, self.sides[side][p]) for p in sorted(self.sides[side], reverse=not side)]

    def cut(self, depth):
        for side in range(2):
            for _, queue in self.levels(side)[depth:]:
                for key in list(queue):
                    self.remove(key)

    def wanted(self, rng, price_of):
        """A next event: ("add", key, side, price, qty), ("delete", key) or ("modify", key, qty), never crossing."""
        kind = rng.choice(("add", "add", "add", "delete", "modify"))
        if kind == "add" or len(self.where) < 6:
            side = rng.randrange(2)
            return "add", rng.getrandbits(80), side, price_of(rng, side), rng.randrange(1, 10 ** 9)
        key = rng.choice(list(self.where))
        side, price = self.where[key]
        qty = self.sides[side][price][key]
        return ("modify", key, rng.randrange(1, qty)) if kind == "modify" and qty > 1 else ("delete", key)


class KrakenLevel3:
    """BTC/USD with ticks of 0.1 and lots of 1e-8, ten prices deep, with the venue's checksum."""
    symbol = "BTC/USD"

    def __init__(self, seed=1):
        self.rng, self.orders = random.Random(seed), Orders()
        for _ in range(30):
            side = self.rng.randrange(2)
            self.orders.add(self.rng.getrandbits(80), side, self.price(self.rng, side), self.rng.randrange(1, 10 ** 9))
        self.orders.cut(10)

    @staticmethod
    def price(rng, side):
        return 600_000 + rng.randrange(1, 20) if side else 600_000 - rng.randrange(20)

    def checksum(self):
        text = "".join(f"{price}{qty}" for side in (1, 0) for price, queue in self.orders.levels(side)[:10] for qty in queue.values())
        return zlib.crc32(text.encode())

    @staticmethod
    def _row(key, price, qty, event=None):
        head = f'"event":"{event}",' if event else ""
        return (f'{{{head}"order_id":"{order_key_to_id(key >> 64, key & (1 << 64) - 1)}","limit_price":{price / 10:.1f},'
                f'"order_qty":{qty / 1e8:.8f},"timestamp":"2026-11-21T10:00:00.000000000Z"}}')

    def _message(self, kind, rows):
        return (f'{{"channel":"level3","type":"{kind}","data":[{{"symbol":"{self.symbol}","checksum":{self.checksum()},'
                f'"bids":[{",".join(rows[0])}],"asks":[{",".join(rows[1])}]}}]}}').encode()

    def snapshot(self):
        return self._message("snapshot", [[self._row(key, price, qty) for price, queue in self.orders.levels(side)
                                           for key, qty in queue.items()] for side in range(2)])

    def update(self):
        """The next message: one to three events. What falls out of ten prices is not said, what comes back is sent anew."""
        rows = ([], [])
        for _ in range(self.rng.randrange(1, 4)):
            event, key, *more = self.orders.wanted(self.rng, self.price)
            if event == "add":
                side, price, qty = more
                self.orders.add(key, side, price, qty)
            elif event == "delete":
                side, price, qty = self.orders.remove(key)
            else:
                (qty,) = more
                side, price = self.orders.reduce(key, qty)
            rows[side].append(self._row(key, price, qty, event))
        self.orders.cut(10)
        return self._message("update", rows)


class CoinbaseFull:
    """BTC-USD with ticks of 0.01 and lots of 1e-8, every message numbered."""
    symbol = "BTC-USD"

    def __init__(self, seed=1):
        self.rng, self.orders, self.sequence, self.trade_id = random.Random(seed), Orders(), 1000, 0
        for _ in range(30):
            side = self.rng.randrange(2)
            self.orders.add(self.rng.getrandbits(80), side, self.price(self.rng, side), self.rng.randrange(1, 10 ** 9))

    @staticmethod
    def price(rng, side):
        return 6_000_000 + rng.randrange(1, 40) if side else 6_000_000 - rng.randrange(40)

    def _head(self, kind, **more):
        self.sequence += 1
        return json.dumps({"type": kind, "product_id": self.symbol, "sequence": self.sequence,
                           "time": "2026-11-21T10:00:00.000000Z", **more}).encode()

    def snapshot(self):
        """The REST body of level 3: (bytes)."""
        sides = [[[f"{price / 100:.2f}", f"{qty / 1e8:.8f}", str(UUID(int=key))] for price, queue in self.orders.levels(side)
                  for key, qty in queue.items()] for side in range(2)]
        return json.dumps({"bids": sides[0], "asks": sides[1], "sequence": self.sequence}).encode()

    def update(self):
        """The next message."""
        if self.rng.random() < 0.3:
            return self._head("received", order_id=str(UUID(int=self.rng.getrandbits(120))), size="1.00", price="1.00",
                              side="buy", order_type="limit")
        if self.rng.random() < 0.2 and len(self.orders.where) > 6:
            return self._match()
        event, key, *more = self.orders.wanted(self.rng, self.price)
        uuid = str(UUID(int=key))
        if event == "add":
            side, price, qty = more
            self.orders.add(key, side, price, qty)
            return self._head("open", order_id=uuid, price=f"{price / 100:.2f}", remaining_size=f"{qty / 1e8:.8f}",
                              side="sell" if side else "buy")
        if event == "delete":
            side, price, qty = self.orders.remove(key)
            return self._head("done", order_id=uuid, price=f"{price / 100:.2f}", remaining_size=f"{qty / 1e8:.8f}",
                              reason="canceled", side="sell" if side else "buy")
        side, price = self.orders.where[key]
        old = self.orders.sides[side][price][key]
        self.orders.reduce(key, more[0])
        return self._head("change", order_id=uuid, price=f"{price / 100:.2f}", old_size=f"{old / 1e8:.8f}",
                          new_size=f"{more[0] / 1e8:.8f}", side="sell" if side else "buy")

    def _match(self):
        side = self.rng.randrange(2)
        if not self.orders.sides[side]:
            side = 1 - side
        price, queue = self.orders.levels(side)[0]
        key, qty = next(iter(queue.items()))
        taken = self.rng.randrange(1, qty + 1)
        if taken == qty:
            self.orders.remove(key)
        else:
            self.orders.reduce(key, qty - taken)
        self.trade_id += 1
        return self._head("match", trade_id=self.trade_id, maker_order_id=str(UUID(int=key)), taker_order_id=str(UUID(int=1)),
                          side="sell" if side else "buy", size=f"{taken / 1e8:.8f}", price=f"{price / 100:.2f}")
