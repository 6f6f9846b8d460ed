"""Futures margin by example. Numbers with a source are the venue's own (pages seen 2026-11-22); each step is also compared with the
slow model (margin_desk.Desk.compare), and money over all accounts must come out to the unit."""
from decimal import Decimal

import pytest
from margin_desk import (
    BOTH,
    BTC_BRACKETS,
    BUY,
    ETH_BRACKETS,
    GTC,
    INSURANCE,
    IOC,
    LONG,
    MARKET,
    OK,
    SELL,
    SHORT,
    STOP_MARKET,
    Desk,
    money,
    units,
)

from tickpath.sim.exchange import SimEventKind, SimReason
from tickpath.sim.margin_face import MarginReason


@pytest.fixture
def desk():
    desk = Desk()
    desk.btc = desk.contract("BTCUSDT", "0.1", "0.001", BTC_BRACKETS, "0.0125")
    desk.eth = desk.contract("ETHUSDT", "0.01", "0.001", ETH_BRACKETS, "0.015")
    desk.maker = desk.account("100000000")
    return desk


def kinds(events, kind, account=None):
    return [e for e in events if e.kind == kind and account in (None, e.account)]


# ---- cost of an order: https://www.binance.com/en/support/faq/87fa7ee33b574f7084d42bd2ce2e463b
@pytest.mark.parametrize("side, cost", [(BUY, "462.665"), (SELL, "469.205")])
def test_a_limit_order_costs_initial_margin_and_open_loss(desk, side, cost):
    """1 BTC at 9,253.30 with 20x, mark 9,259.84: 462.66 to buy, 462.66 + 6.54 to sell."""
    desk.mark(desk.btc, "9259.84")
    enough = desk.account(cost)
    short_of = desk.account(Decimal(cost) - Decimal("0.00000001"))
    assert desk.submit(short_of, desk.btc, side, "1", "9253.3")[1] == SimReason.MARGIN
    order_id, reason = desk.submit(enough, desk.btc, side, "1", "9253.3")
    assert reason == OK
    assert money(desk.funds(enough).order_margin_units) == Decimal("462.665")
    assert desk.cancel(enough, order_id) == OK
    assert desk.funds(enough).order_margin_units == 0


def test_a_market_buy_is_margined_at_the_best_ask_and_five_basis_points(desk):
    """Best ask 9,260.0, so 9,264.63 is assumed, on the next tick; mark 9,259.84: an open loss of the difference is asked as well."""
    desk.mark(desk.btc, "9259.84")
    desk.sell(desk.maker, desk.btc, "5", "9260")
    need = Decimal("9264.7") / 20 + (Decimal("9264.7") - Decimal("9259.84"))
    short_of, enough = desk.account(need - Decimal("0.00000001")), desk.account(need)
    assert desk.buy(short_of, desk.btc, "1")[1] == SimReason.MARGIN
    assert desk.buy(enough, desk.btc, "1")[1] == OK
    assert desk.position(enough, desk.btc).entry_price_e8 == units("9260")


def test_a_market_sell_is_margined_at_the_higher_of_bid_and_mark(desk):
    desk.mark(desk.btc, "9300")
    desk.buy(desk.maker, desk.btc, "5", "9290")
    short_of, enough = desk.account("464.99999999"), desk.account("465")
    assert desk.sell(short_of, desk.btc, "1")[1] == SimReason.MARGIN
    assert desk.sell(enough, desk.btc, "1")[1] == OK


def test_an_amendment_that_needs_more_margin_than_there_is_leaves_the_order_as_it_was(desk):
    desk.mark(desk.btc, "10000")
    trader = desk.account("500")
    order_id, _ = desk.buy(trader, desk.btc, "0.5", "9000")
    assert desk.amend(trader, order_id, "1.2", "9000") == SimReason.MARGIN
    assert money(desk.funds(trader).order_margin_units) == 225
    assert desk.amend(trader, order_id, "1", "9500") == OK
    assert money(desk.funds(trader).order_margin_units) == 475
    assert desk.amend(trader, order_id, "0.4", "9500") == OK
    assert money(desk.funds(trader).order_margin_units) == 190


