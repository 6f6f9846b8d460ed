"""No false alarm: a generated Kraken book whose checksum an independent reference makes, over numbers in every spelling that the venue may
choose (0.00100000, 1e-8, 25). One alarm would close the gate on a good book. Recorded books are in
tests/ext/tickpath/market/test_checksum.py."""
import random
from bisect import insort
from zlib import crc32

import pytest

from tickpath.engine import Engine
from tickpath.session import Session
from tickpath.shm.ring import EventWriter
from tickpath.shm.state_page import StatePage
from tickpath.types import BookState

DEPTH = 10
SPEC = {"instance": "sums", "epoch": 1, "mode": "paper", "seed": 1, "stamps": False, "max_frame_bytes": 1 << 20,
        "bar_interval_ns": 10 ** 9, "imbalance_levels": 5, "ema_fast": 2, "ema_slow": 4, "max_data_age_ns": 10 ** 12,
        "max_orders_per_min": 60, "venues": ["kraken"], "strategies": [],
        "instruments": [{"venue": 0, "venue_symbol": "BTC/USD", "tick_size": "0.1", "lot_size": "0.00000001", "price_decimals": 1,
                         "qty_decimals": 8, "book_max_levels": DEPTH, "min_notional_ticklots": 0, "book_window_ticks": 65536,
                         "max_order_qty_lots": 1, "max_order_notional_ticklots": 1, "max_position_notional_ticklots": 1,
                         "qty_step_lots": 1, "price_collar_e2_bps": 1, "max_open_orders": 1, "max_spread_bps": 1e6,
                         "max_jump_bps": 1e6}]}


class Side:
    """Levels by price in tenths, kept sorted, with the digits that each gives the checksum."""

    def __init__(self, sign):
        self.sign, self.prices, self.digits = sign, [], {}

    def set(self, price, lots):
        if price in self.digits:
            if not lots:
                del self.digits[price]
                self.prices.remove(self.sign * price)
                return
        elif lots:
            insort(self.prices, self.sign * price)
        if lots:
            self.digits[price] = f"{price}{lots}"
        for gone in self.prices[DEPTH:]:
            del self.digits[self.sign * gone]
        del self.prices[DEPTH:]

    def text(self):
        return "".join(self.digits[self.sign * price] for price in self.prices)


def spelled(lots, rng):
    """A quantity of 1e-8 units as one of the texts of the same JSON number."""
    whole, rest = divmod(lots, 10 ** 8)
    forms = [f"{whole}.{rest:08d}"]
    if lots % 10 == 0:
        forms.append(f"{whole}.{rest:08d}".rstrip("0").rstrip("."))
    if lots < 10 ** 8:
        forms.append(f"{lots}e-8")
    return rng.choice(forms)


def alarms(updates, seed):
    """(checksums that fitted, that did not, the book's state) after so many generated updates."""
    rng = random.Random(seed)
    engine = Engine(SPEC, EventWriter.local(1 << 16))
    session, asks, bids = Session(engine), Side(1), Side(-1)
    middle = 645_000
    for n in range(updates + 1):
        rows = {"asks": [], "bids": []}
        for _ in range(DEPTH * 2 if n == 0 else 1):
            side, name, sign = rng.choice(((asks, "asks", 1), (bids, "bids", -1)))
            price = middle + sign * rng.randrange(1, 15)
            lots = 0 if n and rng.random() < 0.3 and len(side.prices) > 2 else rng.choice((1, 100_000, rng.randrange(1, 10 ** 10)))
            side.set(price, lots)
            rows[name].append(f'{{"price":{price // 10}.{price % 10},"qty":{spelled(lots, rng)}}}')
        total = crc32((asks.text() + bids.text()).encode())
        kind = "snapshot" if n == 0 else "update"
        frame = (f'{{"channel":"book","type":"{kind}","data":[{{"symbol":"BTC/USD","bids":[{",".join(rows["bids"])}],'
                 f'"asks":[{",".join(rows["asks"])}],"checksum":{total},"timestamp":"2026-07-19T17:54:39.768901Z"}}]}}')
        session.on_frame(frame.encode(), 10 ** 15 + n * 10 ** 6)
    engine.publish_state()
    page = StatePage(engine.state_buffer)
    totals = page.totals()
    return totals["checksums_ok"], totals["checksums_bad"], page.instruments()[0]["book_state"]


def test_generated_updates_give_no_false_alarm():
    assert alarms(20_000, 1) == (20_001, 0, BookState.BOOK_GOOD)


@pytest.mark.soak
def test_million_generated_updates_give_no_false_alarm():
    assert alarms(1_000_000, 2) == (1_000_001, 0, BookState.BOOK_GOOD)
