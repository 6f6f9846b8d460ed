"""durability = disk: no order leaves before its intent is on the disk; cancels do not wait; nobody waits for ever."""
import time

import pytest

from engine_harness import PAPER, Market
from tickpath.shm.words import store_word
from tickpath.types import EventType, OrderState, Reason

SYNCED, STATE, HEARTBEAT, WRITTEN = 192, 256, 320, 128


class Durable(Market):
    """A market whose orders wait for a journal's page that the test writes."""

    def __init__(self, hold_ms=200, **options):
        self.page = bytearray(4096)
        super().__init__(session_options={"hold_ns": hold_ms * 1_000_000, **options})
        store_word(self.page, STATE, 1)
        self.session.watch_journal(self.page, by_lag=True, timeout_ns=60 * 10 ** 9)

    def synced(self, seq):
        for offset in (WRITTEN, SYNCED):
            store_word(self.page, offset, seq)
        store_word(self.page, HEARTBEAT, time.monotonic_ns())
        self.turn()

    def intent(self, ordinal):
        found = self.records(EventType.EV_INTENT)
        return found[found["order_ordinal"] == ordinal][0]


def acked(m, ordinal):
    """Let the simulated venue answer what it has."""
    m.quote(ms=(PAPER["order_latency_ns"] + PAPER["reply_latency_ns"]) // 10 ** 6 + 1)
    return OrderState.ORDER_NEW in m.states(ordinal)


def test_an_order_leaves_with_the_last_slot_of_its_intent_synced_and_not_before():
    m = Durable(hold_ms=60_000)
    m.synced(0)
    ordinal = m.submit()
    assert not acked(m, ordinal) and m.session.held_orders == 1
    last = int(m.intent(ordinal)["seq2"])
    m.synced(last - 1)
    assert not acked(m, ordinal) and m.session.held_orders == 1
    m.synced(last)
    assert m.session.held_orders == 0
    assert acked(m, ordinal)


def test_an_order_that_the_disk_does_not_take_in_time_is_never_sent():
    m = Durable(hold_ms=50)
    m.synced(0)
    ordinal = m.submit()
    time.sleep(0.08)
    m.turn()
    assert m.session.held_orders == 0
    assert m.updates(ordinal)[-1] == (OrderState.ORDER_EXPIRED, Reason.REASON_INTENT_NOT_DURABLE)
    m.synced(10 ** 9)
    assert not acked(m, ordinal) and m.session.sim_counters["resting"] == 0
    assert m.totals()["open_orders"] == 0


def test_the_cancel_of_an_order_that_waits_withdraws_it():
    m = Durable(hold_ms=60_000)
    m.synced(0)
    ordinal = m.submit()
    m.cancel(ordinal)
    m.turn()
    assert m.states(ordinal)[-1] == OrderState.ORDER_CANCELED
    m.synced(10 ** 9)
    assert not acked(m, ordinal) and m.session.sim_counters["resting"] == 0


def test_the_cancel_of_an_order_at_the_venue_does_not_wait_for_a_dead_disk():
    m = Durable(hold_ms=60_000)
    m.synced(0)
    ordinal = m.submit()
    m.synced(int(m.intent(ordinal)["seq2"]))
    assert acked(m, ordinal)
    store_word(m.page, STATE, 3)                       # the journal's disk has failed
    m.turn()
    m.cancel(ordinal)
    m.quote(ms=20)
    assert m.states(ordinal)[-1] == OrderState.ORDER_CANCELED


def test_orders_leave_in_the_order_of_their_intents():
    m = Durable(hold_ms=60_000)
    m.synced(0)
    ordinals = [m.submit(price_ticks=9900 + k) for k in range(20)]
    m.synced(int(m.intent(ordinals[9])["seq2"]))
    m.quote(ms=20)
    acked_now = [o for o in ordinals if OrderState.ORDER_NEW in m.states(o)]
    assert acked_now == ordinals[:10] and m.session.held_orders == 10
    m.synced(10 ** 9)
    m.quote(ms=20)
    reports = m.records(EventType.EV_EXEC_REPORT)
    assert reports["order_ordinal"].tolist() == ordinals


def test_data_that_can_wait_waits_for_the_order():
    m = Durable(hold_ms=60_000, data_waits=True)
    m.synced(0)
    ordinal = m.submit()
    m.feed.try_write(b'{"e":"trade","E":1,"s":"TESTUSDT","t":1,"p":"100.00","q":"1.000","T":1,"m":true,"M":true}',
                     (m.now_ms + 1) * 10 ** 6)
    assert m.turn() == 0
    m.synced(int(m.intent(ordinal)["seq2"]))
    assert m.lane.backlog_bytes == 0


@pytest.mark.parametrize("hold_ns", [0])
def test_without_durability_nothing_is_held(hold_ns):
    m = Market(session_options={"hold_ns": hold_ns})
    ordinal = m.submit()
    assert m.session.held_orders == 0 and acked(m, ordinal)