# ---- netting
def test_orders_are_margined_by_the_worse_side_alone(desk):
    """Long 10,000, bids 5,000 and asks 25,000: filled asks would leave a short of 15,000, filled bids a long of 15,000."""
    desk.mark(desk.btc, "10000")
    trader = desk.account("5000")
    desk.trade(trader, desk.maker, desk.btc, "1", "10000")
    assert money(desk.funds(trader).order_margin_units) == 0
    desk.sell(trader, desk.btc, "2", "10000")
    assert money(desk.funds(trader).order_margin_units) == 0
    desk.sell(trader, desk.btc, "0.5", "10000")
    assert money(desk.funds(trader).order_margin_units) == 250
    desk.buy(trader, desk.btc, "0.5", "9000")
    assert money(desk.funds(trader).order_margin_units) == 250
    desk.buy(trader, desk.btc, "1", "9000")
    assert money(desk.funds(trader).order_margin_units) == Decimal(13500) / 20


def test_an_order_that_closes_needs_no_margin_even_when_nothing_is_available(desk):
    desk.mark(desk.btc, "10000")
    trader = desk.account("500")
    desk.trade(trader, desk.maker, desk.btc, "1", "10000")
    desk.mark(desk.btc, "9900")
    assert desk.funds(trader).available_units == 0
    assert desk.buy(trader, desk.btc, "0.001", "9900")[1] == SimReason.MARGIN
    assert desk.sell(trader, desk.btc, "1", "9950")[1] == OK


# ---- fills
def test_entry_price_averages_and_a_partial_close_keeps_it(desk):
    desk.mark(desk.btc, "10000")
    trader = desk.account("10000", taker_bps="4")
    desk.trade(trader, desk.maker, desk.btc, "1", "10000")
    desk.trade(trader, desk.maker, desk.btc, "2", "10000.1")
    position = desk.position(trader, desk.btc)
    assert position.cost_units == units("30000.2")
    assert position.entry_price_e8 == units("10000.06666667")
    desk.buy(desk.maker, desk.btc, "1", "10100")
    desk.sell(trader, desk.btc, "1", "10100")
    position = desk.position(trader, desk.btc)
    assert position.entry_price_e8 == units("10000.06666667")
    assert money(position.realised_units) == Decimal("10100") - Decimal("10000.06666666")
    # Fees of 4 + 8.00008 + 4.04, less what was realised, are carried by the 2 that are left.
    carried = Decimal("4") + Decimal("8.00008") + Decimal("4.04") - money(position.realised_units)
    assert abs(Decimal(position.break_even_e8) / 10**8 - (money(position.cost_units) + carried) / 2) <= Decimal("0.00000001")


def test_a_fill_through_zero_closes_one_side_and_opens_the_other(desk):
    desk.mark(desk.btc, "10000")
    trader = desk.account("10000")
    desk.trade(trader, desk.maker, desk.btc, "1", "10000")
    desk.trade(desk.maker, trader, desk.btc, "3", "10010")
    position = desk.position(trader, desk.btc)
    assert (position.qty_lots, position.entry_price_e8) == (-2000, units("10010"))
    assert money(position.realised_units) == 10
    assert desk.position(desk.maker, desk.btc).qty_lots == 2000


def test_fees_go_to_the_fee_account_rounded_down(desk):
    desk.mark(desk.btc, "10000")
    taker = desk.account("10000", taker_bps="4.5")
    maker = desk.account("10000", maker_bps="1.8")
    desk.trade(taker, maker, desk.btc, "0.001", "9999.9")
    assert money(desk.funds(1).wallet_units) == Decimal("0.00449995") + Decimal("0.00179998")
    taker_event, maker_event = kinds(desk.events, SimEventKind.TRADE)
    assert (taker_event.fee_units, maker_event.fee_units) == (units("0.00449995"), units("0.00179998"))
    assert taker_event.fee_asset == maker_event.fee_asset == desk.usdt


# ---- reduce-only and close-position
def test_reduce_only_is_refused_without_a_position_to_reduce(desk):
    desk.mark(desk.btc, "10000")
    trader = desk.account("5000")
    assert desk.sell(trader, desk.btc, "1", "10000", reduce_only=True)[1] == SimReason.REDUCE_ONLY
    desk.trade(trader, desk.maker, desk.btc, "1", "10000")
    assert desk.buy(trader, desk.btc, "1", "9000", reduce_only=True)[1] == SimReason.REDUCE_ONLY
    assert desk.sell(trader, desk.btc, "1", "11000", reduce_only=True)[1] == OK


