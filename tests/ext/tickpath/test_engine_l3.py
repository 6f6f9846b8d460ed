"""Order-by-order books inside the engine: the same top, gate, depth and orders as from levels, and the queues besides."""
import json

import pytest

from engine_harness import LIMITS, MS, PAPER
from l3_venues import CoinbaseFull, KrakenLevel3
from tickpath.engine import Engine
from tickpath.market.gate import GateCause
from tickpath.session import Session
from tickpath.shm.canonical import OutputHasher
from tickpath.shm.ring import EventReader, EventWriter, records
from tickpath.shm.state_page import StatePage
from tickpath.trading import Strategy
from tickpath.types import BookState, EventType, FeedKind, OrderState, Reason, Status


class Looker(Strategy):
    """Keeps what a strategy sees of the book after each message."""

    def __init__(self, parameters):
        super().__init__(parameters)
        self.seen, self.todo, self.updates = [], [], []

    def on_book(self, ctx, event):
        bids, asks = event.depth(5)
        self.seen.append([(*side[0], ctx.orders_at(name, side[0][0])) if side else None
                          for side, name in ((bids, "buy"), (asks, "sell"))])
        todo, self.todo = self.todo, []
        for action in todo:
            action(ctx)

    def on_order(self, ctx, event):
        self.updates.append((OrderState(event.state), Reason(event.reason)))


class Run:
    def __init__(self, venue, kind, tick, *, paper=PAPER, capacity=1024, depth=0, mode="paper",
                 strategy="test_engine_l3:Looker"):
        self.venue, self.writer, self.now_ms = venue, EventWriter.local(1 << 18), 0
        self.engine = Engine({
            "instance": "l3", "epoch": 1, "mode": mode, "seed": 1, "stamps": False, "max_frame_bytes": 1 << 20, "venues": [kind],
            "bar_interval_ns": 10 ** 9, "imbalance_levels": 5, "ema_fast": 2, "ema_slow": 4, "max_data_age_ns": 10 ** 10,
            "max_orders_per_min": 60000,
            "instruments": [{**LIMITS, "venue_symbol": venue.symbol, "tick_size": tick, "lot_size": "0.00000001",
                             "max_order_qty_lots": 10 ** 12, "max_order_notional_ticklots": 4 * 10 ** 18,
                             "max_position_notional_ticklots": 4 * 10 ** 18, "l3_orders": capacity, "l3_depth": depth}],
            "strategies": [{"name": "looker", "kind": strategy, "parameters": {}, "instrument": 0}]}, self.writer)
        self.session = Session(self.engine, paper)
        self.looker = getattr(self.engine.strategies[0], "python_strategy", None)

    def frame(self, data, ms=1, connection=0):
        self.now_ms += ms
        return self.session.on_frame(data, self.now_ms * MS, 0, connection=connection)

    def row(self):
        self.engine.publish_state()
        return StatePage(self.engine.state_buffer).instruments()[0]

    def totals(self):
        self.engine.publish_state()
        return StatePage(self.engine.state_buffer).totals()

    def slots(self):
        return EventReader(self.writer.buffer, 1).read(1 << 18)

    def top(self):
        r = self.row()
        return [(r[f"top_{s}_ticks"], r[f"top_{s}_lots"]) for s in ("bid", "ask")]

    def truth(self):
        return [self.venue.orders.best(side) for side in range(2)]

    def gate(self):
        state, causes = self.session.gate(0)
        return BookState(state), GateCause(causes)


def kraken(**more):
    return Run(KrakenLevel3(), "kraken", "0.1", **{"depth": 10, **more})


def coinbase(**more):
    return Run(CoinbaseFull(), "coinbase", "0.01", **more)


