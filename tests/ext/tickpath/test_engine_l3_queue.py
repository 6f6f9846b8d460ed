"""The place of a simulated order among recorded ones, order by order: the venue's own queue is the truth."""
import json
from uuid import UUID

import pytest
from test_engine_l3 import Run

from engine_harness import PAPER
from l3_venues import CoinbaseFull, KrakenLevel3
from tickpath.shm.ring import records
from tickpath.types import EventType

L3 = {**PAPER, "queue_model": "l3", "order_latency_ns": 1, "reply_latency_ns": 1}


class BusyTop(CoinbaseFull):
    """Three prices a side and a trade in every third message, so that much is traded where we stand."""

    def update(self):
        return self._match() if self.rng.random() < 0.35 and len(self.orders.where) > 12 else super().update()

    @staticmethod
    def price(rng, side):
        return 6_000_000 + rng.randrange(1, 4) if side else 6_000_000 - rng.randrange(3)


class Truth:
    """Who of a venue's orders stands ahead of ours, a bid, since we came; and what of the trades would have been ours."""

    def __init__(self, venue, price):
        self.venue, self.price, self.reached = venue, price, 0
        self.keys = set(self.queue())

    def queue(self):
        return self.venue.orders.sides[0].get(self.price, {})

    def ahead(self):
        return sum(self.queue()[key] for key in self.keys)

    def update(self):
        """The venue's next message; what it does to us is counted."""
        before, front, trades = self.venue.orders.best(0), dict(self.queue()), getattr(self.venue, "trade_id", 0)
        message = self.venue.update()
        if getattr(self.venue, "trade_id", 0) > trades and b'"side": "buy"' in message:
            at_our_price = before[0] == self.price
            if before[0] < self.price or (at_our_price and next(iter(front)) not in self.keys):
                self.reached += round(float(json.loads(message)["size"]) * 1e8)
        best = self.venue.orders.best(0)
        self.keys &= set(self.queue())
        if best is not None and best[0] < self.price:
            self.keys = set()
        return message


def resting(venue, kind, tick, behind=0, **more):
    """A run in which our bid has just come to rest, so many ticks behind the best."""
    run = Run(venue, kind, tick, paper=L3, **more)
    if kind == "coinbase":
        run.frame(venue.update())
    run.frame(venue.snapshot())
    price, ordinals = venue.orders.best(0)[0] - behind, []
    run.looker.todo.append(lambda ctx: ordinals.append(ctx.submit(side="buy", qty_lots=10 ** 11, price_ticks=price)))
    while not ordinals:
        run.frame(venue.update())
    return run, Truth(venue, price), ordinals[0]


@pytest.mark.parametrize("seed", range(4))
def test_places_and_fills_are_those_of_the_venues_own_queue(seed):
    venue = BusyTop(seed)
    run, truth, ordinal = resting(venue, "coinbase", "0.01")
    behind = 0
    for n in range(1000):
        run.frame(truth.update())
        assert run.session.sim_queue_ahead(ordinal) == truth.ahead(), n
        behind += truth.ahead() > 0
    reached = truth.reached
    for _ in range(2):
        run.frame(venue._head("received", order_id=str(UUID(int=1)), side="buy", order_type="limit"), ms=20)
    assert behind > 5 and records(run.slots(), EventType.EV_FILL)["qty_lots"].sum() == reached > 0


@pytest.mark.parametrize("seed", range(3))
def test_without_matches_a_departure_is_a_departure(seed):
    venue = KrakenLevel3(seed)
    run, truth, ordinal = resting(venue, "kraken", "0.1", behind=1, depth=10)
    for n in range(100):
        run.frame(truth.update())
        if truth.price < venue.orders.levels(0)[-1][0]:
            break                          # out of the subscribed depth: nobody can know
        assert run.session.sim_queue_ahead(ordinal) == truth.ahead(), n
    assert n > 3


def test_a_resynchronised_book_says_who_has_left_meanwhile():
    venue = CoinbaseFull(3)
    run, truth, ordinal = resting(venue, "coinbase", "0.01")
    for _ in range(30):
        truth.update()                     # lost on the way
    run.frame(truth.update())
    run.frame(venue.snapshot())
    assert run.session.sim_queue_ahead(ordinal) == truth.ahead()
    for n in range(200):
        run.frame(truth.update())
        assert run.session.sim_queue_ahead(ordinal) == truth.ahead(), n
