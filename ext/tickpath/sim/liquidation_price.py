"""The liquidation price that a venue shows beside a position. Cold, exact integers, no state: the engine never asks for it.

It is the mark price at which margin balance and maintenance margin meet while everything else stands still (Binance's formula of
USD-M contracts, seen 2026-11-22 at https://www.binance.com/en/support/faq/b3c689c1f50a44cabb3a84e663b81d93), solved bracket by
bracket, since rate and maintenance amount belong to the notional *at that price*.
"""
from fractions import Fraction


def liquidation_price_e8(legs, balance_units, brackets, unit_per_lot_e8):
    """
    Parameters
    ----------
    legs : [(qty_lots signed, cost_units signed)] of one instrument that share the balance: one, or long and short of a cross hedge.
    balance_units : wallet, plus unrealised profit and less maintenance margin of everything else that shares it.
    brackets : [(floor_units, cap_units, max_leverage, rate_e8, cum_units as Fraction)], floors rising.
    unit_per_lot_e8 : (numerator, denominator): units of the margin asset that a lot is worth at a price of 1e-8.

    Returns
    -------
    int : price in 1e-8 of the quote asset, rounded to the nearest (half up); 0 where no price above zero liquidates.
    """
    legs = [(lots, cost) for lots, cost in legs if lots]
    if not legs:
        return 0
    per_lot = Fraction(*unit_per_lot_e8)
    if len(legs) == 1:
        choices = [[bracket] for bracket in brackets]
    else:
        choices = [[first, second] for first in brackets for second in brackets]
    net = sum(lots for lots, _ in legs)
    found = []
    for choice in choices:
        # balance + sum(lots x p - cost) = sum(|lots| x p x rate - cum), linear in p while the brackets hold.
        slope = sum(Fraction(lots) - abs(lots) * Fraction(b[3], 10**8) for (lots, _), b in zip(legs, choice, strict=True)) * per_lot
        rest = balance_units - sum(cost for _, cost in legs) + sum(b[4] for b in choice)
        if slope == 0:
            continue
        price = -rest / slope
        if price <= 0:
            continue
        values = [abs(lots) * per_lot * price for lots, _ in legs]
        last = brackets[-1]
        if all(b[0] <= v and (v <= b[1] or b is last) for v, b in zip(values, choice, strict=True)):
            found.append(price)
    if not found:
        return 0
    # A net long is liquidated by the first such price from above, a net short by the first from below.
    price = max(found) if net > 0 else min(found)
    return int(price + Fraction(1, 2))