@pytest.mark.parametrize("seed", range(3))
def test_kraken_top_depth_and_queues_are_the_venues_after_every_message_and_every_checksum_holds(seed):
    run = Run(KrakenLevel3(seed), "kraken", "0.1", depth=10)
    assert run.frame(run.venue.snapshot()) == Status.STATUS_OK
    for n in range(1000):
        assert run.frame(run.venue.update()) == Status.STATUS_OK
        assert run.looker.seen[-1] == run.truth(), n
    assert run.top() == [side[:2] for side in run.truth()]
    assert run.gate() == (BookState.BOOK_GOOD, GateCause.GATE_NONE)
    assert (run.totals()["checksums_ok"], run.totals()["checksums_bad"]) == (1001, 0)
    assert run.row()["l3_orders"] == len(run.venue.orders.where) and run.row()["l3_capacity"] == 1024
    assert [side[:2] for side in run.truth()] == [(run.row()[f"{s}_price_ticks"][0], run.row()[f"{s}_qty_lots"][0])
                                                  for s in ("bid", "ask")]


def test_wrong_checksum_closes_the_gate_in_that_event_and_only_a_snapshot_opens_it():
    run = kraken()
    run.frame(run.venue.snapshot())
    run.frame(run.venue.update())
    bad = json.loads(run.venue.update())
    bad["data"][0]["checksum"] ^= 1
    calls = len(run.looker.seen)
    run.frame(json.dumps(bad).encode())
    state, causes = run.gate()
    assert state == BookState.BOOK_SYNCING and causes & GateCause.GATE_CHECKSUM and len(run.looker.seen) == calls
    run.frame(run.venue.update())
    assert run.gate()[0] == BookState.BOOK_SYNCING
    run.frame(run.venue.snapshot())
    assert run.gate()[0] == BookState.BOOK_GOOD and run.top() == [side[:2] for side in run.truth()]


def test_coinbase_events_wait_for_the_snapshot_and_chain_behind_it():
    run = coinbase()
    for _ in range(20):
        run.frame(run.venue.update())
    assert run.row()["pending_slots"] == 40 and run.gate()[0] == BookState.BOOK_SYNCING
    snapshot = run.venue.snapshot()
    for _ in range(5):
        run.frame(run.venue.update())
    run.frame(snapshot)
    assert run.gate()[0] == BookState.BOOK_GOOD and run.row()["pending_slots"] == 0
    for n in range(2000):
        run.frame(run.venue.update())
        if n % 50 == 0:
            assert run.top() == [side[:2] for side in run.truth()], n
    assert run.looker.seen[-1] == run.truth() and run.gate()[0] == BookState.BOOK_GOOD
    assert run.row()["last_update_id"] == run.venue.sequence and run.totals()["trades"] == run.venue.trade_id
    assert run.row()["l3_unknown"] > 100                   # received: orders that do not rest yet


def test_lost_message_is_a_gap_and_closes_the_gate_in_the_event_that_shows_it():
    run = coinbase()
    run.frame(run.venue.update())
    run.frame(run.venue.snapshot())
    run.venue.update()                                     # never sent
    run.frame(run.venue.update())
    gap, health = records(run.slots(), EventType.EV_GAP)[-1], records(run.slots(), EventType.EV_HEALTH)[-1]
    assert gap["found_update_id"] == gap["expected_update_id"] + 1 and health["seq"] - gap["seq"] == 1
    assert run.gate() == (BookState.BOOK_SYNCING, GateCause.GATE_SYNCING | GateCause.GATE_GAP)
    assert run.row()["pending_slots"] == 2
    run.frame(run.venue.snapshot())
    assert run.gate()[0] == BookState.BOOK_GOOD and run.top() == [side[:2] for side in run.truth()]


def test_no_order_leaves_on_a_lost_book_and_one_does_on_a_good_one():
    run = kraken()
    run.frame(run.venue.snapshot())
    buy = {"side": "buy", "qty_lots": 1000, "price_ticks": 599_900}
    run.looker.todo.append(lambda ctx: ctx.submit(**buy))
    run.frame(run.venue.update())
    run.frame(run.venue.update(), ms=20)
    assert run.looker.updates[-1][0] == OrderState.ORDER_NEW
    run.session.feed_event(FeedKind.FEED_LOST, run.now_ms * MS, 0, 0, value=1006)
    assert run.gate() == (BookState.BOOK_SYNCING, GateCause.GATE_SYNCING | GateCause.GATE_GAP)


