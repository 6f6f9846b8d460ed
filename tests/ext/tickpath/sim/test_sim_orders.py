"""Icebergs, good till date, amendments, self-trade prevention, amounts of quote, and every filter."""
import pytest
from sim_desk import BUY, FOK, GTD, IOC, SELL, UNITS, Desk

from tickpath.sim.exchange import SimEventKind, SimOrderType, SimReason, SimStatus, SimStp


@pytest.fixture
def desk():
    return Desk()


# ---- icebergs

def test_an_iceberg_shows_its_tip_only(desk):
    desk.order(SELL, 10, 100, iceberg_lots=3)
    assert desk.depth() == ([], [(100, 3)])


def test_a_new_tip_stands_behind_those_that_waited(desk):
    iceberg = desk.order(SELL, 10, 100, iceberg_lots=3)
    other = desk.order(SELL, 4, 100, account=1)
    desk.order(BUY, 3, 100, account=2)
    assert desk.depth() == ([], [(100, 7)])
    desk.order(BUY, 5, 100, account=2)
    assert desk.fills(iceberg) == [(100, 3), (100, 1)] and desk.fills(other) == [(100, 4)]
    assert desk.depth() == ([], [(100, 2)])


def test_one_taker_can_use_up_a_whole_iceberg_tip_by_tip(desk):
    iceberg = desk.order(SELL, 10, 100, iceberg_lots=4)
    taker = desk.order(BUY, 12, 100, account=1)
    assert desk.fills(taker) == [(100, 4), (100, 4), (100, 2)] and desk.status(iceberg) == SimStatus.FILLED
    assert desk.depth() == ([(100, 2)], [])


def test_fill_or_kill_and_a_market_buys_money_count_the_hidden_quantity(desk):
    desk.order(SELL, 10, 100, iceberg_lots=1)
    assert desk.status(desk.order(BUY, 10, 100, account=1, tif=FOK)) == SimStatus.FILLED


def test_an_iceberg_that_takes_takes_with_all_of_it(desk):
    desk.order(SELL, 6, 100)
    iceberg = desk.order(BUY, 10, 100, account=1, iceberg_lots=2)
    assert desk.fills(iceberg) == [(100, 6)] and desk.depth() == ([(100, 2)], [])


# ---- good till date

def test_an_order_good_till_a_date_expires_then(desk):
    order = desk.order(BUY, 1, 100, tif=GTD, expire_ns=1_000)
    assert desk.x.next_due_ns() == 1_000
    desk.x.advance(999)
    assert desk.x.open_count == 1
    desk.x.advance(1_000)
    desk.events += desk.x.drain()
    assert desk.status(order) == SimStatus.EXPIRED and desk.why(order) == SimReason.GTD
    assert desk.x.next_due_ns() is None and desk.money(0, "USDT")[1] == 0


def test_what_is_due_expires_before_a_later_request_is_looked_at(desk):
    desk.order(SELL, 1, 100, tif=GTD, expire_ns=500)
    desk.now_ns = 499
    taker = desk.order(BUY, 1, 100, account=1, tif=IOC)
    assert desk.fills(taker) == []


def test_due_orders_expire_in_the_order_of_their_times(desk):
    times = [700, 300, 300, 900, 100]
    orders = [desk.order(BUY, 1, 100, tif=GTD, expire_ns=t) for t in times]
    desk.cancel(orders[3])
    desk.x.advance(10_000)
    ended = [e.order_id for e in desk.x.drain() if e.kind == SimEventKind.EXPIRED]
    assert ended == [orders[k] for k in (4, 1, 2, 0)]


def test_placing_and_cancelling_dated_orders_does_not_pile_anything_up(desk):
    for _ in range(5_000):
        desk.cancel(desk.order(BUY, 1, 100, tif=GTD, expire_ns=10**15))
    last = desk.order(BUY, 1, 100, tif=GTD, expire_ns=10**15)
    assert desk.x.next_due_ns() == 10**15
    desk.x.advance(10**15)
    assert [e.order_id for e in desk.x.drain()] == [last]


# ---- amendments

