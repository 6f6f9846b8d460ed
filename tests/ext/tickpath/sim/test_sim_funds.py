"""Spot money: what an order locks, what a trade moves, fees and their tiers, and that nothing is ever lost."""
import random
from decimal import Decimal

import pytest
from sim_desk import BUY, GTD, IOC, SELL, UNITS, Desk

from tickpath.sim.exchange import Exchange, SimEventKind, SimOrderType, SimReason, SimTif

DAY_NS = 86_400 * 10**9


def test_a_buy_order_locks_quote_at_its_limit_and_a_sell_order_base():
    desk = Desk()
    desk.order(BUY, 5, 100)
    desk.order(SELL, 3, 200)
    assert desk.money(0, "USDT") == (1_000_000 * UNITS - 500 * 10**5, 500 * 10**5)
    assert desk.money(0, "BTC") == (1_000_000 * UNITS - 3 * 10**5, 3 * 10**5)


def test_a_cancel_gives_the_lock_back():
    desk = Desk()
    for order in (desk.order(BUY, 5, 100), desk.order(SELL, 3, 200)):
        desk.cancel(order)
    assert desk.money(0, "USDT") == desk.money(0, "BTC") == (1_000_000 * UNITS, 0)


def test_a_better_price_than_the_limit_frees_the_difference():
    desk = Desk()
    desk.order(SELL, 5, 90, account=1)
    desk.order(BUY, 5, 100)
    assert desk.money(0, "USDT") == (1_000_000 * UNITS - 450 * 10**5, 0)
    assert desk.money(0, "BTC") == (1_000_000 * UNITS + 5 * 10**5, 0)


def test_money_that_is_locked_cannot_be_spent_again():
    desk = Desk(money=1)
    desk.order(BUY, 10, 100)                                          # 1 USDT
    assert desk.refused(BUY, 1, 1) == SimReason.INSUFFICIENT_BALANCE
    assert desk.x.withdraw(desk.accounts[0], "USDT", 1) == SimReason.INSUFFICIENT_BALANCE
    desk.order(SELL, 1_000, 200)                                      # 1 BTC
    assert desk.refused(SELL, 1, 200) == SimReason.INSUFFICIENT_BALANCE


def test_a_market_order_beyond_the_account_is_refused_by_what_it_would_cost():
    desk = Desk(money=1)
    desk.order(SELL, 5, 100, account=1)
    desk.order(SELL, 5, 110, account=1)
    assert desk.refused(BUY, 10) == SimReason.INSUFFICIENT_BALANCE     # 1.05 USDT
    assert desk.refused(SELL, 1_001) == SimReason.INSUFFICIENT_BALANCE
    desk.order(BUY, 9)
    assert desk.money(0, "USDT")[0] == UNITS - (500 + 440) * 10**5


def test_an_unchecked_account_may_owe():
    desk = Desk()
    maker = desk.x.add_account("0", "0", checked=False)
    assert desk.x.submit(maker, 0, SELL, SimOrderType.LIMIT, SimTif.GTC, 100, 5, now_ns=1)[1] == SimReason.OK
    desk.order(BUY, 5, 100)
    assert desk.x.balance(maker, "BTC") == (-5 * 10**5, 0) and desk.is_conserved()