def test_feed_of_another_connection_is_not_this_books_loss_and_its_updates_are_not_its_own():
    run = kraken()
    run.frame(run.venue.snapshot(), connection=2)
    run.session.feed_event(FeedKind.FEED_LOST, run.now_ms * MS, 0, 0, value=1006)
    assert run.gate()[0] == BookState.BOOK_GOOD
    update = run.venue.update()
    run.frame(update, connection=1)
    assert run.totals()["duplicates"] == 1
    run.frame(update, connection=2)
    assert run.looker.seen[-1] == run.truth()
    run.session.feed_event(FeedKind.FEED_LOST, run.now_ms * MS, 0, 2, value=1006)
    assert run.gate()[0] == BookState.BOOK_SYNCING


def test_second_socket_of_a_numbered_feed_brings_what_the_first_lost():
    run = coinbase()
    run.frame(run.venue.update())
    run.frame(run.venue.snapshot())
    for n in range(200):
        message = run.venue.update()
        if n % 3:
            run.frame(message, connection=0)
        if n % 4:
            run.frame(message, connection=1)
        elif not n % 3:
            run.frame(message, connection=1)
    assert run.gate()[0] == BookState.BOOK_GOOD and run.top() == [side[:2] for side in run.truth()]


def test_more_orders_than_there_is_room_for_lose_the_book_and_are_counted():
    run = kraken(capacity=8)
    run.frame(run.venue.snapshot())
    assert run.gate()[0] == BookState.BOOK_SYNCING and run.row()["l3_refused"] == 1
    assert run.row()["l3_orders"] <= 8


def test_levels_of_such_an_instrument_change_nothing():
    run = kraken()
    run.frame(run.venue.snapshot())
    before = run.row()
    levels = (b'{"channel":"book","type":"snapshot","data":[{"symbol":"BTC/USD","bids":[{"price":1.0,"qty":1.00000000}],'
              b'"asks":[{"price":2.0,"qty":1.00000000}],"checksum":1,"timestamp":"2026-11-21T10:00:00.000000Z"}]}')
    assert run.frame(levels) == Status.STATUS_OK
    after = run.row()
    assert {k: v for k, v in after.items() if k != "messages" and k != "good_messages"} == \
           {k: v for k, v in before.items() if k != "messages" and k != "good_messages"}
    assert run.totals()["duplicates"] == 1


def test_refused_message_of_an_unnumbered_feed_loses_the_book():
    run = kraken()
    run.frame(run.venue.snapshot())
    assert run.frame(run.venue.update().replace(b'"limit_price":', b'"limit_price":1e400,"x":', 1)) != Status.STATUS_OK
    assert run.gate()[0] == BookState.BOOK_SYNCING


def test_feed_by_levels_tells_no_queue(golden_dir):
    from engine_harness import Market
    m = Market()
    found = []
    m.strategy.todo.append(lambda ctx: found.append((ctx.orders_at("buy", 9999), ctx.lots_ahead(5))))
    m.quote()
    assert found == [(None, None)]


def test_grid_change_loses_the_book_until_the_venue_gives_its_orders_anew():
    run = coinbase()
    run.frame(run.venue.update())
    run.frame(run.venue.snapshot())
    assert run.session.grid_event(run.now_ms * MS, 0, "0.001", "0.00000001")
    assert run.gate()[0] == BookState.BOOK_SYNCING
    run.frame(run.venue.update())
    run.frame(run.venue.snapshot())
    assert run.gate()[0] == BookState.BOOK_GOOD
    assert run.top() == [(10 * side[0], side[1]) for side in run.truth()]


def test_replay_of_an_order_by_order_run_is_identical():
    run = kraken(strategy="every_event")
    run.frame(run.venue.snapshot())
    for _ in range(300):
        run.frame(run.venue.update(), ms=3)
    slots = run.slots()
    assert (slots["type"] == EventType.EV_INTENT).sum() > 100

    def output_hash(found):
        hasher = OutputHasher()
        hasher.update(found)
        return hasher.hexdigest()
    again = kraken(strategy="every_event", paper=None, mode="replay")
    again.session.feed(slots)
    assert output_hash(again.slots()) == output_hash(slots)