def test_reduce_only_trades_the_position_and_no_lot_more(desk):
    desk.mark(desk.btc, "10000")
    trader = desk.account("5000")
    desk.trade(trader, desk.maker, desk.btc, "1", "10000")
    desk.buy(desk.maker, desk.btc, "3", "10000")
    desk.sell(trader, desk.btc, "3", "10000", reduce_only=True)
    assert desk.position(trader, desk.btc).qty_lots == 0
    assert [e.qty_lots for e in kinds(desk.events, SimEventKind.EXPIRED, trader)] == [2000]


def test_a_resting_reduce_only_order_goes_when_its_position_is_gone(desk):
    desk.mark(desk.btc, "10000")
    trader = desk.account("5000")
    desk.trade(trader, desk.maker, desk.btc, "1", "10000")
    order_id, _ = desk.sell(trader, desk.btc, "1", "10500", reduce_only=True)
    desk.trade(desk.maker, trader, desk.btc, "1", "10000")
    assert [(e.order_id, e.reason) for e in kinds(desk.events, SimEventKind.EXPIRED, trader)] == [(order_id, SimReason.REDUCE_ONLY)]
    assert desk.x.open_orders(trader) == []


def test_a_resting_reduce_only_order_is_trimmed_to_a_smaller_position(desk):
    desk.mark(desk.btc, "10000")
    trader = desk.account("5000")
    desk.trade(trader, desk.maker, desk.btc, "1", "10000")
    desk.sell(trader, desk.btc, "1", "10500", reduce_only=True)
    desk.trade(desk.maker, trader, desk.btc, "0.6", "10000")
    desk.buy(desk.maker, desk.btc, "1", "10500")
    assert desk.position(trader, desk.btc).qty_lots == 0
    assert desk.x.open_orders(trader) == []


def test_a_close_position_stop_closes_all_of_it_at_its_trigger():
    desk = Desk(compare=False)
    btc = desk.contract("BTCUSDT", "0.1", "0.001", BTC_BRACKETS)
    maker, trader = desk.account("1000000"), desk.account("5000")
    desk.mark(btc, "10000")
    desk.trade(trader, maker, btc, "1", "10000")
    order_id, reason = desk.x.submit(trader, btc, SELL, STOP_MARKET, GTC, 0, 0, stop_ticks=99000, close_position=True, working_mark=True, now_ns=50)
    assert reason == OK
    desk.trade(trader, maker, btc, "0.5", "10000")
    desk.buy(maker, btc, "5", "9890")
    desk.mark(btc, "9899.9")
    assert desk.position(trader, btc).qty_lots == 0
    trades = [e for e in desk.events if e.kind == SimEventKind.TRADE and e.order_id == order_id]
    assert [e.qty_lots for e in trades] == [1500]


# ---- leverage: https://www.binance.com/en/support/faq/360033162192
def test_the_largest_notional_depends_on_the_leverage(desk):
    desk.mark(desk.btc, "10000")
    trader = desk.account("1000000")
    assert desk.set_leverage(trader, desk.btc, 125) == MarginReason.OK
    assert desk.buy(trader, desk.btc, "5.001", "10000")[1] == SimReason.LEVERAGE
    assert desk.buy(trader, desk.btc, "5", "10000")[1] == OK
    assert desk.set_leverage(trader, desk.btc, 50) == MarginReason.OK
    assert desk.buy(trader, desk.btc, "95", "10000")[1] == OK
    assert desk.set_leverage(trader, desk.btc, 100) == MarginReason.LEVERAGE_CAP
    assert money(desk.position(trader, desk.btc).max_notional_units) == 1_000_000


