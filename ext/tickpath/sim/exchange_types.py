"""What the simulated venue's exchange takes and gives in Python: views, events, the arrays of run(), decimals into counts."""
from collections import namedtuple
from decimal import Decimal
from fractions import Fraction

import numpy as np

SimEvent = namedtuple("SimEvent", (
    "seq ts_ns kind account instrument order_id ref side status price_ticks qty_lots cum_lots cum_quote_units fee_units "
    "fee_asset trade_id is_maker counter_order_id reason value pnl_units position_side"))
SimOrderView = namedtuple("SimOrderView", (
    "order_id ref account instrument side order_type tif status price_ticks stop_ticks qty_lots leaves_lots cum_lots "
    "cum_quote_units iceberg_lots is_working created_ns updated_ns working_ns stp position_side reduce_only close_position "
    "working_mark post_only trailing_bips activation_ticks expire_ns"))
InstrumentFacts = namedtuple("InstrumentFacts", "name number kind base quote tick_size lot_size")

# As SimAction, SimResult and SimEvent of core.pxd; exchange_base.pyx compares the sizes.
ACTION_DTYPE = np.dtype([
    ("now_ns", "<i8"), ("price_ticks", "<i8"), ("qty_lots", "<i8"), ("order_id", "<u8"), ("ref", "<i8"), ("account", "<u4"),
    ("target", "<i4"), ("instrument", "<u2"), ("kind", "u1"), ("side", "u1"), ("order_type", "u1"), ("time_in_force", "u1"),
    ("stp", "u1"), ("flags", "u1"), ("position_side", "u1"), ("unused", "u1", 3), ("trailing_bips", "<i4"),
    ("quote_units", "<i8"), ("stop_ticks", "<i8"), ("activation_ticks", "<i8"), ("iceberg_lots", "<i8"), ("expire_ns", "<i8")],
    align=True)
RESULT_DTYPE = np.dtype([("order_id", "<u8"), ("cum_lots", "<i8"), ("cum_quote_units", "<i8"), ("reason", "u1"),
                         ("status", "u1"), ("unused", "u1", 6)], align=True)
EVENT_DTYPE = np.dtype([
    ("seq", "<u8"), ("ts_ns", "<i8"), ("order_id", "<u8"), ("ref", "<i8"), ("price_ticks", "<i8"), ("qty_lots", "<i8"),
    ("cum_lots", "<i8"), ("cum_quote_units", "<i8"), ("fee_units", "<i8"), ("trade_id", "<u8"), ("counter_order_id", "<u8"),
    ("value", "<i8"), ("pnl_units", "<i8"), ("account", "<u4"), ("instrument", "<u2"), ("fee_asset", "<u2"), ("kind", "u1"),
    ("side", "u1"), ("status", "u1"), ("is_maker", "u1"), ("reason", "u1"), ("position_side", "u1"), ("unused", "u1", 10)],
    align=True)


def decimal_of(value, name):
    """A finite Decimal out of text, an int or a Decimal."""
    try:
        number = Decimal(value) if not isinstance(value, float) else Decimal(repr(value))
    except (ArithmeticError, TypeError, ValueError):
        raise ValueError(f"{name}: expected a decimal number, found {value!r}") from None
    if not number.is_finite():
        raise ValueError(f"{name}: expected a finite number, found {value!r}")
    return number


def count_of(value, step, name):
    """How many steps a decimal is; 0 for None."""
    if value is None:
        return 0
    number = Fraction(decimal_of(value, name)) / Fraction(step)
    if number.denominator != 1:
        raise ValueError(f"{name}: expected a multiple of {step}, found {value}")
    return int(number)


def scaled(value, places, name):
    """value x 10^places as an int, rounded down; 0 for None."""
    if value is None:
        return 0
    return int(decimal_of(value, name).scaleb(places))
