"""A recorded market as everybody else: through Exchange, and through the engine's paper gateway (docs/simulation.md)."""
import random

import pytest

from engine_harness import Market
from tickpath.sim.exchange import Exchange, SimEventKind, SimOrderType, SimReason, SimStatus, SimTif
from tickpath.types import EventType, OrderState, Side

RICH = 10 ** 15
SIDE_BUY, SIDE_SELL = Side.SIDE_BUY, Side.SIDE_SELL
BIDS, ASKS = SIDE_BUY, SIDE_SELL


class Venue:
    """An exchange with BTCUSDT (ticks of 0.01, lots of 0.00001), two clients, and 100, 200, 300 lots at 10000, 9999, 9998 against the
    same at 10001, 10002, 10003."""

    def __init__(self, model="pessimistic", **more):
        self.x = Exchange()
        for name in ("USDT", "BTC"):
            self.x.add_asset(name)
        self.i = self.x.add_instrument("BTCUSDT", base="BTC", quote="USDT", tick_size="0.01", lot_size="0.00001")
        self.accounts = [self.x.add_account(maker_bps="0", taker_bps="0") for _ in range(2)]
        for account in self.accounts:
            for name in ("USDT", "BTC"):
                assert self.x.deposit(account, name, RICH) == SimReason.OK
        self.now = 0
        self.x.record_market(self.i, model, **more)
        self.levels(BIDS, {10000: 100, 9999: 200, 9998: 300}, snapshot=True)
        self.levels(ASKS, {10001: 100, 10002: 200, 10003: 300}, snapshot=True)

    def tick(self, ms=1):
        self.now += ms * 1_000_000
        return self.now

    def levels(self, side, levels, ms=1, **more):
        self.x.market_levels(self.i, side, list(levels), list(levels.values()), self.tick(ms), **more)

    def trade(self, price, qty, sell, ms=1):
        self.x.market_trade(self.i, price, qty, sell, self.tick(ms))

    def order(self, side, qty, price=None, client=0, tif=SimTif.GTC, order_type=None, **more):
        kind = order_type or (SimOrderType.MARKET if price is None else SimOrderType.LIMIT)
        order_id, reason = self.x.submit(self.accounts[client], self.i, side, kind, tif, price or 0, qty, now_ns=self.tick(), **more)
        self.reason = reason
        return order_id

    def fills(self):
        """[(order, price, lots, maker?)] since the last look."""
        return [(e.order_id, e.price_ticks, e.qty_lots, bool(e.is_maker)) for e in self.x.drain() if e.kind == SimEventKind.TRADE]

    def ahead(self, order_id):
        return self.x.queue_ahead(order_id)


# ---- taking

def test_taking_walks_the_display_and_the_rest_waits():
    v = Venue()
    o = v.order(SIDE_BUY, 400, 10002)
    assert v.fills() == [(o, 10001, 100, False), (o, 10002, 200, False)]
    assert v.x.order(o).status == SimStatus.PARTIALLY_FILLED and v.x.best(v.i)[0] == 10002


def test_what_was_taken_stays_taken_until_it_is_shown_anew():
    v = Venue()
    v.order(SIDE_BUY, 80, tif=SimTif.IOC, price=10001)
    v.order(SIDE_BUY, 80, tif=SimTif.IOC, price=10001)
    assert [f[2] for f in v.fills()] == [80, 20]
    v.levels(ASKS, {10001: 100})                          # the same: nothing new
    v.order(SIDE_BUY, 80, tif=SimTif.IOC, price=10001)
    assert v.fills() == []
    v.levels(ASKS, {10001: 90})
    v.order(SIDE_BUY, 80, tif=SimTif.IOC, price=10001)
    assert [f[2] for f in v.fills()] == [80]


def test_fill_or_kill_counts_what_is_displayed():
    v = Venue()
    v.order(SIDE_SELL, 601, 9998, tif=SimTif.FOK)
    assert v.fills() == []
    v.order(SIDE_SELL, 600, 9998, tif=SimTif.FOK)
    assert [f[1:3] for f in v.fills()] == [(10000, 100), (9999, 200), (9998, 300)]


def test_clients_and_display_share_a_price_in_the_order_in_which_they_came():
    v = Venue()
    resting = v.order(SIDE_BUY, 50, 10000, client=1)      # behind 100
    v.levels(BIDS, {10000: 130})                          # 30 more, behind it
    assert v.ahead(resting) == 100
    taker = v.order(SIDE_SELL, 170)
    assert v.fills() == [(taker, 10000, 100, False), (taker, 10000, 50, False), (resting, 10000, 50, True),
                         (taker, 10000, 20, False)]


def test_a_better_price_of_a_client_is_met_before_the_display():
    v = Venue()
    v.levels(ASKS, {10001: 0})
    resting = v.order(SIDE_BUY, 50, 10001, client=1)
    taker = v.order(SIDE_SELL, 60)
    assert v.fills() == [(taker, 10001, 50, False), (resting, 10001, 50, True), (taker, 10000, 10, False)]