def test_leverage_is_refused_where_it_is_none_or_the_wallet_is_too_small(desk):
    desk.mark(desk.btc, "10000")
    trader = desk.account("500")
    desk.trade(trader, desk.maker, desk.btc, "1", "10000")
    assert desk.set_leverage(trader, desk.btc, 0) == MarginReason.LEVERAGE_INVALID
    assert desk.set_leverage(trader, desk.btc, 126) == MarginReason.LEVERAGE_INVALID
    assert desk.set_leverage(trader, desk.btc, 10) == MarginReason.LEVERAGE_TOO_LOW
    assert desk.set_leverage(trader, desk.btc, 25) == MarginReason.OK
    assert money(desk.funds(trader).available_units) == 100


# ---- isolated margin: https://www.binance.com/en/support/faq/360038447311
def test_an_isolated_position_takes_its_margin_out_of_the_cross_wallet(desk):
    desk.mark(desk.btc, "10000")
    trader = desk.account("2000")
    assert desk.set_isolated(trader, desk.btc) == MarginReason.OK
    desk.trade(trader, desk.maker, desk.btc, "1", "10000")
    assert money(desk.position(trader, desk.btc).isolated_wallet_units) == 500
    assert money(desk.funds(trader).cross_wallet_units) == 1500
    desk.buy(desk.maker, desk.btc, "0.4", "10100")
    desk.sell(trader, desk.btc, "0.4", "10100")
    assert money(desk.position(trader, desk.btc).isolated_wallet_units) == 300
    assert money(desk.funds(trader).cross_wallet_units) == 1740


def test_isolated_margin_is_added_and_taken_back_within_its_bounds(desk):
    desk.mark(desk.btc, "10000")
    trader = desk.account("2000")
    assert desk.add_margin(trader, desk.btc, "100") == MarginReason.ADD_NOT_ISOLATED
    desk.set_isolated(trader, desk.btc)
    assert desk.add_margin(trader, desk.btc, "100") == MarginReason.NO_POSITION
    desk.trade(trader, desk.maker, desk.btc, "1", "10000")
    assert desk.add_margin(trader, desk.btc, "0") == MarginReason.AMOUNT_NOT_POSITIVE
    assert desk.add_margin(trader, desk.btc, "1500.00000001") == MarginReason.CROSS_INSUFFICIENT
    assert desk.add_margin(trader, desk.btc, "300") == MarginReason.OK
    # At the mark of 9,900: 800 - 100 lost - 495 needed = 205 may go back; the maintenance margin would allow more.
    desk.mark(desk.btc, "9900")
    assert money(desk.x.removable_margin(trader, desk.btc, BOTH)) == 205
    assert desk.add_margin(trader, desk.btc, "-205.00000001") == MarginReason.ISOLATED_INSUFFICIENT
    assert desk.add_margin(trader, desk.btc, "-205") == MarginReason.OK
    assert desk.set_leverage(trader, desk.btc, 10) == MarginReason.ISOLATED_LEVERAGE_REDUCE


def test_the_margin_type_changes_only_with_neither_order_nor_position(desk):
    desk.mark(desk.btc, "10000")
    trader = desk.account("2000")
    assert desk.set_isolated(trader, desk.btc, False) == MarginReason.NO_NEED_TO_CHANGE_TYPE
    order_id, _ = desk.buy(trader, desk.btc, "0.1", "9000")
    assert desk.set_isolated(trader, desk.btc) == MarginReason.OPEN_ORDERS
    desk.cancel(trader, order_id)
    desk.trade(trader, desk.maker, desk.btc, "0.1", "10000")
    assert desk.set_isolated(trader, desk.btc) == MarginReason.POSITION
    desk.trade(desk.maker, trader, desk.btc, "0.1", "10000")
    assert desk.set_isolated(trader, desk.btc) == MarginReason.OK


# ---- hedge mode
def test_a_hedge_holds_long_and_short_apart(desk):
    desk.mark(desk.btc, "10000")
    trader = desk.account("5000")
    assert desk.set_hedge(trader) == MarginReason.OK
    assert desk.set_hedge(trader) == MarginReason.NO_NEED_TO_CHANGE_MODE
    assert desk.buy(trader, desk.btc, "1", "9000")[1] == SimReason.POSITION_SIDE
    desk.trade(trader, desk.maker, desk.btc, "1", "10000", buyer_leg=LONG)
    desk.trade(desk.maker, trader, desk.btc, "2", "10000", seller_leg=SHORT)
    assert desk.position(trader, desk.btc, LONG).qty_lots == 1000
    assert desk.position(trader, desk.btc, SHORT).qty_lots == -2000
    assert money(desk.funds(trader).position_margin_units) == 1500
    assert desk.set_hedge(trader, False) == MarginReason.MODE_POSITION


