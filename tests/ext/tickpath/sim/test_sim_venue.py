"""The simulated venue, one assumption at a time (docs/simulation.md)."""
import pytest

from engine_harness import Market
from tickpath.types import EventType, OrderState

S = OrderState


def test_an_order_is_acked_after_both_latencies():
    m = Market()
    ordinal = m.submit()
    sent_ms = m.now_ms
    m.quote(ms=6)
    assert m.states(ordinal) == []                         # 5 ms to the venue, 2 ms back
    m.quote(ms=1)
    assert m.states(ordinal) == [S.ORDER_NEW]
    (report,) = m.records(EventType.EV_EXEC_REPORT)
    assert report["ts_recv_ns"] == (sent_ms + 7) * 1_000_000 and report["ts_venue_ns"] == (sent_ms + 5) * 1_000_000


def test_a_taking_order_walks_the_book_best_price_first_and_rests_with_what_is_left():
    m = Market()
    # The quote shows 10.000 at 100.01; the book 11.000 at 100.02 and 12.000 at 100.03.
    ordinal = m.submit(qty_lots=25_000, price_ticks=10002)
    m.quote(ms=20)
    assert [f[2:4] for f in m.strategy.fills] == [(10001, 10_000), (10002, 11_000)]
    assert m.states(ordinal)[-1] == S.ORDER_PARTIALLY_FILLED
    assert all(not f[5] for f in m.strategy.fills)


def test_what_was_taken_is_not_there_twice_until_the_venue_shows_it_anew():
    m = Market()
    m.submit(qty_lots=10_000, price_ticks=10001, time_in_force="ioc")
    second = m.submit(qty_lots=5_000, price_ticks=10001, time_in_force="ioc")
    m.quote(ms=20)
    assert sum(f[3] for f in m.strategy.fills) == 10_000 and m.states(second)[-1] == S.ORDER_EXPIRED
    m.submit(qty_lots=5_000, price_ticks=10001, time_in_force="ioc")
    m.quote(ask_qty="9")                                    # shown anew before the order arrives
    m.quote(ask_qty="9", ms=20)
    assert sum(f[3] for f in m.strategy.fills) == 15_000


def test_a_resting_order_waits_behind_what_was_displayed_before_it():
    m = Market()
    ordinal = m.submit(qty_lots=1000, price_ticks=9999)     # 10.000 displayed there
    m.quote(ms=20)
    m.trade("99.99", "9.999", sell=True)
    m.quote(ms=20)
    assert m.strategy.fills == []
    m.trade("99.99", "0.501", sell=True)                    # 0.001 is left of the queue, 0.500 reaches us
    m.quote(ms=20)
    assert [(f[2], f[3], f[5]) for f in m.strategy.fills] == [(9999, 500, True)]
    m.trade("99.99", "3.000", sell=True)
    m.quote(ms=20)
    assert [f[3] for f in m.strategy.fills] == [500, 500] and m.states(ordinal)[-1] == S.ORDER_FILLED


def test_a_shrinking_display_shortens_the_queue_and_a_growing_one_does_not_lengthen_it():
    m = Market()
    m.submit(qty_lots=1000, price_ticks=9999)
    m.quote(ms=20)
    m.quote(bid_qty="2")
    m.quote(bid_qty="50")
    m.trade("99.99", "2.500", sell=True)
    m.quote(bid_qty="50", ms=20)
    assert [f[3] for f in m.strategy.fills] == [500]


def test_a_print_through_our_price_fills_us_at_our_price():
    m = Market()
    m.submit(qty_lots=1000, price_ticks=9999)
    m.quote(ms=20)
    m.trade("99.95", "7.000", sell=True)
    m.quote(ms=20)
    assert [(f[2], f[3]) for f in m.strategy.fills] == [(9999, 1000)]


def test_a_print_by_the_wrong_aggressor_or_behind_our_price_does_nothing():
    m = Market()
    m.submit(qty_lots=1000, price_ticks=9999)
    m.quote(ms=20)
    m.trade("99.99", "90.000", sell=False)
    m.trade("100.00", "90.000", sell=True)
    m.quote(ms=20)
    assert m.strategy.fills == []


def test_a_print_serves_our_better_price_first():
    m = Market()
    low = m.submit(qty_lots=1000, price_ticks=9990)
    high = m.submit(qty_lots=1000, price_ticks=9995)
    m.quote(ms=20)
    m.trade("99.80", "1.500", sell=True)
    m.quote(ms=20)
    assert [(f[0], f[3]) for f in m.strategy.fills] == [(high, 1000), (low, 500)]


def test_a_quote_through_our_price_trades_with_us_as_maker():
    m = Market()
    m.submit(qty_lots=1000, price_ticks=9999)
    m.quote(ms=20)
    m.quote(bid="99.97", ask="99.98", ask_qty="3")
    m.quote(bid="99.97", ask="99.98", ask_qty="3", ms=20)
    assert [(f[2], f[3], f[5]) for f in m.strategy.fills] == [(9999, 1000, True)]