def test_fees_are_taken_from_what_is_received_and_rounded_down():
    desk = Desk(maker_bps="10", taker_bps="7.5")
    maker = desk.order(SELL, 3, 111)
    taker = desk.order(BUY, 3, 111, account=1)
    quote, base = 333 * 10**5, 3 * 10**5
    (sold,), (bought,) = desk.of(maker, SimEventKind.TRADE), desk.of(taker, SimEventKind.TRADE)
    assert (sold.fee_units, desk.x.assets[sold.fee_asset]) == (quote * 10 // 10_000, "USDT")
    assert (bought.fee_units, desk.x.assets[bought.fee_asset]) == (base * 75 // 100_000, "BTC")
    assert desk.money(0, "USDT")[0] == 1_000_000 * UNITS + quote - sold.fee_units
    assert desk.money(1, "BTC")[0] == 1_000_000 * UNITS + base - bought.fee_units
    assert desk.x.balance(1, "USDT")[0] == sold.fee_units and desk.x.balance(1, "BTC")[0] == bought.fee_units
    assert desk.is_conserved()


def test_a_rebate_is_paid_out_of_the_fees():
    desk = Desk(maker_bps="-1", taker_bps="10")
    maker = desk.order(SELL, 3, 111)
    desk.order(BUY, 3, 111, account=1)
    assert desk.of(maker, SimEventKind.TRADE)[0].fee_units == -333 * 10**5 // 10_000 and desk.is_conserved()


def test_fees_in_a_third_asset_cost_less_and_are_converted_from_the_notional():
    desk = Desk(maker_bps="10", taker_bps="10")
    desk.x.set_fees(desk.accounts[1], "10", "10", "BNB", "0.25")
    desk.x.set_fee_asset_price("BNB", "USDT", Decimal("600"))
    desk.x.deposit(desk.accounts[1], "BNB", UNITS)
    desk.order(SELL, 500, 60_000)
    taker = desk.order(BUY, 500, 60_000, account=1)
    fee = desk.of(taker, SimEventKind.TRADE)[0]
    wanted = 30_000 * UNITS * 10 * 75 // 10_000 // 100 // 600         # 30,000 USDT x 0.1 % x 0.75 in BNB
    assert (fee.fee_units, desk.x.assets[fee.fee_asset]) == (wanted, "BNB")
    assert desk.money(1, "BNB")[0] == UNITS - wanted and desk.x.balance(1, "BNB")[0] == wanted
    assert desk.money(1, "BTC")[0] == 1_000_000 * UNITS + 500 * 10**5 and desk.is_conserved()


def test_without_enough_of_the_third_asset_the_fee_is_taken_from_what_is_received():
    desk = Desk(maker_bps="10", taker_bps="10")
    desk.x.set_fees(desk.accounts[1], "10", "10", "BNB", "0.25")
    desk.order(SELL, 500, 60_000)
    no_price = desk.order(BUY, 100, 60_000, account=1)
    desk.x.set_fee_asset_price("BNB", "USDT", "600")
    no_money = desk.order(BUY, 100, 60_000, account=1)
    for order in (no_price, no_money):
        fee = desk.of(order, SimEventKind.TRADE)[0]
        assert (fee.fee_units, desk.x.assets[fee.fee_asset]) == (100 * 10**5 // 1_000, "BTC")


def test_a_fee_asset_that_is_received_or_paid_anyway_needs_no_price():
    desk = Desk(maker_bps="10", taker_bps="10")
    desk.x.set_fees(desk.accounts[0], "10", "10", "BTC", "0.25")
    desk.x.set_fees(desk.accounts[1], "10", "10", "USDT", "0.5")
    desk.order(SELL, 500, 60_000, account=1)
    taker = desk.order(BUY, 500, 60_000)
    assert [(e.fee_units, desk.x.assets[e.fee_asset]) for e in desk.events if e.kind == SimEventKind.TRADE] == [
        (500 * 10**5 * 75 // 100_000, "BTC"), (30_000 * UNITS * 5 // 10_000, "USDT")]
    assert taker and desk.is_conserved()


def test_a_fee_tier_comes_with_the_volume_of_thirty_days_and_goes_with_it():
    desk = Desk(maker_bps="10", taker_bps="10")
    desk.x.set_fee_tiers("USDT", [(100, "9", "9"), (1_000, "5", "8")])

    def rates_after_trading_on(day):
        desk.now_ns = day * DAY_NS
        desk.order(SELL, 1_000, 60)
        desk.order(BUY, 1_000, 60, account=1)
        return [str(rate * 10_000) for rate in desk.x.fees(desk.accounts[1])]

    assert [Decimal(r) for r in rates_after_trading_on(100)] == [10, 10]        # 60 USDT so far
    assert [Decimal(r) for r in rates_after_trading_on(100)] == [10, 10]        # 120, but a day's tier is set in the morning
    assert [Decimal(r) for r in rates_after_trading_on(101)] == [9, 9]
    desk.x.add_volume(desk.accounts[1], 1_000 * UNITS, 101 * DAY_NS)
    assert [Decimal(r) for r in rates_after_trading_on(102)] == [5, 8]
    assert [Decimal(r) for r in rates_after_trading_on(200)] == [10, 10]
    assert desk.is_conserved()


def test_a_notional_that_is_no_whole_unit_is_rounded_down_for_both_and_every_lock_comes_back():
    rng = random.Random(9)
    x = Exchange()
    x.add_asset("BTC", decimals=3)
    x.add_asset("USDT", decimals=2)
    x.add_instrument("BTCUSDT", base="BTC", quote="USDT", tick_size="0.7", lot_size="0.003")     # 0.0021 a tick and lot
    accounts = [x.add_account("15", "33") for _ in range(3)]
    for account in accounts:
        x.deposit(account, "BTC", 10_000)
        x.deposit(account, "USDT", 50_000)
    live = []
    for n in range(5_000):
        account = rng.choice(accounts)
        if live and rng.random() < 0.3:
            owner, order = live.pop(rng.randrange(len(live)))
            x.cancel(owner, order, n) if rng.random() < 0.6 else x.amend(owner, order, rng.randint(1, 9), n)
        else:
            kind = rng.choice((2, 2, 2, 1))
            order, reason = x.submit(account, 0, rng.choice((BUY, SELL)), kind, rng.choice((1, 1, IOC, 4)), rng.randint(20, 40) * (kind == 2),
                                     rng.randint(1, 20), stp=rng.randint(0, 4), iceberg_lots=0, now_ns=n)
            if order:
                live.append((account, order))
    for event in x.drain():
        if event.kind == SimEventKind.TRADE:
            assert event.value == event.price_ticks * event.qty_lots * 21 // 100
    for account in accounts:
        x.cancel_all(account, None, 9_999)
    for asset in x.assets:
        balances = [x.balance(a, asset) for a in range(x.account_count)]
        assert sum(map(sum, balances)) == x.supply(asset) and all(locked == 0 for _, locked in balances)
        assert all(free >= 0 for free, _ in balances)


def test_locks_come_back_to_the_unit_after_every_kind_of_end():
    desk = Desk()
    desk.x.set_last_price(desk.btcusdt, 100)
    desk.order(BUY, 7, 90, iceberg_lots=2)
    desk.order(SELL, 5, 90, account=1)
    desk.order(SELL, 2, 95, kind=SimOrderType.STOP_LIMIT, stop_ticks=80)
    desk.order(SELL, 2, kind=SimOrderType.STOP_MARKET, stop_ticks=80)
    desk.order(BUY, 2, 70, tif=GTD, expire_ns=10_000)
    desk.order(SELL, 1, 90, stp=2)
    desk.order(BUY, 3, 91, account=2)
    desk.x.advance(20_000)
    for account in desk.accounts:
        desk.x.cancel_all(account, None, 30_000)
    assert all(desk.money(k, asset)[1] == 0 for k in range(3) for asset in ("USDT", "BTC")) and desk.is_conserved()


def test_deposits_and_withdrawals_are_told_and_bounded():
    desk = Desk()
    account = desk.accounts[0]
    assert desk.x.deposit(account, "BNB", 7) == desk.x.withdraw(account, "BNB", 2) == SimReason.OK
    assert [(e.kind, e.value, desk.x.assets[e.fee_asset]) for e in desk.x.drain()] == [
        (SimEventKind.BALANCE, 7, "BNB"), (SimEventKind.BALANCE, -2, "BNB")]
    assert desk.x.supply("BNB") == 5 and desk.x.deposit(account, "BNB", 2**60) == SimReason.OVERFLOW
    with pytest.raises(ValueError, match="units of 0 or more"):
        desk.x.deposit(account, "BNB", -1)
    with pytest.raises(KeyError, match="no account 77"):
        desk.x.deposit(77, "BNB", 1)
    with pytest.raises(KeyError):
        desk.x.balance(account, "DOGE")
