import numpy as np
import pytest

from tickpath.signals import indicators


def test_imbalance_is_signed_share_of_displayed_quantity():
    assert indicators.imbalance([3, 0, 5, 0], [1, 4, 5, 0]).tolist() == [0.5, -1.0, 0.0, 0.0]


def test_arrays_of_different_length_are_refused():
    with pytest.raises(ValueError, match="one length"):
        indicators.imbalance(np.array([1, 2]), np.array([1]))