def test_orders_that_close_a_hedge_leg_may_not_exceed_it(desk):
    desk.mark(desk.btc, "10000")
    trader = desk.account("5000")
    desk.set_hedge(trader)
    assert desk.sell(trader, desk.btc, "1", "10000", position_side=LONG)[1] == SimReason.REDUCE_ONLY
    desk.trade(trader, desk.maker, desk.btc, "1", "10000", buyer_leg=LONG)
    first, reason = desk.sell(trader, desk.btc, "0.7", "11000", position_side=LONG)
    assert reason == OK and desk.funds(trader).order_margin_units == 0
    assert desk.sell(trader, desk.btc, "0.4", "11000", position_side=LONG)[1] == SimReason.REDUCE_ONLY
    desk.cancel(trader, first)
    assert desk.sell(trader, desk.btc, "1", "11000", position_side=LONG)[1] == OK
    assert desk.set_hedge(trader, False) == MarginReason.MODE_OPEN_ORDERS


# ---- funding: https://www.binance.com/en/support/faq/360033525031
def test_longs_pay_shorts_and_the_insurance_fund_has_the_rounding(desk):
    desk.mark(desk.btc, "10000")
    long, short, other = desk.account("5000"), desk.account("5000"), desk.account("5000")
    desk.trade(long, short, desk.btc, "0.003", "10000")
    desk.trade(long, other, desk.btc, "0.007", "10000")
    desk.mark(desk.btc, "11012.80409769")
    before = [money(desk.funds(a).wallet_units) for a in (long, short, other, INSURANCE)]
    events = desk.fund(desk.btc, "0.00038167")
    after = [money(desk.funds(a).wallet_units) for a in (long, short, other, INSURANCE)]
    changes = [b - a for a, b in zip(before, after, strict=True)]
    # 110.12804097 (0.01 at the mark, rounded down) x 0.00038167 = 0.0420325693..., which the payer rounds up.
    assert changes[0] == Decimal("-0.04203257")
    assert changes[1] > 0 and changes[2] > 0 and sum(changes) == 0
    assert 0 <= changes[3] <= Decimal("0.00000003")
    assert len(kinds(events, SimEventKind.FUNDING)) == 3


def test_a_negative_rate_has_shorts_pay_and_isolated_positions_pay_from_their_own(desk):
    desk.mark(desk.btc, "10000")
    long, short = desk.account("5000"), desk.account("5000")
    desk.set_isolated(short, desk.btc)
    desk.trade(long, short, desk.btc, "1", "10000")
    desk.fund(desk.btc, "-0.001")
    assert money(desk.position(short, desk.btc).isolated_wallet_units) == 490
    assert money(desk.funds(short).cross_wallet_units) == 4500
    assert money(desk.funds(long).cross_wallet_units) == 5010


# ---- liquidation: https://www.binance.com/en/support/faq/360033525271
def test_a_position_is_liquidated_through_the_book_when_its_margin_meets_the_maintenance(desk):
    """Long 1 from 10,000 with 500: maintenance 0.4 % = 38.12 at 9,538.15, where 38.15 is left; 9,538.1 is due."""
    desk.mark(desk.btc, "10000")
    trader = desk.account("500")
    desk.trade(trader, desk.maker, desk.btc, "1", "10000")
    assert desk.position(trader, desk.btc).liquidation_e8 == units("9538.15261044")
    order_id, _ = desk.sell(trader, desk.btc, "0.5", "12000")
    desk.buy(desk.maker, desk.btc, "5", "9530")
    desk.mark(desk.btc, "9538.16")
    assert desk.position(trader, desk.btc).qty_lots == 1000
    events = desk.mark(desk.btc, "9538.15")
    assert desk.position(trader, desk.btc).qty_lots == 0
    start, = kinds(events, SimEventKind.LIQUIDATION)
    assert (start.qty_lots, start.price_ticks, start.side) == (0, 95000, SELL)
    assert [e.order_id for e in kinds(events, SimEventKind.CANCELED)] == [order_id]
    trade, = kinds(events, SimEventKind.TRADE, trader)
    # 30 are left at 9,530; the liquidation fee of 1.25 % would be 119.125 and takes what there is.
    assert (trade.price_ticks, trade.qty_lots, trade.fee_units) == (95300, 1000, units("30"))
    assert desk.funds(trader).wallet_units == 0
    assert money(desk.funds(INSURANCE).wallet_units) == 30