def test_less_at_the_same_price_keeps_the_orders_place(desk):
    first, second = desk.order(BUY, 5, 100), desk.order(BUY, 5, 100, account=1)
    assert desk.amend(first, 3) == SimReason.OK
    assert desk.money(0, "USDT")[1] == 300 * 10**5 and desk.depth() == ([(100, 8)], [])
    desk.order(SELL, 4, 100, account=2)
    assert desk.fills(first) == [(100, 3)] and desk.fills(second) == [(100, 1)]


def test_more_at_the_same_price_loses_it(desk):
    first, second = desk.order(BUY, 5, 100), desk.order(BUY, 5, 100, account=1)
    assert desk.amend(first, 6) == SimReason.OK
    desk.order(SELL, 5, 100, account=2)
    assert desk.fills(first) == [] and desk.status(second) == SimStatus.FILLED


def test_an_order_amended_to_a_price_that_crosses_trades_at_once(desk):
    desk.order(SELL, 2, 105)
    order = desk.order(BUY, 5, 100, account=1)
    assert desk.amend(order, 5, 106, account=1) == SimReason.OK
    assert desk.fills(order) == [(105, 2)] and desk.depth() == ([(106, 3)], [])
    assert desk.money(1, "USDT")[1] == 3 * 106 * 10**5 and desk.is_conserved()


def test_an_amendment_can_be_refused_and_then_nothing_has_changed(desk):
    order = desk.order(BUY, 5, 100)
    desk.order(SELL, 2, 100, account=1)
    desk.order(SELL, 1, 110, account=1)
    assert desk.amend(order, 2) == SimReason.AMEND                      # executed already
    assert desk.amend(order, 5, 100) == SimReason.AMEND                 # nothing new
    assert desk.amend(order, 5, account=1) == SimReason.UNKNOWN_ORDER
    assert desk.amend(order, 5, -1) == SimReason.PRICE_FILTER
    assert desk.amend(order, 10**9, 101) == SimReason.INSUFFICIENT_BALANCE
    maker = desk.order(BUY, 1, 90, kind=SimOrderType.LIMIT_MAKER)
    assert desk.amend(maker, 1, 110) == SimReason.WOULD_TAKE
    assert desk.depth() == ([(100, 3), (90, 1)], [(110, 1)])


def test_an_iceberg_made_smaller_than_its_tip_shows_what_is_left(desk):
    order = desk.order(BUY, 10, 100, iceberg_lots=4)
    assert desk.amend(order, 3) == SimReason.OK
    assert desk.depth() == ([(100, 3)], [])


# ---- self-trade prevention: the taker's mode counts

def statuses(desk, *orders):
    return [desk.status(order).name for order in orders]


def test_without_prevention_an_account_trades_with_itself(desk):
    maker, taker = desk.order(SELL, 2, 100), desk.order(BUY, 2, 100)
    assert statuses(desk, maker, taker) == ["FILLED", "FILLED"] and desk.is_conserved()


def test_expire_taker_ends_the_incoming_order(desk):
    other, maker = desk.order(SELL, 1, 99, account=1), desk.order(SELL, 2, 100)
    taker = desk.order(BUY, 5, 100, stp=SimStp.EXPIRE_TAKER)
    assert statuses(desk, other, maker, taker) == ["FILLED", "NEW", "EXPIRED_IN_MATCH"]
    assert desk.depth() == ([], [(100, 2)]) and desk.money(0, "USDT")[1] == 0


def test_expire_maker_ends_the_resting_order_and_goes_on(desk):
    maker, other = desk.order(SELL, 2, 100), desk.order(SELL, 2, 100, account=1)
    taker = desk.order(BUY, 5, 100, stp=SimStp.EXPIRE_MAKER)
    assert statuses(desk, maker, other, taker) == ["EXPIRED_IN_MATCH", "FILLED", "PARTIALLY_FILLED"]
    assert desk.money(0, "BTC")[1] == 0


def test_expire_both_ends_both(desk):
    maker, other = desk.order(SELL, 2, 100), desk.order(SELL, 2, 101, account=1)
    taker = desk.order(BUY, 5, 101, stp=SimStp.EXPIRE_BOTH)
    assert statuses(desk, maker, other, taker) == ["EXPIRED_IN_MATCH", "NEW", "EXPIRED_IN_MATCH"]
    told = [e for e in desk.events if e.kind == SimEventKind.PREVENTED]
    assert [(e.order_id, e.counter_order_id, e.qty_lots, e.price_ticks) for e in told] == [(taker, maker, 5, 100), (maker, taker, 2, 100)]


