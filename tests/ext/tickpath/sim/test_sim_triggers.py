"""Stop, take-profit and trailing orders: when they fire, in which order, and what becomes of them then."""
import pytest
from sim_desk import BUY, GTC, GTD, SELL, Desk

from tickpath.sim.exchange import SimEventKind, SimOrderType, SimReason, SimStatus

STOP, STOP_LIMIT = SimOrderType.STOP_MARKET, SimOrderType.STOP_LIMIT
TAKE, TAKE_LIMIT = SimOrderType.TAKE_PROFIT_MARKET, SimOrderType.TAKE_PROFIT_LIMIT


@pytest.fixture
def desk():
    desk = Desk()
    desk.x.set_last_price(desk.btcusdt, 100)
    return desk


def fired(desk, order):
    return bool(desk.of(order, SimEventKind.TRIGGERED))


@pytest.mark.parametrize("side, kind, stop, quiet, loud", [
    (BUY, STOP, 110, 109, 110), (SELL, STOP, 90, 91, 90), (BUY, TAKE, 90, 91, 90), (SELL, TAKE, 110, 109, 110),
    (BUY, STOP, 110, 109, 125), (SELL, STOP, 90, 91, 75),
])
def test_a_stop_fires_at_its_price_or_beyond_and_not_before(desk, side, kind, stop, quiet, loud):
    order = desk.order(side, 1, kind=kind, stop_ticks=stop)
    desk.trade(quiet)
    assert not fired(desk, order) and not desk.x.order(order).is_working
    desk.trade(loud)
    assert fired(desk, order)


@pytest.mark.parametrize("side, kind, stop", [(BUY, STOP, 100), (BUY, STOP, 99), (SELL, STOP, 100), (BUY, TAKE, 100), (SELL, TAKE, 99)])
def test_a_stop_that_the_price_has_passed_is_refused(desk, side, kind, stop):
    assert desk.refused(side, 1, kind=kind, stop_ticks=stop) == SimReason.WOULD_TRIGGER


def test_a_stop_waits_outside_the_book_and_then_trades_as_a_market_order(desk):
    order = desk.order(BUY, 3, kind=STOP, stop_ticks=110)
    assert desk.depth() == ([], [])
    desk.order(SELL, 5, 112, account=1)
    desk.trade(110)
    assert desk.fills(order) == [(112, 3)] and desk.status(order) == SimStatus.FILLED
    kinds = [SimEventKind(e.kind).name for e in desk.of(order)]
    assert kinds == ["NEW", "TRIGGERED", "TRADE"]


def test_a_stop_limit_rests_at_its_limit_when_it_does_not_cross(desk):
    order = desk.order(SELL, 3, 95, kind=STOP_LIMIT, stop_ticks=90)
    desk.trade(90)
    assert desk.depth() == ([], [(95, 3)]) and desk.x.order(order).is_working
    assert desk.x.order(order).working_ns > desk.x.order(order).created_ns


def test_a_triggered_stop_without_a_market_expires(desk):
    order = desk.order(BUY, 1, kind=STOP, stop_ticks=110)
    desk.trade(110)
    assert desk.status(order) == SimStatus.EXPIRED and desk.why(order) == SimReason.NO_LIQUIDITY


def test_a_triggered_stop_without_money_expires():
    desk = Desk(money=1)
    desk.x.set_last_price(desk.btcusdt, 100)
    order = desk.order(BUY, 50, kind=STOP, stop_ticks=110)
    desk.order(SELL, 50, 115, account=1)
    desk.trade(110)
    assert desk.status(order) == SimStatus.EXPIRED and desk.why(order) == SimReason.INSUFFICIENT_BALANCE


def test_post_only_can_fail_at_the_trigger(desk):
    order = desk.order(BUY, 1, 120, kind=STOP_LIMIT, stop_ticks=110, post_only=True)
    desk.order(SELL, 5, 115, account=1)
    desk.trade(110)
    assert desk.status(order) == SimStatus.EXPIRED and desk.why(order) == SimReason.WOULD_TAKE
    assert desk.money(0, "USDT")[1] == 0


def test_stops_of_one_price_fire_in_the_order_of_arrival(desk):
    orders = [desk.order(BUY, 1, kind=STOP, stop_ticks=stop) for stop in (112, 110, 111)]
    desk.order(SELL, 9, 130, account=1)
    desk.trade(115)
    assert [e.order_id for e in desk.events if e.kind == SimEventKind.TRIGGERED] == orders