def test_what_the_book_does_not_take_goes_to_the_insurance_fund_at_the_bankruptcy_price(desk):
    desk.deposit(INSURANCE, "10000")
    desk.mark(desk.btc, "10000")
    trader = desk.account("500")
    desk.trade(trader, desk.maker, desk.btc, "1", "10000")
    desk.buy(desk.maker, desk.btc, "0.3", "9500")
    desk.buy(desk.maker, desk.btc, "5", "9499.9")
    events = desk.mark(desk.btc, "9400")
    start, taken = kinds(events, SimEventKind.LIQUIDATION)
    assert (taken.qty_lots, taken.price_ticks) == (700, 95000)
    assert desk.position(trader, desk.btc).qty_lots == 0
    assert desk.funds(trader).wallet_units == 0
    fund = desk.position(INSURANCE, desk.btc)
    assert (fund.qty_lots, fund.entry_price_e8) == (700, units("9500"))
    assert money(fund.unrealised_units) == -70


def test_liquidation_stops_when_the_maintenance_is_covered_again(desk):
    """Two positions share the wallet; closing the first, above the mark, pays for the liquidation fee and leaves enough."""
    desk.mark(desk.btc, "10000")
    desk.mark(desk.eth, "1000")
    trader = desk.account("400")
    desk.trade(trader, desk.maker, desk.btc, "0.5", "10000")
    desk.trade(trader, desk.maker, desk.eth, "1", "1000")
    desk.buy(desk.maker, desk.btc, "5", "9400")
    desk.mark(desk.btc, "9241")
    assert desk.position(trader, desk.btc).qty_lots == 0
    assert desk.position(trader, desk.eth).qty_lots == 1000
    desk.everyone_is_solvent()


def test_an_isolated_position_falls_alone(desk):
    desk.mark(desk.btc, "10000")
    desk.mark(desk.eth, "1000")
    trader = desk.account("2000")
    desk.set_isolated(trader, desk.btc)
    desk.trade(trader, desk.maker, desk.btc, "1", "10000")
    desk.trade(trader, desk.maker, desk.eth, "1", "1000")
    waiting, _ = desk.buy(trader, desk.eth, "1", "900")
    events = desk.mark(desk.btc, "9000")
    assert desk.position(trader, desk.btc).qty_lots == 0
    assert desk.position(trader, desk.eth).qty_lots == 1000
    assert money(desk.funds(trader).cross_wallet_units) == 1500
    assert desk.position(INSURANCE, desk.btc).qty_lots == 1000
    assert [o.order_id for o in desk.x.open_orders(trader)] == [waiting]
    assert [e.position_side for e in kinds(events, SimEventKind.LIQUIDATION)] == [BOTH, BOTH]


def test_an_isolated_fill_may_leave_the_cross_wallet_too_little(desk):
    """A bid of an isolated instrument, placed while there was enough, fills after the cross position has lost most of it."""
    desk.mark(desk.btc, "10000")
    desk.mark(desk.eth, "1000")
    trader = desk.account("1000")
    desk.set_isolated(trader, desk.eth)
    desk.trade(trader, desk.maker, desk.btc, "1", "10000")
    desk.buy(trader, desk.eth, "8", "1000")
    desk.mark(desk.btc, "9400")
    assert desk.position(trader, desk.btc).qty_lots == 1000
    desk.sell(desk.maker, desk.eth, "8", "1000")
    assert desk.position(trader, desk.btc).qty_lots == 0
    assert desk.position(trader, desk.eth).qty_lots == 8000


