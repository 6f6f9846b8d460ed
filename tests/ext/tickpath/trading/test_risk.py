"""Every risk check by name: what passes just below its limit, what is refused just above, with which reason."""
import pytest

from engine_harness import MS, Market
from tickpath.types import CommandKind, EventType, Reason, TradingState

R = Reason


def test_an_order_within_every_limit_is_sent():
    m = Market()
    assert m.refusal(m.submit()) is None
    assert len(m.records(EventType.EV_INTENT)) == 1 and m.totals()["refusals"] == 0


@pytest.mark.parametrize("limits, order, reason", [
    ({}, {"qty_lots": 0}, R.REASON_QTY_NOT_POSITIVE),
    ({}, {"qty_lots": -5}, R.REASON_QTY_NOT_POSITIVE),
    ({}, {"price_ticks": 0}, R.REASON_PRICE_NOT_POSITIVE),
    ({}, {"price_ticks": -1}, R.REASON_PRICE_NOT_POSITIVE),
    ({"qty_step_lots": 10}, {"qty_lots": 105}, R.REASON_QTY_NOT_MULTIPLE_OF_LOT),
    ({"max_order_qty_lots": 99}, {}, R.REASON_ORDER_QTY_OVER_LIMIT),
    ({"max_order_notional_ticklots": 9990 * 100 - 1}, {}, R.REASON_ORDER_NOTIONAL_OVER_LIMIT),
    ({"min_notional_ticklots": 9990 * 100 + 1}, {}, R.REASON_ORDER_NOTIONAL_UNDER_MINIMUM),
    ({"max_position_notional_ticklots": 9990 * 100 - 1}, {}, R.REASON_POSITION_OVER_LIMIT),
    ({"max_position_notional_ticklots": 10010 * 100 - 1}, {"side": "sell", "price_ticks": 10010}, R.REASON_POSITION_OVER_LIMIT),
    ({"price_collar_e2_bps": 999}, {"price_ticks": 9990}, R.REASON_PRICE_OUTSIDE_BAND),      # 10 bps from the mid of 10000
    ({"price_collar_e2_bps": 999}, {"side": "sell", "price_ticks": 10010}, R.REASON_PRICE_OUTSIDE_BAND),
    ({}, {"instrument": 7}, R.REASON_UNKNOWN_INSTRUMENT),
    ({"max_order_qty_lots": 2 ** 62}, {"qty_lots": 2 ** 61}, R.REASON_NUMBER_OVERFLOW),
])
def test_an_order_over_a_limit_is_refused_with_its_reason_and_nothing_is_sent(limits, order, reason):
    m = Market(**limits)
    ordinal = m.submit(**order)
    assert m.refusal(ordinal) == reason
    assert len(m.records(EventType.EV_INTENT)) == 0
    (refusal,) = m.records(EventType.EV_REFUSAL)
    assert refusal["order_ordinal"] == ordinal and refusal["reason"] == reason


@pytest.mark.parametrize("limits, order", [
    ({"max_order_qty_lots": 100}, {}), ({"max_order_notional_ticklots": 9990 * 100}, {}),
    ({"min_notional_ticklots": 9990 * 100}, {}), ({"max_position_notional_ticklots": 9990 * 100}, {}),
    ({"price_collar_e2_bps": 1000}, {"price_ticks": 9990}), ({"qty_step_lots": 10}, {}),
    ({}, {"order_type": "market", "price_ticks": None}), ({}, {"time_in_force": "fok"}),
])
def test_an_order_at_a_limit_is_sent(limits, order):
    m = Market(**limits)
    assert m.refusal(m.submit(**order)) is None


def test_open_orders_count_as_position_in_the_worst_case():
    m = Market(max_position_notional_ticklots=9990 * 250)
    assert m.refusal(m.submit()) is None and m.refusal(m.submit()) is None
    assert m.refusal(m.submit()) == R.REASON_POSITION_OVER_LIMIT
    assert m.refusal(m.submit(side="sell", price_ticks=10010)) is None         # the other side has room of its own


def test_a_fill_moves_exposure_from_open_orders_to_the_position():
    m = Market(max_position_notional_ticklots=10001 * 250)
    m.submit(qty_lots=200, price_ticks=10001, time_in_force="ioc")
    m.quote(ms=20)
    assert m.position_lots() == 200
    assert m.refusal(m.submit(qty_lots=51, price_ticks=10000)) == R.REASON_POSITION_OVER_LIMIT
    assert m.refusal(m.submit(qty_lots=50, price_ticks=10000)) is None


def test_open_orders_are_limited():
    m = Market(max_open_orders=2)
    assert [m.refusal(m.submit()) for _ in range(3)] == [None, None, R.REASON_OPEN_ORDERS_OVER_LIMIT]