def test_decrement_takes_the_smaller_quantity_from_both(desk):
    maker = desk.order(SELL, 2, 100)
    taker = desk.order(BUY, 5, 100, stp=SimStp.DECREMENT)
    assert statuses(desk, maker, taker) == ["EXPIRED_IN_MATCH", "NEW"]
    assert desk.depth() == ([(100, 3)], []) and desk.money(0, "USDT")[1] == 300 * 10**5 and desk.money(0, "BTC")[1] == 0
    small = desk.order(SELL, 1, 100, stp=SimStp.DECREMENT)
    assert statuses(desk, small, taker) == ["EXPIRED_IN_MATCH", "NEW"] and desk.depth() == ([(100, 2)], [])


def test_fill_or_kill_does_not_count_own_orders_that_would_expire(desk):
    desk.order(SELL, 2, 100)
    desk.order(SELL, 2, 100, account=1)
    killed = desk.order(BUY, 4, 100, tif=FOK, stp=SimStp.EXPIRE_MAKER)
    assert desk.fills(killed) == [] and desk.depth() == ([], [(100, 4)])
    assert desk.status(desk.order(BUY, 2, 100, tif=FOK, stp=SimStp.EXPIRE_MAKER)) == SimStatus.FILLED


# ---- a market order for an amount of quote

def test_an_amount_of_quote_buys_as_many_whole_lots_as_it_pays_for(desk):
    desk.order(SELL, 5, 100)
    desk.order(SELL, 50, 110)
    taker = desk.order(BUY, 0, account=1, quote_units=1_000 * 10**5)         # 500 for the first five, 500 for 4 at 110
    assert desk.fills(taker) == [(100, 5), (110, 4)] and desk.status(taker) == SimStatus.FILLED
    assert desk.of(taker)[0].qty_lots == 9 and desk.money(1, "USDT")[0] == 1_000_000 * UNITS - 940 * 10**5


def test_an_amount_of_quote_that_the_book_cannot_meet_expires_with_what_it_got(desk):
    desk.order(SELL, 5, 100)
    taker = desk.order(BUY, 0, account=1, quote_units=10_000 * 10**5)
    assert desk.fills(taker) == [(100, 5)] and desk.status(taker) == SimStatus.EXPIRED
    assert desk.status(desk.order(BUY, 0, account=1, quote_units=1)) == SimStatus.EXPIRED


def test_an_amount_of_quote_beyond_the_account_is_refused(desk):
    desk.order(SELL, 5, 100)
    assert desk.refused(BUY, 0, account=1, quote_units=2_000_000 * UNITS) == SimReason.INSUFFICIENT_BALANCE


def test_selling_for_an_amount_of_quote(desk):
    desk.order(BUY, 5, 100)
    taker = desk.order(SELL, 0, account=1, quote_units=250 * 10**5)
    assert desk.fills(taker) == [(100, 2)] and desk.status(taker) == SimStatus.FILLED


# ---- filters

LIMIT_MAKER, MARKET, STOP = SimOrderType.LIMIT_MAKER, SimOrderType.MARKET, SimOrderType.STOP_MARKET