def test_a_short_is_liquidated_from_below(desk):
    desk.mark(desk.btc, "10000")
    trader = desk.account("500")
    desk.trade(desk.maker, trader, desk.btc, "1", "10000")
    assert desk.position(trader, desk.btc).liquidation_e8 == units("10458.16733068")
    desk.sell(desk.maker, desk.btc, "1", "10480")
    events = desk.mark(desk.btc, "10460")
    trade, = kinds(events, SimEventKind.TRADE, trader)
    assert (trade.side, trade.price_ticks) == (BUY, 104800)
    desk.everyone_is_solvent()


def test_one_liquidation_may_push_the_next(desk):
    """The first one's order trades down to where the second's own stop-loss stands; both end, nobody owes."""
    desk.mark(desk.btc, "10000")
    weak, weaker = desk.account("500"), desk.account("501")
    desk.trade(weak, desk.maker, desk.btc, "1", "10000")
    desk.trade(weaker, desk.maker, desk.btc, "1", "10000")
    events = desk.mark(desk.btc, "9530")
    assert [e.account for e in kinds(events, SimEventKind.LIQUIDATION)] == [weak, weak, weaker, weaker]
    assert desk.position(INSURANCE, desk.btc).qty_lots == 2000
    desk.everyone_is_solvent()


def test_a_margin_call_comes_once_and_again_after_relief(desk):
    desk.mark(desk.btc, "10000")
    trader = desk.account("500")
    desk.trade(trader, desk.maker, desk.btc, "1", "10000")

    def called(price):
        return len(kinds(desk.mark(desk.btc, price), SimEventKind.MARGIN_CALL, trader))
    # 80 % at 9,547.73...: 38.19 of 47.74.
    assert [called(p) for p in ("9600", "9547", "9546", "9600", "9547")] == [0, 1, 0, 0, 1]


def test_a_wallet_below_zero_without_a_position_is_covered(desk):
    """Its own order sold far below the bankruptcy price before any mark said so."""
    desk.mark(desk.btc, "10000")
    trader = desk.account("500")
    desk.trade(trader, desk.maker, desk.btc, "1", "10000")
    desk.buy(desk.maker, desk.btc, "1", "9000")
    desk.sell(trader, desk.btc, "1", "9000", tif=IOC)
    assert desk.funds(trader).wallet_units == 0
    assert money(desk.funds(INSURANCE).wallet_units) == -500
    covered, = kinds(desk.events[-4:], SimEventKind.MARGIN_BALANCE, trader)
    assert money(covered.value) == 500


def test_a_crash_liquidates_hundreds_in_the_order_of_their_numbers():
    """Pools grow past their first size, several instruments share a wallet, and all the money is still there."""
    desk = Desk(compare=False)
    symbols = [desk.contract(f"C{n}USDT", "0.1", "0.001", BTC_BRACKETS, "0.01") for n in range(12)]
    maker = desk.account("100000000")
    traders = [desk.account("600") for _ in range(300)]
    for symbol in symbols:
        desk.mark(symbol, "1000")
        desk.x.submit(maker, symbol, SELL, 2, GTC, 10_000, 300_000, now_ns=1)
    for n, trader in enumerate(traders):
        for symbol in symbols[n % 5: n % 5 + 8]:
            assert desk.x.submit(trader, symbol, BUY, MARKET, GTC, 0, 1000, now_ns=2)[1] == OK
    desk.x.drain()
    for symbol in symbols:
        desk.x.set_mark(symbol, units("800"), 3)
    events = [e for e in desk.x.drain() if e.kind == SimEventKind.LIQUIDATION]
    assert {e.account for e in events} == set(traders)
    first = [e.account for e in events if e.instrument == symbols[0]]
    assert first == sorted(first)
    accounts = range(3 + 1 + len(traders))
    assert all(desk.funds(t).wallet_units >= 0 for t in traders)
    held = [p for a in accounts for p in desk.x.positions(a)]
    assert sum(desk.funds(a).wallet_units for a in accounts) - sum(p.cost_units for p in held) == units(100_000_000 + 600 * 300)
    assert all(sum(p.qty_lots for p in held if p.instrument == s) == 0 for s in symbols)


