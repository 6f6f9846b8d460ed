"""Positions against exact fractions: nothing is lost to rounding."""
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from example_counts import examples
from tickpath.trading.positions import PositionLedger

FILLS = st.lists(st.tuples(st.sampled_from([1, 2]), st.integers(1, 10 ** 12), st.integers(1, 10 ** 6), st.integers(0, 10 ** 9)),
                 max_size=60)


@settings(max_examples=examples(500))
@given(FILLS, st.integers(1, 10 ** 12))
def test_realised_plus_unrealised_is_cash_plus_mark_exactly(fills, mark):
    ledger = PositionLedger()
    cash = position = fees = 0
    for side, price, qty, fee in fills:
        ledger.apply_fill(side, price, qty, fee)
        sign = 1 if side == 1 else -1
        cash -= sign * price * qty
        position += sign * qty
        fees += fee
        assert ledger.position_lots == position and ledger.fees_e8 == fees
        if position == 0:
            assert ledger.open_cost_ticklots == 0
        else:
            assert (ledger.open_cost_ticklots > 0) == (position > 0)
    assert ledger.realised_ticklots + ledger.unrealised_ticklots(mark) == cash + position * mark


@settings(max_examples=examples(300))
@given(FILLS)
def test_realised_follows_average_cost_within_half_a_unit_a_close(fills):
    ledger = PositionLedger()
    position, cost, realised, closes = 0, Fraction(0), Fraction(0), 0
    for side, price, qty, _ in fills:
        ledger.apply_fill(side, price, qty)
        signed = qty if side == 1 else -qty
        if position == 0 or (position > 0) == (signed > 0):
            cost += signed * price
            position += signed
            continue
        closed = min(qty, abs(position))
        share = cost * closed / abs(position)
        realised += (closed if position > 0 else -closed) * price - share
        closes += 1
        cost -= share
        position += closed if position < 0 else -closed
        if qty > closed:
            position = (qty - closed) if side == 1 else -(qty - closed)
            cost = Fraction(position * price)
    assert ledger.position_lots == position
    assert abs(ledger.realised_ticklots - realised) <= closes + 1


def test_flip_through_zero_opens_at_the_fill_price():
    ledger = PositionLedger()
    ledger.apply_fill(1, 100, 10)
    ledger.apply_fill(2, 110, 25)
    assert (ledger.position_lots, ledger.realised_ticklots, ledger.open_cost_ticklots) == (-15, 100, -1650)


def test_a_hundred_thousand_fills_drift_by_exactly_nothing():
    ledger = PositionLedger()
    cash = position = 0
    state = 12345
    for _ in range(100_000):
        state = (state * 6364136223846793005 + 1442695040888963407) & (2 ** 64 - 1)
        side, price, qty = 1 + (state >> 63), 6_000_000 + (state >> 40) % 5000, 1 + (state >> 20) % 99_999
        ledger.apply_fill(side, price, qty)
        cash -= (1 if side == 1 else -1) * price * qty
        position += qty if side == 1 else -qty
    assert ledger.realised_ticklots + ledger.unrealised_ticklots(6_000_000) == cash + position * 6_000_000