def test_one_stop_can_set_off_the_next(desk):
    first = desk.order(BUY, 1, kind=STOP, stop_ticks=110)
    second = desk.order(BUY, 1, kind=STOP, stop_ticks=120)
    third = desk.order(SELL, 1, 125, kind=TAKE_LIMIT, stop_ticks=125)
    for price in (120, 125):
        desk.order(SELL, 1, price, account=1)
    desk.trade(110)
    assert desk.fills(first) == [(120, 1)] and desk.fills(second) == [(125, 1)]
    assert fired(desk, third) and desk.depth() == ([], [(125, 1)])


def test_every_price_of_a_sweep_is_seen_and_a_fired_stop_stays_fired(desk):
    high = desk.order(BUY, 1, kind=STOP, stop_ticks=110)
    low = desk.order(SELL, 1, kind=STOP, stop_ticks=90)
    for price in (105, 110, 115):
        desk.order(SELL, 1, price, account=1)
    desk.order(BUY, 1, 80, account=1)
    desk.order(BUY, 2, account=2)
    assert fired(desk, high) and desk.fills(high) == [(115, 1)]
    desk.order(SELL, 1, account=2)
    assert fired(desk, low)


def test_a_waiting_stop_can_be_cancelled_and_can_expire(desk):
    one = desk.order(BUY, 1, kind=STOP, stop_ticks=110)
    other = desk.order(BUY, 1, 111, kind=STOP_LIMIT, stop_ticks=110, tif=GTD, expire_ns=50)
    assert desk.cancel(one) == SimReason.OK
    desk.x.advance(50)
    desk.events += desk.x.drain()
    assert desk.status(one) == SimStatus.CANCELED and desk.status(other) == SimStatus.EXPIRED
    desk.trade(110)
    assert not fired(desk, one) and not fired(desk, other) and desk.money(0, "USDT")[1] == 0


def test_a_stop_is_not_amended(desk):
    assert desk.amend(desk.order(BUY, 2, kind=STOP, stop_ticks=110), 1) == SimReason.AMEND


@pytest.mark.parametrize("side, path, quiet, loud", [
    (SELL, (105, 110, 104), 105, 99), (BUY, (95, 90, 96), 98, 99),
])
def test_a_trailing_stop_follows_the_price_and_fires_when_it_comes_back(desk, side, path, quiet, loud):
    order = desk.order(side, 1, kind=STOP, trailing_bips=1_000)
    for price in (*path, quiet):
        desk.trade(price)
        assert not fired(desk, order), price
    desk.trade(loud)
    assert fired(desk, order)


@pytest.mark.parametrize("side, kind, activation, before, at, back", [
    (SELL, TAKE, 110, (109, 90, 80), 110, 99), (BUY, TAKE, 90, (91, 105, 120), 90, 99),
    (SELL, STOP, 90, (91, 120, 100), 90, 81), (BUY, STOP, 110, (109, 80, 100), 110, 121),
])
def test_a_trailing_order_with_an_activation_price_sleeps_until_it_is_reached(desk, side, kind, activation, before, at, back):
    order = desk.order(side, 1, kind=kind, trailing_bips=1_000, stop_ticks=activation)
    for price in (*before, at):
        desk.trade(price)
        assert not fired(desk, order), price
    desk.trade(back)
    assert fired(desk, order)


def test_many_trailing_orders_keep_their_own_extremes(desk):
    orders = {}
    for price in (100, 102, 104, 106):
        if price != 100:
            desk.trade(price)
        orders[price] = [desk.order(SELL, 1, 500, kind=STOP_LIMIT, trailing_bips=bips) for bips in (300, 600)]
    desk.cancel(orders[102][0])
    desk.trade(102)
    assert all(fired(desk, orders[p][0]) for p in (100, 104, 106)) and not fired(desk, orders[102][0])
    assert not any(fired(desk, orders[p][1]) for p in orders)
    desk.trade(99)
    assert all(fired(desk, orders[p][1]) for p in orders)


def test_hundreds_of_stops_fire_at_once_in_the_order_of_arrival(desk):
    desk.order(SELL, 500, 200, account=1)
    orders = [desk.order(BUY, 1, kind=STOP, stop_ticks=199 - n % 97) for n in range(300)]
    desk.order(BUY, 1, 200, account=2, tif=GTC)
    assert [e.order_id for e in desk.events if e.kind == SimEventKind.TRIGGERED] == orders
    assert desk.x.open_orders(desk.accounts[0]) == []