def test_taking_the_display_moves_up_whoever_waits_behind_it():
    v = Venue()
    first, second = (v.order(SIDE_BUY, 10, 10000, client=1) for _ in range(2))
    v.order(SIDE_SELL, 60)
    assert (v.ahead(first), v.ahead(second)) == (40, 40)


def test_money_is_kept_with_the_house_as_the_other_party():
    v, r = Venue("proportional"), random.Random(4)
    for _ in range(300):
        side = r.choice((SIDE_BUY, SIDE_SELL))
        v.order(side, r.randrange(1, 200), r.choice((None, r.randrange(9995, 10006))), client=r.randrange(2))
        price = r.randrange(9996, 10005)
        v.levels(BIDS if price <= 10000 else ASKS, {price: r.randrange(300)})
        v.trade(r.randrange(9996, 10005), r.randrange(1, 100), r.random() < 0.5)
    for name in ("USDT", "BTC"):
        assert sum(sum(v.x.balance(a, name)) for a in range(5)) == 2 * RICH


# ---- resting

def test_prints_use_up_the_queue_then_fill():
    v = Venue()
    o = v.order(SIDE_BUY, 50, 9999)
    assert v.ahead(o) == 200
    v.trade(9999, 190, True)
    v.trade(9999, 30, True)
    assert v.fills() == [(o, 9999, 20, True)]
    v.trade(9998, 500, True)
    assert v.fills() == [(o, 9999, 30, True)]


@pytest.mark.parametrize(("price", "sell"), [(9999, False), (10000, True)])
def test_prints_on_the_other_side_or_before_our_price_are_not_ours(price, sell):
    v = Venue()
    o = v.order(SIDE_BUY, 50, 9999)
    v.trade(price, 10_000, sell)
    assert v.fills() == [] and v.ahead(o) == 200


def test_a_display_that_goes_behind_our_price_leaves_nobody_ahead():
    v = Venue()
    orders = [v.order(SIDE_BUY, 10, p) for p in (10000, 9999, 9998, 9997)]
    v.levels(BIDS, {10000: 0, 9999: 0})
    assert [v.ahead(o) for o in orders] == [0, 0, 300, 0]
    again = v.order(SIDE_BUY, 10, 9998)
    v.levels(BIDS, {9998: 0, 9990: 5})
    assert v.ahead(again) == 0 and v.ahead(orders[2]) == 0


def test_a_book_that_comes_to_us_trades_at_our_price_up_to_what_it_shows():
    v = Venue()
    first, second = v.order(SIDE_BUY, 50, 10000), v.order(SIDE_BUY, 50, 9999)
    v.x.market_top(v.i, 9990, 10, 9999, 70, v.tick())
    assert v.fills() == [(first, 10000, 50, True), (second, 9999, 20, True)]
    v.x.market_top(v.i, 9990, 20, 9999, 70, v.tick())     # nothing new is offered
    assert v.fills() == []


def test_a_snapshot_moves_nobody():
    v = Venue("optimistic")
    o = v.order(SIDE_BUY, 10, 9999)
    v.levels(BIDS, {10000: 1, 9999: 250}, snapshot=True)
    assert v.ahead(o) == 200
    v.levels(BIDS, {9999: 240})
    assert v.ahead(o) == 190


def test_a_slow_depth_message_does_not_undo_a_newer_quote():
    v = Venue()
    v.x.market_top(v.i, 10000, 40, 10001, 100, v.tick(), update_id=9)
    v.levels(BIDS, {10000: 100}, update_id=8)
    assert v.ahead(v.order(SIDE_BUY, 1, 10000)) == 40
    v.levels(BIDS, {10000: 60}, update_id=10)
    assert v.ahead(v.order(SIDE_BUY, 1, 10000)) == 60


def test_an_icebergs_next_tip_stands_behind_the_display():
    v = Venue()
    o = v.order(SIDE_BUY, 30, 10000, iceberg_lots=10)
    v.trade(10000, 110, True)
    assert [f[2] for f in v.fills()] == [10] and v.ahead(o) == 100


def test_a_recorded_trade_triggers_a_waiting_stop():
    v = Venue()
    stop = v.order(SIDE_SELL, 20, order_type=SimOrderType.STOP_MARKET, stop_ticks=9990)
    v.trade(9991, 1, True)
    assert v.fills() == []
    v.trade(9990, 1, True)
    assert v.fills() == [(stop, 10000, 20, False)]


