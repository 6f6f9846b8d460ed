"""The gateway's budget: what it spends in any window of the venue's stays below its share of the cap."""
import random

from tickpathd.gateway import WEIGHT_SHARE, Budget


def test_no_window_of_the_venue_holds_more_than_the_share_whatever_is_asked_when():
    rng = random.Random(1)
    for weight_per_min, window_s in ((6000, 60.0), (1200, 2.0), (2400, 60.0)):
        budget, spent, now_s = Budget(weight_per_min, window_s), [], 1000.0
        for _ in range(4000):
            now_s += rng.choice((0.0, 0.001, 0.05, window_s / 40))
            weight = rng.choice((1, 5, 20))
            if budget.wait_s(weight, now_s) == 0:
                spent.append((now_s, weight))
        cap = weight_per_min * window_s / 60
        for at, _ in spent[::50]:
            assert sum(w for t, w in spent if at <= t < at + window_s) <= cap * WEIGHT_SHARE


def test_fifty_snapshots_go_at_once_and_the_next_fifty_wait_for_their_window():
    budget = Budget(6000)
    assert [budget.wait_s(50, 0.0) for _ in range(108)] == [0.0] * 108
    assert budget.wait_s(50, 1.0) == 59.0 and budget.wait_s(50, 60.0) == 0.0


def test_silence_that_the_venue_asks_for_is_kept():
    budget = Budget(6000)
    budget.block(1000.0)
    assert budget.wait_s(1, 0.0) > 900
