"""The order state machine admits only legal moves and keeps its sums, whatever a venue sends."""
from hypothesis import given, settings
from hypothesis import strategies as st

from example_counts import examples
from tickpath.trading import orders
from tickpath.trading.orders import OrderBench, ReportResult
from tickpath.types import ExecType, OrderState

S = OrderState
TERMINAL = {S.ORDER_FILLED, S.ORDER_CANCELED, S.ORDER_REJECTED, S.ORDER_EXPIRED}
OPEN = {S.ORDER_PENDING_NEW, S.ORDER_NEW, S.ORDER_PARTIALLY_FILLED, S.ORDER_PENDING_CANCEL, S.ORDER_UNKNOWN}
# Written out by hand from FIX 4.4 appendix D and docs/design.md; not read from the code under test.
LEGAL = {
    S.ORDER_PENDING_NEW: {S.ORDER_NEW, S.ORDER_PARTIALLY_FILLED, S.ORDER_FILLED, S.ORDER_PENDING_CANCEL, S.ORDER_CANCELED,
                          S.ORDER_REJECTED, S.ORDER_EXPIRED, S.ORDER_UNKNOWN},
    S.ORDER_NEW: {S.ORDER_PARTIALLY_FILLED, S.ORDER_FILLED, S.ORDER_PENDING_CANCEL, S.ORDER_CANCELED, S.ORDER_EXPIRED,
                  S.ORDER_UNKNOWN},
    S.ORDER_PARTIALLY_FILLED: {S.ORDER_PARTIALLY_FILLED, S.ORDER_FILLED, S.ORDER_PENDING_CANCEL, S.ORDER_CANCELED,
                               S.ORDER_EXPIRED, S.ORDER_UNKNOWN},
    S.ORDER_PENDING_CANCEL: {S.ORDER_NEW, S.ORDER_PARTIALLY_FILLED, S.ORDER_PENDING_CANCEL, S.ORDER_FILLED,
                             S.ORDER_CANCELED, S.ORDER_REJECTED, S.ORDER_EXPIRED, S.ORDER_UNKNOWN},
    S.ORDER_UNKNOWN: {S.ORDER_NEW, S.ORDER_PARTIALLY_FILLED, S.ORDER_FILLED, S.ORDER_PENDING_CANCEL, S.ORDER_CANCELED,
                      S.ORDER_REJECTED, S.ORDER_EXPIRED},
}


def test_table_of_moves_is_the_documented_one():
    assert orders.legal_moves() == {(int(a), int(b)) for a, targets in LEGAL.items() for b in targets}


STEP = st.one_of(
    st.tuples(st.just("report"), st.sampled_from([int(e) for e in ExecType]), st.integers(-1, 12), st.integers(-1, 40)),
    st.tuples(st.just("fill"), st.integers(1, 12)),
    st.tuples(st.just("move"), st.sampled_from([int(S.ORDER_PENDING_CANCEL), int(S.ORDER_UNKNOWN)])))


@settings(max_examples=examples(1000))
@given(st.integers(1, 30), st.sampled_from([1, 2]), st.lists(STEP, max_size=25))
def test_no_sequence_of_reports_makes_an_illegal_move_or_overfills(qty, side, steps):
    order = OrderBench(qty, side)
    cum = 0
    for step in steps:
        before = order.state
        if step[0] == "move":
            order.move(step[1])
            result = None
        elif step[0] == "fill":
            result, _, cum, _ = order.report(ExecType.EXEC_TRADE, step[1], cum + step[1])
        else:
            result, _, cum, _ = order.report(step[1], step[2], step[3])
        after = order.state
        if after != before:
            assert S(after) in LEGAL[S(before)]
        if result in (ReportResult.REPORT_ILLEGAL, ReportResult.REPORT_DUPLICATE):
            assert after == before
        if S(before) in TERMINAL:
            assert after == before
        assert 0 <= cum <= qty
        open_count, buy, sell = order.exposure
        leaves = qty - cum if S(after) in OPEN else 0
        assert (open_count, buy, sell) == (int(S(after) in OPEN), leaves if side == 1 else 0, leaves if side == 2 else 0)
        if S(after) == S.ORDER_FILLED:
            assert cum == qty


def test_cancel_that_crosses_a_fill_ends_filled():
    order = OrderBench(10)
    order.report(ExecType.EXEC_NEW)
    assert order.move(S.ORDER_PENDING_CANCEL)
    assert order.report(ExecType.EXEC_TRADE, 10, 10)[:2] == (ReportResult.REPORT_FILL, S.ORDER_FILLED)
    assert order.report(ExecType.EXEC_CANCELED)[0] == ReportResult.REPORT_ILLEGAL


def test_fill_before_the_ack_is_applied_and_the_ack_changes_nothing():
    order = OrderBench(10)
    assert order.report(ExecType.EXEC_TRADE, 4, 4)[1] == S.ORDER_PARTIALLY_FILLED
    assert order.report(ExecType.EXEC_NEW)[0] == ReportResult.REPORT_DUPLICATE
    assert order.state == S.ORDER_PARTIALLY_FILLED


def test_same_fill_twice_is_applied_once():
    order = OrderBench(10)
    order.report(ExecType.EXEC_TRADE, 4, 4)
    assert order.report(ExecType.EXEC_TRADE, 4, 4) == (ReportResult.REPORT_DUPLICATE, S.ORDER_PARTIALLY_FILLED, 4, 6)


def test_rejected_cancel_returns_the_order_to_what_it_was():
    order = OrderBench(10)
    order.report(ExecType.EXEC_NEW)
    order.move(S.ORDER_PENDING_CANCEL)
    assert order.report(ExecType.EXEC_CANCEL_REJECTED)[1] == S.ORDER_NEW


def test_client_order_ids_are_18_characters_and_unique_by_epoch_and_ordinal():
    ids = {orders.client_order_id("demo", e, o) for e in (0, 1, 217_000_000) for o in (1, 2, 31, 32, 4096, 2 ** 30 - 1)}
    assert len(ids) == 18
    assert all(len(i) == 18 and i.startswith("tp") and set(i) <= set("0123456789abcdefghijklmnopqrstuvwxyz") for i in ids)


@given(st.integers(0, 2 ** 34), st.integers(0, 3_000_000_000), st.integers(0, 2 ** 34))
def test_epoch_never_repeats_whatever_clock_or_store_say(stored, now_s, venue):
    epoch = orders.next_epoch(stored, now_s, venue)
    assert epoch > stored and epoch > venue
