"""Liquidation prices against the venue's own worked example and against the slow model's maintenance margin.

The example is that of https://www.binance.com/en/support/faq/b3c689c1f50a44cabb3a84e663b81d93 (seen 2026-11-22): a wallet of
1,535,443.01 USDT, long 3,683.979 ETHUSDT from 1,456.84 (mark 1,335.18) and long 109.488 BTCUSDT from 32,481.98 (mark 31,967.27).
"""
from decimal import Decimal

import pytest
from margin_reference import Contract

from tickpath.sim.liquidation_price import liquidation_price_e8

UNITS = 10**8
WALLET = Decimal("1535443.01")
ETH = dict(qty=Decimal("3683.979"), entry=Decimal("1456.84"), mark=Decimal("1335.18"), rate=Decimal("0.10"), cum=Decimal("135365"))
BTC = dict(qty=Decimal("109.488"), entry=Decimal("32481.98"), mark=Decimal("31967.27"), rate=Decimal("0.025"), cum=Decimal("16300"))
LOT = Decimal("0.001")
PER_LOT_E8 = (1, 1000)                    # a lot of 0.001 at a price of 1e-8 is 1/1000 of a unit of 1e-8


def units(amount):
    return int(amount * UNITS)


def price_of(position, balance, side=1):
    bracket = (0, 10**30, int(position["rate"] * 10**8), units(position["cum"]) * 10**8)
    lots = int(position["qty"] / LOT) * side
    return liquidation_price_e8([(lots, units(position["qty"] * position["entry"]) * side)], balance, [bracket], *PER_LOT_E8)


def shared_balance(other):
    profit = other["qty"] * (other["mark"] - other["entry"])
    maintenance = other["qty"] * other["mark"] * other["rate"] - other["cum"]
    return units(WALLET + profit - maintenance)


@pytest.mark.parametrize("position, other, expected", [(ETH, BTC, "1153.26"), (BTC, ETH, "26316.89")])
def test_a_cross_position_is_liquidated_at_the_venues_own_price(position, other, expected):
    assert round(Decimal(price_of(position, shared_balance(other))) / UNITS, 2) == Decimal(expected)


@pytest.mark.parametrize("position, expected", [(ETH, "1114.78"), (BTC, "18778.73")])
def test_an_isolated_position_is_judged_by_its_own_wallet_alone(position, expected):
    assert round(Decimal(price_of(position, units(WALLET))) / UNITS, 2) == Decimal(expected)


def test_a_long_with_more_margin_than_it_cost_has_no_liquidation_price():
    assert price_of(ETH, units(ETH["qty"] * ETH["entry"] * 2)) == 0


BRACKETS = [(Decimal(50_000), 125, Decimal("0.004")), (Decimal(250_000), 100, Decimal("0.005")), (Decimal(1_000_000), 50, Decimal("0.01")),
            (Decimal(10_000_000), 20, Decimal("0.025"))]


def test_the_maintenance_amounts_are_the_published_ones():
    """The table of BTCUSDT of the same page: 0, 50, 1,300, 16,300."""
    contract = Contract(Decimal("0.1"), LOT, BRACKETS)
    assert [contract.cum(i) for i in range(4)] == [0, 50, 1300, 16300]


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("qty, margin", [("1", 400), ("4.9", 20_000), ("5.1", 3_000), ("19.7", 40_000), ("20.2", 9_000), ("99", 100_000),
                                         ("104", 60_000), ("300", 500_000)])
def test_balance_and_maintenance_meet_at_the_price_whatever_its_bracket(side, qty, margin):
    """Near the borders of the brackets the price lies in another bracket than the entry."""
    contract = Contract(Decimal("0.1"), LOT, BRACKETS)
    qty, entry = Decimal(qty), Decimal(50_000)
    floor, brackets = Decimal(0), []
    for index, (cap, _, rate) in enumerate(BRACKETS):
        brackets.append((units(floor), units(cap), int(rate * 10**8), units(contract.cum(index)) * 10**8))
        floor = cap
    lots = int(qty / LOT) * side
    price = liquidation_price_e8([(lots, units(qty * entry) * side)], units(Decimal(margin)), brackets, *PER_LOT_E8)
    at = Decimal(price) / UNITS
    balance = Decimal(margin) + side * qty * (at - entry)
    assert abs(balance - contract.maintenance((qty * at).quantize(Decimal("1E-8")))) < Decimal("0.00001")
    # On the entry's side of it the position is safe, beyond it is not.
    for step, safe in ((Decimal(1), True), (Decimal(-1), False)):
        p = at + side * step
        equity = Decimal(margin) + side * qty * (p - entry)
        assert (equity > contract.maintenance((qty * p).quantize(Decimal("1E-8")))) is safe


def test_long_and_short_of_a_cross_hedge_share_one_price():
    """Long 2 and short 1 from the same price: the net long decides, both legs' maintenance counts."""
    bracket = (0, 10**30, 400000, 0)
    cost = units(Decimal(2) * 50_000)
    price = liquidation_price_e8([(2000, cost), (-1000, -cost // 2)], units(Decimal(1000)), [bracket], *PER_LOT_E8)
    at = Decimal(price) / UNITS
    assert abs((1000 + (at - 50_000)) - 3 * at * Decimal("0.004")) < Decimal("0.00001")


def test_an_even_hedge_is_liquidated_from_above_only():
    """Its profit never changes; the maintenance margin grows with the price."""
    bracket = (0, 10**30, 400000, 0)
    cost = units(Decimal(50_000))
    price = liquidation_price_e8([(1000, cost), (-1000, -cost)], units(Decimal(1000)), [bracket], *PER_LOT_E8)
    assert Decimal(price) / UNITS == Decimal(125_000)
