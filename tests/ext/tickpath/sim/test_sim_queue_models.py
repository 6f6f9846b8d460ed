"""Places in a queue, one model at a time, and against each other (docs/simulation.md)."""
import math
import random

import pytest

from tickpath.sim.queue_models import NAMES, Place, part_ahead

MS = 1_000_000
ONCE = [name for name in NAMES if name not in ("pessimistic", "l3")]


def place(model, ahead=100, **more):
    return Place(model, ahead, **more)


@pytest.mark.parametrize("model", NAMES)
def test_a_print_takes_from_the_front_and_only_what_is_left_of_it_reaches_us(model):
    p = place(model)
    assert p.printed(60) == 0 and p.printed(50) == 10 and p.printed(7) == 7


def test_pessimistic_takes_cancels_from_behind_as_far_as_they_go():
    p = place("pessimistic")
    assert [p.shown(q) for q in (300, 150, 90, 200)] == [100, 100, 90, 90]


def test_optimistic_takes_cancels_from_ahead_as_far_as_they_go():
    p = place("optimistic")
    assert [p.shown(q) for q in (300, 250, 170, 400)] == [100, 50, 0, 0]


def test_proportional_shares_a_decrease_by_what_stands_on_either_side():
    p = place("proportional")
    assert p.shown(400) == 100                            # 300 came in behind us
    assert p.shown(200) == 50                             # half of everybody went
    assert p.shown(100) == 25


def test_shares_below_a_lot_add_up():
    p = place("proportional", 10)
    p.shown(1000)
    for shown in range(999, 899, -1):
        p.shown(shown)
    assert p.ahead_lots == 9                              # 10 x 0.9, never more than half a lot off


@pytest.mark.parametrize(("model", "power", "expected"), [
    ("proportional", 1, 0.25), ("power", 1, 0.25), ("power", 2, 0.1), ("power", 3, 1 / 28), ("power", 0.5, 1 / (1 + 3 ** 0.5)),
    ("log", 1, math.log(101) / (math.log(101) + math.log(301)))])
def test_the_share_is_the_published_one(model, power, expected):
    assert part_ahead(model, 100, 300, power) == pytest.approx(expected, rel=1e-13)
    assert part_ahead(model, 300, 100, power) == pytest.approx(1 - expected, rel=1e-13)


@pytest.mark.parametrize("model", ["proportional", "power", "log"])
def test_who_stands_alone_on_a_side_bears_it_all(model):
    assert part_ahead(model, 5, 0) == 1 and part_ahead(model, 0, 5) == 0
    assert 0 <= part_ahead(model, 1, 2 ** 62, 100) <= 1e-3 or model == "log"


@pytest.mark.parametrize("seed", range(3))
def test_shares_agree_with_the_c_library_over_all_sizes(seed):
    r = random.Random(seed)
    for _ in range(500):
        a, b = (max(1, int(2 ** r.uniform(0, 60))) for _ in range(2))
        n = r.choice((0.5, 1, 2, 3, 5.5))
        assert part_ahead("power", a, b, n) == pytest.approx(1 / (1 + (b / a) ** n), rel=1e-12)
        assert part_ahead("log", a, b) == pytest.approx(math.log1p(a) / (math.log1p(a) + math.log1p(b)), rel=1e-13)


@pytest.mark.parametrize("model", ONCE)
def test_a_trade_that_its_print_tells_first_is_counted_once(model):
    p = place(model)
    p.shown(400)
    p.printed(40)
    assert p.shown(360) == 60                             # the display shows the trade now: nobody has cancelled


@pytest.mark.parametrize("model", ONCE)
def test_a_trade_that_the_display_tells_first_is_counted_once(model):
    p = place(model)
    p.shown(400)
    p.shown(360, 1000 * MS)
    p.printed(40, 1001 * MS)
    assert p.ahead_lots == 60


@pytest.mark.parametrize("model", ONCE)
def test_a_print_long_after_a_decrease_is_another_trade(model):
    p = place(model)
    p.shown(400)
    ahead = p.shown(360, 1000 * MS)
    p.printed(40, 1100 * MS)
    assert p.ahead_lots == ahead - min(40, ahead)


@pytest.mark.parametrize("model", ONCE)
def test_a_print_larger_than_the_decrease_before_it_takes_the_rest_from_the_front(model):
    p = place(model)
    p.shown(360, 1000 * MS)
    p = place(model)
    p.shown(70, 1000 * MS)
    assert p.printed(130, 1001 * MS) == 30                # 100 stood ahead, however the 30 were shared at first


def test_pessimistic_takes_each_message_at_its_word():
    p = place("pessimistic")
    assert p.shown(60) == 60
    p.printed(40)
    assert p.ahead_lots == 20


def test_l3_moves_by_departures_alone_and_a_print_is_no_second_one():
    p = place("l3", 100)
    assert p.printed(40) == 0 and p.ahead_lots == 100
    assert p.left(40) == 60                               # the trade, now told order by order
    assert p.left(10, may_be_traded=False) == 50
    assert p.printed(60) == 10                            # 50 of it are due to leave, 10 have reached us
    assert p.left(50) == 0
    assert p.printed(5) == 5


def test_l3_departure_told_before_its_print_is_the_same_trade():
    p = place("l3", 100)
    p.left(100, 1000 * MS)
    assert p.printed(100, 1001 * MS) == 0 and p.printed(3, 1001 * MS) == 3
    p = place("l3", 100)
    p.left(100, 1000 * MS, may_be_traded=False)           # cancelled: so the print is for those behind
    assert p.printed(100, 1001 * MS) == 100


@pytest.mark.parametrize("seed", range(40))
def test_places_are_ordered_whatever_happens(seed):
    """proportional, power and log lie between what optimistic and a pessimistic that counts once would say."""
    r = random.Random(seed)
    start = r.randrange(1, 1000)
    places = {m: Place(m, start, power=2) for m in ("proportional", "power", "log", "optimistic")}
    shown, now, got = start, 0, dict.fromkeys(places, 0)
    for _ in range(200):
        now += r.choice((1, 5, 50)) * MS
        lots = r.randrange(1, 200)
        kind = r.choice(("add", "cancel", "print first", "display first"))
        if kind == "print first" or kind == "display first":
            lots = min(lots, shown)
        before = {m: p.ahead_lots for m, p in places.items()}
        for m, p in places.items():
            if kind == "add":
                p.shown(shown + lots, now)
            elif kind == "cancel":
                p.shown(max(shown - lots, 0), now)
            elif lots and kind == "print first":
                got[m] += p.printed(lots, now)
                p.shown(shown - lots, now + MS)
            elif lots:
                p.shown(shown - lots, now)
                got[m] += p.printed(lots, now + MS)
            assert 0 <= p.ahead_lots <= before[m]
        shown += lots if kind == "add" else -min(lots, shown)
        for m, p in places.items():
            assert p.ahead_lots <= shown
            assert places["optimistic"].ahead_lots <= p.ahead_lots and got["optimistic"] >= got[m]


@pytest.mark.parametrize(("call", "message"), [
    (lambda: Place("fifo", 1), "expected one of"), (lambda: part_ahead("pessimistic", 1, 1), "expected proportional"),
    (lambda: part_ahead("log", 0, 0), "not both 0"), (lambda: part_ahead("log", -1, 1), "at least 0")])
def test_what_is_no_model_or_quantity_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
