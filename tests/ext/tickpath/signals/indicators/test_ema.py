import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickpath.signals import indicators


def reference(x, period):
    out, value = [], None
    for i, v in enumerate(x):
        value = v if value is None else value + 2 / (period + 1) * (v - value)
        out.append(value if i + 1 >= period else math.nan)
    return out


@given(st.lists(st.floats(-1e9, 1e9), max_size=60), st.integers(1, 20))
def test_batch_streaming_and_reference_agree_bit_for_bit(x, period):
    batch = indicators.ema(np.array(x), period)
    stream = indicators.EMA(period)
    streamed = [stream.update(v) for v in x]
    np.testing.assert_array_equal(batch, streamed)
    np.testing.assert_allclose(batch, reference(x, period), rtol=1e-12, atol=1e-6)


def test_first_value_comes_after_warmup_updates():
    e = indicators.EMA(3)
    assert e.warmup() == 3
    assert math.isnan(e.update(1.0)) and math.isnan(e.update(2.0)) and not math.isnan(e.update(3.0))


def test_period_below_one_is_refused():
    for make in (lambda: indicators.EMA(0), lambda: indicators.ema([1.0], 0)):
        with pytest.raises(ValueError, match="period: expected at least 1, found 0"):
            make()
