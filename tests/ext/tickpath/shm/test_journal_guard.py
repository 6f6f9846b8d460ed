"""What the journal's state allows: lag, silence, failure, being lapped; which of them latch; and that it is journaled."""
import time

import pytest

from engine_harness import Market
from tickpath.shm.words import store_word
from tickpath.types import CommandKind, EventType, Reason, TradingState

RING = 1 << 16
WRITTEN, SYNCED, STATE, HEARTBEAT = 128, 192, 256, 320
RUNNING, FAILED = 1, 3
NORMAL, REDUCE_ONLY, CANCEL_ONLY = TradingState.TRADING_NORMAL, TradingState.TRADING_REDUCE_ONLY, TradingState.TRADING_CANCEL_ONLY


class Watched(Market):
    """A market with a journal's page in private memory that the test writes."""

    def __init__(self, by_lag=True, timeout_ms=300, **more):
        super().__init__(**more)
        self.page = bytearray(4096)
        self.journal(lag=0)
        self.session.watch_journal(self.page, by_lag=by_lag, timeout_ns=timeout_ms * 1_000_000)

    def journal(self, lag=0, state=RUNNING, alive=True, synced=None):
        self.written = max(self.writer.next_seq - 1 - lag, 0)
        store_word(self.page, WRITTEN, self.written)
        store_word(self.page, SYNCED, self.written if synced is None else synced)
        if alive:
            store_word(self.page, HEARTBEAT, time.monotonic_ns())
        store_word(self.page, STATE, state)

    def fall_behind(self, slots):
        """Let the ring run ahead of the journal by at least this many slots."""
        self.journal()
        target = self.writer.next_seq + slots
        while self.writer.next_seq < target:
            self.trade("100.00", "0.001")
        store_word(self.page, HEARTBEAT, time.monotonic_ns())

    def allowed(self):
        store_word(self.page, HEARTBEAT, time.monotonic_ns())
        self.turn()
        return TradingState(self.totals()["trading_state"])

    def last_guard(self):
        found = self.records(EventType.EV_COMMAND)
        row = found[found["kind"] == CommandKind.COMMAND_GUARD][-1]
        return TradingState(int(row["value"])), Reason(int(row["detail"]))


@pytest.mark.parametrize(("lag", "state"), [(RING // 4 - 2000, NORMAL), (RING // 4 + 50, REDUCE_ONLY), (RING // 2 + 50, CANCEL_ONLY)])
def test_lag_restricts_trading_and_catching_up_lifts_it(lag, state):
    m = Watched()
    m.fall_behind(lag)
    assert m.allowed() == state
    if state != NORMAL:
        assert m.last_guard() == (state, Reason.REASON_JOURNAL_BEHIND)
        m.journal(lag=RING // 6)
        assert m.allowed() == state                    # no flapping on the way down
    m.journal(lag=0)
    assert m.allowed() == NORMAL


def test_what_the_guard_forbids_is_refused_and_cancels_go_on():
    m = Watched()
    ordinal = m.submit()
    m.quote(ms=20)
    m.fall_behind(RING // 2 + 50)
    assert m.allowed() == CANCEL_ONLY
    assert m.refusal(m.submit()) == Reason.REASON_STATE_FORBIDS
    m.cancel(ordinal)
    m.quote(ms=20)
    assert len(m.records(EventType.EV_CANCEL)) == 1


def test_silence_is_cancel_only_until_it_speaks_again():
    m = Watched(timeout_ms=50)
    assert m.allowed() == NORMAL
    time.sleep(0.12)
    m.turn()
    assert TradingState(m.totals()["trading_state"]) == CANCEL_ONLY
    assert m.last_guard()[1] == Reason.REASON_JOURNAL_SILENT
    m.journal()
    assert m.allowed() == NORMAL


def test_a_failed_disk_latches_whatever_the_journal_says_later():
    m = Watched()
    m.journal(state=FAILED)
    assert m.allowed() == CANCEL_ONLY and m.last_guard()[1] == Reason.REASON_JOURNAL_FAILED
    m.journal(state=RUNNING)
    assert m.allowed() == CANCEL_ONLY
    m.session.watch_journal(m.page, by_lag=True, timeout_ns=10 ** 9)       # a journal that was started again
    assert m.allowed() == CANCEL_ONLY


def test_a_lapped_journal_latches():
    m = Watched()
    m.fall_behind(RING + 10)
    assert m.allowed() == CANCEL_ONLY and m.last_guard()[1] == Reason.REASON_JOURNAL_LAPPED
    m.journal(lag=0)
    assert m.allowed() == CANCEL_ONLY


def test_the_operators_state_and_the_guards_do_not_lift_each_other():
    m = Watched()
    m.session.command(CommandKind.COMMAND_SET_STATE, 0, CANCEL_ONLY)
    m.fall_behind(RING // 4 + 50)
    assert m.allowed() == CANCEL_ONLY
    m.journal(lag=0)
    assert m.allowed() == CANCEL_ONLY                  # the operator's own
    m.fall_behind(RING // 4 + 50)
    m.session.command(CommandKind.COMMAND_SET_STATE, 0, NORMAL)
    assert m.allowed() == REDUCE_ONLY                  # the guard's own
    m.journal(lag=0)
    assert m.allowed() == NORMAL


def test_where_the_data_can_wait_lag_stops_the_frames_and_not_trading():
    m = Watched(by_lag=False)
    m.fall_behind(RING // 4 + 50)
    m.feed.try_write(b'{"e":"trade","E":1,"s":"TESTUSDT","t":1,"p":"100.00","q":"1.000","T":1,"m":true,"M":true}', m.now_ms * 10 ** 6)
    assert m.allowed() == NORMAL and m.lane.backlog_bytes > 0
    m.journal(lag=0)
    assert m.turn() == 1 and m.lane.backlog_bytes == 0


def test_a_healthy_journal_gives_no_record():
    m = Watched()
    for _ in range(100):
        m.journal()
        m.turn()
    assert len(m.records(EventType.EV_COMMAND)) == 0