# ---- transfers
def test_only_what_no_position_needs_may_be_withdrawn(desk):
    desk.mark(desk.btc, "10000")
    trader = desk.account("1000")
    desk.trade(trader, desk.maker, desk.btc, "1", "10000")
    desk.mark(desk.btc, "10100")
    # Profit may margin orders, but it is not money yet: 1,000 - 0.4 % of 10,100 maintenance, and 1,000 + 100 - 505 available.
    assert money(desk.funds(trader).max_withdraw_units) == 595
    assert desk.x.margin_transfer(trader, desk.usdt, -units("595.00000001")) == MarginReason.TRANSFER_INSUFFICIENT
    assert desk.x.margin_transfer(trader, desk.usdt, -units("595")) == MarginReason.OK
    assert desk.x.balance(trader, desk.usdt) == (units("595"), 0)
    assert desk.x.margin_transfer(trader, desk.usdt, units("596")) == MarginReason.TRANSFER_INSUFFICIENT


def test_the_recorded_market_is_a_counterparty_like_any_other(desk):
    """The house holds the other side, pays and gets funding, and is never liquidated."""
    desk.mark(desk.btc, "10000")
    trader = desk.account("600")
    desk.x.record_market(desk.btc)
    desk.x.market_top(desk.btc, 99990, 2000, 100000, 2000, 20)
    _, reason = desk.x.submit(trader, desk.btc, BUY, MARKET, GTC, 0, 1000, now_ns=30)
    assert reason == OK
    assert desk.x.positions(trader)[0].qty_lots == 1000
    house, = desk.x.positions(0, desk.btc)
    assert (house.qty_lots, house.cost_units) == (-1000, -units("10000"))
    desk.x.fund(desk.btc, units("0.001"), 40)
    assert money(desk.funds(0).wallet_units) == 10
    assert money(desk.funds(trader).wallet_units) == 590
    desk.x.market_top(desk.btc, 94300, 300, 94400, 2000, 50)
    desk.x.set_mark(desk.btc, units("9440"), 60)
    assert desk.x.positions(trader)[0].qty_lots == 0
    assert [desk.x.positions(a, desk.btc)[0].qty_lots for a in (0, INSURANCE)] == [-700, 700]
    wallets = sum(desk.funds(a).wallet_units for a in range(5))
    assert wallets - sum(p.cost_units for a in range(5) for p in desk.x.positions(a)) == units("100000600")


def test_the_insurance_fund_unloads_at_a_price_or_better(desk):
    desk.mark(desk.btc, "10000")
    trader = desk.account("500")
    desk.trade(trader, desk.maker, desk.btc, "1", "10000")
    desk.mark(desk.btc, "9000")
    desk.buy(desk.maker, desk.btc, "0.4", "9510")
    desk.buy(desk.maker, desk.btc, "2", "9490")
    assert desk.offload(desk.btc, "9500") == 400
    assert desk.position(INSURANCE, desk.btc).qty_lots == 600
    assert money(desk.funds(INSURANCE).wallet_units) == 4
    assert desk.offload(desk.btc, "0") == 600
    assert desk.offload(desk.btc, "0") == 0


def test_a_check_reserves_nothing(desk):
    desk.mark(desk.btc, "10000")
    trader = desk.account("1000")
    assert desk.x.check(trader, desk.btc, BUY, MARKET, GTC, 0, 1000, now_ns=5) == OK
    assert desk.x.check(trader, desk.btc, BUY, MARKET, GTC, 0, 9000, now_ns=5) == SimReason.MARGIN
    assert desk.funds(trader).order_margin_units == 0
    desk.compare()


def test_brackets_that_do_not_rise_are_refused(desk):
    for brackets in ([], [(100, 20, 10), (100, 10, 20)], [(100, 20, 10), (200, 30, 20)], [(100, 20, 20), (200, 10, 10)], [(100, 0, 10)]):
        with pytest.raises(ValueError, match="brackets"):
            desk.x.set_brackets(desk.btc, brackets)
    with pytest.raises(ValueError, match="perpetual"):
        desk.x.set_mark(99, 100, 1)
    with pytest.raises(ValueError, match="mark price"):
        desk.x.set_mark(desk.btc, 1, 1)
    with pytest.raises(ValueError, match="account"):
        desk.x.positions(99)