@pytest.mark.parametrize("model", ["pessimistic", "proportional"])
def test_what_ten_thousand_other_orders_wait_for_does_not_matter(model):
    """A model at any price of its own: the same places and fills as alone."""
    alone, crowded = Venue(model), Venue(model)
    for n in range(10_000):
        crowded.order(SIDE_BUY, 1, 1000 + n % 5000, client=1)
    crowded.x.drain()
    found = []
    for v in (alone, crowded):
        r = random.Random(7)
        o = v.order(SIDE_BUY, 50, 9999)
        v.x.drain()
        seen = []
        for _ in range(200):
            v.levels(BIDS, {9999: r.randrange(100, 400)})
            v.trade(9999, r.randrange(1, 4), True)
            seen.append((v.ahead(o), [f[1:] for f in v.fills()]))
        found.append(seen)
    assert found[0] == found[1]


# ---- impact and slippage

def test_impact_moves_the_display_away_and_half_of_it_is_gone_after_the_half_life():
    v = Venue(impact_bps=10.0, impact_half_life_ns=10 ** 9)
    v.order(SIDE_BUY, 100)
    assert v.fills()[0][1] == 10001
    v.levels(ASKS, {10001: 50})
    o = v.order(SIDE_BUY, 10)
    assert v.fills() == [(o, 10011, 10, False)]           # 10 bps, less the 2 ms since: 10 ticks, rounded against us
    v.levels(ASKS, {10001: 1000}, ms=2000)                # two half-lives
    v.order(SIDE_BUY, 10)
    (fill,) = v.fills()
    assert fill[1] == 10004                               # a quarter of the 12 bps that both orders made
    sold = v.order(SIDE_SELL, 10)
    assert v.fills() == [(sold, 10000, 10, False)]        # the other side did not move


def test_a_limit_is_kept_while_the_market_stands_back():
    v = Venue(impact_bps=10.0)
    v.order(SIDE_BUY, 100)
    v.levels(ASKS, {10001: 50})
    v.x.drain()
    o = v.order(SIDE_BUY, 10, 10005)
    assert v.fills() == [] and v.x.best(v.i)[0] == 10005
    v.levels(ASKS, {10001: 60}, ms=10_000)                # ten half-lives later it is back
    assert v.fills() == [(o, 10005, 10, True)]


def test_market_orders_slip_and_limit_orders_do_not():
    m = Market(paper={"market_slippage_bps": 5.0})
    m.submit(qty_lots=12_000, price_ticks=None, order_type="market")
    m.submit(qty_lots=100, price_ticks=10002, time_in_force="ioc")
    m.quote(ms=20)
    # 5 bps of 100.01 are 5.0005 ticks: 6. The book is 10.000 at 100.01, 11.000 at 100.02.
    assert [f[2:4] for f in m.strategy.fills] == [(10007, 10_000), (10008, 2_000), (10002, 100)]


# ---- the gateway

@pytest.mark.parametrize(("paper", "message"), [
    ({"queue_model": "fifo"}, "queue_model: expected one of"), ({"latency_model": "slow"}, "latency model: expected one of"),
    ({"latency_model": "drawn"}, "expected samples"), ({"impact_half_life_ns": 0}, "impact_half_life_ns: expected")])
def test_settings_that_mean_nothing_are_refused(paper, message):
    with pytest.raises(ValueError, match=message):
        Market(paper=paper)


def test_own_orders_never_meet():
    m = Market()
    bid = m.submit(side="buy", qty_lots=500, price_ticks=10000)
    m.quote(ms=20)
    m.submit(side="sell", qty_lots=500, price_ticks=10000)
    m.quote(ms=20)
    assert m.strategy.fills == [] and m.states(bid) == [OrderState.ORDER_NEW]
    assert m.session.sim_counters["resting"] == 2 and m.session.sim_queue_ahead(bid) == 0


def test_post_only_with_a_time_in_force_is_a_parameter_too_many():
    m = Market()
    m.submit(price_ticks=9990, order_type="limit_maker", time_in_force="ioc")
    m.quote(ms=20)
    assert [int(r["venue_code"]) for r in m.records(EventType.EV_EXEC_REPORT)] == [-1106]


def test_queue_models_reach_the_gateway():
    def ahead(model):
        m = Market(paper={"queue_model": model})
        o = m.submit(qty_lots=1000, price_ticks=9999)
        m.quote(ms=20)
        m.quote(bid_qty="40")
        m.quote(bid_qty="20")
        return m.session.sim_queue_ahead(o)
    assert [ahead(m) for m in ("pessimistic", "proportional", "optimistic", "l3")] == [10_000, 5_000, 0, 5_000]


def test_places_in_the_queue_follow_a_new_grid():
    m = Market(paper={"queue_model": "proportional"})
    o = m.submit(qty_lots=1000, price_ticks=9999)
    m.quote(ms=20)
    assert m.session.sim_queue_ahead(o) == 10_000
    assert m.session.grid_event(m.now_ms * 1_000_000, 0, "0.001", "0.0001")
    assert m.session.sim_queue_ahead(o) == 100_000
    m.cancel(o)
    m.quote(ms=20)
    assert m.states(o)[-1] == OrderState.ORDER_CANCELED and m.session.sim_queue_ahead(o) is None
