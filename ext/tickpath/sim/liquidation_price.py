"""The liquidation price that a venue shows beside a position. Cold, exact integers, no state: the engine never asks for it.

It is the mark price at which margin balance and maintenance margin meet while everything else stands still (Binance's formula of
USD-M contracts, seen 2026-11-22 at https://www.binance.com/en/support/faq/b3c689c1f50a44cabb3a84e663b81d93), solved bracket by
bracket, since rate and maintenance amount belong to the notional *at that price*.
"""
from itertools import product

E8 = 10**8


def liquidation_price_e8(legs, balance_units, brackets, value_multiplier, value_divisor):
    """
    Parameters
    ----------
    legs : [(qty_lots signed, cost_units signed)] of one instrument that share the balance: one, or both of a cross hedge.
    balance_units : wallet, plus unrealised profit and less maintenance margin of everything else that shares it.
    brackets : [(floor_units, cap_units, rate_e8, cum_e8)], floors rising; cum_e8 in units x 1e8.
    value_multiplier, value_divisor : a lot at a price of 1e-8 of the quote asset is worth multiplier / divisor units.

    Returns
    -------
    int : price in 1e-8 of the quote asset, rounded to the nearest (half up); 0 where no price above zero liquidates.
    """
    legs = [leg for leg in legs if leg[0]]
    if not legs:
        return 0
    equity_e8 = (balance_units - sum(cost for _, cost in legs)) * E8
    last = brackets[-1]
    found = []
    for choice in product(brackets, repeat=len(legs)):
        # balance + sum(lots x p - cost) = sum(|lots| x p x rate - cum), linear in p while the brackets hold: p = -rest / slope.
        slope = value_multiplier * sum(lots * E8 - abs(lots) * b[2] for (lots, _), b in zip(legs, choice, strict=True))
        rest = -(equity_e8 + sum(b[3] for b in choice)) * value_divisor
        if slope < 0:
            slope, rest = -slope, -rest
        if slope == 0 or rest <= 0:
            continue
        for (lots, _), b in zip(legs, choice, strict=True):
            value = abs(lots) * value_multiplier * rest
            unit = value_divisor * slope
            if value < b[0] * unit or (value > b[1] * unit and b is not last):
                break
        else:
            found.append((rest, slope))
            if len(legs) == 1:
                break                     # the difference of balance and need only rises, or only falls
    if not found:
        return 0
    # A net long is liquidated by the first such price from above, a net short by the first from below.
    first, *others = found
    net = sum(lots for lots, _ in legs)
    for rest, slope in others:
        if (rest * first[1] > first[0] * slope) == (net > 0):
            first = (rest, slope)
    rest, slope = first
    return (2 * rest + slope) // (2 * slope)
