"""Prices of recorded events are in the ticks of their time."""
from engine_harness import MS, Market
from tickpath.shm.ring import EventReader
from tickpath.shm.state_page import StatePage
from tickpathd.grid_history import GridHistory
from tickpathd.tap import event_dicts


def texts(m, kind, at=None):
    """What a reader from the ring's beginning shows of events of a kind, with the state page as it was at `at` (a view) or is."""
    history = GridHistory(*(at or view(m)))
    found = []
    for event in event_dicts(EventReader(m.writer.buffer, 1).read(1 << 16)):
        shown = history.texts(event)
        if event["type"] == kind:
            found.append(shown)
    return found


def view(m):
    m.engine.publish_state()
    return StatePage(m.engine.state_buffer).view()


def market(ticks):
    """Quotes of 99.99 to 100.01, one on each grid."""
    m = Market()
    m.quote()
    for tick in ticks:
        m.now_ms += 1
        m.session.grid_event(m.now_ms * MS, 0, tick, "0.001")
        m.quote()
    return m


def test_the_same_price_is_the_same_before_and_after_the_grid_changed():
    m = market(["0.001"])
    before, after = texts(m, "quote")
    assert (before["bid_price"], after["bid_price"]) == ("99.99", "99.990")
    assert before["bid_qty"] == after["bid_qty"] == "10.000"


def test_of_several_changes_none_is_shown_on_the_grid_of_another():
    m = market(["0.001", "0.0001", "0.01"])
    shown = texts(m, "quote")
    # The grid of the start is not known any more once there was more than one change: nothing, but never another price.
    assert shown[0] == {} and {s["bid_price"] for s in shown[1:]} == {"99.990", "99.9900", "99.99"}


def test_change_that_comes_while_one_reads_is_followed():
    m = market([])
    begun = view(m)
    m.now_ms += 1
    m.session.grid_event(m.now_ms * MS, 0, "0.001", "0.0001")
    m.quote()
    assert [s["bid_price"] for s in texts(m, "quote", begun)] == ["99.99", "99.990"]
    assert [s["bid_qty"] for s in texts(m, "quote", begun)] == ["10.000", "10.0000"]