def test_post_only_that_would_take_is_rejected_and_rests_otherwise():
    m = Market()
    taking = m.submit(price_ticks=10001, order_type="limit_maker")
    resting = m.submit(price_ticks=10000, order_type="limit_maker")
    m.quote(ms=20)
    assert m.states(taking) == [S.ORDER_REJECTED] and m.states(resting) == [S.ORDER_NEW]
    assert [int(r["venue_code"]) for r in m.records(EventType.EV_EXEC_REPORT)] == [-2010, 0]


def test_fill_or_kill_takes_all_or_nothing():
    m = Market()
    killed = m.submit(qty_lots=21_001, price_ticks=10002, time_in_force="fok")
    m.quote(ms=20)
    assert m.strategy.fills == [] and m.states(killed)[-1] == S.ORDER_EXPIRED
    filled = m.submit(qty_lots=21_000, price_ticks=10002, time_in_force="fok")
    m.quote(ms=20)
    assert m.states(filled)[-1] == S.ORDER_FILLED


def test_a_market_order_takes_what_is_shown():
    m = Market()
    ordinal = m.submit(side="sell", qty_lots=12_000, price_ticks=None, order_type="market")
    m.quote(ms=20)
    assert [f[2:4] for f in m.strategy.fills] == [(9999, 10_000), (9998, 2_000)]
    assert m.states(ordinal)[-1] == S.ORDER_FILLED


def test_fees_are_exact_and_rounded_up():
    m = Market()
    m.submit(qty_lots=7, price_ticks=10001, time_in_force="ioc")
    m.quote(ms=20)
    # 100.01 x 0.007 = 0.70007; taker rate 0.0002: 0.000140014 = 14001.4 units of 1e-8.
    assert m.strategy.fills[0][4] == 14002


def test_a_cancel_that_crosses_the_fill_leaves_the_order_filled():
    m = Market()
    ordinal = m.submit(qty_lots=1000, price_ticks=9999)
    m.quote(ms=20)
    m.cancel(ordinal)
    m.trade("99.90", "5.000", sell=True)
    m.quote(ms=20)
    assert m.states(ordinal)[-1] == S.ORDER_FILLED and m.totals()["protocol_errors"] == 0
    assert m.totals()["open_orders"] == 0


def test_a_cancelled_order_trades_no_more():
    m = Market()
    ordinal = m.submit(qty_lots=1000, price_ticks=9999)
    m.quote(ms=20)
    m.cancel(ordinal)
    m.quote(ms=20)
    m.trade("99.90", "5.000", sell=True)
    m.quote(ms=20)
    assert m.states(ordinal)[-1] == S.ORDER_CANCELED and m.strategy.fills == []


@pytest.mark.parametrize("seed", [1, 2])
def test_rejects_follow_the_seed(seed):
    def rejected(seed):
        m = Market(paper={"reject_probability": 0.5, "seed": seed})
        ordinals = [m.submit() for _ in range(30)]
        m.quote(ms=20)
        return [S.ORDER_REJECTED in m.states(o) for o in ordinals]
    assert rejected(seed) == rejected(seed) != rejected(seed + 10)
    assert 3 < sum(rejected(seed)) < 27


def test_a_clock_input_makes_time_pass_when_no_frame_does():
    m = Market()
    ordinal = m.submit()
    due = m.now_ms * 1_000_000 + 3_000_000
    m.strategy.todo.append(lambda ctx: ctx.set_timer(due))
    m.quote(ms=0)
    m.session.clock(due + 10_000_000)
    m.session.clock(0)                                      # never backwards
    assert m.strategy.timers == [(due, due)] and m.states(ordinal) == [S.ORDER_NEW]
    assert m.engine.now_ns == due + 10_000_000 and len(m.records(EventType.EV_CLOCK)) == 1


def test_timers_and_replies_come_in_order_of_time_before_the_next_frame():
    m = Market()
    ordinal = m.submit()
    base = m.now_ms * 1_000_000
    m.strategy.todo += [lambda ctx: ctx.set_timer(base + 9_000_000), lambda ctx: ctx.set_timer(base + 3_000_000)]
    m.quote(ms=0)
    m.quote(ms=100)
    assert [t[0] - base for t in m.strategy.timers] == [3_000_000, 9_000_000]
    assert all(due == now for due, now in m.strategy.timers)
    assert m.states(ordinal) == [S.ORDER_NEW]
    times = [int(t) for t in m.records(EventType.EV_EXEC_REPORT)["ts_recv_ns"]] + [t[1] for t in m.strategy.timers]
    assert max(times) < m.now_ms * 1_000_000