def test_order_rate_holds_in_every_minute():
    m = Market(max_orders_per_min=3)
    reasons = [m.refusal(m.submit()) for _ in range(4)]
    assert reasons == [None, None, None, R.REASON_ORDER_RATE_OVER_LIMIT]
    for _ in range(59):
        m.quote(ms=1000)
    assert m.refusal(m.submit()) == R.REASON_ORDER_RATE_OVER_LIMIT
    m.quote(ms=1000)
    assert m.refusal(m.submit()) is None


def test_old_market_data_gives_no_order():
    m = Market(max_data_age_ms=2000)
    m.quote()
    # A timer comes without data: set one 3 s ahead; it is due before the next frame, which comes later still.
    due_ns = m.now_ms * MS + 3000 * MS
    m.strategy.todo.append(lambda ctx: ctx.set_timer(due_ns))
    m.quote(ms=0)
    m.strategy.todo.append(lambda ctx: ctx.submit(side="buy", qty_lots=100, price_ticks=9990))
    m.session.command(CommandKind.COMMAND_SET_STATE, due_ns, TradingState.TRADING_NORMAL)
    assert m.strategy.timers and m.refusal(m.strategy.ordinals[-1]) == R.REASON_DATA_STALE


def test_no_order_while_the_book_is_not_good():
    m = Market()
    m.quote()
    m.update_id += 5                                       # a lost diff
    m.depth(bids=[("99.98", "1")])
    assert m.refusal(m.submit()) == R.REASON_BOOK_NOT_GOOD


def test_no_order_on_a_crossed_quote():
    m = Market()
    m.strategy.todo.append(lambda ctx: ctx.submit(side="buy", qty_lots=100, price_ticks=9990))
    m.quote(bid="100.02", ask="100.01")
    assert m.refusal(m.strategy.ordinals[-1]) == R.REASON_BOOK_NOT_GOOD


def test_kill_switch_cancels_everything_and_refuses_what_follows():
    m = Market()
    ordinal = m.submit()
    m.quote(ms=20)
    m.session.command(CommandKind.COMMAND_KILL, 0)
    m.session.settle()
    assert m.totals()["trading_state"] == TradingState.TRADING_HALTED and m.totals()["open_orders"] == 0
    assert len(m.records(EventType.EV_CANCEL)) == 1
    assert m.records(EventType.EV_CANCEL)[0]["order_ordinal"] == ordinal
    assert m.refusal(m.submit()) == R.REASON_KILL_SWITCH


@pytest.mark.parametrize("state, buy, sell", [
    (TradingState.TRADING_REDUCE_ONLY, R.REASON_STATE_FORBIDS, None),
    (TradingState.TRADING_CANCEL_ONLY, R.REASON_STATE_FORBIDS, R.REASON_STATE_FORBIDS),
    (TradingState.TRADING_NORMAL, None, None)])
def test_trading_states_mean_what_they_say_with_a_long_position(state, buy, sell):
    m = Market()
    m.submit(qty_lots=100, price_ticks=10001, time_in_force="ioc")
    m.quote(ms=20)
    m.session.command(CommandKind.COMMAND_SET_STATE, 0, state)
    assert m.refusal(m.submit(qty_lots=50, price_ticks=9990)) == buy
    assert m.refusal(m.submit(side="sell", qty_lots=100, price_ticks=10010)) == sell
    if state == TradingState.TRADING_REDUCE_ONLY:
        # The position is spoken for by the open sell order: one more would open the other side.
        assert m.refusal(m.submit(side="sell", qty_lots=1, price_ticks=10010)) == R.REASON_STATE_FORBIDS


def test_cancels_pass_in_every_state_and_unknown_ones_are_refused():
    m = Market()
    ordinal = m.submit()
    m.quote(ms=20)
    m.session.command(CommandKind.COMMAND_SET_STATE, 0, TradingState.TRADING_CANCEL_ONLY)
    m.cancel(ordinal)
    m.quote(ms=20)
    assert m.totals()["open_orders"] == 0
    m.cancel(ordinal)
    m.cancel(999_999)
    assert [int(r["reason"]) for r in m.records(EventType.EV_REFUSAL)] == [R.REASON_UNKNOWN_ORDER] * 2


def test_more_actions_than_fit_are_dropped_and_counted():
    m = Market(max_open_orders=1000)
    m.strategy.todo += [lambda ctx: ctx.submit(side="buy", qty_lots=1, price_ticks=9990)] * 80
    m.quote()
    assert m.strategy.ordinals.count(0) == 16 and m.totals()["action_overflows"] == 16 and m.totals()["orders"] == 64