@pytest.mark.parametrize("filters, request_, reason", [
    ({"min_price": 50}, (BUY, 1, 49), "PRICE_FILTER"), ({"max_price": 200}, (SELL, 1, 201), "PRICE_FILTER"),
    ({"min_qty": "0.002"}, (BUY, 1, 100), "LOT_SIZE"), ({"max_qty": "0.010"}, (BUY, 11, 100), "LOT_SIZE"),
    ({"market_max_qty": "0.005"}, (BUY, 6), "MARKET_LOT_SIZE"), ({"market_min_qty": "0.002"}, (BUY, 1), "MARKET_LOT_SIZE"),
    ({"min_notional": "0.2"}, (BUY, 1, 100), "MIN_NOTIONAL"), ({"min_notional": "0.2"}, (SELL, 1), "MIN_NOTIONAL"),
    ({"max_notional": "0.2"}, (BUY, 3, 100), "MAX_NOTIONAL"),
    ({"bid_up": "1.1"}, (BUY, 1, 111), "PERCENT_PRICE"), ({"bid_down": "0.9"}, (BUY, 1, 89), "PERCENT_PRICE"),
    ({"ask_up": "1.1"}, (SELL, 1, 111), "PERCENT_PRICE"), ({"ask_down": "0.9"}, (SELL, 1, 89), "PERCENT_PRICE"),
    ({"max_position": "1000000.004"}, (BUY, 5, 100), "MAX_POSITION"),
], ids=lambda value: value if isinstance(value, str) else None)
def test_a_filter_refuses_what_lies_beyond_it(filters, request_, reason):
    desk = Desk(**filters)
    desk.x.set_last_price(desk.btcusdt, 100)
    assert desk.refused(*request_).name == reason


@pytest.mark.parametrize("filters, request_", [
    ({"min_price": 50}, (BUY, 1, 50)), ({"max_price": 200}, (SELL, 1, 200)), ({"min_qty": "0.002"}, (BUY, 2, 100)),
    ({"max_qty": "0.010"}, (BUY, 10, 100)), ({"market_max_qty": "0.005"}, (BUY, 5)), ({"market_max_qty": "0.005"}, (BUY, 6, 100)),
    ({"min_notional": "0.2"}, (BUY, 2, 100)), ({"min_notional": "0.2", "min_notional_market": False}, (SELL, 1)),
    ({"max_notional": "0.2"}, (BUY, 2, 100)), ({"max_notional": "0.2"}, (BUY, 3)), ({"bid_up": "1.1"}, (BUY, 1, 110)),
    ({"ask_down": "0.9"}, (SELL, 1, 90)), ({"bid_up": "1.1"}, (SELL, 1, 500)), ({"max_position": "1000000.004"}, (BUY, 4, 100)),
    ({"max_position": "1000000.004"}, (SELL, 5, 100)),
])
def test_a_filter_lets_its_own_border_pass(filters, request_):
    desk = Desk(**filters)
    desk.x.set_last_price(desk.btcusdt, 100)
    desk.order(*request_)


def test_filters_by_price_wait_for_the_first_trade_and_follow_a_given_average():
    desk = Desk(bid_up="1.1")
    desk.order(BUY, 1, 5_000)
    desk.order(SELL, 1, 5_000, account=1)
    assert desk.refused(BUY, 1, 5_501) == SimReason.PERCENT_PRICE
    desk.x.set_reference_price(desk.btcusdt, 6_000)
    desk.order(BUY, 1, 5_501)


def test_open_orders_stop_orders_and_icebergs_are_counted_by_account():
    desk = Desk(max_orders=2, max_algo_orders=1, max_iceberg_parts=3, max_iceberg_orders=1)
    desk.x.set_last_price(desk.btcusdt, 100)
    stop = desk.order(BUY, 1, kind=STOP, stop_ticks=150)
    assert desk.refused(BUY, 1, kind=STOP, stop_ticks=160) == SimReason.MAX_ALGO_ORDERS
    desk.order(BUY, 1, 90)
    assert desk.refused(BUY, 1, 90) == SimReason.MAX_ORDERS
    desk.order(BUY, 1, 90, account=1)
    desk.order(BUY, 1)                                        # never rests
    desk.cancel(stop)
    assert desk.refused(BUY, 10, 90, iceberg_lots=3) == SimReason.ICEBERG_PARTS
    order = desk.order(BUY, 9, 90, iceberg_lots=3)
    desk.cancel(order)
    desk.order(BUY, 1, 90)
    desk.order(BUY, 9, 90, account=2, iceberg_lots=3)
    assert desk.refused(BUY, 9, 90, account=2, iceberg_lots=3) == SimReason.MAX_ICEBERG_ORDERS


def test_a_filled_order_counts_no_more():
    desk = Desk(max_orders=1)
    desk.order(BUY, 1, 100)
    desk.order(SELL, 1, 100, account=1)
    desk.order(BUY, 1, 100)
